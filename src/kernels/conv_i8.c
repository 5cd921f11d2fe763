/*
 * conv_i8.c - dense and grouped convolution; see conv_i8.h.
 *
 * The windows of a few output pixels, one a row, are packed as rows of A and
 * meet the packed weights; sums become codes where the tile ends.
 *
 *     a row: [taps outermost first][channels of the group]
 *
 * A chunk of row panels is packed at a time, small enough for L2, and goes
 * through blocks of columns whose weights stay in L2 beside it.
 */
#include "kernels/conv_i8_private.h"
#include "kernels/share.h"

#include <string.h>

typedef struct conv_plan {
    const oc__kernels *kt;
    const oc__conv_i8_args *a;
    size_t group_in, group_out, terms; /* terms: group_out filled up */
    size_t depth, k_block;
    size_t panel_bytes, chunk; /* of packed A; panels in a chunk */
    size_t n_step;
    /* Tasks of one group: `tasks` parts of the panels, and where these are too
     * few, `shares` of the columns, which pack the same rows. */
    size_t pixels, panels, tasks, shares;
    size_t packed_each;
    oc__gemm_i8_layout layout;
    size_t at_row, at_sums, sums_stride, worker_bytes;
    const uint8_t *end; /* of the input */
    char *workers;
} conv_plan;

/* ---- weights ------------------------------------------------------------- */

static size_t depth_of(const oc__conv_geom *g) {
    return (size_t)(g->in_c / g->group * g->kernel_h * g->kernel_w);
}

static size_t group_bytes(const oc__kernels *kt, const oc__conv_geom *g) {
    size_t each = oc__gemm_i8_packed_bytes(kt, depth_of(g),
                                           (size_t)(g->out_c / g->group));
    return each == SIZE_MAX ? each : oc__align_up(each, OC_ALIGN);
}

size_t oc__conv_i8_packed_bytes(const struct oc__kernels *kt,
                                const oc__conv_geom *g, oc__conv_i8_algo algo) {
    size_t each, all;
    if (algo == OC_CONV_I8_WINOGRAD) return oc__wino_i8_packed_bytes(g);
    if (oc__conv_i8_is_depth(g)) {
        each = (size_t)(g->kernel_h * g->kernel_w) * sizeof(int16_t);
        return oc__size_mul(each, (size_t)g->in_c, &all) ? SIZE_MAX : all;
    }
    each = group_bytes(kt, g);
    return oc__size_mul(each, (size_t)g->group, &all) ? SIZE_MAX : all;
}

size_t oc__conv_i8_term(const oc__conv_geom *g, size_t channel) {
    size_t out = (size_t)(g->out_c / g->group);
    if (oc__conv_i8_is_depth(g)) return channel;
    return channel / out * oc__align_up(out, OC_CODE_COLS) + channel % out;
}

size_t oc__conv_i8_terms(const oc__conv_geom *g) {
    if (g->out_c == 0) return 0;
    size_t last = oc__conv_i8_term(g, (size_t)g->out_c - 1);
    return oc__align_up(last + 1, OC_CODE_COLS);
}

static int weight_at(const void *w, int wide, size_t i) {
    return wide ? ((const int16_t *)w)[i] : ((const int8_t *)w)[i];
}

int32_t oc__conv_i8_bias(const oc__kernels *kt, const oc__conv_geom *g,
                         oc__conv_i8_algo algo, const void *w, int wide,
                         size_t channel, int32_t bias, int in_zero,
                         int in_signed) {
    size_t depth = depth_of(g);
    uint32_t sum = 0;
    for (size_t i = 0; i < depth; i++)
        sum += (uint32_t)weight_at(w, wide, channel * depth + i);
    /* Products see u8, or s8 where the kernel wants that; depthwise sums x
     * itself. */
    int as_signed = algo == OC_CONV_I8_PLAIN && kt->gemm_i8->a_signed;
    if (!oc__conv_i8_is_depth(g) && !in_signed != !as_signed)
        in_zero += in_signed ? 128 : -128;
    return (int32_t)((uint32_t)bias - (uint32_t)in_zero * sum);
}

/* Depthwise: s16 [kernel_w][kernel_h][channel], taps column by column as
 * conv_i8_windows.c lists them. */
static void pack_depth(const oc__conv_geom *g, const void *w, int wide,
                       int16_t *to) {
    size_t kh = (size_t)g->kernel_h, kw = (size_t)g->kernel_w;
    size_t channels = (size_t)g->in_c;
    for (size_t x = 0; x < kw; x++)
        for (size_t y = 0; y < kh; y++)
            for (size_t c = 0; c < channels; c++)
                *to++ = (int16_t)weight_at(w, wide, (c * kh + y) * kw + x);
}

