/* test_teacher.c - src/train/teacher.c, the teacher's part of the loss. */
#include "testing.h"

#include "base/rng.h"
#include "train/teacher.h"

#include <ocelli/train.h>

#include <math.h>
#include <stdlib.h>

enum { SIDE = 32, BATCH = 4, CLASSES = 5 };

static float *numbers(size_t n, unsigned seed) {
    float *x = malloc(n * sizeof(*x));
    for (size_t i = 0; i < n; i++) {
        seed = seed * 1664525u + 1013904223u;
        x[i] = (float)((double)(seed >> 8) / (1 << 23) - 1);
    }
    return x;
}

/* ---- the loss -------------------------------------------------------------
 */

/* log softmax(x / t)[k] of n numbers. */
static double log_share(const float *x, int n, double t, int k) {
    double top = -INFINITY, sum = 0;
    for (int i = 0; i < n; i++)
        top = fmax(top, (double)x[i] / t);
    for (int i = 0; i < n; i++)
        sum += exp((double)x[i] / t - top);
    return (double)x[k] / t - top - log(sum);
}

static double softplus(double x) {
    return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x));
}

/* As arXiv:1503.02531 writes it down, of the first `taught` classes. */
static double expected(const float *s, const float *z, const float *y,
                       const oc_trainer_options *o) {
    double hard = 0, soft = 0, t = o->temperature > 0 ? o->temperature : 2;
    for (int i = 0; i < BATCH; i++) {
        const float *row = s + (ptrdiff_t)i * CLASSES;
        const float *said = z + (ptrdiff_t)i * o->taught;
        for (int k = 0; k < CLASSES; k++) {
            double target = (double)y[i * CLASSES + k], x = (double)row[k];
            hard -=
                o->multi
                    ? -(target * softplus(-x) + (1 - target) * softplus(x)) /
                          CLASSES
                    : target * log_share(row, CLASSES, 1, k);
        }
        for (int k = 0; k < o->taught; k++) {
            double p = o->multi ? 1 / (1 + exp(-(double)said[k] / t))
                                : exp(log_share(said, o->taught, t, k));
            double x = (double)row[k] / t;
            soft -= o->multi ? -(p * softplus(-x) + (1 - p) * softplus(x)) /
                                   o->taught
                             : p * log_share(row, o->taught, t, k);
        }
    }
    return ((1 - o->distill) * hard + o->distill * t * t * soft) / BATCH;
}

static void teacher_counts_as_published(void **state) {
    (void)state;
    static const struct {
        int taught, multi;
        double distill, temperature;
    } cases[] = {
        {CLASSES, 0, 0.7, 2}, {CLASSES, 0, 1, 0},     {3, 0, 0.5, 3},
        {CLASSES, 1, 0.4, 2}, {CLASSES, 0, 0.9, 0.5},
    };
    size_t pixels = (size_t)BATCH * 3 * SIDE * SIDE;
    float *x = numbers(pixels, 1), *z = numbers((size_t)BATCH * CLASSES, 2);
    float y[BATCH * CLASSES] = {0};
    for (int i = 0; i < BATCH; i++)
        y[i * CLASSES + i] = 1;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        oc_trainer_options o = {.arch = "resnet8",
                                .classes = CLASSES,
                                .height = SIDE,
                                .width = SIDE,
                                .batch = BATCH,
                                .multi = cases[i].multi,
                                .taught = cases[i].taught,
                                .distill = cases[i].distill,
                                .temperature = cases[i].temperature,
                                .threads = 1,
                                .seed = 3};
        oc_trainer *t = NULL;
        oc_error err = {0};
        oc_step_result r;
        if (oc_trainer_create(&t, &o, &err)) fail_msg("%s", err.message);
        oc_tensor images = {OC_DTYPE_F32, 4, {BATCH, 3, SIDE, SIDE}, x};
        oc_tensor targets = {OC_DTYPE_F32, 2, {BATCH, CLASSES}, y};
        oc_tensor said = {OC_DTYPE_F32, 2, {BATCH, o.taught}, z};
        oc_step_options step = {.rate = 0.05, .teacher = &said};
        double first = 0;
        for (int n = 0; n < 12; n++) {
            if (oc_trainer_step(t, &images, &targets, &step, &r, &err))
                fail_msg("%s", err.message);
            double want = expected(r.logits->data, z, y, &o);
            if (!(fabs(r.loss - want) < 1e-4 * (1 + want)))
                fail_msg("case %zu: %.9g is not %.9g", i, r.loss, want);
            if (!n) first = r.loss;
        }
        assert_true(r.loss < first);
        step.teacher = NULL;
        assert_int_equal(oc_trainer_step(t, &images, &targets, &step, &r, &err),
                         OC_E_SHAPE);
        assert_non_null(strstr(err.message, "teacher"));
        oc_trainer_destroy(t);
    }
    free(x);
    free(z);
}

/* ---- the teacher ----------------------------------------------------------
 */

typedef struct pupil {
    oc__arena arena;
    oc_preprocess prep; /* of the model */
    const char *const *labels;
    int n;
} pupil;

static void read_pupil(pupil *p, const char *path) {
    oc_error err = {0};
    oc__arena_init(&p->arena, &oc__default_allocator);
    if (oc__read_classifier(path, 0, &p->prep, &p->labels, &p->n, &p->arena,
                            &err))
        fail_msg("%s", err.message);
}

