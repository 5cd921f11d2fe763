/*
 * decode_pose.c - keypoints without boxes: the box is drawn around them.
 *
 *     heatmap  [K, h, w]      a map for each point; its peak is the point
 *     movenet  [1, K, 3]      y x score of each point, share of the input
 *              [P, 3*K + 5]   the same for several people; ymin xmin ymax
 *                             xmax score behind the points
 */
#include "tasks/decode.h"

#include <math.h>

/* Adds an object around points; its score is their mean. */
static oc_status add_person(const oc__heads *h, const oc_keypoint *p, int n,
                            oc__candidates *out, oc_error *err) {
    float box[4] = {INFINITY, INFINITY, -INFINITY, -INFINITY}, sum = 0;
    int seen = 0;
    for (int k = 0; k < n; k++) {
        sum += p[k].score;
        if (p[k].score < 0.2f) continue; /* a point that is not in sight */
        seen++;
        box[0] = fminf(box[0], p[k].x);
        box[1] = fminf(box[1], p[k].y);
        box[2] = fmaxf(box[2], p[k].x);
        box[3] = fmaxf(box[3], p[k].y);
    }
    if (!seen || !(sum / (float)n >= h->threshold)) return OC_OK;
    size_t before = out->n;
    OC_TRY(oc__candidates_add(out, box, sum / (float)n, 0, err));
    if (out->n == before) return OC_OK;
    oc_keypoint *copy = oc__candidates_points(out, n);
    if (!copy) return oc__fail_nomem(err);
    for (int k = 0; k < n; k++) {
        copy[k] = p[k];
    }
    return OC_OK;
}

#define MAX_POINTS 512

/*
 * The peak of a map, moved a quarter cell towards its larger neighbour, as
 * in Simple Baselines (arXiv:1804.06208, sec. 3) and HRNet.
 */
static oc_keypoint peak(const float *map, int64_t w, int64_t h) {
    int64_t best = 0;
    for (int64_t i = 1; i < w * h; i++) {
        if (map[i] > map[best]) best = i;
    }
    int64_t x = best % w, y = best / w;
    float px = (float)x, py = (float)y;
    if (x > 0 && x < w - 1)
        px += map[best + 1] > map[best - 1] ? 0.25f : -0.25f;
    if (y > 0 && y < h - 1)
        py += map[best + w] > map[best - w] ? 0.25f : -0.25f;
    return (oc_keypoint){px + 0.5f, py + 0.5f, map[best]};
}

oc_status oc__decode_heatmap(const oc__heads *h, oc__candidates *out,
                             oc_error *err) {
    oc__head y;
    oc_keypoint points[MAX_POINTS];
    OC_TRY(oc__head_rank(h, 0, 3, &y, err));
    int64_t n = y.dims[0], hh = y.dims[1], w = y.dims[2];
    if (n < 1 || n > MAX_POINTS || hh < 1 || w < 1)
        return oc__head_fail(h, 0, "it has no map, or too many", err);
    float sx = (float)h->width / (float)w, sy = (float)h->height / (float)hh;
    for (int64_t k = 0; k < n; k++) {
        points[k] = peak(y.v + k * hh * w, w, hh);
        points[k].x *= sx;
        points[k].y *= sy;
    }
    return add_person(h, points, (int)n, out, err);
}

oc_status oc__decode_movenet(const oc__heads *h, oc__candidates *out,
                             oc_error *err) {
    oc__head y;
    oc_keypoint points[MAX_POINTS];
    OC_TRY(oc__head_rank(h, 0, 2, &y, err));
    int several = y.dims[1] != 3;
    int64_t n = several ? (y.dims[1] - 5) / 3 : y.dims[0];
    int64_t people = several ? y.dims[0] : 1;
    if (n < 1 || n > MAX_POINTS || (several && (y.dims[1] - 5) % 3))
        return oc__head_fail(h, 0, "it has no points, or too many", err);
    for (int64_t p = 0; p < people; p++) {
        const float *row = y.v + (several ? p * y.dims[1] : 0);
        for (int64_t k = 0; k < n; k++) {
            points[k].y = row[3 * k] * (float)h->height;
            points[k].x = row[3 * k + 1] * (float)h->width;
            points[k].score = row[3 * k + 2];
        }
        OC_TRY(add_person(h, points, (int)n, out, err));
    }
    return OC_OK;
}
