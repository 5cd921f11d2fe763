/*
 * memory.h - the allocator in use, arenas over it, reference-counted buffers.
 *
 * Three lifetimes cover the library: an arena (a model's graph, freed at
 * once), a buffer (tensor data shared by values, freed with its last
 * holder), and plain allocations owned by one object.
 */
#ifndef OC_BASE_MEMORY_H
#define OC_BASE_MEMORY_H

#include "base/status.h"

#define OC_ALIGN 64 /* a cache line, and the widest vector */

/** The default allocator: aligned malloc. */
extern const oc_allocator oc__default_allocator;

/** Allocates at least 1 byte, aligned to OC_ALIGN; NULL when out of memory. */
void *oc__alloc(const oc_allocator *a, size_t bytes);
/** Zeroed count*bytes with overflow check. */
void *oc__calloc(const oc_allocator *a, size_t count, size_t bytes);
/** Releases what oc__alloc gave; NULL is ignored. */
void oc__release(const oc_allocator *a, void *ptr, size_t bytes);

/* ---- arena --------------------------------------------------------------- */

typedef struct oc__arena_block oc__arena_block;

/**
 * A bump allocator: many small things, one lifetime.  Memory is zeroed.
 * Not thread-safe.
 */
typedef struct oc__arena {
    const oc_allocator *allocator;
    oc__arena_block *head;
    size_t total_bytes; /* given out, for summaries */
    size_t held_bytes;  /* taken from the allocator */
} oc__arena;

void oc__arena_init(oc__arena *a, const oc_allocator *allocator);
void oc__arena_deinit(oc__arena *a);
/** Zeroed, aligned to 16 (to OC_ALIGN from 256 bytes up); NULL: no memory. */
void *oc__arena_alloc(oc__arena *a, size_t bytes);
/** The same, not zeroed: for what is written as a whole at once. */
void *oc__arena_alloc_raw(oc__arena *a, size_t bytes);
/** count elements of `bytes` each, overflow-checked. */
void *oc__arena_array(oc__arena *a, size_t count, size_t bytes);
/** A NUL-terminated copy of n bytes of s. */
char *oc__arena_strndup(oc__arena *a, const char *s, size_t n);
char *oc__arena_strdup(oc__arena *a, const char *s);
char *oc__arena_printf(oc__arena *a, const char *format, ...) OC_PRINTF(2, 3);
/** A copy of n bytes. */
void *oc__arena_dup(oc__arena *a, const void *p, size_t n);

/**
 * Gives back early what was large enough for a block of its own (some 32 KiB)
 * and for whose address keep() returns 0.
 */
void oc__arena_sweep(oc__arena *a, int (*keep)(void *user, const void *p),
                     void *user);

/* ---- buffers ------------------------------------------------------------- */

/** Reference-counted memory.  Counting is atomic: buffers cross threads. */
typedef struct oc__buf oc__buf;

/** A buffer of `bytes` bytes with one reference; NULL: no memory. */
oc__buf *oc__buf_create(const oc_allocator *allocator, size_t bytes);
void *oc__buf_data(oc__buf *b);
size_t oc__buf_bytes(const oc__buf *b);
oc__buf *oc__buf_retain(oc__buf *b); /* NULL in, NULL out */
void oc__buf_release(oc__buf *b);    /* NULL is ignored */
/** Whether this is the only reference left. */
int oc__buf_is_last(const oc__buf *b);

#endif
