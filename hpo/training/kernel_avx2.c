#if defined(__x86_64__)
#pragma GCC target("avx2,fma")
#define KERNEL kernel_avx2
#define NAME "avx2"
#define REAL float
#define INTEGER uint32_t
#define SQUARE_ROOT sqrtf
#define DOUBLE_PRECISION 0
#define VECTOR_BYTES 32
#define COLUMNS 2
#include <immintrin.h>
#define LESSER _mm256_min_ps
#define GREATER _mm256_max_ps
#include "kernel.c"
#endif
