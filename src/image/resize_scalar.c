/*
 * resize_scalar.c - the row loops in plain C.  They are the specification;
 * the blocked form of the vertical one is what compilers turn into vectors.
 */
#include "image/resize.h"

static inline uint8_t clamp8(int32_t v) {
    return (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
}

static inline int32_t weight(const int16_t *coef, const int16_t *fine, int t) {
    return fine ? coef[t] * (1 << OC__RESIZE_FINE_BITS) + fine[t] : coef[t];
}

static void row(uint8_t *dst, const uint8_t *src, const oc__resize_axis *axis,
                int channels) {
    size_t n = (size_t)channels;
    int32_t half = 1 << (axis->shift - 1);
    for (int i = 0; i < axis->out; i++, dst += n) {
        size_t at = (size_t)i * (size_t)axis->taps;
        const int16_t *coef = axis->coef + at;
        const int16_t *fine = axis->fine ? axis->fine + at : NULL;
        const uint8_t *p = src + (size_t)axis->start[i] * n;
        int32_t sum[4] = {half, half, half, half};
        for (int t = 0; t < axis->count[i]; t++, p += n) {
            int32_t k = weight(coef, fine, t);
            for (size_t c = 0; c < n; c++)
                sum[c] += p[c] * k;
        }
        for (size_t c = 0; c < n; c++)
            dst[c] = clamp8(sum[c] >> axis->shift);
    }
}

void oc__resize_h_scalar(uint8_t *const dst[2], const uint8_t *const src[2],
                         const oc__resize_axis *axis, int channels) {
    row(dst[0], src[0], axis, channels);
    if (dst[1] != dst[0]) row(dst[1], src[1], axis, channels);
}

void oc__resize_v_scalar(uint8_t *dst, const uint8_t *const *rows,
                         const int16_t *coef, const int16_t *fine, int count,
                         size_t n, int shift) {
    enum { BLOCK = 64 };
    for (size_t x = 0; x < n; x += BLOCK) {
        size_t m = OC_MIN((size_t)BLOCK, n - x);
        int32_t sum[BLOCK];
        for (size_t i = 0; i < m; i++)
            sum[i] = 1 << (shift - 1);
        for (int t = 0; t < count; t++) {
            const uint8_t *p = rows[t] + x;
            int32_t k = weight(coef, fine, t);
            for (size_t i = 0; i < m; i++)
                sum[i] += p[i] * k;
        }
        for (size_t i = 0; i < m; i++)
            dst[x + i] = clamp8(sum[i] >> shift);
    }
}
