/*
 * embed.c - the program of the first page (docs/embed.c), run on a real
 * model: what it prints, and how it fails.
 */
#define _POSIX_C_SOURCE 200809L

#include <ocelli/vision.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define main embed_main
#include "docs/embed.c"
#undef main

#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>

static char model[512], photo[512];

/* Runs it with standard output going to a file; returns what it wrote. */
static char *run(char *first, char *second, int *code) {
    static char text[4096];
    char *argv[] = {"app", first, second, NULL};
    FILE *to = tmpfile();
    assert_non_null(to);
    fflush(stdout);
    int saved = dup(1);
    dup2(fileno(to), 1);
    *code = embed_main(3, argv);
    fflush(stdout);
    dup2(saved, 1);
    close(saved);
    rewind(to);
    text[fread(text, 1, sizeof text - 1, to)] = '\0';
    fclose(to);
    return text;
}

static void embed_finds_the_bus(void **state) {
    (void)state;
    int code;
    if (access(model, R_OK) || access(photo, R_OK)) skip();
    const char *text = run(model, photo, &code);
    assert_int_equal(code, 0);
    assert_int_equal(strncmp(text, "bus 0.9", 7), 0);
    const char *person = strstr(text, "person 0.8");
    assert_non_null(person);
    assert_non_null(strstr(person + 1, "person 0.8"));
}

static void embed_fails_without_a_model(void **state) {
    (void)state;
    int code;
    const char *text = run("/nonexistent.onnx", photo, &code);
    assert_int_equal(code, 1);
    assert_string_equal(text, "");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(embed_finds_the_bus),
        cmocka_unit_test(embed_fails_without_a_model),
    };
    const char *shared = getenv("OC_SHARED");
    if (!shared) shared = "../shared";
    snprintf(model, sizeof model, "%s/models/yolox_nano_coco.onnx", shared);
    snprintf(photo, sizeof photo, "%s/images/bus.jpg", shared);
    return cmocka_run_group_tests_name("embed", tests, NULL, NULL);
}
