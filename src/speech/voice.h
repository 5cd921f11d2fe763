/*
 * voice.h - what the two ways to speak share.
 *
 *     voice.c         public functions, texts in parts
 *     voice_flite.c   flite, in this process
 *     voice_espeak.c  espeak-ng, a program
 *     speech_text.c   what of a text is spoken at a time
 */
#ifndef OC_SPEECH_VOICE_H
#define OC_SPEECH_VOICE_H

#include "base/memory.h"

#include <ocelli/speech.h>

enum { OC_VOICE_MAX_NAME = 40 };

struct oc_voice {
    oc_allocator allocator;
    char who[OC_VOICE_MAX_NAME + 16];
    char name[OC_VOICE_MAX_NAME];
    int rate_hz;
    double rate;
    void *flite; /* the voice of flite; NULL: espeak-ng speaks */
};

/** Where sound goes, without the silence before the first. */
typedef struct oc__sound {
    oc_voice_fn take;
    void *user;
    int has_begun, is_stopped;
    size_t given; /* samples so far */
} oc__sound;

/** Nonzero: stop. */
int oc__sound_put(oc__sound *s, const int16_t *samples, size_t n);

/** NULL: there is no such voice of flite's on this machine. */
void *oc__flite_voice(int i, int *rate_hz);
/** How many voices' names there are. */
extern const char *const oc__flite_names[];
/** Speaks n bytes of text.  E_CANCELLED, E_NOMEM, E_IO. */
oc_status oc__flite_speak(oc_voice *v, const char *text, size_t n,
                          oc__sound *sound, oc_error *err);
oc_status oc__espeak_speak(oc_voice *v, const char *text, size_t n,
                           oc__sound *sound, oc_error *err);

/**
 * How many bytes of the text are the next part: a sentence or less.  The first
 * is a few words, up to where a speaker would pause, so that they are heard
 * soon.
 */
size_t oc__speech_part(const char *text, size_t n, int is_first);
/** Whether there is a letter or a number in it. */
int oc__speech_has_words(const char *text, size_t n);
/**
 * The same in ASCII, for a voice that reads nothing else: letters lose their
 * marks, what cannot be is left out.  out has 2 * n + 1 bytes.
 */
void oc__speech_ascii(char *out, const char *text, size_t n);

#endif
