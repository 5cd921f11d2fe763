/*
 * server.c - start, signals, drain.
 *
 * Threads: this one watches signals and connections; one loads models;
 * libmicrohttpd has its own; the workers do the work.
 */
#define _POSIX_C_SOURCE 200809L

#include "server.h"

#include "answer_cache.h"
#include "connections.h"
#include "context.h"
#include "http.h"
#include "log.h"
#include "tls.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

/* How often connections are looked at: what a vanished client costs. */
enum { TICK_MS = 50, FILES_MS = 1000, QUIET_MS = 100 };

/* The thread that loads models. */
typedef struct loader {
    server *server;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    int reload, stop;
} loader;

/* ---- models ---------------------------------------------------------------
 */

static void say_ready(server *s) {
    log_line l;
    size_t ready, failed;
    repo_count(s->repo, &ready, &failed);
    if (!log_begin(&l, ready ? LOG_INFO : LOG_WARN, "ready")) return;
    json_int(&l.j, "models", (int64_t)ready);
    json_int(&l.j, "failed", (int64_t)failed);
    log_end(&l);
}

static void *load_models(void *user) {
    loader *l = user;
    repo_load_all(l->server->repo);
    say_ready(l->server);
    pthread_mutex_lock(&l->lock);
    while (!l->stop) {
        int reload = l->reload;
        l->reload = 0;
        pthread_mutex_unlock(&l->lock);
        if (reload)
            repo_reload(l->server->repo);
        else
            repo_poll(l->server->repo);
        pthread_mutex_lock(&l->lock);
        if (l->stop || l->reload) continue;
        struct timespec t;
        clock_gettime(CLOCK_MONOTONIC, &t);
        t.tv_nsec += 200 * NS_PER_MS;
        t.tv_sec += t.tv_nsec / NS_PER_S;
        t.tv_nsec %= NS_PER_S;
        pthread_cond_timedwait(&l->wake, &l->lock, &t);
    }
    pthread_mutex_unlock(&l->lock);
    return NULL;
}

static oc_status loader_start(loader *l, server *s, oc_error *err) {
    pthread_condattr_t attr;
    memset(l, 0, sizeof *l);
    l->server = s;
    pthread_mutex_init(&l->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&l->wake, &attr);
    pthread_condattr_destroy(&attr);
    if (!pthread_create(&l->thread, NULL, load_models, l)) return OC_OK;
    return server_fail(err, OC_E_NOMEM, "cannot start a thread for models");
}

static void loader_tell(loader *l, int stop) {
    pthread_mutex_lock(&l->lock);
    if (stop)
        l->stop = 1;
    else
        l->reload = 1;
    pthread_cond_signal(&l->wake);
    pthread_mutex_unlock(&l->lock);
}

static void loader_stop(loader *l) {
    loader_tell(l, 1);
    pthread_join(l->thread, NULL);
    pthread_cond_destroy(&l->wake);
    pthread_mutex_destroy(&l->lock);
}

/* ---- keys, certificates ---------------------------------------------------
 */

/* What cannot be read is told; what was read before stays in force. */
static void reload_files(server *s, int always) {
    oc_error err;
    if (auth_reload(s->auth, always, &err))
        log_say(LOG_ERROR, "keys not read: the old ones stay", "reason",
                err.message);
    if (s->tls && tls_reload(s->tls, always, &err))
        log_say(LOG_ERROR, "certificate not read: the old one stays", "reason",
                err.message);
}

/* ---- life -----------------------------------------------------------------
 */

static void watch(server *s) {
    size_t n = connections_watch(s->connections, s->sched);
    for (; n; n--) {
        metrics_add_refusal(s->metrics, "places");
    }
}

/* The next signal within some time, 0 for none. */
static int next_signal(const sigset_t *set, int64_t ms) {
    struct timespec t = {(time_t)(ms / 1000), (long)(ms % 1000) * NS_PER_MS};
    int n = sigtimedwait(set, NULL, &t);
    return n > 0 ? n : 0;
}

static int ends(int signal) {
    return signal == SIGTERM || signal == SIGINT;
}

/* Until a signal says to end; SIGHUP reads everything anew. */
static void serve(server *s, loader *l, const sigset_t *set) {
    int64_t files_ns = now_ns();
    for (;;) {
        int signal = next_signal(set, TICK_MS);
        if (ends(signal)) return;
        if (signal == SIGHUP) {
            log_say(LOG_INFO, "reloading", NULL, NULL);
            reload_files(s, 1);
            loader_tell(l, 0);
        }
        watch(s);
        if (now_ns() - files_ns >= (int64_t)FILES_MS * NS_PER_MS) {
            reload_files(s, 0);
            files_ns = now_ns();
        }
    }
}

