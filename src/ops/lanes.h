/*
 * lanes.h - every element type seen through four wide ones.
 *
 * ONNX has some twenty element types; writing each operator for each of them
 * is how engines grow.  Here a loop is written for f32, f64, i64 and u64 at
 * most, and the other types pass through a small buffer, a run at a time:
 *
 *     f16 bf16 f8* f4  <->  f32       i2..i32 u2..u32 bool  <->  i64
 *
 * Integer arithmetic modulo 2^64, cut down to the narrow type, is arithmetic
 * modulo 2^bits, so sums and products wrap as the narrow type would.
 *
 *     oc__lanes buffer;
 *     const float *x = oc__lanes_load(kt, dtype, data, first, n, &buffer);
 *
 * gives n <= OC_LANES elements: in the buffer, or in place when the type is
 * one of the four.
 */
#ifndef OC_OPS_LANES_H
#define OC_OPS_LANES_H

#include "graph/value.h"
#include "kernels/kernels.h"

enum { OC_LANES = 256 };

typedef enum oc__wide {
    OC_WIDE_NONE, /* strings, complex numbers */
    OC_WIDE_F32,
    OC_WIDE_F64,
    OC_WIDE_I64,
    OC_WIDE_U64,
    OC_WIDE_COUNT
} oc__wide;

typedef union oc__lanes {
    float f32[OC_LANES];
    double f64[OC_LANES];
    int64_t i64[OC_LANES];
    uint64_t u64[OC_LANES];
} oc__lanes;

/** The wide type through which `dtype` is computed. */
oc__wide oc__wide_of(oc_dtype dtype);
/** Bytes of one element of a wide type. */
size_t oc__wide_bytes(oc__wide w);
/** Whether elements of this type need no buffer. */
int oc__wide_is(oc_dtype dtype);

/** Elements first .. first + n - 1 of data, n <= OC_LANES, as wide ones. */
const void *oc__lanes_load(const oc__kernels *kt, oc_dtype dtype,
                           const void *data, int64_t first, int64_t n,
                           oc__lanes *buffer);
/** The same for any n, always into `out`, which has room for them. */
void oc__lanes_widen(const oc__kernels *kt, oc_dtype dtype, const void *data,
                     int64_t first, int64_t n, void *out);
/**
 * Where n results for elements first.. of data are to be written: in place
 * for a wide type, otherwise the buffer; oc__lanes_store() then finishes.
 */
void *oc__lanes_target(oc_dtype dtype, void *data, int64_t first,
                       oc__lanes *buffer);
/**
 * Narrows n wide elements (of oc__wide_of(dtype)) to data[first..].  Integers
 * wrap, floats round to nearest even.  Nothing moves when lanes already are
 * the elements.
 */
void oc__lanes_store(const oc__kernels *kt, oc_dtype dtype, void *data,
                     int64_t first, int64_t n, const void *lanes);

/** f64 results for any type: floats round, integers truncate and wrap. */
void oc__lanes_store_f64(const oc__kernels *kt, oc_dtype dtype, void *data,
                         int64_t first, int64_t n, const double *lanes);

/** A float as an integer the way processors convert: INT64_MIN for NaN and
 *  what does not fit. */
int64_t oc__f64_to_i64(double v);
uint64_t oc__f64_to_u64(double v);

#endif
