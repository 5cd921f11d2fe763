/* lanes.c - see lanes.h. */
#include "ops/lanes.h"

#include "base/half.h"

#include <string.h>

oc__wide oc__wide_of(oc_dtype dtype) {
    switch (dtype) {
    case OC_DTYPE_F32:
    case OC_DTYPE_F16:
    case OC_DTYPE_BF16:
    case OC_DTYPE_F8E4M3FN:
    case OC_DTYPE_F8E4M3FNUZ:
    case OC_DTYPE_F8E5M2:
    case OC_DTYPE_F8E5M2FNUZ:
    case OC_DTYPE_F8E8M0:
    case OC_DTYPE_F4E2M1: return OC_WIDE_F32;
    case OC_DTYPE_F64: return OC_WIDE_F64;
    case OC_DTYPE_U64: return OC_WIDE_U64;
    case OC_DTYPE_BOOL:
    case OC_DTYPE_U2:
    case OC_DTYPE_I2:
    case OC_DTYPE_U4:
    case OC_DTYPE_I4:
    case OC_DTYPE_U8:
    case OC_DTYPE_I8:
    case OC_DTYPE_U16:
    case OC_DTYPE_I16:
    case OC_DTYPE_U32:
    case OC_DTYPE_I32:
    case OC_DTYPE_I64: return OC_WIDE_I64;
    default: return OC_WIDE_NONE;
    }
}

size_t oc__wide_bytes(oc__wide w) {
    return w == OC_WIDE_F32 ? 4 : 8;
}

int oc__wide_is(oc_dtype dtype) {
    return dtype == OC_DTYPE_F32 || dtype == OC_DTYPE_F64 ||
           dtype == OC_DTYPE_I64 || dtype == OC_DTYPE_U64;
}

int64_t oc__f64_to_i64(double v) {
    /* The comparison is false for NaN too. */
    return v >= -9223372036854775808.0 && v < 9223372036854775808.0 ? (int64_t)v
                                                                    : INT64_MIN;
}

uint64_t oc__f64_to_u64(double v) {
    if (v >= 9223372036854775808.0 && v < 18446744073709551616.0)
        return (uint64_t)v;
    return (uint64_t)oc__f64_to_i64(v);
}

#define WIDEN(T, expr)                                                         \
    do {                                                                       \
        const T *x = (const T *)data + first;                                  \
        for (int64_t i = 0; i < n; i++) {                                      \
            const T v = x[i];                                                  \
            y[i] = expr;                                                       \
        }                                                                      \
    } while (0)

static void widen_float(const oc__kernels *kt, oc_dtype dtype, const void *data,
                        int64_t first, int64_t n, float *y) {
    switch (dtype) {
    case OC_DTYPE_F32:
        memcpy(y, (const float *)data + first, (size_t)n * 4);
        break;
    case OC_DTYPE_F16:
        kt->f16_to_f32((const uint16_t *)data + first, y, (size_t)n);
        break;
    case OC_DTYPE_BF16:
        kt->bf16_to_f32((const uint16_t *)data + first, y, (size_t)n);
        break;
    case OC_DTYPE_F8E8M0: WIDEN(uint8_t, oc__f8e8m0_to_f32(v)); break;
    case OC_DTYPE_F4E2M1: WIDEN(uint8_t, oc__f4e2m1_to_f32(v)); break;
    default: WIDEN(uint8_t, oc__f8_to_f32(dtype, v)); break;
    }
}

static void widen_int(oc_dtype dtype, const void *data, int64_t first,
                      int64_t n, int64_t *y) {
    switch (dtype) {
    case OC_DTYPE_BOOL:
    case OC_DTYPE_U2:
    case OC_DTYPE_U4:
    case OC_DTYPE_U8: WIDEN(uint8_t, v); break;
    case OC_DTYPE_I2:
    case OC_DTYPE_I4:
    case OC_DTYPE_I8: WIDEN(int8_t, v); break;
    case OC_DTYPE_U16: WIDEN(uint16_t, v); break;
    case OC_DTYPE_I16: WIDEN(int16_t, v); break;
    case OC_DTYPE_U32: WIDEN(uint32_t, v); break;
    case OC_DTYPE_I32: WIDEN(int32_t, v); break;
    default: memcpy(y, (const int64_t *)data + first, (size_t)n * 8); break;
    }
}

void oc__lanes_widen(const oc__kernels *kt, oc_dtype dtype, const void *data,
                     int64_t first, int64_t n, void *out) {
    switch (oc__wide_of(dtype)) {
    case OC_WIDE_F32: widen_float(kt, dtype, data, first, n, out); break;
    case OC_WIDE_F64:
    case OC_WIDE_U64:
        memcpy(out, (const uint64_t *)data + first, (size_t)n * 8);
        break;
    default: widen_int(dtype, data, first, n, out); break;
    }
}

