/*
 * resize_axis.c - the weights of one direction.
 *
 * With antialiasing this is Pillow's resampling: a filter centred on the
 * output sample, widened by the reduction, cut at the picture's edge and
 * normalised.  Without, the filter keeps its width and taps beyond the edge
 * repeat the last sample, as OpenCV and ONNX Resize (half_pixel) do.
 */
#include "image/resize.h"

#include <math.h>
#include <string.h>

#define PI 3.14159265358979323846

typedef double kernel_fn(double x);

static double kernel_box(double x) {
    return x > -0.5 && x <= 0.5 ? 1.0 : 0.0;
}

static double kernel_triangle(double x) {
    x = fabs(x);
    return x < 1.0 ? 1.0 - x : 0.0;
}

/** Keys' cubic; a is the slope at 1. */
static double cubic(double x, double a) {
    x = fabs(x);
    if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0;
    if (x < 2.0) return (((x - 5.0) * x + 8.0) * x - 4.0) * a;
    return 0.0;
}

static double kernel_cubic_soft(double x) {
    return cubic(x, -0.5);
}

static double kernel_cubic_sharp(double x) {
    return cubic(x, -0.75);
}

static double sinc(double x) {
    return x == 0.0 ? 1.0 : sin(PI * x) / (PI * x);
}

static double kernel_lanczos(double x) {
    return x > -3.0 && x < 3.0 ? sinc(x) * sinc(x / 3.0) : 0.0;
}

/** The filter and how far it reaches to each side. */
static kernel_fn *choose(const oc_resize *how, double *reach) {
    switch (how->interpolation) {
    case OC_INTERP_AREA: *reach = 0.5; return kernel_box;
    case OC_INTERP_BICUBIC:
        *reach = 2.0;
        return how->no_antialias ? kernel_cubic_sharp : kernel_cubic_soft;
    case OC_INTERP_LANCZOS: *reach = 3.0; return kernel_lanczos;
    default: *reach = 1.0; return kernel_triangle;
    }
}

/** What all outputs of an axis share while weights are computed. */
typedef struct {
    int in, first;      /* number of the first output wanted */
    double from, scale; /* input samples per output sample */
    double widen;       /* how much wider than 1 the filter is */
    double narrow;      /* 1 / widen */
    double reach;
    kernel_fn *kernel;
    int coverage; /* weights are overlaps, not filter values */
    int clamp;    /* taps outside count for the edge sample */
} plan;

/** Output i takes in[*lo, *hi), which for `clamp` may leave the picture. */
static void window(const plan *p, int i, int *lo, int *hi) {
    double centre = p->from + (i + 0.5) * p->scale;
    if (p->coverage) {
        *lo = (int)floor(p->from + i * p->scale);
        *hi = (int)ceil(p->from + (i + 1) * p->scale);
        if (*hi <= *lo) *hi = *lo + 1;
    } else if (p->clamp) {
        *lo = (int)floor(centre - 0.5 - p->reach) + 1;
        *hi = *lo + (int)(2 * p->reach);
        return;
    } else {
        double reach = p->reach * p->widen;
        *lo = (int)(centre - reach + 0.5);
        *hi = (int)(centre + reach + 0.5);
        if (centre - reach + 0.5 < 0) *lo = 0;
    }
    if (*lo < 0) *lo = 0;
    if (*hi > p->in) *hi = p->in;
    if (*lo >= *hi) *lo = *hi - 1; /* rounding at the very edge */
}

static double weight(const plan *p, int i, int tap) {
    if (p->coverage) {
        double a = p->from + i * p->scale, b = a + p->scale;
        double lo = a > tap ? a : tap, hi = b < tap + 1 ? b : tap + 1;
        return hi > lo ? hi - lo : 0.0;
    }
    double centre = p->from + (i + 0.5) * p->scale;
    return p->kernel((tap - centre + 0.5) * p->narrow);
}

/**
 * The weights of output i into w, normalised; start and count are inside the
 * picture.  Returns the largest magnitude.
 */
static double weigh(const plan *p, int i, double *w, int32_t *start,
                    int32_t *count) {
    int lo, hi;
    window(p, i, &lo, &hi);
    int first = OC_MIN(OC_MAX(lo, 0), p->in - 1);
    int last = OC_MIN(OC_MAX(hi - 1, 0), p->in - 1);
    double sum = 0, most = 0;
    for (int t = 0; t <= last - first; t++)
        w[t] = 0;
    for (int t = lo; t < hi; t++) {
        int at = OC_MIN(OC_MAX(t, first), last);
        double v = weight(p, i, t);
        w[at - first] += v;
        sum += v;
    }
    /* A box narrower than a sample may miss every centre. */
    if (sum == 0) {
        w[(last - first) / 2] = 1;
        sum = 1;
    }
    for (int t = 0; t <= last - first; t++) {
        w[t] /= sum;
        most = fmax(most, fabs(w[t]));
    }
    *start = first;
    *count = last - first + 1;
    return most;
}

/**
 * One array: rounded so that the sum stays exact, each weight being the
 * difference of two rounded partial sums.  A flat area then keeps its level.
 */
static void quantise(int16_t *coef, const double *w, int count, int shift) {
    double unit = (double)(1 << shift), sum = 0;
    long done = 0;
    for (int t = 0; t < count; t++) {
        sum += w[t];
        long now = t == count - 1 ? 1L << shift : lrint(sum * unit);
        coef[t] = (int16_t)(now - done);
        done = now;
    }
}

