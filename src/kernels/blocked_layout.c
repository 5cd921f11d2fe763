/*
 * blocked_layout.c - to NCHWc and back, from NCHW and NHWC.
 *
 * Work is shared out in strips of pixels of one block; c rows of a strip and
 * its c columns in the other layout fit L1 together.
 */
#include "kernels/conv_private.h"

#include <string.h>

#define STRIP 256

typedef struct layout_plan {
    const oc__kernels *kt;
    size_t channels, pixels, blocks, strips;
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

static void nhwc_to_blocked(const layout_plan *p, size_t i) {
    layout_item t = item_of(p, i);
    size_t c = (size_t)p->kt->block;
    const float *in =
        p->in + (t.image * p->pixels + t.pixel) * p->channels + t.channel;
    float *out = p->out + t.blocked;
    for (size_t j = 0; j < t.count; j++) {
        memcpy(out, in, t.width * sizeof *out);
        memset(out + t.width, 0, (c - t.width) * sizeof *out);
        in += p->channels;
        out += c;
    }
}

static void blocked_to_nhwc(const layout_plan *p, size_t i) {
    layout_item t = item_of(p, i);
    const float *in = p->in + t.blocked;
    float *out =
        p->out + (t.image * p->pixels + t.pixel) * p->channels + t.channel;
    for (size_t j = 0; j < t.count; j++) {
        memcpy(out, in, t.width * sizeof *out);
        in += (size_t)p->kt->block;
        out += p->channels;
    }
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

static void layout_run(const oc__kernels *kt, oc__pool *pool, int64_t batch,
                       int64_t channels, int64_t pixels, const float *in,
                       float *out, oc__pool_fn task) {
    layout_plan p = {.kt = kt, .in = in, .out = out};
    p.channels = (size_t)channels;
    p.pixels = (size_t)pixels;
    p.blocks = oc__blocks(kt, channels);
    p.strips = OC_CEIL_DIV(p.pixels, STRIP);
    size_t strip = OC_MIN(p.pixels, (size_t)STRIP);
    /* Moving a float from L2 or L3 takes as long as some 8 multiply-adds. */
    oc__share_run(pool, (size_t)batch * p.blocks * p.strips,
                  8.0 * (double)strip * kt->block, task, &p);
}

void oc__block_f32(const struct oc__kernels *kt, oc__pool *pool, int64_t batch,
                   int64_t channels, int64_t pixels, const float *in,
                   float *out) {
    layout_run(kt, pool, batch, channels, pixels, in, out, to_blocked_task);
}

void oc__unblock_f32(const struct oc__kernels *kt, oc__pool *pool,
                     int64_t batch, int64_t channels, int64_t pixels,
                     const float *in, float *out) {
    layout_run(kt, pool, batch, channels, pixels, in, out, from_blocked_task);
}

void oc__block_nhwc_f32(const struct oc__kernels *kt, oc__pool *pool,
                        int64_t batch, int64_t channels, int64_t pixels,
                        const float *in, float *out) {
    layout_run(kt, pool, batch, channels, pixels, in, out,
               nhwc_to_blocked_task);
}

void oc__unblock_nhwc_f32(const struct oc__kernels *kt, oc__pool *pool,
                          int64_t batch, int64_t channels, int64_t pixels,
                          const float *in, float *out) {
    layout_run(kt, pool, batch, channels, pixels, in, out,
               blocked_to_nhwc_task);
}
