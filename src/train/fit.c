/* fit.c - from a folder of pictures to a model: the loop; see train.h. */
#define _POSIX_C_SOURCE 200809L /* clock_gettime */
#include "train/fit.h"

#include "train/rate.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

double oc__fit_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void send(const oc_training *f, const oc_training_event *e) {
    if (f->opt.event) f->opt.event(f->opt.user, e);
}

void oc__fit_say(oc_training *f, oc_training_event_kind kind,
                 const char *format, ...) {
    char text[512];
    oc_training_event e = {.kind = kind, .text = text};
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    send(f, &e);
}

/* ---- making one -----------------------------------------------------------
 */

/* What can be said of the options before anything is looked at. */
static oc_status check_options(const oc_training_options *o, oc_error *err) {
    if (!o->data) return oc__fail(err, OC_E_ARG, "there is no data");
    if (!o->out) return oc__fail(err, OC_E_ARG, "no model to write is named");
    if (o->model && o->arch)
        return oc__fail(err, OC_E_ARG,
                        "either a model is trained further or an architecture "
                        "from scratch");
    if (!(o->grow >= 0 && o->grow <= 0.9))
        return oc__fail(err, OC_E_ARG,
                        "a share of %g of the epochs with smaller pictures is "
                        "not in 0 to 0.9",
                        o->grow);
    if (!(o->last_rate <= 1 && o->hierarchy <= 1))
        return oc__fail(err, OC_E_ARG,
                        "the rate at the end and the loss of classes above are "
                        "shares of 1");
    if (o->qat && !o->model)
        return oc__fail(err, OC_E_ARG,
                        "training for 8 bits goes on from a model in f32, and "
                        "none is named");
    if (o->keep_classes && !o->model)
        return oc__fail(err, OC_E_ARG,
                        "no model is named whose classes could be kept");
    return OC_OK;
}

static oc_status make_streams(oc_training *f, oc_error *err) {
    const oc_training_options *o = &f->opt;
    oc__stream_options s = {.data = f->data,
                            .part = OC_PART_TRAIN,
                            .batch = o->batch,
                            .prep = f->prep,
                            .train = 1,
                            .augment = &f->augment,
                            .label_smoothing = OC_MAX(o->smoothing, 0),
                            .balance = o->balance,
                            .seed = o->seed,
                            .threads = 1,
                            .store_px = OC_MAX(o->width, o->height) * 3 / 2,
                            .cache_bytes = (size_t)1 << 30,
                            .allocator = &f->allocator};
    if (o->memory_bytes)
        s.cache_bytes = OC_MIN(s.cache_bytes, o->memory_bytes / 4);
    OC_TRY(oc__stream_create(&f->train, &s, err));
    s.part = OC_PART_VAL;
    s.train = 0;
    s.augment = NULL;
    s.label_smoothing = s.balance = 0;
    s.batch = OC_MIN(s.batch, 32);
    return oc__stream_create(&f->val, &s, err);
}

/* Room for what is measured on val. */
static oc_status make_room(oc_training *f, oc_error *err) {
    int n = f->n_val = oc__labelled_count(f->data, OC_PART_VAL);
    size_t rows = (size_t)OC_MAX(n, 1);
    size_t all = rows * (size_t)f->data->n_classes;
    f->logits = oc__arena_array(&f->arena, all, sizeof(float));
    f->best_logits = oc__arena_array(&f->arena, all, sizeof(float));
    f->targets = oc__arena_array(&f->arena, all, sizeof(float));
    f->label = oc__arena_array(&f->arena, rows, sizeof(*f->label));
    f->paths = oc__arena_array(&f->arena, rows, sizeof(*f->paths));
    if (!f->logits || !f->best_logits || !f->targets || !f->label || !f->paths)
        return oc__fail_nomem(err);
    for (int i = 0; i < n; i++)
        f->paths[i] = f->data->pictures[f->data->first[OC_PART_VAL] + i].path;
    return OC_OK;
}

static oc_status resume(oc_training *f, oc_error *err) {
    oc__note note = {NULL, 0};
    OC_TRY(oc__checkpoint_read(NULL, &note, &f->allocator, f->checkpoint, err));
    oc_status st = oc__fit_read_note(f, &note, err);
    oc__release(&f->allocator, (void *)(uintptr_t)note.data, note.bytes);
    return st;
}

