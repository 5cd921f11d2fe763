/*
 * ml_tree.c - ai.onnx.ml: TreeEnsemble, TreeEnsembleRegressor,
 * TreeEnsembleClassifier.
 */
#include "ops/ml_tree.h"

#include <math.h>
#include <string.h>

#define ML "ai.onnx.ml"

enum { ENSEMBLE, REGRESSOR, CLASSIFIER }; /* oc__op.kind */

typedef enum aggregate { AVERAGE, SUM, MIN, MAX } aggregate;

typedef struct forest {
    oc__trees trees;
    int64_t n, f, targets;
    aggregate how;
    oc__post post;
    oc__labels labels;
    const float *base;
    const oc_tensor *base_tensor;
    int64_t n_base;
    /* A classifier of two labels all of whose votes go to one class. */
    int binary, all_positive;
    int64_t only; /* that class */
    const oc_tensor *x;
    oc_tensor *y, *z;
    double *work; /* targets + 2 of each worker, and marks */
    int64_t work_doubles;
} forest;

/* ---- walking ---------------------------------------------------------------
 */

static int branch(const oc__trees *t, const oc__tree_node *n, double v) {
    if (isnan(v) && n->missing_yes) return 1;
    switch (n->mode) {
    case OC_TREE_LEQ: return v <= n->split;
    case OC_TREE_LT: return v < n->split;
    case OC_TREE_GTE: return v >= n->split;
    case OC_TREE_GT: return v > n->split;
    case OC_TREE_EQ: return v == n->split;
    case OC_TREE_NEQ: return v != n->split;
    default:
        for (int64_t i = 0; i < n->count; i++)
            if (t->members[n->first + i] == v) return 1;
        return 0;
    }
}

const oc__tree_node *oc__tree_walk(const oc__trees *t, int64_t root,
                                   const oc_tensor *x, int64_t row,
                                   int64_t features) {
    const oc__tree_node *n = &t->nodes[root];
    for (int64_t step = 0; step <= t->n_nodes; step++) {
        if (n->mode == OC_TREE_LEAF) return n;
        double v = oc__tensor_get_f64(x, row * features + n->feature);
        n = &t->nodes[branch(t, n, v) ? n->yes : n->no];
    }
    return NULL;
}

/* ---- reading ---------------------------------------------------------------
 */

static oc_status read_aggregate(const oc__ctx *c, forest *f) {
    static const char *const names[] = {"AVERAGE", "SUM", "MIN", "MAX"};
    f->how = SUM;
    if (c->op->kind == ENSEMBLE) {
        int64_t how = oc__attr_int(c->node, "aggregate_function", SUM);
        int64_t post = oc__attr_int(c->node, "post_transform", 0);
        if (how < 0 || how > MAX || post < 0 || post > OC_POST_PROBIT)
            return oc__op_fail(c, OC_E_UNSUPPORTED,
                               "aggregate_function %lld, post_transform %lld",
                               (long long)how, (long long)post);
        f->how = (aggregate)how;
        f->post = (oc__post)post;
        return OC_OK;
    }
    OC_TRY(oc__post_read(c, &f->post));
    if (c->op->kind == CLASSIFIER) return OC_OK;
    const char *s = oc__attr_string(c->node, "aggregate_function", "SUM");
    for (int i = 0; i < 4; i++)
        if (!strcmp(s, names[i])) {
            f->how = (aggregate)i;
            return OC_OK;
        }
    return oc__op_fail(c, OC_E_UNSUPPORTED, "aggregate_function is \"%s\"", s);
}

static oc_status read_base(const oc__ctx *c, forest *f) {
    size_t n;
    f->base = oc__attr_floats(c->node, "base_values", &n);
    f->n_base = (int64_t)n;
    if (n == 0) {
        f->base_tensor = oc__attr_tensor(c->node, "base_values_as_tensor");
        f->n_base = f->base_tensor ? oc_tensor_elems(f->base_tensor) : 0;
    }
    if (f->n_base && f->n_base != f->targets &&
        !(c->op->kind == CLASSIFIER && f->n_base == 1 && f->targets == 2))
        return oc__op_fail(c, OC_E_FORMAT, "%lld base values for %lld targets",
                           (long long)f->n_base, (long long)f->targets);
    return OC_OK;
}

static double base_at(const forest *f, int64_t k) {
    if (k >= f->n_base) return 0;
    return f->base_tensor ? oc__tensor_get_f64(f->base_tensor, k)
                          : (double)f->base[k];
}

