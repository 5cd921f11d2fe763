/* routes.c - see routes.h. */
#define _POSIX_C_SOURCE 200809L

#include "routes.h"

#include "answer_cache.h"
#include "connections.h"
#include "page.h"

#include <string.h>

#define MODEL   "/v2/models/{model}"
#define VERSION MODEL "/versions/{version}"

/* clang-format off */
#define QUERY_WORK                                                             \
    {"priority", "integer", "0 is served first, 7 last (default 3)"},          \
    {"timeout_ms", "integer", "give up after so many milliseconds"}
#define QUERY_TASK                                                             \
    {"model", "string", "name of the model, where several do this"},           \
    {"version", "integer", "its version (default: the latest)"},               \
    {"labels", "string", "a built-in set of names instead of the card's: "     \
     "imagenet, imagenet1001, coco80, coco90, voc20, voc21, camvid, cifar10, " \
     "digits"}
#define QUERY_TOP {"top", "integer", "most labels or objects to give"}
#define QUERY_THRESHOLD {"threshold", "number", "least score, 0 to 1"}
#define QUERY_END {NULL, NULL, NULL}

static const route_query query_infer[] = {QUERY_WORK, QUERY_END};
static const route_query query_find[] = {
    QUERY_TASK, QUERY_TOP, QUERY_THRESHOLD, QUERY_WORK, QUERY_END};
static const route_query query_segment[] = {
    QUERY_TASK, QUERY_THRESHOLD,
    {"picture", "string", "mask or overlay, where a picture is accepted"},
    QUERY_WORK, QUERY_END};
static const route_query query_restore[] = {
    {"model", "string", "name of the model, where several do this"},
    {"version", "integer", "its version (default: the latest)"},
    QUERY_WORK, QUERY_END};

static const route_query query_describe[] = {
    {"model", "string", "names of models that look, with commas between them "
     "(default: the one that detects)"},
    {"locale", "string", "language of the texts: en, de, pl (default en)"},
    {"text", "string", "short or long, where text/plain is accepted"},
    {"sure", "number", "least score of what is said plainly (default 0.5)"},
    {"view", "number", "the camera's angle of view along the longer side in "
     "degrees (default 66)"},
    QUERY_THRESHOLD, QUERY_WORK, QUERY_END};

const route routes[] = {
    {"GET", "/v2", "server_metadata", 0, kserve_server,
     "What this server is and can do", NULL, "json", NULL},
    {"GET", "/v2/health/live", "server_live", ROUTE_OPEN | ROUTE_QUIET,
     kserve_live, "Whether the server answers", NULL, "empty", NULL},
    {"GET", "/v2/health/ready", "server_ready", ROUTE_OPEN | ROUTE_QUIET,
     kserve_ready, "Whether it takes requests", NULL, "empty", NULL},
    {"GET", "/v2/models", "models", 0, task_models,
     "The models that serve, with their tasks", NULL, "json", NULL},
    {"GET", "/v2/models/stats", "statistics", 0, kserve_all_stats,
     "Statistics of all models", NULL, "json", NULL},
    {"GET", MODEL, "model_metadata", 0, kserve_model,
     "Inputs and outputs of a model", NULL, "json", NULL},
    {"GET", VERSION, "model_version_metadata", 0, kserve_model,
     "Inputs and outputs of a version", NULL, "json", NULL},
    {"GET", MODEL "/ready", "model_ready", ROUTE_QUIET, kserve_model_ready,
     "Whether a model serves", NULL, "empty", NULL},
    {"GET", VERSION "/ready", "model_version_ready", ROUTE_QUIET,
     kserve_model_ready, "Whether a version serves", NULL, "empty", NULL},
    {"GET", MODEL "/stats", "model_statistics", 0, kserve_model_stats,
     "Statistics of a model", NULL, "json", NULL},
    {"GET", VERSION "/stats", "model_version_statistics", 0,
     kserve_model_stats, "Statistics of a version", NULL, "json", NULL},
    {"POST", MODEL "/infer", "infer", ROUTE_WORK | ROUTE_KEEP, kserve_infer,
     "Runs a model on tensors", "infer", "infer", query_infer},
    {"POST", VERSION "/infer", "infer_version", ROUTE_WORK | ROUTE_KEEP,
     kserve_infer, "Runs a version on tensors", "infer", "infer", query_infer},
    {"POST", "/v2/repository/index", "repository_index", 0, kserve_index,
     "All models there are, and why some do not serve", "object", "json",
     NULL},
    {"POST", "/v2/repository/models/{model}/load", "repository_load",
     ROUTE_ADMIN | ROUTE_WORK, kserve_load, "Loads a model anew", "object",
     "empty", NULL},
    {"POST", "/v2/repository/models/{model}/unload", "repository_unload",
     ROUTE_ADMIN | ROUTE_WORK, kserve_unload, "Stops serving a model",
     "object", "empty", NULL},
    {"POST", "/v1/classify", "classify", ROUTE_WORK | ROUTE_KEEP, task_classify,
     "Says what is in a picture", "picture", "result", query_find},
    {"POST", "/v1/detect", "detect", ROUTE_WORK | ROUTE_KEEP, task_detect,
     "Finds objects in a picture", "picture", "result", query_find},
    {"POST", "/v1/segment", "segment", ROUTE_WORK | ROUTE_KEEP, task_segment,
     "Tells which pixels belong to what", "picture", "result", query_segment},
    {"POST", "/v1/restore", "restore", ROUTE_WORK | ROUTE_KEEP, task_restore,
     "Makes a better picture", "picture", "picture", query_restore},
    {"POST", "/v1/describe", "describe", ROUTE_WORK | ROUTE_KEEP, task_describe,
     "Says in words what is in a picture", "picture", "description",
     query_describe},
    {"POST", "/v1/audio/speech", "speech", ROUTE_WORK | ROUTE_STREAM,
     audio_speech, "Speaks a text; sound comes while it is made", "speech",
     "audio", query_infer},
    {"GET", "/metrics", "metrics", ROUTE_QUIET, metrics_text,
     "Counts and times, for Prometheus", NULL, "text", NULL},
    {"GET", "/openapi.json", "openapi", 0, openapi_document,
     "This document", NULL, "json", NULL},
};
/* clang-format on */
const size_t route_count = COUNT_OF(routes);

