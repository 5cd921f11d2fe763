/* precision.c - in what a model's products are computed; see oc_precision. */
#include "cpu/features.h"
#include "passes/match.h"
#include "runtime/model.h"

#include <string.h>

static const char *const names[] = {"f32", "bf16", "f16", "auto"};

const char *oc_precision_name(oc_precision precision) {
    return (size_t)precision < OC_COUNT(names) ? names[precision] : NULL;
}

oc_precision oc_model_precision(const oc_model *m) {
    return m->kernels.bf16 ? OC_PRECISION_BF16 : OC_PRECISION_F32;
}

double oc_model_peak_flops(const oc_model *m) {
    return oc__peak_flops(&m->kernels);
}

oc_status oc_precision_check(const oc_options *opt, oc_error *err) {
    oc__kernels k;
    oc_precision p = opt ? opt->precision : OC_PRECISION_F32;
    oc__error_clear(err);
    if (!oc_precision_name(p))
        return oc__fail(err, OC_E_ARG, "there is no precision %d", (int)p);
    if (p == OC_PRECISION_F16)
        return oc__fail(err, OC_E_UNSUPPORTED,
                        "there are no f16 products yet: ask for precision f32, "
                        "bf16 or auto");
    if (p != OC_PRECISION_BF16) return OC_OK;
    if (opt->optimize != 0)
        return oc__fail(err, OC_E_ARG,
                        "precision bf16 needs the full optimization");
    /* Plain C is asked for by name, or all there is. */
    oc__kernels_init(&k, oc__cpu_resolve(opt->cpu_mask));
    if (k.cpu != 0 && !oc__kernels_have_bf16(&k))
        return oc__fail(err, OC_E_UNSUPPORTED,
                        "this CPU has no bf16 instructions, or may not use "
                        "them: ask for precision f32 or auto");
    return OC_OK;
}

int oc__has_products(const oc__graph *g) {
    static const char *const ops[] = {"Conv", "MatMul", "Gemm"};
    for (int i = 0; i < g->n_nodes; i++) {
        const oc__node *n = g->nodes[i];
        for (size_t k = 0; k < OC_COUNT(ops); k++) {
            if (n->dead || *n->op->domain || strcmp(n->op->name, ops[k]))
                continue;
            const oc_tensor *w = n->n_in > 1 ? oc__constant(g, n->in[1]) : NULL;
            if (w && w->dtype == OC_DTYPE_F32) return 1;
        }
    }
    return 0;
}

void oc__precision_choose(oc_model *m) {
    oc_precision p = m->options.precision;
    m->kernels.bf16 = p == OC_PRECISION_BF16 ||
                      (p == OC_PRECISION_AUTO && m->options.optimize == 0 &&
                       m->has_products && oc__kernels_have_bf16(&m->kernels));
}
