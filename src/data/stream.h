/*
 * stream.h - batches of pictures for training, decoded ahead by threads.
 *
 *     labelled --order of the epoch--> slots --workers--> batches --> caller
 *                                               |  ^
 *                                               v  |
 *                                          cache of decoded pictures
 *
 * What is in batch (epoch, step) depends on the data, the options and
 * (seed, epoch, step) only: not on threads, the cache, timing, or what was
 * asked for before.  So a position is these two numbers, and a stream that is
 * sought to a position gives the bits an unbroken one would have given.
 *
 *     oc__stream_options o = {.data = l, .part = OC_PART_TRAIN, .batch = 32,
 *                             .prep = prep, .augment = &a, .seed = 1};
 *     oc__stream_create(&s, &o, &err);
 *     for (int epoch = 0; epoch < 10; epoch++) {
 *         oc__stream_seek(s, epoch, 0);
 *         for (;;) {
 *             oc__stream_next(s, &b, &err);
 *             if (!b) break;                     the epoch is over
 *             ... b->images, b->targets ...      valid until the next call
 *         }
 *     }
 *     oc__stream_destroy(s);
 *
 * A picture that cannot be read is reported once.  In training the next
 * readable one of its class takes its slot; elsewhere its row has index -1,
 * weight 0.  Which pictures are unreadable depends on the files alone.
 *
 * One thread at a time uses a stream; oc__stream_stop() is for any thread.
 */
#ifndef OC_DATA_STREAM_H
#define OC_DATA_STREAM_H

#include "data/augment.h"
#include "data/labelled.h"

typedef struct oc__stream oc__stream;

/** What a stream gives.  Zero-initialise; zero means the default. */
typedef struct oc__stream_options {
    const oc__labelled *data; /* outlives the stream */
    oc__part part;
    int batch; /* rows of a batch */
    /* The network's input: as for inference (card), F32, NCHW or NHWC.  Without
       augment a row is what oc_image_to_tensor() makes of it, to the bit.
       With, fit and crop give way to the augmentation; a size of one of
       its pictures comes from here, numbers too. */
    oc_preprocess prep;
    int train; /* nonzero: shuffled, whole batches only (pictures left over
                  are others in every epoch; fewer than a batch: taken again).
                  0: in order, the last batch has fewer rows (see n) */
    const oc__augment *augment; /* copied; NULL: none.  Needs train */
    double label_smoothing;     /* of targets; 0: none */
    double balance; /* train: classes drawn by count^(1-this); 0: every picture
                       once an epoch, 1: classes alike, with repetition */
    uint64_t seed;
    int threads;        /* workers; 0: 1 */
    int ahead;          /* batches made ahead of the caller; 0: 3 */
    size_t cache_bytes; /* for decoded pictures; 0: none are kept */
    int store_px; /* train: larger pictures are first brought to this short
                     side; 0: one and a half times the input's longer one.
                     Give it when oc__stream_resize() will be used */
    /* Called from oc__stream_next(), once for each bad file; may be NULL. */
    void (*report)(void *user, const char *path, const char *why);
    void *user;
    const oc_allocator *allocator; /* must be good for any thread */
} oc__stream_options;

/** A batch; it belongs to the stream and is valid until the next call. */
typedef struct oc__batch {
    int n;    /* rows that count: rows n.. to batch hold zeros, index -1 */
    int rows; /* always oc__stream_options.batch */
    int64_t epoch, step;
    oc_tensor images;     /* f32 [rows, c, h, w], or NHWC as prep says */
    const int64_t *label; /* [rows] class before mixing; -1: none, multi */
    const float *targets; /* [rows, classes]: one-hot, smoothed, mixed, or 0/1
                             of each label (multi) */
    const float *weight;  /* [rows] 1, or 0 for a row that does not count */
    const int32_t *index; /* [rows] into data->pictures, -1: no picture */
    int mixed;            /* nonzero: targets are not one-hot by MixUp/CutMix */
} oc__batch;

/**
 * Starts the workers, which begin with epoch 0.
 * Errors: E_ARG; E_FORMAT when the part is empty; E_NOMEM.
 */
oc_status oc__stream_create(oc__stream **out, const oc__stream_options *opt,
                            oc_error *err);
/** Stops and joins the workers; NULL is ignored. */
void oc__stream_destroy(oc__stream *s);

/** Batches of an epoch, at least 1. */
int64_t oc__stream_steps(const oc__stream *s);
/** Pictures of an epoch that count, at least 1. */
int64_t oc__stream_pictures(const oc__stream *s);
/** The next batch will be this one.  Also needed to begin the next epoch. */
void oc__stream_seek(oc__stream *s, int64_t epoch, int64_t step);
/** Where the next batch comes from: what a checkpoint keeps. */
void oc__stream_tell(const oc__stream *s, int64_t *epoch, int64_t *step);
/**
 * Gives the next batch of the epoch; *out NULL at its end.
 * Errors: E_CANCELLED after oc__stream_stop(); E_FORMAT when no picture of the
 *   part can be read; E_NOMEM.
 */
oc_status oc__stream_next(oc__stream *s, const oc__batch **out, oc_error *err);
/**
 * Another size of the input, for schedules that grow it; the position stays,
 * batches made ahead are made again.  The cache is kept where store_px was
 * given.
 */
oc_status oc__stream_resize(oc__stream *s, int width, int height,
                            oc_error *err);
/** Makes oc__stream_next() return E_CANCELLED, now and later. */
void oc__stream_stop(oc__stream *s);

/** What happened so far, for people. */
typedef struct oc__stream_stats {
    int64_t pictures;   /* made */
    int64_t decoded;    /* of them from files, the others from the cache */
    int64_t waited_ns;  /* the caller, for batches that were not there */
    int64_t worked_ns;  /* the workers together, of processor time */
    size_t cache_bytes; /* held */
    int bad;            /* files reported */
} oc__stream_stats;
void oc__stream_stats_get(const oc__stream *s, oc__stream_stats *out);

#endif
