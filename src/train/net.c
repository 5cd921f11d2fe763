/* net.c - see net.h. */
#include "train/net.h"

#include "arch/arch.h"
#include "passes/match.h"
#include "runtime/model.h"
#include "train/qat.h"

#include <string.h>

int oc__net_var(const oc__net *net, int value) {
    for (int i = 0; i < net->n_vars; i++)
        if (net->vars[i].value == value) return i;
    return -1;
}

/* ---- where it comes from --------------------------------------------------
 */

static oc_status from_arch(oc__net *net, const oc__net_options *opt,
                           oc_error *err) {
    oc__arch_options a = {opt->arch,  opt->classes,      opt->height,
                          opt->width, opt->width_factor, opt->seed};
    int opset;
    OC_TRY(oc__arch_build(&net->g, &opset, &net->arena, &a, err));
    oc__onnx *o = &net->onnx;
    o->opsets = oc__arena_array(&net->arena, 1, sizeof(*o->opsets));
    o->input_is_optional = oc__arena_array(&net->arena, 1, 1);
    o->output_is_optional = oc__arena_array(&net->arena, 1, 1);
    o->defaults = oc__arena_array(&net->arena, 1, sizeof(*o->defaults));
    if (!o->opsets || !o->input_is_optional || !o->output_is_optional ||
        !o->defaults)
        return oc__fail_nomem(err);
    o->opsets[0] = (oc__opset){"", opset};
    o->n_opsets = 1;
    o->ir_version = opset > 17 ? 9 : 8;
    o->producer_name = "ocelli";
    o->producer_version = oc_version();
    o->domain = o->doc_string = "";
    oc__net_options own = *opt;
    own.keep_head = 1;
    return oc__net_head(net, &own, err);
}

/* The output is declared as y is, which was found for one picture. */
static void declare_logits(oc__net *net, const oc__value_def *y) {
    oc__value_def *v = &net->g->values[net->logits];
    v->kind = y->kind;
    v->dtype = y->dtype;
    v->rank = y->rank;
    memcpy(v->dims, y->dims, sizeof(v->dims));
    memset(v->dim_names, 0, sizeof(v->dim_names));
    v->dims[0] = -1;
    v->dim_names[0] = "batch";
}

/* How many numbers a picture gives, into *user. */
static oc_status count_logits(oc__net *net, oc__graph *seen, void *user,
                              oc_error *err) {
    const oc__value_def *y = &seen->values[net->logits];
    (void)err;
    if (y->rank >= 0) *(int64_t *)user = oc__count(y->dims, y->rank);
    if (y->rank > 0) declare_logits(net, y);
    return OC_OK;
}

/* A picture must give one number a class: nothing else is a classifier. */
static oc_status check_logits(oc__net *net, oc_error *err) {
    int64_t n = -1;
    oc_status st = oc__net_show_shapes(net, count_logits, &n, err);
    if (st != OC_OK && net->resized)
        return oc__fail(err, OC_E_UNSUPPORTED,
                        "the model takes pictures of one size alone, which is "
                        "not %d x %d",
                        net->width, net->height);
    if (st == OC_OK && n != net->classes)
        st = oc__fail(err, OC_E_UNSUPPORTED,
                      "the model gives %lld numbers for a picture where %d "
                      "classes are one each, so it is no classifier to train",
                      (long long)n, net->classes);
    return st == OC_OK ? oc__net_check_batch(net, err) : st;
}

static oc_status from_model(oc__net *net, const oc__net_options *opt,
                            oc_error *err) {
    const oc__graph *g;
    OC_TRY(oc__model_graph(opt->model, &g, err));
    net->onnx = *oc__model_onnx(opt->model);
    memset(&net->onnx.externals, 0, sizeof(net->onnx.externals));
    memset(&net->onnx.data, 0, sizeof(net->onnx.data));
    net->onnx.n_props = 0;
    net->onnx.input_is_optional = oc__arena_array(&net->arena, 1, 1);
    net->onnx.output_is_optional = oc__arena_array(&net->arena, 1, 1);
    net->onnx.defaults =
        oc__arena_array(&net->arena, 1, sizeof(*net->onnx.defaults));
    net->g = oc__graph_clone(g, &net->arena);
    if (!net->g || !net->onnx.input_is_optional ||
        !net->onnx.output_is_optional || !net->onnx.defaults)
        return oc__fail_nomem(err);
    OC_TRY(oc__net_input(net, opt, err));
    OC_TRY(oc__net_head(net, opt, err));
    oc__pass_env env = {.allocator = net->allocator};
    OC_TRY(oc__pass_dead_code(net->g, &env, err));
    /* What was declared held for one picture and the old classes. */
    for (int i = 0; i < net->g->n_values; i++)
        if (!net->g->values[i].constant && i != net->g->inputs[0])
            net->g->values[i].rank = -1;
    return check_logits(net, err);
}