/*
 * The files of the page.  They are no part of the interface, so they are not
 * in the table; and there is nothing in them that a key would protect.
 */
static const route page_route = {
    "GET", "/{file}", "page", ROUTE_OPEN | ROUTE_QUIET, page_answer, "The page",
    NULL,  "file",    NULL};

/* Copies a part of a path that has a name; nonzero: it is too long. */
static int take_name(request *r, const char *name, size_t n, const char *text,
                     size_t length) {
    char *out = n == 5 && !memcmp(name, "model", 5) ? r->model : r->version;
    size_t room = out == r->model ? sizeof r->model : sizeof r->version;
    if (!length || length >= room) return 1;
    memcpy(out, text, length);
    out[length] = '\0';
    return 0;
}

/* Whether a path is of a pattern, part by part. */
static int matches(request *r, const char *pattern, const char *path) {
    r->model[0] = r->version[0] = '\0';
    while (*pattern && *path) {
        if (*pattern == '{') {
            size_t n = strcspn(++pattern, "}"), length = strcspn(path, "/");
            if (take_name(r, pattern, n, path, length)) return 0;
            pattern += n + 1;
            path += length;
        } else if (*pattern++ != *path++) {
            return 0;
        }
    }
    return !*pattern && !*path;
}

const route *routes_find(request *r, char *allowed, size_t room) {
    size_t used = 0;
    /* HEAD is GET without the body, which libmicrohttpd sees to. */
    const char *method = strcmp(r->method, "HEAD") ? r->method : "GET";
    *allowed = '\0';
    for (size_t i = 0; i < route_count; i++) {
        if (!matches(r, routes[i].path, r->path)) continue;
        if (!strcmp(routes[i].method, method)) return &routes[i];
        int n = snprintf(allowed + used, room - used, "%s%s", used ? ", " : "",
                         routes[i].method);
        if (n > 0 && (size_t)n < room - used) used += (size_t)n;
    }
    if (*allowed || !page_find(r->path)) return NULL;
    if (!strcmp(method, "GET")) return &page_route;
    snprintf(allowed, room, "GET");
    return NULL;
}

job_result metrics_text(request *r) {
    server *s = r->server;
    scheduler_state now;
    answer_cache_state kept;
    metrics_gauges g = {0};
    reply_text t;
    if (reply_begin(r, &t)) return JOB_ENDED;
    scheduler_look(s->sched, &now);
    g.queue_depth = now.queued;
    g.queue_limit = now.limit;
    g.running = now.running;
    g.workers = now.workers;
    g.connections = connections_count(s->connections);
    g.draining = atomic_load(&s->draining);
    answer_cache_look(s->answers, &kept);
    g.keeps_answers = s->answers != NULL;
    g.answer_hits = kept.hits;
    g.answer_misses = kept.misses;
    g.answers = kept.entries;
    g.answers_bytes = kept.bytes;
    repo_count(s->repo, &g.models_ready, &g.models_failed);
    metrics_write(s->metrics, &g, t.f);
    reply_end(r, &t, 200, "text/plain; version=0.0.4; charset=utf-8");
    return JOB_ENDED;
}
