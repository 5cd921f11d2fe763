/* features.c - see features.h. */
#define _GNU_SOURCE
#include "cpu/features.h"

#include "base/size.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct {
    uint32_t features;
    oc__cpu_caches caches;
    char name[64];
} found;
static pthread_once_t found_once = PTHREAD_ONCE_INIT;

#if defined(__x86_64__) && defined(__GNUC__)

#include <cpuid.h>
#if defined(__linux__)
#include <sys/syscall.h>
#endif

#define BIT(word, n) (((word) >> (n)) & 1u)

/* XCR0 says which registers the operating system saves on a task switch.  A
 * processor may have AVX-512 under a kernel that would lose the registers. */
#define XCR0_AVX    0x06u    /* xmm, ymm */
#define XCR0_AVX512 0xe6u    /* and opmask, upper zmm0-15, zmm16-31 */
#define XCR0_AMX    0x60000u /* tile configuration and data */

static uint32_t read_xcr0(void) {
    uint32_t low, high;
    /* xgetbv; the intrinsic would need a target attribute. */
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
}

/* Linux gives the 8 KiB of tile registers only to processes that ask. */
static int may_use_tiles(void) {
#if defined(__linux__) && defined(SYS_arch_prctl)
    const long req_xcomp_perm = 0x1023, xtiledata = 18;
    return syscall(SYS_arch_prctl, req_xcomp_perm, xtiledata) == 0;
#else
    return 0;
#endif
}

static uint32_t detect_amx(uint32_t d7) {
    if (!BIT(d7, 24)) return 0; /* AMX-TILE */
    uint32_t f = (BIT(d7, 25) ? OC_CPU_AMX_INT8 : 0) |
                 (BIT(d7, 22) ? OC_CPU_AMX_BF16 : 0);
    return f && may_use_tiles() ? f : 0;
}

static uint32_t detect_avx512(uint32_t b7, uint32_t c7, uint32_t d7,
                              uint32_t a71) {
    /* F, DQ, CD, BW, VL: what every AVX-512 processor since 2017 has. */
    const uint32_t base = 1u << 16 | 1u << 17 | 1u << 28 | 1u << 30 | 1u << 31;
    if ((b7 & base) != base) return 0;
    uint32_t f = OC_CPU_AVX512;
    if (BIT(c7, 11)) f |= OC_CPU_AVX512VNNI;
    if (BIT(a71, 5)) f |= OC_CPU_AVX512BF16;
    if (BIT(d7, 23)) f |= OC_CPU_AVX512FP16;
    if (BIT(c7, 1)) f |= OC_CPU_AVX512VBMI;
    return f;
}

static uint32_t detect_features(void) {
    uint32_t a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d)) return 0;
    uint32_t f = BIT(c, 19) ? OC_CPU_SSE41 : 0;
    int osxsave = BIT(c, 27);
    int avx_fma_f16c = BIT(c, 28) && BIT(c, 12) && BIT(c, 29);
    uint32_t a7, b7, c7, d7, a71 = 0, unused1, unused2, unused3;
    if (!osxsave || !avx_fma_f16c ||
        !__get_cpuid_count(7, 0, &a7, &b7, &c7, &d7))
        return f;
    if (a7 >= 1) __get_cpuid_count(7, 1, &a71, &unused1, &unused2, &unused3);
    uint32_t xcr0 = read_xcr0();
    if ((xcr0 & XCR0_AVX) != XCR0_AVX || !BIT(b7, 5)) return f;
    f |= OC_CPU_AVX2;
    if (BIT(a71, 4)) f |= OC_CPU_AVXVNNI;
    if ((xcr0 & XCR0_AVX512) == XCR0_AVX512)
        f |= detect_avx512(b7, c7, d7, a71);
    if ((xcr0 & XCR0_AMX) == XCR0_AMX) f |= detect_amx(d7);
    return f;
}

