/* product.c - see product.h. */
#include "ops/product.h"

#include <string.h>

/* Below this many multiply-adds a product is too small to share out: the
   batch is shared out instead. */
#define SMALL_PRODUCT (1 << 20)

/* Columns of a strip in the plain loops. */
enum { STRIP = 128 };

void oc__product_init(oc__product *p) {
    static const int64_t zero[1] = {0};
    memset(p, 0, sizeof(*p));
    p->alpha = 1;
    oc__walk_init(&p->batch, 0, zero);
    oc__walk_add_strides(&p->batch, zero);
    oc__walk_add_strides(&p->batch, zero);
    oc__walk_merge(&p->batch);
}

int64_t oc__product_packed(const oc__ctx *c, oc_dtype dtype, int64_t k,
                           int64_t n) {
    size_t elems =
        dtype == OC_DTYPE_BF16
            ? oc__gemm_bf16_packed_elems(c->kernels, (size_t)k, (size_t)n)
            : oc__gemm_f32_packed_elems(c->kernels, (size_t)k, (size_t)n);
    return elems > INT64_MAX ? -1 : (int64_t)elems;
}

/* ---- operands ------------------------------------------------------------ */

void oc__operand_read(const oc_tensor *t, int right, int trans, int trans_batch,
                      oc__operand *o) {
    int64_t strides[OC_MAX_RANK];
    oc__strides(t->rank, t->dims, strides);
    if (t->rank == 1) {
        o->rank = 0;
        o->rows = right ? t->dims[0] : 1;
        o->cols = right ? 1 : t->dims[0];
        o->row = right ? 1 : t->dims[0];
        o->col = 1;
        return;
    }
    int first = trans_batch ? 1 : 0, r = trans_batch ? 0 : t->rank - 2;
    o->rank = t->rank - 2;
    for (int i = 0; i < o->rank; i++) {
        o->batch[i] = t->dims[first + i];
        o->strides[i] = o->batch[i] == 1 ? 0 : strides[first + i];
    }
    o->rows = t->dims[r];
    o->row = strides[r];
    o->cols = t->dims[t->rank - 1];
    o->col = 1;
    if (trans) {
        int64_t n = o->rows, s = o->row;
        o->rows = o->cols;
        o->row = o->col;
        o->cols = n;
        o->col = s;
    }
}

oc_status oc__operand_join(const oc__ctx *c, const oc__operand *a,
                           const oc__operand *b, int *rank, int64_t *dims,
                           oc__walk *w) {
    oc_tensor ta = {0}, tb = {0};
    int64_t strides[OC_MAX_RANK];
    oc__tensor_set(&ta, OC_DTYPE_F32, a->rank, a->batch);
    oc__tensor_set(&tb, OC_DTYPE_F32, b->rank, b->batch);
    OC_TRY(oc__broadcast(c, &ta, &tb, rank, dims));
    oc__walk_init(w, *rank, dims);
    const oc__operand *both[2] = {a, b};
    for (int t = 0; t < 2; t++) {
        int pad = *rank - both[t]->rank;
        for (int i = 0; i < *rank; i++)
            strides[i] = i < pad ? 0 : both[t]->strides[i - pad];
        oc__walk_add_strides(w, strides);
    }
    oc__walk_merge(w);
    return OC_OK;
}

/* ---- scratch ------------------------------------------------------------- */

/*
 * What lies where in scratch:
 *
 *     [A widened][B widened][Y before narrowing][f32: for each worker
 *      (or once, when the workers share a product): packed B, GEMM scratch]
 */
typedef struct layout {
    size_t a, b, y, work, work_each, packed, total;
    int per_batch; /* the batch is shared out, not the product */
} layout;

static int small(const oc__product *p) {
    if (p->batch.total < 2) return 0;
    double work = (double)p->m * (double)p->n * (double)p->k;
    return work < SMALL_PRODUCT;
}

static int is_bf16(const oc__product *p) {
    return p->packed && p->b_type == OC_DTYPE_BF16;
}

static int add(size_t *at, size_t *total, size_t elems, size_t bytes) {
    size_t size;
    *at = *total;
    if (oc__size_mul(elems, bytes, &size)) return 1;
    size = oc__align_up(size, OC_ALIGN);
    return size == SIZE_MAX || oc__size_add(*total, size, total);
}

