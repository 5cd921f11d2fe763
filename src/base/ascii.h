/*
 * ascii.h - letters without regard to case, whatever the locale: tolower()
 * and strcasecmp() do not take "TIF" for "tif" in a Turkish one.
 */
#ifndef OC_BASE_ASCII_H
#define OC_BASE_ASCII_H

static inline char oc__ascii_lower(char c) {
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

static inline int oc__ascii_same(const char *a, const char *b) {
    while (*a && oc__ascii_lower(*a) == oc__ascii_lower(*b))
        a++, b++;
    return oc__ascii_lower(*a) == oc__ascii_lower(*b);
}

#endif
