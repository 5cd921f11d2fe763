/* xxh64.c - the steps of the specification, in its order. */
#include "base/xxh64.h"

#include <string.h>

#define P1 UINT64_C(0x9E3779B185EBCA87)
#define P2 UINT64_C(0xC2B2AE3D27D4EB4F)
#define P3 UINT64_C(0x165667B19E3779F9)
#define P4 UINT64_C(0x85EBCA77C2B2AE63)
#define P5 UINT64_C(0x27D4EB2F165667C5)

static inline uint64_t turn(uint64_t x, int n) {
    return x << n | x >> (64 - n);
}

/* Little-endian, as every machine this is built for. */
static inline uint64_t load8(const uint8_t *p) {
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline uint32_t load4(const uint8_t *p) {
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline uint64_t take(uint64_t sum, uint64_t lane) {
    return turn(sum + lane * P2, 31) * P1;
}

static inline uint64_t merge(uint64_t h, uint64_t sum) {
    return (h ^ take(0, sum)) * P1 + P4;
}

uint64_t oc__xxh64(const void *data, size_t n, uint64_t seed) {
    const uint8_t *p = data;
    uint64_t h = seed + P5;
    size_t left = n;
    if (n >= 32) {
        uint64_t a = seed + P1 + P2, b = seed + P2, c = seed, d = seed - P1;
        for (; left >= 32; left -= 32, p += 32) {
            a = take(a, load8(p));
            b = take(b, load8(p + 8));
            c = take(c, load8(p + 16));
            d = take(d, load8(p + 24));
        }
        h = turn(a, 1) + turn(b, 7) + turn(c, 12) + turn(d, 18);
        h = merge(merge(merge(merge(h, a), b), c), d);
    }
    h += n;
    for (; left >= 8; left -= 8, p += 8)
        h = turn(h ^ take(0, load8(p)), 27) * P1 + P4;
    for (; left >= 4; left -= 4, p += 4)
        h = turn(h ^ load4(p) * P1, 23) * P2 + P3;
    for (; left; left--, p++)
        h = turn(h ^ *p * P5, 11) * P1;
    h = (h ^ h >> 33) * P2;
    h = (h ^ h >> 29) * P3;
    return h ^ h >> 32;
}
