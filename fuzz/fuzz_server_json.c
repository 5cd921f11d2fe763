/*
 * fuzz_server_json.c - any bytes as JSON.  The server's reader must take what
 * Jansson takes, and read the same values out of it.
 */
#include "json_read.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#if OC_HAVE_JANSSON
#include <jansson.h>

static void same(json_reader *r, const json_t *want);

static void same_string(json_reader *r, const json_t *want) {
    const char *text;
    size_t n;
    if (!json_get_string(r, &text, &n) || n != json_string_length(want) ||
        memcmp(text, json_string_value(want), n) != 0 || text[n])
        abort();
}

static void same_object(json_reader *r, const json_t *want) {
    const char *key;
    size_t n = 0;
    if (!json_enter(r, '{')) abort();
    while (json_key(r, &key)) {
        const json_t *member = json_object_get(want, key);
        if (!member) abort();
        same(r, member);
        n++;
    }
    if (n != json_object_size(want)) abort();
}

static void same_array(json_reader *r, const json_t *want) {
    size_t n = 0;
    if (!json_enter(r, '[')) abort();
    while (json_item(r)) {
        same(r, json_array_get(want, n++));
    }
    if (n != json_array_size(want)) abort();
}

/* A whole number that fits must be read as one too. */
static void same_number(json_reader *r, const json_t *want) {
    json_reader copy = *r;
    double got, value = json_real_value(want);
    int64_t whole;
    if (!json_get_double(r, &got) || memcmp(&got, &value, sizeof got) != 0)
        abort();
    if (json_get_int(&copy, &whole) && (double)whole != value) abort();
}

static void same(json_reader *r, const json_t *want) {
    int b;
    switch (json_typeof(want)) {
    case JSON_OBJECT: same_object(r, want); break;
    case JSON_ARRAY: same_array(r, want); break;
    case JSON_STRING: same_string(r, want); break;
    case JSON_REAL:
    case JSON_INTEGER: same_number(r, want); break;
    case JSON_TRUE:
    case JSON_FALSE:
        if (!json_get_bool(r, &b) || b != json_is_true(want)) abort();
        break;
    default:
        if (json_peek(r) != 'n' || !json_skip(r)) abort();
    }
}

/* Only we limit the depth this low; only Jansson refuses keys with zeros, and
 * takes a zero for the end. */
static int differs_on_purpose(const json_reader *r, const json_error_t *err) {
    return (r->why && strstr(r->why, "deeply")) ||
           (r->why && r->at < r->end && *r->at == '\0') ||
           json_error_code(err) == json_error_null_byte_in_key ||
           json_error_code(err) == json_error_duplicate_key;
}

static void compare(char *text, size_t size, const json_reader *read) {
    json_error_t err;
    json_reader r;
    json_t *want =
        json_loadb(text, size,
                   JSON_DECODE_ANY | JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL |
                       JSON_REJECT_DUPLICATES,
                   &err);
    if (!want != (read->why != NULL) && !differs_on_purpose(read, &err))
        abort();
    if (want && !read->why) {
        json_read_begin(&r, text, size);
        same(&r, want);
        if (json_read_end(&r)) abort();
    }
    json_decref(want);
}
#else
static void compare(char *text, size_t size, const json_reader *read) {
    (void)text;
    (void)size;
    (void)read;
}
#endif

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    json_reader r;
    char *text = malloc(size + 1), *copy = malloc(size + 1);
    if (!text || !copy) abort();
    if (size) memcpy(text, data, size);
    text[size] = '\0';
    memcpy(copy, text, size + 1);
    json_read_begin(&r, text, size);
    json_skip(&r);
    json_read_end(&r);
    /* Leaving out changes nothing. */
    if (memcmp(text, copy, size + 1) != 0) abort();
    compare(text, size, &r);
    free(text);
    free(copy);
    return 0;
}
