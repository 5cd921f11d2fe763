/*
 * test_card_model.c - src/card and src/tasks: cards and their models: where
 * a card is found, whether it fits, what seals it, and the golden check.
 */
#define _XOPEN_SOURCE 700 /* mkdtemp */

#include "testing.h"

#include "model_build.h"

#include "card/card.h"

#if OC_HAVE_JANSSON
#include <math.h>
#include <stdio.h>
#include <unistd.h>

static char folder[64];

static int make_folder(void **state) {
    (void)state;
    strcpy(folder, "/tmp/ocelli-seal-XXXXXX");
    return mkdtemp(folder) ? 0 : 1;
}

static int drop_folder(void **state) {
    (void)state;
    return rmdir(folder);
}

static const char *path_of(const char *name) {
    static char path[4][128];
    static int turn;
    char *to = path[turn++ % 4];
    snprintf(to, sizeof path[0], "%s/%s", folder, name);
    return to;
}

static void write_file(const char *name, const void *data, size_t n) {
    FILE *f = fopen(path_of(name), "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, n, f), n);
    fclose(f);
}

/*
 * A classifier of three classes: the means of the channels, times k.  Its
 * labels are those of the levels, so the answer is known without it.
 */
static const pb *means_model(const float k[3], const char *card) {
    static model_build b;
    static const int64_t in[4] = {1, 3, 16, 16}, out[2] = {1, 3};
    static const int64_t each[4] = {1, 3, 1, 1};
    model_start(&b);
    model_value(&b, MODEL_INPUT, "x", MODEL_F32, 4, in);
    model_constant(&b, "k", MODEL_F32, 4, each, k, 3 * sizeof *k);
    model_node(&b, "Mul", "x k", "t");
    model_node(&b, "GlobalAveragePool", "t", "u");
    model_node(&b, "Flatten", "u", "y");
    model_value(&b, MODEL_OUTPUT, "y", MODEL_F32, 2, out);
    if (card) model_prop(&b, OC_CARD_KEY, card);
    return model_finish(&b);
}

static const float plain[3] = {1, 1, 1};

static void write_model(const char *name, const float k[3], const char *card) {
    const pb *m = means_model(k, card);
    write_file(name, m->data, m->n);
}

static oc_model *load(const char *name) {
    oc_model *m = NULL;
    oc_error err = {0};
    if (oc_model_load(&m, path_of(name), NULL, &err))
        fail_msg("%s", err.message);
    return m;
}

static oc_card *parse(const char *json) {
    oc_card *card = NULL;
    oc_error err = {0};
    if (oc_card_parse(&card, json, strlen(json), NULL, NULL, &err))
        fail_msg("%s", err.message);
    return card;
}

#define CARD(labels, input, decode)                                            \
    "{\"ocelli\": 1, \"task\": \"classify\", \"labels\": " labels              \
    ", \"input\": {\"color\": \"rgb\", \"layout\": \"nchw\","                  \
    " \"size\": [16, 16], \"scale\": 0.00392156862745098" input                \
    "}, \"decode\": {\"kind\": \"softmax\"" decode "}}"

static const char good[] = CARD("[\"red\", \"green\", \"blue\"]", "", "");

/* ---- finding --------------------------------------------------------------
 */

static void assert_found(const char *model, const char *name) {
    oc_model *m = load(model);
    oc_card *card = NULL;
    oc_error err = {0};
    assert_int_equal(oc_card_find(&card, m, &err), OC_OK);
    const char *found = oc_card_text(card, "name");
    if (name)
        assert_string_equal(found ? found : "", name);
    else
        assert_null(found);
    oc_card_destroy(card);
    oc_model_destroy(m);
}

#define NAMED(name) "{\"ocelli\": 1, \"name\": \"" name "\"}"

static void card_is_found_inside_then_beside_the_model(void **state) {
    (void)state;
    write_model("m.onnx", plain, NULL);
    assert_found("m.onnx", NULL);
    write_file("m.card.json", NAMED("short"), strlen(NAMED("short")));
    assert_found("m.onnx", "short");
    write_file("m.onnx.card.json", NAMED("long"), strlen(NAMED("long")));
    assert_found("m.onnx", "long");
    write_model("m.onnx", plain, NAMED("inside"));
    assert_found("m.onnx", "inside");
    unlink(path_of("m.card.json"));
    unlink(path_of("m.onnx.card.json"));
    unlink(path_of("m.onnx"));
}

static void card_that_is_broken_is_not_passed_over(void **state) {
    (void)state;
    oc_card *card = NULL;
    oc_error err = {0};
    write_model("m.onnx", plain, "{\"ocelli\": 3}");
    oc_model *m = load("m.onnx");
    assert_int_equal(oc_card_find(&card, m, &err), OC_E_UNSUPPORTED);
    assert_non_null(strstr(err.message, "metadata"));
    oc_model_destroy(m);
    write_model("m.onnx", plain, NULL);
    write_file("m.card.json", "{", 1);
    m = load("m.onnx");
    assert_int_equal(oc_card_find(&card, m, &err), OC_E_FORMAT);
    assert_non_null(strstr(err.message, "m.card.json"));
    assert_null(card);
    oc_model_destroy(m);
    unlink(path_of("m.card.json"));
    unlink(path_of("m.onnx"));
}

static void card_of_a_model_from_memory_is_in_its_metadata(void **state) {
    (void)state;
    oc_model *m = NULL;
    oc_card *card = NULL;
    oc_error err = {0};
    const pb *bytes = means_model(plain, good);
    assert_int_equal(
        oc_model_load_memory(&m, bytes->data, bytes->n, NULL, &err), OC_OK);
    assert_int_equal(oc_card_find(&card, m, &err), OC_OK);
    assert_string_equal(oc_card_label(card, 2), "blue");
    assert_int_equal(oc_card_seal(card, m, path_of("s.onnx"), &err), OC_E_ARG);
    oc_card_destroy(card);
    oc_model_destroy(m);
}

/* ---- fitting --------------------------------------------------------------
 */

static void card_that_does_not_fit_is_refused(void **state) {
    (void)state;
    static const struct {
        const char *json;
        oc_status status;
        const char *name;
    } bad[] = {
        {CARD("[\"a\", \"b\"]", "", ""), OC_E_SHAPE, "labels"},
        {CARD("[\"a\", \"b\", \"c\", \"d\"]", "", ""), OC_E_SHAPE, "3 classes"},
        {CARD("[]", ", \"name\": \"z\"", ""), OC_E_FORMAT, "input.name"},
        {CARD("[]", "", ", \"outputs\": [\"z\"]"), OC_E_FORMAT,
         "decode.outputs"},
        {"{\"ocelli\": 1, \"task\": \"classify\", \"input\": {\"size\": "
         "[16, 32]}, \"decode\": {\"kind\": \"softmax\"}}",
         OC_E_SHAPE, "input.size"},
        {"{\"ocelli\": 1, \"task\": \"classify\", \"input\": {\"layout\": "
         "\"nhwc\"}, \"decode\": {\"kind\": \"softmax\"}}",
         OC_E_SHAPE, "input.layout"},
        {"{\"ocelli\": 1, \"task\": \"classify\", \"input\": {\"color\": "
         "\"gray\"}, \"decode\": {\"kind\": \"softmax\"}}",
         OC_E_SHAPE, "input.color"},
        {"{\"ocelli\": 1, \"task\": \"classify\", \"decode\": {\"kind\": "
         "\"yolox\"}}",
         OC_E_UNSUPPORTED, "decode.kind"},
        {"{\"ocelli\": 1, \"task\": \"detect\", \"decode\": {\"kind\": "
         "\"softmax\"}}",
         OC_E_UNSUPPORTED, "yolox, yolov5"},
        {"{\"ocelli\": 1, \"task\": \"detect\"}", OC_E_UNSUPPORTED,
         "decode.kind"},
        {"{\"ocelli\": 1, \"task\": \"detect\", \"decode\": {\"kind\": "
         "\"ssd\"}}",
         OC_E_SHAPE, "2 outputs"},
        {"{\"ocelli\": 1, \"task\": \"none\", \"decode\": {\"kind\": \"x\"}}",
         OC_E_UNSUPPORTED, "task"},
        {CARD("[]", ", \"mean\": [1, 2]", ""), OC_E_FORMAT, "input.mean"},
        {CARD("[]", ", \"std\": [1, 2]", ""), OC_E_FORMAT, "input.std"},
    };
    write_model("m.onnx", plain, NULL);
    oc_model *m = load("m.onnx");
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        oc_card *card = parse(bad[i].json);
        oc_vision *v = NULL;
        oc_error err = {0};
        oc_vision_options opt = {.card = card};
        oc_status st = oc_vision_create(&v, m, &opt, &err);
        if (st != bad[i].status || !strstr(err.message, bad[i].name))
            fail_msg("%s: %d: %s", bad[i].json, st, err.message);
        assert_null(v);
        oc_card_destroy(card);
    }
    oc_card *card = parse(good);
    assert_int_equal(oc_card_verify(card, m, NULL), OC_OK);
    oc_card_destroy(card);
    oc_model_destroy(m);
    unlink(path_of("m.onnx"));
}

