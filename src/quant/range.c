/* range.c - see range.h. */
#include "quant/range.h"

#include "ops/fake_quantize.h"

#include "base/size.h"

#include <math.h>
#include <string.h>

enum { HALF = OC_RANGE_BINS / 2 };

/* Twice the width, with room above, or below. */
static void widen(oc__range *r, int below) {
    uint32_t half[HALF];
    for (int i = 0; i < HALF; i++)
        half[i] = r->bins[2 * i] + r->bins[2 * i + 1];
    memset(r->bins, 0, sizeof r->bins);
    memcpy(r->bins + (below ? HALF : 0), half, sizeof half);
    if (below) r->start -= r->width * OC_RANGE_BINS;
    r->width *= 2;
}

/* The first values say how wide bins are. */
static void begin(oc__range *r, double lo, double hi) {
    r->width = (hi - lo) / (OC_RANGE_BINS - 1);
    if (!(r->width > 0)) r->width = fmax(fabs(lo), 1e-30) * 1e-3;
    r->start = lo;
}

static int limits(const float *x, int64_t n, float *lo, float *hi) {
    int64_t seen = 0;
    for (int64_t i = 0; i < n; i++) {
        if (!isfinite(x[i])) continue;
        *lo = seen ? fminf(*lo, x[i]) : x[i];
        *hi = seen ? fmaxf(*hi, x[i]) : x[i];
        seen++;
    }
    return seen > 0;
}

void oc__range_begin(oc__range *r, float lo, float hi) {
    memset(r->bins, 0, sizeof r->bins);
    r->count = 0;
    r->least = lo;
    r->most = hi;
    r->low = lo;
    r->high = hi;
    r->parts = 1;
    begin(r, lo, hi);
}

void oc__range_count(oc__range *r, double x, uint32_t times) {
    int bin = (int)((x - r->start) / r->width);
    uint32_t *to = &r->bins[OC_MIN(OC_MAX(bin, 0), OC_RANGE_BINS - 1)];
    *to = times > UINT32_MAX - *to ? UINT32_MAX : *to + times;
    r->count += times;
}

void oc__range_add(oc__range *r, const float *x, int64_t n) {
    float lo = 0, hi = 0;
    if (!limits(x, n, &lo, &hi)) return;
    if (!r->count) {
        begin(r, lo, hi);
        r->least = lo;
        r->most = hi;
    }
    r->least = fminf(r->least, lo);
    r->most = fmaxf(r->most, hi);
    r->low += (double)lo;
    r->high += (double)hi;
    r->parts++;
    while (lo < r->start)
        widen(r, 1);
    while (hi >= r->start + r->width * OC_RANGE_BINS)
        widen(r, 0);
    double each = 1 / r->width;
    for (int64_t i = 0; i < n; i++) {
        if (!isfinite(x[i])) continue;
        int bin = (int)(((double)x[i] - r->start) * each);
        bin = OC_MIN(OC_MAX(bin, 0), OC_RANGE_BINS - 1);
        if (r->bins[bin] < UINT32_MAX) r->bins[bin]++;
        r->count++;
    }
}

/* The middle of a bin, as far as there are values. */
static double middle(const oc__range *r, int bin) {
    double x = r->start + (bin + 0.5) * r->width;
    return fmin(fmax(x, (double)r->least), (double)r->most);
}

/* What is made of x. */
static double used(oc__range_use use, double x) {
    if (use == OC_RANGE_SILU) return x / (1 + exp(-x));
    if (use == OC_RANGE_HARD_SWISH) return x * fmin(fmax(x / 6 + 0.5, 0), 1);
    return x;
}

/* Of each bin: its middle, what is made of it, and how much of the square of a
 * small error is left of it. */
typedef struct table {
    double x[OC_RANGE_BINS], made[OC_RANGE_BINS], left[OC_RANGE_BINS];
} table;

static void fill(table *t, const oc__range *r) {
    const double h = 1e-3;
    for (int i = 0; i < OC_RANGE_BINS; i++) {
        double x = middle(r, i), slope = 1;
        if (r->bins[i] && r->use != OC_RANGE_ANY)
            slope = (used(r->use, x + h) - used(r->use, x - h)) / (2 * h);
        t->x[i] = x;
        t->made[i] = r->bins[i] ? used(r->use, x) : 0;
        t->left[i] = slope * slope;
    }
}

