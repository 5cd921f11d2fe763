/* multipart.c - see multipart.h. */
#define _GNU_SOURCE /* memmem */

#include "multipart.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

static int wrong(multipart *m, const char *why) {
    m->why = why;
    return 0;
}

int multipart_is(const char *type) {
    return type && !strncasecmp(type, "multipart/form-data", 19) &&
           (!type[19] || strchr("; \t", type[19]));
}

static int is_blank(char c) {
    return c == ' ' || c == '\t';
}

/*
 * The value of a parameter `name` in "word; name=value; name="value"", quotes
 * taken off; what does not fit is cut.  Returns its full length, 0 for none.
 */
static size_t parameter(const char *text, const char *end, const char *name,
                        char *out, size_t room) {
    size_t n = strlen(name);
    *out = '\0';
    while (text < end && (text = memchr(text, ';', (size_t)(end - text)))) {
        text++;
        while (text < end && is_blank(*text))
            text++;
        int found = (size_t)(end - text) > n && text[n] == '=' &&
                    !strncasecmp(text, name, n);
        /* Past the name, and through the value: it may have a semicolon. */
        while (text < end && *text != '=' && *text != ';')
            text++;
        if (text == end || *text != '=') continue;
        text++;
        int quoted = text < end && *text == '"';
        size_t length = 0;
        for (text += quoted; text < end; text++) {
            if (quoted ? *text == '"' : *text == ';' || is_blank(*text)) break;
            if (quoted && *text == '\\' && text + 1 < end) text++;
            if (found && length + 1 < room) out[length] = *text;
            length++;
        }
        if (found) {
            out[length < room ? length : room - 1] = '\0';
            return length;
        }
    }
    return 0;
}

int multipart_begin(multipart *m, const char *type, const char *body,
                    size_t bytes) {
    char boundary[71];
    memset(m, 0, sizeof *m);
    size_t n = parameter(type, type + strlen(type), "boundary", boundary,
                         sizeof boundary);
    if (!n || n >= sizeof boundary)
        return !wrong(m, "the form names no boundary, or too long a one");
    snprintf(m->delimiter, sizeof m->delimiter, "\r\n--%s", boundary);
    m->delimiter_bytes = strlen(m->delimiter);
    m->at = body;
    m->end = body + bytes;
    /* The first one has nothing before it, or what nobody should read. */
    const char *first = m->delimiter + 2;
    n = m->delimiter_bytes - 2;
    if (bytes >= n && !memcmp(body, first, n)) {
        m->at += n;
        return 0;
    }
    const char *at = memmem(body, bytes, m->delimiter, m->delimiter_bytes);
    if (!at) return !wrong(m, "the body does not have the form's boundary");
    m->at = at + m->delimiter_bytes;
    return 0;
}

/* Without the folders some browsers put before it. */
static void take_filename(multipart_part *out, const char *text) {
    for (const char *p = text; *p; p++) {
        if (*p == '/' || *p == '\\') text = p + 1;
    }
    memmove(out->filename, text, strlen(text) + 1);
}

/* One line of a part's header. */
static void take_line(multipart_part *out, const char *line, const char *end) {
    static const char what[] = "content-disposition:";
    char text[MULTIPART_MAX_NAME];
    if ((size_t)(end - line) < sizeof what - 1 ||
        strncasecmp(line, what, sizeof what - 1) != 0)
        return;
    parameter(line, end, "name", out->name, sizeof out->name);
    parameter(line, end, "filename", text, sizeof text);
    take_filename(out, text);
}

int multipart_next(multipart *m, multipart_part *out) {
    memset(out, 0, sizeof *out);
    if (m->why) return 0;
    /* Behind a boundary: "--" and the end, or a new line and a part. */
    if (m->end - m->at >= 2 && !memcmp(m->at, "--", 2)) return 0;
    while (m->at < m->end && is_blank(*m->at))
        m->at++;
    for (;;) {
        const char *line = m->at + 2;
        if (m->end - m->at < 2 || memcmp(m->at, "\r\n", 2))
            return wrong(m, "a part of the form has no end of line");
        const char *end = memmem(line, (size_t)(m->end - line), "\r\n", 2);
        if (!end) return wrong(m, "a part of the form has no header");
        m->at = end;
        if (end == line) break; /* an empty line: data follows */
        take_line(out, line, end);
    }
    /* A part without data has its delimiter's new line right here. */
    const char *data = m->at + 2;
    const char *from = m->at;
    const char *stop =
        memmem(from, (size_t)(m->end - from), m->delimiter, m->delimiter_bytes);
    if (!stop) return wrong(m, "a part of the form does not end");
    out->data = data;
    out->bytes = stop > data ? (size_t)(stop - data) : 0;
    m->at = stop + m->delimiter_bytes;
    return 1;
}
