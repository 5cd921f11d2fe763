/*
 * player.c - sound through a program of the system's: these know the sound
 * server of the day, and a process that dies with it is not ours.
 */
#include "base/memory.h"
#include "base/size.h"
#include "speech/child.h"

#include <ocelli/speech.h>

#include <stdio.h>
#include <string.h>

struct oc_player {
    oc__child child;
    const char *program;
};

enum { MAX_ARGS = 14 };

/* %d is the rate. */
static const char *const programs[][MAX_ARGS] = {
    {"aplay", "-q", "-t", "raw", "-f", "S16_LE", "-c", "1", "-r", "%d", "-",
     NULL},
    {"pacat", "--playback", "--raw", "--format=s16le", "--channels=1",
     "--latency-msec=50", "--rate=%d", NULL},
    {"play", "-q", "-t", "raw", "-e", "signed", "-b", "16", "-c", "1", "-r",
     "%d", "-", NULL},
};

static const char *const *find_program(void) {
    for (size_t i = 0; i < OC_COUNT(programs); i++) {
        if (oc__child_is_there(programs[i][0])) return programs[i];
    }
    return NULL;
}

oc_status oc_player_open(oc_player **out, int rate, oc_error *err) {
    const char *const *program = find_program();
    const char *argv[MAX_ARGS] = {NULL};
    char text[32];
    if (rate < 1 || rate > 384000)
        return oc__fail(err, OC_E_ARG, "%d samples a second cannot be played",
                        rate);
    if (!program)
        return oc__fail(err, OC_E_UNSUPPORTED,
                        "there is no program that plays sound: install aplay "
                        "(alsa-utils), pacat (pulseaudio-utils) or play (sox)");
    for (int i = 0; program[i]; i++) {
        argv[i] = program[i];
        if (!strstr(program[i], "%d")) continue;
        snprintf(text, sizeof text, "%.*s%d", (int)(strlen(program[i]) - 2),
                 program[i], rate);
        argv[i] = text;
    }
    oc_player *p = oc__calloc(&oc__default_allocator, 1, sizeof *p);
    if (!p) return oc__fail_nomem(err);
    p->program = program[0];
    oc_status st = oc__child_start(&p->child, argv, 0, err);
    if (st)
        oc__release(&oc__default_allocator, p, sizeof *p);
    else
        *out = p;
    return st;
}

static oc_status no_sound(const oc_player *p, oc_error *err) {
    return oc__fail(err, OC_E_IO,
                    "%s cannot play: is there a sound device, and may it be "
                    "used?",
                    p->program);
}

oc_status oc_player_write(oc_player *p, const int16_t *samples, size_t count,
                          oc_error *err) {
    /* Machines this runs on are little-endian, as the programs are told. */
    if (oc__child_write(&p->child, samples, count * sizeof *samples))
        return no_sound(p, err);
    return OC_OK;
}

oc_status oc_player_close(oc_player *p, int wait, oc_error *err) {
    oc_status st = OC_OK;
    if (!p) return OC_OK;
    int code = oc__child_end(&p->child, !wait);
    if (wait && code) st = no_sound(p, err);
    oc__release(&oc__default_allocator, p, sizeof *p);
    return st;
}
