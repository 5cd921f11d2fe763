/*
 * tile_template.h - the register tiles of the f32 product and of dense
 * convolution, written once for all instruction sets.  No include guard:
 * x86/tile_avx2.c, x86/tile_avx512.c and arm/tile_neon.c define, besides what
 * act_template.h lists,
 *
 *     K(job)         the kernel's name: oc__<job>_<dtype>_<isa>
 *     BLOCK          channels in a block of NCHWc, a multiple of V_WIDTH
 *     ROWS_1         pixels of a tile of one block, at most 14
 *     ROWS_2         pixels (rows) of a tile of two blocks
 *     EACH_1(X), EACH_2(X)    X(1) X(2) ... X(ROWS_1), X(ROWS_2)
 *     THIN_ROWS, THIN_PANELS  see gemm.h
 *     EACH_THIN(X)            X(1) ... X(THIN_ROWS)
 *     V_REGISTER              a vector register as a constraint of assembly
 *     V_ADD_PRODUCT(acc, x, b)  acc += x b, if V(fma) is not the best way
 *     PAIRS                     1: of bf16, else f32; then also
 *     V_ADD_ONE(acc, x, b)      the same where there is one vector of B
 *     V_WORD(p)                 the word at p in every lane
 *
 * Of bf16 a word of A or B, 32 bits, is a pair of neighbouring steps, and one
 * instruction adds both products of each lane to its f32.  All else is as with
 * f32: what the code calls a step is then two.
 *
 * A tile keeps rows x vectors sums in registers.  One step multiplies a
 * column of A (a broadcast from memory for each row) by a row of B (a few
 * vectors):
 *
 *                 b0 b1        Loads for each multiply-add: 1/rows + 1/vectors.
 *         a0   |  += +=        With 14 x 2 on AVX-512 that is 0.57, and with
 *         a1   |  += +=        6 x 2 on AVX2 0.67: below the one load for each
 *         ...  |               multiply-add that all cores here can do.
 *
 * The number of rows is a constant in each copy of the code, so that the sums
 * are registers and the rows' addresses immediate offsets.  rows * vectors is
 * at least the latency times the number of the multiply-add units (4 on one
 * 512-bit unit, 8 on two of 256) for all but the lowest tiles.
 */

/* Both compilers then unroll completely, which is what turns the arrays of
 * vectors into registers; the loops' counts are constants after inlining. */
#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 32")
#endif

/* Keeps a compiler from moving loads of a later step up into an earlier one,
 * for which there are no registers left; and each sum in a register there: gcc
 * else lets two of 6 x 2 live in memory, which adds the time of a store and a
 * load to their chains.  Neither is an instruction. */
#define STEP_ENDS      __asm__ volatile("" ::: "memory")
#define IN_REGISTER(x) __asm__ volatile("" : "+" V_REGISTER(x))

/* x86 has three forms of multiply-add.  gcc takes any of them and then copies
 * sums back, or spills some of 14 x 2; so there assembly names the form that
 * adds in place.  With one vector of B the compiler's own way is better: the
 * broadcast becomes part of the instruction. */
#ifndef V_ADD_PRODUCT
#define V_ADD_PRODUCT(acc, x, b) ((acc) = V(fma)(x, b, acc))
#endif

#ifndef PAIRS
#define PAIRS                0
#define V_ADD_ONE(acc, x, b) ((acc) = V(fma)(x, b, acc))
#define V_WORD(p)            V(set1)(*(p))
#endif

#define PIXEL       (PAIRS ? BLOCK / 2 : BLOCK) /* words of a block of one */
#define VECTORS     (BLOCK / V_WIDTH)           /* of a block */
#define MAX_ROWS    14
#define MAX_VECTORS 8
#define MAX_SUMS    28
#define PANEL       (2 * BLOCK) /* columns of a panel of B: nr */

typedef VF V(sums)[MAX_ROWS][MAX_VECTORS];

/* One step.  Vector j of B is at b + j / per * panel + j % per * V_WIDTH. */
VINLINE void V(step)(VF (*acc)[MAX_VECTORS], const int rows, const int vectors,
                     const float *a, const size_t pixel, const float *b,
                     const int per, size_t panel) {
    VF bv[MAX_VECTORS];
    UNROLL for (int j = 0; j < vectors; j++) bv[j] =
        V(load)(b + (size_t)(j / per) * panel + (size_t)(j % per * V_WIDTH));
    UNROLL for (int i = 0; i < rows; i++) {
        VF x = V_WORD(a + (size_t)i * pixel);
        if (vectors == 1)
            V_ADD_ONE(acc[i][0], x, bv[0]);
        else
            UNROLL for (int j = 0; j < vectors; j++)
                V_ADD_PRODUCT(acc[i][j], x, bv[j]);
    }
    UNROLL for (int i = 0; i < rows; i++)
        UNROLL for (int j = 0; j < vectors; j++) IN_REGISTER(acc[i][j]);
    STEP_ENDS;
}

