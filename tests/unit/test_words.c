/*
 * test_words.c - src/words: languages, scenes, descriptions, news.  Plural
 * categories are compared with the samples CLDR gives; sentences with what a
 * person would say of the same boxes.
 */
#include "testing.h"

#include "words/describe.h"
#include "words/locale.h"

#include <math.h>
#include <stdio.h>

/* ---- plural rules: CLDR 44, supplemental/plurals.xml ----------------------
 */

static const struct {
    const char *language, *rules, *category;
    int64_t samples[8]; /* ended by -1 */
} cldr[] = {
#define PL                                                                     \
    "plural.one = i = 1 and v = 0\n"                                           \
    "plural.few = v = 0 and i % 10 = 2..4 and i % 100 != 12..14 @integer "     \
    "2~4\n"                                                                    \
    "plural.many = v = 0 and i != 1 and i % 10 = 0..1 or v = 0 and "           \
    "i % 10 = 5..9 or v = 0 and i % 100 = 12..14\n"
    {"pl", PL, "one", {1, -1}},
    {"pl", PL, "few", {2, 4, 22, 24, 102, 1002, -1}},
    {"pl", PL, "many", {0, 5, 12, 14, 19, 100, 1000000, -1}},
#define AR                                                                     \
    "plural.zero = n = 0\nplural.one = n = 1\nplural.two = n = 2\n"            \
    "plural.few = n % 100 = 3..10\nplural.many = n % 100 = 11..99\n"
    {"ar", AR, "zero", {0, -1}},
    {"ar", AR, "two", {2, -1}},
    {"ar", AR, "few", {3, 10, 103, 110, 1003, -1}},
    {"ar", AR, "many", {11, 26, 111, 1011, -1}},
    {"ar", AR, "other", {100, 102, 200, 202, 300, 1000, -1}},
#define LV                                                                     \
    "plural.zero = n % 10 = 0 or n % 100 = 11..19 or v = 2 and "               \
    "f % 100 = 11..19\n"                                                       \
    "plural.one = n % 10 = 1 and n % 100 != 11 or v = 2 and f % 10 = 1 and "   \
    "f % 100 != 11 or v != 2 and f % 10 = 1\n"
    {"lv", LV, "zero", {0, 10, 20, 11, 19, 100, 1000, -1}},
    {"lv", LV, "one", {1, 21, 31, 101, 1001, -1}},
    {"lv", LV, "other", {2, 9, 22, 29, 102, 1002, -1}},
#define FR                                                                     \
    "plural.one = i = 0,1\n"                                                   \
    "plural.many = e = 0 and i != 0 and i % 1000000 = 0 and v = 0 or "         \
    "e != 0..5\n"
    {"fr", FR, "one", {0, 1, -1}},
    {"fr", FR, "many", {1000000, -1}},
    {"fr", FR, "other", {2, 17, 100, 1000, 10000, -1}},
    {"en", "plural.one = i = 1 and v = 0\n", "one", {1, -1}},
    {"en", "plural.one = i = 1 and v = 0\n", "other", {0, 2, 16, 100, -1}},
    {"ja", "", "other", {0, 1, 2, 100, -1}},
};

static oc_words *parse(const char *text) {
    oc_words *w = NULL;
    oc_error err = {0};
    if (oc_words_parse(&w, text, strlen(text), NULL, &err))
        fail_msg("%s", err.message);
    return w;
}

static void words_has_plurals_of_cldr(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof cldr / sizeof *cldr; i++) {
        char text[1024];
        snprintf(text, sizeof text, "locale = %s\n%s", cldr[i].language,
                 cldr[i].rules);
        oc_words *w = parse(text);
        for (const int64_t *n = cldr[i].samples; *n >= 0; n++) {
            if (strcmp(oc_words_plural(w, *n), cldr[i].category) != 0)
                fail_msg("%s: %d is %s, not %s", cldr[i].language, (int)*n,
                         oc_words_plural(w, *n), cldr[i].category);
        }
        assert_string_equal(oc_words_locale(w), cldr[i].language);
        oc_words_destroy(w);
    }
}

