/*
 * resample.c - Resize and Upsample.
 *
 * Nearest mode copies elements of any type row by row.  The others resample
 * one axis after the other, innermost first, in float (in double for f64 and
 * wide integers), the intermediate tensors in scratch:
 *
 *     scratch: [tables of all axes][tensor A][tensor B]
 *
 * An axis with elements behind it is resampled in whole rows, which the
 * compiler turns into vectors; only the innermost axis gathers.
 */
#include "ops/resample.h"

#include "ops/moves.h"

#include <math.h>
#include <string.h>

/* ---- scratch ---------------------------------------------------------------
 */

typedef struct table {
    int64_t *index;
    void *weight; /* float or double */
    uint8_t *outside;
} table;

static int wide_type(oc_dtype d) {
    return d == OC_DTYPE_F64 || d == OC_DTYPE_I32 || d == OC_DTYPE_U32 ||
           d == OC_DTYPE_I64 || d == OC_DTYPE_U64;
}

static oc_dtype work_type(oc_dtype d) {
    return wide_type(d) ? OC_DTYPE_F64 : OC_DTYPE_F32;
}

/* Bytes of the tables of one axis, and of the largest step in between. */
static oc_status resize_sizes(oc__ctx *c, const oc__resize_spec *s,
                              size_t *tables, size_t *tensor) {
    oc_dtype type = oc__in(c, 0)->dtype;
    size_t width = wide_type(type) ? 8 : 4, most = 0;
    int64_t dims[OC_MAX_RANK], n;
    int left = 0;
    *tables = 0;
    for (int i = 0; i < s->rank; i++) {
        dims[i] = s->axis[i].in;
        left += s->axis[i].resized;
    }
    for (int i = s->rank; i >= 0; i--) { /* i == rank: the input itself */
        const oc__resize_axis *a = i < s->rank ? &s->axis[i] : NULL;
        size_t taps, bytes;
        if (a && !a->resized) continue;
        if (a) {
            dims[i] = a->out;
            if (oc__size_mul((size_t)a->out, (size_t)a->taps, &taps) ||
                oc__size_mul(taps, 16, &bytes) ||
                oc__size_add(*tables,
                             oc__align_up(bytes + (size_t)a->out, OC_ALIGN),
                             tables))
                return oc__op_fail(c, OC_E_LIMIT, "axis %d is too large", i);
        }
        if (oc__dims_product(dims, s->rank, &n) ||
            oc__size_mul((size_t)n, width, &bytes))
            return oc__op_fail(c, OC_E_LIMIT, "the result is too large");
        /* The last pass writes the output itself. */
        int is_last = a && --left == 0 && type == work_type(type);
        if (!is_last) most = OC_MAX(most, bytes);
    }
    *tables = oc__align_up(*tables, OC_ALIGN);
    *tensor = oc__align_up(most, OC_ALIGN);
    return OC_OK;
}

/* The output's shape needs scales or sizes, and the region where it counts. */
static oc_status infer_resize(oc__ctx *c) {
    oc__resize_spec s;
    int64_t dims[OC_MAX_RANK];
    OC_TRY(oc__want(c, 0, OC_T_ANY));
    for (int i = 1; i < c->n_in; i++) {
        const oc_value *v = oc__in_value(c, i);
        /* An unused roi need not be known. */
        int roi = c->node->version >= 11 && i == 1;
        const char *coord = oc__attr_string(
            c->node, "coordinate_transformation_mode", "half_pixel");
        if (!v || (roi && strcmp(coord, "tf_crop_and_resize"))) continue;
        if (oc__in(c, i) && oc_tensor_elems(oc__in(c, i)) == 0) continue;
        OC_NEED_DATA(c, i);
    }
    OC_TRY(oc__resize_read(c, &s));
    const oc_tensor *x = oc__in(c, 0);
    for (int i = 0; i < s.rank; i++)
        dims[i] = s.axis[i].out;
    if (s.mode != OC_RESIZE_NEAREST) {
        size_t tables, tensor, total;
        OC_TRY(oc__want(c, 0, OC_T_F | OC_T_I | OC_T_U | OC_T(BOOL)));
        OC_TRY(resize_sizes(c, &s, &tables, &tensor));
        if (oc__size_mul(tensor, 2, &total) ||
            oc__size_add(total, tables, &total))
            return oc__op_fail(c, OC_E_LIMIT, "the result is too large");
        oc__scratch_need(c, total);
    } else {
        size_t total = 0;
        for (int i = 0; i < s.rank; i++) {
            size_t bytes;
            if (oc__size_mul((size_t)dims[i], 8, &bytes) ||
                oc__size_add(total, bytes, &total))
                return oc__op_fail(c, OC_E_LIMIT, "the result is too large");
        }
        oc__scratch_need(c, total);
    }
    return oc__out_set(c, 0, x->dtype, s.rank, dims);
}

