/*
 * conv_private.h - what the files of the convolution driver share.  Users
 * include conv.h.
 */
#ifndef OC_KERNELS_CONV_PRIVATE_H
#define OC_KERNELS_CONV_PRIVATE_H

#include "kernels/kernels.h"
#include "kernels/share.h"

/** One way of convolution; oc__conv_* look it up by oc__conv_algo. */
typedef struct oc__conv_way {
    int (*can)(const oc__kernels *kt, const oc__conv_geom *g);
    size_t (*packed_elems)(const oc__kernels *kt, const oc__conv_geom *g);
    void (*pack)(const oc__kernels *kt, oc__pool *pool, const oc__conv_geom *g,
                 const float *w, float *packed);
    size_t (*scratch_bytes)(const oc__kernels *kt, const oc__conv_geom *g,
                            int threads);
    void (*run)(const oc__kernels *kt, oc__pool *pool,
                const oc__conv_f32_args *args, void *scratch);
} oc__conv_way;

extern const oc__conv_way oc__conv_way_direct, oc__conv_way_depthwise,
    oc__conv_way_first, oc__conv_way_point, oc__conv_way_winograd2,
    oc__conv_way_winograd4, oc__conv_way_winograd6, oc__conv_way_direct_bf16,
    oc__conv_way_point_bf16;

/** Blocks that hold this many channels. */
static inline size_t oc__blocks(const oc__kernels *kt, int64_t channels) {
    return OC_CEIL_DIV((size_t)channels, (size_t)kt->block);
}

/** Multiply-adds of a convolution; of pooling with in_c / group as 1. */
static inline double oc__conv_work(const oc__conv_geom *g) {
    return (double)g->batch * (double)g->out_c * (double)g->out_h *
           (double)g->out_w * (double)(g->in_c / g->group) *
           (double)g->kernel_h * (double)g->kernel_w;
}

/**
 * Of `taps` taps `dilation` apart, the first of which falls on `at`: how many
 * fall inside 0..size-1, and the number of the first of them.
 */
static inline size_t oc__taps_inside(int64_t at, int64_t dilation, int64_t taps,
                                     int64_t size, int64_t *first) {
    int64_t a = at < 0 ? (-at + dilation - 1) / dilation : 0;
    int64_t b = at < size ? (size - 1 - at) / dilation + 1 : 0;
    b = OC_MIN(b, taps);
    *first = a;
    return b > a ? (size_t)(b - a) : 0;
}

/**
 * px pixels of block b, of which in_c channels are real, rounded to words of
 * bf16.  What is multiplied with a real one's zero weight is 0.
 */
void oc__narrow_pixels(const oc__kernels *kt, const float *in, size_t px,
                       size_t b, int64_t in_c, float *out);

/** Whether Winograd should be faster than the direct way, and which size. */
int oc__winograd_pays(const oc__kernels *kt, const oc__conv_geom *g,
                      int fixed_weights, oc__conv_algo *best);

/**
 * Floats from one point of Winograd's transforms to the next, with at least
 * `elems` between them: an odd number of cache lines, so that the points of a
 * tile fall into different sets.
 */
size_t oc__point_step(size_t elems);

/** A block of channels of one picture. */
typedef struct oc__plane {
    int64_t c, h, w;
    const float *data;
} oc__plane;

/** Floats of a window of at most 8 x 8 pixels of 16 channels. */
#define OC_WINOGRAD_EDGE (8 * 8 * 16)
/**
 * n x n pixels from (y, x) on, with zeros outside: in place, or in `edge`.
 * Rows are *row_step apart.
 */
const float *oc__winograd_window(const oc__plane *in, int64_t y, int64_t x,
                                 int64_t n, float *edge, size_t *row_step);

/** Whether copying the pixels of a 1x1 convolution pays. */
int oc__point_pays(const oc__kernels *kt, const oc__conv_geom *g);

/* ---- depthwise, some pixels at a time ------------------------------------ */

