/* auth.c - see auth.h. */
#define _POSIX_C_SOURCE 200809L

#include "auth.h"

#include "basics.h"

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { HASH_BYTES = 32, MAX_KEYS = 10000, MAX_KEY_FILE = 4 << 20 };

/*
 * A bucket of tokens: `rate` come in every second, `burst` fit, a request
 * takes one.
 */
typedef struct bucket {
    double rate, burst; /* rate 0: no limit */
    double tokens;
    int64_t filled_ns;
} bucket;

typedef struct api_key {
    unsigned char hash[HASH_BYTES];
    char name[AUTH_MAX_NAME];
    int admin;
    bucket bucket;
} api_key;

struct auth {
    pthread_mutex_t lock;
    char *path;
    double rate, burst; /* defaults */
    file_stamp stamp;
    api_key *keys;
    size_t n;
    bucket anybody; /* without keys */
};

/* ---- the file -------------------------------------------------------------
 */

static int hex_value(char c) {
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

static int read_hash(const char *text, unsigned char out[HASH_BYTES]) {
    if (strlen(text) != 2 * HASH_BYTES) return 1;
    for (size_t i = 0; i < HASH_BYTES; i++) {
        int high = hex_value(text[2 * i]), low = hex_value(text[2 * i + 1]);
        if (high < 0 || low < 0) return 1;
        out[i] = (unsigned char)(high << 4 | low);
    }
    return 0;
}

/* One word behind the name. */
static int read_option(api_key *k, const char *word) {
    if (!strcmp(word, "admin")) {
        k->admin = 1;
        return 0;
    }
    if (!strncmp(word, "rate=", 5))
        return parse_double(word + 5, 0, 1e9, &k->bucket.rate);
    if (!strncmp(word, "burst=", 6))
        return parse_double(word + 6, 1, 1e9, &k->bucket.burst);
    return 1;
}

/* Returns what is wrong with a line, or NULL; *is_key: it has a key. */
static const char *read_line(const auth *a, char *line, api_key *k,
                             int *is_key) {
    char *rest, *word;
    memset(k, 0, sizeof *k);
    k->bucket.rate = a->rate;
    k->bucket.burst = a->burst;
    line[strcspn(line, "#")] = '\0';
    word = strtok_r(line, " \t\r", &rest);
    *is_key = word != NULL;
    if (!word) return NULL;
    if (read_hash(word, k->hash)) return "no SHA-256 in 64 hexadecimal digits";
    word = strtok_r(NULL, " \t\r", &rest);
    if (!word) return "no name behind the hash";
    if (strlen(word) >= AUTH_MAX_NAME) return "a name of more than 63 letters";
    copy_text(k->name, sizeof k->name, word);
    while ((word = strtok_r(NULL, " \t\r", &rest))) {
        if (read_option(k, word)) return "something but rate=, burst=, admin";
    }
    if (k->bucket.burst < 1) k->bucket.burst = fmax(1, k->bucket.rate);
    return NULL;
}

static oc_status read_keys(const auth *a, char *text, api_key **out, size_t *n,
                           oc_error *err) {
    char *rest = text, *line;
    size_t number = 0;
    *n = 0;
    *out = calloc(MAX_KEYS, sizeof **out);
    if (!*out) return server_fail(err, OC_E_NOMEM, "no memory for the keys");
    while (rest) {
        int is_key;
        line = rest;
        rest = strchr(line, '\n');
        if (rest) *rest++ = '\0';
        number++;
        if (*n == MAX_KEYS)
            return server_fail(err, OC_E_LIMIT, "%s has more than %d keys",
                               a->path, MAX_KEYS);
        const char *why = read_line(a, line, &(*out)[*n], &is_key);
        if (why)
            return server_fail(err, OC_E_FORMAT, "%s, line %zu: %s", a->path,
                               number, why);
        *n += (size_t)is_key;
    }
    return OC_OK;
}

/* Buckets of keys that stay are not filled by reading the file. */
static void keep_tokens(const auth *a, api_key *keys, size_t n) {
    for (size_t i = 0; i < n; i++) {
        bucket *b = &keys[i].bucket;
        b->tokens = b->burst;
        b->filled_ns = now_ns();
        for (size_t k = 0; k < a->n; k++) {
            const bucket *old = &a->keys[k].bucket;
            if (memcmp(a->keys[k].hash, keys[i].hash, HASH_BYTES)) continue;
            b->tokens = fmin(old->tokens, b->burst);
            b->filled_ns = old->filled_ns;
        }
    }
}

oc_status auth_reload(auth *a, int always, oc_error *err) {
    buffer text;
    api_key *keys = NULL;
    size_t n = 0;
    if (!a->path) return OC_OK;
    file_stamp stamp = stamp_of(a->path);
    if (!always && same_stamp(&stamp, &a->stamp)) return OC_OK;
    a->stamp = stamp; /* a bad file is told of once */
    oc_status st = read_file(&text, a->path, MAX_KEY_FILE, err);
    if (st) return st;
    st = read_keys(a, text.data ? text.data : (char[1]){0}, &keys, &n, err);
    if (!st) {
        pthread_mutex_lock(&a->lock);
        keep_tokens(a, keys, n);
        api_key *old = a->keys;
        a->keys = keys;
        a->n = n;
        keys = old;
        pthread_mutex_unlock(&a->lock);
    }
    free(keys);
    buffer_deinit(&text);
    return st;
}

oc_status auth_create(auth **out, const char *path, double rate, double burst,
                      oc_error *err) {
    auth *a = calloc(1, sizeof *a);
    if (!a) return server_fail(err, OC_E_NOMEM, "no memory for the keys");
    pthread_mutex_init(&a->lock, NULL);
    a->rate = rate;
    a->burst = burst;
    a->anybody = (bucket){rate, burst < 1 ? fmax(1, rate) : burst, 0, 0};
    a->anybody.tokens = a->anybody.burst;
    a->anybody.filled_ns = now_ns();
    a->path = path ? strdup(path) : NULL;
    oc_status st = OC_OK;
    if (path && !a->path)
        st = server_fail(err, OC_E_NOMEM, "no memory for the keys");
    if (!st) st = auth_reload(a, 1, err);
    if (st) {
        auth_destroy(a);
        return st;
    }
    *out = a;
    return OC_OK;
}

void auth_destroy(auth *a) {
    if (!a) return;
    free(a->keys);
    free(a->path);
    pthread_mutex_destroy(&a->lock);
    free(a);
}

int auth_has_keys(const auth *a) {
    return a->path != NULL;
}

/* ---- a request ------------------------------------------------------------
 */

/* Takes a token; else says in how many seconds there will be one. */
static auth_answer take(bucket *b, int *retry_s) {
    if (b->rate <= 0) return AUTH_OK;
    int64_t now = now_ns();
    b->tokens += b->rate * 1e-9 * (double)(now - b->filled_ns);
    b->tokens = fmin(b->tokens, b->burst);
    b->filled_ns = now;
    if (b->tokens >= 1) {
        b->tokens -= 1;
        return AUTH_OK;
    }
    *retry_s = (int)fmin(3600, ceil((1 - b->tokens) / b->rate));
    return AUTH_SLOW;
}

/*
 * Every key is compared in full, whatever the first bytes say, so that time
 * tells nothing of how near a guess was.
 */
static api_key *find_key(auth *a, const char *key) {
    unsigned char hash[HASH_BYTES];
    api_key *found = NULL;
    if (gnutls_hash_fast(GNUTLS_DIG_SHA256, key, strlen(key), hash))
        return NULL;
    for (size_t i = 0; i < a->n; i++) {
        if (!gnutls_memcmp(a->keys[i].hash, hash, HASH_BYTES))
            found = &a->keys[i];
    }
    return found;
}

auth_answer auth_check(auth *a, const char *key, auth_caller *out) {
    auth_answer answer;
    memset(out, 0, sizeof *out);
    pthread_mutex_lock(&a->lock);
    if (!a->path) {
        out->admin = 1;
        answer = take(&a->anybody, &out->retry_s);
    } else {
        api_key *k = key ? find_key(a, key) : NULL;
        answer = k ? take(&k->bucket, &out->retry_s) : AUTH_NONE;
        if (k) {
            copy_text(out->name, sizeof out->name, k->name);
            out->admin = k->admin;
        }
    }
    pthread_mutex_unlock(&a->lock);
    return answer;
}
