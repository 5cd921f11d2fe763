/* file.c - see file.h. */
#define _DEFAULT_SOURCE     /* madvise() */
#define _XOPEN_SOURCE   700 /* realpath() */

#include "base/file.h"

#include "base/size.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static int64_t nanoseconds(struct timespec t) {
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static oc_status map_fd(oc__file *out, int fd, const char *path,
                        size_t max_bytes, int is_private, oc_error *err) {
    struct stat st;
    if (fstat(fd, &st)) {
        return oc__fail(err, OC_E_IO, "cannot read %s: %s", path,
                        strerror(errno));
    }
    /* A pipe or device has no size to map, and may block for ever. */
    if (!S_ISREG(st.st_mode)) {
        return oc__fail(err, OC_E_IO, "%s is not a regular file", path);
    }
    if (is_private && (st.st_uid != geteuid() || st.st_mode & 022)) {
        return oc__fail(err, OC_E_IO, "%s may be written by other users", path);
    }
    if ((uintmax_t)st.st_size > SIZE_MAX ||
        (max_bytes && (uintmax_t)st.st_size > max_bytes)) {
        return oc__fail(err, OC_E_LIMIT,
                        "%s is larger than the limit of %zu bytes", path,
                        max_bytes);
    }
    oc__file f = {NULL,
                  (size_t)st.st_size,
                  {(uint64_t)st.st_dev, (uint64_t)st.st_ino,
                   (uint64_t)st.st_size, nanoseconds(st.st_mtim),
                   nanoseconds(st.st_ctim)}};
    if (f.bytes) {
        void *p = mmap(NULL, f.bytes, PROT_READ, MAP_PRIVATE, fd, 0);
        if (p == MAP_FAILED) {
            return oc__fail(err, errno == ENOMEM ? OC_E_NOMEM : OC_E_IO,
                            "cannot map %s: %s", path, strerror(errno));
        }
        f.data = p;
    }
    *out = f;
    return OC_OK;
}

static oc_status map_path(oc__file *out, const char *path, size_t max_bytes,
                          int is_private, oc_error *err) {
    /* O_NONBLOCK: opening a FIFO must not wait for a writer. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK |
                            (is_private ? O_NOFOLLOW : 0));
    if (fd < 0) {
        return oc__fail(err, OC_E_IO, "cannot open %s: %s", path,
                        strerror(errno));
    }
    oc_status st = map_fd(out, fd, path, max_bytes, is_private, err);
    close(fd);
    return st;
}

oc_status oc__file_map(oc__file *out, const char *path, size_t max_bytes,
                       oc_error *err) {
    return map_path(out, path, max_bytes, 0, err);
}

oc_status oc__file_map_private(oc__file *out, const char *path, oc_error *err) {
    return map_path(out, path, 0, 1, err);
}

void oc__file_unmap(oc__file *f) {
    if (f->bytes) munmap((void *)(uintptr_t)f->data, f->bytes);
    f->data = NULL;
    f->bytes = 0;
}

void oc__file_drop(const oc__file *f, const void *data, size_t bytes) {
    long page = sysconf(_SC_PAGESIZE);
    uintptr_t first = (uintptr_t)f->data, at = (uintptr_t)data;
    if (page <= 0 || !bytes || at < first || at - first > f->bytes ||
        bytes > f->bytes - (at - first))
        return;
    uintptr_t mask = (uintptr_t)page - 1;
    uintptr_t begin = (at + mask) & ~mask, end = (at + bytes) & ~mask;
    /* Private and never written to: nothing is lost. */
    if (begin < end) (void)madvise((void *)begin, end - begin, MADV_DONTNEED);
}

/* write() may take less than it is given, and signals interrupt it. */
static int write_all(int fd, const void *data, size_t bytes) {
    const char *p = data;
    while (bytes) {
        /* Linux writes at most 2 GiB at once; ask for less. */
        ssize_t n = write(fd, p, OC_MIN(bytes, (size_t)1 << 30));
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return -1;
        p += n;
        bytes -= (size_t)n;
    }
    return 0;
}

