/*
 * model_cache.c - models and their programs in the cache; see cache.h.
 *
 * A description is found by the digest of the model's file, a program by that
 * of all its files (weights may lie beside it) and by what shapes it: inputs,
 * kernels, precision, threads, level, and whether its ways were timed, then on
 * what.
 */
#include "runtime/model_sweep.h"

#include "base/size.h"
#include "cpu/features.h"
#include "onnx/import.h"

#include <string.h>

/* New shapes that one model adds: the first few come back, and whoever feeds
   pictures of any size must not fill the disk. */
enum { MAX_KEPT = 4 };

/* ---- the description ------------------------------------------------------
 */

static int model_key(const oc_model *m, const uint8_t *file,
                     oc__cache_key *key) {
    oc__sink s;
    oc__cache_key_begin(&m->cache, &s, OC_CACHE_MODEL);
    oc__sink_raw(&s, file, OC_BLAKE3_BYTES);
    oc__sink_int(&s, m->options.optimize);
    oc__sink_uint(&s, oc__cpu_resolve(m->options.cpu_mask));
    oc__sink_uint(&s, m->folder != NULL);
    return oc__cache_key_end(&s, key);
}

static void digest_of_bytes(const oc_model *m, uint8_t *out) {
    if (m->path)
        oc__cache_digest(&m->cache, &m->file, out);
    else
        oc__blake3(m->bytes, m->n_bytes, out);
}

/* Puts the digests of the model's other files behind that of its own; *out
   becomes the digest of them all. */
static int digest_all(const oc_model *m, const oc__externals *x,
                      const uint8_t *own, oc__sink *meta, uint8_t *out) {
    uint8_t one[OC_BLAKE3_BYTES];
    const char *location;
    const oc__file *f;
    oc__sink all;
    oc__sink_init(&all, &m->allocator);
    oc__sink_raw(&all, own, OC_BLAKE3_BYTES);
    for (size_t i = 0; (f = oc__externals_file(x, i, &location)); i++) {
        oc__cache_digest(&m->cache, f, one);
        oc__sink_text(&all, location);
        oc__sink_raw(&all, one, OC_BLAKE3_BYTES);
        if (!meta) continue;
        oc__sink_text(meta, location);
        oc__sink_raw(meta, one, OC_BLAKE3_BYTES);
    }
    int failed = all.failed;
    if (!failed) oc__blake3(all.data, all.n, out);
    oc__sink_deinit(&all);
    return failed;
}

static void put_info(oc__sink *s, const oc_value_info *v) {
    oc__sink_text(s, v->name);
    oc__sink_uint(s, (uint64_t)v->kind);
    oc__sink_uint(s, (uint64_t)v->dtype);
    oc__sink_int(s, v->rank);
    for (int i = 0; i < v->rank; i++) {
        oc__sink_int(s, v->dims[i]);
        oc__sink_uint(s, v->dim_names[i] != NULL);
        if (v->dim_names[i]) oc__sink_text(s, v->dim_names[i]);
    }
    oc__sink_uint(s, (uint64_t)v->optional);
}

static void get_info(oc__source *s, oc_value_info *v) {
    v->name = oc__source_text(s);
    v->kind = (oc_kind)oc__source_uint(s, OC_KIND_MAP);
    v->dtype = (oc_dtype)oc__source_uint(s, OC_DTYPE_COUNT - 1);
    int64_t rank = oc__source_int(s);
    if (rank < -1 || rank > OC_MAX_RANK) s->bad = 1;
    v->rank = s->bad ? -1 : (int)rank;
    for (int i = 0; i < OC_MAX_RANK; i++) {
        v->dims[i] = i < v->rank ? oc__source_int(s) : -1;
        if (v->dims[i] < -1) s->bad = 1;
        if (i < v->rank && oc__source_uint(s, 1))
            v->dim_names[i] = oc__source_text(s);
    }
    v->optional = (int)oc__source_uint(s, 2);
}

