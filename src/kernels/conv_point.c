/*
 * conv_point.c - 1x1 convolution without padding: a product of matrices.
 *
 * In NCHWc the channels of a pixel lie a whole picture apart, block by block.
 * Tiles that read them there touch a page for each block, more than there are
 * entries in the first-level TLB, and where the picture's size is a power of
 * two all blocks fall on the same few lines of a cache.  So the pixels of a
 * strip are first copied, for each tile one panel:
 *
 *     panel of px pixels:  [in block][px][c]
 *
 * which the tiles of all output blocks then read from front to back.  The copy
 * moves each vector of c channels once, against out_c vectors multiplied with
 * it.  A stride is taken care of on the way.
 *
 * A depthwise convolution before it is computed straight into the panels: what
 * would be written to memory and read back never leaves L2.
 *
 * Cores with a large L2 do not mind: on a Zen 4 tiles that read the picture as
 * it is were faster in all of 263 layers with vectors of 16, where a pixel
 * fills a line, and in 93 of 98 with vectors of 8.  Then only depthwise
 * convolutions are followed so, and their pixels are not put into panels, but
 * read block by block:
 *
 *     strip:  [in block][pixel][c]
 *
 * Weights are packed as by conv_direct.c.  With products of bf16 the pixels are
 * rounded as they are copied, once for all output blocks, and c is c / 2 words.
 */
#include "kernels/conv_private.h"

#include <string.h>

/* Panels of a strip fill so much of L2, beside the weights that pass. */
#define STRIP_SHARE 0.5
/* Pixels of a strip at least, so that the weights, read once for each strip,
 * come in the time of their multiply-adds; and at most, so that there are
 * strips for every thread. */
#define STRIP_LEAST 72
#define STRIP_MOST  1024
/* Weights of a part of the sum: see conv_direct.c. */
#define PART_BYTES 24576
/* With fewer output blocks the copy costs more than it gains, unless more input
 * blocks than a cache has ways fall on the same lines: then it always pays. */
#define LEAST_OUT 10
#define WAYS      8
/* From here on, or with vectors that fill a line, pixels are not copied.  Which
 * way it is does not show in the results. */
#define LARGE_L2 ((size_t)1 << 20)
#define LINE     16
/* A depthwise multiply-add takes as long as so many of others. */
#define DEPTH_TAP 4
#define WAY_BYTES 4096

typedef struct point_plan {
    oc__strip_plan strip;
    const oc__conv_geom *g;
    int bf16;
    size_t out_blocks, pairs, pixels;
    size_t tiles;  /* of an image */
    size_t strips; /* of an image */
    size_t parts;  /* tasks of a strip, each some pairs of output blocks */
    oc__depthwise_plan depth; /* args NULL: there is none */
    float *scratch;           /* of each worker: panels, a run of pixels */
} point_plan;

static int can_point(const oc__kernels *kt, const oc__conv_geom *g) {
    (void)kt;
    return g->group == 1 && g->kernel_h == 1 && g->kernel_w == 1 &&
           g->pad_top == 0 && g->pad_left == 0 &&
           (g->out_h - 1) * g->stride_h < g->in_h &&
           (g->out_w - 1) * g->stride_w < g->in_w;
}

static int wants_panels(const oc__kernels *kt) {
    return kt->block < LINE && kt->l2_bytes < LARGE_L2;
}

int oc__point_pays(const oc__kernels *kt, const oc__conv_geom *g) {
    size_t in_blocks = oc__blocks(kt, g->in_c);
    if (!wants_panels(kt)) return 0;
    size_t plane = (size_t)(g->in_h * g->in_w * kt->block) * sizeof(float);
    /* Planes begin in so many places of a way. */
    size_t places = 1;
    while (places < WAY_BYTES && plane * places % WAY_BYTES)
        places *= 2;
    if (in_blocks > WAYS * places) return 1;
    return in_blocks > 1 && oc__blocks(kt, g->out_c) >= LEAST_OUT;
}

/* Pixels of a tile at most. */
static size_t tile_px(const point_plan *p) {
    return p->strip.kernel->max_px[p->strip.even];
}

