/*
 * binary.c - operators of two operands with broadcasting: arithmetic,
 * comparison, logic, bits; and the variadic Sum, Mean, Max, Min, which fold
 * their operands one by one.
 */
#include "ops/binary.h"

#include "ops/lanes.h"
#include "ops/op.h"
#include "ops/walk.h"

#include <string.h>

typedef struct binary_job {
    const oc__kernels *kt;
    oc__walk w;
    int kind;
    oc_dtype a_type, b_type, y_type;
    const void *a, *b;
    void *y;
    oc__binary_fn *fn; /* NULL: the kernel does it */
    oc__binary kernel;
    int to_bool; /* fn writes bytes, not wide elements */
    int direct;  /* nothing needs converting */
    /* Operand `repeat` (-1: none) is a vector of `period` elements that comes
       again and again along the innermost dimension: merge_repeats(). */
    int repeat;
    int64_t period;
} binary_job;

static const void *at(const void *data, oc_dtype d, int64_t i) {
    return (const char *)data + (size_t)i * oc_dtype_bytes(d);
}

static void call(const binary_job *j, const void *a, size_t a_step,
                 const void *b, size_t b_step, void *y, size_t n) {
    if (j->fn)
        j->fn(a, a_step, b, b_step, y, n);
    else
        j->kt->binary_f32(j->kernel, a, a_step, b, b_step, y, n);
}

/* Both operands f32 (or wide) and used where they lie: one call a run. */
static void run_direct(const binary_job *j, const oc__walk_pos *p) {
    size_t n = (size_t)p->n;
    size_t a_step = (size_t)j->w.step[0], b_step = (size_t)j->w.step[1];
    const void *a = at(j->a, j->a_type, p->offset[0]);
    const void *b = at(j->b, j->b_type, p->offset[1]);
    void *y = (char *)j->y + (size_t)p->at * oc_dtype_bytes(j->y_type);
    call(j, a, a_step, b, b_step, y, n);
}

/* A short vector against a long run: it is written out a few times, and the
   run handled in pieces of that length. */
static void run_repeat(const binary_job *j, const oc__walk_pos *p) {
    double strip[256];
    size_t size = oc_dtype_bytes(j->a_type);
    size_t out = j->to_bool ? 1 : size;
    int r = j->repeat;
    const char *vector = at(r ? j->b : j->a, j->a_type, p->offset[r]);
    const char *run = at(r ? j->a : j->b, j->a_type, p->offset[!r]);
    char *y = (char *)j->y + (size_t)p->at * out;
    int64_t phase = p->index[j->w.rank - 1] % j->period;
    int64_t times = (int64_t)(sizeof(strip) / size) / j->period;
    times = OC_MIN(times, (phase + p->n) / j->period + 1);
    for (int64_t k = 0; k < times; k++)
        memcpy((char *)strip + (size_t)(k * j->period) * size, vector,
               (size_t)j->period * size);
    for (int64_t i = 0; i < p->n; phase = 0) {
        int64_t n = OC_MIN(times * j->period - phase, p->n - i);
        const char *v = (const char *)strip + (size_t)phase * size;
        const char *u = run + (size_t)i * size;
        call(j, r ? u : v, 1, r ? v : u, 1, y + (size_t)i * out, (size_t)n);
        i += n;
    }
}

static void run_lanes(const binary_job *j, const oc__walk_pos *p) {
    oc__lanes la, lb, ly;
    int64_t sa = j->w.step[0], sb = j->w.step[1];
    for (int64_t i = 0; i < p->n; i += OC_LANES) {
        int64_t n = OC_MIN(OC_LANES, p->n - i);
        const void *a = oc__lanes_load(j->kt, j->a_type, j->a,
                                       p->offset[0] + i * sa, sa ? n : 1, &la);
        const void *b = oc__lanes_load(j->kt, j->b_type, j->b,
                                       p->offset[1] + i * sb, sb ? n : 1, &lb);
        if (j->to_bool) {
            j->fn(a, (size_t)sa, b, (size_t)sb, (uint8_t *)j->y + p->at + i,
                  (size_t)n);
            continue;
        }
        void *y = oc__lanes_target(j->y_type, j->y, p->at + i, &ly);
        call(j, a, (size_t)sa, b, (size_t)sb, y, (size_t)n);
        oc__lanes_store(j->kt, j->y_type, j->y, p->at + i, n, y);
    }
}

