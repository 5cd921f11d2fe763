/*
 * gradient_check.h - a graph written as text, and its gradient checked.
 *
 *     gradient_case c = {
 *         "t = Conv(x, w, b) strides=2,2; y = Relu(t)",
 *         "x 1x2x5x5; w 3x2x3x3; b 3"};
 *     gradient_check(&c);
 *
 * A program is statements `outputs = Operator(inputs) attributes`.  Operator
 * may have a domain in front ("ocelli:SumTo") and a version behind
 * ("Softmax@11"); the version is 21 for ONNX and 1 for other domains.  `_` is
 * an absent input or output.  Attributes: 1 is an integer, 1,2 or 1, a list of
 * them, 1.5 a float, anything else text.  Values whose name starts with y
 * make the loss, the sum of their elements times random numbers.
 *
 * Inputs, all filled with numbers from (-1, 1), scalars written "s":
 *
 *     x 2x3      a float input, to be differentiated by
 *     x +2x3     the same from (0.5, 1.5)
 *     x %2x3     the same, all 0
 *     x !2x3     an input that is not differentiated by; !+ too
 *     x #2x3     a constant
 *     x ~0.5     a float constant, a scalar
 *     i =0,2     an int64 constant of one dimension
 *     i =2x2:0,1,1,0    ... of this shape; `i =s:3` a scalar
 *     i ?2x2:1,0,0,1    bool
 *
 * The gradient in f64 is compared with central differences of the loss, that
 * in f32, for every instruction set and after all passes, with the one in
 * f64, and those of 2 and 3 threads bit by bit with that of one.
 */
#ifndef OC_TESTS_GRADIENT_CHECK_H
#define OC_TESTS_GRADIENT_CHECK_H

#include "testing.h"

#include "ops/op.h"

typedef struct gradient_case {
    const char *program, *inputs;
    int flags;
    double tolerance; /* of f32, of the largest element; 0: 2e-5 */
} gradient_case;

enum {
    /* Too large for differences: f32 against f64 and threads only. */
    GRADIENT_LARGE = 1,
    /* The operator knows no f64: differences in f32. */
    GRADIENT_F32 = 2,
};

/** Fails the test, with the program, when a gradient is wrong. */
void gradient_check(const gradient_case *c);

/** Reports what differentiating says (OC_OK when it works); no numbers. */
oc_status gradient_status(const gradient_case *c, oc_error *err);

/** Differentiates with the n-th allocation failing, for every n. */
void gradient_without_memory(const gradient_case *c);

/** Calls fn with every operator that a program names. */
void gradient_each_op(const char *program,
                      void (*fn)(void *user, const char *domain,
                                 const char *op),
                      void *user);

#endif
