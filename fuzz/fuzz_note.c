/*
 * fuzz_note.c - any bytes as the recipe and position in a checkpoint.  What is
 * taken is written again, and read again gives the same.
 */
#include "train/fit.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char checkpoint[] = "a.ckpt";

static void begin(oc_training *f) {
    memset(f, 0, sizeof *f);
    f->allocator = oc__default_allocator;
    f->checkpoint = checkpoint;
    oc__arena_init(&f->arena, &f->allocator);
}

static void check(const oc_training *f) {
    const oc_training_options *o = &f->opt;
    if (o->width > 1 << 14 || o->height > 1 << 14 || o->batch < -1 ||
        (unsigned)o->optimizer > OC_OPTIMIZER_ADAMW ||
        (unsigned)o->criterion > OC_CRITERION_KL ||
        (unsigned)o->schedule > OC_SCHEDULE_CONSTANT ||
        (unsigned)o->freeze > OC_TRAIN_HEAD_ONLY || f->place.epoch < 0 ||
        f->place.step < 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    oc_training *one = malloc(sizeof *one), *two = malloc(sizeof *two);
    oc__note note = {(const char *)data, size}, out, again;
    oc_error err = {0};
    if (!one || !two) abort();
    begin(one);
    begin(two);
    if (size > 1 << 16) {
        /* Nothing is found there that is not found in less. */
    } else if (oc__fit_read_note(one, &note, &err)) {
        if (!err.message[0]) abort();
    } else {
        check(one);
        if (oc__fit_write_note(one, &out, 1, &err) ||
            oc__fit_read_note(two, &out, &err) ||
            oc__fit_write_note(two, &again, 1, &err))
            abort();
        if (out.bytes != again.bytes ||
            memcmp(out.data, again.data, out.bytes) != 0)
            abort();
    }
    oc__arena_deinit(&one->arena);
    oc__arena_deinit(&two->arena);
    free(one);
    free(two);
    return 0;
}
