/*
 * random.c - RandomNormal, RandomUniform, their Like forms, Bernoulli,
 * Multinomial, Dropout.
 *
 * A node with a seed must give the same numbers on every machine, and ONNX's
 * published results for seeded nodes come from numpy's RandomState.  So the
 * generator here is the same: the Mersenne Twister MT19937 (Matsumoto and
 * Nishimura, ACM TOMACS 8, 1998), 53-bit uniforms, normals by the polar
 * method.  Without a seed it is started from the session's random state.
 */
#include "base/rng.h"
#include "ops/moves.h"

#include <math.h>
#include <string.h>

enum { UNIFORM, NORMAL, LIKE = 2 }; /* oc__op.kind */

enum { MT_N = 624, MT_M = 397 };

typedef struct twister {
    uint32_t key[MT_N];
    int pos, has_normal;
    double normal; /* the polar method makes two at a time */
} twister;

static void twister_seed(twister *t, uint32_t seed) {
    for (uint32_t i = 0; i < MT_N; i++) {
        t->key[i] = seed;
        seed = 1812433253u * (seed ^ seed >> 30) + i + 1;
    }
    t->pos = MT_N;
    t->has_normal = 0;
}

static void twister_turn(twister *t) {
    for (int i = 0; i < MT_N; i++) {
        uint32_t y =
            (t->key[i] & 0x80000000u) | (t->key[(i + 1) % MT_N] & 0x7fffffffu);
        t->key[i] =
            t->key[(i + MT_M) % MT_N] ^ y >> 1 ^ (y & 1 ? 0x9908b0dfu : 0);
    }
    t->pos = 0;
}

static uint32_t twister_u32(twister *t) {
    if (t->pos == MT_N) twister_turn(t);
    uint32_t y = t->key[t->pos++];
    y ^= y >> 11;
    y ^= y << 7 & 0x9d2c5680u;
    y ^= y << 15 & 0xefc60000u;
    return y ^ y >> 18;
}

/* Uniform in [0, 1) with 53 bits. */
static double twister_double(twister *t) {
    uint32_t a = twister_u32(t) >> 5, b = twister_u32(t) >> 6;
    return (a * 67108864.0 + b) / 9007199254740992.0;
}

static double twister_normal(twister *t) {
    double x, y, r;
    if (t->has_normal) {
        t->has_normal = 0;
        return t->normal;
    }
    do {
        x = 2 * twister_double(t) - 1;
        y = 2 * twister_double(t) - 1;
        r = x * x + y * y;
    } while (r >= 1 || r == 0);
    double f = sqrt(-2 * log(r) / r);
    t->normal = f * x;
    t->has_normal = 1;
    return f * y;
}

/* The seed attribute is a float (an int for Dropout). */
static void twister_start(const oc__ctx *c, twister *t) {
    const oc__attr *a = oc__attr_find(c->node, "seed");
    if (a && a->type == OC_ATTR_INT) {
        twister_seed(t, (uint32_t)a->i);
    } else if (a && fabsf(a->f) < 9e18f) {
        twister_seed(t, (uint32_t)(int64_t)a->f);
    } else {
        twister_seed(t, oc__rng_u32(c->rng));
    }
}

/* ---- RandomUniform, RandomNormal -------------------------------------------
 */

/* Type and shape: attributes, or the input's where the Like form has no
   dtype of its own. */
static oc_status infer_random(oc__ctx *c) {
    const oc_tensor *x = NULL;
    int64_t dtype = OC_DTYPE_F32;
    size_t rank = 0;
    const int64_t *shape = NULL;
    if (c->op->kind & LIKE) {
        OC_TRY(oc__want(c, 0, OC_T_ANY));
        x = oc__in(c, 0);
        dtype = x->dtype;
    } else {
        shape = oc__attr_ints(c->node, "shape", &rank);
        if (!oc__attr_find(c->node, "shape") || rank > OC_MAX_RANK)
            return oc__op_fail(c, OC_E_FORMAT, "shape is missing or too long");
    }
    dtype = oc__attr_int(c->node, "dtype", dtype);
    if (dtype < 0 || dtype > 31 || !(OC_T_F >> dtype & 1))
        return oc__op_fail(c, OC_E_UNSUPPORTED, "dtype %lld is no float",
                           (long long)dtype);
    if (x) return oc__out_set(c, 0, (oc_dtype)dtype, x->rank, x->dims);
    return oc__out_set(c, 0, (oc_dtype)dtype, (int)rank, shape);
}