/* n steps of neighbours in A; row is what a step advances B by. */
VINLINE const float *V(steps)(VF (*acc)[MAX_VECTORS], const int rows,
                              const int vectors, const float *a,
                              const size_t pixel, const float *b, const int per,
                              size_t panel, const size_t row, size_t n,
                              oc__ahead *ahead) {
    for (; n >= OC_AHEAD_STEPS; n -= OC_AHEAD_STEPS) {
        __builtin_prefetch(ahead->p, 0, 2);
        ahead->p += ahead->step;
        V(step)(acc, rows, vectors, a, pixel, b, per, panel);
        V(step)(acc, rows, vectors, a + 1, pixel, b + row, per, panel);
        V(step)(acc, rows, vectors, a + 2, pixel, b + 2 * row, per, panel);
        V(step)(acc, rows, vectors, a + 3, pixel, b + 3 * row, per, panel);
        a += 4;
        b += 4 * row;
    }
    for (; n; n--) {
        V(step)(acc, rows, vectors, a, pixel, b, per, panel);
        a++;
        b += row;
    }
    return b;
}

VINLINE void V(clear)(VF (*acc)[MAX_VECTORS], const int rows,
                      const int vectors) {
    UNROLL for (int i = 0; i < rows; i++)
        UNROLL for (int j = 0; j < vectors; j++) acc[i][j] = V(set1)(0.0f);
}

/* The sums leave their registers for the stack, so that what follows them
 * exists once and not in every copy of the tile. */
VINLINE void V(spill)(VF (*acc)[MAX_VECTORS], const int rows, const int vectors,
                      float *to) {
    UNROLL for (int i = 0; i < rows; i++)
        UNROLL for (int j = 0; j < vectors; j++)
            V(store)(to + (i * vectors + j) * V_WIDTH, acc[i][j]);
}

#define SPILL_ELEMS (MAX_SUMS * V_WIDTH)

/* ---- the product --------------------------------------------------------- */

/* One vector of C, at row i, column j: all lanes, or n of them. */
VINLINE void V(gemm_store)(const oc__gemm_f32_tile *t, VF x, size_t i, size_t j,
                           const int whole, size_t n) {
#define LOAD(p) (whole ? V(load)(p) : V(load_n)(p, n))
    float *c = t->c + i * t->c_row_stride + j;
    if (!t->first) x = V(add)(LOAD(c), x);
    if (t->last) {
        x = V(mul)(x, V(set1)(t->alpha));
        if (t->bias_n) x = V(add)(x, LOAD(t->bias_n + j));
        if (t->bias_m) x = V(add)(x, V(set1)(t->bias_m[i]));
        if (t->d) x = V(add)(x, LOAD(t->d + i * t->d_row_stride + j));
        x = V(minx)(V(set1)(t->hi), V(maxx)(V(set1)(t->lo), x));
    }
    if (whole)
        V(store)(c, x);
    else
        V(store_n)(c, x, n);
#undef LOAD
}

/* The sums of rows x vectors * V_WIDTH columns from col0 on, of which
 * t->cols - col0 exist. */
static VTARGET void V(gemm_finish)(const oc__gemm_f32_tile *t,
                                   const float *sums, size_t vectors,
                                   size_t col0) {
    size_t cols = OC_MIN(t->cols - col0, vectors * V_WIDTH);
    for (size_t i = 0; i < t->rows; i++) {
        size_t j = 0;
        for (; j + V_WIDTH <= cols; j += V_WIDTH)
            V(gemm_store)(t, V(load)(sums + j), i, col0 + j, 1, V_WIDTH);
        if (j < cols)
            V(gemm_store)(t, V(load)(sums + j), i, col0 + j, 0, cols - j);
        sums += vectors * V_WIDTH;
    }
}

/* What follows the sums of whole vectors, while they are in registers; the
 * same steps in the same order as gemm_store(). */