/* ---- languages ------------------------------------------------------------
 */

static oc_words *load(const char *locale) {
    oc_words *w = NULL;
    oc_error err = {0};
    if (oc_words_load(&w, locale, "locales", NULL, &err))
        fail_msg("%s", err.message);
    return w;
}

/* The categories whole numbers can have there. */
static int has_category(const oc_words *w, int p) {
    for (int64_t n = 0; n < 200; n++) {
        if (oc__plural_of(w->rules, n) == (oc__plural)p) return 1;
    }
    return 0;
}

static void check_messages(const oc_words *w) {
    for (int i = 0; i < oc__message_count; i++) {
        for (int p = 0; p < OC_PLURAL_COUNT; p++) {
            int want = oc__messages[i].is_plural ? has_category(w, p)
                                                 : p == OC_PLURAL_OTHER;
            if (want && !w->messages[i][p])
                fail_msg("%s has no %s.%s", w->locale, oc__messages[i].key,
                         oc__plural_names[p]);
        }
    }
}

/* Every label English has, in every category that numbers can have. */
static void check_labels(const oc_words *w, const oc_words *english) {
    assert_int_equal(w->n_labels, english->n_labels);
    for (size_t i = 0; i < w->n_labels; i++) {
        const oc__label_row *row = &w->labels[i];
        assert_string_equal(row->name, english->labels[i].name);
        for (int p = 0; p < OC_PLURAL_COUNT; p++) {
            if (has_category(w, p) && !row->counted[p])
                fail_msg("%s: %s has no form \"%s\"", w->locale, row->name,
                         oc__plural_names[p]);
            /* Of many the number is said, of one it is in the article. */
            if (row->counted[p] && p != OC_PLURAL_ONE &&
                !strstr(row->counted[p], "{n}"))
                fail_msg("%s: %s does not say how many", w->locale, row->name);
        }
    }
}

static void languages_say_everything(void **state) {
    static const char *const names[] = {"en", "de", "pl"};
    oc_words *english = load("en");
    (void)state;
    assert_true(english->n_labels >= 90);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        oc_words *w = load(names[i]);
        assert_string_equal(w->locale, names[i]);
        check_messages(w);
        check_labels(w, english);
        oc_words_destroy(w);
    }
    oc_words_destroy(english);
}

/* Every label of COCO, VOC and CamVid, in the spelling of any of them. */
static void languages_know_the_labels_of_sets(void **state) {
    static const char *const sets[] = {"coco80", "coco90", "voc20", "camvid"};
    oc_words *w = load("pl");
    (void)state;
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
        oc_card *card;
        oc_error err;
        assert_int_equal(oc_card_create(&card, NULL, &err), OC_OK);
        assert_int_equal(oc_card_set(card, "labels", sets[i], &err), OC_OK);
        for (int k = 0; k < oc_card_label_count(card); k++) {
            const char *label = oc_card_label(card, k);
            const oc__concept *c = oc__concept_find(label);
            if (oc__concept_is_nothing(label)) continue;
            if (!c) fail_msg("nothing is known of \"%s\"", label);
            int found = 0;
            for (size_t n = 0; n < w->n_labels; n++) {
                found |= !strcmp(w->labels[n].name, c->name);
            }
            if (!found) fail_msg("no word for \"%s\"", c->name);
        }
        oc_card_destroy(card);
    }
    oc_words_destroy(w);
}

static void words_built_in_are_those_of_the_file(void **state) {
    size_t bytes;
    char *file = test_read_file("locales/en.txt", &bytes);
    (void)state;
    assert_non_null(file);
    assert_int_equal(bytes, oc__locale_en_bytes);
    assert_memory_equal(file, oc__locale_en, bytes);
    free(file);
}

