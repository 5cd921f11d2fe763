/* picture_body.c - see picture_body.h. */
#include "picture_body.h"

static int take_form(picture_body *b, request *r, const char *type) {
    multipart m;
    int more = !multipart_begin(&m, type, r->body.data, r->body.size);
    while (more && b->n < BODY_MAX_PICTURES &&
           (more = multipart_next(&m, &b->parts[b->n]))) {
        const multipart_part *part = &b->parts[b->n];
        b->v[b->n].name = *part->filename ? part->filename : part->name;
        b->v[b->n].data = part->data;
        b->v[b->n++].bytes = part->bytes;
    }
    if (m.why)
        reply_error(r, 400, "%s", m.why);
    else if (more)
        reply_error(r, 413, "more than %d pictures at once",
                    BODY_MAX_PICTURES - 1);
    else if (!b->n)
        reply_error(r, 400, "the form has no picture");
    return r->status != 0;
}

int picture_body_take(picture_body *b, request *r) {
    const char *type = request_header(r, "Content-Type");
    if (!r->body.size) {
        reply_error(r, 400,
                    "a picture is missing: send it as the body, or as "
                    "a file of a form");
        return 1;
    }
    if (multipart_is(type)) return take_form(b, r, type);
    b->v[0].name = "-";
    b->v[0].data = r->body.data;
    b->v[0].bytes = r->body.size;
    b->n = 1;
    return 0;
}

int picture_body_refuse(const picture_body *b, const body_picture *p,
                        request *r, const oc_error *err) {
    const char *name = b->n > 1 ? p->name : NULL;
    if (err->status == OC_E_UNSUPPORTED)
        reply_error(r, 415, "%s%s%s", name ? name : "", name ? ": " : "",
                    err->message);
    else if (name)
        reply_error(r, err->status == OC_E_LIMIT ? 413 : 400, "%s: %s", name,
                    err->message);
    else
        reply_failure(r, err);
    return 1;
}
