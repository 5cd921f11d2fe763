/* model.c - loading models and telling about them; see model.h. */
#include "runtime/model.h"

#include "cpu/features.h"
#include "onnx/import.h"
#include "passes/passes.h"
#include "runtime/model_sweep.h"

#include <stdio.h>
#include <string.h>

/* The folder of a path, where its external data must be; "." for none. */
static const char *folder_of(oc__arena *arena, const char *path) {
    const char *slash = strrchr(path, '/');
    if (!slash) return oc__arena_strdup(arena, ".");
    /* "/net.onnx" lies in "/", not in "". */
    size_t n = slash == path ? 1 : (size_t)(slash - path);
    return oc__arena_strndup(arena, path, n);
}

static oc_status import(oc_model *m, oc__arena *arena, int bake, oc__onnx **out,
                        oc_error *err) {
    oc__import_options opt = {m->folder, m->options.max_file_bytes, bake,
                              m->onnx ? &m->onnx->externals : NULL,
                              m->file.data == m->bytes ? &m->file : NULL};
    oc__onnx *onnx = oc__arena_alloc(arena, sizeof(*onnx));
    if (!onnx) return oc__fail_nomem(err);
    OC_TRY(oc__onnx_import(onnx, arena, m->bytes, m->n_bytes, &opt, err));
    *out = onnx;
    return OC_OK;
}

static oc_status optimize(oc_model *m, oc__graph *g, oc_error *err) {
    return oc__passes_run(g, &m->kernels, m->options.optimize, &m->allocator,
                          err);
}

static void describe_value(const oc__value_def *v, oc_value_info *out) {
    out->name = v->name;
    out->kind = v->kind;
    out->dtype = v->dtype;
    out->rank = v->rank;
    for (int i = 0; i < OC_MAX_RANK; i++) {
        out->dims[i] = i < v->rank ? v->dims[i] : -1;
        out->dim_names[i] = i < v->rank ? v->dim_names[i] : NULL;
    }
}

static int is_random(const oc__graph *g) {
    for (int i = 0; i < g->n_nodes; i++) {
        const oc__node *n = g->nodes[i];
        if (n->op->flags & OC_OP_IMPURE) return 1;
        for (int a = 0; a < n->n_attrs; a++) {
            for (size_t k = 0; n->attrs[a].graphs && k < n->attrs[a].n; k++) {
                if (is_random(n->attrs[a].graphs[k])) return 1;
            }
        }
    }
    return 0;
}

/* Before the passes: they know nothing of what the file declares. */
static oc_status describe(oc_model *m, oc_error *err) {
    const oc__graph *g = m->graph;
    const oc__onnx *o = m->onnx;
    m->n_inputs = g->n_inputs;
    m->n_outputs = g->n_outputs;
    m->inputs =
        oc__arena_array(&m->arena, (size_t)g->n_inputs, sizeof(*m->inputs));
    m->outputs =
        oc__arena_array(&m->arena, (size_t)g->n_outputs, sizeof(*m->outputs));
    if (!m->inputs || !m->outputs) return oc__fail_nomem(err);
    for (int i = 0; i < g->n_inputs; i++) {
        describe_value(&g->values[g->inputs[i]], &m->inputs[i]);
        if (o->input_is_optional[i]) m->inputs[i].optional = 2;
        if (o->defaults[i]) m->inputs[i].optional = 1;
    }
    for (int i = 0; i < g->n_outputs; i++) {
        describe_value(&g->values[g->outputs[i]], &m->outputs[i]);
        if (o->output_is_optional[i]) m->outputs[i].optional = 2;
    }
    oc_model_summary *s = &m->summary;
    s->ir_version = o->ir_version;
    s->opset = oc__onnx_opset(o, "");
    s->producer = o->producer_name;
    s->graph_name = g->name;
    s->description = o->doc_string;
    s->node_count = o->node_count;
    s->parameter_elems = o->parameter_elems;
    s->parameter_bytes = o->parameter_bytes;
    m->is_random = is_random(g);
    return OC_OK;
}

static oc_model *create(const oc_options *opt) {
    static const oc_options defaults;
    if (!opt) opt = &defaults;
    const oc_allocator *a =
        opt->allocator ? opt->allocator : &oc__default_allocator;
    oc_model *m = oc__calloc(a, 1, sizeof(*m));
    if (!m) return NULL;
    m->allocator = *a;
    m->options = *opt;
    m->options.allocator = &m->allocator;
    oc__kernels_init(&m->kernels, oc__cpu_resolve(opt->cpu_mask));
    oc__arena_init(&m->arena, &m->allocator);
    oc__arena_init(&m->open_arena, &m->allocator);
    m->has_lock = !pthread_mutex_init(&m->lock, NULL);
    return m;
}

