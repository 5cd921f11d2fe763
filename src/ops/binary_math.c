/* binary_math.c - see binary.h. */
#include "ops/binary.h"

#include <math.h>

/*
 * One loop for the four ways in which operands step: neighbours, or one of
 * them a scalar.  Spelling out the steps lets the compiler vectorise.
 */
#define LOOP(name, TA, TB, R, expr)                                            \
    static void name(const void *pa, size_t a_step, const void *pb,            \
                     size_t b_step, void *py, size_t n) {                      \
        const TA *a = pa;                                                      \
        const TB *b = pb;                                                      \
        R *y = py;                                                             \
        if (a_step == 1 && b_step == 1) {                                      \
            for (size_t i = 0; i < n; i++) {                                   \
                const TA u = a[i];                                             \
                const TB v = b[i];                                             \
                (void)v;                                                       \
                y[i] = (R)(expr);                                              \
            }                                                                  \
        } else if (a_step == 1 && b_step == 0) {                               \
            const TB v = n ? b[0] : (TB)0;                                     \
            (void)v;                                                           \
            for (size_t i = 0; i < n; i++) {                                   \
                const TA u = a[i];                                             \
                y[i] = (R)(expr);                                              \
            }                                                                  \
        } else {                                                               \
            for (size_t i = 0; i < n; i++) {                                   \
                const TA u = a[i * a_step];                                    \
                const TB v = b[i * b_step];                                    \
                (void)v;                                                       \
                y[i] = (R)(expr);                                              \
            }                                                                  \
        }                                                                      \
    }

#define SAME(name, T, expr) LOOP(name, T, T, T, expr)

/* ---- integers ------------------------------------------------------------ */

/* Signed arithmetic goes through unsigned numbers, where wrapping is
   defined. */
#define WRAP(op) (int64_t)((uint64_t)u op(uint64_t) v)

static int64_t div_i64(int64_t u, int64_t v) {
    if (v == 0) return 0;
    if (v == -1) return (int64_t)(0 - (uint64_t)u);
    return u / v;
}

static int64_t fmod_i64(int64_t u, int64_t v) {
    return v == 0 || v == -1 ? 0 : u % v;
}

static int64_t mod_i64(int64_t u, int64_t v) {
    int64_t r = fmod_i64(u, v);
    return r != 0 && (r < 0) != (v < 0) ? r + v : r;
}

static uint64_t power(uint64_t u, uint64_t v) {
    uint64_t r = 1;
    for (; v; v >>= 1, u *= u)
        if (v & 1) r *= u;
    return r;
}

/* A negative exponent leaves a fraction, cut to 0, but for 1 and -1. */
static int64_t pow_i64(int64_t u, int64_t v) {
    if (v >= 0) return (int64_t)power((uint64_t)u, (uint64_t)v);
    if (u == 1) return 1;
    if (u == -1) return v % 2 ? -1 : 1;
    return 0;
}

static uint64_t shift_left(uint64_t u, uint64_t v) {
    return v < 64 ? u << v : 0;
}

static uint64_t shift_right(uint64_t u, uint64_t v) {
    return v < 64 ? u >> v : 0;
}

SAME(add_i64, int64_t, WRAP(+))
SAME(sub_i64, int64_t, WRAP(-))
SAME(mul_i64, int64_t, WRAP(*))
SAME(div_loop_i64, int64_t, div_i64(u, v))
SAME(min_i64, int64_t, u < v ? u : v)
SAME(max_i64, int64_t, u > v ? u : v)
SAME(mod_loop_i64, int64_t, mod_i64(u, v))
SAME(fmod_loop_i64, int64_t, fmod_i64(u, v))
SAME(prelu_i64, int64_t, u < 0 ? WRAP(*) : u)
/* Shifts are for unsigned types, whose lanes are never negative. */
SAME(shl_i64, int64_t, shift_left((uint64_t)u, (uint64_t)v))
SAME(shr_i64, int64_t, shift_right((uint64_t)u, (uint64_t)v))
SAME(and_i64, int64_t, u &v)
SAME(or_i64, int64_t, u | v)
SAME(xor_i64, int64_t, u ^ v)

