/* test_kernels_convert.c - narrow types and quantisation, bit for bit */
#include "checkasm.h"

#include "base/half.h"

#include <math.h>

/* ---- f16 and bf16 -------------------------------------------------------- */

static void widen_all(const oc__kernels *k) {
    static uint16_t x[65536];
    static float y[65536], want[65536];
    for (int i = 0; i < 65536; i++)
        x[i] = (uint16_t)i;
    check_kernel(k, "f16_to_f32, all codes");
    k->f16_to_f32(x, y, 65536);
    check_scalar()->f16_to_f32(x, want, 65536);
    check_same(y, want, 65536);
    check_kernel(k, "bf16_to_f32, all codes");
    k->bf16_to_f32(x, y, 65536);
    check_scalar()->bf16_to_f32(x, want, 65536);
    check_same(y, want, 65536);
}

static void f16_and_bf16_widen_all_codes(void **state) {
    (void)state;
    check_each_mask(widen_all);
}

/* Bits, with NaNs only known as such. */
static void check_narrow(const float *x, const uint16_t *y,
                         const uint16_t *want, size_t n, int exponent) {
    for (size_t i = 0; i < n; i++) {
        if (x[i] != x[i]) {
            assert_true((y[i] & exponent) == exponent);
            assert_true((y[i] & ~exponent & 0x7fff) != 0);
        } else {
            check_bytes(&y[i], &want[i], 2);
        }
    }
}

static void narrow_values(const oc__kernels *k, const float *x, size_t n) {
    static uint16_t y[4096], want[4096];
    check_kernel(k, "f32_to_f16");
    k->f32_to_f16(x, y, n);
    check_scalar()->f32_to_f16(x, want, n);
    check_narrow(x, y, want, n, 0x7c00);
    check_kernel(k, "f32_to_bf16");
    k->f32_to_bf16(x, y, n);
    check_scalar()->f32_to_bf16(x, want, n);
    check_narrow(x, y, want, n, 0x7f80);
}

/* Random bits, and around every tie between neighbouring f16 numbers. */
static void narrow_sweep(const oc__kernels *k) {
    static float x[4096];
    for (int round = 0; round < 50; round++) {
        for (int i = 0; i < 4096; i++)
            x[i] = oc__f32_from_bits(oc__rng_u32(check_rng()));
        narrow_values(k, x, 4096);
    }
    size_t n = 0;
    for (int c = 0; c < 65536; c++) {
        float a = oc__f16_to_f32((uint16_t)c);
        float b = oc__f16_to_f32((uint16_t)(c + 1));
        float tie = (a + b) / 2;
        x[n++] = a;
        x[n++] = tie;
        x[n++] = nextafterf(tie, a);
        x[n++] = nextafterf(tie, b);
        if (n == 4096) {
            narrow_values(k, x, n);
            n = 0;
        }
    }
}

static void f16_and_bf16_narrow_as_scalar(void **state) {
    (void)state;
    check_each_mask(narrow_sweep);
}

static void convert_sizes(const oc__kernels *k) {
    for (size_t s = 0; s < check_size_count; s++) {
        size_t n = check_sizes[s];
        float *x = check_alloc(n * sizeof *x), *w = check_alloc(n * sizeof *w);
        uint16_t *h = check_alloc(n * sizeof *h), want[2048];
        float wide[2048];
        check_fill(x, n, -100, 100);
        check_kernel(k, "f32_to_f16 n=%zu", n);
        k->f32_to_f16(x, h, n);
        check_scalar()->f32_to_f16(x, want, n);
        check_bytes(h, want, n * sizeof *h);
        check_kernel(k, "f16_to_f32 n=%zu", n);
        k->f16_to_f32(h, w, n);
        check_scalar()->f16_to_f32(h, wide, n);
        check_same(w, wide, n);
        check_kernel(k, "f32_to_bf16 n=%zu", n);
        k->f32_to_bf16(x, h, n);
        check_scalar()->f32_to_bf16(x, want, n);
        check_bytes(h, want, n * sizeof *h);
        check_kernel(k, "bf16_to_f32 n=%zu", n);
        k->bf16_to_f32(h, w, n);
        check_scalar()->bf16_to_f32(h, wide, n);
        check_same(w, wide, n);
        check_free_all();
    }
}

static void conversions_stay_in_bounds(void **state) {
    (void)state;
    check_each_mask(convert_sizes);
}

/* ---- quantisation -------------------------------------------------------- */

static const float scales[] = {1, 0.1f, 0.00390625f, 3, 1e-30f, 1e30f};

/* Values with many ties, and some that no integer holds. */
static void fill_quantizable(float *x, size_t n, float scale) {
    check_fill(x, n, -300 * scale, 300 * scale);
    for (size_t i = 0; i < n; i++)
        if (i % 3 == 0)
            x[i] = scale * ((float)oc__rng_below(check_rng(), 600) - 300.5f);
    check_sprinkle(x, n);
}

