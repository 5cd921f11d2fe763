/*
 * test_stream.c - src/data/stream*: the same bits from any number of threads,
 * cache or not, whole or resumed; what inference would see; bad files; the
 * end.
 */
#define _POSIX_C_SOURCE 200809L /* nanosleep */
#include "testing.h"
#include "tree.h"

#include "base/xxh64.h"
#include "data/stream_parts.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <time.h>

enum { CLASSES = 3, PER_CLASS = 9, SIDE = 16 };

static oc__labelled *data;

/* 27 pictures in three classes of train, one of each in val. */
static int set_up(void **state) {
    oc__labelled_options opt = {0};
    oc_error err;
    char name[64];
    if (tree_make(state)) return 1;
    for (unsigned c = 0; c < CLASSES; c++) {
        for (unsigned i = 0; i < PER_CLASS; i++) {
            snprintf(name, sizeof name, "d/train/%u/%u.ppm", c, i);
            tree_picture(name, 20 + (int)i, 24, c * 100 + i);
        }
        snprintf(name, sizeof name, "d/val/%u/0.ppm", c);
        tree_picture(name, 40, 21, 1000 + c);
    }
    return oc__labelled_open(&data, tree_path("d"), &opt, &err) != OC_OK;
}

static int tear_down(void **state) {
    oc__labelled_destroy(data);
    return tree_remove(state);
}

static oc__augment strong(void) {
    oc__augment a = oc__augment_preset(OC_PICTURES_NATURAL, 2);
    a.hue = 0.1;
    a.mix = 1;
    return a;
}

static oc__stream_options options(const oc__augment *a) {
    oc__stream_options o = {.data = data,
                            .batch = 4,
                            .train = 1,
                            .augment = a,
                            .seed = 11,
                            .threads = 2};
    o.prep = (oc_preprocess){.width = SIDE,
                             .height = SIDE,
                             .fit = OC_FIT_COVER,
                             .crop = 0.875,
                             .scale = 1 / 255.f,
                             .mean = {0.5f, 0.4f, 0.3f},
                             .std = {0.2f, 0.25f, 0.3f}};
    return o;
}

static oc__stream *open_stream(const oc__stream_options *o) {
    oc__stream *s = NULL;
    oc_error err;
    if (oc__stream_create(&s, o, &err)) fail_msg("%s", err.message);
    return s;
}

static const oc__batch *next(oc__stream *s) {
    const oc__batch *b;
    oc_error err;
    if (oc__stream_next(s, &b, &err)) fail_msg("%s", err.message);
    return b;
}

static uint64_t digest_of(const oc__batch *b, uint64_t seed, int classes) {
    size_t n = (size_t)b->rows;
    uint64_t h = oc__xxh64(b->images.data, oc_tensor_bytes(&b->images), seed);
    h = oc__xxh64(b->targets, n * (size_t)classes * sizeof(float), h);
    h = oc__xxh64(b->label, n * sizeof *b->label, h);
    h = oc__xxh64(b->weight, n * sizeof *b->weight, h);
    return oc__xxh64(b->index, n * sizeof *b->index, h);
}

enum { EPOCHS = 3, STEPS = CLASSES * PER_CLASS / 4 };

/* A digest of every batch of some epochs. */
static void run(const oc__stream_options *o, uint64_t out[EPOCHS][STEPS]) {
    oc__stream *s = open_stream(o);
    assert_int_equal(oc__stream_steps(s), STEPS);
    assert_int_equal(oc__stream_pictures(s), STEPS * 4);
    for (int e = 0; e < EPOCHS; e++) {
        oc__stream_seek(s, e, 0);
        for (int k = 0; k < STEPS; k++) {
            const oc__batch *b = next(s);
            assert_non_null(b);
            assert_int_equal(b->epoch, e);
            assert_int_equal(b->step, k);
            assert_int_equal(b->n, 4);
            out[e][k] = digest_of(b, 0, CLASSES);
        }
        assert_null(next(s));
        assert_null(next(s));
    }
    oc__stream_destroy(s);
}

