/*
 * test_image_resize.c - the resizer and the way into a tensor: every kernel
 * against the scalar one, memory limits, windows, and boxes mapped back.
 * The numbers themselves are compared with Pillow in tests/oracle.
 */
#include "checkasm.h"

#include "image/levels.h"
#include "image/resize.h"
#include "pictures.h"

#include <math.h>

static const oc_interpolation all[] = {OC_INTERP_BILINEAR, OC_INTERP_NEAREST,
                                       OC_INTERP_AREA, OC_INTERP_BICUBIC,
                                       OC_INTERP_LANCZOS};

static void keep_row(void *user, int y, const uint8_t *row) {
    oc_image *img = user;
    memcpy(img->pixels + (size_t)y * img->stride, row, img->stride);
}

static oc_image resized_on(const oc_image *img, const oc_resize *how,
                           uint32_t cpu) {
    oc_image out;
    oc_error e;
    assert_int_equal(
        oc_image_init(&out, how->width, how->height, img->channels, NULL, &e),
        OC_OK);
    assert_int_equal(
        oc__image_resize_rows_on(img, how, NULL, cpu, keep_row, &out, &e),
        OC_OK);
    return out;
}

/** A picture whose last byte is the last one that may be read. */
static oc_image guarded(int width, int height, int channels) {
    oc_image img = {.width = width,
                    .height = height,
                    .channels = channels,
                    .stride = (size_t)width * (size_t)channels};
    size_t bytes = img.stride * (size_t)height;
    img.pixels = check_alloc(bytes);
    for (size_t i = 0; i < bytes; i++)
        img.pixels[i] = (uint8_t)oc__rng_u32(check_rng());
    return img;
}

static void kernels_agree_with_the_scalar_ones(void **state) {
    static const int sizes[] = {1, 2, 3, 7, 8, 9, 16, 31, 33, 64, 101};
    enum { N = sizeof(sizes) / sizeof(sizes[0]) };
    (void)state;
    if (!(oc_cpu_features() & OC_CPU_AVX2)) skip();
    for (int i = 0; i < 600; i++) {
        int channels = (int[]){1, 3, 4}[i % 3];
        int from_w = sizes[i * 7 % N], from_h = sizes[i * 5 % N];
        oc_resize how = {.width = sizes[i * 3 % N],
                         .height = sizes[i / 3 % N],
                         .interpolation = all[i % 5],
                         .no_antialias = i / 5 % 2};
        oc_image img = guarded(from_w, from_h, channels);
        oc_image a = resized_on(&img, &how, 0);
        oc_image b = resized_on(&img, &how, OC_CPU_AVX2);
        if (picture_worst(&a, &b) != 0)
            fail_msg("%dx%dx%d to %dx%d, filter %d, plain %d", from_w, from_h,
                     channels, how.width, how.height, (int)how.interpolation,
                     how.no_antialias);
        oc_image_deinit(&a);
        oc_image_deinit(&b);
        check_free_all();
    }
}

static void flat_pictures_stay_flat(void **state) {
    (void)state;
    for (int level = 0; level < 256; level += 51) {
        oc_image img = picture_make(37, 29, 3);
        memset(img.pixels, level, img.owned_bytes);
        for (int i = 0; i < 30; i++) {
            oc_resize how = {.width = 1 + i * 7,
                             .height = 90 - i * 3,
                             .interpolation = all[i % 5],
                             .no_antialias = i / 5 % 2};
            oc_image out;
            assert_int_equal(oc_image_resize(&out, &img, &how, NULL), OC_OK);
            for (size_t k = 0; k < out.owned_bytes; k++)
                assert_int_equal(out.pixels[k], level);
            oc_image_deinit(&out);
        }
        oc_image_deinit(&img);
    }
}

static void the_same_size_is_a_copy(void **state) {
    oc_image img = picture_noise(41, 23, 3, 1);
    (void)state;
    for (int i = 0; i < 10; i++) {
        oc_resize how = {.width = 41,
                         .height = 23,
                         .interpolation = all[i % 5],
                         .no_antialias = i / 5};
        oc_image out;
        assert_int_equal(oc_image_resize(&out, &img, &how, NULL), OC_OK);
        assert_int_equal(picture_worst(&img, &out), 0);
        oc_image_deinit(&out);
        /* And a box of whole pixels is a crop. */
        how.width = 11;
        how.height = 5;
        how.box[0] = 7;
        how.box[1] = 3;
        how.box[2] = 18;
        how.box[3] = 8;
        oc_image part;
        oc_image_crop(&part, &img, 7, 3, 11, 5, NULL);
        assert_int_equal(oc_image_resize(&out, &img, &how, NULL), OC_OK);
        assert_int_equal(picture_worst(&part, &out), 0);
        oc_image_deinit(&out);
    }
    oc_image_deinit(&img);
}

