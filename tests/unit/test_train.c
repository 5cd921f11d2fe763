/* test_train.c - src/train, src/arch: networks that learn; variables. */
#define _XOPEN_SOURCE 700 /* mkstemp, truncate */
#include "testing.h"

#include "model_build.h"

#include "arch/arch.h"
#include "ops/train_step.h"
#include "passes/differentiate.h"
#include "runtime/exec.h"
#include "train/criterion.h"
#include "train/rate.h"
#include "train/trainer.h"

#include <ocelli/train.h>

#include <math.h>
#include <stdio.h>
#include <unistd.h>

/* ---- data -----------------------------------------------------------------
 */

enum { SIDE = 32, BATCH = 8, CLASSES = 3 };

typedef struct lesson {
    float *images, *targets;
    oc_tensor x, y;
} lesson;

static double noise(unsigned *seed) {
    *seed = *seed * 1664525u + 1013904223u;
    return (double)(*seed >> 8) / (1 << 23) - 1;
}

/* Pictures whose class shows as stripes across, along or not at all. */
static void lesson_init(lesson *l, unsigned seed, int nhwc) {
    l->images = calloc(BATCH * 3 * SIDE * SIDE, sizeof(float));
    l->targets = calloc(BATCH * CLASSES, sizeof(float));
    l->x = (oc_tensor){OC_DTYPE_F32, 4, {BATCH, 3, SIDE, SIDE}, l->images};
    if (nhwc)
        l->x = (oc_tensor){OC_DTYPE_F32, 4, {BATCH, SIDE, SIDE, 3}, l->images};
    l->y = (oc_tensor){OC_DTYPE_F32, 2, {BATCH, CLASSES}, l->targets};
    for (int n = 0; n < BATCH; n++) {
        int kind = n % CLASSES;
        l->targets[n * CLASSES + kind] = 1;
        for (int c = 0; c < 3; c++)
            for (int y = 0; y < SIDE; y++)
                for (int x = 0; x < SIDE; x++) {
                    int at = kind == 0 ? y : kind == 1 ? x : 0;
                    double v = at / 4 % 2 + 0.3 * noise(&seed);
                    int i = nhwc ? ((n * SIDE + y) * SIDE + x) * 3 + c
                                 : ((n * 3 + c) * SIDE + y) * SIDE + x;
                    l->images[i] = (float)v;
                }
    }
}

static void lesson_deinit(lesson *l) {
    free(l->images);
    free(l->targets);
}

static oc_trainer *make(const char *arch, int threads, double width,
                        uint32_t cpu) {
    oc_trainer_options o = {.arch = arch,
                            .classes = CLASSES,
                            .height = SIDE,
                            .width = SIDE,
                            .width_factor = width,
                            .batch = BATCH,
                            .ema = 0.9,
                            .seed = 7,
                            .threads = threads,
                            .cpu_mask = cpu};
    oc_trainer *t = NULL;
    oc_error err = {0};
    if (oc_trainer_create(&t, &o, &err)) fail_msg("%s", err.message);
    return t;
}

static double steps(oc_trainer *t, const lesson *l, int n, double rate) {
    oc_step_options o = {.rate = rate, .decay = 1e-4, .clip = 5};
    oc_step_result r = {0};
    oc_error err = {0};
    for (int i = 0; i < n; i++)
        if (oc_trainer_step(t, &l->x, &l->y, &o, &r, &err))
            fail_msg("%s", err.message);
    return r.loss;
}

/* What the trainer makes of the lesson; freed by the caller. */
static float *predict(oc_trainer *t, const lesson *l) {
    const oc_tensor *y;
    oc_error err = {0};
    if (oc_trainer_predict(t, &l->x, &y, &err)) fail_msg("%s", err.message);
    float *copy = malloc(BATCH * CLASSES * sizeof(float));
    memcpy(copy, y->data, BATCH * CLASSES * sizeof(float));
    return copy;
}

/* ---- learning -------------------------------------------------------------
 */

