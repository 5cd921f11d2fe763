/*
 * conv_winograd_grad.c - gradients of 3x3 weights with fewer multiplications.
 *
 * Over a tile of 4 x 4 pixels, the gradient is a filter of 4 x 4 taps on 6 x 6
 * pixels of the input, and what it gives are the 3 x 3 weights.  At 36 points
 * that is 36 products of channels instead of 144.
 *
 *     input     (tiles, 6, 6)  ->  V  [point][in block][tile][c]
 *     gradient  (tiles, 4, 4)  ->  U  [point][out block][tile][c]
 *     M  [point][out block][in block][c][c]  +=  V^T U   over all tiles
 *     M  ->  (3, 3) of every pair of channels
 *
 * Some tiles at a time, a chunk, go through the first two steps.  Where M is
 * small, parts of the tiles have an M each and are work for one thread each;
 * else threads share every step.  Cut by the shapes alone, so that sums have
 * one order.  Transforms: winograd_template.h.
 */
#include "kernels/conv_private.h"

#include <string.h>

enum { N = 6, POINTS = N * N, M_OUT = 4, TAPS = 9 };
enum { LEAST_TILES = 64, LEAST_CHUNK = 16, MOST_PARTS = 8 };
/* M of a part, when parts have their own. */
enum { SMALL_BYTES = 1 << 20 };

typedef struct grad_plan {
    const oc__kernels *kt;
    const oc__conv_geom *g;
    size_t c, ins, outs; /* blocks */
    size_t tiles_x, tiles_y, tiles;
    size_t chunk, parts;
    size_t v_step, u_step, m_step; /* floats from a point to the next */
    const float *x, *grad;
    float *dw;
    float *sums;    /* M, for each part */
    float *scratch; /* V and U, for each worker */
} grad_plan;

/* `count` tiles from `first` on: their V and U, and the M they add to. */
typedef struct grad_range {
    const grad_plan *plan;
    size_t first, count;
    float *v, *u, *m;
} grad_range;

static grad_plan plan_of(const oc__kernels *kt, const oc__conv_geom *g) {
    grad_plan p = {.kt = kt, .g = g, .c = (size_t)kt->block};
    p.ins = oc__blocks(kt, g->in_c);
    p.outs = oc__blocks(kt, g->out_c);
    p.tiles_x = OC_CEIL_DIV((size_t)g->out_w, M_OUT);
    p.tiles_y = OC_CEIL_DIV((size_t)g->out_h, M_OUT);
    p.tiles = (size_t)g->batch * p.tiles_y * p.tiles_x;
    /* As much traffic for M as for V and U. */
    size_t even = p.ins * p.outs * p.c / (p.ins + p.outs);
    p.chunk = OC_MIN(OC_MAX(even, (size_t)LEAST_CHUNK), p.tiles);
    size_t m_bytes = POINTS * p.ins * p.outs * p.c * p.c * sizeof(float);
    p.v_step = oc__point_step(p.ins * p.chunk * p.c);
    p.u_step = oc__point_step(p.outs * p.chunk * p.c);
    p.m_step = oc__point_step(p.ins * p.outs * p.c * p.c);
    size_t chunks = OC_CEIL_DIV(p.tiles, p.chunk);
    p.parts = m_bytes <= SMALL_BYTES ? OC_MIN((size_t)MOST_PARTS, chunks) : 1;
    return p;
}

int oc__conv_grad_winograd_pays(const oc__kernels *kt, const oc__conv_geom *g) {
    if (g->group != 1 || g->kernel_h != 3 || g->kernel_w != 3 ||
        g->stride_h != 1 || g->stride_w != 1 || g->dilation_h != 1 ||
        g->dilation_w != 1 || g->batch < 1 || g->in_c < 1 || g->out_c < 1 ||
        g->out_h < 1 || g->out_w < 1)
        return 0;
    grad_plan p = plan_of(kt, g);
    double products = (double)g->in_c * (double)p.outs;
    double real = (double)g->batch * (double)g->out_h * (double)g->out_w;
    /* A point of a tile takes some 16 cycles in a transform. */
    double ours = (double)p.tiles * POINTS *
                  (1.4 * products + 16.0 * (double)(p.ins + p.outs));
    return p.tiles >= LEAST_TILES && ours < 1.4 * TAPS * real * products;
}

static size_t v_elems(const grad_plan *p) {
    return POINTS * p->v_step;
}

static size_t u_elems(const grad_plan *p) {
    return POINTS * p->u_step;
}

static size_t m_elems(const grad_plan *p) {
    return POINTS * p->m_step;
}

size_t oc__conv_grad_winograd_scratch_bytes(const oc__kernels *kt,
                                            const oc__conv_geom *g,
                                            int threads) {
    grad_plan p = plan_of(kt, g);
    size_t copies = OC_MIN((size_t)threads, p.parts);
    return (p.parts * m_elems(&p) + copies * (v_elems(&p) + u_elems(&p))) *
           sizeof(float);
}

/* ---- the steps ------------------------------------------------------------
 */

