/* labelled_build.c - see labelled_build.h. */
#include "data/labelled_build.h"

#include "base/ascii.h"
#include "base/rng.h"
#include "base/sort.h"
#include "base/xxh64.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_CLASSES = 1 << 20, MAX_BAD = 1 << 20 };

void *oc__builder_room(oc__builder *b, void *list, size_t n, size_t *cap,
                       size_t size) {
    if (n < *cap) return list;
    size_t more = *cap ? 2 * *cap : 64;
    void *p = oc__arena_array(&b->walk.arena, more, size);
    if (!p) return NULL;
    if (n) memcpy(p, list, n * size);
    *cap = more;
    return p;
}

oc_status oc__builder_init(oc__builder *b, oc__labelled *l,
                           const oc__labelled_options *opt, oc_error *err) {
    memset(b, 0, sizeof *b);
    b->l = l;
    b->opt = opt;
    b->walk.allocator = l->allocator;
    oc__arena_init(&b->walk.arena, &l->allocator);
    for (int i = 0; i < opt->n_known; i++) {
        int32_t at;
        const char *name = opt->known[i] ? opt->known[i] : "";
        OC_TRY(oc__builder_name(b, name, strlen(name), &at, err));
        if (at != i)
            return oc__fail(err, OC_E_ARG,
                            "the model has two classes of the name \"%.100s\"",
                            name);
    }
    return OC_OK;
}

/* ---- names ----------------------------------------------------------------
 */

static oc_status grow_slots(oc__builder *b, oc_error *err) {
    size_t n = b->n_slots ? 2 * b->n_slots : 256;
    int32_t *slots = oc__arena_array(&b->walk.arena, n, sizeof *slots);
    if (!slots) return oc__fail_nomem(err);
    memset(slots, 0xff, n * sizeof *slots);
    for (size_t i = 0; i < b->n_names; i++) {
        const char *text = b->names[i].text;
        size_t at = (size_t)oc__xxh64(text, strlen(text), 0) & (n - 1);
        while (slots[at] >= 0)
            at = (at + 1) & (n - 1);
        slots[at] = (int32_t)i;
    }
    b->slots = slots;
    b->n_slots = n;
    return OC_OK;
}

oc_status oc__builder_name(oc__builder *b, const char *text, size_t n,
                           int32_t *out, oc_error *err) {
    if (2 * b->n_names >= b->n_slots) OC_TRY(grow_slots(b, err));
    size_t at = (size_t)oc__xxh64(text, n, 0) & (b->n_slots - 1);
    for (; b->slots[at] >= 0; at = (at + 1) & (b->n_slots - 1)) {
        const char *have = b->names[b->slots[at]].text;
        if (strlen(have) == n && !memcmp(have, text, n)) {
            *out = b->slots[at];
            return OC_OK;
        }
    }
    if (b->n_names >= MAX_CLASSES)
        return oc__fail(err, OC_E_LIMIT, "there are more than %d classes",
                        MAX_CLASSES);
    oc__label_name *v =
        oc__builder_room(b, b->names, b->n_names, &b->cap_names, sizeof *v);
    char *copy = oc__arena_strndup(&b->walk.arena, text, n);
    if (!v || !copy) return oc__fail_nomem(err);
    b->names = v;
    v[b->n_names] = (oc__label_name){.text = copy, .index = -1};
    *out = b->slots[at] = (int32_t)b->n_names++;
    return OC_OK;
}

/* ---- pictures -------------------------------------------------------------
 */

oc_status oc__builder_label(oc__builder *b, int32_t name, oc_error *err) {
    int32_t *v =
        oc__builder_room(b, b->labels, b->n_labels, &b->cap_labels, sizeof *v);
    if (!v) return oc__fail_nomem(err);
    b->labels = v;
    v[b->n_labels++] = name;
    return OC_OK;
}

oc_status oc__builder_bad(oc__builder *b, const oc__found *f, const char *why,
                          oc_error *err) {
    oc__labelled *l = b->l;
    if (l->n_bad >= MAX_BAD) return OC_OK; /* enough to see what is wrong */
    oc__bad_picture *v =
        oc__builder_room(b, l->bad, (size_t)l->n_bad, &b->cap_bad, sizeof *v);
    char *copy = oc__arena_strdup(&b->walk.arena, why);
    if (!v || !copy) return oc__fail_nomem(err);
    l->bad = v;
    v[l->n_bad++] = (oc__bad_picture){f->path, copy, f->part};
    return OC_OK;
}