static const struct {
    const char *name;
    double width, rate;
    int steps;
    oc_optimizer optimizer;
} archs[] = {
    {"resnet8", 1, 0.05, 25, OC_OPTIMIZER_SGD},
    {"mobilenetv2", 0.35, 0.05, 30, OC_OPTIMIZER_SGD},
    {"resnet18", 0.25, 0.05, 20, OC_OPTIMIZER_SGD},
    {"resnet50", 0.125, 0.05, 30, OC_OPTIMIZER_SGD},
    {"convnext", 0.4, 2e-3, 60, OC_OPTIMIZER_ADAMW},
    {"vit", 0.34, 1e-3, 60, OC_OPTIMIZER_ADAMW},
};

static void train_learns_few_pictures_by_heart(void **state) {
    (void)state;
    if (test_is_small()) skip();
    lesson l;
    lesson_init(&l, 1, 0);
    for (size_t i = 0; i < sizeof(archs) / sizeof(archs[0]); i++) {
        oc_trainer_options o = {.arch = archs[i].name,
                                .classes = CLASSES,
                                .height = SIDE,
                                .width = SIDE,
                                .width_factor = archs[i].width,
                                .batch = BATCH,
                                .optimizer = archs[i].optimizer,
                                .threads = 2,
                                .seed = 1};
        oc_trainer *t = NULL;
        oc_error err = {0};
        if (oc_trainer_create(&t, &o, &err))
            fail_msg("%s: %s", archs[i].name, err.message);
        double before = steps(t, &l, 1, archs[i].rate);
        double after = steps(t, &l, archs[i].steps, archs[i].rate);
        if (!(after < 0.25 * before))
            fail_msg("%s: the loss went from %g to %g", archs[i].name, before,
                     after);
        oc_trainer_destroy(t);
    }
    lesson_deinit(&l);
}

static void train_gives_the_same_bits_for_any_threads(void **state) {
    (void)state;
    static const char *const names[] = {"resnet8", "mobilenetv2"};
    lesson l;
    lesson_init(&l, 2, 0);
    for (int i = 0; i < 2; i++) {
        float *want = NULL;
        int most = test_is_small() ? 2 : 3;
        for (int threads = 1; threads <= most; threads++) {
            oc_trainer *t = make(names[i], threads, 0.5, 0);
            steps(t, &l, 3, 0.05);
            float *got = predict(t, &l);
            if (!want)
                want = got;
            else
                assert_memory_equal(got, want, BATCH * CLASSES * sizeof(float));
            if (want != got) free(got);
            oc_trainer_destroy(t);
        }
        free(want);
    }
    lesson_deinit(&l);
}

/* The loss, and the norm of the gradients by all weights, of a first step. */
static void first_step(const char *arch, uint32_t cpu, int optimize,
                       const lesson *l, double *loss, double *norm) {
    oc_trainer_options o = {.arch = arch,
                            .classes = CLASSES,
                            .height = SIDE,
                            .width = SIDE,
                            .width_factor = 0.35,
                            .batch = BATCH,
                            .seed = 3,
                            .threads = 1,
                            .cpu_mask = cpu,
                            .optimize = optimize};
    oc_step_options s = {.rate = 0.01};
    oc_step_result r;
    oc_trainer *t = NULL;
    oc_error err;
    assert_int_equal(oc_trainer_create(&t, &o, &err), OC_OK);
    assert_int_equal(oc_trainer_step(t, &l->x, &l->y, &s, &r, &err), OC_OK);
    *loss = r.loss;
    *norm = r.norm;
    oc_trainer_destroy(t);
}

/* Blocked and fused, on every instruction set, against the plain operators
 * whose gradients test_gradients.c has checked. */
