/*
 * test_cache.c - src/runtime/cache*: what comes out of the cache computes the
 * same bits, and whatever is done to the files, the answer is right.
 *
 * The reference is the model run without a cache.  Whether a result came from
 * the cache is seen from outside: a file that was found is left as it is, one
 * that was refused is written anew (another inode), and a model whose program
 * was found never read its graph.
 */
#define _XOPEN_SOURCE 700
#include "testing.h"

#include "base/rng.h"
#include "runtime/model.h"

#include "proto_build.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { CHANNELS = 3, SIDE = 9, FILTERS = 20, CLASSES = 5, MOST_FILES = 64 };

/* ---- a folder of its own for each test ------------------------------------
 */

typedef struct rig {
    char folder[64], cache[96], model[96], weights[96];
} rig;

static int remove_one(const char *path, const struct stat *st, int type,
                      struct FTW *ftw) {
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

static void write_file(const char *path, const void *data, size_t n) {
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

/* Files in the cache whose name starts with kind ('\0': any), sorted. */
static int list(const rig *r, char kind, char names[][160]) {
    struct dirent **found = NULL;
    int n = scandir(r->cache, &found, NULL, alphasort), count = 0;
    for (int i = 0; i < n; i++) {
        const char *name = found[i]->d_name;
        if (name[0] != '.' && (!kind || name[0] == kind)) {
            assert_true(count < MOST_FILES);
            snprintf(names[count++], 160, "%s/%.60s", r->cache, name);
        }
        free(found[i]);
    }
    free(found);
    return count;
}

static int count(const rig *r, char kind) {
    char names[MOST_FILES][160];
    return list(r, kind, names);
}

/* Times of use are told apart by the file system's clock. */
static void wait_a_tick(void) {
    struct timespec t = {0, 20000000};
    nanosleep(&t, NULL);
}

static ino_t inode(const char *path) {
    struct stat st;
    return stat(path, &st) ? 0 : st.st_ino;
}

/* ---- models ---------------------------------------------------------------
 */

static void put_value_info(pb *graph, unsigned field, const char *name,
                           const char *batch, const int64_t *dims, int n) {
    static pb shape, dim, type, tensor, info;
    memset(&shape, 0, sizeof(shape));
    for (int i = 0; i < n; i++) {
        memset(&dim, 0, sizeof(dim));
        if (i == 0 && batch)
            pb_string(&dim, 2, batch);
        else
            pb_int(&dim, 1, dims[i]);
        pb_message(&shape, 1, &dim);
    }
    memset(&tensor, 0, sizeof(tensor));
    memset(&type, 0, sizeof(type));
    memset(&info, 0, sizeof(info));
    pb_int(&tensor, 1, OC_DTYPE_F32);
    pb_message(&tensor, 2, &shape);
    pb_message(&type, 1, &tensor);
    pb_string(&info, 1, name);
    pb_message(&info, 2, &type);
    pb_message(graph, field, &info);
}

/* Seeded weights, in the model or (external) in `weights`. */
static void put_weights(pb *graph, const char *name, const int64_t *dims, int n,
                        uint64_t seed, FILE *external) {
    static pb t, entry;
    static float data[4096];
    size_t elems = 1;
    memset(&t, 0, sizeof(t));
    for (int i = 0; i < n; i++) {
        pb_int(&t, 1, dims[i]);
        elems *= (size_t)dims[i];
    }
    assert_true(elems <= sizeof(data) / sizeof(*data));
    oc__rng rng;
    oc__rng_init(&rng, seed);
    oc__rng_fill(&rng, data, elems, -1, 1);
    pb_int(&t, 2, OC_DTYPE_F32);
    pb_string(&t, 8, name);
    if (external) {
        char at[32];
        snprintf(at, sizeof(at), "%ld", ftell(external));
        memset(&entry, 0, sizeof(entry));
        pb_string(&entry, 1, "location");
        pb_string(&entry, 2, "weights.bin");
        pb_message(&t, 13, &entry);
        memset(&entry, 0, sizeof(entry));
        pb_string(&entry, 1, "offset");
        pb_string(&entry, 2, at);
        pb_message(&t, 13, &entry);
        pb_int(&t, 14, 1);
        fwrite(data, sizeof(float), elems, external);
    } else {
        pb_bytes(&t, 9, data, elems * sizeof(float));
    }
    pb_message(graph, 5, &t);
}

static void put_node(pb *graph, const char *op, const char *ins,
                     const char *out, const pb *attr) {
    static pb node;
    char copy[64];
    memset(&node, 0, sizeof(node));
    snprintf(copy, sizeof(copy), "%s", ins);
    for (char *p = strtok(copy, " "); p; p = strtok(NULL, " "))
        pb_string(&node, 1, p);
    pb_string(&node, 2, out);
    pb_string(&node, 3, out);
    pb_string(&node, 4, op);
    if (attr) pb_message(&node, 5, attr);
    pb_message(graph, 1, &node);
}

/* softmax(gemm(mean(relu(conv(x))))), the batch free. */
static void make_net(const rig *r, uint64_t seed, int is_external,
                     const char *batch) {
    static const int64_t w[] = {FILTERS, CHANNELS, 3, 3}, b[] = {FILTERS};
    static const int64_t fc[] = {CLASSES, FILTERS};
    static const int64_t x[] = {1, CHANNELS, SIDE, SIDE}, y[] = {1, CLASSES};
    static pb graph, model, opset, attr, prop;
    pb *all[] = {&graph, &model, &opset, &attr, &prop};
    for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
        memset(all[i], 0, sizeof(*all[i]));
    FILE *external = is_external ? fopen(r->weights, "wb") : NULL;
    put_weights(&graph, "w", w, 4, seed, external);
    put_weights(&graph, "b", b, 1, seed + 1, NULL);
    put_weights(&graph, "fc", fc, 2, seed + 2, external);
    if (external) fclose(external);
    pb_string(&attr, 1, "auto_pad");
    pb_string(&attr, 4, "SAME_UPPER");
    pb_int(&attr, 20, 3);
    put_node(&graph, "Conv", "x w b", "conv", &attr);
    put_node(&graph, "Relu", "conv", "relu", NULL);
    put_node(&graph, "GlobalAveragePool", "relu", "mean", NULL);
    put_node(&graph, "Flatten", "mean", "flat", NULL);
    memset(&attr, 0, sizeof(attr));
    pb_string(&attr, 1, "transB");
    pb_int(&attr, 3, 1);
    pb_int(&attr, 20, 2);
    put_node(&graph, "Gemm", "flat fc", "logits", &attr);
    put_node(&graph, "Softmax", "logits", "y", NULL);
    pb_string(&graph, 2, "net");
    put_value_info(&graph, 11, "x", batch, x, 4);
    put_value_info(&graph, 11, "b", NULL, b, 1); /* with a default */
    put_value_info(&graph, 12, "y", batch, y, 2);
    pb_int(&model, 1, 8);
    pb_string(&model, 2, "test");
    pb_message(&model, 7, &graph);
    pb_string(&opset, 1, "");
    pb_int(&opset, 2, 17);
    pb_message(&model, 8, &opset);
    pb_string(&prop, 1, "key");
    pb_string(&prop, 2, "value");
    pb_message(&model, 14, &prop);
    write_file(r->model, model.data, model.n);
}

static void make_model(const rig *r, uint64_t seed, int is_external) {
    make_net(r, seed, is_external, "batch");
}

static void rig_init(rig *r) {
    snprintf(r->folder, sizeof(r->folder), "%s/ocelli-cache-XXXXXX",
             getenv("TMPDIR") && strlen(getenv("TMPDIR")) < 30
                 ? getenv("TMPDIR")
                 : "/tmp");
    assert_non_null(mkdtemp(r->folder));
    snprintf(r->cache, sizeof(r->cache), "%s/a/b", r->folder);
    snprintf(r->model, sizeof(r->model), "%s/net.onnx", r->folder);
    snprintf(r->weights, sizeof(r->weights), "%s/weights.bin", r->folder);
    make_model(r, 1, 0);
}

static void rig_deinit(rig *r) {
    nftw(r->folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* ---- running --------------------------------------------------------------
 */

typedef struct job {
    const char *path;
    oc_options options;
    int threads;
    int64_t batch;
    int read_graph; /* set: the model's graph was needed */
} job;

static job job_of(const rig *r, int with_cache) {
    job j = {.path = r->model, .threads = 2, .batch = 1};
    if (with_cache) j.options.cache_folder = r->cache;
    return j;
}

static float *set_input(oc_session *s, const oc_model *m, int i, int64_t batch,
                        oc_status *st) {
    const oc_value_info *info = oc_model_input(m, i);
    oc_tensor t = {.dtype = OC_DTYPE_F32, .rank = info->rank};
    for (int d = 0; d < t.rank; d++)
        t.dims[d] = info->dims[d] < 0 ? batch : info->dims[d];
    float *x = malloc(oc_tensor_bytes(&t) + 1);
    oc__rng rng;
    oc__rng_init(&rng, 7);
    oc__rng_fill(&rng, x, (size_t)oc_tensor_elems(&t), 0, 1);
    t.data = x;
    *st = oc_session_set_input(s, i, &t, NULL);
    return x;
}

/* Runs the job; *bytes receives all outputs one behind the other (malloc). */
static oc_status run(job *j, char **bytes, size_t *n) {
    oc_model *m = NULL;
    oc_session *s = NULL;
    oc_session_options so = {.threads = j->threads};
    oc_error err = {0};
    float *inputs[16] = {NULL};
    *bytes = NULL;
    *n = 0;
    oc_status st = oc_model_load(&m, j->path, &j->options, &err);
    if (st == OC_OK) st = oc_session_create(&s, m, &so, &err);
    for (int i = 0; st == OC_OK && i < oc_model_input_count(m) && i < 16; i++)
        if (!oc_model_input(m, i)->optional)
            inputs[i] = set_input(s, m, i, j->batch, &st);
    if (st == OC_OK) st = oc_session_run(s, &err);
    for (int i = 0; st == OC_OK && i < oc_model_output_count(m); i++) {
        const oc_tensor *t = oc_session_output_tensor(s, i);
        size_t more = oc_tensor_bytes(t);
        *bytes = realloc(*bytes, *n + more + 1);
        memcpy(*bytes + *n, t->data, more);
        *n += more;
    }
    if (m) j->read_graph = m->graph != NULL;
    oc_session_destroy(s);
    oc_model_destroy(m);
    for (int i = 0; i < 16; i++)
        free(inputs[i]);
    return st;
}

/* Whether the job, with its cache, gives what it gives without. */
static int is_right(job *j) {
    job plain = *j;
    char *want, *got;
    size_t n_want, n_got;
    plain.options.cache_folder = NULL;
    plain.options.allocator = NULL;
    assert_int_equal(run(&plain, &want, &n_want), OC_OK);
    assert_true(n_want > 0);
    oc_status st = run(j, &got, &n_got);
    int same = st == OC_OK && n_got == n_want && !memcmp(got, want, n_want);
    free(want);
    free(got);
    return same;
}

/* ---- what it is for -------------------------------------------------------
 */

static void cache_gives_the_same_bits_from_a_file(void **state) {
    (void)state;
    rig r;
    char names[MOST_FILES][160];
    rig_init(&r);
    job j = job_of(&r, 1);
    assert_true(is_right(&j));
    assert_true(j.read_graph);
    assert_int_equal(list(&r, 'p', names), 1);
    assert_int_equal(count(&r, 'm'), 1);
    ino_t before = inode(names[0]);
    for (int i = 0; i < 3; i++) {
        assert_true(is_right(&j));
        assert_false(j.read_graph);
    }
    assert_int_equal(count(&r, 'p'), 1);
    assert_int_equal(inode(names[0]), before);
    rig_deinit(&r);
}

static void cache_gives_the_same_bits_for_real_networks(void **state) {
    (void)state;
    static const char *const nets[] = {
        "mnist",
        "resnet8_cifar10",
        "yunet_n_320_320",
        "ultraface_rfb_320",
        "nanodet_m_coco",
        "shufflenet_v2_imagenet_int8",
        "yolox_nano_coco",
        "ssd_mobilenet_v3_coco",
        "super_resolution",
        "selfie_landscape_nhwc",
    };
    rig r;
    int seen = 0;
    rig_init(&r);
    for (size_t i = 0; i < sizeof(nets) / sizeof(*nets); i++) {
        char name[96];
        snprintf(name, sizeof(name), "models/%s.onnx", nets[i]);
        const char *path = test_shared(name);
        if (!path || (test_is_small() && i > 2)) continue;
        for (int level = 0; level >= -1; level--) {
            job j = job_of(&r, 1);
            j.path = path;
            j.options.optimize = level;
            assert_true(is_right(&j));
            assert_true(is_right(&j));
            seen++;
        }
    }
    rig_deinit(&r);
    if (!seen) skip();
}

static void cache_keeps_apart_what_differs(void **state) {
    (void)state;
    rig r;
    rig_init(&r);
    job j = job_of(&r, 1);
    assert_true(is_right(&j));
    j.batch = 2;
    assert_true(is_right(&j));
    assert_int_equal(count(&r, 'p'), 2);
    j.threads = 1;
    assert_true(is_right(&j));
    assert_int_equal(count(&r, 'p'), 3);
    j.options.optimize = 1;
    assert_true(is_right(&j));
    assert_int_equal(count(&r, 'p'), 4);
    j.options.cpu_mask = OC_CPU_SCALAR;
    assert_true(is_right(&j));
    assert_int_equal(count(&r, 'p'), 5);
    j.options.optimize = 0;
    assert_true(is_right(&j));
    assert_int_equal(count(&r, 'p'), 6);
    j.options.precision = OC_PRECISION_BF16;
    assert_true(is_right(&j));
    assert_int_equal(count(&r, 'p'), 7);
    assert_true(is_right(&j));
    assert_false(j.read_graph);
    /* Another model of the same name and size, within the same second. */
    make_model(&r, 100, 0);
    assert_true(is_right(&j));
    assert_int_equal(count(&r, 'p'), 8);
    make_model(&r, 1, 0);
    assert_true(is_right(&j));
    assert_int_equal(count(&r, 'p'), 8);
    assert_false(j.read_graph);
    rig_deinit(&r);
}

static void cache_sees_weights_change_in_another_file(void **state) {
    (void)state;
    rig r;
    rig_init(&r);
    make_model(&r, 1, 1);
    job j = job_of(&r, 1);
    assert_true(is_right(&j));
    assert_true(is_right(&j));
    assert_false(j.read_graph);
    FILE *f = fopen(r.weights, "r+b");
    float other = 3;
    assert_non_null(f);
    assert_int_equal(fwrite(&other, sizeof(other), 1, f), 1);
    fclose(f);
    assert_true(is_right(&j));
    assert_true(j.read_graph);
    assert_int_equal(count(&r, 'p'), 2);
    /* And a model that lost them says so, as without a cache. */
    remove(r.weights);
    char *bytes;
    size_t n;
    assert_int_equal(run(&j, &bytes, &n), OC_E_IO);
    rig_deinit(&r);
}

static void collect(void *user, const char *text, size_t bytes) {
    size_t n = strlen(user);
    snprintf((char *)user + n, 8192 - n, "%.*s", (int)bytes, text);
}

static void cached_model_says_the_same_of_itself(void **state) {
    (void)state;
    rig r;
    rig_init(&r);
    job j = job_of(&r, 1);
    assert_true(is_right(&j));
    oc_model *a = NULL, *b = NULL;
    assert_int_equal(oc_model_load(&a, r.model, NULL, NULL), OC_OK);
    assert_int_equal(oc_model_load(&b, r.model, &j.options, NULL), OC_OK);
    assert_null(b->graph);
    oc_model_summary x, y;
    oc_model_summarize(a, &x);
    oc_model_summarize(b, &y);
    assert_int_equal(x.ir_version, y.ir_version);
    assert_int_equal(x.opset, y.opset);
    assert_string_equal(x.producer, y.producer);
    assert_string_equal(x.graph_name, y.graph_name);
    assert_string_equal(x.description, y.description);
    assert_int_equal(x.node_count, y.node_count);
    assert_int_equal(x.optimized_count, y.optimized_count);
    assert_int_equal(x.parameter_elems, y.parameter_elems);
    assert_int_equal(x.parameter_bytes, y.parameter_bytes);
    assert_string_equal(oc_model_metadata(b, "key"), "value");
    assert_string_equal(oc_model_opset(b, 0, NULL), "ai.onnx");
    const oc_value_info *in = oc_model_input(b, 0);
    assert_string_equal(in->name, "x");
    assert_int_equal(in->rank, 4);
    assert_int_equal(in->dims[0], -1);
    assert_string_equal(in->dim_names[0], "batch");
    assert_int_equal(in->dims[3], SIDE);
    assert_int_equal(oc_model_find_output(b, "y"), 0);
    /* The graph comes when it is asked for. */
    static char of_a[8192], of_b[8192];
    of_a[0] = of_b[0] = '\0';
    oc_model_print(a, collect, of_a);
    oc_model_print(b, collect, of_b);
    assert_non_null(b->graph);
    assert_true(strlen(of_a) > 100);
    assert_string_equal(of_a, of_b);
    oc_model_destroy(a);
    oc_model_destroy(b);
    /* So it can be saved, and what is saved computes the same. */
    char saved[128];
    snprintf(saved, sizeof(saved), "%s/saved.onnx", r.folder);
    assert_int_equal(oc_model_load(&b, r.model, &j.options, NULL), OC_OK);
    assert_int_equal(oc_model_save(b, saved, NULL), OC_OK);
    oc_model_destroy(b);
    job again = {.path = saved, .threads = 2, .batch = 1};
    assert_true(is_right(&again));
    rig_deinit(&r);
}

static void cached_model_takes_inputs_that_have_defaults(void **state) {
    (void)state;
    static float bias[FILTERS] = {5, 4, 3, 2, 1};
    rig r;
    float y[3][CLASSES];
    rig_init(&r);
    job j = job_of(&r, 1);
    assert_true(is_right(&j));
    oc_tensor b = {.dtype = OC_DTYPE_F32, .rank = 1, .dims = {FILTERS}};
    b.data = bias;
    for (int i = 0; i < 3; i++) {
        oc_model *m = NULL;
        oc_session *s = NULL;
        oc_status st;
        const oc_options *opt = i == 1 ? NULL : &j.options;
        assert_int_equal(oc_model_load(&m, r.model, opt, NULL), OC_OK);
        assert_int_equal(m->graph == NULL, i != 1);
        assert_int_equal(oc_model_input(m, 1)->optional, 1);
        assert_int_equal(oc_session_create(&s, m, NULL, NULL), OC_OK);
        float *x = set_input(s, m, 0, 1, &st);
        assert_int_equal(st, OC_OK);
        if (i < 2)
            assert_int_equal(oc_session_set_input(s, 1, &b, NULL), OC_OK);
        assert_int_equal(oc_session_run(s, NULL), OC_OK);
        memcpy(y[i], oc_session_output_tensor(s, 0)->data, sizeof(y[i]));
        oc_session_destroy(s);
        oc_model_destroy(m);
        free(x);
    }
    assert_memory_equal(y[0], y[1], sizeof(y[0]));
    assert_true(memcmp(y[0], y[2], sizeof(y[0])) != 0);
    rig_deinit(&r);
}

/* Without a cache too: only one shape can come, so the weights are kept as the
   program has them, until somebody wants the graph again. */
static void model_lets_its_graph_go_and_reads_it_again(void **state) {
    (void)state;
    for (int external = 0; external < 2; external++) {
        rig r;
        oc_model *m = NULL;
        float y[3][CLASSES];
        oc_status st;
        rig_init(&r);
        make_net(&r, 1, external, NULL);
        assert_int_equal(oc_model_load(&m, r.model, NULL, NULL), OC_OK);
        /* It is the file as it was that is read again. */
        if (external) assert_int_equal(remove(r.weights), 0);
        oc_session *s[3] = {NULL};
        float *x[3];
        for (int i = 0; i < 3; i++) {
            assert_int_equal(oc_session_create(&s[i], m, NULL, NULL), OC_OK);
            x[i] = set_input(s[i], m, 0, 1, &st);
            assert_int_equal(st, OC_OK);
            assert_int_equal(oc_session_run(s[i], NULL), OC_OK);
            assert_int_equal(m->graph == NULL, i == 0);
        }
        static char text[8192];
        text[0] = '\0';
        oc_model_print(m, collect, text);
        assert_true(strlen(text) > 100);
        for (int i = 0; i < 3; i++) {
            assert_int_equal(oc_session_run(s[i], NULL), OC_OK);
            memcpy(y[i], oc_session_output_tensor(s[i], 0)->data, sizeof(y[i]));
            assert_memory_equal(y[i], y[0], sizeof(y[0]));
            oc_session_destroy(s[i]);
            free(x[i]);
        }
        oc_model_destroy(m);
        rig_deinit(&r);
    }
}

/* ---- damage ---------------------------------------------------------------
 */

typedef void damage(unsigned char *data, size_t *n, size_t step);

static void flip(unsigned char *data, size_t *n, size_t step) {
    (void)n;
    data[step] ^= 0x41;
}

static void cut_off(unsigned char *data, size_t *n, size_t step) {
    (void)data;
    *n = step;
}

/* Does this to every file of the cache at every step-th place: each time the
   answer must be right and the file be as it was before. */
static void survive(damage *how, size_t step) {
    rig r;
    char names[MOST_FILES][160];
    rig_init(&r);
    job j = job_of(&r, 1);
    assert_true(is_right(&j));
    int files = list(&r, '\0', names);
    assert_int_equal(files, 2);
    for (int f = 0; f < files; f++) {
        size_t n = 0, now = 0;
        unsigned char *good = test_read_file(names[f], &n);
        assert_true(n > 100);
        for (size_t at = 0; at < n; at += step) {
            unsigned char *bad = malloc(n);
            size_t length = n;
            memcpy(bad, good, n);
            how(bad, &length, at);
            write_file(names[f], bad, length);
            free(bad);
            assert_true(is_right(&j));
            unsigned char *repaired = test_read_file(names[f], &now);
            assert_int_equal(now, n);
            assert_memory_equal(repaired, good, n);
            free(repaired);
        }
        free(good);
    }
    assert_int_equal(count(&r, '\0'), files);
    rig_deinit(&r);
}

static void cache_rebuilds_what_a_byte_is_wrong_in(void **state) {
    (void)state;
    survive(flip, 97);
}

static void cache_rebuilds_what_is_cut_off(void **state) {
    (void)state;
    survive(cut_off, 331);
}

static void cache_refuses_what_is_not_its_own(void **state) {
    (void)state;
    rig r;
    char names[MOST_FILES][160], other[160];
    rig_init(&r);
    job j = job_of(&r, 1), two = j;
    two.batch = 2;
    assert_true(is_right(&j));
    assert_int_equal(list(&r, 'p', names), 1);
    snprintf(other, sizeof(other), "%s", names[0]);
    assert_true(is_right(&two));
    assert_int_equal(list(&r, 'p', names), 2);
    /* A sound file under the name of another. */
    const char *first = strcmp(names[0], other) ? names[1] : names[0];
    const char *second = strcmp(names[0], other) ? names[0] : names[1];
    size_t n;
    unsigned char *data = test_read_file(second, &n);
    write_file(first, data, n);
    assert_true(is_right(&j));
    /* A link. */
    char target[160];
    snprintf(target, sizeof(target), "%s/elsewhere", r.folder);
    assert_int_equal(rename(first, target), 0);
    assert_int_equal(symlink(target, first), 0);
    assert_true(is_right(&j));
    struct stat st;
    assert_int_equal(lstat(first, &st), 0);
    assert_true(S_ISREG(st.st_mode));
    assert_int_equal(st.st_mode & 0777, 0600);
    /* One that others may write. */
    assert_int_equal(chmod(first, 0622), 0);
    ino_t before = inode(first);
    assert_true(is_right(&j));
    assert_true(inode(first) != before);
    if (geteuid() == 0) {
        assert_int_equal(chown(first, 1, 1), 0);
        assert_true(is_right(&j));
        assert_int_equal(lstat(first, &st), 0);
        assert_int_equal(st.st_uid, 0);
    }
    free(data);
    rig_deinit(&r);
}

/* ---- folders --------------------------------------------------------------
 */

static void cache_goes_without_a_folder_it_cannot_use(void **state) {
    (void)state;
    rig r;
    rig_init(&r);
    job j = job_of(&r, 1);
    /* Below a file there is no folder. */
    char below[160];
    snprintf(below, sizeof(below), "%s/x", r.model);
    j.options.cache_folder = below;
    assert_true(is_right(&j));
    j.options.cache_folder = "";
    assert_true(is_right(&j));
    /* Where all may write, anybody's file may lie. */
    char open[160];
    snprintf(open, sizeof(open), "%s/open", r.folder);
    assert_int_equal(mkdir(open, 0777), 0);
    assert_int_equal(chmod(open, 0777), 0);
    j.options.cache_folder = open;
    assert_true(is_right(&j));
    snprintf(r.cache, sizeof(r.cache), "%.90s", open);
    assert_int_equal(count(&r, '\0'), 0);
    /* What may only be read is read; root may write anywhere. */
    assert_int_equal(chmod(open, 0700), 0);
    assert_true(is_right(&j));
    assert_int_equal(chmod(open, 0500), 0);
    assert_true(is_right(&j));
    assert_false(j.read_graph);
    j.batch = 2;
    assert_true(is_right(&j));
    if (geteuid() != 0) assert_int_equal(count(&r, 'p'), 1);
    assert_int_equal(chmod(open, 0700), 0);
    rig_deinit(&r);
}

static void cache_goes_without_a_disk_that_is_full(void **state) {
    (void)state;
    rig r;
    rig_init(&r);
    job j = job_of(&r, 1);
    pid_t child = fork();
    if (child == 0) {
        /* write() fails beyond this, as on a full disk. */
        struct rlimit most = {2000, 2000};
        signal(SIGXFSZ, SIG_IGN);
        setrlimit(RLIMIT_FSIZE, &most);
        _exit(is_right(&j) ? 0 : 1);
    }
    int status = -1;
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    /* Nothing half-written, nothing left over. */
    assert_int_equal(count(&r, 'p'), 0);
    assert_int_equal(count(&r, '\0'), count(&r, 'm'));
    assert_true(is_right(&j));
    rig_deinit(&r);
}

static size_t total_bytes(const rig *r) {
    char names[MOST_FILES][160];
    size_t total = 0;
    int n = list(r, '\0', names);
    for (int i = 0; i < n; i++) {
        struct stat st;
        assert_int_equal(stat(names[i], &st), 0);
        total += (size_t)st.st_size;
    }
    return total;
}

static void cache_stays_within_its_bound(void **state) {
    (void)state;
    rig r;
    rig_init(&r);
    job j = job_of(&r, 1);
    assert_true(is_right(&j));
    size_t one = total_bytes(&r);
    /* Room for three programs; what is used again stays. */
    j.options.cache_bytes = 4 * one - one / 2;
    for (int64_t batch = 2; batch < 9; batch++) {
        wait_a_tick();
        j.batch = 1;
        assert_true(is_right(&j));
        assert_false(j.read_graph);
        wait_a_tick();
        j.batch = batch;
        assert_true(is_right(&j));
        assert_true(total_bytes(&r) <= j.options.cache_bytes);
    }
    assert_true(count(&r, 'p') >= 2);
    /* What is larger than the bound is not kept, and pushes nothing out. */
    int before = count(&r, 'p');
    j.options.cache_bytes = 1000;
    j.batch = 20;
    assert_true(is_right(&j));
    assert_int_equal(count(&r, 'p'), before);
    rig_deinit(&r);
}

static void cache_removes_what_dead_writers_left(void **state) {
    (void)state;
    rig r;
    char names[MOST_FILES][160], old[200], young[200], other[200];
    rig_init(&r);
    job j = job_of(&r, 1);
    assert_true(is_right(&j));
    assert_int_equal(list(&r, 'p', names), 1);
    snprintf(old, sizeof(old), "%s.1-2.tmp", names[0]);
    snprintf(young, sizeof(young), "%s.1-3.tmp", names[0]);
    snprintf(other, sizeof(other), "%s/notes.txt", r.cache);
    write_file(old, "x", 1);
    write_file(young, "x", 1);
    write_file(other, "x", 1);
    struct timespec long_ago[2] = {{1000000000, 0}, {1000000000, 0}};
    assert_int_equal(utimensat(AT_FDCWD, old, long_ago, 0), 0);
    assert_int_equal(utimensat(AT_FDCWD, other, long_ago, 0), 0);
    j.batch = 2;
    assert_true(is_right(&j));
    assert_int_equal(inode(old), 0);
    assert_true(inode(young) != 0);
    assert_true(inode(other) != 0);
    rig_deinit(&r);
}

/* ---- others ---------------------------------------------------------------
 */

static void cache_serves_many_processes_at_once(void **state) {
    (void)state;
    enum { PROCESSES = 6 };
    rig r;
    rig_init(&r);
    job j = job_of(&r, 1);
    pid_t children[PROCESSES];
    for (int i = 0; i < PROCESSES; i++) {
        children[i] = fork();
        assert_true(children[i] >= 0);
        if (children[i] == 0) {
            int right = 1;
            for (int k = 0; k < 10; k++) {
                j.batch = 1 + k % 3;
                right &= is_right(&j);
            }
            _exit(right ? 0 : 1);
        }
    }
    for (int i = 0; i < PROCESSES; i++) {
        int status = -1;
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_int_equal(status, 0);
    }
    assert_int_equal(count(&r, 'p'), 3);
    assert_int_equal(count(&r, '\0'), 4);
    assert_true(is_right(&j));
    assert_false(j.read_graph);
    rig_deinit(&r);
}

static void cache_survives_each_failing_allocation(void **state) {
    (void)state;
    for (int warm = 0; warm < 2; warm++) {
        rig r;
        rig_init(&r);
        job good = job_of(&r, 1);
        if (warm) assert_true(is_right(&good));
        int passed = 0;
        for (int64_t n = 0; passed < 3; n++) {
            test_allocator ta;
            char *bytes;
            size_t bytes_n;
            job j = job_of(&r, 1);
            if (!warm) nftw(r.cache, remove_one, 16, FTW_DEPTH | FTW_PHYS);
            test_allocator_init(&ta, n);
            j.options.allocator = &ta.base;
            oc_status st = run(&j, &bytes, &bytes_n);
            test_allocator_check(&ta);
            if (st == OC_OK) {
                /* What could not be kept is no failure. */
                passed += !ta.failed;
                assert_int_equal(bytes_n, CLASSES * sizeof(float));
            } else {
                assert_true(ta.failed);
                assert_int_equal(st, OC_E_NOMEM);
            }
            free(bytes);
        }
        assert_true(is_right(&good));
        rig_deinit(&r);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cache_gives_the_same_bits_from_a_file),
        cmocka_unit_test(cache_gives_the_same_bits_for_real_networks),
        cmocka_unit_test(cache_keeps_apart_what_differs),
        cmocka_unit_test(cache_sees_weights_change_in_another_file),
        cmocka_unit_test(cached_model_says_the_same_of_itself),
        cmocka_unit_test(cached_model_takes_inputs_that_have_defaults),
        cmocka_unit_test(model_lets_its_graph_go_and_reads_it_again),
        cmocka_unit_test(cache_rebuilds_what_a_byte_is_wrong_in),
        cmocka_unit_test(cache_rebuilds_what_is_cut_off),
        cmocka_unit_test(cache_refuses_what_is_not_its_own),
        cmocka_unit_test(cache_goes_without_a_folder_it_cannot_use),
        cmocka_unit_test(cache_goes_without_a_disk_that_is_full),
        cmocka_unit_test(cache_stays_within_its_bound),
        cmocka_unit_test(cache_removes_what_dead_writers_left),
        cmocka_unit_test(cache_serves_many_processes_at_once),
        cmocka_unit_test(cache_survives_each_failing_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
