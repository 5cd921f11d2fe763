/*
 * step_graph.h - one step of training as one graph.
 *
 *     inputs   images, targets, knobs[, teacher] | variables: weights,
 * statistics, what the optimiser keeps, averages outputs  loss, norm, logits |
 * new values of the variables
 *
 * in which the variables are updated where they lie (oc__update).  What is
 * frozen stays a constant, so that inference's passes work on that part.
 */
#ifndef OC_TRAIN_STEP_GRAPH_H
#define OC_TRAIN_STEP_GRAPH_H

#include "train/net.h"

#include <ocelli/train.h>

/** The first inputs and outputs; a teacher's logits only where one is. */
enum {
    OC_STEP_IMAGES,
    OC_STEP_TARGETS,
    OC_STEP_KNOBS,
    OC_STEP_TEACHER,
    OC_STEP_INPUTS
};
enum { OC_STEP_LOSS, OC_STEP_NORM, OC_STEP_LOGITS, OC_STEP_OUTPUTS };

typedef struct oc__step_graph {
    oc__graph *g;
    int n_inputs;
    oc_tensor *inputs; /* types and shapes; variables with their data */
} oc__step_graph;

/** Memory of what goes with each variable; see oc__step_graph_build(). */
typedef struct oc__var_state {
    float *kept[2]; /* by the optimiser */
    float *average; /* NULL: none is kept */
} oc__var_state;

/** How many numbers an optimiser keeps for each weight. */
int oc__optimizer_states(oc_optimizer o);

/**
 * Builds it in arena.  state: one for each variable of the net.
 * Errors: E_UNSUPPORTED for an operator without derivative; E_NOMEM.
 */
oc_status oc__step_graph_build(oc__step_graph *out, const oc__net *net,
                               const oc__var_state *state,
                               const oc_trainer_options *opt, oc__arena *arena,
                               oc_error *err);

#endif
