/*
 * answer_cache.h - answers that were given before, found by what was asked.
 *
 * A key is the SHA-256 of all an answer depends on: the path, the query, the
 * headers that choose a form, the body, and the state of the repository, so
 * that another set of models has other keys.  What is least recently used goes
 * first when the bytes are used up.
 */
#ifndef OCELLI_SERVER_ANSWER_CACHE_H
#define OCELLI_SERVER_ANSWER_CACHE_H

#include "request.h"

typedef struct answer_cache answer_cache;

/** bytes 0: *out is NULL, which all others take for a cache without room. */
oc_status answer_cache_create(answer_cache **out, size_t bytes, oc_error *err);
void answer_cache_destroy(answer_cache *c);

/**
 * Whether the answer was there; it is r's now.  Otherwise r has the key for
 * answer_cache_put().  To be called before the handler, which may change the
 * body in place.
 */
int answer_cache_get(answer_cache *c, request *r);
/** Keeps r's answer, if it has a key and the answer is good. */
void answer_cache_put(answer_cache *c, const request *r);

typedef struct answer_cache_state {
    uint64_t hits, misses;
    size_t entries, bytes, limit;
} answer_cache_state;
void answer_cache_look(answer_cache *c, answer_cache_state *out);

#endif