/* ---- nearest ---------------------------------------------------------------
 */

typedef struct nearest {
    const oc_tensor *x;
    oc_tensor *y;
    const int64_t *index[OC_MAX_RANK];
    int64_t strides[OC_MAX_RANK];
    size_t bytes;
    int plain; /* the innermost axis is not resized */
    const void *fill;
} nearest;

#define NEAREST_ROW(type)                                                      \
    for (int64_t i = 0; i < n; i++)                                            \
    ((type *)to)[i] =                                                          \
        at[i] < 0 ? *(const type *)w->fill : ((const type *)from)[at[i]]

static void nearest_row(const nearest *w, const char *from, char *to,
                        const int64_t *at, int64_t n) {
    switch (w->bytes) {
    case 1: NEAREST_ROW(uint8_t); break;
    case 2: NEAREST_ROW(uint16_t); break;
    case 4: NEAREST_ROW(uint32_t); break;
    case 8: NEAREST_ROW(uint64_t); break;
    default: NEAREST_ROW(oc_string); break; /* 16 bytes; c128 too */
    }
}

/* Rows of the output.  Where an axis is enlarged, neighbouring rows come from
   the same source row and are copied from one another. */
static void nearest_range(void *user, int64_t begin, int64_t end, int worker) {
    const nearest *w = user;
    int last = w->x->rank - 1;
    int64_t n = w->y->dims[last], was = -2;
    size_t row_bytes = (size_t)n * w->bytes;
    (void)worker;
    for (int64_t row = begin; row < end; row++) {
        int64_t rest = row, from = 0;
        for (int i = last - 1; i >= 0; i--) {
            int64_t at = w->index[i][rest % w->y->dims[i]];
            rest /= w->y->dims[i];
            if (at < 0 || from < 0)
                from = -1;
            else
                from += at * w->strides[i];
        }
        char *to = (char *)w->y->data + (size_t)row * row_bytes;
        const char *src = (const char *)w->x->data + (size_t)from * w->bytes;
        if (from == was) /* enlarged: the row above is the same */
            memcpy(to, to - row_bytes, row_bytes);
        else if (from < 0)
            for (int64_t i = 0; i < n; i++)
                memcpy(to + (size_t)i * w->bytes, w->fill, w->bytes);
        else if (w->plain)
            memcpy(to, src, row_bytes);
        else
            nearest_row(w, src, to, w->index[last], n);
        was = from;
    }
}

static oc_status run_nearest(oc__ctx *c, const oc__resize_spec *s) {
    const oc_tensor *x = oc__in(c, 0);
    oc_tensor *y = oc__out(c, 0);
    uint64_t fill[2] = {0, 0};
    oc_tensor one = {.dtype = x->dtype, .data = fill};
    nearest w = {
        .x = x, .y = y, .bytes = oc_dtype_bytes(x->dtype), .fill = fill};
    if (x->dtype != OC_DTYPE_STRING)
        oc__tensor_set_f64(&one, 0, s->extrapolation);
    int64_t *index = c->scratch;
    oc__strides(x->rank, x->dims, w.strides);
    for (int i = 0; i < s->rank; i++) {
        w.index[i] = index;
        for (int64_t j = 0; j < s->axis[i].out; j++)
            *index++ = oc__resize_nearest(s, &s->axis[i], j);
    }
    int64_t rows = oc__count(y->dims, s->rank - 1);
    int64_t n = y->dims[s->rank - 1];
    w.plain = !s->axis[s->rank - 1].resized;
    oc__parallel(c, rows, OC_MAX(1, 16384 / OC_MAX(n, 1)), nearest_range, &w);
    return OC_OK;
}

