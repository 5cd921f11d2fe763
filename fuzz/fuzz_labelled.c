/*
 * fuzz_labelled.c - any bytes as a table of pictures and labels, and as a
 * recipe of augmentation.  The first byte says which, and whether classes are
 * known already.
 */
#include "data/augment.h"
#include "data/labelled_build.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int ok) {
    if (!ok) abort();
}

static void check_pictures(const oc__labelled *l) {
    int counted = 0;
    for (int i = 0; i < l->n; i++) {
        const oc__labelled_picture *p = &l->pictures[i];
        check(p->path && p->n_labels >= 0 && p->part < OC_PART_COUNT);
        check(l->multi || p->n_labels == 1);
        check(i >= l->first[p->part] && i < l->first[p->part + 1]);
        for (int k = 0; k < p->n_labels; k++) {
            check(p->labels[k] >= 0 && p->labels[k] < l->n_classes);
            check(!k || p->labels[k] > p->labels[k - 1]);
        }
        counted += p->n_labels;
    }
    for (int part = 0; part < OC_PART_COUNT; part++) {
        for (int c = 0; c < l->n_classes; c++)
            counted -= l->counts[part][c];
    }
    check(counted == 0 && l->first[OC_PART_COUNT] == l->n);
}

static void read_table(const char *bytes, size_t size, int known,
                       oc_error *err) {
    static const char *const names[] = {"red", "0", "big, blue"};
    oc__labelled_options opt = {0};
    oc__labelled l = {0};
    oc__builder b;
    l.allocator = oc__default_allocator;
    if (known) opt.known = names, opt.n_known = 3;
    opt.may_be_one = known;
    oc_status st = oc__builder_init(&b, &l, &opt, err);
    b.no_files = 1;
    char *text = oc__arena_strndup(&b.walk.arena, bytes, size);
    if (!st && text)
        st = oc__labelled_table_text(&b, "dir", "dir/labels.csv", text,
                                     OC_PART_TRAIN, err);
    if (!st) st = oc__builder_finish(&b, "dir", err);
    if (st)
        check(err->message[0] != 0);
    else
        check_pictures(&l);
    oc__arena_deinit(&b.walk.arena);
}

static void read_recipe(const char *bytes, size_t size, oc_error *err) {
    oc__augment a = {0}, again = {0};
    char text[200], one[512], two[512];
    size = OC_MIN(size, sizeof text - 1);
    memcpy(text, bytes, size);
    text[size] = 0;
    if (oc__augment_parse(&a, text, err)) {
        check(err->message[0] != 0);
        return;
    }
    oc__augment_describe(&a, one, sizeof one);
    check(!oc__augment_parse(&again, one, err));
    oc__augment_describe(&again, two, sizeof two);
    check(!strcmp(one, two));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    oc_error err;
    memset(&err, 0, sizeof(err));
    if (!size || size > 1 << 16) return 0;
    const char *text = (const char *)data + 1;
    if (data[0] % 4 == 3)
        read_recipe(text, size - 1, &err);
    else
        read_table(text, size - 1, data[0] % 4 == 1, &err);
    return 0;
}
