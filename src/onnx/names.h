/*
 * names.h - a hash table from names to numbers, for one import or export.
 */
#ifndef OC_ONNX_NAMES_H
#define OC_ONNX_NAMES_H

#include "base/memory.h"

typedef struct oc__names {
    oc__arena *arena; /* outgrown tables stay in it until it goes */
    struct oc__name_slot *slots;
    size_t capacity, count; /* capacity is 0 or a power of two */
} oc__names;

void oc__names_init(oc__names *t, oc__arena *arena);
/** The number of a name, or -1. */
int oc__names_find(const oc__names *t, const char *name);
/**
 * Sets the number (>= 0) of a name, which must live as long as the table.
 * Returns 1 when out of memory.
 */
int oc__names_put(oc__names *t, const char *name, int number);

#endif
