/*
 * voc_xml.c - see voc_xml.h.
 *
 * Of XML this needs elements with text, no more: a scanner that walks the
 * tags in order and knows which are open.  Nothing is recursive.  An element
 * counts where it belongs only: annotation tools put others of the same name
 * deeper down (<part>, <attribute>).
 */
#include "data/voc_xml.h"

#include "base/size.h"
#include "base/text_number.h"
#include "base/unicode.h"

#include <math.h>
#include <string.h>

#define DEEPEST 32

typedef struct span {
    const char *at;
    size_t n;
} span;

typedef struct scan {
    oc__voc_page *page;
    span open[DEEPEST]; /* names of the open elements, the root first */
    int depth;
    oc_error *err;
} scan;

static int is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static int is(span s, const char *text) {
    return s.n == strlen(text) && !memcmp(s.at, text, s.n);
}

/* Whether the open elements are these, down to the innermost. */
static int inside(const scan *s, int depth, const char *a, const char *b,
                  const char *c) {
    const char *const want[] = {a, b, c};
    if (s->depth != depth) return 0;
    for (int i = 1; i < depth; i++) {
        if (!is(s->open[i], want[i - 1])) return 0;
    }
    return 1;
}

/* ---- text -----------------------------------------------------------------
 */

/* "&amp;" or "&#228;" at s: its character in *c and its length; 0: neither. */
static size_t entity(const char *s, size_t n, uint32_t *c) {
    static const struct {
        const char *text;
        char c;
    } named[] = {{"&amp;", '&'},
                 {"&lt;", '<'},
                 {"&gt;", '>'},
                 {"&quot;", '"'},
                 {"&apos;", '\''}};
    for (size_t i = 0; i < OC_COUNT(named); i++) {
        size_t len = strlen(named[i].text);
        if (n < len || memcmp(s, named[i].text, len) != 0) continue;
        *c = (uint32_t)named[i].c;
        return len;
    }
    if (n < 4 || s[1] != '#') return 0;
    int hex = s[2] == 'x';
    size_t i = hex ? 3 : 2;
    uint32_t v = 0;
    for (; i < n && s[i] != ';' && v <= OC_UNICODE_MAX; i++) {
        int lower = s[i] | 32;
        int digit = s[i] >= '0' && s[i] <= '9'            ? s[i] - '0'
                    : hex && lower >= 'a' && lower <= 'f' ? lower - 'a' + 10
                                                          : -1;
        if (digit < 0) return 0;
        v = v * (hex ? 16 : 10) + (uint32_t)digit;
    }
    if (i >= n || s[i] != ';' || v < 32 || v > OC_UNICODE_MAX) return 0;
    *c = v;
    return i + 1;
}

/* Copies what is between blanks; what does not fit is an error. */
static oc_status take(const scan *s, const char *what, span t, char *to,
                      size_t room) {
    size_t used = 0;
    while (t.n && is_blank(*t.at))
        t.at++, t.n--;
    while (t.n && is_blank(t.at[t.n - 1]))
        t.n--;
    while (t.n) {
        uint32_t c = 0;
        char bytes[4] = {*t.at};
        size_t skip = *t.at == '&' ? entity(t.at, t.n, &c) : 0;
        size_t n = skip ? (size_t)oc__utf8_put(bytes, c) : 1;
        if (!*bytes)
            return oc__fail(s->err, OC_E_FORMAT, "a <%s> has a zero byte",
                            what);
        if (used + n >= room)
            return oc__fail(s->err, OC_E_LIMIT, "a <%s> is too long", what);
        memcpy(to + used, bytes, n);
        used += n;
        skip = skip ? skip : 1;
        t.at += skip;
        t.n -= skip;
    }
    to[used] = 0;
    return OC_OK;
}

static oc_status take_side(const scan *s, int side, span t) {
    char text[64];
    double v;
    oc__voc_object *o = &s->page->objects[s->page->n];
    OC_TRY(take(s, "bndbox", t, text, sizeof text));
    if (oc__text_to_f64(text, strlen(text), &v) || !isfinite(v))
        return oc__fail(s->err, OC_E_FORMAT,
                        "object %zu has \"%.20s\" where a number should be",
                        s->page->n, text);
    o->box[side] = v;
    o->sides |= 1 << side;
    return OC_OK;
}

/* The text of the innermost element. */
static oc_status take_text(const scan *s, span t) {
    static const char *const sides[] = {"xmin", "ymin", "xmax", "ymax"};
    char flag[16];
    oc__voc_page *page = s->page;
    oc__voc_object *o = &page->objects[page->n];
    if (inside(s, 2, "filename", NULL, NULL))
        return take(s, "filename", t, page->file, sizeof page->file);
    if (inside(s, 3, "object", "name", NULL))
        return take(s, "name", t, o->name, sizeof o->name);
    if (inside(s, 3, "object", "difficult", NULL)) {
        OC_TRY(take(s, "difficult", t, flag, sizeof flag));
        o->difficult = strcmp(flag, "0") != 0 && *flag;
        return OC_OK;
    }
    for (int k = 0; k < 4; k++) {
        if (inside(s, 4, "object", "bndbox", sides[k]))
            return take_side(s, k, t);
    }
    return OC_OK;
}

