/*
 * test_image_formats.c - what each codec does with good, strange and broken
 * files.  That good pictures look right is compared with Pillow elsewhere;
 * here they are our own, and the bytes of the rare variants are spelt out.
 */
#include "testing.h"

#include "pictures.h"

#include <stdio.h>

#define FOR_FORMATS(f)                                                         \
    for (int f = OC_IMAGE_JPEG; f < OC_IMAGE_FORMAT_COUNT; f++)                \
        if (oc_image_format_support((oc_image_format)(f)) == 3)

static oc_bytes encode(const oc_image *img, int format) {
    oc_image_save_options opt = {.format = (oc_image_format)format,
                                 .lossless = 1};
    oc_bytes out;
    oc_error e;
    oc_status st = oc_image_save_memory(&out, img, &opt, &e);
    if (st != OC_OK) fail_msg("%s", e.message);
    return out;
}

/** A copy of exactly n bytes, so that asan sees reads behind them. */
static uint8_t *exact(const void *data, size_t n) {
    uint8_t *p = malloc(n ? n : 1);
    assert_non_null(p);
    if (n) memcpy(p, data, n);
    return p;
}

static oc_status load_exact(oc_image *out, const void *data, size_t n,
                            const oc_image_options *opt, oc_error *err) {
    uint8_t *copy = exact(data, n);
    oc_status st = oc_image_load_memory(out, copy, n, opt, err);
    free(copy);
    return st;
}

/* ---- all formats --------------------------------------------------------- */

static void lossless_formats_give_back_what_they_took(void **state) {
    static const int sizes[][2] = {{1, 1}, {2, 3}, {33, 17}, {130, 7}};
    (void)state;
    FOR_FORMATS(f) {
        if (f == OC_IMAGE_JPEG) continue;
        for (size_t i = 0; i < 4; i++) {
            for (int ch = 1; ch <= 4; ch += ch == 1 ? 2 : 1) {
                oc_image img = picture_noise(sizes[i][0], sizes[i][1], ch, 5);
                oc_bytes b = encode(&img, f);
                oc_image back;
                oc_image_options opt = {.color = ch == 1   ? OC_COLOR_GRAY
                                                 : ch == 3 ? OC_COLOR_RGB
                                                           : OC_COLOR_RGBA};
                oc_image_info info;
                oc_error e;
                assert_int_equal(load_exact(&back, b.data, b.size, &opt, &e),
                                 OC_OK);
                assert_int_equal(picture_worst(&img, &back), 0);
                assert_int_equal(
                    oc_image_probe_memory(&info, b.data, b.size, &e), OC_OK);
                assert_int_equal(info.format, f);
                assert_int_equal(info.width, sizes[i][0]);
                assert_int_equal(info.height, sizes[i][1]);
                oc_image_deinit(&back);
                oc_bytes_deinit(&b);
                oc_image_deinit(&img);
            }
        }
    }
}

static void encoding_is_the_same_for_wider_strides(void **state) {
    oc_image img = picture_make(40, 20, 3), part, tight;
    (void)state;
    assert_int_equal(oc_image_crop(&part, &img, 3, 2, 21, 13, NULL), OC_OK);
    oc_image_convert(&tight, &part, OC_COLOR_RGB, OC_COLOR_RGB, NULL, NULL);
    FOR_FORMATS(f) {
        oc_bytes a = encode(&part, f), b = encode(&tight, f);
        assert_int_equal(a.size, b.size);
        assert_memory_equal(a.data, b.data, a.size);
        oc_bytes_deinit(&a);
        oc_bytes_deinit(&b);
    }
    oc_image_deinit(&tight);
    oc_image_deinit(&img);
}

/** Every shorter file is refused; or, when all that is missing is an end mark
    or padding, gives the same picture. */
