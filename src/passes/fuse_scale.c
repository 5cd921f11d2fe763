/*
 * fuse_scale.c - per-channel scale and shift folded into weights.
 *
 *   y = s * (W x + b) + t   becomes   y = (s W) x + (s b + t)
 *
 * Behind a Conv, s and t come from BatchNormalization, or from Mul, Add, Sub
 * or Div with a constant of one element or one per channel.  Behind a MatMul
 * or Gemm they come from BatchNormalization, which takes (N, C): there may be
 * a Reshape to that between.  What is left for a MatMul is an Add.
 */
#include "passes/match.h"

#include <math.h>
#include <string.h>

/* scale and shift of one following node, per channel. */
typedef struct affine {
    float *scale, *shift;
    int64_t channels;
} affine;

/*
 * Whether t broadcasts over channels alone against (N, C, spatial...): one
 * element, or C at the channel's place with ones elsewhere.
 */
static int is_per_channel(const oc_tensor *t, int64_t channels, int conv_rank) {
    if (!t || t->dtype != OC_DTYPE_F32 || t->rank > conv_rank) return 0;
    if (oc_tensor_elems(t) == 1) return 1;
    int axis = 1 - (conv_rank - t->rank);
    if (axis < 0) return 0;
    for (int i = 0; i < t->rank; i++)
        if (t->dims[i] != (i == axis ? channels : 1)) return 0;
    return 1;
}

static float at(const oc_tensor *t, int64_t c) {
    const float *p = t->data;
    return oc_tensor_elems(t) == 1 ? p[0] : p[c];
}

int oc__read_batch_norm(const oc__graph *g, const oc__node *n, int64_t channels,
                        float *scale, float *shift) {
    const oc_tensor *p[4];
    if (n->n_explicit < 5 || oc__attr_int(n, "training_mode", 0)) return 0;
    for (int j = 1; j < n->n_out; j++)
        if (n->out[j] >= 0) return 0;
    for (int j = 0; j < 4; j++) {
        p[j] = oc__constant(g, n->in[j + 1]);
        if (!p[j] || p[j]->dtype != OC_DTYPE_F32 ||
            oc_tensor_elems(p[j]) != channels)
            return 0;
    }
    float epsilon = oc__attr_float(n, "epsilon", 1e-5f);
    for (int64_t c = 0; c < channels; c++) {
        /* In double: the network's weights carry this rounding for good. */
        double s =
            (double)at(p[0], c) / sqrt((double)at(p[3], c) + (double)epsilon);
        scale[c] = (float)s;
        shift[c] = (float)((double)at(p[1], c) - s * (double)at(p[2], c));
    }
    return 1;
}

static int read_arithmetic(const oc__graph *g, const oc__node *n, int conv_out,
                           int conv_rank, affine *f) {
    if (n->n_explicit != 2 || n->n_in != 2) return 0;
    int other = n->in[0] == conv_out ? 1 : 0;
    const oc_tensor *t = oc__constant(g, n->in[other]);
    if (!is_per_channel(t, f->channels, conv_rank)) return 0;
    int mul = oc__is_op(n, "Mul"), add = oc__is_op(n, "Add");
    int sub = oc__is_op(n, "Sub") && other == 1;
    int div = oc__is_op(n, "Div") && other == 1;
    if ((!mul && !add && !sub && !div) || n->version < 7) return 0;
    for (int64_t c = 0; c < f->channels; c++) {
        float v = at(t, c);
        f->scale[c] = mul ? v : div ? 1.0f / v : 1.0f;
        f->shift[c] = add ? v : sub ? -v : 0.0f;
    }
    return 1;
}

/* Replaces conv's weights and bias by scaled copies. */
static oc_status apply(oc__graph *g, oc__node *conv, const affine *f,
                       const oc_allocator *a, oc_error *err) {
    const oc_tensor *w = oc__constant(g, conv->in[1]);
    const oc_tensor *b =
        conv->n_explicit > 2 ? oc__constant(g, conv->in[2]) : NULL;
    float *new_w, *new_b;
    int64_t per = oc_tensor_elems(w) / f->channels;
    oc_tensor old_w = *w;
    int wid = oc__new_constant_f32(g, a, NULL, w->rank, w->dims, &new_w);
    int bid = oc__new_constant_f32(g, a, NULL, 1, &f->channels, &new_b);
    int *in = oc__arena_array(g->arena, 3, sizeof(int));
    if (wid < 0 || bid < 0 || !in) return oc__fail_nomem(err);
    for (int64_t c = 0; c < f->channels; c++) {
        const float *from = (const float *)old_w.data + c * per;
        for (int64_t i = 0; i < per; i++)
            new_w[c * per + i] = from[i] * f->scale[c];
        new_b[c] =
            (b ? ((const float *)b->data)[c] : 0) * f->scale[c] + f->shift[c];
    }
    in[0] = conv->in[0];
    in[1] = wid;
    in[2] = bid;
    conv->in = in;
    conv->n_in = conv->n_explicit = 3;
    return OC_OK;
}

