/* resample_spec.c - what a resize means; see resample.h. */
#include "ops/resample.h"

#include <math.h>
#include <string.h>

/* ---- reading ---------------------------------------------------------------
 */

static oc_status read_name(const oc__ctx *c, const char *attr,
                           const char *const *names, int n, int *out) {
    const char *s = oc__attr_string(c->node, attr, names[0]);
    for (int i = 0; i < n; i++)
        if (!strcmp(s, names[i])) {
            *out = i;
            return OC_OK;
        }
    return oc__op_fail(c, OC_E_UNSUPPORTED, "%s is \"%s\"", attr, s);
}

/* Upsample, or its gradient. */
static int is_upsample(const oc__ctx *c) {
    return !strncmp(c->op->name, "Upsample", 8);
}

static oc_status read_modes(oc__ctx *c, oc__resize_spec *s) {
    static const char *const coords[OC_COORD_COUNT] = {
        "half_pixel",         "half_pixel_symmetric", "pytorch_half_pixel",
        "align_corners",      "asymmetric",           "tf_half_pixel_for_nn",
        "tf_crop_and_resize",
    };
    static const char *const rounds[] = {"round_prefer_floor",
                                         "round_prefer_ceil", "floor", "ceil"};
    const char *mode = oc__attr_string(c->node, "mode", "nearest");
    int v = 0;
    if (!strcmp(mode, "nearest"))
        s->mode = OC_RESIZE_NEAREST;
    else if (!strcmp(mode, "linear") || !strcmp(mode, "bilinear"))
        s->mode = OC_RESIZE_LINEAR;
    else if (!strcmp(mode, "cubic"))
        s->mode = OC_RESIZE_CUBIC;
    else
        return oc__op_fail(c, OC_E_UNSUPPORTED, "mode is \"%s\"", mode);
    if (c->node->version < 11 || is_upsample(c)) {
        s->coord = OC_COORD_ASYMMETRIC;
        s->round = OC_ROUND_SIMPLE;
        return OC_OK;
    }
    OC_TRY(read_name(c, "coordinate_transformation_mode", coords,
                     OC_COORD_COUNT, &v));
    s->coord = (oc__resize_coord)v;
    OC_TRY(read_name(c, "nearest_mode", rounds, 4, &v));
    s->round = (oc__resize_round)v;
    s->a = oc__attr_float(c->node, "cubic_coeff_a", -0.75f);
    s->exclude_outside = oc__attr_int(c->node, "exclude_outside", 0) != 0;
    s->extrapolation = oc__attr_float(c->node, "extrapolation_value", 0);
    s->antialias = oc__attr_int(c->node, "antialias", 0) != 0;
    if (s->antialias && s->mode == OC_RESIZE_NEAREST)
        return oc__op_fail(c, OC_E_ARG, "antialias with nearest");
    return OC_OK;
}

/* A non-empty input, or NULL: an empty one counts as absent (opset 11). */
static const oc_tensor *given(const oc__ctx *c, int i) {
    const oc_tensor *t = oc__in(c, i);
    return t && oc_tensor_elems(t) > 0 ? t : NULL;
}

/* The inputs' places changed: (X, scales) up to opset 10, (X, roi, scales,
   sizes) from 11 on. */
static const oc_tensor *scales_input(const oc__ctx *c) {
    int old = is_upsample(c) || c->node->version < 11;
    return given(c, old ? 1 : 2);
}

/* Scale of entry i of the list, wherever the version keeps it. */
static oc_status scale_at(const oc__ctx *c, int i, int n, double *scale) {
    const oc_tensor *t = scales_input(c);
    size_t count;
    const float *attr = oc__attr_floats(c->node, "scales", &count);
    if (t) {
        if (t->rank != 1 || t->dims[0] != n)
            return oc__op_fail(c, OC_E_SHAPE, "%lld scales for %d axes",
                               (long long)oc_tensor_elems(t), n);
        *scale = oc__tensor_get_f64(t, i);
    } else if (attr) {
        if (count != (size_t)n)
            return oc__op_fail(c, OC_E_SHAPE, "%zu scales for %d axes", count,
                               n);
        *scale = attr[i];
    } else if (oc__attr_find(c->node, "height_scale")) { /* Upsample 1 */
        *scale = i == n - 2   ? oc__attr_float(c->node, "height_scale", 1)
                 : i == n - 1 ? oc__attr_float(c->node, "width_scale", 1)
                              : 1;
    } else {
        return oc__op_fail(c, OC_E_ARG, "neither scales nor sizes are given");
    }
    if (!(*scale > 0 && *scale < 1e9))
        return oc__op_fail(c, OC_E_ARG, "scale %g", *scale);
    return OC_OK;
}

