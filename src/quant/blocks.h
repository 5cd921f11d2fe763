/*
 * blocks.h - weights of products with a scale for each block of a column.
 *
 * Codes are those of com.microsoft's MatMulNBits: unsigned, 2^(bits - 1) stands
 * for 0, low bits first; each column has its blocks one after another:
 *
 *     codes   u8   (columns, blocks, block * bits / 8)
 *     scales  f32  (columns, blocks)
 *
 * With samples of the input, errors are fed on to the weights that follow, by
 * what goes together in the samples (GPTQ, Frantar et al., arXiv:2210.17323),
 * among OC_BLOCKS_REACH rows at a time: their products are all that is kept.
 */
#ifndef OC_QUANT_BLOCKS_H
#define OC_QUANT_BLOCKS_H

#include <ocelli/ocelli.h>

#include <stddef.h>
#include <stdint.h>

enum { OC_BLOCKS_REACH = 128 };

/** A matrix of k rows and n columns, as a product takes it. */
typedef struct oc__blocks {
    const float *w;
    int64_t k, n, k_stride, n_stride;
    int bits;      /* 4 or 8 */
    int64_t block; /* rows of one scale; divides OC_BLOCKS_REACH */
} oc__blocks;

/** Blocks of a column. */
int64_t oc__blocks_count(const oc__blocks *b);
/** Bytes of all codes; SIZE_MAX when there are too many. */
size_t oc__blocks_bytes(const oc__blocks *b);

/** Floats of the products of k inputs; SIZE_MAX when there are too many. */
size_t oc__blocks_gram_elems(int64_t k);
/** Adds the products of `rows` inputs of k each. */
void oc__blocks_gram_add(float *gram, const float *x, int64_t rows, int64_t k);

/** What rounding does, in dB above its noise; 200: nothing. */
typedef struct oc__blocks_noise {
    double weight_db;  /* of the weights */
    double product_db; /* of the products with the samples; 0 without them */
} oc__blocks_noise;

/**
 * Rounds.
 *   gram    of the samples; NULL: to the nearest
 *   codes   oc__blocks_bytes() of them; NULL: the noise alone is wanted
 *   scales  n * oc__blocks_count(); NULL likewise
 * Errors: E_NOMEM.
 */
oc_status oc__blocks_round(const oc__blocks *b, const float *gram,
                           uint8_t *codes, float *scales,
                           oc__blocks_noise *noise, const oc_allocator *a);

#endif