SAME(div_u64, uint64_t, v ? u / v : 0)
SAME(min_u64, uint64_t, u < v ? u : v)
SAME(max_u64, uint64_t, u > v ? u : v)
SAME(mod_u64, uint64_t, v ? u % v : 0)
SAME(prelu_u64, uint64_t, u)

/* ---- floats -------------------------------------------------------------- */

/* NaN in either operand comes through: the comparison with it is false. */
#define MIN_NAN (u < v || u != u ? u : v)
#define MAX_NAN (u > v || u != u ? u : v)

SAME(add_f64, double, u + v)
SAME(sub_f64, double, u - v)
SAME(mul_f64, double, u *v)
SAME(div_f64, double, u / v)
SAME(min_f64, double, MIN_NAN)
SAME(max_f64, double, MAX_NAN)
SAME(mod_f64, double, fmod(u, v))
SAME(prelu_f64, double, u < 0 ? u * v : u)
SAME(mod_f32, float, fmodf(u, v))

/* ---- powers -------------------------------------------------------------- */

LOOP(pow_f32_f32_any, float, float, float, powf(u, v))
SAME(square_f32, float, u *u)
SAME(cube_f32, float, u *u *u)
SAME(sqrt_f32, float, sqrtf(u))

/*
 * Most exponents in networks are the constants 2, 3 and 1/2, and powf is
 * thirty times slower than they are.  sqrt differs from pow at -Inf and -0.
 */
static int sqrt_is_pow(const float *a, size_t step, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (!(a[i * step] > 0)) return 0;
    return 1;
}

static void pow_f32_f32(const void *a, size_t a_step, const void *b,
                        size_t b_step, void *y, size_t n) {
    oc__binary_fn *fn = pow_f32_f32_any;
    if (n && b_step == 0) {
        const float e = *(const float *)b;
        if (e == 2)
            fn = square_f32;
        else if (e == 3)
            fn = cube_f32;
        else if (e == 0.5f && sqrt_is_pow(a, a_step, n))
            fn = sqrt_f32;
    }
    fn(a, a_step, b, b_step, y, n);
}

LOOP(pow_f32_f64, float, double, float, pow(u, v))
LOOP(pow_f32_i64, float, int64_t, float, pow(u, (double)v))
LOOP(pow_f32_u64, float, uint64_t, float, pow(u, (double)v))
LOOP(pow_f64_f32, double, float, double, pow(u, v))
LOOP(pow_f64_f64, double, double, double, pow(u, v))
LOOP(pow_f64_i64, double, int64_t, double, pow(u, (double)v))
LOOP(pow_f64_u64, double, uint64_t, double, pow(u, (double)v))
LOOP(pow_i64_f32, int64_t, float, int64_t, oc__f64_to_i64(pow((double)u, v)))
LOOP(pow_i64_f64, int64_t, double, int64_t, oc__f64_to_i64(pow((double)u, v)))
LOOP(pow_i64_i64, int64_t, int64_t, int64_t, pow_i64(u, v))
LOOP(pow_i64_u64, int64_t, uint64_t, int64_t, power((uint64_t)u, v))
LOOP(pow_u64_f32, uint64_t, float, uint64_t, oc__f64_to_u64(pow((double)u, v)))
LOOP(pow_u64_f64, uint64_t, double, uint64_t, oc__f64_to_u64(pow((double)u, v)))
LOOP(pow_u64_i64, uint64_t, int64_t, uint64_t,
     v < 0 ? (u == 1 ? 1 : 0) : power(u, (uint64_t)v))
LOOP(pow_u64_u64, uint64_t, uint64_t, uint64_t, power(u, v))

/* ---- comparisons --------------------------------------------------------- */

