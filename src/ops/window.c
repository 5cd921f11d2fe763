/* window.c - see window.h. */
#include "ops/window.h"

#include <string.h>

/* No stride, kernel or pad of a real network comes near this; below it no
 * product of two of them overflows. */
#define LIMIT ((int64_t)1 << 30)
/* Pixels of a picture and taps of a window; their product fits, too.  Tensors
 * with no elements may claim any size, so memory alone is no bound. */
#define PIXELS_LIMIT ((int64_t)1 << 36)
#define TAPS_LIMIT   ((int64_t)1 << 24)

/* An attribute of `rank` integers in lo..LIMIT; `fallback` where absent. */
static oc_status read_list(const oc__ctx *c, const char *name, int rank,
                           int64_t lo, int64_t fallback, int64_t *out) {
    size_t n;
    const int64_t *v = oc__attr_ints(c->node, name, &n);
    for (int i = 0; i < rank; i++)
        out[i] = fallback;
    if (!v || n == 0) return OC_OK;
    if (n != (size_t)rank)
        return oc__op_fail(c, OC_E_SHAPE, "%s has %zu entries, want %d", name,
                           n, rank);
    for (int i = 0; i < rank; i++) {
        if (v[i] < lo || v[i] > LIMIT)
            return oc__op_fail(c, OC_E_SHAPE, "%s[%d] is %lld", name, i,
                               (long long)v[i]);
        out[i] = v[i];
    }
    return OC_OK;
}

static oc_status read_pads(const oc__ctx *c, oc__window *w) {
    int64_t pads[2 * OC_MAX_RANK];
    OC_TRY(read_list(c, "pads", 2 * w->rank, -LIMIT, 0, pads));
    for (int i = 0; i < w->rank; i++) {
        w->pad_lo[i] = pads[i];
        w->pad_hi[i] = pads[w->rank + i];
    }
    return OC_OK;
}

oc_status oc__window_read(const oc__ctx *c, int rank, const int64_t *in,
                          const int64_t *kernel, oc__window *w) {
    if (rank < 1 || rank > OC_MAX_RANK - 2)
        return oc__op_fail(c, OC_E_SHAPE,
                           "the input has %d spatial dimensions, want 1 to %d",
                           rank, OC_MAX_RANK - 2);
    memset(w, 0, sizeof(*w));
    w->rank = rank;
    for (int i = 0; i < rank; i++) {
        if (in[i] > LIMIT)
            return oc__op_fail(c, OC_E_LIMIT, "a dimension is %lld",
                               (long long)in[i]);
        w->in[i] = in[i];
    }
    OC_TRY(read_list(c, "kernel_shape", rank, 1, 0, w->kernel));
    for (int i = 0; i < rank; i++) {
        if (kernel && w->kernel[i] == 0) w->kernel[i] = kernel[i];
        if (w->kernel[i] < 1 || w->kernel[i] > LIMIT)
            return oc__op_fail(c, OC_E_SHAPE, "the kernel has no size");
        if (kernel && w->kernel[i] != kernel[i])
            return oc__op_fail(
                c, OC_E_SHAPE, "kernel_shape[%d] is %lld, the weight has %lld",
                i, (long long)w->kernel[i], (long long)kernel[i]);
    }
    int64_t taps, pixels;
    if (oc__dims_product(w->kernel, rank, &taps) || taps > TAPS_LIMIT)
        return oc__op_fail(c, OC_E_LIMIT, "the kernel is too large");
    if (oc__dims_product(w->in, rank, &pixels) || pixels > PIXELS_LIMIT)
        return oc__op_fail(c, OC_E_LIMIT, "the input is too large");
    OC_TRY(read_list(c, "strides", rank, 1, 1, w->stride));
    OC_TRY(read_list(c, "dilations", rank, 1, 1, w->dilation));
    return read_pads(c, w);
}

int64_t oc__window_extent(const oc__window *w, int d) {
    return (w->kernel[d] - 1) * w->dilation[d] + 1;
}

