/*
 * inflate.c - see inflate.h.
 *
 * Canonical Huffman codes are decoded a bit at a time with two small arrays:
 * count[l] codes have length l, and symbol[] lists the symbols by code.  The
 * codes of length l are consecutive numbers, so a prefix is a code of this
 * length when it is less than first + count[l].  Tables would be faster; this
 * reads test data, and is easy to see right.
 */
#include "base/inflate.h"

#include <string.h>

enum { MAX_BITS = 15, MAX_LITERALS = 288, MAX_DISTANCES = 32 };

typedef struct huffman {
    uint16_t count[MAX_BITS + 1];
    uint16_t symbol[MAX_LITERALS];
} huffman;

typedef struct stream {
    const uint8_t *in, *in_end;
    uint8_t *out, *out_start, *out_end;
    uint32_t bits; /* read but not used, low ones first */
    int n_bits;
    int bad; /* the data ended, or makes no sense */
} stream;

static unsigned take(stream *s, int n) {
    while (s->n_bits < n) {
        if (s->in == s->in_end) {
            s->bad = 1;
            return 0;
        }
        s->bits |= (uint32_t)*s->in++ << s->n_bits;
        s->n_bits += 8;
    }
    unsigned v = s->bits & ((1u << n) - 1);
    s->bits >>= n;
    s->n_bits -= n;
    return v;
}

/* Builds the code from its lengths; 1 when more codes than fit. */
static int build(huffman *h, const uint8_t *lengths, int n) {
    uint16_t offset[MAX_BITS + 1];
    memset(h->count, 0, sizeof(h->count));
    for (int i = 0; i < n; i++) {
        h->count[lengths[i]]++;
    }
    int left = 1; /* codes still free at this length */
    for (int l = 1; l <= MAX_BITS; l++) {
        left = 2 * left - h->count[l];
        if (left < 0) return 1;
    }
    offset[1] = 0;
    for (int l = 1; l < MAX_BITS; l++) {
        offset[l + 1] = (uint16_t)(offset[l] + h->count[l]);
    }
    for (int i = 0; i < n; i++) {
        if (lengths[i]) h->symbol[offset[lengths[i]]++] = (uint16_t)i;
    }
    h->count[0] = 0;
    return 0;
}

static int decode(stream *s, const huffman *h) {
    int code = 0, first = 0, index = 0;
    for (int l = 1; l <= MAX_BITS; l++) {
        code |= (int)take(s, 1);
        if (s->bad) return -1;
        int count = h->count[l];
        if (code - count < first) return h->symbol[index + (code - first)];
        index += count;
        first = (first + count) << 1;
        code <<= 1;
    }
    s->bad = 1; /* an unused code */
    return -1;
}

static void copy_match(stream *s, unsigned length, unsigned distance) {
    if (distance > (size_t)(s->out - s->out_start) ||
        length > (size_t)(s->out_end - s->out)) {
        s->bad = 1;
        return;
    }
    /* A byte at a time: source and target may overlap, on purpose. */
    for (unsigned i = 0; i < length; i++) {
        s->out[i] = *(s->out + i - distance);
    }
    s->out += length;
}

static void block(stream *s, const huffman *literals,
                  const huffman *distances) {
    static const uint16_t length_base[29] = {
        3,  4,  5,  6,  7,  8,  9,  10, 11,  13,  15,  17,  19,  23, 27,
        31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258};
    static const uint8_t length_extra[29] = {0, 0, 0, 0, 0, 0, 0, 0, 1, 1,
                                             1, 1, 2, 2, 2, 2, 3, 3, 3, 3,
                                             4, 4, 4, 4, 5, 5, 5, 5, 0};
    static const uint16_t distance_base[30] = {
        1,    2,    3,    4,    5,    7,    9,    13,    17,    25,
        33,   49,   65,   97,   129,  193,  257,  385,   513,   769,
        1025, 1537, 2049, 3073, 4097, 6145, 8193, 12289, 16385, 24577};
    for (;;) {
        int symbol = decode(s, literals);
        if (s->bad || symbol == 256) return;
        if (symbol < 256) {
            if (s->out == s->out_end) {
                s->bad = 1;
                return;
            }
            *s->out++ = (uint8_t)symbol;
            continue;
        }
        symbol -= 257;
        if (symbol >= 29) break;
        unsigned length = length_base[symbol] + take(s, length_extra[symbol]);
        int d = decode(s, distances);
        if (s->bad || d >= 30) break;
        int extra = d < 2 ? 0 : d / 2 - 1;
        copy_match(s, length, distance_base[d] + take(s, extra));
        if (s->bad) return;
    }
    s->bad = 1;
}

