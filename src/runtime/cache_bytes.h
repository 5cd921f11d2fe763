/*
 * cache_bytes.h - numbers and texts to bytes and back, for the files of the
 * cache.
 *
 * Numbers are little-endian base 128, signed ones zigzag; a text is its
 * length, its bytes and a NUL, so that it can be used where it lies.  A sink
 * or source that has failed stays failed: callers ask once, at the end.
 */
#ifndef OC_RUNTIME_CACHE_BYTES_H
#define OC_RUNTIME_CACHE_BYTES_H

#include "base/memory.h"

typedef struct oc__sink {
    const oc_allocator *allocator;
    unsigned char *data;
    size_t n, room;
    int failed; /* out of memory */
} oc__sink;

void oc__sink_init(oc__sink *s, const oc_allocator *a);
void oc__sink_deinit(oc__sink *s);
void oc__sink_raw(oc__sink *s, const void *data, size_t bytes);
void oc__sink_uint(oc__sink *s, uint64_t v);
void oc__sink_int(oc__sink *s, int64_t v);
void oc__sink_text(oc__sink *s, const char *text);
/** A text that may hold NUL bytes. */
void oc__sink_string(oc__sink *s, const oc_string *text);

typedef struct oc__source {
    const unsigned char *at;
    size_t left;
    int bad;
} oc__source;

/** `bytes` bytes; NULL once bad. */
const void *oc__source_raw(oc__source *s, size_t bytes);
/** At most max, or the source is bad and 0 returned. */
uint64_t oc__source_uint(oc__source *s, uint64_t max);
int64_t oc__source_int(oc__source *s);
/** How many of something follow, each at least one byte long. */
size_t oc__source_count(oc__source *s);
/** "" once bad; lies in the source's bytes. */
const char *oc__source_text(oc__source *s);
void oc__source_string(oc__source *s, oc_string *out);

#endif
