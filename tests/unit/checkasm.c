/* checkasm.c - see checkasm.h. */
#define _GNU_SOURCE
#include "checkasm.h"

#include "base/half.h"
#include "cpu/features.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define CANARY 0xc5

const size_t check_sizes[] = {0,  1,  2,  3,  4,  5,  7,  8,   9,   13,  15,
                              16, 17, 31, 32, 33, 61, 64, 127, 131, 257, 1031};
const size_t check_size_count = OC_COUNT(check_sizes);

/* ---- messages ------------------------------------------------------------ */

static char current[256] = "(no kernel)";
static uint64_t seed;

static void crashed(int sig) {
    /* Only write() is safe here; the text was made beforehand. */
    static const char text[] = "\n# crashed in ";
    ssize_t n = write(2, text, sizeof text - 1);
    n += write(2, current, strlen(current));
    n += write(2, "\n", 1);
    _exit(n > 0 ? 128 + sig : 1);
}

void check_kernel(const oc__kernels *k, const char *format, ...) {
    char features[16];
    snprintf(features, sizeof features, "cpu %x", k->cpu);
    va_list args;
    va_start(args, format);
    char what[128];
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    snprintf(current, sizeof current, "%s on %s, OC_TEST_SEED=%llu", what,
             features, (unsigned long long)seed);
    /* cmocka puts its own handlers in place before each test. */
    static const int signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE};
    for (size_t i = 0; i < OC_COUNT(signals); i++)
        signal(signals[i], crashed);
}

/* ---- random numbers ------------------------------------------------------ */

oc__rng *check_rng(void) {
    static oc__rng rng;
    static int ready;
    if (!ready) {
        const char *text = getenv("OC_TEST_SEED");
        seed = text ? strtoull(text, NULL, 10)
                    : (uint64_t)time(NULL) * 1000003u + (uint64_t)getpid();
        oc__rng_init(&rng, seed);
        fprintf(stderr, "# OC_TEST_SEED=%llu\n", (unsigned long long)seed);
        ready = 1;
    }
    return &rng;
}

void check_fill(float *x, size_t n, float lo, float hi) {
    oc__rng_fill(check_rng(), x, n, lo, hi);
}

void check_sprinkle(float *x, size_t n) {
    static const uint32_t odd[] = {
        0x7fc00000, 0xffc00000, 0x7f800001, 0x7f800000, 0xff800000,
        0x00000000, 0x80000000, 0x00000001, 0x80000001, 0x007fffff,
        0x00800000, 0x7f7fffff, 0xff7fffff, 0x3f800000, 0xbf800000,
        0x3f000000, 0xbf000000, 0x3fc00000, 0x4b000001, 0x5f000000,
    };
    for (size_t i = 0; i < n; i++)
        if (oc__rng_below(check_rng(), 3) == 0)
            x[i] = oc__f32_from_bits(
                odd[oc__rng_below(check_rng(), OC_COUNT(odd))]);
}

/* ---- guarded memory ------------------------------------------------------ */

typedef struct region {
    unsigned char *base, *data;
    size_t mapped, bytes; /* mapped counts the two guard pages */
} region;

static region regions[64];
static size_t region_count;

static region *map_region(size_t bytes) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t inside = oc__align_up(bytes ? bytes : 1, page);
    assert_true(region_count < OC_COUNT(regions));
    region *r = &regions[region_count];
    r->mapped = inside + 2 * page;
    r->bytes = bytes;
    r->base =
        mmap(NULL, r->mapped, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(r->base != MAP_FAILED);
    assert_int_equal(mprotect(r->base + page, inside, PROT_READ | PROT_WRITE),
                     0);
    memset(r->base + page, CANARY, inside);
    region_count++;
    return r;
}

void *check_alloc(size_t bytes) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    region *r = map_region(bytes);
    return r->data = r->base + r->mapped - page - bytes;
}

void *check_alloc_front(size_t bytes) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    region *r = map_region(bytes);
    return r->data = r->base + page;
}

void check_free_all(void) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    for (size_t i = 0; i < region_count; i++) {
        region *r = &regions[i];
        unsigned char *end = r->base + r->mapped - page;
        int intact = 1;
        for (unsigned char *p = r->base + page; p < r->data; p++)
            intact &= *p == CANARY;
        for (unsigned char *p = r->data + r->bytes; p < end; p++)
            intact &= *p == CANARY;
        munmap(r->base, r->mapped);
        if (!intact) {
            region_count = 0;
            fail_msg("%s wrote outside its output", current);
        }
    }
    region_count = 0;
}

/* ---- tables -------------------------------------------------------------- */

const oc__kernels *check_scalar(void) {
    static oc__kernels k;
    oc__kernels_init(&k, 0);
    return &k;
}

void check_each_mask(void (*fn)(const oc__kernels *k)) {
    static const uint32_t masks[] = {
        OC_CPU_SCALAR,
        OC_CPU_SSE41,
        OC_CPU_AVX2,
        OC_CPU_AVXVNNI,
        OC_CPU_AVX512,
        OC_CPU_AVX512VNNI,
        OC_CPU_AVX512BF16,
        OC_CPU_AVX512FP16,
        OC_CPU_AVX512VBMI,
        OC_CPU_AMX_INT8,
        OC_CPU_AMX_BF16,
        OC_CPU_NEON,
        OC_CPU_NEON_DOT,
        OC_CPU_NEON_I8MM,
        OC_CPU_NEON_FP16,
        OC_CPU_NEON_BF16,
        0,
    };
    uint32_t done[OC_COUNT(masks)];
    size_t count = 0;
    const char *text = getenv("OC_TEST_CPU");
    uint32_t only = text ? (uint32_t)strtoul(text, NULL, 0) : 0;
    check_rng();
    for (size_t i = 0; i < OC_COUNT(masks); i++) {
        uint32_t cpu = oc__cpu_resolve(masks[i]);
        size_t j = 0;
        while (j < count && done[j] != cpu)
            j++;
        if (j < count || (only && !(cpu & only))) continue;
        done[count++] = cpu;
        oc__kernels k;
        oc__kernels_init(&k, cpu);
        fn(&k);
    }
}

/* ---- comparisons --------------------------------------------------------- */

void check_same(const float *got, const float *want, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (got[i] != got[i] && want[i] != want[i]) continue;
        if (oc__f32_bits(got[i]) != oc__f32_bits(want[i]))
            fail_msg("%s: element %zu is %a, not %a", current, i,
                     (double)got[i], (double)want[i]);
    }
}

void check_bytes(const void *got, const void *want, size_t bytes) {
    const unsigned char *g = got, *w = want;
    for (size_t i = 0; i < bytes; i++)
        if (g[i] != w[i])
            fail_msg("%s: byte %zu is %d, not %d", current, i, g[i], w[i]);
}

void check_close(const float *got, const double *want, size_t n, double ulps,
                 double absolute) {
    for (size_t i = 0; i < n; i++) {
        double g = (double)got[i], w = want[i], error = fabs(g - w);
        if (isnan(w) && isnan(g)) continue;
        if ((double)(float)w == g) continue; /* Inf, and what rounds to it */
        int exponent;
        frexp(w, &exponent);
        double ulp = ldexp(1, (exponent < -125 ? -125 : exponent) - 24);
        /* Inf stands where the next number after the largest would. */
        if (isinf(g) && fabs(w) < 0x1p129)
            error = fabs(copysign(0x1p128, g) - w);
        if (!(error <= ulps * ulp || error <= absolute))
            fail_msg("%s: element %zu is %a, not %a (%.3g ulp)", current, i, g,
                     w, error / ulp);
    }
}