/* ---- tags -----------------------------------------------------------------
 */

static oc_status open_tag(scan *s, span name) {
    oc__voc_page *page = s->page;
    if (s->depth == DEEPEST)
        return oc__fail(s->err, OC_E_LIMIT, "elements lie too deep");
    s->open[s->depth++] = name;
    if (s->depth == 1 && !is(name, "annotation"))
        return oc__fail(s->err, OC_E_FORMAT, "it is a <%.*s>, no <annotation>",
                        (int)OC_MIN(name.n, (size_t)40), name.at);
    if (!inside(s, 2, "object", NULL, NULL)) return OC_OK;
    if (page->n == OC_VOC_OBJECTS)
        return oc__fail(s->err, OC_E_LIMIT, "there are more than %d objects",
                        OC_VOC_OBJECTS);
    memset(&page->objects[page->n], 0, sizeof *page->objects);
    return OC_OK;
}

static oc_status close_tag(scan *s, span name) {
    oc__voc_page *page = s->page;
    const oc__voc_object *o = &page->objects[page->n];
    if (!s->depth)
        return oc__fail(s->err, OC_E_FORMAT,
                        "an element ends that never began");
    span last = s->open[s->depth - 1];
    if (last.n != name.n || memcmp(last.at, name.at, name.n) != 0)
        return oc__fail(s->err, OC_E_FORMAT, "<%.*s> ends as </%.*s>",
                        (int)OC_MIN(last.n, (size_t)40), last.at,
                        (int)OC_MIN(name.n, (size_t)40), name.at);
    if (inside(s, 2, "object", NULL, NULL)) {
        if (!*o->name || o->sides != 15)
            return oc__fail(s->err, OC_E_FORMAT,
                            "object %zu has no name or no bndbox", page->n);
        page->n++;
    }
    s->depth--;
    return OC_OK;
}

/* Where a tag ends, quoted attributes passed over; NULL: nowhere. */
static const char *tag_end(const char *at, const char *end) {
    char quote = 0;
    for (; at < end; at++) {
        if (quote) {
            if (*at == quote) quote = 0;
        } else if (*at == '"' || *at == '\'') {
            quote = *at;
        } else if (*at == '>') {
            return at;
        }
    }
    return NULL;
}

/* Where a comment, a declaration or an instruction ends. */
static const char *aside_end(const char *at, const char *end) {
    size_t n = (size_t)(end - at);
    if (n < 4 || memcmp(at, "<!--", 4) != 0) return memchr(at, '>', n);
    for (at += 4; end - at >= 3; at++) {
        if (!memcmp(at, "-->", 3)) return at + 2;
    }
    return NULL;
}

static oc_status take_tag(scan *s, const char *at, const char *end) {
    span name = {at, 0};
    while (at + name.n < end && !is_blank(at[name.n]) && at[name.n] != '/')
        name.n++;
    if (!name.n) return oc__fail(s->err, OC_E_FORMAT, "a tag has no name");
    OC_TRY(open_tag(s, name));
    return end[-1] == '/' ? close_tag(s, name) : OC_OK;
}

oc_status oc__voc_read(oc__voc_page *page, const char *text, size_t bytes,
                       oc_error *err) {
    scan s = {page, {{NULL, 0}}, 0, err};
    const char *end = text + bytes, *from = NULL; /* of the open tag's text */
    int seen = 0;
    page->n = 0;
    page->file[0] = 0;
    for (const char *at = text; at < end; at++) {
        if (*at != '<') continue;
        const char *inner = at + 1;
        int aside = inner < end && (*inner == '?' || *inner == '!');
        const char *stop = aside ? aside_end(at, end) : tag_end(inner, end);
        if (!stop) return oc__fail(err, OC_E_FORMAT, "a tag does not end");
        if (!aside && *inner == '/') {
            span name = {inner + 1, (size_t)(stop - inner - 1)};
            while (name.n && is_blank(name.at[name.n - 1]))
                name.n--;
            if (from) OC_TRY(take_text(&s, (span){from, (size_t)(at - from)}));
            from = NULL;
            OC_TRY(close_tag(&s, name));
        } else if (!aside) {
            OC_TRY(take_tag(&s, inner, stop));
            seen = 1;
            from = stop[-1] == '/' ? NULL : stop + 1;
        }
        at = stop;
    }
    if (!seen) return oc__fail(err, OC_E_FORMAT, "it is no XML");
    return s.depth ? oc__fail(err, OC_E_FORMAT, "it ends too soon") : OC_OK;
}
