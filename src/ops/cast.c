/*
 * cast.c - Cast, CastLike and BitCast: every type to every other.
 *
 * Numbers go through one of the wide types of lanes.h: first the source is
 * widened, then the wide type is converted to the target.
 *
 *     f16 bf16 f8 f4 f32 -> f32 \
 *     f64                -> f64  >  narrowed, rounded, saturated or wrapped
 *     integers, bool     -> i64  |  as the standard says for the pair
 *     u64                -> u64 /
 */
#include "base/half.h"
#include "ops/lanes.h"
#include "ops/op.h"
#include "base/text_number.h"

#include <math.h>
#include <string.h>

typedef struct cast_job {
    const oc__kernels *kt;
    oc_dtype from, to;
    const void *x;
    void *y;
    int saturate;
    oc__f8e8m0_round round;
} cast_job;

#define TO(T, expr)                                                            \
    do {                                                                       \
        T *y = (T *)j->y + first;                                              \
        for (int64_t i = 0; i < n; i++)                                        \
            y[i] = (T)(expr);                                                  \
    } while (0)

/* What does not fit is undefined in ONNX; this is what x86 does, and so what
   most models were exported against. */
static int32_t f32_to_i32(float v) {
    return v >= -2147483648.0f && v < 2147483648.0f ? (int32_t)v : INT32_MIN;
}

static int32_t f64_to_i32(double v) {
    return v > -2147483649.0 && v < 2147483648.0 ? (int32_t)v : INT32_MIN;
}

static uint8_t to_f8(const cast_job *j, float v) {
    return oc__f32_to_f8(j->to, v, j->saturate);
}

static uint8_t to_f8e8m0(const cast_job *j, float v) {
    return oc__f32_to_f8e8m0(v, j->round, j->saturate);
}

/* Narrow integers: cut, then extend the sign by shifting it up and down. */
static int8_t to_i4(int64_t v) {
    return (int8_t)((int8_t)((uint64_t)v << 4) >> 4);
}

static int8_t to_i2(int64_t v) {
    return (int8_t)((int8_t)((uint64_t)v << 6) >> 6);
}

static void from_f32(const cast_job *j, const float *x, int64_t first,
                     int64_t n) {
    switch (j->to) {
    case OC_DTYPE_F32: TO(float, x[i]); break;
    case OC_DTYPE_F64: TO(double, x[i]); break;
    case OC_DTYPE_BOOL: TO(uint8_t, x[i] != 0); break;
    case OC_DTYPE_U8: TO(uint8_t, f32_to_i32(x[i])); break;
    case OC_DTYPE_I8: TO(int8_t, f32_to_i32(x[i])); break;
    case OC_DTYPE_U16: TO(uint16_t, f32_to_i32(x[i])); break;
    case OC_DTYPE_I16: TO(int16_t, f32_to_i32(x[i])); break;
    case OC_DTYPE_I32: TO(int32_t, f32_to_i32(x[i])); break;
    case OC_DTYPE_U32: TO(uint32_t, oc__f64_to_i64(x[i])); break;
    case OC_DTYPE_I64: TO(int64_t, oc__f64_to_i64(x[i])); break;
    case OC_DTYPE_U64: TO(uint64_t, oc__f64_to_u64(x[i])); break;
    case OC_DTYPE_U4: TO(uint8_t, f32_to_i32(x[i]) & 15); break;
    case OC_DTYPE_U2: TO(uint8_t, f32_to_i32(x[i]) & 3); break;
    case OC_DTYPE_I4: TO(int8_t, to_i4(f32_to_i32(x[i]))); break;
    case OC_DTYPE_I2: TO(int8_t, to_i2(f32_to_i32(x[i]))); break;
    case OC_DTYPE_F8E4M3FN:
    case OC_DTYPE_F8E4M3FNUZ:
    case OC_DTYPE_F8E5M2:
    case OC_DTYPE_F8E5M2FNUZ: TO(uint8_t, to_f8(j, x[i])); break;
    case OC_DTYPE_F8E8M0: TO(uint8_t, to_f8e8m0(j, x[i])); break;
    default: /* f16, bf16, f4e2m1 */
        oc__lanes_store(j->kt, j->to, j->y, first, n, x);
        break;
    }
}

