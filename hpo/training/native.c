/* The Python module hpo.training._native: checks what it is given and calls the kernel for this
 * processor, without the GIL. Arrays come by the buffer protocol; hpo/training/_native.pyi says
 * what they must be. Every size and index is checked here, before the kernel sees it. */
#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030b0000
#include <Python.h>
#include <string.h>

#include "kernel.h"

enum { MOST_BUFFERS = 24, MOST_LAYERS = 64, MOST_STEPS = 1 << 24 };

/* The buffers of one call, all given back at its end. */
typedef struct {
    Py_buffer view[MOST_BUFFERS];
    int count;
} Buffers;

static void give_back(Buffers *held) {
    while (held->count) PyBuffer_Release(&held->view[--held->count]);
}

static void *refuse_array(PyObject *from, const char *name, const char *wanted, int is_written) {
    PyObject *type = PyType_GetName(Py_TYPE(from));
    PyErr_Format(PyExc_TypeError, "%s must be a C-contiguous array of %s%s, this '%U' is not", name,
                 wanted, is_written ? " that is not read-only" : "", type);
    Py_XDECREF(type);
    return NULL;
}

/* The array's numbers, and their count at *length; NULL with TypeError or ValueError set. `kind` is
 * f (float32), d (float64) or q (int64). */
static void *take(Buffers *held, PyObject *from, const char *name, char kind, int is_written,
                  int64_t *length) {
    const char *wanted = kind == 'q' ? "int64" : kind == 'f' ? "float32" : "float64";
    Py_buffer *view = &held->view[held->count];
    int flags = PyBUF_C_CONTIGUOUS | PyBUF_FORMAT | (is_written ? PyBUF_WRITABLE : 0);
    if (PyObject_GetBuffer(from, view, flags)) {
        PyErr_Clear();
        return refuse_array(from, name, wanted, is_written);
    }
    held->count++;
    const char *format = view->format ? view->format : "B";
    int is_right = kind == 'q' ? (*format == 'q' || *format == 'l') && view->itemsize == 8
                               : *format == kind && format[1] == 0;
    if (!is_right)
        return PyErr_Format(PyExc_ValueError, "%s must be %s, not of format '%s'", name, wanted,
                            format);
    *length = (int64_t)(view->len / view->itemsize);
    return view->buf;
}

static const Kernel *kernels[8];

#if defined(__x86_64__)
static int runs_here(const char *name) {
    __builtin_cpu_init();
    if (!strcmp(name, "avx2"))
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    if (!strcmp(name, "avx512"))
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
               __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw");
    return 1;
}
#endif

static const Kernel *kernel_named(const char *name) {
    for (int k = 0; kernels[k]; k++)
        if (!strcmp(kernels[k]->name, name)) return kernels[k];
    return PyErr_Format(PyExc_ValueError, "kernel %s is not among kernels()", name), NULL;
}

/* What `take` calls the kernel's floating-point numbers. */
static char real_kind(const Kernel *kernel) { return kernel->real_bytes == 4 ? 'f' : 'd'; }

/* ---- What is checked ------------------------------------------------------------------------ */

static int refuse(const char *what, long long value, const char *right) {
    PyErr_Format(PyExc_ValueError, "%s is %lld, it must be %s", what, value, right);
    return 0;
}

/* A network's shape with its weights. */
typedef struct {
    const Kernel *kernel;
    Shape shape;
    void *weights;
    int64_t count;
} Net;

static int take_net(Buffers *held, PyObject *from, int is_trained, Net *net) {
    const char *name;
    PyObject *cells, *weights;
    int64_t layers, below, count = 0;
    if (!PyArg_ParseTuple(from,
                          "sOiidO;a network is (kernel, cells, inputs, outputs, dropout, weights)",
                          &name, &cells, &net->shape.inputs, &net->shape.outputs,
                          &net->shape.dropout, &weights))
        return 0;
    if (!(net->kernel = kernel_named(name))) return 0;
    if (!(net->shape.cells = take(held, cells, "cells", 'q', 0, &layers))) return 0;
    if (layers < 1 || layers > MOST_LAYERS)
        return refuse("the number of layers", layers, "1 to 64");
    if (net->shape.inputs < 1) return refuse("inputs", net->shape.inputs, "at least 1");
    if (net->shape.outputs < 1) return refuse("outputs", net->shape.outputs, "at least 1");
    if (!(net->shape.dropout >= 0 && net->shape.dropout < 1)) {
        PyObject *dropout = PyFloat_FromDouble(net->shape.dropout);
        PyErr_Format(PyExc_ValueError, "dropout is %R, it must be at least 0 and below 1", dropout);
        Py_XDECREF(dropout);
        return 0;
    }
    net->shape.layers = (int)layers;
    below = net->shape.inputs;
    for (int l = 0; l < layers; l++) {
        int64_t here = net->shape.cells[l];
        if (here < 1 || here > 1 << 20) return refuse("cells of a layer", here, "1 to 1048576");
        count += 4 * here * (below + here + 2);
        below = here;
    }
    count += net->shape.outputs * (below + 1);
    char kind = real_kind(net->kernel);
    if (!(net->weights = take(held, weights, "weights", kind, is_trained, &net->count))) return 0;
    if (net->count == count) return 1;
    PyErr_Format(PyExc_ValueError, "weights has %lld entries, this network %lld weights",
                 (long long)net->count, (long long)count);
    return 0;
}