/* Intel's leaf 4 and AMD's leaf 0x8000001d describe one cache each. */
static int detect_caches_cpuid(oc__cpu_caches *out) {
    uint32_t a, b, c, d, leaf = 4;
    if (!__get_cpuid(0, &a, &b, &c, &d)) return 0;
    if (c == 0x444d4163) leaf = 0x8000001d; /* "cAMD" of AuthenticAMD */
    for (uint32_t i = 0; i < 16; i++) {
        if (!__get_cpuid_count(leaf, i, &a, &b, &c, &d)) return 0;
        uint32_t type = a & 31, level = a >> 5 & 7;
        if (type == 0) break;
        if (type == 2) continue; /* instructions */
        size_t ways = (b >> 22) + 1, parts = (b >> 12 & 0x3ff) + 1;
        size_t bytes = ways * parts * ((b & 0xfff) + 1) * ((size_t)c + 1);
        if (level == 1) out->l1d_bytes = bytes;
        if (level == 2) out->l2_bytes = bytes;
        if (level == 3) out->l3_bytes = bytes;
    }
    return out->l1d_bytes != 0;
}

static void detect_name(char *name, size_t bytes) {
    char brand[49] = "";
    uint32_t r[12], a, b, c, d;
    if (!__get_cpuid(0x80000000, &a, &b, &c, &d) || a < 0x80000004) return;
    for (uint32_t i = 0; i < 3; i++)
        __get_cpuid(0x80000002 + i, &r[4 * i], &r[4 * i + 1], &r[4 * i + 2],
                    &r[4 * i + 3]);
    memcpy(brand, r, 48);
    /* Padded on the right by some makers, on the left by others. */
    const char *start = brand + strspn(brand, " ");
    snprintf(name, bytes, "%s", start);
    for (size_t n = strlen(name); n && name[n - 1] == ' ';)
        name[--n] = 0;
}

#elif defined(__aarch64__)

#if defined(__linux__)
#include <sys/auxv.h>
#endif

static uint32_t detect_features(void) {
    uint32_t f = OC_CPU_NEON; /* part of the architecture */
#if defined(__linux__)
    /* Bit numbers are the kernel's ABI; older headers lack the names. */
    unsigned long hwcap = getauxval(AT_HWCAP), hwcap2 = getauxval(AT_HWCAP2);
    if (hwcap >> 20 & 1) f |= OC_CPU_NEON_DOT; /* asimddp */
    if ((hwcap >> 9 & 1) && (hwcap >> 10 & 1)) f |= OC_CPU_NEON_FP16;
    if (hwcap2 >> 13 & 1) f |= OC_CPU_NEON_I8MM;
    if (hwcap2 >> 14 & 1) f |= OC_CPU_NEON_BF16;
#endif
    return f;
}

static int detect_caches_cpuid(oc__cpu_caches *out) {
    (void)out;
    return 0;
}

/* The cores met in boards, phones and clouds, by the MIDR_EL1 register that
 * /proc/cpuinfo prints in parts. */
static const struct {
    unsigned maker, part;
    const char *name;
} arm_cores[] = {
    {0x41, 0xd03, "ARM Cortex-A53"},      {0x41, 0xd04, "ARM Cortex-A35"},
    {0x41, 0xd05, "ARM Cortex-A55"},      {0x41, 0xd07, "ARM Cortex-A57"},
    {0x41, 0xd08, "ARM Cortex-A72"},      {0x41, 0xd09, "ARM Cortex-A73"},
    {0x41, 0xd0a, "ARM Cortex-A75"},      {0x41, 0xd0b, "ARM Cortex-A76"},
    {0x41, 0xd0c, "ARM Neoverse N1"},     {0x41, 0xd0d, "ARM Cortex-A77"},
    {0x41, 0xd40, "ARM Neoverse V1"},     {0x41, 0xd41, "ARM Cortex-A78"},
    {0x41, 0xd44, "ARM Cortex-X1"},       {0x41, 0xd46, "ARM Cortex-A510"},
    {0x41, 0xd47, "ARM Cortex-A710"},     {0x41, 0xd49, "ARM Neoverse N2"},
    {0x41, 0xd4f, "ARM Neoverse V2"},     {0xc0, 0xac3, "Ampere Altra"},
    {0x61, 0x022, "Apple M1 (Icestorm)"}, {0x61, 0x023, "Apple M1 (Firestorm)"},
};

