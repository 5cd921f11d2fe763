/*
 * fuzz_decode.c - any bytes as a card's choices and as a network's outputs,
 * for every decoder.
 *
 *     bytes:  decoder, card's choices, shapes | numbers, again and again
 *
 * Half of the inputs get the shapes their decoder wants, since random ones
 * end at the first check.  Whatever the numbers are, results must be finite,
 * inside the picture, sorted, and no more than asked for.
 */
#include "tasks/vision_private.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MOST_ELEMS = 1 << 14, LABELS = 8 };

typedef struct bytes {
    const uint8_t *v;
    size_t n, at;
} bytes;

/* The next byte; 0 behind the last. */
static int next(bytes *b) {
    return b->at < b->n ? b->v[b->at++] : 0;
}

/* A number from lo to hi. */
static int pick(bytes *b, int lo, int hi) {
    return lo + next(b) % (hi - lo + 1);
}

/* ---- numbers --------------------------------------------------------------
 */

/* Half of the bytes are what networks mostly say, the rest is anything. */
static float number(int byte) {
    static const float odd[] = {
        NAN,   INFINITY, -INFINITY, 3.4e38f, -3.4e38f, 1e20f,  -1e20f, 1e-40f,
        -0.0f, 88.7f,    -88.8f,    104.0f,  1e9f,     2.2e9f, 65536,  1};
    if (byte < 16) return odd[byte];
    if (byte < 64) return (float)(byte - 40) * 4;
    return (float)(byte - 64) / 191;
}

/* Reads on in a circle, so that few bytes fill a large output. */
static void fill(bytes *b, float *v, int64_t n) {
    size_t from = b->at < b->n ? b->at : 0;
    size_t count = b->n - from;
    for (int64_t i = 0; i < n; i++) {
        v[i] = count ? number(b->v[from + (size_t)i * 7 % count]) : 0;
    }
}

/* ---- the shapes decoders want ---------------------------------------------
 */

/*
 * One letter for each dim: n cells of all strides, l cells of the head's own
 * stride, q any count, c classes, and sums of these; see dim_of().
 */
static const struct {
    oc_task task;
    const char *kind;
    const char *heads; /* parted by blanks */
} wanted[] = {
    {OC_TASK_CLASSIFY, "softmax", "1c"},
    {OC_TASK_CLASSIFY, "logits", "1c"},
    {OC_TASK_CLASSIFY, "sigmoid", "1c11"},
    {OC_TASK_DETECT, "yolox", "1nr"},
    {OC_TASK_DETECT, "yolov5", "1qr"},
    {OC_TASK_DETECT, "yolov8", "1vQ"},
    {OC_TASK_DETECT, "yolov8", "1Qv"},
    {OC_TASK_DETECT, "rows", "1q6"},
    {OC_TASK_DETECT, "ssd", "1ac 1a4"},
    {OC_TASK_DETECT, "nanodet", "1nb"},
    {OC_TASK_DETECT, "nanodet", "lc lB lc lB lc lB lc lB"},
    {OC_TASK_DETECT, "ultraface", "1qc 1q4"},
    {OC_TASK_DETECT, "yunet", "1l1 1l1 1l1 1l1 1l1 1l1 1l4 1l4 1l4 lk lk lk"},
    {OC_TASK_DETECT, "detr", "1qc 1q4"},
    {OC_TASK_DETECT, "torchvision", "q4 q q qx3"},
    {OC_TASK_DETECT, "tf_nms", "1q4 1q 1q 1"},
    {OC_TASK_DETECT, "centernet", "1chw 12hw 12hw"},
    {OC_TASK_DETECT, "heatmap", "1xhw"},
    {OC_TASK_DETECT, "movenet", "11x3"},
    {OC_TASK_DETECT, "movenet", "1qp"},
    {OC_TASK_SEGMENT, "logits", "1chw"},
    {OC_TASK_SEGMENT, "logits", "1hwc"},
    {OC_TASK_SEGMENT, "argmax", "1hw"},
    {OC_TASK_SEGMENT, "mask", "1hw1"},
    {OC_TASK_SEGMENT, "mask", "hw"},
};

typedef struct job {
    bytes b;
    oc_card *card;
    oc_vision v;
    oc__heads heads;
    oc_transform where;
    float *data[OC_MAX_HEADS];
    int q, classes, h, w;
} job;

/* TensorFlow's anchors for the usual ratios: 3 a cell, then 6. */
static int64_t anchors_of(const job *j) {
    int64_t n = 0;
    if (j->card->anchors.n) return j->card->anchors.n / 4;
    for (int i = 0; i < 6; i++) {
        int s = j->card->strides.n > i ? (int)j->card->strides.v[i] : 16 << i;
        int64_t w = (j->heads.width + s - 1) / s;
        n += w * ((j->heads.height + s - 1) / s) * (i ? 6 : 3);
    }
    return n;
}

