/*
 * grad_attention.c - "ocelli.AttentionGrad", the gradients of Attention:
 *
 *   g, p, q, k, v -> of q, k, v and of the scores s = scale q k^T + mask
 *
 * p = softmax(s), (batch, heads, queries, keys), is what Attention itself
 * shows as output 3.  For each head, dy being g's part of it:
 *
 *     dp = dy v^T            dq = scale ds k
 *     ds = p (dp - dp . p)   dk = scale ds^T q      dv = p^T dy
 *
 * Query heads that share a head of keys add into it in order; such a group is
 * one worker's.  q_num_heads and kv_num_heads as in Attention, scale too.
 */
#include "ops/attend.h"

#include <math.h>
#include <string.h>

typedef struct attention_job {
    const oc__kernels *kt;
    int64_t batch, heads, kv_heads, queries, keys, size, v_size;
    double scale;
    oc_dtype dtype, real;
    oc__heads g, p, q, k, v;
    oc__heads dq, dk, dv, ds; /* data NULL: not wanted */
    /* Of each worker: dp and ds, the packed right side, one head of dk or dv.
     */
    int64_t rows_elems, packed_elems, part_elems;
    void *rows, *packed, *part;
    size_t gemm_bytes;
    char *gemm;
} attention_job;

#define REAL      float
#define FN(name)  name##_f32
#define LIN(name) oc__lin_f32##name
#include "ops/grad_attention.inc"
#undef REAL
#undef FN
#undef LIN
#define REAL      double
#define FN(name)  name##_f64
#define LIN(name) oc__lin_f64##name
#include "ops/grad_attention.inc"
#undef REAL
#undef FN
#undef LIN

/* Input i as heads; positions and size are read from it. */
static oc_status read_heads(const oc__ctx *c, int i, int64_t heads,
                            int64_t *positions, int64_t *size, oc__heads *h) {
    const oc_tensor *t = oc__in(c, i);
    int flat = t->rank == 3;
    if (heads < 1 || (flat ? t->dims[2] % heads != 0 : t->dims[1] != heads) ||
        t->dims[0] != oc__in(c, 1)->dims[0])
        return oc__op_fail(c, OC_E_SHAPE, "input %d has not %lld heads", i,
                           (long long)heads);
    *positions = flat ? t->dims[1] : t->dims[2];
    *size = flat ? t->dims[2] / heads : t->dims[3];
    *h = flat ? oc__heads_flat(NULL, heads, *positions, *size)
              : oc__heads_dense(NULL, heads, *positions, *size);
    return OC_OK;
}

static oc_status read_attention(const oc__ctx *c, attention_job *j) {
    int64_t n[4], size[4];
    memset(j, 0, sizeof(*j));
    OC_TRY(oc__want(c, 0, OC_T_F));
    OC_TRY(oc__want_rank(c, 1, 4, 4));
    OC_TRY(oc__want_rank(c, 2, 3, 4));
    const oc_tensor *p = oc__in(c, 1), *q = oc__in(c, 2), *k = oc__in(c, 3);
    for (int i = 0; i < 5; i++) {
        OC_TRY(oc__want(c, i, 1u << oc__in(c, 0)->dtype));
        if (i != 1) OC_TRY(oc__want_rank(c, i, q->rank, q->rank));
    }
    j->heads = p->dims[1];
    j->kv_heads =
        q->rank == 4 ? k->dims[1] : oc__attr_int(c->node, "kv_num_heads", 0);
    OC_TRY(read_heads(c, 0, j->heads, &n[0], &size[0], &j->g));
    OC_TRY(read_heads(c, 2, j->heads, &n[1], &size[1], &j->q));
    OC_TRY(read_heads(c, 3, j->kv_heads, &n[2], &size[2], &j->k));
    OC_TRY(read_heads(c, 4, j->kv_heads, &n[3], &size[3], &j->v));
    j->queries = p->dims[2];
    j->keys = p->dims[3];
    if (n[0] != j->queries || n[1] != j->queries || n[2] != j->keys ||
        n[3] != j->keys || size[0] != size[3] || size[1] != size[2] ||
        j->heads % j->kv_heads)
        return oc__op_fail(c, OC_E_SHAPE, "g, p, q, k and v do not fit");
    j->kt = c->kernels;
    j->batch = p->dims[0];
    j->size = size[1];
    j->v_size = size[3];
    j->dtype = p->dtype;
    j->real = oc__real_of(p->dtype);
    j->scale = 1 / sqrt((double)OC_MAX(j->size, 1));
    if (oc__attr_find(c->node, "scale"))
        j->scale = oc__attr_float(c->node, "scale", 1);
    j->p = j->ds = oc__heads_dense(NULL, j->heads, j->queries, j->keys);
    j->dq = j->q;
    j->dk = j->k;
    j->dv = j->v;
    return OC_OK;
}

