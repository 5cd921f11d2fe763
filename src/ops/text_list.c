/* text_list.c - see text_list.h. */
#include "ops/text_list.h"

#include <assert.h>
#include <string.h>

/* Makes room for `need` bytes in a block of *capacity; the first `used` stay.
 */
static oc_status grow(const oc_allocator *a, void **block, size_t *capacity,
                      size_t used, size_t need, oc_error *err) {
    if (need <= *capacity) return OC_OK;
    size_t bytes = *capacity > SIZE_MAX / 2 ? need : *capacity * 2;
    bytes = OC_MAX(OC_MAX(bytes, need), 256);
    void *p = oc__alloc(a, bytes);
    if (!p) return oc__fail_nomem(err);
    if (used) memcpy(p, *block, used);
    oc__release(a, *block, *capacity);
    *block = p;
    *capacity = bytes;
    return OC_OK;
}

static oc_status add_item(oc__text_list *l, const char *s, size_t bytes,
                          int made, oc_error *err) {
    if (l->n == l->capacity) {
        size_t capacity = l->capacity ? l->capacity * 2 : 16;
        oc_string *items = oc__calloc(l->allocator, capacity, sizeof(*items));
        uint8_t *flags = oc__calloc(l->allocator, capacity, 1);
        if (!items || !flags) {
            oc__release(l->allocator, items, capacity * sizeof(*items));
            oc__release(l->allocator, flags, capacity);
            return oc__fail_nomem(err);
        }
        if (l->n) {
            memcpy(items, l->items, l->n * sizeof(*items));
            memcpy(flags, l->made, l->n);
        }
        oc__release(l->allocator, l->items, l->capacity * sizeof(*items));
        oc__release(l->allocator, l->made, l->capacity);
        l->items = items;
        l->made = flags;
        l->capacity = capacity;
    }
    l->items[l->n] = (oc_string){s, bytes};
    l->made[l->n++] = (uint8_t)made;
    return OC_OK;
}

oc_status oc__text_list_push(oc__text_list *l, const char *s, size_t bytes,
                             oc_error *err) {
    return add_item(l, s, bytes, 0, err);
}

/* Characters may move while they grow, so a made string is an offset. */
oc_status oc__text_list_open(oc__text_list *l, oc_error *err) {
    return add_item(l, (const char *)(uintptr_t)l->used, 0, 1, err);
}

oc_status oc__text_list_append(oc__text_list *l, const char *s, size_t bytes,
                               oc_error *err) {
    size_t need;
    assert(l->n && l->made[l->n - 1]);
    if (oc__size_add(l->used, bytes, &need)) return oc__fail_nomem(err);
    void *block = l->chars;
    OC_TRY(grow(l->allocator, &block, &l->char_capacity, l->used, need, err));
    l->chars = block;
    if (bytes) memcpy(l->chars + l->used, s, bytes);
    l->used = need;
    l->items[l->n - 1].bytes += bytes;
    return OC_OK;
}

/* Nothing moves any more: offsets become pointers, and all is copied into
   one block. */
oc_status oc__text_list_finish(oc__text_list *l, oc_value *v, int rank,
                               const int64_t *dims, oc_error *err) {
    for (size_t i = 0; i < l->n; i++) {
        if (!l->made[i]) continue;
        l->items[i].data = l->chars + (uintptr_t)l->items[i].data;
        l->made[i] = 0;
    }
    return oc__value_alloc_strings(v, l->allocator, rank, dims, l->items, err);
}

void oc__text_list_deinit(oc__text_list *l) {
    oc__release(l->allocator, l->items, l->capacity * sizeof(oc_string));
    oc__release(l->allocator, l->made, l->capacity);
    oc__release(l->allocator, l->chars, l->char_capacity);
}
