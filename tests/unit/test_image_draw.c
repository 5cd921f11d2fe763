/*
 * test_image_draw.c - drawing stays in the picture whatever it is told, marks
 * what it should, and is the same every time.  Whether it is pleasant to look
 * at is for people.
 */
#include "testing.h"

#include "image/draw.h"
#include "pictures.h"

#include <float.h>
#include <math.h>

static oc_image flat(int width, int height, int channels, int level) {
    oc_image img = picture_make(width, height, channels);
    memset(img.pixels, level, img.owned_bytes);
    return img;
}

static size_t changed(const oc_image *img, int level) {
    size_t n = 0;
    for (size_t i = 0; i < img->owned_bytes; i++)
        n += img->pixels[i] != level;
    return n;
}

static uint32_t color_at(const oc_image *img, int x, int y) {
    const uint8_t *p =
        img->pixels + (size_t)y * img->stride + (size_t)(x * img->channels);
    return (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];
}

/* ---- shapes -------------------------------------------------------------- */

static void box_draws_its_edges_and_nothing_inside(void **state) {
    oc_image img = flat(100, 80, 3, 90);
    float box[4] = {20, 10, 80, 70};
    oc_draw_style style = {.line_px = 4};
    (void)state;
    assert_int_equal(oc_draw_box(&img, box, NULL, 0xFF8000, &style, NULL),
                     OC_OK);
    for (int x = 30; x < 70; x++) {
        assert_int_equal(color_at(&img, x, 10), 0xFF8000);
        assert_int_equal(color_at(&img, x, 69), 0xFF8000);
        assert_int_equal(color_at(&img, x, 40), 0x5A5A5A);
    }
    for (int y = 20; y < 60; y++) {
        assert_int_equal(color_at(&img, 20, y), 0xFF8000);
        assert_int_equal(color_at(&img, 79, y), 0xFF8000);
        assert_int_equal(color_at(&img, 2, y), 0x5A5A5A);
    }
    oc_image_deinit(&img);
}

static void shapes_stay_inside_whatever_the_numbers(void **state) {
    static const float odd[] = {0,         -5,    50,      1e9f,
                                -1e9f,     1e30f, -1e30f,  INFINITY,
                                -INFINITY, NAN,   FLT_MAX, 63.5f};
    enum { N = sizeof(odd) / sizeof(odd[0]) };
    oc_image img = picture_make(64, 48, 4);
    oc_image mask = flat(9, 7, 1, 255);
    uint32_t seed = 1;
    (void)state;
    for (int i = 0; i < 3000; i++) {
        float v[4];
        int bone[2] = {0, i % 5 - 1};
        for (int k = 0; k < 4; k++) {
            seed = seed * 1664525u + 1013904223u;
            v[k] = odd[(seed >> 20) % N];
        }
        float points[6] = {v[0], v[1], 1, v[2], v[3], 1};
        oc_draw_style style = {.line_px = i % 7 == 0 ? 1e9 : 0,
                               .text_px = i % 11 == 0 ? 1e9 : 5,
                               .plain_font = 1};
        assert_int_equal(
            oc_draw_box(&img, v, i % 2 ? "x" : NULL, 7, &style, NULL), OC_OK);
        oc_draw_line(&img, v[0], v[1], v[2], v[3], 7, &style, NULL);
        oc_draw_label(&img, v[0], v[1], "ab", 7, &style, NULL);
        oc_draw_keypoints(&img, points, 2, bone, 1, 0, 7, &style, NULL);
        assert_int_equal(oc_draw_mask(&img, &mask, v, 7, &style, NULL), OC_OK);
    }
    oc_image_deinit(&img);
    oc_image_deinit(&mask);
}

static void nan_draws_nothing(void **state) {
    oc_image img = flat(40, 40, 3, 90);
    float box[4] = {5, NAN, 30, 30}, point[3] = {NAN, 5, 1};
    (void)state;
    oc_draw_box(&img, box, "label", 0, NULL, NULL);
    oc_draw_line(&img, 1, 2, NAN, 4, 0, NULL, NULL);
    oc_draw_label(&img, NAN, 0, "label", 0, NULL, NULL);
    oc_draw_keypoints(&img, point, 1, NULL, 0, 0, 0, NULL, NULL);
    assert_int_equal(changed(&img, 90), 0);
    oc_image_deinit(&img);
}

