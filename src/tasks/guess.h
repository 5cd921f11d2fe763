/*
 * guess.h - filling in a card by looking at the network.
 *
 *     guess.c         the order of things, metadata of known exporters
 *     guess_boxes.c   which detector's outputs these are
 *     guess_maps.c    classifiers, segmenters, restorers
 *     guess_input.c   size, normalisation, colour order
 *
 * A field that was given is never changed.  Every inference leaves a sentence
 * with its reason, so that whoever reads it can judge it.
 */
#ifndef OC_TASKS_GUESS_H
#define OC_TASKS_GUESS_H

#include "tasks/look.h"

/** Networks that share their preprocessing. */
typedef enum oc__family {
    OC_FAMILY_NONE, /* look at the weights */
    OC_FAMILY_YOLOX,
    OC_FAMILY_YOLO, /* 5, 8, 11 and their kin */
    OC_FAMILY_NANODET,
    OC_FAMILY_TF_SSD,
    OC_FAMILY_TF_NMS,
    OC_FAMILY_ULTRAFACE,
    OC_FAMILY_YUNET,
    OC_FAMILY_DETR,
    OC_FAMILY_RT_DETR,
    OC_FAMILY_TORCHVISION,
    OC_FAMILY_CENTERNET,
    OC_FAMILY_MOVENET,
    OC_FAMILY_HEATMAP
} oc__family;

typedef struct oc__guess {
    oc_card *card;
    oc__look *look;
    oc_error *err;
    oc_status st; /* the first failure; afterwards nothing is done */
    oc__family family;
    int h, w;           /* of the input, made up where it is free */
    int free_size;      /* it is free */
    int classes;        /* of the outputs, background included; 0: unknown */
    const char *labels; /* a built-in set the family goes with, or NULL */
} oc__guess;

/** Sets a field that was not given, from text. */
void oc__guess_put(oc__guess *g, const char *field, const char *value);
/** The same from numbers. */
void oc__guess_put_numbers(oc__guess *g, const char *field, const double *v,
                           int n);
/** The outputs in the decoder's order, by their numbers. */
void oc__guess_put_outputs(oc__guess *g, const int *outputs, int n);
/** Leaves a sentence. */
void oc__guess_say(oc__guess *g, const char *format, ...) OC_PRINTF(2, 3);
/** Sets task, kind and family unless others were given; 0: they were. */
int oc__guess_kind(oc__guess *g, oc_task task, const char *kind,
                   oc__family family);

/** Dim k from the end of output i (1: the last); -1: free; 0: not there. */
int64_t oc__guess_dim(const oc__guess *g, int i, int k);
/** Dims of output i that are left without those of 1 at the start. */
int oc__guess_rank(const oc__guess *g, int i);
/** Whether text has part in it, in any case. */
int oc__guess_contains(const char *text, const char *part);

/** Each returns 1 when it knows the outputs. */
int oc__guess_boxes(oc__guess *g);
int oc__guess_maps(oc__guess *g);
void oc__guess_input(oc__guess *g);

#endif
