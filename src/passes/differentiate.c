/*
 * differentiate.c - Gradient nodes become graphs that compute the gradient.
 *
 * Reverse mode over the part of the graph that leads from the tensors named
 * in xs and zs to y.  Where the node is fed other tensors than those named,
 * that part is first copied over what is fed; otherwise the forward values
 * are used as they are.
 *
 * Each rule says what a node sends back to its inputs in terms of ordinary
 * operators, so the result folds, fuses and runs like any other graph and can
 * be differentiated again.
 */
#include "passes/match.h"

#include <string.h>

typedef struct differ {
    oc__graph *g;
    const oc__pass_env *env;
    oc_error *err;
    int at;     /* new nodes go before node number `at` */
    int n;      /* values at the start: the size of the arrays */
    int *map;   /* value -> value that stands for it here, or -1 */
    int *grad;  /* of stand-ins, by the original's number, or -1 */
    char *used; /* y depends on it */
} differ;

/* The opset of what is emitted: all forms used exist there. */
enum { EMIT_OPSET = 18 };

/* ---- emitting
 * --------------------------------------------------------------------- */

static int emit(differ *d, const char *domain, const char *name, int a, int b,
                int n_attrs, oc__node **out) {
    int v = a < 0 ? -1 : oc__graph_add_value(d->g, NULL);
    oc__node *n =
        v < 0 ? NULL
              : oc__graph_insert_node(d->g, d->at, oc__op_find(domain, name),
                                      "", *domain ? 1 : EMIT_OPSET,
                                      b < 0 ? 1 : 2, 1, n_attrs);
    if (!n) return -1;
    d->at++;
    n->in[0] = a;
    if (b >= 0) n->in[1] = b;
    n->out[0] = v;
    if (out) *out = n;
    return v;
}

static int op1(differ *d, const char *name, int a) {
    return emit(d, "", name, a, -1, 0, NULL);
}

static int op2(differ *d, const char *name, int a, int b) {
    return b < 0 ? -1 : emit(d, "", name, a, b, 0, NULL);
}

/* A scalar f32 constant with the type of `like`. */
static int scalar(differ *d, float value, int like) {
    oc_tensor t;
    oc__tensor_set(&t, OC_DTYPE_F32, 0, NULL);
    t.data = oc__arena_dup(d->g->arena, &value, sizeof(value));
    int c = t.data ? oc__graph_add_constant(d->g, NULL, &t) : -1;
    return c < 0 ? -1 : op2(d, "CastLike", c, like);
}

static int einsum(differ *d, const char *equation, int a, int b) {
    oc__node *n = NULL;
    int v = b < 0 ? -1 : emit(d, "", "Einsum", a, b, 1, &n);
    if (v < 0) return -1;
    n->attrs[0].name = "equation";
    n->attrs[0].type = OC_ATTR_STRING;
    n->attrs[0].s.data = equation;
    n->attrs[0].s.bytes = strlen(equation);
    return v;
}

/* ---- rules
 * ------------------------------------------------------------------------ */

/* Input j and output of n as they stand here. */
static int in(const differ *d, const oc__node *n, int j) {
    return d->map[n->in[j]];
}

static int out(const differ *d, const oc__node *n) {
    return d->map[n->out[0]];
}

/* Adds g, summed to its shape, to what input j of n receives. */
static oc_status send(differ *d, const oc__node *n, int j, int g) {
    int v = n->in[j];
    if (g >= 0) g = emit(d, "ocelli", "SumTo", g, d->map[v], 0, NULL);
    if (g >= 0 && d->grad[v] >= 0) g = op2(d, "Add", d->grad[v], g);
    if (g < 0) return oc__fail_nomem(d->err);
    d->grad[v] = g;
    return OC_OK;
}

typedef oc_status rule_fn(differ *d, const oc__node *n, int dy);

