/*
 * unicode.h - UTF-8, and as much of the Unicode database as names, case and
 * regular expressions need.  Tables: unicode_tables.inc.
 */
#ifndef OC_BASE_UNICODE_H
#define OC_BASE_UNICODE_H

#include <stddef.h>
#include <stdint.h>

#define OC_UNICODE_MAX 0x10ffffu
#define OC_UNICODE_BAD 0xfffdu /* stands for bytes that are no UTF-8 */

/**
 * The code point at *s, which moves past it; *s < end.  A byte that begins no
 * valid sequence gives OC_UNICODE_BAD and is passed alone.
 */
uint32_t oc__utf8_next(const char **s, const char *end);
/** Writes code point c as 1 to 4 bytes; returns how many. */
int oc__utf8_put(char *out, uint32_t c);

/** Simple (one to one) case mappings. */
uint32_t oc__unicode_lower(uint32_t c);
uint32_t oc__unicode_upper(uint32_t c);

typedef void (*oc__range_fn)(void *user, uint32_t first, uint32_t last);

/**
 * Calls add for every range of the general category ("L", "Nd") or script
 * ("Greek") of that name, in order; 1 when there is none.  "Any" is all.
 */
int oc__unicode_class(const char *name, size_t bytes, oc__range_fn add,
                      void *user);
/** Calls add for ranges that differ from first..last in case alone. */
void oc__unicode_fold(uint32_t first, uint32_t last, oc__range_fn add,
                      void *user);

#endif
