/* derivative_act.c - rules of activations; the kernels are in
 * ops/grad_act.c. */
#include "passes/differentiate.h"

#include "passes/match.h"

#include <stdio.h>
#include <string.h>

static int in(const oc__node *n, int j) {
    return oc__diff_in(n, j);
}

/* <Name>Grad(g, x), with the activation's own attributes. */
static int slope_of(oc__diff *d, const oc__node *n, int g, int x) {
    char name[64];
    int pair[2] = {g, x};
    snprintf(name, sizeof(name), "%sGrad", n->op->name);
    return oc__diff_own(d, n, name, 2, pair);
}

void oc__d_act(oc__diff *d, oc__node *n, int g) {
    oc__diff_add(d, n, 0, slope_of(d, n, g, in(n, 0)));
}

/* act(x + bias); the sum is made once more. */
void oc__d_bias_act(oc__diff *d, oc__node *n, int g) {
    int x = in(n, 0), bias = in(n, 1);
    int back = slope_of(d, n, g, bias < 0 ? x : oc__diff_2(d, "Add", x, bias));
    oc__diff_add(d, n, 0, back);
    oc__diff_give(d, n, 1, back);
}

/* g (1 - y^2) */
void oc__d_tanh(oc__diff *d, oc__node *n, int g) {
    int square = oc__diff_mul(d, n->out[0], n->out[0]);
    int part = oc__diff_mul(d, g, square);
    oc__diff_add(d, n, 0, oc__diff_2(d, "Sub", g, part));
}

/* g y (1 - y) */
void oc__d_sigmoid(oc__diff *d, oc__node *n, int g) {
    int gy = oc__diff_mul(d, g, n->out[0]);
    int part = oc__diff_mul(d, gy, n->out[0]);
    oc__diff_add(d, n, 0, oc__diff_2(d, "Sub", gy, part));
}

void oc__d_softplus(oc__diff *d, oc__node *n, int g) {
    int slope = oc__diff_1(d, "Sigmoid", in(n, 0));
    oc__diff_add(d, n, 0, oc__diff_mul(d, g, slope));
}

/* a < 0 ? a b : a has the derivatives g (a < 0 ? b : 1) and g min(a, 0). */
void oc__d_prelu(oc__diff *d, oc__node *n, int g) {
    int a = in(n, 0), zero = oc__diff_number(d, 0, a);
    int below = oc__diff_2(d, "Less", a, zero);
    if (oc__diff_wants(d, n, 0)) {
        int list[3] = {below, oc__diff_mul(d, g, in(n, 1)), g};
        oc__diff_add(d, n, 0, oc__diff_emit(d, "", "Where", 16, 0, 3, list));
    }
    if (oc__diff_wants(d, n, 1))
        oc__diff_give(d, n, 1, oc__diff_where(d, below, oc__diff_mul(d, g, a)));
}

/* g inside the limits; what is outside goes to the limit it met. */
void oc__d_clip(oc__diff *d, oc__node *n, int g) {
    static const char *const beyond[3] = {"", "Less", "Greater"};
    int list[4] = {g, in(n, 0), in(n, 1), in(n, 2)};
    if (oc__diff_wants(d, n, 0))
        oc__diff_add(d, n, 0, oc__diff_own(d, n, "ClipGrad", 4, list));
    for (int j = 1; j < 3; j++) {
        if (!oc__diff_wants(d, n, j)) continue;
        int met = oc__diff_2(d, beyond[j], in(n, 0), in(n, j));
        oc__diff_give(d, n, j, oc__diff_where(d, met, g));
    }
}

/* The mask says what was dropped; a Dropout that does not give it away is
 * made to.  Whether it was training at all may be known only when it runs. */
void oc__d_dropout(oc__diff *d, oc__node *n, int g) {
    if (n->version < 12 || in(n, 2) < 0) { /* inference */
        oc__diff_add(d, n, 0, g);
        return;
    }
    int mask = oc__diff_output(d, n, 1);
    int list[4] = {g, mask, in(n, 1), in(n, 2)};
    if (mask >= 0)
        oc__diff_add(d, n, 0, oc__diff_own(d, n, "DropoutGrad", 4, list));
}

/* The derivatives of piecewise linear functions, g times a step: once more
 * the same by g, and flat by the rest. */
void oc__d_piecewise(oc__diff *d, oc__node *n, int g) {
    int list[4] = {g, in(n, 1), in(n, 2), in(n, 3)};
    if (oc__diff_wants(d, n, 0))
        oc__diff_add(d, n, 0,
                     oc__diff_own(d, n, n->op->name, n->n_explicit, list));
}

/* As if nothing was rounded: g where x was not cut.  The range was seen in
 * values, as running statistics are, and is nobody's way to a loss either. */
void oc__d_fake_quantize(oc__diff *d, oc__node *n, int g) {
    int observes = oc__attr_int(n, "observe", 0) != 0;
    int range = observes ? oc__diff_output(d, n, 1) : in(n, 1);
    int list[3] = {g, in(n, 0), range};
    if (range < 0 || g < 0) return;
    oc__node *m =
        oc__diff_node(d, "ocelli", "FakeQuantizeGrad", 1, 1, 3, list, 1);
    if (!m) return;
    oc__attr_set_int(m, 0, "bits", oc__attr_int(n, "bits", 8));
    oc__diff_add(d, n, 0, m->out[0]);
}
