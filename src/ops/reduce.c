/*
 * reduce.c - ReduceSum and its nine relatives.
 *
 * Neighbouring dimensions with the same fate are merged, so that kept and
 * reduced ones alternate.  What remains is one of two loops:
 *
 *   the innermost dimension is reduced: one result at a time, from runs of
 *   contiguous elements;
 *   the innermost dimension is kept: a strip of neighbouring results at a
 *   time, each element of the input read once.
 *
 * Floats are summed in f64, integers modulo 2^64, so that the order of the
 * sums, which is fixed, hardly matters either.
 */
#include "ops/reduce.h"

#include "ops/lanes.h"
#include "ops/walk.h"

#include <math.h>
#include <string.h>

enum reduce_kind {
    K_SUM,
    K_MEAN,
    K_L1,
    K_L2,
    K_SUM_SQUARE,
    K_LOG_SUM,
    K_LOG_SUM_EXP,
    K_MAX,
    K_MIN,
    K_PROD,
};

/* How elements enter an accumulator. */
enum step_kind { S_SUM, S_ABS, S_SQUARE, S_EXP, S_MAX, S_MIN, S_PROD };

enum { STRIP = 128 };

typedef union strip {
    double f64[STRIP];
    int64_t i64[STRIP];
    uint64_t u64[STRIP];
} strip;

typedef struct reduce_job {
    const oc__kernels *kt;
    int kind;
    oc_dtype dtype;
    const void *x;
    void *y;
    int64_t count;          /* elements that make one result */
    int64_t total;          /* results */
    oc__walk kept, reduced; /* both walk x: offsets are elements of x */
    int strips;             /* the innermost dimension is kept */
} reduce_job;

/* ---- which axes ---------------------------------------------------------- */

static int axes_are_input(const oc__ctx *c) {
    return c->op->kind == K_SUM ? c->node->version >= 13
                                : c->node->version >= 18;
}

/* Marks the axes to reduce.  All, when none are given, unless noop. */
static oc_status read_axes(const oc__ctx *c, int rank, int *reduced) {
    int64_t list[64];
    const int64_t *axes = list;
    size_t n = 0;
    for (int i = 0; i < rank; i++)
        reduced[i] = 0;
    if (axes_are_input(c)) {
        int count = 0;
        if (oc__in_value(c, 1))
            OC_TRY(oc__in_ints(c, 1, list, (int)OC_COUNT(list), &count));
        n = (size_t)count;
    } else {
        axes = oc__attr_ints(c->node, "axes", &n);
    }
    if (!n && !oc__attr_int(c->node, "noop_with_empty_axes", 0))
        for (int i = 0; i < rank; i++)
            reduced[i] = 1;
    for (size_t i = 0; i < n; i++) {
        int axis;
        if (rank == 0 && (axes[i] == 0 || axes[i] == -1)) continue;
        OC_TRY(oc__axis(c, axes[i], rank, &axis));
        reduced[axis] = 1;
    }
    return OC_OK;
}

static uint32_t mask_of(int kind) {
    if (kind == K_MAX || kind == K_MIN)
        return OC_T_F | OC_T_I | OC_T_U | OC_T(BOOL);
    return OC_T_F | OC_T_I | OC_T_U;
}

static oc_status infer_reduce(oc__ctx *c) {
    int reduced[OC_MAX_RANK], rank = 0;
    int64_t dims[OC_MAX_RANK];
    OC_TRY(oc__want(c, 0, mask_of(c->op->kind)));
    const oc_tensor *x = oc__in(c, 0);
    if (axes_are_input(c)) OC_NEED_DATA(c, 1);
    OC_TRY(read_axes(c, x->rank, reduced));
    int keep = oc__attr_int(c->node, "keepdims", 1) != 0;
    for (int i = 0; i < x->rank; i++) {
        if (!reduced[i])
            dims[rank++] = x->dims[i];
        else if (keep)
            dims[rank++] = 1;
    }
    return oc__out_set(c, 0, x->dtype, rank, dims);
}

/* ---- accumulating -------------------------------------------------------- */