static void words_are_found_by_tag(void **state) {
    oc_words *w = NULL;
    oc_error err;
    (void)state;
    w = load("de-AT");
    assert_string_equal(oc_words_locale(w), "de");
    oc_words_destroy(w);
    assert_int_equal(oc_words_load(&w, NULL, NULL, NULL, &err), OC_OK);
    assert_string_equal(oc_words_locale(w), "en");
    oc_words_destroy(w);
    assert_int_equal(oc_words_load(&w, "en-GB", "/nowhere", NULL, &err), OC_OK);
    oc_words_destroy(w);
    assert_int_equal(oc_words_load(&w, "./locales/pl.txt", NULL, NULL, &err),
                     OC_OK);
    assert_string_equal(oc_words_locale(w), "pl");
    oc_words_destroy(w);
    assert_int_equal(oc_words_load(&w, "xx", "locales", NULL, &err), OC_E_ARG);
    assert_non_null(strstr(err.message, "\"xx\""));
    assert_int_equal(oc_words_load(&w, "..", "locales", NULL, &err), OC_E_ARG);
    assert_int_equal(oc_words_load(&w, "", "locales", NULL, &err), OC_E_ARG);
    assert_int_equal(oc_words_load(&w, "./no.txt", NULL, NULL, &err), OC_E_IO);
}

/* What is wrong, and what the sentence must have. */
static const struct {
    const char *text, *says;
} bad[] = {
    {"", "locale = de"},
    {"locale = de\nhello", "line 2: no ="},
    {"locale = de\n= x", "line 2: nothing before"},
    {"locale = de\nlocale = pl", "line 2: it stands there twice"},
    {"locale =", "line 1: it is no language"},
    {"locale = de\nnothing = a\nnothing = b", "line 3: it stands there twice"},
    {"locale = de\nnothin = a", "line 2: there is no such message"},
    {"locale = de\nmore = a", "line 2: there is no such message"},
    {"locale = de\nmore.seven = a", "line 2: there is no such message"},
    {"locale = de\nnothing = {x}", "line 2: nothing fills: \"{x}\""},
    {"locale = de\nclock = {hour", "line 2: { without }"},
    {"locale = de\nclock = hour}", "line 2: } without {"},
    {"locale = de\nnothing = a\xff", "line 2: it is no UTF-8"},
    {"locale = de\nnothing = a\x07", "line 2: it is no UTF-8"},
    {"locale = de\nplural.other = n = 1", "line 2: a rule is for"},
    {"locale = de\nplural.one = n = ",
     "line 2: the plural rule wants a number"},
    {"locale = de\nplural.one = q = 1", "one of n i v w f t c e"},
    {"locale = de\nplural.one = n % 0 = 1", "other than 0"},
    {"locale = de\nplural.one = n = 1 xor n = 2", "\"and\" or \"or\""},
    {"locale = de\nplural.one = n = 1234567890123456", "a smaller number"},
    {"locale = de\nplural.one = n = 1\nplural.one = n = 2",
     "line 3: it stands"},
    {"locale = de\nnumber.13 = x", "up to 12"},
    {"locale = de\nnumber.x = x", "up to 12"},
    {"locale = de\n[labels", "line 2: [ without ]"},
    {"locale = de\n[things a]", "line 2: there is no such section"},
    {"locale = de\n[labels]", "line 2: labels need columns"},
    {"locale = de\n[labels name plenty]", "line 2: no such column: \"plenty\""},
    {"locale = de\n[labels name name]", "line 2: it stands there twice"},
    {"locale = de\n[labels name]\nbus = a | b", "line 3: more forms"},
    {"locale = de\n[labels name]\nbus =", "line 3: the first form is missing"},
    {"locale = de\n[labels one]\nbus = {x}", "line 3: nothing fills"},
    {"locale = de\n[labels one]\nbus = a\nbus = b",
     "\"bus\" stands there twice"},
};

static void words_refuse_a_bad_file(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        oc_words *w = NULL;
        oc_error err = {0};
        assert_int_equal(
            oc_words_parse(&w, bad[i].text, strlen(bad[i].text), NULL, &err),
            OC_E_FORMAT);
        if (!strstr(err.message, bad[i].says))
            fail_msg("\"%s\" lacks \"%s\"", err.message, bad[i].says);
    }
}

