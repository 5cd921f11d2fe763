/*
 * equalize_choose.c - the factors; see equalize.h.
 *
 * Of each channel, s = reach of its values ^ alpha / of its weights ^ (1 -
 * alpha): with more alpha more of what rounding the values costs goes to the
 * weights.  What that does to the products is estimated for some alphas, by the
 * range the values would have and by the weights as they would be rounded, and
 * the best is taken.
 */
#include "quant/equalize.h"

#include "base/memory.h"
#include "base/size.h"
#include "passes/match.h"

#include <math.h>
#include <string.h>

/* A channel whose values are so small a part of the largest is not enlarged
 * further: it may be larger in what is not seen. */
#define LEAST_PART (1.0 / 64)
/* Less of the error than this must be left, or all stays as it is. */
#define WORTH 0.95

static const double alphas[] = {0.3, 0.4, 0.5, 0.6, 0.7, 0.85, 1};

typedef struct chooser {
    const oc__quant_plan *p;
    const oc__graph *g;
    const oc_quantize_options *opt;
    const oc_allocator *a;
    oc__equal *e;
    double *values, *weights; /* reach of each channel */
    double *noise;            /* of each member: mean square of its rounding */
    oc__range *range;
    float *w, *scales; /* a weight, by factors, as it would be rounded */
    int8_t *codes;
    double *error, *power; /* of each row of it */
    size_t elems, rows, channels, members;
} chooser;

/* ---- how far channels reach ----------------------------------------------
 */

static const oc_tensor *weight_of(const chooser *c, const oc__equal_use *u) {
    return oc__constant(c->g, c->g->nodes[u->node]->in[u->input]);
}

static int64_t inner_of(const oc_tensor *t, int axis) {
    int64_t n = 1;
    for (int i = axis + 1; i < t->rank; i++)
        n *= t->dims[i];
    return n;
}

/* Nothing is less than a part of the greatest. */
static void lift(double *x, int64_t n, double part) {
    double top = 0;
    for (int64_t i = 0; i < n; i++)
        top = fmax(top, x[i]);
    if (!(top > 0) || !isfinite(top)) top = 1;
    for (int64_t i = 0; i < n; i++)
        x[i] = fmax(isfinite(x[i]) ? x[i] : top, top * part);
}

static void find_reach(chooser *c) {
    const oc__equal *e = c->e;
    memset(c->values, 0, (size_t)e->n * sizeof *c->values);
    memset(c->weights, 0, (size_t)e->n * sizeof *c->weights);
    for (int m = 0; m < e->n_members; m++) {
        const oc__lane *l = c->p->watches[e->members[m]].lanes;
        for (int64_t i = 0; i < e->n; i++)
            c->values[i] = fmax(c->values[i],
                                fmax(-(double)l[i].least, (double)l[i].most));
    }
    for (int k = 0; k < e->n_uses; k++) {
        const oc__equal_use *u = &e->uses[k];
        if (!u->reads || u->is_free) continue;
        const oc_tensor *t = weight_of(c, u);
        int64_t inner = inner_of(t, u->axis), n = oc_tensor_elems(t);
        const float *x = t->data;
        for (int64_t i = 0; i < n; i++) {
            double *to = &c->weights[i / inner % e->n];
            *to = fmax(*to, fabs((double)x[i]));
        }
    }
    lift(c->values, e->n, LEAST_PART);
    lift(c->weights, e->n, LEAST_PART);
}

/* Factors, 1 in the geometric mean. */
static void make_factors(const chooser *c, double alpha) {
    double mean = 0;
    for (int64_t i = 0; i < c->e->n; i++)
        mean += (alpha * log(c->values[i]) - (1 - alpha) * log(c->weights[i])) /
                (double)c->e->n;
    for (int64_t i = 0; i < c->e->n; i++)
        c->e->by[i] = alpha > 0
                          ? (float)exp(alpha * log(c->values[i]) -
                                       (1 - alpha) * log(c->weights[i]) - mean)
                          : 1;
}

