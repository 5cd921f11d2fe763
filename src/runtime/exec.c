/* exec.c - see exec.h. */
#define _POSIX_C_SOURCE 200809L /* clock_gettime */
#include "runtime/exec.h"

#include "base/size.h"

#include <string.h>
#include <time.h>

/* An executor for the body of a control-flow node of one program. */
typedef struct nested {
    const oc__graph *graph;
    oc__exec *exec;
    struct nested *next;
} nested;

/*
 * A program bound to working memory.  The context of every step is made once,
 * so running is a walk over an array.
 */
typedef struct frame {
    oc__program *program;
    oc_value *values; /* one per graph value */
    oc_value **refs;  /* operands of all steps, one after the other */
    oc__ctx *ctx;     /* one per step */
    oc__step_time *times;
    char *activations, *scratch;
    size_t dynamic_scratch_bytes; /* of `scratch`, when grown at run time */
    nested *subs;                 /* bodies of its control-flow nodes */
    uint64_t used_at;             /* for dropping the least recently used */
    oc_tensor *keys;              /* input shapes this frame is for */
    oc_kind *key_kinds;
    struct frame *next;
} frame;

struct oc__exec {
    const oc__graph *graph;    /* what is compiled, or */
    oc__exec_compile *compile; /* what compiles */
    void *user;
    oc__exec_env *env;
    int n_inputs; /* graph inputs and captures */
    frame *frames;
    frame *current;
    uint64_t clock;
};

static oc_status run_subgraph(oc__ctx *c, const oc__graph *g,
                              const oc_value *args, int n_args,
                              oc_value *results, int n_results);

oc_status oc__exec_create(oc__exec **out, const oc__graph *graph,
                          oc__exec_env *env, oc_error *err) {
    oc__exec *e = oc__calloc(env->allocator, 1, sizeof(*e));
    if (!e) return oc__fail_nomem(err);
    e->graph = graph;
    e->env = env;
    e->n_inputs = graph->n_inputs + graph->n_captures;
    *out = e;
    return OC_OK;
}

oc_status oc__exec_create_with(oc__exec **out, int n_inputs,
                               oc__exec_compile *compile, void *user,
                               oc__exec_env *env, oc_error *err) {
    oc__exec *e = oc__calloc(env->allocator, 1, sizeof(*e));
    if (!e) return oc__fail_nomem(err);
    e->compile = compile;
    e->user = user;
    e->env = env;
    e->n_inputs = n_inputs;
    *out = e;
    return OC_OK;
}

/* ---- frames
 * --------------------------------------------------------------------- */

static size_t ref_count(const oc__program *p) {
    size_t n = 0;
    for (int i = 0; i < p->n_steps; i++)
        n += (size_t)p->steps[i].node->n_explicit +
             (size_t)p->steps[i].node->n_out;
    return n;
}

static void frame_destroy(frame *f, const oc_allocator *a, int n_inputs) {
    if (!f) return;
    oc__program *p = f->program;
    while (f->subs) {
        nested *s = f->subs;
        f->subs = s->next;
        oc__exec_destroy(s->exec);
        oc__release(a, s, sizeof(*s));
    }
    for (int v = 0; f->values && v < p->graph->n_values; v++)
        if (p->slots[v].kind == OC_SLOT_DYNAMIC) oc__value_clear(&f->values[v]);
    oc__release(a, f->values, (size_t)p->graph->n_values * sizeof(*f->values));
    oc__release(a, f->refs, ref_count(p) * sizeof(*f->refs));
    oc__release(a, f->ctx, (size_t)p->n_steps * sizeof(*f->ctx));
    oc__release(a, f->times, (size_t)p->n_steps * sizeof(*f->times));
    oc__release(a, f->activations, p->activation_bytes);
    oc__release(a, f->scratch, f->dynamic_scratch_bytes);
    oc__release(a, f->keys, (size_t)n_inputs * sizeof(*f->keys));
    oc__release(a, f->key_kinds, (size_t)n_inputs * sizeof(*f->key_kinds));
    oc__program_destroy(p);
    oc__release(a, f, sizeof(*f));
}

