/* verb_quantize.c - ocelli quantize: a model in 8 bits. */
#define _POSIX_C_SOURCE 200809L

#include "cli.h"
#include "json.h"
#include "out.h"
#include "pictures.h"
#include "vision_args.h"

#include <ocelli/quant.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { IMAGES = 300, MAX_IGNORE = 64 };

typedef struct run {
    const cli_args *args;
    cli_vision v;
    oc_quantizer *q;
    picture_list pictures;
    char *output;
    size_t used, skipped;
    double seconds;
} run;

/* ---- samples --------------------------------------------------------------
 */

static int add_picture(run *r, const char *path) {
    oc_image_options opt = {0};
    oc_image img = {0};
    oc_tensor t;
    oc_error err;
    int n = oc_model_input_count(r->v.model), input, code = CLI_OK;
    const oc_tensor **inputs = calloc((size_t)n + 1, sizeof *inputs);
    if (!inputs) return cli_fail(CLI_RESOURCES, "out of memory");
    oc_vision_load_options(r->v.vision, &opt);
    oc_status st = oc_image_load(&img, path, &opt, &err);
    if (st) {
        /* One bad picture among many costs itself alone. */
        cli_report(&err, path);
        r->skipped++;
    } else {
        st = oc_vision_preprocess(r->v.vision, &img, &t, &input, &err);
        if (!st) {
            inputs[input] = &t;
            st = oc_quantizer_add(r->q, inputs, n, &err);
        }
        if (st) code = cli_report(&err, path);
        r->used += !st;
    }
    oc_image_deinit(&img);
    free(inputs);
    return code;
}

/* As many as asked for, evenly out of all. */
static int calibrate(run *r) {
    int64_t most;
    out_progress bar;
    int code = cli_get_int(r->args, "images", 1, 1000000, IMAGES, &most);
    if (code) return code;
    size_t n = r->pictures.n, take = n < (size_t)most ? n : (size_t)most;
    out_progress_begin(&bar, "calibrate", (int64_t)take,
                       cli_has(r->args, "quiet"));
    for (size_t i = 0; i < take && !code; i++) {
        code = add_picture(r, r->pictures.paths[i * n / take]);
        out_progress_add(&bar, 1);
    }
    out_progress_end(&bar);
    if (!code && !r->used)
        code = cli_fail(CLI_BAD_INPUT, "none of the pictures could be read");
    return code;
}

/* ---- the report -----------------------------------------------------------
 */

static double file_bytes(const char *path) {
    struct stat s;
    return stat(path, &s) ? 0 : (double)s.st_size;
}

static void report_json(const run *r) {
    json j;
    json_begin(&j, stdout);
    json_object(&j, NULL);
    json_string(&j, "model", r->args->operands[0]);
    json_string(&j, "output", r->output);
    json_int(&j, "images", (int64_t)r->used);
    json_int(&j, "skipped", (int64_t)r->skipped);
    json_double(&j, "seconds", r->seconds);
    json_double(&j, "bytes_before", file_bytes(r->args->operands[0]));
    json_double(&j, "bytes_after", file_bytes(r->output));
    json_array(&j, "layers");
    for (int i = 0; i < oc_quantizer_node_count(r->q); i++) {
        oc_quantized_node n;
        if (oc_quantizer_node(r->q, i, &n)) continue;
        json_object(&j, NULL);
        json_string(&j, "name", n.name);
        json_string(&j, "op", n.op);
        json_string(&j, "precision", n.quantized ? "int8" : "f32");
        json_int(&j, "weights", n.weights);
        json_double(&j, "sqnr_db", n.sqnr_db);
        json_double(&j, "lo", (double)n.lo);
        json_double(&j, "hi", (double)n.hi);
        json_double(&j, "scale", (double)n.scale);
        json_end(&j);
    }
    json_end(&j);
    json_end(&j);
}

static void report(const run *r) {
    char before[16], after[16];
    int total = oc_quantizer_node_count(r->q), quantized = 0;
    oc_quantized_node n, worst = {0};
    if (cli_has(r->args, "quiet")) return;
    for (int i = 0; i < total; i++) {
        if (oc_quantizer_node(r->q, i, &n) || !n.quantized) continue;
        if (!quantized || n.sqnr_db < worst.sqnr_db) worst = n;
        quantized++;
    }
    printf("%d of %d layers with weights in 8 bits, from %zu pictures in "
           "%.1f s\n",
           quantized, total, r->used, r->seconds);
    printf(
        "%s -> %s: ", out_bytes(file_bytes(r->args->operands[0]), before, 16),
        out_bytes(file_bytes(r->output), after, 16));
    out_text(stdout, r->output);
    printf("\n%sroundest weights: ", out_color(stdout, OUT_DIM));
    out_text(stdout, *worst.name ? worst.name : worst.op);
    printf(", %.1f dB over their rounding%s\n", worst.sqnr_db,
           out_color(stdout, OUT_PLAIN));
}

/* ---- the verb -------------------------------------------------------------
 */

