/* regex_parse.c - RE2's syntax; see regex.h. */
#include "base/regex_tree.h"

#include "base/size.h"

#include <stdlib.h>
#include <string.h>

enum {
    MAX_DEPTH = 200,   /* of nested groups */
    MAX_REPEAT = 1000, /* in {n,m}, as RE2 */
    MAX_BYTES = 1 << 16,
};

enum { FOLD = 1, LINES = 2, DOT_ALL = 4 }; /* (?i) (?m) (?s) */

typedef struct parser {
    oc__arena *arena;
    oc_error *err;
    const char *begin, *at, *end;
    unsigned flags;
    int depth;
} parser;

/* Every syntax error says what and where. */
static oc_status bad(const parser *p, const char *what) {
    return oc__fail_at(p->err, OC_E_FORMAT, p->at - p->begin,
                       "regular expression: %s at byte %zu", what,
                       (size_t)(p->at - p->begin));
}

static int peek(const parser *p, const char *s) {
    size_t n = strlen(s);
    return (size_t)(p->end - p->at) >= n && memcmp(p->at, s, n) == 0;
}

static int take(parser *p, const char *s) {
    if (!peek(p, s)) return 0;
    p->at += strlen(s);
    return 1;
}

static oc_status make_node(parser *p, oc__regex_kind kind,
                           oc__regex_node **out) {
    *out = oc__arena_alloc(p->arena, sizeof(oc__regex_node));
    if (!*out) return oc__fail_nomem(p->err);
    (*out)->kind = kind;
    return OC_OK;
}

static void append(oc__regex_node *parent, oc__regex_node *child) {
    if (parent->last)
        parent->last->next = child;
    else
        parent->child = child;
    parent->last = child;
}

static oc_status next_point(parser *p, uint32_t *c) {
    const char *start = p->at;
    if (p->at == p->end) return bad(p, "it ends too early");
    *c = oc__utf8_next(&p->at, p->end);
    if (*c == OC_UNICODE_BAD && p->at - start == 1) {
        p->at = start;
        return bad(p, "invalid UTF-8");
    }
    return OC_OK;
}

/* ---- sets ---------------------------------------------------------------- */

typedef struct set {
    parser *p;
    oc__regex_range *r;
    size_t n, capacity;
    int failed; /* out of memory, told at the end */
} set;

/* Sets grow in the arena; what they outgrow is lost until the end. */
static void set_add(void *user, uint32_t first, uint32_t last) {
    set *s = user;
    if (s->failed) return;
    if (s->n == s->capacity) {
        size_t capacity = s->capacity ? s->capacity * 2 : 8;
        oc__regex_range *r = oc__arena_array(s->p->arena, capacity, sizeof(*r));
        if (!r) {
            s->failed = 1;
            return;
        }
        if (s->n) memcpy(r, s->r, s->n * sizeof(*r));
        s->r = r;
        s->capacity = capacity;
    }
    s->r[s->n].first = first;
    s->r[s->n++].last = last;
}

/* With (?i) a range brings the ranges that differ from it in case. */
static void set_add_cased(void *user, uint32_t first, uint32_t last) {
    set *s = user;
    if (s->p->flags & FOLD) oc__unicode_fold(first, last, set_add, s);
    set_add(s, first, last);
}

static int compare_ranges(const void *a, const void *b) {
    const oc__regex_range *x = a, *y = b;
    return (x->first > y->first) - (x->first < y->first);
}

/* Sorts and joins what overlaps or touches. */
static void set_tidy(set *s) {
    size_t n = 0;
    if (s->n) qsort(s->r, s->n, sizeof(*s->r), compare_ranges);
    for (size_t i = 0; i < s->n; i++) {
        oc__regex_range r = s->r[i];
        if (n && r.first <= s->r[n - 1].last + 1)
            s->r[n - 1].last = OC_MAX(s->r[n - 1].last, r.last);
        else
            s->r[n++] = r;
    }
    s->n = n;
}

