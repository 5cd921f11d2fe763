/*
 * size.h - sizes through checked arithmetic.  Every size that comes from a
 * file, a shape or a user goes through these before memory is asked for.
 * Each returns 0 on success and 1 on overflow (then *out is untouched).
 */
#ifndef OC_BASE_SIZE_H
#define OC_BASE_SIZE_H

#include <stddef.h>
#include <stdint.h>

static inline int oc__size_add(size_t a, size_t b, size_t *out) {
    if (a > SIZE_MAX - b) return 1;
    *out = a + b;
    return 0;
}

static inline int oc__size_mul(size_t a, size_t b, size_t *out) {
    if (b != 0 && a > SIZE_MAX / b) return 1;
    *out = a * b;
    return 0;
}

/** Product of non-negative dims; overflow or a negative dim is refused. */
static inline int oc__dims_product(const int64_t *dims, int rank,
                                   int64_t *out) {
    int64_t n = 1;
    for (int i = 0; i < rank; i++) {
        if (dims[i] < 0) return 1;
        if (dims[i] != 0 && n > INT64_MAX / dims[i]) return 1;
        n *= dims[i];
    }
    *out = n;
    return 0;
}

/** Rounds up to a multiple of align, a power of two.  Overflow: SIZE_MAX. */
static inline size_t oc__align_up(size_t n, size_t align) {
    if (n > SIZE_MAX - (align - 1)) return SIZE_MAX;
    return (n + align - 1) & ~(align - 1);
}

#define OC_MIN(a, b) ((a) < (b) ? (a) : (b))
#define OC_MAX(a, b) ((a) > (b) ? (a) : (b))
/* a / b rounded up, for a >= 0 and b > 0, without overflow */
#define OC_CEIL_DIV(a, b) ((a) / (b) + ((a) % (b) != 0))
#define OC_COUNT(array)   (sizeof(array) / sizeof((array)[0]))

#endif
