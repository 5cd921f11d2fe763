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

/* Better first; of equals the earlier one, so that the order is total. */
static int before(const oc__candidate *v, int64_t a, int64_t b) {
    if (v[a].score != v[b].score) return v[a].score > v[b].score;
    return a < b;
}

/* ---- a heap of the best ---------------------------------------------------
 */

/*
 * Only the best hundred or so of perhaps 200,000 candidates are wanted, so
 * sorting them all would be most of the work: a heap gives them up one by one.
 */
typedef struct heap {
    const oc__candidate *v;
    int64_t *index;
    size_t n;
} heap;

static void sink(const heap *h, size_t i) {
    int64_t one = h->index[i];
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= h->n) break;
        if (child + 1 < h->n &&
            before(h->v, h->index[child + 1], h->index[child]))
            child++;
        if (before(h->v, one, h->index[child])) break;
        h->index[i] = h->index[child];
        i = child;
    }
    h->index[i] = one;
}

static void heap_init(heap *h, const oc__candidate *v, int64_t *index,
                      size_t n) {
    *h = (heap){v, index, n};
    for (size_t i = 0; i < n; i++) {
        index[i] = (int64_t)i;
    }
    for (size_t i = n / 2; i-- > 0;) {
        sink(h, i);
    }
}

static int64_t heap_take(heap *h) {
    int64_t best = h->index[0];
    h->index[0] = h->index[--h->n];
    if (h->n) sink(h, 0);
    return best;
}

/* ---- hard -----------------------------------------------------------------
 */

/*
 * Best first over all classes: one stays unless a kept one of its class
 * overlaps it.  The same as class by class, and done when `most` are kept.
 */
static size_t keep_best(heap *h, oc__nms_mode mode, float iou, size_t most,
                        oc__candidate *kept, float *areas) {
    size_t n = 0;
    while (h->n && n < most) {
        const oc__candidate *one = &h->v[heap_take(h)];
        float one_area = area(one->box);
        int keep = 1;
        for (size_t i = 0; mode != OC_NMS_NONE && keep && i < n; i++) {
            if (mode == OC_NMS_CLASS && kept[i].index != one->index) continue;
            keep = !(overlap(kept[i].box, one->box, areas[i], one_area) > iou);
        }
        if (!keep) continue;
        kept[n] = *one;
        areas[n++] = one_area;
    }
    return n;
}

/* ---- soft -----------------------------------------------------------------
 */

static int by_class(const void *ctx, int64_t a, int64_t b) {
    const oc__candidate *v = ctx;
    return v[a].index < v[b].index ? -1 : v[a].index > v[b].index;
}

/*
 * v[0..n-1] of one class.  The best of the rest changes after every step; what
 * ends below the threshold gets a score of -1.
 */
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

/* Every class by itself; v is a copy of c->v in the order of classes. */
static void soften_all(oc__candidates *c, oc__candidate *v, int64_t *index,
                       float *areas, float sigma, float threshold) {
    size_t n = c->n;
    for (size_t i = 0; i < n; i++) {
        index[i] = (int64_t)i;
    }
    oc__sort_index(index, index + n, n, by_class, c->v);
    for (size_t i = 0; i < n; i++) {
        v[i] = c->v[index[i]];
    }
    for (size_t from = 0, to; from < n; from = to) {
        to = from + 1;
        while (to < n && v[to].index == v[from].index)
            to++;
        soften(v + from, areas, to - from, sigma, threshold);
    }
    c->n = 0;
    for (size_t i = 0; i < n; i++) {
        if (v[i].score >= 0) c->v[c->n++] = v[i];
    }
}

oc_status oc__nms(oc__candidates *c, oc__nms_mode mode, float iou, float sigma,
                  float threshold, size_t most, oc_error *err) {
    size_t n = c->n, bytes;
    size_t each = 2 * sizeof(int64_t) + sizeof(oc__candidate) + sizeof(float);
    heap h;
    if (!n) return OC_OK;
    if (oc__size_mul(n, each, &bytes)) return oc__fail_nomem(err);
    int64_t *index = oc__alloc(c->allocator, bytes);
    if (!index) return oc__fail_nomem(err);
    oc__candidate *v = (oc__candidate *)(void *)(index + 2 * n);
    float *areas = (float *)(void *)(v + n);
    if (mode == OC_NMS_SOFT) {
        soften_all(c, v, index, areas, sigma, threshold);
        mode = OC_NMS_NONE; /* what is left is sorted and cut */
    }
    heap_init(&h, c->v, index, c->n);
    size_t kept = keep_best(&h, mode, iou, OC_MIN(most, n), v, areas);
    memcpy(c->v, v, kept * sizeof *v);
    c->n = kept;
    oc__release(c->allocator, index, bytes);
    return OC_OK;
}
