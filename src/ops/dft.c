/* dft.c - DFT and STFT: transforms along one axis, over fft.h. */
#include "ops/fft.h"

#include <string.h>

enum { SPECTRUM, SIGNAL }; /* oc__op.kind */

/* ---- many transforms -------------------------------------------------------
 */

/* Transforms o * inner + i, each over an axis of x, into y. */
typedef struct batch {
    oc__fft f;
    const oc_tensor *x, *window;
    oc_tensor *y;
    int64_t n_in, inner;  /* length of the axis, elements after it */
    int64_t parts;        /* of the last dim of x: 1 real, 2 complex */
    int64_t n_out;        /* of the axis of y */
    int64_t frames, step; /* STFT */
    int inverse, mirror;
    char *work; /* of all workers, one after the other */
    size_t work_bytes;
} batch;

/* Complex element k of x, which is f64 or f32 as the transform is. */
static void put(const batch *b, void *x, int64_t k, double re, double im) {
    if (b->f.wide) {
        ((double *)x)[2 * k] = re;
        ((double *)x)[2 * k + 1] = im;
    } else {
        ((float *)x)[2 * k] = (float)re;
        ((float *)x)[2 * k + 1] = (float)im;
    }
}

static double get(const batch *b, const void *x, int64_t i) {
    return b->f.wide ? ((const double *)x)[i] : (double)((const float *)x)[i];
}

/* Element `at` of the input into place k, times w. */
static void load(const batch *b, void *x, int64_t k, int64_t at, double w) {
    double im = b->parts == 2 ? oc__tensor_get_f64(b->x, at * 2 + 1) : 0;
    put(b, x, k, oc__tensor_get_f64(b->x, at * b->parts) * w, im * w);
}

static size_t pair_bytes(const batch *b) {
    return b->f.wide ? 2 * sizeof(double) : 2 * sizeof(float);
}

static void dft_range(void *user, int64_t begin, int64_t end, int worker) {
    const batch *b = user;
    char *x = b->work + (size_t)worker * b->work_bytes;
    size_t bytes = (size_t)b->f.n * pair_bytes(b);
    int64_t y_parts = b->mirror ? 1 : 2;
    for (int64_t k = begin; k < end; k++) {
        int64_t o = k / b->inner, i = k % b->inner;
        memset(x, 0, bytes);
        for (int64_t j = 0; j < OC_MIN(b->n_in, b->f.n); j++)
            load(b, x, j, (o * b->n_in + j) * b->inner + i, 1);
        /* The half that a one-sided spectrum leaves out. */
        for (int64_t j = b->f.n / 2 + 1; b->mirror && j < b->f.n; j++)
            put(b, x, j, get(b, x, 2 * (b->f.n - j)),
                -get(b, x, 2 * (b->f.n - j) + 1));
        oc__fft_run(&b->f, x, x + oc__align_up(bytes, 64), b->inverse,
                    b->inverse ? 1 / (double)b->f.n : 1);
        for (int64_t j = 0; j < b->n_out; j++) {
            int64_t at = ((o * b->n_out + j) * b->inner + i) * y_parts;
            oc__tensor_set_f64(b->y, at, get(b, x, 2 * j));
            if (y_parts == 2)
                oc__tensor_set_f64(b->y, at + 1, get(b, x, 2 * j + 1));
        }
    }
}

/* scratch: [tables][one transform and its work, for each worker]; NULL b:
   only the need is wanted. */
static oc_status batch_init(oc__ctx *c, batch *b, int64_t n) {
    const oc_tensor *in = oc__in(c, 0);
    /* Real signals are worth the second half of f64: their spectra have
       exact zeros and symmetries, which f32 would blur.  Models of before
       opset 19 get f64 too: so did the reference of their time, and its
       published results hold what that gave. */
    int real =
        (c->op->kind == SIGNAL && in->rank == 2) || in->dims[in->rank - 1] == 1;
    int wide = in->dtype == OC_DTYPE_F64 || real || c->node->version < 19;
    size_t table, work, all, x = oc__align_up((size_t)n * (wide ? 16 : 8), 64);
    OC_TRY(oc__fft_bytes(c, n, wide, &table, &work));
    if (oc__size_add(work, x, &work) ||
        oc__size_mul(work, (size_t)OC_MAX(c->threads, 1), &all) ||
        oc__size_add(all, table, &all))
        return oc__op_fail(c, OC_E_LIMIT, "length %lld is too large",
                           (long long)n);
    if (!b) {
        oc__scratch_need(c, all);
        return OC_OK;
    }
    oc__fft_init(&b->f, n, wide, c->scratch);
    b->work = (char *)c->scratch + table;
    b->work_bytes = work;
    return OC_OK;
}

