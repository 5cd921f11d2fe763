/*
 * coco.c - COCO's measure for boxes: average precision and recall.
 *
 * Follows pycocotools' COCOeval step for step, so that figures are equal and
 * not only alike.  For every class, picture, size range and IoU:
 *
 *   match     detections, best first, take the free truth they overlap most;
 *             truths outside the size range, and crowds, are taken last and
 *             then count neither way
 *   gather    detections of all pictures, best first, become a precision over
 *             recall, made to fall, and read off at 101 recalls
 *
 * Source: https://cocodataset.org/#detection-eval and pycocotools 2.0.
 */
#include <ocelli/eval.h>

#include "base/memory.h"
#include "base/size.h"
#include "base/sort.h"
#include "base/status.h"

#include <math.h>
#include <string.h>

#define IOUS    10
#define RECALLS 101
#define RANGES  4
#define LIMITS  3

static const double range_low[RANGES] = {0, 0, 32 * 32, 96 * 96};
static const double range_high[RANGES] = {1e10, 32 * 32, 96 * 96, 1e10};
static const int limits[LIMITS] = {1, 10, 100};

typedef struct found {
    double box[4], score;
    int category, picture;
} found;

typedef struct truth {
    oc_truth t;
    int picture;
} truth;

struct oc_coco {
    oc_allocator allocator;
    int classes, pictures;
    found *found;
    size_t n_found, cap_found;
    truth *truths;
    size_t n_truths, cap_truths;
    /* Sums of precision and recall over classes, with how many there were. */
    double *class_ap;
};

oc_status oc_coco_create(oc_coco **out, int classes,
                         const oc_allocator *allocator, oc_error *err) {
    if (!allocator) allocator = &oc__default_allocator;
    if (classes < 1)
        return oc__fail(err, OC_E_ARG, "there must be a class to measure");
    oc_coco *c = oc__calloc(allocator, 1, sizeof *c);
    if (!c) return oc__fail_nomem(err);
    c->allocator = *allocator;
    c->classes = classes;
    c->class_ap = oc__calloc(allocator, (size_t)classes, sizeof *c->class_ap);
    if (!c->class_ap) {
        oc_coco_destroy(c);
        return oc__fail_nomem(err);
    }
    *out = c;
    return OC_OK;
}

void oc_coco_destroy(oc_coco *c) {
    if (!c) return;
    oc_allocator a = c->allocator;
    oc__release(&a, c->found, c->cap_found * sizeof *c->found);
    oc__release(&a, c->truths, c->cap_truths * sizeof *c->truths);
    oc__release(&a, c->class_ap, (size_t)c->classes * sizeof *c->class_ap);
    oc__release(&a, c, sizeof *c);
}

static oc_status grow(const oc_allocator *a, void **list, size_t n, size_t size,
                      size_t *cap, oc_error *err) {
    size_t more = OC_MAX(*cap * 2, 256), bytes;
    if (n < *cap) return OC_OK;
    if (oc__size_mul(more, size, &bytes)) return oc__fail_nomem(err);
    void *p = oc__alloc(a, bytes);
    if (!p) return oc__fail_nomem(err);
    if (n) memcpy(p, *list, n * size);
    oc__release(a, *list, *cap * size);
    *list = p;
    *cap = more;
    return OC_OK;
}

oc_status oc_coco_add_picture(oc_coco *c, const oc_truth *truths, int count,
                              oc_error *err) {
    for (int i = 0; i < count; i++) {
        void *list = c->truths;
        if (truths[i].category < 0 || truths[i].category >= c->classes)
            return oc__fail(err, OC_E_ARG, "a truth of class %d among %d",
                            truths[i].category, c->classes);
        oc_status st = grow(&c->allocator, &list, c->n_truths,
                            sizeof *c->truths, &c->cap_truths, err);
        c->truths = list;
        if (st) return st;
        c->truths[c->n_truths++] = (truth){truths[i], c->pictures};
    }
    c->pictures++;
    return OC_OK;
}