/* Labels against an output of this shape, for a decoder. */
static oc_status verify_shape(const char *task, const char *kind, int labels,
                              int rank, const int64_t *dims) {
    static model_build b;
    static const char *const names[] = {"a", "b", "c", "d", "e"};
    static const int64_t in[4] = {1, 3, 64, 64};
    oc_model *m = NULL;
    oc_card *card = NULL;
    oc_error err = {0};
    model_start(&b);
    model_value(&b, MODEL_INPUT, "x", MODEL_F32, 4, in);
    model_node(&b, "Relu", "x", "y");
    model_value(&b, MODEL_OUTPUT, "y", MODEL_F32, rank, dims);
    const pb *bytes = model_finish(&b);
    assert_int_equal(oc_model_load_memory(&m, bytes->data, bytes->n,
                                          &(oc_options){.optimize = -1}, &err),
                     OC_OK);
    assert_int_equal(oc_card_create(&card, NULL, NULL), OC_OK);
    assert_int_equal(oc_card_set(card, "task", task, NULL), OC_OK);
    assert_int_equal(oc_card_set(card, "decode.kind", kind, NULL), OC_OK);
    assert_int_equal(oc_card_set_labels(card, names, labels, NULL), OC_OK);
    oc_status st = oc_card_verify(card, m, &err);
    oc_card_destroy(card);
    oc_model_destroy(m);
    return st;
}