/* Adds everything that is not in `no`, which is tidy. */
static void set_add_others(set *s, const set *no) {
    uint32_t from = 0;
    for (size_t i = 0; i < no->n; i++) {
        if (no->r[i].first > from) set_add(s, from, no->r[i].first - 1);
        from = no->r[i].last + 1;
    }
    if (from <= OC_UNICODE_MAX) set_add(s, from, OC_UNICODE_MAX);
}

/* Closes a set.  Negation comes last: [^a] under (?i) excludes A as well. */
static oc_status set_node(parser *p, set *s, int negate, oc__regex_node **out) {
    set others = {.p = p};
    set_tidy(s);
    if (negate) {
        set_add_others(&others, s);
        if (!s->failed) *s = others;
    }
    if (s->failed) return oc__fail_nomem(p->err);
    OC_TRY(make_node(p, OC_REGEX_SET, out));
    (*out)->ranges = s->r;
    (*out)->n_ranges = s->n;
    return OC_OK;
}

static oc_status point_node(parser *p, uint32_t c, oc__regex_node **out) {
    set s = {.p = p};
    set_add_cased(&s, c, c);
    return set_node(p, &s, 0, out);
}

/* ---- named classes ------------------------------------------------------- */

/* Ranges of ASCII as pairs of characters. */
static const struct {
    const char *name, *ranges;
} ascii_classes[] = {
    {"alnum", "09AZaz"},
    {"alpha", "AZaz"},
    {"ascii", "\x01\x7f"},
    {"blank", "\t\t  "},
    {"cntrl", "\x01\x1f\x7f\x7f"},
    {"digit", "09"},
    {"graph", "!~"},
    {"lower", "az"},
    {"print", " ~"},
    {"punct", "!/:@[`{~"},
    {"space", "\t\r  "},
    {"upper", "AZ"},
    {"word", "09AZaz__"},
    {"xdigit", "09AFaf"},
};

static void add_pairs(set *s, const char *ranges) {
    for (; *ranges; ranges += 2)
        set_add_cased(s, (unsigned char)ranges[0], (unsigned char)ranges[1]);
}

/* `inner`, or all but it, goes to `to`. */
static void set_join(set *to, set *inner, int negate) {
    set_tidy(inner);
    if (inner->failed) to->failed = 1;
    if (negate) {
        set_add_others(to, inner);
        return;
    }
    for (size_t i = 0; i < inner->n; i++)
        set_add(to, inner->r[i].first, inner->r[i].last);
}

/* \d \s \w and their opposites, \p; *done 0 when none stands here. */
static oc_status parse_class_escape(parser *p, set *s, int *done) {
    set inner = {.p = p};
    int negate = 0;
    *done = 0;
    if (p->end - p->at < 2 || p->at[0] != '\\') return OC_OK;
    switch (p->at[1]) {
    case 'D': negate = 1; /* fall through */
    case 'd': add_pairs(&inner, "09"); break;
    case 'S': negate = 1; /* fall through */
    case 's': add_pairs(&inner, "\t\n\f\r  "); break;
    case 'W': negate = 1; /* fall through */
    case 'w': add_pairs(&inner, "09AZaz__"); break;
    case 'P': negate = 1; /* fall through */
    case 'p': {
        const char *start = p->at, *name, *stop;
        p->at += 2;
        if (take(p, "{")) {
            if (take(p, "^")) negate = !negate;
            name = p->at;
            stop = memchr(name, '}', (size_t)(p->end - name));
            if (!stop) return bad(p, "\\p{ without }");
            p->at = stop + 1;
        } else {
            uint32_t c;
            name = p->at;
            OC_TRY(next_point(p, &c));
            stop = p->at;
        }
        if (oc__unicode_class(name, (size_t)(stop - name), set_add_cased,
                              &inner)) {
            p->at = start;
            return bad(p, "unknown Unicode class");
        }
        p->at -= 2; /* stepped over again below */
        break;
    }
    default: return OC_OK;
    }
    p->at += 2;
    set_join(s, &inner, negate);
    *done = 1;
    return OC_OK;
}

