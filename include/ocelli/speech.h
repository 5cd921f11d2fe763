/** @file
 * speech.h - text to speech, and speech to a loudspeaker.
 *
 *     oc_voice *voice; oc_player *player; oc_error e;
 *     if (oc_voice_create(&voice, NULL, NULL, &e)) die(e.message);
 *     if (oc_player_open(&player, oc_voice_rate(voice), &e)) die(e.message);
 *     oc_voice_speak(voice, "A bus ahead.", play, player, &e);
 *     oc_player_close(player, 1, &e);
 *     oc_voice_destroy(voice);
 *
 * English voices are flite's, loaded into the process when the first one is
 * made; other languages are spoken by the program espeak-ng where it is
 * installed.  Sound is 16-bit PCM, one channel, and comes piece by piece while
 * it is made.
 *
 * Threads: a voice is used by one thread at a time; voices of several threads
 * take turns where flite makes them, part by part of a sentence.  Errors are
 * as in ocelli.h.
 */
#ifndef OCELLI_SPEECH_H
#define OCELLI_SPEECH_H

#include <ocelli/ocelli.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ======================================================================== *
 * Voices
 * ======================================================================== */

/** A voice; opaque. */
typedef struct oc_voice oc_voice;

/** Which voice, and how it speaks.  Zero-initialise; zero is the default. */
typedef struct oc_voice_options {
    const char *name;   /**< one of oc_voice_name(), or a voice or language of
                             espeak-ng as "de" or "en-gb"; NULL: by locale */
    const char *locale; /**< the language of what will be said, as "de"; NULL:
                             English */
    double rate;        /**< 0.25 to 4, how many times faster; 0: 1 */
} oc_voice_options;

/** Longest text oc_voice_speak() takes, in bytes. */
#define OC_VOICE_MAX_TEXT ((size_t)1 << 20)

/** Voice i of flite's, "slt" first; NULL behind the last. */
OC_API const char *oc_voice_name(int i);
/** Whether voice i can be had on this machine. */
OC_API int oc_voice_is_there(int i);
/** Whether espeak-ng is installed. */
OC_API int oc_voice_has_espeak(void);

/**
 * Makes a voice.
 *   opt        NULL for defaults
 *   allocator  NULL: default
 * Errors: E_ARG for a rate out of range, or a name that is none;
 *   E_UNSUPPORTED when nothing on this machine speaks so; E_NOMEM.
 */
OC_API oc_status oc_voice_create(oc_voice **out, const oc_voice_options *opt,
                                 const oc_allocator *allocator, oc_error *err);
/** Frees it; NULL is ignored. */
OC_API void oc_voice_destroy(oc_voice *voice);
/** Samples a second it gives. */
OC_API int oc_voice_rate(const oc_voice *voice);
/** Who speaks: "flite slt", "espeak-ng de". */
OC_API const char *oc_voice_who(const oc_voice *voice);

/** Takes the next samples; nonzero stops the speech. */
typedef int (*oc_voice_fn)(void *user, const int16_t *samples, size_t count);

/**
 * Speaks a text (UTF-8), a few words at a time, so that the first can be heard
 * while the rest is made.  Silence before the first sound is left out.
 *   take  receives the sound, in this thread; not NULL
 * Errors: E_ARG for a text without anything to say; E_LIMIT for one that is
 *   too long; E_CANCELLED when take() stopped it; E_UNSUPPORTED, E_IO when
 *   espeak-ng has no such voice or fails; E_NOMEM.
 */
OC_API oc_status oc_voice_speak(oc_voice *voice, const char *text,
                                oc_voice_fn take, void *user, oc_error *err);

/* ======================================================================== *
 * Sound files
 * ======================================================================== */

/** Bytes of the header of a WAV file. */
#define OC_WAV_HEADER 44

/**
 * Writes the header of a WAV file of 16-bit PCM with one channel.
 *   samples  how many follow; SIZE_MAX: not known yet, as in a stream
 */
OC_API void oc_wav_header(uint8_t out[OC_WAV_HEADER], int rate, size_t samples);

/* ======================================================================== *
 * The loudspeaker
 * ======================================================================== */

/** Plays sound through a program (aplay, pacat or play); opaque. */
typedef struct oc_player oc_player;

/**
 * Starts one.
 * Errors: E_UNSUPPORTED when there is no such program; E_IO; E_NOMEM.
 */
OC_API oc_status oc_player_open(oc_player **out, int rate, oc_error *err);
/** Plays samples behind those before; waits while much is waiting.  E_IO. */
OC_API oc_status oc_player_write(oc_player *player, const int16_t *samples,
                                 size_t count, oc_error *err);
/**
 * Ends it, in any case.
 *   wait  nonzero: until all has been heard; zero: at once
 * Errors: E_IO when it could not play, as without a sound device.
 */
OC_API oc_status oc_player_close(oc_player *player, int wait, oc_error *err);

#ifdef __cplusplus
}
#endif
#endif
