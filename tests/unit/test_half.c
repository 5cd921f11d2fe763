/* test_half.c - the narrow floating-point types against ml_dtypes and numpy */
#include "testing.h"

#include "base/half.h"
#include "base/size.h"
#include "half_tables.inc"

#include <math.h>
#include <stdio.h>

static const struct {
    const char *name;
    oc_dtype dtype;
    const uint32_t *decoded;
    const uint8_t *plain, *saturated;
} f8_types[] = {
    {"f8e4m3fn", OC_DTYPE_F8E4M3FN, f8e4m3fn_decoded, f8e4m3fn_plain,
     f8e4m3fn_saturated},
    {"f8e4m3fnuz", OC_DTYPE_F8E4M3FNUZ, f8e4m3fnuz_decoded, f8e4m3fnuz_plain,
     f8e4m3fnuz_saturated},
    {"f8e5m2", OC_DTYPE_F8E5M2, f8e5m2_decoded, f8e5m2_plain, f8e5m2_saturated},
    {"f8e5m2fnuz", OC_DTYPE_F8E5M2FNUZ, f8e5m2fnuz_decoded, f8e5m2fnuz_plain,
     f8e5m2fnuz_saturated},
};

/* Bits, with one NaN for all. */
static uint32_t canonical(float x) {
    return x != x ? 0x7fc00000 : oc__f32_bits(x);
}

static void half_f8_decodes_as_ml_dtypes(void **state) {
    (void)state;
    for (size_t t = 0; t < OC_COUNT(f8_types); t++)
        for (int c = 0; c < 256; c++)
            assert_int_equal(
                canonical(oc__f8_to_f32(f8_types[t].dtype, (uint8_t)c)),
                f8_types[t].decoded[c]);
    for (int c = 0; c < 256; c++)
        assert_int_equal(canonical(oc__f8e8m0_to_f32((uint8_t)c)),
                         f8e8m0_decoded[c]);
    for (int c = 0; c < 16; c++)
        assert_int_equal(canonical(oc__f4e2m1_to_f32((uint8_t)c)),
                         f4e2m1_decoded[c]);
}

static void half_encodes_as_ml_dtypes(void **state) {
    (void)state;
    for (size_t i = 0; i < OC_COUNT(encode_inputs); i++) {
        float x = oc__f32_from_bits(encode_inputs[i]);
        int nan = x != x;
        for (size_t t = 0; t < OC_COUNT(f8_types); t++) {
            oc_dtype d = f8_types[t].dtype;
            uint8_t plain = oc__f32_to_f8(d, x, 0),
                    sat = oc__f32_to_f8(d, x, 1);
            if (plain != f8_types[t].plain[i] ||
                sat != f8_types[t].saturated[i])
                fail_msg("%s of %a: %d, saturated %d; expected %d, %d",
                         f8_types[t].name, (double)x, plain, sat,
                         f8_types[t].plain[i], f8_types[t].saturated[i]);
        }
        if (!(nan && signbit(x)))
            assert_int_equal(oc__f32_to_f4e2m1(x), f4e2m1_plain[i]);
        if (nan) {
            assert_true((oc__f32_to_f16(x) & 0x7e00) == 0x7e00);
            assert_true((oc__f32_to_bf16(x) & 0x7fc0) == 0x7fc0);
        } else {
            assert_int_equal(oc__f32_to_f16(x), f16_encoded[i]);
            assert_int_equal(oc__f32_to_bf16(x), bf16_encoded[i]);
        }
    }
}

static void half_f16_from_f64_rounds_once(void **state) {
    (void)state;
    for (size_t i = 0; i < OC_COUNT(f64_inputs); i++) {
        double x;
        memcpy(&x, &f64_inputs[i], sizeof x);
        if (x != x)
            assert_true((oc__f64_to_f16(x) & 0x7e00) == 0x7e00);
        else
            assert_int_equal(oc__f64_to_f16(x), f64_to_f16[i]);
    }
}

/*
 * Rounding to nearest is settled by the values a type has: between two
 * neighbours the middle decides, and belongs to the even code.  So trying
 * each middle and the two floats next to it tries every case there is.
 */
static void check_middles(oc_dtype dtype, const uint32_t *decoded, int max) {
    for (int c = 0; c < max; c++) {
        float a = oc__f32_from_bits(decoded[c]);
        float b = oc__f32_from_bits(decoded[c + 1]);
        float mid = (a + b) / 2; /* exact: one more bit of mantissa */
        for (int neg = 0; neg < 2; neg++) {
            float s = neg ? -1.0f : 1.0f;
            int zero = neg && (dtype == OC_DTYPE_F8E4M3FNUZ ||
                               dtype == OC_DTYPE_F8E5M2FNUZ);
            int sign = neg ? (dtype == OC_DTYPE_F4E2M1 ? 8 : 128) : 0;
            float x[3] = {nextafterf(mid, a), mid, nextafterf(mid, b)};
            int want[3] = {c, c + (c & 1), c + 1};
            for (int k = 0; k < 3; k++) {
                int expect = want[k] == 0 && zero ? 0 : want[k] | sign;
                int got = dtype == OC_DTYPE_F4E2M1
                              ? oc__f32_to_f4e2m1(s * x[k])
                              : oc__f32_to_f8(dtype, s * x[k], 0);
                assert_int_equal(got, expect);
            }
        }
    }
}

