/*
 * winograd_template.h - the transforms of Winograd's convolution, written
 * once for all instruction sets.  No include guard: x86/winograd_avx2.c,
 * x86/winograd_avx512.c and arm/winograd_neon.c define, besides what
 * act_template.h lists,
 *
 *     K(job)    the kernel's name: oc__<job>_<isa>
 *     BLOCK     channels in a block of NCHWc, a multiple of V_WIDTH
 *
 * m outputs of a filter with 3 taps are the coefficients of a product of
 * polynomials, taken at n = m + 2 points: 0, pairs +p and -p, infinity.  That
 * costs n multiplications instead of 3 m; in two dimensions n^2 for m^2
 * outputs instead of 9 m^2 (m = 4: 36 for 144; m = 6: 64 for 324).
 *
 * With P the product of (x^2 - p^2) over the pairs and q the same without one
 * of them, the rows of the input transform are the coefficients of
 *
 *     point 0          P
 *     points +p, -p    x (x + p) q,  x (x - p) q  =  x^2 q + p x q, - p x q
 *     infinity         x P
 *
 * so a pair shares its even part x^2 q and its odd part p x q.  The output
 * transform evaluates powers: with S = m(p) + m(-p), D = m(p) - m(-p),
 *
 *     y[0] = m(0) + sum S          y[1] = sum p D     y[2] = sum p^2 S  ...
 *     y[m-1] = sum p^(m-1) D + m(infinity)
 *
 * The filter's transform is done in double at packing, see conv_winograd.c.
 * Source: Lavin and Gray, arXiv:1509.09308; the points, see conv.h.
 */
#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 32")
#endif

#define MAX_N 8

VINLINE VF V(times)(float k, VF x) {
    return V(mul)(V(set1)(k), x);
}

VINLINE VF V(plus)(float k, VF x, VF y) { /* k x + y */
    return V(fma)(V(set1)(k), x, y);
}

/* The pair of points +-p: writes o[0], o[1] from q's even and odd sums. */
VINLINE void V(pair)(float p, VF even, VF odd, VF *o) {
    o[0] = V(plus)(p, odd, even);
    o[1] = V(plus)(-p, odd, even);
}

/* n inputs to n points, n = 4, 6 or 8. */
VINLINE void V(to_points)(const int n, const VF *d, VF *o) {
    if (n == 4) {
        o[0] = V(sub)(d[2], d[0]);
        V(pair)(1.0f, d[2], d[1], o + 1);
        o[3] = V(sub)(d[3], d[1]);
    } else if (n == 6) {
        const float a = 0.625f, b = 1.5f, a2 = a * a, b2 = b * b;
        o[0] = V(plus)(a2 * b2, d[0], V(plus)(-(a2 + b2), d[2], d[4]));
        V(pair)(a, V(plus)(-b2, d[2], d[4]), V(plus)(-b2, d[1], d[3]), o + 1);
        V(pair)(b, V(plus)(-a2, d[2], d[4]), V(plus)(-a2, d[1], d[3]), o + 3);
        o[5] = V(plus)(a2 * b2, d[1], V(plus)(-(a2 + b2), d[3], d[5]));
    } else {
        /* Squares 1/4, 1, 4: sum 21/4, of products 21/4, product 1. */
        const float s = 5.25f;
        o[0] = V(sub)(V(plus)(s, V(sub)(d[2], d[4]), d[6]), d[0]);
        V(pair)
        (0.5f, V(plus)(4.0f, d[2], V(plus)(-5.0f, d[4], d[6])),
         V(plus)(4.0f, d[1], V(plus)(-5.0f, d[3], d[5])), o + 1);
        V(pair)
        (1.0f, V(add)(d[2], V(plus)(-4.25f, d[4], d[6])),
         V(add)(d[1], V(plus)(-4.25f, d[3], d[5])), o + 3);
        V(pair)
        (2.0f, V(plus)(0.25f, d[2], V(plus)(-1.25f, d[4], d[6])),
         V(plus)(0.25f, d[1], V(plus)(-1.25f, d[3], d[5])), o + 5);
        o[7] = V(sub)(V(plus)(s, V(sub)(d[3], d[5]), d[7]), d[1]);
    }
}

