/* plural.c - see plural.h. */
#include "words/plural.h"

#include "base/size.h"

#include <string.h>

/* No language has half as many; a file may claim any number. */
enum { MAX_RELATIONS = 64, MAX_RANGES = 64, MAX_DIGITS = 15 };

const char *const oc__plural_names[OC_PLURAL_COUNT] = {"zero", "one",  "two",
                                                       "few",  "many", "other"};

int oc__plural_find(const char *name, size_t n) {
    for (int i = 0; i < OC_PLURAL_COUNT; i++) {
        if (strlen(oc__plural_names[i]) == n &&
            !memcmp(oc__plural_names[i], name, n))
            return i;
    }
    return -1;
}

typedef struct reader {
    const char *at, *end;
    oc__arena *arena;
    oc_error *err;
} reader;

static void skip_space(reader *r) {
    while (r->at < r->end && (*r->at == ' ' || *r->at == '\t'))
        r->at++;
}

/* Takes a word or a sign where it stands next. */
static int take(reader *r, const char *word) {
    size_t n = strlen(word);
    skip_space(r);
    if ((size_t)(r->end - r->at) < n || memcmp(r->at, word, n) != 0) return 0;
    /* "or" is not the beginning of "order" */
    const char *next = r->at + n;
    if (word[0] >= 'a' && next < r->end && *next >= 'a' && *next <= 'z')
        return 0;
    r->at = next;
    return 1;
}

static oc_status wrong(const reader *r, const char *wanted) {
    size_t left = (size_t)(r->end - r->at);
    if (!left)
        return oc__fail(r->err, OC_E_FORMAT,
                        "the plural rule wants %s at its "
                        "end",
                        wanted);
    return oc__fail(r->err, OC_E_FORMAT,
                    "the plural rule wants %s where \"%.*s\" stands", wanted,
                    (int)OC_MIN(left, (size_t)20), r->at);
}

static oc_status take_number(reader *r, int64_t *out) {
    int digits = 0;
    skip_space(r);
    *out = 0;
    while (r->at < r->end && *r->at >= '0' && *r->at <= '9') {
        if (++digits > MAX_DIGITS) return wrong(r, "a smaller number");
        *out = *out * 10 + (*r->at++ - '0');
    }
    return digits ? OC_OK : wrong(r, "a number");
}

/* n % 10 */
static oc_status take_operand(reader *r, oc__plural_relation *rel) {
    static const char operands[] = "nivwftce";
    skip_space(r);
    const char *known =
        r->at < r->end && *r->at ? strchr(operands, *r->at) : NULL;
    if (!known) return wrong(r, "one of n i v w f t c e");
    rel->is_number = known - operands < 2;
    r->at++;
    if (!take(r, "%") && !take(r, "mod")) return OC_OK;
    OC_TRY(take_number(r, &rel->mod));
    return rel->mod ? OC_OK : wrong(r, "a number other than 0 before");
}

/* 2..4, 7 */
static oc_status take_ranges(reader *r, oc__plural_relation *rel) {
    oc__plural_range list[MAX_RANGES];
    do {
        if (rel->n_ranges == MAX_RANGES)
            return oc__fail(r->err, OC_E_LIMIT,
                            "the plural rule has more than %d ranges",
                            MAX_RANGES);
        oc__plural_range *range = &list[rel->n_ranges++];
        OC_TRY(take_number(r, &range->first));
        range->last = range->first;
        if (take(r, "..")) OC_TRY(take_number(r, &range->last));
    } while (take(r, ","));
    rel->ranges =
        oc__arena_dup(r->arena, list, (size_t)rel->n_ranges * sizeof *list);
    return rel->ranges ? OC_OK : oc__fail_nomem(r->err);
}

static oc_status take_relation(reader *r, oc__plural_relation *rel) {
    memset(rel, 0, sizeof *rel);
    OC_TRY(take_operand(r, rel));
    if (take(r, "!=")) {
        rel->negated = 1;
    } else if (!take(r, "=")) {
        /* As older editions of CLDR have it: is, is not, in, not within */
        int is = take(r, "is");
        rel->negated = take(r, "not");
        if (!is && !take(r, "in") && !take(r, "within"))
            return wrong(r, "= or !=");
    }
    return take_ranges(r, rel);
}

oc_status oc__plural_parse(oc__plural_rule *out, oc__arena *arena,
                           const char *text, size_t bytes, oc_error *err) {
    oc__plural_relation list[MAX_RELATIONS];
    const char *samples = bytes ? memchr(text, '@', bytes) : NULL;
    reader r = {text, samples ? samples : text + bytes, arena, err};
    int n = 0, starts_or = 1;
    do {
        if (n == MAX_RELATIONS)
            return oc__fail(err, OC_E_LIMIT,
                            "the plural rule has more than %d conditions",
                            MAX_RELATIONS);
        OC_TRY(take_relation(&r, &list[n]));
        list[n++].starts_or = starts_or;
        starts_or = take(&r, "or");
    } while (starts_or || take(&r, "and"));
    if (r.at < r.end) return wrong(&r, "\"and\" or \"or\"");
    oc__plural_relation *kept =
        oc__arena_dup(arena, list, (size_t)n * sizeof *list);
    if (!kept) return oc__fail_nomem(err);
    out->n = n;
    out->relations = kept;
    return OC_OK;
}

static int relation_holds(const oc__plural_relation *rel, int64_t n) {
    int64_t v = rel->is_number ? n : 0;
    int found = 0;
    if (rel->mod) v %= rel->mod;
    for (int i = 0; i < rel->n_ranges; i++) {
        found |= v >= rel->ranges[i].first && v <= rel->ranges[i].last;
    }
    return found != rel->negated;
}

/* "and" binds closer than "or". */
static int rule_holds(const oc__plural_rule *rule, int64_t n) {
    int holds = 0;
    for (int i = 0; i < rule->n; i++) {
        if (rule->relations[i].starts_or) {
            if (holds) return 1;
            holds = 1;
        }
        holds = holds && relation_holds(&rule->relations[i], n);
    }
    return holds;
}

oc__plural oc__plural_of(const oc__plural_rule rules[OC_PLURAL_COUNT],
                         int64_t n) {
    if (n < 0) n = n == INT64_MIN ? INT64_MAX : -n;
    for (int i = 0; i < OC_PLURAL_OTHER; i++) {
        if (rule_holds(&rules[i], n)) return (oc__plural)i;
    }
    return OC_PLURAL_OTHER;
}