static void files_cut_anywhere_are_refused(void **state) {
    (void)state;
    FOR_FORMATS(f) {
        oc_image img = picture_make(19, 11, 3), whole;
        oc_bytes b = encode(&img, f);
        oc_error e;
        assert_int_equal(load_exact(&whole, b.data, b.size, NULL, &e), OC_OK);
        for (size_t n = 0; n < b.size; n++) {
            oc_image out = {.width = 77};
            e.message[0] = 0;
            oc_status st = load_exact(&out, b.data, n, NULL, &e);
            if (st == OC_OK) {
                assert_true(n + 4 >= b.size);
                assert_int_equal(picture_worst(&whole, &out), 0);
                oc_image_deinit(&out);
                continue;
            }
            assert_int_equal(st, OC_E_FORMAT);
            assert_int_equal(out.width, 77);
            assert_true(strlen(e.message) > 10);
        }
        oc_image_deinit(&whole);
        oc_bytes_deinit(&b);
        oc_image_deinit(&img);
    }
}

static void flipped_bits_never_break_anything(void **state) {
    oc_image_options opt = {.max_pixels = 100000};
    (void)state;
    FOR_FORMATS(f) {
        oc_image img = picture_make(19, 11, 3);
        oc_bytes b = encode(&img, f);
        for (size_t bit = 0; bit < b.size * 8 && bit < 6000; bit++) {
            oc_image out;
            oc_error e;
            uint8_t *copy = exact(b.data, b.size);
            copy[bit / 8] ^= (uint8_t)(1 << bit % 8);
            oc_status st = oc_image_load_memory(&out, copy, b.size, &opt, &e);
            if (st == OC_OK) {
                oc_image_deinit(&out);
            } else {
                assert_true(strlen(e.message) > 10);
            }
            free(copy);
        }
        oc_bytes_deinit(&b);
        oc_image_deinit(&img);
    }
}

static void the_pixel_limit_stands_before_any_memory(void **state) {
    test_allocator ta;
    (void)state;
    FOR_FORMATS(f) {
        oc_image img = picture_make(50, 40, 3), out;
        oc_bytes b = encode(&img, f);
        oc_error e;
        test_allocator_init(&ta, TEST_NEVER);
        oc_image_options opt = {.max_pixels = 1999, .allocator = &ta.base};
        assert_int_equal(load_exact(&out, b.data, b.size, &opt, &e),
                         OC_E_LIMIT);
        assert_non_null(strstr(e.message, "50 x 40"));
        assert_int_equal(ta.count, 0);
        opt.max_pixels = 2000;
        assert_int_equal(load_exact(&out, b.data, b.size, &opt, &e), OC_OK);
        oc_image_deinit(&out);
        test_allocator_check(&ta);
        oc_bytes_deinit(&b);
        oc_image_deinit(&img);
    }
}

static void every_failed_allocation_is_reported(void **state) {
    test_allocator ta;
    (void)state;
    FOR_FORMATS(f) {
        oc_image img = picture_make(70, 60, f == OC_IMAGE_BMP ? 1 : 4);
        oc_bytes b = {0};
        for (int64_t n = 0;; n++) {
            test_allocator_init(&ta, n);
            oc_image_save_options opt = {.format = (oc_image_format)f,
                                         .allocator = &ta.base};
            oc_status st = oc_image_save_memory(&b, &img, &opt, NULL);
            if (st == OC_OK) oc_bytes_deinit(&b);
            test_allocator_check(&ta);
            if (!ta.failed) {
                assert_int_equal(st, OC_OK);
                break;
            }
            assert_int_equal(st, OC_E_NOMEM);
        }
        b = encode(&img, f);
        for (int64_t n = 0;; n++) {
            oc_image out;
            test_allocator_init(&ta, n);
            oc_image_options opt = {.color = OC_COLOR_GRAY,
                                    .allocator = &ta.base};
            oc_status st =
                oc_image_load_memory(&out, b.data, b.size, &opt, NULL);
            if (st == OC_OK) oc_image_deinit(&out);
            test_allocator_check(&ta);
            if (!ta.failed) {
                assert_int_equal(st, OC_OK);
                break;
            }
            assert_int_equal(st, OC_E_NOMEM);
        }
        oc_bytes_deinit(&b);
        oc_image_deinit(&img);
    }
}

