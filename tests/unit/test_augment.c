/*
 * test_augment.c - src/data/augment*: single operations against Pillow
 * (augment_tables.inc, written by tests/oracle/make_augment_tables.py), mixing
 * against its formula, what is drawn against its distribution.
 */
#include "testing.h"

#include "base/sha256.h"
#include "data/augment_op.h"

#include <math.h>
#include <stdio.h>

#include "augment_tables.inc"

enum { W = 61, H = 43 };

static oc_image blank(int width, int height, int channels) {
    oc_image img;
    oc_error err;
    assert_int_equal(oc_image_init(&img, width, height, channels, NULL, &err),
                     OC_OK);
    memset(img.pixels, 0, img.owned_bytes);
    return img;
}

/* The generator of make_augment_tables.py. */
static oc_image noise(int narrow) {
    oc_image img = blank(W, H, 3);
    uint32_t state = 12345;
    for (size_t i = 0; i < img.owned_bytes; i++) {
        state = state * 1664525u + 1013904223u;
        unsigned v = state >> 24;
        img.pixels[i] = (uint8_t)(narrow ? 40 + v % 150 : v);
    }
    return img;
}

/* ---- Pillow ---------------------------------------------------------------
 */

static void swap(oc_image *a, oc_image *b) {
    oc_image t = *a;
    *a = *b;
    *b = t;
}

/* The operation of that name; the result is in *a. */
static void apply(const char *op, oc_image *a, oc_image *b, double amount) {
    float f = (float)amount;
    int n = (int)amount;
    if (!strcmp(op, "brightness")) {
        oc__aug_brightness(a, f);
    } else if (!strcmp(op, "contrast")) {
        oc__aug_contrast(a, f);
    } else if (!strcmp(op, "saturation")) {
        oc__aug_saturation(a, f);
    } else if (!strcmp(op, "sharpness")) {
        oc__aug_sharpness(a, b, f);
    } else if (!strcmp(op, "hue")) {
        oc__aug_hue(a, f);
    } else if (!strcmp(op, "gray")) {
        oc__aug_gray(a);
    } else if (!strcmp(op, "posterize")) {
        oc__aug_posterize(a, n);
    } else if (!strcmp(op, "solarize")) {
        oc__aug_solarize(a, n);
    } else if (!strcmp(op, "autocontrast")) {
        oc__aug_autocontrast(a);
    } else if (!strcmp(op, "equalize")) {
        oc__aug_equalize(a);
    } else if (!strcmp(op, "flip-h") || !strcmp(op, "flip-v")) {
        oc__aug_place(b, a, op[5] == 'h', op[5] == 'v', 0, 0, 0);
        swap(a, b);
    } else if (!strcmp(op, "quarter")) {
        if (n % 2) {
            oc_image_deinit(b);
            *b = blank(H, W, 3);
        }
        oc__aug_place(b, a, 0, 0, n, 0, 0);
        swap(a, b);
    } else {
        fail_msg("no operation %s", op);
    }
}

static void augment_changes_colours_as_pillow_does(void **state) {
    (void)state;
    int wrong = 0;
    for (size_t i = 0; i < OC_COUNT(expected); i++) {
        oc_image a = noise(expected[i].narrow), b = blank(W, H, 3);
        char digest[65];
        apply(expected[i].op, &a, &b, expected[i].amount);
        oc__sha256_hex(a.pixels, a.owned_bytes, digest);
        if (strcmp(digest, expected[i].sha256) != 0) {
            print_error("%s %g of picture %d is not Pillow's\n", expected[i].op,
                        expected[i].amount, expected[i].narrow);
            wrong++;
        }
        oc_image_deinit(&a);
        oc_image_deinit(&b);
    }
    assert_int_equal(wrong, 0);
}

static void check_warp(const double m[6],
                       const int16_t want[WARP_H][WARP_W][3]) {
    oc_image a = blank(WARP_W, WARP_H, 3), b = blank(WARP_W, WARP_H, 3);
    int seen = 0;
    for (int y = 0; y < WARP_H; y++) {
        for (int x = 0; x < WARP_W; x++) {
            uint8_t *p = a.pixels + (y * WARP_W + x) * 3;
            int block = y >= 5 && y < 9 && x >= 6 && x < 12;
            p[0] = (uint8_t)(block ? 250 : x * 12 + y);
            p[1] = (uint8_t)(block ? 10 : 255 - y * 15);
            p[2] = (uint8_t)(block ? 30 : x * x + y * y);
        }
    }
    oc__aug_warp(&b, &a, m);
    for (int y = 0; y < WARP_H; y++) {
        for (int x = 0; x < WARP_W; x++) {
            const uint8_t *p = b.pixels + (y * WARP_W + x) * 3;
            if (want[y][x][0] < 0) continue;
            seen++;
            /* Ours has 8 bits of place, Pillow's more: across a step of 255
               that is half a level each way, and it truncates. */
            for (int c = 0; c < 3; c++) {
                if (abs(p[c] - want[y][x][c]) > 2)
                    fail_msg("pixel %d, %d: %d is not %d", x, y, p[c],
                             want[y][x][c]);
            }
        }
    }
    assert_true(seen > 150);
    oc_image_deinit(&a);
    oc_image_deinit(&b);
}

