/* verb_quantize.c - ocelli quantize: a model in 8 bits. */
#define _POSIX_C_SOURCE 200809L

#include "quantize.h"

#include "out.h"

#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* How much of what is said in f32 must stay, in percent. */
#define LEAST_AGREEMENT 90
enum { IMAGES = 300, MAX_IGNORE = 256 };
/* Of --memory: for pictures as they are read, what looks at them, and code that
 * is not in memory before it runs. */
#define OTHERS_BYTES ((size_t)16 << 20)

/* ---- samples --------------------------------------------------------------
 */

/* A copy of what the model was given. */
static int keep_sample(quantize *r, const oc_tensor *t, int input) {
    oc_tensor *to = &r->samples[r->n_samples];
    size_t bytes = oc_dtype_bytes(t->dtype);
    for (int i = 0; i < t->rank; i++)
        bytes *= (size_t)t->dims[i];
    *to = *t;
    to->data = malloc(bytes + 1);
    if (!to->data) return cli_fail(CLI_RESOURCES, "out of memory");
    memcpy(to->data, t->data, bytes);
    r->input = input;
    r->n_samples++;
    return CLI_OK;
}

/* Where the library has no use for what --memory leaves it. */
static int too_little(const quantize *r) {
    size_t mb = (size_t)1 << 20;
    size_t least = oc_quantizer_least_memory(r->q) + r->base;
    return cli_fail(CLI_RESOURCES,
                    "%s: quantizing it takes %zu MB at least, and --memory "
                    "allows %zu",
                    r->args->operands[0], (least + mb - 1) / mb,
                    r->memory / mb);
}

static int add_picture(quantize *r, const char *path, int keep) {
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
        if (!r->n_passes) cli_report(&err, path);
        r->skipped++;
    } else {
        st = oc_vision_preprocess(r->v.vision, &img, &t, &input, &err);
        if (!st) {
            inputs[input] = &t;
            st = oc_quantizer_add(r->q, inputs, n, &err);
        }
        if (st == OC_E_LIMIT && r->memory)
            code = too_little(r);
        else if (st)
            code = cli_report(&err, path);
        r->used += !st;
        if (!st && keep && r->n_samples < QUANTIZE_SAMPLES)
            code = keep_sample(r, &t, input);
    }
    oc_image_deinit(&img);
    free(inputs);
    return code;
}

/* All that are taken, once; a few are kept the first time. */
static int look_at_all(quantize *r, size_t take, int first) {
    out_progress bar;
    size_t every = (take + QUANTIZE_SAMPLES - 1) / QUANTIZE_SAMPLES;
    int code = CLI_OK;
    out_progress_begin(&bar, first ? "calibrate" : "calibrate again",
                       (int64_t)take, cli_has(r->args, "quiet"));
    for (size_t i = 0; i < take && !code; i++) {
        code = add_picture(r, r->pictures.paths[i * r->pictures.n / take],
                           first && (i % every == 0 || !r->n_samples));
        out_progress_add(&bar, 1);
    }
    out_progress_end(&bar);
    return code;
}

/* As many as asked for, evenly out of all; more than once, where memory is
 * short. */
static int calibrate(quantize *r) {
    int64_t most;
    oc_error err;
    int more = 1,
        code = cli_get_int(r->args, "images", 1, 1000000, IMAGES, &most);
    size_t n = r->pictures.n, take = n < (size_t)most ? n : (size_t)most;
    for (; more && !code; r->n_passes++) {
        r->used = r->skipped = 0;
        code = look_at_all(r, take, !r->n_passes);
        if (!code && !r->used)
            code =
                cli_fail(CLI_BAD_INPUT, "none of the pictures could be read");
        if (!code && oc_quantizer_next_pass(r->q, &more, &err))
            code = cli_report(&err, r->args->operands[0]);
    }
    return code;
}

/* ---- the verb -------------------------------------------------------------
 */

/* "net.onnx" becomes "net.int8.onnx", where -o says nothing. */
static char *output_for(const cli_args *args, int bits) {
    const char *given = cli_get(args, "output", NULL);
    const char *model = args->operands[0];
    if (given) return strdup(given);
    size_t n = strlen(model);
    char *out = malloc(n + 16);
    if (!out) return NULL;
    memcpy(out, model, n + 1);
    if (n > 5 && !strcmp(out + n - 5, ".onnx")) out[n - 5] = '\0';
    strcat(out, bits == 4 ? ".int4.onnx" : ".int8.onnx");
    return out;
}

