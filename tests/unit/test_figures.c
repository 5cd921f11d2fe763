/*
 * test_figures.c - src/data/figures.c against scikit-learn and SciPy
 * (figures_tables.inc, written by tests/oracle/make_figures_tables.py).
 */
#include "testing.h"

#include "base/size.h"
#include "data/figures.h"

#include <math.h>

#include "figures_tables.inc"

enum { N = 83, CLASSES = 4 };

static float logits[N * CLASSES], hot[N * CLASSES];
static int64_t label[N];

static unsigned byte(uint32_t *state) {
    *state = *state * 1664525u + 1013904223u;
    return *state >> 24;
}

/* The generator of make_figures_tables.py. */
static int draw(void **state) {
    (void)state;
    uint32_t s = 99;
    for (int i = 0; i < N; i++) {
        label[i] = byte(&s) % CLASSES;
        for (int c = 0; c < CLASSES; c++) {
            int at = i * CLASSES + c;
            hot[at] = byte(&s) % 3 == 0;
            logits[at] = (float)((int)(byte(&s) % 33) - 16) / 4.0f;
            if (c == label[i]) logits[at] += 2.25f;
            if (hot[at] > 0) logits[at] += 1;
        }
    }
    return 0;
}

static void near(double a, double b, double off) {
    if (!(fabs(a - b) <= off)) fail_msg("%.12g is not %.12g", a, b);
}

static void figures_of_one_label_are_those_of_scikit_learn(void **state) {
    (void)state;
    oc__figures f;
    assert_int_equal(
        oc__figures_single(&f, logits, label, N, CLASSES, 1, NULL, NULL),
        OC_OK);
    assert_int_equal(f.n, N);
    near(f.loss, single_loss, 1e-9);
    near(f.accuracy, single_accuracy, 1e-12);
    near(f.top5, 1, 0); /* of four classes */
    near(f.balanced_accuracy, single_balanced, 1e-12);
    near(f.macro_f1, single_macro, 1e-12);
    near(f.brier, single_brier, 1e-9);
    near(f.ece, single_ece, 1e-9);
    for (int c = 0; c < CLASSES; c++) {
        near(f.per_class[c].precision, single_precision[c], 1e-12);
        near(f.per_class[c].recall, single_recall[c], 1e-12);
        near(f.per_class[c].f1, single_f1[c], 1e-12);
    }
    for (int i = 0; i < CLASSES * CLASSES; i++)
        assert_int_equal(f.confusion[i], (int64_t)single_confusion[i]);
    oc__figures_deinit(&f);
}

static void figures_count_the_best_five(void **state) {
    (void)state;
    static const float z[2][7] = {{7, 6, 5, 4, 3, 2, 1}, {1, 1, 1, 1, 1, 1, 1}};
    static const int64_t fifth[2] = {4, 4}, sixth[2] = {5, 5},
                         none[2] = {-1, 0};
    oc__figures f;
    oc__figures_single(&f, z[0], fifth, 2, 7, 1, NULL, NULL);
    near(f.top5, 1, 0);
    oc__figures_deinit(&f);
    oc__figures_single(&f, z[0], sixth, 2, 7, 1, NULL, NULL);
    near(f.top5, 0, 0);
    oc__figures_deinit(&f);
    oc__figures_single(&f, z[0], none, 2, 7, 1, NULL, NULL);
    assert_int_equal(f.n, 1); /* -1 does not count */
    near(f.accuracy, 1, 0);
    oc__figures_deinit(&f);
    oc__figures_single(&f, z[0], none, 0, 7, 1, NULL, NULL);
    near(f.accuracy + f.loss + f.ece, 0, 0);
    oc__figures_deinit(&f);
}

static void temperature_is_the_one_scipy_finds(void **state) {
    (void)state;
    static const double scale[] = {1, 7, 0.11};
    const double want[] = {temperature_one, temperature_sharp,
                           temperature_dull};
    const double loss[] = {loss_one, loss_sharp, loss_dull};
    static float z[N * CLASSES];
    for (int k = 0; k < 3; k++) {
        oc__figures f;
        for (int i = 0; i < N * CLASSES; i++)
            z[i] = (float)(logits[i] * scale[k]);
        double t = oc__fit_temperature(z, label, N, CLASSES);
        near(t / want[k], 1, 1e-6);
        oc__figures_single(&f, z, label, N, CLASSES, t, NULL, NULL);
        near(f.loss, loss[k], 1e-7);
        oc__figures_deinit(&f);
    }
}

static void temperature_stays_within_bounds(void **state) {
    (void)state;
    static const float right[4] = {1, 0, 0, 1};
    static const int64_t y[2] = {0, 1}, wrong[2] = {1, 0}, none[2] = {-1, -1};
    static const float odd[4] = {NAN, 1, INFINITY, 0};
    near(oc__fit_temperature(right, y, 2, 2), 0.05, 1e-6);
    near(oc__fit_temperature(right, wrong, 2, 2), 20, 1e-3);
    near(oc__fit_temperature(right, none, 2, 2), 1, 0);
    double t = oc__fit_temperature(odd, y, 2, 2);
    assert_true(t >= 0.05 && t <= 20);
}

static void figures_of_many_labels_are_those_of_scikit_learn(void **state) {
    (void)state;
    oc__figures f;
    assert_int_equal(oc__figures_multi(&f, logits, hot, N, CLASSES, NULL, NULL),
                     OC_OK);
    near(f.loss, multi_loss, 1e-9);
    near(f.mean_ap, multi_map, 1e-12);
    near(f.micro_f1, multi_micro, 1e-12);
    near(f.macro_f1, multi_macro, 1e-12);
    near(f.accuracy, multi_accuracy, 1e-12);
    for (int c = 0; c < CLASSES; c++) {
        const oc__class_figures *p = &f.per_class[c];
        int64_t yes = 0, both = 0;
        near(p->average_precision, multi_ap[c], 1e-12);
        for (int i = 0; i < N; i++) {
            double s = 1 / (1 + exp(-(double)logits[i * CLASSES + c]));
            yes += s >= p->threshold;
            both += s >= p->threshold && hot[i * CLASSES + c] > 0;
        }
        near(2.0 * (double)both / (double)(yes + p->truths), multi_best_f1[c],
             1e-12);
    }
    oc__figures_deinit(&f);
}

static void figures_release_all_when_memory_runs_out(void **state) {
    (void)state;
    test_allocator ta;
    for (int multi = 0; multi < 2; multi++) {
        for (int64_t n = 0;; n++) {
            oc__figures f;
            oc_error err;
            test_allocator_init(&ta, n);
            oc_status st = multi
                               ? oc__figures_multi(&f, logits, hot, N, CLASSES,
                                                   &ta.base, &err)
                               : oc__figures_single(&f, logits, label, N,
                                                    CLASSES, 1, &ta.base, &err);
            oc__figures_deinit(&f);
            test_allocator_check(&ta);
            if (!ta.failed) {
                assert_int_equal(st, OC_OK);
                break;
            }
            assert_int_equal(st, OC_E_NOMEM);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(figures_of_one_label_are_those_of_scikit_learn),
        cmocka_unit_test(figures_count_the_best_five),
        cmocka_unit_test(temperature_is_the_one_scipy_finds),
        cmocka_unit_test(temperature_stays_within_bounds),
        cmocka_unit_test(figures_of_many_labels_are_those_of_scikit_learn),
        cmocka_unit_test(figures_release_all_when_memory_runs_out),
    };
    return cmocka_run_group_tests(tests, draw, NULL);
}