static void card_counts_labels_against_the_outputs(void **state) {
    (void)state;
    static const struct {
        const char *task, *kind;
        int labels; /* which fit */
        int rank;
        int64_t dims[4];
    } shapes[] = {
        {"classify", "logits", 3, 2, {1, 3}},
        {"classify", "softmax", 3, 4, {1, 3, 1, 1}},
        {"classify", "softmax", 3, 1, {3}},
        {"detect", "yolox", 3, 3, {1, 84, 8}},
        {"detect", "yolov5", 3, 3, {-1, 252, 8}},
        {"detect", "yolov8", 3, 3, {1, 7, 84}},
        {"detect", "yolov8", 3, 3, {1, 84, 7}},
        {"segment", "logits", 3, 4, {1, 3, 64, 64}},
        {"segment", "logits", 3, 4, {1, 64, 64, 3}},
    };
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        for (int labels = 1; labels <= 5; labels++) {
            oc_status st = verify_shape(shapes[i].task, shapes[i].kind, labels,
                                        shapes[i].rank, shapes[i].dims);
            oc_status want = labels == shapes[i].labels ? OC_OK : OC_E_SHAPE;
            if (st != want)
                fail_msg("%s %s with %d labels: %d", shapes[i].task,
                         shapes[i].kind, labels, st);
        }
    }
    /* Where the shape is open nothing can be said. */
    const int64_t open[3] = {1, -1, -1};
    assert_int_equal(verify_shape("detect", "yolov8", 5, 3, open), OC_OK);
}

/* ---- the golden check -----------------------------------------------------
 */

/* Means of the made-up picture's channels, from its description. */
static const double made[3] = {0.52256286, 0.50203962, 0.42161070};

