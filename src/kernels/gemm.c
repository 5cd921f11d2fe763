/*
 * gemm.c - the driver of the f32 product: packing, blocking, sharing out.
 *
 * For each task (some rows of C times some columns) and each block of k:
 *
 *     for each panel of A (<= mr rows)        packed just before, lies in L1
 *         for each panel of B (nr columns)    streams from L2
 *             tile
 *
 * Panels of A are made equally high (15 rows are 8 + 7, not 14 + 1), since a
 * low tile does not fill the multiply-add pipeline.
 */
#include "kernels/gemm.h"

#include "kernels/kernels.h"
#include "kernels/share.h"

#include <assert.h>
#include <math.h>
#include <string.h>

/* Steps of k in a block.  A panel of A must stay in L1 (32 KiB or more) next
 * to the passing panel of B and the tile of C: 14 rows * 384 steps * 4 bytes
 * = 21 KiB.  Longer blocks read and write C less often. */
#define K_BLOCK 384
/* Columns of a task.  384 steps * 512 columns * 4 bytes = 768 KiB of B, used
 * by all panels of A in the task, lie in an L2 of 1 MiB. */
#define N_BLOCK 512

/* k is cut into blocks of equal length, a multiple of OC_GEMM_STEPS. */
static size_t k_block_of(size_t k) {
    if (k <= K_BLOCK) return k;
    size_t blocks = OC_CEIL_DIV(k, K_BLOCK);
    return oc__align_up(OC_CEIL_DIV(k, blocks), OC_GEMM_STEPS);
}

int oc__gemm_f32_cuts_k(size_t k) {
    return k > K_BLOCK;
}

size_t oc__gemm_f32_packed_elems(const struct oc__kernels *kt, size_t k,
                                 size_t n) {
    size_t nr = kt->gemm_f32->nr, out;
    if (oc__size_mul(OC_CEIL_DIV(n, nr) * nr, k, &out)) return SIZE_MAX;
    return out;
}

/* ---- packing B ----------------------------------------------------------- */

typedef struct pack_ctx {
    const oc__kernels *kt;
    size_t k, n, row_stride, col_stride;
    const float *b;
    float *packed;
} pack_ctx;

static void pack_panel(const pack_ctx *p, size_t panel) {
    size_t nr = p->kt->gemm_f32->nr, j0 = panel * nr;
    size_t cols = OC_MIN(nr, p->n - j0);
    const float *b = p->b + j0 * p->col_stride;
    float *out = p->packed + panel * p->k * nr;
    if (cols < nr)
        for (size_t i = 0; i < p->k; i++)
            memset(out + i * nr + cols, 0, (nr - cols) * sizeof *out);
    if (p->col_stride == 1) {
        for (size_t i = 0; i < p->k; i++)
            memcpy(out + i * nr, b + i * p->row_stride, cols * sizeof *b);
    } else if (p->row_stride == 1) {
        p->kt->transpose_b4(b, p->col_stride, out, nr, cols, p->k);
    } else {
        for (size_t i = 0; i < p->k; i++)
            for (size_t j = 0; j < cols; j++)
                out[i * nr + j] = b[i * p->row_stride + j * p->col_stride];
    }
}

static void pack_task(void *ctx, int task, int worker) {
    const oc__share *s = ctx;
    (void)worker;
    size_t end = oc__share_end(s, (size_t)task);
    for (size_t i = oc__share_begin(s, (size_t)task); i < end; i++)
        pack_panel(s->ctx, i);
}

void oc__gemm_f32_pack_b(const struct oc__kernels *kt, oc__pool *pool, size_t k,
                         size_t n, const float *b, size_t row_stride,
                         size_t col_stride, float *packed) {
    pack_ctx p = {kt, k, n, row_stride, col_stride, b, packed};
    size_t panels = OC_CEIL_DIV(n, kt->gemm_f32->nr);
    /* Packing moves bytes: a float costs about one multiply-add. */
    oc__share_run(pool, panels, (double)k * kt->gemm_f32->nr, pack_task, &p);
}