static oc_status start(oc_training *f, oc_error *err) {
    f->checkpoint = f->opt.checkpoint
                        ? oc__arena_strdup(&f->arena, f->opt.checkpoint)
                        : oc__arena_printf(&f->arena, "%s.ckpt", f->opt.out);
    if (!f->checkpoint) return oc__fail_nomem(err);
    if (f->opt.resume) {
        OC_TRY(resume(f, err));
        OC_TRY(check_options(&f->opt, err));
    }
    OC_TRY(oc__fit_choose(f, err));
    OC_TRY(make_streams(f, err));
    OC_TRY(make_room(f, err));
    OC_TRY(oc__fit_choose_epochs(f, err));
    OC_TRY(oc__fit_set_size(f, f->place.epoch, err));
    OC_TRY(oc__fit_make_trainer(f, f->opt.batch, err));
    if (!f->opt.resume) return OC_OK;
    oc__note note = {NULL, 0};
    OC_TRY(oc__checkpoint_read(f->trainer, &note, &f->allocator, f->checkpoint,
                               err));
    oc__release(&f->allocator, (void *)(uintptr_t)note.data, note.bytes);
    oc__fit_say(f, OC_TRAINING_NOTE,
                "going on from %s: epoch %d, behind step %d", f->checkpoint,
                (int)f->place.epoch + 1, (int)f->place.step);
    return OC_OK;
}

oc_status oc_training_create(oc_training **out, const oc_training_options *opt,
                             oc_error *err) {
    oc__error_clear(err);
    if (!out || !opt) return oc__fail(err, OC_E_ARG, "no place or no options");
    OC_TRY(check_options(opt, err));
    const oc_allocator *a =
        opt->allocator ? opt->allocator : &oc__default_allocator;
    oc_training *f = oc__calloc(a, 1, sizeof(*f));
    if (!f) return oc__fail_nomem(err);
    f->allocator = *a;
    f->opt = *opt;
    oc__arena_init(&f->arena, &f->allocator);
    atomic_init(&f->cancelled, 0);
    f->place.best = -1;
    f->started = oc__fit_now();
    oc_status st = start(f, err);
    if (st != OC_OK) {
        oc_training_destroy(f);
        return st;
    }
    *out = f;
    return OC_OK;
}

void oc_training_destroy(oc_training *f) {
    if (!f) return;
    oc__stream_destroy(f->train);
    oc__stream_destroy(f->val);
    oc_trainer_destroy(f->trainer);
    oc__teacher_destroy(f->teacher);
    oc__labelled_destroy(f->data);
    oc__arena_deinit(&f->arena);
    oc_allocator a = f->allocator;
    oc__release(&a, f, sizeof(*f));
}

void oc_training_cancel(oc_training *f) {
    atomic_store(&f->cancelled, 1);
}

double oc_training_best(const oc_training *f) {
    return f->place.best_epoch ? f->place.best : -1;
}

/* ---- the loop -------------------------------------------------------------
 */

static oc_status checkpoint(oc_training *f, oc_error *err) {
    oc__note note;
    f->place.seconds += oc__fit_now() - f->started;
    f->started = oc__fit_now();
    OC_TRY(oc__fit_write_note(f, &note, 1, err));
    return oc__checkpoint_write(f->trainer, &note, f->checkpoint, err);
}

static double seconds_so_far(const oc_training *f) {
    return f->place.seconds + oc__fit_now() - f->started;
}

/* Rows of the batch whose greatest logit is their class. */
static int64_t count_right(const oc__batch *b, const oc_tensor *logits) {
    int64_t right = 0, classes = logits->dims[1];
    for (int i = 0; i < b->n; i++) {
        const float *row = (const float *)logits->data + i * classes;
        int64_t best = 0;
        for (int64_t k = 1; k < classes; k++)
            if (row[k] > row[best]) best = k;
        right += b->label[i] == best;
    }
    return right;
}

