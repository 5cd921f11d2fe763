/*
 * criterion.h - losses, as formulas in the graph.
 *
 * All take logits (batch, classes) and targets of the same shape: how much of
 * each class, 0 to 1.  So labels that are smoothed or mixed are nothing
 * special.  The mean over the batch is taken, or over all numbers where
 * PyTorch's function of that name does so.
 */
#ifndef OC_TRAIN_CRITERION_H
#define OC_TRAIN_CRITERION_H

#include "passes/differentiate.h"

#include <ocelli/train.h>

/**
 * Appends a loss to d->g; returns its value, one number, -1 when out of
 * memory.  weights: NULL, or one number a class: of that class's share in
 * cross entropy and focal loss, of the ones in BCE.
 */
int oc__criterion_build(oc__diff *d, oc_criterion which, int multi, int logits,
                        int targets, int batch, int classes,
                        const float *weights, double focus);

/**
 * Cross entropy of the classes above the classes, whose shares are sums; its
 * mean over the levels.  above: (levels, classes), the number of the class
 * above each, from 0 on.  Else as oc__criterion_build().
 */
int oc__criterion_above(oc__diff *d, int levels, const int *above, int logits,
                        int targets, int batch, int classes,
                        const float *weights);

#endif