/* Tiles of the longest strip. */
static size_t strip_tiles(const point_plan *p) {
    size_t px_bytes = p->strip.in_blocks * p->strip.words * sizeof(float);
    size_t fit =
        (size_t)(STRIP_SHARE * (double)p->strip.kt->l2_bytes) / px_bytes;
    fit = OC_MAX(OC_MIN(fit, (size_t)STRIP_MOST), (size_t)STRIP_LEAST);
    return OC_MIN(OC_MAX(fit / tile_px(p), 1), p->tiles);
}

static point_plan plan_of(const oc__kernels *kt, const oc__conv_geom *g,
                          int bf16) {
    point_plan p = {.g = g, .bf16 = bf16};
    oc__strip_plan *s = &p.strip;
    static const size_t no_offset = 0;
    s->kt = kt;
    s->kernel = bf16 ? kt->conv_bf16 : kt->conv_f32;
    s->c = (size_t)kt->block;
    s->words = bf16 ? s->c / 2 : s->c;
    s->panels = 1;
    s->even = OC_MIN(oc__blocks(kt, g->out_c), (size_t)OC_CONV_MAX_BLOCKS);
    s->in_blocks = oc__blocks(kt, g->in_c);
    s->taps = &no_offset;
    s->tap_count = 1;
    s->tap_elems = s->words * s->c;
    s->rows = 1;
    s->cols = p.pixels = (size_t)(g->out_h * g->out_w);
    size_t part =
        PART_BYTES / sizeof(float) / OC_CONV_MAX_BLOCKS / s->tap_elems;
    size_t parts = OC_CEIL_DIV(s->in_blocks, part);
    s->blocks_a_part = OC_CEIL_DIV(s->in_blocks, parts);
    p.out_blocks = oc__blocks(kt, g->out_c);
    p.pairs = OC_CEIL_DIV(p.out_blocks, OC_CONV_MAX_BLOCKS);
    p.tiles = oc__strip_tiles(s, s->even);
    return p;
}

/* Pixels of the longest strip. */
static size_t strip_px(const point_plan *p) {
    return strip_tiles(p) * tile_px(p);
}

/* Whether a depthwise convolution's pixels are read block by block. */
static int reads_blocks(const point_plan *p) {
    return !p->bf16 && !wants_panels(p->strip.kt);
}

/* From one block to the next, where there are no panels. */
static size_t block_step(const point_plan *p) {
    return oc__point_step(strip_px(p) * p->strip.words);
}

static size_t panel_elems(const point_plan *p) {
    size_t block =
        reads_blocks(p) ? block_step(p) : strip_px(p) * p->strip.words;
    return block * p->strip.in_blocks;
}

/* Of one block of a strip: an input of the depthwise stage. */
static size_t run_elems(const point_plan *p) {
    return strip_px(p) * p->strip.c;
}

static size_t worker_elems(const point_plan *p) {
    return panel_elems(p) + run_elems(p);
}

static const oc__conv_way *packer(int bf16) {
    return bf16 ? &oc__conv_way_direct_bf16 : &oc__conv_way_direct;
}

static size_t first_pixel(const point_plan *p, size_t tile) {
    return p->pixels * tile / p->tiles;
}

/* px pixels of block b to a panel's part. */
static void put_pixels(const point_plan *p, const float *in, size_t b,
                       size_t px, float *out) {
    if (p->bf16)
        oc__narrow_pixels(p->strip.kt, in, px, b, p->g->in_c, out);
    else if (p->strip.c == 8) /* a call takes longer than the few pixels */
        for (size_t i = 0; i < px; i++)
            memcpy(out + i * 8, in + i * 8, 8 * sizeof *out);
    else
        memcpy(out, in, px * p->strip.c * sizeof *out);
}

/* Pixels x0..x1 of the output, block b of the input, likewise.  Of an
 * unstrided picture they are neighbours. */
static void copy_pixels(const point_plan *p, const float *in, size_t b,
                        size_t x0, size_t x1, float *out) {
    const oc__conv_geom *g = p->g;
    size_t c = p->strip.c, out_w = (size_t)g->out_w;
    if (g->stride_h == 1 && g->stride_w == 1 && g->in_w == g->out_w) {
        put_pixels(p, in + x0 * c, b, x1 - x0, out);
        return;
    }
    for (size_t x = x0; x < x1; x++, out += p->strip.words) {
        size_t row = x / out_w * (size_t)(g->stride_h * g->in_w);
        size_t col = x % out_w * (size_t)g->stride_w;
        put_pixels(p, in + (row + col) * c, b, 1, out);
    }
}

