/*
 * layout.c - puts the convolutional part of a network into blocked channels.
 *
 * Walks the nodes in order and writes the node list anew.  A value of the
 * plain graph may have a blocked twin; operators that can work on twins do,
 * the others get the plain value, which an Unblock makes at its first use.
 *
 *     plain x --Block--> twin --ConvBlocked--> twin --...--> twin --Unblock-->
 *
 * On the way a convolution takes in the residual Add and the activation that
 * follow it.  Where a Transpose between NHWC and NCHW stands at the border,
 * Block and Unblock read or write NHWC and the Transpose falls away.
 */
#include "passes/layout.h"

#include "ops/blocked.h"
#include "passes/tune.h"

#include <string.h>

/* What a failed allocation inside the pass turns into. */
static oc_status no_memory(oc__layout *l) {
    return oc__fail_nomem(l->err);
}

/* ---- building blocks
 * ------------------------------------------------------------ */

static const oc__value_def *def(const oc__layout *l, int v) {
    return &l->g->values[v];
}

int oc__layout_fits(const oc__layout *l, int v) {
    const oc__value_def *d = v >= 0 ? def(l, v) : NULL;
    if (!d || d->kind != OC_KIND_TENSOR || d->dtype != OC_DTYPE_F32 ||
        d->rank != 4)
        return 0;
    for (int i = 0; i < 4; i++)
        if (d->dims[i] < 1) return 0;
    return 1;
}

static int same_dims(const oc__layout *l, int a, int b) {
    const oc__value_def *x = def(l, a), *y = def(l, b);
    return x->rank == y->rank &&
           !memcmp(x->dims, y->dims, (size_t)x->rank * sizeof(int64_t));
}

/* The node that made v before the pass, or NULL. */
static oc__node *producer(const oc__layout *l, int v) {
    return l->ix.producer[v] < 0 ? NULL : l->old[l->ix.producer[v]];
}

/* A new value with the blocked shape of plain value v. */
int oc__layout_add_twin(oc__layout *l, int v) {
    int c = l->env->kernels->block;
    const char *name =
        oc__arena_printf(l->g->arena, "%s.blocked", def(l, v)->name);
    int t = name ? oc__graph_add_value(l->g, name) : -1;
    if (t < 0) return -1;
    const oc__value_def *p = def(l, v);
    oc__value_def *b = &l->g->values[t];
    b->dtype = OC_DTYPE_F32;
    b->rank = 5;
    b->dims[0] = p->dims[0];
    b->dims[1] = (p->dims[1] + c - 1) / c;
    b->dims[2] = p->dims[2];
    b->dims[3] = p->dims[3];
    b->dims[4] = c;
    return t;
}

static int append(oc__layout *l, oc__node *n) {
    /* add_node makes room; the node it made gives its place to n. */
    if (!oc__graph_add_node(l->g, n->op, "", n->version, 0, 0, 0)) return 1;
    l->g->nodes[l->g->n_nodes - 1] = n;
    return 0;
}

oc__node *oc__layout_emit(oc__layout *l, const oc__op *op, const char *name,
                          int in, int out, int n_attrs) {
    oc__node *n = oc__graph_add_node(l->g, op, name, 1, 1, 1, n_attrs);
    if (!n) return NULL;
    n->in[0] = in;
    n->out[0] = out;
    return n;
}

int oc__layout_is_perm(const oc__node *n, int a, int b, int c, int d) {
    size_t count;
    const int64_t *p = oc__attr_ints(n, "perm", &count);
    return p && count == 4 && p[0] == a && p[1] == b && p[2] == c && p[3] == d;
}

/* Makes sure that plain value v is there. */
oc_status oc__layout_plain(oc__layout *l, int v) {
    if (v < 0 || v >= l->n_plain || !l->lost[v]) return OC_OK;
    oc__node *n =
        oc__layout_emit(l, l->unblock, def(l, v)->name, l->twin[v], v, 2);
    if (!n) return no_memory(l);
    oc__attr_set_int(n, 0, "layout", 0);
    oc__attr_set_int(n, 1, "channels", def(l, v)->dims[1]);
    l->lost[v] = 0;
    return OC_OK;
}

