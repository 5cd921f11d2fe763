/*
 * blake3_private.h - what blake3.c shares with blake3_avx2.c.  Users include
 * blake3.h.  The tables stand here so that both see them as constants.
 */
#ifndef OC_BASE_BLAKE3_PRIVATE_H
#define OC_BASE_BLAKE3_PRIVATE_H

#include "base/blake3.h"

enum {
    OC_BLAKE3_LANES = 8,
    OC_BLAKE3_BLOCK = 64,
    OC_BLAKE3_CHUNK = 1024,
};

/** What a block is, for the compression function. */
enum {
    OC_BLAKE3_CHUNK_START = 1,
    OC_BLAKE3_CHUNK_END = 2,
    OC_BLAKE3_PARENT = 4,
    OC_BLAKE3_ROOT = 8,
};

static const uint32_t oc__blake3_iv[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372,
                                          0xa54ff53a, 0x510e527f, 0x9b05688c,
                                          0x1f83d9ab, 0x5be0cd19};

/* Table 2, applied once more in each round. */
static const uint8_t oc__blake3_order[7][16] = {
    {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
    {2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8},
    {3, 4, 10, 12, 13, 2, 7, 14, 6, 5, 9, 0, 11, 15, 8, 1},
    {10, 7, 12, 9, 14, 3, 13, 15, 4, 0, 11, 2, 5, 8, 1, 6},
    {12, 13, 9, 11, 15, 10, 14, 8, 7, 2, 5, 3, 0, 1, 6, 4},
    {9, 14, 11, 5, 8, 12, 15, 1, 13, 3, 0, 10, 2, 6, 4, 7},
    {11, 15, 5, 0, 1, 9, 8, 6, 14, 10, 2, 12, 3, 4, 7, 13},
};

/** Whether this machine runs oc__blake3_eight(). */
int oc__blake3_has_eight(void);
/**
 * Eight inputs of `blocks` whole blocks, `step` bytes apart; out receives
 * their eight chaining values.  Input i counts as number `counter` + i, or all
 * as 0 (parents).  first and last are the flags of the first and last block.
 */
void oc__blake3_eight(const uint8_t *in, size_t step, size_t blocks,
                      uint64_t counter, int count, uint32_t flags,
                      uint32_t first, uint32_t last, uint8_t *out);

#endif
