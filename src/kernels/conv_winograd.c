/*
 * conv_winograd.c - 3x3 convolution of stride 1 with fewer multiplications.
 *
 * The output is cut into tiles of m x m pixels, m = 2, 4 or 6.  For each tile
 * and block of channels, n x n input pixels (n = m + 2) become n * n numbers,
 * its values at n * n points; at every point the channels are multiplied with
 * the filter's values there, as a product of matrices; and the results go
 * back to m x m pixels.  winograd_template.h explains the transforms.
 *
 *     input  (tiles, n, n)  ->  V  [point][in block][tile][c]
 *                               M  [point][out block][tile][c]  = V U
 *     output (tiles, m, m)  <-
 *
 *     U (packed weights)  [point][out pair][in block][c][1 or 2 blocks][c]
 *
 * V[point] lies like the pixels of a 1x1 convolution, so the tile kernel of
 * the direct way does the products.
 *
 * When there are many tiles, a task takes some of them through all three
 * steps, V and M staying in its L2.  When there are few, each step is shared
 * out over all tiles.  Either way every number is computed from the same
 * operands in the same order.
 */
#include "kernels/conv_private.h"

#include <math.h>
#include <string.h>

#define MAX_N 8
#define MAX_C 16
/* V and M of a task fill so much of L2; the weights of a point pass through. */
#define TASK_SHARE 0.7
/* So many bytes of weights, fetched ahead of the products, cost what a byte of
 * V and M does that goes out of L2 and comes back. */
#define READ_AHEAD 2.0

typedef struct winograd_plan {
    const oc__kernels *kt;
    const oc__conv_f32_args *args;
    const oc__conv_geom *g;
    size_t c, m, n, points;
    size_t in_blocks, out_blocks, pairs, last_steps;
    size_t tiles_x, tiles_y, tiles; /* of the whole batch */
    size_t chunk;                   /* tiles of a task, at most */
    size_t chunks;
    size_t v_step, m_step; /* floats from a point to the next */
    float lo, hi;
    oc__act_args act;
    const float *w_end; /* behind all packed weights */
    float *scratch;     /* a V and an M for each worker, or one for all */
} winograd_plan;

/* Tiles that a task holds: `chunk` of those from `first` on. */
typedef struct tile_range {
    const winograd_plan *plan;
    size_t first, count;
    float *v, *m;
} tile_range;

static int winograd_can(const oc__kernels *kt, const oc__conv_geom *g) {
    (void)kt;
    return g->group == 1 && g->kernel_h == 3 && g->kernel_w == 3 &&
           g->stride_h == 1 && g->stride_w == 1 && g->dilation_h == 1 &&
           g->dilation_w == 1;
}

/* ---- what it costs ------------------------------------------------------- */

/* Cycles, with one vector multiply-add a cycle.  A point of a tile takes
 * about 8 for its share of a transform, of which in_blocks + out_blocks are
 * needed.  Weights, up to 7 times those of the direct way, are read once from
 * memory; a core alone reads 8 bytes a cycle, cores together less each.  They
 * are fetched while the products run, so only the longer of the two counts.
 * Cores with vectors twice as long do half as many multiply-adds in the time
 * in which memory brings so much.  Few weights come from a cache, often. */
#define SMALL_WEIGHTS (1 << 20)
static double bytes_a_cycle(const oc__kernels *kt, double bytes) {
    return (bytes < SMALL_WEIGHTS ? 1.0 : 0.25) * kt->block;
}

/* V and M of all tiles together, see plan_chunks(), go out to the third level
 * and come back.  The choice of m shows in the last bits of results, so it is
 * made for one size of L2, that of the smaller cores with such vectors, on
 * every machine: 512 KiB, or 1 MiB with AVX-512. */
#define SPILT_A_CYCLE 4.0
static double cost_room(const oc__kernels *kt) {
    return TASK_SHARE * 64 * 1024 * kt->block;
}

