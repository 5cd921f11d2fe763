/*
 * qconv.c - ConvInteger, QLinearConv and our ConvIntegerToFloat on plain
 * tensors of any rank.
 *
 * The input is first transposed to channels last, where the taps of a window
 * are runs of bytes.  A tile of output positions is then a matrix whose rows
 * are these runs, and meets the packed weights:
 *
 *     x (C, pixels) -> (pixels, C)
 *     tile (T, depth) x weights (depth, O) -> sums (T, O) int32
 *     sums -> 8 bits or f32 (T, O) -> y (O, T)
 *
 *     depth = [taps outermost first][channels of the group]
 *
 * A 1x1 convolution of stride 1 needs no tile: the transposed input is the
 * matrix.  One channel a group (depthwise) makes products of one column,
 * which are no use; qconv_depth.c does those.
 */
#include "ops/pack_i8.h"
#include "ops/qconv.h"

#include <string.h>

/*
 * K_FLOAT is what fuse_qdq makes of a Conv between codes and f32.  Its inputs:
 * x, scale, zero point, w, scale, zero point, and a bias in f32 that is added
 * to sum * x's scale * w's scale.
 */
enum qconv_kind { K_INTEGER, K_QLINEAR, K_FLOAT };

/* A tile of the input matrix should stay in L2 beside the weights. */
#define TILE_BYTES (64 * 1024)

/* ---- reading the node ---------------------------------------------------- */

/* The zero points and scales of both operators; ConvInteger has no scales. */
static oc_status read_params(const oc__ctx *c, oc__qconv *q) {
    int64_t out = q->group * q->group_out;
    int integer = c->op->kind == K_INTEGER;
    memset(&q->x_scale, 0, sizeof(q->x_scale));
    q->w_scale = q->y_scale = q->y_zero = q->x_scale;
    OC_TRY(oc__param_read(c, 2, 1, 1, integer, &q->x_zero));
    if (integer) return oc__param_read(c, 3, out, 1, 1, &q->w_zero);
    OC_TRY(oc__param_read(c, 1, 1, 1, 0, &q->x_scale));
    OC_TRY(oc__param_read(c, 4, out, 1, 0, &q->w_scale));
    OC_TRY(oc__param_read(c, 5, out, 1, 0, &q->w_zero));
    if (c->op->kind == K_FLOAT) return OC_OK;
    OC_TRY(oc__param_read(c, 6, 1, 1, 0, &q->y_scale));
    return oc__param_read(c, 7, 1, 1, 0, &q->y_zero);
}

static oc_status read_shapes(const oc__ctx *c, oc__qconv *q) {
    const oc_tensor *x = q->x, *w = q->w;
    if (x->rank < 3 || x->rank != w->rank)
        return oc__op_fail(c, OC_E_SHAPE, "x has rank %d, w has rank %d",
                           x->rank, w->rank);
    q->batch = x->dims[0];
    oc__groups g;
    OC_TRY(oc__groups_read(c, x, w, q->bias, &g));
    q->group = g.count;
    q->group_in = g.in;
    q->group_out = g.out;
    OC_TRY(
        oc__window_read(c, x->rank - 2, x->dims + 2, w->dims + 2, &q->window));
    OC_TRY(oc__window_fit(c, 0, &q->window));
    OC_TRY(oc__window_depth(c, &q->window, q->group_in, &q->depth));
    q->in_pixels = oc__count(q->window.in, q->window.rank);
    q->out_pixels = oc__count(q->window.out, q->window.rank);
    return OC_OK;
}

static oc_status read_types(const oc__ctx *c, oc__qconv *q) {
    uint32_t i8 = OC_T(U8) | OC_T(I8);
    int integer = c->op->kind == K_INTEGER, to_float = c->op->kind == K_FLOAT;
    OC_TRY(oc__want(c, 0, i8));
    OC_TRY(oc__want(c, integer ? 1 : 3, i8));
    q->x = oc__in(c, 0);
    q->w = oc__in(c, integer ? 1 : 3);
    q->bias = integer ? NULL : oc__in(c, to_float ? 6 : 8);
    q->weights = NULL;
    /* The packed weights, of our own operators alone. */
    q->packed_at = c->op->domain[0] ? c->op->max_in - 1 : -1;
    q->x_signed = q->x->dtype == OC_DTYPE_I8;
    q->w_signed = q->w->dtype == OC_DTYPE_I8;
    q->y_type = OC_DTYPE_I32;
    if (to_float) {
        q->y_type = OC_DTYPE_F32;
    } else if (!integer) {
        OC_TRY(oc__want(c, 7, i8));
        q->y_type = oc__in(c, 7)->dtype;
    }
    return OC_OK;
}