static void train_steps_as_the_plain_operators_do(void **state) {
    (void)state;
    if (test_is_small()) skip();
    static const char *const names[] = {"resnet18", "resnet50", "mobilenetv2"};
    static const uint32_t masks[] = {OC_CPU_SCALAR, OC_CPU_AVX2 | OC_CPU_SSE41,
                                     0};
    lesson l;
    unsigned seed = 3;
    lesson_init(&l, seed, 0);
    /* Channels that see nothing but a plain ground are divided by a deviation
       that is rounding alone; here all see something. */
    for (int i = 0; i < BATCH * 3 * SIDE * SIDE; i++)
        l.images[i] = (float)(2 * noise(&seed));
    for (int i = 0; i < 3; i++) {
        double loss, norm, want_loss, want_norm;
        first_step(names[i], 0, -1, &l, &want_loss, &want_norm);
        for (int m = 0; m < 3; m++) {
            first_step(names[i], masks[m], 0, &l, &loss, &norm);
            if (fabs(loss - want_loss) > 1e-4 * want_loss ||
                fabs(norm - want_norm) > 1e-3 * want_norm)
                fail_msg("%s, mask %x: loss %g and norm %g, plainly %g and %g",
                         names[i], masks[m], loss, norm, want_loss, want_norm);
        }
    }
    lesson_deinit(&l);
}

/* ---- checkpoints, files ---------------------------------------------------
 */

static void train_goes_on_from_a_checkpoint_bit_for_bit(void **state) {
    (void)state;
    char path[] = "/tmp/oc_test_trainXXXXXX";
    oc_error err = {0};
    lesson l;
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    lesson_init(&l, 4, 0);
    oc_trainer *whole = make("resnet8", 2, 1, 0);
    steps(whole, &l, 6, 0.05);
    oc_trainer *first = make("resnet8", 1, 1, 0);
    steps(first, &l, 3, 0.05);
    assert_int_equal(oc_trainer_checkpoint(first, path, &err), OC_OK);
    oc_trainer_destroy(first);
    oc_trainer *second = make("resnet8", 1, 1, 0);
    steps(second, &l, 1, 0.01); /* to be forgotten */
    assert_int_equal(oc_trainer_restore(second, path, &err), OC_OK);
    steps(second, &l, 3, 0.05);
    float *a = predict(whole, &l), *b = predict(second, &l);
    assert_memory_equal(a, b, BATCH * CLASSES * sizeof(float));
    free(a);
    free(b);
    /* Another network's, and damage, are told. */
    oc_trainer *other = make("resnet8", 1, 0.5, 0);
    assert_int_equal(oc_trainer_restore(other, path, &err), OC_E_FORMAT);
    FILE *f = fopen(path, "r+b");
    fseek(f, -100, SEEK_END);
    int c = fgetc(f);
    fseek(f, -100, SEEK_END);
    fputc(c ^ 1, f);
    fclose(f);
    assert_int_equal(oc_trainer_restore(second, path, &err), OC_E_FORMAT);
    assert_int_equal(truncate(path, 64), 0);
    assert_int_equal(oc_trainer_restore(second, path, &err), OC_E_FORMAT);
    float *after = predict(second, &l);
    oc_trainer_destroy(whole);
    oc_trainer_destroy(second);
    oc_trainer_destroy(other);
    free(after);
    unlink(path);
    lesson_deinit(&l);
}

/* A saved model run as any other; returns its logits. */
static float *run_saved(const char *path, const lesson *l) {
    oc_model *m = NULL;
    oc_session *s = NULL;
    oc_error err = {0};
    if (oc_model_load(&m, path, NULL, &err)) fail_msg("%s", err.message);
    assert_int_equal(oc_session_create(&s, m, NULL, &err), OC_OK);
    assert_int_equal(oc_session_set_input(s, 0, &l->x, &err), OC_OK);
    if (oc_session_run(s, &err)) fail_msg("%s", err.message);
    const oc_tensor *y = oc_session_output_tensor(s, 0);
    assert_int_equal(oc_tensor_elems(y), BATCH * CLASSES);
    float *copy = malloc(BATCH * CLASSES * sizeof(float));
    memcpy(copy, y->data, BATCH * CLASSES * sizeof(float));
    oc_session_destroy(s);
    oc_model_destroy(m);
    return copy;
}

