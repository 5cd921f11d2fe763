/*
 * infer.c - shapes and constants, in one walk.
 *
 * The two belong together: the shape of a Reshape needs the value of its
 * second input, which is often computed by Shape, Gather, Concat from shapes
 * just found.  A node whose inputs are all constant is run and replaced by
 * what it gave; the others only have their output shapes noted.
 *
 * Packing weights is most of the work, so such nodes only get their memory on
 * the way and run together at the end.  A constant that was read for the last
 * time goes at once: weights are not held twice for longer than it takes.
 */
#include "base/size.h"
#include "passes/passes.h"

#include <string.h>

/* A folded tensor larger than this is not kept when the op says it blows up
   (Expand, Tile, ConstantOfShape): the file stays small, the cost is a copy. */
enum { FOLD_LARGE_BYTES = 1 << 16 };

/* Packed together: enough to keep threads busy, little beside the weights. */
enum { LOT_BYTES = 32 << 20 };

/* A node that packs, whose output has its memory but not its data yet. */
typedef struct pack_job {
    oc__ctx c;
    oc_value in, out;
    oc_value *refs[2];
    oc_error err;
    oc_status st;
} pack_job;

typedef struct walker {
    oc__graph *g;
    const oc__pass_env *env;
    oc_error *err;
    int strict;      /* report failures; otherwise leave the node alone */
    oc_value *slots; /* storage for one node's inputs and outputs */
    oc_value **refs;
    int n_slots;
    int *uses;       /* of each value, by what has not been folded */
    char *is_waited; /* values whose job has not run */
    pack_job *jobs;
    int n_jobs, n_room;
    size_t job_bytes; /* of their outputs */
    oc_error own;     /* when the failure of a node is to be ignored */
} walker;

static int def_is_concrete(const oc__value_def *v) {
    if (v->kind != OC_KIND_TENSOR || v->dtype == OC_DTYPE_NONE || v->rank < 0)
        return 0;
    for (int i = 0; i < v->rank; i++)
        if (v->dims[i] < 0) return 0;
    return 1;
}

/* A node whose results nobody takes is left to dead_code, or to nobody. */
static int is_wanted(const oc__node *n) {
    for (int j = 0; j < n->n_out; j++)
        if (n->out[j] >= 0) return 1;
    return 0;
}

static int has_subgraph(const oc__node *n) {
    for (int a = 0; a < n->n_attrs; a++)
        if (n->attrs[a].graphs) return 1;
    return 0;
}

/*
 * Binds the inputs of n.  Returns 2 when all are constant, 1 when all shapes
 * are known, 0 otherwise.
 */
static int bind_inputs(walker *w, const oc__node *n) {
    int level = 2;
    for (int j = 0; j < n->n_explicit; j++) {
        w->refs[j] = NULL;
        if (n->in[j] < 0) continue;
        const oc__value_def *v = &w->g->values[n->in[j]];
        w->refs[j] = &w->slots[j];
        memset(&w->slots[j], 0, sizeof(oc_value));
        w->slots[j].kind = v->kind;
        if (v->constant) {
            w->slots[j].t = *v->constant;
            continue;
        }
        if (!def_is_concrete(v)) return 0;
        level = 1;
        oc__tensor_set(&w->slots[j].t, v->dtype, v->rank, v->dims);
    }
    return level;
}

static void note_shapes(walker *w, const oc__node *n) {
    for (int j = 0; j < n->n_out; j++) {
        if (n->out[j] < 0) continue;
        oc__value_def *v = &w->g->values[n->out[j]];
        const oc_value *s = &w->slots[n->n_explicit + j];
        if (s->kind != OC_KIND_TENSOR || s->t.dtype == OC_DTYPE_NONE) continue;
        v->kind = OC_KIND_TENSOR;
        v->dtype = s->t.dtype;
        v->rank = s->t.rank;
        memcpy(v->dims, s->t.dims, sizeof(v->dims));
    }
}

