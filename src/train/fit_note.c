/*
 * fit_note.c - recipe and position of a run as lines of "name=value".
 *
 * One table says what there is; writing and reading are loops over it.
 * Numbers are written so that reading gives the same bits.
 */
#include "train/fit.h"

#include "base/text_number.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

enum { TEXT, INT, I64, U64, REAL, CHOICE };

/* No count is larger, and no position. */
#define MOST 1000000000

#define OPT(name, kind, member, most)                                          \
    { name, kind, 0, most, offsetof(struct oc_training, opt.member) }
#define PLACE(name, kind, member)                                              \
    { name, kind, 1, MOST, offsetof(struct oc_training, place.member) }

static const struct {
    const char *name;
    int kind, is_place;
    int64_t most; /* of what is no REAL: -1 to this */
    size_t offset;
} lines[] = {
    OPT("model", TEXT, model, MOST),
    OPT("arch", TEXT, arch, MOST),
    OPT("augment", TEXT, augment, MOST),
    OPT("teacher", TEXT, teacher, MOST),
    OPT("distill", REAL, distill, MOST),
    OPT("temperature", REAL, temperature, MOST),
    OPT("keep_classes", INT, keep_classes, MOST),
    OPT("width", INT, width, 1 << 14),
    OPT("height", INT, height, 1 << 14),
    OPT("width_factor", REAL, width_factor, MOST),
    OPT("epochs", INT, epochs, MOST),
    OPT("batch", INT, batch, MOST),
    OPT("rate", REAL, rate, MOST),
    OPT("decay", REAL, decay, MOST),
    OPT("momentum", REAL, momentum, MOST),
    OPT("warmup", REAL, warmup, MOST),
    OPT("last_rate", REAL, last_rate, MOST),
    OPT("smoothing", REAL, smoothing, MOST),
    OPT("clip", REAL, clip, MOST),
    OPT("ema", REAL, ema, MOST),
    OPT("grow", REAL, grow, MOST),
    OPT("balance", REAL, balance, MOST),
    OPT("focus", REAL, focus, MOST),
    OPT("hierarchy", REAL, hierarchy, MOST),
    OPT("optimizer", CHOICE, optimizer, OC_OPTIMIZER_ADAMW),
    OPT("schedule", CHOICE, schedule, OC_SCHEDULE_CONSTANT),
    OPT("criterion", CHOICE, criterion, OC_CRITERION_KL),
    OPT("freeze", CHOICE, freeze, OC_TRAIN_HEAD_ONLY),
    OPT("freeze_norm", INT, freeze_norm, MOST),
    OPT("qat", INT, qat, MOST),
    OPT("patience", INT, patience, MOST),
    OPT("seed", U64, seed, MOST),
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
    char number[OC_NUMBER_TEXT_BYTES];
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
        oc__text_from_number(OC_DTYPE_F64, *(const double *)at, number);
        return snprintf(out, room, "%s=%s\n", name, number);
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

/* What comes from a file is not trusted: nonzero when it is no such value. */
static int read_value(oc_training *f, int i, const char *text) {
    char *at = (char *)f + lines[i].offset;
    size_t n = strlen(text);
    int64_t v = 0;
    if (lines[i].kind == TEXT) {
        const char *copy = oc__arena_strdup(&f->arena, text);
        *(const char **)at = copy;
        return copy ? 0 : 1;
    }
    if (lines[i].kind == REAL) return oc__text_to_f64(text, n, (double *)at);
    if (lines[i].kind == U64) return oc__text_to_u64(text, n, (uint64_t *)at);
    int least = lines[i].kind == CHOICE || lines[i].is_place ? 0 : -1;
    if (oc__text_to_i64(text, n, &v) || v < least || v > lines[i].most)
        return 1;
    if (lines[i].kind == I64)
        *(int64_t *)at = v;
    else
        *(int *)at = (int)v; /* an enumeration is as wide */
    return 0;
}

oc_status oc__fit_read_note(oc_training *f, const oc__note *note,
                            oc_error *err) {
    char *text =
        oc__arena_strndup(&f->arena, note->data ? note->data : "", note->bytes);
    if (!text) return oc__fail_nomem(err);
    int seen = 0;
    /* What a checkpoint does not name was not set. */
    f->opt.model = f->opt.arch = f->opt.augment = f->opt.teacher = NULL;
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
