/*
 * glimpse.h - values that are looked at the moment they are made.
 *
 * What a quantizer watches are outputs of its graph, so that no pass makes one
 * step of two with such a value between them.  But they need not be there when
 * the run is over: each is looked at behind the step that makes it, and its
 * memory is free again when nothing else reads it.
 */
#ifndef OC_QUANT_GLIMPSE_H
#define OC_QUANT_GLIMPSE_H

#include "runtime/exec.h"

/** Looks at output `i` of those that are glimpses. */
typedef oc_status oc__glimpse_look(void *user, int i, const oc_value *v,
                                   oc_error *err);

typedef struct oc__glimpse {
    const oc__program *p; /* the one that was prepared last */
    int n, own;           /* outputs that are glimpses, those before them */
    int *first, *next;    /* of a value: a glimpse; of that: the next; -1 */
    char *is_made;        /* of a glimpse: a step makes it */
    int n_values;
    oc__glimpse_look *look;
    void *user;
    const oc_allocator *allocator;
} oc__glimpse;

/** Plans p once more, now that the last n of its outputs are glimpses. */
oc_status oc__glimpse_prepare(oc__glimpse *s, oc__program *p, int n,
                              const oc_value *const *inputs,
                              const oc__pass_env *env, oc_error *err);
/** For oc__exec_env; user is the oc__glimpse. */
oc_status oc__glimpse_step(void *user, const oc__program *p, int step,
                           const oc_value *values, oc_error *err);
/** After a run: those that no step makes, inputs for example. */
oc_status oc__glimpse_rest(oc__glimpse *s, const oc__exec *e, oc_error *err);
void oc__glimpse_deinit(oc__glimpse *s);

#endif
