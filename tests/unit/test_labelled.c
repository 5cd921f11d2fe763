/*
 * test_labelled.c - src/data/labelled*: which folders and tables are read, how
 * they are split, what is said about those that cannot be learnt from.
 *
 * Pictures are not opened while they are found, so any bytes stand for them.
 */
#include "testing.h"
#include "tree.h"

#include "data/labelled_build.h"

#include <locale.h>
#include <math.h>
#include <stdio.h>

static oc__labelled *opened(const char *name, const oc__labelled_options *opt) {
    oc__labelled *l = NULL;
    oc_error err;
    if (oc__labelled_open(&l, tree_path(name), opt, &err))
        fail_msg("%s", err.message);
    return l;
}

/** Asserts that it is refused, with words of the sentence. */
static void refused(const char *name, const oc__labelled_options *opt,
                    const char *words) {
    oc__labelled *l = NULL;
    oc_error err;
    memset(&err, 0, sizeof(err));
    oc_status st = oc__labelled_open(&l, tree_path(name), opt, &err);
    if (!st || !strstr(err.message, words) || strchr(err.message, '\n'))
        fail_msg("status %d, \"%s\"; wanted \"...%s...\"", (int)st, err.message,
                 words);
    assert_null(l);
}

static void some(const char *folder, int n) {
    for (int i = 0; i < n; i++) {
        char name[256];
        snprintf(name, sizeof name, "%s/%03d.jpg", folder, i);
        tree_text(name, "x");
    }
}

static const oc__labelled_picture *find(const oc__labelled *l,
                                        const char *end) {
    for (int i = 0; i < l->n; i++) {
        const char *path = l->pictures[i].path;
        size_t n = strlen(path), m = strlen(end);
        if (n >= m && !strcmp(path + n - m, end)) return &l->pictures[i];
    }
    fail_msg("there is no %s", end);
    return NULL;
}

/* ---- folders --------------------------------------------------------------
 */

static void labelled_reads_folders_and_splits_them(void **state) {
    (void)state;
    some("plain/dog", 40);
    some("plain/cat", 20);
    some("plain/ant", 2);
    tree_text("plain/readme.txt", "not a picture");
    tree_text("plain/dog/notes.txt", "neither");
    oc__labelled *l = opened("plain", NULL);
    assert_int_equal(l->n_classes, 3);
    assert_string_equal(l->classes[0], "ant");
    assert_string_equal(l->classes[2], "dog");
    assert_int_equal(l->n, 62);
    assert_true(l->split_made);
    assert_false(l->multi);
    /* 15 % of each, one at least of two */
    assert_int_equal(l->counts[OC_PART_VAL][0], 1);
    assert_int_equal(l->counts[OC_PART_VAL][1], 3);
    assert_int_equal(l->counts[OC_PART_VAL][2], 6);
    assert_int_equal(l->counts[OC_PART_TRAIN][2], 34);
    assert_int_equal(l->first[OC_PART_VAL], 52);
    assert_int_equal(oc__labelled_count(l, OC_PART_VAL), 10);
    for (int i = 1; i < l->n; i++) {
        const oc__labelled_picture *a = &l->pictures[i - 1], *b = a + 1;
        assert_true(a->part < b->part ||
                    (a->part == b->part && strcmp(a->path, b->path) < 0));
    }
    assert_true(fabs(oc__labelled_imbalance(l) - 34) < 1e-9);
    oc__labelled_destroy(l);
}

static void labelled_splits_by_seed_and_name(void **state) {
    (void)state;
    some("draw/a", 50);
    some("draw/b", 50);
    some("moved/a", 50);
    some("moved/b", 50);
    oc__labelled *one = opened("draw", NULL), *same = opened("moved", NULL);
    oc__labelled_options seed = {.seed = 1};
    oc__labelled *other = opened("draw", &seed);
    int differ = 0;
    for (int i = 0; i < one->n; i++) {
        assert_string_equal(strrchr(one->pictures[i].path, '/'),
                            strrchr(same->pictures[i].path, '/'));
        differ += strcmp(one->pictures[i].path, other->pictures[i].path) != 0;
    }
    assert_true(differ > 5);
    oc__labelled_destroy(one);
    oc__labelled_destroy(same);
    oc__labelled_destroy(other);
}