/* Samples that fit the network; with `needs_targets` for a loss, without for outputs alone. */
static int take_samples(Buffers *held, PyObject *from, const Net *net, int needs_targets,
                        Samples *to) {
    PyObject *values, *starts, *lengths, *labels;
    long long lookback;
    int64_t rows, lengths_count, labels_count;
    if (!PyArg_ParseTuple(from,
                          "OOOOLp;"
                          "samples are (values, starts, lengths, labels, lookback, anchored)",
                          &values, &starts, &lengths, &labels, &lookback, &to->anchored))
        return 0;
    to->lookback = lookback;
    to->lengths = to->labels = NULL;
    char kind = real_kind(net->kernel);
    if (!(to->values = take(held, values, "values", kind, 0, &rows))) return 0;
    if (!(to->starts = take(held, starts, "starts", 'q', 0, &to->count))) return 0;
    if (rows % net->shape.inputs) return refuse("the count of values", rows, "rows x inputs");
    rows /= net->shape.inputs;
    if (to->count < 1) return refuse("the number of windows", to->count, "at least 1");
    if (lengths != Py_None) {
        if (!(to->lengths = take(held, lengths, "lengths", 'q', 0, &lengths_count))) return 0;
        if (!(to->labels = take(held, labels, "labels", 'q', 0, &labels_count))) return 0;
        if (lengths_count != to->count)
            return refuse("the number of lengths", lengths_count, "that of starts");
        if (labels_count != to->count)
            return refuse("the number of labels", labels_count, "that of starts");
    } else if (labels != Py_None) {
        PyErr_SetString(PyExc_TypeError, "labels must be None where lengths is None");
        return 0;
    }
    int64_t targets = needs_targets && !to->labels ? net->shape.outputs : 0;
    for (int64_t n = 0; n < to->count; n++) {
        int64_t length = to->lengths ? to->lengths[n] : to->lookback, start = to->starts[n];
        if (length < 1 || length > MOST_STEPS)
            return refuse("the steps of a window", length, "1 to 16777216");
        if (start < 0 || start > rows - length - targets)
            return refuse("the first row of a window", start, "such that its rows are all there");
        if (to->labels && (to->labels[n] < 0 || to->labels[n] >= net->shape.outputs))
            return refuse("a label", to->labels[n], "0 to the number of outputs - 1");
    }
    if (to->lengths) to->lookback = 1;
    return 1;
}

static int check_order(const Plan *plan, const Samples *samples) {
    for (int64_t n = 0; n < plan->steps * plan->batch; n++)
        if (plan->order[n] < 0 || plan->order[n] >= samples->count)
            return refuse("a window in order", plan->order[n], "one of the samples'");
    return 1;
}

static int check_loss(enum loss loss, const Samples *samples) {
    if ((int)loss < ABSOLUTE || (int)loss > CROSS_ENTROPY)
        return refuse("loss", (int)loss, "0, 1 or 2");
    if ((loss == CROSS_ENTROPY) != (samples->labels != NULL))
        return refuse("loss", loss, "2 with labels, 0 or 1 without");
    return 1;
}

static PyObject *told(enum status status, PyObject *result) {
    if (status != NO_MEMORY) return result;
    Py_XDECREF(result);
    return PyErr_NoMemory();
}

/* ---- What Python calls -------------------------------------------------------------------- */

/* Asks Python whether to go on; holds the GIL for that. */
typedef struct {
    PyObject *callable;
    PyThreadState *thread;
} Asked;

static int on_check(void *asked, int64_t step, double loss) {
    Asked *ask = asked;
    PyEval_RestoreThread(ask->thread);
    PyObject *answer = PyObject_CallFunction(ask->callable, "Ld", (long long)step, loss);
    int goes_on = answer ? PyObject_IsTrue(answer) : 0;
    Py_XDECREF(answer);
    ask->thread = PyEval_SaveThread();
    return goes_on != 1;
}