static oc_status frame_alloc(frame *f, const oc__exec *e, oc_error *err) {
    const oc_allocator *a = e->env->allocator;
    const oc__program *p = f->program;
    size_t ni = (size_t)e->n_inputs, ns = (size_t)p->n_steps;
    f->values = oc__calloc(a, (size_t)p->graph->n_values, sizeof(*f->values));
    f->refs = oc__calloc(a, ref_count(p), sizeof(*f->refs));
    f->ctx = oc__calloc(a, ns, sizeof(*f->ctx));
    f->times = oc__calloc(a, ns, sizeof(*f->times));
    f->keys = oc__calloc(a, ni, sizeof(*f->keys));
    f->key_kinds = oc__calloc(a, ni, sizeof(*f->key_kinds));
    f->activations = oc__alloc(a, p->activation_bytes);
    f->scratch = oc__alloc(a, p->scratch_bytes);
    f->dynamic_scratch_bytes = p->scratch_bytes;
    if (!f->values || !f->refs || !f->ctx || !f->times || !f->keys ||
        !f->key_kinds || !f->activations || !f->scratch)
        return oc__fail(err, OC_E_NOMEM,
                        "out of memory for %zu bytes of activations and %zu "
                        "of scratch",
                        p->activation_bytes, p->scratch_bytes);
    return OC_OK;
}

/* Points planned and constant values at their memory, once. */
static void bind_values(frame *f) {
    const oc__program *p = f->program;
    for (int v = 0; v < p->graph->n_values; v++) {
        const oc__slot *s = &p->slots[v];
        if (s->kind != OC_SLOT_CONST && s->kind != OC_SLOT_PLANNED) continue;
        f->values[v].kind = OC_KIND_TENSOR;
        f->values[v].t = s->t;
        if (s->kind == OC_SLOT_PLANNED)
            f->values[v].t.data =
                p->slots[s->root].kind == OC_SLOT_CONST
                    ? (char *)p->slots[s->root].t.data + s->shift
                    : f->activations + s->offset;
        /* Where that is an INPUT, bind_inputs() and views say it anew. */
    }
}

static void bind_steps(frame *f, const oc__exec *e) {
    const oc__program *p = f->program;
    oc_value **ref = f->refs;
    for (int i = 0; i < p->n_steps; i++) {
        const oc__node *n = p->steps[i].node;
        oc__ctx *c = &f->ctx[i];
        c->node = n;
        c->op = n->op;
        c->kernels = e->env->kernels;
        c->pool = e->env->pool;
        c->threads = e->env->threads;
        c->allocator = e->env->allocator;
        c->n_in = n->n_explicit;
        c->n_out = n->n_out;
        c->in = ref;
        c->out = ref + n->n_explicit;
        c->rng = &e->env->rng;
        c->run_graph = run_subgraph;
        for (int j = 0; j < n->n_explicit; j++)
            *ref++ = n->in[j] >= 0 ? &f->values[n->in[j]] : NULL;
        for (int j = 0; j < n->n_out; j++)
            *ref++ = n->out[j] >= 0 ? &f->values[n->out[j]] : NULL;
    }
}

static int frame_matches(const frame *f, const oc_value *const *inputs, int n) {
    for (int i = 0; i < n; i++) {
        oc_kind kind = inputs[i] ? inputs[i]->kind : OC_KIND_NONE;
        if (kind != f->key_kinds[i]) return 0;
        if (kind == OC_KIND_TENSOR &&
            (inputs[i]->t.dtype != f->keys[i].dtype ||
             !oc__tensor_same_shape(&inputs[i]->t, &f->keys[i])))
            return 0;
    }
    return 1;
}