static void binary_range(void *user, int64_t begin, int64_t end, int worker) {
    const binary_job *j = user;
    oc__walk_pos p;
    (void)worker;
    for (oc__walk_seek(&j->w, begin, end, &p); p.n; oc__walk_next(&j->w, &p)) {
        if (j->repeat >= 0)
            run_repeat(j, &p);
        else if (j->direct)
            run_direct(j, &p);
        else
            run_lanes(j, &p);
    }
}

/* ---- shapes -------------------------------------------------------------- */

/*
 * Before opset 7 the second operand was laid over a contiguous part of the
 * first one's dimensions: those from `axis` on, or the last ones.  Appending
 * ones turns that into today's rule.
 *
 *     A (2, 3, 4, 5), B (3, 4), axis 1   ->   B (3, 4, 1)
 */
static oc_status old_shape(const oc__ctx *c, const oc_tensor *a, oc_tensor *b) {
    const oc__attr *axis = oc__attr_find(c->node, "axis");
    if (!oc__attr_int(c->node, "broadcast", 0)) {
        if (!oc__tensor_same_shape(a, b))
            return oc__op_fail(c, OC_E_SHAPE,
                               "operands differ in shape and broadcast is 0");
        return OC_OK;
    }
    if (!axis) return OC_OK;
    int first;
    OC_TRY(oc__axis(c, axis->i, a->rank, &first));
    if (first + b->rank > a->rank)
        return oc__op_fail(c, OC_E_SHAPE, "axis %d leaves no room for B",
                           first);
    while (b->rank < a->rank - first)
        b->dims[b->rank++] = 1;
    return OC_OK;
}

/* PRelu had one slope a channel, which lies along dimension 1. */
static void old_slope(const oc_tensor *a, oc_tensor *b) {
    if (b->rank != 1 || a->rank < 2 || b->dims[0] != a->dims[1]) return;
    while (b->rank < a->rank - 1)
        b->dims[b->rank++] = 1;
}

static oc_status shapes(const oc__ctx *c, oc_tensor *a, oc_tensor *b, int *rank,
                        int64_t *dims) {
    *a = *oc__in(c, 0);
    *b = *oc__in(c, 1);
    if (c->node->version < 7 && c->op->kind == OC_BIN_PRELU)
        old_slope(a, b);
    else if (c->node->version < 7)
        OC_TRY(old_shape(c, a, b));
    return oc__broadcast(c, a, b, rank, dims);
}

static int is_comparison(int kind) {
    return kind >= OC_BIN_EQUAL && kind <= OC_BIN_XOR;
}

static uint32_t mask_of(int kind) {
    switch (kind) {
    case OC_BIN_AND:
    case OC_BIN_OR:
    case OC_BIN_XOR: return OC_T(BOOL);
    case OC_BIN_EQUAL:
        return OC_T_F | OC_T_I | OC_T_U | OC_T(BOOL) | OC_T(STRING);
    case OC_BIN_SHIFT_LEFT: return OC_T_U;
    case OC_BIN_BIT_AND:
    case OC_BIN_BIT_OR:
    case OC_BIN_BIT_XOR: return OC_T_I | OC_T_U;
    default: return OC_T_F | OC_T_I | OC_T_U;
    }
}