static double spill_cost(const oc__kernels *kt, const oc__conv_geom *g,
                         size_t m, double tiles) {
    double points = (double)((m + 2) * (m + 2)), c = (double)kt->block;
    double in_blocks = (double)oc__blocks(kt, g->in_c);
    double out_blocks = (double)oc__blocks(kt, g->out_c);
    double row = (double)kt->conv_f32->max_px[OC_CONV_MAX_BLOCKS];
    double bytes = points * (in_blocks + out_blocks) * c * sizeof(float);
    double fit = fmax(floor(cost_room(kt) / bytes / row), 1.0) * row;
    double chunks = ceil(tiles / fmin(fit, 4.0 * row));
    double weights = points * in_blocks * out_blocks * c * c * sizeof(float);
    double spilt = 2.0 * bytes * tiles;
    if (bytes * tiles <= cost_room(kt) ||
        (chunks - 1.0) * weights <= READ_AHEAD * spilt)
        return 0.0;
    return spilt / SPILT_A_CYCLE;
}

static double cost_of(const oc__kernels *kt, const oc__conv_geom *g, size_t m) {
    double in_blocks = (double)oc__blocks(kt, g->in_c);
    double out_blocks = (double)oc__blocks(kt, g->out_c);
    double points = (double)((m + 2) * (m + 2));
    double tiles = (double)g->batch * (double)OC_CEIL_DIV((size_t)g->out_h, m) *
                   (double)OC_CEIL_DIV((size_t)g->out_w, m);
    double products = (double)g->in_c * out_blocks;
    double bytes = points * products * kt->block * 4.0;
    return fmax(1.1 * tiles * points * products,
                bytes / bytes_a_cycle(kt, bytes)) +
           8.0 * tiles * points * (in_blocks + out_blocks) +
           spill_cost(kt, g, m, tiles);
}

static double direct_cost(const oc__kernels *kt, const oc__conv_geom *g) {
    double out_blocks = (double)oc__blocks(kt, g->out_c);
    double products = 9.0 * (double)g->in_c * out_blocks;
    double bytes = products * kt->block * 4.0;
    return fmax(1.06 * products * (double)(g->batch * g->out_h * g->out_w),
                bytes / bytes_a_cycle(kt, bytes));
}

static size_t best_m(const oc__kernels *kt, const oc__conv_geom *g) {
    size_t best = 2;
    for (size_t m = 4; m <= 6; m += 2)
        if (cost_of(kt, g, m) < cost_of(kt, g, best)) best = m;
    return best;
}

/* A filter's way to its points, in double, and writing them out. */
static double pack_cost(const oc__conv_geom *g, size_t m) {
    double n = (double)(m + 2);
    return 1.5 * n * (n + 3) * (double)(g->in_c * g->out_c);
}

int oc__winograd_pays(const oc__kernels *kt, const oc__conv_geom *g,
                      int fixed_weights, oc__conv_algo *best) {
    size_t m = best_m(kt, g);
    double cost = cost_of(kt, g, m);
    if (!fixed_weights) cost += pack_cost(g, m);
    *best = m == 2   ? OC_CONV_WINOGRAD2
            : m == 4 ? OC_CONV_WINOGRAD4
                     : OC_CONV_WINOGRAD6;
    /* With bf16 the direct way takes half the time; the points stay f32. */
    double share = kt->bf16 && fixed_weights ? 0.5 : 1.0;
    return cost < share * direct_cost(kt, g);
}

static winograd_plan plan_of(const oc__kernels *kt, const oc__conv_geom *g,
                             size_t m) {
    winograd_plan p = {.kt = kt, .g = g, .c = (size_t)kt->block, .m = m};
    p.n = p.m + 2;
    p.points = p.n * p.n;
    p.in_blocks = oc__blocks(kt, g->in_c);
    p.out_blocks = oc__blocks(kt, g->out_c);
    p.pairs = OC_CEIL_DIV(p.out_blocks, OC_CONV_MAX_BLOCKS);
    p.last_steps = (size_t)g->in_c - (p.in_blocks - 1) * p.c;
    p.tiles_x = OC_CEIL_DIV((size_t)g->out_w, p.m);
    p.tiles_y = OC_CEIL_DIV((size_t)g->out_h, p.m);
    p.tiles = (size_t)g->batch * p.tiles_y * p.tiles_x;
    return p;
}

