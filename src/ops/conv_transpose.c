/*
 * conv_transpose.c - ConvTranspose on plain tensors of any rank.
 *
 * Each input pixel spreads its channels over a window of the output.  One
 * product makes what all pixels spread,
 *
 *     spread (out channels x taps, pixels) = w^T x
 *
 * and adding its rows into the output at the taps' places does the rest.
 * The product is cut into chunks of output channels, which are independent.
 *
 * Where windows do not meet, as of 2x2 with stride 2, nothing is added up:
 * each output is one element of the product, or the bias alone.  Then the
 * product is cut along pixels, too, so that it stays in L2 until its rows are
 * joined, column by column, to rows of the output:
 *
 *     tap 0:  a0 a1 a2 ..
 *     tap 1:  b0 b1 b2 ..    ->    output:  a0 b0 a1 b1 a2 b2 ..
 */
#include "kernels/share.h"
#include "ops/nn.h"
#include "ops/window.h"

#include <string.h>

/* GRAD_INPUT: what Conv's gradient g gives back to its input x; inputs g, w,
 * x, the attributes being Conv's. */
enum { TRANSPOSE, GRAD_INPUT };

/* Elements of `spread` that a worker holds at a time. */
#define CHUNK_ELEMS ((int64_t)1 << 17)

typedef struct transpose_job {
    oc__window v; /* seen backwards: its in is our output */
    int64_t batch, group, group_in, group_out, chunk;
    int64_t dims[OC_MAX_RANK];
    oc_dtype dtype, real;
    const void *x, *wt, *bias;
    void *y, *packed, *cols;
    char *gemm;
    int64_t cols_elems, at_batch, at_group;
    int64_t chunks; /* of a group */
    size_t gemm_bytes;
    int direct; /* too few input channels for a product to pay */
    /* Of windows that do not meet: pixels of a tile, tiles of a group, the
     * pixels of a row of which all taps are inside, and the bias once a tap. */
    int apart;
    int64_t tile, tiles, lo, hi, packed_elems;
    float *bias_rows;
    const oc__ctx *c;
} transpose_job;

/* ---- windows that meet --------------------------------------------------- */

/* As many outputs are joined at a time before they are added. */
#define JOIN_ELEMS 1024
/* Rows of fewer pixels are added one by one, which takes no longer. */
#define JOIN_WIDTH 16

/* Where the row lies that tap `tap` of window i falls on, but for the last
 * dimension; -1: outside. */
static int64_t row_of(const oc__window *v, const int64_t *i,
                      const int64_t *tap) {
    int64_t row = 0;
    for (int d = 0; d < v->rank - 1; d++) {
        int64_t y =
            i[d] * v->stride[d] - v->pad_lo[d] + tap[d] * v->dilation[d];
        if (y < 0 || y >= v->in[d]) return -1;
        row = row * v->in[d] + y;
    }
    return row;
}

/* Windows lo .. hi - 1 of a row: `taps` rows of `from`, side by side in the
 * output, added to it at `to`. */
static void add_joined(const transpose_job *job, const float *from,
                       int64_t pitch, int64_t taps, int64_t n, float *to) {
    const oc__kernels *kt = job->c->kernels;
    float joined[JOIN_ELEMS];
    int64_t most = JOIN_ELEMS / taps;
    if (taps == 1) {
        kt->binary_f32(OC_BINARY_ADD, to, 1, from, 1, to, (size_t)n);
        return;
    }
    for (int64_t i = 0; i < n; i += most) {
        int64_t run = OC_MIN(most, n - i);
        kt->transpose_b4(from + i, (size_t)pitch, joined, (size_t)taps,
                         (size_t)taps, (size_t)run);
        kt->binary_f32(OC_BINARY_ADD, to + i * taps, 1, joined, 1,
                       to + i * taps, (size_t)(run * taps));
    }
}

/* Adds to a plane what taps first .. first + taps - 1 of rows spread, where
 * taps is the stride and `spread` all taps of a channel. */
