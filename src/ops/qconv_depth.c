/*
 * qconv_depth.c - depthwise convolution of 8-bit integers; see qconv.c.
 *
 * A band of output rows at a time: the input rows it needs are copied, less
 * the zero point and with the padding as zeros, into planes of f32, one for
 * each pair of stride phases, so that what a tap sees at neighbouring outputs
 * lies side by side (stride 2, rows 0..3 of 5 columns):
 *
 *     a b c d e          a c e   b d .
 *     f g h i j    ->    k m o   l n .     even rows: even, odd columns
 *     k l m n o          f h j   g i .
 *     p q r s t          p r t   q s .     odd rows
 *
 * A whole band is then one run of sums of taps.  Products of bytes are
 * integers below 2^16, and f32 adds up 2^8 of them exactly.
 */
#include "ops/qconv.h"

#include <string.h>

/* Taps whose sum of products stays below 2^24. */
#define TAPS_MOST 256
/* Floats of a band's planes: half of an L2 of 256 KiB. */
#define BAND_ELEMS 32768

/* The geometry as two dimensions; one is a picture of height 1. */
typedef struct depth_job {
    const oc__ctx *c;
    const oc__qconv *q;
    char *y;
    int64_t in_h, in_w, out_h, out_w, kernel_h, kernel_w;
    int64_t stride_h, stride_w, dilation_h, dilation_w, pad_h, pad_w;
    int64_t band_in;              /* input rows that a band sees, at most */
    int64_t bands;                /* of a plane, q->band_rows outputs each */
    int64_t plane_w, plane_elems; /* of one pair of phases */
} depth_job;

int oc__qconv_depth_can(const oc__qconv *q) {
    return q->group_in == 1 && q->group_out == 1 && q->group > 1 &&
           q->window.rank <= 2 && q->depth <= TAPS_MOST;
}

static void shape_job(const oc__qconv *q, depth_job *j) {
    const oc__window *w = &q->window;
    int x = w->rank - 1;
    j->in_w = w->in[x];
    j->out_w = w->out[x];
    j->kernel_w = w->kernel[x];
    j->stride_w = w->stride[x];
    j->dilation_w = w->dilation[x];
    j->pad_w = w->pad_lo[x];
    j->in_h = x ? w->in[0] : 1;
    j->out_h = x ? w->out[0] : 1;
    j->kernel_h = x ? w->kernel[0] : 1;
    j->stride_h = x ? w->stride[0] : 1;
    j->dilation_h = x ? w->dilation[0] : 1;
    j->pad_h = x ? w->pad_lo[0] : 0;
    int64_t across =
        (j->out_w - 1) * j->stride_w + (j->kernel_w - 1) * j->dilation_w + 1;
    int64_t down = (q->band_rows - 1) * j->stride_h +
                   (j->kernel_h - 1) * j->dilation_h + 1;
    j->plane_w = OC_CEIL_DIV(OC_MAX(across, 1), j->stride_w);
    j->plane_elems = j->plane_w * OC_CEIL_DIV(OC_MAX(down, 1), j->stride_h);
    j->band_in = OC_MIN(OC_MAX(down, 1), j->in_h);
    j->bands = OC_CEIL_DIV(j->out_h, q->band_rows);
}

size_t oc__qconv_depth_scratch(oc__qconv *q) {
    depth_job j;
    /* As many rows as fit; at least one, however wide. */
    q->band_rows = q->window.rank > 1 ? q->window.out[0] : 1;
    if (q->band_rows < 1) q->band_rows = 1;
    for (;;) {
        shape_job(q, &j);
        int64_t elems = j.plane_elems * j.stride_h * j.stride_w;
        if (elems <= BAND_ELEMS || q->band_rows == 1) break;
        q->band_rows = (q->band_rows + 1) / 2;
    }
    size_t planes = (size_t)(j.plane_elems * j.stride_h * j.stride_w);
    size_t sums = (size_t)(q->band_rows * j.plane_w);
    q->at_sums = oc__align_up(planes * sizeof(float), OC_ALIGN);
    q->at_input = q->at_sums + oc__align_up(sums * sizeof(float), OC_ALIGN);
    q->at_bytes =
        q->at_input +
        oc__align_up((size_t)(j.band_in * j.in_w) * sizeof(float), OC_ALIGN);
    return q->at_bytes + oc__align_up(sums, OC_ALIGN);
}

/* One row of the input, as floats, into the planes of its phase. */
static void fill_row(const depth_job *j, const float *row, float *planes) {
    int64_t s = j->stride_w;
    /* Columns of the row that some tap sees. */
    int64_t first = OC_MAX(j->pad_w, 0);
    int64_t last = OC_MIN(j->pad_w + j->in_w, j->plane_w * s);
    if (first >= last) return;
    row += first - j->pad_w;
    if (s == 1) {
        memcpy(planes + first, row, (size_t)(last - first) * sizeof(*row));
        return;
    }
    for (int64_t p = 0; p < s; p++) {
        /* Columns first + i with (first + i) % s == p. */
        int64_t i = (p - first % s + s) % s;
        float *to = planes + p * j->plane_elems + (first + i) / s;
        for (int64_t k = 0; i < last - first; i += s, k++)
            to[k] = row[i];
    }
}

