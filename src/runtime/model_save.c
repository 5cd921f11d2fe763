/* model_save.c - models and their metadata back into files. */
#include "runtime/model.h"

#include "onnx/export.h"

#include <string.h>

oc_status oc_model_save(const oc_model *m, const char *path, oc_error *err) {
    oc__error_clear(err);
    if (!m || !path) return oc__fail(err, OC_E_ARG, "no model or no path");
    oc__wire_out o;
    const oc__graph *graph;
    OC_TRY(oc__model_graph(m, &graph, err));
    oc__put_init(&o, &m->allocator);
    const char **names =
        oc__calloc(&m->allocator, (size_t)m->n_outputs, sizeof(*names));
    oc_status st = names ? OC_OK : oc__fail_nomem(err);
    for (int i = 0; names && i < m->n_outputs; i++) {
        names[i] = m->outputs[i].name;
    }
    oc__export_options opt = {names};
    if (st == OC_OK)
        st = oc__onnx_export(&o, oc__model_onnx(m), graph, &opt, err);
    if (st == OC_OK) st = oc__put_save(&o, path, err);
    oc__release(&m->allocator, names, (size_t)m->n_outputs * sizeof(*names));
    oc__put_deinit(&o);
    return st;
}

oc_status oc_model_rewrite_metadata(const char *from, const char *to,
                                    const char *const *keys,
                                    const char *const *values, size_t n,
                                    oc_error *err) {
    const oc_allocator *a = &oc__default_allocator;
    oc__file file;
    oc__wire_out o;
    oc__error_clear(err);
    if (!from || !to || (n && (!keys || !values))) {
        return oc__fail(err, OC_E_ARG, "no file, or no keys and values");
    }
    OC_TRY(oc__file_map(&file, from, 0, err));
    oc__put_init(&o, a);
    oc__prop *props = oc__calloc(a, n, sizeof(*props));
    oc_status st = props ? OC_OK : oc__fail_nomem(err);
    for (size_t i = 0; props && i < n; i++) {
        props[i] = (oc__prop){keys[i], values[i]};
    }
    if (st == OC_OK) {
        st = oc__onnx_set_props(&o, file.data, file.bytes, props, n, err);
        if (st != OC_OK) oc__error_prefix(err, from);
    }
    if (st == OC_OK) st = oc__put_save(&o, to, err);
    oc__release(a, props, n * sizeof(*props));
    oc__put_deinit(&o);
    oc__file_unmap(&file);
    return st;
}