static void stored_block(stream *s) {
    s->bits = 0; /* the rest of this byte is padding */
    s->n_bits = 0;
    if (s->in_end - s->in < 4) {
        s->bad = 1;
        return;
    }
    unsigned n = s->in[0] | (unsigned)s->in[1] << 8;
    unsigned inverse = s->in[2] | (unsigned)s->in[3] << 8;
    s->in += 4;
    if (n != (~inverse & 0xffff) || n > (size_t)(s->in_end - s->in) ||
        n > (size_t)(s->out_end - s->out)) {
        s->bad = 1;
        return;
    }
    memcpy(s->out, s->in, n);
    s->in += n;
    s->out += n;
}

static void fixed_block(stream *s) {
    uint8_t lengths[MAX_LITERALS];
    huffman literals, distances;
    memset(lengths, 8, 144);
    memset(lengths + 144, 9, 112);
    memset(lengths + 256, 7, 24);
    memset(lengths + 280, 8, 8);
    build(&literals, lengths, MAX_LITERALS);
    memset(lengths, 5, 30);
    build(&distances, lengths, 30);
    block(s, &literals, &distances);
}

/* Code lengths, themselves Huffman coded with runs. */
static void read_lengths(stream *s, const huffman *code, uint8_t *lengths,
                         int n) {
    for (int i = 0; i < n && !s->bad;) {
        int symbol = decode(s, code);
        if (s->bad) return;
        if (symbol < 16) {
            lengths[i++] = (uint8_t)symbol;
            continue;
        }
        uint8_t value = 0;
        unsigned run;
        if (symbol == 16) {
            if (i == 0) {
                s->bad = 1; /* nothing to repeat */
                return;
            }
            value = lengths[i - 1];
            run = 3 + take(s, 2);
        } else {
            run = symbol == 17 ? 3 + take(s, 3) : 11 + take(s, 7);
        }
        if (run > (unsigned)(n - i)) {
            s->bad = 1;
            return;
        }
        memset(lengths + i, value, run);
        i += (int)run;
    }
}

static void dynamic_block(stream *s) {
    static const uint8_t order[19] = {16, 17, 18, 0, 8,  7, 9,  6, 10, 5,
                                      11, 4,  12, 3, 13, 2, 14, 1, 15};
    uint8_t lengths[MAX_LITERALS + MAX_DISTANCES];
    huffman literals, distances;
    int n_literals = (int)take(s, 5) + 257;
    int n_distances = (int)take(s, 5) + 1;
    int n_codes = (int)take(s, 4) + 4;
    if (s->bad || n_literals > 286 || n_distances > 30) {
        s->bad = 1;
        return;
    }
    memset(lengths, 0, sizeof(lengths));
    for (int i = 0; i < n_codes; i++) {
        lengths[order[i]] = (uint8_t)take(s, 3);
    }
    s->bad |= build(&literals, lengths, 19);
    if (s->bad) return;
    memset(lengths, 0, sizeof(lengths));
    read_lengths(s, &literals, lengths, n_literals + n_distances);
    s->bad |= build(&literals, lengths, n_literals) ||
              build(&distances, lengths + n_literals, n_distances);
    if (!s->bad) block(s, &literals, &distances);
}

oc_status oc__inflate(const void *in, size_t in_bytes, void *out,
                      size_t out_bytes, oc_error *err) {
    static const uint8_t nothing;
    stream s;
    memset(&s, 0, sizeof(s));
    s.in = in_bytes ? in : &nothing;
    s.in_end = s.in + in_bytes;
    s.out = s.out_start = out;
    s.out_end = s.out + out_bytes;
    int last = 0;
    while (!last && !s.bad) {
        last = (int)take(&s, 1);
        switch (take(&s, 2)) {
        case 0: stored_block(&s); break;
        case 1: fixed_block(&s); break;
        case 2: dynamic_block(&s); break;
        default: s.bad = 1; break;
        }
    }
    if (s.bad || s.out != s.out_end) {
        return oc__fail(err, OC_E_FORMAT, "the compressed data is damaged");
    }
    return OC_OK;
}

uint32_t oc__crc32(const void *data, size_t bytes) {
    const uint8_t *p = data;
    uint32_t crc = 0xffffffffu;
    /* Four bits at a time: a table small enough to write down. */
    static const uint32_t table[16] = {
        0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4,
        0x4db26158, 0x5005713c, 0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
        0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c};
    for (size_t i = 0; i < bytes; i++) {
        crc ^= p[i];
        crc = crc >> 4 ^ table[crc & 15];
        crc = crc >> 4 ^ table[crc & 15];
    }
    return ~crc;
}
