/*
 * count.c - how many cores this process may use.
 *
 * A container sees every core of its host; what limits it is the affinity
 * mask and the CFS quota of its cgroup.  A pool larger than the quota is put
 * to sleep by the kernel in the middle of a run, so both are asked.
 */
#define _GNU_SOURCE
#include "cpu/features.h"

#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#if defined(__linux__)

static int affinity_count(void) {
    /* A machine may have more cores than a plain cpu_set_t holds; the call
     * fails until the set is as large as the kernel's own. */
    for (int cores = CPU_SETSIZE; cores <= 1 << 20; cores *= 2) {
        cpu_set_t *set = CPU_ALLOC((size_t)cores);
        if (!set) return 0;
        size_t bytes = CPU_ALLOC_SIZE((size_t)cores);
        int n =
            sched_getaffinity(0, bytes, set) == 0 ? CPU_COUNT_S(bytes, set) : 0;
        CPU_FREE(set);
        if (n > 0) return n;
    }
    return 0;
}

/* Reads a small file as text; 0 when it is not there. */
static int read_text(const char *path, char *text, size_t bytes) {
    FILE *f = fopen(path, "re");
    if (!f) return 0;
    size_t n = fread(text, 1, bytes - 1, f);
    fclose(f);
    text[n] = 0;
    return 1;
}

static int cpus_of(long long quota, long long period) {
    if (quota <= 0 || period <= 0) return 0;
    long long cpus = quota / period + (quota % period != 0);
    return cpus > INT_MAX ? INT_MAX : (int)cpus;
}

/* The limit set in one cgroup folder; 0 for none. */
static int folder_quota(const char *folder, int version) {
    char path[PATH_MAX + 32], text[64];
    long long quota = 0, period = 0;
    if (version == 2) {
        snprintf(path, sizeof path, "%s/cpu.max", folder);
        /* "max 100000" or "150000 100000"; "max" leaves quota at 0. */
        if (!read_text(path, text, sizeof text)) return 0;
        if (sscanf(text, "%lld %lld", &quota, &period) != 2) return 0;
        return cpus_of(quota, period);
    }
    snprintf(path, sizeof path, "%s/cpu.cfs_quota_us", folder);
    if (!read_text(path, text, sizeof text)) return 0;
    quota = strtoll(text, NULL, 10); /* -1: no limit */
    snprintf(path, sizeof path, "%s/cpu.cfs_period_us", folder);
    if (!read_text(path, text, sizeof text)) return 0;
    period = strtoll(text, NULL, 10);
    return cpus_of(quota, period);
}

/*
 * The least limit of a group and its ancestors.  Where a container shows only
 * its own part of the tree, the folders named by /proc do not exist and the
 * walk ends at the mount point, which then is the container's own group.
 */
static int group_quota(const char *mount, const char *group, int version) {
    char folder[PATH_MAX];
    int n = snprintf(folder, sizeof folder, "%s%s", mount, group);
    if (n < 0 || (size_t)n >= sizeof folder) return 0;
    size_t root = strlen(mount);
    int least = 0;
    for (;;) {
        int cpus = folder_quota(folder, version);
        if (cpus && (!least || cpus < least)) least = cpus;
        char *slash = strrchr(folder + root, '/');
        if (!slash) return least;
        *slash = 0;
    }
}

/* Whether `name` is one of the comma-separated controllers. */
static int has_controller(const char *list, const char *name) {
    size_t n = strlen(name);
    for (const char *p = list; *p;) {
        size_t len = strcspn(p, ",");
        if (len == n && memcmp(p, name, n) == 0) return 1;
        p += len + (p[len] == ',');
    }
    return 0;
}

/* One line of /proc/self/cgroup: "id:controllers:path", version 2 being the
 * line "0::path". */
static int line_quota(const char *root, char *line) {
    char *controllers = strchr(line, ':');
    if (!controllers) return 0;
    *controllers++ = 0;
    char *group = strchr(controllers, ':');
    if (!group) return 0;
    *group++ = 0;
    char mount[256];
    if (*controllers == 0) {
        snprintf(mount, sizeof mount, "%s/sys/fs/cgroup", root);
        return group_quota(mount, group, 2);
    }
    if (!has_controller(controllers, "cpu")) return 0;
    /* Mounted under its list of controllers, with "cpu" a link to it. */
    snprintf(mount, sizeof mount, "%s/sys/fs/cgroup/cpu", root);
    return group_quota(mount, group, 1);
}

int oc__cpu_quota(const char *root) {
    char path[256], line[PATH_MAX];
    snprintf(path, sizeof path, "%s/proc/self/cgroup", root);
    FILE *f = fopen(path, "re");
    if (!f) return 0;
    int least = 0;
    while (fgets(line, sizeof line, f)) {
        line[strcspn(line, "\n")] = 0;
        int cpus = line_quota(root, line);
        if (cpus && (!least || cpus < least)) least = cpus;
    }
    fclose(f);
    return least;
}

#else

static int affinity_count(void) {
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n > 0 && n <= INT_MAX ? (int)n : 0;
}

int oc__cpu_quota(const char *root) {
    (void)root;
    return 0;
}

#endif

int oc_cpu_count(void) {
    int cores = affinity_count();
    int quota = oc__cpu_quota("");
    if (quota && quota < cores) cores = quota;
    return cores > 0 ? cores : 1;
}
