#if defined(__x86_64__)
#include <immintrin.h>
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC target("avx2,fma")
#endif
#define KERNEL kernel_avx2
#define NAME "avx2"
#define REAL float
#define INTEGER uint32_t
#define SQUARE_ROOT sqrtf
#define DOUBLE_PRECISION 0
#define VECTOR_BYTES 32
#define COLUMNS 2
#define LESSER _mm256_min_ps
#define GREATER _mm256_max_ps
#include "kernel.c"
#if defined(__clang__)
#pragma clang attribute pop
#endif
#endif
