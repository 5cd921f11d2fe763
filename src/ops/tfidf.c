/*
 * tfidf.c - TfIdfVectorizer: counts of n-grams out of a given pool.
 *
 * The n-grams of each length are sorted once a run, so that those of the
 * input are looked up by bisection.
 */
#include "base/sort.h"
#include "ops/op.h"

#include <string.h>

typedef struct pool {
    const int64_t *ints; /* one of these */
    const oc_string *strings;
    size_t items;          /* in the pool */
    const int64_t *starts; /* where the grams of length 1, 2, ... begin */
    size_t n_starts;
    const int64_t *outputs; /* output index of each gram */
    size_t n_grams;
    const float *weights;
    size_t n_weights;
    int64_t min, max, skips, width; /* width: of the output */
    int count, weigh;               /* TF: count; IDF: weigh; TFIDF: both */
} pool;

static oc_status read_mode(const oc__ctx *c, pool *p) {
    const char *mode = oc__attr_string(c->node, "mode", "");
    p->count = !strcmp(mode, "TF") || !strcmp(mode, "TFIDF");
    p->weigh = !strcmp(mode, "IDF") || !strcmp(mode, "TFIDF");
    if (!p->count && !p->weigh)
        return oc__op_fail(c, OC_E_ARG, "mode is \"%s\"", mode);
    p->min = oc__attr_int(c->node, "min_gram_length", 0);
    p->max = oc__attr_int(c->node, "max_gram_length", 0);
    p->skips = oc__attr_int(c->node, "max_skip_count", 0);
    if (p->min < 1 || p->max < p->min || p->skips < 0 || p->skips > INT32_MAX)
        return oc__op_fail(c, OC_E_ARG, "grams of %lld to %lld, %lld skips",
                           (long long)p->min, (long long)p->max,
                           (long long)p->skips);
    return OC_OK;
}

/* Grams of length n; their number. */
static size_t gram_count(const pool *p, size_t n) {
    if (n > p->n_starts) return 0;
    size_t begin = (size_t)p->starts[n - 1];
    size_t end = n < p->n_starts ? (size_t)p->starts[n] : p->items;
    return (end - begin) / n;
}

static oc_status pool_read(const oc__ctx *c, pool *p) {
    size_t n, n_texts;
    const oc_string *texts =
        oc__attr_strings(c->node, "pool_strings", &n_texts);
    memset(p, 0, sizeof *p);
    OC_TRY(read_mode(c, p));
    p->ints = oc__attr_ints(c->node, "pool_int64s", &p->items);
    if (!p->ints && texts) {
        p->strings = texts;
        p->items = n_texts;
    }
    if (!p->ints == !p->strings)
        return oc__op_fail(c, OC_E_FORMAT, "there is no pool of grams");
    p->starts = oc__attr_ints(c->node, "ngram_counts", &p->n_starts);
    p->outputs = oc__attr_ints(c->node, "ngram_indexes", &p->n_grams);
    p->weights = oc__attr_floats(c->node, "weights", &p->n_weights);
    for (size_t i = 0, last = 0; i < p->n_starts; i++) {
        if (p->starts[i] < (int64_t)last || p->starts[i] > (int64_t)p->items)
            return oc__op_fail(c, OC_E_FORMAT, "ngram_counts is out of order");
        last = (size_t)p->starts[i];
    }
    n = 0;
    for (size_t i = 1; i <= p->n_starts; i++)
        n += gram_count(p, i);
    if (n > p->n_grams)
        return oc__op_fail(c, OC_E_FORMAT, "%zu indexes for %zu grams",
                           p->n_grams, n);
    for (size_t i = 0; i < p->n_grams; i++) {
        if (p->outputs[i] < 0 || p->outputs[i] > INT32_MAX)
            return oc__op_fail(c, OC_E_FORMAT, "index %lld of a gram",
                               (long long)p->outputs[i]);
        p->width = OC_MAX(p->width, p->outputs[i] + 1);
    }
    if (p->weigh && p->weights && p->n_weights < p->n_grams)
        return oc__op_fail(c, OC_E_FORMAT, "%zu weights for %zu grams",
                           p->n_weights, p->n_grams);
    return OC_OK;
}

static oc_status infer_tfidf(oc__ctx *c) {
    pool p;
    OC_TRY(pool_read(c, &p));
    OC_TRY(oc__want(c, 0, p.ints ? OC_T(I32) | OC_T(I64) : OC_T(STRING)));
    OC_TRY(oc__want_rank(c, 0, 0, 2));
    const oc_tensor *x = oc__in(c, 0);
    int64_t dims[2] = {x->dims[0], p.width};
    oc__scratch_need(c, 2 * p.items * sizeof(int64_t));
    if (x->rank == 2) return oc__out_set(c, 0, OC_DTYPE_F32, 2, dims);
    return oc__out_set(c, 0, OC_DTYPE_F32, 1, &p.width);
}

