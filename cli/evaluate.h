/*
 * evaluate.h - how well a model does on labelled pictures: `ocelli eval`, and
 * whoever compares models by it.
 *
 *     evaluate.c        the data's classes, the loop over pictures
 *     eval_labels.c     top-1, top-5, confusions
 *     eval_multi.c      several labels to a picture: mean AP
 *     eval_boxes.c      COCO's figures
 *     eval_masks.c      mIoU, pixel accuracy
 */
#ifndef OCELLI_CLI_EVALUATE_H
#define OCELLI_CLI_EVALUATE_H

#include "cli.h"
#include "json.h"

#include <ocelli/eval.h>

typedef struct evaluation {
    const cli_args *args;
    const struct measure *how;
    oc_dataset *data;
    const oc_vision *vision;
    oc_task task;
    int labels;     /* of the model */
    int classes;    /* of the data; 0: numbers only */
    int *class_of;  /* the data's class for each label of the model, or -1 */
    char **missing; /* the data's classes that the model does not know */
    int n_missing;
    int images;     /* that were measured */
    int skipped;    /* that could not be read or looked at */
    int skip_code;  /* exit code of the last one skipped */
    int begun;      /* there is a state */
    void *state;    /* of the measure */
    double seconds; /* of the loop */
} evaluation;

/** How one kind of truth is measured. */
typedef struct measure {
    oc_task task;
    int (*begin)(evaluation *e);
    /**
     * Takes one picture's result; an exit code, and with CLI_BAD_INPUT nothing
     * is taken.
     */
    int (*add)(evaluation *e, const oc_sample *s, const oc_result *r);
    /** Works out the figures; an exit code. */
    int (*finish)(evaluation *e);
    void (*print_json)(const evaluation *e, json *j);
    void (*print_text)(const evaluation *e);
    /** The figure models are compared by, 0..1, and its name. */
    double (*figure)(const evaluation *e, const char **name);
    void (*end)(evaluation *e);
} measure;

extern const measure measure_labels, measure_multi, measure_boxes,
    measure_masks;

/**
 * Opens the data in dir and matches its classes with the model's labels,
 * heeding
 * --split, --limit and --quiet.  model: its name, for what is said.  Returns an
 * exit code with the sentence printed; close in any case.
 */
int evaluation_open(evaluation *e, const cli_args *args,
                    const oc_vision *vision, const char *dir,
                    const char *model);
/** Looks at all pictures with v, a model with the same labels; may be called
 * again with another.  label: of the progress bar. */
int evaluation_measure(evaluation *e, oc_vision *v, const char *label);
/** Least score and most results a picture, as measures want them. */
void evaluation_limits(oc_task task, double *threshold, int *top);
/** Top-1, mAP or mIoU of the last measure, 0..1, and what it is called. */
double evaluation_figure(const evaluation *e, const char **name);
void evaluation_close(evaluation *e);

/** Name of the data's class i, or its number in `room`. */
const char *evaluation_class(const evaluation *e, int i, char *room,
                             size_t bytes);

#endif
