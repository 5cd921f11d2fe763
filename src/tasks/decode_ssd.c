/*
 * decode_ssd.c - anchor boxes, and boxes the network has decoded itself.
 *
 *     ssd        [A, C] scores, [A, 4] codes against anchors
 *     ultraface  [N, C] scores, [N, 4] corners as share of the input
 *     tf_nms     boxes, classes, scores, count: NonMaxSuppression inside
 *     torchvision  boxes, labels, scores: the same in pixels
 */
#include "tasks/decode.h"

#include <math.h>
#include <string.h>

/* cx, cy, w, h as share of the input. */
typedef struct anchor {
    float v[4];
} anchor;

typedef struct anchors {
    const oc_allocator *allocator;
    anchor *v;
    size_t n, cap;
} anchors;

static int add_anchor(anchors *a, double cx, double cy, double scale,
                      double ratio) {
    if (a->n == a->cap) return 0;
    double root = sqrt(ratio);
    a->v[a->n++] = (anchor){
        {(float)cx, (float)cy, (float)(scale * root), (float)(scale / root)}};
    return 1;
}

/*
 * TensorFlow's ssd_anchor_generator with reduce_boxes_in_lowest_layer and
 * interpolated_scale_aspect_ratio 1: n layers with scales evenly from
 * scales[0] to scales[1]; each cell has an anchor of every ratio and a square
 * one between this layer's scale and the next, the first layer only three.
 * Layer i is as large as the input over 16 * 2^i, rounded up.
 */
static int generate(anchors *a, const oc__heads *h) {
    static const double usual[] = {1, 2, 0.5, 3, 1. / 3};
    const oc__numbers *ratios = &h->card->ratios;
    const oc__numbers *scales = &h->card->scales;
    const double *r = ratios->n ? ratios->v : usual;
    int n_ratios = ratios->n ? ratios->n : (int)OC_COUNT(usual);
    double lo = scales->n == 2 ? scales->v[0] : 0.2;
    double hi = scales->n == 2 ? scales->v[1] : 0.95;
    const int layers = 6;
    for (int i = 0; i < layers; i++) {
        int s = h->card->strides.n > i ? (int)h->card->strides.v[i] : 16 << i;
        int w = (h->width + s - 1) / s, hh = (h->height + s - 1) / s;
        double scale = lo + (hi - lo) * i / (layers - 1);
        double next =
            i + 1 < layers ? lo + (hi - lo) * (i + 1) / (layers - 1) : 1.0;
        int ok = 1;
        /* It ends with the room: what a card says may be any size. */
        for (int64_t k = 0; ok && k < (int64_t)w * hh; k++) {
            double cx = ((double)(k % w) + 0.5) / w;
            double cy = ((double)(k / w) + 0.5) / hh;
            if (i == 0) {
                ok &= add_anchor(a, cx, cy, 0.1, 1);
                ok &= add_anchor(a, cx, cy, scale, 2);
                ok &= add_anchor(a, cx, cy, scale, 0.5);
                continue;
            }
            for (int j = 0; j < n_ratios; j++) {
                ok &= add_anchor(a, cx, cy, scale, r[j]);
            }
            ok &= add_anchor(a, cx, cy, sqrt(scale * next), 1);
        }
        if (!ok) return 0;
    }
    return a->n == a->cap;
}

static int take_given(anchors *a, const oc__numbers *given) {
    if (given->n % 4 || (size_t)given->n / 4 != a->cap) return 0;
    for (; a->n < a->cap; a->n++) {
        for (size_t k = 0; k < 4; k++) {
            a->v[a->n].v[k] = (float)given->v[4 * a->n + k];
        }
    }
    return 1;
}

static float activate(const oc__heads *h, float x) {
    return h->card->activation == OC_SCORES_SIGMOID ? 1 / (1 + expf(-x)) : x;
}

/* Scores of one row; the background class counts for nothing. */
static oc_status add_row(const oc__heads *h, const float *scores, int64_t n,
                         const float box[4], oc__candidates *out,
                         oc_error *err) {
    int background = h->card->background;
    for (int64_t c = 0, index = 0; c < n; c++) {
        if (c == background) continue;
        float score = activate(h, scores[c]);
        if (score >= h->threshold)
            OC_TRY(oc__candidates_add(out, box, score, (int)index, err));
        index++;
    }
    return OC_OK;
}

/* The box code of TensorFlow: ty, tx, th, tw. */
static void decode_code(const oc__heads *h, const anchor *a, const float *code,
                        float box[4]) {
    static const double usual[] = {10, 10, 5, 5};
    const double *var = h->card->variance.n == 4 ? h->card->variance.v : usual;
    float cy = code[0] / (float)var[1] * a->v[3] + a->v[1];
    float cx = code[1] / (float)var[0] * a->v[2] + a->v[0];
    float hh = expf(code[2] / (float)var[3]) * a->v[3];
    float w = expf(code[3] / (float)var[2]) * a->v[2];
    float width = (float)h->width, height = (float)h->height;
    oc__box_from_center(box, cx * width, cy * height, w * width, hh * height);
}