/* ---- packing A ----------------------------------------------------------- */

/* Rows rows of A, steps steps, into [steps / 16][rows][16].  The end of the
 * last line stays unwritten: the kernel does not read it. */
static void pack_a(const oc__kernels *kt, const float *a, size_t row_stride,
                   size_t col_stride, size_t rows, size_t steps, float *out) {
    for (size_t s = 0; s < steps; s += OC_GEMM_STEPS) {
        size_t n = OC_MIN((size_t)OC_GEMM_STEPS, steps - s);
        const float *from = a + s * col_stride;
        if (col_stride == 1) {
            for (size_t i = 0; i < rows; i++)
                memcpy(out + i * OC_GEMM_STEPS, from + i * row_stride,
                       n * sizeof *out);
        } else if (row_stride == 1) {
            kt->transpose_b4(from, col_stride, out, OC_GEMM_STEPS, n, rows);
        } else {
            for (size_t i = 0; i < rows; i++)
                for (size_t j = 0; j < n; j++)
                    out[i * OC_GEMM_STEPS + j] =
                        from[i * row_stride + j * col_stride];
        }
        out += rows * OC_GEMM_STEPS;
    }
}

/* ---- the product --------------------------------------------------------- */

/* Everything that does not change between tasks. */
typedef struct gemm_plan {
    const oc__kernels *kt;
    const oc__gemm_f32_args *g;
    size_t k_block;
    size_t panels;        /* of A; panel i is rows m*i/panels.. */
    size_t m_parts;       /* tasks along m, each some panels */
    size_t n_parts;       /* tasks along n, each some steps of n_step */
    size_t n_step, steps; /* columns a tile takes at once; how many of them */
    float lo, hi;
    oc__act_args act; /* what is left after lo and hi */
    int plain;        /* nothing happens to a sum before act */
    float *scratch;
    size_t worker_elems;
} gemm_plan;

static size_t worker_elems(const oc__kernels *kt, size_t m, size_t k) {
    size_t rows = OC_MIN(m, kt->gemm_f32->mr);
    return rows * oc__align_up(k_block_of(k), OC_GEMM_STEPS);
}

size_t oc__gemm_f32_scratch_bytes(const struct oc__kernels *kt, size_t m,
                                  size_t n, size_t k, int threads) {
    (void)n;
    return worker_elems(kt, m, k) * sizeof(float) * (size_t)threads;
}

/* One panel of A, one block of k, against columns j0..j1. */
static void run_panel(const gemm_plan *p, oc__gemm_f32_tile *t, size_t row,
                      size_t k0, size_t j0, size_t j1) {
    const oc__gemm_f32_args *g = p->g;
    size_t nr = p->kt->gemm_f32->nr;
    t->bias_m = g->bias_m ? g->bias_m + row : NULL;
    for (size_t j = j0; j < j1; j += p->n_step) {
        t->cols = OC_MIN(p->n_step, j1 - j);
        /* j is a multiple of nr: panel j / nr starts at element j * k. */
        t->b = g->packed_b + j * g->k + k0 * nr;
        t->c = g->c + row * g->c_row_stride + j;
        t->bias_n = g->bias_n ? g->bias_n + j : NULL;
        t->d = g->d ? g->d + row * g->d_row_stride + j : NULL;
        p->kt->gemm_f32->tile(t);
    }
    if (t->last && p->act.kind != OC_ACT_NONE)
        for (size_t i = 0; i < t->rows; i++) {
            float *c = g->c + (row + i) * g->c_row_stride + j0;
            p->kt->act_f32(p->act, c, c, j1 - j0);
        }
}

