/*
 * test_card.c - src/card: cards read, written, refused.  What a card says is
 * compared with what jansson reads from the same text.  Cards and models
 * together: test_card_model.c.
 */
#define _XOPEN_SOURCE 700 /* mkdtemp */

#include "testing.h"

#include "card/card.h"

#if OC_HAVE_JANSSON
#include <jansson.h>

#include <locale.h>
#include <stdio.h>
#include <unistd.h>

/* Every field, in the types in which cards are written. */
static const char full[] =
    "{\"ocelli\": 1, \"name\": \"n\", \"task\": \"detect\","
    " \"labels\": [\"a \\\"b\\\" \\\\\", \"\\u00e9\\u0001\", \"\"],"
    " \"license\": \"MIT\", \"source\": \"https://example.org\","
    " \"metrics\": {\"z\": 0.35, \"a\": [1, 2.5, null, true, \"t\"]},"
    " \"input\": {\"name\": \"x\", \"layout\": \"nhwc\", \"color\": \"bgr\","
    "  \"size\": [320, 240], \"resize\": \"letterbox\","
    "  \"interpolation\": \"area\", \"antialias\": false, \"crop\": 0.875,"
    "  \"pad_value\": [114], \"scale\": 0.00392156862745098,"
    "  \"mean\": [0.485, 0.456, 0.406], \"std\": [1, 2, 3.5],"
    "  \"dtype\": \"u8\"},"
    " \"decode\": {\"kind\": \"yunet\", \"outputs\": [\"p\", \"q\"],"
    "  \"threshold\": 0.6, \"nms\": \"soft\", \"iou\": 0.3, \"sigma\": 0.25,"
    "  \"max_objects\": 50, \"activation\": \"sigmoid\", \"background\": -1,"
    "  \"bins\": 8, \"keypoints\": 5, \"strides\": [8, 16, 32],"
    "  \"scales\": [0.2, 0.95], \"ratios\": [1, 2, 0.5],"
    "  \"anchors\": [0.5, 0.25, 1, -0.001], \"variance\": [10, 10, 5, 5],"
    "  \"bones\": [0, 1, 1, 2]},"
    " \"golden\": {\"image\": \"generated\", \"tolerance\": 0.05,"
    "  \"expect\": ["
    "   {\"index\": 0, \"score\": 0.91, \"box\": [1, 2, 3.5, 4.25]},"
    "   {\"index\": 7, \"score\": 0.12345678901234568}]}}";

static oc_card *parse(const char *json) {
    oc_card *card = NULL;
    oc_error err = {0};
    if (oc_card_parse(&card, json, strlen(json), NULL, NULL, &err))
        fail_msg("%s", err.message);
    return card;
}

/* The card as text, to be freed. */
static char *write_card(const oc_card *card) {
    oc_bytes b = {0};
    oc_error err;
    assert_int_equal(oc_card_write(card, &b, &err), OC_OK);
    char *text = malloc(b.size + 1);
    memcpy(text, b.data, b.size);
    text[b.size] = 0;
    oc_bytes_deinit(&b);
    return text;
}

static void assert_same_json(const char *a, const char *b) {
    json_error_t where;
    json_t *x = json_loads(a, 0, &where), *y = json_loads(b, 0, &where);
    assert_non_null(x);
    assert_non_null(y);
    if (!json_equal(x, y)) fail_msg("%s\nis not\n%s", a, b);
    json_decref(x);
    json_decref(y);
}

/* ---- round trips ----------------------------------------------------------
 */

static void card_is_written_as_it_was_read(void **state) {
    (void)state;
    oc_card *card = parse(full);
    char *text = write_card(card);
    assert_same_json(text, full);
    oc_card *again = parse(text);
    char *second = write_card(again);
    assert_string_equal(text, second);
    /* No field was left out of the card above. */
    assert_true(card->given == (UINT64_C(1) << oc__card_field_count) - 1);
    free(text);
    free(second);
    oc_card_destroy(card);
    oc_card_destroy(again);
}