static void from_f64(const cast_job *j, const double *x, int64_t first,
                     int64_t n) {
    float f[OC_LANES];
    switch (j->to) {
    case OC_DTYPE_F64: TO(double, x[i]); break;
    case OC_DTYPE_F32: TO(float, x[i]); break;
    case OC_DTYPE_F16: TO(uint16_t, oc__f64_to_f16(x[i])); break;
    case OC_DTYPE_BOOL: TO(uint8_t, x[i] != 0); break;
    case OC_DTYPE_U8: TO(uint8_t, f64_to_i32(x[i])); break;
    case OC_DTYPE_I8: TO(int8_t, f64_to_i32(x[i])); break;
    case OC_DTYPE_U16: TO(uint16_t, f64_to_i32(x[i])); break;
    case OC_DTYPE_I16: TO(int16_t, f64_to_i32(x[i])); break;
    case OC_DTYPE_I32: TO(int32_t, f64_to_i32(x[i])); break;
    case OC_DTYPE_U32: TO(uint32_t, oc__f64_to_i64(x[i])); break;
    case OC_DTYPE_I64: TO(int64_t, oc__f64_to_i64(x[i])); break;
    case OC_DTYPE_U64: TO(uint64_t, oc__f64_to_u64(x[i])); break;
    default:
        for (int64_t i = 0; i < n; i++)
            f[i] = (float)x[i];
        from_f32(j, f, first, n);
        break;
    }
}

static void from_i64(const cast_job *j, const int64_t *x, int64_t first,
                     int64_t n) {
    float f[OC_LANES];
    switch (j->to) {
    case OC_DTYPE_F64: TO(double, x[i]); break;
    case OC_DTYPE_F32: TO(float, x[i]); break;
    case OC_DTYPE_BOOL: TO(uint8_t, x[i] != 0); break;
    case OC_DTYPE_U64: TO(uint64_t, x[i]); break;
    default:
        if (oc__wide_of(j->to) == OC_WIDE_I64) {
            oc__lanes_store(j->kt, j->to, j->y, first, n, x);
            return;
        }
        for (int64_t i = 0; i < n; i++)
            f[i] = (float)x[i];
        from_f32(j, f, first, n);
        break;
    }
}

static void from_u64(const cast_job *j, const uint64_t *x, int64_t first,
                     int64_t n) {
    int64_t v[OC_LANES];
    float f[OC_LANES];
    if (j->to == OC_DTYPE_F64) {
        TO(double, x[i]);
    } else if (j->to == OC_DTYPE_U64) {
        TO(uint64_t, x[i]);
    } else if (oc__wide_of(j->to) == OC_WIDE_F32) {
        for (int64_t i = 0; i < n; i++)
            f[i] = (float)x[i];
        from_f32(j, f, first, n);
    } else { /* the low bits decide, and the sign bit is one of them */
        for (int64_t i = 0; i < n; i++)
            v[i] = (int64_t)x[i];
        from_i64(j, v, first, n);
    }
}

static void cast_range(void *user, int64_t begin, int64_t end, int worker) {
    const cast_job *j = user;
    oc__lanes b;
    (void)worker;
    for (int64_t i = begin; i < end; i += OC_LANES) {
        int64_t n = OC_MIN(OC_LANES, end - i);
        const void *x = oc__lanes_load(j->kt, j->from, j->x, i, n, &b);
        switch (oc__wide_of(j->from)) {
        case OC_WIDE_F32: from_f32(j, x, i, n); break;
        case OC_WIDE_F64: from_f64(j, x, i, n); break;
        case OC_WIDE_U64: from_u64(j, x, i, n); break;
        default: from_i64(j, x, i, n); break;
        }
    }
}

/* ---- strings ------------------------------------------------------------- */

