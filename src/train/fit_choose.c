/*
 * fit_choose.c - what the user leaves open, by looking at the data.
 *
 * Each choice is said with its reason.  The numbers are from runs on the sets
 * that docs/train.md names.
 */
#include "train/fit.h"

#include "base/label_tree.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define NOTE OC_TRAINING_NOTE

/* ---- the model's card -----------------------------------------------------
 */

static int same_labels(const oc_training *f, const char *const *labels, int n) {
    if (n != f->data->n_classes) return 0;
    for (int i = 0; i < n; i++)
        if (!labels[i] || strcmp(labels[i], f->data->classes[i]) != 0) return 0;
    return 1;
}

/* ---- the data -------------------------------------------------------------
 */

static void tell_data(oc_training *f) {
    const oc__labelled *d = f->data;
    oc__fit_say(f, NOTE, "%d pictures to train with, %d to measure on%s: %s",
                oc__labelled_count(d, OC_PART_TRAIN),
                oc__labelled_count(d, OC_PART_VAL),
                d->split_made ? " (split off here)" : "", d->form);
    oc__fit_say(f, NOTE, "%d classes%s, the largest %.1f times the smallest",
                d->n_classes, d->multi ? ", several to a picture" : "",
                oc__labelled_imbalance(d));
    for (int i = 0; i < d->n_bad && i < 10; i++)
        oc__fit_say(f, OC_TRAINING_WARNING, "left out: %s: %s", d->bad[i].path,
                    d->bad[i].why);
    if (d->n_bad > 10)
        oc__fit_say(f, OC_TRAINING_WARNING, "and %d more files like these",
                    d->n_bad - 10);
}

/* Old classes of which there are no pictures are lost when what all classes
   share is changed for the new ones. */
static void choose_kept(oc_training *f, int n_labels) {
    oc_training_options *o = &f->opt;
    int more = f->data->n_classes - n_labels, shown = 0;
    for (int k = 0; k < n_labels; k++)
        shown += f->data->counts[OC_PART_TRAIN][k] > 0;
    oc__fit_say(f, NOTE,
                "the model's %d classes stay (%d of them have pictures here), "
                "%d are new",
                n_labels, shown, more);
    if (more && !o->teacher) o->teacher = o->model;
    if (2 * shown > n_labels || o->freeze != OC_TRAIN_ALL) return;
    o->freeze = OC_TRAIN_HEAD_ONLY;
    o->freeze_norm = 1;
    oc__fit_say(f, NOTE,
                "the last layer alone learns: to change the others would lose "
                "classes without pictures");
}

static void choose_teacher(oc_training *f, int n_labels) {
    oc_training_options *o = &f->opt;
    if (o->keep_classes) choose_kept(f, n_labels);
    if (!o->teacher) return;
    if (o->distill == 0) o->distill = o->keep_classes ? 0.5 : 0.7;
    if (o->temperature == 0) o->temperature = 2;
    oc__fit_say(f, NOTE,
                "%s teaches: its word is %g of the loss, at a temperature of "
                "%g",
                o->teacher, o->distill, o->temperature);
}

/* ---- network and size -----------------------------------------------------
 */

static int rounded(int side, int step, int lo, int hi) {
    side = (side + step / 2) / step * step;
    return OC_MAX(lo, OC_MIN(side, hi));
}

static void choose_size(oc_training *f) {
    oc_training_options *o = &f->opt;
    if (o->model) return;
    int side = OC_MIN(f->look.width, f->look.height);
    if (!o->width || !o->height) {
        int step = side <= 64 ? 8 : 32;
        int n = rounded(side, step, 24, 160);
        o->width = o->width ? o->width : o->height ? o->height : n;
        o->height = o->height ? o->height : o->width;
        oc__fit_say(f, NOTE, "pictures of %d x %d: half of them are %d x %d",
                    o->width, o->height, f->look.width, f->look.height);
    }
}

static void choose_arch(oc_training *f) {
    oc_training_options *o = &f->opt;
    int n = oc__labelled_count(f->data, OC_PART_TRAIN);
    if (o->model || o->arch) return;
    /* Learns more from an epoch than a mobilenetv2 of as many seconds; that
       0.375 is enough was seen on sets of 5000 and 10,000 pictures alone. */
    o->arch = "resnet18";
    if (o->width_factor == 0) o->width_factor = n < 20000 ? 0.375 : 0.75;
    oc__fit_say(f, NOTE,
                "resnet18 with %g times its channels: %d pictures are %s",
                o->width_factor, n, n < 20000 ? "not many" : "many");
}

