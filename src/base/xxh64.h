/*
 * xxh64.h - XXH64 (Yann Collet, xxHash specification 0.1.1), to notice damage
 * at the speed memory is read: four sums run side by side in plain C.  It
 * keeps out accidents, not people.
 */
#ifndef OC_BASE_XXH64_H
#define OC_BASE_XXH64_H

#include <stddef.h>
#include <stdint.h>

uint64_t oc__xxh64(const void *data, size_t n, uint64_t seed);

#endif