/* ---- linear, cubic ---------------------------------------------------------
 */

/* Resampling of one axis of [outer][in][inner] to [outer][out][inner]. */
typedef struct resample {
    const oc__resize_axis *a;
    table t;
    const void *x;
    void *y;
    int64_t inner;
    double fill;
} resample;

/* Sums run over the taps in order, so results do not depend on threads. */
#define RESAMPLE(type, name)                                                   \
    static void name##_row(const resample *r, int64_t j, const type *x,        \
                           type *restrict y) {                                 \
        int taps = r->a->taps;                                                 \
        int64_t n = r->inner;                                                  \
        const int64_t *at = r->t.index + j * taps;                             \
        const type *w = (const type *)r->t.weight + j * taps;                  \
        if (taps == 2) {                                                       \
            const type *p = x + at[0] * n, *q = x + at[1] * n;                 \
            for (int64_t i = 0; i < n; i++)                                    \
                y[i] = p[i] * w[0] + q[i] * w[1];                              \
            return;                                                            \
        }                                                                      \
        for (int64_t i = 0; i < n; i++)                                        \
            y[i] = x[at[0] * n + i] * w[0];                                    \
        for (int k = 1; k < taps; k++) {                                       \
            const type *p = x + at[k] * n;                                     \
            for (int64_t i = 0; i < n; i++)                                    \
                y[i] += p[i] * w[k];                                           \
        }                                                                      \
    }                                                                          \
    static void name##_last(const resample *r, const type *x,                  \
                            type *restrict y) {                                \
        int taps = r->a->taps;                                                 \
        const int64_t *at = r->t.index;                                        \
        const type *w = r->t.weight;                                           \
        for (int64_t j = 0; j < r->a->out; j++, at += taps, w += taps) {       \
            type sum = x[at[0]] * w[0];                                        \
            for (int k = 1; k < taps; k++)                                     \
                sum += x[at[k]] * w[k];                                        \
            y[j] = r->t.outside[j] ? (type)r->fill : sum;                      \
        }                                                                      \
    }                                                                          \
    static void name##_rows(void *user, int64_t begin, int64_t end,            \
                            int worker) {                                      \
        const resample *r = user;                                              \
        (void)worker;                                                          \
        for (int64_t k = begin; k < end; k++) {                                \
            int64_t o = k / r->a->out, j = k % r->a->out;                      \
            const type *x = (const type *)r->x + o * r->a->in * r->inner;      \
            type *y = (type *)r->y + k * r->inner;                             \
            if (r->t.outside[j])                                               \
                for (int64_t i = 0; i < r->inner; i++)                         \
                    y[i] = (type)r->fill;                                      \
            else                                                               \
                name##_row(r, j, x, y);                                        \
        }                                                                      \
    }                                                                          \
    static void name##_lasts(void *user, int64_t begin, int64_t end,           \
                             int worker) {                                     \
        const resample *r = user;                                              \
        (void)worker;                                                          \
        for (int64_t o = begin; o < end; o++)                                  \
            name##_last(r, (const type *)r->x + o * r->a->in,                  \
                        (type *)r->y + o * r->a->out);                         \
    }

RESAMPLE(float, resample_f32)
RESAMPLE(double, resample_f64)

/* Takes the axis' tables from *at on. */
static void make_table(const oc__resize_spec *s, const oc__resize_axis *a,
                       int wide, char **at, table *t) {
    size_t taps = (size_t)a->out * (size_t)a->taps;
    double *weight = (double *)(*at + taps * 8);
    t->index = (int64_t *)*at;
    t->weight = weight;
    t->outside = (uint8_t *)*at + taps * 16;
    memset(*at, 0, taps * 16);
    for (int64_t j = 0; j < a->out; j++)
        t->outside[j] = (uint8_t)oc__resize_taps(
            s, a, j, t->index + j * a->taps, weight + j * a->taps);
    /* Narrowed in place: float k lies before double k, which is read. */
    for (size_t k = 0; !wide && k < taps; k++) {
        float w = (float)weight[k];
        memcpy((char *)weight + k * sizeof w, &w, sizeof w);
    }
    *at += oc__align_up(taps * 16 + (size_t)a->out, OC_ALIGN);
}

