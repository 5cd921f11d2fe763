/* tensor.c - types, shapes and single elements; see value.h. */
#include "base/half.h"
#include "base/size.h"
#include "graph/value.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

size_t oc_dtype_bytes(oc_dtype dtype) {
    switch (dtype) {
#define OC_DTYPE_CASE(name, number, bytes, text)                               \
    case OC_DTYPE_##name: return bytes;
        OC_DTYPE_MAP(OC_DTYPE_CASE)
#undef OC_DTYPE_CASE
    default: return 0;
    }
}

const char *oc_dtype_name(oc_dtype dtype) {
    switch (dtype) {
#define OC_DTYPE_CASE(name, number, bytes, text)                               \
    case OC_DTYPE_##name: return text;
        OC_DTYPE_MAP(OC_DTYPE_CASE)
#undef OC_DTYPE_CASE
    default: return "?";
    }
}

int64_t oc_tensor_elems(const oc_tensor *t) {
    int64_t n;
    return oc__dims_product(t->dims, t->rank, &n) ? 0 : n;
}

size_t oc_tensor_bytes(const oc_tensor *t) {
    size_t bytes;
    return oc__tensor_size(t->dtype, t->rank, t->dims, &bytes) ? 0 : bytes;
}

void oc__tensor_set(oc_tensor *t, oc_dtype dtype, int rank,
                    const int64_t *dims) {
    t->dtype = dtype;
    t->rank = rank;
    for (int i = 0; i < OC_MAX_RANK; i++)
        t->dims[i] = i < rank ? dims[i] : 0;
    t->data = NULL;
}

int oc__tensor_same_shape(const oc_tensor *a, const oc_tensor *b) {
    if (a->rank != b->rank) return 0;
    for (int i = 0; i < a->rank; i++)
        if (a->dims[i] != b->dims[i]) return 0;
    return 1;
}

int oc__tensor_size(oc_dtype dtype, int rank, const int64_t *dims,
                    size_t *bytes) {
    int64_t n;
    if (rank < 0 || rank > OC_MAX_RANK) return 1;
    if (oc__dims_product(dims, rank, &n)) return 1;
    if ((uint64_t)n > SIZE_MAX / 32) return 1; /* room for any element type */
    return oc__size_mul((size_t)n, oc_dtype_bytes(dtype), bytes);
}

char *oc__tensor_describe(const oc_tensor *t, char *out, size_t bytes) {
    int used = snprintf(out, bytes, "%s[", oc_dtype_name(t->dtype));
    for (int i = 0; i < t->rank && used >= 0 && (size_t)used < bytes; i++)
        used += snprintf(out + used, bytes - (size_t)used, "%s%lld",
                         i ? "," : "", (long long)t->dims[i]);
    if (used >= 0 && (size_t)used < bytes)
        snprintf(out + used, bytes - (size_t)used, "]");
    return out;
}

int oc__dtype_is_float(oc_dtype d) {
    switch (d) {
    case OC_DTYPE_F16:
    case OC_DTYPE_BF16:
    case OC_DTYPE_F32:
    case OC_DTYPE_F64:
    case OC_DTYPE_F8E4M3FN:
    case OC_DTYPE_F8E4M3FNUZ:
    case OC_DTYPE_F8E5M2:
    case OC_DTYPE_F8E5M2FNUZ:
    case OC_DTYPE_F8E8M0:
    case OC_DTYPE_F4E2M1: return 1;
    default: return 0;
    }
}

/* Bits of an integer type, negative when it is signed; 0 for others. */
static int int_bits(oc_dtype d) {
    switch (d) {
    case OC_DTYPE_U2: return 2;
    case OC_DTYPE_I2: return -2;
    case OC_DTYPE_U4: return 4;
    case OC_DTYPE_I4: return -4;
    case OC_DTYPE_U8: return 8;
    case OC_DTYPE_I8: return -8;
    case OC_DTYPE_U16: return 16;
    case OC_DTYPE_I16: return -16;
    case OC_DTYPE_U32: return 32;
    case OC_DTYPE_I32: return -32;
    case OC_DTYPE_U64: return 64;
    case OC_DTYPE_I64: return -64;
    default: return 0;
    }
}

int oc__dtype_is_int(oc_dtype d) {
    return int_bits(d) != 0;
}

int oc__dtype_is_signed(oc_dtype d) {
    return oc__dtype_is_float(d) || int_bits(d) < 0;
}

void oc__dtype_int_range(oc_dtype d, int64_t *lo, uint64_t *hi) {
    int bits = int_bits(d);
    if (bits < 0) {
        *lo = bits == -64 ? INT64_MIN : -((int64_t)1 << (-bits - 1));
        *hi = ((uint64_t)1 << (-bits - 1)) - 1;
    } else {
        *lo = 0;
        *hi = bits == 64 ? UINT64_MAX : ((uint64_t)1 << bits) - 1;
    }
}

