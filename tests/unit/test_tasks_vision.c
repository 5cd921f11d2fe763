/*
 * test_tasks_vision.c - src/tasks: from a picture into a network and back.
 * The networks are built here and do next to nothing, so that what comes out
 * is known from what went in.
 */
#include "testing.h"

#include "model_build.h"

#include "base/size.h"
#include "card/card.h"

#include <math.h>

static oc_model *load(const pb *bytes, const oc_allocator *a) {
    oc_model *m = NULL;
    oc_error err = {0};
    oc_options opt = {.allocator = a};
    if (oc_model_load_memory(&m, bytes->data, bytes->n, &opt, &err))
        fail_msg("%s", err.message);
    return m;
}

static oc_card *make_card(const char *const *fields, int n) {
    oc_card *card = NULL;
    oc_error err = {0};
    assert_int_equal(oc_card_create(&card, NULL, NULL), OC_OK);
    for (int i = 0; i < n; i += 2) {
        if (oc_card_set(card, fields[i], fields[i + 1], &err))
            fail_msg("%s", err.message);
    }
    return card;
}

/* The picture itself comes out, of one channel. */
static const pb *identity_model(int64_t h, int64_t w) {
    static model_build b;
    const int64_t dims[4] = {1, 1, h, w};
    model_start(&b);
    model_value(&b, MODEL_INPUT, "x", MODEL_F32, 4, dims);
    model_node(&b, "Identity", "x", "y");
    model_value(&b, MODEL_OUTPUT, "y", MODEL_F32, 4, dims);
    return model_finish(&b);
}

/* The same rows whatever the picture is. */
static const pb *rows_model(int64_t h, int64_t w, const float (*rows)[6],
                            int64_t n) {
    static model_build b;
    const int64_t in[4] = {1, 3, h, w}, out[3] = {1, n, 6};
    model_start(&b);
    model_value(&b, MODEL_INPUT, "x", MODEL_F32, 4, in);
    model_constant(&b, "rows", MODEL_F32, 3, out, rows,
                   (size_t)n * sizeof *rows);
    model_node(&b, "Identity", "rows", "y");
    model_value(&b, MODEL_OUTPUT, "y", MODEL_F32, 3, out);
    return model_finish(&b);
}

static oc_image gray(int width, int height, int level) {
    oc_image img;
    assert_int_equal(oc_image_init(&img, width, height, 1, NULL, NULL), OC_OK);
    for (int y = 0; y < height; y++) {
        memset(img.pixels + (size_t)y * img.stride, level, (size_t)width);
    }
    return img;
}

static void bright(oc_image *img, int x1, int y1, int x2, int y2) {
    for (int y = y1; y < y2; y++) {
        memset(img->pixels + (size_t)y * img->stride + x1, 255,
               (size_t)(x2 - x1));
    }
}

/* ---- boxes back to the picture --------------------------------------------
 */

/*
 * Where a picture of w x h lies in a network of W x H, from the words that
 * describe each way: original = (network - offset) / scale.
 */
static void place(const char *how, double w, double h, double W, double H,
                  double crop, double scale[2], double offset[2]) {
    double inside = fmin(W / w, H / h), over = fmax(W / w, H / h) / crop;
    offset[0] = offset[1] = 0;
    if (!strcmp(how, "stretch")) {
        scale[0] = W / w;
        scale[1] = H / h;
    } else if (!strcmp(how, "cover")) { /* the middle is cut out */
        scale[0] = scale[1] = over;
        offset[0] = (W - w * over) / 2;
        offset[1] = (H - h * over) / 2;
    } else { /* all of it, in the middle or at the top left */
        scale[0] = scale[1] = inside;
        if (!strcmp(how, "contain")) {
            offset[0] = (W - w * inside) / 2;
            offset[1] = (H - h * inside) / 2;
        }
    }
}