#define ACCUMULATE(field, expr)                                                \
    for (int64_t i = 0; i < n; i++)                                            \
        acc->field[i] = (expr);                                                \
    break

/* Strip loops: results i .. of the strip take one element each. */
static void strip_f64(int step, strip *acc, const double *x, const double *most,
                      int64_t n) {
    switch (step) {
    case S_SUM: ACCUMULATE(f64, acc->f64[i] + x[i]);
    case S_ABS: ACCUMULATE(f64, acc->f64[i] + fabs(x[i]));
    case S_SQUARE: ACCUMULATE(f64, acc->f64[i] + x[i] * x[i]);
    case S_EXP: ACCUMULATE(f64, acc->f64[i] + exp(x[i] - most[i]));
    case S_PROD: ACCUMULATE(f64, acc->f64[i] * x[i]);
    case S_MAX:
        ACCUMULATE(f64, acc->f64[i] >= x[i] || acc->f64[i] != acc->f64[i]
                            ? acc->f64[i]
                            : x[i]);
    default:
        ACCUMULATE(f64, acc->f64[i] <= x[i] || acc->f64[i] != acc->f64[i]
                            ? acc->f64[i]
                            : x[i]);
    }
}

#define U(v) (uint64_t)(v)

static void strip_i64(int step, strip *acc, const int64_t *x, int64_t n) {
    switch (step) {
    case S_SUM: ACCUMULATE(u64, acc->u64[i] + U(x[i]));
    case S_ABS:
        ACCUMULATE(u64, acc->u64[i] + (x[i] < 0 ? 0 - U(x[i]) : U(x[i])));
    case S_SQUARE: ACCUMULATE(u64, acc->u64[i] + U(x[i]) * U(x[i]));
    case S_PROD: ACCUMULATE(u64, acc->u64[i] * U(x[i]));
    case S_MAX: ACCUMULATE(i64, OC_MAX(acc->i64[i], x[i]));
    default: ACCUMULATE(i64, OC_MIN(acc->i64[i], x[i]));
    }
}

static void strip_u64(int step, strip *acc, const uint64_t *x, int64_t n) {
    switch (step) {
    case S_SUM:
    case S_ABS: ACCUMULATE(u64, acc->u64[i] + x[i]);
    case S_SQUARE: ACCUMULATE(u64, acc->u64[i] + x[i] * x[i]);
    case S_PROD: ACCUMULATE(u64, acc->u64[i] * x[i]);
    case S_MAX: ACCUMULATE(u64, OC_MAX(acc->u64[i], x[i]));
    default: ACCUMULATE(u64, OC_MIN(acc->u64[i], x[i]));
    }
}

static void start_strip(oc__wide wide, int step, strip *acc, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        if (wide == OC_WIDE_F32 || wide == OC_WIDE_F64)
            acc->f64[i] = step == S_MAX    ? -(double)INFINITY
                          : step == S_MIN  ? (double)INFINITY
                          : step == S_PROD ? 1
                                           : 0;
        else if (step == S_MAX)
            acc->i64[i] = wide == OC_WIDE_U64 ? 0 : INT64_MIN;
        else if (step == S_MIN)
            acc->i64[i] = wide == OC_WIDE_U64 ? -1 : INT64_MAX;
        else
            acc->i64[i] = step == S_PROD;
    }
}

/* n <= STRIP elements of x from `at`; floats as doubles. */
static const void *load(const reduce_job *j, int64_t at, int64_t n,
                        oc__lanes *buffer, double *wide) {
    const void *x = oc__lanes_load(j->kt, j->dtype, j->x, at, n, buffer);
    if (oc__wide_of(j->dtype) != OC_WIDE_F32) return x;
    const float *f = x;
    for (int64_t i = 0; i < n; i++)
        wide[i] = f[i];
    return wide;
}

