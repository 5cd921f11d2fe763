/*
 * merge_convs.c - convolutions that read one value become one convolution.
 *
 *     x --Conv--> a --f--> ...            x --Conv--> ab --f--Split--> ...
 *     x --Conv--> b --f--> ...   becomes                           \-> ...
 *
 * The heads of detectors (YuNet, RetinaFace, YOLOX) are convolutions of 1, 4
 * or 10 channels side by side, and each is computed as a whole block of 8 or
 * 16.  Together they fill the blocks, and x is read once.
 *
 * The Split then moves down ("is lifted over") what all its parts go through
 * alike and channel by channel: equal activations, depthwise convolutions of
 * one geometry, the Transpose to channels last.
 *
 * A part that does not begin at a block has to be plain.  So convolutions are
 * only merged when what comes behind is plain anyway; all of this is found out
 * before anything is changed.  Those of whole blocks stay apart: in the heads
 * of YOLOv8 one Winograd for both was no faster than two.  Runs when shapes are
 * known, before layout.
 */
#include "passes/layout.h"

#include <string.h>

enum { MOST_PARTS = 32, MOST_STEPS = 8 };

/* What it costs to go over an element once more, in multiply-adds: to move it,
   and to apply a function to it that no convolution has taken in. */
enum { MOVE_COST = 8, FUNCTION_COST = 64 };

/* How the Split is lifted over the parts' readers. */
typedef enum lift {
    LIFT_NONE,
    LIFT_ACTIVATION,
    LIFT_DEPTHWISE,
    LIFT_TRANSPOSE,
} lift;

/* The parts somewhere on their way down. */
typedef struct parts {
    int value[MOST_PARTS];
    oc__node *reader[MOST_PARTS]; /* what reads each, and nothing else does */
    lift kind;                    /* of the readers; NONE: the Split is here */
    int axis;                     /* of the channels */
    int is_open; /* a convolution made them that has no activation yet */
} parts;

/* All that a value leads to is plain; or will be behind depthwise convolutions,
   through which the Split may go. */
enum { ENDS_PLAIN = 1, ENDS_DEPTHWISE = 2 };

typedef struct merging {
    oc__graph *g;
    const oc__pass_env *env;
    oc_error *err;
    oc__index ix;
    int at; /* where in the list new nodes go */
    int count;
    oc__node *conv[MOST_PARTS];
    int64_t channels[MOST_PARTS], all;
    oc__conv_geom geom; /* of the first one */
    parts way[MOST_STEPS + 1];
    const parts *end;    /* the last of them */
    unsigned char *ends; /* where each value leads; NULL: nobody has asked */
    size_t n_ends;
} merging;

static int64_t blocks_of(const merging *m, int64_t channels) {
    int64_t c = m->env->kernels->block;
    return (channels + c - 1) / c;
}

/* ---- what a node is
 * ------------------------------------------------------------- */

/* Whether v is a picture of f32, all dims known, none 0. */
static int is_picture(const oc__graph *g, int v) {
    if (!oc__is_concrete_f32(g, v) || g->values[v].rank != 4) return 0;
    for (int i = 0; i < 4; i++)
        if (g->values[v].dims[i] < 1) return 0;
    return 1;
}

/* The geometry of a Conv with constant weights and a constant bias or none;
   0: n is another. */
static int read_conv(const oc__graph *g, const oc__node *n, oc__conv_geom *to) {
    if (!oc__is_op(n, "Conv") || n->n_in != n->n_explicit || n->n_explicit < 2)
        return 0;
    const oc_tensor *w = oc__constant(g, n->in[1]);
    if (!w || w->dtype != OC_DTYPE_F32 || w->rank != 4 || !oc_tensor_elems(w) ||
        !is_picture(g, n->in[0]) || !is_picture(g, n->out[0]))
        return 0;
    oc__layout_window(n, g->values[n->in[0]].dims, g->values[n->out[0]].dims,
                      w->dims[2], w->dims[3], to);
    to->group = oc__attr_int(n, "group", 1);
    if (to->group < 1 || w->dims[1] * to->group != to->in_c) return 0;
    if (n->n_explicit < 3 || n->in[2] < 0) return 1;
    const oc_tensor *b = oc__constant(g, n->in[2]);
    return b && b->dtype == OC_DTYPE_F32 && oc_tensor_elems(b) == to->out_c;
}

