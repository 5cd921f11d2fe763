/*
 * cmocka.h - the part of cmocka's interface that our tests use, for targets
 * the host's distribution has no cmocka for (the aarch64 cross build).
 *
 * Same names, same meaning, TAP on standard output; nothing of mocking.  Host
 * builds never see this file: they use the real library.
 */
#ifndef OC_TESTS_CROSS_CMOCKA_H
#define OC_TESTS_CROSS_CMOCKA_H

#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef void (*CMUnitTestFunction)(void **state);
typedef int (*CMFixtureFunction)(void **state);

struct CMUnitTest {
    const char *name;
    CMUnitTestFunction test_func;
    CMFixtureFunction setup_func, teardown_func;
    void *initial_state;
};

#define cmocka_unit_test(f) cmocka_unit_test_setup_teardown(f, NULL, NULL)
#define cmocka_unit_test_setup(f, setup)                                       \
    cmocka_unit_test_setup_teardown(f, setup, NULL)
#define cmocka_unit_test_teardown(f, teardown)                                 \
    cmocka_unit_test_setup_teardown(f, NULL, teardown)
#define cmocka_unit_test_setup_teardown(f, setup, teardown)                    \
    cmocka_unit_test_prestate_setup_teardown(f, setup, teardown, NULL)
#define cmocka_unit_test_prestate(f, state)                                    \
    cmocka_unit_test_prestate_setup_teardown(f, NULL, NULL, state)
#define cmocka_unit_test_prestate_setup_teardown(f, setup, teardown, state)    \
    { #f, f, setup, teardown, state }

#define cmocka_run_group_tests(tests, setup, teardown)                         \
    cmocka_run_group_tests_name(#tests, tests, setup, teardown)
#define cmocka_run_group_tests_name(name, tests, setup, teardown)              \
    _cmocka_run_group_tests(name, tests, sizeof(tests) / sizeof((tests)[0]),   \
                            setup, teardown)

int _cmocka_run_group_tests(const char *group, const struct CMUnitTest *tests,
                            size_t count, CMFixtureFunction setup,
                            CMFixtureFunction teardown);
void test_cross_fail(const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4), noreturn));
void test_cross_skip(void) __attribute__((noreturn));
void print_message(const char *format, ...)
    __attribute__((format(printf, 1, 2)));
void print_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

#define fail()        test_cross_fail(__FILE__, __LINE__, "fail")
#define fail_msg(...) test_cross_fail(__FILE__, __LINE__, __VA_ARGS__)
#define skip()        test_cross_skip()

#define test_cross_require(condition, what)                                    \
    do {                                                                       \
        if (!(condition)) test_cross_fail(__FILE__, __LINE__, "%s", what);     \
    } while (0)
/* Both sides are shown in hex, as cmocka does. */
#define test_cross_compare(a, op, b)                                           \
    do {                                                                       \
        uintmax_t left_ = (uintmax_t)(a), right_ = (uintmax_t)(b);             \
        if (!(left_ op right_))                                                \
            test_cross_fail(__FILE__, __LINE__, "%#jx " #op " %#jx is false",  \
                            left_, right_);                                    \
    } while (0)

#define assert_true(c)             test_cross_require(c, #c)
#define assert_false(c)            test_cross_require(!(c), "!(" #c ")")
#define assert_null(p)             test_cross_require((p) == NULL, #p " == NULL")
#define assert_non_null(p)         test_cross_require((p) != NULL, #p " != NULL")
#define assert_int_equal(a, b)     test_cross_compare(a, ==, b)
#define assert_int_not_equal(a, b) test_cross_compare(a, !=, b)
#define assert_ptr_equal(a, b)                                                 \
    test_cross_compare((uintptr_t)(a), ==, (uintptr_t)(b))
#define assert_ptr_not_equal(a, b)                                             \
    test_cross_compare((uintptr_t)(a), !=, (uintptr_t)(b))
#define assert_return_code(code, error)                                        \
    test_cross_require((long long)(code) >= 0, #code " >= 0")
#define assert_in_range(v, low, high)                                          \
    do {                                                                       \
        test_cross_compare(v, >=, low);                                        \
        test_cross_compare(v, <=, high);                                       \
    } while (0)
#define assert_float_equal(a, b, epsilon)                                      \
    do {                                                                       \
        double apart_ = (double)(a) - (double)(b);                             \
        test_cross_require(apart_ <= (double)(epsilon) &&                      \
                               -apart_ <= (double)(epsilon),                   \
                           #a " == " #b " (float)");                           \
    } while (0)
#define assert_string_equal(a, b)                                              \
    do {                                                                       \
        const char *left_ = (a), *right_ = (b);                                \
        if (strcmp(left_, right_))                                             \
            test_cross_fail(__FILE__, __LINE__, "\"%s\" != \"%s\"", left_,     \
                            right_);                                           \
    } while (0)
#define assert_string_not_equal(a, b)                                          \
    test_cross_require(strcmp(a, b) != 0, #a " != " #b)
#define assert_memory_equal(a, b, size)                                        \
    test_cross_require(memcmp(a, b, size) == 0, #a " == " #b " (memory)")
#define assert_memory_not_equal(a, b, size)                                    \
    test_cross_require(memcmp(a, b, size) != 0, #a " != " #b " (memory)")

#endif
