/* verb_bench.c - ocelli bench: how fast a model runs here. */
#define _POSIX_C_SOURCE 200809L

#include "bench.h"

#include "inputs.h"
#include "json.h"
#include "out.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct bench {
    const cli_args *args;
    oc_model *model;
    oc_session **sessions; /* n_sessions of them, which run at once */
    int n_sessions;
    oc_session *session; /* the first one */
    cli_inputs inputs;
    int threads;    /* of a session */
    double seconds; /* to run for */
    double load_ms, first_ms;
    bench_times times; /* of each run */
    int64_t batch;
    size_t rss_bytes;
    double peak; /* of all threads, operations a second */
} bench;

/* ---- measuring ------------------------------------------------------------
 */

static int one_run(bench *b, oc_session *session, double *ms) {
    oc_error err;
    double start = out_seconds();
    if (oc_session_run(session, &err))
        return cli_report(&err, b->args->operands[0]);
    *ms = 1e3 * (out_seconds() - start);
    return CLI_OK;
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* Nearest rank: the smallest time that `share` of the runs do not exceed. */
static double percentile(const bench *b, double share) {
    size_t i = (size_t)(share * (double)b->times.n);
    if (i >= b->times.n) i = b->times.n - 1;
    return b->times.ms[i];
}

/* One session, with a bar. */
static int measure_alone(bench *b) {
    bench_times *t = &b->times;
    out_progress bar;
    double ms = 0, spent = 0;
    int code = CLI_OK;
    out_progress_begin(&bar, "bench", 1, cli_has(b->args, "quiet"));
    while (!code && (spent < 1e3 * b->seconds || t->n < 3)) {
        code = one_run(b, b->session, &ms);
        if (!code && bench_add_time(t, ms))
            code = cli_fail(CLI_RESOURCES, "out of memory");
        spent += ms;
        /* So many runs as the time is likely to be enough for. */
        if (spent > 0)
            bar.total = (int64_t)(1e3 * b->seconds / spent * (double)t->n);
        if (bar.total < (int64_t)t->n) bar.total = (int64_t)t->n;
        out_progress_add(&bar, 1);
    }
    out_progress_end(&bar);
    t->wall_s = 1e-3 * spent;
    return code;
}

static int measure(bench *b) {
    double ms = 0;
    int code = one_run(b, b->session, &b->first_ms);
    /* A few more until caches and clocks have settled. */
    for (int i = 0; i < 3 && !code; i++) {
        code = one_run(b, b->session, &ms);
    }
    for (int i = 1; i < b->n_sessions && !code; i++) {
        code = one_run(b, b->sessions[i], &ms);
    }
    if (!code)
        code = b->n_sessions > 1
                   ? bench_at_once(b->sessions, b->n_sessions,
                                   b->args->operands[0], b->seconds, &b->times)
                   : measure_alone(b);
    if (code) return code;
    qsort(b->times.ms, b->times.n, sizeof(*b->times.ms), by_value);
    b->rss_bytes = out_resident_bytes();
    return CLI_OK;
}

static double throughput(const bench *b) {
    double runs = (double)b->times.n * (double)b->batch;
    return b->times.wall_s > 0 ? runs / b->times.wall_s : 0;
}

/* ---- layers ---------------------------------------------------------------
 */

static void shape_text(const oc_tensor *t, char *out, size_t room) {
    size_t used = 0;
    *out = '\0';
    for (int i = 0; i < t->rank && used < room; i++) {
        int n = snprintf(out + used, room - used, "%s%lld", i ? "x" : "",
                         (long long)t->dims[i]);
        used += n > 0 ? (size_t)n : 0;
    }
}

/* Milliseconds of a step in its mean run. */
static double step_ms(const oc_step_info *s) {
    return s->runs ? 1e-6 * (double)s->total_ns / (double)s->runs : 0;
}

static double step_gflops(const oc_step_info *s) {
    double ms = step_ms(s);
    return ms > 0 ? 1e-6 * s->flops / ms : 0;
}

static void json_layers(const bench *b, json *j) {
    int n = oc_session_step_count(b->session);
    json_double(j, "peak_gflops", b->peak / 1e9);
    json_array(j, "layers");
    for (int i = 0; i < n; i++) {
        oc_step_info s;
        char shape[96];
        if (oc_session_step(b->session, i, &s)) continue;
        shape_text(&s.output, shape, sizeof(shape));
        json_object(j, NULL);
        json_string(j, "name", s.name);
        json_string(j, "op", s.op);
        json_string(j, "kernel", s.kernel);
        json_string(j, "output", shape);
        json_double(j, "ms", step_ms(&s));
        json_double(j, "min_ms", 1e-6 * (double)s.min_ns);
        json_double(j, "flops", s.flops);
        json_double(j, "bytes", s.bytes);
        json_double(j, "gflops", step_gflops(&s));
        json_double(j, "peak_share",
                    b->peak > 0 ? 1e9 * step_gflops(&s) / b->peak : 0);
        json_end(j);
    }
    json_end(j);
}

/* Steps by time, the longest first. */
typedef struct ranked {
    oc_step_info s;
    int step;
} ranked;

static int by_time(const void *a, const void *b) {
    const ranked *x = a, *y = b;
    if (x->s.total_ns != y->s.total_ns)
        return x->s.total_ns > y->s.total_ns ? -1 : 1;
    return x->step < y->step ? -1 : 1;
}

static void layer_row(out_table *t, const bench *b, const ranked *r,
                      double all) {
    char shape[96];
    shape_text(&r->s.output, shape, sizeof(shape));
    out_cell(t, "%d", r->step);
    out_cell(t, "%s", r->s.op);
    out_cell(t, "%.40s", r->s.name);
    out_cell(t, "%s", shape);
    out_cell(t, "%s", *r->s.kernel ? r->s.kernel : "-");
    out_cell(t, "%.3f", step_ms(&r->s));
    out_cell(t, "%.1f %%", all > 0 ? 100 * step_ms(&r->s) / all : 0);
    if (r->s.flops > 0) {
        out_cell(t, "%.1f", step_gflops(&r->s));
        out_cell(t, "%.0f %%", 1e11 * step_gflops(&r->s) / b->peak);
    } else {
        out_cell(t, "-");
        out_cell(t, "-");
    }
}

static void text_layers(const bench *b) {
    static const char *const head[] = {"step",   "op",      "name",
                                       "output", "kernel",  "ms",
                                       "share",  "GFLOP/s", "of peak"};
    int n = oc_session_step_count(b->session);
    ranked *list = calloc((size_t)n + 1, sizeof(*list));
    double all = 0;
    out_table t;
    if (!list) return;
    for (int i = 0; i < n; i++) {
        oc_session_step(b->session, i, &list[i].s);
        list[i].step = i;
        all += step_ms(&list[i].s);
    }
    qsort(list, (size_t)n, sizeof(*list), by_time);
    out_table_init(&t, "rllllrrrr");
    for (size_t i = 0; i < sizeof(head) / sizeof(head[0]); i++) {
        out_cell(&t, "%s", head[i]);
    }
    for (int i = 0; i < n; i++) {
        layer_row(&t, b, &list[i], all);
    }
    printf("\npeak %.1f GFLOP/s with %d thread%s\n", b->peak / 1e9, b->threads,
           b->threads > 1 ? "s" : "");
    out_table_print(&t, stdout, 1);
    out_table_deinit(&t);
    free(list);
}

/* ---- report ---------------------------------------------------------------
 */

static const char *precision(const bench *b) {
    return oc_precision_name(oc_model_precision(b->model));
}

static void report_json(const bench *b) {
    json j;
    json_begin(&j, stdout);
    json_object(&j, NULL);
    json_string(&j, "model", b->args->operands[0]);
    json_int(&j, "threads", b->threads);
    json_int(&j, "sessions", b->n_sessions);
    json_string(&j, "precision", precision(b));
    json_int(&j, "runs", (int64_t)b->times.n);
    json_double(&j, "load_ms", b->load_ms);
    json_double(&j, "first_ms", b->first_ms);
    json_double(&j, "min_ms", b->times.ms[0]);
    json_double(&j, "median_ms", percentile(b, 0.5));
    json_double(&j, "p99_ms", percentile(b, 0.99));
    json_double(&j, "throughput", throughput(b));
    json_double(&j, "rss_mb", (double)b->rss_bytes / 1048576);
    if (cli_has(b->args, "layers")) json_layers(b, &j);
    json_end(&j);
}

static void report_text(const bench *b) {
    out_table t;
    out_table_init(&t, "lrl");
    const struct {
        const char *name, *unit;
        double value;
    } rows[] = {
        {"load", "ms", b->load_ms},
        {"first run", "ms", b->first_ms},
        {"fastest run", "ms", b->times.ms[0]},
        {"median run", "ms", percentile(b, 0.5)},
        {"99th percentile", "ms", percentile(b, 0.99)},
        {"throughput", "a second", throughput(b)},
        {"memory", "MiB", (double)b->rss_bytes / 1048576},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        double v = rows[i].value;
        out_cell(&t, "%s", rows[i].name);
        /* Three digits or more are shown of every number. */
        out_cell(&t, "%.*f", v >= 100 ? 0 : v >= 10 ? 1 : v >= 1 ? 2 : 3, v);
        out_cell(&t, "%s", rows[i].unit);
    }
    out_table_print(&t, stdout, 0);
    out_table_deinit(&t);
    printf("%s%zu runs ", out_color(stdout, OUT_DIM), b->times.n);
    if (b->n_sessions > 1) printf("of %d sessions at once ", b->n_sessions);
    printf("with %d thread%s%s in %s%s\n", b->threads,
           b->threads > 1 ? "s" : "", b->n_sessions > 1 ? " each" : "",
           precision(b), out_color(stdout, OUT_PLAIN));
    if (cli_has(b->args, "layers")) text_layers(b);
}

/* ---- the verb -------------------------------------------------------------
 */

/* Images a run does: the first dimension of the first input. */
static int64_t batch_of(const bench *b) {
    const oc_tensor *t = b->inputs.n && b->inputs.values[0]
                             ? oc_value_tensor(b->inputs.values[0])
                             : NULL;
    return t && t->rank == 4 && t->dims[0] > 0 ? t->dims[0] : 1;
}

static int set_inputs(bench *b) {
    const char *spec;
    int code = cli_inputs_init(&b->inputs, b->model);
    for (int i = 0; !code && (spec = cli_get_nth(b->args, "input", i)); i++) {
        code = cli_inputs_load(&b->inputs, b->model, spec);
    }
    if (!code) code = cli_inputs_random(&b->inputs, b->model, b->args);
    for (int i = 0; i < b->n_sessions && !code; i++) {
        code = cli_inputs_set(&b->inputs, b->model, b->sessions[i]);
    }
    b->batch = batch_of(b);
    return code;
}

/* How many sessions, of how many threads. */
static int get_sizes(bench *b, int64_t *threads) {
    int64_t sessions;
    int code = cli_get_double(b->args, "time", 0.01, 86400, 3, &b->seconds);
    if (!code) code = cli_get_int(b->args, "sessions", 1, 256, 1, &sessions);
    if (code) return code;
    int64_t each = oc_cpu_count() / sessions;
    code =
        cli_get_int(b->args, "threads", 1, 1024, each > 1 ? each : 1, threads);
    if (code) return code;
    b->threads = (int)*threads;
    b->sessions = calloc((size_t)sessions, sizeof(oc_session *));
    if (!b->sessions) return cli_fail(CLI_RESOURCES, "out of memory");
    b->n_sessions = (int)sessions;
    return CLI_OK;
}

static int prepare(bench *b) {
    int64_t threads;
    int layers = cli_has(b->args, "layers") || cli_has(b->args, "roofline");
    int code = get_sizes(b, &threads);
    if (code) return code;
    double start = out_seconds();
    code = cli_load_model(b->args, b->args->operands[0], &b->model);
    for (int i = 0; i < b->n_sessions && !code; i++) {
        code = cli_create_session_of(b->args, b->model, layers && i == 0,
                                     b->threads, &b->sessions[i]);
        if (i == 0) b->load_ms = 1e3 * (out_seconds() - start);
    }
    if (!code && layers) b->peak = oc_model_peak_flops(b->model) * b->threads;
    b->session = b->sessions[0];
    return code ? code : set_inputs(b);
}

static int run_bench(cli_args *args) {
    bench b = {0};
    b.args = args;
    int code = prepare(&b);
    if (!code) code = measure(&b);
    if (!code) {
        if (cli_has(args, "json"))
            report_json(&b);
        else
            report_text(&b);
    }
    const char *roofline = cli_get(args, "roofline", NULL);
    if (!code && roofline)
        code = bench_roofline(roofline, args->operands[0], b.session, b.threads,
                              b.peak);
    free(b.times.ms);
    for (int i = 0; i < b.n_sessions; i++) {
        oc_session_destroy(b.sessions[i]);
    }
    free(b.sessions);
    cli_inputs_deinit(&b.inputs);
    oc_model_destroy(b.model);
    return code;
}

static const cli_option options[] = {
    {"time", 0, "S", "seconds to measure for (default 3)", NULL},
    {"sessions", 0, "N", "sessions to run at once (default 1)", NULL},
    {"layers", 'l', NULL, "time every layer, too", NULL},
    {"roofline", 0, "FILE", "draw as SVG what bounds each layer", NULL},
    {"input", 'i', "NAME=FILE",
     "value of an input (repeatable): .npy, .npz, .pb or a picture", NULL},
    CLI_OPT_SHAPE,
    CLI_OPT_SEED,
    CLI_OPTS_RUN,
};

const cli_verb cli_verb_bench = {
    "bench",
    "MODEL",
    "measure how fast a model runs",
    "Runs a model again and again on random or given inputs: time to load and "
    "to run first, the fastest, median and 99th percentile run, inputs a "
    "second, and the memory of the process.\n\n"
    "With --layers, the time of each layer, its floating-point operations a "
    "second, and their share of what the cores can do, which is measured, "
    "too. Timing layers costs a little time itself. --roofline draws "
    "them below what the cores and the memory can do.\n\n"
    "With --sessions, so many run at once and share the model's weights, as in "
    "a server: more inputs a second, each of them later. Each has its share of "
    "the cores, or --threads.",
    options,
    1,
    1,
    run_bench,
};
