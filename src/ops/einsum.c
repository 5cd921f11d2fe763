/*
 * einsum.c - Einsum: sums of products by index names.
 *
 * The operands are contracted one after another.  The labels of a pair fall
 * into four groups, which make it a batch of matrix products:
 *
 *     in both, still needed       batch
 *     in both, not needed again   contract (k)
 *     in the left alone           free rows (m)
 *     in the right alone          free columns (n)
 *
 * A label in one of the two that nothing needs is summed away before.  An
 * operand whose groups can each be walked with one stride is used where it
 * lies; others are copied into that order.  What is left in the end is
 * permuted into the order of the result.
 *
 * "..." stands for labels of its own, numbered from the right.
 */
#include "ops/product.h"

#include <string.h>

enum {
    MAX_OPERANDS = 32,
    MAX_LABELS = 24, /* of one intermediate result */
    LABELS = 52 + OC_MAX_RANK,
    DOTS = 52, /* first label of the ellipsis */
};

/* A tensor of wide elements with a name for each dimension. */
typedef struct view {
    int rank;
    int label[MAX_LABELS];
    int64_t stride[MAX_LABELS];
    const void *data;
} view;

typedef struct einsum {
    int n;
    view operand[MAX_OPERANDS];
    int out_rank;
    int out_label[OC_MAX_RANK];
    int64_t size[LABELS]; /* -1: the label does not occur */
    oc_dtype dtype;
    oc__wide wide;
    size_t each; /* bytes of a wide element */
    /* Scratch: the widened operand, both in product order, two results. */
    size_t widened, left, right, result[2], product, total;
} einsum;

/* ---- reading the equation ------------------------------------------------ */

static int label_of(char ch) {
    if (ch >= 'A' && ch <= 'Z') return ch - 'A';
    if (ch >= 'a' && ch <= 'z') return ch - 'a' + 26;
    return -1;
}

/* Reads one term up to , or - or the end; dots is its ellipsis's width. */
static oc_status read_term(const oc__ctx *c, const char **text, int dots,
                           int *labels, int *rank, int max) {
    int seen = 0;
    *rank = 0;
    for (const char *p = *text;; p++) {
        int n = 1, first = label_of(*p);
        if (*p == ' ') continue;
        if (*p == '\0' || *p == ',' || *p == '-') {
            *text = p;
            return OC_OK;
        }
        if (p[0] == '.' && p[1] == '.' && p[2] == '.' && !seen) {
            seen = 1;
            p += 2;
            n = dots;
            first = LABELS - dots;
        } else if (first < 0) {
            return oc__op_fail(c, OC_E_ARG, "equation: unexpected '%c'", *p);
        }
        if (*rank + n > max)
            return oc__op_fail(c, OC_E_SHAPE,
                               "equation: a term has too many labels");
        for (int i = 0; i < n; i++)
            labels[(*rank)++] = first + i;
    }
}

/* Letters of the term at p, and whether it has an ellipsis. */
static int count_letters(const char *p, int *has_dots) {
    int n = 0;
    *has_dots = 0;
    for (; *p && *p != ',' && *p != '-'; p++) {
        n += label_of(*p) >= 0;
        *has_dots |= *p == '.';
    }
    return n;
}

/* A repeated label walks the diagonal: its strides add up. */
static oc_status read_operand(const oc__ctx *c, einsum *e, int i,
                              const char **text) {
    const oc_tensor *t = oc__in(c, i);
    view *v = &e->operand[i];
    int labels[OC_MAX_RANK], rank, has_dots;
    int64_t strides[OC_MAX_RANK];
    int letters = count_letters(*text, &has_dots);
    int dots = has_dots ? t->rank - letters : 0;
    if (letters + dots != t->rank || dots < 0)
        return oc__op_fail(c, OC_E_SHAPE,
                           "equation: operand %d has rank %d, its term %d", i,
                           t->rank, letters);
    OC_TRY(read_term(c, text, dots, labels, &rank, OC_MAX_RANK));
    oc__strides(t->rank, t->dims, strides);
    v->rank = 0;
    for (int d = 0; d < rank; d++) {
        int l = labels[d], at = 0;
        int64_t size = t->dims[d];
        int open = e->size[l] == -1 || e->size[l] == 1;
        if (!open && size != 1 && size != e->size[l])
            return oc__op_fail(c, OC_E_SHAPE,
                               "equation: a label has sizes %lld and %lld",
                               (long long)e->size[l], (long long)size);
        if (open) e->size[l] = size;
        while (at < v->rank && v->label[at] != l)
            at++;
        if (at == v->rank) {
            v->label[v->rank] = l;
            v->stride[v->rank++] = 0;
        }
        if (size != 1) v->stride[at] += strides[d];
    }
    return OC_OK;
}

