/*
 * fft.h - complex discrete Fourier transforms of any length.
 *
 *     X[k] = factor * sum_j x[j] * exp(-+2 pi i j k / n)
 *
 * A length is split into factors 8, 4, 2, 3, 5, ...; each is one pass of
 * butterflies over the data in Stockham's order (no bit reversal), in f32 or
 * f64.  Lengths with a prime factor above OC_FFT_PRIME go through a
 * convolution of a length that has none (Bluestein, IEEE Trans. AU 18, 1970),
 * always in f64.
 */
#ifndef OC_OPS_FFT_H
#define OC_OPS_FFT_H

#include "ops/op.h"

enum { OC_FFT_PRIME = 61, OC_FFT_FACTORS = 64 };

typedef struct oc__fft {
    int64_t n;
    int wide; /* 1: x and work are f64 */
    int n_factors;
    int factor[OC_FFT_FACTORS];
    const void *twiddle; /* n: exp(+2 pi i k / n), in x's type */
    /* Bluestein: a transform of length m >= 2n - 1, chirp and its spectrum */
    int64_t m;            /* 0: not needed */
    const double *chirp;  /* n: exp(+pi i k^2 / n) */
    const double *kernel; /* m */
    int m_factors;
    int m_factor[OC_FFT_FACTORS];
    const double *m_twiddle;
} oc__fft;

/** Bytes of the tables for length n; of the work of one transform. */
oc_status oc__fft_bytes(const oc__ctx *c, int64_t n, int wide,
                        size_t *table_bytes, size_t *work_bytes);
/** Fills tables (aligned to 64) and f, which points into them. */
void oc__fft_init(oc__fft *f, int64_t n, int wide, void *table);
/** Transforms x, n pairs (re, im), in place. */
void oc__fft_run(const oc__fft *f, void *x, void *work, int backward,
                 double factor);

#endif