/* Division that rounds down; d > 0. */
static int64_t floor_div(int64_t n, int64_t d) {
    return n >= 0 ? n / d : -((-n + d - 1) / d);
}

/* How auto_pad splits: SAME_LOWER puts an odd pixel before. */
enum { PAD_EXPLICIT, PAD_VALID, PAD_SAME_UPPER, PAD_SAME_LOWER };

static oc_status read_auto_pad(const oc__ctx *c, int *out) {
    const char *s = oc__attr_string(c->node, "auto_pad", "NOTSET");
    if (!strcmp(s, "NOTSET") || !*s)
        *out = PAD_EXPLICIT;
    else if (!strcmp(s, "VALID"))
        *out = PAD_VALID;
    else if (!strcmp(s, "SAME_UPPER"))
        *out = PAD_SAME_UPPER;
    else if (!strcmp(s, "SAME_LOWER"))
        *out = PAD_SAME_LOWER;
    else
        return oc__op_fail(c, OC_E_ARG, "auto_pad is \"%s\"", s);
    return OC_OK;
}

static void split_pad(oc__window *w, int d, int mode, int64_t total) {
    total = OC_MAX(total, 0);
    w->pad_lo[d] = mode == PAD_SAME_UPPER ? total / 2 : total - total / 2;
    w->pad_hi[d] = total - w->pad_lo[d];
}

static oc_status check_out(const oc__ctx *c, const oc__window *w) {
    int64_t pixels;
    if (oc__dims_product(w->out, w->rank, &pixels) || pixels > PIXELS_LIMIT)
        return oc__op_fail(c, OC_E_LIMIT, "the output is too large");
    return OC_OK;
}

oc_status oc__window_fit(const oc__ctx *c, int ceil, oc__window *w) {
    int mode;
    OC_TRY(read_auto_pad(c, &mode));
    for (int d = 0; d < w->rank; d++) {
        int64_t extent = oc__window_extent(w, d), stride = w->stride[d];
        if (mode == PAD_SAME_UPPER || mode == PAD_SAME_LOWER) {
            w->out[d] = (w->in[d] + stride - 1) / stride;
            split_pad(w, d, mode, (w->out[d] - 1) * stride + extent - w->in[d]);
            continue;
        }
        if (mode == PAD_VALID) w->pad_lo[d] = w->pad_hi[d] = 0;
        int64_t room = w->in[d] + w->pad_lo[d] + w->pad_hi[d] - extent;
        /* VALID with ceil is defined as ceil((room + 1) / stride), which is
           the same as rounding down. */
        if (ceil && mode == PAD_EXPLICIT) {
            w->out[d] = floor_div(room + stride - 1, stride) + 1;
            if ((w->out[d] - 1) * stride >= w->in[d] + w->pad_lo[d])
                w->out[d]--;
        } else {
            w->out[d] = floor_div(room, stride) + 1;
        }
        if (w->out[d] < 0 || (room < 0 && !ceil))
            return oc__op_fail(
                c, OC_E_SHAPE,
                "a window of %lld does not fit into %lld with padding %lld",
                (long long)extent, (long long)w->in[d],
                (long long)(w->pad_lo[d] + w->pad_hi[d]));
    }
    return check_out(c, w);
}

oc_status oc__window_fit_transposed(const oc__ctx *c, oc__window *w) {
    int mode;
    int64_t extra[OC_MAX_RANK], shape[OC_MAX_RANK];
    OC_TRY(read_auto_pad(c, &mode));
    OC_TRY(read_list(c, "output_padding", w->rank, 0, 0, extra));
    /* Some exporters write the batch and channel dims into output_shape. */
    size_t n;
    const int64_t *full = oc__attr_ints(c->node, "output_shape", &n);
    if (full && n == (size_t)w->rank + 2) {
        for (int d = 0; d < w->rank; d++)
            shape[d] = full[d + 2];
    } else {
        OC_TRY(read_list(c, "output_shape", w->rank, 0, -1, shape));
    }
    for (int d = 0; d < w->rank; d++) {
        int64_t whole =
            (w->in[d] - 1) * w->stride[d] + extra[d] + oc__window_extent(w, d);
        int same = mode == PAD_SAME_UPPER || mode == PAD_SAME_LOWER;
        if (w->in[d] == 0) whole = 0;
        if (mode == PAD_VALID) w->pad_lo[d] = w->pad_hi[d] = 0;
        if (shape[d] < 0 && same) shape[d] = w->in[d] * w->stride[d];
        if (shape[d] >= 0) {
            split_pad(w, d, mode, whole - shape[d]);
            w->out[d] = shape[d];
        } else {
            w->out[d] = whole - w->pad_lo[d] - w->pad_hi[d];
        }
        if (w->out[d] < 0 || w->out[d] > LIMIT)
            return oc__op_fail(c, OC_E_SHAPE, "output dimension %d is %lld", d,
                               (long long)w->out[d]);
    }
    return check_out(c, w);
}