static void a_palette_gives_back_its_indices(void **state) {
    uint8_t palette[21 * 3];
    oc_image back;
    oc_bytes b;
    oc_error e;
    (void)state;
    if (!oc_image_format_support(OC_IMAGE_PNG)) skip();
    oc_image img = picture_noise(23, 9, 1, 3);
    for (size_t i = 0; i < img.owned_bytes; i++)
        img.pixels[i] %= 21;
    oc_palette_fill(palette, 21);
    oc_image_save_options opt = {
        .format = OC_IMAGE_PNG, .palette = palette, .palette_count = 21};
    assert_int_equal(oc_image_save_memory(&b, &img, &opt, &e), OC_OK);
    oc_image_options index = {.color = OC_COLOR_INDEX};
    assert_int_equal(load_exact(&back, b.data, b.size, &index, &e), OC_OK);
    assert_int_equal(picture_worst(&img, &back), 0);
    oc_image_deinit(&back);
    assert_int_equal(load_exact(&back, b.data, b.size, NULL, &e), OC_OK);
    assert_memory_equal(back.pixels, palette + 3 * img.pixels[0], 3);
    oc_image_deinit(&back);
    oc_bytes_deinit(&b);
    img.pixels[7] = 21; /* no such colour */
    assert_int_equal(oc_image_save_memory(&b, &img, &opt, &e), OC_E_ARG);
    assert_non_null(strstr(e.message, "21"));
    oc_image_deinit(&img);
    /* True colour holds no indices. */
    img = picture_make(4, 4, 3);
    b = encode(&img, OC_IMAGE_PNG);
    assert_int_equal(load_exact(&back, b.data, b.size, &index, &e),
                     OC_E_UNSUPPORTED);
    oc_bytes_deinit(&b);
    oc_image_deinit(&img);
}

/* ---- JPEG ---------------------------------------------------------------- */

/** Puts an APP1 marker behind the start of the file. */
static oc_bytes with_exif(const oc_bytes *jpeg, const uint8_t *exif, size_t n) {
    oc_bytes out = {0};
    out.size = jpeg->size + n + 10;
    out.data = malloc(out.size);
    uint8_t head[12] = {0xFF,
                        0xD8,
                        0xFF,
                        0xE1,
                        (uint8_t)((n + 8) >> 8),
                        (uint8_t)(n + 8),
                        'E',
                        'x',
                        'i',
                        'f',
                        0,
                        0};
    memcpy(out.data, head, 12);
    memcpy(out.data + 12, exif, n);
    memcpy(out.data + 12 + n, jpeg->data + 2, jpeg->size - 2);
    return out;
}

