/*
 * dataset_voc.c - Pascal VOC: Annotations/1.xml, JPEGImages/1.jpg, and
 * ImageSets/Main/val.txt with the names of a part.
 *
 * Of XML this needs elements with text, no more: a scanner that walks the
 * tags in order and knows where it is.  Nothing is recursive.
 */
#include "data/dataset.h"

#include "base/file.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_OBJECTS 4096

typedef struct object {
    char name[128];
    double box[4]; /* x1, y1, x2, y2 */
    int seen;      /* bits of the sides */
    int difficult;
} object;

typedef struct scan {
    object *objects;
    size_t n;
    int depth;     /* of open elements */
    int at_object; /* depth of the open <object>, 0 without */
    int at_part;   /* depth of a <part> in it, which has boxes of its own */
    char file[256];
} scan;

static void copy_text(char *to, size_t room, const char *from, size_t n) {
    n = OC_MIN(n, room - 1);
    memcpy(to, from, n);
    to[n] = 0;
}

/* An element's text has been read. */
static void take_text(scan *s, const char *tag, const char *text, size_t n) {
    static const char *const sides[] = {"xmin", "ymin", "xmax", "ymax"};
    char value[64];
    copy_text(value, sizeof value, text, n);
    if (!s->at_object) {
        if (!strcmp(tag, "filename"))
            copy_text(s->file, sizeof s->file, text, n);
        return;
    }
    if (s->at_part) return;
    object *o = &s->objects[s->n];
    if (!strcmp(tag, "name")) copy_text(o->name, sizeof o->name, text, n);
    if (!strcmp(tag, "difficult")) o->difficult = atoi(value) != 0;
    for (int k = 0; k < 4; k++) {
        if (strcmp(tag, sides[k]) != 0) continue;
        o->box[k] = strtod(value, NULL);
        o->seen |= 1 << k;
    }
}

static oc_status open_tag(scan *s, const char *tag, oc_error *err) {
    if (++s->depth > 32)
        return oc__fail(err, OC_E_LIMIT, "elements lie too deep");
    if (!strcmp(tag, "object") && !s->at_object) {
        if (s->n + 1 >= MAX_OBJECTS)
            return oc__fail(err, OC_E_LIMIT, "there are more than %d objects",
                            MAX_OBJECTS);
        s->at_object = s->depth;
        memset(&s->objects[s->n], 0, sizeof *s->objects);
    }
    if (!strcmp(tag, "part") && s->at_object && !s->at_part)
        s->at_part = s->depth;
    return OC_OK;
}

static oc_status close_tag(scan *s, oc_error *err) {
    if (s->depth == s->at_part) s->at_part = 0;
    if (s->depth == s->at_object && s->at_object) {
        const object *o = &s->objects[s->n];
        if (!*o->name || o->seen != 15 || !isfinite(o->box[0]) ||
            !isfinite(o->box[1]) || !isfinite(o->box[2]) ||
            !isfinite(o->box[3]))
            return oc__fail(err, OC_E_FORMAT,
                            "object %zu has no name or no bndbox", s->n);
        s->at_object = 0;
        s->n++;
    }
    if (--s->depth < 0)
        return oc__fail(err, OC_E_FORMAT, "an element ends that never began");
    return OC_OK;
}

/* Walks the tags of text[0..n). */
static oc_status scan_xml(scan *s, const char *text, size_t n, oc_error *err) {
    char tag[64] = "";
    size_t text_from = 0;
    for (size_t i = 0; i < n; i++) {
        if (text[i] != '<') continue;
        const char *end = memchr(text + i, '>', n - i);
        if (!end) return oc__fail(err, OC_E_FORMAT, "a tag does not end");
        size_t from = i + 1, to = (size_t)(end - text);
        if (from < to && (text[from] == '?' || text[from] == '!')) {
            i = to;
            continue;
        }
        if (from < to && text[from] == '/') {
            if (text_from) take_text(s, tag, text + text_from, i - text_from);
            text_from = 0;
            OC_TRY(close_tag(s, err));
        } else {
            size_t len = 0;
            while (from + len < to && !strchr(" \t\r\n/", text[from + len]))
                len++;
            copy_text(tag, sizeof tag, text + from, len);
            OC_TRY(open_tag(s, tag, err));
            text_from = to + 1;
            if (text[to - 1] == '/') {
                text_from = 0;
                OC_TRY(close_tag(s, err));
            }
        }
        i = to;
    }
    return s->depth ? oc__fail(err, OC_E_FORMAT, "it ends too soon") : OC_OK;
}

/* ---- into the data set ----------------------------------------------------
 */

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

static oc_status add_sample(oc_dataset *d, const char *dir, const char *stem,
                            const scan *s, oc_error *err) {
    static const char *const endings[] = {".jpg", ".jpeg", ".png",
                                          ".JPG", ".PNG",  ".bmp"};
    oc_sample sample = {0};
    oc_truth *truths = oc__arena_array(&d->arena, s->n + 1, sizeof *truths);
    if (!truths) return oc__fail_nomem(err);
    for (size_t i = 0; i < OC_COUNT(endings) && !sample.picture; i++) {
        char *path = oc__arena_printf(&d->arena, "%s/JPEGImages/%s%s", dir,
                                      stem, endings[i]);
        if (!path) return oc__fail_nomem(err);
        if (oc__path_kind(path) == 2) sample.picture = path;
    }
    if (!sample.picture)
        return oc__fail(err, OC_E_FORMAT, "there is no picture for %.100s",
                        stem);
    for (size_t i = 0; i < s->n; i++) {
        const object *o = &s->objects[i];
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
    sample.truth_count = (int)s->n;
    return oc__dataset_add(d, &sample, err);
}

typedef struct voc {
    const char *dir;
    object *objects;
} voc;

static oc_status add_one(oc_dataset *d, char *line, void *ctx, oc_error *err) {
    const voc *v = ctx;
    oc__file file = {0};
    scan s = {0};
    s.objects = v->objects;
    /* Lists for one class have "name 1" and "name -1". */
    line[strcspn(line, " \t")] = 0;
    char *path =
        oc__arena_printf(&d->arena, "%s/Annotations/%s.xml", v->dir, line);
    if (!path) return oc__fail_nomem(err);
    OC_TRY(oc__file_map(&file, path, OC_MAX_LIST, err));
    oc_status st = scan_xml(&s, (const char *)file.data, file.bytes, err);
    oc__file_unmap(&file);
    if (!st) st = add_sample(d, v->dir, line, &s, err);
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
    voc v = {dir, NULL};
    v.objects = oc__arena_array(&d->arena, MAX_OBJECTS, sizeof *v.objects);
    if (!v.objects) return oc__fail_nomem(err);
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
