/* Training and running small LSTM networks: a stack of layers, each with its own cells, and a
 * linear head that reads the last step of the last layer.
 *
 * The windows of a batch are the lanes of SIMD vectors: every number of the equations below is a
 * vector with one lane a window, and no sum runs across lanes until a batch's gradient is complete.
 * A block of one or two vectors (`nv`) goes through all its steps, forward and backward, while its
 * numbers lie in the cache; then the next block of the batch follows.
 *
 * One step of one cell (Hochreiter and Schmidhuber 1997; forget gate: Gers et al. 2000), with W and
 * R the weights on the inputs x and on the hidden state h of the step before, b both biases:
 *
 *     i, f, o = sigmoid(W x + R h + b)     g = tanh(W x + R h + b)
 *     c' = f c + i g                       h' = o tanh(c')
 *
 * This file is compiled once for each kind of processor (kernel_*.c): the types below are all that
 * differs. Letters: T steps, B windows of a batch, K outputs, P weights. All memory is allocated
 * when a call begins, none while it trains.
 */
#include "kernel.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef REAL vec __attribute__((vector_size(VECTOR_BYTES), may_alias));
typedef INTEGER ivec __attribute__((vector_size(VECTOR_BYTES), may_alias));

enum { WIDTH = VECTOR_BYTES / sizeof(REAL), MOST_LANES = 2 * WIDTH, ALIGNMENT = 64 };
enum { EVALUATED = 1024 };       /* windows at once where nothing is learned */
enum { CHUNK_BYTES = 16 << 10 }; /* what the gradient of several steps reads again and again */

#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 32")

/* ---- The network's memory ------------------------------------------------------------------ */

typedef struct {
    int below, cells, rows; /* inputs, cells, and both together with a constant 1 for the biases */
    int64_t first_weight;
    REAL *packed;  /* [cells][rows][4]: weights of the gates i f g o, the biases in the last row */
    vec *gradient; /* [cells][rows][4]: their gradients, one partial sum a lane */
    vec *seen;     /* [T + 1][rows][nv]: x, h of the step before, 1 */
    vec *gates;    /* [T][cells][4][nv]: i f g o; the way back leaves their gradients there */
    vec *c;        /* [T + 1][cells][nv]: c[t] before step t */
    vec *tanh_c;   /* [T][cells][nv] */
    vec *dropout;  /* [T][cells][nv]: what h is multiplied with on its way up; NULL without */
    vec *from_up;  /* [T][cells][nv]: the gradient of h that comes from the layer above */
    vec *dh, *dc;  /* [cells][nv]: the gradients that go back in time */
} Layer;

typedef struct {
    int layers, outputs, inputs;
    int64_t weights, first_head_weight, most_steps, most_batch;
    double dropout;
    Layer *layer;
    REAL *weight, *gradient, *mean, *square, *best; /* [P]; the last three only to train */
    vec *read, *dread;                              /* [cells of the last layer][nv] */
    vec *output, *target;                           /* [K][nv]; output becomes its gradient */
    vec *head_gradient;                             /* [K][cells + 1] */
    int64_t *by_length;                             /* [B]: positions, the longest first */
    int64_t *begins;                                /* [T + 1]: a length, in by_length */
    void *memory;
} Network;

/* The windows that go through the network together; lane l holds the batch's position[l]. */
typedef struct {
    int nv, lanes, steps, drops; /* drops: whether the layers' dropout is to be used */
    int64_t window[MOST_LANES], position[MOST_LANES], length[MOST_LANES];
} Block;

/* Memory that arrays are carved from; before there is any, it counts what they will take. */
typedef struct {
    char *memory;
    size_t used;
} Room;

/* Under AddressSanitizer a gap that nobody may touch follows every array. */
#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
enum { GAP = ALIGNMENT };
#else
enum { GAP = 0 };
#define ASAN_POISON_MEMORY_REGION(from, bytes) ((void)0)
#endif