static oc_status rule_add(differ *d, const oc__node *n, int dy) {
    for (int j = 0; j < n->n_in; j++)
        OC_TRY(send(d, n, j, dy));
    return OC_OK;
}

static oc_status rule_sub(differ *d, const oc__node *n, int dy) {
    OC_TRY(send(d, n, 0, dy));
    return send(d, n, 1, op1(d, "Neg", dy));
}

static oc_status rule_mul(differ *d, const oc__node *n, int dy) {
    OC_TRY(send(d, n, 0, op2(d, "Mul", dy, in(d, n, 1))));
    return send(d, n, 1, op2(d, "Mul", dy, in(d, n, 0)));
}

/* d(a/b) = da / b - db y / b */
static oc_status rule_div(differ *d, const oc__node *n, int dy) {
    int part = op2(d, "Div", dy, in(d, n, 1));
    OC_TRY(send(d, n, 0, part));
    return send(d, n, 1, op1(d, "Neg", op2(d, "Mul", part, out(d, n))));
}

static oc_status rule_neg(differ *d, const oc__node *n, int dy) {
    return send(d, n, 0, op1(d, "Neg", dy));
}

static oc_status rule_identity(differ *d, const oc__node *n, int dy) {
    return send(d, n, 0, dy);
}

static oc_status rule_exp(differ *d, const oc__node *n, int dy) {
    return send(d, n, 0, op2(d, "Mul", dy, out(d, n)));
}

static oc_status rule_log(differ *d, const oc__node *n, int dy) {
    return send(d, n, 0, op2(d, "Div", dy, in(d, n, 0)));
}

static oc_status rule_sqrt(differ *d, const oc__node *n, int dy) {
    int twice = op2(d, "Add", out(d, n), out(d, n));
    return send(d, n, 0, op2(d, "Div", dy, twice));
}

static oc_status rule_relu(differ *d, const oc__node *n, int dy) {
    int y = out(d, n);
    int on = op2(d, "CastLike", op2(d, "Greater", y, scalar(d, 0, y)), y);
    return send(d, n, 0, op2(d, "Mul", dy, on));
}

/* y (1 - y) */
static oc_status rule_sigmoid(differ *d, const oc__node *n, int dy) {
    int y = out(d, n);
    int slope = op2(d, "Mul", y, op2(d, "Sub", scalar(d, 1, y), y));
    return send(d, n, 0, op2(d, "Mul", dy, slope));
}

/* 1 - y^2 */
static oc_status rule_tanh(differ *d, const oc__node *n, int dy) {
    int y = out(d, n);
    int slope = op2(d, "Sub", scalar(d, 1, y), op2(d, "Mul", y, y));
    return send(d, n, 0, op2(d, "Mul", dy, slope));
}

/* For matrices and batches of them; a vector operand has no "ij". */
static oc_status rule_matmul(differ *d, const oc__node *n, int dy) {
    OC_TRY(send(d, n, 0, einsum(d, "...ik,...jk->...ij", dy, in(d, n, 1))));
    return send(d, n, 1, einsum(d, "...ij,...ik->...jk", in(d, n, 0), dy));
}

/* Whatever only gives x another shape. */
static oc_status rule_reshape(differ *d, const oc__node *n, int dy) {
    return send(d, n, 0, op2(d, "Reshape", dy, op1(d, "Shape", in(d, n, 0))));
}

static const struct {
    const char *name;
    rule_fn *rule;
} rules[] = {
    {"Add", rule_add},           {"Sum", rule_add},
    {"Sub", rule_sub},           {"Mul", rule_mul},
    {"Div", rule_div},           {"Neg", rule_neg},
    {"Identity", rule_identity}, {"Exp", rule_exp},
    {"Log", rule_log},           {"Sqrt", rule_sqrt},
    {"Relu", rule_relu},         {"Sigmoid", rule_sigmoid},
    {"Tanh", rule_tanh},         {"MatMul", rule_matmul},
    {"Reshape", rule_reshape},   {"Flatten", rule_reshape},
    {"Squeeze", rule_reshape},   {"Unsqueeze", rule_reshape},
};

