/* html.c - see html.h. */
#include "page/html.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static int grow(oc_bytes *b, size_t n) {
    size_t need, size = b->capacity < 4096 ? 4096 : b->capacity;
    const oc_allocator *a =
        b->allocator ? b->allocator : &oc__default_allocator;
    if (oc__size_add(b->size, n, &need)) return 1;
    if (need <= b->capacity) return 0;
    while (size < need) {
        if (oc__size_mul(size, 2, &size)) return 1;
    }
    uint8_t *fresh = oc__alloc(a, size);
    if (!fresh) return 1;
    if (b->size) memcpy(fresh, b->data, b->size);
    oc__release(a, b->data, b->capacity);
    b->data = fresh;
    b->capacity = size;
    return 0;
}

void oc__page_bytes(oc__page *p, const void *data, size_t n) {
    if (p->failed || grow(p->out, n)) {
        p->failed = 1;
        return;
    }
    if (n) memcpy(p->out->data + p->out->size, data, n);
    p->out->size += n;
}

void oc__page_text(oc__page *p, const char *text) {
    oc__page_bytes(p, text, strlen(text));
}

void oc__page_print(oc__page *p, const char *format, ...) {
    char text[1024];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (n > 0) oc__page_bytes(p, text, OC_MIN((size_t)n, sizeof text - 1));
}

void oc__page_escaped(oc__page *p, const char *text) {
    for (const char *s = text ? text : ""; *s; s++) {
        switch (*s) {
        case '&': oc__page_text(p, "&amp;"); break;
        case '<': oc__page_text(p, "&lt;"); break;
        case '>': oc__page_text(p, "&gt;"); break;
        case '"': oc__page_text(p, "&quot;"); break;
        default:
            if ((unsigned char)*s >= ' ' || *s == '\n' || *s == '\t')
                oc__page_bytes(p, s, 1);
        }
    }
}

void oc__page_fixed(oc__page *p, double v, int decimals) {
    double scale = pow(10, decimals);
    if (!isfinite(v) || fabs(v) * scale > 9e15) {
        oc__page_text(p, "-");
        return;
    }
    long long whole = llrint(fabs(v) * scale), unit = llrint(scale);
    oc__page_print(p, "%s%lld", v < 0 && whole ? "-" : "", whole / unit);
    if (decimals) oc__page_print(p, ".%0*lld", decimals, whole % unit);
}

void oc__page_percent(oc__page *p, double v) {
    oc__page_fixed(p, 100 * v, 1);
    if (isfinite(v)) oc__page_text(p, "\xc2\xa0%");
}

void oc__page_number(oc__page *p, double v) {
    double a = fabs(v);
    if (v == 0 || !isfinite(v)) {
        oc__page_text(p, v == 0 ? "0" : "-");
        return;
    }
    int order = (int)floor(log10(a));
    if (order < -4) {
        oc__page_fixed(p, v / pow(10, order), 1);
        oc__page_print(p, "e-%02d", -order);
        return;
    }
    oc__page_fixed(p, v, order >= 2 ? 0 : 2 - order);
}

void oc__page_base64(oc__page *p, const void *data, size_t n) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrs"
                                 "tuvwxyz0123456789+/";
    const uint8_t *s = data;
    for (size_t i = 0; i < n; i += 3) {
        uint32_t v = (uint32_t)s[i] << 16;
        if (i + 1 < n) v |= (uint32_t)s[i + 1] << 8;
        if (i + 2 < n) v |= s[i + 2];
        char four[4] = {digits[v >> 18], digits[v >> 12 & 63],
                        i + 1 < n ? digits[v >> 6 & 63] : '=',
                        i + 2 < n ? digits[v & 63] : '='};
        oc__page_bytes(p, four, 4);
    }
}