/* The box is where it should be, or nothing is where it has no area. */
static void check_place(const char *how, int w, int h, double crop,
                        const float *row, const oc_result *r) {
    double scale[2], offset[2], want[4];
    place(how, w, h, 64, 48, crop, scale, offset);
    for (int i = 0; i < 4; i++) {
        double limit = i % 2 ? h : w;
        want[i] = ((double)row[i] - offset[i % 2]) / scale[i % 2];
        want[i] = fmin(fmax(want[i], 0), limit);
    }
    int seen = want[0] < want[2] && want[1] < want[3];
    if (r->object_count != seen)
        fail_msg("%s of %d x %d: %d objects", how, w, h, r->object_count);
    for (int i = 0; seen && i < 4; i++) {
        double got = (double)r->objects[0].box[i];
        /* Sides are rounded to whole pixels of the network. */
        if (!(fabs(got - want[i]) <= 1.01 / scale[i % 2]))
            fail_msg("%s of %d x %d: box[%d] is %g, not %g", how, w, h, i, got,
                     want[i]);
        assert_true(got >= 0 && got <= (i % 2 ? h : w));
    }
}

static void boxes_come_back_to_the_picture(void **state) {
    (void)state;
    static const char *const ways[] = {"stretch", "cover", "contain",
                                       "letterbox"};
    static const int sizes[][2] = {{64, 48},   {100, 75}, {48, 64},
                                   {200, 200}, {31, 77},  {640, 17}};
    static const float rows[1][6] = {{20, 16, 44, 32, 0.9f, 0}};
    oc_model *m = load(rows_model(48, 64, rows, 1), NULL);
    for (size_t k = 0; k < OC_COUNT(ways) * OC_COUNT(sizes) * 2; k++) {
        const char *how = ways[k % 4];
        int w = sizes[k / 4 % 6][0], h = sizes[k / 4 % 6][1];
        const char *crop = k / 24 ? "0.875" : "1";
        const char *const fields[] = {
            "task",  "detect",       "decode.kind", "rows",       "input.size",
            "48x64", "input.resize", how,           "input.crop", crop};
        oc_card *card = make_card(fields, OC_COUNT(fields));
        oc_vision *v = NULL;
        oc_vision_options opt = {.card = card};
        oc_result r;
        oc_image img = gray(w, h, 90);
        assert_int_equal(oc_vision_create(&v, m, &opt, NULL), OC_OK);
        assert_int_equal(oc_vision_run(v, &img, &r, NULL), OC_OK);
        assert_int_equal(r.width, w);
        assert_int_equal(r.height, h);
        check_place(how, w, h, atof(crop), rows[0], &r);
        oc_result_deinit(&r);
        oc_image_deinit(&img);
        oc_vision_destroy(v);
        oc_card_destroy(card);
    }
    oc_model_destroy(m);
}

/* A picture that was decoded smaller: boxes are in pixels of the file. */
static void boxes_are_in_pixels_of_the_file(void **state) {
    (void)state;
    static const float rows[1][6] = {{16, 12, 32, 24, 0.9f, 0}};
    static const char *const fields[] = {"task", "detect",     "decode.kind",
                                         "rows", "input.size", "48x64"};
    oc_model *m = load(rows_model(48, 64, rows, 1), NULL);
    oc_card *card = make_card(fields, OC_COUNT(fields));
    oc_vision *v = NULL;
    oc_vision_options opt = {.card = card};
    oc_result r;
    oc_image img = gray(80, 60, 90);
    img.full_width = 640;
    img.full_height = 480;
    assert_int_equal(oc_vision_create(&v, m, &opt, NULL), OC_OK);
    assert_int_equal(oc_vision_run(v, &img, &r, NULL), OC_OK);
    static const float want[4] = {160, 120, 320, 240};
    assert_int_equal(r.width, 640);
    assert_int_equal(r.object_count, 1);
    for (int i = 0; i < 4; i++) {
        assert_true(fabsf(r.objects[0].box[i] - want[i]) < 1e-3f);
    }
    oc_result_deinit(&r);
    oc_image_deinit(&img);
    oc_vision_destroy(v);
    oc_card_destroy(card);
    oc_model_destroy(m);
}