/* Plain value v, or what a Transpose to channels first has made it of; *last
 * says which.  The Transpose goes when nobody else wants it. */
static int either_way(const oc__layout *l, int v, int *last) {
    const oc__node *p = producer(l, v);
    *last = oc__is_op(p, "Transpose") && oc__layout_is_perm(p, 0, 3, 1, 2) &&
            p->in[0] < l->n_plain && !l->lost[p->in[0]];
    return *last ? p->in[0] : v;
}

/* The twin of v, made by a Block when there is none yet. */
oc_status oc__layout_twin(oc__layout *l, int v, int *out) {
    if (l->twin[v] < 0) {
        OC_TRY(oc__layout_plain(l, v));
        int last, x = either_way(l, v, &last);
        int t = oc__layout_add_twin(l, v);
        oc__node *n =
            t < 0 ? NULL
                  : oc__layout_emit(l, l->block, def(l, t)->name, x, t, 1);
        if (!n) return no_memory(l);
        oc__attr_set_int(n, 0, "layout", last);
        l->twin[v] = t;
    }
    *out = l->twin[v];
    return OC_OK;
}

/* v now exists as twin t only. */
void oc__layout_set(oc__layout *l, int v, int t, oc__node *conv) {
    l->twin[v] = t;
    l->lost[v] = 1;
    l->conv[v] = conv;
}

/* n as it is, on plain values. */
static oc_status keep(oc__layout *l, oc__node *n) {
    for (int j = 0; j < n->n_in; j++)
        OC_TRY(oc__layout_plain(l, n->in[j]));
    return append(l, n) ? no_memory(l) : OC_OK;
}

/* ---- geometry
 * ------------------------------------------------------------------- */

/* Padding before the first element along spatial axis `i` (0: height). */
static int64_t pad_begin(const oc__node *n, int i, int64_t in, int64_t out,
                         int64_t kernel, int64_t stride, int64_t dilation) {
    const char *automatic = oc__attr_string(n, "auto_pad", "NOTSET");
    size_t count;
    const int64_t *pads = oc__attr_ints(n, "pads", &count);
    if (strncmp(automatic, "SAME", 4) != 0)
        return pads && count == 4 && strcmp(automatic, "VALID") ? pads[i] : 0;
    int64_t total = (out - 1) * stride + (kernel - 1) * dilation + 1 - in;
    if (total < 0) total = 0;
    return strcmp(automatic, "SAME_LOWER") ? total / 2 : total - total / 2;
}

static int64_t nth(const oc__node *n, const char *name, size_t i) {
    size_t count;
    const int64_t *v = oc__attr_ints(n, name, &count);
    return v && i < count ? v[i] : 1;
}

void oc__layout_read_geom(const oc__layout *l, const oc__node *n, int64_t kh,
                          int64_t kw, oc__conv_geom *g) {
    oc__layout_window(n, def(l, n->in[0])->dims, def(l, n->out[0])->dims, kh,
                      kw, g);
}

void oc__layout_window(const oc__node *n, const int64_t *x, const int64_t *y,
                       int64_t kh, int64_t kw, oc__conv_geom *g) {
    memset(g, 0, sizeof(*g));
    g->batch = x[0];
    g->in_c = x[1];
    g->in_h = x[2];
    g->in_w = x[3];
    g->out_c = y[1];
    g->out_h = y[2];
    g->out_w = y[3];
    g->kernel_h = kh;
    g->kernel_w = kw;
    g->stride_h = nth(n, "strides", 0);
    g->stride_w = nth(n, "strides", 1);
    g->dilation_h = nth(n, "dilations", 0);
    g->dilation_w = nth(n, "dilations", 1);
    g->pad_top =
        pad_begin(n, 0, g->in_h, g->out_h, kh, g->stride_h, g->dilation_h);
    g->pad_left =
        pad_begin(n, 1, g->in_w, g->out_w, kw, g->stride_w, g->dilation_w);
    g->group = 1;
}

int oc__layout_set_geom(oc__layout *l, oc__node *n, int slot,
                        const oc__conv_geom *g) {
    int64_t *ints = oc__arena_dup(l->g->arena, g, sizeof(*g));
    if (!ints) return 1;
    oc__attr_set_ints(n, slot, "geom", ints, OC_GEOM_INTS);
    return 0;
}

