/* speech_text.c - texts in parts, and in letters a voice knows. */
#include "speech/voice.h"

#include "base/size.h"
#include "base/unicode.h"

#include <string.h>

/* A part that is longer takes longer than anybody waits for the next. */
enum { FIRST_BYTES = 48, PART_BYTES = 280 };

static int is_space(char c) {
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/*
 * Whether a pause of one of these signs is between text[i] and text[i + 1].  A
 * line may end anywhere; an empty one is a pause.
 */
static int pauses(const char *text, size_t n, size_t i, const char *signs) {
    if (text[i] == '\n') return i + 1 < n && text[i + 1] == '\n';
    return strchr(signs, text[i]) && (i + 1 == n || is_space(text[i + 1]));
}

static size_t cut_at(const char *text, size_t n, size_t most,
                     const char *signs) {
    for (size_t i = 0; i < n && i < most; i++) {
        if (text[i] && pauses(text, n, i, signs)) return i + 1;
    }
    return 0;
}

/* The last one before `most`. */
static size_t cut_before(const char *text, size_t n, size_t most,
                         const char *signs) {
    for (size_t i = OC_MIN(n, most); i > 1; i--) {
        if (text[i - 1] && pauses(text, n, i - 1, signs)) return i;
    }
    return 0;
}

static size_t cut_word(const char *text, size_t n, size_t most) {
    size_t i = OC_MIN(n, most);
    while (i > 1 && !is_space(text[i - 1]))
        i--;
    if (i > 1) return i;
    /* One endless word: not within a character. */
    for (i = OC_MIN(n, most); i < n && ((unsigned char)text[i] & 0xc0) == 0x80;)
        i++;
    return i;
}

size_t oc__speech_part(const char *text, size_t n, int is_first) {
    size_t part = 0;
    if (is_first) {
        part = cut_at(text, n, FIRST_BYTES, ",;:.!?");
        if (part || n <= FIRST_BYTES) return part ? part : n;
        return cut_word(text, n, FIRST_BYTES);
    }
    part = cut_at(text, n, PART_BYTES, ".!?");
    if (part || n <= PART_BYTES) return part ? part : n;
    part = cut_before(text, n, PART_BYTES, ",;:");
    return part ? part : cut_word(text, n, PART_BYTES);
}

static int is_word(uint32_t c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
           (c >= 'A' && c <= 'Z') ||
           (c >= 0xc0 && c != OC_UNICODE_BAD && (c < 0x2000 || c > 0x206f));
}

int oc__speech_has_words(const char *text, size_t n) {
    for (const char *at = text, *end = text + n; at < end;) {
        if (is_word(oc__utf8_next(&at, end))) return 1;
    }
    return 0;
}

/* U+00C0 to U+017F without their marks. */
static const char plain[] =
    "AAAAAAACEEEEIIIIDNOOOOOxOUUUUYTsaaaaaaaceeeeiiiidnooooo/ouuuuyty"
    "AaAaAaCcCcCcCcDdDdEeEeEeEeEeGgGgGgGgHhHhIiIiIiIiIiIiJjKkkLlLlLlL"
    "lLlNnNnNnnNnOoOoOoOoRrRrRrSsSsSsSsTtTtTtUuUuUuUuUuUuWwYyYZzZzZzs";

void oc__speech_ascii(char *out, const char *text, size_t n) {
    _Static_assert(sizeof plain == 0x180 - 0xc0 + 1, "a letter is missing");
    for (const char *at = text, *end = text + n; at < end;) {
        uint32_t c = oc__utf8_next(&at, end);
        if (c == '\n' || c == '\t' || c == '\r')
            *out++ = ' ';
        else if (c >= 0x20 && c < 0x7f)
            *out++ = (char)c;
        else if (c >= 0xc0 && c < 0x180)
            *out++ = plain[c - 0xc0];
        else if (c == 0x2019) /* an apostrophe */
            *out++ = '\'';
        else if (c == 0x2013 || c == 0x2014 || c == 0x2026) /* dashes, ... */
            *out++ = ',';
        else if (c >= 0x80)
            *out++ = ' ';
    }
    *out = '\0';
}
