/* json_read.c - see json_read.h; the grammar is RFC 8259's. */
#include "json_read.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

void json_read_begin(json_reader *r, char *text, size_t n) {
    memset(r, 0, sizeof *r);
    r->text = r->at = text;
    r->end = text + n;
}

int json_wrong(json_reader *r, const char *why) {
    if (!r->why) r->why = why;
    return 0;
}

static void skip_blanks(json_reader *r) {
    while (r->at < r->end && (*r->at == ' ' || *r->at == '\n' ||
                              *r->at == '\t' || *r->at == '\r'))
        r->at++;
}

char json_peek(json_reader *r) {
    if (r->why) return 0;
    skip_blanks(r);
    return r->at < r->end ? *r->at : 0;
}

int json_read_end(json_reader *r) {
    if (!r->why && (r->depth || json_peek(r) || r->at < r->end))
        json_wrong(r, "something follows the end of the document");
    return r->why != NULL;
}

int json_enter(json_reader *r, char opener) {
    if (json_peek(r) != opener)
        return json_wrong(r, opener == '{' ? "an object is missing here"
                                           : "an array is missing here");
    if (r->depth == JSON_MAX_DEPTH) return json_wrong(r, "too deeply nested");
    r->closers[r->depth++] = opener == '{' ? '}' : ']';
    r->at++;
    r->fresh = 1;
    return 1;
}

/* To the next member, or out of what is open. */
static int next(json_reader *r) {
    char c = json_peek(r);
    if (r->why) return 0;
    if (c == r->closers[r->depth - 1]) {
        r->at++;
        r->depth--;
        r->fresh = 0; /* what we return to has had this member */
        return 0;
    }
    if (!r->fresh) {
        if (c != ',')
            return json_wrong(r, "a comma or the end of a list is missing");
        r->at++;
    }
    r->fresh = 0;
    return 1;
}

int json_item(json_reader *r) {
    return next(r);
}

int json_key(json_reader *r, const char **key) {
    size_t n;
    if (!next(r)) return 0;
    if (json_peek(r) != '"') return json_wrong(r, "a key is missing");
    if (!json_get_string(r, key, &n)) return 0;
    if (json_peek(r) != ':')
        return json_wrong(r, "a colon is missing behind a key");
    r->at++;
    return 1;
}

/* ---- strings --------------------------------------------------------------
 */

static int hex_digit(char c) {
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* Four digits at p, -1 when they are none. */
static long hex4(const char *p, const char *end) {
    long v = 0;
    if (end - p < 4) return -1;
    for (int i = 0; i < 4; i++) {
        int d = hex_digit(p[i]);
        if (d < 0) return -1;
        v = v * 16 + d;
    }
    return v;
}

/* What is behind "\u"; a pair of surrogates is one character. */
static long code_point(const char **p, const char *end) {
    long high = hex4(*p, end);
    if (high < 0) return -1;
    *p += 4;
    if (high < 0xd800 || high > 0xdfff) return high;
    if (high > 0xdbff || end - *p < 6 || (*p)[0] != '\\' || (*p)[1] != 'u')
        return -1;
    long low = hex4(*p + 2, end);
    if (low < 0xdc00 || low > 0xdfff) return -1;
    *p += 6;
    return 0x10000 + (high - 0xd800) * 0x400 + (low - 0xdc00);
}

static size_t put_utf8(char *out, long c) {
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xc0 | c >> 6);
        out[1] = (char)(0x80 | (c & 63));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xe0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 63));
        out[2] = (char)(0x80 | (c & 63));
        return 3;
    }
    out[0] = (char)(0xf0 | c >> 18);
    out[1] = (char)(0x80 | (c >> 12 & 63));
    out[2] = (char)(0x80 | (c >> 6 & 63));
    out[3] = (char)(0x80 | (c & 63));
    return 4;
}

