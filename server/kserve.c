/*
 * kserve.c - the Open Inference Protocol (KServe v2) but for inference:
 * health, metadata, statistics, the repository.
 */
#include "kserve_tensor.h"
#include "routes.h"

#include <string.h>

/* ---- the server -----------------------------------------------------------
 */

job_result kserve_server(request *r) {
    static const char *const extensions[] = {"binary_tensor_data",
                                             "model_repository", "statistics"};
    reply_text t;
    if (reply_begin(r, &t)) return JOB_ENDED;
    json_object(&t.j, NULL);
    json_string(&t.j, "name", "ocelli");
    json_string(&t.j, "version", oc_version());
    json_array(&t.j, "extensions");
    for (size_t i = 0; i < COUNT_OF(extensions); i++) {
        json_string(&t.j, NULL, extensions[i]);
    }
    json_end(&t.j);
    json_end(&t.j);
    reply_end(r, &t, 200, TYPE_JSON);
    return JOB_ENDED;
}

job_result kserve_live(request *r) {
    reply_empty(r, 200);
    return JOB_ENDED;
}

job_result kserve_ready(request *r) {
    server *s = r->server;
    if (atomic_load(&s->draining))
        reply_error(r, 503, "the server is about to end");
    else if (!repo_is_loaded(s->repo))
        reply_error(r, 503, "models are being loaded");
    else
        reply_empty(r, 200);
    return JOB_ENDED;
}

/* ---- a model --------------------------------------------------------------
 */

/* The model of the path; NULL: the answer is made. */
static served *find(request *r, int status_not_ready) {
    int64_t version;
    int known;
    if (request_version(r, &version)) return NULL;
    served *s = repo_find(r->server->repo, r->model, version, &known);
    if (s)
        r->model_label = served_name(s);
    else if (known)
        reply_error(r, status_not_ready, "the model \"%s\" does not serve now",
                    r->model);
    else
        reply_error(r, 404, "there is no model \"%s\"", r->model);
    return s;
}

static void put_values(json *j, const char *key,
                       const oc_value_info *const *list, int n) {
    json_array(j, key);
    for (int i = 0; i < n; i++) {
        const oc_value_info *v = list[i];
        const char *type = infer_type_name(v->dtype);
        json_object(j, NULL);
        json_string(j, "name", v->name);
        json_string(j, "datatype", type ? type : oc_dtype_name(v->dtype));
        json_row(j, "shape");
        for (int k = 0; k < v->rank; k++) {
            json_int(j, NULL, v->dims[k]);
        }
        json_end(j);
        json_end(j);
    }
    json_end(j);
}

typedef struct version_list {
    const char *name;
    json *j;
} version_list;

static void put_version(void *user, const repo_entry *e) {
    version_list *list = user;
    char text[24];
    if (!e->is_ready || strcmp(e->name, list->name) != 0) return;
    snprintf(text, sizeof text, "%lld", (long long)e->version);
    json_string(list->j, NULL, text);
}

job_result kserve_model(request *r) {
    reply_text t;
    oc_error err;
    infer_model m;
    served *s = find(r, 503);
    if (!s) return JOB_ENDED;
    if (infer_model_of(&m, served_model(s), &err)) {
        reply_failure(r, &err);
    } else if (!reply_begin(r, &t)) {
        version_list list = {r->model, &t.j};
        json_object(&t.j, NULL);
        json_string(&t.j, "name", r->model);
        json_array(&t.j, "versions");
        repo_each(r->server->repo, put_version, &list);
        json_end(&t.j);
        json_string(&t.j, "platform", "onnx_onnxv1");
        put_values(&t.j, "inputs", m.inputs, m.n_inputs);
        put_values(&t.j, "outputs", m.outputs, m.n_outputs);
        json_end(&t.j);
        reply_end(r, &t, 200, TYPE_JSON);
    }
    served_unref(s);
    return JOB_ENDED;
}

job_result kserve_model_ready(request *r) {
    served *s = find(r, 503);
    if (s) reply_empty(r, 200);
    served_unref(s);
    return JOB_ENDED;
}

/* ---- statistics -----------------------------------------------------------
 */

static void put_duration(json *j, const char *key, uint64_t n, uint64_t ns) {
    json_object(j, key);
    json_int(j, "count", (int64_t)n);
    json_int(j, "ns", (int64_t)ns);
    json_end(j);
}

