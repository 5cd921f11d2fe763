/* http.c - see http.h. */
#define _GNU_SOURCE /* accept4 */

#include "http.h"

#include "answer_cache.h"
#include "connections.h"
#include "framing.h"
#include "listen.h"
#include "log.h"
#include "routes.h"
#include "answer_stream.h"
#include "tls.h"

#include <errno.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

/* A client has so long to take an answer, and longer for a long one. */
enum { SEND_SECONDS = 60, SEND_BYTES_PER_S = 32768, DEFAULT_URGENCY = 3 };

/* Stands for a request that has not begun, and cannot. */
static char odd_uri;

struct http {
    server *server;
    struct MHD_Daemon *daemon;
    int listen_fd;
    char address[120];
};

/* ---- answers --------------------------------------------------------------
 */

static int origin_is_listed(const server *s, const char *origin) {
    for (size_t i = 0; i < s->opt.n_cors; i++) {
        if (!strcmp(s->opt.cors[i], "*") || !strcmp(s->opt.cors[i], origin))
            return 1;
    }
    return 0;
}

static void add(struct MHD_Response *answer, const char *name,
                const char *value) {
    MHD_add_response_header(answer, name, value);
}

static void add_cors(const request *r, struct MHD_Response *answer) {
    const char *origin = request_header(r, "Origin");
    if (!r->server->opt.n_cors) return;
    add(answer, "Vary", "Origin");
    if (!origin || !origin_is_listed(r->server, origin)) return;
    add(answer, "Access-Control-Allow-Origin", origin);
    add(answer, "Access-Control-Expose-Headers",
        "Inference-Header-Content-Length, X-Request-Id, Retry-After");
}

static enum MHD_Result send_answer(request *r) {
    server *s = r->server;
    connections_work(s->connections, r->link, NULL);
    r->state = REQUEST_ANSWERED;
    if (!r->status) reply_error(r, 500, "no answer was made");
    connections_allow(s->connections, r->link,
                      SEND_SECONDS +
                          (double)r->answer_bytes / SEND_BYTES_PER_S);
    /* From here on the bytes are the response's. */
    struct MHD_Response *answer =
        r->stream ? stream_answer(r->stream, r)
        : r->fixed
            ? MHD_create_response_from_buffer(r->answer_bytes,
                                              (void *)(uintptr_t)r->fixed,
                                              MHD_RESPMEM_PERSISTENT)
            : MHD_create_response_from_buffer(r->answer_bytes, r->answer,
                                              MHD_RESPMEM_MUST_FREE);
    if (!answer) return MHD_NO;
    r->answer = NULL;
    if (r->type) add(answer, "Content-Type", r->type);
    add(answer, "X-Request-Id", r->id);
    add(answer, "X-Content-Type-Options", "nosniff");
    add(answer, "Cache-Control", r->cache ? r->cache : "no-store");
    for (const char *const *h = r->fixed_headers; h && *h; h += 2) {
        add(answer, h[0], h[1]);
    }
    if (*r->trace) add(answer, "traceparent", r->trace);
    for (int i = 0; i < r->n_headers; i++) {
        add(answer, r->headers[i].name, r->headers[i].value);
    }
    add_cors(r, answer);
    /* A client that comes again should come to another server. */
    if (r->must_close || atomic_load(&s->draining))
        add(answer, "Connection", "close");
    enum MHD_Result ok =
        MHD_queue_response(r->connection, (unsigned)r->status, answer);
    MHD_destroy_response(answer);
    return ok;
}

/* ---- the header -----------------------------------------------------------
 * Each of these returns nonzero with the answer made.
 */

/* Where the next request begins is not certain then. */
static int refuse_unclear(request *r, const char *protocol, int is_odd) {
    int status = 400;
    const char *fault = is_odd
                            ? "the request line has a space too many"
                            : framing_fault(r->connection, protocol, &status);
    if (!fault) return 0;
    r->must_close = 1;
    reply_error(r, status, "%s", fault);
    return 1;
}

