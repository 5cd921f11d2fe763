/* pruner.c - see ocelli/prune.h. */
#include "onnx/export.h"
#include "quant/units.h"
#include "runtime/model.h"

#include <string.h>

struct oc_pruner {
    oc_model *model;
    const oc_allocator *allocator;
    oc_prune_options opt;
    oc__arena arena;
    oc__graph *graph;  /* the model's */
    oc__graph *shaped; /* the same with shapes */
    oc__prune prune;
    double *score;
    oc__taylor *taylor; /* NULL before the first sample */
    int chosen;         /* for the samples there are */
    int n_groups;
    oc_pruned_group *groups; /* name, layers, channels and why */
    int *group_source;
};

/* ---- looking at the model -------------------------------------------------
 */

static oc_status check_options(const oc_prune_options *o, oc_error *err) {
    if (!(o->channels >= 0 && o->channels < 1))
        return oc__fail(err, OC_E_ARG,
                        "a share of channels of %g is not in 0 to below 1",
                        o->channels);
    if (!(o->sparsity >= 0 && o->sparsity < 1))
        return oc__fail(err, OC_E_ARG,
                        "a sparsity of %g is not in 0 to below 1", o->sparsity);
    if (o->channels == 0 && o->sparsity == 0)
        return oc__fail(err, OC_E_ARG,
                        "neither channels nor weights are to be taken out");
    if (o->round < 0 || o->round > 1024)
        return oc__fail(err, OC_E_ARG, "channels in lots of %d: 1 to 1024 work",
                        o->round);
    return OC_OK;
}

/* Codes of 8 bits have scales for channels all over the graph. */
static oc_status check_graph(const oc__graph *g, oc_error *err) {
    for (int i = 0; i < g->n_nodes; i++) {
        const char *op = g->nodes[i]->op->name;
        if (!strncmp(op, "QLinear", 7) || !strcmp(op, "QuantizeLinear") ||
            !strcmp(op, "DequantizeLinear") || !strcmp(op, "ConvInteger") ||
            !strcmp(op, "MatMulInteger") || !strcmp(op, "MatMulNBits"))
            return oc__fail(err, OC_E_UNSUPPORTED,
                            "the model is quantized already (%s \"%.60s\"); "
                            "prune the model in f32, then quantize it",
                            op, g->nodes[i]->name);
    }
    return OC_OK;
}

/* Free dimensions as one picture has them. */
static void close_inputs(oc__graph *g, const oc_prune_options *o) {
    for (int i = 0; i < g->n_inputs; i++) {
        oc__value_def *v = &g->values[g->inputs[i]];
        int nhwc = v->rank == 4 && (v->dims[3] == 1 || v->dims[3] == 3);
        int high = nhwc ? 1 : 2, wide = nhwc ? 2 : 3;
        if (v->constant) continue;
        for (int k = 0; k < v->rank; k++) {
            if (v->dims[k] >= 0) continue;
            v->dims[k] = v->rank != 4 ? 1
                         : k == high  ? (o->height > 0 ? o->height : 224)
                         : k == wide  ? (o->width > 0 ? o->width : 224)
                         : k == 0     ? 1
                                      : 3;
        }
    }
}

/* A clone of g, on which every shape is found. */
static oc_status make_shaped(const oc_pruner *p, const oc__graph *g,
                             oc__arena *arena, oc__graph **out, oc_error *err) {
    oc__pass_env env = {
        .kernels = &p->model->kernels, .allocator = p->allocator, .threads = 1};
    *out = oc__graph_clone(g, arena);
    if (!*out) return oc__fail_nomem(err);
    close_inputs(*out, &p->opt);
    return oc__pass_infer(*out, &env, err);
}

/* Nodes are told apart by their names. */
static oc_status name_nodes(oc_pruner *p, oc_error *err) {
    for (int i = 0; i < p->graph->n_nodes; i++) {
        oc__node *n = p->graph->nodes[i];
        if (*n->name) continue;
        n->name = oc__arena_printf(&p->arena, "%s_%d", n->op->name, i);
        if (!n->name) return oc__fail_nomem(err);
    }
    return OC_OK;
}