static oc_status parse_all(const oc__ctx *c, const cast_job *j, int64_t n) {
    const oc_string *x = j->x;
    for (int64_t i = 0; i < n; i++) {
        double d = 0;
        int64_t s = 0;
        uint64_t u = 0;
        int bad;
        switch (oc__wide_of(j->to)) {
        case OC_WIDE_I64:
            bad = oc__text_to_i64(x[i].data, x[i].bytes, &s);
            break;
        case OC_WIDE_U64:
            bad = oc__text_to_u64(x[i].data, x[i].bytes, &u);
            break;
        default: bad = oc__text_to_f64(x[i].data, x[i].bytes, &d); break;
        }
        if (bad)
            return oc__op_fail(c, OC_E_ARG,
                               "element %lld, \"%.*s\", is not a number",
                               (long long)i, (int)OC_MIN(x[i].bytes, 40),
                               x[i].data ? x[i].data : "");
        switch (oc__wide_of(j->to)) {
        case OC_WIDE_I64: from_i64(j, &s, i, 1); break;
        case OC_WIDE_U64: from_u64(j, &u, i, 1); break;
        default: from_f64(j, &d, i, 1); break;
        }
    }
    return OC_OK;
}

/* Text goes to scratch; the runtime copies it from there. */
static void print_all(const oc__ctx *c, const cast_job *j, int64_t n) {
    oc_tensor x = {.dtype = j->from, .data = (void *)j->x};
    oc_string *y = j->y;
    char *text = c->scratch;
    for (int64_t i = 0; i < n; i++, text += OC_NUMBER_TEXT_BYTES) {
        y[i].data = text;
        if (j->from == OC_DTYPE_BOOL) {
            int v = oc__tensor_get_i64(&x, i) != 0;
            y[i].data = v ? "True" : "False";
            y[i].bytes = v ? 4 : 5;
        } else if (j->from == OC_DTYPE_U64) {
            y[i].bytes = oc__text_from_u64(((const uint64_t *)j->x)[i], text);
        } else if (oc__dtype_is_int(j->from)) {
            y[i].bytes = oc__text_from_i64(oc__tensor_get_i64(&x, i), text);
        } else {
            y[i].bytes =
                oc__text_from_f64(j->from, oc__tensor_get_f64(&x, i), text);
        }
    }
}

/* ---- Cast, CastLike ------------------------------------------------------ */

static int castable(oc_dtype d) {
    return d == OC_DTYPE_STRING || oc__wide_of(d) != OC_WIDE_NONE;
}

static oc_status target_of(const oc__ctx *c, oc_dtype *to) {
    if (c->op->max_in == 2) {
        OC_TRY(oc__want(c, 1, OC_T_ANY));
        *to = oc__in(c, 1)->dtype;
    } else {
        const oc__attr *a = oc__attr_find(c->node, "to");
        /* Version 1 spelt the type out. */
        if (a && a->type == OC_ATTR_STRING) {
            static const char *const names[] = {
                "",        "FLOAT",  "UINT8",  "INT8",   "UINT16",
                "INT16",   "INT32",  "INT64",  "STRING", "BOOL",
                "FLOAT16", "DOUBLE", "UINT32", "UINT64"};
            *to = OC_DTYPE_NONE;
            for (size_t i = 1; i < OC_COUNT(names); i++)
                if (!strcmp(a->s.data, names[i])) *to = (oc_dtype)i;
        } else {
            int64_t v = a ? a->i : 0;
            *to = v > 0 && v < OC_DTYPE_COUNT ? (oc_dtype)v : OC_DTYPE_NONE;
        }
    }
    if (!castable(*to))
        return oc__op_fail(c, OC_E_UNSUPPORTED,
                           "the target type is none to cast to");
    return OC_OK;
}

static oc_status infer_cast(oc__ctx *c) {
    oc_dtype to;
    OC_TRY(oc__want(c, 0, OC_T_ANY));
    OC_TRY(target_of(c, &to));
    const oc_tensor *x = oc__in(c, 0);
    if (!castable(x->dtype))
        return oc__op_fail(c, OC_E_UNSUPPORTED, "cannot cast from %s",
                           oc_dtype_name(x->dtype));
    const char *round = oc__attr_string(c->node, "round_mode", "up");
    if (strcmp(round, "up") && strcmp(round, "down") &&
        strcmp(round, "nearest"))
        return oc__op_fail(c, OC_E_ARG, "round_mode is \"%s\"", round);
    if (to == OC_DTYPE_STRING && x->dtype != OC_DTYPE_STRING) {
        size_t bytes;
        if (oc__size_mul((size_t)oc_tensor_elems(x), OC_NUMBER_TEXT_BYTES,
                         &bytes))
            return oc__op_fail(c, OC_E_LIMIT, "too many elements");
        oc__scratch_need(c, bytes);
    }
    return oc__out_set(c, 0, to, x->rank, x->dims);
}