static void card_says_what_json_says(void **state) {
    (void)state;
    oc_card *card = parse(full);
    assert_int_equal(oc_card_task(card), OC_TASK_DETECT);
    assert_int_equal(oc_card_label_count(card), 3);
    assert_string_equal(oc_card_label(card, 0), "a \"b\" \\");
    assert_string_equal(oc_card_label(card, 1), "\xc3\xa9\x01");
    assert_null(oc_card_label(card, 3));
    assert_null(oc_card_label(card, -1));
    assert_string_equal(oc_card_text(card, "license"), "MIT");
    assert_null(oc_card_text(card, "input.size"));
    assert_null(oc_card_text(card, "nothing"));
    assert_int_equal(card->layout, OC_LAYOUT_NHWC);
    assert_int_equal(card->color, OC_COLOR_BGR);
    assert_int_equal(card->fit, OC_FIT_LETTERBOX);
    assert_int_equal(card->interpolation, OC_INTERP_AREA);
    assert_int_equal(card->dtype, OC_DTYPE_U8);
    assert_int_equal(card->nms, OC_NMS_SOFT);
    assert_int_equal(card->activation, OC_SCORES_SIGMOID);
    assert_false(card->antialias);
    assert_true(card->size.v[0] == 320 && card->size.v[1] == 240);
    assert_int_equal(card->n_expect, 2);
    assert_true(card->expect[0].has_box && card->expect[0].box[2] == 3.5);
    assert_false(card->expect[1].has_box);
    oc_card_destroy(card);
}

static void card_keeps_numbers_exactly(void **state) {
    (void)state;
    static const double v[] = {0.1, 1 / 3., 1e-300, -15.999999999999998,
                               16,  -0.0,   5e-324, 3.0000000000000004};
    enum { N = sizeof v / sizeof v[0] };
    oc_card *card;
    oc_error err;
    int f = oc__card_find_field("decode.anchors");
    assert_int_equal(oc_card_create(&card, NULL, &err), OC_OK);
    assert_int_equal(oc__card_put_numbers(card, f, v, N, &err), OC_OK);
    char *text = write_card(card);
    oc_card *again = parse(text);
    assert_int_equal(again->anchors.n, N);
    for (int i = 0; i < N; i++) {
        assert_true(again->anchors.v[i] == v[i]);
    }
    free(text);
    oc_card_destroy(card);
    oc_card_destroy(again);
}

static void card_takes_the_short_forms(void **state) {
    (void)state;
    oc_card *card = parse("{\"ocelli\": 1, \"labels\": \"voc21\", \"input\": "
                          "{\"size\": \"dynamic\", \"mean\": 0.5}, \"later\": "
                          "{\"versions\": \"may\"}}");
    assert_int_equal(oc_card_label_count(card), 21);
    assert_string_equal(oc_card_label(card, 0), "background");
    assert_string_equal(oc_card_label(card, 20), "tvmonitor");
    assert_true(oc__card_has(card, "input.size"));
    assert_int_equal(card->size.n, 0);
    assert_int_equal(card->mean.n, 1);
    assert_false(oc__card_has(card, "input.std"));
    char *text = write_card(card);
    assert_non_null(strstr(text, "\"size\": \"dynamic\""));
    free(text);
    oc_card_destroy(card);
}

static void card_sets_have_as_many_names_as_they_say(void **state) {
    (void)state;
    for (const oc__label_set *s = oc__label_sets; s->name; s++) {
        oc_card *card;
        assert_int_equal(oc_card_create(&card, NULL, NULL), OC_OK);
        assert_int_equal(oc_card_set(card, "labels", s->name, NULL), OC_OK);
        assert_int_equal(oc_card_label_count(card), s->n);
        oc_card_destroy(card);
    }
}

static void card_fields_set_from_text_are_those_of_json(void **state) {
    (void)state;
    static const struct {
        const char *field, *value;
    } set[] = {
        {"name", "n"},
        {"task", "segment"},
        {"input.size", "320x240"},
        {"input.mean", "0.5, 0.25,0.125"},
        {"input.antialias", "false"},
        {"decode.outputs", "p,q"},
        {"decode.bins", "8"},
        {"golden.tolerance", "0.5"},
    };
    oc_card *card;
    assert_int_equal(oc_card_create(&card, NULL, NULL), OC_OK);
    for (size_t i = 0; i < sizeof set / sizeof set[0]; i++) {
        assert_int_equal(oc_card_set(card, set[i].field, set[i].value, NULL),
                         OC_OK);
    }
    char *text = write_card(card);
    assert_same_json(text,
                     "{\"ocelli\": 1, \"name\": \"n\", \"task\": \"segment\","
                     " \"input\": {\"size\": [320, 240], \"antialias\": false,"
                     "  \"mean\": [0.5, 0.25, 0.125]},"
                     " \"decode\": {\"outputs\": [\"p\", \"q\"], \"bins\": 8},"
                     " \"golden\": {\"tolerance\": 0.5}}");
    oc_card *again = parse(text); /* half a golden check is none */
    assert_null(again->golden_image);
    free(text);
    oc_card_destroy(again);
    oc_card_destroy(card);
}