oc_status oc__builder_add(oc__builder *b, oc__found *f, oc_error *err) {
    f->first = b->n_labels - (size_t)f->n_labels;
    for (int i = 0; i < f->n_labels; i++) {
        oc__label_name *name = &b->names[b->labels[f->first + (size_t)i]];
        if (f->bytes)
            name->pictures++;
        else
            name->empty++;
    }
    if (!f->bytes) {
        b->n_labels = f->first;
        return oc__builder_bad(b, f, "the file is empty (0 bytes)", err);
    }
    if (b->n >= OC_MAX_SAMPLES)
        return oc__fail(err, OC_E_LIMIT, "more than %d pictures",
                        OC_MAX_SAMPLES);
    oc__found *v = oc__builder_room(b, b->found, b->n, &b->cap, sizeof *v);
    if (!v) return oc__fail_nomem(err);
    b->found = v;
    v[b->n++] = *f;
    return OC_OK;
}

/* ---- order ----------------------------------------------------------------
 */

static int by_path(const void *pa, const void *pb) {
    const oc__found *a = pa, *b = pb;
    int c = strcmp(a->path, b->path);
    return c ? c : (a->line > b->line) - (a->line < b->line);
}

static int by_part(const void *pa, const void *pb) {
    const oc__labelled_picture *a = pa, *b = pb;
    if (a->part != b->part) return a->part < b->part ? -1 : 1;
    return strcmp(a->path, b->path);
}

static int by_number(const void *pa, const void *pb) {
    int32_t a = *(const int32_t *)pa, b = *(const int32_t *)pb;
    return (a > b) - (a < b);
}

/* Numbers stand before other names, in their own order: 2 before 10. */
static int by_name(const void *pa, const void *pb) {
    const char *a = (*(oc__label_name *const *)pa)->text;
    const char *b = (*(oc__label_name *const *)pb)->text;
    size_t na = strspn(a, "0123456789"), nb = strspn(b, "0123456789");
    int ia = na && !a[na] && (a[0] != '0' || na == 1);
    int ib = nb && !b[nb] && (b[0] != '0' || nb == 1);
    if (ia != ib) return ib - ia;
    if (ia && na != nb) return na < nb ? -1 : 1;
    return strcmp(a, b);
}

/* Known classes keep their places, new ones follow; names nobody uses are no
   classes. */
static oc_status number_classes(oc__builder *b, oc_error *err) {
    oc__labelled *l = b->l;
    size_t known = (size_t)b->opt->n_known, n = known;
    oc__label_name **order =
        oc__arena_array(&b->walk.arena, b->n_names + 1, sizeof *order);
    const char **classes =
        oc__arena_array(&b->walk.arena, b->n_names + 1, sizeof *classes);
    if (!order || !classes) return oc__fail_nomem(err);
    for (size_t i = 0; i < known; i++)
        order[i] = &b->names[i];
    for (size_t i = known; i < b->n_names; i++) {
        oc__label_name *name = &b->names[i];
        if (!name->pictures && name->empty)
            return oc__fail(err, OC_E_FORMAT,
                            "all %lld pictures of the class \"%.100s\" are "
                            "empty files",
                            (long long)name->empty, name->text);
        if (!name->pictures && b->columns)
            return oc__fail(err, OC_E_FORMAT,
                            "no picture has the label \"%.100s\": take its "
                            "column out or label pictures",
                            name->text);
        if (!name->pictures) continue;
        if (b->opt->closed)
            return oc__fail(err, OC_E_FORMAT,
                            "the class \"%.100s\" is none of the %d of the "
                            "model",
                            name->text, b->opt->n_known);
        order[n++] = name;
    }
    if (n > known) qsort(order + known, n - known, sizeof *order, by_name);
    for (size_t i = 0; i < n; i++) {
        order[i]->index = (int32_t)i;
        classes[i] = order[i]->text;
    }
    l->classes = classes;
    l->n_classes = (int)n;
    return OC_OK;
}

static int same_labels(const oc__labelled_picture *a,
                       const oc__labelled_picture *b) {
    return a->n_labels == b->n_labels &&
           (!a->n_labels || !memcmp(a->labels, b->labels,
                                    (size_t)a->n_labels * sizeof *a->labels));
}

