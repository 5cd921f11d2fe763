/*
 * labelled_build.h - labelled pictures while they are being collected.
 *
 * Readers name classes by text; they get numbers in the order they come up,
 * and those of oc__labelled once all are known.  A table of indices names them
 * by number first ("281") and is translated at its end.
 */
#ifndef OC_DATA_LABELLED_BUILD_H
#define OC_DATA_LABELLED_BUILD_H

#include "data/dataset.h"
#include "data/labelled.h"

/** A picture found; its labels are names[labels[first .. first + n)]. */
typedef struct oc__found {
    const char *path;
    const char *where; /* the table it stands in, NULL: a folder */
    int64_t bytes;
    size_t first;
    int32_t n_labels;
    int line; /* in its table */
    oc__part part;
} oc__found;

typedef struct oc__label_name {
    const char *text;
    const char *folder; /* it was found in, or NULL */
    int64_t pictures;   /* usable ones */
    int64_t empty;      /* files of 0 bytes */
    int32_t index;      /* in oc__labelled; -1: not yet */
} oc__label_name;

typedef struct oc__builder {
    oc_dataset walk; /* the arena, and the readers of folders and lines */
    oc__labelled *l;
    const oc__labelled_options *opt;
    oc__found *found;
    size_t n, cap;
    int32_t *labels;
    size_t n_labels, cap_labels;
    oc__label_name *names;
    size_t n_names, cap_names;
    int32_t *slots; /* open addressing over names; -1 free */
    size_t n_slots;
    size_t cap_bad;
    int separators; /* a cell had several labels */
    int columns;    /* labels came as columns of 0 and 1 */
    int no_files;   /* do not look whether pictures are there (fuzzing) */
    int has_part[OC_PART_COUNT]; /* a table said so, or a folder */
} oc__builder;

oc_status oc__builder_init(oc__builder *b, oc__labelled *l,
                           const oc__labelled_options *opt, oc_error *err);
/** Number of a name, made when it is new. */
oc_status oc__builder_name(oc__builder *b, const char *text, size_t n,
                           int32_t *out, oc_error *err);
/** A picture, after its labels went to oc__builder_label(). */
oc_status oc__builder_add(oc__builder *b, oc__found *f, oc_error *err);
/** Appends a label for the picture to be added next. */
oc_status oc__builder_label(oc__builder *b, int32_t name, oc_error *err);
/** Notes that f's file cannot be used; the text is copied. */
oc_status oc__builder_bad(oc__builder *b, const oc__found *f, const char *why,
                          oc_error *err);
/** Sorts, numbers the classes, makes the split: fills l. */
oc_status oc__builder_finish(oc__builder *b, const char *dir, oc_error *err);

/**
 * Reads a table.  dir is where its pictures are; text is changed.
 *   part  of rows that name none
 */
oc_status oc__labelled_table(oc__builder *b, const char *dir, const char *path,
                             oc__part part, oc_error *err);
oc_status oc__labelled_table_text(oc__builder *b, const char *dir,
                                  const char *path, char *text, oc__part part,
                                  oc_error *err);
/** A folder for each class, or a table in it. */
oc_status oc__labelled_folder(oc__builder *b, const char *dir, oc__part part,
                              oc_error *err);

/** Doubles a list in the arena when it is full; NULL: no memory. */
void *oc__builder_room(oc__builder *b, void *list, size_t n, size_t *cap,
                       size_t size);
/** "train", "val" ... as people write them; OC_PART_COUNT: none. */
oc__part oc__part_of_name(const char *name);

#endif