typedef struct oc__depthwise_plan {
    const oc__kernels *kt;
    const oc__conv_f32_args *args;
    size_t blocks;
    float lo, hi;
    oc__act_args act; /* what is left after lo and hi */
} oc__depthwise_plan;

oc__depthwise_plan oc__depthwise_plan_of(const oc__kernels *kt,
                                         const oc__conv_f32_args *a);
/**
 * Output pixels x0..x1 of row y of one plane (image * blocks + block), to out;
 * residual: theirs, or NULL.
 */
void oc__depthwise_pixels(const oc__depthwise_plan *p, size_t plane, size_t y,
                          size_t x0, size_t x1, const float *residual,
                          float *out);

/* ---- strips: the tiles of a dense convolution in order ------------------- */

/**
 * Where the input of the tiles lies, after padding and phases have been taken
 * care of: output pixel (y, x) reads from in + y * row_step + x * px_step.
 */
typedef struct oc__strip_plan {
    const oc__kernels *kt;
    const oc__conv_f32_kernel *kernel; /* of f32 or bf16 */
    const oc__conv_f32_args *args;
    size_t c;
    size_t words;      /* of a pixel that is read: c; of bf16 half of it */
    int plain;         /* the kernel: plain or blocked */
    int panels;        /* each tile's input is a panel, see conv_point.c */
    size_t even;       /* all tiles are as wide as so many output blocks want
                        * them; 0: as theirs do */
    size_t rows, cols; /* of the output, 1 x pixels when flattened */
    size_t row_step, px_step, in_block_step;
    size_t in_blocks;     /* of one group */
    size_t blocks_a_part; /* the sum is cut into parts of so many blocks */
    const size_t *taps;
    size_t tap_count, tap_elems; /* tap_elems: weights of a tap, one block */
    const float *w_end;          /* behind all packed weights */
    float lo, hi;
    oc__act_args act; /* what is left after lo and hi */
    size_t row0;      /* the row that the input begins with */
    size_t col0;      /* the column, likewise; rows being 1 */
} oc__strip_plan;

/**
 * Runs tiles first..last (counted through the rows) of one pair of output
 * blocks: in, w, out, bias and residual belong to the pair, last_steps (words
 * of a pixel) to its last input block.
 */
void oc__strip_run(const oc__strip_plan *p, size_t out_blocks,
                   size_t last_steps, const float *in, const float *w,
                   float *out, const float *bias, const float *residual,
                   size_t first, size_t last);

/** Tiles in a row, all nearly equally wide. */
static inline size_t oc__strip_tiles(const oc__strip_plan *p,
                                     size_t out_blocks) {
    return OC_CEIL_DIV(p->cols, p->kernel->max_px[out_blocks]);
}

/** Tile number i of many: pixels x0..x1 of row y, cols * j / tiles as j goes
 *  from tile to tile, without dividing again. */
typedef struct oc__tile_at {
    size_t y, x0, x1;
    size_t cols, tiles;
    size_t step, more; /* cols / tiles and the remainder */
    size_t rest;       /* cols * (j + 1) % tiles */
} oc__tile_at;

static inline oc__tile_at oc__tile_at_of(size_t cols, size_t tiles, size_t i) {
    oc__tile_at at = {.y = i / tiles, .cols = cols, .tiles = tiles};
    size_t j = i % tiles;
    at.step = cols / tiles;
    at.more = cols % tiles;
    at.x0 = cols * j / tiles;
    at.x1 = cols * (j + 1) / tiles;
    at.rest = cols * (j + 1) % tiles;
    return at;
}

static inline void oc__tile_at_next(oc__tile_at *at) {
    at->x0 = at->x1;
    if (at->x0 == at->cols) {
        at->y++;
        at->x0 = at->rest = 0;
    }
    at->x1 = at->x0 + at->step;
    at->rest += at->more;
    if (at->rest < at->tiles) return;
    at->rest -= at->tiles;
    at->x1++;
}

#endif
