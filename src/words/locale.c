/* locale.c - languages come and go, and give their words. */
#include "words/locale.h"

#include "base/file.h"
#include "base/size.h"
#include "base/text_number.h"
#include "base/unicode.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* clang-format off */
const oc__message oc__messages[] = {
    {"list.two", "{a} {b}", 0},
    {"list.middle", "{a} {b}", 0},
    {"list.end", "{a} {b}", 0},
    {"brief.join", "{a} {b}", 0},
    {"brief.thing", "{noun} {places} {traits}", 0},
    {"brief.maybe", "{list}", 0},
    {"brief.area", "{name} {place} {percent}", 0},
    {"full.one", "{noun} {clock} {traits} {relation}", 0},
    {"full.many", "{noun} {parts} {traits} {relation}", 0},
    {"full.part", "{noun} {n} {clock}", 0},
    {"full.maybe", "{list}", 0},
    {"full.areas", "{list}", 0},
    {"full.area", "{name} {percent}", 0},
    {"sentence", "{text}", 0},
    {"traits", "{list}", 0},
    {"either", "{noun} {other}", 0},
    {"more", "{n}", 1},
    {"thing", "{label} {n}", 1},
    {"thing.name", "{label}", 0},
    {"place.left", "", 0},
    {"place.ahead", "", 0},
    {"place.right", "", 0},
    {"clock", "{hour}", 0},
    {"near.touch", "", 0},
    {"near.close", "", 0},
    {"near.middle", "", 0},
    {"near.far", "", 0},
    {"near.some", "{near}", 0},
    {"extent.small", "", 0},
    {"extent.large", "", 0},
    {"extent.filling", "", 0},
    {"relation.with", "{thing}", 0},
    {"relation.front", "{thing}", 0},
    {"relation.behind", "{thing}", 0},
    {"relation.overlaps", "{thing}", 0},
    {"relation.all", "{relation}", 0},
    {"relation.some", "{n} {relation}", 1},
    {"whole.sure", "{label}", 0},
    {"whole.maybe", "{label}", 0},
    {"nothing", "", 0},
    {"news.gone", "{noun}", 0},
};
/* clang-format on */
const int oc__message_count = (int)OC_COUNT(oc__messages);

/* ---- loading --------------------------------------------------------------
 */

static oc_status make(oc_words **out, const char *text, size_t bytes,
                      const oc_allocator *allocator, oc_error *err) {
    if (!allocator) allocator = &oc__default_allocator;
    oc_words *w = oc__calloc(allocator, 1, sizeof *w);
    if (!w) return oc__fail_nomem(err);
    w->allocator = *allocator;
    oc__arena_init(&w->arena, &w->allocator);
    oc_status st = oc__locale_read(w, text, bytes, err);
    if (st)
        oc_words_destroy(w);
    else
        *out = w;
    return st;
}

oc_status oc_words_parse(oc_words **out, const char *text, size_t bytes,
                         const oc_allocator *allocator, oc_error *err) {
    oc_words *w = NULL, *english = NULL;
    OC_TRY(make(&w, text, bytes, allocator, err));
    oc_status st =
        make(&english, oc__locale_en, oc__locale_en_bytes, allocator, err);
    if (st) {
        oc_words_destroy(w);
        return st;
    }
    w->english = english;
    *out = w;
    return OC_OK;
}

void oc_words_destroy(oc_words *w) {
    if (!w) return;
    oc_allocator allocator = w->allocator;
    oc_words_destroy(w->english);
    oc__arena_deinit(&w->arena);
    oc__release(&allocator, w, sizeof *w);
}

static oc_status load_file(oc_words **out, const char *path,
                           const oc_allocator *allocator, oc_error *err) {
    oc__file file;
    OC_TRY(oc__file_map(&file, path, OC_LOCALE_MAX_BYTES, err));
    oc_status st = oc_words_parse(out, (const char *)file.data, file.bytes,
                                  allocator, err);
    oc__file_unmap(&file);
    if (st && st != OC_E_NOMEM) oc__error_prefix(err, path);
    return st;
}