static void jpeg_is_turned_by_exif_of_either_order(void **state) {
    uint8_t little[26] = {'I',  'I', 42, 0, 8, 0, 0, 0, 1,  0,
                          0x12, 1,   3,  0, 1, 0, 0, 0, 99, 0};
    uint8_t big[26] = {'M', 'M',  0, 42, 0, 0, 0, 8, 0, 1,
                       1,   0x12, 0, 3,  0, 0, 0, 1, 0, 99};
    oc_image img, plain;
    (void)state;
    if (!oc_image_format_support(OC_IMAGE_JPEG)) skip();
    img = picture_make(48, 32, 3);
    oc_bytes b = encode(&img, OC_IMAGE_JPEG);
    assert_int_equal(load_exact(&plain, b.data, b.size, NULL, NULL), OC_OK);
    for (int o = 0; o <= 9; o++) {
        for (int order = 0; order < 2; order++) {
            oc_image got, want;
            oc_image_info info;
            int turn = o < 1 || o > 8 ? 1 : o;
            little[18] = big[19] = (uint8_t)o;
            oc_bytes file = with_exif(&b, order ? big : little, 26);
            assert_int_equal(load_exact(&got, file.data, file.size, NULL, NULL),
                             OC_OK);
            assert_int_equal(oc_image_orient(&want, &plain, turn, NULL, NULL),
                             OC_OK);
            assert_int_equal(picture_worst(&want, &got), 0);
            oc_image_deinit(&got);
            oc_image_deinit(&want);
            assert_int_equal(
                oc_image_probe_memory(&info, file.data, file.size, NULL),
                OC_OK);
            assert_int_equal(info.orientation, turn);
            assert_int_equal(info.width, turn >= 5 ? 32 : 48);
            oc_image_options opt = {.ignore_orientation = 1};
            assert_int_equal(load_exact(&got, file.data, file.size, &opt, NULL),
                             OC_OK);
            assert_int_equal(picture_worst(&plain, &got), 0);
            oc_image_deinit(&got);
            free(file.data);
        }
    }
    /* Directories that lie about where and how long they are. */
    static const uint8_t lies[][2] = {{4, 255}, {7, 255}, {8, 255}, {9, 255},
                                      {0, 'X'}, {2, 0},   {14, 9}};
    for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
        uint8_t bent[26];
        oc_image got;
        memcpy(bent, little, 26);
        bent[lies[i][0]] = lies[i][1];
        oc_bytes file = with_exif(&b, bent, 26);
        assert_int_equal(load_exact(&got, file.data, file.size, NULL, NULL),
                         OC_OK);
        oc_image_deinit(&got);
        free(file.data);
    }
    oc_image_deinit(&plain);
    oc_bytes_deinit(&b);
    oc_image_deinit(&img);
}

static void jpeg_is_scaled_to_what_suffices(void **state) {
    static const struct {
        int w, h, either, want_w, want_h;
    } cases[] = {
        {0, 0, 0, 160, 120},     {20, 15, 0, 20, 15}, {21, 15, 0, 40, 30},
        {40, 1, 0, 40, 30},      {41, 0, 0, 80, 60},  {81, 0, 0, 160, 120},
        {999, 999, 0, 160, 120}, {40, 31, 1, 40, 30}, {1, 999, 1, 20, 15},
    };
    (void)state;
    if (!oc_image_format_support(OC_IMAGE_JPEG)) skip();
    oc_image img = picture_make(160, 120, 3);
    oc_bytes b = encode(&img, OC_IMAGE_JPEG);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        oc_image_options opt = {.min_width = cases[i].w,
                                .min_height = cases[i].h,
                                .min_either = cases[i].either};
        oc_image out;
        assert_int_equal(load_exact(&out, b.data, b.size, &opt, NULL), OC_OK);
        assert_int_equal(out.width, cases[i].want_w);
        assert_int_equal(out.height, cases[i].want_h);
        assert_int_equal(out.full_width, 160);
        assert_int_equal(out.full_height, 120);
        oc_image_deinit(&out);
    }
    oc_bytes_deinit(&b);
    oc_image_deinit(&img);
}

/* ---- BMP ----------------------------------------------------------------- */

static void put32(uint8_t *p, uint32_t v) {
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)(v >> 8 * i);
}

/** A file with a header of 40 bytes; extra is masks and palette. */
static size_t bmp(uint8_t *to, uint32_t w, uint32_t h, unsigned bits,
                  uint32_t compression, const void *extra, size_t extra_bytes,
                  const void *body, size_t body_bytes) {
    memset(to, 0, 54);
    memcpy(to, "BM", 2);
    put32(to + 10, (uint32_t)(54 + extra_bytes));
    put32(to + 14, 40);
    put32(to + 18, w);
    put32(to + 22, h);
    to[26] = 1;
    to[28] = (uint8_t)bits;
    put32(to + 30, compression);
    if (extra_bytes) memcpy(to + 54, extra, extra_bytes);
    memcpy(to + 54 + extra_bytes, body, body_bytes);
    return 54 + extra_bytes + body_bytes;
}