/* n points to m = n - 2 outputs. */
VINLINE void V(from_points)(const int n, const VF *x, VF *y) {
    VF s0 = V(add)(x[1], x[2]), d0 = V(sub)(x[1], x[2]);
    if (n == 4) {
        y[0] = V(add)(x[0], s0);
        y[1] = V(add)(d0, x[3]);
        return;
    }
    VF s1 = V(add)(x[3], x[4]), d1 = V(sub)(x[3], x[4]);
    if (n == 6) {
        const float a = 0.625f, b = 1.5f;
        y[0] = V(add)(x[0], V(add)(s0, s1));
        y[1] = V(plus)(b, d1, V(times)(a, d0));
        y[2] = V(plus)(b * b, s1, V(times)(a * a, s0));
        y[3] = V(plus)(b * b * b, d1, V(plus)(a * a * a, d0, x[5]));
        return;
    }
    VF s2 = V(add)(x[5], x[6]), d2 = V(sub)(x[5], x[6]);
    y[0] = V(add)(V(add)(x[0], s0), V(add)(s1, s2));
    y[1] = V(plus)(2.0f, d2, V(plus)(0.5f, d0, d1));
    y[2] = V(plus)(4.0f, s2, V(plus)(0.25f, s0, s1));
    y[3] = V(plus)(8.0f, d2, V(plus)(0.125f, d0, d1));
    y[4] = V(plus)(16.0f, s2, V(plus)(0.0625f, s0, s1));
    y[5] = V(plus)(32.0f, d2, V(plus)(0.03125f, d0, V(add)(d1, x[7])));
}

/* Down the columns into `half`, then along the rows. */
VINLINE void V(input)(const oc__winograd_tile *t, const int n) {
    for (size_t lane = 0; lane < BLOCK; lane += V_WIDTH) {
        VF half[MAX_N][MAX_N], d[MAX_N], o[MAX_N];
        for (int x = 0; x < n; x++) {
            const float *from = t->from + (size_t)x * BLOCK + lane;
            UNROLL for (int y = 0; y < n; y++) d[y] =
                V(load)(from + (size_t)y * t->from_step);
            V(to_points)(n, d, o);
            UNROLL for (int y = 0; y < n; y++) half[y][x] = o[y];
        }
        float *to = t->to + lane;
        for (int y = 0; y < n; y++) {
            V(to_points)(n, half[y], o);
            UNROLL for (int x = 0; x < n; x++)
                V(store)(to + (size_t)(y * n + x) * t->to_step, o[x]);
        }
    }
}

VINLINE void V(output)(const oc__winograd_tile *t, const int n) {
    const int m = n - 2;
    VF lo = V(set1)(t->lo), hi = V(set1)(t->hi);
    for (size_t lane = 0; lane < BLOCK; lane += V_WIDTH) {
        VF half[MAX_N][MAX_N], d[MAX_N], o[MAX_N];
        VF bias = t->bias ? V(load)(t->bias + lane) : V(set1)(0.0f);
        for (int x = 0; x < n; x++) {
            const float *from = t->from + (size_t)x * t->from_step + lane;
            UNROLL for (int y = 0; y < n; y++) d[y] =
                V(load)(from + (size_t)(y * n) * t->from_step);
            V(from_points)(n, d, o);
            UNROLL for (int y = 0; y < m; y++) half[y][x] = o[y];
        }
        for (size_t y = 0; y < t->rows; y++) {
            V(from_points)(n, half[y], o);
            UNROLL for (int x = 0; x < m; x++) {
                size_t at = y * t->to_step + (size_t)x * BLOCK + lane;
                if ((size_t)x >= t->cols) break;
                VF v = V(add)(o[x], bias);
                if (t->residual) v = V(add)(v, V(load)(t->residual + at));
                V(store)(t->to + at, V(minx)(hi, V(maxx)(lo, v)));
            }
        }
    }
}