/* ---- convolution
 * ---------------------------------------------------------------- */

/* The bias padded to whole blocks; -1 when there is none. */
static oc_status pad_bias(oc__layout *l, const oc__node *n, int64_t out_c,
                          int *out) {
    *out = -1;
    if (n->n_explicit < 3 || n->in[2] < 0) return OC_OK;
    const oc_tensor *b = oc__constant(l->g, n->in[2]);
    if (!b) {
        OC_TRY(oc__layout_plain(l, n->in[2]));
        *out = oc__graph_add_value(l->g, NULL);
        return *out < 0 ||
                       !oc__layout_emit(l, oc__op_find("ocelli", "PadChannels"),
                                        n->name, n->in[2], *out, 0)
                   ? no_memory(l)
                   : OC_OK;
    }
    const float *from = b->data;
    int64_t c = l->env->kernels->block, padded = (out_c + c - 1) / c * c;
    float *data;
    *out =
        oc__new_constant_f32(l->g, l->env->allocator, NULL, 1, &padded, &data);
    if (*out < 0) return no_memory(l);
    for (int64_t i = 0; i < padded; i++)
        data[i] = i < out_c ? from[i] : 0;
    return OC_OK;
}

/* The dims of weight v, constant or not; NULL: they are not known. */
static const int64_t *weight_dims(const oc__layout *l, int v) {
    const oc_tensor *w = oc__constant(l->g, v);
    if (w)
        return w->dtype == OC_DTYPE_F32 && w->rank == 4 && oc_tensor_elems(w)
                   ? w->dims
                   : NULL;
    return oc__layout_fits(l, v) ? def(l, v)->dims : NULL;
}

static int bias_fits(const oc__layout *l, const oc__node *n, int64_t out_c) {
    if (n->n_explicit < 3 || n->in[2] < 0) return 1;
    const oc__value_def *b = def(l, n->in[2]);
    if (b->constant)
        return b->constant->dtype == OC_DTYPE_F32 &&
               oc_tensor_elems(b->constant) == out_c;
    return b->dtype == OC_DTYPE_F32 && b->rank == 1 && b->dims[0] == out_c;
}

static int conv_fits(const oc__layout *l, const oc__node *n, oc__conv_geom *g) {
    if (!oc__is_op(n, "Conv") || n->n_in != n->n_explicit ||
        !oc__layout_fits(l, n->in[0]) || !oc__layout_fits(l, n->out[0]))
        return 0;
    const int64_t *w = weight_dims(l, n->in[1]);
    if (!w || !bias_fits(l, n, w[0])) return 0;
    oc__layout_read_geom(l, n, w[2], w[3], g);
    g->group = oc__attr_int(n, "group", 1);
    return g->group >= 1 && w[1] * g->group == g->in_c;
}

oc_status oc__layout_put_conv(oc__layout *l, const char *name,
                              const oc__conv_geom *g, oc__conv_algo algo, int x,
                              int w, int bias, int y, oc__node **out) {
    int packed = oc__graph_add_value(l->g, NULL);
    if (packed < 0) return no_memory(l);
    OC_TRY(oc__layout_plain(l, w));
    oc__node *p = oc__layout_emit(l, l->pack, name, w, packed, 2);
    if (!p || oc__layout_set_geom(l, p, 0, g)) return no_memory(l);
    oc__attr_set_int(p, 1, "algo", algo);
    oc__node *c = oc__graph_add_node(l->g, l->conv_op, name, 1, 4, 1, 6);
    if (!c || oc__layout_set_geom(l, c, 0, g)) return no_memory(l);
    oc__attr_set_int(c, 1, "algo", algo);
    oc__attr_set_int(c, 2, "act", OC_ACT_NONE);
    oc__attr_set_float(c, 3, "act_a", 0);
    oc__attr_set_float(c, 4, "act_b", 0);
    oc__attr_set_string(c, 5, "kernel", oc__conv_algo_name(algo));
    c->in[0] = x;
    c->in[1] = packed;
    c->in[2] = bias;
    c->out[0] = y;
    *out = c;
    return OC_OK;
}