/* Length of the well-formed UTF-8 character at s, 0 when it is none. */
static size_t utf8_length(const char *s, const char *end) {
    const unsigned char *u = (const unsigned char *)s;
    size_t n = u[0] < 0xc2 ? 0 : u[0] < 0xe0 ? 2 : u[0] < 0xf0 ? 3 : 4;
    if (u[0] < 0x80) return 1;
    if (!n || u[0] > 0xf4 || (size_t)(end - s) < n) return 0;
    for (size_t i = 1; i < n; i++) {
        if ((u[i] & 0xc0) != 0x80) return 0;
    }
    /* Too long for its value, a surrogate, or past U+10FFFF. */
    if ((u[0] == 0xe0 && u[1] < 0xa0) || (u[0] == 0xed && u[1] > 0x9f) ||
        (u[0] == 0xf0 && u[1] < 0x90) || (u[0] == 0xf4 && u[1] > 0x8f))
        return 0;
    return n;
}

/* What is behind a backslash at *p goes to *out (NULL: nowhere). */
static int unescape(const char **p, const char *end, char **out) {
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    char mark, scratch[4];
    if (*p >= end) return 0;
    mark = *(*p)++;
    if (mark == 'u') {
        long c = code_point(p, end);
        if (c < 0) return 0;
        size_t n = put_utf8(scratch, c);
        if (*out) {
            memcpy(*out, scratch, n); /* no longer than what is read */
            *out += n;
        }
        return 1;
    }
    const char *which = mark ? strchr(from, mark) : NULL;
    if (!which) return 0;
    if (*out) *(*out)++ = to[which - from];
    return 1;
}

/* The string at r->at, unescaped to out, or only checked (out NULL). */
static int string_body(json_reader *r, char *out, size_t *n) {
    const char *p = r->at + 1;
    char *start = out;
    for (;;) {
        if (p >= r->end) return json_wrong(r, "a string has no end");
        if (*p == '"') break;
        if ((unsigned char)*p < 32)
            return json_wrong(r, "a control character in a string");
        if (*p == '\\') {
            p++;
            if (!unescape(&p, r->end, &out))
                return json_wrong(r, "an escape that JSON does not have");
            continue;
        }
        size_t length = utf8_length(p, r->end);
        if (!length) return json_wrong(r, "text that is not UTF-8");
        if (out) {
            memmove(out, p, length);
            out += length;
        }
        p += length;
    }
    r->at += p + 1 - r->at;
    if (out) {
        *out = '\0';
        *n = (size_t)(out - start);
    }
    return 1;
}

int json_get_string(json_reader *r, const char **out, size_t *n) {
    if (json_peek(r) != '"') return json_wrong(r, "a string is missing here");
    /* Unescaped text is never longer; the end goes where a quote was. */
    char *start = r->at + 1;
    if (!string_body(r, start, n)) return 0;
    *out = start;
    return 1;
}

/* ---- numbers --------------------------------------------------------------
 */

static int is_digit(char c) {
    return c >= '0' && c <= '9';
}

/* Where the number at p ends by JSON's grammar; NULL when it is none. */
static const char *number_end(const char *p, int *is_whole) {
    *is_whole = 1;
    if (*p == '-') p++;
    if (!is_digit(*p)) return NULL;
    if (*p == '0' && is_digit(p[1])) return NULL;
    while (is_digit(*p))
        p++;
    if (*p == '.') {
        *is_whole = 0;
        if (!is_digit(*++p)) return NULL;
        while (is_digit(*p))
            p++;
    }
    if (*p == 'e' || *p == 'E') {
        *is_whole = 0;
        p++;
        if (*p == '+' || *p == '-') p++;
        if (!is_digit(*p)) return NULL;
        while (is_digit(*p))
            p++;
    }
    return p;
}

/*
 * Up to 15 digits and a power of ten of at most 22 are exact in a double, so
 * one multiplication or division rounds correctly (Clinger, "How to read
 * floating point numbers accurately").  Returns 0 for others.
 */
