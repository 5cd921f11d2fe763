/*
 * program.h - a compiled graph for concrete shapes: schedule and memory plan.
 *
 * Every value of the graph gets a slot that says where its tensor lives:
 *
 *     CONST    in the graph (a weight, a folded value)
 *     INPUT    the caller's memory, bound at each run
 *     PLANNED  at an offset in the activation block, or, as the new value of
 *              a variable, in the memory of the INPUT that is its root
 *     DYNAMIC  allocated while running, freed after its last use
 *
 * Slots that share memory (views, results written over an operand) have the
 * same root; lifetimes and offsets belong to roots.
 */
#ifndef OC_RUNTIME_PROGRAM_H
#define OC_RUNTIME_PROGRAM_H

#include "base/file.h"
#include "passes/passes.h"

typedef enum oc__slot_kind {
    OC_SLOT_UNUSED,
    OC_SLOT_CONST,
    OC_SLOT_INPUT,
    OC_SLOT_PLANNED,
    OC_SLOT_DYNAMIC,
} oc__slot_kind;

typedef struct oc__slot {
    oc__slot_kind kind;
    oc_tensor t;     /* type and shape; data for CONST */
    int root;        /* itself unless memory is shared */
    size_t shift;    /* where it begins in its root */
    int first, last; /* steps between which a root is alive */
    size_t bytes, offset;
} oc__slot;

typedef struct oc__step {
    const oc__node *node;
    int deferred; /* shapes are found at run time */
    int view;     /* nothing to run: output is a view of input 0 */
    int n_release;
    const int *release; /* dynamic values to free after this step */
    double flops, bytes;
    const char *kernel;
} oc__step;

typedef struct oc__program {
    oc__arena arena;
    oc__graph *graph; /* a specialised copy */
    oc__file file;    /* holds its constants, when it comes from the cache */
    oc__slot *slots;  /* one per value */
    oc__step *steps;
    int n_steps;
    size_t activation_bytes, scratch_bytes, unplanned_bytes;
    size_t weight_bytes; /* constants made for this program */
    size_t total_bytes;  /* what keeping it costs, working memory too */
} oc__program;

/**
 * Compiles `graph` for the inputs given (n_inputs + n_captures values, NULL
 * or none where an optional input is absent).  Inputs whose shape is not to
 * be relied on may have kind NONE.
 */
oc_status oc__program_compile(oc__program **out, const oc__graph *graph,
                              const oc_value *const *inputs,
                              const oc__pass_env *env, oc_error *err);
void oc__program_destroy(oc__program *p);

/** An empty program, whose graph, in its arena, and file are to be set. */
oc_status oc__program_create(oc__program **out, const oc_allocator *a,
                             oc_error *err);
/**
 * Completes a program whose graph has been through the shaped passes before:
 * finds the shapes for these inputs anew, and plans.
 */
oc_status oc__program_restore(oc__program *p, const oc_value *const *inputs,
                              const oc__pass_env *env, oc_error *err);
/** The same for a graph that has not, and which is changed. */
oc_status oc__program_complete(oc__program *p, const oc_value *const *inputs,
                               const oc__pass_env *env, oc_error *err);

/** plan.c: lifetimes, sharing and offsets; fills slots and sizes. */
oc_status oc__program_plan(oc__program *p, const oc__pass_env *env,
                           oc_error *err);

#endif