typedef struct entry {
    const char *name;
    int64_t version;
} entry;

/* Statistics take the repository's lock, so entries are listed first. */
enum { MAX_ENTRIES = 1024 };
typedef struct entry_list {
    const char *name; /* only this one, or NULL */
    int64_t version;  /* only this one, or 0 */
    size_t n;
    entry v[MAX_ENTRIES];
} entry_list;

static void list_entry(void *user, const repo_entry *e) {
    entry_list *l = user;
    if (!e->is_ready || l->n == MAX_ENTRIES ||
        (l->name && strcmp(l->name, e->name) != 0) ||
        (l->version && l->version != e->version))
        return;
    l->v[l->n].name = e->name;
    l->v[l->n++].version = e->version;
}

static void put_stats(json *j, const entry *e, const repo_stats *s) {
    char text[24];
    uint64_t ok = s->inferences;
    snprintf(text, sizeof text, "%lld", (long long)e->version);
    json_object(j, NULL);
    json_string(j, "name", e->name);
    json_string(j, "version", text);
    json_int(j, "last_inference", s->last_ms);
    json_int(j, "inference_count", (int64_t)s->inferences);
    json_int(j, "execution_count", (int64_t)s->executions);
    json_object(j, "inference_stats");
    put_duration(j, "success", ok, s->success_ns);
    put_duration(j, "fail", s->failures, s->failure_ns);
    put_duration(j, "queue", ok, s->queue_ns);
    put_duration(j, "compute_input", ok, s->input_ns);
    put_duration(j, "compute_infer", ok, s->infer_ns);
    put_duration(j, "compute_output", ok, s->output_ns);
    json_end(j);
    json_array(j, "batch_stats");
    json_end(j);
    json_end(j);
}

static void answer_stats(request *r, const entry_list *l) {
    reply_text t;
    if (reply_begin(r, &t)) return;
    json_object(&t.j, NULL);
    json_array(&t.j, "model_stats");
    for (size_t i = 0; i < l->n; i++) {
        repo_stats s;
        repo_get_stats(r->server->repo, l->v[i].name, l->v[i].version, &s);
        put_stats(&t.j, &l->v[i], &s);
    }
    json_end(&t.j);
    json_end(&t.j);
    reply_end(r, &t, 200, TYPE_JSON);
}

job_result kserve_model_stats(request *r) {
    entry_list l = {0};
    served *s = find(r, 503);
    if (!s || request_version(r, &l.version)) return JOB_ENDED;
    l.name = r->model;
    repo_each(r->server->repo, list_entry, &l);
    answer_stats(r, &l);
    served_unref(s);
    return JOB_ENDED;
}

job_result kserve_all_stats(request *r) {
    entry_list l = {0};
    repo_each(r->server->repo, list_entry, &l);
    answer_stats(r, &l);
    return JOB_ENDED;
}

/* ---- the repository -------------------------------------------------------
 */

static void put_entry(void *user, const repo_entry *e) {
    json *j = user;
    char text[24];
    snprintf(text, sizeof text, "%lld", (long long)e->version);
    json_object(j, NULL);
    json_string(j, "name", e->name);
    json_string(j, "version", text);
    json_string(j, "state", e->is_ready ? "READY" : "UNAVAILABLE");
    json_string(j, "reason", e->reason);
    json_end(j);
}

job_result kserve_index(request *r) {
    reply_text t;
    if (reply_begin(r, &t)) return JOB_ENDED;
    json_array(&t.j, NULL);
    repo_each(r->server->repo, put_entry, &t.j);
    json_end(&t.j);
    reply_end(r, &t, 200, TYPE_JSON);
    return JOB_ENDED;
}

job_result kserve_load(request *r) {
    oc_error err;
    /* A model could be sent along in Triton's; ours come from the folder. */
    if (r->body.data && strstr(r->body.data, "\"file:"))
        reply_error(r, 400, "models are loaded from the folder only");
    else if (!repo_load(r->server->repo, r->model, &err))
        reply_empty(r, 200);
    else if (err.status == OC_E_ARG)
        reply_error(r, 404, "%s", err.message);
    else
        reply_failure(r, &err);
    return JOB_ENDED;
}

job_result kserve_unload(request *r) {
    oc_error err;
    if (repo_unload(r->server->repo, r->model, &err))
        reply_error(r, 404, "%s", err.message);
    else
        reply_empty(r, 200);
    return JOB_ENDED;
}