/* The only reader of value v, or NULL. */
static oc__node *only_reader(oc__graph *g, int from, int v) {
    for (int i = from; i < g->n_nodes; i++)
        for (int j = 0; j < g->nodes[i]->n_in && !g->nodes[i]->dead; j++)
            if (g->nodes[i]->in[j] == v) return g->nodes[i];
    return NULL;
}

static int is_candidate(const oc__graph *g, const oc__node *n) {
    if (!oc__is_op(n, "Conv") || n->n_in != n->n_explicit) return 0;
    const oc_tensor *w = oc__constant(g, n->in[1]);
    if (!w || w->dtype != OC_DTYPE_F32 || w->rank < 3 || w->dims[0] < 1)
        return 0;
    if (n->n_explicit < 3 || n->in[2] < 0) return 1;
    const oc_tensor *b = oc__constant(g, n->in[2]);
    return b && b->dtype == OC_DTYPE_F32 && oc_tensor_elems(b) == w->dims[0];
}

static oc_status fuse_one(oc__graph *g, int i, const oc__pass_env *env,
                          oc_error *err) {
    oc__node *conv = g->nodes[i];
    oc_status st = OC_OK;
    while (st == OC_OK && conv->out[0] >= 0 &&
           oc__graph_use_count(g, conv->out[0]) == 1 &&
           !oc__graph_is_output(g, conv->out[0])) {
        const oc_tensor *w = oc__constant(g, conv->in[1]);
        oc__node *next = only_reader(g, i + 1, conv->out[0]);
        if (!next) break;
        affine f = {NULL, NULL, w->dims[0]};
        size_t bytes = (size_t)f.channels * sizeof(float);
        f.scale = oc__alloc(env->allocator, bytes);
        f.shift = oc__alloc(env->allocator, bytes);
        int fits = 0;
        if (!f.scale || !f.shift)
            st = oc__fail_nomem(err);
        else if (oc__is_op(next, "BatchNormalization"))
            fits = oc__read_batch_norm(g, next, f.channels, f.scale, f.shift);
        else
            fits = read_arithmetic(g, next, conv->out[0], w->rank, &f);
        if (fits) st = apply(g, conv, &f, env->allocator, err);
        if (fits && st == OC_OK) {
            /* The convolution takes over the name of what it computes. */
            conv->out[0] = next->out[0];
            next->dead = 1;
        }
        oc__release(env->allocator, f.scale, bytes);
        oc__release(env->allocator, f.shift, bytes);
        if (!fits) break;
    }
    return st;
}

/* ---- products -------------------------------------------------------------
 */

/* Columns of the weight of a MatMul or plain Gemm; 0: it is none. */
static int64_t product_columns(const oc__graph *g, const oc__node *n) {
    int gemm = oc__is_op(n, "Gemm");
    if ((!gemm && !oc__is_op(n, "MatMul")) || n->n_explicit < 2) return 0;
    const oc_tensor *w = oc__constant(g, n->in[1]);
    if (!w || w->dtype != OC_DTYPE_F32 || w->rank != 2) return 0;
    if (!gemm) return w->dims[1];
    int64_t columns = w->dims[oc__attr_int(n, "transB", 0) ? 0 : 1];
    if (oc__attr_float(n, "beta", 1) != 1) return 0;
    if (n->n_explicit < 3 || n->in[2] < 0) return columns;
    const oc_tensor *c = oc__constant(g, n->in[2]);
    return c && c->dtype == OC_DTYPE_F32 && c->rank == 1 &&
                   c->dims[0] == columns
               ? columns
               : 0;
}

/*
 * Whether n makes (any, columns) of what ends with as many columns.  A Flatten
 * that a normalisation of so many channels follows has left rows whole.
 */
static int makes_rows(const oc__graph *g, const oc__node *n, int64_t columns) {
    if (oc__is_op(n, "Flatten")) return 1;
    const oc_tensor *to =
        oc__is_op(n, "Reshape") ? oc__constant(g, n->in[1]) : NULL;
    return to && to->dtype == OC_DTYPE_I64 && oc_tensor_elems(to) == 2 &&
           ((const int64_t *)to->data)[1] == columns;
}

/* The only node that reads the numbers of v, not its shape alone; or NULL. */
static oc__node *numbers_reader(oc__graph *g, int from, int v) {
    oc__node *found = NULL;
    int uses = oc__graph_use_count(g, v);
    for (int i = from; i < g->n_nodes; i++)
        for (int j = 0; j < g->nodes[i]->n_in && !g->nodes[i]->dead; j++) {
            if (g->nodes[i]->in[j] != v) continue;
            uses--;
            if (oc__is_op(g->nodes[i], "Shape")) continue;
            if (found || j) return NULL;
            found = g->nodes[i];
        }
    return uses ? NULL : found;
}

