/*
 * fuse_qdq.c - networks quantized by pairs of QuantizeLinear and
 * DequantizeLinear become integer networks:
 *
 *     q --DequantizeLinear--> x --op--> y --QuantizeLinear--> r
 *     q --QLinear op--> r
 *
 * Products whose result nobody quantizes become those of integers with a
 * result in f32, so what stands before scores, sums and norms in f32 is
 * computed in 8 bits, too:
 *
 *     q --DequantizeLinear--> x --MatMul--> y
 *     q --MatMulIntegerToFloat--> y
 *
 * Quantizing tools write the first form, since any runtime can run it in f32.
 * What moves data and does not compute goes over to 8 bits as it is, when both
 * sides have the same scale and zero point.  Weights and biases come as
 * constants behind a DequantizeLinear; a bias in f32 is rounded to the 32-bit
 * sums' scale.  A Relu or Clip in between goes when the quantization cuts off
 * at the same place.
 *
 * Runs before folding, which would turn the weights into f32.  What does not
 * fit stays, and is computed in f32.
 */
#include "ops/requantize.h"
#include "passes/match.h"

#include <math.h>
#include <string.h>

enum { MAX_INPUTS = 9 };

/* An 8-bit value with the constants that say what it stands for. */
typedef struct coded {
    int q, scale, zero; /* values; zero -1: absent, 0 */
    oc_dtype type;
} coded;

typedef struct fuser {
    oc__graph *g;
    oc__index ix;
    const oc_allocator *allocator;
    oc__node *between; /* a superfluous activation, gone once its node fuses */
    oc_error *err;
} fuser;

/* ---- what values stand for ----------------------------------------------- */

static int is_i8(oc_dtype t) {
    return t == OC_DTYPE_U8 || t == OC_DTYPE_I8;
}

static int is_coder(const oc__node *n, const char *name) {
    return n && !n->dead && !strcmp(n->op->name, name) &&
           (!n->op->domain[0] || !strcmp(n->op->domain, "com.microsoft"));
}

/* Of codes without a zero point: QuantizeLinear makes u8, DequantizeLinear
 * takes what comes. */
static oc_dtype code_type(const fuser *f, const oc__node *n) {
    if (is_coder(n, "QuantizeLinear")) return OC_DTYPE_U8;
    const oc__node *q = oc__producer(&f->ix, n->in[0]);
    if (is_coder(q, "QuantizeLinear") && (q->n_in < 3 || q->in[2] < 0))
        return OC_DTYPE_U8;
    return f->g->values[n->in[0]].dtype;
}

/* Scale (f32) and zero point (8 bits, or absent) of a coder are constants of
 * `elems` elements; 0: of one or more. */
static int read_params(const fuser *f, const oc__node *n, int64_t elems,
                       coded *out) {
    const oc_tensor *s = oc__constant(f->g, n->in[1]);
    int zero = n->n_in > 2 ? n->in[2] : -1;
    const oc_tensor *z = oc__constant(f->g, zero);
    if (!s || s->dtype != OC_DTYPE_F32 || oc__attr_int(n, "block_size", 0) ||
        oc__attr_int(n, "output_dtype", 0) || (zero >= 0 && !z))
        return 0;
    if (elems && oc_tensor_elems(s) != elems) return 0;
    if (z && oc_tensor_elems(z) != oc_tensor_elems(s)) return 0;
    out->q = n->in[0];
    out->scale = n->in[1];
    out->zero = zero;
    out->type = z ? z->dtype : code_type(f, n);
    return is_i8(out->type);
}

static float scale_of(const fuser *f, const coded *c, int64_t i) {
    const oc_tensor *s = oc__constant(f->g, c->scale);
    return ((const float *)s->data)[oc_tensor_elems(s) == 1 ? 0 : i];
}

static int zero_of(const fuser *f, const coded *c) {
    const oc_tensor *z = oc__constant(f->g, c->zero);
    return z ? (int)oc__tensor_get_i64(z, 0) : 0;
}

/* Whether v is a dequantized 8-bit tensor with one scale. */
static int read_input(const fuser *f, int v, coded *out) {
    const oc__node *n = oc__producer(&f->ix, v);
    return is_coder(n, "DequantizeLinear") && read_params(f, n, 1, out);
}

static int is_quantizer(const fuser *f, const oc__node *n, coded *out) {
    return is_coder(n, "QuantizeLinear") && read_params(f, n, 1, out);
}