/* Labels of a picture as indices, ascending, each once. */
static void take_labels(oc__builder *b, const oc__found *f,
                        oc__labelled_picture *p) {
    int32_t *v = b->labels + f->first;
    int n = 0;
    for (int i = 0; i < f->n_labels; i++)
        v[i] = b->names[v[i]].index;
    if (f->n_labels > 1) qsort(v, (size_t)f->n_labels, sizeof *v, by_number);
    for (int i = 0; i < f->n_labels; i++) {
        if (!n || v[n - 1] != v[i]) v[n++] = v[i];
    }
    *p = (oc__labelled_picture){.path = f->path,
                                .bytes = f->bytes,
                                .label = n ? v[0] : -1,
                                .n_labels = n,
                                .labels = v,
                                .part = f->part};
}

/* From what was found to pictures: a file that stands twice counts once. */
static oc_status take_pictures(oc__builder *b, oc_error *err) {
    oc__labelled *l = b->l;
    l->pictures =
        oc__arena_array(&b->walk.arena, b->n + 1, sizeof *l->pictures);
    /* There may be none at all; nobody should have to think of that. */
    int32_t *labels = oc__builder_room(b, b->labels, b->n_labels,
                                       &b->cap_labels, sizeof *labels);
    if (!l->pictures || !labels) return oc__fail_nomem(err);
    b->labels = labels;
    if (b->n) qsort(b->found, b->n, sizeof *b->found, by_path);
    const oc__found *before = NULL;
    for (size_t i = 0; i < b->n; i++) {
        const oc__found *f = &b->found[i];
        oc__labelled_picture *p = &l->pictures[l->n];
        take_labels(b, f, p);
        l->multi |= p->n_labels > 1;
        if (!before || strcmp(before->path, f->path)) {
            before = f;
            l->n++;
        } else if (p[-1].part != p->part) {
            return oc__fail(err, OC_E_FORMAT,
                            "%.200s is in two parts (line %d): what is learnt "
                            "cannot be measured with it",
                            f->path, f->line);
        } else if (!same_labels(p - 1, p)) {
            return oc__fail(err, OC_E_FORMAT,
                            "%.200s stands there twice with different labels "
                            "(lines %d and %d): write \"a;b\" if it has both",
                            f->path, before->line, f->line);
        }
    }
    l->multi |= b->separators;
    for (int i = 0; i < l->n && !l->multi; i++) {
        if (l->pictures[i].n_labels != 1) l->multi = 1;
    }
    return OC_OK;
}

/* ---- the split ------------------------------------------------------------
 */

/* What a picture is drawn by: name and seed, so that pictures added later move
   few of the others, and the place of the folder does not count. */
static uint64_t draw_of(const oc__builder *b, const oc__labelled_picture *p) {
    const char *name = strrchr(p->path, '/');
    name = name ? name + 1 : p->path;
    uint64_t h = oc__xxh64(name, strlen(name), b->opt->seed);
    return oc__xxh64(p->labels, (size_t)p->n_labels * sizeof *p->labels, h);
}

typedef struct {
    const oc__labelled *l;
    const uint64_t *draw;
} drawn;

static int by_labels_then_draw(const void *ctx, int64_t ia, int64_t ib) {
    const drawn *d = ctx;
    const oc__labelled_picture *a = &d->l->pictures[ia], *b;
    b = &d->l->pictures[ib];
    for (int i = 0; i < a->n_labels && i < b->n_labels; i++) {
        if (a->labels[i] != b->labels[i])
            return a->labels[i] < b->labels[i] ? -1 : 1;
    }
    if (a->n_labels != b->n_labels) return a->n_labels < b->n_labels ? -1 : 1;
    if (d->draw[ia] != d->draw[ib]) return d->draw[ia] < d->draw[ib] ? -1 : 1;
    return 0;
}

/* Single: of each class its share, rounded, one at least of two.  Multi: sets
   of labels are many and small, so every k-th of the pictures in order of
   their sets, which gives each set its share as nearly as it goes. */
