/*
 * strings.c - StringConcat, StringSplit, RegexFullMatch, StringNormalizer.
 * All text is UTF-8.
 */
#include "base/regex.h"
#include "base/unicode.h"
#include "ops/text_list.h"

#include <string.h>

static oc_status infer_strings(oc__ctx *c) {
    for (int i = 0; i < c->n_in; i++)
        OC_TRY(oc__want(c, i, OC_T(STRING)));
    return OC_OK;
}

/* ---- StringConcat ----------------------------------------------------------
 */

/* Broadcasts the two like any elementwise operator. */
static oc_status concat_all(oc__ctx *c, oc__text_list *l, int rank,
                            const int64_t *dims) {
    const oc_tensor *a = oc__in(c, 0), *b = oc__in(c, 1);
    int64_t as[OC_MAX_RANK], bs[OC_MAX_RANK], n;
    oc__broadcast_strides(a, rank, dims, as);
    oc__broadcast_strides(b, rank, dims, bs);
    if (oc__dims_product(dims, rank, &n)) return oc__fail_nomem(c->err);
    for (int64_t i = 0; i < n; i++) {
        int64_t rest = i, ai = 0, bi = 0;
        for (int d = rank - 1; d >= 0; d--) {
            ai += rest % dims[d] * as[d];
            bi += rest % dims[d] * bs[d];
            rest /= dims[d];
        }
        const oc_string *x = (const oc_string *)a->data + ai;
        const oc_string *y = (const oc_string *)b->data + bi;
        OC_TRY(oc__text_list_open(l, c->err));
        OC_TRY(oc__text_list_append(l, x->data, x->bytes, c->err));
        OC_TRY(oc__text_list_append(l, y->data, y->bytes, c->err));
    }
    return oc__text_list_finish(l, oc__out_value(c, 0), rank, dims, c->err);
}

static oc_status run_concat(oc__ctx *c) {
    int64_t dims[OC_MAX_RANK];
    int rank;
    oc__text_list l = {.allocator = c->allocator};
    OC_TRY(oc__broadcast(c, oc__in(c, 0), oc__in(c, 1), &rank, dims));
    if (!oc__out_value(c, 0)) return OC_OK;
    oc_status st = concat_all(c, &l, rank, dims);
    oc__text_list_deinit(&l);
    return st;
}

/* ---- StringSplit -----------------------------------------------------------
 */

static int is_space(uint32_t c) {
    return (c >= 9 && c <= 13) || (c >= 0x1c && c <= 0x20) || c == 0x85 ||
           c == 0xa0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200a) ||
           c == 0x2028 || c == 0x2029 || c == 0x202f || c == 0x205f ||
           c == 0x3000;
}

/* Moves *s over white space, or over what is none. */
static void skip(const char **s, const char *end, int space) {
    while (*s < end) {
        const char *p = *s;
        if (is_space(oc__utf8_next(&p, end)) != space) return;
        *s = p;
    }
}

/* Pieces between runs of white space; the rest behind the last split keeps
   its end as it is. */
static oc_status split_spaces(oc__text_list *l, oc_string s, int64_t max,
                              int64_t *n, oc_error *err) {
    const char *at = s.data, *end = s.data + s.bytes;
    for (skip(&at, end, 1); at < end; skip(&at, end, 1)) {
        const char *from = at;
        if ((*n)++ == max) at = end;
        skip(&at, end, 0);
        OC_TRY(oc__text_list_push(l, from, (size_t)(at - from), err));
    }
    return OC_OK;
}

static const char *find(const char *s, const char *end, const char *what,
                        size_t bytes) {
    for (; (size_t)(end - s) >= bytes; s++) {
        s = memchr(s, what[0], (size_t)(end - s) - bytes + 1);
        if (!s) return NULL;
        if (memcmp(s, what, bytes) == 0) return s;
    }
    return NULL;
}

/* Pieces between marks; neighbouring marks have an empty piece between. */
static oc_status split_at(oc__text_list *l, oc_string s, const char *mark,
                          int64_t max, int64_t *n, oc_error *err) {
    const char *at = s.data, *end = s.data + s.bytes;
    size_t bytes = strlen(mark);
    for (;;) {
        const char *stop = *n < max ? find(at, end, mark, bytes) : NULL;
        size_t piece = (size_t)((stop ? stop : end) - at);
        OC_TRY(oc__text_list_push(l, at, piece, err));
        ++*n;
        if (!stop) return OC_OK;
        at = stop + bytes;
    }
}

