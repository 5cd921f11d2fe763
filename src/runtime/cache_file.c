/* cache_file.c - see cache_file.h. */
#include "runtime/cache_file.h"

#include "base/size.h"
#include "base/xxh64.h"

#include <stdatomic.h>
#include <string.h>

/* Changes with anything in a file that the version of the library and its
   build do not tell. */
enum { FORMAT = 2, SLICE = 1 << 20 };

static const char magic[8] = {'o', 'c', 'e', 'l', 'l', 'i', '\r', '\n'};

_Static_assert(sizeof(oc__cache_header) == 64, "the header has no gaps");

static uint64_t check_of(const oc__cache_header *h, const void *meta,
                         size_t bytes) {
    oc__cache_header copy = *h;
    copy.check = 0;
    return oc__xxh64(meta, bytes, oc__xxh64(&copy, sizeof(copy), 0));
}

/* ---- checksums of blobs, a slice at a time --------------------------------
 */

typedef struct slice {
    const unsigned char *data;
    size_t bytes;
} slice;

typedef struct slices {
    slice *list;
    size_t n;
    uint64_t *sums;
    atomic_int differ;
    const unsigned char *expected; /* or NULL: fill sums */
} slices;

static size_t slice_count(const oc__blob *blobs, size_t n) {
    size_t count = 0;
    for (size_t i = 0; i < n; i++)
        count += blobs[i].bytes / SLICE + (blobs[i].bytes % SLICE != 0);
    return count;
}

static void cut(slices *s, const oc__blob *blobs, size_t n) {
    s->n = 0;
    for (size_t i = 0; i < n; i++)
        for (size_t at = 0; at < blobs[i].bytes; at += SLICE)
            s->list[s->n++] =
                (slice){(const unsigned char *)blobs[i].data + at,
                        OC_MIN((size_t)SLICE, blobs[i].bytes - at)};
}

static void sum_slice(void *ctx, int task, int worker) {
    slices *s = ctx;
    (void)worker;
    uint64_t sum = oc__xxh64(s->list[task].data, s->list[task].bytes, 0);
    if (!s->expected)
        s->sums[task] = sum;
    else if (memcmp(&sum, s->expected + 8 * (size_t)task, 8))
        atomic_store(&s->differ, 1);
}

/* ---- reading --------------------------------------------------------------
 */

static oc_status damaged(oc_error *err, const char *what) {
    return oc__fail(err, OC_E_FORMAT, "the cached file has a damaged %s", what);
}

static oc_status check_header(oc__cache_header *h, const void *data,
                              size_t bytes, const oc__cache_key *key,
                              oc_error *err) {
    if (bytes < sizeof(*h)) return damaged(err, "header");
    memcpy(h, data, sizeof(*h));
    if (memcmp(h->magic, magic, sizeof(magic)) || h->format != FORMAT ||
        h->header_bytes != sizeof(*h) || h->file_bytes != bytes)
        return damaged(err, "header");
    if (h->meta_bytes > bytes - sizeof(*h)) return damaged(err, "header");
    if (check_of(h, (const char *)data + sizeof(*h), (size_t)h->meta_bytes) !=
        h->check)
        return damaged(err, "header");
    if (memcmp(h->key, key->bytes, sizeof(h->key)))
        return oc__fail(err, OC_E_FORMAT,
                        "the cached file is about another "
                        "model");
    return OC_OK;
}

/* The gap behind blob bytes that end at `at`; 0 when it is not of zeros. */
static int gap_is_empty(const unsigned char *data, size_t at, size_t next) {
    for (; at < next; at++)
        if (data[at]) return 0;
    return 1;
}

/* Blobs follow one another, so sizes say where they are. */
static oc_status find_blobs(oc__cache_entry *e, const unsigned char *data,
                            const oc__cache_header *h, oc__arena *arena,
                            oc_error *err) {
    size_t end = sizeof(*h) + (size_t)h->meta_bytes;
    size_t n = oc__source_count(&e->meta);
    e->blobs = oc__arena_array(arena, n, sizeof(*e->blobs));
    if (!e->blobs) return oc__fail_nomem(err);
    for (size_t i = 0; i < n; i++) {
        size_t size = (size_t)oc__source_uint(&e->meta, SIZE_MAX);
        size_t at = oc__align_up(end, OC_ALIGN);
        if (e->meta.bad || at > h->file_bytes || size > h->file_bytes - at ||
            !gap_is_empty(data, end, at))
            return damaged(err, "list of constants");
        e->blobs[i] = (oc__blob){data + at, size};
        end = at + size;
    }
    e->n_blobs = n;
    return e->meta.bad || end != h->file_bytes ? damaged(err, "length") : OC_OK;
}

static oc_status check_blobs(oc__cache_entry *e, oc__arena *arena,
                             oc__pool *pool, oc_error *err) {
    slices s = {0};
    size_t n = slice_count(e->blobs, e->n_blobs);
    if (n > INT32_MAX || n > e->meta.left / 8)
        return damaged(err, "list of checksums");
    s.expected = oc__source_raw(&e->meta, 8 * n);
    s.list = oc__arena_array(arena, n, sizeof(*s.list));
    if (!s.list) return oc__fail_nomem(err);
    atomic_init(&s.differ, 0);
    cut(&s, e->blobs, e->n_blobs);
    oc__pool_run(pool, (int)s.n, sum_slice, &s);
    return atomic_load(&s.differ) ? damaged(err, "constant") : OC_OK;
}

