/*
 * trainer.h - what the files behind train.h share.
 *
 *     net.c, net_head.c   the network and its variables
 *     criterion.c         losses
 *     step_graph.c        from the network to one step
 *     trainer.c           running steps, measuring, saving
 *     checkpoint.c        all of it in a file and back
 */
#ifndef OC_TRAIN_TRAINER_H
#define OC_TRAIN_TRAINER_H

#include "ops/train_step.h"
#include "runtime/exec.h"
#include "train/step_graph.h"

struct oc_trainer {
    oc_allocator allocator;
    oc_trainer_options opt;
    oc_model *base; /* NULL: an architecture */
    oc__kernels kernels;
    oc__exec_env env;
    oc__net net;

    oc__var_state *state; /* of each variable */
    char *state_block;
    size_t state_bytes;
    void **averaged; /* of each variable: its average, or its data */

    oc__arena arena; /* of the step's graph */
    oc__step_graph step;
    oc__exec *exec;
    oc_value *values; /* inputs of the step */
    const oc_value **refs;
    int recompute; /* how the step was planned; see passes/recompute.c */
    float knobs[OC_KNOBS];
    int64_t steps;

    oc__arena measure_arena;
    oc__graph *measure_graph;
    oc__exec *measure; /* NULL: the weights have changed since */
};

/** oc_trainer_save(), with logits times `by`: the last layer is scaled.  Only
 *  where the net says head_scales. */
oc_status oc__trainer_save(oc_trainer *t, double by, const char *path,
                           oc_error *err);

/** Bytes that go with a checkpoint of the trainer. */
typedef struct oc__note {
    const void *data;
    size_t bytes;
} oc__note;

/**
 * Writes the trainer and a note; reads them back, note->data then being
 * allocated.  A trainer may be NULL to read the note alone.
 */
oc_status oc__checkpoint_write(const oc_trainer *t, const oc__note *note,
                               const char *path, oc_error *err);
oc_status oc__checkpoint_read(oc_trainer *t, oc__note *note,
                              const oc_allocator *a, const char *path,
                              oc_error *err);
/** Measuring has to compile anew: the weights have changed. */
void oc__trainer_forget(oc_trainer *t);

#endif