static void put_header(oc__sink *s, const oc_model *m) {
    const oc__onnx *o = m->onnx;
    const char *texts[] = {o->producer_name, o->producer_version, o->domain,
                           o->doc_string, m->summary.graph_name};
    int64_t numbers[] = {o->ir_version,
                         o->model_version,
                         (int64_t)o->node_count,
                         (int64_t)o->parameter_elems,
                         (int64_t)o->parameter_bytes,
                         (int64_t)m->summary.optimized_count,
                         m->is_random,
                         m->has_products};
    for (size_t i = 0; i < OC_COUNT(texts); i++)
        oc__sink_text(s, texts[i]);
    for (size_t i = 0; i < OC_COUNT(numbers); i++)
        oc__sink_int(s, numbers[i]);
    oc__sink_uint(s, o->n_opsets);
    for (size_t i = 0; i < o->n_opsets; i++) {
        oc__sink_text(s, o->opsets[i].domain);
        oc__sink_int(s, o->opsets[i].version);
    }
    oc__sink_uint(s, o->n_props);
    for (size_t i = 0; i < o->n_props; i++) {
        oc__sink_text(s, o->props[i].key);
        oc__sink_text(s, o->props[i].value);
    }
}

static int get_header(oc__source *s, oc_model *m, oc__onnx *o) {
    const char **texts[] = {&o->producer_name, &o->producer_version, &o->domain,
                            &o->doc_string, &m->summary.graph_name};
    for (size_t i = 0; i < OC_COUNT(texts); i++)
        *texts[i] = oc__source_text(s);
    o->ir_version = oc__source_int(s);
    o->model_version = oc__source_int(s);
    o->node_count = (size_t)oc__source_int(s);
    o->parameter_elems = (size_t)oc__source_int(s);
    o->parameter_bytes = (size_t)oc__source_int(s);
    m->summary.optimized_count = (size_t)oc__source_int(s);
    m->is_random = (int)oc__source_int(s);
    m->has_products = (int)oc__source_int(s);
    o->n_opsets = oc__source_count(s);
    o->opsets = oc__arena_array(&m->arena, o->n_opsets, sizeof(*o->opsets));
    for (size_t i = 0; o->opsets && i < o->n_opsets; i++) {
        o->opsets[i].domain = oc__source_text(s);
        o->opsets[i].version = (int)oc__source_int(s);
    }
    o->n_props = oc__source_count(s);
    o->props = oc__arena_array(&m->arena, o->n_props, sizeof(*o->props));
    for (size_t i = 0; o->props && i < o->n_props; i++) {
        o->props[i].key = oc__source_text(s);
        o->props[i].value = oc__source_text(s);
    }
    oc_model_summary *sum = &m->summary;
    sum->ir_version = o->ir_version;
    sum->opset = oc__onnx_opset(o, "");
    sum->producer = o->producer_name;
    sum->description = o->doc_string;
    sum->node_count = o->node_count;
    sum->parameter_elems = o->parameter_elems;
    sum->parameter_bytes = o->parameter_bytes;
    return o->opsets && o->props && !s->bad;
}

void oc__model_remember(oc_model *m) {
    uint8_t own[OC_BLAKE3_BYTES];
    oc__cache_key key;
    oc__sink meta, files;
    oc__blobs none = {0};
    const char *location;
    size_t n_files = 0;
    oc__sink_init(&meta, &m->allocator);
    oc__sink_init(&files, &m->allocator);
    digest_of_bytes(m, own);
    while (oc__externals_file(&m->onnx->externals, n_files, &location))
        n_files++;
    if (digest_all(m, &m->onnx->externals, own, &files, m->digest) ||
        model_key(m, own, &key)) {
        m->cache.folder = NULL; /* without a digest there is no finding */
    } else {
        oc__sink_uint(&meta, n_files);
        oc__sink_raw(&meta, files.data, files.n);
        put_header(&meta, m);
        oc__sink_uint(&meta, (uint64_t)m->n_inputs);
        for (int i = 0; i < m->n_inputs; i++)
            put_info(&meta, &m->inputs[i]);
        oc__sink_uint(&meta, (uint64_t)m->n_outputs);
        for (int i = 0; i < m->n_outputs; i++)
            put_info(&meta, &m->outputs[i]);
        meta.failed |= files.failed;
        oc__cache_keep(&m->cache, OC_CACHE_MODEL, &key, &meta, &none, NULL);
    }
    oc__sink_deinit(&files);
    oc__sink_deinit(&meta);
}