/* ---- looking up ------------------------------------------------------------
 */

typedef struct gram_order {
    const pool *p;
    size_t begin, length; /* of the grams of one length in the pool */
} gram_order;

static int compare_strings(oc_string a, oc_string b) {
    size_t n = OC_MIN(a.bytes, b.bytes);
    int r = n ? memcmp(a.data, b.data, n) : 0;
    return r ? r : (a.bytes > b.bytes) - (a.bytes < b.bytes);
}

static int compare_pool(const pool *p, size_t a, size_t b) {
    if (p->ints) return (p->ints[a] > p->ints[b]) - (p->ints[a] < p->ints[b]);
    return compare_strings(p->strings[a], p->strings[b]);
}

static int compare_grams(const void *ctx, int64_t a, int64_t b) {
    const gram_order *o = ctx;
    for (size_t i = 0; i < o->length; i++) {
        int r = compare_pool(o->p, o->begin + (size_t)a * o->length + i,
                             o->begin + (size_t)b * o->length + i);
        if (r) return r;
    }
    return 0;
}

/* Element i of the input against item k of the pool. */
static int compare_input(const pool *p, const oc_tensor *x, int64_t i,
                         size_t k) {
    if (p->strings)
        return compare_strings(((const oc_string *)x->data)[i], p->strings[k]);
    int64_t v = oc__tensor_get_i64(x, i);
    return (v > p->ints[k]) - (v < p->ints[k]);
}

/* The gram that equals x[at], x[at + step], ...; of equal ones the last. */
static int64_t find_gram(const gram_order *o, const int64_t *order, size_t n,
                         const oc_tensor *x, int64_t at, int64_t step) {
    size_t lo = 0, hi = n;
    int64_t found = -1;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        size_t first = o->begin + (size_t)order[mid] * o->length;
        int r = 0;
        for (size_t i = 0; i < o->length && !r; i++)
            r = compare_input(o->p, x, at + (int64_t)i * step, first + i);
        if (r == 0) found = order[mid];
        if (r < 0)
            hi = mid;
        else
            lo = mid + 1;
    }
    return found;
}

/* Adds the grams of one length in all rows; `id` is the number of the first
   of them in the pool. */
static void count_grams(const gram_order *o, const int64_t *order, size_t n,
                        size_t id, const oc_tensor *x, float *y) {
    const pool *p = o->p;
    int64_t length = (int64_t)o->length;
    int64_t rows = x->rank == 2 ? x->dims[0] : 1;
    int64_t size = x->rank ? x->dims[x->rank - 1] : 1;
    /* Skipping changes nothing for single items: they count once. */
    int64_t skips = length == 1 ? 0 : p->skips;
    for (int64_t row = 0; row < rows; row++)
        for (int64_t step = 1; step <= skips + 1; step++) {
            if (length > 1 && step > (size - 1) / (length - 1)) break;
            for (int64_t at = 0; at + step * (length - 1) < size; at++) {
                int64_t k = find_gram(o, order, n, x, row * size + at, step);
                if (k < 0) continue;
                size_t gram = id + (size_t)k;
                float *to = &y[row * p->width + p->outputs[gram]];
                float w = p->weigh && p->weights ? p->weights[gram] : 1;
                *to = p->count ? *to + w : w;
            }
        }
}

static oc_status run_tfidf(oc__ctx *c) {
    const oc_tensor *x = oc__in(c, 0);
    oc_tensor *y = oc__out(c, 0);
    float *out = y->data;
    pool p;
    OC_TRY(pool_read(c, &p));
    int64_t *order = c->scratch, *tmp = order + p.items;
    size_t id = 0;
    memset(y->data, 0, oc_tensor_bytes(y));
    for (size_t length = 1; length <= p.n_starts; length++) {
        size_t n = gram_count(&p, length);
        gram_order o = {&p, (size_t)p.starts[length - 1], length};
        if ((int64_t)length >= p.min && (int64_t)length <= p.max && n) {
            for (size_t i = 0; i < n; i++)
                order[i] = (int64_t)i;
            oc__sort_index(order, tmp, n, compare_grams, &o);
            count_grams(&o, order, n, id, x, out);
        }
        id += n;
    }
    return OC_OK;
}

const oc__op oc__ops_tfidf[] = {
    {"", "TfIdfVectorizer", 9, 1, 1, 1, 0, 0, infer_tfidf, run_tfidf, NULL},
    {NULL, NULL, 0, 0, 0, 0, 0, 0, NULL, NULL, NULL},
};