oc_status oc__decode_ssd(const oc__heads *h, oc__candidates *out,
                         oc_error *err) {
    oc__head scores, codes;
    oc_status st = OC_OK;
    OC_TRY(oc__head_rank(h, 0, 2, &scores, err));
    OC_TRY(oc__head_rank(h, 1, 2, &codes, err));
    if (codes.dims[1] != 4 || codes.dims[0] != scores.dims[0])
        return oc__head_fail(h, 1, "it does not go with the scores", err);
    anchors a = {out->allocator, NULL, 0, (size_t)scores.dims[0]};
    a.v = oc__calloc(a.allocator, a.cap, sizeof *a.v);
    if (!a.v) return oc__fail_nomem(err);
    int fits = h->card->anchors.n ? take_given(&a, &h->card->anchors)
                                  : generate(&a, h);
    if (!fits)
        st = oc__head_fail(h, 1, "the anchors are of another number", err);
    for (size_t i = 0; !st && i < a.n; i++) {
        float box[4];
        decode_code(h, &a.v[i], codes.v + 4 * i, box);
        st = add_row(h, scores.v + (int64_t)i * scores.dims[1], scores.dims[1],
                     box, out, err);
    }
    oc__release(a.allocator, a.v, a.cap * sizeof *a.v);
    return st;
}

oc_status oc__decode_ultraface(const oc__heads *h, oc__candidates *out,
                               oc_error *err) {
    oc__head scores, boxes;
    OC_TRY(oc__head_rank(h, 0, 2, &scores, err));
    OC_TRY(oc__head_rank(h, 1, 2, &boxes, err));
    if (boxes.dims[1] != 4 || boxes.dims[0] != scores.dims[0])
        return oc__head_fail(h, 1, "it does not go with the scores", err);
    for (int64_t i = 0; i < boxes.dims[0]; i++) {
        const float *b = boxes.v + 4 * i;
        float box[4] = {b[0] * (float)h->width, b[1] * (float)h->height,
                        b[2] * (float)h->width, b[3] * (float)h->height};
        OC_TRY(add_row(h, scores.v + i * scores.dims[1], scores.dims[1], box,
                       out, err));
    }
    return OC_OK;
}

/* A class number that came as a float; -1 for what is none. */
static int class_of(const oc__heads *h, float v) {
    if (!(v >= 0 && v < 1e9f)) return -1;
    int c = (int)v;
    /* Without a background the first number is 0. */
    return h->card->background == 0 ? c - 1 : c;
}

oc_status oc__decode_tf_nms(const oc__heads *h, oc__candidates *out,
                            oc_error *err) {
    oc__head boxes, classes, scores;
    OC_TRY(oc__head_rank(h, 0, 2, &boxes, err));
    OC_TRY(oc__head_rank(h, 1, 1, &classes, err));
    OC_TRY(oc__head_rank(h, 2, 1, &scores, err));
    int64_t n = boxes.dims[0];
    if (boxes.dims[1] != 4 || classes.dims[0] != n || scores.dims[0] != n)
        return oc__head_fail(h, 0,
                             "boxes, classes and scores do not go "
                             "together",
                             err);
    if (h->n > 3) {
        oc__head count;
        OC_TRY(oc__head_rank(h, 3, 0, &count, err));
        if (count.v[0] >= 0 && count.v[0] < (float)n) n = (int64_t)count.v[0];
    }
    for (int64_t i = 0; i < n; i++) {
        const float *b = boxes.v + 4 * i; /* y1, x1, y2, x2 */
        float box[4] = {b[1] * (float)h->width, b[0] * (float)h->height,
                        b[3] * (float)h->width, b[2] * (float)h->height};
        int c = class_of(h, classes.v[i]);
        if (c >= 0 && scores.v[i] >= h->threshold)
            OC_TRY(oc__candidates_add(out, box, scores.v[i], c, err));
    }
    return OC_OK;
}

/* Keypoints of torchvision's Keypoint R-CNN: [N, K, 3], x y visibility. */
static oc_status add_points(const oc__head *points, int64_t i,
                            oc__candidates *out, oc_error *err) {
    int count = (int)points->dims[1];
    oc_keypoint *p = oc__candidates_points(out, count);
    if (!p) return oc__fail_nomem(err);
    for (int k = 0; k < count; k++) {
        const float *v = points->v + (i * count + k) * 3;
        p[k] = (oc_keypoint){v[0], v[1], 1};
    }
    return OC_OK;
}

oc_status oc__decode_torchvision(const oc__heads *h, oc__candidates *out,
                                 oc_error *err) {
    oc__head boxes, labels, scores, points = {0};
    OC_TRY(oc__head_rank(h, 0, 2, &boxes, err));
    OC_TRY(oc__head_rank(h, 1, 1, &labels, err));
    OC_TRY(oc__head_rank(h, 2, 1, &scores, err));
    int64_t n = boxes.dims[0];
    if (boxes.dims[1] != 4 || labels.dims[0] != n || scores.dims[0] != n)
        return oc__head_fail(h, 0,
                             "boxes, labels and scores do not go "
                             "together",
                             err);
    if (h->card->keypoints) {
        OC_TRY(oc__head_rank(h, 3, 3, &points, err));
        if (points.dims[0] != n || points.dims[1] != h->card->keypoints ||
            points.dims[2] != 3)
            return oc__head_fail(h, 3, "it is not x, y, z of each point", err);
    }
    for (int64_t i = 0; i < n; i++) {
        int c = class_of(h, labels.v[i]);
        if (c < 0 || scores.v[i] < h->threshold) continue;
        size_t before = out->n;
        OC_TRY(oc__candidates_add(out, boxes.v + 4 * i, scores.v[i], c, err));
        if (h->card->keypoints && out->n > before)
            OC_TRY(add_points(&points, i, out, err));
    }
    return OC_OK;
}
