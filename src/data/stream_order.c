/* stream_order.c - which picture stands where; see stream_parts.h. */
#include "data/stream_parts.h"

#include "base/xxh64.h"

#include <math.h>
#include <string.h>

void oc__stream_draw(oc__rng *rng, uint64_t seed, int purpose, int64_t epoch,
                     int64_t place) {
    int64_t key[3] = {purpose, epoch, place};
    oc__rng_init(rng, oc__xxh64(key, sizeof key, seed));
}

static void shuffle_all(int32_t *v, int n, oc__rng *rng) {
    for (int i = n - 1; i > 0; i--) {
        int k = (int)oc__rng_below(rng, (uint64_t)(i + 1));
        int32_t t = v[i];
        v[i] = v[k];
        v[k] = t;
    }
}

/* ---- classes --------------------------------------------------------------
 */

/* The class a picture is drawn by: of several the rarest. */
static int class_of(const oc__labelled *l, oc__part part, int i) {
    const oc__labelled_picture *p = &l->pictures[i];
    const int32_t *counts = l->counts[part];
    int best = p->label;
    for (int k = 1; k < p->n_labels; k++) {
        if (counts[p->labels[k]] < counts[best]) best = p->labels[k];
    }
    return best;
}

oc_status oc__groups_init(oc__groups *g, const oc__labelled *l, oc__part part,
                          const oc_allocator *a, oc_error *err) {
    int n = oc__labelled_count(l, part), groups = l->n_classes + 1;
    size_t ints = 3 * (size_t)n + (size_t)groups + 2;
    memset(g, 0, sizeof *g);
    int32_t *v = oc__calloc(a, ints, sizeof *v);
    if (!v) return oc__fail_nomem(err);
    *g = (oc__groups){n,         groups,          v, v + 3 * (size_t)n, v + n,
                      v + 2 * n, ints * sizeof *v};
    for (int i = 0; i < n; i++)
        g->start[class_of(l, part, l->first[part] + i) + 2]++;
    for (int c = 0; c < groups; c++)
        g->start[c + 1] += g->start[c];
    /* start[c + 1] now is where class c begins; it ends as where it ends. */
    for (int i = 0; i < n; i++) {
        int at = g->start[class_of(l, part, l->first[part] + i) + 1]++;
        g->pictures[at] = l->first[part] + i;
        g->place[i] = at;
    }
    return OC_OK;
}

void oc__groups_deinit(oc__groups *g, const oc_allocator *a) {
    oc__release(a, g->pictures, g->bytes);
    memset(g, 0, sizeof *g);
}

int oc__groups_next(const oc__groups *g, int first, int i) {
    int at = g->place[i - first], c = 0, lo = 0, hi = g->groups;
    while (hi - lo > 1) { /* the last group that begins at or before it */
        c = lo + (hi - lo) / 2;
        if (g->start[c] <= at)
            lo = c;
        else
            hi = c;
    }
    return g->pictures[at + 1 < g->start[lo + 1] ? at + 1 : g->start[lo]];
}

/* ---- epochs ---------------------------------------------------------------
 */

/*
 * Every class gets n * w / sum(w) of the n places, w = count^(1 - balance),
 * and fills them with its pictures in an order of chance, again from the start
 * when they run out.  What rounding leaves over is owed to the next class.
 */
static int fill_balanced(int32_t *order, oc__groups *g, double balance,
                         oc__rng *rng) {
    double sum = 0, owed = oc__rng_double(rng);
    int at = 0;
    for (int c = 0; c < g->groups; c++) {
        int count = g->start[c + 1] - g->start[c];
        if (count) sum += pow(count, 1 - balance);
    }
    for (int c = 0; c < g->groups; c++) {
        int count = g->start[c + 1] - g->start[c];
        if (!count) continue;
        memcpy(g->tmp, g->pictures + g->start[c],
               (size_t)count * sizeof *g->tmp);
        shuffle_all(g->tmp, count, rng);
        owed += g->n * pow(count, 1 - balance) / sum;
        int places = OC_MIN((int)owed, g->n - at);
        owed -= places;
        for (int k = 0; k < places; k++)
            order[at++] = g->tmp[k % count];
    }
    return at;
}

void oc__stream_order(int32_t *order, oc__groups *g, int first, int shuffle,
                      double balance, uint64_t seed, int64_t epoch) {
    int at = 0, balanced = shuffle && balance > 0;
    oc__rng rng;
    oc__stream_draw(&rng, seed, OC_DRAW_ORDER, epoch, 0);
    if (balanced) at = fill_balanced(order, g, balance, &rng);
    for (; at < g->n; at++) /* all of them, or what rounding left over */
        order[at] =
            first + (balanced ? (int)oc__rng_below(&rng, (uint64_t)g->n) : at);
    if (shuffle) shuffle_all(order, g->n, &rng);
}
