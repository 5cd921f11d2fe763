/*
 * tile_i8_template.h - the tile of the exact 8-bit product, written once for
 * all instruction sets.  No include guard: the files that include it define
 *
 *     VINLINE, VTARGET, V(name), K(job)    as for tile_template.h
 *     VI           a vector of int32
 *     ELEM         an element of packed A: uint8_t or int16_t
 *     MR, PANEL    rows of a tile, columns of a panel
 *     EACH(X)      X(1) ... X(MR)
 *     VECTORS      accumulators for a row of a panel
 *     THIN_ROWS, THIN_PANELS, EACH_THIN(X)    see gemm.h
 *     V(b)(p, j)   operand j of the PANEL * 4 bytes at p
 *     V(a)(p)      four steps of one row, repeated in all places
 *     V(dot)(acc, a, b)
 *     V(fold)(to, acc)   VECTORS accumulators to PANEL int32, in order
 *
 * One step of the loop is four steps of k: what one dot-product instruction
 * takes for each of its columns.
 */
#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 32")
#endif
#define STEP_ENDS __asm__ volatile("" ::: "memory")

#define MAX_VECTORS (VECTORS * THIN_PANELS)

VINLINE void V(i8_step)(VI (*acc)[MAX_VECTORS], const int rows,
                        const int panels, const ELEM *a, const int8_t *b,
                        size_t panel_step) {
    VI bv[MAX_VECTORS];
    UNROLL for (int p = 0; p < panels; p++)
        UNROLL for (int j = 0; j < VECTORS; j++) bv[p * VECTORS + j] =
            V(b)(b + (size_t)p * panel_step, j);
    UNROLL for (int i = 0; i < rows; i++) {
        VI x = V(a)(a + i * OC_GEMM_I8_STEPS);
        UNROLL for (int j = 0; j < panels * VECTORS; j++) acc[i][j] =
            V(dot)(acc[i][j], x, bv[j]);
    }
    STEP_ENDS;
}

/* Plain C over the sums; see gemm_i8.h for the formula.  Unsigned, so that
 * what does not fit wraps. */
static VTARGET void V(i8_finish)(const oc__gemm_i8_tile *t,
                                 const uint32_t *sums, size_t width,
                                 size_t col0) {
    size_t cols = OC_MIN(t->cols - col0, width);
    const int32_t *b_sum = t->b_sum + col0, *b_zero = t->b_zero + col0;
    for (size_t i = 0; i < t->rows; i++, sums += width) {
        int32_t *c = t->c + i * t->c_row_stride + col0;
        if (t->first)
            for (size_t j = 0; j < cols; j++)
                c[j] = (int32_t)sums[j];
        else
            for (size_t j = 0; j < cols; j++)
                c[j] = (int32_t)((uint32_t)c[j] + sums[j]);
        if (!t->last) continue;
        uint32_t za = (uint32_t)t->a_zero[i];
        if (za)
            for (size_t j = 0; j < cols; j++)
                c[j] = (int32_t)((uint32_t)c[j] - za * (uint32_t)b_sum[j]);
        if (!t->a_rest) continue;
        uint32_t rest = (uint32_t)t->a_rest[i];
        for (size_t j = 0; j < cols; j++)
            c[j] = (int32_t)((uint32_t)c[j] - rest * (uint32_t)b_zero[j]);
    }
}

VINLINE void V(i8_body)(const oc__gemm_i8_tile *t, const int rows,
                        const int panels, size_t col0) {
    VI acc[MR][MAX_VECTORS];
    _Alignas(64) uint32_t sums[MR * PANEL * THIN_PANELS];
    const ELEM *a = t->a;
    const size_t row = 4 * PANEL, panel = t->b_panel_step;
    const int8_t *b = t->b + col0 / PANEL * panel;
    UNROLL for (int i = 0; i < rows; i++)
        UNROLL for (int j = 0; j < panels * VECTORS; j++) acc[i][j] = V(zero)();
    for (size_t k = t->k / 4; k;) {
        /* Not unrolled: copies of a step tempt gcc to spill. */
        size_t n = OC_MIN(k, (size_t)(OC_GEMM_I8_STEPS / 4));
        for (size_t s = 0; s < n; s++, b += row)
            V(i8_step)(acc, rows, panels, a + 4 * s, b, panel);
        a += t->a_step;
        k -= n;
    }
    UNROLL for (int i = 0; i < rows; i++)
        UNROLL for (int p = 0; p < panels; p++)
            V(fold)(sums + (i * panels + p) * PANEL, acc[i] + p * VECTORS);
    V(i8_finish)(t, sums, (size_t)(panels * PANEL), col0);
}

typedef void V(i8_fn)(const oc__gemm_i8_tile *t, size_t col0);

#define I8_TILE(rows)                                                          \
    static VTARGET void V(i8_##rows)(const oc__gemm_i8_tile *t, size_t col0) { \
        V(i8_body)(t, rows, 1, col0);                                          \
    }
#define I8_THIN(rows)                                                          \
    static VTARGET void V(i8_thin_##rows)(const oc__gemm_i8_tile *t,           \
                                          size_t col0) {                       \
        V(i8_body)(t, rows, THIN_PANELS, col0);                                \
    }
#define I8_NAME(rows)      V(i8_##rows),
#define I8_THIN_NAME(rows) V(i8_thin_##rows),
EACH(I8_TILE)
EACH_THIN(I8_THIN)

static V(i8_fn) *const V(i8_tiles)[] = {EACH(I8_NAME)};
static V(i8_fn) *const V(i8_thin_tiles)[] = {EACH_THIN(I8_THIN_NAME)};

static void V(i8_tile)(const oc__gemm_i8_tile *t) {
    if (t->rows <= THIN_ROWS && t->cols > (THIN_PANELS - 1) * PANEL) {
        V(i8_thin_tiles)[t->rows - 1](t, 0);
        return;
    }
    for (size_t col = 0; col < t->cols; col += PANEL)
        V(i8_tiles)[t->rows - 1](t, col);
}

const oc__gemm_i8_kernel K(gemm_i8) = {MR,        PANEL,       sizeof(ELEM),
                                       THIN_ROWS, THIN_PANELS, V(i8_tile)};