/* Values beyond the limits are cut; within, the error is a twelfth of the
 * square of a step. */
static double error_by(const oc__range *r, const table *t, float lo, float hi) {
    double step = ((double)hi - (double)lo) / 255, sum = 0;
    double fine = step * step / 12;
    double first = used(r->use, (double)lo), last = used(r->use, (double)hi);
    for (int i = 0; i < OC_RANGE_BINS && r->count; i++) {
        if (!r->bins[i]) continue;
        double cut = t->x[i] > (double)hi   ? t->made[i] - last
                     : t->x[i] < (double)lo ? t->made[i] - first
                                            : 0;
        int is_cut = t->x[i] > (double)hi || t->x[i] < (double)lo;
        sum += r->bins[i] * (is_cut ? cut * cut : fine * t->left[i]);
    }
    return r->count ? sum / (double)r->count : 0;
}

double oc__range_error(const oc__range *r, float lo, float hi) {
    table t;
    fill(&t, r);
    return error_by(r, &t, lo, hi);
}

double oc__range_power(const oc__range *r) {
    double sum = 0;
    for (int i = 0; i < OC_RANGE_BINS; i++)
        sum += r->bins[i] * middle(r, i) * middle(r, i);
    return r->count ? sum / (double)r->count : 0;
}

void oc__range_shares(const oc__range *r, int n, double *shares) {
    double span = (double)r->most - (double)r->least;
    for (int k = 0; k < n; k++)
        shares[k] = 0;
    if (!r->count) return;
    for (int i = 0; i < OC_RANGE_BINS; i++) {
        double x = span > 0 ? (middle(r, i) - (double)r->least) / span : 0;
        int k = OC_MIN(OC_MAX((int)(x * n), 0), n - 1);
        shares[k] += r->bins[i] / (double)r->count;
    }
}

/* Cuts what is beyond `share` of the values, half of it at either end. */
static void percentile(const oc__range *r, double share, float *lo, float *hi) {
    double out = (double)r->count * (1 - share) / 2, sum = 0;
    int a = 0, b = OC_RANGE_BINS - 1;
    for (; a < b && sum + r->bins[a] <= out; a++)
        sum += r->bins[a];
    for (sum = 0; b > a && sum + r->bins[b] <= out; b--)
        sum += r->bins[b];
    *lo = fmaxf(r->least, (float)(r->start + a * r->width));
    *hi = fminf(r->most, (float)(r->start + (b + 1) * r->width));
}

/* Moves either end in as long as the error falls. */
static void least_error(const oc__range *r, float *lo, float *hi) {
    enum { STEPS = 64 };
    float full_lo = *lo, full_hi = *hi;
    table t;
    fill(&t, r);
    double best = error_by(r, &t, full_lo, full_hi);
    for (int pass = 0; pass < 2; pass++)
        for (int end = 0; end < 2; end++)
            for (int i = 1; i < STEPS; i++) {
                float k = 1 - (float)i / STEPS;
                float l = end ? *lo : full_lo * k;
                float h = end ? full_hi * k : *hi;
                double e = h > l ? error_by(r, &t, l, h) : best;
                if (e >= best) continue;
                best = e;
                *lo = l;
                *hi = h;
            }
}

/* ---- entropy -------------------------------------------------------------
 */

enum { LEVELS = 255, TRIES = 256, LEAST_TRY = 16 };

/* What is never seen is not impossible: some of all goes where there is none.
 * n bins of which `some` are more than 0 and `sum` together. */
static double smooth(double x, int n, int some, double sum) {
    const double little = 1e-4;
    return x > 0 ? x / sum - little * (n - some) / some : little;
}

/*
 * Divergence of the histogram in 8 bits from the one there is, with what is
 * beyond lo and hi at either end.  In 8 bits, a level's count is spread over
 * those of its bins that have any.
 */