static int lay_out(const oc__ctx *c, const oc__product *p, layout *l) {
    oc__wide wide = oc__wide_of(p->a_type);
    size_t each = oc__wide_bytes(wide), bad = 0;
    size_t m = (size_t)p->m, n = (size_t)p->n, k = (size_t)p->k, y;
    memset(l, 0, sizeof(*l));
    l->per_batch = small(p);
    if (!oc__wide_is(p->a_type))
        bad |= (size_t)add(&l->a, &l->total, (size_t)p->a_elems, each);
    if (!p->packed && !oc__wide_is(p->b_type))
        bad |= (size_t)add(&l->b, &l->total, (size_t)p->b_elems, each);
    if (!oc__wide_is(p->y_type)) {
        bad |= (size_t)(oc__size_mul(m, n, &y) ||
                        oc__size_mul(y, (size_t)p->batch.total, &y));
        if (!bad) bad |= (size_t)add(&l->y, &l->total, y, each);
    }
    if (wide == OC_WIDE_F32) {
        int workers = l->per_batch ? c->threads : 1;
        if (!p->packed) {
            l->packed = oc__gemm_f32_packed_elems(c->kernels, k, n);
            if (l->packed > SIZE_MAX / 8) return 1;
            l->packed = oc__align_up(l->packed * sizeof(float), OC_ALIGN);
        }
        int threads = l->per_batch ? 1 : c->threads;
        size_t gemm =
            is_bf16(p)
                ? oc__gemm_bf16_scratch_bytes(c->kernels, m, n, k, threads)
                : oc__gemm_f32_scratch_bytes(c->kernels, m, n, k, threads);
        l->work_each = l->packed + oc__align_up(gemm, OC_ALIGN);
        bad |= (size_t)add(&l->work, &l->total, l->work_each, (size_t)workers);
    }
    return bad != 0;
}

oc_status oc__product_scratch(const oc__ctx *c, const oc__product *p,
                              size_t *bytes) {
    layout l;
    if (lay_out(c, p, &l))
        return oc__op_fail(c, OC_E_LIMIT, "the product is too large");
    *bytes = l.total;
    return OC_OK;
}

/* ---- f32 ----------------------------------------------------------------- */

typedef struct product_job {
    const oc__ctx *c;
    const oc__product *p;
    const layout *l;
    const void *a, *b;
    void *y;
    char *work;
} product_job;

/* Products begin..end.  B is packed once while it stays the same. */
static void run_f32(const product_job *j, oc__pool *pool, int64_t begin,
                    int64_t end, char *work) {
    const oc__product *p = j->p;
    const oc__kernels *kt = j->c->kernels;
    size_t m = (size_t)p->m, n = (size_t)p->n, k = (size_t)p->k;
    int64_t packed_at = -1;
    oc__walk_pos w;
    oc__gemm_f32_args g = {.m = m, .n = n, .k = k};
    g.a_row_stride = (size_t)p->a_row;
    g.a_col_stride = (size_t)p->a_col;
    g.c_row_stride = n;
    g.bias_n = p->bias_n;
    g.bias_m = p->bias_m;
    g.d = p->d;
    g.d_row_stride = (size_t)p->d_row;
    g.alpha = p->alpha;
    g.act = p->act;
    g.act_a = p->act_a;
    g.act_b = p->act_b;
    g.bf16 = is_bf16(p);
    size_t b_bytes = g.bf16 ? sizeof(uint16_t) : sizeof(float);
    for (oc__walk_seek(&p->batch, begin, end, &w); w.n;
         oc__walk_next(&p->batch, &w)) {
        for (int64_t i = 0; i < w.n; i++) {
            int64_t b_at = w.offset[1] + i * p->batch.step[1];
            g.a = (const float *)j->a + w.offset[0] + i * p->batch.step[0];
            g.c = (float *)j->y + (w.at + i) * p->m * p->n;
            g.packed_b = (const float *)(const void *)((const char *)j->b +
                                                       (size_t)b_at * b_bytes);
            if (!p->packed) {
                if (b_at != packed_at)
                    oc__gemm_f32_pack_b(kt, pool, k, n, g.packed_b,
                                        (size_t)p->b_row, (size_t)p->b_col,
                                        (float *)work);
                packed_at = b_at;
                g.packed_b = (const float *)work;
            }
            oc__gemm_f32(kt, pool, &g, work + j->l->packed);
        }
    }
}