static void keypoints_leave_out_low_scores(void **state) {
    oc_image img = flat(60, 60, 3, 90);
    float points[9] = {10, 10, 0.9f, 50, 50, 0.1f, 10, 50, 0.9f};
    int bones[4] = {0, 1, 0, 2};
    (void)state;
    assert_int_equal(oc_draw_keypoints(&img, points, 3, bones, 2, 0.5f,
                                       0xFF0000, NULL, NULL),
                     OC_OK);
    assert_int_equal(color_at(&img, 10, 30), 0xFF0000); /* bone 0-2 */
    assert_int_equal(color_at(&img, 50, 50), 0x5A5A5A);
    assert_int_equal(color_at(&img, 30, 30), 0x5A5A5A); /* no bone 0-1 */
    oc_image_deinit(&img);
}

static void gray_pictures_are_refused(void **state) {
    oc_image img = flat(10, 10, 1, 0);
    float box[4] = {0, 0, 5, 5};
    oc_error e;
    (void)state;
    assert_int_equal(oc_draw_box(&img, box, NULL, 0, NULL, &e), OC_E_ARG);
    assert_non_null(strstr(e.message, "rgb"));
    oc_image_deinit(&img);
}

/* ---- masks --------------------------------------------------------------- */

static void mask_colours_its_box(void **state) {
    oc_image img = flat(60, 40, 3, 100), mask = flat(10, 10, 1, 255);
    float box[4] = {20, 10, 40, 30};
    oc_draw_style style = {.opacity = 0.5};
    (void)state;
    assert_int_equal(oc_draw_mask(&img, &mask, box, 0xC80000, &style, NULL),
                     OC_OK);
    assert_int_equal(color_at(&img, 30, 20), 0x963232);
    assert_int_equal(color_at(&img, 19, 20), 0x646464);
    assert_int_equal(color_at(&img, 40, 20), 0x646464);
    /* Half outside: the part that is seen. */
    float half[4] = {-20, -20, 20, 20};
    assert_int_equal(oc_draw_mask(&img, &mask, half, 0xC80000, &style, NULL),
                     OC_OK);
    assert_int_equal(color_at(&img, 2, 2), 0x963232);
    oc_image_deinit(&img);
    oc_image_deinit(&mask);
}

static void classes_leave_the_background(void **state) {
    oc_image img = flat(64, 64, 3, 100), map = flat(8, 8, 1, 0);
    (void)state;
    for (int y = 0; y < 8; y++)
        memset(map.pixels + y * 8 + 4, 3, 4);
    assert_int_equal(oc_draw_classes(&img, &map, 0, NULL, NULL), OC_OK);
    assert_int_equal(color_at(&img, 10, 10), 0x646464);
    assert_int_not_equal(color_at(&img, 50, 10), 0x646464);
    assert_int_equal(color_at(&img, 50, 10), color_at(&img, 60, 60));
    oc_image_deinit(&img);
    oc_image_deinit(&map);
}

/* ---- colours and text ---------------------------------------------------- */

static void palette_colours_are_apart(void **state) {
    uint8_t table[256 * 3];
    (void)state;
    for (int i = 0; i < 80; i++) {
        for (int j = 0; j < i; j++) {
            uint32_t a = oc_palette_color(i), b = oc_palette_color(j);
            int d = 0;
            for (int s = 0; s <= 16; s += 8)
                d += abs((int)(a >> s & 255) - (int)(b >> s & 255));
            if (d < 12) fail_msg("%d %06x and %d %06x", i, a, j, b);
        }
    }
    oc_palette_fill(table, 256);
    assert_memory_equal(table, "\0\0\0", 3);
    assert_int_equal(table[3] << 16 | table[4] << 8 | table[5],
                     oc_palette_color(1));
    oc_palette_color(-5); /* any number has a colour */
}

