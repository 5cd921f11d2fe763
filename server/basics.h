/*
 * basics.h - what every part of the server needs: time, errors, bytes that
 * grow, numbers in text.
 */
#ifndef OCELLI_SERVER_BASICS_H
#define OCELLI_SERVER_BASICS_H

#include <ocelli/ocelli.h>

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

enum { NS_PER_MS = 1000000 };
#define NS_PER_S INT64_C(1000000000)

/** Monotonic nanoseconds. */
int64_t now_ns(void);

/** Fills err (may be NULL) with a sentence and returns status. */
oc_status server_fail(oc_error *err, oc_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/** Bytes that grow, always with a NUL behind the last. */
typedef struct buffer {
    char *data; /* NULL while there are none */
    size_t size, capacity;
} buffer;

/** Makes room for `more` bytes; nonzero: no memory, b as it was. */
int buffer_reserve(buffer *b, size_t more);
int buffer_add(buffer *b, const void *data, size_t n);
void buffer_deinit(buffer *b);

/** A whole file, at most `limit` bytes (E_LIMIT); out is overwritten. */
oc_status read_file(buffer *out, const char *path, size_t limit, oc_error *err);

/** A decimal number in lo..hi and nothing else; nonzero: it is none. */
int parse_int(const char *text, int64_t lo, int64_t hi, int64_t *out);
/** The same for a number with a point. */
int parse_double(const char *text, double lo, double hi, double *out);

/** Copies with an end, cut where it does not fit. */
void copy_text(char *out, size_t room, const char *text);

/** What a file looked like: another stamp is another file. */
typedef struct file_stamp {
    int64_t mtime_ns, bytes, inode;
} file_stamp;
/** All zero for a file that is not there. */
file_stamp stamp_of(const char *path);
int same_stamp(const file_stamp *a, const file_stamp *b);

#endif
