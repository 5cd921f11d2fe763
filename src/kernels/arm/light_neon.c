/* light_neon.c - light_template.h on vectors of 4. */
#include "kernels/arm/act_neon.h"

#if OC_ARCH_ARM

#define VINLINE static inline __attribute__((always_inline, unused))
#define VTARGET
#define V(name) v4_##name
#define K(job)  oc__##job##_neon
#define VF      float32x4_t
#define VI      int32x4_t
#define VM      uint32x4_t
#define V_WIDTH 4

VINLINE VI V(load_u8)(const uint8_t *p) {
    uint32_t t;
    memcpy(&t, p, sizeof t);
    uint8x8_t b = vcreate_u8(t);
    return vreinterpretq_s32_u32(vmovl_u16(vget_low_u16(vmovl_u8(b))));
}

VINLINE VI V(load_i8)(const int8_t *p) {
    uint32_t t;
    memcpy(&t, p, sizeof t);
    return vmovl_s16(vget_low_s16(vmovl_s8(vcreate_s8(t))));
}

VINLINE void V(store_u8)(uint8_t *p, VI x) {
    uint16x4_t h = vmovn_u32(vreinterpretq_u32_s32(x));
    uint8x8_t b = vmovn_u16(vcombine_u16(h, h));
    uint32_t t = vget_lane_u32(vreinterpret_u32_u8(b), 0);
    memcpy(p, &t, sizeof t);
}

VINLINE VF V(load_f16)(const uint16_t *p) {
    return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p)));
}

VINLINE void V(store_f16)(uint16_t *p, VF x) {
    vst1_u16(p, vreinterpret_u16_f16(vcvt_f16_f32(x)));
}

VINLINE VF V(load_bf16)(const uint16_t *p) {
    return vreinterpretq_f32_u32(vshll_n_u16(vld1_u16(p), 16));
}

VINLINE void V(store_bf16)(uint16_t *p, VF x) {
    uint32x4_t u = vreinterpretq_u32_f32(x), top = vshrq_n_u32(u, 16);
    uint32x4_t odd = vandq_u32(top, vdupq_n_u32(1));
    uint32x4_t r = vaddq_u32(vaddq_u32(u, odd), vdupq_n_u32(0x7fff));
    r = vshrq_n_u32(r, 16);
    r = vbslq_u32(V(isnan)(x), vorrq_u32(top, vdupq_n_u32(0x40)), r);
    vst1_u16(p, vmovn_u32(r));
}

VINLINE float V(sum_lanes)(VF x) {
    float32x2_t h = vadd_f32(vget_low_f32(x), vget_high_f32(x));
    return vget_lane_f32(h, 0) + vget_lane_f32(h, 1);
}

VINLINE float V(max_lanes)(VF x) {
    return vmaxvq_f32(x);
}

VINLINE float V(min_lanes)(VF x) {
    return vminvq_f32(x);
}

#include "kernels/light_template.h"

#endif
