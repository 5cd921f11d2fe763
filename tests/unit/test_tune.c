/*
 * test_tune.c - src/passes/tune*: which way of a convolution is taken, that
 * programs do what was taken, and that the cache keeps it.
 *
 * Times come from a meter that says what a test wants them to be, so that
 * every choice can be foretold.  What a program computes is compared with the
 * operators as the model has them, in plain C.  The real meter is asked only
 * for what holds however long anything takes.
 */
#define _XOPEN_SOURCE 700
#include "testing.h"

#include "base/rng.h"
#include "base/size.h"
#include "passes/tune.h"
#include "runtime/model.h"

#include "model_build.h"

#include <dirent.h>
#include <math.h>
#include <unistd.h>

/* ---- a meter --------------------------------------------------------------
 */

#define US INT64_C(1000)
#define MS INT64_C(1000000)

typedef struct fake {
    int64_t clock_ns;
    int64_t way_ns[OC_CONV_ALGO_COUNT];
    int64_t joined_ns, apart_ns;
    int64_t noise_ns[8]; /* on top, of the first runs of all */
    int runs, opened, closed, is_full;
} fake;

static int fake_open(void *user, const oc__tune_case *cases, size_t n) {
    fake *f = user;
    (void)cases;
    assert_true(n > 1 && n <= OC_TUNE_CASES);
    f->opened++;
    return f->is_full;
}

static int64_t fake_run(void *user, const oc__tune_case *c) {
    fake *f = user;
    int64_t ns = f->way_ns[c->algo];
    if (c->depth.in_c) ns = c->joined ? f->joined_ns : f->apart_ns;
    if ((size_t)f->runs < OC_COUNT(f->noise_ns)) ns += f->noise_ns[f->runs];
    f->runs++;
    f->clock_ns += ns;
    return ns;
}

static void fake_close(void *user) {
    fake *f = user;
    f->closed++;
}

static int64_t fake_now(void *user) {
    const fake *f = user;
    return f->clock_ns;
}

/* Everything takes 100 us. */
static fake even(void) {
    fake f = {.joined_ns = 100 * US, .apart_ns = 100 * US};
    for (int i = 0; i < OC_CONV_ALGO_COUNT; i++)
        f.way_ns[i] = 100 * US;
    return f;
}

static oc__tuner *tuner_of(fake *f) {
    const oc__tune_meter m = {.user = f,
                              .open = fake_open,
                              .run = fake_run,
                              .close = fake_close,
                              .now_ns = fake_now};
    oc__tuner *t = NULL;
    assert_int_equal(oc__tuner_create(&t, &oc__default_allocator, &m, NULL),
                     OC_OK);
    return t;
}

/* ---- choosing -------------------------------------------------------------
 */

/* A square kernel over a square picture, unpadded, stride 1. */
static oc__conv_geom geom(int64_t in_c, int64_t out_c, int64_t side, int64_t k,
                          int64_t group) {
    return (oc__conv_geom){.batch = 1,
                           .in_c = in_c,
                           .in_h = side,
                           .in_w = side,
                           .out_c = out_c,
                           .out_h = side - k + 1,
                           .out_w = side - k + 1,
                           .kernel_h = k,
                           .kernel_w = k,
                           .stride_h = 1,
                           .stride_w = 1,
                           .dilation_h = 1,
                           .dilation_w = 1,
                           .group = group};
}

static oc__conv_algo choose(oc__tuner *t, const oc__conv_geom *g,
                            oc__conv_algo usual) {
    return oc__tuner_choose(t, oc__kernels_native(), g, usual);
}

static void near(double a, double b) {
    if (!(fabs(a - b) < 1e-9)) fail_msg("%.17g is not %.17g", a, b);
}