static oc_status infer_binary(oc__ctx *c) {
    oc_tensor a, b;
    int rank;
    int64_t dims[OC_MAX_RANK];
    uint32_t mask = mask_of(c->op->kind);
    OC_TRY(oc__want(c, 0, mask));
    OC_TRY(oc__want(c, 1, mask));
    OC_TRY(shapes(c, &a, &b, &rank, dims));
    /* Pow's exponent has a type of its own; nothing else mixes. */
    if (a.dtype != b.dtype && c->op->kind != OC_BIN_POW)
        return oc__op_fail(c, OC_E_ARG, "operands are %s and %s",
                           oc_dtype_name(a.dtype), oc_dtype_name(b.dtype));
    if (c->op->kind == OC_BIN_SHIFT_LEFT) {
        const char *d = oc__attr_string(c->node, "direction", "");
        if (strcmp(d, "LEFT") && strcmp(d, "RIGHT"))
            return oc__op_fail(c, OC_E_ARG, "direction is \"%s\"", d);
    }
    if (c->op->kind == OC_BIN_PRELU &&
        (rank != a.rank ||
         memcmp(dims, a.dims, sizeof(int64_t) * (size_t)rank)))
        return oc__op_fail(c, OC_E_SHAPE, "the slope is larger than X");
    return oc__out_set(
        c, 0, is_comparison(c->op->kind) ? OC_DTYPE_BOOL : a.dtype, rank, dims);
}

/* ---- running ------------------------------------------------------------- */

static int kind_of(const oc__ctx *c) {
    int kind = c->op->kind;
    if (kind == OC_BIN_SHIFT_LEFT &&
        oc__attr_string(c->node, "direction", "LEFT")[0] == 'R')
        return OC_BIN_SHIFT_RIGHT;
    if (kind == OC_BIN_MOD && oc__attr_int(c->node, "fmod", 0))
        return OC_BIN_FMOD;
    return kind;
}

static int kernel_of(int kind, oc__binary *out) {
    switch (kind) {
    case OC_BIN_ADD: *out = OC_BINARY_ADD; return 1;
    case OC_BIN_SUB: *out = OC_BINARY_SUB; return 1;
    case OC_BIN_MUL: *out = OC_BINARY_MUL; return 1;
    case OC_BIN_DIV: *out = OC_BINARY_DIV; return 1;
    case OC_BIN_MIN: *out = OC_BINARY_MIN; return 1;
    case OC_BIN_MAX: *out = OC_BINARY_MAX; return 1;
    case OC_BIN_PRELU: *out = OC_BINARY_PRELU; return 1;
    default: return 0;
    }
}

/*
 * Channels last, [pixels][channels] against [1][channels], leave runs of a few
 * elements: calling a kernel for each costs more than it computes.  Where one
 * operand is dense over the last two dimensions and the other the same for
 * each of the outer one, they become a single dimension.
 */
static void merge_repeats(binary_job *j) {
    oc__walk *w = &j->w;
    int last = w->rank - 1;
    j->repeat = -1;
    if (!j->direct || j->a_type != j->b_type || w->rank < 2 ||
        w->dims[last] > 128 || w->dims[last - 1] < 4)
        return;
    for (int r = 0; r < 2; r++) {
        if (w->step[0] != 1 || w->step[1] != 1 ||
            w->strides[r][last - 1] != 0 ||
            w->strides[!r][last - 1] != w->dims[last])
            continue;
        j->repeat = r;
        j->period = w->dims[last];
        w->dims[last - 1] *= j->period;
        w->strides[!r][last - 1] = 1;
        w->rank--;
        w->step[r] = 0;
        return;
    }
}

