/*
 * plan.c - memory: who shares with whom, who lives when, who lies where.
 *
 * 1. Views, in-place results and the parts of a Split take the root of their
 *    operand; what a Concat joins takes the root of the whole.
 * 2. A root lives from the step that makes it to the last step that uses any
 *    of its slots; graph outputs live to the end, but for glimpses.
 * 3. New values of variables take the place of the old ones.
 * 4. Roots are placed largest first at the lowest offset that is free for
 *    their whole life.  (Greedy by size; Pisarchyk and Lee, arXiv:2001.03288.)
 */
#include "base/size.h"
#include "runtime/program.h"

#include <stdlib.h>
#include <string.h>

static int root_of(const oc__program *p, int value) {
    return p->slots[value].root;
}

/* Steps that use each value last; the end for graph outputs. */
static void find_last_uses(oc__program *p) {
    for (int i = 0; i < p->n_steps; i++) {
        const oc__node *n = p->steps[i].node;
        for (int j = 0; j < n->n_out; j++)
            if (n->out[j] >= 0)
                p->slots[n->out[j]].first = p->slots[n->out[j]].last = i;
        for (int j = 0; j < n->n_in; j++)
            if (n->in[j] >= 0) p->slots[n->in[j]].last = i;
    }
    for (int i = 0; i < p->graph->n_outputs - p->graph->n_glimpses; i++)
        p->slots[p->graph->outputs[i]].last = p->n_steps;
}

/* A graph output must not be a view of what the caller may take away. */
static int may_view(const oc__program *p, int in, int out) {
    const oc__slot *root = &p->slots[root_of(p, in)];
    if (root->kind == OC_SLOT_PLANNED || root->kind == OC_SLOT_CONST) return 1;
    return root->kind == OC_SLOT_INPUT && p->slots[out].last < p->n_steps;
}

/* Whether output 0 of step i may be written over its input 0. */
static int may_overwrite(const oc__program *p, int i) {
    const oc__node *n = p->steps[i].node;
    int in = n->in[0], out = n->out[0];
    const oc__slot *root = &p->slots[root_of(p, in)];
    if (root->kind != OC_SLOT_PLANNED || root->last != i) return 0;
    if (p->slots[in].bytes != p->slots[out].bytes ||
        root->bytes != p->slots[out].bytes)
        return 0;
    if (p->slots[in].t.dtype != p->slots[out].t.dtype ||
        !oc__tensor_same_shape(&p->slots[in].t, &p->slots[out].t))
        return 0;
    /* The same memory seen through another operand may be read with another
       pattern (a broadcast view), too late. */
    for (int j = 1; j < n->n_in; j++)
        if (n->in[j] >= 0 && root_of(p, n->in[j]) == root_of(p, in)) return 0;
    for (int j = 1; j < n->n_out; j++)
        if (n->out[j] >= 0) return 0;
    return 1;
}

static void join(oc__program *p, int in, int out) {
    oc__slot *root = &p->slots[root_of(p, in)];
    p->slots[out].root = root_of(p, in);
    p->slots[out].shift = p->slots[in].shift;
    if (p->slots[out].last > root->last) root->last = p->slots[out].last;
}

/* ---- parts
 * --------------------------------------------------------------------- */

/* Whether the parts along n's axis lie one behind the other in the whole. */
static int is_flat(const oc__node *n, const oc_tensor *whole) {
    const oc__attr *axis = oc__attr_find(n, "axis");
    int64_t end = axis ? axis->i : (n->op->flags & OC_OP_JOIN) != 0;
    if (end < 0) end += whole->rank;
    return whole->dtype != OC_DTYPE_STRING && end < whole->rank &&
           oc__count(whole->dims, (int)OC_MAX(end, 0)) == 1;
}

static size_t bytes_of(const oc__program *p, int v) {
    const oc__value_def *d = &p->graph->values[v];
    oc_tensor t = p->slots[v].t;
    /* The shape of an input is known to the graph alone. */
    if (p->slots[v].kind == OC_SLOT_INPUT)
        oc__tensor_set(&t, d->dtype, d->rank, d->dims);
    return oc_tensor_bytes(&t);
}

/*
 * Inputs from k on that together are all of a root of their own, in its order;
 * 0 when input k does not begin such a root.
 */
