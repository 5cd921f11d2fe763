/*
 * blocked_layout.c - to NCHWc and back, from NCHW and NHWC.
 *
 * Work is shared out in strips of pixels of one block, where c rows of a strip
 * and its c columns in the other layout fit L1 together, or, where a pixel's
 * channels lie together, in pixels with all of them.
 */
#include "kernels/conv_private.h"

#include <string.h>

#define STRIP 256
/* Bytes of pixels with all their channels, half of L1. */
#define NEAR_BYTES 16384

typedef struct layout_plan {
    const oc__kernels *kt;
    size_t channels, pixels, blocks, strips;
    size_t near; /* pixels of an item with all channels */
    const float *in;
    float *out;
} layout_plan;

/* One strip: where it is. */
typedef struct layout_item {
    size_t image, channel; /* the first of the block */
    size_t pixel, count;   /* pixels */
    size_t width;          /* real channels in the block */
    size_t plain, blocked; /* offsets of its first element */
} layout_item;

static layout_item item_of(const layout_plan *p, size_t i) {
    layout_item t;
    size_t c = (size_t)p->kt->block, strip = i % p->strips;
    i /= p->strips;
    size_t block = i % p->blocks;
    t.image = i / p->blocks;
    t.channel = block * c;
    t.width = OC_MIN(c, p->channels - t.channel);
    t.pixel = strip * STRIP;
    t.count = OC_MIN((size_t)STRIP, p->pixels - t.pixel);
    t.plain = (t.image * p->channels + t.channel) * p->pixels + t.pixel;
    t.blocked = (i * p->pixels + t.pixel) * c;
    return t;
}

static void to_blocked(const layout_plan *p, size_t i) {
    layout_item t = item_of(p, i);
    p->kt->interleave_f32(p->in + t.plain, p->pixels, t.width,
                          p->out + t.blocked, (size_t)p->kt->block, t.count);
}

static void from_blocked(const layout_plan *p, size_t i) {
    layout_item t = item_of(p, i);
    p->kt->transpose_b4(p->in + t.blocked, (size_t)p->kt->block,
                        p->out + t.plain, p->pixels, t.count, t.width);
}

/* Some pixels with all their channels, which lie in L1 while block after block
 * is taken from them or put to them. */
typedef struct pixel_item {
    size_t count, last; /* pixels; real channels of the last block */
    size_t plain, blocked;
} pixel_item;

static pixel_item pixels_of(const layout_plan *p, size_t i) {
    pixel_item t;
    size_t c = (size_t)p->kt->block, image = i / p->strips;
    size_t pixel = i % p->strips * p->near;
    t.count = OC_MIN(p->near, p->pixels - pixel);
    t.last = p->channels - (p->blocks - 1) * c;
    t.plain = (image * p->pixels + pixel) * p->channels;
    t.blocked = (image * p->blocks * p->pixels + pixel) * c;
    return t;
}

/* n pixels of a block; whole blocks are of a size the compiler knows. */
static void gather_block(const float *in, size_t channels, size_t width,
                         float *out, size_t c, size_t n) {
    for (size_t j = 0; j < n; j++, in += channels, out += c) {
        if (width == 8 && c == 8) {
            memcpy(out, in, 8 * sizeof *out);
        } else {
            memcpy(out, in, width * sizeof *out);
            memset(out + width, 0, (c - width) * sizeof *out);
        }
    }
}

static void scatter_block(const float *in, size_t c, float *out,
                          size_t channels, size_t width, size_t n) {
    for (size_t j = 0; j < n; j++, in += c, out += channels) {
        if (width == 8)
            memcpy(out, in, 8 * sizeof *out);
        else
            memcpy(out, in, width * sizeof *out);
    }
}

static void nhwc_to_blocked(const layout_plan *p, size_t i) {
    pixel_item t = pixels_of(p, i);
    size_t c = (size_t)p->kt->block;
    for (size_t b = 0; b < p->blocks; b++)
        gather_block(p->in + t.plain + b * c, p->channels,
                     b + 1 < p->blocks ? c : t.last,
                     p->out + t.blocked + b * p->pixels * c, c, t.count);
}

