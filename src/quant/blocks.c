/* blocks.c - see blocks.h. */
#include "quant/blocks.h"

#include "base/memory.h"
#include "base/size.h"

#include <math.h>
#include <string.h>

enum { REACH = OC_BLOCKS_REACH };

int64_t oc__blocks_count(const oc__blocks *b) {
    return (b->k + b->block - 1) / b->block;
}

size_t oc__blocks_bytes(const oc__blocks *b) {
    size_t all;
    size_t each = (size_t)(b->block * b->bits / 8);
    return oc__size_mul((size_t)b->n, (size_t)oc__blocks_count(b), &all) ||
                   oc__size_mul(all, each, &all)
               ? SIZE_MAX
               : all;
}

/* ---- samples ------------------------------------------------------------- */

static int64_t reaches(int64_t k) {
    return (k + REACH - 1) / REACH;
}

size_t oc__blocks_gram_elems(int64_t k) {
    size_t all;
    return oc__size_mul((size_t)reaches(k), (size_t)REACH * REACH, &all)
               ? SIZE_MAX
               : all;
}

void oc__blocks_gram_add(float *gram, const float *x, int64_t rows, int64_t k) {
    for (int64_t at = 0; at < k; at += REACH, gram += REACH * REACH) {
        int64_t n = OC_MIN(REACH, k - at);
        for (int64_t r = 0; r < rows; r++) {
            const float *v = x + r * k + at;
            for (int64_t i = 0; i < n; i++) {
                float f = v[i], *to = gram + i * REACH;
                if (!isfinite(f)) continue;
                for (int64_t j = 0; j <= i; j++)
                    to[j] += f * v[j];
            }
        }
    }
}

/* ---- how errors go on ---------------------------------------------------- */

typedef double square[REACH][REACH];

typedef struct reach {
    int64_t n;  /* rows */
    int known;  /* whether there are samples that say something */
    square h;   /* lower: products of the inputs */
    square low; /* to work in */
    square on;  /* upper: what an error means for the rows below it */
} reach;

/* m = L L', with L in its lower half.  0: m is not positive. */
static int factor(square m, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j <= i; j++) {
            double s = m[i][j];
            for (int64_t k = 0; k < j; k++)
                s -= m[i][k] * m[j][k];
            if (i == j && !(s > 0)) return 0;
            m[i][j] = i == j ? sqrt(s) : s / m[j][j];
        }
    return 1;
}

/* The inverse of a lower triangle in place, column by column. */
static void invert(square m, int64_t n) {
    for (int64_t j = 0; j < n; j++) {
        m[j][j] = 1 / m[j][j];
        for (int64_t i = j + 1; i < n; i++) {
            double s = 0;
            for (int64_t k = j; k < i; k++)
                s -= m[i][k] * m[k][j];
            m[i][j] = s / m[i][i];
        }
    }
}

/*
 * What is wanted is the upper U of H^-1 = U' U.  With rows and columns in
 * reverse, by P, PHP = LL' there is, so that U = P L^-1 P: one factor and the
 * inverse of a triangle.
 */
static void read_reach(reach *r, const float *gram, int64_t n) {
    double mean = 0;
    r->n = n;
    r->known = 0;
    if (!gram) return;
    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = 0; j <= i; j++)
            r->h[i][j] = (double)gram[i * REACH + j];
        mean += r->h[i][i] / (double)n;
    }
    if (!(mean > 0) || !isfinite(mean)) return;
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j <= i; j++) {
            r->low[i][j] = r->h[n - 1 - j][n - 1 - i];
            /* Fewer samples than rows: it would have no inverse. */
            if (i == j) r->low[i][j] += 0.01 * mean;
        }
    if (!factor(r->low, n)) return;
    invert(r->low, n);
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = i; j < n; j++)
            r->on[i][j] = r->low[n - 1 - i][n - 1 - j];
    r->known = 1;
}

/* ---- rounding ------------------------------------------------------------ */

/* w / scale to the nearest code; calls of the C library take most of the time
 * here where processors must do without an instruction for it. */
static double code_of(double w, double per_scale, double half) {
    const double whole = 0x1.8p52; /* has no room behind the point */
    double q = w * per_scale;
    q = q > half - 1 ? half - 1 : q;
    q = q < -half ? -half : q;
    return q + whole - whole;
}

/* The scale that gives n weights the least squared error, each as important as
 * its input is large.  The greatest weight goes to the end that reaches one
 * further, whatever its sign, or is cut. */
