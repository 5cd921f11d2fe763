/*
 * kserve_tensor.h - the body of an inference request to tensors, and tensors
 * to the body of its answer, as the Open Inference Protocol (KServe v2) and
 * Triton's binary extension of it have them.
 *
 *     { "id": "42",
 *       "inputs":  [{"name": "x", "datatype": "FP32", "shape": [1, 3],
 *                    "data": [1, 2, 3]}],
 *       "outputs": [{"name": "y", "parameters": {"binary_data": true}}] }
 *
 * Binary: an input has "parameters": {"binary_data_size": N} instead of data,
 * and its N bytes stand behind the JSON text, inputs in their order; numbers
 * are little-endian, a string is four bytes of length and its text.
 */
#ifndef OCELLI_SERVER_KSERVE_TENSOR_H
#define OCELLI_SERVER_KSERVE_TENSOR_H

#include <ocelli/ocelli.h>

#include <stdio.h>

enum { INFER_MAX_VALUES = 64 };

/** What a model takes and gives. */
typedef struct infer_model {
    int n_inputs, n_outputs;
    const oc_value_info *inputs[INFER_MAX_VALUES];
    const oc_value_info *outputs[INFER_MAX_VALUES];
} infer_model;
/** E_UNSUPPORTED for more values than there is room for. */
oc_status infer_model_of(infer_model *out, const oc_model *model,
                         oc_error *err);

typedef struct infer_input {
    int index;   /* among the model's inputs */
    oc_tensor t; /* data in the body, or in owned */
    void *owned;
} infer_input;

typedef struct infer_output {
    int index;  /* among the model's outputs */
    int binary; /* behind the JSON text */
} infer_output;

typedef struct infer_request {
    char id[128]; /* "" for none */
    int n_inputs;
    infer_input inputs[INFER_MAX_VALUES];
    int n_outputs;
    infer_output outputs[INFER_MAX_VALUES];
    int64_t timeout_us; /* 0: none */
} infer_request;

/**
 * Reads a request.  The body is changed, must end in a NUL that `bytes` does
 * not count, and must outlive `out`.
 *   json_bytes  of the header Inference-Header-Content-Length; -1: without,
 *               0: the body is the data of the only input
 * Errors: E_FORMAT, E_SHAPE, E_UNSUPPORTED, E_NOMEM.
 */
oc_status infer_parse(infer_request *out, const infer_model *model, char *body,
                      size_t bytes, int64_t json_bytes, oc_error *err);
void infer_deinit(infer_request *r);

/**
 * Writes the answer.  results: the model's outputs, by their index.
 *   json_bytes  receives the length of the JSON text, -1 when there is
 *               nothing behind it
 * Errors: E_UNSUPPORTED for values the protocol has no type for.
 */
oc_status infer_write(FILE *f, const infer_request *r, const infer_model *model,
                      const char *name, int64_t version,
                      const oc_tensor *const *results, int64_t *json_bytes,
                      oc_error *err);

/** "FP32", "BYTES", ...; NULL for a type the protocol does not have. */
const char *infer_type_name(oc_dtype dtype);

#endif