static int is_pointwise(const oc__qconv *q) {
    const oc__window *w = &q->window;
    for (int i = 0; i < w->rank; i++)
        if (w->kernel[i] != 1 || w->stride[i] != 1 || w->pad_lo[i] ||
            w->pad_hi[i])
            return 0;
    return 1;
}

static int add(size_t *at, size_t *total, size_t a, size_t b) {
    size_t size;
    *at = *total;
    if (oc__size_mul(a, b, &size)) return 1;
    size = oc__align_up(size, OC_ALIGN);
    return size == SIZE_MAX || oc__size_add(*total, size, total);
}

/*
 * Scratch: [scales][biases][zero points of w][then, unless depthwise: input,
 * channels last][unless packed ahead: w reordered, w packed by group][for each
 * worker: tile, sums, bytes, GEMM's own]
 */
static oc_status lay_out(const oc__ctx *c, oc__qconv *q) {
    size_t out = (size_t)(q->group * q->group_out), depth = (size_t)q->depth;
    size_t og = (size_t)q->group_out;
    int bad = 0;
    q->total = 0;
    bad |= add(&q->scales, &q->total, out, 4);
    bad |= add(&q->biases, &q->total, out, 4);
    bad |= add(&q->zeros, &q->total, out, 4);
    q->depthwise = q->y_type != OC_DTYPE_F32 && oc__qconv_depth_can(q);
    q->pointwise = is_pointwise(q);
    q->tile = TILE_BYTES / (q->depth + 1);
    q->tile = OC_MIN(OC_MAX(q->tile, 16), 256);
    size_t tile = (size_t)q->tile;
    if (q->depthwise) {
        q->worker_bytes = oc__qconv_depth_scratch(q);
        bad |= add(&q->workers, &q->total, q->worker_bytes, (size_t)c->threads);
        return bad ? oc__op_fail(c, OC_E_LIMIT, "too large") : OC_OK;
    }
    size_t all;
    q->packed_each = oc__pack_i8_bytes(c->kernels, q->depth, q->group_out);
    bad |= oc__size_mul(q->packed_each, (size_t)q->group, &all);
    if (!bad) OC_TRY(oc__pack_i8_input(c, all, &q->weights));
    int packed = q->packed_at >= 0 && oc__in(c, q->packed_at) != NULL;
    bad |=
        add(&q->input, &q->total, (size_t)q->x->dims[1], (size_t)q->in_pixels);
    bad |= add(&q->reordered, &q->total, packed ? 0 : og, depth);
    bad |= add(&q->packed, &q->total, packed ? 0 : q->packed_each,
               (size_t)q->group);
    q->worker_bytes = 0;
    bad |= add(&q->at_tile, &q->worker_bytes, tile, q->pointwise ? 0 : depth);
    bad |= add(&q->at_sums, &q->worker_bytes, tile * 4, og);
    bad |= add(&q->at_bytes, &q->worker_bytes, tile, og);
    bad |= add(&q->at_gemm, &q->worker_bytes,
               oc__gemm_i8_scratch_bytes(c->kernels, tile, og, depth, 1), 1);
    bad |= add(&q->workers, &q->total, q->worker_bytes, (size_t)c->threads);
    return bad ? oc__op_fail(c, OC_E_LIMIT, "too large") : OC_OK;
}

static oc_status setup(const oc__ctx *c, oc__qconv *q) {
    OC_TRY(read_types(c, q));
    OC_TRY(read_shapes(c, q));
    OC_TRY(read_params(c, q));
    if (q->bias && c->op->kind == K_FLOAT) OC_TRY(oc__want(c, 6, OC_T(F32)));
    if (q->bias && c->op->kind != K_FLOAT) OC_TRY(oc__want(c, 8, OC_T(I32)));
    return lay_out(c, q);
}

static oc_status infer_qconv(oc__ctx *c) {
    oc__qconv q;
    int64_t dims[OC_MAX_RANK];
    OC_TRY(setup(c, &q));
    oc__scratch_need(c, q.total);
    dims[0] = q.batch;
    dims[1] = q.group * q.group_out;
    for (int i = 0; i < q.window.rank; i++)
        dims[2 + i] = q.window.out[i];
    return oc__out_set(c, 0, q.y_type, q.x->rank, dims);
}

/* ---- filling a tile ------------------------------------------------------ */