/* c reads a picture whose channels are last. */
static oc_status set_last(oc__layout *l, oc__node *c) {
    size_t n = (size_t)c->n_attrs;
    oc__attr *more = oc__arena_array(l->g->arena, n + 1, sizeof(*more));
    if (!more) return no_memory(l);
    memcpy(more, c->attrs, n * sizeof(*more));
    c->attrs = more;
    c->n_attrs++;
    oc__attr_set_int(c, (int)n, "layout", 1);
    return OC_OK;
}

static oc_status emit_conv(oc__layout *l, oc__node *n, const oc__conv_geom *g,
                           oc__conv_algo algo) {
    int x, bias, last = 0, t = oc__layout_add_twin(l, n->out[0]);
    oc__node *c;
    if (t < 0) return no_memory(l);
    OC_TRY(pad_bias(l, n, g->out_c, &bias));
    if (algo == OC_CONV_FIRST) {
        OC_TRY(oc__layout_plain(l, n->in[0]));
        x = either_way(l, n->in[0], &last);
    } else {
        OC_TRY(oc__layout_twin(l, n->in[0], &x));
    }
    OC_TRY(oc__layout_put_conv(l, n->name, g, algo, x, n->in[1], bias, t, &c));
    oc__layout_set(l, n->out[0], t, c);
    return last ? set_last(l, c) : OC_OK;
}

oc__conv_algo oc__layout_choose(const oc__layout *l, const oc__conv_geom *g,
                                int w) {
    const oc__kernels *kt = l->env->kernels;
    int is_fixed = oc__constant(l->g, w) != NULL;
    oc__conv_algo usual = oc__conv_f32_choose(kt, g, is_fixed);
    if (!is_fixed || !l->env->tuner || !oc__conv_f32_can(kt, g, usual))
        return usual;
    return oc__tuner_choose(l->env->tuner, kt, g, usual);
}

static oc_status visit_conv(oc__layout *l, oc__node *n, int *done) {
    oc__conv_geom g;
    if (!conv_fits(l, n, &g)) return OC_OK;
    oc__conv_algo algo = oc__layout_choose(l, &g, n->in[1]);
    if (!oc__conv_f32_can(l->env->kernels, &g, algo)) return OC_OK;
    *done = 1;
    return emit_conv(l, n, &g, algo);
}

/* The convolution behind plain value v if it may still take something in. */
static oc__node *open_conv(const oc__layout *l, int v) {
    if (v < 0 || v >= l->n_plain || !l->conv[v] || !l->lost[v]) return NULL;
    if (!oc__used_once(&l->ix, v)) return NULL;
    return l->conv[v];
}

static oc__act conv_act(const oc__node *c) {
    return (oc__act)oc__attr_int(c, "act", OC_ACT_NONE);
}

/* ---- elementwise
 * ---------------------------------------------------------------- */

/* n with other inputs and a blocked output. */
oc_status oc__layout_on_twins(oc__layout *l, oc__node *n, const int *in) {
    int t = oc__layout_add_twin(l, n->out[0]);
    oc__node *c = t < 0 ? NULL
                        : oc__graph_add_node(l->g, n->op, n->name, n->version,
                                             n->n_in, 1, 0);
    if (!c) return no_memory(l);
    memcpy(c->in, in, (size_t)n->n_in * sizeof(int));
    c->attrs = n->attrs;
    c->n_attrs = n->n_attrs;
    c->out[0] = t;
    oc__layout_set(l, n->out[0], t, NULL);
    return OC_OK;
}

static oc_status visit_activation(oc__layout *l, oc__node *n, int *done) {
    oc__act_args a;
    if (!oc__node_activation(l->g, n, &a) || !oc__layout_fits(l, n->in[0]) ||
        l->twin[n->in[0]] < 0)
        return OC_OK;
    *done = 1;
    oc__node *c = open_conv(l, n->in[0]);
    if (c && conv_act(c) == OC_ACT_NONE) {
        oc__attr_set_int(c, 2, "act", a.kind);
        oc__attr_set_float(c, 3, "act_a", a.a);
        oc__attr_set_float(c, 4, "act_b", a.b);
        oc__layout_set(l, n->out[0], l->twin[n->in[0]], c);
        return OC_OK;
    }
    int in[8] = {l->twin[n->in[0]], -1, -1, -1, -1, -1, -1, -1};
    for (int j = 1; j < n->n_in && j < 8; j++)
        in[j] = n->in[j]; /* Clip's bounds */
    return oc__layout_on_twins(l, n, in);
}

