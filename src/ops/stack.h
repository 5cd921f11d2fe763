/* stack.h - values gathered one by one and put together at the end. */
#ifndef OC_OPS_STACK_H
#define OC_OPS_STACK_H

#include "ops/op.h"

/** A growing list of values.  Zero-initialise; clear when done. */
typedef struct oc__value_list {
    oc_value *items;
    size_t n, capacity;
} oc__value_list;

/** Moves v to the end of the list; v becomes none. */
oc_status oc__value_list_push(oc__ctx *c, oc__value_list *list, oc_value *v);
void oc__value_list_clear(oc__ctx *c, oc__value_list *list);

/**
 * Joins n tensors of one type into v: along a new axis when `fresh`, along
 * an existing one otherwise.  Item i is items[i * step], or items[(n - 1 - i)
 * * step] when `reverse`.  n > 0.  v is cleared first and owns its memory,
 * characters of strings included.
 */
oc_status oc__value_join(oc__ctx *c, oc_value *v, const oc_value *items,
                         size_t n, size_t step, int64_t axis, int fresh,
                         int reverse);

#endif