static double scale_of(const reach *r, const double *w, int64_t first,
                       int64_t n, int bits) {
    static const double parts[] = {8. / 7, 1.07, 1, 0.93, 0.86, 0.79, 0.72};
    double most = 0, best = INFINITY, found = 1, half = 1 << (bits - 1);
    for (int64_t i = 0; i < n; i++)
        if (fabs(w[i]) > fabs(most)) most = w[i];
    if (!(fabs(most) > 1e-30)) return 1;
    if (bits == 8) return (double)(float)(fabs(most) / 127);
    for (size_t p = 0; p < OC_COUNT(parts); p++) {
        double s = (double)(float)(-most / half * parts[p]), sum = 0;
        for (int64_t i = 0; i < n; i++) {
            double e = w[i] - s * code_of(w[i], 1 / s, half);
            sum += e * e * (r->known ? r->h[first + i][first + i] : 1);
        }
        if (sum >= best) continue;
        best = sum;
        found = s;
    }
    return found;
}

typedef struct rounder {
    const oc__blocks *b;
    uint8_t *codes;
    float *scales;
    int64_t blocks, blob;
    double signal, noise, product, product_noise;
} rounder;

static void put_code(const rounder *o, int64_t column, int64_t row, int q) {
    const oc__blocks *b = o->b;
    int64_t block = row / b->block, in = row % b->block;
    uint8_t code = (uint8_t)(q + (1 << (b->bits - 1)));
    uint8_t *at = o->codes + (column * o->blocks + block) * o->blob;
    if (b->bits == 8)
        at[in] = code;
    else
        at[in / 2] = (uint8_t)(in % 2 ? (at[in / 2] & 15) | code << 4
                                      : (at[in / 2] & 240) | code);
}

/* One column of a reach whose first row is `from`. */
static void round_column(rounder *o, const reach *r, int64_t column,
                         int64_t from) {
    const oc__blocks *b = o->b;
    double was[REACH], w[REACH], lost = 0, half = 1 << (b->bits - 1);
    const float *x = b->w + from * b->k_stride + column * b->n_stride;
    for (int64_t i = 0; i < r->n; i++) {
        float v = x[i * b->k_stride];
        was[i] = w[i] = isfinite(v) ? (double)v : 0;
    }
    for (int64_t at = 0; at < r->n; at += b->block) {
        int64_t n = OC_MIN(b->block, r->n - at);
        double s = scale_of(r, w + at, at, n, b->bits);
        if (o->scales)
            o->scales[column * o->blocks + (from + at) / b->block] = (float)s;
        for (int64_t i = at; i < at + n; i++) {
            double q = code_of(w[i], 1 / s, half), e = was[i] - s * q;
            if (o->codes) put_code(o, column, from + i, (int)q);
            o->signal += was[i] * was[i];
            o->noise += e * e;
            if (!r->known) continue;
            double on = (w[i] - s * q) / r->on[i][i];
            lost += on * on;
            for (int64_t j = i + 1; j < r->n; j++)
                w[j] -= on * r->on[i][j];
        }
    }
    /* Some columns stand for all: this takes as long as all else. */
    if (!r->known || column % 8) return;
    o->product_noise += lost;
    for (int64_t i = 0; i < r->n; i++) {
        double s = r->h[i][i] * was[i] / 2;
        for (int64_t j = 0; j < i; j++)
            s += r->h[i][j] * was[j];
        o->product += 2 * was[i] * s;
    }
}

static double decibels(double signal, double noise) {
    return noise > 0 ? 10 * log10(signal / noise) : 200;
}

oc_status oc__blocks_round(const oc__blocks *b, const float *gram,
                           uint8_t *codes, float *scales,
                           oc__blocks_noise *noise, const oc_allocator *a) {
    rounder o = {.b = b, .codes = codes, .scales = scales};
    size_t bytes = oc__blocks_bytes(b);
    reach *r = oc__alloc(a, sizeof *r);
    if (!r || bytes == SIZE_MAX) {
        oc__release(a, r, sizeof *r);
        return OC_E_NOMEM;
    }
    o.blocks = oc__blocks_count(b);
    o.blob = b->block * b->bits / 8;
    /* What lies behind the last row stands for 0. */
    if (codes) memset(codes, b->bits == 8 ? 0x80 : 0x88, bytes);
    for (int64_t from = 0; from < b->k; from += REACH) {
        read_reach(r, gram ? gram + from * REACH : NULL,
                   OC_MIN(REACH, b->k - from));
        for (int64_t column = 0; column < b->n; column++)
            round_column(&o, r, column, from);
    }
    noise->weight_db = decibels(o.signal, o.noise);
    noise->product_db =
        o.product > 0 ? decibels(o.product, o.product_noise) : 0;
    oc__release(a, r, sizeof *r);
    return OC_OK;
}
