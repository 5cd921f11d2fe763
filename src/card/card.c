/* card.c - cards come and go, and their fields get values. */
#include "card/card.h"

#include "base/size.h"
#include "base/text_number.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *oc_task_name(oc_task task) {
    static const char *const names[] = {
#define NAME(name, text) text,
        OC_TASK_MAP(NAME)
#undef NAME
    };
    if ((int)task < 0 || task >= OC_TASK_COUNT) return "?";
    return names[task];
}

oc_status oc_card_create(oc_card **out, const oc_allocator *allocator,
                         oc_error *err) {
    if (!allocator) allocator = &oc__default_allocator;
    oc_card *card = oc__calloc(allocator, 1, sizeof *card);
    if (!card) return oc__fail_nomem(err);
    card->allocator = *allocator;
    oc__arena_init(&card->arena, &card->allocator);
    card->dtype = OC_DTYPE_F32;
    card->scale = 1;
    card->crop = 1;
    card->antialias = 1;
    card->background = -1;
    card->sigma = 0.5;
    card->tolerance = 0.02;
    *out = card;
    return OC_OK;
}

void oc_card_destroy(oc_card *card) {
    if (!card) return;
    oc_allocator allocator = card->allocator;
    oc__arena_deinit(&card->arena);
    oc__release(&allocator, card, sizeof *card);
}

int oc__card_has(const oc_card *card, const char *dotted) {
    int f = oc__card_find_field(dotted);
    assert(f >= 0);
    return f >= 0 && (card->given >> f & 1);
}

void oc__card_mark(oc_card *card, const char *dotted) {
    int f = oc__card_find_field(dotted);
    assert(f >= 0);
    if (f >= 0) card->given |= UINT64_C(1) << f;
}

/* ---- guesses --------------------------------------------------------------
 */

oc_status oc__card_add_guess(oc_card *card, oc_error *err, const char *format,
                             ...) {
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (card->n_guesses == card->cap_guesses) {
        int cap = card->cap_guesses ? 2 * card->cap_guesses : 8;
        const char **more =
            oc__arena_array(&card->arena, (size_t)cap, sizeof *more);
        if (!more) return oc__fail_nomem(err);
        if (card->n_guesses)
            memcpy(more, card->guesses, (size_t)card->n_guesses * sizeof *more);
        card->guesses = more;
        card->cap_guesses = cap;
    }
    char *copy = oc__arena_strdup(&card->arena, text);
    if (!copy) return oc__fail_nomem(err);
    card->guesses[card->n_guesses++] = copy;
    return OC_OK;
}

const char *oc_card_guess(const oc_card *card, int i) {
    return i >= 0 && i < card->n_guesses ? card->guesses[i] : NULL;
}

/* ---- values ---------------------------------------------------------------
 */

static oc_status wrong(const oc__card_field *f, oc_error *err,
                       const char *format, ...) OC_PRINTF(3, 4);
static oc_status wrong(const oc__card_field *f, oc_error *err,
                       const char *format, ...) {
    char name[OC_CARD_NAME], text[256];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return oc__fail(err, OC_E_FORMAT, "card field \"%s\" %s",
                    oc__card_field_name((int)(f - oc__card_fields), name),
                    text);
}

static oc_status put_choice(oc_card *card, const oc__card_field *f,
                            const char *s, oc_error *err) {
    char list[200] = "";
    size_t used = 0;
    for (int i = 0; f->choices[i]; i++) {
        if (f->choices[i][0] == '?') continue; /* a gap in the numbers */
        if (!strcmp(f->choices[i], s)) {
            *(int *)(void *)((char *)card + f->offset) = i;
            return OC_OK;
        }
        int n = snprintf(list + used, sizeof list - used, "%s%s",
                         used ? ", " : "", f->choices[i]);
        if (n > 0 && used + (size_t)n < sizeof list) used += (size_t)n;
    }
    return wrong(f, err, "is \"%.40s\", must be one of %s", s, list);
}