static int is_depthwise(const oc__conv_geom *g) {
    return g->group == g->in_c && g->in_c == g->out_c;
}

/* Whether two convolutions differ in channels alone. */
static int same_window(const oc__conv_geom *a, const oc__conv_geom *b) {
    oc__conv_geom x = *a, y = *b;
    x.in_c = y.in_c = x.out_c = y.out_c = x.group = y.group = 0;
    return !memcmp(&x, &y, sizeof(x));
}

static int is_activation(const merging *m, const oc__node *n, oc__act_args *a) {
    return n->n_out == 1 && oc__node_activation(m->g, n, a) &&
           oc__is_concrete_f32(m->g, n->in[0]) &&
           oc__is_concrete_f32(m->g, n->out[0]);
}

static int same_activation(const oc__act_args *a, const oc__act_args *b) {
    return a->kind == b->kind && a->a == b->a && a->b == b->b;
}

static int is_one_of(const oc__node *n, const char *const *names, size_t many) {
    for (size_t i = 0; i < many; i++)
        if (oc__is_op(n, names[i])) return 1;
    return 0;
}

/* ---- lifting
 * ------------------------------------------------------------------------ */

/* What the readers of all parts have in common. */
static lift kind_of_lift(const merging *m, const parts *p) {
    oc__act_args act, other;
    oc__conv_geom geom, next;
    const oc__node *n = p->reader[0];
    if (is_activation(m, n, &act)) {
        for (int k = 1; k < m->count; k++)
            if (!is_activation(m, p->reader[k], &other) ||
                !same_activation(&act, &other))
                return LIFT_NONE;
        return LIFT_ACTIVATION;
    }
    if (p->axis != 1) return LIFT_NONE;
    if (oc__is_op(n, "Transpose")) {
        for (int k = 0; k < m->count; k++)
            if (!oc__is_op(p->reader[k], "Transpose") ||
                !oc__layout_is_perm(p->reader[k], 0, 2, 3, 1))
                return LIFT_NONE;
        return LIFT_TRANSPOSE;
    }
    if (!read_conv(m->g, n, &geom)) return LIFT_NONE;
    for (int k = 0; k < m->count; k++)
        if (!read_conv(m->g, p->reader[k], &next) || !is_depthwise(&next) ||
            !same_window(&geom, &next))
            return LIFT_NONE;
    return LIFT_DEPTHWISE;
}

/* Finds the parts' readers and whether they can be one. */
static lift look_below(const merging *m, parts *p) {
    for (int k = 0; k < m->count; k++) {
        int v = p->value[k];
        oc__node *n =
            oc__graph_is_output(m->g, v) ? NULL : oc__only_reader(&m->ix, v);
        if (!n || n->in[0] != v || n->out[0] < 0) return LIFT_NONE;
        p->reader[k] = n;
    }
    return kind_of_lift(m, p);
}

/* Follows the parts from the convolutions to where the Split will be. */
static void find_way(merging *m) {
    parts *p = m->way;
    for (int k = 0; k < m->count; k++)
        p->value[k] = m->conv[k]->out[0];
    p->axis = 1;
    p->is_open = 1;
    for (int i = 0; i < MOST_STEPS; i++, p++) {
        p->kind = look_below(m, p);
        if (p->kind == LIFT_NONE) break;
        for (int k = 0; k < m->count; k++)
            p[1].value[k] = p->reader[k]->out[0];
        p[1].axis = p->kind == LIFT_TRANSPOSE ? 3 : p->axis;
        p[1].is_open = p->kind == LIFT_DEPTHWISE;
    }
    p->kind = LIFT_NONE;
    m->end = p;
}

/* ---- what comes behind
 * -------------------------------------------------------------- */

/* Whether n, which reads v, takes it plain as it is.  What has one input that
   is no constant, and works on single elements, goes on: *out. */
