/* answer_stream.c - see answer_stream.h. */
#include "answer_stream.h"

#include "connections.h"

#include <microhttpd.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* A client has this long to take each piece. */
enum { PIECE_SECONDS = 60, PIECE_BYTES = 16384 };

struct stream {
    server *server;
    pthread_mutex_t lock;
    int holders; /* the worker; the request, then its response */
    buffer bytes;
    size_t sent;     /* of them */
    size_t reserved; /* of server.bodies_bytes */
    int is_ended, is_failed, is_unwanted;
    request *r;                     /* the reader's alone */
    struct MHD_Connection *waiting; /* suspended until there is more */
};

stream *stream_create(server *s) {
    stream *t = calloc(1, sizeof *t);
    if (!t) return NULL;
    pthread_mutex_init(&t->lock, NULL);
    t->server = s;
    t->holders = 1;
    return t;
}

static void let_go(stream *t) {
    pthread_mutex_lock(&t->lock);
    int left = --t->holders;
    pthread_mutex_unlock(&t->lock);
    if (left) return;
    atomic_fetch_sub(&t->server->bodies_bytes, t->reserved);
    buffer_deinit(&t->bytes);
    pthread_mutex_destroy(&t->lock);
    free(t);
}

static void wake(stream *t) {
    if (!t->waiting) return;
    struct MHD_Connection *mhd = t->waiting;
    t->waiting = NULL;
    MHD_resume_connection(mhd);
}

/* What has been sent is thrown away, once it is most of it. */
static int make_room(stream *t, size_t n) {
    if (t->sent > t->bytes.size / 2) {
        memmove(t->bytes.data, t->bytes.data + t->sent,
                t->bytes.size - t->sent);
        t->bytes.size -= t->sent;
        t->sent = 0;
    }
    size_t want = t->bytes.size + n;
    if (want <= t->reserved) return 0;
    size_t more = want - t->reserved;
    size_t before = atomic_fetch_add(&t->server->bodies_bytes, more);
    t->reserved += more;
    return before + more > t->server->opt.max_bodies_bytes;
}

int stream_put(stream *t, const void *data, size_t n) {
    pthread_mutex_lock(&t->lock);
    int failed = t->is_unwanted || atomic_load(&t->server->hurry) ||
                 make_room(t, n) || buffer_add(&t->bytes, data, n);
    wake(t);
    pthread_mutex_unlock(&t->lock);
    return failed;
}

void stream_end(stream *t, int failed) {
    pthread_mutex_lock(&t->lock);
    t->is_ended = 1;
    t->is_failed = failed;
    wake(t);
    pthread_mutex_unlock(&t->lock);
    let_go(t);
}

/* ---- the connection's side ------------------------------------------------
 */

static ssize_t read_piece(void *cls, uint64_t at, char *out, size_t room) {
    stream *t = cls;
    ssize_t n = 0;
    (void)at;
    pthread_mutex_lock(&t->lock);
    size_t left = t->bytes.size - t->sent;
    if (left) {
        n = (ssize_t)(left < room ? left : room);
        memcpy(out, t->bytes.data + t->sent, (size_t)n);
        t->sent += (size_t)n;
        t->r->answer_bytes += (size_t)n;
    } else if (t->is_ended) {
        n = t->is_failed ? MHD_CONTENT_READER_END_WITH_ERROR
                         : MHD_CONTENT_READER_END_OF_STREAM;
    } else {
        /* Under the lock, so that nobody resumes what is not suspended. */
        MHD_suspend_connection(t->r->connection);
        t->waiting = t->r->connection;
    }
    pthread_mutex_unlock(&t->lock);
    if (n > 0)
        connections_allow(t->server->connections, t->r->link, PIECE_SECONDS);
    return n;
}

static void read_no_more(void *cls) {
    stream_drop(cls);
}

stream *stream_hold(stream *t) {
    pthread_mutex_lock(&t->lock);
    t->holders++;
    pthread_mutex_unlock(&t->lock);
    return t;
}

void stream_drop(stream *t) {
    if (!t) return;
    pthread_mutex_lock(&t->lock);
    t->is_unwanted = 1;
    t->waiting = NULL; /* its connection goes: at a stop, while suspended */
    pthread_mutex_unlock(&t->lock);
    let_go(t);
}

struct MHD_Response *stream_answer(stream *t, request *r) {
    struct MHD_Response *answer = MHD_create_response_from_callback(
        MHD_SIZE_UNKNOWN, PIECE_BYTES, read_piece, t, read_no_more);
    if (!answer) return NULL;
    t->r = r;
    r->stream = NULL; /* the response's now */
    return answer;
}