static void augment_warps_as_pillow_does(void **state) {
    (void)state;
    check_warp(warp_matrix_0, warped_0);
    check_warp(warp_matrix_1, warped_1);
    check_warp(warp_matrix_2, warped_2);
}

static void augment_mirrors_what_comes_in(void **state) {
    (void)state;
    oc_image a = blank(4, 1, 1), b = blank(4, 1, 1);
    for (int i = 0; i < 4; i++)
        a.pixels[i] = (uint8_t)(i + 1);
    oc__aug_place(&b, &a, 0, 0, 0, 2, 0);
    assert_memory_equal(b.pixels, "\2\1\1\2", 4);
    oc__aug_place(&b, &a, 0, 0, 0, -1, 0);
    assert_memory_equal(b.pixels, "\2\3\4\4", 4);
    oc__aug_place(&b, &a, 1, 0, 0, 1, 0); /* flipped first */
    assert_memory_equal(b.pixels, "\4\4\3\2", 4);
    oc_image_deinit(&a);
    oc_image_deinit(&b);
}

/* ---- mixing ---------------------------------------------------------------
 */

enum { ROWS = 5, SIDE = 12, CLASSES = 3, ELEMS = 2 * SIDE * SIDE };

static void fill_batch(float *images, float *targets) {
    memset(targets, 0, ROWS * CLASSES * sizeof *targets);
    for (int r = 0; r < ROWS; r++) {
        targets[r * CLASSES + r % CLASSES] = 1;
        for (int i = 0; i < ELEMS; i++)
            images[r * ELEMS + i] = (float)(r * 100 + i);
    }
}

static void mixup_gives_both_the_share_their_targets_say(void **state) {
    (void)state;
    static float images[ROWS * ELEMS], targets[ROWS * CLASSES];
    oc__mix_shape s = {ROWS, 2, SIDE, SIDE, CLASSES, 0};
    oc__augment a = {.mixup = 0.4};
    oc__rng rng;
    oc__rng_init(&rng, 3);
    fill_batch(images, targets);
    assert_int_equal(oc__aug_mix(images, targets, &s, &a, &rng), 1);
    for (int r = 0; r < ROWS; r++) {
        int k = ROWS - 1 - r;
        double keep = targets[r * CLASSES + r % CLASSES], sum = 0;
        for (int c = 0; c < CLASSES; c++)
            sum += targets[r * CLASSES + c];
        assert_true(fabs(sum - 1) < 1e-6);
        if (r % CLASSES == k % CLASSES) keep = 1; /* 2 with itself */
        for (int i = 0; i < ELEMS; i++) {
            double want = keep * (r * 100 + i) + (1 - keep) * (k * 100 + i);
            assert_true(fabs(images[r * ELEMS + i] - want) < 1e-2);
        }
    }
}

static void check_cutmix(int channels_last) {
    static float images[ROWS * ELEMS], targets[ROWS * CLASSES];
    oc__mix_shape s = {ROWS, 2, SIDE, SIDE, CLASSES, channels_last};
    oc__augment a = {.cutmix = 1};
    int boxes = 0;
    for (uint64_t seed = 0; seed < 20; seed++) {
        oc__rng rng;
        oc__rng_init(&rng, seed);
        fill_batch(images, targets);
        assert_int_equal(oc__aug_mix(images, targets, &s, &a, &rng), 1);
        for (int r = 0; r < 2; r++) { /* their partners are of other classes */
            int k = ROWS - 1 - r, foreign = 0;
            for (int i = 0; i < ELEMS; i++) {
                float v = images[r * ELEMS + i];
                assert_true(v == (float)(r * 100 + i) ||
                            v == (float)(k * 100 + i));
                foreign += v == (float)(k * 100 + i);
            }
            double keep = targets[r * CLASSES + r % CLASSES];
            assert_true(fabs(keep - (1 - (double)foreign / ELEMS)) < 1e-6);
            boxes += foreign > 0;
        }
    }
    assert_true(boxes > 20);
}

static void cutmix_counts_the_pixels_it_exchanged(void **state) {
    (void)state;
    check_cutmix(0);
    check_cutmix(1);
}

