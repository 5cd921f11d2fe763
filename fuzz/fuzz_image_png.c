/*
 * fuzz_image_png.c - PNG files of any bytes.  Checksums are put right first:
 * else nearly every mutation would end at them.
 */
#include "image_target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint32_t crc32_of(const uint8_t *p, size_t n) {
    uint32_t crc = 0xFFFFFFFFu;
    for (size_t i = 0; i < n; i++) {
        crc ^= p[i];
        for (int k = 0; k < 8; k++)
            crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320u : 0);
    }
    return ~crc;
}

/** Chunks: length, name, data, checksum of name and data. */
static void mend(uint8_t *p, size_t size) {
    size_t at = 8;
    while (size >= at + 12) {
        size_t n = (size_t)p[at] << 24 | (size_t)p[at + 1] << 16 |
                   (size_t)p[at + 2] << 8 | p[at + 3];
        if (n > size - at - 12) break;
        uint32_t crc = crc32_of(p + at + 4, n + 4);
        for (int i = 0; i < 4; i++)
            p[at + 8 + n + (size_t)i] = (uint8_t)(crc >> (24 - 8 * i));
        at += n + 12;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    uint8_t *copy = malloc(size ? size : 1);
    if (!copy) return 0;
    memcpy(copy, data, size);
    mend(copy, size);
    fuzz_image(copy, size, "\x89PNG\r\n\x1a\n", 8);
    free(copy);
    return 0;
}
