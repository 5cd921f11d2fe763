/*
 * test_regex.c - regular expressions: what RE2's documentation says of its
 * syntax, its limits and errors, and failing memory.  Random patterns against
 * Python and RE2 itself: tests/oracle/test_ops_text.py.
 */
#include "testing.h"

#include "base/regex.h"
#include "base/size.h"
#include "base/unicode.h"

/* 1 or 0: whether all of text matches; -1: the pattern is refused. */
static int match(const char *pattern, const char *text) {
    oc__regex *r = NULL;
    if (oc__regex_create(&r, &oc__default_allocator, pattern, strlen(pattern),
                         NULL) != OC_OK)
        return -1;
    void *work = malloc(oc__regex_work_bytes(r));
    int yes = oc__regex_full_match(r, text, strlen(text), work);
    free(work);
    oc__regex_destroy(r);
    return yes;
}

typedef struct sample {
    const char *pattern, *text;
    int want;
} sample;

static void check(const sample *s, size_t n) {
    for (size_t i = 0; i < n; i++) {
        int got = match(s[i].pattern, s[i].text);
        if (got != s[i].want)
            fail_msg("/%s/ on \"%s\": %d, want %d", s[i].pattern, s[i].text,
                     got, s[i].want);
    }
}

/* The rows of RE2's syntax page, one sample or two each. */
static void regex_knows_the_syntax(void **state) {
    (void)state;
    static const sample rows[] = {
        {".", "a", 1},
        {".", "\n", 0},
        {"(?s).", "\n", 1},
        {".", "", 0},
        {"[xyz]", "y", 1},
        {"[^xyz]", "y", 0},
        {"[^xyz]", "\n", 1},
        {"\\d", "7", 1},
        {"\\D", "7", 0},
        {"[[:alpha:]]", "q", 1},
        {"[[:^alpha:]]", "q", 0},
        {"\\pN", "5", 1},
        {"\\PN", "5", 0},
        {"\\p{Greek}", "\xce\xa9", 1},
        {"\\P{Greek}", "\xce\xa9", 0},
        {"\\p{^Greek}", "a", 1},
        {"xy", "xy", 1},
        {"x|y", "y", 1},
        {"x*", "", 1},
        {"x+", "", 0},
        {"x?", "xx", 0},
        {"x{2,3}", "xx", 1},
        {"x{2,3}", "xxxx", 0},
        {"x{2,}", "xxxxx", 1},
        {"x{2}", "xx", 1},
        {"x*?", "xxx", 1},
        {"x{2,3}?", "xxx", 1},
        {"(x)", "x", 1},
        {"(?P<name>x)", "x", 1},
        {"(?<name>x)", "x", 1},
        {"(?:x)", "x", 1},
        {"(?i)x", "X", 1},
        {"(?i:x)y", "Xy", 1},
        {"(?i:x)y", "XY", 0},
        {"(?i)a(?-i)b", "AB", 0},
        {"^x$", "x", 1},
        {"x^y", "xy", 0},
        {"(?m)x$\n^y", "x\ny", 1},
        {"x$\ny", "x\ny", 0},
        {"\\Ax\\z", "x", 1},
        {"x\\b y", "x y", 1},
        {"x\\By", "xy", 1},
        {"x\\by", "xy", 0},
        {"\\a\\f\\t\\n\\r\\v", "\a\f\t\n\r\v", 1},
        {"\\*", "*", 1},
        {"\\123", "S", 1},
        {"\\x7F", "\x7f", 1},
        {"\\x{10FFFF}", "\xf4\x8f\xbf\xbf", 1},
        {"\\Q.*\\E+", ".*", 1},
        {"[\\d]", "1", 1},
        {"[^\\d\\s]", "x", 1},
        {"[\\pN]", "1", 1},
        {"[^\\pN]", "1", 0},
        {"[]a]", "]", 1},
        {"[^]a]", "]", 0},
        {"[a-]", "-", 1},
        {"[[:word:]]+", "a_1", 1},
        {"[[:xdigit:]]+", "fA9", 1},
    };
    check(rows, OC_COUNT(rows));
}

static void regex_folds_case_beyond_ascii(void **state) {
    (void)state;
    static const sample rows[] = {
        {"(?i)\xc3\xa4", "\xc3\x84", 1}, /* a with dots */
        {"(?i)k", "\xe2\x84\xaa", 1},    /* the Kelvin sign */
        {"(?i)[r-t]", "\xc5\xbf", 1},    /* the long s */
        {"(?i)[^k]", "\xe2\x84\xaa", 0}, {"k", "\xe2\x84\xaa", 0},
    };
    check(rows, OC_COUNT(rows));
}

static void regex_refuses_what_re2_refuses(void **state) {
    (void)state;
    static const char *const bad[] = {
        "(",      ")",        "a)",          "[",     "[a",          "[z-a]",
        "a**",    "a{2}{3}",  "*",           "+a",    "?",           "a{1001}",
        "a{3,2}", "\\8",      "\\1",         "(?=a)", "(?<=a)",      "(?!a)",
        "(?<!a)", "(?P=n)",   "(?P<>a)",     "(?z)",  "\\p{NoSuch}", "\\pX",
        "\\",     "[[:no:]]", "\\x{110000}", "\\xz",  "\\y",         "\\C",
        "a\xff",  "(?",
    };
    for (size_t i = 0; i < OC_COUNT(bad); i++)
        if (match(bad[i], "a") != -1) fail_msg("/%s/ is taken", bad[i]);
}