/* Packed B of gemm_i8.h, channels innermost along k.  The sums of its columns
 * stay 0: nobody reads them. */
static void pack_group(const oc__kernels *kt, const oc__conv_geom *g,
                       const int8_t *w, char *to) {
    size_t nr = kt->gemm_i8->nr, taps = (size_t)(g->kernel_h * g->kernel_w);
    size_t in = (size_t)(g->in_c / g->group), depth = depth_of(g);
    size_t out = (size_t)(g->out_c / g->group);
    oc__gemm_i8_layout l = oc__gemm_i8_layout_of(kt->gemm_i8, depth, out);
    memset(to, 0, group_bytes(kt, g));
    for (size_t o = 0; o < out; o++, w += depth) {
        int8_t *p =
            (int8_t *)to + l.panels + o / nr * l.panel_step + o % nr * 4;
        for (size_t i = 0; i < depth; i++)
            p[i / 4 * nr * 4 + i % 4] = w[i % in * taps + i / in];
    }
    oc__gemm_i8_order(kt->gemm_i8, depth, out, to);
}

void oc__conv_i8_pack(const struct oc__kernels *kt, const oc__conv_geom *g,
                      oc__conv_i8_algo algo, const void *w, int wide,
                      void *packed) {
    if (algo == OC_CONV_I8_WINOGRAD) {
        oc__wino_i8_pack(g, w, packed);
        return;
    }
    if (oc__conv_i8_is_depth(g)) {
        pack_depth(g, w, wide, packed);
        return;
    }
    size_t each = group_bytes(kt, g);
    size_t from = (size_t)(g->out_c / g->group) * depth_of(g);
    for (size_t i = 0; i < (size_t)g->group; i++)
        pack_group(kt, g, (const int8_t *)w + i * from,
                   (char *)packed + i * each);
}

/* ---- windows ------------------------------------------------------------- */

/* Where an output pixel stands. */
typedef struct place {
    int64_t n, y, x;
} place;

static place place_of(const oc__conv_geom *g, size_t pixel) {
    int64_t p = (int64_t)pixel, w = g->out_w, h = g->out_h;
    return (place){p / w / h, p / w % h, p % w};
}

static void next_place(const oc__conv_geom *g, place *p) {
    if (++p->x < g->out_w) return;
    p->x = 0;
    if (++p->y < g->out_h) return;
    p->y = 0;
    p->n++;
}

/* Kernel rows whose place in the picture is kept. */
#define LINES_MOST 8

/* A row that is being packed: steps k0 .. k0 + steps of a window. */
typedef struct packer {
    const conv_plan *p;
    void (*pack)(const uint8_t *from, size_t n, size_t reach, int flip,
                 uint8_t *row, size_t at);
    const uint8_t *outside; /* a row of taps */
    int flip;
    size_t k0, steps;
    uint8_t *row;
    size_t at; /* the step that comes next, of all */
    /* Rows of the picture that the windows at `y` of image `n` see, at column
     * 0; NULL: outside. */
    int64_t n, y;
    const uint8_t *lines[LINES_MOST];
    int inside; /* none of them is */
    int runs;   /* a row of taps is a run of bytes, and all of k is packed */
} packer;

static inline void put(packer *k, const uint8_t *from, size_t n, size_t reach) {
    size_t at = k->at, skip = at < k->k0 ? k->k0 - at : 0;
    size_t end = k->k0 + k->steps;
    k->at += n;
    if (!skip && at + n <= end) {
        k->pack(from, n, reach, k->flip, k->row, at - k->k0);
        return;
    }
    if (skip >= n || at >= end) return;
    k->pack(from + skip, OC_MIN(n, end - at) - skip, reach - skip, k->flip,
            k->row, at + skip - k->k0);
}

static void put_inside(packer *k, const uint8_t *from, size_t n) {
    put(k, from, n, (size_t)(k->p->end - from));
}

static void put_outside(packer *k, int64_t taps) {
    size_t n = (size_t)taps * k->p->group_in;
    put(k, k->outside, n, n + OC_GEMM_I8_REACH);
}

