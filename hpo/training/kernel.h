/* What the native engine is asked, and by which processor's code it can be answered. */
#ifndef HPO_KERNEL_H
#define HPO_KERNEL_H

#include <stdint.h>

enum status { DONE, DIVERGED, STOPPED, NO_MEMORY };
enum loss { ABSOLUTE, SQUARED, CROSS_ENTROPY };

typedef struct {
    int layers, inputs, outputs;
    const int64_t *cells; /* of each layer, the first layer first */
    double dropout;       /* of each layer's outputs */
} Shape;

/* Windows of rows of values; of N windows, each begins at the row starts[n]. */
typedef struct {
    const void *values; /* rows x inputs */
    const int64_t *starts;
    int64_t count, lookback;
    int anchored;           /* the target's last value in the window is subtracted from it */
    const int64_t *lengths; /* NULL: every window has `lookback` rows, its targets follow them */
    const int64_t *labels;  /* the classes of sequences with lengths of their own */
} Samples;

typedef struct {
    const int64_t *order; /* steps x batch: which windows */
    const float *rates;
    int64_t steps, batch, check_every, patience;
    enum loss loss;
    double clip_norm, weight_decay, exploded;
    uint32_t dropout_seed;
    double quiet_s; /* how long to go on without asking on_check */
    int (*on_check)(void *asked, int64_t step, double last_loss); /* 0: go on */
    void *asked;
} Plan;

/* How far a training is: where it begins and where, stopped or not, it ends. */
typedef struct {
    double *checks; /* one row a check: step, mean training loss since the last, watched loss */
    void *mean, *square, *best; /* AdamW's moments and the weights of the best check */
    int64_t step, count, best_check; /* steps taken; checks so far; the row of the best of them */
    double first_loss, summed;       /* of the first batch; of all batches since the last check */
} Course;

/* The code for one kind of processor. Weights are float or double, as the kernel says, in the order
 * of PyTorch's state dict. */
typedef struct {
    const char *name;
    int real_bytes;
    /* Trains from `course` on and leaves there, and in the weights, how far it came. `watch` may be
     * NULL. */
    enum status (*train)(const Shape *, void *weights, const Samples *, const Samples *watch,
                         const Plan *, Course *);
    /* The mean loss over all windows, and their outputs (count x outputs); either may be NULL. */
    enum status (*run)(const Shape *, const void *weights, const Samples *, enum loss, double *loss,
                       void *outputs);
    /* The loss of the plan's first batch and its gradient by every weight. */
    enum status (*gradient)(const Shape *, const void *weights, const Samples *, const Plan *,
                            double *loss, void *gradient);
} Kernel;

extern const Kernel kernel_baseline, kernel_double;
#if defined(__x86_64__)
extern const Kernel kernel_avx2, kernel_avx512;
#endif

#endif
