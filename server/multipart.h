/*
 * multipart.h - the parts of a multipart/form-data body (RFC 7578), in place.
 */
#ifndef OCELLI_SERVER_MULTIPART_H
#define OCELLI_SERVER_MULTIPART_H

#include <stddef.h>

enum { MULTIPART_MAX_NAME = 128 };

typedef struct multipart {
    const char *at, *end; /* what is left */
    char delimiter[76];   /* "\r\n--" and the boundary, at most 70 letters */
    size_t delimiter_bytes;
    const char *why; /* what is wrong; NULL while nothing is */
} multipart;

typedef struct multipart_part {
    char name[MULTIPART_MAX_NAME];     /* of the form's field, or "" */
    char filename[MULTIPART_MAX_NAME]; /* "" for none; no path */
    const char *data;                  /* in the body */
    size_t bytes;
} multipart_part;

/** Whether a Content-Type (may be NULL) is of a form. */
int multipart_is(const char *content_type);
/** Nonzero: the type names no boundary, or the body does not begin with it. */
int multipart_begin(multipart *m, const char *content_type, const char *body,
                    size_t bytes);
/** The next part; 0 behind the last, or with m->why set. */
int multipart_next(multipart *m, multipart_part *out);

#endif