static void take(const reduce_job *j, int step, strip *acc, const strip *most,
                 int64_t at, int64_t n) {
    oc__lanes buffer;
    double wide[STRIP];
    const void *x = load(j, at, n, &buffer, wide);
    switch (oc__wide_of(j->dtype)) {
    case OC_WIDE_F32:
    case OC_WIDE_F64:
        strip_f64(step, acc, x, most ? most->f64 : NULL, n);
        break;
    case OC_WIDE_U64: strip_u64(step, acc, x, n); break;
    default: strip_i64(step, acc, x, n); break;
    }
}

/* One strip of results over all reduced elements, for each of which the
   strip's elements lie side by side from `base` on. */
static void reduce_strip(const reduce_job *j, int step, strip *acc,
                         const strip *most, int64_t base, int64_t n) {
    oc__walk_pos p;
    start_strip(oc__wide_of(j->dtype), step, acc, n);
    for (oc__walk_seek(&j->reduced, 0, j->count, &p); p.n;
         oc__walk_next(&j->reduced, &p))
        for (int64_t i = 0; i < p.n; i++)
            take(j, step, acc, most,
                 base + p.offset[0] + i * j->reduced.step[0], n);
}

/* Folds a strip of partial results into acc[0]. */
static void fold(oc__wide wide, int step, strip *acc, const strip *part,
                 int64_t n) {
    /* Partial sums of squares, of absolute values ... are just summed. */
    int join = step == S_MAX || step == S_MIN || step == S_PROD ? step : S_SUM;
    strip one;
    for (int64_t i = 0; i < n; i++) {
        one.u64[0] = part->u64[i];
        if (wide == OC_WIDE_F32 || wide == OC_WIDE_F64)
            strip_f64(join, acc, one.f64, NULL, 1);
        else if (wide == OC_WIDE_U64)
            strip_u64(join, acc, one.u64, 1);
        else
            strip_i64(join, acc, one.i64, 1);
    }
}

/* The kernels reduce rows of f32; products and exponentials they leave. */
static int row_kernel(const reduce_job *j, int step, oc__reduce *op) {
    static const oc__reduce of[] = {
        [S_SUM] = OC_REDUCE_SUM,      [S_ABS] = OC_REDUCE_SUMABS,
        [S_SQUARE] = OC_REDUCE_SUMSQ, [S_MAX] = OC_REDUCE_MAX,
        [S_MIN] = OC_REDUCE_MIN,
    };
    if (j->dtype != OC_DTYPE_F32 || step == S_EXP || step == S_PROD) return 0;
    *op = of[step];
    return 1;
}

/* One result from runs that start at `base`: lane i of the strip takes every
   STRIP-th element, and the lanes are folded at the end. */
static void reduce_run(const reduce_job *j, int step, strip *acc,
                       const strip *most, int64_t base) {
    oc__wide wide = oc__wide_of(j->dtype);
    oc__walk_pos p;
    oc__reduce op;
    strip part, spread;
    int fast = row_kernel(j, step, &op);
    int64_t lanes = fast ? 1 : OC_MIN(STRIP, j->count);
    start_strip(wide, step, acc, 1);
    start_strip(wide, step, &part, lanes);
    for (int i = 0; most && i < lanes; i++)
        spread.f64[i] = most->f64[0];
    for (oc__walk_seek(&j->reduced, 0, j->count, &p); p.n;
         oc__walk_next(&j->reduced, &p)) {
        int64_t at = base + p.offset[0];
        if (fast) {
            const float *x = j->x;
            part.f64[0] = j->kt->reduce_f32(op, x + at, (size_t)p.n);
            fold(wide, step, acc, &part, 1);
            continue;
        }
        for (int64_t i = 0; i < p.n; i += STRIP)
            take(j, step, &part, most ? &spread : NULL, at + i,
                 OC_MIN(STRIP, p.n - i));
    }
    if (!fast) fold(wide, step, acc, &part, lanes);
}

/* ---- results ------------------------------------------------------------- */

static int step_of(int kind) {
    switch (kind) {
    case K_L1: return S_ABS;
    case K_L2:
    case K_SUM_SQUARE: return S_SQUARE;
    case K_LOG_SUM_EXP: return S_EXP;
    case K_MAX: return S_MAX;
    case K_MIN: return S_MIN;
    case K_PROD: return S_PROD;
    default: return S_SUM;
    }
}

