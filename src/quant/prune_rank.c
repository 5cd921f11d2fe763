/* prune_rank.c - what a class is worth, and which go. */
#include "base/size.h"
#include "quant/units.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- scores ---------------------------------------------------------------
 */

/* Sums of |w| over each row along `axis`. */
static void row_sums(const oc_tensor *w, int axis, double *sum) {
    int64_t n = w->dims[axis], inner = 1, elems = oc_tensor_elems(w);
    const float *x = w->data;
    for (int i = axis + 1; i < w->rank; i++)
        inner *= w->dims[i];
    memset(sum, 0, (size_t)n * sizeof *sum);
    for (int64_t i = 0; i < elems; i++)
        sum[i / inner % n] += (double)fabsf(x[i]);
}

/* The batch norm that alone reads what node `at` makes, or NULL. */
static const oc__node *norm_behind(const oc__prune *p, int at) {
    const oc__node *found = NULL;
    int v = p->g->nodes[at]->out[0];
    for (int i = 0; i < p->g->n_nodes; i++) {
        const oc__node *n = p->g->nodes[i];
        for (int j = 0; j < n->n_in; j++) {
            if (n->in[j] != v) continue;
            if (found || j || !oc__is_op(n, "BatchNormalization")) return NULL;
            found = n;
        }
    }
    return found;
}

/* What a batch norm multiplies rows by. */
static void scale_rows(const oc__prune *p, const oc__node *bn, int64_t n,
                       double *sum) {
    const oc_tensor *scale = bn ? oc__prune_weight(p, bn, 1) : NULL;
    const oc_tensor *var = bn ? oc__prune_weight(p, bn, 4) : NULL;
    double epsilon = bn ? (double)oc__attr_float(bn, "epsilon", 1e-5f) : 0;
    if (!scale || !var || oc_tensor_elems(scale) != n ||
        oc_tensor_elems(var) != n)
        return;
    for (int64_t i = 0; i < n; i++)
        sum[i] *= fabs(oc_tensor_get(scale, i)) /
                  sqrt(fmax(oc_tensor_get(var, i), 0) + epsilon);
}

/* A slice's rows count for their classes, the mean row for 1: else the layer
 * with the largest numbers would decide alone. */
static oc_status add_rows(const oc__prune *p, const oc__prune_slice *s,
                          double *score) {
    const oc__node *n = p->g->nodes[s->node];
    const oc_tensor *w = oc__prune_weight(p, n, s->input);
    double *sum = oc__arena_array(p->arena, (size_t)s->n, sizeof *sum);
    double all = 0;
    if (!sum) return OC_E_NOMEM;
    if (!w || w->dims[s->axis] != s->n) return OC_OK;
    row_sums(w, s->axis, sum);
    if (s->role == OC_PRUNE_FILTER)
        scale_rows(p, norm_behind(p, s->node), s->n, sum);
    for (int64_t i = 0; i < s->n; i++)
        all += sum[i];
    for (int64_t i = 0; i < s->n && all > 0; i++)
        score[oc__prune_class(p, s->unit[i])] += sum[i] * (double)s->n / all;
    return OC_OK;
}

oc_status oc__prune_score(const oc__prune *p, oc_importance how,
                          double *score) {
    oc__prune_role role =
        how == OC_IMPORTANCE_BN ? OC_PRUNE_SCALE : OC_PRUNE_FILTER;
    for (int i = 0; i < p->n_units; i++)
        score[i] = 0;
    for (int i = 0; i < p->n_slices; i++)
        if (p->slices[i].role == role) {
            oc_status st = add_rows(p, &p->slices[i], score);
            if (st != OC_OK) return oc__fail_nomem(p->err);
        }
    return OC_OK;
}

/* ---- choosing -------------------------------------------------------------
 */

typedef struct candidate {
    int class, group;
    double score;
} candidate;

static int by_group_and_score(const void *a, const void *b) {
    const candidate *x = a, *y = b;
    if (x->group != y->group) return x->group < y->group ? -1 : 1;
    if (x->score < y->score) return -1;
    if (x->score > y->score) return 1;
    return x->class < y->class ? -1 : 1;
}

/* Of n classes, how many stay. */
static int kept_of(const oc_prune_options *opt, int n) {
    int step = opt->round > 0 ? opt->round : 8;
    double want = n * (1 - opt->channels);
    int keep =
        n >= 2 * step ? (int)(want / step + 0.5) * step : (int)(want + 0.5);
    return OC_MIN(OC_MAX(keep, OC_MIN(n, n >= 2 * step ? step : 1)), n);
}

/* No value loses all of its units. */
static void keep_one(oc__prune *p, const int *unit, int64_t n,
                     const double *score) {
    int best = -1;
    for (int64_t i = 0; i < n; i++) {
        int c = oc__prune_class(p, unit[i]);
        if (!p->gone[c]) return;
        if (best < 0 || score[c] > score[best]) best = c;
    }
    if (best >= 0) p->gone[best] = 0;
}

static void keep_some(oc__prune *p, const double *score) {
    for (int v = 0; v < p->g->n_values; v++)
        if (p->of[v].n) keep_one(p, p->of[v].unit, p->of[v].n, score);
    for (int i = 0; i < p->n_slices; i++)
        keep_one(p, p->slices[i].unit, p->slices[i].n, score);
}

oc_status oc__prune_choose(oc__prune *p, const double *score, oc_error *err) {
    size_t bytes = (size_t)p->n_units + 1;
    candidate *list = oc__arena_array(p->arena, bytes, sizeof *list);
    int n = 0;
    if (!list) return oc__fail_nomem(err);
    memset(p->gone, 0, bytes);
    for (int u = 0; u < p->n_units; u++)
        if (oc__prune_class(p, u) == u)
            list[n++] = (candidate){u, oc__prune_group(p, u), score[u]};
    qsort(list, (size_t)n, sizeof *list, by_group_and_score);
    for (int i = 0, end; i < n; i = end) {
        for (end = i; end < n && list[end].group == list[i].group; end++)
            continue;
        int goes = end - i - kept_of(p->opt, end - i);
        for (int k = i; k < end && goes > 0; k++) {
            if (p->why[list[k].class]) continue;
            p->gone[list[k].class] = 1;
            goes--;
        }
    }
    keep_some(p, score);
    return OC_OK;
}

int64_t oc__prune_left(const oc__prune *p, oc__channels c) {
    int64_t left = 0;
    for (int64_t i = 0; i < c.n; i++)
        left += !p->gone[oc__prune_class(p, c.unit[i])];
    return left;
}
