/*
 * infer.c - shapes and constants, in one walk.
 *
 * The two belong together: the shape of a Reshape needs the value of its
 * second input, which is often computed by Shape, Gather, Concat from shapes
 * just found.  A node whose inputs are all constant is run and replaced by
 * what it gave; the others only have their output shapes noted.
 */
#include "base/size.h"
#include "passes/passes.h"

#include <string.h>

/* A folded tensor larger than this is not kept when the op says it blows up
   (Expand, Tile, ConstantOfShape): the file stays small, the cost is a copy. */
enum { FOLD_LARGE_BYTES = 1 << 16 };

typedef struct walker {
    oc__graph *g;
    const oc__pass_env *env;
    oc_error *err;
    int strict;      /* report failures; otherwise leave the node alone */
    oc_value *slots; /* storage for one node's inputs and outputs */
    oc_value **refs;
    int n_slots;
    oc_error own; /* when the failure of a node is to be ignored */
} walker;

static int def_is_concrete(const oc__value_def *v) {
    if (v->kind != OC_KIND_TENSOR || v->dtype == OC_DTYPE_NONE || v->rank < 0)
        return 0;
    for (int i = 0; i < v->rank; i++)
        if (v->dims[i] < 0) return 0;
    return 1;
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
        oc__value_def *v = &w->g->values[n->out[j]];
        v->constant = oc__arena_dup(w->g->arena, &o->t, sizeof(o->t));
        if (!v->constant) {
            st = oc__fail_nomem(c->err);
            goto done;
        }
        v->buf = o->buf;
        o->buf = NULL;
        n->dead = 1;
    }
    note_shapes(w, n);
done:
    oc__release(a, scratch, scratch_bytes);
    for (int j = 0; j < n->n_out; j++)
        oc__value_clear(&w->slots[n->n_explicit + j]);
    return st;
}

static oc_status visit(walker *w, oc__node *n) {
    int known = bind_inputs(w, n);
    if (w->strict) forget_shapes(w, n);
    if (known == 0 || has_subgraph(n)) return OC_OK;
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
    if (st == OC_OK) st = fold_node(w, n, &c);
    if (st != OC_OK && st != OC_E_NOMEM && !w->strict) return OC_OK;
    return st;
}

static oc_status walk(oc__graph *g, const oc__pass_env *env, int strict,
                      oc_error *err) {
    walker w = {.g = g, .env = env, .err = err, .strict = strict};
    for (int i = 0; i < g->n_nodes; i++)
        w.n_slots = OC_MAX(w.n_slots, g->nodes[i]->n_in + g->nodes[i]->n_out);
    size_t n = (size_t)w.n_slots + 1;
    w.slots = oc__calloc(env->allocator, n, sizeof(*w.slots));
    w.refs = oc__calloc(env->allocator, n, sizeof(*w.refs));
    oc_status st = OC_OK;
    if (!w.slots || !w.refs) st = oc__fail_nomem(err);
    for (int i = 0; i < g->n_nodes && st == OC_OK; i++)
        if (!g->nodes[i]->dead) st = visit(&w, g->nodes[i]);
    if (st == OC_E_NOMEM && !strict) st = oc__fail_nomem(err);
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