/* Moves node c, which only this point uses, to the end of the list. */
static oc_status move_to_end(oc__layout *l, oc__node *c) {
    oc__graph *g = l->g;
    for (int i = g->n_nodes - 1; i >= 0; i--)
        if (g->nodes[i] == c) {
            memmove(&g->nodes[i], &g->nodes[i + 1],
                    (size_t)(g->n_nodes - i - 1) * sizeof(*g->nodes));
            g->nodes[g->n_nodes - 1] = c;
            return OC_OK;
        }
    return oc__fail(l->err, OC_E_FORMAT, "layout: a node is lost");
}

static oc_status visit_residual(oc__layout *l, oc__node *n, int *done) {
    if (!oc__is_op(n, "Add") || n->in[0] == n->in[1] ||
        !oc__layout_fits(l, n->in[0]) || !oc__layout_fits(l, n->in[1]) ||
        !same_dims(l, n->in[0], n->in[1]))
        return OC_OK;
    for (int j = 1; j >= 0; j--) {
        oc__node *c = open_conv(l, n->in[j]);
        int other;
        if (!c || conv_act(c) != OC_ACT_NONE || c->in[3] >= 0) continue;
        *done = 1;
        OC_TRY(oc__layout_twin(l, n->in[1 - j], &other));
        c->in[3] = other;
        oc__layout_set(l, n->out[0], l->twin[n->in[j]], c);
        return move_to_end(l, c);
    }
    return OC_OK;
}

/* A constant per channel as [1, C/c, 1, 1, c]; one element as it is. */
static oc_status block_constant(oc__layout *l, int v, int64_t channels,
                                int *out) {
    const oc_tensor *t = oc__constant(l->g, v);
    *out = -1;
    if (!t || t->dtype != OC_DTYPE_F32 || t->rank > 4) return OC_OK;
    if (oc_tensor_elems(t) == 1) {
        *out = v;
        return OC_OK;
    }
    int axis = t->rank - 3;
    if (axis < 0) return OC_OK;
    for (int i = 0; i < t->rank; i++)
        if (t->dims[i] != (i == axis ? channels : 1)) return OC_OK;
    int64_t c = l->env->kernels->block;
    int64_t dims[5] = {1, (channels + c - 1) / c, 1, 1, c};
    const float *from = t->data;
    float *data;
    *out = oc__new_constant_f32(l->g, l->env->allocator, NULL, 5, dims, &data);
    if (*out < 0) return no_memory(l);
    for (int64_t i = 0; i < dims[1] * c; i++)
        data[i] = i < channels ? from[i] : 0;
    return OC_OK;
}

/* Whether b has a's batch and channels and one pixel: a gate. */
static int is_gate(const oc__layout *l, int a, int b) {
    const int64_t *x = def(l, a)->dims, *y = def(l, b)->dims;
    return x[0] == y[0] && x[1] == y[1] && y[2] == 1 && y[3] == 1;
}

/* Add, Sub, Mul of twins, of a twin and a gate, of a twin and a constant;
   PRelu of a twin and its slopes. */
