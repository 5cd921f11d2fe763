/*
 * op.h - what an operator is: a shape rule and a run function.
 *
 * infer() declares the outputs' types and shapes from the inputs' ones; run()
 * computes.  Both see the same context.  infer() is called while planning,
 * when input shapes are known but data only for constants; an op whose shape
 * depends on data asks with OC_NEED_DATA(c, i) and is called again at run
 * time when the data was not there ("deferred").  An op that only knows its
 * output's shape after computing carries OC_OP_DYNAMIC and allocates its
 * outputs itself with oc__out_alloc().  An output that infer() leaves
 * undeclared (a sequence through Identity, say) is as in a DYNAMIC op: run()
 * fills its slot, oc__out_value().
 *
 * Strings: run() of an op with a declared string output writes elements that
 * may point at the characters of its inputs, of attributes or of scratch.
 * The caller of run() copies the characters before any of these goes away,
 * so operators that only move elements need not know that they are strings.
 *
 *     static oc_status infer_flatten(oc__ctx *c) {
 *         const oc_tensor *x = oc__in(c, 0);
 *         ...
 *         return oc__out_set(c, 0, x->dtype, 2, dims);
 *     }
 *
 * Rules: run() allocates nothing on the static path (ask for scratch in
 * infer() with oc__scratch_need()); it never trusts data it did not check;
 * attributes are checked in infer().  Results must not depend on the number
 * of threads.
 */
#ifndef OC_OPS_OP_H
#define OC_OPS_OP_H

#include "base/rng.h"
#include "cpu/pool.h"
#include "graph/graph.h"
#include "kernels/kernels.h"

typedef struct oc__ctx oc__ctx;

/** infer() met data that is not known yet.  Never leaves the library. */
#define OC__DEFER ((oc_status)1000)

enum {
    /* Output shapes are known only after run(); it calls oc__out_alloc(). */
    OC_OP_DYNAMIC = 1 << 0,
    /* Output 0 is input 0 with another shape: no data moves.  run() is not
       called when the plan makes it a view; it must still copy when called. */
    OC_OP_VIEW = 1 << 1,
    /* Output 0 may be written over input 0 when shapes and types agree (the
       op reads element i of input 0 only before writing element i). */
    OC_OP_INPLACE = 1 << 2,
    /* Not a function of its inputs alone (random, ...): never folded, never
       merged. */
    OC_OP_IMPURE = 1 << 3,
    /* Folding would blow the file up for nothing (Expand, Tile, ...). */
    OC_OP_NO_FOLD_LARGE = 1 << 4,
    /* run() reads the inputs' shapes, never their data (Shape, Size): it may
       run while planning, as soon as the shapes are known. */
    OC_OP_SHAPE_ONLY = 1 << 5,
    /* One input, one output, which no infer() looks into: folding may put off
       the run, and have several of them at once. */
    OC_OP_PACK = 1 << 6,
    /* Output k, for every k, may be written over input k when shapes and types
       agree (element i of it is read only before it is written). */
    OC_OP_UPDATE = 1 << 7,
    /* Output 0 is the inputs one behind the other along the attribute axis, or
       input 0 the outputs: where nothing stands before that axis the plan may
       lay each part into the whole.  run() moves what does not lie there. */
    OC_OP_JOIN = 1 << 8,
    OC_OP_PART = 1 << 9,
};

typedef struct oc__op {
    const char *domain; /* "" is ai.onnx; "ocelli" is ours */
    const char *name;
    int since;          /* first opset version served */
    int min_in, max_in; /* max -1: variadic */
    int max_out;        /* -1: variadic */
    unsigned flags;
    int kind; /* tells apart ops that share functions */
    oc_status (*infer)(oc__ctx *c);
    oc_status (*run)(oc__ctx *c);
    /** Floating point operations of one run; NULL: not counted. */
    double (*flops)(const oc__ctx *c);
} oc__op;

/** A family's table ends with an entry whose name is NULL. */
#define OC_OP_FAMILY(name) extern const oc__op oc__ops_##name[];
#include "ops/families.def"
#undef OC_OP_FAMILY

/** The op, or NULL.  domain "ai.onnx" is taken as "". */
const oc__op *oc__op_find(const char *domain, const char *name);
/** Finds or explains: E_UNSUPPORTED names node, op, domain and version. */
oc_status oc__op_require(const oc__op **out, const char *domain,
                         const char *name, int version, const char *node_name,
                         oc_error *err);

struct oc__ctx {
    const oc__node *node;
    const oc__op *op;
    const oc__kernels *kernels;
    oc__pool *pool; /* may be NULL */
    int threads;    /* of pool, known in infer() too */
    const oc_allocator *allocator;
    oc_error *err;
    int n_in, n_out; /* explicit ones */
    oc_value **in;   /* [n_in]; NULL: absent */
    oc_value **out;  /* [n_out]; NULL: not wanted */
    int inferring;   /* in infer() while planning: data may be unknown */
    void *scratch;   /* aligned to 64; size as asked in infer() */
    size_t scratch_bytes;
    oc__rng *rng; /* the session's random state, for impure ops */
    /* Sub-graphs: runs node attribute graph g with args (explicit inputs of
       g), results moved into results[n] (clear before).  Captures are bound
       by the runtime.  NULL while planning. */
    oc_status (*run_graph)(oc__ctx *c, const oc__graph *g, const oc_value *args,
                           int n_args, oc_value *results, int n_results);
    void *runtime; /* the runtime's own */
};

