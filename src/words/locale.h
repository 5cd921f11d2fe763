/*
 * locale.h - a language in memory.
 *
 *     # comment
 *     locale = de
 *     plural.one = i = 1 and v = 0
 *     brief.thing = {noun} {places}{traits}
 *     more.one = ein weiteres Ding
 *     more.other = {n} weitere Dinge
 *
 *     [labels name one other by the]
 *     bus = Bus | ein Bus | {n} Busse | einem Bus | dem Bus
 *
 * A line is a message, or behind [labels COLUMNS] the forms of a label:
 * `name` bare, one for each plural category, `by` as it stands behind the
 * words of a relation ("in front of a bus"), `the` likewise where there is
 * just one.  A form that is left empty or out is that of the column before.
 * Which messages there are, and what may stand in braces, is a table here; a
 * line that is not in it is refused, since it would be ignored for a typing
 * mistake.
 */
#ifndef OC_WORDS_LOCALE_H
#define OC_WORDS_LOCALE_H

#include "words/plural.h"

#include <ocelli/words.h>

#define OC_LOCALE_MAX_BYTES ((size_t)1 << 20)

enum { OC_LOCALE_MAX_COLUMNS = 12, OC_LOCALE_NUMBERS = 13 };

/** A message there may be. */
typedef struct oc__message {
    const char *key;
    const char *holes; /* "{noun} {places}": what its text may contain */
    int is_plural;     /* one for each plural category, KEY.one ... */
} oc__message;

extern const oc__message oc__messages[];
extern const int oc__message_count;

/** Forms of a noun. */
typedef enum oc__form { OC_FORM_NAME, OC_FORM_BY, OC_FORM_THE } oc__form;

typedef struct oc__label_row {
    const char *name;                           /* of the thing, as in COCO */
    const char *name_form, *by_form, *the_form; /* never NULL */
    const char *counted[OC_PLURAL_COUNT];       /* NULL: no such column */
} oc__label_row;

struct oc_words {
    oc_allocator allocator;
    oc__arena arena;
    oc_words *english; /* for what is missing; NULL: this is it */
    const char *locale;
    oc__plural_rule rules[OC_PLURAL_COUNT];
    /* By number in oc__messages; a plain one is in [OC_PLURAL_OTHER]. */
    const char *(*messages)[OC_PLURAL_COUNT];
    const char *numbers[OC_LOCALE_NUMBERS]; /* "two"; NULL: digits */
    size_t n_labels, room_labels;
    oc__label_row *labels; /* by name */
};

/** English, which is built in. */
extern const char oc__locale_en[];
extern const size_t oc__locale_en_bytes;

/** Reads a text into w, which is empty (locale_read.c). */
oc_status oc__locale_read(oc_words *w, const char *text, size_t bytes,
                          oc_error *err);

/** A value for a hole in a message. */
typedef struct oc__hole {
    const char *name, *text;
} oc__hole;

/**
 * A message with its holes filled, in the arena.  NULL: no memory, also when
 * the text for a hole is NULL, so that calls can be nested.
 */
const char *oc__say(const oc_words *w, oc__arena *arena, const char *key,
                    const oc__hole *holes, int n);
#define OC_SAY(w, arena, key, ...)                                             \
    oc__say(w, arena, key, (const oc__hole[]){__VA_ARGS__},                    \
            (int)(sizeof((const oc__hole[]){__VA_ARGS__}) / sizeof(oc__hole)))
/** The same for a plural message; {n} is the number and need not be given. */
const char *oc__say_count(const oc_words *w, oc__arena *arena, const char *key,
                          int64_t n, const oc__hole *holes, int n_holes);
/** "two", or "23". */
const char *oc__say_number(const oc_words *w, oc__arena *arena, int64_t n);
/** "two buses"; of a label nobody knows, what the language makes of it. */
const char *oc__say_noun(const oc_words *w, oc__arena *arena, const char *name,
                         int64_t n);
/** Another form of one. */
const char *oc__say_form(const oc_words *w, oc__arena *arena, const char *name,
                         oc__form form);
/** "a, b and c". */
const char *oc__say_list(const oc_words *w, oc__arena *arena,
                         const char *const *items, int n);
/** The same text with its first letter large. */
const char *oc__say_large(oc__arena *arena, const char *text);

#endif
