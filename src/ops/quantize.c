/*
 * quantize.c - QuantizeLinear, DequantizeLinear (also com.microsoft's) and
 * DynamicQuantizeLinear.
 *
 *     quantize     y = saturate(round_half_even(x / scale) + zero)
 *     dequantize   y = (x - zero) * scale
 *
 * One scale serves the whole tensor, one slice along `axis`, or a block of
 * block_size neighbours along it.  All come down to rows of elements whose
 * scale either stays the same or moves along with them.
 */
#include "base/half.h"
#include "ops/lanes.h"
#include "ops/op.h"
#include "ops/requantize.h"

#include <math.h>
#include <string.h>

enum quantize_kind { K_QUANTIZE, K_DEQUANTIZE };

enum { CHUNK = 4096 }; /* of a tensor with a single scale */

/* How elements find their scale. */
typedef enum scale_mode {
    BY_TENSOR,     /* rows of CHUNK, scale 0 */
    BY_SLICE,      /* rows of inner; row r has scale r % length */
    BY_COLUMN,     /* the axis is the last: rows of length, scales 0.. */
    BY_BLOCK_ROW,  /* rows of inner, scales side by side */
    BY_BLOCK_SPAN, /* the axis is the last: rows of block_size, one scale */
} scale_mode;

typedef struct quantize_job {
    const oc__kernels *kt;
    int kind;
    oc_dtype x_type, y_type, scale_type, zero_type;
    oc_dtype precision;           /* in which x / scale is rounded */
    const void *x, *scale, *zero; /* zero may be NULL */
    void *y;
    scale_mode mode;
    int64_t total, rows;
    int64_t length, inner, block, blocks; /* blocks along the axis */
    int saturate;
    float lo, hi; /* range of an integer y */
} quantize_job;

/* ---- shapes -------------------------------------------------------------- */

static oc_status read_blocks(const oc__ctx *c, quantize_job *j, int axis) {
    const oc_tensor *x = oc__in(c, 0), *s = oc__in(c, 1);
    j->block = oc__attr_int(c->node, "block_size", 0);
    if (j->block <= 0 || s->rank != x->rank)
        return oc__op_fail(c, OC_E_SHAPE,
                           "a scale of rank %d needs a positive block_size and "
                           "an input of that rank",
                           s->rank);
    for (int i = 0; i < x->rank; i++) {
        int64_t want = x->dims[i];
        if (i == axis) want = want / j->block + (want % j->block != 0);
        if (s->dims[i] != want)
            return oc__op_fail(c, OC_E_SHAPE,
                               "the scale has %lld blocks along dimension %d, "
                               "wanted %lld",
                               (long long)s->dims[i], i, (long long)want);
    }
    j->blocks = s->dims[axis];
    j->mode = j->inner > 1 ? BY_BLOCK_ROW : BY_BLOCK_SPAN;
    return OC_OK;
}

static oc_status read_scales(const oc__ctx *c, quantize_job *j) {
    const oc_tensor *x = oc__in(c, 0), *s = oc__in(c, 1), *z = oc__in(c, 2);
    int axis = 0;
    j->total = oc_tensor_elems(x);
    j->mode = BY_TENSOR;
    j->rows = j->total / CHUNK + (j->total % CHUNK != 0);
    int64_t scales = oc_tensor_elems(s);
    if (z && oc_tensor_elems(z) != scales)
        return oc__op_fail(c, OC_E_SHAPE,
                           "scale and zero point differ in shape");
    int64_t block_size = oc__attr_int(c->node, "block_size", 0);
    if (scales == 1 && (s->rank < 2 || !block_size)) return OC_OK;
    int64_t given = oc__attr_int(c->node, "axis", 1);
    if (x->rank > 1) OC_TRY(oc__axis(c, given, x->rank, &axis));
    if (!x->rank) return oc__op_fail(c, OC_E_SHAPE, "a scalar has one scale");
    oc__axis_view v = oc__axis_split(x->dims, x->rank, axis);
    j->length = v.length;
    j->inner = v.inner;
    if (s->rank == 1 && !(block_size && x->rank == 1 && scales != j->length)) {
        if (scales != j->length)
            return oc__op_fail(c, OC_E_SHAPE,
                               "%lld scales for %lld slices of axis %d",
                               (long long)scales, (long long)j->length, axis);
        j->mode = j->inner > 1 ? BY_SLICE : BY_COLUMN;
    } else {
        OC_TRY(read_blocks(c, j, axis));
    }
    j->rows = j->mode == BY_COLUMN       ? v.outer
              : j->mode == BY_BLOCK_SPAN ? v.outer * j->blocks
                                         : v.outer * j->length;
    return OC_OK;
}

