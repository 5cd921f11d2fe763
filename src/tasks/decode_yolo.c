/*
 * decode_yolo.c - YOLO heads: one row (or column) per grid cell.
 *
 *     yolox    [N, 5+C]     cx cy w h per cell, raw; objectness; classes
 *     yolov5   [N, 5+C]     cx cy w h in pixels; objectness; classes
 *     yolov8   [4+C+P, N]   cx cy w h in pixels; classes; keypoints
 *     rows     [N, 6]       x1 y1 x2 y2 score class, already thinned out
 */
#include "tasks/decode.h"

#include <math.h>

/*
 * Emits a candidate for every class of a row that passes.  Networks of this
 * kind are multi-label: a box may be kept for two classes.
 */
static oc_status add_classes(const oc__heads *h, oc__candidates *out,
                             const float box[4], float objectness,
                             const float *scores, int64_t step, int64_t n,
                             oc_error *err) {
    for (int64_t c = 0; c < n; c++) {
        float score = objectness * scores[c * step];
        if (score >= h->threshold)
            OC_TRY(oc__candidates_add(out, box, score, (int)c, err));
    }
    return OC_OK;
}

/*
 * Source: YOLOX, arXiv:2107.08430:
 *   x = (o_x + column) * stride,  w = exp(o_w) * stride
 */
oc_status oc__decode_yolox(const oc__heads *h, oc__candidates *out,
                           oc_error *err) {
    oc__head y;
    oc__level levels[OC_MAX_LEVELS];
    OC_TRY(oc__head_rank(h, 0, 2, &y, err));
    int n = oc__levels_of(h, levels);
    if (y.dims[1] < 6) return oc__head_fail(h, 0, "its rows are short", err);
    if (y.dims[0] != oc__levels_cells(levels, n))
        return oc__head_fail(h, 0, "it has not one row per grid cell", err);
    int64_t classes = y.dims[1] - 5;
    const float *row = y.v;
    for (int l = 0; l < n; l++) {
        float s = (float)levels[l].stride;
        for (int64_t i = 0; i < (int64_t)levels[l].h * levels[l].w; i++) {
            float box[4], gx = (float)(i % levels[l].w);
            float gy = (float)(i / levels[l].w);
            if (row[4] >= h->threshold) { /* no class score is above 1 */
                oc__box_from_center(box, (row[0] + gx) * s, (row[1] + gy) * s,
                                    expf(row[2]) * s, expf(row[3]) * s);
                OC_TRY(
                    add_classes(h, out, box, row[4], row + 5, 1, classes, err));
            }
            row += y.dims[1];
        }
    }
    return OC_OK;
}

oc_status oc__decode_yolov5(const oc__heads *h, oc__candidates *out,
                            oc_error *err) {
    oc__head y;
    OC_TRY(oc__head_rank(h, 0, 2, &y, err));
    if (y.dims[1] < 6) return oc__head_fail(h, 0, "its rows are short", err);
    for (int64_t i = 0; i < y.dims[0]; i++) {
        const float *row = y.v + i * y.dims[1];
        float box[4];
        if (row[4] < h->threshold) continue;
        oc__box_from_center(box, row[0], row[1], row[2], row[3]);
        OC_TRY(
            add_classes(h, out, box, row[4], row + 5, 1, y.dims[1] - 5, err));
    }
    return OC_OK;
}

/* Keypoints of column i: x, y and, with three rows each, a score. */
static oc_status add_points(const float *column, int64_t step, int count,
                            int rows_each, oc__candidates *out, oc_error *err) {
    oc_keypoint *p = oc__candidates_points(out, count);
    if (!p) return oc__fail_nomem(err);
    for (int k = 0; k < count; k++) {
        const float *v = column + (int64_t)k * rows_each * step;
        p[k].x = v[0];
        p[k].y = v[step];
        p[k].score = rows_each > 2 ? v[2 * step] : 1;
    }
    return OC_OK;
}

oc_status oc__decode_yolov8(const oc__heads *h, oc__candidates *out,
                            oc_error *err) {
    oc__head y;
    OC_TRY(oc__head_rank(h, 0, 2, &y, err));
    /* Some exports have rows of cells: cells are always the longer side. */
    int by_row = y.dims[0] > y.dims[1];
    int64_t cells = y.dims[by_row ? 0 : 1], rows = y.dims[by_row ? 1 : 0];
    int64_t step = by_row ? 1 : cells, next = by_row ? rows : 1;
    int points = h->card->keypoints;
    int64_t extra = rows - 4 - OC_MAX(h->card->labels.n, 1);
    int each = points && extra >= 3 * (int64_t)points ? 3 : 2;
    int64_t classes = rows - 4 - (int64_t)points * each;
    /* A second output holds masks; their coefficients follow the classes. */
    if (h->n > 1 && h->head[1].rank >= 3)
        classes -= h->head[1].dims[h->head[1].rank - 3];
    if (classes < 1) return oc__head_fail(h, 0, "it has too few rows", err);
    for (int64_t i = 0; i < cells; i++) {
        const float *v = y.v + i * next;
        float box[4];
        oc__box_from_center(box, v[0], v[step], v[2 * step], v[3 * step]);
        size_t before = out->n;
        OC_TRY(add_classes(h, out, box, 1, v + 4 * step, step, classes, err));
        if (!points || out->n == before) continue;
        OC_TRY(
            add_points(v + (4 + classes) * step, step, points, each, out, err));
        /* A box kept for two classes has the same points twice. */
        for (size_t k = before; k + 1 < out->n; k++) {
            out->v[k].points = out->v[out->n - 1].points;
        }
    }
    return OC_OK;
}

oc_status oc__decode_rows(const oc__heads *h, oc__candidates *out,
                          oc_error *err) {
    oc__head y;
    OC_TRY(oc__head_rank(h, 0, 2, &y, err));
    if (y.dims[1] < 6) return oc__head_fail(h, 0, "its rows are short", err);
    for (int64_t i = 0; i < y.dims[0]; i++) {
        const float *row = y.v + i * y.dims[1];
        /* Written so that a NaN class is skipped as well. */
        if (row[4] < h->threshold || !(row[5] >= 0 && row[5] < 1e9f)) continue;
        OC_TRY(oc__candidates_add(out, row, row[4], (int)row[5], err));
    }
    return OC_OK;
}