/* The largest of the four products' packed right sides. */
static int64_t packed_most(const attention_job *j) {
    const int64_t sizes[4][2] = {{j->v_size, j->keys},
                                 {j->keys, j->size},
                                 {j->queries, j->size},
                                 {j->queries, j->v_size}};
    int64_t most = 0;
    for (int i = 0; i < 4; i++) {
        size_t n = j->real == OC_DTYPE_F64
                       ? oc__lin_f64_packed(j->kt, sizes[i][0], sizes[i][1])
                       : oc__lin_f32_packed(j->kt, sizes[i][0], sizes[i][1]);
        most = OC_MAX(most, (int64_t)n);
    }
    return most;
}

static size_t gemm_most(const attention_job *j) {
    int64_t q = j->queries, k = j->keys;
    size_t a = oc__lin_f32_scratch(j->kt, q, k, j->v_size, 1);
    size_t b = oc__lin_f32_scratch(j->kt, q, j->size, k, 1);
    size_t c = oc__lin_f32_scratch(j->kt, k, j->size, q, 1);
    size_t d = oc__lin_f32_scratch(j->kt, k, j->v_size, q, 1);
    return OC_MAX(OC_MAX(a, b), OC_MAX(c, d));
}

static void layout(oc__ctx *c, oc__bump *b, attention_job *j) {
    oc__heads *in[] = {&j->g, &j->p, &j->q, &j->k, &j->v};
    oc__heads *out[] = {&j->dq, &j->dk, &j->dv, &j->ds};
    size_t elem = oc_dtype_bytes(j->real);
    int64_t threads = OC_MAX(c->threads, 1), align = OC_ALIGN;
    for (int i = 0; i < 5; i++)
        in[i]->data = oc__real_in(c, b, i, j->real);
    for (int i = 0; i < 4; i++) {
        const oc_tensor *like = oc__in(c, i < 3 ? i + 2 : 1);
        out[i]->data =
            oc__real_out(c, b, i, j->dtype, oc_tensor_elems(like), j->real);
    }
    j->rows_elems = oc__align_up((size_t)(j->queries * j->keys), OC_ALIGN);
    j->packed_elems = oc__align_up((size_t)packed_most(j), OC_ALIGN);
    j->part_elems =
        (j->keys * OC_MAX(j->size, j->v_size) + align) / align * align;
    j->gemm_bytes = oc__align_up(gemm_most(j), OC_ALIGN);
    j->rows = oc__bump_take(b, j->rows_elems, elem * (size_t)threads);
    j->packed = oc__bump_take(b, j->packed_elems, elem * (size_t)threads);
    j->part = oc__bump_take(b, j->part_elems, elem * (size_t)threads);
    j->gemm = oc__bump_take(b, threads, j->gemm_bytes);
}

static oc_status infer_attention(oc__ctx *c) {
    attention_job j;
    OC_TRY(read_attention(c, &j));
    for (int i = 0; i < 4; i++)
        OC_TRY(oc__out_like(c, i, oc__in(c, i < 3 ? i + 2 : 1)));
    oc__bump b = oc__bump_counter();
    layout(c, &b, &j);
    return oc__bump_need(c, &b);
}

static oc_status run_attention(oc__ctx *c) {
    attention_job j;
    OC_TRY(read_attention(c, &j));
    oc__bump b = oc__bump_cutter(c);
    layout(c, &b, &j);
    for (int i = 0; i < 4; i++)
        if (oc_tensor_elems(oc__in(c, 1)) == 0 && oc__out(c, i))
            memset(oc__out(c, i)->data, 0, oc_tensor_bytes(oc__out(c, i)));
    if (oc_tensor_elems(oc__in(c, 1)) == 0) return OC_OK;
    oc__parallel(c, j.batch * j.kv_heads, 1,
                 j.real == OC_DTYPE_F64 ? group_range_f64 : group_range_f32,
                 &j);
    const oc__heads *out[] = {&j.dq, &j.dk, &j.dv, &j.ds};
    for (int i = 0; i < 4; i++)
        if (oc__out(c, i)) oc__real_done(c, i, out[i]->data, j.real);
    return OC_OK;
}

static double flops_attention(const oc__ctx *c) {
    attention_job j;
    if (read_attention(c, &j) != OC_OK) return 0;
    return 4.0 * (double)j.batch * (double)j.heads * (double)j.queries *
           (double)j.keys * (double)(j.size + j.v_size);
}

const oc__op oc__ops_grad_attention[] = {
    {"ocelli", "AttentionGrad", 1, 5, 5, 4, 0, 0, infer_attention,
     run_attention, flops_attention},
    {0},
};