/* Where a training of this plan begins: at its first step, or where it was stopped. */
static int take_course(Buffers *held, PyObject *from, const Net *net, const Plan *plan,
                       Course *course) {
    PyObject *checks, *arrays[3];
    const char *names[] = {"mean", "square", "best"};
    void **to[] = {&course->mean, &course->square, &course->best};
    long long step, best_check;
    int64_t length;
    if (!PyArg_ParseTuple(from,
                          "OOOOLLdd;a course is (checks, mean, square, best, step, best check, "
                          "first loss, summed losses)",
                          &checks, &arrays[0], &arrays[1], &arrays[2], &step, &best_check,
                          &course->first_loss, &course->summed))
        return 0;
    if (!(course->checks = take(held, checks, "checks", 'd', 1, &length))) return 0;
    if (length / 3 < plan->steps / plan->check_every + 1)
        return refuse("the length of checks", length, "3 x (steps / check_every + 1)");
    for (int n = 0; n < 3; n++) {
        char kind = real_kind(net->kernel);
        if (!(*to[n] = take(held, arrays[n], names[n], kind, 1, &length))) return 0;
        if (length == net->count) continue;
        PyErr_Format(PyExc_ValueError, "%s has %lld entries, this network %lld weights", names[n],
                     (long long)length, (long long)net->count);
        return 0;
    }
    if (step < 0 || step >= plan->steps)
        return refuse("the number of steps taken", step, "0 to that of all steps - 1");
    course->step = step, course->count = step / plan->check_every;
    if (best_check < 0 || best_check > (course->count ? course->count - 1 : 0))
        return refuse("the best check", best_check, "one of those made, 0 where none is");
    course->best_check = best_check;
    return 1;
}

static PyObject *train_held(Buffers *held, PyObject *arguments) {
    PyObject *net_from, *samples_from, *watch_from, *order, *rates, *course_from;
    Asked asked = {0};
    Net net;
    Samples samples, watch;
    Plan plan = {.on_check = on_check, .asked = &asked};
    Course course = {0};
    long long batch, check_every, patience;
    unsigned int seed;
    int loss;
    int64_t order_count;
    if (!PyArg_ParseTuple(arguments, "OOOOOLiddLLdIdOO", &net_from, &samples_from, &watch_from,
                          &order, &rates, &batch, &loss, &plan.clip_norm, &plan.weight_decay,
                          &check_every, &patience, &plan.exploded, &seed, &plan.quiet_s,
                          &course_from, &asked.callable))
        return NULL;
    if (!take_net(held, net_from, 1, &net)) return NULL;
    if (!take_samples(held, samples_from, &net, 1, &samples)) return NULL;
    if (watch_from != Py_None && !take_samples(held, watch_from, &net, 1, &watch)) return NULL;
    if (!(plan.order = take(held, order, "order", 'q', 0, &order_count))) return NULL;
    if (!(plan.rates = take(held, rates, "rates", 'f', 0, &plan.steps))) return NULL;
    plan.batch = batch, plan.check_every = check_every, plan.patience = patience;
    plan.loss = (enum loss)loss, plan.dropout_seed = seed;
    if (batch < 1) return refuse("batch", batch, "at least 1"), NULL;
    if (plan.steps < 1 || order_count / batch != plan.steps || order_count % batch)
        return refuse("the length of order", order_count, "steps x batch"), NULL;
    if (check_every < 1) return refuse("check_every", check_every, "at least 1"), NULL;
    if (patience < 1) return refuse("patience", patience, "at least 1"), NULL;
    if (!take_course(held, course_from, &net, &plan, &course)) return NULL;
    if (!check_loss(plan.loss, &samples) || !check_order(&plan, &samples)) return NULL;
    if (watch_from != Py_None && !check_loss(plan.loss, &watch)) return NULL;
    asked.thread = PyEval_SaveThread();
    enum status status = net.kernel->train(&net.shape, net.weights, &samples,
                                           watch_from == Py_None ? NULL : &watch, &plan, &course);
    PyEval_RestoreThread(asked.thread);
    if (status == STOPPED && PyErr_Occurred()) return NULL;
    return told(status, Py_BuildValue("iLLLdd", (int)status, (long long)course.step,
                                      (long long)course.count, (long long)course.best_check,
                                      course.first_loss, course.summed));
}

