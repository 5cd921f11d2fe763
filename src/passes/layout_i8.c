/*
 * layout_i8.c - puts the 8-bit part of a network into channels last.
 *
 * Walks the nodes in order and writes the node list anew, as layout.c does.
 * A value (N, C, H, W) of 8 bits may have a twin (N, H, W, C); operators that
 * can work on twins do, the others get the plain value, which a Transpose
 * makes at its first use.
 *
 *     plain x --Transpose--> twin --ConvLast--> twin --...--> twin
 *         --Transpose--> plain y
 *
 * A convolution's scales, zero points and bias are constants; they become one
 * scale and one bias a channel.  Concatenation, the shuffle of channels that
 * follows it and the Split behind that become one JoinLast.
 *
 * Where 8 bits end, twins go on in f32: behind a convolution with a result in
 * f32 and behind a DequantizeLinear.  What f32 works on next, a Block of
 * blocked channels or a Transpose to channels last, takes the twin.  Where 8
 * bits begin, an Unblock that only a QuantizeLinear reads makes the twin at
 * once.
 */
#include "ops/last.h"
#include "ops/requantize.h"
#include "passes/activation.h"
#include "passes/layout.h"

#include <string.h>

typedef struct last {
    oc__graph *g;
    const oc__pass_env *env;
    oc_error *err;
    oc__index ix;    /* of the graph as it was, with its list of nodes */
    oc__node **old;  /* that list */
    int n_plain;     /* values that existed at the start */
    int *twin;       /* for each plain value, or -1 */
    char *lost;      /* the plain value is made by nobody any more */
    oc__node **join; /* JoinLast that makes the twin and may still take in what
                        follows, or NULL */
} last;

typedef oc_status visitor(last *l, oc__node *n, int *done);

static oc_status no_memory(last *l) {
    return oc__fail_nomem(l->err);
}

static const oc__value_def *def(const last *l, int v) {
    return &l->g->values[v];
}

/* Whether v has four known dims, none 0. */
static int has_dims(const last *l, int v) {
    const oc__value_def *d = v >= 0 ? def(l, v) : NULL;
    if (!d || d->kind != OC_KIND_TENSOR || d->rank != 4) return 0;
    for (int i = 0; i < 4; i++)
        if (d->dims[i] < 1) return 0;
    return 1;
}

static int fits(const last *l, int v) {
    return has_dims(l, v) &&
           (def(l, v)->dtype == OC_DTYPE_U8 || def(l, v)->dtype == OC_DTYPE_I8);
}

static int fits_f32(const last *l, int v) {
    return has_dims(l, v) && def(l, v)->dtype == OC_DTYPE_F32;
}

static int has_twin(const last *l, int v) {
    return v >= 0 && v < l->n_plain && l->twin[v] >= 0;
}

static int same_dims(const last *l, int a, int b) {
    return !memcmp(def(l, a)->dims, def(l, b)->dims, 4 * sizeof(int64_t));
}

static int is_contrib(const oc__node *n, const char *name) {
    return !n->dead && !strcmp(n->op->domain, "com.microsoft") &&
           !strcmp(n->op->name, name);
}

/* The node that is the only use of v in the list as it was, or NULL. */
static oc__node *only_reader(const last *l, int v) {
    int r = v >= 0 && v < l->n_plain && oc__used_once(&l->ix, v)
                ? l->ix.reader[v]
                : -1;
    return r < 0 || l->old[r]->dead ? NULL : l->old[r];
}

/* ---- twins --------------------------------------------------------------- */

static int add_twin(last *l, int v) {
    const char *name =
        oc__arena_printf(l->g->arena, "%s.last", def(l, v)->name);
    int t = name ? oc__graph_add_value(l->g, name) : -1;
    if (t < 0) return -1;
    const oc__value_def *p = def(l, v);
    oc__value_def *b = &l->g->values[t];
    b->dtype = p->dtype;
    b->rank = 4;
    b->dims[0] = p->dims[0];
    b->dims[1] = p->dims[2];
    b->dims[2] = p->dims[3];
    b->dims[3] = p->dims[1];
    return t;
}

static oc_status transpose(last *l, const char *name, int in, int out,
                           const int64_t *perm) {
    oc__node *n = oc__graph_add_node(l->g, oc__op_find("", "Transpose"), name,
                                     13, 1, 1, 1);
    int64_t *p = n ? oc__arena_dup(l->g->arena, perm, 4 * sizeof(*perm)) : NULL;
    if (!p) return no_memory(l);
    n->in[0] = in;
    n->out[0] = out;
    oc__attr_set_ints(n, 0, "perm", p, 4);
    return OC_OK;
}

