/*
 * fuzz_import.c - any bytes as a model.  What is accepted is written again
 * and must be accepted again, with the same graph.
 */
#include "onnx/export.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The parts of a graph that writing must not change. */
static void check_same(const oc__onnx *a, const oc__onnx *b) {
    const oc__graph *g = a->graph, *h = b->graph;
    if (a->node_count != b->node_count || g->n_inputs != h->n_inputs ||
        g->n_outputs != h->n_outputs || a->n_props != b->n_props)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    oc__arena arena, again;
    oc__onnx model, copy;
    oc_error err;
    oc__import_options opt = {.bake_defaults = (int)(size % 2)};
    /* Small inputs find what there is to find, and faster. */
    if (size > 1 << 16) return 0;
    oc__arena_init(&arena, NULL);
    oc__arena_init(&again, NULL);
    if (!oc__onnx_import(&model, &arena, data, size, &opt, &err)) {
        oc__wire_out out;
        oc__buf *buf = NULL;
        oc__put_init(&out, &oc__default_allocator);
        if (oc__onnx_export(&out, &model, model.graph, NULL, &err)) abort();
        if (oc__put_flatten(&out, &buf, &err)) abort();
        if (oc__onnx_import(&copy, &again, oc__buf_data(buf),
                            oc__buf_bytes(buf), &opt, &err))
            abort();
        /* An output listed twice gets an Identity. */
        if (copy.node_count == model.node_count) check_same(&model, &copy);
        oc__onnx_release(&copy);
        oc__buf_release(buf);
        oc__put_deinit(&out);
        oc__onnx_release(&model);
    } else if (!err.message[0]) {
        abort(); /* every failure has its sentence */
    }
    oc__arena_deinit(&again);
    oc__arena_deinit(&arena);
    return 0;
}
