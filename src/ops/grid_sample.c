/*
 * grid_sample.c - GridSample and AffineGrid.
 *
 * A sample point is turned into positions along each spatial axis; each
 * position into at most four (index, weight) taps; the result is the sum over
 * the product of taps.  An index of -1 stands for a zero outside the picture.
 */
#include "ops/op.h"

#include <math.h>
#include <string.h>

enum { SPACE = OC_MAX_RANK - 2 }; /* spatial dims at most */

typedef enum sample_mode { NEAREST, LINEAR, CUBIC } sample_mode;
typedef enum sample_pad { ZEROS, BORDER, REFLECTION } sample_pad;

typedef struct taps {
    int n;
    int64_t index[4];
    double weight[4];
} taps;

typedef struct sampler {
    const oc_tensor *x, *grid;
    oc_tensor *y;
    sample_mode mode;
    sample_pad pad;
    int align, dims; /* spatial dims */
    int64_t size[SPACE], stride[SPACE];
    int64_t points, plane; /* output points and input elements a channel */
} sampler;

/* ---- positions -------------------------------------------------------------
 */

/* Mirrors v at both borders until it lies between them. */
static double reflect(double v, double lo, double hi) {
    double range = hi - lo, d;
    if (v >= lo && v <= hi) return v;
    if (!(range > 0)) return lo;
    d = v < lo ? lo - v : v - hi;
    double turns = floor(d / range), rest = d - turns * range;
    int even = fmod(turns, 2) == 0;
    return (v < lo) == even ? lo + rest : hi - rest;
}

/* Index of the pixel at position i by the rule for the outside. */
static int64_t pixel_index(const sampler *s, double i, int64_t size) {
    double last = (double)(size - 1);
    if (i >= 0 && i <= last) return (int64_t)i;
    if (s->pad == ZEROS || isnan(i)) return -1;
    if (s->pad == REFLECTION)
        i = trunc(s->align ? reflect(i, 0, last)
                           : reflect(i, -0.5, last + 0.5));
    return i <= 0 ? 0 : i >= last ? size - 1 : (int64_t)i;
}

/* Keys' cubic convolution (IEEE Trans. ASSP 29, 1981) with a = -3/4, as the
   specification fixes it. */