static void add_taps(const transpose_job *job, const float *spread,
                     int64_t first, int64_t taps, float *plane) {
    const oc__window *v = &job->v;
    int last = v->rank - 1;
    int64_t width = v->out[last], pitch = oc__count(v->out, v->rank);
    int64_t shift = first * v->dilation[last] - v->pad_lo[last];
    int64_t lo, hi, none, i[OC_MAX_RANK] = {0};
    /* Of windows lo .. hi - 1 all these taps are inside. */
    oc__window_span(v, last, first, &lo, &none);
    oc__window_span(v, last, first + taps - 1, &none, &hi);
    hi = OC_MAX(hi, lo);
    do {
        int64_t tap[OC_MAX_RANK] = {0};
        const float *from = spread + first * pitch;
        do {
            int64_t row = row_of(v, i, tap);
            float *to = plane + OC_MAX(row, 0) * v->in[last];
            for (int64_t x = 0; row >= 0 && x < width; x++) {
                int64_t at = x * taps + shift;
                if (x == lo && lo < hi) {
                    add_joined(job, from + x, pitch, taps, hi - lo, to + at);
                    x = hi - 1;
                    continue;
                }
                for (int64_t k = 0; k < taps; k++)
                    if (at + k >= 0 && at + k < v->in[last])
                        to[at + k] += from[k * pitch + x];
            }
            from += v->kernel[last] * pitch;
        } while (oc__odometer(tap, v->kernel, last));
        spread += width;
    } while (oc__odometer(i, v->out, last));
}

/* Taps that are added by add_taps(): runs as long as the stride, which are
 * neighbours in the output. */
static int64_t joined_taps(const oc__window *v, oc_dtype real) {
    int last = v->rank - 1;
    if (real != OC_DTYPE_F32 || v->stride[last] > JOIN_ELEMS ||
        v->out[last] < JOIN_WIDTH ||
        (v->dilation[last] > 1 && v->stride[last] > 1))
        return 0;
    return v->kernel[last] / v->stride[last] * v->stride[last];
}

#define REAL      float
#define FN(name)  name##_f32
#define LIN(name) oc__lin_f32##name
#include "ops/conv_scatter.inc"
#undef REAL
#undef FN
#undef LIN
#define REAL      double
#define FN(name)  name##_f64
#define LIN(name) oc__lin_f64##name
#include "ops/conv_scatter.inc"
#undef REAL
#undef FN
#undef LIN

static const oc_tensor *bias_of(const oc__ctx *c) {
    return c->op->kind == GRAD_INPUT ? NULL : oc__in(c, 2);
}

/* Windows as positions of the output: in is its shape, out that of x. */
static oc_status read_window(const oc__ctx *c, oc__window *v) {
    const oc_tensor *x = oc__in(c, 0), *w = oc__in(c, 1);
    size_t bytes = sizeof(int64_t) * (size_t)(x->rank - 2);
    if (c->op->kind == TRANSPOSE) {
        OC_TRY(oc__window_read(c, x->rank - 2, x->dims + 2, w->dims + 2, v));
        OC_TRY(oc__window_fit_transposed(c, v));
        memcpy(v->in, v->out, bytes);
        memcpy(v->out, x->dims + 2, bytes);
        return OC_OK;
    }
    OC_TRY(oc__want_rank(c, 2, x->rank, x->rank));
    const oc_tensor *to = oc__in(c, 2);
    OC_TRY(oc__window_read(c, x->rank - 2, to->dims + 2, w->dims + 2, v));
    OC_TRY(oc__window_fit(c, 0, v));
    if (memcmp(v->out, x->dims + 2, bytes) || to->dims[0] != x->dims[0])
        return oc__op_fail(c, OC_E_SHAPE, "g has not the output's shape");
    return OC_OK;
}

