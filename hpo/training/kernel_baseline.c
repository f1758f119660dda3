#define KERNEL kernel_baseline
#define NAME "baseline"
#define REAL float
#define INTEGER uint32_t
#define SQUARE_ROOT sqrtf
#define DOUBLE_PRECISION 0
#define VECTOR_BYTES 16
#define COLUMNS 2
#if defined(__SSE2__)
#include <immintrin.h>
#define LESSER _mm_min_ps
#define GREATER _mm_max_ps
#endif
#include "kernel.c"