/* One number after the other from one generator: threads would change the
   order. */
static oc_status run_random(oc__ctx *c) {
    oc_tensor *y = oc__out(c, 0);
    int normal = c->op->kind & NORMAL;
    twister t;
    twister_start(c, &t);
    double a, b; /* y = r * a + b */
    if (normal) {
        a = oc__attr_float(c->node, "scale", 1);
        b = oc__attr_float(c->node, "mean", 0);
    } else {
        b = oc__attr_float(c->node, "low", 0);
        a = (double)oc__attr_float(c->node, "high", 1) - b;
    }
    int64_t n = oc_tensor_elems(y);
    for (int64_t i = 0; i < n; i++) {
        double r = normal ? twister_normal(&t) : twister_double(&t);
        if (y->dtype == OC_DTYPE_F64)
            ((double *)y->data)[i] = r * a + b;
        else if (y->dtype == OC_DTYPE_F32)
            ((float *)y->data)[i] = (float)r * (float)a + (float)b;
        else
            oc__tensor_set_f64(y, i, r * a + b);
    }
    return OC_OK;
}

/* ---- Bernoulli -------------------------------------------------------------
 */

static oc_status infer_bernoulli(oc__ctx *c) {
    OC_TRY(oc__want(c, 0, OC_T_F));
    const oc_tensor *x = oc__in(c, 0);
    int64_t dtype = oc__attr_int(c->node, "dtype", x->dtype);
    if (dtype < 0 || dtype > 31 ||
        !((OC_T_F | OC_T_I | OC_T_U | OC_T(BOOL)) >> dtype & 1))
        return oc__op_fail(c, OC_E_UNSUPPORTED, "dtype %lld", (long long)dtype);
    return oc__out_set(c, 0, (oc_dtype)dtype, x->rank, x->dims);
}

static oc_status run_bernoulli(oc__ctx *c) {
    const oc_tensor *x = oc__in(c, 0);
    oc_tensor *y = oc__out(c, 0);
    twister t;
    twister_start(c, &t);
    int64_t n = oc_tensor_elems(x);
    for (int64_t i = 0; i < n; i++) {
        double p = oc__tensor_get_f64(x, i);
        if (!(p >= 0 && p <= 1))
            return oc__op_fail(c, OC_E_ARG, "%g is no probability", p);
        /* The smaller side is drawn, as numpy's binomial does. */
        int one = 0;
        if (p > 0.5)
            one = !(twister_double(&t) > 1 - (1 - p));
        else if (p > 0)
            one = twister_double(&t) > 1 - p;
        oc__tensor_set_f64(y, i, one);
    }
    return OC_OK;
}

/* ---- Multinomial -----------------------------------------------------------
 */

static oc_status infer_multinomial(oc__ctx *c) {
    OC_TRY(oc__want(c, 0, OC_T_F));
    OC_TRY(oc__want_rank(c, 0, 2, 2));
    const oc_tensor *x = oc__in(c, 0);
    int64_t dtype = oc__attr_int(c->node, "dtype", OC_DTYPE_I32);
    if (dtype != OC_DTYPE_I32 && dtype != OC_DTYPE_I64)
        return oc__op_fail(c, OC_E_UNSUPPORTED, "dtype %lld", (long long)dtype);
    int64_t dims[2] = {x->dims[0], oc__attr_int(c->node, "sample_size", 1)};
    if (x->dims[1] < 1 && x->dims[0] > 0)
        return oc__op_fail(c, OC_E_SHAPE, "there are no classes");
    return oc__out_set(c, 0, (oc_dtype)dtype, 2, dims);
}

/* Draws from exp(x - max) by running down the sum; rows are log weights. */
static int64_t draw_class(const oc_tensor *x, int64_t row, double max,
                          double sum, double u) {
    int64_t n = x->dims[1], last = 0;
    double left = u * sum;
    for (int64_t j = 0; j < n; j++) {
        double w = exp(oc__tensor_get_f64(x, row * n + j) - max);
        if (!(w > 0)) continue;
        last = j;
        left -= w;
        if (left < 0) break;
    }
    return last;
}