/* ---- what is learned ------------------------------------------------------
 */

/* Constant operands that are learned; -1 of both: any, beside a live one. */
static const struct {
    const char *op;
    int weight, others[2], stats[2]; /* input numbers, 0: none */
} learned[] = {
    {"Conv", 1, {2, 0}, {0, 0}},
    {"ConvTranspose", 1, {2, 0}, {0, 0}},
    {"Gemm", 1, {2, 0}, {0, 0}},
    {"BatchNormalization", 0, {1, 2}, {3, 4}},
    {"InstanceNormalization", 0, {1, 2}, {0, 0}},
    {"GroupNormalization", 0, {1, 2}, {0, 0}},
    {"LayerNormalization", 0, {1, 2}, {0, 0}},
    {"RMSNormalization", 0, {1, 0}, {0, 0}},
    {"PRelu", 0, {1, 0}, {0, 0}},
};

static oc_status note_var(oc__net *net, int node, int value, oc__var_kind kind,
                          int decays, oc_error *err) {
    const oc_tensor *t = value < 0 ? NULL : oc__constant(net->g, value);
    if (!t || t->dtype != OC_DTYPE_F32 || oc_tensor_elems(t) == 0 ||
        oc__net_var(net, value) >= 0)
        return OC_OK;
    if (net->n_vars % 64 == 0) {
        oc__var *more = oc__arena_array(&net->arena, (size_t)net->n_vars + 64,
                                        sizeof(*more));
        if (!more) return oc__fail_nomem(err);
        if (net->n_vars)
            memcpy(more, net->vars, (size_t)net->n_vars * sizeof(*more));
        net->vars = more;
    }
    net->vars[net->n_vars++] =
        (oc__var){.value = value,
                  .t = *t,
                  .kind = kind,
                  .decays = decays,
                  .trained = 1,
                  .is_head = value == net->head[0] || value == net->head[1] ||
                             value == net->head[2],
                  .node = node};
    if (kind == OC_VAR_WEIGHT) net->elems += (size_t)oc_tensor_elems(t);
    return OC_OK;
}

static oc_status note_listed(oc__net *net, int i, oc_error *err) {
    const oc__node *n = net->g->nodes[i];
    for (size_t k = 0; k < OC_COUNT(learned); k++) {
        if (!oc__is_op(n, learned[k].op)) continue;
        int w = learned[k].weight;
        if (w && w < n->n_explicit)
            OC_TRY(note_var(net, i, n->in[w], OC_VAR_WEIGHT, 1, err));
        for (int j = 0; j < 2; j++) {
            int o = learned[k].others[j], s = learned[k].stats[j];
            if (o && o < n->n_explicit)
                OC_TRY(note_var(net, i, n->in[o], OC_VAR_WEIGHT, 0, err));
            if (s && s < n->n_explicit)
                OC_TRY(note_var(net, i, n->in[s], OC_VAR_STAT, 0, err));
        }
    }
    return OC_OK;
}

/* Products with a constant; sums and products of what is learned with one
 * (a bias, a scale).  Single numbers are part of a formula. */
static oc_status note_operands(oc__net *net, int i, const char *live,
                               oc_error *err) {
    const oc__node *n = net->g->nodes[i];
    int product = oc__is_op(n, "MatMul");
    if (n->n_explicit != 2) return OC_OK;
    if (!product && !oc__is_op(n, "Add") && !oc__is_op(n, "Sub") &&
        !oc__is_op(n, "Mul"))
        return OC_OK;
    for (int j = 0; j < 2; j++) {
        const oc_tensor *t = oc__constant(net->g, n->in[j]);
        if (!t || oc_tensor_elems(t) < 2) continue;
        if (product || live[n->in[1 - j]])
            OC_TRY(note_var(net, i, n->in[j], OC_VAR_WEIGHT, product, err));
    }
    return OC_OK;
}

