/*
 * dft.c - DFT and STFT.
 *
 * A transform of length n is a radix-2 FFT when n is a power of two, and
 * otherwise Bluestein's: the DFT as a convolution with a chirp, done by
 * radix-2 FFTs of length m >= 2n - 1 (Bluestein, IEEE Trans. AU 18, 1970).
 * Everything is in double, whatever the tensor's type.
 */
#include "ops/op.h"

#include <math.h>
#include <string.h>

#define PI 3.14159265358979323846

/* Complex numbers lie as pairs of doubles. */
typedef struct fft {
    int64_t n, m;          /* m: the power of two that is transformed */
    const double *twiddle; /* m/2: exp(-2 pi i k / m) */
    const double *chirp;   /* n: exp(-pi i k^2 / n); NULL when n == m */
    const double *kernel;  /* m: the FFT of the chirp's conjugate */
} fft;

static int64_t fft_size(int64_t n) {
    int64_t m = 1;
    while (m < n)
        m *= 2;
    if (m == n) return m;
    while (m < 2 * n - 1)
        m *= 2;
    return m;
}

/* Doubles for the tables, and for the work of one transform. */
static int64_t fft_table_doubles(int64_t n) {
    int64_t m = fft_size(n);
    return m + (m == n ? 0 : 2 * n + 2 * m);
}

static int64_t fft_work_doubles(int64_t n) {
    int64_t m = fft_size(n);
    return 2 * n + (m == n ? 0 : 2 * m);
}

static void radix2(double *x, int64_t n, const double *twiddle) {
    for (int64_t i = 1, j = 0; i < n; i++) { /* bit reversal */
        int64_t bit = n >> 1;
        for (; j & bit; bit >>= 1)
            j ^= bit;
        j ^= bit;
        if (i >= j) continue;
        double re = x[2 * i], im = x[2 * i + 1];
        x[2 * i] = x[2 * j];
        x[2 * i + 1] = x[2 * j + 1];
        x[2 * j] = re;
        x[2 * j + 1] = im;
    }
    for (int64_t half = 1; half < n; half *= 2) {
        int64_t stride = n / (2 * half);
        for (int64_t i = 0; i < n; i += 2 * half)
            for (int64_t k = 0; k < half; k++) {
                const double *w = twiddle + 2 * k * stride;
                double *a = x + 2 * (i + k), *b = a + 2 * half;
                double re = b[0] * w[0] - b[1] * w[1];
                double im = b[0] * w[1] + b[1] * w[0];
                b[0] = a[0] - re;
                b[1] = a[1] - im;
                a[0] += re;
                a[1] += im;
            }
    }
}

static void fft_init(fft *f, int64_t n, double *table) {
    int64_t m = fft_size(n);
    double *chirp = table + m, *kernel = chirp + 2 * n;
    for (int64_t k = 0; k < m / 2; k++) {
        double a = -2 * PI * (double)k / (double)m;
        table[2 * k] = cos(a);
        table[2 * k + 1] = sin(a);
    }
    *f = (fft){n, m, table, NULL, NULL};
    if (m == n) return;
    memset(kernel, 0, (size_t)(2 * m) * sizeof(double));
    for (int64_t k = 0; k < n; k++) {
        /* k^2 modulo 2n, kept small so that the angle stays exact. */
        uint64_t square = (uint64_t)k * (uint64_t)k % (uint64_t)(2 * n);
        double a = -PI * (double)square / (double)n;
        chirp[2 * k] = cos(a);
        chirp[2 * k + 1] = sin(a);
        int64_t back = k ? m - k : 0;
        kernel[2 * k] = kernel[2 * back] = chirp[2 * k];
        kernel[2 * k + 1] = kernel[2 * back + 1] = -chirp[2 * k + 1];
    }
    radix2(kernel, m, table);
    f->chirp = chirp;
    f->kernel = kernel;
}

/* x[n] becomes its transform; work has room for m complex numbers. */
static void fft_forward(const fft *f, double *x, double *work) {
    if (!f->chirp) {
        radix2(x, f->n, f->twiddle);
        return;
    }
    memset(work, 0, (size_t)(2 * f->m) * sizeof(double));
    for (int64_t k = 0; k < f->n; k++) {
        const double *a = x + 2 * k, *b = f->chirp + 2 * k;
        work[2 * k] = a[0] * b[0] - a[1] * b[1];
        work[2 * k + 1] = a[0] * b[1] + a[1] * b[0];
    }
    radix2(work, f->m, f->twiddle);
    for (int64_t k = 0; k < f->m; k++) { /* conjugated, to go back forwards */
        const double *b = f->kernel + 2 * k;
        double re = work[2 * k], im = work[2 * k + 1];
        work[2 * k] = re * b[0] - im * b[1];
        work[2 * k + 1] = -(re * b[1] + im * b[0]);
    }
    radix2(work, f->m, f->twiddle);
    for (int64_t k = 0; k < f->n; k++) {
        const double *b = f->chirp + 2 * k;
        double re = work[2 * k] / (double)f->m;
        double im = -work[2 * k + 1] / (double)f->m;
        x[2 * k] = re * b[0] - im * b[1];
        x[2 * k + 1] = re * b[1] + im * b[0];
    }
}

static void fft_run(const fft *f, double *x, double *work, int inverse) {
    for (int64_t k = 0; inverse && k < f->n; k++)
        x[2 * k + 1] = -x[2 * k + 1];
    fft_forward(f, x, work);
    for (int64_t k = 0; inverse && k < f->n; k++) {
        x[2 * k] /= (double)f->n;
        x[2 * k + 1] = -x[2 * k + 1] / (double)f->n;
    }
}

/* ---- many transforms -------------------------------------------------------
 */

