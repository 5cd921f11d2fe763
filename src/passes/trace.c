/* trace.c - see trace.h. */
#include "passes/trace.h"

#include <string.h>

/* Nodes that one walk may pass. */
enum { MAX_DEPTH = 24 };

int oc__scaled_by(const oc__index *ix, const oc__node *n, double *factor) {
    float f;
    int div = oc__is_op(n, "Div");
    if ((!div && !oc__is_op(n, "Mul")) || n->n_explicit != 2) return -1;
    int right = oc__const_scalar(ix->g, n->in[1], &f);
    if (!right && (div || !oc__const_scalar(ix->g, n->in[0], &f))) return -1;
    if (div && f == 0) return -1;
    *factor = div ? 1 / (double)f : (double)f;
    return n->in[!right];
}

static int dense(const oc__graph *g, int v, oc__trace *t) {
    if (!oc__is_concrete_f32(g, v)) return 0;
    const oc__value_def *d = &g->values[v];
    int64_t step = 1;
    t->source = v;
    t->rank = d->rank;
    t->offset = 0;
    t->scale = 1;
    for (int i = d->rank - 1; i >= 0; i--) {
        t->dims[i] = d->dims[i];
        t->step[i] = step;
        step *= d->dims[i];
    }
    return step > 0;
}

/* The same elements in the shape of v.  Neighbouring dimensions whose steps
   fit are one run; a new dimension must lie within a run. */
static int reshape(const oc__graph *g, int v, oc__trace *t) {
    const oc__value_def *to = &g->values[v];
    int64_t steps[OC_MAX_RANK], run = 1, made = 1;
    int j = to->rank - 1;
    if (t->rank == 0) return 0;
    int64_t base = t->step[t->rank - 1];
    for (int i = t->rank - 1; i >= 0; i--) {
        run *= t->dims[i];
        if (i > 0 && (t->dims[i - 1] == 1 || t->step[i - 1] == run * base))
            continue;
        for (; j >= 0 && (made < run || to->dims[j] == 1); j--) {
            steps[j] = made * base;
            made *= to->dims[j];
        }
        if (made != run) return 0;
        if (i > 0) base = t->step[i - 1];
        run = made = 1;
    }
    if (j >= 0) return 0;
    t->rank = to->rank;
    memcpy(t->dims, to->dims, sizeof(t->dims));
    memcpy(t->step, steps, sizeof(t->step));
    return 1;
}

static int transpose(const oc__node *n, oc__trace *t) {
    size_t count;
    const int64_t *perm = oc__attr_ints(n, "perm", &count);
    oc__trace from = *t;
    if (perm && count != (size_t)t->rank) return 0;
    for (int i = 0; i < t->rank; i++) {
        int64_t p = perm ? perm[i] : t->rank - 1 - i;
        if (p < 0 || p >= t->rank) return 0;
        t->dims[i] = from.dims[p];
        t->step[i] = from.step[p];
    }
    return 1;
}

static int read_axis(const oc__node *n, const oc__trace *t, int64_t *axis) {
    *axis = oc__attr_int(n, "axis", 0);
    if (*axis < 0) *axis += t->rank;
    return *axis >= 0 && *axis < t->rank;
}

/* v is one of the outputs; those before it have the elements before its. */
static int split(const oc__graph *g, const oc__node *n, int v, oc__trace *t) {
    int64_t axis, at = 0;
    if (!read_axis(n, t, &axis)) return 0;
    for (int j = 0; j < n->n_out && n->out[j] != v; j++) {
        const oc__value_def *before =
            n->out[j] < 0 ? NULL : &g->values[n->out[j]];
        if (!before || before->rank != t->rank || before->dims[axis] < 0)
            return 0;
        at += before->dims[axis];
    }
    t->offset += at * t->step[axis];
    t->dims[axis] = g->values[v].dims[axis];
    return 1;
}

