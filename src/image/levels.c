/* levels.c - see levels.h. */
#include "image/levels.h"

#include <math.h>
#include <string.h>

/* ---- numbers ----------------------------------------------------------- */

/**
 * For channel c of the network: (level * scale - mean) / std as one fused
 * multiply and add, the same in the tables and in vector code.
 */
static void coefficients(const oc_preprocess *p, int c, float *a, float *b) {
    double scale = p->scale != 0 ? (double)p->scale : 1.0;
    double std = p->std[c] != 0 ? (double)p->std[c] : 1.0;
    *a = (float)(scale / std);
    *b = (float)(-(double)p->mean[c] / std);
}

/** f32 to f16, ties to even; too large becomes infinity. */
static uint16_t half_of(float f) {
    uint32_t u;
    memcpy(&u, &f, 4);
    uint32_t sign = u >> 16 & 0x8000, mag = u & 0x7FFFFFFF;
    if (mag > 0x7F800000) return (uint16_t)(sign | 0x7E00);
    if (mag >= 0x477FF000) return (uint16_t)(sign | 0x7C00);
    if (mag < 0x38800000) {
        /* Subnormal: adding this constant leaves the rounded bits below. */
        float v = fabsf(f) + 0.5f;
        memcpy(&u, &v, 4);
        return (uint16_t)(sign | (u - 0x3F000000));
    }
    mag += 0xFFF + (mag >> 13 & 1); /* round to even */
    return (uint16_t)(sign | ((mag - 0x38000000) >> 13));
}

static float saturate(float v, float lo, float hi) {
    if (!(v > lo)) return lo; /* NaN too */
    return v > hi ? hi : rintf(v);
}

/** One value in the network's type. */
static void store(void *to, oc_dtype dtype, float v) {
    switch (dtype) {
    case OC_DTYPE_F16: {
        uint16_t h = half_of(v);
        memcpy(to, &h, 2);
        break;
    }
    case OC_DTYPE_U8: *(uint8_t *)to = (uint8_t)saturate(v, 0, 255); break;
    case OC_DTYPE_I8: *(int8_t *)to = (int8_t)saturate(v, -128, 127); break;
    default: memcpy(to, &v, 4); break;
    }
}

void oc__levels_init(oc__levels *l, const oc_preprocess *p) {
    memset(l, 0, sizeof(*l));
    l->dtype = p->dtype == OC_DTYPE_NONE ? OC_DTYPE_F32 : p->dtype;
    l->bytes = oc_dtype_bytes(l->dtype);
    l->channels = p->color == OC_COLOR_GRAY ? 1 : 3;
    for (int c = 0; c < l->channels; c++) {
        /* The source is rgb; c counts as the network does. */
        int from = p->color == OC_COLOR_BGR ? 2 - c : c;
        l->source[c] = from;
        coefficients(p, c, &l->a[c], &l->b[c]);
        for (int v = 0; v < 256; v++)
            store(l->table[c] + (size_t)v * l->bytes, l->dtype,
                  fmaf((float)v, l->a[c], l->b[c]));
        store(l->pad[c], l->dtype, fmaf(p->pad_value[from], l->a[c], l->b[c]));
    }
}

/* ---- rows into the tensor ---------------------------------------------- */

/* One loop per width of value; `index` says which entry of a table. */
#define EACH_VALUE(type, to, from, index)                                      \
    do {                                                                       \
        type *d_ = (type *)(void *)(to);                                       \
        const type *t_ = (const type *)(const void *)(from);                   \
        for (int x = 0; x < n; x++, d_ += stride)                              \
            *d_ = t_[index];                                                   \
    } while (0)

void oc__levels_fill(const oc__levels *l, uint8_t *const *to, int stride,
                     int n) {
    for (int c = 0; c < l->channels; c++) {
        switch (l->bytes) {
        case 1: EACH_VALUE(uint8_t, to[c], l->pad[c], 0); break;
        case 2: EACH_VALUE(uint16_t, to[c], l->pad[c], 0); break;
        default: EACH_VALUE(uint32_t, to[c], l->pad[c], 0); break;
        }
    }
}

void oc__levels_row_scalar(const oc__levels *l, uint8_t *const *to, int stride,
                           const uint8_t *row, int step, int n) {
    for (int c = 0; c < l->channels; c++) {
        const uint8_t *p = row + (step == 1 ? 0 : l->source[c]);
        switch (l->bytes) {
        case 1: EACH_VALUE(uint8_t, to[c], l->table[c], p[x * step]); break;
        case 2: EACH_VALUE(uint16_t, to[c], l->table[c], p[x * step]); break;
        default: EACH_VALUE(uint32_t, to[c], l->table[c], p[x * step]); break;
        }
    }
}