static void labelled_finds_parts(void **state) {
    (void)state;
    some("parts/train/a", 3);
    some("parts/train/b", 4);
    some("parts/valid/a", 2);
    some("parts/test/b", 1);
    oc__labelled *l = opened("parts", NULL);
    assert_int_equal(oc__labelled_count(l, OC_PART_TRAIN), 7);
    assert_int_equal(oc__labelled_count(l, OC_PART_VAL), 2);
    assert_int_equal(oc__labelled_count(l, OC_PART_TEST), 1);
    assert_false(l->split_made);
    oc__labelled_destroy(l);
    /* test alone is not touched to make a val part */
    some("parts2/train/a", 5);
    some("parts2/train/b", 5);
    some("parts2/test/a", 1);
    l = opened("parts2", NULL);
    assert_int_equal(oc__labelled_count(l, OC_PART_TRAIN), 8);
    assert_int_equal(oc__labelled_count(l, OC_PART_VAL), 2);
    assert_int_equal(oc__labelled_count(l, OC_PART_TEST), 1);
    oc__labelled_destroy(l);
}

static void labelled_names_classes_in_classes(void **state) {
    (void)state;
    some("tree/animal/cat", 2);
    some("tree/animal/dog", 2);
    some("tree/car", 2);
    some("tree/car/red", 3); /* below pictures it is all one class */
    oc__labelled *l = opened("tree", NULL);
    assert_int_equal(l->n_classes, 3);
    assert_string_equal(l->classes[0], "animal/cat");
    assert_string_equal(l->classes[2], "car");
    assert_int_equal(l->counts[OC_PART_TRAIN][2] + l->counts[OC_PART_VAL][2],
                     5);
    oc__labelled_destroy(l);
}

static void labelled_keeps_the_places_of_known_classes(void **state) {
    (void)state;
    static const char *const known[] = {"zebra", "cat"};
    oc__labelled_options opt = {.known = known, .n_known = 2};
    some("known/cat", 2);
    some("known/ant", 2);
    oc__labelled *l = opened("known", &opt);
    assert_int_equal(l->n_classes, 3);
    assert_string_equal(l->classes[0], "zebra");
    assert_string_equal(l->classes[1], "cat");
    assert_string_equal(l->classes[2], "ant");
    assert_int_equal(find(l, "cat/000.jpg")->label, 1);
    oc__labelled_destroy(l);
    opt.closed = 1;
    refused("known", &opt, "\"ant\" is none of the 2 of the model");
}

/* ---- tables ---------------------------------------------------------------
 */

static void labelled_reads_lists_of_indices(void **state) {
    (void)state;
    some("list/images", 4);
    tree_text("list/images/a b.jpg", "x");
    tree_text("list/labels.txt",
              "000.jpg 2\n001.jpg 0\r\n\n# a comment\n002.jpg\t2\n"
              "003.jpg 0\na b.jpg 0\n");
    oc__labelled *l = opened("list", NULL);
    assert_int_equal(l->n, 5);
    assert_int_equal(l->n_classes, 2);
    assert_string_equal(l->classes[1], "2");
    assert_int_equal(find(l, "/a b.jpg")->label, 0);
    oc__labelled_destroy(l);
    tree_text("list/classes.txt", "zero\none\ntwo\n");
    l = opened("list", NULL);
    assert_string_equal(l->classes[find(l, "002.jpg")->label], "two");
    oc__labelled_destroy(l);
    tree_text("list/labels.txt", "000.jpg 3\n");
    refused("list", NULL, "labels.txt, line 1: there is no class 3");
}

static void labelled_sorts_numbers_as_numbers(void **state) {
    (void)state;
    some("numbers/10", 2);
    some("numbers/9", 2);
    some("numbers/x", 2);
    oc__labelled *l = opened("numbers", NULL);
    assert_string_equal(l->classes[0], "9");
    assert_string_equal(l->classes[1], "10");
    oc__labelled_destroy(l);
}

