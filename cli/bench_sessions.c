/*
 * bench_sessions.c - several sessions of one model at once, each in a thread
 * of its own, as a server has them.
 */
#include "bench.h"

#include "out.h"

#include <pthread.h>
#include <stdlib.h>

/* One session on its way. */
typedef struct lane {
    pthread_t thread;
    oc_session *session;
    double seconds;
    bench_times times;
    oc_status status;
    oc_error err;
} lane;

int bench_add_time(bench_times *t, double ms) {
    if (t->n == t->capacity) {
        size_t more = t->capacity ? 2 * t->capacity : 256;
        double *grown = realloc(t->ms, more * sizeof(*grown));
        if (!grown) return -1;
        t->ms = grown;
        t->capacity = more;
    }
    t->ms[t->n++] = ms;
    return 0;
}

static void *run_lane(void *arg) {
    lane *l = arg;
    double begun = out_seconds(), now = begun;
    while (!l->status && (now - begun < l->seconds || l->times.n < 3)) {
        double start = now;
        l->status = oc_session_run(l->session, &l->err);
        now = out_seconds();
        if (!l->status && bench_add_time(&l->times, 1e3 * (now - start)))
            l->status = OC_E_NOMEM;
    }
    return NULL;
}

static int finish(lane *lanes, int n, const char *model, bench_times *out) {
    int code = CLI_OK;
    for (int i = 0; i < n; i++) {
        lane *l = &lanes[i];
        if (l->status && !code)
            code = l->status == OC_E_NOMEM
                       ? cli_fail(CLI_RESOURCES, "out of memory")
                       : cli_report(&l->err, model);
        for (size_t k = 0; k < l->times.n && !code; k++) {
            if (bench_add_time(out, l->times.ms[k]))
                code = cli_fail(CLI_RESOURCES, "out of memory");
        }
        free(l->times.ms);
    }
    return code;
}

int bench_at_once(oc_session **sessions, int n, const char *model,
                  double seconds, bench_times *out) {
    int started = 0;
    lane *lanes = calloc((size_t)n, sizeof(*lanes));
    if (!lanes) return cli_fail(CLI_RESOURCES, "out of memory");
    double begun = out_seconds();
    for (; started < n; started++) {
        lane *l = &lanes[started];
        l->session = sessions[started];
        l->seconds = seconds;
        if (pthread_create(&l->thread, NULL, run_lane, l)) break;
    }
    for (int i = 0; i < started; i++)
        pthread_join(lanes[i].thread, NULL);
    out->wall_s = out_seconds() - begun;
    int code = finish(lanes, started, model, out);
    free(lanes);
    if (!code && started < n)
        code = cli_fail(CLI_RESOURCES, "the system refuses new threads");
    return code;
}