static void expect(const uint8_t *file, size_t n, oc_color color, int w, int h,
                   const void *pixels, size_t bytes) {
    oc_image out;
    oc_image_options opt = {.color = color};
    oc_error e = {0};
    oc_status st = load_exact(&out, file, n, &opt, &e);
    if (st != OC_OK) fail_msg("%s", e.message);
    assert_int_equal(out.width, w);
    assert_int_equal(out.height, h);
    assert_int_equal(out.owned_bytes, bytes);
    assert_memory_equal(out.pixels, pixels, bytes);
    oc_image_deinit(&out);
}

static void bmp_reads_indices_of_1_4_and_8_bits(void **state) {
    uint8_t file[2048];
    uint8_t two[8] = {1, 2, 3, 0, 4, 5, 6, 0}; /* b g r 0 */
    uint8_t bits1[8] = {0xA0, 0, 0, 0, 0x40, 0, 0, 0};
    (void)state;
    size_t n = bmp(file, 3, 2, 1, 0, two, 8, bits1, 8);
    expect(file, n, OC_COLOR_INDEX, 3, 2, "\0\1\0\1\0\1", 6);
    static const uint8_t rgb[18] = {3, 2, 1, 6, 5, 4, 3, 2, 1,
                                    6, 5, 4, 3, 2, 1, 6, 5, 4};
    expect(file, n, OC_COLOR_RGB, 3, 2, rgb, 18);
    /* Top-down: the same rows the other way. */
    n = bmp(file, 3, (uint32_t)-2, 1, 0, two, 8, bits1, 8);
    expect(file, n, OC_COLOR_INDEX, 3, 2, "\1\0\1\0\1\0", 6);
    uint8_t sixteen[64] = {0}, bits4[8] = {0x12, 0x30, 0, 0, 0xF0, 0xE0};
    n = bmp(file, 3, 2, 4, 0, sixteen, 64, bits4, 8);
    expect(file, n, OC_COLOR_INDEX, 3, 2, "\xF\0\xE\1\2\3", 6);
    uint8_t many[1024] = {0}, bits8[8] = {7, 8, 9, 0, 250, 251, 252, 0};
    n = bmp(file, 3, 2, 8, 0, many, 1024, bits8, 8);
    expect(file, n, OC_COLOR_INDEX, 3, 2, "\xFA\xFB\xFC\7\10\11", 6);
    /* A short palette: what is beyond it is black. */
    n = bmp(file, 3, 2, 8, 0, two, 8, bits8, 8);
    put32(file + 46, 2);
    expect(file, n, OC_COLOR_INDEX, 3, 2, "\xFA\xFB\xFC\7\10\11", 6);
}

static void bmp_reads_16_24_and_32_bits(void **state) {
    uint8_t file[256];
    (void)state;
    /* 5-5-5: full red, half green; 5-6-5 by masks: full green. */
    uint8_t w16[4] = {0x00, 0x7C, 0x00, 0x02};
    size_t n = bmp(file, 2, 1, 16, 0, NULL, 0, w16, 4);
    expect(file, n, OC_COLOR_RGB, 2, 1, "\xFF\0\0\0\x84\0", 6);
    uint8_t masks[12] = {0, 0xF8, 0, 0, 0xE0, 7, 0, 0, 0x1F, 0, 0, 0};
    uint8_t w565[4] = {0xE0, 0x07, 0x1F, 0x00};
    n = bmp(file, 2, 1, 16, 3, masks, 12, w565, 4);
    expect(file, n, OC_COLOR_RGB, 2, 1, "\0\xFF\0\0\0\xFF", 6);
    uint8_t w24[8] = {1, 2, 3, 4, 5, 6, 0, 0};
    n = bmp(file, 2, 1, 24, 0, NULL, 0, w24, 8);
    expect(file, n, OC_COLOR_RGB, 2, 1, "\3\2\1\6\5\4", 6);
    expect(file, n, OC_COLOR_BGR, 2, 1, "\1\2\3\4\5\6", 6);
    expect(file, n - 2, OC_COLOR_RGB, 2, 1, "\3\2\1\6\5\4", 6);
    uint8_t w32[8] = {1, 2, 3, 77, 4, 5, 6, 88};
    n = bmp(file, 2, 1, 32, 0, NULL, 0, w32, 8);
    expect(file, n, OC_COLOR_KEEP, 2, 1, "\3\2\1\6\5\4", 6);
    /* Masks with alpha, 10 bits of red. */
    uint8_t deep[16] = {0xFF, 3, 0,    0, 0, 0xFC, 0, 0,
                        0,    0, 0xFF, 0, 0, 0,    0, 0xFF};
    uint8_t wide[4] = {0xFF, 0xFF, 9, 200};
    n = bmp(file, 1, 1, 32, 6, deep, 16, wide, 4);
    expect(file, n, OC_COLOR_KEEP, 1, 1, "\xFF\xFF\x09\xC8", 4);
}