/* One row of taps at row `line` of the picture, from column x on. */
static void put_taps(packer *k, const uint8_t *line, int64_t x) {
    const oc__conv_geom *g = &k->p->a->g;
    size_t c = (size_t)g->in_c;
    if (g->dilation_w > 1 || g->group > 1) {
        for (int64_t t = 0; t < g->kernel_w; t++, x += g->dilation_w)
            if (x < 0 || x >= g->in_w)
                put_outside(k, 1);
            else
                put_inside(k, line + (size_t)x * c, k->p->group_in);
        return;
    }
    if (x >= 0 && x + g->kernel_w <= g->in_w) {
        put_inside(k, line + (size_t)x * c, (size_t)g->kernel_w * c);
        return;
    }
    int64_t left = OC_MIN(OC_MAX(-x, 0), g->kernel_w);
    int64_t right =
        OC_MIN(OC_MAX(x + g->kernel_w - g->in_w, 0), g->kernel_w - left);
    int64_t inside = g->kernel_w - left - right;
    if (left) put_outside(k, left);
    if (inside)
        put_inside(k, line + (size_t)(x + left) * c, (size_t)inside * c);
    if (right) put_outside(k, right);
}

/* Row t of the windows at `at`, its group's first channel; NULL: outside. */
static const uint8_t *line_at(const packer *k, place at, size_t group,
                              int64_t t) {
    const oc__conv_geom *g = &k->p->a->g;
    int64_t y = at.y * g->stride_h - g->pad_top + t * g->dilation_h;
    if (y < 0 || y >= g->in_h) return NULL;
    size_t line = (size_t)(at.n * g->in_h + y);
    return k->p->a->in + line * (size_t)(g->in_w * g->in_c) +
           group * k->p->group_in;
}

/* The window at column x of `lines`, all of it in the picture. */
static void put_runs(const packer *k, int64_t x) {
    const oc__conv_geom *g = &k->p->a->g;
    size_t from = (size_t)(x * g->in_c), n = (size_t)(g->kernel_w * g->in_c);
    for (size_t t = 0; t < (size_t)g->kernel_h; t++) {
        const uint8_t *run = k->lines[t] + from;
        k->pack(run, n, (size_t)(k->p->end - run), k->flip, k->row, t * n);
    }
}

static void put_window(packer *k, place at, size_t group) {
    const oc__conv_geom *g = &k->p->a->g;
    int64_t x = at.x * g->stride_w - g->pad_left, rows = g->kernel_h;
    int kept = rows <= LINES_MOST;
    if (kept && (k->n != at.n || k->y != at.y)) {
        k->inside = 1;
        for (int64_t t = 0; t < rows; t++) {
            k->lines[t] = line_at(k, at, group, t);
            k->inside &= k->lines[t] != NULL;
        }
        k->n = at.n;
        k->y = at.y;
    }
    if (kept && k->runs && k->inside && x >= 0 && x + g->kernel_w <= g->in_w) {
        put_runs(k, x);
        return;
    }
    k->at = 0;
    for (int64_t t = 0; t < rows; t++) {
        const uint8_t *line = kept ? k->lines[t] : line_at(k, at, group, t);
        if (line)
            put_taps(k, line, x);
        else
            put_outside(k, g->kernel_w);
    }
}

/* ---- the product --------------------------------------------------------- */

static size_t panel_row(const conv_plan *p, size_t panel) {
    return p->pixels * panel / p->panels;
}

/* Row `row` of a 1x1 convolution of stride 1 without padding. */
static void put_point(packer *k, size_t row, size_t group) {
    const conv_plan *p = k->p;
    const uint8_t *from =
        p->a->in + row * (size_t)p->a->g.in_c + group * p->group_in + k->k0;
    k->pack(from, k->steps, (size_t)(p->end - from), k->flip, k->row, 0);
}

static int is_point(const oc__conv_geom *g) {
    return g->kernel_h == 1 && g->kernel_w == 1 && g->stride_h == 1 &&
           g->stride_w == 1 && g->in_h == g->out_h && g->in_w == g->out_w &&
           g->pad_top == 0 && g->pad_left == 0;
}

