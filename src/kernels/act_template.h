/*
 * act_template.h - exp, log, tanh, sigmoid, erf and the activations on one
 * vector, written once for all instruction sets.  No include guard: each of
 * x86/act_avx2.h, x86/act_avx512.h, arm/act_neon.h defines the primitives
 *
 *     VF, VI, VM    vector of f32, of i32, mask
 *     V(name)       the name with the set's prefix: v8_, v16_, v4_
 *     VINLINE       static inline with the set's target attribute
 *
 * and then includes this.  All sets use the same operations in the same order,
 * so they give the same bits.
 *
 * Errors were measured over all floats (tests/unit/test_kernels_elementwise.c):
 * exp 1.0, log 0.8, tanh 1.4, sigmoid 2.3, erf 1.0, expm1 1.5, log1p of
 * [0, 1] 1.2 ulp.  The polynomials are minimax fits, weighted by relative
 * error, their coefficients rounded to f32 one after the other.
 *
 * maxx(a, x) is a > x ? a : x, so x wins when the two are equal or either is
 * NaN; minx the same with <.  Clamping by them keeps a NaN in x.
 */

#ifndef ACT_AT_ONCE
#define ACT_AT_ONCE 6
#if defined(__clang__)
#define ACT_UNROLL _Pragma("clang loop unroll(full)")
#else
#define ACT_UNROLL _Pragma("GCC unroll 8")
#endif
#endif

/* 2^n for integers n in -126..127: n is the exponent field less its bias. */
VINLINE VF V(pow2)(VI n) {
    return V(cast_f)(V(i_shl23)(V(i_add)(n, V(i_set1)(127))));
}

/* (exp(r) - 1 - r) / r^2 on |r| <= ln(2)/2, relative error 2^-28. */
VINLINE VF V(exp_poly)(VF r) {
    VF p = V(set1)(0x1.6d7a4ap-10f);
    p = V(fma)(p, r, V(set1)(0x1.123990p-7f));
    p = V(fma)(p, r, V(set1)(0x1.5554c0p-5f));
    p = V(fma)(p, r, V(set1)(0x1.555492p-3f));
    return V(fma)(p, r, V(set1)(0.5f));
}

/* Splits x = n ln 2 + r.  The product by ln 2's upper part is exact inside
 * the fma: it is a multiple of 2^-24 and the difference is below 1/2. */
VINLINE VF V(exp_reduce)(VF x, VF *n) {
    *n = V(round)(V(mul)(x, V(set1)(0x1.715476p+0f)));
    VF r = V(fnma)(*n, V(set1)(0x1.62e430p-1f), x);
    return V(fnma)(*n, V(set1)(-0x1.05c610p-29f), r);
}

VINLINE VF V(exp)(VF x) {
    /* From 89 on the result is Inf, below -104 it is 0; by then 2^n is both
     * reached in two factors, each a normal number. */
    x = V(minx)(V(set1)(89.0f), x);
    x = V(maxx)(V(set1)(-104.0f), x);
    VF n, r = V(exp_reduce)(x, &n);
    VF p = V(fma)(V(exp_poly)(r), V(mul)(r, r), r);
    p = V(add)(p, V(set1)(1.0f));
    VI i = V(to_i)(n), half = V(i_half)(i);
    return V(mul)(V(mul)(p, V(pow2)(half)), V(pow2)(V(i_sub)(i, half)));
}

/* exp for what a softmax has: x is 0 at most, or hardly above.  n = -127 has
 * the exponent field 0, so all below 2^-126.5 becomes 0. */
VINLINE VF V(exp_down)(VF x) {
    VF n, r = V(exp_reduce)(V(maxx)(V(set1)(-88.0f), x), &n);
    VF p = V(fma)(V(exp_poly)(r), V(mul)(r, r), r);
    return V(mul)(V(add)(p, V(set1)(1.0f)), V(pow2)(V(to_i)(n)));
}