static int is_tag(const char *locale) {
    size_t n = strlen(locale);
    if (!n || n > 35) return 0;
    return strspn(locale, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                          "0123456789-_") == n;
}

static int is_there(const char *path) {
    FILE *f = fopen(path, "rb");
    if (f) fclose(f);
    return f != NULL;
}

/* FOLDER/de-AT.txt, else FOLDER/de.txt; nonzero: neither is there. */
static int find_file(char *path, size_t room, const char *folder,
                     const char *locale) {
    size_t full = strlen(locale), bare = strcspn(locale, "-_");
    for (size_t n = full; n;) {
        int k = snprintf(path, room, "%s/%.*s.txt", folder, (int)n, locale);
        if (k > 0 && (size_t)k < room && is_there(path)) return 0;
        n = n == bare ? 0 : bare;
    }
    return 1;
}

oc_status oc_words_load(oc_words **out, const char *locale, const char *folder,
                        const oc_allocator *allocator, oc_error *err) {
    char path[4096];
    if (!locale) locale = "en";
    if (strchr(locale, '/')) return load_file(out, locale, allocator, err);
    if (!is_tag(locale))
        return oc__fail(err, OC_E_ARG,
                        "\"%.40s\" is no language; \"de\" or \"pt-BR\" is one",
                        locale);
    if (folder && !find_file(path, sizeof path, folder, locale))
        return load_file(out, path, allocator, err);
    if (!strncmp(locale, "en", 2) && strcspn(locale, "-_") == 2)
        return make(out, oc__locale_en, oc__locale_en_bytes, allocator, err);
    return oc__fail(err, OC_E_ARG,
                    "there is no language \"%s\"%s%.200s; name a file of words "
                    "as ./%s.txt, or use en",
                    locale, folder ? " in " : "", folder ? folder : "", locale);
}

const char *oc_words_locale(const oc_words *w) {
    return w->locale;
}

const char *oc_words_plural(const oc_words *w, int64_t n) {
    return oc__plural_names[oc__plural_of(w->rules, n)];
}

/* ---- messages -------------------------------------------------------------
 */

static int find_message(const char *key) {
    for (int i = 0; i < oc__message_count; i++) {
        if (!strcmp(oc__messages[i].key, key)) return i;
    }
    assert(!"a message that is not in the table");
    return 0;
}

static const char *text_for(const oc__hole *holes, int n, const char *name,
                            size_t length) {
    for (int i = 0; i < n; i++) {
        if (strlen(holes[i].name) == length &&
            !memcmp(holes[i].name, name, length))
            return holes[i].text;
    }
    return ""; /* the reader has let no other hole pass */
}

/*
 * Fills the holes of text into out, or only measures where out is NULL.
 * SIZE_MAX: the text of a hole is missing.
 */
static size_t fill(char *out, const char *text, const oc__hole *holes, int n) {
    size_t used = 0;
    while (*text) {
        size_t length = strcspn(text, "{");
        if (out) memcpy(out + used, text, length);
        used += length;
        text += length;
        if (!*text) break;
        length = strcspn(++text, "}");
        const char *value = text_for(holes, n, text, length);
        if (!value) return SIZE_MAX;
        text += length + (text[length] == '}');
        length = strlen(value);
        if (out) memcpy(out + used, value, length);
        used += length;
    }
    return used;
}

static const char *filled(oc__arena *arena, const char *text,
                          const oc__hole *holes, int n) {
    size_t length = fill(NULL, text, holes, n);
    if (length == SIZE_MAX) return NULL;
    char *out = oc__arena_alloc_raw(arena, length + 1);
    if (!out) return NULL;
    fill(out, text, holes, n);
    out[length] = '\0';
    return out;
}

const char *oc__say(const oc_words *w, oc__arena *arena, const char *key,
                    const oc__hole *holes, int n) {
    int i = find_message(key);
    const char *text = w->messages[i][OC_PLURAL_OTHER];
    if (!text && w->english) return oc__say(w->english, arena, key, holes, n);
    return filled(arena, text ? text : "", holes, n);
}

