/*
 * dataset_voc.c - Pascal VOC: Annotations/1.xml, JPEGImages/1.jpg, and
 * ImageSets/Main/val.txt with the names of a part.
 */
#include "data/dataset.h"

#include "base/file.h"
#include "data/voc_xml.h"

#include <string.h>

static oc_status class_of(oc_dataset *d, const char *name, int *out,
                          oc_error *err) {
    for (size_t i = 0; i < d->n_classes; i++) {
        if (!strcmp(d->classes[i], name)) {
            *out = (int)i;
            return OC_OK;
        }
    }
    *out = (int)d->n_classes;
    return oc__dataset_add_class(d, name, (int64_t)d->n_classes, err);
}

/*
 * The picture has the annotation's name, or the one that is written in it:
 * some tools number their annotations.
 */
static oc_status find_picture(oc_dataset *d, const char *dir, const char *stem,
                              const char *file, const char **out,
                              oc_error *err) {
    static const char *const endings[] = {".jpg", ".jpeg", ".png",
                                          ".JPG", ".PNG",  ".bmp"};
    for (size_t i = 0; i <= OC_COUNT(endings); i++) {
        int last = i == OC_COUNT(endings);
        if (last && (!*file || strchr(file, '/'))) break;
        char *path =
            oc__arena_printf(&d->arena, "%s/JPEGImages/%s%s", dir,
                             last ? file : stem, last ? "" : endings[i]);
        if (!path) return oc__fail_nomem(err);
        *out = path;
        if (oc__path_kind(path) == 2) return OC_OK;
    }
    return oc__fail(err, OC_E_FORMAT, "there is no picture for %.100s", stem);
}

static oc_status add_sample(oc_dataset *d, const char *dir, const char *stem,
                            const oc__voc_page *page, oc_error *err) {
    oc_sample sample = {0};
    oc_truth *truths = oc__arena_array(&d->arena, page->n + 1, sizeof *truths);
    if (!truths) return oc__fail_nomem(err);
    OC_TRY(find_picture(d, dir, stem, page->file, &sample.picture, err));
    for (size_t i = 0; i < page->n; i++) {
        const oc__voc_object *o = &page->objects[i];
        oc_truth *t = &truths[i];
        OC_TRY(class_of(d, o->name, &t->category, err));
        t->box[0] = o->box[0];
        t->box[1] = o->box[1];
        t->box[2] = o->box[2] - o->box[0];
        t->box[3] = o->box[3] - o->box[1];
        t->area = t->box[2] * t->box[3];
        t->id = (int64_t)i + 1;
        t->crowd = o->difficult;
    }
    sample.id = (int64_t)d->n;
    sample.truths = truths;
    sample.truth_count = (int)page->n;
    return oc__dataset_add(d, &sample, err);
}

typedef struct voc {
    const char *dir;
    oc__voc_page page;
} voc;

static oc_status add_one(oc_dataset *d, char *line, void *ctx, oc_error *err) {
    voc *v = ctx;
    oc__file file = {0};
    /* Lists for one class have "name 1" and "name -1". */
    line[strcspn(line, " \t")] = 0;
    char *path =
        oc__arena_printf(&d->arena, "%s/Annotations/%s.xml", v->dir, line);
    if (!path) return oc__fail_nomem(err);
    OC_TRY(oc__file_map(&file, path, OC_MAX_LIST, err));
    oc_status st = oc__voc_read(
        &v->page, file.bytes ? (const char *)file.data : "", file.bytes, err);
    oc__file_unmap(&file);
    if (!st) st = add_sample(d, v->dir, line, &v->page, err);
    if (st) oc__error_prefix(err, path);
    return st;
}

/* Every annotation there is, when no list says which. */
static oc_status add_all(oc_dataset *d, voc *v, oc_error *err) {
    oc__names_in names;
    char *dir = oc__path_join(d, v->dir, "Annotations");
    if (!dir) return oc__fail_nomem(err);
    OC_TRY(oc__dir_list(d, dir, &names, err));
    for (size_t i = 0; i < names.n; i++) {
        size_t n = strlen(names.v[i]);
        if (n < 5 || strcmp(names.v[i] + n - 4, ".xml") != 0) continue;
        char *stem = oc__arena_strndup(&d->arena, names.v[i], n - 4);
        if (!stem) return oc__fail_nomem(err);
        OC_TRY(add_one(d, stem, v, err));
    }
    return OC_OK;
}

oc_status oc__dataset_voc(oc_dataset *d, const char *dir, const char *split,
                          oc_error *err) {
    static const char *const usual[] = {"val", "test"};
    voc v = {dir, {NULL, 0, ""}};
    v.page.objects =
        oc__arena_array(&d->arena, OC_VOC_OBJECTS, sizeof *v.page.objects);
    if (!v.page.objects) return oc__fail_nomem(err);
    for (size_t i = 0; i < OC_COUNT(usual); i++) {
        char *list = oc__arena_printf(&d->arena, "%s/ImageSets/Main/%s.txt",
                                      dir, split ? split : usual[i]);
        if (!list) return oc__fail_nomem(err);
        if (oc__path_kind(list) == 2)
            return oc__dataset_lines(d, list, add_one, &v, err);
        if (split)
            return oc__fail(err, OC_E_IO,
                            "there is no part \"%.60s\": %.200s "
                            "is missing",
                            split, list);
    }
    return add_all(d, &v, err);
}