/* Makes sure that plain value v is there. */
static oc_status make_plain(last *l, int v) {
    static const int64_t perm[4] = {0, 3, 1, 2};
    if (v < 0 || v >= l->n_plain || !l->lost[v]) return OC_OK;
    l->lost[v] = 0;
    return transpose(l, def(l, v)->name, l->twin[v], v, perm);
}

/* The twin of v, transposed when there is none yet. */
static oc_status make_twin(last *l, int v, int *out) {
    static const int64_t perm[4] = {0, 2, 3, 1};
    if (l->twin[v] < 0) {
        OC_TRY(make_plain(l, v));
        int t = add_twin(l, v);
        if (t < 0) return no_memory(l);
        OC_TRY(transpose(l, def(l, t)->name, v, t, perm));
        l->twin[v] = t;
    }
    *out = l->twin[v];
    return OC_OK;
}

/* v now exists as twin t only. */
static void set_twin(last *l, int v, int t) {
    l->twin[v] = t;
    l->lost[v] = 1;
}

static int append(last *l, oc__node *n) {
    /* add_node makes room; the node it made gives its place to n. */
    if (!oc__graph_add_node(l->g, n->op, "", n->version, 0, 0, 0)) return 1;
    l->g->nodes[l->g->n_nodes - 1] = n;
    return 0;
}

/* n as it is, on plain values. */
static oc_status keep(last *l, oc__node *n) {
    for (int j = 0; j < n->n_in; j++)
        OC_TRY(make_plain(l, n->in[j]));
    return append(l, n) ? no_memory(l) : OC_OK;
}

/* n as it is, with the inputs of `data` (a mask) and output 0 as twins, and
 * `more` attributes to set. */
static oc_status on_twins(last *l, oc__node *n, unsigned data, int more,
                          oc__node **out) {
    int t = add_twin(l, n->out[0]);
    oc__node *c = t < 0 ? NULL
                        : oc__graph_add_node(l->g, n->op, n->name, n->version,
                                             n->n_in, 1, n->n_attrs + more);
    if (!c) return no_memory(l);
    int at = l->g->n_nodes - 1;
    for (int j = 0; j < n->n_in; j++) {
        c->in[j] = n->in[j];
        if (j < 32 && data >> j & 1)
            OC_TRY(make_twin(l, n->in[j], &c->in[j]));
        else
            OC_TRY(make_plain(l, n->in[j]));
    }
    for (int i = 0; i < n->n_attrs; i++)
        c->attrs[i] = n->attrs[i];
    /* What the twins needed stands behind it now. */
    memmove(&l->g->nodes[at], &l->g->nodes[at + 1],
            (size_t)(l->g->n_nodes - 1 - at) * sizeof(*l->g->nodes));
    l->g->nodes[l->g->n_nodes - 1] = c;
    c->out[0] = t;
    set_twin(l, n->out[0], t);
    if (out) *out = c;
    return OC_OK;
}

/* ---- constants ----------------------------------------------------------- */

/* Inputs at and at + 1 of n: one scale, one zero point. */
static int read_code(const last *l, const oc__node *n, int at,
                     oc__scale_zero *out) {
    int zero = at + 1 < n->n_in ? n->in[at + 1] : -1;
    return oc__read_scale(l->g, n->in[at], 1, 0, &out->scale) &&
           oc__read_zero(l->g, zero, 1, 0, &out->zero);
}

static oc_status set_geom(last *l, oc__node *n, const oc__conv_geom *g) {
    int64_t *ints = oc__arena_dup(l->g->arena, g, sizeof(*g));
    if (!ints) return no_memory(l);
    oc__attr_set_ints(n, 0, "geom", ints, OC_GEOM_INTS);
    return OC_OK;
}

/* ---- convolution --------------------------------------------------------- */

typedef struct conv {
    oc__conv_geom g;
    const oc_tensor *w, *bias; /* bias: i32, or f32 where the result is */
    oc__scale_zero x, y;       /* y: scale 1 where the result is f32 */
    int weights, wide; /* without zero point, and whether they are s16 */
    int floats;        /* the result is f32 */
    oc__conv_i8_algo algo;
} conv;

