/*
 * teacher.h - a model that a network in training learns from.
 *
 * It sees the very batches the learner sees, mixed and all.  What lies between
 * the two ways of making numbers of pixels (scale, mean, order of colours,
 * size, layout) stands in the teacher's graph before its first layer:
 *
 *     batch --> x a + b --> Gather colours --> Resize --> Transpose --> model
 *           --> logits --> Gather classes
 */
#ifndef OC_TRAIN_TEACHER_H
#define OC_TRAIN_TEACHER_H

#include "base/memory.h"

#include <ocelli/vision.h>

typedef struct oc__teacher oc__teacher;

/** What to make.  All is borrowed until oc__teacher_create() returns. */
typedef struct oc__teacher_options {
    const char *path;          /* an ONNX classifier with labels */
    oc_preprocess prep;        /* of the learner; with its size */
    int batch;                 /* pictures at a time */
    const char *const *labels; /* of the learner */
    int n_labels;
    int threads;
    uint32_t cpu_mask;
    const oc_allocator *allocator;
} oc__teacher_options;

/**
 * Loads it.
 * Errors: as oc_model_load(); E_UNSUPPORTED for no classifier, for one whose
 *   classes are not the learner's or the first of them, for other channels.
 */
oc_status oc__teacher_create(oc__teacher **out, const oc__teacher_options *opt,
                             oc_error *err);
void oc__teacher_destroy(oc__teacher *t); /* NULL is ignored */

/** How many of the learner's classes, the first ones, it knows. */
int oc__teacher_classes(const oc__teacher *t);
/** Logits (batch, classes) of a batch; valid until the next call. */
oc_status oc__teacher_ask(oc__teacher *t, const oc_tensor *images,
                          const oc_tensor **logits, oc_error *err);

/**
 * What a classifier's card says: preprocessing and labels, which go to arena.
 * E_UNSUPPORTED for a model of another task.
 */
oc_status oc__read_classifier(const char *path, uint32_t cpu_mask,
                              oc_preprocess *prep, const char *const **labels,
                              int *n_labels, oc__arena *arena, oc_error *err);

#endif
