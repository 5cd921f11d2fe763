/*
 * grad_conv.c - what convolutions need to be differentiated, in the domain
 * "ocelli":
 *
 *   ConvFlip w                  -> the weight of the convolution that takes
 *                                  gradients back where strides are 1: turned
 *                                  around in space, its channels exchanged
 *   ConvGradWeights g, x, w     -> gradient of Conv's weight w
 *   ConvTransposeGradWeights g, x, w
 *
 * Both gradients are one sum: with the large picture b, of which windows are
 * taken, and the small one a, which has an element for each window,
 *
 *     dw (row, channel, tap) = sum over batch and o of
 *                              a[row][o] * b[channel][o's tap]
 *
 * which, for each group, is a product (rows, o) x (o, channels * taps).  It
 * is cut into blocks of dw; each worker goes through all of o for its block,
 * in order, so that the sum does not depend on how many there are.  Groups of
 * few rows (depthwise above all) and f64 take dot products instead.
 */
#include "ops/moves.h"
#include "ops/nn.h"
#include "ops/window.h"

#include <string.h>

enum { OF_CONV, OF_TRANSPOSE };

/* Windows in one product: k is not cut, so that partial sums stay in C, and
 * a block of taps stays in the second-level cache. */
#define TILE 256
/* Blocks of dw are at most so large, and halved down to the least size while
 * there are fewer than two for each thread.  How dw is cut changes no bit. */
#define BLOCK_MAX 256
#define BLOCK_MIN 64

typedef struct weights_job {
    const oc__kernels *kt;
    oc__window w;
    int64_t batch, group;
    int64_t rows;     /* channels of a in a group */
    int64_t channels; /* channels of b in a group */
    int64_t depth;    /* channels times taps */
    oc_dtype dtype, real;
    const void *a, *b;
    void *y;
    int direct;
    int plain; /* a window is one element, each taken once: a 1x1 Conv */
    /* Of the products. */
    int64_t row_block, col_block, row_blocks, col_blocks;
    size_t gemm_bytes;
    float *packed, *lines;
    char *gemm;
} weights_job;

#define REAL             float
#define FN(name)         name##_f32
#define DOT(kt, a, b, n) (double)(kt)->dot_f32(a, b, n)
#include "ops/grad_conv.inc"
#undef REAL
#undef FN
#undef DOT