/* A point at 12, 5 of a network of 16 x 8, and one at -4, 5. */
static void points_come_back_unclipped(void **state) {
    (void)state;
    static model_build b;
    static const int64_t in[4] = {1, 3, 8, 16}, out[4] = {1, 1, 2, 3};
    static const float v[2][3] = {{0.625f, 0.75f, 0.9f}, {1.5f, -0.25f, 0.8f}};
    static const char *const fields[] = {
        "task",       "detect", "decode.kind",  "movenet",
        "input.size", "8x16",   "input.resize", "letterbox"};
    model_start(&b);
    model_value(&b, MODEL_INPUT, "x", MODEL_F32, 4, in);
    model_constant(&b, "v", MODEL_F32, 4, out, v, sizeof v);
    model_node(&b, "Identity", "v", "y");
    model_value(&b, MODEL_OUTPUT, "y", MODEL_F32, 4, out);
    oc_model *m = load(model_finish(&b), NULL);
    oc_card *card = make_card(fields, OC_COUNT(fields));
    oc_vision *v2 = NULL;
    oc_vision_options opt = {.card = card};
    oc_result r;
    oc_image img = gray(64, 32, 90); /* four times as large */
    assert_int_equal(oc_vision_create(&v2, m, &opt, NULL), OC_OK);
    assert_int_equal(oc_vision_run(v2, &img, &r, NULL), OC_OK);
    assert_int_equal(r.object_count, 1);
    assert_int_equal(r.objects[0].keypoint_count, 2);
    const oc_keypoint *p = r.objects[0].keypoints;
    assert_true(p[0].x == 48 && p[0].y == 20 && p[0].score == 0.9f);
    assert_true(p[1].x == -16 && p[1].y == 48);
    assert_true(r.objects[0].box[0] == 0 && r.objects[0].box[3] == 32);
    oc_result_deinit(&r);
    oc_image_deinit(&img);
    oc_vision_destroy(v2);
    oc_card_destroy(card);
    oc_model_destroy(m);
}

/* ---- there and back -------------------------------------------------------
 */

/* Two maps: the picture, and its negative. */
static const pb *two_maps_model(int64_t h, int64_t w) {
    static model_build b;
    static const float one = 1;
    const int64_t in[4] = {1, 1, h, w}, out[4] = {1, 2, h, w}, n = 1;
    model_start(&b);
    model_value(&b, MODEL_INPUT, "x", MODEL_F32, 4, in);
    model_constant(&b, "one", MODEL_F32, 1, &n, &one, sizeof one);
    model_node(&b, "Sub", "one x", "z");
    model_node_int(&b, "Concat", "x z", "y", "axis", 1);
    model_value(&b, MODEL_OUTPUT, "y", MODEL_F32, 4, out);
    return model_finish(&b);
}

/* A cone whose tip is pixel x0, y0: from the ground up, or down. */
static void cone(oc_image *img, int x0, int y0, int up) {
    for (int y = 0; y < img->height; y++) {
        uint8_t *row = img->pixels + (size_t)y * img->stride;
        for (int x = 0; x < img->width; x++) {
            int far = (int)(8 * hypot(x - x0, y - y0));
            if (far < 120) row[x] = (uint8_t)(up ? 250 - far : 10 + far);
        }
    }
}

/*
 * The tips go into the network with the pixels and come back as points with
 * the coordinates: this holds only where both ways agree.
 */