/* Whether v is a dequantized 8-bit constant, its scales along `axis`. */
static int read_weight(const fuser *f, int v, int axis, coded *out) {
    const oc__node *n = oc__producer(&f->ix, v);
    if (!is_coder(n, "DequantizeLinear")) return 0;
    const oc_tensor *w = oc__constant(f->g, n->in[0]);
    if (!w || !is_i8(w->dtype) || w->rank < 2 || !read_params(f, n, 0, out))
        return 0;
    const oc_tensor *s = oc__constant(f->g, out->scale);
    if (w->dtype != out->type) return 0;
    if (oc_tensor_elems(s) == 1) return 1;
    int64_t along = oc__attr_int(n, "axis", 1);
    if (along < 0) along += w->rank;
    return along == axis && s->rank == 1 && s->dims[0] == w->dims[axis];
}

static int same_code(const fuser *f, const coded *a, const coded *b) {
    return scale_of(f, a, 0) == scale_of(f, b, 0) && a->type == b->type &&
           zero_of(f, a) == zero_of(f, b);
}

/* ---- activations the quantization makes superfluous ---------------------- */

static int limits_of(const fuser *f, const oc__node *n, float *lo, float *hi) {
    *lo = -INFINITY;
    *hi = INFINITY;
    if (oc__is_op(n, "Relu")) {
        *lo = 0;
        return 1;
    }
    if (!oc__is_op(n, "Clip")) return 0;
    if (n->version < 11) {
        *lo = oc__attr_float(n, "min", *lo);
        *hi = oc__attr_float(n, "max", *hi);
        return 1;
    }
    return (n->n_in < 2 || n->in[1] < 0 ||
            oc__const_scalar(f->g, n->in[1], lo)) &&
           (n->n_in < 3 || n->in[2] < 0 ||
            oc__const_scalar(f->g, n->in[2], hi));
}

/* Whether codes end where n would cut. */
static int is_superfluous(const fuser *f, const oc__node *n, const coded *y) {
    float lo, hi, scale = scale_of(f, y, 0);
    int zero = zero_of(f, y), is_signed = y->type == OC_DTYPE_I8;
    if (!limits_of(f, n, &lo, &hi) || !(scale > 0)) return 0;
    return oc__requantize(lo / scale, zero, is_signed) ==
               (is_signed ? -128 : 0) &&
           oc__requantize(hi / scale, zero, is_signed) ==
               (is_signed ? 127 : 255);
}

/* ---- writing ------------------------------------------------------------- */

/* The zero point as an operator wants it, where none was given. */
static int zero_value(fuser *f, const coded *c) {
    void *zero;
    if (c->zero >= 0) return c->zero;
    int v = oc__new_constant(f->g, f->allocator, NULL, c->type, 0, NULL, &zero);
    if (v >= 0) memset(zero, 0, 1);
    return v;
}

/* The quantizer `n` becomes the operator, with p's name and attributes. */
static oc_status become(fuser *f, oc__node *n, oc__node *p, const char *domain,
                        const char *name, int n_in, const int *inputs) {
    const oc__op *op = oc__op_find(domain, name);
    int *in = oc__arena_array(f->g->arena, (size_t)n_in, sizeof *in);
    if (!in) return oc__fail_nomem(f->err);
    memcpy(in, inputs, (size_t)n_in * sizeof *in);
    n->op = op;
    n->version = op->since;
    n->name = p->name;
    n->in = in;
    n->n_in = n->n_explicit = n_in;
    n->attrs = p->attrs;
    n->n_attrs = p->n_attrs;
    p->dead = 1;
    if (f->between) f->between->dead = 1;
    return OC_OK;
}

/* ---- products ------------------------------------------------------------ */

/* Whether a decoder's zero point is absent, or nothing but zeros. */
static int is_zero(const fuser *f, const oc__node *d) {
    if (d->n_in < 3 || d->in[2] < 0) return 1;
    const oc_tensor *z = oc__constant(f->g, d->in[2]);
    for (int64_t i = 0; z && i < oc_tensor_elems(z); i++)
        if (oc__tensor_get_i64(z, i)) return 0;
    return z != NULL;
}

/* A bias as it stands: n numbers in f32, or in int32 and a scale. */
typedef struct stored_bias {
    const oc_tensor *b, *s; /* s: NULL for f32 */
} stored_bias;

