/* tls.c - see tls.h. */
#define _POSIX_C_SOURCE 200809L

#include "tls.h"

#include "basics.h"

#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_CHAIN = 16, MAX_PEM = 1 << 20 };

/* What connections are shown.  Handshakes may still be at an old one, so it
   is kept: they are few, and small. */
typedef struct certificate {
    struct certificate *older;
    gnutls_pcert_st chain[MAX_CHAIN];
    unsigned n;
    gnutls_privkey_t key;
} certificate;

struct tls {
    char *cert_path, *key_path;
    file_stamp cert_stamp, key_stamp;
    certificate *now;
};

/* GnuTLS's callback has no place for a pointer of ours. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static certificate *current;

static void certificate_destroy(certificate *c) {
    if (!c) return;
    for (unsigned i = 0; i < c->n; i++) {
        gnutls_pcert_deinit(&c->chain[i]);
    }
    if (c->key) gnutls_privkey_deinit(c->key);
    free(c);
}

/* GnuTLS checks that the two belong together when it is given files. */
static oc_status check_pair(const tls *t, oc_error *err) {
    gnutls_certificate_credentials_t both;
    int rc = gnutls_certificate_allocate_credentials(&both);
    if (rc) return server_fail(err, OC_E_NOMEM, "no memory for certificates");
    rc = gnutls_certificate_set_x509_key_file(both, t->cert_path, t->key_path,
                                              GNUTLS_X509_FMT_PEM);
    gnutls_certificate_free_credentials(both);
    if (rc >= 0) return OC_OK;
    return server_fail(err, OC_E_FORMAT,
                       "certificate %.120s and key %.120s: %s", t->cert_path,
                       t->key_path, gnutls_strerror(rc));
}

static oc_status import(certificate *c, const buffer *cert, const buffer *key,
                        const char *path, oc_error *err) {
    gnutls_datum_t text = {(unsigned char *)cert->data, (unsigned)cert->size};
    c->n = MAX_CHAIN;
    int rc = gnutls_pcert_list_import_x509_raw(c->chain, &c->n, &text,
                                               GNUTLS_X509_FMT_PEM, 0);
    if (rc < 0) {
        c->n = 0;
        return server_fail(err, OC_E_FORMAT, "%s: %s", path,
                           gnutls_strerror(rc));
    }
    text = (gnutls_datum_t){(unsigned char *)key->data, (unsigned)key->size};
    rc = gnutls_privkey_init(&c->key);
    if (!rc)
        rc = gnutls_privkey_import_x509_raw(c->key, &text, GNUTLS_X509_FMT_PEM,
                                            NULL, 0);
    if (rc < 0)
        return server_fail(err, OC_E_FORMAT, "the key of %s: %s", path,
                           gnutls_strerror(rc));
    return OC_OK;
}

static oc_status load(const tls *t, certificate **out, oc_error *err) {
    buffer cert = {0}, key = {0};
    oc_status st = read_file(&cert, t->cert_path, MAX_PEM, err);
    if (!st) st = read_file(&key, t->key_path, MAX_PEM, err);
    if (!st) st = check_pair(t, err);
    certificate *c = st ? NULL : calloc(1, sizeof *c);
    if (!st && !c)
        st = server_fail(err, OC_E_NOMEM, "no memory for certificates");
    if (!st) st = import(c, &cert, &key, t->cert_path, err);
    if (st)
        certificate_destroy(c);
    else
        *out = c;
    if (key.data) gnutls_memset(key.data, 0, key.size);
    buffer_deinit(&cert);
    buffer_deinit(&key);
    return st;
}

oc_status tls_reload(tls *t, int always, oc_error *err) {
    certificate *c = NULL;
    file_stamp cert = stamp_of(t->cert_path), key = stamp_of(t->key_path);
    if (!always && same_stamp(&cert, &t->cert_stamp) &&
        same_stamp(&key, &t->key_stamp))
        return OC_OK;
    t->cert_stamp = cert; /* what is bad is told of once */
    t->key_stamp = key;
    oc_status st = load(t, &c, err);
    if (st) return st;
    c->older = t->now;
    t->now = c;
    pthread_mutex_lock(&lock);
    current = c;
    pthread_mutex_unlock(&lock);
    return OC_OK;
}

oc_status tls_create(tls **out, const char *cert, const char *key,
                     oc_error *err) {
    tls *t = calloc(1, sizeof *t);
    oc_status st = OC_OK;
    if (t) t->cert_path = strdup(cert);
    if (t) t->key_path = strdup(key);
    if (!t || !t->cert_path || !t->key_path)
        st = server_fail(err, OC_E_NOMEM, "no memory for certificates");
    if (!st) st = tls_reload(t, 1, err);
    if (st) {
        tls_destroy(t);
        return st;
    }
    *out = t;
    return OC_OK;
}

void tls_destroy(tls *t) {
    if (!t) return;
    pthread_mutex_lock(&lock);
    current = NULL;
    pthread_mutex_unlock(&lock);
    while (t->now) {
        certificate *older = t->now->older;
        certificate_destroy(t->now);
        t->now = older;
    }
    free(t->cert_path);
    free(t->key_path);
    free(t);
}

static int retrieve(gnutls_session_t session, const gnutls_datum_t *issuers,
                    int n_issuers, const gnutls_pk_algorithm_t *algorithms,
                    int n_algorithms, gnutls_pcert_st **chain, unsigned *n,
                    gnutls_privkey_t *key) {
    (void)session;
    (void)issuers;
    (void)n_issuers;
    (void)algorithms;
    (void)n_algorithms;
    pthread_mutex_lock(&lock);
    certificate *c = current;
    pthread_mutex_unlock(&lock);
    if (!c) return -1;
    *chain = c->chain;
    *n = c->n;
    *key = c->key;
    return 0;
}

void *tls_callback(void) {
    gnutls_certificate_retrieve_function2 *function = retrieve;
    void *pointer;
    /* ISO C has no cast from functions to data; POSIX says it works. */
    memcpy(&pointer, &function, sizeof pointer);
    return pointer;
}
