/*
 * stream.c - see stream.h.
 *
 * A ring of batches, each at a position (epoch, step) behind the one before:
 *
 *     lent      the caller has it
 *     filling   rows are claimed one by one, under the lock, and made without
 *     ready     all rows are made and mixed
 *
 * Workers claim rows of the earliest batch that has any left, so batches
 * become ready in their order, nearly.  When the caller comes back, its batch
 * takes the position behind the last one.  Seeking elsewhere waits for rows
 * that are being made and gives all batches new positions.
 */
#define _POSIX_C_SOURCE 200809L

#include "data/stream_parts.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <time.h>

enum { MAX_AHEAD = 64, MAX_THREADS = 256, MAX_BATCH = 1 << 16 };
#define STACK_BYTES ((size_t)1 << 20)

/* A picture that could not be read, and that nobody has been told of. */
typedef struct failure {
    struct failure *next;
    int picture;
    char why[sizeof(((oc_error *)0)->message)];
} failure;

typedef struct slot_batch {
    oc__batch batch;
    int claimed, made;
    int ready;
    oc_status status; /* of the first row that failed for good */
    oc_error err;
    float *images, *targets, *weight;
    int64_t *label;
    int32_t *index;  /* what is in the rows; -1: nothing */
    int32_t *wanted; /* what should be */
} slot_batch;

struct oc__stream {
    oc_allocator allocator;
    oc__stream_options opt;
    oc__augment augment;
    oc__loader loader;
    oc__groups groups;
    int32_t *order; /* of order_epoch */
    int64_t order_epoch;
    int64_t steps;
    int channels;
    size_t row_elems;    /* room in images, of the largest size so far */
    int64_t epoch, step; /* of the next batch to hand out */
    int at_end;          /* the epoch is over until a seek */
    slot_batch *ring;
    int n_ring, head; /* head: the next to hand out */
    int lent;         /* the batch before head is with the caller */
    oc__stream_stats stats;
    failure *failures; /* newest first */

    pthread_mutex_t lock;
    pthread_cond_t work, done; /* rows to claim; a row or batch is made */
    int busy;                  /* workers with a row */
    int quit;
    atomic_int stop;
    int n_threads;
    pthread_t threads[MAX_THREADS];
};