static void tuner_departs_only_for_what_is_clearly_faster(void **state) {
    (void)state;
    oc__conv_geom g = geom(32, 32, 20, 3, 1);
    /* us of the other way; whether it is taken instead of 100 us */
    static const int cases[][2] = {
        {120, 0}, {100, 0}, {98, 0}, {96, 1}, {40, 1}};
    for (size_t i = 0; i < OC_COUNT(cases); i++) {
        fake f = even();
        oc_tune_summary s;
        f.way_ns[OC_CONV_WINOGRAD2] = cases[i][0] * US;
        oc__tuner *t = tuner_of(&f);
        oc__tuner_begin(t, 0);
        assert_int_equal(choose(t, &g, OC_CONV_WINOGRAD4),
                         cases[i][1] ? OC_CONV_WINOGRAD2 : OC_CONV_WINOGRAD4);
        assert_true(oc__tuner_end(t, &s));
        assert_int_equal(s.layers, 1);
        assert_int_equal(s.timed, 1);
        assert_int_equal(s.changed, cases[i][1]);
        assert_int_equal(s.left, 0);
        near(s.usual_ms, 0.1);
        near(s.tuned_ms, cases[i][1] ? cases[i][0] * 1e-3 : 0.1);
        near(s.spent_ms, (double)f.clock_ns * 1e-6);
        assert_int_equal(f.opened, 1);
        assert_int_equal(f.closed, 1);
        assert_false(oc__tuner_end(t, &s));
        oc__tuner_destroy(t);
    }
}

/* The first runs are slow by chance, in every order: the usual way's too. */
static void tuner_is_not_misled_by_a_slow_run(void **state) {
    (void)state;
    oc__conv_geom g = geom(32, 32, 20, 3, 1);
    for (size_t slow = 0; slow < 8; slow++) {
        fake f = even();
        f.noise_ns[slow] = 500 * US;
        oc__tuner *t = tuner_of(&f);
        oc__tuner_begin(t, 0);
        assert_int_equal(choose(t, &g, OC_CONV_WINOGRAD4), OC_CONV_WINOGRAD4);
        f.way_ns[OC_CONV_DIRECT] = 90 * US;
        g.in_c++;
        assert_int_equal(choose(t, &g, OC_CONV_WINOGRAD4), OC_CONV_DIRECT);
        g.in_c--;
        oc__tuner_destroy(t);
    }
}

static void tuner_asks_once_about_layers_alike(void **state) {
    (void)state;
    fake f = even();
    oc_tune_summary s;
    f.way_ns[OC_CONV_POINT] = 50 * US;
    oc__tuner *t = tuner_of(&f);
    oc__conv_geom g = geom(32, 32, 20, 1, 1), other = geom(32, 48, 20, 1, 1);
    oc__tuner_begin(t, 0);
    assert_int_equal(choose(t, &g, OC_CONV_DIRECT), OC_CONV_POINT);
    int runs = f.runs;
    f.way_ns[OC_CONV_POINT] = 500 * US;
    assert_int_equal(choose(t, &g, OC_CONV_DIRECT), OC_CONV_POINT);
    assert_int_equal(f.runs, runs);
    assert_int_equal(choose(t, &other, OC_CONV_DIRECT), OC_CONV_DIRECT);
    assert_true(f.runs > runs);
    assert_true(oc__tuner_end(t, &s));
    assert_int_equal(s.layers, 3);
    assert_int_equal(s.timed, 2);
    assert_int_equal(s.changed, 2);
    near(s.usual_ms, 0.3);
    near(s.tuned_ms, 0.2);
    /* Another program of the same session. */
    oc__tuner_begin(t, 0);
    assert_int_equal(choose(t, &g, OC_CONV_DIRECT), OC_CONV_POINT);
    assert_true(oc__tuner_end(t, &s));
    assert_int_equal(s.layers, 1);
    assert_int_equal(s.timed, 0);
    near(s.spent_ms, 0);
    oc__tuner_destroy(t);
}

static void tuner_asks_nothing_where_there_is_one_way(void **state) {
    (void)state;
    fake f = even();
    oc_tune_summary s;
    oc__tuner *t = tuner_of(&f);
    oc__conv_geom g = geom(32, 32, 20, 3, 32), strided = geom(32, 8, 21, 5, 1);
    oc__tuner_begin(t, 0);
    assert_int_equal(choose(t, &g, OC_CONV_DEPTHWISE), OC_CONV_DEPTHWISE);
    assert_int_equal(choose(t, &strided, OC_CONV_DIRECT), OC_CONV_DIRECT);
    assert_int_equal(f.opened, 0);
    assert_true(oc__tuner_end(t, &s));
    assert_int_equal(s.layers + s.left + s.timed, 0);
    oc__tuner_destroy(t);
}