static oc_status read_transpose(const oc__ctx *c, transpose_job *job) {
    memset(job, 0, sizeof(*job));
    OC_TRY(oc__want(c, 0, OC_T_F));
    OC_TRY(oc__want_rank(c, 0, 3, OC_MAX_RANK));
    const oc_tensor *x = oc__in(c, 0), *w = oc__in(c, 1), *b = bias_of(c);
    OC_TRY(oc__want(c, 1, 1u << x->dtype));
    OC_TRY(oc__want_rank(c, 1, x->rank, x->rank));
    if (oc__in_value(c, 2)) OC_TRY(oc__want(c, 2, 1u << x->dtype));
    oc__window *v = &job->v;
    OC_TRY(read_window(c, v));
    job->c = c;
    job->dtype = x->dtype;
    job->real = oc__real_of(x->dtype);
    job->batch = x->dims[0];
    job->group = oc__attr_int(c->node, "group", 1);
    job->group_out = w->dims[1];
    if (job->group < 1 || x->dims[1] % job->group || w->dims[0] != x->dims[1])
        return oc__op_fail(c, OC_E_SHAPE,
                           "%lld channels, %lld in the weight, and %lld groups "
                           "do not fit",
                           (long long)x->dims[1], (long long)w->dims[0],
                           (long long)job->group);
    job->group_in = x->dims[1] / job->group;
    int64_t depth;
    OC_TRY(oc__window_depth(c, v, job->group_out, &depth));
    job->dims[0] = x->dims[0];
    if (job->group_out && job->group > INT64_MAX / job->group_out)
        return oc__op_fail(c, OC_E_LIMIT, "too many groups");
    job->dims[1] = job->group * job->group_out;
    memcpy(job->dims + 2, v->in, sizeof(int64_t) * (size_t)v->rank);
    if (b && oc_tensor_elems(b) != job->dims[1])
        return oc__op_fail(c, OC_E_SHAPE, "the bias has %lld values, want %lld",
                           (long long)oc_tensor_elems(b),
                           (long long)job->dims[1]);
    return OC_OK;
}

/* ---- windows that do not meet -------------------------------------------- */

/* What a worker holds of input and product takes so much of L2, beside the
 * weights and the lines of the output. */
#define TILE_SHARE 0.75
/* Rows of the product of a tile: more of them use the packed input longer. */
#define TILE_ROWS 128
/* An output takes as long as so many multiply-adds to be moved. */
#define MOVE_WORK (OC_SHARE_CYCLE / 2)
/* Outputs that a thread sets to the bias at least. */
#define FILL_GRAIN 16384

static int windows_apart(const oc__window *v) {
    int last = v->rank - 1;
    for (int d = 0; d < v->rank; d++)
        if (v->out[d] > 1 && oc__window_extent(v, d) > v->stride[d]) return 0;
    /* Taps of a row are joined as neighbours. */
    return v->kernel[last] == 1 || v->dilation[last] == 1;
}

/* Whether there is a window over each output. */
static int windows_cover(const oc__window *v) {
    for (int d = 0; d < v->rank; d++) {
        int64_t end = (v->out[d] - 1) * v->stride[d] + v->kernel[d];
        if (v->kernel[d] > 1 && v->dilation[d] > 1) return 0;
        if (v->out[d] > 1 && v->kernel[d] < v->stride[d]) return 0;
        if (v->pad_lo[d] < 0 || end - v->pad_lo[d] < v->in[d]) return 0;
    }
    return 1;
}

/* Multiply-adds, or what takes as long, of one channel of one group. */
static double channel_work(const transpose_job *job, int64_t pixels) {
    double outs =
        (double)oc__window_taps(&job->v, job->v.rank) * (double)pixels;
    return outs * ((double)job->group_in + MOVE_WORK);
}

/* Tiles as large as L2 has room for, and enough of them for all threads. */
static void choose_tile(const oc__ctx *c, transpose_job *job) {
    int64_t nr = (int64_t)oc__lin_f32_packed(c->kernels, 1, 1);
    int64_t taps = oc__window_taps(&job->v, job->v.rank);
    int64_t pixels = OC_MAX(oc__count(job->v.out, job->v.rank), 1);
    job->chunk = OC_MIN(OC_MAX(TILE_ROWS / taps, 1), job->group_out);
    job->chunk = OC_MAX(job->chunk, 1);
    job->chunks = OC_CEIL_DIV(job->group_out, job->chunk);
    double room = TILE_SHARE * (double)c->kernels->l2_bytes / sizeof(float);
    double column = (double)job->group_in + (double)(job->chunk * taps);
    int64_t fit = OC_MAX((int64_t)(room / column) / nr, 1);
    int64_t most = OC_CEIL_DIV(pixels, nr), tiles = OC_CEIL_DIV(most, fit);
    /* Cells that one tile makes, and tasks that are worth it. */
    double cells = OC_MAX(
        (double)job->batch * (double)job->group * (double)job->chunks, 1.0);
    double work = (double)job->batch * (double)job->group *
                  (double)job->group_out * channel_work(job, pixels);
    double tasks = (double)oc__share_tasks(c->threads, work);
    if (cells < tasks) {
        tiles = OC_MAX(tiles, OC_MIN((int64_t)(tasks / cells) + 1, most));
        tiles = (int64_t)oc__share_even(c->threads, (size_t)cells,
                                        (size_t)tiles, (size_t)most);
    }
    job->tile = OC_CEIL_DIV(most, tiles) * nr;
    job->tiles = OC_CEIL_DIV(pixels, job->tile);
}

