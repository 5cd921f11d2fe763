/*
 * units.h - which channels belong together, and how they are taken out.
 *
 *     prune_units.c     units, classes, groups; the walk over the graph
 *     prune_layers.c    rules of operators with weights
 *     prune_moves.c     rules of all the others
 *     prune_rank.c      which classes matter least
 *     prune_taylor.c    the same by gradients
 *     prune_cut.c       the smaller graph
 *     pruner.c          the public functions
 *
 * Each output channel of a layer with weights is a *unit*.  The walk follows
 * units along the graph: values carry, along one of their axes, the unit of
 * every place.
 *
 *     Conv: units a b c d ---+
 *                            Add: a = e, b = f, c = g, d = h --> Conv reads 4
 *     Conv: units e f g h ---+
 *
 * Units that an Add, a Mul or a depthwise Conv makes depend on each other are
 * one *class*: it goes or stays as a whole.  Layers some of whose units are
 * in one class are one *group*: its classes are ranked against each other.
 * What an operator that is not understood reads is *fixed*: it stays.
 *
 * On its way the walk notes what a missing unit means: a row of a constant
 * (oc__prune_slice), a number in a shape (oc__prune_patch).
 */
#ifndef OC_QUANT_UNITS_H
#define OC_QUANT_UNITS_H

#include "passes/match.h"

#include <ocelli/prune.h>

/** The units along one axis of a value; n 0: it has none that are known. */
typedef struct oc__channels {
    int axis;
    int64_t n;
    int *unit;
} oc__channels;

/** What a constant is to the units it has a row for. */
typedef enum oc__prune_role {
    OC_PRUNE_READS,  /* weights by which others read them */
    OC_PRUNE_FILTER, /* weights that make them */
    OC_PRUNE_BIAS,   /* added to them by their layer */
    OC_PRUNE_SCALE,  /* of a batch norm */
    OC_PRUNE_SHIFT,  /* likewise */
    OC_PRUNE_OTHER   /* statistics, slopes, operands */
} oc__prune_role;

/** Constant input `input` of node `node` has a row for each unit. */
typedef struct oc__prune_slice {
    int node, input, axis;
    oc__prune_role role;
    int64_t n;
    const int *unit;
} oc__prune_slice;

typedef enum oc__prune_patch_kind {
    OC_PRUNE_GROUP, /* attribute "group": how many units are left */
    OC_PRUNE_SIZE,  /* element `at` of constant input `input`: likewise */
    OC_PRUNE_SPLIT  /* sizes of a Split's outputs */
} oc__prune_patch_kind;

typedef struct oc__prune_patch {
    oc__prune_patch_kind kind;
    int node, input, at;
    oc__channels c; /* whose units count */
} oc__prune_patch;

typedef struct oc__prune {
    oc__graph *g;            /* as it is */
    const oc__graph *shaped; /* a clone with every shape that can be known */
    const oc_prune_options *opt;
    oc__arena *arena;
    oc_error *err;
    int failed;  /* out of memory, or too much of something */
    int careful; /* sizes that are computed are not trusted to follow */

    oc__channels *of; /* of each value */
    int n_units, cap_units;
    int *parent;      /* of a unit; itself: it stands for its class */
    int *source;      /* of a unit: where it was made */
    const char **why; /* of a unit: why its class stays; NULL: it may go */
    int n_sources, cap_sources;
    int *source_parent, *source_node;
    int n_slices, cap_slices;
    oc__prune_slice *slices;
    int n_patches, cap_patches;
    oc__prune_patch *patches;

    char *gone; /* of a class: it is taken out */
} oc__prune;

/**
 * Walks over g.  shaped: see above; its values have the same numbers.  All
 * memory is the arena's.
 */
oc_status oc__prune_trace(oc__prune *p, oc__graph *g, const oc__graph *shaped,
                          const oc_prune_options *opt, int careful,
                          oc__arena *arena, oc_error *err);
