/* cmocka.c - see cmocka.h in this folder. */
#include "cmocka.h"

#include <stdarg.h>
#include <stdio.h>

enum { PASSED, FAILED, SKIPPED };

static jmp_buf back;

void test_cross_fail(const char *file, int line, const char *format, ...) {
    va_list args;
    va_start(args, format);
    fputs("# ", stdout);
    vprintf(format, args);
    printf("\n# %s:%d: error: Failure!\n", file, line);
    va_end(args);
    longjmp(back, FAILED);
}

void test_cross_skip(void) {
    longjmp(back, SKIPPED);
}

void print_message(const char *format, ...) {
    va_list args;
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
}

void print_error(const char *format, ...) {
    va_list args;
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
}

static int run_one(const struct CMUnitTest *test, void **state) {
    /* volatile: survives the longjmp out of the test */
    void *volatile own = test->initial_state ? test->initial_state : *state;
    int outcome = setjmp(back);
    if (outcome != PASSED) return outcome;
    void *s = own;
    if (test->setup_func && test->setup_func(&s)) return FAILED;
    test->test_func(&s);
    if (test->teardown_func && test->teardown_func(&s)) return FAILED;
    return PASSED;
}

int _cmocka_run_group_tests(const char *group, const struct CMUnitTest *tests,
                            size_t count, CMFixtureFunction setup,
                            CMFixtureFunction teardown) {
    static const char *const word[] = {"ok", "not ok", "ok"};
    void *state = NULL;
    int failures = 0;
    printf("1..%zu\n", count);
    if (setup && setup(&state)) {
        printf("not ok - %s: group setup failed\n", group);
        return 1;
    }
    for (size_t i = 0; i < count; i++) {
        int outcome = run_one(&tests[i], &state);
        failures += outcome == FAILED;
        printf("%s %zu %s %s\n", word[outcome], i + 1,
               outcome == SKIPPED ? "# SKIP" : "-", tests[i].name);
        /* A crash in the next test must not take this line with it. */
        fflush(stdout);
    }
    if (teardown && teardown(&state)) failures++;
    printf("# %s - %s\n", failures ? "not ok" : "ok", group);
    return failures;
}
