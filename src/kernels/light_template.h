/*
 * light_template.h - the kernels that go once over their data, written once
 * for all instruction sets: elementwise, activations, reductions, rows,
 * conversions.  Included by x86/light_avx2.c, x86/light_avx512.c and
 * arm/light_neon.c, which define, besides what act_template.h lists,
 *
 *     K(job)      the kernel's name: oc__<job>_<isa>
 *     V_WIDTH     lanes of a VF
 *     V(load_u8), V(load_i8)    V_WIDTH bytes to VI
 *     V(store_u8)               low bytes of VI to V_WIDTH bytes
 *     V(load_f16), V(load_bf16), V(store_f16), V(store_bf16)
 *     V(sum_lanes)              upper half to lower, again and again
 *     V(max_lanes), V(min_lanes)   of lanes that are no NaN
 *
 * What remains behind the last whole vector goes through the same
 * instructions in a partly filled one, never through other code: an element's
 * bits must not depend on where the element lies.
 */
#include <math.h>
#include <string.h>

/* y[i] = expression of v = x[i] */
#define MAP(expression)                                                        \
    do {                                                                       \
        size_t i = 0;                                                          \
        for (; i + V_WIDTH <= n; i += V_WIDTH) {                               \
            VF v = V(load)(x + i);                                             \
            V(store)(y + i, expression);                                       \
        }                                                                      \
        if (i < n) {                                                           \
            VF v = V(load_n)(x + i, n - i);                                    \
            V(store_n)(y + i, expression, n - i);                              \
        }                                                                      \
    } while (0)

/* ---- unary and activations ----------------------------------------------- */

VINLINE VF V(signum)(VF x) {
    VF y = V(or)(V(set1)(1.0f), V(sign)(x));
    VM nonzero = V(m_or)(V(lt)(x, V(set1)(0.0f)), V(gt)(x, V(set1)(0.0f)));
    return V(select)(nonzero, y, x); /* 0 and NaN as they are */
}

VTARGET void K(unary_f32)(oc__unary op, const float *x, float *y, size_t n) {
    switch (op) {
    case OC_UNARY_NEG: MAP(V(neg)(v)); return;
    case OC_UNARY_ABS: MAP(V(abs)(v)); return;
    case OC_UNARY_SQRT: MAP(V(sqrt)(v)); return;
    case OC_UNARY_RECIPROCAL: MAP(V(div)(V(set1)(1.0f), v)); return;
    case OC_UNARY_FLOOR: MAP(V(floor)(v)); return;
    case OC_UNARY_CEIL: MAP(V(ceil)(v)); return;
    case OC_UNARY_ROUND: MAP(V(round)(v)); return;
    case OC_UNARY_SIGN: MAP(V(signum)(v)); return;
    case OC_UNARY_EXP: MAP(V(exp)(v)); return;
    case OC_UNARY_LOG: MAP(V(log)(v)); return;
    case OC_UNARY_TANH: MAP(V(tanh)(v)); return;
    case OC_UNARY_SIGMOID: MAP(V(sigmoid)(v)); return;
    case OC_UNARY_ERF: MAP(V(erf)(v)); return;
    default: MAP(v); return;
    }
}

/* SiLU of many vectors at once; returns how many elements that were. */
VINLINE size_t V(silu_many)(const float *x, float *y, size_t n) {
    const size_t many = (size_t)ACT_AT_ONCE * V_WIDTH;
    size_t i = 0;
    for (; i + many <= n; i += many) {
        VF v[ACT_AT_ONCE], u[ACT_AT_ONCE];
        ACT_UNROLL for (int j = 0; j < ACT_AT_ONCE; j++) u[j] = v[j] =
            V(load)(x + i + (size_t)(j * V_WIDTH));
        V(gates)(v, u, ACT_AT_ONCE);
        ACT_UNROLL for (int j = 0; j < ACT_AT_ONCE; j++)
            V(store)(y + i + (size_t)(j * V_WIDTH), v[j]);
    }
    return i;
}

