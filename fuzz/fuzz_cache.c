/*
 * fuzz_cache.c - files of the cache, damaged in ways that checksums would
 * have caught: every file is refused, or it is a program that runs.
 *
 * The input is a file of the cache.  It is tried as it is, then with its
 * sizes and checksums set right, so that mutations reach the readers behind
 * them: as a program, planned and run for the inputs its graph declares, and
 * as a model's description.
 */
#include "cpu/features.h"
#include "onnx/import.h"
#include "runtime/exec.h"
#include "runtime/model.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_INPUTS = 16, MAX_ELEMS = 1 << 16, MAX_BYTES = 1 << 20 };

/* Beyond this a run tells nothing new, only later. */
#define MAX_FLOPS 1e7

typedef struct target {
    oc__cache_entry entry;
    oc__graph *graph; /* read once to see what inputs it has */
    const oc_value *const *inputs;
    int runs; /* whether it is small enough */
} target;

static int is_small(const oc__program *p) {
    double flops = 0;
    for (int i = 0; i < p->n_steps; i++) {
        const oc__node *n = p->steps[i].node;
        flops += p->steps[i].flops + p->steps[i].bytes;
        /* A loop may run as long as it likes. */
        for (int a = 0; a < n->n_attrs; a++)
            if (n->attrs[a].graphs) return 0;
    }
    return flops < MAX_FLOPS && p->activation_bytes < MAX_BYTES &&
           p->scratch_bytes < MAX_BYTES;
}

/* What oc__model_program() does with a file it has found. */
static oc_status restore(void *user, oc__program **out,
                         const oc_value *const *inputs, const oc__pass_env *env,
                         oc_error *err) {
    target *t = user;
    oc__program *p = NULL;
    OC_TRY(oc__program_create(&p, env->allocator, err));
    oc__source meta = t->entry.meta;
    oc_status st = oc__graph_get(&p->graph, &p->arena, &meta, t->entry.blobs,
                                 t->entry.n_blobs, err);
    if (st == OC_OK) st = oc__program_restore(p, inputs, env, err);
    if (st == OC_OK) {
        t->runs = is_small(p);
        *out = p;
        return OC_OK;
    }
    oc__program_destroy(p);
    return st;
}

/* Zeros for input i; 0 when it is too large to try. */
static int make_input(const oc__graph *g, int i, oc_value *out) {
    const oc__value_def *v = &g->values[g->inputs[i]];
    int64_t dims[OC_MAX_RANK], elems = 1;
    memset(out, 0, sizeof(*out));
    if (v->kind != OC_KIND_TENSOR || v->rank < 0 || v->dtype == OC_DTYPE_NONE ||
        v->dtype == OC_DTYPE_STRING)
        return 1;
    for (int d = 0; d < v->rank; d++) {
        dims[d] = v->dims[d] < 0 ? 1 : v->dims[d];
        if (dims[d] > MAX_ELEMS || (elems *= dims[d]) > MAX_ELEMS) return 0;
    }
    if (oc__value_alloc_tensor(out, &oc__default_allocator, v->dtype, v->rank,
                               dims, NULL) != OC_OK)
        abort();
    memset(out->t.data, 0, oc_tensor_bytes(&out->t));
    return 1;
}

static void run(target *t, oc__exec_env *env) {
    oc_value values[MAX_INPUTS] = {{0}};
    const oc_value *inputs[MAX_INPUTS];
    oc__exec *e = NULL;
    int n = t->graph->n_inputs, small = n <= MAX_INPUTS;
    for (int i = 0; i < n && small; i++) {
        small = make_input(t->graph, i, &values[i]);
        inputs[i] = &values[i];
    }
    if (small && oc__exec_create_with(&e, n, restore, t, env, NULL) != OC_OK)
        abort();
    if (e && oc__exec_plan(e, inputs, NULL) == OC_OK && t->runs)
        (void)oc__exec_run(e, inputs, NULL);
    oc__exec_destroy(e);
    for (int i = 0; i < MAX_INPUTS; i++)
        oc__value_clear(&values[i]);
}

static void try_program(const oc__cache_entry *entry) {
    oc__kernels kernels;
    oc__exec_env env = {.kernels = &kernels,
                        .allocator = &oc__default_allocator,
                        .threads = 1,
                        .plan_cache_bytes = 1 << 20};
    oc__arena arena;
    target t = {.entry = *entry};
    oc__source meta = entry->meta;
    /* As the corpus was made. */
    oc__kernels_init(&kernels, oc__cpu_resolve(OC_CPU_SSE41 | OC_CPU_AVX2));
    oc__rng_init(&env.rng, 0);
    oc__arena_init(&arena, env.allocator);
    if (oc__graph_get(&t.graph, &arena, &meta, entry->blobs, entry->n_blobs,
                      NULL) == OC_OK)
        run(&t, &env);
    oc__arena_deinit(&arena);
}

static void try_description(const oc__cache_entry *entry) {
    static const uint8_t own[OC_BLAKE3_BYTES];
    oc_model m = {0};
    oc__onnx onnx = {0};
    oc__source meta = entry->meta;
    m.allocator = oc__default_allocator;
    m.cache.allocator = &m.allocator;
    oc__arena_init(&m.arena, &m.allocator);
    m.onnx = &onnx;
    if (oc__model_read(&m, &onnx, &meta, own)) {
        size_t seen = 0;
        for (int i = 0; i < oc_model_input_count(&m); i++)
            seen += strlen(oc_model_input(&m, i)->name);
        (void)oc_model_find_output(&m, "y");
        (void)oc_model_metadata(&m, "key");
        (void)oc_model_opset(&m, 0, NULL);
        if (seen > MAX_BYTES * (size_t)MAX_BYTES) abort();
    }
    oc__externals_release(&onnx.externals);
    oc__arena_deinit(&m.arena);
}

static void try_file(const uint8_t *data, size_t size) {
    oc__cache_key key = {{0}};
    oc__cache_entry entry;
    oc__arena arena;
    if (size >= sizeof(oc__cache_header))
        memcpy(key.bytes, ((const oc__cache_header *)(const void *)data)->key,
               16);
    oc__arena_init(&arena, &oc__default_allocator);
    if (oc__cache_parse(&entry, data, size, &key, &arena, NULL, NULL) ==
        OC_OK) {
        try_program(&entry);
        try_description(&entry);
    }
    oc__arena_deinit(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    /* As aligned as a mapping, and as short. */
    uint8_t *copy = oc__alloc(&oc__default_allocator, size);
    if (!copy) abort();
    if (size) memcpy(copy, data, size);
    try_file(copy, size);
    oc__cache_seal(copy, size);
    try_file(copy, size);
    oc__release(&oc__default_allocator, copy, size);
    return 0;
}
