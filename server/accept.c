/* accept.c - see accept.h; RFC 9110, 12.5.1. */
#include "accept.h"

#include "basics.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static accept_kind kind_of(const char *type, size_t n, accept_kind otherwise) {
    static const struct {
        const char *type;
        accept_kind kind;
    } kinds[] = {
        {"application/json", ACCEPT_JSON}, {"application/*", ACCEPT_JSON},
        {"image/png", ACCEPT_PNG},         {"image/*", ACCEPT_PNG},
        {"image/jpeg", ACCEPT_JPEG},       {"image/webp", ACCEPT_WEBP},
    };
    if (n == 3 && !memcmp(type, "*/*", 3)) return otherwise;
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        if (strlen(kinds[i].type) == n && !strncasecmp(kinds[i].type, type, n))
            return kinds[i].kind;
    }
    return ACCEPT_NONE;
}

/* The weight in "; q=0.5" of the n bytes at text; 1 without. */
static double weight(const char *text, size_t n) {
    for (size_t i = 0; i + 2 < n; i++) {
        if ((text[i] == ';' || text[i] == ' ') &&
            (text[i + 1] == 'q' || text[i + 1] == 'Q') && text[i + 2] == '=')
            return strtod(text + i + 3, NULL);
    }
    return 1;
}

accept_kind accept_choose(const char *header, accept_kind otherwise) {
    accept_kind best = ACCEPT_NONE;
    double best_weight = 0;
    if (!header) return otherwise;
    for (const char *p = header; *p;) {
        p += strspn(p, " \t,");
        size_t n = strcspn(p, ","), type = strcspn(p, ",; \t");
        accept_kind kind = kind_of(p, type, otherwise);
        double w = weight(p, n);
        if (kind != ACCEPT_NONE && w > best_weight) {
            best = kind;
            best_weight = w;
        }
        p += n;
    }
    return best;
}

/* What it gives one type or the group the type is of; 0: nothing. */
static double weight_of(const char *header, const char *type,
                        const char *group) {
    double best = 0;
    for (const char *p = header; *p;) {
        p += strspn(p, " \t,");
        size_t n = strcspn(p, ","), length = strcspn(p, ",; \t");
        double w = weight(p, n);
        int is_it = (strlen(type) == length && !strncasecmp(type, p, length)) ||
                    (strlen(group) == length && !strncasecmp(group, p, length));
        if (is_it && w > best) best = w;
        p += n;
    }
    return best;
}

int accept_prefers_text(const char *header) {
    if (!header) return 0;
    return weight_of(header, "text/plain", "text/*") >
           weight_of(header, "application/json", "application/*");
}