/* Tile i of r, block b of those of the input, then those of the gradient. */
static void transform(const void *ctx, size_t b, size_t i) {
    const grad_range *r = ctx;
    const grad_plan *p = r->plan;
    const oc__conv_geom *g = p->g;
    _Alignas(64) float edge[OC_WINOGRAD_EDGE];
    size_t tile = r->first + i, c = p->c;
    int64_t x = (int64_t)(tile % p->tiles_x * M_OUT);
    int64_t y = (int64_t)(tile / p->tiles_x % p->tiles_y * M_OUT);
    size_t image = tile / p->tiles_x / p->tiles_y;
    oc__winograd_tile t = {.c = c};
    if (b < p->ins) {
        oc__plane in = {(int64_t)c, g->in_h, g->in_w, p->x};
        in.data += (image * p->ins + b) * (size_t)(in.h * in.w) * c;
        t.from = oc__winograd_window(&in, y - g->pad_top, x - g->pad_left, N,
                                     edge, &t.from_step);
        t.to = r->v + (b * p->chunk + i) * c;
        t.to_step = p->v_step;
        p->kt->winograd_f32->input[1](&t);
        return;
    }
    b -= p->ins;
    oc__plane grad = {(int64_t)c, g->out_h, g->out_w, p->grad};
    grad.data += (image * p->outs + b) * (size_t)(grad.h * grad.w) * c;
    t.from = oc__winograd_window(&grad, y, x, M_OUT, edge, &t.from_step);
    t.to = r->u + (b * p->chunk + i) * c;
    t.to_step = p->u_step;
    p->kt->winograd_f32->grad(&t);
}

/* One point, one block of outputs, all tiles of r. */
static void multiply(const void *ctx, size_t point, size_t o) {
    const grad_range *r = ctx;
    const grad_plan *p = r->plan;
    size_t c = p->c;
    oc__weight_run run = {.c = c, .pics = 1, .rows = 1, .px = r->count};
    run.x_px = c;
    run.g = r->u + point * p->u_step + o * p->chunk * c;
    for (size_t i = 0; i < p->ins; i++) {
        run.ics = OC_MIN(c, (size_t)p->g->in_c - i * c);
        run.x = r->v + point * p->v_step + i * p->chunk * c;
        run.acc = r->m + point * p->m_step + (o * p->ins + i) * c * c;
        p->kt->train_f32->weights(&run);
    }
}

/* The weights of one pair of blocks, from M of all parts. */
static void finish(const void *ctx, size_t o, size_t i) {
    const grad_plan *p = ctx;
    size_t pair = o * p->ins + i;
    size_t cell = p->c * p->c, step = p->m_step;
    float *m = p->sums + pair * cell;
    for (size_t part = 1; part < p->parts; part++)
        for (size_t point = 0; point < POINTS; point++) {
            float *to = m + point * step;
            const float *from = to + part * m_elems(p);
            for (size_t k = 0; k < cell; k++)
                to[k] += from[k];
        }
    for (size_t row = 0; row < p->c; row++) {
        oc__winograd_tile t = {.c = p->c, .from = m + row * p->c};
        t.from_step = step;
        t.to = p->dw + pair * TAPS * cell + row * p->c;
        t.to_step = cell;
        p->kt->winograd_f32->weights(&t);
    }
}

/* ---- sharing out ----------------------------------------------------------
 */

static grad_range range_of(const grad_plan *p, size_t first, size_t end,
                           size_t part, size_t worker) {
    grad_range r = {.plan = p, .first = first};
    r.count = OC_MIN(p->chunk, end - first);
    r.v = p->scratch + worker * (v_elems(p) + u_elems(p));
    r.u = r.v + v_elems(p);
    r.m = p->sums + part * m_elems(p);
    return r;
}

static void part_task(void *ctx, int task, int worker) {
    const grad_plan *p = ctx;
    size_t part = (size_t)task, at = p->tiles * part / p->parts;
    size_t end = p->tiles * (part + 1) / p->parts;
    memset(p->sums + part * m_elems(p), 0, m_elems(p) * sizeof(float));
    for (; at < end; at += p->chunk) {
        grad_range r = range_of(p, at, end, part, (size_t)worker);
        for (size_t b = 0; b < p->ins + p->outs; b++)
            for (size_t i = 0; i < r.count; i++)
                transform(&r, b, i);
        for (size_t point = 0; point < POINTS; point++)
            for (size_t o = 0; o < p->outs; o++)
                multiply(&r, point, o);
    }
}

static void run_chunks(const grad_plan *p, oc__pool *pool) {
    double product = (double)p->chunk * (double)(p->ins * p->c * p->c);
    memset(p->sums, 0, m_elems(p) * sizeof(float));
    for (size_t at = 0; at < p->tiles; at += p->chunk) {
        grad_range r = range_of(p, at, p->tiles, 0, 0);
        oc__share_grid(pool, p->ins + p->outs, r.count,
                       8.0 * (double)(POINTS * p->c), transform, &r);
        oc__share_grid(pool, POINTS, p->outs, product, multiply, &r);
    }
}

void oc__conv_grad_winograd(const oc__kernels *kt, oc__pool *pool,
                            const oc__conv_geom *g, const float *x,
                            const float *grad, float *dw, void *scratch) {
    grad_plan p = plan_of(kt, g);
    p.x = x;
    p.grad = grad;
    p.dw = dw;
    p.sums = scratch;
    p.scratch = p.sums + p.parts * m_elems(&p);
    if (p.parts > 1)
        oc__pool_run(pool, (int)p.parts, part_task, &p);
    else
        run_chunks(&p, pool);
    oc__share_grid(pool, p.outs, p.ins,
                   (double)((POINTS + TAPS) * p.c * p.c * (p.parts + 1)),
                   finish, &p);
}