static void words_refuse_a_huge_file(void **state) {
    size_t n = OC_LOCALE_MAX_BYTES + 1;
    char *text = malloc(n);
    oc_words *w = NULL;
    oc_error err;
    (void)state;
    memset(text, '\n', n);
    assert_int_equal(oc_words_parse(&w, text, n, NULL, &err), OC_E_LIMIT);
    free(text);
}

/* ---- scenes ---------------------------------------------------------------
 */

typedef struct made {
    oc_result result;
    oc_object objects[16];
} made;

static void put(made *m, const char *label, float score, float x1, float y1,
                float x2, float y2) {
    oc_object *o = &m->objects[m->result.object_count++];
    memset(o, 0, sizeof *o);
    o->label = label;
    o->score = score;
    o->box[0] = x1, o->box[1] = y1, o->box[2] = x2, o->box[3] = y2;
    m->result.objects = m->objects;
}

static void begin(made *m, int width, int height) {
    memset(m, 0, sizeof *m);
    m->result.task = OC_TASK_DETECT;
    m->result.width = width;
    m->result.height = height;
}

/* What yolox_nano finds in bus.jpg (../shared/models/README.md). */
static void put_bus(made *m) {
    begin(m, 810, 1080);
    put(m, "bus", .91f, 8, 230, 806, 734);
    put(m, "person", .85f, 56, 388, 211, 900);
    put(m, "person", .82f, 218, 404, 350, 855);
    put(m, "person", .68f, 682, 447, 810, 876);
}

static void scene_of(oc_scene *s, const made *m, int n) {
    oc_result list[4];
    oc_error err = {0};
    for (int i = 0; i < n; i++) {
        list[i] = m[i].result;
    }
    if (oc_scene_init(s, list, n, NULL, NULL, &err))
        fail_msg("%s", err.message);
}

static void scene_knows_place_and_distance(void **state) {
    made m;
    oc_scene s;
    (void)state;
    put_bus(&m);
    scene_of(&s, &m, 1);
    assert_int_equal(s.thing_count, 4);
    assert_string_equal(s.things[0].name, "bus"); /* a vehicle is first */
    assert_int_equal(s.things[0].place, OC_AHEAD);
    assert_int_equal(s.things[0].extent, OC_EXTENT_LARGE);
    for (int i = 1; i < 4; i++) {
        const oc_thing *t = &s.things[i];
        /* Similar triangles: 1.65 m, 66 degrees along 1080 pixels. */
        double focal = 540 / tan(33 * 3.14159265358979 / 180);
        double height = t->box[3] - t->box[1];
        assert_true(fabs(t->distance_m - 1.65 * focal / height) < 1e-6);
        assert_int_equal(t->nearness, OC_NEAR_CLOSE);
        double angle = atan((0.5 * (t->box[0] + t->box[2]) - 405) / focal);
        assert_true(fabs(t->angle - angle * 180 / 3.14159265358979) < 1e-6);
        assert_int_equal(t->relation_count, 1);
        assert_int_equal(t->relations[0].thing, 0);
        assert_int_equal(t->relations[0].kind, OC_RELATION_FRONT);
    }
    oc_scene_deinit(&s);
}

static void scene_joins_what_two_networks_see(void **state) {
    made m[2];
    oc_scene s;
    (void)state;
    begin(&m[0], 640, 480);
    put(&m[0], "sofa", .6f, 100, 100, 300, 300);
    put(&m[0], "person", .9f, 400, 100, 500, 400);
    begin(&m[1], 640, 480);
    put(&m[1], "couch", .8f, 102, 98, 305, 296);
    put(&m[1], "person", .4f, 410, 110, 480, 250); /* a part of the same */
    put(&m[1], "face", .99f, 430, 110, 460, 150);
    scene_of(&s, m, 2);
    assert_int_equal(s.thing_count, 2);
    assert_string_equal(s.things[0].name, "person");
    assert_int_equal(s.things[0].seen, 2);
    assert_string_equal(s.things[1].name, "couch");
    assert_int_equal(s.things[1].seen, 2);
    assert_int_equal(s.things[1].result, 1); /* the better one's box */
    oc_scene_deinit(&s);
}