/* Where row r begins, how long it is, where its scale is and whether the
   scale moves along. */
static void find_row(const quantize_job *j, int64_t r, int64_t *at, int64_t *n,
                     int64_t *scale, int64_t *step) {
    int64_t o = j->length ? r / j->length : 0;
    int64_t a = j->length ? r % j->length : 0;
    *n = j->inner;
    *at = r * j->inner;
    *step = 0;
    switch (j->mode) {
    case BY_TENSOR:
        *at = r * CHUNK;
        *n = OC_MIN(CHUNK, j->total - *at);
        *scale = 0;
        break;
    case BY_SLICE: *scale = a; break;
    case BY_COLUMN:
        *at = r * j->length;
        *n = j->length;
        *scale = 0;
        *step = 1;
        break;
    case BY_BLOCK_ROW:
        *scale = (o * j->blocks + a / j->block) * j->inner;
        *step = 1;
        break;
    default:
        o = r / j->blocks;
        a = r % j->blocks * j->block;
        *at = o * j->length + a;
        *n = OC_MIN(j->block, j->length - a);
        *scale = r;
        break;
    }
}

/* ---- types --------------------------------------------------------------- */

static int is_f8(oc_dtype d) {
    return d == OC_DTYPE_F8E4M3FN || d == OC_DTYPE_F8E4M3FNUZ ||
           d == OC_DTYPE_F8E5M2 || d == OC_DTYPE_F8E5M2FNUZ;
}

#define T_F8                                                                   \
    (OC_T(F8E4M3FN) | OC_T(F8E4M3FNUZ) | OC_T(F8E5M2) | OC_T(F8E5M2FNUZ))
#define T_NARROW                                                               \
    (OC_T(U8) | OC_T(I8) | OC_T(U16) | OC_T(I16) | OC_T(U4) | OC_T(I4) |       \
     OC_T(U2) | OC_T(I2) | OC_T(F4E2M1) | T_F8)
#define T_REAL (OC_T(F32) | OC_T(F16) | OC_T(BF16))

static oc_status infer_quantize(oc__ctx *c) {
    quantize_job j = {0};
    OC_TRY(oc__want(c, 0, T_REAL | OC_T(I32)));
    OC_TRY(oc__want(c, 1, T_REAL | OC_T(I32) | OC_T(F8E8M0)));
    const oc_tensor *z = oc__in(c, 2), *x = oc__in(c, 0);
    int64_t to = oc__attr_int(c->node, "output_dtype", 0);
    if (z) {
        OC_TRY(oc__want(c, 2, T_NARROW));
        if (to && to != (int64_t)z->dtype)
            return oc__op_fail(c, OC_E_ARG,
                               "output_dtype is not the zero point's type");
        to = z->dtype;
    }
    if (!to) to = OC_DTYPE_U8;
    if (to < 0 || to >= OC_DTYPE_COUNT || !(T_NARROW >> to & 1))
        return oc__op_fail(c, OC_E_ARG, "output_dtype is none to quantize to");
    int64_t precision = oc__attr_int(c->node, "precision", 0);
    if (precision && precision != OC_DTYPE_F32 && precision != OC_DTYPE_F16 &&
        precision != OC_DTYPE_BF16)
        return oc__op_fail(c, OC_E_ARG, "precision is no float type");
    OC_TRY(read_scales(c, &j));
    return oc__out_set(c, 0, (oc_dtype)to, x->rank, x->dims);
}

