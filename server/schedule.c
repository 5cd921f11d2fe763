/* schedule.c - see schedule.h. */
#define _POSIX_C_SOURCE 200809L

#include "schedule.h"

#include "basics.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* How long other work may keep a batch that is due from running. */
#define BATCH_GRACE_NS (INT64_C(5) * NS_PER_MS)

enum { IDLE, QUEUED, WAITING, RUNNING, FINISHED };

typedef struct job_list {
    job *first, *last;
    size_t n;
} job_list;

/* Jobs that will go through a network together. */
typedef struct batch {
    struct batch *next;
    const void *model;
    char signature[JOB_MAX_SIGNATURE];
    job_list jobs;
    int64_t begun_ns;
} batch;

struct scheduler {
    pthread_mutex_t lock;
    pthread_cond_t work;
    scheduler_options opt;
    job_list queue[JOB_URGENCIES];
    batch *batches; /* oldest first */
    size_t waiting; /* in the queue and in batches */
    size_t running; /* workers at work */
    double run_ns;  /* what a job takes, smoothed */
    int stopping;
    int n_threads;
    pthread_t *threads;
};

/* ---- lists ----------------------------------------------------------------
 */

static void push(job_list *list, job *j) {
    j->in = list;
    j->next = NULL;
    j->before = list->last;
    if (list->last)
        list->last->next = j;
    else
        list->first = j;
    list->last = j;
    list->n++;
}

static void unlink_job(job *j) {
    job_list *list = j->in;
    if (j->before)
        j->before->next = j->next;
    else
        list->first = j->next;
    if (j->next)
        j->next->before = j->before;
    else
        list->last = j->before;
    list->n--;
    j->in = NULL;
    j->next = j->before = NULL;
}

/* ---- batches --------------------------------------------------------------
 */

/* The job joins a batch of its kind; nonzero: no memory to begin one. */
static int join_batch(scheduler *s, job *j) {
    batch **at = &s->batches, *b;
    for (; (b = *at); at = &b->next) {
        if (b->model == j->model && !strcmp(b->signature, j->signature)) break;
    }
    if (!b) {
        b = calloc(1, sizeof *b);
        if (!b) return 1;
        b->model = j->model;
        b->begun_ns = now_ns();
        memcpy(b->signature, j->signature, sizeof b->signature);
        *at = b;
    }
    push(&b->jobs, j);
    j->state = WAITING;
    s->waiting++;
    return 0;
}

static int64_t rows_of(const batch *b) {
    int64_t rows = 0;
    for (const job *j = b->jobs.first; j; j = j->next) {
        rows += j->rows;
    }
    return rows;
}

static int has_queued(const scheduler *s) {
    for (int i = 0; i < JOB_URGENCIES; i++) {
        if (s->queue[i].first) return 1;
    }
    return 0;
}

/* When a batch runs even if more jobs for it might come. */
static int is_due(const scheduler *s, const batch *b, int64_t now) {
    int64_t age = now - b->begun_ns;
    if (rows_of(b) >= s->opt.batch_rows || s->stopping) return 1;
    if (age < s->opt.batch_delay_ns) return 0;
    return !has_queued(s) || age >= s->opt.batch_delay_ns + BATCH_GRACE_NS;
}

/*
 * Takes from a batch what runs next.  A network is planned anew for every
 * number of rows, so numbers are kept to powers of two where that leaves
 * nobody waiting for long: what is over runs right behind.
 */
static size_t take_from_batch(scheduler *s, batch *b, job **out, size_t room) {
    int64_t want = rows_of(b), cap = 1, rows = 0;
    size_t n = 0;
    if (want > s->opt.batch_rows) want = s->opt.batch_rows;
    while (cap * 2 <= want)
        cap *= 2;
    while (b->jobs.first && n < room &&
           (!n || rows + b->jobs.first->rows <= cap)) {
        job *j = b->jobs.first;
        unlink_job(j);
        j->state = RUNNING;
        rows += j->rows;
        out[n++] = j;
    }
    s->waiting -= n;
    return n;
}

