/*
 * decode_detr.c - a fixed number of queries, each a box or nothing.
 *
 *     detr  logits [Q, C], boxes [Q, 4] as cx cy w h, share of the input
 *
 * DETR (arXiv:2005.12872) has a softmax with a last class "no object";
 * Deformable DETR, DINO and RT-DETR (arXiv:2304.08069) a sigmoid per class.
 */
#include "tasks/decode.h"

#include <math.h>

/*
 * The number of class c among the labels.  A background (COCO's category 0,
 * which is none) has no label, so those behind it move up.
 */
static int label_of(const oc__heads *h, int64_t c) {
    int background = h->card->background;
    return (int)c - (background >= 0 && c > background);
}

static oc_status add_softmax(const oc__heads *h, const float *v, int64_t n,
                             const float box[4], oc__candidates *out,
                             oc_error *err) {
    float top = v[0], sum = 0;
    int64_t best = -1;
    for (int64_t c = 1; c < n; c++) {
        top = fmaxf(top, v[c]);
    }
    for (int64_t c = 0; c < n; c++) {
        sum += expf(v[c] - top);
        if (c == n - 1 || c == h->card->background) continue;
        if (best < 0 || v[c] > v[best]) best = c;
    }
    if (best < 0) return OC_OK;
    float score = expf(v[best] - top) / sum;
    if (score >= h->threshold)
        return oc__candidates_add(out, box, score, label_of(h, best), err);
    return OC_OK;
}

static oc_status add_each(const oc__heads *h, const float *v, int64_t n,
                          const float box[4], oc__candidates *out,
                          oc_error *err) {
    for (int64_t c = 0; c < n; c++) {
        float score = v[c];
        if (c == h->card->background) continue;
        if (h->card->activation == OC_SCORES_SIGMOID)
            score = 1 / (1 + expf(-score));
        if (score >= h->threshold)
            OC_TRY(oc__candidates_add(out, box, score, label_of(h, c), err));
    }
    return OC_OK;
}

oc_status oc__decode_detr(const oc__heads *h, oc__candidates *out,
                          oc_error *err) {
    oc__head logits, boxes;
    OC_TRY(oc__head_rank(h, 0, 2, &logits, err));
    OC_TRY(oc__head_rank(h, 1, 2, &boxes, err));
    int softmax = h->card->activation == OC_SCORES_SOFTMAX;
    if (boxes.dims[1] != 4 || boxes.dims[0] != logits.dims[0])
        return oc__head_fail(h, 1, "it does not go with the logits", err);
    if (logits.dims[1] < (softmax ? 2 : 1))
        return oc__head_fail(h, 0, "it has too few classes", err);
    for (int64_t i = 0; i < boxes.dims[0]; i++) {
        const float *b = boxes.v + 4 * i;
        const float *v = logits.v + i * logits.dims[1];
        float w = (float)h->width, hh = (float)h->height, box[4];
        oc__box_from_center(box, b[0] * w, b[1] * hh, b[2] * w, b[3] * hh);
        OC_TRY(softmax ? add_softmax(h, v, logits.dims[1], box, out, err)
                       : add_each(h, v, logits.dims[1], box, out, err));
    }
    return OC_OK;
}
