/*
 * softmax.c - Softmax, LogSoftmax, Hardmax.
 *
 * The input is (outer, length, inner), normalised over `length`.
 *
 *   BY_ROW      contiguous f32 rows go straight to the kernel;
 *   BY_COLUMN   f32, another axis: a strip of neighbouring columns at a time,
 *               maximum, differences, exp and sum each over the whole strip;
 *   BY_TURNING  rows of a few f32 (two classes for each of 4000 boxes), for
 *               which a call each would be too much: a block of them is
 *               transposed, is then a strip of columns, and transposed back;
 *   BY_GATHER   the rest: rows are gathered into scratch, a few neighbouring
 *               ones at a time so that every cache line is read once:
 *
 *     x[o][0 .. length)[i .. i + width)  ->  rows[width][length]
 */
#include "ops/lanes.h"
#include "ops/op.h"

#include <math.h>
#include <string.h>

enum softmax_kind { K_SOFTMAX, K_LOG_SOFTMAX, K_HARDMAX };

enum softmax_form { BY_ROW, BY_COLUMN, BY_TURNING, BY_GATHER };

enum {
    STRIP = 128,        /* columns, or rows turned at once */
    SHORT_ROW = 24,     /* up to here rows are turned */
    LONG_COLUMN = 4096, /* beyond, f32 sums of columns would be too rough */
};

typedef struct softmax_job {
    const oc__kernels *kt;
    int kind, form;
    oc_dtype dtype;
    const void *x;
    void *y;
    int64_t outer, length, inner;
    int64_t width, blocks; /* columns at once, blocks of them in inner */
    char *scratch;
    size_t scratch_each; /* bytes for one worker */
} softmax_job;

/* Version 13 normalises one axis; before it, all from `axis` on were one. */
static oc_status read_shape(const oc__ctx *c, softmax_job *j) {
    const oc_tensor *x = oc__in(c, 0);
    int modern = c->node->version >= 13, axis = 0;
    int64_t given = oc__attr_int(c->node, "axis", modern ? -1 : 1);
    if (x->rank) OC_TRY(oc__axis(c, given, x->rank, &axis));
    oc__axis_view v = oc__axis_split(x->dims, x->rank, axis);
    j->outer = v.outer;
    j->length = modern ? v.length : oc__count(x->dims + axis, x->rank - axis);
    j->inner = modern ? v.inner : 1;
    j->kind = c->op->kind;
    j->dtype = x->dtype;
    int plain = j->dtype == OC_DTYPE_F32 && j->kind != K_HARDMAX;
    j->form = BY_GATHER;
    if (j->dtype == OC_DTYPE_F32 && j->inner == 1) j->form = BY_ROW;
    if (plain && j->inner > 1 && j->length <= LONG_COLUMN) j->form = BY_COLUMN;
    if (plain && j->inner == 1 && j->length <= SHORT_ROW && j->outer >= 8)
        j->form = BY_TURNING;
    /* A cache line's worth of columns, fewer where rows are long. */
    j->width = OC_MIN(j->inner, j->form == BY_COLUMN ? STRIP : 16);
    while (j->form == BY_GATHER && j->width > 1 && j->width * j->length > 65536)
        j->width /= 2;
    if (j->width < 1) j->width = 1;
    j->blocks = (j->inner + j->width - 1) / j->width;
    j->scratch_each = 0;
    if (j->form == BY_GATHER && oc_tensor_elems(x))
        j->scratch_each =
            oc__align_up((size_t)(j->width * j->length) *
                             oc__wide_bytes(oc__wide_of(x->dtype)),
                         OC_ALIGN);
    return OC_OK;
}

/* ---- rows ---------------------------------------------------------------- */

#define HARDMAX(T)                                                             \
    static void hardmax_##T(const T *x, T *y, int64_t n) {                     \
        int64_t best = 0;                                                      \
        for (int64_t i = 1; i < n; i++)                                        \
            if (x[i] > x[best] || (isnan(x[i]) && !isnan(x[best]))) best = i;  \
        for (int64_t i = 0; i < n; i++)                                        \
            y[i] = i == best;                                                  \
    }
