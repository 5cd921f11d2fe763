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
 *     3 taps, stride 1:   x0 x1 x2 x3 x4 x5     each column, loaded once,
 *                         w0 w1 w2              serves all pixels it lies
 *                            w0 w1 w2           under: 6 loads for 4 * 3
 *                               w0 w1 w2        multiply-adds
 *                                  w0 w1 w2
 */
#include <math.h>

#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 32")
#endif

/* ---- depthwise ----------------------------------------------------------- */

/* Columns that STRIP_PX pixels read at most: stride 2, 5 taps. */
#define COLUMNS (2 * STRIP_PX + 3)

/* The columns of a strip of which some may lie outside: where to read, and
 * whether what is read counts. */
typedef struct V(columns) {
    size_t at[COLUMNS];
    VM inside[COLUMNS];
} V(columns);

VINLINE void V(find_columns)(const oc__depthwise_run *r, int64_t first,
                             const int count, V(columns) * c) {
    int64_t last = (int64_t)r->width - 1;
    UNROLL for (int j = 0; j < count; j++) {
        int64_t x = first + j;
        int inside = x >= 0 && x <= last;
        c->at[j] = (size_t)(x < 0 ? 0 : x > last ? last : x) * BLOCK;
        c->inside[j] = V(gt)(V(set1)((float)inside), V(set1)(0.0f));
    }
}

/* Sums of px pixels; some of the last may not be wanted. */
VINLINE void V(run_store)(const oc__depthwise_run *r, VF *acc, const int px,
                          size_t p, size_t lane) {
    const VF lo = V(set1)(r->lo), hi = V(set1)(r->hi);
    float *out = r->out + p * BLOCK + lane;
    size_t wanted = r->px - p;
    if (r->residual) {
        const float *from = r->residual + p * BLOCK + lane;
        UNROLL for (int i = 0; i < px; i++) if ((size_t)i < wanted) acc[i] =
            V(add)(acc[i], V(load)(from + i * BLOCK));
    }
    UNROLL for (int i = 0; i < px; i++) acc[i] =
        V(minx)(hi, V(maxx)(lo, acc[i]));
    if (wanted >= (size_t)px) {
        UNROLL for (int i = 0; i < px; i++) V(store)(out + i * BLOCK, acc[i]);
        return;
    }
    UNROLL for (int i = 0; i < px; i++) if ((size_t)i < wanted)
        V(store)(out + i * BLOCK, acc[i]);
}

/* px pixels from p on, `taps` neighbouring taps, stride `stride`.  Each column
 * is loaded once and serves all pixels under whose taps it lies. */
VINLINE void V(run_near)(const oc__depthwise_run *r, const int taps,
                         const int stride, const int px, const int edge,
                         size_t p, size_t lane) {
    const int columns = (px - 1) * stride + taps;
    int64_t first = r->first + (int64_t)p * stride;
    V(columns) c;
    VF acc[STRIP_PX], w[8];
    if (edge) V(find_columns)(r, first, columns, &c);
    acc[0] = r->bias ? V(load)(r->bias + lane) : V(set1)(0.0f);
    UNROLL for (int i = 1; i < px; i++) acc[i] = acc[0];
    for (size_t k = 0; k < r->row_count; k++) {
        const float *from = r->w + k * r->w_row_step + lane;
        const float *row = r->rows[k] + lane;
        UNROLL for (int t = 0; t < taps; t++) w[t] = V(load)(from + t * BLOCK);
        UNROLL for (int j = 0; j < columns; j++) {
            VF x = edge ? V(select)(c.inside[j], V(load)(row + c.at[j]),
                                    V(set1)(0.0f))
                        : V(load)(row + (first + j) * BLOCK);
            UNROLL for (int t = 0; t < taps; t++) {
                int i = (j - t) / stride;
                if (j >= t && (j - t) % stride == 0 && i < px)
                    acc[i] = V(fma)(x, w[t], acc[i]);
            }
        }
    }
    V(run_store)(r, acc, px, p, lane);
}