/* [:name:] or [:^name:] inside brackets. */
static oc_status parse_ascii_class(parser *p, set *s) {
    set inner = {.p = p};
    p->at += 2;
    int negate = take(p, "^");
    for (size_t i = 0; i < OC_COUNT(ascii_classes); i++) {
        const char *name = ascii_classes[i].name;
        size_t n = strlen(name);
        if ((size_t)(p->end - p->at) < n + 2 || memcmp(p->at, name, n) != 0 ||
            memcmp(p->at + n, ":]", 2) != 0)
            continue;
        p->at += n + 2;
        add_pairs(&inner, ascii_classes[i].ranges);
        /* The tables cannot hold a zero. */
        if (!strcmp(name, "ascii") || !strcmp(name, "cntrl"))
            set_add(&inner, 0, 0);
        set_join(s, &inner, negate);
        return OC_OK;
    }
    return bad(p, "unknown class in [: :]");
}

/* ---- escapes ------------------------------------------------------------- */

static int hex_value(int c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

/* Behind \x: two digits, or any number in braces. */
static oc_status parse_hex(parser *p, uint32_t *c) {
    int braces = take(p, "{"), digits = 0;
    *c = 0;
    while (p->at < p->end && (braces || digits < 2)) {
        int v = hex_value((unsigned char)*p->at);
        if (v < 0) break;
        *c = *c * 16 + (uint32_t)v;
        if (*c > OC_UNICODE_MAX) return bad(p, "no such code point");
        p->at++;
        digits++;
    }
    if ((braces ? digits < 1 : digits < 2) || (braces && !take(p, "}")))
        return bad(p, "malformed \\x");
    return OC_OK;
}

/* An escape that stands for one code point; *p->at is behind the \. */
static oc_status parse_escape(parser *p, uint32_t *c) {
    static const char names[] = "afnrtv", values[] = "\a\f\n\r\t\v";
    const char *start = p->at;
    OC_TRY(next_point(p, c));
    if (*c == 'x') return parse_hex(p, c);
    if (*c >= '0' && *c <= '7') {
        /* \1 to \7 alone would be a backreference. */
        int more = p->at < p->end && *p->at >= '0' && *p->at <= '7';
        if (*c != '0' && !more) {
            p->at = start;
            return bad(p, "backreferences are not in the syntax");
        }
        *c -= '0';
        for (int i = 0;
             i < 2 && p->at < p->end && *p->at >= '0' && *p->at <= '7'; i++)
            *c = *c * 8 + (uint32_t)(*p->at++ - '0');
        return OC_OK;
    }
    const char *name = *c && *c < 0x80 ? strchr(names, (int)*c) : NULL;
    if (name) {
        *c = (uint32_t)values[name - names];
        return OC_OK;
    }
    int letter = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') ||
                 (*c >= '0' && *c <= '9');
    if (letter || *c >= 0x80) {
        p->at = start;
        if (*c == 'C')
            return oc__fail_at(p->err, OC_E_UNSUPPORTED, start - p->begin,
                               "regular expression: \\C, a single byte, is "
                               "not supported");
        return bad(p, "unknown escape");
    }
    return OC_OK;
}

/* ---- brackets ------------------------------------------------------------ */

static oc_status parse_set_point(parser *p, uint32_t *c) {
    if (take(p, "\\")) return parse_escape(p, c);
    return next_point(p, c);
}

/* A ] that comes first, and a - at either end, stand for themselves. */
static oc_status parse_brackets(parser *p, oc__regex_node **out) {
    set s = {.p = p};
    const char *start = p->at++;
    int negate = take(p, "^"), first = 1;
    for (;; first = 0) {
        uint32_t lo, hi;
        int done;
        if (p->at == p->end) {
            p->at = start;
            return bad(p, "[ without ]");
        }
        if (!first && take(p, "]")) return set_node(p, &s, negate, out);
        if (peek(p, "[:")) {
            OC_TRY(parse_ascii_class(p, &s));
            continue;
        }
        OC_TRY(parse_class_escape(p, &s, &done));
        if (done) continue;
        OC_TRY(parse_set_point(p, &lo));
        hi = lo;
        if (peek(p, "-") && p->end - p->at > 1 && p->at[1] != ']') {
            p->at++;
            OC_TRY(parse_set_point(p, &hi));
            if (hi < lo) return bad(p, "a range that runs backwards");
        }
        set_add_cased(&s, lo, hi);
    }
}

/* ---- groups, atoms ------------------------------------------------------- */

static oc_status parse_alt(parser *p, oc__regex_node **out);

static int is_name_char(int c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
           (c >= 'A' && c <= 'Z') || c == '_' || c >= 0x80;
}

/* Behind (?: flags and a : or a ).  *closed: it was the ). */
static oc_status parse_flags(parser *p, int *closed) {
    unsigned flags = p->flags;
    int minus = 0;
    for (; p->at < p->end; p->at++) {
        unsigned f = 0;
        switch (*p->at) {
        case 'i': f = FOLD; break;
        case 'm': f = LINES; break;
        case 's': f = DOT_ALL; break;
        case 'U': break; /* laziness is no matter here */
        case '-':
            if (minus) return bad(p, "two - among flags");
            minus = 1;
            break;
        case ':':
        case ')':
            *closed = *p->at++ == ')';
            p->flags = flags;
            return OC_OK;
        default: return bad(p, "unknown flag");
        }
        flags = minus ? flags & ~f : flags | f;
    }
    return bad(p, "( without )");
}

/* Captures and plain groups are the same here; look-around and references
   are not in the syntax and fail as unknown flags. */
static oc_status parse_group(parser *p, oc__regex_node **out) {
    unsigned outside = p->flags;
    const char *start = p->at++;
    if (take(p, "?P<") || (peek(p, "?<") && !peek(p, "?<=") &&
                           !peek(p, "?<!") && take(p, "?<"))) {
        const char *name = p->at;
        while (p->at < p->end && is_name_char((unsigned char)*p->at))
            p->at++;
        if (p->at == name || !take(p, ">"))
            return bad(p, "a group's name is malformed");
    } else if (take(p, "?")) {
        int closed = 0;
        OC_TRY(parse_flags(p, &closed));
        /* (?i) holds to the end of the group around it. */
        if (closed) return make_node(p, OC_REGEX_EMPTY, out);
    }
    if (++p->depth > MAX_DEPTH)
        return oc__fail_at(p->err, OC_E_LIMIT, start - p->begin,
                           "regular expression: more than %d nested groups",
                           MAX_DEPTH);
    OC_TRY(parse_alt(p, out));
    p->depth--;
    p->flags = outside;
    if (take(p, ")")) return OC_OK;
    p->at = start;
    return bad(p, "( without )");
}

static oc_status assert_node(parser *p, oc__regex_place place,
                             oc__regex_node **out) {
    OC_TRY(make_node(p, OC_REGEX_ASSERT, out));
    (*out)->place = place;
    return OC_OK;
}

/* \Q...\E: all of it as it stands. */
static oc_status parse_quoted(parser *p, oc__regex_node **out) {
    OC_TRY(make_node(p, OC_REGEX_CAT, out));
    while (p->at < p->end && !take(p, "\\E")) {
        oc__regex_node *n;
        uint32_t c;
        OC_TRY(next_point(p, &c));
        OC_TRY(point_node(p, c, &n));
        append(*out, n);
    }
    return OC_OK;
}

static oc_status parse_backslash(parser *p, oc__regex_node **out) {
    set s = {.p = p};
    uint32_t c;
    int done;
    OC_TRY(parse_class_escape(p, &s, &done));
    if (done) return set_node(p, &s, 0, out);
    if (take(p, "\\A")) return assert_node(p, OC_REGEX_TEXT_BEGIN, out);
    if (take(p, "\\z")) return assert_node(p, OC_REGEX_TEXT_END, out);
    if (take(p, "\\b")) return assert_node(p, OC_REGEX_WORD_EDGE, out);
    if (take(p, "\\B")) return assert_node(p, OC_REGEX_NO_WORD_EDGE, out);
    if (take(p, "\\Q")) return parse_quoted(p, out);
    p->at++;
    OC_TRY(parse_escape(p, &c));
    return point_node(p, c, out);
}

static oc_status parse_atom(parser *p, oc__regex_node **out) {
    set s = {.p = p};
    uint32_t c;
    switch (*p->at) {
    case '(': return parse_group(p, out);
    case '[': return parse_brackets(p, out);
    case '\\': return parse_backslash(p, out);
    case '^':
        p->at++;
        return assert_node(
            p, p->flags & LINES ? OC_REGEX_LINE_BEGIN : OC_REGEX_TEXT_BEGIN,
            out);
    case '$':
        p->at++;
        return assert_node(
            p, p->flags & LINES ? OC_REGEX_LINE_END : OC_REGEX_TEXT_END, out);
    case '.':
        p->at++;
        if (!(p->flags & DOT_ALL)) set_add(&s, '\n', '\n');
        return set_node(p, &s, 1, out);
    case '*':
    case '+':
    case '?': return bad(p, "nothing to repeat");
    default: OC_TRY(next_point(p, &c)); return point_node(p, c, out);
    }
}

/* ---- repetition ---------------------------------------------------------- */

static int read_count(const char **s, const char *end, int *out) {
    const char *start = *s;
    *out = 0;
    for (; *s < end && **s >= '0' && **s <= '9'; (*s)++)
        *out = OC_MIN(*out * 10 + (**s - '0'), MAX_REPEAT + 1);
    return *s > start;
}

/* A repetition operator at p->at; *found 0 when there is none.  Braces that
   do not read {n}, {n,} or {n,m} stand for themselves. */
static oc_status parse_count(parser *p, int *min, int *max, int *found) {
    const char *s = p->at;
    *found = 0;
    if (s == p->end) return OC_OK;
    if (*s == '*' || *s == '+' || *s == '?') {
        *min = *s == '+';
        *max = *s == '?' ? 1 : -1;
        s++;
    } else if (*s == '{') {
        s++;
        if (!read_count(&s, p->end, min)) return OC_OK;
        *max = *min;
        if (s < p->end && *s == ',') {
            s++;
            *max = -1;
            if (s < p->end && *s != '}' && !read_count(&s, p->end, max))
                return OC_OK;
        }
        if (s == p->end || *s++ != '}') return OC_OK;
        if (*min > MAX_REPEAT || *max > MAX_REPEAT ||
            (*max >= 0 && *max < *min))
            return bad(p, "an impossible repetition");
    } else {
        return OC_OK;
    }
    *found = 1;
    p->at = s;
    return OC_OK;
}

/* One atom and what follows it.  a** and a{2}{3} are refused as RE2 does. */
static oc_status parse_repeat(parser *p, oc__regex_node **out) {
    int min, max, found;
    OC_TRY(parse_atom(p, out));
    OC_TRY(parse_count(p, &min, &max, &found));
    if (!found) return OC_OK;
    take(p, "?"); /* lazy: the same texts match */
    oc__regex_node *n;
    OC_TRY(make_node(p, OC_REGEX_REPEAT, &n));
    append(n, *out);
    n->min = min;
    n->max = max;
    *out = n;
    const char *again = p->at;
    OC_TRY(parse_count(p, &min, &max, &found));
    if (!found) return OC_OK;
    p->at = again;
    return bad(p, "a repetition of a repetition");
}

/* Alternatives, each a sequence; an empty one matches nothing at all. */
static oc_status parse_alt(parser *p, oc__regex_node **out) {
    oc__regex_node *cat, *n;
    OC_TRY(make_node(p, OC_REGEX_ALT, out));
    do {
        OC_TRY(make_node(p, OC_REGEX_CAT, &cat));
        append(*out, cat);
        while (p->at < p->end && *p->at != '|' && *p->at != ')') {
            OC_TRY(parse_repeat(p, &n));
            append(cat, n);
        }
    } while (take(p, "|"));
    return OC_OK;
}

oc_status oc__regex_parse(oc__regex_node **out, oc__arena *arena,
                          const char *pattern, size_t bytes, oc_error *err) {
    parser p = {arena, err, pattern, pattern, pattern + bytes, 0, 0};
    if (bytes > MAX_BYTES)
        return oc__fail(err, OC_E_LIMIT,
                        "regular expression: %zu bytes are over %d", bytes,
                        MAX_BYTES);
    OC_TRY(parse_alt(&p, out));
    if (p.at < p.end) return bad(&p, ") without (");
    return OC_OK;
}
