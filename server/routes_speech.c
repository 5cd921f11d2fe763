/*
 * routes_speech.c - POST /v1/audio/speech, in the shape of OpenAI's: a text
 * in, sound out, while it is made.
 *
 * A worker speaks.  With the first sound the answer begins; what goes wrong
 * before that has a status of its own, later the connection is cut.
 */
#define _POSIX_C_SOURCE 200809L

#include "json_read.h"
#include "routes.h"
#include "answer_stream.h"

#include <ocelli/speech.h>

#include <stdlib.h>
#include <string.h>

/* OpenAI's limit, and the rate of its PCM, which clients take for granted. */
enum { MAX_INPUT = 4096, PCM_HZ = 24000 };

typedef struct speech {
    request *r; /* NULL from the first sound on: it is the connection's */
    const char *input;
    size_t input_bytes;
    oc_voice_options opt;
    int is_pcm;
    oc_voice *voice;
    stream *out;
    int64_t begun_ns;
    /* Of PCM in another rate: the last sample, and where the next one that
       goes out is behind it, in samples that come in. */
    double phase;
    int16_t last;
} speech;

/* ---- what is asked --------------------------------------------------------
 */

/* Voices of OpenAI's, which its clients must name. */
static int is_foreign_voice(const char *name) {
    static const char *const names[] = {
        "alloy", "ash",  "ballad",  "coral", "echo",  "fable", "nova",
        "onyx",  "sage", "shimmer", "verse", "marin", "cedar", "default"};
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        if (!strcmp(names[i], name)) return 1;
    }
    return 0;
}

static void take_text(json_reader *j, const char **out) {
    size_t n;
    if (json_get_string(j, out, &n) && strlen(*out) != n)
        json_wrong(j, "there is a zero in a text");
}

static void take_format(speech *s, json_reader *j) {
    const char *format = NULL;
    take_text(j, &format);
    if (!format) return;
    s->is_pcm = !strcmp(format, "pcm");
    if (!s->is_pcm && strcmp(format, "wav") != 0)
        json_wrong(j, "response_format is wav or pcm");
}

static void take_speed(speech *s, json_reader *j) {
    if (json_get_double(j, &s->opt.rate) &&
        !(s->opt.rate >= 0.25 && s->opt.rate <= 4))
        json_wrong(j, "speed is 0.25 to 4");
}

static int take_json(speech *s) {
    request *r = s->r;
    json_reader j;
    const char *key;
    json_read_begin(&j, r->body.data ? r->body.data : (char[1]){0},
                    r->body.size);
    if (json_peek(&j) != '{') json_wrong(&j, "a JSON object is wanted");
    if (json_enter(&j, '{')) {
        while (json_key(&j, &key)) {
            if (!strcmp(key, "input"))
                take_text(&j, &s->input);
            else if (!strcmp(key, "voice"))
                take_text(&j, &s->opt.name);
            else if (!strcmp(key, "language"))
                take_text(&j, &s->opt.locale);
            else if (!strcmp(key, "speed"))
                take_speed(s, &j);
            else if (!strcmp(key, "response_format"))
                take_format(s, &j);
            else
                json_skip(&j); /* model, instructions ... */
        }
    }
    if (json_read_end(&j)) {
        reply_error(r, 400, "the body: %s",
                    j.why ? j.why : "something is left behind it");
        return 1;
    }
    if (s->opt.name && is_foreign_voice(s->opt.name)) s->opt.name = NULL;
    return 0;
}

/* UTF-8 characters, as the limit counts them. */
static size_t count_characters(const char *text) {
    size_t n = 0;
    for (; *text; text++) {
        n += ((unsigned char)*text & 0xc0) != 0x80;
    }
    return n;
}