/* exp(x) - 1, exact to a few ulp near 0 too. */
VINLINE VF V(expm1)(VF x) {
    VF c = V(minx)(V(set1)(89.0f), x);
    c = V(maxx)(V(set1)(-30.0f), c); /* -1 from -17.4 down */
    VF n, r = V(exp_reduce)(c, &n);
    VF p = V(fma)(V(exp_poly)(r), V(mul)(r, r), r);
    /* 2^n (p + 1) - 1; by half of 2^n, because 2^128 is not a number. */
    VF s = V(pow2)(V(i_sub)(V(to_i)(n), V(i_set1)(1)));
    VF y = V(fma)(s, p, V(sub)(s, V(set1)(0.5f)));
    y = V(add)(y, y);
    return V(select)(V(eq)(x, V(set1)(0.0f)), x, y); /* keeps -0 */
}

/* (log(1+f) - f + f^2/2) / f^3 for 1+f in sqrt(1/2)..sqrt(2) */
VINLINE VF V(log_poly)(VF f) {
    VF p = V(set1)(0x1.14763ap-4f);
    p = V(fma)(p, f, V(set1)(-0x1.de02d6p-4f));
    p = V(fma)(p, f, V(set1)(0x1.e6bf38p-4f));
    p = V(fma)(p, f, V(set1)(-0x1.fc2884p-4f));
    p = V(fma)(p, f, V(set1)(0x1.233ba8p-3f));
    p = V(fma)(p, f, V(set1)(-0x1.555c46p-3f));
    p = V(fma)(p, f, V(set1)(0x1.99a476p-3f));
    p = V(fma)(p, f, V(set1)(-0x1.000006p-2f));
    return V(fma)(p, f, V(set1)(0x1.555548p-2f));
}

/* log of a positive, finite, normal number times 2^extra */
VINLINE VF V(log_normal)(VF x, VF extra) {
    /* Subtracting the bits of sqrt(1/2) makes the exponent field count from
     * there, so that the mantissa m falls around 1. */
    VI i = V(cast_i)(x);
    VI e = V(i_sra23)(V(i_sub)(i, V(i_set1)(0x3f3504f3)));
    VF m = V(cast_f)(V(i_sub)(i, V(i_shl23)(e)));
    VF n = V(add)(V(to_f)(e), extra);
    VF f = V(sub)(m, V(set1)(1.0f)), f2 = V(mul)(f, f);
    VF y = V(mul)(V(mul)(V(log_poly)(f), f2), f);
    y = V(fma)(n, V(set1)(-0x1.05c610p-29f), y);
    y = V(fnma)(V(set1)(0.5f), f2, y);
    return V(fma)(n, V(set1)(0x1.62e430p-1f), V(add)(f, y));
}

VINLINE VF V(log)(VF x) {
    const VF zero = V(set1)(0.0f);
    VM tiny = V(lt)(x, V(set1)(0x1p-126f));
    VF y = V(log_normal)(V(select)(tiny, V(mul)(x, V(set1)(0x1p23f)), x),
                         V(select)(tiny, V(set1)(-23.0f), zero));
    VM ok = V(m_and)(V(gt)(x, zero), V(lt)(x, V(set1)(V_INF)));
    /* Inf, then 0, then what is negative or NaN. */
    VF odd = V(select)(V(eq)(x, zero), V(set1)(-V_INF), V(set1)(V_NAN));
    odd = V(select)(V(gt)(x, zero), x, odd);
    return V(select)(ok, y, odd);
}

/* log(1 + z) for z in 0..1; NaN stays */
VINLINE VF V(log1p_unit)(VF z) {
    const VF one = V(set1)(1.0f);
    VF w = V(add)(one, z);
    /* What the addition rounded away, put back to first order. */
    VF lost = V(sub)(z, V(sub)(w, one));
    return V(add)(V(log_normal)(w, V(set1)(0.0f)), V(div)(lost, w));
}

VINLINE VF V(sigmoid)(VF x) {
    /* By exp(-|x|), which cannot overflow: 1/(1+z), or z/(1+z) for x < 0. */
    const VF one = V(set1)(1.0f);
    VF z = V(exp)(V(neg)(V(abs)(x)));
    VF top = V(select)(V(lt)(x, V(set1)(0.0f)), z, one);
    return V(div)(top, V(add)(one, z));
}

