/*
 * regex.h - regular expressions in RE2's syntax, matched in linear time.
 *
 * A pattern becomes a tree, the tree a program for a machine that follows
 * all ways at once (Thompson's construction; Cox, "Regular Expression
 * Matching: the Virtual Machine Approach", 2009).  Time is bounded by text
 * length times program length, memory by the program alone: there is no
 * pattern that explodes.
 *
 * Everything of RE2's syntax is understood but \C (a single byte), which has
 * no meaning for code points.  Captures and laziness parse and change
 * nothing: only whether a whole text matches is asked.
 */
#ifndef OC_BASE_REGEX_H
#define OC_BASE_REGEX_H

#include "base/memory.h"

typedef struct oc__regex oc__regex;

/**
 * Compiles a UTF-8 pattern.  Errors: E_FORMAT bad syntax (offset says where);
 * E_LIMIT too large or too deep; E_UNSUPPORTED \C; E_NOMEM.
 */
oc_status oc__regex_create(oc__regex **out, const oc_allocator *a,
                           const char *pattern, size_t bytes, oc_error *err);
void oc__regex_destroy(oc__regex *r);
/** Bytes of working memory for one match. */
size_t oc__regex_work_bytes(const oc__regex *r);
/** Whether all of text matches.  work: aligned to 8. */
int oc__regex_full_match(const oc__regex *r, const char *text, size_t bytes,
                         void *work);

#endif
