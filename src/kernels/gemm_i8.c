/* gemm_i8.c - the driver of the 8-bit product; see gemm_i8.h and gemm.c,
 * whose blocking it follows. */
#include "kernels/gemm_i8.h"

#include "kernels/kernels.h"
#include "kernels/share.h"

#include <string.h>

/* Columns of a task: 1280 * 512 bytes of B lie in L2. */
#define N_BLOCK 512

size_t oc__gemm_i8_k_block(size_t k) {
    if (k <= OC_GEMM_I8_K_BLOCK) return k;
    return oc__align_up(OC_CEIL_DIV(k, OC_CEIL_DIV(k, OC_GEMM_I8_K_BLOCK)),
                        OC_GEMM_I8_STEPS);
}

static uint8_t flip(const void *p, size_t i, int by) {
    return (uint8_t)(((const uint8_t *)p)[i] ^ by);
}

/* ---- packing B ----------------------------------------------------------- */

/* A list has two numbers for each part of k, and one for each quad. */
oc__gemm_i8_layout oc__gemm_i8_layout_of(const oc__gemm_i8_kernel *kernel,
                                         size_t k, size_t n) {
    size_t panels = OC_CEIL_DIV(n, kernel->nr), quads = OC_CEIL_DIV(k, 4);
    oc__gemm_i8_layout l = {.panel_step = quads * 4 * kernel->nr};
    size_t parts = k ? OC_CEIL_DIV(k, oc__gemm_i8_k_block(k)) : 0, size;
    l.orders = oc__align_up(panels * kernel->nr * sizeof(int32_t), OC_ALIGN);
    l.panels = l.orders;
    if (kernel->order) {
        l.order_step = quads + 2 * parts;
        l.panels +=
            oc__align_up(panels * l.order_step * sizeof(uint16_t), OC_ALIGN);
    }
    if (oc__size_mul(panels, l.panel_step, &size) ||
        oc__size_add(size, l.panels, &l.bytes))
        l.bytes = SIZE_MAX;
    return l;
}

void oc__gemm_i8_seek(const oc__gemm_i8_kernel *kernel,
                      const oc__gemm_i8_layout *l, const void *packed, size_t k,
                      size_t k0, size_t j, oc__gemm_i8_tile *t) {
    const char *at = packed;
    size_t panel = j / kernel->nr;
    t->b_panel_step = l->panel_step;
    t->b = (const int8_t *)at + l->panels + panel * l->panel_step +
           k0 * kernel->nr;
    if (!kernel->order) return;
    t->order_step = l->order_step;
    t->order = (const uint16_t *)(const void *)(at + l->orders) +
               panel * l->order_step + k0 / 4;
    if (k0) t->order += k0 / oc__gemm_i8_k_block(k) * 2;
}

void oc__gemm_i8_order(const oc__gemm_i8_kernel *kernel, size_t k, size_t n,
                       void *packed) {
    if (!kernel->order) return;
    oc__gemm_i8_layout l = oc__gemm_i8_layout_of(kernel, k, n);
    size_t block = oc__gemm_i8_k_block(k);
    for (size_t p = 0; p < OC_CEIL_DIV(n, kernel->nr); p++) {
        int8_t *b = (int8_t *)packed + l.panels + p * l.panel_step;
        uint16_t *list =
            (uint16_t *)(void *)((char *)packed + l.orders) + p * l.order_step;
        for (size_t k0 = 0; k0 < k; k0 += block) {
            size_t quads = OC_CEIL_DIV(OC_MIN(block, k - k0), 4);
            kernel->order(b + k0 * kernel->nr, quads, list);
            list += 2 + quads;
        }
    }
}

size_t oc__gemm_i8_packed_bytes(const struct oc__kernels *kt, size_t k,
                                size_t n) {
    return oc__gemm_i8_layout_of(kt->gemm_i8, k, n).bytes;
}

/* Four steps of the columns of a panel.  Products of two activations pack B at
 * every run. */
