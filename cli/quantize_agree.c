/*
 * quantize_agree.c - how much of what a model says of pictures in f32 it still
 * says in 8 bits: what can be measured without labels.
 *
 * Outputs are compared as they are decoded, for of thousands of anchors a few
 * matter, and of those what is left of their boxes and scores:
 *
 *     classify   1 less the size of the error over that of the differences
 *                between labels: where the best are all alike, which of them
 *                comes first says little
 *     detect     objects of one class, by their scores and how far they overlap
 *     segment    the overlap of each class, on average over classes
 *     restore    1 less the size of the error over that of the outputs
 *
 * What is the same of labels, objects and classes is twice what both have over
 * the sum of what each has (Dice); so nothing depends on where a threshold
 * lies.
 */
#include "quantize.h"

#include "out.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Objects below this score count for little, and there are many. */
#define LEAST_SCORE 0.1
/* Masks are looked at in so many places each way. */
enum { GRID = 192, CLASSES = 256, MOST = 100, TENSORS = QUANTIZE_SAMPLES };
/* Classes of less than this share of all places are noise. */
#define LEAST_AREA 0.001

typedef struct thing {
    int index;
    double score;
    double box[4]; /* DETECT */
} thing;

typedef struct floats {
    float *x;
    size_t n;
} floats;

struct spoken {
    int n_things, n_outputs;
    thing things[MOST];
    uint8_t *mask;   /* SEGMENT: GRID * GRID classes */
    floats *outputs; /* of the first pictures; x NULL: not of f32 */
};

/* ---- what is said ---------------------------------------------------------
 */

static void note_objects(spoken *s, const oc_result *r) {
    for (int i = 0; i < r->object_count && s->n_things < MOST; i++) {
        const oc_object *o = &r->objects[i];
        thing *t = &s->things[s->n_things++];
        t->index = o->index;
        t->score = (double)o->score;
        for (int k = 0; k < 4; k++)
            t->box[k] = (double)o->box[k];
    }
}

static void note_labels(spoken *s, const oc_result *r) {
    for (int i = 0; i < r->label_count && s->n_things < MOST; i++) {
        thing *t = &s->things[s->n_things++];
        t->index = r->labels[i].index;
        t->score = fmax((double)r->labels[i].score, 0);
    }
}

static int note_mask(spoken *s, const oc_image *m) {
    s->mask = malloc((size_t)GRID * GRID);
    if (!s->mask) return cli_fail(CLI_RESOURCES, "out of memory");
    for (int i = 0; i < GRID * GRID; i++) {
        size_t x = (size_t)(i % GRID) * (size_t)m->width / GRID;
        size_t y = (size_t)(i / GRID) * (size_t)m->height / GRID;
        s->mask[i] = m->pixels[y * m->stride + x * (size_t)m->channels];
    }
    return CLI_OK;
}

static int note_outputs(spoken *s, const oc_session *session, int n) {
    s->outputs = calloc((size_t)n + 1, sizeof *s->outputs);
    if (!s->outputs) return cli_fail(CLI_RESOURCES, "out of memory");
    s->n_outputs = n;
    for (int k = 0; k < n; k++) {
        const oc_tensor *y = oc_session_output_tensor(session, k);
        if (!y || y->dtype != OC_DTYPE_F32) continue;
        size_t elems = 1;
        for (int i = 0; i < y->rank; i++)
            elems *= (size_t)y->dims[i];
        float *copy = malloc(elems * sizeof *copy + 1);
        if (!copy) return cli_fail(CLI_RESOURCES, "out of memory");
        memcpy(copy, y->data, elems * sizeof *copy);
        s->outputs[k] = (floats){copy, elems};
    }
    return CLI_OK;
}

static void forget(spoken *s) {
    for (int k = 0; k < s->n_outputs; k++)
        free(s->outputs[k].x);
    free(s->outputs);
    free(s->mask);
    memset(s, 0, sizeof *s);
}