static int64_t dim_of(const job *j, char letter, int head, int heads) {
    oc__level levels[OC_MAX_LEVELS];
    int n = oc__levels_of(&j->heads, levels);
    int points = j->card->keypoints;
    int bins = j->card->bins ? j->card->bins : 8;
    /* nanodet has two heads a level, yunet one of each role. */
    int l = heads == 12 ? head % 3 : head / 2;
    switch (letter) {
    case 'n': return oc__levels_cells(levels, n);
    case 'l': return (int64_t)levels[l % n].w * levels[l % n].h;
    case 'q': return j->q;
    case 'Q': return j->q + 64 + 3 * points;
    case 'a': return anchors_of(j);
    case 'c': return j->classes;
    case 'r': return j->classes + 5;
    case 'v': return j->classes + 4 + points * (j->q % 2 + 2);
    case 'b': return j->classes + 4 * bins;
    case 'B': return 4 * bins;
    case 'k': return 2 * (points ? points : 5);
    case 'x': return points ? points : 1 + j->q;
    case 'p': return 5 + 3 * (int64_t)(points ? points : 17);
    case 'h': return j->h;
    case 'w': return j->w;
    default: return letter - '0';
    }
}

/* ---- set up ---------------------------------------------------------------
 */

static void set(oc_card *card, const char *field, const double *v, int n) {
    if (oc__card_put_numbers(card, oc__card_find_field(field), v, n, NULL))
        abort();
}

static void set_number(oc_card *card, const char *field, double v) {
    set(card, field, &v, 1);
}

static void make_card(job *j, int row) {
    static const char *const names[LABELS] = {"a", "b", "c", "d",
                                              "e", "f", "g", "h"};
    static const double small[] = {4, 8, 16, 32, 64, 128};
    oc_card *card = j->card;
    bytes *b = &j->b;
    double v[16];
    card->task = (int)wanted[row].task;
    card->kind = wanted[row].kind;
    card->activation = pick(b, 0, 2);
    card->nms = pick(b, 0, 3);
    oc__card_mark(card, "decode.nms");
    card->background = pick(b, 0, 3) ? -1 : pick(b, 0, 4);
    j->classes = pick(b, 0, 9);
    int labels = pick(b, 0, 1) ? j->classes : pick(b, 0, LABELS);
    if (oc_card_set_labels(card, names, OC_MIN(labels, LABELS), NULL)) abort();
    if (pick(b, 0, 1)) set_number(card, "decode.keypoints", pick(b, 0, 20));
    if (pick(b, 0, 1)) set_number(card, "decode.bins", pick(b, 1, 16));
    if (pick(b, 0, 1)) set_number(card, "decode.sigma", pick(b, 1, 255));
    int n = pick(b, 0, 8);
    for (int i = 0; i < n; i++) {
        v[i] = small[pick(b, 0, 5)];
    }
    if (n) set(card, "decode.strides", v, n);
    n = pick(b, 0, 4);
    for (int i = 0; i < 4 * n; i++) {
        v[i] = pick(b, 0, 32) - 16.0;
    }
    if (n) set(card, "decode.anchors", v, 4 * n);
    n = pick(b, 0, 5);
    for (int i = 0; i < n; i++) {
        v[i] = pick(b, 1, 100) / 10.0;
    }
    if (n) set(card, "decode.ratios", v, n);
}

static void make_vision(job *j, int row) {
    bytes *b = &j->b;
    static const float thresholds[] = {0.35f, 0, 1e-6f, 0.999f, 1};
    j->v.allocator = oc__default_allocator;
    j->v.card = j->card;
    j->v.decoder = oc__decoder_find(wanted[row].task, wanted[row].kind);
    j->v.threshold = thresholds[pick(b, 0, 4)];
    j->v.top = (size_t)pick(b, 1, 40);
    j->v.batch = pick(b, 1, 2);
    j->heads.card = j->card;
    j->heads.threshold = j->v.threshold;
    j->heads.width = pick(b, 1, 200);
    j->heads.height = pick(b, 1, 200);
    oc_preprocess p = {.width = j->heads.width, .height = j->heads.height};
    p.fit = (oc_fit)pick(b, 0, 3);
    p.crop = pick(b, 0, 1) ? 0.875 : 0;
    if (oc_preprocess_transform(&j->where, &p, pick(b, 1, 255), pick(b, 1, 99),
                                NULL))
        memset(&j->where, 0, sizeof j->where);
}