static void scene_refuses_what_does_not_fit(void **state) {
    made m[2];
    oc_scene s = {0};
    oc_error err;
    oc_scene_options opt = {0};
    (void)state;
    begin(&m[0], 640, 480);
    begin(&m[1], 640, 481);
    oc_result two[2] = {m[0].result, m[1].result};
    assert_int_equal(oc_scene_init(&s, two, 2, NULL, NULL, &err), OC_E_ARG);
    assert_int_equal(oc_scene_init(&s, two, -1, NULL, NULL, &err), OC_E_ARG);
    opt.view_degrees = NAN;
    assert_int_equal(oc_scene_init(&s, two, 1, &opt, NULL, &err), OC_E_ARG);
    opt.view_degrees = 180;
    assert_int_equal(oc_scene_init(&s, two, 1, &opt, NULL, &err), OC_E_ARG);
    opt.view_degrees = 0;
    opt.sure = 1.5;
    assert_int_equal(oc_scene_init(&s, two, 1, &opt, NULL, &err), OC_E_ARG);
    assert_null(s.owned);
}

static void scene_survives_boxes_that_are_none(void **state) {
    made m;
    oc_scene s;
    (void)state;
    begin(&m, 640, 480);
    put(&m, "car", .9f, NAN, 0, 10, 10);
    put(&m, "car", .9f, 10, 10, 10, 10);
    put(&m, "car", .9f, 20, 10, 10, 30);
    put(&m, "car", .9f, 0, 0, INFINITY, 10);
    scene_of(&s, &m, 1);
    assert_int_equal(s.thing_count, 0);
    oc_scene_deinit(&s);
}

/* ---- descriptions ---------------------------------------------------------
 */

static void check_texts(const char *locale, const made *m, int n,
                        const char *brief, const char *full) {
    oc_scene s;
    oc_description d;
    oc_error err = {0};
    oc_words *w = load(locale);
    scene_of(&s, m, n);
    if (oc_describe(&d, w, &s, NULL, &err)) fail_msg("%s", err.message);
    oc_scene_deinit(&s); /* texts outlive the scene */
    assert_string_equal(d.brief, brief);
    if (full) assert_string_equal(d.full, full);
    oc_description_deinit(&d);
    oc_words_destroy(w);
}

static void description_reads_well(void **state) {
    made m;
    (void)state;
    put_bus(&m);
    check_texts("en", &m, 1,
                "A bus ahead, large and close; three people on the left, ahead "
                "and on the right, close.",
                "A bus at 12 o'clock, large and close. Three people: one at "
                "11 o'clock, one at 12 o'clock and one at 1 o'clock, close, in "
                "front of the bus.");
    check_texts("de", &m, 1,
                "Ein Bus voraus, groß und nah; drei Personen links, voraus und "
                "rechts, nah.",
                "Ein Bus auf 12 Uhr, groß und nah. Drei Personen: eine Person "
                "auf 11 Uhr, eine Person auf 12 Uhr und eine Person auf 1 Uhr, "
                "nah, vor dem Bus.");
    check_texts(
        "pl", &m, 1,
        "Autobus na wprost, dużych rozmiarów i blisko; 3 osoby po "
        "lewej, na wprost i po prawej, blisko.",
        "Autobus na godzinie 12, dużych rozmiarów i blisko. 3 osoby: "
        "osoba na godzinie 11, osoba na godzinie 12 i osoba na godzinie "
        "1, blisko, przed autobusem.");
}

static void description_says_the_unsure_as_such(void **state) {
    made m;
    (void)state;
    begin(&m, 640, 480);
    put(&m, "car", .4f, 20, 200, 120, 260);
    put(&m, "dog", .9f, 280, 200, 360, 300);
    check_texts("en", &m, 1,
                "A dog ahead, close; possibly a car on the left, a little way "
                "off.",
                "A dog at 12 o'clock, close. Perhaps also: a car on the left, "
                "a little way off.");
    begin(&m, 640, 480);
    put(&m, "tie", .4f, 300, 200, 310, 260);
    check_texts("en", &m, 1, "Possibly a tie ahead, close.",
                "Perhaps also: a tie ahead, close.");
}