/* The network's input, for an architecture. */
static void choose_prep(oc_training *f) {
    oc_training_options *o = &f->opt;
    if (o->model) return;
    oc_preprocess *p = &f->prep;
    p->width = o->width;
    p->height = o->height;
    p->fit = OC_FIT_STRETCH;
    p->color = OC_COLOR_RGB;
    p->layout = OC_LAYOUT_NCHW;
    p->dtype = OC_DTYPE_F32;
    p->scale = 1.0f / 255;
    for (int c = 0; c < 3; c++) {
        p->mean[c] = f->look.mean[c];
        p->std[c] = OC_MAX(f->look.std[c], 0.05f);
    }
}

/* ---- how it learns --------------------------------------------------------
 */

static void choose_kind(oc_training *f) {
    oc_training_options *o = &f->opt;
    int attention =
        o->arch && (!strcmp(o->arch, "vit") || !strcmp(o->arch, "convnext"));
    if (o->optimizer == OC_OPTIMIZER_AUTO)
        o->optimizer = attention ? OC_OPTIMIZER_ADAMW : OC_OPTIMIZER_SGD;
    if (o->ema == 0) o->ema = 0.998;
}

/* Below a third of its rate, a network that learns from tiny photographs gets
 * better on these alone; the average is what takes the noise out. */
static void choose_last_rate(oc_training *f) {
    oc_training_options *o = &f->opt;
    if (o->last_rate != 0 || f->look.kind != OC_PICTURES_TINY || o->model ||
        o->ema < 0 || o->schedule != OC_SCHEDULE_COSINE)
        return;
    o->last_rate = 0.3;
    oc__fit_say(f, NOTE,
                "the rate ends at 0.3 of that: of tiny photographs less is "
                "learnt by heart");
}

static oc_status choose_batch(oc_training *f, oc_error *err) {
    oc_training_options *o = &f->opt;
    int n = oc__labelled_count(f->data, OC_PART_TRAIN);
    if (o->batch) return OC_OK;
    o->batch = OC_MIN(o->width, o->height) <= 64 ? 64 : 32;
    while (o->batch > 4 && o->batch * 8 > n)
        o->batch /= 2;
    /* A plan is the way to know what a step needs. */
    int wish = o->batch;
    oc_status st = OC_OK;
    while (o->memory_bytes &&
           (st = oc__fit_make_trainer(f, o->batch, err)) == OC_E_LIMIT &&
           o->batch > 2)
        o->batch /= 2;
    if (st != OC_OK) return st;
    oc__fit_say(f, NOTE, "%d pictures a step%s", o->batch,
                o->batch < wish ? ": more do not fit the memory" : "");
    oc_trainer_summary s = {0};
    if (f->trainer) oc_trainer_summarize(f->trainer, &s);
    if (s.recompute)
        oc__fit_say(f, NOTE,
                    "%s is computed twice instead of kept, to fit the memory",
                    s.recompute == 1 ? "what costs little"
                                     : "what lies between blocks");
    return st;
}

static void choose_optimizer(oc_training *f) {
    oc_training_options *o = &f->opt;
    int adam = o->optimizer == OC_OPTIMIZER_ADAMW;
    if (o->decay == 0) o->decay = adam ? 0.05 : 5e-4;
    if (o->clip == 0) o->clip = adam ? 1 : 5;
    if (o->smoothing == 0) o->smoothing = f->data->multi ? -1 : 0.1;
    if (o->rate == 0) {
        double per_32 = adam ? 5e-4 : o->qat ? 0.002 : o->model ? 0.005 : 0.06;
        o->rate = per_32 * (adam ? sqrt(o->batch / 32.0) : o->batch / 32.0);
        oc__fit_say(f, NOTE,
                    "%s with a rate of %.3g: usual for %d pictures a "
                    "step%s",
                    adam ? "AdamW" : "SGD", o->rate, o->batch,
                    o->model ? " of a model that knows something" : "");
    }
}

static oc_status choose_augment(oc_training *f, oc_error *err) {
    static const struct {
        const char *name;
        double strength;
    } levels[] = {{"none", 0}, {"light", 0.5}, {"usual", 1}, {"strong", 2}};
    const char *text = f->opt.augment ? f->opt.augment : "usual";
    char said[256];
    int found = 0;
    for (size_t i = 0; i < OC_COUNT(levels); i++)
        if (!strcmp(levels[i].name, text)) {
            f->augment = oc__augment_for(&f->look, levels[i].strength);
            found = 1;
        }
    if (!found) OC_TRY(oc__augment_parse(&f->augment, text, err));
    oc__augment_describe(&f->augment, said, sizeof(said));
    oc__fit_say(f, NOTE, "the pictures are %s: %s",
                oc__picture_kind_name(f->look.kind), said);
    return OC_OK;
}