static void bmp_reads_runs(void **state) {
    uint8_t file[2048], gray[1024] = {0};
    (void)state;
    for (int i = 0; i < 256; i++)
        gray[4 * i] = gray[4 * i + 1] = gray[4 * i + 2] = (uint8_t)i;
    /* Row 0 (bottom): 2 x 5, then literal 6 7 8 padded; a move over one
       pixel up one row; one 9; end. */
    static const uint8_t rle8[] = {2, 5, 0, 3, 6, 7, 8, 0, 0,
                                   0, 0, 2, 1, 0, 1, 9, 0, 1};
    size_t n = bmp(file, 5, 2, 8, 1, gray, 1024, rle8, sizeof(rle8));
    expect(file, n, OC_COLOR_INDEX, 5, 2, "\0\11\0\0\0\5\5\6\7\10", 10);
    expect(file, n, OC_COLOR_KEEP, 5, 2, "\0\11\0\0\0\5\5\6\7\10", 10);
    static const uint8_t rle4[] = {3, 0x12, 0, 3, 0x45, 0x60, 0, 1};
    n = bmp(file, 6, 1, 4, 2, gray, 64, rle4, sizeof(rle4));
    expect(file, n, OC_COLOR_INDEX, 6, 1, "\1\2\1\4\5\6", 6);
    /* Runs over the end of a row are cut, beyond the last row refused. */
    static const uint8_t over[] = {200, 7, 0, 1};
    n = bmp(file, 3, 1, 8, 1, gray, 1024, over, sizeof(over));
    expect(file, n, OC_COLOR_INDEX, 3, 1, "\7\7\7", 3);
    static const uint8_t beyond[] = {0, 0, 0, 0, 1, 7, 0, 1};
    oc_image out;
    oc_error e;
    n = bmp(file, 3, 1, 8, 1, gray, 1024, beyond, sizeof(beyond));
    assert_int_equal(load_exact(&out, file, n, NULL, &e), OC_E_FORMAT);
}

static void bmp_reads_the_oldest_header(void **state) {
    uint8_t file[64] = {'B', 'M'};
    (void)state;
    put32(file + 10, 26 + 6);
    put32(file + 14, 12);
    file[18] = 2; /* 2 x 1 */
    file[20] = 1;
    file[22] = 1;
    file[24] = 1; /* one bit */
    memcpy(file + 26, "\1\2\3\4\5\6", 6);
    file[32] = 0x40;
    expect(file, 36, OC_COLOR_RGB, 2, 1, "\3\2\1\6\5\4", 6);
}

static void bmp_refuses_lies(void **state) {
    static const struct {
        int at;
        uint32_t value;
        oc_status status;
    } lies[] = {
        {18, 0, OC_E_FORMAT},       {18, 0x80000000u, OC_E_FORMAT},
        {22, 0, OC_E_FORMAT},       {22, 0x80000000u, OC_E_FORMAT},
        {18, 100000, OC_E_LIMIT},   {18, 300, OC_E_FORMAT},
        {10, 5000, OC_E_FORMAT},    {10, 0xFFFFFFFFu, OC_E_FORMAT},
        {14, 13, OC_E_UNSUPPORTED}, {14, 0xFFFFFFFFu, OC_E_UNSUPPORTED},
        {14, 200, OC_E_FORMAT},     {28, 7, OC_E_UNSUPPORTED},
        {30, 1, OC_E_UNSUPPORTED},  {30, 4, OC_E_UNSUPPORTED},
        {30, 99, OC_E_UNSUPPORTED},
    };
    oc_image_options opt = {.max_pixels = 10000};
    (void)state;
    for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
        uint8_t file[128], body[32] = {0};
        oc_image out;
        oc_error e = {0};
        size_t n = bmp(file, 4, 2, 24, 0, NULL, 0, body, 24);
        put32(file + lies[i].at, lies[i].value);
        oc_status st = load_exact(&out, file, n, &opt, &e);
        if (st != lies[i].status)
            fail_msg("lie %zu: %s", i, st ? e.message : "was believed");
    }
}

