/* answer_cache.c - see answer_cache.h. */
#include "answer_cache.h"

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <microhttpd.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* One answer may take this share of the room: a picture must not empty it. */
enum { BUCKETS = 4096, LARGEST_SHARE = 8 };

typedef struct entry {
    struct entry *chain;         /* of its bucket */
    struct entry *newer, *older; /* by use */
    unsigned char key[REQUEST_KEY_BYTES];
    const char *type, *model_label; /* static, or the repository's */
    int n_headers;
    request_reply_header *headers;
    size_t bytes;
    char answer[];
} entry;

struct answer_cache {
    pthread_mutex_t lock;
    size_t limit, bytes, n;
    uint64_t hits, misses;
    entry *newest, *oldest;
    entry *buckets[BUCKETS];
};

oc_status answer_cache_create(answer_cache **out, size_t bytes, oc_error *err) {
    *out = NULL;
    if (!bytes) return OC_OK;
    answer_cache *c = calloc(1, sizeof *c);
    if (!c) return server_fail(err, OC_E_NOMEM, "no memory for answers");
    pthread_mutex_init(&c->lock, NULL);
    c->limit = bytes;
    *out = c;
    return OC_OK;
}

static size_t size_of(const entry *e) {
    return sizeof *e + e->bytes + (size_t)e->n_headers * sizeof *e->headers;
}

static void entry_free(entry *e) {
    if (!e) return;
    free(e->headers);
    free(e);
}

void answer_cache_destroy(answer_cache *c) {
    if (!c) return;
    while (c->newest) {
        entry *older = c->newest->older;
        entry_free(c->newest);
        c->newest = older;
    }
    pthread_mutex_destroy(&c->lock);
    free(c);
}

/* ---- the key --------------------------------------------------------------
 */

/* With its length, so that no two lists of texts run into the same bytes. */
static int add(gnutls_hash_hd_t h, const void *data, size_t n) {
    uint64_t length = n;
    return gnutls_hash(h, &length, sizeof length) ||
           (n && gnutls_hash(h, data, n));
}

static int add_text(gnutls_hash_hd_t h, const char *text) {
    return add(h, text ? text : "", text ? strlen(text) : 0);
}

typedef struct adding {
    gnutls_hash_hd_t h;
    int failed;
} adding;

/* When it is served changes nothing in the answer. */
static enum MHD_Result add_query(void *cls, enum MHD_ValueKind kind,
                                 const char *name, const char *value) {
    adding *a = cls;
    (void)kind;
    if (strcmp(name, "priority") != 0 && strcmp(name, "timeout_ms") != 0)
        a->failed |= add_text(a->h, name) || add_text(a->h, value);
    return MHD_YES;
}

/* Nonzero: it could not be made. */
static int make_key(request *r) {
    static const char *const headers[] = {"Accept", "Content-Type",
                                          "Inference-Header-Content-Length"};
    adding a = {NULL, 0};
    uint64_t state = repo_state(r->server->repo);
    if (gnutls_hash_init(&a.h, GNUTLS_DIG_SHA256)) return 1;
    a.failed = add(a.h, &state, sizeof state) || add_text(a.h, r->path);
    for (size_t i = 0; i < COUNT_OF(headers); i++) {
        a.failed |= add_text(a.h, request_header(r, headers[i]));
    }
    MHD_get_connection_values(r->connection, MHD_GET_ARGUMENT_KIND, add_query,
                              &a);
    a.failed |= add(a.h, r->body.data, r->body.size);
    gnutls_hash_deinit(a.h, r->key);
    return a.failed;
}

/* ---- entries --------------------------------------------------------------
 * All of this holds the lock.
 */

static entry **bucket_of(answer_cache *c, const unsigned char *key) {
    return &c->buckets[(key[0] | key[1] << 8) % BUCKETS];
}

static entry *find(answer_cache *c, const unsigned char *key) {
    entry *e = *bucket_of(c, key);
    while (e && memcmp(e->key, key, sizeof e->key) != 0)
        e = e->chain;
    return e;
}

