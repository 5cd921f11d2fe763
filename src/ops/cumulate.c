/*
 * cumulate.c - CumSum and CumProd: running totals along one axis.
 *
 * The input is (outer, length, inner).  A strip of neighbouring columns is
 * carried along `length` at a time; floats are carried in f64.
 */
#include "ops/lanes.h"
#include "ops/op.h"

#include <string.h>

enum cumulate_kind { K_CUMSUM, K_CUMPROD };

enum { STRIP = 128 };

typedef struct cumulate_job {
    const oc__kernels *kt;
    oc_dtype dtype;
    const void *x;
    void *y;
    int64_t length, inner, blocks;
    int product, exclusive, reverse;
} cumulate_job;

static oc_status infer_cumulate(oc__ctx *c) {
    OC_TRY(oc__want(c, 0, OC_T_F | OC_T_I | OC_T_U));
    OC_TRY(oc__want(c, 1, OC_T(I32) | OC_T(I64)));
    return oc__out_like(c, 0, oc__in(c, 0));
}

/* Adds (or multiplies) a row of the strip and gives what is to be written:
   the total before it when exclusive, else after it. */
static void step_floats(const cumulate_job *j, const void *x, double *total,
                        double *out, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        double v = oc__wide_of(j->dtype) == OC_WIDE_F32
                       ? (double)((const float *)x)[i]
                       : ((const double *)x)[i];
        double next = j->product ? total[i] * v : total[i] + v;
        out[i] = j->exclusive ? total[i] : next;
        total[i] = next;
    }
}

static void step_ints(const cumulate_job *j, const uint64_t *x, uint64_t *total,
                      uint64_t *out, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        uint64_t next = j->product ? total[i] * x[i] : total[i] + x[i];
        out[i] = j->exclusive ? total[i] : next;
        total[i] = next;
    }
}

static void cumulate_strip(const cumulate_job *j, int64_t first, int64_t n) {
    oc__lanes buffer;
    double total_f[STRIP], out_f[STRIP];
    uint64_t total_i[STRIP], out_i[STRIP];
    oc__wide wide = oc__wide_of(j->dtype);
    int floats = wide == OC_WIDE_F32 || wide == OC_WIDE_F64;
    for (int64_t i = 0; i < n; i++) {
        total_f[i] = j->product;
        total_i[i] = (uint64_t)j->product;
    }
    for (int64_t a = 0; a < j->length; a++) {
        int64_t at = first + (j->reverse ? j->length - 1 - a : a) * j->inner;
        const void *x = oc__lanes_load(j->kt, j->dtype, j->x, at, n, &buffer);
        if (floats) {
            step_floats(j, x, total_f, out_f, n);
            oc__lanes_store_f64(j->kt, j->dtype, j->y, at, n, out_f);
        } else {
            step_ints(j, x, total_i, out_i, n);
            oc__lanes_store(j->kt, j->dtype, j->y, at, n, out_i);
        }
    }
}

static void cumulate_range(void *user, int64_t begin, int64_t end, int worker) {
    const cumulate_job *j = user;
    (void)worker;
    for (int64_t item = begin; item < end; item++) {
        int64_t o = item / j->blocks, i = item % j->blocks * STRIP;
        cumulate_strip(j, o * j->length * j->inner + i,
                       OC_MIN(STRIP, j->inner - i));
    }
}

static oc_status run_cumulate(oc__ctx *c) {
    const oc_tensor *x = oc__in(c, 0);
    int64_t given;
    int axis = 0, count;
    cumulate_job j;
    OC_TRY(oc__in_ints(c, 1, &given, 1, &count));
    if (count != 1) return oc__op_fail(c, OC_E_SHAPE, "axis is empty");
    if (x->rank) OC_TRY(oc__axis(c, given, x->rank, &axis));
    /* Lines of length 0 may be more than can be counted through. */
    if (!oc_tensor_elems(x)) return OC_OK;
    j.kt = c->kernels;
    j.dtype = x->dtype;
    j.x = x->data;
    j.y = oc__out(c, 0)->data;
    j.product = c->op->kind == K_CUMPROD;
    j.exclusive = oc__attr_int(c->node, "exclusive", 0) != 0;
    j.reverse = oc__attr_int(c->node, "reverse", 0) != 0;
    oc__axis_view v = oc__axis_split(x->dims, x->rank, axis);
    j.length = v.length;
    j.inner = v.inner;
    j.blocks = (j.inner + STRIP - 1) / STRIP;
    oc__parallel(c, v.outer * j.blocks, 16384 / (j.length + 1) + 1,
                 cumulate_range, &j);
    return OC_OK;
}

const oc__op oc__ops_cumulate[] = {
    {"", "CumSum", 11, 2, 2, 1, OC_OP_INPLACE, K_CUMSUM, infer_cumulate,
     run_cumulate, NULL},
    {"", "CumProd", 26, 2, 2, 1, OC_OP_INPLACE, K_CUMPROD, infer_cumulate,
     run_cumulate, NULL},
    {0},
};