static void pack_four(const uint8_t *from, size_t row_stride, size_t col_stride,
                      int by, size_t cols, uint8_t *out, int32_t *sums) {
    const uint8_t *b = from, *c = b + row_stride, *d = c + row_stride;
    const uint8_t *e = d + row_stride, x = (uint8_t)by;
    for (size_t j = 0; j < cols; j++, out += 4) {
        size_t at = j * col_stride;
        uint8_t y0 = b[at] ^ x, y1 = c[at] ^ x, y2 = d[at] ^ x, y3 = e[at] ^ x;
        out[0] = y0;
        out[1] = y1;
        out[2] = y2;
        out[3] = y3;
        sums[j] += (int8_t)y0 + (int8_t)y1 + (int8_t)y2 + (int8_t)y3;
    }
}

/* Zeros beyond the columns there are, of so many quads. */
static void clear_columns(uint8_t *out, size_t quads, size_t nr, size_t cols) {
    for (size_t i = 0; i < quads; i++)
        memset(out + (i * nr + cols) * 4, 0, (nr - cols) * 4);
}

void oc__gemm_i8_pack_b(const struct oc__kernels *kt, size_t k, size_t n,
                        const void *b, int b_signed, size_t row_stride,
                        size_t col_stride, void *packed) {
    const oc__gemm_i8_kernel *kernel = kt->gemm_i8;
    oc__gemm_i8_layout l = oc__gemm_i8_layout_of(kernel, k, n);
    size_t nr = kernel->nr, panels = OC_CEIL_DIV(n, nr);
    int by = b_signed ? 0 : 0x80;
    int32_t *sums = packed;
    uint8_t *out = (uint8_t *)packed + l.panels;
    memset(packed, 0, l.panels);
    for (size_t p = 0; p < panels; p++, out += l.panel_step) {
        size_t cols = OC_MIN(nr, n - p * nr), i = 0;
        const uint8_t *from = (const uint8_t *)b + p * nr * col_stride;
        for (; i + 4 <= k; i += 4, from += 4 * row_stride)
            pack_four(from, row_stride, col_stride, by, cols, out + i * nr,
                      sums + p * nr);
        if (cols < nr) clear_columns(out, k / 4, nr, cols);
        if (i == k) continue;
        memset(out + i * nr, 0, 4 * nr);
        for (; i < k; i++, from += row_stride)
            for (size_t j = 0; j < cols; j++) {
                uint8_t x = flip(from, j * col_stride, by);
                out[(i / 4 * nr + j) * 4 + i % 4] = x;
                sums[p * nr + j] += (int8_t)x;
            }
    }
    oc__gemm_i8_order(kernel, k, n, packed);
}

/* ---- the product --------------------------------------------------------- */

typedef struct i8_plan {
    const oc__kernels *kt;
    const oc__gemm_i8_args *g;
    oc__gemm_i8_layout layout;
    size_t k_block;
    size_t panels, m_parts, n_parts, n_step, steps; /* as in gemm.c */
    int a_flip; /* 0x80 where A is not signed as the kernel wants it */
    int32_t *a_zero, *a_rest; /* m values each */
    int32_t *b_zero;          /* n values */
    uint8_t *panels_a;
    size_t worker_bytes;
} i8_plan;

static size_t worker_bytes(const oc__kernels *kt, size_t k) {
    return kt->gemm_i8->mr *
           oc__align_up(oc__gemm_i8_k_block(k), OC_GEMM_I8_STEPS);
}

/* scratch: a_zero, a_rest, b_zero, then a panel of A a worker. */
static size_t terms_bytes(size_t count) {
    return oc__align_up(count * sizeof(int32_t), OC_ALIGN);
}

size_t oc__gemm_i8_scratch_bytes(const struct oc__kernels *kt, size_t m,
                                 size_t n, size_t k, int threads) {
    return 2 * terms_bytes(m) + terms_bytes(n) +
           worker_bytes(kt, k) * (size_t)threads;
}