static void golden_check_knows_the_made_up_picture(void **state) {
    (void)state;
    oc_error err = {0};
    write_model("m.onnx", plain, NULL);
    oc_model *m = load("m.onnx");
    oc_card *card = parse(good);
    assert_int_equal(oc_card_make_golden(card, m, NULL, &err), OC_OK);
    assert_string_equal(card->golden_image, "generated");
    assert_int_equal(card->n_expect, 3);
    for (int i = 0; i < 3; i++) { /* red, green, blue: best first */
        assert_int_equal(card->expect[i].index, i);
        assert_false(card->expect[i].has_box);
        assert_true(fabs(card->expect[i].score - made[i]) < 0.005);
    }
    assert_int_equal(oc_card_check_golden(card, m, NULL, &err), OC_OK);
    oc_card_destroy(card);
    oc_model_destroy(m);
    unlink(path_of("m.onnx"));
}

/* The check of `expect` (JSON) with a model of these factors. */
static oc_status check(const float k[3], const char *expect, oc_error *err) {
    char json[1024];
    snprintf(json, sizeof json,
             "%.*s, \"golden\": {\"image\": \"generated\", \"expect\": %s}}",
             (int)sizeof good - 2, good, expect);
    write_model("m.onnx", k, NULL);
    oc_model *m = load("m.onnx");
    oc_card *card = parse(json);
    memset(err, 0, sizeof *err);
    oc_status st = oc_card_check_golden(card, m, NULL, err);
    oc_card_destroy(card);
    oc_model_destroy(m);
    unlink(path_of("m.onnx"));
    return st;
}

static void golden_check_fails_where_results_differ(void **state) {
    (void)state;
    static const char expect[] = "[{\"index\": 0, \"score\": 0.5226},"
                                 " {\"index\": 1, \"score\": 0.502},"
                                 " {\"index\": 2, \"score\": 0.4216}]";
    static const float blue[3] = {1, 1, 1.06f}, few[3] = {1, 1, 1.01f};
    static const float none[3] = {NAN, NAN, NAN};
    oc_error err;
    assert_int_equal(check(plain, expect, &err), OC_OK);
    /* Within the tolerance of 0.02, and beyond it. */
    assert_int_equal(check(few, expect, &err), OC_OK);
    assert_int_equal(check(blue, expect, &err), OC_E_FORMAT);
    assert_non_null(strstr(err.message, "class 2 (blue) should score 0.422"));
    assert_int_equal(check(none, expect, &err), OC_E_FORMAT);
    assert_non_null(strstr(err.message, "is not found"));
    /* Near-equals may change places. */
    assert_int_equal(check(plain,
                           "[{\"index\": 1, \"score\": 0.502},"
                           " {\"index\": 0, \"score\": 0.5226}]",
                           &err),
                     OC_OK);
    assert_int_equal(check(plain, "[{\"index\": 9, \"score\": 0.9}]", &err),
                     OC_E_FORMAT);
    assert_non_null(strstr(err.message, "class 9"));
    assert_int_equal(check(plain, "[]", &err), OC_E_FORMAT);
    assert_non_null(strstr(err.message, "nothing should be found"));
    assert_int_equal(check(none, "[]", &err), OC_OK);
}

static void golden_check_wants_its_own_picture(void **state) {
    (void)state;
    oc_error err = {0};
    /* A picture of one colour, as PPM. */
    static const char one[] = "P6 1 1 255\n\xff\x80\x00";
    static const char two[] = "P6 1 1 255\n\xff\x80\x01";
    write_file("one.ppm", one, 14);
    write_file("two.ppm", two, 14);
    write_model("m.onnx", plain, NULL);
    oc_model *m = load("m.onnx");
    oc_card *card = parse(good);
    assert_int_equal(oc_card_check_golden(card, m, NULL, &err), OC_E_ARG);
    assert_int_equal(oc_card_make_golden(card, m, path_of("one.ppm"), &err),
                     OC_OK);
    assert_true(fabs(card->expect[1].score - 128 / 255.) < 1e-5);
    assert_int_equal(strlen(card->golden_image), 64);
    assert_int_equal(oc_card_check_golden(card, m, path_of("one.ppm"), &err),
                     OC_OK);
    assert_int_equal(oc_card_check_golden(card, m, path_of("two.ppm"), &err),
                     OC_E_ARG);
    assert_non_null(strstr(err.message, "two.ppm"));
    assert_int_equal(oc_card_check_golden(card, m, NULL, &err), OC_E_ARG);
    assert_non_null(strstr(err.message, card->golden_image));
    assert_int_equal(oc_card_check_golden(card, m, path_of("no.ppm"), &err),
                     OC_E_IO);
    oc_card_destroy(card);
    oc_model_destroy(m);
    unlink(path_of("one.ppm"));
    unlink(path_of("two.ppm"));
    unlink(path_of("m.onnx"));
}

