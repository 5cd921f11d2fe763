/* connections.c - see connections.h. */
#define _GNU_SOURCE /* POLLRDHUP */

#include "connections.h"

#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>

/* How often an end is looked for that libmicrohttpd has missed. */
enum { LOOK_MS = 250 };

struct connection {
    connection *next, *before;
    int fd;
    int64_t deadline_ns; /* 0: none */
    int64_t looked_ns;   /* when its end was looked for */
    int rests, reads, has_ended, is_cut_off;
    request *working;
};

struct connections {
    pthread_mutex_t lock;
    connection *first, *last; /* first who came to rest last */
    size_t n, n_cut_off, most;
};

oc_status connections_create(connections **out, int most, oc_error *err) {
    connections *c = calloc(1, sizeof *c);
    if (!c) return server_fail(err, OC_E_NOMEM, "no memory for connections");
    pthread_mutex_init(&c->lock, NULL);
    c->most = (size_t)most;
    *out = c;
    return OC_OK;
}

void connections_destroy(connections *c) {
    if (!c) return;
    while (c->first) {
        connection *next = c->first->next;
        free(c->first);
        c->first = next;
    }
    pthread_mutex_destroy(&c->lock);
    free(c);
}

static int64_t in_seconds(double seconds) {
    return seconds > 0 ? now_ns() + (int64_t)(seconds * 1e9) : 0;
}

/* ---- the list, under the lock ----------------------------------------------
 */

static void put_first(connections *c, connection *link) {
    link->before = NULL;
    link->next = c->first;
    if (c->first)
        c->first->before = link;
    else
        c->last = link;
    c->first = link;
}

static void take_out(connections *c, connection *link) {
    if (link->before)
        link->before->next = link->next;
    else
        c->first = link->next;
    if (link->next)
        link->next->before = link->before;
    else
        c->last = link->before;
}

/* ---- one of them ----------------------------------------------------------
 */

connection *connections_add(connections *c, int fd, double seconds) {
    connection *link = calloc(1, sizeof *link);
    if (!link) return NULL;
    link->fd = fd;
    link->deadline_ns = in_seconds(seconds);
    link->rests = 1;
    pthread_mutex_lock(&c->lock);
    put_first(c, link);
    c->n++;
    pthread_mutex_unlock(&c->lock);
    return link;
}

void connections_remove(connections *c, connection *link) {
    if (!link) return;
    pthread_mutex_lock(&c->lock);
    take_out(c, link);
    c->n--;
    if (link->is_cut_off) c->n_cut_off--;
    pthread_mutex_unlock(&c->lock);
    free(link);
}

void connections_rest(connections *c, connection *link, double seconds) {
    if (!link) return;
    pthread_mutex_lock(&c->lock);
    link->working = NULL;
    link->deadline_ns = in_seconds(seconds);
    link->rests = 1;
    link->reads = 0;
    take_out(c, link);
    put_first(c, link);
    pthread_mutex_unlock(&c->lock);
}

static void give_time(connections *c, connection *link, double seconds,
                      int reads) {
    if (!link) return;
    pthread_mutex_lock(&c->lock);
    link->rests = 0;
    link->reads = reads;
    link->has_ended = 0;
    link->looked_ns = now_ns();
    link->deadline_ns = in_seconds(seconds);
    pthread_mutex_unlock(&c->lock);
}

void connections_read(connections *c, connection *link, double seconds) {
    give_time(c, link, seconds, 1);
}

void connections_allow(connections *c, connection *link, double seconds) {
    give_time(c, link, seconds, 0);
}

void connections_work(connections *c, connection *link, request *r) {
    if (!link) return;
    pthread_mutex_lock(&c->lock);
    link->working = r;
    link->reads = 0;
    link->deadline_ns = 0; /* the job has one of its own */
    pthread_mutex_unlock(&c->lock);
}

/*
 * The lock is held while jobs are stopped: a request is not freed before its
 * connection, which waits for the lock, has given it back.
 */
static void watch_work(connection *link, scheduler *s, int64_t now) {
    job *j = &link->working->job;
    struct pollfd p = {link->fd, POLLRDHUP, 0};
    if (poll(&p, 1, 0) > 0 && p.revents)
        scheduler_stop(s, j, STOP_GONE);
    else if (j->deadline_ns && now >= j->deadline_ns)
        scheduler_stop(s, j, STOP_LATE);
}

/* Half a request, and nothing will follow.  Seen twice, so that what has been
   read has also been looked at. */
static int has_left(connection *link, int64_t now) {
    char byte;
    if (now - link->looked_ns < (int64_t)LOOK_MS * NS_PER_MS) return 0;
    int before = link->has_ended;
    link->looked_ns = now;
    link->has_ended = !recv(link->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return link->has_ended && before;
}

/* libmicrohttpd finds it closed, and then it is taken out. */
static void cut_off(connections *c, connection *link) {
    link->deadline_ns = 0;
    link->rests = 0;
    link->is_cut_off = 1;
    c->n_cut_off++;
    shutdown(link->fd, SHUT_RDWR);
}

/*
 * Places are kept free, not made when they are wanted: who comes while all are
 * taken waits unaccepted, and nobody would tell us.
 */
static size_t make_places(connections *c) {
    size_t taken = c->n - c->n_cut_off + c->most / 16, n = 0;
    size_t want = taken > c->most ? taken - c->most : 0;
    for (connection *link = c->last; link && n < want; link = link->before) {
        if (!link->rests) continue;
        cut_off(c, link);
        n++;
    }
    return n;
}

size_t connections_watch(connections *c, scheduler *s) {
    int64_t now = now_ns();
    pthread_mutex_lock(&c->lock);
    for (connection *link = c->first; link; link = link->next) {
        int is_late = link->deadline_ns && now >= link->deadline_ns;
        if (link->working)
            watch_work(link, s, now);
        else if (!link->is_cut_off &&
                 (is_late || (link->reads && has_left(link, now))))
            cut_off(c, link);
    }
    size_t n = make_places(c);
    pthread_mutex_unlock(&c->lock);
    return n;
}

void connections_stop_all(connections *c, scheduler *s) {
    pthread_mutex_lock(&c->lock);
    for (connection *link = c->first; link; link = link->next) {
        if (link->working) scheduler_stop(s, &link->working->job, STOP_LATE);
    }
    pthread_mutex_unlock(&c->lock);
}

size_t connections_count(connections *c) {
    pthread_mutex_lock(&c->lock);
    size_t n = c->n;
    pthread_mutex_unlock(&c->lock);
    return n;
}

int connections_have_bytes(connections *c) {
    int any = 0;
    pthread_mutex_lock(&c->lock);
    for (connection *link = c->first; link && !any; link = link->next) {
        char byte;
        any = recv(link->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
    }
    pthread_mutex_unlock(&c->lock);
    return any;
}