static void labelled_reads_quoted_tables(void **state) {
    (void)state;
    some("csv", 4);
    tree_text("csv/a,\"b\".jpg", "x");
    tree_text("csv/labels.csv", "\xef\xbb\xbf"
                                "split, Filename ,label\r\n"
                                "train,000.jpg,\"big, red\"\r\n"
                                "train,001.jpg,blue\n"
                                "val , \"002.jpg\",blue\n"
                                "val,003,\"big, red\"\n"
                                "test,\"a,\"\"b\"\".jpg\",blue");
    oc__labelled *l = opened("csv", NULL);
    assert_int_equal(l->n, 5);
    assert_string_equal(l->classes[0], "big, red");
    assert_int_equal(find(l, "003.jpg")->part, OC_PART_VAL);
    assert_int_equal(find(l, "b\".jpg")->part, OC_PART_TEST);
    assert_false(l->split_made);
    oc__labelled_destroy(l);
}

static void labelled_reads_several_labels(void **state) {
    (void)state;
    some("multi", 20);
    char text[1000] = "", *at = text;
    for (int i = 0; i < 20; i++)
        at += sprintf(at, "%03d.jpg,%s\n", i,
                      i == 7  ? ""
                      : i % 2 ? "round; red"
                              : "red");
    tree_text("multi/labels.csv", text);
    oc__labelled *l = opened("multi", NULL);
    assert_true(l->multi);
    assert_int_equal(l->n_classes, 2);
    const oc__labelled_picture *p = find(l, "001.jpg");
    assert_int_equal(p->n_labels, 2);
    assert_int_equal(p->labels[1], 1);
    assert_int_equal(find(l, "007.jpg")->n_labels, 0);
    assert_int_equal(find(l, "007.jpg")->label, -1);
    assert_int_equal(oc__labelled_count(l, OC_PART_VAL), 3);
    assert_true(l->counts[OC_PART_VAL][1] >= 1);
    float w[2];
    oc__labelled_positive_weights(l, 10, w);
    assert_true(w[0] < 0.2 && w[1] > 0.5);
    oc__labelled_destroy(l);
}

static void labelled_reads_a_column_for_each_label(void **state) {
    (void)state;
    some("hot", 4);
    tree_text("hot/labels.csv", "file,round,red\n000.jpg,1,1\n001.jpg,0,1\n"
                                "002.jpg,0.0,0\n003.jpg,1.0,0\n");
    oc__labelled *l = opened("hot", NULL);
    assert_true(l->multi);
    assert_string_equal(l->classes[0], "red");
    assert_int_equal(find(l, "000.jpg")->n_labels, 2);
    oc__labelled_destroy(l);
    /* exactly one in each row: that is single label */
    tree_text("hot/labels.csv", "file,round,red\n000.jpg,1,0\n001.jpg,0,1\n"
                                "002.jpg,0,1\n003.jpg,1,0\n");
    l = opened("hot", NULL);
    assert_false(l->multi);
    assert_int_equal(find(l, "001.jpg")->label, 0);
    oc__labelled_destroy(l);
    tree_text("hot/labels.csv", "file,round,red\n000.jpg,1,0\n001.jpg,2,1\n");
    refused("hot", NULL, "line 3: \"2\" is neither 0 nor 1");
    tree_text("hot/labels.csv", "file,round,red\n000.jpg,1,0\n001.jpg,1,0\n");
    refused("hot", NULL, "no picture has the label \"red\"");
}

/* ---- bad data -------------------------------------------------------------
 */

static void labelled_says_what_is_wrong(void **state) {
    (void)state;
    refused("nowhere", NULL, "there is no folder");
    tree_text("none/readme.txt", "");
    refused("none", NULL, "holds no pictures: make a folder for each class");
    some("flat", 2);
    refused("flat", NULL, "have no labels");
    some("one/only", 5);
    refused("one", NULL, "of one class, \"only\"");
    some("single/a", 1);
    refused("single", NULL, "one picture only");
    some("hole/a", 2);
    tree_text("hole/b/readme.txt", "");
    refused("hole", NULL, "the class \"b\" has no pictures");
    some("pair/a", 1);
    some("pair/b", 1);
    refused("pair", NULL, "left to measure with");
    some("strange/train/a", 2);
    some("strange/train/b", 2);
    some("strange/val/c", 2);
    refused("strange", NULL, "the class \"c\" is in val but not in train");
    some("hollow/a", 2);
    tree_text("hollow/b/1.jpg", "");
    tree_text("hollow/b/2.jpg", "");
    refused("hollow", NULL, "all 2 pictures of the class \"b\" are empty");
    some("half/train/a", 2);
    some("half/train/b", 2);
    tree_text("half/val/readme.txt", "");
    refused("half", NULL, "half/val holds no pictures");
}

