/* table.c - see kernels.h. */
#include "kernels/kernels.h"

#include "cpu/features.h"

#include <pthread.h>
#include <string.h>

void oc__kernels_init(oc__kernels *k, uint32_t cpu) {
    memset(k, 0, sizeof *k);
    k->cpu = cpu;
    /* One vector of f32 holds a block; NEON takes two vectors of four. */
    k->block = cpu & OC_CPU_AVX512 ? 16 : 8;
    /* Later lines are better instruction sets and overwrite earlier ones. */
#define OC_KERNEL(job, isa, need)                                              \
    if (((uint32_t)(need) & ~cpu) == 0) k->job = &oc__##job##_##isa;
#include "kernels/kernels.def"
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