/* The whole card, and fields as text, where the host program says 0,5. */
static void card_has_points_in_a_comma_locale(void **state) {
    (void)state;
    oc_card *card = parse(full), *again;
    char *want = write_card(card);
    if (!test_set_comma_locale()) {
        free(want);
        oc_card_destroy(card);
        skip();
    }
    char *text = write_card(card);
    again = parse(text);
    char *twice = write_card(again);
    oc_status st[] = {oc_card_set(card, "input.mean", "0.485,0.456, 0.5", NULL),
                      oc_card_set(card, "input.scale", "0.25", NULL)};
    char *set = write_card(card);
    setlocale(LC_ALL, "C");
    assert_string_equal(text, want);
    assert_string_equal(twice, want);
    assert_int_equal(st[0], OC_OK);
    assert_int_equal(st[1], OC_OK);
    assert_non_null(strstr(set, "\"mean\": [0.485, 0.456, 0.5]"));
    assert_non_null(strstr(set, "\"scale\": 0.25"));
    free(set);
    free(twice);
    free(text);
    free(want);
    oc_card_destroy(again);
    oc_card_destroy(card);
}

/* ---- what is refused ------------------------------------------------------
 */

/* One sentence with `name` in it: printable, not too long, one line. */
static void assert_sentence(const oc_error *err, const char *name) {
    if (!strstr(err->message, name))
        fail_msg("\"%s\" does not name %s", err->message, name);
    assert_null(strchr(err->message, '\n'));
    assert_true(strlen(err->message) > 20);
}

static void assert_refused(const char *json, oc_status want, const char *name) {
    oc_card *card = NULL;
    oc_error err = {0};
    oc_status st = oc_card_parse(&card, json, strlen(json), NULL, NULL, &err);
    if (st != want)
        fail_msg("%.200s: status %d, not %d: %s", json, st, want, err.message);
    assert_null(card);
    assert_int_equal(err.status, want);
    assert_sentence(&err, name);
}

/* {"ocelli": 1, "input": {"mean": VALUE}} for "input.mean". */
static const char *with(const char *field, const char *value) {
    static char json[512];
    const char *dot = strchr(field, '.');
    const char *also =
        !strcmp(field, "golden.expect") ? "\"image\": \"generated\", " : "";
    if (dot)
        snprintf(json, sizeof json, "{\"ocelli\": 1, \"%.*s\": {%s\"%s\": %s}}",
                 (int)(dot - field), field, also, dot + 1, value);
    else
        snprintf(json, sizeof json, "{\"ocelli\": 1, \"%s\": %s}", field,
                 value);
    return json;
}

static void card_refuses_wrong_types(void **state) {
    (void)state;
    static const char *const values[] = {
        "null", "{}", "[null]", "true", "[[]]", "[\"a\"]", "\"a\"", "7", "[]"};
    /* What each kind takes of these. */
    static const char *const takes[] = {
        [OC_FIELD_TEXT] = "\"a\"",
        [OC_FIELD_CHOICE] = "",
        [OC_FIELD_INT] = "7",
        [OC_FIELD_NUMBER] = "7",
        [OC_FIELD_NUMBERS] = "7 []",
        [OC_FIELD_SIZE] = "",
        [OC_FIELD_NAMES] = "[\"a\"] []",
        [OC_FIELD_LABELS] = "[\"a\"] []",
    };
    int refused = 0;
    for (int f = 0; f < oc__card_field_count; f++) {
        const oc__card_field *field = &oc__card_fields[f];
        char name[OC_CARD_NAME];
        oc__card_field_name(f, name);
        if (field->kind == OC_FIELD_JSON) continue; /* anything */
        for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
            if (strstr(takes[field->kind], values[i])) continue;
            if (!strcmp(name, "input.antialias") && !strcmp(values[i], "true"))
                continue;
            assert_refused(with(name, values[i]), OC_E_FORMAT, name);
            refused++;
        }
    }
    assert_true(refused > 200);
}

