/* metrics.c - see metrics.h. */
#define _POSIX_C_SOURCE 200809L

#include "metrics.h"

#include "basics.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Upper bounds in seconds: fine where good answers are, coarse above. */
static const double bounds[] = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1,
                                0.25,  0.5,    1,     2.5,  5,     10,   30};
enum { BOUNDS = COUNT_OF(bounds), BATCH_BOUNDS = 8 }; /* 1, 2, 4 ... 128 */

typedef struct histogram {
    uint64_t count[BOUNDS + 1];
    double sum;
} histogram;

/* Requests of one route and model. */
typedef struct series {
    struct series *next;
    const char *route, *model;
    histogram stage[STAGE_COUNT];
    uint64_t bytes_in, bytes_out;
} series;

typedef struct counter {
    struct counter *next;
    const char *route, *model;
    int code;
    uint64_t n;
} counter;

typedef struct batches {
    struct batches *next;
    const char *model;
    uint64_t count[BATCH_BOUNDS + 1], rows;
} batches;

struct metrics {
    pthread_mutex_t lock;
    series *series;
    counter *requests, *refusals;
    batches *batches;
    double started;
};

static double wall_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

metrics *metrics_create(void) {
    metrics *m = calloc(1, sizeof *m);
    if (!m) return NULL;
    pthread_mutex_init(&m->lock, NULL);
    m->started = wall_seconds();
    return m;
}

/* All lists here begin with their link. */
static void free_list(void *first) {
    while (first) {
        void *next = *(void **)first;
        free(first);
        first = next;
    }
}

void metrics_destroy(metrics *m) {
    if (!m) return;
    free_list(m->series);
    free_list(m->requests);
    free_list(m->refusals);
    free_list(m->batches);
    pthread_mutex_destroy(&m->lock);
    free(m);
}

/* ---- counting -------------------------------------------------------------
 */

static void observe(histogram *h, double seconds) {
    size_t i = 0;
    while (i < BOUNDS && seconds > bounds[i])
        i++;
    h->count[i]++;
    h->sum += seconds;
}

/* The counter of these, made where there is none; NULL: no memory. */
static counter *find_counter(counter **list, const char *route,
                             const char *model, int code) {
    for (counter *c = *list; c; c = c->next) {
        if (c->route == route && c->model == model && c->code == code) return c;
    }
    counter *c = calloc(1, sizeof *c);
    if (!c) return NULL;
    c->route = route;
    c->model = model;
    c->code = code;
    c->next = *list;
    *list = c;
    return c;
}

static series *find_series(metrics *m, const char *route, const char *model) {
    for (series *s = m->series; s; s = s->next) {
        if (s->route == route && s->model == model) return s;
    }
    series *s = calloc(1, sizeof *s);
    if (!s) return NULL;
    s->route = route;
    s->model = model;
    s->next = m->series;
    m->series = s;
    return s;
}

void metrics_add_request(metrics *m, const metrics_request *r) {
    pthread_mutex_lock(&m->lock);
    counter *c = find_counter(&m->requests, r->route, r->model, r->code);
    if (c) c->n++;
    series *s = find_series(m, r->route, r->model);
    for (int i = 0; s && i < STAGE_COUNT; i++) {
        if (r->ns[i]) observe(&s->stage[i], 1e-9 * (double)r->ns[i]);
    }
    if (s) {
        s->bytes_in += r->bytes_in;
        s->bytes_out += r->bytes_out;
    }
    pthread_mutex_unlock(&m->lock);
}

void metrics_add_batch(metrics *m, const char *model, int64_t rows) {
    pthread_mutex_lock(&m->lock);
    batches *b = m->batches;
    while (b && b->model != model)
        b = b->next;
    if (!b && (b = calloc(1, sizeof *b))) {
        b->model = model;
        b->next = m->batches;
        m->batches = b;
    }
    if (b) {
        int i = 0;
        while (i < BATCH_BOUNDS && rows > INT64_C(1) << i)
            i++;
        b->count[i]++;
        b->rows += (uint64_t)rows;
    }
    pthread_mutex_unlock(&m->lock);
}