/* Without "->": the ellipsis, then labels that occur once, in order. */
static oc_status implicit_output(const oc__ctx *c, einsum *e,
                                 const char *equation, int dots) {
    int count[DOTS] = {0};
    for (const char *p = equation; *p; p++)
        if (label_of(*p) >= 0) count[label_of(*p)]++;
    e->out_rank = 0;
    for (int l = LABELS - dots; l < LABELS; l++)
        e->out_label[e->out_rank++] = l;
    for (int l = 0; l < DOTS; l++) {
        if (count[l] != 1) continue;
        if (e->out_rank == OC_MAX_RANK)
            return oc__op_fail(c, OC_E_LIMIT,
                               "the result has more than %d "
                               "dimensions",
                               OC_MAX_RANK);
        e->out_label[e->out_rank++] = l;
    }
    return OC_OK;
}

static oc_status read_equation(const oc__ctx *c, einsum *e) {
    const char *equation = oc__attr_string(c->node, "equation", "");
    const char *p = equation;
    int dots = 0;
    memset(e, 0, sizeof(*e));
    for (int l = 0; l < LABELS; l++)
        e->size[l] = -1;
    e->n = c->n_in;
    if (e->n > MAX_OPERANDS)
        return oc__op_fail(c, OC_E_LIMIT, "more than %d operands",
                           MAX_OPERANDS);
    for (int i = 0; i < e->n; i++) {
        int has_dots;
        OC_TRY(oc__want(c, i, OC_T_F | OC_T_I | OC_T_U));
        int letters = count_letters(p, &has_dots);
        if (has_dots) dots = OC_MAX(dots, oc__in(c, i)->rank - letters);
        OC_TRY(read_operand(c, e, i, &p));
        if (i + 1 < e->n && *p++ != ',')
            return oc__op_fail(c, OC_E_SHAPE,
                               "equation: fewer terms than operands");
    }
    if (*p == '\0') {
        OC_TRY(implicit_output(c, e, equation, dots));
    } else {
        if (p[0] != '-' || p[1] != '>')
            return oc__op_fail(c, OC_E_SHAPE,
                               "equation: more terms than operands");
        p += 2;
        OC_TRY(read_term(c, &p, dots, e->out_label, &e->out_rank, OC_MAX_RANK));
        if (*p) return oc__op_fail(c, OC_E_ARG, "equation: trailing text");
    }
    int used[LABELS] = {0};
    for (int i = 0; i < e->n; i++)
        for (int d = 0; d < e->operand[i].rank; d++)
            used[e->operand[i].label[d]] = 1;
    for (int i = 0; i < e->out_rank; i++)
        if (used[e->out_label[i]]++ != 1)
            return oc__op_fail(c, OC_E_ARG,
                               "equation: a result label does not occur "
                               "exactly once on the left, or is repeated");
    e->dtype = oc__in(c, 0)->dtype;
    e->wide = oc__wide_of(e->dtype);
    e->each = oc__wide_bytes(e->wide);
    return OC_OK;
}

/* ---- views --------------------------------------------------------------- */

static int find(const view *v, int label) {
    for (int i = 0; i < v->rank; i++)
        if (v->label[i] == label) return i;
    return -1;
}

/* Whether a label is in the result or in an operand from `from` on. */
static int needed(const einsum *e, int label, int from) {
    for (int i = 0; i < e->out_rank; i++)
        if (e->out_label[i] == label) return 1;
    for (int i = from; i < e->n; i++)
        if (find(&e->operand[i], label) >= 0) return 1;
    return 0;
}

typedef struct group {
    int n;
    int label[MAX_LABELS];
} group;

static int push(group *g, int label) {
    if (g->n == MAX_LABELS) return 1;
    g->label[g->n++] = label;
    return 0;
}

