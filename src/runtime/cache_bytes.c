/* cache_bytes.c - see cache_bytes.h. */
#include "runtime/cache_bytes.h"

#include "base/size.h"

#include <string.h>

void oc__sink_init(oc__sink *s, const oc_allocator *a) {
    memset(s, 0, sizeof(*s));
    s->allocator = a;
}

void oc__sink_deinit(oc__sink *s) {
    oc__release(s->allocator, s->data, s->room);
    oc__sink_init(s, s->allocator);
}

static int make_room(oc__sink *s, size_t bytes) {
    size_t need;
    if (s->failed || oc__size_add(s->n, bytes, &need)) return 0;
    if (need <= s->room) return 1;
    size_t room = OC_MAX(OC_MAX(need, (size_t)4096), s->room * 2);
    unsigned char *p = oc__alloc(s->allocator, room);
    if (!p) return 0;
    if (s->n) memcpy(p, s->data, s->n);
    oc__release(s->allocator, s->data, s->room);
    s->data = p;
    s->room = room;
    return 1;
}

void oc__sink_raw(oc__sink *s, const void *data, size_t bytes) {
    if (!make_room(s, bytes)) {
        s->failed = 1;
        return;
    }
    if (bytes) memcpy(s->data + s->n, data, bytes);
    s->n += bytes;
}

void oc__sink_uint(oc__sink *s, uint64_t v) {
    unsigned char bytes[10];
    size_t n = 0;
    for (; v >= 128; v >>= 7)
        bytes[n++] = (unsigned char)(v | 128);
    bytes[n++] = (unsigned char)v;
    oc__sink_raw(s, bytes, n);
}

void oc__sink_int(oc__sink *s, int64_t v) {
    oc__sink_uint(s, (uint64_t)v << 1 ^ (v < 0 ? UINT64_MAX : 0));
}

void oc__sink_string(oc__sink *s, const oc_string *text) {
    oc__sink_uint(s, text->bytes);
    oc__sink_raw(s, text->data, text->bytes);
    oc__sink_raw(s, "", 1);
}

void oc__sink_text(oc__sink *s, const char *text) {
    oc_string all = {text, strlen(text)};
    oc__sink_string(s, &all);
}

/* ---- reading --------------------------------------------------------------
 */

const void *oc__source_raw(oc__source *s, size_t bytes) {
    if (s->bad || bytes > s->left) {
        s->bad = 1;
        return NULL;
    }
    const void *p = s->at;
    s->at += bytes;
    s->left -= bytes;
    return p;
}

uint64_t oc__source_uint(oc__source *s, uint64_t max) {
    uint64_t v = 0;
    for (int shift = 0; shift < 64; shift += 7) {
        const unsigned char *p = oc__source_raw(s, 1);
        if (!p) return 0;
        /* The tenth byte has room for one bit only. */
        if (shift == 63 && *p > 1) break;
        v |= (uint64_t)(*p & 127) << shift;
        if (*p & 128) continue;
        if (v > max) break;
        return v;
    }
    s->bad = 1;
    return 0;
}

int64_t oc__source_int(oc__source *s) {
    uint64_t v = oc__source_uint(s, UINT64_MAX);
    return (int64_t)(v >> 1 ^ (v & 1 ? UINT64_MAX : 0));
}

size_t oc__source_count(oc__source *s) {
    return (size_t)oc__source_uint(s, s->left);
}

void oc__source_string(oc__source *s, oc_string *out) {
    size_t n = oc__source_count(s);
    const char *p = oc__source_raw(s, n);
    const char *end = oc__source_raw(s, 1);
    if (end && *end) s->bad = 1;
    out->data = s->bad ? "" : p;
    out->bytes = s->bad ? 0 : n;
}

const char *oc__source_text(oc__source *s) {
    oc_string text;
    oc__source_string(s, &text);
    return text.data;
}
