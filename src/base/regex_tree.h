/* regex_tree.h - the parsed form of a pattern, between regex_parse.c and
 * regex.c. */
#ifndef OC_BASE_REGEX_TREE_H
#define OC_BASE_REGEX_TREE_H

#include "base/regex.h"
#include "base/unicode.h"

typedef enum oc__regex_kind {
    OC_REGEX_EMPTY,
    OC_REGEX_SET,    /* one code point out of ranges */
    OC_REGEX_CAT,    /* children in order */
    OC_REGEX_ALT,    /* one of the children */
    OC_REGEX_REPEAT, /* the child min to max times; max -1: no bound */
    OC_REGEX_ASSERT, /* nothing, where `place` holds */
} oc__regex_kind;

typedef enum oc__regex_place {
    OC_REGEX_TEXT_BEGIN,
    OC_REGEX_TEXT_END,
    OC_REGEX_LINE_BEGIN,
    OC_REGEX_LINE_END,
    OC_REGEX_WORD_EDGE,
    OC_REGEX_NO_WORD_EDGE,
} oc__regex_place;

typedef struct oc__regex_range {
    uint32_t first, last;
} oc__regex_range;

typedef struct oc__regex_node {
    oc__regex_kind kind;
    oc__regex_place place;
    int min, max;
    oc__regex_range *ranges; /* SET: sorted, apart from one another */
    size_t n_ranges;
    struct oc__regex_node *child, *last, *next; /* first, last; sibling */
} oc__regex_node;

/** Parses into arena. */
oc_status oc__regex_parse(oc__regex_node **out, oc__arena *arena,
                          const char *pattern, size_t bytes, oc_error *err);

#endif
