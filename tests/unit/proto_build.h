/*
 * proto_build.h - protobuf messages by hand, for tests of the readers.
 *
 *     static pb graph;                      // zeroed
 *     pb_string(&graph, 2, "g");
 *     pb_message(&model, 7, &graph);
 *
 * Independent of the library's own writer: forwards, with fixed room.
 */
#ifndef OC_TESTS_PROTO_BUILD_H
#define OC_TESTS_PROTO_BUILD_H

#include <assert.h>
#include <stdint.h>
#include <string.h>

enum { PB_ROOM = 1 << 16 };

typedef struct pb {
    uint8_t data[PB_ROOM];
    size_t n;
} pb;

static inline void pb_raw(pb *m, const void *data, size_t n) {
    assert(n <= PB_ROOM - m->n);
    memcpy(m->data + m->n, data, n);
    m->n += n;
}

static inline void pb_varint(pb *m, uint64_t v) {
    do {
        uint8_t byte = (uint8_t)((v & 127) | (v > 127 ? 128 : 0));
        pb_raw(m, &byte, 1);
        v >>= 7;
    } while (v);
}

static inline void pb_int(pb *m, unsigned field, int64_t v) {
    pb_varint(m, (uint64_t)field << 3);
    pb_varint(m, (uint64_t)v);
}

static inline void pb_bytes(pb *m, unsigned field, const void *data, size_t n) {
    pb_varint(m, (uint64_t)field << 3 | 2);
    pb_varint(m, n);
    pb_raw(m, data, n);
}

static inline void pb_string(pb *m, unsigned field, const char *s) {
    pb_bytes(m, field, s, strlen(s));
}

static inline void pb_message(pb *m, unsigned field, const pb *inner) {
    pb_bytes(m, field, inner->data, inner->n);
}

#endif