static void a_window_is_part_of_the_whole(void **state) {
    oc_image img = picture_noise(50, 40, 3, 2);
    (void)state;
    for (int i = 0; i < 20; i++) {
        oc_resize how = {.width = i < 10 ? 20 : 90,
                         .height = i % 2 ? 17 : 70,
                         .interpolation = all[i % 5]};
        oc__window w = {3, 5, 11, 9};
        oc_image whole, part, out;
        assert_int_equal(oc_image_resize(&whole, &img, &how, NULL), OC_OK);
        oc_image_crop(&part, &whole, w.x, w.y, w.width, w.height, NULL);
        oc_image_init(&out, w.width, w.height, 3, NULL, NULL);
        assert_int_equal(
            oc__image_resize_rows(&img, &how, &w, keep_row, &out, NULL), OC_OK);
        assert_int_equal(picture_worst(&part, &out), 0);
        oc_image_deinit(&whole);
        oc_image_deinit(&out);
    }
    oc_image_deinit(&img);
}

static void resize_refuses_what_makes_no_sense(void **state) {
    oc_image img = picture_make(10, 10, 3), out = {.width = 77};
    double nan_value = NAN;
    oc_resize bad[] = {
        {.width = 0, .height = 5},
        {.width = 5, .height = -1},
        {.width = 1 << 25, .height = 1},
        {.width = 5, .height = 5, .interpolation = (oc_interpolation)9},
        {.width = 5, .height = 5, .box = {-1, 0, 5, 5}},
        {.width = 5, .height = 5, .box = {0, 0, 11, 5}},
        {.width = 5, .height = 5, .box = {3, 0, 3, 5}},
        {.width = 5, .height = 5, .box = {5, 0, 3, 5}},
        {.width = 5, .height = 5, .box = {nan_value, 0, 3, 5}},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(oc_image_resize(&out, &img, &bad[i], NULL), OC_E_ARG);
    assert_int_equal(oc_image_resize(&out, &img, NULL, NULL), OC_E_ARG);
    assert_int_equal(out.width, 77);
    oc_image_deinit(&img);
}

static void resize_reports_every_failed_allocation(void **state) {
    oc_image img = picture_make(60, 50, 3);
    test_allocator ta;
    (void)state;
    for (int i = 0; i < 6; i++) {
        for (int64_t n = 0;; n++) {
            oc_image out = {.width = 77};
            test_allocator_init(&ta, n);
            oc_resize how = {.width = i == 5 ? 60 : 33,
                             .height = i % 2 ? 70 : 11,
                             .interpolation = all[i % 5],
                             .no_antialias = i == 3,
                             .allocator = &ta.base};
            oc_status st = oc_image_resize(&out, &img, &how, NULL);
            if (st == OC_OK) {
                oc_image_deinit(&out);
            } else {
                assert_int_equal(out.width, 77);
            }
            test_allocator_check(&ta);
            if (!ta.failed) {
                assert_int_equal(st, OC_OK);
                break;
            }
            assert_int_equal(st, OC_E_NOMEM);
        }
    }
    oc_image_deinit(&img);
}

static void extreme_shapes_work(void **state) {
    static const int shapes[][4] = {{30000, 1, 1, 1},
                                    {1, 30000, 3, 2},
                                    {1, 1, 500, 400},
                                    {2, 3000, 3000, 1},
                                    {65536, 2, 100, 9}};
    int step = test_is_small() ? 4 : 1;
    (void)state;
    for (int i = 0; i < 5; i++) {
        oc_image img = picture_make(shapes[i][0], shapes[i][1], 3);
        /* Where it takes long each filter with some of the shapes. */
        for (int k = i % step; k < 10; k += step) {
            oc_resize how = {.width = shapes[i][2],
                             .height = shapes[i][3],
                             .interpolation = all[k % 5],
                             .no_antialias = k / 5};
            oc_image out;
            assert_int_equal(oc_image_resize(&out, &img, &how, NULL), OC_OK);
            oc_image_deinit(&out);
        }
        oc_image_deinit(&img);
    }
}

/* ---- tensors ------------------------------------------------------------- */

static void levels_vectors_agree_with_the_table(void **state) {
    (void)state;
#if defined(OC__LEVELS_AVX2)
    if (!(oc_cpu_features() & OC_CPU_AVX2)) skip();
    for (int color = OC_COLOR_RGB; color <= OC_COLOR_GRAY; color++) {
        oc_preprocess p = {.width = 1,
                           .height = 1,
                           .color = (oc_color)color,
                           .scale = 1 / 255.0f,
                           .mean = {0.485f, 0.456f, 0.406f},
                           .std = {0.229f, 0.224f, 0.225f}};
        oc__levels l;
        oc__levels_init(&l, &p);
        for (int step = 1; step <= 4; step += step == 1 ? 2 : 1) {
            if (l.channels == 1 && step != 1) continue;
            for (int n = 1; n < 40; n++) {
                uint8_t *row = check_alloc((size_t)(n * step));
                uint8_t *a[3], *b[3];
                for (int i = 0; i < n * step; i++)
                    row[i] = (uint8_t)oc__rng_u32(check_rng());
                for (int c = 0; c < l.channels; c++) {
                    a[c] = check_alloc((size_t)n * 4);
                    b[c] = check_alloc((size_t)n * 4);
                }
                oc__levels_row_scalar(&l, a, 1, row, step, n);
                oc__levels_row_f32_avx2(&l, b, 1, row, step, n);
                for (int c = 0; c < l.channels; c++)
                    assert_memory_equal(a[c], b[c], (size_t)n * 4);
                check_free_all();
            }
        }
    }
#else
    skip();
#endif
}

static void tensor_fills_exactly_its_room(void **state) {
    oc_image img = picture_make(31, 57, 3);
    (void)state;
    for (int i = 0; i < 4 * 2 * 4; i++) {
        static const oc_dtype types[] = {OC_DTYPE_F32, OC_DTYPE_F16,
                                         OC_DTYPE_U8, OC_DTYPE_I8};
        oc_preprocess p = {.width = 19,
                           .height = 23,
                           .fit = (oc_fit)(i % 4),
                           .layout = (oc_layout)(i / 4 % 2),
                           .dtype = types[i / 8],
                           .pad_value = {1, 2, 3}};
        oc_tensor t = oc_preprocess_shape(&p);
        size_t bytes = oc_tensor_bytes(&t);
        assert_int_equal(bytes, 19 * 23 * 3 * oc_dtype_bytes(types[i / 8]));
        uint8_t *once = check_alloc(bytes), *twice = check_alloc(bytes);
        memset(once, 0xAA, bytes);
        memset(twice, 0x55, bytes);
        oc_error e;
        assert_int_equal(oc_image_to_tensor(&img, &p, once, bytes, NULL, &e),
                         OC_OK);
        assert_int_equal(oc_image_to_tensor(&img, &p, twice, bytes, NULL, &e),
                         OC_OK);
        /* Equal from different starts: every byte was written. */
        assert_memory_equal(once, twice, bytes);
        assert_int_equal(
            oc_image_to_tensor(&img, &p, once, bytes - 1, NULL, &e), OC_E_ARG);
        check_free_all();
    }
    oc_image_deinit(&img);
}

static void transform_brings_boxes_back(void **state) {
    static const int sizes[][2] = {
        {640, 480}, {333, 500}, {1, 700}, {4000, 3}, {224, 224}};
    (void)state;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        for (int fit = 0; fit < 4; fit++) {
            oc_preprocess p = {
                .width = 320, .height = 224, .fit = (oc_fit)fit, .crop = 0.875};
            int w = sizes[i][0], h = sizes[i][1];
            oc_transform t;
            assert_int_equal(oc_preprocess_transform(&t, &p, w, h, NULL),
                             OC_OK);
            float box[8] = {(float)(w * 0.25 * t.scale_x + t.offset_x),
                            (float)(h * 0.25 * t.scale_y + t.offset_y),
                            (float)(w * 0.5 * t.scale_x + t.offset_x),
                            (float)(h * 0.75 * t.scale_y + t.offset_y),
                            -1e6f,
                            -1e6f,
                            1e9f,
                            1e9f};
            float point[6] = {box[0], box[1], 0.5f, box[2], box[3], 0.25f};
            oc_transform_boxes(&t, box, 2);
            assert_true(fabs((double)box[0] - w * 0.25) < 1e-3 * w);
            assert_true(fabs((double)box[3] - h * 0.75) < 1e-3 * h);
            assert_true(box[4] == 0 && box[5] == 0);
            assert_true(box[6] == (float)w && box[7] == (float)h);
            oc_transform_points(&t, point, 2, 3);
            assert_true(fabs((double)point[3] - w * 0.5) < 1e-3 * w);
            assert_true(point[2] == 0.5f && point[5] == 0.25f);
        }
    }
}