static void run_block(const gemm_plan *p, float *packed, size_t panel0,
                      size_t panel1, size_t j0, size_t j1) {
    const oc__gemm_f32_args *g = p->g;
    oc__gemm_f32_tile t = {0};
    t.b_panel_step = g->k * p->kt->gemm_f32->nr;
    t.c_row_stride = g->c_row_stride;
    t.d_row_stride = g->d_row_stride;
    t.alpha = g->alpha;
    t.lo = p->lo;
    t.hi = p->hi;
    /* k == 0 runs once: C is then the biases alone. */
    size_t k0 = 0;
    do {
        t.k = OC_MIN(p->k_block, g->k - k0);
        t.first = k0 == 0;
        t.last = k0 + t.k == g->k;
        t.simple = t.first && (!t.last || p->plain);
        for (size_t i = panel0; i < panel1; i++) {
            size_t row = g->m * i / p->panels;
            t.rows = g->m * (i + 1) / p->panels - row;
            const float *a =
                g->a + row * g->a_row_stride + k0 * g->a_col_stride;
            t.a_step = t.rows * OC_GEMM_STEPS;
            t.a = a;
            /* One row with contiguous steps is its own packing. */
            if (t.rows != 1 || g->a_col_stride != 1) {
                pack_a(p->kt, a, g->a_row_stride, g->a_col_stride, t.rows, t.k,
                       packed);
                t.a = packed;
            }
            run_panel(p, &t, row, k0, j0, j1);
        }
        k0 += t.k;
    } while (k0 < g->k);
}

static void gemm_task(void *ctx, int task, int worker) {
    const gemm_plan *p = ctx;
    size_t mi = (size_t)task / p->n_parts, ni = (size_t)task % p->n_parts;
    size_t j0 = p->steps * ni / p->n_parts * p->n_step;
    size_t j1 = p->steps * (ni + 1) / p->n_parts * p->n_step;
    run_block(p, p->scratch + (size_t)worker * p->worker_elems,
              p->panels * mi / p->m_parts, p->panels * (mi + 1) / p->m_parts,
              j0, OC_MIN(j1, p->g->n));
}

/* How many tasks along m and n.  More than threads, so that a slow thread
 * does not hold up the others; not so many that a task is too short. */
static void divide(gemm_plan *p, int threads) {
    const oc__gemm_f32_args *g = p->g;
    size_t tasks =
        oc__share_tasks(threads, (double)g->m * (double)g->n * (double)g->k);
    size_t n_parts = OC_CEIL_DIV(g->n, N_BLOCK);
    n_parts = OC_MIN(n_parts, p->steps);
    size_t m_parts = OC_MIN(p->panels, OC_CEIL_DIV(tasks, n_parts));
    if (m_parts * n_parts < tasks)
        n_parts = OC_MIN(p->steps, OC_CEIL_DIV(tasks, m_parts));
    p->m_parts = m_parts;
    p->n_parts = n_parts;
}

void oc__gemm_f32(const struct oc__kernels *kt, oc__pool *pool,
                  const oc__gemm_f32_args *args, void *scratch) {
    const oc__gemm_f32_kernel *kernel = kt->gemm_f32;
    if (args->m == 0 || args->n == 0) return;
    gemm_plan p = {.kt = kt, .g = args, .scratch = scratch};
    p.k_block = k_block_of(args->k);
    p.panels = OC_CEIL_DIV(args->m, kernel->mr);
    p.n_step = kernel->nr;
    if (OC_CEIL_DIV(args->m, p.panels) <= kernel->thin_rows)
        p.n_step = kernel->nr * kernel->thin_panels;
    p.steps = OC_CEIL_DIV(args->n, p.n_step);
    p.act = oc__act_clamp(args->act, args->act_a, args->act_b, &p.lo, &p.hi);
    p.plain = args->alpha == 1.0f && !args->bias_n && !args->bias_m &&
              !args->d && p.lo == -INFINITY && p.hi == INFINITY;
    p.worker_elems = worker_elems(kt, args->m, args->k);
    divide(&p, oc__pool_threads(pool));
    oc__pool_run(pool, (int)(p.m_parts * p.n_parts), gemm_task, &p);
}