static double rate_now(const oc_training *f, double steps) {
    double epoch = (double)f->place.epoch + (double)f->place.step / steps;
    return f->opt.rate * oc__schedule_share(f->opt.schedule, epoch,
                                            f->opt.epochs, f->opt.warmup,
                                            f->place.drops,
                                            OC_MAX(f->opt.last_rate, 0));
}

static void tell_step(const oc_training *f, const oc_step_result *r,
                      double rate, int64_t steps, double per_s) {
    const oc__fit_place *p = &f->place;
    double left =
        (double)(f->opt.epochs - p->epoch) * (double)steps - (double)p->step;
    oc_training_event e = {.kind = OC_TRAINING_STEP,
                           .epoch = (int)p->epoch + 1,
                           .epochs = f->opt.epochs,
                           .step = p->step,
                           .steps = steps,
                           .loss = r->loss,
                           .rate = rate,
                           .pictures_per_s = per_s,
                           .seconds = seconds_so_far(f)};
    if (p->plain_rows) e.accuracy = p->right / (double)p->plain_rows;
    if (per_s > 0) e.eta_s = left * f->opt.batch / per_s;
    send(f, &e);
}

oc_status oc__fit_step(oc_training *f, const oc__batch *b, oc_step_options *o,
                       oc_step_result *out, oc_error *err) {
    oc_tensor targets;
    int64_t dims[2] = {b->rows, f->data->n_classes};
    oc__tensor_set(&targets, OC_DTYPE_F32, 2, dims);
    targets.data = (void *)(uintptr_t)b->targets;
    if (f->teacher)
        OC_TRY(oc__teacher_ask(f->teacher, &b->images, &o->teacher, err));
    return oc_trainer_step(f->trainer, &b->images, &targets, o, out, err);
}

/* One step on batch b, which is counted. */
static oc_status one_step(oc_training *f, const oc__batch *b, double rate,
                          oc_step_result *r, oc_error *err) {
    oc_step_options o = {.rate = rate,
                         .decay = OC_MAX(f->opt.decay, 0),
                         .momentum = f->opt.momentum,
                         .clip = OC_MAX(f->opt.clip, 0)};
    OC_TRY(oc__fit_step(f, b, &o, r, err));
    f->place.loss += r->loss * b->n;
    f->place.rows += b->n;
    if (!b->mixed && !f->data->multi) {
        f->place.right += (double)count_right(b, r->logits);
        f->place.plain_rows += b->n;
    }
    f->place.step++;
    return OC_OK;
}

/* The epoch from where it is to its end. */
static oc_status run_epoch(oc_training *f, double *per_s, oc_error *err) {
    int64_t steps = oc__stream_steps(f->train), seen = 0;
    double begun = oc__fit_now();
    /* Stopped behind the last step: what is left is to measure. */
    if (f->place.step >= steps) return OC_OK;
    oc__stream_seek(f->train, f->place.epoch, f->place.step);
    for (;;) {
        const oc__batch *b;
        oc_step_result r;
        if (atomic_load(&f->cancelled)) {
            OC_TRY(checkpoint(f, err));
            return oc__fail(err, OC_E_CANCELLED,
                            "stopped at epoch %d, step %lld; %s goes on from "
                            "there",
                            (int)f->place.epoch + 1, (long long)f->place.step,
                            f->checkpoint);
        }
        OC_TRY(oc__stream_next(f->train, &b, err));
        if (!b) return OC_OK;
        double rate = rate_now(f, (double)steps);
        OC_TRY(one_step(f, b, rate, &r, err));
        seen += b->n;
        *per_s = (double)seen / (oc__fit_now() - begun);
        tell_step(f, &r, rate, steps, *per_s);
    }
}

static oc_status add_point(oc_training *f, double val_loss, double val_accuracy,
                           oc_error *err) {
    const oc__fit_place *p = &f->place;
    if (f->n_points == f->cap_points) {
        int room = OC_MAX(64, 2 * f->cap_points);
        oc__report_point *more =
            oc__arena_array(&f->arena, (size_t)room, sizeof(*more));
        if (!more) return oc__fail_nomem(err);
        if (f->n_points)
            memcpy(more, f->points, (size_t)f->n_points * sizeof(*more));
        f->points = more;
        f->cap_points = room;
    }
    oc__report_point *q = &f->points[f->n_points++];
    memset(q, 0, sizeof(*q));
    q->epoch = (double)p->epoch + 1;
    q->train_loss = p->rows ? p->loss / (double)p->rows : NAN;
    q->train_accuracy = p->plain_rows ? p->right / (double)p->plain_rows : NAN;
    q->val_loss = val_loss;
    q->val_accuracy = val_accuracy;
    q->learning_rate = rate_now(f, (double)oc__stream_steps(f->train));
    q->seconds = seconds_so_far(f);
    return OC_OK;
}

