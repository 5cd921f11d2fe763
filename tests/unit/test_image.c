/* test_image.c - pictures as structs: files, limits, colours, turning. */
#define _XOPEN_SOURCE 700 /* mkdtemp */
#include "testing.h"

#include "pictures.h"

#include <dirent.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- structs ------------------------------------------------------------- */

static void init_refuses_what_is_no_picture(void **state) {
    static const int bad[][3] = {{0, 1, 3},  {1, 0, 3},      {-1, 1, 3},
                                 {1, 1, 2},  {1, 1, 0},      {1, 1, 5},
                                 {1, -9, 1}, {1 << 25, 1, 1}};
    oc_error e;
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        oc_image img = {.width = 77};
        assert_int_equal(
            oc_image_init(&img, bad[i][0], bad[i][1], bad[i][2], NULL, &e),
            OC_E_ARG);
        assert_int_equal(img.width, 77); /* untouched */
        assert_true(e.message[0]);
    }
    oc_image_deinit(NULL);
}

static void crop_borrows_inside_only(void **state) {
    oc_image img = picture_make(20, 10, 3), part;
    (void)state;
    assert_int_equal(oc_image_crop(&part, &img, 5, 2, 15, 8, NULL), OC_OK);
    assert_ptr_equal(part.pixels, img.pixels + 2 * img.stride + 15);
    assert_null(part.owned);
    assert_int_equal(oc_image_crop(&part, &img, 5, 2, 16, 8, NULL), OC_E_ARG);
    assert_int_equal(oc_image_crop(&part, &img, -1, 0, 2, 2, NULL), OC_E_ARG);
    assert_int_equal(oc_image_crop(&part, &img, 0, 0, 0, 2, NULL), OC_E_ARG);
    assert_int_equal(oc_image_crop(&part, &img, 0, 9, 2, 2, NULL), OC_E_ARG);
    oc_image_deinit(&part); /* frees nothing */
    assert_int_equal(img.pixels[0], 0);
    oc_image_deinit(&img);
}

static void broken_pictures_are_refused_everywhere(void **state) {
    uint8_t pixel[4] = {0};
    oc_image bad[4] = {
        {0},
        {.width = 1, .height = 1, .channels = 3, .stride = 3},
        {.width = 2, .height = 1, .channels = 3, .stride = 5, .pixels = pixel},
        {.width = 1, .height = 1, .channels = 2, .stride = 2, .pixels = pixel}};
    oc_image out;
    oc_resize how = {.width = 1, .height = 1};
    oc_image_save_options save = {.format = OC_IMAGE_BMP};
    oc_preprocess p = {.width = 1, .height = 1};
    oc_bytes bytes;
    float tensor[3];
    (void)state;
    for (int i = 0; i < 4; i++) {
        const oc_image *b = &bad[i];
        assert_int_equal(oc_image_resize(&out, b, &how, NULL), OC_E_ARG);
        assert_int_equal(oc_image_save_memory(&bytes, b, &save, NULL),
                         OC_E_ARG);
        assert_int_equal(oc_image_orient(&out, b, 2, NULL, NULL), OC_E_ARG);
        assert_int_equal(
            oc_image_convert(&out, b, OC_COLOR_RGB, OC_COLOR_GRAY, NULL, NULL),
            OC_E_ARG);
        assert_int_equal(
            oc_image_to_tensor(b, &p, tensor, sizeof(tensor), NULL, NULL),
            OC_E_ARG);
        assert_int_equal(oc_draw_line(&bad[i], 0, 0, 1, 1, 0, NULL, NULL),
                         OC_E_ARG);
    }
}

/* ---- colours ------------------------------------------------------------- */