static void points_lie_where_the_pixels_were(void **state) {
    (void)state;
    static const char *const ways[] = {"stretch", "cover", "contain",
                                       "letterbox"};
    static const int sizes[][2] = {{96, 96}, {160, 120}, {100, 150}};
    oc_model *m = load(two_maps_model(64, 64), NULL);
    for (size_t k = 0; k < OC_COUNT(ways) * OC_COUNT(sizes); k++) {
        int w = sizes[k / 4][0], h = sizes[k / 4][1];
        const char *const fields[] = {"task",
                                      "detect",
                                      "decode.kind",
                                      "heatmap",
                                      "input.color",
                                      "gray",
                                      "input.size",
                                      "64x64",
                                      "input.scale",
                                      "0.00392157",
                                      "input.resize",
                                      ways[k % 4],
                                      "input.pad_value",
                                      "130"};
        oc_card *card = make_card(fields, OC_COUNT(fields));
        oc_vision *v = NULL;
        oc_vision_options opt = {.card = card};
        /* Near the middle, so that nothing is cut off. */
        int at[2][2] = {{w * 5 / 12, h * 5 / 12}, {w * 7 / 12, h * 7 / 12}};
        oc_image img = gray(w, h, 130);
        cone(&img, at[0][0], at[0][1], 1);
        cone(&img, at[1][0], at[1][1], 0);
        oc_result r;
        oc_error err = {0};
        assert_int_equal(oc_vision_create(&v, m, &opt, &err), OC_OK);
        assert_int_equal(oc_vision_run(v, &img, &r, &err), OC_OK);
        assert_int_equal(r.object_count, 1);
        double cell = fmax(w, h) / 64.; /* of the network, in the picture */
        for (int i = 0; i < 2; i++) {
            const oc_keypoint *p = &r.objects[0].keypoints[i];
            double dx = (double)p->x - (at[i][0] + 0.5);
            double dy = (double)p->y - (at[i][1] + 0.5);
            if (fabs(dx) > 0.75 * cell || fabs(dy) > 0.75 * cell)
                fail_msg("%s of %d x %d: point %d is off by %g, %g",
                         ways[k % 4], w, h, i, dx, dy);
        }
        oc_result_deinit(&r);
        oc_image_deinit(&img);
        oc_vision_destroy(v);
        oc_card_destroy(card);
    }
    oc_model_destroy(m);
}

/* The mask of a bright rectangle is that rectangle, in original pixels. */
static void masks_lie_where_the_pixels_were(void **state) {
    (void)state;
    static const char *const ways[] = {"stretch", "cover", "contain",
                                       "letterbox"};
    static const int sizes[][2] = {{96, 96}, {160, 120}, {100, 150}, {31, 20}};
    oc_model *m = load(identity_model(64, 64), NULL);
    for (size_t k = 0; k < OC_COUNT(ways) * OC_COUNT(sizes); k++) {
        int w = sizes[k / 4][0], h = sizes[k / 4][1];
        const char *const fields[] = {
            "task",        "segment",    "decode.kind",  "mask",
            "input.color", "gray",       "input.size",   "64x64",
            "input.scale", "0.00392157", "input.resize", ways[k % 4]};
        oc_card *card = make_card(fields, OC_COUNT(fields));
        oc_vision *v = NULL;
        oc_vision_options opt = {.card = card};
        oc_image img = gray(w, h, 0);
        bright(&img, w * 2 / 5, h / 3, w * 2 / 3, h * 3 / 5);
        oc_result r;
        assert_int_equal(oc_vision_create(&v, m, &opt, NULL), OC_OK);
        assert_int_equal(oc_vision_run(v, &img, &r, NULL), OC_OK);
        assert_int_equal(r.mask.width, w);
        assert_int_equal(r.mask.height, h);
        int both = 0, either = 0;
        for (int i = 0; i < w * h; i++) {
            int a =
                r.mask
                    .pixels[(size_t)(i / w) * r.mask.stride + (size_t)(i % w)];
            int b = img.pixels[(size_t)(i / w) * img.stride + (size_t)(i % w)];
            both += a && b;
            either += a || b;
        }
        /* A shift by one cell would leave less. */
        if (both < 0.92 * either)
            fail_msg("%s of %d x %d: overlap %d of %d", ways[k % 4], w, h, both,
                     either);
        oc_result_deinit(&r);
        oc_image_deinit(&img);
        oc_vision_destroy(v);
        oc_card_destroy(card);
    }
    oc_model_destroy(m);
}

