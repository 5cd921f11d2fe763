/*
 * weights_again.h - weights of a quantizer's graph, which need not be in memory
 * all the time.
 *
 * To run samples they are packed, and to time other models they are not needed
 * at all; to write, they are.  So they go as they are packed, and come back
 * from the file.
 */
#ifndef OC_QUANT_WEIGHTS_AGAIN_H
#define OC_QUANT_WEIGHTS_AGAIN_H

#include "runtime/model_sweep.h"
#include "runtime/program.h"

typedef struct oc__again {
    oc_model *model;
    oc__graph *graph; /* whose constants are meant */
    int is_only;      /* nobody else reads what its import has copied */
    int lacks;        /* some are not there */
    oc_model *second; /* they are in this one, or NULL */
    oc__marks marks;
} oc__again;

void oc__again_init(oc__again *w, oc_model *model, oc__graph *g, int is_only);
void oc__again_deinit(oc__again *w);
/** Completes p, with a clone of the graph in it, letting weights go. */
oc_status oc__again_compile(oc__again *w, oc__program *p,
                            const oc_value *const *inputs,
                            const oc__pass_env *env, oc_error *err);
/** Whether they can be had again. */
int oc__again_may(const oc__again *w);
/** Whether some have gone. */
int oc__again_lacks(const oc__again *w);
/** Lets all go.  Only where they can be had again, and nothing reads them. */
void oc__again_drop(oc__again *w);
/** Has all of them there.  Errors: as oc_model_load(); E_FORMAT when the file
 * is another one by now. */
oc_status oc__again_need(oc__again *w, oc_error *err);

#endif
