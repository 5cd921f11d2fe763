/* ml_tree_build.c - from attributes to trees; see ml_tree.h. */
#include "base/sort.h"
#include "ops/ml_tree.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- attributes ------------------------------------------------------------
 */

/* A list of numbers: floats, or a tensor whose name ends in _as_tensor. */
typedef struct numbers {
    const float *floats;
    const oc_tensor *tensor;
    int64_t n;
} numbers;

static numbers read_numbers(const oc__ctx *c, const char *name) {
    char longer[64];
    numbers v = {NULL, NULL, 0};
    size_t n;
    v.floats = oc__attr_floats(c->node, name, &n);
    v.n = (int64_t)n;
    if (n) return v;
    snprintf(longer, sizeof longer, "%s_as_tensor", name);
    v.tensor = oc__attr_tensor(c->node, longer);
    if (!v.tensor) v.tensor = oc__attr_tensor(c->node, name);
    v.n = v.tensor ? oc_tensor_elems(v.tensor) : 0;
    return v;
}

static double number_at(const numbers *v, int64_t i) {
    return v->tensor ? oc__tensor_get_f64(v->tensor, i) : (double)v->floats[i];
}

/* A list of exactly n integers. */
static oc_status want_ints(const oc__ctx *c, const char *name, int64_t n,
                           const int64_t **out) {
    size_t count;
    *out = oc__attr_ints(c->node, name, &count);
    if ((int64_t)count == n && (*out || n == 0)) return OC_OK;
    return oc__op_fail(c, OC_E_FORMAT, "%s has %zu entries, not %lld", name,
                       count, (long long)n);
}

static const int64_t *prefixed_ints(const oc__ctx *c, const char *what,
                                    const char *name, int64_t *n) {
    char full[64];
    size_t count;
    snprintf(full, sizeof full, "%s_%s", what, name);
    const int64_t *v = oc__attr_ints(c->node, full, &count);
    *n = (int64_t)count;
    return v;
}

/* ---- Classifier, Regressor -------------------------------------------------
 */

/* Nodes and votes are named by tree and node id; both are sorted by that
   name, so that a name is found by bisection. */
typedef struct names {
    const int64_t *tree, *node;
} names;

static int compare_names(const void *ctx, int64_t a, int64_t b) {
    const names *n = ctx;
    if (n->tree[a] != n->tree[b]) return n->tree[a] < n->tree[b] ? -1 : 1;
    return (n->node[a] > n->node[b]) - (n->node[a] < n->node[b]);
}