VINLINE void V(gemm_whole)(const oc__gemm_f32_tile *t, VF (*acc)[MAX_VECTORS],
                           const int rows, const int vectors, size_t col0) {
#define EACH(x)                                                                \
    UNROLL for (int i = 0; i < rows; i++)                                      \
        UNROLL for (int j = 0; j < vectors; j++) acc[i][j] = (x)
#define AT(p, stride) V(load)((p) + col0 + (size_t)i * (stride) + j * V_WIDTH)
    if (!t->first) EACH(V(add)(AT(t->c, t->c_row_stride), acc[i][j]));
    if (t->last) {
        const VF alpha = V(set1)(t->alpha), lo = V(set1)(t->lo),
                 hi = V(set1)(t->hi);
        if (t->alpha != 1.0f) EACH(V(mul)(acc[i][j], alpha));
        if (t->bias_n) EACH(V(add)(acc[i][j], AT(t->bias_n, 0)));
        if (t->bias_m) EACH(V(add)(acc[i][j], V(set1)(t->bias_m[i])));
        if (t->d) EACH(V(add)(acc[i][j], AT(t->d, t->d_row_stride)));
        EACH(V(minx)(hi, V(maxx)(lo, acc[i][j])));
    }
    UNROLL for (int i = 0; i < rows; i++)
        UNROLL for (int j = 0; j < vectors; j++) V(store)(
            t->c + col0 + (size_t)i * t->c_row_stride + j * V_WIDTH, acc[i][j]);
#undef AT
#undef EACH
}

VINLINE void V(gemm_body)(const oc__gemm_f32_tile *t, const int rows,
                          const int vectors, size_t col0) {
    V(sums) acc;
    _Alignas(64) float sums[SPILL_ELEMS];
    const float *a = t->a;
    const float *b = t->b + col0 / PANEL * t->b_panel_step;
    oc__ahead ahead = t->ahead;
    V(clear)(acc, rows, vectors);
    for (size_t k = t->k; k;) {
        size_t n = k < OC_GEMM_STEPS ? k : OC_GEMM_STEPS;
        b = V(steps)(acc, rows, vectors, a, OC_GEMM_STEPS, b, PANEL / V_WIDTH,
                     t->b_panel_step, PANEL, n, &ahead);
        a += t->a_step;
        k -= n;
    }
    if (t->cols - col0 >= (size_t)(vectors * V_WIDTH)) {
        V(gemm_whole)(t, acc, rows, vectors, col0);
        return;
    }
    V(spill)(acc, rows, vectors, sums);
    V(gemm_finish)(t, sums, (size_t)vectors, col0);
}

typedef void V(gemm_fn)(const oc__gemm_f32_tile *t, size_t col0);

#define GEMM_TILE(rows)                                                        \
    static VTARGET void V(gemm_##rows)(const oc__gemm_f32_tile *t,             \
                                       size_t col0) {                          \
        V(gemm_body)(t, rows, PANEL / V_WIDTH, col0);                          \
    }
#define GEMM_THIN(rows)                                                        \
    static VTARGET void V(gemm_thin_##rows)(const oc__gemm_f32_tile *t,        \
                                            size_t col0) {                     \
        V(gemm_body)(t, rows, THIN_PANELS * PANEL / V_WIDTH, col0);            \
    }
#define GEMM_NAME(rows)      V(gemm_##rows),
#define GEMM_THIN_NAME(rows) V(gemm_thin_##rows),
EACH_2(GEMM_TILE)
EACH_THIN(GEMM_THIN)

static V(gemm_fn) *const V(gemm_tiles)[] = {EACH_2(GEMM_NAME)};
static V(gemm_fn) *const V(gemm_thin_tiles)[] = {EACH_THIN(GEMM_THIN_NAME)};

static void V(gemm_tile)(const oc__gemm_f32_tile *t) {
    if (t->rows <= THIN_ROWS && t->cols > (THIN_PANELS - 1) * PANEL) {
        V(gemm_thin_tiles)[t->rows - 1](t, 0);
        return;
    }
    for (size_t col = 0; col < t->cols; col += PANEL)
        V(gemm_tiles)[t->rows - 1](t, col);
}

const oc__gemm_f32_kernel K(gemm) = {ROWS_2, PANEL, THIN_ROWS, THIN_PANELS,
                                     V(gemm_tile)};

/* 12 chains: more than latency times units (4 on AVX-512, 8 on AVX2). */
VTARGET double K(peak)(size_t rounds, float *sink) {
    VF acc[12], x = V(set1)(*sink), y = V(set1)(1.0f);
    UNROLL for (int i = 0; i < 12; i++) acc[i] = V(set1)((float)i);
    for (size_t r = 0; r < rounds; r++)
        UNROLL for (int i = 0; i < 12; i++) V_ADD_ONE(acc[i], x, y);
    UNROLL for (int i = 1; i < 12; i++) acc[0] = V(add)(acc[0], acc[i]);
    V(store_n)(sink, acc[0], 1);
    return (PAIRS ? 4.0 : 2.0) * 12.0 * V_WIDTH * (double)rounds;
}

/* ---- convolution --------------------------------------------------------- */