/* 0: the outputs would be too large. */
static int make_heads(job *j, int row) {
    bytes *b = &j->b;
    int right = pick(b, 0, 1), heads = 1;
    for (const char *s = wanted[row].heads; *s; s++) {
        heads += *s == ' ';
    }
    if (!right) heads = pick(b, 1, 13);
    const char *spec = wanted[row].heads;
    j->q = pick(b, 0, 60);
    j->h = pick(b, 0, 40);
    j->w = pick(b, 0, 40);
    for (int i = 0; i < heads; i++) {
        oc__head *head = &j->heads.head[i];
        int64_t total = 1;
        head->name = "out";
        head->rank = right ? (int)strcspn(spec, " ") : pick(b, 0, 5);
        for (int k = 0; k < head->rank; k++) {
            head->dims[k] =
                right ? dim_of(j, spec[k], i, heads) : pick(b, 0, 12);
            if (head->dims[k] > MOST_ELEMS) return 0;
            total *= head->dims[k];
            if (total > MOST_ELEMS) return 0;
        }
        /* To the exact size: what is read behind it is seen. */
        j->data[i] = malloc(total ? (size_t)total * sizeof(float) : 1);
        if (!j->data[i]) return 0;
        fill(b, j->data[i], total);
        head->v = j->data[i];
        j->heads.n = i + 1;
        spec += strcspn(spec, " ");
        spec += *spec == ' ';
    }
    return 1;
}

/* ---- what must hold -------------------------------------------------------
 */

static void check_objects(const job *j, const oc_result *r) {
    float w = (float)j->where.source_width, h = (float)j->where.source_height;
    if ((size_t)r->object_count > j->v.top) abort();
    for (int i = 0; i < r->object_count; i++) {
        const oc_object *o = &r->objects[i];
        if (!isfinite(o->score) || !o->label) abort();
        if (i && o->score > r->objects[i - 1].score) abort();
        if (!(o->box[0] >= 0 && o->box[1] >= 0 && o->box[2] <= w &&
              o->box[3] <= h && o->box[0] < o->box[2] && o->box[1] < o->box[3]))
            abort();
        for (int k = 0; k < o->keypoint_count; k++) {
            const oc_keypoint *p = &o->keypoints[k];
            if (!isfinite(p->x) || !isfinite(p->y) || !isfinite(p->score))
                abort();
        }
    }
}

static void check_labels(const job *j, const oc_result *r) {
    if ((size_t)r->label_count > j->v.top) abort();
    for (int i = 0; i < r->label_count; i++) {
        const oc_label *l = &r->labels[i];
        if (!isfinite(l->score) || !l->label || l->index < 0) abort();
        if (i && l->score > r->labels[i - 1].score) abort();
    }
}

static void check_classes(const job *j, const oc_result *r) {
    double sum = 0;
    if (r->mask.width != j->where.source_width ||
        r->mask.height != j->where.source_height)
        abort();
    for (int i = 0; i < r->class_count; i++) {
        if (!r->classes[i].label) abort();
        sum += r->classes[i].fraction;
    }
    if (fabs(sum - 1) > 1e-9) abort();
}

static void run(job *j) {
    oc_result r;
    oc_error err = {0};
    if (oc__result_init(&r, &j->v, &err)) return;
    oc_status st;
    switch (j->card->task) {
    case OC_TASK_CLASSIFY:
        st = oc__classify(&j->v, &j->heads, &r, &err);
        if (!st) check_labels(j, &r);
        break;
    case OC_TASK_DETECT:
        st = oc__detect(&j->v, &j->heads, &j->where, pick(&j->b, 0, 1), &r,
                        &err);
        if (!st) check_objects(j, &r);
        break;
    default:
        st = oc__segment(&j->v, &j->heads, &j->where, &r, &err);
        if (!st) check_classes(j, &r);
    }
    if (st && !err.message[0]) abort();
    oc_result_deinit(&r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static job j;
    memset(&j, 0, sizeof j);
    j.b = (bytes){data, size, 0};
    if (size > 4096 || oc_card_create(&j.card, NULL, NULL)) return 0;
    int row = pick(&j.b, 0, (int)OC_COUNT(wanted) - 1);
    make_card(&j, row);
    make_vision(&j, row);
    if (j.where.source_width && make_heads(&j, row) &&
        j.heads.n >= j.v.decoder->min_heads)
        run(&j);
    for (int i = 0; i < OC_MAX_HEADS; i++) {
        free(j.data[i]);
    }
    oc_card_destroy(j.card);
    return 0;
}