/* The BatchNormalization that reads rows of n's columns alone, or NULL;
 * *between: what makes rows before it, or NULL. */
static oc__node *norm_behind(oc__graph *g, int i, int64_t columns,
                             oc__node **between) {
    const oc__node *n = g->nodes[i];
    *between = NULL;
    for (int v = n->out[0];;) {
        oc__node *next = v < 0 ? NULL : numbers_reader(g, i + 1, v);
        if (!next) return NULL;
        if (oc__is_op(next, "BatchNormalization"))
            return *between || oc__is_op(n, "Gemm") ? next : NULL;
        if (*between || !makes_rows(g, next, columns)) return NULL;
        *between = next;
        v = next->out[0];
    }
}

/* The weight with its columns scaled; -1: no memory. */
static int scaled_weight(oc__graph *g, const oc__node *n, const affine *f,
                         const oc_allocator *a) {
    const oc_tensor w = *oc__constant(g, n->in[1]);
    int rows = oc__is_op(n, "Gemm") && oc__attr_int(n, "transB", 0);
    int64_t inner = rows ? w.dims[1] : 1, count = oc_tensor_elems(&w);
    float *to;
    int id = oc__new_constant_f32(g, a, NULL, 2, w.dims, &to);
    for (int64_t k = 0; id >= 0 && k < count; k++)
        to[k] = ((const float *)w.data)[k] * f->scale[k / inner % f->channels];
    return id;
}

/* The shift, and of a Gemm its own bias; -1: no memory. */
static int shifted_bias(oc__graph *g, const oc__node *n, const affine *f,
                        const oc_allocator *a) {
    const oc_tensor *b = n->n_explicit > 2 ? oc__constant(g, n->in[2]) : NULL;
    const float *from = b ? b->data : NULL;
    float *to;
    int id = oc__new_constant_f32(g, a, NULL, 1, &f->channels, &to);
    for (int64_t c = 0; id >= 0 && c < f->channels; c++)
        to[c] = (from ? from[c] * f->scale[c] : 0) + f->shift[c];
    return id;
}

static oc_status scale_product(oc__graph *g, int i, const affine *f,
                               const oc__pass_env *env, oc_error *err) {
    oc__node *n = g->nodes[i];
    int w = scaled_weight(g, n, f, env->allocator);
    int b = shifted_bias(g, n, f, env->allocator);
    int *in = oc__arena_array(g->arena, 3, sizeof(int));
    if (w < 0 || b < 0 || !in) return oc__fail_nomem(err);
    in[0] = n->in[0];
    in[1] = w;
    in[2] = b;
    n->in = in;
    n->n_in = n->n_explicit = 2;
    if (oc__is_op(n, "Gemm")) {
        n->n_in = n->n_explicit = 3;
        return OC_OK;
    }
    const oc__op *op = oc__op_find("", "Add");
    oc__node *add =
        op ? oc__graph_insert_node(g, i + 1, op, n->name, 14, 2, 1, 0) : NULL;
    int y = add ? oc__graph_add_value(g, NULL) : -1;
    if (y < 0) return oc__fail_nomem(err);
    add->in[0] = y;
    add->in[1] = b;
    add->out[0] = n->out[0];
    n->out[0] = y;
    return OC_OK;
}

static oc_status fuse_product(oc__graph *g, int i, const oc__pass_env *env,
                              oc_error *err) {
    oc__node *between;
    affine f = {NULL, NULL, product_columns(g, g->nodes[i])};
    oc__node *norm =
        f.channels ? norm_behind(g, i, f.channels, &between) : NULL;
    if (!norm) return OC_OK;
    size_t bytes = (size_t)f.channels * sizeof(float);
    f.scale = oc__alloc(env->allocator, bytes);
    f.shift = oc__alloc(env->allocator, bytes);
    oc_status st = f.scale && f.shift ? OC_OK : oc__fail_nomem(err);
    if (st == OC_OK &&
        oc__read_batch_norm(g, norm, f.channels, f.scale, f.shift)) {
        oc__node *last = between ? between : g->nodes[i];
        last->out[0] = norm->out[0];
        norm->dead = 1;
        st = scale_product(g, i, &f, env, err);
    }
    oc__release(env->allocator, f.scale, bytes);
    oc__release(env->allocator, f.shift, bytes);
    return st;
}

oc_status oc__pass_fuse_scale(oc__graph *g, const oc__pass_env *env,
                              oc_error *err) {
    oc_status st = OC_OK;
    for (int i = 0; i < g->n_nodes && st == OC_OK; i++)
        st = is_candidate(g, g->nodes[i]) ? fuse_one(g, i, env, err)
                                          : fuse_product(g, i, env, err);
    oc__graph_compact(g);
    return st;
}