static void stream_gives_the_same_bits_however_it_runs(void **state) {
    (void)state;
    static uint64_t want[EPOCHS][STEPS], got[EPOCHS][STEPS];
    oc__augment a = strong();
    oc__stream_options o = options(&a);
    o.threads = 1;
    run(&o, want);
    for (int e = 0; e < EPOCHS; e++) {
        for (int k = 0; e && k < STEPS; k++)
            assert_true(want[e][0] != want[0][k]);
    }
    for (int i = 0; i < 6; i++) {
        o.threads = 1 + i;
        o.ahead = i % 3 ? i : 40; /* far beyond the epoch's end */
        o.cache_bytes = i % 2 ? (size_t)1 << 20 : 5000;
        run(&o, got);
        assert_memory_equal(got, want, sizeof want);
    }
    o.seed = 12;
    run(&o, got);
    assert_true(got[0][0] != want[0][0]);
}

static void stream_continues_where_it_was_left(void **state) {
    (void)state;
    static uint64_t want[EPOCHS][STEPS];
    oc__augment a = strong();
    oc__stream_options o = options(&a);
    run(&o, want);
    for (int stop = 0; stop < STEPS; stop++) {
        oc__stream *s = open_stream(&o);
        int64_t epoch, step;
        oc__stream_seek(s, 1, 0);
        for (int k = 0; k < stop; k++)
            next(s);
        oc__stream_tell(s, &epoch, &step);
        assert_int_equal(epoch, 1);
        assert_int_equal(step, stop);
        oc__stream_destroy(s);
        s = open_stream(&o);
        oc__stream_seek(s, epoch, step);
        for (int k = stop; k < STEPS; k++)
            assert_true(digest_of(next(s), 0, CLASSES) == want[1][k]);
        assert_null(next(s));
        /* and back again, in the middle of things */
        oc__stream_seek(s, 0, 2);
        assert_true(digest_of(next(s), 0, CLASSES) == want[0][2]);
        oc__stream_destroy(s);
    }
}

static void stream_shows_every_picture_once_an_epoch(void **state) {
    (void)state;
    oc__augment a = {.flip_h = 0.5};
    oc__stream_options o = options(&a);
    o.batch = 9; /* 27 / 9: none is left over */
    oc__stream *s = open_stream(&o);
    int same_order = 1, before[27];
    for (int e = 0; e < 3; e++) {
        int seen[CLASSES * PER_CLASS] = {0}, at = 0;
        oc__stream_seek(s, e, 0);
        for (const oc__batch *b; (b = next(s));) {
            for (int row = 0; row < b->n; row++, at++) {
                int i = b->index[row];
                seen[i]++;
                assert_int_equal(b->label[row], data->pictures[i].label);
                assert_true(b->weight[row] == 1);
                for (int c = 0; c < CLASSES; c++)
                    assert_true(b->targets[row * CLASSES + c] ==
                                (c == b->label[row]));
                if (e) same_order &= before[at] == i;
                before[at] = i;
            }
        }
        for (int i = 0; i < CLASSES * PER_CLASS; i++)
            assert_int_equal(seen[i], 1);
    }
    assert_false(same_order);
    oc__stream_destroy(s);
}

/* ---- numbers --------------------------------------------------------------
 */

/* What oc_image_to_tensor() makes of the picture. */
static void by_hand(const oc__stream_options *o, int picture, float *out,
                    size_t elems) {
    oc_image_options load = {0};
    oc_image img;
    oc_error err;
    oc_preprocess_load_options(&o->prep, 0, &load);
    assert_int_equal(
        oc_image_load(&img, data->pictures[picture].path, &load, &err), OC_OK);
    if (oc_image_to_tensor(&img, &o->prep, out, elems * sizeof *out, NULL,
                           &err))
        fail_msg("%s", err.message);
    oc_image_deinit(&img);
}