static void scaled_decoding_changes_neither_place_nor_boxes(void **state) {
    oc_image img, small;
    oc_image_save_options save = {.format = OC_IMAGE_JPEG, .quality = 95};
    oc_preprocess p = {.width = 64, .height = 64, .fit = OC_FIT_CONTAIN};
    oc_image_options opt = {0};
    oc_transform a, b;
    oc_bytes bytes;
    (void)state;
    if (oc_image_format_support(OC_IMAGE_JPEG) != 3) skip();
    float *one = malloc(64 * 64 * 12), *two = malloc(64 * 64 * 12);
    img = picture_make(640, 480, 3);
    assert_int_equal(oc_image_save_memory(&bytes, &img, &save, NULL), OC_OK);
    oc_image_deinit(&img);
    assert_int_equal(
        oc_image_load_memory(&img, bytes.data, bytes.size, NULL, NULL), OC_OK);
    oc_preprocess_load_options(&p, 2, &opt);
    assert_int_equal(opt.min_either, 1);
    assert_int_equal(
        oc_image_load_memory(&small, bytes.data, bytes.size, &opt, NULL),
        OC_OK);
    assert_int_equal(small.width, 160);
    assert_int_equal(oc_image_to_tensor(&img, &p, one, 64 * 64 * 12, &a, NULL),
                     OC_OK);
    assert_int_equal(
        oc_image_to_tensor(&small, &p, two, 64 * 64 * 12, &b, NULL), OC_OK);
    assert_memory_equal(&a, &b, sizeof(a));
    double sum = 0;
    for (int i = 0; i < 64 * 64 * 3; i++)
        sum += fabs((double)one[i] - (double)two[i]);
    assert_true(sum / (64 * 64 * 3) < 4); /* levels */
    free(one);
    free(two);
    oc_bytes_deinit(&bytes);
    oc_image_deinit(&img);
    oc_image_deinit(&small);
}