/* Shapes of a node's outputs that are not known at this point must not linger
   from the file: what planning says is the truth. */
static void forget_shapes(walker *w, const oc__node *n) {
    for (int j = 0; j < n->n_out; j++)
        if (n->out[j] >= 0) w->g->values[n->out[j]].rank = -1;
}

static size_t output_bytes(walker *w, const oc__node *n) {
    size_t total = 0;
    for (int j = 0; j < n->n_out; j++)
        if (w->refs[n->n_explicit + j])
            total += oc_tensor_bytes(&w->slots[n->n_explicit + j].t);
    return total;
}

/* n has been folded: its inputs have a reader less. */
static void drop_inputs(walker *w, const oc__node *n) {
    const oc__pass_env *env = w->env;
    for (int j = 0; j < n->n_in; j++) {
        if (n->in[j] < 0 || --w->uses[n->in[j]] > 0) continue;
        oc__value_def *v = &w->g->values[n->in[j]];
        const oc_tensor *t = v->constant;
        if (!t || (!v->buf && !env->consumed)) continue;
        v->constant = NULL;
        if (v->buf)
            oc__buf_release(v->buf);
        else if (t->dtype != OC_DTYPE_STRING)
            env->consumed(env->user, t->data, oc_tensor_bytes(t));
        v->buf = NULL;
    }
}

/* Value out becomes a constant that holds o's tensor. */
static oc_status keep_result(walker *w, int out, oc_value *o, oc_error *err) {
    oc__value_def *v = &w->g->values[out];
    v->constant = oc__arena_dup(w->g->arena, &o->t, sizeof(o->t));
    if (!v->constant) return oc__fail_nomem(err);
    v->buf = o->buf;
    o->buf = NULL;
    return OC_OK;
}

/* ---- packing --------------------------------------------------------------
 */

static void run_job(void *ctx, int task, int worker) {
    pack_job *job = (pack_job *)ctx + task;
    oc__ctx *c = &job->c;
    const oc_allocator *a = c->allocator;
    void *scratch = NULL;
    (void)worker;
    c->err = &job->err;
    c->in = &job->refs[0];
    c->out = &job->refs[1];
    job->refs[0] = &job->in;
    job->refs[1] = &job->out;
    if (c->scratch_bytes) {
        scratch = oc__alloc(a, c->scratch_bytes);
        if (!scratch) {
            job->st = oc__fail_nomem(c->err);
            return;
        }
    }
    c->scratch = scratch;
    job->st = c->op->run(c);
    oc__release(a, scratch, c->scratch_bytes);
}

static oc_status run_jobs(walker *w) {
    oc_status st = OC_OK;
    if (w->n_jobs) oc__pool_run(w->env->pool, w->n_jobs, run_job, w->jobs);
    for (int i = 0; i < w->n_jobs; i++) {
        const pack_job *job = &w->jobs[i];
        if (job->st != OC_OK && st == OC_OK) {
            st = job->st;
            if (w->err) *w->err = job->err;
        }
        w->is_waited[job->c.node->out[0]] = 0;
        drop_inputs(w, job->c.node);
    }
    w->n_jobs = 0;
    w->job_bytes = 0;
    return st;
}

/* Whether n is to wait: worth it only where there are threads. */
static int may_wait(const walker *w, const oc__node *n) {
    return w->strict && (n->op->flags & OC_OP_PACK) && n->n_explicit == 1 &&
           n->n_out == 1 && n->out[0] >= 0 && !w->is_waited[n->in[0]] &&
           oc__pool_threads(w->env->pool) > 1;
}

