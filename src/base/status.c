/* status.c - see status.h. */
#include "base/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *oc_status_text(oc_status status) {
    switch (status) {
#define OC_STATUS_CASE(name, text)                                             \
    case OC_##name: return text;
        OC_STATUS_MAP(OC_STATUS_CASE)
#undef OC_STATUS_CASE
    }
    return "unknown status";
}

static void record(oc_error *err, oc_status status, int64_t offset,
                   const char *format, va_list args) {
    if (!err) return;
    err->status = status;
    err->offset = offset;
    vsnprintf(err->message, sizeof(err->message), format, args);
}

oc_status oc__fail(oc_error *err, oc_status status, const char *format, ...) {
    va_list args;
    va_start(args, format);
    record(err, status, -1, format, args);
    va_end(args);
    return status;
}

oc_status oc__fail_at(oc_error *err, oc_status status, int64_t offset,
                      const char *format, ...) {
    va_list args;
    va_start(args, format);
    record(err, status, offset, format, args);
    va_end(args);
    return status;
}

oc_status oc__fail_nomem(oc_error *err) {
    return oc__fail(err, OC_E_NOMEM, "out of memory");
}

void oc__error_prefix(oc_error *err, const char *prefix) {
    char copy[sizeof(err->message)];
    if (!err) return;
    memcpy(copy, err->message, sizeof(copy));
    /* The message is cut, never overrun, when both do not fit. */
    int used = snprintf(err->message, sizeof(err->message), "%s: ", prefix);
    if (used < 0 || (size_t)used >= sizeof(err->message)) return;
    snprintf(err->message + used, sizeof(err->message) - (size_t)used, "%s",
             copy);
}

void oc__error_node(oc_error *err, const char *name) {
    if (!err || err->node[0] || !name) return;
    snprintf(err->node, sizeof(err->node), "%s", name);
}

void oc__error_clear(oc_error *err) {
    if (!err) return;
    memset(err, 0, sizeof(*err));
    err->offset = -1;
}
