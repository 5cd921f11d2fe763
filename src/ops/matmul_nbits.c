/*
 * matmul_nbits.c - com.microsoft's MatMulNBits: Y = A B' + bias with B in 2,
 * 4 or 8 bits, one scale and zero point for each block of a row.
 *
 *     B        u8 (N, blocks, block_size * bits / 8), low bits first
 *     scales   (N, blocks)
 *     zeros    u8, packed like B, each row on its own byte border: the
 *              default is 2^(bits - 1); or numbers of A's type, (N, blocks)
 *     g_idx    i32 (K): the block of each k where it is not k / block_size
 *
 * A strip of columns is dequantized at a time, packed and multiplied, so the
 * weights are never whole in memory as floats.
 */
#include "ops/lanes.h"
#include "ops/op.h"

#include <string.h>

enum { STRIP = 64 }; /* columns */

typedef struct nbits {
    const oc_tensor *a, *b, *scales, *zeros, *g_idx, *bias;
    int64_t m, n, k, blocks, block, bits, blob;
    /* Scratch: A and bias as f32, the result where it is narrower; and for
       each worker a strip (columns, k), its panels, its result, GEMM's own. */
    size_t a_wide, bias_wide, y_wide, workers, worker_bytes, total;
    size_t at_packed, at_gemm;
    float *a_f32, *bias_f32, *y_f32;
} nbits;

static int add(size_t *at, size_t *total, size_t a, size_t b) {
    size_t size;
    *at = *total;
    if (oc__size_mul(a, b, &size)) return 1;
    size = oc__align_up(size, OC_ALIGN);
    return size == SIZE_MAX || oc__size_add(*total, size, total);
}

static oc_status lay_out(const oc__ctx *c, nbits *q) {
    size_t m = (size_t)q->m, n = (size_t)q->n, k = (size_t)q->k, strip;
    int wide = q->a->dtype == OC_DTYPE_F32, bad = 0;
    q->total = q->worker_bytes = 0;
    bad |= add(&q->a_wide, &q->total, wide ? 0 : m * 4, k);
    bad |= add(&q->bias_wide, &q->total, q->bias && !wide ? n : 0, 4);
    bad |= add(&q->y_wide, &q->total, wide ? 0 : m * 4, n);
    bad |= add(&strip, &q->worker_bytes, STRIP * 4, k);
    bad |= add(&q->at_packed, &q->worker_bytes,
               oc__gemm_f32_packed_elems(c->kernels, k, STRIP), 4);
    bad |= add(&q->at_gemm, &q->worker_bytes,
               oc__gemm_f32_scratch_bytes(c->kernels, m, STRIP, k, 1), 1);
    bad |= add(&q->workers, &q->total, q->worker_bytes, (size_t)c->threads);
    return bad ? oc__op_fail(c, OC_E_LIMIT, "the product is too large") : OC_OK;
}

/* Bytes of a packed row of zero points. */
static int64_t zero_row(const nbits *q) {
    return (q->blocks * q->bits + 7) / 8;
}

static oc_status check_operands(const oc__ctx *c, const nbits *q) {
    uint32_t real = 1u << q->a->dtype;
    OC_TRY(oc__want(c, 1, OC_T(U8)));
    OC_TRY(oc__want(c, 2, real | OC_T(F32)));
    if (oc_tensor_elems(q->b) != q->n * q->blocks * q->blob)
        return oc__op_fail(c, OC_E_SHAPE, "B has %lld bytes, wanted %lld",
                           (long long)oc_tensor_elems(q->b),
                           (long long)(q->n * q->blocks * q->blob));
    if (oc_tensor_elems(q->scales) != q->n * q->blocks)
        return oc__op_fail(c, OC_E_SHAPE, "there are %lld scales, wanted %lld",
                           (long long)oc_tensor_elems(q->scales),
                           (long long)(q->n * q->blocks));
    if (q->zeros) {
        OC_TRY(oc__want(c, 3, OC_T(U8) | real));
        int packed = q->zeros->dtype == OC_DTYPE_U8;
        if (oc_tensor_elems(q->zeros) !=
            q->n * (packed ? zero_row(q) : q->blocks))
            return oc__op_fail(c, OC_E_SHAPE, "the zero points do not fit");
    }
    if (q->g_idx) {
        OC_TRY(oc__want(c, 4, OC_T(I32)));
        if (oc_tensor_elems(q->g_idx) < q->k)
            return oc__op_fail(c, OC_E_SHAPE, "g_idx does not fit");
    }
    if (q->bias) {
        OC_TRY(oc__want(c, 5, real));
        if (oc_tensor_elems(q->bias) != q->n)
            return oc__op_fail(c, OC_E_SHAPE, "the bias does not fit");
    }
    return OC_OK;
}

