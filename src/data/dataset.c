/* dataset.c - labelled pictures in a folder; see dataset.h. */
#define _POSIX_C_SOURCE 200809L

#include "data/dataset.h"

#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* ---- folders --------------------------------------------------------------
 */

int oc__path_kind(const char *path) {
    struct stat s;
    if (stat(path, &s)) return 0;
    return S_ISDIR(s.st_mode) ? 1 : 2;
}

int oc__has(const char *dir, const char *name, int kind) {
    char path[OC_MAX_PATH];
    int n = snprintf(path, sizeof path, "%s/%s", dir, name);
    return n > 0 && (size_t)n < sizeof path && oc__path_kind(path) == kind;
}

char *oc__path_join(oc_dataset *d, const char *a, const char *b) {
    return oc__arena_printf(&d->arena, "%s/%s", a, b);
}

/* Doubles a list in the arena when it is full. */
static void *room_for(oc_dataset *d, void *list, size_t n, size_t *cap,
                      size_t size) {
    if (n < *cap) return list;
    size_t more = *cap ? 2 * *cap : 64;
    void *p = oc__arena_array(&d->arena, more, size);
    if (!p) return NULL;
    if (n) memcpy(p, list, n * size);
    *cap = more;
    return p;
}

static int by_bytes(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

oc_status oc__dir_list(oc_dataset *d, const char *dir, oc__names_in *out,
                       oc_error *err) {
    struct dirent *e;
    DIR *handle = opendir(dir);
    memset(out, 0, sizeof *out);
    if (!handle)
        return oc__fail(err, OC_E_IO, "cannot read the folder %.200s: %s", dir,
                        strerror(errno));
    oc_status st = OC_OK;
    while (!st && (e = readdir(handle))) {
        if (e->d_name[0] == '.') continue;
        const char **v = room_for(d, out->v, out->n, &out->cap, sizeof *v);
        char *name = oc__arena_strdup(&d->arena, e->d_name);
        if (v) out->v = v;
        if (!v || !name)
            st = oc__fail_nomem(err);
        else if (out->n >= OC_MAX_SAMPLES)
            st = oc__fail(err, OC_E_LIMIT,
                          "the folder %.200s has too many "
                          "files",
                          dir);
        else
            out->v[out->n++] = name;
    }
    closedir(handle);
    if (!st && out->n) qsort(out->v, out->n, sizeof *out->v, by_bytes);
    return st;
}

/* ---- filling --------------------------------------------------------------
 */

oc_status oc__dataset_add(oc_dataset *d, const oc_sample *s, oc_error *err) {
    if (d->n >= OC_MAX_SAMPLES)
        return oc__fail(err, OC_E_LIMIT, "more than %d pictures",
                        OC_MAX_SAMPLES);
    oc_sample *v = room_for(d, d->samples, d->n, &d->cap, sizeof *v);
    if (!v) return oc__fail_nomem(err);
    d->samples = v;
    d->samples[d->n++] = *s;
    return OC_OK;
}

oc_status oc__dataset_add_class(oc_dataset *d, const char *name, int64_t id,
                                oc_error *err) {
    size_t cap = d->cap_classes;
    const char **v = room_for(d, d->classes, d->n_classes, &cap, sizeof *v);
    int64_t *ids =
        room_for(d, d->class_ids, d->n_classes, &d->cap_classes, sizeof *ids);
    char *copy = oc__arena_strdup(&d->arena, name);
    if (!v || !ids || !copy) return oc__fail_nomem(err);
    d->classes = v;
    d->class_ids = ids;
    v[d->n_classes] = copy;
    ids[d->n_classes++] = id;
    return OC_OK;
}

oc_status oc__dataset_lines(oc_dataset *d, const char *path,
                            oc_status (*take)(oc_dataset *d, char *line,
                                              void *ctx, oc_error *err),
                            void *ctx, oc_error *err) {
    oc__file file = {0};
    OC_TRY(oc__file_map(&file, path, OC_MAX_LIST, err));
    char *text = oc__arena_strndup(
        &d->arena, file.bytes ? (const char *)file.data : "", file.bytes);
    size_t bytes = file.bytes;
    oc__file_unmap(&file);
    if (!text) return oc__fail_nomem(err);
    if (strlen(text) < bytes)
        return oc__fail(err, OC_E_FORMAT,
                        "%.200s has a zero byte; is it UTF-8?", path);
    int number = 0;
    /* Windows' editors begin with a byte order mark. */
    if (!strncmp(text, "\xef\xbb\xbf", 3)) text += 3;
    for (char *line = text; line && *line;) {
        char *end = strchr(line, '\n');
        if (end) *end = 0;
        size_t n = strlen(line);
        while (n && (line[n - 1] == '\r' || line[n - 1] == ' '))
            line[--n] = 0;
        number++;
        oc_status st = n ? take(d, line, ctx, err) : OC_OK;
        if (st) {
            char where[OC_MAX_PATH + 32];
            snprintf(where, sizeof where, "%s, line %d", path, number);
            oc__error_prefix(err, where);
            return st;
        }
        line = end ? end + 1 : NULL;
    }
    return OC_OK;
}

/* ---- which reader ---------------------------------------------------------
 */

/* The part of the folder that was asked for, or that is meant for this. */
static char *part_of(oc_dataset *d, const char *dir, const char *split) {
    static const char *const usual[] = {"val", "test", "valid", "validation"};
    if (split)
        return oc__has(dir, split, 1) ? oc__path_join(d, dir, split)
                                      : oc__arena_strdup(&d->arena, dir);
    for (size_t i = 0; i < OC_COUNT(usual); i++) {
        if (oc__has(dir, usual[i], 1)) return oc__path_join(d, dir, usual[i]);
    }
    return oc__arena_strdup(&d->arena, dir);
}

static int ends_in(const char *name, const char *end) {
    size_t n = strlen(name), m = strlen(end);
    return n >= m && !strcmp(name + n - m, end);
}

/* A JSON file in `dir` whose name has the split in it, or the likeliest. */
static oc_status find_json(oc_dataset *d, const char *dir, const char *split,
                           char **out, oc_error *err) {
    static const char *const usual[] = {"val", "test", "instances", ""};
    oc__names_in names;
    if (oc__path_kind(dir) != 1) return OC_OK;
    OC_TRY(oc__dir_list(d, dir, &names, err));
    for (size_t u = 0; u < OC_COUNT(usual); u++) {
        const char *part = split ? split : usual[u];
        for (size_t i = 0; i < names.n; i++) {
            if (!ends_in(names.v[i], ".json") || !strstr(names.v[i], part) ||
                ends_in(names.v[i], ".card.json"))
                continue;
            *out = oc__path_join(d, dir, names.v[i]);
            return *out ? OC_OK : oc__fail_nomem(err);
        }
        if (split) break;
    }
    return OC_OK;
}

static oc_status open_boxes(oc_dataset *d, const char *dir, const char *split,
                            oc_error *err) {
    char *json = NULL;
    char *inner = oc__path_join(d, dir, "annotations");
    if (!inner) return oc__fail_nomem(err);
    if (oc__path_kind(dir) == 2) { /* the file itself */
        char *folder = oc__arena_strdup(&d->arena, dir);
        if (!folder) return oc__fail_nomem(err);
        char *slash = strrchr(folder, '/');
        if (slash) *slash = 0;
        return oc__dataset_coco(d, slash ? folder : ".", dir, split, err);
    }
    if (oc__has(dir, "Annotations", 1) && oc__has(dir, "JPEGImages", 1))
        return oc__dataset_voc(d, dir, split, err);
    OC_TRY(find_json(d, inner, split, &json, err));
    if (!json) OC_TRY(find_json(d, dir, split, &json, err));
    if (!json && split) OC_TRY(find_json(d, dir, NULL, &json, err));
    if (json) return oc__dataset_coco(d, dir, json, split, err);
    return oc__fail(err, OC_E_FORMAT,
                    "%.200s holds no boxes: neither COCO's JSON nor Pascal "
                    "VOC's Annotations and JPEGImages",
                    dir);
}

static int is_table(const char *name) {
    return ends_in(name, ".csv") || ends_in(name, ".tsv");
}

/* *deeper: a folder of the folder has folders itself; or there is a table. */
static oc_status look_deeper(oc_dataset *d, const char *dir, int level,
                             int *deeper, oc_error *err) {
    oc__names_in names;
    OC_TRY(oc__dir_list(d, dir, &names, err));
    for (size_t i = 0; i < names.n && !*deeper; i++) {
        const char *name = names.v[i];
        if (oc_image_format_of_path(name) != OC_IMAGE_UNKNOWN) continue;
        int folder = oc__has(dir, name, 1);
        *deeper = level ? folder : !folder && is_table(name);
        if (level || !folder) continue;
        const char *inner = oc__path_join(d, dir, name);
        if (!inner) return oc__fail_nomem(err);
        OC_TRY(look_deeper(d, inner, 1, deeper, err));
    }
    return OC_OK;
}

/* labels.txt, or a folder for each class; what is not as plain as these is
   read as training reads it. */
static oc_status open_labels(oc_dataset *d, const char *dir, const char *split,
                             oc_error *err) {
    int deeper = is_table(dir);
    if (oc__path_kind(dir) == 1 && !oc__has(dir, "labels.txt", 2))
        OC_TRY(look_deeper(d, dir, 0, &deeper, err));
    return deeper ? oc__dataset_labelled(d, dir, split, err)
                  : oc__dataset_labels(d, dir, err);
}

static oc_status open_any(oc_dataset *d, const char *dir, oc_task task,
                          const char *split, oc_error *err) {
    if (!oc__path_kind(dir))
        return oc__fail(err, OC_E_IO, "there is no folder %.200s", dir);
    if (task == OC_TASK_DETECT) return open_boxes(d, dir, split, err);
    char *part = part_of(d, dir, split);
    if (!part) return oc__fail_nomem(err);
    if (task == OC_TASK_SEGMENT) return oc__dataset_masks(d, part, err);
    if (task == OC_TASK_CLASSIFY) return open_labels(d, part, split, err);
    return oc__fail(err, OC_E_UNSUPPORTED, "there are no data sets to %s",
                    oc_task_name(task));
}

oc_status oc_dataset_open(oc_dataset **out, const char *dir, oc_task task,
                          const char *split, const oc_allocator *allocator,
                          oc_error *err) {
    if (!allocator) allocator = &oc__default_allocator;
    oc_dataset *d = oc__calloc(allocator, 1, sizeof *d);
    if (!d) return oc__fail_nomem(err);
    d->allocator = *allocator;
    oc__arena_init(&d->arena, &d->allocator);
    oc_status st = open_any(d, dir, task, split, err);
    if (!st && !d->n)
        st = oc__fail(err, OC_E_FORMAT, "%.200s holds no pictures", dir);
    if (st) {
        oc_dataset_destroy(d);
        return st;
    }
    *out = d;
    return OC_OK;
}

void oc_dataset_destroy(oc_dataset *d) {
    if (!d) return;
    oc_allocator a = d->allocator;
    oc__arena_deinit(&d->arena);
    oc__release(&a, d, sizeof *d);
}

int oc_dataset_count(const oc_dataset *d) {
    return (int)d->n;
}

const oc_sample *oc_dataset_sample(const oc_dataset *d, int i) {
    return i >= 0 && (size_t)i < d->n ? &d->samples[i] : NULL;
}

int oc_dataset_is_multi(const oc_dataset *d) {
    return d->multi;
}

int oc_dataset_class_count(const oc_dataset *d) {
    return (int)d->n_classes;
}

const char *oc_dataset_class(const oc_dataset *d, int i) {
    return i >= 0 && (size_t)i < d->n_classes ? d->classes[i] : NULL;
}

int64_t oc_dataset_class_id(const oc_dataset *d, int i) {
    return i >= 0 && (size_t)i < d->n_classes ? d->class_ids[i] : -1;
}
