/*
 * equalize_find.c - which values can be divided by factors; see equalize.h.
 *
 * One walk: nodes with constant rows begin a class of values, nodes that do the
 * same to x / s as to x, but for the factor, hand it on, nodes that read it by
 * constant rows end it.  Whatever else reads a class spoils it.
 */
#include "quant/equalize.h"

#include "passes/match.h"

#include <math.h>
#include <string.h>

enum { LAST = -1 }; /* the axis of channels, where it is not 1 */

typedef struct class_of_values {
    int parent;
    int64_t n;
    int spoiled;
} class_of_values;

typedef struct noted {
    oc__equal_use use;
    int class;
} noted;

typedef struct finder {
    oc__quant_plan *p;
    oc__graph *g;
    int *of;   /* class of each value, -1: none */
    int *axis; /* of a value that has one: 1 or LAST */
    int *rank; /* of a value, -1: not known */
    class_of_values *classes;
    noted *uses;
    int n_classes, n_uses;
} finder;

/* ---- classes -------------------------------------------------------------
 */

static int root(const finder *f, int c) {
    while (c >= 0 && f->classes[c].parent != c)
        c = f->classes[c].parent;
    return c;
}

static int in_class(const finder *f, const oc__node *n, int j) {
    return j < n->n_in && n->in[j] >= 0 ? root(f, f->of[n->in[j]]) : -1;
}

static void spoil(finder *f, int c) {
    if (c >= 0) f->classes[c].spoiled = 1;
}

static void hand_on(finder *f, const oc__node *n, int from) {
    int v = n->out[0];
    f->of[v] = f->of[from];
    f->axis[v] = f->axis[from];
}

static int begin(finder *f, int v, int axis, int64_t channels) {
    int c = f->n_classes++;
    f->classes[c] = (class_of_values){c, channels, 0};
    f->of[v] = c;
    f->axis[v] = axis;
    return c;
}

static int unite(finder *f, int a, int b) {
    f->classes[b].parent = a;
    f->classes[a].spoiled |= f->classes[b].spoiled;
    return a;
}

static void note(finder *f, int class, int node, int input, int axis, int reads,
                 int is_free) {
    oc__equal_use use = {node, input, axis, reads, is_free, -1, -1};
    f->uses[f->n_uses++] = (noted){use, class};
}

/* ---- operators with rows --------------------------------------------------
 */

static const oc_tensor *rows_of(const finder *f, const oc__node *n, int j) {
    const oc_tensor *t =
        j < n->n_explicit ? oc__constant(f->g, n->in[j]) : NULL;
    return t && t->dtype == OC_DTYPE_F32 && oc_tensor_elems(t) > 0 ? t : NULL;
}

static int has(const oc__node *n, int j) {
    return j < n->n_explicit && n->in[j] >= 0;
}

static int is_vector(const oc_tensor *t, int64_t n) {
    return t && t->rank == 1 && t->dims[0] == n;
}

/* Whether class c of x is one of n channels along an axis. */
static int fits(const finder *f, int c, int x, int axis, int64_t n) {
    return c >= 0 && f->axis[x] == axis && f->classes[c].n == n;
}

static int conv(finder *f, int at) {
    const oc__node *n = f->g->nodes[at];
    const oc_tensor *w = rows_of(f, n, 1), *b = rows_of(f, n, 2);
    int64_t groups = oc__attr_int(n, "group", 1);
    if (!w || w->rank < 3 || groups < 1) return 0;
    int64_t out = w->dims[0], in = w->dims[1] * groups;
    int x = in_class(f, n, 0), deep = groups > 1 && groups == in && in == out;
    f->rank[n->out[0]] = w->rank;
    if (fits(f, x, n->in[0], 1, in) && (groups == 1 || deep))
        note(f, x, at, 1, !deep, 1, deep);
    else
        spoil(f, x);
    if (has(n, 2) && !is_vector(b, out)) return 1;
    int y = begin(f, n->out[0], 1, out);
    note(f, y, at, 1, 0, 0, 1);
    if (b) note(f, y, at, 2, 0, 0, 1);
    return 1;
}

/* MatMul and Gemm by a constant on the right. */
static int product(finder *f, int at) {
    const oc__node *n = f->g->nodes[at];
    const oc_tensor *w = rows_of(f, n, 1), *b = rows_of(f, n, 2);
    int turned = oc__attr_int(n, "transB", 0) != 0, x = in_class(f, n, 0);
    if (!w || w->rank != 2 || oc__attr_int(n, "transA", 0)) return 0;
    int64_t in = w->dims[turned], out = w->dims[!turned];
    if (fits(f, x, n->in[0], LAST, in))
        note(f, x, at, 1, turned, 1, 0);
    else
        spoil(f, x);
    if (has(n, 2) && !(b && b->rank > 0 && b->dims[b->rank - 1] == out))
        return 1;
    int y = begin(f, n->out[0], LAST, out);
    note(f, y, at, 1, !turned, 0, 1);
    if (b) note(f, y, at, 2, b->rank - 1, 0, 1);
    return 1;
}