/* Attributes that do not need the trees. */
static oc_status forest_read(const oc__ctx *c, forest *f) {
    memset(f, 0, sizeof *f);
    OC_TRY(oc__want(c, 0, OC_T_ML | OC_T(F16)));
    OC_TRY(oc__want_rank(c, 0, 1, 2));
    f->x = oc__in(c, 0);
    f->n = f->x->rank == 2 ? f->x->dims[0] : 1;
    f->f = f->x->dims[f->x->rank - 1];
    OC_TRY(read_aggregate(c, f));
    if (c->op->kind == CLASSIFIER) {
        OC_TRY(oc__labels_read(c, "classlabels_int64s", "classlabels_strings",
                               &f->labels));
        f->targets = f->labels.n;
    } else {
        f->targets =
            oc__attr_int(c->node, "n_targets", c->op->kind == ENSEMBLE ? 0 : 1);
    }
    if (f->targets < 1 || f->targets > INT32_MAX)
        return oc__op_fail(c, OC_E_FORMAT, "%lld targets",
                           (long long)f->targets);
    /* One score may become two; then as many marks. */
    f->work_doubles = 2 * (f->targets + 2);
    return read_base(c, f);
}

static oc_status trees_build(oc__ctx *c, forest *f, void *memory) {
    if (c->op->kind == ENSEMBLE)
        OC_TRY(oc__tree_ensemble_build(c, f->targets, memory, &f->trees));
    else
        OC_TRY(oc__trees_build(c, c->op->kind == REGRESSOR ? "target" : "class",
                               f->targets, memory, &f->trees));
    if (f->trees.n_features > f->f)
        return oc__op_fail(c, OC_E_SHAPE,
                           "%lld features, the trees ask for %lld",
                           (long long)f->f, (long long)f->trees.n_features);
    return OC_OK;
}

static oc_status tree_bytes(oc__ctx *c, size_t *bytes) {
    if (c->op->kind == ENSEMBLE) return oc__tree_ensemble_need(c, bytes);
    return oc__trees_need(c, c->op->kind == REGRESSOR ? "target" : "class",
                          bytes);
}

/* ---- scores ----------------------------------------------------------------
 */

/* Minimum and maximum start with the first vote, sums with zero. */
static void add_vote(const forest *f, const oc__tree_vote *v, double *s,
                     double *seen) {
    double *to = &s[v->target];
    if (f->how == MIN || f->how == MAX) {
        int better = f->how == MIN ? v->weight < *to : v->weight > *to;
        if (seen[v->target] == 0 || better) *to = v->weight;
    } else {
        *to += v->weight;
    }
    seen[v->target] = 1;
}

/* Votes of all trees for row r; seen[k] tells whether target k got any. */
static void collect(const forest *f, int64_t r, double *s, double *seen) {
    memset(s, 0, (size_t)f->targets * sizeof *s);
    memset(seen, 0, (size_t)f->targets * sizeof *seen);
    for (int64_t k = 0; k < f->trees.n_roots; k++) {
        const oc__tree_node *leaf =
            oc__tree_walk(&f->trees, f->trees.roots[k], f->x, r, f->f);
        for (int64_t i = 0; leaf && i < leaf->count; i++)
            add_vote(f, &f->trees.votes[leaf->first + i], s, seen);
    }
    for (int64_t k = 0; k < f->targets && f->how == AVERAGE; k++)
        s[k] /= (double)f->trees.n_roots;
}

/* Base values come after the aggregate, then the transform. */
static void regress_range(void *user, int64_t begin, int64_t end, int worker) {
    const forest *f = user;
    double *s = f->work + worker * f->work_doubles;
    for (int64_t r = begin; r < end; r++) {
        collect(f, r, s, s + f->targets + 2);
        for (int64_t k = 0; k < f->targets; k++)
            s[k] += base_at(f, k);
        oc__post_apply(f->post, s, f->targets);
        for (int64_t k = 0; k < f->targets; k++)
            oc__tensor_set_f64(f->y, r * f->targets + k, s[k]);
    }
}

/*
 * Two labels, votes for one class alone: the score is a probability when all
 * weights are positive (then 0.5 divides), a margin otherwise (then 0).
 * Votes for class 0 mean, by old custom, the positive class, whose opposite
 * is made here; votes for class 1 leave class 0 with nothing.  *n: scores.
 */