static void blocked_to_nhwc(const layout_plan *p, size_t i) {
    pixel_item t = pixels_of(p, i);
    size_t c = (size_t)p->kt->block;
    for (size_t b = 0; b < p->blocks; b++)
        scatter_block(p->in + t.blocked + b * p->pixels * c, c,
                      p->out + t.plain + b * c, p->channels,
                      b + 1 < p->blocks ? c : t.last, t.count);
}

#define LAYOUT_TASK(name)                                                      \
    static void name##_task(void *ctx, int task, int worker) {                 \
        const oc__share *s = ctx;                                              \
        (void)worker;                                                          \
        size_t end = oc__share_end(s, (size_t)task);                           \
        for (size_t i = oc__share_begin(s, (size_t)task); i < end; i++)        \
            name(s->ctx, i);                                                   \
    }
LAYOUT_TASK(to_blocked)
LAYOUT_TASK(from_blocked)
LAYOUT_TASK(nhwc_to_blocked)
LAYOUT_TASK(blocked_to_nhwc)

static layout_plan plan_of(const oc__kernels *kt, int64_t channels,
                           int64_t pixels, const float *in, float *out) {
    layout_plan p = {.kt = kt, .in = in, .out = out};
    p.channels = (size_t)channels;
    p.pixels = (size_t)pixels;
    p.blocks = oc__blocks(kt, channels);
    return p;
}

/* Moving a float from L2 or L3 takes as long as some 8 multiply-adds. */
#define MOVE_COST 8.0

static void planes_run(const oc__kernels *kt, oc__pool *pool, int64_t batch,
                       int64_t channels, int64_t pixels, const float *in,
                       float *out, oc__pool_fn task) {
    layout_plan p = plan_of(kt, channels, pixels, in, out);
    p.strips = OC_CEIL_DIV(p.pixels, STRIP);
    size_t strip = OC_MIN(p.pixels, (size_t)STRIP);
    oc__share_run(pool, (size_t)batch * p.blocks * p.strips,
                  MOVE_COST * (double)strip * kt->block, task, &p);
}

static void pixels_run(const oc__kernels *kt, oc__pool *pool, int64_t batch,
                       int64_t channels, int64_t pixels, const float *in,
                       float *out, oc__pool_fn task) {
    layout_plan p = plan_of(kt, channels, pixels, in, out);
    p.near = OC_MAX(NEAR_BYTES / sizeof(float) / p.channels, (size_t)1);
    p.near = OC_MIN(p.near, p.pixels);
    p.strips = OC_CEIL_DIV(p.pixels, p.near);
    oc__share_run(pool, (size_t)batch * p.strips,
                  MOVE_COST * (double)(p.near * p.channels), task, &p);
}

void oc__block_f32(const struct oc__kernels *kt, oc__pool *pool, int64_t batch,
                   int64_t channels, int64_t pixels, const float *in,
                   float *out) {
    planes_run(kt, pool, batch, channels, pixels, in, out, to_blocked_task);
}

void oc__unblock_f32(const struct oc__kernels *kt, oc__pool *pool,
                     int64_t batch, int64_t channels, int64_t pixels,
                     const float *in, float *out) {
    planes_run(kt, pool, batch, channels, pixels, in, out, from_blocked_task);
}

void oc__block_nhwc_f32(const struct oc__kernels *kt, oc__pool *pool,
                        int64_t batch, int64_t channels, int64_t pixels,
                        const float *in, float *out) {
    pixels_run(kt, pool, batch, channels, pixels, in, out,
               nhwc_to_blocked_task);
}

void oc__unblock_nhwc_f32(const struct oc__kernels *kt, oc__pool *pool,
                          int64_t batch, int64_t channels, int64_t pixels,
                          const float *in, float *out) {
    pixels_run(kt, pool, batch, channels, pixels, in, out,
               blocked_to_nhwc_task);
}
