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
 * The result never has OC_CPU_SCALAR; it may be 0, which is plain C.
 */
uint32_t oc__cpu_resolve(uint32_t mask);

/** Bytes of the data caches seen by one core; 0 where unknown. */
typedef struct oc__cpu_caches {
    size_t l1d_bytes, l2_bytes, l3_bytes;
} oc__cpu_caches;
void oc__cpu_caches_get(oc__cpu_caches *out);

/** "AMD EPYC ...", or "" where unknown; static storage. */
const char *oc__cpu_name(void);

#endif
