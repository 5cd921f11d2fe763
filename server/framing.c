/* framing.c - see framing.h. */
#include "framing.h"

#include <microhttpd.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

typedef struct fields {
    int hosts, lengths, codings;
    int is_chunked;
    const char *fault;
} fields;

/* RFC 9110, 5.6.2: a name is a token. */
static int is_token(const char *text, size_t n) {
    static const char others[] = "!#$%&'*+-.^_`|~";
    for (size_t i = 0; i < n; i++) {
        char c = text[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
              (c >= '0' && c <= '9') || (c && strchr(others, c))))
            return 0;
    }
    return n > 0;
}

static int is_name(const char *name, size_t n, const char *what) {
    return strlen(what) == n && !strncasecmp(name, what, n);
}

static enum MHD_Result look_at(void *user, enum MHD_ValueKind kind,
                               const char *name, size_t n, const char *value,
                               size_t bytes) {
    fields *f = user;
    (void)kind;
    if (!is_token(name, n))
        f->fault = "a name in the header has characters that names have not";
    if (bytes && memchr(value, '\r', bytes))
        f->fault = "a value in the header has a CR in it";
    f->hosts += is_name(name, n, "Host");
    f->lengths += is_name(name, n, "Content-Length");
    if (is_name(name, n, "Transfer-Encoding")) {
        f->codings++;
        f->is_chunked = is_name(value, bytes, "chunked");
    }
    return MHD_YES;
}

const char *framing_fault(struct MHD_Connection *mhd, const char *protocol,
                          int *status) {
    fields f = {0};
    int is_old = !strcmp(protocol, "HTTP/1.0");
    MHD_get_connection_values_n(mhd, MHD_HEADER_KIND, look_at, &f);
    *status = 400;
    if (f.fault) return f.fault;
    if (f.hosts > 1) return "there is more than one Host";
    if (!f.hosts && !is_old) return "HTTP/1.1 wants a Host";
    if (f.lengths > 1) return "there is more than one Content-Length";
    if (!f.codings) return NULL;
    if (f.lengths)
        return "Content-Length and Transfer-Encoding exclude each other";
    if (is_old) return "HTTP/1.0 has no Transfer-Encoding";
    if (f.codings == 1 && f.is_chunked) return NULL;
    *status = 501;
    return "of transfer codings there is chunked alone";
}

int framing_is_uri(const char *uri) {
    for (const char *p = uri; *p; p++) {
        if (*p > 0 && *p <= ' ') return 0;
    }
    return 1;
}
