/* gemm_i8.c - the driver of the 8-bit product; see gemm_i8.h and gemm.c,
 * whose blocking it follows. */
#include "kernels/gemm_i8.h"

#include "kernels/kernels.h"
#include "kernels/share.h"

#include <string.h>

/* Steps of k in a block, a multiple of 64: 14 rows of u8 are 17.5 KiB, half
 * of L1; four times the steps of f32 in the same room. */
#define K_BLOCK 1280
/* Columns of a task: 1280 * 512 bytes of B lie in L2. */
#define N_BLOCK 512

static size_t k_block_of(size_t k) {
    if (k <= K_BLOCK) return k;
    return oc__align_up(OC_CEIL_DIV(k, OC_CEIL_DIV(k, K_BLOCK)),
                        OC_GEMM_I8_STEPS);
}

static uint8_t flip(const void *p, size_t i, int by) {
    return (uint8_t)(((const uint8_t *)p)[i] ^ by);
}

/* ---- packing B ----------------------------------------------------------- */

static size_t sums_bytes(const oc__kernels *kt, size_t n) {
    size_t nr = kt->gemm_i8->nr;
    return oc__align_up(OC_CEIL_DIV(n, nr) * nr * sizeof(int32_t), OC_ALIGN);
}

static size_t panel_bytes(const oc__kernels *kt, size_t k) {
    return OC_CEIL_DIV(k, 4) * 4 * kt->gemm_i8->nr;
}

size_t oc__gemm_i8_packed_bytes(const struct oc__kernels *kt, size_t k,
                                size_t n) {
    size_t out;
    if (oc__size_mul(OC_CEIL_DIV(n, kt->gemm_i8->nr), panel_bytes(kt, k),
                     &out) ||
        oc__size_add(out, sums_bytes(kt, n), &out))
        return SIZE_MAX;
    return out;
}

/* Four steps of the columns of a panel.  Products of two activations pack B at
 * every run. */
static void pack_four(const oc__gemm_i8_kernel *kernel, const uint8_t *from,
                      size_t row_stride, size_t col_stride, int by, size_t cols,
                      uint8_t *out, int32_t *sums) {
    const uint8_t *b = from, *c = b + row_stride, *d = c + row_stride;
    const uint8_t *e = d + row_stride, x = (uint8_t)by;
    size_t each = kernel->b_steps, third = each == 4 ? 2 : kernel->nr * each;
    for (size_t j = 0; j < cols; j++, out += each) {
        size_t at = j * col_stride;
        uint8_t y0 = b[at] ^ x, y1 = c[at] ^ x, y2 = d[at] ^ x, y3 = e[at] ^ x;
        out[0] = y0;
        out[1] = y1;
        out[third] = y2;
        out[third + 1] = y3;
        sums[j] += (int8_t)y0 + (int8_t)y1 + (int8_t)y2 + (int8_t)y3;
    }
}

/* Zeros beyond the columns there are, of so many runs of `each` steps. */
static void clear_columns(uint8_t *out, size_t runs, size_t each, size_t nr,
                          size_t cols) {
    for (size_t i = 0; i < runs; i++)
        memset(out + (i * nr + cols) * each, 0, (nr - cols) * each);
}

void oc__gemm_i8_pack_b(const struct oc__kernels *kt, size_t k, size_t n,
                        const void *b, int b_signed, size_t row_stride,
                        size_t col_stride, void *packed) {
    const oc__gemm_i8_kernel *kernel = kt->gemm_i8;
    size_t nr = kernel->nr, each = kernel->b_steps, panels = OC_CEIL_DIV(n, nr);
    int by = b_signed ? 0 : 0x80;
    int32_t *sums = packed;
    uint8_t *out = (uint8_t *)packed + sums_bytes(kt, n);
    memset(packed, 0, sums_bytes(kt, n));
    for (size_t p = 0; p < panels; p++, out += panel_bytes(kt, k)) {
        size_t cols = OC_MIN(nr, n - p * nr), i = 0;
        const uint8_t *from = (const uint8_t *)b + p * nr * col_stride;
        for (; i + 4 <= k; i += 4, from += 4 * row_stride)
            pack_four(kernel, from, row_stride, col_stride, by, cols,
                      out + i * nr, sums + p * nr);
        if (cols < nr) clear_columns(out, k / 4 * 4 / each, each, nr, cols);
        if (i == k) continue;
        memset(out + i * nr, 0, 4 * nr);
        for (; i < k; i++, from += row_stride)
            for (size_t j = 0; j < cols; j++) {
                uint8_t x = flip(from, j * col_stride, by);
                out[(i / each * nr + j) * each + i % each] = x;
                sums[p * nr + j] += (int8_t)x;
            }
    }
}