/*
 * x sigmoid(u) by 1/(1 + exp(-u)) for n vectors, step by step in all of them:
 * the chain of one is too long for processors to overlap with the next.
 * Beyond +-87 the sigmoid is 1 or, next to anything, 0, so that 2^n is a number
 * which an addition to the exponent field multiplies by; the sum with 1.5 2^23
 * has n in its lowest bits.
 */
VINLINE void V(gates)(VF *x, const VF *u, const int n) {
    const VF one = V(set1)(1.0f), shift = V(set1)(0x1.8p+23f);
    VF t[ACT_AT_ONCE], m[ACT_AT_ONCE], p[ACT_AT_ONCE];
#define EACH(to, from) ACT_UNROLL for (int i = 0; i < n; i++)(to)[i] = (from)
    EACH(t, V(minx)(V(set1)(87.0f), V(neg)(u[i])));
    EACH(t, V(maxx)(V(set1)(-87.0f), t[i]));
    EACH(m, V(fma)(t[i], V(set1)(0x1.715476p+0f), shift));
    EACH(p, V(sub)(m[i], shift));
    EACH(t, V(fnma)(p[i], V(set1)(0x1.62e430p-1f), t[i]));
    EACH(t, V(fnma)(p[i], V(set1)(-0x1.05c610p-29f), t[i]));
    EACH(p, V(fma)(V(set1)(0x1.6d7a4ap-10f), t[i], V(set1)(0x1.123990p-7f)));
    EACH(p, V(fma)(p[i], t[i], V(set1)(0x1.5554c0p-5f)));
    EACH(p, V(fma)(p[i], t[i], V(set1)(0x1.555492p-3f)));
    EACH(p, V(fma)(p[i], t[i], V(set1)(0.5f)));
    EACH(p, V(fma)(p[i], V(mul)(t[i], t[i]), t[i]));
    EACH(p, V(add)(p[i], one));
    EACH(p, V(cast_f)(V(i_add)(V(cast_i)(p[i]), V(i_shl23)(V(cast_i)(m[i])))));
    EACH(p, V(div)(one, V(add)(one, p[i])));
    EACH(p, V(select)(V(lt)(u[i], V(set1)(-87.0f)), V(set1)(0.0f), p[i]));
    EACH(x, V(mul)(x[i], p[i]));
#undef EACH
}

VINLINE VF V(gate)(VF x, VF u) {
    V(gates)(&x, &u, 1);
    return x;
}

VINLINE VF V(tanh)(VF x) {
    const VF one = V(set1)(1.0f);
    VF a = V(abs)(x), z = V(mul)(a, a);
    /* Near 0 an odd polynomial, further out by exp. */
    VF p = V(set1)(-0x1.75619ap-8f);
    p = V(fma)(p, z, V(set1)(0x1.5207b8p-6f));
    p = V(fma)(p, z, V(set1)(-0x1.b83738p-5f));
    p = V(fma)(p, z, V(set1)(0x1.1106fcp-3f));
    p = V(fma)(p, z, V(set1)(-0x1.555532p-2f));
    VF near = V(fma)(V(mul)(p, z), a, a);
    VF e = V(exp)(V(add)(a, a));
    VF far = V(sub)(one, V(div)(V(set1)(2.0f), V(add)(e, one)));
    VF y = V(select)(V(lt)(a, V(set1)(0.625f)), near, far);
    return V(or)(y, V(sign)(x));
}

