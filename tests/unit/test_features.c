/* test_features.c - CPU detection, masks, and the cores we may use. */
#define _GNU_SOURCE
#include "testing.h"

#include "cpu/features.h"

#include <sched.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* Whether /proc/cpuinfo, the kernel's own view, lists a flag. */
static int kernel_lists(const char *flag) {
    FILE *f = fopen("/proc/cpuinfo", "r");
    if (!f) return -1;
    static char line[8192];
    int found = 0;
    size_t n = strlen(flag);
    while (!found && fgets(line, sizeof line, f)) {
        if (strncmp(line, "flags", 5) && strncmp(line, "Features", 8)) continue;
        for (char *p = line; (p = strstr(p, flag)); p += n)
            if (p[-1] == ' ' && (p[n] == ' ' || p[n] == '\n')) found = 1;
    }
    fclose(f);
    return found;
}

static void features_agree_with_kernel(void **state) {
    (void)state;
    static const struct {
        uint32_t bit;
        const char *flag;
    } flags[] = {
#if defined(__x86_64__)
        {OC_CPU_SSE41, "sse4_1"},
        {OC_CPU_AVX2, "avx2"},
        {OC_CPU_AVX512, "avx512bw"},
        {OC_CPU_AVX512VNNI, "avx512_vnni"},
        {OC_CPU_AVXVNNI, "avx_vnni"},
        {OC_CPU_AVX512BF16, "avx512_bf16"},
        {OC_CPU_AVX512FP16, "avx512_fp16"},
        {OC_CPU_AVX512VBMI, "avx512vbmi"},
#elif defined(__aarch64__)
        {OC_CPU_NEON, "asimd"},
        {OC_CPU_NEON_DOT, "asimddp"},
        {OC_CPU_NEON_I8MM, "i8mm"},
        {OC_CPU_NEON_FP16, "asimdhp"},
        {OC_CPU_NEON_BF16, "bf16"},
#endif
        {0, NULL}
    };
    /* qemu's user mode shows the host's file: nothing to compare with. */
    if (kernel_lists("fpu") < 0) skip();
#if defined(__aarch64__)
    if (kernel_lists("asimd") != 1) skip();
#endif
    for (int i = 0; flags[i].flag; i++)
        assert_int_equal((oc_cpu_features() & flags[i].bit) != 0,
                         kernel_lists(flags[i].flag));
    assert_false(oc_cpu_features() & OC_CPU_SCALAR);
}

static void resolve_takes_bases_along(void **state) {
    (void)state;
    const uint32_t all = OC_CPU_SSE41 | OC_CPU_AVX2 | OC_CPU_AVX512 |
                         OC_CPU_AVX512VNNI | OC_CPU_AVXVNNI;
    assert_int_equal(oc__cpu_resolve_from(all, 0), all);
    assert_int_equal(oc__cpu_resolve_from(all, OC_CPU_SCALAR), 0);
    assert_int_equal(oc__cpu_resolve_from(all, OC_CPU_SCALAR | OC_CPU_AVX2), 0);
    assert_int_equal(oc__cpu_resolve_from(all, OC_CPU_AVX512VNNI),
                     OC_CPU_SSE41 | OC_CPU_AVX2 | OC_CPU_AVX512 |
                         OC_CPU_AVX512VNNI);
    assert_int_equal(oc__cpu_resolve_from(all, OC_CPU_NEON), 0);
    /* A virtual machine may hide a base and forget what rests on it. */
    assert_int_equal(oc__cpu_resolve_from(OC_CPU_SSE41 | OC_CPU_AVX512VNNI, 0),
                     OC_CPU_SSE41);
    assert_int_equal(oc__cpu_resolve(0), oc_cpu_features());
}

static void caches_and_name_are_plausible(void **state) {
    (void)state;
    oc__cpu_caches c;
    oc__cpu_caches_get(&c);
    if (c.l1d_bytes) assert_in_range(c.l1d_bytes, 4 << 10, 4 << 20);
    if (c.l2_bytes) assert_in_range(c.l2_bytes, 32 << 10, 256 << 20);
    assert_non_null(oc__cpu_name());
    assert_true(strlen(oc__cpu_name()) < 64);
}

static void count_follows_affinity(void **state) {
    (void)state;
    cpu_set_t all, one;
    assert_true(oc_cpu_count() >= 1);
    if (sched_getaffinity(0, sizeof all, &all)) skip();
    assert_true(oc_cpu_count() <= CPU_COUNT(&all));
    CPU_ZERO(&one);
    for (int i = 0; i < CPU_SETSIZE; i++)
        if (CPU_ISSET(i, &all)) {
            CPU_SET(i, &one);
            break;
        }
    if (sched_setaffinity(0, sizeof one, &one)) skip();
    assert_int_equal(oc_cpu_count(), 1);
    sched_setaffinity(0, sizeof all, &all);
}