void metrics_add_refusal(metrics *m, const char *why) {
    pthread_mutex_lock(&m->lock);
    counter *c = find_counter(&m->refusals, why, NULL, 0);
    if (c) c->n++;
    pthread_mutex_unlock(&m->lock);
}

/* ---- writing --------------------------------------------------------------
 */

static void head(FILE *f, const char *name, const char *type,
                 const char *help) {
    fprintf(f, "# HELP ocelli_%s %s\n# TYPE ocelli_%s %s\n", name, help, name,
            type);
}

/* A label's value: models are named by folders, so anything may be in it. */
static void quoted(FILE *f, const char *text) {
    for (; *text; text++) {
        if (*text == '\\' || *text == '"')
            fprintf(f, "\\%c", *text);
        else if (*text == '\n')
            fputs("\\n", f);
        else
            putc(*text, f);
    }
}

static void names(FILE *f, const char *route, const char *model) {
    fprintf(f, "{route=\"%s\",model=\"", route);
    quoted(f, model);
    putc('"', f);
}

static void write_histogram(FILE *f, const series *s, metrics_stage stage) {
    static const char *const stages[] = {"queue", "decode", "infer", "encode"};
    const char *name = stage == STAGE_TOTAL ? "request" : "stage";
    const histogram *h = &s->stage[stage];
    char label[32] = "";
    uint64_t n = 0;
    if (stage < STAGE_TOTAL)
        snprintf(label, sizeof label, ",stage=\"%s\"", stages[stage]);
    for (size_t i = 0; i <= BOUNDS; i++) {
        n += h->count[i];
        fprintf(f, "ocelli_%s_duration_seconds_bucket", name);
        names(f, s->route, s->model);
        if (i < BOUNDS)
            fprintf(f, "%s,le=\"%g\"} %llu\n", label, bounds[i],
                    (unsigned long long)n);
        else
            fprintf(f, "%s,le=\"+Inf\"} %llu\n", label, (unsigned long long)n);
    }
    fprintf(f, "ocelli_%s_duration_seconds_sum", name);
    names(f, s->route, s->model);
    fprintf(f, "%s} %.9g\n", label, h->sum);
    fprintf(f, "ocelli_%s_duration_seconds_count", name);
    names(f, s->route, s->model);
    fprintf(f, "%s} %llu\n", label, (unsigned long long)n);
}

static void write_times(const metrics *m, FILE *f) {
    head(f, "request_duration_seconds", "histogram",
         "First byte of a request to the last of its answer.");
    for (const series *s = m->series; s; s = s->next) {
        write_histogram(f, s, STAGE_TOTAL);
    }
    head(f, "stage_duration_seconds", "histogram",
         "What requests spent their time with.");
    for (const series *s = m->series; s; s = s->next) {
        /* Routes that need no worker have no stages. */
        if (!*s->model) continue;
        for (int i = 0; i < STAGE_TOTAL; i++) {
            write_histogram(f, s, (metrics_stage)i);
        }
    }
}

static void write_bytes(const metrics *m, FILE *f) {
    head(f, "received_bytes_total", "counter", "Bytes of bodies read.");
    for (const series *s = m->series; s; s = s->next) {
        fputs("ocelli_received_bytes_total", f);
        names(f, s->route, s->model);
        fprintf(f, "} %llu\n", (unsigned long long)s->bytes_in);
    }
    head(f, "sent_bytes_total", "counter", "Bytes of answers' bodies.");
    for (const series *s = m->series; s; s = s->next) {
        fputs("ocelli_sent_bytes_total", f);
        names(f, s->route, s->model);
        fprintf(f, "} %llu\n", (unsigned long long)s->bytes_out);
    }
}

static void write_counters(const metrics *m, FILE *f) {
    head(f, "requests_total", "counter", "Requests answered.");
    for (const counter *c = m->requests; c; c = c->next) {
        fputs("ocelli_requests_total", f);
        names(f, c->route, c->model);
        fprintf(f, ",code=\"%d\"} %llu\n", c->code, (unsigned long long)c->n);
    }
    head(f, "refused_total", "counter", "Requests refused unseen.");
    for (const counter *c = m->refusals; c; c = c->next) {
        fprintf(f, "ocelli_refused_total{reason=\"%s\"} %llu\n", c->route,
                (unsigned long long)c->n);
    }
}