VINLINE VF V(erf)(VF x) {
    VF a = V(abs)(x), z = V(mul)(a, a);
    /* erf(a)/a - 1 up to 1; beyond, 1 - exp(log(erfc(a))). */
    VF p = V(set1)(0x1.4771fcp-14f);
    p = V(fma)(p, z, V(set1)(-0x1.a3515ep-11f));
    p = V(fma)(p, z, V(set1)(0x1.53f224p-8f));
    p = V(fma)(p, z, V(set1)(-0x1.b7f71ap-6f));
    p = V(fma)(p, z, V(set1)(0x1.ce2ce6p-4f));
    p = V(fma)(p, z, V(set1)(-0x1.81273ep-2f));
    p = V(fma)(p, z, V(set1)(0x1.06eba8p-3f));
    VF near = V(fma)(p, a, a);
    VF t = V(minx)(V(set1)(4.0f), a); /* erf(4) rounds to 1 */
    VF q = V(set1)(0x1.8528d0p-13f);
    q = V(fma)(q, t, V(set1)(-0x1.814ad4p-9f));
    q = V(fma)(q, t, V(set1)(0x1.654170p-6f));
    q = V(fma)(q, t, V(set1)(-0x1.a60a4ap-4f));
    q = V(fma)(q, t, V(set1)(-0x1.46c588p-1f));
    q = V(fma)(q, t, V(set1)(-0x1.2085b2p+0f));
    q = V(fma)(q, t, V(set1)(-0x1.72e404p-12f));
    VF far = V(sub)(V(set1)(1.0f), V(exp)(q));
    VF y = V(select)(V(lt)(a, V(set1)(1.0f)), near, far);
    return V(or)(y, V(sign)(x));
}

VINLINE VF V(relu)(VF x) {
    return V(maxx)(V(set1)(0.0f), x);
}

VINLINE VF V(clip)(VF x, VF lo, VF hi) {
    return V(minx)(hi, V(maxx)(lo, x));
}

/* max(0, min(1, a x + b)), in two roundings like the scalar one */
VINLINE VF V(hard_sigmoid)(VF x, VF a, VF b) {
    VF t = V(add)(V(mul)(x, a), b);
    return V(maxx)(V(set1)(0.0f), V(minx)(V(set1)(1.0f), t));
}

/* erf within 2^-21, at half the work: for sums with 1.  Odd and even parts are
 * a minimax fit; at the clamp their quotient is 1. */
VINLINE VF V(erf_sum)(VF x) {
    x = V(maxx)(V(set1)(-0x1.ea8f5cp+1f), V(minx)(V(set1)(0x1.ea8f5cp+1f), x));
    VF z = V(mul)(x, x);
    VF p = V(set1)(-0x1.b8196ep-27f);
    p = V(fma)(p, z, V(set1)(0x1.360a48p-18f));
    p = V(fma)(p, z, V(set1)(0x1.8b097ep-12f));
    p = V(fma)(p, z, V(set1)(0x1.f489d0p-9f));
    p = V(fma)(p, z, V(set1)(0x1.bbe46cp-5f));
    p = V(fma)(p, z, V(set1)(0x1.7a1af0p-3f));
    p = V(fma)(p, z, V(set1)(0x1.20dd76p+0f));
    VF q = V(set1)(0x1.0628a0p-14f);
    q = V(fma)(q, z, V(set1)(0x1.541e2ap-10f));
    q = V(fma)(q, z, V(set1)(0x1.f852b0p-7f));
    q = V(fma)(q, z, V(set1)(0x1.d19812p-4f));
    q = V(fma)(q, z, V(set1)(0x1.fce086p-2f));
    q = V(fma)(q, z, V(set1)(1.0f));
    return V(div)(V(mul)(x, p), q);
}

VINLINE VF V(gelu)(VF x) {
    VF e = V(erf_sum)(V(mul)(x, V(set1)(0x1.6a09e6p-1f)));
    return V(mul)(V(mul)(x, V(set1)(0.5f)), V(add)(V(set1)(1.0f), e));
}

/* (1 + tanh u)/2 is sigmoid(2u), with one exp and no cancellation. */
VINLINE VF V(gelu_tanh)(VF x) {
    VF k = V(fma)(V(mul)(x, x), V(set1)(0.044715f), V(set1)(1.0f));
    VF u = V(mul)(V(mul)(x, k), V(set1)(0x1.988454p+0f)); /* 2 sqrt(2/pi) */
    return V(gate)(x, u);
}

VINLINE VF V(softplus)(VF x) {
    VF z = V(exp)(V(neg)(V(abs)(x)));
    return V(add)(V(relu)(x), V(log1p_unit)(z));
}

