/*
 * match.h - the questions passes ask of a graph.
 *
 * An index is a snapshot: producers and use counts at the time it was made.
 * Passes that edit keep it true for what they touch or make a new one.
 */
#ifndef OC_PASSES_MATCH_H
#define OC_PASSES_MATCH_H

#include "passes/passes.h"

typedef struct oc__index {
    oc__graph *g;
    const oc_allocator *allocator;
    int n;         /* values covered */
    int *producer; /* node number that makes a value, -1: none */
    int *uses;
    int *reader; /* number of the last node that reads a value, -1: none */
} oc__index;

oc_status oc__index_init(oc__index *ix, oc__graph *g, const oc_allocator *a,
                         oc_error *err);
void oc__index_deinit(oc__index *ix);

/** Whether n is a living node of this op; domain "" unless in the name. */
int oc__is_op(const oc__node *n, const char *name);
/** Whether n is a living node of our own domain. */
int oc__is_own(const oc__node *n, const char *name);
/** The node that makes input j of n if it is this op, else NULL. */
oc__node *oc__input_op(const oc__index *ix, const oc__node *n, int j,
                       const char *name);
/** The node that makes value v, or NULL. */
oc__node *oc__producer(const oc__index *ix, int v);
/** Whether v is read exactly once (and is no graph output beside that). */
int oc__used_once(const oc__index *ix, int v);
/** The node that is the only use of v, once; NULL when there are more. */
oc__node *oc__only_reader(const oc__index *ix, int v);
/** The constant behind value v, or NULL. */
const oc_tensor *oc__constant(const oc__graph *g, int v);
/** Whether v is a constant of one f32 element (any rank); *out gets it. */
int oc__const_scalar(const oc__graph *g, int v, float *out);
/** For a commutative node: which input is the constant; -1 if not one. */
int oc__const_input(const oc__graph *g, const oc__node *n);
/** Whether dtype and every dimension of v are known, and the dtype is f32. */
int oc__is_concrete_f32(const oc__graph *g, int v);
/** Whether two values have the same known shape. */
int oc__same_dims(const oc__graph *g, int a, int b);
/** Rewires the uses of n's output 0 to value `to` and removes n. */
void oc__bypass(oc__graph *g, oc__node *n, int to);
/** A new constant with memory of its own, which the caller fills; -1: out of
 * memory. */
int oc__new_constant(oc__graph *g, const oc_allocator *a, const char *name,
                     oc_dtype dtype, int rank, const int64_t *dims,
                     void **data);
/** The same in f32. */
int oc__new_constant_f32(oc__graph *g, const oc_allocator *a, const char *name,
                         int rank, const int64_t *dims, float **data);
/** Element i of the scale v, a constant of one f32 or of `elems`; 0: it is
 *  none. */
int oc__read_scale(const oc__graph *g, int v, int64_t elems, int64_t i,
                   float *out);
/** The same of a zero point in 8 bits; one that is absent (v < 0) is 0. */
int oc__read_zero(const oc__graph *g, int v, int64_t elems, int64_t i,
                  int *out);
/** Whether n moves its first input without computing, so that codes of 8 bits
 * go through it as they are.  (In fuse_qdq.c.) */
int oc__moves_codes(const oc__node *n);
/**
 * Reads an inference BatchNormalization with constant f32 parameters as
 * y = scale x + shift, `channels` of each; 0 when n is not one.  (In
 * fuse_scale.c.)
 */
int oc__read_batch_norm(const oc__graph *g, const oc__node *n, int64_t channels,
                        float *scale, float *shift);

struct oc__resize_spec;
/** What a Resize or Upsample of a value with known dims asks for; 0: its other
 * inputs are not constant, or it is wrong.  (In layout_move.c.) */
int oc__read_resize(const oc__graph *g, const oc__pass_env *env,
                    const oc__node *n, struct oc__resize_spec *spec);

#endif
