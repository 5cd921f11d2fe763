/*
 * quantize_speed.c - which layers 8 bits make faster on this machine.
 *
 * The model is timed as it was and with all layers in 8 bits, step by step.
 * What a step takes counts for the layer it belongs to: itself, or the last one
 * before it; layers that one step does together are one group.  Going from f32
 * to 8 bits and back costs something, so the choice is a cheapest path over the
 * groups in the order they run.  That is an estimate: what is taken in the end
 * is the fastest of all, none and the path, by the time of whole runs.
 */
#include "quantize.h"

#include "out.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Of each model: so many seconds, but so many runs at least and at most. */
#define CHOOSE_SECONDS 0.4
#define TELL_SECONDS   0.1
enum { RUNS = 4, MOST_RUNS = 200 };
/* 8 bits must be faster by this much: less is noise. */
#define WORTH 0.98

/* ---- whole runs -----------------------------------------------------------
 */

/* Large models are timed one after another, since together they take much
 * memory; runs of such are long, so that a busy moment matters less. */
enum { LARGE_ROUNDS = 2 };

/* Fastest runs of n models that have been started, in turn, so that a busy
 * machine is busy for all. */
static int race(trial *const *t, int n, double seconds, double *ms) {
    int code = CLI_OK;
    double spent = 0;
    for (int i = 0; i <= MOST_RUNS && !code; i++) {
        if (i > RUNS && spent > seconds * n) break;
        for (int k = 0; k < n && !code; k++) {
            double start = out_seconds();
            code = trial_run(t[k], 0);
            double took = out_seconds() - start;
            if (i) ms[k] = fmin(ms[k], 1e3 * took); /* the first one plans */
            if (i) spent += took;
        }
    }
    return code;
}

/* ---- steps ----------------------------------------------------------------
 */

typedef struct profile {
    double *ms; /* of each layer; 0: it is no step of its own */
    double coder_ms;
    int coders;
} profile;

static int layer_called(const quantize *r, const char *name, int from) {
    for (int i = 0; i < r->n_layers; i++) {
        int at = (from + i) % r->n_layers;
        if (!strcmp(oc_quantizer_name(r->q, at), name)) return at;
    }
    return -1;
}

static int is_coder(const char *op) {
    return !strcmp(op, "QuantizeLinear") || !strcmp(op, "DequantizeLinear");
}

/* Fastest times of the steps, summed up by layers. */
static void read_profile(const quantize *r, const trial *t, profile *p) {
    double early = 0; /* before the first layer: counts for it */
    int at = -1;
    for (int i = 0; i < oc_session_step_count(t->session); i++) {
        oc_step_info s;
        if (oc_session_step(t->session, i, &s)) continue;
        double ms = 1e-6 * (double)s.min_ns;
        int found = *s.name ? layer_called(r, s.name, at < 0 ? 0 : at) : -1;
        if (found >= 0) at = found;
        if (at < 0)
            early += ms;
        else
            p->ms[at] += ms;
        if (!is_coder(s.op)) continue;
        p->coder_ms += ms;
        p->coders++;
    }
    for (int i = 0; i < r->n_layers && early > 0; i++) {
        if (!(p->ms[i] > 0)) continue;
        p->ms[i] += early;
        early = 0;
    }
}

/* Fastest runs of n models.  p: their profiles, or NULL. */
static int time_all(quantize *r, trial *const *t, int n, double seconds,
                    double *ms, profile *p) {
    int large = t[0]->is_large;
    int rounds = large && !p ? LARGE_ROUNDS : 1, step = large ? 1 : n;
    int code = CLI_OK;
    for (int k = 0; k < n; k++)
        ms[k] = INFINITY;
    for (int i = 0; i < rounds; i++)
        for (int k = 0; k < n && !code; k += step) {
            for (int j = k; j < k + step && !code; j++)
                code = trial_start(t[j], p != NULL);
            if (!code) code = race(t + k, step, seconds / rounds, ms + k);
            for (int j = k; j < k + step; j++) {
                if (!code && p) read_profile(r, t[j], &p[j]);
                trial_stop(t[j]);
            }
        }
    return code;
}

/* Both step by step and, as fairly as can be, whole: ms of the fastest runs. */
static int profile_both(quantize *r, trial *const *t, profile *p, double *ms) {
    for (int k = 0; k < 2; k++) {
        p[k].ms = calloc((size_t)r->n_layers + 1, sizeof *p[k].ms);
        if (!p[k].ms) return cli_fail(CLI_RESOURCES, "out of memory");
    }
    return time_all(r, t, 2, TELL_SECONDS, ms, p);
}

/* ---- the path -------------------------------------------------------------
 */

/* The last layer of the group that begins with layer i: one that is a step of
 * its own both times. */
static int group_end(const profile *before, const profile *all, int i, int n) {
    while (i < n - 1 && !(before->ms[i] > 0 && all->ms[i] > 0))
        i++;
    return i;
}