static oc_status apply_rule(differ *d, const oc__node *n, int dy) {
    for (size_t i = 0; i < OC_COUNT(rules); i++)
        if (oc__is_op(n, rules[i].name)) return rules[i].rule(d, n, dy);
    oc__error_node(d->err, n->name);
    return oc__fail(d->err, OC_E_UNSUPPORTED,
                    "Gradient: node \"%s\" (%s) cannot be differentiated yet",
                    n->name, n->op->name);
}

/* ---- one Gradient node
 * -------------------------------------------------------------- */

static oc_status find_value(differ *d, const oc__node *n, const char *name,
                            int *value) {
    for (int v = 0; v < d->n; v++)
        if (strcmp(d->g->values[v].name, name) == 0) {
            *value = v;
            return OC_OK;
        }
    oc__error_node(d->err, n->name);
    return oc__fail(d->err, OC_E_FORMAT,
                    "Gradient \"%s\": there is no tensor \"%s\"", n->name,
                    name);
}

/* Maps the tensors of xs, then zs, to what the node is fed. */
static oc_status bind(differ *d, const oc__node *n, int *moved) {
    static const char *const lists[] = {"xs", "zs"};
    int j = 0;
    for (int k = 0; k < 2; k++) {
        const oc__attr *a = oc__attr_find(n, lists[k]);
        for (size_t i = 0; a && a->type == OC_ATTR_STRINGS && i < a->n; i++) {
            int v;
            OC_TRY(find_value(d, n, a->strings[i].data, &v));
            if (j >= n->n_explicit || n->in[j] < 0)
                return oc__fail(d->err, OC_E_FORMAT,
                                "Gradient \"%s\" has fewer inputs than xs "
                                "and zs name",
                                n->name);
            *moved |= n->in[j] != v;
            d->map[v] = n->in[j++];
        }
    }
    return OC_OK;
}

/* Marks what y depends on, not looking behind the tensors bound. */
static void mark(differ *d, int end, int y) {
    d->used[y] = 1;
    for (int i = end - 1; i >= 0; i--) {
        const oc__node *n = d->g->nodes[i];
        int needed = 0;
        for (int j = 0; j < n->n_out && !n->dead; j++)
            needed |=
                n->out[j] >= 0 && d->used[n->out[j]] && d->map[n->out[j]] < 0;
        for (int j = 0; j < n->n_in && needed; j++)
            if (n->in[j] >= 0) d->used[n->in[j]] = 1;
    }
}

/* Whether node i is in the part between xs and y. */
static int inside(const differ *d, const oc__node *n) {
    return !n->dead && n->n_out > 0 && n->out[0] >= 0 && n->out[0] < d->n &&
           d->used[n->out[0]];
}

/* Copies the part over what is fed, or lets every value stand for itself. */
static oc_status forward(differ *d, oc__node **part, int n_part, int moved) {
    for (int i = 0; i < n_part; i++) {
        const oc__node *n = part[i];
        for (int j = 0; j < n->n_in; j++)
            if (n->in[j] >= 0 && d->map[n->in[j]] < 0)
                d->map[n->in[j]] = n->in[j];
        if (d->map[n->out[0]] >= 0) continue;
        if (!moved) {
            d->map[n->out[0]] = n->out[0];
            continue;
        }
        oc__node *c = oc__graph_insert_node(d->g, d->at, n->op, n->name,
                                            n->version, n->n_in, n->n_out, 0);
        int v = oc__graph_add_value(d->g, NULL);
        if (!c || v < 0) return oc__fail_nomem(d->err);
        d->at++;
        for (int j = 0; j < n->n_in; j++)
            c->in[j] = n->in[j] < 0 ? -1 : d->map[n->in[j]];
        c->n_explicit = n->n_explicit;
        c->attrs = n->attrs;
        c->n_attrs = n->n_attrs;
        c->out[0] = d->map[n->out[0]] = v;
    }
    return OC_OK;
}