typedef struct convert {
    oc_tensor from, to;
} convert;

static void convert_range(void *user, int64_t begin, int64_t end, int worker) {
    convert *v = user;
    (void)worker;
    for (int64_t i = begin; i < end; i++)
        oc__tensor_set_f64(&v->to, i, oc__tensor_get_f64(&v->from, i));
}

static void convert_tensor(oc__ctx *c, oc_dtype from, const void *x,
                           oc_dtype to, void *y, int64_t n) {
    convert v = {{from, 1, {n}, (void *)x}, {to, 1, {n}, y}};
    oc__parallel(c, n, 8192, convert_range, &v);
}

/* Axis by axis, from the last one; the buffers take turns, the last pass
   writes the output itself when types agree. */
static oc_status run_smooth(oc__ctx *c, const oc__resize_spec *s) {
    const oc_tensor *x = oc__in(c, 0);
    oc_tensor *y = oc__out(c, 0);
    int wide = wide_type(x->dtype), left = 0;
    oc_dtype work = work_type(x->dtype);
    size_t tables, bytes;
    OC_TRY(resize_sizes(c, s, &tables, &bytes));
    char *at = c->scratch;
    char *buffer[2] = {at + tables, at + tables + bytes};
    const void *from = x->data;
    int64_t n = oc_tensor_elems(x);
    int turn = 0;
    if (x->dtype != work) {
        convert_tensor(c, x->dtype, from, work, buffer[0], n);
        from = buffer[0];
        turn = 1;
    }
    for (int i = 0; i < s->rank; i++)
        left += s->axis[i].resized;
    int64_t inner = 1;
    for (int i = s->rank - 1; i >= 0; inner *= y->dims[i], i--) {
        const oc__resize_axis *a = &s->axis[i];
        if (!a->resized) continue;
        resample r = {
            .a = a, .x = from, .inner = inner, .fill = s->extrapolation};
        int to_y = --left == 0 && y->dtype == work;
        r.y = to_y ? y->data : buffer[turn];
        make_table(s, a, wide, &at, &r.t);
        int64_t outer = oc__count(x->dims, i), per_row = inner * a->taps;
        if (inner == 1)
            oc__parallel(c, outer, OC_MAX(1, 16384 / (a->out * a->taps)),
                         wide ? resample_f64_lasts : resample_f32_lasts, &r);
        else
            oc__parallel(c, outer * a->out, OC_MAX(1, 16384 / per_row),
                         wide ? resample_f64_rows : resample_f32_rows, &r);
        from = r.y;
        turn = !turn;
    }
    if (from != y->data && y->dtype == work)
        oc__move_copy(c, y->data, from, oc_tensor_bytes(y));
    else if (from != y->data)
        convert_tensor(c, work, from, y->dtype, y->data, oc_tensor_elems(y));
    return OC_OK;
}

static oc_status run_resize(oc__ctx *c) {
    oc__resize_spec s;
    OC_TRY(oc__resize_read(c, &s));
    if (oc_tensor_elems(oc__out(c, 0)) == 0) return OC_OK;
    if (s.rank == 0) {
        memcpy(oc__out(c, 0)->data, oc__in(c, 0)->data,
               oc_dtype_bytes(oc__in(c, 0)->dtype));
        return OC_OK;
    }
    return s.mode == OC_RESIZE_NEAREST ? run_nearest(c, &s) : run_smooth(c, &s);
}

const oc__op oc__ops_resample[] = {
    {"", "Resize", 10, 1, 4, 1, 0, 0, infer_resize, run_resize, NULL},
    {"", "Upsample", 1, 1, 2, 1, 0, 0, infer_resize, run_resize, NULL},
    {NULL, NULL, 0, 0, 0, 0, 0, 0, NULL, NULL, NULL},
};