/* Scale and bias of norms are rows; what is normed is not divided. */
static int norm(finder *f, int at) {
    const oc__node *n = f->g->nodes[at];
    const oc_tensor *g = rows_of(f, n, 1), *b = rows_of(f, n, 2);
    int last = !oc__is_op(n, "BatchNormalization") &&
               !oc__is_op(n, "InstanceNormalization");
    spoil(f, in_class(f, n, 0));
    f->rank[n->out[0]] = f->rank[n->in[0]];
    if (!g || g->rank != 1 || (has(n, 2) && !is_vector(b, g->dims[0])))
        return 0;
    int y = begin(f, n->out[0], last ? LAST : 1, g->dims[0]);
    note(f, y, at, 1, 0, 0, 1);
    if (b) note(f, y, at, 2, 0, 0, 1);
    return 1;
}

/* ---- operators that hand on ----------------------------------------------
 */

static float limit_of(const finder *f, const oc__node *n, int j,
                      const char *name, float none) {
    float v = none;
    if (!has(n, j)) return oc__attr_float(n, name, none);
    return oc__const_scalar(f->g, n->in[j], &v) ? v : NAN;
}

/* f(x s) = s f(x) for every s > 0, channel by channel. */
static int is_homogeneous(const finder *f, const oc__node *n) {
    static const char *const names[] = {"Relu", "LeakyRelu", "Identity",
                                        "PRelu"};
    for (size_t i = 0; i < OC_COUNT(names); i++)
        if (oc__is_op(n, names[i]))
            return n->n_in == 1 || oc__constant(f->g, n->in[1]);
    return oc__is_op(n, "Clip") && limit_of(f, n, 1, "min", -INFINITY) == 0 &&
           limit_of(f, n, 2, "max", INFINITY) > 1e30f;
}

static int is_pool(const oc__node *n) {
    static const char *const names[] = {"MaxPool", "AveragePool",
                                        "GlobalAveragePool", "GlobalMaxPool"};
    for (size_t i = 0; i < OC_COUNT(names); i++)
        if (oc__is_op(n, names[i])) return n->n_out == 1;
    return 0;
}

/* Places alone get another size. */
static int is_resize(const finder *f, const oc__node *n) {
    int j = n->version < 11 ? 1 : 2;
    const oc_tensor *s = oc__is_op(n, "Resize") || oc__is_op(n, "Upsample")
                             ? rows_of(f, n, j)
                             : NULL;
    const char *how = oc__attr_string(n, "coordinate_transformation_mode", "");
    return s && s->rank == 1 && s->dims[0] > 2 && !has(n, 3) &&
           ((const float *)s->data)[1] == 1 && !oc__attr_find(n, "axes") &&
           strcmp(how, "tf_crop_and_resize") != 0;
}

static int simple(finder *f, int at) {
    const oc__node *n = f->g->nodes[at];
    int x = n->n_in && n->in[0] >= 0 ? n->in[0] : -1;
    int places = is_pool(n) || is_resize(f, n);
    if (x < 0 || !(places || is_homogeneous(f, n))) return 0;
    if (f->of[x] >= 0 && places && f->axis[x] != 1) return 0;
    f->rank[n->out[0]] = f->rank[x];
    hand_on(f, n, x);
    return 1;
}

/* The axis of constant t that meets the channels of x; -1: t has none. */
static int meets(const finder *f, const oc_tensor *t, int x, int64_t n) {
    int axis = t->rank - 1;
    if (f->axis[x] == 1)
        axis = t->rank > f->rank[x] ? -1 : 1 + t->rank - f->rank[x];
    return axis >= 0 && t->dims[axis] == n ? axis : -1;
}

/* x + constant. */
static int add_rows(finder *f, int at, int j, int c) {
    const oc__node *n = f->g->nodes[at];
    const oc_tensor *t = rows_of(f, n, j);
    int x = n->in[!j],
        axis = t && c >= 0 ? meets(f, t, x, f->classes[c].n) : -1;
    if (axis < 0) return 0;
    f->rank[n->out[0]] = t->rank > f->rank[x] ? -1 : f->rank[x];
    note(f, c, at, j, axis, 0, 1);
    hand_on(f, n, x);
    return 1;
}