static oc_status visit_binary(oc__layout *l, oc__node *n, int *done) {
    int prelu = oc__is_op(n, "PRelu");
    if (!oc__is_op(n, "Add") && !oc__is_op(n, "Sub") && !oc__is_op(n, "Mul") &&
        !prelu)
        return OC_OK;
    if (prelu && !oc__constant(l->g, n->in[1])) return OC_OK;
    if (n->version < 7 || !oc__layout_fits(l, n->out[0])) return OC_OK;
    int in[2] = {-1, -1}, blocked = 0;
    for (int j = 0; j < 2; j++)
        blocked |= n->in[j] < l->n_plain && l->twin[n->in[j]] >= 0 &&
                   same_dims(l, n->in[j], n->out[0]);
    if (!blocked) return OC_OK;
    for (int j = 0; j < 2; j++) {
        int v = n->in[j];
        if (oc__constant(l->g, v)) {
            OC_TRY(block_constant(l, v, def(l, n->out[0])->dims[1], &in[j]));
            if (in[j] < 0) return OC_OK;
        } else if (!oc__layout_fits(l, v) ||
                   (!same_dims(l, v, n->out[0]) && !is_gate(l, n->out[0], v))) {
            return OC_OK;
        }
    }
    for (int j = 0; j < 2; j++)
        if (in[j] < 0) OC_TRY(oc__layout_twin(l, n->in[j], &in[j]));
    *done = 1;
    return oc__layout_on_twins(l, n, in);
}

/* A batch norm that no convolution took in: y = scale x + shift. */
static oc_status visit_batch_norm(oc__layout *l, oc__node *n, int *done) {
    if (!oc__is_op(n, "BatchNormalization") || !oc__layout_fits(l, n->in[0]) ||
        l->twin[n->in[0]] < 0)
        return OC_OK;
    int64_t c = l->env->kernels->block, channels = def(l, n->in[0])->dims[1];
    int64_t dims[5] = {1, (channels + c - 1) / c, 1, 1, c};
    float *scale, *shift;
    int s =
        oc__new_constant_f32(l->g, l->env->allocator, NULL, 5, dims, &scale);
    int t =
        oc__new_constant_f32(l->g, l->env->allocator, NULL, 5, dims, &shift);
    if (s < 0 || t < 0) return no_memory(l);
    memset(scale, 0, (size_t)(dims[1] * c) * sizeof(float));
    memset(shift, 0, (size_t)(dims[1] * c) * sizeof(float));
    if (!oc__read_batch_norm(l->g, n, channels, scale, shift)) return OC_OK;
    int y = oc__layout_add_twin(l, n->out[0]),
        x = oc__layout_add_twin(l, n->out[0]);
    oc__node *mul = y < 0 || x < 0
                        ? NULL
                        : oc__graph_add_node(l->g, oc__op_find("", "Mul"),
                                             n->name, 14, 2, 1, 0);
    oc__node *add = !mul ? NULL
                         : oc__graph_add_node(l->g, oc__op_find("", "Add"),
                                              n->name, 14, 2, 1, 0);
    if (!add) return no_memory(l);
    mul->in[0] = l->twin[n->in[0]];
    mul->in[1] = s;
    mul->out[0] = add->in[0] = x;
    add->in[1] = t;
    add->out[0] = y;
    oc__layout_set(l, n->out[0], y, NULL);
    *done = 1;
    return OC_OK;
}

/* ---- pooling, joining, resizing
 * ------------------------------------------------- */

static int pool_kind(const oc__node *n, oc__pool_kind *kind) {
    if (oc__is_op(n, "MaxPool") && (n->n_out < 2 || n->out[1] < 0))
        *kind = OC_POOL_MAX;
    else if (oc__is_op(n, "GlobalMaxPool"))
        *kind = OC_POOL_MAX;
    else if (oc__is_op(n, "GlobalAveragePool"))
        *kind = OC_POOL_AVERAGE;
    else if (oc__is_op(n, "AveragePool"))
        *kind = oc__attr_int(n, "count_include_pad", 0) ? OC_POOL_AVERAGE_PADDED
                                                        : OC_POOL_AVERAGE;
    else
        return 0;
    return 1;
}

