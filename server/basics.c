/* basics.c - see basics.h. */
#define _POSIX_C_SOURCE 200809L

#include "basics.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * NS_PER_S + t.tv_nsec;
}

oc_status server_fail(oc_error *err, oc_status status, const char *format,
                      ...) {
    va_list args;
    if (!err) return status;
    memset(err, 0, sizeof *err);
    err->status = status;
    err->offset = -1;
    va_start(args, format);
    vsnprintf(err->message, sizeof err->message, format, args);
    va_end(args);
    return status;
}

int buffer_reserve(buffer *b, size_t more) {
    if (more > SIZE_MAX / 2 - b->size - 1) return 1;
    size_t need = b->size + more + 1;
    if (need <= b->capacity) return 0;
    size_t capacity = b->capacity + b->capacity / 2;
    if (capacity < need) capacity = need;
    char *data = realloc(b->data, capacity);
    if (!data) return 1;
    b->data = data;
    b->capacity = capacity;
    b->data[b->size] = '\0';
    return 0;
}

int buffer_add(buffer *b, const void *data, size_t n) {
    if (buffer_reserve(b, n)) return 1;
    if (n) memcpy(b->data + b->size, data, n);
    b->size += n;
    b->data[b->size] = '\0';
    return 0;
}

void buffer_deinit(buffer *b) {
    free(b->data);
    memset(b, 0, sizeof *b);
}

oc_status read_file(buffer *out, const char *path, size_t limit,
                    oc_error *err) {
    struct stat st;
    oc_status status = OC_OK;
    memset(out, 0, sizeof *out);
    FILE *f = fopen(path, "rb");
    if (!f || fstat(fileno(f), &st) || S_ISDIR(st.st_mode)) {
        status = server_fail(err, OC_E_IO, "cannot read %s: %s", path,
                             f && !errno ? "not a file" : strerror(errno));
        if (f) fclose(f);
        return status;
    }
    /* A file that is being written may grow meanwhile. */
    size_t want = st.st_size > 0 ? (size_t)st.st_size : 4096;
    for (size_t got = 1; got && !status;) {
        if (out->size > limit || want > limit) {
            status = server_fail(err, OC_E_LIMIT, "%s is larger than %zu bytes",
                                 path, limit);
        } else if (buffer_reserve(out, want)) {
            status = server_fail(err, OC_E_NOMEM, "no memory to read %s", path);
        } else {
            got = fread(out->data + out->size, 1, want, f);
            out->size += got;
            out->data[out->size] = '\0';
            want = 4096;
        }
    }
    if (!status && ferror(f))
        status = server_fail(err, OC_E_IO, "cannot read %s: %s", path,
                             strerror(errno));
    fclose(f);
    if (status) buffer_deinit(out);
    return status;
}

int parse_int(const char *text, int64_t lo, int64_t hi, int64_t *out) {
    char *end;
    errno = 0;
    long long v = strtoll(text, &end, 10);
    if (end == text || *end || errno || v < lo || v > hi || *text == ' ' ||
        *text == '+')
        return 1;
    *out = v;
    return 0;
}

int parse_double(const char *text, double lo, double hi, double *out) {
    char *end;
    double v = strtod(text, &end);
    if (end == text || *end || !isfinite(v) || v < lo || v > hi ||
        strspn(text, "+-.0123456789eE") != strlen(text))
        return 1;
    *out = v;
    return 0;
}

void copy_text(char *out, size_t room, const char *text) {
    snprintf(out, room, "%s", text ? text : "");
}

file_stamp stamp_of(const char *path) {
    struct stat st;
    file_stamp s = {0, 0, 0};
    if (stat(path, &st) || !S_ISREG(st.st_mode)) return s;
    s.mtime_ns = (int64_t)st.st_mtim.tv_sec * NS_PER_S + st.st_mtim.tv_nsec;
    s.bytes = (int64_t)st.st_size;
    s.inode = (int64_t)st.st_ino;
    return s;
}

int same_stamp(const file_stamp *a, const file_stamp *b) {
    return a->mtime_ns == b->mtime_ns && a->bytes == b->bytes &&
           a->inode == b->inode;
}