/* Packs steps k0 .. k0 + steps of panels i0 .. i1. */
static void pack_chunk(const conv_plan *p, size_t group, size_t i0, size_t i1,
                       size_t k0, size_t steps, char *mine) {
    packer k = {.p = p, .k0 = k0, .steps = steps, .n = -1};
    k.pack = p->kt->gemm_i8->pack;
    k.outside = (const uint8_t *)mine + p->at_row;
    k.flip = !p->a->in_signed == !p->kt->gemm_i8->a_signed ? 0 : 0x80;
    const oc__conv_geom *g = &p->a->g;
    k.runs = g->dilation_w == 1 && g->group == 1 && steps == p->depth;
    int point = is_point(g);
    place at = place_of(g, panel_row(p, i0));
    for (size_t i = i0; i < i1; i++) {
        size_t row = panel_row(p, i), rows = panel_row(p, i + 1) - row;
        k.row = (uint8_t *)mine + (i - i0) * p->panel_bytes;
        for (size_t r = 0; r < rows; r++, k.row += OC_GEMM_I8_STEPS) {
            if (point) {
                put_point(&k, row + r, group);
                continue;
            }
            put_window(&k, at, group);
            next_place(g, &at);
        }
    }
}

void oc__conv_i8_finish(const oc__kernels *kt, const oc__conv_i8_args *a,
                        size_t at, size_t n) {
    float *y = a->out_f32 + at;
    oc__act_args act = {(oc__act)a->act, a->act_a, a->act_b};
    if (a->residual)
        kt->add_act_f32(act, y, a->residual + at, y, n);
    else if (act.kind != OC_ACT_NONE)
        kt->act_f32(act, y, y, n);
}

/* Columns of a group. */
typedef struct columns {
    size_t group, begin, end;
} columns;

/* The same for rows of some columns. */
static void finish_rows(const conv_plan *p, columns c, size_t row, size_t end) {
    const oc__conv_i8_args *a = p->a;
    size_t out_c = (size_t)a->g.out_c, n = c.end - c.begin;
    if (n == out_c) {
        oc__conv_i8_finish(p->kt, a, row * out_c, (end - row) * out_c);
        return;
    }
    for (; row < end; row++)
        oc__conv_i8_finish(p->kt, a,
                           row * out_c + c.group * p->group_out + c.begin, n);
}

/* Panels i0 .. i1 of some columns. */
static void run_chunk(const conv_plan *p, columns c, size_t i0, size_t i1,
                      char *mine) {
    const size_t group = c.group;
    const oc__conv_i8_args *a = p->a;
    const oc__gemm_i8_kernel *kernel = p->kt->gemm_i8;
    const char *packed = (const char *)a->packed + group * p->packed_each;
    size_t row0 = panel_row(p, i0), out_c = (size_t)a->g.out_c;
    oc__gemm_i8_tile t = {.c_row_stride = p->sums_stride};
    t.codes.zero = a->zero;
    t.codes.is_signed = a->out_signed;
    t.codes.row_stride = out_c;
    for (size_t k0 = 0; k0 < p->depth; k0 += p->k_block) {
        size_t steps = OC_MIN(p->k_block, p->depth - k0);
        t.k = oc__align_up(steps, 4);
        t.first = k0 == 0;
        t.last = k0 + steps == p->depth;
        pack_chunk(p, group, i0, i1, k0, steps, mine);
        for (size_t j = c.begin; j < c.end; j += p->n_step) {
            t.cols = OC_MIN(p->n_step, c.end - j);
            oc__gemm_i8_seek(kernel, &p->layout, packed, p->depth, k0, j, &t);
            t.codes.bias = a->bias + group * p->terms + j;
            t.codes.scale = a->scale + group * p->terms + j;
            if (a->out_f32) t.codes.shift = a->shift + group * p->terms + j;
            for (size_t i = i0; i < i1; i++) {
                size_t row = panel_row(p, i);
                t.rows = panel_row(p, i + 1) - row;
                t.a = (const uint8_t *)mine + (i - i0) * p->panel_bytes;
                size_t at = row * out_c + group * p->group_out + j;
                if (a->out_f32)
                    t.codes.f = a->out_f32 + at;
                else
                    t.codes.y = a->out + at;
                if (!t.first || !t.last)
                    t.c = (int32_t *)(void *)(mine + p->at_sums) +
                          (row - row0) * p->sums_stride + j;
                kernel->tile(&t);
            }
        }
    }
    if (a->out_f32) finish_rows(p, c, row0, panel_row(p, i1));
}

static void conv_task(void *ctx, int task, int worker) {
    const conv_plan *p = ctx;
    size_t share = (size_t)task % p->shares, rest = (size_t)task / p->shares;
    size_t part = rest % p->tasks, nr = p->kt->gemm_i8->nr;
    size_t i = p->panels * part / p->tasks;
    size_t end = p->panels * (part + 1) / p->tasks;
    size_t units = OC_CEIL_DIV(p->group_out, nr);
    columns c = {rest / p->tasks, units * share / p->shares * nr,
                 units * (share + 1) / p->shares * nr};
    c.end = OC_MIN(c.end, p->group_out);
    char *mine = p->workers + (size_t)worker * p->worker_bytes;
    memset(mine + p->at_row, p->a->pad, p->at_sums - p->at_row);
    for (; i < end; i += p->chunk)
        run_chunk(p, c, i, OC_MIN(i + p->chunk, end), mine);
}

