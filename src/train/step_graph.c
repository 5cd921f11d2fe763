/* step_graph.c - see step_graph.h. */
#include "train/step_graph.h"

#include "ops/train_step.h"
#include "passes/match.h"
#include "train/criterion.h"
#include "train/qat.h"

#include <string.h>

int oc__optimizer_states(oc_optimizer o) {
    return o == OC_OPTIMIZER_ADAMW ? 2 : 1;
}

typedef struct builder {
    const oc__net *net;
    const oc__var_state *state;
    const oc_trainer_options *opt;
    oc__diff d; /* writes nodes */
    oc__step_graph *out;
    int *stat;  /* new value of each variable that is a statistic, or -1 */
    int *grads; /* of each variable that is trained */
} builder;

static oc_status no_memory(const builder *b) {
    return oc__fail_nomem(b->d.err);
}

/* ---- variables ------------------------------------------------------------
 */

/* Whether variable i takes part, and so is one in the step's graph. */
static int is_live(const builder *b, int i) {
    const oc__var *v = &b->net->vars[i];
    return v->kind == OC_VAR_STAT ? b->stat[i] >= 0 : v->trained;
}

/* Room for every input and output there can be. */
static oc_status make_room(builder *b) {
    size_t n = OC_STEP_INPUTS + 4 * (size_t)b->net->n_vars;
    oc__graph *g = b->d.g;
    oc__arena *a = g->arena;
    int images = g->inputs[0];
    b->out->inputs = oc__arena_array(a, n, sizeof(oc_tensor));
    g->inputs = oc__arena_array(a, n, sizeof(int));
    g->outputs = oc__arena_array(a, n, sizeof(int));
    g->updates = oc__arena_array(a, n, sizeof(oc__update));
    size_t vars = (size_t)b->net->n_vars;
    b->stat = oc__arena_array(a, vars, sizeof(int));
    b->grads = oc__arena_array(a, vars, sizeof(int));
    if (!b->out->inputs || !g->inputs || !g->outputs || !g->updates ||
        !b->stat || !b->grads)
        return no_memory(b);
    for (size_t i = 0; i < vars; i++)
        b->stat[i] = b->grads[i] = -1;
    g->inputs[0] = images;
    g->n_inputs = 0;
    g->n_outputs = 0;
    return OC_OK;
}

/* Value v becomes the next input, of t's type and shape. */
static void add_input(builder *b, int v, const oc_tensor *t) {
    oc__graph *g = b->d.g;
    oc__value_def *def = &g->values[v];
    def->dtype = t->dtype;
    def->rank = t->rank;
    memcpy(def->dims, t->dims, sizeof(def->dims));
    b->out->inputs[g->n_inputs] = *t;
    g->inputs[g->n_inputs++] = v;
}

/* A new value that is an input; -1: no memory. */
static int new_input(builder *b, const char *name, const oc_tensor *t) {
    int v = oc__graph_add_value(b->d.g, name);
    if (v >= 0) add_input(b, v, t);
    return v;
}

/* Value v of the graph takes the place of input number `input`. */
static void add_update(builder *b, int input, int v) {
    oc__graph *g = b->d.g;
    g->updates[g->n_updates++] = (oc__update){input, g->n_outputs};
    g->outputs[g->n_outputs++] = v;
}

/* The constant of variable i becomes an input. */
static void open_var(builder *b, int i) {
    const oc__var *v = &b->net->vars[i];
    oc__value_def *def = &b->d.g->values[v->value];
    def->constant = NULL;
    def->buf = NULL; /* the net's own memory has none */
    add_input(b, v->value, &v->t);
}

/* ---- batch norms ----------------------------------------------------------
 */