HARDMAX(float)
HARDMAX(double)

static void row_f32(const softmax_job *j, const float *x, float *y) {
    if (j->kind == K_SOFTMAX)
        j->kt->softmax_f32(x, y, (size_t)j->length);
    else if (j->kind == K_HARDMAX)
        hardmax_float(x, y, j->length);
    else
        j->kt->log_softmax_f32(x, y, (size_t)j->length);
}

static void row_f64(const softmax_job *j, const double *x, double *y) {
    int64_t n = j->length;
    if (j->kind == K_HARDMAX) {
        hardmax_double(x, y, n);
        return;
    }
    double most = x[0], sum = 0;
    for (int64_t i = 1; i < n; i++)
        most = x[i] > most || isnan(x[i]) ? x[i] : most;
    for (int64_t i = 0; i < n; i++)
        sum += exp(x[i] - most);
    double log_sum = log(sum);
    for (int64_t i = 0; i < n; i++)
        y[i] = j->kind == K_SOFTMAX ? exp(x[i] - most) / sum
                                    : x[i] - most - log_sum;
}

static void direct_range(void *user, int64_t begin, int64_t end, int worker) {
    const softmax_job *j = user;
    (void)worker;
    for (int64_t r = begin; r < end; r++)
        row_f32(j, (const float *)j->x + r * j->length,
                (float *)j->y + r * j->length);
}

/* ---- columns ------------------------------------------------------------- */

/* n <= STRIP columns, x_pitch and y_pitch apart down the axis.  y may be x. */
static void columns(const softmax_job *j, const float *x, int64_t x_pitch,
                    float *y, int64_t y_pitch, size_t n) {
    const oc__kernels *kt = j->kt;
    float most[STRIP], sum[STRIP], term[STRIP];
    memcpy(most, x, n * sizeof(*most));
    memset(sum, 0, n * sizeof(*sum));
    for (int64_t a = 1; a < j->length; a++)
        kt->binary_f32(OC_BINARY_MAX, x + a * x_pitch, 1, most, 1, most, n);
    for (int64_t a = 0; a < j->length; a++) {
        float *e = j->kind == K_SOFTMAX ? y + a * y_pitch : term;
        kt->binary_f32(OC_BINARY_SUB, x + a * x_pitch, 1, most, 1, e, n);
        kt->unary_f32(OC_UNARY_EXP, e, e, n);
        kt->binary_f32(OC_BINARY_ADD, sum, 1, e, 1, sum, n);
    }
    if (j->kind == K_LOG_SOFTMAX) kt->unary_f32(OC_UNARY_LOG, sum, sum, n);
    for (int64_t a = 0; a < j->length; a++) {
        float *to = y + a * y_pitch;
        if (j->kind == K_SOFTMAX) {
            kt->binary_f32(OC_BINARY_DIV, to, 1, sum, 1, to, n);
            continue;
        }
        kt->binary_f32(OC_BINARY_SUB, x + a * x_pitch, 1, most, 1, to, n);
        kt->binary_f32(OC_BINARY_SUB, to, 1, sum, 1, to, n);
    }
}

/* Item: strip b of inner, in slice o of outer. */
static void column_range(void *user, int64_t begin, int64_t end, int worker) {
    const softmax_job *j = user;
    (void)worker;
    for (int64_t item = begin; item < end; item++) {
        int64_t o = item / j->blocks, i = item % j->blocks * j->width;
        int64_t at = o * j->length * j->inner + i;
        columns(j, (const float *)j->x + at, j->inner, (float *)j->y + at,
                j->inner, (size_t)OC_MIN(j->width, j->inner - i));
    }
}

static void turning_range(void *user, int64_t begin, int64_t end, int worker) {
    const softmax_job *j = user;
    float t[STRIP * SHORT_ROW];
    size_t length = (size_t)j->length;
    (void)worker;
    for (int64_t r = begin; r < end; r += STRIP) {
        size_t n = (size_t)OC_MIN(STRIP, end - r);
        j->kt->transpose_b4((const float *)j->x + r * j->length, length, t,
                            STRIP, n, length);
        columns(j, t, STRIP, t, STRIP, n);
        j->kt->transpose_b4(t, STRIP, (float *)j->y + r * j->length, length,
                            length, n);
    }
}