oc_status oc__cache_parse(oc__cache_entry *out, const void *data, size_t bytes,
                          const oc__cache_key *key, oc__arena *arena,
                          oc__pool *pool, oc_error *err) {
    oc__cache_header h;
    oc__cache_entry e = {0};
    OC_TRY(check_header(&h, data, bytes, key, err));
    e.meta.at = (const unsigned char *)data + sizeof(h);
    e.meta.left = (size_t)h.meta_bytes;
    OC_TRY(find_blobs(&e, data, &h, arena, err));
    OC_TRY(check_blobs(&e, arena, pool, err));
    *out = e;
    return OC_OK;
}

/* ---- writing --------------------------------------------------------------
 */

/* Header, meta, then before each blob the gap that aligns it. */
static oc_status write_pieces(const char *path, oc__cache_header *h,
                              const oc__sink *meta, const oc__blobs *blobs,
                              oc_error *err) {
    static const char zeros[OC_ALIGN];
    const oc_allocator *a = meta->allocator;
    size_t n = 2 + 2 * blobs->n, used = 2;
    oc__piece *list = oc__calloc(a, n, sizeof(*list));
    if (!list) return oc__fail_nomem(err);
    size_t end = sizeof(*h) + meta->n;
    for (size_t i = 0; i < blobs->n; i++) {
        size_t at = oc__align_up(end, OC_ALIGN);
        list[used++] = (oc__piece){zeros, at - end};
        list[used++] = (oc__piece){blobs->list[i].data, blobs->list[i].bytes};
        end = at + blobs->list[i].bytes;
    }
    h->meta_bytes = meta->n;
    h->file_bytes = end;
    h->blob_bytes = end - sizeof(*h) - meta->n;
    h->check = check_of(h, meta->data, meta->n);
    list[0] = (oc__piece){h, sizeof(*h)};
    list[1] = (oc__piece){meta->data, meta->n};
    oc_status st = oc__file_write_private(path, list, n, err);
    oc__release(a, list, n * sizeof(*list));
    return st;
}

oc_status oc__cache_write(const char *path, const oc__cache_key *key,
                          const oc__sink *meta, const oc__blobs *blobs,
                          oc__pool *pool, oc_error *err) {
    const oc_allocator *a = meta->allocator;
    oc__cache_header h = {.format = FORMAT, .header_bytes = sizeof(h)};
    slices s = {0};
    size_t n = slice_count(blobs->list, blobs->n);
    if (n > INT32_MAX) return oc__fail(err, OC_E_LIMIT, "too much to cache");
    memcpy(h.magic, magic, sizeof(magic));
    memcpy(h.key, key->bytes, sizeof(h.key));
    oc_status st = OC_OK;
    oc__sink all;
    oc__sink_init(&all, a);
    s.list = oc__calloc(a, n, sizeof(*s.list));
    s.sums = oc__calloc(a, n, sizeof(*s.sums));
    if (s.list && s.sums) {
        atomic_init(&s.differ, 0);
        cut(&s, blobs->list, blobs->n);
        oc__pool_run(pool, (int)s.n, sum_slice, &s);
        oc__sink_uint(&all, blobs->n);
        for (size_t i = 0; i < blobs->n; i++)
            oc__sink_uint(&all, blobs->list[i].bytes);
        oc__sink_raw(&all, s.sums, n * sizeof(*s.sums));
        oc__sink_raw(&all, meta->data, meta->n);
    }
    if (!s.list || !s.sums || all.failed)
        st = oc__fail_nomem(err);
    else
        st = write_pieces(path, &h, &all, blobs, err);
    oc__release(a, s.list, n * sizeof(*s.list));
    oc__release(a, s.sums, n * sizeof(*s.sums));
    oc__sink_deinit(&all);
    return st;
}

void oc__cache_seal(void *data, size_t bytes) {
    oc__cache_header h;
    if (bytes < sizeof(h)) return;
    memcpy(&h, data, sizeof(h));
    memcpy(h.magic, magic, sizeof(magic));
    h.format = FORMAT;
    h.header_bytes = sizeof(h);
    h.file_bytes = bytes;
    h.meta_bytes = OC_MIN(h.meta_bytes, (uint64_t)(bytes - sizeof(h)));
    unsigned char *p = data;
    oc__source s = {p + sizeof(h), (size_t)h.meta_bytes, 0};
    /* The sizes stand behind their number, the sums behind the sizes. */
    size_t n = oc__source_count(&s), at, end;
    oc__source sizes = s;
    for (size_t i = 0; i < n; i++)
        (void)oc__source_uint(&s, SIZE_MAX);
    at = (size_t)(s.at - p);
    end = sizeof(h) + (size_t)h.meta_bytes;
    for (size_t i = 0; i < n && !s.bad; i++) {
        size_t left = (size_t)oc__source_uint(&sizes, SIZE_MAX);
        end = oc__align_up(end, OC_ALIGN);
        if (end > bytes || left > bytes - end) break;
        for (; left && oc__source_raw(&s, 8); at += 8) {
            size_t part = OC_MIN(left, (size_t)SLICE);
            uint64_t sum = oc__xxh64(p + end, part, 0);
            memcpy(p + at, &sum, sizeof(sum));
            end += part;
            left -= part;
        }
    }
    h.check = check_of(&h, p + sizeof(h), (size_t)h.meta_bytes);
    memcpy(data, &h, sizeof(h));
}
