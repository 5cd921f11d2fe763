/* locale_read.c - a language from its text; the form is in locale.h. */
#include "words/locale.h"

#include "base/size.h"
#include "base/unicode.h"

#include <stdlib.h>
#include <string.h>

typedef struct span {
    const char *s;
    size_t n;
} span;

typedef struct reader {
    oc_words *w;
    oc_error *err;
    int line;
    int in_labels;
    int n_columns;
    /* What a column is: a plural category, or one of these. */
    int columns[OC_LOCALE_MAX_COLUMNS];
} reader;

enum {
    COLUMN_NAME = OC_PLURAL_COUNT,
    COLUMN_BY,
    COLUMN_THE,
    COLUMN_KINDS,
    LOCALE_MAX_TAG = 35
};

static oc_status wrong(const reader *r, oc_status st, const char *what,
                       span where) {
    return oc__fail(r->err, st, "line %d: %s: \"%.*s\"", r->line, what,
                    (int)OC_MIN(where.n, (size_t)60), where.s);
}

static span trimmed(span t) {
    while (t.n && (*t.s == ' ' || *t.s == '\t'))
        t.s++, t.n--;
    while (t.n && strchr(" \t\r", t.s[t.n - 1]))
        t.n--;
    return t;
}

/* What stands before `sign`; *rest what stands behind it. */
static span cut(span t, char sign, span *rest) {
    const char *at = t.n ? memchr(t.s, sign, t.n) : NULL;
    if (!at) {
        *rest = (span){t.s + t.n, 0};
        return t;
    }
    *rest = (span){at + 1, t.n - (size_t)(at - t.s) - 1};
    return (span){t.s, (size_t)(at - t.s)};
}

static int is(span t, const char *text) {
    return strlen(text) == t.n && !memcmp(t.s, text, t.n);
}

static int begins(span t, const char *text) {
    size_t n = strlen(text);
    return t.n > n && !memcmp(t.s, text, n);
}

/* Texts are spoken and shown: no control characters, and UTF-8 only. */
static int is_text(const char *s, size_t n) {
    for (const char *at = s, *end = s + n; at < end;) {
        const char *before = at;
        uint32_t c = oc__utf8_next(&at, end);
        if (c == OC_UNICODE_BAD && at - before == 1) return 0;
        if ((c < 0x20 && c != '\t' && c != '\r') || c == 0x7f) return 0;
    }
    return 1;
}

static oc_status keep(reader *r, span t, const char **out) {
    *out = oc__arena_strndup(&r->w->arena, t.s, t.n);
    return *out ? OC_OK : oc__fail_nomem(r->err);
}

/* Every {hole} must be one of those the message has. */
static oc_status check_holes(const reader *r, span t, const char *holes) {
    for (size_t i = 0; i < t.n; i++) {
        if (t.s[i] == '}') return wrong(r, OC_E_FORMAT, "} without {", t);
        if (t.s[i] != '{') continue;
        size_t begin = i;
        while (i < t.n && t.s[i] != '}')
            i++;
        if (i == t.n) return wrong(r, OC_E_FORMAT, "{ without }", t);
        span hole = {t.s + begin, i - begin + 1};
        char text[24];
        if (hole.n < sizeof text) {
            memcpy(text, hole.s, hole.n);
            text[hole.n] = '\0';
            if (strstr(holes, text)) continue;
        }
        return wrong(r, OC_E_FORMAT, "nothing fills", hole);
    }
    return OC_OK;
}

/* ---- messages -------------------------------------------------------------
 */

static oc_status twice(const reader *r, span key) {
    return wrong(r, OC_E_FORMAT, "it stands there twice", key);
}

static oc_status read_rule(reader *r, span key, span category, span value) {
    int p = oc__plural_find(category.s, category.n);
    if (p < 0 || p == OC_PLURAL_OTHER)
        return wrong(r, OC_E_FORMAT, "a rule is for zero, one, two, few, many",
                     key);
    if (r->w->rules[p].n) return twice(r, key);
    oc_status st = oc__plural_parse(&r->w->rules[p], &r->w->arena, value.s,
                                    value.n, r->err);
    char line[32] = "line ";
    if (!st || !r->err) return st;
    /* The sentence of the rule, with its line. */
    int digits = 5;
    for (int n = r->line, i = 1000000; i; i /= 10) {
        if (n >= i) line[digits++] = (char)('0' + n / i % 10);
    }
    line[digits] = '\0';
    oc__error_prefix(r->err, line);
    return st;
}