static void detect_name(char *name, size_t bytes) {
    FILE *f = fopen("/proc/cpuinfo", "re");
    if (!f) return;
    char line[256];
    unsigned maker = 0, part = 0;
    while (fgets(line, sizeof line, f)) {
        const char *colon = strchr(line, ':');
        if (!colon) continue;
        unsigned value = (unsigned)strtoul(colon + 1, NULL, 0);
        if (!strncmp(line, "CPU implementer", 15)) maker = value;
        if (!strncmp(line, "CPU part", 8)) part = value;
    }
    fclose(f);
    for (size_t i = 0; i < OC_COUNT(arm_cores); i++)
        if (arm_cores[i].maker == maker && arm_cores[i].part == part)
            snprintf(name, bytes, "%s", arm_cores[i].name);
    if (!*name && maker)
        snprintf(name, bytes, "ARM implementer 0x%02x part 0x%03x", maker,
                 part);
}

#else

static uint32_t detect_features(void) {
    return 0;
}

static int detect_caches_cpuid(oc__cpu_caches *out) {
    (void)out;
    return 0;
}

static void detect_name(char *name, size_t bytes) {
    (void)name;
    (void)bytes;
}

#endif

/* One line of a file under /sys, without its newline; "" when not there. */
static void read_cache_field(int index, const char *field, char *text,
                             size_t bytes) {
    char path[96];
    snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu0/cache/index%d/%s",
             index, field);
    text[0] = 0;
    FILE *f = fopen(path, "r");
    if (!f) return;
    if (!fgets(text, (int)bytes, f)) text[0] = 0;
    fclose(f);
}

static void detect_caches_sysfs(oc__cpu_caches *out) {
    for (int i = 0; i < 8; i++) {
        char type[32], level[16], size[32];
        read_cache_field(i, "type", type, sizeof type);
        if (!type[0]) return;
        if (!strncmp(type, "Instruction", 11)) continue;
        read_cache_field(i, "level", level, sizeof level);
        read_cache_field(i, "size", size, sizeof size); /* "32K" */
        char *unit;
        size_t bytes = strtoul(size, &unit, 10);
        if (*unit == 'K') bytes <<= 10;
        if (*unit == 'M') bytes <<= 20;
        if (level[0] == '1') out->l1d_bytes = bytes;
        if (level[0] == '2') out->l2_bytes = bytes;
        if (level[0] == '3') out->l3_bytes = bytes;
    }
}

static void detect(void) {
    found.features = detect_features();
    if (!detect_caches_cpuid(&found.caches)) detect_caches_sysfs(&found.caches);
    detect_name(found.name, sizeof found.name);
}

uint32_t oc_cpu_features(void) {
    pthread_once(&found_once, detect);
    return found.features;
}

void oc__cpu_caches_get(oc__cpu_caches *out) {
    pthread_once(&found_once, detect);
    *out = found.caches;
}

const char *oc__cpu_name(void) {
    pthread_once(&found_once, detect);
    return found.name;
}

/* What each set rests on; bases stand before what rests on them, so that one
 * walk up or down the list settles everything. */
static const struct {
    uint32_t set, base;
} bases[] = {
    {OC_CPU_AVX2, OC_CPU_SSE41},        {OC_CPU_AVX512, OC_CPU_AVX2},
    {OC_CPU_AVXVNNI, OC_CPU_AVX2},      {OC_CPU_AVX512VNNI, OC_CPU_AVX512},
    {OC_CPU_AVX512BF16, OC_CPU_AVX512}, {OC_CPU_AVX512FP16, OC_CPU_AVX512},
    {OC_CPU_AVX512VBMI, OC_CPU_AVX512}, {OC_CPU_AMX_INT8, OC_CPU_AVX512},
    {OC_CPU_AMX_BF16, OC_CPU_AVX512},   {OC_CPU_NEON_DOT, OC_CPU_NEON},
    {OC_CPU_NEON_I8MM, OC_CPU_NEON},    {OC_CPU_NEON_FP16, OC_CPU_NEON},
    {OC_CPU_NEON_BF16, OC_CPU_NEON},
};

uint32_t oc__cpu_resolve_from(uint32_t present, uint32_t mask) {
    uint32_t f = present & ~OC_CPU_SCALAR;
    if (mask & OC_CPU_SCALAR) return 0;
    for (size_t i = OC_COUNT(bases); i-- > 0;)
        if (mask & bases[i].set) mask |= bases[i].base;
    if (mask) f &= mask;
    for (size_t i = 0; i < OC_COUNT(bases); i++)
        if (!(f & bases[i].base)) f &= ~bases[i].set;
    return f;
}

uint32_t oc__cpu_resolve(uint32_t mask) {
    return oc__cpu_resolve_from(oc_cpu_features(), mask);
}
