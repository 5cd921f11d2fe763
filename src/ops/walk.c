/* walk.c - see walk.h. */
#include "ops/walk.h"

#include "base/size.h"
#include "ops/op.h"

void oc__walk_init(oc__walk *w, int rank, const int64_t *dims) {
    w->rank = rank;
    w->count = 0;
    w->total = 1;
    for (int i = 0; i < rank; i++) {
        w->dims[i] = dims[i];
        w->total *= dims[i];
    }
}

void oc__walk_add(oc__walk *w, const oc_tensor *t) {
    int64_t strides[OC_MAX_RANK];
    oc__broadcast_strides(t, w->rank, w->dims, strides);
    oc__walk_add_strides(w, strides);
}

void oc__walk_add_strides(oc__walk *w, const int64_t *strides) {
    for (int i = 0; i < w->rank; i++)
        w->strides[w->count][i] = strides[i];
    w->count++;
}

/* Dimension `inner` follows directly on `outer` in every tensor. */
static int mergeable(const oc__walk *w, int outer, int inner) {
    for (int t = 0; t < w->count; t++)
        if (w->strides[t][outer] != w->strides[t][inner] * w->dims[inner])
            return 0;
    return 1;
}

void oc__walk_merge(oc__walk *w) {
    int out = 0; /* dimensions kept so far */
    for (int i = 0; i < w->rank; i++) {
        if (w->dims[i] == 1) continue;
        int join = out > 0 && mergeable(w, out - 1, i);
        int64_t before = join ? w->dims[out - 1] : 1;
        if (join) out--;
        for (int t = 0; t < w->count; t++)
            w->strides[t][out] = w->strides[t][i];
        w->dims[out] = w->dims[i] * before;
        out++;
    }
    if (!out) {
        w->dims[0] = 1;
        for (int t = 0; t < w->count; t++)
            w->strides[t][0] = 1;
        out = 1;
    }
    w->rank = out;
    for (int t = 0; t < w->count; t++)
        w->step[t] = w->strides[t][out - 1];
}

void oc__walk_seek(const oc__walk *w, int64_t begin, int64_t end,
                   oc__walk_pos *p) {
    p->at = begin;
    p->end = end;
    p->n = 0;
    if (begin >= end) return;
    for (int t = 0; t < w->count; t++)
        p->offset[t] = 0;
    int64_t rest = begin;
    for (int i = w->rank - 1; i >= 0; i--) {
        p->index[i] = rest % w->dims[i];
        rest /= w->dims[i];
        for (int t = 0; t < w->count; t++)
            p->offset[t] += p->index[i] * w->strides[t][i];
    }
    int last = w->rank - 1;
    p->n = OC_MIN(w->dims[last] - p->index[last], end - begin);
}

void oc__walk_next(const oc__walk *w, oc__walk_pos *p) {
    int last = w->rank - 1;
    p->at += p->n;
    if (p->at >= p->end) {
        p->n = 0;
        return;
    }
    /* Back to the start of the row, then carry. */
    for (int t = 0; t < w->count; t++)
        p->offset[t] -= p->index[last] * w->strides[t][last];
    p->index[last] = 0;
    for (int i = last - 1; i >= 0; i--) {
        for (int t = 0; t < w->count; t++)
            p->offset[t] += w->strides[t][i];
        if (++p->index[i] < w->dims[i]) break;
        for (int t = 0; t < w->count; t++)
            p->offset[t] -= w->dims[i] * w->strides[t][i];
        p->index[i] = 0;
    }
    p->n = OC_MIN(w->dims[last], p->end - p->at);
}
