/*
 * conv_direct.c - dense and grouped convolution, NCHWc to NCHWc.
 *
 * A 1x1 convolution of stride 1 reads its input as it is, one long row of
 * pixels; so does an unpadded one of horizontal stride 1, row by row.  Every
 * other one first copies the picture to scratch, where padding is zeros and
 * the columns of a picture with stride s are split into phases:
 *
 *     stride 2:   x0 x1 x2 x3 x4 x5   ->   x0 x2 x4 | x1 x3 x5
 *                                          phase 0    phase 1
 *
 *     copy: [block][row][phase][column][c]
 *
 * so that neighbouring outputs have neighbouring inputs under every tap, and
 * one kernel serves all strides, dilations and paddings.  The copy costs one
 * pass over the input, against kernel_h * kernel_w * out_c multiply-adds for
 * each of its elements.  Of large pictures each task copies what a band of rows
 * of its output reads, to L2, instead of everybody the whole, to memory.
 *
 * Packed weights, for each group and each pair of output blocks:
 *
 *     [in block][tap][c input channels][1 or 2 output blocks][c]
 *
 * With products of bf16 the input is always copied, and rounded on the way; a
 * pixel and the weights for it have c / 2 words where f32 has c floats.
 */
#include "base/half.h"
#include "kernels/conv_private.h"

#include <string.h>

/* Weights of one part of the sum stay in L1 while the tiles of a strip pass:
 * half of 32 KiB and a little, the rest is for input and output. */
#define PART_BYTES 24576
/* Pixels of a strip: with two blocks of 16 channels, 128 KiB of sums go to and
 * from L2 between the parts.  Fewer where the input of a strip, which every
 * pair of output blocks reads anew, would fill more than half of L2; but at
 * least so many that a part's weights are worth bringing to L1. */
#define STRIP_PX    1024
#define STRIP_LEAST 96
/* Copies of several images of a batch are made at once up to this size. */
#define COPY_BYTES ((size_t)4 << 20)
/* The copy of a band fills so much of L2, and the weights, which pass once for
 * each band, so much at most. */
#define BAND_SHARE   0.5
#define WEIGHT_SHARE 0.75

typedef struct direct_plan {
    oc__strip_plan strip;
    size_t groups;     /* as the tiles see them */
    size_t out_blocks; /* of one group */
    int bf16;
    int copies; /* whether the input is copied */
    size_t phases, copy_rows, copy_cols, copy_row_stride;
    size_t image_elems; /* of the picture the tiles read */
    size_t images;      /* copied at once */
    size_t strips;      /* of a pair of output blocks */
    float *copy;
    size_t image;            /* first of those copied */
    size_t band;             /* rows of output of a band at most, or 0 */
    size_t bands, band_rows; /* of an image; of a band's copy at most */
} direct_plan;

/* Groups whose channels share a block are computed as one group of one block,
 * with zero weights between them. */
static int shares_block(const oc__kernels *kt, const oc__conv_geom *g) {
    int64_t per = g->in_c / g->group;
    return g->group > 1 && g->out_c == g->in_c && per < kt->block &&
           kt->block % per == 0;
}

static int can_direct(const oc__kernels *kt, const oc__conv_geom *g) {
    return g->group == 1 || shares_block(kt, g) ||
           (g->in_c / g->group % kt->block == 0 &&
            g->out_c / g->group % kt->block == 0);
}

static void plan_groups(direct_plan *p, const oc__kernels *kt,
                        const oc__conv_geom *g) {
    if (shares_block(kt, g)) {
        p->groups = oc__blocks(kt, g->in_c);
        p->strip.in_blocks = p->out_blocks = 1;
    } else {
        p->groups = (size_t)g->group;
        p->strip.in_blocks = oc__blocks(kt, g->in_c / g->group);
        p->out_blocks = oc__blocks(kt, g->out_c / g->group);
    }
}

/* Words of the channels in the last input block of a group.  Filling is left
 * out. */
static size_t last_steps(const direct_plan *p, const oc__conv_geom *g,
                         size_t group) {
    const oc__strip_plan *s = &p->strip;
    size_t before = (group * s->in_blocks + s->in_blocks - 1) * s->c;
    size_t channels = OC_MIN(s->c, (size_t)g->in_c - before);
    return OC_CEIL_DIV(channels * s->words, s->c);
}

