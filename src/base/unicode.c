/* unicode.c - see unicode.h. */
#include "base/unicode.h"

#include "base/size.h"

#include <string.h>

/* c in first, first + stride, .. last maps to c + delta. */
typedef struct case_run {
    uint32_t first, last;
    int32_t stride, delta;
} case_run;

/* Properties are runs in order: first code point << 8 | number of the name;
   a run ends where the next one begins. */
#include "base/unicode_tables.inc"

/* ---- UTF-8 --------------------------------------------------------------- */

uint32_t oc__utf8_next(const char **s, const char *end) {
    const unsigned char *p = (const unsigned char *)*s;
    size_t left = (size_t)(end - *s), more;
    uint32_t c = p[0], least;
    (*s)++;
    if (c < 0x80) return c;
    if (c >= 0xc2 && c < 0xe0) {
        c &= 0x1f;
        more = 1;
        least = 0x80;
    } else if (c >= 0xe0 && c < 0xf0) {
        c &= 0xf;
        more = 2;
        least = 0x800;
    } else if (c >= 0xf0 && c < 0xf5) {
        c &= 7;
        more = 3;
        least = 0x10000;
    } else {
        return OC_UNICODE_BAD;
    }
    if (left <= more) return OC_UNICODE_BAD;
    for (size_t i = 1; i <= more; i++) {
        if ((p[i] & 0xc0) != 0x80) return OC_UNICODE_BAD;
        c = c << 6 | (p[i] & 0x3fu);
    }
    if (c < least || c > OC_UNICODE_MAX || (c >= 0xd800 && c < 0xe000))
        return OC_UNICODE_BAD;
    *s += more;
    return c;
}

int oc__utf8_put(char *out, uint32_t c) {
    unsigned char *p = (unsigned char *)out;
    if (c < 0x80) {
        p[0] = (unsigned char)c;
        return 1;
    }
    if (c < 0x800) {
        p[0] = (unsigned char)(0xc0 | c >> 6);
        p[1] = (unsigned char)(0x80 | (c & 0x3f));
        return 2;
    }
    if (c < 0x10000) {
        p[0] = (unsigned char)(0xe0 | c >> 12);
        p[1] = (unsigned char)(0x80 | (c >> 6 & 0x3f));
        p[2] = (unsigned char)(0x80 | (c & 0x3f));
        return 3;
    }
    p[0] = (unsigned char)(0xf0 | c >> 18);
    p[1] = (unsigned char)(0x80 | (c >> 12 & 0x3f));
    p[2] = (unsigned char)(0x80 | (c >> 6 & 0x3f));
    p[3] = (unsigned char)(0x80 | (c & 0x3f));
    return 4;
}

/* ---- case ---------------------------------------------------------------- */

/* c mapped by the run it lies in, itself when it lies in none. */
static uint32_t map_case(const case_run *runs, size_t n, uint32_t c) {
    size_t lo = 0, hi = n; /* the last run that begins at or before c */
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (runs[mid].first <= c)
            lo = mid + 1;
        else
            hi = mid;
    }
    /* Runs of stride 2 may lie into one another, so look at two. */
    for (size_t back = 1; back <= 2 && back <= lo; back++) {
        const case_run *r = &runs[lo - back];
        if (c <= r->last && (c - r->first) % (uint32_t)r->stride == 0)
            return (uint32_t)((int32_t)c + r->delta);
    }
    return c;
}

uint32_t oc__unicode_lower(uint32_t c) {
    return map_case(lower_runs, OC_COUNT(lower_runs), c);
}

uint32_t oc__unicode_upper(uint32_t c) {
    return map_case(upper_runs, OC_COUNT(upper_runs), c);
}

/* Part of run r that lies in first..last, all shifted by `shift`. */
static void add_part(const case_run *r, uint32_t first, uint32_t last,
                     int32_t shift, oc__range_fn add, void *user) {
    uint32_t stride = (uint32_t)r->stride;
    uint32_t lo = OC_MAX(first, r->first), hi = OC_MIN(last, r->last);
    if (lo > hi) return;
    lo = r->first + (lo - r->first + stride - 1) / stride * stride;
    if (stride == 1) {
        add(user, (uint32_t)((int32_t)lo + shift),
            (uint32_t)((int32_t)hi + shift));
        return;
    }
    for (uint32_t c = lo; c <= hi; c += stride)
        add(user, (uint32_t)((int32_t)c + shift),
            (uint32_t)((int32_t)c + shift));
}

typedef struct unfold {
    oc__range_fn add;
    void *user;
} unfold;

/* What folds to something in first..last. */
static void add_unfolded(void *user, uint32_t first, uint32_t last) {
    const unfold *u = user;
    u->add(u->user, first, last);
    for (size_t i = 0; i < OC_COUNT(fold_runs); i++) {
        case_run r = fold_runs[i]; /* seen from the other end */
        r.first = (uint32_t)((int32_t)r.first + r.delta);
        r.last = (uint32_t)((int32_t)r.last + r.delta);
        add_part(&r, first, last, -r.delta, u->add, u->user);
    }
}

void oc__unicode_fold(uint32_t first, uint32_t last, oc__range_fn add,
                      void *user) {
    unfold u = {add, user};
    add_unfolded(&u, first, last);
    for (size_t i = 0; i < OC_COUNT(fold_runs); i++)
        add_part(&fold_runs[i], first, last, fold_runs[i].delta, add_unfolded,
                 &u);
}

/* ---- classes ------------------------------------------------------------- */

static int same_name(const char *a, const char *b, size_t bytes) {
    return strlen(a) == bytes && memcmp(a, b, bytes) == 0;
}

/* All runs whose name is this one, or begins with it (L: Lu, Ll, ...). */
static void add_runs(const uint32_t *runs, size_t n, const char *const *names,
                     const char *name, size_t bytes, int prefix,
                     oc__range_fn add, void *user) {
    for (size_t i = 0; i < n; i++) {
        const char *have = names[runs[i] & 0xff];
        /* Cn, "not assigned", is no part of C. */
        int match = prefix ? have[0] == name[0] && strcmp(have, "Cn") != 0
                           : same_name(have, name, bytes);
        if (!match) continue;
        uint32_t end = i + 1 < n ? runs[i + 1] >> 8 : OC_UNICODE_MAX + 1;
        add(user, runs[i] >> 8, end - 1);
    }
}

int oc__unicode_class(const char *name, size_t bytes, oc__range_fn add,
                      void *user) {
    if (same_name("Any", name, bytes)) {
        add(user, 0, OC_UNICODE_MAX);
        return 0;
    }
    if (bytes == 1 && memchr("CLMNPSZ", name[0], 7)) {
        add_runs(category_runs, OC_COUNT(category_runs), category_names, name,
                 bytes, 1, add, user);
        return 0;
    }
    for (size_t i = 0; i < OC_COUNT(category_names); i++)
        if (same_name(category_names[i], name, bytes)) {
            add_runs(category_runs, OC_COUNT(category_runs), category_names,
                     name, bytes, 0, add, user);
            return 0;
        }
    for (size_t i = 0; i < OC_COUNT(script_names); i++)
        if (same_name(script_names[i], name, bytes)) {
            add_runs(script_runs, OC_COUNT(script_runs), script_names, name,
                     bytes, 0, add, user);
            return 0;
        }
    return 1;
}
