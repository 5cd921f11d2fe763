/*
 * qlinear_pool.c - com.microsoft's QLinearAveragePool,
 * QLinearGlobalAveragePool and QLinearSoftmax.
 *
 * Averages are sums of integers, scaled once at the end:
 *
 *     y = round((sum x - count * zero_x) * scale_x / (count * scale_y)) +
 * zero_y
 */
#include "ops/op.h"
#include "ops/requantize.h"
#include "ops/window.h"

#include <string.h>

enum pool_kind { K_AVERAGE, K_GLOBAL };

#define T_I8 (OC_T(U8) | OC_T(I8))

static oc_status want_scalars(const oc__ctx *c, oc_dtype dtype) {
    for (int i = 1; i < 5; i++) {
        int zero = i % 2 == 0;
        if (zero && !oc__in_value(c, i)) continue;
        OC_TRY(oc__want(c, i, zero ? 1u << dtype : OC_T(F32)));
        if (oc_tensor_elems(oc__in(c, i)) != 1)
            return oc__op_fail(c, OC_E_SHAPE, "input %d must be one number", i);
    }
    return OC_OK;
}

static int zero_of(const oc__ctx *c, int i) {
    const oc_tensor *t = oc__in(c, i);
    return t ? (int)oc__tensor_get_i64(t, 0) : 0;
}

static float scale_at(const oc__ctx *c, int i) {
    return *(const float *)oc__in(c, i)->data;
}

/* ---- pooling ------------------------------------------------------------- */

typedef struct pool_job {
    oc__window w;
    int64_t batch, channels, in_pixels, out_pixels;
    int64_t x_pixel, x_channel, y_pixel, y_channel; /* strides */
    int is_signed, include_pad;
    int whole; /* the window is the picture */
    int x_zero, y_zero;
    float ratio;
    const uint8_t *x;
    uint8_t *y;
} pool_job;

static oc_status setup_pool(const oc__ctx *c, pool_job *j) {
    OC_TRY(oc__want(c, 0, T_I8));
    OC_TRY(oc__want_rank(c, 0, 3, OC_MAX_RANK));
    const oc_tensor *x = oc__in(c, 0);
    OC_TRY(want_scalars(c, x->dtype));
    int last = oc__attr_int(c->node, "channels_last", 0) != 0;
    int global = c->op->kind == K_GLOBAL;
    int rank = x->rank - 2;
    j->batch = x->dims[0];
    j->channels = x->dims[last ? x->rank - 1 : 1];
    const int64_t *in = x->dims + (last ? 1 : 2);
    /* A global pool is a window as large as the picture. */
    if (global) {
        memset(&j->w, 0, sizeof(j->w));
        j->w.rank = rank;
        for (int i = 0; i < rank; i++) {
            j->w.in[i] = j->w.kernel[i] = in[i];
            j->w.out[i] = j->w.stride[i] = j->w.dilation[i] = 1;
        }
    } else {
        OC_TRY(oc__window_read(c, rank, in, NULL, &j->w));
        OC_TRY(oc__window_fit(c, (int)oc__attr_int(c->node, "ceil_mode", 0),
                              &j->w));
    }
    j->in_pixels = j->out_pixels = j->whole = 1;
    for (int i = 0; i < rank; i++) {
        j->in_pixels *= j->w.in[i];
        j->out_pixels *= j->w.out[i];
        j->whole &= j->w.kernel[i] == j->w.in[i] && j->w.out[i] == 1 &&
                    j->w.dilation[i] == 1 && !j->w.pad_lo[i];
    }
    j->x_pixel = last ? j->channels : 1;
    j->y_pixel = last ? j->channels : 1;
    j->x_channel = last ? 1 : j->in_pixels;
    j->y_channel = last ? 1 : j->out_pixels;
    j->is_signed = x->dtype == OC_DTYPE_I8;
    j->include_pad = oc__attr_int(c->node, "count_include_pad", 0) != 0;
    return OC_OK;
}

static oc_status infer_pool(oc__ctx *c) {
    pool_job j;
    int64_t dims[OC_MAX_RANK];
    OC_TRY(setup_pool(c, &j));
    const oc_tensor *x = oc__in(c, 0);
    memcpy(dims, x->dims, sizeof(dims));
    int first = oc__attr_int(c->node, "channels_last", 0) ? 1 : 2;
    for (int i = 0; i < j.w.rank; i++)
        dims[first + i] = j.w.out[i];
    return oc__out_set(c, 0, x->dtype, x->rank, dims);
}