static void preprocess_refuses_what_makes_no_sense(void **state) {
    oc_image img = picture_make(10, 10, 3);
    float room[3 * 25];
    oc_preprocess bad[] = {
        {.width = 0, .height = 5},
        {.width = 5, .height = 1 << 20},
        {.width = 5, .height = 5, .dtype = OC_DTYPE_I64},
        {.width = 5, .height = 5, .color = OC_COLOR_RGBA},
        {.width = 5, .height = 5, .fit = (oc_fit)7},
        {.width = 5, .height = 5, .layout = (oc_layout)7},
        {.width = 5, .height = 5, .crop = 1.5},
        {.width = 5, .height = 5, .crop = -1},
        {.width = 5, .height = 5, .crop = NAN},
        {.width = 5, .height = 5, .interpolation = (oc_interpolation)7},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        oc_error e = {0};
        assert_int_equal(
            oc_image_to_tensor(&img, &bad[i], room, sizeof(room), NULL, &e),
            OC_E_ARG);
        assert_true(e.message[0]);
    }
    oc_image_deinit(&img);
}

static void tensor_reports_every_failed_allocation(void **state) {
    oc_image img = picture_make(60, 50, 3);
    uint8_t room[30 * 30];
    test_allocator ta;
    (void)state;
    for (int64_t n = 0;; n++) {
        test_allocator_init(&ta, n);
        oc_preprocess p = {.width = 30,
                           .height = 30,
                           .color = OC_COLOR_GRAY,
                           .dtype = OC_DTYPE_U8,
                           .allocator = &ta.base};
        oc_status st =
            oc_image_to_tensor(&img, &p, room, sizeof(room), NULL, NULL);
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
        cmocka_unit_test(kernels_agree_with_the_scalar_ones),
        cmocka_unit_test(flat_pictures_stay_flat),
        cmocka_unit_test(the_same_size_is_a_copy),
        cmocka_unit_test(a_window_is_part_of_the_whole),
        cmocka_unit_test(resize_refuses_what_makes_no_sense),
        cmocka_unit_test(resize_reports_every_failed_allocation),
        cmocka_unit_test(extreme_shapes_work),
        cmocka_unit_test(levels_vectors_agree_with_the_table),
        cmocka_unit_test(tensor_fills_exactly_its_room),
        cmocka_unit_test(transform_brings_boxes_back),
        cmocka_unit_test(scaled_decoding_changes_neither_place_nor_boxes),
        cmocka_unit_test(preprocess_refuses_what_makes_no_sense),
        cmocka_unit_test(tensor_reports_every_failed_allocation),
    };
    return cmocka_run_group_tests_name("image_resize", tests, NULL, NULL);
}
