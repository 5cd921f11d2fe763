/* attend.c - see attend.h. */
#include "ops/attend.h"

#include <assert.h>
#include <math.h>
#include <string.h>

/* Queries of a tile at most: enough to use packed keys and values often, few
 * enough that the scores, TILE_ROWS * KEY_BLOCK * 4 = 108 KiB, stay in an L2
 * of 512 KiB next to 200 KiB of keys and values.  A multiple of the AVX2 tile's
 * 6 rows; AVX-512's 14 go in 5 times. */
#define TILE_ROWS 72
/* Keys of a part at most, not more than the product takes without cutting k
 * (gemm.c), because it adds to y; and up to how many there is one part. */
#define KEY_BLOCK  384
#define KEYS_WHOLE 512
/* Up to here rows are computed one by one. */
#define DIRECT_ROWS 3

typedef struct attend_job {
    const oc__ctx *c;
    const oc__attend *a;
    void *y;
} attend_job;

/* What one item is about: a tile of queries of a head. */
typedef struct attend_at {
    int64_t b, h, kv, i, rows, keys; /* kv counts heads of keys and values */
    int64_t q, k, v, y;              /* where the tile and its keys begin */
} attend_at;

static attend_at attend_item(const oc__attend *a, int64_t item) {
    attend_at at;
    int64_t head = item / a->tiles;
    at.b = head / a->heads;
    at.h = head % a->heads;
    at.i = item % a->tiles * a->tile;
    at.rows = OC_MIN(a->tile, a->queries - at.i);
    at.keys = a->keys;
    if (a->used && a->skip_unused) at.keys = OC_MIN(at.keys, a->used[at.b]);
    int64_t kv = at.h / (a->heads / a->kv_heads);
    at.kv = at.b * a->kv_heads + kv;
    at.q = at.b * a->q.batch + at.h * a->q.head + at.i * a->q.position;
    at.k = at.b * a->k.batch + kv * a->k.head;
    at.v = at.b * a->v.batch + kv * a->v.head;
    at.y = at.b * a->y.batch + at.h * a->y.head + at.i * a->y.position;
    return at;
}

/* Query i sees keys *lo .. *hi - 1 at most. */
static void seen_keys(const oc__attend *a, int64_t b, int64_t i, int64_t *lo,
                      int64_t *hi) {
    int64_t at = i + (a->past_of ? a->past_of[b] : a->past);
    *lo = 0;
    *hi = a->keys;
    if (a->causal) *hi = OC_MIN(*hi, at + 1);
    if (a->used) *hi = OC_MIN(*hi, a->used[b]);
    if (a->window > 0) *lo = OC_MAX(at - a->window + 1, 0);
    *hi = OC_MAX(*hi, 0);
}

static void softmax_f64(double *x, int64_t n) {
    double max = -INFINITY, sum = 0;
    for (int64_t i = 0; i < n; i++)
        max = x[i] > max || x[i] != x[i] ? x[i] : max;
    for (int64_t i = 0; i < n; i++) {
        x[i] = exp(x[i] - max);
        sum += x[i];
    }
    for (int64_t i = 0; i < n; i++)
        x[i] /= sum;
}

