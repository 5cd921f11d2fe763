/*
 * value.h - tensors and the values that travel along edges at run time.
 *
 * A value is a tensor, a sequence, a map or none.  Tensor memory is either
 * owned (buf holds it, shared by count) or borrowed (buf is NULL: memory of
 * the plan, of the mapped file, of the caller).  Borrowed memory has a
 * shorter life than a sequence may have, so putting a tensor into a sequence
 * goes through oc__value_keep(), which copies what is borrowed.
 *
 * String tensors hold oc_string elements.  The characters of an owned string
 * tensor stand behind the elements in the same buffer:
 *
 *     buf: [oc_string 0][oc_string 1]...[characters of all strings]
 */
#ifndef OC_GRAPH_VALUE_H
#define OC_GRAPH_VALUE_H

#include "base/memory.h"

struct oc_value {
    oc_kind kind;
    oc_tensor t;         /* kind TENSOR */
    oc__buf *buf;        /* owner of t.data, or of items; NULL: borrowed */
    size_t n;            /* SEQUENCE: items; MAP: 2 */
    oc_value *items;     /* SEQUENCE, MAP: in buf */
    oc_dtype item_dtype; /* SEQUENCE: of its tensors, NONE where unknown */
};

/** Frees what v owns and makes it none. */
void oc__value_clear(oc_value *v);
/** v becomes a tensor of fresh, uninitialised memory. */
oc_status oc__value_alloc_tensor(oc_value *v, const oc_allocator *a,
                                 oc_dtype dtype, int rank, const int64_t *dims,
                                 oc_error *err);
/**
 * dst becomes src: shares owned memory, borrows borrowed memory.  dst must be
 * clear.
 */
void oc__value_share(oc_value *dst, const oc_value *src);
/** The same, but borrowed memory is copied, so that dst may outlive it. */
oc_status oc__value_keep(oc_value *dst, const oc_value *src,
                         const oc_allocator *a, oc_error *err);
/** v becomes a tensor that copies t (strings with their characters). */
oc_status oc__value_copy_tensor(oc_value *v, const oc_tensor *t,
                                const oc_allocator *a, oc_error *err);
/** v becomes a sequence (or map) with room for n items, all none. */
oc_status oc__value_alloc_items(oc_value *v, oc_kind kind, size_t n,
                                const oc_allocator *a, oc_error *err);
/** v becomes a string tensor that copies the n = product(dims) strings. */
oc_status oc__value_alloc_strings(oc_value *v, const oc_allocator *a, int rank,
                                  const int64_t *dims, const oc_string *s,
                                  oc_error *err);

/** Gives a string tensor its own copy of the characters it points at. */
oc_status oc__value_own_strings(oc_value *v, const oc_allocator *a,
                                oc_error *err);

/* ---- tensor helpers --------------------------------------------------------
 */

/** Sets dtype, rank, dims; data NULL. */
void oc__tensor_set(oc_tensor *t, oc_dtype dtype, int rank,
                    const int64_t *dims);
/** Same rank and dims. */
int oc__tensor_same_shape(const oc_tensor *a, const oc_tensor *b);
/** Bytes of a tensor of this type and shape; 1 on overflow or bad dims. */
int oc__tensor_size(oc_dtype dtype, int rank, const int64_t *dims,
                    size_t *bytes);
/** "f32[1,3,224,224]" into out (at least 160 bytes); returns out. */
char *oc__tensor_describe(const oc_tensor *t, char *out, size_t bytes);

int oc__dtype_is_float(oc_dtype d);  /* f16 bf16 f32 f64 and the f8s, f4 */
int oc__dtype_is_int(oc_dtype d);    /* signed or unsigned, u2..i64 */
int oc__dtype_is_signed(oc_dtype d); /* floats and signed integers */
/** Smallest and largest value of an integer type. */
void oc__dtype_int_range(oc_dtype d, int64_t *lo, uint64_t *hi);
/** Element i as double / int64; any numeric type (f8 and f16 included). */
double oc__tensor_get_f64(const oc_tensor *t, int64_t i);
int64_t oc__tensor_get_i64(const oc_tensor *t, int64_t i);
/** Writes element i; integers saturate, floats round to nearest even. */
void oc__tensor_set_f64(oc_tensor *t, int64_t i, double v);

#endif
