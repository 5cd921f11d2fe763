/*
 * test_explain.c - src/tasks/explain.c: what is refused, what is drawn, that
 * nothing leaks.  That the maps are right is shown in
 * tests/oracle/test_explain.py.
 */
#include "testing.h"

#include "base/size.h"
#include "pictures.h"

#include <ocelli/vision.h>

#include <math.h>

typedef struct {
    oc_model *model;
    oc_vision *vision;
} rig;

static oc_status rig_init(rig *r, const char *path,
                          const oc_allocator *allocator, oc_error *err) {
    oc_options opt = {.allocator = allocator};
    oc_vision_options how = {.session = {.threads = 1}};
    memset(r, 0, sizeof *r);
    oc_status st = oc_model_load(&r->model, path, &opt, err);
    return st ? st : oc_vision_create(&r->vision, r->model, &how, err);
}

static void rig_deinit(rig *r) {
    oc_vision_destroy(r->vision);
    oc_model_destroy(r->model);
}

static void opened(rig *r, const char *name) {
    oc_error err;
    const char *path = test_shared(name);
    if (!path) skip();
    if (rig_init(r, path, NULL, &err)) fail_msg("%s", err.message);
}

static void refused(oc_vision *v, int index, oc_status status,
                    const char *words) {
    oc_image img = picture_make(40, 30, 3);
    oc_heat heat = {.index = 77};
    oc_error err;
    for (int method = 0; method < 2; method++) {
        assert_int_equal(oc_vision_explain(v, &img, index,
                                           (oc_explain_method)method, &heat,
                                           &err),
                         status);
        if (!strstr(err.message, words)) fail_msg("%s", err.message);
        assert_int_equal(heat.index, 77);
    }
    oc_image_deinit(&img);
}

static void explain_refuses_what_cannot_be_asked(void **state) {
    (void)state;
    rig r;
    opened(&r, "models/mnist.onnx");
    refused(r.vision, 10, OC_E_ARG, "there is no class 10: the model has 10");
    refused(r.vision, -2, OC_E_ARG, "there is no class -2");
    rig_deinit(&r);
    opened(&r, "models/yolox_nano_coco.onnx");
    refused(r.vision, -1, OC_E_UNSUPPORTED, "only classifiers");
    rig_deinit(&r);
}

static void explain_gives_the_same_map_again(void **state) {
    (void)state;
    rig r;
    opened(&r, "models/resnet8_cifar10.onnx");
    oc_image img = picture_make(90, 60, 3), other = picture_make(31, 64, 3);
    for (int method = 0; method < 2; method++) {
        oc_heat a, b, c;
        oc_error err;
        oc_explain_method how = (oc_explain_method)method;
        if (oc_vision_explain(r.vision, &img, -1, how, &a, &err) ||
            oc_vision_explain(r.vision, &other, 3, how, &b, &err) ||
            oc_vision_explain(r.vision, &img, a.index, how, &c, &err))
            fail_msg("%s", err.message);
        assert_int_equal(b.index, 3);
        assert_int_equal(a.width, 8);
        assert_memory_equal(a.values, c.values, 64 * sizeof *a.values);
        assert_true(memcmp(a.values, b.values, 64 * sizeof *a.values) != 0);
        float most = 0;
        for (int i = 0; i < 64; i++) {
            assert_true(a.values[i] >= 0 && a.values[i] <= 1);
            most = fmaxf(most, a.values[i]);
        }
        assert_true(most == 1);
        assert_int_equal(a.picture_width, 90);
        /* a square of the middle, so both sides of the picture are cut */
        assert_true(fabs((a.box[0] + a.box[2]) / 2 - 45) < 1);
        assert_true(fabs((a.box[1] + a.box[3]) / 2 - 30) < 1);
        oc_heat_deinit(&a);
        oc_heat_deinit(&b);
        oc_heat_deinit(&c);
    }
    oc_image_deinit(&img);
    oc_image_deinit(&other);
    rig_deinit(&r);
}

static void heat_is_drawn_where_it_lies(void **state) {
    (void)state;
    static float values[4] = {0, 0, 0, 1};
    oc_heat h = {.width = 2,
                 .height = 2,
                 .values = values,
                 .box = {100, 0, 300, 200},
                 .picture_width = 400,
                 .picture_height = 200};
    oc_error err;
    for (int scale = 1; scale <= 2; scale++) { /* any size of the picture */
        oc_image img, gray = picture_make(4, 4, 1);
        int w = 200 * scale, hgt = 100 * scale;
        assert_int_equal(oc_image_init(&img, w, hgt, 3, NULL, &err), OC_OK);
        memset(img.pixels, 100, img.owned_bytes);
        assert_int_equal(oc_heat_draw(&h, &img, &err), OC_OK);
        const uint8_t *outside = img.pixels + (hgt / 2 * w + w / 8) * 3;
        const uint8_t *cold = img.pixels + (hgt / 8 * w + w * 3 / 8) * 3;
        const uint8_t *hot = img.pixels + (hgt * 15 / 16 * w + w * 11 / 16) * 3;
        assert_true(outside[0] < 60 && outside[0] == outside[1]);
        assert_true(cold[0] < 90);
        assert_true(hot[0] > 150 && hot[2] < 110);
        assert_int_equal(oc_heat_draw(&h, &gray, &err), OC_E_ARG);
        oc_image_deinit(&img);
        oc_image_deinit(&gray);
    }
    h.values = NULL;
    oc_image img = picture_make(4, 4, 3);
    assert_int_equal(oc_heat_draw(&h, &img, &err), OC_E_ARG);
    oc_image_deinit(&img);
}

static void explain_releases_all_when_memory_runs_out(void **state) {
    (void)state;
    const char *path = test_shared("models/mnist.onnx");
    if (!path) skip();
    oc_image img = picture_make(28, 28, 1);
    test_allocator ta;
    for (int64_t n = 0;; n++) {
        oc_heat heat = {0};
        oc_error err;
        rig r;
        test_allocator_init(&ta, n);
        oc_status st = rig_init(&r, path, &ta.base, &err);
        for (int method = 0; method < 2 && !st; method++) {
            st = oc_vision_explain(r.vision, &img, -1,
                                   (oc_explain_method)method, &heat, &err);
            oc_heat_deinit(&heat);
        }
        rig_deinit(&r);
        test_allocator_check(&ta);
        if (!ta.failed) {
            assert_int_equal(st, OC_OK);
            break;
        }
        assert_int_equal(st, OC_E_NOMEM);
    }
    oc_image_deinit(&img);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(explain_refuses_what_cannot_be_asked),
        cmocka_unit_test(explain_gives_the_same_map_again),
        cmocka_unit_test(heat_is_drawn_where_it_lies),
        cmocka_unit_test(explain_releases_all_when_memory_runs_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