static PyObject *run_held(Buffers *held, PyObject *arguments) {
    PyObject *net_from, *samples_from, *outputs_from;
    Net net;
    Samples samples;
    int loss, wants_loss;
    double mean = 0;
    int64_t count;
    void *outputs = NULL;
    if (!PyArg_ParseTuple(arguments, "OOiO", &net_from, &samples_from, &loss, &outputs_from))
        return NULL;
    wants_loss = loss >= 0;
    if (!take_net(held, net_from, 0, &net)) return NULL;
    if (!take_samples(held, samples_from, &net, wants_loss, &samples)) return NULL;
    if (wants_loss && !check_loss((enum loss)loss, &samples)) return NULL;
    if (outputs_from != Py_None) {
        char kind = real_kind(net.kernel);
        if (!(outputs = take(held, outputs_from, "outputs", kind, 1, &count))) return NULL;
        if (count != samples.count * net.shape.outputs)
            return refuse("the length of outputs", count, "windows x outputs"), NULL;
    }
    enum status status;
    Py_BEGIN_ALLOW_THREADS
    status = net.kernel->run(&net.shape, net.weights, &samples, (enum loss)loss,
                             wants_loss ? &mean : NULL, outputs);
    Py_END_ALLOW_THREADS
    return told(status, PyFloat_FromDouble(mean));
}

static PyObject *gradient_held(Buffers *held, PyObject *arguments) {
    PyObject *net_from, *samples_from, *order, *to_from;
    Net net;
    Samples samples;
    Plan plan = {.steps = 1};
    int loss;
    unsigned int seed;
    int64_t count;
    double mean = 0;
    void *to;
    if (!PyArg_ParseTuple(arguments, "OOOiIO", &net_from, &samples_from, &order, &loss, &seed,
                          &to_from))
        return NULL;
    if (!take_net(held, net_from, 0, &net)) return NULL;
    if (!take_samples(held, samples_from, &net, 1, &samples)) return NULL;
    if (!(plan.order = take(held, order, "order", 'q', 0, &plan.batch))) return NULL;
    char kind = real_kind(net.kernel);
    if (!(to = take(held, to_from, "gradient", kind, 1, &count))) return NULL;
    if (count != net.count) return refuse("the length of gradient", count, "that of weights"), NULL;
    if (plan.batch < 1) return refuse("the length of order", plan.batch, "at least 1"), NULL;
    plan.loss = (enum loss)loss, plan.dropout_seed = seed;
    if (!check_loss(plan.loss, &samples) || !check_order(&plan, &samples)) return NULL;
    enum status status;
    Py_BEGIN_ALLOW_THREADS
    status = net.kernel->gradient(&net.shape, net.weights, &samples, &plan, &mean, to);
    Py_END_ALLOW_THREADS
    return told(status, PyFloat_FromDouble(mean));
}

static PyObject *with_buffers(PyObject *(*call)(Buffers *, PyObject *), PyObject *arguments) {
    Buffers held = {.count = 0};
    PyObject *result = call(&held, arguments);
    give_back(&held);
    return result;
}

static PyObject *train(PyObject *module, PyObject *arguments) {
    (void)module;
    return with_buffers(train_held, arguments);
}

static PyObject *run(PyObject *module, PyObject *arguments) {
    (void)module;
    return with_buffers(run_held, arguments);
}

static PyObject *gradient(PyObject *module, PyObject *arguments) {
    (void)module;
    return with_buffers(gradient_held, arguments);
}

static PyObject *kernel_names(PyObject *module, PyObject *none) {
    (void)module, (void)none;
    PyObject *names = PyList_New(0);
    for (int k = 0; names && kernels[k]; k++) {
        PyObject *name = PyUnicode_FromString(kernels[k]->name);
        if (!name || PyList_Append(names, name)) Py_CLEAR(names);
        Py_XDECREF(name);
    }
    return names;
}

static PyMethodDef methods[] = {
    {"kernels", kernel_names, METH_NOARGS, "The kernels of this processor, the fastest first."},
    {"train", train, METH_VARARGS, "Train a network in place: see _native.pyi."},
    {"run", run, METH_VARARGS, "Losses and outputs of a network: see _native.pyi."},
    {"gradient", gradient, METH_VARARGS, "One batch's loss and gradient: see _native.pyi."},
    {0},
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT, .m_name = "_native", .m_doc = "The native engine.", .m_methods = methods,
    .m_size = -1};

PyMODINIT_FUNC PyInit__native(void) {
    int count = 0;
#if defined(__x86_64__)
    if (runs_here("avx512")) kernels[count++] = &kernel_avx512;
    if (runs_here("avx2")) kernels[count++] = &kernel_avx2;
#endif
    kernels[count++] = &kernel_baseline;
    kernels[count++] = &kernel_double;
    return PyModule_Create(&module);
}