static void stream_measures_with_what_inference_sees(void **state) {
    (void)state;
    static const oc_color colors[] = {OC_COLOR_RGB, OC_COLOR_BGR,
                                      OC_COLOR_GRAY};
    static float want[3 * SIDE * SIDE];
    oc__stream_options o = options(NULL);
    o.train = 0;
    o.part = OC_PART_VAL;
    o.batch = 2;
    for (int fit = OC_FIT_STRETCH; fit <= OC_FIT_LETTERBOX; fit++) {
        for (int i = 0; i < 12; i++) {
            size_t n = (i % 3 == 2 ? 1 : 3) * SIDE * SIDE;
            o.prep.fit = (oc_fit)fit;
            o.prep.color = colors[i % 3];
            o.prep.layout = i / 3 % 2 ? OC_LAYOUT_NHWC : OC_LAYOUT_NCHW;
            for (int c = 0; c < 3; c++)
                o.prep.pad_value[c] = i / 6 ? 114 : 123.675f;
            o.cache_bytes = 1 << 20;
            oc__stream *s = open_stream(&o);
            for (int e = 0; e < 2; e++) { /* the second from the cache */
                oc__stream_seek(s, e, 0);
                const oc__batch *b = next(s);
                assert_int_equal(b->n, 2);
                assert_int_equal(b->images.dims[i / 3 % 2 ? 3 : 1],
                                 n / (SIDE * SIDE));
                for (int row = 0; row < 2; row++) {
                    int at = data->first[OC_PART_VAL] + row;
                    assert_int_equal(b->index[row], at);
                    by_hand(&o, at, want, n);
                    assert_memory_equal((float *)b->images.data +
                                            (size_t)row * n,
                                        want, n * sizeof *want);
                }
                b = next(s); /* three pictures, so one row is left */
                assert_int_equal(b->n, 1);
                assert_int_equal(b->index[1], -1);
                assert_true(b->weight[0] == 1 && b->weight[1] == 0);
                assert_true(((float *)b->images.data)[n] == 0);
                assert_null(next(s));
            }
            oc__stream_destroy(s);
        }
    }
}

static void stream_smooths_targets(void **state) {
    (void)state;
    oc__augment a = {.flip_h = 0.5};
    oc__stream_options o = options(&a);
    o.label_smoothing = 0.3;
    oc__stream *s = open_stream(&o);
    const oc__batch *b = next(s);
    for (int c = 0; c < CLASSES; c++) {
        double want = c == b->label[0] ? 0.8 : 0.1;
        assert_true(fabs(b->targets[c] - want) < 1e-6);
    }
    oc__stream_destroy(s);
}

static void stream_balances_classes(void **state) {
    (void)state;
    char name[64];
    for (unsigned c = 0; c < 2; c++) {
        for (unsigned i = 0; i < (c ? 4 : 36); i++) {
            snprintf(name, sizeof name, "uneven/train/%u/%u.ppm", c, i);
            tree_picture(name, 3, 3, i);
        }
        snprintf(name, sizeof name, "uneven/val/%u/0.ppm", c);
        tree_picture(name, 3, 3, 9);
    }
    oc__labelled *l = NULL;
    oc_error err;
    assert_int_equal(oc__labelled_open(&l, tree_path("uneven"), NULL, &err),
                     OC_OK);
    for (int half = 0; half < 3; half++) {
        oc__augment a = {.flip_h = 0.5};
        oc__stream_options o = options(&a);
        o.data = l;
        o.batch = 40;
        o.balance = half / 2.0;
        oc__stream *s = open_stream(&o);
        const oc__batch *b = next(s);
        int rare = 0, seen[40] = {0}, different = 0;
        for (int i = 0; i < 40; i++) {
            rare += b->label[i] == 1;
            seen[b->index[i]]++;
        }
        for (int i = 36; i < 40; i++)
            different += seen[i] > 0;
        /* 4 of 40, sqrt(4) / (sqrt(4) + sqrt(36)), a half */
        assert_in_range(rare,
                        half == 0   ? 4
                        : half == 1 ? 9
                                    : 19,
                        half == 0   ? 4
                        : half == 1 ? 11
                                    : 21);
        assert_int_equal(different, 4);
        oc__stream_destroy(s);
    }
    oc__labelled_destroy(l);
}

static void stream_follows_another_size(void **state) {
    (void)state;
    oc__augment a = strong();
    oc__stream_options o = options(&a);
    oc_error err;
    o.store_px = 24;
    o.cache_bytes = 1 << 20;
    oc__stream *s = open_stream(&o);
    uint64_t want = digest_of(next(s), 0, CLASSES);
    for (int side = 8; side <= 32; side += 24) {
        assert_int_equal(oc__stream_resize(s, side, side, &err), OC_OK);
        const oc__batch *b = next(s);
        assert_int_equal(b->images.dims[2], side);
        assert_int_equal(b->step, side == 8 ? 1 : 2);
    }
    assert_int_equal(oc__stream_resize(s, 0, 8, &err), OC_E_ARG);
    assert_int_equal(oc__stream_resize(s, SIDE, SIDE, &err), OC_OK);
    oc__stream_seek(s, 0, 0);
    assert_true(digest_of(next(s), 0, CLASSES) == want);
    oc__stream_destroy(s);
}

