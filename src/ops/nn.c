/* nn.c - see nn.h. */
#include "ops/nn.h"

#include "base/half.h"

#include <math.h>
#include <string.h>

/* ---- scratch --------------------------------------------------------------
 */

oc__bump oc__bump_counter(void) {
    oc__bump b = {NULL, 0, 0};
    return b;
}

oc__bump oc__bump_cutter(const oc__ctx *c) {
    /* Any address will do when the node needs no scratch: nothing is there. */
    static char nothing[1];
    oc__bump b = {c->scratch ? c->scratch : nothing, 0, 0};
    return b;
}

void *oc__bump_take(oc__bump *b, int64_t count, size_t elem_bytes) {
    size_t bytes, end;
    if (count < 0 || oc__size_mul((size_t)count, elem_bytes, &bytes) ||
        oc__size_add(b->used, bytes, &end) || end > SIZE_MAX / 2) {
        b->overflow = 1;
        return NULL;
    }
    void *p = b->base ? b->base + b->used : NULL;
    b->used = oc__align_up(end, OC_ALIGN);
    return p;
}

oc_status oc__bump_need(oc__ctx *c, const oc__bump *b) {
    if (b->overflow)
        return oc__op_fail(c, OC_E_LIMIT, "the working memory would not fit");
    oc__scratch_need(c, b->used);
    return OC_OK;
}

/* ---- computing types ------------------------------------------------------
 */

oc_dtype oc__real_of(oc_dtype dtype) {
    return dtype == OC_DTYPE_F64 ? OC_DTYPE_F64 : OC_DTYPE_F32;
}

typedef struct convert_job {
    const oc__kernels *kernels;
    oc_tensor x, y;
} convert_job;

static void convert_range(void *user, int64_t begin, int64_t end, int worker) {
    const convert_job *j = user;
    oc_dtype from = j->x.dtype, to = j->y.dtype;
    size_t n = (size_t)(end - begin);
    const uint16_t *h = (const uint16_t *)j->x.data + begin;
    const float *f = (const float *)j->x.data + begin;
    (void)worker;
    if (from == OC_DTYPE_F16 && to == OC_DTYPE_F32) {
        j->kernels->f16_to_f32(h, (float *)j->y.data + begin, n);
    } else if (from == OC_DTYPE_BF16 && to == OC_DTYPE_F32) {
        j->kernels->bf16_to_f32(h, (float *)j->y.data + begin, n);
    } else if (from == OC_DTYPE_F32 && to == OC_DTYPE_F16) {
        j->kernels->f32_to_f16(f, (uint16_t *)j->y.data + begin, n);
    } else if (from == OC_DTYPE_F32 && to == OC_DTYPE_BF16) {
        j->kernels->f32_to_bf16(f, (uint16_t *)j->y.data + begin, n);
    } else {
        oc_tensor y = j->y;
        for (int64_t i = begin; i < end; i++)
            oc__tensor_set_f64(&y, i, oc__tensor_get_f64(&j->x, i));
    }
}

void oc__real_convert(const oc__ctx *c, oc_dtype from, const void *x,
                      oc_dtype to, void *y, int64_t n) {
    convert_job j;
    memset(&j, 0, sizeof(j));
    j.kernels = c->kernels;
    /* The cast away from const: a tensor view holds one pointer for both. */
    memcpy(&j.x.data, &x, sizeof(x));
    j.x.dtype = from;
    j.y.dtype = to;
    j.y.data = y;
    if (from == to)
        memcpy(y, x, (size_t)n * oc_dtype_bytes(from));
    else
        oc__parallel(c, n, 16384, convert_range, &j);
}

const void *oc__real_tensor(oc__ctx *c, oc__bump *b, const oc_tensor *t,
                            oc_dtype real) {
    if (!t) return NULL;
    if (t->dtype == real) return b->base ? t->data : NULL;
    int64_t n = oc_tensor_elems(t);
    void *p = oc__bump_take(b, n, oc_dtype_bytes(real));
    if (p) oc__real_convert(c, t->dtype, t->data, real, p, n);
    return p;
}

