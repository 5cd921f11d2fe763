/*
 * activation_fused.c - one activation of oc__act as an operator, "ocelli.Act".
 *
 * The activation pass recognises what exporters write in pieces (x times
 * Sigmoid(x), the erf form of GELU, ...) and puts this node in its place;
 * the layout pass then fuses it behind a convolution where there is one.
 *
 *   Act  x f32 -> y like x.   act (oc__act); act_a, act_b
 */
#include "ops/activation_fused.h"

#include <string.h>

typedef struct act_job {
    const oc__kernels *k;
    oc__act_args act;
    const float *x;
    float *y;
} act_job;

static oc_status infer_act(oc__ctx *c) {
    OC_TRY(oc__want(c, 0, OC_T(F32)));
    int64_t act = oc__attr_int(c->node, "act", -1);
    if (act < 0 || act >= OC_ACT_COUNT)
        return oc__op_fail(c, OC_E_FORMAT, "there is no activation %lld",
                           (long long)act);
    return oc__out_like(c, 0, oc__in(c, 0));
}

static void act_range(void *user, int64_t begin, int64_t end, int worker) {
    const act_job *j = user;
    (void)worker;
    j->k->act_f32(j->act, j->x + begin, j->y + begin, (size_t)(end - begin));
}

static oc_status run_act(oc__ctx *c) {
    const oc_tensor *x = oc__in(c, 0);
    act_job j = {c->kernels, oc__act_of_attrs(c->node), x->data,
                 oc__out(c, 0)->data};
    oc__parallel(c, oc_tensor_elems(x), 16384, act_range, &j);
    return OC_OK;
}

oc__act_args oc__act_of_attrs(const oc__node *n) {
    oc__act_args a = {(oc__act)oc__attr_int(n, "act", OC_ACT_NONE),
                      oc__attr_float(n, "act_a", 0),
                      oc__attr_float(n, "act_b", 0)};
    return a;
}

const oc__op oc__ops_activation_fused[] = {
    {"ocelli", "Act", 1, 1, 1, 1, OC_OP_INPLACE, 0, infer_act, run_act, NULL},
    {0},
};
