/* fft.c - see fft.h. */
#include "ops/fft.h"

#include <math.h>
#include <string.h>

#define PI 3.14159265358979323846

#define T    float
#define N(x) f32_##x
#include "ops/fft_template.h"
#undef T
#undef N
#define T    double
#define N(x) f64_##x
#include "ops/fft_template.h"
#undef T
#undef N

/* ---- factors ---------------------------------------------------------------
 */

/* Eights, fours, at most one two (put first), then odd ones; 0: a prime
   factor is too large. */
static int split(int64_t n, int *factor) {
    int count = 0;
    for (; n % 8 == 0; n /= 8)
        factor[count++] = 8;
    for (; n % 4 == 0; n /= 4)
        factor[count++] = 4;
    if (n % 2 == 0) {
        n /= 2;
        factor[count] = factor[0];
        factor[count ? 0 : count] = 2;
        count++;
    }
    for (int p = 3; p <= OC_FFT_PRIME; p += 2)
        for (; n % p == 0; n /= p)
            factor[count++] = p;
    return n == 1 ? count : -1;
}

/* The length of the convolution behind Bluestein: a power of two. */
static int64_t padded(int64_t n) {
    int factor[OC_FFT_FACTORS];
    if (split(n, factor) >= 0) return 0;
    int64_t m = 1;
    while (m < 2 * n - 1)
        m *= 2;
    return m;
}

/* ---- tables ----------------------------------------------------------------
 */

/* exp(2 pi i k / n), by its place in an eighth of the circle: exact at the
   corners and symmetric everywhere. */
static void root(int64_t k, int64_t n, double *re, double *im) {
    int64_t eighth = 8 * k / n, rest = 8 * k - eighth * n;
    /* angle = pi/4 * (eighth + rest / n) */
    double a = PI / 4 * (double)rest / (double)n;
    double b = PI / 4 * (double)(n - rest) / (double)n;
    switch (eighth) {
    case 0: *re = cos(a), *im = sin(a); break;
    case 1: *re = sin(b), *im = cos(b); break;
    case 2: *re = -sin(a), *im = cos(a); break;
    case 3: *re = -cos(b), *im = sin(b); break;
    case 4: *re = -cos(a), *im = -sin(a); break;
    case 5: *re = -sin(b), *im = -cos(b); break;
    case 6: *re = sin(a), *im = -cos(a); break;
    default: *re = cos(b), *im = -sin(b); break;
    }
}

static void fill_roots(void *table, int64_t n, int wide) {
    for (int64_t k = 0; k < n; k++) {
        double re, im;
        root(k, n, &re, &im);
        if (wide) {
            ((double *)table)[2 * k] = re;
            ((double *)table)[2 * k + 1] = im;
        } else {
            ((float *)table)[2 * k] = (float)re;
            ((float *)table)[2 * k + 1] = (float)im;
        }
    }
}

/* table: [twiddle n], or with Bluestein [chirp n][kernel m][twiddle m][m];
   work: a second array of n, or two of m. */
oc_status oc__fft_bytes(const oc__ctx *c, int64_t n, int wide,
                        size_t *table_bytes, size_t *work_bytes) {
    if (n < 1 || n > INT64_C(1) << 40)
        return oc__op_fail(c, OC_E_LIMIT, "a transform of length %lld",
                           (long long)n);
    size_t m = (size_t)padded(n), pair = wide ? 16 : 8;
    *table_bytes = m ? ((size_t)n + 3 * m) * 16 : (size_t)n * pair;
    *work_bytes = m ? 2 * m * 16 : (size_t)n * pair;
    *table_bytes = oc__align_up(*table_bytes, 64);
    *work_bytes = oc__align_up(*work_bytes, 64);
    return OC_OK;
}

void oc__fft_init(oc__fft *f, int64_t n, int wide, void *table) {
    memset(f, 0, sizeof *f);
    f->n = n;
    f->wide = wide;
    f->m = padded(n);
    if (f->m == 0) {
        f->n_factors = split(n, f->factor);
        fill_roots(table, n, wide);
        f->twiddle = table;
        return;
    }
    int64_t m = f->m;
    double *chirp = table, *kernel = chirp + 2 * n, *roots = kernel + 2 * m;
    f->m_factors = split(m, f->m_factor);
    fill_roots(roots, m, 1);
    memset(kernel, 0, (size_t)m * 16);
    for (int64_t k = 0; k < n; k++) {
        /* exp(pi i k^2 / n), the square taken modulo 2n: it stays exact. */
        uint64_t square = (uint64_t)k * (uint64_t)k % (uint64_t)(2 * n);
        int64_t back = k ? m - k : 0;
        root((int64_t)square, 2 * n, &chirp[2 * k], &chirp[2 * k + 1]);
        kernel[2 * k] = kernel[2 * back] = chirp[2 * k];
        kernel[2 * k + 1] = kernel[2 * back + 1] = chirp[2 * k + 1];
    }
    f64_transform(m, f->m_factor, f->m_factors, roots, kernel, roots + 2 * m, 0,
                  1);
    f->chirp = chirp;
    f->kernel = kernel;
    f->m_twiddle = roots;
}

/* ---- running ---------------------------------------------------------------
 */

/*
 * jk = (j^2 + k^2 - (k - j)^2) / 2 makes the sum over j a convolution with
 * the chirp.  Forwards; backwards is forwards of the conjugate.
 */
static void bluestein(const oc__fft *f, void *x, double *work, int backward,
                      double scale) {
    int64_t n = f->n, m = f->m;
    f64_pair *a = (f64_pair *)work, *spare = a + m;
    const f64_pair *chirp = (const f64_pair *)f->chirp;
    const f64_pair *kernel = (const f64_pair *)f->kernel;
    float *x32 = x;
    double *x64 = x, sign = backward ? -1 : 1;
    memset(a, 0, (size_t)m * sizeof *a);
    for (int64_t k = 0; k < n; k++) {
        f64_pair v = {f->wide ? x64[2 * k] : (double)x32[2 * k],
                      f->wide ? x64[2 * k + 1] : (double)x32[2 * k + 1]};
        v.i *= sign;
        a[k] = f64_turn(v, chirp[k], 0);
    }
    f64_transform(m, f->m_factor, f->m_factors, f->m_twiddle, a, spare, 0, 1);
    for (int64_t k = 0; k < m; k++)
        a[k] = f64_turn(a[k], kernel[k], 1);
    f64_transform(m, f->m_factor, f->m_factors, f->m_twiddle, a, spare, 1,
                  1 / (double)m);
    for (int64_t k = 0; k < n; k++) {
        f64_pair v = f64_turn(a[k], chirp[k], 0);
        v.r *= scale;
        v.i *= scale * sign;
        if (f->wide) {
            x64[2 * k] = v.r;
            x64[2 * k + 1] = v.i;
        } else {
            x32[2 * k] = (float)v.r;
            x32[2 * k + 1] = (float)v.i;
        }
    }
}

void oc__fft_run(const oc__fft *f, void *x, void *work, int backward,
                 double factor) {
    if (f->m)
        bluestein(f, x, work, backward, factor);
    else if (f->wide)
        f64_transform(f->n, f->factor, f->n_factors, f->twiddle, x, work,
                      backward, factor);
    else
        f32_transform(f->n, f->factor, f->n_factors, f->twiddle, x, work,
                      backward, factor);
}