/* Elements of a group; 1 on overflow (reported as return value). */
static int group_size(const einsum *e, const group *g, int64_t *out) {
    int64_t dims[MAX_LABELS];
    for (int i = 0; i < g->n; i++)
        dims[i] = e->size[g->label[i]];
    return oc__dims_product(dims, g->n, out);
}

/* One stride that walks the whole group in v, if there is one. */
static int group_stride(const einsum *e, const view *v, const group *g,
                        int64_t *out) {
    int64_t expect = -1;
    *out = 1;
    for (int i = g->n - 1; i >= 0; i--) {
        int64_t size = e->size[g->label[i]];
        int64_t s = v->stride[find(v, g->label[i])];
        if (size == 1) continue;
        if (expect < 0)
            *out = s;
        else if (s != expect)
            return 0;
        expect = s * size;
    }
    return 1;
}

/* Adds dst[0 .. length) += src[i * stride] (or sets), for a wide type. */
static void add_run(oc__wide wide, void *dst, const void *src, int64_t stride,
                    int64_t n) {
#define ADD(T)                                                                 \
    for (int64_t i = 0; i < n; i++)                                            \
    ((T *)dst)[i] += ((const T *)src)[i * stride]
    if (wide == OC_WIDE_F32)
        ADD(float);
    else if (wide == OC_WIDE_F64)
        ADD(double);
    else
        ADD(uint64_t);
#undef ADD
}

/*
 * Copies v into dst, dense in the order of `order`; labels of v that are not
 * in it are summed away.
 */
static void materialize(const einsum *e, const view *v, const group *order,
                        char *dst) {
    int64_t dims[2 * MAX_LABELS], from[2 * MAX_LABELS], at[2 * MAX_LABELS];
    int64_t to[2 * MAX_LABELS], total = 1, dense = 1;
    int rank = 0, first = 0;
    /* Summed labels outermost: every run then adds side by side. */
    for (int i = 0; i < v->rank; i++) {
        int kept = 0;
        for (int k = 0; k < order->n; k++)
            kept |= order->label[k] == v->label[i];
        if (kept) continue;
        dims[rank] = e->size[v->label[i]];
        from[rank] = v->stride[i];
        to[rank++] = 0;
    }
    first = rank;
    for (int k = 0; k < order->n; k++) {
        dims[rank] = e->size[order->label[k]];
        from[rank++] = v->stride[find(v, order->label[k])];
    }
    for (int k = rank - 1; k >= first; k--) {
        to[k] = dense;
        dense *= dims[k];
    }
    for (int k = 0; k < rank; k++)
        total *= dims[k], at[k] = 0;
    memset(dst, 0, (size_t)dense * e->each);
    if (!total) return;
    int last = rank - 1;
    int64_t run = rank ? dims[last] : 1, step = rank ? from[last] : 0;
    int64_t src = 0, out = 0;
    if (rank && last < first) run = 1; /* everything is summed */
    for (int64_t done = 0; done < total; done += run) {
        add_run(e->wide, dst + (size_t)out * e->each,
                (const char *)v->data + (size_t)src * e->each, step, run);
        for (int k = run == 1 && rank && dims[last] != 1 ? last : last - 1;
             k >= 0; k--) {
            src += from[k];
            out += to[k];
            if (++at[k] < dims[k]) break;
            src -= from[k] * dims[k];
            out -= to[k] * dims[k];
            at[k] = 0;
        }
    }
}

/* ---- one contraction ----------------------------------------------------- */

typedef struct pair {
    group batch, rows, columns, sum;
    int64_t b, m, n, k;
    int copy_left, copy_right; /* not usable where they lie */
    oc__product p;
} pair;

static oc_status sort_labels(const oc__ctx *c, const einsum *e, const view *l,
                             const view *r, int next, pair *q) {
    int bad = 0;
    memset(q, 0, sizeof(*q));
    for (int i = 0; i < l->rank; i++) {
        int label = l->label[i], both = find(r, label) >= 0;
        if (needed(e, label, next))
            bad |= push(both ? &q->batch : &q->rows, label);
        else if (both)
            bad |= push(&q->sum, label);
        else
            q->copy_left = 1;
    }
    for (int i = 0; i < r->rank; i++) {
        int label = r->label[i];
        if (find(l, label) >= 0) continue;
        if (needed(e, label, next))
            bad |= push(&q->columns, label);
        else
            q->copy_right = 1;
    }
    bad |= q->batch.n + q->rows.n + q->columns.n > MAX_LABELS;
    bad |= q->batch.n + q->rows.n + q->sum.n > MAX_LABELS;
    bad |= q->batch.n + q->columns.n + q->sum.n > MAX_LABELS;
    if (bad || group_size(e, &q->batch, &q->b) ||
        group_size(e, &q->rows, &q->m) || group_size(e, &q->columns, &q->n) ||
        group_size(e, &q->sum, &q->k))
        return oc__op_fail(c, OC_E_LIMIT, "too many labels or elements");
    return OC_OK;
}