static int64_t judge_binary(const forest *f, double *s, int64_t *n) {
    double score = s[f->only];
    if (f->only == 0) {
        score += base_at(f, 0);
        s[0] = score;
        *n = 1;
    }
    return score > (f->all_positive ? 0.5 : 0);
}

/* The best of the classes that got votes or have a base value. */
static int64_t judge_many(const forest *f, double *s, const double *seen) {
    int64_t best = -1;
    for (int64_t k = 0; k < f->targets; k++) {
        s[k] += base_at(f, k);
        if ((seen[k] != 0 || f->n_base) && (best < 0 || s[k] > s[best]))
            best = k;
    }
    return OC_MAX(best, 0);
}

static void classify_range(void *user, int64_t begin, int64_t end, int worker) {
    const forest *f = user;
    double *s = f->work + worker * f->work_doubles;
    for (int64_t r = begin; r < end; r++) {
        oc__second second = OC_SECOND_NONE;
        int64_t n = f->targets, best;
        double *seen = s + f->targets + 2;
        collect(f, r, s, seen);
        if (f->binary) {
            best = judge_binary(f, s, &n);
            second = f->all_positive ? OC_SECOND_PART : OC_SECOND_OPPOSITE;
        } else {
            best = judge_many(f, s, seen);
        }
        oc__labels_put(&f->labels, f->y, r, best);
        n = oc__post_scores(f->post, second, s, n);
        for (int64_t k = 0; f->z && k < n; k++)
            ((float *)f->z->data)[r * n + k] = (float)s[k];
    }
}

/* With a base value for each class nothing is left to guess. */
static void find_binary(forest *f) {
    const oc__trees *t = &f->trees;
    f->binary = f->targets == 2 && t->n_votes > 0 && f->n_base < 2;
    f->all_positive = 1;
    f->only = t->n_votes ? t->votes[0].target : 0;
    for (int64_t i = 0; i < t->n_votes; i++) {
        f->all_positive &= t->votes[i].weight >= 0;
        f->binary &= t->votes[i].target == f->only;
    }
}

/* ---- operators -------------------------------------------------------------
 */

static oc_status infer_forest(oc__ctx *c) {
    forest f;
    size_t trees, work;
    OC_TRY(forest_read(c, &f));
    OC_TRY(tree_bytes(c, &trees));
    if (oc__size_mul((size_t)f.work_doubles * sizeof(double),
                     (size_t)OC_MAX(c->threads, 1), &work) ||
        oc__size_add(trees, work, &work))
        return oc__op_fail(c, OC_E_LIMIT, "there are too many targets");
    oc__scratch_need(c, work);
    int64_t dims[2] = {f.n, f.targets};
    if (c->op->kind == CLASSIFIER) {
        OC_TRY(oc__out_set(c, 0, oc__labels_dtype(&f.labels), 1, dims));
        return oc__out_set(c, 1, OC_DTYPE_F32, 2, dims);
    }
    oc_dtype dtype = c->op->kind == ENSEMBLE ? f.x->dtype : OC_DTYPE_F32;
    return oc__out_set(c, 0, dtype, 2, dims);
}

static oc_status run_forest(oc__ctx *c) {
    forest f;
    size_t bytes = 0;
    OC_TRY(forest_read(c, &f));
    OC_TRY(tree_bytes(c, &bytes));
    OC_TRY(trees_build(c, &f, c->scratch));
    f.work = (double *)((char *)c->scratch + bytes);
    f.y = oc__out(c, 0);
    f.z = oc__out(c, 1);
    int classify = c->op->kind == CLASSIFIER;
    if (classify) find_binary(&f);
    if (!classify && !f.y) return OC_OK;
    oc__parallel(c, f.n, OC_MAX(1, 1024 / (f.trees.n_roots + 1)),
                 classify ? classify_range : regress_range, &f);
    return OC_OK;
}

const oc__op oc__ops_ml_tree[] = {
    {ML, "TreeEnsemble", 5, 1, 1, 1, 0, ENSEMBLE, infer_forest, run_forest,
     NULL},
    {ML, "TreeEnsembleRegressor", 1, 1, 1, 1, 0, REGRESSOR, infer_forest,
     run_forest, NULL},
    {ML, "TreeEnsembleClassifier", 1, 1, 1, 2, 0, CLASSIFIER, infer_forest,
     run_forest, NULL},
    {NULL, NULL, 0, 0, 0, 0, 0, 0, NULL, NULL, NULL},
};
