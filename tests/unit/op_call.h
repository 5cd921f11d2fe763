/*
 * op_call.h - one operator, called by a test without a graph around it.
 *
 *     op_call k;
 *     op_call_init(&k, "", "Conv", 11);
 *     op_call_input(&k, &x);
 *     op_call_input(&k, &w);
 *     op_call_ints(&k, "strides", strides, 2);
 *     oc_value y = op_call_run(&k, kernels, pool);
 *     ...
 *     oc__value_clear(&y);
 *
 * infer() sees all data, as it does for constants; run() gets scratch that is
 * full of NaN.  Operators with one output that is a tensor.
 */
#ifndef OC_TESTS_OP_CALL_H
#define OC_TESTS_OP_CALL_H

#include "testing.h"

#include "ops/op.h"

enum { OP_CALL_INPUTS = 8, OP_CALL_ATTRS = 16 };

typedef struct op_call {
    oc__node node;
    oc__attr attrs[OP_CALL_ATTRS];
    oc_value in[OP_CALL_INPUTS];
    oc_value *in_list[OP_CALL_INPUTS];
    oc_value out;
    oc_error err;
} op_call;

/** Starts a call; the test fails when there is no such operator. */
void op_call_init(op_call *k, const char *domain, const char *name,
                  int version);
/** The next input, borrowed; NULL: absent. */
void op_call_input(op_call *k, const oc_tensor *t);
/** Attributes; lists and texts are borrowed. */
void op_call_int(op_call *k, const char *name, int64_t v);
void op_call_float(op_call *k, const char *name, float v);
void op_call_ints(op_call *k, const char *name, const int64_t *v, size_t n);
void op_call_text(op_call *k, const char *name, const char *v);

/** What infer() says to the call; its sentence is in k->err. */
oc_status op_call_infer(op_call *k, const oc__kernels *kernels);
/**
 * infer() and run(), neither of which may fail.  pool NULL: one thread.  The
 * result is the caller's to clear with oc__value_clear().
 */
oc_value op_call_run(op_call *k, const oc__kernels *kernels, oc__pool *pool);

#endif
