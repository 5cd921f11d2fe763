/*
 * strip_template.h - depthwise convolution and pooling, written once for all
 * instruction sets.  No include guard: x86/strip_avx2.c, x86/strip_avx512.c
 * and arm/strip_neon.c define, besides what act_template.h lists,
 *
 *     K(job)    the kernel's name: oc__<job>_<isa>
 *     BLOCK     channels in a block of NCHWc, a multiple of V_WIDTH
 *     STRIP_PX  pixels done side by side, each a sum in a register
 *
 * A depthwise multiply-add has no operand in common with its neighbours but
 * the weights of its tap, and inputs with the next pixels:
 *
 *     3 taps, stride 1:   x0 x1 x2 x3 x4 x5     6 loads, kept in registers,
 *                         w0 w1 w2              serve 4 pixels * 3 taps
 *                            w0 w1 w2
 *                               w0 w1 w2
 *                                  w0 w1 w2
 */
#include <math.h>

#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 32")
#endif

/* ---- depthwise ----------------------------------------------------------- */

VINLINE void V(run_store)(const oc__depthwise_run *r, VF x, size_t p,
                          size_t lane) {
    size_t at = p * BLOCK + lane;
    if (r->bias) x = V(add)(x, V(load)(r->bias + lane));
    if (r->residual) x = V(add)(x, V(load)(r->residual + at));
    x = V(minx)(V(set1)(r->hi), V(maxx)(V(set1)(r->lo), x));
    V(store)(r->out + at, x);
}

/* px pixels from p on, of taps neighbouring taps, stride `stride`. */
VINLINE void V(run_taps)(const oc__depthwise_run *r, const int taps,
                         const int stride, const int px, size_t p,
                         size_t lane) {
    VF acc[STRIP_PX], w[8], x[2 * STRIP_PX + 6];
    const int columns = (px - 1) * stride + taps;
    UNROLL for (int i = 0; i < px; i++) acc[i] = V(set1)(0.0f);
    for (size_t k = 0; k < r->row_count; k++) {
        const float *in = r->rows[k] + p * r->in_step + lane;
        const float *from = r->w + k * r->w_row_step + lane;
        UNROLL for (int j = 0; j < taps; j++) w[j] = V(load)(from + j * BLOCK);
        UNROLL for (int j = 0; j < columns; j++) x[j] = V(load)(in + j * BLOCK);
        UNROLL for (int j = 0; j < taps; j++)
            UNROLL for (int i = 0; i < px; i++) acc[i] =
                V(fma)(x[i * stride + j], w[j], acc[i]);
    }
    UNROLL for (int i = 0; i < px; i++)
        V(run_store)(r, acc[i], p + (size_t)i, lane);
}

/* The same for any taps, strides and dilations. */
VINLINE void V(run_any)(const oc__depthwise_run *r, const int px, size_t p,
                        size_t lane) {
    VF acc[STRIP_PX];
    UNROLL for (int i = 0; i < px; i++) acc[i] = V(set1)(0.0f);
    for (size_t k = 0; k < r->row_count; k++)
        for (size_t j = 0; j < r->tap_count; j++) {
            const float *in =
                r->rows[k] + p * r->in_step + j * r->tap_step + lane;
            VF w = V(load)(r->w + k * r->w_row_step + j * BLOCK + lane);
            UNROLL for (int i = 0; i < px; i++) acc[i] =
                V(fma)(V(load)(in + (size_t)i * r->in_step), w, acc[i]);
        }
    UNROLL for (int i = 0; i < px; i++)
        V(run_store)(r, acc[i], p + (size_t)i, lane);
}

#define RUN(name, body, one)                                                   \
    static VTARGET void V(name)(const oc__depthwise_run *r) {                  \
        size_t p = 0;                                                          \
        for (; p + STRIP_PX <= r->px; p += STRIP_PX)                           \
            for (size_t lane = 0; lane < BLOCK; lane += V_WIDTH)               \
                body;                                                          \
        for (; p < r->px; p++)                                                 \
            for (size_t lane = 0; lane < BLOCK; lane += V_WIDTH)               \
                one;                                                           \
    }
