/*
 * json.h - writes one JSON document, a piece at a time: indented for people, or
 * compact.
 *
 *     json j;
 *     json_begin(&j, stdout);
 *     json_object(&j, NULL);
 *     json_string(&j, "model", path);
 *     json_array(&j, "sizes");
 *     json_int(&j, NULL, 3);
 *     json_end(&j);   // the array
 *     json_end(&j);   // the object; the document is complete
 *
 * The key is NULL inside arrays and for the outermost value.  Strings that
 * are no UTF-8 get U+FFFD for what does not fit; NaN and infinities, which
 * JSON has not, become null.
 */
#ifndef OCELLI_COMMON_JSON_H
#define OCELLI_COMMON_JSON_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

typedef struct json {
    FILE *f;
    int depth;
    char closers[64]; /* '}' or ']' of what is open */
    int count[64];    /* members so far */
    int row;          /* the innermost one is on one line */
    int compact;      /* all of it is */
} json;

void json_begin(json *j, FILE *f);
/** The same for a document on one line, without the new line at its end. */
void json_begin_compact(json *j, FILE *f);
void json_object(json *j, const char *key);
void json_array(json *j, const char *key);
/** An array of numbers or strings, written on one line. */
void json_row(json *j, const char *key);
/** Closes the innermost object or array. */
void json_end(json *j);
void json_string(json *j, const char *key, const char *value); /* NULL: null */
void json_string_n(json *j, const char *key, const char *value, size_t n);
void json_int(json *j, const char *key, int64_t value);
/** The shortest text that reads back as the same number. */
void json_double(json *j, const char *key, double value);
/** The same for what is no more precise than a float. */
void json_float(json *j, const char *key, float value);
/** A number that is text already. */
void json_number_text(json *j, const char *key, const char *text);
void json_bool(json *j, const char *key, int value);
void json_null(json *j, const char *key);

#endif