static oc_status setup(const oc__ctx *c, nbits *q) {
    OC_TRY(oc__want(c, 0, OC_T(F32) | OC_T(F16) | OC_T(BF16)));
    OC_TRY(oc__want_rank(c, 0, 1, OC_MAX_RANK));
    q->a = oc__in(c, 0);
    q->b = oc__in(c, 1);
    q->scales = oc__in(c, 2);
    q->zeros = oc__in(c, 3);
    q->g_idx = oc__in(c, 4);
    q->bias = oc__in(c, 5);
    q->n = oc__attr_int(c->node, "N", 0);
    q->k = oc__attr_int(c->node, "K", 0);
    q->bits = oc__attr_int(c->node, "bits", 4);
    q->block = oc__attr_int(c->node, "block_size", 0);
    if (q->bits != 2 && q->bits != 4 && q->bits != 8)
        return oc__op_fail(c, OC_E_UNSUPPORTED, "%lld bits",
                           (long long)q->bits);
    if (q->n < 1 || q->k < 1 || q->block < 8 || q->n > INT32_MAX ||
        q->k > INT32_MAX || q->block > INT32_MAX || q->block % 8)
        return oc__op_fail(c, OC_E_ARG, "N, K or block_size make no sense");
    if (oc__attr_int(c->node, "weight_prepacked", 0))
        return oc__op_fail(c, OC_E_UNSUPPORTED,
                           "weights packed for another processor");
    q->blocks = (q->k + q->block - 1) / q->block;
    q->blob = q->block * q->bits / 8;
    int64_t last = q->a->dims[q->a->rank - 1];
    if (last != q->k)
        return oc__op_fail(c, OC_E_SHAPE, "A has %lld columns, K is %lld",
                           (long long)last, (long long)q->k);
    q->m = oc_tensor_elems(q->a) / q->k;
    OC_TRY(check_operands(c, q));
    return lay_out(c, q);
}

static oc_status infer_nbits(oc__ctx *c) {
    nbits q;
    int64_t dims[OC_MAX_RANK];
    OC_TRY(setup(c, &q));
    memcpy(dims, q.a->dims, sizeof(dims));
    dims[q.a->rank - 1] = q.n;
    oc__scratch_need(c, q.total);
    return oc__out_set(c, 0, q.a->dtype, q.a->rank, dims);
}

/* ---- weights ------------------------------------------------------------- */

/* The i-th number of `bits` bits. */
static int unpack(const uint8_t *p, int64_t i, int64_t bits) {
    int64_t at = i * bits;
    return p[at >> 3] >> (at & 7) & ((1 << bits) - 1);
}

static float zero_at(const nbits *q, int64_t row, int64_t block) {
    if (!q->zeros) return (float)(1 << (q->bits - 1));
    if (q->zeros->dtype == OC_DTYPE_U8)
        return (float)unpack((const uint8_t *)q->zeros->data +
                                 row * zero_row(q),
                             block, q->bits);
    return (float)oc__tensor_get_f64(q->zeros, row * q->blocks + block);
}

/* A block's values, at most 16 different ones unless there are 8 bits, come
   from a table: scale and zero point are applied once each. */
static void dequantize_block(const nbits *q, const uint8_t *b, float scale,
                             float zero, int64_t n, float *out) {
    float table[16];
    if (q->bits == 8) {
        for (int64_t i = 0; i < n; i++)
            out[i] = ((float)b[i] - zero) * scale;
        return;
    }
    for (int v = 0; v < 1 << q->bits; v++)
        table[v] = ((float)v - zero) * scale;
    int64_t whole = q->bits == 4 ? n / 2 : 0;
    for (int64_t i = 0; i < whole; i++) {
        out[2 * i] = table[b[i] & 15];
        out[2 * i + 1] = table[b[i] >> 4];
    }
    for (int64_t i = 2 * whole; i < n; i++)
        out[i] = table[unpack(b, i, q->bits)];
}