static double divergence(const oc__range *r, int first, int last, double lo,
                         double hi) {
    double level[LEVELS] = {0}, sum = 0, all = 0, below = 0, above = 0, kl = 0;
    int used[LEVELS] = {0}, at[OC_RANGE_BINS], n = last - first + 1;
    int some = 0, full = 0;
    for (int i = 0; i < OC_RANGE_BINS; i++) {
        double x = (middle(r, i) - lo) / (hi - lo) * LEVELS;
        at[i] = OC_MIN(OC_MAX((int)x, 0), LEVELS - 1);
        all += r->bins[i];
        below += i < first ? r->bins[i] : 0;
        above += i > last ? r->bins[i] : 0;
        if (i < first || i > last || !r->bins[i]) continue;
        level[at[i]] += r->bins[i];
        used[at[i]]++;
        sum += r->bins[i];
        some++;
    }
    if (!some) return INFINITY;
    for (int i = first; i <= last; i++)
        full +=
            r->bins[i] + (i == first ? below : 0) + (i == last ? above : 0) > 0;
    for (int i = first; i <= last; i++) {
        double is =
            r->bins[i] + (i == first ? below : 0) + (i == last ? above : 0);
        double q = r->bins[i] ? level[at[i]] / used[at[i]] : 0;
        double a = smooth(is, n, full, all), b = smooth(q, n, some, sum);
        if (a > 0 && b > 0) kl += a * log(a / b);
    }
    return kl;
}

/* Values beyond a bound to either side are cut, if that diverges least. */
static void least_divergence(const oc__range *r, float *lo, float *hi) {
    double most = fmax(-(double)*lo, (double)*hi), best = INFINITY;
    float full_lo = *lo, full_hi = *hi;
    for (int i = LEAST_TRY; i <= TRIES && most > 0; i++) {
        double cut = most * i / TRIES;
        double l = fmax((double)full_lo, -cut), h = fmin((double)full_hi, cut);
        int first = (int)floor((l - r->start) / r->width);
        int last = (int)ceil((h - r->start) / r->width) - 1;
        first = OC_MIN(OC_MAX(first, 0), OC_RANGE_BINS - 1);
        last = OC_MIN(OC_MAX(last, first), OC_RANGE_BINS - 1);
        double kl = divergence(r, first, last, l, h);
        if (kl > best) continue;
        best = kl;
        *lo = (float)l;
        *hi = (float)h;
    }
}

/* ---- limits --------------------------------------------------------------
 */

static void average(const oc__range *r, float *lo, float *hi) {
    *lo = (float)(r->low / (double)r->parts);
    *hi = (float)(r->high / (double)r->parts);
}

void oc__range_limits(const oc__range *r, oc_quant_range how, double share,
                      float *lo, float *hi) {
    *lo = r->least;
    *hi = r->most;
    if (r->count && how == OC_QUANT_PERCENTILE) percentile(r, share, lo, hi);
    if (r->count && how == OC_QUANT_AVERAGE) average(r, lo, hi);
    *lo = fminf(*lo, 0);
    *hi = fmaxf(*hi, 0);
    if (r->count && how == OC_QUANT_MSE) least_error(r, lo, hi);
    if (r->count && how == OC_QUANT_ENTROPY) least_divergence(r, lo, hi);
}

/* Codes 0 to 255, of which 128 is 0. */
static void set_even(double step, float *lo, float *hi) {
    *lo = (float)(-128 * step);
    *hi = (float)(127 * step);
}

void oc__range_limits_even(const oc__range *r, oc_quant_range how, double share,
                           float *lo, float *hi) {
    enum { STEPS = 128 };
    oc__range_limits(r, how, share, lo, hi);
    if (r->least >= 0) return;
    if (how != OC_QUANT_MSE) {
        set_even(fmax(-(double)*lo / 128, (double)*hi / 127), lo, hi);
        return;
    }
    double step = fmax(-(double)r->least / 128, (double)r->most / 127);
    double best = INFINITY, found = step;
    table t;
    fill(&t, r);
    for (int i = STEPS; i > 0; i--) {
        set_even(step * i / STEPS, lo, hi);
        double e = error_by(r, &t, *lo, *hi);
        if (e >= best) continue;
        best = e;
        found = step * i / STEPS;
    }
    set_even(found, lo, hi);
}

void oc__range_code(float lo, float hi, float *scale, uint8_t *zero) {
    double step, at;
    oc__code_of_range((double)lo, (double)hi, 255, &step, &at);
    *scale = (float)step;
    *zero = (uint8_t)at;
}