/* A run takes a second.  30 s are the bound, and what was begun is ended. */
static void tuner_ends_in_time(void **state) {
    (void)state;
    fake f = even();
    oc_tune_summary s;
    for (int i = 0; i < OC_CONV_ALGO_COUNT; i++)
        f.way_ns[i] = 1000 * MS;
    f.way_ns[OC_CONV_DIRECT] = 900 * MS;
    oc__tuner *t = tuner_of(&f);
    oc__tuner_begin(t, 0);
    for (int i = 0; i < 40; i++) {
        oc__conv_geom g = geom(32 + i, 32, 20, 3, 1);
        int64_t before = f.clock_ns;
        oc__conv_algo way = choose(t, &g, OC_CONV_WINOGRAD4);
        assert_int_equal(way, before > 30000 * MS ? OC_CONV_WINOGRAD4
                                                  : OC_CONV_DIRECT);
    }
    assert_true(f.clock_ns > 30000 * MS && f.clock_ns < 60000 * MS);
    assert_true(oc__tuner_end(t, &s));
    assert_int_equal(s.layers + s.left, 40);
    assert_true(s.layers > 0 && s.left > 0);
    oc__tuner_destroy(t);
}

/* Quick layers take some 50 ms each at most, those of a millisecond too. */
static void tuner_spends_little_on_a_layer(void **state) {
    (void)state;
    static const int64_t each_us[] = {1, 100, 1000, 3000};
    for (size_t i = 0; i < OC_COUNT(each_us); i++) {
        fake f = even();
        for (int w = 0; w < OC_CONV_ALGO_COUNT; w++)
            f.way_ns[w] = each_us[i] * US;
        oc__tuner *t = tuner_of(&f);
        oc__conv_geom g = geom(32, 32, 20, 3, 1);
        oc__tuner_begin(t, 0);
        choose(t, &g, OC_CONV_WINOGRAD4);
        assert_true(f.clock_ns <= 70 * MS);
        oc__tuner_destroy(t);
    }
}

static void tuner_without_memory_leaves_things_as_they_are(void **state) {
    (void)state;
    fake f = even();
    oc_tune_summary s;
    f.way_ns[OC_CONV_DIRECT] = US;
    f.apart_ns = US;
    f.is_full = 1;
    oc__tuner *t = tuner_of(&f);
    oc__conv_geom g = geom(32, 32, 20, 3, 1), point = geom(32, 32, 18, 1, 1);
    oc__conv_geom depth = geom(32, 32, 20, 3, 32);
    oc__tuner_begin(t, 0);
    assert_int_equal(choose(t, &g, OC_CONV_WINOGRAD4), OC_CONV_WINOGRAD4);
    assert_true(oc__tuner_joins(t, &depth, &point, OC_CONV_POINT));
    assert_true(oc__tuner_end(t, &s));
    assert_int_equal(f.runs, 0);
    assert_int_equal(s.left, 2);
    assert_int_equal(s.layers, 0);
    oc__tuner_destroy(t);
}

/* A joined layer counts once: what was found of its second half alone is not
 * what the program does any more. */
static void tuner_counts_a_joined_layer_once(void **state) {
    (void)state;
    for (int apart = 0; apart < 2; apart++) {
        fake f = even();
        oc_tune_summary s;
        f.way_ns[OC_CONV_POINT] = 80 * US;
        f.joined_ns = apart ? 300 * US : 150 * US;
        f.apart_ns = 200 * US;
        oc__tuner *t = tuner_of(&f);
        oc__conv_geom depth = geom(32, 32, 20, 3, 32);
        oc__conv_geom point = geom(32, 32, 18, 1, 1);
        oc__tuner_begin(t, 0);
        oc__conv_algo way = choose(t, &point, OC_CONV_DIRECT);
        assert_int_equal(way, OC_CONV_POINT);
        assert_int_equal(oc__tuner_joins(t, &depth, &point, way), !apart);
        assert_true(oc__tuner_end(t, &s));
        assert_int_equal(s.layers, 1);
        assert_int_equal(s.changed, apart);
        near(s.usual_ms, apart ? 0.3 : 0.15);
        near(s.tuned_ms, apart ? 0.2 : 0.15);
        oc__tuner_destroy(t);
    }
}