/* What the model itself makes of the picture, prepared its own way. */
static void ask_model(const char *path, const oc_image *img,
                      const oc_preprocess *prep, double *log_p, int n) {
    oc_model *m = NULL;
    oc_session *s = NULL;
    oc_error err = {0};
    oc_tensor x = oc_preprocess_shape(prep);
    float *data = malloc(oc_tensor_bytes(&x));
    if (oc_image_to_tensor(img, prep, data, oc_tensor_bytes(&x), NULL, &err) ||
        oc_model_load(&m, path, NULL, &err) ||
        oc_session_create(&s, m, NULL, &err))
        fail_msg("%s", err.message);
    x.data = data;
    if (oc_session_set_input(s, 0, &x, &err) || oc_session_run(s, &err))
        fail_msg("%s", err.message);
    const oc_tensor *y = oc_session_output_tensor(s, 0);
    double sum = 0;
    for (int k = 0; k < n; k++)
        sum += oc_tensor_get(y, k);
    for (int k = 0; k < n; k++) /* its output is shares already, or logits */
        log_p[k] = fabs(sum - 1) < 1e-3 ? log(oc_tensor_get(y, k))
                                        : log_share(y->data, n, 1, k);
    oc_session_destroy(s);
    oc_model_destroy(m);
    free(data);
}

/* Whatever the learner's way of making numbers of pixels, and in whichever
   order its classes are, the teacher says what it says by itself. */
static void teacher_sees_what_the_learner_sees(void **state) {
    (void)state;
    const char *path = test_shared("models/resnet8_cifar10.onnx");
    if (!path) skip();
    static const oc_preprocess ways[] = {
        {.scale = 1.0f / 255,
         .mean = {0.4f, 0.5f, 0.3f},
         .std = {0.2f, 0.3f, 0.25f}},
        {.color = OC_COLOR_BGR, .mean = {100, 110, 120}, .std = {50, 60, 70}},
        {.layout = OC_LAYOUT_NHWC, .scale = 2.0f / 255, .mean = {1, 1, 1}},
    };
    oc_error err = {0};
    pupil p;
    read_pupil(&p, path);
    assert_int_equal(p.n, 10);
    oc_image img = {0};
    assert_int_equal(oc_image_init(&img, SIDE, SIDE, 3, NULL, &err), OC_OK);
    for (size_t i = 0; i < (size_t)SIDE * SIDE * 3; i++)
        img.pixels[i] = (uint8_t)(i * 7 + i / 96 * 5);
    double want[10];
    ask_model(path, &img, &p.prep, want, 10);
    const char *turned[10];
    for (int k = 0; k < 10; k++)
        turned[k] = p.labels[9 - k];
    for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
        oc_preprocess prep = ways[i];
        prep.width = prep.height = SIDE;
        oc__teacher *t = NULL;
        oc__teacher_options o = {.path = path,
                                 .prep = prep,
                                 .batch = 1,
                                 .labels = i ? turned : p.labels,
                                 .n_labels = 10,
                                 .threads = 1,
                                 .allocator = &oc__default_allocator};
        if (oc__teacher_create(&t, &o, &err)) fail_msg("%s", err.message);
        assert_int_equal(oc__teacher_classes(t), 10);
        oc_tensor x = oc_preprocess_shape(&prep);
        const oc_tensor *y;
        float *data = malloc(oc_tensor_bytes(&x));
        x.data = data;
        if (oc_image_to_tensor(&img, &prep, data, oc_tensor_bytes(&x), NULL,
                               &err) ||
            oc__teacher_ask(t, &x, &y, &err))
            fail_msg("%s", err.message);
        for (int k = 0; k < 10; k++) {
            double got = log_share(y->data, 10, 1, i ? 9 - k : k);
            if (!(fabs(got - want[k]) < 1e-3 * (1 + fabs(want[k]))))
                fail_msg("way %zu, class %d: %g is not %g", i, k, got, want[k]);
        }
        oc__teacher_destroy(t);
        free(data);
    }
    oc_image_deinit(&img);
    oc__arena_deinit(&p.arena);
}

static void teacher_must_know_the_classes(void **state) {
    (void)state;
    const char *path = test_shared("models/resnet8_cifar10.onnx");
    if (!path) skip();
    static const char *const two[] = {"cat", "gnu"};
    oc_error err = {0};
    oc__teacher *t = NULL;
    oc__teacher_options o = {.path = path,
                             .prep = {.width = SIDE, .height = SIDE},
                             .batch = 1,
                             .labels = two,
                             .n_labels = 2,
                             .threads = 1,
                             .allocator = &oc__default_allocator};
    assert_int_equal(oc__teacher_create(&t, &o, &err), OC_E_UNSUPPORTED);
    assert_non_null(strstr(err.message, "10 classes"));
    pupil p;
    read_pupil(&p, path);
    const char *own[10];
    for (int k = 0; k < 10; k++)
        own[k] = k == 4 ? "gnu" : p.labels[k];
    o.labels = own;
    o.n_labels = 10;
    assert_int_equal(oc__teacher_create(&t, &o, &err), OC_E_UNSUPPORTED);
    assert_non_null(strstr(err.message, "\"gnu\""));
    o.labels = p.labels;
    o.prep.color = OC_COLOR_GRAY;
    assert_int_equal(oc__teacher_create(&t, &o, &err), OC_E_UNSUPPORTED);
    assert_non_null(strstr(err.message, "3 channels"));
    oc__arena_deinit(&p.arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(teacher_counts_as_published),
        cmocka_unit_test(teacher_sees_what_the_learner_sees),
        cmocka_unit_test(teacher_must_know_the_classes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