static oc_status backward(differ *d, oc__node **part, int n_part,
                          const oc__node *n, const int *x) {
    for (int i = n_part - 1; i >= 0; i--) {
        int bound = 0;
        for (int k = 0; k < n->n_explicit; k++)
            bound |= part[i]->out[0] == x[k];
        if (!bound && d->grad[part[i]->out[0]] >= 0)
            OC_TRY(apply_rule(d, part[i], d->grad[part[i]->out[0]]));
    }
    for (int k = 0; k < n->n_out; k++) {
        if (n->out[k] < 0) continue;
        int g = d->grad[x[k]];
        /* y may not depend on it: then the gradient is zero. */
        if (g < 0) g = op2(d, "Sub", d->map[x[k]], d->map[x[k]]);
        if (g < 0) return oc__fail_nomem(d->err);
        oc__graph_replace_uses(d->g, n->out[k], g);
    }
    return OC_OK;
}

static oc_status expand(differ *d, oc__node *n, oc__arena *tmp) {
    int y, moved = 0, n_part = 0, end = d->at;
    size_t nv = (size_t)d->n, count = (size_t)n->n_explicit;
    d->map = oc__arena_array(tmp, nv, sizeof(int));
    d->grad = oc__arena_array(tmp, nv, sizeof(int));
    d->used = oc__arena_array(tmp, nv, 1);
    int *x = oc__arena_array(tmp, count, sizeof(int));
    oc__node **part = oc__arena_array(tmp, (size_t)end, sizeof(*part));
    if (!d->map || !d->grad || !d->used || !x || !part)
        return oc__fail_nomem(d->err);
    for (size_t v = 0; v < nv; v++)
        d->map[v] = d->grad[v] = -1;
    OC_TRY(find_value(d, n, oc__attr_string(n, "y", ""), &y));
    OC_TRY(bind(d, n, &moved));
    if (n->n_out > n->n_explicit)
        return oc__fail(d->err, OC_E_FORMAT,
                        "Gradient \"%s\" has more outputs than xs", n->name);
    const oc__attr *xs = oc__attr_find(n, "xs");
    for (size_t k = 0; xs && k < xs->n && k < count; k++)
        OC_TRY(find_value(d, n, xs->strings[k].data, &x[k]));
    for (size_t k = xs ? xs->n : 0; k < count; k++)
        x[k] = -1;
    mark(d, end, y);
    for (int i = 0; i < end; i++)
        if (inside(d, d->g->nodes[i])) part[n_part++] = d->g->nodes[i];
    OC_TRY(forward(d, part, n_part, moved));
    if (d->map[y] < 0) d->map[y] = y;
    int here = d->map[y];
    d->grad[y] = op2(d, "Expand", scalar(d, 1, here), op1(d, "Shape", here));
    if (d->grad[y] < 0) return oc__fail_nomem(d->err);
    OC_TRY(backward(d, part, n_part, n, x));
    n->dead = 1;
    return OC_OK;
}

oc_status oc__pass_differentiate(oc__graph *g, const oc__pass_env *env,
                                 oc_error *err) {
    oc_status st = OC_OK;
    for (int i = 0; i < g->n_nodes && st == OC_OK; i++) {
        oc__node *n = g->nodes[i];
        if (n->dead || strcmp(n->op->name, "Gradient") != 0) continue;
        oc__arena tmp;
        oc__arena_init(&tmp, env->allocator);
        differ d = {.g = g, .env = env, .err = err, .at = i, .n = g->n_values};
        st = expand(&d, n, &tmp);
        i = d.at;
        oc__arena_deinit(&tmp);
    }
    oc__graph_compact(g);
    return st;
}