/* ---- PNM ----------------------------------------------------------------- */

#define EXPECT_PNM(text, color, w, h, pixels)                                  \
    expect((const uint8_t *)(text), sizeof(text) - 1, color, w, h, pixels,     \
           sizeof(pixels) - 1)

static void pnm_reads_all_seven_kinds(void **state) {
    (void)state;
    EXPECT_PNM("P1\n#c\n3 1\n1 0#x\n1", OC_COLOR_GRAY, 3, 1, "\0\xFF\0");
    EXPECT_PNM("P1 3 1 101", OC_COLOR_INDEX, 3, 1, "\1\0\1");
    EXPECT_PNM("P2 2 1 3 0 3", OC_COLOR_GRAY, 2, 1, "\0\xFF");
    EXPECT_PNM("P2 2 1 3 1 3", OC_COLOR_INDEX, 2, 1, "\1\3");
    EXPECT_PNM("P3 1 1 255 1 2 3\n", OC_COLOR_RGB, 1, 1, "\1\2\3");
    EXPECT_PNM("P4 9 1\n\xAA\x80", OC_COLOR_INDEX, 9, 1, "\1\0\1\0\1\0\1\0\1");
    EXPECT_PNM("P5 2 1 255\n\7\10", OC_COLOR_GRAY, 2, 1, "\7\10");
    EXPECT_PNM("P5 2 1 65535\n\xFF\xFF\x80\0", OC_COLOR_GRAY, 2, 1, "\xFF\x80");
    EXPECT_PNM("P6 1 1 255\n\1\2\3", OC_COLOR_RGB, 1, 1, "\1\2\3");
    EXPECT_PNM("P6 1 1 255 #no", OC_COLOR_RGB, 1, 1, "#no");
    EXPECT_PNM("P7\nWIDTH 1\nHEIGHT 1\nDEPTH 4\nMAXVAL 255\nTUPLTYPE "
               "RGB_ALPHA\n# c\nENDHDR\n\1\2\3\4",
               OC_COLOR_KEEP, 1, 1, "\1\2\3\4");
    EXPECT_PNM("P7\nWIDTH 1\nHEIGHT 1\nDEPTH 2\nMAXVAL 255\nENDHDR\n\1\2",
               OC_COLOR_KEEP, 1, 1, "\1\1\1\2");
    EXPECT_PNM("P7\nWIDTH 2\nHEIGHT 1\nDEPTH 1\nMAXVAL 1\nENDHDR\n\1\0",
               OC_COLOR_GRAY, 2, 1, "\xFF\0");
}

