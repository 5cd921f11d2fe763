/* detect.c - from candidates to objects in the original picture. */
#include "tasks/vision_private.h"

#include <math.h>
#include <string.h>

/*
 * Points back to the original; they need not lie inside it.  One that the
 * network could not place is at the corner with a score of 0.
 */
static void put_points(const oc_transform *where, const oc__candidates *c,
                       const oc__candidate *one, oc_keypoint *to) {
    memcpy(to, c->points + one->points, (size_t)c->keypoints * sizeof *to);
    for (int k = 0; k < c->keypoints; k++) {
        if (where) {
            to[k].x = (float)((to[k].x - where->offset_x) / where->scale_x);
            to[k].y = (float)((to[k].y - where->offset_y) / where->scale_y);
        }
        if (!isfinite(to[k].x) || !isfinite(to[k].y) || !isfinite(to[k].score))
            to[k] = (oc_keypoint){0, 0, 0};
    }
}

static oc_status fill(const oc_vision *v, const oc__candidates *c,
                      const oc_transform *where, oc_result *out,
                      oc_error *err) {
    int in_original = c->in_original;
    out->objects = oc__result_alloc(out, c->n, sizeof *out->objects);
    if (!out->objects && c->n) return oc__fail_nomem(err);
    for (size_t i = 0; i < c->n; i++) {
        const oc__candidate *one = &c->v[i];
        oc_object *o = &out->objects[out->object_count];
        memcpy(o->box, one->box, sizeof o->box);
        /* Boxes are clipped by this in either case. */
        oc_transform same = {
            1, 1, 0, 0, where->source_width, where->source_height};
        oc_transform_boxes(in_original ? &same : where, o->box, 1);
        o->label = oc__vision_label(v, one->index);
        o->index = one->index;
        o->score = one->score;
        if (one->points >= 0) {
            oc_keypoint *p =
                oc__result_alloc(out, (size_t)c->keypoints, sizeof *p);
            if (!p) return oc__fail_nomem(err);
            put_points(in_original ? NULL : where, c, one, p);
            o->keypoints = p;
            o->keypoint_count = c->keypoints;
        }
        /* What lay in the padding alone has nothing left. */
        if (o->box[2] > o->box[0] && o->box[3] > o->box[1]) out->object_count++;
    }
    return OC_OK;
}

oc_status oc__detect(const oc_vision *v, const oc__heads *h,
                     const oc_transform *where, int in_original, oc_result *out,
                     oc_error *err) {
    oc__candidates c = {0};
    const oc_card *card = v->card;
    int64_t classes = oc__count_classes(h);
    if (card->labels.n && classes >= 0 && classes != card->labels.n)
        return oc__fail(err, OC_E_SHAPE,
                        "there are %d labels, but the outputs have %lld "
                        "classes",
                        card->labels.n, (long long)classes);
    c.allocator = &v->allocator;
    c.in_original = in_original;
    oc_status st = v->decoder->run(h, &c, err);
    oc__nms_mode mode = oc__card_has(card, "decode.nms")
                            ? (oc__nms_mode)card->nms
                            : v->decoder->nms;
    double iou = oc__card_has(card, "decode.iou") ? card->iou : v->decoder->iou;
    if (!st)
        st = oc__nms(&c, mode, (float)iou, (float)card->sigma, v->threshold,
                     v->top, err);
    if (!st) st = fill(v, &c, where, out, err);
    oc__candidates_deinit(&c);
    return st;
}

int64_t oc__count_classes(const oc__heads *h) {
    const oc_card *card = h->card;
    const oc__decoder *d = oc__decoder_find((oc_task)card->task, card->kind);
    const oc__head *y = &h->head[0];
    if (!d || !h->n) return -1;
    if (d->class_dim) {
        if (y->rank < -d->class_dim) return -1;
        int64_t n = y->dims[y->rank + d->class_dim];
        if (n < 0) return -1;
        n -= d->class_less;
        if (d->task == OC_TASK_DETECT && card->background >= 0) n--;
        if (!strcmp(d->kind, "detr") && card->activation == OC_SCORES_SOFTMAX)
            n--;
        return n;
    }
    if (!strcmp(d->kind, "nanodet") && y->rank >= 2) {
        int64_t n = y->dims[y->rank - 1];
        return n < 0 ? -1 : h->n > 1 ? n : n - 4 * OC_MAX(card->bins, 1);
    }
    if (!strcmp(d->kind, "yunet")) return 1;
    if (!strcmp(d->kind, "yolov8") && y->rank >= 2) {
        int64_t a = y->dims[y->rank - 1], b = y->dims[y->rank - 2];
        if (a < 0 || b < 0) return -1;
        int64_t n = OC_MIN(a, b) - 4;
        if (h->n > 1 && h->head[1].rank >= 3)
            n -= h->head[1].dims[h->head[1].rank - 3];
        int64_t extra = n - OC_MAX(card->labels.n, 1);
        int points = card->keypoints;
        return n - points * (extra >= 3 * (int64_t)points ? 3 : 2);
    }
    return -1;
}