static oc_status visit_pool(oc__layout *l, oc__node *n, int *done) {
    oc__pool_kind kind;
    oc__conv_geom g;
    size_t count;
    if (!pool_kind(n, &kind) || !oc__layout_fits(l, n->in[0]) ||
        !oc__layout_fits(l, n->out[0]) || l->twin[n->in[0]] < 0)
        return OC_OK;
    const int64_t *k = oc__attr_ints(n, "kernel_shape", &count);
    const int64_t *x = def(l, n->in[0])->dims;
    int global = !strncmp(n->op->name, "Global", 6);
    if (!global && (!k || count != 2)) return OC_OK;
    oc__layout_read_geom(l, n, global ? x[2] : k[0], global ? x[3] : k[1], &g);
    /* With ceil_mode a window may hang over the padded picture's end; what
       such a tap counts for is the plain operator's business. */
    if (kind == OC_POOL_AVERAGE_PADDED && oc__attr_int(n, "ceil_mode", 0))
        return OC_OK;
    int t = oc__layout_add_twin(l, n->out[0]);
    oc__node *p =
        t < 0 ? NULL
              : oc__layout_emit(l, l->pool, n->name, l->twin[n->in[0]], t, 2);
    if (!p || oc__layout_set_geom(l, p, 0, &g)) return no_memory(l);
    oc__attr_set_int(p, 1, "pool", kind);
    oc__layout_set(l, n->out[0], t, NULL);
    *done = 1;
    return OC_OK;
}

/* ---- the walk
 * ------------------------------------------------------------------- */

static oc__layout_visit *const visitors[] = {
    oc__layout_train,     visit_conv,        visit_residual,
    visit_activation,     visit_binary,      visit_pool,
    visit_batch_norm,     oc__layout_concat, oc__layout_split,
    oc__layout_transpose, oc__layout_resize,
};

static oc_status visit(oc__layout *l, oc__node *n) {
    int done = 0;
    if (n->n_explicit < 1 || n->in[0] < 0 || n->n_out < 1 || n->out[0] < 0)
        return keep(l, n);
    for (size_t i = 0; i < OC_COUNT(visitors) && !done; i++)
        OC_TRY(visitors[i](l, n, &done));
    return done ? OC_OK : keep(l, n);
}

static oc_status rewrite(oc__layout *l) {
    oc__graph *g = l->g;
    int n_old = g->n_nodes;
    l->old = g->nodes;
    g->nodes = NULL;
    g->n_nodes = g->cap_nodes = 0;
    for (int i = 0; i < n_old; i++)
        OC_TRY(visit(l, l->old[i]));
    for (int i = 0; i < g->n_outputs; i++)
        OC_TRY(oc__layout_plain(l, g->outputs[i]));
    return OC_OK;
}

static int has_conv(const oc__graph *g) {
    for (int i = 0; i < g->n_nodes; i++)
        if (oc__is_op(g->nodes[i], "Conv")) return 1;
    return 0;
}

oc_status oc__pass_layout(oc__graph *g, const oc__pass_env *env,
                          oc_error *err) {
    if (!has_conv(g)) return OC_OK;
    size_t n = (size_t)g->n_values + 1;
    const oc_allocator *a = env->allocator;
    oc__layout l = {.g = g, .env = env, .err = err, .n_plain = g->n_values};
    l.block = oc__op_find("ocelli", "Block");
    l.unblock = oc__op_find("ocelli", "Unblock");
    l.pack = oc__op_find("ocelli", "PackConv");
    l.conv_op = oc__op_find("ocelli", "ConvBlocked");
    l.pool = oc__op_find("ocelli", "PoolBlocked");
    l.resize = oc__op_find("ocelli", "ResizeBlocked");
    OC_TRY(oc__index_init(&l.ix, g, a, err));
    l.twin = oc__alloc(a, n * sizeof(*l.twin));
    l.lost = oc__calloc(a, n, 1);
    l.conv = oc__calloc(a, n, sizeof(*l.conv));
    l.norm = oc__calloc(a, n, sizeof(*l.norm));
    l.gate = oc__alloc(a, n * sizeof(*l.gate));
    oc_status st = OC_OK;
    if (!l.twin || !l.lost || !l.conv || !l.norm || !l.gate)
        st = oc__fail_nomem(err);
    for (size_t i = 0; i < n && st == OC_OK; i++)
        l.twin[i] = l.gate[i] = -1;
    if (st == OC_OK) st = rewrite(&l);
    oc__release(a, l.twin, n * sizeof(*l.twin));
    oc__release(a, l.lost, n);
    oc__release(a, l.conv, n * sizeof(*l.conv));
    oc__release(a, l.norm, n * sizeof(*l.norm));
    oc__release(a, l.gate, n * sizeof(*l.gate));
    oc__index_deinit(&l.ix);
    return st;
}
