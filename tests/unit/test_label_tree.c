/* test_label_tree.c - classes in classes */
#include "testing.h"

#include "base/label_tree.h"
#include "base/size.h"

#include <string.h>

static void prefixes_end_before_a_slash(void **state) {
    (void)state;
    assert_int_equal(oc__label_prefix("a/bc/d", 1), 1);
    assert_int_equal(oc__label_prefix("a/bc/d", 2), 4);
    assert_int_equal(oc__label_prefix("a/bc/d", 3), 6);
    assert_int_equal(oc__label_prefix("a/bc/d", 9), 6);
    assert_int_equal(oc__label_prefix("alone", 1), 5);
    assert_int_equal(oc__label_prefix("", 1), 0);
    /* Places365 has them so; the first slash parts nothing. */
    assert_int_equal(oc__label_prefix("/b/balcony/inside", 1), 2);
    assert_int_equal(oc__label_prefix("/b/balcony/inside", 2), 10);
    assert_true(oc__label_same("a/b", "a/c", 1));
    assert_false(oc__label_same("a/b", "a/c", 2));
    assert_false(oc__label_same("a/b", "ab", 1));
    assert_true(oc__label_same("a/b", "a", 1));
}

static void classes_stand_together(void **state) {
    (void)state;
    /* As strings alone, "a-x" would stand between "a" and "a/c". */
    static const char *const labels[] = {"b",   "a/c/d", "a-x", "a",
                                         "a/b", "a/c",   "z/y"};
    static const int want[] = {3, 4, 5, 1, 2, 0, 6};
    int64_t order[2 * OC_COUNT(labels)];
    assert_int_equal(oc__label_order(labels, OC_COUNT(labels), order), 2);
    for (size_t i = 0; i < OC_COUNT(labels); i++)
        assert_int_equal(order[i], want[i]);
}

static void slashes_alone_are_no_tree(void **state) {
    (void)state;
    static const char *const none[] = {"cat/dog", "bird", "cow", "bird"};
    static const char *const alone[] = {"a", "b"};
    static const char *const deep[] = {"a/b/c/d", "a/x"};
    int64_t order[8];
    assert_int_equal(oc__label_order(none, 4, order), 0);
    assert_int_equal(oc__label_order(alone, 2, order), 0);
    assert_int_equal(oc__label_order(alone, 0, order), 0);
    assert_int_equal(oc__label_order(deep, 2, order), 3);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prefixes_end_before_a_slash),
        cmocka_unit_test(classes_stand_together),
        cmocka_unit_test(slashes_alone_are_no_tree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