/* Gather of one index: the dimension goes when the index is a scalar. */
static int gather(const oc__graph *g, const oc__node *n, oc__trace *t) {
    const oc_tensor *index = oc__constant(g, n->in[1]);
    int64_t axis, at;
    if (!index || index->rank > 1 || oc_tensor_elems(index) != 1 ||
        !read_axis(n, t, &axis) ||
        (index->dtype != OC_DTYPE_I64 && index->dtype != OC_DTYPE_I32))
        return 0;
    at = oc__tensor_get_i64(index, 0);
    if (at < 0) at += t->dims[axis];
    if (at < 0 || at >= t->dims[axis]) return 0;
    t->offset += at * t->step[axis];
    t->dims[axis] = 1;
    if (index->rank == 1) return 1;
    t->rank--;
    for (int64_t i = axis; i < t->rank; i++) {
        t->dims[i] = t->dims[i + 1];
        t->step[i] = t->step[i + 1];
    }
    return 1;
}

/* Input j of a Slice as a constant list of `count` numbers (0: any). */
static const int64_t *slice_list(const oc__graph *g, const oc__node *n, int j,
                                 int64_t *count) {
    const oc_tensor *c = j < n->n_in ? oc__constant(g, n->in[j]) : NULL;
    if (!c || c->dtype != OC_DTYPE_I64 || c->rank != 1) return NULL;
    if (*count && c->dims[0] != *count) return NULL;
    *count = c->dims[0];
    return c->data;
}

/* Slices with step 1, which is what the shape of v then says about ends. */
static int slice(const oc__graph *g, const oc__node *n, int v, oc__trace *t) {
    int64_t count = 0;
    int given = n->n_in > 4 && n->in[4] >= 0;
    if (n->version < 10) return 0;
    const int64_t *starts = slice_list(g, n, 1, &count);
    const int64_t *axes = starts && count ? slice_list(g, n, 3, &count) : NULL;
    const int64_t *steps = axes && given ? slice_list(g, n, 4, &count) : NULL;
    if (!axes || (given && !steps)) return 0;
    for (int64_t i = 0; i < count; i++) {
        int64_t axis = axes[i] < 0 ? axes[i] + t->rank : axes[i];
        if (axis < 0 || axis >= t->rank || (steps && steps[i] != 1)) return 0;
        int64_t at = starts[i] < 0 ? starts[i] + t->dims[axis] : starts[i];
        at = OC_MIN(OC_MAX(at, 0), t->dims[axis]);
        t->offset += at * t->step[axis];
        t->dims[axis] = g->values[v].dims[axis];
    }
    return 1;
}

/* t, which shows an input of n, made to show its output v. */
static int apply(const oc__graph *g, const oc__node *n, int v, oc__trace *t) {
    if (oc__is_op(n, "Transpose")) return transpose(n, t);
    if (oc__is_op(n, "Split")) return split(g, n, v, t);
    if (oc__is_op(n, "Gather")) return gather(g, n, t);
    if (oc__is_op(n, "Slice")) return slice(g, n, v, t);
    return reshape(g, v, t);
}

static int moves(const oc__node *n) {
    static const char *const names[] = {"Transpose", "Split",   "Gather",
                                        "Slice",     "Reshape", "Squeeze",
                                        "Unsqueeze", "Flatten"};
    for (size_t i = 0; i < OC_COUNT(names); i++)
        if (oc__is_op(n, names[i])) return 1;
    return 0;
}

static int walk(const oc__index *ix, int v, int depth, oc__trace *out) {
    const oc__graph *g = ix->g;
    const oc__node *n = oc__producer(ix, v);
    double factor = 1;
    if (!oc__is_concrete_f32(g, v)) return 0;
    if (!n || depth == MAX_DEPTH || oc__constant(g, v)) return dense(g, v, out);
    int from = moves(n) ? n->in[0] : oc__scaled_by(ix, n, &factor);
    if (from < 0 || !walk(ix, from, depth + 1, out)) return dense(g, v, out);
    out->scale *= factor;
    if (moves(n) ? !apply(g, n, v, out) : !oc__same_dims(g, from, v))
        return dense(g, v, out);
    /* What the steps say and what inference said must be one shape. */
    const oc__value_def *d = &g->values[v];
    if (out->rank != d->rank ||
        memcmp(out->dims, d->dims, (size_t)d->rank * sizeof(d->dims[0])))
        return dense(g, v, out);
    return 1;
}

int oc__trace_back(const oc__index *ix, int v, oc__trace *out) {
    memset(out, 0, sizeof(*out));
    return walk(ix, v, 0, out);
}