void oc_model_destroy(oc_model *m) {
    if (!m) return;
    if (m->open_onnx) oc__onnx_release(m->open_onnx);
    if (m->late_onnx) oc__onnx_release(m->late_onnx);
    if (m->onnx) oc__onnx_release(m->onnx);
    oc__arena_deinit(&m->open_arena);
    oc__arena_deinit(&m->arena);
    oc__file_unmap(&m->file);
    oc__file_unmap(&m->description);
    if (m->has_lock) pthread_mutex_destroy(&m->lock);
    oc_allocator a = m->allocator;
    oc__release(&a, m, sizeof(*m));
}

enum { DEFAULT_CACHE_BYTES = 1 << 30 };

/* Completes a model whose bytes are set. */
static oc_status finish(oc_model *m, oc_error *err) {
    oc__onnx *onnx = NULL;
    size_t cache_bytes = m->options.cache_bytes;
    if (!m->has_lock) return oc__fail_nomem(err);
    OC_TRY(oc_precision_check(&m->options, err));
    oc__cache_open(&m->cache, &m->arena, m->options.cache_folder,
                   cache_bytes ? cache_bytes : 2 * (size_t)DEFAULT_CACHE_BYTES);
    if (m->path && !m->options.no_external_data) {
        m->folder = folder_of(&m->arena, m->path);
        if (!m->folder) return oc__fail_nomem(err);
    }
    if (m->cache.folder && oc__model_recall(m)) {
        oc__precision_choose(m);
        return OC_OK;
    }
    OC_TRY(import(m, &m->arena, 1, &onnx, err));
    m->onnx = onnx;
    m->graph = onnx->graph;
    OC_TRY(describe(m, err));
    /* Most weights lie at odd places, so they have been copied. */
    oc__file_drop(&m->file, m->file.data, m->file.bytes);
    OC_TRY(optimize(m, m->graph, err));
    m->summary.optimized_count = oc__onnx_count_nodes(m->graph);
    m->has_products = oc__has_products(m->graph);
    oc__precision_choose(m);
    OC_TRY(oc__model_sweep(m, err));
    /* The passes have read what they change; the rest is read when packed. */
    oc__file_drop(&m->file, m->file.data, m->file.bytes);
    if (m->cache.folder) oc__model_remember(m);
    return OC_OK;
}

oc_status oc_model_load(oc_model **out, const char *path, const oc_options *opt,
                        oc_error *err) {
    oc__error_clear(err);
    if (!out || !path) {
        return oc__fail(err, OC_E_ARG, "no place or no path for the model");
    }
    oc_model *m = create(opt);
    if (!m) return oc__fail_nomem(err);
    oc_status st = oc__file_map(&m->file, path, m->options.max_file_bytes, err);
    if (st != OC_OK) goto failed;
    m->bytes = m->file.data;
    m->n_bytes = m->file.bytes;
    m->path = oc__arena_strdup(&m->arena, path);
    st = m->path ? finish(m, err) : oc__fail_nomem(err);
    if (st != OC_OK) {
        oc__error_prefix(err, path);
        goto failed;
    }
    *out = m;
    return OC_OK;
failed:
    oc_model_destroy(m);
    return st;
}

oc_status oc_model_load_memory(oc_model **out, const void *data, size_t bytes,
                               const oc_options *opt, oc_error *err) {
    oc__error_clear(err);
    if (!out || (!data && bytes)) {
        return oc__fail(err, OC_E_ARG, "no place or no data for the model");
    }
    if (opt && opt->max_file_bytes && bytes > opt->max_file_bytes) {
        return oc__fail(err, OC_E_LIMIT,
                        "the model is larger than the limit of %zu bytes",
                        opt->max_file_bytes);
    }
    oc_model *m = create(opt);
    if (!m) return oc__fail_nomem(err);
    m->bytes = data;
    m->n_bytes = bytes;
    oc_status st = finish(m, err);
    if (st != OC_OK) {
        oc_model_destroy(m);
        return st;
    }
    *out = m;
    return OC_OK;
}

oc_status oc__model_open_graph(oc_model *m, oc__graph **out,
                               const oc_tensor *const **defaults,
                               oc_error *err) {
    oc_status st = OC_OK;
    pthread_mutex_lock(&m->lock);
    if (!m->open_graph) {
        oc__onnx *onnx = NULL;
        st = import(m, &m->open_arena, 0, &onnx, err);
        if (st == OC_OK) st = optimize(m, onnx->graph, err);
        if (st == OC_OK) {
            m->open_onnx = onnx;
            m->open_graph = onnx->graph;
        } else {
            if (onnx) oc__onnx_release(onnx);
            oc__arena_deinit(&m->open_arena);
        }
    }
    if (st == OC_OK) {
        *out = m->open_graph;
        *defaults = m->open_onnx->defaults;
    }
    pthread_mutex_unlock(&m->lock);
    return st;
}

const oc__onnx *oc__model_onnx(const oc_model *m) {
    return m->late_onnx ? m->late_onnx : m->onnx;
}

/* A model lies in memory that was made by create(), never in a constant. */
static oc_model *changeable(const oc_model *m) {
    return (oc_model *)(uintptr_t)m;
}

