/*
 * status.h - how failures travel: a status up the stack, a sentence beside it.
 */
#ifndef OC_BASE_STATUS_H
#define OC_BASE_STATUS_H

#include <ocelli/ocelli.h>

#if defined(__GNUC__)
#define OC_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define OC_UNUSED            __attribute__((unused))
#else
#define OC_PRINTF(fmt, args)
#define OC_UNUSED
#endif

/**
 * Records a failure and returns `status`, so that call sites read
 * `return oc__fail(err, OC_E_SHAPE, "Conv: weight has rank %d", rank);`.
 * err may be NULL.  The node name already in err is kept; the first sentence
 * of a chain wins nothing: the last call writes the message.
 */
oc_status oc__fail(oc_error *err, oc_status status, const char *format, ...)
    OC_PRINTF(3, 4);
/** The same with the byte offset at which the input went wrong. */
oc_status oc__fail_at(oc_error *err, oc_status status, int64_t offset,
                      const char *format, ...) OC_PRINTF(4, 5);
/** E_NOMEM with the standard sentence. */
oc_status oc__fail_nomem(oc_error *err);
/** Puts "prefix: " before the message, for a caller that knows the file. */
void oc__error_prefix(oc_error *err, const char *prefix);
/** Sets err->node when it is still empty; name may be NULL. */
void oc__error_node(oc_error *err, const char *name);
/** Resets err to success; NULL is ignored. */
void oc__error_clear(oc_error *err);

/** Propagates a failing status; for functions that own nothing yet. */
#define OC_TRY(expr)                                                           \
    do {                                                                       \
        oc_status try_status_ = (expr);                                        \
        if (try_status_ != OC_OK) return try_status_;                          \
    } while (0)

/** Propagates a failing status to `goto done`, leaving it in `st`. */
#define OC_TRY_GOTO(st, expr, label)                                           \
    do {                                                                       \
        (st) = (expr);                                                         \
        if ((st) != OC_OK) goto label;                                         \
    } while (0)

#endif
