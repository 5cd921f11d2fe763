/*
 * exec.h - runs one graph for whatever shapes come: programs kept by input
 * shape, working memory, and nested executors for sub-graphs.
 *
 * A session is an executor over a model's graph; If, Loop and Scan run their
 * bodies through executors of their own, made on first use.  An executor is
 * used by one thread at a time.
 */
#ifndef OC_RUNTIME_EXEC_H
#define OC_RUNTIME_EXEC_H

#include "base/rng.h"
#include "runtime/program.h"

#include <stdatomic.h>

typedef struct oc__exec oc__exec;

/** What a session's executors share.  Borrowed by each of them. */
typedef struct oc__exec_env {
    const oc__kernels *kernels;
    const oc_allocator *allocator;
    oc__pool *pool;
    int threads, level, profile;
    int recompute; /* oc__pass_env's */
    size_t plan_cache_bytes;
    /* NULL, or what is told of each step that was run: glimpses of the graph
       are there now.  p may be that of a sub-graph. */
    oc_status (*glimpse)(void *user, const oc__program *p, int step,
                         const oc_value *values, oc_error *err);
    void *user;
    oc__rng rng;
    atomic_int cancelled;
} oc__exec_env;

/** Times of one step over all runs of a program. */
typedef struct oc__step_time {
    int64_t runs, total_ns, min_ns;
} oc__step_time;

oc_status oc__exec_create(oc__exec **out, const oc__graph *graph,
                          oc__exec_env *env, oc_error *err);
/** Makes the program for these inputs, as oc__program_compile() does. */
typedef oc_status oc__exec_compile(void *user, oc__program **out,
                                   const oc_value *const *inputs,
                                   const oc__pass_env *env, oc_error *err);
/** An executor of programs that compile() makes, for n_inputs inputs. */
oc_status oc__exec_create_with(oc__exec **out, int n_inputs,
                               oc__exec_compile *compile, void *user,
                               oc__exec_env *env, oc_error *err);
void oc__exec_destroy(oc__exec *e);
/**
 * Finds or compiles the program for these inputs (graph inputs, then
 * captures; NULL where absent).
 */
oc_status oc__exec_plan(oc__exec *e, const oc_value *const *inputs,
                        oc_error *err);
/** Runs it; the inputs' data must stay until outputs are done with. */
oc_status oc__exec_run(oc__exec *e, const oc_value *const *inputs,
                       oc_error *err);
/** Output i of the last run; valid until the next one. */
const oc_value *oc__exec_output(const oc__exec *e, int i);

/** The program of the last plan or run, its step times; NULL before. */
const oc__program *oc__exec_program(const oc__exec *e);
const oc__step_time *oc__exec_times(const oc__exec *e);

#endif