oc_status oc_coco_add(oc_coco *c, int category, const double box[4],
                      double score, oc_error *err) {
    void *list = c->found;
    if (!c->pictures)
        return oc__fail(err, OC_E_ARG, "a detection before the first picture");
    if (category < 0 || category >= c->classes)
        return oc__fail(err, OC_E_ARG, "a detection of class %d among %d",
                        category, c->classes);
    oc_status st = grow(&c->allocator, &list, c->n_found, sizeof *c->found,
                        &c->cap_found, err);
    c->found = list;
    if (st) return st;
    found *f = &c->found[c->n_found++];
    memcpy(f->box, box, sizeof f->box);
    f->score = score;
    f->category = category;
    f->picture = c->pictures - 1;
    return OC_OK;
}

/* ---- one class ------------------------------------------------------------
 */

/*
 * Everything about one class: indexes into c->found and c->truths by picture,
 * best first, and what matching makes of them.
 */
typedef struct work {
    oc__arena arena;
    int64_t *found, *truths, *tmp; /* indexes */
    size_t n_found, n_truths;
    double *overlap;        /* of one picture: detections x truths */
    int64_t *order;         /* of one picture's truths: ignored ones last */
    unsigned char *ignored; /* the same */
    unsigned char *taken;   /* the same, for one IoU */
    signed char *matched;   /* per detection and IoU: 1 right, 0 wrong, */
    int *rank;              /* -1 no count; place in its picture */
    int64_t *by_score;
    double *precision, *scratch;
} work;

static int by_picture_and_score(const void *ctx, int64_t a, int64_t b) {
    const found *f = ctx;
    if (f[a].picture != f[b].picture)
        return f[a].picture < f[b].picture ? -1 : 1;
    return f[a].score > f[b].score ? -1 : f[a].score < f[b].score;
}

typedef struct score_context {
    const found *f;
    const int64_t *index;
} score_context;

static int by_score(const void *ctx, int64_t a, int64_t b) {
    const score_context *s = ctx;
    double x = s->f[s->index[a]].score, y = s->f[s->index[b]].score;
    return x > y ? -1 : x < y;
}

/* Intersection over union; over the detection alone when it is a crowd. */
static double overlap(const double *d, const oc_truth *t) {
    double w = fmin(d[0] + d[2], t->box[0] + t->box[2]) - fmax(d[0], t->box[0]);
    double h = fmin(d[1] + d[3], t->box[1] + t->box[3]) - fmax(d[1], t->box[1]);
    if (w <= 0 || h <= 0) return 0;
    double both = w * h, area = d[2] * d[3];
    return both / (t->crowd ? area : area + t->box[2] * t->box[3] - both);
}

/* The truth detection d takes at IoU number k, or -1. */
static int64_t take(const oc_coco *c, const work *w, const int64_t *truths,
                    size_t n, const double *row, double least) {
    double best = fmin(least, 1 - 1e-10);
    int64_t match = -1;
    for (size_t j = 0; j < n; j++) {
        int64_t g = w->order[j];
        int crowd = c->truths[truths[g]].t.crowd;
        if (w->taken[g] && !crowd) continue;
        /* Once it has a truth that counts, those that do not are no rival. */
        if (match >= 0 && !w->ignored[match] && w->ignored[g]) break;
        if (row[g] < best) continue;
        best = row[g];
        match = g;
    }
    return match;
}

/* numpy.linspace(.5, .95, 10) to the last bit. */
static double iou_at(int k) {
    return k == IOUS - 1 ? 0.95 : 0.5 + k * ((0.95 - 0.5) / (IOUS - 1));
}