/** The unit that stands for u's class. */
int oc__prune_class(const oc__prune *p, int u);
/** The source that stands for the group u is in. */
int oc__prune_group(const oc__prune *p, int u);
/** Whether something keeps u's class: why, or NULL. */
const char *oc__prune_why(const oc__prune *p, int u);

/* ---- for rules ------------------------------------------------------------
 */

/** A rule notes what node number `at` does with the units it reads. */
typedef void oc__prune_rule(oc__prune *p, int at);

/** The rule of n's operator: prune_layers.c, prune_moves.c; NULL: none. */
oc__prune_rule *oc__prune_layer_rule(const oc__node *n);
oc__prune_rule *oc__prune_move_rule(const oc__node *n);

/** Units of input j of n; n 0 where there are none. */
oc__channels oc__prune_in(const oc__prune *p, const oc__node *n, int j);
/** Value v (-1: nothing happens) carries c. */
void oc__prune_put(oc__prune *p, int v, oc__channels c);
/** n units that node `at` makes, along an axis. */
oc__channels oc__prune_fresh(oc__prune *p, int at, int axis, int64_t n);
/** Room for the units of a value made of others. */
oc__channels oc__prune_room(oc__prune *p, int axis, int64_t n);
void oc__prune_unite(oc__prune *p, int a, int b);
/** All of c stays; why is kept. */
void oc__prune_fix(oc__prune *p, oc__channels c, const char *why);
/** All that node `at` reads stays, because of `what` (NULL: its operator). */
void oc__prune_block(oc__prune *p, int at, const char *what);
/** Notes; role as in oc__prune_role. */
void oc__prune_add_slice(oc__prune *p, int at, int input, int axis,
                         oc__channels c, oc__prune_role role);
void oc__prune_add_patch(oc__prune *p, oc__prune_patch_kind kind, int at,
                         int input, int place, oc__channels c);
/** Input j of n where it is a constant in f32, else NULL. */
const oc_tensor *oc__prune_weight(const oc__prune *p, const oc__node *n, int j);
/** The value of input j of n as whole numbers where it is known before the
 * network runs, else NULL; *fixed: it is a constant of the file. */
const int64_t *oc__prune_numbers(const oc__prune *p, const oc__node *n, int j,
                                 int64_t *count, int *fixed);
/** Rank and dimensions of a value; rank -1: not known. */
int oc__prune_dims(const oc__prune *p, int v, const int64_t **dims);

/* ---- ranking and cutting --------------------------------------------------
 */

/** What a class is worth, from the weights; score has n_units places. */
oc_status oc__prune_score(const oc__prune *p, oc_importance how, double *score);
/** Chooses what goes: fills p->gone. */
oc_status oc__prune_choose(oc__prune *p, const double *score, oc_error *err);
/** Units of c that stay. */
int64_t oc__prune_left(const oc__prune *p, oc__channels c);
/** Takes what is gone out of g, a clone of p->g, in place. */
oc_status oc__prune_cut(const oc__prune *p, oc__graph *g, const oc_allocator *a,
                        oc_error *err);
/** The smallest share of the weights of each layer becomes zero. */
oc_status oc__prune_thin(oc__graph *g, double share, const oc_allocator *a,
                         oc_error *err);

/* ---- prune_taylor.c -------------------------------------------------------
 */

/** Gradients of the loss by weights, over samples. */
typedef struct oc__taylor oc__taylor;

/** p must outlive it.  E_UNSUPPORTED: the model is no classifier, or an
 * operator has no derivative. */
oc_status oc__taylor_create(oc__taylor **out, const oc__prune *p,
                            const oc__kernels *kernels, int threads,
                            const oc_allocator *a, oc_error *err);
void oc__taylor_destroy(oc__taylor *t);
/** One sample: inputs as the graph's, and the right class. */
oc_status oc__taylor_add(oc__taylor *t, const oc_value *const *inputs,
                         int label, oc_error *err);
/** |w g| summed over samples, by classes; score has n_units places. */
void oc__taylor_score(const oc__taylor *t, double *score);

#endif
