/*
 * compare.h - whether a value is what a test expects, as ONNX's own backend
 * test runner sees it.
 *
 * Types and shapes must agree.  Numbers may differ by
 *
 *     |got - want| <= atol + rtol * |want|
 *
 * computed in double; NaN equals NaN, infinities equal themselves.  Strings
 * must be equal.  Sequences, optionals and maps are compared by element.
 */
#ifndef OCELLI_CLI_COMPARE_H
#define OCELLI_CLI_COMPARE_H

#include <ocelli/ocelli.h>

typedef struct compare_how {
    double rtol, atol;
    int shape_only; /* types and shapes, for networks that draw numbers */
} compare_how;

/**
 * 0 when equal, else 1 with the reason in why.  got may be NULL.
 */
int compare_values(const oc_value *got, const oc_value *want,
                   const compare_how *how, char *why, size_t room);

#endif
