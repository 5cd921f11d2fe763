/*
 * nn.h - what the network operators share: laying out scratch, computing
 * types, small matrix products, activations by name.
 *
 * Floating point operators here are written for two computing types: f32,
 * which also serves f16 and bf16 by widening, and f64.  What an operator
 * needs beside its tensors stands in the node's scratch, cut by an oc__bump.
 * The same function lays it out twice: in infer() with oc__bump_counter(), to
 * learn the size, and in run() with oc__bump_cutter(c), to get the pointers:
 *
 *     work->x = oc__real_in(c, b, 0, work->type);
 *     work->packed = oc__bump_take(b, n, sizeof(float));
 */
#ifndef OC_OPS_NN_H
#define OC_OPS_NN_H

#include "ops/op.h"

/* ---- scratch ---------------------------------------------------------------
 */

typedef struct oc__bump {
    char *base; /* NULL: only counting */
    size_t used;
    int overflow;
} oc__bump;

oc__bump oc__bump_counter(void);
oc__bump oc__bump_cutter(const oc__ctx *c);
/** count elements, aligned to 64; NULL while counting. */
void *oc__bump_take(oc__bump *b, int64_t count, size_t elem_bytes);
/** In infer(): asks for what was counted; E_LIMIT when it is too much. */
oc_status oc__bump_need(oc__ctx *c, const oc__bump *b);

/* ---- computing types
 * --------------------------------------------------------- */

/** F64 for f64 tensors, else F32. */
oc_dtype oc__real_of(oc_dtype dtype);
/**
 * Input i in the computing type: its own data, or a converted copy in
 * scratch.  NULL when absent and while counting.
 */
const void *oc__real_in(oc__ctx *c, oc__bump *b, int i, oc_dtype real);
/** The same for any tensor; t may be NULL. */
const void *oc__real_tensor(oc__ctx *c, oc__bump *b, const oc_tensor *t,
                            oc_dtype real);
/**
 * Where to compute output i, which has n elements of type dtype: in place or
 * in scratch.  NULL when it is not wanted and while counting.
 */
void *oc__real_out(oc__ctx *c, oc__bump *b, int i, oc_dtype dtype, int64_t n,
                   oc_dtype real);
/** Rounds what stands at `from` into output i, if it is not there already. */
void oc__real_done(oc__ctx *c, int i, const void *from, oc_dtype real);
/** n elements from one floating type to another, in threads. */
void oc__real_convert(const oc__ctx *c, oc_dtype from, const void *x,
                      oc_dtype to, void *y, int64_t n);
/** One value rounded to a floating type's precision. */
double oc__real_round(double v, oc_dtype dtype);

/* ---- matrix products
 * ---------------------------------------------------------- */

/*
 * C (m, n) = A (m, k) B (k, n), B packed once for many products.  The f64
 * form is plain loops; its packed B is row-major.  Both run on the caller
 * alone when pool is NULL.
 */
typedef struct oc__lin {
    const oc__kernels *kernels;
    oc__pool *pool;
    void *scratch; /* oc__lin_*_scratch() bytes, aligned to 64 */
} oc__lin;

size_t oc__lin_f32_packed(const oc__kernels *kt, int64_t k, int64_t n);
size_t oc__lin_f64_packed(const oc__kernels *kt, int64_t k, int64_t n);
size_t oc__lin_f32_scratch(const oc__kernels *kt, int64_t m, int64_t n,
                           int64_t k, int threads);
size_t oc__lin_f64_scratch(const oc__kernels *kt, int64_t m, int64_t n,
                           int64_t k, int threads);
void oc__lin_f32_pack(const oc__lin *l, int64_t k, int64_t n, const float *b,
                      int64_t row, int64_t col, float *packed);
void oc__lin_f64_pack(const oc__lin *l, int64_t k, int64_t n, const double *b,
                      int64_t row, int64_t col, double *packed);
void oc__lin_f32(const oc__lin *l, int64_t m, int64_t n, int64_t k, float alpha,
                 const float *a, int64_t a_row, int64_t a_col,
                 const float *packed, float *c, int64_t c_row);
void oc__lin_f64(const oc__lin *l, int64_t m, int64_t n, int64_t k,
                 double alpha, const double *a, int64_t a_row, int64_t a_col,
                 const double *packed, double *c, int64_t c_row);

/* ---- activations
 * ----------------------------------------------------------------- */

/** y[i] = act(x[i]) in f64, for the f64 forms of fused operators. */
void oc__act_f64(oc__act_args act, const double *x, double *y, int64_t n);
/**
 * Activation of a fused operator by its ONNX name ("Relu", "LeakyRelu", ...)
 * with its parameters as com.microsoft orders them; "" is none.
 */
oc_status oc__act_parse(const oc__ctx *c, const char *name, const float *params,
                        size_t n, oc__act_args *out);

#endif
