/* page.c - see page.h. */
#include "page.h"

#include "routes.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/*
 * The page brings all it needs and talks to nobody but its own server, so
 * everything else is forbidden: even a hole in it could load and send nothing.
 * Pictures are shown from memory (blob:), speech is played from it.
 */
static const char *const page_headers[] = {
    "Content-Security-Policy",
    "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' blob:; media-src 'self' blob:; connect-src 'self'; "
    "manifest-src 'self'; worker-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types ocelli",
    "Referrer-Policy",
    "no-referrer",
    "Permissions-Policy",
    "camera=(self), microphone=(), geolocation=(), payment=(), usb=()",
    "Cross-Origin-Opener-Policy",
    "same-origin",
    "Cross-Origin-Resource-Policy",
    "same-origin",
    "Vary",
    "Accept-Encoding",
    NULL,
};

const page_file *page_find(const char *path) {
    for (size_t i = 0; i < page_file_count; i++) {
        if (!strcmp(page_files[i].path, path)) return &page_files[i];
    }
    return NULL;
}

/* Whether ";q=0", "; q=0.000" or the like follows. */
static int is_refused(const char *parameters) {
    const char *q = parameters + strspn(parameters, " \t");
    if (*q++ != ';') return 0;
    q += strspn(q, " \t");
    return !strncasecmp(q, "q=", 2) && strtod(q + 2, NULL) <= 0;
}

int page_takes_gzip(const char *accept) {
    int any = 0;
    while (accept && *accept) {
        accept += strspn(accept, ", \t");
        size_t n = strcspn(accept, ",; \t");
        if (n == 4 && !strncasecmp(accept, "gzip", 4))
            return !is_refused(accept + n); /* named: counts before "*" */
        if (n == 1 && *accept == '*') any = !is_refused(accept + n);
        accept += strcspn(accept, ",");
    }
    return any;
}

int page_has_tag(const char *given, const char *tag) {
    if (!given) return 0;
    /* A tag has its quotes with it, so it is found whole or not at all; a
     * weak one (W/"x") is good enough to be spared the file. */
    return !strcmp(given, "*") || strstr(given, tag) != NULL;
}

job_result page_answer(request *r) {
    const page_file *f = page_find(r->path);
    if (!f) {
        reply_error(r, 404, "there is nothing at %.200s", r->path);
        return JOB_ENDED;
    }
    int gz = f->gz && page_takes_gzip(request_header(r, "Accept-Encoding"));
    const char *tag = gz ? f->gz_tag : f->tag;
    r->fixed_headers = page_headers;
    /* Kept, but asked for each time: a new server has a new page. */
    r->cache = "no-cache";
    reply_header(r, "ETag", "%s", tag);
    if (page_has_tag(request_header(r, "If-None-Match"), tag)) {
        reply_empty(r, 304);
        return JOB_ENDED;
    }
    if (gz) reply_header(r, "Content-Encoding", "gzip");
    reply_fixed(r, f->type, gz ? f->gz : f->data, gz ? f->gz_bytes : f->bytes);
    return JOB_ENDED;
}