static void labelled_says_which_line_is_wrong(void **state) {
    (void)state;
    static const char *const cases[][2] = {
        {"1.jpg,a\n2.jpg\n", "line 2: there are 1 cells instead of 2"},
        {"1.jpg,a\n2.jpg,\n", "line 2: the picture has no label"},
        {"1.jpg,a\n,b\n", "line 2: the file has no name"},
        {"1.jpg,\"a\n2.jpg,b\n", "line 1: a quote is not closed"},
        {"1.jpg,\"a\"b\n", "line 1: there is more behind a closed quote"},
        {"1.jpg,a,b\n2.jpg,a,b\n", "name them in a first line"},
        {"file,label,split\n1.jpg,a,dev\n", "line 2: \"dev\" is neither"},
        {"file\n1.jpg\n", "line 1: "},
        {"split,label\ntrain,a\n", "no column is named \"file\""},
        {"1.jpg,a\n1.jpg,b\n", "twice with different labels (lines 1 and 2)"},
        {"1.jpg,a,train\n1.jpg,a,val\n", "is in two parts"},
        {"1.jpg,a\n8.jpg,b\n9.jpg,b\n", "2 of 3 pictures"},
        {"", "holds no pictures"},
    };
    tree_text("lines/1.jpg", "x");
    tree_text("lines/2.jpg", "x");
    for (size_t i = 0; i < OC_COUNT(cases); i++) {
        tree_text("lines/labels.csv", cases[i][0]);
        refused("lines", NULL, cases[i][1]);
    }
    tree_put("lines/labels.csv", "1.jpg,a\0b\n", 10);
    refused("lines", NULL, "zero byte");
}

static void labelled_lists_files_it_cannot_use(void **state) {
    (void)state;
    some("bad/a", 4);
    some("bad/b", 4);
    tree_text("bad/b/empty.jpg", "");
    oc__labelled *l = opened("bad", NULL);
    assert_int_equal(l->n, 8);
    assert_int_equal(l->n_bad, 1);
    assert_non_null(strstr(l->bad[0].path, "bad/b/empty.jpg"));
    assert_non_null(strstr(l->bad[0].why, "empty (0 bytes)"));
    oc__labelled_destroy(l);
    tree_text("bad/labels.csv", "a/000.jpg,a\na/001.jpg,a\nb/000.jpg,b\n"
                                "b/001.jpg,b\na/gone.jpg,a\n");
    l = opened("bad", NULL);
    assert_int_equal(l->n_bad, 1);
    assert_non_null(strstr(l->bad[0].why, "no such file"));
    oc__labelled_destroy(l);
}

/* ---- the rest -------------------------------------------------------------
 */

static void weights_balance_classes(void **state) {
    (void)state;
    some("weights/train/a", 30);
    some("weights/train/b", 10);
    some("weights/val/a", 1);
    oc__labelled *l = opened("weights", NULL);
    float w[2];
    oc__labelled_weights(l, 1, w);
    assert_true(fabs(w[0] * 30 - w[1] * 10) < 1e-4);
    assert_true(fabs(w[0] * 30 + w[1] * 10 - 40) < 1e-4);
    oc__labelled_weights(l, 0, w);
    assert_true(w[0] == 1 && w[1] == 1);
    oc__labelled_destroy(l);
}