/* n computes with the batch's statistics and gives the running ones. */
static oc_status train_norm(builder *b, oc__node *n, int mean, int var) {
    oc__arena *a = b->d.g->arena;
    oc__attr *attrs =
        oc__arena_array(a, (size_t)n->n_attrs + 2, sizeof(*attrs));
    int *out = oc__arena_array(a, 3, sizeof(*out)), kept = 0;
    if (!attrs || !out) return no_memory(b);
    for (int i = 0; i < n->n_attrs; i++)
        if (!strcmp(n->attrs[i].name, "epsilon")) attrs[kept++] = n->attrs[i];
    n->attrs = attrs;
    n->n_attrs = kept + 2;
    oc__attr_set_int(n, kept, "training_mode", 1);
    oc__attr_set_float(n, kept + 1, "momentum", 0.9f);
    n->version = 15;
    out[0] = n->out[0];
    out[1] = oc__graph_add_value(b->d.g, NULL);
    out[2] = oc__graph_add_value(b->d.g, NULL);
    n->out = out;
    n->n_out = 3;
    if (out[1] < 0 || out[2] < 0) return no_memory(b);
    b->stat[mean] = out[1];
    b->stat[var] = out[2];
    return OC_OK;
}

/* Batch norms of which something is learned, unless statistics are kept. */
static oc_status train_norms(builder *b) {
    oc__graph *g = b->d.g;
    for (int i = 0; i < g->n_nodes; i++) {
        oc__node *n = g->nodes[i];
        if (!oc__is_op(n, "BatchNormalization") || n->n_explicit < 5) continue;
        int scale = oc__net_var(b->net, n->in[1]);
        int mean = oc__net_var(b->net, n->in[3]);
        int var = oc__net_var(b->net, n->in[4]);
        if (b->opt->freeze_norm || mean < 0 || var < 0 || mean == var ||
            (scale >= 0 && !b->net->vars[scale].trained) || b->stat[mean] >= 0)
            continue;
        OC_TRY(train_norm(b, n, mean, var));
    }
    return OC_OK;
}

/* ---- loss, gradients, update ----------------------------------------------
 */

/* The first n classes of x, divided by the temperature. */
static int cooled(builder *b, int x, int n, double temperature) {
    oc__graph *g = b->d.g;
    int64_t one[1] = {1}, bounds[3] = {0, n, 1};
    int in[4] = {x, -1, -1, -1};
    for (int i = 0; i < 3; i++) {
        void *data;
        in[1 + i] = oc__new_constant(g, b->d.allocator, NULL, OC_DTYPE_I64, 1,
                                     one, &data);
        if (in[1 + i] < 0) return -1;
        *(int64_t *)data = bounds[i];
    }
    int y = n < b->net->classes
                ? oc__diff_emit(&b->d, "", "Slice", 13, 0, 4, in)
                : x;
    float *by;
    int t = oc__new_constant_f32(g, b->d.allocator, NULL, 0, NULL, &by);
    if (t < 0) return -1;
    *by = (float)(1 / temperature);
    return oc__diff_2(&b->d, "Mul", y, t);
}

/* a * loss + b * other */
static int blend(builder *b, double a, int loss, double c, int other) {
    int x[2] = {loss, other};
    double by[2] = {a, c};
    for (int i = 0; i < 2; i++) {
        float *f;
        int v = oc__new_constant_f32(b->d.g, b->d.allocator, NULL, 0, NULL, &f);
        if (v < 0) return -1;
        *f = (float)by[i];
        x[i] = oc__diff_2(&b->d, "Mul", x[i], v);
    }
    return oc__diff_2(&b->d, "Add", x[0], x[1]);
}

/*
 * What the teacher thinks counts by `distill`: cross entropy with its shares,
 * both at a temperature, whose square makes up for smaller gradients
 * (arXiv:1503.02531).  A teacher of the first classes alone speaks of how
 * these stand to each other (arXiv:1606.09282).
 */