static void append(group *to, const group *from) {
    for (int i = 0; i < from->n; i++)
        to->label[to->n++] = from->label[i];
}

/* Fills q->p: how the product walks both operands. */
static oc_status plan_pair(const oc__ctx *c, const einsum *e, const view *l,
                           const view *r, int next, pair *q) {
    int64_t lb = 0, rb = 0;
    OC_TRY(sort_labels(c, e, l, r, next, q));
    oc__product *p = &q->p;
    oc__product_init(p);
    static const oc_dtype type_of[OC_WIDE_COUNT] = {
        [OC_WIDE_F32] = OC_DTYPE_F32,
        [OC_WIDE_F64] = OC_DTYPE_F64,
        [OC_WIDE_I64] = OC_DTYPE_I64,
        [OC_WIDE_U64] = OC_DTYPE_U64};
    p->a_type = p->b_type = p->y_type = type_of[e->wide];
    p->m = q->m;
    p->n = q->n;
    p->k = q->k;
    q->copy_left |= !group_stride(e, l, &q->batch, &lb) ||
                    !group_stride(e, l, &q->rows, &p->a_row) ||
                    !group_stride(e, l, &q->sum, &p->a_col);
    q->copy_right |= !group_stride(e, r, &q->batch, &rb) ||
                     !group_stride(e, r, &q->columns, &p->b_col) ||
                     !group_stride(e, r, &q->sum, &p->b_row);
    if (q->copy_left) {
        lb = q->m * q->k;
        p->a_row = q->k;
        p->a_col = 1;
    }
    if (q->copy_right) {
        rb = q->k * q->n;
        p->b_row = q->n;
        p->b_col = 1;
    }
    oc__walk_init(&p->batch, 1, &q->b);
    oc__walk_add_strides(&p->batch, &lb);
    oc__walk_add_strides(&p->batch, &rb);
    oc__walk_merge(&p->batch);
    return OC_OK;
}

/* The view of the pair's dense result. */
static void result_view(const einsum *e, const pair *q, const void *data,
                        view *out) {
    group order = {0};
    int64_t stride = 1;
    append(&order, &q->batch);
    append(&order, &q->rows);
    append(&order, &q->columns);
    out->rank = order.n;
    out->data = data;
    for (int i = order.n - 1; i >= 0; i--) {
        out->label[i] = order.label[i];
        out->stride[i] = e->size[order.label[i]] == 1 ? 0 : stride;
        stride *= e->size[order.label[i]];
    }
}

/* ---- the operator -------------------------------------------------------- */

static size_t elems_bytes(const einsum *e, int64_t a, int64_t b, int64_t c) {
    int64_t dims[3] = {a, b, c}, n;
    if (oc__dims_product(dims, 3, &n) || (size_t)n > SIZE_MAX / 16)
        return SIZE_MAX;
    return oc__align_up((size_t)n * e->each, OC_ALIGN);
}