/* Pixels x0..x1 of the depthwise output, one plane. */
static void depth_pixels(const point_plan *p, size_t plane, size_t x0,
                         size_t x1, float *out) {
    size_t width = (size_t)p->depth.args->g.out_w;
    for (size_t x = x0; x < x1;) {
        size_t y = x / width, end = OC_MIN(x1, (y + 1) * width);
        oc__depthwise_pixels(&p->depth, plane, y, x - y * width,
                             end - y * width, NULL, out);
        out += (end - x) * p->strip.c;
        x = end;
    }
}

/* Tiles first..last of one image, one block of the input, to panels, or as
 * they are behind a depthwise convolution; run holds the block's pixels. */
static void fill_block(const point_plan *p, size_t image, size_t b,
                       size_t first, size_t last, float *panels, float *run) {
    size_t c = p->strip.c, blocks = p->strip.in_blocks;
    size_t plane = (size_t)(p->g->in_h * p->g->in_w) * c;
    size_t start = first_pixel(p, first), end = first_pixel(p, last);
    if (!p->strip.panels) {
        depth_pixels(p, image * blocks + b, start, end,
                     panels + b * p->strip.in_block_step);
        return;
    }
    if (p->depth.args) depth_pixels(p, image * blocks + b, start, end, run);
    const float *in = p->strip.args->in + (image * blocks + b) * plane;
    oc__tile_at at = oc__tile_at_of(p->pixels, p->tiles, first);
    for (size_t i = first; i < last; i++, oc__tile_at_next(&at)) {
        size_t px = at.x1 - at.x0;
        float *out =
            panels + ((at.x0 - start) * blocks + b * px) * p->strip.words;
        if (p->depth.args)
            put_pixels(p, run + (at.x0 - start) * c, b, px, out);
        else
            copy_pixels(p, in, b, at.x0, at.x1, out);
    }
}

/* A part of the output blocks, for tiles first..last of one image. */
static void multiply_part(const point_plan *p, size_t image, size_t part,
                          size_t first, size_t last, const float *panels) {
    oc__strip_plan strip = p->strip, *s = &strip;
    const oc__conv_f32_args *a = s->args;
    s->col0 = first_pixel(p, first);
    size_t end = p->pairs * (part + 1) / p->parts;
    for (size_t j = p->pairs * part / p->parts; j < end; j++) {
        size_t o = j * OC_CONV_MAX_BLOCKS;
        size_t n = OC_MIN((size_t)OC_CONV_MAX_BLOCKS, p->out_blocks - o);
        size_t out = (image * p->out_blocks + o) * p->pixels * s->c;
        size_t steps = (size_t)a->g.in_c - (s->in_blocks - 1) * s->c;
        oc__strip_run(s, n, OC_CEIL_DIV(steps * s->words, s->c), panels,
                      a->packed_w + o * s->in_blocks * s->tap_elems,
                      a->out + out, a->bias ? a->bias + o * s->c : NULL,
                      a->residual ? a->residual + out : NULL, first, last);
    }
}

/* Tasks run over images, strips, parts. */
static void point_task(void *ctx, int task, int worker) {
    const point_plan *p = ctx;
    size_t part = (size_t)task % p->parts, i = (size_t)task / p->parts;
    size_t strip = i % p->strips, image = i / p->strips;
    size_t first = p->tiles * strip / p->strips;
    size_t last = p->tiles * (strip + 1) / p->strips;
    float *panels = p->scratch + (size_t)worker * worker_elems(p);
    for (size_t b = 0; b < p->strip.in_blocks; b++)
        fill_block(p, image, b, first, last, panels, panels + panel_elems(p));
    multiply_part(p, image, part, first, last, panels);
}

/* One image of one strip: everybody fills the same panels, then everybody
 * reads them.  Each weight is read once, each pixel made once; pixels that are
 * computed, of few output blocks, come sooner without a second wait. */
static void fill_task(void *ctx, int task, int worker) {
    const oc__share *s = ctx;
    const point_plan *p = s->ctx;
    float *mine = p->scratch + panel_elems(p) + run_elems(p) * (size_t)worker;
    for (size_t b = oc__share_begin(s, (size_t)task);
         b < oc__share_end(s, (size_t)task); b++)
        fill_block(p, 0, b, 0, p->tiles, p->scratch, mine);
}

