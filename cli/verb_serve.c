/* verb_serve.c - ocelli serve: options for the server in server/. */
#include "cli.h"

#if OC_HAVE_SERVER

#include "server.h"

#include <stdlib.h>
#include <string.h>

enum { MIB = 1 << 20 };

/* All values of an option given repeatedly; NULL: no memory. */
static const char **all_of(const cli_args *args, const char *name, size_t *n) {
    const char **list = calloc((size_t)args->n_given + 1, sizeof *list);
    const char *value;
    *n = 0;
    for (int i = 0; list && (value = cli_get_nth(args, name, i)); i++) {
        list[(*n)++] = value;
    }
    return list;
}

typedef struct number {
    const char *name;
    int64_t lo, hi, fallback;
    int64_t value;
} number;

static int64_t value_of(const number *list, const char *name) {
    while (strcmp(list->name, name) != 0)
        list++;
    return list->value;
}

static int take_integers(const cli_args *args, server_options *o) {
    int cores = oc_cpu_count();
    number list[] = {
        {"max-body", 1, 4096, 32, 0},
        {"max-bodies", 1, 1 << 20, 1024, 0},
        {"max-header", 1, 1024, 32, 0},
        {"max-pixels", 1, 10000, 134, 0},
        {"max-connections", 1, 1000000, 12000, 0},
        {"workers", 1, 1024, cores, 0},
        {"threads", 1, 1024, 1, 0},
        {"queue", 1, 1000000, 256, 0},
        {"batch", 1, 256, 1, 0},
        {"keep-answers", 0, 1 << 20, 0, 0},
    };
    for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
        number *n = &list[i];
        int code =
            cli_get_int(args, n->name, n->lo, n->hi, n->fallback, &n->value);
        if (code) return code;
    }
    o->max_body_bytes = (size_t)value_of(list, "max-body") * MIB;
    o->max_bodies_bytes = (size_t)value_of(list, "max-bodies") * MIB;
    o->max_header_bytes = (size_t)value_of(list, "max-header") * 1024;
    o->max_pixels = (size_t)value_of(list, "max-pixels") * 1000000;
    o->max_connections = (int)value_of(list, "max-connections");
    o->workers = (int)value_of(list, "workers");
    o->threads = (int)value_of(list, "threads");
    o->queue = (size_t)value_of(list, "queue");
    o->batch = (int)value_of(list, "batch");
    o->answers_bytes = (size_t)value_of(list, "keep-answers") * MIB;
    return CLI_OK;
}

static int take_times(const cli_args *args, server_options *o) {
    const struct {
        const char *name;
        double lo, hi, fallback, *out;
    } list[] = {
        {"poll", 0, 86400, 2, &o->poll_s},
        {"rate", 0, 1e9, 0, &o->rate},
        {"burst", 0, 1e9, 0, &o->burst},
        {"read-timeout", 0.1, 86400, 30, &o->read_s},
        {"idle-timeout", 0.1, 86400, 75, &o->idle_s},
        {"timeout", 0.1, 86400, 60, &o->request_s},
        {"batch-delay", 0, 1000, 0, &o->batch_delay_s},
        {"drain-delay", 0, 3600, 0, &o->drain_delay_s},
        {"drain", 0, 3600, 30, &o->drain_s},
    };
    for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
        int code = cli_get_double(args, list[i].name, list[i].lo, list[i].hi,
                                  list[i].fallback, list[i].out);
        if (code) return code;
    }
    o->batch_delay_s *= 1e-3;
    return CLI_OK;
}

static int log_level(const char *name) {
    static const char *const levels[] = {"error", "warn", "info", "debug"};
    int i = 0;
    while (strcmp(levels[i], name) != 0)
        i++;
    return i;
}

static int run_with(const cli_args *args, server_options *o) {
    oc_error err;
    oc_options load;
    int code = take_integers(args, o);
    if (!code) code = take_times(args, o);
    if (!code) code = cli_options(args, &load);
    if (code) return code;
    o->models = cli_get(args, "models", NULL);
    o->versions = cli_get(args, "versions", NULL);
    o->listen = cli_get(args, "listen", "127.0.0.1:8080");
    o->tls_cert = cli_get(args, "tls-cert", NULL);
    o->tls_key = cli_get(args, "tls-key", NULL);
    o->keys = cli_get(args, "keys", NULL);
    o->cpu_mask = load.cpu_mask;
    o->precision = load.precision;
    o->log_level = log_level(cli_get(args, "log", "info"));
    if (!o->models && !o->n_named)
        return cli_fail(CLI_USAGE, "nothing to serve: give --models DIR or "
                                   "--model NAME=PATH");
    if (!o->tls_cert != !o->tls_key)
        return cli_fail(CLI_USAGE, "--tls-cert and --tls-key go together");
    if (!server_run(o, &err)) return CLI_OK;
    code = cli_report(&err, NULL);
    return err.status == OC_E_ARG ? CLI_USAGE : code;
}