/* Gives n's output its memory, and leaves the work for later. */
static oc_status add_job(walker *w, oc__node *n, const oc__ctx *c) {
    if (w->n_jobs == w->n_room) {
        int room = w->n_room ? 2 * w->n_room : 64;
        pack_job *more =
            oc__calloc(w->env->allocator, (size_t)room, sizeof(*more));
        if (!more) return oc__fail_nomem(w->err);
        if (w->n_jobs) memcpy(more, w->jobs, (size_t)w->n_jobs * sizeof(*more));
        oc__release(w->env->allocator, w->jobs,
                    (size_t)w->n_room * sizeof(*more));
        w->jobs = more;
        w->n_room = room;
    }
    pack_job *job = &w->jobs[w->n_jobs];
    oc_value *o = w->refs[1];
    oc_tensor t = o->t;
    memset(job, 0, sizeof(*job));
    OC_TRY(oc__value_alloc_tensor(o, w->env->allocator, t.dtype, t.rank, t.dims,
                                  w->err));
    job->c = *c;
    job->c.inferring = 0;
    job->in = *w->refs[0];
    job->out = *o;
    job->out.buf = NULL; /* the graph's */
    oc_status st = keep_result(w, n->out[0], o, w->err);
    if (st == OC_OK) {
        note_shapes(w, n);
        n->dead = 1;
        w->is_waited[n->out[0]] = 1;
        w->n_jobs++;
        w->job_bytes += oc_tensor_bytes(&t);
    }
    oc__value_clear(o);
    return st == OC_OK && w->job_bytes > LOT_BYTES ? run_jobs(w) : st;
}

static int waits_for_job(const walker *w, const oc__node *n) {
    for (int j = 0; j < n->n_in; j++)
        if (n->in[j] >= 0 && w->is_waited[n->in[j]]) return 1;
    return 0;
}

/* ---- one node -------------------------------------------------------------
 */

/* Runs n, whose inputs are all constant, and makes its outputs constants. */
static oc_status fold_node(walker *w, oc__node *n, oc__ctx *c) {
    const oc_allocator *a = w->env->allocator;
    oc_status st = OC_OK;
    void *scratch = NULL;
    size_t scratch_bytes = c->scratch_bytes;
    c->inferring = 0;
    for (int j = 0; j < n->n_out && !(n->op->flags & OC_OP_DYNAMIC); j++) {
        oc_value *o = w->refs[n->n_explicit + j];
        if (!o || o->kind != OC_KIND_TENSOR) continue;
        oc_tensor t = o->t;
        OC_TRY_GOTO(
            st, oc__value_alloc_tensor(o, a, t.dtype, t.rank, t.dims, c->err),
            done);
    }
    if (scratch_bytes) {
        scratch = oc__alloc(a, scratch_bytes);
        if (!scratch) {
            st = oc__fail_nomem(c->err);
            goto done;
        }
        c->scratch = scratch;
    }
    OC_TRY_GOTO(st, n->op->run(c), done);
    for (int j = 0; j < n->n_out; j++) {
        const oc_value *o = w->refs[n->n_explicit + j];
        /* A sequence cannot be a constant edge; leave the node. */
        if (o && (o->kind != OC_KIND_TENSOR || !o->t.data)) goto done;
    }
    for (int j = 0; j < n->n_out; j++) {
        oc_value *o = w->refs[n->n_explicit + j];
        if (o && o->t.dtype == OC_DTYPE_STRING)
            OC_TRY_GOTO(st, oc__value_own_strings(o, a, c->err), done);
    }
    for (int j = 0; j < n->n_out; j++) {
        oc_value *o = w->refs[n->n_explicit + j];
        if (!o) continue;
        OC_TRY_GOTO(st, keep_result(w, n->out[j], o, c->err), done);
        n->dead = 1;
    }
    note_shapes(w, n);
    if (n->dead) drop_inputs(w, n);
done:
    oc__release(a, scratch, scratch_bytes);
    for (int j = 0; j < n->n_out; j++)
        oc__value_clear(&w->slots[n->n_explicit + j]);
    return st;
}

