/* weights_again.c - see weights_again.h. */
#include "quant/weights_again.h"

#include "onnx/import.h"

#include <string.h>

void oc__again_init(oc__again *w, oc_model *model, oc__graph *g, int is_only) {
    *w = (oc__again){.model = model, .graph = g};
    w->is_only = is_only && model->path;
    w->marks.allocator = &model->allocator;
}

void oc__again_deinit(oc__again *w) {
    oc__marks_deinit(&w->marks);
    oc_model_destroy(w->second);
    w->second = NULL;
}

/* ---- going --------------------------------------------------------------- */

static int is_other(void *user, const void *p) {
    return user != p;
}

/* What one constant alone points at may go. */
static oc_status know_marks(oc__again *w, oc_error *err) {
    return w->marks.n ? OC_OK
                      : oc__marks_init(&w->marks, w->model, w->graph, err);
}

static void give_back(void *user, const void *data, size_t bytes) {
    oc__again *w = user;
    oc_model *m = w->second ? w->second : w->model;
    oc__file_drop(&m->file, data, bytes);
    if (!oc__marks_has_one(&w->marks, data)) return;
    w->lacks = 1;
    oc__arena_sweep(&m->onnx->data, is_other, (void *)(uintptr_t)data);
}

oc_status oc__again_compile(oc__again *w, oc__program *p,
                            const oc_value *const *inputs,
                            const oc__pass_env *env, oc_error *err) {
    oc__pass_env here = *env;
    if (w->lacks)
        return oc__fail(err, OC_E_SHAPE,
                        "the model's inputs have one size, and samples of "
                        "another are given");
    if (w->is_only) {
        OC_TRY(know_marks(w, err));
        here.consumed = give_back;
        here.user = w;
    }
    return oc__program_complete(p, inputs, &here, err);
}

int oc__again_may(const oc__again *w) {
    return w->is_only;
}

int oc__again_lacks(const oc__again *w) {
    return w->lacks;
}

void oc__again_drop(oc__again *w) {
    if (w->second) {
        oc_model_destroy(w->second);
        w->second = NULL;
        w->lacks = 1;
        return;
    }
    if (know_marks(w, NULL)) return;
    for (int v = 0; v < w->graph->n_values; v++) {
        const oc_tensor *t = w->graph->values[v].constant;
        if (t && !w->graph->values[v].buf && t->dtype != OC_DTYPE_STRING)
            give_back(w, t->data, oc_tensor_bytes(t));
    }
}

/* ---- coming -------------------------------------------------------------- */

static int is_same(const oc_tensor *a, const oc_tensor *b) {
    return b && a->dtype == b->dtype && a->rank == b->rank &&
           !memcmp(a->dims, b->dims, (size_t)a->rank * sizeof *a->dims);
}

/* The passes do the same to the same file: values have the same numbers.  Those
 * with a buffer have been held all the time. */
static oc_status take(oc__again *w, const oc__graph *from, oc_error *err) {
    int same = from->n_values == w->graph->n_values;
    for (int v = 0; same && v < from->n_values; v++) {
        const oc__value_def *to = &w->graph->values[v];
        if (!to->constant || to->buf) continue;
        const oc_tensor *t = from->values[v].constant;
        same = is_same(to->constant, t);
    }
    if (!same)
        return oc__fail(err, OC_E_FORMAT, "%s has changed while it was in use",
                        w->model->path);
    for (int v = 0; v < from->n_values; v++) {
        const oc__value_def *to = &w->graph->values[v];
        if (to->constant && !to->buf)
            ((oc_tensor *)(uintptr_t)to->constant)->data =
                from->values[v].constant->data;
    }
    return OC_OK;
}

oc_status oc__again_need(oc__again *w, oc_error *err) {
    const oc__graph *from;
    if (!w->lacks) return OC_OK;
    oc_options opt = w->model->options;
    oc_model_destroy(w->second); /* some of it has gone, too */
    w->second = NULL;
    OC_TRY(oc_model_load(&w->second, w->model->path, &opt, err));
    oc_status st = oc__model_graph(w->second, &from, err);
    if (!st) st = take(w, from, err);
    if (st) {
        oc_model_destroy(w->second);
        w->second = NULL;
        return st;
    }
    w->lacks = 0;
    oc__marks_deinit(&w->marks); /* all lie elsewhere now */
    return OC_OK;
}