static void half_rounds_every_middle_to_even(void **state) {
    (void)state;
    check_middles(OC_DTYPE_F8E4M3FN, f8e4m3fn_decoded, 0x7e);
    check_middles(OC_DTYPE_F8E4M3FNUZ, f8e4m3fnuz_decoded, 0x7f);
    check_middles(OC_DTYPE_F8E5M2, f8e5m2_decoded, 0x7b);
    check_middles(OC_DTYPE_F8E5M2FNUZ, f8e5m2fnuz_decoded, 0x7f);
    check_middles(OC_DTYPE_F4E2M1, f4e2m1_decoded, 0x7);
}

/* Widening then narrowing gives back each of the 65536 codes; middles between
 * neighbours go to the even one. */
static void half_f16_and_bf16_round_trip(void **state) {
    (void)state;
    for (int c = 0; c < 65536; c++) {
        uint16_t h = (uint16_t)c;
        float f = oc__f16_to_f32(h), b = oc__bf16_to_f32(h);
        if (f == f) {
            assert_int_equal(oc__f32_to_f16(f), h);
            assert_int_equal(oc__f64_to_f16((double)f), h);
        }
        if (b == b) assert_int_equal(oc__f32_to_bf16(b), h);
        if ((h & 0x7fff) >= 0x7bff) continue;
        float mid = (f + oc__f16_to_f32((uint16_t)(h + 1))) / 2;
        assert_int_equal(oc__f32_to_f16(mid), h + (h & 1));
        assert_int_equal(oc__f32_to_f16(nextafterf(mid, f)), h);
    }
    assert_true(oc__f16_to_f32(1) == 0x1p-24f);
    assert_true(oc__f16_to_f32(0x7bff) == 65504.0f);
    assert_true(isinf(oc__f16_to_f32(0xfc00)));
    assert_true(isnan(oc__f16_to_f32(0x7c01)));
}

/* The table in the text of ONNX Cast 24, and powers of two by hand. */
static void half_f8e8m0_follows_cast_24(void **state) {
    (void)state;
    static const struct {
        float x;
        uint8_t up, down, nearest, nearest_plain;
    } cases[] = {
        {0.0f, 0, 0, 0, 0xff},
        {NAN, 0xff, 0xff, 0xff, 0xff},
        {INFINITY, 0xfe, 0xfe, 0xfe, 0xff},
        {0x1.8p127f, 0xfe, 0xfe, 0xfe, 0xff},
        {0x1.4p127f, 0xfe, 0xfe, 0xfe, 0xfe},
        {0x1p127f, 0xfe, 0xfe, 0xfe, 0xfe},
        {0x1p-128f, 0, 0, 0, 0xff},
        {0x1p-127f, 0, 0, 0, 0},
        {0x1.4p-127f, 1, 0, 0, 0},
        {0x1.8p-127f, 1, 0, 1, 1},
        {1.0f, 127, 127, 127, 127},
        {1.25f, 128, 127, 127, 127},
        {1.5f, 128, 127, 128, 128},
        {1.1f, 128, 127, 127, 127},
        {0.124f, 124, 123, 124, 124},
        {0x1.000002p0f, 128, 127, 127, 127},
    };
    for (size_t i = 0; i < OC_COUNT(cases); i++) {
        float x = cases[i].x;
        assert_int_equal(oc__f32_to_f8e8m0(x, OC_F8E8M0_UP, 1), cases[i].up);
        assert_int_equal(oc__f32_to_f8e8m0(x, OC_F8E8M0_DOWN, 1),
                         cases[i].down);
        assert_int_equal(oc__f32_to_f8e8m0(x, OC_F8E8M0_NEAREST, 1),
                         cases[i].nearest);
        assert_int_equal(oc__f32_to_f8e8m0(x, OC_F8E8M0_NEAREST, 0),
                         cases[i].nearest_plain);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(half_f8_decodes_as_ml_dtypes),
        cmocka_unit_test(half_encodes_as_ml_dtypes),
        cmocka_unit_test(half_f16_from_f64_rounds_once),
        cmocka_unit_test(half_rounds_every_middle_to_even),
        cmocka_unit_test(half_f16_and_bf16_round_trip),
        cmocka_unit_test(half_f8e8m0_follows_cast_24),
    };
    return cmocka_run_group_tests_name("half", tests, NULL, NULL);
}