/* Sum and number of the elements under the window at o. */
static int64_t window_sum(const pool_job *j, const uint8_t *x, const int64_t *o,
                          int64_t *count) {
    int64_t tap[OC_MAX_RANK] = {0}, sum = 0;
    *count = 0;
    do {
        int64_t at = 0, inside = 1, padded = 1;
        for (int d = 0; d < j->w.rank; d++) {
            int64_t i = o[d] * j->w.stride[d] + tap[d] * j->w.dilation[d] -
                        j->w.pad_lo[d];
            inside &= i >= 0 && i < j->w.in[d];
            /* Past the padding nothing counts, whatever ceil_mode adds. */
            padded &= i < j->w.in[d] + j->w.pad_hi[d];
            at = at * j->w.in[d] + i;
        }
        *count += j->include_pad ? padded : inside;
        if (!inside) continue;
        uint8_t v = x[at * j->x_pixel];
        sum += (j->is_signed ? (int8_t)v : v) - j->x_zero;
    } while (oc__odometer(tap, j->w.kernel, j->w.rank));
    return sum;
}

static void pool_range(void *user, int64_t begin, int64_t end, int worker) {
    const pool_job *j = user;
    int64_t o[OC_MAX_RANK];
    (void)worker;
    for (int64_t item = begin; item < end; item++) {
        int64_t n = item / j->channels, ch = item % j->channels, count;
        const uint8_t *x =
            j->x + n * j->channels * j->in_pixels + ch * j->x_channel;
        uint8_t *y = j->y + n * j->channels * j->out_pixels + ch * j->y_channel;
        memset(o, 0, sizeof(o));
        for (int64_t p = 0; p < j->out_pixels; p++) {
            int64_t sum = window_sum(j, x, o, &count);
            float v = count ? (float)sum * j->ratio / (float)count : 0;
            y[p * j->y_pixel] =
                (uint8_t)oc__requantize(v, j->y_zero, j->is_signed);
            oc__odometer(o, j->w.out, j->w.rank);
        }
    }
}

/* Channels that are summed side by side. */
#define LAST_BLOCK 64

/* Channels of one pixel; by sixteens, of which compilers make vectors. */
static void add_row(const uint8_t *restrict row, int64_t n, int is_signed,
                    int32_t *restrict sums) {
    const uint8_t flip = is_signed ? 0x80 : 0;
    const int32_t moved = is_signed ? 128 : 0;
    for (; n >= 16; n -= 16, row += 16, sums += 16)
        for (int i = 0; i < 16; i++)
            sums[i] += (row[i] ^ flip) - moved;
    for (int64_t i = 0; i < n; i++)
        sums[i] += (row[i] ^ flip) - moved;
}

/* The same for all pixels of a picture. */
static void sum_picture(const pool_job *j, const uint8_t *x, int64_t n,
                        int32_t *sums) {
    for (int64_t p = 0; p < j->in_pixels; p++, x += j->x_pixel)
        add_row(x, n, j->is_signed, sums);
}

/* Adds the pixels under the window at o, channels c0 .. c0 + n; returns how
 * many of them there are, and in *count those that the average is of. */
static int64_t sum_rows(const pool_job *j, const uint8_t *x, const int64_t *o,
                        int64_t n, int32_t *sums, int64_t *count) {
    int64_t tap[OC_MAX_RANK] = {0}, pixels = 0;
    if (j->whole) {
        sum_picture(j, x, n, sums);
        return *count = j->in_pixels;
    }
    *count = 0;
    do {
        int64_t at = 0, inside = 1, padded = 1;
        for (int d = 0; d < j->w.rank; d++) {
            int64_t i = o[d] * j->w.stride[d] + tap[d] * j->w.dilation[d] -
                        j->w.pad_lo[d];
            inside &= i >= 0 && i < j->w.in[d];
            padded &= i < j->w.in[d] + j->w.pad_hi[d];
            at = at * j->w.in[d] + i;
        }
        *count += j->include_pad ? padded : inside;
        if (!inside) continue;
        pixels++;
        add_row(x + at * j->x_pixel, n, j->is_signed, sums);
    } while (oc__odometer(tap, j->w.kernel, j->w.rank));
    return pixels;
}

/* Items are blocks of channels of output pixels, channels last. */
static void last_range(void *user, int64_t begin, int64_t end, int worker) {
    const pool_job *j = user;
    int64_t blocks = (j->channels + LAST_BLOCK - 1) / LAST_BLOCK;
    (void)worker;
    for (int64_t item = begin; item < end; item++) {
        int64_t c0 = item % blocks * LAST_BLOCK, at = item / blocks, count;
        int64_t n = OC_MIN(LAST_BLOCK, j->channels - c0), o[OC_MAX_RANK];
        int32_t sums[LAST_BLOCK] = {0};
        oc__unravel(at % j->out_pixels, j->w.out, j->w.rank, o);
        const uint8_t *x =
            j->x + at / j->out_pixels * j->in_pixels * j->channels + c0;
        uint8_t *y = j->y + at * j->channels + c0;
        int64_t zero = sum_rows(j, x, o, n, sums, &count) * j->x_zero;
        for (int64_t i = 0; i < n; i++) {
            float v =
                count ? (float)(sums[i] - zero) * j->ratio / (float)count : 0;
            y[i] = (uint8_t)oc__requantize(v, j->y_zero, j->is_signed);
        }
    }
}

