/*
 * report.h - what a training run was like, as a page and as a picture.
 *
 *     report_page.c   the page: one HTML file, nothing outside of it
 *     report_svg.c    curves, reliability diagram
 *     ../page         numbers, escapes, style
 *
 * Pages are light or dark as the reader has it, print on paper, and can be
 * used without seeing: every drawing has a title and a description, every
 * table its headers.
 */
#ifndef OC_TRAIN_REPORT_H
#define OC_TRAIN_REPORT_H

#include "base/memory.h"
#include "base/status.h"
#include "data/figures.h"

#include <ocelli/vision.h>

/** One point of the curves; NAN: not measured there. */
typedef struct oc__report_point {
    double epoch; /* 0.5: in the middle of the first */
    double train_loss, train_accuracy;
    double val_loss, val_accuracy; /* accuracies 0..1; multi: mAP */
    double learning_rate;
    double seconds; /* since the start */
} oc__report_point;

/** A line of the recipe or of the summary. */
typedef struct oc__report_fact {
    const char *name, *value;
    const char *why; /* what made it so; may be NULL */
} oc__report_fact;

/** Everything a report shows; what is NULL or 0 is left out. */
typedef struct oc__report {
    const char *title;    /* the name of the model */
    const char *subtitle; /* one line: the data, the time */
    int multi;            /* accuracies are mAP */
    const oc__report_point *points;
    int n_points;
    double best_epoch;            /* which was kept; 0: none is marked */
    const oc__report_fact *facts; /* the recipe */
    int n_facts;
    const char *command; /* that makes it again */
    /* of the model that was kept, on val */
    const char *const *classes;
    int n_classes;
    int n;                    /* pictures */
    const float *logits;      /* [n, n_classes] */
    const int64_t *label;     /* [n]; single */
    const float *targets;     /* [n, n_classes] 0 or 1; multi */
    const char *const *paths; /* [n] files, for the hardest mistakes */
    double temperature;       /* fitted; 0 or 1: none */
    int running; /* nonzero: the page reloads itself; SVG says so */
} oc__report;

/** The curves as an SVG file: loss, accuracy, learning rate over epochs. */
oc_status oc__report_curves(oc_bytes *out, const oc__report *r, oc_error *err);
/** The page. */
oc_status oc__report_page(oc_bytes *out, const oc__report *r, oc_error *err);
/** Both to files, each all or nothing; path NULL: not that one. */
oc_status oc__report_save(const oc__report *r, const char *page_path,
                          const char *svg_path, oc_error *err);

#endif
