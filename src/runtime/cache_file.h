/*
 * cache_file.h - the form of the files in the cache.
 *
 *     0        header, 64 bytes
 *     64       meta: sizes of the blobs, a checksum for each MiB of them, and
 *              the bytes of whoever wrote the file
 *     ...      blobs: data used in place, each aligned to 64, zeros between
 *
 * The header's checksum covers header and meta; with those of the blobs no
 * byte of a file can change unseen.  Whatever is wrong makes the file not be
 * there: it is written anew.
 */
#ifndef OC_RUNTIME_CACHE_FILE_H
#define OC_RUNTIME_CACHE_FILE_H

#include "base/blake3.h"
#include "base/file.h"
#include "cpu/pool.h"
#include "runtime/cache_graph.h"

/** What a file is about: a digest of everything its content depends on. */
typedef struct oc__cache_key {
    uint8_t bytes[OC_BLAKE3_BYTES];
} oc__cache_key;

typedef struct oc__cache_header {
    char magic[8];
    uint32_t format; /* also tells the order of bytes */
    uint32_t header_bytes;
    uint8_t key[16]; /* the first half of it */
    uint64_t file_bytes;
    uint64_t meta_bytes;
    uint64_t blob_bytes;
    uint64_t check; /* of this with check 0, then of meta */
} oc__cache_header;

/** An opened file: where the writer's bytes and the blobs lie in it. */
typedef struct oc__cache_entry {
    oc__source meta;
    oc__blob *blobs; /* in the arena */
    size_t n_blobs;
} oc__cache_entry;

/**
 * Finds the parts of a file's bytes and compares every checksum, with all
 * threads of pool (may be NULL).
 * Errors: E_FORMAT for anything that is not a whole file about key; E_NOMEM.
 */
oc_status oc__cache_parse(oc__cache_entry *out, const void *data, size_t bytes,
                          const oc__cache_key *key, oc__arena *arena,
                          oc__pool *pool, oc_error *err);
/** Writes a file of meta and blobs (n_blobs may be 0); E_IO, E_NOMEM. */
oc_status oc__cache_write(const char *path, const oc__cache_key *key,
                          const oc__sink *meta, const oc__blobs *blobs,
                          oc__pool *pool, oc_error *err);
/**
 * Sets sizes and checksums of damaged bytes right, so that what checks them
 * lets the damage through; for tests of what stands behind.
 */
void oc__cache_seal(void *data, size_t bytes);

#endif