/* The windows of output positions p0 .. p0 + n, one a row. */
static void fill_tile(const oc__qconv *q, const uint8_t *x, int64_t p0,
                      int64_t n, uint8_t *tile) {
    const oc__window *w = &q->window;
    int last = w->rank - 1;
    size_t channels = (size_t)q->x->dims[1], in = (size_t)q->group_in;
    /* Taps side by side in memory are one run, when nothing lies between. */
    int whole = w->dilation[last] == 1 && q->group == 1;
    int64_t o[OC_MAX_RANK], tap[OC_MAX_RANK], kernel = w->kernel[last];
    oc__unravel(p0, w->out, w->rank, o);
    for (int64_t p = 0; p < n; p++, oc__odometer(o, w->out, w->rank)) {
        memset(tap, 0, sizeof(tap));
        int64_t first = o[last] * w->stride[last] - w->pad_lo[last];
        do {
            int64_t row = 0;
            int inside = 1;
            for (int d = 0; d < last; d++) {
                int64_t at = o[d] * w->stride[d] + tap[d] * w->dilation[d] -
                             w->pad_lo[d];
                inside &= at >= 0 && at < w->in[d];
                row = row * w->in[d] + at;
            }
            if (!inside) {
                memset(tile, q->pad_byte, (size_t)kernel * in);
                tile += (size_t)kernel * in;
                continue;
            }
            const uint8_t *line =
                x + (size_t)row * (size_t)w->in[last] * channels;
            if (whole && first >= 0 && first + kernel <= w->in[last]) {
                memcpy(tile, line + (size_t)first * channels,
                       (size_t)kernel * in);
                tile += (size_t)kernel * in;
                continue;
            }
            for (int64_t k = 0; k < kernel; k++, tile += in) {
                int64_t at = first + k * w->dilation[last];
                if (at < 0 || at >= w->in[last])
                    memset(tile, q->pad_byte, in);
                else
                    memcpy(tile, line + (size_t)at * channels, in);
            }
        } while (oc__odometer(tap, w->kernel, last));
    }
}

/* ---- one tile ------------------------------------------------------------ */

typedef struct tile_job {
    const oc__ctx *c;
    const oc__qconv *q;
    int64_t n;     /* number of the image */
    int64_t tiles; /* of an image */
    char *y;
} tile_job;

/* n rows of sums of the group that begins at `channel`, in place. */
static void to_floats(const oc__qconv *q, const char *scratch, int64_t channel,
                      int64_t n, int32_t *sums) {
    const float *scales = (const float *)(const void *)(scratch + q->scales);
    const float *bias = q->bias ? q->bias->data : NULL;
    for (int64_t i = 0; i < n; i++)
        for (int64_t o = channel; o < channel + q->group_out; o++, sums++) {
            float v = (float)*sums * scales[o];
            if (bias) v += bias[o];
            memcpy(sums, &v, sizeof(v));
        }
}

static void tile_range(void *user, int64_t begin, int64_t end, int worker) {
    const tile_job *j = user;
    const oc__qconv *q = j->q;
    char *s = j->c->scratch;
    char *mine = s + q->workers + (size_t)worker * q->worker_bytes;
    int32_t *sums = (int32_t *)(void *)(mine + q->at_sums);
    const oc__kernels *kt = j->c->kernels;
    size_t out = (size_t)q->group_out, pixels = (size_t)q->out_pixels;
    for (int64_t item = begin; item < end; item++) {
        int64_t g = item / j->tiles, p0 = item % j->tiles * q->tile;
        int64_t n = OC_MIN(q->tile, q->out_pixels - p0);
        const uint8_t *x = (const uint8_t *)s + q->input + g * q->group_in;
        int64_t channel = g * q->group_out;
        oc__gemm_i8_args a = {.m = (size_t)n, .n = out, .k = (size_t)q->depth};
        if (q->pointwise) {
            a.a = x + (size_t)p0 * (size_t)q->x->dims[1];
            a.a_row_stride = (size_t)q->x->dims[1];
        } else {
            fill_tile(q, x, p0, n, (uint8_t *)mine + q->at_tile);
            a.a = mine + q->at_tile;
            a.a_row_stride = (size_t)q->depth;
        }
        a.a_signed = q->x_signed;
        a.b_signed = q->w_signed;
        a.a_zero = q->x_zero_value;
        a.b_zeros = (const int32_t *)(const void *)(s + q->zeros) + channel;
        a.packed_b = (const char *)q->weights + (size_t)g * q->packed_each;
        a.c = sums;
        a.c_row_stride = out;
        oc__gemm_i8(kt, NULL, &a, mine + q->at_gemm);
        size_t at = (size_t)channel * pixels + (size_t)p0;
        if (q->y_type == OC_DTYPE_F32) to_floats(q, s, channel, n, sums);
        if (oc_dtype_bytes(q->y_type) == 4) {
            kt->transpose_b4(sums, out, (int32_t *)(void *)j->y + at, pixels,
                             (size_t)n, out);
        } else {
            uint8_t *bytes = (uint8_t *)mine + q->at_bytes;
            kt->requantize_i8(
                sums, (const int32_t *)(const void *)(s + q->biases) + channel,
                (const float *)(const void *)(s + q->scales) + channel,
                q->y_zero_value, q->y_type == OC_DTYPE_I8, bytes, (size_t)n,
                out);
            kt->transpose_b1(bytes, out, j->y + at, pixels, (size_t)n, out);
        }
    }
}

