/*
 * checkasm.h - what the kernel tests share: memory that catches every access
 * outside a shape, replayable random numbers, every CPU mask, and a handler
 * that names the kernel which crashed.
 *
 *     static void one(const oc__kernels *k) {
 *         float *x = check_alloc(n * sizeof *x);   // ends at a guard page
 *         check_fill(x, n, -4, 4);
 *         check_kernel(k, "unary_f32 exp n=%zu", n);
 *         k->unary_f32(OC_UNARY_EXP, x, y, n);
 *         check_ulp(y, want, n, 2.5);
 *         check_free_all();                        // and canaries intact
 *     }
 *     check_each_mask(one);
 *
 * Random numbers start from OC_TEST_SEED, or from the clock; a failure prints
 * the seed that brings it back.
 *
 * OC_TEST_CPU, a number of OC_CPU_* bits, leaves out the tables that use none
 * of them: in an emulator plain C takes most of the time and shows nothing.
 */
#ifndef OC_TESTS_CHECKASM_H
#define OC_TESTS_CHECKASM_H

#include "testing.h"

#include "base/rng.h"
#include "kernels/kernels.h"

/**
 * `bytes` bytes that end at a page nobody may touch, filled with a pattern;
 * the bytes before them hold a canary.  Aligned to the largest power of two
 * (64 at most) that divides `bytes`.  Fails the test when there is no memory.
 */
void *check_alloc(size_t bytes);
/** The same, but starting right behind such a page, aligned to 4096; what
 *  follows up to the next page is canary. */
void *check_alloc_front(size_t bytes);
/** Unmaps all memory given out so far; fails the test if a canary died. */
void check_free_all(void);

/** The generator for this program, seeded as said above. */
oc__rng *check_rng(void);
/** Uniform in lo..hi. */
void check_fill(float *x, size_t n, float lo, float hi);
/** Mixes into x: NaN, Inf, -Inf, 0, -0, denormals, the largest, ones. */
void check_sprinkle(float *x, size_t n);

/** Calls fn with a table for each different set of features this machine can
 *  be told to have, plain C first. */
void check_each_mask(void (*fn)(const oc__kernels *k));
/** The table of the scalar kernels. */
const oc__kernels *check_scalar(void);

/** Says what is about to run, for messages of failures and crashes. */
void check_kernel(const oc__kernels *k, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/** Bit for bit, with any NaN equal to any. */
void check_same(const float *got, const float *want, size_t n);
/** Byte for byte. */
void check_bytes(const void *got, const void *want, size_t bytes);
/** Within `ulps` units in the last place of `want`, NaN and Inf exactly; or
 *  within `absolute`. */
void check_close(const float *got, const double *want, size_t n, double ulps,
                 double absolute);

/** Sizes around every vector width and a few primes. */
extern const size_t check_sizes[];
extern const size_t check_size_count;

#endif
