/*
 * qat.h - training for 8 bits: a net that feels in every step what codes will
 * do to it.
 *
 * Which weights and activations get codes is src/quant's decision, and what is
 * written in the end its rewrite.  In between the step's graph rounds at the
 * same places:
 *
 *     saved    x --QuantizeLinear--DequantizeLinear--> Conv(x', w')
 *     step     x --FakeQuantize(range)---------------> Conv(x', w')
 *
 * and gradients pass as if nothing was rounded (ops/fake_quantize.c).  Ranges
 * are variables of the net as the statistics of batch norms are: a moving
 * average, in checkpoints too.  Batch norms are part of the weights before it
 * begins: a model is loaded fully optimised.
 */
#ifndef OC_TRAIN_QAT_H
#define OC_TRAIN_QAT_H

#include "quant/decide.h"
#include "train/net.h"

typedef struct oc__qat {
    oc__quant_plan plan;
    int *range; /* of a value that gives its code: the constant; else -1 */
} oc__qat;

/**
 * Decides for net->g, which becomes one of operator set 13, and adds the
 * constants that will be ranges.
 * Errors: E_UNSUPPORTED when nothing can be in 8 bits or all is; E_NOMEM.
 */
oc_status oc__qat_init(oc__net *net, oc_error *err);
/**
 * Rounds in g, a clone of net->g that is going to be a step.
 *   moved  receives the new value of each variable that is a range
 */
oc_status oc__qat_insert(const oc__net *net, oc__graph *g, int *moved,
                         oc_error *err);
/** Makes g, a clone of net->g, what is measured and saved. */
oc_status oc__qat_rewrite(const oc__net *net, oc__graph *g, oc_error *err);

#endif