static void card_refuses_values_out_of_range(void **state) {
    (void)state;
    static const struct {
        const char *field, *value;
    } bad[] = {
        {"task", "\"classfy\""},
        {"input.layout", "\"nchwc\""},
        {"input.color", "\"RGB\""},
        {"input.resize", "\"crop\""},
        {"input.interpolation", "\"cubic\""},
        {"input.antialias", "\"yes\""},
        {"input.dtype", "\"?\""},
        {"input.size", "[0, 224]"},
        {"input.size", "[224, 65537]"},
        {"input.size", "[224.5, 224]"},
        {"input.size", "[224]"},
        {"input.size", "[1, 224, 224]"},
        {"input.size", "\"224x224\""},
        {"input.crop", "0"},
        {"input.crop", "1.5"},
        {"input.pad_value", "[256]"},
        {"input.pad_value", "[1, 2, 3, 4]"},
        {"input.scale", "1e39"},
        {"input.mean", "[1e300]"},
        {"input.std", "[0]"},
        {"input.std", "[1, -1, 1]"},
        {"decode.threshold", "1.01"},
        {"decode.threshold", "[0.5, 0.5]"},
        {"decode.nms", "\"hard\""},
        {"decode.iou", "-0.5"},
        {"decode.sigma", "0"},
        {"decode.max_objects", "0"},
        {"decode.max_objects", "1.5"},
        {"decode.activation", "\"relu\""},
        {"decode.background", "-2"},
        {"decode.background", "1e10"},
        {"decode.bins", "257"},
        {"decode.keypoints", "-1"},
        {"decode.strides", "[8, 0]"},
        {"decode.strides", "[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]"},
        {"decode.scales", "[17]"},
        {"decode.ratios", "[0]"},
        {"decode.anchors", "[17]"},
        {"decode.variance", "[10, 10, 5, 0]"},
        {"decode.bones", "[0, 5000]"},
        {"golden.tolerance", "2"},
        {"golden.expect", "{}"},
        {"golden.expect", "[1]"},
        {"golden.expect", "[{\"index\": 1}]"},
        {"golden.expect", "[{\"index\": -1, \"score\": 1}]"},
        {"golden.expect", "[{\"index\": 4294967296, \"score\": 1}]"},
        {"golden.expect", "[{\"index\": 1.5, \"score\": 1}]"},
        {"golden.expect", "[{\"index\": 1, \"score\": \"1\"}]"},
        {"golden.expect", "[{\"index\": 1, \"score\": 1, \"box\": [1]}]"},
        {"golden.expect",
         "[{\"index\": 1, \"score\": 1, \"box\": [1, 2, 3, null]}]"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_refused(with(bad[i].field, bad[i].value), OC_E_FORMAT,
                       bad[i].field);
    }
    assert_refused("{\"ocelli\": 1, \"golden\": {\"image\": \"generated\"}}",
                   OC_E_FORMAT, "golden.expect");
    assert_refused("{\"ocelli\": 1, \"golden\": {\"expect\": []}}", OC_E_FORMAT,
                   "golden.image");
}

static void card_refuses_what_is_no_card(void **state) {
    (void)state;
    static const struct {
        const char *json;
        oc_status status;
        const char *name;
    } bad[] = {
        {"", OC_E_FORMAT, "not JSON"},
        {"{", OC_E_FORMAT, "line 1"},
        {"{\"ocelli\": 1} x", OC_E_FORMAT, "not JSON"},
        {"{\"ocelli\": 1, \"name\": \"\xff\"}", OC_E_FORMAT, "not JSON"},
        {"{\"ocelli\": 1, \"name\": \"\\u0000\"}", OC_E_FORMAT, "not JSON"},
        {"{\"ocelli\": 1, \"ocelli\": 1}", OC_E_FORMAT, "not JSON"},
        {"[]", OC_E_FORMAT, "object"},
        {"{}", OC_E_FORMAT, "\"ocelli\""},
        {"{\"ocelli\": \"1\"}", OC_E_FORMAT, "\"ocelli\""},
        {"{\"ocelli\": 2}", OC_E_UNSUPPORTED, "version 1"},
        {"{\"ocelli\": 1, \"input\": []}", OC_E_FORMAT, "\"input\""},
        {"{\"ocelli\": 1, \"decode\": 1}", OC_E_FORMAT, "\"decode\""},
        {"{\"ocelli\": 1, \"golden\": \"x\"}", OC_E_FORMAT, "\"golden\""},
        {"{\"ocelli\": 1, \"input\": {\"maen\": 1}}", OC_E_FORMAT,
         "\"input.maen\""},
        {"{\"ocelli\": 1, \"input\": {\"kind\": \"x\"}}", OC_E_FORMAT,
         "\"input.kind\""},
        {"{\"ocelli\": 1, \"golden\": {\"input.mean\": 1}}", OC_E_FORMAT,
         "golden.input.mean"},
        {"{\"ocelli\": 1, \"labels\": \"imagnet\"}", OC_E_FORMAT, "\"labels\""},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_refused(bad[i].json, bad[i].status, bad[i].name);
    }
}

static void card_set_refuses_with_the_field(void **state) {
    (void)state;
    static const struct {
        const char *field, *value, *name;
    } bad[] = {
        {"input.maen", "1", "input.maen"},
        {"mean", "1", "mean"},
        {"input.mean", "a,b", "input.mean"},
        {"input.mean", "1,2,3,4", "input.mean"},
        {"input.mean", "nan", "input.mean"},
        {"input.size", "224", "input.size"},
        {"input.size", "0x224", "input.size"},
        {"decode.bins", "", "decode.bins"},
        {"decode.bins", "1,2", "decode.bins"},
        {"task", "", "task"},
        {"metrics", "{}", "metrics"},
    };
    oc_card *card;
    assert_int_equal(oc_card_create(&card, NULL, NULL), OC_OK);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        oc_error err = {0};
        assert_int_equal(oc_card_set(card, bad[i].field, bad[i].value, &err),
                         OC_E_ARG);
        assert_int_equal(err.status, OC_E_ARG);
        assert_sentence(&err, bad[i].name);
    }
    assert_true(card->given == 0); /* nothing has stuck */
    assert_int_equal(oc_card_set_labels(card, NULL, -1, NULL), OC_E_ARG);
    oc_card_destroy(card);
}