/* ---- results on their own -------------------------------------------------
 */

typedef struct vision_case {
    const char *name;
    const char *const *fields;
    int n;
    int rgb; /* the picture has colours */
} vision_case;

static const char *const mask_fields[] = {
    "task", "segment",    "decode.kind", "mask",        "input.color",
    "gray", "input.size", "24x24",       "input.scale", "0.00392157"};
static const char *const image_fields[] = {
    "task", "restore",    "decode.kind", "image",       "input.color",
    "gray", "input.size", "24x24",       "input.scale", "0.00392157"};
static const char *const heatmap_fields[] = {
    "task", "detect",     "decode.kind", "heatmap",     "input.color",
    "gray", "input.size", "24x24",       "input.scale", "0.00392157"};

static const vision_case cases[] = {
    {"guessed", NULL, 0, 0},
    {"mask", mask_fields, OC_COUNT(mask_fields), 0},
    {"restore", image_fields, OC_COUNT(image_fields), 1},
    {"heatmap", heatmap_fields, OC_COUNT(heatmap_fields), 0},
};

/* Loads, looks and forgets all but the result. */
static oc_status look(const vision_case *c, const pb *bytes,
                      const oc_image *img, const oc_allocator *a,
                      oc_result *out, oc_error *err) {
    oc_model *m = NULL;
    oc_vision *v = NULL;
    oc_card *card = c->fields ? make_card(c->fields, c->n) : NULL;
    oc_options how = {.allocator = a};
    oc_vision_options opt = {.card = card, .session = {.threads = 1}};
    oc_status st = oc_model_load_memory(&m, bytes->data, bytes->n, &how, err);
    if (!st) st = oc_vision_create(&v, m, &opt, err);
    if (!st) st = oc_vision_run(v, img, out, err);
    oc_vision_destroy(v);
    oc_model_destroy(m);
    oc_card_destroy(card);
    return st;
}

static oc_image picture_of(const vision_case *c) {
    oc_image img = gray(40, 40, 100), rgb;
    cone(&img, 20, 20, 1);
    if (!c->rgb) return img;
    assert_int_equal(
        oc_image_convert(&rgb, &img, OC_COLOR_GRAY, OC_COLOR_RGB, NULL, NULL),
        OC_OK);
    oc_image_deinit(&img);
    return rgb;
}

static void results_outlive_model_and_vision(void **state) {
    (void)state;
    for (size_t i = 0; i < OC_COUNT(cases); i++) {
        const pb *bytes = identity_model(24, 24);
        oc_image img = picture_of(&cases[i]);
        oc_result r = {0};
        oc_error err = {0};
        test_allocator ta;
        test_allocator_init(&ta, TEST_NEVER);
        if (look(&cases[i], bytes, &img, &ta.base, &r, &err))
            fail_msg("%s: %s", cases[i].name, err.message);
        if (r.task == OC_TASK_SEGMENT)
            assert_int_equal(r.mask.pixels[20 * r.mask.stride + 20], 1);
        if (r.task == OC_TASK_RESTORE) { /* the picture, unchanged */
            assert_int_equal(r.image.width, 40);
            int off = r.image.pixels[20 * r.image.stride + 60] - 250;
            assert_true(off >= -2 && off <= 2);
        }
        assert_true(ta.live > 0); /* it came from the model's allocator */
        oc_result_deinit(&r);
        test_allocator_check(&ta);
        oc_image_deinit(&img);
    }
}

