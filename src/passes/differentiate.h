/*
 * differentiate.h - reverse-mode differentiation on the graph: the walk
 * (differentiate.c) and the rules of single operators (derivative.c).
 */
#ifndef OC_PASSES_DIFFERENTIATE_H
#define OC_PASSES_DIFFERENTIATE_H

#include "passes/passes.h"

typedef struct oc__diff {
    oc__graph *g;
    const oc_allocator *allocator;
    oc_error *err;
    int n;          /* values that existed when the walk back started */
    char *live;     /* [n] depends on what is differentiated by */
    int *adjoint;   /* [n] d y / d value, as a value; -1: none so far */
    oc__node *last; /* the node emitted last, for its attributes */
    int failed;     /* out of memory, or an operator is not there */
} oc__diff;

/**
 * Appends a node of one output on present inputs and returns the output;
 * -1 (and failed) when it cannot, or when an input is -1.
 */
int oc__diff_emit(oc__diff *d, const char *domain, const char *op, int version,
                  int n_attrs, int n_in, const int *in);
/** Elementwise and other plain operators of ONNX, without attributes. */
int oc__diff_1(oc__diff *d, const char *op, int a);
int oc__diff_2(oc__diff *d, const char *op, int a, int b);
/** Adds `grad` to the adjoint of input j of n, where that is wanted. */
void oc__diff_add(oc__diff *d, const oc__node *n, int j, int grad);
/** Whether input j of n is there and wants a derivative. */
int oc__diff_wants(const oc__diff *d, const oc__node *n, int j);

/**
 * Writes what adjoint g of n's first output means for n's inputs.
 * E_UNSUPPORTED when no rule is known.
 */
oc_status oc__derivative(oc__diff *d, const oc__node *n, int g);

#endif
