/*
 * range.h - the range that 8 bits should cover, from values that stream by.
 *
 * A histogram whose bins double in width when values fall outside: nothing is
 * kept of the values themselves, and one pass over the data is enough.
 */
#ifndef OC_QUANT_RANGE_H
#define OC_QUANT_RANGE_H

#include <ocelli/quant.h>

#include <stddef.h>
#include <stdint.h>

enum { OC_RANGE_BINS = 2048 };

/** What is made of the values: an error counts as far as it is left of it. */
typedef enum oc__range_use {
    OC_RANGE_ANY,
    OC_RANGE_SILU,      /* x / (1 + exp(-x)) and nothing else */
    OC_RANGE_HARD_SWISH /* x * clip(x / 6 + 1/2, 0, 1) */
} oc__range_use;

typedef struct oc__range {
    int64_t count; /* finite values seen */
    double start;  /* of the first bin */
    double width;  /* of a bin; 0: nothing seen, or all the same */
    float least, most;
    double low, high; /* sums of the least and the greatest of each part */
    int64_t parts;    /* that were added */
    oc__range_use use;
    uint32_t bins[OC_RANGE_BINS];
} oc__range;

/** Takes n more values; NaN and infinities are left out. */
void oc__range_add(oc__range *r, const float *x, int64_t n);
/** Forgets all but the use; from now on nothing lies outside of lo and hi,
 * which are those of one part. */
void oc__range_begin(oc__range *r, float lo, float hi);
/** Takes x, which lies between these, so many times. */
void oc__range_count(oc__range *r, double x, uint32_t times);
/**
 * The limits to quantize by, 0 among them.
 *   share  of the values that PERCENTILE keeps inside, as 0.9999
 */
void oc__range_limits(const oc__range *r, oc_quant_range how, double share,
                      float *lo, float *hi);
/** The same, where 0 has code 128 if there are negative values. */
void oc__range_limits_even(const oc__range *r, oc_quant_range how, double share,
                           float *lo, float *hi);
/** Scale and zero point in u8 for limits that have 0 between them. */
void oc__range_code(float lo, float hi, float *scale, uint8_t *zero);
/** Mean squared error that quantizing by these limits gives, of what is made of
 * the values. */
double oc__range_error(const oc__range *r, float lo, float hi);
/** Mean square of the values. */
double oc__range_power(const oc__range *r);
/** The share of the values in each of n bins from least to most. */
void oc__range_shares(const oc__range *r, int n, double *shares);

#endif
