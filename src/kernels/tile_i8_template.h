/*
 * tile_i8_template.h - the tile of the exact 8-bit product, written once for
 * all instruction sets.  No include guard: the files that include it define
 *
 *     VINLINE, VTARGET, V(name), K(job)    as for tile_template.h
 *     VI           a vector of int32
 *     A_SIGNED     1: A is packed as s8 (else nothing)
 *     MR, PANEL    rows of a tile, columns of a panel
 *     EACH(X)      X(1) ... X(MR)
 *     VECTORS      accumulators for a row of a panel
 *     THIN_ROWS, THIN_PANELS, EACH_THIN(X)    see gemm.h
 *     HALF         1: where the last columns fill no more than half of a
 *                  panel, only that half is multiplied
 *     V(b)(p, j)   operand j of the PANEL * 4 bytes at p
 *     V(a)(p)      four steps of one row, repeated in all places
 *     V(dot)(acc, a, b)
 *     ORDER        1: instead of these three, V(i8_sums) as declared below,
 *                  which adds all of k, and V(order); see gemm_i8.h
 *     V(fold)(to, acc)   VECTORS accumulators to PANEL int32, in order
 *     V(put16)(to, from, by)    16 bytes, each ^ by, as packed A; V(put8)
 *     LANES              columns of a vector of sums, in an order of the
 *                        instruction set's own
 *     V(lanes)(v, acc)   VECTORS accumulators to PANEL / LANES such vectors
 *     V(lanes_at)(p)     such a vector from LANES int32
 *     V(coder), V(coder_at), V(code4)    from such vectors to 8 bits; see
 *                        codes_avx2.h
 *     V(scaler), V(scaler_at), V(scale_row)    and to f32
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

#ifndef A_SIGNED
#define A_SIGNED 0
#endif
#ifdef ORDER
#define ORDER_OR_NULL V(order)
#else
#define ORDER         0
#define ORDER_OR_NULL NULL
#endif
#ifndef HALF
#define HALF 0
#endif
#define MAX_VECTORS (VECTORS * THIN_PANELS)
/* From 64 steps of packed A to the next. */
#define A_STEP (MR * OC_GEMM_I8_STEPS)

#if ORDER
VINLINE void V(i8_sums)(const oc__gemm_i8_tile *t, VI (*acc)[MAX_VECTORS],
                        const int rows, size_t panel);
#else
VINLINE void V(i8_step)(VI (*acc)[MAX_VECTORS], const int rows,
                        const int panels, const int vectors, const uint8_t *a,
                        const int8_t *b, size_t panel_step) {
    VI bv[MAX_VECTORS];
    UNROLL for (int p = 0; p < panels; p++)
        UNROLL for (int j = 0; j < vectors; j++) bv[p * vectors + j] =
            V(b)(b + (size_t)p * panel_step, j);
    UNROLL for (int i = 0; i < rows; i++) {
        VI x = V(a)(a + i * OC_GEMM_I8_STEPS);
        UNROLL for (int j = 0; j < panels * vectors; j++) acc[i][j] =
            V(dot)(acc[i][j], x, bv[j]);
    }
    STEP_ENDS;
}
#endif

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

#define ROW_LANES (PANEL / LANES)

/* Column block j of all rows to 8 bits, four rows at a time; those that are
 * not there repeat others and go nowhere. */
VINLINE void V(i8_codes)(const oc__gemm_i8_tile *t, VI (*v)[ROW_LANES],
                         const int rows, const int j, size_t col) {
    const oc__codes *to = &t->codes;
    const V(coder) k = V(coder_at)(to, col);
    size_t m = OC_MIN(t->cols - col, (size_t)LANES);
    UNROLL for (int i = 0; i < rows; i += 4) {
        uint8_t part[4 * LANES], *y[4];
        uint8_t *at = to->y + (size_t)i * to->row_stride + col;
        const int n = rows - i < 4 ? rows - i : 4;
        if (m == LANES) {
            UNROLL for (int r = 0; r < n; r++) y[r] =
                at + (size_t)r * to->row_stride;
        } else {
            UNROLL for (int r = 0; r < n; r++) y[r] = part + r * LANES;
        }
        V(code4)
        (v[i][j], v[i + (n > 1 ? 1 : 0)][j], v[i + (n > 2 ? 2 : 0)][j],
         v[i + (n > 3 ? 3 : 0)][j], &k, y, n);
        if (m == LANES) continue;
        for (int r = 0; r < n; r++, at += to->row_stride)
            for (size_t l = 0; l < m; l++)
                at[l] = y[r][l];
    }
}

