/* accept.h - what a client would like to get. */
#ifndef OCELLI_SERVER_ACCEPT_H
#define OCELLI_SERVER_ACCEPT_H

typedef enum accept_kind {
    ACCEPT_NONE, /* nothing we have */
    ACCEPT_JSON,
    ACCEPT_PNG,
    ACCEPT_JPEG,
    ACCEPT_WEBP,
} accept_kind;

/**
 * The best of what an Accept header (NULL: anything) takes; of equals the
 * first named.  otherwise: what * / * means.
 */
accept_kind accept_choose(const char *header, accept_kind otherwise);

/** Whether it would rather have plain text than JSON. */
int accept_prefers_text(const char *header);

#endif
