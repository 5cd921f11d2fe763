/*
 * equalize.h - channels of an activation that reach as far as each other.
 *
 * An activation has one scale for all of its channels, so that the widest says
 * how coarse all are.  Where what makes the channels and what reads them are
 * constants, each can be divided by a factor of its own for nothing:
 *
 *     x = norm(...) g + b              x' = norm(...) (g / s) + (b / s)
 *     y = x W                          y  = x' (s W)
 *
 * Between a norm and products this is SmoothQuant (Xiao et al.,
 * arXiv:2211.10438), between convolutions cross-layer equalization (Nagel et
 * al., arXiv:1906.04721).  No node is added, and in f32 nothing changes.
 *
 *     equalize_find.c    which values go together, what makes and reads them
 *     equalize_choose.c  the factors
 *     equalize_write.c   constants by factors
 */
#ifndef OC_QUANT_EQUALIZE_H
#define OC_QUANT_EQUALIZE_H

#include "quant/decide.h"

/** Input `input` of node `node`, a constant, has a row for each channel. */
typedef struct oc__equal_use {
    int node, input, axis;
    int reads;   /* its rows are multiplied by the factors, not divided */
    int is_free; /* each row has a scale of its own anyway: rounding it is as
                    good with any factor */
    int target;  /* number of the target whose weight it is, -1: of none */
    int member;  /* of the class: with whose code that target reads, -1 */
} oc__equal_use;

/** Values whose channels are divided by the same factors. */
typedef struct oc__equal {
    int64_t n; /* channels */
    int n_uses, n_members;
    oc__equal_use *uses;
    int *members; /* numbers of watches */
    float *by;    /* the factors; n of them */
    int is_worth; /* the factors are better than none */
    double alpha; /* how much of the ranges goes to the weights; 0: none */
    int turn;     /* in which its channels are looked at; turns.h */
    int is_final; /* the factors stay, and lanes are gone */
} oc__equal;

/** What of a plan is equalized. */
typedef struct oc__equalizer {
    int n;
    oc__equal *list;
    int *of;       /* of a value: its number in the list, -1: none */
    int is_off;    /* all stays as it is */
    int is_chosen; /* factors are those of the samples there are */
} oc__equalizer;

/** Finds what can be equalized in the plan's graph, and has it watched.  All
 * memory is the arena's, but for what watches see. */
oc_status oc__equal_find(oc__quant_plan *p, oc__graph *g, oc__arena *arena,
                         const oc_allocator *a, oc_error *err);
/** Chooses the factors; once for the samples there are. */
oc_status oc__equal_choose(oc__quant_plan *p, const oc__graph *g,
                           const oc_quantize_options *opt,
                           const oc_allocator *a, oc_error *err);
/** The factors that value v is divided by, as precisions are now; NULL:
 * none. */
const oc__equal *oc__equal_of(const oc__quant_plan *p, const oc__graph *g,
                              int v);
/** How many members are divided by factors. */
int oc__equal_count(const oc__quant_plan *p, const oc__graph *g);
/** The weight of target t in g, a clone of the plan's graph, by the factors of
 * what it reads: w with data of its own, or with NULL where there are none.
 * Release oc_tensor_bytes() of it.  Those of what it makes change nothing but
 * the scales of its codes. */
oc_status oc__equal_weight(const oc__quant_plan *p, const oc__graph *g,
                           const oc__quant_target *t, oc_tensor *w,
                           const oc_allocator *a, oc_error *err);
/** All constants of g that have factors become other ones; weights of targets
 * that are coded only if `coded`, where nothing is rounded. */
oc_status oc__equal_write(const oc__quant_plan *p, oc__graph *g, int coded,
                          const oc_allocator *a, oc_error *err);

#endif