static void f32_range(void *user, int64_t begin, int64_t end, int worker) {
    const product_job *j = user;
    run_f32(j, NULL, begin, end, j->work + (size_t)worker * j->l->work_each);
}

/* ---- f64 and integers ---------------------------------------------------- */

/* Items are rows of all results.  Four rows of B are not worth blocking for:
   these types are rare, and never large. */
#define ROWS(name, T)                                                          \
    static void name(const product_job *j, const T *a, const T *b, T *y) {     \
        const oc__product *p = j->p;                                           \
        T acc[STRIP];                                                          \
        for (int64_t c0 = 0; c0 < p->n; c0 += STRIP) {                         \
            int64_t n = OC_MIN(STRIP, p->n - c0);                              \
            for (int64_t i = 0; i < n; i++)                                    \
                acc[i] = 0;                                                    \
            for (int64_t s = 0; s < p->k; s++) {                               \
                const T u = a[s * p->a_col];                                   \
                const T *row = b + s * p->b_row + c0 * p->b_col;               \
                for (int64_t i = 0; i < n; i++)                                \
                    acc[i] += u * row[i * p->b_col];                           \
            }                                                                  \
            memcpy(y + c0, acc, (size_t)n * sizeof(T));                        \
        }                                                                      \
    }
ROWS(row_f64, double)
ROWS(row_u64, uint64_t)

static void rows_range(void *user, int64_t begin, int64_t end, int worker) {
    const product_job *j = user;
    const oc__product *p = j->p;
    (void)worker;
    for (int64_t r = begin; r < end; r++) {
        oc__walk_pos w;
        int64_t at = r / p->m, row = r % p->m;
        oc__walk_seek(&p->batch, at, at + 1, &w);
        int64_t a = w.offset[0] + row * p->a_row, b = w.offset[1];
        if (oc__wide_of(p->a_type) == OC_WIDE_F64)
            row_f64(j, (const double *)j->a + a, (const double *)j->b + b,
                    (double *)j->y + r * p->n);
        else
            row_u64(j, (const uint64_t *)j->a + a, (const uint64_t *)j->b + b,
                    (uint64_t *)j->y + r * p->n);
    }
}

/* ---- conversions --------------------------------------------------------- */

typedef struct convert_job {
    const oc__kernels *kt;
    oc_dtype dtype;
    void *narrow;
    char *wide;
    int back;
} convert_job;

static void convert_range(void *user, int64_t begin, int64_t end, int worker) {
    const convert_job *j = user;
    size_t each = oc__wide_bytes(oc__wide_of(j->dtype));
    char *wide = j->wide + (size_t)begin * each;
    (void)worker;
    if (j->back)
        oc__lanes_store(j->kt, j->dtype, j->narrow, begin, end - begin, wide);
    else
        oc__lanes_widen(j->kt, j->dtype, j->narrow, begin, end - begin, wide);
}

static void convert(const oc__ctx *c, oc_dtype dtype, void *narrow, char *wide,
                    int64_t n, int back) {
    convert_job j = {c->kernels, dtype, narrow, wide, back};
    oc__parallel(c, n, 16384, convert_range, &j);
}

void oc__product_run(const oc__ctx *c, const oc__product *p, const void *a,
                     const void *b, void *y, void *scratch) {
    layout l;
    char *s = scratch;
    int64_t results = p->batch.total * p->m;
    if (!results || !p->n || lay_out(c, p, &l)) return;
    product_job j = {c, p, &l, a, b, y, s + l.work};
    if (!oc__wide_is(p->a_type)) {
        convert(c, p->a_type, (void *)a, s + l.a, p->a_elems, 0);
        j.a = s + l.a;
    }
    if (!p->packed && !oc__wide_is(p->b_type)) {
        convert(c, p->b_type, (void *)b, s + l.b, p->b_elems, 0);
        j.b = s + l.b;
    }
    if (!oc__wide_is(p->y_type)) j.y = s + l.y;
    if (oc__wide_of(p->a_type) != OC_WIDE_F32)
        oc__parallel(c, results, 65536 / (p->n * (p->k + 1)) + 1, rows_range,
                     &j);
    else if (l.per_batch)
        oc__parallel(c, p->batch.total, 1, f32_range, &j);
    else
        run_f32(&j, c->pool, 0, p->batch.total, j.work);
    if (!oc__wide_is(p->y_type))
        convert(c, p->y_type, y, s + l.y, results * p->n, 1);
}