/* What the measuring of an epoch means for those to come. */
static int judge(oc_training *f, double accuracy, double loss) {
    oc__fit_place *p = &f->place;
    int better = !p->best_epoch || accuracy > p->best ||
                 (accuracy == p->best && loss < p->best_loss);
    if (better) {
        p->best = accuracy;
        p->best_loss = loss;
        p->best_epoch = (int)p->epoch + 1;
        p->waited = 0;
        return 1;
    }
    p->waited++;
    if (f->opt.schedule == OC_SCHEDULE_PLATEAU &&
        p->waited % OC_MAX(f->opt.patience / 3, 2) == 0)
        p->drops++;
    return 0;
}

/* Measures, keeps the model if it is the best, tells. */
static oc_status end_epoch(oc_training *f, double begun, double per_s,
                           oc_error *err) {
    oc__fit_place *p = &f->place;
    double accuracy, loss;
    OC_TRY(oc__fit_measure(f, &accuracy, &loss, err));
    OC_TRY(add_point(f, loss, accuracy, err));
    int best = judge(f, accuracy, loss);
    oc_training_event e = {.kind = OC_TRAINING_EPOCH,
                           .epoch = (int)p->epoch + 1,
                           .epochs = f->opt.epochs,
                           .steps = oc__stream_steps(f->train),
                           .loss = p->rows ? p->loss / (double)p->rows : 0,
                           .val_loss = loss,
                           .val_accuracy = accuracy,
                           .best = best,
                           .pictures_per_s = per_s,
                           .rate = f->points[f->n_points - 1].learning_rate,
                           .seconds = seconds_so_far(f)};
    if (p->plain_rows) e.accuracy = p->right / (double)p->plain_rows;
    e.eta_s = e.seconds / (double)(p->epoch + 1) *
              (double)(f->opt.epochs - p->epoch - 1);
    send(f, &e);
    if (best) {
        memcpy(f->best_logits, f->logits,
               (size_t)f->n_val * (size_t)f->data->n_classes * sizeof(float));
        OC_TRY(oc__fit_save_model(f, err));
    }
    oc__fit_correct_epochs(f, oc__fit_now() - begun);
    p->epoch++;
    p->step = p->rows = p->plain_rows = 0;
    p->loss = p->right = 0;
    OC_TRY(checkpoint(f, err));
    return oc__fit_report(f, 1, err);
}

static int is_over(oc_training *f) {
    const oc__fit_place *p = &f->place;
    if (p->epoch >= f->opt.epochs) return 1;
    if (f->opt.patience > 0 && p->waited >= f->opt.patience) {
        oc__fit_say(f, OC_TRAINING_NOTE,
                    "%d epochs without a better one: it ends here", p->waited);
        return 1;
    }
    if (f->opt.minutes > 0 && seconds_so_far(f) > 60 * f->opt.minutes) {
        oc__fit_say(f, OC_TRAINING_NOTE, "%g minutes are over: it ends here",
                    f->opt.minutes);
        return 1;
    }
    return 0;
}

oc_status oc_training_run(oc_training *f, oc_error *err) {
    double per_s = 0;
    oc__error_clear(err);
    while (!is_over(f)) {
        double begun = oc__fit_now();
        if (f->place.step == 0 && oc__fit_grows(f, f->place.epoch))
            OC_TRY(oc__fit_grow(f, err));
        OC_TRY(run_epoch(f, &per_s, err));
        OC_TRY(end_epoch(f, begun, per_s, err));
    }
    OC_TRY(oc__fit_report(f, 0, err));
    if (f->place.best_epoch)
        oc__fit_say(f, OC_TRAINING_SAVED, "%s", f->opt.out);
    return OC_OK;
}
