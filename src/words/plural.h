/*
 * plural.h - CLDR's plural rules (Unicode Technical Standard 35, part 3).
 *
 *     one: i = 1 and v = 0
 *     few: v = 0 and i % 10 = 2..4 and i % 100 != 12..14
 *
 * Things are counted in whole numbers, so of the operands n and i are the
 * number, all others (v, w, f, t, c, e) are 0.
 */
#ifndef OC_WORDS_PLURAL_H
#define OC_WORDS_PLURAL_H

#include "base/memory.h"

/** In CLDR's order; the first whose rule holds is taken. */
typedef enum oc__plural {
    OC_PLURAL_ZERO,
    OC_PLURAL_ONE,
    OC_PLURAL_TWO,
    OC_PLURAL_FEW,
    OC_PLURAL_MANY,
    OC_PLURAL_OTHER,
    OC_PLURAL_COUNT
} oc__plural;

/** first..last, both included. */
typedef struct oc__plural_range {
    int64_t first, last;
} oc__plural_range;

/** i % mod = ranges, or != where `negated`. */
typedef struct oc__plural_relation {
    int is_number; /* the operand: the number, or one that is always 0 */
    int64_t mod;   /* 0: none */
    int negated;
    int starts_or; /* "or" stands before it, else "and" */
    int n_ranges;
    oc__plural_range *ranges;
} oc__plural_relation;

typedef struct oc__plural_rule {
    int n; /* 0: there is none, which never holds */
    oc__plural_relation *relations;
} oc__plural_rule;

/** "zero", "one" ... */
extern const char *const oc__plural_names[OC_PLURAL_COUNT];
/** By name, -1: none. */
int oc__plural_find(const char *name, size_t n);
/**
 * Reads a rule; samples behind an @ are left out.  E_FORMAT with what is
 * wrong, E_LIMIT, E_NOMEM.
 */
oc_status oc__plural_parse(oc__plural_rule *out, oc__arena *arena,
                           const char *text, size_t bytes, oc_error *err);
/** The category of n by rules of all categories. */
oc__plural oc__plural_of(const oc__plural_rule rules[OC_PLURAL_COUNT],
                         int64_t n);

#endif
