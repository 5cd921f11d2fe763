/* request.c - see request.h. */
#define _POSIX_C_SOURCE 200809L

#include "request.h"

#include "answer_stream.h"

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>

void request_destroy(request *r) {
    if (!r) return;
    if (r->free_user) r->free_user(r->user);
    buffer_deinit(&r->body);
    stream_drop(r->stream);
    free(r->answer);
    free(r);
}

const char *request_header(const request *r, const char *name) {
    return MHD_lookup_connection_value(r->connection, MHD_HEADER_KIND, name);
}

const char *request_query(const request *r, const char *name) {
    return MHD_lookup_connection_value(r->connection, MHD_GET_ARGUMENT_KIND,
                                       name);
}

int request_query_int(request *r, const char *name, int64_t lo, int64_t hi,
                      int64_t fallback, int64_t *out) {
    const char *text = request_query(r, name);
    *out = fallback;
    if (!text || !parse_int(text, lo, hi, out)) return 0;
    reply_error(r, 400, "%s= wants a whole number from %lld to %lld", name,
                (long long)lo, (long long)hi);
    return 1;
}

int request_query_double(request *r, const char *name, double lo, double hi,
                         double fallback, double *out) {
    const char *text = request_query(r, name);
    *out = fallback;
    if (!text || !parse_double(text, lo, hi, out)) return 0;
    reply_error(r, 400, "%s= wants a number from %g to %g", name, lo, hi);
    return 1;
}

int request_version(request *r, int64_t *out) {
    *out = 0;
    if (!*r->version || !parse_int(r->version, 1, INT64_MAX, out)) return 0;
    reply_error(r, 404, "a version is a whole number from 1, not \"%s\"",
                r->version);
    return 1;
}

/* ---- names ----------------------------------------------------------------
 */

/* Random hexadecimal digits: n of them, even. */
static void random_hex(char *out, size_t n) {
    unsigned char bytes[32];
    if (gnutls_rnd(GNUTLS_RND_NONCE, bytes, n / 2))
        memset(bytes, 0, sizeof bytes);
    for (size_t i = 0; i < n / 2; i++) {
        snprintf(out + 2 * i, 3, "%02x", bytes[i]);
    }
}

static int is_id(const char *text) {
    size_t n = strlen(text);
    return n > 0 && n <= REQUEST_MAX_ID &&
           strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                        "0123456789-_.:") == n;
}

/* W3C Trace Context: version, trace, span and flags in lower case hex. */
static int is_traceparent(const char *text) {
    if (strlen(text) != 55) return 0;
    for (int i = 0; i < 55; i++) {
        int dash = i == 2 || i == 35 || i == 52;
        if (dash ? text[i] != '-' : !strchr("0123456789abcdef", text[i]))
            return 0;
    }
    return strncmp(text, "ff", 2) != 0 && strspn(text + 3, "0") < 32 &&
           strspn(text + 36, "0") < 16;
}

void request_name(request *r) {
    const char *id = request_header(r, "X-Request-Id");
    const char *trace = request_header(r, "traceparent");
    if (id && is_id(id))
        copy_text(r->id, sizeof r->id, id);
    else
        random_hex(r->id, 32);
    if (!trace || !is_traceparent(trace)) return;
    copy_text(r->trace, sizeof r->trace, trace);
    random_hex(r->trace + 36, 16); /* our own span in the caller's trace */
    r->trace[52] = '-';
}

/* ---- answers --------------------------------------------------------------
 */

void reply_bytes(request *r, int status, const char *type, void *data,
                 size_t n) {
    if (r->status) {
        free(data);
        return;
    }
    r->status = status;
    r->type = type;
    r->answer = data;
    r->answer_bytes = n;
}

void reply_stream(request *r, const char *type, struct stream *s) {
    if (r->status) return;
    reply_bytes(r, 200, type, NULL, 0);
    r->stream = stream_hold(s);
}

void reply_fixed(request *r, const char *type, const void *data, size_t n) {
    if (r->status) return;
    reply_bytes(r, 200, type, NULL, n);
    r->fixed = data;
}

void reply_empty(request *r, int status) {
    reply_bytes(r, status, NULL, NULL, 0);
}

void reply_error(request *r, int status, const char *format, ...) {
    char sentence[700];
    reply_text t;
    va_list args;
    if (r->status) return;
    va_start(args, format);
    vsnprintf(sentence, sizeof sentence, format, args);
    va_end(args);
    copy_text(r->why, sizeof r->why, sentence);
    t.f = open_memstream(&t.data, &t.bytes);
    if (!t.f) {
        reply_empty(r, status);
        return;
    }
    json_begin_compact(&t.j, t.f);
    json_object(&t.j, NULL);
    json_string(&t.j, "error", sentence);
    json_end(&t.j);
    reply_end(r, &t, status, TYPE_JSON);
}

static int status_of(oc_status status) {
    switch (status) {
    case OC_OK: return 200;
    case OC_E_LIMIT: return 413;
    case OC_E_NOMEM: return 503;
    case OC_E_IO: return 500;
    case OC_E_CANCELLED: return 503;
    default: return 400;
    }
}

void reply_failure(request *r, const oc_error *err) {
    if (err->status == OC_E_CANCELLED && atomic_load(&r->job.stop))
        reply_stopped(r, (job_stop)atomic_load(&r->job.stop));
    else
        reply_error(r, status_of(err->status), "%s", err->message);
}

void reply_stopped(request *r, job_stop why) {
    /* 499 is nginx's, for the log: nobody is there to read it. */
    if (why == STOP_GONE)
        reply_error(r, 499, "the client closed the connection");
    else
        reply_error(r, 504, "the time for the request is over");
}

void reply_header(request *r, const char *name, const char *format, ...) {
    va_list args;
    if (r->n_headers == REQUEST_MAX_HEADERS) return;
    va_start(args, format);
    vsnprintf(r->headers[r->n_headers].value,
              sizeof r->headers[r->n_headers].value, format, args);
    va_end(args);
    r->headers[r->n_headers++].name = name;
}

int reply_begin(request *r, reply_text *t) {
    t->data = NULL;
    t->f = open_memstream(&t->data, &t->bytes);
    if (!t->f) {
        reply_error(r, 503, "no memory for the answer");
        return 1;
    }
    json_begin_compact(&t->j, t->f);
    return 0;
}

void reply_end(request *r, reply_text *t, int status, const char *type) {
    if (fclose(t->f)) { /* a stream in memory fails for want of it */
        free(t->data);
        reply_empty(r, 503);
        return;
    }
    reply_bytes(r, status, type, t->data, t->bytes);
}

void reply_cancel(reply_text *t) {
    fclose(t->f);
    free(t->data);
}