/* The pieces of every element, each padded to the longest list. */
static oc_status split_all(oc__ctx *c, oc__text_list *pieces,
                           oc__text_list *padded, int64_t *counts) {
    const oc_tensor *x = oc__in(c, 0);
    const char *mark = oc__attr_string(c->node, "delimiter", "");
    int64_t max = oc__attr_int(c->node, "maxsplit", -1);
    int64_t n = oc_tensor_elems(x), most = 0, dims[OC_MAX_RANK + 1];
    if (max < 0) max = INT64_MAX;
    for (int64_t i = 0; i < n; i++) {
        oc_string s = ((const oc_string *)x->data)[i];
        counts[i] = 0;
        OC_TRY(*mark ? split_at(pieces, s, mark, max, &counts[i], c->err)
                     : split_spaces(pieces, s, max, &counts[i], c->err));
        most = OC_MAX(most, counts[i]);
    }
    size_t from = 0;
    for (int64_t i = 0; i < n; i++)
        for (int64_t k = 0; k < most; k++) {
            oc_string s = {"", 0};
            if (k < counts[i]) s = pieces->items[from++];
            OC_TRY(oc__text_list_push(padded, s.data, s.bytes, c->err));
        }
    memcpy(dims, x->dims, sizeof x->dims);
    dims[x->rank] = most;
    if (oc__out_value(c, 0))
        OC_TRY(oc__text_list_finish(padded, oc__out_value(c, 0), x->rank + 1,
                                    dims, c->err));
    return OC_OK;
}

static oc_status run_split(oc__ctx *c) {
    const oc_tensor *x = oc__in(c, 0);
    oc__text_list pieces = {.allocator = c->allocator}, padded = pieces;
    oc_tensor *z;
    if (x->rank >= OC_MAX_RANK)
        return oc__op_fail(c, OC_E_LIMIT, "rank %d is over %d", x->rank + 1,
                           OC_MAX_RANK);
    size_t bytes = (size_t)oc_tensor_elems(x) * sizeof(int64_t);
    int64_t *counts = oc__alloc(c->allocator, bytes);
    if (!counts) return oc__fail_nomem(c->err);
    oc_status st = split_all(c, &pieces, &padded, counts);
    if (st == OC_OK)
        st = oc__out_alloc(c, 1, OC_DTYPE_I64, x->rank, x->dims, &z);
    if (st == OC_OK && z && bytes) memcpy(z->data, counts, bytes);
    oc__text_list_deinit(&pieces);
    oc__text_list_deinit(&padded);
    oc__release(c->allocator, counts, bytes);
    return st;
}

/* ---- RegexFullMatch --------------------------------------------------------
 */

/* Compiles the pattern.  Done anew each run: compiling takes microseconds,
   and nodes keep no state. */
static oc_status regex_open(oc__ctx *c, oc__regex **out) {
    const oc__attr *a = oc__attr_find(c->node, "pattern");
    if (!a || a->type != OC_ATTR_STRING)
        return oc__op_fail(c, OC_E_FORMAT, "pattern is missing");
    oc_error why;
    oc__error_clear(&why);
    oc_status st =
        oc__regex_create(out, c->allocator, a->s.data, a->s.bytes, &why);
    return st == OC_OK ? st : oc__op_fail(c, st, "%s", why.message);
}

static oc_status infer_regex(oc__ctx *c) {
    oc__regex *r;
    OC_TRY(oc__want(c, 0, OC_T(STRING)));
    OC_TRY(regex_open(c, &r)); /* a bad pattern is known now, not later */
    oc__regex_destroy(r);
    const oc_tensor *x = oc__in(c, 0);
    return oc__out_set(c, 0, OC_DTYPE_BOOL, x->rank, x->dims);
}

static oc_status run_regex(oc__ctx *c) {
    const oc_tensor *x = oc__in(c, 0);
    const oc_string *s = x->data;
    uint8_t *y = oc__out(c, 0)->data;
    oc__regex *r;
    OC_TRY(regex_open(c, &r));
    size_t bytes = oc__regex_work_bytes(r);
    void *work = oc__alloc(c->allocator, bytes);
    if (!work) {
        oc__regex_destroy(r);
        return oc__fail_nomem(c->err);
    }
    for (int64_t i = 0; i < oc_tensor_elems(x); i++)
        y[i] = (uint8_t)oc__regex_full_match(r, s[i].data, s[i].bytes, work);
    oc__release(c->allocator, work, bytes);
    oc__regex_destroy(r);
    return OC_OK;
}

