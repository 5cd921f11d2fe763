/*
 * fuzz_server_form.c - a line of any bytes as Content-Type and as Accept, and
 * the rest as the form it describes.
 */
#include "accept.h"
#include "multipart.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Parts lie in the body, one behind the other. */
static void walk(const char *type, const char *body, size_t bytes) {
    multipart m;
    multipart_part part;
    const char *behind = body;
    if (multipart_begin(&m, type, body, bytes)) {
        if (!m.why) abort();
        return;
    }
    while (multipart_next(&m, &part)) {
        if (part.data < behind || part.data > body + bytes ||
            part.bytes > (size_t)(body + bytes - part.data))
            abort();
        behind = part.data + part.bytes;
        if (strchr(part.filename, '/') || strchr(part.filename, '\\')) abort();
        if (strlen(part.name) >= sizeof part.name) abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const uint8_t *line = size ? memchr(data, '\n', size) : NULL;
    if (!line) return 0;
    size_t n = (size_t)(line - data), bytes = size - n - 1;
    char *type = malloc(n + 1);
    char *body = malloc(bytes + 1);
    if (!type || !body) abort();
    memcpy(type, data, n);
    type[n] = '\0';
    memcpy(body, line + 1, bytes);
    accept_choose(type, ACCEPT_JSON);
    multipart_is(type);
    walk(type, body, bytes);
    free(type);
    free(body);
    return 0;
}