/* Column block j of all rows to f32. */
VINLINE void V(i8_floats)(const oc__gemm_i8_tile *t, VI (*v)[ROW_LANES],
                          const int rows, const int j, size_t col) {
    const oc__codes *to = &t->codes;
    const V(scaler) k = V(scaler_at)(to, col);
    size_t m = OC_MIN(t->cols - col, (size_t)LANES);
    float *at = to->f + col, part[LANES];
    if (m == LANES) {
        UNROLL for (int i = 0; i < rows; i++)
            V(scale_row)(v[i][j], &k, at + (size_t)i * to->row_stride);
        return;
    }
    UNROLL for (int i = 0; i < rows; i++, at += to->row_stride) {
        V(scale_row)(v[i][j], &k, part);
        for (size_t l = 0; l < m; l++)
            at[l] = part[l];
    }
}

/* The end of the last part of a product whose sums become codes or f32. */
VINLINE void V(i8_last)(const oc__gemm_i8_tile *t, VI (*acc)[MAX_VECTORS],
                        const int rows, const int panels, size_t col0) {
    VI v[MR][ROW_LANES];
    /* Unrolled: a variable index would keep the sums in memory throughout. */
    UNROLL for (int p = 0; p < panels; p++) {
        size_t col = col0 + (size_t)p * PANEL;
        if (col >= t->cols) return;
        UNROLL for (int i = 0; i < rows; i++)
            V(lanes)(v[i], acc[i] + p * VECTORS);
        if (!t->first)
            UNROLL for (int i = 0; i < rows; i++)
                UNROLL for (int j = 0; j < ROW_LANES; j++) v[i][j] = V(i_sum)(
                    v[i][j], V(lanes_at)(t->c + (size_t)i * t->c_row_stride +
                                         col + (size_t)j * LANES));
        UNROLL for (int j = 0; j < ROW_LANES;
                    j++) if (col + (size_t)j * LANES < t->cols) {
            if (t->codes.f)
                V(i8_floats)(t, v, rows, j, col + (size_t)j * LANES);
            else
                V(i8_codes)(t, v, rows, j, col + (size_t)j * LANES);
        }
    }
}

VINLINE void V(i8_body)(const oc__gemm_i8_tile *t, const oc__gemm_i8_tile *same,
                        const int rows, const int panels, const int vectors,
                        size_t col0) {
    VI acc[MR][MAX_VECTORS];
    _Alignas(64) uint32_t sums[MR * PANEL * THIN_PANELS];
    UNROLL for (int i = 0; i < rows; i++)
        UNROLL for (int j = 0; j < panels * VECTORS; j++) acc[i][j] = V(zero)();
#if ORDER
    (void)vectors;
    V(i8_sums)(t, acc, rows, col0 / PANEL);
#else
    const uint8_t *a = t->a;
    const size_t row = 4 * PANEL, panel = t->b_panel_step;
    const int8_t *b = t->b + col0 / PANEL * panel;
    for (size_t k = t->k / 4; k;) {
        /* Not unrolled: copies of a step tempt gcc to spill. */
        size_t n = OC_MIN(k, (size_t)(OC_GEMM_I8_STEPS / 4));
        for (size_t s = 0; s < n; s++, b += row)
            V(i8_step)(acc, rows, panels, vectors, a + 4 * s, b, panel);
        a += A_STEP;
        k -= n;
    }
#endif
    if ((t->codes.y || t->codes.f) && t->last) {
        V(i8_last)(t, acc, rows, panels, col0);
        return;
    }
    UNROLL for (int i = 0; i < rows; i++)
        UNROLL for (int p = 0; p < panels; p++)
            V(fold)(sums + (i * panels + p) * PANEL, acc[i] + p * VECTORS);
    V(i8_finish)(same, sums, (size_t)(panels * PANEL), col0);
}

