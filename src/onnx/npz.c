/*
 * npz.c - arrays out of zip archives; see npy.h.
 *
 *     [local header, name, extra, data] ... [central directory] [end record]
 *
 * The end record is looked for from the end of the file; the central
 * directory has sizes and names, local headers only tell where data starts.
 */
#include "onnx/npy.h"

#include "base/inflate.h"

#include <string.h>

enum {
    END_BYTES = 22,
    END_MAGIC = 0x06054b50,
    ENTRY_BYTES = 46,
    ENTRY_MAGIC = 0x02014b50,
    LOCAL_BYTES = 30,
    LOCAL_MAGIC = 0x04034b50,
    STORED = 0,
    DEFLATED = 8,
};

typedef struct entry {
    const uint8_t *name;
    size_t name_bytes;
    unsigned method, flags;
    uint32_t crc;
    uint64_t packed, size, local; /* bytes, bytes, offset */
} entry;

static uint64_t le(const uint8_t *p, int bytes) {
    uint64_t v = 0;
    for (int i = bytes - 1; i >= 0; i--) {
        v = v << 8 | p[i];
    }
    return v;
}

static oc_status damaged(oc_error *err) {
    return oc__fail(err, OC_E_FORMAT, "not a .npz file, or a damaged one");
}

/* Sizes that do not fit 32 bits are all ones there and stand in an extra. */
static void read_zip64(entry *e, const uint8_t *extra, size_t n) {
    while (n >= 4) {
        size_t bytes = (size_t)le(extra + 2, 2);
        if (bytes > n - 4) return;
        if (le(extra, 2) == 1) {
            const uint8_t *p = extra + 4, *end = p + bytes;
            uint64_t *fields[] = {&e->size, &e->packed, &e->local};
            for (int i = 0; i < 3; i++) {
                if (*fields[i] != 0xffffffff || end - p < 8) continue;
                *fields[i] = le(p, 8);
                p += 8;
            }
            return;
        }
        extra += 4 + bytes;
        n -= 4 + bytes;
    }
}

/* The entry at *at of the central directory; 1 when there is none. */
static int read_entry(const uint8_t *data, size_t bytes, size_t *at, entry *e) {
    if (*at > bytes || bytes - *at < ENTRY_BYTES) return 1;
    const uint8_t *p = data + *at;
    if (le(p, 4) != ENTRY_MAGIC) return 1;
    size_t name = (size_t)le(p + 28, 2), extra = (size_t)le(p + 30, 2);
    size_t comment = (size_t)le(p + 32, 2);
    if (bytes - *at - ENTRY_BYTES < name + extra + comment) return 1;
    e->flags = (unsigned)le(p + 8, 2);
    e->method = (unsigned)le(p + 10, 2);
    e->crc = (uint32_t)le(p + 16, 4);
    e->packed = le(p + 20, 4);
    e->size = le(p + 24, 4);
    e->local = le(p + 42, 4);
    e->name = p + ENTRY_BYTES;
    e->name_bytes = name;
    read_zip64(e, e->name + name, extra);
    *at += ENTRY_BYTES + name + extra + comment;
    return 0;
}

/* Offset of the central directory; 1 when this is no archive. */
static int find_directory(const uint8_t *data, size_t bytes, size_t *at) {
    if (bytes < END_BYTES) return 1;
    /* A comment of up to 65535 bytes may follow. */
    for (size_t back = END_BYTES; back <= bytes && back <= END_BYTES + 65535;
         back++) {
        const uint8_t *p = data + (bytes - back);
        if (le(p, 4) != END_MAGIC) continue;
        *at = (size_t)le(p + 16, 4);
        return *at >= bytes;
    }
    return 1;
}

static int is_named(const entry *e, const char *name) {
    size_t n = strlen(name);
    return e->name_bytes == n + 4 && !memcmp(e->name, name, n) &&
           !memcmp(e->name + n, ".npy", 4);
}

static oc_status unpack(oc_value *out, const uint8_t *packed, const entry *e,
                        oc_dtype expect, const oc_allocator *a, oc_error *err) {
    if (e->method == STORED) {
        if (e->size != e->packed || oc__crc32(packed, e->size) != e->crc) {
            return damaged(err);
        }
        return oc__npy_read(out, packed, e->size, expect, a, err);
    }
    /* Deflate makes at most 1032 bytes of one. */
    if (e->method != DEFLATED || e->size / 1032 > e->packed) {
        return e->method == DEFLATED
                   ? damaged(err)
                   : oc__fail(err, OC_E_UNSUPPORTED,
                              "compression method %u in a .npz file",
                              e->method);
    }
    void *plain = oc__alloc(a, e->size);
    if (!plain) return oc__fail_nomem(err);
    oc_status st = oc__inflate(packed, e->packed, plain, e->size, err);
    if (st == OC_OK && oc__crc32(plain, e->size) != e->crc) st = damaged(err);
    if (st == OC_OK) st = oc__npy_read(out, plain, e->size, expect, a, err);
    oc__release(a, plain, e->size);
    return st;
}

oc_status oc__npz_read(oc_value *out, const void *data, size_t bytes,
                       const char *name, oc_dtype expect, const oc_allocator *a,
                       oc_error *err) {
    const uint8_t *p = data;
    size_t at, count = 0, total = 0;
    entry e, found = {0};
    if (find_directory(p, bytes, &at)) return damaged(err);
    while (!read_entry(p, bytes, &at, &e)) {
        total++;
        if (name && !is_named(&e, name)) continue;
        if (!count++) found = e;
    }
    if (!count || (!name && count > 1)) {
        return oc__fail(err, OC_E_FORMAT,
                        name ? "the archive has no array \"%s\""
                             : "the archive has %s array",
                        name    ? name
                        : total ? "more than one"
                                : "no");
    }
    if (found.flags & 1) {
        return oc__fail(err, OC_E_UNSUPPORTED, "the archive is encrypted");
    }
    if (found.local > bytes || bytes - found.local < LOCAL_BYTES ||
        le(p + found.local, 4) != LOCAL_MAGIC) {
        return damaged(err);
    }
    const uint8_t *local = p + found.local;
    size_t skip =
        LOCAL_BYTES + (size_t)le(local + 26, 2) + (size_t)le(local + 28, 2);
    if (skip > bytes - found.local ||
        found.packed > bytes - found.local - skip) {
        return damaged(err);
    }
    return unpack(out, local + skip, &found, expect, a, err);
}
