/*
 * dataset_folder.c - data sets that need no parser.
 *
 *     DIR/cat/1.jpg  DIR/dog/2.jpg      a folder for each class
 *     DIR/labels.txt "1.jpg 281"        DIR/images/1.jpg, or DIR/1.jpg
 *     DIR/images/1.png  DIR/masks/1.png DIR/classes.txt
 */
#include "data/dataset.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int is_picture(const char *name) {
    return oc_image_format_of_path(name) != OC_IMAGE_UNKNOWN;
}

/* ---- a folder for each class ----------------------------------------------
 */

static oc_status add_class_folder(oc_dataset *d, const char *dir,
                                  const char *name, oc_error *err) {
    oc__names_in files;
    char *folder = oc__path_join(d, dir, name);
    if (!folder) return oc__fail_nomem(err);
    if (oc__path_kind(folder) != 1) return OC_OK;
    OC_TRY(oc__dir_list(d, folder, &files, err));
    size_t before = d->n;
    for (size_t i = 0; i < files.n; i++) {
        oc_sample s = {0};
        if (!is_picture(files.v[i])) continue;
        s.picture = oc__path_join(d, folder, files.v[i]);
        s.label = (int)d->n_classes;
        s.id = (int64_t)d->n;
        if (!s.picture) return oc__fail_nomem(err);
        OC_TRY(oc__dataset_add(d, &s, err));
    }
    /* A folder without pictures is no class. */
    if (d->n == before) return OC_OK;
    return oc__dataset_add_class(d, name, (int64_t)d->n_classes, err);
}

/* ---- labels.txt -----------------------------------------------------------
 */

/* "file index"; the file's name may have blanks, the index has none. */
static oc_status take_label(oc_dataset *d, char *line, void *ctx,
                            oc_error *err) {
    const char *dir = ctx;
    oc_sample s = {0};
    char *at = line + strlen(line), *end;
    while (at > line && at[-1] != ' ' && at[-1] != '\t' && at[-1] != ',')
        at--;
    errno = 0;
    long v = strtol(at, &end, 10);
    if (at == line || *end || end == at || errno || v < 0 || v > INT32_MAX)
        return oc__fail(err, OC_E_FORMAT,
                        "\"%.60s\" is not a file and the index of its class",
                        line);
    while (at > line && (at[-1] == ' ' || at[-1] == '\t' || at[-1] == ','))
        at--;
    *at = 0;
    if (oc__has(dir, "images", 1)) {
        char *images = oc__path_join(d, dir, "images");
        if (images && oc__has(images, line, 2)) dir = images;
    }
    s.picture = oc__path_join(d, dir, line);
    s.label = (int)v;
    s.id = (int64_t)d->n;
    if (!s.picture) return oc__fail_nomem(err);
    if (oc__path_kind(s.picture) != 2)
        return oc__fail(err, OC_E_FORMAT, "there is no picture %.200s",
                        s.picture);
    return oc__dataset_add(d, &s, err);
}

oc_status oc__dataset_labels(oc_dataset *d, const char *dir, oc_error *err) {
    oc__names_in names;
    if (oc__has(dir, "labels.txt", 2)) {
        char *list = oc__path_join(d, dir, "labels.txt");
        if (!list) return oc__fail_nomem(err);
        return oc__dataset_lines(d, list, take_label, (void *)(uintptr_t)dir,
                                 err);
    }
    OC_TRY(oc__dir_list(d, dir, &names, err));
    for (size_t i = 0; i < names.n; i++) {
        OC_TRY(add_class_folder(d, dir, names.v[i], err));
    }
    if (!d->n_classes)
        return oc__fail(err, OC_E_FORMAT,
                        "%.200s holds no labels: neither a folder of pictures "
                        "for each class nor labels.txt",
                        dir);
    return OC_OK;
}

/* ---- masks ----------------------------------------------------------------
 */

static oc_status take_class(oc_dataset *d, char *line, void *ctx,
                            oc_error *err) {
    (void)ctx;
    return oc__dataset_add_class(d, line, (int64_t)d->n_classes, err);
}

/* classes.txt beside the folders, or one further up. */
static oc_status read_classes(oc_dataset *d, const char *dir, oc_error *err) {
    static const char *const places[] = {"classes.txt", "../classes.txt"};
    for (size_t i = 0; i < OC_COUNT(places); i++) {
        if (!oc__has(dir, places[i], 2)) continue;
        char *path = oc__path_join(d, dir, places[i]);
        if (!path) return oc__fail_nomem(err);
        return oc__dataset_lines(d, path, take_class, NULL, err);
    }
    return OC_OK;
}

static size_t stem_length(const char *name) {
    const char *dot = strrchr(name, '.');
    return dot && dot != name ? (size_t)(dot - name) : strlen(name);
}

/* Adds the picture that has the mask's name without its ending. */
static oc_status add_pair(oc_dataset *d, const char *images,
                          const oc__names_in *pictures, size_t *at,
                          const char *masks, const char *mask, oc_error *err) {
    size_t n = stem_length(mask);
    for (size_t tried = 0; tried < pictures->n; tried++) {
        /* Both lists are sorted, so it is mostly the next one. */
        const char *name = pictures->v[(*at + tried) % pictures->n];
        if (stem_length(name) != n || strncmp(name, mask, n) != 0 ||
            !is_picture(name))
            continue;
        oc_sample s = {0};
        *at = (*at + tried + 1) % pictures->n;
        s.picture = oc__path_join(d, images, name);
        s.mask = oc__path_join(d, masks, mask);
        s.id = (int64_t)d->n;
        if (!s.picture || !s.mask) return oc__fail_nomem(err);
        return oc__dataset_add(d, &s, err);
    }
    return oc__fail(err, OC_E_FORMAT, "the mask %.200s has no picture", mask);
}

oc_status oc__dataset_masks(oc_dataset *d, const char *dir, oc_error *err) {
    oc__names_in pictures, masks;
    size_t at = 0;
    char *images = oc__path_join(d, dir, "images");
    char *truths = oc__path_join(d, dir, "masks");
    if (!images || !truths) return oc__fail_nomem(err);
    if (oc__path_kind(images) != 1 || oc__path_kind(truths) != 1)
        return oc__fail(err, OC_E_FORMAT,
                        "%.200s holds no masks: there must be the folders "
                        "images and masks",
                        dir);
    OC_TRY(read_classes(d, dir, err));
    OC_TRY(oc__dir_list(d, images, &pictures, err));
    OC_TRY(oc__dir_list(d, truths, &masks, err));
    for (size_t i = 0; i < masks.n; i++) {
        if (!is_picture(masks.v[i])) continue;
        OC_TRY(add_pair(d, images, &pictures, &at, truths, masks.v[i], err));
    }
    return OC_OK;
}
