/*
 * conv_i8_winograd.c - 3x3 convolution of stride 1 by Winograd's tiles; see
 * conv_i8.h.
 *
 * A block of tiles is transformed at once, small enough for L2, and meets the
 * weights 16 channels at a time:
 *
 *     V   s16 [36][tiles][channels in]            of the block
 *     U   s16 [panel of 16][36][channels in / 2][16][2]
 *     M   s32 [36][tiles][16]                     of the block and a panel
 *
 * M is in cache when it is transformed back and becomes codes.
 */
#include "kernels/conv_i8_private.h"
#include "kernels/share.h"

#include <string.h>

#define COLS  OC_CODE_COLS
#define PARTS 36

typedef struct wino_plan {
    const oc__kernels *kt;
    const oc__conv_i8_args *a;
    size_t depth, panels; /* channels filled up to COLS; panels of those out */
    size_t tiles_x, tiles_y, tiles; /* of a row, a picture, all */
    size_t blocks, most;            /* and tiles of the largest block */
    size_t shares;                  /* of the panels, each a task of its own */
    size_t at_sums, at_outside, worker_bytes;
    char *workers;
} wino_plan;

/* ---- what it can do ------------------------------------------------------ */

static int is_3x3(const oc__conv_geom *g) {
    return g->kernel_h == 3 && g->kernel_w == 3 && g->stride_h == 1 &&
           g->stride_w == 1 && g->dilation_h == 1 && g->dilation_w == 1 &&
           g->group == 1;
}

int oc__conv_i8_can(const oc__conv_geom *g, oc__conv_i8_algo algo) {
    return algo == OC_CONV_I8_PLAIN ||
           (algo == OC_CONV_I8_WINOGRAD && is_3x3(g));
}

/* Tiles, and channels filled up. */
static void make_shape(wino_plan *p, const oc__conv_geom *g) {
    memset(p, 0, sizeof(*p));
    p->depth = oc__align_up((size_t)g->in_c, COLS);
    p->panels = OC_CEIL_DIV((size_t)g->out_c, COLS);
    p->tiles_x = OC_CEIL_DIV((size_t)g->out_w, 4);
    p->tiles_y = OC_CEIL_DIV((size_t)g->out_h, 4);
    p->tiles = p->tiles_x * p->tiles_y * (size_t)g->batch;
}

/* Whether no sum of a channel reaches 2^25, whatever the pixels are. */
static int is_exact(const oc__conv_geom *g, const int8_t *w) {
    size_t each = (size_t)(g->in_c * 9);
    for (size_t o = 0; o < (size_t)g->out_c; o++, w += each) {
        int64_t above = 0, below = 0;
        for (size_t i = 0; i < each; i++) {
            if (w[i] > 0)
                above += w[i];
            else
                below -= w[i];
        }
        if (OC_MAX(above, below) * 255 >= 1 << 25) return 0;
    }
    return 1;
}

/* Cycles of Winograd's way without bringing the weights; see pays(). */
static double cycles(const wino_plan *p) {
    double deep = (double)p->depth, wide = (double)(p->panels * COLS);
    return (double)p->tiles *
           (deep * wide * PARTS / 24 + 230 * deep / 16 + 230 * wide / 8);
}

/*
 * Cycles of both ways.  Products: 24 multiply-adds a cycle, of bytes 30;
 * windows are packed at 16 bytes a cycle; transforming a tile takes 230 cycles
 * for 16 channels in and as many for 8 out; weights come at 4 bytes a cycle.
 */
static int pays(const oc__conv_geom *g) {
    wino_plan p;
    make_shape(&p, g);
    double pixels = (double)(g->batch * g->out_h * g->out_w);
    double in = (double)g->in_c, out = (double)g->out_c;
    double plain = pixels * in * 9 * (out / 30 + 1.0 / 16) + in * out * 9 / 4;
    double weights = (double)p.depth * (double)(p.panels * COLS) * PARTS * 2;
    double wino = cycles(&p) + weights / 4;
    return wino < plain;
}

oc__conv_i8_algo oc__conv_i8_choose(const oc__kernels *kt,
                                    const oc__conv_geom *g, const int8_t *w) {
    /* What multiplies bytes four at a time is faster. */
    int fast = kt->wino_i8->rows > 4 && kt->gemm_i8->order != NULL;
    return fast && is_3x3(g) && pays(g) && is_exact(g, w) ? OC_CONV_I8_WINOGRAD
                                                          : OC_CONV_I8_PLAIN;
}

/* ---- weights ------------------------------------------------------------- */

size_t oc__wino_i8_packed_bytes(const oc__conv_geom *g) {
    wino_plan p;
    size_t all;
    make_shape(&p, g);
    return oc__size_mul(p.depth * COLS, p.panels, &all) ||
                   oc__size_mul(all, PARTS * sizeof(int16_t), &all)
               ? SIZE_MAX
               : all;
}