/* ---- limits ---------------------------------------------------------------
 */

/* HEAD, then n times ITEM parted by commas, then TAIL. */
static char *many(const char *head, const char *item, int n, const char *tail) {
    size_t h = strlen(head), i = strlen(item), t = strlen(tail);
    char *text = malloc(h + (i + 1) * (size_t)n + t + 1), *to = text;
    memcpy(to, head, h);
    to += h;
    for (int k = 0; k < n; k++) {
        memcpy(to, item, i);
        to += i;
        if (k + 1 < n && strcmp(item, "[") != 0 && strcmp(item, "]") != 0)
            *to++ = ',';
    }
    memcpy(to, tail, t + 1);
    return text;
}

static void card_refuses_what_is_too_large(void **state) {
    (void)state;
    oc_card *card = NULL;
    oc_error err = {0};
    /* Not a byte of it is looked at. */
    assert_int_equal(
        oc_card_parse(&card, "{", OC_CARD_MAX_BYTES + 1, NULL, NULL, &err),
        OC_E_LIMIT);
    assert_sentence(&err, "too large");
    static const struct {
        const char *head, *item;
        int n;
        const char *tail, *name;
    } large[] = {
        {"{\"ocelli\": 1, \"decode\": {\"anchors\": [", "0",
         OC_CARD_MAX_NUMBERS + 1, "]}}", "decode.anchors"},
        {"{\"ocelli\": 1, \"labels\": [", "\"\"", OC_CARD_MAX_LABELS + 1, "]}",
         "labels"},
        {"{\"ocelli\": 1, \"golden\": {\"image\": \"generated\", \"expect\": [",
         "0", 1001, "]}}", "golden.expect"},
    };
    for (size_t i = 0; i < sizeof large / sizeof large[0]; i++) {
        char *json =
            many(large[i].head, large[i].item, large[i].n, large[i].tail);
        assert_refused(json, OC_E_LIMIT, large[i].name);
        free(json);
    }
    char *json =
        many("{\"ocelli\": 1, \"decode\": {\"outputs\": [", "\"\"", 65, "]}}");
    assert_refused(json, OC_E_FORMAT, "decode.outputs");
    free(json);
}