static void assert_near(const float *a, const float *b, int n, double bound) {
    for (int i = 0; i < n; i++)
        if (fabs((double)a[i] - (double)b[i]) >
            bound * (1 + fabs((double)a[i])))
            fail_msg("number %d: %g, %g", i, (double)a[i], (double)b[i]);
}

/* With its head, as it is. */
static oc_trainer_options goes_on_from(const char *path) {
    return (oc_trainer_options){.model = path,
                                .classes = CLASSES,
                                .keep_head = 1,
                                .batch = BATCH,
                                .threads = 1};
}

static void train_saves_what_it_predicts_and_goes_on_from_it(void **state) {
    (void)state;
    char path[] = "/tmp/oc_test_trainXXXXXX";
    oc_error err = {0};
    lesson l;
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    lesson_init(&l, 5, 0);
    oc_trainer *t = make("mobilenetv2", 1, 0.35, 0);
    steps(t, &l, 4, 0.05);
    float *want = predict(t, &l);
    if (oc_trainer_save(t, path, &err)) fail_msg("%s", err.message);
    float *got = run_saved(path, &l);
    assert_near(got, want, BATCH * CLASSES, 1e-4);
    free(got);
    /* Calibrated: the last layer, and so every logit, is scaled. */
    assert_true(t->net.head_scales);
    if (oc__trainer_save(t, 0.5, path, &err)) fail_msg("%s", err.message);
    got = run_saved(path, &l);
    for (int i = 0; i < BATCH * CLASSES; i++)
        got[i] *= 2;
    assert_near(got, want, BATCH * CLASSES, 1e-4);
    free(got);
    got = predict(t, &l); /* its own weights are what they were */
    assert_near(got, want, BATCH * CLASSES, 0);
    if (oc_trainer_save(t, path, &err)) fail_msg("%s", err.message);
    oc_trainer_destroy(t);
    free(got);
    /* Fine-tuning: first with its head, then with a new one. */
    oc_trainer_options o = goes_on_from(path);
    if (oc_trainer_create(&t, &o, &err)) fail_msg("%s", err.message);
    got = predict(t, &l);
    assert_near(got, want, BATCH * CLASSES, 1e-4);
    free(got);
    assert_true(steps(t, &l, 8, 0.02) < 1);
    oc_trainer_destroy(t);
    o.classes = 5;
    o.freeze = OC_TRAIN_HEAD_ONLY;
    o.freeze_norm = 1;
    if (oc_trainer_create(&t, &o, &err)) fail_msg("%s", err.message);
    oc_trainer_summary s;
    oc_trainer_summarize(t, &s);
    assert_int_equal(s.trained, 1280 * 5 + 5);
    assert_int_equal(oc_trainer_classes(t), 5);
    oc_trainer_destroy(t);
    free(want);
    unlink(path);
    lesson_deinit(&l);
}

/* ---- models for one picture at a time -------------------------------------
 */

static void random_constant(model_build *b, const char *name, int rows,
                            int cols, unsigned *seed) {
    static float data[1024];
    const int64_t dims[] = {rows, cols};
    for (int i = 0; i < rows * cols; i++)
        data[i] = (float)(0.3 * noise(seed));
    model_constant(b, name, MODEL_F32, 2, dims, data,
                   (size_t)(rows * cols) * sizeof(float));
}

static void reshape(model_build *b, const char *in, const char *out,
                    const char *list, int n, const int64_t *dims) {
    const int64_t rank = n;
    char names[64];
    snprintf(names, sizeof(names), "%s %s", in, list);
    model_constant(b, list, MODEL_I64, 1, &rank, dims,
                   (size_t)n * sizeof(*dims));
    model_node(b, "Reshape", names, out);
}

/* As exporters write what they see of one picture: its number stands in every
 * shape, first, last, or within a dimension, and in a token's. */
