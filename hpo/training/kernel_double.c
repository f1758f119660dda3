#define KERNEL kernel_double
#define NAME "double"
#define REAL double
#define INTEGER uint64_t
#define SQUARE_ROOT sqrt
#define DOUBLE_PRECISION 1
#define VECTOR_BYTES 16
#define COLUMNS 2
#include "kernel.c"
