/*
 * fuzz_words.c - any bytes as a language.  What is accepted must describe a
 * scene, in UTF-8; what is not is refused with a sentence.
 */
#include "words/locale.h"

#include "base/unicode.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(const char *s) {
    const char *end = s + strlen(s);
    while (s < end) {
        const char *before = s;
        uint32_t c = oc__utf8_next(&s, end);
        if (c == OC_UNICODE_BAD && s - before == 1) abort();
        if (c < 0x20 && c != '\t' && c != '\r') abort();
    }
}

/* A handful of things in all places, an area, a label. */
static void describe(const oc_words *w) {
    static const char *const names[] = {"bus",  "person", "person", "tie",
                                        "dent", "dent",   "knife"};
    oc_object objects[7];
    oc_result r[2];
    oc_class_share share = {"road", 1, .5};
    oc_label label = {"bus", 5, .4f};
    oc_scene scene;
    oc_description d;
    memset(objects, 0, sizeof objects);
    memset(r, 0, sizeof r);
    for (int i = 0; i < 7; i++) {
        float x = 80 * (float)i;
        objects[i].label = names[i];
        objects[i].score = i == 6 ? .4f : .9f;
        objects[i].box[0] = x;
        objects[i].box[1] = 100;
        objects[i].box[2] = x + 100;
        objects[i].box[3] = 200 + x / 4;
    }
    r[0].width = r[1].width = 640;
    r[0].height = r[1].height = 480;
    r[0].object_count = 7;
    r[0].objects = objects;
    r[1].class_count = r[1].label_count = 1;
    r[1].classes = &share;
    r[1].labels = &label;
    if (oc_scene_init(&scene, r, 2, NULL, NULL, NULL)) abort();
    if (oc_describe(&d, w, &scene, NULL, NULL)) abort();
    check_text(d.brief);
    check_text(d.full);
    oc_description_deinit(&d);
    oc_scene_deinit(&scene);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    oc_words *w;
    oc_error err;
    if (size > 1 << 16) return 0;
    memset(&err, 0, sizeof err);
    if (oc_words_parse(&w, (const char *)data, size, NULL, &err)) {
        if (!err.message[0]) abort(); /* every failure has its sentence */
        return 0;
    }
    describe(w);
    for (int64_t n = -1; n < 130; n++) {
        if (!oc_words_plural(w, n)) abort();
    }
    oc_words_destroy(w);
    return 0;
}