static int refuse_unknown_key(request *r) {
    const char *key = request_header(r, "X-API-Key");
    const char *bearer = request_header(r, "Authorization");
    if (!key && bearer && !strncasecmp(bearer, "Bearer ", 7)) key = bearer + 7;
    switch (auth_check(r->server->auth, key, &r->caller)) {
    case AUTH_OK: return 0;
    case AUTH_NONE:
        metrics_add_refusal(r->server->metrics, "key");
        reply_header(r, "WWW-Authenticate", "Bearer");
        reply_error(r, 401, "%s",
                    key ? "the API key is not known"
                        : "an API key is needed: Authorization: Bearer KEY");
        return 1;
    case AUTH_SLOW:
        metrics_add_refusal(r->server->metrics, "rate");
        reply_header(r, "Retry-After", "%d", r->caller.retry_s);
        reply_error(r, 429,
                    "too many requests: the limit of this key is "
                    "reached");
        return 1;
    }
    return 1;
}

static int answer_preflight(request *r) {
    if (strcmp(r->method, "OPTIONS") != 0 ||
        !request_header(r, "Access-Control-Request-Method"))
        return 0;
    reply_header(r, "Access-Control-Allow-Methods", "GET, POST, OPTIONS");
    reply_header(r, "Access-Control-Allow-Headers",
                 "Authorization, Content-Type, X-API-Key, X-Request-Id, "
                 "Inference-Header-Content-Length, Priority, traceparent");
    reply_header(r, "Access-Control-Max-Age", "600");
    reply_empty(r, 204);
    return 1;
}

/*
 * Any page somebody looks at can send requests to a server on their own
 * machine, and browsers ask first only for some.  They do name the page.
 */
static int refuse_foreign_page(request *r) {
    const char *origin = request_header(r, "Origin");
    const char *host = request_header(r, "Host");
    if (!origin || origin_is_listed(r->server, origin)) return 0;
    const char *there = strstr(origin, "://");
    if (there && host && !strcmp(there + 3, host)) return 0;
    reply_error(r, 403, "pages of %.100s may not use this server", origin);
    return 1;
}

static int refuse_unknown_route(request *r) {
    char allowed[64];
    r->route = routes_find(r, allowed, sizeof allowed);
    if (r->route && (r->route->flags & ROUTE_OPEN)) return 0;
    if (refuse_unknown_key(r)) return 1;
    if (!r->route && !*allowed) {
        reply_error(r, 404, "there is nothing at %.200s", r->path);
    } else if (!r->route) {
        reply_header(r, "Allow", "%s", allowed);
        reply_error(r, 405, "%.200s takes %s, not %s", r->path, allowed,
                    r->method);
    } else if ((r->route->flags & ROUTE_ADMIN) && !r->caller.admin) {
        reply_error(r, 403, "the key \"%s\" may not do this", r->caller.name);
    } else {
        return 0;
    }
    return 1;
}

/* Bodies that are held altogether, over all requests. */
static int reserve(request *r, size_t more) {
    server *s = r->server;
    size_t before = atomic_fetch_add(&s->bodies_bytes, more);
    if (before + more <= s->opt.max_bodies_bytes) {
        r->body_reserved += more;
        return 0;
    }
    atomic_fetch_sub(&s->bodies_bytes, more);
    metrics_add_refusal(s->metrics, "memory");
    reply_header(r, "Retry-After", "1");
    reply_error(r, 503, "too many bytes are waiting to be looked at");
    return 1;
}

static void refuse_size(request *r) {
    reply_error(r, 413, "the body is larger than %zu bytes",
                r->server->opt.max_body_bytes);
}

