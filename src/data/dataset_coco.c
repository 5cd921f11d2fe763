/*
 * dataset_coco.c - COCO's JSON: images, annotations, categories.
 *
 * Pictures stand in the order of their ids, since COCO's measure breaks ties
 * in that order.
 */
#include "data/dataset.h"

#include "base/file.h"

#include <stdlib.h>
#include <string.h>

#if OC_HAVE_JANSSON
#include <jansson.h>

typedef struct picture {
    int64_t id;
    const char *file;
    size_t first, count; /* truths */
} picture;

typedef struct mark {
    size_t picture, order;
    oc_truth t;
} mark;

#define PLACES 9

typedef struct reader {
    oc_dataset *d;
    const char *dir;
    const char *places[PLACES]; /* folders in which pictures may lie */
    picture *pictures;
    size_t n;
    mark *marks;
    size_t n_marks;
    oc_error *err;
} reader;

static int by_id(const void *a, const void *b) {
    int64_t x = ((const picture *)a)->id, y = ((const picture *)b)->id;
    return x < y ? -1 : x > y;
}

static int by_picture(const void *a, const void *b) {
    const mark *x = a, *y = b;
    if (x->picture != y->picture) return x->picture < y->picture ? -1 : 1;
    return x->order < y->order ? -1 : x->order > y->order;
}

static oc_status bad(const reader *r, const char *list, size_t i,
                     const char *why) {
    return oc__fail(r->err, OC_E_FORMAT, "\"%s\" item %zu %s", list, i, why);
}

static oc_status read_categories(reader *r, const json_t *root) {
    const json_t *list = json_object_get(root, "categories");
    size_t n = json_array_size(list);
    for (size_t i = 0; i < n; i++) {
        const json_t *j = json_array_get(list, i);
        const json_t *id = json_object_get(j, "id");
        const char *name = json_string_value(json_object_get(j, "name"));
        if (!json_is_integer(id) || !name)
            return bad(r, "categories", i, "has no id or no name");
        OC_TRY(
            oc__dataset_add_class(r->d, name, json_integer_value(id), r->err));
    }
    if (!n) return oc__fail(r->err, OC_E_FORMAT, "there are no \"categories\"");
    return OC_OK;
}

static oc_status read_images(reader *r, const json_t *root) {
    const json_t *list = json_object_get(root, "images");
    r->n = json_array_size(list);
    r->pictures = oc__arena_array(&r->d->arena, r->n + 1, sizeof *r->pictures);
    if (!r->pictures) return oc__fail_nomem(r->err);
    for (size_t i = 0; i < r->n; i++) {
        const json_t *j = json_array_get(list, i);
        const json_t *id = json_object_get(j, "id");
        const char *file = json_string_value(json_object_get(j, "file_name"));
        if (!json_is_integer(id) || !file || !*file)
            return bad(r, "images", i, "has no id or no file_name");
        if (*file == '/' || strstr(file, "../"))
            return bad(r, "images", i, "names a file outside the data set");
        r->pictures[i].id = json_integer_value(id);
        r->pictures[i].file = oc__arena_strdup(&r->d->arena, file);
        if (!r->pictures[i].file) return oc__fail_nomem(r->err);
    }
    if (r->n) qsort(r->pictures, r->n, sizeof *r->pictures, by_id);
    for (size_t i = 1; i < r->n; i++) {
        if (r->pictures[i].id == r->pictures[i - 1].id)
            return oc__fail(r->err, OC_E_FORMAT,
                            "two \"images\" have the id %lld",
                            (long long)r->pictures[i].id);
    }
    return OC_OK;
}

static int class_of(const oc_dataset *d, int64_t id) {
    for (size_t i = 0; i < d->n_classes; i++) {
        if (d->class_ids[i] == id) return (int)i;
    }
    return -1;
}

static oc_status read_annotation(reader *r, const json_t *j, size_t i) {
    const json_t *image = json_object_get(j, "image_id");
    const json_t *category = json_object_get(j, "category_id");
    const json_t *box = json_object_get(j, "bbox");
    const json_t *area = json_object_get(j, "area");
    const json_t *id = json_object_get(j, "id");
    const json_t *crowd = json_object_get(j, "iscrowd");
    mark *m = &r->marks[r->n_marks];
    if (!json_is_integer(image) || !json_is_integer(category))
        return bad(r, "annotations", i, "has no image_id or no category_id");
    if (json_array_size(box) != 4)
        return bad(r, "annotations", i, "has no bbox of four numbers");
    picture key = {0};
    key.id = json_integer_value(image);
    const picture *p =
        r->n ? bsearch(&key, r->pictures, r->n, sizeof key, by_id) : NULL;
    if (!p) return OC_OK; /* of a picture that is not in this part */
    m->picture = (size_t)(p - r->pictures);
    m->order = i;
    m->t.category = class_of(r->d, json_integer_value(category));
    if (m->t.category < 0)
        return bad(r, "annotations", i, "has an unknown category_id");
    for (size_t k = 0; k < 4; k++) {
        if (!json_is_number(json_array_get(box, k)))
            return bad(r, "annotations", i, "has no bbox of four numbers");
        m->t.box[k] = json_number_value(json_array_get(box, k));
    }
    m->t.area = json_is_number(area) ? json_number_value(area)
                                     : m->t.box[2] * m->t.box[3];
    m->t.id = json_is_integer(id) ? json_integer_value(id) : (int64_t)i + 1;
    m->t.crowd = json_is_true(crowd) || json_integer_value(crowd) != 0;
    r->n_marks++;
    return OC_OK;
}

