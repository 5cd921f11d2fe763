/* quantize_trial.c - the model as it would be written now, made to run. */
#include "quantize.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

void quantize_because(quantize *r, int i, const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(r->layers[i].why, sizeof r->layers[i].why, format, args);
    va_end(args);
}

oc_quant_precision quantize_get(const quantize *r, int i) {
    return oc_quantizer_precision(r->q, i);
}

int quantize_set(quantize *r, int i, oc_quant_precision p) {
    oc_error err;
    if (quantize_get(r, i) == p) return CLI_OK;
    if (oc_quantizer_set(r->q, i, p, &err))
        return cli_report(&err, r->args->operands[0]);
    return CLI_OK;
}

int quantize_may(const quantize *r, int i) {
    return !oc_quantizer_is_ignored(r->q, i);
}

int quantize_count(const quantize *r, oc_quant_precision p) {
    int n = 0;
    for (int i = 0; i < r->n_layers; i++)
        n += quantize_get(r, i) == p;
    return n;
}

/* Models larger than this are written each time they are wanted, and to a file:
 * what is read from one goes as it is packed, and of one in memory nothing. */
#define LARGE_BYTES 67108864.

/* The model with the precisions that are wanted; those of now stay. */
static int write_trial(trial *t) {
    quantize *r = t->r;
    size_t n = (size_t)r->n_layers;
    oc_error err;
    int code = CLI_OK;
    oc_quant_precision *was = calloc(n + 1, sizeof *was);
    if (!was) return cli_fail(CLI_RESOURCES, "out of memory");
    for (size_t i = 0; i < n; i++) {
        was[i] = quantize_get(r, (int)i);
        if (!code) code = quantize_set(r, (int)i, t->wanted[i]);
    }
    if (!code &&
        (t->is_large ? oc_quantizer_save(r->q, t->path, &err)
                     : oc_quantizer_write(r->q, &t->data, &t->bytes, &err)))
        code = cli_report(&err, t->is_large ? t->path : r->args->operands[0]);
    for (size_t i = 0; i < n && !code; i++)
        code = quantize_set(r, (int)i, was[i]);
    free(was);
    return code;
}

int trial_open(trial *t, quantize *r, int original) {
    int code = CLI_OK;
    memset(t, 0, sizeof *t);
    t->r = r;
    t->is_file = original && oc_quantizer_has_names(r->q);
    t->is_large =
        r->memory || quantize_bytes(r->args->operands[0]) > LARGE_BYTES;
    t->wanted = calloc((size_t)r->n_layers + 1, sizeof *t->wanted);
    if (!t->wanted) return cli_fail(CLI_RESOURCES, "out of memory");
    /* With all layers in f32 it is the original, with names for them. */
    for (int i = 0; i < r->n_layers; i++)
        t->wanted[i] = original ? OC_QUANT_F32 : quantize_get(r, i);
    if (!t->is_file && !t->is_large) code = write_trial(t);
    oc_quantizer_rest(r->q); /* other models may be open by now */
    return code;
}

/* What is open stays there without its name. */
static int load_large(trial *t, const oc_options *opt) {
    static const char ending[] = ".trial";
    size_t n = strlen(t->r->output);
    oc_error err;
    t->path = malloc(n + sizeof ending);
    if (!t->path) return cli_fail(CLI_RESOURCES, "out of memory");
    memcpy(t->path, t->r->output, n);
    memcpy(t->path + n, ending, sizeof ending);
    int code = write_trial(t);
    oc_quantizer_rest(t->r->q);
    if (!code && oc_model_load(&t->model, t->path, opt, &err))
        code = cli_report(&err, t->path);
    remove(t->path);
    free(t->path);
    t->path = NULL;
    return code;
}

int trial_load(trial *t) {
    oc_options opt = {.cpu_mask = cli_cpu_mask(t->r->args)};
    oc_error err;
    const char *path = t->r->args->operands[0];
    if (t->model) return CLI_OK;
    if (!t->is_file && t->is_large) return load_large(t, &opt);
    oc_status st = t->is_file ? oc_model_load(&t->model, path, &opt, &err)
                              : oc_model_load_memory(&t->model, t->data,
                                                     t->bytes, &opt, &err);
    return st ? cli_report(&err, path) : CLI_OK;
}

void trial_stop(trial *t) {
    oc_session_destroy(t->session);
    oc_model_destroy(t->model);
    t->session = NULL;
    t->model = NULL;
}

void trial_close(trial *t) {
    trial_stop(t);
    if (t->data) oc_quantizer_release(t->r->q, t->data, t->bytes);
    free(t->wanted);
    memset(t, 0, sizeof *t);
}

int trial_start(trial *t, int profile) {
    oc_session_options opt = {.threads = t->r->threads, .profile = profile};
    oc_error err;
    int code = trial_load(t);
    oc_session_destroy(t->session);
    t->session = NULL;
    if (!code && oc_session_create(&t->session, t->model, &opt, &err))
        code = cli_report(&err, t->r->args->operands[0]);
    return code;
}

int trial_run(trial *t, int sample) {
    oc_error err;
    const oc_tensor *x = &t->r->samples[sample % t->r->n_samples];
    if (oc_session_set_input(t->session, t->r->input, x, &err) ||
        oc_session_run(t->session, &err))
        return cli_report(&err, t->r->args->operands[0]);
    return CLI_OK;
}
