/* quantize_report.c - what was done to which layer, and why. */
#define _POSIX_C_SOURCE 200809L

#include "quantize.h"

#include "json.h"
#include "out.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { BINS = 32 };

double quantize_bytes(const char *path) {
    struct stat s;
    return stat(path, &s) ? 0 : (double)s.st_size;
}

/* The share of the layers' time, as they were, that those of p took. */
static double time_in(const quantize *r, oc_quant_precision p) {
    double part = 0, all = 1e-30;
    for (int i = 0; i < r->n_layers; i++) {
        double ms = r->layers[i].ms_before;
        all += isfinite(ms) ? ms : 0;
        part += isfinite(ms) && quantize_get(r, i) == p ? ms : 0;
    }
    return part / all;
}

/* ---- JSON -----------------------------------------------------------------
 */

static void json_layer(const quantize *r, int i, json *j) {
    const layer *l = &r->layers[i];
    oc_quantized_node n;
    double shares[BINS];
    float least, most;
    if (oc_quantizer_node(r->q, i, &n)) return;
    json_object(j, NULL);
    json_string(j, "name", n.name);
    json_string(j, "op", n.op);
    json_string(j, "precision", oc_quant_precision_name(n.precision));
    json_string(j, "why", l->why);
    json_int(j, "weights", n.weights);
    json_int(j, "bits", n.bits);
    json_int(j, "group", n.group);
    json_double(j, "sqnr_db", n.sqnr_db);
    if (n.product_sqnr_db > 0)
        json_double(j, "product_sqnr_db", n.product_sqnr_db);
    if (n.nearest_sqnr_db > 0)
        json_double(j, "nearest_sqnr_db", n.nearest_sqnr_db);
    json_double(j, "input_sqnr_db", n.input_sqnr_db);
    if (n.equalized > 0) json_double(j, "equalized", n.equalized);
    json_double(j, "output_sqnr_db", l->damage_db);
    json_double(j, "lo", (double)n.lo);
    json_double(j, "hi", (double)n.hi);
    json_double(j, "scale", (double)n.scale);
    json_double(j, "ms_before", l->ms_before);
    json_double(j, "ms_after", l->ms_after);
    if (!oc_quantizer_histogram(r->q, i, BINS, shares, &least, &most)) {
        json_object(j, "input");
        json_double(j, "least", (double)least);
        json_double(j, "most", (double)most);
        json_row(j, "histogram");
        for (int k = 0; k < BINS; k++)
            json_float(j, NULL, (float)shares[k]);
        json_end(j);
        json_end(j);
    }
    json_end(j);
}

static const char *rounding_of(const quantize *r) {
    return r->is_rounded && r->used ? "pictures" : "nearest";
}

void quantize_report_json(const quantize *r) {
    json j;
    json_begin(&j, stdout);
    json_object(&j, NULL);
    json_string(&j, "model", r->args->operands[0]);
    json_string(&j, "output", r->output);
    json_int(&j, "images", (int64_t)r->used);
    json_int(&j, "skipped", (int64_t)r->skipped);
    json_double(&j, "seconds", r->seconds);
    json_double(&j, "bytes_before", quantize_bytes(r->args->operands[0]));
    json_double(&j, "bytes_after", quantize_bytes(r->output));
    json_double(&j, "ms_before", r->ms_before);
    json_double(&j, "ms_after", r->ms_after);
    json_string(&j, "rounding", rounding_of(r));
    if (r->metric) {
        json_object(&j, "accuracy");
        json_string(&j, "metric", r->metric);
        json_double(&j, "before", r->figure_before);
        json_double(&j, "first", r->figure_first);
        if (r->has_other)
            json_double(&j, r->is_equalized ? "not_equalized" : "equalized",
                        r->figure_other);
        if (r->has_rounding)
            json_double(
                &j, r->is_rounded ? "rounded_nearest" : "rounded_by_pictures",
                r->figure_rounding);
        json_double(&j, "after", r->figure_after);
        json_double(&j, "max_drop", r->max_drop);
        json_int(&j, "measured", r->measured);
        json_end(&j);
    }
    json_double(&j, "int8_share", time_in(r, OC_QUANT_INT8));
    json_array(&j, "layers");
    for (int i = 0; i < r->n_layers; i++)
        json_layer(r, i, &j);
    json_end(&j);
    json_end(&j);
}

/* ---- the page -------------------------------------------------------------
 */