static const pb *write_for_one_picture(void) {
    static model_build b;
    static const int64_t in[] = {1, 3, SIDE, SIDE}, out[] = {1, CLASSES};
    static const int64_t token[] = {1, 1, 4};
    static const float tokens[] = {0.5f, -0.25f, 1, 2};
    static const int64_t last[] = {SIDE * SIDE, 3, 1}, rows[] = {1, 48, 64},
                         merged[] = {49, 4}, flat[] = {1, 294};
    unsigned seed = 3;
    model_start(&b);
    model_value(&b, MODEL_INPUT, "x", MODEL_F32, 4, in);
    model_node(&b, "Transpose", "x", "turned"); /* pictures last */
    reshape(&b, "turned", "pixels", "l1", 3, last);
    model_node(&b, "Transpose", "pixels", "planes");
    reshape(&b, "planes", "rows", "l2", 3, rows);
    random_constant(&b, "w1", 64, 4, &seed);
    model_node(&b, "MatMul", "rows w1", "features");
    model_constant(&b, "token", MODEL_F32, 3, token, tokens, sizeof(tokens));
    model_node_int(&b, "Concat", "token features", "all", "axis", 1);
    model_node(&b, "Relu", "all", "active");
    reshape(&b, "active", "merged", "l3", 2, merged);
    random_constant(&b, "w2", 4, 6, &seed);
    model_node(&b, "MatMul", "merged w2", "wide");
    reshape(&b, "wide", "flat", "l4", 2, flat);
    random_constant(&b, "w3", 294, CLASSES, &seed);
    model_node(&b, "MatMul", "flat w3", "y");
    model_value(&b, MODEL_OUTPUT, "y", MODEL_F32, 2, out);
    return model_finish(&b);
}

/* The logits of each picture by itself. */
static float *one_by_one(const char *path, const lesson *l) {
    oc_model *m = NULL;
    oc_session *s = NULL;
    oc_error err = {0};
    float *all = malloc(BATCH * CLASSES * sizeof(float));
    if (oc_model_load(&m, path, NULL, &err)) fail_msg("%s", err.message);
    assert_int_equal(oc_session_create(&s, m, NULL, &err), OC_OK);
    for (int i = 0; i < BATCH; i++) {
        oc_tensor x = l->x;
        x.dims[0] = 1;
        x.data = l->images + i * 3 * SIDE * SIDE;
        assert_int_equal(oc_session_set_input(s, 0, &x, &err), OC_OK);
        if (oc_session_run(s, &err)) fail_msg("%s", err.message);
        memcpy(all + i * CLASSES, oc_session_output_tensor(s, 0)->data,
               CLASSES * sizeof(float));
    }
    oc_session_destroy(s);
    oc_model_destroy(m);
    return all;
}

static void train_makes_a_model_of_one_picture_one_of_many(void **state) {
    (void)state;
    char path[] = "/tmp/oc_test_trainXXXXXX";
    const pb *bytes = write_for_one_picture();
    oc_error err = {0};
    oc_trainer *t = NULL;
    lesson l;
    lesson_init(&l, 5, 0);
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes->data, bytes->n), (ssize_t)bytes->n);
    close(fd);
    float *want = one_by_one(path, &l);
    oc_trainer_options o = goes_on_from(path);
    if (oc_trainer_create(&t, &o, &err)) fail_msg("%s", err.message);
    float *got = predict(t, &l);
    assert_near(got, want, BATCH * CLASSES, 1e-4);
    free(want);
    free(got);
    assert_true(steps(t, &l, 30, 0.02) < 0.9);
    want = predict(t, &l);
    if (oc_trainer_save(t, path, &err)) fail_msg("%s", err.message);
    got = run_saved(path, &l);
    assert_near(got, want, BATCH * CLASSES, 1e-4);
    free(got);
    got = one_by_one(path, &l);
    assert_near(got, want, BATCH * CLASSES, 1e-4);
    free(want);
    free(got);
    oc_trainer_destroy(t);
    unlink(path);
    lesson_deinit(&l);
}

