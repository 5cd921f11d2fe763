/*
 * test_report.c - src/train/report*: pages and drawings are well-formed
 * whatever is in them, say what was measured, and need nothing from outside.
 */
#include "testing.h"
#include "tree.h"

#include "base/rng.h"
#include "base/size.h"
#include "train/report_parts.h"

#include <locale.h>
#include <math.h>
#include <stdio.h>

/* Every element is closed in its order; void ones of HTML need not be. */
static void well_formed(const oc_bytes *page) {
    static const char *const voids[] = {"meta", "img", "br", "!DOCTYPE"};
    char open[64][16];
    int depth = 0;
    const char *s = (const char *)page->data, *end = s + page->size;
    while (s < end) {
        if (*s != '<') {
            assert_true(*s != '>' || depth == 0 ||
                        !strcmp(open[depth - 1], "style"));
            s++;
            continue;
        }
        int closing = s[1] == '/', quoted = 0, skip = 0;
        const char *name = s + 1 + closing;
        size_t n = strcspn(name, " />\n");
        assert_true(n > 0 && n < 16);
        for (s = name; *s != '>' || quoted; s++) {
            assert_true(s + 1 < end);
            quoted ^= *s == '"';
            assert_true(*s != '<');
        }
        for (size_t i = 0; i < OC_COUNT(voids); i++)
            skip |= strlen(voids[i]) == n && !strncmp(name, voids[i], n);
        int self = s[-1] == '/';
        s++;
        if (skip || self) continue;
        if (closing) {
            assert_true(depth > 0);
            depth--;
            if (strlen(open[depth]) != n || strncmp(open[depth], name, n))
                fail_msg("</%.*s> closes <%s>", (int)n, name, open[depth]);
        } else {
            assert_true(depth < 64);
            memcpy(open[depth], name, n);
            open[depth++][n] = 0;
        }
    }
    assert_int_equal(depth, 0);
}

static int has(const oc_bytes *page, const char *words) {
    size_t n = strlen(words);
    for (size_t i = 0; i + n <= page->size; i++) {
        if (!memcmp(page->data + i, words, n)) return 1;
    }
    return 0;
}

enum { N = 60, POINTS = 700, MOST = 40 };

static float logits[N * MOST], targets[N * MOST];
static int64_t label[N];
static const char *paths[N], *names[MOST];
static char name_text[MOST][24];
static oc__report_point points[POINTS];

static oc__report make(int classes, int multi) {
    static const oc__report_fact facts[] = {{"Seed", "1 & <2>", "\"why\""},
                                            {"Batch", "32", NULL}};
    oc__rng rng;
    oc__rng_init(&rng, 7);
    for (int i = 0; i < N; i++) {
        label[i] = i % classes;
        paths[i] = "nowhere/<b>.jpg";
        for (int c = 0; c < classes; c++) {
            targets[i * classes + c] = (float)oc__rng_below(&rng, 2);
            logits[i * classes + c] =
                (float)oc__rng_normal(&rng) + 2 * (c == label[i]);
        }
    }
    for (int c = 0; c < classes; c++) {
        snprintf(name_text[c], sizeof name_text[c], "<class %d>", c);
        names[c] = name_text[c];
    }
    for (int i = 0; i < POINTS; i++) {
        int at_end = i % 50 == 49;
        points[i] = (oc__report_point){(i + 1) / 50.0,
                                       exp(-i / 100.0),
                                       1 - exp(-i / 90.0),
                                       at_end ? exp(-i / 120.0) : NAN,
                                       at_end ? 1 - exp(-i / 110.0) : NAN,
                                       0.1 * (1 - i / 700.0),
                                       i * 0.5};
    }
    oc__report r = {.title = "<script>alert(1)</script>",
                    .subtitle = "a \"b\" & c",
                    .multi = multi,
                    .points = points,
                    .n_points = POINTS,
                    .best_epoch = 9,
                    .facts = facts,
                    .n_facts = 2,
                    .command = "ocelli train --data 'a<b'",
                    .classes = names,
                    .n_classes = classes,
                    .n = N,
                    .logits = logits,
                    .label = multi ? NULL : label,
                    .targets = multi ? targets : NULL,
                    .paths = paths,
                    .temperature = multi ? 0 : 1.5};
    return r;
}