/* ---- DFT -------------------------------------------------------------------
 */

typedef struct dft_args {
    int axis, inverse, onesided, mirror;
    int64_t n, n_out;
} dft_args;

/* A scalar integer input, or fallback when absent. */
static oc_status scalar_or(const oc__ctx *c, int i, int64_t fallback,
                           int64_t *out) {
    int n = 1;
    *out = fallback;
    if (!oc__in_value(c, i)) return OC_OK;
    OC_TRY(oc__in_ints(c, i, out, 1, &n));
    return n == 1 ? OC_OK
                  : oc__op_fail(c, OC_E_SHAPE, "input %d must be a scalar", i);
}

/* The axis was an attribute (default 1) in opset 17 and is an input (default
   the last signal axis) from 20 on. */
static oc_status dft_read(const oc__ctx *c, dft_args *a) {
    const oc_tensor *x = oc__in(c, 0);
    int64_t axis;
    if (c->node->version >= 20)
        OC_TRY(scalar_or(c, 2, -2, &axis));
    else
        axis = oc__attr_int(c->node, "axis", 1);
    OC_TRY(oc__axis(c, axis, x->rank, &a->axis));
    int64_t parts = x->dims[x->rank - 1];
    if (a->axis == x->rank - 1 || parts < 1 || parts > 2)
        return oc__op_fail(c, OC_E_SHAPE,
                           "the last dim holds a real or complex number");
    a->inverse = oc__attr_int(c->node, "inverse", 0) != 0;
    a->onesided = oc__attr_int(c->node, "onesided", 0) != 0;
    if (a->onesided && parts == 2 && !a->inverse)
        return oc__op_fail(c, OC_E_ARG, "onesided needs a real input");
    /* Half a spectrum back to a real signal (irfft). */
    a->mirror = a->onesided && parts == 2;
    int64_t have = x->dims[a->axis];
    OC_TRY(scalar_or(c, 1, a->mirror ? 2 * (have - 1) : have, &a->n));
    if (a->n < 1 || a->n > INT64_C(1) << 40)
        return oc__op_fail(c, OC_E_ARG, "dft_length is %lld", (long long)a->n);
    a->n_out = a->onesided && !a->mirror ? a->n / 2 + 1 : a->n;
    return OC_OK;
}

static oc_status infer_dft(oc__ctx *c) {
    dft_args a;
    int64_t dims[OC_MAX_RANK];
    OC_TRY(oc__want(c, 0, OC_T_F));
    OC_TRY(oc__want_rank(c, 0, 2, OC_MAX_RANK));
    for (int i = 1; i < c->n_in; i++)
        if (oc__in_value(c, i)) OC_NEED_DATA(c, i);
    OC_TRY(dft_read(c, &a));
    const oc_tensor *x = oc__in(c, 0);
    memcpy(dims, x->dims, sizeof dims);
    dims[a.axis] = a.n_out;
    dims[x->rank - 1] = a.mirror ? 1 : 2;
    OC_TRY(batch_init(c, NULL, a.n));
    return oc__out_set(c, 0, x->dtype, x->rank, dims);
}

static oc_status run_dft(oc__ctx *c) {
    const oc_tensor *x = oc__in(c, 0);
    dft_args a;
    OC_TRY(dft_read(c, &a));
    oc__axis_view v = oc__axis_split(x->dims, x->rank - 1, a.axis);
    batch b = {.x = x, .y = oc__out(c, 0), .inner = v.inner};
    b.n_in = v.length;
    b.parts = x->dims[x->rank - 1];
    b.n_out = a.n_out;
    b.inverse = a.inverse;
    b.mirror = a.mirror;
    OC_TRY(batch_init(c, &b, a.n));
    oc__parallel(c, v.outer * b.inner, OC_MAX(1, 16384 / a.n), dft_range, &b);
    return OC_OK;
}

/* ---- STFT ------------------------------------------------------------------
 */