static void regex_says_where_it_is_wrong(void **state) {
    (void)state;
    oc__regex *r = NULL;
    oc_error err;
    assert_int_equal(
        oc__regex_create(&r, &oc__default_allocator, "abc[z-a]", 8, &err),
        OC_E_FORMAT);
    assert_null(r);
    assert_true(err.offset >= 4 && err.offset <= 8);
    assert_non_null(strstr(err.message, "backwards"));
}

/* What would need time or memory without bound is refused, not tried. */
static void regex_has_limits(void **state) {
    (void)state;
    char deep[1024] = "";
    for (int i = 0; i < 300; i++)
        deep[i] = '(';
    assert_int_equal(match(deep, ""), -1);
    assert_int_equal(match("((a{100}){100}){100}", "a"), -1);
    assert_int_equal(match("((((){1000}){1000}){1000}){1000}", ""), -1);
    size_t n = 100000;
    char *longer = malloc(n + 1);
    memset(longer, 'a', n);
    longer[n] = 0;
    assert_int_equal(match(longer, ""), -1);
    free(longer);
    /* At the limit it still works. */
    assert_int_equal(match("a{1000}", "a"), 0);
}

/* Bytes that are no UTF-8 are taken one by one and match no class of real
   characters. */
static void regex_takes_any_bytes_as_text(void **state) {
    (void)state;
    static const sample rows[] = {
        {"..", "\xff\xfe", 1},
        {"[a-z]", "\xff", 0},
        {".", "\xc3", 1},
        {"\\w", "\xe2\x82", 0},
    };
    check(rows, OC_COUNT(rows));
}

static void regex_survives_failing_memory(void **state) {
    (void)state;
    static const char pattern[] = "(?i)(a|[b-k\\pL]{2,5}|\\d+)*\\p{Greek}?x";
    test_allocator ta;
    for (int64_t n = 0;; n++) {
        oc__regex *r = NULL;
        test_allocator_init(&ta, n);
        oc_status st =
            oc__regex_create(&r, &ta.base, pattern, sizeof pattern - 1, NULL);
        oc__regex_destroy(r);
        test_allocator_check(&ta);
        if (!ta.failed) {
            assert_int_equal(st, OC_OK);
            break;
        }
        assert_int_equal(st, OC_E_NOMEM);
        assert_null(r);
    }
}

/* ---- unicode.h -------------------------------------------------------------
 */

static void utf8_round_trips(void **state) {
    (void)state;
    for (uint32_t c = 0; c <= OC_UNICODE_MAX; c += c < 0x3000 ? 1 : 37) {
        char s[4];
        if (c >= 0xd800 && c < 0xe000) continue;
        int n = oc__utf8_put(s, c);
        const char *at = s;
        assert_int_equal(oc__utf8_next(&at, s + n), c);
        assert_ptr_equal(at, s + n);
    }
}

static void utf8_refuses_bad_bytes(void **state) {
    (void)state;
    /* Stray, overlong, surrogate, beyond the end, cut short. */
    static const char *const bad[] = {
        "\x80", "\xc0\x80", "\xe0\x80\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80",
        "\xf8", "\xe2\x82", "\xf0\x9f\x98"};
    for (size_t i = 0; i < OC_COUNT(bad); i++) {
        const char *at = bad[i];
        assert_int_equal(oc__utf8_next(&at, at + strlen(bad[i])),
                         OC_UNICODE_BAD);
        assert_ptr_equal(at, bad[i] + 1);
    }
}

/* Samples of Unicode's own UnicodeData.txt. */
static void unicode_maps_case(void **state) {
    (void)state;
    static const uint32_t pairs[][2] = {
        {'a', 'A'},         {0xe4, 0xc4},     {0x101, 0x100},
        {0x17e, 0x17d},     {0x3b1, 0x391},   {0x43f, 0x41f},
        {0x561, 0x531},     {0x1e01, 0x1e00}, {0x10428, 0x10400},
        {0x1e922, 0x1e900},
    };
    for (size_t i = 0; i < OC_COUNT(pairs); i++) {
        assert_int_equal(oc__unicode_upper(pairs[i][0]), pairs[i][1]);
        assert_int_equal(oc__unicode_lower(pairs[i][1]), pairs[i][0]);
        assert_int_equal(oc__unicode_lower(pairs[i][0]), pairs[i][0]);
    }
    assert_int_equal(oc__unicode_upper('1'), '1');
    assert_int_equal(oc__unicode_upper(0xff), 0x178);
    assert_int_equal(oc__unicode_lower(0x4e00), 0x4e00);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(regex_knows_the_syntax),
        cmocka_unit_test(regex_folds_case_beyond_ascii),
        cmocka_unit_test(regex_refuses_what_re2_refuses),
        cmocka_unit_test(regex_says_where_it_is_wrong),
        cmocka_unit_test(regex_has_limits),
        cmocka_unit_test(regex_takes_any_bytes_as_text),
        cmocka_unit_test(regex_survives_failing_memory),
        cmocka_unit_test(utf8_round_trips),
        cmocka_unit_test(utf8_refuses_bad_bytes),
        cmocka_unit_test(unicode_maps_case),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