static void beta_has_its_mean_and_variance(void **state) {
    (void)state;
    static const double alphas[] = {0.2, 1, 4};
    for (size_t k = 0; k < OC_COUNT(alphas); k++) {
        enum { N = 20000 };
        double sum = 0, square = 0, alpha = alphas[k];
        oc__rng rng;
        oc__rng_init(&rng, k);
        for (int i = 0; i < N; i++) {
            double v = oc__aug_beta(&rng, alpha);
            assert_true(v >= 0 && v <= 1);
            sum += v;
            square += v * v;
        }
        double mean = sum / N, var = square / N - mean * mean;
        double want = 1 / (4 * (2 * alpha + 1));
        assert_true(fabs(mean - 0.5) < 5 * sqrt(want / N));
        assert_true(fabs(var - want) < 0.05 * want);
    }
}

static void erasing_hits_one_rectangle(void **state) {
    (void)state;
    static float row[ELEMS];
    oc__mix_shape s = {1, 2, SIDE, SIDE, 0, 0};
    int hit = 0;
    for (uint64_t seed = 0; seed < 200; seed++) {
        oc__rng rng;
        oc__rng_init(&rng, seed);
        for (int i = 0; i < ELEMS; i++)
            row[i] = 100;
        oc__aug_erase(row, &s, 0.5, &rng);
        int x0 = SIDE, x1 = -1, y0 = SIDE, y1 = -1, n = 0;
        for (int i = 0; i < SIDE * SIDE; i++) {
            assert_int_equal(row[i] == 100, row[SIDE * SIDE + i] == 100);
            if (row[i] == 100) continue;
            x0 = OC_MIN(x0, i % SIDE), x1 = OC_MAX(x1, i % SIDE);
            y0 = OC_MIN(y0, i / SIDE), y1 = OC_MAX(y1, i / SIDE);
            n++;
        }
        hit += n > 0;
        if (n) assert_int_equal(n, (x1 - x0 + 1) * (y1 - y0 + 1));
    }
    assert_in_range(hit, 75, 125);
}

/* ---- a whole picture ------------------------------------------------------
 */

static void crops_are_drawn_as_torchvision_draws_them(void **state) {
    (void)state;
    /* A picture whose levels say where a pixel was: the crop can be read off
       the corners of what comes out. */
    enum { BIG = 200, SMALL = 50, N = 400 };
    oc_image img = blank(BIG, BIG, 3), out = blank(SMALL, SMALL, 3);
    oc__augment a = {.crop_least = 0.25};
    double areas = 0, least = 1, most = 0;
    for (int y = 0; y < BIG; y++) {
        for (int x = 0; x < BIG; x++) {
            img.pixels[(y * BIG + x) * 3] = (uint8_t)x;
            img.pixels[(y * BIG + x) * 3 + 1] = (uint8_t)y;
        }
    }
    for (int i = 0; i < N; i++) {
        oc__rng rng;
        oc__rng_init(&rng, (uint64_t)i);
        assert_int_equal(oc__augment_picture(&out, &img, &a, &rng, NULL, NULL),
                         OC_OK);
        const uint8_t *end = out.pixels + (SMALL * SMALL - 1) * 3;
        double w = (end[0] - out.pixels[0]) * (double)SMALL / (SMALL - 1);
        double h = (end[1] - out.pixels[1]) * (double)SMALL / (SMALL - 1);
        double area = w * h / BIG / BIG, shape = w / h;
        assert_true(shape > 0.72 && shape < 1.39);
        areas += area;
        least = fmin(least, area);
        most = fmax(most, area);
    }
    /* Uniform in 0.25..1, but for boxes that do not fit and are drawn again. */
    assert_true(least > 0.23 && least < 0.3);
    assert_true(most > 0.85 && most < 1.02);
    assert_true(fabs(areas / N - 0.6) < 0.06);
    oc_image_deinit(&img);
    oc_image_deinit(&out);
}

static void augment_does_nothing_when_nothing_is_asked(void **state) {
    (void)state;
    oc_image img = noise(0), out = blank(W, H, 3);
    oc__augment a = {0};
    oc__rng rng;
    oc__rng_init(&rng, 1);
    assert_int_equal(oc__augment_picture(&out, &img, &a, &rng, NULL, NULL),
                     OC_OK);
    assert_memory_equal(out.pixels, img.pixels, img.owned_bytes);
    oc_image_deinit(&img);
    oc_image_deinit(&out);
}