/* ---- groups ---------------------------------------------------------------
 */

static int group_at(const oc_pruner *p, int source) {
    for (int i = 0; i < p->n_groups; i++)
        if (p->group_source[i] == source) return i;
    return -1;
}

/* Groups in the order of their first sources; unions keep the lower number. */
static oc_status list_groups(oc_pruner *p, oc_error *err) {
    oc__prune *t = &p->prune;
    size_t n = (size_t)t->n_sources + 1;
    p->n_groups = 0;
    p->groups = oc__arena_array(&p->arena, n, sizeof *p->groups);
    p->group_source = oc__arena_array(&p->arena, n, sizeof *p->group_source);
    if (!p->groups || !p->group_source) return oc__fail_nomem(err);
    for (int u = 0; u < t->n_units; u++) {
        int source = oc__prune_group(t, u), at = group_at(p, source);
        if (at < 0) {
            at = p->n_groups++;
            p->group_source[at] = source;
            memset(&p->groups[at], 0, sizeof p->groups[at]);
            p->groups[at].name = p->graph->nodes[t->source_node[source]]->name;
        }
        oc_pruned_group *g = &p->groups[at];
        if (oc__prune_class(t, u) == u) g->channels++;
        if (!g->why) g->why = oc__prune_why(t, u);
        g->layers += !u || t->source[u] != t->source[u - 1];
    }
    return OC_OK;
}

static void count_kept(oc_pruner *p) {
    const oc__prune *t = &p->prune;
    for (int i = 0; i < p->n_groups; i++)
        p->groups[i].kept = 0;
    for (int u = 0; u < t->n_units; u++)
        if (oc__prune_class(t, u) == u && !t->gone[u])
            p->groups[group_at(p, oc__prune_group(t, u))].kept++;
}

static oc_status choose(oc_pruner *p, oc_error *err) {
    if (p->chosen) return OC_OK;
    if (p->taylor)
        oc__taylor_score(p->taylor, p->score);
    else
        OC_TRY(oc__prune_score(&p->prune, p->opt.importance, p->score));
    OC_TRY(oc__prune_choose(&p->prune, p->score, err));
    count_kept(p);
    p->chosen = 1;
    return OC_OK;
}

/* ---- creating -------------------------------------------------------------
 */

/* The graph as it will be, in arena. */
static oc_status make_cut(oc_pruner *p, oc__arena *arena, oc__graph **out,
                          oc_error *err) {
    *out = oc__graph_clone(p->graph, arena);
    if (!*out) return oc__fail_nomem(err);
    OC_TRY(oc__prune_cut(&p->prune, *out, p->allocator, err));
    return p->opt.sparsity > 0
               ? oc__prune_thin(*out, p->opt.sparsity, p->allocator, err)
               : OC_OK;
}

static int same_shape(const oc__value_def *a, const oc__value_def *b) {
    if (a->rank != b->rank) return 0;
    for (int i = 0; i < a->rank; i++)
        if (a->dims[i] != b->dims[i]) return 0;
    return 1;
}

/* Whether shapes fit once channels are gone, and outputs are as they were. */
static oc_status check_cut(oc_pruner *p, oc_error *err) {
    oc__arena arena;
    oc__graph *g = NULL, *shaped = NULL;
    oc__arena_init(&arena, p->allocator);
    oc_status st = make_cut(p, &arena, &g, err);
    if (!st) st = make_shaped(p, g, &arena, &shaped, err);
    for (int i = 0; !st && i < g->n_outputs; i++)
        if (!same_shape(&shaped->values[shaped->outputs[i]],
                        &p->shaped->values[p->shaped->outputs[i]]))
            st = oc__fail(err, OC_E_UNSUPPORTED,
                          "output \"%.60s\" would have another shape",
                          p->model->outputs[i].name);
    if (shaped) oc__graph_release(shaped);
    if (g) oc__graph_release(g);
    oc__arena_deinit(&arena);
    return st;
}

