/* classify.c - the best classes of a picture. */
#include "tasks/vision_private.h"

#include "base/label_tree.h"
#include "base/sort.h"

#include <math.h>
#include <string.h>

/* Written so that NaN ends up last, whatever is compared with it. */
static int by_score(const void *ctx, int64_t a, int64_t b) {
    const float *v = ctx;
    float x = isnan(v[a]) ? -INFINITY : v[a];
    float y = isnan(v[b]) ? -INFINITY : v[b];
    return x < y ? 1 : x > y ? -1 : 0;
}

/* exp(x - max) / sum, in double so that 1000 classes add up to 1. */
static void softmax(const float *v, int64_t n, float *out) {
    double top = -INFINITY, sum = 0;
    for (int64_t i = 0; i < n; i++) {
        if (v[i] > top) top = v[i];
    }
    for (int64_t i = 0; i < n; i++) {
        sum += exp(v[i] - top);
    }
    for (int64_t i = 0; i < n; i++) {
        out[i] = (float)(exp(v[i] - top) / sum);
    }
}

/* ---- classes in classes ---------------------------------------------------
 */

/* Labels tree[first..end) that are one class on a level. */
typedef struct group {
    size_t first, end;
    double score;
} group;

static group best_group(const oc_vision *v, const float *score, group in,
                        int level) {
    const char *const *labels = v->card->labels.v;
    group best = {in.first, in.first, -1};
    for (size_t at = in.first; at < in.end;) {
        group g = {at, at, 0};
        while (g.end < in.end && oc__label_same(labels[v->tree[at]],
                                                labels[v->tree[g.end]], level))
            g.score += score[v->tree[g.end++]];
        if (g.score > best.score) best = g;
        at = g.end;
    }
    return best;
}

static oc_status take_groups(const oc_vision *v, const float *score,
                             oc_result *out, oc_error *err) {
    group g = {0, (size_t)v->card->labels.n, 0};
    if (!v->levels) return OC_OK;
    out->groups = oc__result_alloc(out, (size_t)v->levels, sizeof *out->groups);
    if (!out->groups) return oc__fail_nomem(err);
    for (int level = 1; level <= v->levels; level++) {
        g = best_group(v, score, g, level);
        if (g.first == g.end) return OC_OK; /* scores are no numbers */
        const char *last = v->card->labels.v[v->tree[g.end - 1]];
        size_t n = oc__label_prefix(last, level);
        if (!last[n]) return OC_OK; /* a label itself */
        char *name = oc__result_alloc(out, n + 1, 1);
        if (!name) return oc__fail_nomem(err);
        memcpy(name, last, n);
        out->groups[out->group_count++] =
            (oc_label){name, -1, (float)OC_MIN(g.score, 1.0)};
    }
    return OC_OK;
}

oc_status oc__classify(const oc_vision *v, const oc__heads *h, oc_result *out,
                       oc_error *err) {
    const oc__head *y = &h->head[0];
    int64_t n = 1;
    /* [1,1000], [1,1000,1,1], [1000]: the classes are all there is. */
    if (oc__dims_product(y->dims, y->rank, &n) || n < 1)
        return oc__head_fail(h, 0, "it is empty", err);
    int batch = v->batch > 1 && y->rank > 1 && y->dims[0] == v->batch;
    if (batch) n /= v->batch;
    if (v->card->labels.n && n != v->card->labels.n)
        return oc__fail(err, OC_E_SHAPE,
                        "there are %d labels, but the output \"%.60s\" has "
                        "%lld classes",
                        v->card->labels.n, y->name, (long long)n);
    float *score = oc__result_alloc(out, (size_t)n, sizeof *score);
    int64_t *index = oc__result_alloc(out, (size_t)n, 2 * sizeof *index);
    size_t count = OC_MIN((size_t)n, v->top);
    out->labels = oc__result_alloc(out, count, sizeof *out->labels);
    if (!score || !index || !out->labels) return oc__fail_nomem(err);
    for (int64_t i = 0; i < n; i++) {
        score[i] = y->v[i];
        index[i] = i;
    }
    if (!strcmp(v->card->kind, "logits")) softmax(y->v, n, score);
    for (int64_t i = 0; !strcmp(v->card->kind, "sigmoid") && i < n; i++) {
        score[i] = 1 / (1 + expf(-y->v[i]));
    }
    oc__sort_index(index, index + n, (size_t)n, by_score, score);
    for (size_t i = 0; i < count; i++) {
        float s = score[index[i]];
        if (!isfinite(s)) continue; /* nothing anybody could read */
        if (s < v->threshold) break;
        out->labels[out->label_count++] =
            (oc_label){oc__vision_label(v, index[i]), (int)index[i], s};
    }
    return take_groups(v, score, out, err);
}