/* The next batch that should run, emptied into out; 0: none. */
static size_t take_batch(scheduler *s, job **out, size_t room) {
    int64_t now = now_ns();
    for (batch **at = &s->batches, *b; (b = *at);) {
        size_t n = 0;
        if (b->jobs.first && is_due(s, b, now))
            n = take_from_batch(s, b, out, room);
        if (!b->jobs.first) { /* all gone, or all dropped */
            *at = b->next;
            free(b);
        } else {
            at = &b->next;
        }
        if (n) return n;
    }
    return 0;
}

/* When a worker with nothing to do must look at batches again; 0: never. */
static int64_t next_due(const scheduler *s) {
    int64_t due = 0;
    for (const batch *b = s->batches; b; b = b->next) {
        int64_t at = b->begun_ns + s->opt.batch_delay_ns;
        if (!due || at < due) due = at;
    }
    return due;
}

/* ---- workers --------------------------------------------------------------
 */

static job *take_queued(scheduler *s) {
    for (int i = 0; i < JOB_URGENCIES; i++) {
        job *j = s->queue[i].first;
        if (!j) continue;
        unlink_job(j);
        s->waiting--;
        j->state = RUNNING;
        j->started_ns = now_ns();
        return j;
    }
    return NULL;
}

static void wait_for_work(scheduler *s) {
    int64_t due = next_due(s);
    if (!due) {
        pthread_cond_wait(&s->work, &s->lock);
        return;
    }
    struct timespec t = {(time_t)(due / NS_PER_S), (long)(due % NS_PER_S)};
    pthread_cond_timedwait(&s->work, &s->lock, &t);
}

/* One job, without the lock. */
static void run_job(scheduler *s, job *j) {
    int64_t deadline = j->deadline_ns;
    if (deadline && now_ns() >= deadline) {
        j->drop(j, STOP_LATE);
        return;
    }
    if (j->run(j) == JOB_ENDED) return;
    pthread_mutex_lock(&s->lock);
    int why = atomic_load(&j->stop);
    int failed = !why && join_batch(s, j);
    pthread_mutex_unlock(&s->lock);
    if (why)
        j->drop(j, (job_stop)why);
    else if (failed)
        j->run_batch(&j, 1);
}

enum { MAX_BATCH_JOBS = 256 };