typedef void V(i8_fn)(const oc__gemm_i8_tile *t, size_t col0);

/* All columns, by whole panels.  The copy tells the compiler that codes which
 * are stored do not change it. */
VINLINE void V(i8_columns)(const oc__gemm_i8_tile *tile, const int rows,
                           const int panels, size_t col) {
    const oc__gemm_i8_tile t = *tile;
    for (; col < t.cols; col += (size_t)panels * PANEL) {
        if (HALF && t.cols - col <= PANEL / 2)
            V(i8_body)(&t, tile, rows, panels, VECTORS / 2, col);
        else
            V(i8_body)(&t, tile, rows, panels, VECTORS, col);
    }
}

#define I8_TILE(rows)                                                          \
    static VTARGET void V(i8_##rows)(const oc__gemm_i8_tile *t, size_t col) {  \
        V(i8_columns)(t, rows, 1, col);                                        \
    }
#define I8_THIN(rows)                                                          \
    static VTARGET void V(i8_thin_##rows)(const oc__gemm_i8_tile *t,           \
                                          size_t col) {                        \
        V(i8_body)(t, t, rows, THIN_PANELS, VECTORS, col);                     \
    }
#define I8_NAME(rows)      V(i8_##rows),
#define I8_THIN_NAME(rows) V(i8_thin_##rows),
EACH(I8_TILE)
EACH_THIN(I8_THIN)

static V(i8_fn) *const V(i8_tiles)[] = {EACH(I8_NAME)};
static V(i8_fn) *const V(i8_thin_tiles)[] = {EACH_THIN(I8_THIN_NAME)};

static void V(i8_tile)(const oc__gemm_i8_tile *t) {
    size_t col = 0;
    if (t->rows <= THIN_ROWS)
        for (; t->cols - col > (THIN_PANELS - 1) * PANEL;
             col += THIN_PANELS * PANEL) {
            V(i8_thin_tiles)[t->rows - 1](t, col);
            if (t->cols - col <= THIN_PANELS * PANEL) return;
        }
    if (col < t->cols) V(i8_tiles)[t->rows - 1](t, col);
}

/* Part of a row between two multiples of 64.  Runs end with what overlaps
 * with what is there already. */
VINLINE void V(i8_pack_part)(const uint8_t *from, size_t n, size_t reach,
                             uint8_t by, uint8_t *out, size_t room) {
    if (n >= 16) {
        for (size_t i = 0; i + 16 <= n; i += 16)
            V(put16)(out + i, from + i, by);
        if (n % 16) V(put16)(out + n - 16, from + n - 16, by);
    } else if (room >= 16 && reach >= 16) {
        V(put16)(out, from, by);
        return;
    } else if (n >= 8) {
        V(put8)(out, from, by);
        V(put8)(out + n - 8, from + n - 8, by);
    } else {
        for (size_t i = 0; i < n; i++) {
            out[i] = from[i] ^ by;
            STEP_ENDS; /* too short to be worth a vector loop */
        }
    }
    for (size_t i = n; (room - i) % 4; i++)
        out[i] = 0;
}

static VTARGET void V(i8_pack)(const uint8_t *from, size_t n, size_t reach,
                               int flip, uint8_t *row, size_t at) {
    const uint8_t by = (uint8_t)flip;
    size_t in = at % OC_GEMM_I8_STEPS, room = OC_GEMM_I8_STEPS - in;
    uint8_t *out = row + at / OC_GEMM_I8_STEPS * A_STEP + in;
    /* The taps of a window in a picture of few channels. */
    if (n <= 16 && room >= 16 && reach >= 16) {
        V(put16)(out, from, by);
        return;
    }
    for (;;) {
        size_t m = OC_MIN(n, room);
        V(i8_pack_part)(from, m, reach, by, out, room);
        if (m == n) return;
        from += m;
        n -= m;
        reach -= m;
        out += A_STEP - OC_GEMM_I8_STEPS + room;
        room = OC_GEMM_I8_STEPS;
    }
}

const oc__gemm_i8_kernel K(gemm_i8) = {MR,          PANEL,        THIN_ROWS,
                                       THIN_PANELS, V(i8_tile),   V(i8_pack),
                                       A_SIGNED,    ORDER_OR_NULL};