/* ---- programs -------------------------------------------------------------
 */

/* x (1, 16, 20, 20) - 3x3 - relu - 3x3 depthwise - relu - 1x1 - y */
enum { IN = 16, MID = 24, OUT = 40, SIDE = 20 };

static model_build build;

static void put_weights(const char *name, int64_t o, int64_t i, int64_t k) {
    const int64_t dims[] = {o, i, k, k};
    static float data[MID * IN * 9];
    oc__rng rng;
    assert_true((size_t)(o * i * k * k) <= OC_COUNT(data));
    oc__rng_init(&rng, (uint64_t)(o + i));
    oc__rng_fill(&rng, data, (size_t)(o * i * k * k), -0.3f, 0.3f);
    model_constant(&build, name, MODEL_F32, 4, dims, data,
                   (size_t)(o * i * k * k) * sizeof(float));
}

static const pb *make_model(void) {
    const int64_t x[] = {1, IN, SIDE, SIDE}, y[] = {1, OUT, SIDE - 4, SIDE - 4};
    model_start(&build);
    model_value(&build, MODEL_INPUT, "x", MODEL_F32, 4, x);
    put_weights("w", MID, IN, 3);
    put_weights("d", MID, 1, 3);
    put_weights("p", OUT, MID, 1);
    model_node(&build, "Conv", "x w", "a");
    model_node(&build, "Relu", "a", "b");
    model_node_int(&build, "Conv", "b d", "c", "group", MID);
    model_node(&build, "Relu", "c", "e");
    model_node(&build, "Conv", "e p", "y");
    model_value(&build, MODEL_OUTPUT, "y", MODEL_F32, 4, y);
    return model_finish(&build);
}

static oc_model *load(const oc_options *opt) {
    const pb *bytes = make_model();
    oc_model *m = NULL;
    oc_error err = {0};
    if (oc_model_load_memory(&m, bytes->data, bytes->n, opt, &err))
        fail_msg("%s", err.message);
    return m;
}

static oc_value input_of(float *data) {
    const int64_t dims[] = {1, IN, SIDE, SIDE};
    oc_value v = {.kind = OC_KIND_TENSOR};
    oc__rng rng;
    oc__rng_init(&rng, 3);
    oc__rng_fill(&rng, data, IN * SIDE * SIDE, -1, 1);
    oc__tensor_set(&v.t, OC_DTYPE_F32, 4, dims);
    v.t.data = data;
    return v;
}

enum { RESULT = OUT * (SIDE - 4) * (SIDE - 4) };

/* A program of the model, made with this meter (NULL: none), and run.
 * kernels: what its convolutions are done with, in order, "a b". */
typedef struct maker {
    oc_model *m;
    oc__tuner *tuner;
    oc_tune_summary found;
    int was_made; /* rather than found in the cache */
} maker;

static oc_status make(void *user, oc__program **out,
                      const oc_value *const *inputs, const oc__pass_env *env,
                      oc_error *err) {
    maker *k = user;
    oc__pass_env here = *env;
    here.tuner = k->tuner;
    return oc__model_program(k->m, out, inputs, &here, err);
}