/* ---- the operator -------------------------------------------------------- */

static void prepare_params(const oc__ctx *c, oc__qconv *q) {
    char *s = c->scratch;
    float *scales = (float *)(void *)(s + q->scales);
    int32_t *biases = (int32_t *)(void *)(s + q->biases);
    int32_t *zeros = (int32_t *)(void *)(s + q->zeros);
    float x_scale = (float)oc__param_get(&q->x_scale, 0, 0);
    float y_scale = 1;
    if (q->y_scale.t) y_scale = (float)oc__param_get(&q->y_scale, 0, 0);
    q->x_zero_value = (int32_t)oc__param_get(&q->x_zero, 0, 0);
    q->y_zero_value = (int)oc__param_get(&q->y_zero, 0, 0);
    q->pad_byte = q->x_zero_value & 255;
    for (int64_t i = 0; i < q->group * q->group_out; i++) {
        scales[i] = x_scale * (float)oc__param_get(&q->w_scale, 0, i) / y_scale;
        zeros[i] = (int32_t)oc__param_get(&q->w_zero, 0, i);
        biases[i] = 0;
        if (q->bias && q->y_type != OC_DTYPE_F32)
            biases[i] = ((const int32_t *)q->bias->data)[i];
    }
}

typedef struct turn_job {
    const oc__kernels *kt;
    const char *x;
    char *out;
    size_t channels, pixels;
} turn_job;

static void turn_range(void *user, int64_t begin, int64_t end, int worker) {
    const turn_job *j = user;
    (void)worker;
    j->kt->transpose_b1(j->x + begin, j->pixels,
                        j->out + (size_t)begin * j->channels, j->channels,
                        j->channels, (size_t)(end - begin));
}

static oc_status run_qconv(oc__ctx *c) {
    oc__qconv q;
    oc_tensor *y = oc__out(c, 0);
    OC_TRY(setup(c, &q));
    if (!oc_tensor_elems(y)) return OC_OK;
    prepare_params(c, &q);
    if (q.depthwise) {
        oc__qconv_depthwise(c, &q, y);
        return OC_OK;
    }
    if (!q.weights) {
        char *s = c->scratch;
        oc__pack_i8_conv(c->kernels, q.w->data, q.w_signed, q.group,
                         q.group_out, q.group_in, q.depth, s + q.reordered,
                         s + q.packed);
        q.weights = s + q.packed;
    }
    size_t channels = (size_t)q.x->dims[1];
    size_t image = channels * (size_t)q.in_pixels;
    size_t result = (size_t)(q.group * q.group_out * q.out_pixels) *
                    oc_dtype_bytes(q.y_type);
    tile_job j = {c, &q, 0, (q.out_pixels + q.tile - 1) / q.tile, NULL};
    for (j.n = 0; j.n < q.batch; j.n++) {
        turn_job t = {c->kernels, (const char *)q.x->data + (size_t)j.n * image,
                      (char *)c->scratch + q.input, channels,
                      (size_t)q.in_pixels};
        j.y = (char *)y->data + (size_t)j.n * result;
        oc__parallel(c, q.in_pixels, 32768 / (int64_t)(channels + 1) + 1,
                     turn_range, &t);
        oc__parallel(c, q.group * j.tiles, 1, tile_range, &j);
    }
    return OC_OK;
}

static double flops_qconv(const oc__ctx *c) {
    oc__qconv q;
    if (setup(c, &q) != OC_OK) return 0;
    return 2.0 * (double)q.batch * (double)(q.group * q.group_out) *
           (double)q.depth * (double)q.out_pixels;
}

const oc__op oc__ops_qconv[] = {
    {"", "ConvInteger", 10, 2, 4, 1, 0, K_INTEGER, infer_qconv, run_qconv,
     flops_qconv},
    {"", "QLinearConv", 10, 8, 9, 1, 0, K_QLINEAR, infer_qconv, run_qconv,
     flops_qconv},
    {"ocelli", "ConvInteger", 1, 2, 5, 1, 0, K_INTEGER, infer_qconv, run_qconv,
     flops_qconv},
    {"ocelli", "QLinearConv", 1, 8, 10, 1, 0, K_QLINEAR, infer_qconv, run_qconv,
     flops_qconv},
    {"ocelli", "ConvIntegerToFloat", 1, 6, 8, 1, 0, K_FLOAT, infer_qconv,
     run_qconv, flops_qconv},
    {0},
};
