/*
 * decode_grid.c - heads with one output (or three) for each stride.
 *
 *     nanodet  class scores [N, C] and distances to the four sides, each as a
 *              distribution over bins [N, 4*B], for every stride; or one
 *              output [N, C + 4*B] (NanoDet-Plus)
 *     yunet    cls, obj, bbox, kps for every stride
 *     centernet  heat map of centres, sizes, offsets
 */
#include "tasks/decode.h"

#include <math.h>
#include <string.h>

static float sigmoid(float x) {
    return 1 / (1 + expf(-x));
}

/* ---- nanodet --------------------------------------------------------------
 */

/*
 * Expected value of a softmax over the bins 0..n-1.
 * Source: Generalized Focal Loss, arXiv:2006.04388, eq. 5.
 */
static float expected_bin(const float *v, int n) {
    float top = v[0], sum = 0, mean = 0;
    for (int i = 1; i < n; i++) {
        top = fmaxf(top, v[i]);
    }
    for (int i = 0; i < n; i++) {
        float e = expf(v[i] - top);
        sum += e;
        mean += e * (float)i;
    }
    return mean / sum;
}

typedef struct nano_level {
    const oc__level *level;
    const float *scores, *sides;
    int64_t score_step, side_step; /* from cell to cell */
    int classes, bins;
    float centre; /* of a cell, in cells */
} nano_level;

static oc_status nano_cells(const oc__heads *h, const nano_level *n,
                            oc__candidates *out, oc_error *err) {
    float s = (float)n->level->stride;
    for (int64_t i = 0; i < (int64_t)n->level->w * n->level->h; i++) {
        const float *scores = n->scores + i * n->score_step;
        const float *sides = n->sides + i * n->side_step;
        float box[4];
        int have_box = 0;
        for (int c = 0; c < n->classes; c++) {
            float score = h->card->activation == OC_SCORES_SIGMOID
                              ? sigmoid(scores[c])
                              : scores[c];
            if (score < h->threshold) continue;
            if (!have_box) {
                float x = ((float)(i % n->level->w) + n->centre) * s;
                float y = ((float)(i / n->level->w) + n->centre) * s;
                float d[4];
                for (int k = 0; k < 4; k++) {
                    d[k] = expected_bin(sides + k * n->bins, n->bins) * s;
                }
                box[0] = x - d[0];
                box[1] = y - d[1];
                box[2] = x + d[2];
                box[3] = y + d[3];
                have_box = 1;
            }
            OC_TRY(oc__candidates_add(out, box, score, c, err));
        }
    }
    return OC_OK;
}

/* NanoDet-Plus: everything in one output; cells count from their corner. */
static oc_status nano_single(const oc__heads *h, const oc__level *levels, int n,
                             int bins, oc__candidates *out, oc_error *err) {
    oc__head y;
    OC_TRY(oc__head_rank(h, 0, 2, &y, err));
    int64_t classes = y.dims[1] - 4 * (int64_t)bins;
    if (classes < 1 || y.dims[0] != oc__levels_cells(levels, n))
        return oc__head_fail(h, 0, "it has not one row per grid cell", err);
    for (int l = 0; l < n; l++) {
        const float *row = y.v + levels[l].first * y.dims[1];
        nano_level one = {&levels[l], row,          row + classes, y.dims[1],
                          y.dims[1],  (int)classes, bins,          0};
        OC_TRY(nano_cells(h, &one, out, err));
    }
    return OC_OK;
}

oc_status oc__decode_nanodet(const oc__heads *h, oc__candidates *out,
                             oc_error *err) {
    oc__level levels[OC_MAX_LEVELS];
    int n = oc__levels_of(h, levels);
    int bins = h->card->bins ? h->card->bins : 8;
    if (h->n == 1) return nano_single(h, levels, n, bins, out, err);
    for (int l = 0; l < n; l++) {
        oc__head scores, sides;
        OC_TRY(oc__head_rank(h, 2 * l, 2, &scores, err));
        OC_TRY(oc__head_rank(h, 2 * l + 1, 2, &sides, err));
        int64_t cells = (int64_t)levels[l].w * levels[l].h;
        if (scores.dims[0] != cells)
            return oc__head_fail(h, 2 * l, "it has not one row per grid cell",
                                 err);
        if (sides.dims[0] != cells || sides.dims[1] != 4 * (int64_t)bins)
            return oc__head_fail(h, 2 * l + 1, "it does not go with its scores",
                                 err);
        nano_level one = {&levels[l],     scores.v,      sides.v,
                          scores.dims[1], sides.dims[1], (int)scores.dims[1],
                          bins,           0.5f};
        OC_TRY(nano_cells(h, &one, out, err));
    }
    return OC_OK;
}

/* ---- yunet ----------------------------------------------------------------
 */