static void run_with(oc_model *m, fake *f, int threads, char *kernels,
                     float *result) {
    static float data[IN * SIDE * SIDE];
    oc_value in = input_of(data);
    const oc_value *refs[] = {&in};
    maker k = {.m = m, .tuner = f ? tuner_of(f) : NULL};
    oc__exec *e = NULL;
    oc__pool *pool = NULL;
    oc_error err = {0};
    assert_int_equal(
        oc__pool_create(&pool, &oc__default_allocator, threads, NULL), OC_OK);
    oc__exec_env env = {.kernels = &m->kernels,
                        .allocator = &oc__default_allocator,
                        .pool = pool,
                        .threads = threads,
                        .level = m->options.optimize};
    if (oc__exec_create_with(&e, 1, make, &k, &env, &err) ||
        oc__exec_run(e, refs, &err))
        fail_msg("%s", err.message);
    const oc__program *p = oc__exec_program(e);
    *kernels = '\0';
    for (int i = 0; i < p->n_steps; i++)
        if (!strcmp(p->steps[i].node->op->name, "ConvBlocked"))
            snprintf(kernels + strlen(kernels), 96 - strlen(kernels), "%s%s",
                     *kernels ? " " : "", p->steps[i].kernel);
    const oc_tensor *y = oc_value_tensor(oc__exec_output(e, 0));
    assert_int_equal(oc_tensor_elems(y), RESULT);
    memcpy(result, y->data, RESULT * sizeof(float));
    oc__exec_destroy(e);
    oc__tuner_destroy(k.tuner);
    oc__pool_destroy(pool);
}

/* As the operators say it, in plain C. */
static void reference(float *result) {
    const oc_options plain = {.cpu_mask = OC_CPU_SCALAR, .optimize = -1};
    char kernels[96];
    oc_model *m = load(&plain);
    run_with(m, NULL, 1, kernels, result);
    assert_string_equal(kernels, "");
    oc_model_destroy(m);
}

/* The room that the tests of the kernels give Winograd's way. */
static void check_result(const float *got, const float *want) {
    float range = 0;
    for (int i = 0; i < RESULT; i++)
        range = fmaxf(range, fabsf(want[i]));
    assert_true(range > 0.1f);
    for (int i = 0; i < RESULT; i++)
        if (!(fabsf(got[i] - want[i]) <= 1e-4f * (range + fabsf(want[i]))))
            fail_msg("element %d is %.9g, not %.9g", i, (double)got[i],
                     (double)want[i]);
}

/* The fastest way of the 3x3 and of the 1x1, whether that is joined. */
static fake wish(oc__conv_algo dense, oc__conv_algo point, int joined) {
    fake f = even();
    f.way_ns[point] = 50 * US;
    f.way_ns[dense] = 40 * US;
    f.joined_ns = joined ? 50 * US : 300 * US;
    return f;
}

static void program_does_what_the_tuner_says(void **state) {
    (void)state;
    static const struct {
        oc__conv_algo dense, point;
        int joined;
        const char *kernels;
    } cases[] = {
        {OC_CONV_WINOGRAD2, OC_CONV_POINT, 0, "winograd2 depthwise point"},
        {OC_CONV_WINOGRAD4, OC_CONV_POINT, 1, "winograd4 depth+point"},
        {OC_CONV_WINOGRAD6, OC_CONV_POINT, 0, "winograd6 depthwise point"},
        {OC_CONV_DIRECT, OC_CONV_DIRECT, 0, "direct depthwise direct"},
        {OC_CONV_DIRECT, OC_CONV_DIRECT, 1, "direct depth+point"},
    };
    static float want[RESULT], one[RESULT], three[RESULT];
    static const uint32_t masks[] = {0, OC_CPU_SSE41, OC_CPU_SCALAR};
    char kernels[96];
    reference(want);
    for (size_t i = 0; i < OC_COUNT(cases) * OC_COUNT(masks); i++) {
        const oc_options opt = {.cpu_mask = masks[i % OC_COUNT(masks)]};
        size_t c = i / OC_COUNT(masks);
        fake f = wish(cases[c].dense, cases[c].point, cases[c].joined);
        oc_model *m = load(&opt);
        run_with(m, &f, 1, kernels, one);
        assert_string_equal(kernels, cases[c].kernels);
        check_result(one, want);
        run_with(m, &f, 3, kernels, three);
        assert_string_equal(kernels, cases[c].kernels);
        assert_memory_equal(one, three, sizeof(one));
        oc_model_destroy(m);
    }
}

/* ---- the cache ------------------------------------------------------------
 */

typedef struct rig {
    char folder[64], cache[96];
    oc_options options;
} rig;

static void rig_init(rig *r) {
    snprintf(r->folder, sizeof(r->folder), "/tmp/ocelli-tune-XXXXXX");
    assert_non_null(mkdtemp(r->folder));
    snprintf(r->cache, sizeof(r->cache), "%s/cache", r->folder);
    r->options = (oc_options){.cache_folder = r->cache};
}