double oc__tensor_get_f64(const oc_tensor *t, int64_t i) {
    const void *p = t->data;
    switch (t->dtype) {
    case OC_DTYPE_F32: return ((const float *)p)[i];
    case OC_DTYPE_F64: return ((const double *)p)[i];
    case OC_DTYPE_F16: return oc__f16_to_f32(((const uint16_t *)p)[i]);
    case OC_DTYPE_BF16: return oc__bf16_to_f32(((const uint16_t *)p)[i]);
    case OC_DTYPE_U64: return (double)((const uint64_t *)p)[i];
    case OC_DTYPE_F8E4M3FN:
    case OC_DTYPE_F8E4M3FNUZ:
    case OC_DTYPE_F8E5M2:
    case OC_DTYPE_F8E5M2FNUZ:
        return oc__f8_to_f32(t->dtype, ((const uint8_t *)p)[i]);
    case OC_DTYPE_F8E8M0: return oc__f8e8m0_to_f32(((const uint8_t *)p)[i]);
    case OC_DTYPE_F4E2M1: return oc__f4e2m1_to_f32(((const uint8_t *)p)[i]);
    default: return (double)oc__tensor_get_i64(t, i);
    }
}

int64_t oc__tensor_get_i64(const oc_tensor *t, int64_t i) {
    const void *p = t->data;
    switch (t->dtype) {
    case OC_DTYPE_BOOL:
    case OC_DTYPE_U2:
    case OC_DTYPE_U4:
    case OC_DTYPE_U8: return ((const uint8_t *)p)[i];
    case OC_DTYPE_I2:
    case OC_DTYPE_I4:
    case OC_DTYPE_I8: return ((const int8_t *)p)[i];
    case OC_DTYPE_U16: return ((const uint16_t *)p)[i];
    case OC_DTYPE_I16: return ((const int16_t *)p)[i];
    case OC_DTYPE_U32: return ((const uint32_t *)p)[i];
    case OC_DTYPE_I32: return ((const int32_t *)p)[i];
    case OC_DTYPE_U64: return (int64_t)((const uint64_t *)p)[i];
    case OC_DTYPE_I64: return ((const int64_t *)p)[i];
    default: break;
    }
    /* Converting a float outside the range would be undefined. */
    double v = oc__dtype_is_float(t->dtype) ? oc__tensor_get_f64(t, i) : 0;
    if (isnan(v)) return 0;
    if (v >= 9223372036854775808.0) return INT64_MAX;
    if (v <= -9223372036854775808.0) return INT64_MIN;
    return (int64_t)v;
}

static void set_int(oc_tensor *t, int64_t i, double v) {
    int64_t lo, x;
    uint64_t hi;
    oc__dtype_int_range(t->dtype, &lo, &hi);
    v = isnan(v) ? 0 : nearbyint(v);
    if (t->dtype == OC_DTYPE_U64) {
        uint64_t u = v <= 0                        ? 0
                     : v >= 18446744073709551616.0 ? UINT64_MAX
                                                   : (uint64_t)v;
        ((uint64_t *)t->data)[i] = u;
        return;
    }
    if (v <= (double)lo)
        x = lo;
    else if (v >= (double)hi)
        x = (int64_t)hi;
    else
        x = (int64_t)v;
    switch (oc_dtype_bytes(t->dtype)) {
    case 1: ((int8_t *)t->data)[i] = (int8_t)x; break;
    case 2: ((int16_t *)t->data)[i] = (int16_t)x; break;
    case 4: ((int32_t *)t->data)[i] = (int32_t)x; break;
    default: ((int64_t *)t->data)[i] = x; break;
    }
}

void oc__tensor_set_f64(oc_tensor *t, int64_t i, double v) {
    void *p = t->data;
    switch (t->dtype) {
    case OC_DTYPE_F32: ((float *)p)[i] = (float)v; break;
    case OC_DTYPE_F64: ((double *)p)[i] = v; break;
    case OC_DTYPE_F16: ((uint16_t *)p)[i] = oc__f32_to_f16((float)v); break;
    case OC_DTYPE_BF16: ((uint16_t *)p)[i] = oc__f32_to_bf16((float)v); break;
    case OC_DTYPE_BOOL: ((uint8_t *)p)[i] = v != 0; break;
    case OC_DTYPE_F8E4M3FN:
    case OC_DTYPE_F8E4M3FNUZ:
    case OC_DTYPE_F8E5M2:
    case OC_DTYPE_F8E5M2FNUZ:
        ((uint8_t *)p)[i] = oc__f32_to_f8(t->dtype, (float)v, 1);
        break;
    case OC_DTYPE_F8E8M0:
        ((uint8_t *)p)[i] = oc__f32_to_f8e8m0((float)v, OC_F8E8M0_NEAREST, 1);
        break;
    case OC_DTYPE_F4E2M1:
        ((uint8_t *)p)[i] = oc__f32_to_f4e2m1((float)v);
        break;
    default:
        if (oc__dtype_is_int(t->dtype)) set_int(t, i, v);
    }
}

double oc_tensor_get(const oc_tensor *t, int64_t i) {
    switch (t->dtype) {
    case OC_DTYPE_NONE:
    case OC_DTYPE_STRING: return 0;
    case OC_DTYPE_C64: return ((const float *)t->data)[2 * i];
    case OC_DTYPE_C128: return ((const double *)t->data)[2 * i];
    default: return oc__tensor_get_f64(t, i);
    }
}