static oc_status run_cast(oc__ctx *c) {
    const oc_tensor *x = oc__in(c, 0);
    const oc_tensor *y = oc__out(c, 0);
    int64_t n = oc_tensor_elems(x);
    const char *round = oc__attr_string(c->node, "round_mode", "up");
    cast_job j = {
        c->kernels,
        x->dtype,
        y->dtype,
        x->data,
        y->data,
        oc__attr_int(c->node, "saturate", 1) != 0,
        round[0] == 'u'   ? OC_F8E8M0_UP
        : round[0] == 'd' ? OC_F8E8M0_DOWN
                          : OC_F8E8M0_NEAREST,
    };
    if (j.from == j.to) {
        /* Also keeps NaN payloads and strings as they are. */
        if (j.x != j.y && n) memmove(j.y, j.x, oc_tensor_bytes(x));
        return OC_OK;
    }
    if (j.from == OC_DTYPE_STRING) return parse_all(c, &j, n);
    if (j.to == OC_DTYPE_STRING)
        print_all(c, &j, n);
    else
        oc__parallel(c, n, 16384, cast_range, &j);
    return OC_OK;
}

/* ---- BitCast ------------------------------------------------------------- */

/* Bits a type has; what lies in memory may be wider (i4 in a byte). */
static int bits_of(oc_dtype d) {
    switch (d) {
    case OC_DTYPE_U2:
    case OC_DTYPE_I2: return 2;
    case OC_DTYPE_U4:
    case OC_DTYPE_I4:
    case OC_DTYPE_F4E2M1: return 4;
    case OC_DTYPE_STRING: return 0;
    default: return (int)oc_dtype_bytes(d) * 8;
    }
}

static oc_status infer_bitcast(oc__ctx *c) {
    OC_TRY(oc__want(c, 0, OC_T_ANY));
    const oc_tensor *x = oc__in(c, 0);
    int64_t v = oc__attr_int(c->node, "to", 0);
    oc_dtype to = v > 0 && v < OC_DTYPE_COUNT ? (oc_dtype)v : OC_DTYPE_NONE;
    if (!bits_of(to) || bits_of(to) != bits_of(x->dtype))
        return oc__op_fail(c, OC_E_ARG, "%s and %s differ in width",
                           oc_dtype_name(x->dtype), oc_dtype_name(to));
    return oc__out_set(c, 0, to, x->rank, x->dims);
}

static oc_status run_bitcast(oc__ctx *c) {
    const oc_tensor *x = oc__in(c, 0), *y = oc__out(c, 0);
    int64_t n = oc_tensor_elems(x);
    if (x->data != y->data && n) memmove(y->data, x->data, oc_tensor_bytes(x));
    /* Below a byte the sign has to be spread anew, or taken off. */
    if (bits_of(y->dtype) < 8) {
        int64_t one;
        for (int64_t i = 0; i < n; i++) {
            oc__lanes_widen(c->kernels, OC_DTYPE_U8, y->data, i, 1, &one);
            oc__lanes_store(c->kernels,
                            y->dtype == OC_DTYPE_F4E2M1 ? OC_DTYPE_U4
                                                        : y->dtype,
                            y->data, i, 1, &one);
        }
    }
    return OC_OK;
}

const oc__op oc__ops_cast[] = {
    {"", "Cast", 1, 1, 1, 1, OC_OP_INPLACE, 0, infer_cast, run_cast, NULL},
    {"", "CastLike", 15, 2, 2, 1, OC_OP_INPLACE, 0, infer_cast, run_cast, NULL},
    {"", "BitCast", 26, 1, 1, 1, OC_OP_INPLACE, 0, infer_bitcast, run_bitcast,
     NULL},
    {0},
};
