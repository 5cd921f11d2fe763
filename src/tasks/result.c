/* result.c - what a result owns. */
#include "tasks/vision_private.h"

#include <string.h>

oc_status oc__result_init(oc_result *r, const oc_vision *v, oc_error *err) {
    memset(r, 0, sizeof *r);
    oc__owned *o = oc__calloc(&v->allocator, 1, sizeof *o);
    if (!o) return oc__fail_nomem(err);
    o->allocator = v->allocator;
    oc__arena_init(&o->arena, &o->allocator);
    r->owned = o;
    r->task = (oc_task)v->card->task;
    return OC_OK;
}

const oc_allocator *oc__result_allocator(const oc_result *r) {
    const oc__owned *o = r->owned;
    return &o->allocator;
}

void *oc__result_alloc(oc_result *r, size_t count, size_t bytes) {
    oc__owned *o = r->owned;
    return oc__arena_array(&o->arena, count, bytes);
}

void oc_result_deinit(oc_result *r) {
    if (!r) return;
    oc_image_deinit(&r->mask);
    oc_image_deinit(&r->image);
    oc__owned *o = r->owned;
    if (o) {
        oc_allocator a = o->allocator;
        oc__arena_deinit(&o->arena);
        oc__release(&a, o, sizeof *o);
    }
    memset(r, 0, sizeof *r);
}

const char *oc__vision_label(const oc_vision *v, int64_t i) {
    return i >= 0 && i < v->card->labels.n ? v->card->labels.v[i] : "";
}