/* ---- a made-up /proc and /sys -------------------------------------------- */

static char fake_root[256];

static void fake_begin(void) {
    const char *dir = getenv("TMPDIR");
    snprintf(fake_root, sizeof fake_root, "%s/oc-cgroup-XXXXXX",
             dir ? dir : "/tmp");
    assert_non_null(mkdtemp(fake_root));
}

/* Writes a file below the fake root, making its folders. */
static void fake_file(const char *path, const char *text) {
    char full[1024];
    snprintf(full, sizeof full, "%s%s", fake_root, path);
    for (char *p = full + strlen(fake_root) + 1; (p = strchr(p, '/')); p++) {
        *p = 0;
        mkdir(full, 0700);
        *p = '/';
    }
    FILE *f = fopen(full, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void fake_end(void) {
    char command[300];
    snprintf(command, sizeof command, "rm -rf '%s'", fake_root);
    assert_int_equal(system(command), 0);
}

static void quota_v2_least_ancestor_wins(void **state) {
    (void)state;
    fake_begin();
    fake_file("/proc/self/cgroup", "0::/user.slice/app\n");
    assert_int_equal(oc__cpu_quota(fake_root), 0);
    fake_file("/sys/fs/cgroup/user.slice/app/cpu.max", "max 100000\n");
    assert_int_equal(oc__cpu_quota(fake_root), 0);
    fake_file("/sys/fs/cgroup/user.slice/cpu.max", "250000 100000\n");
    assert_int_equal(oc__cpu_quota(fake_root), 3);
    fake_file("/sys/fs/cgroup/user.slice/app/cpu.max", "20000 100000\n");
    assert_int_equal(oc__cpu_quota(fake_root), 1);
    fake_file("/sys/fs/cgroup/user.slice/app/cpu.max", "800000 100000\n");
    assert_int_equal(oc__cpu_quota(fake_root), 3);
    fake_end();
}

/* A container without a cgroup namespace sees its own group at the mount
 * point while /proc names the host's path. */
static void quota_v2_found_when_path_is_the_hosts(void **state) {
    (void)state;
    fake_begin();
    fake_file("/proc/self/cgroup", "0::/docker/0123456789\n");
    fake_file("/sys/fs/cgroup/cpu.max", "200000 100000\n");
    assert_int_equal(oc__cpu_quota(fake_root), 2);
    fake_end();
}

static void quota_v1_reads_cpu_controller_only(void **state) {
    (void)state;
    fake_begin();
    fake_file("/proc/self/cgroup", "9:cpuset:/a\n"
                                   "4:cpu,cpuacct:/b\n"
                                   "1:name=systemd:/c\n");
    fake_file("/sys/fs/cgroup/cpu/b/cpu.cfs_quota_us", "-1\n");
    fake_file("/sys/fs/cgroup/cpu/b/cpu.cfs_period_us", "100000\n");
    assert_int_equal(oc__cpu_quota(fake_root), 0);
    fake_file("/sys/fs/cgroup/cpu/b/cpu.cfs_quota_us", "150000\n");
    assert_int_equal(oc__cpu_quota(fake_root), 2);
    fake_end();
}

static void quota_ignores_malformed_files(void **state) {
    (void)state;
    fake_begin();
    fake_file("/proc/self/cgroup", "\n::\nnonsense\n0::/a\n0:\n");
    fake_file("/sys/fs/cgroup/a/cpu.max", "many few\n");
    assert_int_equal(oc__cpu_quota(fake_root), 0);
    fake_file("/sys/fs/cgroup/a/cpu.max", "100000 0\n");
    assert_int_equal(oc__cpu_quota(fake_root), 0);
    fake_file("/sys/fs/cgroup/a/cpu.max", "9223372036854775807 1\n");
    assert_int_equal(oc__cpu_quota(fake_root), INT32_MAX);
    fake_end();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(features_agree_with_kernel),
        cmocka_unit_test(resolve_takes_bases_along),
        cmocka_unit_test(caches_and_name_are_plausible),
        cmocka_unit_test(count_follows_affinity),
        cmocka_unit_test(quota_v2_least_ancestor_wins),
        cmocka_unit_test(quota_v2_found_when_path_is_the_hosts),
        cmocka_unit_test(quota_v1_reads_cpu_controller_only),
        cmocka_unit_test(quota_ignores_malformed_files),
    };
    return cmocka_run_group_tests_name("features", tests, NULL, NULL);
}
