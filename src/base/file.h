/*
 * file.h - whole files: mapped read-only, written all or nothing.
 */
#ifndef OC_BASE_FILE_H
#define OC_BASE_FILE_H

#include "base/status.h"

/**
 * Which file, and when it was touched last.  The kernel sets ctime on every
 * change and nobody else can, so equal stamps mean equal bytes but for a
 * change within the same tick of the file system's clock.
 */
typedef struct oc__file_stamp {
    uint64_t dev, ino, bytes;
    int64_t mtime_ns, ctime_ns;
} oc__file_stamp;

/** A file mapped read-only.  Zero-initialised it is an empty one. */
typedef struct oc__file {
    const unsigned char *data; /* page-aligned; NULL when bytes is 0 */
    size_t bytes;
    oc__file_stamp stamp; /* as it was when mapped */
} oc__file;

/**
 * Maps the regular file `path`.  max_bytes 0: no limit.
 * Errors: E_IO with the reason, E_LIMIT when it is larger.
 */
oc_status oc__file_map(oc__file *out, const char *path, size_t max_bytes,
                       oc_error *err);
/**
 * The same for a file that only this user may have written: E_IO when it is a
 * link, another user's, or writable by others.
 */
oc_status oc__file_map_private(oc__file *out, const char *path, oc_error *err);
/** Unmaps and clears; an empty file is fine. */
void oc__file_unmap(oc__file *f);
/**
 * Gives back the memory of the pages that lie wholly in `bytes` bytes at data,
 * when these are f's; what is read later comes from the file again.
 */
void oc__file_drop(const oc__file *f, const void *data, size_t bytes);

/** One stretch of bytes of a file to be written. */
typedef struct oc__piece {
    const void *data;
    size_t bytes;
} oc__piece;

/**
 * Writes the pieces one behind the other into a temporary file beside `path`
 * and renames it to `path` once it is complete and on disk.  On any error
 * (a full disk is seen here) the old `path`, if there was one, is untouched
 * and no temporary is left.  A device or a pipe is written to, not replaced;
 * a link stays one.
 */
oc_status oc__file_write_pieces(const char *path, const oc__piece *pieces,
                                size_t n, oc_error *err);
/**
 * The same for this user alone (mode 0600) and without waiting for the disk:
 * for files that can be made again, and that whoever reads them checks.
 */
oc_status oc__file_write_private(const char *path, const oc__piece *pieces,
                                 size_t n, oc_error *err);
/** The same as oc__file_write_pieces() for a single stretch. */
oc_status oc__file_write_atomic(const char *path, const void *data,
                                size_t bytes, oc_error *err);

#endif
