/*
 * model_build.h - small ONNX models by hand, for tests of what needs one.
 *
 *     model_build b;                        // large: make it static
 *     model_start(&b);
 *     model_value(&b, MODEL_INPUT, "x", MODEL_F32, 4, dims);
 *     model_node(&b, "Relu", "x", "y");
 *     model_value(&b, MODEL_OUTPUT, "y", MODEL_F32, 4, dims);
 *     const pb *bytes = model_finish(&b);
 */
#ifndef OC_TESTS_MODEL_BUILD_H
#define OC_TESTS_MODEL_BUILD_H

#include "proto_build.h"

#include <stdio.h>

/* Types of TensorProto, fields of GraphProto. */
enum { MODEL_F32 = 1, MODEL_I32 = 6, MODEL_I64 = 7 };
enum { MODEL_INPUT = 11, MODEL_OUTPUT = 12 };

typedef struct model_build {
    pb graph, props, part, inner, shape, dim, bytes;
    int named; /* values model_zeros() has named */
} model_build;

static inline void model_start(model_build *b) {
    b->graph.n = b->props.n = b->bytes.n = 0;
    b->named = 0;
}

/* An input or output; a dim of -1 is free. */
static inline void model_value(model_build *b, unsigned field, const char *name,
                               int dtype, int rank, const int64_t *dims) {
    b->part.n = b->inner.n = b->shape.n = 0;
    for (int i = 0; i < rank; i++) {
        b->dim.n = 0;
        if (dims[i] >= 0)
            pb_int(&b->dim, 1, dims[i]);
        else
            pb_string(&b->dim, 2, "any");
        pb_message(&b->shape, 1, &b->dim);
    }
    pb_int(&b->inner, 1, dtype);
    pb_message(&b->inner, 2, &b->shape);
    b->dim.n = 0;
    pb_message(&b->dim, 1, &b->inner); /* TypeProto.tensor_type */
    pb_string(&b->part, 1, name);
    pb_message(&b->part, 2, &b->dim);
    pb_message(&b->graph, field, &b->part);
}

/* Names parted by blanks. */
static inline void model_names(pb *to, unsigned field, const char *names) {
    while (*names) {
        size_t n = strcspn(names, " ");
        pb_bytes(to, field, names, n);
        names += n + (names[n] == ' ');
    }
}

/* A node with at most one attribute, a whole number ("axis"), or NULL. */
static inline void model_node_int(model_build *b, const char *op,
                                  const char *in, const char *out,
                                  const char *attr, int64_t value) {
    b->part.n = b->inner.n = 0;
    model_names(&b->part, 1, in);
    model_names(&b->part, 2, out);
    pb_string(&b->part, 4, op);
    if (attr) {
        pb_string(&b->inner, 1, attr);
        pb_int(&b->inner, 3, value);
        pb_int(&b->inner, 20, 2);
        pb_message(&b->part, 5, &b->inner);
    }
    pb_message(&b->graph, 1, &b->part);
}

static inline void model_node(model_build *b, const char *op, const char *in,
                              const char *out) {
    model_node_int(b, op, in, out, NULL, 0);
}

/* An initialiser, from raw bytes. */
static inline void model_constant(model_build *b, const char *name, int dtype,
                                  int rank, const int64_t *dims,
                                  const void *data, size_t bytes) {
    b->part.n = 0;
    for (int i = 0; i < rank; i++) {
        pb_int(&b->part, 1, dims[i]);
    }
    pb_int(&b->part, 2, dtype);
    pb_string(&b->part, 8, name);
    pb_bytes(&b->part, 9, data, bytes);
    pb_message(&b->graph, 5, &b->part);
}

/* An f32 value `out` of any shape without data in the file: all 0. */
static inline void model_zeros(model_build *b, const char *out, int rank,
                               const int64_t *dims) {
    char name[32];
    const int64_t n = rank;
    snprintf(name, sizeof(name), "shape_%d", b->named++);
    model_constant(b, name, MODEL_I64, 1, &n, dims,
                   (size_t)rank * sizeof(*dims));
    model_node(b, "ConstantOfShape", name, out);
}

/* A metadata_props entry. */
static inline void model_prop(model_build *b, const char *key,
                              const char *value) {
    b->part.n = 0;
    pb_string(&b->part, 1, key);
    pb_string(&b->part, 2, value);
    pb_message(&b->props, 14, &b->part);
}

/* The model's bytes, good until the next model_start(). */
static inline const pb *model_finish(model_build *b) {
    pb_int(&b->bytes, 1, 8); /* IR version */
    b->part.n = 0;
    pb_string(&b->part, 1, "");
    pb_int(&b->part, 2, 13);
    pb_message(&b->bytes, 8, &b->part);
    pb_string(&b->graph, 2, "made");
    pb_message(&b->bytes, 7, &b->graph);
    pb_raw(&b->bytes, b->props.data, b->props.n);
    return &b->bytes;
}

#endif
