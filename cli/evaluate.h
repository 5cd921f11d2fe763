/*
 * evaluate.h - what the measures of `ocelli eval` share.
 *
 *     verb_eval.c       options, the loop over pictures
 *     eval_labels.c     top-1, top-5, confusions
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
    const oc_dataset *data;
    const oc_vision *vision;
    oc_task task;
    int labels;     /* of the model */
    int classes;    /* of the data; 0: numbers only */
    int *class_of;  /* the data's class for each label of the model, or -1 */
    char **missing; /* the data's classes that the model does not know */
    int n_missing;
    int images;    /* that were measured */
    int skipped;   /* that could not be read or looked at */
    int skip_code; /* exit code of the last one skipped */
    void *state;   /* of the measure */
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
    void (*end)(evaluation *e);
} measure;

extern const measure measure_labels, measure_boxes, measure_masks;

/** Name of the data's class i, or its number in `room`. */
const char *evaluation_class(const evaluation *e, int i, char *room,
                             size_t bytes);

#endif