/* Chunks for so many threads, each with most of a row at least, that read all
 * weights anew at most so many times; 1: there are none. */
static size_t more_chunks(const winograd_plan *p, size_t threads, size_t row,
                          double times) {
    for (size_t n = 4 * threads; n >= threads; n /= 2)
        if (4 * p->tiles >= 3 * n * row && (double)(n - 1) <= times) return n;
    return 1;
}

/* Fills in chunk and chunks.  A chunk has at least a full row of the kernel's
 * registers.  Every chunk reads all weights anew; where that costs more than
 * writing V and M of all tiles out of L2 and reading them back, all tiles are
 * one chunk. */
static void plan_chunks(winograd_plan *p, int threads) {
    size_t row = p->kt->conv_f32->max_px[OC_CONV_MAX_BLOCKS];
    size_t bytes =
        p->points * (p->in_blocks + p->out_blocks) * p->c * sizeof(float);
    size_t room = (size_t)(TASK_SHARE * (double)p->kt->l2_bytes);
    size_t chunk = OC_MAX(room / bytes / row, 1) * row;
    p->chunks = OC_CEIL_DIV(p->tiles, OC_MIN(chunk, 4 * row));
    double weights = (double)(p->points * p->in_blocks * p->out_blocks * p->c *
                              p->c * sizeof(float));
    double spilt = 2.0 * (double)bytes * (double)p->tiles;
    if ((double)(p->chunks - 1) * weights > READ_AHEAD * spilt) p->chunks = 1;
    size_t all = (size_t)threads;
    if (threads > 1 && p->chunks < 4 * all) {
        size_t more = more_chunks(p, all, row, READ_AHEAD * spilt / weights);
        if (more >= p->chunks || p->chunks < all) p->chunks = more;
    }
    if (p->chunks > 1)
        p->chunks = oc__share_even(threads, 1, p->chunks, p->tiles);
    p->chunk = OC_CEIL_DIV(p->tiles, p->chunks);
    p->v_step = oc__point_step(p->in_blocks * p->chunk * p->c);
    p->m_step = oc__point_step(p->out_blocks * p->chunk * p->c);
}

size_t oc__point_step(size_t elems) {
    enum { LINE = 16 };
    return (OC_CEIL_DIV(elems, LINE) | 1) * LINE;
}

static size_t v_elems(const winograd_plan *p) {
    return p->points * p->v_step;
}

static size_t m_elems(const winograd_plan *p) {
    return p->points * p->m_step;
}

static size_t scratch_bytes(const oc__kernels *kt, const oc__conv_geom *g,
                            size_t m, int threads) {
    winograd_plan p = plan_of(kt, g, m);
    plan_chunks(&p, threads);
    size_t copies = OC_MIN((size_t)threads, p.chunks);
    return (v_elems(&p) + m_elems(&p)) * copies * sizeof(float);
}

/* ---- weights ------------------------------------------------------------- */

static size_t packed_elems(const oc__kernels *kt, const oc__conv_geom *g,
                           size_t m) {
    winograd_plan p = plan_of(kt, g, m);
    return p.points * p.in_blocks * p.out_blocks * p.c * p.c;
}

/* (n, 3): row i is (1, p, p^2) / product of (p - other points); the last,
 * infinity, is (0, 0, 1). */
static void filter_matrix(size_t n, double (*to)[3]) {
    static const float all[OC_WINOGRAD_SIZES][3] = OC_WINOGRAD_POINTS;
    double points[MAX_N] = {0.0};
    for (size_t i = 0; i + 2 < n; i++)
        points[i + 1] = (i % 2 ? -1.0 : 1.0) * (double)all[n / 2 - 2][i / 2];
    for (size_t i = 0; i + 1 < n; i++) {
        double product = 1.0;
        for (size_t j = 0; j + 1 < n; j++)
            if (j != i) product *= points[i] - points[j];
        for (size_t j = 0; j < 3; j++)
            to[i][j] = pow(points[i], (double)j) / product;
    }
    to[n - 1][0] = to[n - 1][1] = 0.0;
    to[n - 1][2] = 1.0;
}