static int needs_copy(const oc__conv_geom *g) {
    return g->pad_top != 0 || g->pad_left != 0 || g->stride_w != 1 ||
           (g->kernel_h == 1 && g->kernel_w == 1 && g->stride_h != 1) ||
           (g->out_h - 1) * g->stride_h + (g->kernel_h - 1) * g->dilation_h >=
               g->in_h ||
           (g->out_w - 1) + (g->kernel_w - 1) * g->dilation_w >= g->in_w;
}

/* Sizes of the picture that the tiles read, copied or not. */
static void plan_picture(direct_plan *p, const oc__conv_geom *g) {
    size_t words = p->strip.words;
    if (p->bf16 || needs_copy(g)) {
        int64_t span = (g->kernel_w - 1) * g->dilation_w;
        p->copies = 1;
        /* Of rows under a kernel one tap high, only those used. */
        p->copy_row_stride = g->kernel_h == 1 ? 1 : (size_t)g->stride_h;
        p->copy_rows = (size_t)(g->out_h - 1) * p->copy_row_stride +
                       (size_t)((g->kernel_h - 1) * g->dilation_h) + 1;
        p->phases = (size_t)OC_MIN(g->stride_w, span + 1);
        p->copy_cols = (size_t)(g->out_w + span / g->stride_w);
    } else {
        p->copy_row_stride = (size_t)g->stride_h;
        p->copy_rows = (size_t)g->in_h;
        p->phases = 1;
        p->copy_cols = (size_t)g->in_w;
    }
    size_t row = p->phases * p->copy_cols * words;
    p->strip.in_block_step = p->copy_rows * row;
    p->strip.row_step = p->copy_row_stride * row;
    p->strip.px_step = words;
    p->strip.rows = (size_t)g->out_h;
    p->strip.cols = (size_t)g->out_w;
    p->image_elems =
        OC_CEIL_DIV((size_t)g->in_c, p->strip.c) * p->strip.in_block_step;
    if (p->phases * p->copy_cols == p->strip.cols && p->copy_row_stride == 1) {
        p->strip.cols *= p->strip.rows;
        p->strip.rows = 1;
    }
}

static void plan_taps(const direct_plan *p, const oc__conv_geom *g,
                      size_t *taps) {
    for (int64_t i = 0; i < g->kernel_h; i++)
        for (int64_t j = 0; j < g->kernel_w; j++) {
            size_t row = (size_t)(i * g->dilation_h);
            size_t phase = (size_t)(j * g->dilation_w % g->stride_w);
            size_t col = (size_t)(j * g->dilation_w / g->stride_w);
            *taps++ = ((row * p->phases + phase) * p->copy_cols + col) *
                      p->strip.words;
        }
}

/* Rows of the copy that so many rows of output read. */
static size_t rows_read(const direct_plan *p, const oc__conv_geom *g,
                        size_t rows) {
    return (rows - 1) * p->copy_row_stride +
           (size_t)((g->kernel_h - 1) * g->dilation_h) + 1;
}

/* Bands where the whole copy would leave L2 and the weights do not, the rows
 * that two bands read are few, and a part's weights are worth bringing to L1
 * for a band. */
static void plan_bands(direct_plan *p, const oc__conv_geom *g) {
    const oc__strip_plan *s = &p->strip;
    double l2 = (double)s->kt->l2_bytes;
    size_t row = s->in_blocks * p->phases * p->copy_cols * s->words;
    double fit = BAND_SHARE * l2 / (double)(row * sizeof(float));
    size_t halo = rows_read(p, g, 1);
    size_t weights = p->out_blocks * s->in_blocks * s->tap_count * s->tap_elems;
    if (!p->copies || p->groups != 1 || s->rows < 2 || fit < (double)halo ||
        (double)(p->image_elems * sizeof(float)) < l2 ||
        (double)(weights * sizeof(float)) > WEIGHT_SHARE * l2)
        return;
    size_t rows = ((size_t)fit - halo) / p->copy_row_stride + 1;
    if (rows * s->cols < STRIP_LEAST || rows * p->copy_row_stride < 2 * halo ||
        rows >= s->rows)
        return;
    p->band = rows;
    p->band_rows = rows_read(p, g, rows);
}