/* One picture: detections found[0..nd), truths[0..nt). */
static void match_picture(const oc_coco *c, work *w, size_t first, size_t nd,
                          const int64_t *truths, size_t nt, int range) {
    size_t tail = 0;
    for (size_t g = 0; g < nt; g++) {
        const oc_truth *t = &c->truths[truths[g]].t;
        w->ignored[g] = t->crowd || t->area < range_low[range] ||
                        t->area > range_high[range];
    }
    for (size_t g = 0; g < nt; g++) {
        if (!w->ignored[g]) w->order[tail++] = (int64_t)g;
    }
    for (size_t g = 0; g < nt; g++) {
        if (w->ignored[g]) w->order[tail++] = (int64_t)g;
    }
    for (size_t d = 0; d < nd; d++) {
        for (size_t g = 0; g < nt; g++) {
            w->overlap[d * nt + g] = overlap(c->found[w->found[first + d]].box,
                                             &c->truths[truths[g]].t);
        }
    }
    for (int k = 0; k < IOUS; k++) {
        if (nt) memset(w->taken, 0, nt);
        for (size_t d = 0; d < nd; d++) {
            const double *box = c->found[w->found[first + d]].box;
            double area = box[2] * box[3];
            int64_t g = take(c, w, truths, nt, w->overlap + d * nt, iou_at(k));
            signed char *to = &w->matched[(first + d) * IOUS + (size_t)k];
            if (g >= 0) w->taken[g] = 1;
            /* An annotation with the id 0 is no match, there as here. */
            int hit = g >= 0 && c->truths[truths[g]].t.id != 0;
            if (g >= 0 && w->ignored[g])
                *to = -1;
            else if (hit)
                *to = 1;
            else
                *to = area < range_low[range] || area > range_high[range] ? -1
                                                                          : 0;
        }
    }
}

/* Matches every picture; returns the truths that count. */
static size_t match_all(const oc_coco *c, work *w, int range) {
    size_t counted = 0, d = 0, g = 0;
    for (int p = 0; p < c->pictures; p++) {
        size_t d0 = d, g0 = g;
        while (d < w->n_found && c->found[w->found[d]].picture == p)
            d++;
        while (g < w->n_truths && c->truths[w->truths[g]].picture == p)
            g++;
        if (d == d0 && g == g0) continue;
        match_picture(c, w, d0, OC_MIN(d - d0, (size_t)limits[LIMITS - 1]),
                      w->truths + g0, g - g0, range);
        for (size_t i = d0; i < d; i++) {
            w->rank[i] = (int)(i - d0);
        }
        for (size_t i = 0; i < g - g0; i++) {
            counted += !w->ignored[i];
        }
    }
    return counted;
}

/*
 * Precision read off at the recalls, for IoU k and the best `limit` of each
 * picture; returns the mean over recalls, *recall the last recall.
 */
static double read_curve(work *w, int k, int limit, size_t counted,
                         double *recall) {
    double right = 0, wrong = 0;
    size_t n = 0;
    double *p = w->precision, *r = w->scratch;
    for (size_t i = 0; i < w->n_found; i++) {
        size_t d = (size_t)w->by_score[i];
        if (w->rank[d] >= limit) continue;
        int m = w->matched[d * IOUS + (size_t)k];
        right += m == 1;
        wrong += m == 0;
        r[n] = right / (double)counted;
        /* pycocotools adds the spacing of 1.0 to avoid 0/0. */
        p[n] = right / (wrong + right + 2.220446049250313e-16);
        n++;
    }
    *recall = n ? r[n - 1] : 0;
    for (size_t i = n; i-- > 1;) {
        if (p[i] > p[i - 1]) p[i - 1] = p[i];
    }
    double sum = 0;
    size_t at = 0;
    for (int i = 0; i < RECALLS; i++) {
        double want = i * 0.01; /* numpy.linspace(0, 1, 101) likewise */
        while (at < n && r[at] < want)
            at++;
        if (at < n) sum += p[at];
    }
    return sum / RECALLS;
}

/* ---- all classes ----------------------------------------------------------
 */

typedef struct sums {
    /* precision [range][iou] at 100, recall [range][limit][iou] */
    double precision[RANGES][IOUS], recall[RANGES][LIMITS][IOUS];
    int classes[RANGES];
} sums;

