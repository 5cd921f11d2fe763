/*
 * gemm.c - the driver of the f32 product: packing, blocking, sharing out.
 *
 * For each task (some rows of C times some columns) and each block of k:
 *
 *     for each chunk of A (about 128 rows)            packed once, lies in L2
 *         for each part of B                          lies in L2 too
 *             for each panel of A (<= mr rows)        comes to L1
 *                 for each panel of B (nr columns)    streams from L2
 *                     tile
 *
 * B is read from L3 or memory once a chunk, A packed once a task.  The panels
 * of a block of k are neighbours in packed B: a stride of all of k from one to
 * the next would put them on top of each other in the cache where k is a
 * multiple of some power of two (with k = 1024, 64 KiB, which is a way of an
 * L2 of 512 KiB).
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
/* Rows of A packed at a time: 128 rows * 384 steps * 4 bytes = 192 KiB.  B is
 * read from L3 once for so many multiply-adds that it hides behind them. */
#define CHUNK_ROWS 128
/* A part of B fills so much of L2, and the next one, fetched ahead, as much,
 * beside a chunk of A. */
#define B_SHARE 0.25

/* k is cut into blocks of equal length, a multiple of OC_GEMM_STEPS. */
static size_t k_block_of(size_t k) {
    if (k <= K_BLOCK) return k;
    size_t blocks = OC_CEIL_DIV(k, K_BLOCK);
    return oc__align_up(OC_CEIL_DIV(k, blocks), OC_GEMM_STEPS);
}

int oc__gemm_f32_cuts_k(size_t k) {
    return k > K_BLOCK;
}

/* Words of 32 bits that k steps take. */
static size_t words_of(size_t k, int bf16) {
    return bf16 ? OC_CEIL_DIV(k, 2) : k;
}

static const oc__gemm_f32_kernel *kernel_of(const oc__kernels *kt, int bf16) {
    return bf16 ? kt->gemm_bf16 : kt->gemm_f32;
}

static size_t packed_words(size_t nr, size_t words, size_t n) {
    size_t out;
    if (oc__size_mul(OC_CEIL_DIV(n, nr) * nr, words, &out)) return SIZE_MAX;
    return out;
}

size_t oc__gemm_f32_packed_elems(const struct oc__kernels *kt, size_t k,
                                 size_t n) {
    return packed_words(kt->gemm_f32->nr, k, n);
}

size_t oc__gemm_bf16_packed_elems(const struct oc__kernels *kt, size_t k,
                                  size_t n) {
    size_t words = packed_words(kt->gemm_bf16->nr, words_of(k, 1), n);
    return words > SIZE_MAX / 2 ? SIZE_MAX : 2 * words;
}

/* ---- packing B ----------------------------------------------------------- */

typedef struct pack_ctx {
    const oc__kernels *kt;
    size_t k, n, row_stride, col_stride;
    const float *b;
    float *packed;
    int bf16;
    size_t nr;
} pack_ctx;

/* Steps k0..k0+k of one panel, whose other columns are zeros. */
static void pack_block(const pack_ctx *p, size_t j0, size_t k0, size_t k,
                       float *out) {
    size_t nr = p->nr, cols = OC_MIN(nr, p->n - j0);
    const float *b = p->b + j0 * p->col_stride + k0 * p->row_stride;
    if (cols < nr)
        for (size_t i = 0; i < k; i++)
            memset(out + i * nr + cols, 0, (nr - cols) * sizeof *out);
    if (p->col_stride == 1) {
        for (size_t i = 0; i < k; i++)
            memcpy(out + i * nr, b + i * p->row_stride, cols * sizeof *b);
    } else if (p->row_stride == 1) {
        p->kt->transpose_b4(b, p->col_stride, out, nr, cols, k);
    } else {
        for (size_t i = 0; i < k; i++)
            for (size_t j = 0; j < cols; j++)
                out[i * nr + j] = b[i * p->row_stride + j * p->col_stride];
    }
}