/* Classes in classes: which lie together, on each level above them. */
static oc_status choose_levels(oc_training *f, oc_error *err) {
    oc_training_options *o = &f->opt;
    const char *const *names = f->data->classes;
    size_t n = (size_t)f->data->n_classes;
    if (f->data->multi || o->hierarchy < 0) return OC_OK;
    int64_t *order = oc__arena_array(&f->arena, 2 * n, sizeof(*order));
    if (!order) return oc__fail_nomem(err);
    f->levels = oc__label_order(names, (int)n, order);
    if (!f->levels) return OC_OK;
    f->above = oc__arena_array(&f->arena, n * (size_t)f->levels, sizeof(int));
    if (!f->above) return oc__fail_nomem(err);
    for (int level = 1; level <= f->levels; level++) {
        int *to = f->above + (size_t)(level - 1) * n, group = 0;
        for (size_t i = 0; i < n; i++) {
            group += i > 0 && !oc__label_same(names[order[i - 1]],
                                              names[order[i]], level);
            to[order[i]] = group;
        }
        oc__fit_say(f, NOTE, "%d classes %s them", group + 1,
                    level < f->levels ? "further above" : "above");
    }
    if (o->hierarchy == 0) o->hierarchy = 0.3;
    return OC_OK;
}

static void choose_length(oc_training *f) {
    oc_training_options *o = &f->opt;
    if (o->warmup == 0) o->warmup = o->model ? 1 : 2;
    if (o->grow > 0 && (o->qat || (o->arch && !strcmp(o->arch, "vit")))) {
        o->grow = 0;
        oc__fit_say(f, NOTE, "all pictures have one size: %s",
                    o->qat ? "ranges of 8 bits follow from them"
                           : "a vit knows each place of them");
    }
    if (o->epochs || o->minutes > 0) return;
    o->epochs = o->qat ? 10 : o->model ? 20 : 60;
    oc__fit_say(f, NOTE, "%d epochs at most", o->epochs);
}

oc_status oc__fit_choose(oc_training *f, oc_error *err) {
    oc_training_options *o = &f->opt;
    const char *const *labels = NULL;
    int n_labels = 0;
    if (o->model)
        OC_TRY(oc__read_classifier(o->model, o->cpu_mask, &f->prep, &labels,
                                   &n_labels, &f->arena, err));
    oc__labelled_options d = {.labels = o->labels,
                              .val = o->val,
                              .seed = o->seed,
                              .known = o->keep_classes ? labels : NULL,
                              .n_known = o->keep_classes ? n_labels : 0,
                              .allocator = &f->allocator};
    OC_TRY(oc__labelled_open(&f->data, o->data, &d, err));
    tell_data(f);
    choose_teacher(f, n_labels);
    OC_TRY(oc__labelled_look(&f->look, f->data, 0, err));
    f->keep_head =
        o->keep_classes || (o->model && same_labels(f, labels, n_labels));
    choose_size(f);
    choose_arch(f);
    choose_prep(f);
    if (o->model) {
        if (!o->width) o->width = f->prep.width ? f->prep.width : 224;
        if (!o->height) o->height = f->prep.height ? f->prep.height : 224;
        f->prep.width = o->width;
        f->prep.height = o->height;
    }
    choose_kind(f);
    OC_TRY(choose_batch(f, err));
    choose_optimizer(f);
    choose_last_rate(f);
    OC_TRY(choose_levels(f, err));
    OC_TRY(choose_augment(f, err));
    choose_length(f);
    if (o->patience == 0) o->patience = OC_MAX(8, o->epochs / 3);
    return OC_OK;
}

/* ---- the trainer ----------------------------------------------------------
 */

static oc_status make_teacher(oc_training *f, int batch, oc_error *err) {
    const oc_training_options *o = &f->opt;
    oc__teacher_options t = {.path = o->teacher,
                             .prep = f->prep,
                             .batch = batch,
                             .labels = f->data->classes,
                             .n_labels = f->data->n_classes,
                             .threads = o->threads,
                             .cpu_mask = o->cpu_mask,
                             .allocator = &f->allocator};
    oc__teacher_destroy(f->teacher);
    f->teacher = NULL;
    return o->teacher ? oc__teacher_create(&f->teacher, &t, err) : OC_OK;
}