oc_status oc__card_put_text(oc_card *card, int field, const char *s, size_t n,
                            oc_error *err) {
    const oc__card_field *f = &oc__card_fields[field];
    if (memchr(s, 0, n)) return wrong(f, err, "holds a NUL character");
    char *copy = oc__arena_strndup(&card->arena, s, n);
    if (!copy) return oc__fail_nomem(err);
    if (f->kind == OC_FIELD_CHOICE) {
        OC_TRY(put_choice(card, f, copy, err));
    } else if (f->kind == OC_FIELD_SIZE && !strcmp(copy, "dynamic")) {
        card->size.n = 0;
    } else if (f->kind == OC_FIELD_TEXT || f->kind == OC_FIELD_JSON) {
        const char **slot = (const char **)(void *)((char *)card + f->offset);
        *slot = copy;
    } else {
        return wrong(f, err,
                     f->kind == OC_FIELD_SIZE
                         ? "must be [height, width] or \"dynamic\""
                     : f->kind == OC_FIELD_INT || f->kind == OC_FIELD_NUMBER
                         ? "must be a number"
                         : "must be a list");
    }
    card->given |= UINT64_C(1) << field;
    return OC_OK;
}

static oc_status check_numbers(const oc__card_field *f, const double *v, int n,
                               oc_error *err) {
    int whole = f->kind == OC_FIELD_INT || f->kind == OC_FIELD_SIZE;
    for (int i = 0; i < n; i++) {
        /* Written so that NaN fails too. */
        if (!(v[i] >= f->lo && v[i] <= f->hi))
            return wrong(f, err, "has the value %g, must be from %g to %g",
                         v[i], f->lo, f->hi);
        if (whole && v[i] != floor(v[i]))
            return wrong(f, err, "has the value %g, must be whole", v[i]);
    }
    return OC_OK;
}

oc_status oc__card_put_numbers(oc_card *card, int field, const double *v, int n,
                               oc_error *err) {
    const oc__card_field *f = &oc__card_fields[field];
    void *slot = (char *)card + f->offset;
    int list = f->kind == OC_FIELD_NUMBERS || f->kind == OC_FIELD_SIZE;
    if (!list && f->kind != OC_FIELD_INT && f->kind != OC_FIELD_NUMBER)
        return wrong(f, err, "must not be a number");
    if (!list && n != 1) return wrong(f, err, "must be a single number");
    if (f->kind == OC_FIELD_SIZE && n != 2)
        return wrong(f, err, "has %d numbers, must be height and width", n);
    if (list && n > f->most)
        return wrong(f, err, "has %d numbers, at most %d may be", n, f->most);
    OC_TRY(check_numbers(f, v, n, err));
    if (f->kind == OC_FIELD_INT) {
        *(int *)slot = (int)v[0];
    } else if (f->kind == OC_FIELD_NUMBER) {
        *(double *)slot = v[0];
    } else {
        const double *copy =
            oc__arena_dup(&card->arena, v, (size_t)n * sizeof *v);
        if (!copy) return oc__fail_nomem(err);
        *(oc__numbers *)slot = (oc__numbers){n, copy};
    }
    card->given |= UINT64_C(1) << field;
    return OC_OK;
}

oc_status oc__card_put_names(oc_card *card, int field, const char *const *v,
                             int n, oc_error *err) {
    const oc__card_field *f = &oc__card_fields[field];
    if (f->kind != OC_FIELD_NAMES && f->kind != OC_FIELD_LABELS)
        return wrong(f, err, "must not be a list of names");
    if (n > f->most)
        return wrong(f, err, "has %d names, at most %d may be", n, f->most);
    const char **copy =
        oc__arena_array(&card->arena, (size_t)n + 1, sizeof *copy);
    if (!copy) return oc__fail_nomem(err);
    for (int i = 0; i < n; i++) {
        copy[i] = oc__arena_strdup(&card->arena, v[i]);
        if (!copy[i]) return oc__fail_nomem(err);
    }
    *(oc__names *)(void *)((char *)card + f->offset) = (oc__names){n, copy};
    if (f->kind == OC_FIELD_LABELS) {
        card->label_file = NULL;
        card->label_sha256 = NULL;
    }
    card->given |= UINT64_C(1) << field;
    return OC_OK;
}

