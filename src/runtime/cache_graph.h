/*
 * cache_graph.h - a graph to bytes and back.
 *
 * Operators go by name, everything else by number.  The data of constants is
 * not among the bytes: it is listed in oc__blobs, lies in the file as it lies
 * in memory, and is used from there.  Constants nobody reads are left out.
 */
#ifndef OC_RUNTIME_CACHE_GRAPH_H
#define OC_RUNTIME_CACHE_GRAPH_H

#include "graph/graph.h"
#include "runtime/cache_bytes.h"

/** Data of constants; what several share stands once. */
typedef struct oc__blob {
    const void *data;
    size_t bytes;
} oc__blob;

typedef struct oc__blobs {
    const oc_allocator *allocator;
    oc__blob *list;
    size_t n, room;
    int failed; /* out of memory */
} oc__blobs;

void oc__blobs_deinit(oc__blobs *b);

/** Adds g to s and its constants to b; either may have failed afterwards. */
void oc__graph_put(oc__sink *s, oc__blobs *b, const oc__graph *g);

/**
 * Reads a graph into `arena`; its texts stay in s's bytes, its constants in
 * blobs.  What comes out has passed oc__graph_verify() and the operators'
 * arity; shapes are for inference to find.
 * Errors: E_FORMAT, E_UNSUPPORTED, E_NOMEM; outside bytes are not trusted.
 */
oc_status oc__graph_get(oc__graph **out, oc__arena *arena, oc__source *s,
                        const oc__blob *blobs, size_t n_blobs, oc_error *err);

#endif