/* ---- the product --------------------------------------------------------- */

typedef struct i8_plan {
    const oc__kernels *kt;
    const oc__gemm_i8_args *g;
    size_t k_block;
    size_t panels, m_parts, n_parts, n_step, steps; /* as in gemm.c */
    int a_flip; /* 0x80 where A is not signed as the kernel wants it */
    int32_t *a_zero, *a_rest; /* m values each */
    int32_t *b_zero;          /* n values */
    char *panels_a;
    size_t worker_bytes;
} i8_plan;

static size_t worker_bytes(const oc__kernels *kt, size_t m, size_t k) {
    size_t rows = OC_MIN(m, kt->gemm_i8->mr);
    return rows * oc__align_up(k_block_of(k), OC_GEMM_I8_STEPS) *
           kt->gemm_i8->a_bytes;
}

/* scratch: a_zero, a_rest, b_zero, then a panel of A a worker. */
static size_t terms_bytes(size_t count) {
    return oc__align_up(count * sizeof(int32_t), OC_ALIGN);
}

size_t oc__gemm_i8_scratch_bytes(const struct oc__kernels *kt, size_t m,
                                 size_t n, size_t k, int threads) {
    return 2 * terms_bytes(m) + terms_bytes(n) +
           worker_bytes(kt, m, k) * (size_t)threads;
}

/* Packs rows of A as they are, or widened. */
static void pack_a(const i8_plan *p, size_t row, size_t rows, size_t k0,
                   size_t steps, void *packed) {
    const oc__gemm_i8_args *g = p->g;
    const oc__gemm_i8_kernel *kernel = p->kt->gemm_i8;
    size_t each = OC_GEMM_I8_STEPS;
    const uint8_t *a = (const uint8_t *)g->a + row * g->a_row_stride + k0;
    for (size_t i = 0; i < rows; i++, a += g->a_row_stride)
        kernel->pack(a, steps, steps, p->a_flip,
                     (char *)packed + i * each * kernel->a_bytes, 0,
                     rows * each);
}

static void run_block(const i8_plan *p, char *packed, size_t panel0,
                      size_t panel1, size_t j0, size_t j1) {
    const oc__gemm_i8_args *g = p->g;
    size_t nr = p->kt->gemm_i8->nr;
    const int32_t *sums = g->packed_b;
    const int8_t *b = (const int8_t *)g->packed_b + sums_bytes(p->kt, g->n);
    oc__gemm_i8_tile t = {.a = packed, .c_row_stride = g->c_row_stride};
    t.b_panel_step = panel_bytes(p->kt, g->k);
    size_t k0 = 0;
    do {
        size_t steps = OC_MIN(p->k_block, g->k - k0);
        t.k = oc__align_up(steps, 4);
        t.first = k0 == 0;
        t.last = k0 + steps == g->k;
        for (size_t i = panel0; i < panel1; i++) {
            size_t row = g->m * i / p->panels;
            t.rows = g->m * (i + 1) / p->panels - row;
            t.a_step = t.rows * OC_GEMM_I8_STEPS;
            pack_a(p, row, t.rows, k0, steps, packed);
            t.a_zero = p->a_zero + row;
            t.a_rest = p->a_rest ? p->a_rest + row : NULL;
            for (size_t j = j0; j < j1; j += p->n_step) {
                t.cols = OC_MIN(p->n_step, j1 - j);
                t.b = b + j / nr * t.b_panel_step + k0 * nr;
                t.b_sum = sums + j;
                t.b_zero = p->b_zero + j;
                t.c = g->c + row * g->c_row_stride + j;
                p->kt->gemm_i8->tile(&t);
            }
        }
        k0 += steps;
    } while (k0 < g->k);
}

