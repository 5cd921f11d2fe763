/* prune_moves.c - units at operators without weights; see units.h. */
#include "base/size.h"
#include "quant/units.h"

#include <string.h>

/* ---- one input ------------------------------------------------------------
 */

/* Whether nothing but input 0 of n has units. */
static int only_first(const oc__prune *p, const oc__node *n) {
    for (int j = 1; j < n->n_in; j++)
        if (oc__prune_in(p, n, j).n) return 0;
    return 1;
}

/* What is computed alike at every place. */
static void same(oc__prune *p, int at) {
    oc__node *n = p->g->nodes[at];
    oc__channels x = oc__prune_in(p, n, 0);
    if (!only_first(p, n)) {
        oc__prune_block(p, at, NULL);
        return;
    }
    for (int k = 0; k < n->n_out; k++)
        oc__prune_put(p, n->out[k], x);
}

/* Channels stay apart where they are axis 1. */
static void pool(oc__prune *p, int at) {
    const oc__node *n = p->g->nodes[at];
    oc__channels x = oc__prune_in(p, n, 0);
    if (x.n && x.axis != 1)
        oc__prune_block(p, at, NULL);
    else
        same(p, at);
}

/* Sizes and types of a value are asked for: they follow by themselves. */
static void nothing(oc__prune *p, int at) {
    (void)p;
    (void)at;
}

/* Whether the dimension of the units is the same before and behind n. */
static int keeps_axis(const oc__prune *p, const oc__node *n, oc__channels x) {
    const int64_t *dims;
    int rank = oc__prune_dims(p, n->out[0], &dims);
    return rank > x.axis && dims[x.axis] == x.n;
}

static void resize(oc__prune *p, int at) {
    oc__node *n = p->g->nodes[at];
    oc__channels x = oc__prune_in(p, n, 0);
    int64_t count;
    int fixed, sizes = n->n_explicit > 3 && n->in[3] >= 0;
    if (!x.n) return;
    if (!only_first(p, n) || !keeps_axis(p, n, x) || oc__attr_find(n, "axes")) {
        oc__prune_block(p, at, NULL);
        return;
    }
    if (sizes) {
        const int64_t *v = oc__prune_numbers(p, n, 3, &count, &fixed);
        if (v && fixed && count > x.axis) {
            oc__prune_add_patch(p, OC_PRUNE_SIZE, at, 3, x.axis, x);
        } else if (p->careful || fixed) {
            oc__prune_block(p, at, "computes its sizes");
            return;
        }
    }
    oc__prune_put(p, n->out[0], x);
}

static void pad(oc__prune *p, int at) {
    oc__node *n = p->g->nodes[at];
    oc__channels x = oc__prune_in(p, n, 0);
    /* A pad of the axis and a crop at its other end would pass for none. */
    int64_t count = 0;
    int fixed;
    size_t listed = 0;
    if (!x.n) return;
    const int64_t *v = oc__attr_ints(n, "pads", &listed);
    if (v)
        count = (int64_t)listed;
    else
        v = oc__prune_numbers(p, n, 1, &count, &fixed);
    if (!v || n->n_explicit > 3 || !only_first(p, n) || x.axis >= count / 2 ||
        v[x.axis] || v[count / 2 + x.axis]) {
        oc__prune_block(p, at, NULL);
        return;
    }
    oc__prune_put(p, n->out[0], x);
}

/* ---- axes -----------------------------------------------------------------
 */

static void transpose(oc__prune *p, int at) {
    oc__node *n = p->g->nodes[at];
    oc__channels x = oc__prune_in(p, n, 0);
    const int64_t *dims;
    size_t count;
    const int64_t *perm = oc__attr_ints(n, "perm", &count);
    int rank = oc__prune_dims(p, n->in[0], &dims);
    if (!x.n) return;
    int to = rank - 1 - x.axis;
    for (size_t i = 0; perm && i < count; i++)
        if (perm[i] == x.axis) to = (int)i;
    x.axis = to;
    oc__prune_put(p, n->out[0], x);
}

static int64_t product(const int64_t *dims, int from, int to) {
    int64_t n = 1;
    for (int i = from; i < to; i++)
        n *= dims[i];
    return n;
}

