/*
 * voice_espeak.c - espeak-ng, as a program of its own: its licence (GPL) asks
 * more of programs it is linked into than ours does.
 *
 * It sends a WAV file whose length it cannot know; what counts is the header
 * up to "data", then samples to the end.
 */
#define _POSIX_C_SOURCE 200809L

#include "speech/voice.h"

#include "base/size.h"
#include "speech/child.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Its usual words a minute. */
enum { WORDS = 175, CHUNK_BYTES = 4096 };

static uint32_t le(const uint8_t *p, int bytes) {
    uint32_t v = 0;
    for (int i = 0; i < bytes; i++) {
        v |= (uint32_t)p[i] << 8 * i;
    }
    return v;
}

/* Reads until `want` bytes are there or it ends; how many, -1: an error. */
static ssize_t read_some(int fd, uint8_t *out, size_t want) {
    size_t got = 0;
    while (got < want) {
        ssize_t n = read(fd, out + got, want - got);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return -1;
        if (!n) break;
        got += (size_t)n;
    }
    return (ssize_t)got;
}

/* E_UNSUPPORTED when nothing comes: there is no such voice. */
static oc_status read_header(const oc_voice *v, int fd, oc_error *err) {
    uint8_t h[OC_WAV_HEADER];
    ssize_t n = read_some(fd, h, sizeof h);
    if (!n)
        return oc__fail(err, OC_E_UNSUPPORTED,
                        "espeak-ng has no voice \"%s\"; espeak-ng --voices "
                        "lists them",
                        v->name);
    if (n < (ssize_t)sizeof h || memcmp(h, "RIFF", 4) != 0 ||
        memcmp(h + 8, "WAVEfmt ", 8) != 0 || memcmp(h + 36, "data", 4) != 0)
        return oc__fail(err, OC_E_IO, "espeak-ng sends no sound");
    if (le(h + 20, 2) != 1 || le(h + 22, 2) != 1 || le(h + 34, 2) != 16 ||
        le(h + 24, 4) != (uint32_t)v->rate_hz)
        return oc__fail(err, OC_E_UNSUPPORTED,
                        "the voice \"%s\" of espeak-ng is not 16-bit sound of "
                        "%d samples a second",
                        v->name, v->rate_hz);
    return OC_OK;
}

/* A piece is passed on as soon as it comes; a sample may be cut in two. */
static oc_status pass_on(int fd, oc__sound *sound, oc_error *err) {
    int16_t samples[CHUNK_BYTES / 2];
    uint8_t bytes[CHUNK_BYTES];
    size_t kept = 0;
    for (;;) {
        ssize_t n = read(fd, bytes + kept, sizeof bytes - kept);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return oc__fail(err, OC_E_IO, "espeak-ng stopped");
        if (!n) return OC_OK;
        size_t there = kept + (size_t)n, whole = there / 2;
        for (size_t i = 0; i < whole; i++) {
            samples[i] = (int16_t)le(bytes + 2 * i, 2);
        }
        kept = there % 2;
        if (kept) bytes[0] = bytes[there - 1];
        if (oc__sound_put(sound, samples, whole))
            return oc__fail(err, OC_E_CANCELLED, "the speech was stopped");
    }
}

oc_status oc__espeak_speak(oc_voice *v, const char *text, size_t n,
                           oc__sound *sound, oc_error *err) {
    char speed[16];
    const char *const argv[] = {"espeak-ng", "-v",      v->name,    "-s",
                                speed,       "--stdin", "--stdout", NULL};
    oc__child c;
    snprintf(speed, sizeof speed, "%d", (int)(WORDS * v->rate + 0.5));
    OC_TRY(oc__child_start(&c, argv, 1, err));
    /* A part of a text fits into the pipe, so neither waits for the other. */
    oc_status st = OC_OK;
    if (oc__child_write(&c, text, n) || oc__child_write(&c, "\n", 1)) {
        /* It ended early; what it sends, or not, says why. */
    }
    close(c.to);
    c.to = -1;
    st = read_header(v, c.from, err);
    if (!st) st = pass_on(c.from, sound, err);
    int code = oc__child_end(&c, st != OC_OK);
    if (!st && code)
        st = oc__fail(err, OC_E_IO, "espeak-ng failed with code %d", code);
    return st;
}
