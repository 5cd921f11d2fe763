/* program.c - from a graph and input shapes to a schedule; see program.h. */
#include "runtime/program.h"

#include "base/size.h"
#include "passes/tune.h"

#include <string.h>

/* Writes the inputs' types and shapes into the copied graph. */
static void set_input_shapes(oc__graph *g, const oc_value *const *inputs) {
    for (int i = 0; i < g->n_inputs + g->n_captures; i++) {
        int id =
            i < g->n_inputs ? g->inputs[i] : g->captures[i - g->n_inputs].value;
        oc__value_def *v = &g->values[id];
        const oc_value *in = inputs[i];
        if (v->constant) continue;
        v->rank = -1;
        v->kind = in ? in->kind : OC_KIND_NONE;
        if (!in || in->kind != OC_KIND_TENSOR) continue;
        v->dtype = in->t.dtype;
        v->rank = in->t.rank;
        memcpy(v->dims, in->t.dims, sizeof(v->dims));
    }
}

/* Where each value lives, before sharing and placing. */
static oc_status make_slots(oc__program *p, oc_error *err) {
    const oc__graph *g = p->graph;
    p->slots =
        oc__arena_array(&p->arena, (size_t)g->n_values, sizeof(oc__slot));
    if (!p->slots) return oc__fail_nomem(err);
    for (int v = 0; v < g->n_values; v++) {
        p->slots[v].root = v;
        if (!g->values[v].constant) continue;
        p->slots[v].kind = OC_SLOT_CONST;
        p->slots[v].t = *g->values[v].constant;
        if (g->values[v].buf)
            p->weight_bytes += oc__buf_bytes(g->values[v].buf);
    }
    for (int i = 0; i < g->n_inputs; i++)
        if (!g->values[g->inputs[i]].constant)
            p->slots[g->inputs[i]].kind = OC_SLOT_INPUT;
    for (int i = 0; i < g->n_captures; i++)
        p->slots[g->captures[i].value].kind = OC_SLOT_INPUT;
    return OC_OK;
}

/* A value with a known numeric type and shape, made by a node, is planned. */
static int plan_value(oc__program *p, int v) {
    const oc__value_def *d = &p->graph->values[v];
    oc__slot *s = &p->slots[v];
    s->kind = OC_SLOT_DYNAMIC;
    if (d->kind != OC_KIND_TENSOR || d->rank < 0 || d->dtype == OC_DTYPE_NONE ||
        d->dtype == OC_DTYPE_STRING)
        return 0;
    size_t bytes;
    if (oc__tensor_size(d->dtype, d->rank, d->dims, &bytes)) return 0;
    s->kind = OC_SLOT_PLANNED;
    oc__tensor_set(&s->t, d->dtype, d->rank, d->dims);
    s->bytes = oc__align_up(bytes, OC_ALIGN);
    return 1;
}

/* Operators may take for granted that somebody wants what they compute. */
static int is_wanted(const oc__node *n) {
    for (int j = 0; j < n->n_out; j++)
        if (n->out[j] >= 0) return 1;
    return 0;
}

static oc_status make_steps(oc__program *p, oc_error *err) {
    const oc__graph *g = p->graph;
    p->steps = oc__arena_array(&p->arena, (size_t)g->n_nodes, sizeof(oc__step));
    if (!p->steps) return oc__fail_nomem(err);
    for (int i = 0; i < g->n_nodes; i++) {
        const oc__node *n = g->nodes[i];
        if (!is_wanted(n)) continue;
        oc__step *s = &p->steps[p->n_steps++];
        s->node = n;
        s->kernel = oc__attr_string(n, "kernel", "");
        /* All outputs planned, or none: a step is either static or not. */
        int planned = !(n->op->flags & OC_OP_DYNAMIC);
        for (int j = 0; j < n->n_out; j++)
            if (n->out[j] >= 0) planned &= plan_value(p, n->out[j]);
        for (int j = 0; j < n->n_explicit; j++)
            planned &=
                n->in[j] < 0 || p->slots[n->in[j]].kind != OC_SLOT_DYNAMIC;
        s->deferred = !planned;
        for (int j = 0; j < n->n_out && !planned; j++)
            if (n->out[j] >= 0) p->slots[n->out[j]].kind = OC_SLOT_DYNAMIC;
    }
    return OC_OK;
}