/* Shapes and constants; 0: ConvLast cannot have it. */
static int read_conv(const last *l, const oc__node *n, conv *c) {
    c->floats = oc__is_own(n, "ConvIntegerToFloat");
    if ((!oc__is_op(n, "QLinearConv") && !c->floats) ||
        n->n_in != n->n_explicit || !fits(l, n->in[0]) ||
        !(c->floats ? fits_f32 : fits)(l, n->out[0]))
        return 0;
    int at = c->floats ? 6 : 8;
    oc_dtype type = c->floats ? OC_DTYPE_F32 : OC_DTYPE_I32;
    c->w = oc__constant(l->g, n->in[3]);
    c->bias = n->n_in > at ? oc__constant(l->g, n->in[at]) : NULL;
    if (!c->w || c->w->rank != 4 || !oc_tensor_elems(c->w) ||
        (c->w->dtype != OC_DTYPE_U8 && c->w->dtype != OC_DTYPE_I8) ||
        (n->n_in > at && n->in[at] >= 0 &&
         (!c->bias || c->bias->dtype != type ||
          oc_tensor_elems(c->bias) != c->w->dims[0])))
        return 0;
    c->y.scale = 1;
    const int64_t *w = c->w->dims;
    oc__layout_window(n, def(l, n->in[0])->dims, def(l, n->out[0])->dims, w[2],
                      w[3], &c->g);
    c->g.group = oc__attr_int(n, "group", 1);
    return c->g.group >= 1 && c->g.in_c == w[1] * c->g.group &&
           c->g.out_c == w[0] && w[0] % c->g.group == 0 &&
           w[2] * w[3] <= 4096 && read_code(l, n, 1, &c->x) &&
           (c->floats || read_code(l, n, 6, &c->y));
}

/* The weights without zero point: the constant as it is where it has none. */
static oc_status read_weights(last *l, const oc__node *n, conv *c, int *fit) {
    const oc_tensor *w = c->w;
    int64_t out = w->dims[0], depth = oc_tensor_elems(w) / out;
    int is_signed = w->dtype == OC_DTYPE_I8, any = !is_signed, zero;
    int depthwise =
        c->g.group > 1 && c->g.group == c->g.in_c && c->g.group == c->g.out_c;
    *fit = 0;
    c->weights = n->in[3];
    c->wide = 0;
    for (int64_t o = 0; o < out; o++) {
        if (!oc__read_zero(l->g, n->in[5], out, o, &zero)) return OC_OK;
        any |= zero != 0;
        for (int64_t i = 0; i < depth; i++) {
            int64_t v = oc__tensor_get_i64(w, o * depth + i) - zero;
            c->wide |= v < -128 || v > 127;
        }
    }
    if (c->wide && !depthwise) return OC_OK;
    *fit = 1;
    if (!any) return OC_OK;
    void *data;
    oc_dtype type = c->wide ? OC_DTYPE_I16 : OC_DTYPE_I8;
    c->weights = oc__new_constant(l->g, l->env->allocator, NULL, type, 4,
                                  w->dims, &data);
    if (c->weights < 0) return no_memory(l);
    for (int64_t i = 0; i < out * depth; i++) {
        oc__read_zero(l->g, n->in[5], out, i / depth, &zero);
        int v = (int)oc__tensor_get_i64(w, i) - zero;
        if (c->wide)
            ((int16_t *)data)[i] = (int16_t)v;
        else
            ((int8_t *)data)[i] = (int8_t)v;
    }
    return OC_OK;
}

/* One bias, one scale and perhaps one shift a channel, as constants. */
static oc_status make_terms(last *l, const oc__node *n, const conv *c,
                            int *bias, int *scale, int *shift) {
    int64_t terms = (int64_t)oc__conv_i8_terms(&c->g);
    const void *w = oc__constant(l->g, c->weights)->data;
    int is_signed = def(l, n->in[0])->dtype == OC_DTYPE_I8;
    void *b;
    float *s, *f = NULL, w_scale;
    *bias = oc__new_constant(l->g, l->env->allocator, NULL, OC_DTYPE_I32, 1,
                             &terms, &b);
    *scale = oc__new_constant_f32(l->g, l->env->allocator, NULL, 1, &terms, &s);
    *shift = -1;
    if (c->floats)
        *shift =
            oc__new_constant_f32(l->g, l->env->allocator, NULL, 1, &terms, &f);
    if (*bias < 0 || *scale < 0 || (c->floats && *shift < 0))
        return no_memory(l);
    if (f) memset(f, 0, (size_t)terms * sizeof(float));
    memset(b, 0, (size_t)terms * sizeof(int32_t));
    memset(s, 0, (size_t)terms * sizeof(float));
    for (int64_t o = 0; o < c->g.out_c; o++) {
        size_t at = oc__conv_i8_term(&c->g, (size_t)o);
        oc__read_scale(l->g, n->in[4], c->g.out_c, o, &w_scale);
        int32_t added = 0;
        if (c->bias && f)
            f[at] = ((const float *)c->bias->data)[o];
        else if (c->bias)
            added = ((const int32_t *)c->bias->data)[o];
        ((int32_t *)b)[at] =
            oc__conv_i8_bias(l->env->kernels, &c->g, c->algo, w, c->wide,
                             (size_t)o, added, c->x.zero, is_signed);
        s[at] = c->x.scale * w_scale / c->y.scale;
    }
    return OC_OK;
}