static int quick_double(const char *p, const char *end, double *out) {
    static const double power[] = {
        1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
        1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    uint64_t digits = 0;
    int n = 0, below = 0, point = 0, negative = *p == '-';
    for (p += negative; p < end; p++) {
        if (*p == '.') {
            point = 1;
            continue;
        }
        if (!is_digit(*p) || n == 15) return 0;
        digits = digits * 10 + (uint64_t)(*p - '0');
        n += digits != 0;
        below += point;
        if (below > 22) return 0;
    }
    double v = (double)digits / power[below];
    *out = negative ? -v : v;
    return 1;
}

static const char *number(json_reader *r, int *is_whole) {
    json_peek(r);
    if (r->why) return NULL;
    const char *end = number_end(r->at, is_whole);
    if (!end || end > r->end) {
        json_wrong(r, "a number is missing here");
        return NULL;
    }
    return end;
}

int json_get_double(json_reader *r, double *out) {
    int is_whole;
    const char *end = number(r, &is_whole);
    if (!end) return 0;
    if (!quick_double(r->at, end, out)) {
        *out = strtod(r->at, NULL);
        if (!isfinite(*out)) return json_wrong(r, "a number out of range");
    }
    r->at += end - r->at;
    return 1;
}

int json_get_int(json_reader *r, int64_t *out) {
    int is_whole;
    const char *end = number(r, &is_whole);
    if (!end) return 0;
    if (!is_whole) return json_wrong(r, "a whole number is missing here");
    errno = 0;
    *out = strtoll(r->at, NULL, 10);
    if (errno) return json_wrong(r, "a number out of range");
    r->at += end - r->at;
    return 1;
}

int json_get_uint(json_reader *r, uint64_t *out) {
    int is_whole;
    const char *end = number(r, &is_whole);
    if (!end) return 0;
    if (!is_whole) return json_wrong(r, "a whole number is missing here");
    errno = 0;
    *out = strtoull(r->at, NULL, 10);
    if (errno || (*r->at == '-' && *out))
        return json_wrong(r, "a number out of range");
    r->at += end - r->at;
    return 1;
}

/* ---- the rest -------------------------------------------------------------
 */

static int word(json_reader *r, const char *text) {
    size_t n = strlen(text);
    json_peek(r);
    if (r->why) return 0;
    if ((size_t)(r->end - r->at) < n || memcmp(r->at, text, n)) return 0;
    r->at += n;
    return 1;
}

int json_get_bool(json_reader *r, int *out) {
    if (word(r, "true"))
        *out = 1;
    else if (word(r, "false"))
        *out = 0;
    else
        return json_wrong(r, "true or false is missing here");
    return 1;
}

/* A key is not unescaped here: the text may be read once more. */
static int skip_key(json_reader *r) {
    if (json_peek(r) != '"') return json_wrong(r, "a key is missing");
    if (!string_body(r, NULL, NULL)) return 0;
    if (json_peek(r) != ':')
        return json_wrong(r, "a colon is missing behind a key");
    r->at++;
    return 1;
}

static int skip_number(json_reader *r) {
    double v;
    return json_get_double(r, &v);
}

static int skip_plain(json_reader *r, char c) {
    if (c == '"') return string_body(r, NULL, NULL);
    if (c == '-' || is_digit(c)) return skip_number(r);
    if (word(r, "null") || word(r, "true") || word(r, "false")) return 1;
    return json_wrong(r, "a value is missing here");
}

int json_skip(json_reader *r) {
    int depth = r->depth;
    do {
        char c = json_peek(r);
        if (c == '{' || c == '[') {
            if (!json_enter(r, c)) return 0;
        } else if (!skip_plain(r, c)) {
            return 0;
        }
        /* Out of as many lists as end here, on to the next member. */
        while (r->depth > depth && !next(r)) {
            if (r->why) return 0;
        }
        if (r->depth > depth && r->closers[r->depth - 1] == '}' && !skip_key(r))
            return 0;
    } while (r->depth > depth);
    return 1;
}
