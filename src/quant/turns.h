/*
 * turns.h - what is known of channels, within bounds of memory.
 *
 * A histogram for each channel of each activation that may be equalized is most
 * of what a quantizer notes.  Where they do not fit together, each group of
 * values that share factors has a turn: samples go through the model once for
 * each turn, then the factors of its groups are chosen and their histograms go.
 * All else is noted in the first turn, and what comes out is the same.
 */
#ifndef OC_QUANT_TURNS_H
#define OC_QUANT_TURNS_H

#include "quant/equalize.h"
#include "runtime/program.h"

typedef struct oc__turns {
    int n;        /* how many there are; 0: not planned yet */
    int now;      /* n: all are over */
    size_t least; /* bytes without which nothing can be done */
} oc__turns;

/**
 * Gives each group its turn, for samples that run as program p does.
 *   g       what is written
 *   others  bytes that are taken all the time
 *   most    that all may take: those, p, what is noted, and writing the model
 * Errors: E_LIMIT, which says the least.
 */
oc_status oc__turns_plan(oc__turns *t, oc__quant_plan *plan, const oc__graph *g,
                         const oc__program *p, size_t others, size_t most,
                         oc_error *err);
/** Whether watch w is looked at channel by channel now. */
int oc__turns_has(const oc__turns *t, const oc__quant_plan *plan,
                  const oc__quant_watch *w);
/** Factors of what had its turn are final: its channels are forgotten. */
void oc__turns_end(oc__turns *t, oc__quant_plan *plan, const oc_allocator *a);

#endif