/* Axes the lists speak of: all, or those of the attribute. */
static oc_status read_axes(const oc__ctx *c, int rank, int *axes, int *n) {
    size_t count;
    unsigned seen = 0;
    const int64_t *attr = oc__attr_ints(c->node, "axes", &count);
    *n = rank;
    for (int i = 0; i < rank; i++)
        axes[i] = i;
    if (!attr || !count) return OC_OK;
    if (count > (size_t)rank)
        return oc__op_fail(c, OC_E_SHAPE, "%zu axes for rank %d", count, rank);
    *n = (int)count;
    for (int i = 0; i < *n; i++) {
        OC_TRY(oc__axis(c, attr[i], rank, &axes[i]));
        if (seen >> axes[i] & 1)
            return oc__op_fail(c, OC_E_ARG, "axis %d is named twice", axes[i]);
        seen |= 1u << axes[i];
    }
    return OC_OK;
}

static oc_status read_roi(const oc__ctx *c, oc__resize_spec *s, const int *axes,
                          int n) {
    const oc_tensor *roi = given(c, 1);
    if (!roi || roi->rank != 1 || roi->dims[0] != 2 * n)
        return oc__op_fail(c, OC_E_SHAPE, "roi needs %d numbers", 2 * n);
    for (int i = 0; i < n; i++) {
        s->axis[axes[i]].begin = oc__tensor_get_f64(roi, i);
        s->axis[axes[i]].end = oc__tensor_get_f64(roi, n + i);
    }
    return OC_OK;
}

/* Sizes as they are, or, keeping the aspect ratio, one scale for all axes:
   the smallest that fits inside, or the largest that covers. */
static oc_status use_sizes(const oc__ctx *c, oc__resize_spec *s,
                           const int *axes, int n) {
    int64_t sizes[OC_MAX_RANK];
    int count;
    const char *policy =
        oc__attr_string(c->node, "keep_aspect_ratio_policy", "stretch");
    int larger = !strcmp(policy, "not_smaller");
    int smaller = !strcmp(policy, "not_larger");
    if (!larger && !smaller && strcmp(policy, "stretch"))
        return oc__op_fail(c, OC_E_UNSUPPORTED,
                           "keep_aspect_ratio_policy is "
                           "\"%s\"",
                           policy);
    OC_TRY(oc__in_ints(c, 3, sizes, OC_MAX_RANK, &count));
    if (count != n)
        return oc__op_fail(c, OC_E_SHAPE, "%d sizes for %d axes", count, n);
    double best = 0;
    for (int i = 0; i < n; i++) {
        oc__resize_axis *a = &s->axis[axes[i]];
        if (sizes[i] < 0 || (a->in == 0 && sizes[i] > 0))
            return oc__op_fail(c, OC_E_SHAPE, "%lld elements become %lld",
                               (long long)a->in, (long long)sizes[i]);
        a->out = sizes[i];
        a->scale = a->in ? (double)a->out / (double)a->in : 1;
        a->width = (double)a->out;
        if (i == 0 || (larger ? a->scale > best : a->scale < best))
            best = a->scale;
    }
    for (int i = 0; i < n && (larger || smaller); i++) {
        oc__resize_axis *a = &s->axis[axes[i]];
        a->scale = best;
        a->width = best * (double)a->in;
        a->out = (int64_t)(a->width + 0.5);
    }
    return OC_OK;
}

static oc_status use_scales(const oc__ctx *c, oc__resize_spec *s,
                            const int *axes, int n) {
    for (int i = 0; i < n; i++) {
        oc__resize_axis *a = &s->axis[axes[i]];
        OC_TRY(scale_at(c, i, n, &a->scale));
        /* In float, as shape inference everywhere does: 0.7f * 10 is 7. */
        a->width = (float)a->in * (float)a->scale;
        double out = a->width;
        if (s->coord == OC_COORD_TF_CROP_AND_RESIZE)
            out = (float)a->in * (float)(a->end - a->begin) * (float)a->scale;
        if (!(out >= 0 && out < 1e15))
            return oc__op_fail(c, OC_E_LIMIT, "axis %d becomes %g", axes[i],
                               out);
        a->out = (int64_t)floor(out);
        if (s->coord == OC_COORD_TF_CROP_AND_RESIZE) a->width = (double)a->out;
    }
    return OC_OK;
}

/* Input positions an output position looks at: the filter's width, which
   grows with the reduction under antialias. */
static void count_taps(const oc__resize_spec *s, oc__resize_axis *a) {
    double radius = s->mode == OC_RESIZE_CUBIC ? 2 : 1;
    if (s->antialias && a->scale < 1) radius = -floor(-radius / a->scale);
    a->taps = s->mode == OC_RESIZE_NEAREST ? 1 : (int)OC_MIN(2 * radius, 1e9);
    a->resized = a->in != a->out;
    /* The same length can still mean other places (a region, a scale). */
    for (int64_t x = 0; !a->resized && x < a->out; x++)
        a->resized = oc__resize_position(s, a, x) != (double)x;
}