/* Old classes keep their rows of the last layer, new ones get some. */
static void train_keeps_the_classes_of_a_model(void **state) {
    (void)state;
    char path[] = "/tmp/oc_test_trainXXXXXX";
    oc_error err = {0};
    lesson l;
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    lesson_init(&l, 5, 0);
    oc_trainer *t = make("resnet8", 1, 1, 0);
    steps(t, &l, 4, 0.05);
    float *want = predict(t, &l);
    if (oc_trainer_save(t, path, &err)) fail_msg("%s", err.message);
    oc_trainer_destroy(t);
    oc_trainer_options o = {.model = path,
                            .classes = CLASSES + 2,
                            .keep_head = 1,
                            .batch = BATCH,
                            .threads = 1};
    const oc_tensor *y;
    if (oc_trainer_create(&t, &o, &err) ||
        oc_trainer_predict(t, &l.x, &y, &err))
        fail_msg("%s", err.message);
    assert_int_equal(oc_trainer_classes(t), CLASSES + 2);
    for (int i = 0; i < BATCH; i++)
        assert_near((const float *)y->data + (ptrdiff_t)i * (CLASSES + 2),
                    want + (ptrdiff_t)i * CLASSES, CLASSES, 1e-4);
    oc_trainer_destroy(t);
    free(want);
    unlink(path);
    lesson_deinit(&l);
}

/* A model of a declared size learns from pictures of another one. */
static void train_gives_a_model_another_size(void **state) {
    (void)state;
    const char *path = test_shared("models/mobilenet_v2_imagenet_nhwc.onnx");
    if (!path || test_is_small()) skip();
    oc_error err = {0};
    oc_trainer_options o = {.model = path,
                            .classes = CLASSES,
                            .height = SIDE,
                            .width = 2 * SIDE,
                            .batch = 2,
                            .threads = 2};
    oc_trainer *t = NULL;
    if (oc_trainer_create(&t, &o, &err)) fail_msg("%s", err.message);
    oc_tensor x = oc_trainer_input(t);
    assert_int_equal(x.dims[1], SIDE);
    assert_int_equal(x.dims[2], 2 * SIDE);
    oc_trainer_destroy(t);
    o.model = test_shared("models/mnist.onnx");
    assert_int_equal(oc_trainer_create(&t, &o, &err), OC_E_UNSUPPORTED);
    assert_non_null(strstr(err.message, "64 x 32"));
}

/* Head of a model whose pictures have their channels last. */
static void train_goes_on_from_a_model_of_others(void **state) {
    (void)state;
    const char *path = test_shared("models/resnet8_cifar10.onnx");
    if (!path) skip();
    lesson l;
    oc_error err = {0};
    oc_trainer_options o = {.model = path,
                            .classes = CLASSES,
                            .batch = BATCH,
                            .threads = 2,
                            .seed = 1};
    oc_trainer *t = NULL;
    if (oc_trainer_create(&t, &o, &err)) fail_msg("%s", err.message);
    lesson_init(&l, 6, oc_trainer_is_nhwc(t));
    double before = steps(t, &l, 1, 0.005);
    double after = steps(t, &l, 30, 0.005);
    if (!(after < 0.3 * before)) fail_msg("from %g to %g", before, after);
    oc_trainer_destroy(t);
    lesson_deinit(&l);
}

/* Bytes of a step; the trainer's recompute goes to *level. */
static size_t step_bytes(const oc_trainer *t, int *level) {
    oc_trainer_summary s;
    oc_trainer_summarize(t, &s);
    *level = s.recompute;
    return s.state_bytes + s.activation_bytes + s.scratch_bytes;
}