VTARGET void K(act_f32)(oc__act_args act, const float *x, float *y, size_t n) {
    /* One loop for each activation: with the kind a constant the compiler
     * drops the switch inside, and the call. */
#define ACT(k)                                                                 \
    case k: {                                                                  \
        const oc__act_args f = {k, act.a, act.b};                              \
        MAP(V(act_inline)(f, v));                                              \
        return;                                                                \
    }
    if (act.kind == OC_ACT_SILU) {
        size_t done = V(silu_many)(x, y, n);
        x += done;
        y += done;
        n -= done;
    }
    switch (act.kind) {
        ACT(OC_ACT_RELU)
        ACT(OC_ACT_CLIP)
        ACT(OC_ACT_LEAKY_RELU)
        ACT(OC_ACT_SIGMOID)
        ACT(OC_ACT_TANH)
        ACT(OC_ACT_SILU)
        ACT(OC_ACT_HARD_SIGMOID)
        ACT(OC_ACT_HARD_SWISH)
        ACT(OC_ACT_GELU)
        ACT(OC_ACT_GELU_TANH)
        ACT(OC_ACT_ELU)
        ACT(OC_ACT_SOFTPLUS)
        ACT(OC_ACT_MISH)
        ACT(OC_ACT_SELU)
        ACT(OC_ACT_CELU)
        ACT(OC_ACT_THRESHOLDED_RELU)
        ACT(OC_ACT_SOFTSIGN)
        ACT(OC_ACT_SCALED_TANH)
        ACT(OC_ACT_QUICK_GELU)
        ACT(OC_ACT_ABS)
        ACT(OC_ACT_NEG)
        ACT(OC_ACT_SQRT)
        ACT(OC_ACT_EXP)
    default: MAP(v); return;
    }
#undef ACT
}

VINLINE void V(add_act_loop)(oc__act_args act, const float *a, const float *b,
                             float *y, size_t n) {
    size_t i = 0;
    for (; i + V_WIDTH <= n; i += V_WIDTH) {
        VF v = V(add)(V(load)(a + i), V(load)(b + i));
        V(store)(y + i, V(act)(act, v));
    }
    if (i < n) {
        VF v = V(add)(V(load_n)(a + i, n - i), V(load_n)(b + i, n - i));
        V(store_n)(y + i, V(act)(act, v), n - i);
    }
}

VTARGET void K(add_act_f32)(oc__act_args act, const float *a, const float *b,
                            float *y, size_t n) {
    /* What residual networks use, with the kind a constant; the rest by a
     * switch in the loop. */
    const oc__act_args none = {OC_ACT_NONE, 0, 0}, relu = {OC_ACT_RELU, 0, 0};
    const oc__act_args clip = {OC_ACT_CLIP, act.a, act.b};
    switch (act.kind) {
    case OC_ACT_NONE: V(add_act_loop)(none, a, b, y, n); return;
    case OC_ACT_RELU: V(add_act_loop)(relu, a, b, y, n); return;
    case OC_ACT_CLIP: V(add_act_loop)(clip, a, b, y, n); return;
    default: V(add_act_loop)(act, a, b, y, n); return;
    }
}

/* ---- binary -------------------------------------------------------------- */

VINLINE VF V(binary)(oc__binary op, VF a, VF b) {
    switch (op) {
    case OC_BINARY_ADD: return V(add)(a, b);
    case OC_BINARY_SUB: return V(sub)(a, b);
    case OC_BINARY_MUL: return V(mul)(a, b);
    case OC_BINARY_DIV: return V(div)(a, b);
    /* maxx and minx keep a NaN in their second operand only. */
    case OC_BINARY_MIN: return V(select)(V(isnan)(a), a, V(minx)(a, b));
    case OC_BINARY_MAX: return V(select)(V(isnan)(a), a, V(maxx)(a, b));
    case OC_BINARY_PRELU:
        return V(select)(V(lt)(a, V(set1)(0.0f)), V(mul)(a, b), a);
    default: return a;
    }
}

/* Called with constants for op and the steps, so that each is a loop of its
 * own without a branch inside. */
