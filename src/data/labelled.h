/*
 * labelled.h - labelled pictures to learn from: which there are, what is in
 * them, which part each belongs to.
 *
 *     labelled.c         opening, splitting, counting
 *     labelled_csv.c     tables: labels.txt, CSV, one-hot columns
 *     labelled_look.c    what the pictures are like; which kind of data
 *
 * Forms that are read (DIR is what the user gives):
 *
 *     DIR/cat/1.jpg  DIR/dog/2.jpg          a folder for each class
 *     DIR/train/cat/1.jpg  DIR/val/...      with parts; test may be there too
 *     DIR/animal/cat/1.jpg                  "animal/cat": classes in classes
 *     DIR/labels.txt  "1.jpg 281"           names in DIR/classes.txt
 *     DIR/labels.csv  "file,label"          or any one .csv in DIR
 *     DIR/labels.csv  "file,red;round"      several labels to a picture
 *     DIR/labels.csv  "file,red,round" "1.jpg,1,0"   one column a label
 *     DIR/train.csv DIR/val.csv             a table for each part
 *
 * A column "split" or "part" of a table holds train, val or test.  Pictures
 * are sorted by path, so nothing depends on the order of a directory.
 */
#ifndef OC_DATA_LABELLED_H
#define OC_DATA_LABELLED_H

#include "base/memory.h"
#include "base/size.h"
#include "base/status.h"

#include <ocelli/vision.h>

/** Which part of the data. */
typedef enum oc__part {
    OC_PART_TRAIN,
    OC_PART_VAL,
    OC_PART_TEST,
    OC_PART_COUNT
} oc__part;

/** A picture and what is in it. */
typedef struct oc__labelled_picture {
    const char *path;
    int64_t bytes;         /* of the file */
    int32_t label;         /* its class; the first one, -1 none, if multi */
    int32_t n_labels;      /* 1 unless multi */
    const int32_t *labels; /* all its classes, ascending */
    oc__part part;
} oc__labelled_picture;

/** A file that cannot be used, and the sentence why. */
typedef struct oc__bad_picture {
    const char *path;
    const char *why;
    oc__part part;
} oc__bad_picture;

/**
 * Labelled pictures.  Read only once it is open, so any number of threads
 * may look at one.
 */
typedef struct oc__labelled {
    oc_allocator allocator;
    oc__arena arena;
    oc__labelled_picture *pictures; /* sorted by part, then path */
    int n;
    int first[OC_PART_COUNT + 1]; /* a part is pictures[first[p], first[p+1]) */
    int n_classes;
    const char *const *classes; /* the known ones first, then by name */
    int multi;                  /* nonzero: any number of labels a picture */
    int split_made;             /* nonzero: val was split off here */
    const int32_t *counts[OC_PART_COUNT]; /* pictures of each class */
    oc__bad_picture *bad; /* files found unusable while opening: empty ones */
    int n_bad;
    const char
        *form; /* what was found, for people: "a folder for each class" */
} oc__labelled;

/** How to open.  Zero-initialise; zero means the default. */
typedef struct oc__labelled_options {
    const char *labels; /* a table; NULL: looked for.  Paths in it are
                           relative to the folder, or to folder/images */
    const char *val;  /* a folder or table of the val part; NULL: looked for */
    double val_share; /* split off where no val is found; 0: 0.15 */
    uint64_t seed;    /* of that split */
    const char *const *known; /* classes that keep their index: fine-tuning */
    int n_known;              /*   a model that has classes already */
    int closed;     /* nonzero: a class that is not known is an error */
    int may_be_one; /* nonzero: one class, or no val, is no error (to measure)
                     */
    const oc_allocator *allocator;
} oc__labelled_options;

/**
 * Finds the pictures of `dir` (or of a table, when `dir` is a file).  Without
 * a val part, val_share of each class (or, multi, of each set of labels) goes
 * there: one picture at least where a class has two, drawn by seed and name.
 * Errors: E_IO; E_FORMAT with one sentence: no pictures, a class without
 *   pictures, one class only, one picture only, no val picture; a line of a
 *   table that is wrong, with its number; E_LIMIT; E_NOMEM.
 */
oc_status oc__labelled_open(oc__labelled **out, const char *dir,
                            const oc__labelled_options *opt, oc_error *err);
void oc__labelled_destroy(oc__labelled *l); /* NULL is ignored */

/** How many pictures a part has. */
static inline int oc__labelled_count(const oc__labelled *l, oc__part part) {
    return l->first[part + 1] - l->first[part];
}

/**
 * Weights for a loss, one a class, from the train part: n / (classes * count)
 * to the power `strength` (0: all one, 1: full balance), scaled so that their
 * mean over the pictures is 1.  A class without pictures has 0.
 */
void oc__labelled_weights(const oc__labelled *l, double strength, float *out);
/** For BCE: (without / with) of each label, clipped to 1/most..most. */
void oc__labelled_positive_weights(const oc__labelled *l, double most,
                                   float *out);
/** Largest class over smallest class of the train part; 1: balanced. */
double oc__labelled_imbalance(const oc__labelled *l);

/* ---- what the pictures are like ------------------------------------------ */

/** What augmentation must know about the data. */
typedef enum oc__picture_kind {
    OC_PICTURES_NATURAL, /* photographs: up is up, left is as good as right */
    OC_PICTURES_TILES,   /* from above, or through a microscope: no way is up */
    OC_PICTURES_TINY,    /* photographs of at most 64 pixels */
    OC_PICTURES_SIGNS    /* digits, letters: neither may be flipped */
} oc__picture_kind;

/** Measured on at most `most` pictures, evenly taken from the train part. */
typedef struct oc__look_at_pictures {
    int looked, failed;
    int width, height;         /* medians, in pixels */
    int min_width, min_height; /* smallest */
    int max_width, max_height; /* largest */
    int same_size;             /* nonzero: all have one size */
    int gray;                  /* nonzero: all are gray */
    double bytes;              /* mean of a file */
    double decode_seconds;     /* mean for one picture on one core */
    double up_down;            /* |t| of top against bottom half: how sure we
                                  are that they differ */
    double turned;             /* |t| of the picture against itself turned by
                                  90 degrees: edges across and along */
    float mean[3], std[3];     /* of levels / 255, in RGB order */
    oc__picture_kind kind;
} oc__look_at_pictures;

/** most 0: 256.  E_FORMAT when none of them can be read. */
oc_status oc__labelled_look(oc__look_at_pictures *out, const oc__labelled *l,
                            int most, oc_error *err);
/** "photographs", "tiles without a way up", ... */
const char *oc__picture_kind_name(oc__picture_kind kind);

#endif