/* Calls see(path) for every program in the cache; how many there are. */
static int each_program(const rig *r, void (*see)(const char *path)) {
    DIR *d = opendir(r->cache);
    int n = 0;
    for (struct dirent *e; d && (e = readdir(d));) {
        char path[200];
        if (strncmp(e->d_name, "p-", 2) != 0) continue;
        snprintf(path, sizeof(path), "%s/%.80s", r->cache, e->d_name);
        if (see) see(path);
        n++;
    }
    if (d) closedir(d);
    return n;
}

static void rig_deinit(rig *r) {
    DIR *d = opendir(r->cache);
    for (struct dirent *e; d && (e = readdir(d));) {
        char path[200];
        snprintf(path, sizeof(path), "%s/%.80s", r->cache, e->d_name);
        if (e->d_name[0] != '.') remove(path);
    }
    if (d) closedir(d);
    rmdir(r->cache);
    rmdir(r->folder);
}

/* Loads the model anew, as the next process would. */
static void start(const rig *r, fake *f, int threads, char *kernels,
                  float *result) {
    oc_model *m = load(&r->options);
    run_with(m, f, threads, kernels, result);
    oc_model_destroy(m);
}

static void cache_prefers_a_tuned_program(void **state) {
    (void)state;
    static float plain[RESULT], tuned[RESULT], got[RESULT];
    char usual[96], kernels[96];
    rig r;
    rig_init(&r);
    start(&r, NULL, 1, usual, plain);
    assert_int_equal(each_program(&r, NULL), 1);
    fake f = wish(OC_CONV_WINOGRAD2, OC_CONV_DIRECT, 0);
    start(&r, &f, 1, kernels, tuned);
    assert_string_equal(kernels, "winograd2 depthwise direct");
    assert_string_not_equal(kernels, usual);
    assert_int_equal(each_program(&r, NULL), 2);
    assert_true(f.runs > 0);
    /* Whether or not it is asked for, and nothing is timed again. */
    fake other = wish(OC_CONV_DIRECT, OC_CONV_POINT, 1);
    for (int i = 0; i < 2; i++) {
        start(&r, i ? &other : NULL, 1, kernels, got);
        assert_string_equal(kernels, "winograd2 depthwise direct");
        assert_memory_equal(got, tuned, sizeof(got));
        assert_int_equal(other.opened, 0);
    }
    /* Times for one thread say nothing about two. */
    start(&r, NULL, 2, kernels, got);
    assert_string_equal(kernels, usual);
    assert_memory_equal(got, plain, sizeof(got));
    rig_deinit(&r);
}

static void damage(const char *path) {
    FILE *f = fopen(path, "r+b");
    assert_non_null(f);
    assert_int_equal(fseek(f, 200, SEEK_SET), 0);
    int byte = getc(f);
    assert_int_equal(fseek(f, 200, SEEK_SET), 0);
    putc(byte ^ 4, f);
    assert_int_equal(fclose(f), 0);
}

static void cache_refuses_a_damaged_tuned_program(void **state) {
    (void)state;
    static float want[RESULT], got[RESULT];
    char usual[96], kernels[96];
    rig r;
    rig_init(&r);
    oc_model *m = load(NULL);
    run_with(m, NULL, 1, usual, want);
    oc_model_destroy(m);
    fake f = wish(OC_CONV_WINOGRAD2, OC_CONV_DIRECT, 0);
    start(&r, &f, 1, kernels, got);
    assert_int_equal(each_program(&r, damage), 1);
    start(&r, NULL, 1, kernels, got);
    assert_string_equal(kernels, usual);
    assert_memory_equal(got, want, sizeof(got));
    /* Asked for again, it is timed again, and kept in its place. */
    fake other = wish(OC_CONV_WINOGRAD6, OC_CONV_DIRECT, 0);
    start(&r, &other, 1, kernels, got);
    assert_true(other.opened > 0);
    start(&r, NULL, 1, kernels, got);
    assert_string_equal(kernels, "winograd6 depthwise direct");
    rig_deinit(&r);
}

