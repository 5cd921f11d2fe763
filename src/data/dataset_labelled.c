/*
 * dataset_labelled.c - what training learns from, to be measured on: classes
 * in classes, tables; see labelled.h.
 */
#include "data/dataset.h"

#include "data/labelled_build.h"

/* The part that was asked for, or that is meant for this; COUNT: all. */
static oc__part part_of(const oc__labelled *l, const char *split) {
    static const oc__part usual[] = {OC_PART_VAL, OC_PART_TEST};
    if (split) return oc__part_of_name(split);
    for (size_t i = 0; i < OC_COUNT(usual); i++)
        if (oc__labelled_count(l, usual[i])) return usual[i];
    return OC_PART_COUNT;
}

static oc_status add(oc_dataset *d, const oc__labelled_picture *p,
                     oc_error *err) {
    oc_sample s = {.label = p->label, .id = (int64_t)d->n};
    s.picture = oc__arena_strdup(&d->arena, p->path);
    if (!s.picture) return oc__fail_nomem(err);
    if (d->multi && p->n_labels) {
        int *labels =
            oc__arena_array(&d->arena, (size_t)p->n_labels, sizeof *labels);
        if (!labels) return oc__fail_nomem(err);
        for (int i = 0; i < p->n_labels; i++)
            labels[i] = p->labels[i];
        s.labels = labels;
        s.label_count = p->n_labels;
    }
    return oc__dataset_add(d, &s, err);
}

static oc_status take(oc_dataset *d, const oc__labelled *l, oc__part part,
                      oc_error *err) {
    d->multi = l->multi;
    for (int i = 0; i < l->n_classes; i++)
        OC_TRY(oc__dataset_add_class(d, l->classes[i], i, err));
    for (int i = 0; i < l->n; i++)
        if (part == OC_PART_COUNT || l->pictures[i].part == part)
            OC_TRY(add(d, &l->pictures[i], err));
    /* Who opens these is told why they cannot be used. */
    for (int i = 0; i < l->n_bad; i++) {
        oc__labelled_picture p = {.path = l->bad[i].path, .label = -1};
        if (part == OC_PART_COUNT || l->bad[i].part == part)
            OC_TRY(add(d, &p, err));
    }
    return OC_OK;
}

oc_status oc__dataset_labelled(oc_dataset *d, const char *dir,
                               const char *split, oc_error *err) {
    oc__labelled_options opt = {.may_be_one = 1, .allocator = &d->allocator};
    oc__labelled *l;
    OC_TRY(oc__labelled_open(&l, dir, &opt, err));
    oc_status st = take(d, l, part_of(l, split), err);
    oc__labelled_destroy(l);
    return st;
}