VINLINE void V(binary_loop)(oc__binary op, const float *a, size_t a_step,
                            const float *b, size_t b_step, float *y, size_t n) {
    /* Scalars are read before anything is written. */
    VF u = n && !a_step ? V(set1)(*a) : V(set1)(0.0f);
    VF v = n && !b_step ? V(set1)(*b) : V(set1)(0.0f);
    size_t i = 0;
    for (; i + V_WIDTH <= n; i += V_WIDTH) {
        if (a_step) u = V(load)(a + i);
        if (b_step) v = V(load)(b + i);
        V(store)(y + i, V(binary)(op, u, v));
    }
    if (i < n) {
        if (a_step) u = V(load_n)(a + i, n - i);
        if (b_step) v = V(load_n)(b + i, n - i);
        V(store_n)(y + i, V(binary)(op, u, v), n - i);
    }
}

VINLINE void V(binary_steps)(oc__binary op, const float *a, size_t a_step,
                             const float *b, size_t b_step, float *y,
                             size_t n) {
    if (a_step && b_step)
        V(binary_loop)(op, a, 1, b, 1, y, n);
    else if (a_step)
        V(binary_loop)(op, a, 1, b, 0, y, n);
    else if (b_step)
        V(binary_loop)(op, a, 0, b, 1, y, n);
    else
        V(binary_loop)(op, a, 0, b, 0, y, n);
}

VTARGET void K(binary_f32)(oc__binary op, const float *a, size_t a_step,
                           const float *b, size_t b_step, float *y, size_t n) {
#define BINARY(k)                                                              \
    case k: V(binary_steps)(k, a, a_step, b, b_step, y, n); return;
    switch (op) {
        BINARY(OC_BINARY_ADD)
        BINARY(OC_BINARY_SUB)
        BINARY(OC_BINARY_MUL)
        BINARY(OC_BINARY_DIV)
        BINARY(OC_BINARY_MIN)
        BINARY(OC_BINARY_MAX)
        BINARY(OC_BINARY_PRELU)
    default: return;
    }
#undef BINARY
}

VTARGET void K(scale_bias_f32)(const float *x, float scale, float bias,
                               float *y, size_t n) {
    const VF s = V(set1)(scale), b = V(set1)(bias);
    MAP(V(fma)(v, s, b));
}

VTARGET void K(scale_bias_cols_f32)(const float *x, const float *scale,
                                    const float *bias, float *y, size_t rows,
                                    size_t cols) {
    /* By columns of one vector: its scale and bias stay in registers while
     * the rows pass, and for a block of NCHWc there is one column only. */
    for (size_t c = 0; c < cols; c += V_WIDTH) {
        size_t m = cols - c < V_WIDTH ? cols - c : V_WIDTH;
        VF s = V(load_n)(scale + c, m);
        VF b = bias ? V(load_n)(bias + c, m) : V(set1)(0.0f);
        const float *from = x + c;
        float *to = y + c;
        if (m == V_WIDTH) {
            for (size_t r = 0; r < rows; r++, from += cols, to += cols)
                V(store)(to, V(fma)(V(load)(from), s, b));
        } else {
            for (size_t r = 0; r < rows; r++, from += cols, to += cols)
                V(store_n)(to, V(fma)(V(load_n)(from, m), s, b), m);
        }
    }
}

/* ---- reductions ---------------------------------------------------------- */

/* What is summed; DEVIATION is (a - b)^2 with b the same in all lanes. */
enum { TERM_PLAIN, TERM_SQUARE, TERM_ABS, TERM_PRODUCT, TERM_DEVIATION };

VINLINE VF V(term)(int term, VF sum, VF a, VF b) {
    VF d;
    switch (term) {
    case TERM_PLAIN: return V(add)(sum, a);
    case TERM_SQUARE: return V(fma)(a, a, sum);
    case TERM_ABS: return V(add)(sum, V(abs)(a));
    case TERM_PRODUCT: return V(fma)(a, b, sum);
    default: d = V(sub)(a, b); return V(fma)(d, d, sum);
    }
}

/* Four sums hide the latency of the addition; a run of 16 additions in each
 * keeps the f32 error below 2^-19, and the runs are added in f64. */
#define RUN 16