static int reads_plain(const merging *m, const oc__node *n, int v, int *out) {
    static const char *const plain[] = {
        "Transpose",  "Reshape", "Flatten", "Squeeze",   "Unsqueeze",
        "Softmax",    "Shape",   "ArgMax",  "ReduceMax", "ReduceMean",
        "LogSoftmax", "Slice",   "Gather",  "TopK"};
    static const char *const either[] = {"Add", "Sub", "Mul",  "Div",
                                         "Pow", "Exp", "Cast", "Identity"};
    oc__act_args a;
    *out = -1;
    if (is_one_of(n, plain, OC_COUNT(plain))) return 1;
    if (oc__is_op(n, "Concat")) /* of whole blocks it is blocked, too */
        return m->g->values[v].rank != 4 ||
               m->g->values[v].dims[1] % m->env->kernels->block != 0;
    if (!oc__node_activation(m->g, n, &a) &&
        !is_one_of(n, either, OC_COUNT(either)))
        return 0;
    for (int j = 0; j < n->n_in; j++)
        if (n->in[j] >= 0 && n->in[j] != v && !oc__constant(m->g, n->in[j]))
            return 0;
    *out = n->out[0];
    return 1;
}

/* Fills m->ends, from the last node to the first: all that read a value stand
   behind what makes it. */
static oc_status find_ends(merging *m) {
    const oc__graph *g = m->g;
    m->n_ends = (size_t)g->n_values;
    m->ends = oc__alloc(m->env->allocator, m->n_ends);
    if (!m->ends) return oc__fail_nomem(m->err);
    memset(m->ends, ENDS_PLAIN | ENDS_DEPTHWISE, m->n_ends);
    for (int i = g->n_nodes - 1; i >= 0; i--) {
        const oc__node *n = g->nodes[i];
        oc__conv_geom geom;
        for (int j = 0; j < n->n_in && !n->dead; j++) {
            int v = n->in[j], next;
            if (v < 0 || !m->ends[v]) continue;
            if (reads_plain(m, n, v, &next))
                m->ends[v] &= next < 0 ? 0xff : m->ends[next];
            else if (read_conv(g, n, &geom) && is_depthwise(&geom))
                m->ends[v] &= m->ends[n->out[0]] & ENDS_DEPTHWISE;
            else
                m->ends[v] = 0;
        }
    }
    return OC_OK;
}

static void forget(merging *m) {
    oc__index_deinit(&m->ix);
    oc__release(m->env->allocator, m->ends, m->n_ends);
    m->ends = NULL;
}

/* ---- whether it pays
 * ---------------------------------------------------------------- */

/* Multiply-adds less, where convolutions of these windows become one. */
static double saved(const merging *m, const oc__conv_geom *g, int depthwise) {
    int64_t single = 0, c = m->env->kernels->block;
    for (int k = 0; k < m->count; k++)
        single += blocks_of(m, m->channels[k]);
    return (double)(single - blocks_of(m, m->all)) * (double)c *
           (double)(g->batch * g->out_h * g->out_w) *
           (double)(g->kernel_h * g->kernel_w) *
           (double)(depthwise ? 1 : g->in_c);
}

/* What parts cost that end here, in multiply-adds. */
static double cost_of_parts(const merging *m) {
    const parts *p = m->end;
    double sum = 0;
    for (int k = 0; k < m->count; k++) {
        const oc__value_def *d = &m->g->values[p->value[k]];
        double elems = (double)oc__count(d->dims, d->rank);
        oc__act_args a;
        const oc__node *n = oc__only_reader(&m->ix, p->value[k]);
        sum += MOVE_COST * elems;
        if (p->is_open && n && is_activation(m, n, &a))
            sum += FUNCTION_COST * elems;
    }
    return sum;
}

/* Whether there are fewer blocks to compute, and the parts are read plain. */
static int pays(const merging *m) {
    double less = saved(m, &m->geom, 0);
    if (less <= 0) return 0;
    for (const parts *p = m->way; p != m->end; p++) {
        oc__conv_geom g;
        if (p->kind == LIFT_DEPTHWISE && read_conv(m->g, p->reader[0], &g))
            less += saved(m, &g, 1);
    }
    for (int k = 0; k < m->count; k++) {
        int v = m->end->value[k];
        /* Convolutions that are outputs stay what they are. */
        if ((m->end->is_open && oc__graph_is_output(m->g, v)) ||
            !(m->ends[v] & ENDS_PLAIN))
            return 0;
    }
    return less > cost_of_parts(m);
}