static oc_status run_multinomial(oc__ctx *c) {
    const oc_tensor *x = oc__in(c, 0);
    oc_tensor *y = oc__out(c, 0);
    twister t;
    twister_start(c, &t);
    int64_t n = x->dims[1];
    for (int64_t row = 0; row < x->dims[0]; row++) {
        double max = -INFINITY, sum = 0;
        for (int64_t j = 0; j < n; j++)
            max = fmax(max, oc__tensor_get_f64(x, row * n + j));
        if (!isfinite(max)) max = 0;
        for (int64_t j = 0; j < n; j++)
            sum += exp(oc__tensor_get_f64(x, row * n + j) - max);
        for (int64_t k = 0; k < y->dims[1]; k++)
            oc__tensor_set_f64(
                y, row * y->dims[1] + k,
                (double)draw_class(x, row, max, sum, twister_double(&t)));
    }
    return OC_OK;
}

/* ---- Dropout ---------------------------------------------------------------
 */

/* Drops only when told to train: is_test = 0 up to opset 6, training_mode
   from 12 on, never between. */
static oc_status dropout_ratio(const oc__ctx *c, double *ratio) {
    int version = c->node->version, training = 0;
    double v = 0;
    *ratio = oc__attr_float(c->node, "ratio", 0.5f);
    if (version < 7) training = oc__attr_int(c->node, "is_test", 0) == 0;
    if (version >= 12 && oc__in(c, 1)) OC_TRY(oc__in_scalar(c, 1, ratio));
    if (version >= 12 && oc__in(c, 2)) {
        OC_TRY(oc__in_scalar(c, 2, &v));
        training = v != 0;
    }
    if (!(*ratio >= 0 && *ratio < 1))
        return oc__op_fail(c, OC_E_ARG, "ratio %g is not in [0, 1)", *ratio);
    if (!training) *ratio = 0;
    return OC_OK;
}

/* The mask had the data's type before opset 10. */
static oc_status infer_dropout(oc__ctx *c) {
    OC_TRY(oc__want(c, 0, OC_T_F));
    const oc_tensor *x = oc__in(c, 0);
    OC_TRY(oc__out_like(c, 0, x));
    return oc__out_set(c, 1, c->node->version < 10 ? x->dtype : OC_DTYPE_BOOL,
                       x->rank, x->dims);
}

/* y = x * mask / (1 - ratio), so that the expected sum stays. */
static oc_status run_dropout(oc__ctx *c) {
    const oc_tensor *x = oc__in(c, 0);
    oc_tensor *y = oc__out(c, 0), *mask = oc__out(c, 1);
    double ratio;
    OC_TRY(dropout_ratio(c, &ratio));
    int64_t n = oc_tensor_elems(x);
    if (ratio == 0) {
        if (y && y->data != x->data)
            oc__move_copy(c, y->data, x->data, oc_tensor_bytes(x));
        for (int64_t i = 0; mask && i < n; i++)
            oc__tensor_set_f64(mask, i, 1);
        return OC_OK;
    }
    twister t;
    twister_start(c, &t);
    double scale = 1 / (1 - ratio);
    for (int64_t i = 0; i < n; i++) {
        int keep = twister_double(&t) >= ratio;
        if (mask) oc__tensor_set_f64(mask, i, keep);
        if (!y) continue;
        if (y->dtype == OC_DTYPE_F32)
            ((float *)y->data)[i] =
                (float)keep * ((const float *)x->data)[i] * (float)scale;
        else
            oc__tensor_set_f64(y, i, keep * oc__tensor_get_f64(x, i) * scale);
    }
    return OC_OK;
}

const oc__op oc__ops_random[] = {
    {"", "RandomUniform", 1, 0, 0, 1, OC_OP_IMPURE, UNIFORM, infer_random,
     run_random, NULL},
    {"", "RandomNormal", 1, 0, 0, 1, OC_OP_IMPURE, NORMAL, infer_random,
     run_random, NULL},
    {"", "RandomUniformLike", 1, 1, 1, 1, OC_OP_IMPURE, UNIFORM | LIKE,
     infer_random, run_random, NULL},
    {"", "RandomNormalLike", 1, 1, 1, 1, OC_OP_IMPURE, NORMAL | LIKE,
     infer_random, run_random, NULL},
    {"", "Bernoulli", 15, 1, 1, 1, OC_OP_IMPURE, 0, infer_bernoulli,
     run_bernoulli, NULL},
    {"", "Multinomial", 7, 1, 1, 1, OC_OP_IMPURE, 0, infer_multinomial,
     run_multinomial, NULL},
    {"", "Dropout", 1, 1, 3, 2, OC_OP_IMPURE | OC_OP_INPLACE, 0, infer_dropout,
     run_dropout, NULL},
    {NULL, NULL, 0, 0, 0, 0, 0, 0, NULL, NULL, NULL},
};