static int64_t now_ns(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* ---- a row ----------------------------------------------------------------
 */

static void fill_targets(const oc__stream *s, float *out, int picture) {
    const oc__labelled *l = s->opt.data;
    const oc__labelled_picture *p = &l->pictures[picture];
    double soft = s->opt.label_smoothing;
    int n = l->n_classes;
    /* Smoothed towards 1 / n, or of single yes and no towards 1 / 2. */
    float off = (float)(l->multi ? soft / 2 : soft / n);
    float on = (float)(l->multi ? 1 - soft / 2 : 1 - soft + soft / n);
    for (int c = 0; c < n; c++)
        out[c] = off;
    for (int k = 0; k < p->n_labels; k++)
        out[p->labels[k]] = on;
}

static oc_status make_picture(oc__stream *s, slot_batch *b, int row,
                              const oc_image *img, float *to, oc_error *err) {
    oc_preprocess p = s->opt.prep;
    size_t bytes = (size_t)s->channels * (size_t)p.width * (size_t)p.height *
                   sizeof(float);
    oc_image made = {0};
    oc__rng rng;
    if (s->loader.may_keep) { /* img has the size already */
        p.fit = OC_FIT_STRETCH;
        p.crop = 0;
    }
    p.dtype = OC_DTYPE_F32;
    p.allocator = &s->allocator;
    if (!s->loader.train)
        return oc_image_to_tensor(img, &p, to, bytes, NULL, err);
    oc__stream_draw(&rng, s->opt.seed, OC_DRAW_SLOT, b->batch.epoch,
                    b->batch.step * s->opt.batch + row);
    OC_TRY(oc_image_init(&made, p.width, p.height, img->channels, &s->allocator,
                         err));
    oc_status st =
        oc__augment_picture(&made, img, &s->augment, &rng, &s->allocator, err);
    if (!st) st = oc_image_to_tensor(&made, &p, to, bytes, NULL, err);
    oc_image_deinit(&made);
    if (!st && s->augment.erase > 0) {
        oc__mix_shape shape = {
            1, s->channels, p.height, p.width, 0, p.layout == OC_LAYOUT_NHWC};
        oc__aug_erase(to, &shape, s->augment.erase, &rng);
    }
    return st;
}

/* Once for each: the flag goes from 0 to 1 for one worker only. */
static void note_failure(oc__stream *s, int picture, const oc_error *why) {
    oc__kept_slot *slot = &s->loader.slots[picture - s->loader.first];
    if (atomic_exchange(&slot->bad, 1)) return;
    failure *f = oc__calloc(&s->allocator, 1, sizeof *f);
    if (!f) return; /* then it stays untold */
    f->picture = picture;
    memcpy(f->why, why->message, sizeof f->why);
    pthread_mutex_lock(&s->lock);
    f->next = s->failures;
    s->failures = f;
    pthread_mutex_unlock(&s->lock);
}

/* The wanted picture or, in training, the next readable one of its class. */
static oc_status find_picture(oc__stream *s, slot_batch *b, int row,
                              oc_image *img, int *picture, oc_error *err) {
    int first = s->loader.first, wanted = b->wanted[row], i = wanted;
    for (;;) {
        *picture = i;
        if (!atomic_load(&s->loader.slots[i - first].bad)) {
            oc_status st = oc__loader_get(&s->loader, i, img, err);
            if (!st || st == OC_E_NOMEM) return st;
            note_failure(s, i, err);
        }
        *picture = -1;
        if (!s->opt.train) return OC_OK;
        i = oc__groups_next(&s->groups, first, i);
        if (i == wanted)
            return oc__fail(err, OC_E_FORMAT,
                            "no picture of the class of %.200s can be read",
                            s->opt.data->pictures[wanted].path);
    }
}

static oc_status make_row(oc__stream *s, slot_batch *b, int row,
                          oc_error *err) {
    int classes = s->opt.data->n_classes, picture = -1;
    size_t elems = (size_t)s->channels * (size_t)s->opt.prep.width *
                   (size_t)s->opt.prep.height;
    float *to = b->images + (size_t)row * elems;
    float *targets = b->targets + (size_t)row * (size_t)classes;
    oc_image img = {0};
    oc_status st = OC_OK;
    if (b->wanted[row] >= 0) st = find_picture(s, b, row, &img, &picture, err);
    if (!st && picture >= 0) {
        const oc__labelled_picture *p = &s->opt.data->pictures[picture];
        st = make_picture(s, b, row, &img, to, err);
        b->label[row] = s->opt.data->multi ? -1 : p->label;
        fill_targets(s, targets, picture);
    } else if (!st) {
        memset(to, 0, elems * sizeof *to);
        memset(targets, 0, (size_t)classes * sizeof *targets);
        b->label[row] = -1;
    }
    b->index[row] = picture;
    b->weight[row] = picture >= 0;
    oc_image_deinit(&img);
    return st;
}

/* When all rows are there. */
static void finish(oc__stream *s, slot_batch *b) {
    oc__mix_shape shape = {
        s->opt.batch,           s->channels,
        s->opt.prep.height,     s->opt.prep.width,
        s->opt.data->n_classes, s->opt.prep.layout == OC_LAYOUT_NHWC};
    oc__rng rng;
    b->batch.mixed = 0;
    if (!s->loader.train || b->status) return;
    oc__stream_draw(&rng, s->opt.seed, OC_DRAW_MIX, b->batch.epoch,
                    b->batch.step);
    b->batch.mixed =
        oc__aug_mix(b->images, b->targets, &shape, &s->augment, &rng);
}

/* ---- workers --------------------------------------------------------------
 */

/* The earliest batch with a row nobody has; NULL: none.  Locked. */
static slot_batch *find_work(oc__stream *s) {
    for (int k = 0; k < s->n_ring - s->lent; k++) {
        slot_batch *b = &s->ring[(s->head + k) % s->n_ring];
        if (b->claimed < s->opt.batch) return b;
    }
    return NULL;
}

static void *work(void *arg) {
    oc__stream *s = arg;
    pthread_mutex_lock(&s->lock);
    while (!s->quit) {
        slot_batch *b = find_work(s);
        if (!b) {
            pthread_cond_wait(&s->work, &s->lock);
            continue;
        }
        oc_error err = {0};
        int row = b->claimed++;
        s->busy++;
        pthread_mutex_unlock(&s->lock);
        int64_t start = now_ns(CLOCK_THREAD_CPUTIME_ID);
        oc_status st = make_row(s, b, row, &err);
        int64_t took = now_ns(CLOCK_THREAD_CPUTIME_ID) - start;
        pthread_mutex_lock(&s->lock);
        s->stats.worked_ns += took;
        s->stats.pictures += b->wanted[row] >= 0;
        if (st && !b->status) {
            b->status = st;
            b->err = err;
        }
        if (++b->made == s->opt.batch) { /* nobody else touches it now */
            pthread_mutex_unlock(&s->lock);
            finish(s, b);
            pthread_mutex_lock(&s->lock);
            b->ready = 1;
        }
        s->busy--;
        pthread_cond_broadcast(&s->done);
    }
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

/* Signals are the program's; workers have a small stack. */
static oc_status start_workers(oc__stream *s, oc_error *err) {
    int want = s->opt.threads > 0 ? OC_MIN(s->opt.threads, MAX_THREADS) : 1;
    sigset_t all, before;
    pthread_attr_t attr;
    sigfillset(&all);
    if (pthread_attr_init(&attr)) return oc__fail_nomem(err);
    pthread_attr_setstacksize(&attr, STACK_BYTES);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (s->n_threads < want &&
           !pthread_create(&s->threads[s->n_threads], &attr, work, s))
        s->n_threads++;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
    if (!s->n_threads)
        return oc__fail(err, OC_E_NOMEM,
                        "no thread can be started to read pictures");
    return OC_OK;
}

/* ---- positions ------------------------------------------------------------
 */

/* Says what belongs into b.  Locked, and no worker has it. */
static void set_position(oc__stream *s, slot_batch *b, int64_t epoch,
                         int64_t step) {
    int64_t n = s->loader.n;
    if (s->order_epoch != epoch) {
        oc__stream_order(s->order, &s->groups, s->loader.first, s->opt.train,
                         s->opt.balance, s->opt.seed, epoch);
        s->order_epoch = epoch;
    }
    b->batch.epoch = epoch;
    b->batch.step = step;
    b->claimed = b->made = b->ready = 0;
    b->status = OC_OK;
    b->batch.n = 0;
    for (int row = 0; row < s->opt.batch; row++) {
        int64_t at = step * s->opt.batch + row;
        /* Fewer pictures than rows: some come twice, in training. */
        if (s->opt.train) at %= n;
        b->wanted[row] = at < n ? s->order[at] : -1;
        b->batch.n += b->wanted[row] >= 0;
    }
}

static void step_on(const oc__stream *s, int64_t *epoch, int64_t *step) {
    if (++*step < s->steps) return;
    ++*epoch;
    *step = 0;
}

/* All batches, from a new position on.  Locked. */
static void refill(oc__stream *s, int64_t epoch, int64_t step) {
    for (int k = 0; k < s->n_ring; k++) /* nothing more to claim */
        s->ring[k].claimed = s->opt.batch;
    while (s->busy)
        pthread_cond_wait(&s->done, &s->lock);
    s->head = s->lent = 0;
    s->epoch = epoch;
    s->step = step;
    for (int k = 0; k < s->n_ring; k++) {
        set_position(s, &s->ring[k], epoch, step);
        step_on(s, &epoch, &step);
    }
    pthread_cond_broadcast(&s->work);
}

/* The batch the caller had goes behind the last one.  Locked. */
static void take_back(oc__stream *s) {
    if (!s->lent) return;
    int at = (s->head + s->n_ring - 1) % s->n_ring;
    int last = (at + s->n_ring - 1) % s->n_ring;
    int64_t epoch = s->ring[last].batch.epoch, step = s->ring[last].batch.step;
    step_on(s, &epoch, &step);
    s->lent = 0;
    set_position(s, &s->ring[at], epoch, step);
    pthread_cond_broadcast(&s->work);
}

void oc__stream_seek(oc__stream *s, int64_t epoch, int64_t step) {
    if (step >= s->steps || step < 0) step = 0;
    pthread_mutex_lock(&s->lock);
    s->at_end = 0;
    if (s->epoch != epoch || s->step != step) refill(s, epoch, step);
    pthread_mutex_unlock(&s->lock);
}

void oc__stream_tell(const oc__stream *s, int64_t *epoch, int64_t *step) {
    *epoch = s->epoch;
    *step = s->step;
}

int64_t oc__stream_steps(const oc__stream *s) {
    return s->steps;
}

int64_t oc__stream_pictures(const oc__stream *s) {
    return s->opt.train ? s->steps * s->opt.batch : s->loader.n;
}

/* ---- making and giving ----------------------------------------------------
 */

static int rows_of(const oc__stream *s, size_t row_bytes, size_t *bytes) {
    return oc__size_mul((size_t)s->opt.batch, row_bytes, bytes);
}

static void free_batch(oc__stream *s, slot_batch *b) {
    const oc_allocator *a = &s->allocator;
    size_t n = (size_t)s->opt.batch;
    oc__release(a, b->images, n * s->row_elems * sizeof(float));
    oc__release(a, b->targets,
                n * (size_t)s->opt.data->n_classes * sizeof(float));
    oc__release(a, b->weight, n * sizeof(float));
    oc__release(a, b->label, n * sizeof(int64_t));
    oc__release(a, b->index, n * sizeof(int32_t));
    oc__release(a, b->wanted, n * sizeof(int32_t));
}

static void describe_images(const oc__stream *s, slot_batch *b) {
    int nhwc = s->opt.prep.layout == OC_LAYOUT_NHWC;
    int64_t h = s->opt.prep.height, w = s->opt.prep.width, c = s->channels;
    b->batch.images =
        (oc_tensor){OC_DTYPE_F32,
                    4,
                    {s->opt.batch, nhwc ? h : c, nhwc ? w : h, nhwc ? c : w},
                    b->images};
}

static oc_status make_batch(oc__stream *s, slot_batch *b, oc_error *err) {
    const oc_allocator *a = &s->allocator;
    size_t images, targets, n = (size_t)s->opt.batch;
    if (rows_of(s, s->row_elems * sizeof(float), &images) ||
        rows_of(s, (size_t)s->opt.data->n_classes * sizeof(float), &targets))
        return oc__fail_nomem(err);
    b->images = oc__alloc(a, images);
    b->targets = oc__alloc(a, targets);
    b->weight = oc__alloc(a, n * sizeof(float));
    b->label = oc__alloc(a, n * sizeof(int64_t));
    b->index = oc__alloc(a, n * sizeof(int32_t));
    b->wanted = oc__alloc(a, n * sizeof(int32_t));
    if (!b->images || !b->targets || !b->weight || !b->label || !b->index ||
        !b->wanted)
        return oc__fail_nomem(err);
    b->batch.rows = s->opt.batch;
    b->batch.label = b->label;
    b->batch.targets = b->targets;
    b->batch.weight = b->weight;
    b->batch.index = b->index;
    describe_images(s, b);
    return OC_OK;
}

/* Tells of bad files, in the order of their paths. */
static void report(oc__stream *s, void (*tell)(void *user, const char *path,
                                               const char *why)) {
    for (;;) {
        failure **first = NULL, *f;
        pthread_mutex_lock(&s->lock);
        for (failure **at = &s->failures; *at; at = &(*at)->next) {
            if (!first || (*at)->picture < (*first)->picture) first = at;
        }
        f = first ? *first : NULL;
        if (f) {
            *first = f->next;
            s->stats.bad++;
        }
        pthread_mutex_unlock(&s->lock);
        if (!f) return;
        if (tell)
            tell(s->opt.user, s->opt.data->pictures[f->picture].path, f->why);
        oc__release(&s->allocator, f, sizeof *f);
    }
}

static oc_status check(const oc__stream_options *o, oc_error *err) {
    if (!o->data || o->batch < 1 || o->batch > MAX_BATCH)
        return oc__fail(err, OC_E_ARG, "a batch has 1 to %d pictures",
                        MAX_BATCH);
    if (!oc__labelled_count(o->data, o->part))
        return oc__fail(err, OC_E_FORMAT, "there are no pictures in this part");
    if (o->label_smoothing < 0 || o->label_smoothing >= 1 || o->balance < 0 ||
        o->balance > 1)
        return oc__fail(err, OC_E_ARG,
                        "label smoothing and balance are shares of 1");
    if (o->prep.width < 1 || o->prep.height < 1)
        return oc__fail(err, OC_E_ARG, "the input has no size");
    /* Asks whether the rest can be, at no cost. */
    oc_transform unused;
    return oc_preprocess_transform(&unused, &o->prep, 1, 1, err);
}

static oc_status set_up(oc__stream *s, oc_error *err) {
    const oc__stream_options *o = &s->opt;
    size_t n = (size_t)oc__labelled_count(o->data, o->part), elems;
    if (oc__size_mul((size_t)o->prep.width, (size_t)o->prep.height, &elems) ||
        oc__size_mul(elems, (size_t)s->channels, &s->row_elems))
        return oc__fail_nomem(err);
    OC_TRY(oc__loader_init(&s->loader, o, &s->allocator, err));
    OC_TRY(oc__groups_init(&s->groups, o->data, o->part, &s->allocator, err));
    s->order = oc__alloc(&s->allocator, n * sizeof *s->order);
    s->ring = oc__calloc(&s->allocator, (size_t)s->n_ring, sizeof *s->ring);
    if (!s->order || !s->ring) return oc__fail_nomem(err);
    s->order_epoch = -1;
    s->steps = o->train ? OC_MAX((int64_t)n / o->batch, 1)
                        : OC_CEIL_DIV((int64_t)n, o->batch);
    for (int k = 0; k < s->n_ring; k++)
        OC_TRY(make_batch(s, &s->ring[k], err));
    refill(s, 0, 0);
    return start_workers(s, err);
}

oc_status oc__stream_create(oc__stream **out, const oc__stream_options *opt,
                            oc_error *err) {
    OC_TRY(check(opt, err));
    const oc_allocator *a =
        opt->allocator ? opt->allocator : &oc__default_allocator;
    oc__stream *s = oc__calloc(a, 1, sizeof *s);
    if (!s) return oc__fail_nomem(err);
    s->allocator = *a;
    s->opt = *opt;
    if (opt->augment) s->augment = *opt->augment;
    s->opt.augment = opt->augment && opt->train ? &s->augment : NULL;
    s->channels = opt->prep.color == OC_COLOR_GRAY ? 1 : 3;
    s->n_ring = 1 + (opt->ahead > 0 ? OC_MIN(opt->ahead, MAX_AHEAD) : 3);
    if (pthread_mutex_init(&s->lock, NULL)) {
        oc__release(a, s, sizeof *s);
        return oc__fail_nomem(err);
    }
    pthread_cond_init(&s->work, NULL);
    pthread_cond_init(&s->done, NULL);
    oc_status st = set_up(s, err);
    if (st) {
        oc__stream_destroy(s);
        return st;
    }
    *out = s;
    return OC_OK;
}

void oc__stream_destroy(oc__stream *s) {
    if (!s) return;
    oc_allocator a = s->allocator;
    pthread_mutex_lock(&s->lock);
    s->quit = 1;
    pthread_cond_broadcast(&s->work);
    pthread_mutex_unlock(&s->lock);
    for (int i = 0; i < s->n_threads; i++)
        pthread_join(s->threads[i], NULL);
    for (int k = 0; s->ring && k < s->n_ring; k++)
        free_batch(s, &s->ring[k]);
    oc__release(&a, s->ring, (size_t)s->n_ring * sizeof *s->ring);
    oc__release(&a, s->order, (size_t)s->loader.n * sizeof *s->order);
    report(s, NULL);
    oc__groups_deinit(&s->groups, &a);
    oc__loader_deinit(&s->loader);
    pthread_cond_destroy(&s->work);
    pthread_cond_destroy(&s->done);
    pthread_mutex_destroy(&s->lock);
    oc__release(&a, s, sizeof *s);
}

oc_status oc__stream_next(oc__stream *s, const oc__batch **out, oc_error *err) {
    *out = NULL;
    pthread_mutex_lock(&s->lock);
    take_back(s);
    if (s->at_end) {
        pthread_mutex_unlock(&s->lock);
        return OC_OK;
    }
    slot_batch *b = &s->ring[s->head];
    int64_t start = b->ready ? 0 : now_ns(CLOCK_MONOTONIC);
    while (!b->ready && !atomic_load(&s->stop))
        pthread_cond_wait(&s->done, &s->lock);
    if (start) s->stats.waited_ns += now_ns(CLOCK_MONOTONIC) - start;
    if (!b->ready || atomic_load(&s->stop)) {
        pthread_mutex_unlock(&s->lock);
        return oc__fail(err, OC_E_CANCELLED, "cancelled");
    }
    if (b->status) {
        oc_status st = b->status;
        if (err) *err = b->err;
        pthread_mutex_unlock(&s->lock);
        return st;
    }
    s->head = (s->head + 1) % s->n_ring;
    s->lent = 1;
    step_on(s, &s->epoch, &s->step);
    s->at_end = s->step == 0;
    pthread_mutex_unlock(&s->lock);
    report(s, s->opt.report);
    *out = &b->batch;
    return OC_OK;
}

oc_status oc__stream_resize(oc__stream *s, int width, int height,
                            oc_error *err) {
    oc__stream_options o = s->opt;
    oc_status st;
    size_t elems;
    o.prep.width = width;
    o.prep.height = height;
    OC_TRY(check(&o, err));
    if (oc__size_mul((size_t)width, (size_t)height, &elems) ||
        oc__size_mul(elems, (size_t)s->channels, &elems))
        return oc__fail_nomem(err);
    pthread_mutex_lock(&s->lock);
    for (int k = 0; k < s->n_ring; k++)
        s->ring[k].claimed = s->opt.batch;
    while (s->busy)
        pthread_cond_wait(&s->done, &s->lock);
    st = OC_OK;
    if (elems > s->row_elems) {
        for (int k = 0; k < s->n_ring; k++) {
            free_batch(s, &s->ring[k]);
            memset(&s->ring[k], 0, sizeof s->ring[k]);
        }
        s->row_elems = elems;
        for (int k = 0; k < s->n_ring && !st; k++)
            st = make_batch(s, &s->ring[k], err);
    }
    if (!st) {
        s->opt.prep = o.prep;
        int store = s->loader.store_px;
        oc__loader_size(&s->loader, &s->opt);
        if (!s->loader.train || store != s->loader.store_px)
            oc__loader_clear(&s->loader);
        for (int k = 0; k < s->n_ring; k++)
            describe_images(s, &s->ring[k]);
        refill(s, s->epoch, s->step);
    }
    for (int k = 0; st && k < s->n_ring; k++) { /* there are none any more */
        s->ring[k].claimed = s->opt.batch;
        s->ring[k].ready = 1;
        s->ring[k].status = st;
        if (err) s->ring[k].err = *err;
    }
    pthread_mutex_unlock(&s->lock);
    return st;
}

void oc__stream_stop(oc__stream *s) {
    atomic_store(&s->stop, 1);
    /* So that a caller who is between looking and waiting sees it. */
    pthread_mutex_lock(&s->lock);
    pthread_cond_broadcast(&s->done);
    pthread_mutex_unlock(&s->lock);
}

void oc__stream_stats_get(const oc__stream *s, oc__stream_stats *out) {
    oc__stream *open = (oc__stream *)(uintptr_t)s;
    pthread_mutex_lock(&open->lock);
    *out = s->stats;
    pthread_mutex_unlock(&open->lock);
    out->decoded = atomic_load(&open->loader.decoded);
    out->cache_bytes = atomic_load(&open->loader.held);
}
