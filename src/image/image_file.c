/* image_file.c - whole files in, and out through a temporary name. */
#define _XOPEN_SOURCE 700 /* realpath, O_CLOEXEC, links */
#include "image/image.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static oc_status fail_errno(oc_error *err, const char *path, const char *what) {
    int code = errno;
    if (code == ENOMEM) return oc__fail_nomem(err);
    if (code == ENOSPC || code == EDQUOT)
        return oc__fail(err, OC_E_IO,
                        "%s: the disk is full; nothing was written: free "
                        "some space and try again",
                        path);
    return oc__fail(err, OC_E_IO, "%s: cannot %s: %s", path, what,
                    strerror(code));
}

/* ---- reading ----------------------------------------------------------- */

/** Makes room for at least one more byte, and for a whole regular file. */
static int grow(oc_bytes *b, size_t hint) {
    size_t want = b->capacity ? b->capacity : 32768;
    if (want < hint) want = hint;
    if (b->capacity && oc__size_mul(b->capacity, 2, &want)) return 1;
    uint8_t *fresh = oc__image_get(b->allocator, want);
    if (!fresh) return 1;
    if (b->size) memcpy(fresh, b->data, b->size);
    oc__image_put(b->allocator, b->data, b->capacity);
    b->data = fresh;
    b->capacity = want;
    return 0;
}

static oc_status read_fd(int fd, oc_bytes *b, const char *path, size_t limit,
                         oc_error *err) {
    struct stat info;
    size_t hint = 0;
    if (fstat(fd, &info) != 0) return fail_errno(err, path, "read");
    if (S_ISDIR(info.st_mode)) {
        errno = EISDIR;
        return fail_errno(err, path, "read");
    }
    if (S_ISREG(info.st_mode) && info.st_size > 0) {
        if ((uintmax_t)info.st_size > limit)
            return oc__fail(err, OC_E_LIMIT,
                            "%s: the file's %jd bytes are more than the "
                            "limit of %zu: raise the limit to read it",
                            path, (intmax_t)info.st_size, limit);
        hint = (size_t)info.st_size + 1; /* one more, to see the end */
    }
    for (;;) {
        if (b->size == b->capacity && grow(b, hint)) return oc__fail_nomem(err);
        ssize_t got = read(fd, b->data + b->size, b->capacity - b->size);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return fail_errno(err, path, "read");
        if (got == 0) return OC_OK;
        b->size += (size_t)got;
        if (b->size > limit)
            return oc__fail(err, OC_E_LIMIT,
                            "%s: more than the limit of %zu bytes: raise the "
                            "limit to read it",
                            path, limit);
    }
}

oc_status oc__image_file_read(oc_bytes *out, const char *path, size_t limit,
                              const oc_allocator *allocator, oc_error *err) {
    oc_bytes b = {.allocator = allocator};
    int standard = strcmp(path, "-") == 0;
    int fd = standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return fail_errno(err, path, "open");
    oc_status st = read_fd(fd, &b, path, limit, err);
    if (!standard) close(fd);
    if (st != OC_OK) {
        oc_bytes_deinit(&b);
        return st;
    }
    *out = b;
    return OC_OK;
}

/* ---- writing ----------------------------------------------------------- */

static int write_all(int fd, const uint8_t *data, size_t bytes) {
    while (bytes) {
        ssize_t put = write(fd, data, bytes);
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) return 1;
        data += put;
        bytes -= (size_t)put;
    }
    return 0;
}

static oc_status write_plain(const char *path, const void *data, size_t bytes,
                             oc_error *err) {
    int standard = strcmp(path, "-") == 0;
    int fd = standard ? STDOUT_FILENO : open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0) return fail_errno(err, path, "open");
    int bad = write_all(fd, data, bytes);
    if (!standard && close(fd) != 0) bad = 1;
    return bad ? fail_errno(err, path, "write") : OC_OK;
}

/** Opens a fresh file beside path; its name goes to name. */
static int open_temporary(const char *path, char *name, size_t room) {
    static atomic_uint counter;
    for (int attempt = 0; attempt < 100; attempt++) {
        unsigned n = atomic_fetch_add(&counter, 1);
        int len =
            snprintf(name, room, "%s.%ld-%u.tmp", path, (long)getpid(), n);
        if (len < 0 || (size_t)len >= room) {
            errno = ENAMETOOLONG;
            return -1;
        }
        /* O_EXCL: never follow or reuse what somebody put there. */
        int fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (fd >= 0 || errno != EEXIST) return fd;
    }
    return -1;
}

oc_status oc__image_file_write(const char *path, const void *data, size_t bytes,
                               oc_error *err) {
    struct stat info;
    char name[4096], real[4096];
    const char *shown = path;
    if (strcmp(path, "-") == 0) return write_plain(path, data, bytes, err);
    /* A device or pipe must be written to, not replaced by a file; a link
       stays a link. */
    if (stat(path, &info) == 0) {
        if (S_ISDIR(info.st_mode)) {
            errno = EISDIR;
            return fail_errno(err, path, "write");
        }
        if (!S_ISREG(info.st_mode)) return write_plain(path, data, bytes, err);
        char *resolved = realpath(path, NULL);
        if (resolved && strlen(resolved) < sizeof(real)) {
            strcpy(real, resolved);
            path = real;
        }
        free(resolved);
    }
    int fd = open_temporary(path, name, sizeof(name));
    if (fd < 0) return fail_errno(err, shown, "create");
    int bad = write_all(fd, data, bytes);
    int code = errno;
    if (close(fd) != 0 && !bad) {
        bad = 1;
        code = errno;
    }
    if (!bad && rename(name, path) != 0) {
        bad = 1;
        code = errno;
    }
    if (!bad) return OC_OK;
    unlink(name);
    errno = code;
    return fail_errno(err, shown, "write");
}