static oc_status infer_dequantize(oc__ctx *c) {
    quantize_job j = {0};
    OC_TRY(oc__want(c, 0, T_NARROW | OC_T(I32)));
    OC_TRY(oc__want(c, 1, T_REAL | OC_T(F8E8M0)));
    const oc_tensor *x = oc__in(c, 0), *z = oc__in(c, 2);
    if (z && z->dtype != x->dtype)
        return oc__op_fail(c, OC_E_ARG, "x is %s, its zero point %s",
                           oc_dtype_name(x->dtype), oc_dtype_name(z->dtype));
    int64_t to = oc__attr_int(c->node, "output_dtype", 0);
    if (!to) to = oc__in(c, 1)->dtype;
    if (to == OC_DTYPE_F8E8M0) to = OC_DTYPE_F32;
    if (to < 0 || to >= OC_DTYPE_COUNT || !(T_REAL >> to & 1))
        return oc__op_fail(c, OC_E_ARG, "output_dtype is no float type");
    OC_TRY(read_scales(c, &j));
    return oc__out_set(c, 0, (oc_dtype)to, x->rank, x->dims);
}

/* ---- rows ---------------------------------------------------------------- */

/* n <= OC_LANES elements of any numeric type as f32. */
static const float *load_f32(const quantize_job *j, oc_dtype d,
                             const void *data, int64_t first, int64_t n,
                             oc__lanes *b) {
    const void *p = oc__lanes_load(j->kt, d, data, first, n, b);
    if (oc__wide_of(d) == OC_WIDE_F32) return p;
    /* Narrowing in place, front to back, overtakes nothing. */
    for (int64_t i = 0; i < n; i++) {
        int64_t v;
        memcpy(&v, (const char *)p + i * 8, 8);
        float f = (float)v;
        memcpy((char *)b + i * 4, &f, 4);
    }
    return b->f32;
}

/* Rounds quotients to the precision asked for. */
static void round_to(oc_dtype precision, float *q, int64_t n) {
    if (precision == OC_DTYPE_F16)
        for (int64_t i = 0; i < n; i++)
            q[i] = oc__f16_to_f32(oc__f32_to_f16(q[i]));
    else if (precision == OC_DTYPE_BF16)
        for (int64_t i = 0; i < n; i++)
            q[i] = oc__bf16_to_f32(oc__f32_to_bf16(q[i]));
}

static void store_quantized(const quantize_job *j, int64_t at, int64_t n,
                            const float *q, const float *zero, int64_t step) {
    oc__lanes out;
    if (is_f8(j->y_type)) { /* there is no zero point but 0 */
        uint8_t *y = (uint8_t *)j->y + at;
        for (int64_t i = 0; i < n; i++)
            y[i] = oc__f32_to_f8(j->y_type, q[i], j->saturate);
        return;
    }
    if (j->y_type == OC_DTYPE_F4E2M1) {
        for (int64_t i = 0; i < n; i++)
            out.f32[i] = q[i] + (zero ? zero[i * step] : 0);
    } else {
        /* Clipped before the zero point is added: all of it stays exact.
           Comparisons that NaN fails give the least value. */
        for (int64_t i = 0; i < n; i++) {
            float z = zero ? zero[i * step] : 0, v = rintf(q[i]);
            v = v >= j->lo - z ? v : j->lo - z;
            v = v > j->hi - z ? j->hi - z : v;
            out.i64[i] = (int64_t)(v + z);
        }
    }
    oc__lanes_store(j->kt, j->y_type, j->y, at, n, &out);
}