const void *oc__real_in(oc__ctx *c, oc__bump *b, int i, oc_dtype real) {
    return oc__real_tensor(c, b, oc__in(c, i), real);
}

void *oc__real_out(oc__ctx *c, oc__bump *b, int i, oc_dtype dtype, int64_t n,
                   oc_dtype real) {
    oc_tensor *t = oc__out(c, i);
    if (!t) return NULL;
    if (dtype == real) return b->base ? t->data : NULL;
    return oc__bump_take(b, n, oc_dtype_bytes(real));
}

void oc__real_done(oc__ctx *c, int i, const void *from, oc_dtype real) {
    const oc_tensor *t = oc__out(c, i);
    if (!t || t->data == from) return;
    oc__real_convert(c, real, from, t->dtype, t->data, oc_tensor_elems(t));
}

double oc__real_round(double v, oc_dtype dtype) {
    switch (dtype) {
    case OC_DTYPE_F16: return oc__f16_to_f32(oc__f64_to_f16(v));
    case OC_DTYPE_BF16: return oc__bf16_to_f32(oc__f32_to_bf16((float)v));
    case OC_DTYPE_F32: return (float)v;
    default: return v;
    }
}

/* ---- matrix products ------------------------------------------------------
 */

size_t oc__lin_f32_packed(const oc__kernels *kt, int64_t k, int64_t n) {
    return oc__gemm_f32_packed_elems(kt, (size_t)k, (size_t)n);
}

size_t oc__lin_f64_packed(const oc__kernels *kt, int64_t k, int64_t n) {
    (void)kt;
    return (size_t)(k * n);
}

size_t oc__lin_f32_scratch(const oc__kernels *kt, int64_t m, int64_t n,
                           int64_t k, int threads) {
    return oc__gemm_f32_scratch_bytes(kt, (size_t)m, (size_t)n, (size_t)k,
                                      threads);
}

size_t oc__lin_f64_scratch(const oc__kernels *kt, int64_t m, int64_t n,
                           int64_t k, int threads) {
    (void)kt, (void)m, (void)n, (void)k, (void)threads;
    return 0;
}

void oc__lin_f32_pack(const oc__lin *l, int64_t k, int64_t n, const float *b,
                      int64_t row, int64_t col, float *packed) {
    oc__gemm_f32_pack_b(l->kernels, l->pool, (size_t)k, (size_t)n, b,
                        (size_t)row, (size_t)col, packed);
}

void oc__lin_f64_pack(const oc__lin *l, int64_t k, int64_t n, const double *b,
                      int64_t row, int64_t col, double *packed) {
    (void)l;
    for (int64_t i = 0; i < k; i++)
        for (int64_t j = 0; j < n; j++)
            packed[i * n + j] = b[i * row + j * col];
}

void oc__lin_f32(const oc__lin *l, int64_t m, int64_t n, int64_t k, float alpha,
                 const float *a, int64_t a_row, int64_t a_col,
                 const float *packed, float *c, int64_t c_row) {
    oc__gemm_f32_args args = {0};
    args.m = (size_t)m;
    args.n = (size_t)n;
    args.k = (size_t)k;
    args.a = a;
    args.a_row_stride = (size_t)a_row;
    args.a_col_stride = (size_t)a_col;
    args.packed_b = packed;
    args.c = c;
    args.c_row_stride = (size_t)c_row;
    args.alpha = alpha;
    if (m > 0 && n > 0) oc__gemm_f32(l->kernels, l->pool, &args, l->scratch);
}

void oc__lin_f64(const oc__lin *l, int64_t m, int64_t n, int64_t k,
                 double alpha, const double *a, int64_t a_row, int64_t a_col,
                 const double *packed, double *c, int64_t c_row) {
    (void)l;
    for (int64_t i = 0; i < m; i++) {
        double *row = c + i * c_row;
        for (int64_t j = 0; j < n; j++)
            row[j] = 0;
        for (int64_t p = 0; p < k; p++) {
            double v = alpha * a[i * a_row + p * a_col];
            for (int64_t j = 0; j < n; j++)
                row[j] += v * packed[p * n + j];
        }
    }
}

/* ---- activations ----------------------------------------------------------
 */

static double sigmoid(double x) {
    return 1 / (1 + exp(-x));
}