static void card_takes_what_is_just_not_too_large(void **state) {
    (void)state;
    char *json = many("{\"ocelli\": 1, \"labels\": [", "\"x\"",
                      OC_CARD_MAX_LABELS, "]}");
    oc_card *card = parse(json);
    assert_int_equal(oc_card_label_count(card), OC_CARD_MAX_LABELS);
    oc_card_destroy(card);
    free(json);
    json = many("{\"ocelli\": 1, \"decode\": {\"anchors\": [", "1",
                OC_CARD_MAX_NUMBERS, "]}}");
    card = parse(json);
    assert_int_equal(card->anchors.n, OC_CARD_MAX_NUMBERS);
    oc_card_destroy(card);
    free(json);
}

static void card_bounds_its_depth(void **state) {
    (void)state;
    char *close = many("", "]", 100000, "}");
    char *json = many("{\"ocelli\": 1, \"metrics\": ", "[", 100000, close);
    assert_refused(json, OC_E_FORMAT, "depth");
    free(json);
    free(close);
    /* What is allowed survives, however deep. */
    close = many("", "]", 1000, "}");
    json = many("{\"ocelli\": 1, \"metrics\": ", "[", 1000, close);
    oc_card *card = parse(json);
    char *text = write_card(card);
    assert_same_json(text, json);
    free(text);
    free(json);
    free(close);
    oc_card_destroy(card);
}

/* ---- label files ----------------------------------------------------------
 */

static char folder[64];

static int make_folder(void **state) {
    (void)state;
    strcpy(folder, "/tmp/ocelli-card-XXXXXX");
    return mkdtemp(folder) ? 0 : 1;
}

static int drop_folder(void **state) {
    (void)state;
    return rmdir(folder);
}

static const char *path_of(const char *name) {
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void write_file(const char *name, const char *text, size_t n) {
    FILE *f = fopen(path_of(name), "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, n, f), n);
    fclose(f);
}

static oc_status parse_here(const char *json, oc_card **card, oc_error *err) {
    *card = NULL;
    memset(err, 0, sizeof *err);
    return oc_card_parse(card, json, strlen(json), folder, NULL, err);
}

/* printf 'cat\ndog\n' | sha256sum */
#define CAT_DOG                                                                \
    "f641fdcd8af73b2f6334ab63c13d2eb857cd16f2aa4ea0ba20ba0eb9627918b5"

static void card_reads_a_label_file(void **state) {
    (void)state;
    oc_card *card;
    oc_error err;
    write_file("labels.txt", "cat\ndog\n", 8);
    static const char json[] =
        "{\"ocelli\": 1, \"labels\": {\"file\": \"labels.txt\", "
        "\"sha256\": \"" CAT_DOG "\"}}";
    assert_int_equal(parse_here(json, &card, &err), OC_OK);
    assert_int_equal(oc_card_label_count(card), 2);
    assert_string_equal(oc_card_label(card, 0), "cat");
    assert_string_equal(oc_card_label(card, 1), "dog");
    char *text = write_card(card); /* a reference stays one */
    assert_same_json(text, json);
    free(text);
    /* Labels of the caller's own are no longer the file's. */
    const char *const own[] = {"x"};
    assert_int_equal(oc_card_set_labels(card, own, 1, &err), OC_OK);
    text = write_card(card);
    assert_same_json(text, "{\"ocelli\": 1, \"labels\": [\"x\"]}");
    free(text);
    oc_card_destroy(card);
    /* The same from the command line, and from a card's own file. */
    assert_int_equal(oc_card_create(&card, NULL, &err), OC_OK);
    assert_int_equal(oc_card_set(card, "labels", path_of("labels.txt"), &err),
                     OC_OK);
    assert_string_equal(oc_card_label(card, 1), "dog");
    oc_card_destroy(card);
    write_file("m.card.json", json, sizeof json - 1);
    assert_int_equal(oc_card_load(&card, path_of("m.card.json"), NULL, &err),
                     OC_OK);
    assert_string_equal(oc_card_label(card, 1), "dog");
    oc_card_destroy(card);
    unlink(path_of("m.card.json"));
    unlink(path_of("labels.txt"));
}

static void card_reads_lines_of_any_kind(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int n;
        const char *last;
    } files[] = {
        {"", 0, NULL},
        {"\n\n", 0, NULL},
        {"a", 1, "a"},
        {"a\r\nb \r\n", 2, "b"},
        {"a\n\nb\n\n\n", 3, "b"},
        {"\xff\xfe", 1, "\xff\xfe"},
    };
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        oc_card *card;
        assert_int_equal(oc_card_create(&card, NULL, NULL), OC_OK);
        assert_int_equal(oc__card_use_lines(card, files[i].text,
                                            strlen(files[i].text), NULL),
                         OC_OK);
        assert_int_equal(oc_card_label_count(card), files[i].n);
        if (files[i].last)
            assert_string_equal(oc_card_label(card, files[i].n - 1),
                                files[i].last);
        /* Bytes that are no UTF-8 still make a card that can be read. */
        char *text = write_card(card);
        oc_card *again = parse(text);
        assert_int_equal(oc_card_label_count(again), files[i].n);
        free(text);
        oc_card_destroy(again);
        oc_card_destroy(card);
    }
}