static void quantize_row(const quantize_job *j, int64_t at, int64_t n,
                         int64_t scale, int64_t step) {
    oc__lanes lx, ls, lz;
    float q[OC_LANES];
    for (int64_t i = 0; i < n; i += OC_LANES) {
        int64_t m = OC_MIN(OC_LANES, n - i), sm = step ? m : 1;
        const float *x = load_f32(j, j->x_type, j->x, at + i, m, &lx);
        const float *s =
            load_f32(j, j->scale_type, j->scale, scale + i * step, sm, &ls);
        const float *z = NULL;
        if (j->zero)
            z = load_f32(j, j->zero_type, j->zero, scale + i * step, sm, &lz);
        for (int64_t k = 0; k < m; k++)
            q[k] = x[k] / s[k * step];
        round_to(j->precision, q, m);
        store_quantized(j, at + i, m, q, z, step);
    }
}

static void dequantize_row(const quantize_job *j, int64_t at, int64_t n,
                           int64_t scale, int64_t step) {
    oc__lanes lx, ls, lz, out;
    for (int64_t i = 0; i < n; i += OC_LANES) {
        int64_t m = OC_MIN(OC_LANES, n - i), sm = step ? m : 1;
        const float *x = load_f32(j, j->x_type, j->x, at + i, m, &lx);
        const float *s =
            load_f32(j, j->scale_type, j->scale, scale + i * step, sm, &ls);
        float *y = oc__lanes_target(j->y_type, j->y, at + i, &out);
        if (j->zero) {
            const float *z =
                load_f32(j, j->zero_type, j->zero, scale + i * step, sm, &lz);
            for (int64_t k = 0; k < m; k++)
                y[k] = (x[k] - z[k * step]) * s[k * step];
        } else {
            for (int64_t k = 0; k < m; k++)
                y[k] = x[k] * s[k * step];
        }
        oc__lanes_store(j->kt, j->y_type, j->y, at + i, m, y);
    }
}

/* The kernels know 8-bit integers with one f32 scale.  1: done. */
static int by_kernel(const quantize_job *j, int64_t at, int64_t n,
                     int64_t scale) {
    int quantize = j->kind == K_QUANTIZE;
    oc_dtype narrow = quantize ? j->y_type : j->x_type;
    oc_dtype real = quantize ? j->x_type : j->y_type;
    if (real != OC_DTYPE_F32 || j->scale_type != OC_DTYPE_F32 ||
        j->precision != OC_DTYPE_F32 ||
        (narrow != OC_DTYPE_U8 && narrow != OC_DTYPE_I8))
        return 0;
    float s = ((const float *)j->scale)[scale];
    int z = 0, is_signed = narrow == OC_DTYPE_I8;
    if (j->zero)
        z = is_signed ? ((const int8_t *)j->zero)[scale]
                      : ((const uint8_t *)j->zero)[scale];
    const char *x = (const char *)j->x + (size_t)at * (quantize ? 4 : 1);
    char *y = (char *)j->y + (size_t)at * (quantize ? 1 : 4);
    size_t count = (size_t)n;
    const void *vx = x;
    void *vy = y;
    if (quantize && is_signed)
        j->kt->quantize_i8(vx, s, z, vy, count);
    else if (quantize)
        j->kt->quantize_u8(vx, s, z, vy, count);
    else if (is_signed)
        j->kt->dequantize_i8(vx, s, z, vy, count);
    else
        j->kt->dequantize_u8(vx, s, z, vy, count);
    return 1;
}

static void quantize_range(void *user, int64_t begin, int64_t end, int worker) {
    const quantize_job *j = user;
    (void)worker;
    for (int64_t r = begin; r < end; r++) {
        int64_t at, n, scale, step;
        find_row(j, r, &at, &n, &scale, &step);
        if (!step && by_kernel(j, at, n, scale)) continue;
        if (j->kind == K_QUANTIZE)
            quantize_row(j, at, n, scale, step);
        else
            dequantize_row(j, at, n, scale, step);
    }
}