static void description_names_the_rival(void **state) {
    made m;
    (void)state;
    begin(&m, 640, 480);
    put(&m, "bus", .7f, 200, 100, 440, 300);
    put(&m, "truck", .5f, 205, 95, 442, 301);
    check_texts("en", &m, 1, "A bus or perhaps a truck ahead, close.", NULL);
    check_texts("pl", &m, 1,
                "Autobus lub być może ciężarówka na wprost, blisko.", NULL);
}

static void description_counts_as_the_language_does(void **state) {
    made m;
    (void)state;
    begin(&m, 1000, 1000);
    for (int i = 0; i < 5; i++) {
        put(&m, "dog", .9f, 400 + 40 * (float)i, 500, 430 + 40 * (float)i, 520);
    }
    check_texts("pl", &m, 1, "5 psów na wprost, daleko.", NULL);
    check_texts("de", &m, 1, "Fünf Hunde voraus, weit weg.", NULL);
    m.result.object_count = 2;
    check_texts("pl", &m, 1, "2 psy na wprost, daleko.", NULL);
}

static void description_carries_what_is_carried(void **state) {
    made m;
    (void)state;
    begin(&m, 512, 600);
    put(&m, "person", .94f, 12, 41, 510, 583);
    put(&m, "tie", .84f, 220, 408, 296, 531);
    check_texts("en", &m, 1,
                "A person ahead, filling most of the picture and very close; "
                "a tie ahead, very close.",
                "A person at 12 o'clock, filling most of the picture and very "
                "close. A tie at 12 o'clock, very close, with the person.");
}

static void description_of_nothing_says_so(void **state) {
    made m;
    (void)state;
    begin(&m, 512, 600);
    check_texts("en", &m, 1, "Nothing that I know was found.",
                "Nothing that I know was found.");
    check_texts("pl", &m, 1, "Nie znaleziono nic znanego.", NULL);
}

static void description_quotes_a_label_nobody_knows(void **state) {
    made m;
    (void)state;
    begin(&m, 640, 480);
    put(&m, "dent", .9f, 300, 200, 400, 260);
    put(&m, "dent", .9f, 10, 200, 110, 260);
    check_texts("en", &m, 1, "Two times “dent” on the left and ahead.", NULL);
    check_texts("de", &m, 1, "Zwei Mal „dent“ links und voraus.", NULL);
}

static void description_leaves_the_rest_to_the_full_text(void **state) {
    made m;
    (void)state;
    begin(&m, 640, 480);
    put(&m, "cup", .9f, 300, 200, 320, 220);
    put(&m, "car", .9f, 300, 100, 400, 160);
    put(&m, "dog", .9f, 10, 200, 90, 260);
    put(&m, "person", .9f, 500, 100, 560, 300);
    put(&m, "bottle", .9f, 100, 400, 120, 460);
    check_texts("en", &m, 1,
                "A car ahead, a little way off; a person on the right, close; "
                "a bottle on the left, close; two more things.",
                NULL);
}

/* Numbers of facts are of the scene, and phrases stand in the texts. */
static void description_tells_what_it_rests_on(void **state) {
    made m;
    oc_scene s;
    oc_description d;
    oc_words *w = load("en");
    (void)state;
    put_bus(&m);
    scene_of(&s, &m, 1);
    assert_int_equal(oc_describe(&d, w, &s, NULL, NULL), OC_OK);
    assert_int_equal(d.phrase_count, 4);
    for (int i = 0; i < d.phrase_count; i++) {
        const oc_phrase *p = &d.phrases[i];
        /* But for the first letter, which may be large there. */
        assert_non_null(strstr(p->is_brief ? d.brief : d.full, p->text + 1));
        assert_int_equal(p->kind, OC_PHRASE_THINGS);
        assert_int_equal(p->fact_count, i % 2 ? 3 : 1);
        for (int k = 0; k < p->fact_count; k++) {
            assert_string_equal(s.things[p->facts[k]].name,
                                i % 2 ? "person" : "bus");
        }
    }
    oc_description_deinit(&d);
    oc_scene_deinit(&s);
    oc_words_destroy(w);
}

