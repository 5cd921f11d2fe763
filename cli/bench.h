/*
 * bench.h - what the files of `ocelli bench` share.
 *
 *     verb_bench.c      one session: load, first run, runs; the tables
 *     bench_sessions.c  several sessions at once
 *     bench_roofline.c  what bounds each layer, as a picture
 */
#ifndef OCELLI_CLI_BENCH_H
#define OCELLI_CLI_BENCH_H

#include "cli.h"

/** Milliseconds of runs; ms is freed by its owner. */
typedef struct bench_times {
    double *ms;
    size_t n, capacity;
    double wall_s; /* in which they ran */
} bench_times;

/** Nonzero: out of memory. */
int bench_add_time(bench_times *t, double ms);

/**
 * Runs n sessions at once, each again and again for so many seconds; out gets
 * the times of all.  An exit code.
 */
int bench_at_once(oc_session **sessions, int n, const char *model,
                  double seconds, bench_times *out);

/**
 * Writes the SVG.  session has been run with its steps timed; peak_flops is of
 * all threads.  An exit code.
 */
int bench_roofline(const char *path, const char *model, oc_session *session,
                   int threads, double peak_flops);

#endif