/* Less memory, the same bits: what is not kept is computed once more. */
static void train_gives_the_same_bits_in_less_memory(void **state) {
    (void)state;
    lesson l;
    lesson_init(&l, 9, 0);
    /* Residuals; depthwise convolutions; attention. */
    static const size_t chosen[] = {0, 1, 5};
    size_t n = test_is_small() ? 1 : sizeof(chosen) / sizeof(chosen[0]);
    double step = test_is_small() ? 0.25 : 0.09;
    for (size_t k = 0; k < n; k++) {
        size_t i = chosen[k];
        oc_trainer_options o = {.arch = archs[i].name,
                                .classes = CLASSES,
                                .height = SIDE,
                                .width = SIDE,
                                .width_factor = 0.25,
                                .batch = BATCH,
                                .optimizer = archs[i].optimizer,
                                .threads = 2,
                                .seed = 2};
        oc_error err = {0};
        float *want = NULL;
        size_t all = 0, least = 0;
        int level = 0, tried = 0;
        for (double share = 1.01; share > 0.2; share -= step) {
            oc_trainer *t = NULL;
            o.memory_bytes = (size_t)(share * (double)all);
            oc_status st = oc_trainer_create(&t, &o, &err);
            if (st == OC_E_LIMIT) break;
            if (st) fail_msg("%s: %s", archs[i].name, err.message);
            least = step_bytes(t, &level);
            if (!all) all = least;
            assert_true(least <= all);
            steps(t, &l, 2, archs[i].rate);
            float *got = predict(t, &l);
            if (want)
                assert_memory_equal(got, want, BATCH * CLASSES * sizeof(float));
            else
                want = got;
            if (got != want) free(got);
            tried = level > tried ? level : tried;
            oc_trainer_destroy(t);
        }
        if (!tried || least > 0.95 * (double)all)
            fail_msg("%s: %zu of %zu bytes", archs[i].name, least, all);
        free(want);
    }
    lesson_deinit(&l);
}

static void train_says_no_with_a_sentence(void **state) {
    (void)state;
    oc_trainer *t = NULL;
    oc_error err = {0};
    oc_trainer_options o = {.arch = "resnet9", .classes = 2, .batch = 2};
    assert_int_equal(oc_trainer_create(&t, &o, &err), OC_E_ARG);
    assert_non_null(strstr(err.message, "resnet9"));
    o.arch = "resnet8";
    assert_int_equal(oc_trainer_create(&t, &o, &err), OC_E_ARG); /* no size */
    o.height = o.width = 32;
    const int above[2] = {0, 2}, below[2] = {-1, 0};
    o.levels = 1;
    assert_int_equal(oc_trainer_create(&t, &o, &err), OC_E_ARG); /* no list */
    o.above = above;
    assert_int_equal(oc_trainer_create(&t, &o, &err), OC_E_ARG);
    assert_non_null(strstr(err.message, "class 1 lies in class 2"));
    o.above = below;
    assert_int_equal(oc_trainer_create(&t, &o, &err), OC_E_ARG);
    o.levels = 0;
    o.hierarchy = NAN;
    assert_int_equal(oc_trainer_create(&t, &o, &err), OC_E_ARG);
    o.hierarchy = 0;
    o.memory_bytes = 1000;
    assert_int_equal(oc_trainer_create(&t, &o, &err), OC_E_LIMIT);
    oc_training *f = NULL;
    oc_training_options g = {.data = "nowhere", .out = "x.onnx", .grow = 5};
    assert_int_equal(oc_training_create(&f, &g, &err), OC_E_ARG);
    assert_non_null(strstr(err.message, "smaller pictures"));
    g.grow = NAN;
    assert_int_equal(oc_training_create(&f, &g, &err), OC_E_ARG);
    g.grow = 0;
    g.last_rate = 2;
    assert_int_equal(oc_training_create(&f, &g, &err), OC_E_ARG);
    assert_non_null(strstr(err.message, "shares of 1"));
    const char *path = test_shared("models/yunet_n_320_320.onnx");
    if (!path) return;
    oc_trainer_options m = {.model = path, .classes = 2, .batch = 2};
    assert_int_equal(oc_trainer_create(&t, &m, &err), OC_E_UNSUPPORTED);
}