/* *length is -1 where the header does not say. */
static int refuse_body(request *r, int64_t *length) {
    const char *text = request_header(r, "Content-Length");
    const char *coding = request_header(r, "Content-Encoding");
    *length = -1;
    if (text && parse_int(text, 0, INT64_MAX, length)) {
        reply_error(r, 400, "Content-Length is no number");
        *length = INT64_MAX;
        return 1;
    }
    if (coding && strcasecmp(coding, "identity") != 0) {
        reply_error(r, 415, "bodies coded as %.40s are not understood", coding);
        return 1;
    }
    if (*length > 0 && (uint64_t)*length > r->server->opt.max_body_bytes) {
        refuse_size(r);
        return 1;
    }
    return *length > 0 && reserve(r, (size_t)*length);
}

/*
 * A refusal goes out at once where much would come after it, or where the
 * client asks before it sends.  Else the body is read first: closing with
 * unread bytes would make the client's machine throw away our answer.
 */
static enum MHD_Result refuse(request *r, int64_t length) {
    server *s = r->server;
    r->state = REQUEST_REFUSED;
    if (r->must_close || request_header(r, "Expect") ||
        (length > 0 && (uint64_t)length > s->opt.max_body_bytes))
        return send_answer(r);
    return MHD_YES;
}

/* All there is to http://host/path is the path: RFC 9112, 3.2.2. */
static const char *path_of(const char *url) {
    size_t scheme = !strncasecmp(url, "http://", 7)    ? 7
                    : !strncasecmp(url, "https://", 8) ? 8
                                                       : 0;
    if (!scheme) return url;
    url += scheme + strcspn(url + scheme, "/");
    return *url ? url : "/";
}

static void take_url(request *r, const char *url, const char *method) {
    url = path_of(url);
    copy_text(r->method, sizeof r->method, method);
    copy_text(r->path, sizeof r->path, url);
    size_t n = strlen(r->path);
    if (n > 1 && r->path[n - 1] == '/') r->path[n - 1] = '\0';
}

static enum MHD_Result begin(server *s, struct MHD_Connection *mhd,
                             const char *url, const char *method,
                             const char *protocol, void **place) {
    request *r = calloc(1, sizeof *r);
    int is_odd = *place == &odd_uri;
    int64_t length;
    if (!r) return MHD_NO;
    *place = r;
    r->server = s;
    r->connection = mhd;
    r->model_label = "";
    r->begun_ns = now_ns();
    atomic_init(&r->job.stop, STOP_NOT);
    atomic_fetch_add(&s->active, 1);
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    if (info) r->link = info->socket_context;
    connections_read(s->connections, r->link, s->opt.read_s);
    take_url(r, url, method);
    request_name(r);
    /* The body is looked at first: whatever is refused may have one. */
    int refused = refuse_body(r, &length);
    refused = refused || refuse_unclear(r, protocol, is_odd) ||
              answer_preflight(r) || refuse_foreign_page(r) ||
              refuse_unknown_route(r);
    if (refused) return refuse(r, length);
    if (length > 0 && buffer_reserve(&r->body, (size_t)length)) {
        reply_error(r, 503, "no memory for the body");
        return refuse(r, length);
    }
    return MHD_YES;
}

/* ---- the body -------------------------------------------------------------
 */

static void take_body(request *r, const char *data, size_t n) {
    if (r->state != REQUEST_READING) return;
    size_t size = r->body.size + n;
    if (size > r->server->opt.max_body_bytes)
        refuse_size(r);
    else if (size > r->body_reserved && reserve(r, size - r->body_reserved))
        ;
    else if (buffer_add(&r->body, data, n))
        reply_error(r, 503, "no memory for the body");
    if (r->status) {
        r->state = REQUEST_REFUSED;
        buffer_deinit(&r->body);
    }
}

/* ---- work -----------------------------------------------------------------
 */

void request_done(request *r) {
    struct MHD_Connection *mhd = r->connection;
    answer_cache_put(r->server->answers, r);
    job_finished(r->server->sched, &r->job);
    MHD_resume_connection(mhd);
}

