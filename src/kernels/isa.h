/*
 * isa.h - which architecture is compiled for, and the attributes that let one
 * function use an instruction set the rest of the file may not.
 *
 * Kernels carry their target themselves, so the library needs no per-file
 * compiler flags and builds with one plain cc line.  Files under x86/ and
 * arm/ enclose their whole body in #if OC_ARCH_X86 or #if OC_ARCH_ARM.
 */
#ifndef OC_KERNELS_ISA_H
#define OC_KERNELS_ISA_H

#if defined(__x86_64__) && defined(__GNUC__)
#define OC_ARCH_X86 1
#else
#define OC_ARCH_X86 0
#endif

#if defined(__aarch64__) && defined(__GNUC__)
#define OC_ARCH_ARM 1
#else
#define OC_ARCH_ARM 0
#endif

#define OC_TARGET_SSE41 __attribute__((target("sse4.1")))
#define OC_TARGET_AVX2  __attribute__((target("avx2,fma,f16c")))
#define OC_TARGET_AVX512                                                       \
    __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512cd,avx2,"  \
                          "fma,f16c")))
#define OC_TARGET_AVX512VNNI                                                   \
    __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512cd,avx2,"  \
                          "fma,f16c,avx512vnni")))
#define OC_TARGET_AVX512BF16                                                   \
    __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512cd,avx2,"  \
                          "fma,f16c,avx512bf16")))
#define OC_TARGET_AVX512VBMI                                                   \
    __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512cd,avx2,"  \
                          "fma,f16c,avx512vbmi")))
#define OC_TARGET_AVXVNNI __attribute__((target("avx2,fma,f16c,avxvnni")))
/* NEON is part of every aarch64; later additions need their own attribute. */
#define OC_TARGET_NEON
#define OC_TARGET_NEON_DOT __attribute__((target("arch=armv8.2-a+dotprod")))
#if defined(__clang__)
#define OC_TARGET_NEONBF16 __attribute__((target("bf16")))
#else
#define OC_TARGET_NEONBF16 __attribute__((target("arch=armv8.2-a+bf16")))
#endif

#if defined(__GNUC__)
#define OC_INLINE static inline __attribute__((always_inline))
#else
#define OC_INLINE static inline
#endif

#endif
