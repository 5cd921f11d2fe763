/* derivative.c - the table of rules, and what rules write with; see
 * differentiate.h.  The rules are in derivative_*.c, one family a file. */
#include "passes/differentiate.h"

#include "passes/match.h"

#include <string.h>

/* ---- writing --------------------------------------------------------------
 */

int oc__diff_own(oc__diff *d, const oc__node *n, const char *op, int n_in,
                 const int *in) {
    if (in[0] < 0) return -1;
    oc__node *m = oc__diff_node(d, "ocelli", op, n->version, 0, n_in, in, 1);
    if (!m) return -1;
    m->attrs = n->attrs;
    m->n_attrs = n->n_attrs;
    return m->out[0];
}

int oc__diff_output(oc__diff *d, oc__node *n, int k) {
    if (k >= n->n_out) {
        int *out = oc__arena_array(d->g->arena, (size_t)k + 1, sizeof(*out));
        for (int i = 0; out && i <= k; i++)
            out[i] = i < n->n_out ? n->out[i] : -1;
        if (!out) {
            d->failed = 1;
            return -1;
        }
        n->out = out;
        n->n_out = k + 1;
    }
    if (n->out[k] < 0) n->out[k] = oc__graph_add_value(d->g, NULL);
    d->failed |= n->out[k] < 0;
    return n->out[k];
}

int oc__diff_number(oc__diff *d, float v, int like) {
    float *data;
    int c = oc__new_constant_f32(d->g, d->allocator, NULL, 0, NULL, &data);
    if (c < 0) {
        d->failed = 1;
        return -1;
    }
    *data = v;
    return oc__diff_2(d, "CastLike", c, like);
}

int oc__diff_neg(oc__diff *d, int a) {
    return oc__diff_1(d, "Neg", a);
}

int oc__diff_mul(oc__diff *d, int a, int b) {
    return oc__diff_2(d, "Mul", a, b);
}

static int own_2(oc__diff *d, const char *op, int a, int b) {
    int pair[2] = {a, b};
    return oc__diff_emit(d, "ocelli", op, 1, 0, 2, pair);
}

int oc__diff_reshape(oc__diff *d, int a, int x) {
    return own_2(d, "ReshapeLike", a, x);
}

int oc__diff_expand(oc__diff *d, int a, int x) {
    return oc__diff_2(d, "Expand", a, oc__diff_1(d, "Shape", x));
}

int oc__diff_sum_to(oc__diff *d, int a, int x) {
    return own_2(d, "SumTo", a, x);
}

int oc__diff_zeros(oc__diff *d, int like) {
    return oc__diff_emit(d, "ocelli", "ZerosLike", 1, 0, 1, &like);
}

int oc__diff_where(oc__diff *d, int truth, int a) {
    int list[3] = {truth, a, oc__diff_number(d, 0, a)};
    return oc__diff_emit(d, "", "Where", 16, 0, 3, list);
}

void oc__diff_give(oc__diff *d, const oc__node *n, int j, int grad) {
    if (oc__diff_wants(d, n, j))
        oc__diff_add(d, n, j, oc__diff_sum_to(d, grad, oc__diff_in(n, j)));
}

void oc__diff_refuse(oc__diff *d, const oc__node *n, const char *what) {
    oc__error_node(d->err, n->name);
    d->refused = oc__fail(d->err, OC_E_UNSUPPORTED,
                          "Gradient: the derivative of %s of %s \"%s\" is not "
                          "known",
                          what, n->op->name, n->name);
}

/* ---- finding the rule -----------------------------------------------------
 */

const oc__rule oc__rules[] = {
#define OC_RULE(domain, op, since, outputs, name)                              \
    {domain, op, since, outputs, oc__d_##name},
#include "passes/derivatives.def"
#undef OC_RULE
    {0},
};

/* FusedMatMul can also trade batch dimensions; nobody differentiates that. */
static int trades_batch(const oc__node *n) {
    return oc__attr_int(n, "transBatchA", 0) ||
           oc__attr_int(n, "transBatchB", 0);
}

static const oc__rule *find_rule(const oc__node *n) {
    for (const oc__rule *r = oc__rules; r->op; r++)
        if (!strcmp(n->op->name, r->op) && !strcmp(n->op->domain, r->domain) &&
            n->version >= r->since && !trades_batch(n))
            return r;
    return NULL;
}

oc_status oc__derivative(oc__diff *d, oc__node *n) {
    const oc__rule *r = find_rule(n);
    if (!r) {
        oc__error_node(d->err, n->name);
        return oc__fail(d->err, OC_E_UNSUPPORTED,
                        "Gradient: the derivative of %s \"%s\" (version %d) is "
                        "not known",
                        n->op->name, n->name, n->version);
    }
    for (int k = r->outputs; k < n->n_out && r->outputs; k++)
        if (oc__diff_of(d, n, k) >= 0)
            oc__diff_refuse(d, n, k == 1 ? "output 1" : "a further output");
    if (d->refused != OC_OK) return d->refused;
    r->fn(d, n, oc__diff_of(d, n, 0));
    if (d->refused != OC_OK) return d->refused;
    return d->failed ? oc__fail_nomem(d->err) : OC_OK;
}
