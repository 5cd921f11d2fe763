/*
 * fuzz_server_infer.c - any bytes as the body of an inference request.  What
 * is accepted must have tensors that can be read to their ends, and be
 * answered with them.
 *
 * The first two bytes are the length of the JSON text; 0xffff is none said.
 */
#define _POSIX_C_SOURCE 200809L /* open_memstream */

#include "kserve_tensor.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if OC_HAVE_JANSSON
#include <jansson.h>
#endif

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const oc_value_info values[] = {
    {"f", OC_KIND_TENSOR, OC_DTYPE_F32, 2, {-1, 2}, {0}, 0},
    {"d", OC_KIND_TENSOR, OC_DTYPE_F64, -1, {0}, {0}, 1},
    {"h", OC_KIND_TENSOR, OC_DTYPE_F16, 1, {-1}, {0}, 1},
    {"b", OC_KIND_TENSOR, OC_DTYPE_BOOL, 1, {-1}, {0}, 1},
    {"u8", OC_KIND_TENSOR, OC_DTYPE_U8, 1, {-1}, {0}, 1},
    {"i16", OC_KIND_TENSOR, OC_DTYPE_I16, 3, {-1, -1, -1}, {0}, 1},
    {"i64", OC_KIND_TENSOR, OC_DTYPE_I64, 1, {-1}, {0}, 1},
    {"u64", OC_KIND_TENSOR, OC_DTYPE_U64, 0, {0}, {0}, 1},
    {"s", OC_KIND_TENSOR, OC_DTYPE_STRING, 1, {-1}, {0}, 1},
    {"q", OC_KIND_SEQUENCE, OC_DTYPE_F32, -1, {0}, {0}, 1},
};
enum { N = sizeof values / sizeof *values };

static unsigned touch(const oc_tensor *t) {
    unsigned sum = 0;
    const unsigned char *p = t->data;
    for (size_t i = 0; i < oc_tensor_bytes(t); i++) {
        sum += p[i];
    }
    for (int64_t i = 0; t->dtype == OC_DTYPE_STRING && i < oc_tensor_elems(t);
         i++) {
        const oc_string *s = (const oc_string *)t->data + i;
        for (size_t k = 0; k < s->bytes; k++) {
            sum += (unsigned char)s->data[k];
        }
    }
    return sum;
}

/* The request's inputs come back as outputs of the same names. */
static void answer(infer_request *in, const infer_model *model) {
    const oc_tensor *results[INFER_MAX_VALUES] = {NULL};
    int64_t json_bytes;
    char *text;
    size_t bytes;
    oc_error err;
    for (int i = 0; i < in->n_inputs; i++) {
        results[in->inputs[i].index] = &in->inputs[i].t;
    }
    FILE *f = open_memstream(&text, &bytes);
    if (!f) abort();
    oc_status st =
        infer_write(f, in, model, "fuzz", 1, results, &json_bytes, &err);
    if (fclose(f)) abort();
    /* An output may be asked for that nothing was given for. */
    if (st && !err.message[0]) abort();
#if OC_HAVE_JANSSON
    if (!st) {
        size_t n = json_bytes < 0 ? bytes : (size_t)json_bytes;
        json_t *doc =
            json_loadb(text, n, JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, NULL);
        if (!doc) abort();
        json_decref(doc);
    }
#endif
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static volatile unsigned sink; /* reads every byte for sanitizers */
    infer_model model = {N, N, {0}, {0}};
    infer_request *in = calloc(1, sizeof *in);
    oc_error err = {0};
    int64_t json_bytes;
    if (size < 2 || !in) {
        free(in);
        return 0;
    }
    for (int i = 0; i < N; i++) {
        model.inputs[i] = model.outputs[i] = &values[i];
    }
    json_bytes = data[0] | data[1] << 8;
    if (json_bytes == 0xffff) json_bytes = -1;
    if (json_bytes == 0) model.n_inputs = 1; /* raw wants a model of one */
    size -= 2;
    char *body = malloc(size + 1);
    if (!body) abort();
    memcpy(body, data + 2, size);
    body[size] = '\0';
    if (infer_parse(in, &model, body, size, json_bytes, &err)) {
        if (!err.message[0]) abort();
    } else {
        for (int i = 0; i < in->n_inputs; i++) {
            sink = sink + touch(&in->inputs[i].t);
        }
        answer(in, &model);
        infer_deinit(in);
    }
    free(body);
    free(in);
    return 0;
}