/* ---- rewriting
 * ---------------------------------------------------------------------- */

/* A value like v with the channels of all parts; -1: no memory. */
static int add_whole(const merging *m, int v, int axis) {
    int whole = oc__graph_add_value(m->g, NULL);
    if (whole < 0) return -1;
    const oc__value_def *from = &m->g->values[v];
    oc__value_def *to = &m->g->values[whole];
    to->kind = from->kind;
    to->dtype = from->dtype;
    to->rank = from->rank;
    memcpy(to->dims, from->dims, sizeof(to->dims));
    to->dims[axis] = m->all;
    return whole;
}

/* The weights (slot 1) or biases (slot 2) of all nodes in one constant; -1: no
   memory. */
static int join_constants(const merging *m, oc__node *const *nodes, int slot) {
    const oc_tensor *w = oc__constant(m->g, nodes[0]->in[1]);
    int64_t dims[4] = {m->all, w->dims[1], w->dims[2], w->dims[3]};
    int64_t each = slot == 1 ? oc__count(dims + 1, 3) : 1;
    float *to;
    int v = oc__new_constant_f32(m->g, m->env->allocator, NULL,
                                 slot == 1 ? 4 : 1, dims, &to);
    for (int k = 0; k < m->count && v >= 0; k++) {
        size_t n = (size_t)(m->channels[k] * each);
        const oc_tensor *t = slot < nodes[k]->n_in
                                 ? oc__constant(m->g, nodes[k]->in[slot])
                                 : NULL;
        if (t)
            memcpy(to, t->data, n * sizeof(*to));
        else
            memset(to, 0, n * sizeof(*to));
        to += n;
    }
    return v;
}

/* One convolution from x instead of the nodes; its output, -1: no memory. */
static int put_conv(merging *m, oc__node *const *nodes, int x, int64_t group) {
    const oc__node *like = nodes[0];
    int bias = -1, has_bias = 0;
    for (int k = 0; k < m->count; k++)
        has_bias |= nodes[k]->n_in > 2 && nodes[k]->in[2] >= 0;
    int w = join_constants(m, nodes, 1), y = add_whole(m, like->out[0], 1);
    if (has_bias) bias = join_constants(m, nodes, 2);
    oc__node *n =
        oc__graph_insert_node(m->g, m->at, like->op, like->name, like->version,
                              has_bias ? 3 : 2, 1, like->n_attrs + 1);
    if (!n || w < 0 || y < 0 || (has_bias && bias < 0)) return -1;
    m->at++;
    n->in[0] = x;
    n->in[1] = w;
    if (has_bias) n->in[2] = bias;
    n->out[0] = y;
    n->n_attrs = 0;
    for (int a = 0; a < like->n_attrs; a++)
        if (strcmp(like->attrs[a].name, "group"))
            n->attrs[n->n_attrs++] = like->attrs[a];
    oc__attr_set_int(n, n->n_attrs++, "group", group);
    return y;
}

/* The like of a node that works on any channels, from x; its output. */
static int put_alike(merging *m, const oc__node *like, int x, int axis) {
    int y = add_whole(m, like->out[0], axis);
    oc__node *n = y < 0
                      ? NULL
                      : oc__graph_insert_node(m->g, m->at, like->op, like->name,
                                              like->version, like->n_in, 1, 0);
    if (!n) return -1;
    m->at++;
    memcpy(n->in, like->in, (size_t)like->n_in * sizeof(*n->in));
    n->n_explicit = like->n_explicit;
    n->attrs = like->attrs;
    n->n_attrs = like->n_attrs;
    n->in[0] = x;
    n->out[0] = y;
    return y;
}

static oc_status put_split(merging *m, const parts *p, int x) {
    int64_t *sizes = oc__arena_dup(m->g->arena, m->channels,
                                   (size_t)m->count * sizeof(*sizes));
    oc__node *n = oc__graph_insert_node(m->g, m->at, oc__op_find("", "Split"),
                                        m->conv[0]->name, 2, 1, m->count, 2);
    if (!sizes || !n) return oc__fail_nomem(m->err);
    n->in[0] = x;
    memcpy(n->out, p->value, (size_t)m->count * sizeof(*n->out));
    oc__attr_set_int(n, 0, "axis", p->axis);
    oc__attr_set_ints(n, 1, "split", sizes, (size_t)m->count);
    return OC_OK;
}

