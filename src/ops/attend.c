/* attend.c - see attend.h. */
#include "ops/attend.h"

#include <math.h>
#include <string.h>

/* Rows of scores at a time: enough for full GEMM tiles, few enough that the
 * rows stay in cache between the two products. */
#define TILE_ROWS 64
/* Up to here rows are computed one by one. */
#define DIRECT_ROWS 3

typedef struct attend_job {
    const oc__ctx *c;
    const oc__attend *a;
    void *y;
} attend_job;

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

void oc__attend_plan(const oc__ctx *c, oc__bump *b, oc__attend *a) {
    const oc__kernels *kt = c->kernels;
    size_t threads = (size_t)OC_MAX(c->threads, 1);
    size_t elem = oc_dtype_bytes(a->real), k, v;
    a->direct = a->queries <= DIRECT_ROWS;
    a->tile = a->direct ? 1 : OC_MIN(a->queries, TILE_ROWS);
    a->s_elems = (int64_t)oc__align_up((size_t)(a->tile * a->keys), OC_ALIGN);
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
}

void oc__attend_run(const oc__ctx *c, const oc__attend *a) {
    attend_job job = {c, a, NULL};
    if (a->batch * a->heads == 0 || a->queries == 0) return;
    /* The view's pointer is const because most views are inputs. */
    memcpy(&job.y, &a->y.data, sizeof(job.y));
    oc__parallel(c, a->batch * a->heads, 1,
                 a->real == OC_DTYPE_F64 ? attend_range_f64 : attend_range_f32,
                 &job);
}

double oc__attend_flops(const oc__attend *a) {
    return 2.0 * (double)a->batch * (double)a->heads * (double)a->queries *
           (double)a->keys * (double)(a->size + a->v_size);
}

oc__heads oc__heads_dense(const void *data, int64_t heads, int64_t positions,
                          int64_t size) {
    oc__heads h = {data, heads * positions * size, positions * size, size};
    return h;
}

oc__heads oc__heads_flat(const void *data, int64_t heads, int64_t positions,
                         int64_t size) {
    oc__heads h = {data, positions * heads * size, size, heads * size};
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