static void each_quantize(const oc__kernels *k) {
    for (size_t s = 0; s < check_size_count; s++) {
        size_t n = check_sizes[s];
        for (size_t c = 0; c < OC_COUNT(scales); c++) {
            float *x = check_alloc(n * sizeof *x);
            float *w = check_alloc(n * sizeof *w);
            uint8_t *u = check_alloc(n), want_u[2048];
            int8_t *i = check_alloc(n), want_i[2048];
            float wide[2048];
            int zu = (int)oc__rng_below(check_rng(), 256), zi = zu - 128;
            fill_quantizable(x, n, scales[c]);
            check_kernel(k, "quantize_u8 n=%zu scale %g zero %d", n,
                         (double)scales[c], zu);
            k->quantize_u8(x, scales[c], zu, u, n);
            check_scalar()->quantize_u8(x, scales[c], zu, want_u, n);
            check_bytes(u, want_u, n);
            check_kernel(k, "quantize_i8 n=%zu scale %g zero %d", n,
                         (double)scales[c], zi);
            k->quantize_i8(x, scales[c], zi, i, n);
            check_scalar()->quantize_i8(x, scales[c], zi, want_i, n);
            check_bytes(i, want_i, n);
            check_kernel(k, "dequantize_u8 n=%zu", n);
            k->dequantize_u8(u, scales[c], zu, w, n);
            check_scalar()->dequantize_u8(u, scales[c], zu, wide, n);
            check_same(w, wide, n);
            check_kernel(k, "dequantize_i8 n=%zu", n);
            k->dequantize_i8(i, scales[c], zi, w, n);
            check_scalar()->dequantize_i8(i, scales[c], zi, wide, n);
            check_same(w, wide, n);
            check_free_all();
        }
    }
}

static void quantize_kernels_match(void **state) {
    (void)state;
    check_each_mask(each_quantize);
}

/* The examples in the text of ONNX QuantizeLinear, and its rounding rule. */
static void quantize_known_on(const oc__kernels *k) {
    const float x[] = {0, 2, 3, 1000, -254, -1000, 1, 5, -1, NAN};
    const uint8_t u[] = {128, 129, 130, 255, 1, 0, 128, 130, 128, 0};
    const int8_t i[] = {0, 1, 2, 127, -127, -128, 0, 2, 0, -128};
    uint8_t yu[10];
    int8_t yi[10];
    check_kernel(k, "quantize, known values");
    k->quantize_u8(x, 2, 128, yu, 10);
    check_bytes(yu, u, 10);
    k->quantize_i8(x, 2, 0, yi, 10);
    check_bytes(yi, i, 10);
}

static void quantize_rounds_halves_to_even(void **state) {
    (void)state;
    check_each_mask(quantize_known_on);
}

/* ---- sums of 8-bit products ---------------------------------------------- */

static void check_requantize(const oc__kernels *k, size_t rows, size_t cols) {
    int32_t *x = check_alloc(rows * cols * sizeof *x);
    int32_t *bias = check_alloc(cols * sizeof *bias);
    float *scale = check_alloc(cols * sizeof *scale);
    uint8_t *y = check_alloc(rows * cols), want[2048];
    for (size_t i = 0; i < rows * cols; i++)
        x[i] = (int32_t)oc__rng_below(check_rng(), 60000) - 30000;
    for (size_t c = 0; c < cols; c++)
        bias[c] = (int32_t)oc__rng_below(check_rng(), 2000) - 1000;
    check_fill(scale, cols, 0.0f, 0.02f);
    if (cols > 2) scale[1] = 0.5f; /* ties */
    if (cols) bias[cols - 1] = INT32_MAX;
    for (int is_signed = 0; is_signed < 2; is_signed++) {
        int zero = (int)oc__rng_below(check_rng(), 256) - 128 * is_signed;
        check_kernel(k, "requantize_i8 %zux%zu zero %d", rows, cols, zero);
        k->requantize_i8(x, bias, scale, zero, is_signed, y, rows, cols);
        check_scalar()->requantize_i8(x, bias, scale, zero, is_signed, want,
                                      rows, cols);
        check_bytes(y, want, rows * cols);
    }
    check_free_all();
}

static void each_requantize(const oc__kernels *k) {
    for (size_t s = 0; s < check_size_count; s++) {
        if (check_sizes[s] <= 2048) check_requantize(k, 1, check_sizes[s]);
        if (check_sizes[s] <= 200) check_requantize(k, 7, check_sizes[s]);
    }
}

static void requantize_matches_scalar(void **state) {
    (void)state;
    check_each_mask(each_requantize);
}

/* Integers, so that every order of the sums gives the same bits. */
static void each_taps(const oc__kernels *k) {
    for (size_t s = 0; s < check_size_count; s++) {
        size_t n = check_sizes[s], taps = 1 + oc__rng_below(check_rng(), 25);
        size_t at[25], most = 0;
        float w[25], want[2048];
        for (size_t t = 0; t < taps; t++) {
            at[t] = oc__rng_below(check_rng(), 90);
            most = OC_MAX(most, at[t]);
            w[t] = (float)oc__rng_below(check_rng(), 511) - 255;
        }
        float *x = check_alloc((n + most) * sizeof *x);
        float *y = check_alloc(n * sizeof *y);
        for (size_t i = 0; i < n + most; i++)
            x[i] = (float)oc__rng_below(check_rng(), 511) - 255;
        check_kernel(k, "taps_f32 n=%zu taps %zu", n, taps);
        k->taps_f32(x, at, w, taps, y, n);
        check_scalar()->taps_f32(x, at, w, taps, want, n);
        check_same(y, want, n);
        check_free_all();
    }
}

static void taps_match_scalar(void **state) {
    (void)state;
    check_each_mask(each_taps);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(f16_and_bf16_widen_all_codes),
        cmocka_unit_test(f16_and_bf16_narrow_as_scalar),
        cmocka_unit_test(conversions_stay_in_bounds),
        cmocka_unit_test(quantize_kernels_match),
        cmocka_unit_test(quantize_rounds_halves_to_even),
        cmocka_unit_test(requantize_matches_scalar),
        cmocka_unit_test(taps_match_scalar),
    };
    return cmocka_run_group_tests_name("kernels_convert", tests, NULL, NULL);
}
