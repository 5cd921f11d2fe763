/*
 * round_weights.h - which way each weight is rounded, so that what the layer
 * makes of samples changes least.
 *
 * Of an output's weights w, with steps s, each code is the whole number below
 * or above w / s, as AdaRound has it (Nagel et al., arXiv:2004.10568).  With
 * what the inputs have in common, C, and e, the errors in steps, the output's
 * mean squared error is e' C e: all that samples say.  So no gradient and no
 * relaxed rounding is needed: of few weights all ways are tried, of more the
 * nearest is left by one weight or two at a time, as long as it gets better.
 */
#ifndef OC_QUANT_ROUND_WEIGHTS_H
#define OC_QUANT_ROUND_WEIGHTS_H

#include "quant/moments.h"

/** A weight: its outputs, the inputs of each, where they are. */
typedef struct oc__rounding {
    const oc__moments *moments;
    const float *w;
    int64_t outputs, out_stride, row_stride;
    const float *scales; /* one for each output */
    int one_scale;       /* the first is that of all */
    int keeps_mean;      /* a bias takes back what is done to the mean */
    const float *by;     /* input channels are divided by these; NULL: not */
    int8_t *codes;       /* to the nearest; then as they are chosen */
    /* Mean squares of outputs, summed up; 0 where nothing is known. */
    double signal, nearest, chosen;
} oc__rounding;

/** Chooses.  The same for any number of threads.  Errors: E_NOMEM. */
oc_status oc__round_weights(oc__rounding *r, oc__pool *pool,
                            const oc_allocator *a);

#endif
