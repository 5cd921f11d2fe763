/*
 * det.c - Det: determinants of a batch of square matrices, by Gaussian
 * elimination with partial pivoting in f64.
 */
#include "ops/lanes.h"
#include "ops/op.h"

#include <math.h>
#include <string.h>

typedef struct det_job {
    const oc__kernels *kt;
    oc_dtype dtype;
    const void *x;
    void *y;
    int64_t n;
    char *scratch;
    size_t scratch_each;
} det_job;

static size_t det_scratch(int64_t n) {
    return oc__align_up((size_t)(n * n) * sizeof(double), OC_ALIGN);
}

static oc_status infer_det(oc__ctx *c) {
    OC_TRY(oc__want(c, 0, OC_T_F));
    OC_TRY(oc__want_rank(c, 0, 2, OC_MAX_RANK));
    const oc_tensor *x = oc__in(c, 0);
    int64_t n = x->dims[x->rank - 1];
    if (x->dims[x->rank - 2] != n)
        return oc__op_fail(c, OC_E_SHAPE, "the matrices are not square");
    oc__scratch_need(c, det_scratch(n) * (size_t)c->threads);
    return oc__out_set(c, 0, x->dtype, x->rank - 2, x->dims);
}

/* Destroys a. */
static double determinant(double *a, int64_t n) {
    double det = 1;
    for (int64_t k = 0; k < n; k++) {
        int64_t pivot = k;
        for (int64_t i = k + 1; i < n; i++)
            if (fabs(a[i * n + k]) > fabs(a[pivot * n + k])) pivot = i;
        if (a[pivot * n + k] == 0) return 0;
        if (pivot != k) {
            for (int64_t i = k; i < n; i++) {
                double t = a[k * n + i];
                a[k * n + i] = a[pivot * n + i];
                a[pivot * n + i] = t;
            }
            det = -det;
        }
        det *= a[k * n + k];
        for (int64_t i = k + 1; i < n; i++) {
            double f = a[i * n + k] / a[k * n + k];
            for (int64_t j = k + 1; j < n; j++)
                a[i * n + j] -= f * a[k * n + j];
        }
    }
    return det;
}

static void det_range(void *user, int64_t begin, int64_t end, int worker) {
    const det_job *j = user;
    double *a = (double *)(j->scratch + (size_t)worker * j->scratch_each);
    oc_tensor x = {.dtype = j->dtype, .data = (void *)j->x};
    int64_t size = j->n * j->n;
    for (int64_t m = begin; m < end; m++) {
        for (int64_t i = 0; i < size; i++)
            a[i] = oc__tensor_get_f64(&x, m * size + i);
        double det = determinant(a, j->n);
        oc__lanes_store_f64(j->kt, j->dtype, j->y, m, 1, &det);
    }
}

static oc_status run_det(oc__ctx *c) {
    const oc_tensor *x = oc__in(c, 0);
    oc_tensor *y = oc__out(c, 0);
    det_job j = {c->kernels,           x->dtype,   x->data, y->data,
                 x->dims[x->rank - 1], c->scratch, 0};
    j.scratch_each = det_scratch(j.n);
    oc__parallel(c, oc_tensor_elems(y), 16384 / (j.n * j.n + 1) + 1, det_range,
                 &j);
    return OC_OK;
}

static double flops_det(const oc__ctx *c) {
    const oc_tensor *x = oc__in(c, 0);
    return (double)oc_tensor_elems(x) * (double)x->dims[x->rank - 1] * 2 / 3;
}

const oc__op oc__ops_det[] = {
    {"", "Det", 11, 1, 1, 1, 0, 0, infer_det, run_det, flops_det},
    {0},
};
