/*
 * model_sweep.h - which tensors a graph points at, and giving back the rest.
 */
#ifndef OC_RUNTIME_MODEL_SWEEP_H
#define OC_RUNTIME_MODEL_SWEEP_H

#include "runtime/model.h"

/** Where the data of tensors lies; sorted. */
typedef struct oc__marks {
    const oc_allocator *allocator;
    const void **list;
    size_t n, room;
    int failed;
} oc__marks;

/** Of all constants and attributes of g and its sub-graphs, and m's defaults.
 */
oc_status oc__marks_init(oc__marks *k, const oc_model *m, const oc__graph *g,
                         oc_error *err);
void oc__marks_deinit(oc__marks *k);
/** Whether exactly one tensor has its data at p. */
int oc__marks_has_one(const oc__marks *k, const void *p);

/**
 * Forgets the constants of m->graph that nobody reads (what passes made new
 * ones of) and gives back their memory.
 */
oc_status oc__model_sweep(oc_model *m, oc_error *err);

#endif