static void convert_goes_every_documented_way(void **state) {
    static const oc_color plain[4] = {OC_COLOR_RGB, OC_COLOR_BGR, OC_COLOR_GRAY,
                                      OC_COLOR_RGBA};
    static const int channels[4] = {3, 3, 1, 4};
    (void)state;
    for (int i = 0; i < 4; i++) {
        oc_image img = picture_make(9, 5, channels[i]);
        for (int j = 0; j < 4; j++) {
            oc_image there, back;
            assert_int_equal(
                oc_image_convert(&there, &img, plain[i], plain[j], NULL, NULL),
                OC_OK);
            assert_int_equal(there.channels, channels[j]);
            assert_int_equal(
                oc_image_convert(&back, &there, plain[j], plain[i], NULL, NULL),
                OC_OK);
            /* All is kept but colour in gray and alpha elsewhere. */
            if (plain[j] != OC_COLOR_GRAY && plain[i] != OC_COLOR_RGBA)
                assert_int_equal(picture_worst(&img, &back), 0);
            if (plain[j] == OC_COLOR_RGBA && plain[i] != OC_COLOR_RGBA)
                assert_int_equal(there.pixels[3], 255);
            oc_image_deinit(&there);
            oc_image_deinit(&back);
        }
        oc_image out;
        assert_int_equal(
            oc_image_convert(&out, &img, plain[i], OC_COLOR_KEEP, NULL, NULL),
            OC_E_ARG);
        oc_image_deinit(&img);
    }
}

static void orient_undoes_itself(void **state) {
    static const int inverse[9] = {0, 1, 2, 3, 4, 5, 8, 7, 6};
    oc_image img = picture_make(70, 45, 3);
    (void)state;
    for (int o = 1; o <= 8; o++) {
        oc_image there, back;
        assert_int_equal(oc_image_orient(&there, &img, o, NULL, NULL), OC_OK);
        assert_int_equal(there.width, o >= 5 ? 45 : 70);
        assert_int_equal(oc_image_orient(&back, &there, inverse[o], NULL, NULL),
                         OC_OK);
        assert_int_equal(picture_worst(&img, &back), 0);
        oc_image_deinit(&there);
        oc_image_deinit(&back);
    }
    oc_image out;
    assert_int_equal(oc_image_orient(&out, &img, 0, NULL, NULL), OC_E_ARG);
    assert_int_equal(oc_image_orient(&out, &img, 9, NULL, NULL), OC_E_ARG);
    oc_image_deinit(&img);
}

/* ---- files --------------------------------------------------------------- */

static char folder[64];

static int make_folder(void **state) {
    (void)state;
    strcpy(folder, "/tmp/ocelli-test-XXXXXX");
    return mkdtemp(folder) ? 0 : 1;
}

static const char *in_folder(const char *name) {
    static char path[2][512];
    static int turn;
    turn = !turn;
    snprintf(path[turn], sizeof(path[turn]), "%s/%s", folder, name);
    return path[turn];
}

static int count_files(void) {
    DIR *d = opendir(folder);
    int n = 0;
    assert_non_null(d);
    for (struct dirent *e = readdir(d); e; e = readdir(d))
        n += e->d_name[0] != '.';
    closedir(d);
    return n;
}

static int remove_folder(void **state) {
    (void)state;
    DIR *d = opendir(folder);
    for (struct dirent *e = d ? readdir(d) : NULL; e; e = readdir(d))
        if (e->d_name[0] != '.') unlink(in_folder(e->d_name));
    if (d) closedir(d);
    return rmdir(folder);
}

static void save_and_load_go_by_the_ending(void **state) {
    oc_image img = picture_make(31, 17, 3), back;
    oc_error e;
    (void)state;
    assert_int_equal(oc_image_save(&img, in_folder("a.BMP"), NULL, &e), OC_OK);
    assert_int_equal(oc_image_load(&back, in_folder("a.BMP"), NULL, &e), OC_OK);
    assert_int_equal(picture_worst(&img, &back), 0);
    assert_int_equal(back.full_width, 31);
    oc_image_deinit(&back);
    assert_int_equal(oc_image_save(&img, in_folder("a.txt"), NULL, &e),
                     OC_E_ARG);
    assert_non_null(strstr(e.message, "a.txt"));
    assert_int_equal(oc_image_save(&img, in_folder("a"), NULL, &e), OC_E_ARG);
    assert_int_equal(oc_image_save(&img, in_folder("x/a.bmp"), NULL, &e),
                     OC_E_IO);
    assert_int_equal(oc_image_load(&back, in_folder("none.png"), NULL, &e),
                     OC_E_IO);
    assert_non_null(strstr(e.message, "none.png"));
    assert_int_equal(oc_image_load(&back, folder, NULL, &e), OC_E_IO);
    oc_image_deinit(&img);
}