static void labelled_reads_the_same_in_any_locale(void **state) {
    (void)state;
    if (!test_set_comma_locale()) skip();
    some("locale", 2);
    tree_text("locale/labels.csv", "file,x,y\n000.jpg,1.0,0\n001.jpg,0,1.0\n");
    oc__labelled_options opt = {.may_be_one = 1};
    oc__labelled *l = opened("locale", &opt);
    setlocale(LC_ALL, "C");
    assert_int_equal(l->n, 2);
    oc__labelled_destroy(l);
}

static void labelled_releases_all_when_memory_runs_out(void **state) {
    (void)state;
    test_allocator ta;
    some("memory/a", 90);
    some("memory/b", 90);
    for (int64_t n = 0;; n++) {
        oc__labelled *l = NULL;
        oc_error err;
        test_allocator_init(&ta, n);
        oc__labelled_options opt = {.allocator = &ta.base};
        oc_status st = oc__labelled_open(&l, tree_path("memory"), &opt, &err);
        oc__labelled_destroy(l);
        test_allocator_check(&ta);
        if (!ta.failed) {
            assert_int_equal(st, OC_OK);
            break;
        }
        assert_int_equal(st, OC_E_NOMEM);
        assert_null(l);
    }
}

/* ---- what they are like ---------------------------------------------------
 */

static oc__picture_kind kind_of(const char *data) {
    oc__look_at_pictures look;
    oc__labelled *l = NULL;
    oc_error err;
    if (oc__labelled_open(&l, data, NULL, &err) ||
        oc__labelled_look(&look, l, 0, &err))
        fail_msg("%s", err.message);
    print_message("# %s: %d of %d x %d, up %.1f, turned %.1f, %.2f ms\n", data,
                  look.looked, look.width, look.height, look.up_down,
                  look.turned, look.decode_seconds * 1e3);
    oc__labelled_destroy(l);
    return look.kind;
}

static void look_measures_pictures(void **state) {
    (void)state;
    for (unsigned i = 0; i < 40; i++) {
        char name[64];
        snprintf(name, sizeof name, "look/%s/%u.ppm", i % 2 ? "a" : "b", i);
        tree_picture(name, 80, 80, i);
    }
    tree_text("look/a/broken.ppm", "P6 what");
    assert_int_equal(kind_of(tree_path("look")), OC_PICTURES_TILES);
    for (unsigned i = 0; i < 4; i++) {
        char name[64];
        snprintf(name, sizeof name, "look2/%s/%u.ppm", i % 2 ? "a" : "b", i);
        tree_picture(name, 30, 30, i);
    }
    assert_int_equal(kind_of(tree_path("look2")), OC_PICTURES_TINY);
    tree_text("look3/a/1.jpg", "x");
    tree_text("look3/b/1.jpg", "x");
    tree_text("look3/a/2.jpg", "x");
    oc__look_at_pictures look;
    oc__labelled *l = opened("look3", NULL);
    oc_error err;
    assert_int_equal(oc__labelled_look(&look, l, 0, &err), OC_E_FORMAT);
    assert_non_null(strstr(err.message, "can be read"));
    oc__labelled_destroy(l);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(labelled_reads_folders_and_splits_them),
        cmocka_unit_test(labelled_splits_by_seed_and_name),
        cmocka_unit_test(labelled_finds_parts),
        cmocka_unit_test(labelled_names_classes_in_classes),
        cmocka_unit_test(labelled_keeps_the_places_of_known_classes),
        cmocka_unit_test(labelled_reads_lists_of_indices),
        cmocka_unit_test(labelled_sorts_numbers_as_numbers),
        cmocka_unit_test(labelled_reads_quoted_tables),
        cmocka_unit_test(labelled_reads_several_labels),
        cmocka_unit_test(labelled_reads_a_column_for_each_label),
        cmocka_unit_test(labelled_says_what_is_wrong),
        cmocka_unit_test(labelled_says_which_line_is_wrong),
        cmocka_unit_test(labelled_lists_files_it_cannot_use),
        cmocka_unit_test(weights_balance_classes),
        cmocka_unit_test(labelled_reads_the_same_in_any_locale),
        cmocka_unit_test(labelled_releases_all_when_memory_runs_out),
        cmocka_unit_test(look_measures_pictures),
    };
    return cmocka_run_group_tests(tests, tree_make, tree_remove);
}