static double dot_f64(const double *a, const double *b, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

#define REAL             double
#define FN(name)         name##_f64
#define DOT(kt, a, b, n) ((void)(kt), dot_f64(a, b, n))
#include "ops/grad_conv.inc"
#undef REAL
#undef FN
#undef DOT

/* ---- reading --------------------------------------------------------------
 */

static oc_status read_window(const oc__ctx *c, weights_job *j) {
    const oc_tensor *x = oc__in(c, 1), *w = oc__in(c, 2);
    OC_TRY(oc__window_read(c, x->rank - 2, x->dims + 2, w->dims + 2, &j->w));
    if (c->op->kind == OF_CONV) return oc__window_fit(c, 0, &j->w);
    OC_TRY(oc__window_fit_transposed(c, &j->w));
    /* Windows are taken of the output. */
    memcpy(j->w.in, j->w.out, sizeof(j->w.in));
    memcpy(j->w.out, x->dims + 2, sizeof(int64_t) * (size_t)j->w.rank);
    return OC_OK;
}

static oc_status read_weights(const oc__ctx *c, weights_job *j) {
    memset(j, 0, sizeof(*j));
    OC_TRY(oc__want(c, 0, OC_T_F));
    OC_TRY(oc__want_rank(c, 0, 3, OC_MAX_RANK));
    const oc_tensor *g = oc__in(c, 0), *x = oc__in(c, 1), *w = oc__in(c, 2);
    for (int i = 1; i < 3; i++) {
        OC_TRY(oc__want(c, i, 1u << g->dtype));
        OC_TRY(oc__want_rank(c, i, g->rank, g->rank));
    }
    OC_TRY(read_window(c, j));
    const oc_tensor *a = c->op->kind == OF_CONV ? g : x;
    const oc_tensor *b = c->op->kind == OF_CONV ? x : g;
    int fits = a->dims[0] == b->dims[0];
    for (int d = 0; d < j->w.rank; d++)
        fits &= a->dims[d + 2] == j->w.out[d] && b->dims[d + 2] == j->w.in[d];
    j->group = oc__attr_int(c->node, "group", 1);
    fits &= j->group >= 1 && w->dims[0] == a->dims[1] &&
            w->dims[0] % OC_MAX(j->group, 1) == 0 &&
            b->dims[1] % OC_MAX(j->group, 1) == 0 &&
            b->dims[1] / OC_MAX(j->group, 1) == w->dims[1];
    if (!fits)
        return oc__op_fail(c, OC_E_SHAPE,
                           "g, x and the weight do not fit to one another");
    j->kt = c->kernels;
    j->batch = a->dims[0];
    j->rows = w->dims[0] / j->group;
    j->channels = w->dims[1];
    j->dtype = g->dtype;
    j->real = oc__real_of(g->dtype);
    return oc__window_depth(c, &j->w, j->channels, &j->depth);
}

/* ---- products -------------------------------------------------------------
 */

static void choose_blocks(weights_job *j, int64_t threads) {
    j->row_block = j->col_block = BLOCK_MAX;
    for (;;) {
        j->row_blocks = OC_CEIL_DIV(j->rows, j->row_block);
        j->col_blocks = OC_CEIL_DIV(j->depth, j->col_block);
        if (j->group * j->row_blocks * j->col_blocks >= 2 * threads) return;
        if (j->col_block > BLOCK_MIN)
            j->col_block /= 2;
        else if (j->row_block > BLOCK_MIN)
            j->row_block /= 2;
        else
            return;
    }
}

static int is_plain(const oc__window *w) {
    for (int d = 0; d < w->rank; d++)
        if (w->kernel[d] != 1 || w->stride[d] != 1 || w->pad_lo[d] ||
            w->out[d] != w->in[d])
            return 0;
    return 1;
}

static void layout(oc__ctx *c, oc__bump *b, weights_job *j) {
    int g_is_a = c->op->kind == OF_CONV;
    const void *g = oc__real_in(c, b, 0, j->real);
    const void *x = oc__real_in(c, b, 1, j->real);
    j->a = g_is_a ? g : x;
    j->b = g_is_a ? x : g;
    j->y =
        oc__real_out(c, b, 0, j->dtype, oc_tensor_elems(oc__in(c, 2)), j->real);
    j->direct = j->rows < 3 || j->real == OC_DTYPE_F64;
    if (j->direct) return;
    j->plain = is_plain(&j->w);
    int64_t threads = OC_MAX(c->threads, 1);
    choose_blocks(j, threads);
    j->gemm_bytes = oc__align_up(
        oc__lin_f32_scratch(j->kt, j->row_block, j->col_block, TILE, 1),
        OC_ALIGN);
    size_t panels = oc__lin_f32_packed(j->kt, TILE, j->col_block);
    size_t nr = oc__lin_f32_packed(j->kt, 1, 1);
    j->packed = oc__bump_take(b, threads, panels * sizeof(float));
    j->lines = oc__bump_take(b, threads, nr * TILE * sizeof(float));
    j->gemm = oc__bump_take(b, threads, j->gemm_bytes);
}

/* What tap number t of channel `plane` sees in windows o0 .. o0 + n - 1. */
static void take_line(const oc__window *w, const float *plane, int64_t t,
                      int64_t o0, int64_t n, float *out) {
    int last = w->rank - 1;
    int64_t tap[OC_MAX_RANK], o[OC_MAX_RANK], width = w->in[last];
    oc__unravel(t, w->kernel, w->rank, tap);
    oc__unravel(o0, w->out, w->rank, o);
    while (n > 0) {
        int64_t row = 0, run = OC_MIN(n, w->out[last] - o[last]);
        int64_t step = w->stride[last], j = 0;
        int64_t x =
            o[last] * step - w->pad_lo[last] + tap[last] * w->dilation[last];
        int inside = 1;
        for (int d = 0; d < last; d++) {
            int64_t y =
                o[d] * w->stride[d] - w->pad_lo[d] + tap[d] * w->dilation[d];
            inside &= y >= 0 && y < w->in[d];
            row = row * w->in[d] + y;
        }
        const float *in = plane + row * width;
        for (; j < run && inside && x < 0; j++, x += step)
            out[j] = 0;
        for (; j < run && inside && x < width; j++, x += step)
            out[j] = in[x];
        for (; j < run; j++)
            out[j] = 0;
        out += run;
        n -= run;
        o[last] += run - 1;
        oc__odometer(o, w->out, w->rank);
    }
}

/* Windows o0 .. o0 + n - 1 as the right side of a product: panels of nr taps
 * of one window a row.  b points at the group's first channel. */
static void pack_taps(const weights_job *j, const float *b, int64_t first,
                      int64_t cols, int64_t o0, int64_t n, float *lines,
                      float *packed) {
    int64_t nr = (int64_t)oc__lin_f32_packed(j->kt, 1, 1);
    int64_t taps = oc__window_taps(&j->w, j->w.rank);
    int64_t plane = oc__count(j->w.in, j->w.rank);
    if (j->plain) {
        oc__lin l = {j->kt, NULL, NULL};
        oc__lin_f32_pack(&l, n, cols, b + first * plane + o0, 1, plane, packed);
        return;
    }
    for (int64_t p = 0; p < cols; p += nr, packed += nr * n) {
        for (int64_t k = 0; k < nr; k++) {
            int64_t column = first + p + k;
            if (p + k < cols)
                take_line(&j->w, b + column / taps * plane, column % taps, o0,
                          n, lines + k * n);
            else
                memset(lines + k * n, 0, (size_t)n * sizeof(*lines));
        }
        j->kt->transpose_b4(lines, (size_t)n, packed, (size_t)nr, (size_t)nr,
                            (size_t)n);
    }
}

/* One block of dw. */
static void block_range(void *user, int64_t begin, int64_t end, int worker) {
    const weights_job *j = user;
    int64_t windows = oc__count(j->w.out, j->w.rank);
    int64_t plane = oc__count(j->w.in, j->w.rank);
    size_t nr = oc__lin_f32_packed(j->kt, 1, 1);
    float *packed = j->packed + (size_t)worker * oc__lin_f32_packed(
                                                     j->kt, TILE, j->col_block);
    float *lines = j->lines + (size_t)worker * nr * TILE;
    char *scratch = j->gemm + (size_t)worker * j->gemm_bytes;
    for (int64_t i = begin; i < end; i++) {
        int64_t col = i % j->col_blocks * j->col_block;
        int64_t row = i / j->col_blocks % j->row_blocks * j->row_block;
        int64_t group = i / j->col_blocks / j->row_blocks, started = 0;
        int64_t cols = OC_MIN(j->col_block, j->depth - col);
        int64_t rows = OC_MIN(j->row_block, j->rows - row);
        oc__gemm_f32_args args = {.alpha = 1};
        args.m = (size_t)rows;
        args.n = (size_t)cols;
        args.a_row_stride = (size_t)windows;
        args.a_col_stride = 1;
        args.packed_b = packed;
        args.c = (float *)j->y + (group * j->rows + row) * j->depth + col;
        args.c_row_stride = args.d_row_stride = (size_t)j->depth;
        for (int64_t n = 0; n < j->batch; n++) {
            int64_t pair = n * j->group + group;
            const float *a =
                (const float *)j->a + (pair * j->rows + row) * windows;
            const float *b = (const float *)j->b + pair * j->channels * plane;
            for (int64_t o = 0; o < windows; o += TILE) {
                int64_t k = OC_MIN(TILE, windows - o);
                pack_taps(j, b, col, cols, o, k, lines, packed);
                args.k = (size_t)k;
                args.a = a + o;
                args.d = started ? args.c : NULL;
                oc__gemm_f32(j->kt, NULL, &args, scratch);
                started = 1;
            }
        }
    }
}

static oc_status infer_weights(oc__ctx *c) {
    weights_job j;
    OC_TRY(read_weights(c, &j));
    OC_TRY(oc__out_like(c, 0, oc__in(c, 2)));
    oc__bump b = oc__bump_counter();
    layout(c, &b, &j);
    return oc__bump_need(c, &b);
}

static oc_status run_weights(oc__ctx *c) {
    weights_job j;
    OC_TRY(read_weights(c, &j));
    oc__bump b = oc__bump_cutter(c);
    layout(c, &b, &j);
    int64_t n = oc_tensor_elems(oc__in(c, 2));
    int64_t windows = oc__count(j.w.out, j.w.rank);
    if (n == 0) return OC_OK;
    if (j.batch == 0 || windows == 0) {
        memset(j.y, 0, (size_t)n * oc_dtype_bytes(j.real));
    } else if (j.direct) {
        int64_t grain = 16384 / (j.batch * windows) + 1;
        oc__parallel(
            c, n, grain,
            j.real == OC_DTYPE_F64 ? weight_range_f64 : weight_range_f32, &j);
    } else {
        oc__parallel(c, j.group * j.row_blocks * j.col_blocks, 1, block_range,
                     &j);
    }
    oc__real_done(c, 0, j.y, j.real);
    return OC_OK;
}

static double flops_weights(const oc__ctx *c) {
    weights_job j;
    if (read_weights(c, &j) != OC_OK) return 0;
    return 2.0 * (double)j.batch * (double)oc__count(j.w.out, j.w.rank) *
           (double)oc_tensor_elems(oc__in(c, 2));
}

/* ---- ConvFlip -------------------------------------------------------------
 */

static oc_status infer_flip(oc__ctx *c) {
    OC_TRY(oc__want(c, 0, OC_T_F));
    OC_TRY(oc__want_rank(c, 0, 2, OC_MAX_RANK));
    const oc_tensor *w = oc__in(c, 0);
    int64_t dims[OC_MAX_RANK], group = oc__attr_int(c->node, "group", 1);
    if (group < 1 || w->dims[0] % group ||
        (w->dims[1] && group > INT64_MAX / w->dims[1]))
        return oc__op_fail(c, OC_E_SHAPE,
                           "%lld channels do not divide into %lld groups",
                           (long long)w->dims[0], (long long)group);
    memcpy(dims, w->dims, sizeof(dims));
    dims[0] = group * w->dims[1];
    dims[1] = w->dims[0] / group;
    return oc__out_set(c, 0, w->dtype, w->rank, dims);
}

/* (group, out, in, taps) to (group, in, out, taps backwards) */
static oc_status run_flip(oc__ctx *c) {
    const oc_tensor *w = oc__in(c, 0);
    oc_tensor *y = oc__out(c, 0);
    int64_t group = oc__attr_int(c->node, "group", 1), in = w->dims[1];
    int64_t out = w->dims[0] / group;
    int64_t taps = oc__count(w->dims + 2, w->rank - 2);
    size_t bytes = oc_dtype_bytes(w->dtype);
    oc__move m = {0};
    if (oc_tensor_elems(w) == 0) return OC_OK;
    oc__move_dim(&m, group, out * in * taps, out * in * taps);
    oc__move_dim(&m, in, taps, out * taps);
    oc__move_dim(&m, out, in * taps, taps);
    oc__move_dim(&m, taps, -1, 1);
    oc__move_run(c, &m, bytes,
                 (const char *)w->data + (size_t)(taps - 1) * bytes, y->data);
    return OC_OK;
}

const oc__op oc__ops_grad_conv[] = {
    {"ocelli", "ConvGradWeights", 1, 3, 3, 1, 0, OF_CONV, infer_weights,
     run_weights, flops_weights},
    {"ocelli", "ConvTransposeGradWeights", 1, 3, 3, 1, 0, OF_TRANSPOSE,
     infer_weights, run_weights, flops_weights},
    {"ocelli", "ConvFlip", 1, 1, 1, 1, 0, 0, infer_flip, run_flip, NULL},
    {0},
};
