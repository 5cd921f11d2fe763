/* text_number.c - see text_number.h. */
#include "base/text_number.h"

#include "base/half.h"
#include "base/size.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- to text ------------------------------------------------------------- */

/* Whether the decimal text reads back as v in the type v comes from. */
static int reads_back(oc_dtype dtype, double v, const char *text) {
    double back = strtod(text, NULL);
    switch (dtype) {
    case OC_DTYPE_F64: return back == v;
    case OC_DTYPE_F32: return (float)back == (float)v;
    case OC_DTYPE_BF16:
        return oc__f32_to_bf16((float)back) == oc__f32_to_bf16((float)v);
    default: return oc__f64_to_f16(back) == oc__f64_to_f16(v);
    }
}

/*
 * v = 0.d0 d1 d2 ... * 10^(exponent + 1) with as few digits as tell v from
 * its neighbours.  The digits are picked out of printf's answer one by one,
 * because the character between them depends on the locale.
 */
static size_t shortest_digits(oc_dtype dtype, double v, char *digits,
                              int *exponent) {
    char text[64];
    for (int precision = 0; precision <= 17; precision++) {
        snprintf(text, sizeof(text), "%.*e", precision, v);
        if (reads_back(dtype, v, text)) break;
    }
    size_t n = 0;
    const char *p = text;
    for (; *p && *p != 'e'; p++)
        if (*p >= '0' && *p <= '9') digits[n++] = *p;
    *exponent = *p ? atoi(p + 1) : 0;
    while (n > 1 && digits[n - 1] == '0')
        n--;
    return n;
}

size_t oc__text_from_f64(oc_dtype dtype, double v, char *out) {
    char digits[40], *p = out;
    int e;
    if (isnan(v)) {
        memcpy(out, "nan", 3);
        return 3;
    }
    if (signbit(v)) *p++ = '-';
    v = fabs(v);
    if (isinf(v)) {
        memcpy(p, "inf", 3);
        return (size_t)(p + 3 - out);
    }
    size_t n = shortest_digits(dtype, v, digits, &e);
    if (v != 0 && (v < 1e-4 || v >= 1e16)) { /* d.ddde-05 */
        *p++ = digits[0];
        if (n > 1) *p++ = '.';
        memcpy(p, digits + 1, n - 1);
        p += n - 1;
        p += snprintf(p, 8, "e%+03d", e);
        return (size_t)(p - out);
    }
    if (e < 0) { /* 0.00ddd */
        *p++ = '0';
        *p++ = '.';
        for (int i = -1; i > e; i--)
            *p++ = '0';
        memcpy(p, digits, n);
        return (size_t)(p + n - out);
    }
    for (int i = 0; i <= e; i++)
        *p++ = (size_t)i < n ? digits[i] : '0';
    *p++ = '.';
    if (n <= (size_t)e + 1) *p++ = '0';
    for (size_t i = (size_t)e + 1; i < n; i++)
        *p++ = digits[i];
    return (size_t)(p - out);
}

size_t oc__text_from_number(oc_dtype dtype, double v, char *out) {
    size_t n = oc__text_from_f64(dtype, v, out);
    if (n > 2 && !memcmp(out + n - 2, ".0", 2)) n -= 2;
    out[n] = 0;
    return n;
}

void oc__text_from_score(float v, char *out) {
    /* Beyond a million a score has no digits to spare for decimals. */
    if (!(fabsf(v) < 1e6f)) {
        oc__text_from_number(OC_DTYPE_F32, (double)v, out);
        return;
    }
    long hundredths = lrint(100 * (double)v), size = labs(hundredths);
    snprintf(out, OC_NUMBER_TEXT_BYTES, "%s%ld.%02ld", signbit(v) ? "-" : "",
             size / 100, size % 100);
}

size_t oc__text_from_i64(int64_t v, char *out) {
    return (size_t)snprintf(out, OC_NUMBER_TEXT_BYTES, "%" PRId64, v);
}

size_t oc__text_from_u64(uint64_t v, char *out) {
    return (size_t)snprintf(out, OC_NUMBER_TEXT_BYTES, "%" PRIu64, v);
}

/* ---- from text ----------------------------------------------------------- */