/* y = a kind b; all shapes broadcast to dims.  a may be y. */
static void start(oc__ctx *c, int kind, const oc_tensor *a, const oc_tensor *b,
                  oc_tensor *y) {
    binary_job j = {0};
    j.kt = c->kernels;
    j.kind = kind;
    j.a_type = a->dtype;
    j.b_type = b->dtype;
    j.y_type = y->dtype;
    j.a = a->data;
    j.b = b->data;
    j.y = y->data;
    j.to_bool = is_comparison(kind);
    oc__wide wide = oc__wide_of(a->dtype);
    if (wide != OC_WIDE_F32 || !kernel_of(kind, &j.kernel))
        j.fn = oc__binary_find(kind, wide, oc__wide_of(b->dtype));
    oc__walk_init(&j.w, y->rank, y->dims);
    oc__walk_add(&j.w, a);
    oc__walk_add(&j.w, b);
    oc__walk_merge(&j.w);
    j.direct = oc__wide_is(j.a_type) && oc__wide_is(j.b_type) &&
               (j.to_bool || oc__wide_is(j.y_type));
    merge_repeats(&j);
    int64_t grain = kind == OC_BIN_POW ? 2048 : 16384;
    oc__parallel(c, j.w.total, grain, binary_range, &j);
}

static int same_string(const oc_string *a, const oc_string *b) {
    return a->bytes == b->bytes &&
           (!a->bytes || !memcmp(a->data, b->data, a->bytes));
}

static void equal_strings(const oc_tensor *a, const oc_tensor *b,
                          oc_tensor *y) {
    oc__walk w;
    oc__walk_pos p;
    uint8_t *out = y->data;
    oc__walk_init(&w, y->rank, y->dims);
    oc__walk_add(&w, a);
    oc__walk_add(&w, b);
    oc__walk_merge(&w);
    for (oc__walk_seek(&w, 0, w.total, &p); p.n; oc__walk_next(&w, &p)) {
        const oc_string *u = (const oc_string *)a->data + p.offset[0];
        const oc_string *v = (const oc_string *)b->data + p.offset[1];
        for (int64_t i = 0; i < p.n; i++)
            out[p.at + i] =
                (uint8_t)same_string(u + i * w.step[0], v + i * w.step[1]);
    }
}

static oc_status run_binary(oc__ctx *c) {
    oc_tensor a, b, *y = oc__out(c, 0);
    int rank;
    int64_t dims[OC_MAX_RANK];
    OC_TRY(shapes(c, &a, &b, &rank, dims));
    if (a.dtype == OC_DTYPE_STRING)
        equal_strings(&a, &b, y);
    else
        start(c, kind_of(c), &a, &b, y);
    return OC_OK;
}

static double flops_out(const oc__ctx *c) {
    const oc_tensor *y = oc__out(c, 0);
    return y ? (double)oc_tensor_elems(y) : 0;
}

/* ---- Sum, Mean, Max, Min ------------------------------------------------- */

static oc_status infer_variadic(oc__ctx *c) {
    oc_tensor t;
    uint32_t mask = c->op->kind == OC_BIN_MIN || c->op->kind == OC_BIN_MAX
                        ? OC_T_F | OC_T_I | OC_T_U
                        : OC_T_F;
    for (int i = 0; i < c->n_in; i++) {
        OC_TRY(oc__want(c, i, mask));
        const oc_tensor *x = oc__in(c, i);
        if (!i) t = *x;
        if (x->dtype != t.dtype)
            return oc__op_fail(c, OC_E_ARG, "inputs are %s and %s",
                               oc_dtype_name(t.dtype), oc_dtype_name(x->dtype));
        int64_t dims[OC_MAX_RANK];
        int rank;
        OC_TRY(oc__broadcast(c, &t, x, &rank, dims));
        oc__tensor_set(&t, t.dtype, rank, dims);
    }
    return oc__out_set(c, 0, t.dtype, t.rank, t.dims);
}