static void augment_survives_every_shape_and_recipe(void **state) {
    (void)state;
    static const int sides[][2] = {{1, 1}, {1, 40}, {40, 1}, {7, 5}, {64, 64}};
    for (int kind = 0; kind < 4; kind++) {
        oc__augment a = oc__augment_preset((oc__picture_kind)kind, 2);
        a.rand_ops = 14;
        a.turn_degrees = 180;
        a.zoom = 0.9;
        a.gray = 0.1;
        a.hue = 0.5;
        for (size_t i = 0; i < OC_COUNT(sides); i++) {
            for (int channels = 1; channels <= 3; channels += 2) {
                oc_image img = blank(sides[i][0], sides[i][1], channels);
                oc_image out = blank(sides[4 - i][1], 3, channels);
                for (uint64_t seed = 0; seed < 30; seed++) {
                    oc__rng rng;
                    oc__rng_init(&rng, seed);
                    assert_int_equal(
                        oc__augment_picture(&out, &img, &a, &rng, NULL, NULL),
                        OC_OK);
                }
                oc_image_deinit(&img);
                oc_image_deinit(&out);
            }
        }
    }
}

static void augment_releases_all_when_memory_runs_out(void **state) {
    (void)state;
    oc_image img = noise(0), out = blank(20, 20, 3);
    oc__augment a = oc__augment_preset(OC_PICTURES_NATURAL, 2);
    test_allocator ta;
    for (int64_t n = 0;; n++) {
        oc__rng rng;
        oc_error err;
        oc__rng_init(&rng, 5);
        test_allocator_init(&ta, n);
        oc_status st =
            oc__augment_picture(&out, &img, &a, &rng, &ta.base, &err);
        test_allocator_check(&ta);
        if (!ta.failed) {
            assert_int_equal(st, OC_OK);
            assert_true(n > 2);
            break;
        }
        assert_int_equal(st, OC_E_NOMEM);
    }
    oc_image_deinit(&img);
    oc_image_deinit(&out);
}

/* ---- text -----------------------------------------------------------------
 */

static void recipes_are_read_back_as_written(void **state) {
    (void)state;
    for (int kind = 0; kind < 4; kind++) {
        for (int strength = 0; strength < 3; strength++) {
            oc__augment a =
                oc__augment_preset((oc__picture_kind)kind, strength);
            oc__augment b = {.hue = 0.3, .rand_ops = 3};
            char text[512], again[512], from_none[520];
            oc_error err;
            oc__augment_describe(&a, text, sizeof text);
            snprintf(from_none, sizeof from_none, "none,%s", text);
            if (oc__augment_parse(&b, from_none, &err))
                fail_msg("%s", err.message);
            oc__augment_describe(&b, again, sizeof again);
            assert_string_equal(text, again);
        }
    }
}

static void wrong_recipes_are_named(void **state) {
    (void)state;
    static const char *const wrong[][2] = {
        {"flip-h=2", "flip-h is a number from 0 to 1"},
        {"tilt=1", "there is no augmentation \"tilt=1\""},
        {"rand-ops=1.5", "rand-ops is a whole number"},
        {"hue=", "hue is a number"},
        {"hue=nan", "hue is a number"},
        {"hue", "hue is a number from 0 to 0.5"},
    };
    for (size_t i = 0; i < OC_COUNT(wrong); i++) {
        oc__augment a = {.flip_v = 0.25};
        oc_error err;
        assert_int_equal(oc__augment_parse(&a, wrong[i][0], &err), OC_E_ARG);
        if (!strstr(err.message, wrong[i][1])) fail_msg("%s", err.message);
        assert_true(a.flip_v == 0.25);
    }
}

static void tiles_are_turned_unless_their_edges_have_a_direction(void **state) {
    (void)state;
    oc__look_at_pictures look = {.kind = OC_PICTURES_TILES, .turned = 2};
    oc__augment a = oc__augment_for(&look, 1);
    assert_true(a.quarter_turns && a.flip_h > 0 && a.flip_v > 0);
    look.turned = 16; /* as of satellites that see the ground aslant */
    a = oc__augment_for(&look, 1);
    assert_true(!a.quarter_turns && a.flip_h > 0 && a.flip_v > 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(augment_changes_colours_as_pillow_does),
        cmocka_unit_test(augment_warps_as_pillow_does),
        cmocka_unit_test(augment_mirrors_what_comes_in),
        cmocka_unit_test(mixup_gives_both_the_share_their_targets_say),
        cmocka_unit_test(cutmix_counts_the_pixels_it_exchanged),
        cmocka_unit_test(beta_has_its_mean_and_variance),
        cmocka_unit_test(erasing_hits_one_rectangle),
        cmocka_unit_test(crops_are_drawn_as_torchvision_draws_them),
        cmocka_unit_test(augment_does_nothing_when_nothing_is_asked),
        cmocka_unit_test(augment_survives_every_shape_and_recipe),
        cmocka_unit_test(augment_releases_all_when_memory_runs_out),
        cmocka_unit_test(recipes_are_read_back_as_written),
        cmocka_unit_test(wrong_recipes_are_named),
        cmocka_unit_test(tiles_are_turned_unless_their_edges_have_a_direction),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
