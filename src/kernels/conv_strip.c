/*
 * conv_strip.c - the loop over the tiles of a dense convolution, shared by the
 * ways that have them.
 *
 *     for each part of the input blocks       its weights stay in L1
 *         for each tile of the strip          input from L1 or L2
 *             tile                            sums to and from L2
 *
 * The parts depend on the geometry alone, and each output element is summed
 * in the order part, block, tap, channel, whatever tile it falls in: the bits
 * do not depend on how tiles are dealt to threads.
 */
#include "kernels/conv_private.h"

/* Activations the tiles cannot do follow while the strip is in the cache.
 * Its pixels are neighbours in each block. */
static void strip_act(const oc__strip_plan *p, float *out, size_t out_blocks,
                      size_t pixel0, size_t pixel1) {
    for (size_t b = 0; b < out_blocks; b++) {
        float *o = out + b * p->rows * p->cols * p->c + pixel0 * p->c;
        p->kt->act_f32(p->act, o, o, (pixel1 - pixel0) * p->c);
    }
}

void oc__strip_run(const oc__strip_plan *p, size_t out_blocks,
                   size_t last_steps, const float *in, const float *w,
                   float *out, const float *bias, const float *residual,
                   size_t first, size_t last) {
    size_t tiles = oc__strip_tiles(p, p->even ? p->even : out_blocks);
    size_t w_block = p->tap_count * p->tap_elems * out_blocks;
    oc__conv_tile t = {.c = p->c, .out_blocks = out_blocks};
    t.in_block_step = p->in_block_step;
    t.taps = p->taps;
    t.tap_count = p->tap_count;
    t.out_block_step = p->rows * p->cols * p->c;
    t.lo = p->lo;
    t.hi = p->hi;
    size_t steps = p->plain ? 1 : p->words;
    for (size_t b = 0; b < p->in_blocks; b += t.blocks) {
        t.blocks = OC_MIN(p->blocks_a_part, p->in_blocks - b);
        t.first = b == 0;
        t.bias = t.first ? bias : NULL;
        t.last = b + t.blocks == p->in_blocks;
        t.last_steps = t.last ? last_steps : steps;
        t.w = w + b * w_block;
        /* What follows in memory: the next part, or the next pair's first. */
        t.ahead =
            oc__ahead_of(t.w + t.blocks * w_block, p->w_end, t.blocks * w_block,
                         last - first, t.blocks * p->tap_count * steps);
        oc__tile_at at = oc__tile_at_of(p->cols, tiles, first);
        for (size_t i = first; i < last; i++, oc__tile_at_next(&at)) {
            size_t pixel = at.y * p->cols + at.x0;
            t.px = at.x1 - at.x0;
            if (p->panels) {
                t.in_block_step = t.px * p->words;
                t.in = in + (at.x0 - p->col0) * p->in_blocks * p->words +
                       b * t.in_block_step;
            } else {
                t.in = in + b * p->in_block_step +
                       (at.y - p->row0) * p->row_step +
                       (at.x0 - p->col0) * p->px_step;
            }
            t.out = out + pixel * p->c;
            t.residual = residual ? residual + pixel * p->c : NULL;
            if (p->plain)
                p->kernel->plain(&t);
            else
                p->kernel->blocked(&t);
            oc__ahead_next_tile(&t.ahead);
        }
    }
    if (p->act.kind != OC_ACT_NONE && last > first) {
        size_t y1 = (last - 1) / tiles, j1 = (last - 1) % tiles;
        strip_act(p, out, out_blocks,
                  first / tiles * p->cols + p->cols * (first % tiles) / tiles,
                  y1 * p->cols + p->cols * (j1 + 1) / tiles);
    }
}
