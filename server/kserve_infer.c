/*
 * kserve_infer.c - POST /v2/models/{model}/infer: a request's tensors through a
 * model, alone or with those of others.
 */
#define _POSIX_C_SOURCE 200809L

#include "kserve_tensor.h"
#include "routes.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

/* What is kept between reading a request and running it. */
typedef struct infer_job {
    served *served;
    infer_model model;
    infer_request in;
} infer_job;

static void free_infer_job(void *user) {
    infer_job *w = user;
    infer_deinit(&w->in);
    served_unref(w->served);
    free(w);
}

/* ---- statistics -----------------------------------------------------------
 */

static int64_t wall_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / NS_PER_MS;
}

/* runs: how many times the network ran for it; in a batch, once for all. */
static void count(const request *r, int64_t rows, int runs) {
    const infer_job *w = r->user;
    repo_stats s = {0};
    int64_t total = now_ns() - r->job.queued_ns;
    if (r->status == 200) {
        s.inferences = (uint64_t)rows;
        s.executions = (uint64_t)runs;
        s.success_ns = (uint64_t)total;
    } else {
        s.failures = 1;
        s.failure_ns = (uint64_t)total;
    }
    s.queue_ns = (uint64_t)r->ns[STAGE_QUEUE];
    s.input_ns = (uint64_t)r->ns[STAGE_DECODE];
    s.infer_ns = (uint64_t)r->ns[STAGE_INFER];
    s.output_ns = (uint64_t)r->ns[STAGE_ENCODE];
    s.last_ms = wall_ms();
    repo_add_stats(r->server->repo, served_name(w->served),
                   served_version(w->served), &s);
}

/* ---- answers --------------------------------------------------------------
 */

static void answer(request *r, const oc_tensor *const *results) {
    const infer_job *w = r->user;
    reply_text t;
    oc_error err;
    int64_t json_bytes, start = now_ns();
    if (reply_begin(r, &t)) return;
    if (infer_write(t.f, &w->in, &w->model, served_name(w->served),
                    served_version(w->served), results, &json_bytes, &err)) {
        reply_cancel(&t);
        reply_failure(r, &err);
        return;
    }
    if (json_bytes >= 0)
        reply_header(r, "Inference-Header-Content-Length", "%lld",
                     (long long)json_bytes);
    reply_end(r, &t, 200, json_bytes >= 0 ? TYPE_BYTES : TYPE_JSON);
    r->ns[STAGE_ENCODE] = now_ns() - start;
}

/* ---- one request ----------------------------------------------------------
 */

static oc_status set_inputs(slot *w, const infer_request *in, int *spoiled,
                            const infer_model *model, oc_error *err) {
    for (int i = 0; i < in->n_inputs; i++) {
        const infer_input *x = &in->inputs[i];
        /* An input once set stays set: the next request must not find it. */
        if (model->inputs[x->index]->optional) *spoiled = 1;
        oc_status st = oc_session_set_input(w->session, x->index, &x->t, err);
        if (st) return st;
    }
    return OC_OK;
}

static void run_alone(request *r) {
    infer_job *w = r->user;
    const oc_tensor *results[INFER_MAX_VALUES];
    slot *s = NULL;
    oc_error err;
    int spoiled = 0;
    int64_t start = now_ns();
    oc_status st = served_take(w->served, &s, &err);
    if (!st) st = set_inputs(s, &w->in, &spoiled, &w->model, &err);
    if (!st) {
        job_enter(r->server->sched, &r->job, s->session);
        st = oc_session_run(s->session, &err);
        job_leave(r->server->sched, &r->job);
    }
    r->ns[STAGE_INFER] = now_ns() - start;
    if (st) {
        reply_failure(r, &err);
    } else {
        for (int i = 0; i < w->model.n_outputs; i++) {
            results[i] = oc_session_output_tensor(s->session, i);
        }
        answer(r, results);
    }
    if (s) served_give(s, spoiled);
    count(r, 1, 1);
}

/* ---- several --------------------------------------------------------------
 */

static int64_t rows_of(const request *r) {
    const infer_job *w = r->user;
    return w->in.inputs[0].t.dims[0];
}

/* Input `index` of a request that has all of them. */
static const oc_tensor *input_of(const request *r, int index) {
    const infer_job *w = r->user;
    for (int i = 0; i < w->in.n_inputs; i++) {
        if (w->in.inputs[i].index == index) return &w->in.inputs[i].t;
    }
    return NULL;
}

