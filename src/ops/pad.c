/* pad.c - Pad and CenterCropPad: a tensor with edges added or taken away; what
 * they ask for is in pad.h. */
#include "ops/pad.h"

#include "ops/moves.h"

#include <string.h>

static oc_status pad_read_mode(const oc__ctx *c, oc__pad_mode *mode) {
    const char *s = oc__attr_string(c->node, "mode", "constant");
    static const char *const names[] = {"constant", "reflect", "edge", "wrap"};
    for (int i = 0; i < 4; i++)
        if (!strcmp(s, names[i])) {
            *mode = (oc__pad_mode)i;
            return OC_OK;
        }
    return oc__op_fail(c, OC_E_UNSUPPORTED, "mode is \"%s\"", s);
}

/* Pads per axis, from attributes (opset 1, 2) or inputs; befores first. */
static oc_status pad_read(const oc__ctx *c, int64_t *before, int64_t *after) {
    const oc_tensor *x = oc__in(c, 0);
    int64_t raw[2 * OC_MAX_RANK], axes[OC_MAX_RANK];
    int n = 0, n_axes = x->rank;
    for (int i = 0; i < x->rank; i++) {
        before[i] = after[i] = 0;
        axes[i] = i;
    }
    if (c->node->version < 11) {
        size_t count;
        const int64_t *v = oc__attr_ints(
            c->node, c->node->version < 2 ? "paddings" : "pads", &count);
        if (count > 2 * OC_MAX_RANK)
            return oc__op_fail(c, OC_E_SHAPE, "%zu pads", count);
        for (size_t i = 0; i < count; i++)
            raw[i] = v[i];
        n = (int)count;
    } else {
        OC_TRY(oc__in_ints(c, 1, raw, 2 * OC_MAX_RANK, &n));
        if (oc__in(c, 3)) OC_TRY(oc__in_ints(c, 3, axes, OC_MAX_RANK, &n_axes));
    }
    if (n != 2 * n_axes)
        return oc__op_fail(c, OC_E_SHAPE, "%d pads for %d axes", n, n_axes);
    for (int i = 0; i < n_axes; i++) {
        int a;
        OC_TRY(oc__axis(c, axes[i], x->rank, &a));
        before[a] = raw[i];
        after[a] = raw[n_axes + i];
    }
    return OC_OK;
}

/* Turns pads into the piece of each axis and its place. */
static oc_status pad_plan(const oc__ctx *c, oc__pad_mode mode,
                          oc__pad_axis *p) {
    const oc_tensor *x = oc__in(c, 0);
    int64_t before[OC_MAX_RANK], after[OC_MAX_RANK];
    OC_TRY(pad_read(c, before, after));
    for (int i = 0; i < x->rank; i++) {
        int64_t b = before[i], a = after[i], limit = INT64_MAX / 4;
        if (b > limit || b < -limit || a > limit || a < -limit)
            return oc__op_fail(c, OC_E_LIMIT, "a pad of axis %d is too large",
                               i);
        int64_t cut = OC_MAX(-b, 0), cut_end = OC_MAX(-a, 0);
        p[i].out = x->dims[i] + b + a;
        /* A crop over the far end eats into the pad of the other side. */
        p[i].begin = OC_MIN(cut, x->dims[i]);
        p[i].n = OC_MAX(x->dims[i] - cut - cut_end, 0);
        p[i].before = OC_MAX(b, 0);
        if (p[i].out < 0)
            return oc__op_fail(c, OC_E_SHAPE,
                               "axis %d would have %lld elements", i,
                               (long long)p[i].out);
        if (p[i].before > p[i].out) p[i].before = p[i].out;
        if (p[i].n > p[i].out - p[i].before) p[i].n = p[i].out - p[i].before;
        if (mode != OC_PAD_CONSTANT && p[i].n == 0 && p[i].out > 0)
            return oc__op_fail(c, OC_E_SHAPE,
                               "axis %d is empty: nothing to repeat", i);
    }
    return OC_OK;
}

oc_status oc__pad_read(const oc__ctx *c, oc__pad_mode *mode, oc__pad_axis *p) {
    OC_TRY(pad_read_mode(c, mode));
    return pad_plan(c, *mode, p);
}

/* ---- copying ---------------------------------------------------------------
 */