static void written(const oc__report *r, oc_bytes *page, oc_bytes *svg) {
    oc_error err;
    if (oc__report_page(page, r, &err) || oc__report_curves(svg, r, &err))
        fail_msg("%s", err.message);
    well_formed(page);
    well_formed(svg);
    /* Nothing from outside, and no names as markup. */
    assert_false(has(page, "<script") || has(svg, "<script"));
    assert_false(has(page, "http://") || has(page, "https://"));
    assert_false(has(page, "nan") || has(svg, "nan"));
    assert_true(has(page, "&lt;script&gt;alert(1)"));
}

static void report_is_well_formed_whatever_is_in_it(void **state) {
    (void)state;
    for (int kind = 0; kind < 6; kind++) {
        oc__report r = make(kind == 3 ? MOST : 4, kind == 1);
        oc_bytes page = {0}, svg = {0};
        if (kind == 2) r.n_points = 0;
        if (kind == 4) r.n = 0, r.running = 1;
        if (kind == 5) {
            r.n_points = 1; /* the first step: nothing measured yet */
            r.n_facts = 0;
            r.subtitle = r.command = NULL;
            r.paths = NULL;
            logits[0] = NAN;
            logits[5] = INFINITY;
        }
        written(&r, &page, &svg);
        assert_int_equal(has(&page, "http-equiv=\"refresh\""), kind == 4);
        assert_int_equal(has(&page, "<h2>Curves"), kind != 2);
        assert_int_equal(has(&page, "class=\"matrix\""),
                         kind == 0 || kind == 2 || kind == 5);
        assert_int_equal(has(&page, "The most frequent of 40"), kind == 3);
        assert_int_equal(has(&page, "Average precision"), kind == 1);
        assert_int_equal(has(&page, "Hardest"), kind != 4 && kind != 5);
        if (kind != 5) assert_true(has(&page, "1 &amp; &lt;2&gt;"));
        oc_bytes_deinit(&page);
        oc_bytes_deinit(&svg);
    }
}

static void report_says_what_was_measured(void **state) {
    (void)state;
    /* 3 of 4 right: a confusion matrix that can be counted by hand */
    static const float z[] = {2, 0, 2, 0, 0, 2, 2, 0};
    static const int64_t y[] = {0, 0, 1, 1};
    static const char *const classes[] = {"ant", "bee"};
    oc__report r = {.title = "t",
                    .classes = classes,
                    .n_classes = 2,
                    .n = 4,
                    .logits = z,
                    .label = y};
    oc_bytes page = {0};
    assert_int_equal(oc__report_page(&page, &r, NULL), OC_OK);
    assert_true(has(&page, "<dt>Accuracy</dt><dd>75.0\xc2\xa0%</dd>"));
    /* bee: precision 1, recall 1/2, F1 2/3; it is the weaker one */
    assert_true(has(&page, "<tbody>\n<tr><th scope=\"row\">bee</th><td>2</td>"
                           "<td>100.0\xc2\xa0%</td><td>50.0\xc2\xa0%</td>"
                           "<td>66.7\xc2\xa0%</td>"));
    assert_true(has(&page, "--v:71\">1</td><td class=\"yes"));
    oc_bytes_deinit(&page);
}

static void report_counts_classes_in_classes(void **state) {
    (void)state;
    /* cat taken for dog: the animal is right; car for dog: nothing is */
    static const float z[] = {0, 2, 0, 0, 2, 0, 0, 2, 0, 0, 0, 2};
    static const int64_t y[] = {0, 1, 2, 2};
    static const char *const classes[] = {"animal/cat", "animal/dog", "car"};
    oc__report r = {.title = "t",
                    .classes = classes,
                    .n_classes = 3,
                    .n = 4,
                    .logits = z,
                    .label = y};
    oc_bytes page = {0};
    assert_int_equal(oc__report_page(&page, &r, NULL), OC_OK);
    assert_true(has(&page, "<dt>Accuracy</dt><dd>50.0\xc2\xa0%</dd>"));
    assert_true(has(&page, "<dt>Parent class</dt><dd>75.0\xc2\xa0%</dd>"));
    oc_bytes_deinit(&page);
}