/* Everybody's rows of one input, one below the other. */
static void *stack_rows(request *const *all, size_t n, int index, int64_t rows,
                        oc_tensor *out) {
    *out = *input_of(all[0], index);
    out->dims[0] = rows;
    char *data = malloc(oc_tensor_bytes(out) + 1);
    size_t at = 0;
    for (size_t i = 0; i < n && data; i++) {
        const oc_tensor *t = input_of(all[i], index);
        size_t bytes = oc_tensor_bytes(t);
        memcpy(data + at, t->data, bytes);
        at += bytes;
    }
    out->data = data;
    return data;
}

/* Everybody gets their rows of the outputs. */
static void answer_rows(request *const *all, size_t n, slot *s) {
    const infer_job *w = all[0]->user;
    int64_t at = 0;
    for (size_t i = 0; i < n; i++) {
        oc_tensor views[INFER_MAX_VALUES];
        const oc_tensor *results[INFER_MAX_VALUES];
        int64_t rows = rows_of(all[i]);
        for (int k = 0; k < w->model.n_outputs; k++) {
            const oc_tensor *t = oc_session_output_tensor(s->session, k);
            size_t row = oc_tensor_bytes(t) / (size_t)t->dims[0];
            views[k] = *t;
            views[k].dims[0] = rows;
            views[k].data = (char *)t->data + (size_t)at * row;
            results[k] = &views[k];
        }
        answer(all[i], results);
        at += rows;
    }
}

/* Whether each output has a row for each row of the inputs. */
static int keeps_rows(const infer_job *w, const slot *s, int64_t rows) {
    for (int k = 0; k < w->model.n_outputs; k++) {
        const oc_tensor *t = oc_session_output_tensor(s->session, k);
        if (!t || t->rank < 1 || t->dims[0] != rows ||
            t->dtype == OC_DTYPE_STRING)
            return 0;
    }
    return 1;
}

static oc_status run_stacked(request *const *all, size_t n, int64_t rows,
                             slot *s, oc_error *err) {
    const infer_job *w = all[0]->user;
    void *data[INFER_MAX_VALUES] = {NULL};
    oc_status st = OC_OK;
    for (int i = 0; i < w->model.n_inputs && !st; i++) {
        oc_tensor t;
        data[i] = stack_rows(all, n, i, rows, &t);
        st = data[i] ? oc_session_set_input(s->session, i, &t, err)
                     : server_fail(err, OC_E_NOMEM, "no memory for a batch");
    }
    if (!st) st = oc_session_run(s->session, err);
    for (int i = 0; i < w->model.n_inputs; i++) {
        free(data[i]); /* borrowed until the run has ended */
    }
    return st;
}

static void run_together(request *const *all, size_t n) {
    const infer_job *w = all[0]->user;
    server *srv = all[0]->server;
    int64_t rows = 0, start = now_ns();
    slot *s = NULL;
    oc_error err;
    for (size_t i = 0; i < n; i++) {
        rows += rows_of(all[i]);
    }
    oc_status st = served_take(w->served, &s, &err);
    if (!st) st = run_stacked(all, n, rows, s, &err);
    for (size_t i = 0; i < n; i++) {
        all[i]->ns[STAGE_INFER] = now_ns() - start;
    }
    /* What one request did wrong is not the others' fault. */
    if (st || !keeps_rows(w, s, rows)) {
        if (s) served_give(s, 0);
        for (size_t i = 0; i < n; i++) {
            run_alone(all[i]);
        }
        return;
    }
    answer_rows(all, n, s);
    served_give(s, 0);
    metrics_add_batch(srv->metrics, served_name(w->served), rows);
    for (size_t i = 0; i < n; i++) {
        count(all[i], rows_of(all[i]), i == 0);
    }
}

static void run_batch(job **jobs, size_t n) {
    request *all[256];
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        request *r = (request *)jobs[i];
        int why = atomic_load(&r->job.stop);
        /* Waiting for others was waiting too. */
        if (why) {
            reply_stopped(r, (job_stop)why);
            request_done(r);
        } else {
            all[kept++] = r;
        }
    }
    if (kept == 1)
        run_alone(all[0]);
    else if (kept > 1)
        run_together(all, kept);
    for (size_t i = 0; i < kept; i++) {
        request_done(all[i]);
    }
}