/* Filters (3, 3) of `count` output channels, w_step apart, to their values at
 * the points, `step` apart; side by side, so that the compiler can make
 * vectors of them. */
static void pack_filters(size_t n, double (*matrix)[3], const float *w,
                         size_t w_step, size_t count, float *out, size_t step) {
    enum { WIDTH = OC_CONV_MAX_BLOCKS * MAX_C };
    double in[9][WIDTH], half[MAX_N][3][WIDTH];
    for (size_t i = 0; i < 9; i++)
        for (size_t k = 0; k < count; k++)
            in[i][k] = (double)w[k * w_step + i];
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < 3; j++)
            for (size_t k = 0; k < count; k++)
                half[i][j][k] = matrix[i][0] * in[j][k] +
                                matrix[i][1] * in[3 + j][k] +
                                matrix[i][2] * in[6 + j][k];
    for (size_t i = 0; i < n * n; i++) {
        const double *m = matrix[i % n];
        double(*h)[WIDTH] = half[i / n];
        for (size_t k = 0; k < count; k++)
            out[i * step + k] =
                (float)(h[0][k] * m[0] + h[1][k] * m[1] + h[2][k] * m[2]);
    }
}

typedef struct pack_job {
    winograd_plan plan;
    double matrix[MAX_N][3];
    const float *w;
    float *packed;
} pack_job;

/* Items are pairs of output blocks. */
static void pack_task(void *ctx, int task, int worker) {
    const oc__share *s = ctx;
    pack_job *j = s->ctx;
    const winograd_plan *p = &j->plan;
    size_t c = p->c, step = p->in_blocks * p->out_blocks * c * c;
    size_t in_c = (size_t)p->g->in_c, out_c = (size_t)p->g->out_c;
    (void)worker;
    for (size_t k = oc__share_begin(s, (size_t)task);
         k < oc__share_end(s, (size_t)task); k++) {
        size_t o = k * OC_CONV_MAX_BLOCKS;
        size_t width =
            OC_MIN((size_t)OC_CONV_MAX_BLOCKS, p->out_blocks - o) * c;
        float *out = j->packed + o * p->in_blocks * c * c;
        for (size_t i = 0; i < p->points; i++)
            memset(out + i * step, 0, width * p->in_blocks * c * sizeof *out);
        for (size_t i = 0; i < in_c; i++)
            pack_filters(p->n, j->matrix, j->w + (o * c * in_c + i) * 9,
                         in_c * 9, OC_MIN(width, out_c - o * c),
                         out + i * width, step);
    }
}

static void pack(const oc__kernels *kt, oc__pool *pool, const oc__conv_geom *g,
                 size_t m, const float *w, float *packed) {
    pack_job j = {.plan = plan_of(kt, g, m), .w = w, .packed = packed};
    filter_matrix(j.plan.n, j.matrix);
    /* A filter's transform is about 200 operations in double. */
    double work = 200.0 * (double)g->in_c * OC_CONV_MAX_BLOCKS * kt->block;
    oc__share_run(pool, j.plan.pairs, work, pack_task, &j);
}

/* ---- the three steps ----------------------------------------------------- */

typedef struct place {
    size_t image, y, x; /* of the tile's first output pixel */
} place;

static place place_of(const winograd_plan *p, size_t tile) {
    place at;
    at.x = tile % p->tiles_x * p->m;
    tile /= p->tiles_x;
    at.y = tile % p->tiles_y * p->m;
    at.image = tile / p->tiles_y;
    return at;
}

/* The same, copied, with zeros outside. */
static void copy_edge(const oc__plane *in, int64_t y, int64_t x, int64_t n,
                      float *out) {
    int64_t c = in->c;
    int64_t x0 = OC_MIN(OC_MAX(-x, 0), n);
    int64_t x1 = OC_MAX(OC_MIN(in->w - x, n), x0);
    memset(out, 0, (size_t)(n * n * c) * sizeof *out);
    for (int64_t i = 0; i < n; i++) {
        if (y + i < 0 || y + i >= in->h) continue;
        memcpy(out + (i * n + x0) * c,
               in->data + ((y + i) * in->w + x + x0) * c,
               (size_t)((x1 - x0) * c) * sizeof *out);
    }
}

