/*
 * overlap.c - non-maximum suppression: of boxes that mean the same thing, one.
 *
 * Greedy, as everywhere: the best box stays, lesser ones that overlap it by
 * more than a limit go, and so on.  Soft-NMS (Bodla et al., arXiv:1704.04503,
 * Gaussian form) lowers their scores instead: s *= exp(-iou^2 / sigma).
 */
#include "tasks/decode.h"

#include "base/sort.h"

#include <math.h>
#include <string.h>

static float area(const float *b) {
    float w = b[2] - b[0], h = b[3] - b[1];
    return w > 0 && h > 0 ? w * h : 0;
}

static float overlap(const float *a, const float *b, float area_a,
                     float area_b) {
    float w = fminf(a[2], b[2]) - fmaxf(a[0], b[0]);
    float h = fminf(a[3], b[3]) - fmaxf(a[1], b[1]);
    if (!(w > 0 && h > 0)) return 0;
    float both = w * h;
    return both / (area_a + area_b - both);
}

static int by_score(const void *ctx, int64_t a, int64_t b) {
    const oc__candidate *v = ctx;
    return v[a].score < v[b].score ? 1 : v[a].score > v[b].score ? -1 : 0;
}

static int by_class_and_score(const void *ctx, int64_t a, int64_t b) {
    const oc__candidate *v = ctx;
    if (v[a].index != v[b].index) return v[a].index < v[b].index ? -1 : 1;
    return by_score(ctx, a, b);
}

/* Working memory for n candidates. */
typedef struct scratch {
    const oc_allocator *allocator;
    void *block;
    size_t bytes;
    int64_t *index, *tmp;
    oc__candidate *v;
    float *area;
} scratch;

static oc_status scratch_init(scratch *s, const oc_allocator *a, size_t n,
                              oc_error *err) {
    size_t each = 2 * sizeof(int64_t) + sizeof(oc__candidate) + sizeof(float);
    s->allocator = a;
    if (oc__size_mul(n, each, &s->bytes)) return oc__fail_nomem(err);
    s->block = oc__alloc(a, s->bytes);
    if (!s->block) return oc__fail_nomem(err);
    s->index = s->block;
    s->tmp = s->index + n;
    s->v = (oc__candidate *)(void *)(s->tmp + n);
    s->area = (float *)(void *)(s->v + n);
    return OC_OK;
}

/* Puts c in the order of compare. */
static void arrange(oc__candidates *c, scratch *s, oc__compare_fn compare) {
    for (size_t i = 0; i < c->n; i++) {
        s->index[i] = (int64_t)i;
    }
    oc__sort_index(s->index, s->tmp, c->n, compare, c->v);
    for (size_t i = 0; i < c->n; i++) {
        s->v[i] = c->v[s->index[i]];
    }
    memcpy(c->v, s->v, c->n * sizeof *c->v);
}

/* v[0..n-1], best first, of one class; marks what goes with a score of -1. */
static void suppress(oc__candidate *v, float *areas, size_t n, float iou) {
    for (size_t i = 0; i < n; i++) {
        areas[i] = area(v[i].box);
    }
    for (size_t i = 0; i < n; i++) {
        if (v[i].score < 0) continue;
        for (size_t j = i + 1; j < n; j++) {
            if (v[j].score >= 0 &&
                overlap(v[i].box, v[j].box, areas[i], areas[j]) > iou)
                v[j].score = -1;
        }
    }
}

/* The same for soft-NMS: the best of the rest changes after every step. */
static void soften(oc__candidate *v, float *areas, size_t n, float sigma,
                   float threshold) {
    for (size_t i = 0; i < n; i++) {
        areas[i] = area(v[i].box);
    }
    for (size_t i = 0; i < n; i++) {
        size_t best = i;
        for (size_t j = i + 1; j < n; j++) {
            if (v[j].score > v[best].score) best = j;
        }
        oc__candidate one = v[best];
        float one_area = areas[best];
        v[best] = v[i];
        areas[best] = areas[i];
        v[i] = one;
        areas[i] = one_area;
        if (one.score < threshold) break;
        for (size_t j = i + 1; j < n; j++) {
            float o = overlap(one.box, v[j].box, one_area, areas[j]);
            v[j].score *= expf(-o * o / sigma);
        }
    }
    for (size_t i = 0; i < n; i++) {
        if (v[i].score < threshold) v[i].score = -1;
    }
}

oc_status oc__nms(oc__candidates *c, oc__nms_mode mode, float iou, float sigma,
                  float threshold, size_t most, oc_error *err) {
    scratch s;
    if (!c->n) return OC_OK;
    OC_TRY(scratch_init(&s, c->allocator, c->n, err));
    int class_wise = mode == OC_NMS_CLASS || mode == OC_NMS_SOFT;
    arrange(c, &s, class_wise ? by_class_and_score : by_score);
    for (size_t from = 0, to; mode != OC_NMS_NONE && from < c->n; from = to) {
        to = class_wise ? from + 1 : c->n;
        while (to < c->n && c->v[to].index == c->v[from].index)
            to++;
        if (mode == OC_NMS_SOFT)
            soften(c->v + from, s.area, to - from, sigma, threshold);
        else
            suppress(c->v + from, s.area, to - from, iou);
    }
    size_t n = 0;
    for (size_t i = 0; i < c->n; i++) {
        if (c->v[i].score >= 0) c->v[n++] = c->v[i];
    }
    c->n = n;
    if (class_wise) arrange(c, &s, by_score);
    c->n = OC_MIN(c->n, most);
    oc__release(s.allocator, s.block, s.bytes);
    return OC_OK;
}