static oc_status visit(walker *w, oc__node *n) {
    int known = bind_inputs(w, n);
    if (w->strict) forget_shapes(w, n);
    if (known == 0 || has_subgraph(n) || !is_wanted(n)) return OC_OK;
    if (!w->strict && known < 2) return OC_OK;
    int foldable = !(n->op->flags & OC_OP_IMPURE) &&
                   (known == 2 || (n->op->flags & OC_OP_SHAPE_ONLY));
    if ((n->op->flags & OC_OP_DYNAMIC) && !foldable) return OC_OK;
    for (int j = 0; j < n->n_out; j++) {
        oc_value *slot = &w->slots[n->n_explicit + j];
        memset(slot, 0, sizeof(*slot));
        w->refs[n->n_explicit + j] = n->out[j] >= 0 ? slot : NULL;
    }
    oc__ctx c = {.node = n,
                 .op = n->op,
                 .kernels = w->env->kernels,
                 .pool = NULL,
                 .threads = foldable ? 1 : w->env->threads,
                 .allocator = w->env->allocator,
                 .err = w->strict ? w->err : &w->own,
                 .n_in = n->n_explicit,
                 .n_out = n->n_out,
                 .in = w->refs,
                 .out = w->refs + n->n_explicit,
                 .inferring = 1};
    oc_status st = n->op->infer(&c);
    if (st == OC__DEFER) return OC_OK;
    if (st == OC_OK && !foldable) {
        note_shapes(w, n);
        return OC_OK;
    }
    if (st == OC_OK && (n->op->flags & OC_OP_NO_FOLD_LARGE) &&
        output_bytes(w, n) > FOLD_LARGE_BYTES) {
        if (w->strict) note_shapes(w, n);
        return OC_OK;
    }
    if (st == OC_OK && may_wait(w, n)) return add_job(w, n, &c);
    if (st == OC_OK && waits_for_job(w, n)) st = run_jobs(w);
    if (st == OC_OK) st = fold_node(w, n, &c);
    if (st != OC_OK && st != OC_E_NOMEM && !w->strict) return OC_OK;
    return st;
}

static oc_status walk(oc__graph *g, const oc__pass_env *env, int strict,
                      oc_error *err) {
    walker w = {.g = g, .env = env, .err = err, .strict = strict};
    for (int i = 0; i < g->n_nodes; i++)
        w.n_slots = OC_MAX(w.n_slots, g->nodes[i]->n_in + g->nodes[i]->n_out);
    size_t n = (size_t)w.n_slots + 1, nv = (size_t)g->n_values + 1;
    w.slots = oc__calloc(env->allocator, n, sizeof(*w.slots));
    w.refs = oc__calloc(env->allocator, n, sizeof(*w.refs));
    w.uses = oc__calloc(env->allocator, nv, sizeof(*w.uses));
    w.is_waited = oc__calloc(env->allocator, nv, 1);
    oc_status st = OC_OK;
    if (!w.slots || !w.refs || !w.uses || !w.is_waited)
        st = oc__fail_nomem(err);
    else
        oc__graph_count_uses(g, w.uses);
    for (int i = 0; i < g->n_nodes && st == OC_OK; i++)
        if (!g->nodes[i]->dead) st = visit(&w, g->nodes[i]);
    if (st == OC_OK) st = run_jobs(&w);
    if (st == OC_E_NOMEM && !strict) st = oc__fail_nomem(err);
    oc__release(env->allocator, w.jobs, (size_t)w.n_room * sizeof(*w.jobs));
    oc__release(env->allocator, w.uses, nv * sizeof(*w.uses));
    oc__release(env->allocator, w.is_waited, nv);
    oc__release(env->allocator, w.slots, n * sizeof(*w.slots));
    oc__release(env->allocator, w.refs, n * sizeof(*w.refs));
    oc__graph_compact(g);
    return st;
}

oc_status oc__pass_fold(oc__graph *g, const oc__pass_env *env, oc_error *err) {
    return walk(g, env, 0, err);
}

oc_status oc__pass_infer(oc__graph *g, const oc__pass_env *env, oc_error *err) {
    return walk(g, env, 1, err);
}