static void pnm_refuses_lies(void **state) {
    static const struct {
        const char *text;
        oc_status status;
    } lies[] = {
        {"P5 0 1 255\n", OC_E_FORMAT},
        {"P5 1 1 0\n\1", OC_E_FORMAT},
        {"P5 1 1 65536\n\1", OC_E_FORMAT},
        {"P5 -1 1 255\n\1", OC_E_FORMAT},
        {"P5 99999999999999999999 1 255\n\1", OC_E_FORMAT},
        {"P5 4294967295 4294967295 255\n\1", OC_E_LIMIT},
        {"P5 100 100 255\n\1", OC_E_FORMAT},
        {"P2 100 100 255\n1 2", OC_E_FORMAT},
        {"P2 2 2 255\n1 2 x 4 5 6 7", OC_E_FORMAT},
        {"P1 2 1\n1 2", OC_E_FORMAT},
        {"P5 x", OC_E_FORMAT},
        {"P7\nWIDTH 1\nHEIGHT 1\nDEPTH 9\nMAXVAL 255\nENDHDR\n1234",
         OC_E_UNSUPPORTED},
        {"P7\nHEIGHT 1\nDEPTH 1\nMAXVAL 255\nENDHDR\n1", OC_E_FORMAT},
        {"P7\nENDHDR", OC_E_FORMAT},
        {"P6", OC_E_FORMAT},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
        oc_image out;
        oc_error e = {0};
        oc_status st =
            load_exact(&out, lies[i].text, strlen(lies[i].text), NULL, &e);
        if (st != lies[i].status)
            fail_msg("%s: %s", lies[i].text, st ? e.message : "was believed");
    }
}

/* ---- bombs --------------------------------------------------------------- */

static void headers_of_enormous_pictures_cost_nothing(void **state) {
    /* PNG: 0x7fffffff squared; the checksum is right. */
    static const uint8_t png[] = {
        0x89, 'P',  'N', 'G', 13,  10,   26,   10,   0,    0,    0,
        13,   'I',  'H', 'D', 'R', 0x7F, 0xFF, 0xFF, 0xFF, 0x7F, 0xFF,
        0xFF, 0xFF, 8,   2,   0,   0,    0,    0x7C, 0x69, 0xD2, 0x52};
    /* A bare JPEG header: 65500 x 65500. */
    static const uint8_t jpeg[] = {
        0xFF, 0xD8, 0xFF, 0xC0, 0, 17, 8,    0xFF, 0xDC, 0xFF, 0xDC, 3,  1,
        0x11, 0,    2,    0x11, 0, 3,  0x11, 0,    0xFF, 0xDA, 0,    12, 3,
        1,    0,    2,    0,    3, 0,  0,    63,   0,    0xFF, 0xD9};
    test_allocator ta;
    oc_image out;
    oc_error e;
    (void)state;
    test_allocator_init(&ta, TEST_NEVER);
    oc_image_options opt = {.allocator = &ta.base};
    if (oc_image_format_support(OC_IMAGE_JPEG)) {
        assert_int_equal(load_exact(&out, jpeg, sizeof(jpeg), &opt, &e),
                         OC_E_LIMIT);
        assert_non_null(strstr(e.message, "65500 x 65500"));
    }
    if (oc_image_format_support(OC_IMAGE_PNG))
        assert_int_not_equal(load_exact(&out, png, sizeof(png), &opt, &e),
                             OC_OK);
    assert_int_equal(ta.count, 0);
    test_allocator_check(&ta);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lossless_formats_give_back_what_they_took),
        cmocka_unit_test(encoding_is_the_same_for_wider_strides),
        cmocka_unit_test(files_cut_anywhere_are_refused),
        cmocka_unit_test(flipped_bits_never_break_anything),
        cmocka_unit_test(the_pixel_limit_stands_before_any_memory),
        cmocka_unit_test(every_failed_allocation_is_reported),
        cmocka_unit_test(a_palette_gives_back_its_indices),
        cmocka_unit_test(jpeg_is_turned_by_exif_of_either_order),
        cmocka_unit_test(jpeg_is_scaled_to_what_suffices),
        cmocka_unit_test(bmp_reads_indices_of_1_4_and_8_bits),
        cmocka_unit_test(bmp_reads_16_24_and_32_bits),
        cmocka_unit_test(bmp_reads_runs),
        cmocka_unit_test(bmp_reads_the_oldest_header),
        cmocka_unit_test(bmp_refuses_lies),
        cmocka_unit_test(pnm_reads_all_seven_kinds),
        cmocka_unit_test(pnm_refuses_lies),
        cmocka_unit_test(headers_of_enormous_pictures_cost_nothing),
    };
    return cmocka_run_group_tests_name("image_formats", tests, NULL, NULL);
}