/* Under the lock. */
static oc_status need_graph(oc_model *m, oc_error *err) {
    oc__onnx *onnx = NULL;
    if (m->graph) return OC_OK;
    oc_status st = import(m, &m->arena, 1, &onnx, err);
    if (st == OC_OK) st = optimize(m, onnx->graph, err);
    if (st == OC_OK) {
        m->late_onnx = onnx;
        m->graph = onnx->graph;
    } else if (onnx) {
        oc__onnx_release(onnx);
    }
    return st;
}

oc_status oc__model_graph(const oc_model *model, const oc__graph **out,
                          oc_error *err) {
    oc_model *m = changeable(model);
    pthread_mutex_lock(&m->lock);
    oc_status st = need_graph(m, err);
    if (st == OC_OK) {
        m->is_lent = 1;
        *out = m->graph;
    }
    pthread_mutex_unlock(&m->lock);
    return st;
}

/* No other shapes are to come, and nobody looks at the graph. */
static int may_let_go(const oc_model *m) {
    if (m->is_lent || m->was_let_go) return 0;
    for (int i = 0; i < m->n_inputs; i++) {
        const oc_value_info *v = &m->inputs[i];
        if (v->kind != OC_KIND_TENSOR || v->rank < 0) return 0;
        for (int d = 0; d < v->rank; d++)
            if (v->dims[d] < 0) return 0;
    }
    return 1;
}

oc_status oc__model_clone_graph(oc_model *m, oc__graph **out, oc__arena *arena,
                                int *is_only, oc_error *err) {
    *is_only = 0;
    pthread_mutex_lock(&m->lock);
    oc_status st = need_graph(m, err);
    if (st == OC_OK) {
        oc__graph *g = oc__graph_clone(m->graph, arena);
        if (!g) st = oc__fail_nomem(err);
        if (g && may_let_go(m)) {
            oc__graph_release(m->graph);
            m->graph = NULL;
            /* A graph imported late has its tensors elsewhere. */
            *is_only = !m->late_onnx;
            m->was_let_go = 1;
        }
        if (g) *out = g;
    }
    pthread_mutex_unlock(&m->lock);
    return st;
}

/* ---- asking ---------------------------------------------------------------
 */

int oc_model_input_count(const oc_model *m) {
    return m->n_inputs;
}

int oc_model_output_count(const oc_model *m) {
    return m->n_outputs;
}

const oc_value_info *oc_model_input(const oc_model *m, int i) {
    return i >= 0 && i < m->n_inputs ? &m->inputs[i] : NULL;
}

const oc_value_info *oc_model_output(const oc_model *m, int i) {
    return i >= 0 && i < m->n_outputs ? &m->outputs[i] : NULL;
}

static int find_name(const oc_value_info *list, int n, const char *name) {
    for (int i = 0; i < n; i++) {
        if (!strcmp(list[i].name, name)) return i;
    }
    return -1;
}

int oc_model_find_input(const oc_model *m, const char *name) {
    return find_name(m->inputs, m->n_inputs, name);
}

int oc_model_find_output(const oc_model *m, const char *name) {
    return find_name(m->outputs, m->n_outputs, name);
}

const char *oc_model_metadata(const oc_model *m, const char *key) {
    for (size_t i = 0; i < m->onnx->n_props; i++) {
        if (!strcmp(m->onnx->props[i].key, key)) return m->onnx->props[i].value;
    }
    return NULL;
}

const char *oc_model_metadata_key(const oc_model *m, size_t i) {
    return i < m->onnx->n_props ? m->onnx->props[i].key : NULL;
}

const char *oc_model_opset(const oc_model *m, size_t i, int *version) {
    if (i >= m->onnx->n_opsets) return NULL;
    const oc__opset *o = &m->onnx->opsets[i];
    if (version) *version = o->version;
    return *o->domain ? o->domain : "ai.onnx";
}

int oc_model_is_random(const oc_model *m) {
    return m->is_random;
}

void oc_model_summarize(const oc_model *m, oc_model_summary *out) {
    *out = m->summary;
}

void oc_model_print(const oc_model *m,
                    void (*emit)(void *user, const char *text, size_t bytes),
                    void *user) {
    const oc__graph *g;
    if (oc__model_graph(m, &g, NULL) == OC_OK) oc__graph_print(g, emit, user);
}

/* Sub-graphs count too. */
static void visit_nodes(const oc__graph *g, oc_model_op_visit visit,
                        void *user) {
    for (int i = 0; i < g->n_nodes; i++) {
        const oc__node *n = g->nodes[i];
        if (n->dead) continue;
        visit(user, n->op->domain, n->op->name, n->name);
        for (int a = 0; a < n->n_attrs; a++) {
            for (size_t k = 0; n->attrs[a].graphs && k < n->attrs[a].n; k++)
                visit_nodes(n->attrs[a].graphs[k], visit, user);
        }
    }
}

void oc_model_each_node(const oc_model *m, oc_model_op_visit visit,
                        void *user) {
    const oc__graph *g;
    if (oc__model_graph(m, &g, NULL) == OC_OK) visit_nodes(g, visit, user);
}