/*
 * Where axis a of a value is once it has another shape: the axis there, and
 * over how many places each unit is spread, as (n, c, h, w) -> (n, c h w)
 * spreads it over h w.  -1: it is torn apart.
 */
static int follow(const int64_t *in, int rank, int a, const int64_t *out,
                  int out_rank, int64_t *spread) {
    int64_t before = product(in, 0, a), c = in[a];
    for (int b = 0; b < out_rank; b++) {
        if (product(out, 0, b) != before || out[b] % c) continue;
        if (out[b] != c && out[b] == 1) continue;
        for (int k = a + 1; k <= rank; k++)
            if (out[b] == c * product(in, a + 1, k)) {
                *spread = out[b] / c;
                return b;
            }
    }
    return -1;
}

/* The number a Reshape gives its axis b: it must follow what is taken out. */
static int fix_target(oc__prune *p, int at, int from, int b, oc__channels y) {
    const oc__node *n = p->g->nodes[at];
    int64_t count;
    int fixed;
    if (!oc__is_op(n, "Reshape")) return 1;
    const int64_t *v = oc__prune_numbers(p, n, 1, &count, &fixed);
    if (!v || b >= count) return !v && !fixed && !p->careful;
    if (v[b] == -1) return 1;
    if (v[b] == 0) return b == from && !oc__attr_int(n, "allowzero", 0);
    if (!fixed) return !p->careful;
    oc__prune_add_patch(p, OC_PRUNE_SIZE, at, 1, b, y);
    return 1;
}

static void reshape(oc__prune *p, int at) {
    oc__node *n = p->g->nodes[at];
    oc__channels x = oc__prune_in(p, n, 0);
    const int64_t *in, *out;
    int64_t spread = 1;
    if (!x.n) return;
    int rank = oc__prune_dims(p, n->in[0], &in);
    int out_rank = oc__prune_dims(p, n->out[0], &out);
    int b = rank < 0 || out_rank < 0 || !only_first(p, n) || x.n < 2
                ? -1
                : follow(in, rank, x.axis, out, out_rank, &spread);
    if (b < 0) {
        oc__prune_block(p, at, "tears its channels apart");
        return;
    }
    oc__channels y = x;
    y.axis = b;
    if (spread > 1) {
        y = oc__prune_room(p, b, x.n * spread);
        for (int64_t i = 0; i < y.n; i++)
            y.unit[i] = x.unit[i / spread];
    }
    if (!fix_target(p, at, x.axis, b, y)) {
        oc__prune_block(p, at, "computes its shape");
        return;
    }
    oc__prune_put(p, n->out[0], y);
}

static void reduce(oc__prune *p, int at) {
    oc__node *n = p->g->nodes[at];
    oc__channels x = oc__prune_in(p, n, 0);
    const int64_t *dims;
    size_t listed;
    int64_t count = 0;
    int fixed, below = 0, hit = 0;
    if (!x.n) return;
    int rank = oc__prune_dims(p, n->in[0], &dims);
    const int64_t *axes = oc__attr_ints(n, "axes", &listed);
    if (axes)
        count = (int64_t)listed;
    else
        axes = oc__prune_numbers(p, n, 1, &count, &fixed);
    for (int64_t i = 0; axes && i < count; i++) {
        int64_t a = axes[i] < 0 ? axes[i] + rank : axes[i];
        hit |= a == x.axis;
        below += a < x.axis;
    }
    if (!axes || !count || hit) {
        oc__prune_block(p, at, "reads its channels together");
        return;
    }
    if (!oc__attr_int(n, "keepdims", 1)) x.axis -= below;
    oc__prune_put(p, n->out[0], x);
}

/* Softmax and the like: along one axis, or before set 13 along all from it. */
static void along(oc__prune *p, int at) {
    oc__node *n = p->g->nodes[at];
    oc__channels x = oc__prune_in(p, n, 0);
    const int64_t *dims;
    if (!x.n) return;
    int rank = oc__prune_dims(p, n->in[0], &dims);
    int64_t a = oc__attr_int(n, "axis", n->version < 13 ? 1 : -1);
    if (a < 0) a += rank;
    if (n->version < 13 ? x.axis >= a : x.axis == a)
        oc__prune_block(p, at, "reads its channels together");
    else
        same(p, at);
}

