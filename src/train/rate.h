/*
 * rate.h - the learning rate over the epochs: a rise, then a course.
 */
#ifndef OC_TRAIN_RATE_H
#define OC_TRAIN_RATE_H

#include "base/status.h"

#include <ocelli/train.h>

/**
 * The share of the highest rate.
 *   epoch   0.5: in the middle of the first
 *   epochs  that there will be
 *   warmup  epochs in which it rises along a line
 *   drops   PLATEAU: how often it got no better
 *   last    COSINE: the share at the end
 */
double oc__schedule_share(oc_schedule s, double epoch, double epochs,
                          double warmup, int drops, double last);

#endif