/* ---- what goes wrong ------------------------------------------------------
 */

typedef struct {
    int n;
    char text[1000];
} told;

static void hear(void *user, const char *path, const char *why) {
    told *t = user;
    size_t at = strlen(t->text);
    t->n++;
    snprintf(t->text + at, sizeof t->text - at, "%s: %s\n", path, why);
}

static void stream_replaces_what_it_cannot_read(void **state) {
    (void)state;
    char name[64];
    for (unsigned c = 0; c < 2; c++) {
        for (unsigned i = 0; i < 6; i++) {
            snprintf(name, sizeof name, "bad/train/%u/%u.ppm", c, i);
            if (c == 1 && i > 0 && i < 5)
                tree_text(name, i == 1 ? "P6 3 3 255\nabc" : "no picture");
            else
                tree_picture(name, 9, 9, i);
        }
        snprintf(name, sizeof name, "bad/val/%u/0.ppm", c);
        tree_picture(name, 9, 9, 9);
        snprintf(name, sizeof name, "bad/val/%u/1.ppm", c);
        tree_text(name, "no picture");
    }
    oc__labelled *l = NULL;
    oc_error err;
    assert_int_equal(oc__labelled_open(&l, tree_path("bad"), NULL, &err),
                     OC_OK);
    uint64_t digest[4];
    for (int threads = 1; threads <= 4; threads++) {
        told heard = {0};
        oc__augment a = strong();
        oc__stream_options o = options(&a);
        o.data = l;
        o.batch = 12;
        o.threads = threads;
        o.report = hear;
        o.user = &heard;
        oc__stream *s = open_stream(&o);
        digest[threads - 1] = 0;
        for (int e = 0; e < 3; e++) {
            oc__stream_seek(s, e, 0);
            const oc__batch *b = next(s);
            int second = 0;
            for (int row = 0; row < 12; row++) {
                int i = b->index[row] - l->first[OC_PART_TRAIN];
                assert_true(i >= 0 && (i < 6 || i == 6 || i == 11));
                second += b->label[row] == 1;
            }
            assert_int_equal(second, 6); /* each by one of its class */
            digest[threads - 1] = digest_of(b, digest[threads - 1], 2);
        }
        assert_int_equal(heard.n, 4);
        assert_non_null(strstr(heard.text, "bad/train/1/3.ppm: "));
        oc__stream_stats st;
        oc__stream_stats_get(s, &st);
        assert_int_equal(st.bad, 4);
        oc__stream_destroy(s);
        assert_true(digest[threads - 1] == digest[0]);
    }
    /* Measured is what is there. */
    oc__stream_options o = options(NULL);
    o.data = l;
    o.part = OC_PART_VAL;
    o.train = 0;
    oc__stream *s = open_stream(&o);
    const oc__batch *b = next(s);
    assert_true(b->weight[0] == 1 && b->weight[1] == 0);
    assert_int_equal(b->index[1], -1);
    assert_int_equal(b->label[3], -1);
    oc__stream_destroy(s);
    oc__labelled_destroy(l);
}

static void stream_says_when_a_class_cannot_be_read(void **state) {
    (void)state;
    tree_text("dead/train/a/1.ppm", "no");
    tree_text("dead/train/a/2.ppm", "no");
    tree_picture("dead/train/b/1.ppm", 5, 5, 1);
    tree_picture("dead/val/b/1.ppm", 5, 5, 1);
    oc__labelled *l = NULL;
    const oc__batch *b;
    oc_error err;
    assert_int_equal(oc__labelled_open(&l, tree_path("dead"), NULL, &err),
                     OC_OK);
    oc__augment a = {.flip_h = 0.5};
    oc__stream_options o = options(&a);
    o.data = l;
    oc__stream *s = open_stream(&o);
    assert_int_equal(oc__stream_next(s, &b, &err), OC_E_FORMAT);
    assert_non_null(strstr(err.message, "no picture of the class of "));
    oc__stream_destroy(s);
    oc__labelled_destroy(l);
}