static void report_shows_mistakes_as_pictures(void **state) {
    (void)state;
    oc__report r = make(4, 0);
    oc_bytes page = {0}, svg = {0};
    tree_picture("wrong.ppm", 300, 200, 5);
    char path[512];
    snprintf(path, sizeof path, "%s", tree_path("wrong.ppm"));
    for (int i = 0; i < N; i++)
        paths[i] = path;
    written(&r, &page, &svg);
    assert_true(has(&page, "alt=\"wrong.ppm\" src=\"data:image/"));
    /* The first thumbnail is a picture of 132 x 132 again. */
    const char *at = strstr((const char *)page.data, ";base64,") + 8;
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrs"
                                 "tuvwxyz0123456789+/";
    size_t n = strcspn(at, "\""), got = 0;
    uint8_t *bytes = malloc(n);
    uint32_t bits = 0;
    for (size_t i = 0; i < n && at[i] != '='; i++) {
        bits = bits << 6 | (uint32_t)(strchr(digits, at[i]) - digits);
        if (i % 4) bytes[got++] = (uint8_t)(bits >> (6 - 2 * (i % 4)));
    }
    oc_image img;
    assert_int_equal(oc_image_load_memory(&img, bytes, got, NULL, NULL), OC_OK);
    assert_int_equal(img.width, 132);
    assert_int_equal(img.height, 132);
    oc_image_deinit(&img);
    free(bytes);
    oc_bytes_deinit(&page);
    oc_bytes_deinit(&svg);
}

static void report_is_the_same_in_any_locale(void **state) {
    (void)state;
    oc__report r = make(4, 0);
    oc_bytes a[2] = {{0}, {0}}, b[2] = {{0}, {0}};
    if (!test_set_comma_locale()) skip();
    written(&r, &a[1], &b[1]);
    setlocale(LC_ALL, "C");
    written(&r, &a[0], &b[0]);
    assert_int_equal(a[0].size, a[1].size);
    assert_memory_equal(a[0].data, a[1].data, a[0].size);
    assert_memory_equal(b[0].data, b[1].data, b[0].size);
    for (int i = 0; i < 2; i++) {
        oc_bytes_deinit(&a[i]);
        oc_bytes_deinit(&b[i]);
    }
}

static void report_releases_all_when_memory_runs_out(void **state) {
    (void)state;
    oc__report r = make(4, 0);
    test_allocator ta;
    for (int64_t n = 0;; n++) {
        oc_error err;
        test_allocator_init(&ta, n);
        oc_bytes page = {.allocator = &ta.base}, svg = page;
        oc_status st = oc__report_page(&page, &r, &err);
        if (!st) st = oc__report_curves(&svg, &r, &err);
        oc_bytes_deinit(&page);
        oc_bytes_deinit(&svg);
        test_allocator_check(&ta);
        if (!ta.failed) {
            assert_int_equal(st, OC_OK);
            break;
        }
        assert_int_equal(st, OC_E_NOMEM);
    }
}

static void numbers_are_written_as_printf_would(void **state) {
    (void)state;
    static const struct {
        double v;
        int decimals;
        const char *text;
    } fixed[] = {{1.25, 1, "1.2"},      {-0.04, 1, "0.0"}, {-3.15, 0, "-3"},
                 {0.0005, 3, "0.000"},  {12, 0, "12"},     {9.999, 2, "10.00"},
                 {0.0625, 3, "0.062"},  {NAN, 2, "-"},     {1e300, 2, "-"},
                 {123.456, 2, "123.46"}};
    static const struct {
        double v;
        const char *text;
    } short_ones[] = {{0, "0"},         {0.00125, "0.00125"}, {12.345, "12.3"},
                      {1234.5, "1234"}, {1.2e-5, "1.2e-05"},  {-2, "-2.00"}};
    for (size_t i = 0; i < OC_COUNT(fixed) + OC_COUNT(short_ones); i++) {
        oc_bytes out = {0};
        oc__page p = {&out, 0};
        const char *want;
        if (i < OC_COUNT(fixed)) {
            oc__page_fixed(&p, fixed[i].v, fixed[i].decimals);
            want = fixed[i].text;
        } else {
            oc__page_number(&p, short_ones[i - OC_COUNT(fixed)].v);
            want = short_ones[i - OC_COUNT(fixed)].text;
        }
        oc__page_bytes(&p, "", 1);
        assert_string_equal((const char *)out.data, want);
        oc_bytes_deinit(&out);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(report_is_well_formed_whatever_is_in_it),
        cmocka_unit_test(report_says_what_was_measured),
        cmocka_unit_test(report_counts_classes_in_classes),
        cmocka_unit_test(report_shows_mistakes_as_pictures),
        cmocka_unit_test(report_is_the_same_in_any_locale),
        cmocka_unit_test(report_releases_all_when_memory_runs_out),
        cmocka_unit_test(numbers_are_written_as_printf_would),
    };
    return cmocka_run_group_tests(tests, tree_make, tree_remove);
}