static int read_bias(const fuser *f, int v, int64_t n, stored_bias *out) {
    const oc__node *d = oc__producer(&f->ix, v);
    const oc_tensor *b = oc__constant(f->g, v), *s = NULL;
    if (is_coder(d, "DequantizeLinear")) {
        b = oc__constant(f->g, d->in[0]);
        s = oc__constant(f->g, d->in[1]);
        if (!s || s->dtype != OC_DTYPE_F32 || !is_zero(f, d)) return 0;
    }
    *out = (stored_bias){b, s};
    return b && b->dtype == (s ? OC_DTYPE_I32 : OC_DTYPE_F32) &&
           oc_tensor_elems(b) == n &&
           (!s || oc_tensor_elems(s) == 1 || oc_tensor_elems(s) == n);
}

static int32_t code_at(const stored_bias *k, int64_t i) {
    return ((const int32_t *)k->b->data)[i];
}

static float unit_at(const stored_bias *k, int64_t i) {
    return ((const float *)k->s->data)[oc_tensor_elems(k->s) == 1 ? 0 : i];
}

/*
 * The bias v in the sums' scale, x's times w's, as a constant of `n` int32; -1
 * for none.  0 when it cannot be had.
 */
static int bias_value(fuser *f, int v, int64_t n, const coded *x,
                      const coded *w, int *out) {
    stored_bias k;
    void *sums;
    *out = -1;
    if (v < 0) return 1;
    if (!read_bias(f, v, n, &k)) return 0;
    *out =
        oc__new_constant(f->g, f->allocator, NULL, OC_DTYPE_I32, 1, &n, &sums);
    if (*out < 0) return 0;
    for (int64_t i = 0; i < n; i++) {
        double unit = (double)scale_of(f, x, 0) * (double)scale_of(f, w, i);
        double value = k.s ? (double)code_at(&k, i) * (double)unit_at(&k, i)
                           : (double)((const float *)k.b->data)[i];
        double q = rint(value / unit);
        if (!(fabs(q) < 2147483647.0)) return 0;
        ((int32_t *)sums)[i] = (int32_t)q;
    }
    return 1;
}

static oc_status fuse_conv(fuser *f, oc__node *n, oc__node *p, const coded *y) {
    coded x, w;
    int bias;
    if (p->n_explicit != p->n_in || !read_input(f, p->in[0], &x) ||
        !read_weight(f, p->in[1], 0, &w))
        return OC_OK;
    int64_t out = oc__constant(f->g, w.q)->dims[0];
    if (!bias_value(f, p->n_in > 2 ? p->in[2] : -1, out, &x, &w, &bias))
        return OC_OK;
    int in[MAX_INPUTS] = {x.q,    x.scale,  zero_value(f, &x), w.q, w.scale,
                          w.zero, y->scale, zero_value(f, y),  bias};
    if (w.zero < 0) in[5] = zero_value(f, &w);
    return become(f, n, p, "", "QLinearConv", bias < 0 ? 8 : 9, in);
}

static oc_status fuse_gemm(fuser *f, oc__node *n, oc__node *p, const coded *y) {
    coded x, w;
    int bias, trans = oc__attr_int(p, "transB", 0) != 0;
    if (oc__attr_int(p, "transA", 0) || oc__attr_float(p, "alpha", 1) != 1 ||
        oc__attr_float(p, "beta", 1) != 1 || !read_input(f, p->in[0], &x) ||
        !read_weight(f, p->in[1], trans ? 0 : 1, &w))
        return OC_OK;
    const oc_tensor *t = oc__constant(f->g, w.q);
    if (t->rank != 2 || !bias_value(f, p->n_in > 2 ? p->in[2] : -1,
                                    t->dims[trans ? 0 : 1], &x, &w, &bias))
        return OC_OK;
    int in[MAX_INPUTS] = {
        x.q,  x.scale,  zero_value(f, &x),
        w.q,  w.scale,  w.zero < 0 ? zero_value(f, &w) : w.zero,
        bias, y->scale, zero_value(f, y)};
    return become(f, n, p, "com.microsoft", "QGemm", 9, in);
}

static oc_status fuse_matmul(fuser *f, oc__node *n, oc__node *p,
                             const coded *y) {
    coded x, w;
    if (!read_input(f, p->in[0], &x)) return OC_OK;
    if (!read_input(f, p->in[1], &w)) {
        if (!read_weight(f, p->in[1], 1, &w) ||
            oc__constant(f->g, w.q)->rank != 2)
            return OC_OK;
    }
    int in[MAX_INPUTS] = {
        x.q,      x.scale,         zero_value(f, &x),
        w.q,      w.scale,         w.zero < 0 ? zero_value(f, &w) : w.zero,
        y->scale, zero_value(f, y)};
    return become(f, n, p, "", "QLinearMatMul", 8, in);
}