/* So many elements, the next worker's beginning with a line; -1: too many. */
static int64_t whole_lines(size_t elems) {
    if (elems > SIZE_MAX / 2) return -1;
    return (int64_t)oc__align_up(elems, OC_ALIGN);
}

static void layout_apart(oc__ctx *c, oc__bump *b, transpose_job *job) {
    const oc__kernels *kt = c->kernels;
    const oc__window *v = &job->v;
    int64_t taps = oc__window_taps(v, v->rank), none;
    int last = v->rank - 1;
    size_t each = sizeof(float) * (size_t)OC_MAX(c->threads, 1);
    choose_tile(c, job);
    oc__window_span(v, last, 0, &job->lo, &none);
    oc__window_span(v, last, v->kernel[last] - 1, &none, &job->hi);
    int64_t rows = job->chunk * taps;
    job->packed_elems =
        whole_lines(oc__lin_f32_packed(kt, job->group_in, job->tile));
    job->packed = oc__bump_take(b, job->packed_elems, each);
    job->cols_elems = whole_lines((size_t)(rows * job->tile));
    job->cols = oc__bump_take(b, job->cols_elems, each);
    job->gemm_bytes = oc__align_up(
        oc__lin_f32_scratch(kt, rows, job->tile, job->group_in, 1), OC_ALIGN);
    job->gemm = oc__bump_take(b, OC_MAX(c->threads, 1), job->gemm_bytes);
    if (bias_of(c))
        job->bias_rows =
            oc__bump_take(b, job->dims[1], sizeof(float) * (size_t)taps);
}

/* Pixels x .. x + n - 1 of a row of the input: their taps, rows of `from`, to
 * a row of the output. */
static void join_row(const transpose_job *job, const float *from, int64_t x,
                     int64_t n, float *to) {
    const oc__window *v = &job->v;
    int last = v->rank - 1;
    int64_t taps = v->kernel[last], step = v->stride[last], end = x + n;
    while (x < end) {
        int64_t at = x * step - v->pad_lo[last], run = 1;
        if (x >= job->lo && x < job->hi) {
            run = OC_MIN(job->hi, end) - x;
            if (step == 1 && taps == 1)
                memcpy(to + at, from, sizeof(float) * (size_t)run);
            else
                job->c->kernels->transpose_b4(from, (size_t)job->tile, to + at,
                                              (size_t)step, (size_t)taps,
                                              (size_t)run);
        } else {
            for (int64_t k = 0; k < taps; k++)
                if (at + k >= 0 && at + k < v->in[last])
                    to[at + k] = from[k * job->tile];
        }
        x += run;
        from += run;
    }
}

/* Pixels begin .. begin + n - 1: their rows of one output channel to its
 * plane. */
static void join_plane(const transpose_job *job, const float *from,
                       int64_t begin, int64_t n, float *plane) {
    const oc__window *v = &job->v;
    int last = v->rank - 1;
    int64_t width = v->out[last], x = begin % width, i[OC_MAX_RANK] = {0};
    oc__unravel(begin / width, v->out, last, i);
    for (int64_t j = 0, run; j < n; j += run, x = 0) {
        int64_t tap[OC_MAX_RANK] = {0};
        const float *rows = from + j;
        run = OC_MIN(width - x, n - j);
        do {
            int64_t row = 0;
            int inside = 1;
            for (int d = 0; d < last; d++) {
                int64_t y = i[d] * v->stride[d] - v->pad_lo[d] +
                            tap[d] * v->dilation[d];
                inside &= y >= 0 && y < v->in[d];
                row = row * v->in[d] + y;
            }
            if (inside) join_row(job, rows, x, run, plane + row * v->in[last]);
            rows += v->kernel[last] * job->tile;
        } while (oc__odometer(tap, v->kernel, last));
        oc__odometer(i, v->out, last);
    }
}