static job_result work(job *j) {
    request *r = (request *)j;
    unsigned flags = r->route->flags;
    r->ns[STAGE_QUEUE] = j->started_ns - j->queued_ns;
    job_result result = JOB_ENDED;
    if (!(flags & ROUTE_KEEP) || !answer_cache_get(r->server->answers, r))
        result = r->route->handle(r);
    if (result == JOB_ENDED && !(flags & ROUTE_STREAM)) request_done(r);
    return result;
}

static void refuse_full(request *r) {
    server *s = r->server;
    metrics_add_refusal(s->metrics, "queue");
    reply_header(r, "Retry-After", "%d", scheduler_retry_s(s->sched));
    reply_error(r, 503, "the queue is full");
}

static void drop(job *j, job_stop why) {
    request *r = (request *)j;
    r->ns[STAGE_QUEUE] = now_ns() - j->queued_ns;
    if (why == STOP_LATE) metrics_add_refusal(r->server->metrics, "deadline");
    if (why == STOP_CROWDED)
        refuse_full(r);
    else
        reply_stopped(r, why);
    request_done(r);
}

/* "u=2, i" of RFC 9218, or ?priority=2; nonzero: the answer is made. */
static int take_urgency(request *r) {
    const char *header = request_header(r, "Priority");
    const char *u = header ? strstr(header, "u=") : NULL;
    int64_t fallback = DEFAULT_URGENCY, v;
    if (u && u[2] >= '0' && u[2] <= '7') fallback = u[2] - '0';
    if (request_query_int(r, "priority", 0, JOB_URGENCIES - 1, fallback, &v))
        return 1;
    r->job.urgency = (int)v;
    return 0;
}

static int take_deadline(request *r) {
    int64_t most = (int64_t)(r->server->opt.request_s * 1e3), ms;
    if (request_query_int(r, "timeout_ms", 1, INT32_MAX, most, &ms)) return 1;
    if (ms > most) ms = most;
    r->job.deadline_ns = now_ns() + ms * NS_PER_MS;
    return 0;
}

/* Hands the request to the workers; it comes back by request_done(). */
static enum MHD_Result queue_work(request *r) {
    server *s = r->server;
    if (take_urgency(r) || take_deadline(r)) return send_answer(r);
    r->state = REQUEST_WORKING;
    r->job.run = work;
    r->job.drop = drop;
    /* First this: a worker may be done before we return. */
    MHD_suspend_connection(r->connection);
    connections_work(s->connections, r->link, r);
    if (!scheduler_submit(s->sched, &r->job)) return MHD_YES;
    refuse_full(r);
    MHD_resume_connection(r->connection);
    return MHD_YES;
}

static enum MHD_Result dispatch(request *r) {
    r->read_ns = now_ns();
    if (r->route->flags & ROUTE_WORK) return queue_work(r);
    r->route->handle(r);
    return send_answer(r);
}

/* ---- libmicrohttpd's callbacks --------------------------------------------
 */

static enum MHD_Result on_request(void *cls, struct MHD_Connection *mhd,
                                  const char *url, const char *method,
                                  const char *protocol, const char *data,
                                  size_t *size, void **place) {
    request *r = *place;
    if (!r || *place == &odd_uri)
        return begin(cls, mhd, url, method, protocol, place);
    if (*size) {
        take_body(r, data, *size);
        *size = 0;
        return MHD_YES;
    }
    switch (r->state) {
    case REQUEST_READING: return dispatch(r);
    case REQUEST_REFUSED:
    case REQUEST_WORKING: return send_answer(r);
    default: return MHD_NO;
    }
}

static void put_ms(log_line *l, const char *name, int64_t ns) {
    json_float(&l->j, name, 1e-6f * (float)ns);
}