/* ---- by the clock ---------------------------------------------------------
 */

typedef struct heard {
    int calls;
    oc_tune_summary what;
} heard;

static void hear(void *user, const oc_tune_summary *what) {
    heard *h = user;
    h->calls++;
    h->what = *what;
}

static oc_status run_session(const oc_options *opt, const oc_allocator *a,
                             heard *h, float *result) {
    static float data[IN * SIDE * SIDE];
    oc_options with = *opt;
    const pb *bytes = make_model();
    oc_model *m = NULL;
    oc_session *s = NULL;
    const oc_session_options so = {
        .threads = 2, .tune = 1, .tuned = hear, .tuned_user = h};
    with.allocator = a;
    oc_value in = input_of(data);
    oc_status st = oc_model_load_memory(&m, bytes->data, bytes->n, &with, NULL);
    if (st == OC_OK) st = oc_session_create(&s, m, &so, NULL);
    if (st == OC_OK) st = oc_session_set_input(s, 0, &in.t, NULL);
    if (st == OC_OK) st = oc_session_run(s, NULL);
    if (st == OC_OK)
        memcpy(result, oc_session_output_tensor(s, 0)->data,
               RESULT * sizeof(float));
    oc_session_destroy(s);
    oc_model_destroy(m);
    return st;
}

static void session_tunes_once_and_remembers(void **state) {
    (void)state;
    static float want[RESULT], first[RESULT], second[RESULT];
    rig r;
    heard h = {0};
    reference(want);
    rig_init(&r);
    assert_int_equal(run_session(&r.options, NULL, &h, first), OC_OK);
    assert_int_equal(h.calls, 1);
    assert_int_equal(h.what.left, 0);
    /* The 3x3, and the other two together. */
    assert_int_equal(h.what.layers, 2);
    assert_int_equal(h.what.timed, 3);
    assert_true(h.what.changed >= 0 && h.what.changed <= 2);
    assert_true(h.what.tuned_ms > 0 && h.what.tuned_ms <= h.what.usual_ms);
    assert_true(h.what.spent_ms > h.what.usual_ms);
    check_result(first, want);
    assert_int_equal(run_session(&r.options, NULL, &h, second), OC_OK);
    assert_int_equal(h.calls, 1);
    assert_memory_equal(first, second, sizeof(first));
    rig_deinit(&r);
}

/* Where memory runs out, tuning is done without or the run says so. */
static void session_that_tunes_survives_without_memory(void **state) {
    (void)state;
    static float want[RESULT], got[RESULT];
    const oc_options opt = {0};
    test_allocator ta;
    reference(want);
    test_allocator_init(&ta, TEST_NEVER);
    heard h = {0};
    assert_int_equal(run_session(&opt, &ta.base, &h, got), OC_OK);
    int64_t total = ta.count;
    test_allocator_check(&ta);
    int64_t step = OC_MAX(total / 30, 1);
    for (int64_t n = 0; n < total + step; n += step) {
        test_allocator_init(&ta, n);
        oc_status st = run_session(&opt, &ta.base, &h, got);
        int failed = ta.failed;
        test_allocator_check(&ta);
        if (st == OC_OK)
            check_result(got, want);
        else
            assert_true(failed && st == OC_E_NOMEM);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tuner_departs_only_for_what_is_clearly_faster),
        cmocka_unit_test(tuner_is_not_misled_by_a_slow_run),
        cmocka_unit_test(tuner_asks_once_about_layers_alike),
        cmocka_unit_test(tuner_asks_nothing_where_there_is_one_way),
        cmocka_unit_test(tuner_ends_in_time),
        cmocka_unit_test(tuner_spends_little_on_a_layer),
        cmocka_unit_test(tuner_without_memory_leaves_things_as_they_are),
        cmocka_unit_test(tuner_counts_a_joined_layer_once),
        cmocka_unit_test(program_does_what_the_tuner_says),
        cmocka_unit_test(cache_prefers_a_tuned_program),
        cmocka_unit_test(cache_refuses_a_damaged_tuned_program),
        cmocka_unit_test(session_tunes_once_and_remembers),
        cmocka_unit_test(session_that_tunes_survives_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
