/*
 * qconv_depth.c - depthwise convolution of 8-bit integers; see qconv.c.
 *
 * A row of output positions is summed tap by tap, the input read where it
 * lies.  Taps outside the picture are zero points and add nothing.
 */
#include "ops/qconv.h"

#include <string.h>

typedef struct depth_job {
    const oc__ctx *c;
    const oc__qconv *q;
    char *y;
    int64_t rows; /* of a plane */
} depth_job;

/* sums[i] += (x[i * step] - zero) * weight, modulo 2^32 */
#define TAP(at) (uint32_t)((x[at] - zero) * weight)
#define MAC(T)                                                                 \
    do {                                                                       \
        const T *x = (const T *)from;                                          \
        if (step == 1)                                                         \
            for (int64_t i = 0; i < n; i++)                                    \
                sums[i] += TAP(i);                                             \
        else                                                                   \
            for (int64_t i = 0; i < n; i++)                                    \
                sums[i] += TAP(i * step);                                      \
    } while (0)

static void add_tap(const oc__qconv *q, const void *from, int64_t step,
                    int32_t weight, uint32_t *sums, int64_t n) {
    const int32_t zero = q->x_zero_value;
    if (q->x_signed)
        MAC(int8_t);
    else
        MAC(uint8_t);
}

/* Output positions [lo, hi) of one row, of plane `plane`; o is the row. */
static void sum_row(const oc__qconv *q, const char *plane, const char *w,
                    int32_t w_zero, const int64_t *o, int64_t lo, int64_t hi,
                    uint32_t *sums) {
    const oc__window *win = &q->window;
    int last = win->rank - 1;
    int64_t tap[OC_MAX_RANK] = {0};
    memset(sums, 0, (size_t)(hi - lo) * sizeof(*sums));
    do {
        int64_t row = 0;
        int inside = 1;
        for (int d = 0; d < last; d++) {
            int64_t at = o[d] * win->stride[d] + tap[d] * win->dilation[d] -
                         win->pad_lo[d];
            inside &= at >= 0 && at < win->in[d];
            row = row * win->in[d] + at;
        }
        int64_t kernel = win->kernel[last];
        if (!inside) {
            w += kernel;
            continue;
        }
        const char *line = plane + row * win->in[last];
        for (int64_t k = 0; k < kernel; k++, w++) {
            int64_t from, to;
            oc__window_span(win, last, k, &from, &to);
            from = OC_MAX(from, lo);
            to = OC_MIN(to, hi);
            if (from >= to) continue;
            int64_t at = from * win->stride[last] + k * win->dilation[last] -
                         win->pad_lo[last];
            int32_t weight = (q->w_signed ? (int8_t)*w : (uint8_t)*w) - w_zero;
            add_tap(q, line + at, win->stride[last], weight, sums + (from - lo),
                    to - from);
        }
    } while (oc__odometer(tap, win->kernel, last));
}

static void store_row(const oc__qconv *q, const char *scratch, int64_t channel,
                      const uint32_t *sums, int64_t n, char *y) {
    if (q->y_type == OC_DTYPE_I32) {
        memcpy(y, sums, (size_t)n * 4);
        return;
    }
    float scale = ((const float *)(const void *)(scratch + q->scales))[channel];
    uint32_t bias =
        ((const uint32_t *)(const void *)(scratch + q->biases))[channel];
    int is_signed = q->y_type == OC_DTYPE_I8;
    for (int64_t i = 0; i < n; i++)
        y[i] = (char)oc__requantize((float)(int32_t)(sums[i] + bias) * scale,
                                    q->y_zero_value, is_signed);
}

/* Items are rows of all planes. */
static void depth_range(void *user, int64_t begin, int64_t end, int worker) {
    const depth_job *j = user;
    const oc__qconv *q = j->q;
    const oc__window *win = &q->window;
    const char *s = j->c->scratch;
    const int32_t *zeros = (const int32_t *)(const void *)(s + q->zeros);
    uint32_t *sums = (uint32_t *)(void *)((char *)j->c->scratch + q->workers +
                                          (size_t)worker * q->worker_bytes);
    int last = win->rank - 1;
    int64_t width = win->out[last], o[OC_MAX_RANK];
    size_t each = oc_dtype_bytes(q->y_type);
    for (int64_t item = begin; item < end; item++) {
        int64_t plane = item / j->rows, channel = plane % q->group;
        oc__unravel(item % j->rows, win->out, last, o);
        const char *x = (const char *)q->x->data + plane * q->in_pixels;
        const char *w = (const char *)q->w->data + channel * q->depth;
        char *y = j->y + (size_t)(item * width) * each;
        for (int64_t lo = 0; lo < width; lo += OC_QCONV_ROW) {
            int64_t hi = OC_MIN(lo + OC_QCONV_ROW, width);
            sum_row(q, x, w, zeros[channel], o, lo, hi, sums);
            store_row(q, s, channel, sums, hi - lo, y + (size_t)lo * each);
        }
    }
}

void oc__qconv_depthwise(const oc__ctx *c, const oc__qconv *q, oc_tensor *y) {
    depth_job j = {c, q, y->data, 1};
    for (int i = 0; i < q->window.rank - 1; i++)
        j.rows *= q->window.out[i];
    int64_t work = q->window.out[q->window.rank - 1] * q->depth;
    oc__parallel(c, q->batch * q->group * j.rows, 16384 / (work + 1) + 1,
                 depth_range, &j);
}
