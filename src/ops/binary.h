/*
 * binary.h - loops over two operands, for the wide types of lanes.h.
 */
#ifndef OC_OPS_BINARY_H
#define OC_OPS_BINARY_H

#include "ops/lanes.h"

enum oc__bin_kind {
    OC_BIN_ADD,
    OC_BIN_SUB,
    OC_BIN_MUL,
    OC_BIN_DIV, /* integers truncate; x / 0 is 0 */
    OC_BIN_MIN, /* NaN if either is */
    OC_BIN_MAX,
    OC_BIN_MEAN, /* as a job: Sum, then a division */
    OC_BIN_POW,
    OC_BIN_MOD,  /* the divisor's sign for integers, C's fmod for floats */
    OC_BIN_FMOD, /* the dividend's sign; x mod 0 is 0 for integers */
    OC_BIN_PRELU,
    OC_BIN_SHIFT_LEFT, /* shifting by the width or more gives 0 */
    OC_BIN_SHIFT_RIGHT,
    OC_BIN_BIT_AND,
    OC_BIN_BIT_OR,
    OC_BIN_BIT_XOR,
    /* From here to XOR the results are bytes, 0 or 1. */
    OC_BIN_EQUAL,
    OC_BIN_GREATER,
    OC_BIN_LESS,
    OC_BIN_GREATER_EQUAL,
    OC_BIN_LESS_EQUAL,
    OC_BIN_AND,
    OC_BIN_OR,
    OC_BIN_XOR,
};

/**
 * y[i] = a[i * a_step] op b[i * b_step].  a, b and y are of the wide types
 * the function was found for (y of a's, or bytes for comparisons).  y may be
 * a or b where its step is 1.
 */
typedef void oc__binary_fn(const void *a, size_t a_step, const void *b,
                           size_t b_step, void *y, size_t n);

/**
 * The loop for operands of these wide types; they are the same but for Pow.
 * NULL where the standard gives the combination no meaning.
 */
oc__binary_fn *oc__binary_find(int kind, oc__wide a, oc__wide b);

#endif