static oc_status read_annotations(reader *r, const json_t *root) {
    const json_t *list = json_object_get(root, "annotations");
    size_t n = json_array_size(list);
    r->marks = oc__arena_array(&r->d->arena, n + 1, sizeof *r->marks);
    if (!r->marks) return oc__fail_nomem(r->err);
    for (size_t i = 0; i < n; i++) {
        OC_TRY(read_annotation(r, json_array_get(list, i), i));
    }
    if (r->n_marks) qsort(r->marks, r->n_marks, sizeof *r->marks, by_picture);
    return OC_OK;
}

/* Where pictures of COCO-like sets lie, the likeliest first. */
static oc_status find_places(reader *r, const char *split) {
    oc__arena *arena = &r->d->arena;
    if (!split) split = "val";
    const char *places[PLACES] = {
        oc__arena_printf(arena, "%s/images/%s", r->dir, split),
        oc__path_join(r->d, r->dir, "images"),
        oc__path_join(r->d, r->dir, split),
        oc__arena_printf(arena, "%s/%s2017", r->dir, split),
        oc__arena_printf(arena, "%s/images/%s2017", r->dir, split),
        r->dir,
        oc__path_join(r->d, r->dir, ".."),
        oc__arena_printf(arena, "%s/../images/%s", r->dir, split),
        oc__path_join(r->d, r->dir, "../images"),
    };
    for (size_t i = 0; i < PLACES; i++) {
        if (!places[i]) return oc__fail_nomem(r->err);
        r->places[i] = places[i];
    }
    return OC_OK;
}

static const char *picture_folder(const reader *r, const char *file) {
    for (size_t i = 0; i < PLACES; i++) {
        if (oc__has(r->places[i], file, 2)) return r->places[i];
    }
    return NULL;
}

static oc_status fill(reader *r) {
    size_t at = 0;
    for (size_t i = 0; i < r->n; i++) {
        oc_sample s = {0};
        const char *folder = picture_folder(r, r->pictures[i].file);
        if (!folder)
            return oc__fail(r->err, OC_E_FORMAT,
                            "\"images\": %.200s is nowhere in or below %.200s",
                            r->pictures[i].file, r->dir);
        size_t first = at;
        while (at < r->n_marks && r->marks[at].picture == i)
            at++;
        oc_truth *truths =
            oc__arena_array(&r->d->arena, at - first + 1, sizeof *truths);
        s.picture = oc__path_join(r->d, folder, r->pictures[i].file);
        if (!truths || !s.picture) return oc__fail_nomem(r->err);
        for (size_t k = first; k < at; k++) {
            truths[k - first] = r->marks[k].t;
        }
        s.id = r->pictures[i].id;
        s.truths = truths;
        s.truth_count = (int)(at - first);
        OC_TRY(oc__dataset_add(r->d, &s, r->err));
    }
    return OC_OK;
}

oc_status oc__dataset_coco_text(oc_dataset *d, const char *dir,
                                const char *text, size_t bytes,
                                const char *split, oc_error *err) {
    json_error_t where;
    reader r = {0};
    r.d = d;
    r.dir = dir;
    r.err = err;
    json_t *root = json_loadb(text, bytes, 0, &where);
    if (!root)
        return oc__fail_at(err, OC_E_FORMAT, where.position,
                           "it is not JSON: %.100s (line %d)", where.text,
                           where.line);
    oc_status st = read_categories(&r, root);
    if (!st) st = read_images(&r, root);
    if (!st) st = read_annotations(&r, root);
    if (!st) st = find_places(&r, split);
    if (!st) st = fill(&r);
    json_decref(root);
    return st;
}

oc_status oc__dataset_coco(oc_dataset *d, const char *dir, const char *json,
                           const char *split, oc_error *err) {
    oc__file file = {0};
    OC_TRY(oc__file_map(&file, json, OC_MAX_COCO, err));
    const char *text = file.bytes ? (const char *)file.data : "";
    oc_status st = oc__dataset_coco_text(d, dir, text, file.bytes, split, err);
    oc__file_unmap(&file);
    if (st) oc__error_prefix(err, json);
    return st;
}

#else

oc_status oc__dataset_coco_text(oc_dataset *d, const char *dir,
                                const char *text, size_t bytes,
                                const char *split, oc_error *err) {
    (void)d, (void)dir, (void)text, (void)bytes, (void)split;
    return oc__fail(err, OC_E_UNSUPPORTED, "this build reads no JSON");
}

oc_status oc__dataset_coco(oc_dataset *d, const char *dir, const char *json,
                           const char *split, oc_error *err) {
    (void)d, (void)dir, (void)split;
    return oc__fail(err, OC_E_UNSUPPORTED,
                    "%.200s: this build reads no JSON, it was made without "
                    "jansson",
                    json);
}

#endif
