#if defined(__x86_64__)
#include <immintrin.h>
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target( \
    "avx512f,avx512dq,avx512vl,avx512bw,avx2,fma"))), apply_to = function)
#else
#pragma GCC target("avx512f,avx512dq,avx512vl,avx512bw,avx2,fma")
#endif
#define KERNEL kernel_avx512
#define NAME "avx512"
#define REAL float
#define INTEGER uint32_t
#define SQUARE_ROOT sqrtf
#define DOUBLE_PRECISION 0
#define VECTOR_BYTES 64
#define COLUMNS 4
#define LESSER _mm512_min_ps
#define GREATER _mm512_max_ps
#include "kernel.c"
#if defined(__clang__)
#pragma clang attribute pop
#endif
#endif
