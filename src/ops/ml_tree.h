/*
 * ml_tree.h - decision trees in the form they are walked in.
 *
 * All trees of an ensemble share one array of nodes; a leaf names a run of
 * votes.  Both encodings of ONNX (TreeEnsemble and the older Classifier and
 * Regressor) are brought into it, in scratch, at the beginning of a run:
 *
 *     nodes  [0 .. n_nodes)     roots [0 .. n_roots)    votes [0 .. n_votes)
 */
#ifndef OC_OPS_ML_TREE_H
#define OC_OPS_ML_TREE_H

#include "ops/ml_common.h"

typedef enum oc__tree_mode {
    OC_TREE_LEQ,
    OC_TREE_LT,
    OC_TREE_GTE,
    OC_TREE_GT,
    OC_TREE_EQ,
    OC_TREE_NEQ,
    OC_TREE_MEMBER, /* one of members[first .. first + count) */
    OC_TREE_LEAF,   /* votes[first .. first + count) */
} oc__tree_mode;

typedef struct oc__tree_node {
    double split;
    int64_t feature, yes, no; /* yes, no: node numbers */
    int64_t first, count;
    uint8_t mode, missing_yes; /* where NaN goes */
} oc__tree_node;

typedef struct oc__tree_vote {
    int64_t target;
    double weight;
} oc__tree_vote;

typedef struct oc__trees {
    oc__tree_node *nodes;
    int64_t n_nodes;
    int64_t *roots;
    int64_t n_roots;
    oc__tree_vote *votes;
    int64_t n_votes;
    double *members;
    int64_t n_members;
    int64_t n_targets, n_features; /* n_features: at least so many needed */
} oc__trees;

/** Scratch for the trees of a Classifier ("class") or Regressor ("target"). */
oc_status oc__trees_need(oc__ctx *c, const char *what, size_t *bytes);
/** Builds them there. */
oc_status oc__trees_build(oc__ctx *c, const char *what, int64_t n_targets,
                          void *memory, oc__trees *out);
/** The same for TreeEnsemble. */
oc_status oc__tree_ensemble_need(oc__ctx *c, size_t *bytes);
oc_status oc__tree_ensemble_build(oc__ctx *c, int64_t n_targets, void *memory,
                                  oc__trees *out);

/** The leaf that row r of x ends in; NULL when the nodes run in circles. */
const oc__tree_node *oc__tree_walk(const oc__trees *t, int64_t root,
                                   const oc_tensor *x, int64_t row,
                                   int64_t features);

#endif