/* Drops the least recently used frames until the rest fits the bound. */
static void trim(oc__exec *e) {
    for (;;) {
        size_t total = 0;
        frame **oldest = NULL;
        for (frame **f = &e->frames; *f; f = &(*f)->next) {
            total += (*f)->program->total_bytes;
            if (*f != e->current &&
                (!oldest || (*f)->used_at < (*oldest)->used_at))
                oldest = f;
        }
        if (!oldest || total <= e->env->plan_cache_bytes) return;
        frame *dead = *oldest;
        *oldest = dead->next;
        frame_destroy(dead, e->env->allocator, e->n_inputs);
    }
}

oc_status oc__exec_plan(oc__exec *e, const oc_value *const *inputs,
                        oc_error *err) {
    for (frame *f = e->frames; f; f = f->next)
        if (frame_matches(f, inputs, e->n_inputs)) {
            f->used_at = ++e->clock;
            e->current = f;
            return OC_OK;
        }
    oc__pass_env env = {.kernels = e->env->kernels,
                        .allocator = e->env->allocator,
                        .pool = e->env->pool,
                        .threads = e->env->threads,
                        .level = e->env->level,
                        .recompute = e->env->recompute};
    oc__program *p = NULL;
    OC_TRY(e->compile ? e->compile(e->user, &p, inputs, &env, err)
                      : oc__program_compile(&p, e->graph, inputs, &env, err));
    frame *f = oc__calloc(e->env->allocator, 1, sizeof(*f));
    if (!f) {
        oc__program_destroy(p);
        return oc__fail_nomem(err);
    }
    f->program = p;
    oc_status st = frame_alloc(f, e, err);
    if (st != OC_OK) {
        frame_destroy(f, e->env->allocator, e->n_inputs);
        return st;
    }
    for (int i = 0; i < e->n_inputs; i++) {
        f->key_kinds[i] = inputs[i] ? inputs[i]->kind : OC_KIND_NONE;
        if (f->key_kinds[i] == OC_KIND_TENSOR) f->keys[i] = inputs[i]->t;
    }
    bind_values(f);
    bind_steps(f, e);
    f->used_at = ++e->clock;
    f->next = e->frames;
    e->frames = e->current = f;
    trim(e);
    return OC_OK;
}

/* ---- running
 * -------------------------------------------------------------------- */

static void bind_inputs(oc__exec *e, frame *f, const oc_value *const *inputs) {
    const oc__graph *g = f->program->graph;
    for (int i = 0; i < e->n_inputs; i++) {
        int id =
            i < g->n_inputs ? g->inputs[i] : g->captures[i - g->n_inputs].value;
        if (f->program->slots[id].kind != OC_SLOT_INPUT) continue;
        /* A copy of the caller's value without a reference of its own: it is
           forgotten, never cleared.  What keeps it (a sequence, a loop's
           result) takes a reference through its buffer. */
        if (inputs[i])
            f->values[id] = *inputs[i];
        else
            memset(&f->values[id], 0, sizeof(oc_value));
    }
    for (int i = 0; i < g->n_updates; i++) {
        int in = g->inputs[g->updates[i].input];
        int out = g->outputs[g->updates[i].output];
        if (f->program->slots[out].root == in)
            f->values[out].t.data = f->values[in].t.data;
    }
}

/* Variables whose new value was not made in their place get it. */
static oc_status keep_updates(const frame *f, oc_error *err) {
    const oc__graph *g = f->program->graph;
    for (int i = 0; i < g->n_updates; i++) {
        int in = g->inputs[g->updates[i].input];
        int out = g->outputs[g->updates[i].output];
        const oc_tensor *to = &f->values[in].t, *from = &f->values[out].t;
        if (from->data == to->data) continue;
        if (from->dtype != to->dtype || !oc__tensor_same_shape(from, to))
            return oc__fail(err, OC_E_SHAPE,
                            "the new value of \"%s\" has another shape or type",
                            g->values[in].name);
        memcpy(to->data, from->data, oc_tensor_bytes(to));
    }
    return OC_OK;
}

