/* compare.c - see compare.h. */
#include "compare.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static void describe(const oc_tensor *t, char *out, size_t room) {
    size_t n = (size_t)snprintf(out, room, "%s[", oc_dtype_name(t->dtype));
    for (int i = 0; i < t->rank && n < room; i++) {
        n += (size_t)snprintf(out + n, room - n, "%s%lld", i ? "," : "",
                              (long long)t->dims[i]);
    }
    if (n < room) snprintf(out + n, room - n, "]");
}

static int same_type(const oc_tensor *a, const oc_tensor *b) {
    if (a->dtype != b->dtype || a->rank != b->rank) return 0;
    for (int i = 0; i < a->rank; i++) {
        if (a->dims[i] != b->dims[i]) return 0;
    }
    return 1;
}

static int is_complex(oc_dtype d) {
    return d == OC_DTYPE_C64 || d == OC_DTYPE_C128;
}

/* The imaginary part of element i of a complex tensor. */
static double imaginary(const oc_tensor *t, int64_t i) {
    if (t->dtype == OC_DTYPE_C64) return ((const float *)t->data)[2 * i + 1];
    return ((const double *)t->data)[2 * i + 1];
}

static int is_close(const oc_tensor *got, const oc_tensor *want, int64_t i,
                    const compare_how *how) {
    double a = oc_tensor_get(got, i), b = oc_tensor_get(want, i);
    if (is_complex(want->dtype)) {
        double c = imaginary(got, i), d = imaginary(want, i);
        if (isfinite(a) && isfinite(b) && isfinite(c) && isfinite(d)) {
            return hypot(a - b, c - d) <= how->atol + how->rtol * hypot(b, d);
        }
        if (!(c == d || (isnan(c) && isnan(d)))) return 0;
    }
    if (isnan(a) || isnan(b)) return isnan(a) && isnan(b);
    if (isinf(a) || isinf(b)) return a == b;
    return fabs(a - b) <= how->atol + how->rtol * fabs(b);
}

static int compare_strings(const oc_tensor *got, const oc_tensor *want,
                           char *why, size_t room) {
    const oc_string *a = got->data, *b = want->data;
    int64_t n = oc_tensor_elems(want);
    for (int64_t i = 0; i < n; i++) {
        if (a[i].bytes == b[i].bytes &&
            (!a[i].bytes || !memcmp(a[i].data, b[i].data, a[i].bytes)))
            continue;
        snprintf(why, room, "string %lld is \"%.*s\", expected \"%.*s\"",
                 (long long)i, (int)(a[i].bytes < 40 ? a[i].bytes : 40),
                 a[i].data, (int)(b[i].bytes < 40 ? b[i].bytes : 40),
                 b[i].data);
        return 1;
    }
    return 0;
}

static int compare_tensors(const oc_tensor *got, const oc_tensor *want,
                           const compare_how *how, char *why, size_t room) {
    char a[128], b[128];
    if (!same_type(got, want)) {
        describe(got, a, sizeof(a));
        describe(want, b, sizeof(b));
        snprintf(why, room, "is %s, expected %s", a, b);
        return 1;
    }
    if (how->shape_only) return 0;
    if (want->dtype == OC_DTYPE_STRING)
        return compare_strings(got, want, why, room);
    int64_t n = oc_tensor_elems(want), wrong = 0, worst = -1;
    double worst_error = -1;
    for (int64_t i = 0; i < n; i++) {
        if (is_close(got, want, i, how)) continue;
        double error = fabs(oc_tensor_get(got, i) - oc_tensor_get(want, i));
        wrong++;
        if (worst < 0 || error > worst_error) {
            worst = i;
            worst_error = error;
        }
    }
    if (!wrong) return 0;
    snprintf(why, room,
             "%lld of %lld differ, worst element %lld: %.9g, "
             "expected %.9g",
             (long long)wrong, (long long)n, (long long)worst,
             oc_tensor_get(got, worst), oc_tensor_get(want, worst));
    return 1;
}

int compare_values(const oc_value *got, const oc_value *want,
                   const compare_how *how, char *why, size_t room) {
    static const char *const kinds[] = {"none", "a tensor", "a sequence",
                                        "a map"};
    oc_kind a = got ? oc_value_kind(got) : OC_KIND_NONE;
    oc_kind b = oc_value_kind(want);
    if (a != b) {
        snprintf(why, room, "is %s, expected %s", kinds[a], kinds[b]);
        return 1;
    }
    if (b == OC_KIND_NONE) return 0;
    if (b == OC_KIND_TENSOR) {
        return compare_tensors(oc_value_tensor(got), oc_value_tensor(want), how,
                               why, room);
    }
    size_t n = oc_value_count(want);
    if (oc_value_count(got) != n) {
        snprintf(why, room, "has %zu elements, expected %zu",
                 oc_value_count(got), n);
        return 1;
    }
    for (size_t i = 0; i < n; i++) {
        char inner[256];
        if (!compare_values(oc_value_item(got, i), oc_value_item(want, i), how,
                            inner, sizeof(inner)))
            continue;
        snprintf(why, room, "element %zu: %s", i, inner);
        return 1;
    }
    return 0;
}