static oc_status find_vars(oc__net *net, oc_error *err) {
    oc__graph *g = net->g;
    char *live = oc__calloc(net->allocator, (size_t)g->n_values + 1, 1);
    oc_status st = live ? OC_OK : oc__fail_nomem(err);
    for (int i = 0; i < g->n_nodes && st == OC_OK; i++) {
        const oc__node *n = g->nodes[i];
        int reached = 0, before = net->n_vars;
        st = note_listed(net, i, err);
        if (st == OC_OK) st = note_operands(net, i, live, err);
        for (int j = 0; j < n->n_in; j++)
            reached |= n->in[j] >= 0 &&
                       (live[n->in[j]] || oc__net_var(net, n->in[j]) >= 0);
        for (int j = 0; j < n->n_out; j++)
            if (n->out[j] >= 0 && (reached || net->n_vars > before))
                live[n->out[j]] = 1;
    }
    oc__release(net->allocator, live, (size_t)g->n_values + 1);
    if (st == OC_OK && !net->elems)
        st = oc__fail(err, OC_E_UNSUPPORTED,
                      "nothing in this model can be trained: it has no f32 "
                      "weights");
    return st;
}

/* Ranges move as the statistics of batch norms do. */
static oc_status note_ranges(oc__net *net, oc_error *err) {
    for (int v = 0; v < net->qat->plan.n_values; v++)
        if (net->qat->range[v] >= 0)
            OC_TRY(note_var(net, 0, net->qat->range[v], OC_VAR_STAT, 0, err));
    return OC_OK;
}

/* Moves the variables' data into one block and points the graph there. */
static oc_status own_vars(oc__net *net, oc_error *err) {
    for (int i = 0; i < net->n_vars; i++)
        net->block_bytes +=
            oc__align_up(oc_tensor_bytes(&net->vars[i].t), OC_ALIGN);
    net->block = oc__alloc(net->allocator, net->block_bytes);
    if (!net->block) return oc__fail_nomem(err);
    size_t at = 0;
    for (int i = 0; i < net->n_vars; i++) {
        oc__var *v = &net->vars[i];
        oc__value_def *def = &net->g->values[v->value];
        size_t bytes = oc_tensor_bytes(&v->t);
        memcpy(net->block + at, v->t.data, bytes);
        v->t.data = net->block + at;
        at += oc__align_up(bytes, OC_ALIGN);
        oc__buf_release(def->buf);
        def->buf = NULL;
        def->constant = oc__arena_dup(&net->arena, &v->t, sizeof(v->t));
        if (!def->constant) return oc__fail_nomem(err);
    }
    return OC_OK;
}

void oc__net_point(oc__net *net, void *const *from) {
    for (int i = 0; i < net->n_vars; i++) {
        /* The tensor is the net's own; see own_vars(). */
        oc_tensor *t =
            (oc_tensor *)(uintptr_t)net->g->values[net->vars[i].value].constant;
        t->data = from ? from[i] : net->vars[i].t.data;
    }
}

void oc__net_freeze(oc__net *net, oc__freeze how) {
    int layers = 0, seen = 0, last = -1;
    for (int i = 0; i < net->n_vars; i++)
        layers += net->vars[i].decays;
    for (int i = 0; i < net->n_vars; i++) {
        oc__var *v = &net->vars[i];
        if (v->node != last) seen += v->decays;
        last = v->node;
        v->trained = how == OC_FREEZE_NOTHING || v->is_head ||
                     (how == OC_FREEZE_HALF && 2 * seen > layers);
    }
}

oc_status oc__net_init(oc__net *net, const oc__net_options *opt,
                       const oc_allocator *a, oc_error *err) {
    memset(net, 0, sizeof(*net));
    net->allocator = a;
    for (int i = 0; i < 3; i++)
        net->head[i] = -1;
    oc__arena_init(&net->arena, a);
    oc_status st =
        opt->model ? from_model(net, opt, err) : from_arch(net, opt, err);
    if (st == OC_OK && !opt->model) st = oc__net_input(net, opt, err);
    if (st == OC_OK && opt->qat) st = oc__qat_init(net, err);
    if (st == OC_OK) st = find_vars(net, err);
    if (st == OC_OK && net->qat) st = note_ranges(net, err);
    if (st == OC_OK) st = own_vars(net, err);
    if (st != OC_OK) oc__net_deinit(net);
    return st;
}

void oc__net_deinit(oc__net *net) {
    if (net->g) oc__graph_release(net->g);
    oc__release(net->allocator, net->block, net->block_bytes);
    oc__arena_deinit(&net->arena);
    memset(net, 0, sizeof(*net));
}