static void log_request(const request *r, int64_t total_ns, int cut_off) {
    log_line l;
    int quiet = r->route && (r->route->flags & ROUTE_QUIET) && r->status < 400;
    if (!log_begin(&l, quiet ? LOG_DEBUG : LOG_INFO, "request")) return;
    json_string(&l.j, "request_id", r->id);
    if (*r->trace) json_string_n(&l.j, "trace_id", r->trace + 3, 32);
    if (*r->caller.name) json_string(&l.j, "key", r->caller.name);
    json_string(&l.j, "method", r->method);
    json_string(&l.j, "path", r->path);
    json_int(&l.j, "status", r->status);
    if (*r->model_label) json_string(&l.j, "model", r->model_label);
    json_int(&l.j, "bytes_in", (int64_t)r->body.size);
    json_int(&l.j, "bytes_out", (int64_t)r->answer_bytes);
    json_float(&l.j, "ms", 1e-6f * (float)total_ns);
    if (r->ns[STAGE_INFER]) {
        put_ms(&l, "read_ms", r->read_ns - r->begun_ns);
        put_ms(&l, "queue_ms", r->ns[STAGE_QUEUE]);
        put_ms(&l, "decode_ms", r->ns[STAGE_DECODE]);
        put_ms(&l, "infer_ms", r->ns[STAGE_INFER]);
    }
    if (*r->why) json_string(&l.j, "error", r->why);
    if (cut_off) json_bool(&l.j, "cut_off", 1);
    log_end(&l);
}

static void on_completed(void *cls, struct MHD_Connection *mhd, void **place,
                         enum MHD_RequestTerminationCode code) {
    server *s = cls;
    request *r = *place;
    (void)mhd;
    if (!r || *place == &odd_uri) return;
    *place = NULL;
    connections_rest(s->connections, r->link, s->opt.idle_s);
    int64_t total = now_ns() - r->begun_ns;
    metrics_request m = {r->route ? r->route->name : "none",
                         r->model_label,
                         r->status,
                         {0},
                         r->body.size,
                         r->answer_bytes};
    r->ns[STAGE_TOTAL] = total;
    memcpy(m.ns, r->ns, sizeof m.ns);
    if (r->status) metrics_add_request(s->metrics, &m);
    log_request(r, total, code != MHD_REQUEST_TERMINATED_COMPLETED_OK);
    atomic_fetch_sub(&s->bodies_bytes, r->body_reserved);
    request_destroy(r);
    atomic_fetch_sub(&s->active, 1);
}

static void on_connection(void *cls, struct MHD_Connection *mhd, void **link,
                          enum MHD_ConnectionNotificationCode code) {
    server *s = cls;
    if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
        connections_remove(s->connections, *link);
        *link = NULL;
        return;
    }
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
    *link =
        info ? connections_add(s->connections, info->connect_fd, s->opt.idle_s)
             : NULL;
}

/* The request line is there: the rest of the header must follow. */
static void *on_uri(void *cls, const char *uri, struct MHD_Connection *mhd) {
    server *s = cls;
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    if (info)
        connections_read(s->connections, info->socket_context, s->opt.read_s);
    return framing_is_uri(uri) ? NULL : &odd_uri; /* no request yet */
}

/*
 * %XX to bytes, in place.  A byte of zero would end the text for everybody
 * behind this, so that a path could hide what it goes on with: it stays.
 */
static size_t on_unescape(void *cls, struct MHD_Connection *mhd, char *text) {
    char *out = text;
    (void)cls;
    (void)mhd;
    for (const char *p = text; *p;) {
        char digits[3] = {p[0] == '%' ? p[1] : '\0', '\0', '\0'};
        if (digits[0]) digits[1] = p[2];
        if (strspn(digits, "0123456789abcdefABCDEF") == 2 &&
            strcmp(digits, "00") != 0) {
            *out++ = (char)strtoul(digits, NULL, 16);
            p += 3;
        } else {
            *out++ = *p++;
        }
    }
    *out = '\0';
    return (size_t)(out - text);
}