static void unbind_inputs(oc__exec *e, frame *f) {
    const oc__graph *g = f->program->graph;
    for (int i = 0; i < e->n_inputs; i++) {
        int id =
            i < g->n_inputs ? g->inputs[i] : g->captures[i - g->n_inputs].value;
        if (f->program->slots[id].kind == OC_SLOT_INPUT &&
            !oc__graph_is_output(g, id))
            memset(&f->values[id], 0, sizeof(oc_value));
    }
}

/* Scratch for a step whose need is only known now. */
static oc_status grow_scratch(frame *f, const oc__exec *e, size_t bytes,
                              oc_error *err) {
    if (bytes <= f->dynamic_scratch_bytes) return OC_OK;
    char *p = oc__alloc(e->env->allocator, bytes);
    if (!p) return oc__fail_nomem(err);
    oc__release(e->env->allocator, f->scratch, f->dynamic_scratch_bytes);
    f->scratch = p;
    f->dynamic_scratch_bytes = bytes;
    return OC_OK;
}

/* A step whose shapes are known only now: infer, allocate, run. */
static oc_status run_deferred(oc__exec *e, frame *f, oc__ctx *c) {
    const oc_allocator *a = e->env->allocator;
    for (int j = 0; j < c->n_out; j++)
        if (c->out[j]) oc__value_clear(c->out[j]);
    c->scratch_bytes = 0;
    OC_TRY(c->op->infer(c));
    for (int j = 0; j < c->n_out && !(c->op->flags & OC_OP_DYNAMIC); j++) {
        oc_value *o = c->out[j];
        if (!o || o->kind != OC_KIND_TENSOR) continue;
        oc_tensor t = o->t;
        OC_TRY(oc__value_alloc_tensor(o, a, t.dtype, t.rank, t.dims, c->err));
    }
    OC_TRY(grow_scratch(f, e, c->scratch_bytes, c->err));
    c->scratch = f->scratch;
    OC_TRY(c->op->run(c));
    for (int j = 0; j < c->n_out; j++) {
        oc_value *o = c->out[j];
        if (o && o->kind == OC_KIND_TENSOR && o->t.dtype == OC_DTYPE_STRING)
            OC_TRY(oc__value_own_strings(o, a, c->err));
    }
    return OC_OK;
}

static int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static oc_status run_step(oc__exec *e, frame *f, int i, oc_error *err) {
    const oc__step *s = &f->program->steps[i];
    oc__ctx *c = &f->ctx[i];
    if (s->view) {
        const oc_value *in = c->in[0];
        if (f->program->slots[s->node->out[0]].root != s->node->out[0])
            c->out[0]->t.data = in->t.data;
        return OC_OK;
    }
    c->err = err;
    c->runtime = e;
    c->scratch = f->scratch;
    return s->deferred ? run_deferred(e, f, c) : c->op->run(c);
}

static oc_status run_steps(oc__exec *e, frame *f, oc_error *err) {
    const oc__program *p = f->program;
    for (int i = 0; i < p->n_steps; i++) {
        if (atomic_load_explicit(&e->env->cancelled, memory_order_relaxed))
            return oc__fail(err, OC_E_CANCELLED, "the run was cancelled");
        int64_t start = e->env->profile ? now_ns() : 0;
        oc_status st = run_step(e, f, i, err);
        if (st != OC_OK) {
            oc__error_node(err, p->steps[i].node->name);
            return st;
        }
        if (e->env->glimpse)
            OC_TRY(e->env->glimpse(e->env->user, p, i, f->values, err));
        if (e->env->profile) {
            oc__step_time *t = &f->times[i];
            int64_t ns = now_ns() - start;
            t->total_ns += ns;
            t->min_ns = t->runs++ ? OC_MIN(t->min_ns, ns) : ns;
        }
        for (int j = 0; j < p->steps[i].n_release; j++)
            oc__value_clear(&f->values[p->steps[i].release[j]]);
    }
    return OC_OK;
}