VINLINE double V(sum)(int term, const float *a, const float *b, VF mean,
                      size_t n) {
    const int two = term == TERM_PRODUCT;
    const size_t w = V_WIDTH;
    const int is_whole = n && n % (4 * w) == 0;
    double total = 0;
    while (n >= 4 * w) {
        size_t run = n / (4 * w) < RUN ? n / (4 * w) : RUN;
        VF s0 = V(set1)(0.0f), s1 = s0, s2 = s0, s3 = s0;
        n -= run * 4 * w;
        for (; run; run--, a += 4 * w) {
            s0 = V(term)(term, s0, V(load)(a), two ? V(load)(b) : mean);
            s1 = V(term)(term, s1, V(load)(a + w), two ? V(load)(b + w) : mean);
            s2 = V(term)(term, s2, V(load)(a + 2 * w),
                         two ? V(load)(b + 2 * w) : mean);
            s3 = V(term)(term, s3, V(load)(a + 3 * w),
                         two ? V(load)(b + 3 * w) : mean);
            if (two) b += 4 * w;
        }
        VF s = V(add)(V(add)(s0, s1), V(add)(s2, s3));
        total += (double)V(sum_lanes)(s);
    }
    VF s = V(set1)(0.0f);
    for (; n >= w; n -= w, a += w) {
        s = V(term)(term, s, V(load)(a), two ? V(load)(b) : mean);
        if (two) b += w;
    }
    if (n) {
        VF last =
            V(term)(term, s, V(load_n)(a, n), two ? V(load_n)(b, n) : mean);
        s = V(select)(V(first)(n), last, s);
    }
    return is_whole ? total : total + (double)V(sum_lanes)(s);
}

/* The greatest of x, or the least; *nan tells whether there was a NaN, which
 * the comparisons pass over. */
VINLINE float V(extreme)(int least, const float *x, size_t n, int *nan) {
    const VF start = V(set1)(least ? HUGE_VALF : -HUGE_VALF);
    VF best = start;
    VM odd = V(isnan)(start);
    size_t i = 0;
    for (; i < n; i += V_WIDTH) {
        VF v;
        if (n - i >= V_WIDTH)
            v = V(load)(x + i);
        else
            v = V(select)(V(first)(n - i), V(load_n)(x + i, n - i), start);
        odd = V(m_or)(odd, V(isnan)(v));
        best = least ? V(minx)(v, best) : V(maxx)(v, best);
    }
    *nan = V(m_any)(odd);
    return least ? V(min_lanes)(best) : V(max_lanes)(best);
}

VTARGET float K(reduce_f32)(oc__reduce op, const float *x, size_t n) {
    const VF zero = V(set1)(0.0f);
    int nan = 0;
    float best;
    switch (op) {
    case OC_REDUCE_SUM: return (float)V(sum)(TERM_PLAIN, x, x, zero, n);
    case OC_REDUCE_SUMSQ: return (float)V(sum)(TERM_SQUARE, x, x, zero, n);
    case OC_REDUCE_SUMABS: return (float)V(sum)(TERM_ABS, x, x, zero, n);
    case OC_REDUCE_MIN: best = V(extreme)(1, x, n, &nan); break;
    default: best = V(extreme)(0, x, n, &nan); break;
    }
    return nan ? NAN : best;
}

VTARGET float K(dot_f32)(const float *a, const float *b, size_t n) {
    return (float)V(sum)(TERM_PRODUCT, a, b, V(set1)(0.0f), n);
}

/* ---- rows ---------------------------------------------------------------- */

/* Sum of exp(scale x - shift), the terms stored too where y is given. */
VINLINE double V(exp_sum)(const float *x, float *y, float scale, float shift,
                          size_t n) {
    const VF a = V(set1)(scale), m = V(set1)(-shift);
    double total = 0;
    for (size_t i = 0; i < n;) {
        VF s = V(set1)(0.0f);
        for (int k = 0; k < RUN && i < n; k++, i += V_WIDTH) {
            if (n - i >= V_WIDTH) {
                VF e = V(exp_down)(V(fma)(V(load)(x + i), a, m));
                if (y) V(store)(y + i, e);
                s = V(add)(s, e);
            } else {
                VF e = V(exp_down)(V(fma)(V(load_n)(x + i, n - i), a, m));
                if (y) V(store_n)(y + i, e, n - i);
                s = V(select)(V(first)(n - i), V(add)(s, e), s);
            }
        }
        total += (double)V(sum_lanes)(s);
    }
    return total;
}

