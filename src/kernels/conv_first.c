/*
 * conv_first.c - the first convolution of a network: a plain NCHW picture of
 * at most 4 channels in, NCHWc out.
 *
 * Blocks of c channels would be three quarters filling here.  Instead each
 * channel is some more taps, and the picture is read as it is, one float a
 * pixel.  A band of output rows is one task: the input rows it needs are
 * copied with padding and split into phases as in conv_direct.c,
 *
 *     copy: [channel][row][phase][column]
 *
 * small enough to stay in L1 or L2 while all output blocks are computed.  Of a
 * picture with the channels last each row is parted into its channels on the
 * way.
 *
 * Packed weights, for each pair of output blocks:
 *
 *     [channel][kernel row][kernel column][1 or 2 output blocks][c]
 */
#include "kernels/conv_private.h"

#include <string.h>

#define MAX_CHANNELS 4
/* A band's input: L1 has 32 KiB, but the band passes through in order. */
#define BAND_BYTES 49152

typedef struct first_plan {
    oc__strip_plan strip;
    size_t phases, cols; /* of the copy */
    size_t row_elems;    /* of one channel: phases * cols */
    size_t band_rows;    /* output rows of a task, */
    size_t copy_rows;    /* input rows it needs */
    size_t bands;        /* in an image */
    size_t out_blocks;
    float *scratch;
} first_plan;

static int first_can(const oc__kernels *kt, const oc__conv_geom *g) {
    (void)kt;
    return g->group == 1 && g->in_c <= MAX_CHANNELS;
}

static first_plan plan_of(const oc__kernels *kt, const oc__conv_geom *g) {
    first_plan p = {0};
    size_t in_c = (size_t)g->in_c, out_h = (size_t)g->out_h;
    int64_t span_w = (g->kernel_w - 1) * g->dilation_w;
    size_t span_h = (size_t)((g->kernel_h - 1) * g->dilation_h);
    p.phases = (size_t)OC_MIN(g->stride_w, span_w + 1);
    p.cols = (size_t)(g->out_w + span_w / g->stride_w);
    p.row_elems = p.phases * p.cols;
    /* A picture with no columns has no rows to fit, but is asked about. */
    size_t row_bytes = OC_MAX(p.row_elems, 1) * in_c * sizeof(float);
    size_t fit = BAND_BYTES / row_bytes;
    fit = fit > span_h ? (fit - span_h) / (size_t)g->stride_h : 0;
    p.band_rows = OC_MIN(OC_MAX(fit, 1), OC_MAX(out_h, 1));
    p.copy_rows = (p.band_rows - 1) * (size_t)g->stride_h + span_h + 1;
    p.bands = OC_CEIL_DIV(out_h, p.band_rows);
    p.out_blocks = oc__blocks(kt, g->out_c);

    oc__strip_plan *s = &p.strip;
    s->kt = kt;
    s->kernel = kt->conv_f32;
    s->c = (size_t)kt->block;
    s->plain = 1;
    s->rows = out_h;
    s->cols = (size_t)g->out_w;
    s->row_step = (size_t)g->stride_h * p.row_elems;
    s->px_step = 1;
    s->in_blocks = s->blocks_a_part = 1;
    s->tap_count = in_c * (size_t)(g->kernel_h * g->kernel_w);
    s->tap_elems = s->c;
    return p;
}

static void plan_taps(const first_plan *p, const oc__conv_geom *g,
                      size_t *taps) {
    for (int64_t ch = 0; ch < g->in_c; ch++)
        for (int64_t i = 0; i < g->kernel_h; i++)
            for (int64_t j = 0; j < g->kernel_w; j++) {
                size_t row =
                    (size_t)ch * p->copy_rows + (size_t)(i * g->dilation_h);
                size_t phase = (size_t)(j * g->dilation_w % g->stride_w);
                size_t col = (size_t)(j * g->dilation_w / g->stride_w);
                *taps++ = row * p->row_elems + phase * p->cols + col;
            }
}

static size_t taps_bytes(const first_plan *p) {
    return oc__align_up(p->strip.tap_count * sizeof(size_t), OC_ALIGN);
}

/* Of one worker: a band and a row of the picture.  A tile may begin anywhere,
 * so no vector reads past it. */
static size_t band_bytes(const first_plan *p, const oc__conv_geom *g) {
    size_t band = p->copy_rows * p->row_elems;
    return oc__align_up(
        (size_t)g->in_c * (band + (size_t)g->in_w) * sizeof(float), OC_ALIGN);
}

static size_t first_scratch_bytes(const oc__kernels *kt, const oc__conv_geom *g,
                                  int threads) {
    first_plan p = plan_of(kt, g);
    return taps_bytes(&p) + band_bytes(&p, g) * (size_t)threads;
}

static size_t first_packed_elems(const oc__kernels *kt,
                                 const oc__conv_geom *g) {
    first_plan p = plan_of(kt, g);
    return p.out_blocks * p.strip.tap_count * p.strip.tap_elems;
}

static void first_pack(const oc__kernels *kt, oc__pool *pool,
                       const oc__conv_geom *g, const float *w, float *packed) {
    (void)pool;
    first_plan p = plan_of(kt, g);
    size_t taps = p.strip.tap_count, c = p.strip.c;
    for (size_t o = 0; o < p.out_blocks; o += OC_CONV_MAX_BLOCKS) {
        size_t n = OC_MIN((size_t)OC_CONV_MAX_BLOCKS, p.out_blocks - o) * c;
        for (size_t t = 0; t < taps; t++)
            for (size_t k = 0; k < n; k++) {
                size_t out = o * c + k;
                *packed++ = out < (size_t)g->out_c ? w[out * taps + t] : 0.0f;
            }
    }
}