/* The nodes go, and constants with their last reader. */
static void drop(const merging *m, oc__node *const *nodes) {
    for (int k = 0; k < m->count; k++)
        nodes[k]->dead = 1;
    for (int k = 0; k < m->count; k++)
        for (int j = 1; j < nodes[k]->n_in; j++) {
            int v = nodes[k]->in[j];
            const oc_tensor *t = oc__constant(m->g, v);
            oc__value_def *d = v < 0 ? NULL : &m->g->values[v];
            if (!t || oc__graph_use_count(m->g, v) ||
                (!d->buf && !m->env->consumed))
                continue;
            d->constant = NULL;
            if (d->buf)
                oc__buf_release(d->buf);
            else
                m->env->consumed(m->env->user, t->data, oc_tensor_bytes(t));
            d->buf = NULL;
        }
}

static oc_status merge(merging *m) {
    int x = put_conv(m, m->conv, m->conv[0]->in[0], 1);
    drop(m, m->conv);
    for (const parts *p = m->way; p != m->end && x >= 0; p++) {
        x = p->kind == LIFT_DEPTHWISE
                ? put_conv(m, p->reader, x, m->all)
                : put_alike(m, p->reader[0], x, p[1].axis);
        drop(m, p->reader);
    }
    return x < 0 ? oc__fail_nomem(m->err) : put_split(m, m->end, x);
}

/* ---- the walk
 * ----------------------------------------------------------------------- */

/* A convolution that may become part of another. */
static int is_candidate(const merging *m, const oc__node *n, oc__conv_geom *g) {
    return read_conv(m->g, n, g) && g->group == 1 && m->ix.uses[n->in[0]] > 1 &&
           !oc__graph_is_output(m->g, n->out[0]);
}

/* Takes those alike with node i, itself first: all, or those that may lead to
   what is plain. */
static void gather(merging *m, int i, int all) {
    const oc__node *first = m->g->nodes[i];
    m->count = 0;
    m->all = 0;
    for (int j = i; j < m->g->n_nodes && m->count < MOST_PARTS; j++) {
        oc__node *n = m->g->nodes[j];
        oc__conv_geom g;
        if (!is_candidate(m, n, &g) || n->in[0] != first->in[0] ||
            !same_window(&m->geom, &g))
            continue;
        if (all || m->ends[n->out[0]]) {
            m->conv[m->count] = n;
            m->channels[m->count++] = g.out_c;
            m->all += g.out_c;
        } else if (j == i) {
            return;
        }
    }
}

/* Whether the layout pass will have the merged convolution in blocks. */
static int is_blocked(const merging *m) {
    oc__conv_geom g = m->geom;
    g.out_c = m->all;
    const oc__kernels *k = m->env->kernels;
    return oc__conv_f32_can(k, &g, oc__conv_f32_choose(k, &g, 1));
}

/* Finds a group that begins with node i; its count is 0: there is none. */
static oc_status find_group(merging *m, int i) {
    m->count = 0;
    if (!is_candidate(m, m->g->nodes[i], &m->geom)) return OC_OK;
    gather(m, i, 1);
    if (saved(m, &m->geom, 0) > 0) {
        if (!m->ends) OC_TRY(find_ends(m));
        gather(m, i, 0);
        if (m->count > 1 && is_blocked(m)) {
            find_way(m);
            if (pays(m)) return OC_OK;
        }
    }
    m->count = 0;
    return OC_OK;
}

oc_status oc__pass_merge_convs(oc__graph *g, const oc__pass_env *env,
                               oc_error *err) {
    merging m = {.g = g, .env = env, .err = err};
    OC_TRY(oc__index_init(&m.ix, g, env->allocator, err));
    oc_status st = OC_OK;
    for (int i = 0; i < g->n_nodes && st == OC_OK; i++) {
        st = find_group(&m, i);
        if (st != OC_OK || !m.count) continue;
        m.at = i;
        st = merge(&m);
        forget(&m);
        if (st == OC_OK) st = oc__index_init(&m.ix, g, env->allocator, err);
    }
    forget(&m);
    oc__graph_compact(g);
    return st;
}
