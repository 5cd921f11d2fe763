/*
 * move_neon.c - transposes of 1, 2, 4 and 8-byte elements and the NCHWc
 * interleave, by square tiles in registers; see x86/move_avx2.c.
 */
#include "kernels/kernels.h"

#if OC_ARCH_ARM

#include <arm_neon.h>

#define INLINE static inline __attribute__((always_inline))

/* Columns of a strip: as many output lines are open at a time. */
#define STRIP 64

/* 16 x 16 bytes; four rounds of row i meeting row i + 8 */
INLINE void tile_b1(const char *x, size_t xp, char *y, size_t yp) {
    uint8x16_t a[16], b[16];
    for (int i = 0; i < 16; i++)
        a[i] = vld1q_u8((const uint8_t *)x + (size_t)i * xp);
    for (int round = 0; round < 4; round++) {
        for (int i = 0; i < 8; i++) {
            b[2 * i] = vzip1q_u8(a[i], a[i + 8]);
            b[2 * i + 1] = vzip2q_u8(a[i], a[i + 8]);
        }
        for (int i = 0; i < 16; i++)
            a[i] = b[i];
    }
    for (int i = 0; i < 16; i++)
        vst1q_u8((uint8_t *)y + (size_t)i * yp, a[i]);
}

INLINE void tile_b2(const char *x, size_t xp, char *y, size_t yp) {
    uint16x8_t a[8], b[8];
    for (int i = 0; i < 8; i++)
        a[i] = vld1q_u16((const uint16_t *)(const void *)(x + (size_t)i * xp));
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 4; i++) {
            b[2 * i] = vzip1q_u16(a[i], a[i + 4]);
            b[2 * i + 1] = vzip2q_u16(a[i], a[i + 4]);
        }
        for (int i = 0; i < 8; i++)
            a[i] = b[i];
    }
    for (int i = 0; i < 8; i++)
        vst1q_u16((uint16_t *)(void *)(y + (size_t)i * yp), a[i]);
}

INLINE void transpose_4x4(uint32x4_t a[4]) {
    uint32x4_t p = vzip1q_u32(a[0], a[2]), q = vzip2q_u32(a[0], a[2]);
    uint32x4_t r = vzip1q_u32(a[1], a[3]), s = vzip2q_u32(a[1], a[3]);
    a[0] = vzip1q_u32(p, r);
    a[1] = vzip2q_u32(p, r);
    a[2] = vzip1q_u32(q, s);
    a[3] = vzip2q_u32(q, s);
}

INLINE void tile_b4(const char *x, size_t xp, char *y, size_t yp) {
    uint32x4_t a[4];
    for (int i = 0; i < 4; i++)
        a[i] = vld1q_u32((const uint32_t *)(const void *)(x + (size_t)i * xp));
    transpose_4x4(a);
    for (int i = 0; i < 4; i++)
        vst1q_u32((uint32_t *)(void *)(y + (size_t)i * yp), a[i]);
}

INLINE void tile_b8(const char *x, size_t xp, char *y, size_t yp) {
    uint64x2_t a = vld1q_u64((const uint64_t *)(const void *)x);
    uint64x2_t b = vld1q_u64((const uint64_t *)(const void *)(x + xp));
    vst1q_u64((uint64_t *)(void *)y, vzip1q_u64(a, b));
    vst1q_u64((uint64_t *)(void *)(y + yp), vzip2q_u64(a, b));
}

/* Fewer rows than a tile has, as of the taps that an upsampling joins. */
INLINE void low_b4(const char *from, size_t x_pitch, char *to, size_t y_pitch,
                   size_t rows, size_t cols) {
    const uint32_t *x = (const uint32_t *)(const void *)from;
    uint32_t *y = (uint32_t *)(void *)to;
    size_t c = 0;
    if (rows == 2 && y_pitch == 2)
        for (; c + 4 <= cols; c += 4) {
            uint32x4x2_t a = {{vld1q_u32(x + c), vld1q_u32(x + x_pitch + c)}};
            vst2q_u32(y + c * 2, a);
        }
    if (rows == 3 && y_pitch == 3)
        for (; c + 4 <= cols; c += 4) {
            uint32x4x3_t a = {{vld1q_u32(x + c), vld1q_u32(x + x_pitch + c),
                               vld1q_u32(x + 2 * x_pitch + c)}};
            vst3q_u32(y + c * 3, a);
        }
    oc__transpose_b4_scalar(x + c, x_pitch, y + c * y_pitch, y_pitch, rows,
                            cols - c);
}

#define TRANSPOSE(job, bytes, side, tile, low)                                 \
    void oc__##job##_neon(const void *x, size_t x_pitch, void *y,              \
                          size_t y_pitch, size_t rows, size_t cols) {          \
        const char *from = x;                                                  \
        char *to = y;                                                          \
        const size_t xp = x_pitch * bytes, yp = y_pitch * bytes;               \
        const size_t r1 = rows - rows % side, c1 = cols - cols % side;         \
        for (size_t c0 = 0; c0 < c1; c0 += STRIP) {                            \
            size_t end = c1 - c0 < STRIP ? c1 : c0 + STRIP;                    \
            for (size_t r = 0; r < r1; r += side)                              \
                for (size_t c = c0; c < end; c += side)                        \
                    tile(from + r * xp + c * bytes, xp,                        \
                         to + c * yp + r * bytes, yp);                         \
        }                                                                      \
        if (r1 < rows)                                                         \
            low(from + r1 * xp, x_pitch, to + r1 * bytes, y_pitch, rows - r1,  \
                c1);                                                           \
        if (c1 < cols)                                                         \
            oc__##job##_scalar(from + c1 * bytes, x_pitch, to + c1 * yp,       \
                               y_pitch, rows, cols - c1);                      \
    }

TRANSPOSE(transpose_b1, 1, 16, tile_b1, oc__transpose_b1_scalar)
TRANSPOSE(transpose_b2, 2, 8, tile_b2, oc__transpose_b2_scalar)
TRANSPOSE(transpose_b4, 4, 4, tile_b4, low_b4)
TRANSPOSE(transpose_b8, 8, 2, tile_b8, oc__transpose_b8_scalar)

void oc__interleave_f32_neon(const float *x, size_t x_pitch, size_t channels,
                             float *y, size_t block, size_t pixels) {
    size_t i = 0;
    if (block % 4 == 0) {
        for (; i + 4 <= pixels; i += 4)
            for (size_t j0 = 0; j0 < block; j0 += 4) {
                uint32x4_t a[4];
                for (size_t j = 0; j < 4; j++)
                    a[j] = j0 + j < channels ? vreinterpretq_u32_f32(vld1q_f32(
                                                   x + (j0 + j) * x_pitch + i))
                                             : vdupq_n_u32(0);
                transpose_4x4(a);
                for (size_t p = 0; p < 4; p++)
                    vst1q_f32(y + (i + p) * block + j0,
                              vreinterpretq_f32_u32(a[p]));
            }
    }
    oc__interleave_f32_scalar(x + i, x_pitch, channels, y + i * block, block,
                              pixels - i);
}

#endif