/* The activation that alone reads n's result in f32, taken into q. */
static int take_activation(last *l, const oc__node *n, oc__node *q) {
    oc__node *next = only_reader(l, n->out[0]);
    oc__act_args a;
    if (!next || !oc__node_activation(l->g, next, &a) ||
        next->in[0] != n->out[0] || !fits_f32(l, next->out[0]))
        return n->out[0];
    oc__attr_set_int(q, 5, "act", a.kind);
    oc__attr_set_float(q, 6, "act_a", a.a);
    oc__attr_set_float(q, 7, "act_b", a.b);
    next->dead = 1;
    return next->out[0];
}

static oc_status put_conv(last *l, oc__node *n, const conv *c) {
    int x, bias, scale, shift, t = add_twin(l, n->out[0]);
    OC_TRY(make_twin(l, n->in[0], &x));
    OC_TRY(make_terms(l, n, c, &bias, &scale, &shift));
    int packed = oc__graph_add_value(l->g, NULL);
    oc__node *p =
        t < 0 || packed < 0
            ? NULL
            : oc__graph_add_node(l->g, oc__op_find("ocelli", "PackLast"),
                                 n->name, 1, 1, 1, 2);
    oc__node *q = !p ? NULL
                     : oc__graph_add_node(
                           l->g, oc__op_find("ocelli", "ConvLast"), n->name, 1,
                           c->floats ? 5 : 4, 1, c->floats ? 8 : 5);
    if (!q) return no_memory(l);
    OC_TRY(set_geom(l, p, &c->g));
    OC_TRY(set_geom(l, q, &c->g));
    p->in[0] = c->weights;
    p->out[0] = packed;
    q->in[0] = x;
    q->in[1] = packed;
    q->in[2] = bias;
    q->in[3] = scale;
    q->out[0] = t;
    oc__attr_set_int(q, 1, "pad", c->x.zero & 255);
    oc__attr_set_int(q, 2, "zero", c->y.zero);
    oc__attr_set_int(q, 3, "is_signed",
                     def(l, n->out[0])->dtype == OC_DTYPE_I8);
    oc__attr_set_int(p, 1, "algo", c->algo);
    oc__attr_set_int(q, 4, "algo", c->algo);
    if (!c->floats) {
        set_twin(l, n->out[0], t);
        return OC_OK;
    }
    q->in[4] = shift;
    oc__attr_set_int(q, 5, "act", OC_ACT_NONE);
    oc__attr_set_float(q, 6, "act_a", 0);
    oc__attr_set_float(q, 7, "act_b", 0);
    set_twin(l, take_activation(l, n, q), t);
    return OC_OK;
}

static oc_status visit_conv(last *l, oc__node *n, int *done) {
    conv c = {0};
    float unused;
    if (!read_conv(l, n, &c) ||
        !oc__read_scale(l->g, n->in[4], c.g.out_c, 0, &unused))
        return OC_OK;
    OC_TRY(read_weights(l, n, &c, done));
    if (!*done) return OC_OK;
    c.algo = OC_CONV_I8_PLAIN;
    if (!c.wide)
        c.algo = oc__conv_i8_choose(l->env->kernels, &c.g,
                                    oc__constant(l->g, c.weights)->data);
    return put_conv(l, n, &c);
}

/* ---- pooling, element by element ----------------------------------------- */

static oc_status visit_max_pool(last *l, oc__node *n, int *done) {
    size_t count;
    oc__conv_geom g;
    const int64_t *k = oc__attr_ints(n, "kernel_shape", &count);
    if (!oc__is_op(n, "MaxPool") || n->n_out != 1 || count != 2 ||
        !fits(l, n->in[0]) || !fits(l, n->out[0]) || !has_twin(l, n->in[0]))
        return OC_OK;
    oc__layout_window(n, def(l, n->in[0])->dims, def(l, n->out[0])->dims, k[0],
                      k[1], &g);
    int t = add_twin(l, n->out[0]);
    oc__node *p =
        t < 0 ? NULL
              : oc__graph_add_node(l->g, oc__op_find("ocelli", "MaxPoolLast"),
                                   n->name, 1, 1, 1, 1);
    if (!p) return no_memory(l);
    OC_TRY(set_geom(l, p, &g));
    p->in[0] = l->twin[n->in[0]];
    p->out[0] = t;
    set_twin(l, n->out[0], t);
    *done = 1;
    return OC_OK;
}