/* take[i]: whether layer i is faster in 8 bits, all things considered. */
static void cheapest_path(const profile *before, const profile *all, int n,
                          char *take, char *from) {
    double change = all->coders ? all->coder_ms / all->coders : 0;
    double best[2] = {0, change};
    for (int i = 0, end; i < n; i = end + 1) {
        double cost[2] = {0, 0}, next[2];
        end = group_end(before, all, i, n);
        for (int k = i; k <= end; k++) {
            cost[0] += before->ms[k];
            cost[1] += all->ms[k];
        }
        for (int s = 0; s < 2; s++) {
            int other = best[!s] + change < best[s];
            next[s] = (other ? best[!s] + change : best[s]) + cost[s];
            for (int k = i; k <= end; k++) /* the state before this group */
                from[2 * k + s] = (char)(other ? !s : s);
        }
        memcpy(best, next, sizeof best);
    }
    int state = best[1] + change < best[0];
    for (int i = n - 1; i >= 0; i--) {
        take[i] = (char)state;
        /* A new group begins where the layer before ends one. */
        if (i && group_end(before, all, i - 1, n) == i - 1)
            state = from[2 * i + state];
    }
}

/* ---- choosing -------------------------------------------------------------
 */

static int apply(quantize *r, const char *take) {
    int code = CLI_OK;
    for (int i = 0; i < r->n_layers && !code; i++)
        if (quantize_may(r, i))
            code =
                quantize_set(r, i, take[i] ? OC_QUANT_INT8 : OC_QUANT_WEIGHTS);
    return code;
}

static void explain(quantize *r, const char *take) {
    int any = 0;
    for (int i = 0; i < r->n_layers; i++)
        any |= take[i];
    for (int i = 0; i < r->n_layers; i++) {
        const layer *l = &r->layers[i];
        if (!quantize_may(r, i)) continue;
        if (take[i])
            quantize_because(r, i, "speed: the model is faster with it");
        else if (any && l->ms_int8 > l->ms_before)
            quantize_because(r, i, "speed: %.3f ms in f32, %.3f in 8 bits",
                             l->ms_before, l->ms_int8);
        else if (any)
            quantize_because(r, i, "speed: its neighbours are in f32");
        else
            quantize_because(r, i, "speed: the model is faster in f32");
    }
}

/* The fastest of none, all, and what the path says. */
static int choose(quantize *r, const profile *before, const profile *all,
                  char *take) {
    size_t n = (size_t)r->n_layers;
    char *from = calloc(2 * n + 1, 1);
    trial none, full, path;
    trial *t[3] = {&none, &full, &path};
    double ms[3];
    int some = 0, every = 1;
    if (!from) return cli_fail(CLI_RESOURCES, "out of memory");
    cheapest_path(before, all, r->n_layers, take, from);
    free(from);
    for (size_t i = 0; i < n; i++) {
        some |= take[i];
        every &= take[i] || !quantize_may(r, (int)i);
    }
    /* What is written needs the quantizer's weights, and then no more: the
       large one comes last. */
    memset(&path, 0, sizeof path);
    memset(&none, 0, sizeof none);
    int code = trial_open(&full, r, 0), third = some && !every;
    if (!code && third) code = apply(r, take);
    if (!code && third) code = trial_open(&path, r, 0);
    if (!code) code = trial_open(&none, r, 1);
    if (!code) code = time_all(r, t, 2 + third, CHOOSE_SECONDS, ms, NULL);
    if (!code) {
        int best = third && ms[2] < ms[1] ? 2 : 1;
        if (ms[best] >= ms[0] * WORTH) best = 0;
        if (best < 2) memset(take, best, n);
    }
    trial_close(&none);
    trial_close(&full);
    if (third) trial_close(&path);
    return code;
}

int quantize_for_speed(quantize *r) {
    profile p[2] = {{0}, {0}};
    trial f32, i8, *both[2] = {&f32, &i8};
    double ms[2];
    char *take = calloc((size_t)r->n_layers + 1, 1);
    int code = take ? CLI_OK : cli_fail(CLI_RESOURCES, "out of memory");
    memset(&f32, 0, sizeof f32);
    memset(&i8, 0, sizeof i8);
    if (!code) code = trial_open(&i8, r, 0);
    if (!code) code = trial_open(&f32, r, 1);
    if (!code) code = profile_both(r, both, p, ms);
    trial_close(&f32);
    trial_close(&i8);
    for (int i = 0; i < r->n_layers && !code; i++) {
        r->layers[i].ms_before = p[0].ms[i];
        r->layers[i].ms_int8 = p[1].ms[i];
    }
    if (!code) code = choose(r, &p[0], &p[1], take);
    if (!code) code = apply(r, take);
    if (!code) explain(r, take);
    free(p[0].ms);
    free(p[1].ms);
    free(take);
    return code;
}

int quantize_time(quantize *r) {
    profile p[2] = {{0}, {0}};
    trial was, is, *both[2] = {&was, &is};
    double ms[2] = {0, 0};
    memset(&was, 0, sizeof was);
    int code = trial_open(&is, r, 0);
    if (!code) code = trial_open(&was, r, 1);
    if (!code) code = profile_both(r, both, p, ms);
    for (int i = 0; i < r->n_layers && !code; i++) {
        r->layers[i].ms_before = p[0].ms[i];
        r->layers[i].ms_after = p[1].ms[i];
    }
    r->ms_before = ms[0];
    r->ms_after = ms[1];
    trial_close(&was);
    trial_close(&is);
    free(p[0].ms);
    free(p[1].ms);
    return code;
}