static const void *element(const void *data, oc_dtype dtype, int64_t i) {
    return (const char *)data + (size_t)i * oc_dtype_bytes(dtype);
}

const void *oc__lanes_load(const oc__kernels *kt, oc_dtype dtype,
                           const void *data, int64_t first, int64_t n,
                           oc__lanes *buffer) {
    if (oc__wide_is(dtype)) return element(data, dtype, first);
    oc__lanes_widen(kt, dtype, data, first, n, buffer);
    return buffer;
}

void *oc__lanes_target(oc_dtype dtype, void *data, int64_t first,
                       oc__lanes *buffer) {
    if (!oc__wide_is(dtype)) return buffer;
    return (char *)data + (size_t)first * oc_dtype_bytes(dtype);
}

#define NARROW(T, expr)                                                        \
    do {                                                                       \
        T *y = (T *)data + first;                                              \
        for (int64_t i = 0; i < n; i++)                                        \
            y[i] = (T)(expr);                                                  \
    } while (0)

static void narrow_float(const oc__kernels *kt, oc_dtype dtype, void *data,
                         int64_t first, int64_t n, const float *x) {
    switch (dtype) {
    case OC_DTYPE_F32: memmove((float *)data + first, x, (size_t)n * 4); break;
    case OC_DTYPE_F16:
        kt->f32_to_f16(x, (uint16_t *)data + first, (size_t)n);
        break;
    case OC_DTYPE_BF16:
        kt->f32_to_bf16(x, (uint16_t *)data + first, (size_t)n);
        break;
    case OC_DTYPE_F8E8M0:
        NARROW(uint8_t, oc__f32_to_f8e8m0(x[i], OC_F8E8M0_UP, 1));
        break;
    case OC_DTYPE_F4E2M1: NARROW(uint8_t, oc__f32_to_f4e2m1(x[i])); break;
    default: NARROW(uint8_t, oc__f32_to_f8(dtype, x[i], 1)); break;
    }
}

/* Shifting up and down again extends the sign of a two or four bit number. */
static int8_t sign_extend(int64_t v, int bits) {
    return (int8_t)((int8_t)((uint64_t)v << (8 - bits)) >> (8 - bits));
}

static void narrow_int(oc_dtype dtype, void *data, int64_t first, int64_t n,
                       const int64_t *x) {
    switch (dtype) {
    case OC_DTYPE_BOOL: NARROW(uint8_t, x[i] != 0); break;
    case OC_DTYPE_U2: NARROW(uint8_t, x[i] & 3); break;
    case OC_DTYPE_I2: NARROW(int8_t, sign_extend(x[i], 2)); break;
    case OC_DTYPE_U4: NARROW(uint8_t, x[i] & 15); break;
    case OC_DTYPE_I4: NARROW(int8_t, sign_extend(x[i], 4)); break;
    case OC_DTYPE_U8:
    case OC_DTYPE_I8: NARROW(uint8_t, x[i]); break;
    case OC_DTYPE_U16:
    case OC_DTYPE_I16: NARROW(uint16_t, x[i]); break;
    case OC_DTYPE_U32:
    case OC_DTYPE_I32: NARROW(uint32_t, x[i]); break;
    default: memmove((int64_t *)data + first, x, (size_t)n * 8); break;
    }
}

void oc__lanes_store(const oc__kernels *kt, oc_dtype dtype, void *data,
                     int64_t first, int64_t n, const void *lanes) {
    if (oc__wide_is(dtype)) {
        if (lanes == element(data, dtype, first)) return;
        memmove((char *)data + (size_t)first * oc_dtype_bytes(dtype), lanes,
                (size_t)n * oc_dtype_bytes(dtype));
        return;
    }
    if (oc__wide_of(dtype) == OC_WIDE_F32)
        narrow_float(kt, dtype, data, first, n, lanes);
    else
        narrow_int(dtype, data, first, n, lanes);
}

void oc__lanes_store_f64(const oc__kernels *kt, oc_dtype dtype, void *data,
                         int64_t first, int64_t n, const double *lanes) {
    oc__lanes b;
    while (n > 0) {
        int64_t run = OC_MIN(n, OC_LANES);
        switch (oc__wide_of(dtype)) {
        case OC_WIDE_F32:
            for (int64_t i = 0; i < run; i++)
                b.f32[i] = (float)lanes[i];
            break;
        case OC_WIDE_F64: memcpy(b.f64, lanes, (size_t)run * 8); break;
        case OC_WIDE_U64:
            for (int64_t i = 0; i < run; i++)
                b.u64[i] = oc__f64_to_u64(lanes[i]);
            break;
        default:
            for (int64_t i = 0; i < run; i++)
                b.i64[i] = oc__f64_to_i64(lanes[i]);
            break;
        }
        oc__lanes_store(kt, dtype, data, first, run, &b);
        lanes += run;
        first += run;
        n -= run;
    }
}