static int take_request(speech *s) {
    oc_error err;
    if (take_json(s)) return 1;
    if (!s->input) {
        reply_error(s->r, 400, "there is no \"input\": the text to be spoken");
        return 1;
    }
    size_t n = count_characters(s->input);
    if (n > MAX_INPUT) {
        reply_error(s->r, 413,
                    "the input has %zu characters, at most %d are "
                    "spoken at once",
                    n, MAX_INPUT);
        return 1;
    }
    oc_status st = oc_voice_create(&s->voice, &s->opt, NULL, &err);
    if (!st) return 0;
    reply_error(s->r, st == OC_E_NOMEM ? 503 : 400, "%s", err.message);
    return 1;
}

/* ---- sound ----------------------------------------------------------------
 */

/* Little-endian, whatever the machine. */
static int put_samples(speech *s, const int16_t *samples, size_t n) {
    uint8_t bytes[1024];
    while (n) {
        size_t k = n < sizeof bytes / 2 ? n : sizeof bytes / 2;
        for (size_t i = 0; i < k; i++) {
            bytes[2 * i] = (uint8_t)((uint16_t)samples[i] & 255);
            bytes[2 * i + 1] = (uint8_t)((uint16_t)samples[i] >> 8);
        }
        if (stream_put(s->out, bytes, 2 * k)) return 1;
        samples += k;
        n -= k;
    }
    return 0;
}

/* On straight lines between samples: speech has little above 8 kHz. */
static int put_pcm(speech *s, const int16_t *samples, size_t n) {
    double step = (double)oc_voice_rate(s->voice) / PCM_HZ;
    int16_t out[512];
    size_t k = 0;
    for (size_t i = 0; i < n; i++) {
        for (; s->phase < 1; s->phase += step) {
            double v = s->last + s->phase * (samples[i] - s->last);
            out[k++] = (int16_t)v;
            if (k == COUNT_OF(out)) {
                if (put_samples(s, out, k)) return 1;
                k = 0;
            }
        }
        s->phase -= 1;
        s->last = samples[i];
    }
    return put_samples(s, out, k);
}

static int begin(speech *s) {
    uint8_t header[OC_WAV_HEADER];
    request *r = s->r;
    s->out = stream_create(r->server);
    if (!s->out) {
        reply_error(r, 503, "no memory for the answer");
        return 1;
    }
    oc_wav_header(header, oc_voice_rate(s->voice), SIZE_MAX);
    if (!s->is_pcm && stream_put(s->out, header, sizeof header)) {
        stream_end(s->out, 1);
        s->out = NULL;
        reply_error(r, 503, "no memory for the answer");
        return 1;
    }
    r->ns[STAGE_INFER] = now_ns() - s->begun_ns; /* to the first sound */
    reply_stream(r, s->is_pcm ? "audio/pcm;rate=24000" : "audio/wav", s->out);
    s->r = NULL;
    request_done(r);
    return 0;
}

static int take_sound(void *user, const int16_t *samples, size_t n) {
    speech *s = user;
    if (!s->out) {
        if (atomic_load(&s->r->job.stop) || begin(s)) return 1;
    }
    return s->is_pcm ? put_pcm(s, samples, n) : put_samples(s, samples, n);
}

static void speak(speech *s) {
    oc_error err;
    s->begun_ns = now_ns();
    oc_status st = oc_voice_speak(s->voice, s->input, take_sound, s, &err);
    if (s->out) {
        stream_end(s->out, st != OC_OK);
        return;
    }
    if (!st)
        reply_error(s->r, 400, "there is nothing to say");
    else if (st == OC_E_UNSUPPORTED)
        reply_error(s->r, 400, "%s", err.message);
    else
        reply_failure(s->r, &err);
}

job_result audio_speech(request *r) {
    speech s = {0};
    s.r = r;
    /* The reader changes the body in place, and what it points at must stay
       when the request goes. */
    char *body = r->body.data;
    if (!take_request(&s)) {
        r->body.data = NULL;
        speak(&s);
        free(body);
    }
    oc_voice_destroy(s.voice);
    if (s.r) request_done(s.r);
    return JOB_ENDED;
}