/* One tile, packed, times the weights of some output channels. */
static void apart_cell(const transpose_job *job, int64_t pair, int64_t tile,
                       int64_t chunk, int worker) {
    const oc__window *v = &job->v;
    int64_t pixels = oc__count(v->out, v->rank);
    int64_t out_plane = oc__count(v->in, v->rank);
    int64_t taps = oc__window_taps(v, v->rank);
    int64_t group = pair % job->group, begin = chunk * job->chunk;
    int64_t count = OC_MIN(job->chunk, job->group_out - begin);
    int64_t channel = group * job->group_out + begin;
    int64_t j0 = tile * job->tile, n = OC_MIN(job->tile, pixels - j0);
    float *cols = (float *)job->cols + worker * job->cols_elems;
    oc__gemm_f32_args a = {0};
    a.m = (size_t)(count * taps);
    a.n = (size_t)n;
    a.k = (size_t)job->group_in;
    a.a = (const float *)job->wt +
          (group * job->group_in * job->group_out + begin) * taps;
    a.a_row_stride = 1;
    a.a_col_stride = (size_t)(job->group_out * taps);
    a.packed_b = (const float *)job->packed + worker * job->packed_elems;
    a.c = cols;
    a.c_row_stride = (size_t)job->tile;
    a.bias_m = job->bias ? job->bias_rows + channel * taps : NULL;
    a.alpha = 1;
    oc__gemm_f32(job->c->kernels, NULL, &a,
                 job->gemm + (size_t)worker * job->gemm_bytes);
    float *y = (float *)job->y +
               (pair / job->group * job->dims[1] + channel) * out_plane;
    for (int64_t m = 0; m < count; m++)
        join_plane(job, cols + m * taps * job->tile, j0, n, y + m * out_plane);
}

/* Cells are (pair of picture and group, tile, chunk); a tile is packed once
 * for the chunks that follow one another. */
static void apart_task(void *user, int task, int worker) {
    const oc__share *s = user;
    const transpose_job *job = s->ctx;
    int64_t pixels = oc__count(job->v.out, job->v.rank), packed = -1;
    oc__lin l = {job->c->kernels, NULL, NULL};
    size_t end = oc__share_end(s, (size_t)task);
    for (size_t i = oc__share_begin(s, (size_t)task); i < end; i++) {
        int64_t at = (int64_t)i / job->chunks, tile = at % job->tiles;
        int64_t pair = at / job->tiles, j0 = tile * job->tile;
        if (at != packed)
            oc__lin_f32_pack(
                &l, job->group_in, OC_MIN(job->tile, pixels - j0),
                (const float *)job->x + pair * job->group_in * pixels + j0,
                pixels, 1, (float *)job->packed + worker * job->packed_elems);
        packed = at;
        apart_cell(job, pair, tile, (int64_t)i % job->chunks, worker);
    }
}

static void fill_bias(void *user, int64_t begin, int64_t end, int worker) {
    const transpose_job *job = user;
    int64_t plane = oc__count(job->v.in, job->v.rank);
    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        float *y = (float *)job->y + i * plane;
        float bias =
            job->bias ? ((const float *)job->bias)[i % job->dims[1]] : 0;
        for (int64_t j = 0; j < plane; j++)
            y[j] = bias;
    }
}

static void run_apart(const oc__ctx *c, transpose_job *job) {
    int64_t taps = oc__window_taps(&job->v, job->v.rank);
    int64_t pixels = oc__count(job->v.out, job->v.rank);
    int64_t plane = oc__count(job->v.in, job->v.rank);
    if (!windows_cover(&job->v))
        oc__parallel(c, job->batch * job->dims[1], FILL_GRAIN / plane + 1,
                     fill_bias, job);
    if (pixels == 0) return;
    for (int64_t i = 0; job->bias && i < job->dims[1] * taps; i++)
        job->bias_rows[i] = ((const float *)job->bias)[i / taps];
    size_t cells = (size_t)(job->batch * job->group * job->chunks * job->tiles);
    oc__share_run(c->pool, cells,
                  (double)job->chunk * channel_work(job, job->tile), apart_task,
                  job);
}

/* ---- any windows --------------------------------------------------------- */