static oc_status trace(oc_pruner *p, int careful, oc_error *err) {
    OC_TRY(oc__prune_trace(&p->prune, p->graph, p->shaped, &p->opt, careful,
                           &p->arena, err));
    size_t n = (size_t)p->prune.n_units + 1;
    p->score = oc__arena_array(&p->arena, n, sizeof *p->score);
    if (!p->score) return oc__fail_nomem(err);
    p->chosen = 0;
    OC_TRY(list_groups(p, err));
    OC_TRY(choose(p, err));
    return check_cut(p, err);
}

/* Something goes, or the sentence why nothing does. */
static oc_status check_any(const oc_pruner *p, oc_error *err) {
    const char *why = NULL;
    for (int i = 0; i < p->n_groups; i++) {
        if (p->groups[i].kept < p->groups[i].channels) return OC_OK;
        if (!why) why = p->groups[i].why;
    }
    if (p->opt.channels == 0) return OC_OK;
    if (!p->n_groups)
        return oc__fail(err, OC_E_UNSUPPORTED,
                        "there are no channels to take out: no Conv, Gemm or "
                        "MatMul in f32 with constant weights");
    return oc__fail(err, OC_E_UNSUPPORTED,
                    "no channels can be taken out: %.200s",
                    why ? why : "there are too few of them");
}

static oc_status check_norms(const oc_pruner *p, oc_error *err) {
    if (p->opt.importance != OC_IMPORTANCE_BN) return OC_OK;
    for (int i = 0; i < p->prune.n_slices; i++)
        if (p->prune.slices[i].role == OC_PRUNE_SCALE) return OC_OK;
    return oc__fail(err, OC_E_UNSUPPORTED,
                    "the model has no batch norms to rank channels by");
}

static oc_status setup(oc_pruner *p, oc_error *err) {
    int only;
    OC_TRY(check_options(&p->opt, err));
    OC_TRY(oc__model_clone_graph(p->model, &p->graph, &p->arena, &only, err));
    OC_TRY(check_graph(p->graph, err));
    OC_TRY(name_nodes(p, err));
    OC_TRY(make_shaped(p, p->graph, &p->arena, &p->shaped, err));
    /* What computes shapes mostly follows by itself; where it does not, what
       depends on it stays whole. */
    oc_status st = trace(p, 0, err);
    if (st != OC_OK && st != OC_E_NOMEM) st = trace(p, 1, err);
    if (!st) st = check_any(p, err);
    if (!st) st = check_norms(p, err);
    return st;
}

oc_status oc_pruner_create(oc_pruner **out, oc_model *model,
                           const oc_prune_options *opt, oc_error *err) {
    static const oc_prune_options none;
    oc__error_clear(err);
    if (!out || !model)
        return oc__fail(err, OC_E_ARG, "oc_pruner_create: NULL argument");
    oc_pruner *p = oc__calloc(&model->allocator, 1, sizeof *p);
    if (!p) return oc__fail_nomem(err);
    p->model = model;
    p->allocator = &model->allocator;
    p->opt = opt ? *opt : none;
    oc__arena_init(&p->arena, p->allocator);
    oc_status st = setup(p, err);
    /* Patterns are the caller's. */
    p->opt.ignore = NULL;
    p->opt.n_ignore = 0;
    if (st) {
        oc_pruner_destroy(p);
        return st;
    }
    *out = p;
    return OC_OK;
}

void oc_pruner_destroy(oc_pruner *p) {
    if (!p) return;
    oc__taylor_destroy(p->taylor);
    if (p->shaped) oc__graph_release(p->shaped);
    if (p->graph) oc__graph_release(p->graph);
    oc__arena_deinit(&p->arena);
    oc__release(p->allocator, p, sizeof *p);
}

/* ---- samples --------------------------------------------------------------
 */

