/*
 * augment_mix.c - what is done to numbers: random erasing (Zhong et al.,
 * arXiv:1708.04896), MixUp (Zhang et al., arXiv:1710.09412), CutMix (Yun et
 * al., arXiv:1905.04899).
 *
 * Rows are mixed in pairs and in place: a row and its partner give one another
 * the same share, so a batch is mixed with the memory it has.
 */
#include "data/augment_op.h"

#include <math.h>
#include <string.h>

/* ---- drawing --------------------------------------------------------------
 */

/* Marsaglia and Tsang's method; shape > 0. */
static double draw_gamma(oc__rng *rng, double shape) {
    double boost = 1;
    if (shape < 1) {
        double u;
        do
            u = oc__rng_double(rng);
        while (u == 0);
        boost = pow(u, 1 / shape);
        shape += 1;
    }
    double d = shape - 1.0 / 3, c = 1 / sqrt(9 * d);
    for (;;) {
        double x = oc__rng_normal(rng), v = 1 + c * x;
        double u = oc__rng_double(rng);
        if (v <= 0) continue;
        v = v * v * v;
        if (u == 0 || log(u) < 0.5 * x * x + d - d * v + d * log(v))
            return boost * d * v;
    }
}

double oc__aug_beta(oc__rng *rng, double alpha) {
    double a = draw_gamma(rng, alpha), b = draw_gamma(rng, alpha);
    return a + b > 0 ? a / (a + b) : 0.5;
}

/* ---- erasing --------------------------------------------------------------
 */

void oc__aug_erase(float *row, const oc__mix_shape *s, double p, oc__rng *rng) {
    double area = (double)s->width * s->height;
    if (!(oc__rng_double(rng) < p)) return;
    for (int tries = 0; tries < 10; tries++) {
        double part = area * (0.02 + (1.0 / 3 - 0.02) * oc__rng_double(rng));
        double span = log(3.3 / 0.3) * oc__rng_double(rng) + log(0.3);
        double ratio = exp(span);
        int h = (int)rint(sqrt(part * ratio)),
            w = (int)rint(sqrt(part / ratio));
        if (h < 1 || w < 1 || h >= s->height || w >= s->width) continue;
        int y0 = (int)oc__rng_below(rng, (uint64_t)(s->height - h + 1));
        int x0 = (int)oc__rng_below(rng, (uint64_t)(s->width - w + 1));
        size_t pixel = s->channels_last ? (size_t)s->channels : 1;
        size_t plane =
            s->channels_last ? 1 : (size_t)s->width * (size_t)s->height;
        for (int c = 0; c < s->channels; c++) {
            for (int y = y0; y < y0 + h; y++) {
                float *v = row + (size_t)c * plane +
                           ((size_t)y * (size_t)s->width + (size_t)x0) * pixel;
                for (int x = 0; x < w; x++, v += pixel)
                    *v = (float)oc__rng_normal(rng);
            }
        }
        return;
    }
}

/* ---- mixing ---------------------------------------------------------------
 */

/* a = keep a + (1 - keep) b, and the same for b. */
static void mix_both(float *a, float *b, size_t n, float keep) {
    for (size_t i = 0; i < n; i++) {
        float x = a[i], y = b[i];
        a[i] = y + keep * (x - y);
        b[i] = x + keep * (y - x);
    }
}

static void swap_run(float *a, float *b, size_t n) {
    for (size_t i = 0; i < n; i++) {
        float x = a[i];
        a[i] = b[i];
        b[i] = x;
    }
}

/* Exchanges a box of about 1 - keep of the area; returns what is kept. */
static double cut(float *a, float *b, const oc__mix_shape *s, double keep,
                  oc__rng *rng) {
    double side = sqrt(1 - keep);
    int w = (int)(s->width * side), h = (int)(s->height * side);
    int cx = (int)oc__rng_below(rng, (uint64_t)s->width);
    int cy = (int)oc__rng_below(rng, (uint64_t)s->height);
    int x0 = OC_MAX(cx - w / 2, 0), x1 = OC_MIN(cx + w / 2, s->width);
    int y0 = OC_MAX(cy - h / 2, 0), y1 = OC_MIN(cy + h / 2, s->height);
    size_t pixel = s->channels_last ? (size_t)s->channels : 1;
    size_t plane = (size_t)s->width * (size_t)s->height;
    int planes = s->channels_last ? 1 : s->channels;
    for (int c = 0; c < planes; c++) {
        for (int y = y0; y < y1; y++) {
            size_t at = (size_t)c * plane +
                        ((size_t)y * (size_t)s->width + (size_t)x0) * pixel;
            swap_run(a + at, b + at, (size_t)OC_MAX(x1 - x0, 0) * pixel);
        }
    }
    return 1 - (double)OC_MAX(x1 - x0, 0) * OC_MAX(y1 - y0, 0) / (double)plane;
}

int oc__aug_mix(float *images, float *targets, const oc__mix_shape *s,
                const oc__augment *a, oc__rng *rng) {
    size_t row = (size_t)s->channels * (size_t)s->height * (size_t)s->width;
    int both = a->mixup > 0 && a->cutmix > 0;
    if (!(a->mixup > 0 || a->cutmix > 0)) return 0;
    if (a->mix > 0 && !(oc__rng_double(rng) < a->mix)) return 0;
    for (int i = 0; i < s->rows / 2; i++) {
        int k = s->rows - 1 - i;
        float *x = images + (size_t)i * row, *y = images + (size_t)k * row;
        int boxes = both ? oc__rng_double(rng) < 0.5 : a->cutmix > 0;
        double keep = oc__aug_beta(rng, boxes ? a->cutmix : a->mixup);
        if (boxes)
            keep = cut(x, y, s, keep, rng);
        else
            mix_both(x, y, row, (float)keep);
        mix_both(targets + (size_t)i * (size_t)s->classes,
                 targets + (size_t)k * (size_t)s->classes, (size_t)s->classes,
                 (float)keep);
    }
    return 1;
}
