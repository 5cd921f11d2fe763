/*
 * text_number.h - numbers as text and back, whatever the locale.
 *
 * A host program may have called setlocale(), after which printf and strtod
 * mean a comma where files, flags and JSON have a point.  What is read or
 * written for machines goes through here; only sentences for people may use
 * "%g".
 */
#ifndef OC_BASE_TEXT_NUMBER_H
#define OC_BASE_TEXT_NUMBER_H

#include <ocelli/ocelli.h>

enum { OC_NUMBER_TEXT_BYTES = 32 };

/**
 * The shortest decimal that reads back as v when v is rounded to a float of
 * `digits` significant digits at most (4 f16, 9 f32, 17 f64), the way numpy
 * prints it: 0.1, 1.0, 1e-05, 1e+16, nan, inf.  out has
 * OC_NUMBER_TEXT_BYTES; returns the length.
 */
size_t oc__text_from_f64(oc_dtype dtype, double v, char *out);
/** The same, ended by a 0, and whole numbers as such: 1 rather than 1.0. */
size_t oc__text_from_number(oc_dtype dtype, double v, char *out);
/** v with two decimals, as by "%.2f" below a million, ended by a 0. */
void oc__text_from_score(float v, char *out);
size_t oc__text_from_i64(int64_t v, char *out);
size_t oc__text_from_u64(uint64_t v, char *out);

/**
 * Reads the number s begins with: plain, scientific, or INF and NAN in any
 * case; no white space before it.  How many of the n bytes it takes; 0, and
 * *out untouched, when s begins with none.
 */
size_t oc__text_read_f64(const char *s, size_t n, double *out);

/**
 * Reads a whole string as a number, with white space around it.  1 when it
 * is none.
 */
int oc__text_to_f64(const char *s, size_t n, double *out);
/** The same for an integer; a fraction is cut off.  Saturates. */
int oc__text_to_i64(const char *s, size_t n, int64_t *out);
int oc__text_to_u64(const char *s, size_t n, uint64_t *out);

#endif