/* The same for any taps, strides and dilations. */
VINLINE void V(run_any)(const oc__depthwise_run *r, const int px,
                        const int edge, size_t p, size_t lane) {
    VF acc[STRIP_PX];
    int64_t first = r->first + (int64_t)(p * r->stride);
    acc[0] = r->bias ? V(load)(r->bias + lane) : V(set1)(0.0f);
    UNROLL for (int i = 1; i < px; i++) acc[i] = acc[0];
    for (size_t k = 0; k < r->row_count; k++)
        for (size_t j = 0; j < r->tap_count; j++) {
            int64_t at = first + (int64_t)(j * r->dilation);
            const float *row = r->rows[k] + lane;
            VF w = V(load)(r->w + k * r->w_row_step + j * BLOCK + lane);
            UNROLL for (int i = 0; i < px; i++) {
                int64_t x = at + i * (int64_t)r->stride;
                if (!edge || (x >= 0 && (uint64_t)x < r->width))
                    acc[i] = V(fma)(V(load)(row + x * BLOCK), w, acc[i]);
                else
                    acc[i] = V(fma)(V(set1)(0.0f), w, acc[i]);
            }
        }
    V(run_store)(r, acc, px, p, lane);
}

/* Whether the columns of STRIP_PX pixels from p on are all there. */
static int V(is_inside)(const oc__depthwise_run *r, size_t p) {
    int64_t first = r->first + (int64_t)(p * r->stride);
    size_t span = (STRIP_PX - 1) * r->stride + (r->tap_count - 1) * r->dilation;
    return first >= 0 && (uint64_t)first + span < r->width;
}

/* Strips of STRIP_PX; the last one of half as many if that is enough. */
#define RUN(name, body)                                                        \
    static VTARGET void V(name)(const oc__depthwise_run *run) {                \
        const oc__depthwise_run own = *run, *r = &own;                         \
        for (size_t p = 0; p < r->px; p += STRIP_PX) {                         \
            int few = r->px - p <= STRIP_PX / 2;                               \
            int inside = !few && V(is_inside)(r, p);                           \
            for (size_t lane = 0; lane < BLOCK; lane += V_WIDTH)               \
                if (inside)                                                    \
                    body(STRIP_PX, 0);                                         \
                else if (few)                                                  \
                    body(STRIP_PX / 2, 1);                                     \
                else                                                           \
                    body(STRIP_PX, 1);                                         \
        }                                                                      \
    }
#define NEAR_3_1(px, edge) V(run_near)(r, 3, 1, px, edge, p, lane)
#define NEAR_3_2(px, edge) V(run_near)(r, 3, 2, px, edge, p, lane)
#define NEAR_5_1(px, edge) V(run_near)(r, 5, 1, px, edge, p, lane)
#define NEAR_5_2(px, edge) V(run_near)(r, 5, 2, px, edge, p, lane)
#define NEAR_7_1(px, edge) V(run_near)(r, 7, 1, px, edge, p, lane)
#define ANY(px, edge)      V(run_any)(r, px, edge, p, lane)
RUN(run_3_1, NEAR_3_1)
RUN(run_3_2, NEAR_3_2)
RUN(run_5_1, NEAR_5_1)
RUN(run_5_2, NEAR_5_2)
RUN(run_7_1, NEAR_7_1)
RUN(run_other, ANY)

void K(depthwise_f32)(const oc__depthwise_run *r) {
    size_t taps = r->tap_count;
    int one = r->dilation == 1 && r->stride == 1;
    int two = r->dilation == 1 && r->stride == 2;
    if (one && taps == 3)
        V(run_3_1)(r);
    else if (two && taps == 3)
        V(run_3_2)(r);
    else if (one && taps == 5)
        V(run_5_1)(r);
    else if (two && taps == 5)
        V(run_5_2)(r);
    else if (one && taps == 7)
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