static void dequantize_row(const nbits *q, int64_t row, float *out) {
    const uint8_t *b = (const uint8_t *)q->b->data + row * q->blocks * q->blob;
    const int32_t *g = q->g_idx ? q->g_idx->data : NULL;
    if (!g) {
        for (int64_t i = 0; i < q->blocks; i++)
            dequantize_block(
                q, b + i * q->blob,
                (float)oc__tensor_get_f64(q->scales, row * q->blocks + i),
                zero_at(q, row, i), OC_MIN(q->block, q->k - i * q->block),
                out + i * q->block);
        return;
    }
    for (int64_t i = 0; i < q->k; i++) {
        int64_t block = g[i] < 0 || g[i] >= q->blocks ? 0 : g[i];
        float v = (float)unpack(b, i, q->bits) - zero_at(q, row, block);
        out[i] =
            v * (float)oc__tensor_get_f64(q->scales, row * q->blocks + block);
    }
}

/* ---- the product --------------------------------------------------------- */

typedef struct strip_job {
    const oc__ctx *c;
    const nbits *q;
} strip_job;

static void strip_range(void *user, int64_t begin, int64_t end, int worker) {
    const strip_job *j = user;
    const nbits *q = j->q;
    const oc__kernels *kt = j->c->kernels;
    char *mine =
        (char *)j->c->scratch + q->workers + (size_t)worker * q->worker_bytes;
    float *strip = (float *)(void *)mine;
    float *packed = (float *)(void *)(mine + q->at_packed);
    for (int64_t s = begin; s < end; s++) {
        int64_t first = s * STRIP, n = OC_MIN(STRIP, q->n - first);
        for (int64_t i = 0; i < n; i++)
            dequantize_row(q, first + i, strip + i * q->k);
        oc__gemm_f32_pack_b(kt, NULL, (size_t)q->k, (size_t)n, strip, 1,
                            (size_t)q->k, packed);
        oc__gemm_f32_args g = {
            .m = (size_t)q->m, .n = (size_t)n, .k = (size_t)q->k, .alpha = 1};
        g.a = q->a_f32;
        g.a_row_stride = (size_t)q->k;
        g.a_col_stride = 1;
        g.packed_b = packed;
        g.c = q->y_f32 + first;
        g.c_row_stride = (size_t)q->n;
        g.bias_n = q->bias_f32 ? q->bias_f32 + first : NULL;
        oc__gemm_f32(kt, NULL, &g, mine + q->at_gemm);
    }
}

static oc_status run_nbits(oc__ctx *c) {
    nbits q;
    oc_tensor *y = oc__out(c, 0);
    OC_TRY(setup(c, &q));
    char *s = c->scratch;
    int wide = q.a->dtype == OC_DTYPE_F32;
    if (!q.m) return OC_OK;
    q.a_f32 = wide ? q.a->data : (void *)(s + q.a_wide);
    q.y_f32 = wide ? y->data : (void *)(s + q.y_wide);
    q.bias_f32 = !q.bias ? NULL
                 : wide  ? q.bias->data
                         : (void *)(s + q.bias_wide);
    if (!wide) {
        oc__lanes_widen(c->kernels, q.a->dtype, q.a->data, 0, q.m * q.k,
                        q.a_f32);
        if (q.bias)
            oc__lanes_widen(c->kernels, q.a->dtype, q.bias->data, 0, q.n,
                            q.bias_f32);
    }
    strip_job j = {c, &q};
    oc__parallel(c, (q.n + STRIP - 1) / STRIP, 1, strip_range, &j);
    if (!wide)
        oc__lanes_store(c->kernels, y->dtype, y->data, 0, q.m * q.n, q.y_f32);
    return OC_OK;
}

static double flops_nbits(const oc__ctx *c) {
    nbits q;
    if (setup(c, &q) != OC_OK) return 0;
    return 2.0 * (double)q.m * (double)q.n * (double)q.k;
}

const oc__op oc__ops_matmul_nbits[] = {
    {"com.microsoft", "MatMulNBits", 1, 3, 6, 1, 0, 0, infer_nbits, run_nbits,
     flops_nbits},
    {0},
};