static void labels_are_read_against_their_chip(void **state) {
    (void)state;
    for (int i = 0; i < 100; i++) {
        uint32_t chip = oc_palette_color(i), ink = oc__draw_contrast(chip);
        double light[2];
        for (int k = 0; k < 2; k++) {
            uint32_t c = k ? ink : chip;
            double part[3];
            for (int s = 0; s < 3; s++)
                part[s] = pow((c >> (16 - 8 * s) & 255) / 255.0, 2.2);
            light[k] = 0.2126 * part[0] + 0.7152 * part[1] + 0.0722 * part[2];
        }
        double high = fmax(light[0], light[1]), low = fmin(light[0], light[1]);
        /* What WCAG asks for normal text is 4.5. */
        if ((high + 0.05) / (low + 0.05) < 4.4)
            fail_msg("colour %d: contrast %.2f", i,
                     (high + 0.05) / (low + 0.05));
    }
}

static void the_built_in_font_has_every_letter(void **state) {
    oc_image seen[95];
    (void)state;
    for (int c = 32; c < 127; c++) {
        char text[2] = {(char)c, 0};
        oc_image *ink = &seen[c - 32];
        assert_int_equal(oc__text_render(ink, text, 22, 1, 100, NULL, NULL),
                         OC_OK);
        if (c == ' ') {
            assert_int_equal(changed(ink, 0), 0);
        } else {
            assert_true(changed(ink, 0) > 5);
        }
        /* No two look the same. */
        for (int d = 0; d < c - 32; d++)
            assert_int_not_equal(picture_worst(ink, &seen[d]), 0);
        /* Ink ends inside the picture: nothing is cut off. */
        for (int y = 0; y < ink->height; y++) {
            assert_in_range(ink->pixels[(size_t)y * ink->stride], 0, 20);
            assert_in_range(ink->pixels[(size_t)(y + 1) * ink->stride - 1], 0,
                            20);
        }
    }
    for (int i = 0; i < 95; i++)
        oc_image_deinit(&seen[i]);
}

static void any_bytes_are_a_label(void **state) {
    oc_image img = picture_make(120, 60, 3);
    char text[1200];
    uint32_t seed = 3;
    (void)state;
    for (int i = 0; i < 400; i++) {
        size_t n = (size_t)(i * 3);
        for (size_t k = 0; k < n; k++) {
            seed = seed * 1664525u + 1013904223u;
            text[k] = (char)(1 + (seed >> 24) % 255);
        }
        text[n] = 0;
        oc_draw_style style = {.plain_font = i % 2};
        float w, h;
        assert_int_equal(oc_draw_label(&img, 3, 3, text, 0, &style, NULL),
                         OC_OK);
        assert_int_equal(oc_draw_label_size(&img, text, &style, &w, &h, NULL),
                         OC_OK);
        assert_true(w >= 0 && h > 0);
    }
    oc_image_deinit(&img);
}

static void failed_allocations_are_reported(void **state) {
    oc_image img = picture_make(64, 64, 3), mask = flat(9, 9, 1, 200);
    float box[4] = {10, 10, 50, 50};
    test_allocator ta;
    (void)state;
    for (int64_t n = 0;; n++) {
        test_allocator_init(&ta, n);
        oc_draw_style style = {.plain_font = 1, .allocator = &ta.base};
        oc_status st = oc_draw_mask(&img, &mask, box, 9, &style, NULL);
        if (st == OC_OK) st = oc_draw_box(&img, box, "x", 9, &style, NULL);
        test_allocator_check(&ta);
        if (!ta.failed) {
            assert_int_equal(st, OC_OK);
            break;
        }
        assert_int_equal(st, OC_E_NOMEM);
    }
    oc_image_deinit(&img);
    oc_image_deinit(&mask);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(box_draws_its_edges_and_nothing_inside),
        cmocka_unit_test(shapes_stay_inside_whatever_the_numbers),
        cmocka_unit_test(nan_draws_nothing),
        cmocka_unit_test(keypoints_leave_out_low_scores),
        cmocka_unit_test(gray_pictures_are_refused),
        cmocka_unit_test(mask_colours_its_box),
        cmocka_unit_test(classes_leave_the_background),
        cmocka_unit_test(palette_colours_are_apart),
        cmocka_unit_test(labels_are_read_against_their_chip),
        cmocka_unit_test(the_built_in_font_has_every_letter),
        cmocka_unit_test(any_bytes_are_a_label),
        cmocka_unit_test(failed_allocations_are_reported),
    };
    return cmocka_run_group_tests_name("image_draw", tests, NULL, NULL);
}
