/*
 * fft_template.h - the passes of a transform for one element type; included
 * by fft.c with T (the type) and N(name) (its suffix) defined.
 *
 * A pass of radix p over n = before * p * rest elements:
 *
 *     in   x[i + rest * (j + p * k)]        i < rest, j < p, k < before
 *     out  y[i + rest * (k + before * q)]   q < p
 *     y_q = w^(i q) * sum_j x_j * exp(-+2 pi i j q / p)
 *
 * The order of additions is the usual one of split even/odd butterflies, so
 * that zeros that come out of cancellation stay as small as elsewhere.
 */

typedef struct N(pair) {
    T r, i;
} N(pair);

/* v * w, or v * conj(w) forwards: tables hold positive angles. */
static inline N(pair) N(turn)(N(pair) v, N(pair) w, int backward) {
    N(pair) out;
    if (backward) {
        out.r = v.r * w.r - v.i * w.i;
        out.i = v.r * w.i + v.i * w.r;
    } else {
        out.r = v.r * w.r + v.i * w.i;
        out.i = v.i * w.r - v.r * w.i;
    }
    return out;
}

/* By a quarter turn, in the transform's direction. */
static inline N(pair) N(quarter)(N(pair) v, int backward) {
    N(pair) out = {backward ? -v.i : v.i, backward ? v.r : -v.r};
    return out;
}

static inline N(pair) N(plus)(N(pair) a, N(pair) b) {
    N(pair) out = {a.r + b.r, a.i + b.i};
    return out;
}

static inline N(pair) N(minus)(N(pair) a, N(pair) b) {
    N(pair) out = {a.r - b.r, a.i - b.i};
    return out;
}

/* By an eighth turn. */
static inline N(pair) N(eighth)(N(pair) v, int backward) {
    const T h = (T)0.70710678118654752440;
    N(pair) out;
    if (backward) {
        out.r = h * (v.r - v.i);
        out.i = h * (v.i + v.r);
    } else {
        out.r = h * (v.r + v.i);
        out.i = h * (v.i - v.r);
    }
    return out;
}

static void N(butterfly2)(N(pair) * v, int backward) {
    N(pair) a = v[0], b = v[1];
    (void)backward;
    v[0] = N(plus)(a, b);
    v[1] = N(minus)(a, b);
}

static void N(butterfly4)(N(pair) * v, int backward) {
    N(pair) a = N(plus)(v[0], v[2]), b = N(minus)(v[0], v[2]);
    N(pair) d = N(plus)(v[1], v[3]);
    N(pair) e = N(quarter)(N(minus)(v[1], v[3]), backward);
    v[0] = N(plus)(a, d);
    v[2] = N(minus)(a, d);
    v[1] = N(plus)(b, e);
    v[3] = N(minus)(b, e);
}

/* The odd inputs as a butterfly of four, turned, then put to the even ones. */
static void N(butterfly8)(N(pair) * v, int backward) {
    N(pair) a1 = N(plus)(v[1], v[5]), a5 = N(minus)(v[1], v[5]);
    N(pair) a3 = N(plus)(v[3], v[7]), a7 = N(minus)(v[3], v[7]);
    N(pair) odd0 = N(plus)(a1, a3);
    N(pair) odd2 = N(quarter)(N(minus)(a1, a3), backward);
    a7 = N(quarter)(a7, backward);
    N(pair) odd1 = N(eighth)(N(plus)(a5, a7), backward);
    N(pair) odd3 = N(quarter)(N(eighth)(N(minus)(a5, a7), backward), backward);
    N(pair) a0 = N(plus)(v[0], v[4]), a4 = N(minus)(v[0], v[4]);
    N(pair) a2 = N(plus)(v[2], v[6]);
    N(pair) a6 = N(quarter)(N(minus)(v[2], v[6]), backward);
    N(pair) even0 = N(plus)(a0, a2), even2 = N(minus)(a0, a2);
    N(pair) even1 = N(plus)(a4, a6), even3 = N(minus)(a4, a6);
    v[0] = N(plus)(even0, odd0);
    v[4] = N(minus)(even0, odd0);
    v[1] = N(plus)(even1, odd1);
    v[5] = N(minus)(even1, odd1);
    v[2] = N(plus)(even2, odd2);
    v[6] = N(minus)(even2, odd2);
    v[3] = N(plus)(even3, odd3);
    v[7] = N(minus)(even3, odd3);
}

/* An odd radix: cosines act on sums of opposite inputs, sines on their
   differences.  roots holds exp(+2 pi i q / p). */
static void N(butterfly_odd)(N(pair) * v, int p, const N(pair) * roots,
                             int backward) {
    N(pair) sum[OC_FFT_PRIME / 2 + 1], diff[OC_FFT_PRIME / 2 + 1];
    N(pair) zero = v[0], total = v[0];
    int half = (p - 1) / 2;
    for (int j = 1; j <= half; j++) {
        sum[j] = N(plus)(v[j], v[p - j]);
        diff[j] = N(minus)(v[j], v[p - j]);
        total = N(plus)(total, sum[j]);
    }
    v[0] = total;
    for (int q = 1; q <= half; q++) {
        N(pair) a = zero, b = {0, 0};
        for (int j = 1; j <= half; j++) {
            N(pair) w = roots[q * j % p];
            T sine = backward ? w.i : -w.i;
            a.r += w.r * sum[j].r;
            a.i += w.r * sum[j].i;
            b.i += sine * diff[j].r;
            b.r -= sine * diff[j].i;
        }
        v[q] = N(plus)(a, b);
        v[p - q] = N(minus)(a, b);
    }
}

static void N(pass)(const N(pair) * x, N(pair) * y, int64_t before, int p,
                    int64_t rest, const N(pair) * w, int backward) {
    N(pair) v[OC_FFT_PRIME + 1], roots[OC_FFT_PRIME + 1];
    int64_t n = before * p * rest;
    for (int j = 0; j < p; j++)
        roots[j] = w[n / p * j];
    for (int64_t k = 0; k < before; k++)
        for (int64_t i = 0; i < rest; i++) {
            for (int j = 0; j < p; j++)
                v[j] = x[i + rest * (j + p * k)];
            if (p == 2)
                N(butterfly2)(v, backward);
            else if (p == 4)
                N(butterfly4)(v, backward);
            else if (p == 8)
                N(butterfly8)(v, backward);
            else
                N(butterfly_odd)(v, p, roots, backward);
            for (int q = 0; q < p; q++)
                y[i + rest * (k + before * q)] =
                    i && q ? N(turn)(v[q], w[before * q * i], backward) : v[q];
        }
}

static void N(transform)(int64_t n, const int *factor, int n_factors,
                         const void *twiddle, void *data, void *work,
                         int backward, double scale) {
    N(pair) *x = data, *from = data, *to = work;
    int64_t before = 1;
    T f = (T)scale;
    for (int k = 0; k < n_factors; k++) {
        int64_t rest = n / before / factor[k];
        N(pass)(from, to, before, factor[k], rest, twiddle, backward);
        N(pair) *swap = from;
        from = to;
        to = swap;
        before *= factor[k];
    }
    for (int64_t i = 0; i < n; i++) {
        x[i].r = from[i].r * f;
        x[i].i = from[i].i * f;
    }
}