/* ---- element by element, pooling, joining -------------------------------- */

static oc_status fuse_pair(fuser *f, oc__node *n, oc__node *p, const coded *y,
                           const char *name) {
    coded a, b;
    if (p->n_in != 2 || p->version < 7 || !read_input(f, p->in[0], &a) ||
        !read_input(f, p->in[1], &b) || a.type != y->type || b.type != y->type)
        return OC_OK;
    int in[MAX_INPUTS] = {a.q,     a.scale, a.zero,   b.q,
                          b.scale, b.zero,  y->scale, y->zero};
    return become(f, n, p, "com.microsoft", name, 8, in);
}

static oc_status fuse_single(fuser *f, oc__node *n, oc__node *p, const coded *y,
                             const char *name) {
    coded x;
    if (p->n_in != 1 || !read_input(f, p->in[0], &x) || x.type != y->type)
        return OC_OK;
    int in[MAX_INPUTS] = {x.q, x.scale, x.zero, y->scale, zero_value(f, y)};
    return become(f, n, p, "com.microsoft", name, 5, in);
}

static oc_status fuse_concat(fuser *f, oc__node *n, oc__node *p,
                             const coded *y) {
    int *in = oc__arena_array(f->g->arena, (size_t)p->n_in * 3 + 2, sizeof *in);
    if (!in) return oc__fail_nomem(f->err);
    in[0] = y->scale;
    in[1] = zero_value(f, y);
    for (int i = 0; i < p->n_in; i++) {
        coded x;
        if (!read_input(f, p->in[i], &x) || x.type != y->type) return OC_OK;
        in[2 + i * 3] = x.q;
        in[3 + i * 3] = x.scale;
        in[4 + i * 3] = zero_value(f, &x);
    }
    return become(f, n, p, "com.microsoft", "QLinearConcat", p->n_in * 3 + 2,
                  in);
}

/* ---- what moves data ----------------------------------------------------- */

int oc__moves_codes(const oc__node *n) {
    static const char *const names[] = {
        "Reshape",  "Flatten",      "Transpose",   "Squeeze", "Unsqueeze",
        "Slice",    "Gather",       "Expand",      "Tile",    "Split",
        "Identity", "DepthToSpace", "SpaceToDepth"};
    for (size_t i = 0; i < OC_COUNT(names); i++)
        if (oc__is_op(n, names[i])) return 1;
    if (oc__is_op(n, "MaxPool")) return n->n_out == 1;
    return oc__is_op(n, "Resize") &&
           !strcmp(oc__attr_string(n, "mode", "nearest"), "nearest") &&
           strcmp(oc__attr_string(n, "coordinate_transformation_mode", ""),
                  "tf_crop_and_resize") != 0;
}

/* The same as the file has it: some take 8 bits since a later version. */
static int moves_data(const oc__node *p) {
    if (oc__is_op(p, "Concat")) return 1;
    if (oc__is_op(p, "MaxPool") && p->version < 12) return 0;
    if (oc__is_op(p, "Resize") && p->version < 11) return 0;
    return oc__moves_codes(p);
}

/* Whether input i of p is data; the others are sizes. */
static int is_data(const oc__node *p, int i) {
    return i == 0 || oc__is_op(p, "Concat");
}

/* Whether all that p reads and writes has the code y. */
static int is_in_code(const fuser *f, const oc__node *p, const coded *y) {
    coded x;
    for (int i = 0; i < p->n_in; i++)
        if (is_data(p, i) &&
            (!read_input(f, p->in[i], &x) || !same_code(f, &x, y)))
            return 0;
    for (int i = 0; i < p->n_out; i++) {
        const oc__node *q = oc__only_reader(&f->ix, p->out[i]);
        if (!q || !is_quantizer(f, q, &x) || !same_code(f, &x, y)) return 0;
    }
    return p->n_in > 0;
}