/* number.2 = two */
static oc_status read_number(reader *r, span key, span digits, span value) {
    int n = 0;
    for (size_t i = 0; i < digits.n && n < OC_LOCALE_NUMBERS; i++) {
        if (digits.s[i] < '0' || digits.s[i] > '9')
            n = OC_LOCALE_NUMBERS;
        else
            n = n * 10 + (digits.s[i] - '0');
    }
    if (n >= OC_LOCALE_NUMBERS)
        return wrong(r, OC_E_FORMAT, "words are for numbers up to 12", key);
    if (r->w->numbers[n]) return twice(r, key);
    OC_TRY(check_holes(r, value, ""));
    return keep(r, value, &r->w->numbers[n]);
}

/* Number of the message; *category of its plural. -1: there is none. */
static int find_key(span key, int *category) {
    for (int i = 0; i < oc__message_count; i++) {
        const oc__message *m = &oc__messages[i];
        *category = OC_PLURAL_OTHER;
        if (!m->is_plural && is(key, m->key)) return i;
        size_t n = strlen(m->key);
        if (!m->is_plural || !begins(key, m->key) || key.s[n] != '.') continue;
        *category = oc__plural_find(key.s + n + 1, key.n - n - 1);
        if (*category >= 0) return i;
    }
    return -1;
}

static oc_status read_message(reader *r, span key, span value) {
    span rest = {key.s + 7, key.n < 7 ? 0 : key.n - 7};
    int category;
    if (is(key, "locale")) {
        if (r->w->locale) return twice(r, key);
        if (!value.n || value.n > LOCALE_MAX_TAG)
            return wrong(r, OC_E_FORMAT, "it is no language's tag", value);
        OC_TRY(check_holes(r, value, ""));
        return keep(r, value, &r->w->locale);
    }
    if (begins(key, "plural.")) return read_rule(r, key, rest, value);
    if (begins(key, "number.")) return read_number(r, key, rest, value);
    int i = find_key(key, &category);
    if (i < 0) return wrong(r, OC_E_FORMAT, "there is no such message", key);
    if (r->w->messages[i][category]) return twice(r, key);
    OC_TRY(check_holes(r, value, oc__messages[i].holes));
    return keep(r, value, &r->w->messages[i][category]);
}

/* ---- labels ---------------------------------------------------------------
 */

/* [labels name one other the] */
static oc_status read_section(reader *r, span line) {
    span rest, word, all = {line.s + 1, line.n - 2};
    int seen[COLUMN_KINDS] = {0};
    if (line.n < 2 || line.s[line.n - 1] != ']')
        return wrong(r, OC_E_FORMAT, "[ without ]", line);
    word = cut(trimmed(all), ' ', &rest);
    r->in_labels = is(word, "labels");
    if (is(word, "messages") && !trimmed(rest).n) return OC_OK;
    if (!r->in_labels)
        return wrong(r, OC_E_FORMAT, "there is no such section", line);
    for (r->n_columns = 0; (rest = trimmed(rest)).n;) {
        word = cut(rest, ' ', &rest);
        int kind = is(word, "name")  ? (int)COLUMN_NAME
                   : is(word, "by")  ? (int)COLUMN_BY
                   : is(word, "the") ? (int)COLUMN_THE
                                     : oc__plural_find(word.s, word.n);
        if (kind < 0) return wrong(r, OC_E_FORMAT, "no such column", word);
        if (seen[kind]++) return twice(r, word);
        r->columns[r->n_columns++] = kind;
    }
    if (r->n_columns) return OC_OK;
    return wrong(r, OC_E_FORMAT, "labels need columns", line);
}

static oc_status add_row(reader *r, oc__label_row **out) {
    oc_words *w = r->w;
    if (w->n_labels == w->room_labels) {
        size_t room = w->room_labels ? 2 * w->room_labels : 128;
        oc__label_row *more = oc__arena_array(&w->arena, room, sizeof *more);
        if (!more) return oc__fail_nomem(r->err);
        if (w->n_labels) memcpy(more, w->labels, w->n_labels * sizeof *more);
        w->labels = more;
        w->room_labels = room;
    }
    *out = &w->labels[w->n_labels++];
    memset(*out, 0, sizeof **out);
    return OC_OK;
}