static void link_entry(answer_cache *c, entry *e) {
    e->newer = NULL;
    e->older = c->newest;
    if (c->newest)
        c->newest->newer = e;
    else
        c->oldest = e;
    c->newest = e;
}

static void unlink_entry(answer_cache *c, entry *e) {
    if (e->newer)
        e->newer->older = e->older;
    else
        c->newest = e->older;
    if (e->older)
        e->older->newer = e->newer;
    else
        c->oldest = e->newer;
}

static void drop_oldest(answer_cache *c) {
    entry *e = c->oldest, **at = bucket_of(c, e->key);
    while (*at != e)
        at = &(*at)->chain;
    *at = e->chain;
    unlink_entry(c, e);
    c->bytes -= size_of(e);
    c->n--;
    entry_free(e);
}

/* ---- for requests ---------------------------------------------------------
 */

static void give(const entry *e, request *r) {
    char *copy = malloc(e->bytes + 1);
    if (!copy) {
        reply_error(r, 503, "no memory for the answer");
        return;
    }
    memcpy(copy, e->answer, e->bytes);
    r->model_label = e->model_label;
    for (int i = 0; i < e->n_headers; i++) {
        reply_header(r, e->headers[i].name, "%s", e->headers[i].value);
    }
    reply_bytes(r, 200, e->type, copy, e->bytes);
}

int answer_cache_get(answer_cache *c, request *r) {
    if (!c || make_key(r)) return 0;
    pthread_mutex_lock(&c->lock);
    entry *e = find(c, r->key);
    if (e) {
        c->hits++;
        unlink_entry(c, e);
        link_entry(c, e);
        give(e, r);
    } else {
        c->misses++;
    }
    pthread_mutex_unlock(&c->lock);
    r->has_key = !e;
    /* RFC 9211 */
    reply_header(r, "Cache-Status", "ocelli; %s", e ? "hit" : "fwd=miss");
    return e != NULL;
}

/* Without its own Cache-Status, which the next one has anew. */
static entry *make_entry(const request *r) {
    entry *e = calloc(1, sizeof *e + r->answer_bytes);
    if (!e) return NULL;
    e->headers = calloc((size_t)r->n_headers + 1, sizeof *e->headers);
    if (!e->headers) {
        free(e);
        return NULL;
    }
    memcpy(e->key, r->key, sizeof e->key);
    e->type = r->type;
    e->model_label = r->model_label;
    for (int i = 0; i < r->n_headers; i++) {
        if (strcmp(r->headers[i].name, "Cache-Status") != 0)
            e->headers[e->n_headers++] = r->headers[i];
    }
    e->bytes = r->answer_bytes;
    memcpy(e->answer, r->answer, r->answer_bytes);
    return e;
}

void answer_cache_put(answer_cache *c, const request *r) {
    if (!c || !r->has_key || r->status != 200 || !r->answer ||
        r->answer_bytes > c->limit / LARGEST_SHARE)
        return;
    entry *e = make_entry(r);
    if (!e) return;
    pthread_mutex_lock(&c->lock);
    if (find(c, e->key)) { /* two asked the same at the same time */
        entry_free(e);
    } else {
        entry **at = bucket_of(c, e->key);
        e->chain = *at;
        *at = e;
        link_entry(c, e);
        c->bytes += size_of(e);
        c->n++;
        while (c->bytes > c->limit)
            drop_oldest(c);
    }
    pthread_mutex_unlock(&c->lock);
}

void answer_cache_look(answer_cache *c, answer_cache_state *out) {
    memset(out, 0, sizeof *out);
    if (!c) return;
    pthread_mutex_lock(&c->lock);
    out->hits = c->hits;
    out->misses = c->misses;
    out->entries = c->n;
    out->bytes = c->bytes;
    out->limit = c->limit;
    pthread_mutex_unlock(&c->lock);
}