static int gather(const oc_coco *c, work *w, int category) {
    size_t most = 1;
    w->n_found = w->n_truths = 0;
    for (size_t i = 0; i < c->n_found; i++) {
        if (c->found[i].category == category)
            w->found[w->n_found++] = (int64_t)i;
    }
    size_t run = 0;
    for (size_t i = 0; i < c->n_truths; i++) {
        const truth *t = &c->truths[i];
        if (t->t.category != category) continue;
        run = w->n_truths && c->truths[w->truths[w->n_truths - 1]].picture ==
                                 t->picture
                  ? run + 1
                  : 1;
        most = OC_MAX(most, run);
        w->truths[w->n_truths++] = (int64_t)i;
    }
    oc__sort_index(w->found, w->tmp, w->n_found, by_picture_and_score,
                   c->found);
    size_t nd = w->n_found + 1;
    w->overlap = oc__arena_array(&w->arena, most * 100, sizeof *w->overlap);
    w->order = oc__arena_array(&w->arena, most, sizeof *w->order);
    w->ignored = oc__arena_array(&w->arena, most, 1);
    w->taken = oc__arena_array(&w->arena, most, 1);
    w->matched = oc__arena_array(&w->arena, nd, IOUS);
    w->rank = oc__arena_array(&w->arena, nd, sizeof *w->rank);
    w->by_score = oc__arena_array(&w->arena, nd, sizeof *w->by_score);
    w->precision = oc__arena_array(&w->arena, nd, sizeof *w->precision);
    w->scratch = oc__arena_array(&w->arena, nd, sizeof *w->scratch);
    return w->overlap && w->order && w->ignored && w->taken && w->matched &&
           w->rank && w->by_score && w->precision && w->scratch;
}

static void add_class(oc_coco *c, work *w, int category, sums *s) {
    score_context context = {c->found, w->found};
    for (size_t i = 0; i < w->n_found; i++) {
        w->by_score[i] = (int64_t)i;
    }
    /* Stable, so equal scores stay in the order of pictures. */
    oc__sort_index(w->by_score, w->tmp, w->n_found, by_score, &context);
    c->class_ap[category] = -1;
    for (int range = 0; range < RANGES; range++) {
        size_t counted = match_all(c, w, range);
        double total = 0;
        if (!counted) continue; /* nothing to find: no figure */
        s->classes[range]++;
        for (int k = 0; k < IOUS; k++) {
            for (int l = 0; l < LIMITS; l++) {
                double recall;
                double p = read_curve(w, k, limits[l], counted, &recall);
                s->recall[range][l][k] += recall;
                if (l < LIMITS - 1) continue;
                s->precision[range][k] += p;
                total += p;
            }
        }
        if (range == 0) c->class_ap[category] = total / IOUS;
    }
}

static double mean_of(const double *v, int from, int to, int classes) {
    double sum = 0;
    if (!classes) return -1;
    for (int k = from; k < to; k++) {
        sum += v[k];
    }
    return sum / classes / (to - from);
}

oc_status oc_coco_figures(oc_coco *c, double out[OC_COCO_FIGURES],
                          oc_error *err) {
    sums s;
    memset(&s, 0, sizeof s);
    size_t most = OC_MAX(c->n_found, c->n_truths) + 1, bytes;
    if (oc__size_mul(most, 3 * sizeof(int64_t), &bytes))
        return oc__fail_nomem(err);
    int64_t *block = oc__alloc(&c->allocator, bytes);
    if (!block) return oc__fail_nomem(err);
    int ok = 1;
    for (int i = 0; i < c->classes && ok; i++) {
        work w;
        memset(&w, 0, sizeof w);
        w.found = block;
        w.truths = block + most;
        w.tmp = block + 2 * most;
        oc__arena_init(&w.arena, &c->allocator);
        ok = gather(c, &w, i);
        if (ok) add_class(c, &w, i, &s);
        oc__arena_deinit(&w.arena);
    }
    oc__release(&c->allocator, block, bytes);
    if (!ok) return oc__fail_nomem(err);
    const int *n = s.classes;
    out[OC_COCO_AP] = mean_of(s.precision[0], 0, IOUS, n[0]);
    out[OC_COCO_AP50] = mean_of(s.precision[0], 0, 1, n[0]);
    out[OC_COCO_AP75] = mean_of(s.precision[0], 5, 6, n[0]);
    for (int r = 1; r < RANGES; r++) {
        out[OC_COCO_AP_SMALL + r - 1] = mean_of(s.precision[r], 0, IOUS, n[r]);
        out[OC_COCO_AR_SMALL + r - 1] =
            mean_of(s.recall[r][LIMITS - 1], 0, IOUS, n[r]);
    }
    for (int l = 0; l < LIMITS; l++) {
        out[OC_COCO_AR1 + l] = mean_of(s.recall[0][l], 0, IOUS, n[0]);
    }
    return OC_OK;
}

double oc_coco_class_ap(const oc_coco *c, int category) {
    return category >= 0 && category < c->classes ? c->class_ap[category] : -1;
}