/* Asks every static op once more for its scratch and its cost. */
static oc_status size_scratch(oc__program *p, const oc__pass_env *env,
                              oc_error *err) {
    size_t most = 1;
    for (int i = 0; i < p->n_steps; i++)
        most = OC_MAX(most, (size_t)p->steps[i].node->n_in +
                                (size_t)p->steps[i].node->n_out);
    oc_value *slots = oc__calloc(env->allocator, most, sizeof(*slots));
    oc_value **refs = oc__calloc(env->allocator, most, sizeof(*refs));
    oc_status st = slots && refs ? OC_OK : oc__fail_nomem(err);
    for (int i = 0; i < p->n_steps && st == OC_OK; i++) {
        oc__step *s = &p->steps[i];
        const oc__node *n = s->node;
        if (s->deferred) continue;
        for (int j = 0; j < n->n_explicit + n->n_out; j++) {
            int v = j < n->n_explicit ? n->in[j] : n->out[j - n->n_explicit];
            refs[j] = v >= 0 ? &slots[j] : NULL;
            memset(&slots[j], 0, sizeof(slots[j]));
            if (v < 0) continue;
            slots[j].kind = p->graph->values[v].kind;
            slots[j].t = p->slots[v].t;
            if (p->slots[v].kind == OC_SLOT_INPUT) {
                const oc__value_def *d = &p->graph->values[v];
                if (d->rank >= 0)
                    oc__tensor_set(&slots[j].t, d->dtype, d->rank, d->dims);
            }
            s->bytes += (double)oc_tensor_bytes(&slots[j].t);
        }
        oc__ctx c = {.node = n,
                     .op = n->op,
                     .kernels = env->kernels,
                     .threads = env->threads,
                     .allocator = env->allocator,
                     .err = err,
                     .n_in = n->n_explicit,
                     .n_out = n->n_out,
                     .in = refs,
                     .out = refs + n->n_explicit,
                     .inferring = 1};
        st = n->op->infer(&c);
        p->scratch_bytes = OC_MAX(p->scratch_bytes, c.scratch_bytes);
        if (st == OC_OK && n->op->flops) s->flops = n->op->flops(&c);
    }
    oc__release(env->allocator, slots, most * sizeof(*slots));
    oc__release(env->allocator, refs, most * sizeof(*refs));
    return st;
}

/* From a graph with all its shapes to a program. */
static oc_status schedule(oc__program *p, const oc__pass_env *env,
                          oc_error *err) {
    OC_TRY(make_slots(p, err));
    OC_TRY(make_steps(p, err));
    OC_TRY(oc__program_plan(p, env, err));
    OC_TRY(size_scratch(p, env, err));
    p->total_bytes = p->arena.held_bytes + p->activation_bytes +
                     p->scratch_bytes + p->weight_bytes;
    return OC_OK;
}

static size_t constant_bytes(const oc__graph *g) {
    size_t sum = 0;
    for (int v = 0; v < g->n_values; v++)
        if (g->values[v].constant)
            sum += oc_tensor_bytes(g->values[v].constant);
    return sum;
}

oc_status oc__program_complete(oc__program *p, const oc_value *const *inputs,
                               const oc__pass_env *env, oc_error *err) {
    set_input_shapes(p->graph, inputs);
    if (env->tuner) oc__tuner_begin(env->tuner, constant_bytes(p->graph));
    OC_TRY(oc__passes_run_shaped(p->graph, env, err));
    return schedule(p, env, err);
}

oc_status oc__program_create(oc__program **out, const oc_allocator *a,
                             oc_error *err) {
    oc__program *p = oc__calloc(a, 1, sizeof(*p));
    if (!p) return oc__fail_nomem(err);
    oc__arena_init(&p->arena, a);
    *out = p;
    return OC_OK;
}

oc_status oc__program_restore(oc__program *p, const oc_value *const *inputs,
                              const oc__pass_env *env, oc_error *err) {
    set_input_shapes(p->graph, inputs);
    OC_TRY(oc__pass_infer(p->graph, env, err));
    p->weight_bytes = p->file.bytes;
    return schedule(p, env, err);
}

oc_status oc__program_compile(oc__program **out, const oc__graph *graph,
                              const oc_value *const *inputs,
                              const oc__pass_env *env, oc_error *err) {
    oc__program *p = NULL;
    OC_TRY(oc__program_create(&p, env->allocator, err));
    p->graph = oc__graph_clone(graph, &p->arena);
    oc_status st = p->graph ? oc__program_complete(p, inputs, env, err)
                            : oc__fail_nomem(err);
    if (st != OC_OK) {
        oc__program_destroy(p);
        return st;
    }
    *out = p;
    return OC_OK;
}

void oc__program_destroy(oc__program *p) {
    if (!p) return;
    const oc_allocator *a = p->arena.allocator;
    oc__graph_release(p->graph);
    oc__arena_deinit(&p->arena);
    oc__file_unmap(&p->file);
    oc__release(a, p, sizeof(*p));
}