static int add_teacher(builder *b, int logits, int loss) {
    const oc_trainer_options *o = b->opt;
    int64_t dims[2] = {o->batch, o->taught};
    double t = o->temperature;
    oc_tensor said;
    oc__tensor_set(&said, OC_DTYPE_F32, 2, dims);
    int z = new_input(b, "teacher", &said);
    if (z < 0) return -1;
    int x = cooled(b, z, b->net->classes, t);
    int shares = oc__diff_emit(&b->d, "", o->multi ? "Sigmoid" : "Softmax", 13,
                               o->multi ? 0 : 1, 1, &x);
    if (shares < 0) return -1;
    if (!o->multi) oc__attr_set_int(b->d.last, 0, "axis", -1);
    int soft = oc__criterion_build(
        &b->d, o->multi ? OC_CRITERION_BCE : OC_CRITERION_CROSS_ENTROPY,
        o->multi, cooled(b, logits, o->taught, t), shares, o->batch, o->taught,
        NULL, 0);
    return blend(b, 1 - o->distill, loss, o->distill * t * t, soft);
}

/* Classes in classes: what lies above counts by `hierarchy`. */
static int add_levels(builder *b, int logits, int targets, int loss) {
    const oc_trainer_options *o = b->opt;
    int above =
        oc__criterion_above(&b->d, o->levels, o->above, logits, targets,
                            o->batch, b->net->classes, o->class_weights);
    return above < 0 ? -1
                     : blend(b, 1 - o->hierarchy, loss, o->hierarchy, above);
}

static oc_status add_loss(builder *b) {
    oc__graph *g = b->d.g;
    const oc_trainer_options *o = b->opt;
    int64_t flat[2] = {o->batch, b->net->classes};
    oc_tensor targets, knobs, images = {0};
    const oc__value_def *x = &g->values[g->inputs[0]];
    oc__tensor_set(&images, OC_DTYPE_F32, 4, x->dims);
    images.dims[0] = o->batch;
    add_input(b, g->inputs[0], &images);
    oc__tensor_set(&targets, OC_DTYPE_F32, 2, flat);
    int64_t n = OC_KNOBS;
    oc__tensor_set(&knobs, OC_DTYPE_F32, 1, &n);
    int t = new_input(b, "targets", &targets);
    int k = new_input(b, "knobs", &knobs);
    if (t < 0 || k < 0) return no_memory(b);
    int logits = oc__diff_reshape(&b->d, b->net->logits, t);
    int loss =
        oc__criterion_build(&b->d, o->criterion, o->multi, logits, t, o->batch,
                            b->net->classes, o->class_weights, o->focus);
    if (loss >= 0 && o->levels) loss = add_levels(b, logits, t, loss);
    if (loss >= 0 && o->taught) loss = add_teacher(b, logits, loss);
    if (loss < 0 || b->d.failed) return no_memory(b);
    g->outputs[OC_STEP_LOSS] = loss;
    g->outputs[OC_STEP_LOGITS] = logits;
    g->n_outputs = OC_STEP_OUTPUTS;
    return OC_OK;
}

static oc_status add_gradients(builder *b) {
    oc__graph *g = b->d.g;
    int n = 0, n_vars = b->net->n_vars;
    int *xs = oc__arena_array(g->arena, (size_t)n_vars, sizeof(*xs));
    int *got = oc__arena_array(g->arena, (size_t)n_vars, sizeof(*got));
    if (!xs || !got) return no_memory(b);
    for (int i = 0; i < n_vars; i++)
        if (b->net->vars[i].kind == OC_VAR_WEIGHT && b->net->vars[i].trained)
            xs[n++] = b->net->vars[i].value;
    if (!n)
        return oc__fail(b->d.err, OC_E_ARG,
                        "everything is frozen: there is nothing to train");
    OC_TRY(oc__gradients(g, b->d.allocator, g->outputs[OC_STEP_LOSS], xs, n,
                         got, b->d.err));
    n = 0;
    for (int i = 0; i < n_vars; i++)
        if (b->net->vars[i].kind == OC_VAR_WEIGHT && b->net->vars[i].trained)
            b->grads[i] = got[n++];
    int norm = oc__diff_emit(&b->d, "ocelli", "GradNorm", 1, 0, n, got);
    if (norm < 0) return no_memory(b);
    g->outputs[OC_STEP_NORM] = norm;
    return OC_OK;
}

