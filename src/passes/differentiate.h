/*
 * differentiate.h - reverse-mode differentiation on the graph: the walk
 * (differentiate.c) and what the rules of single operators write with
 * (derivative.c and one file for each family of rules).
 */
#ifndef OC_PASSES_DIFFERENTIATE_H
#define OC_PASSES_DIFFERENTIATE_H

#include "passes/passes.h"

typedef struct oc__diff {
    oc__graph *g;
    const oc_allocator *allocator;
    oc_error *err;
    int n;             /* values that existed when the walk back started */
    char *live;        /* [n] depends on what is differentiated by */
    int *adjoint;      /* [n] d y / d value, as a value; -1: none so far */
    oc__node *last;    /* the node emitted last, for its attributes */
    int failed;        /* out of memory, or an operator is not there */
    oc_status refused; /* by a rule, with its sentence in err; OC_OK: none */
} oc__diff;

/**
 * Appends to g what computes the derivatives of y (of the sum of its
 * elements) by the values xs, and writes these into grads; zeros where y does
 * not depend on one.  What made an x counts as unknown: it is taken as free.
 * E_UNSUPPORTED names the operator on the way that has no rule.
 */
oc_status oc__gradients(oc__graph *g, const oc_allocator *a, int y,
                        const int *xs, int n, int *grads, oc_error *err);

/* ---- for rules: reading ---------------------------------------------------
 */

/** Input j of n, -1: absent. */
int oc__diff_in(const oc__node *n, int j);
/** Whether input j of n is there and wants a derivative. */
int oc__diff_wants(const oc__diff *d, const oc__node *n, int j);
/** The adjoint of output k of n; -1: y does not depend on it. */
int oc__diff_of(const oc__diff *d, const oc__node *n, int k);

/* ---- for rules: writing ---------------------------------------------------
 *
 * Each of these takes -1 for a value that could not be made and then makes
 * nothing itself, so that rules are written as formulas.
 */

/** Appends a node with inputs that may be absent; NULL (and failed) when out
 *  of memory. */
oc__node *oc__diff_node(oc__diff *d, const char *domain, const char *op,
                        int version, int n_attrs, int n_in, const int *in,
                        int n_out);
/** A node of one output on present inputs; returns the output. */
int oc__diff_emit(oc__diff *d, const char *domain, const char *op, int version,
                  int n_attrs, int n_in, const int *in);
/** Elementwise and other plain operators of ONNX, without attributes. */
int oc__diff_1(oc__diff *d, const char *op, int a);
int oc__diff_2(oc__diff *d, const char *op, int a, int b);
/**
 * An operator of our own with the attributes and the version of n, the
 * operator whose derivative it is.  in[0] must be there, others may not.
 */
int oc__diff_own(oc__diff *d, const oc__node *n, const char *op, int n_in,
                 const int *in);
/** Output k of n, which is made to give it when nobody has wanted it yet. */
int oc__diff_output(oc__diff *d, oc__node *n, int k);
/** v as a scalar of like's type. */
int oc__diff_number(oc__diff *d, float v, int like);
int oc__diff_neg(oc__diff *d, int a);
int oc__diff_mul(oc__diff *d, int a, int b);
/** a in the shape of x: as many elements; as broadcast. */
int oc__diff_reshape(oc__diff *d, int a, int x);
int oc__diff_expand(oc__diff *d, int a, int x);
/** a summed to the shape of x, which broadcasts to a's. */
int oc__diff_sum_to(oc__diff *d, int a, int x);
int oc__diff_zeros(oc__diff *d, int like);
/** a where the truth value is, else 0. */
int oc__diff_where(oc__diff *d, int truth, int a);

/** Says that n's rule does not cover how n is used: "... of <what> ...". */
void oc__diff_refuse(oc__diff *d, const oc__node *n, const char *what);

/** Adds `grad` to the adjoint of input j of n, where that is wanted. */
void oc__diff_add(oc__diff *d, const oc__node *n, int j, int grad);
/** The same for an input that may have been broadcast. */
void oc__diff_give(oc__diff *d, const oc__node *n, int j, int grad);

/* ---- the rules -------------------------------------------------------------
 */

/**
 * Writes what the adjoints of n's outputs mean for n's inputs.
 * E_UNSUPPORTED when no rule is known.
 */
oc_status oc__derivative(oc__diff *d, oc__node *n);

/**
 * One rule: n's adjoints g (of output 0; -1 where only others have one) to
 * those of its inputs.  It may add outputs to n that it needs (a mask).
 */
typedef void oc__rule_fn(oc__diff *d, oc__node *n, int g);

typedef struct oc__rule {
    const char *domain, *op;
    int since;   /* its meaning was another before */
    int outputs; /* that have derivatives: the first ones; 0: all */
    oc__rule_fn *fn;
} oc__rule;

/** Every rule there is; ends with op NULL. */
extern const oc__rule oc__rules[];

#define OC_RULE(domain, op, since, outputs, name) oc__rule_fn oc__d_##name;
#include "passes/derivatives.def"
#undef OC_RULE

#endif