static oc_status visit_average(last *l, oc__node *n, int *done) {
    oc__node *c;
    if ((!is_contrib(n, "QLinearAveragePool") &&
         !is_contrib(n, "QLinearGlobalAveragePool")) ||
        oc__attr_int(n, "channels_last", 0) || !fits(l, n->in[0]) ||
        !fits(l, n->out[0]) || !has_twin(l, n->in[0]))
        return OC_OK;
    OC_TRY(on_twins(l, n, 1, 1, &c));
    /* In place of one that says 0, which would be found first. */
    int slot = n->n_attrs;
    for (int i = 0; i < n->n_attrs; i++)
        if (!strcmp(n->attrs[i].name, "channels_last")) slot = i;
    if (slot < n->n_attrs) c->n_attrs = n->n_attrs;
    oc__attr_set_int(c, slot, "channels_last", 1);
    *done = 1;
    return OC_OK;
}

/* One operand as large as the result has a twin; the other may be spread over
 * it, as the gates of squeeze-and-excite are. */
static oc_status visit_pair(last *l, oc__node *n, int *done) {
    if ((!is_contrib(n, "QLinearAdd") && !is_contrib(n, "QLinearMul")) ||
        !fits(l, n->in[0]) || !fits(l, n->in[3]) || !fits(l, n->out[0]) ||
        !((same_dims(l, n->in[0], n->out[0]) && has_twin(l, n->in[0])) ||
          (same_dims(l, n->in[3], n->out[0]) && has_twin(l, n->in[3]))))
        return OC_OK;
    *done = 1;
    return on_twins(l, n, 1 | 1 << 3, 0, NULL);
}

static oc_status visit_single(last *l, oc__node *n, int *done) {
    if ((!is_contrib(n, "QLinearSigmoid") &&
         !is_contrib(n, "QLinearLeakyRelu") && !oc__is_own(n, "Table")) ||
        !fits(l, n->in[0]) || !fits(l, n->out[0]) || !has_twin(l, n->in[0]))
        return OC_OK;
    *done = 1;
    return on_twins(l, n, 1, 0, NULL);
}

/* ---- joining ------------------------------------------------------------- */

/* Part i of n and its code; of a plain Concat all have the same. */
static int part_of(const oc__node *n, int quantized, int i) {
    return n->in[quantized ? 2 + 3 * i : i];
}

static int join_fits(const last *l, const oc__node *n, int quantized,
                     int parts) {
    oc__scale_zero q;
    int64_t axis = oc__attr_int(n, "axis", 0);
    int some = 0;
    if (parts < 1 || (axis != 1 && axis != -3) || !fits(l, n->out[0]) ||
        (quantized && !read_code(l, n, 0, &q)))
        return 0;
    for (int i = 0; i < parts; i++) {
        int v = part_of(n, quantized, i);
        if (!fits(l, v) || (quantized && !read_code(l, n, 3 + 3 * i, &q)))
            return 0;
        some |= has_twin(l, v);
    }
    return some;
}

/* The table from part i to the result; -1: they have the same code. */
static oc_status make_table(last *l, const oc__node *n, int i, int *out) {
    static const int64_t length = 256;
    oc__scale_zero x, y;
    void *table;
    *out = -1;
    read_code(l, n, 0, &y);
    read_code(l, n, 3 + 3 * i, &x);
    if (x.scale == y.scale && x.zero == y.zero) return OC_OK;
    *out = oc__new_constant(l->g, l->env->allocator, NULL, OC_DTYPE_U8, 1,
                            &length, &table);
    if (*out < 0) return no_memory(l);
    oc__requantize_table(x, y, def(l, n->out[0])->dtype == OC_DTYPE_I8, table);
    return OC_OK;
}

