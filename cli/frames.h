/*
 * frames.h - pictures that come one after the other: of a folder, a video, a
 * camera or a network.
 *
 * Pictures of a folder and of a file that nobody listens to are all there; the
 * caller's pace is theirs.  Otherwise time passes: a thread reads, and keeps
 * the latest picture only.
 */
#ifndef OCELLI_CLI_FRAMES_H
#define OCELLI_CLI_FRAMES_H

#include "cli.h"

#include <ocelli/vision.h>

typedef struct frames frames;

typedef struct frame {
    oc_image img;
    double seconds;    /* from the first one */
    int64_t number;    /* of those that were read, from 0 */
    const char *input; /* a picture's file, or the source; until the next */
} frame;

/**
 * Opens a source.  rate: pictures a second wanted at most; paced: a file's time
 * passes as when it is shown.  An exit code, with the sentence printed.
 */
int frames_open(frames **out, const char *source, double rate, int paced);
/**
 * The next one, f->img to be freed.  1: there is one; 0: there is none, with
 * *code for why: CLI_OK at the end, or when stopped.
 */
int frames_next(frames *s, frame *f, int *code);
/** How many were left out since time would not wait. */
int64_t frames_dropped(const frames *s);
void frames_close(frames *s); /* NULL is ignored */

/** From now on SIGINT and SIGTERM end frames_next(). */
void frames_catch_signals(void);
int frames_stopped(void);

#endif
