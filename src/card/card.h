/*
 * card.h - the card in memory.
 *
 * One table, oc__card_fields, says what fields there are, what values they
 * may have and where they lie in the struct; reading JSON, writing it,
 * setting a field from a command line and telling what is missing are loops
 * over it.  A field that nobody has set has its bit in `given` clear, so that
 * inference knows what it may fill in.
 *
 * All memory is in the card's arena: values that are replaced stay there
 * until the card goes, which is cheap for what a card is.
 */
#ifndef OC_CARD_CARD_H
#define OC_CARD_CARD_H

#include "base/memory.h"
#include "base/status.h"

#include <ocelli/vision.h>

/* Limits on what comes from outside. */
#define OC_CARD_MAX_BYTES   ((size_t)16 << 20) /* of JSON, or a label file */
#define OC_CARD_MAX_LABELS  (1 << 18)
#define OC_CARD_MAX_NUMBERS (1 << 20) /* of anchors, say */

/** A list of numbers of any length. */
typedef struct oc__numbers {
    int n;
    const double *v;
} oc__numbers;

/** Names, as labels or outputs have them. */
typedef struct oc__names {
    int n;
    const char *const *v;
} oc__names;

/** How overlapping boxes are thinned out. */
typedef enum oc__nms_mode {
    OC_NMS_CLASS,    /* among boxes of the same class */
    OC_NMS_AGNOSTIC, /* among all */
    OC_NMS_SOFT,     /* class-wise, lowering scores (Gaussian soft-NMS) */
    OC_NMS_NONE
} oc__nms_mode;

/** What has to be done to raw scores. */
typedef enum oc__scores {
    OC_SCORES_RAW,
    OC_SCORES_SIGMOID,
    OC_SCORES_SOFTMAX
} oc__scores;

/** One thing the golden check expects. */
typedef struct oc__golden_item {
    int index;
    double score; /* or fraction */
    int has_box;
    double box[4];
} oc__golden_item;

struct oc_card {
    oc_allocator allocator;
    oc__arena arena;
    uint64_t given; /* bit i: field i of the table has been set */

    /* top */
    const char *name;
    int task; /* oc_task */
    const char *license, *source;
    const char *metrics; /* JSON text, kept as it is */
    oc__names labels;
    const char *label_file, *label_sha256;

    /* input */
    const char *input_name;
    int layout, color, fit, interpolation, dtype;
    int antialias;
    oc__numbers size; /* height, width; empty: dynamic */
    oc__numbers pad_value, mean, std;
    double scale, crop;

    /* decode */
    const char *kind;
    oc__names outputs; /* in the order the decoder wants them */
    double threshold, iou, sigma;
    int nms, max_objects, activation, background, bins, keypoints;
    oc__numbers strides, scales, ratios, anchors, variance, bones;

    /* golden */
    const char *golden_image; /* "generated" or a SHA-256 */
    double tolerance;
    int n_expect;
    const oc__golden_item *expect;

    int n_guesses, cap_guesses;
    const char **guesses;
};

typedef enum oc__field_kind {
    OC_FIELD_TEXT,    /* const char * */
    OC_FIELD_CHOICE,  /* int: index among the choices */
    OC_FIELD_INT,     /* int in lo..hi */
    OC_FIELD_NUMBER,  /* double in lo..hi */
    OC_FIELD_NUMBERS, /* oc__numbers, each in lo..hi, at most `most` */
    OC_FIELD_SIZE,    /* oc__numbers: two, or "dynamic" for none */
    OC_FIELD_NAMES,   /* oc__names */
    OC_FIELD_LABELS,  /* labels: list, file or built-in set */
    OC_FIELD_JSON     /* const char *: any JSON value as text */
} oc__field_kind;

typedef struct oc__card_field {
    const char *section; /* "" at the top, "input", "decode", "golden" */
    const char *name;
    oc__field_kind kind;
    size_t offset;
    double lo, hi;
    int most;
    const char *const *choices; /* ended by NULL */
    const char *help;           /* for documentation */
} oc__card_field;

extern const oc__card_field oc__card_fields[];
extern const int oc__card_field_count;

/** Field number by its dotted name, "input.mean"; -1: none. */
int oc__card_find_field(const char *dotted);
/** The dotted name of field f, for messages; room for OC_CARD_NAME bytes. */
#define OC_CARD_NAME 64
const char *oc__card_field_name(int f, char out[OC_CARD_NAME]);
/** Whether a field has been set, by its dotted name (which must be right). */
int oc__card_has(const oc_card *card, const char *dotted);
/** Marks a field as set, for code that writes the struct directly. */
void oc__card_mark(oc_card *card, const char *dotted);
/** Adds a sentence to what was guessed; E_NOMEM. */
oc_status oc__card_add_guess(oc_card *card, oc_error *err, const char *format,
                             ...) OC_PRINTF(3, 4);

/**
 * Sets field f from numbers / text; checks range and count.  The strings of
 * a message are made here, so all readers say the same.
 */
oc_status oc__card_put_text(oc_card *card, int f, const char *s, size_t n,
                            oc_error *err);
oc_status oc__card_put_numbers(oc_card *card, int f, const double *v, int n,
                               oc_error *err);
oc_status oc__card_put_names(oc_card *card, int f, const char *const *v, int n,
                             oc_error *err);

/* ---- labels (card_labels.c) ------------------------------------------------
 */

/** A set that comes with the library. */
typedef struct oc__label_set {
    const char *name;
    int n;
    const char *text;   /* n names, each ended by '\n' */
    const char *before; /* a name that stands before them, or NULL */
} oc__label_set;

extern const oc__label_set oc__label_sets[];
/** By name, NULL when there is none. */
const oc__label_set *oc__label_set_find(const char *name);
/** The card gets the labels of a set. */
oc_status oc__card_use_set(oc_card *card, const oc__label_set *set,
                           oc_error *err);
/**
 * The card gets the lines of a text file (empty ones at the end dropped).
 * sha256 (may be NULL) must match.
 */
oc_status oc__card_use_file(oc_card *card, const char *path, const char *sha256,
                            oc_error *err);
/** The lines of a text in memory. */
oc_status oc__card_use_lines(oc_card *card, const char *text, size_t bytes,
                             oc_error *err);

extern const char oc__labels_imagenet[], oc__labels_coco80[],
    oc__labels_coco90[], oc__labels_voc20[], oc__labels_camvid[],
    oc__labels_cifar10[], oc__labels_digits[];

#endif
