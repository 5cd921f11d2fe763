/*
 * json_read.h - reads JSON a piece at a time, out of a buffer that it may
 * change (strings are unescaped in place) and that has a NUL behind its end.
 *
 * Nothing is built: a tensor of a million numbers goes straight to where it
 * is wanted, where a tree of JSON values would take thirty times the memory
 * of the text, for anybody who cares to send one.
 *
 *     json_reader r;
 *     json_read_begin(&r, text, n);
 *     if (json_enter(&r, '{'))
 *         while (json_key(&r, &key)) {
 *             if (!strcmp(key, "id")) json_get_string(&r, &id, &n);
 *             else json_skip(&r);
 *         }
 *     if (json_read_end(&r)) ... r.why says what is wrong, at r.at
 *
 * After the first error every call fails, so one look at the end suffices.
 */
#ifndef OCELLI_SERVER_JSON_READ_H
#define OCELLI_SERVER_JSON_READ_H

#include <stddef.h>
#include <stdint.h>

enum { JSON_MAX_DEPTH = 64 };

typedef struct json_reader {
    char *text, *at, *end;
    const char *why; /* what is wrong; NULL while nothing is */
    int depth;
    char closers[JSON_MAX_DEPTH]; /* ']' or '}' of what is open */
    int fresh;                    /* nothing of the innermost read yet */
} json_reader;

void json_read_begin(json_reader *r, char *text, size_t n);
/** Whether something went wrong, or something is left. */
int json_read_end(json_reader *r);
/** Makes the reader fail, unless it did before.  Returns 0. */
int json_wrong(json_reader *r, const char *why);

/** The first byte of the next value, 0 at the end. */
char json_peek(json_reader *r);
/** Goes into an object '{' or array '['. */
int json_enter(json_reader *r, char opener);
/** Goes to the next member of an array; 0 behind the last (it is left). */
int json_item(json_reader *r);
/** The same for an object, with the member's key. */
int json_key(json_reader *r, const char **key);

/* All return 1, or 0 for something else. */
/** Text with a NUL behind it that lives as long as the buffer. */
int json_get_string(json_reader *r, const char **out, size_t *n);
int json_get_double(json_reader *r, double *out);
/** A number without fraction or exponent, in range. */
int json_get_int(json_reader *r, int64_t *out);
int json_get_uint(json_reader *r, uint64_t *out);
int json_get_bool(json_reader *r, int *out);
/** Leaves out a value of any kind, without changing the text. */
int json_skip(json_reader *r);

#endif
