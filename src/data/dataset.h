/*
 * dataset.h - what the readers of data sets share.
 *
 *     dataset.c          the common part; which reader
 *     dataset_folder.c   classes as folders, labels.txt, masks
 *     dataset_labelled.c  what training reads besides: labelled.h
 *     dataset_coco.c     COCO's JSON
 *     dataset_voc.c      Pascal VOC's folders; voc_xml.c reads its files
 */
#ifndef OC_DATA_DATASET_H
#define OC_DATA_DATASET_H

#include <ocelli/eval.h>

#include "base/memory.h"
#include "base/size.h"
#include "base/status.h"

#define OC_MAX_SAMPLES (1 << 24)
#define OC_MAX_PATH    4096
#define OC_MAX_LIST    ((size_t)64 << 20) /* bytes of a text file */
#define OC_MAX_COCO    ((size_t)1 << 30)  /* bytes of a JSON file */

struct oc_dataset {
    oc_allocator allocator;
    oc__arena arena;
    oc_sample *samples;
    size_t n, cap;
    const char **classes;
    int64_t *class_ids;
    size_t n_classes, cap_classes;
    int multi; /* any number of labels a picture */
};

/** Names in a folder, sorted by bytes, without those that start with a dot. */
typedef struct oc__names_in {
    const char **v;
    size_t n, cap;
} oc__names_in;

/** In the data set's arena.  E_IO. */
oc_status oc__dir_list(oc_dataset *d, const char *dir, oc__names_in *out,
                       oc_error *err);
/** 1 a folder, 2 another file, 0 nothing. */
int oc__path_kind(const char *path);
/** "a/b" in the arena, NULL: no memory, or too long. */
char *oc__path_join(oc_dataset *d, const char *a, const char *b);
/** 1 when dir/name is of this kind (1 folder, 2 file). */
int oc__has(const char *dir, const char *name, int kind);

/** Appends; E_NOMEM or E_LIMIT.  The strings must be in the arena. */
oc_status oc__dataset_add(oc_dataset *d, const oc_sample *s, oc_error *err);
oc_status oc__dataset_add_class(oc_dataset *d, const char *name, int64_t id,
                                oc_error *err);
/** Reads lines of a text file, calling take for each; stops at a failure. */
oc_status oc__dataset_lines(oc_dataset *d, const char *path,
                            oc_status (*take)(oc_dataset *d, char *line,
                                              void *ctx, oc_error *err),
                            void *ctx, oc_error *err);

oc_status oc__dataset_labels(oc_dataset *d, const char *dir, oc_error *err);
/** Other forms that training reads: classes in classes, tables. */
oc_status oc__dataset_labelled(oc_dataset *d, const char *dir,
                               const char *split, oc_error *err);
oc_status oc__dataset_masks(oc_dataset *d, const char *dir, oc_error *err);
oc_status oc__dataset_coco(oc_dataset *d, const char *dir, const char *json,
                           const char *split, oc_error *err);
/** The same from the JSON itself. */
oc_status oc__dataset_coco_text(oc_dataset *d, const char *dir,
                                const char *text, size_t bytes,
                                const char *split, oc_error *err);
oc_status oc__dataset_voc(oc_dataset *d, const char *dir, const char *split,
                          oc_error *err);

#endif
