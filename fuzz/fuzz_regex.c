/*
 * fuzz_regex.c - any bytes as a regular expression and a text.
 *
 *     pattern NUL text
 *
 * A pattern that compiles must match the same inside a group, as one of two
 * equal alternatives, and between anchors.
 */
#include "base/regex.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MOST = 256 };

/* 1 or 0, -1: not compiled. */
static int match(const char *pattern, size_t n, const uint8_t *text,
                 size_t bytes) {
    oc__regex *r = NULL;
    oc_error err;
    if (oc__regex_create(&r, &oc__default_allocator, pattern, n, &err) != OC_OK)
        return -1;
    void *work = malloc(oc__regex_work_bytes(r));
    int yes =
        work ? oc__regex_full_match(r, (const char *)text, bytes, work) : -1;
    free(work);
    oc__regex_destroy(r);
    return yes;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const forms[] = {"(?:%.*s)", "(?:%.*s)|(?:%.*s)",
                                        "\\A(?:%.*s)\\z"};
    char pattern[2 * MOST + 32];
    const uint8_t *end = size ? memchr(data, 0, size) : NULL;
    if (!end || end - data > MOST || size > 2 * MOST) return 0;
    int n = (int)(end - data);
    const uint8_t *text = end + 1;
    size_t bytes = size - (size_t)n - 1;
    int want = match((const char *)data, (size_t)n, text, bytes);
    /* An open \Q would swallow what is put behind it. */
    if (want < 0 || strstr((const char *)data, "\\Q")) return 0;
    for (int i = 0; i < 3; i++) {
        int m = snprintf(pattern, sizeof pattern, forms[i], n, data, n, data);
        int got = match(pattern, (size_t)m, text, bytes);
        /* Twice the pattern may be over the limit of size, one group more over
           that of depth. */
        if (got != want && !(got == -1 && (i == 1 || n > 190))) abort();
    }
    return 0;
}