/* tanh(log(1 + e)) = n / (n + 2) with n = e (e + 2); past 20 it is 1. */
VINLINE VF V(mish)(VF x) {
    const VF two = V(set1)(2.0f);
    VF e = V(exp)(V(minx)(V(set1)(20.0f), x));
    VF n = V(mul)(e, V(add)(e, two));
    return V(mul)(x, V(div)(n, V(add)(n, two)));
}

/* Every activation.  With act.kind a constant the switch goes away. */
VINLINE VF V(act_inline)(oc__act_args act, VF x) {
    const VF zero = V(set1)(0.0f), one = V(set1)(1.0f);
    const VF a = V(set1)(act.a), b = V(set1)(act.b);
    switch (act.kind) {
    case OC_ACT_NONE: return x;
    case OC_ACT_RELU: return V(relu)(x);
    case OC_ACT_CLIP: return V(clip)(x, a, b);
    case OC_ACT_LEAKY_RELU: return V(select)(V(lt)(x, zero), V(mul)(a, x), x);
    case OC_ACT_SIGMOID: return V(sigmoid)(x);
    case OC_ACT_TANH: return V(tanh)(x);
    case OC_ACT_SILU: return V(gate)(x, x);
    case OC_ACT_HARD_SIGMOID: return V(hard_sigmoid)(x, a, b);
    case OC_ACT_HARD_SWISH:
        return V(mul)(x,
                      V(hard_sigmoid)(x, V(set1)(1.0f / 6.0f), V(set1)(0.5f)));
    case OC_ACT_GELU: return V(gelu)(x);
    case OC_ACT_GELU_TANH: return V(gelu_tanh)(x);
    case OC_ACT_ELU:
        return V(select)(V(lt)(x, zero), V(mul)(a, V(expm1)(x)), x);
    case OC_ACT_SOFTPLUS: return V(softplus)(x);
    case OC_ACT_MISH: return V(mish)(x);
    case OC_ACT_SELU:
        x = V(select)(V(gt)(x, zero), x, V(mul)(a, V(expm1)(x)));
        return V(mul)(b, x);
    case OC_ACT_CELU:
        return V(add)(V(relu)(x),
                      V(minx)(zero, V(mul)(a, V(expm1)(V(div)(x, a)))));
    case OC_ACT_THRESHOLDED_RELU: return V(select)(V(gt)(x, a), x, zero);
    case OC_ACT_SOFTSIGN: return V(div)(x, V(add)(one, V(abs)(x)));
    case OC_ACT_SCALED_TANH: return V(mul)(a, V(tanh)(V(mul)(b, x)));
    case OC_ACT_QUICK_GELU: return V(gate)(x, V(mul)(a, x));
    case OC_ACT_ABS: return V(abs)(x);
    case OC_ACT_NEG: return V(neg)(x);
    case OC_ACT_SQRT: return V(sqrt)(x);
    case OC_ACT_EXP: return V(exp)(x);
    default: return x;
    }
}

/* The same out of line: inside the epilogue of a GEMM the long ones would
 * cost more cache than a call. */
static __attribute__((noinline, unused)) VTARGET VF V(act_far)(oc__act_args act,
                                                               VF x) {
    return V(act_inline)(act, x);
}

/**
 * act of one vector, for fusing behind a product still in registers.  The
 * cheap ones are inline; the others are a call, which spills what is live.
 */
VINLINE VF V(act)(oc__act_args act, VF x) {
    switch (act.kind) {
    case OC_ACT_NONE: return x;
    case OC_ACT_RELU: return V(relu)(x);
    case OC_ACT_CLIP: return V(clip)(x, V(set1)(act.a), V(set1)(act.b));
    case OC_ACT_LEAKY_RELU:
        return V(select)(V(lt)(x, V(set1)(0.0f)), V(mul)(V(set1)(act.a), x), x);
    case OC_ACT_HARD_SIGMOID:
        return V(hard_sigmoid)(x, V(set1)(act.a), V(set1)(act.b));
    case OC_ACT_HARD_SWISH:
        return V(mul)(x,
                      V(hard_sigmoid)(x, V(set1)(1.0f / 6.0f), V(set1)(0.5f)));
    default: return V(act_far)(act, x);
    }
}