static oc_status make_taylor(oc_pruner *p, oc_error *err) {
    int threads = p->opt.threads > 0 ? p->opt.threads : oc_cpu_count();
    return p->taylor
               ? OC_OK
               : oc__taylor_create(&p->taylor, &p->prune, &p->model->kernels,
                                   threads, p->allocator, err);
}

oc_status oc_pruner_add(oc_pruner *p, const oc_tensor *const *inputs, int n,
                        int label, oc_error *err) {
    oc__error_clear(err);
    if (!p || !inputs || n != p->model->n_inputs)
        return oc__fail(err, OC_E_ARG, "the model has %d inputs, %d are given",
                        p ? p->model->n_inputs : 0, n);
    if (p->opt.importance != OC_IMPORTANCE_GRADIENT)
        return oc__fail(err, OC_E_ARG, "gradients were not asked for");
    OC_TRY(make_taylor(p, err));
    size_t count = (size_t)n + 1;
    oc_value *values = oc__calloc(p->allocator, count, sizeof *values);
    const oc_value **refs = oc__calloc(p->allocator, count, sizeof *refs);
    oc_status st = values && refs ? OC_OK : oc__fail_nomem(err);
    for (int i = 0; !st && i < n; i++) {
        if (!inputs[i]) {
            if (!p->model->inputs[i].optional)
                st = oc__fail(err, OC_E_ARG, "input \"%s\" is not given",
                              p->model->inputs[i].name);
            continue;
        }
        values[i].kind = OC_KIND_TENSOR;
        values[i].t = *inputs[i];
        refs[i] = &values[i];
    }
    if (!st) st = oc__taylor_add(p->taylor, refs, label, err);
    if (!st) p->chosen = 0;
    oc__release(p->allocator, values, count * sizeof *values);
    oc__release(p->allocator, refs, count * sizeof *refs);
    return st;
}

/* ---- writing --------------------------------------------------------------
 */

static oc_status put_model(oc_pruner *p, oc__arena *arena, oc__graph **g,
                           oc__wire_out *o, oc_error *err) {
    size_t n = (size_t)p->model->n_outputs;
    const char **names = oc__arena_array(arena, n + 1, sizeof *names);
    if (!names) return oc__fail_nomem(err);
    OC_TRY(make_cut(p, arena, g, err));
    for (size_t i = 0; i < n; i++)
        names[i] = p->model->outputs[i].name;
    oc__export_options opt = {names};
    return oc__onnx_export(o, oc__model_onnx(p->model), *g, &opt, err);
}

oc_status oc_pruner_save(oc_pruner *p, const char *path, oc_error *err) {
    oc__arena arena;
    oc__graph *g = NULL;
    oc__wire_out o;
    oc__error_clear(err);
    if (!p || !path) return oc__fail(err, OC_E_ARG, "no pruner or no path");
    if (p->opt.importance == OC_IMPORTANCE_GRADIENT && !p->taylor &&
        p->opt.channels > 0)
        return oc__fail(err, OC_E_ARG,
                        "no sample was added, so there are no gradients");
    OC_TRY(choose(p, err));
    oc__arena_init(&arena, p->allocator);
    oc__put_init(&o, p->allocator);
    oc_status st = put_model(p, &arena, &g, &o, err);
    if (!st) st = oc__put_save(&o, path, err);
    oc__put_deinit(&o);
    if (g) oc__graph_release(g);
    oc__arena_deinit(&arena);
    return st;
}

/* ---- what there is to say -------------------------------------------------
 */

int oc_pruner_group_count(const oc_pruner *p) {
    return p ? p->n_groups : 0;
}

oc_status oc_pruner_group(oc_pruner *p, int i, oc_pruned_group *out,
                          oc_error *err) {
    oc__error_clear(err);
    if (!p || !out || i < 0 || i >= p->n_groups)
        return oc__fail(err, OC_E_ARG, "no pruner or no such group");
    OC_TRY(choose(p, err));
    *out = p->groups[i];
    return OC_OK;
}