static void on_log(void *cls, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));
static void on_log(void *cls, const char *format, va_list args) {
    char text[400];
    (void)cls;
    if (!log_wants(LOG_DEBUG)) return;
    vsnprintf(text, sizeof text, format, args);
    text[strcspn(text, "\n")] = '\0';
    log_say(LOG_DEBUG, "libmicrohttpd", "text", text);
}

/* ---- start and end --------------------------------------------------------
 */

static oc_status start_daemon(http *h, oc_error *err) {
    server *s = h->server;
    const server_options *o = &s->opt;
    unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME |
                     MHD_USE_ERROR_LOG | MHD_USE_ITC;
    /* Reading and writing is little work beside what the workers do. */
    unsigned threads = (unsigned)oc_cpu_count() / 8;
    struct MHD_OptionItem more[3] = {{MHD_OPTION_END, 0, NULL}};
    int n = 0;
    if (s->tls) {
        flags |= MHD_USE_TLS;
        more[n++] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_CERT_CALLBACK, 0,
                                            tls_callback()};
    }
    if (threads > 1)
        more[n++] = (struct MHD_OptionItem){MHD_OPTION_THREAD_POOL_SIZE,
                                            (intptr_t)threads, NULL};
    more[n] = (struct MHD_OptionItem){MHD_OPTION_END, 0, NULL};
    h->daemon = MHD_start_daemon(
        flags, 0, NULL, NULL, on_request, s, MHD_OPTION_EXTERNAL_LOGGER, on_log,
        NULL, MHD_OPTION_LISTEN_SOCKET, h->listen_fd,
        MHD_OPTION_NOTIFY_COMPLETED, on_completed, s,
        MHD_OPTION_NOTIFY_CONNECTION, on_connection, s,
        MHD_OPTION_URI_LOG_CALLBACK, on_uri, s, MHD_OPTION_CONNECTION_LIMIT,
        (unsigned)o->max_connections, MHD_OPTION_UNESCAPE_CALLBACK, on_unescape,
        NULL, MHD_OPTION_CONNECTION_MEMORY_LIMIT, o->max_header_bytes,
        MHD_OPTION_STRICT_FOR_CLIENT, 0, MHD_OPTION_ARRAY, more,
        MHD_OPTION_END);
    if (h->daemon) return OC_OK;
    return server_fail(err, OC_E_IO, "the HTTP server cannot start on %s",
                       h->address);
}

oc_status http_start(http **out, server *s, oc_error *err) {
    char bound[80];
    http *h = calloc(1, sizeof *h);
    if (!h) return server_fail(err, OC_E_NOMEM, "no memory for the server");
    h->server = s;
    oc_status st =
        listen_on(&h->listen_fd, s->opt.listen, bound, sizeof bound, err);
    if (st) {
        free(h);
        return st;
    }
    snprintf(h->address, sizeof h->address, "%s://%s",
             s->tls ? "https" : "http", bound);
    st = start_daemon(h, err);
    if (st) {
        close(h->listen_fd);
        free(h);
        return st;
    }
    *out = h;
    return OC_OK;
}

const char *http_address(const http *h) {
    return h->address;
}

void http_stop_listening(http *h) {
    struct sockaddr_storage who;
    if (h->listen_fd < 0) return;
    MHD_socket fd = MHD_quiesce_daemon(h->daemon);
    if (fd == MHD_INVALID_SOCKET) return;
    /* The system has taken these in already; closing would cut them off. */
    for (;;) {
        socklen_t n = sizeof who;
        int one = accept4(fd, (struct sockaddr *)&who, &n,
                          SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (one < 0 && errno == EINTR) continue;
        if (one < 0) break;
        MHD_add_connection(h->daemon, one, (struct sockaddr *)&who, n);
    }
    close(fd);
    h->listen_fd = -1;
}

void http_stop(http *h) {
    if (!h) return;
    MHD_stop_daemon(h->daemon);
    free(h);
}