/* ---- StringNormalizer ------------------------------------------------------
 */

static oc_status append_case(oc__text_list *l, oc_string s, int upper,
                             oc_error *err) {
    const char *at = s.data, *end = s.data + s.bytes;
    char out[4];
    while (at < end) {
        const char *from = at;
        uint32_t ch = oc__utf8_next(&at, end);
        uint32_t to = upper ? oc__unicode_upper(ch) : oc__unicode_lower(ch);
        if (to == ch) /* bytes that are no UTF-8 pass unchanged */
            OC_TRY(oc__text_list_append(l, from, (size_t)(at - from), err));
        else
            OC_TRY(oc__text_list_append(l, out, (size_t)oc__utf8_put(out, to),
                                        err));
    }
    return OC_OK;
}

/* Whether two strings are equal, or equal but for case. */
static int same_text(oc_string a, oc_string b, int exact) {
    const char *p = a.data, *p_end = p + a.bytes;
    const char *q = b.data, *q_end = q + b.bytes;
    if (exact)
        return a.bytes == b.bytes &&
               (a.bytes == 0 || memcmp(p, q, a.bytes) == 0);
    while (p < p_end && q < q_end)
        if (oc__unicode_lower(oc__utf8_next(&p, p_end)) !=
            oc__unicode_lower(oc__utf8_next(&q, q_end)))
            return 0;
    return p == p_end && q == q_end;
}

/* Drops stop words, changes the case of the rest.  Of nothing left comes one
   empty string. */
static oc_status normalize_all(oc__ctx *c, oc__text_list *l) {
    const oc_tensor *x = oc__in(c, 0);
    size_t stops;
    const oc_string *stop = oc__attr_strings(c->node, "stopwords", &stops);
    const char *action = oc__attr_string(c->node, "case_change_action", "NONE");
    int exact = oc__attr_int(c->node, "is_case_sensitive", 0) != 0;
    int upper = !strcmp(action, "UPPER"), none = !strcmp(action, "NONE");
    if (!upper && !none && strcmp(action, "LOWER"))
        return oc__op_fail(c, OC_E_ARG, "case_change_action is \"%s\"", action);
    for (int64_t i = 0; i < oc_tensor_elems(x); i++) {
        oc_string s = ((const oc_string *)x->data)[i];
        int drop = 0;
        for (size_t k = 0; k < stops && !drop; k++)
            drop = same_text(s, stop[k], exact);
        if (drop) continue;
        if (none) {
            OC_TRY(oc__text_list_push(l, s.data, s.bytes, c->err));
            continue;
        }
        OC_TRY(oc__text_list_open(l, c->err));
        OC_TRY(append_case(l, s, upper, c->err));
    }
    if (l->n == 0) OC_TRY(oc__text_list_push(l, "", 0, c->err));
    int64_t n = (int64_t)l->n;
    int64_t dims[2] = {x->rank == 1 ? n : 1, n};
    return oc__text_list_finish(l, oc__out_value(c, 0), x->rank, dims, c->err);
}

static oc_status run_normalize(oc__ctx *c) {
    const oc_tensor *x = oc__in(c, 0);
    oc__text_list l = {.allocator = c->allocator};
    if (x->rank < 1 || x->rank > 2 || (x->rank == 2 && x->dims[0] != 1))
        return oc__op_fail(c, OC_E_SHAPE, "input must be [C] or [1, C]");
    if (!oc__out_value(c, 0)) return OC_OK;
    oc_status st = normalize_all(c, &l);
    oc__text_list_deinit(&l);
    return st;
}

const oc__op oc__ops_strings[] = {
    {"", "StringConcat", 20, 2, 2, 1, OC_OP_DYNAMIC, 0, infer_strings,
     run_concat, NULL},
    {"", "StringSplit", 20, 1, 1, 2, OC_OP_DYNAMIC, 0, infer_strings, run_split,
     NULL},
    {"", "RegexFullMatch", 20, 1, 1, 1, 0, 0, infer_regex, run_regex, NULL},
    {"", "StringNormalizer", 10, 1, 1, 1, OC_OP_DYNAMIC, 0, infer_strings,
     run_normalize, NULL},
    {NULL, NULL, 0, 0, 0, 0, 0, 0, NULL, NULL, NULL},
};