static double softplus(double x) {
    return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x));
}

/* min and max that keep NaN, which a comparison with it does not. */
static double clip(double x, double lo, double hi) {
    x = x < lo ? lo : x;
    return x > hi ? hi : x;
}

static double act_one(oc__act_args t, double x) {
    double a = t.a, b = t.b;
    switch (t.kind) {
    case OC_ACT_RELU: return x < 0 ? 0 : x;
    case OC_ACT_CLIP: return clip(x, a, b);
    case OC_ACT_LEAKY_RELU: return x < 0 ? a * x : x;
    case OC_ACT_SIGMOID: return sigmoid(x);
    case OC_ACT_TANH: return tanh(x);
    case OC_ACT_SILU: return x * sigmoid(x);
    case OC_ACT_HARD_SIGMOID: return clip(a * x + b, 0, 1);
    case OC_ACT_HARD_SWISH: return x * clip(x / 6 + 0.5, 0, 1);
    case OC_ACT_GELU: return x / 2 * (1 + erf(x * 0.70710678118654752440));
    case OC_ACT_GELU_TANH:
        return x / 2 *
               (1 + tanh(0.79788456080286535588 * (x + 0.044715 * x * x * x)));
    case OC_ACT_ELU: return x < 0 ? a * expm1(x) : x;
    case OC_ACT_SOFTPLUS: return softplus(x);
    case OC_ACT_MISH: return x * tanh(softplus(x));
    case OC_ACT_SELU: return b * (x > 0 ? x : a * expm1(x));
    case OC_ACT_CELU: return x > 0 ? x : a * expm1(x / a);
    case OC_ACT_THRESHOLDED_RELU: return x > a ? x : 0;
    case OC_ACT_SOFTSIGN: return x / (1 + fabs(x));
    case OC_ACT_SCALED_TANH: return a * tanh(b * x);
    case OC_ACT_QUICK_GELU: return x * sigmoid(a * x);
    case OC_ACT_ABS: return fabs(x);
    case OC_ACT_NEG: return -x;
    case OC_ACT_SQRT: return sqrt(x);
    case OC_ACT_EXP: return exp(x);
    default: return x;
    }
}

void oc__act_f64(oc__act_args act, const double *x, double *y, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        y[i] = act_one(act, x[i]);
}

oc_status oc__act_parse(const oc__ctx *c, const char *name, const float *params,
                        size_t n, oc__act_args *out) {
    static const struct {
        const char *name;
        oc__act kind;
        float a, b; /* defaults of the ONNX operator of that name */
    } known[] = {
        {"", OC_ACT_NONE, 0, 0},
        {"Relu", OC_ACT_RELU, 0, 0},
        {"Tanh", OC_ACT_TANH, 0, 0},
        {"Sigmoid", OC_ACT_SIGMOID, 0, 0},
        {"LeakyRelu", OC_ACT_LEAKY_RELU, 0.01f, 0},
        {"Clip", OC_ACT_CLIP, -INFINITY, INFINITY},
        {"HardSigmoid", OC_ACT_HARD_SIGMOID, 0.2f, 0.5f},
        {"HardSwish", OC_ACT_HARD_SWISH, 0, 0},
        {"Elu", OC_ACT_ELU, 1, 0},
        {"Softplus", OC_ACT_SOFTPLUS, 0, 0},
        {"Softsign", OC_ACT_SOFTSIGN, 0, 0},
        {"ThresholdedRelu", OC_ACT_THRESHOLDED_RELU, 1, 0},
        {"ScaledTanh", OC_ACT_SCALED_TANH, 1, 1},
        {"Gelu", OC_ACT_GELU, 0, 0},
        {"SiLU", OC_ACT_SILU, 0, 0},
    };
    for (size_t i = 0; i < OC_COUNT(known); i++) {
        if (strcmp(name, known[i].name)) continue;
        out->kind = known[i].kind;
        out->a = n > 0 ? params[0] : known[i].a;
        out->b = n > 1 ? params[1] : known[i].b;
        return OC_OK;
    }
    return oc__op_fail(c, OC_E_UNSUPPORTED, "activation \"%s\"", name);
}