VTARGET void K(softmax_f32)(const float *x, float *y, size_t n) {
    int nan;
    float max = V(extreme)(0, x, n, &nan);
    double sum = V(exp_sum)(x, y, 1, max, n);
    const VF factor = V(set1)((float)(1 / sum));
    x = y;
    MAP(V(mul)(v, factor));
}

VTARGET void K(log_softmax_f32)(const float *x, float *y, size_t n) {
    int nan;
    float max = V(extreme)(0, x, n, &nan);
    double sum = V(exp_sum)(x, NULL, 1, max, n);
    const VF m = V(set1)(max), lse = V(set1)((float)log(sum));
    MAP(V(sub)(V(sub)(v, m), lse));
}

VTARGET float K(exp_shift_f32)(const float *x, float scale, float shift,
                               float *y, size_t n) {
    return (float)V(exp_sum)(x, y, scale, shift, n);
}

/* y = (x - mean) * factor * gamma + beta with gamma, beta where given */
VINLINE void V(normalize)(const float *x, const float *gamma, const float *beta,
                          VF mean, VF factor, float *y, size_t n) {
    for (size_t i = 0; i < n; i += V_WIDTH) {
        size_t m = n - i < V_WIDTH ? n - i : V_WIDTH;
        int whole = m == V_WIDTH;
        VF v = whole ? V(load)(x + i) : V(load_n)(x + i, m);
        v = V(mul)(V(sub)(v, mean), factor);
        VF g = V(set1)(1.0f), b = V(set1)(0.0f);
        if (gamma) g = whole ? V(load)(gamma + i) : V(load_n)(gamma + i, m);
        if (beta) b = whole ? V(load)(beta + i) : V(load_n)(beta + i, m);
        v = V(fma)(v, g, b);
        if (whole)
            V(store)(y + i, v);
        else
            V(store_n)(y + i, v, m);
    }
}

VTARGET void K(layernorm_f32)(const float *x, const float *gamma,
                              const float *beta, float epsilon, float *y,
                              float *stats, size_t n) {
    const double count = (double)n;
    float mean = (float)(V(sum)(TERM_PLAIN, x, x, V(set1)(0.0f), n) / count);
    double squares = V(sum)(TERM_DEVIATION, x, x, V(set1)(mean), n);
    float factor = (float)(1 / sqrt(squares / count + (double)epsilon));
    V(normalize)(x, gamma, beta, V(set1)(mean), V(set1)(factor), y, n);
    if (stats) {
        stats[0] = mean;
        stats[1] = factor;
    }
}

VTARGET void K(rmsnorm_f32)(const float *x, const float *gamma, float epsilon,
                            float *y, float *stats, size_t n) {
    double squares = V(sum)(TERM_SQUARE, x, x, V(set1)(0.0f), n);
    float factor = (float)(1 / sqrt(squares / (double)n + (double)epsilon));
    V(normalize)(x, gamma, NULL, V(set1)(0.0f), V(set1)(factor), y, n);
    if (stats) *stats = factor;
}

/* ---- conversions --------------------------------------------------------- */

/* Narrow types have no partial vectors: what remains is copied through one
 * on the stack. */
#define CONVERT(in, out, load, store, expression)                              \
    do {                                                                       \
        size_t i = 0;                                                          \
        for (; i + V_WIDTH <= n; i += V_WIDTH) {                               \
            VF v = load(x + i);                                                \
            store(y + i, expression);                                          \
        }                                                                      \
        if (i < n) {                                                           \
            in from[V_WIDTH] = {0};                                            \
            out to[V_WIDTH];                                                   \
            memcpy(from, x + i, (n - i) * sizeof *from);                       \
            VF v = load(from);                                                 \
            store(to, expression);                                             \
            memcpy(y + i, to, (n - i) * sizeof *to);                           \
        }                                                                      \
    } while (0)

VTARGET void K(f16_to_f32)(const uint16_t *x, float *y, size_t n) {
    CONVERT(uint16_t, float, V(load_f16), V(store), v);
}

VTARGET void K(f32_to_f16)(const float *x, uint16_t *y, size_t n) {
    CONVERT(float, uint16_t, V(load), V(store_f16), v);
}

VTARGET void K(bf16_to_f32)(const uint16_t *x, float *y, size_t n) {
    CONVERT(uint16_t, float, V(load_bf16), V(store), v);
}