/* What follows the sums, while they are in registers. */
VINLINE void V(conv_finish)(const oc__conv_tile *t, VF (*acc)[MAX_VECTORS],
                            const int rows, const int vectors) {
#define EACH(x)                                                                \
    UNROLL for (int i = 0; i < rows; i++)                                      \
        UNROLL for (int j = 0; j < vectors; j++) acc[i][j] = (x)
#define AT(p)                                                                  \
    ((p) + (size_t)(j / VECTORS) * t->out_block_step +                         \
     (size_t)(i * BLOCK + j % VECTORS * V_WIDTH))
    if (!t->first) EACH(V(add)(V(load)(AT(t->out)), acc[i][j]));
    if (t->last) {
        const VF lo = V(set1)(t->lo), hi = V(set1)(t->hi);
        if (t->residual) EACH(V(add)(acc[i][j], V(load)(AT(t->residual))));
        EACH(V(minx)(hi, V(maxx)(lo, acc[i][j])));
    }
    UNROLL for (int i = 0; i < rows; i++)
        UNROLL for (int j = 0; j < vectors; j++)
            V(store)(AT(t->out), acc[i][j]);
#undef AT
#undef EACH
}

/* pixel: PIXEL in a blocked picture, 1 in a plain one; also the steps that a
 * tap of a whole block has. */
VINLINE void V(conv_body)(const oc__conv_tile *t, const int rows,
                          const int blocks, const size_t pixel) {
    const int vectors = blocks * VECTORS;
    const size_t row = (size_t)(blocks * BLOCK);
    V(sums) acc;
    const float *in = t->in, *w = t->w;
    oc__ahead ahead = t->ahead;
    if (t->bias)
        UNROLL for (int j = 0; j < vectors; j++) acc[0][j] =
            V(load)(t->bias + j * V_WIDTH);
    else
        V(clear)(acc, 1, vectors);
    UNROLL for (int i = 1; i < rows; i++)
        UNROLL for (int j = 0; j < vectors; j++) acc[i][j] = acc[0][j];
    for (size_t b = t->blocks; b; b--) {
        size_t steps = b > 1 ? pixel : t->last_steps;
        for (size_t i = 0; i < t->tap_count; i++, w += pixel * row)
            V(steps)
        (acc, rows, vectors, in + t->taps[i], pixel, w, vectors, 0, row,
         pixel == 1 ? 1 : steps, &ahead);
        in += t->in_block_step;
    }
    V(conv_finish)(t, acc, rows, vectors);
}

typedef void V(conv_fn)(const oc__conv_tile *t);

#define BLOCKED_1(rows)                                                        \
    static VTARGET void V(blocked_1_##rows)(const oc__conv_tile *t) {          \
        V(conv_body)(t, rows, 1, PIXEL);                                       \
    }
#define BLOCKED_2(rows)                                                        \
    static VTARGET void V(blocked_2_##rows)(const oc__conv_tile *t) {          \
        V(conv_body)(t, rows, 2, PIXEL);                                       \
    }
EACH_1(BLOCKED_1)
EACH_2(BLOCKED_2)

#define BLOCKED_1_NAME(rows) V(blocked_1_##rows),
#define BLOCKED_2_NAME(rows) V(blocked_2_##rows),

static V(conv_fn) *const V(blocked_1)[] = {EACH_1(BLOCKED_1_NAME)};
static V(conv_fn) *const V(blocked_2)[] = {EACH_2(BLOCKED_2_NAME)};

static void V(blocked)(const oc__conv_tile *t) {
    if (t->out_blocks == 1)
        V(blocked_1)[t->px - 1](t);
    else
        V(blocked_2)[t->px - 1](t);
}

#if PAIRS

/* Pictures of few channels stay f32. */
const oc__conv_f32_kernel K(conv) = {{0, ROWS_1, ROWS_2}, V(blocked), NULL};

#else

#define PLAIN_1(rows)                                                          \
    static VTARGET void V(plain_1_##rows)(const oc__conv_tile *t) {            \
        V(conv_body)(t, rows, 1, 1);                                           \
    }
#define PLAIN_2(rows)                                                          \
    static VTARGET void V(plain_2_##rows)(const oc__conv_tile *t) {            \
        V(conv_body)(t, rows, 2, 1);                                           \
    }
EACH_1(PLAIN_1)
EACH_2(PLAIN_2)

#define PLAIN_1_NAME(rows) V(plain_1_##rows),
#define PLAIN_2_NAME(rows) V(plain_2_##rows),

static V(conv_fn) *const V(plain_1)[] = {EACH_1(PLAIN_1_NAME)};
static V(conv_fn) *const V(plain_2)[] = {EACH_2(PLAIN_2_NAME)};

static void V(plain)(const oc__conv_tile *t) {
    if (t->out_blocks == 1)
        V(plain_1)[t->px - 1](t);
    else
        V(plain_2)[t->px - 1](t);
}

const oc__conv_f32_kernel K(conv) = {{0, ROWS_1, ROWS_2}, V(blocked), V(plain)};

#endif