/* The piece goes to its place in an output that is otherwise filled. */
static void pad_copy_piece(oc__ctx *c, const oc__pad_axis *p,
                           const oc_tensor *x, oc_tensor *y) {
    int64_t xs[OC_MAX_RANK], ys[OC_MAX_RANK], from = 0, to = 0;
    size_t bytes = oc_dtype_bytes(x->dtype);
    oc__move m = {0};
    oc__strides(x->rank, x->dims, xs);
    oc__strides(y->rank, y->dims, ys);
    for (int i = 0; i < x->rank; i++) {
        if (p[i].n == 0) return;
        from += p[i].begin * xs[i];
        to += p[i].before * ys[i];
        oc__move_dim(&m, p[i].n, xs[i], ys[i]);
    }
    oc__move_run(c, &m, bytes, (const char *)x->data + from * (int64_t)bytes,
                 (char *)y->data + to * (int64_t)bytes);
}

/* Whether the piece is all of the output, so that nothing needs filling. */
static int pad_is_copy(const oc__pad_axis *p, int rank) {
    for (int i = 0; i < rank; i++)
        if (p[i].n != p[i].out) return 0;
    return 1;
}

int64_t oc__pad_source(oc__pad_mode mode, int64_t i, int64_t n) {
    if (i >= 0 && i < n) return i;
    if (mode == OC_PAD_EDGE || n == 1) return i < 0 ? 0 : n - 1;
    int64_t period = mode == OC_PAD_WRAP ? n : 2 * (n - 1);
    i %= period;
    if (i < 0) i += period;
    return i < n ? i : period - i;
}

typedef struct pad_job {
    oc__pad_mode mode;
    const oc_tensor *x;
    oc_tensor *y;
    const oc__pad_axis *p;
    int64_t xs[OC_MAX_RANK];
    size_t bytes;
} pad_job;

/* Rows of the innermost axis: its inside is one copy, its ends are looked
   up in it. */
static void pad_rows(void *user, int64_t begin, int64_t end, int worker) {
    const pad_job *j = user;
    int last = j->x->rank - 1;
    const oc__pad_axis *p = &j->p[last];
    size_t b = j->bytes;
    (void)worker;
    for (int64_t row = begin; row < end; row++) {
        int64_t rest = row, from = p->begin;
        for (int i = last - 1; i >= 0; i--) {
            const oc__pad_axis *q = &j->p[i];
            int64_t at = rest % q->out - q->before;
            rest /= q->out;
            from += (q->begin + oc__pad_source(j->mode, at, q->n)) * j->xs[i];
        }
        const char *src = (const char *)j->x->data + (size_t)from * b;
        char *dst = (char *)j->y->data + (size_t)(row * p->out) * b;
        for (int64_t i = 0; i < p->out; i++) {
            if (i == p->before) {
                memcpy(dst + (size_t)i * b, src, (size_t)p->n * b);
                i += p->n;
                if (i >= p->out) break;
            }
            int64_t s = oc__pad_source(j->mode, i - p->before, p->n);
            memcpy(dst + (size_t)i * b, src + (size_t)s * b, b);
        }
    }
}

/* ---- Pad -------------------------------------------------------------------
 */

/* Only pads and axes decide the shape; the constant may come late. */
static oc_status infer_pad(oc__ctx *c) {
    oc__pad_axis p[OC_MAX_RANK];
    oc__pad_mode mode;
    int64_t dims[OC_MAX_RANK];
    OC_TRY(oc__want(c, 0, OC_T_ANY));
    OC_TRY(pad_read_mode(c, &mode));
    if (c->node->version >= 11) {
        OC_NEED_DATA(c, 1);
        if (oc__in_value(c, 3)) OC_NEED_DATA(c, 3);
        const oc_tensor *v = oc__in(c, 2);
        if (v && (v->dtype != oc__in(c, 0)->dtype || oc_tensor_elems(v) != 1))
            return oc__op_fail(c, OC_E_SHAPE,
                               "constant_value must be one %s element",
                               oc_dtype_name(oc__in(c, 0)->dtype));
    }
    OC_TRY(pad_plan(c, mode, p));
    const oc_tensor *x = oc__in(c, 0);
    for (int i = 0; i < x->rank; i++)
        dims[i] = p[i].out;
    return oc__out_set(c, 0, x->dtype, x->rank, dims);
}

/* Constant: fill, then put the piece in.  The other modes look every border
   element up in the piece. */
