/*
 * test_speech.c - src/speech: texts in parts, voices, cancelling.  What the
 * voices say is measured in tests/cli/test_speak.sh, where Python reads it.
 */
#include "testing.h"

#include "speech/child.h"
#include "speech/voice.h"

#include <math.h>
#include <stdio.h>

/* The parts of a text, joined by |. */
static void check_parts(const char *text, const char *want) {
    char got[2048] = "";
    size_t n = strlen(text), at = 0;
    while (at < n) {
        size_t part = oc__speech_part(text + at, n - at, at == 0);
        assert_true(part > 0 && part <= n - at);
        if (at) strcat(got, "|");
        strncat(got, text + at, part);
        at += part;
    }
    assert_string_equal(got, want);
}

static void text_is_spoken_in_parts(void **state) {
    (void)state;
    check_parts("A bus ahead, large and close; a dog.",
                "A bus ahead,| large and close; a dog.");
    check_parts("Yes. No! Why?", "Yes.| No!| Why?");
    check_parts("A line\nand another", "A line\nand another");
    check_parts("A line\n\nand another", "A line\n|\nand another");
    check_parts("About 3.5 metres", "About 3.5 metres");
    check_parts("", "");
    /* No pause early on: at a word. */
    check_parts("one two three four five six seven eight nine ten eleven "
                "twelve.",
                "one two three four five six seven eight nine |ten eleven "
                "twelve.");
}

static void endless_words_are_cut_between_characters(void **state) {
    char text[1200] = "";
    size_t n, at = 0;
    (void)state;
    for (int i = 0; i < 500; i++) {
        strcat(text, "\xc3\xa4"); /* ä */
    }
    n = strlen(text);
    while (at < n) {
        size_t part = oc__speech_part(text + at, n - at, at == 0);
        assert_true(part > 0 && part % 2 == 0 && part < 300);
        at += part;
    }
}

static void letters_lose_their_marks(void **state) {
    char out[200];
    const char *text =
        "Żółw \xe2\x80\x9eGroß\xe2\x80\x9c \xe2\x80\x93 it's 5 \xe6\xbc\xa2";
    (void)state;
    oc__speech_ascii(out, text, strlen(text));
    assert_string_equal(out, "Zolw  Gros  , it's 5  ");
    assert_true(oc__speech_has_words("3", 1));
    assert_true(oc__speech_has_words("\xe6\xbc\xa2", 3));
    assert_false(oc__speech_has_words(" ...!\n", 6));
    assert_false(oc__speech_has_words("\xe2\x80\x9e\xe2\x80\x9c", 6));
}

static void wav_header_is_that_of_the_format(void **state) {
    uint8_t h[OC_WAV_HEADER];
    (void)state;
    oc_wav_header(h, 16000, 8000);
    assert_memory_equal(h, "RIFF\xa4\x3e\0\0WAVEfmt \x10\0\0\0\1\0\1\0", 24);
    assert_memory_equal(h + 24,
                        "\x80\x3e\0\0\0\x7d\0\0\2\0\x10\0data\x80\x3e\0\0", 20);
    oc_wav_header(h, 16000, SIZE_MAX);
    assert_true(h[43] == 0xff && h[40] % 2 == 0);
}

/* ---- voices ---------------------------------------------------------------
 */

typedef struct heard {
    size_t samples, stop_after;
    int calls;
} heard;

static int take(void *user, const int16_t *samples, size_t n) {
    heard *h = user;
    assert_non_null(samples);
    h->samples += n;
    h->calls++;
    return h->stop_after && h->samples >= h->stop_after;
}

static oc_voice *any_voice(const oc_allocator *a) {
    oc_voice *v = NULL;
    oc_voice_options opt = {0};
    for (int i = 0; oc_voice_name(i); i++) {
        opt.name = oc_voice_name(i);
        if (oc_voice_is_there(i) && !oc_voice_create(&v, &opt, a, NULL))
            return v;
    }
    return NULL;
}

static void voice_streams_and_stops(void **state) {
    static const char text[] = "One, two, three. Four, five, six.";
    oc_error err;
    heard all = {0}, some = {0};
    oc_voice *v = any_voice(NULL);
    (void)state;
    if (!v) skip();
    assert_int_equal(oc_voice_speak(v, text, take, &all, &err), OC_OK);
    assert_true(all.samples > (size_t)oc_voice_rate(v));
    assert_true(all.calls > 3);
    some.stop_after = all.samples / 4;
    assert_int_equal(oc_voice_speak(v, text, take, &some, &err),
                     OC_E_CANCELLED);
    assert_true(some.samples < all.samples / 2);
    /* and it speaks again, the same but for noise, which decides where the
       silence before ends */
    memset(&some, 0, sizeof some);
    assert_int_equal(oc_voice_speak(v, text, take, &some, &err), OC_OK);
    assert_true(fabs((double)some.samples - (double)all.samples) < 500);
    oc_voice_destroy(v);
}

