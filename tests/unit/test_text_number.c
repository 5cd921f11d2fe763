/*
 * test_text_number.c - src/base/text_number.c against the C library in the C
 * locale, and against itself in others.
 */
#include "testing.h"

#include "base/rng.h"
#include "base/size.h"
#include "base/text_number.h"

#include <locale.h>
#include <math.h>
#include <stdio.h>

static double from_bits(uint64_t bits) {
    double v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

static uint64_t to_bits(double v) {
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    return bits;
}

/* ---- from text ----------------------------------------------------------- */

static void assert_read_as_strtod(const char *text) {
    char *end;
    double want = strtod(text, &end), got = 7;
    size_t used = oc__text_read_f64(text, strlen(text), &got);
    if (used != (size_t)(end - text) || (used && to_bits(got) != to_bits(want)))
        fail_msg("\"%s\": %.17g of %zu bytes, not %.17g of %zu", text, got,
                 used, want, (size_t)(end - text));
    if (!used) assert_true(got == 7);
}

static void number_read_is_the_one_strtod_reads(void **state) {
    (void)state;
    static const char *const texts[] = {
        "0",
        "-0",
        "+1.5",
        ".5",
        "5.",
        "1.2.3",
        "1,5",
        "1e3",
        "1E-3x",
        "1e",
        "1e+",
        "1e+x",
        "-",
        "+.",
        "",
        ".",
        "e5",
        "--1",
        "224x7",
        "1e400",
        "-1e400",
        "1e-400",
        "4.9e-324",
        "2e-324",
        "3e-324",
        "inf",
        "-INF",
        "Infinity",
        "infinit",
        "0.000000000000000000000000000000000000000001e42",
        "123456789012345678901234567890123456789012345678901234567890",
        "1e99999999999999999999",
        "1e-99999999999999999999",
        "0e99999999999999999999",
        "9007199254740993",       /* the middle of two doubles */
        "1.7976931348623158e308", /* rounds to the largest, and beyond */
        "1.7976931348623159e308"};
    for (size_t i = 0; i < OC_COUNT(texts); i++) {
        assert_read_as_strtod(texts[i]);
    }
}

/* Middles of neighbours, written out whole, and a little to either side. */
static void number_read_rounds_ties_as_strtod_does(void **state) {
    (void)state;
    oc__rng rng;
    oc__rng_init(&rng, 5);
    for (int i = 0; i < 3000; i++) {
        char text[1200];
        uint64_t r = oc__rng_u64(&rng);
        /* Subnormal ones have the longest middles. */
        double a = from_bits(i % 3 ? r & UINT64_C(0x3fffffffffffffff)
                                   : r & UINT64_C(0x001fffffffffffff));
        double b = nextafter(a, INFINITY);
        long double middle = ((long double)a + (long double)b) / 2;
        int n = snprintf(text, sizeof text - 60, "%.1100Le", middle);
        char *e = strchr(text, 'e');
        assert_true(n > 0 && e);
        assert_read_as_strtod(text);
        e[-1] = '1'; /* the last of many zeros */
        assert_read_as_strtod(text);
        char *digit = e - 1;
        while (*digit == '0' || digit == e - 1)
            digit--;
        if (*digit == '.') continue;
        --*digit;
        assert_read_as_strtod(text);
    }
}

static void number_read_whole_takes_white_space_only(void **state) {
    (void)state;
    double v = 7;
    assert_int_equal(oc__text_to_f64(" \t2.5\n", 6, &v), 0);
    assert_true(v == 2.5);
    v = 7;
    static const char *const none[] = {"",  " ",  "2.5x", "2 5",
                                       "x", "1e", "1,5"};
    for (size_t i = 0; i < OC_COUNT(none); i++) {
        assert_int_equal(oc__text_to_f64(none[i], strlen(none[i]), &v), 1);
    }
    assert_true(v == 7);
    assert_int_equal(oc__text_to_f64("nan", 3, &v), 0);
    assert_true(isnan(v));
}

/* ---- to text ------------------------------------------------------------- */

/* Significant ones. */
static int count_digits(const char *text) {
    int n = 0, zeros = 0;
    for (; *text && *text != 'e'; text++) {
        if (*text < '0' || *text > '9' || (!n && *text == '0')) continue;
        n++;
        zeros = *text == '0' ? zeros + 1 : 0;
    }
    return n - zeros;
}

static void number_written_reads_back_and_is_short(void **state) {
    (void)state;
    oc__rng rng;
    oc__rng_init(&rng, 6);
    for (int i = 0; i < 20000; i++) {
        char text[OC_NUMBER_TEXT_BYTES], shorter[40];
        double v = from_bits(oc__rng_u64(&rng));
        if (i % 2) v = (double)(int64_t)oc__rng_u64(&rng) / 1e15;
        if (!isfinite(v)) continue;
        size_t n = oc__text_from_number(OC_DTYPE_F64, v, text);
        assert_int_equal(n, strlen(text));
        if (to_bits(strtod(text, NULL)) != to_bits(v))
            fail_msg("%.17g is written %s", v, text);
        int digits = count_digits(text);
        if (digits < 2) continue;
        snprintf(shorter, sizeof shorter, "%.*e", digits - 2, v);
        if (strtod(shorter, NULL) == v)
            fail_msg("%s is longer than %s", text, shorter);
    }
    char text[OC_NUMBER_TEXT_BYTES];
    oc__text_from_number(OC_DTYPE_F64, 224, text);
    assert_string_equal(text, "224");
    oc__text_from_number(OC_DTYPE_F64, 0.1, text);
    assert_string_equal(text, "0.1");
    oc__text_from_number(OC_DTYPE_F32, (double)0.1f, text);
    assert_string_equal(text, "0.1");
}

static void score_is_written_as_by_printf(void **state) {
    (void)state;
    oc__rng rng;
    oc__rng_init(&rng, 7);
    for (int i = -200000; i < 200000; i++) {
        char got[OC_NUMBER_TEXT_BYTES], want[64];
        /* Eighths are ties. */
        float v = i % 2 ? (float)i / 1600 : (float)oc__rng_u64(&rng) / 1.9e14f;
        oc__text_from_score(v, got);
        snprintf(want, sizeof want, "%.2f", (double)v);
        assert_string_equal(got, want);
    }
}

/* ---- locales ------------------------------------------------------------- */

static void numbers_have_points_in_a_comma_locale(void **state) {
    (void)state;
    char text[OC_NUMBER_TEXT_BYTES];
    double v = 0;
    if (!test_set_comma_locale()) skip();
    snprintf(text, sizeof text, "%.1f", 0.5);
    int comma = !strcmp(text, "0,5");
    size_t used = oc__text_read_f64("0.25,7", 6, &v);
    size_t n = oc__text_from_number(OC_DTYPE_F64, 1 / 255., text);
    char score[OC_NUMBER_TEXT_BYTES];
    oc__text_from_score(0.875f, score);
    setlocale(LC_ALL, "C");
    assert_true(comma); /* else this says nothing */
    assert_int_equal(used, 4);
    assert_true(v == 0.25);
    assert_int_equal(n, strlen(text));
    assert_true(strtod(text, NULL) == 1 / 255.);
    assert_string_equal(score, "0.88");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(number_read_is_the_one_strtod_reads),
        cmocka_unit_test(number_read_rounds_ties_as_strtod_does),
        cmocka_unit_test(number_read_whole_takes_white_space_only),
        cmocka_unit_test(number_written_reads_back_and_is_short),
        cmocka_unit_test(score_is_written_as_by_printf),
        cmocka_unit_test(numbers_have_points_in_a_comma_locale),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