/* ---- batches --------------------------------------------------------------
 */

/* Types and shapes without rows; nonzero: too long to be one. */
static int write_signature(const infer_job *w, char *out, size_t room) {
    size_t used = 0;
    for (int index = 0; index < w->model.n_inputs; index++) {
        const oc_tensor *t = NULL;
        for (int i = 0; i < w->in.n_inputs; i++) {
            if (w->in.inputs[i].index == index) t = &w->in.inputs[i].t;
        }
        if (!t) return 1;
        for (int k = 0; k < t->rank; k++) {
            int n = snprintf(out + used, room - used, k ? ",%lld" : "%lld:",
                             k ? (long long)t->dims[k] : (long long)t->dtype);
            if (n < 0 || (size_t)n >= room - used) return 1;
            used += (size_t)n;
        }
        if (used + 2 > room) return 1;
        out[used++] = ';';
        out[used] = '\0';
    }
    return 0;
}

/* Whether the request may wait for others of its kind. */
static int joins_batch(request *r) {
    infer_job *w = r->user;
    int64_t most = r->server->opt.batch;
    if (most < 2 || !served_takes_batches(w->served) || !w->in.n_inputs)
        return 0;
    int64_t rows = rows_of(r);
    if (rows < 1 || rows >= most) return 0;
    for (int i = 1; i < w->in.n_inputs; i++) {
        if (w->in.inputs[i].t.dims[0] != rows) return 0;
    }
    if (write_signature(w, r->job.signature, sizeof r->job.signature)) return 0;
    r->job.model = w->served;
    r->job.rows = rows;
    r->job.run_batch = run_batch;
    return 1;
}

/* ---- the route ------------------------------------------------------------
 */

static served *find(request *r) {
    int64_t version;
    int known;
    if (request_version(r, &version)) return NULL;
    served *s = repo_find(r->server->repo, r->model, version, &known);
    if (s) return s;
    if (known)
        reply_error(r, 503, "the model \"%s\" does not serve now", r->model);
    else
        reply_error(r, 404,
                    *r->version ? "there is no model \"%s\" of version "
                                  "%s"
                                : "there is no model \"%s\"",
                    r->model, r->version);
    return NULL;
}

static int json_length(request *r, int64_t *out) {
    const char *text = request_header(r, "Inference-Header-Content-Length");
    *out = -1;
    if (!text || !parse_int(text, 0, INT64_MAX, out)) return 0;
    reply_error(r, 400, "Inference-Header-Content-Length is no number");
    return 1;
}

/* A deadline of the request's own, which its body has. */
static void shorten_deadline(request *r) {
    const infer_job *w = r->user;
    int64_t us = w->in.timeout_us;
    if (us <= 0 || us > INT64_C(1000000000) * 1000) return;
    int64_t at = r->job.queued_ns + us * 1000;
    if (at < r->job.deadline_ns) r->job.deadline_ns = at;
}

job_result kserve_infer(request *r) {
    int64_t json_bytes, start = now_ns();
    oc_error err;
    served *s = find(r);
    if (!s) return JOB_ENDED;
    r->model_label = served_name(s);
    infer_job *w = calloc(1, sizeof *w);
    if (!w) {
        served_unref(s);
        reply_error(r, 503, "no memory for the request");
        return JOB_ENDED;
    }
    w->served = s;
    r->user = w;
    r->free_user = free_infer_job;
    if (json_length(r, &json_bytes)) return JOB_ENDED;
    oc_status st = infer_model_of(&w->model, served_model(s), &err);
    if (!st)
        st = infer_parse(&w->in, &w->model,
                         r->body.data ? r->body.data : (char[1]){0},
                         r->body.size, json_bytes, &err);
    r->ns[STAGE_DECODE] = now_ns() - start;
    if (st) {
        reply_failure(r, &err);
        count(r, 0, 0);
        return JOB_ENDED;
    }
    shorten_deadline(r);
    if (r->job.deadline_ns && now_ns() >= r->job.deadline_ns) {
        reply_stopped(r, STOP_LATE);
        return JOB_ENDED;
    }
    if (joins_batch(r)) return JOB_WAITS;
    run_alone(r);
    return JOB_ENDED;
}