/* Runs through all contractions; with `run`, does them. */
static oc_status contract_all(const oc__ctx *c, einsum *e, int run,
                              view *last) {
    size_t sizes[6] = {0};
    char *s = c->scratch;
    view left = e->operand[0];
    pair q;
    for (int i = 1; i < e->n; i++) {
        view *right = &e->operand[i];
        size_t product;
        OC_TRY(plan_pair(c, e, &left, right, i + 1, &q));
        OC_TRY(oc__product_scratch(c, &q.p, &product));
        char *result = run ? s + e->result[i % 2] : NULL;
        if (!run) {
            size_t l = q.copy_left ? elems_bytes(e, q.b, q.m, q.k) : 0;
            size_t r = q.copy_right ? elems_bytes(e, q.b, q.k, q.n) : 0;
            sizes[1] = OC_MAX(sizes[1], l);
            sizes[2] = OC_MAX(sizes[2], r);
            sizes[3 + i % 2] =
                OC_MAX(sizes[3 + i % 2], elems_bytes(e, q.b, q.m, q.n));
            sizes[5] = OC_MAX(sizes[5], product);
        } else {
            group lo = q.batch, ro = q.batch;
            append(&lo, &q.rows);
            append(&lo, &q.sum);
            append(&ro, &q.sum);
            append(&ro, &q.columns);
            if (q.copy_left) materialize(e, &left, &lo, s + e->left);
            if (q.copy_right) materialize(e, right, &ro, s + e->right);
            oc__product_run(c, &q.p, q.copy_left ? s + e->left : left.data,
                            q.copy_right ? s + e->right : right->data, result,
                            s + e->product);
        }
        result_view(e, &q, result, &left);
    }
    *last = left;
    if (run) return OC_OK;
    /* Every operand widened, one behind the other; then the rest. */
    for (int i = 0; i < e->n && !oc__wide_is(e->dtype); i++)
        if (oc__size_add(sizes[0],
                         elems_bytes(e, oc_tensor_elems(oc__in(c, i)), 1, 1),
                         &sizes[0]))
            sizes[0] = SIZE_MAX;
    /* The final order, before narrowing, reuses the left operand's place. */
    group out = {0};
    int64_t n;
    for (int i = 0; i < e->out_rank; i++)
        push(&out, e->out_label[i]);
    if (group_size(e, &out, &n)) n = INT64_MAX;
    sizes[1] = OC_MAX(sizes[1], elems_bytes(e, n, 1, 1));
    size_t *at[6] = {&e->widened,   &e->left,      &e->right,
                     &e->result[0], &e->result[1], &e->product};
    for (int i = 0; i < 6; i++) {
        *at[i] = e->total;
        if (oc__size_add(e->total, sizes[i], &e->total))
            return oc__op_fail(c, OC_E_LIMIT, "too many elements");
    }
    return OC_OK;
}

static oc_status infer_einsum(oc__ctx *c) {
    einsum e;
    view last;
    int64_t dims[OC_MAX_RANK];
    OC_TRY(read_equation(c, &e));
    for (int i = 1; i < e.n; i++)
        if (oc__in(c, i)->dtype != e.dtype)
            return oc__op_fail(c, OC_E_ARG, "operands differ in type");
    OC_TRY(contract_all(c, &e, 0, &last));
    oc__scratch_need(c, e.total);
    for (int i = 0; i < e.out_rank; i++)
        dims[i] = e.size[e.out_label[i]];
    return oc__out_set(c, 0, e.dtype, e.out_rank, dims);
}

static oc_status run_einsum(oc__ctx *c) {
    einsum e;
    view last;
    oc_tensor *y = oc__out(c, 0);
    OC_TRY(read_equation(c, &e));
    OC_TRY(contract_all(c, &e, 0, &last)); /* offsets */
    char *widened = (char *)c->scratch + e.widened;
    for (int i = 0; i < e.n; i++) {
        const oc_tensor *t = oc__in(c, i);
        int64_t n = oc_tensor_elems(t);
        e.operand[i].data = t->data;
        if (oc__wide_is(e.dtype)) continue;
        oc__lanes_widen(c->kernels, e.dtype, t->data, 0, n, widened);
        e.operand[i].data = widened;
        widened += elems_bytes(&e, n, 1, 1);
    }
    OC_TRY(contract_all(c, &e, 1, &last));
    group order = {0};
    for (int i = 0; i < e.out_rank; i++)
        push(&order, e.out_label[i]);
    char *final =
        oc__wide_is(e.dtype) ? (char *)y->data : (char *)c->scratch + e.left;
    materialize(&e, &last, &order, final);
    if (final != y->data)
        oc__lanes_store(c->kernels, e.dtype, y->data, 0, oc_tensor_elems(y),
                        final);
    return OC_OK;
}

static double flops_einsum(const oc__ctx *c) {
    einsum e;
    double n = 2;
    if (read_equation(c, &e) != OC_OK) return 0;
    for (int l = 0; l < LABELS; l++)
        if (e.size[l] >= 0) n *= (double)e.size[l];
    return n;
}

const oc__op oc__ops_einsum[] = {
    {"", "Einsum", 12, 1, -1, 1, 0, 0, infer_einsum, run_einsum, flops_einsum},
    {0},
};