/* G times a line of three. */
static void turn_line(const int *w, size_t step, int *to, size_t to_step) {
    int a = w[0], b = w[step], c = w[2 * step];
    to[0] = 6 * a;
    to[to_step] = -a - b - c;
    to[2 * to_step] = b - a - c;
    to[3 * to_step] = a + 2 * b + 4 * c;
    to[4 * to_step] = a - 2 * b + 4 * c;
    to[5 * to_step] = 6 * c;
}

void oc__wino_i8_pack(const oc__conv_geom *g, const int8_t *w, void *packed) {
    wino_plan p;
    int16_t *to = packed;
    make_shape(&p, g);
    memset(packed, 0, oc__wino_i8_packed_bytes(g));
    for (size_t o = 0; o < (size_t)g->out_c; o++)
        for (size_t c = 0; c < (size_t)g->in_c; c++, w += 9) {
            int line[9], half[18], all[PARTS];
            for (int i = 0; i < 9; i++)
                line[i] = w[i];
            for (size_t i = 0; i < 3; i++)
                turn_line(line + i, 3, half + i, 3);
            for (size_t i = 0; i < 6; i++)
                turn_line(half + 3 * i, 1, all + 6 * i, 1);
            size_t in_panel = c / 2 * COLS * 2 + o % COLS * 2 + c % 2;
            int16_t *at = to + o / COLS * PARTS * p.depth * COLS + in_panel;
            for (size_t t = 0; t < PARTS; t++)
                at[t * p.depth * COLS] = (int16_t)all[t];
        }
}

/* ---- the plan ------------------------------------------------------------ */

static void make_plan(wino_plan *p, const oc__kernels *kt,
                      const oc__conv_geom *g, int threads) {
    make_shape(p, g);
    p->kt = kt;
    if (!p->tiles) return;
    size_t rows = kt->wino_i8->rows;
    /* Half of L2 for V. */
    size_t fit = kt->l2_bytes / 2 / (PARTS * sizeof(int16_t) * p->depth);
    fit = OC_MAX(fit / rows * rows, rows);
    p->blocks = OC_CEIL_DIV(p->tiles, fit);
    size_t tasks = oc__share_tasks(threads, OC_SHARE_CYCLE * cycles(p));
    /* Blocks of few rows would read the weights for little. */
    if (p->blocks < tasks)
        p->blocks = OC_MAX(p->blocks, OC_MIN(tasks, p->tiles / (2 * rows)));
    p->shares = OC_MIN(OC_CEIL_DIV(tasks, p->blocks), p->panels);
    if (tasks > 1)
        p->shares = oc__share_even(threads, p->blocks, p->shares, p->panels);
    p->most = OC_CEIL_DIV(p->tiles, p->blocks);
    p->at_sums =
        oc__align_up(PARTS * p->most * p->depth * sizeof(int16_t), OC_ALIGN);
    p->at_outside = p->at_sums + PARTS * p->most * COLS * sizeof(int32_t);
    p->worker_bytes = oc__align_up(p->at_outside + (size_t)g->in_c, OC_ALIGN);
}

size_t oc__wino_i8_scratch_bytes(const oc__kernels *kt, const oc__conv_geom *g,
                                 int threads) {
    wino_plan p;
    make_plan(&p, kt, g, threads);
    return p.worker_bytes * (size_t)threads;
}

/* ---- a block ------------------------------------------------------------- */

typedef struct place {
    int64_t n, y, x; /* of the first pixel of a tile */
} place;

static place place_of(const wino_plan *p, size_t tile) {
    size_t each = p->tiles_x * p->tiles_y, in = tile % each;
    return (place){(int64_t)(tile / each), (int64_t)(in / p->tiles_x) * 4,
                   (int64_t)(in % p->tiles_x) * 4};
}

/* The 6x6 pixels that a tile sees. */
static void see(const wino_plan *p, place at, const uint8_t *outside,
                const uint8_t **px) {
    const oc__conv_geom *g = &p->a->g;
    for (int64_t i = 0; i < 6; i++) {
        int64_t y = at.y - g->pad_top + i, x = at.x - g->pad_left;
        int inside = y >= 0 && y < g->in_h;
        const uint8_t *line =
            p->a->in + (inside ? (at.n * g->in_h + y) * g->in_w * g->in_c : 0);
        for (int64_t j = 0; j < 6; j++, x++)
            *px++ =
                inside && x >= 0 && x < g->in_w ? line + x * g->in_c : outside;
    }
}

