/* range_lanes.c - see range_lanes.h. */
#include "quant/range_lanes.h"

#include "base/size.h"

#include <math.h>
#include <string.h>

enum { HALF = OC_LANE_BINS / 2 };

/* Twice the width, with room above, or below. */
static void widen(oc__lane *l, int below) {
    uint32_t half[HALF];
    for (int i = 0; i < HALF; i++)
        half[i] = l->bins[2 * i] + l->bins[2 * i + 1];
    memset(l->bins, 0, sizeof l->bins);
    memcpy(l->bins + (below ? HALF : 0), half, sizeof half);
    if (below) l->start -= l->width * OC_LANE_BINS;
    l->width *= 2;
}

/* Limits of the values that are new; whether there are any. */
static int limits(const float *x, int64_t n, int64_t stride, float *lo,
                  float *hi) {
    int seen = 0;
    for (int64_t i = 0; i < n; i++) {
        float v = x[i * stride];
        if (!isfinite(v)) continue;
        *lo = seen ? fminf(*lo, v) : v;
        *hi = seen ? fmaxf(*hi, v) : v;
        seen = 1;
    }
    return seen;
}

static void make_room(oc__lane *l, float lo, float hi) {
    if (!l->count) {
        l->width = ((double)hi - (double)lo) / (OC_LANE_BINS - 1);
        if (!(l->width > 0)) l->width = fmax(fabs((double)lo), 1e-30) * 1e-2;
        l->start = lo;
        l->least = lo;
        l->most = hi;
    }
    l->least = fminf(l->least, lo);
    l->most = fmaxf(l->most, hi);
    l->low += (double)lo;
    l->high += (double)hi;
    l->parts++;
    while (lo < l->start)
        widen(l, 1);
    while (hi >= l->start + l->width * OC_LANE_BINS)
        widen(l, 0);
}

void oc__lane_add(oc__lane *l, const float *x, int64_t n, int64_t stride) {
    float lo = 0, hi = 0;
    if (!limits(x, n, stride, &lo, &hi)) return;
    make_room(l, lo, hi);
    double each = 1 / l->width;
    for (int64_t i = 0; i < n; i++) {
        double v = x[i * stride];
        if (!isfinite(v)) continue;
        int bin = (int)((v - l->start) * each);
        bin = OC_MIN(OC_MAX(bin, 0), OC_LANE_BINS - 1);
        if (l->bins[bin] < UINT32_MAX) l->bins[bin]++;
        l->square += v * v;
        l->count++;
    }
}

/* The widest of the channels' means. */
static void average(const oc__lane *lanes, int64_t n, const float *by,
                    oc__range *out) {
    out->low = INFINITY;
    out->high = -INFINITY;
    for (int64_t i = 0; i < n; i++) {
        if (!lanes[i].count) continue;
        double each = (double)by[i] * (double)lanes[i].parts;
        out->low = fmin(out->low, lanes[i].low / each);
        out->high = fmax(out->high, lanes[i].high / each);
    }
}

void oc__lanes_range(const oc__lane *lanes, int64_t n, const float *by,
                     oc__range *out) {
    float lo = 0, hi = 0;
    int seen = 0;
    for (int64_t i = 0; i < n; i++) {
        if (!lanes[i].count) continue;
        float a = lanes[i].least / by[i], b = lanes[i].most / by[i];
        lo = seen ? fminf(lo, a) : a;
        hi = seen ? fmaxf(hi, b) : b;
        seen = 1;
    }
    oc__range_begin(out, lo, hi);
    average(lanes, n, by, out);
    for (int64_t i = 0; i < n; i++) {
        const oc__lane *l = &lanes[i];
        for (int k = 0; k < OC_LANE_BINS; k++) {
            if (!l->bins[k]) continue;
            double x = l->start + (k + 0.5) * l->width;
            x = fmin(fmax(x, (double)l->least), (double)l->most);
            oc__range_count(out, x / (double)by[i], l->bins[k]);
        }
    }
}
