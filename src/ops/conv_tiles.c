/* conv_tiles.c - see conv_tiles.h. */
#include "ops/conv_tiles.h"

#include <string.h>

/* A tile of taps should stay in the second-level cache while the rows of w
 * pass over it, and be wide enough to pay for packing w each time. */
#define TILE_ELEMS ((int64_t)1 << 18)
#define TILE_MIN   64

static int64_t tile_count(const oc__tiles *t) {
    return (t->cols + t->tile - 1) / t->tile;
}

void oc__tiles_plan(const oc__ctx *c, oc__bump *b, oc_dtype real,
                    oc__tiles *t) {
    const oc__kernels *kt = c->kernels;
    int threads = OC_MAX(c->threads, 1);
    size_t elem = oc_dtype_bytes(real);
    t->nr = real == OC_DTYPE_F32 ? (int64_t)oc__lin_f32_packed(kt, 1, 1) : 1;
    int64_t wide = TILE_ELEMS / OC_MAX(t->depth, 1);
    wide = OC_MAX(wide, TILE_MIN) / t->nr * t->nr;
    int64_t all = (t->cols + t->nr - 1) / t->nr * t->nr;
    t->tile = OC_MAX(OC_MIN(OC_MAX(wide, t->nr), all), t->nr);
    t->packed_elems = t->tile * t->depth;
    size_t one = 0, many = 0;
    if (real == OC_DTYPE_F32) {
        one = oc__lin_f32_scratch(kt, t->rows, t->tile, t->depth, 1);
        many = oc__lin_f32_scratch(kt, t->rows, t->tile, t->depth, threads);
    }
    t->gemm_bytes = oc__align_up(one, OC_ALIGN);
    t->packed_elems = (int64_t)oc__align_up((size_t)t->packed_elems, OC_ALIGN);
    /* Either every worker has a tile of its own, or all share one. */
    size_t gemm = OC_MAX(t->gemm_bytes * (size_t)threads, many);
    t->packed = oc__bump_take(b, t->packed_elems, elem * (size_t)threads);
    t->gemm = oc__bump_take(b, (int64_t)gemm, 1);
}

/* Where a unit of work, one tile of one group of one picture, lies. */
typedef struct unit {
    int64_t batch, group, j0, n;
    int64_t row;    /* first output channel */
    int64_t out_at; /* element of out */
} unit;

static unit unit_at(const oc__tiles *t, int64_t index) {
    int64_t tiles = tile_count(t);
    unit u;
    u.j0 = index % tiles * t->tile;
    u.n = OC_MIN(t->tile, t->cols - u.j0);
    u.group = index / tiles % t->group;
    u.batch = index / tiles / t->group;
    u.row = u.group * t->rows;
    u.out_at = (u.batch * t->group * t->rows + u.row) * t->cols + u.j0;
    return u;
}

static void product_f32(const oc__ctx *c, const oc__tiles *t, unit u,
                        const float *packed, void *scratch, oc__pool *pool) {
    oc__gemm_f32_args a = {0};
    a.m = (size_t)t->rows;
    a.n = (size_t)u.n;
    a.k = (size_t)t->depth;
    a.a = (const float *)t->w + u.row * t->depth;
    a.a_row_stride = (size_t)t->depth;
    a.a_col_stride = 1;
    a.packed_b = packed;
    a.b_is_whole = 1;
    a.c = (float *)t->out + u.out_at;
    a.c_row_stride = (size_t)t->cols;
    a.bias_m = t->bias ? (const float *)t->bias + u.row : NULL;
    a.d = t->add ? (const float *)t->add + u.out_at : NULL;
    a.d_row_stride = (size_t)t->cols;
    a.alpha = 1;
    a.act = (int)t->act.kind;
    a.act_a = t->act.a;
    a.act_b = t->act.b;
    oc__gemm_f32(c->kernels, pool, &a, scratch);
}

/* The f64 form has one panel as wide as the tile. */
static void product_f64(const oc__tiles *t, unit u, const double *packed) {
    const double *w = (const double *)t->w + u.row * t->depth;
    const double *add = t->add ? (const double *)t->add + u.out_at : NULL;
    for (int64_t i = 0; i < t->rows; i++) {
        double *row = (double *)t->out + u.out_at + i * t->cols;
        double bias = t->bias ? ((const double *)t->bias)[u.row + i] : 0;
        for (int64_t j = 0; j < u.n; j++)
            row[j] = bias + (add ? add[i * t->cols + j] : 0);
        for (int64_t k = 0; k < t->depth; k++) {
            double v = w[i * t->depth + k];
            for (int64_t j = 0; j < u.n; j++)
                row[j] += v * packed[k * u.n + j];
        }
        if (t->act.kind != OC_ACT_NONE) oc__act_f64(t->act, row, row, u.n);
    }
}

typedef struct tiles_job {
    const oc__ctx *c;
    const oc__tiles *t;
    unit u;
} tiles_job;

static void run_units_f32(void *user, int64_t begin, int64_t end, int worker) {
    const tiles_job *job = user;
    const oc__tiles *t = job->t;
    float *packed = (float *)t->packed + worker * t->packed_elems;
    for (int64_t i = begin; i < end; i++) {
        unit u = unit_at(t, i);
        t->fill(t->user, u.batch, u.group, u.j0, u.n, t->nr, packed);
        product_f32(job->c, t, u, packed,
                    t->gemm + (size_t)worker * t->gemm_bytes, NULL);
    }
}

static void run_units_f64(void *user, int64_t begin, int64_t end, int worker) {
    const tiles_job *job = user;
    const oc__tiles *t = job->t;
    double *packed = (double *)t->packed + worker * t->packed_elems;
    for (int64_t i = begin; i < end; i++) {
        unit u = unit_at(t, i);
        t->fill(t->user, u.batch, u.group, u.j0, u.n, u.n, packed);
        product_f64(t, u, packed);
    }
}

static void fill_panels(void *user, int64_t begin, int64_t end, int worker) {
    const tiles_job *job = user;
    const oc__tiles *t = job->t;
    const unit *u = &job->u;
    (void)worker;
    int64_t from = begin * t->nr, to = OC_MIN(end * t->nr, u->n);
    t->fill(t->user, u->batch, u->group, u->j0 + from, to - from, t->nr,
            (float *)t->packed + begin * t->depth * t->nr);
}

void oc__tiles_run(const oc__ctx *c, oc_dtype real, const oc__tiles *t) {
    tiles_job job = {c, t, {0}};
    int64_t units = t->batch * t->group * tile_count(t);
    if (t->rows == 0 || t->cols == 0) return;
    if (real == OC_DTYPE_F64) {
        oc__parallel(c, units, 1, run_units_f64, &job);
        return;
    }
    if (units >= c->threads) {
        oc__parallel(c, units, 1, run_units_f32, &job);
        return;
    }
    /* Fewer tiles than threads: all work on each. */
    for (int64_t i = 0; i < units; i++) {
        job.u = unit_at(t, i);
        oc__parallel(c, (job.u.n + t->nr - 1) / t->nr, 1, fill_panels, &job);
        product_f32(c, t, job.u, (const float *)t->packed, t->gemm, c->pool);
    }
}