/* y = x, broadcast. */
static void spread(const oc_tensor *x, oc_tensor *y) {
    size_t size = oc_dtype_bytes(x->dtype);
    oc__walk w;
    oc__walk_pos p;
    oc__walk_init(&w, y->rank, y->dims);
    oc__walk_add(&w, x);
    oc__walk_merge(&w);
    for (oc__walk_seek(&w, 0, w.total, &p); p.n; oc__walk_next(&w, &p)) {
        char *to = (char *)y->data + (size_t)p.at * size;
        const char *from = (const char *)x->data + (size_t)p.offset[0] * size;
        if (w.step[0])
            memmove(to, from, (size_t)p.n * size);
        else
            for (int64_t i = 0; i < p.n; i++)
                memcpy(to + (size_t)i * size, from, size);
    }
}

static oc_status run_variadic(oc__ctx *c) {
    oc_tensor *y = oc__out(c, 0);
    const oc_tensor *x = oc__in(c, 0);
    int kind = c->op->kind == OC_BIN_MEAN ? OC_BIN_ADD : c->op->kind;
    if (c->n_in == 1) {
        if (y->data != x->data) spread(x, y);
        return OC_OK;
    }
    /* The first step reads both operands directly where the result has
       their common shape; otherwise y starts as the first operand. */
    oc_tensor pair = *x;
    int64_t dims[OC_MAX_RANK];
    int rank;
    OC_TRY(oc__broadcast(c, x, oc__in(c, 1), &rank, dims));
    oc__tensor_set(&pair, y->dtype, rank, dims);
    int first = 1;
    if (oc__tensor_same_shape(&pair, y)) {
        start(c, kind, x, oc__in(c, 1), y);
        first = 2;
    } else if (y->data != x->data) {
        spread(x, y);
    }
    for (int i = first; i < c->n_in; i++)
        start(c, kind, y, oc__in(c, i), y);
    if (c->op->kind == OC_BIN_MEAN) {
        /* One number of y's type; f16's bits are those of the division. */
        int64_t one[1];
        oc_tensor count = {0};
        oc__tensor_set(&count, y->dtype, 0, NULL);
        count.data = one;
        oc__tensor_set_f64(&count, 0, c->n_in);
        start(c, OC_BIN_DIV, y, &count, y);
    }
    return OC_OK;
}

#define BINARY(name, since, kind)                                              \
    {                                                                          \
        "", name, since, 2, 2, 1, OC_OP_INPLACE, OC_BIN_##kind, infer_binary,  \
            run_binary, flops_out                                              \
    }
#define COMPARE(name, since, kind)                                             \
    {                                                                          \
        "", name, since, 2, 2, 1, 0, OC_BIN_##kind, infer_binary, run_binary,  \
            flops_out                                                          \
    }
#define VARIADIC(name, kind)                                                   \
    {                                                                          \
        "", name, 1, 1, -1, 1, OC_OP_INPLACE, OC_BIN_##kind, infer_variadic,   \
            run_variadic, flops_out                                            \
    }

const oc__op oc__ops_binary[] = {
    BINARY("Add", 1, ADD),
    BINARY("Sub", 1, SUB),
    BINARY("Mul", 1, MUL),
    BINARY("Div", 1, DIV),
    BINARY("Pow", 1, POW),
    BINARY("Mod", 10, MOD),
    BINARY("PRelu", 1, PRELU),
    BINARY("BitShift", 11, SHIFT_LEFT),
    BINARY("BitwiseAnd", 18, BIT_AND),
    BINARY("BitwiseOr", 18, BIT_OR),
    BINARY("BitwiseXor", 18, BIT_XOR),
    COMPARE("And", 1, AND),
    COMPARE("Or", 1, OR),
    COMPARE("Xor", 1, XOR),
    COMPARE("Equal", 1, EQUAL),
    COMPARE("Greater", 1, GREATER),
    COMPARE("Less", 1, LESS),
    COMPARE("GreaterOrEqual", 12, GREATER_EQUAL),
    COMPARE("LessOrEqual", 12, LESS_EQUAL),
    VARIADIC("Sum", ADD),
    VARIADIC("Mean", MEAN),
    VARIADIC("Max", MAX),
    VARIADIC("Min", MIN),
    {0},
};
