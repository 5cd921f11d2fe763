/*
 * features.h - what this processor and its operating system offer.
 * The feature bits are OC_CPU_* in ocelli.h; oc_cpu_features() and
 * oc_cpu_count() are declared there too.
 */
#ifndef OC_CPU_FEATURES_H
#define OC_CPU_FEATURES_H

#include <ocelli/ocelli.h>

/**
 * Resolves a user's mask: 0 means all present; otherwise present & mask.
 * The result never has OC_CPU_SCALAR; it may be 0, which is plain C.  Asking
 * for a set asks for those it rests on (AVX-512 for AVX2) too.
 */
uint32_t oc__cpu_resolve(uint32_t mask);
/** The same for a machine with the features `present`; for tests. */
uint32_t oc__cpu_resolve_from(uint32_t present, uint32_t mask);

/**
 * CPUs that the cgroup quota (v1 or v2, of the process's group and all above
 * it) allows, rounded up; 0 where there is no limit.
 *   root  what stands before /proc and /sys: "", or a fake tree in tests
 */
int oc__cpu_quota(const char *root);

/** Bytes of the data caches seen by one core; 0 where unknown. */
typedef struct oc__cpu_caches {
    size_t l1d_bytes, l2_bytes, l3_bytes;
} oc__cpu_caches;
void oc__cpu_caches_get(oc__cpu_caches *out);

/** "AMD EPYC ...", or "" where unknown; static storage. */
const char *oc__cpu_name(void);

#endif