oc_status oc__resize_read(oc__ctx *c, oc__resize_spec *s) {
    const oc_tensor *x = oc__in(c, 0);
    int axes[OC_MAX_RANK], n;
    memset(s, 0, sizeof *s);
    s->rank = x->rank;
    for (int i = 0; i < x->rank; i++) {
        int64_t d = x->dims[i];
        s->axis[i] = (oc__resize_axis){d, d, 1, (double)d, 0, 1, 1, 0};
    }
    OC_TRY(read_modes(c, s));
    OC_TRY(read_axes(c, x->rank, axes, &n));
    if (s->coord == OC_COORD_TF_CROP_AND_RESIZE)
        OC_TRY(read_roi(c, s, axes, n));
    if (!is_upsample(c) && c->node->version >= 11 && given(c, 3))
        OC_TRY(use_sizes(c, s, axes, n));
    else
        OC_TRY(use_scales(c, s, axes, n));
    for (int i = 0; i < x->rank; i++)
        count_taps(s, &s->axis[i]);
    return OC_OK;
}

/* ---- positions -------------------------------------------------------------
 */

/*
 * The order of operations is that of ONNX's reference, because nearest mode
 * turns the last bit of a position into another pixel.
 */
double oc__resize_position(const oc__resize_spec *s, const oc__resize_axis *a,
                           int64_t x) {
    double in = (double)a->in, at = (double)x;
    switch (s->coord) {
    case OC_COORD_ALIGN_CORNERS:
        return a->width == 1 ? 0 : at * (in - 1) / (a->width - 1);
    case OC_COORD_ASYMMETRIC: return at / a->scale;
    case OC_COORD_TF_HALF_PIXEL_FOR_NN: return (at + 0.5) / a->scale;
    case OC_COORD_TF_CROP_AND_RESIZE:
        if (a->out == 1) return (a->begin + a->end) * (in - 1) / 2;
        return at * (a->end - a->begin) * (in - 1) / (a->width - 1) +
               a->begin * (in - 1);
    case OC_COORD_PYTORCH_HALF_PIXEL:
        return a->out == 1 ? 0 : (at + 0.5) / a->scale - 0.5;
    case OC_COORD_HALF_PIXEL_SYMMETRIC: {
        /* The middle of the input stays in the middle of the output. */
        double adjust = (double)a->out / a->width;
        return in / 2 * (1 - adjust) + (at + 0.5) / a->scale - 0.5;
    }
    default: return (at + 0.5) / a->scale - 0.5;
    }
}

static int position_outside(const oc__resize_spec *s, const oc__resize_axis *a,
                            double at) {
    return s->coord == OC_COORD_TF_CROP_AND_RESIZE &&
           !(at >= 0 && at <= (double)(a->in - 1));
}

static int64_t clamp_index(double at, int64_t n) {
    return at <= 0 ? 0 : at >= (double)(n - 1) ? n - 1 : (int64_t)at;
}

int64_t oc__resize_nearest(const oc__resize_spec *s, const oc__resize_axis *a,
                           int64_t x) {
    double at = oc__resize_position(s, a, x);
    if (position_outside(s, a, at)) return -1;
    double low = floor(at), part = at - low;
    int up;
    switch (s->round) {
    case OC_ROUND_PREFER_FLOOR: up = part > 0.5; break;
    case OC_ROUND_PREFER_CEIL: up = part >= 0.5; break;
    case OC_ROUND_FLOOR: up = 0; break;
    case OC_ROUND_CEIL: up = part > 0; break;
    default: up = part > 0 && a->scale < 1; break;
    }
    return clamp_index(low + up, a->in);
}

/* Keys' cubic convolution. */
static double cubic(double x, double a) {
    x = fabs(x);
    if (x <= 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
    if (x < 2) return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a;
    return 0;
}

/* The positions around `at`, the nearest in the middle.  Those outside are
   clamped to the border (its pixel repeats) unless they are to be left out. */
int oc__resize_taps(const oc__resize_spec *s, const oc__resize_axis *a,
                    int64_t x, int64_t *index, double *weight) {
    double at = oc__resize_position(s, a, x), sum = 0;
    if (position_outside(s, a, at)) return 1;
    /* The filter stretches when shrinking, so that no input is skipped. */
    double stretch = s->antialias ? OC_MIN(a->scale, 1) : 1;
    double first = ceil(at) - 1 - (a->taps / 2 - 1);
    for (int k = 0; k < a->taps; k++) {
        double i = first + k, d = (i - at) * stretch, w;
        if (s->mode == OC_RESIZE_CUBIC)
            w = cubic(d, s->a);
        else
            w = fmax(0, 1 - fabs(d));
        if (s->exclude_outside && (i < 0 || i >= (double)a->in)) w = 0;
        index[k] = clamp_index(i, a->in);
        weight[k] = w;
        sum += w;
    }
    if ((s->exclude_outside || s->antialias) && sum != 0)
        for (int k = 0; k < a->taps; k++)
            weight[k] /= sum;
    return 0;
}