static void gemm_task(void *ctx, int task, int worker) {
    const i8_plan *p = ctx;
    size_t mi = (size_t)task / p->n_parts, ni = (size_t)task % p->n_parts;
    size_t j0 = p->steps * ni / p->n_parts * p->n_step;
    size_t j1 = p->steps * (ni + 1) / p->n_parts * p->n_step;
    run_block(p, p->panels_a + (size_t)worker * p->worker_bytes,
              p->panels * mi / p->m_parts, p->panels * (mi + 1) / p->m_parts,
              j0, OC_MIN(j1, p->g->n));
}

/* A byte of A as the kernel sees it. */
static uint32_t byte_of(const i8_plan *p, uint8_t a) {
    uint8_t x = (uint8_t)(a ^ p->a_flip);
    return p->kt->gemm_i8->a_signed ? (uint32_t)(int8_t)x : x;
}

/* sum a' - k za, for rows of a share. */
static void rest_task(void *ctx, int task, int worker) {
    const oc__share *s = ctx;
    const i8_plan *p = s->ctx;
    const oc__gemm_i8_args *g = p->g;
    (void)worker;
    size_t end = oc__share_end(s, (size_t)task);
    for (size_t i = oc__share_begin(s, (size_t)task); i < end; i++) {
        const uint8_t *a = (const uint8_t *)g->a + i * g->a_row_stride;
        uint32_t sum = 0;
        for (size_t j = 0; j < g->k; j++)
            sum += byte_of(p, a[j]);
        p->a_rest[i] = (int32_t)(sum - (uint32_t)g->k * (uint32_t)p->a_zero[i]);
    }
}

/* Zero points as the kernels see them: moved by 128 like the numbers. */
static void plan_zeros(i8_plan *p, oc__pool *pool) {
    const oc__gemm_i8_args *g = p->g;
    int any = 0, moved = p->kt->gemm_i8->a_signed ? -p->a_flip : p->a_flip;
    for (size_t i = 0; i < g->m; i++)
        p->a_zero[i] = (g->a_zeros ? g->a_zeros[i] : g->a_zero) + moved;
    for (size_t j = 0; j < g->n; j++) {
        p->b_zero[j] =
            (g->b_zeros ? g->b_zeros[j] : g->b_zero) - (g->b_signed ? 0 : 128);
        any |= p->b_zero[j];
    }
    if (any)
        oc__share_run(pool, g->m, (double)g->k, rest_task, p);
    else
        p->a_rest = NULL;
}

/* As in gemm.c; an integer multiply-add takes a quarter of the time. */
static void divide(i8_plan *p, int threads) {
    const oc__gemm_i8_args *g = p->g;
    size_t tasks = oc__share_tasks(threads, 0.25 * (double)g->m * (double)g->n *
                                                (double)g->k);
    size_t n_parts = OC_MIN(OC_CEIL_DIV(g->n, N_BLOCK), p->steps);
    size_t m_parts = OC_MIN(p->panels, OC_CEIL_DIV(tasks, n_parts));
    if (m_parts * n_parts < tasks)
        n_parts = OC_MIN(p->steps, OC_CEIL_DIV(tasks, m_parts));
    p->m_parts = m_parts;
    p->n_parts = n_parts;
}

void oc__gemm_i8(const struct oc__kernels *kt, oc__pool *pool,
                 const oc__gemm_i8_args *g, void *scratch) {
    const oc__gemm_i8_kernel *kernel = kt->gemm_i8;
    if (g->m == 0 || g->n == 0) return;
    i8_plan p = {.kt = kt, .g = g};
    p.a_flip = !g->a_signed == !kernel->a_signed ? 0 : 0x80;
    p.k_block = k_block_of(g->k);
    p.panels = OC_CEIL_DIV(g->m, kernel->mr);
    p.n_step = kernel->nr;
    if (OC_CEIL_DIV(g->m, p.panels) <= kernel->thin_rows)
        p.n_step = kernel->nr * kernel->thin_panels;
    p.steps = OC_CEIL_DIV(g->n, p.n_step);
    char *at = scratch;
    p.a_zero = (int32_t *)(void *)at;
    p.a_rest = (int32_t *)(void *)(at += terms_bytes(g->m));
    p.b_zero = (int32_t *)(void *)(at += terms_bytes(g->m));
    p.panels_a = at + terms_bytes(g->n);
    p.worker_bytes = worker_bytes(kt, g->m, g->k);
    plan_zeros(&p, pool);
    divide(&p, oc__pool_threads(pool));
    oc__pool_run(pool, (int)(p.m_parts * p.n_parts), gemm_task, &p);
}