/* What v says of a picture.  outputs: those of the network, too. */
static int listen(oc_vision *v, const char *path, int outputs, spoken *s) {
    oc_image_options opt = {0};
    oc_image img = {0};
    oc_result r = {0};
    oc_error err;
    int code = CLI_OK;
    memset(s, 0, sizeof *s);
    oc_vision_load_options(v, &opt);
    if (oc_image_load(&img, path, &opt, &err) ||
        oc_vision_run(v, &img, &r, &err))
        code = cli_report(&err, path);
    if (!code && r.task == OC_TASK_DETECT) note_objects(s, &r);
    if (!code && r.task == OC_TASK_CLASSIFY) note_labels(s, &r);
    if (!code && r.task == OC_TASK_SEGMENT) code = note_mask(s, &r.mask);
    if (!code && outputs) code = note_outputs(s, oc_vision_session(v), outputs);
    oc_result_deinit(&r);
    oc_image_deinit(&img);
    return code;
}

/* ---- how much of it is the same -------------------------------------------
 */

static double overlap(const double *a, const double *b) {
    double w = fmin(a[2], b[2]) - fmax(a[0], b[0]);
    double h = fmin(a[3], b[3]) - fmax(a[1], b[1]);
    double both = w > 0 && h > 0 ? w * h : 0;
    double all =
        (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both;
    return all > 0 ? both / all : 0;
}

typedef struct tally {
    double both, all; /* Dice: both over all */
    int64_t same[CLASSES], seen[CLASSES], places;
    double ratios; /* noise over signal, summed up over outputs */
    int n_ratios;
    double noise, signal; /* of what differs from an output's mean */
} tally;

/* The best of truth first: each takes of the rest what it has most in common
 * with. */
static void count_things(tally *t, const spoken *truth, const spoken *now,
                         int boxes) {
    char taken[MOST] = {0};
    for (int i = 0; i < now->n_things; i++)
        t->all += now->things[i].score;
    for (int i = 0; i < truth->n_things; i++) {
        const thing *a = &truth->things[i];
        double best = 0;
        int which = -1;
        t->all += a->score;
        for (int k = 0; k < now->n_things; k++) {
            const thing *b = &now->things[k];
            if (taken[k] || a->index != b->index) continue;
            double common = 2 * fmin(a->score, b->score) *
                            (boxes ? overlap(a->box, b->box) : 1);
            if (common <= best) continue;
            best = common;
            which = k;
        }
        if (which < 0) continue;
        taken[which] = 1;
        t->both += best;
    }
}

static void count_masks(tally *t, const uint8_t *a, const uint8_t *b) {
    for (int i = 0; i < GRID * GRID; i++) {
        t->seen[a[i]]++;
        t->seen[b[i]]++;
        t->same[a[i]] += a[i] == b[i];
    }
    t->places += (int64_t)GRID * GRID;
}

static double ratio_of(double noise, double signal) {
    double ratio = noise / (signal + 1e-30);
    return isfinite(ratio) ? fmin(ratio, 1) : 1;
}

static void count_outputs(tally *t, const spoken *truth, const spoken *now) {
    for (int k = 0; k < truth->n_outputs && k < now->n_outputs; k++) {
        const floats *a = &truth->outputs[k], *b = &now->outputs[k];
        double signal = 0, noise = 0, sum = 0, shift = 0, n = (double)a->n;
        if (!a->x || !b->x || !a->n) continue;
        for (size_t i = 0; i < a->n && a->n == b->n; i++) {
            double x = (double)a->x[i], d = (double)b->x[i] - x;
            signal += x * x;
            noise += d * d;
            sum += x;
            shift += d;
        }
        t->n_ratios++;
        if (a->n != b->n) noise = INFINITY; /* of another size: all noise */
        t->ratios += ratio_of(noise, signal);
        t->noise += noise - shift * shift / n;
        t->signal += signal - sum * sum / n;
    }
}

static void add_classes(tally *t) {
    for (int c = 0; c < CLASSES; c++) {
        if (!t->seen[c] ||
            (double)t->seen[c] < 2 * LEAST_AREA * (double)t->places)
            continue;
        t->both += 2 * (double)t->same[c] / (double)t->seen[c];
        t->all += 1;
    }
}

static void finish(tally *t, oc_task task, double *share, double *db) {
    double ratio = t->n_ratios ? t->ratios / t->n_ratios : 0;
    *db = -10 * log10(fmax(ratio, 1e-20));
    add_classes(t);
    *share = t->all > 0 ? t->both / t->all : 1;
    if (task == OC_TASK_RESTORE) *share = 1 - sqrt(ratio);
    if (task == OC_TASK_CLASSIFY && t->n_ratios)
        *share = 1 - sqrt(ratio_of(t->noise, t->signal));
}

/* ---- the whole ------------------------------------------------------------
 */

static oc_task task_of(const quantize *r) {
    return oc_card_task(r->v.card);
}

static int start(const quantize *r, oc_model *model, oc_vision **v) {
    oc_vision_options opt = {
        .card = r->v.card, .session = {.threads = r->threads}, .top = MOST};
    oc_error err;
    if (task_of(r) == OC_TASK_DETECT) opt.threshold = LEAST_SCORE;
    if (task_of(r) == OC_TASK_CLASSIFY) opt.top = 5;
    if (oc_vision_create(v, model, &opt, &err))
        return cli_report(&err, r->args->operands[0]);
    return CLI_OK;
}

/* Whether outputs of picture i are wanted: those of detectors are large. */
static int has_outputs(const agreement *a, int i) {
    oc_task task = task_of(a->r);
    return i < TENSORS || task == OC_TASK_RESTORE || task == OC_TASK_CLASSIFY;
}

/* Those of the pictures that can be read once more, evenly out of all. */
static int choose_pictures(agreement *a) {
    const picture_list *all = &a->r->pictures;
    size_t most = all->n < AGREEMENT_PICTURES ? all->n : AGREEMENT_PICTURES;
    a->paths = calloc(most + 1, sizeof *a->paths);
    a->truth = calloc(most + 1, sizeof *a->truth);
    if (!a->paths || !a->truth) return cli_fail(CLI_RESOURCES, "out of memory");
    for (size_t i = 0; i < most; i++) {
        const char *path = all->paths[i * all->n / most];
        if (strcmp(path, "-") != 0) a->paths[a->n_pictures++] = path;
    }
    return CLI_OK;
}

int agreement_open(agreement *a, quantize *r) {
    trial t;
    oc_vision *v = NULL;
    memset(a, 0, sizeof *a);
    a->r = r;
    int code = choose_pictures(a), n = 0;
    if (code) return code;
    code = trial_open(&t, r, 1);
    if (!code) code = trial_load(&t);
    if (!code) code = start(r, t.model, &v);
    int outputs = oc_model_output_count(r->v.model);
    for (int i = 0; i < a->n_pictures && !code; i++) {
        code = listen(v, a->paths[i], has_outputs(a, n) ? outputs : 0,
                      &a->truth[n]);
        if (code && code != CLI_RESOURCES) {
            /* It was complained of, but for what is left of it. */
            forget(&a->truth[n]);
            code = CLI_OK;
            continue;
        }
        a->paths[n++] = a->paths[i];
    }
    a->n_pictures = n;
    oc_vision_destroy(v);
    trial_close(&t);
    return code;
}

int agreement_now(agreement *a, int pictures, double *share, double *db) {
    quantize *r = a->r;
    oc_vision *v = NULL;
    spoken *now = malloc(sizeof *now);
    tally *sum = calloc(1, sizeof *sum);
    trial t;
    int code = now && sum ? CLI_OK : cli_fail(CLI_RESOURCES, "out of memory");
    int outputs = oc_model_output_count(r->v.model);
    memset(&t, 0, sizeof t);
    if (!code) code = trial_open(&t, r, 0);
    if (!code) code = trial_load(&t);
    if (!code) code = start(r, t.model, &v);
    for (int i = 0; i < pictures && i < a->n_pictures && !code; i++) {
        const spoken *truth = &a->truth[i];
        code = listen(v, a->paths[i], has_outputs(a, i) ? outputs : 0, now);
        if (!code && truth->mask && now->mask)
            count_masks(sum, truth->mask, now->mask);
        if (!code) count_things(sum, truth, now, task_of(r) == OC_TASK_DETECT);
        if (!code) count_outputs(sum, truth, now);
        forget(now);
    }
    if (!code) finish(sum, task_of(r), share, db);
    oc_vision_destroy(v);
    trial_close(&t);
    free(now);
    free(sum);
    return code;
}

void agreement_close(agreement *a) {
    for (int i = 0; a->truth && i < a->n_pictures; i++)
        forget(&a->truth[i]);
    free(a->truth);
    free(a->paths);
    memset(a, 0, sizeof *a);
}
