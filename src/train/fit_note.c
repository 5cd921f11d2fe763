/*
 * fit_note.c - recipe and position of a run as lines of "name=value".
 *
 * One table says what there is; writing and reading are loops over it.
 * Numbers are written so that reading gives the same bits.
 */
#include "train/fit.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT, INT, I64, U64, REAL, CHOICE };

#define OPT(name, kind, member)                                                \
    { name, kind, 0, offsetof(struct oc_training, opt.member) }
#define PLACE(name, kind, member)                                              \
    { name, kind, 1, offsetof(struct oc_training, place.member) }

static const struct {
    const char *name;
    int kind, is_place;
    size_t offset;
} lines[] = {
    OPT("model", TEXT, model),
    OPT("arch", TEXT, arch),
    OPT("augment", TEXT, augment),
    OPT("width", INT, width),
    OPT("height", INT, height),
    OPT("width_factor", REAL, width_factor),
    OPT("epochs", INT, epochs),
    OPT("batch", INT, batch),
    OPT("rate", REAL, rate),
    OPT("decay", REAL, decay),
    OPT("momentum", REAL, momentum),
    OPT("warmup", REAL, warmup),
    OPT("smoothing", REAL, smoothing),
    OPT("clip", REAL, clip),
    OPT("ema", REAL, ema),
    OPT("balance", REAL, balance),
    OPT("focus", REAL, focus),
    OPT("optimizer", CHOICE, optimizer),
    OPT("schedule", CHOICE, schedule),
    OPT("criterion", CHOICE, criterion),
    OPT("freeze", CHOICE, freeze),
    OPT("freeze_norm", INT, freeze_norm),
    OPT("patience", INT, patience),
    OPT("seed", U64, seed),
    PLACE("place.epoch", I64, epoch),
    PLACE("place.step", I64, step),
    PLACE("place.drops", INT, drops),
    PLACE("place.waited", INT, waited),
    PLACE("place.best_epoch", INT, best_epoch),
    PLACE("place.best", REAL, best),
    PLACE("place.best_loss", REAL, best_loss),
    PLACE("place.seconds", REAL, seconds),
    PLACE("place.loss", REAL, loss),
    PLACE("place.right", REAL, right),
    PLACE("place.rows", I64, rows),
    PLACE("place.plain_rows", I64, plain_rows),
};

static int write_line(const oc_training *f, int i, char *out, size_t room) {
    const char *at = (const char *)f + lines[i].offset, *name = lines[i].name;
    switch (lines[i].kind) {
    case TEXT: {
        const char *text = *(const char *const *)at;
        return text ? snprintf(out, room, "%s=%s\n", name, text) : 0;
    }
    case INT: return snprintf(out, room, "%s=%d\n", name, *(const int *)at);
    case CHOICE:
        return snprintf(out, room, "%s=%u\n", name, *(const unsigned *)at);
    case I64:
        return snprintf(out, room, "%s=%lld\n", name,
                        (long long)*(const int64_t *)at);
    case U64:
        return snprintf(out, room, "%s=%llu\n", name,
                        (unsigned long long)*(const uint64_t *)at);
    default:
        return snprintf(out, room, "%s=%.17g\n", name, *(const double *)at);
    }
}

oc_status oc__fit_write_note(oc_training *f, oc__note *out, int with_place,
                             oc_error *err) {
    size_t n = 0, at = 0;
    for (int i = 0; i < (int)OC_COUNT(lines); i++)
        if (with_place || !lines[i].is_place)
            n += (size_t)OC_MAX(0, write_line(f, i, NULL, 0));
    char *text = oc__arena_alloc(&f->arena, n + 1);
    if (!text) return oc__fail_nomem(err);
    for (int i = 0; i < (int)OC_COUNT(lines); i++)
        if (with_place || !lines[i].is_place)
            at += (size_t)OC_MAX(0, write_line(f, i, text + at, n + 1 - at));
    *out = (oc__note){text, n};
    return OC_OK;
}

static int read_value(oc_training *f, int i, const char *text) {
    char *at = (char *)f + lines[i].offset, *end = NULL;
    switch (lines[i].kind) {
    case TEXT: {
        const char *copy = oc__arena_strdup(&f->arena, text);
        *(const char **)at = copy;
        return copy ? 0 : 1;
    }
    case INT: *(int *)at = (int)strtol(text, &end, 10); break;
    case CHOICE: *(unsigned *)at = (unsigned)strtoul(text, &end, 10); break;
    case I64: *(int64_t *)at = strtoll(text, &end, 10); break;
    case U64: *(uint64_t *)at = strtoull(text, &end, 10); break;
    default: *(double *)at = strtod(text, &end); break;
    }
    return end == text || *end;
}

oc_status oc__fit_read_note(oc_training *f, const oc__note *note,
                            oc_error *err) {
    char *text =
        oc__arena_strndup(&f->arena, note->data ? note->data : "", note->bytes);
    if (!text) return oc__fail_nomem(err);
    int seen = 0;
    /* What a checkpoint does not name was not set. */
    f->opt.model = f->opt.arch = f->opt.augment = NULL;
    for (char *line = text; *line;) {
        char *end = line + strcspn(line, "\n"), *next = *end ? end + 1 : end;
        char *eq = memchr(line, '=', (size_t)(end - line));
        *end = 0;
        if (eq) *eq = 0;
        for (int i = 0; eq && i < (int)OC_COUNT(lines); i++) {
            if (strcmp(lines[i].name, line) != 0) continue;
            if (read_value(f, i, eq + 1))
                return oc__fail(err, OC_E_FORMAT,
                                "%s: \"%s\" of the recipe is damaged",
                                f->checkpoint, line);
            seen++;
        }
        line = next;
    }
    if (!seen)
        return oc__fail(err, OC_E_FORMAT,
                        "%s holds no training run, but a trainer's state",
                        f->checkpoint);
    return OC_OK;
}