static void card_refuses_wrong_label_files(void **state) {
    (void)state;
    static const struct {
        const char *labels;
        oc_status status;
        const char *name;
    } bad[] = {
        {"{}", OC_E_FORMAT, "labels.file"},
        {"{\"file\": 1}", OC_E_FORMAT, "labels.file"},
        {"{\"file\": \"/etc/passwd\"}", OC_E_FORMAT, "labels.file"},
        {"{\"file\": \"../labels.txt\"}", OC_E_FORMAT, "labels.file"},
        {"{\"file\": \"a/../../labels.txt\"}", OC_E_FORMAT, "labels.file"},
        {"{\"file\": \"none.txt\"}", OC_E_IO, "none.txt"},
        {"{\"file\": \"labels.txt\", \"sha256\": \"00\"}", OC_E_FORMAT,
         "SHA-256"},
        /* A check that is not understood must not be passed over. */
        {"{\"file\": \"labels.txt\", \"sha256\": 5}", OC_E_FORMAT,
         "labels.sha256"},
        {"{\"file\": \"labels.txt\", \"sha-256\": \"00\"}", OC_E_FORMAT,
         "labels.sha-256"},
        {"{\"file\": \"nul.txt\"}", OC_E_FORMAT, "no text"},
        {"{\"file\": \"many.txt\"}", OC_E_LIMIT, "labels"},
        {"{\"file\": \"large.txt\"}", OC_E_LIMIT, "large.txt"},
    };
    write_file("labels.txt", "cat\ndog\n", 8);
    write_file("nul.txt", "a\0b", 3);
    char *lines = malloc(OC_CARD_MAX_LABELS + 1);
    memset(lines, '\n', OC_CARD_MAX_LABELS + 1);
    write_file("many.txt", lines, OC_CARD_MAX_LABELS + 1);
    free(lines);
    write_file("large.txt", "", 0);
    assert_int_equal(
        truncate(path_of("large.txt"), (off_t)OC_CARD_MAX_BYTES + 1), 0);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        oc_card *card;
        oc_error err;
        oc_status st = parse_here(with("labels", bad[i].labels), &card, &err);
        if (st != bad[i].status)
            fail_msg("%s: %d: %s", bad[i].labels, st, err.message);
        assert_sentence(&err, bad[i].name);
    }
    assert_refused(with("labels", "{\"file\": \"labels.txt\"}"),
                   OC_E_UNSUPPORTED, "labels.file");
    /* The card itself may be too large, too. */
    oc_card *card = NULL;
    oc_error err = {0};
    assert_int_equal(oc_card_load(&card, path_of("large.txt"), NULL, &err),
                     OC_E_LIMIT);
    assert_sentence(&err, "large.txt");
    assert_int_equal(oc_card_load(&card, path_of("none.json"), NULL, &err),
                     OC_E_IO);
    assert_sentence(&err, "none.json");
    static const char *const names[] = {"labels.txt", "nul.txt", "many.txt",
                                        "large.txt"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        unlink(path_of(names[i]));
    }
}