static size_t band_elems(const direct_plan *p) {
    return p->strip.in_blocks * p->band_rows * p->phases * p->copy_cols *
           p->strip.words;
}

static size_t taps_bytes(const oc__conv_geom *g) {
    return oc__align_up((size_t)(g->kernel_h * g->kernel_w) * sizeof(size_t),
                        OC_ALIGN);
}

static direct_plan plan_of(const oc__kernels *kt, const oc__conv_geom *g,
                           int bf16) {
    direct_plan p = {.bf16 = bf16};
    p.strip.kt = kt;
    p.strip.kernel = bf16 ? kt->conv_bf16 : kt->conv_f32;
    p.strip.c = (size_t)kt->block;
    p.strip.words = bf16 ? p.strip.c / 2 : p.strip.c;
    p.strip.tap_count = (size_t)(g->kernel_h * g->kernel_w);
    p.strip.tap_elems = p.strip.words * p.strip.c;
    plan_groups(&p, kt, g);
    plan_picture(&p, g);
    size_t part = PART_BYTES / sizeof(float) / OC_CONV_MAX_BLOCKS /
                  p.strip.tap_elems / p.strip.tap_count;
    size_t parts = OC_CEIL_DIV(p.strip.in_blocks, OC_MAX(part, 1));
    p.strip.blocks_a_part = OC_CEIL_DIV(p.strip.in_blocks, parts);
    size_t bytes = p.image_elems * sizeof(float);
    p.images = (size_t)g->batch;
    if (p.copies && p.images > 1)
        p.images = OC_MIN(p.images, OC_MAX(COPY_BYTES / bytes, 1));
    plan_bands(&p, g);
    return p;
}

static size_t scratch_bytes(const direct_plan *p, const oc__conv_geom *g,
                            int threads) {
    size_t elems = p->copies ? p->images * p->image_elems : 0;
    if (p->band) elems = band_elems(p) * (size_t)threads;
    return taps_bytes(g) + elems * sizeof(float);
}

/* ---- weights ------------------------------------------------------------- */

static size_t packed_elems(const direct_plan *p) {
    return p->groups * p->out_blocks * p->strip.in_blocks * p->strip.tap_count *
           p->strip.tap_elems;
}

/* One block of one input and a pair of output blocks: n output channels from
 * out0 on, steps input channels from in0 on.  Weights between groups and
 * outside the channels there are stay 0.  Of bf16 the inputs 2 i and 2 i + 1
 * of an output are neighbours. */
static void pack_block(const direct_plan *p, const oc__conv_geom *g,
                       const float *w, size_t out0, size_t n, size_t in0,
                       float *packed) {
    size_t c = p->strip.c, taps = p->strip.tap_count;
    size_t in_per = (size_t)(g->in_c / g->group);
    size_t out_per = (size_t)(g->out_c / g->group);
    for (size_t k = 0; k < n && out0 + k < (size_t)g->out_c; k++) {
        /* Of this block, the inputs in the group of output out0 + k. */
        size_t first = (out0 + k) / out_per * in_per;
        size_t from = OC_MAX(in0, first);
        size_t to = OC_MIN(in0 + c, first + in_per);
        for (size_t in = from; in < to; in++) {
            const float *row = w + ((out0 + k) * in_per + in - first) * taps;
            float *out = packed + (in - in0) * n + k;
            uint16_t *pairs = (uint16_t *)(void *)packed;
            pairs += ((in - in0) / 2 * n + k) * 2 + (in - in0) % 2;
            for (size_t t = 0; t < taps; t++)
                if (p->bf16)
                    pairs[t * c * n] = oc__f32_to_bf16(row[t]);
                else
                    out[t * c * n] = row[t];
        }
    }
}

static void pack(const direct_plan *p, const oc__conv_geom *g, const float *w,
                 float *packed) {
    size_t c = p->strip.c, in_blocks = p->strip.in_blocks;
    memset(packed, 0, packed_elems(p) * sizeof *packed);
    for (size_t group = 0; group < p->groups; group++)
        for (size_t o = 0; o < p->out_blocks; o += OC_CONV_MAX_BLOCKS) {
            size_t n =
                OC_MIN((size_t)OC_CONV_MAX_BLOCKS, p->out_blocks - o) * c;
            size_t out0 = (group * p->out_blocks + o) * c;
            for (size_t i = 0; i < in_blocks; i++) {
                pack_block(p, g, w, out0, n, (group * in_blocks + i) * c,
                           packed);
                packed += p->strip.tap_count * p->strip.words * n;
            }
        }
}