static oc_status run_quantize(oc__ctx *c) {
    const oc_tensor *x = oc__in(c, 0), *s = oc__in(c, 1), *z = oc__in(c, 2);
    oc_tensor *y = oc__out(c, 0);
    quantize_job j = {0};
    OC_TRY(read_scales(c, &j));
    j.kt = c->kernels;
    j.kind = c->op->kind;
    j.x_type = x->dtype;
    j.y_type = y->dtype;
    j.scale_type = s->dtype;
    j.x = x->data;
    j.y = y->data;
    j.scale = s->data;
    if (z) {
        j.zero_type = z->dtype;
        j.zero = z->data;
    }
    j.precision = OC_DTYPE_F32;
    if (j.kind == K_QUANTIZE) {
        j.precision = (oc_dtype)oc__attr_int(c->node, "precision", 0);
        if (!j.precision) j.precision = s->dtype;
        if (j.precision != OC_DTYPE_F16 && j.precision != OC_DTYPE_BF16)
            j.precision = OC_DTYPE_F32;
    }
    j.saturate = oc__attr_int(c->node, "saturate", 1) != 0;
    if (oc__dtype_is_int(y->dtype)) {
        int64_t lo;
        uint64_t hi;
        oc__dtype_int_range(y->dtype, &lo, &hi);
        j.lo = (float)lo;
        j.hi = (float)hi;
    }
    int64_t row = j.rows ? j.total / j.rows : 1;
    oc__parallel(c, j.rows, 16384 / (row + 1) + 1, quantize_range, &j);
    return OC_OK;
}

/* ---- DynamicQuantizeLinear ----------------------------------------------- */

static oc_status infer_dynamic(oc__ctx *c) {
    OC_TRY(oc__want(c, 0, OC_T(F32)));
    const oc_tensor *x = oc__in(c, 0);
    OC_TRY(oc__out_set(c, 0, OC_DTYPE_U8, x->rank, x->dims));
    OC_TRY(oc__out_set(c, 1, OC_DTYPE_F32, 0, NULL));
    return oc__out_set(c, 2, OC_DTYPE_U8, 0, NULL);
}

static oc_status run_dynamic(oc__ctx *c) {
    const oc_tensor *x = oc__in(c, 0);
    oc_tensor *y = oc__out(c, 0), *ys = oc__out(c, 1), *yz = oc__out(c, 2);
    quantize_job j = {0};
    float scale;
    uint8_t zero;
    j.total = oc_tensor_elems(x);
    oc__dynamic_scale(c->kernels, x->data, j.total, &scale, &zero);
    if (ys) *(float *)ys->data = scale;
    if (yz) *(uint8_t *)yz->data = zero;
    if (!y) return OC_OK;
    j.kt = c->kernels;
    j.kind = K_QUANTIZE;
    j.mode = BY_TENSOR;
    j.rows = j.total / CHUNK + (j.total % CHUNK != 0);
    j.x_type = j.scale_type = j.precision = OC_DTYPE_F32;
    j.y_type = j.zero_type = OC_DTYPE_U8;
    j.x = x->data;
    j.y = y->data;
    j.scale = &scale;
    j.zero = &zero;
    oc__parallel(c, j.rows, 4, quantize_range, &j);
    return OC_OK;
}

#define QUANTIZE(domain, since)                                                \
    {domain,     "QuantizeLinear", since,        2,   3, 1, 0,                 \
     K_QUANTIZE, infer_quantize,   run_quantize, NULL},                        \
    {                                                                          \
        domain, "DequantizeLinear", since, 2, 3, 1, 0, K_DEQUANTIZE,           \
            infer_dequantize, run_quantize, NULL                               \
    }

const oc__op oc__ops_quantize[] = {
    QUANTIZE("", 10),
    QUANTIZE("com.microsoft", 1),
    {"", "DynamicQuantizeLinear", 11, 1, 1, 3, 0, 0, infer_dynamic, run_dynamic,
     NULL},
    {0},
};