VTARGET void K(f32_to_bf16)(const float *x, uint16_t *y, size_t n) {
    CONVERT(float, uint16_t, V(load), V(store_bf16), v);
}

/* round(v / scale) clamped to lo..hi, NaN to lo, plus zero; as an integer */
VINLINE VI V(quantize)(VF v, VF scale, VF lo, VF hi, VI zero) {
    VF r = V(round)(V(div)(v, scale));
    r = V(minx)(V(maxx)(r, lo), hi);
    return V(i_add)(V(to_i)(r), zero);
}

VTARGET void K(quantize_u8)(const float *x, float scale, int zero, uint8_t *y,
                            size_t n) {
    const VF s = V(set1)(scale), lo = V(set1)((float)-zero),
             hi = V(set1)((float)(255 - zero));
    const VI z = V(i_set1)(zero);
    CONVERT(float, uint8_t, V(load), V(store_u8), V(quantize)(v, s, lo, hi, z));
}

VTARGET void K(quantize_i8)(const float *x, float scale, int zero, int8_t *y,
                            size_t n) {
    const VF s = V(set1)(scale), lo = V(set1)((float)(-128 - zero)),
             hi = V(set1)((float)(127 - zero));
    const VI z = V(i_set1)(zero);
#define STORE_I8(p, x) V(store_u8)((uint8_t *)(p), x)
    CONVERT(float, int8_t, V(load), STORE_I8, V(quantize)(v, s, lo, hi, z));
#undef STORE_I8
}

VINLINE VF V(dequantize)(VI v, VI zero, VF scale) {
    return V(mul)(V(to_f)(V(i_sub)(v, zero)), scale);
}

VTARGET void K(dequantize_u8)(const uint8_t *x, float scale, int zero, float *y,
                              size_t n) {
    const VF s = V(set1)(scale);
    const VI z = V(i_set1)(zero);
#define LOAD_U8(p) V(dequantize)(V(load_u8)(p), z, s)
    CONVERT(uint8_t, float, LOAD_U8, V(store), v);
#undef LOAD_U8
}

VTARGET void K(dequantize_i8)(const int8_t *x, float scale, int zero, float *y,
                              size_t n) {
    const VF s = V(set1)(scale);
    const VI z = V(i_set1)(zero);
#define LOAD_I8(p) V(dequantize)(V(load_i8)(p), z, s)
    CONVERT(int8_t, float, LOAD_I8, V(store), v);
#undef LOAD_I8
}

/* ---- sums of 8-bit products ---------------------------------------------- */

/* Integers are loaded as floats of the same bits: there are partial loads. */
VINLINE VI V(requantize)(VI x, VI bias, VF scale, VF lo, VF hi, VI zero) {
    VF v = V(round)(V(mul)(V(to_f)(V(i_add)(x, bias)), scale));
    v = V(minx)(V(maxx)(v, lo), hi);
    return V(i_add)(V(to_i)(v), zero);
}

VTARGET void K(requantize_i8)(const int32_t *x, const int32_t *bias,
                              const float *scale, int zero, int is_signed,
                              void *y, size_t rows, size_t cols) {
    const int least = is_signed ? -128 : 0;
    const VF lo = V(set1)((float)(least - zero)),
             hi = V(set1)((float)(least + 255 - zero));
    const VI z = V(i_set1)(zero);
    for (size_t c = 0; c < cols; c += V_WIDTH) {
        size_t m = cols - c < V_WIDTH ? cols - c : V_WIDTH;
        VI b = V(cast_i)(V(load_n)((const float *)(const void *)bias + c, m));
        VF s = V(load_n)(scale + c, m);
        const float *from = (const float *)(const void *)x + c;
        uint8_t *to = (uint8_t *)y + c, part[V_WIDTH];
        for (size_t r = 0; r < rows; r++, from += cols, to += cols) {
            if (m == V_WIDTH) {
                VI v = V(cast_i)(V(load)(from));
                V(store_u8)(to, V(requantize)(v, b, s, lo, hi, z));
            } else {
                VI v = V(cast_i)(V(load_n)(from, m));
                V(store_u8)(part, V(requantize)(v, b, s, lo, hi, z));
                memcpy(to, part, m);
            }
        }
    }
}