/* All but what a run adds. */
static void make_plan(conv_plan *p, const oc__kernels *kt,
                      const oc__conv_geom *g) {
    const oc__gemm_i8_kernel *kernel = kt->gemm_i8;
    memset(p, 0, sizeof(*p));
    p->kt = kt;
    p->group_in = (size_t)(g->in_c / g->group);
    p->group_out = (size_t)(g->out_c / g->group);
    p->terms = oc__align_up(p->group_out, OC_CODE_COLS);
    p->depth = depth_of(g);
    p->k_block = oc__gemm_i8_k_block(p->depth);
    p->panel_bytes = kernel->mr * oc__align_up(p->k_block, OC_GEMM_I8_STEPS);
    /* Packed rows of a chunk, and weights of a block of columns: half of L2. */
    size_t share = kt->l2_bytes / 4;
    p->chunk = OC_MAX(share / p->panel_bytes, 1);
    size_t unit = kernel->nr * kernel->thin_panels;
    p->n_step = OC_MAX(share / p->k_block / unit, 1) * unit;
    p->pixels = (size_t)(g->batch * g->out_h * g->out_w);
    p->panels = OC_CEIL_DIV(p->pixels, kernel->mr);
    p->packed_each = group_bytes(kt, g);
    p->layout = oc__gemm_i8_layout_of(kernel, p->depth, p->group_out);
    p->at_row = oc__align_up(p->chunk * p->panel_bytes, OC_ALIGN);
    size_t outside = p->group_in * (size_t)g->kernel_w + OC_GEMM_I8_REACH;
    p->at_sums = p->at_row + oc__align_up(outside, OC_ALIGN);
    p->sums_stride = oc__align_up(p->group_out, kernel->nr);
    size_t sums = p->depth > p->k_block
                      ? p->chunk * kernel->mr * p->sums_stride * sizeof(int32_t)
                      : 0;
    p->worker_bytes = p->at_sums + oc__align_up(sums, OC_ALIGN);
}

size_t oc__conv_i8_scratch_bytes(const struct oc__kernels *kt,
                                 const oc__conv_geom *g, oc__conv_i8_algo algo,
                                 int threads) {
    conv_plan p;
    if (algo == OC_CONV_I8_WINOGRAD)
        return oc__wino_i8_scratch_bytes(kt, g, threads);
    if (oc__conv_i8_is_depth(g)) return oc__depth_i8_scratch_bytes(g, threads);
    make_plan(&p, kt, g);
    return p.worker_bytes * (size_t)threads;
}

void oc__conv_i8(const struct oc__kernels *kt, oc__pool *pool,
                 const oc__conv_i8_args *args, void *scratch) {
    conv_plan p;
    if (args->algo == OC_CONV_I8_WINOGRAD) {
        oc__wino_i8(kt, pool, args, scratch);
        return;
    }
    if (oc__conv_i8_is_depth(&args->g)) {
        oc__depth_i8(kt, pool, args, scratch);
        return;
    }
    make_plan(&p, kt, &args->g);
    if (!p.pixels || !p.group_out) return;
    p.a = args;
    p.end = args->in + (size_t)(args->g.batch * args->g.in_h * args->g.in_w *
                                args->g.in_c);
    p.workers = scratch;
    /* 30 multiply-adds a cycle; runs of a window take 10 to pack. */
    double work = OC_SHARE_CYCLE * (double)p.pixels *
                  ((double)p.depth * (double)args->g.out_c / 30 +
                   10.0 * (double)(args->g.group * args->g.kernel_h));
    size_t groups = (size_t)args->g.group;
    size_t tasks =
        OC_CEIL_DIV(oc__share_tasks(oc__pool_threads(pool), work), groups);
    p.tasks = OC_MIN(tasks, p.panels);
    p.shares = OC_MIN(OC_CEIL_DIV(tasks, p.tasks),
                      OC_CEIL_DIV(p.group_out, kt->gemm_i8->nr));
    oc__pool_run(pool, (int)(groups * p.tasks * p.shares), conv_task, &p);
}