/* ---- memory ---------------------------------------------------------------
 */

/* Reads, changes and writes a card. */
static oc_status use_card(const oc_allocator *a, oc_error *err) {
    oc_card *card;
    oc_bytes out = {.allocator = a};
    const char *const labels[] = {"x", "y"};
    oc_status st = oc_card_parse(&card, full, sizeof full - 1, NULL, a, err);
    if (st) return st;
    if (!st) st = oc_card_set(card, "input.mean", "1,2,3", err);
    if (!st) st = oc_card_set(card, "decode.outputs", "a,b,c", err);
    if (!st) st = oc_card_set(card, "labels", "imagenet1001", err);
    if (!st) st = oc_card_set_labels(card, labels, 2, err);
    for (int i = 0; !st && i < 20; i++) {
        st = oc__card_add_guess(card, err, "sentence %d", i);
    }
    if (!st) assert_string_equal(oc_card_guess(card, 19), "sentence 19");
    if (!st) st = oc_card_write(card, &out, err);
    oc_bytes_deinit(&out);
    oc_card_destroy(card);
    return st;
}

static void card_survives_each_failing_allocation(void **state) {
    (void)state;
    for (int64_t n = 0;; n++) {
        test_allocator ta;
        oc_error err = {0};
        test_allocator_init(&ta, n);
        oc_status st = use_card(&ta.base, &err);
        test_allocator_check(&ta);
        if (!ta.failed) {
            assert_int_equal(st, OC_OK);
            assert_true(n > 2); /* an arena asks for few, large blocks */
            return;
        }
        assert_int_equal(st, OC_E_NOMEM);
        assert_true(err.message[0] != 0);
    }
}

/* jansson has an allocator of its own. */
static int64_t json_left;

static void *json_alloc(size_t bytes) {
    return json_left-- > 0 ? malloc(bytes) : NULL;
}

static void card_survives_each_failing_allocation_of_jansson(void **state) {
    (void)state;
    json_set_alloc_funcs(json_alloc, free);
    int64_t n = 0;
    for (oc_status st = OC_E_NOMEM; st; n++) {
        test_allocator ta;
        oc_error err = {0};
        oc_card *card = NULL;
        json_left = n;
        test_allocator_init(&ta, TEST_NEVER);
        st = oc_card_parse(&card, full, sizeof full - 1, NULL, &ta.base, &err);
        oc_card_destroy(card);
        test_allocator_check(&ta);
        /* It takes its own want of memory for bad syntax now and then. */
        if (st) assert_true(st == OC_E_NOMEM || st == OC_E_FORMAT);
        assert_true(!st == !err.message[0]);
        assert_true(n < 10000);
    }
    assert_true(n > 100);
    json_set_alloc_funcs(malloc, free);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(card_is_written_as_it_was_read),
        cmocka_unit_test(card_says_what_json_says),
        cmocka_unit_test(card_keeps_numbers_exactly),
        cmocka_unit_test(card_takes_the_short_forms),
        cmocka_unit_test(card_sets_have_as_many_names_as_they_say),
        cmocka_unit_test(card_fields_set_from_text_are_those_of_json),
        cmocka_unit_test(card_has_points_in_a_comma_locale),
        cmocka_unit_test(card_refuses_wrong_types),
        cmocka_unit_test(card_refuses_values_out_of_range),
        cmocka_unit_test(card_refuses_what_is_no_card),
        cmocka_unit_test(card_set_refuses_with_the_field),
        cmocka_unit_test(card_refuses_what_is_too_large),
        cmocka_unit_test(card_takes_what_is_just_not_too_large),
        cmocka_unit_test(card_bounds_its_depth),
        cmocka_unit_test(card_reads_a_label_file),
        cmocka_unit_test(card_reads_lines_of_any_kind),
        cmocka_unit_test(card_refuses_wrong_label_files),
        cmocka_unit_test(card_survives_each_failing_allocation),
        cmocka_unit_test(card_survives_each_failing_allocation_of_jansson),
    };
    return cmocka_run_group_tests_name("card", tests, make_folder, drop_folder);
}

#else

int main(void) {
    return 77; /* this build reads no cards */
}

#endif