/* The optimiser's node for weight i, whose input has number `input`. */
static oc_status update_weight(builder *b, int i, int input) {
    oc__graph *g = b->d.g;
    const oc__var *v = &b->net->vars[i];
    int states = oc__optimizer_states(b->opt->optimizer);
    int in[6] = {v->value}, first = g->n_inputs;
    for (int s = 0; s < states; s++) {
        oc_tensor t = v->t;
        t.data = b->state[i].kept[s];
        in[1 + s] = new_input(b, NULL, &t);
    }
    in[1 + states] = b->grads[i];
    in[2 + states] = g->inputs[OC_STEP_KNOBS];
    in[3 + states] = g->outputs[OC_STEP_NORM];
    oc__node *n =
        oc__diff_node(&b->d, "ocelli", states == 2 ? "AdamWStep" : "SgdStep", 1,
                      2, 4 + states, in, 1 + states);
    if (!n) return no_memory(b);
    oc__attr_set_float(n, 0, "decay", v->decays ? 1 : 0);
    oc__attr_set_int(n, 1, "nesterov", !b->opt->no_nesterov);
    add_update(b, input, n->out[0]);
    for (int s = 0; s < states; s++)
        add_update(b, first + s, n->out[1 + s]);
    return OC_OK;
}

/* The average of variable i, whose new value is v. */
static oc_status update_average(builder *b, int i, int v) {
    oc__graph *g = b->d.g;
    oc_tensor t = b->net->vars[i].t;
    t.data = b->state[i].average;
    int in[3] = {new_input(b, NULL, &t), v, g->inputs[OC_STEP_KNOBS]};
    int y = oc__diff_emit(&b->d, "ocelli", "EmaStep", 1, 0, 3, in);
    if (y < 0) return no_memory(b);
    add_update(b, g->n_inputs - 1, y);
    return OC_OK;
}

static oc_status add_updates(builder *b) {
    for (int i = 0; i < b->net->n_vars; i++) {
        if (!is_live(b, i)) continue;
        int input = 0, v = b->net->vars[i].value, now = b->stat[i];
        while (b->d.g->inputs[input] != v)
            input++;
        if (b->net->vars[i].kind == OC_VAR_STAT) {
            add_update(b, input, now);
        } else {
            OC_TRY(update_weight(b, i, input));
            now = b->d.last->out[0];
        }
        if (b->state[i].average) OC_TRY(update_average(b, i, now));
    }
    return OC_OK;
}

oc_status oc__step_graph_build(oc__step_graph *out, const oc__net *net,
                               const oc__var_state *state,
                               const oc_trainer_options *opt, oc__arena *arena,
                               oc_error *err) {
    builder b = {.net = net, .state = state, .opt = opt, .out = out};
    memset(out, 0, sizeof(*out));
    b.d.g = out->g = oc__graph_clone(net->g, arena);
    b.d.allocator = net->allocator;
    b.d.err = err;
    if (!out->g) return oc__fail_nomem(err);
    OC_TRY(make_room(&b));
    if (net->qat) OC_TRY(oc__qat_insert(net, out->g, b.stat, err));
    OC_TRY(add_loss(&b));
    OC_TRY(train_norms(&b));
    for (int i = 0; i < net->n_vars; i++)
        if (is_live(&b, i)) open_var(&b, i);
    OC_TRY(add_gradients(&b));
    OC_TRY(add_updates(&b));
    out->n_inputs = out->g->n_inputs;
    return b.d.failed ? oc__fail_nomem(err) : OC_OK;
}