#define RUN_TAPS(taps, stride)                                                 \
    RUN(run_##taps##_##stride,                                                 \
        V(run_taps)(r, taps, stride, STRIP_PX, p, lane),                       \
        V(run_taps)(r, taps, stride, 1, p, lane))
RUN_TAPS(3, 1)
RUN_TAPS(3, 2)
RUN_TAPS(5, 1)
RUN_TAPS(5, 2)
RUN_TAPS(7, 1)
RUN(run_other, V(run_any)(r, STRIP_PX, p, lane), V(run_any)(r, 1, p, lane))

void K(depthwise_f32)(const oc__depthwise_run *r) {
    size_t taps = r->tap_count;
    int near = r->tap_step == BLOCK, one = r->in_step == BLOCK;
    int two = r->in_step == 2 * BLOCK;
    if (near && one && taps == 3)
        V(run_3_1)(r);
    else if (near && two && taps == 3)
        V(run_3_2)(r);
    else if (near && one && taps == 5)
        V(run_5_1)(r);
    else if (near && two && taps == 5)
        V(run_5_2)(r);
    else if (near && one && taps == 7)
        V(run_7_1)(r);
    else
        V(run_other)(r);
}

/* ---- pooling ------------------------------------------------------------- */

/* max(x, y) that forgets a NaN in x: the accumulator wins. */
#define MOST(acc, x) V(maxx)(x, acc)
#define MORE(acc, x) V(add)(acc, x)

/* n is a multiple of BLOCK, so no vector is partly filled. */
#define ROWS(name, start, OP)                                                  \
    static VTARGET void V(name)(const float *const *rows, size_t count,        \
                                float *y, size_t n) {                          \
        size_t i = 0;                                                          \
        for (; i + 4 * V_WIDTH <= n; i += 4 * V_WIDTH) {                       \
            VF acc[4];                                                         \
            UNROLL for (int j = 0; j < 4; j++) acc[j] = V(set1)(start);        \
            for (size_t k = 0; k < count; k++)                                 \
                UNROLL for (int j = 0; j < 4; j++) acc[j] =                    \
                    OP(acc[j], V(load)(rows[k] + i + j * V_WIDTH));            \
            UNROLL for (int j = 0; j < 4; j++)                                 \
                V(store)(y + i + j * V_WIDTH, acc[j]);                         \
        }                                                                      \
        for (; i < n; i += V_WIDTH) {                                          \
            VF acc = V(set1)(start);                                           \
            for (size_t k = 0; k < count; k++)                                 \
                acc = OP(acc, V(load)(rows[k] + i));                           \
            V(store)(y + i, acc);                                              \
        }                                                                      \
    }
ROWS(add_rows, 0.0f, MORE)
ROWS(max_rows, -HUGE_VALF, MOST)

#define TAPS(name, start, OP, END)                                             \
    static VTARGET void V(name)(const float *x, size_t step, size_t tap_step,  \
                                size_t taps, float scale, float *y, size_t px, \
                                size_t c) {                                    \
        (void)c;                                                               \
        (void)scale;                                                           \
        for (size_t p = 0; p < px; p++)                                        \
            for (size_t lane = 0; lane < BLOCK; lane += V_WIDTH) {             \
                const float *from = x + p * step + lane;                       \
                VF acc = V(set1)(start);                                       \
                for (size_t j = 0; j < taps; j++)                              \
                    acc = OP(acc, V(load)(from + j * tap_step));               \
                V(store)(y + p * BLOCK + lane, END(acc));                      \
            }                                                                  \
    }
#define AS_IS(acc)  (acc)
#define SCALED(acc) V(mul)(acc, V(set1)(scale))
TAPS(add_taps, 0.0f, MORE, SCALED)
TAPS(max_taps, -HUGE_VALF, MOST, AS_IS)

const oc__pool_f32_kernel K(pool_f32) = {V(add_rows), V(max_rows), V(add_taps),
                                         V(max_taps)};