/* Maps the other files the model had and compares their digests. */
static int find_externals(oc_model *m, oc__onnx *o, oc__source *s,
                          const uint8_t *own) {
    size_t n = oc__source_count(s);
    const oc__file *f;
    o->externals.arena = &m->arena;
    o->externals.folder = m->folder;
    o->externals.max_file_bytes = m->options.max_file_bytes;
    for (size_t i = 0; i < n; i++) {
        uint8_t now[OC_BLAKE3_BYTES];
        const char *location = oc__source_text(s);
        const void *then = oc__source_raw(s, OC_BLAKE3_BYTES);
        if (!then ||
            oc__externals_open(&o->externals, location, &f, NULL) != OC_OK)
            return 0;
        oc__cache_digest(&m->cache, f, now);
        if (memcmp(now, then, sizeof(now))) return 0;
    }
    return !digest_all(m, &o->externals, own, NULL, m->digest);
}

static oc_value_info *get_infos(oc_model *m, oc__source *s, int *count) {
    size_t n = oc__source_count(s);
    if (n > INT32_MAX) return NULL;
    oc_value_info *list = oc__arena_array(&m->arena, n, sizeof(*list));
    for (size_t i = 0; list && i < n; i++)
        get_info(s, &list[i]);
    *count = (int)n;
    return list;
}

int oc__model_read(oc_model *m, struct oc__onnx *o, oc__source *s,
                   const uint8_t *own) {
    if (!find_externals(m, o, s, own) || !get_header(s, m, o)) return 0;
    m->inputs = get_infos(m, s, &m->n_inputs);
    m->outputs = get_infos(m, s, &m->n_outputs);
    return m->inputs && m->outputs && !s->bad;
}

int oc__model_recall(oc_model *m) {
    uint8_t own[OC_BLAKE3_BYTES];
    oc__cache_key key;
    oc__cache_entry e;
    digest_of_bytes(m, own);
    if (model_key(m, own, &key) ||
        !oc__cache_find(&m->cache, OC_CACHE_MODEL, &key, &m->description, &e,
                        &m->arena, NULL))
        return 0;
    oc__onnx *o = oc__arena_alloc(&m->arena, sizeof(*o));
    if (o && oc__model_read(m, o, &e.meta, own)) {
        m->onnx = o;
        return 1;
    }
    if (o) oc__externals_release(&o->externals);
    oc__file_unmap(&m->description);
    memset(&m->summary, 0, sizeof(m->summary));
    return 0;
}

/* ---- programs -------------------------------------------------------------
 */

/* Tuned programs have names of their own, with what times depend on and cost
   models do not ask for. */
static void put_machine(oc__sink *s) {
    oc__cpu_caches caches;
    oc__cpu_caches_get(&caches);
    oc__sink_text(s, oc__cpu_name());
    oc__sink_uint(s, caches.l2_bytes);
    oc__sink_uint(s, caches.l3_bytes);
}

static int program_key(const oc_model *m, const oc_value *const *inputs,
                       const oc__pass_env *env, int is_tuned,
                       oc__cache_key *key) {
    oc__sink s;
    oc__cache_key_begin(&m->cache, &s, OC_CACHE_PROGRAM);
    oc__sink_raw(&s, m->digest, sizeof(m->digest));
    oc__sink_int(&s, env->level);
    oc__sink_uint(&s, oc__cpu_resolve(m->options.cpu_mask));
    oc__sink_int(&s, env->kernels->bf16);
    oc__sink_int(&s, env->threads);
    oc__sink_uint(&s, is_tuned != 0);
    if (is_tuned) put_machine(&s);
    for (int i = 0; i < m->n_inputs; i++) {
        const oc_tensor *t = oc_value_tensor(inputs[i]);
        oc__sink_uint(&s, inputs[i] ? (uint64_t)inputs[i]->kind : OC_KIND_NONE);
        if (!t) continue;
        oc__sink_uint(&s, (uint64_t)t->dtype);
        oc__sink_int(&s, t->rank);
        for (int d = 0; d < t->rank; d++)
            oc__sink_int(&s, t->dims[d]);
    }
    return oc__cache_key_end(&s, key);
}