static void part_task(void *ctx, int task, int worker) {
    const point_plan *p = ctx;
    (void)worker;
    multiply_part(p, 0, (size_t)task, 0, p->tiles, p->scratch);
}

static void run_together(point_plan *p, oc__pool *pool, size_t wanted) {
    double taps = 1;
    if (p->depth.args)
        taps = DEPTH_TAP *
               (double)(p->depth.args->g.kernel_h * p->depth.args->g.kernel_w);
    p->parts = OC_MIN(wanted, p->pairs);
    oc__share_run(pool, p->strip.in_blocks,
                  taps * (double)(p->pixels * p->strip.c), fill_task, p);
    oc__pool_run(pool, (int)p->parts, part_task, p);
}

/* Every strip reads all weights: shorter ones are made only where threads would
 * have nothing to do, or unevenly much, and are long enough. */
static size_t depth_strips(const point_plan *p, size_t batch, size_t wanted,
                           size_t threads) {
    size_t n = p->strips * batch;
    size_t least = OC_MAX(STRIP_LEAST / tile_px(p), (size_t)1);
    if (wanted < 2) return p->strips;
    size_t all = OC_CEIL_DIV(n, threads) * threads;
    if (p->tiles * batch / least >= 2 * all) all *= 2;
    return OC_MIN(OC_CEIL_DIV(all, batch), p->tiles);
}

static void point_run(const oc__kernels *kt, oc__pool *pool,
                      const oc__conv_f32_args *a, void *scratch) {
    point_plan p = plan_of(kt, &a->g, oc__conv_is_bf16(a->algo));
    oc__strip_plan *s = &p.strip;
    s->args = a;
    s->w_end = a->packed_w + packer(p.bf16)->packed_elems(kt, &a->g);
    s->act = oc__act_clamp(a->act, a->act_a, a->act_b, &s->lo, &s->hi);
    p.scratch = scratch;
    if (a->before) {
        p.depth = oc__depthwise_plan_of(kt, a->before);
        s->panels = !reads_blocks(&p);
        s->in_block_step = block_step(&p);
        s->px_step = s->words;
    }
    size_t batch = (size_t)a->g.batch;
    double work = oc__conv_work(&a->g);
    size_t threads = (size_t)oc__pool_threads(pool);
    size_t wanted = oc__share_tasks((int)threads, p.bf16 ? work / 2 : work);
    p.strips = OC_CEIL_DIV(p.tiles, strip_tiles(&p));
    if (batch * p.strips == 1 && wanted > 1 &&
        (!a->before || p.pairs >= wanted)) {
        run_together(&p, pool, wanted);
        return;
    }
    /* A strip is better cut into parts of its output than shorter: then its
     * pixels are copied more often, but no weight is read more often.  Not so
     * where its pixels are computed. */
    if (a->before) p.strips = depth_strips(&p, batch, wanted, threads);
    p.parts = a->before ? 1 : OC_CEIL_DIV(wanted, batch * p.strips);
    p.parts = OC_MIN(p.parts, p.pairs);
    oc__pool_run(pool, (int)(batch * p.strips * p.parts), point_task, &p);
}

/* ---- the two ways -------------------------------------------------------- */

static int can_point_bf16(const oc__kernels *kt, const oc__conv_geom *g) {
    return kt->bf16 && can_point(kt, g);
}

#define WAY(name, bf16)                                                        \
    static size_t name##_scratch_bytes(const oc__kernels *kt,                  \
                                       const oc__conv_geom *g, int threads) {  \
        point_plan p = plan_of(kt, g, bf16);                                   \
        return worker_elems(&p) * sizeof(float) * (size_t)threads;             \
    }                                                                          \
    static size_t name##_packed_elems(const oc__kernels *kt,                   \
                                      const oc__conv_geom *g) {                \
        return packer(bf16)->packed_elems(kt, g);                              \
    }                                                                          \
    static void name##_pack(const oc__kernels *kt, oc__pool *pool,             \
                            const oc__conv_geom *g, const float *w,            \
                            float *packed) {                                   \
        packer(bf16)->pack(kt, pool, g, w, packed);                            \
    }                                                                          \
    const oc__conv_way oc__conv_way_##name = {                                 \
        can_##name, name##_packed_elems, name##_pack, name##_scratch_bytes,    \
        point_run};
WAY(point, 0)
WAY(point_bf16, 1)