/* ---- what they do --------------------------------------------------------
 */

static void round_members(chooser *c) {
    for (int m = 0; m < c->e->n_members; m++) {
        const oc__quant_watch *w = &c->p->watches[c->e->members[m]];
        float lo, hi;
        oc__lanes_range(w->lanes, c->e->n, c->e->by, c->range);
        oc__quant_limits(c->opt, c->range, &lo, &hi);
        c->noise[m] = oc__range_error(c->range, lo, hi);
    }
}

static int is_read(const chooser *c, int member) {
    for (int k = 0; k < c->e->n_uses; k++)
        if (c->e->uses[k].member == member) return 1;
    return 0;
}

/* How much channel i of what w sees varies: the mean of an error is taken back
 * by biases. */
static double variance_of(const oc__quant_watch *w, int64_t i) {
    const oc__lane *l = &w->lanes[i];
    double mean = w->sums && w->channels == w->lane_count && w->counted
                      ? w->sums[i] / (double)w->counted
                      : 0;
    return l->count ? fmax(l->square / (double)l->count - mean * mean, 0) : 0;
}

/* The error of what u makes of the values, as a part of how much it varies: the
 * mean over what it makes, for what comes next may take any of it as large. */
static double error_of(chooser *c, const oc__equal_use *u, double noise) {
    const oc__quant_watch *seen = &c->p->watches[c->e->members[u->member]];
    oc_tensor t = *weight_of(c, u);
    const float *was = t.data;
    int64_t inner = inner_of(&t, u->axis), n = oc_tensor_elems(&t);
    int axis = c->p->targets[u->target].axis;
    int64_t rows = t.dims[axis], row = inner_of(&t, axis);
    double sum = 0, *error = c->error, *power = c->power;
    memset(error, 0, (size_t)rows * sizeof *error);
    memset(power, 0, (size_t)rows * sizeof *power);
    for (int64_t i = 0; i < n; i++)
        c->w[i] = was[i] * c->e->by[i / inner % c->e->n];
    t.data = c->w;
    if (!u->is_free)
        oc__quant_weight(&t, axis, !c->opt->full_range, c->codes, c->scales);
    for (int64_t i = 0; i < n; i++) {
        int64_t k = i / inner % c->e->n, o = i / row % rows;
        double by = (double)c->e->by[k], w = (double)c->w[i];
        double varies = variance_of(seen, k) / (by * by);
        double e =
            u->is_free ? 0 : w - (double)c->codes[i] * (double)c->scales[o];
        power[o] += w * w * varies;
        error[o] += e * e * varies + w * w * noise;
    }
    for (int64_t o = 0; o < rows; o++)
        sum += power[o] > 0 ? error[o] / power[o] / (double)rows : 0;
    return sum;
}

/* Of all that read, once the factors are there. */
static double error_now(chooser *c) {
    double sum = 0, unread = 0;
    round_members(c);
    for (int m = 0; m < c->e->n_members; m++)
        if (!is_read(c, m)) unread += c->noise[m];
    for (int k = 0; k < c->e->n_uses; k++) {
        const oc__equal_use *u = &c->e->uses[k];
        int m = u->member;
        if (m >= 0) sum += error_of(c, u, c->noise[m] + unread);
    }
    return sum;
}

static void choose(chooser *c) {
    oc__equal *e = c->e;
    find_reach(c);
    make_factors(c, 0);
    double none = error_now(c), best = none * WORTH;
    e->alpha = 0;
    for (size_t i = 0; i < OC_COUNT(alphas); i++) {
        make_factors(c, alphas[i]);
        double now = error_now(c);
        if (!(now < best)) continue;
        best = now;
        e->alpha = alphas[i];
    }
    e->is_worth = e->alpha > 0;
    make_factors(c, e->alpha);
}

/* ---- the whole ------------------------------------------------------------
 */