static void description_speaks_of_areas_and_the_whole(void **state) {
    uint8_t pixels[4] = {1, 1, 3, 0}; /* 2 x 2 */
    oc_class_share shares[3] = {
        {"road", 1, .5}, {"background", 0, .25}, {"car", 3, .25}};
    oc_label label = {"minibus", 654, .88f};
    oc_result r[2];
    made m[2];
    (void)state;
    memset(r, 0, sizeof r);
    r[0].task = OC_TASK_SEGMENT;
    r[0].width = r[0].height = 2;
    r[0].class_count = 3;
    r[0].classes = shares;
    r[0].mask = (oc_image){2, 2, 1, 2, pixels, 0, 0, NULL, 0, NULL};
    r[1].task = OC_TASK_CLASSIFY;
    r[1].width = r[1].height = 2;
    r[1].label_count = 1;
    r[1].labels = &label;
    m[0].result = r[0];
    m[1].result = r[1];
    check_texts("en", m, 2,
                "Car on the left, about 25 percent of the picture; road ahead, "
                "about 50 percent of the picture.",
                "By area: car 25 percent and road 50 percent. As a whole it "
                "looks like: minibus.");
    check_texts("en", &m[1], 1, "As a whole it looks like: minibus.", NULL);
}

static void words_fail_cleanly_without_memory(void **state) {
    test_allocator ta;
    made m;
    size_t bytes;
    char *text = test_read_file("locales/pl.txt", &bytes);
    (void)state;
    put_bus(&m);
    for (int64_t n = 0;; n++) {
        oc_words *w = NULL;
        oc_scene s = {0};
        oc_description d = {0};
        oc_news *news = NULL;
        const char *said;
        test_allocator_init(&ta, n);
        oc_status st = oc_words_parse(&w, text, bytes, &ta.base, NULL);
        if (!st) st = oc_scene_init(&s, &m.result, 1, NULL, &ta.base, NULL);
        if (!st) st = oc_describe(&d, w, &s, &ta.base, NULL);
        if (!st) st = oc_news_create(&news, w, NULL, &ta.base, NULL);
        for (int i = 0; i < 3 && !st; i++) {
            st = oc_news_look(news, &s, i, &said, NULL);
        }
        oc_news_destroy(news);
        oc_description_deinit(&d);
        oc_scene_deinit(&s);
        oc_words_destroy(w);
        test_allocator_check(&ta);
        if (!ta.failed) {
            assert_int_equal(st, OC_OK);
            break;
        }
        assert_int_equal(st, OC_E_NOMEM);
    }
    free(text);
}

/* ---- news -----------------------------------------------------------------
 */

static const char *look(oc_news *news, const made *m, double seconds) {
    static char text[512];
    const char *said = NULL;
    oc_scene s;
    oc_error err = {0};
    scene_of(&s, m, 1);
    if (oc_news_look(news, &s, seconds, &said, &err))
        fail_msg("%s", err.message);
    snprintf(text, sizeof text, "%s", said);
    oc_scene_deinit(&s);
    return text;
}

static void one_car(made *m, float height) {
    begin(m, 640, 480);
    put(m, "car", .9f, 300, 240 - height, 340, 240);
}