const float *oc__winograd_window(const oc__plane *in, int64_t y, int64_t x,
                                 int64_t n, float *edge, size_t *row_step) {
    if (y >= 0 && x >= 0 && y + n <= in->h && x + n <= in->w) {
        *row_step = (size_t)(in->w * in->c);
        return in->data + (y * in->w + x) * in->c;
    }
    copy_edge(in, y, x, n, edge);
    *row_step = (size_t)(n * in->c);
    return edge;
}

/* Tile i of r, block b, to V. */
static void transform_in(const void *ctx, size_t b, size_t i) {
    const tile_range *r = ctx;
    const winograd_plan *p = r->plan;
    const oc__conv_geom *g = p->g;
    _Alignas(64) float edge[OC_WINOGRAD_EDGE];
    place at = place_of(p, r->first + i);
    oc__plane in = {(int64_t)p->c, g->in_h, g->in_w,
                    p->args->in + (at.image * p->in_blocks + b) *
                                      (size_t)(g->in_h * g->in_w) * p->c};
    oc__winograd_tile t = {.c = p->c};
    t.from = oc__winograd_window(&in, (int64_t)at.y - g->pad_top,
                                 (int64_t)at.x - g->pad_left, (int64_t)p->n,
                                 edge, &t.from_step);
    t.to = r->v + (b * p->chunk + i) * p->c;
    t.to_step = p->v_step;
    p->kt->winograd_f32->input[p->m / 2 - 1](&t);
}

/* One point, one pair of output blocks, all tiles of r. */
static void multiply(const void *ctx, size_t point, size_t pair) {
    const tile_range *r = ctx;
    const winograd_plan *p = r->plan;
    static const size_t no_offset = 0;
    size_t o = pair * OC_CONV_MAX_BLOCKS, c = p->c;
    oc__conv_tile t = {.c = c, .taps = &no_offset, .tap_count = 1};
    t.out_blocks = OC_MIN((size_t)OC_CONV_MAX_BLOCKS, p->out_blocks - o);
    t.blocks = p->in_blocks;
    t.last_steps = p->last_steps;
    t.in_block_step = t.out_block_step = p->chunk * c;
    t.w =
        p->args->packed_w + (point * p->out_blocks + o) * p->in_blocks * c * c;
    t.first = t.last = 1;
    t.lo = -INFINITY;
    t.hi = INFINITY;
    const float *in = r->v + point * p->v_step;
    float *out = r->m + point * p->m_step + o * p->chunk * c;
    size_t strips =
        OC_CEIL_DIV(r->count, p->kt->conv_f32->max_px[t.out_blocks]);
    /* The weights of the next pair, or of the next point's first. */
    size_t pair_elems = t.out_blocks * p->in_blocks * c * c;
    t.ahead = oc__ahead_of(t.w + pair_elems, p->w_end, pair_elems, strips,
                           p->in_blocks * c);
    for (size_t i = 0; i < strips; i++) {
        size_t first = r->count * i / strips;
        t.px = r->count * (i + 1) / strips - first;
        t.in = in + first * c;
        t.out = out + first * c;
        p->kt->conv_f32->blocked(&t);
        oc__ahead_next_tile(&t.ahead);
    }
}

/* Tile i of r, block b, from M to the output. */
static void transform_out(const void *ctx, size_t b, size_t i) {
    const tile_range *r = ctx;
    const winograd_plan *p = r->plan;
    const oc__conv_geom *g = p->g;
    const oc__conv_f32_args *a = p->args;
    size_t c = p->c, out_h = (size_t)g->out_h, out_w = (size_t)g->out_w;
    place at = place_of(p, r->first + i);
    oc__winograd_tile t = {.c = c, .lo = p->lo, .hi = p->hi};
    t.from = r->m + (b * p->chunk + i) * c;
    t.from_step = p->m_step;
    size_t plane = at.image * p->out_blocks + b;
    size_t out = ((plane * out_h + at.y) * out_w + at.x) * c;
    t.to = a->out + out;
    t.to_step = out_w * c;
    t.rows = OC_MIN(p->m, out_h - at.y);
    t.cols = OC_MIN(p->m, out_w - at.x);
    t.bias = a->bias ? a->bias + b * c : NULL;
    t.residual = a->residual ? a->residual + out : NULL;
    p->kt->winograd_f32->output[p->m / 2 - 1](&t);
    if (p->act.kind != OC_ACT_NONE)
        for (size_t y = 0; y < t.rows; y++)
            p->kt->act_f32(p->act, t.to + y * t.to_step, t.to + y * t.to_step,
                           t.cols * c);
}