#define COMPARE(name, expr)                                                    \
    LOOP(name##_f32, float, float, uint8_t, expr)                              \
    LOOP(name##_f64, double, double, uint8_t, expr)                            \
    LOOP(name##_i64, int64_t, int64_t, uint8_t, expr)                          \
    LOOP(name##_u64, uint64_t, uint64_t, uint8_t, expr)

COMPARE(equal, u == v)
COMPARE(greater, u > v)
COMPARE(less, u < v)
COMPARE(greater_equal, u >= v)
COMPARE(less_equal, u <= v)
LOOP(logic_and, int64_t, int64_t, uint8_t, u &&v)
LOOP(logic_or, int64_t, int64_t, uint8_t, u || v)
LOOP(logic_xor, int64_t, int64_t, uint8_t, !u != !v)

/* ---- the table ----------------------------------------------------------- */

#define ROW(kind, f32, f64, i64, u64)                                          \
    [OC_BIN_##kind] = {NULL, f32, f64, i64, u64}

/* NULL for f32 where the kernels of kernels.h do it. */
static oc__binary_fn *const table[][OC_WIDE_COUNT] = {
    ROW(ADD, NULL, add_f64, add_i64, add_i64),
    ROW(SUB, NULL, sub_f64, sub_i64, sub_i64),
    ROW(MUL, NULL, mul_f64, mul_i64, mul_i64),
    ROW(DIV, NULL, div_f64, div_loop_i64, div_u64),
    ROW(MIN, NULL, min_f64, min_i64, min_u64),
    ROW(MAX, NULL, max_f64, max_i64, max_u64),
    ROW(MEAN, NULL, NULL, NULL, NULL),
    ROW(MOD, mod_f32, mod_f64, mod_loop_i64, mod_u64),
    ROW(FMOD, mod_f32, mod_f64, fmod_loop_i64, mod_u64),
    ROW(PRELU, NULL, prelu_f64, prelu_i64, prelu_u64),
    ROW(SHIFT_LEFT, NULL, NULL, shl_i64, shl_i64),
    ROW(SHIFT_RIGHT, NULL, NULL, shr_i64, shr_i64),
    ROW(BIT_AND, NULL, NULL, and_i64, and_i64),
    ROW(BIT_OR, NULL, NULL, or_i64, or_i64),
    ROW(BIT_XOR, NULL, NULL, xor_i64, xor_i64),
    ROW(EQUAL, equal_f32, equal_f64, equal_i64, equal_u64),
    ROW(GREATER, greater_f32, greater_f64, greater_i64, greater_u64),
    ROW(LESS, less_f32, less_f64, less_i64, less_u64),
    ROW(GREATER_EQUAL, greater_equal_f32, greater_equal_f64, greater_equal_i64,
        greater_equal_u64),
    ROW(LESS_EQUAL, less_equal_f32, less_equal_f64, less_equal_i64,
        less_equal_u64),
    ROW(AND, NULL, NULL, logic_and, NULL),
    ROW(OR, NULL, NULL, logic_or, NULL),
    ROW(XOR, NULL, NULL, logic_xor, NULL),
};

static oc__binary_fn *const powers[][OC_WIDE_COUNT] = {
    [OC_WIDE_F32] = {NULL, pow_f32_f32, pow_f32_f64, pow_f32_i64, pow_f32_u64},
    [OC_WIDE_F64] = {NULL, pow_f64_f32, pow_f64_f64, pow_f64_i64, pow_f64_u64},
    [OC_WIDE_I64] = {NULL, pow_i64_f32, pow_i64_f64, pow_i64_i64, pow_i64_u64},
    [OC_WIDE_U64] = {NULL, pow_u64_f32, pow_u64_f64, pow_u64_i64, pow_u64_u64},
};

oc__binary_fn *oc__binary_find(int kind, oc__wide a, oc__wide b) {
    return kind == OC_BIN_POW ? powers[a][b] : table[kind][a];
}
