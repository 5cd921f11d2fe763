/*
 * voice_flite.c - flite's voices.
 *
 * They are not linked but loaded when the first one speaks: linked, the
 * dictionary and the voices cost every start of a program 7 ms, whether it
 * speaks or not.  The types are those of flite's headers.
 *
 * One utterance is made at a time in a process: flite leaves by longjmp()
 * through a global variable when it fails.
 */
#define _XOPEN_SOURCE 700

#include "speech/voice.h"

#include "base/size.h"

#if OC_HAVE_FLITE

#include <dlfcn.h>
#include <flite/flite.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdio.h>

enum { VOICES = 5 };

/* How it is spelt in files and functions. */
static const char *const spelt[VOICES] = {"slt", "rms", "awb", "kal16", "kal"};

typedef struct flite {
    int (*init)(void);
    cst_utterance *(*new_utterance)(void);
    void (*delete_utterance)(cst_utterance *u);
    int (*set_text)(cst_utterance *u, const char *text);
    cst_utterance *(*synth)(cst_utterance *u, cst_voice *v, cst_uttfunc f);
    cst_utterance *(*utt_synth)(cst_utterance *u);
    void (*set)(cst_features *f, const char *name, const cst_val *v);
    void (*set_float)(cst_features *f, const char *name, float v);
    int (*get_int)(const cst_features *f, const char *name, int fallback);
    cst_val *(*info_val)(const cst_audio_streaming_info *info);
    cst_audio_streaming_info *(*new_info)(void);
    jmp_buf **on_error;
} flite;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static flite api;
static int has_api;
static struct {
    int is_tried;
    cst_voice *voice;
} loaded[VOICES];

/* POSIX gives functions as objects; through a union there is no cast. */
static int find(void *library, const char *name, void *slot) {
    void *at = dlsym(library, name);
    if (at) memcpy(slot, &at, sizeof at);
    return !at;
}

static int load_api(void *library) {
    if (has_api) return 0;
    if (find(library, "flite_init", &api.init) ||
        find(library, "new_utterance", &api.new_utterance) ||
        find(library, "delete_utterance", &api.delete_utterance) ||
        find(library, "utt_set_input_text", &api.set_text) ||
        find(library, "flite_do_synth", &api.synth) ||
        find(library, "utt_synth", &api.utt_synth) ||
        find(library, "flite_feat_set", &api.set) ||
        find(library, "flite_feat_set_float", &api.set_float) ||
        find(library, "flite_get_param_int", &api.get_int) ||
        find(library, "audio_streaming_info_val", &api.info_val) ||
        find(library, "new_audio_streaming_info", &api.new_info) ||
        find(library, "cst_errjmp", &api.on_error))
        return 1;
    api.init();
    has_api = 1;
    return 0;
}

/* Once loaded it stays: flite keeps pointers into it. */
static cst_voice *load_voice(int i) {
    char name[64];
    cst_voice *(*make)(const char *);
    snprintf(name, sizeof name, "libflite_cmu_us_%s.so.1", spelt[i]);
    void *library = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    if (!library || load_api(library)) return NULL;
    snprintf(name, sizeof name, "register_cmu_us_%s", spelt[i]);
    return find(library, name, &make) ? NULL : make(NULL);
}

void *oc__flite_voice(int i, int *rate_hz) {
    pthread_mutex_lock(&lock);
    if (!loaded[i].is_tried) loaded[i].voice = load_voice(i);
    loaded[i].is_tried = 1;
    cst_voice *voice = loaded[i].voice;
    if (voice)
        *rate_hz = api.get_int(voice->features, "sample_rate",
                               strcmp(spelt[i], "kal") ? 16000 : 8000);
    pthread_mutex_unlock(&lock);
    return voice;
}

static int on_sound(const cst_wave *w, int start, int size, int last,
                    cst_audio_streaming_info *info) {
    (void)last;
    int stop = size > 0 &&
               oc__sound_put(info->userdata, w->samples + start, (size_t)size);
    return stop ? CST_AUDIO_STREAM_STOP : CST_AUDIO_STREAM_CONT;
}

/* Nonzero: it failed.  What was made up to a longjmp() is lost. */
static int make_speech(const oc_voice *v, const char *text, oc__sound *sound) {
    jmp_buf here;
    volatile int failed = 1;
    *api.on_error = &here;
    if (!setjmp(here)) {
        cst_utterance *u = api.new_utterance();
        cst_audio_streaming_info *info = api.new_info();
        info->asc = on_sound;
        info->min_buffsize = 256;
        info->userdata = sound;
        api.set_text(u, text);
        api.set(u->features, "streaming_info", api.info_val(info));
        api.set_float(u->features, "duration_stretch", (float)(1 / v->rate));
        u = api.synth(u, v->flite, api.utt_synth);
        failed = !u;
        if (u) api.delete_utterance(u);
    }
    *api.on_error = NULL;
    return failed;
}

oc_status oc__flite_speak(oc_voice *v, const char *text, size_t n,
                          oc__sound *sound, oc_error *err) {
    size_t bytes = 2 * n + 1;
    char *ascii = oc__alloc(&v->allocator, bytes);
    if (!ascii) return oc__fail_nomem(err);
    oc__speech_ascii(ascii, text, n);
    int failed = 0;
    if (oc__speech_has_words(ascii, strlen(ascii))) {
        pthread_mutex_lock(&lock);
        failed = make_speech(v, ascii, sound);
        pthread_mutex_unlock(&lock);
    }
    oc__release(&v->allocator, ascii, bytes);
    if (sound->is_stopped)
        return oc__fail(err, OC_E_CANCELLED, "the speech was stopped");
    if (failed) return oc__fail(err, OC_E_IO, "flite cannot speak this text");
    return OC_OK;
}

const char *const oc__flite_names[] = {"slt",   "rms", "awb",
                                       "kal16", "kal", NULL};

#else

/* Names stay names, so that the sentence is about flite, not about espeak. */
const char *const oc__flite_names[] = {"slt",   "rms", "awb",
                                       "kal16", "kal", NULL};

void *oc__flite_voice(int i, int *rate_hz) {
    (void)i;
    *rate_hz = 0;
    return NULL;
}

oc_status oc__flite_speak(oc_voice *v, const char *text, size_t n,
                          oc__sound *sound, oc_error *err) {
    (void)v, (void)text, (void)n, (void)sound;
    return oc__fail(err, OC_E_UNSUPPORTED, "this build is without flite");
}

#endif