/* Transforms o * inner + i, each over an axis of x, into y. */
typedef struct batch {
    fft f;
    const oc_tensor *x, *window;
    oc_tensor *y;
    int64_t n_in, inner;  /* length of the axis, elements after it */
    int64_t parts;        /* of the last dim of x: 1 real, 2 complex */
    int64_t n_out;        /* of the axis of y */
    int64_t frames, step; /* STFT */
    int inverse, mirror;
    double *work;
    int64_t work_doubles;
} batch;

static void load(const oc_tensor *x, int64_t at, int64_t parts, double *out) {
    out[0] = oc__tensor_get_f64(x, at * parts);
    out[1] = parts == 2 ? oc__tensor_get_f64(x, at * parts + 1) : 0;
}

static void dft_range(void *user, int64_t begin, int64_t end, int worker) {
    const batch *b = user;
    double *x = b->work + worker * b->work_doubles, *work = x + 2 * b->f.n;
    int64_t y_parts = b->mirror ? 1 : 2;
    for (int64_t k = begin; k < end; k++) {
        int64_t o = k / b->inner, i = k % b->inner;
        memset(x, 0, (size_t)(2 * b->f.n) * sizeof(double));
        for (int64_t j = 0; j < OC_MIN(b->n_in, b->f.n); j++)
            load(b->x, (o * b->n_in + j) * b->inner + i, b->parts, x + 2 * j);
        /* The half that a one-sided spectrum leaves out. */
        for (int64_t j = b->f.n / 2 + 1; b->mirror && j < b->f.n; j++) {
            x[2 * j] = x[2 * (b->f.n - j)];
            x[2 * j + 1] = -x[2 * (b->f.n - j) + 1];
        }
        fft_run(&b->f, x, work, b->inverse);
        for (int64_t j = 0; j < b->n_out; j++) {
            int64_t at = ((o * b->n_out + j) * b->inner + i) * y_parts;
            oc__tensor_set_f64(b->y, at, x[2 * j]);
            if (y_parts == 2) oc__tensor_set_f64(b->y, at + 1, x[2 * j + 1]);
        }
    }
}

static oc_status batch_scratch(oc__ctx *c, int64_t n) {
    int64_t work = fft_work_doubles(n) * OC_MAX(c->threads, 1);
    size_t bytes;
    if (oc__size_mul((size_t)(fft_table_doubles(n) + work), sizeof(double),
                     &bytes))
        return oc__op_fail(c, OC_E_LIMIT, "length %lld is too large",
                           (long long)n);
    oc__scratch_need(c, bytes);
    return OC_OK;
}

static void batch_init(oc__ctx *c, batch *b, int64_t n) {
    double *table = c->scratch;
    fft_init(&b->f, n, table);
    b->work = table + fft_table_doubles(n);
    b->work_doubles = fft_work_doubles(n);
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
    OC_TRY(batch_scratch(c, a.n));
    return oc__out_set(c, 0, x->dtype, x->rank, dims);
}

static oc_status run_dft(oc__ctx *c) {
    const oc_tensor *x = oc__in(c, 0);
    dft_args a;
    OC_TRY(dft_read(c, &a));
    batch b = {.x = x, .y = oc__out(c, 0), .inner = 1};
    int64_t outer = 1;
    for (int i = 0; i < a.axis; i++)
        outer *= x->dims[i];
    for (int i = a.axis + 1; i < x->rank - 1; i++)
        b.inner *= x->dims[i];
    b.n_in = x->dims[a.axis];
    b.parts = x->dims[x->rank - 1];
    b.n_out = a.n_out;
    b.inverse = a.inverse;
    b.mirror = a.mirror;
    batch_init(c, &b, a.n);
    oc__parallel(c, outer * b.inner, OC_MAX(1, 16384 / a.n), dft_range, &b);
    return OC_OK;
}

/* ---- STFT ------------------------------------------------------------------
 */

typedef struct stft_args {
    int64_t step, n, frames, n_out;
} stft_args;

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
    OC_TRY(batch_scratch(c, a.n));
    return oc__out_set(c, 0, x->dtype, 4, dims);
}

static void stft_range(void *user, int64_t begin, int64_t end, int worker) {
    const batch *b = user;
    double *x = b->work + worker * b->work_doubles, *work = x + 2 * b->f.n;
    int64_t taps = b->window ? OC_MIN(b->window->dims[0], b->f.n) : b->f.n;
    for (int64_t k = begin; k < end; k++) {
        int64_t first = k / b->frames * b->n_in;
        int64_t at = k % b->frames * b->step;
        memset(x, 0, (size_t)(2 * b->f.n) * sizeof(double));
        for (int64_t j = 0; j < OC_MIN(taps, b->n_in - at); j++) {
            double w = b->window ? oc__tensor_get_f64(b->window, j) : 1;
            load(b->x, first + at + j, b->parts, x + 2 * j);
            x[2 * j] *= w;
            x[2 * j + 1] *= w;
        }
        fft_run(&b->f, x, work, 0);
        for (int64_t j = 0; j < 2 * b->n_out; j++)
            oc__tensor_set_f64(b->y, k * b->n_out * 2 + j, x[j]);
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
    batch_init(c, &b, a.n);
    oc__parallel(c, x->dims[0] * a.frames, OC_MAX(1, 16384 / a.n), stft_range,
                 &b);
    return OC_OK;
}

const oc__op oc__ops_dft[] = {
    {"", "DFT", 17, 1, 3, 1, 0, 0, infer_dft, run_dft, NULL},
    {"", "STFT", 17, 2, 4, 1, 0, 0, infer_stft, run_stft, NULL},
    {NULL, NULL, 0, 0, 0, 0, 0, 0, NULL, NULL, NULL},
};