static oc_status read_label(reader *r, span key, span value) {
    const char *forms[COLUMN_KINDS] = {NULL}, *last = NULL, *first = NULL;
    oc__label_row *row = NULL;
    for (int i = 0; i < r->n_columns; i++) {
        span form = trimmed(cut(value, '|', &value));
        int kind = r->columns[i];
        if (form.n) {
            OC_TRY(check_holes(r, form, kind < OC_PLURAL_COUNT ? "{n}" : ""));
            OC_TRY(keep(r, form, &last));
        }
        if (!last)
            return wrong(r, OC_E_FORMAT, "the first form is missing", key);
        if (!first) first = last;
        forms[kind] = last;
    }
    if (value.n) return wrong(r, OC_E_FORMAT, "more forms than columns", key);
    OC_TRY(add_row(r, &row));
    OC_TRY(keep(r, key, &row->name));
    memcpy(row->counted, forms, sizeof row->counted);
    const char *bare = forms[COLUMN_NAME] ? forms[COLUMN_NAME] : first;
    row->name_form = bare;
    row->by_form = forms[COLUMN_BY]       ? forms[COLUMN_BY]
                   : forms[OC_PLURAL_ONE] ? forms[OC_PLURAL_ONE]
                                          : bare;
    row->the_form = forms[COLUMN_THE] ? forms[COLUMN_THE] : row->by_form;
    return OC_OK;
}

/* ---- all of it ------------------------------------------------------------
 */

static int compare_rows(const void *a, const void *b) {
    return strcmp(((const oc__label_row *)a)->name,
                  ((const oc__label_row *)b)->name);
}

static oc_status sort_labels(reader *r) {
    oc_words *w = r->w;
    if (!w->n_labels) return OC_OK;
    qsort(w->labels, w->n_labels, sizeof *w->labels, compare_rows);
    for (size_t i = 1; i < w->n_labels; i++) {
        if (!strcmp(w->labels[i - 1].name, w->labels[i].name))
            return oc__fail(r->err, OC_E_FORMAT,
                            "the label \"%.60s\" stands there twice",
                            w->labels[i].name);
    }
    return OC_OK;
}

static oc_status read_line(reader *r, span line) {
    span value;
    if (!is_text(line.s, line.n))
        return oc__fail(r->err, OC_E_FORMAT,
                        "line %d: it is no UTF-8 text, or has control "
                        "characters",
                        r->line);
    line = trimmed(line);
    if (!line.n || *line.s == '#') return OC_OK;
    if (*line.s == '[') return read_section(r, line);
    if (!memchr(line.s, '=', line.n))
        return wrong(r, OC_E_FORMAT, "no = in it", line);
    span key = trimmed(cut(line, '=', &value));
    value = trimmed(value);
    if (!key.n) return wrong(r, OC_E_FORMAT, "nothing before the =", line);
    return r->in_labels ? read_label(r, key, value)
                        : read_message(r, key, value);
}

oc_status oc__locale_read(oc_words *w, const char *text, size_t bytes,
                          oc_error *err) {
    reader r = {w, err, 0, 0, 0, {0}};
    span rest = {text, bytes};
    if (bytes > OC_LOCALE_MAX_BYTES)
        return oc__fail(err, OC_E_LIMIT, "words are larger than %zu bytes",
                        OC_LOCALE_MAX_BYTES);
    w->messages = oc__arena_array(&w->arena, (size_t)oc__message_count,
                                  sizeof *w->messages);
    if (!w->messages) return oc__fail_nomem(err);
    if (rest.n >= 3 && !memcmp(rest.s, "\xef\xbb\xbf", 3))
        rest.s += 3, rest.n -= 3; /* an editor's byte order mark */
    while (rest.n) {
        r.line++;
        OC_TRY(read_line(&r, cut(rest, '\n', &rest)));
    }
    if (!w->locale)
        return oc__fail(err, OC_E_FORMAT,
                        "they do not say which language they are: \"locale = "
                        "de\" is missing");
    return sort_labels(&r);
}