/* The planes of a band: its input rows in one piece, then row by row. */
static void fill_planes(const depth_job *j, const char *x, int64_t y0,
                        int64_t rows, float *input, float *planes) {
    const oc__qconv *q = j->q;
    const oc__kernels *kt = j->c->kernels;
    int64_t s = j->stride_h, top = y0 * s - j->pad_h;
    int64_t down = (rows - 1) * s + (j->kernel_h - 1) * j->dilation_h + 1;
    int64_t lo = OC_MAX(top, 0), hi = OC_MIN(top + down, j->in_h);
    memset(planes, 0, q->at_sums);
    if (lo >= hi) return;
    size_t n = (size_t)((hi - lo) * j->in_w);
    x += lo * j->in_w;
    if (q->x_signed)
        kt->dequantize_i8((const int8_t *)x, 1, q->x_zero_value, input, n);
    else
        kt->dequantize_u8((const uint8_t *)x, 1, q->x_zero_value, input, n);
    for (int64_t at = lo; at < hi; at++) {
        int64_t r = at - top;
        fill_row(j, input + (at - lo) * j->in_w,
                 planes + r % s * j->stride_w * j->plane_elems +
                     r / s * j->plane_w);
    }
}

/* Weights of a channel less their zero point, and where each tap reads. */
static size_t read_taps(const depth_job *j, int64_t channel, float *w,
                        size_t *at) {
    const oc__qconv *q = j->q;
    const uint8_t *from = (const uint8_t *)q->w->data + channel * q->depth;
    int32_t zero = ((const int32_t *)(const void *)((char *)j->c->scratch +
                                                    q->zeros))[channel];
    size_t t = 0;
    for (int64_t r = 0; r < j->kernel_h; r++)
        for (int64_t k = 0; k < j->kernel_w; k++, t++) {
            int64_t dy = r * j->dilation_h, dx = k * j->dilation_w;
            int64_t phase = dy % j->stride_h * j->stride_w + dx % j->stride_w;
            int v = q->w_signed ? (int8_t)from[t] : from[t];
            w[t] = (float)(v - zero);
            at[t] = (size_t)(phase * j->plane_elems +
                             dy / j->stride_h * j->plane_w + dx / j->stride_w);
        }
    return t;
}

/* Sums to bytes all at once, the columns between the rows included; then the
   rows alone. */
static void store_rows(const depth_job *j, int64_t channel, int64_t rows,
                       float *sums, uint8_t *bytes, char *y) {
    const oc__qconv *q = j->q;
    const oc__kernels *kt = j->c->kernels;
    const char *s = j->c->scratch;
    float scale = ((const float *)(const void *)(s + q->scales))[channel];
    float bias =
        (float)((const int32_t *)(const void *)(s + q->biases))[channel];
    size_t n = (size_t)((rows - 1) * j->plane_w + j->out_w);
    if (q->y_type == OC_DTYPE_I32) {
        int32_t *to = (int32_t *)(void *)y;
        for (int64_t r = 0; r < rows; r++)
            for (int64_t i = 0; i < j->out_w; i++)
                *to++ = (int32_t)sums[r * j->plane_w + i];
        return;
    }
    kt->binary_f32(OC_BINARY_ADD, sums, 1, &bias, 0, sums, n);
    kt->binary_f32(OC_BINARY_MUL, sums, 1, &scale, 0, sums, n);
    if (q->y_type == OC_DTYPE_I8)
        kt->quantize_i8(sums, 1, q->y_zero_value, (int8_t *)bytes, n);
    else
        kt->quantize_u8(sums, 1, q->y_zero_value, bytes, n);
    for (int64_t r = 0; r < rows; r++)
        memcpy(y + r * j->out_w, bytes + r * j->plane_w, (size_t)j->out_w);
}

/* Items are bands of all planes. */
static void depth_range(void *user, int64_t begin, int64_t end, int worker) {
    const depth_job *j = user;
    const oc__qconv *q = j->q;
    char *mine =
        (char *)j->c->scratch + q->workers + (size_t)worker * q->worker_bytes;
    float *planes = (float *)(void *)mine;
    float *sums = (float *)(void *)(mine + q->at_sums);
    float *input = (float *)(void *)(mine + q->at_input);
    uint8_t *bytes = (uint8_t *)mine + q->at_bytes;
    float w[TAPS_MOST];
    size_t at[TAPS_MOST], each = oc_dtype_bytes(q->y_type);
    for (int64_t item = begin; item < end; item++) {
        int64_t plane = item / j->bands, channel = plane % q->group;
        int64_t y0 = item % j->bands * q->band_rows;
        int64_t rows = OC_MIN(q->band_rows, j->out_h - y0);
        const char *x = (const char *)q->x->data + plane * q->in_pixels;
        size_t to = (size_t)(plane * q->out_pixels + y0 * j->out_w);
        fill_planes(j, x, y0, rows, input, planes);
        size_t taps = read_taps(j, channel, w, at);
        j->c->kernels->taps_f32(planes, at, w, taps, sums,
                                (size_t)((rows - 1) * j->plane_w + j->out_w));
        store_rows(j, channel, rows, sums, bytes, j->y + to * each);
    }
}

void oc__qconv_depthwise(const oc__ctx *c, const oc__qconv *q, oc_tensor *y) {
    depth_job j = {.c = c, .q = q, .y = y->data};
    shape_job(q, &j);
    int64_t work = q->band_rows * j.out_w * q->depth;
    oc__parallel(c, q->batch * q->group * j.bands, 65536 / (work + 1) + 1,
                 depth_range, &j);
}