/* Two of a kind have one class from now on. */
static int sum(finder *f, int at) {
    const oc__node *n = f->g->nodes[at];
    int a = in_class(f, n, 0), b = in_class(f, n, 1);
    for (int j = 0; j < 2; j++)
        if (oc__constant(f->g, n->in[j])) return add_rows(f, at, j, j ? a : b);
    if (f->rank[n->in[0]] == f->rank[n->in[1]])
        f->rank[n->out[0]] = f->rank[n->in[0]];
    if (a < 0 || b < 0 || f->axis[n->in[0]] != f->axis[n->in[1]] ||
        f->rank[n->in[0]] != f->rank[n->in[1]] ||
        f->classes[a].n != f->classes[b].n)
        return 0;
    if (a != b) unite(f, a, b);
    hand_on(f, n, n->in[0]);
    return 1;
}

/* x by a constant, which is a scale for each channel, or one for all. */
static int scale_rows(finder *f, int at, int j, int c) {
    const oc__node *n = f->g->nodes[at];
    const oc_tensor *t = rows_of(f, n, j);
    int x = n->in[!j];
    if (t && oc_tensor_elems(t) == 1 && t->rank <= 1) {
        f->rank[n->out[0]] = f->rank[x];
        hand_on(f, n, x);
        return 1;
    }
    int axis = t && c >= 0 ? meets(f, t, x, f->classes[c].n) : -1;
    if (t && t->rank <= f->rank[x]) f->rank[n->out[0]] = f->rank[x];
    if (axis >= 0) {
        note(f, c, at, j, axis, 1, 1);
        int y = begin(f, n->out[0], f->axis[x], f->classes[c].n);
        note(f, y, at, j, axis, 0, 1);
        return 1;
    }
    spoil(f, c);
    if (!t || t->rank != 1) return 0;
    int y = begin(f, n->out[0], LAST, t->dims[0]);
    note(f, y, at, j, 0, 0, 1);
    return 1;
}

/* A gate that is not divided leaves the factors of what it opens. */
static int times(finder *f, int at) {
    const oc__node *n = f->g->nodes[at];
    int a = in_class(f, n, 0), b = in_class(f, n, 1);
    for (int j = 0; j < 2; j++)
        if (oc__constant(f->g, n->in[j]))
            return scale_rows(f, at, j, j ? a : b);
    int same = f->rank[n->in[0]] == f->rank[n->in[1]];
    if (same) f->rank[n->out[0]] = f->rank[n->in[0]];
    if ((a >= 0) == (b >= 0) || !same || f->rank[n->in[0]] < 0) return 0;
    hand_on(f, n, n->in[a < 0]);
    return 1;
}

/* Nothing is known of classes, but the rank stays. */
static void keep_rank(finder *f, const oc__node *n) {
    static const char *const names[] = {"Sigmoid", "HardSigmoid", "HardSwish",
                                        "Tanh",    "Clip",        "Concat"};
    for (size_t i = 0; i < OC_COUNT(names); i++)
        if (oc__is_op(n, names[i])) f->rank[n->out[0]] = f->rank[n->in[0]];
}

static void visit(finder *f, int at) {
    const oc__node *n = f->g->nodes[at];
    static const struct {
        const char *op;
        int (*rule)(finder *, int);
    } rules[] = {
        {"Conv", conv},
        {"MatMul", product},
        {"Gemm", product},
        {"LayerNormalization", norm},
        {"RMSNormalization", norm},
        {"BatchNormalization", norm},
        {"InstanceNormalization", norm},
        {"Add", sum},
        {"Mul", times},
    };
    int done = 0, odd = n->n_in != n->n_explicit || !n->n_in || n->in[0] < 0 ||
                        !n->n_out || n->out[0] < 0;
    for (size_t i = 0; i < OC_COUNT(rules) && !done && !odd; i++)
        if (oc__is_op(n, rules[i].op)) done = rules[i].rule(f, at);
    if (!done && !odd) done = simple(f, at);
    if (!odd && !done) keep_rank(f, n);
    for (int j = 0; j < n->n_in && !done; j++)
        spoil(f, in_class(f, n, j));
}

/* ---- what is left --------------------------------------------------------
 */

/* What a code is shared with must be divided as well. */
static void check_codes(finder *f) {
    for (int v = 0; v < f->p->n_values; v++) {
        int c = f->p->code[v];
        if (c < 0 || root(f, f->of[c]) == root(f, f->of[v])) continue;
        spoil(f, root(f, f->of[v]));
        spoil(f, root(f, f->of[c]));
    }
    for (int i = 0; i < f->g->n_outputs; i++)
        spoil(f, root(f, f->of[f->g->outputs[i]]));
}

static int target_at(const oc__quant_plan *p, int node) {
    for (int k = 0; k < p->n_targets; k++)
        if (p->targets[k].node == node) return k;
    return -1;
}

/* The member with whose code u's target reads, all being in 8 bits. */
static int member_of(const finder *f, const oc__equal *e,
                     const oc__equal_use *u) {
    int code = f->p->code[f->g->nodes[u->node]->in[0]];
    for (int m = 0; m < e->n_members; m++)
        if (f->p->watches[e->members[m]].value == code) return m;
    return -1;
}

