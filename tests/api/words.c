/*
 * words.c - results in words and aloud, by the public headers alone.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <string.h>
#include <cmocka.h>

#include <ocelli/speech.h>
#include <ocelli/video.h>
#include <ocelli/words.h>

/* A car found by a network of one's own. */
static void make_scene(oc_scene *scene) {
    oc_object car = {"car", 2, 0.9f, {300, 100, 400, 200}, 0, NULL};
    oc_result result;
    oc_error err;
    memset(&result, 0, sizeof result);
    result.task = OC_TASK_DETECT;
    result.width = 640;
    result.height = 480;
    result.object_count = 1;
    result.objects = &car;
    assert_int_equal(oc_scene_init(scene, &result, 1, NULL, NULL, &err), OC_OK);
}

static void results_become_words(void **state) {
    oc_words *words;
    oc_scene scene;
    oc_description d;
    oc_error err;
    (void)state;
    assert_int_equal(oc_words_load(&words, "en", NULL, NULL, &err), OC_OK);
    make_scene(&scene);
    assert_int_equal(oc_describe(&d, words, &scene, NULL, &err), OC_OK);
    assert_string_equal(d.brief, "A car ahead, close.");
    assert_string_equal(oc_place_name(scene.things[0].place), "ahead");
    assert_string_equal(oc_nearness_name(scene.things[0].nearness), "close");
    assert_string_equal(oc_urgency_name(scene.things[0].urgency), "vehicle");
    assert_string_equal(oc_extent_name(scene.things[0].extent), "medium");
    assert_string_equal(oc_phrase_name(d.phrases[0].kind), "things");
    assert_string_equal(oc_relation_name(OC_RELATION_FRONT), "front");
    assert_string_equal(oc_words_plural(words, 2), "other");
    oc_description_deinit(&d);
    oc_scene_deinit(&scene);
    oc_words_destroy(words);
}

static void news_are_told_once(void **state) {
    oc_words *words;
    oc_scene scene;
    oc_news *news;
    oc_news_options opt = {0};
    oc_error err;
    const char *text;
    (void)state;
    opt.steady = 1;
    assert_int_equal(oc_words_load(&words, NULL, NULL, NULL, &err), OC_OK);
    assert_int_equal(oc_news_create(&news, words, &opt, NULL, &err), OC_OK);
    make_scene(&scene);
    assert_int_equal(oc_news_look(news, &scene, 0, &text, &err), OC_OK);
    assert_string_equal(text, "A car ahead, close.");
    assert_int_equal(oc_news_look(news, &scene, 1, &text, &err), OC_OK);
    assert_string_equal(text, "");
    oc_scene_deinit(&scene);
    oc_news_destroy(news);
    oc_words_destroy(words);
}

static int count(void *user, const int16_t *samples, size_t n) {
    (void)samples;
    *(size_t *)user += n;
    return 0;
}

static void a_text_becomes_sound(void **state) {
    oc_voice *voice;
    oc_error err;
    size_t samples = 0;
    (void)state;
    if (oc_voice_create(&voice, NULL, NULL, &err)) skip();
    assert_int_equal(oc_voice_speak(voice, "A car.", count, &samples, &err),
                     OC_OK);
    assert_true(samples > (size_t)oc_voice_rate(voice) / 4);
    assert_non_null(oc_voice_who(voice));
    oc_voice_destroy(voice);
    oc_voice_destroy(NULL);
    assert_int_equal(oc_player_close(NULL, 1, &err), OC_OK);
}

static void a_video_that_is_not_there_is_told(void **state) {
    oc_video *video = NULL;
    oc_error err;
    (void)state;
    oc_status st = oc_video_open(&video, "nowhere.mp4", NULL, &err);
    assert_int_equal(st, oc_video_is_there() ? OC_E_IO : OC_E_UNSUPPORTED);
    assert_null(video);
    oc_video_close(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(results_become_words),
        cmocka_unit_test(news_are_told_once),
        cmocka_unit_test(a_text_becomes_sound),
        cmocka_unit_test(a_video_that_is_not_there_is_told),
    };
    return cmocka_run_group_tests_name("words", tests, NULL, NULL);
}