static void train_stops_at_what_is_no_number(void **state) {
    (void)state;
    lesson l;
    oc_error err = {0};
    oc_step_options o = {.rate = 0.1};
    lesson_init(&l, 8, 0);
    oc_trainer *t = make("resnet8", 1, 1, 0);
    steps(t, &l, 2, 0.05);
    l.images[5] = NAN;
    assert_int_equal(oc_trainer_step(t, &l.x, &l.y, &o, NULL, &err),
                     OC_E_FORMAT);
    assert_non_null(strstr(err.message, "step 3"));
    oc_trainer_destroy(t);
    lesson_deinit(&l);
}

static void train_fails_for_lack_of_memory(void **state) {
    (void)state;
    test_allocator ta;
    oc_error err;
    for (int64_t n = 0;; n += 1 + n / 7) {
        oc_trainer *t = NULL;
        test_allocator_init(&ta, n);
        oc_trainer_options o = {.arch = "resnet8",
                                .classes = 2,
                                .height = 16,
                                .width = 16,
                                .width_factor = 0.5,
                                .batch = 2,
                                .threads = 1,
                                .ema = 0.9,
                                .allocator = &ta.base};
        oc_status st = oc_trainer_create(&t, &o, &err);
        oc_trainer_destroy(t);
        test_allocator_check(&ta);
        if (!ta.failed) {
            assert_int_equal(st, OC_OK);
            break;
        }
        assert_int_equal(st, OC_E_NOMEM);
    }
}

/* ---- schedules ------------------------------------------------------------
 */

static void schedule_has_the_course_it_is_named_for(void **state) {
    (void)state;
    oc_schedule c = OC_SCHEDULE_COSINE;
    assert_true(oc__schedule_share(c, 0, 10, 2, 0, 0) > 0);
    assert_true(fabs(oc__schedule_share(c, 1, 10, 2, 0, 0) - 0.505) < 1e-9);
    assert_true(fabs(oc__schedule_share(c, 2, 10, 2, 0, 0) - 1) < 1e-9);
    assert_true(fabs(oc__schedule_share(c, 6, 10, 2, 0, 0) - 0.5) < 1e-9);
    assert_true(oc__schedule_share(c, 10, 10, 2, 0, 0) < 1e-9);
    assert_true(fabs(oc__schedule_share(c, 6, 10, 2, 0, 0.2) - 0.6) < 1e-9);
    assert_true(fabs(oc__schedule_share(c, 10, 10, 2, 0, 0.2) - 0.2) < 1e-9);
    assert_true(oc__schedule_share(OC_SCHEDULE_STEP, 4, 10, 0, 0, 0) == 1);
    assert_true(oc__schedule_share(OC_SCHEDULE_STEP, 5, 10, 0, 0, 0) == 0.1);
    assert_true(oc__schedule_share(OC_SCHEDULE_STEP, 8, 10, 0, 0, 0) == 0.01);
    assert_true(fabs(oc__schedule_share(OC_SCHEDULE_PLATEAU, 8, 10, 0, 2, 0) -
                     1.0 / 9) < 1e-9);
    assert_true(oc__schedule_share(OC_SCHEDULE_CONSTANT, 9, 10, 0, 0, 0) == 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(train_learns_few_pictures_by_heart),
        cmocka_unit_test(train_gives_the_same_bits_for_any_threads),
        cmocka_unit_test(train_steps_as_the_plain_operators_do),
        cmocka_unit_test(train_goes_on_from_a_checkpoint_bit_for_bit),
        cmocka_unit_test(train_saves_what_it_predicts_and_goes_on_from_it),
        cmocka_unit_test(train_makes_a_model_of_one_picture_one_of_many),
        cmocka_unit_test(train_keeps_the_classes_of_a_model),
        cmocka_unit_test(train_gives_a_model_another_size),
        cmocka_unit_test(train_goes_on_from_a_model_of_others),
        cmocka_unit_test(train_gives_the_same_bits_in_less_memory),
        cmocka_unit_test(train_says_no_with_a_sentence),
        cmocka_unit_test(train_stops_at_what_is_no_number),
        cmocka_unit_test(train_fails_for_lack_of_memory),
        cmocka_unit_test(schedule_has_the_course_it_is_named_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