static size_t tensor_bytes(const oc_value_info *t) {
    double n = (double)oc_dtype_bytes(t->dtype);
    for (int i = 0; i < t->rank; i++)
        n *= t->dims[i] > 0 ? (double)t->dims[i] : 1;
    return n < 1e15 ? (size_t)n : (size_t)1 << 50; /* more than there is */
}

/* What the process takes beside what the library counts: itself, pictures, and
 * what a model says of those that are compared. */
static void count_base(quantize *r) {
    const oc_model *m = r->v.model;
    int kept = oc_card_task(r->v.card) == OC_TASK_DETECT ||
                       oc_card_task(r->v.card) == OC_TASK_SEGMENT
                   ? QUANTIZE_SAMPLES
                   : AGREEMENT_PICTURES;
    for (int i = 0; i < oc_model_input_count(m); i++)
        r->base += tensor_bytes(oc_model_input(m, i)) * (QUANTIZE_SAMPLES + 2);
    for (int i = 0; i < oc_model_output_count(m); i++)
        r->base += tensor_bytes(oc_model_output(m, i)) * (size_t)(kept + 2);
    r->base += OTHERS_BYTES;
}

static int create(quantize *r) {
    const char *ignore[MAX_IGNORE];
    oc_quantize_options opt = {.ignore = ignore};
    const char *range = cli_get(r->args, "range", "mse"), *pattern;
    oc_error err;
    int code =
        cli_get_double(r->args, "percentile", 50, 100, 99.99, &opt.percentile);
    if (code) return code;
    opt.threads = r->threads;
    opt.weight_bits = r->weight_bits;
    opt.group = r->group;
    opt.range = !strcmp(range, "minmax")       ? OC_QUANT_MINMAX
                : !strcmp(range, "percentile") ? OC_QUANT_PERCENTILE
                : !strcmp(range, "average")    ? OC_QUANT_AVERAGE
                : !strcmp(range, "entropy")    ? OC_QUANT_ENTROPY
                                               : OC_QUANT_MSE;
    opt.symmetric = cli_has(r->args, "symmetric");
    opt.per_tensor = cli_has(r->args, "per-tensor");
    opt.full_range = cli_has(r->args, "full-range");
    opt.no_equalize = cli_has(r->args, "no-equalize");
    if (r->memory) count_base(r);
    if (r->memory)
        opt.memory_bytes = r->memory > r->base ? r->memory - r->base : 1;
    opt.round_nearest =
        !strcmp(cli_get(r->args, "rounding", "pictures"), "nearest");
    r->is_rounded = !opt.round_nearest;
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

/* Room for what is found out about layers. */
static int make_layers(quantize *r) {
    r->output = output_for(r->args, r->weight_bits);
    if (!r->output) return cli_fail(CLI_RESOURCES, "out of memory");
    r->n_layers = oc_quantizer_node_count(r->q);
    r->layers = calloc((size_t)r->n_layers + 1, sizeof *r->layers);
    if (!r->layers) return cli_fail(CLI_RESOURCES, "out of memory");
    for (int i = 0; i < r->n_layers; i++) {
        layer *l = &r->layers[i];
        l->damage_db = l->ms_before = l->ms_int8 = l->ms_after = NAN;
        quantize_because(
            r, i, quantize_may(r, i) ? "asked for" : "asked for by --ignore");
        oc_quantized_node n;
        if (r->weight_bits == 4 && !oc_quantizer_node(r->q, i, &n) &&
            n.bits == 8)
            quantize_because(r, i, "there is no form of it in 4 bits");
    }
    return CLI_OK;
}

/* Rounding less never makes it slower, but where 8 bits end and begin again
 * more often it may be. */
static int choose_layers(quantize *r) {
    int here = strcmp(cli_get(r->args, "machine", "this"), "any") != 0;
    int code = here ? quantize_for_speed(r) : CLI_OK;
    if (!code) code = quantize_for_accuracy(r);
    if (!code) code = quantize_time(r);
    if (code || !here || !quantize_count(r, OC_QUANT_INT8) ||
        r->ms_after <= r->ms_before)
        return code;
    for (int i = 0; i < r->n_layers && !code; i++) {
        if (quantize_get(r, i) != OC_QUANT_INT8) continue;
        code = quantize_set(r, i, OC_QUANT_WEIGHTS);
        quantize_because(r, i, "speed: too few layers are left in 8 bits");
    }
    if (!code) code = quantize_for_accuracy(r);
    return code ? code : quantize_time(r);
}

static int save(quantize *r) {
    oc_error err;
    if (!oc_quantizer_save(r->q, r->output, &err)) return CLI_OK;
    int code = cli_report(&err, err.status == OC_E_IO ? r->output
                                                      : r->args->operands[0]);
    return err.status == OC_E_IO ? CLI_FAILED : code;
}

/* Weights alone: nothing is chosen by speed or accuracy. */
static int check_weights(quantize *r) {
    static const char *const others[] = {
        "machine",    "eval",       "max-drop",  "agreement",
        "split",      "limit",      "range",     "percentile",
        "per-tensor", "full-range", "symmetric", "no-equalize"};
    const char *bits = cli_get(r->args, "weights", NULL);
    const char *group = cli_get(r->args, "group", NULL);
    if (group && !bits)
        return cli_fail(CLI_USAGE, "--group is of weights alone: it needs "
                                   "--weights int8 or int4");
    for (size_t i = 0; bits && i < sizeof others / sizeof *others; i++)
        if (cli_has(r->args, others[i]))
            return cli_fail(CLI_USAGE,
                            "with --weights nothing is computed in 8 bits, so "
                            "that --%s says nothing",
                            others[i]);
    r->weight_bits = !bits ? 0 : strcmp(bits, "int4") ? 8 : 4;
    r->group = group ? atoi(group) : 0;
    return CLI_OK;
}

static int has_pictures(const quantize *r) {
    return cli_has(r->args, "data") || r->args->n_operands > 1;
}

static int check_options(quantize *r) {
    const cli_args *args = r->args;
    int64_t threads;
    int code = check_weights(r);
    if (code) return code;
    if (!r->weight_bits && !has_pictures(r))
        return cli_fail(CLI_USAGE, "quantize needs pictures like those the "
                                   "model will see: --data DIR, or their names "
                                   "behind the model's");
    if (cli_has(args, "agreement") && cli_has(args, "eval"))
        return cli_fail(CLI_USAGE, "--agreement is for pictures without "
                                   "labels: with --eval, --max-drop says what "
                                   "may be lost");
    if (cli_has(args, "max-drop") && !cli_has(args, "eval"))
        return cli_fail(CLI_USAGE, "--max-drop needs labelled pictures to "
                                   "measure on: --eval DIR");
    if (cli_has(args, "memory") && !has_pictures(r))
        return cli_fail(CLI_USAGE, "--memory is of looking at pictures: it "
                                   "needs --data DIR");
    code = cli_get_size(args, "memory", &r->memory);
    if (code) return code;
    code = cli_get_int(args, "threads", 1, 1024, 0, &threads);
    r->threads = (int)threads;
    if (!code)
        code = cli_get_double(args, "agreement", 0, 100, LEAST_AGREEMENT,
                              &r->agreement);
    r->agreement /= 100;
    return code ? code : quantize_max_drop(args, &r->max_drop);
}

/* A model of no pictures will do, where none are looked at. */
static int load(quantize *r) {
    oc_vision_options opt = {.preprocess_only = 1};
    oc_options plain = {.optimize = -1, .cpu_mask = cli_cpu_mask(r->args)};
    oc_error err;
    const char *path = r->args->operands[0];
    if (!has_pictures(r)) return cli_load_model(r->args, path, &r->v.model);
    /* What is looked at to complete the card need not be in memory later, nor
       twice: a model as it is in the file serves for that. */
    if (oc_model_load(&r->v.model, path, &plain, &err))
        return cli_report(&err, path);
    int code = cli_vision_card(&r->v, r->args, OC_TASK_NONE);
    if (code) return code;
    oc_model_destroy(r->v.model);
    r->v.model = NULL;
    code = cli_load_model(r->args, path, &r->v.model);
    opt.card = r->v.card;
    if (!code && oc_vision_create(&r->v.vision, r->v.model, &opt, &err))
        code = cli_report(&err, path);
    return code;
}

/* Models come and go: what is large goes back to the system at once, where the
 * C library would keep it for what is never asked for again. */
static void give_back_large(void) {
#ifdef __GLIBC__
    enum { LARGE = 1 << 20 };
    (void)mallopt(M_MMAP_THRESHOLD, LARGE);
    (void)mallopt(M_TRIM_THRESHOLD, 2 * LARGE);
#endif
}

static int run_quantize(cli_args *args) {
    quantize r = {.args = args, .quiet = cli_has(args, "quiet")};
    const char *data = cli_get(args, "data", NULL);
    double start = out_seconds();
    give_back_large();
    r.base = out_resident_bytes();
    int code = check_options(&r);
    if (!code) code = load(&r);
    if (!code) code = create(&r);
    if (!code) code = make_layers(&r);
    if (!code && data) code = pictures_add(&r.pictures, data);
    for (int i = 1; i < args->n_operands && !code; i++)
        code = pictures_add(&r.pictures, args->operands[i]);
    if (!code && has_pictures(&r)) code = calibrate(&r);
    if (!code && !r.weight_bits) code = choose_layers(&r);
    if (!code) code = save(&r);
    r.seconds = out_seconds() - start;
    if (!code && cli_has(args, "report")) code = quantize_report_page(&r);
    if (!code && cli_has(args, "json")) quantize_report_json(&r);
    if (!code && !cli_has(args, "json")) quantize_report_text(&r);
    if (!code) quantize_warn(&r);
    for (int i = 0; i < r.n_samples; i++)
        free(r.samples[i].data);
    free(r.layers);
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
    {"memory", 0, "SIZE",
     "stay below, as 512M: pictures are looked at as often as that takes",
     NULL},
    {"weights", 0, "BITS",
     "quantize weights alone and compute in f32; no pictures are needed, but "
     "with some int4 and --group lose less",
     "int8|int4"},
    {"group", 0, "N",
     "with --weights: so many weights share a scale (default: 32 with int4, a "
     "whole channel with int8)",
     "32|64|128"},
    {"machine", 0, "WHICH",
     "this: 8 bits only where they are faster on this machine, other layers "
     "keep their weights in 8 bits (default); any: 8 bits everywhere",
     "this|any"},
    {"eval", 0, "DIR", "labelled pictures to measure the accuracy on", NULL},
    {"max-drop", 0, "P",
     "how far the accuracy may fall; layers go back to f32 until it does not "
     "fall further (default 0.5%)",
     NULL},
    {"agreement", 0, "P",
     "without --eval: percent of what the model says of the pictures in f32 "
     "that must stay; layers go back to f32 until it does (default 90; 0: "
     "whatever comes)",
     NULL},
    {"split", 0, "NAME", "part of --eval (default: val or test)", NULL},
    {"limit", 0, "N", "look at the first N pictures of --eval only", NULL},
    {"report", 0, "FILE",
     "write a page: what became of each layer and why (HTML)", NULL},
    {"range", 0, "HOW", "how ranges of activations are found (default mse)",
     "mse|minmax|percentile|average|entropy"},
    {"percentile", 0, "P",
     "share of the values that percentile keeps inside (default 99.99)", NULL},
    {"symmetric", 0, NULL,
     "activations that are negative, too, have 0 in the middle of their codes",
     NULL},
    {"ignore", 0, "PATTERN",
     "nodes that stay in f32: a name or an operator, with * and ? "
     "(repeatable)",
     NULL},
    {"per-tensor", 0, NULL, "one scale for a whole weight, not one a channel",
     NULL},
    {"full-range", 0, NULL,
     "weights of all 8 bits: in ONNX Runtime and OpenVINO their sums overflow "
     "on processors without VNNI",
     NULL},
    {"no-equalize", 0, NULL,
     "channels keep the reach they have, and share nothing of it with the "
     "weights around them",
     NULL},
    {"rounding", 0, "HOW",
     "each weight goes to the nearest code, or as pictures have it to the one "
     "above or below that changes what the layer makes of them least "
     "(default: whichever measures better)",
     "nearest|pictures"},
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
    "The result is never slower than the model was on this machine: layers "
    "that 8 bits make slower are computed in f32, and only their weights are "
    "in 8 bits. For other machines, --machine any.\n\n"
    "What the model says of the pictures in 8 bits is compared with what it "
    "says in f32; layers go back to f32 until --agreement percent of it are "
    "the same, those that do most harm first. "
    "With labelled pictures (--eval DIR, as for ocelli eval) it is no worse "
    "than --max-drop says: top-1, mAP or mIoU is measured, and the layers that "
    "do most harm stay in f32.\n\n"
    "With --weights nothing but weights is quantized, which needs no pictures: "
    "a file of a quarter or a seventh of the size, for networks that lose too "
    "much otherwise, transformers above all.",
    options,
    1,
    -1,
    run_quantize,
};
