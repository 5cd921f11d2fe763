/*
 * fuzz_dataset.c - any bytes as the annotations of a data set.  The first one
 * says which kind: Pascal VOC's XML, or COCO's JSON.
 */
#include "data/dataset.h"
#include "data/voc_xml.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int ok) {
    if (!ok) abort();
}

static void read_voc(const char *text, size_t size, oc_error *err) {
    static oc__voc_object objects[OC_VOC_OBJECTS];
    oc__voc_page page = {objects, 0, ""};
    if (oc__voc_read(&page, text, size, err)) {
        check(err->message[0] != 0);
        return;
    }
    check(page.n <= OC_VOC_OBJECTS);
    check(memchr(page.file, 0, sizeof(page.file)) != NULL);
    for (size_t i = 0; i < page.n; i++) {
        const oc__voc_object *o = &objects[i];
        check(o->name[0] && memchr(o->name, 0, sizeof(o->name)));
        check(o->sides == 15);
    }
}

/* Pictures lie in the project's folder, if they are there at all. */
static void read_coco(const char *text, size_t size, oc_error *err) {
    oc_dataset d = {0};
    d.allocator = oc__default_allocator;
    oc__arena_init(&d.arena, &d.allocator);
    if (oc__dataset_coco_text(&d, ".", text, size, NULL, err)) {
        check(err->message[0] != 0);
    } else {
        for (int i = 0; i < oc_dataset_count(&d); i++) {
            const oc_sample *s = oc_dataset_sample(&d, i);
            check(s->picture && s->truth_count >= 0);
            for (int k = 0; k < s->truth_count; k++) {
                int c = s->truths[k].category;
                check(c >= 0 && c < oc_dataset_class_count(&d));
            }
        }
    }
    oc__arena_deinit(&d.arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    oc_error err;
    memset(&err, 0, sizeof(err));
    if (!size || size > 1 << 16) return 0;
    const char *text = (const char *)data + 1;
    if (data[0] % 2)
        read_voc(text, size - 1, &err);
    else
        read_coco(text, size - 1, &err);
    return 0;
}