/* p moves codes; its quantizers go, and their results are its own. */
static oc_status move_codes(fuser *f, oc__node *p) {
    int number = f->ix.producer[p->out[0]];
    int *in = oc__arena_array(f->g->arena, (size_t)p->n_in, sizeof *in);
    int *out = oc__arena_array(f->g->arena, (size_t)p->n_out, sizeof *out);
    if (!in || !out) return oc__fail_nomem(f->err);
    for (int i = 0; i < p->n_in; i++) {
        coded x;
        in[i] = p->in[i];
        if (is_data(p, i) && read_input(f, p->in[i], &x)) in[i] = x.q;
    }
    for (int i = 0; i < p->n_out; i++) {
        oc__node *q = oc__only_reader(&f->ix, p->out[i]);
        out[i] = q->out[0];
        f->ix.producer[out[i]] = number;
        q->dead = 1;
    }
    p->in = in;
    p->out = out;
    return OC_OK;
}

/* Whether p only puts its input, as it is, in another order or shape. */
static int keeps_elements(const oc__node *p) {
    static const char *const names[] = {
        "Reshape",   "Flatten",      "Transpose",   "Squeeze",
        "Unsqueeze", "DepthToSpace", "SpaceToDepth"};
    for (size_t i = 0; i < OC_COUNT(names); i++)
        if (oc__is_op(p, names[i])) return p->n_in == p->n_explicit;
    return 0;
}

/*
 * The quantizer n behind p goes before it, so that p moves codes and what made
 * its input may become an integer operator:
 *
 *     a -> p -> b -> n -> c      a -> n -> b -> p -> c
 *
 * The nodes keep their places and values, and exchange what they are.
 */
static void exchange(fuser *f, oc__node *n, oc__node *p, const coded *y) {
    oc__node was = *n;
    int *n_in = n->in, *p_in = p->in, a = p->in[0], b = n->in[0];
    *n = *p;
    n->out = was.out;
    n->n_out = was.n_out;
    n->in = p_in;
    was.out = p->out;
    was.n_out = p->n_out;
    was.in = n_in;
    *p = was;
    p->in[0] = a;
    n->in[0] = b;
    f->g->values[b].dtype = y->type;
}

/* ---- products with a result in f32 --------------------------------------- */

/* Bias v of n numbers, coded or not, as a constant in f32; -1 for none.  0 when
 * it cannot be had. */
static int float_bias(fuser *f, int v, int64_t n, int *out) {
    stored_bias k;
    float *to;
    *out = -1;
    if (v < 0) return 1;
    if (!read_bias(f, v, n, &k) || k.b->rank < 1 ||
        k.b->dims[k.b->rank - 1] != n)
        return 0;
    *out = oc__new_constant_f32(f->g, f->allocator, NULL, 1, &n, &to);
    for (int64_t i = 0; *out >= 0 && i < n; i++)
        to[i] = k.s ? (float)code_at(&k, i) * unit_at(&k, i)
                    : ((const float *)k.b->data)[i];
    return *out >= 0;
}

/* n becomes the operator with these inputs. */
static oc_status replace(fuser *f, oc__node *n, const char *domain,
                         const char *name, int n_in, const int *inputs) {
    int *in = oc__arena_dup(f->g->arena, inputs, (size_t)n_in * sizeof *in);
    if (!in) return oc__fail_nomem(f->err);
    n->op = oc__op_find(domain, name);
    n->version = n->op->since;
    n->in = in;
    n->n_in = n->n_explicit = n_in;
    return OC_OK;
}

static oc_status float_conv(fuser *f, oc__node *n) {
    coded x, w;
    int bias;
    if (n->n_explicit != n->n_in || !read_input(f, n->in[0], &x) ||
        !read_weight(f, n->in[1], 0, &w) ||
        !float_bias(f, n->n_in > 2 ? n->in[2] : -1,
                    oc__constant(f->g, w.q)->dims[0], &bias))
        return OC_OK;
    int in[7] = {x.q, x.scale, zero_value(f, &x), w.q, w.scale, w.zero, bias};
    if (w.zero < 0) in[5] = zero_value(f, &w);
    return replace(f, n, "ocelli", "ConvIntegerToFloat", bias < 0 ? 6 : 7, in);
}

/* The weight (n, k) as (k, n); -1: no memory. */
static int turned(fuser *f, const oc_tensor *w) {
    int64_t dims[2] = {w->dims[1], w->dims[0]};
    void *to;
    int v = oc__new_constant(f->g, f->allocator, NULL, w->dtype, 2, dims, &to);
    for (int64_t i = 0; v >= 0 && i < dims[1]; i++)
        for (int64_t j = 0; j < dims[0]; j++)
            ((uint8_t *)to)[j * dims[1] + i] =
                ((const uint8_t *)w->data)[i * dims[0] + j];
    return v;
}