/* Stride 2, the usual one, parts odd and even elements: a transpose. */
static void copy_pairs(const first_plan *p, const oc__conv_geom *g,
                       const float *in, float *out) {
    /* Element x of the row is element x + pad of the padded one, which is
     * column (x + pad) / 2 of phase (x + pad) % 2. */
    int64_t x = 0, cols = (int64_t)p->cols, n = g->in_w;
    if (g->pad_left % 2) {
        int64_t q = g->pad_left / 2;
        if (q < cols && n > 0) out[cols + q] = in[0];
        x = 1;
    }
    int64_t q = (x + g->pad_left) / 2, pairs = (n - x) / 2;
    pairs = OC_MIN(pairs, cols - q);
    if (pairs > 0)
        p->strip.kt->transpose_b4(in + x, 2, out + q, p->cols, (size_t)pairs,
                                  2);
    if (pairs >= 0 && x + 2 * pairs < n && q + pairs < cols)
        out[q + pairs] = in[x + 2 * pairs];
}

/* One row of one channel, split into phases; in is NULL above and below. */
static void copy_row(const first_plan *p, const oc__conv_geom *g,
                     const float *in, float *out) {
    memset(out, 0, p->row_elems * sizeof *out);
    if (!in) return;
    if (p->phases == 1 && g->stride_w == 1) {
        int64_t n = OC_MIN((int64_t)p->cols - g->pad_left, g->in_w);
        if (n > 0) memcpy(out + g->pad_left, in, (size_t)n * sizeof *out);
        return;
    }
    if (p->phases == 2 && g->stride_w == 2) {
        copy_pairs(p, g, in, out);
        return;
    }
    for (size_t i = 0; i < p->phases; i++) {
        int64_t shift = (int64_t)i - g->pad_left;
        int64_t q = shift < 0 ? (-shift + g->stride_w - 1) / g->stride_w : 0;
        float *o = out + i * p->cols;
        int64_t end =
            shift < g->in_w ? (g->in_w - 1 - shift) / g->stride_w + 1 : 0;
        end = OC_MIN(end, (int64_t)p->cols);
        for (; q < end; q++)
            o[q] = in[q * g->stride_w + shift];
    }
}

/* Row y of one image, all channels, to row r of the copy. */
static void copy_channels(const first_plan *p, size_t image, int64_t y,
                          size_t r, float *copy) {
    const oc__conv_f32_args *a = p->strip.args;
    const oc__conv_geom *g = &a->g;
    size_t channels = (size_t)g->in_c, w = (size_t)g->in_w;
    size_t plane = (size_t)(g->in_h * g->in_w), step = plane;
    const float *in = NULL;
    if (y >= 0 && y < g->in_h && a->in_last) {
        float *row = copy + channels * p->copy_rows * p->row_elems;
        in = a->in + (image * plane + (size_t)y * w) * channels;
        p->strip.kt->transpose_b4(in, channels, row, w, w, channels);
        in = row;
        step = w;
    } else if (y >= 0 && y < g->in_h) {
        in = a->in + image * channels * plane + (size_t)y * w;
    }
    for (size_t ch = 0; ch < channels; ch++)
        copy_row(p, g, in ? in + ch * step : NULL,
                 copy + (ch * p->copy_rows + r) * p->row_elems);
}

static void first_task(void *ctx, int task, int worker) {
    const first_plan *p = ctx;
    const oc__strip_plan *s = &p->strip;
    const oc__conv_f32_args *a = s->args;
    const oc__conv_geom *g = &a->g;
    size_t image = (size_t)task / p->bands;
    size_t y0 = (size_t)task % p->bands * p->band_rows;
    size_t rows = OC_MIN(p->band_rows, s->rows - y0);
    float *copy =
        p->scratch + (size_t)worker * (band_bytes(p, g) / sizeof(float));
    /* The last band may be lower, but its channels stay copy_rows apart. */
    size_t need = p->copy_rows - (p->band_rows - rows) * (size_t)g->stride_h;
    for (size_t r = 0; r < need; r++)
        copy_channels(p, image,
                      (int64_t)y0 * g->stride_h - g->pad_top + (int64_t)r, r,
                      copy);
    for (size_t o = 0; o < p->out_blocks; o += OC_CONV_MAX_BLOCKS) {
        size_t n = OC_MIN((size_t)OC_CONV_MAX_BLOCKS, p->out_blocks - o);
        size_t out =
            ((image * p->out_blocks + o) * s->rows + y0) * s->cols * s->c;
        oc__strip_run(s, n, 1, copy,
                      a->packed_w + o * s->tap_count * s->tap_elems,
                      a->out + out, a->bias ? a->bias + o * s->c : NULL,
                      a->residual ? a->residual + out : NULL, 0,
                      rows * oc__strip_tiles(s, n));
    }
}

static void first_run(const oc__kernels *kt, oc__pool *pool,
                      const oc__conv_f32_args *a, void *scratch) {
    const oc__conv_geom *g = &a->g;
    first_plan p = plan_of(kt, g);
    oc__strip_plan *s = &p.strip;
    s->args = a;
    s->w_end = a->packed_w + first_packed_elems(kt, &a->g);
    s->act = oc__act_clamp(a->act, a->act_a, a->act_b, &s->lo, &s->hi);
    plan_taps(&p, g, scratch);
    s->taps = scratch;
    p.scratch = (float *)(void *)((char *)scratch + taps_bytes(&p));
    oc__pool_run(pool, (int)((size_t)g->batch * p.bands), first_task, &p);
}

const oc__conv_way oc__conv_way_first = {
    first_can, first_packed_elems, first_pack, first_scratch_bytes, first_run};
