/* describe.c - what `ocelli devices` shows. */
#define _GNU_SOURCE
#include "cpu/features.h"

#include <string.h>
#include <unistd.h>

void oc_cpu_describe(oc_cpu_info *out) {
    oc__cpu_caches caches;
    memset(out, 0, sizeof *out);
    oc__cpu_caches_get(&caches);
    out->name = oc__cpu_name();
    out->features = oc_cpu_features();
    out->cores = oc_cpu_count();
    out->l1d_bytes = caches.l1d_bytes;
    out->l2_bytes = caches.l2_bytes;
    out->l3_bytes = caches.l3_bytes;
#if defined(_SC_PHYS_PAGES)
    long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
    if (pages > 0 && size > 0) out->memory_bytes = (size_t)pages * (size_t)size;
#endif
}

const char *oc_cpu_feature_name(int i, uint32_t *bit) {
    static const struct {
        uint32_t bit;
        const char *name;
    } all[] = {
        {OC_CPU_SSE41, "sse4.1"},
        {OC_CPU_AVX2, "avx2"},
        {OC_CPU_AVX512, "avx512"},
        {OC_CPU_AVX512VNNI, "avx512-vnni"},
        {OC_CPU_AVXVNNI, "avx-vnni"},
        {OC_CPU_AVX512BF16, "avx512-bf16"},
        {OC_CPU_AMX_INT8, "amx-int8"},
        {OC_CPU_AMX_BF16, "amx-bf16"},
        {OC_CPU_AVX512FP16, "avx512-fp16"},
        {OC_CPU_AVX512VBMI, "avx512-vbmi"},
        {OC_CPU_NEON, "neon"},
        {OC_CPU_NEON_DOT, "neon-dot"},
        {OC_CPU_NEON_I8MM, "neon-i8mm"},
        {OC_CPU_NEON_FP16, "neon-fp16"},
        {OC_CPU_NEON_BF16, "neon-bf16"},
    };
    if (i < 0 || (size_t)i >= sizeof all / sizeof all[0]) return NULL;
    if (bit) *bit = all[i].bit;
    return all[i].name;
}