/* ---- several inputs -------------------------------------------------------
 */

/* Axis of the result along which input j has axis `axis`. */
static int aligned(const oc__prune *p, const oc__node *n, int j, int axis,
                   int rank) {
    const int64_t *dims;
    int own = oc__prune_dims(p, n->in[j], &dims);
    return own < 0 ? -1 : axis + rank - own;
}

/* Input j, which has no units along the result's axis of c, fits them: it is
 * broadcast, or a constant that loses what they lose. */
static int joins_in(oc__prune *p, int at, int j, int rank, oc__channels c) {
    const oc__node *n = p->g->nodes[at];
    const int64_t *dims;
    int own = oc__prune_dims(p, n->in[j], &dims);
    if (own < 0) return 0;
    int a = c.axis - (rank - own);
    if (a < 0 || dims[a] == 1) return 1;
    if (!oc__constant(p->g, n->in[j]) || dims[a] != c.n) return 0;
    oc__prune_add_slice(p, at, j, a, c, OC_PRUNE_OTHER);
    return 1;
}

/* Sums, products and the like, with broadcasting. */
static void join(oc__prune *p, int at) {
    oc__node *n = p->g->nodes[at];
    const int64_t *dims;
    oc__channels c = {0, 0, NULL};
    int rank = oc__prune_dims(p, n->out[0], &dims), odd = rank < 0;
    for (int j = 0; j < n->n_in && !odd; j++) {
        oc__channels x = oc__prune_in(p, n, j);
        if (!x.n) continue;
        x.axis = aligned(p, n, j, x.axis, rank);
        /* One channel that is broadcast over many stays. */
        if (x.axis < 0 || dims[x.axis] != x.n || (c.n && x.axis != c.axis))
            odd = 1;
        else if (!c.n)
            c = x;
    }
    for (int j = 0; j < n->n_in && !odd && c.n; j++) {
        oc__channels x = oc__prune_in(p, n, j);
        for (int64_t i = 0; i < x.n; i++)
            oc__prune_unite(p, x.unit[i], c.unit[i]);
        if (!x.n) odd |= !joins_in(p, at, j, rank, c);
    }
    if (odd)
        oc__prune_block(p, at, "joins it with what cannot be traced");
    else
        oc__prune_put(p, n->out[0], c);
}

/* Units of an input of a Concat along its axis. */
static oc__channels piece(oc__prune *p, int at, int j, int axis) {
    const oc__node *n = p->g->nodes[at];
    const int64_t *dims;
    oc__channels x = oc__prune_in(p, n, j);
    if (x.n) return x;
    if (oc__prune_dims(p, n->in[j], &dims) <= axis) return x;
    x = oc__prune_fresh(p, at, axis, dims[axis]);
    oc__prune_fix(p, x, "what it is joined with cannot be traced");
    return x;
}

static void concat_along(oc__prune *p, int at, int axis, int64_t all) {
    oc__node *n = p->g->nodes[at];
    oc__channels y = oc__prune_room(p, axis, all);
    int64_t done = 0;
    for (int j = 0; j < n->n_in && y.n; j++) {
        oc__channels x = piece(p, at, j, axis);
        if (p->failed) return;
        if (x.n > y.n - done || !x.n) {
            oc__prune_block(p, at, NULL);
            return;
        }
        memcpy(y.unit + done, x.unit, (size_t)x.n * sizeof *x.unit);
        done += x.n;
    }
    oc__prune_put(p, n->out[0], y);
}

static void concat(oc__prune *p, int at) {
    oc__node *n = p->g->nodes[at];
    const int64_t *dims;
    int rank = oc__prune_dims(p, n->out[0], &dims), here = 0, elsewhere = 0;
    int64_t axis = oc__attr_int(n, "axis", 1);
    oc__channels c = {0, 0, NULL};
    if (axis < 0) axis += rank;
    for (int j = 0; j < n->n_in; j++) {
        oc__channels x = oc__prune_in(p, n, j);
        if (!x.n) continue;
        here |= x.axis == axis;
        elsewhere |= x.axis != axis;
        if (c.n && x.axis != c.axis) here = elsewhere = 1;
        c = x;
    }
    int all = 1;
    for (int j = 0; j < n->n_in; j++)
        all &= oc__prune_in(p, n, j).n == c.n;
    if (!c.n) return;
    if (here && !elsewhere && axis < rank) {
        concat_along(p, at, (int)axis, dims[axis]);
    } else if (elsewhere && !here && all) {
        join(p, at);
    } else {
        oc__prune_block(p, at, NULL);
    }
}

