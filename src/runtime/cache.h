/*
 * cache.h - a folder of files that save the next process work.
 *
 *     m-<digest>.oc   what a model file says beside its graph
 *     p-<digest>.oc   a compiled program: graph, packed weights
 *     f-<digest>.oc   the digest of a large file with this stamp
 *
 * The digest is of everything the content depends on, the build of the
 * library among it, so nothing in a file ever has to be compared or updated:
 * what has changed has another name, and what is not asked for any more goes
 * when the folder is full.  The files are this user's alone.
 *
 * Nothing here fails: a folder that cannot be used, a full disk or a damaged
 * file mean that there is nothing in the cache.
 */
#ifndef OC_RUNTIME_CACHE_H
#define OC_RUNTIME_CACHE_H

#include "runtime/cache_file.h"

typedef enum oc__cache_kind {
    OC_CACHE_MODEL = 'm',
    OC_CACHE_PROGRAM = 'p',
    OC_CACHE_FILE = 'f',
} oc__cache_kind;

typedef struct oc__cache {
    const oc_allocator *allocator;
    const char *folder; /* NULL: there is no cache */
    size_t max_bytes;   /* of all files together */
} oc__cache;

/** Makes the folder if need be; its name is copied into arena. */
void oc__cache_open(oc__cache *c, oc__arena *arena, const char *folder,
                    size_t max_bytes);

/** Starts what a key is the digest of; more is put into s. */
void oc__cache_key_begin(const oc__cache *c, oc__sink *s, oc__cache_kind kind);
/** Ends it and deinits s; nonzero: out of memory. */
int oc__cache_key_end(oc__sink *s, oc__cache_key *out);

/** The digest of what is in f; of large files it is remembered by stamp. */
void oc__cache_digest(const oc__cache *c, const oc__file *f,
                      uint8_t out[OC_BLAKE3_BYTES]);

/**
 * Maps the file about key into *file, whose parts are then in *out; its list
 * of blobs lies in arena.  Returns 0 when there is no sound one.
 */
int oc__cache_find(const oc__cache *c, oc__cache_kind kind,
                   const oc__cache_key *key, oc__file *file,
                   oc__cache_entry *out, oc__arena *arena, oc__pool *pool);
/** Writes that file, and makes room for it. */
void oc__cache_keep(const oc__cache *c, oc__cache_kind kind,
                    const oc__cache_key *key, const oc__sink *meta,
                    const oc__blobs *blobs, oc__pool *pool);

#endif