oc_status oc__exec_run(oc__exec *e, const oc_value *const *inputs,
                       oc_error *err) {
    OC_TRY(oc__exec_plan(e, inputs, err));
    frame *f = e->current;
    bind_inputs(e, f, inputs);
    oc__pool_hold(e->env->pool);
    oc_status st = run_steps(e, f, err);
    oc__pool_rest(e->env->pool);
    if (st == OC_OK) st = keep_updates(f, err);
    unbind_inputs(e, f);
    if (st != OC_OK) {
        /* Half-made dynamic values must not wait for the next run. */
        for (int v = 0; v < f->program->graph->n_values; v++)
            if (f->program->slots[v].kind == OC_SLOT_DYNAMIC)
                oc__value_clear(&f->values[v]);
    }
    return st;
}

const oc_value *oc__exec_output(const oc__exec *e, int i) {
    if (!e->current || i < 0 || i >= e->current->program->graph->n_outputs)
        return NULL;
    return &e->current->values[e->current->program->graph->outputs[i]];
}

const oc__program *oc__exec_program(const oc__exec *e) {
    return e->current ? e->current->program : NULL;
}

const oc__step_time *oc__exec_times(const oc__exec *e) {
    return e->current ? e->current->times : NULL;
}

/* ---- sub-graphs
 * ----------------------------------------------------------------- */

static oc_status find_nested(oc__exec *e, const oc__graph *g, oc__exec **out,
                             oc_error *err) {
    for (nested *s = e->current->subs; s; s = s->next)
        if (s->graph == g) {
            *out = s->exec;
            return OC_OK;
        }
    nested *s = oc__calloc(e->env->allocator, 1, sizeof(*s));
    if (!s) return oc__fail_nomem(err);
    oc_status st = oc__exec_create(&s->exec, g, e->env, err);
    if (st != OC_OK) {
        oc__release(e->env->allocator, s, sizeof(*s));
        return st;
    }
    s->graph = g;
    s->next = e->current->subs;
    e->current->subs = s;
    *out = s->exec;
    return OC_OK;
}

/* The frame's value behind input `index` of the node (captures included). */
static const oc_value *node_input(const oc__exec *e, const oc__node *n,
                                  int index) {
    int v = n->in[index];
    return v >= 0 ? &e->current->values[v] : NULL;
}

static oc_status run_subgraph(oc__ctx *c, const oc__graph *g,
                              const oc_value *args, int n_args,
                              oc_value *results, int n_results) {
    oc__exec *e = c->runtime, *sub = NULL;
    const oc_allocator *a = e->env->allocator;
    if (n_args != g->n_inputs || n_results > g->n_outputs)
        return oc__op_fail(c, OC_E_SHAPE,
                           "its sub-graph takes %d inputs and gives %d "
                           "outputs, not %d and %d",
                           g->n_inputs, g->n_outputs, n_args, n_results);
    OC_TRY(find_nested(e, g, &sub, c->err));
    size_t bytes = ((size_t)sub->n_inputs + 1) * sizeof(oc_value *);
    const oc_value **in = oc__alloc(a, bytes);
    if (!in) return oc__fail_nomem(c->err);
    for (int i = 0; i < n_args; i++)
        in[i] = &args[i];
    for (int i = 0; i < g->n_captures; i++)
        in[n_args + i] = node_input(e, c->node, g->captures[i].node_input);
    oc_status st = oc__exec_run(sub, in, c->err);
    for (int i = 0; i < n_results && st == OC_OK; i++) {
        oc__value_clear(&results[i]);
        st = oc__value_keep(&results[i], oc__exec_output(sub, i), a, c->err);
    }
    oc__release(a, in, bytes);
    return st;
}

void oc__exec_destroy(oc__exec *e) {
    if (!e) return;
    const oc_allocator *a = e->env->allocator;
    while (e->frames) {
        frame *f = e->frames;
        e->frames = f->next;
        frame_destroy(f, a, e->n_inputs);
    }
    oc__release(a, e, sizeof(*e));
}