/* ---- the copy ------------------------------------------------------------ */

/* n blocks, each `step` blocks after the last.  The two sizes there are get
 * their own copy so that the compiler moves vectors. */
static void copy_blocks(float *out, const float *in, size_t c, size_t step,
                        size_t n) {
    if (step == 1) {
        memcpy(out, in, n * c * sizeof *out);
    } else if (c == 16) {
        for (size_t i = 0; i < n; i++)
            memcpy(out + i * 16, in + i * step * 16, 16 * sizeof *out);
    } else {
        for (size_t i = 0; i < n; i++)
            memcpy(out + i * 8, in + i * step * 8, 8 * sizeof *out);
    }
}

void oc__narrow_pixels(const oc__kernels *kt, const float *in, size_t px,
                       size_t b, int64_t in_c, float *out) {
    size_t c = (size_t)kt->block, real = (size_t)in_c - b * c;
    uint16_t *to = (uint16_t *)(void *)out;
    kt->f32_to_bf16(in, to, px * c);
    if (real < c && real % 2)
        for (size_t i = 0; i < px; i++)
            to[i * c + real] = 0;
}

/* copy_blocks() of block b of the channels, in bf16. */
static void narrow_blocks(const direct_plan *p, float *out, const float *in,
                          size_t b, size_t step, size_t n) {
    const oc__strip_plan *s = &p->strip;
    int64_t in_c = s->args->g.in_c;
    if (step == 1) {
        oc__narrow_pixels(s->kt, in, n, b, in_c, out);
        return;
    }
    for (size_t i = 0; i < n; i++)
        oc__narrow_pixels(s->kt, in + i * step * s->c, 1, b, in_c,
                          out + i * s->words);
}

/* One phase of one row of block b: out[q] = in[q * stride + shift], 0 outside.
 */
static void copy_phase(const direct_plan *p, float *out, const float *in,
                       size_t b, int64_t shift) {
    size_t c = p->strip.c, words = p->strip.words;
    int64_t cols = (int64_t)p->copy_cols, in_w = p->strip.args->g.in_w;
    int64_t stride = p->strip.args->g.stride_w;
    /* The q that fall inside: q * stride + shift in 0..in_w-1. */
    int64_t q0 = shift < 0 ? (-shift + stride - 1) / stride : 0;
    int64_t q1 = shift < in_w ? (in_w - 1 - shift) / stride + 1 : 0;
    q0 = OC_MIN(q0, cols);
    q1 = OC_MAX(OC_MIN(q1, cols), q0);
    memset(out, 0, (size_t)q0 * words * sizeof *out);
    if (q1 > q0) {
        const float *from = in + (size_t)(q0 * stride + shift) * c;
        float *to = out + (size_t)q0 * words;
        if (p->bf16)
            narrow_blocks(p, to, from, b, (size_t)stride, (size_t)(q1 - q0));
        else
            copy_blocks(to, from, c, (size_t)stride, (size_t)(q1 - q0));
    }
    memset(out + (size_t)q1 * words, 0,
           (size_t)(cols - q1) * words * sizeof *out);
}

/* One row of the copy, of one block of one image. */
static void copy_row(const direct_plan *p, size_t image, size_t block,
                     size_t row, float *out) {
    const oc__conv_geom *g = &p->strip.args->g;
    size_t c = p->strip.c, phase = p->copy_cols * p->strip.words;
    size_t blocks = p->image_elems / p->strip.in_block_step;
    int64_t y = (int64_t)row - g->pad_top;
    if (g->kernel_h == 1) y = (int64_t)row * g->stride_h - g->pad_top;
    if (y < 0 || y >= g->in_h) {
        memset(out, 0, p->phases * phase * sizeof *out);
        return;
    }
    const float *in = p->strip.args->in + (image * blocks + block) *
                                              (size_t)(g->in_h * g->in_w) * c;
    in += (size_t)(y * g->in_w) * c;
    for (size_t i = 0; i < p->phases; i++)
        copy_phase(p, out + i * phase, in, block, (int64_t)i - g->pad_left);
}