static int run_serve(cli_args *args) {
    server_options o = {0};
    const char **named = all_of(args, "model", &o.n_named);
    const char **cors = all_of(args, "cors", &o.n_cors);
    int code = CLI_OK;
    o.named = named;
    o.cors = cors;
    if (!named || !cors)
        code = cli_fail(CLI_RESOURCES, "out of memory");
    else
        code = run_with(args, &o);
    free(named);
    free(cors);
    return code;
}

#else

static int run_serve(cli_args *args) {
    (void)args;
    return cli_fail(CLI_FAILED, "this build has no server: it was made without "
                                "libmicrohttpd and GnuTLS");
}

#endif

/* clang-format off */
static const cli_option options[] = {
    {"models", 'm', "DIR", "folder of models: NAME/VERSION/model.onnx, or "
     "NAME.onnx", NULL},
    {"model", 0, "NAME=PATH", "one more model: a file, or a folder of "
     "versions (repeatable)", NULL},
    {"versions", 0, "WHICH", "versions to serve: latest, latest:N, all or "
     "numbers as 1,3 (default latest)", NULL},
    {"poll", 0, "S", "seconds between looks for changed models, 0: never "
     "(default 2)", NULL},
    {"listen", 'l', "ADDR:PORT", "where to listen; :PORT is every address "
     "(default 127.0.0.1:8080)", NULL},
    {"tls-cert", 0, "FILE", "certificate chain (PEM): speak HTTPS", NULL},
    {"tls-key", 0, "FILE", "its key (PEM)", NULL},
    {"keys", 0, "FILE", "API keys: a SHA-256 and a name a line, then rate=N, "
     "burst=N, admin", NULL},
    {"rate", 0, "N", "requests a second for each key, 0: any number "
     "(default 0)", NULL},
    {"burst", 0, "N", "requests at once for each key (default: the rate)",
     NULL},
    {"cors", 0, "ORIGIN", "pages that may use it from a browser, or * "
     "(repeatable)", NULL},
    {"max-body", 0, "MIB", "largest body (default 32)", NULL},
    {"max-bodies", 0, "MIB", "all bodies together (default 1024)", NULL},
    {"max-header", 0, "KIB", "largest header (default 32)", NULL},
    {"max-pixels", 0, "M", "largest picture in millions of pixels "
     "(default 134)", NULL},
    {"max-connections", 0, "N", "connections at once (default 12000)", NULL},
    {"read-timeout", 0, "S", "seconds for a header, and again for a body "
     "(default 30)", NULL},
    {"idle-timeout", 0, "S", "seconds between requests (default 75)", NULL},
    {"timeout", 0, "S", "seconds to answer a request (default 60)", NULL},
    {"workers", 'w', "N", "requests worked at in parallel (default: every "
     "core)", NULL},
    {"threads", 't', "N", "threads of each (default 1)", NULL},
    {"queue", 0, "N", "requests that may wait (default 256)", NULL},
    {"batch", 0, "N", "most rows that go through a network together, where "
     "its first dimension is free (default 1)", NULL},
    {"batch-delay", 0, "MS", "milliseconds to wait for them (default 0)",
     NULL},
    {"keep-answers", 0, "MIB", "room for answers, given again to the same "
     "request while the same models serve (default 0: none are kept)", NULL},
    {"drain-delay", 0, "S", "seconds to go on accepting after SIGTERM "
     "(default 0)", NULL},
    {"drain", 0, "S", "then seconds for requests to end (default 30)", NULL},
    CLI_OPT_CPU,
    CLI_OPT_PRECISION,
    {"log", 0, "LEVEL", "what to log on standard error (default info)",
     "error|warn|info|debug"},
    CLI_OPT_END,
};
/* clang-format on */

const cli_verb cli_verb_serve = {
    "serve",
    "",
    "serve models over HTTP",
    "Answers over HTTP/1.1: the Open Inference Protocol (KServe v2, with "
    "binary tensors, as Triton's clients speak it) below /v2, pictures in and "
    "results out below /v1, counts at /metrics, a description at "
    "/openapi.json.\n\n"
    "A changed model is loaded once its file has stopped changing; one that "
    "does not load leaves the former serving. SIGHUP reads models, keys and "
    "certificates anew. SIGTERM finishes what has been sent, then ends. "
    "Nothing is written but the log, one JSON object a line on standard "
    "error. docs/server.md tells more.",
    options,
    0,
    0,
    run_serve,
};