static int whole_root(const oc__program *p, const oc__node *n, int k) {
    int root = n->in[k] < 0 ? -1 : root_of(p, n->in[k]);
    if (root < 0 || p->slots[root].kind != OC_SLOT_PLANNED) return 0;
    size_t at = 0, bytes = bytes_of(p, root);
    int count = 0;
    while (at < bytes && k + count < n->n_explicit) {
        int v = n->in[k + count];
        if (v < 0 || root_of(p, v) != root || p->slots[v].shift != at) return 0;
        at += bytes_of(p, v);
        count++;
    }
    return at == bytes ? count : 0;
}

/* All of a root becomes part of another, `shift` bytes behind its begin. */
static void move_root(oc__program *p, int from, int to, size_t shift) {
    oc__slot *a = &p->slots[from], *b = &p->slots[to];
    b->first = OC_MIN(b->first, a->first);
    b->last = OC_MAX(b->last, a->last);
    for (int v = 0; v < p->graph->n_values; v++)
        if (root_of(p, v) == from) {
            p->slots[v].root = to;
            p->slots[v].shift += shift;
        }
}

/* What is joined at step i is made in its place, as far as it can be. */
static void join_parts(oc__program *p, int i) {
    oc__step *s = &p->steps[i];
    const oc__node *n = s->node;
    int out = n->out[0], placed = 0;
    size_t at = 0, sum = 0;
    for (int k = 0; k < n->n_explicit; k++)
        sum += n->in[k] < 0 ? 0 : bytes_of(p, n->in[k]);
    if (root_of(p, out) != out || !is_flat(n, &p->slots[out].t) ||
        sum != bytes_of(p, out))
        return;
    for (int k = 0; k < n->n_explicit;) {
        int count = whole_root(p, n, k);
        if (count) {
            move_root(p, root_of(p, n->in[k]), out, at);
            placed += count;
        }
        for (int end = k + OC_MAX(count, 1); k < end; k++)
            at += bytes_of(p, n->in[k]);
    }
    s->view = placed == n->n_explicit;
}

/* The parts of what step i splits stay where they are. */
static void split_parts(oc__program *p, int i) {
    oc__step *s = &p->steps[i];
    const oc__node *n = s->node;
    size_t at = p->slots[n->in[0]].shift;
    int root = root_of(p, n->in[0]);
    if (p->slots[root].kind != OC_SLOT_PLANNED ||
        !is_flat(n, &p->slots[n->in[0]].t))
        return;
    for (int j = 0; j < n->n_out; j++)
        if (n->out[j] < 0) return; /* how large it would be is not known */
    for (int j = 0; j < n->n_out; j++) {
        join(p, n->in[0], n->out[j]);
        p->slots[n->out[j]].shift = at;
        at += bytes_of(p, n->out[j]);
    }
    s->view = 1;
}

static void share(oc__program *p) {
    for (int i = 0; i < p->n_steps; i++) {
        oc__step *s = &p->steps[i];
        const oc__node *n = s->node;
        if (s->deferred || n->n_explicit < 1 || n->in[0] < 0 || n->n_out < 1 ||
            n->out[0] < 0 || p->slots[n->out[0]].kind != OC_SLOT_PLANNED)
            continue;
        if (n->op->flags & OC_OP_JOIN) join_parts(p, i);
        if (n->op->flags & OC_OP_PART) split_parts(p, i);
        if ((n->op->flags & OC_OP_VIEW) && may_view(p, n->in[0], n->out[0]) &&
            p->slots[n->in[0]].t.dtype == p->slots[n->out[0]].t.dtype) {
            s->view = 1;
            join(p, n->in[0], n->out[0]);
        } else if ((n->op->flags & OC_OP_INPLACE) && may_overwrite(p, i)) {
            join(p, n->in[0], n->out[0]);
        }
    }
}

/* Whether another value lies in root v. */
static int has_others(const oc__program *p, int v) {
    for (int i = 0; i < p->graph->n_values; i++)
        if (i != v && root_of(p, i) == v) return 1;
    return 0;
}

/*
 * The new value of a variable is made in the variable's own memory where
 * nothing reads the old one later; otherwise the executor copies it there.
 */