/* Head number of role r (cls, obj, bbox, kps) of level l, with its width. */
static oc_status yunet_head(const oc__heads *h, int levels, int r, int l,
                            int64_t cells, int64_t wide, oc__head *out,
                            oc_error *err) {
    int i = r * levels + l;
    OC_TRY(oc__head_rank(h, i, 2, out, err));
    if (out->dims[0] != cells || out->dims[1] != wide)
        return oc__head_fail(h, i, "it has not one row per grid cell", err);
    return OC_OK;
}

/*
 * Source: YuNet (Wu et al. 2023), as in OpenCV's FaceDetectorYN:
 *   score = sqrt(cls * obj), centre and size as in YOLOX, points likewise.
 */
oc_status oc__decode_yunet(const oc__heads *h, oc__candidates *out,
                           oc_error *err) {
    oc__level levels[OC_MAX_LEVELS];
    int n = oc__levels_of(h, levels);
    int points = h->card->keypoints ? h->card->keypoints : 5;
    for (int l = 0; l < n; l++) {
        oc__head cls, obj, box, kps;
        int64_t cells = (int64_t)levels[l].w * levels[l].h;
        float s = (float)levels[l].stride;
        OC_TRY(yunet_head(h, n, 0, l, cells, 1, &cls, err));
        OC_TRY(yunet_head(h, n, 1, l, cells, 1, &obj, err));
        OC_TRY(yunet_head(h, n, 2, l, cells, 4, &box, err));
        OC_TRY(yunet_head(h, n, 3, l, cells, 2 * (int64_t)points, &kps, err));
        for (int64_t i = 0; i < cells; i++) {
            float c = fminf(fmaxf(cls.v[i], 0), 1);
            float o = fminf(fmaxf(obj.v[i], 0), 1);
            float score = sqrtf(c * o);
            float gx = (float)(i % levels[l].w), gy = (float)(i / levels[l].w);
            const float *b = box.v + 4 * i;
            float corners[4];
            size_t before = out->n;
            if (!(score >= h->threshold)) continue;
            oc__box_from_center(corners, (gx + b[0]) * s, (gy + b[1]) * s,
                                expf(b[2]) * s, expf(b[3]) * s);
            OC_TRY(oc__candidates_add(out, corners, score, 0, err));
            if (out->n == before) continue;
            oc_keypoint *p = oc__candidates_points(out, points);
            if (!p) return oc__fail_nomem(err);
            for (int k = 0; k < points; k++) {
                const float *v = kps.v + 2 * ((int64_t)points * i + k);
                p[k] = (oc_keypoint){(v[0] + gx) * s, (v[1] + gy) * s, 1};
            }
        }
    }
    return OC_OK;
}

/* ---- centernet ------------------------------------------------------------
 */

/* Whether v[y][x] is the largest of its 3x3 neighbours. */
static int is_peak(const float *v, int64_t w, int64_t h, int64_t x, int64_t y) {
    float here = v[y * w + x];
    for (int64_t j = OC_MAX(y - 1, 0); j <= OC_MIN(y + 1, h - 1); j++) {
        for (int64_t i = OC_MAX(x - 1, 0); i <= OC_MIN(x + 1, w - 1); i++) {
            if (v[j * w + i] > here) return 0;
        }
    }
    return 1;
}

/*
 * Source: Objects as Points, arXiv:1904.07850: peaks of the heat map are
 * centres; size and sub-cell offset are read where the peak is.  The 3x3 test
 * stands in for NMS.
 */
oc_status oc__decode_centernet(const oc__heads *h, oc__candidates *out,
                               oc_error *err) {
    oc__head heat, size, offset;
    OC_TRY(oc__head_rank(h, 0, 3, &heat, err));
    OC_TRY(oc__head_rank(h, 1, 3, &size, err));
    OC_TRY(oc__head_rank(h, 2, 3, &offset, err));
    int64_t hh = heat.dims[1], w = heat.dims[2], plane = hh * w;
    for (int i = 1; i < 3; i++) {
        const oc__head *one = i == 1 ? &size : &offset;
        if (one->dims[0] != 2 || one->dims[1] != hh || one->dims[2] != w)
            return oc__head_fail(h, i, "it does not go with the heat map", err);
    }
    if (plane == 0) return OC_OK;
    float sx = (float)h->width / (float)w, sy = (float)h->height / (float)hh;
    for (int64_t c = 0; c < heat.dims[0]; c++) {
        const float *map = heat.v + c * plane;
        for (int64_t i = 0; i < plane; i++) {
            float box[4], score = map[i];
            if (h->card->activation == OC_SCORES_SIGMOID)
                score = sigmoid(score);
            if (!(score >= h->threshold) || !is_peak(map, w, hh, i % w, i / w))
                continue;
            oc__box_from_center(box, ((float)(i % w) + offset.v[i]) * sx,
                                ((float)(i / w) + offset.v[plane + i]) * sy,
                                size.v[i] * sx, size.v[plane + i] * sy);
            OC_TRY(oc__candidates_add(out, box, score, (int)c, err));
        }
    }
    return OC_OK;
}
