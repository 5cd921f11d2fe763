/*
 * tls.h - the certificate, read again when its file changes, without a
 * connection being lost.
 */
#ifndef OCELLI_SERVER_TLS_H
#define OCELLI_SERVER_TLS_H

#include "context.h"

/** Reads both files (PEM) and checks that they belong together. */
oc_status tls_create(tls **out, const char *cert, const char *key,
                     oc_error *err);
void tls_destroy(tls *t);
/** Reads them anew if they have changed, or if `always`; on failure the old
 *  certificate stays. */
oc_status tls_reload(tls *t, int always, oc_error *err);
/** GnuTLS's gnutls_certificate_retrieve_function2, as a pointer. */
void *tls_callback(void);

#endif