static void *carve(Room *room, size_t count, size_t bytes) {
    size_t wanted = count * bytes, padded = (wanted + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT + GAP;
    size_t begin = room->used;
    room->used += padded;
    if (!room->memory) return NULL;
    ASAN_POISON_MEMORY_REGION(room->memory + begin + wanted, padded - wanted);
    return room->memory + begin;
}

/* Puts every array at its place from `memory` on and returns the bytes they take together. */
static size_t place(Network *net, char *memory, int trains) {
    Room room = {memory, 0};
    const Layer *top = &net->layer[net->layers - 1];
    size_t steps = (size_t)net->most_steps, weights = (size_t)net->weights;
    for (int l = 0; l < net->layers; l++) {
        Layer *at = &net->layer[l];
        size_t cells = (size_t)at->cells, rows = (size_t)at->rows;
        at->packed = carve(&room, cells * rows * 4, sizeof(REAL));
        at->gradient = trains ? carve(&room, cells * rows * 4, sizeof(vec)) : NULL;
        at->seen = carve(&room, (steps + 1) * rows * 2, sizeof(vec));
        at->gates = carve(&room, steps * cells * 4 * 2, sizeof(vec));
        at->c = carve(&room, (steps + 1) * cells * 2, sizeof(vec));
        at->tanh_c = carve(&room, steps * cells * 2, sizeof(vec));
        const int drops = trains && net->dropout > 0, gets_from_up = trains && at != top;
        at->dropout = drops ? carve(&room, steps * cells * 2, sizeof(vec)) : NULL;
        at->from_up = gets_from_up ? carve(&room, steps * cells * 2, sizeof(vec)) : NULL;
        at->dh = carve(&room, cells * 2, sizeof(vec));
        at->dc = carve(&room, cells * 2, sizeof(vec));
    }
    size_t heads = (size_t)net->outputs, cells = (size_t)top->cells;
    net->read = carve(&room, cells * 2, sizeof(vec));
    net->dread = carve(&room, cells * 2, sizeof(vec));
    net->output = carve(&room, heads * 2, sizeof(vec));
    net->target = carve(&room, heads * 2, sizeof(vec));
    net->head_gradient = carve(&room, heads * (cells + 1), sizeof(vec));
    net->by_length = carve(&room, (size_t)net->most_batch, sizeof(int64_t));
    net->begins = carve(&room, steps + 1, sizeof(int64_t));
    net->weight = carve(&room, weights, sizeof(REAL));
    net->gradient = carve(&room, weights, sizeof(REAL));
    net->mean = trains ? carve(&room, weights, sizeof(REAL)) : NULL;
    net->square = trains ? carve(&room, weights, sizeof(REAL)) : NULL;
    net->best = trains ? carve(&room, weights, sizeof(REAL)) : NULL;
    return room.used;
}

static int open_network(Network *net, const Shape *shape, const void *weights, int64_t most_steps,
                        int64_t most_batch, int trains) {
    *net = (Network){.layers = shape->layers, .outputs = shape->outputs, .inputs = shape->inputs,
                     .most_steps = most_steps, .most_batch = most_batch, .dropout = shape->dropout};
    net->layer = calloc((size_t)shape->layers, sizeof(Layer));
    if (!net->layer) return 0;
    int below = shape->inputs;
    for (int l = 0; l < shape->layers; l++) {
        int cells = (int)shape->cells[l];
        net->layer[l] = (Layer){.below = below, .cells = cells, .rows = below + cells + 1,
                                .first_weight = net->weights};
        net->weights += 4 * (int64_t)cells * (below + cells + 2);
        below = cells;
    }
    net->first_head_weight = net->weights;
    net->weights += (int64_t)shape->outputs * (below + 1);
    size_t bytes = place(net, NULL, trains);
    net->memory = aligned_alloc(ALIGNMENT, bytes);
    if (!net->memory) return free(net->layer), 0;
    memset(net->memory, 0, bytes);
    place(net, net->memory, trains);
    memcpy(net->weight, weights, (size_t)net->weights * sizeof(REAL));
    return 1;
}

static void close_network(Network *net) {
    free(net->memory);
    free(net->layer);
}

#define EACH_GATE_WEIGHT(at, j, row, gate)       \
    for (int j = 0; j < (at)->cells; j++)        \
        for (int row = 0; row < (at)->rows; row++) \
            for (int gate = 0; gate < 4; gate++)

/* Where PyTorch's state dict has the weight of a cell's gate: weight_ih (4C x below), weight_hh
 * (4C x C), bias_ih (4C), bias_hh (4C), gates one after another. The biases: that of bias_ih. */
INLINE int64_t place_of(const Layer *at, int j, int row, int gate) {
    int64_t cells = at->cells, below = at->below, unit = gate * cells + j;
    int64_t first = at->first_weight;
    if (row < below) return first + unit * below + row;
    first += 4 * cells * below;
    if (row < below + cells) return first + unit * cells + (row - below);
    return first + 4 * cells * cells + unit;
}

static void pack(Network *net) {
    for (int l = 0; l < net->layers; l++) {
        const Layer *at = &net->layer[l];
        REAL *packed = at->packed;
        EACH_GATE_WEIGHT(at, j, row, gate) {
            int64_t from = place_of(at, j, row, gate);
            REAL bias_hh = row == at->rows - 1 ? net->weight[from + 4 * at->cells] : 0;
            *packed++ = net->weight[from] + bias_hh;
        }
    }
}

INLINE REAL sum(vec x) {
    REAL total = 0;
    for (int w = 0; w < WIDTH; w++) total += x[w];
    return total;
}

/* The lanes' partial sums become the gradient of the P weights. */
static void unpack_gradient(Network *net) {
    for (int l = 0; l < net->layers; l++) {
        const Layer *at = &net->layer[l];
        const vec *partial = at->gradient;
        EACH_GATE_WEIGHT(at, j, row, gate) {
            int64_t to = place_of(at, j, row, gate);
            net->gradient[to] = sum(*partial++);
            if (row == at->rows - 1) net->gradient[to + 4 * at->cells] = net->gradient[to];
        }
    }
    int cells = net->layer[net->layers - 1].cells;
    REAL *weight = net->gradient + net->first_head_weight, *bias = weight + net->outputs * cells;
    for (int k = 0; k < net->outputs; k++) {
        const vec *partial = net->head_gradient + (int64_t)k * (cells + 1);
        for (int j = 0; j < cells; j++) weight[k * cells + j] = sum(partial[j]);
        bias[k] = sum(partial[cells]);
    }
}

static void clear_gradient(Network *net) {
    const Layer *top = &net->layer[net->layers - 1];
    for (int l = 0; l < net->layers; l++) {
        const Layer *at = &net->layer[l];
        memset(at->gradient, 0, (size_t)at->cells * (size_t)at->rows * 4 * sizeof(vec));
    }
    memset(net->head_gradient, 0, (size_t)net->outputs * (size_t)(top->cells + 1) * sizeof(vec));
}

/* ---- Activations ---------------------------------------------------------------------------- */

INLINE vec all(REAL x) { return x - (vec){0}; }

#ifndef LESSER /* of two vectors; y where one is not a number */
INLINE vec choose(ivec x_wins, vec x, vec y) {
    return (vec)(((ivec)x & x_wins) | ((ivec)y & ~x_wins));
}
#define LESSER(x, y) choose((ivec)((x) < (y)), x, y)
#define GREATER(x, y) choose((ivec)((x) > (y)), x, y)
#endif

INLINE vec clamp(vec x, REAL most) { /* to -most .. most; what is not a number stays so */
    return GREATER(all(-most), LESSER(all(most), x));
}

#if DOUBLE_PRECISION

INLINE vec e_to_minus(vec x) {
    for (int w = 0; w < WIDTH; w++) x[w] = exp(-x[w]);
    return x;
}

INLINE vec e_to_twice_minus_one(vec x) {
    for (int w = 0; w < WIDTH; w++) x[w] = expm1(2 * x[w]);
    return x;
}

#else

/* 2^(factor x) = 2^n 2^f with n whole and |f| <= 1/2: adding 1.5 * 2^23 leaves n in the lowest bits
 * of the sum. Returned is f; *exponent is n where a float has its exponent. */
INLINE vec split_power(vec x, REAL factor, ivec *exponent) {
    const REAL rounder = 12582912;
    vec shifted = x * factor + rounder;
    *exponent = (ivec)shifted << 23;
    return x * factor - (shifted - rounder);
}

/* e^-x; 2^f is a minimax polynomial, right to 9.2e-8. */
INLINE vec e_to_minus(vec x) {
    ivec exponent;
    vec f = split_power(x, (REAL)-1.44269504088896341, &exponent);
    vec p = f * (REAL)1.32646634e-3 + (REAL)9.67151116e-3;
    p = p * f + (REAL)5.55073393e-2;
    p = p * f + (REAL)2.40222421e-1;
    p = p * f + (REAL)6.93146978e-1;
    return (vec)((ivec)(p * f + 1) + exponent);
}

/* e^2x - 1, and with it tanh, as exact near 0 as elsewhere: 2^f - 1 is a minimax polynomial without
 * a constant term, right to 1.1e-8 of its own size. */
INLINE vec e_to_twice_minus_one(vec x) {
    ivec exponent;
    vec f = split_power(x, (REAL)2.88539008177792682, &exponent);
    vec p = f * (REAL)1.54035119e-4 + (REAL)1.33907355e-3;
    p = p * f + (REAL)9.6182375e-3;
    p = p * f + (REAL)5.55035743e-2;
    p = p * f + (REAL)2.40226498e-1;
    p = p * f + (REAL)6.93147188e-1;
    vec two_n = (vec)(exponent + 0x3f800000); /* 0x3f800000 is 1.0f */
    return two_n * (p * f) + (two_n - 1);
}

#endif

/* Not far beyond it e^x leaves the range of the numbers. Each gate has a division of its own: it is
 * then 0 or 1 to the last digit at its limits, and has no slope that is a rounding. */
#define MOST_EXPONENT ((REAL)(DOUBLE_PRECISION ? 700 : 87))

INLINE vec sigmoid(vec x) { return 1 / (1 + e_to_minus(clamp(x, MOST_EXPONENT))); }

INLINE vec hyperbolic_tangent(vec x) {
    vec e = e_to_twice_minus_one(clamp(x, MOST_EXPONENT / 2));
    return e / (e + 2);
}

/* ---- Forward -------------------------------------------------------------------------------- */

/* All steps of one layer; h goes to the next step and, through the dropout, to the layer above. */
INLINE void forward_layer(const Layer *at, const Layer *up, const Block *block, const int nv) {
    const int cells = at->cells, rows = at->rows;
    for (int t = 0; t < block->steps; t++) {
        const vec *seen = at->seen + (int64_t)t * rows * nv;
        vec *h = at->seen + ((int64_t)(t + 1) * rows + at->below) * nv;
        for (int j = 0; j < cells; j++) {
            const REAL *w = at->packed + (int64_t)j * rows * 4;
            vec z[2][4];
            UNROLL for (int v = 0; v < nv; v++)
                UNROLL for (int gate = 0; gate < 4; gate++)
                    z[v][gate] = all(w[(rows - 1) * 4 + gate]);
            for (int row = 0; row < rows - 1; row++)
                UNROLL for (int v = 0; v < nv; v++)
                    UNROLL for (int gate = 0; gate < 4; gate++)
                        z[v][gate] += w[row * 4 + gate] * seen[row * nv + v];
            int64_t here = ((int64_t)t * cells + j) * nv;
            UNROLL for (int v = 0; v < nv; v++) {
                vec i = sigmoid(z[v][0]), f = sigmoid(z[v][1]), o = sigmoid(z[v][3]);
                vec g = hyperbolic_tangent(z[v][2]);
                vec c = f * at->c[here + v] + i * g, tanh_c = hyperbolic_tangent(c);
                vec *gate = at->gates + here * 4 + v;
                gate[0] = i, gate[nv] = f, gate[2 * nv] = g, gate[3 * nv] = o;
                at->c[here + cells * nv + v] = c;
                at->tanh_c[here + v] = tanh_c;
                h[j * nv + v] = o * tanh_c;
            }
        }
        if (!up) continue;
        vec *x = up->seen + (int64_t)t * up->rows * nv;
        const vec *keep = block->drops ? at->dropout + (int64_t)t * cells * nv : NULL;
        for (int n = 0; n < cells * nv; n++) {
            x[n] = h[n];
            if (keep) x[n] *= keep[n];
        }
    }
}

/* h of each lane's own last step. */
static void read_last_steps(Network *net, const Block *block) {
    const Layer *top = &net->layer[net->layers - 1];
    const int nv = block->nv, width = nv * WIDTH;
    for (int l = 0; l < width; l++) {
        int64_t last = block->length[l];
        const REAL *h = (const REAL *)(top->seen + (last * top->rows + top->below) * nv);
        const vec *keep = block->drops ? top->dropout + (last - 1) * top->cells * nv : NULL;
        for (int n = l; n < top->cells * width; n += width)
            ((REAL *)net->read)[n] = keep ? h[n] * ((const REAL *)keep)[n] : h[n];
    }
}

static void apply_head(Network *net, int nv) {
    const int cells = net->layer[net->layers - 1].cells;
    const REAL *weight = net->weight + net->first_head_weight;
    const REAL *bias = weight + net->outputs * cells;
    for (int k = 0; k < net->outputs; k++)
        for (int v = 0; v < nv; v++) {
            vec y = all(bias[k]);
            for (int j = 0; j < cells; j++) y += weight[k * cells + j] * net->read[j * nv + v];
            net->output[k * nv + v] = y;
        }
}

/* ---- Backward ------------------------------------------------------------------------------- */

/* The gradients of one step's gates, in place of the gates, and of c before the step. */
INLINE void backward_gates(const Layer *at, int t, const int nv) {
    const int cells = at->cells;
    for (int j = 0; j < cells; j++)
        UNROLL for (int v = 0; v < nv; v++) {
            int64_t here = ((int64_t)t * cells + j) * nv + v;
            vec *gate = at->gates + ((int64_t)t * cells + j) * 4 * nv + v;
            vec i = gate[0], f = gate[nv], g = gate[2 * nv], o = gate[3 * nv];
            vec tanh_c = at->tanh_c[here], dh = at->dh[j * nv + v];
            if (at->from_up) dh += at->from_up[here];
            vec dc = at->dc[j * nv + v] + dh * o * (1 - tanh_c * tanh_c);
            gate[0] = dc * g * i * (1 - i);
            gate[nv] = dc * at->c[here] * f * (1 - f);
            gate[2 * nv] = dc * i * (1 - g * g);
            gate[3 * nv] = dh * tanh_c * o * (1 - o);
            at->dc[j * nv + v] = dc * f;
        }
}

/* to[n] = the sum over cells and gates of weight x gate's gradient, for `count` rows of weights. */
INLINE void pull_rows(const Layer *at, const vec *dgate, int row, vec *to, const int count,
                      const int nv) {
    vec sums[4][2];
    UNROLL for (int n = 0; n < count; n++) UNROLL for (int v = 0; v < nv; v++) sums[n][v] = all(0);
    for (int j = 0; j < at->cells; j++) {
        const REAL *w = at->packed + ((int64_t)j * at->rows + row) * 4;
        const vec *d = dgate + j * 4 * nv;
        UNROLL for (int gate = 0; gate < 4; gate++)
            UNROLL for (int n = 0; n < count; n++)
                UNROLL for (int v = 0; v < nv; v++)
                    sums[n][v] += w[n * 4 + gate] * d[gate * nv + v];
    }
    UNROLL for (int n = 0; n < count; n++)
        UNROLL for (int v = 0; v < nv; v++) to[n * nv + v] = sums[n][v];
}

INLINE void pull(const Layer *at, const vec *dgate, int first, int count, vec *to, const int nv) {
    int n = 0;
    for (; n + 4 <= count; n += 4) pull_rows(at, dgate, first + n, to + n * nv, 4, nv);
    for (; n + 2 <= count; n += 2) pull_rows(at, dgate, first + n, to + n * nv, 2, nv);
    for (; n < count; n++) pull_rows(at, dgate, first + n, to + n * nv, 1, nv);
}

/* Adds the steps from..to to the gradients of `count` rows of one cell's weights. */
INLINE void add_rows(const Layer *at, int j, int row, int from, int to, const int count,
                     const int nv) {
    vec *gradient = at->gradient + ((int64_t)j * at->rows + row) * 4, sums[4][COLUMNS];
    UNROLL for (int n = 0; n < count; n++)
        UNROLL for (int gate = 0; gate < 4; gate++) sums[gate][n] = gradient[n * 4 + gate];
    for (int t = from; t < to; t++) {
        const vec *d = at->gates + ((int64_t)t * at->cells + j) * 4 * nv;
        const vec *seen = at->seen + ((int64_t)t * at->rows + row) * nv;
        UNROLL for (int v = 0; v < nv; v++)
            UNROLL for (int n = 0; n < count; n++)
                UNROLL for (int gate = 0; gate < 4; gate++)
                    sums[gate][n] += d[gate * nv + v] * seen[n * nv + v];
    }
    UNROLL for (int n = 0; n < count; n++)
        UNROLL for (int gate = 0; gate < 4; gate++) gradient[n * 4 + gate] = sums[gate][n];
}

INLINE void add_gradient(const Layer *at, int from, int to, const int nv) {
    for (int j = 0; j < at->cells; j++) {
        int row = 0;
        for (; row + COLUMNS <= at->rows; row += COLUMNS)
            add_rows(at, j, row, from, to, COLUMNS, nv);
        for (; row + 2 <= at->rows; row += 2) add_rows(at, j, row, from, to, 2, nv);
        for (; row < at->rows; row++) add_rows(at, j, row, from, to, 1, nv);
    }
}

/* Back through all steps of one layer. The top layer's gradient (dread) enters at each lane's last
 * step: lanes are sorted by length, so before a step the lanes that end there are the next ones. */
INLINE void backward_layer(Network *net, int l, const Block *block, const int nv) {
    const Layer *at = &net->layer[l], *down = l ? at - 1 : NULL;
    const int cells = at->cells, is_top = l == net->layers - 1, width = nv * WIDTH;
    const int fits = CHUNK_BYTES / (at->rows * nv * (int)sizeof(vec)), chunk = fits > 2 ? fits : 2;
    int ending = 0, done = block->steps;
    memset(at->dh, 0, (size_t)(cells * nv) * sizeof(vec));
    memset(at->dc, 0, (size_t)(cells * nv) * sizeof(vec));
    for (int t = block->steps - 1; t >= 0; t--) {
        for (; is_top && ending < block->lanes && block->length[ending] == t + 1; ending++)
            for (int j = 0; j < cells; j++)
                ((REAL *)at->dh)[j * width + ending] = ((REAL *)net->dread)[j * width + ending];
        backward_gates(at, t, nv);
        const vec *dgate = at->gates + (int64_t)t * cells * 4 * nv;
        if (t > 0) pull(at, dgate, at->below, cells, at->dh, nv);
        if (down) {
            vec *to = down->from_up + (int64_t)t * down->cells * nv;
            pull(at, dgate, 0, down->cells, to, nv);
            for (int n = 0; block->drops && n < down->cells * nv; n++)
                to[n] *= down->dropout[(int64_t)t * down->cells * nv + n];
        }
        if (done - t == chunk || t == 0) add_gradient(at, t, done, nv), done = t;
    }
}

/* From the outputs' gradients (in `output`) to the head's and to that of what it read. */
static void backward_head(Network *net, const Block *block) {
    const Layer *top = &net->layer[net->layers - 1];
    const int cells = top->cells, nv = block->nv, width = nv * WIDTH;
    const REAL *weight = net->weight + net->first_head_weight;
    memset(net->dread, 0, (size_t)(cells * nv) * sizeof(vec));
    for (int k = 0; k < net->outputs; k++) {
        vec *gradient = net->head_gradient + (int64_t)k * (cells + 1);
        for (int v = 0; v < nv; v++) {
            vec d = net->output[k * nv + v];
            for (int j = 0; j < cells; j++) {
                gradient[j] += d * net->read[j * nv + v];
                net->dread[j * nv + v] += d * weight[k * cells + j];
            }
            gradient[cells] += d;
        }
    }
    if (!block->drops) return;
    for (int l = 0; l < width; l++) {
        const REAL *keep = (const REAL *)(top->dropout + (block->length[l] - 1) * cells * nv) + l;
        for (int j = 0; j < cells; j++) ((REAL *)net->dread)[j * width + l] *= keep[j * width];
    }
}

/* ---- The loss ------------------------------------------------------------------------------- */

/* Sum over the block's windows of the mean loss over outputs; their gradients, for a batch of
 * `batch` windows, replace the outputs. */
static double forecast_loss(Network *net, const Block *block, enum loss loss, int64_t batch) {
    const int width = block->nv * WIDTH;
    const REAL share = (REAL)1 / ((REAL)batch * (REAL)net->outputs);
    double total = 0;
    for (int k = 0; k < net->outputs; k++) {
        REAL *output = (REAL *)net->output + k * width;
        const REAL *target = (const REAL *)net->target + k * width;
        REAL losses[MOST_LANES];
        for (int l = 0; l < width; l++) {
            REAL error = output[l] - target[l], is_there = l < block->lanes ? 1 : 0;
            REAL sign = (REAL)((error > 0) - (error < 0));
            REAL distance = sign == 0 ? error * 0 : error * sign; /* not a number: stays so */
            losses[l] = is_there * (loss == SQUARED ? error * error : distance);
            output[l] = is_there * share * (loss == SQUARED ? 2 * error : sign);
        }
        for (int l = 0; l < block->lanes; l++) total += (double)losses[l];
    }
    return total / net->outputs;
}

/* The same for softmax cross-entropy with each lane's label. */
static double label_loss(Network *net, const Samples *samples, const Block *block, int64_t batch) {
    const int width = block->nv * WIDTH;
    double total = 0;
    for (int l = 0; l < width; l++) {
        REAL *output = (REAL *)net->output + l;
        if (l >= block->lanes) {
            for (int k = 0; k < net->outputs; k++) output[k * width] = 0;
            continue;
        }
        int64_t label = samples->labels[block->window[l]];
        double most = (double)output[0], all_classes = 0;
        for (int k = 1; k < net->outputs; k++) most = fmax(most, (double)output[k * width]);
        for (int k = 0; k < net->outputs; k++) all_classes += exp((double)output[k * width] - most);
        total += log(all_classes) + most - (double)output[label * width];
        for (int k = 0; k < net->outputs; k++) {
            double probability = exp((double)output[k * width] - most) / all_classes;
            output[k * width] = (REAL)((probability - (k == label)) / (double)batch);
        }
    }
    return total;
}

/* ---- Dropout -------------------------------------------------------------------------------- */

/* Philox 4x32 with ten rounds (Salmon et al. 2011) in every lane: four random words take the place
 * of a counter's. */
INLINE void philox(uint32_t word[4][MOST_LANES], uint32_t key_0, uint32_t key_1) {
    for (int round = 0; round < 10; round++) {
        for (int l = 0; l < MOST_LANES; l++) {
            uint64_t a = (uint64_t)0xD2511F53 * word[0][l], b = (uint64_t)0xCD9E8D57 * word[2][l];
            uint32_t word_0 = (uint32_t)(b >> 32) ^ word[1][l] ^ key_0;
            uint32_t word_2 = (uint32_t)(a >> 32) ^ word[3][l] ^ key_1;
            word[0][l] = word_0, word[1][l] = (uint32_t)b;
            word[2][l] = word_2, word[3][l] = (uint32_t)a;
        }
        key_0 += 0x9E3779B9, key_1 += 0xBB67AE85;
    }
}

/* Each number of a layer's dropout is 0 with the probability `dropout`, else 1 / (1 - dropout). It
 * depends on the seed, the optimiser's step and on the window's position in its batch, the step in
 * time, the cell and the layer: on no order of work. Of the top layer only last steps are read. */
static void draw_dropout(Network *net, const Block *block, uint32_t seed, uint32_t step) {
    const int width = block->nv * WIDTH;
    const uint32_t least = (uint32_t)(net->dropout * 4294967296.0);
    const REAL kept = (REAL)(1 / (1 - net->dropout));
    for (int layer = 0; layer < net->layers; layer++) {
        const Layer *at = &net->layer[layer];
        const int is_top = layer == net->layers - 1;
        for (int64_t t = is_top ? block->length[block->lanes - 1] - 1 : 0; t < block->steps; t++)
            for (int j = 0; j < at->cells; j += 4) {
                REAL *to = (REAL *)(at->dropout + (t * at->cells + j) * block->nv);
                uint32_t word[4][MOST_LANES];
                for (int l = 0; l < MOST_LANES; l++) {
                    word[0][l] = (uint32_t)block->position[l], word[1][l] = (uint32_t)t;
                    word[2][l] = (uint32_t)j / 4, word[3][l] = (uint32_t)layer;
                }
                philox(word, seed, step);
                for (int n = 0; n < 4 && j + n < at->cells; n++)
                    for (int l = 0; l < width; l++)
                        to[n * width + l] = word[n][l] < least ? 0 : kept;
            }
    }
}

/* ---- Batches -------------------------------------------------------------------------------- */

/* `count` windows that make one gradient: those of `window`, or those from `first` on. */
typedef struct {
    const int64_t *window;
    int64_t first, count;
} Batch;

static int64_t window_at(const Batch *batch, int64_t position) {
    return batch->window ? batch->window[position] : batch->first + position;
}

static int64_t length_of(const Samples *samples, int64_t window) {
    return samples->lengths ? samples->lengths[window] : samples->lookback;
}

/* Orders the batch's positions by the length of their windows, the longest first, so that a block
 * holds alike ones: a counting sort, which like all here allocates nothing. */
static void sort_by_length(Network *net, const Samples *samples, const Batch *batch) {
    int64_t *begins = net->begins, most = net->most_steps;
    if (!samples->lengths) {
        for (int64_t p = 0; p < batch->count; p++) net->by_length[p] = p;
        return;
    }
    memset(begins, 0, (size_t)(most + 1) * sizeof(int64_t));
    for (int64_t p = 0; p < batch->count; p++)
        begins[most - length_of(samples, window_at(batch, p)) + 1]++;
    for (int64_t shorter = 1; shorter <= most; shorter++) begins[shorter] += begins[shorter - 1];
    for (int64_t p = 0; p < batch->count; p++)
        net->by_length[begins[most - length_of(samples, window_at(batch, p))]++] = p;
}

/* The block that begins with the n-th longest window: two vectors, or one where that is enough or
 * where lengths differ, which lets shorter windows end sooner. Lanes too many repeat the first. */
static Block block_at(const Network *net, const Samples *samples, const Batch *batch, int64_t n) {
    Block block = {.nv = batch->count - n > WIDTH && !samples->lengths ? 2 : 1};
    const int64_t width = block.nv * WIDTH, left = batch->count - n;
    block.lanes = (int)(left < width ? left : width);
    for (int l = 0; l < width; l++) {
        block.position[l] = net->by_length[n + (l < block.lanes ? l : 0)];
        block.window[l] = window_at(batch, block.position[l]);
        block.length[l] = length_of(samples, block.window[l]);
    }
    block.steps = (int)block.length[0];
    return block;
}

static const REAL *first_row(const Network *net, const Samples *samples, const Block *block,
                             int l) {
    return (const REAL *)samples->values + samples->starts[block->window[l]] * net->inputs;
}

static REAL anchor_of(const Network *net, const Samples *samples, const Block *block, int l) {
    const REAL *last = first_row(net, samples, block, l) + (block->length[l] - 1) * net->inputs;
    return samples->anchored ? *last : 0;
}

/* Puts the block's windows before the first layer; a window that has ended is followed by zeros. */
static void gather(Network *net, const Samples *samples, const Block *block) {
    const Layer *at = &net->layer[0];
    const REAL *from[MOST_LANES];
    const int inputs = net->inputs, width = block->nv * WIDTH;
    REAL anchor[MOST_LANES];
    for (int l = 0; l < width; l++) {
        from[l] = first_row(net, samples, block, l);
        anchor[l] = anchor_of(net, samples, block, l);
    }
    for (int t = 0; t < block->steps; t++)
        for (int x = 0; x < inputs; x++) {
            REAL *to = (REAL *)(at->seen + ((int64_t)t * at->rows + x) * block->nv);
            for (int l = 0; l < width; l++) {
                int is_over = samples->lengths && t >= block->length[l];
                to[l] = is_over ? 0 : from[l][(int64_t)t * inputs + x] - (x == 0 ? anchor[l] : 0);
            }
        }
}

/* Only for a loss: what is forecast for itself has no rows behind its window. */
static void gather_targets(Network *net, const Samples *samples, const Block *block) {
    const int width = block->nv * WIDTH;
    for (int l = 0; l < width; l++) {
        const REAL *next = first_row(net, samples, block, l) + block->length[l] * net->inputs;
        REAL anchor = anchor_of(net, samples, block, l);
        for (int k = 0; k < net->outputs; k++)
            ((REAL *)net->target)[k * width + l] = next[(int64_t)k * net->inputs] - anchor;
    }
}

/* What every block finds before it starts: h and c of 0, and the constant 1 beside the inputs. */
static void set_constants(Network *net, int steps, int nv) {
    for (int l = 0; l < net->layers; l++) {
        const Layer *at = &net->layer[l];
        memset(at->seen + at->below * nv, 0, (size_t)(at->cells * nv) * sizeof(vec));
        memset(at->c, 0, (size_t)(at->cells * nv) * sizeof(vec));
        for (int t = 0; t < steps; t++)
            for (int v = 0; v < nv; v++)
                at->seen[((int64_t)(t + 1) * at->rows - 1) * nv + v] = all(1);
    }
}

static void forward(Network *net, const Samples *samples, const Block *block) {
    set_constants(net, block->steps, block->nv);
    gather(net, samples, block);
    for (int l = 0; l < net->layers; l++) {
        const Layer *at = &net->layer[l], *up = l + 1 < net->layers ? at + 1 : NULL;
        if (block->nv == 2)
            forward_layer(at, up, block, 2);
        else
            forward_layer(at, up, block, 1);
    }
    read_last_steps(net, block);
    apply_head(net, block->nv);
}

static void backward(Network *net, const Block *block) {
    backward_head(net, block);
    for (int l = net->layers - 1; l >= 0; l--)
        if (block->nv == 2)
            backward_layer(net, l, block, 2);
        else
            backward_layer(net, l, block, 1);
}

static double block_loss(Network *net, const Samples *samples, const Block *block, enum loss loss,
                         int64_t batch) {
    if (loss == CROSS_ENTROPY) return label_loss(net, samples, block, batch);
    gather_targets(net, samples, block);
    return forecast_loss(net, block, loss, batch);
}

/* The mean loss of a batch; its gradient is in net->gradient. */
static double learn(Network *net, const Samples *samples, const Plan *plan, int64_t step) {
    Batch batch = {.window = plan->order + step * plan->batch, .count = plan->batch};
    double total = 0;
    clear_gradient(net);
    sort_by_length(net, samples, &batch);
    for (int64_t n = 0; n < batch.count;) {
        Block block = block_at(net, samples, &batch, n);
        block.drops = net->dropout > 0;
        if (block.drops) draw_dropout(net, &block, plan->dropout_seed, (uint32_t)step);
        forward(net, samples, &block);
        total += block_loss(net, samples, &block, plan->loss, batch.count);
        backward(net, &block);
        n += block.lanes;
    }
    unpack_gradient(net);
    return total / (double)batch.count;
}

/* The outputs of all windows, and their mean loss: each where it is asked for. No dropout. */
static void evaluate(Network *net, const Samples *samples, enum loss loss, double *mean,
                     REAL *outputs) {
    double total = 0;
    for (int64_t first = 0; first < samples->count; first += net->most_batch) {
        int64_t left = samples->count - first;
        Batch batch = {.first = first, .count = left < net->most_batch ? left : net->most_batch};
        sort_by_length(net, samples, &batch);
        for (int64_t n = 0; n < batch.count;) {
            Block block = block_at(net, samples, &batch, n);
            forward(net, samples, &block);
            for (int l = 0; outputs && l < block.lanes; l++)
                for (int k = 0; k < net->outputs; k++)
                    outputs[block.window[l] * net->outputs + k] =
                        ((REAL *)net->output)[k * block.nv * WIDTH + l];
            if (mean) total += block_loss(net, samples, &block, loss, 1);
            n += block.lanes;
        }
    }
    if (mean) *mean = total / (double)samples->count;
}

/* ---- The optimiser -------------------------------------------------------------------------- */

/* Scales the gradient to a length of at most `most`. */
static void clip(Network *net, double most) {
    double squares = 0;
    for (int64_t p = 0; p < net->weights; p++)
        squares += (double)net->gradient[p] * (double)net->gradient[p];
    double share = most / (sqrt(squares) + 1e-6);
    if (share < 1)
        for (int64_t p = 0; p < net->weights; p++) net->gradient[p] *= (REAL)share;
}

/* AdamW (Loshchilov and Hutter 2019) as PyTorch does it, with its betas and epsilon. */
static void update(Network *net, double rate, double weight_decay, int64_t step) {
    const double beta_1 = 0.9, beta_2 = 0.999;
    const REAL b1 = (REAL)beta_1, new_1 = (REAL)(1 - beta_1);
    const REAL b2 = (REAL)beta_2, new_2 = (REAL)(1 - beta_2);
    const REAL kept = (REAL)(1 - rate * weight_decay), epsilon = (REAL)1e-8;
    const REAL size = (REAL)(rate / (1 - pow(beta_1, (double)step)));
    const REAL scale = (REAL)(1 / sqrt(1 - pow(beta_2, (double)step)));
    REAL *restrict weight = net->weight, *restrict mean = net->mean, *restrict square = net->square;
    const REAL *restrict gradient = net->gradient;
    for (int64_t p = 0; p < net->weights; p++) {
        REAL g = gradient[p], m = b1 * mean[p] + new_1 * g, s = b2 * square[p] + new_2 * g * g;
        mean[p] = m;
        square[p] = s;
        weight[p] = kept * weight[p] - size * m / (SQUARE_ROOT(s) * scale + epsilon);
    }
}

/* ---- What the module calls ------------------------------------------------------------------ */

static int64_t longest(const Samples *samples) {
    int64_t most = samples->lookback;
    for (int64_t n = 0; samples->lengths && n < samples->count; n++)
        if (samples->lengths[n] > most) most = samples->lengths[n];
    return most;
}

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static int has_diverged(const double *check, double first_loss, double exploded) {
    return !isfinite(check[1]) || !isfinite(check[2]) || check[1] > exploded * fmax(first_loss, 1);
}

/* Writes down the losses after a step, and keeps its weights where they are the best so far. */
static enum status check(Network *net, const Samples *watch, const Plan *plan, Course *course) {
    const int64_t since = (course->step - 1) % plan->check_every + 1;
    double *now = course->checks + 3 * course->count++;
    const double *best = course->checks + 3 * course->best_check;
    now[0] = (double)course->step;
    now[1] = now[2] = course->summed / (double)since;
    course->summed = 0;
    if (watch) evaluate(net, watch, plan->loss, &now[2], NULL);
    if (has_diverged(now, course->first_loss, plan->exploded)) return DIVERGED;
    if (!watch || now == best || now[2] < best[2]) { /* the first is the best so far */
        memcpy(net->best, net->weight, (size_t)net->weights * sizeof(REAL));
        course->best_check = course->count - 1;
    }
    return DONE;
}

static enum status steps(Network *net, const Samples *samples, const Samples *watch,
                         const Plan *plan, Course *course) {
    double asked = seconds();
    pack(net);
    while (course->step < plan->steps) {
        const int64_t step = course->step + 1;
        double loss = learn(net, samples, plan, course->step);
        clip(net, plan->clip_norm);
        update(net, (double)plan->rates[course->step], plan->weight_decay, step);
        pack(net);
        if (step == 1) course->first_loss = loss;
        course->summed += loss;
        course->step = step;
        if (step % plan->check_every == 0 || step == plan->steps) {
            if (check(net, watch, plan, course) == DIVERGED) return DIVERGED;
            if (watch && course->count - 1 - course->best_check >= plan->patience) return DONE;
        }
        if (step < plan->steps && seconds() - asked >= plan->quiet_s) {
            double last_loss = course->count ? course->checks[3 * course->count - 1] : NAN;
            if (plan->on_check(plan->asked, step, last_loss)) return STOPPED;
            asked = seconds();
        }
    }
    return DONE;
}

/* Copies what a training remembers beside its weights into the network, or out of it. */
static void carry(Network *net, Course *course, int is_out) {
    void *of_course[] = {course->mean, course->square, course->best};
    REAL *of_net[] = {net->mean, net->square, net->best};
    for (int n = 0; n < 3; n++)
        memcpy(is_out ? of_course[n] : of_net[n], is_out ? of_net[n] : of_course[n],
               (size_t)net->weights * sizeof(REAL));
}

static enum status train(const Shape *shape, void *weights, const Samples *samples,
                         const Samples *watch, const Plan *plan, Course *course) {
    int64_t most_steps = longest(samples), watched = watch ? longest(watch) : 0;
    Network net;
    if (watched > most_steps) most_steps = watched;
    int64_t most_batch = plan->batch > EVALUATED ? plan->batch : EVALUATED;
    if (!open_network(&net, shape, weights, most_steps, most_batch, 1)) return NO_MEMORY;
    carry(&net, course, 0);
    enum status status = steps(&net, samples, watch, plan, course);
    carry(&net, course, 1);
    memcpy(weights, net.weight, (size_t)net.weights * sizeof(REAL));
    close_network(&net);
    return status;
}

static enum status run(const Shape *shape, const void *weights, const Samples *samples,
                       enum loss loss, double *mean, void *outputs) {
    Network net;
    if (!open_network(&net, shape, weights, longest(samples), EVALUATED, 0)) return NO_MEMORY;
    pack(&net);
    evaluate(&net, samples, loss, mean, outputs);
    close_network(&net);
    return DONE;
}

static enum status gradient(const Shape *shape, const void *weights, const Samples *samples,
                            const Plan *plan, double *loss, void *to) {
    Network net;
    if (!open_network(&net, shape, weights, longest(samples), plan->batch, 1)) return NO_MEMORY;
    pack(&net);
    *loss = learn(&net, samples, plan, 0);
    memcpy(to, net.gradient, (size_t)net.weights * sizeof(REAL));
    close_network(&net);
    return DONE;
}

const Kernel KERNEL = {NAME, sizeof(REAL), train, run, gradient};