/* ---- sealing --------------------------------------------------------------
 */

static void sealed_model_brings_its_card_and_passes(void **state) {
    (void)state;
    oc_error err = {0};
    write_model("m.onnx", plain, NULL);
    write_file("labels.txt", "rot\ngruen\nblau\n", 15);
    /* Labels in a file beside the card travel inside the model. */
    static const char json[] = CARD("{\"file\": \"labels.txt\"}", "", "");
    write_file("m.card.json", json, sizeof json - 1);
    oc_model *m = load("m.onnx");
    oc_card *card = NULL;
    assert_int_equal(oc_card_find(&card, m, &err), OC_OK);
    assert_int_equal(oc_card_make_golden(card, m, NULL, &err), OC_OK);
    assert_int_equal(oc_card_seal(card, m, path_of("sealed.onnx"), &err),
                     OC_OK);
    assert_non_null(card->label_file); /* the caller's card is as it was */
    oc_card_destroy(card);
    oc_model_destroy(m);
    unlink(path_of("labels.txt"));
    unlink(path_of("m.card.json"));

    m = load("sealed.onnx");
    assert_int_equal(oc_card_find(&card, m, &err), OC_OK);
    assert_string_equal(oc_card_label(card, 1), "gruen");
    assert_int_equal(oc_card_verify(card, m, &err), OC_OK);
    assert_int_equal(oc_card_check_golden(card, m, NULL, &err), OC_OK);
    oc_card_destroy(card);
    oc_model_destroy(m);
    unlink(path_of("sealed.onnx"));
    unlink(path_of("m.onnx"));
}

/* Finds the card, checks it, seals the model. */
static oc_status seal(const oc_allocator *a, oc_error *err) {
    oc_model *m = NULL;
    oc_card *card = NULL;
    oc_options opt = {.allocator = a};
    oc_status st = oc_model_load(&m, path_of("m.onnx"), &opt, err);
    if (!st) st = oc_card_find(&card, m, err);
    if (!st) st = oc_card_make_golden(card, m, NULL, err);
    if (!st) st = oc_card_check_golden(card, m, NULL, err);
    if (!st) st = oc_card_seal(card, m, path_of("sealed.onnx"), err);
    oc_card_destroy(card);
    oc_model_destroy(m);
    return st;
}

static void seal_survives_each_failing_allocation(void **state) {
    (void)state;
    write_model("m.onnx", plain, good);
    for (int64_t n = 0;; n++) {
        test_allocator ta;
        oc_error err = {0};
        test_allocator_init(&ta, n);
        oc_status st = seal(&ta.base, &err);
        test_allocator_check(&ta);
        if (!ta.failed) {
            assert_int_equal(st, OC_OK);
            assert_true(n > 20);
            break;
        }
        assert_int_equal(st, OC_E_NOMEM);
        assert_true(err.message[0] != 0);
    }
    unlink(path_of("sealed.onnx"));
    unlink(path_of("m.onnx"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(card_is_found_inside_then_beside_the_model),
        cmocka_unit_test(card_that_is_broken_is_not_passed_over),
        cmocka_unit_test(card_of_a_model_from_memory_is_in_its_metadata),
        cmocka_unit_test(card_that_does_not_fit_is_refused),
        cmocka_unit_test(card_counts_labels_against_the_outputs),
        cmocka_unit_test(golden_check_knows_the_made_up_picture),
        cmocka_unit_test(golden_check_fails_where_results_differ),
        cmocka_unit_test(golden_check_wants_its_own_picture),
        cmocka_unit_test(sealed_model_brings_its_card_and_passes),
        cmocka_unit_test(seal_survives_each_failing_allocation),
    };
    return cmocka_run_group_tests_name("card_model", tests, make_folder,
                                       drop_folder);
}

#else

int main(void) {
    return 77; /* this build reads no cards */
}

#endif