static void voice_refuses_what_it_cannot_say(void **state) {
    oc_error err;
    heard h = {0};
    oc_voice *v = any_voice(NULL);
    (void)state;
    if (!v) skip();
    assert_int_equal(oc_voice_speak(v, " ...", take, &h, &err), OC_E_ARG);
    char *text = malloc(OC_VOICE_MAX_TEXT + 2);
    memset(text, 'a', OC_VOICE_MAX_TEXT + 1);
    text[OC_VOICE_MAX_TEXT + 1] = '\0';
    assert_int_equal(oc_voice_speak(v, text, take, &h, &err), OC_E_LIMIT);
    free(text);
    assert_int_equal(h.calls, 0);
    /* Nothing but what an English voice drops is no error. */
    assert_int_equal(oc_voice_speak(v, "\xe6\xbc\xa2", take, &h, &err), OC_OK);
    oc_voice_destroy(v);
}

static void voice_refuses_bad_options(void **state) {
    static const char *const names[] = {"", "-x", "a b", "../x", "a;b"};
    oc_voice *v = NULL;
    oc_voice_options opt = {0};
    oc_error err;
    (void)state;
    opt.rate = 5;
    assert_int_equal(oc_voice_create(&v, &opt, NULL, &err), OC_E_ARG);
    opt.rate = NAN;
    assert_int_equal(oc_voice_create(&v, &opt, NULL, &err), OC_E_ARG);
    opt.rate = 0;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        opt.name = names[i];
        assert_int_equal(oc_voice_create(&v, &opt, NULL, &err), OC_E_ARG);
    }
    assert_null(oc_voice_name(-1));
    assert_null(oc_voice_name(99));
}

static void voice_fails_cleanly_without_memory(void **state) {
    test_allocator ta;
    oc_voice *there = any_voice(NULL);
    (void)state;
    if (!there) skip();
    oc_voice_destroy(there);
    for (int64_t n = 0;; n++) {
        heard h = {0};
        test_allocator_init(&ta, n);
        oc_voice *v = any_voice(&ta.base);
        oc_status st =
            v ? oc_voice_speak(v, "A bus.", take, &h, NULL) : OC_E_NOMEM;
        oc_voice_destroy(v);
        test_allocator_check(&ta);
        if (!ta.failed) {
            assert_int_equal(st, OC_OK);
            break;
        }
        assert_int_equal(st, OC_E_NOMEM);
    }
}

static void *speak_in_thread(void *user) {
    heard *h = user;
    oc_voice *v = any_voice(NULL);
    for (int i = 0; i < 3; i++) {
        if (oc_voice_speak(v, "A bus ahead, and a dog.", take, h, NULL)) break;
    }
    oc_voice_destroy(v);
    return NULL;
}

static void voices_of_several_threads_take_turns(void **state) {
    pthread_t threads[3];
    heard h[3];
    oc_voice *there = any_voice(NULL);
    (void)state;
    if (!there) skip();
    oc_voice_destroy(there);
    memset(h, 0, sizeof h);
    for (int i = 0; i < 3; i++) {
        pthread_create(&threads[i], NULL, speak_in_thread, &h[i]);
    }
    for (int i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
        assert_true(fabs((double)h[i].samples - (double)h[0].samples) < 500);
        assert_true(h[i].samples > 10000);
    }
}

/* ---- programs -------------------------------------------------------------
 */

static void child_that_is_not_there_is_an_error(void **state) {
    static const char *const argv[] = {"no-such-program-of-ours", NULL};
    oc__child c;
    oc_error err;
    (void)state;
    assert_false(oc__child_is_there(argv[0]));
    assert_true(oc__child_is_there("cat"));
    assert_int_equal(oc__child_start(&c, argv, 0, &err), OC_E_IO);
}

static void child_that_ends_early_is_no_signal(void **state) {
    static const char *const argv[] = {"false", NULL};
    static char much[1 << 20];
    oc__child c;
    oc_error err;
    (void)state;
    assert_int_equal(oc__child_start(&c, argv, 0, &err), OC_OK);
    assert_int_equal(oc__child_write(&c, much, sizeof much), 1);
    assert_int_equal(oc__child_end(&c, 0), 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_is_spoken_in_parts),
        cmocka_unit_test(endless_words_are_cut_between_characters),
        cmocka_unit_test(letters_lose_their_marks),
        cmocka_unit_test(wav_header_is_that_of_the_format),
        cmocka_unit_test(voice_streams_and_stops),
        cmocka_unit_test(voice_refuses_what_it_cannot_say),
        cmocka_unit_test(voice_refuses_bad_options),
        cmocka_unit_test(voice_fails_cleanly_without_memory),
        cmocka_unit_test(voices_of_several_threads_take_turns),
        cmocka_unit_test(child_that_is_not_there_is_an_error),
        cmocka_unit_test(child_that_ends_early_is_no_signal),
    };
    return cmocka_run_group_tests_name("speech", tests, NULL, NULL);
}