/* The widest panel of bf16. */
#define MAX_NR 64

/* Pairs k0..k0+k of one panel, with zeros where there is no B. */
static void pack_pairs(const pack_ctx *p, size_t j0, size_t k0, size_t k,
                       float *out) {
    size_t nr = p->nr, cols = OC_MIN(nr, p->n - j0);
    float rows[2][MAX_NR] = {{0}};
    uint16_t narrow[2][MAX_NR], *to = (uint16_t *)(void *)out;
    assert(nr <= MAX_NR);
    for (size_t i = k0; i < k0 + k; i++, to += 2 * nr) {
        for (size_t s = 0; s < 2; s++) {
            size_t step = 2 * i + s;
            const float *b = p->b + step * p->row_stride + j0 * p->col_stride;
            for (size_t j = 0; j < cols; j++)
                rows[s][j] = step < p->k ? b[j * p->col_stride] : 0.0f;
            p->kt->f32_to_bf16(rows[s], narrow[s], nr);
        }
        for (size_t j = 0; j < nr; j++) {
            to[2 * j] = narrow[0][j];
            to[2 * j + 1] = narrow[1][j];
        }
    }
}

static void pack_panel(const pack_ctx *p, size_t panel) {
    size_t nr = p->nr, words = words_of(p->k, p->bf16);
    size_t columns = OC_CEIL_DIV(p->n, nr) * nr, block = k_block_of(words);
    for (size_t k0 = 0; k0 < words; k0 += block) {
        size_t k = OC_MIN(block, words - k0);
        float *out = p->packed + k0 * columns + panel * nr * k;
        if (p->bf16)
            pack_pairs(p, panel * nr, k0, k, out);
        else
            pack_block(p, panel * nr, k0, k, out);
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
    pack_ctx p = {kt, k,      n, row_stride,      col_stride,
                  b,  packed, 0, kt->gemm_f32->nr};
    /* Packing moves bytes: a float costs about one multiply-add. */
    oc__share_run(pool, OC_CEIL_DIV(n, p.nr), (double)(k * p.nr), pack_task,
                  &p);
}

void oc__gemm_bf16_pack_b(const struct oc__kernels *kt, oc__pool *pool,
                          size_t k, size_t n, const float *b, size_t row_stride,
                          size_t col_stride, uint16_t *packed) {
    pack_ctx p = {kt,
                  k,
                  n,
                  row_stride,
                  col_stride,
                  b,
                  (float *)(void *)packed,
                  1,
                  kt->gemm_bf16->nr};
    oc__share_run(pool, OC_CEIL_DIV(n, p.nr), (double)(k * p.nr), pack_task,
                  &p);
}

/* ---- packing A ----------------------------------------------------------- */

/* Rows rows of A, steps steps, into [steps / 16][rows][16].  The end of the
 * last line stays unwritten: the kernel does not read it. */
static void pack_a(const oc__kernels *kt, const float *a, size_t row_stride,
                   size_t col_stride, size_t rows, size_t steps, float *out) {
    for (size_t s = 0; s < steps; s += OC_GEMM_STEPS) {
        size_t n = OC_MIN((size_t)OC_GEMM_STEPS, steps - s);
        const float *from = a + s * col_stride;
        if (col_stride == 1 && n == OC_GEMM_STEPS) {
            /* Of constant size, so no call: most of packing is here. */
            for (size_t i = 0; i < rows; i++)
                memcpy(out + i * OC_GEMM_STEPS, from + i * row_stride,
                       OC_GEMM_STEPS * sizeof *out);
        } else if (col_stride == 1) {
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

/* The same in pairs of bf16; the last one of an odd number ends with 0. */
static void pack_a_pairs(const oc__kernels *kt, const float *a,
                         size_t row_stride, size_t col_stride, size_t rows,
                         size_t steps, float *out) {
    enum { LINE = 2 * OC_GEMM_STEPS };
    float line[LINE];
    for (size_t s = 0; s < steps; s += LINE) {
        size_t n = OC_MIN((size_t)LINE, steps - s);
        for (size_t i = 0; i < rows; i++, out += OC_GEMM_STEPS) {
            const float *from = a + i * row_stride + s * col_stride;
            uint16_t *to = (uint16_t *)(void *)out;
            if (col_stride != 1) {
                for (size_t j = 0; j < n; j++)
                    line[j] = from[j * col_stride];
                from = line;
            }
            kt->f32_to_bf16(from, to, n);
            if (n % 2) to[n] = 0;
        }
    }
}

/* ---- the product --------------------------------------------------------- */

/* Everything that does not change between tasks. */
typedef struct gemm_plan {
    const oc__kernels *kt;
    const oc__gemm_f32_kernel *kernel;
    const oc__gemm_f32_args *g;
    size_t k; /* in words: pairs of bf16 */
    size_t k_block;
    size_t panels;        /* of A; panel i is rows m*i/panels.. */
    size_t m_parts;       /* tasks along m, each some panels */
    size_t n_parts;       /* tasks along n, each some steps of n_step */
    size_t n_step, steps; /* columns a tile takes at once; how many of them */
    size_t part;          /* columns of a part of B */
    float lo, hi;
    oc__act_args act; /* what is left after lo and hi */
    float *scratch;
    size_t worker_elems;
} gemm_plan;

/* Panels of equal height can be a little higher than m / panels. */
static size_t chunk_panels(const oc__gemm_f32_kernel *kernel) {
    return OC_MAX(CHUNK_ROWS / kernel->mr, 1);
}

/* Fewer words can make a longer block: 384 are one, 400 two of 208.  Room for
 * the longest, so that a product of fewer steps has room, too. */
static size_t worker_elems(const oc__gemm_f32_kernel *kernel, size_t m,
                           size_t words) {
    size_t rows = OC_MIN(m, chunk_panels(kernel) * kernel->mr);
    size_t block = OC_MIN(words, (size_t)K_BLOCK);
    return rows * oc__align_up(block, OC_GEMM_STEPS);
}

size_t oc__gemm_f32_scratch_bytes(const struct oc__kernels *kt, size_t m,
                                  size_t n, size_t k, int threads) {
    (void)n;
    return worker_elems(kt->gemm_f32, m, k) * sizeof(float) * (size_t)threads;
}

size_t oc__gemm_bf16_scratch_bytes(const struct oc__kernels *kt, size_t m,
                                   size_t n, size_t k, int threads) {
    (void)n;
    return worker_elems(kt->gemm_bf16, m, words_of(k, 1)) * sizeof(float) *
           (size_t)threads;
}

/* One panel of A, one block of k, against columns j0..j1. */
static void run_panel(const gemm_plan *p, oc__gemm_f32_tile *t, size_t row,
                      size_t k0, size_t j0, size_t j1) {
    const oc__gemm_f32_args *g = p->g;
    size_t nr = p->kernel->nr, columns = OC_CEIL_DIV(g->n, nr) * nr;
    t->b_panel_step = (g->b_is_whole ? p->k : t->k) * nr;
    t->bias_m = g->bias_m ? g->bias_m + row : NULL;
    for (size_t j = j0; j < j1; j += p->n_step) {
        t->cols = OC_MIN(p->n_step, j1 - j);
        /* j is a multiple of nr: panel j / nr of a block is j * t->k in. */
        t->b = g->b_is_whole ? g->packed_b + j * p->k + k0 * nr
                             : g->packed_b + k0 * columns + j * t->k;
        t->c = g->c + row * g->c_row_stride + j;
        t->bias_n = g->bias_n ? g->bias_n + j : NULL;
        t->d = g->d ? g->d + row * g->d_row_stride + j : NULL;
        p->kernel->tile(t);
        oc__ahead_next_tile(&t->ahead);
    }
    if (t->last && p->act.kind != OC_ACT_NONE)
        for (size_t i = 0; i < t->rows; i++) {
            float *c = g->c + (row + i) * g->c_row_stride + j0;
            p->kt->act_f32(p->act, c, c, j1 - j0);
        }
}

static size_t first_row(const gemm_plan *p, size_t panel) {
    return p->g->m * panel / p->panels;
}

/* One row with contiguous steps is its own packing. */
static int is_packed(const gemm_plan *p, size_t rows) {
    return rows == 1 && p->g->a_col_stride == 1 && !p->g->bf16;
}

/* Panels panel0..panel1 of A, steps k0..k0+k, one behind the other. */
static void pack_chunk(const gemm_plan *p, size_t panel0, size_t panel1,
                       size_t k0, size_t k, float *packed) {
    const oc__gemm_f32_args *g = p->g;
    for (size_t i = panel0; i < panel1; i++) {
        size_t row = first_row(p, i), rows = first_row(p, i + 1) - row;
        const float *a = g->a + row * g->a_row_stride +
                         (g->bf16 ? 2 * k0 : k0) * g->a_col_stride;
        if (g->bf16)
            pack_a_pairs(p->kt, a, g->a_row_stride, g->a_col_stride, rows,
                         OC_MIN(2 * k, g->k - 2 * k0), packed);
        else if (!is_packed(p, rows))
            pack_a(p->kt, a, g->a_row_stride, g->a_col_stride, rows, k, packed);
        packed += rows * oc__align_up(k, OC_GEMM_STEPS);
    }
}

/* The same panels times columns j0..j1. */
static void run_chunk(const gemm_plan *p, oc__gemm_f32_tile *t, size_t panel0,
                      size_t panel1, size_t k0, size_t j0, size_t j1,
                      const float *packed) {
    const oc__gemm_f32_args *g = p->g;
    /* What is wanted next follows in memory: the next part of this block of k,
     * or the first of the next block. */
    size_t nr = p->kernel->nr, columns = OC_CEIL_DIV(g->n, nr) * nr;
    size_t end = OC_CEIL_DIV(j1, nr) * nr, panels = panel1 - panel0;
    t->ahead = oc__ahead_of(g->packed_b + k0 * columns + end * t->k,
                            g->packed_b + columns * p->k, (end - j0) * t->k,
                            panels * OC_CEIL_DIV(j1 - j0, p->n_step), t->k);
    /* Of few rows each weight serves but a tile or two. */
    if (panels <= 2 || g->b_is_whole) t->ahead.step = t->ahead.tile = 0;
    for (size_t i = panel0; i < panel1; i++) {
        size_t row = first_row(p, i);
        t->rows = first_row(p, i + 1) - row;
        t->a_step = t->rows * OC_GEMM_STEPS;
        t->a = is_packed(p, t->rows)
                   ? g->a + row * g->a_row_stride + k0 * g->a_col_stride
                   : packed;
        packed += t->rows * oc__align_up(t->k, OC_GEMM_STEPS);
        run_panel(p, t, row, k0, j0, j1);
    }
}

static void run_block(const gemm_plan *p, float *packed, size_t panel0,
                      size_t panel1, size_t j0, size_t j1) {
    const oc__gemm_f32_args *g = p->g;
    oc__gemm_f32_tile t = {0};
    t.c_row_stride = g->c_row_stride;
    t.d_row_stride = g->d_row_stride;
    t.alpha = g->alpha;
    t.lo = p->lo;
    t.hi = p->hi;
    size_t panels = panel1 - panel0;
    size_t chunks = OC_CEIL_DIV(panels, chunk_panels(p->kernel));
    /* k == 0 runs once: C is then the biases alone. */
    size_t k0 = 0;
    do {
        t.k = OC_MIN(p->k_block, p->k - k0);
        t.first = k0 == 0;
        t.last = k0 + t.k == p->k;
        for (size_t c = 0; c < chunks; c++) {
            size_t i = panel0 + panels * c / chunks;
            size_t end = panel0 + panels * (c + 1) / chunks;
            pack_chunk(p, i, end, k0, t.k, packed);
            for (size_t j = j0; j < j1; j += p->part)
                run_chunk(p, &t, i, end, k0, j, OC_MIN(j + p->part, j1),
                          packed);
        }
        k0 += t.k;
    } while (k0 < p->k);
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

/* Columns of B in a part: a multiple of n_step. */
static size_t part_columns(const gemm_plan *p) {
    double room = B_SHARE * (double)p->kt->l2_bytes;
    size_t steps = OC_MIN(p->k, p->k_block);
    size_t fit = (size_t)(room / (double)sizeof(float) / (double)(steps + 1));
    return OC_MAX(fit / p->n_step, 1) * p->n_step;
}

/* An element of A is packed in the time in which it is multiplied with so many
 * columns, one of B comes in that of so many rows. */
#define PACK_COLUMNS 4.0
#define READ_ROWS    4.0

/* Steps of k that the last thread takes, if each task takes as long. */
static double cost_of(const gemm_plan *p, size_t threads, size_t m_parts,
                      size_t n_parts) {
    double height = (double)p->g->m / (double)p->panels;
    double rows = height * (double)OC_CEIL_DIV(p->panels, m_parts);
    double cols = (double)(p->n_step * OC_CEIL_DIV(p->steps, n_parts));
    double rounds = (double)OC_CEIL_DIV(m_parts * n_parts, threads);
    return rounds * (rows * cols + PACK_COLUMNS * rows + READ_ROWS * cols);
}

/* How many tasks along m and n: at most as many as are worth it, at least two
 * a thread, where there are so many, so that a slow thread does not hold up
 * the others. */
static void divide(gemm_plan *p, int threads) {
    const oc__gemm_f32_args *g = p->g;
    size_t all = (size_t)threads;
    size_t tasks =
        oc__share_tasks(threads, (double)g->m * (double)g->n * (double)p->k);
    double best = INFINITY;
    p->m_parts = p->n_parts = 1;
    if (tasks < 2) return;
    for (size_t wanted = OC_MIN(2 * all, tasks); wanted <= tasks; wanted += all)
        for (size_t m = 1; m <= OC_MIN(p->panels, wanted); m++) {
            size_t n = OC_MIN(OC_CEIL_DIV(wanted, m), p->steps);
            double cost = cost_of(p, all, m, n);
            if (cost >= best) continue;
            best = cost;
            p->m_parts = m;
            p->n_parts = n;
        }
}

void oc__gemm_f32(const struct oc__kernels *kt, oc__pool *pool,
                  const oc__gemm_f32_args *args, void *scratch) {
    const oc__gemm_f32_kernel *kernel = kernel_of(kt, args->bf16);
    if (args->m == 0 || args->n == 0) return;
    gemm_plan p = {.kt = kt, .kernel = kernel, .g = args, .scratch = scratch};
    p.k = words_of(args->k, args->bf16);
    p.k_block = k_block_of(p.k);
    p.panels = OC_CEIL_DIV(args->m, kernel->mr);
    p.n_step = kernel->nr;
    if (OC_CEIL_DIV(args->m, p.panels) <= kernel->thin_rows)
        p.n_step = kernel->nr * kernel->thin_panels;
    p.steps = OC_CEIL_DIV(args->n, p.n_step);
    p.act = oc__act_clamp(args->act, args->act_a, args->act_b, &p.lo, &p.hi);
    p.worker_elems = worker_elems(kernel, args->m, p.k);
    p.part = part_columns(&p);
    divide(&p, oc__pool_threads(pool));
    oc__pool_run(pool, (int)(p.m_parts * p.n_parts), gemm_task, &p);
}