static int is_space(char c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static int is_digit(char c) {
    return c >= '0' && c <= '9';
}

/* Whether s begins with word, which is in lower case, in any case. */
static int begins(const char *s, size_t n, const char *word) {
    size_t length = strlen(word);
    if (n < length) return 0;
    for (size_t i = 0; i < length; i++)
        if ((s[i] | 0x20) != word[i]) return 0;
    return 1;
}

static void trim(const char **s, size_t *n) {
    while (*n && is_space(**s))
        (*s)++, (*n)--;
    while (*n && is_space((*s)[*n - 1]))
        (*n)--;
}

/*
 * Reads "e-12" where s begins with it; how many bytes that takes.  Bounded so
 * that sums with it cannot overflow.
 */
static size_t read_exponent(const char *s, size_t n, long *out) {
    size_t i = 1;
    long e = 0;
    if (!n || (*s | 0x20) != 'e') return 0;
    int negative = n > 1 && s[1] == '-';
    if (n > 1 && (s[1] == '-' || s[1] == '+')) i++;
    size_t first = i;
    for (; i < n && is_digit(s[i]); i++) {
        if (e < 100000) e = e * 10 + (s[i] - '0');
    }
    if (i == first) return 0;
    *out = negative ? -e : e;
    return i;
}

/*
 * Digits without a point and a power of ten mean the same to strtod in every
 * locale.  The middle of two doubles has 768 digits at most (those of 5^1075
 * times an odd number below 2^54): so many, and one more that says whether
 * anything follows, decide how to round.
 */
enum { MOST_DIGITS = 768 };

static size_t read_digits(const char *s, size_t n, double *out) {
    char text[MOST_DIGITS + 24];
    size_t used = 0, seen = 0, i = 0;
    long e = 0, written = 0;
    int point = 0, more = 0;
    for (; i < n && (is_digit(s[i]) || (s[i] == '.' && !point)); i++) {
        if (s[i] == '.') {
            point = 1;
            continue;
        }
        seen = 1;
        if (used < MOST_DIGITS && (used || s[i] != '0')) {
            text[used++] = s[i];
        } else if (used) {
            more |= s[i] != '0';
            if (e < 100000) e++;
        }
        if (point && e > -100000) e--;
    }
    if (!seen) return 0;
    i += read_exponent(s + i, n - i, &written);
    if (more) {
        text[used++] = '1';
        e--;
    }
    if (!used) text[used++] = '0';
    snprintf(text + used, sizeof(text) - used, "e%ld", e + written);
    *out = strtod(text, NULL);
    return i;
}

size_t oc__text_read_f64(const char *s, size_t n, double *out) {
    size_t sign = n && (*s == '-' || *s == '+'), used;
    double v;
    const char *digits = s + sign;
    n -= sign;
    if (begins(digits, n, "infinity")) {
        v = INFINITY;
        used = 8;
    } else if (begins(digits, n, "inf")) {
        v = INFINITY;
        used = 3;
    } else if (begins(digits, n, "nan")) {
        v = NAN;
        used = 3;
    } else {
        used = read_digits(digits, n, &v);
        if (!used) return 0;
    }
    *out = sign && *s == '-' ? -v : v;
    return sign + used;
}

int oc__text_to_f64(const char *s, size_t n, double *out) {
    double v;
    trim(&s, &n);
    if (!n || oc__text_read_f64(s, n, &v) != n) return 1;
    *out = v;
    return 0;
}

/* Digits alone keep all 64 bits, which a double would not. */
static int plain_integer(const char *s, size_t n, int *negative,
                         uint64_t *out) {
    trim(&s, &n);
    *negative = n && *s == '-';
    if (n && (*s == '-' || *s == '+')) s++, n--;
    if (!n) return 1;
    uint64_t v = 0;
    for (; n; s++, n--) {
        if (!is_digit(*s)) return 1;
        uint64_t d = (uint64_t)(*s - '0');
        v = v > (UINT64_MAX - d) / 10 ? UINT64_MAX : v * 10 + d;
    }
    *out = v;
    return 0;
}

int oc__text_to_i64(const char *s, size_t n, int64_t *out) {
    int negative;
    uint64_t u;
    if (!plain_integer(s, n, &negative, &u)) {
        if (u > INT64_MAX)
            *out = negative ? INT64_MIN : INT64_MAX;
        else
            *out = negative ? -(int64_t)u : (int64_t)u;
        return 0;
    }
    double v;
    if (oc__text_to_f64(s, n, &v)) return 1;
    if (isnan(v))
        *out = 0;
    else if (v >= 9223372036854775808.0)
        *out = INT64_MAX;
    else if (v < -9223372036854775808.0)
        *out = INT64_MIN;
    else
        *out = (int64_t)v;
    return 0;
}

int oc__text_to_u64(const char *s, size_t n, uint64_t *out) {
    int negative;
    uint64_t u;
    if (!plain_integer(s, n, &negative, &u)) {
        *out = negative ? 0 - u : u;
        return 0;
    }
    double v;
    if (oc__text_to_f64(s, n, &v)) return 1;
    if (!(v > 0))
        *out = 0;
    else if (v >= 18446744073709551616.0)
        *out = UINT64_MAX;
    else
        *out = (uint64_t)v;
    return 0;
}
