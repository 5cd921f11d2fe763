/* text_list.h - strings made one by one, then turned into a tensor. */
#ifndef OC_OPS_TEXT_LIST_H
#define OC_OPS_TEXT_LIST_H

#include "ops/op.h"

/**
 * Strings, and the characters of those that were made here.  While the list
 * grows, data of a made string is an offset; oc__text_list_finish() turns
 * offsets into pointers.  Zero-initialise with the allocator; deinit.
 */
typedef struct oc__text_list {
    const oc_allocator *allocator;
    oc_string *items;
    uint8_t *made; /* item i lies in chars */
    size_t n, capacity;
    char *chars;
    size_t used, char_capacity;
} oc__text_list;

/** Appends a string that lives elsewhere. */
oc_status oc__text_list_push(oc__text_list *l, const char *s, size_t bytes,
                             oc_error *err);
/** Appends an empty string of the list's own ... */
oc_status oc__text_list_open(oc__text_list *l, oc_error *err);
/** ... and bytes to the one appended last. */
oc_status oc__text_list_append(oc__text_list *l, const char *s, size_t bytes,
                               oc_error *err);
/** v becomes a tensor of these strings, n = product of dims. */
oc_status oc__text_list_finish(oc__text_list *l, oc_value *v, int rank,
                               const int64_t *dims, oc_error *err);
void oc__text_list_deinit(oc__text_list *l);

#endif
