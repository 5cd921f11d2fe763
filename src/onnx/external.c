/* external.c - see external.h. */
#define _XOPEN_SOURCE 700 /* realpath */

#include "onnx/external.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct oc__external_file {
    struct oc__external_file *next;
    const char *location;
    oc__file file;
};

/* Relative, no empty, "." or ".." part, nothing a shell of DOS would read. */
static int location_is_plain(const char *s) {
    if (!*s || *s == '/' || strchr(s, '\\')) return 0;
    while (*s) {
        size_t n = strcspn(s, "/");
        if (n == 0 || (n == 2 && s[0] == '.' && s[1] == '.')) return 0;
        s += n;
        if (*s == '/' && !*++s) return 0;
    }
    return 1;
}

/*
 * Maps folder/location when, links followed, it still lies in the folder.
 * The resolved name is what gets opened, so a link cannot be swapped in
 * between for the name that was checked.
 */
static oc_status map_inside(oc__externals *x, const char *location,
                            oc__file *out, oc_error *err) {
    oc_status st = OC_OK;
    const char *folder = *x->folder ? x->folder : ".";
    char *joined = oc__arena_printf(x->arena, "%s/%s", folder, location);
    if (!joined) return oc__fail_nomem(err);
    char *root = realpath(folder, NULL);
    char *real = root ? realpath(joined, NULL) : NULL;
    if (!real) {
        st = oc__fail(err, errno == ENOMEM ? OC_E_NOMEM : OC_E_IO,
                      "cannot open the weights in %s: %s", joined,
                      strerror(errno));
        goto done;
    }
    size_t n = strlen(root);
    /* The root folder "/" ends in the separator already. */
    int inside = !strncmp(real, root, n) &&
                 (real[n] == '/' || (n && root[n - 1] == '/'));
    if (!inside) {
        st = oc__fail(err, OC_E_FORMAT,
                      "the weights in %s lie outside the model's folder",
                      joined);
        goto done;
    }
    st = oc__file_map(out, real, x->max_file_bytes, err);
done:
    free(root);
    free(real);
    return st;
}

oc_status oc__externals_open(oc__externals *x, const char *location,
                             const oc__file **out, oc_error *err) {
    for (struct oc__external_file *f = x->files; f; f = f->next) {
        if (!strcmp(f->location, location)) {
            *out = &f->file;
            return OC_OK;
        }
    }
    if (!x->folder) {
        return oc__fail(err, OC_E_FORMAT,
                        "the weights are in another file (%.80s), which is "
                        "not allowed here",
                        location);
    }
    if (!location_is_plain(location)) {
        return oc__fail(err, OC_E_FORMAT,
                        "the weights' location \"%.80s\" is not a plain "
                        "relative file name",
                        location);
    }
    struct oc__external_file *f = oc__arena_alloc(x->arena, sizeof(*f));
    if (!f) return oc__fail_nomem(err);
    f->location = oc__arena_strdup(x->arena, location);
    if (!f->location) return oc__fail_nomem(err);
    OC_TRY(map_inside(x, location, &f->file, err));
    f->next = x->files;
    x->files = f;
    *out = &f->file;
    return OC_OK;
}

oc_status oc__external_find(oc__externals *x, const oc__external_ref *ref,
                            size_t bytes, const void **data, oc_error *err) {
    const oc__file *file = NULL;
    if (!ref->location) {
        return oc__fail(err, OC_E_FORMAT, "external weights name no file");
    }
    if (ref->length >= 0 && (uint64_t)ref->length != bytes) {
        return oc__fail(err, OC_E_FORMAT,
                        "external weights of %lld bytes where the shape needs "
                        "%zu",
                        (long long)ref->length, bytes);
    }
    OC_TRY(oc__externals_open(x, ref->location, &file, err));
    if (ref->offset < 0 || (uint64_t)ref->offset > file->bytes ||
        bytes > file->bytes - (size_t)ref->offset) {
        return oc__fail(err, OC_E_FORMAT,
                        "external weights at %lld, %zu bytes long, lie outside "
                        "%.80s (%zu bytes)",
                        (long long)ref->offset, bytes, ref->location,
                        file->bytes);
    }
    *data = file->data + (size_t)ref->offset;
    return OC_OK;
}

const oc__file *oc__externals_file(const oc__externals *x, size_t i,
                                   const char **location) {
    const struct oc__external_file *f = x->files;
    while (f && i-- > 0)
        f = f->next;
    if (!f) return NULL;
    *location = f->location;
    return &f->file;
}

void oc__externals_release(oc__externals *x) {
    for (struct oc__external_file *f = x->files; f; f = f->next) {
        oc__file_unmap(&f->file);
    }
    x->files = NULL;
}