static void split(oc__prune *p, int at) {
    oc__node *n = p->g->nodes[at];
    oc__channels x = oc__prune_in(p, n, 0);
    const int64_t *dims;
    int64_t done = 0, axis = oc__attr_int(n, "axis", 0);
    if (!x.n) return;
    int rank = oc__prune_dims(p, n->in[0], &dims);
    if (axis < 0) axis += rank;
    if (axis != x.axis) {
        same(p, at);
        return;
    }
    for (int k = 0; k < n->n_out; k++) {
        int own = n->out[k] < 0 ? -1 : oc__prune_dims(p, n->out[k], &dims);
        if (own <= axis || dims[axis] > x.n - done ||
            (n->n_in > 1 && n->in[1] >= 0 && !oc__constant(p->g, n->in[1]))) {
            oc__prune_block(p, at, NULL);
            return;
        }
        done += dims[axis];
    }
    done = 0;
    for (int k = 0; k < n->n_out; k++) {
        oc__prune_dims(p, n->out[k], &dims);
        oc__channels y = {x.axis, dims[axis], x.unit + done};
        done += dims[axis];
        oc__prune_put(p, n->out[k], y);
    }
    oc__prune_add_patch(p, OC_PRUNE_SPLIT, at, 1, 0, x);
}

/* Along other axes than that of the units. */
static void slice(oc__prune *p, int at) {
    oc__node *n = p->g->nodes[at];
    oc__channels x = oc__prune_in(p, n, 0);
    const int64_t *dims;
    size_t listed;
    int64_t count = 0;
    int fixed, hit = 0;
    if (!x.n) return;
    int rank = oc__prune_dims(p, n->in[0], &dims);
    const int64_t *axes = oc__attr_ints(n, "axes", &listed);
    if (axes)
        count = (int64_t)listed;
    else
        axes = oc__prune_numbers(p, n, 3, &count, &fixed);
    for (int64_t i = 0; axes && i < count; i++)
        hit |= (axes[i] < 0 ? axes[i] + rank : axes[i]) == x.axis;
    if (!axes || hit)
        oc__prune_block(p, at, "takes some of its channels");
    else
        same(p, at);
}

/* ---- the table ------------------------------------------------------------
 */

static const struct {
    oc__prune_rule *rule;
    const char *ops; /* parted by blanks, one at either end */
} rules[] = {
    {same, " Relu LeakyRelu Clip Sigmoid HardSigmoid HardSwish Tanh Elu Selu "
           "Celu Softplus Softsign Mish Gelu Swish Erf Exp Log Sqrt Abs Neg "
           "Reciprocal Floor Ceil Round Sign ThresholdedRelu Identity Cast "
           "Dropout Shrink Sin Cos "},
    {pool, " MaxPool AveragePool LpPool GlobalAveragePool GlobalMaxPool "
           "GlobalLpPool "},
    {nothing, " Shape Size "},
    {resize, " Resize Upsample "},
    {pad, " Pad "},
    {transpose, " Transpose "},
    {reshape, " Reshape Flatten Squeeze Unsqueeze "},
    {reduce, " ReduceMean ReduceSum ReduceMax ReduceMin ReduceL1 ReduceL2 "
             "ReduceProd ReduceSumSquare "},
    {along, " Softmax LogSoftmax Hardmax "},
    {join, " Add Sub Mul Div Pow Min Max Sum Mean PRelu "},
    {concat, " Concat "},
    {split, " Split "},
    {slice, " Slice "},
};

oc__prune_rule *oc__prune_move_rule(const oc__node *n) {
    if (n->op->domain[0]) return NULL;
    size_t bytes = strlen(n->op->name);
    for (size_t i = 0; i < OC_COUNT(rules); i++)
        for (const char *s = rules[i].ops; (s = strstr(s, n->op->name)) != NULL;
             s++)
            if (s[-1] == ' ' && s[bytes] == ' ') return rules[i].rule;
    return NULL;
}