/* Whether sums of a window surely fit 32 bits. */
static int is_small(const pool_job *j) {
    int64_t taps = 1;
    for (int d = 0; d < j->w.rank; d++)
        if (j->w.kernel[d] > (1 << 22) / taps)
            return 0;
        else
            taps *= OC_MAX(j->w.kernel[d], 1);
    return 1;
}

static oc_status run_pool(oc__ctx *c) {
    pool_job j;
    OC_TRY(setup_pool(c, &j));
    j.x = oc__in(c, 0)->data;
    j.y = oc__out(c, 0)->data;
    j.x_zero = zero_of(c, 2);
    j.y_zero = zero_of(c, 4);
    j.ratio = scale_at(c, 1) / scale_at(c, 3);
    if (!j.in_pixels) return OC_OK;
    if (j.x_channel == 1 && j.y_channel == 1 && j.in_pixels > 1 &&
        is_small(&j)) {
        int64_t blocks = (j.channels + LAST_BLOCK - 1) / LAST_BLOCK;
        oc__parallel(c, j.batch * j.out_pixels * blocks, 16, last_range, &j);
        return OC_OK;
    }
    oc__parallel(c, j.batch * j.channels, 8192 / (j.in_pixels + 1) + 1,
                 pool_range, &j);
    return OC_OK;
}

/* ---- softmax ------------------------------------------------------------- */

typedef struct softmax_job {
    const oc__kernels *kt;
    const uint8_t *x;
    uint8_t *y;
    int64_t length, inner;
    int is_signed, x_zero, y_zero;
    float x_scale, y_scale;
    float *scratch; /* a row for each worker */
} softmax_job;

static oc_status softmax_shape(const oc__ctx *c, int64_t *outer,
                               int64_t *length, int64_t *inner) {
    const oc_tensor *x = oc__in(c, 0);
    int axis, modern = oc__attr_int(c->node, "opset", 13) >= 13;
    OC_TRY(oc__axis(c, oc__attr_int(c->node, "axis", modern ? -1 : 1), x->rank,
                    &axis));
    oc__axis_view v = oc__axis_split(x->dims, x->rank, axis);
    *outer = v.outer;
    *length = modern ? v.length : oc__count(x->dims + axis, x->rank - axis);
    *inner = modern ? v.inner : 1;
    return OC_OK;
}

static oc_status infer_softmax(oc__ctx *c) {
    int64_t outer, length, inner;
    OC_TRY(oc__want(c, 0, T_I8));
    const oc_tensor *x = oc__in(c, 0);
    OC_TRY(want_scalars(c, x->dtype));
    OC_TRY(softmax_shape(c, &outer, &length, &inner));
    oc__scratch_need(c, (size_t)length * sizeof(float) * (size_t)c->threads);
    return oc__out_like(c, 0, x);
}

static void softmax_range(void *user, int64_t begin, int64_t end, int worker) {
    const softmax_job *j = user;
    float *row = j->scratch + worker * j->length;
    for (int64_t item = begin; item < end; item++) {
        int64_t at = item / j->inner * j->length * j->inner + item % j->inner;
        for (int64_t i = 0; i < j->length; i++) {
            uint8_t v = j->x[at + i * j->inner];
            row[i] = (float)((j->is_signed ? (int8_t)v : v) - j->x_zero) *
                     j->x_scale;
        }
        j->kt->softmax_f32(row, row, (size_t)j->length);
        for (int64_t i = 0; i < j->length; i++)
            j->y[at + i * j->inner] = (uint8_t)oc__requantize(
                row[i] / j->y_scale, j->y_zero, j->is_signed);
    }
}

static oc_status run_softmax(oc__ctx *c) {
    const oc_tensor *x = oc__in(c, 0);
    softmax_job j;
    int64_t outer;
    OC_TRY(softmax_shape(c, &outer, &j.length, &j.inner));
    j.kt = c->kernels;
    j.x = x->data;
    j.y = oc__out(c, 0)->data;
    j.is_signed = x->dtype == OC_DTYPE_I8;
    j.x_scale = scale_at(c, 1);
    j.x_zero = zero_of(c, 2);
    j.y_scale = scale_at(c, 3);
    j.y_zero = zero_of(c, 4);
    j.scratch = c->scratch;
    if (!j.length) return OC_OK;
    oc__parallel(c, outer * j.inner, 4096 / j.length + 1, softmax_range, &j);
    return OC_OK;
}

const oc__op oc__ops_qlinear_pool[] = {
    {"com.microsoft", "QLinearAveragePool", 1, 4, 5, 1, 0, K_AVERAGE,
     infer_pool, run_pool, NULL},
    {"com.microsoft", "QLinearGlobalAveragePool", 1, 5, 5, 1, 0, K_GLOBAL,
     infer_pool, run_pool, NULL},
    {"com.microsoft", "QLinearSoftmax", 1, 5, 5, 1, 0, 0, infer_softmax,
     run_softmax, NULL},
    {0},
};