static oc_status keep_ranges(chooser *c, oc_error *err) {
    for (int m = 0; m < c->e->n_members; m++) {
        oc__quant_watch *w = &c->p->watches[c->e->members[m]];
        if (!w->even) w->even = oc__alloc(c->a, sizeof *w->even);
        if (!w->even) return oc__fail_nomem(err);
        w->even->use = w->range.use;
        oc__lanes_range(w->lanes, c->e->n, c->e->by, w->even);
    }
    return OC_OK;
}

/* Whether every member was seen, with as many channels as it should have. */
static int is_seen(const chooser *c) {
    for (int m = 0; m < c->e->n_members; m++) {
        const oc__quant_watch *w = &c->p->watches[c->e->members[m]];
        if (w->absent || !w->lanes || w->lane_count != c->e->n) return 0;
    }
    return 1;
}

static oc_status make_room(chooser *c, oc_error *err) {
    const oc__equalizer *q = c->p->equal;
    for (int i = 0; i < q->n; i++) {
        const oc__equal *e = &q->list[i];
        c->channels = OC_MAX(c->channels, (size_t)e->n);
        c->members = OC_MAX(c->members, (size_t)e->n_members);
        for (int k = 0; k < e->n_uses; k++) {
            if (e->uses[k].target < 0) continue;
            const oc_tensor *t = weight_of(c, &e->uses[k]);
            int axis = c->p->targets[e->uses[k].target].axis;
            c->elems = OC_MAX(c->elems, (size_t)oc_tensor_elems(t));
            c->rows = OC_MAX(c->rows, (size_t)t->dims[axis]);
        }
    }
    c->values = oc__calloc(c->a, c->channels, sizeof *c->values);
    c->weights = oc__calloc(c->a, c->channels, sizeof *c->weights);
    c->noise = oc__calloc(c->a, c->members, sizeof *c->noise);
    c->range = oc__calloc(c->a, 1, sizeof *c->range);
    c->w = oc__calloc(c->a, c->elems, sizeof *c->w);
    c->scales = oc__calloc(c->a, c->rows, sizeof *c->scales);
    c->codes = oc__calloc(c->a, c->elems, 1);
    c->error = oc__calloc(c->a, c->rows, sizeof *c->error);
    c->power = oc__calloc(c->a, c->rows, sizeof *c->power);
    return c->values && c->weights && c->noise && c->range && c->w &&
                   c->scales && c->codes && c->error && c->power
               ? OC_OK
               : oc__fail_nomem(err);
}

static void free_room(chooser *c) {
    oc__release(c->a, c->values, c->channels * sizeof *c->values);
    oc__release(c->a, c->weights, c->channels * sizeof *c->weights);
    oc__release(c->a, c->noise, c->members * sizeof *c->noise);
    oc__release(c->a, c->range, sizeof *c->range);
    oc__release(c->a, c->w, c->elems * sizeof *c->w);
    oc__release(c->a, c->scales, c->rows * sizeof *c->scales);
    oc__release(c->a, c->codes, c->elems);
    oc__release(c->a, c->error, c->rows * sizeof *c->error);
    oc__release(c->a, c->power, c->rows * sizeof *c->power);
}

oc_status oc__equal_choose(oc__quant_plan *p, const oc__graph *g,
                           const oc_quantize_options *opt,
                           const oc_allocator *a, oc_error *err) {
    oc__equalizer *q = p->equal;
    chooser c = {.p = p, .g = g, .opt = opt, .a = a};
    if (!q || q->is_chosen || !q->n) return OC_OK;
    oc_status st = make_room(&c, err);
    for (int i = 0; i < q->n && !st; i++) {
        c.e = &q->list[i];
        if (c.e->is_final) continue;
        c.e->is_worth = 0;
        if (!is_seen(&c)) continue;
        choose(&c);
        if (c.e->is_worth) st = keep_ranges(&c, err);
    }
    if (!st) q->is_chosen = 1;
    free_room(&c);
    return st;
}
