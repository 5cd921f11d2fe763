/* blake3.c - see blake3.h; section numbers are those of the BLAKE3 paper. */
#include "base/blake3_private.h"
#include "base/size.h"

#include <string.h>

enum { LANES = OC_BLAKE3_LANES, CHUNK = OC_BLAKE3_CHUNK };

static uint32_t load(const uint8_t *p) {
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
           (uint32_t)p[3] << 24;
}

static void store(uint8_t *p, const uint32_t w[8]) {
    for (int i = 0; i < 32; i++)
        p[i] = (uint8_t)(w[i / 4] >> 8 * (i % 4));
}

static uint32_t turn(uint32_t x, int n) {
    return x >> n | x << (32 - n);
}

/* The quarter round (2.2) on the words a, b, c, d of the state. */
static void mix(uint32_t *s, int a, int b, int c, int d, uint32_t x,
                uint32_t y) {
    s[a] += s[b] + x;
    s[d] = turn(s[d] ^ s[a], 16);
    s[c] += s[d];
    s[b] = turn(s[b] ^ s[c], 12);
    s[a] += s[b] + y;
    s[d] = turn(s[d] ^ s[a], 8);
    s[c] += s[d];
    s[b] = turn(s[b] ^ s[c], 7);
}

/* cv becomes the chaining value after one block of n bytes. */
static void compress(uint32_t cv[8], const uint8_t *block, size_t n,
                     uint64_t counter, uint32_t flags) {
    uint8_t padded[64] = {0};
    uint32_t m[16], s[16];
    if (n) memcpy(padded, block, n);
    for (int i = 0; i < 16; i++)
        m[i] = load(padded + 4 * i);
    memcpy(s, cv, 8 * sizeof *s);
    memcpy(s + 8, oc__blake3_iv, 4 * sizeof *s);
    s[12] = (uint32_t)counter;
    s[13] = (uint32_t)(counter >> 32);
    s[14] = (uint32_t)n;
    s[15] = flags;
    for (int r = 0; r < 7; r++) {
        const uint8_t *o = oc__blake3_order[r];
        for (int i = 0; i < 4; i++)
            mix(s, i, 4 + i, 8 + i, 12 + i, m[o[2 * i]], m[o[2 * i + 1]]);
        for (int i = 0; i < 4; i++)
            mix(s, i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4,
                m[o[8 + 2 * i]], m[o[9 + 2 * i]]);
    }
    for (int i = 0; i < 8; i++)
        cv[i] = s[i] ^ s[i + 8];
}

/* The chaining value of a chunk of at most 1 KiB (2.4). */
static void chunk(const uint8_t *p, size_t n, uint64_t counter, uint32_t root,
                  uint8_t *out) {
    uint32_t cv[8], flags = OC_BLAKE3_CHUNK_START;
    memcpy(cv, oc__blake3_iv, sizeof cv);
    for (; n > 64; n -= 64, p += 64) {
        compress(cv, p, 64, counter, flags);
        flags = 0;
    }
    compress(cv, p, n, counter, flags | OC_BLAKE3_CHUNK_END | root);
    store(out, cv);
}

/* The chaining value over those of two children, 64 bytes (2.5). */
static void parent(const uint8_t *pair, uint32_t root, uint8_t *out) {
    uint32_t cv[8];
    memcpy(cv, oc__blake3_iv, sizeof cv);
    compress(cv, pair, 64, 0, OC_BLAKE3_PARENT | root);
    store(out, cv);
}

/* Up to LANES chunks; returns how many chaining values there are. */
static size_t chunks(const uint8_t *p, size_t n, uint64_t counter,
                     uint8_t *out) {
    if (n == (size_t)LANES * CHUNK && oc__blake3_has_eight()) {
        oc__blake3_eight(p, CHUNK, CHUNK / OC_BLAKE3_BLOCK, counter, 1, 0,
                         OC_BLAKE3_CHUNK_START, OC_BLAKE3_CHUNK_END, out);
        return LANES;
    }
    size_t count = 0;
    for (; n; count++) {
        size_t take = OC_MIN(n, (size_t)CHUNK);
        chunk(p, take, counter + count, 0, out + 32 * count);
        p += take;
        n -= take;
    }
    return count;
}

/* The level above `count` chaining values; an odd one goes up as it is. */
static size_t parents(const uint8_t *cvs, size_t count, uint8_t *out) {
    size_t pairs = count / 2, i = 0;
    if (pairs == LANES && oc__blake3_has_eight()) {
        oc__blake3_eight(cvs, 64, 1, 0, 0, OC_BLAKE3_PARENT, 0, 0, out);
        i = pairs;
    }
    for (; i < pairs; i++)
        parent(cvs + 64 * i, 0, out + 32 * i);
    if (count % 2) memcpy(out + 32 * pairs, cvs + 64 * pairs, 32);
    return pairs + count % 2;
}

/*
 * A subtree of more than one chunk, but for its topmost levels: at least 2
 * and at most LANES chaining values.  The left part of a tree is the largest
 * power of two of chunks that leaves something to the right (2.1).
 */
static size_t subtree(const uint8_t *p, size_t n, uint64_t counter,
                      uint8_t *out) {
    uint8_t cvs[2 * LANES * 32];
    if (n <= (size_t)LANES * CHUNK) return chunks(p, n, counter, out);
    size_t left = CHUNK;
    while (left <= (n - 1) / 2)
        left *= 2;
    size_t count = subtree(p, left, counter, cvs);
    count +=
        subtree(p + left, n - left, counter + left / CHUNK, cvs + 32 * count);
    return parents(cvs, count, out);
}

void oc__blake3(const void *data, size_t n, uint8_t out[OC_BLAKE3_BYTES]) {
    uint8_t cvs[LANES * 32], up[LANES * 32];
    if (n <= CHUNK) {
        chunk(data, n, 0, OC_BLAKE3_ROOT, out);
        return;
    }
    size_t count = subtree(data, n, 0, cvs);
    while (count > 2) {
        count = parents(cvs, count, up);
        memcpy(cvs, up, 32 * count);
    }
    parent(cvs, OC_BLAKE3_ROOT, out);
}
