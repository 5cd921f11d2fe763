/* table.c - see kernels.h. */
#include "kernels/kernels.h"

#include "base/size.h"
#include "cpu/features.h"

#include <pthread.h>
#include <string.h>

/* Where nothing is known, or a virtual machine says something odd: the least
 * there is; and no more than one thread's share of the largest. */
static size_t l2_of(size_t found) {
    const size_t least = (size_t)256 << 10, most = (size_t)2 << 20;
    if (found == 0) found = (size_t)512 << 10;
    return OC_MAX(least, OC_MIN(found, most));
}

void oc__kernels_init(oc__kernels *k, uint32_t cpu) {
    oc__cpu_caches caches;
    memset(k, 0, sizeof *k);
    k->cpu = cpu;
    oc__cpu_caches_get(&caches);
    k->l2_bytes = l2_of(caches.l2_bytes);
    /* One vector of f32 holds a block; NEON takes two vectors of four. */
    k->block = cpu & OC_CPU_AVX512 ? 16 : 8;
    /* Later lines are better instruction sets and overwrite earlier ones. */
#define OC_KERNEL(job, isa, need)                                              \
    if (((uint32_t)(need) & ~cpu) == 0) k->job = &oc__##job##_##isa;
#include "kernels/kernels.def"
}

int oc__kernels_have_bf16(const oc__kernels *k) {
    return k->gemm_bf16 != &oc__gemm_bf16_scalar;
}

static oc__kernels native;
static pthread_once_t native_once = PTHREAD_ONCE_INIT;

static void init_native(void) {
    oc__kernels_init(&native, oc__cpu_resolve(0));
}

const oc__kernels *oc__kernels_native(void) {
    pthread_once(&native_once, init_native);
    return &native;
}
