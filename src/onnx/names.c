/* names.c - see names.h.  Open addressing, linear probing, half full. */
#include "onnx/names.h"

#include <string.h>

struct oc__name_slot {
    const char *name; /* NULL: free */
    uint32_t hash;
    int number;
};

void oc__names_init(oc__names *t, oc__arena *arena) {
    memset(t, 0, sizeof(*t));
    t->arena = arena;
}

/*
 * FNV-1a, started from where the arena lies: address randomisation keeps a
 * hostile file from choosing names that all collide.
 */
static uint32_t hash_name(const oc__names *t, const char *name) {
    uint64_t h = 0xcbf29ce484222325u ^ (uint64_t)(uintptr_t)t->arena;
    for (const char *s = name; *s; s++) {
        h = (h ^ (unsigned char)*s) * 0x100000001b3u;
    }
    return (uint32_t)(h ^ h >> 32);
}

static struct oc__name_slot *find_slot(const oc__names *t, const char *name,
                                       uint32_t hash) {
    size_t i = hash & (t->capacity - 1);
    while (t->slots[i].name &&
           (t->slots[i].hash != hash || strcmp(t->slots[i].name, name) != 0)) {
        i = (i + 1) & (t->capacity - 1);
    }
    return &t->slots[i];
}

int oc__names_find(const oc__names *t, const char *name) {
    if (!t->capacity) return -1;
    const struct oc__name_slot *s = find_slot(t, name, hash_name(t, name));
    return s->name ? s->number : -1;
}

static int grow(oc__names *t) {
    size_t capacity = t->capacity ? 2 * t->capacity : 64;
    struct oc__name_slot *old = t->slots;
    size_t old_capacity = t->capacity;
    void *slots = oc__arena_array(t->arena, capacity, sizeof(*t->slots));
    if (!slots) return 1;
    t->slots = slots;
    t->capacity = capacity;
    for (size_t i = 0; i < old_capacity; i++) {
        if (old[i].name) *find_slot(t, old[i].name, old[i].hash) = old[i];
    }
    return 0;
}

int oc__names_put(oc__names *t, const char *name, int number) {
    if (2 * (t->count + 1) > t->capacity && grow(t)) return 1;
    uint32_t hash = hash_name(t, name);
    struct oc__name_slot *s = find_slot(t, name, hash);
    t->count += !s->name;
    s->name = name;
    s->hash = hash;
    s->number = number;
    return 0;
}
