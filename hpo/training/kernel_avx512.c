#if defined(__x86_64__)
#pragma GCC target("avx512f,avx512dq,avx512vl,avx512bw,avx2,fma")
#define KERNEL kernel_avx512
#define NAME "avx512"
#define REAL float
#define INTEGER uint32_t
#define SQUARE_ROOT sqrtf
#define DOUBLE_PRECISION 0
#define VECTOR_BYTES 64
#define COLUMNS 4
#include <immintrin.h>
#define LESSER _mm512_min_ps
#define GREATER _mm512_max_ps
#include "kernel.c"
#endif