static void news_says_changes_only(void **state) {
    oc_words *w = load("en");
    oc_news *news;
    made empty, far, close, two;
    (void)state;
    begin(&empty, 640, 480);
    one_car(&far, 20);    /* 37 m */
    one_car(&close, 200); /* 3.7 m */
    one_car(&two, 200);
    put(&two, "person", .9f, 20, 200, 60, 300);
    assert_int_equal(oc_news_create(&news, w, NULL, NULL, NULL), OC_OK);
    assert_string_equal(look(news, &empty, 0), "");
    assert_string_equal(look(news, &far, 0.1), ""); /* may be a flicker */
    assert_string_equal(look(news, &far, 0.2), "A car ahead, far off.");
    for (int i = 0; i < 100; i++) {
        assert_string_equal(look(news, &far, 0.3 + i), "");
    }
    /* A danger that comes near does not wait for the cool-down. */
    assert_string_equal(look(news, &two, 101), "");
    assert_string_equal(look(news, &two, 101.1),
                        "A car ahead, close; a person on the left, a little "
                        "way off.");
    assert_string_equal(look(news, &two, 101.2), "");
    /* Gone, said after the cool-down. */
    assert_string_equal(look(news, &close, 101.3), "");
    assert_string_equal(look(news, &close, 101.4), "");
    assert_string_equal(look(news, &close, 108), "No longer there: a person.");
    assert_string_equal(look(news, &close, 120), "");
    oc_news_destroy(news);
    oc_words_destroy(w);
}

static void news_says_together_what_is_gone(void **state) {
    oc_words *w = load("en");
    oc_news *news;
    oc_news_options opt = {0};
    made bus, empty;
    (void)state;
    put_bus(&bus);
    begin(&empty, 810, 1080);
    opt.steady = 1;
    opt.cool_down_s = 2;
    assert_int_equal(oc_news_create(&news, w, &opt, NULL, NULL), OC_OK);
    assert_string_equal(look(news, &bus, 0),
                        "A bus ahead, large and close; three people on the "
                        "left, ahead and on the right, close.");
    assert_string_equal(look(news, &empty, 1), "");
    assert_string_equal(look(news, &empty, 2),
                        "No longer there: a bus and three people.");
    assert_string_equal(look(news, &empty, 9), "");
    oc_news_destroy(news);
    oc_words_destroy(w);
}

static void news_refuses_bad_options(void **state) {
    oc_news_options opt = {0};
    oc_news *news = NULL;
    oc_words *w = load("en");
    (void)state;
    opt.cool_down_s = -1;
    assert_int_equal(oc_news_create(&news, w, &opt, NULL, NULL), OC_E_ARG);
    opt.cool_down_s = NAN;
    assert_int_equal(oc_news_create(&news, w, &opt, NULL, NULL), OC_E_ARG);
    opt.cool_down_s = 0;
    opt.steady = 5;
    assert_int_equal(oc_news_create(&news, w, &opt, NULL, NULL), OC_E_ARG);
    oc_words_destroy(w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_has_plurals_of_cldr),
        cmocka_unit_test(languages_say_everything),
        cmocka_unit_test(languages_know_the_labels_of_sets),
        cmocka_unit_test(words_built_in_are_those_of_the_file),
        cmocka_unit_test(words_are_found_by_tag),
        cmocka_unit_test(words_refuse_a_bad_file),
        cmocka_unit_test(words_refuse_a_huge_file),
        cmocka_unit_test(scene_knows_place_and_distance),
        cmocka_unit_test(scene_joins_what_two_networks_see),
        cmocka_unit_test(scene_refuses_what_does_not_fit),
        cmocka_unit_test(scene_survives_boxes_that_are_none),
        cmocka_unit_test(description_reads_well),
        cmocka_unit_test(description_says_the_unsure_as_such),
        cmocka_unit_test(description_names_the_rival),
        cmocka_unit_test(description_counts_as_the_language_does),
        cmocka_unit_test(description_carries_what_is_carried),
        cmocka_unit_test(description_of_nothing_says_so),
        cmocka_unit_test(description_quotes_a_label_nobody_knows),
        cmocka_unit_test(description_leaves_the_rest_to_the_full_text),
        cmocka_unit_test(description_tells_what_it_rests_on),
        cmocka_unit_test(description_speaks_of_areas_and_the_whole),
        cmocka_unit_test(words_fail_cleanly_without_memory),
        cmocka_unit_test(news_says_changes_only),
        cmocka_unit_test(news_says_together_what_is_gone),
        cmocka_unit_test(news_refuses_bad_options),
    };
    return cmocka_run_group_tests_name("words", tests, NULL, NULL);
}
