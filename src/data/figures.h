/*
 * figures.h - how good scores are, for classifiers: counts, calibration.
 *
 * Scores are rows of `classes` numbers.  Softmax and sigmoid are taken here
 * in f64; what is called logits is raw.  Ties go to the lower index.
 */
#ifndef OC_DATA_FIGURES_H
#define OC_DATA_FIGURES_H

#include "base/memory.h"
#include "base/status.h"

#define OC_CALIBRATION_BINS 15

/** What a class got. */
typedef struct oc__class_figures {
    int64_t truths, predicted, right;
    double precision, recall, f1; /* 0 where there is nothing to divide by */
    double average_precision;     /* multi-label; -1: no truths */
    double threshold;             /* multi-label: where F1 is best */
} oc__class_figures;

/** A bin of the reliability diagram: equal widths of confidence. */
typedef struct oc__calibration_bin {
    int64_t n;
    double confidence, accuracy; /* means; 0 when n is 0 */
} oc__calibration_bin;

/** All of it.  Deinit after use, also after a failure. */
typedef struct oc__figures {
    int n, classes, multi;
    double loss;           /* mean cross entropy, or BCE over labels */
    double accuracy, top5; /* multi: share of labels that are right; 0 */
    double macro_f1, micro_f1, balanced_accuracy;
    double mean_ap; /* multi-label: over classes with truths */
    double ece;     /* expected calibration error, 0..1 */
    double brier;   /* mean over pictures of the squared error's sum */
    oc__calibration_bin bins[OC_CALIBRATION_BINS];
    int64_t *confusion; /* [truth][predicted]; NULL if multi */
    oc__class_figures *per_class;
    oc_allocator allocator;
} oc__figures;

/**
 * Single label: logits [n, classes], label [n] (rows with label -1 are left
 * out); temperature divides the logits (1: as they are).
 */
oc_status oc__figures_single(oc__figures *out, const float *logits,
                             const int64_t *label, int n, int classes,
                             double temperature, const oc_allocator *allocator,
                             oc_error *err);
/** Multi-label: targets [n, classes] of 0 and 1; threshold of a yes: 0.5. */
oc_status oc__figures_multi(oc__figures *out, const float *logits,
                            const float *targets, int n, int classes,
                            const oc_allocator *allocator, oc_error *err);
void oc__figures_deinit(oc__figures *f);

/**
 * The T that makes the mean cross entropy of logits / T least: Newton's
 * method on log T inside a bracket, so it finds the minimum (NLL is convex in
 * 1/T).  Always within 0.05..20; 1 when there are no rows.
 */
double oc__fit_temperature(const float *logits, const int64_t *label, int n,
                           int classes);

#endif