/* ---- gradients of the weights ---------------------------------------------
 *
 * The other way to share 6 points out: 4 taps (pixels of the gradient), 3
 * outputs.  The taps' transform is theirs as a polynomial at each point by the
 * product of the point's distances from the others: a^2 b^2 of 0, 2 a^2
 * (a^2 - b^2) of +a and -a.
 */
VINLINE void V(taps_to_points)(const VF *d, VF *o) {
    const float a = 0.625f, b = 1.5f, a2 = a * a, b2 = b * b;
    const float of_a = 1.0f / (2.0f * a2 * (a2 - b2));
    const float of_b = 1.0f / (2.0f * b2 * (b2 - a2));
    o[0] = V(times)(1.0f / (a2 * b2), d[0]);
    V(pair)
    (a, V(times)(of_a, V(plus)(a2, d[2], d[0])),
     V(times)(of_a, V(plus)(a2, d[3], d[1])), o + 1);
    V(pair)
    (b, V(times)(of_b, V(plus)(b2, d[2], d[0])),
     V(times)(of_b, V(plus)(b2, d[3], d[1])), o + 3);
    o[5] = d[3];
}

VINLINE void V(weights_from_points)(const VF *x, VF *y) {
    const float a = 0.625f, b = 1.5f;
    VF s0 = V(add)(x[1], x[2]), d0 = V(sub)(x[1], x[2]);
    VF s1 = V(add)(x[3], x[4]), d1 = V(sub)(x[3], x[4]);
    y[0] = V(add)(x[0], V(add)(s0, s1));
    y[1] = V(plus)(b, d1, V(times)(a, d0));
    y[2] = V(plus)(b * b, s1, V(plus)(a * a, s0, x[5]));
}

static VTARGET void V(grad)(const oc__winograd_tile *t) {
    for (size_t lane = 0; lane < BLOCK; lane += V_WIDTH) {
        VF half[6][4], d[4], o[6];
        for (int x = 0; x < 4; x++) {
            const float *from = t->from + (size_t)x * BLOCK + lane;
            UNROLL for (int y = 0; y < 4; y++) d[y] =
                V(load)(from + (size_t)y * t->from_step);
            V(taps_to_points)(d, o);
            UNROLL for (int y = 0; y < 6; y++) half[y][x] = o[y];
        }
        for (int y = 0; y < 6; y++) {
            V(taps_to_points)(half[y], o);
            UNROLL for (int x = 0; x < 6; x++)
                V(store)(t->to + (size_t)(y * 6 + x) * t->to_step + lane, o[x]);
        }
    }
}

static VTARGET void V(weights)(const oc__winograd_tile *t) {
    for (size_t lane = 0; lane < BLOCK; lane += V_WIDTH) {
        VF half[3][6], d[6], o[3];
        for (int x = 0; x < 6; x++) {
            const float *from = t->from + (size_t)x * t->from_step + lane;
            UNROLL for (int y = 0; y < 6; y++) d[y] =
                V(load)(from + (size_t)(y * 6) * t->from_step);
            V(weights_from_points)(d, o);
            UNROLL for (int y = 0; y < 3; y++) half[y][x] = o[y];
        }
        for (int y = 0; y < 3; y++) {
            V(weights_from_points)(half[y], o);
            UNROLL for (int x = 0; x < 3; x++)
                V(store)(t->to + (size_t)(y * 3 + x) * t->to_step + lane, o[x]);
        }
    }
}

#define SIZE(m)                                                                \
    static VTARGET void V(input_##m)(const oc__winograd_tile *t) {             \
        V(input)(t, m + 2);                                                    \
    }                                                                          \
    static VTARGET void V(output_##m)(const oc__winograd_tile *t) {            \
        V(output)(t, m + 2);                                                   \
    }
SIZE(2)
SIZE(4)
SIZE(6)

const oc__winograd_f32_kernel K(winograd_f32) = {
    {V(input_2), V(input_4), V(input_6)},
    {V(output_2), V(output_4), V(output_6)},
    V(grad),
    V(weights)};