static void pack_a(const i8_plan *p, size_t row, size_t rows, size_t k0,
                   size_t steps, uint8_t *packed) {
    const oc__gemm_i8_args *g = p->g;
    const uint8_t *a = (const uint8_t *)g->a + row * g->a_row_stride + k0;
    for (size_t i = 0; i < rows; i++, a += g->a_row_stride)
        p->kt->gemm_i8->pack(a, steps, steps, p->a_flip,
                             packed + i * OC_GEMM_I8_STEPS, 0);
}

static void run_block(const i8_plan *p, uint8_t *packed, size_t panel0,
                      size_t panel1, size_t j0, size_t j1) {
    const oc__gemm_i8_args *g = p->g;
    const int32_t *sums = g->packed_b;
    oc__gemm_i8_tile t = {.a = packed, .c_row_stride = g->c_row_stride};
    size_t k0 = 0;
    do {
        size_t steps = OC_MIN(p->k_block, g->k - k0);
        t.k = oc__align_up(steps, 4);
        t.first = k0 == 0;
        t.last = k0 + steps == g->k;
        for (size_t i = panel0; i < panel1; i++) {
            size_t row = g->m * i / p->panels;
            t.rows = g->m * (i + 1) / p->panels - row;
            pack_a(p, row, t.rows, k0, steps, packed);
            t.a_zero = p->a_zero + row;
            t.a_rest = p->a_rest ? p->a_rest + row : NULL;
            for (size_t j = j0; j < j1; j += p->n_step) {
                t.cols = OC_MIN(p->n_step, j1 - j);
                oc__gemm_i8_seek(p->kt->gemm_i8, &p->layout, g->packed_b, g->k,
                                 k0, j, &t);
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

/* As in gemm.c; 30 multiply-adds a cycle. */
static void divide(i8_plan *p, int threads) {
    const oc__gemm_i8_args *g = p->g;
    double cycles = (double)g->m * (double)g->n * (double)g->k / 30;
    size_t tasks = oc__share_tasks(threads, OC_SHARE_CYCLE * cycles);
    size_t n_parts = OC_MIN(OC_CEIL_DIV(g->n, N_BLOCK), p->steps);
    size_t m_parts = OC_MIN(p->panels, OC_CEIL_DIV(tasks, n_parts));
    if (m_parts * n_parts < tasks)
        n_parts = OC_MIN(p->steps, OC_CEIL_DIV(tasks, m_parts));
    if (tasks > 1)
        m_parts = oc__share_even(threads, n_parts, m_parts, p->panels);
    p->m_parts = m_parts;
    p->n_parts = n_parts;
}

void oc__gemm_i8(const struct oc__kernels *kt, oc__pool *pool,
                 const oc__gemm_i8_args *g, void *scratch) {
    const oc__gemm_i8_kernel *kernel = kt->gemm_i8;
    if (g->m == 0 || g->n == 0) return;
    i8_plan p = {.kt = kt, .g = g};
    p.a_flip = !g->a_signed == !kernel->a_signed ? 0 : 0x80;
    p.layout = oc__gemm_i8_layout_of(kernel, g->k, g->n);
    p.k_block = oc__gemm_i8_k_block(g->k);
    p.panels = OC_CEIL_DIV(g->m, kernel->mr);
    p.n_step = kernel->nr;
    if (OC_CEIL_DIV(g->m, p.panels) <= kernel->thin_rows)
        p.n_step = kernel->nr * kernel->thin_panels;
    p.steps = OC_CEIL_DIV(g->n, p.n_step);
    char *at = scratch;
    p.a_zero = (int32_t *)(void *)at;
    p.a_rest = (int32_t *)(void *)(at += terms_bytes(g->m));
    p.b_zero = (int32_t *)(void *)(at += terms_bytes(g->m));
    p.panels_a = (uint8_t *)at + terms_bytes(g->n);
    p.worker_bytes = worker_bytes(kt, g->k);
    plan_zeros(&p, pool);
    divide(&p, oc__pool_threads(pool));
    oc__pool_run(pool, (int)(p.m_parts * p.n_parts), gemm_task, &p);
}