/* Uses and members of class c; 0: it has no use. */
static int gather(const finder *f, int c, oc__equal *e) {
    int makes = 0, reads = 0;
    for (int i = 0; i < f->n_uses; i++) {
        const oc__equal_use *u = &f->uses[i].use;
        if (root(f, f->uses[i].class) != c) continue;
        int k = u->input == 1 && u->reads ? target_at(f->p, u->node) : -1;
        makes += !u->reads;
        reads += k >= 0;
        e->uses[e->n_uses] = *u;
        e->uses[e->n_uses++].target = k;
    }
    for (int k = 0; k < f->p->n_watches; k++) {
        int v = f->p->watches[k].value;
        if (root(f, f->of[v]) == c && f->p->code[v] == v)
            e->members[e->n_members++] = k;
    }
    for (int i = 0; i < e->n_uses; i++)
        if (e->uses[i].target >= 0)
            e->uses[i].member = member_of(f, e, &e->uses[i]);
    e->n = f->classes[c].n;
    return makes && reads && e->n_members && e->n > 1;
}

/* One class after the other takes room from lists for all. */
static oc_status collect(finder *f, oc__equalizer *q, oc__arena *arena,
                         oc_error *err) {
    size_t uses = (size_t)f->n_uses + 1, watches = (size_t)f->p->n_watches + 1;
    size_t classes = (size_t)f->n_classes + 1;
    oc__equal_use *use = oc__arena_array(arena, uses, sizeof *use);
    int *member = oc__arena_array(arena, watches, sizeof *member);
    q->list = oc__arena_array(arena, classes, sizeof *q->list);
    if (!use || !member || !q->list) return oc__fail_nomem(err);
    for (int c = 0; c < f->n_classes; c++) {
        oc__equal e = {.uses = use, .members = member};
        if (root(f, c) != c || f->classes[c].spoiled || !gather(f, c, &e))
            continue;
        use += e.n_uses;
        member += e.n_members;
        e.by = oc__arena_array(arena, (size_t)e.n, sizeof *e.by);
        if (!e.by) return oc__fail_nomem(err);
        for (int v = 0; v < f->p->n_values; v++)
            if (root(f, f->of[v]) == c) q->of[v] = q->n;
        for (int k = 0; k < e.n_members; k++) {
            oc__quant_watch *w = &f->p->watches[e.members[k]];
            w->axis = f->axis[w->value];
            w->lane_count = e.n;
        }
        q->list[q->n++] = e;
    }
    return OC_OK;
}

static oc_status make_room(finder *f, const oc_allocator *a, oc_error *err) {
    size_t v = (size_t)f->g->n_values + 1, n = (size_t)f->g->n_nodes + 1;
    f->of = oc__calloc(a, v, sizeof *f->of);
    f->axis = oc__calloc(a, v, sizeof *f->axis);
    f->rank = oc__calloc(a, v, sizeof *f->rank);
    f->classes = oc__calloc(a, n, sizeof *f->classes);
    f->uses = oc__calloc(a, 3 * n, sizeof *f->uses);
    if (!f->of || !f->axis || !f->rank || !f->classes || !f->uses)
        return oc__fail_nomem(err);
    memset(f->of, -1, v * sizeof *f->of);
    memset(f->rank, -1, v * sizeof *f->rank);
    return OC_OK;
}

static void free_room(finder *f, const oc_allocator *a) {
    size_t v = (size_t)f->g->n_values + 1, n = (size_t)f->g->n_nodes + 1;
    oc__release(a, f->of, v * sizeof *f->of);
    oc__release(a, f->axis, v * sizeof *f->axis);
    oc__release(a, f->rank, v * sizeof *f->rank);
    oc__release(a, f->classes, n * sizeof *f->classes);
    oc__release(a, f->uses, 3 * n * sizeof *f->uses);
}

oc_status oc__equal_find(oc__quant_plan *p, oc__graph *g, oc__arena *arena,
                         const oc_allocator *a, oc_error *err) {
    finder f = {.p = p, .g = g};
    size_t n = (size_t)p->n_values + 1;
    oc__equalizer *q = oc__arena_array(arena, 1, sizeof *q);
    if (!q) return oc__fail_nomem(err);
    q->of = oc__arena_array(arena, n, sizeof *q->of);
    oc_status st = q->of ? make_room(&f, a, err) : oc__fail_nomem(err);
    if (!st) {
        memset(q->of, -1, n * sizeof *q->of);
        for (int i = 0; i < g->n_nodes; i++)
            if (!g->nodes[i]->dead) visit(&f, i);
        check_codes(&f);
        st = collect(&f, q, arena, err);
    }
    if (!st) p->equal = q;
    free_room(&f, a);
    return st;
}