static oc_status float_matmul(fuser *f, oc__node *n) {
    coded x, w;
    int bias = -1, gemm = oc__is_op(n, "Gemm");
    int trans = gemm && oc__attr_int(n, "transB", 0);
    if (gemm &&
        (oc__attr_int(n, "transA", 0) || oc__attr_float(n, "alpha", 1) != 1 ||
         oc__attr_float(n, "beta", 1) != 1))
        return OC_OK;
    if (!read_input(f, n->in[0], &x) ||
        !read_weight(f, n->in[1], trans ? 0 : 1, &w))
        return OC_OK;
    const oc_tensor *t = oc__constant(f->g, w.q);
    if (t->rank != 2 || !float_bias(f, gemm && n->n_in > 2 ? n->in[2] : -1,
                                    t->dims[trans ? 0 : 1], &bias))
        return OC_OK;
    int in[7] = {x.q, w.q, x.scale, w.scale, zero_value(f, &x), w.zero, bias};
    if (w.zero < 0) in[5] = zero_value(f, &w);
    if (trans) in[1] = turned(f, t);
    if (in[1] < 0) return oc__fail_nomem(f->err);
    return replace(f, n, "com.microsoft", "MatMulIntegerToFloat",
                   bias < 0 ? 6 : 7, in);
}

/* ---- the pass ------------------------------------------------------------ */

static oc_status fuse_behind(fuser *f, oc__node *n, oc__node *p,
                             const coded *y) {
    static const struct {
        const char *op, *name;
        int inputs;
    } simple[] = {
        {"Add", "QLinearAdd", 2},
        {"Mul", "QLinearMul", 2},
        {"AveragePool", "QLinearAveragePool", 1},
        {"GlobalAveragePool", "QLinearGlobalAveragePool", 1},
        {"Sigmoid", "QLinearSigmoid", 1},
        {"LeakyRelu", "QLinearLeakyRelu", 1},
    };
    if (oc__is_op(p, "Conv")) return fuse_conv(f, n, p, y);
    if (oc__is_op(p, "Gemm")) return fuse_gemm(f, n, p, y);
    if (oc__is_op(p, "MatMul")) return fuse_matmul(f, n, p, y);
    if (oc__is_op(p, "Concat")) return fuse_concat(f, n, p, y);
    for (size_t i = 0; i < OC_COUNT(simple); i++)
        if (oc__is_op(p, simple[i].op))
            return simple[i].inputs == 2
                       ? fuse_pair(f, n, p, y, simple[i].name)
                       : fuse_single(f, n, p, y, simple[i].name);
    return OC_OK;
}

static oc_status fuse(fuser *f, oc__node *n, coded *y) {
    oc__node *p;
    for (;;) {
        if (!oc__used_once(&f->ix, n->in[0])) return OC_OK;
        p = oc__producer(&f->ix, n->in[0]);
        if (!p) return OC_OK;
        if (moves_data(p) && is_in_code(f, p, y)) return move_codes(f, p);
        if (!keeps_elements(p) || !oc__producer(&f->ix, p->in[0])) break;
        exchange(f, n, p, y);
        n = p;
        y->q = n->in[0];
    }
    f->between = NULL;
    if (p->n_in > 0 && oc__used_once(&f->ix, p->in[0]) &&
        is_superfluous(f, p, y)) {
        f->between = p;
        p = oc__producer(&f->ix, p->in[0]);
        if (!p) return OC_OK;
        if (moves_data(p) && is_in_code(f, p, y)) return move_codes(f, p);
    }
    return fuse_behind(f, n, p, y);
}

oc_status oc__pass_fuse_qdq(oc__graph *g, const oc__pass_env *env,
                            oc_error *err) {
    fuser f = {.g = g, .allocator = env->allocator, .err = err};
    OC_TRY(oc__index_init(&f.ix, g, env->allocator, err));
    oc_status st = OC_OK;
    for (int i = 0; st == OC_OK && i < g->n_nodes; i++) {
        coded y;
        if (is_quantizer(&f, g->nodes[i], &y)) st = fuse(&f, g->nodes[i], &y);
    }
    for (int i = 0; st == OC_OK && i < g->n_nodes; i++) {
        oc__node *n = g->nodes[i];
        if (oc__is_op(n, "Conv"))
            st = float_conv(&f, n);
        else if (oc__is_op(n, "MatMul") || oc__is_op(n, "Gemm"))
            st = float_matmul(&f, n);
    }
    oc__index_deinit(&f.ix);
    return st;
}