/*
 * Creates a file beside `path` (rename() does not cross file systems) under a
 * name nobody else has.  Not mkstemp(): that makes the file private, and the
 * umask can only be asked for by changing it for the whole process.
 */
static int create_beside(const char *path, char *name, size_t bytes,
                         mode_t mode) {
    static atomic_uint counter;
    for (int attempt = 0; attempt < 1000; attempt++) {
        unsigned n = atomic_fetch_add(&counter, 1);
        snprintf(name, bytes, "%s.%ld-%u.tmp", path, (long)getpid(), n);
        int fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
        if (fd >= 0 || errno != EEXIST) return fd;
    }
    return -1;
}

/* Returns 0, or the errno of what failed.  Always closes fd. */
static int fill_file(int fd, const char *path, const oc__piece *pieces,
                     size_t n, int is_private) {
    int why = 0;
    for (size_t i = 0; i < n && !why; i++) {
        if (write_all(fd, pieces[i].data, pieces[i].bytes)) why = errno;
    }
    struct stat st;
    int there = !stat(path, &st);
    /* A file that is replaced keeps its permissions. */
    if (!why && !is_private && there && S_ISREG(st.st_mode)) {
        if (fchmod(fd, st.st_mode & 07777)) why = errno;
    }
    /* Without this a crash may leave an empty file under the new name.
       Pipes and devices answer EINVAL.  A private file is checked when it is
       read. */
    if (!why && !is_private && fsync(fd) && errno != EINVAL) why = errno;
    /* Some file systems report a full disk only when closing. */
    if (close(fd) && !why) why = errno;
    return why;
}

/* Returns 0, or the errno of what failed. */
static int replace_file(const char *path, const oc__piece *pieces, size_t n,
                        int is_private) {
    size_t bytes = strlen(path) + 48; /* room for "." pid "-" counter ".tmp" */
    char *name = malloc(bytes);
    if (!name) return ENOMEM;
    int fd = create_beside(path, name, bytes, is_private ? 0600 : 0666);
    int why = fd < 0 ? errno : fill_file(fd, path, pieces, n, is_private);
    if (!why && rename(name, path)) why = errno;
    if (why && fd >= 0) unlink(name);
    free(name);
    return why;
}

/* A device or a pipe takes bytes; a file must not take its place. */
static int fill_device(const char *path, const oc__piece *pieces, size_t n) {
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    return fd < 0 ? errno : fill_file(fd, path, pieces, n, 0);
}

static oc_status report(const char *path, int why, oc_error *err) {
    if (!why) return OC_OK;
    if (why == ENOMEM) return oc__fail_nomem(err);
    return oc__fail(err, OC_E_IO, "cannot write %s: %s", path, strerror(why));
}

oc_status oc__file_write_pieces(const char *path, const oc__piece *pieces,
                                size_t n, oc_error *err) {
    struct stat st;
    int why;
    if (stat(path, &st) || S_ISDIR(st.st_mode)) {
        why = replace_file(path, pieces, n, 0); /* rename() refuses a folder */
    } else if (!S_ISREG(st.st_mode)) {
        why = fill_device(path, pieces, n);
    } else {
        /* A link stays one: what it leads to is replaced. */
        char *real = realpath(path, NULL);
        why = real ? replace_file(real, pieces, n, 0) : errno;
        free(real);
    }
    return report(path, why, err);
}

oc_status oc__file_write_private(const char *path, const oc__piece *pieces,
                                 size_t n, oc_error *err) {
    return report(path, replace_file(path, pieces, n, 1), err);
}

oc_status oc__file_write_atomic(const char *path, const void *data,
                                size_t bytes, oc_error *err) {
    oc__piece piece = {data, bytes};
    return oc__file_write_pieces(path, &piece, 1, err);
}
