/* rng.c - see rng.h. */
#include "base/rng.h"

#include <math.h>

/* Steele, Lea, Flood: a weak generator is enough to fill a state, because
 * consecutive seeds give states that have nothing in common. */
static uint64_t splitmix64(uint64_t *x) {
    uint64_t z = (*x += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

void oc__rng_init(oc__rng *r, uint64_t seed) {
    for (int i = 0; i < 4; i++)
        r->s[i] = splitmix64(&seed);
}

static uint64_t rotl(uint64_t x, int k) {
    return (x << k) | (x >> (64 - k));
}

uint64_t oc__rng_u64(oc__rng *r) {
    uint64_t *s = r->s;
    uint64_t result = rotl(s[0] + s[3], 23) + s[0];
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotl(s[3], 45);
    return result;
}

uint32_t oc__rng_u32(oc__rng *r) {
    return (uint32_t)(oc__rng_u64(r) >> 32);
}

uint64_t oc__rng_below(oc__rng *r, uint64_t n) {
    /* Numbers below 2^64 mod n would make small results likelier. */
    uint64_t least = (0 - n) % n;
    uint64_t x;
    do
        x = oc__rng_u64(r);
    while (x < least);
    return x % n;
}

float oc__rng_float(oc__rng *r) {
    return (float)(oc__rng_u64(r) >> 40) * 0x1p-24f;
}

double oc__rng_double(oc__rng *r) {
    return (double)(oc__rng_u64(r) >> 11) * 0x1p-53;
}

double oc__rng_normal(oc__rng *r) {
    double u, v, q;
    do {
        u = 2.0 * oc__rng_double(r) - 1.0;
        v = 2.0 * oc__rng_double(r) - 1.0;
        q = u * u + v * v;
    } while (q >= 1.0 || q == 0.0);
    /* v would give a second number; dropping it keeps the state in the
     * four words alone. */
    return u * sqrt(-2.0 * log(q) / q);
}

void oc__rng_fill(oc__rng *r, float *x, size_t n, float lo, float hi) {
    for (size_t i = 0; i < n; i++) {
        float v = lo + (hi - lo) * oc__rng_float(r);
        x[i] = v < hi ? v : lo; /* rounding may reach hi */
    }
}