oc_status oc_card_set_labels(oc_card *card, const char *const *labels,
                             int count, oc_error *err) {
    if (count < 0) return oc__fail(err, OC_E_ARG, "a negative label count");
    return oc__card_put_names(card, oc__card_find_field("labels"), labels,
                              count, err);
}

/* ---- from text, as on a command line --------------------------------------
 */

/* "224x224" or "0.1,0.2": numbers parted by commas, blanks or an x. */
static oc_status set_numbers(oc_card *card, int field, const char *text,
                             oc_error *err) {
    double v[256];
    int n = 0;
    for (const char *s = text; *s;) {
        if (n == (int)OC_COUNT(v))
            return wrong(&oc__card_fields[field], err, "has too many numbers");
        s += strspn(s, " \t\n");
        size_t used = oc__text_read_f64(s, strlen(s), &v[n]);
        if (!used)
            return wrong(&oc__card_fields[field], err,
                         "is \"%.40s\", which is not a number or a list", text);
        n++;
        s += used;
        while (*s == ' ')
            s++;
        if ((*s == ',' || *s == 'x') && s[1]) s++;
    }
    return oc__card_put_numbers(card, field, v, n, err);
}

/* "a,b,c" */
static oc_status set_names(oc_card *card, int field, const char *text,
                           oc_error *err) {
    const char *names[64];
    int n = 0;
    char *copy = oc__arena_strdup(&card->arena, text);
    if (!copy) return oc__fail_nomem(err);
    for (char *s = copy; s;) {
        char *comma = strchr(s, ',');
        if (comma) *comma++ = 0;
        if (n == (int)OC_COUNT(names))
            return wrong(&oc__card_fields[field], err, "has too many names");
        names[n++] = s;
        s = comma;
    }
    return oc__card_put_names(card, field, names, n, err);
}

static oc_status set_value(oc_card *card, int f, const char *value,
                           oc_error *err) {
    switch (oc__card_fields[f].kind) {
    case OC_FIELD_TEXT:
    case OC_FIELD_CHOICE:
        return oc__card_put_text(card, f, value, strlen(value), err);
    case OC_FIELD_SIZE:
        if (!strcmp(value, "dynamic"))
            return oc__card_put_text(card, f, value, strlen(value), err);
        return set_numbers(card, f, value, err);
    case OC_FIELD_INT:
    case OC_FIELD_NUMBER:
    case OC_FIELD_NUMBERS: return set_numbers(card, f, value, err);
    case OC_FIELD_NAMES: return set_names(card, f, value, err);
    case OC_FIELD_LABELS: {
        const oc__label_set *set = oc__label_set_find(value);
        return set ? oc__card_use_set(card, set, err)
                   : oc__card_use_file(card, value, NULL, err);
    }
    default: return wrong(&oc__card_fields[f], err, "cannot be set from text");
    }
}

oc_status oc_card_set(oc_card *card, const char *field, const char *value,
                      oc_error *err) {
    int f = oc__card_find_field(field);
    if (f < 0)
        return oc__fail(err, OC_E_ARG, "a card has no field \"%.60s\"", field);
    oc_status st = set_value(card, f, value, err);
    /* Text of the caller, not of a file. */
    if (st == OC_E_FORMAT && oc__card_fields[f].kind != OC_FIELD_LABELS) {
        st = OC_E_ARG;
        if (err) err->status = st;
    }
    return st;
}

/* ---- reading --------------------------------------------------------------
 */

oc_task oc_card_task(const oc_card *card) {
    return (oc_task)card->task;
}

int oc_card_label_count(const oc_card *card) {
    return card->labels.n;
}

const char *oc_card_label(const oc_card *card, int i) {
    return i >= 0 && i < card->labels.n ? card->labels.v[i] : NULL;
}

const char *oc_card_text(const oc_card *card, const char *field) {
    int f = oc__card_find_field(field);
    if (f < 0 || oc__card_fields[f].kind != OC_FIELD_TEXT) return NULL;
    return *(const char *const *)(const void *)((const char *)card +
                                                oc__card_fields[f].offset);
}
