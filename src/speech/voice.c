/* voice.c - voices come and go, and speak. */
#include "speech/voice.h"

#include "base/size.h"
#include "speech/child.h"

#include <ocelli/speech.h>

#include <string.h>

const char *oc_voice_name(int i) {
    for (int k = 0; k <= i; k++) {
        if (!oc__flite_names[k]) return NULL;
    }
    return i < 0 ? NULL : oc__flite_names[i];
}

int oc_voice_is_there(int i) {
    int rate;
    return oc_voice_name(i) && oc__flite_voice(i, &rate);
}

int oc_voice_has_espeak(void) {
    return oc__child_is_there("espeak-ng");
}

static int number_of(const char *name) {
    const char *known;
    for (int i = 0; (known = oc_voice_name(i)); i++) {
        if (!strcmp(known, name)) return i;
    }
    return -1;
}

/* Nothing that a program could take for something else. */
static int is_espeak_name(const char *name) {
    size_t n = strlen(name);
    return n && n < OC_VOICE_MAX_NAME && name[0] != '-' &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                        "0123456789-_+") == n;
}

static oc_status use_espeak(oc_voice *v, const char *name, oc_error *err) {
    if (!is_espeak_name(name))
        return oc__fail(err, OC_E_ARG, "\"%.40s\" is no voice", name);
    if (!oc_voice_has_espeak())
        return oc__fail(err, OC_E_UNSUPPORTED,
                        "nothing here speaks \"%s\": install espeak-ng", name);
    strcpy(v->name, name);
    strcpy(v->who, "espeak-ng ");
    strcat(v->who, name);
    v->rate_hz = 22050; /* checked against what it sends */
    return OC_OK;
}

static oc_status use_flite(oc_voice *v, int i, oc_error *err) {
    v->flite = oc__flite_voice(i, &v->rate_hz);
    if (!v->flite)
        return oc__fail(err, OC_E_UNSUPPORTED,
                        "the voice \"%s\" is not there: install flite",
                        oc_voice_name(i));
    strcpy(v->name, oc_voice_name(i));
    strcpy(v->who, "flite ");
    strcat(v->who, v->name);
    return OC_OK;
}

/* English is flite's first voice that is there; the rest is espeak-ng's. */
static oc_status choose(oc_voice *v, const oc_voice_options *opt,
                        oc_error *err) {
    const char *locale = opt->locale ? opt->locale : "en";
    if (opt->name) {
        int i = number_of(opt->name);
        return i < 0 ? use_espeak(v, opt->name, err) : use_flite(v, i, err);
    }
    int is_english = !strncmp(locale, "en", 2) && strcspn(locale, "-_") == 2;
    for (int i = 0; is_english && oc_voice_name(i); i++) {
        if (oc_voice_is_there(i)) return use_flite(v, i, err);
    }
    if (is_english && !oc_voice_has_espeak())
        return oc__fail(err, OC_E_UNSUPPORTED,
                        "nothing here can speak: install flite or espeak-ng");
    return use_espeak(v, locale, err);
}

oc_status oc_voice_create(oc_voice **out, const oc_voice_options *opt,
                          const oc_allocator *allocator, oc_error *err) {
    static const oc_voice_options none;
    if (!opt) opt = &none;
    /* Turned so that NaN fails it. */
    if (opt->rate != 0 && !(opt->rate >= 0.25 && opt->rate <= 4))
        return oc__fail(err, OC_E_ARG, "a rate is 0.25 to 4, not %g",
                        opt->rate);
    if (!allocator) allocator = &oc__default_allocator;
    oc_voice *v = oc__calloc(allocator, 1, sizeof *v);
    if (!v) return oc__fail_nomem(err);
    v->allocator = *allocator;
    v->rate = opt->rate > 0 ? opt->rate : 1;
    oc_status st = choose(v, opt, err);
    if (st)
        oc_voice_destroy(v);
    else
        *out = v;
    return st;
}

void oc_voice_destroy(oc_voice *v) {
    if (!v) return;
    oc_allocator allocator = v->allocator;
    oc__release(&allocator, v, sizeof *v);
}

int oc_voice_rate(const oc_voice *v) {
    return v->rate_hz;
}

const char *oc_voice_who(const oc_voice *v) {
    return v->who;
}

/* ---- sound ----------------------------------------------------------------
 */

/*
 * Below this it is the noise of a voice that is silent (up to 111 with slt,
 * for a fifth of a second), above it sounds begin: about -42 dB.
 */
enum { QUIET = 250 };

int oc__sound_put(oc__sound *s, const int16_t *samples, size_t n) {
    size_t i = 0;
    if (s->is_stopped) return 1;
    while (!s->has_begun && i < n && samples[i] < QUIET && samples[i] > -QUIET)
        i++;
    if (i == n) return 0;
    s->has_begun = 1;
    s->given += n - i;
    s->is_stopped = s->take(s->user, samples + i, n - i) != 0;
    return s->is_stopped;
}

oc_status oc_voice_speak(oc_voice *v, const char *text, oc_voice_fn take,
                         void *user, oc_error *err) {
    oc__sound sound = {take, user, 0, 0, 0};
    size_t n = strlen(text), at = 0;
    if (n > OC_VOICE_MAX_TEXT)
        return oc__fail(err, OC_E_LIMIT,
                        "a text of %zu bytes, at most %zu are "
                        "spoken at once",
                        n, OC_VOICE_MAX_TEXT);
    if (!oc__speech_has_words(text, n))
        return oc__fail(err, OC_E_ARG, "there is nothing to say");
    while (at < n) {
        size_t part = oc__speech_part(text + at, n - at, !sound.has_begun);
        const char *begin = text + at;
        at += part;
        if (!oc__speech_has_words(begin, part)) continue;
        OC_TRY(v->flite ? oc__flite_speak(v, begin, part, &sound, err)
                        : oc__espeak_speak(v, begin, part, &sound, err));
    }
    return OC_OK;
}

/* ---- files ----------------------------------------------------------------
 */

static void put_le(uint8_t *out, uint32_t v, int bytes) {
    for (int i = 0; i < bytes; i++) {
        out[i] = (uint8_t)(v >> 8 * i);
    }
}

void oc_wav_header(uint8_t out[OC_WAV_HEADER], int rate, size_t samples) {
    /* The largest a stream may claim: readers stop at its end. */
    uint32_t most = UINT32_MAX - OC_WAV_HEADER;
    uint32_t bytes = samples > most / 2 ? most & ~1u : (uint32_t)samples * 2;
    memcpy(out, "RIFF    WAVEfmt ", 16);
    put_le(out + 4, bytes + OC_WAV_HEADER - 8, 4);
    put_le(out + 16, 16, 4);
    put_le(out + 20, 1, 2); /* PCM */
    put_le(out + 22, 1, 2); /* channels */
    put_le(out + 24, (uint32_t)rate, 4);
    put_le(out + 28, (uint32_t)rate * 2, 4);
    put_le(out + 32, 2, 2);
    put_le(out + 34, 16, 2);
    memcpy(out + 36, "data", 4);
    put_le(out + 40, bytes, 4);
}