oc_status oc__fit_make_trainer(oc_training *f, int batch, oc_error *err) {
    const oc_training_options *o = &f->opt;
    OC_TRY(make_teacher(f, batch, err));
    oc_trainer_options t = {
        .arch = o->arch,
        .model = o->model,
        .classes = f->data->n_classes,
        .keep_head = f->keep_head,
        .height = f->prep.height,
        .width = f->prep.width,
        .width_factor = o->width_factor,
        .batch = batch,
        .multi = f->data->multi,
        .criterion = o->criterion,
        .focus = o->focus,
        .levels = f->levels,
        .above = f->above,
        .hierarchy = OC_MAX(o->hierarchy, 0),
        .taught = f->teacher ? oc__teacher_classes(f->teacher) : 0,
        .distill = o->distill,
        .temperature = o->temperature,
        .optimizer = o->optimizer,
        .ema = OC_MAX(o->ema, 0),
        .freeze = o->freeze,
        .freeze_norm = o->freeze_norm,
        .qat = o->qat,
        .seed = o->seed,
        .threads = o->threads,
        .cpu_mask = o->cpu_mask,
        .memory_bytes = o->memory_bytes,
        .allocator = &f->allocator};
    oc_trainer_destroy(f->trainer);
    f->trainer = NULL;
    return oc_trainer_create(&f->trainer, &t, err);
}

/* Seconds that one step takes, data included, once it is under way: the
 * median, as other work on the machine makes some longer. */
static oc_status time_steps(oc_training *f, double *step, oc_error *err) {
    enum { WARM = 3, TIMED = 9 };
    double took[TIMED];
    oc_step_options o = {.rate = 0};
    oc_step_result r;
    oc__stream_seek(f->train, 0, 0);
    for (int i = 0; i < WARM + TIMED; i++) {
        const oc__batch *b;
        double begun = oc__fit_now();
        OC_TRY(oc__stream_next(f->train, &b, err));
        if (!b) {
            oc__stream_seek(f->train, 0, 0);
            OC_TRY(oc__stream_next(f->train, &b, err));
        }
        OC_TRY(oc__fit_step(f, b, &o, &r, err));
        if (i < WARM) continue;
        double t = oc__fit_now() - begun;
        int k = i - WARM;
        for (; k > 0 && took[k - 1] > t; k--)
            took[k] = took[k - 1];
        took[k] = t;
    }
    *step = took[TIMED / 2];
    return OC_OK;
}

/* As many epochs as fit into `left` seconds, one of full size taking so long;
 * 3 % stay. */
static int fitting(const oc_training *f, double left, double epoch) {
    double n = 0.97 * left / (epoch * oc__fit_mean_cost(f));
    return n > 300 ? 300 : (int)OC_MAX(n, 0);
}

oc_status oc__fit_choose_epochs(oc_training *f, oc_error *err) {
    double step, left = 60 * f->opt.minutes - (oc__fit_now() - f->started);
    if (!(f->opt.minutes > 0) || f->opt.epochs) return OC_OK;
    OC_TRY(oc__fit_make_trainer(f, f->opt.batch, err));
    OC_TRY(time_steps(f, &step, err));
    /* Measuring is forward alone, about a third of a step. */
    double epoch = step * ((double)oc__stream_steps(f->train) +
                           (double)f->n_val / f->opt.batch / 3);
    f->opt.epochs = OC_MAX(1, fitting(f, left, epoch));
    f->opt.patience = -1;
    f->is_timed = 1;
    oc__fit_say(f, NOTE,
                "%d epochs: one takes some %.1f s, and there are %g "
                "minutes",
                f->opt.epochs, epoch * oc__fit_mean_cost(f), f->opt.minutes);
    return OC_OK;
}

/* The rate of the first epoch does not depend on how many there are. */
void oc__fit_correct_epochs(oc_training *f, double seconds) {
    double used = f->place.seconds + oc__fit_now() - f->started;
    double epoch = seconds / oc__fit_cost(f, 0);
    if (!f->is_timed || f->place.epoch != 0 || f->opt.warmup < 1) return;
    int n = 1 + fitting(f, 60 * f->opt.minutes - used, epoch);
    if (n == f->opt.epochs) return;
    f->opt.epochs = n;
    oc__fit_say(f, NOTE, "%d epochs: the first took %.1f s", n, seconds);
}