static double cubic(double x) {
    const double a = -0.75;
    x = fabs(x);
    if (x <= 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
    return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a;
}

/* From -1..1 to pixels, in the grid's own precision: a point that lies on the
   border of a pixel there must not leave it here. */
static double to_pixels(const sampler *s, double v, int64_t size) {
    double n = (double)size;
    if (s->grid->dtype == OC_DTYPE_F64)
        return s->align ? (v + 1) / 2 * (n - 1) : ((v + 1) * n - 1) / 2;
    float f = (float)v + 1, m = (float)n;
    return s->align ? f / 2 * (m - 1) : (f * m - 1) / 2;
}

/* The places that position v of one axis takes its value from. */
static void make_taps(const sampler *s, double v, int64_t size, taps *t) {
    double n = (double)size, at = to_pixels(s, v, size);
    double lo = s->align ? 0 : -0.5, hi = s->align ? n - 1 : n - 0.5;
    if (s->mode == NEAREST) at = nearbyint(at);
    /* Cubic moves its four places one by one, not the point between them. */
    if (s->mode != CUBIC && (at < lo || at > hi)) {
        if (s->pad == BORDER) at = fmax(0, fmin(at, n - 1));
        if (s->pad == REFLECTION) at = (float)reflect(at, lo, hi);
    }
    double first = floor(at);
    t->n = 2;
    if (s->mode == NEAREST) {
        first = trunc(at);
        t->n = 1;
    } else if (s->mode == CUBIC) {
        first -= 1;
        t->n = 4;
    }
    for (int k = 0; k < t->n; k++) {
        double i = first + k;
        t->index[k] = pixel_index(s, i, size);
        t->weight[k] = s->mode == NEAREST  ? 1
                       : s->mode == LINEAR ? 1 - fabs(at - i)
                                           : cubic(at - i);
        /* An infinite or missing position gives nothing, not NaN. */
        if (t->index[k] < 0) t->weight[k] = 0;
    }
}

/* ---- sampling --------------------------------------------------------------
 */

/* The sum over the taps of dim d and those behind it; `at` is where the dims
   before have led. */
static double sum_taps(const sampler *s, const taps *t, int d, int64_t at) {
    double sum = 0;
    for (int k = 0; k < t[d].n; k++) {
        if (t[d].index[k] < 0) continue;
        int64_t to = at + t[d].index[k] * s->stride[d];
        double v = d + 1 < s->dims ? sum_taps(s, t, d + 1, to)
                                   : oc__tensor_get_f64(s->x, to);
        sum += v * t[d].weight[k];
    }
    return sum;
}

/* The common case, without recursion and in float. */
static float sum_bilinear(const float *x, const taps *t, int64_t pitch) {
    float sum = 0;
    for (int k = 0; k < 2; k++) {
        const float *row = x + t[0].index[k] * pitch;
        float v = 0;
        if (t[0].index[k] < 0) continue;
        if (t[1].index[0] >= 0) v += row[t[1].index[0]] * (float)t[1].weight[0];
        if (t[1].index[1] >= 0) v += row[t[1].index[1]] * (float)t[1].weight[1];
        sum += v * (float)t[0].weight[k];
    }
    return sum;
}

/* Nearest copies, so that it works for strings and complex numbers too. */
static void copy_nearest(const sampler *s, const taps *t, int64_t at,
                         int64_t to) {
    size_t b = oc_dtype_bytes(s->x->dtype);
    char *y = (char *)s->y->data + (size_t)to * b;
    for (int d = 0; d < s->dims; d++) {
        if (t[d].index[0] < 0) {
            memset(y, 0, b);
            return;
        }
        at += t[d].index[0] * s->stride[d];
    }
    memcpy(y, (const char *)s->x->data + (size_t)at * b, b);
}

/* One output point after the other: its taps serve all channels. */
static void sample_range(void *user, int64_t begin, int64_t end, int worker) {
    const sampler *s = user;
    int64_t channels = s->x->dims[1];
    int fast = s->x->dtype == OC_DTYPE_F32 && s->dims == 2 && s->mode == LINEAR;
    taps t[SPACE];
    (void)worker;
    for (int64_t k = begin; k < end; k++) {
        int64_t n = k / s->points, p = k % s->points;
        /* The grid names the innermost axis first. */
        for (int d = 0; d < s->dims; d++)
            make_taps(
                s, oc__tensor_get_f64(s->grid, k * s->dims + s->dims - 1 - d),
                s->size[d], &t[d]);
        for (int64_t c = 0; c < channels; c++) {
            int64_t from = (n * channels + c) * s->plane;
            int64_t to = (n * channels + c) * s->points + p;
            if (s->mode == NEAREST)
                copy_nearest(s, t, from, to);
            else if (fast)
                ((float *)s->y->data)[to] = sum_bilinear(
                    (const float *)s->x->data + from, t, s->stride[0]);
            else if (oc__dtype_is_int(s->y->dtype))
                oc__tensor_set_f64(s->y, to, trunc(sum_taps(s, t, 0, from)));
            else
                oc__tensor_set_f64(s->y, to, sum_taps(s, t, 0, from));
        }
    }
}

static oc_status sampler_read(oc__ctx *c, sampler *s) {
    const char *mode = oc__attr_string(c->node, "mode", "linear");
    const char *pad = oc__attr_string(c->node, "padding_mode", "zeros");
    if (!strcmp(mode, "linear") || !strcmp(mode, "bilinear"))
        s->mode = LINEAR;
    else if (!strcmp(mode, "cubic") || !strcmp(mode, "bicubic"))
        s->mode = CUBIC;
    else if (!strcmp(mode, "nearest"))
        s->mode = NEAREST;
    else
        return oc__op_fail(c, OC_E_UNSUPPORTED, "mode is \"%s\"", mode);
    if (!strcmp(pad, "zeros"))
        s->pad = ZEROS;
    else if (!strcmp(pad, "border"))
        s->pad = BORDER;
    else if (!strcmp(pad, "reflection"))
        s->pad = REFLECTION;
    else
        return oc__op_fail(c, OC_E_UNSUPPORTED, "padding_mode is \"%s\"", pad);
    s->align = oc__attr_int(c->node, "align_corners", 0) != 0;
    return OC_OK;
}

static oc_status infer_grid_sample(oc__ctx *c) {
    sampler s;
    int64_t dims[OC_MAX_RANK];
    OC_TRY(sampler_read(c, &s));
    OC_TRY(oc__want(c, 0,
                    s.mode == NEAREST ? OC_T_ANY
                                      : OC_T_F | OC_T_I | OC_T_U | OC_T(BOOL)));
    OC_TRY(oc__want(c, 1, OC_T_F));
    OC_TRY(oc__want_rank(c, 0, 3, OC_MAX_RANK));
    const oc_tensor *x = oc__in(c, 0), *g = oc__in(c, 1);
    int fits = g->rank == x->rank && g->dims[0] == x->dims[0] &&
               g->dims[g->rank - 1] == x->rank - 2;
    for (int i = 2; fits && i < x->rank; i++)
        fits = x->dims[i] > 0 && x->dims[i] < INT64_C(1) << 50;
    if (!fits) {
        char a[160], b[160];
        return oc__op_fail(c, OC_E_SHAPE, "grid %s for input %s",
                           oc__tensor_describe(g, a, sizeof a),
                           oc__tensor_describe(x, b, sizeof b));
    }
    memcpy(dims, x->dims, sizeof dims);
    for (int i = 2; i < x->rank; i++)
        dims[i] = g->dims[i - 1];
    return oc__out_set(c, 0, x->dtype, x->rank, dims);
}

static oc_status run_grid_sample(oc__ctx *c) {
    sampler s = {.x = oc__in(c, 0), .grid = oc__in(c, 1), .y = oc__out(c, 0)};
    OC_TRY(sampler_read(c, &s));
    s.dims = s.x->rank - 2;
    s.points = s.plane = 1;
    for (int d = s.dims - 1; d >= 0; d--) {
        s.size[d] = s.x->dims[d + 2];
        s.stride[d] = s.plane;
        s.plane *= s.size[d];
        s.points *= s.y->dims[d + 2];
    }
    int64_t cost = 8 * OC_MAX(s.x->dims[1], 1);
    oc__parallel(c, s.x->dims[0] * s.points, OC_MAX(1, 16384 / cost),
                 sample_range, &s);
    return OC_OK;
}

/* ---- AffineGrid ------------------------------------------------------------
 */

static oc_status infer_affine(oc__ctx *c) {
    int64_t size[OC_MAX_RANK];
    int n;
    OC_TRY(oc__want(c, 0, OC_T_F));
    OC_TRY(oc__want_rank(c, 0, 3, 3));
    OC_NEED_DATA(c, 1);
    OC_TRY(oc__in_ints(c, 1, size, OC_MAX_RANK, &n));
    const oc_tensor *t = oc__in(c, 0);
    int space = n - 2;
    if (space < 2 || space > 3 || t->dims[0] != size[0] ||
        t->dims[1] != space || t->dims[2] != space + 1)
        return oc__op_fail(c, OC_E_SHAPE,
                           "theta must be [N, 2, 3] for a size of 4 dims, "
                           "[N, 3, 4] for 5");
    int64_t dims[5] = {size[0], size[2], size[3], space, space};
    if (space == 3) dims[3] = size[4];
    return oc__out_set(c, 0, t->dtype, space + 2, dims);
}

/* Place of index i of n along an axis from -1 to 1. */
static double grid_place(int64_t i, int64_t n, int align) {
    if (align) return n > 1 ? 2.0 * (double)i / (double)(n - 1) - 1 : -1;
    return (2.0 * (double)i + 1) / (double)n - 1;
}

/* y = theta * (place, 1) for every place of the grid, x coordinate first. */
static oc_status run_affine(oc__ctx *c) {
    const oc_tensor *t = oc__in(c, 0);
    oc_tensor *y = oc__out(c, 0);
    int align = oc__attr_int(c->node, "align_corners", 0) != 0;
    int space = (int)t->dims[1];
    int64_t points = 1;
    for (int i = 1; i <= space; i++)
        points *= y->dims[i];
    for (int64_t k = 0; k < y->dims[0] * points; k++) {
        double at[4] = {0, 0, 0, 0};
        int64_t rest = k % points, theta = k / points * space * (space + 1);
        for (int d = 0; d < space; d++) { /* x first, the innermost */
            int64_t n = y->dims[space - d];
            at[d] = grid_place(rest % n, n, align);
            rest /= n;
        }
        at[space] = 1;
        for (int r = 0; r < space; r++) {
            double sum = 0;
            for (int d = 0; d <= space; d++)
                sum +=
                    oc__tensor_get_f64(t, theta + r * (space + 1) + d) * at[d];
            oc__tensor_set_f64(y, k * space + r, sum);
        }
    }
    return OC_OK;
}

const oc__op oc__ops_grid_sample[] = {
    {"", "GridSample", 16, 2, 2, 1, 0, 0, infer_grid_sample, run_grid_sample,
     NULL},
    {"", "AffineGrid", 20, 2, 2, 1, 0, 0, infer_affine, run_affine, NULL},
    {NULL, NULL, 0, 0, 0, 0, 0, 0, NULL, NULL, NULL},
};
