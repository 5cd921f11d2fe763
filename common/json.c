/* json.c - see json.h. */
#include "json.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

void json_begin(json *j, FILE *f) {
    memset(j, 0, sizeof(*j));
    j->f = f;
}

void json_begin_compact(json *j, FILE *f) {
    json_begin(j, f);
    j->compact = 1;
}

/*
 * Length of the UTF-8 character at s (n bytes left), 0 when it is none:
 * too short, too long for its value, a surrogate, or past U+10FFFF.
 */
static size_t utf8_length(const unsigned char *s, size_t n) {
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t length = s[0] < 0x80   ? 1
                    : s[0] < 0xc0 ? 0
                    : s[0] < 0xe0 ? 2
                    : s[0] < 0xf0 ? 3
                    : s[0] < 0xf8 ? 4
                                  : 0;
    if (length < 2) return length;
    if (length > n) return 0;
    uint32_t v = s[0] & (0x7fu >> length);
    for (size_t i = 1; i < length; i++) {
        if ((s[i] & 0xc0) != 0x80) return 0;
        v = v << 6 | (s[i] & 0x3fu);
    }
    if (v < least[length] || v > 0x10ffff || (v >= 0xd800 && v <= 0xdfff))
        return 0;
    return length;
}

static void put_string(FILE *f, const char *text, size_t n) {
    const unsigned char *s = (const unsigned char *)text;
    putc('"', f);
    for (size_t i = 0; i < n;) {
        size_t length = utf8_length(s + i, n - i);
        if (length == 0) {
            fputs("\\ufffd", f);
            i++;
        } else if (length > 1) {
            fwrite(s + i, 1, length, f);
            i += length;
        } else {
            unsigned char c = s[i++];
            if (c == '"' || c == '\\')
                fprintf(f, "\\%c", c);
            else if (c == '\n')
                fputs("\\n", f);
            else if (c == '\t')
                fputs("\\t", f);
            else if (c < 32 || c == 127)
                fprintf(f, "\\u%04x", c);
            else
                putc(c, f);
        }
    }
    putc('"', f);
}

/* What stands before a value: comma, new line, indentation, key. */
static void before(json *j, const char *key) {
    if (j->depth) {
        int *count = &j->count[j->depth - 1];
        if (*count) putc(',', j->f);
        if (j->compact)
            ;
        else if (!j->row)
            fprintf(j->f, "\n%*s", 2 * j->depth, "");
        else if (*count)
            putc(' ', j->f);
        ++*count;
    }
    if (key) {
        put_string(j->f, key, strlen(key));
        fputs(j->compact ? ":" : ": ", j->f);
    }
}

static void open_list(json *j, const char *key, char opener, char closer) {
    assert(j->depth < (int)sizeof(j->closers));
    before(j, key);
    putc(opener, j->f);
    j->closers[j->depth] = closer;
    j->count[j->depth++] = 0;
}

void json_object(json *j, const char *key) {
    open_list(j, key, '{', '}');
}

void json_array(json *j, const char *key) {
    open_list(j, key, '[', ']');
}

void json_row(json *j, const char *key) {
    json_array(j, key);
    j->row = 1;
}

void json_end(json *j) {
    assert(j->depth > 0);
    j->depth--;
    if (j->count[j->depth] && !j->row && !j->compact)
        fprintf(j->f, "\n%*s", 2 * j->depth, "");
    j->row = 0;
    putc(j->closers[j->depth], j->f);
    if (!j->depth && !j->compact) putc('\n', j->f);
}

void json_string_n(json *j, const char *key, const char *value, size_t n) {
    before(j, key);
    put_string(j->f, value, n);
}

void json_string(json *j, const char *key, const char *value) {
    if (value)
        json_string_n(j, key, value, strlen(value));
    else
        json_null(j, key);
}

void json_int(json *j, const char *key, int64_t value) {
    before(j, key);
    fprintf(j->f, "%lld", (long long)value);
}

/* The shortest text that reads back as the same number, of either type. */
static void put_number(json *j, const char *key, double value, int is_float) {
    char text[32];
    if (!isfinite(value)) {
        json_null(j, key);
        return;
    }
    for (int digits = 6; digits <= 17; digits++) {
        snprintf(text, sizeof(text), "%.*g", digits, value);
        if (is_float ? strtof(text, NULL) == (float)value
                     : strtod(text, NULL) == value)
            break;
    }
    json_number_text(j, key, text);
}

void json_number_text(json *j, const char *key, const char *text) {
    before(j, key);
    fputs(text, j->f);
}

void json_double(json *j, const char *key, double value) {
    put_number(j, key, value, 0);
}

void json_float(json *j, const char *key, float value) {
    put_number(j, key, (double)value, 1);
}

void json_bool(json *j, const char *key, int value) {
    before(j, key);
    fputs(value ? "true" : "false", j->f);
}

void json_null(json *j, const char *key) {
    before(j, key);
    fputs("null", j->f);
}