static void save_keeps_the_old_file_when_it_fails(void **state) {
    oc_image small = picture_make(5, 5, 3), large = picture_make(200, 200, 3);
    oc_image back;
    oc_error e;
    struct rlimit old, tight;
    (void)state;
    const char *path = in_folder("kept.bmp");
    assert_int_equal(oc_image_save(&small, path, NULL, &e), OC_OK);
    int files = count_files();
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &old);
    tight = old;
    tight.rlim_cur = 1000;
    setrlimit(RLIMIT_FSIZE, &tight);
    oc_status st = oc_image_save(&large, path, NULL, &e);
    setrlimit(RLIMIT_FSIZE, &old);
    assert_int_equal(st, OC_E_IO);
    assert_int_equal(count_files(), files);
    assert_int_equal(oc_image_load(&back, path, NULL, &e), OC_OK);
    assert_int_equal(picture_worst(&small, &back), 0);
    oc_image_deinit(&back);
    oc_image_deinit(&small);
    oc_image_deinit(&large);
}

static void save_says_when_the_disk_is_full(void **state) {
    oc_image img = picture_make(50, 50, 3);
    oc_image_save_options opt = {.format = OC_IMAGE_BMP};
    oc_error e;
    (void)state;
    if (access("/dev/full", W_OK) != 0) skip();
    assert_int_equal(oc_image_save(&img, "/dev/full", &opt, &e), OC_E_IO);
    assert_non_null(strstr(e.message, "full"));
    oc_image_deinit(&img);
}

static void save_follows_links_and_writes_to_devices(void **state) {
    oc_image img = picture_make(5, 5, 3), back;
    oc_image_save_options opt = {.format = OC_IMAGE_BMP};
    struct stat info;
    oc_error e;
    (void)state;
    assert_int_equal(oc_image_save(&img, in_folder("real.bmp"), NULL, &e),
                     OC_OK);
    assert_int_equal(symlink("real.bmp", in_folder("link.bmp")), 0);
    img.pixels[0] = 99;
    assert_int_equal(oc_image_save(&img, in_folder("link.bmp"), NULL, &e),
                     OC_OK);
    assert_int_equal(lstat(in_folder("link.bmp"), &info), 0);
    assert_true(S_ISLNK(info.st_mode));
    assert_int_equal(oc_image_load(&back, in_folder("real.bmp"), NULL, &e),
                     OC_OK);
    assert_int_equal(back.pixels[0], 99);
    oc_image_deinit(&back);
    assert_int_equal(oc_image_save(&img, "/dev/null", &opt, &e), OC_OK);
    assert_int_equal(stat("/dev/null", &info), 0);
    assert_true(S_ISCHR(info.st_mode));
    oc_image_deinit(&img);
}

static void load_keeps_to_the_file_limit(void **state) {
    oc_image img = picture_make(30, 30, 3), out;
    oc_image_options opt = {.max_file_bytes = 1000};
    oc_error e;
    (void)state;
    assert_int_equal(oc_image_save(&img, in_folder("big.bmp"), NULL, &e),
                     OC_OK);
    assert_int_equal(oc_image_load(&out, in_folder("big.bmp"), &opt, &e),
                     OC_E_LIMIT);
    assert_non_null(strstr(e.message, "1000"));
    assert_non_null(strstr(e.message, "big.bmp"));
    oc_image_deinit(&img);
}

