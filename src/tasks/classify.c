/* classify.c - the best classes of a picture. */
#include "tasks/vision_private.h"

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
    return OC_OK;
}
