/*
 * speech_args.h - a voice as options ask for it, and one that speaks beside
 * the work: what speak, describe and watch share.
 */
#ifndef OCELLI_CLI_SPEECH_ARGS_H
#define OCELLI_CLI_SPEECH_ARGS_H

#include "cli.h"

#include <ocelli/speech.h>

/* clang-format off */
#define CLI_OPTS_SPEECH                                                        \
    {"voice", 0, "VOICE", "slt, rms, awb, kal16, kal, or a voice of "          \
     "espeak-ng as de or en-gb (default: by language)", NULL},                 \
    {"rate", 0, "F", "how many times faster to speak, 0.25 to 4 (default 1)",  \
     NULL}
/* clang-format on */

/** Makes the voice; an exit code, with the sentence printed. */
int speech_voice(const cli_args *args, const char *locale, oc_voice **out);
/** Prints an error of a voice. */
int speech_report(const oc_error *err);
/** Prints the voices there are. */
int speech_list_voices(void);

/** A voice and a loudspeaker on a thread of their own. */
typedef struct speaker speaker;

/**
 * Starts one; the voice is made while others work, so that what is wrong with
 * it is told by speaker_say() or speaker_close().
 */
int speaker_open(speaker **out, const cli_args *args, const char *locale);
/**
 * Says a text next.  One that still waits is forgotten for it; with `now` what
 * is being said is broken off too.  An exit code, as with what went wrong
 * before.
 */
int speaker_say(speaker *s, const char *text, int now);
/** Waits until all is said; *first_s (may be NULL): when the last text's first
 * sound went out, by out_seconds(), 0: none did. */
int speaker_wait(speaker *s, double *first_s);
/** Lets it end, or breaks off; NULL is ignored. */
int speaker_close(speaker *s, int wait);

#endif