const char *oc__say_number(const oc_words *w, oc__arena *arena, int64_t n) {
    char digits[OC_NUMBER_TEXT_BYTES];
    if (n >= 0 && n < OC_LOCALE_NUMBERS && w->numbers[n]) return w->numbers[n];
    size_t length = oc__text_from_i64(n, digits);
    return oc__arena_strndup(arena, digits, length);
}

/* Holes with {n} before them; they are few. */
static const char *filled_count(const oc_words *w, oc__arena *arena,
                                const char *text, int64_t n,
                                const oc__hole *holes, int n_holes) {
    oc__hole all[8] = {{"n", oc__say_number(w, arena, n)}};
    assert(n_holes < (int)OC_COUNT(all));
    for (int i = 0; i < n_holes; i++) {
        all[i + 1] = holes[i];
    }
    return filled(arena, text, all, n_holes + 1);
}

const char *oc__say_count(const oc_words *w, oc__arena *arena, const char *key,
                          int64_t n, const oc__hole *holes, int n_holes) {
    const char *const *forms = w->messages[find_message(key)];
    const char *text = forms[oc__plural_of(w->rules, n)];
    if (!text) text = forms[OC_PLURAL_OTHER];
    if (!text && w->english)
        return oc__say_count(w->english, arena, key, n, holes, n_holes);
    return filled_count(w, arena, text ? text : "", n, holes, n_holes);
}

/* ---- nouns ----------------------------------------------------------------
 */

static int compare_rows(const void *key, const void *row) {
    return strcmp(key, ((const oc__label_row *)row)->name);
}

static const oc__label_row *find_label(const oc_words *w, const char *name) {
    if (!w->n_labels) return NULL;
    return bsearch(name, w->labels, w->n_labels, sizeof *w->labels,
                   compare_rows);
}

const char *oc__say_noun(const oc_words *w, oc__arena *arena, const char *name,
                         int64_t n) {
    const oc__label_row *row = find_label(w, name);
    if (!row && w->english && find_label(w->english, name))
        return oc__say_noun(w->english, arena, name, n);
    if (!row) {
        oc__hole label = {"label", name};
        return oc__say_count(w, arena, "thing", n, &label, 1);
    }
    const char *text = row->counted[oc__plural_of(w->rules, n)];
    if (!text) text = row->counted[OC_PLURAL_OTHER];
    if (!text) text = row->name_form;
    return filled_count(w, arena, text, n, NULL, 0);
}

const char *oc__say_form(const oc_words *w, oc__arena *arena, const char *name,
                         oc__form form) {
    const oc__label_row *row = find_label(w, name);
    if (!row && w->english && find_label(w->english, name))
        return oc__say_form(w->english, arena, name, form);
    if (!row) return OC_SAY(w, arena, "thing.name", {"label", name});
    return form == OC_FORM_BY    ? row->by_form
           : form == OC_FORM_THE ? row->the_form
                                 : row->name_form;
}

/* ---- putting together -----------------------------------------------------
 */

const char *oc__say_list(const oc_words *w, oc__arena *arena,
                         const char *const *items, int n) {
    if (n < 1) return "";
    const char *text = items[0];
    for (int i = 1; i < n; i++) {
        const char *how = n == 2       ? "list.two"
                          : i == n - 1 ? "list.end"
                                       : "list.middle";
        text = OC_SAY(w, arena, how, {"a", text}, {"b", items[i]});
    }
    return text;
}

const char *oc__say_large(oc__arena *arena, const char *text) {
    char letter[8];
    if (!text || !*text) return text;
    const char *rest = text;
    uint32_t c = oc__utf8_next(&rest, text + strlen(text));
    int n = oc__utf8_put(letter, oc__unicode_upper(c));
    size_t left = strlen(rest);
    char *out = oc__arena_alloc_raw(arena, (size_t)n + left + 1);
    if (!out) return NULL;
    memcpy(out, letter, (size_t)n);
    memcpy(out + n, rest, left + 1);
    return out;
}