/* Both operands less their zero points, in units of the result.  Products of
 * two differences have 17 bits, so f32 holds them. */
VINLINE VI V(pair_codes)(VI a, VI b, const oc__add_i8_args *k, VF lo, VF hi,
                         const int mul) {
    VF u = V(to_f)(V(i_sub)(a, V(i_set1)(k->a_zero))), r;
    VF v = V(to_f)(V(i_sub)(b, V(i_set1)(k->b_zero)));
    if (mul) {
        r = V(mul)(V(mul)(u, v), V(set1)(k->a_scale));
    } else {
        u = V(mul)(u, V(set1)(k->a_scale));
        v = V(mul)(v, V(set1)(k->b_scale));
        r = V(add)(u, v);
    }
    r = V(minx)(V(maxx)(V(round)(r), lo), hi);
    return V(i_add)(V(to_i)(r), V(i_set1)(k->zero));
}

VINLINE void V(pair_codes_at)(const oc__add_i8_args *k, const uint8_t *a,
                              const uint8_t *b, uint8_t *y, VF lo, VF hi,
                              const int mul) {
    VI s, t;
    if (k->is_signed) {
        s = V(load_i8)((const int8_t *)a);
        t = V(load_i8)((const int8_t *)b);
    } else {
        s = V(load_u8)(a);
        t = V(load_u8)(b);
    }
    V(store_u8)(y, V(pair_codes)(s, t, k, lo, hi, mul));
}

VINLINE void V(pair_i8)(const oc__add_i8_args *k, const uint8_t *a,
                        const uint8_t *b, uint8_t *y, size_t n, const int mul) {
    const int least = k->is_signed ? -128 : 0;
    const VF lo = V(set1)((float)(least - k->zero)),
             hi = V(set1)((float)(least + 255 - k->zero));
    const oc__add_i8_args args = *k;
    size_t i = 0;
    for (; i + V_WIDTH <= n; i += V_WIDTH)
        V(pair_codes_at)(&args, a + i, b + i, y + i, lo, hi, mul);
    if (i == n) return;
    uint8_t left[V_WIDTH] = {0}, right[V_WIDTH] = {0}, out[V_WIDTH];
    memcpy(left, a + i, n - i);
    memcpy(right, b + i, n - i);
    V(pair_codes_at)(&args, left, right, out, lo, hi, mul);
    memcpy(y + i, out, n - i);
}

VTARGET void K(add_i8)(const oc__add_i8_args *k, const uint8_t *a,
                       const uint8_t *b, uint8_t *y, size_t n) {
    V(pair_i8)(k, a, b, y, n, 0);
}

VTARGET void K(mul_i8)(const oc__add_i8_args *k, const uint8_t *a,
                       const uint8_t *b, uint8_t *y, size_t n) {
    V(pair_i8)(k, a, b, y, n, 1);
}

VTARGET void K(taps_f32)(const float *x, const size_t *at, const float *w,
                         size_t taps, float *y, size_t n) {
    const size_t u = V_WIDTH;
    size_t i = 0;
    /* Four sums at a time, to keep the multiply-add unit busy. */
    for (; i + 4 * u <= n; i += 4 * u) {
        VF s0 = V(set1)(0.0f), s1 = s0, s2 = s0, s3 = s0;
        for (size_t t = 0; t < taps; t++) {
            const float *p = x + at[t] + i;
            const VF f = V(set1)(w[t]);
            s0 = V(fma)(f, V(load)(p), s0);
            s1 = V(fma)(f, V(load)(p + u), s1);
            s2 = V(fma)(f, V(load)(p + 2 * u), s2);
            s3 = V(fma)(f, V(load)(p + 3 * u), s3);
        }
        V(store)(y + i, s0);
        V(store)(y + i + u, s1);
        V(store)(y + i + 2 * u, s2);
        V(store)(y + i + 3 * u, s3);
    }
    for (; i < n; i += u) {
        size_t m = n - i < u ? n - i : u;
        VF s = V(set1)(0.0f);
        for (size_t t = 0; t < taps; t++)
            s = V(fma)(V(set1)(w[t]), V(load_n)(x + at[t] + i, m), s);
        V(store_n)(y + i, s, m);
    }
}