static oc_status split(oc__builder *b, oc_error *err) {
    oc__labelled *l = b->l;
    double share = b->opt->val_share > 0 ? b->opt->val_share : 0.15;
    size_t n = (size_t)l->n, room;
    if (share > 0.9) share = 0.9;
    if (oc__size_mul(n, sizeof(uint64_t) + 2 * sizeof(int64_t), &room))
        return oc__fail_nomem(err);
    uint64_t *draw = oc__alloc(&l->allocator, room);
    if (!draw) return oc__fail_nomem(err);
    int64_t *order = (int64_t *)(draw + n), *tmp = order + n;
    drawn d = {l, draw};
    size_t trains = 0;
    for (size_t i = 0; i < n; i++) {
        draw[i] = draw_of(b, &l->pictures[i]);
        if (l->pictures[i].part == OC_PART_TRAIN) order[trains++] = (int64_t)i;
    }
    oc__sort_index(order, tmp, trains, by_labels_then_draw, &d);
    for (size_t i = 0; i < trains;) {
        size_t end = trains, k;
        if (!l->multi) {
            for (end = i + 1; end < trains; end++) {
                if (l->pictures[order[end]].label !=
                    l->pictures[order[i]].label)
                    break;
            }
        }
        size_t size = end - i;
        size_t take = (size_t)floor(share * (double)size + 0.5);
        if (!take && size > 1) take = 1;
        if (take >= size) take = size - 1;
        for (k = 0; k < take; k++) {
            size_t at = l->multi ? k * size / take : k;
            l->pictures[order[i + at]].part = OC_PART_VAL;
        }
        i = end;
    }
    oc__release(&l->allocator, draw, room);
    l->split_made = 1;
    return OC_OK;
}

/* ---- the end --------------------------------------------------------------
 */

static oc_status count(oc__builder *b, oc_error *err) {
    oc__labelled *l = b->l;
    if (l->n) qsort(l->pictures, (size_t)l->n, sizeof *l->pictures, by_part);
    for (int part = 0; part < OC_PART_COUNT; part++) {
        int32_t *counts = oc__arena_array(
            &b->walk.arena, (size_t)l->n_classes + 1, sizeof *counts);
        if (!counts) return oc__fail_nomem(err);
        l->counts[part] = counts;
        l->first[part + 1] = l->first[part];
        for (int i = l->first[part]; i < l->n; i++) {
            const oc__labelled_picture *p = &l->pictures[i];
            if ((int)p->part != part) break;
            l->first[part + 1]++;
            for (int k = 0; k < p->n_labels; k++)
                counts[p->labels[k]]++;
        }
    }
    return OC_OK;
}

/* What cannot be learnt from is said now, not after an hour. */
static oc_status check(const oc__labelled *l, const oc__labelled_options *opt,
                       const char *dir, oc_error *err) {
    if (!l->n && l->n_bad)
        return oc__fail(err, OC_E_FORMAT,
                        "no picture of %.200s can be used: %.100s (%.200s), "
                        "and %d more",
                        dir, l->bad[0].why, l->bad[0].path, l->n_bad - 1);
    if (!l->n)
        return oc__fail(err, OC_E_FORMAT,
                        "%.200s holds no pictures: make a folder for each "
                        "class with its pictures in it, or a labels.csv of "
                        "\"file,label\" lines",
                        dir);
    if (opt->may_be_one) return OC_OK;
    if (l->n == 1)
        return oc__fail(err, OC_E_FORMAT,
                        "%.200s holds one picture only: to learn takes some "
                        "of each class",
                        dir);
    if (l->n_classes < 2 && !l->multi)
        return oc__fail(err, OC_E_FORMAT,
                        "all pictures of %.200s are of one class, \"%.100s\": "
                        "there must be two at least",
                        dir, l->n_classes ? l->classes[0] : "");
    for (int c = opt->n_known; c < l->n_classes; c++) {
        if (!l->counts[OC_PART_TRAIN][c])
            return oc__fail(err, OC_E_FORMAT,
                            "the class \"%.100s\" is in %s but not in train",
                            l->classes[c],
                            l->counts[OC_PART_VAL][c] ? "val" : "test");
    }
    if (!oc__labelled_count(l, OC_PART_TRAIN))
        return oc__fail(err, OC_E_FORMAT,
                        "the train part of %.200s has no pictures", dir);
    if (!oc__labelled_count(l, OC_PART_VAL))
        return oc__fail(err, OC_E_FORMAT,
                        "no picture of %.200s is left to measure with: give "
                        "two of a class at least",
                        dir);
    return OC_OK;
}

oc_status oc__builder_finish(oc__builder *b, const char *dir, oc_error *err) {
    OC_TRY(number_classes(b, err));
    OC_TRY(take_pictures(b, err));
    if (!b->has_part[OC_PART_VAL] && !b->opt->may_be_one) OC_TRY(split(b, err));
    OC_TRY(count(b, err));
    return check(b->l, b->opt, dir, err);
}
