/* picture_body.h - the pictures of a request: its body, or files of a form. */
#ifndef OCELLI_SERVER_PICTURE_BODY_H
#define OCELLI_SERVER_PICTURE_BODY_H

#include "multipart.h"
#include "request.h"

enum { BODY_MAX_PICTURES = 64 };

typedef struct body_picture {
    const char *name; /* "-" for a body, as the program calls standard input */
    const void *data;
    size_t bytes;
} body_picture;

typedef struct picture_body {
    size_t n;
    body_picture v[BODY_MAX_PICTURES];
    multipart_part parts[BODY_MAX_PICTURES];
} picture_body;

/** Nonzero: there are none, which is the answer. */
int picture_body_take(picture_body *b, request *r);
/** Answers why a picture cannot be read.  Returns 1. */
int picture_body_refuse(const picture_body *b, const body_picture *p,
                        request *r, const oc_error *err);

#endif
