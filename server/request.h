/*
 * request.h - one request: what it asks, and the answer being made.
 *
 * A request belongs to one thread at a time: first to the one that reads it
 * from its connection, then, where its route means work, to a worker (the
 * connection is suspended meanwhile), then to the first again.
 */
#ifndef OCELLI_SERVER_REQUEST_H
#define OCELLI_SERVER_REQUEST_H

#include "basics.h"
#include "context.h"
#include "json.h"
#include "schedule.h"

#include <stdio.h>

struct MHD_Connection;
typedef struct request request;

enum {
    REQUEST_MAX_ID = 64,
    REQUEST_MAX_HEADERS = 8,
    REQUEST_MAX_TRACE = 56,
    REQUEST_MAX_PATH = 512,
    REQUEST_KEY_BYTES = 32, /* SHA-256 */
};

/** What a route needs. */
enum {
    ROUTE_OPEN = 1,    /* no key */
    ROUTE_WORK = 2,    /* a worker */
    ROUTE_ADMIN = 4,   /* a key with the right to it */
    ROUTE_QUIET = 8,   /* asked for all the time: not in the log */
    ROUTE_STREAM = 16, /* its handler calls request_done() */
    ROUTE_KEEP = 32,   /* the same question has the same answer */
};

/** A query parameter, for the OpenAPI document. */
typedef struct route_query {
    const char *name, *type, *help; /* type: "string", "integer", "number" */
} route_query;

typedef struct route {
    const char *method;
    const char *path; /* "/v2/models/{model}/infer" */
    const char *name; /* for metrics and as operation in OpenAPI */
    unsigned flags;
    job_result (*handle)(request *r);
    const char *summary;
    const char *body;   /* kind of body for OpenAPI: NULL, "infer" ... */
    const char *answer; /* kind of answer: "json", "empty", "text" ... */
    const route_query *query;
} route;

extern const route routes[];
extern const size_t route_count;

/** One more header of an answer. */
typedef struct request_reply_header {
    const char *name; /* static */
    char value[200];
} request_reply_header;

typedef enum request_state {
    REQUEST_READING,
    REQUEST_REFUSED, /* the answer is there; its body is read and dropped */
    REQUEST_WORKING,
    REQUEST_ANSWERED,
} request_state;

struct request {
    job job; /* first: a job is its request */
    server *server;
    struct MHD_Connection *connection;
    struct connection *link;
    const route *route; /* NULL: there is none */
    request_state state;
    int must_close; /* after the answer: bytes are left that nobody knows */
    char method[16];
    char path[REQUEST_MAX_PATH];
    char model[REPO_MAX_NAME], version[24]; /* out of the path, or "" */
    char id[REQUEST_MAX_ID + 1];
    char trace[REQUEST_MAX_TRACE]; /* traceparent to answer with, or "" */
    auth_caller caller;
    buffer body;
    size_t body_reserved;    /* of server.bodies_bytes */
    const char *model_label; /* for metrics; "" none */
    /* Under which the answer may be kept (answer_cache.h). */
    unsigned char key[REQUEST_KEY_BYTES];
    int has_key;
    int64_t begun_ns, read_ns, ns[STAGE_COUNT];
    void *user; /* of the handler, freed by free_user */
    void (*free_user)(void *user);
    /* The answer. */
    int status;
    char *answer; /* malloc'd */
    struct stream
        *stream;       /* made while it is sent (answer_stream.h), or NULL */
    const void *fixed; /* static, instead of answer */
    size_t answer_bytes;
    const char *type;  /* static */
    const char *cache; /* static, for Cache-Control; NULL: "no-store" */
    const char *const *fixed_headers; /* static names and values, or NULL */
    int n_headers;
    request_reply_header headers[REQUEST_MAX_HEADERS];
    char why[240]; /* the error's sentence, for the log */
};

/** Frees everything; the request's place too. */
void request_destroy(request *r);
/** A worker is done with it: the answer may go out (http.c). */
void request_done(request *r);
/** A header or a query parameter, NULL where there is none. */
const char *request_header(const request *r, const char *name);
const char *request_query(const request *r, const char *name);
/** A number from the query; nonzero: the error is the answer. */
int request_query_int(request *r, const char *name, int64_t lo, int64_t hi,
                      int64_t fallback, int64_t *out);
int request_query_double(request *r, const char *name, double lo, double hi,
                         double fallback, double *out);
/** The version in the path, 0 for none; nonzero as above. */
int request_version(request *r, int64_t *out);
/** Takes id and trace from the header, or makes an id. */
void request_name(request *r);

/* ---- answers --------------------------------------------------------------
 * The first one counts.
 */

/** Takes over data (malloc'd, or NULL with n 0). */
void reply_bytes(request *r, int status, const char *type, void *data,
                 size_t n);
/** The same, with 200, for what is made while it is sent. */
void reply_stream(request *r, const char *type, struct stream *s);
/** The same, with 200, for data that lives as long as the process. */
void reply_fixed(request *r, const char *type, const void *data, size_t n);
void reply_empty(request *r, int status);
/** {"error": "sentence"}: the only shape of an error. */
void reply_error(request *r, int status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/** The same for an error of the library. */
void reply_failure(request *r, const oc_error *err);
/** The same, for a job that was stopped early. */
void reply_stopped(request *r, job_stop why);
void reply_header(request *r, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/** An answer that is written piece by piece. */
typedef struct reply_text {
    FILE *f;
    char *data;
    size_t bytes;
    json j; /* compact, on f */
} reply_text;
/** Nonzero: no memory, which is the answer. */
int reply_begin(request *r, reply_text *t);
void reply_end(request *r, reply_text *t, int status, const char *type);
/** Throws it away. */
void reply_cancel(reply_text *t);

#define TYPE_JSON  "application/json"
#define TYPE_BYTES "application/octet-stream"

#endif