typedef struct stft_args {
    int64_t step, n, frames, n_out;
} stft_args;

/* Frames of n samples, `step` apart, as many as fit whole. */
static oc_status stft_read(const oc__ctx *c, stft_args *a) {
    const oc_tensor *x = oc__in(c, 0), *w = oc__in(c, 2);
    int64_t parts = x->rank == 3 ? x->dims[2] : 1;
    int onesided = oc__attr_int(c->node, "onesided", 1) != 0;
    if (parts < 1 || parts > 2 || (w && w->rank != 1))
        return oc__op_fail(c, OC_E_SHAPE,
                           "signal is [batch, length, 1 or 2], window 1-D");
    if (onesided && parts == 2)
        return oc__op_fail(c, OC_E_ARG, "onesided needs a real signal");
    OC_TRY(scalar_or(c, 1, 0, &a->step));
    OC_TRY(scalar_or(c, 3, w ? w->dims[0] : x->dims[1], &a->n));
    if (a->step < 1 || a->n < 1 || a->n > x->dims[1])
        return oc__op_fail(
            c, OC_E_ARG, "frame_step %lld, frame_length %lld of %lld",
            (long long)a->step, (long long)a->n, (long long)x->dims[1]);
    a->frames = 1 + (x->dims[1] - a->n) / a->step;
    a->n_out = onesided ? a->n / 2 + 1 : a->n;
    return OC_OK;
}

static oc_status infer_stft(oc__ctx *c) {
    stft_args a;
    OC_TRY(oc__want(c, 0, OC_T_F));
    OC_TRY(oc__want_rank(c, 0, 2, 3));
    if (oc__in_value(c, 2)) OC_TRY(oc__want(c, 2, OC_T_F));
    OC_NEED_DATA(c, 1);
    if (oc__in_value(c, 3)) OC_NEED_DATA(c, 3);
    OC_TRY(stft_read(c, &a));
    const oc_tensor *x = oc__in(c, 0);
    int64_t dims[4] = {x->dims[0], a.frames, a.n_out, 2};
    OC_TRY(batch_init(c, NULL, a.n));
    return oc__out_set(c, 0, x->dtype, 4, dims);
}

/* One frame: windowed, transformed, written. */
static void stft_range(void *user, int64_t begin, int64_t end, int worker) {
    const batch *b = user;
    char *x = b->work + (size_t)worker * b->work_bytes;
    size_t bytes = (size_t)b->f.n * pair_bytes(b);
    int64_t taps = b->window ? OC_MIN(b->window->dims[0], b->f.n) : b->f.n;
    for (int64_t k = begin; k < end; k++) {
        int64_t first = k / b->frames * b->n_in;
        int64_t at = k % b->frames * b->step;
        memset(x, 0, bytes);
        for (int64_t j = 0; j < OC_MIN(taps, b->n_in - at); j++)
            load(b, x, j, first + at + j,
                 b->window ? oc__tensor_get_f64(b->window, j) : 1);
        oc__fft_run(&b->f, x, x + oc__align_up(bytes, 64), 0, 1);
        for (int64_t j = 0; j < 2 * b->n_out; j++)
            oc__tensor_set_f64(b->y, k * b->n_out * 2 + j, get(b, x, j));
    }
}

static oc_status run_stft(oc__ctx *c) {
    const oc_tensor *x = oc__in(c, 0);
    stft_args a;
    OC_TRY(stft_read(c, &a));
    batch b = {.x = x, .y = oc__out(c, 0), .window = oc__in(c, 2)};
    b.n_in = x->dims[1];
    b.parts = x->rank == 3 ? x->dims[2] : 1;
    b.n_out = a.n_out;
    b.frames = a.frames;
    b.step = a.step;
    OC_TRY(batch_init(c, &b, a.n));
    oc__parallel(c, x->dims[0] * a.frames, OC_MAX(1, 16384 / a.n), stft_range,
                 &b);
    return OC_OK;
}

const oc__op oc__ops_dft[] = {
    {"", "DFT", 17, 1, 3, 1, 0, SPECTRUM, infer_dft, run_dft, NULL},
    {"", "STFT", 17, 2, 4, 1, 0, SIGNAL, infer_stft, run_stft, NULL},
    {NULL, NULL, 0, 0, 0, 0, 0, 0, NULL, NULL, NULL},
};