/* First place in order whose name is not before (tree, node). */
static int64_t find_name(const names *n, const int64_t *order, int64_t count,
                         int64_t tree, int64_t node) {
    int64_t lo = 0, hi = count;
    while (lo < hi) {
        int64_t mid = lo + (hi - lo) / 2, k = order[mid];
        if (n->tree[k] < tree || (n->tree[k] == tree && n->node[k] < node))
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static size_t part(size_t n, size_t bytes) {
    return oc__align_up(n * bytes, OC_ALIGN);
}

oc_status oc__trees_need(oc__ctx *c, const char *what, size_t *bytes) {
    size_t n, ids;
    int64_t votes;
    oc__attr_ints(c->node, "nodes_nodeids", &n);
    prefixed_ints(c, what, "ids", &votes);
    ids = (size_t)votes;
    *bytes = part(n, sizeof(oc__tree_node)) + part(n, sizeof(int64_t)) +
             part(ids, sizeof(oc__tree_vote)) + part(2 * n, sizeof(int64_t)) +
             part(2 * ids, sizeof(int64_t));
    return OC_OK;
}

static oc_status read_mode(const oc__ctx *c, oc_string s, uint8_t *out) {
    static const char *const modes[] = {
        "BRANCH_LEQ", "BRANCH_LT",  "BRANCH_GTE",    "BRANCH_GT",
        "BRANCH_EQ",  "BRANCH_NEQ", "BRANCH_MEMBER", "LEAF"};
    for (uint8_t i = 0; i < 8; i++)
        if (i != OC_TREE_MEMBER && !strcmp(s.data, modes[i])) {
            *out = i;
            return OC_OK;
        }
    return oc__op_fail(c, OC_E_UNSUPPORTED, "node mode \"%s\"", s.data);
}

typedef struct build {
    oc__ctx *c;
    oc__trees *t;
    names node, vote;
    int64_t *order, *vote_order; /* sorted by name */
} build;

/* Node numbers of the children, which must lie in the same tree. */
static oc_status link_child(build *b, int64_t tree, int64_t id, int64_t *out) {
    int64_t n = b->t->n_nodes;
    int64_t at = find_name(&b->node, b->order, n, tree, id);
    if (at == n || b->node.tree[b->order[at]] != tree ||
        b->node.node[b->order[at]] != id)
        return oc__op_fail(b->c, OC_E_FORMAT, "tree %lld has no node %lld",
                           (long long)tree, (long long)id);
    *out = b->order[at];
    return OC_OK;
}

/* Nodes stay in the file's order; only names are looked up in sorted
   order. */
static oc_status build_nodes(build *b) {
    oc__ctx *c = b->c;
    oc__trees *t = b->t;
    size_t n_modes;
    const oc_string *modes = oc__attr_strings(c->node, "nodes_modes", &n_modes);
    const int64_t *feature, *yes, *no, *missing = NULL;
    numbers values = read_numbers(c, "nodes_values");
    size_t n_missing;
    OC_TRY(want_ints(c, "nodes_featureids", t->n_nodes, &feature));
    OC_TRY(want_ints(c, "nodes_truenodeids", t->n_nodes, &yes));
    OC_TRY(want_ints(c, "nodes_falsenodeids", t->n_nodes, &no));
    oc__attr_ints(c->node, "nodes_missing_value_tracks_true", &n_missing);
    if (n_missing)
        OC_TRY(want_ints(c, "nodes_missing_value_tracks_true", t->n_nodes,
                         &missing));
    if (!modes || (int64_t)n_modes != t->n_nodes || values.n != t->n_nodes)
        return oc__op_fail(c, OC_E_FORMAT,
                           "nodes_modes or nodes_values do not fit");
    for (int64_t i = 0; i < t->n_nodes; i++) {
        oc__tree_node *n = &t->nodes[i];
        memset(n, 0, sizeof *n);
        OC_TRY(read_mode(c, modes[i], &n->mode));
        n->split = number_at(&values, i);
        n->feature = feature[i];
        n->missing_yes = missing && missing[i] != 0;
        if (n->mode == OC_TREE_LEAF) {
            int64_t tree = b->node.tree[i], id = b->node.node[i];
            n->first = find_name(&b->vote, b->vote_order, t->n_votes, tree, id);
            while (n->first + n->count < t->n_votes) {
                int64_t k = b->vote_order[n->first + n->count];
                if (b->vote.tree[k] != tree || b->vote.node[k] != id) break;
                n->count++;
            }
            continue;
        }
        if (n->feature < 0)
            return oc__op_fail(c, OC_E_FORMAT, "feature %lld",
                               (long long)n->feature);
        t->n_features = OC_MAX(t->n_features, n->feature + 1);
        OC_TRY(link_child(b, b->node.tree[i], yes[i], &n->yes));
        OC_TRY(link_child(b, b->node.tree[i], no[i], &n->no));
    }
    return OC_OK;
}

/* A root is a node that is nobody's child. */
static oc_status find_roots(build *b) {
    oc__trees *t = b->t;
    int64_t *mark = t->roots; /* used for marks first, then packed */
    memset(mark, 0, (size_t)t->n_nodes * sizeof *mark);
    for (int64_t i = 0; i < t->n_nodes; i++) {
        if (t->nodes[i].mode == OC_TREE_LEAF) continue;
        if (t->nodes[i].yes != i) mark[t->nodes[i].yes] = 1;
        if (t->nodes[i].no != i) mark[t->nodes[i].no] = 1;
    }
    for (int64_t i = 0; i < t->n_nodes; i++)
        if (!mark[i]) t->roots[t->n_roots++] = i;
    if (t->n_roots == 0 && t->n_nodes > 0)
        return oc__op_fail(b->c, OC_E_FORMAT, "no tree has a root");
    return OC_OK;
}

/* memory: [nodes][roots][votes][names sorted, twice][votes' names, twice] */
oc_status oc__trees_build(oc__ctx *c, const char *what, int64_t n_targets,
                          void *memory, oc__trees *t) {
    build b = {.c = c, .t = t};
    size_t count;
    int64_t n_ids, n_trees, n_nodes;
    char name[64];
    memset(t, 0, sizeof *t);
    b.node.node = oc__attr_ints(c->node, "nodes_nodeids", &count);
    t->n_nodes = (int64_t)count;
    OC_TRY(want_ints(c, "nodes_treeids", t->n_nodes, &b.node.tree));
    const int64_t *ids = prefixed_ints(c, what, "ids", &n_ids);
    b.vote.tree = prefixed_ints(c, what, "treeids", &n_trees);
    b.vote.node = prefixed_ints(c, what, "nodeids", &n_nodes);
    snprintf(name, sizeof name, "%s_weights", what);
    numbers weights = read_numbers(c, name);
    if (n_ids != n_trees || n_ids != n_nodes || n_ids != weights.n)
        return oc__op_fail(c, OC_E_FORMAT, "the %s_ lists differ in length",
                           what);
    t->n_votes = n_ids;
    t->n_targets = n_targets;
    char *at = memory;
    size_t n = (size_t)t->n_nodes, v = (size_t)n_ids;
    t->nodes = (oc__tree_node *)at;
    t->roots = (int64_t *)(at += part(n, sizeof(oc__tree_node)));
    t->votes = (oc__tree_vote *)(at += part(n, sizeof(int64_t)));
    b.order = (int64_t *)(at += part(v, sizeof(oc__tree_vote)));
    b.vote_order = (int64_t *)(at + part(2 * n, sizeof(int64_t)));
    for (size_t i = 0; i < n; i++)
        b.order[i] = (int64_t)i;
    for (size_t i = 0; i < v; i++)
        b.vote_order[i] = (int64_t)i;
    oc__sort_index(b.order, b.order + n, n, compare_names, &b.node);
    oc__sort_index(b.vote_order, b.vote_order + v, v, compare_names, &b.vote);
    for (size_t i = 0; i < v; i++) {
        int64_t k = b.vote_order[i];
        if (ids[k] < 0 || ids[k] >= n_targets)
            return oc__op_fail(c, OC_E_FORMAT, "a vote for %lld of %lld",
                               (long long)ids[k], (long long)n_targets);
        t->votes[i] = (oc__tree_vote){ids[k], number_at(&weights, k)};
    }
    OC_TRY(build_nodes(&b));
    return find_roots(&b);
}

/* ---- TreeEnsemble ----------------------------------------------------------
 */

/* Leaves follow the inner nodes: leaf k is node n + k, with vote k. */
oc_status oc__tree_ensemble_need(oc__ctx *c, size_t *bytes) {
    size_t nodes, leaves, roots;
    oc__attr_ints(c->node, "nodes_featureids", &nodes);
    oc__attr_ints(c->node, "leaf_targetids", &leaves);
    oc__attr_ints(c->node, "tree_roots", &roots);
    numbers members = read_numbers(c, "membership_values");
    *bytes = part(nodes + leaves, sizeof(oc__tree_node)) +
             part(roots, sizeof(int64_t)) +
             part(leaves, sizeof(oc__tree_vote)) +
             part((size_t)members.n, sizeof(double));
    return OC_OK;
}

/* Every leaf has exactly one vote. */
static oc_status ensemble_leaves(oc__ctx *c, oc__trees *t, int64_t inner) {
    numbers weights = read_numbers(c, "leaf_weights");
    const int64_t *targets;
    OC_TRY(want_ints(c, "leaf_targetids", t->n_votes, &targets));
    if (weights.n != t->n_votes)
        return oc__op_fail(c, OC_E_FORMAT, "%lld leaf_weights for %lld leaves",
                           (long long)weights.n, (long long)t->n_votes);
    for (int64_t k = 0; k < t->n_votes; k++) {
        if (targets[k] < 0 || targets[k] >= t->n_targets)
            return oc__op_fail(c, OC_E_FORMAT, "a leaf of target %lld",
                               (long long)targets[k]);
        t->votes[k] = (oc__tree_vote){targets[k], number_at(&weights, k)};
        t->nodes[inner + k] =
            (oc__tree_node){.mode = OC_TREE_LEAF, .first = k, .count = 1};
    }
    return OC_OK;
}

/* A child is a node, or a leaf behind the nodes. */
static oc_status ensemble_child(oc__ctx *c, const oc__trees *t, int64_t inner,
                                int64_t id, int64_t leaf, int64_t *out) {
    if (id < 0 || id >= (leaf ? t->n_votes : inner))
        return oc__op_fail(c, OC_E_FORMAT, "%s %lld does not exist",
                           leaf ? "leaf" : "node", (long long)id);
    *out = leaf ? inner + id : id;
    return OC_OK;
}

/* The next set of members: up to a NaN. */
static void take_members(const oc__trees *t, int64_t *at, oc__tree_node *n) {
    n->first = *at;
    while (*at < t->n_members && !isnan(t->members[*at]))
        ++*at;
    n->count = *at - n->first;
    ++*at;
}

static oc_status ensemble_nodes(oc__ctx *c, oc__trees *t, int64_t inner) {
    const oc_tensor *modes = oc__attr_tensor(c->node, "nodes_modes");
    numbers splits = read_numbers(c, "nodes_splits");
    const int64_t *feature, *yes, *no, *yes_leaf, *no_leaf, *missing = NULL;
    size_t n_missing;
    int64_t member = 0;
    OC_TRY(want_ints(c, "nodes_featureids", inner, &feature));
    OC_TRY(want_ints(c, "nodes_truenodeids", inner, &yes));
    OC_TRY(want_ints(c, "nodes_falsenodeids", inner, &no));
    OC_TRY(want_ints(c, "nodes_trueleafs", inner, &yes_leaf));
    OC_TRY(want_ints(c, "nodes_falseleafs", inner, &no_leaf));
    oc__attr_ints(c->node, "nodes_missing_value_tracks_true", &n_missing);
    if (n_missing)
        OC_TRY(
            want_ints(c, "nodes_missing_value_tracks_true", inner, &missing));
    if (!modes || oc_tensor_elems(modes) != inner || splits.n != inner ||
        modes->dtype == OC_DTYPE_STRING)
        return oc__op_fail(c, OC_E_FORMAT,
                           "nodes_modes or nodes_splits do not fit");
    for (int64_t i = 0; i < inner; i++) {
        oc__tree_node *n = &t->nodes[i];
        int64_t mode = oc__tensor_get_i64(modes, i);
        memset(n, 0, sizeof *n);
        if (mode < 0 || mode > OC_TREE_MEMBER || feature[i] < 0)
            return oc__op_fail(c, OC_E_FORMAT, "node %lld has mode %lld",
                               (long long)i, (long long)mode);
        n->mode = (uint8_t)mode;
        n->split = number_at(&splits, i);
        n->feature = feature[i];
        n->missing_yes = missing && missing[i] != 0;
        t->n_features = OC_MAX(t->n_features, n->feature + 1);
        OC_TRY(ensemble_child(c, t, inner, yes[i], yes_leaf[i], &n->yes));
        OC_TRY(ensemble_child(c, t, inner, no[i], no_leaf[i], &n->no));
        if (mode == OC_TREE_MEMBER) take_members(t, &member, n);
    }
    return OC_OK;
}

oc_status oc__tree_ensemble_build(oc__ctx *c, int64_t n_targets, void *memory,
                                  oc__trees *t) {
    size_t nodes, leaves, roots;
    memset(t, 0, sizeof *t);
    oc__attr_ints(c->node, "nodes_featureids", &nodes);
    oc__attr_ints(c->node, "leaf_targetids", &leaves);
    const int64_t *root = oc__attr_ints(c->node, "tree_roots", &roots);
    numbers members = read_numbers(c, "membership_values");
    t->n_nodes = (int64_t)(nodes + leaves);
    t->n_roots = (int64_t)roots;
    t->n_votes = (int64_t)leaves;
    t->n_members = members.n;
    t->n_targets = n_targets;
    char *at = memory;
    t->nodes = (oc__tree_node *)at;
    t->roots = (int64_t *)(at += part(nodes + leaves, sizeof(oc__tree_node)));
    t->votes = (oc__tree_vote *)(at += part(roots, sizeof(int64_t)));
    t->members = (double *)(at + part(leaves, sizeof(oc__tree_vote)));
    for (int64_t i = 0; i < members.n; i++)
        t->members[i] = number_at(&members, i);
    OC_TRY(ensemble_leaves(c, t, (int64_t)nodes));
    OC_TRY(ensemble_nodes(c, t, (int64_t)nodes));
    for (size_t i = 0; i < roots; i++) {
        if (root[i] < 0 || root[i] >= (int64_t)nodes)
            return oc__op_fail(c, OC_E_FORMAT, "root %lld of %zu nodes",
                               (long long)root[i], nodes);
        t->roots[i] = root[i];
    }
    return OC_OK;
}
