/*
 * rng.h - a small seeded random generator: the same numbers on every machine
 * for the same seed.  Not for secrets.
 *
 * xoshiro256++ by Blackman and Vigna (public domain reference, period
 * 2^256-1), its state filled by splitmix64 so that any seed, 0 included, is
 * good.  Threads: an oc__rng is used by one thread at a time.
 */
#ifndef OC_BASE_RNG_H
#define OC_BASE_RNG_H

#include <stddef.h>
#include <stdint.h>

typedef struct oc__rng {
    uint64_t s[4];
} oc__rng;

void oc__rng_init(oc__rng *r, uint64_t seed);
uint64_t oc__rng_u64(oc__rng *r);
uint32_t oc__rng_u32(oc__rng *r);
/** Uniform in 0..n-1 without bias; n > 0. */
uint64_t oc__rng_below(oc__rng *r, uint64_t n);
/** Uniform in [0, 1), 24 bits. */
float oc__rng_float(oc__rng *r);
/** Uniform in [0, 1), 53 bits. */
double oc__rng_double(oc__rng *r);
/** Normal with mean 0 and variance 1 (polar method). */
double oc__rng_normal(oc__rng *r);
/** Fills x with uniform numbers in [lo, hi). */
void oc__rng_fill(oc__rng *r, float *x, size_t n, float lo, float hi);

#endif