static double finish_f64(const reduce_job *j, double v, double most) {
    switch (j->kind) {
    case K_MEAN: return v / (double)j->count;
    case K_L2: return sqrt(v);
    case K_LOG_SUM: return log(v);
    case K_LOG_SUM_EXP: return log(v) + most;
    default: return v;
    }
}

/* Integer results of real functions are cut, as a cast would. */
static int64_t finish_i64(const reduce_job *j, int64_t v) {
    double d = j->dtype == OC_DTYPE_U64 ? (double)(uint64_t)v : (double)v;
    switch (j->kind) {
    case K_MEAN:
        if (!j->count) return 0;
        if (j->dtype == OC_DTYPE_U64)
            return (int64_t)((uint64_t)v / (uint64_t)j->count);
        return v / j->count;
    case K_L2: return oc__f64_to_i64(sqrt(d));
    case K_LOG_SUM: return oc__f64_to_i64(log(d));
    default: return v;
    }
}

static void finish(const reduce_job *j, strip *acc, const strip *most,
                   int64_t at, int64_t n) {
    oc__wide wide = oc__wide_of(j->dtype);
    if (wide == OC_WIDE_F32 || wide == OC_WIDE_F64) {
        for (int64_t i = 0; i < n; i++)
            acc->f64[i] = finish_f64(j, acc->f64[i], most->f64[i]);
        oc__lanes_store_f64(j->kt, j->dtype, j->y, at, n, acc->f64);
        return;
    }
    for (int64_t i = 0; i < n; i++)
        acc->i64[i] = finish_i64(j, acc->i64[i]);
    /* An empty maximum is the narrow type's least value, not int64's. */
    if (!j->count && (j->kind == K_MAX || j->kind == K_MIN)) {
        int64_t lo = 0;
        uint64_t hi = 1;
        if (j->dtype != OC_DTYPE_BOOL) oc__dtype_int_range(j->dtype, &lo, &hi);
        for (int64_t i = 0; i < n; i++)
            acc->i64[i] = j->kind == K_MAX ? lo : (int64_t)hi;
    }
    oc__lanes_store(j->kt, j->dtype, j->y, at, n, acc);
}

/* log(sum exp x) of integers: rare enough to do it element by element. */
static void log_sum_exp_int(const reduce_job *j, int64_t base, int64_t at) {
    oc_tensor x = {.dtype = j->dtype, .data = (void *)j->x};
    double most = -(double)INFINITY, sum = 0;
    oc__walk_pos p;
    for (int pass = 0; pass < 2; pass++) {
        for (oc__walk_seek(&j->reduced, 0, j->count, &p); p.n;
             oc__walk_next(&j->reduced, &p)) {
            for (int64_t i = 0; i < p.n; i++) {
                int64_t k = base + p.offset[0] + i * j->reduced.step[0];
                double v = oc__tensor_get_f64(&x, k);
                if (pass)
                    sum += exp(v - most);
                else
                    most = OC_MAX(most, v);
            }
        }
    }
    sum = log(sum) + most;
    oc__lanes_store_f64(j->kt, j->dtype, j->y, at, 1, &sum);
}

/* Subtracting an infinite maximum would make NaN of Inf - Inf. */
static void only_finite(strip *most, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        if (isinf(most->f64[i])) most->f64[i] = 0;
}