static oc_status visit_join(last *l, oc__node *n, int *done) {
    int quantized = is_contrib(n, "QLinearConcat");
    int parts = quantized ? (n->n_in - 2) / 3 : n->n_in;
    if ((!quantized && !oc__is_op(n, "Concat")) ||
        !join_fits(l, n, quantized, parts))
        return OC_OK;
    int *in = oc__arena_array(l->g->arena, (size_t)parts * 2, sizeof(int));
    if (!in) return no_memory(l);
    for (int i = 0; i < parts; i++) {
        OC_TRY(make_twin(l, part_of(n, quantized, i), &in[2 * i]));
        in[2 * i + 1] = -1;
        if (quantized) OC_TRY(make_table(l, n, i, &in[2 * i + 1]));
    }
    int t = add_twin(l, n->out[0]);
    oc__node *j =
        t < 0 ? NULL
              : oc__graph_add_node(l->g, oc__op_find("ocelli", "JoinLast"),
                                   n->name, 1, 2 * parts, 1, 2);
    if (!j) return no_memory(l);
    memcpy(j->in, in, (size_t)parts * 2 * sizeof(int));
    j->out[0] = t;
    oc__attr_set_int(j, 0, "groups", 1);
    j->n_attrs = 1; /* the other is for Split */
    set_twin(l, n->out[0], t);
    l->join[n->out[0]] = j;
    *done = 1;
    return OC_OK;
}

/* The JoinLast that makes v, if only this point reads it; else one of v alone.
 * Its output becomes t.  A shuffle cannot follow another one in it. */
static oc_status open_join(last *l, const oc__node *n, int v, int t,
                           int shuffles, oc__node **out) {
    oc__node *j = l->join[v];
    if (!j || !oc__used_once(&l->ix, v) ||
        (shuffles && oc__attr_int(j, "groups", 1) != 1)) {
        j = oc__graph_add_node(l->g, oc__op_find("ocelli", "JoinLast"), n->name,
                               1, 2, 1, 2);
        if (!j) return no_memory(l);
        j->in[0] = l->twin[v];
        oc__attr_set_int(j, 0, "groups", 1);
        j->n_attrs = 1;
    }
    j->out[0] = t;
    *out = j;
    return OC_OK;
}

/* (N, C, H, W) -> (N, g, C/g, H, W), g and C/g transposed, and back: the
 * Transpose and the last Reshape, or 0. */
static int is_shuffle(const last *l, const oc__node *n, oc__node **move,
                      oc__node **back, int64_t *groups) {
    size_t count;
    if (!oc__is_op(n, "Reshape") || !fits(l, n->in[0])) return 0;
    const oc__value_def *x = def(l, n->in[0]), *y = def(l, n->out[0]);
    if (y->rank != 5 || y->dims[0] != x->dims[0] ||
        y->dims[1] * y->dims[2] != x->dims[1] || y->dims[3] != x->dims[2] ||
        y->dims[4] != x->dims[3] || !oc__used_once(&l->ix, n->out[0]))
        return 0;
    /* The index counts by the list as it was. */
    int r = l->ix.reader[n->out[0]];
    *move = r < 0 ? NULL : l->old[r];
    if (!oc__is_op(*move, "Transpose")) return 0;
    const int64_t *p = oc__attr_ints(*move, "perm", &count);
    if (!p || count != 5 || p[0] != 0 || p[1] != 2 || p[2] != 1 || p[3] != 3 ||
        p[4] != 4 || !oc__used_once(&l->ix, (*move)->out[0]))
        return 0;
    r = l->ix.reader[(*move)->out[0]];
    *back = r < 0 ? NULL : l->old[r];
    *groups = y->dims[1];
    return oc__is_op(*back, "Reshape") && fits(l, (*back)->out[0]) &&
           same_dims(l, (*back)->out[0], n->in[0]);
}

static oc_status visit_shuffle(last *l, oc__node *n, int *done) {
    oc__node *move, *back, *j;
    int64_t groups;
    int v = n->in[0];
    if (!has_twin(l, v) || !is_shuffle(l, n, &move, &back, &groups))
        return OC_OK;
    int out = back->out[0], t = add_twin(l, out);
    if (t < 0) return no_memory(l);
    OC_TRY(open_join(l, n, v, t, 1, &j));
    oc__attr_set_int(j, 0, "groups", groups);
    set_twin(l, out, t);
    l->join[out] = j;
    move->dead = back->dead = 1;
    *done = 1;
    return OC_OK;
}

static oc_status visit_split(last *l, oc__node *n, int *done) {
    int64_t axis = oc__attr_int(n, "axis", 0);
    oc__node *j;
    if (!oc__is_op(n, "Split") || !has_twin(l, n->in[0]) ||
        (axis != 1 && axis != -3) || n->n_out < 1)
        return OC_OK;
    for (int i = 0; i < n->n_out; i++)
        if (n->out[i] < 0 || !fits(l, n->out[i])) return OC_OK;
    int *out = oc__arena_array(l->g->arena, (size_t)n->n_out, sizeof(int));
    int64_t *cuts =
        oc__arena_array(l->g->arena, (size_t)n->n_out, sizeof(*cuts));
    if (!out || !cuts) return no_memory(l);
    for (int i = 0; i < n->n_out; i++) {
        cuts[i] = def(l, n->out[i])->dims[1];
        out[i] = add_twin(l, n->out[i]);
        if (out[i] < 0) return no_memory(l);
        set_twin(l, n->out[i], out[i]);
    }
    OC_TRY(open_join(l, n, n->in[0], out[0], 0, &j));
    j->n_attrs = 2;
    oc__attr_set_ints(j, 1, "split", cuts, (size_t)n->n_out);
    j->out = out;
    j->n_out = n->n_out;
    *done = 1;
    return OC_OK;
}