static void *stop_soon(void *s) {
    struct timespec t = {0, 3000000};
    nanosleep(&t, NULL);
    oc__stream_stop(s);
    return NULL;
}

static void stream_stops_at_once(void **state) {
    (void)state;
    oc__augment a = strong();
    oc__stream_options o = options(&a);
    oc__stream *s = open_stream(&o);
    const oc__batch *b;
    oc_error err;
    pthread_t t;
    assert_int_equal(pthread_create(&t, NULL, stop_soon, s), 0);
    oc_status st = OC_OK;
    for (int64_t e = 0; !st; e++) {
        oc__stream_seek(s, e, 0);
        while (!(st = oc__stream_next(s, &b, &err)) && b) {
        }
    }
    assert_int_equal(st, OC_E_CANCELLED);
    assert_int_equal(oc__stream_next(s, &b, &err), OC_E_CANCELLED);
    pthread_join(t, NULL);
    oc__stream_destroy(s);
}

static void stream_refuses_what_it_cannot_be(void **state) {
    (void)state;
    oc__stream_options bad[5];
    oc__stream *s = NULL;
    oc_error err;
    for (int i = 0; i < 5; i++)
        bad[i] = options(NULL);
    bad[0].batch = 0;
    bad[1].prep.width = 0;
    bad[2].label_smoothing = 1;
    bad[3].part = OC_PART_TEST;
    bad[4].prep.color = OC_COLOR_YCBCR;
    for (int i = 0; i < 5; i++) {
        err.message[0] = 0;
        assert_int_equal(oc__stream_create(&s, &bad[i], &err),
                         i == 3 ? OC_E_FORMAT : OC_E_ARG);
        assert_true(err.message[0] != 0);
    }
}

static void stream_keeps_within_its_budget(void **state) {
    (void)state;
    oc__augment a = {.flip_h = 0.5};
    oc__stream_options o = options(&a);
    oc__stream_stats st;
    o.cache_bytes = 10000;
    oc__stream *s = open_stream(&o);
    for (int e = 0; e < 3; e++) {
        oc__stream_seek(s, e, 0);
        while (next(s)) {
        }
    }
    oc__stream_stats_get(s, &st);
    assert_in_range(st.cache_bytes, 5000, 10000);
    assert_true(st.decoded < st.pictures);
    oc__stream_destroy(s);
}

static void stream_releases_all_when_memory_runs_out(void **state) {
    (void)state;
    test_allocator ta;
    oc__augment a = strong();
    for (int64_t n = 0;; n += n < 60 ? 1 : 7) {
        oc__stream_options o = options(&a);
        oc__stream *s = NULL;
        const oc__batch *b;
        oc_error err;
        test_allocator_init(&ta, n);
        o.allocator = &ta.base;
        o.ahead = 1;
        o.cache_bytes = 1 << 20;
        oc_status st = oc__stream_create(&s, &o, &err);
        if (!st) st = oc__stream_next(s, &b, &err);
        if (!st) st = oc__stream_resize(s, 40, 40, &err);
        oc__stream_destroy(s);
        test_allocator_check(&ta);
        if (!ta.failed) {
            assert_int_equal(st, OC_OK);
            break;
        }
        /* A failure later than what was asked for is nobody's. */
        assert_true(st == OC_E_NOMEM || st == OC_OK);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stream_gives_the_same_bits_however_it_runs),
        cmocka_unit_test(stream_continues_where_it_was_left),
        cmocka_unit_test(stream_shows_every_picture_once_an_epoch),
        cmocka_unit_test(stream_measures_with_what_inference_sees),
        cmocka_unit_test(stream_smooths_targets),
        cmocka_unit_test(stream_balances_classes),
        cmocka_unit_test(stream_follows_another_size),
        cmocka_unit_test(stream_replaces_what_it_cannot_read),
        cmocka_unit_test(stream_says_when_a_class_cannot_be_read),
        cmocka_unit_test(stream_stops_at_once),
        cmocka_unit_test(stream_refuses_what_it_cannot_be),
        cmocka_unit_test(stream_keeps_within_its_budget),
        cmocka_unit_test(stream_releases_all_when_memory_runs_out),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