static const char *base_of(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* The command line as it was given, malloc'ed. */
static char *command_of(const cli_args *args) {
    size_t bytes = 32;
    for (int i = 0; i < args->n_operands; i++)
        bytes += strlen(args->operands[i]) + 1;
    for (int i = 0; i < args->n_given; i++)
        bytes += strlen(args->given[i].option->name) +
                 strlen(args->given[i].value) + 4;
    char *out = malloc(bytes);
    if (!out) return NULL;
    strcpy(out, "ocelli quantize");
    for (int i = 0; i < args->n_operands; i++) {
        strcat(out, " ");
        strcat(out, args->operands[i]);
    }
    for (int i = 0; i < args->n_given; i++) {
        strcat(strcat(out, " --"), args->given[i].option->name);
        if (*args->given[i].value)
            strcat(strcat(out, " "), args->given[i].value);
    }
    return out;
}

int quantize_report_page(const quantize *r) {
    const char *path = cli_get(r->args, "report", NULL);
    size_t n = (size_t)r->n_layers;
    oc_quant_note *notes = calloc(n + 1, sizeof *notes);
    char *command = command_of(r->args);
    oc_error err;
    int code = CLI_OK;
    if (!notes || !command) {
        free(notes);
        free(command);
        return cli_fail(CLI_RESOURCES, "out of memory");
    }
    for (size_t i = 0; i < n; i++)
        notes[i] =
            (oc_quant_note){r->layers[i].why, r->layers[i].damage_db,
                            r->layers[i].ms_before, r->layers[i].ms_after};
    oc_quant_report page = {.title = base_of(r->output),
                            .command = command,
                            .images = r->used,
                            .bytes_before =
                                quantize_bytes(r->args->operands[0]),
                            .bytes_after = quantize_bytes(r->output),
                            .ms_before = r->ms_before,
                            .ms_after = r->ms_after,
                            .metric = r->metric,
                            .figure_before = r->figure_before,
                            .figure_after = r->figure_after,
                            .max_drop = r->max_drop,
                            .notes = notes};
    if (oc_quantizer_report(r->q, &page, path, &err)) {
        code = cli_report(&err, path);
        if (err.status == OC_E_IO) code = CLI_FAILED;
    }
    free(notes);
    free(command);
    return code;
}

/* ---- text -----------------------------------------------------------------
 */

/* Which layers are not in 8 bits though they might be, by reason. */
static void text_layers(const quantize *r) {
    int i8 = quantize_count(r, OC_QUANT_INT8);
    int weights = quantize_count(r, OC_QUANT_WEIGHTS);
    int f32 = quantize_count(r, OC_QUANT_F32);
    printf("%d of %d layers computed in 8 bits, from %zu pictures in "
           "%.1f s\n",
           i8, r->n_layers, r->used, r->seconds);
    if (weights)
        printf("%d computed in f32, which is faster on this machine; their "
               "weights are in 8 bits\n",
               weights);
    if (f32)
        printf("%d stay in f32 as they were%s\n", f32,
               r->metric ? ", for the accuracy or as asked for" : "");
    if (f32 && r->figure_first < r->figure_before - r->max_drop)
        printf("with them in 8 bits %s is %.4f, and %.4f is asked for; "
               "layers in 8 bits took %.0f %% of the time\n",
               r->metric, r->figure_first, r->figure_before - r->max_drop,
               100 * time_in(r, OC_QUANT_INT8));
}

/* The same where weights alone were. */
static void text_weights(const quantize *r) {
    int n[3] = {0}; /* in 4 bits, in 8, in 32 */
    oc_quantized_node node;
    for (int i = 0; i < r->n_layers; i++)
        if (!oc_quantizer_node(r->q, i, &node))
            n[node.bits == 4 ? 0 : node.bits == 8 ? 1 : 2]++;
    if (n[0])
        printf("%d of %d layers have weights in 4 bits, groups of %d\n", n[0],
               r->n_layers, r->group ? r->group : OC_QUANT_GROUP);
    if (n[1])
        printf("%d of %d layers have weights in 8 bits\n", n[1], r->n_layers);
    if (n[2]) printf("%d stay in f32 as they were\n", n[2]);
    if (r->used)
        printf("rounded by what %zu pictures give, in %.1f s\n", r->used,
               r->seconds);
}

static void text_worst(const quantize *r) {
    oc_quantized_node n, worst = {0};
    int any = 0;
    for (int i = 0; i < r->n_layers; i++) {
        if (oc_quantizer_node(r->q, i, &n) || n.precision == OC_QUANT_F32)
            continue;
        if (!any || n.sqnr_db < worst.sqnr_db) worst = n;
        any = 1;
    }
    if (!any) return;
    printf("%smost rounded weights: ", out_color(stdout, OUT_DIM));
    out_text(stdout, worst.name);
    printf(", %.1f dB over their rounding%s\n", worst.sqnr_db,
           out_color(stdout, OUT_PLAIN));
}

static void text_kept(const quantize *r) {
    out_table t;
    if (!r->metric) return;
    out_table_init(&t, "lll");
    for (int i = 0; i < r->n_layers; i++) {
        if (!isfinite(r->layers[i].damage_db) ||
            quantize_get(r, i) != OC_QUANT_F32)
            continue;
        out_cell(&t, "  %.40s", oc_quantizer_name(r->q, i));
        out_cell(&t, "f32");
        out_cell(&t, "%s", r->layers[i].why);
    }
    out_table_print(&t, stdout, 0);
    out_table_deinit(&t);
}

void quantize_report_text(const quantize *r) {
    char before[16], after[16];
    if (r->quiet) return;
    if (r->weight_bits)
        text_weights(r);
    else
        text_layers(r);
    text_kept(r);
    if (r->metric)
        printf("%s %.4f -> %.4f, measured %d times\n", r->metric,
               r->figure_before, r->figure_after, r->measured);
    if (r->has_rounding)
        printf("weights rounded %s: the other way it was %.4f\n",
               r->is_rounded ? "as the pictures have it" : "to the nearest",
               r->figure_rounding);
    if (r->ms_after > 0)
        printf("%.2f ms -> %.2f ms a run\n", r->ms_before, r->ms_after);
    printf("%s -> %s: ",
           out_bytes(quantize_bytes(r->args->operands[0]), before, 16),
           out_bytes(quantize_bytes(r->output), after, 16));
    out_text(stdout, r->output);
    putchar('\n');
    text_worst(r);
}

void quantize_warn(const quantize *r) {
    if (!(r->ms_after > 1.03 * r->ms_before) ||
        !quantize_count(r, OC_QUANT_INT8))
        return;
    fprintf(stderr,
            "%son this machine the model is slower in 8 bits: %.2f ms, in f32 "
            "%.2f ms; --machine this gives one that is not%s\n",
            out_color(stderr, OUT_YELLOW), r->ms_after, r->ms_before,
            out_color(stderr, OUT_PLAIN));
}