/* ---- between 8 bits and f32 ---------------------------------------------- */

/* One scale for all: what a coder does to a twin is the same. */
static int has_one_scale(const last *l, const oc__node *n) {
    oc__scale_zero unused;
    return n->n_in == n->n_explicit && !oc__attr_int(n, "block_size", 0) &&
           read_code(l, n, 1, &unused);
}

static const int64_t to_last[4] = {0, 2, 3, 1}, from_last[4] = {0, 3, 1, 2};

static int transposes(const oc__node *n, const int64_t *wanted) {
    size_t count;
    const int64_t *perm =
        oc__is_op(n, "Transpose") ? oc__attr_ints(n, "perm", &count) : NULL;
    return perm && count == 4 && !memcmp(perm, wanted, 4 * sizeof(*perm));
}

static int is_to_last(const oc__node *n) {
    return transposes(n, to_last);
}

static int is_to_blocks(const oc__node *n) {
    return oc__is_own(n, "Block") && !oc__attr_int(n, "layout", 0);
}

/* For what takes the twin alone: else bytes are cheaper to transpose. */
static oc_status visit_dequantize(last *l, oc__node *n, int *done) {
    oc__node *next = only_reader(l, n->out[0]);
    if (!oc__is_op(n, "DequantizeLinear") || !fits(l, n->in[0]) ||
        !fits_f32(l, n->out[0]) || !has_twin(l, n->in[0]) ||
        !has_one_scale(l, n) || !(is_to_blocks(next) || is_to_last(next)))
        return OC_OK;
    *done = 1;
    return on_twins(l, n, 1, 0, NULL);
}

/* Into blocked channels: from the twin, which costs no more. */
static oc_status visit_block(last *l, oc__node *n, int *done) {
    if (!is_to_blocks(n) || !fits_f32(l, n->in[0]) || !has_twin(l, n->in[0]) ||
        n->n_attrs != 1)
        return OC_OK;
    n->in[0] = l->twin[n->in[0]];
    oc__attr_set_int(n, 0, "layout", 1);
    *done = 1;
    return append(l, n) ? no_memory(l) : OC_OK;
}

/* v is read by a quantizer alone, which does the same to a twin. */
static int is_quantized_only(const last *l, int v) {
    oc__node *q = only_reader(l, v);
    return oc__is_op(q, "QuantizeLinear") && q->in[0] == v && fits_f32(l, v) &&
           fits(l, q->out[0]) && has_one_scale(l, q);
}

/* From channels last, of codes or what becomes codes: it reads the twin. */
static int take_as_twin(last *l, const oc__node *n) {
    int v = n->in[0];
    if (!transposes(n, from_last) || !has_dims(l, v) || v >= l->n_plain ||
        l->lost[v] || !(fits(l, n->out[0]) || is_quantized_only(l, n->out[0])))
        return 0;
    set_twin(l, n->out[0], v);
    return 1;
}

/* To channels last: there already. */
static oc_status visit_transpose(last *l, oc__node *n, int *done) {
    if ((*done = take_as_twin(l, n))) return OC_OK;
    if (!is_to_last(n) || !has_dims(l, n->in[0]) || !has_twin(l, n->in[0]))
        return OC_OK;
    oc__node *c = oc__graph_add_node(l->g, oc__op_find("", "Identity"), n->name,
                                     13, 1, 1, 0);
    if (!c) return no_memory(l);
    c->in[0] = l->twin[n->in[0]];
    c->out[0] = n->out[0];
    *done = 1;
    return OC_OK;
}