static void reduce_range(void *user, int64_t begin, int64_t end, int worker) {
    const reduce_job *j = user;
    int step = step_of(j->kind), exps = step == S_EXP;
    oc__wide wide = oc__wide_of(j->dtype);
    oc__walk_pos p;
    strip acc, most = {{0}};
    (void)worker;
    for (oc__walk_seek(&j->kept, begin, end, &p); p.n;
         oc__walk_next(&j->kept, &p)) {
        int64_t width = j->strips ? STRIP : 1;
        for (int64_t i = 0; i < p.n; i += width) {
            int64_t n = OC_MIN(width, p.n - i);
            int64_t base = p.offset[0] + i * j->kept.step[0];
            if (exps && wide != OC_WIDE_F32 && wide != OC_WIDE_F64) {
                for (int64_t k = 0; k < n; k++)
                    log_sum_exp_int(j, base + k * j->kept.step[0],
                                    p.at + i + k);
                continue;
            }
            if (j->strips) {
                if (exps) reduce_strip(j, S_MAX, &most, NULL, base, n);
                if (exps) only_finite(&most, n);
                reduce_strip(j, step, &acc, exps ? &most : NULL, base, n);
            } else {
                if (exps) reduce_run(j, S_MAX, &most, NULL, base);
                if (exps) only_finite(&most, 1);
                reduce_run(j, step, &acc, exps ? &most : NULL, base);
            }
            finish(j, &acc, &most, p.at + i, n);
        }
    }
}

/* Two walks over x: one through the kept dimensions, one through the others.
   The walk's merging joins neighbours of the same fate. */
static void plan(const oc_tensor *x, const int *reduced, reduce_job *j) {
    int64_t strides[OC_MAX_RANK], dims[2][OC_MAX_RANK], steps[2][OC_MAX_RANK];
    int rank[2] = {0, 0};
    oc__strides(x->rank, x->dims, strides);
    for (int i = 0; i < x->rank; i++) {
        int r = reduced[i] != 0;
        dims[r][rank[r]] = x->dims[i];
        steps[r][rank[r]++] = strides[i];
    }
    oc__walk *w[2] = {&j->kept, &j->reduced};
    for (int r = 0; r < 2; r++) {
        oc__walk_init(w[r], rank[r], dims[r]);
        oc__walk_add_strides(w[r], steps[r]);
        oc__walk_merge(w[r]);
    }
    j->total = j->kept.total;
    j->count = j->reduced.total;
    /* Runs need reduced elements side by side, strips kept ones.  Nothing to
       reduce (one element each) is a strip: everything is side by side. */
    j->strips = j->count == 1 || j->reduced.step[0] != 1;
    if (j->kept.step[0] != 1 && j->strips && j->total > 1) j->strips = 0;
}

static void reduce(const oc__ctx *c, int kind, const oc_tensor *x,
                   const int *reduced, oc_tensor *y) {
    reduce_job j;
    j.kt = c->kernels;
    j.kind = kind;
    j.dtype = x->dtype;
    j.x = x->data;
    j.y = y->data;
    plan(x, reduced, &j);
    oc__parallel(c, j.total, 16384 / (j.count + 1) + 1, reduce_range, &j);
}

void oc__reduce_sum(const oc__ctx *c, const oc_tensor *x, const int *reduced,
                    oc_tensor *y) {
    reduce(c, K_SUM, x, reduced, y);
}

static oc_status run_reduce(oc__ctx *c) {
    const oc_tensor *x = oc__in(c, 0);
    int reduced[OC_MAX_RANK];
    OC_TRY(read_axes(c, x->rank, reduced));
    reduce(c, c->op->kind, x, reduced, oc__out(c, 0));
    return OC_OK;
}

static double flops_reduce(const oc__ctx *c) {
    return (double)oc_tensor_elems(oc__in(c, 0));
}

#define REDUCE(name, kind)                                                     \
    { "", name, 1, 1, 2, 1, 0, kind, infer_reduce, run_reduce, flops_reduce }

const oc__op oc__ops_reduce[] = {
    REDUCE("ReduceSum", K_SUM),
    REDUCE("ReduceMean", K_MEAN),
    REDUCE("ReduceL1", K_L1),
    REDUCE("ReduceL2", K_L2),
    REDUCE("ReduceSumSquare", K_SUM_SQUARE),
    REDUCE("ReduceLogSum", K_LOG_SUM),
    REDUCE("ReduceLogSumExp", K_LOG_SUM_EXP),
    REDUCE("ReduceMax", K_MAX),
    REDUCE("ReduceMin", K_MIN),
    REDUCE("ReduceProd", K_PROD),
    {0},
};