static void *work(void *user) {
    scheduler *s = user;
    job *jobs[MAX_BATCH_JOBS];
    pthread_mutex_lock(&s->lock);
    for (;;) {
        size_t n = take_batch(s, jobs, MAX_BATCH_JOBS);
        job *j = n ? NULL : take_queued(s);
        if (!n && !j) {
            if (s->stopping && !s->batches && !s->running) break;
            wait_for_work(s);
            continue;
        }
        s->running++;
        pthread_mutex_unlock(&s->lock);
        int64_t start = now_ns();
        if (n)
            jobs[0]->run_batch(jobs, n);
        else
            run_job(s, j);
        double took = (double)(now_ns() - start) / (double)(n ? n : 1);
        pthread_mutex_lock(&s->lock);
        s->running--;
        s->run_ns += (took - s->run_ns) / 16;
        /* A worker that waits for the last one to end. */
        if (s->stopping || s->batches) pthread_cond_broadcast(&s->work);
    }
    pthread_cond_broadcast(&s->work);
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

oc_status scheduler_create(scheduler **out, const scheduler_options *opt,
                           oc_error *err) {
    scheduler *s = calloc(1, sizeof *s);
    pthread_condattr_t attr;
    if (s) s->threads = calloc((size_t)opt->workers, sizeof *s->threads);
    if (!s || !s->threads) {
        free(s);
        return server_fail(err, OC_E_NOMEM, "no memory for workers");
    }
    s->opt = *opt;
    if (s->opt.batch_rows > MAX_BATCH_JOBS) s->opt.batch_rows = MAX_BATCH_JOBS;
    pthread_mutex_init(&s->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&s->work, &attr);
    pthread_condattr_destroy(&attr);
    for (int i = 0; i < opt->workers; i++) {
        if (pthread_create(&s->threads[i], NULL, work, s)) {
            scheduler_destroy(s);
            return server_fail(err, OC_E_NOMEM, "cannot start worker %d", i);
        }
        s->n_threads++;
    }
    *out = s;
    return OC_OK;
}

void scheduler_destroy(scheduler *s) {
    if (!s) return;
    pthread_mutex_lock(&s->lock);
    s->stopping = 1;
    pthread_cond_broadcast(&s->work);
    pthread_mutex_unlock(&s->lock);
    for (int i = 0; i < s->n_threads; i++) {
        pthread_join(s->threads[i], NULL);
    }
    pthread_cond_destroy(&s->work);
    pthread_mutex_destroy(&s->lock);
    free(s->threads);
    free(s);
}

/* ---- for owners of jobs ---------------------------------------------------
 */

/* Out of the queue for one of this urgency; NULL: none is less urgent. */
static job *give_way(scheduler *s, int urgency) {
    for (int i = JOB_URGENCIES - 1; i > urgency; i--) {
        job *j = s->queue[i].last;
        int never = STOP_NOT;
        if (!j) continue;
        unlink_job(j);
        s->waiting--;
        j->state = RUNNING; /* nobody else may take it */
        atomic_compare_exchange_strong(&j->stop, &never, STOP_CROWDED);
        return j;
    }
    return NULL;
}

int scheduler_submit(scheduler *s, job *j) {
    job *out = NULL;
    pthread_mutex_lock(&s->lock);
    int full = s->stopping;
    if (!full && s->waiting >= s->opt.queue_limit) {
        out = give_way(s, j->urgency);
        full = !out;
    }
    if (!full) {
        j->queued_ns = now_ns();
        j->state = QUEUED;
        push(&s->queue[j->urgency], j);
        s->waiting++;
        pthread_cond_signal(&s->work);
    }
    pthread_mutex_unlock(&s->lock);
    if (out) out->drop(out, STOP_CROWDED);
    return full;
}

int scheduler_retry_s(scheduler *s) {
    pthread_mutex_lock(&s->lock);
    double wait = (double)s->waiting * s->run_ns / s->opt.workers / 1e9;
    pthread_mutex_unlock(&s->lock);
    return wait < 1 ? 1 : wait > 60 ? 60 : (int)wait + 1;
}

void scheduler_stop(scheduler *s, job *j, job_stop why) {
    int drop = 0;
    pthread_mutex_lock(&s->lock);
    if (j->state == QUEUED || j->state == WAITING || j->state == RUNNING) {
        int never = STOP_NOT;
        atomic_compare_exchange_strong(&j->stop, &never, (int)why);
    }
    if (j->state == QUEUED || j->state == WAITING) {
        unlink_job(j);
        s->waiting--;
        j->state = RUNNING; /* nobody else may take it */
        drop = 1;
    } else if (j->state == RUNNING && j->session) {
        oc_session_cancel(j->session);
    }
    pthread_mutex_unlock(&s->lock);
    if (drop) j->drop(j, why);
}

void job_enter(scheduler *s, job *j, oc_session *session) {
    pthread_mutex_lock(&s->lock);
    j->session = session;
    pthread_mutex_unlock(&s->lock);
}

void job_leave(scheduler *s, job *j) {
    job_enter(s, j, NULL);
}

void job_finished(scheduler *s, job *j) {
    pthread_mutex_lock(&s->lock);
    j->state = FINISHED;
    j->session = NULL;
    pthread_mutex_unlock(&s->lock);
}

void scheduler_look(scheduler *s, scheduler_state *out) {
    pthread_mutex_lock(&s->lock);
    out->queued = s->waiting;
    out->limit = s->opt.queue_limit;
    out->running = s->running;
    out->workers = (size_t)s->opt.workers;
    pthread_mutex_unlock(&s->lock);
}
