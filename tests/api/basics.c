/* basics.c - the library as any program sees it: its public header only. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <stdio.h>
#include <cmocka.h>

#include <ocelli/ocelli.h>

static void library_and_header_are_of_one_version(void **state) {
    (void)state;
    char text[32];
    snprintf(text, sizeof(text), "%d.%d.%d", OC_VERSION_MAJOR, OC_VERSION_MINOR,
             OC_VERSION_PATCH);
    assert_string_equal(oc_version(), text);
}

static void every_status_has_a_text(void **state) {
    (void)state;
#define CHECK_TEXT(name, text)                                                 \
    assert_string_equal(oc_status_text(OC_##name), text);
    OC_STATUS_MAP(CHECK_TEXT)
#undef CHECK_TEXT
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(library_and_header_are_of_one_version),
        cmocka_unit_test(every_status_has_a_text),
    };
    return cmocka_run_group_tests_name("api", tests, NULL, NULL);
}
