/*
 * schedule.h - a bounded queue, and the workers that take jobs from it.
 *
 *     submitted --> queued --> run() --> finished
 *                     |          |
 *                     |          +--> waits in a batch --> run_batch()
 *                     +--> drop(): too late, nobody waits for it, or it gave
 *                          its place to one that is more urgent
 *
 * A job lies in its owner's memory and is the owner's again from the moment
 * it calls job_finished(), which run, run_batch and drop must do.
 *
 * Batches: where a job's run() returns JOB_WAITS, it has set `model`,
 * `signature` and `rows`; jobs that agree in both are handed to run_batch()
 * together, up to a number of rows, once there are enough or the first has
 * waited long enough.  Workers gather; none of them sleeps on a batch while
 * there is other work.
 */
#ifndef OCELLI_SERVER_SCHEDULE_H
#define OCELLI_SERVER_SCHEDULE_H

#include <ocelli/ocelli.h>

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

enum { JOB_URGENCIES = 8, JOB_MAX_SIGNATURE = 160 };

typedef struct scheduler scheduler;
typedef struct job job;

/** Why a job should end early. */
typedef enum job_stop {
    STOP_NOT,
    STOP_GONE,    /* the client went away */
    STOP_LATE,    /* its deadline has passed */
    STOP_CROWDED, /* the queue was full, and a more urgent one came */
} job_stop;

typedef enum job_result { JOB_ENDED, JOB_WAITS } job_result;

struct job {
    /* Set by the owner. */
    int urgency;         /* 0 is served first, 7 last */
    int64_t deadline_ns; /* 0: none */
    job_result (*run)(job *j);
    void (*run_batch)(job **jobs, size_t n);
    void (*drop)(job *j, job_stop why);
    /* Set by run() before it returns JOB_WAITS. */
    const void *model;
    char signature[JOB_MAX_SIGNATURE];
    int64_t rows;
    /* For anybody to read. */
    atomic_int stop;    /* job_stop */
    int64_t queued_ns;  /* when it came */
    int64_t started_ns; /* when a worker took it first */
    /* The scheduler's. */
    job *next, *before;
    struct job_list *in;
    oc_session *session;
    int state;
};

typedef struct scheduler_options {
    int workers;
    size_t queue_limit;
    int64_t batch_rows; /* 1: no batches */
    int64_t batch_delay_ns;
} scheduler_options;

oc_status scheduler_create(scheduler **out, const scheduler_options *opt,
                           oc_error *err);
/** Runs what is queued, then ends the workers. */
void scheduler_destroy(scheduler *s);

/**
 * Nonzero: the queue is full, and of what is as urgent or more.  Otherwise the
 * least urgent that came last may have been dropped for this one.
 */
int scheduler_submit(scheduler *s, job *j);
/** In how many seconds a full queue may have room. */
int scheduler_retry_s(scheduler *s);
/** Ends a job early: at once while it waits, soon while it runs. */
void scheduler_stop(scheduler *s, job *j, job_stop why);
/** Between these, stopping a job cancels the session it runs in. */
void job_enter(scheduler *s, job *j, oc_session *session);
void job_leave(scheduler *s, job *j);
/** The last thing done with a job. */
void job_finished(scheduler *s, job *j);

typedef struct scheduler_state {
    size_t queued, limit, running, workers;
} scheduler_state;
void scheduler_look(scheduler *s, scheduler_state *out);

#endif