/* Goes on for so many seconds, or until a second signal; nonzero: it came. */
static int go_on(server *s, const sigset_t *set, double seconds) {
    int64_t end = now_ns() + (int64_t)(seconds * 1e9);
    while (now_ns() < end) {
        if (ends(next_signal(set, TICK_MS))) return 1;
        watch(s);
    }
    return 0;
}

/*
 * A request that has been sent is answered, also one that lies in a socket
 * and that nobody has read yet: hence quiet for a while, not for a moment.
 */
static int wait_for_quiet(server *s, const sigset_t *set, double seconds) {
    int64_t end = now_ns() + (int64_t)(seconds * 1e9), quiet_ns = now_ns();
    while (now_ns() < end) {
        if (ends(next_signal(set, 10))) return 1;
        watch(s);
        if (atomic_load(&s->active) || connections_have_bytes(s->connections))
            quiet_ns = now_ns();
        if (now_ns() - quiet_ns >= (int64_t)QUIET_MS * NS_PER_MS) return 0;
    }
    return 1;
}

static void drain(server *s, http *h, const sigset_t *set) {
    atomic_store(&s->draining, 1);
    log_say(LOG_INFO, "draining", NULL, NULL);
    int hurry = go_on(s, set, s->opt.drain_delay_s);
    http_stop_listening(h);
    if (!hurry) hurry = wait_for_quiet(s, set, s->opt.drain_s);
    if (!hurry) return;
    log_say(LOG_WARN, "requests are cut off", NULL, NULL);
    atomic_store(&s->hurry, 1);
    /* Until every worker has seen it: libmicrohttpd must not be stopped
       while connections are suspended. */
    for (;;) {
        scheduler_state now;
        connections_stop_all(s->connections, s->sched);
        scheduler_look(s->sched, &now);
        if (!now.queued && !now.running) return;
        next_signal(set, 10);
    }
}

/* Each connection is an open file, and so is what the rest of us needs. */
static void raise_file_limit(server *s) {
    enum { OTHER_FILES = 64 };
    struct rlimit files;
    rlim_t want = (rlim_t)s->opt.max_connections + OTHER_FILES;
    if (getrlimit(RLIMIT_NOFILE, &files) || files.rlim_cur >= want) return;
    files.rlim_cur = files.rlim_max < want ? files.rlim_max : want;
    setrlimit(RLIMIT_NOFILE, &files);
    if (files.rlim_cur >= want) return;
    s->opt.max_connections = files.rlim_cur > 2 * OTHER_FILES
                                 ? (int)files.rlim_cur - OTHER_FILES
                                 : (int)files.rlim_cur / 2 + 1;
    log_say(LOG_WARN,
            "fewer connections than asked for: the limit of open "
            "files is too low",
            NULL, NULL);
}

static oc_status make_parts(server *s, oc_error *err) {
    const server_options *o = &s->opt;
    served_options each = {o->threads, o->cpu_mask, o->precision, 0};
    repo_options repo = {o->models,   o->named,  o->n_named,
                         o->versions, o->poll_s, each};
    scheduler_options sched = {o->workers, o->queue, o->batch,
                               (int64_t)(o->batch_delay_s * 1e9)};
    oc_status st = auth_create(&s->auth, o->keys, o->rate, o->burst, err);
    if (!st) st = repo_create(&s->repo, &repo, err);
    if (!st) st = connections_create(&s->connections, o->max_connections, err);
    if (!st && o->tls_cert)
        st = tls_create(&s->tls, o->tls_cert, o->tls_key, err);
    if (!st && !(s->metrics = metrics_create()))
        st = server_fail(err, OC_E_NOMEM, "no memory for metrics");
    if (!st) st = answer_cache_create(&s->answers, o->answers_bytes, err);
    if (!st) st = scheduler_create(&s->sched, &sched, err);
    return st;
}

static void free_parts(server *s) {
    scheduler_destroy(s->sched);
    answer_cache_destroy(s->answers);
    repo_destroy(s->repo);
    metrics_destroy(s->metrics);
    tls_destroy(s->tls);
    connections_destroy(s->connections);
    auth_destroy(s->auth);
}

oc_status server_run(const server_options *opt, oc_error *err) {
    server s = {0};
    loader l;
    http *h = NULL;
    sigset_t set, before;
    s.opt = *opt;
    log_init((log_level)opt->log_level);
    /* Before there are threads, which take this over. */
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &set, &before);
    raise_file_limit(&s);
    oc_status st = make_parts(&s, err);
    if (!st) st = http_start(&h, &s, err);
    if (!st) st = loader_start(&l, &s, err);
    if (!st) {
        log_say(LOG_INFO, "listening", "address", http_address(h));
        serve(&s, &l, &set);
        drain(&s, h, &set);
        http_stop(h);
        loader_stop(&l);
        log_say(LOG_INFO, "ended", NULL, NULL);
    } else if (h) {
        http_stop(h);
    }
    free_parts(&s);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return st;
}