/* "net.onnx" becomes "net.int8.onnx", where -o says nothing. */
static char *output_for(const cli_args *args) {
    const char *given = cli_get(args, "output", NULL);
    const char *model = args->operands[0];
    if (given) return strdup(given);
    size_t n = strlen(model);
    char *out = malloc(n + 16);
    if (!out) return NULL;
    memcpy(out, model, n + 1);
    if (n > 5 && !strcmp(out + n - 5, ".onnx")) out[n - 5] = '\0';
    strcat(out, ".int8.onnx");
    return out;
}

static int create(run *r) {
    const char *ignore[MAX_IGNORE];
    oc_quantize_options opt = {.ignore = ignore};
    const char *range = cli_get(r->args, "range", "mse"), *pattern;
    int64_t threads;
    oc_error err;
    int code = cli_get_int(r->args, "threads", 1, 1024, 0, &threads);
    if (!code)
        code = cli_get_double(r->args, "percentile", 50, 100, 99.99,
                              &opt.percentile);
    if (code) return code;
    opt.threads = (int)threads;
    opt.range = !strcmp(range, "minmax")       ? OC_QUANT_MINMAX
                : !strcmp(range, "percentile") ? OC_QUANT_PERCENTILE
                                               : OC_QUANT_MSE;
    opt.per_tensor = cli_has(r->args, "per-tensor");
    opt.no_bias_correction = cli_has(r->args, "no-bias-correction");
    for (int i = 0; (pattern = cli_get_nth(r->args, "ignore", i)) != NULL;
         i++) {
        if (i == MAX_IGNORE)
            return cli_fail(CLI_USAGE, "more than %d patterns to ignore",
                            MAX_IGNORE);
        ignore[opt.n_ignore++] = pattern;
    }
    if (oc_quantizer_create(&r->q, r->v.model, &opt, &err))
        return cli_report(&err, r->args->operands[0]);
    return CLI_OK;
}

static int run_quantize(cli_args *args) {
    run r = {.args = args};
    oc_error err;
    const char *data = cli_get(args, "data", NULL);
    if (!data && args->n_operands < 2)
        return cli_fail(CLI_USAGE, "quantize needs pictures like those the "
                                   "model will see: --data DIR, or their names "
                                   "behind the model's");
    double start = out_seconds();
    int code = cli_vision_init(&r.v, args, OC_TASK_NONE, 0, 0);
    if (!code) code = create(&r);
    if (!code && data) code = pictures_add(&r.pictures, data);
    for (int i = 1; i < args->n_operands && !code; i++)
        code = pictures_add(&r.pictures, args->operands[i]);
    if (!code) code = calibrate(&r);
    r.output = output_for(args);
    if (!code && !r.output) code = cli_fail(CLI_RESOURCES, "out of memory");
    if (!code && oc_quantizer_save(r.q, r.output, &err)) {
        code = cli_report(&err,
                          err.status == OC_E_IO ? r.output : args->operands[0]);
        if (err.status == OC_E_IO) code = CLI_FAILED;
    }
    r.seconds = out_seconds() - start;
    if (!code && cli_has(args, "json")) report_json(&r);
    if (!code && !cli_has(args, "json")) report(&r);
    free(r.output);
    pictures_deinit(&r.pictures);
    oc_quantizer_destroy(r.q);
    cli_vision_deinit(&r.v);
    return code;
}

static const cli_option options[] = {
    {"output", 'o', "FILE", "the quantized model (default: MODEL.int8.onnx)",
     NULL},
    {"data", 'd', "DIR", "folder of pictures like those the model will see",
     NULL},
    {"images", 'n', "N", "pictures to look at, evenly out of all (default 300)",
     NULL},
    {"range", 0, "HOW", "how ranges of activations are found (default mse)",
     "mse|minmax|percentile"},
    {"percentile", 0, "P",
     "share of the values that percentile keeps inside (default 99.99)", NULL},
    {"ignore", 0, "PATTERN",
     "nodes that stay in f32: a name or an operator, with * and ? "
     "(repeatable)",
     NULL},
    {"per-tensor", 0, NULL, "one scale for a whole weight, not one a channel",
     NULL},
    {"no-bias-correction", 0, NULL,
     "do not take back what rounding does to means", NULL},
    CLI_OPTS_CARD,
    CLI_OPT_THREADS,
    CLI_OPT_CPU,
    CLI_OPT_JSON,
    CLI_OPT_QUIET,
    CLI_OPT_END,
};

const cli_verb cli_verb_quantize = {
    "quantize",
    "MODEL [PICTURE...]",
    "make a model smaller: 8 bits instead of 32",
    "Looks at pictures to find out how large activations get, and writes the "
    "model with weights and activations in 8 bits, as standard ONNX "
    "(QuantizeLinear, DequantizeLinear) that other runtimes load too. A few "
    "hundred pictures are enough; they need no labels.\n\n"
    "Whether the result is as good as the original, `ocelli eval` measures.",
    options,
    1,
    -1,
    run_quantize,
};