static double dot_f64(const double *a, const double *b, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

#define REAL                   float
#define FN(name)               name##_f32
#define LIN(name)              oc__lin_f32##name
#define DOT(kernels, a, b, n)  (kernels)->dot_f32(a, b, (size_t)(n))
#define SOFTMAX(kernels, x, n) (kernels)->softmax_f32(x, x, (size_t)(n))
#include "ops/attend.inc"
#undef REAL
#undef FN
#undef LIN
#undef DOT
#undef SOFTMAX
#define REAL                   double
#define FN(name)               name##_f64
#define LIN(name)              oc__lin_f64##name
#define DOT(kernels, a, b, n)  ((void)(kernels), dot_f64(a, b, n))
#define SOFTMAX(kernels, x, n) ((void)(kernels), softmax_f64(x, n))
#include "ops/attend.inc"
#undef REAL
#undef FN
#undef LIN
#undef DOT
#undef SOFTMAX

/* ---- the softmax along with the products --------------------------------- */

/* Keys of a part, a whole number of the GEMM's panels. */
static int64_t part_of(const oc__kernels *kt, int64_t keys) {
    int64_t nr = (int64_t)kt->gemm_f32->nr;
    if (keys <= KEYS_WHOLE) return OC_MAX(keys, 1);
    int64_t parts = OC_CEIL_DIV(keys, KEY_BLOCK);
    return OC_CEIL_DIV(OC_CEIL_DIV(keys, parts), nr) * nr;
}

/* Values are packed part by part, so that each is a product of its own. */
static void pack_parts(const oc__lin *l, const oc__attend *a, int64_t keys,
                       int64_t part, const float *v, float *packed) {
    for (int64_t from = 0; from < keys; from += part) {
        int64_t n = OC_MIN(part, keys - from);
        oc__lin_f32_pack(l, n, a->v_size, v + from * a->v.position,
                         a->v.position, a->v.element, packed);
        packed += oc__lin_f32_packed(l->kernels, n, a->v_size);
    }
}

/* What is known of a query after some parts. */
typedef struct running {
    float max;
    double sum;
} running;

/* n scores of query i to weights e^(s - max), and y to the new max. */
static void soften(const oc__ctx *c, const oc__attend *a, const attend_at *at,
                   int64_t r, int64_t from, float *s, int64_t n, running *run,
                   float *y) {
    const oc__kernels *kt = c->kernels;
    float scale = (float)a->scale, max = run->max;
    if (a->bias[0].data || a->bias[1].data || a->keep.data || a->causal ||
        a->used || a->window > 0) {
        for (int64_t j = 0; j < n; j++)
            s[j] *= scale;
        mask_row_f32(a, at->b, at->h, at->i + r, from, s, n);
        scale = 1;
    }
    oc__reduce end = scale < 0 ? OC_REDUCE_MIN : OC_REDUCE_MAX;
    float top = scale * kt->reduce_f32(end, s, (size_t)n);
    if (top > max || top != top) max = top;
    if (max == -INFINITY) { /* nothing is seen so far */
        memset(s, 0, (size_t)n * sizeof(*s));
        return;
    }
    if (run->max != -INFINITY && max != run->max) {
        float factor = expf(run->max - max);
        run->sum *= (double)factor;
        kt->scale_bias_f32(y, factor, 0, y, (size_t)a->v_size);
    }
    run->sum += (double)kt->exp_shift_f32(s, scale, max, s, (size_t)n);
    run->max = max;
}

/* Divides by the sums; a query that saw nothing gets 0 or NaN. */
static void finish_rows(const oc__ctx *c, const oc__attend *a, int64_t rows,
                        const running *run, float *y, int64_t y_row) {
    for (int64_t r = 0; r < rows; r++, y += y_row) {
        if (run[r].max == -INFINITY) {
            for (int64_t e = 0; e < a->v_size; e++)
                y[e] = a->unseen_nan ? NAN : 0;
        } else {
            c->kernels->scale_bias_f32(y, (float)(1 / run[r].sum), 0, y,
                                       (size_t)a->v_size);
        }
    }
}

/* One tile of queries against all keys that any of them sees. */
static void online_tile(const oc__ctx *c, const oc__attend *a,
                        const attend_at *at, const float *q, const float *k,
                        const float *v, float *s, float *y, int64_t y_row,
                        void *gemm) {
    const oc__kernels *kt = c->kernels;
    const int64_t part = part_of(kt, at->keys);
    running run[TILE_ROWS];
    int64_t lo, hi, begun = 0, unused;
    seen_keys(a, at->b, at->i, &lo, &unused);
    seen_keys(a, at->b, at->i + at->rows - 1, &unused, &hi);
    hi = OC_MIN(hi, at->keys);
    if (a->masked != -INFINITY) { /* what is masked still counts a little */
        lo = 0;
        hi = at->keys;
    }
    for (int64_t r = 0; r < at->rows; r++)
        run[r] = (running){-INFINITY, 0};
    oc__gemm_f32_args scores = {.m = (size_t)at->rows,
                                .k = (size_t)a->size,
                                .a = q,
                                .a_row_stride = (size_t)a->q.position,
                                .a_col_stride = (size_t)a->q.element,
                                .c = s,
                                .alpha = 1};
    oc__gemm_f32_args sums = {.m = (size_t)at->rows,
                              .n = (size_t)a->v_size,
                              .a = s,
                              .a_col_stride = 1,
                              .packed_b = v,
                              .c = y,
                              .c_row_stride = (size_t)y_row,
                              .d_row_stride = (size_t)y_row,
                              .alpha = 1};
    for (int64_t from = 0; from < hi; from += part) {
        int64_t n = OC_MIN(part, at->keys - from);
        if (from + n > lo) {
            scores.n = scores.c_row_stride = sums.a_row_stride = (size_t)n;
            scores.packed_b = k + from * a->size;
            oc__gemm_f32(kt, NULL, &scores, gemm);
            for (int64_t r = 0; r < at->rows; r++)
                soften(c, a, at, r, from, s + r * n, n, &run[r], y + r * y_row);
            assert(!begun || !oc__gemm_f32_cuts_k((size_t)n));
            sums.k = (size_t)n;
            sums.d = begun ? y : NULL;
            oc__gemm_f32(kt, NULL, &sums, gemm);
            begun = 1;
        }
        sums.packed_b += oc__lin_f32_packed(kt, n, a->v_size);
    }
    finish_rows(c, a, at->rows, run, y, y_row);
}

static void online_range(void *user, int64_t begin, int64_t end, int worker) {
    const attend_job *job = user;
    const oc__attend *a = job->a;
    const oc__kernels *kt = job->c->kernels;
    float *packed_k = (float *)a->packed_k + worker * a->k_elems;
    float *packed_v = (float *)a->packed_v + worker * a->v_elems;
    float *s = (float *)a->rows + worker * a->s_elems;
    float *apart = (float *)a->out + worker * a->out_elems;
    oc__lin l = {kt, NULL, a->gemm + (size_t)worker * a->gemm_bytes};
    int64_t packed = -1;
    for (int64_t u = begin; u < end; u++) {
        attend_at at = attend_item(a, u);
        float *y = (float *)job->y + at.y;
        if (at.kv != packed) {
            oc__lin_f32_pack(&l, a->size, at.keys,
                             (const float *)a->k.data + at.k, a->k.element,
                             a->k.position, packed_k);
            pack_parts(&l, a, at.keys, part_of(kt, at.keys),
                       (const float *)a->v.data + at.v, packed_v);
            packed = at.kv;
        }
        online_tile(job->c, a, &at, (const float *)a->q.data + at.q, packed_k,
                    packed_v, s, a->out_elems ? apart : y,
                    a->out_elems ? a->v_size : a->y.position, l.scratch);
        if (!a->out_elems) continue;
        if (a->y.position == 1)
            kt->transpose_b4(apart, (size_t)a->v_size, y, (size_t)a->y.element,
                             (size_t)at.rows, (size_t)a->v_size);
        else
            scatter_f32(a, apart, at.rows, y);
    }
}

/* Whether nothing is asked for that needs all scores of a query at once. */
static int is_online(const oc__attend *a) {
    return a->real == OC_DTYPE_F32 && !a->direct && !a->scores && !a->sink &&
           a->softcap == 0 && a->softmax_dtype != OC_DTYPE_F16 &&
           a->softmax_dtype != OC_DTYPE_BF16;
}

/* ---- planning and running ------------------------------------------------ */

/* Tiles of about one height, in whole tiles of the GEMM. */
static void plan_tiles(const oc__kernels *kt, oc__attend *a) {
    int64_t mr = (int64_t)kt->gemm_f32->mr, most = TILE_ROWS / mr * mr;
    int64_t tiles = OC_CEIL_DIV(a->queries, most);
    a->direct = a->queries <= DIRECT_ROWS && a->q.element <= 1 &&
                a->k.element <= 1 && a->v.element <= 1 && a->y.element <= 1;
    a->tile = OC_MAX(a->queries, 1);
    if (!a->direct && tiles > 1) {
        a->tile = (a->queries + tiles - 1) / tiles;
        a->tile = (a->tile + mr - 1) / mr * mr;
    }
    a->tiles = (a->queries + a->tile - 1) / a->tile;
}

void oc__attend_plan(const oc__ctx *c, oc__bump *b, oc__attend *a) {
    const oc__kernels *kt = c->kernels;
    size_t threads = (size_t)OC_MAX(c->threads, 1);
    size_t elem = oc_dtype_bytes(a->real), k, v;
    plan_tiles(kt, a);
    int64_t rows = a->direct ? 1 : a->tile;
    a->s_elems = (int64_t)oc__align_up((size_t)(rows * a->keys), OC_ALIGN);
    a->rows = oc__bump_take(b, a->s_elems, elem * threads);
    if (a->direct) return;
    if (a->real == OC_DTYPE_F64) {
        k = oc__lin_f64_packed(kt, a->size, a->keys);
        v = oc__lin_f64_packed(kt, a->keys, a->v_size);
    } else {
        k = oc__lin_f32_packed(kt, a->size, a->keys);
        v = oc__lin_f32_packed(kt, a->keys, a->v_size);
        size_t g0 = oc__lin_f32_scratch(kt, a->tile, a->keys, a->size, 1);
        size_t g1 = oc__lin_f32_scratch(kt, a->tile, a->v_size, a->keys, 1);
        a->gemm_bytes = oc__align_up(OC_MAX(g0, g1), OC_ALIGN);
    }
    a->k_elems = (int64_t)oc__align_up(k, OC_ALIGN);
    a->v_elems = (int64_t)oc__align_up(v, OC_ALIGN);
    a->packed_k = oc__bump_take(b, a->k_elems, elem * threads);
    a->packed_v = oc__bump_take(b, a->v_elems, elem * threads);
    a->gemm = oc__bump_take(b, (int64_t)threads, a->gemm_bytes);
    if (a->y.element <= 1) return;
    a->out_elems =
        (int64_t)oc__align_up((size_t)(a->tile * a->v_size), OC_ALIGN);
    a->out = oc__bump_take(b, a->out_elems, elem * threads);
}

void oc__attend_run(const oc__ctx *c, const oc__attend *a) {
    attend_job job = {c, a, NULL};
    if (a->batch * a->heads == 0 || a->queries == 0) return;
    /* The view's pointer is const because most views are inputs. */
    memcpy(&job.y, &a->y.data, sizeof(job.y));
    oc__parallel(c, a->batch * a->heads * a->tiles, 1,
                 a->real == OC_DTYPE_F64 ? attend_range_f64
                 : is_online(a)          ? online_range
                                         : attend_range_f32,
                 &job);
}

double oc__attend_flops(const oc__attend *a) {
    return 2.0 * (double)a->batch * (double)a->heads * (double)a->queries *
           (double)a->keys * (double)(a->size + a->v_size);
}

oc__heads oc__heads_dense(const void *data, int64_t heads, int64_t positions,
                          int64_t size) {
    oc__heads h = {data, heads * positions * size, positions * size, size, 1};
    return h;
}

oc__heads oc__heads_flat(const void *data, int64_t heads, int64_t positions,
                         int64_t size) {
    oc__heads h = {data, positions * heads * size, size, heads * size, 1};
    return h;
}

typedef struct copy_job {
    oc__heads from, to;
    float *out;
    int64_t heads, positions, size, shift;
    const float *bias;
} copy_job;

static void copy_range(void *user, int64_t begin, int64_t end, int worker) {
    const copy_job *j = user;
    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        int64_t b = i / j->heads, h = i % j->heads;
        const float *x =
            (const float *)j->from.data + b * j->from.batch + h * j->from.head;
        float *y = j->out + b * j->to.batch + h * j->to.head +
                   j->shift * j->to.position;
        for (int64_t p = 0; p < j->positions; p++) {
            memcpy(y, x, (size_t)j->size * sizeof(float));
            for (int64_t e = 0; j->bias && e < j->size; e++)
                y[e] += j->bias[h * j->size + e];
            x += j->from.position;
            y += j->to.position;
        }
    }
}

void oc__attend_copy(const oc__ctx *c, const oc__heads *from,
                     const oc__heads *to, int64_t batch, int64_t heads,
                     int64_t positions, int64_t size, int64_t shift,
                     const float *bias) {
    copy_job j = {*from, *to, NULL, heads, positions, size, shift, bias};
    memcpy(&j.out, &to->data, sizeof(j.out));
    int64_t each = OC_MAX(positions * size, 1);
    oc__parallel(c, batch * heads, OC_MAX(16384 / each, 1), copy_range, &j);
}