/* Item i is row i % copy_rows of block i / copy_rows, over all images. */
static void copy_item(const direct_plan *p, size_t item) {
    size_t plane = item / p->copy_rows;
    size_t blocks = p->image_elems / p->strip.in_block_step;
    copy_row(p, p->image + plane / blocks, plane % blocks, item % p->copy_rows,
             p->copy + item * p->phases * p->copy_cols * p->strip.words);
}

static void copy_task(void *ctx, int task, int worker) {
    const oc__share *s = ctx;
    (void)worker;
    size_t end = oc__share_end(s, (size_t)task);
    for (size_t i = oc__share_begin(s, (size_t)task); i < end; i++)
        copy_item(s->ctx, i);
}

/* ---- the tiles ----------------------------------------------------------- */

/* Tasks run over images, groups, strips, pairs of output blocks; the last the
 * fastest, since all pairs read the same input. */
static void direct_task(void *ctx, int task, int worker) {
    const direct_plan *p = ctx;
    const oc__strip_plan *s = &p->strip;
    const oc__conv_f32_args *a = s->args;
    (void)worker;
    size_t pairs = OC_CEIL_DIV(p->out_blocks, OC_CONV_MAX_BLOCKS);
    size_t i = (size_t)task;
    size_t o = i % pairs * OC_CONV_MAX_BLOCKS;
    i /= pairs;
    size_t strip = i % p->strips;
    i /= p->strips;
    size_t group = i % p->groups, image = i / p->groups;
    size_t out_blocks = OC_MIN((size_t)OC_CONV_MAX_BLOCKS, p->out_blocks - o);

    const float *in = p->copies ? p->copy : a->in + p->image * p->image_elems;
    in += image * p->image_elems + group * s->in_blocks * s->in_block_step;
    size_t block = group * p->out_blocks + o; /* of this image's output */
    size_t w = block * s->in_blocks * s->tap_count * s->tap_elems;
    size_t out = ((p->image + image) * p->groups * p->out_blocks + block) *
                 s->rows * s->cols * s->c;
    size_t tiles = s->rows * oc__strip_tiles(s, out_blocks);
    oc__strip_run(s, out_blocks, last_steps(p, &a->g, group), in,
                  a->packed_w + w, a->out + out,
                  a->bias ? a->bias + block * s->c : NULL,
                  a->residual ? a->residual + out : NULL,
                  tiles * strip / p->strips, tiles * (strip + 1) / p->strips);
}

/* Tasks run over images and bands: a band's input is copied to the worker's
 * own scratch, for all output blocks. */
static void band_task(void *ctx, int task, int worker) {
    const direct_plan *p = ctx;
    const oc__conv_f32_args *a = p->strip.args;
    oc__strip_plan s = p->strip;
    size_t image = (size_t)task / p->bands, band = (size_t)task % p->bands;
    size_t y0 = s.rows * band / p->bands, y1 = s.rows * (band + 1) / p->bands;
    size_t row = p->phases * p->copy_cols * s.words;
    size_t rows = rows_read(p, &a->g, y1 - y0);
    float *copy = p->copy + (size_t)worker * band_elems(p);
    s.in_block_step = p->band_rows * row;
    s.row0 = y0;
    for (size_t b = 0; b < s.in_blocks; b++)
        for (size_t r = 0; r < rows; r++)
            copy_row(p, image, b, y0 * p->copy_row_stride + r,
                     copy + b * s.in_block_step + r * row);
    for (size_t o = 0; o < p->out_blocks; o += OC_CONV_MAX_BLOCKS) {
        size_t n = OC_MIN((size_t)OC_CONV_MAX_BLOCKS, p->out_blocks - o);
        size_t out = (image * p->out_blocks + o) * s.rows * s.cols * s.c;
        size_t tiles = oc__strip_tiles(&s, n);
        oc__strip_run(&s, n, last_steps(p, &a->g, 0), copy,
                      a->packed_w + o * s.in_blocks * s.tap_count * s.tap_elems,
                      a->out + out, a->bias ? a->bias + o * s.c : NULL,
                      a->residual ? a->residual + out : NULL, tiles * y0,
                      tiles * y1);
    }
}