/* ---- gathered rows ------------------------------------------------------- */

#define MOVE(T)                                                                \
    for (int64_t k = 0; k < width; k++) {                                      \
        if (back)                                                              \
            ((T *)wide)[k] = ((T *)rows)[k * j->length + a];                   \
        else                                                                   \
            ((T *)rows)[k * j->length + a] = ((T *)wide)[k];                   \
    }

/* Copies a block of columns into rows, or back.  width <= OC_LANES. */
static void move_block(const softmax_job *j, int64_t first, int64_t width,
                       void *rows, int back) {
    oc__lanes buffer;
    int f64 = j->dtype == OC_DTYPE_F64;
    for (int64_t a = 0; a < j->length; a++) {
        int64_t at = first + a * j->inner;
        /* Not in place: these lanes are written when going back. */
        void *wide = &buffer;
        if (!back) oc__lanes_widen(j->kt, j->dtype, j->x, at, width, wide);
        if (f64)
            MOVE(double)
        else
            MOVE(float)
        if (back) oc__lanes_store(j->kt, j->dtype, j->y, at, width, wide);
    }
}

/* Item: block b of inner, in slice o of outer. */
static void block_range(void *user, int64_t begin, int64_t end, int worker) {
    const softmax_job *j = user;
    char *rows = j->scratch + (size_t)worker * j->scratch_each;
    for (int64_t item = begin; item < end; item++) {
        int64_t o = item / j->blocks, i = item % j->blocks * j->width;
        int64_t width = OC_MIN(j->width, j->inner - i);
        int64_t first = o * j->length * j->inner + i;
        move_block(j, first, width, rows, 0);
        for (int64_t k = 0; k < width; k++) {
            if (j->dtype == OC_DTYPE_F64) {
                double *row = (double *)rows + k * j->length;
                row_f64(j, row, row);
            } else {
                float *row = (float *)rows + k * j->length;
                row_f32(j, row, row);
            }
        }
        move_block(j, first, width, rows, 1);
    }
}

/* ---- the operator -------------------------------------------------------- */

static oc_status infer_softmax(oc__ctx *c) {
    softmax_job j;
    OC_TRY(oc__want(c, 0, OC_T_F));
    OC_TRY(read_shape(c, &j));
    oc__scratch_need(c, j.scratch_each * (size_t)c->threads);
    return oc__out_like(c, 0, oc__in(c, 0));
}

static oc_status run_softmax(oc__ctx *c) {
    softmax_job j;
    OC_TRY(read_shape(c, &j));
    j.kt = c->kernels;
    j.x = oc__in(c, 0)->data;
    j.y = oc__out(c, 0)->data;
    j.scratch = c->scratch;
    if (!oc_tensor_elems(oc__in(c, 0))) return OC_OK;
    int64_t grain = 8192 / (j.length * j.width) + 1;
    switch (j.form) {
    case BY_ROW: oc__parallel(c, j.outer, grain, direct_range, &j); break;
    case BY_TURNING: oc__parallel(c, j.outer, grain, turning_range, &j); break;
    case BY_COLUMN:
        oc__parallel(c, j.outer * j.blocks, grain, column_range, &j);
        break;
    default: oc__parallel(c, j.outer * j.blocks, grain, block_range, &j); break;
    }
    return OC_OK;
}

static double flops_softmax(const oc__ctx *c) {
    return 4.0 * (double)oc_tensor_elems(oc__in(c, 0));
}

#define SOFTMAX(name, kind)                                                    \
    {                                                                          \
        "", name, 1, 1, 1, 1, OC_OP_INPLACE, kind, infer_softmax, run_softmax, \
            flops_softmax                                                      \
    }

const oc__op oc__ops_softmax[] = {
    SOFTMAX("Softmax", K_SOFTMAX),
    SOFTMAX("LogSoftmax", K_LOG_SOFTMAX),
    SOFTMAX("Hardmax", K_HARDMAX),
    {0},
};
