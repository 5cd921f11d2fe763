/* candidates.c - lists of boxes that grow, and the heads they come from. */
#include "tasks/decode.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

void oc__candidates_deinit(oc__candidates *c) {
    oc__release(c->allocator, c->v, c->cap * sizeof *c->v);
    oc__release(c->allocator, c->points, c->cap_points * sizeof *c->points);
    c->v = NULL;
    c->points = NULL;
    c->n = c->cap = c->n_points = c->cap_points = 0;
}

/* Moves n items to a block of at least `need`; NULL when out of memory. */
static void *grow(const oc_allocator *a, void *old, size_t n, size_t size,
                  size_t *cap, size_t need) {
    size_t bytes, more = OC_MAX(need, OC_MAX(*cap * 2, 64));
    if (oc__size_mul(more, size, &bytes)) return NULL;
    void *p = oc__alloc(a, bytes);
    if (!p) return NULL;
    if (n) memcpy(p, old, n * size);
    oc__release(a, old, *cap * size);
    *cap = more;
    return p;
}

oc_status oc__candidates_add(oc__candidates *c, const float box[4], float score,
                             int index, oc_error *err) {
    float sum = box[0] + box[1] + box[2] + box[3] + score;
    if (!isfinite(sum)) return OC_OK; /* an overflowed exp(): no box */
    if (c->n == c->cap) {
        oc__candidate *v =
            grow(c->allocator, c->v, c->n, sizeof *v, &c->cap, c->n + 1);
        if (!v) return oc__fail_nomem(err);
        c->v = v;
    }
    oc__candidate *one = &c->v[c->n++];
    memcpy(one->box, box, sizeof one->box);
    one->score = score;
    one->index = index;
    one->points = -1;
    return OC_OK;
}

oc_keypoint *oc__candidates_points(oc__candidates *c, int count) {
    size_t need = c->n_points + (size_t)count;
    if (need > INT32_MAX) return NULL;
    if (need > c->cap_points) {
        oc_keypoint *p = grow(c->allocator, c->points, c->n_points, sizeof *p,
                              &c->cap_points, need);
        if (!p) return NULL;
        c->points = p;
    }
    oc_keypoint *first = c->points + c->n_points;
    if (c->n) c->v[c->n - 1].points = (int)c->n_points;
    c->keypoints = count;
    c->n_points = need;
    return first;
}

/* ---- heads ----------------------------------------------------------------
 */

oc_status oc__head_fail(const oc__heads *h, int i, const char *why,
                        oc_error *err) {
    const oc__head *head = &h->head[i];
    const oc__decoder *d =
        oc__decoder_find((oc_task)h->card->task, h->card->kind);
    char shape[128] = "";
    size_t used = 0;
    for (int k = 0; k < head->rank; k++) {
        int n = snprintf(shape + used, sizeof shape - used, "%s%lld",
                         k ? "," : "", (long long)head->dims[k]);
        if (n > 0 && used + (size_t)n < sizeof shape) used += (size_t)n;
    }
    return oc__fail(err, OC_E_SHAPE,
                    "output \"%.60s\" has the shape [%s], which \"%s\" cannot "
                    "read: %s%s%s",
                    head->name, shape, h->card->kind, why,
                    d && d->expect ? "; it expects " : "",
                    d && d->expect ? d->expect : "");
}

oc_status oc__head_rank(const oc__heads *h, int i, int rank, oc__head *out,
                        oc_error *err) {
    if (i >= h->n)
        return oc__fail(err, OC_E_SHAPE,
                        "\"%s\" needs %d outputs or more, there are %d",
                        h->card->kind, i + 1, h->n);
    *out = h->head[i];
    while (out->rank > rank) {
        /* The first item of a batch; more than that nobody asked for. */
        if (out->dims[0] < 1) return oc__head_fail(h, i, "it is empty", err);
        memmove(out->dims, out->dims + 1,
                sizeof out->dims[0] * (size_t)(out->rank - 1));
        out->rank--;
    }
    if (out->rank < rank)
        return oc__head_fail(h, i, "it has too few dimensions", err);
    return OC_OK;
}

int oc__levels_of(const oc__heads *h, oc__level out[OC_MAX_LEVELS]) {
    static const double usual[] = {8, 16, 32};
    const double *strides = usual;
    int n = (int)OC_COUNT(usual);
    int64_t first = 0;
    if (h->card->strides.n) {
        strides = h->card->strides.v;
        n = OC_MIN(h->card->strides.n, OC_MAX_LEVELS);
    }
    for (int i = 0; i < n; i++) {
        int s = (int)strides[i];
        out[i] = (oc__level){s, (h->width + s - 1) / s, (h->height + s - 1) / s,
                             first};
        first += (int64_t)out[i].w * out[i].h;
    }
    return n;
}

int64_t oc__levels_cells(const oc__level *levels, int n) {
    return n ? levels[n - 1].first + (int64_t)levels[n - 1].w * levels[n - 1].h
             : 0;
}
