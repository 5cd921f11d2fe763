/*
 * stream_parts.h - what a stream is made of.
 *
 *     stream.c         batches in a ring, and the workers that fill them
 *     stream_order.c   which picture stands where in an epoch
 *     stream_load.c    a picture from its file or the cache
 */
#ifndef OC_DATA_STREAM_PARTS_H
#define OC_DATA_STREAM_PARTS_H

#include "data/augment_op.h"
#include "data/stream.h"

#include <stdatomic.h>

/* ---- order ----------------------------------------------------------------
 */

/** A generator for one purpose at one place; purposes do not meet. */
enum { OC_DRAW_ORDER = 1, OC_DRAW_SLOT, OC_DRAW_MIX };
void oc__stream_draw(oc__rng *rng, uint64_t seed, int purpose, int64_t epoch,
                     int64_t place);

/** The pictures of a part, class by class; -1 (no class) comes first. */
typedef struct oc__groups {
    int n, groups;
    int32_t *pictures; /* [n] */
    int32_t *start;    /* [groups + 1] */
    int32_t *place;    /* [n] of picture first + i in `pictures` */
    int32_t *tmp;      /* [n] */
    size_t bytes;
} oc__groups;

oc_status oc__groups_init(oc__groups *g, const oc__labelled *l, oc__part part,
                          const oc_allocator *a, oc_error *err);
void oc__groups_deinit(oc__groups *g, const oc_allocator *a);
/** The picture behind picture i (of data) in its class, around the end. */
int oc__groups_next(const oc__groups *g, int first, int i);

/** The pictures of an epoch, as indices into data->pictures, g->n of them. */
void oc__stream_order(int32_t *order, oc__groups *g, int first, int shuffle,
                      double balance, uint64_t seed, int64_t epoch);

/* ---- pictures -------------------------------------------------------------
 */

/** A decoded picture; the pixels follow. */
typedef struct oc__kept {
    int width, height, channels;
    size_t bytes; /* of all of it */
    uint8_t pixels[];
} oc__kept;

/** What is known of each picture of the part. */
typedef struct oc__kept_slot {
    _Atomic(oc__kept *) kept;
    atomic_int bad; /* it could not be read, once */
} oc__kept_slot;

/** Reads pictures; used by all workers at once. */
typedef struct oc__loader {
    const oc__labelled *data;
    int first, n; /* the part: pictures[first, first + n) */
    oc_preprocess prep;
    int train; /* pictures as decoded; else as the network sees them */
    int store_px;
    int may_keep; /* what is kept gives the same bits; else pictures come as
                     decoded, whatever train says */
    size_t most;  /* bytes to be kept */
    atomic_size_t held;
    atomic_llong decoded;
    oc__kept_slot *slots;
    oc_allocator allocator;
} oc__loader;

oc_status oc__loader_init(oc__loader *l, const oc__stream_options *opt,
                          const oc_allocator *a, oc_error *err);
void oc__loader_deinit(oc__loader *l);
/** Lets go of what is kept; no worker may be at work. */
void oc__loader_clear(oc__loader *l);
/** Sets what follows from the input's size. */
void oc__loader_size(oc__loader *l, const oc__stream_options *opt);
/**
 * Picture i of data: borrowed from the cache or owned; oc_image_deinit() either
 * way.  Channels are 1 for a gray network, else 3.
 */
oc_status oc__loader_get(oc__loader *l, int i, oc_image *out, oc_error *err);

#endif
