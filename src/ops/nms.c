/*
 * nms.c - NonMaxSuppression: boxes in order of their scores, each kept unless
 * it overlaps one kept before it.
 */
#include "base/sort.h"
#include "ops/op.h"

#include <math.h>

typedef struct box {
    float x1, y1, x2, y2, area;
} box;

typedef struct nms {
    const float *scores; /* of one batch and class */
    const float *boxes;  /* [n][4] of one batch */
    int64_t n, max;
    float iou, threshold;
    int has_threshold, center;
} nms;

static oc_status infer_nms(oc__ctx *c) {
    OC_TRY(oc__want(c, 0, OC_T(F32)));
    OC_TRY(oc__want(c, 1, OC_T(F32)));
    OC_TRY(oc__want_rank(c, 0, 3, 3));
    OC_TRY(oc__want_rank(c, 1, 3, 3));
    const oc_tensor *b = oc__in(c, 0), *s = oc__in(c, 1);
    if (b->dims[2] != 4 || b->dims[0] != s->dims[0] || b->dims[1] != s->dims[2])
        return oc__op_fail(c, OC_E_SHAPE,
                           "boxes [batches, n, 4], scores [batches, classes, "
                           "n] do not fit");
    return OC_OK;
}

static int by_score(const void *ctx, int64_t a, int64_t b) {
    const float *s = ctx;
    return (s[a] < s[b]) - (s[a] > s[b]);
}

static box box_at(const nms *p, int64_t i) {
    const float *v = p->boxes + 4 * i;
    box b;
    if (p->center) { /* x, y of the middle, width, height */
        b = (box){v[0] - v[2] / 2, v[1] - v[3] / 2, v[0] + v[2] / 2,
                  v[1] + v[3] / 2, 0};
    } else { /* y1, x1, y2, x2 of any two opposite corners */
        b = (box){fminf(v[1], v[3]), fminf(v[0], v[2]), fmaxf(v[1], v[3]),
                  fmaxf(v[0], v[2]), 0};
    }
    b.area = (b.x2 - b.x1) * (b.y2 - b.y1);
    return b;
}

/* Intersection over union above the threshold.  Boxes without area overlap
   nothing. */
static int overlaps(const box *a, const box *b, float threshold) {
    float w = fminf(a->x2, b->x2) - fmaxf(a->x1, b->x1);
    float h = fminf(a->y2, b->y2) - fmaxf(a->y1, b->y1);
    if (!(w > 0) || !(h > 0) || a->area <= 0 || b->area <= 0) return 0;
    float both = w * h;
    return both / (a->area + b->area - both) > threshold;
}

/* Chooses among one batch and class; index, tmp and kept have room for n. */
static int64_t suppress(const nms *p, int64_t *index, int64_t *tmp, box *kept) {
    int64_t n = 0, found = 0;
    for (int64_t i = 0; i < p->n; i++)
        if (!p->has_threshold || p->scores[i] > p->threshold) index[n++] = i;
    oc__sort_index(index, tmp, (size_t)n, by_score, p->scores);
    for (int64_t i = 0; i < n && found < p->max; i++) {
        box b = box_at(p, index[i]);
        int64_t k = 0;
        while (k < found && !overlaps(&b, &kept[k], p->iou))
            k++;
        if (k < found) continue;
        kept[found] = b;
        index[found++] = index[i];
    }
    return found;
}

static oc_status nms_scalars(oc__ctx *c, nms *p) {
    double v = 0;
    if (oc__in(c, 2)) OC_TRY(oc__in_scalar(c, 2, &v));
    p->max = v > 0 ? (int64_t)OC_MIN(v, 9e18) : 0;
    v = 0;
    if (oc__in(c, 3)) OC_TRY(oc__in_scalar(c, 3, &v));
    if (!(v >= 0 && v <= 1))
        return oc__op_fail(c, OC_E_ARG, "iou_threshold is %g", v);
    p->iou = (float)v;
    p->has_threshold = oc__in(c, 4) != NULL;
    if (p->has_threshold) OC_TRY(oc__in_scalar(c, 4, &v));
    p->threshold = (float)v;
    p->center = oc__attr_int(c->node, "center_point_box", 0) != 0;
    return OC_OK;
}

/* Two rounds over the classes: count, then write; picks[] keeps the first
   round's work. */
static oc_status nms_go(oc__ctx *c, nms *p, int64_t *index, int64_t *tmp,
                        box *kept, int64_t *picks, int64_t *counts) {
    const oc_tensor *b = oc__in(c, 0), *s = oc__in(c, 1);
    int64_t groups = s->dims[0] * s->dims[1], total = 0, *out;
    oc_tensor *y;
    for (int64_t g = 0; g < groups; g++) {
        p->boxes = (const float *)b->data + g / s->dims[1] * p->n * 4;
        p->scores = (const float *)s->data + g * p->n;
        counts[g] = suppress(p, index, tmp, kept);
        for (int64_t k = 0; k < counts[g]; k++)
            picks[total++] = index[k];
    }
    int64_t dims[2] = {total, 3}, at = 0;
    OC_TRY(oc__out_alloc(c, 0, OC_DTYPE_I64, 2, dims, &y));
    if (!y) return OC_OK;
    out = y->data;
    for (int64_t g = 0; g < groups; g++)
        for (int64_t k = 0; k < counts[g]; k++) {
            *out++ = g / s->dims[1];
            *out++ = g % s->dims[1];
            *out++ = picks[at++];
        }
    return OC_OK;
}

static oc_status run_nms(oc__ctx *c) {
    const oc_tensor *s = oc__in(c, 1);
    nms p = {.n = s->dims[2]};
    OC_TRY(nms_scalars(c, &p));
    int64_t groups = s->dims[0] * s->dims[1];
    /* Every score picked at most once bounds the picks. */
    size_t n = (size_t)p.n, all = (size_t)oc_tensor_elems(s);
    if (p.max < p.n) all = (size_t)(p.max * groups);
    size_t ints = 2 * n + all + (size_t)groups;
    size_t bytes = ints * sizeof(int64_t) + n * sizeof(box);
    int64_t *block = oc__alloc(c->allocator, bytes);
    if (!block) return oc__fail_nomem(c->err);
    int64_t *picks = block + 2 * n, *counts = picks + all;
    oc_status st = nms_go(c, &p, block, block + n, (box *)(counts + groups),
                          picks, counts);
    oc__release(c->allocator, block, bytes);
    return st;
}

const oc__op oc__ops_nms[] = {
    {"", "NonMaxSuppression", 10, 2, 5, 1, OC_OP_DYNAMIC, 0, infer_nms, run_nms,
     NULL},
    {NULL, NULL, 0, 0, 0, 0, 0, 0, NULL, NULL, NULL},
};