static void layout(oc__ctx *c, oc__bump *b, transpose_job *job) {
    const oc__kernels *kt = c->kernels;
    int threads = OC_MAX(c->threads, 1);
    size_t elem = oc_dtype_bytes(job->real);
    job->x = oc__real_in(c, b, 0, job->real);
    job->wt = oc__real_in(c, b, 1, job->real);
    job->bias = oc__real_tensor(c, b, bias_of(c), job->real);
    job->y = oc__real_out(c, b, 0, job->dtype,
                          oc__count(job->dims, job->v.rank + 2), job->real);
    job->apart = job->real == OC_DTYPE_F32 && windows_apart(&job->v);
    if (job->apart) {
        layout_apart(c, b, job);
        return;
    }
    job->direct = job->group_in < 3;
    job->chunk = 1;
    if (job->direct) return;
    int64_t pixels = oc__count(job->v.out, job->v.rank);
    int64_t taps = oc__window_taps(&job->v, job->v.rank);
    int64_t one = OC_MAX(taps * pixels, 1);
    job->chunk = OC_MAX(OC_MIN(CHUNK_ELEMS / one, job->group_out), 1);
    job->cols_elems =
        (int64_t)oc__align_up((size_t)(job->chunk * one), OC_ALIGN);
    job->cols = oc__bump_take(b, job->cols_elems, elem * (size_t)threads);
    int f64 = job->real == OC_DTYPE_F64;
    size_t packed = f64 ? oc__lin_f64_packed(kt, job->group_in, pixels)
                        : oc__lin_f32_packed(kt, job->group_in, pixels);
    job->packed = oc__bump_take(b, (int64_t)packed, elem);
    if (f64) return;
    job->gemm_bytes = oc__align_up(
        oc__lin_f32_scratch(kt, job->chunk * taps, pixels, job->group_in, 1),
        OC_ALIGN);
    job->gemm = oc__bump_take(b, threads, job->gemm_bytes);
}

static oc_status infer_transpose(oc__ctx *c) {
    transpose_job job;
    OC_TRY(read_transpose(c, &job));
    OC_TRY(oc__out_set(c, 0, job.dtype, job.v.rank + 2, job.dims));
    oc__bump b = oc__bump_counter();
    layout(c, &b, &job);
    return oc__bump_need(c, &b);
}

static void pack_input(transpose_job *job) {
    int64_t pixels = oc__count(job->v.out, job->v.rank);
    int64_t at =
        (job->at_batch * job->group + job->at_group) * job->group_in * pixels;
    oc__lin l = {job->c->kernels, job->c->pool, NULL};
    if (job->real == OC_DTYPE_F64)
        oc__lin_f64_pack(&l, job->group_in, pixels, (const double *)job->x + at,
                         pixels, 1, job->packed);
    else
        oc__lin_f32_pack(&l, job->group_in, pixels, (const float *)job->x + at,
                         pixels, 1, job->packed);
}

static oc_status run_transpose(oc__ctx *c) {
    transpose_job job;
    OC_TRY(read_transpose(c, &job));
    oc__bump b = oc__bump_cutter(c);
    layout(c, &b, &job);
    if (oc__count(job.dims, job.v.rank + 2) == 0) return OC_OK;
    if (job.apart) {
        run_apart(c, &job);
        oc__real_done(c, 0, job.y, job.real);
        return OC_OK;
    }
    int64_t chunks = (job.group_out + job.chunk - 1) / job.chunk;
    void (*range)(void *, int64_t, int64_t, int) =
        job.real == OC_DTYPE_F64 ? transpose_range_f64 : transpose_range_f32;
    job.chunks = chunks;
    if (job.direct) {
        /* Nothing is shared: pictures and groups are dealt out, too. */
        oc__parallel(c, job.batch * job.group * chunks, 1, range, &job);
        oc__real_done(c, 0, job.y, job.real);
        return OC_OK;
    }
    for (job.at_batch = 0; job.at_batch < job.batch; job.at_batch++)
        for (job.at_group = 0; job.at_group < job.group; job.at_group++) {
            pack_input(&job);
            oc__parallel(c, chunks, 1, range, &job);
        }
    oc__real_done(c, 0, job.y, job.real);
    return OC_OK;
}

static double flops_transpose(const oc__ctx *c) {
    const oc_tensor *x = oc__in(c, 0), *w = oc__in(c, 1);
    if (!x || !w || w->dims[0] == 0) return 0;
    return 2.0 * (double)oc_tensor_elems(x) *
           (double)(oc_tensor_elems(w) / w->dims[0]);
}

const oc__op oc__ops_conv_transpose[] = {
    {"", "ConvTranspose", 1, 2, 3, 1, 0, TRANSPOSE, infer_transpose,
     run_transpose, flops_transpose},
    {"ocelli", "ConvGradInput", 1, 3, 3, 1, 0, GRAD_INPUT, infer_transpose,
     run_transpose, flops_transpose},
    {0},
};