/* ---- inputs ---------------------------------------------------------------
 */

/** Tensor of input i; NULL when absent or not a tensor. */
const oc_tensor *oc__in(const oc__ctx *c, int i);
/** Value of input i; NULL when absent. */
const oc_value *oc__in_value(const oc__ctx *c, int i);
/** Whether the data of input i is there (always at run time). */
int oc__in_known(const oc__ctx *c, int i);
/** In infer(): defers until the data of input i is known. */
#define OC_NEED_DATA(c, i)                                                     \
    do {                                                                       \
        if (!oc__in_known((c), (i))) return OC__DEFER;                         \
    } while (0)

/**
 * Reads a 1-D or scalar integer input (i32 or i64) into out[max]; *count
 * receives its length.  Fails when it is longer than max.  The data must be
 * known.
 */
oc_status oc__in_ints(const oc__ctx *c, int i, int64_t *out, int max,
                      int *count);
/** Reads a one-element input of any numeric type as double. */
oc_status oc__in_scalar(const oc__ctx *c, int i, double *out);
/** Axis in -rank..rank-1 to 0..rank-1; E_SHAPE otherwise. */
oc_status oc__axis(const oc__ctx *c, int64_t axis, int rank, int *out);

/** Product of the first n dims of a tensor. */
int64_t oc__count(const int64_t *dims, int n);
/**
 * A tensor as (outer, length, inner): the dims before an axis, the axis, and
 * the dims behind it.  All 1 for a scalar.
 */
typedef struct oc__axis_view {
    int64_t outer, length, inner;
} oc__axis_view;
oc__axis_view oc__axis_split(const int64_t *dims, int rank, int axis);

/** Masks of dtypes for oc__want(). */
#define OC_T(d)  (1u << OC_DTYPE_##d)
#define OC_T_F   (OC_T(F16) | OC_T(BF16) | OC_T(F32) | OC_T(F64))
#define OC_T_I   (OC_T(I8) | OC_T(I16) | OC_T(I32) | OC_T(I64))
#define OC_T_U   (OC_T(U8) | OC_T(U16) | OC_T(U32) | OC_T(U64))
#define OC_T_ANY 0xffffffffu
/** Input i must be a present tensor with a dtype in mask. */
oc_status oc__want(const oc__ctx *c, int i, uint32_t mask);
/** Input i must be a present tensor of rank lo..hi. */
oc_status oc__want_rank(const oc__ctx *c, int i, int lo, int hi);

/* ---- outputs --------------------------------------------------------------
 */

/** In infer(): declares tensor output i.  Unwanted outputs are ignored. */
oc_status oc__out_set(oc__ctx *c, int i, oc_dtype dtype, int rank,
                      const int64_t *dims);
/** The same shape and type as tensor t. */
oc_status oc__out_like(oc__ctx *c, int i, const oc_tensor *t);
/** In run() of a DYNAMIC op: allocates tensor output i. */
oc_status oc__out_alloc(oc__ctx *c, int i, oc_dtype dtype, int rank,
                        const int64_t *dims, oc_tensor **out);
/** In run(): tensor of output i, or NULL when it is not wanted. */
oc_tensor *oc__out(const oc__ctx *c, int i);
/** In run() of a DYNAMIC op: the output slot, to fill with value.h calls. */
oc_value *oc__out_value(const oc__ctx *c, int i);

/** In infer(): asks for scratch; the largest call wins. */
void oc__scratch_need(oc__ctx *c, size_t bytes);

/** "Conv: ..." with the node's name into c->err. */
oc_status oc__op_fail(const oc__ctx *c, oc_status status, const char *format,
                      ...) OC_PRINTF(3, 4);

/* ---- loops ----------------------------------------------------------------
 */

/**
 * Numpy broadcasting: dims of the result of two shapes.  E_SHAPE when they do
 * not fit.  out_dims has OC_MAX_RANK entries.
 */
oc_status oc__broadcast(const oc__ctx *c, const oc_tensor *a,
                        const oc_tensor *b, int *rank, int64_t *out_dims);
/** Element strides of t seen in an out of this rank; 0 where it repeats. */
void oc__broadcast_strides(const oc_tensor *t, int rank, const int64_t *dims,
                           int64_t *strides);
/** Row-major strides of a shape, in elements. */
void oc__strides(int rank, const int64_t *dims, int64_t *strides);
/**
 * Divides n items among the pool in ranges of at least `grain` and calls
 * fn(user, begin, end, worker).  For elementwise loops grain is about 16384.
 */
void oc__parallel(const oc__ctx *c, int64_t n, int64_t grain,
                  void (*fn)(void *user, int64_t begin, int64_t end,
                             int worker),
                  void *user);

#endif