static void vision_survives_each_failing_allocation(void **state) {
    (void)state;
    for (size_t i = 0; i < OC_COUNT(cases); i++) {
        const pb *bytes = identity_model(24, 24);
        oc_image img = picture_of(&cases[i]);
        for (int64_t n = 0;; n++) {
            oc_result r = {0};
            oc_error err = {0};
            test_allocator ta;
            test_allocator_init(&ta, n);
            oc_status st = look(&cases[i], bytes, &img, &ta.base, &r, &err);
            oc_result_deinit(&r);
            test_allocator_check(&ta);
            if (!ta.failed) {
                assert_int_equal(st, OC_OK);
                assert_true(n > 20);
                break;
            }
            if (st != OC_E_NOMEM)
                fail_msg("%s, allocation %d: %d: %s", cases[i].name, (int)n, st,
                         err.message);
            assert_true(err.message[0] != 0);
        }
        oc_image_deinit(&img);
    }
}

static void vision_refuses_options_out_of_range(void **state) {
    (void)state;
    static const double bad[] = {-0.1, 1.1, NAN};
    oc_model *m = load(identity_model(24, 24), NULL);
    oc_card *card = make_card(mask_fields, OC_COUNT(mask_fields));
    for (size_t i = 0; i < OC_COUNT(bad); i++) {
        oc_vision *v = NULL;
        oc_error err = {0};
        oc_vision_options opt = {.card = card, .threshold = bad[i]};
        assert_int_equal(oc_vision_create(&v, m, &opt, &err), OC_E_ARG);
        assert_non_null(strstr(err.message, "threshold"));
        assert_null(v);
    }
    oc_card_destroy(card);
    oc_model_destroy(m);
}

/* Three objects apart from each other: each limit leaves what it says. */
static void limits_change_between_runs(void **state) {
    (void)state;
    static const float rows[3][6] = {{2, 2, 12, 12, 0.9f, 0},
                                     {20, 20, 30, 30, 0.6f, 0},
                                     {40, 30, 50, 40, 0.4f, 0}};
    static const char *const fields[] = {"task", "detect",     "decode.kind",
                                         "rows", "input.size", "48x64"};
    static const struct {
        double threshold;
        int top, want;
    } runs[] = {{0, 0, 3}, {0.5, 0, 2}, {0, 1, 1}, {0.95, 0, 0}, {0, 0, 3}};
    oc_model *m = load(rows_model(48, 64, rows, 3), NULL);
    oc_card *card = make_card(fields, OC_COUNT(fields));
    oc_vision *v = NULL;
    oc_vision_options opt = {.card = card};
    oc_image img = gray(64, 48, 90);
    oc_error err = {0};
    assert_int_equal(oc_vision_create(&v, m, &opt, NULL), OC_OK);
    for (size_t i = 0; i < OC_COUNT(runs); i++) {
        oc_result r;
        assert_int_equal(
            oc_vision_set_limits(v, runs[i].threshold, runs[i].top, NULL),
            OC_OK);
        assert_int_equal(oc_vision_run(v, &img, &r, NULL), OC_OK);
        assert_int_equal(r.object_count, runs[i].want);
        oc_result_deinit(&r);
    }
    assert_int_equal(oc_vision_set_limits(v, 1.5, 0, &err), OC_E_ARG);
    assert_non_null(strstr(err.message, "threshold"));
    oc_image_deinit(&img);
    oc_vision_destroy(v);
    oc_card_destroy(card);
    oc_model_destroy(m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(boxes_come_back_to_the_picture),
        cmocka_unit_test(boxes_are_in_pixels_of_the_file),
        cmocka_unit_test(points_come_back_unclipped),
        cmocka_unit_test(points_lie_where_the_pixels_were),
        cmocka_unit_test(masks_lie_where_the_pixels_were),
        cmocka_unit_test(results_outlive_model_and_vision),
        cmocka_unit_test(vision_survives_each_failing_allocation),
        cmocka_unit_test(vision_refuses_options_out_of_range),
        cmocka_unit_test(limits_change_between_runs),
    };
    return cmocka_run_group_tests_name("tasks_vision", tests, NULL, NULL);
}