static void run_bands(direct_plan *p, oc__pool *pool) {
    size_t threads = (size_t)oc__pool_threads(pool), rows = p->strip.rows;
    p->bands = OC_CEIL_DIV(rows, p->band);
    /* Few bands are dealt out evenly. */
    if (p->bands < 8 * threads)
        p->bands = OC_MIN(OC_CEIL_DIV(p->bands, threads) * threads, rows);
    oc__pool_run(pool, (int)((size_t)p->strip.args->g.batch * p->bands),
                 band_task, p);
}

static size_t strip_px(const direct_plan *p) {
    const oc__strip_plan *s = &p->strip;
    /* Of a strided picture a strip reads more than it writes. */
    size_t in = s->in_blocks * s->in_block_step, out = s->rows * s->cols;
    double px_bytes = (double)(in * sizeof(float)) / (double)out;
    double fit = 0.5 * (double)s->kt->l2_bytes / px_bytes;
    if (fit > STRIP_PX) return STRIP_PX;
    return OC_MAX((size_t)fit, (size_t)STRIP_LEAST);
}

static void direct_run(const oc__kernels *kt, oc__pool *pool,
                       const oc__conv_f32_args *a, void *scratch) {
    const oc__conv_geom *g = &a->g;
    direct_plan p = plan_of(kt, g, oc__conv_is_bf16(a->algo));
    oc__strip_plan *s = &p.strip;
    s->args = a;
    s->w_end = a->packed_w + packed_elems(&p);
    s->act = oc__act_clamp(a->act, a->act_a, a->act_b, &s->lo, &s->hi);
    plan_taps(&p, g, scratch);
    s->taps = scratch;
    p.copy = (float *)(void *)((char *)scratch + taps_bytes(g));
    if (p.band) {
        run_bands(&p, pool);
        return;
    }
    size_t pairs = OC_CEIL_DIV(p.out_blocks, OC_CONV_MAX_BLOCKS);
    size_t batch = (size_t)g->batch;
    for (; p.image < batch; p.image += p.images) {
        size_t images = OC_MIN(p.images, batch - p.image);
        if (p.copies)
            oc__share_run(
                pool, images * p.image_elems / s->in_block_step * p.copy_rows,
                (double)(p.phases * p.copy_cols * s->c), copy_task, &p);
        double work = oc__conv_work(g) / (double)batch * (double)images;
        if (p.bf16) work /= 2;
        size_t wanted = oc__share_tasks(oc__pool_threads(pool), work);
        size_t others = images * p.groups * pairs;
        p.strips = OC_MAX(OC_CEIL_DIV(s->rows * s->cols, strip_px(&p)),
                          OC_CEIL_DIV(wanted, others));
        size_t most = s->rows * oc__strip_tiles(s, 1);
        if (wanted > 1)
            p.strips =
                oc__share_even(oc__pool_threads(pool), others, p.strips, most);
        p.strips = OC_MIN(p.strips, most);
        oc__pool_run(pool, (int)(others * p.strips), direct_task, &p);
    }
}

/* ---- the two ways -------------------------------------------------------- */

static int can_direct_bf16(const oc__kernels *kt, const oc__conv_geom *g) {
    return kt->bf16 && can_direct(kt, g);
}

#define WAY(name, bf16)                                                        \
    static size_t name##_scratch_bytes(const oc__kernels *kt,                  \
                                       const oc__conv_geom *g, int threads) {  \
        direct_plan p = plan_of(kt, g, bf16);                                  \
        return scratch_bytes(&p, g, threads);                                  \
    }                                                                          \
    static size_t name##_packed_elems(const oc__kernels *kt,                   \
                                      const oc__conv_geom *g) {                \
        direct_plan p = plan_of(kt, g, bf16);                                  \
        return packed_elems(&p);                                               \
    }                                                                          \
    static void name##_pack(const oc__kernels *kt, oc__pool *pool,             \
                            const oc__conv_geom *g, const float *w,            \
                            float *packed) {                                   \
        direct_plan p = plan_of(kt, g, bf16);                                  \
        (void)pool;                                                            \
        pack(&p, g, w, packed);                                                \
    }                                                                          \
    const oc__conv_way oc__conv_way_##name = {                                 \
        can_##name, name##_packed_elems, name##_pack, name##_scratch_bytes,    \
        direct_run};
WAY(direct, 0)
WAY(direct_bf16, 1)
