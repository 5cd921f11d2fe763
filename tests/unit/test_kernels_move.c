/* test_kernels_move.c - transposes and the NCHWc interleave, bit for bit */
#include "checkasm.h"

typedef void transpose_fn(const void *, size_t, void *, size_t, size_t, size_t);

static const size_t sides[] = {0,  1,  2,  3,  4,  7,  8,  9,  15,
                               16, 17, 31, 33, 64, 65, 67, 130};

static void fill_bytes(unsigned char *p, size_t n) {
    for (size_t i = 0; i < n; i++)
        p[i] = (unsigned char)oc__rng_u32(check_rng());
}

/* Memory for `rows` rows of `cols` elements: the last row ends the block. */
static size_t span(size_t rows, size_t cols, size_t pitch, size_t bytes) {
    return rows && cols ? ((rows - 1) * pitch + cols) * bytes : 0;
}

static void check_transpose(const oc__kernels *k, transpose_fn *fn,
                            size_t bytes, size_t rows, size_t cols,
                            size_t extra) {
    size_t xp = cols + extra, yp = rows + 2 * extra;
    size_t x_bytes = span(rows, cols, xp, bytes);
    size_t y_bytes = span(cols, rows, yp, bytes);
    unsigned char *x = check_alloc(x_bytes), *y = check_alloc(y_bytes);
    unsigned char *want = malloc(y_bytes + 1);
    assert_non_null(want);
    fill_bytes(x, x_bytes);
    memcpy(want, y, y_bytes); /* what lies between the rows must stay */
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < cols; c++)
            memcpy(want + (c * yp + r) * bytes, x + (r * xp + c) * bytes,
                   bytes);
    check_kernel(k, "transpose_b%zu %zux%zu pitch +%zu", bytes, rows, cols,
                 extra);
    fn(x, xp, y, yp, rows, cols);
    check_bytes(y, want, y_bytes);
    free(want);
    check_free_all();
}

static void each_transpose(const oc__kernels *k) {
    transpose_fn *const fns[] = {k->transpose_b1, k->transpose_b2,
                                 k->transpose_b4, k->transpose_b8};
    for (size_t f = 0; f < 4; f++)
        for (size_t r = 0; r < OC_COUNT(sides); r++)
            for (size_t c = 0; c < OC_COUNT(sides); c++) {
                size_t bytes = (size_t)1 << f, rows = sides[r], cols = sides[c];
                check_transpose(k, fns[f], bytes, rows, cols, (r + c) % 3);
                /* Dense sides of a few have ways of their own. */
                if ((r + c) % 3 && (rows < 5 || cols < 5))
                    check_transpose(k, fns[f], bytes, rows, cols, 0);
            }
}

static void transpose_kernels_match(void **state) {
    (void)state;
    check_each_mask(each_transpose);
}

static void check_interleave(const oc__kernels *k, size_t channels,
                             size_t block, size_t pixels, size_t extra) {
    size_t pitch = pixels + extra;
    size_t x_elems = span(channels, pixels, pitch, 1);
    float *x = check_alloc(x_elems * sizeof *x);
    float *y = check_alloc(pixels * block * sizeof *y);
    float *back = check_alloc(x_elems * sizeof *back);
    check_fill(x, x_elems, -1, 1);
    check_kernel(k, "interleave_f32 %zu of %zu, %zu pixels", channels, block,
                 pixels);
    k->interleave_f32(x, pitch, channels, y, block, pixels);
    for (size_t i = 0; i < pixels; i++)
        for (size_t j = 0; j < block; j++) {
            float want = j < channels ? x[j * pitch + i] : 0;
            check_same(&y[i * block + j], &want, 1);
        }
    /* And the way back that kernels.h names. */
    k->transpose_b4(y, block, back, pitch, pixels, channels);
    for (size_t j = 0; j < channels; j++)
        check_same(back + j * pitch, x + j * pitch, pixels);
    check_free_all();
}

static void each_interleave(const oc__kernels *k) {
    static const size_t blocks[] = {4, 8, 16, 5};
    for (size_t b = 0; b < OC_COUNT(blocks); b++)
        for (size_t ch = 0; ch <= blocks[b]; ch++)
            for (size_t p = 0; p < OC_COUNT(sides); p++)
                check_interleave(k, ch, blocks[b], sides[p], p % 3);
}

static void interleave_kernels_match(void **state) {
    (void)state;
    check_each_mask(each_interleave);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(transpose_kernels_match),
        cmocka_unit_test(interleave_kernels_match),
    };
    return cmocka_run_group_tests_name("kernels_move", tests, NULL, NULL);
}