/* Where the 4x4 pixels of a tile go. */
static void go(const wino_plan *p, place from, size_t *at) {
    const oc__conv_geom *g = &p->a->g;
    for (int64_t i = 0; i < 16; i++) {
        int64_t y = from.y + i / 4, x = from.x + i % 4;
        at[i] =
            y < g->out_h && x < g->out_w
                ? (size_t)(((from.n * g->out_h + y) * g->out_w + x) * g->out_c)
                : OC_WINO_I8_OUTSIDE;
    }
}

static void transform(const wino_plan *p, size_t tile0, size_t tiles,
                      char *mine) {
    const uint8_t *px[PARTS];
    uint8_t *outside = (uint8_t *)mine + p->at_outside;
    memset(outside, p->a->pad, (size_t)p->a->g.in_c);
    for (size_t i = 0; i < tiles; i++) {
        see(p, place_of(p, tile0 + i), outside, px);
        p->kt->wino_i8->in(px, p->a->in_signed ? 0x80 : 0, (size_t)p->a->g.in_c,
                           (int16_t *)(void *)mine + i * p->depth,
                           tiles * p->depth);
    }
}

/* The 36 products of a panel. */
static void multiply(const wino_plan *p, size_t panel, size_t tiles,
                     char *mine) {
    const oc__wino_i8_kernel *kernel = p->kt->wino_i8;
    const int16_t *v = (const int16_t *)(const void *)mine;
    const int16_t *u =
        (const int16_t *)p->a->packed + panel * PARTS * p->depth * COLS;
    int32_t *m = (int32_t *)(void *)(mine + p->at_sums);
    size_t runs = OC_CEIL_DIV(tiles, kernel->rows);
    for (size_t t = 0; t < PARTS; t++, u += p->depth * COLS)
        for (size_t i = 0; i < runs; i++) {
            size_t row = tiles * i / runs, end = tiles * (i + 1) / runs;
            kernel->mul(v + (t * tiles + row) * p->depth, end - row, p->depth,
                        u, p->depth, m + (t * tiles + row) * COLS);
        }
}

static void put_panel(const wino_plan *p, size_t panel, size_t tile0,
                      size_t tiles, const char *mine) {
    const oc__conv_i8_args *a = p->a;
    const int32_t *m = (const int32_t *)(const void *)(mine + p->at_sums);
    size_t col = panel * COLS, at[16];
    oc__codes to = {.bias = a->bias + col,
                    .scale = a->scale + col,
                    .zero = a->zero,
                    .is_signed = a->out_signed};
    if (a->out_f32) {
        to.f = a->out_f32 + col;
        to.shift = a->shift + col;
    } else {
        to.y = a->out + col;
    }
    for (size_t i = 0; i < tiles; i++) {
        go(p, place_of(p, tile0 + i), at);
        p->kt->wino_i8->out(m + i * COLS, tiles * COLS,
                            OC_MIN((size_t)a->g.out_c - col, (size_t)COLS), &to,
                            at);
    }
}

/* What comes behind results in f32, for columns col to end. */
static void finish(const wino_plan *p, size_t tile0, size_t tiles, size_t col,
                   size_t end) {
    size_t at[16];
    for (size_t i = 0; i < tiles; i++) {
        go(p, place_of(p, tile0 + i), at);
        for (int j = 0; j < 16; j++)
            if (at[j] != OC_WINO_I8_OUTSIDE)
                oc__conv_i8_finish(p->kt, p->a, at[j] + col, end - col);
    }
}

static void wino_task(void *ctx, int task, int worker) {
    const wino_plan *p = ctx;
    size_t block = (size_t)task / p->shares, share = (size_t)task % p->shares;
    size_t tile0 = p->tiles * block / p->blocks;
    size_t tiles = p->tiles * (block + 1) / p->blocks - tile0;
    size_t panel = p->panels * share / p->shares;
    size_t end = p->panels * (share + 1) / p->shares, first = panel * COLS;
    char *mine = p->workers + (size_t)worker * p->worker_bytes;
    transform(p, tile0, tiles, mine);
    for (; panel < end; panel++) {
        multiply(p, panel, tiles, mine);
        put_panel(p, panel, tile0, tiles, mine);
    }
    if (p->a->out_f32)
        finish(p, tile0, tiles, first,
               OC_MIN(end * COLS, (size_t)p->a->g.out_c));
}

void oc__wino_i8(const oc__kernels *kt, oc__pool *pool,
                 const oc__conv_i8_args *args, void *scratch) {
    wino_plan p;
    make_plan(&p, kt, &args->g, oc__pool_threads(pool));
    if (!p.tiles || !p.panels) return;
    p.a = args;
    p.workers = scratch;
    oc__pool_run(pool, (int)(p.blocks * p.shares), wino_task, &p);
}