/** Two arrays: Pillow's rounding, halves away from zero. */
static void quantise_fine(int16_t *coef, int16_t *fine, const double *w,
                          int count, int shift) {
    enum { MASK = (1 << OC__RESIZE_FINE_BITS) - 1 };
    for (int t = 0; t < count; t++) {
        double v = w[t] * (double)(1 << shift);
        int32_t k = (int32_t)(v < 0 ? v - 0.5 : v + 0.5);
        fine[t] = (int16_t)(k & MASK);
        coef[t] = (int16_t)((k - fine[t]) / (MASK + 1));
    }
}

static oc_status allocate(oc__resize_axis *a, int taps, int fine,
                          oc_error *err) {
    size_t n = (size_t)a->out, elems;
    a->taps = (taps + 7) / 8 * 8;
    a->start = oc__image_get_zero(a->allocator, n * sizeof(int32_t));
    a->count = oc__image_get_zero(a->allocator, n * sizeof(int32_t));
    if (!a->start || !a->count) return oc__fail_nomem(err);
    if (a->copies) return OC_OK;
    if (oc__size_mul(n, (size_t)a->taps, &elems) ||
        oc__size_mul(elems, sizeof(int16_t), &a->coef_bytes))
        return oc__fail_nomem(err);
    a->coef = oc__image_get_zero(a->allocator, a->coef_bytes);
    if (fine) a->fine = oc__image_get_zero(a->allocator, a->coef_bytes);
    return a->coef && (a->fine || !fine) ? OC_OK : oc__fail_nomem(err);
}

void oc__resize_axis_deinit(oc__resize_axis *a) {
    size_t n = (size_t)a->out;
    oc__image_put(a->allocator, a->start, n * sizeof(int32_t));
    oc__image_put(a->allocator, a->count, n * sizeof(int32_t));
    oc__image_put(a->allocator, a->coef, a->coef_bytes);
    oc__image_put(a->allocator, a->fine, a->coef_bytes);
    memset(a, 0, sizeof(*a));
}

/** Copies one sample for each: nearest, or nothing to change. */
static void fill_copies(oc__resize_axis *a, int in, double from, double scale,
                        int first) {
    /* Summing the step, as Pillow does, lands on the same side of ties. */
    double at = from + scale * 0.5;
    for (int i = 0; i < first; i++)
        at += scale;
    for (int i = 0; i < a->out; i++, at += scale) {
        a->start[i] = OC_MIN(OC_MAX((int)floor(at), 0), in - 1);
        a->count[i] = 1;
    }
    a->most = 1;
}

static oc_status fill_weights(oc__resize_axis *a, const plan *p,
                              oc_error *err) {
    size_t bytes = (size_t)a->taps * sizeof(double);
    double *w = oc__image_get(a->allocator, bytes);
    double most = 0;
    if (!w) return oc__fail_nomem(err);
    /* A sum of 255 * |weights|, which is below 512, must fit in 31 bits. */
    a->shift = 22;
    if (!a->fine) {
        /* The common shift is known only when all weights are; rounding may
           add 1 to one. */
        for (int i = 0; i < a->out; i++)
            most = fmax(most,
                        weigh(p, p->first + i, w, &a->start[i], &a->count[i]));
        while (a->shift > 14 && most * (double)(1 << a->shift) > 32766.0)
            a->shift--;
    }
    for (int i = 0; i < a->out; i++) {
        size_t at = (size_t)i * (size_t)a->taps;
        weigh(p, p->first + i, w, &a->start[i], &a->count[i]);
        a->most = OC_MAX(a->most, a->count[i]);
        if (a->fine) {
            quantise_fine(a->coef + at, a->fine + at, w, a->count[i], a->shift);
        } else {
            quantise(a->coef + at, w, a->count[i], a->shift);
        }
    }
    oc__image_put(a->allocator, w, bytes);
    return OC_OK;
}

oc_status oc__resize_axis_init(oc__resize_axis *a, int in, double from,
                               double to, int out, int first, int n,
                               const oc_resize *how, oc_error *err) {
    plan p = {.in = in, .first = first, .from = from};
    memset(a, 0, sizeof(*a));
    a->allocator = how->allocator;
    a->out = n;
    p.scale = (to - from) / out;
    if (!how->no_antialias) {
        /* Pillow holds the box in floats; so that its samples fall on the
           same side of every edge, so do we. */
        p.from = (float)from;
        p.scale = (double)((float)to - (float)from) / out;
    }
    p.widen = how->no_antialias || p.scale < 1.0 ? 1.0 : p.scale;
    p.narrow = 1.0 / p.widen;
    p.kernel = choose(how, &p.reach);
    p.coverage = how->no_antialias && how->interpolation == OC_INTERP_AREA;
    p.clamp = how->no_antialias && !p.coverage;
    a->copies = how->interpolation == OC_INTERP_NEAREST ||
                (p.scale == 1.0 && p.from == floor(p.from));
    /* Two more than the window for what rounding does at its ends. */
    double taps = ceil(2 * p.reach * p.widen) + 2;
    if (p.coverage) taps = ceil(p.scale) + 2;
    OC_TRY(allocate(a, a->copies ? 1 : (int)taps, !how->no_antialias, err));
    if (a->copies) {
        fill_copies(a, in, p.from, p.scale, first);
        return OC_OK;
    }
    return fill_weights(a, &p, err);
}