static void write_batches(const metrics *m, FILE *f) {
    head(f, "batch_rows", "histogram",
         "Rows that went through a network together.");
    for (const batches *b = m->batches; b; b = b->next) {
        uint64_t n = 0;
        for (int i = 0; i <= BATCH_BOUNDS; i++) {
            n += b->count[i];
            fputs("ocelli_batch_rows_bucket{model=\"", f);
            quoted(f, b->model);
            if (i < BATCH_BOUNDS)
                fprintf(f, "\",le=\"%d\"} %llu\n", 1 << i,
                        (unsigned long long)n);
            else
                fprintf(f, "\",le=\"+Inf\"} %llu\n", (unsigned long long)n);
        }
        fputs("ocelli_batch_rows_sum{model=\"", f);
        quoted(f, b->model);
        fprintf(f, "\"} %llu\nocelli_batch_rows_count{model=\"",
                (unsigned long long)b->rows);
        quoted(f, b->model);
        fprintf(f, "\"} %llu\n", (unsigned long long)n);
    }
}

static void gauge(FILE *f, const char *name, const char *help, double value) {
    head(f, name, "gauge", help);
    fprintf(f, "ocelli_%s %.17g\n", name, value);
}

/* Bytes this process has in memory; 0 where /proc does not say. */
static double resident_bytes(void) {
    long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (!f) return 0;
    if (fscanf(f, "%*s %ld", &pages) != 1) pages = 0;
    fclose(f);
    return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

static void write_answers(const metrics_gauges *g, FILE *f) {
    if (!g->keeps_answers) return;
    head(f, "answers_found_total", "counter",
         "Requests by whether their answer had been kept.");
    fprintf(f,
            "ocelli_answers_found_total{found=\"yes\"} %llu\n"
            "ocelli_answers_found_total{found=\"no\"} %llu\n",
            (unsigned long long)g->answer_hits,
            (unsigned long long)g->answer_misses);
    gauge(f, "answers", "Answers that are kept.", (double)g->answers);
    gauge(f, "answers_bytes", "Bytes of them.", (double)g->answers_bytes);
}

void metrics_write(metrics *m, const metrics_gauges *g, FILE *f) {
    struct timespec cpu;
    gauge(f, "queue_depth", "Requests that wait for a worker.",
          (double)g->queue_depth);
    gauge(f, "queue_limit", "Requests that may wait.", (double)g->queue_limit);
    gauge(f, "running", "Requests that workers are at.", (double)g->running);
    gauge(f, "workers", "Workers.", (double)g->workers);
    gauge(f, "connections", "Open connections.", (double)g->connections);
    gauge(f, "models_ready", "Versions of models that serve.",
          (double)g->models_ready);
    gauge(f, "models_failed", "Versions of models that could not be loaded.",
          (double)g->models_failed);
    gauge(f, "draining", "1 while the server finishes its last requests.",
          g->draining);
    write_answers(g, f);
    fprintf(f,
            "# HELP process_resident_memory_bytes Memory in use.\n"
            "# TYPE process_resident_memory_bytes gauge\n"
            "process_resident_memory_bytes %.17g\n",
            resident_bytes());
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
    fprintf(f,
            "# HELP process_cpu_seconds_total Time cores worked for it.\n"
            "# TYPE process_cpu_seconds_total counter\n"
            "process_cpu_seconds_total %.17g\n",
            (double)cpu.tv_sec + 1e-9 * (double)cpu.tv_nsec);
    fprintf(f,
            "# HELP process_start_time_seconds When it began.\n"
            "# TYPE process_start_time_seconds gauge\n"
            "process_start_time_seconds %.17g\n",
            m->started);
    pthread_mutex_lock(&m->lock);
    write_counters(m, f);
    write_times(m, f);
    write_bytes(m, f);
    write_batches(m, f);
    pthread_mutex_unlock(&m->lock);
}