/* ---- formats by name ----------------------------------------------------- */

static void formats_are_told_by_first_bytes_and_names(void **state) {
    static const struct {
        const char *bytes;
        size_t n;
        oc_image_format format;
    } heads[] = {
        {"\xFF\xD8\xFF\xE0", 4, OC_IMAGE_JPEG},
        {"\x89PNG\r\n\x1a\n", 8, OC_IMAGE_PNG},
        {"RIFF....WEBP", 12, OC_IMAGE_WEBP},
        {"II*\0", 4, OC_IMAGE_TIFF},
        {"MM\0+", 4, OC_IMAGE_TIFF},
        {"BM", 2, OC_IMAGE_BMP},
        {"P6\n", 3, OC_IMAGE_PNM},
        {"P8\n", 3, OC_IMAGE_UNKNOWN},
        {"\0\0\0\x0cjP  \r\n", 10, OC_IMAGE_JP2},
        {"GIF89a", 6, OC_IMAGE_UNKNOWN},
        {"", 0, OC_IMAGE_UNKNOWN},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++)
        assert_int_equal(oc_image_detect(heads[i].bytes, heads[i].n),
                         heads[i].format);
    assert_int_equal(oc_image_format_of_path("a/b.c/photo"), OC_IMAGE_UNKNOWN);
    assert_int_equal(oc_image_format_of_path("a/b.JpEg"), OC_IMAGE_JPEG);
    assert_int_equal(oc_image_format_of_path("b.jpg2"), OC_IMAGE_UNKNOWN);
    assert_int_equal(oc_image_format_of_path("b.jp"), OC_IMAGE_UNKNOWN);
    assert_int_equal(oc_image_format_of_path(NULL), OC_IMAGE_UNKNOWN);
    assert_string_equal(oc_image_format_name(OC_IMAGE_TIFF), "tiff");
    assert_string_equal(oc_image_format_name((oc_image_format)99), "unknown");
    assert_int_equal(oc_image_format_support(OC_IMAGE_BMP), 3);
    assert_int_equal(oc_image_format_support(OC_IMAGE_UNKNOWN), 0);
}

static void format_of_a_name_is_the_same_in_turkish(void **state) {
    (void)state;
    if (!test_set_turkish_locale()) skip();
    oc_image_format got = oc_image_format_of_path("SCAN.TIF");
    setlocale(LC_ALL, "C");
    assert_int_equal(got, OC_IMAGE_TIFF);
}

static void not_pictures_get_a_sentence(void **state) {
    oc_image out = {.width = 77};
    oc_error e;
    (void)state;
    assert_int_equal(oc_image_load_memory(&out, "", 0, NULL, &e), OC_E_FORMAT);
    assert_non_null(strstr(e.message, "empty"));
    assert_int_equal(oc_image_load_memory(&out, "GIF89a...", 9, NULL, &e),
                     OC_E_FORMAT);
    assert_non_null(strstr(e.message, "47 49 46"));
    assert_int_equal(out.width, 77);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(init_refuses_what_is_no_picture),
        cmocka_unit_test(crop_borrows_inside_only),
        cmocka_unit_test(broken_pictures_are_refused_everywhere),
        cmocka_unit_test(convert_goes_every_documented_way),
        cmocka_unit_test(orient_undoes_itself),
        cmocka_unit_test(save_and_load_go_by_the_ending),
        cmocka_unit_test(save_keeps_the_old_file_when_it_fails),
        cmocka_unit_test(save_says_when_the_disk_is_full),
        cmocka_unit_test(save_follows_links_and_writes_to_devices),
        cmocka_unit_test(load_keeps_to_the_file_limit),
        cmocka_unit_test(formats_are_told_by_first_bytes_and_names),
        cmocka_unit_test(format_of_a_name_is_the_same_in_turkish),
        cmocka_unit_test(not_pictures_get_a_sentence),
    };
    return cmocka_run_group_tests_name("image", tests, make_folder,
                                       remove_folder);
}
