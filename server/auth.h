/*
 * auth.h - API keys and how many requests each may make.
 *
 * The file has one key a line, as its SHA-256 in hexadecimal, so that reading
 * the file does not give the keys away:
 *
 *     # sha256        name     options
 *     9f86d081...0a08 alice    rate=50 burst=100
 *     60303ae2...8752 deploy   admin
 *
 * It is read again when it has changed; what is wrong in it leaves the old
 * keys in force.
 */
#ifndef OCELLI_SERVER_AUTH_H
#define OCELLI_SERVER_AUTH_H

#include <ocelli/ocelli.h>

enum { AUTH_MAX_NAME = 64 };

typedef struct auth auth;

typedef struct auth_caller {
    char name[AUTH_MAX_NAME]; /* "" without keys */
    int admin;                /* may load and unload models */
    int retry_s;              /* AUTH_SLOW: seconds until it may try again */
} auth_caller;

typedef enum auth_answer {
    AUTH_OK,
    AUTH_NONE, /* no key, or an unknown one */
    AUTH_SLOW, /* too many requests */
} auth_answer;

/** path NULL: no keys, everybody may do everything.  rate, burst: requests a
 *  second and at once where the file does not say; rate 0: any number. */
oc_status auth_create(auth **out, const char *path, double rate, double burst,
                      oc_error *err);
void auth_destroy(auth *a);
/** Whether there are keys. */
int auth_has_keys(const auth *a);
/** key: what the caller presents, or NULL. */
auth_answer auth_check(auth *a, const char *key, auth_caller *out);
/** Reads the file anew if it has changed, or if `always`. */
oc_status auth_reload(auth *a, int always, oc_error *err);

#endif