static oc_status run_pad(oc__ctx *c) {
    const oc_tensor *x = oc__in(c, 0);
    oc_tensor *y = oc__out(c, 0);
    oc__pad_axis p[OC_MAX_RANK];
    oc__pad_mode mode;
    OC_TRY(pad_read_mode(c, &mode));
    OC_TRY(pad_plan(c, mode, p));
    size_t bytes = oc_dtype_bytes(x->dtype);
    int64_t n = oc_tensor_elems(y);
    if (n == 0) return OC_OK;
    if (mode != OC_PAD_CONSTANT && x->rank > 0) {
        pad_job j = {mode, x, y, p, {0}, bytes};
        int64_t row = p[x->rank - 1].out;
        oc__strides(x->rank, x->dims, j.xs);
        oc__parallel(c, n / row, OC_MAX(16384 / row, 1), pad_rows, &j);
        return OC_OK;
    }
    uint64_t zero[2] = {0, 0};
    const void *fill = zero;
    oc_tensor one = {.dtype = x->dtype, .data = zero};
    if (oc__in(c, 2))
        fill = oc__in(c, 2)->data;
    else if (c->node->version < 11 && x->dtype != OC_DTYPE_STRING)
        oc__tensor_set_f64(&one, 0, oc__attr_float(c->node, "value", 0));
    if (!pad_is_copy(p, x->rank)) oc__move_fill(c, y->data, fill, bytes, n);
    pad_copy_piece(c, p, x, y);
    return OC_OK;
}

/* ---- CenterCropPad ---------------------------------------------------------
 */

oc_status oc__center_read(const oc__ctx *c, oc__pad_axis *p) {
    const oc_tensor *x = oc__in(c, 0);
    int64_t shape[OC_MAX_RANK];
    int n;
    size_t n_axes;
    const int64_t *axes = oc__attr_ints(c->node, "axes", &n_axes);
    OC_TRY(oc__in_ints(c, 1, shape, OC_MAX_RANK, &n));
    if (n != (axes ? (int64_t)n_axes : x->rank))
        return oc__op_fail(c, OC_E_SHAPE, "%d sizes for %d axes", n,
                           axes ? (int)n_axes : x->rank);
    for (int i = 0; i < x->rank; i++)
        p[i] = (oc__pad_axis){0, x->dims[i], 0, x->dims[i]};
    for (int i = 0; i < n; i++) {
        int a;
        OC_TRY(oc__axis(c, axes ? axes[i] : i, x->rank, &a));
        int64_t have = x->dims[a], want = shape[i];
        if (want < 0)
            return oc__op_fail(c, OC_E_SHAPE, "size %lld", (long long)want);
        p[a].out = want;
        p[a].n = OC_MIN(have, want);
        p[a].begin = have > want ? (have - want) / 2 : 0;
        p[a].before = want > have ? (want - have) / 2 : 0;
    }
    return OC_OK;
}

static oc_status infer_center(oc__ctx *c) {
    oc__pad_axis p[OC_MAX_RANK];
    int64_t dims[OC_MAX_RANK];
    OC_TRY(oc__want(c, 0, OC_T_ANY));
    OC_NEED_DATA(c, 1);
    OC_TRY(oc__center_read(c, p));
    const oc_tensor *x = oc__in(c, 0);
    for (int i = 0; i < x->rank; i++)
        dims[i] = p[i].out;
    return oc__out_set(c, 0, x->dtype, x->rank, dims);
}

static oc_status run_center(oc__ctx *c) {
    const oc_tensor *x = oc__in(c, 0);
    oc_tensor *y = oc__out(c, 0);
    oc__pad_axis p[OC_MAX_RANK];
    OC_TRY(oc__center_read(c, p));
    uint64_t zero[2] = {0, 0};
    if (!pad_is_copy(p, x->rank))
        oc__move_fill(c, y->data, zero, oc_dtype_bytes(x->dtype),
                      oc_tensor_elems(y));
    pad_copy_piece(c, p, x, y);
    return OC_OK;
}

const oc__op oc__ops_pad[] = {
    {"", "Pad", 1, 1, 4, 1, 0, 0, infer_pad, run_pad, NULL},
    {"", "CenterCropPad", 18, 2, 2, 1, 0, 0, infer_center, run_center, NULL},
    {NULL, NULL, 0, 0, 0, 0, 0, 0, NULL, NULL, NULL},
};
