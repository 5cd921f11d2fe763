/* windows.c - HannWindow, HammingWindow, BlackmanWindow, MelWeightMatrix. */
#include "ops/op.h"

#include <math.h>
#include <string.h>

#define PI 3.14159265358979323846

enum { HANN, HAMMING, BLACKMAN }; /* oc__op.kind */

/* The type named by output_datatype, f32 by default. */
static oc_status output_type(const oc__ctx *c, oc_dtype *out) {
    int64_t d = oc__attr_int(c->node, "output_datatype", OC_DTYPE_F32);
    if (d < 0 || d > 31 || !((OC_T_F | OC_T_I | OC_T_U) >> d & 1))
        return oc__op_fail(c, OC_E_UNSUPPORTED, "output_datatype %lld",
                           (long long)d);
    *out = (oc_dtype)d;
    return OC_OK;
}

/* A cast: what does not fit an integer loses its fraction. */
static void put(oc_tensor *y, int64_t i, double v) {
    oc__tensor_set_f64(y, i, oc__dtype_is_int(y->dtype) ? trunc(v) : v);
}

static oc_status infer_window(oc__ctx *c) {
    oc_dtype dtype = OC_DTYPE_NONE;
    OC_TRY(oc__want(c, 0, OC_T(I32) | OC_T(I64)));
    OC_TRY(output_type(c, &dtype));
    OC_NEED_DATA(c, 0);
    if (oc_tensor_elems(oc__in(c, 0)) != 1)
        return oc__op_fail(c, OC_E_SHAPE, "size must be a scalar");
    int64_t n = oc__tensor_get_i64(oc__in(c, 0), 0);
    return oc__out_set(c, 0, dtype, 1, &n);
}

/* The three differ only in the cosines they add up. */
static oc_status run_window(oc__ctx *c) {
    oc_tensor *y = oc__out(c, 0);
    int64_t n = y->dims[0];
    /* A periodic window is the first n of a symmetric one of n + 1. */
    int64_t period = oc__attr_int(c->node, "periodic", 1) ? n : n - 1;
    double step = period > 0 ? 2 * PI / (double)period : 0;
    for (int64_t i = 0; i < n; i++) {
        double x = (double)i * step, s = sin(x / 2);
        switch (c->op->kind) {
        case HANN: put(y, i, s * s); break;
        case HAMMING: put(y, i, 25.0 / 46 - 21.0 / 46 * cos(x)); break;
        default: put(y, i, 0.42 - 0.5 * cos(x) + 0.08 * cos(2 * x)); break;
        }
    }
    return OC_OK;
}

/* ---- MelWeightMatrix -------------------------------------------------------
 */

static oc_status infer_mel(oc__ctx *c) {
    oc_dtype dtype = OC_DTYPE_NONE;
    OC_TRY(output_type(c, &dtype));
    for (int i = 0; i < 5; i++) {
        OC_TRY(oc__want(c, i, i < 3 ? OC_T(I32) | OC_T(I64) : OC_T_F));
        if (oc_tensor_elems(oc__in(c, i)) != 1)
            return oc__op_fail(c, OC_E_SHAPE, "input %d must be a scalar", i);
        OC_NEED_DATA(c, i);
    }
    int64_t bins = oc__tensor_get_i64(oc__in(c, 0), 0);
    int64_t length = oc__tensor_get_i64(oc__in(c, 1), 0);
    if (bins < 0 || length < 1 || oc__tensor_get_i64(oc__in(c, 2), 0) < 1)
        return oc__op_fail(c, OC_E_ARG, "sizes and rates must be positive");
    int64_t dims[2] = {length / 2 + 1, bins};
    return oc__out_set(c, 0, dtype, 2, dims);
}

static float to_mel(float hertz) {
    return 2595 * log10f(1 + hertz / 700);
}

/*
 * Column i is a triangle over the spectrum: up from edge i to edge i + 1,
 * down to edge i + 2.  The edges lie evenly on the mel scale, bins + 2 of
 * them, and are whole spectrum bins.
 */
static oc_status run_mel(oc__ctx *c) {
    oc_tensor *y = oc__out(c, 0);
    int64_t rows = y->dims[0], bins = y->dims[1];
    double length = (double)oc__tensor_get_i64(oc__in(c, 1), 0);
    double rate = (double)oc__tensor_get_i64(oc__in(c, 2), 0);
    float low = to_mel((float)oc__tensor_get_f64(oc__in(c, 3), 0));
    float high = to_mel((float)oc__tensor_get_f64(oc__in(c, 4), 0));
    float step = (high - low) / (float)(bins + 2);
    int64_t edge[3] = {0, 0, 0};
    memset(y->data, 0, oc_tensor_bytes(y));
    for (int64_t i = 0; i < bins + 2; i++) {
        double mel = (double)i * (double)step + (double)low;
        double at =
            floor((length + 1) * (700 * (pow(10, mel / 2595) - 1)) / rate);
        if (!(at >= 0 && at < (double)rows))
            return oc__op_fail(c, OC_E_ARG,
                               "mel bin %lld lies outside the spectrum",
                               (long long)i);
        edge[0] = edge[1];
        edge[1] = edge[2];
        edge[2] = (int64_t)at;
        if (i < 2) continue;
        int64_t column = i - 2, up = edge[1] - edge[0],
                down = edge[2] - edge[1];
        if (up == 0) put(y, edge[1] * bins + column, 1);
        for (int64_t j = edge[0]; up > 0 && j <= edge[1]; j++)
            put(y, j * bins + column, (double)(j - edge[0]) / (double)up);
        for (int64_t j = edge[1]; down > 0 && j < edge[2]; j++)
            put(y, j * bins + column, (double)(edge[2] - j) / (double)down);
    }
    return OC_OK;
}

const oc__op oc__ops_windows[] = {
    {"", "HannWindow", 17, 1, 1, 1, 0, HANN, infer_window, run_window, NULL},
    {"", "HammingWindow", 17, 1, 1, 1, 0, HAMMING, infer_window, run_window,
     NULL},
    {"", "BlackmanWindow", 17, 1, 1, 1, 0, BLACKMAN, infer_window, run_window,
     NULL},
    {"", "MelWeightMatrix", 17, 5, 5, 1, 0, 0, infer_mel, run_mel, NULL},
    {NULL, NULL, 0, 0, 0, 0, 0, 0, NULL, NULL, NULL},
};