static void place_updates(oc__program *p) {
    const oc__graph *g = p->graph;
    for (int u = 0; u < g->n_updates; u++) {
        int in = g->inputs[g->updates[u].input];
        int out = g->outputs[g->updates[u].output], k = 0;
        oc__slot *from = &p->slots[in], *to = &p->slots[out];
        if (from->kind != OC_SLOT_INPUT || to->kind != OC_SLOT_PLANNED ||
            to->root != out || from->last > to->first)
            continue;
        const oc__node *n = p->steps[to->first].node;
        while (k < n->n_out && n->out[k] != out)
            k++;
        if (!(n->op->flags & OC_OP_UPDATE) || k >= n->n_out || k >= n->n_in ||
            n->in[k] != in || g->values[in].dtype != to->t.dtype ||
            g->values[in].rank != to->t.rank ||
            memcmp(g->values[in].dims, to->t.dims,
                   (size_t)to->t.rank * sizeof(*to->t.dims)))
            continue;
        int uses = 0;
        for (int j = 0; j < n->n_in; j++)
            uses += n->in[j] >= 0 && root_of(p, n->in[j]) == in;
        /* Others would be left where it no longer is. */
        if (uses == 1 && !has_others(p, out)) to->root = in;
    }
}

/* ---- offsets
 * ------------------------------------------------------------------- */

typedef struct item {
    int value, first, last;
    size_t bytes, offset;
} item;

static int by_size(const void *a, const void *b) {
    const item *x = a, *y = b;
    if (x->bytes != y->bytes) return x->bytes < y->bytes ? 1 : -1;
    return x->value - y->value; /* the same plan on every machine */
}

static int by_offset(const void *a, const void *b) {
    const item *const *x = a, *const *y = b;
    if ((*x)->offset != (*y)->offset)
        return (*x)->offset < (*y)->offset ? -1 : 1;
    return (*x)->value - (*y)->value;
}

/* Lowest offset at which `it` collides with none of the placed items. */
static size_t find_place(const item *it, item **placed, int n_placed) {
    size_t at = 0;
    for (int i = 0; i < n_placed; i++) { /* sorted by offset */
        const item *o = placed[i];
        if (o->last < it->first || o->first > it->last) continue;
        if (at + it->bytes <= o->offset) break;
        at = OC_MAX(at, o->offset + o->bytes);
    }
    return at;
}

static void place(oc__program *p, item *items, int n, item **placed) {
    qsort(items, (size_t)n, sizeof(*items), by_size);
    for (int i = 0; i < n; i++) {
        items[i].offset = find_place(&items[i], placed, i);
        int at = i;
        while (at > 0 && by_offset(&placed[at - 1], &(item *){&items[i]}) > 0) {
            placed[at] = placed[at - 1];
            at--;
        }
        placed[at] = &items[i];
        p->slots[items[i].value].offset = items[i].offset;
        p->activation_bytes =
            OC_MAX(p->activation_bytes, items[i].offset + items[i].bytes);
    }
}

/* Dynamic values die after their last step; outputs stay. */
static oc_status note_releases(oc__program *p, oc_error *err) {
    for (int i = 0; i < p->n_steps; i++) {
        oc__step *s = &p->steps[i];
        const oc__node *n = s->node;
        int *list = oc__arena_array(&p->arena, (size_t)(n->n_in + n->n_out),
                                    sizeof(int));
        if (!list) return oc__fail_nomem(err);
        s->release = list;
        for (int j = 0; j < n->n_in + n->n_out; j++) {
            int v = j < n->n_in ? n->in[j] : n->out[j - n->n_in];
            if (v < 0 || p->slots[v].kind != OC_SLOT_DYNAMIC ||
                p->slots[v].last != i)
                continue;
            int seen = 0;
            for (int k = 0; k < s->n_release; k++)
                seen |= list[k] == v;
            if (!seen) list[s->n_release++] = v;
        }
    }
    return OC_OK;
}

oc_status oc__program_plan(oc__program *p, const oc__pass_env *env,
                           oc_error *err) {
    size_t nv = (size_t)p->graph->n_values + 1;
    find_last_uses(p);
    share(p);
    place_updates(p);
    OC_TRY(note_releases(p, err));
    item *items = oc__alloc(env->allocator, nv * sizeof(item));
    item **placed = oc__alloc(env->allocator, nv * sizeof(item *));
    int n = 0;
    if (items && placed) {
        for (int v = 0; v < p->graph->n_values; v++) {
            const oc__slot *s = &p->slots[v];
            if (s->kind != OC_SLOT_PLANNED || s->root != v) continue;
            p->unplanned_bytes += s->bytes;
            items[n++] = (item){v, s->first, s->last, s->bytes, 0};
        }
        place(p, items, n, placed);
        for (int v = 0; v < p->graph->n_values; v++)
            p->slots[v].offset =
                p->slots[p->slots[v].root].offset + p->slots[v].shift;
    }
    oc_status st = items && placed ? OC_OK : oc__fail_nomem(err);
    oc__release(env->allocator, items, nv * sizeof(item));
    oc__release(env->allocator, placed, nv * sizeof(item *));
    return st;
}