/* The mean of a twin in f32: of all pixels, channels side by side. */
static oc_status visit_global_average(last *l, oc__node *n, int *done) {
    static const int64_t pixels[2] = {1, 2}, perm[4] = {0, 3, 1, 2};
    if (!oc__is_op(n, "GlobalAveragePool") || !fits_f32(l, n->in[0]) ||
        !fits_f32(l, n->out[0]) || !has_twin(l, n->in[0]) || !l->lost[n->in[0]])
        return OC_OK;
    int t = add_twin(l, n->out[0]);
    oc__node *c = t < 0
                      ? NULL
                      : oc__graph_add_node(l->g, oc__op_find("", "ReduceMean"),
                                           n->name, 13, 1, 1, 2);
    int64_t *axes = oc__arena_dup(l->g->arena, pixels, sizeof(pixels));
    if (!c || !axes) return no_memory(l);
    c->in[0] = l->twin[n->in[0]];
    c->out[0] = t;
    oc__attr_set_ints(c, 0, "axes", axes, 2);
    oc__attr_set_int(c, 1, "keepdims", 1);
    *done = 1;
    return transpose(l, n->name, t, n->out[0], perm);
}

/* Out of blocked channels, for a quantizer alone: channels last at once. */
static oc_status visit_unblock(last *l, oc__node *n, int *done) {
    int v = n->out[0];
    if (!oc__is_own(n, "Unblock") || oc__attr_int(n, "layout", 0) ||
        !is_quantized_only(l, v))
        return OC_OK;
    int t = add_twin(l, v);
    if (t < 0) return no_memory(l);
    for (int i = 0; i < n->n_attrs; i++)
        if (!strcmp(n->attrs[i].name, "layout"))
            oc__attr_set_int(n, i, "layout", 1);
    n->out[0] = t;
    set_twin(l, v, t);
    *done = 1;
    return append(l, n) ? no_memory(l) : OC_OK;
}

static oc_status visit_quantize(last *l, oc__node *n, int *done) {
    if (!oc__is_op(n, "QuantizeLinear") || !fits_f32(l, n->in[0]) ||
        !fits(l, n->out[0]) || !has_twin(l, n->in[0]) || !has_one_scale(l, n))
        return OC_OK;
    *done = 1;
    return on_twins(l, n, 1, 0, NULL);
}

/* ---- the walk ------------------------------------------------------------ */

static visitor *const visitors[] = {
    visit_conv,     visit_max_pool,       visit_average,   visit_pair,
    visit_single,   visit_join,           visit_shuffle,   visit_split,
    visit_block,    visit_unblock,        visit_transpose, visit_dequantize,
    visit_quantize, visit_global_average,
};

static oc_status visit(last *l, oc__node *n) {
    int done = 0;
    if (n->dead) return OC_OK;
    if (n->n_explicit < 1 || n->in[0] < 0 || n->n_out < 1 || n->out[0] < 0)
        return keep(l, n);
    for (size_t i = 0; i < OC_COUNT(visitors) && !done; i++)
        OC_TRY(visitors[i](l, n, &done));
    return done ? OC_OK : keep(l, n);
}

static oc_status rewrite(last *l) {
    oc__graph *g = l->g;
    int n_old = g->n_nodes;
    l->old = g->nodes;
    g->nodes = NULL;
    g->n_nodes = g->cap_nodes = 0;
    for (int i = 0; i < n_old; i++)
        OC_TRY(visit(l, l->old[i]));
    for (int i = 0; i < g->n_outputs; i++)
        OC_TRY(make_plain(l, g->outputs[i]));
    return OC_OK;
}

static int has_conv(const oc__graph *g) {
    for (int i = 0; i < g->n_nodes; i++)
        if (oc__is_op(g->nodes[i], "QLinearConv") ||
            oc__is_own(g->nodes[i], "ConvIntegerToFloat"))
            return 1;
    return 0;
}

oc_status oc__pass_layout_i8(oc__graph *g, const oc__pass_env *env,
                             oc_error *err) {
    if (!has_conv(g)) return OC_OK;
    size_t n = (size_t)g->n_values + 1;
    const oc_allocator *a = env->allocator;
    last l = {.g = g, .env = env, .err = err, .n_plain = g->n_values};
    OC_TRY(oc__index_init(&l.ix, g, a, err));
    l.twin = oc__alloc(a, n * sizeof(*l.twin));
    l.lost = oc__calloc(a, n, 1);
    l.join = oc__calloc(a, n, sizeof(*l.join));
    oc_status st = OC_OK;
    if (!l.twin || !l.lost || !l.join) st = oc__fail_nomem(err);
    for (size_t i = 0; i < n && st == OC_OK; i++)
        l.twin[i] = -1;
    if (st == OC_OK) st = rewrite(&l);
    oc__release(a, l.twin, n * sizeof(*l.twin));
    oc__release(a, l.lost, n);
    oc__release(a, l.join, n * sizeof(*l.join));
    oc__index_deinit(&l.ix);
    return st;
}
