/* requantize.c - see requantize.h. */
#include "ops/requantize.h"

#include "base/size.h"

#include <math.h>

oc_status oc__param_read(const oc__ctx *c, int i, int64_t length,
                         int64_t matrices, int optional, oc__param *out) {
    const oc_tensor *t = oc__in(c, i);
    out->t = t;
    out->elems = 1;
    out->length = length;
    if (!t && optional) return OC_OK;
    OC_TRY(oc__want(c, i,
                    OC_T_F | OC_T(U8) | OC_T(I8) | OC_T(I32) | OC_T(F8E4M3FN) |
                        OC_T(F8E4M3FNUZ) | OC_T(F8E5M2) | OC_T(F8E5M2FNUZ)));
    out->elems = oc_tensor_elems(t);
    if (out->elems == 1 || out->elems == length ||
        (length && out->elems / length == matrices && out->elems % length == 0))
        return OC_OK;
    return oc__op_fail(c, OC_E_SHAPE,
                       "input %d has %lld elements, wanted 1 or %lld", i,
                       (long long)out->elems, (long long)length);
}

double oc__param_get(const oc__param *p, int64_t m, int64_t i) {
    if (!p->t) return 0;
    if (p->elems == 1) return oc__tensor_get_f64(p->t, 0);
    if (p->elems == p->length) return oc__tensor_get_f64(p->t, i);
    return oc__tensor_get_f64(p->t, m * p->length + i);
}

void oc__requantize_table(oc__scale_zero x, oc__scale_zero y, int is_signed,
                          uint8_t *table) {
    for (int code = 0; code < 256; code++) {
        int value = is_signed ? (int8_t)code : code;
        float v = x.scale * (float)(value - x.zero);
        table[code] = (uint8_t)oc__requantize(v / y.scale, y.zero, is_signed);
    }
}

void oc__dynamic_scale(const oc__kernels *kt, const float *x, int64_t n,
                       float *scale, uint8_t *zero) {
    float lo = kt->reduce_f32(OC_REDUCE_MIN, x, (size_t)n);
    float hi = kt->reduce_f32(OC_REDUCE_MAX, x, (size_t)n);
    lo = lo < 0 ? lo : 0; /* 0 must be representable */
    hi = hi > 0 ? hi : 0;
    *scale = (hi == lo ? 1.0f : hi - lo) / 255.0f;
    float z = rintf(0.0f - lo / *scale);
    *zero = (uint8_t)(z < 0 ? 0 : z > 255 ? 255 : z);
}
