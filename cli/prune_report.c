/* prune_report.c - what was taken out, and what that is worth. */
#define _POSIX_C_SOURCE 200809L

#include "pruning.h"

#include "inputs.h"
#include "json.h"
#include "out.h"

#include <math.h>
#include <string.h>
#include <sys/stat.h>

/* Of each model: so many seconds, but so many runs at least and at most. */
#define SECONDS 0.5
enum { RUNS = 10, MOST_RUNS = 400 };

/* ---- both models beside each other ----------------------------------------
 */

typedef struct side {
    const char *path;
    oc_model *model;
    oc_session *session;
    cli_inputs inputs;
    prune_figures *to;
} side;

static int open_side(prune *r, side *s) {
    struct stat file;
    oc_model_summary sum;
    int code = cli_load_model(r->args, s->path, &s->model);
    if (!code) code = cli_create_session(r->args, s->model, 1, &s->session);
    if (!code) code = cli_inputs_init(&s->inputs, s->model);
    if (!code) code = cli_inputs_random(&s->inputs, s->model, r->args);
    if (!code) code = cli_inputs_set(&s->inputs, s->model, s->session);
    if (code) return code;
    oc_model_summarize(s->model, &sum);
    s->to->parameters = (double)sum.parameter_elems;
    s->to->bytes = stat(s->path, &file) ? 0 : (double)file.st_size;
    s->to->ms = INFINITY;
    return CLI_OK;
}

static void close_side(side *s) {
    cli_inputs_deinit(&s->inputs);
    oc_session_destroy(s->session);
    oc_model_destroy(s->model);
}

static int run_side(side *s, int count) {
    oc_error err;
    double start = out_seconds();
    if (oc_session_run(s->session, &err)) return cli_report(&err, s->path);
    double ms = 1e3 * (out_seconds() - start);
    if (count && ms < s->to->ms) s->to->ms = ms;
    return CLI_OK;
}

/* Half of the operations in f32 are products. */
static double products(const oc_session *s) {
    double sum = 0;
    oc_step_info info;
    for (int i = 0; !oc_session_step(s, i, &info); i++)
        sum += info.flops / 2;
    return sum;
}

/* In turn, so that a busy machine is busy for both. */
int prune_compare(prune *r) {
    side s[2] = {{.path = r->model, .to = &r->before},
                 {.path = r->output, .to = &r->after}};
    int code = open_side(r, &s[0]);
    if (!code) code = open_side(r, &s[1]);
    double start = out_seconds();
    for (int i = 0; i <= MOST_RUNS && !code; i++) {
        if (i > RUNS && out_seconds() - start > 2 * SECONDS) break;
        for (int k = 0; k < 2 && !code; k++)
            code = run_side(&s[k], i > 0); /* the first one plans */
    }
    for (int k = 0; k < 2; k++) {
        if (!code) s[k].to->products = products(s[k].session);
        close_side(&s[k]);
    }
    return code;
}

/* ---- JSON -----------------------------------------------------------------
 */

static void json_figures(json *j, const char *name, const prune *r,
                         const prune_figures *f) {
    json_object(j, name);
    json_double(j, "bytes", f->bytes);
    json_double(j, "parameters", f->parameters);
    json_double(j, "multiply_adds", f->products);
    json_double(j, "ms", f->ms);
    if (r->metric) json_double(j, r->metric, f->top1);
    json_end(j);
}

static void report_json(prune *r) {
    json j;
    oc_error err;
    oc_pruned_group g;
    json_begin(&j, stdout);
    json_object(&j, NULL);
    json_string(&j, "model", r->model);
    json_string(&j, "output", r->output);
    json_double(&j, "channels", r->opt.channels);
    json_double(&j, "sparsity", r->opt.sparsity);
    json_int(&j, "epochs", r->epochs);
    json_double(&j, "seconds", r->seconds);
    json_figures(&j, "before", r, &r->before);
    json_figures(&j, "after", r, &r->after);
    json_array(&j, "groups");
    for (int i = 0; !oc_pruner_group(r->pruner, i, &g, &err); i++) {
        json_object(&j, NULL);
        json_string(&j, "name", g.name);
        json_int(&j, "layers", g.layers);
        json_int(&j, "channels", g.channels);
        json_int(&j, "kept", g.kept);
        if (g.why) json_string(&j, "why", g.why);
        json_end(&j);
    }
    json_end(&j);
    json_end(&j);
}

/* ---- text -----------------------------------------------------------------
 */

static void text_groups(prune *r) {
    out_table t;
    oc_error err;
    oc_pruned_group g;
    if (r->opt.channels == 0) return;
    out_table_init(&t, "lrrrl");
    out_cell(&t, "first layer");
    out_cell(&t, "layers");
    out_cell(&t, "channels");
    out_cell(&t, "kept");
    out_cell(&t, "%s", "");
    for (int i = 0; !oc_pruner_group(r->pruner, i, &g, &err); i++) {
        out_cell(&t, "%.40s", g.name);
        out_cell(&t, "%d", g.layers);
        out_cell(&t, "%lld", (long long)g.channels);
        out_cell(&t, "%lld", (long long)g.kept);
        out_cell(&t, "%s", g.why ? g.why : "");
    }
    out_table_print(&t, stdout, 1);
    out_table_deinit(&t);
}

static void report_text(prune *r) {
    const prune_figures *a = &r->before, *b = &r->after;
    char x[16], y[16];
    text_groups(r);
    printf("%s -> %s parameters, ", out_count(a->parameters, x, sizeof(x)),
           out_count(b->parameters, y, sizeof(y)));
    printf("%s -> %s multiply-adds\n", out_count(a->products, x, sizeof(x)),
           out_count(b->products, y, sizeof(y)));
    printf("%.2f ms -> %.2f ms a run", a->ms, b->ms);
    if (b->ms > 0) printf(", %.2f times as fast", a->ms / b->ms);
    putchar('\n');
    if (r->metric) printf("%s %.4f -> %.4f\n", r->metric, a->top1, b->top1);
    printf("%s -> %s: ", out_bytes(a->bytes, x, sizeof(x)),
           out_bytes(b->bytes, y, sizeof(y)));
    out_text(stdout, r->output);
    putchar('\n');
    if (!r->epochs && r->opt.channels > 0)
        printf("%sit has to learn again: ocelli train --model, or --data "
               "here%s\n",
               out_color(stdout, OUT_DIM), out_color(stdout, OUT_PLAIN));
}

void prune_report(prune *r) {
    if (r->json)
        report_json(r);
    else if (!r->quiet)
        report_text(r);
}