void oc__window_span(const oc__window *w, int d, int64_t k, int64_t *lo,
                     int64_t *hi) {
    /* 0 <= o * stride + shift < in */
    int64_t shift = k * w->dilation[d] - w->pad_lo[d];
    int64_t first = floor_div(-shift + w->stride[d] - 1, w->stride[d]);
    int64_t last = floor_div(w->in[d] - 1 - shift, w->stride[d]);
    *lo = OC_MAX(first, 0);
    *hi = OC_MIN(last + 1, w->out[d]);
    if (*hi < *lo) *hi = *lo;
}

int64_t oc__window_inside(const oc__window *w, int d, int64_t o,
                          int include_pad) {
    int64_t start = o * w->stride[d] - w->pad_lo[d], step = w->dilation[d];
    int64_t end = w->in[d] + (include_pad ? w->pad_hi[d] : 0);
    int64_t first = start < 0 && !include_pad ? (-start + step - 1) / step : 0;
    int64_t last = end > start ? (end - start + step - 1) / step : 0;
    last = OC_MIN(last, w->kernel[d]);
    return OC_MAX(last - first, 0);
}

oc_status oc__window_depth(const oc__ctx *c, const oc__window *w,
                           int64_t channels, int64_t *out) {
    int64_t taps = oc__window_taps(w, w->rank);
    if (channels > LIMIT / taps)
        return oc__op_fail(c, OC_E_LIMIT, "%lld channels are too many",
                           (long long)channels);
    *out = channels * taps;
    return OC_OK;
}

int64_t oc__window_taps(const oc__window *w, int dims) {
    int64_t n = 1;
    for (int d = 0; d < dims; d++)
        n *= w->kernel[d];
    return n;
}

oc_status oc__groups_read(const oc__ctx *c, const oc_tensor *x,
                          const oc_tensor *w, const oc_tensor *bias,
                          oc__groups *g) {
    g->count = oc__attr_int(c->node, "group", 1);
    g->in = w->dims[1];
    if (g->count < 1 || w->dims[0] % g->count || x->dims[1] % g->count ||
        x->dims[1] / g->count != g->in)
        return oc__op_fail(c, OC_E_SHAPE,
                           "%lld channels, %lld in the weight, and %lld groups "
                           "do not fit",
                           (long long)x->dims[1], (long long)w->dims[1],
                           (long long)g->count);
    g->out = w->dims[0] / g->count;
    if (bias && oc_tensor_elems(bias) != w->dims[0])
        return oc__op_fail(c, OC_E_SHAPE, "the bias has %lld values, want %lld",
                           (long long)oc_tensor_elems(bias),
                           (long long)w->dims[0]);
    return OC_OK;
}

int oc__odometer(int64_t *at, const int64_t *dims, int n) {
    for (int d = n - 1; d >= 0; d--) {
        if (++at[d] < dims[d]) return 1;
        at[d] = 0;
    }
    return 0;
}

void oc__unravel(int64_t index, const int64_t *dims, int n, int64_t *at) {
    for (int d = n - 1; d >= 0; d--) {
        at[d] = dims[d] ? index % dims[d] : 0;
        index = dims[d] ? index / dims[d] : 0;
    }
}