/* ---- sharing out --------------------------------------------------------- */

static tile_range range_of(const winograd_plan *p, size_t chunk, int worker) {
    tile_range r = {.plan = p};
    r.first = p->tiles * chunk / p->chunks;
    r.count = p->tiles * (chunk + 1) / p->chunks - r.first;
    r.v = p->scratch + (size_t)worker * (v_elems(p) + m_elems(p));
    r.m = r.v + v_elems(p);
    return r;
}

static void chunk_task(void *ctx, int task, int worker) {
    const winograd_plan *p = ctx;
    tile_range r = range_of(p, (size_t)task, worker);
    for (size_t b = 0; b < p->in_blocks; b++)
        for (size_t i = 0; i < r.count; i++)
            transform_in(&r, b, i);
    for (size_t point = 0; point < p->points; point++)
        for (size_t pair = 0; pair < p->pairs; pair++)
            multiply(&r, point, pair);
    for (size_t b = 0; b < p->out_blocks; b++)
        for (size_t i = 0; i < r.count; i++)
            transform_out(&r, b, i);
}

static void run(const oc__kernels *kt, oc__pool *pool,
                const oc__conv_f32_args *a, size_t m, void *scratch) {
    winograd_plan p = plan_of(kt, &a->g, m);
    int threads = oc__pool_threads(pool);
    p.args = a;
    p.w_end = a->packed_w + packed_elems(kt, &a->g, m);
    p.act = oc__act_clamp(a->act, a->act_a, a->act_b, &p.lo, &p.hi);
    p.scratch = scratch;
    plan_chunks(&p, threads);
    if (p.chunks > 1 || threads == 1) {
        oc__pool_run(pool, (int)p.chunks, chunk_task, &p);
        return;
    }
    /* A transform's point takes about 8 cycles, see above. */
    double transform = 8.0 * (double)(p.points * p.c);
    double product =
        (double)(a->g.in_c * OC_CONV_MAX_BLOCKS * kt->block) * (double)p.tiles;
    tile_range all = range_of(&p, 0, 0);
    oc__share_grid(pool, p.in_blocks, p.tiles, transform, transform_in, &all);
    oc__share_grid(pool, p.points, p.pairs, product, multiply, &all);
    oc__share_grid(pool, p.out_blocks, p.tiles, transform, transform_out, &all);
}

/* A way for each size. */
#define WINOGRAD_WAY(m)                                                        \
    static size_t packed_elems_##m(const oc__kernels *kt,                      \
                                   const oc__conv_geom *g) {                   \
        return packed_elems(kt, g, m);                                         \
    }                                                                          \
    static void pack_##m(const oc__kernels *kt, oc__pool *pool,                \
                         const oc__conv_geom *g, const float *w,               \
                         float *packed) {                                      \
        pack(kt, pool, g, m, w, packed);                                       \
    }                                                                          \
    static size_t scratch_bytes_##m(const oc__kernels *kt,                     \
                                    const oc__conv_geom *g, int threads) {     \
        return scratch_bytes(kt, g, m, threads);                               \
    }                                                                          \
    static void run_##m(const oc__kernels *kt, oc__pool *pool,                 \
                        const oc__conv_f32_args *a, void *scratch) {           \
        run(kt, pool, a, m, scratch);                                          \
    }                                                                          \
    const oc__conv_way oc__conv_way_winograd##m = {                            \
        winograd_can, packed_elems_##m, pack_##m, scratch_bytes_##m, run_##m};

WINOGRAD_WAY(2)
WINOGRAD_WAY(4)
WINOGRAD_WAY(6)
