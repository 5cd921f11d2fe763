/*
 * tune.h - which way of a convolution is fastest here, found by timing.
 *
 * A pass that has a choice asks the cost model (oc__conv_f32_choose()).  Where
 * its environment has a tuner it asks that: the tuner runs the candidates on
 * numbers of the real shapes, in turns, keeps the least time of each, and
 * departs from the cost model's choice only for one that is clearly faster.
 * What was asked once is not timed again.
 *
 * A choice goes into the node as any other does, so a program is the same
 * function of its inputs however often it is run and by however many threads.
 * Which program comes out depends on clocks, that is all.
 *
 * A meter does the timing.  Tests put their own in its place.
 */
#ifndef OC_PASSES_TUNE_H
#define OC_PASSES_TUNE_H

#include "kernels/kernels.h"

/** A candidate: what is computed, and how. */
typedef struct oc__tune_case {
    oc__conv_geom g;
    oc__conv_algo algo;
    /* A depthwise convolution whose output is the input; in_c 0: none. */
    oc__conv_geom depth;
    int joined; /* both as one node */
} oc__tune_case;

/** No question has more candidates. */
enum { OC_TUNE_CASES = OC_CONV_ALGO_COUNT };

typedef struct oc__tune_meter {
    void *user;
    /* For a network of so many bytes of constants; may be NULL. */
    void (*begin)(void *user, size_t weight_bytes);
    /* Gets ready to run these; nonzero: there is no memory for it. */
    int (*open)(void *user, const oc__tune_case *cases, size_t n);
    /* Runs one of them; what it took, in ns. */
    int64_t (*run)(void *user, const oc__tune_case *c);
    void (*close)(void *user);
    /* No more for this network: memory can go; may be NULL. */
    void (*end)(void *user);
    int64_t (*now_ns)(void *user);
} oc__tune_meter;

typedef struct oc__tuner oc__tuner;

/** meter is copied; what its user points to is borrowed. */
oc_status oc__tuner_create(oc__tuner **out, const oc_allocator *a,
                           const oc__tune_meter *meter, oc_error *err);
void oc__tuner_destroy(oc__tuner *t);

/**
 * A program is compiled from here on, with constants of so many bytes: time
 * and counts begin anew.
 */
void oc__tuner_begin(oc__tuner *t, size_t weight_bytes);
/** Fills out with what was found since then; 0: nothing was begun. */
int oc__tuner_end(oc__tuner *t, oc_tune_summary *out);

/** The way for a convolution with fixed weights; usual is the cost model's. */
oc__conv_algo oc__tuner_choose(oc__tuner *t, const oc__kernels *kt,
                               const oc__conv_geom *g, oc__conv_algo usual);
/**
 * Whether a depthwise and the 1x1 convolution behind it, which can be one
 * node, should be: else the latter is done by `apart`.
 */
int oc__tuner_joins(oc__tuner *t, const oc__conv_geom *depth,
                    const oc__conv_geom *point, oc__conv_algo apart);

/* ---- tune_meter.c ---------------------------------------------------------
 */

/**
 * The meter of the real clock.  Between two runs of a layer a network goes
 * over its other weights; so does the meter before each, over weight_bytes or
 * as much as the third-level cache holds.
 */
typedef struct oc__tune_bench oc__tune_bench;
oc_status oc__tune_bench_create(oc__tune_bench **out, const oc__kernels *kt,
                                const oc_allocator *a, oc__pool *pool,
                                oc_error *err);
void oc__tune_bench_destroy(oc__tune_bench *b);
oc__tune_meter oc__tune_bench_meter(oc__tune_bench *b);

#endif