static oc__program *find_program(const oc_model *m, const oc__cache_key *key,
                                 const oc_value *const *inputs,
                                 const oc__pass_env *env) {
    oc__program *p = NULL;
    oc__cache_entry e;
    oc__arena tmp;
    oc_status st = oc__program_create(&p, env->allocator, NULL);
    if (st != OC_OK) return NULL;
    oc__arena_init(&tmp, env->allocator);
    if (!oc__cache_find(&m->cache, OC_CACHE_PROGRAM, key, &p->file, &e, &tmp,
                        env->pool))
        st = OC_E_IO;
    if (st == OC_OK)
        st = oc__graph_get(&p->graph, &p->arena, &e.meta, e.blobs, e.n_blobs,
                           NULL);
    if (st == OC_OK && (p->graph->n_inputs != m->n_inputs ||
                        p->graph->n_outputs != m->n_outputs))
        st = OC_E_FORMAT;
    if (st == OC_OK) st = oc__program_restore(p, inputs, env, NULL);
    oc__arena_deinit(&tmp);
    if (st == OC_OK) return p;
    oc__program_destroy(p);
    return NULL;
}

static void keep_program(oc_model *m, const oc__cache_key *key,
                         const oc__program *p, const oc__pass_env *env) {
    oc__sink meta;
    oc__blobs blobs = {.allocator = env->allocator};
    pthread_mutex_lock(&m->lock);
    int may = m->n_kept++ < MAX_KEPT;
    pthread_mutex_unlock(&m->lock);
    if (!may) return;
    oc__sink_init(&meta, env->allocator);
    oc__graph_put(&meta, &blobs, p->graph);
    oc__cache_keep(&m->cache, OC_CACHE_PROGRAM, key, &meta, &blobs, env->pool);
    oc__sink_deinit(&meta);
    oc__blobs_deinit(&blobs);
}

/* What one compilation may give back. */
typedef struct giver {
    oc_model *m;
    oc__marks marks;
    int is_only; /* nobody else reads what the model's import has copied */
} giver;

static int is_other(void *user, const void *p) {
    return user != p;
}

/* The weights are packed: what they were made of need not stay in memory. */
static void give_back(void *user, const void *data, size_t bytes) {
    giver *g = user;
    oc_model *m = g->m;
    const char *location;
    const oc__file *f;
    oc__file_drop(&m->file, data, bytes);
    for (size_t i = 0;
         (f = oc__externals_file(&m->onnx->externals, i, &location)); i++)
        oc__file_drop(f, data, bytes);
    if (g->is_only && oc__marks_has_one(&g->marks, data))
        oc__arena_sweep(&m->onnx->data, is_other, (void *)(uintptr_t)data);
}

static oc_status compile_graph(giver *give, oc__program *p,
                               const oc_value *const *inputs,
                               const oc__pass_env *env, oc_error *err) {
    oc__pass_env here = *env;
    here.consumed = give_back;
    here.user = give;
    OC_TRY(oc__model_clone_graph(give->m, &p->graph, &p->arena, &give->is_only,
                                 err));
    if (give->is_only)
        OC_TRY(oc__marks_init(&give->marks, give->m, p->graph, err));
    return oc__program_complete(p, inputs, &here, err);
}

static oc_status compile(oc_model *m, oc__program **out,
                         const oc_value *const *inputs, const oc__pass_env *env,
                         oc_error *err) {
    giver give = {.m = m, .marks.allocator = env->allocator};
    oc__program *p = NULL;
    OC_TRY(oc__program_create(&p, env->allocator, err));
    oc_status st = compile_graph(&give, p, inputs, env, err);
    oc__marks_deinit(&give.marks);
    if (st == OC_OK)
        *out = p;
    else
        oc__program_destroy(p);
    return st;
}

oc_status oc__model_program(void *model, oc__program **out,
                            const oc_value *const *inputs,
                            const oc__pass_env *env, oc_error *err) {
    oc_model *m = model;
    oc__cache_key plain, tuned;
    int cached = m->cache.folder && !program_key(m, inputs, env, 0, &plain) &&
                 !program_key(m, inputs, env, 1, &tuned);
    /* Once somebody has had it tuned, that is the program for everybody. */
    if (cached && (*out = find_program(m, &tuned, inputs, env))) return OC_OK;
    if (cached && !env->tuner && (*out = find_program(m, &plain, inputs, env)))
        return OC_OK;
    OC_TRY(compile(m, out, inputs, env, err));
    if (cached) keep_program(m, env->tuner ? &tuned : &plain, *out, env);
    return OC_OK;
}
