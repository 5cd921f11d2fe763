/* image_decoder.c - ImageDecoder, by the picture library of the build. */
#include "base/image_hook.h"
#include "ops/op.h"

#include <string.h>

#if defined(OC_WITH_PICTURES)
static oc__image_hook *const hook = oc__image_hook_pictures;
#else
static oc__image_hook *const hook = NULL;
#endif

static oc_status read_color(const oc__ctx *c, oc__image_hook_color *out) {
    const char *format = oc__attr_string(c->node, "pixel_format", "RGB");
    if (!strcmp(format, "RGB"))
        *out = OC_HOOK_RGB;
    else if (!strcmp(format, "BGR"))
        *out = OC_HOOK_BGR;
    else if (!strcmp(format, "Grayscale"))
        *out = OC_HOOK_GRAY;
    else
        return oc__op_fail(c, OC_E_ARG, "pixel_format is \"%s\"", format);
    return OC_OK;
}

static oc_status infer_decoder(oc__ctx *c) {
    oc__image_hook_color color;
    if (!hook)
        return oc__op_fail(c, OC_E_UNSUPPORTED,
                           "this build has no picture decoders");
    OC_TRY(oc__want(c, 0, OC_T(U8)));
    OC_TRY(oc__want_rank(c, 0, 1, 1));
    return read_color(c, &color);
}

/* Called by the decoder once it knows the size, so that it writes where the
   output lies. */
static oc_status alloc_pixels(void *user, int64_t height, int64_t width,
                              int64_t channels, uint8_t **pixels) {
    oc__ctx *c = user;
    int64_t dims[3] = {height, width, channels};
    oc_tensor *y;
    OC_TRY(oc__out_alloc(c, 0, OC_DTYPE_U8, 3, dims, &y));
    *pixels = y->data;
    return OC_OK;
}

static oc_status run_decoder(oc__ctx *c) {
    const oc_tensor *x = oc__in(c, 0);
    oc__image_hook_color color = OC_HOOK_RGB;
    OC_TRY(read_color(c, &color));
    if (!oc__out_value(c, 0)) return OC_OK;
    oc_error why;
    oc__error_clear(&why);
    oc_status st = hook(x->data, oc_tensor_bytes(x), color, alloc_pixels, c,
                        c->allocator, &why);
    /* The specification wants an empty matrix for what is no picture. */
    if (st == OC_E_FORMAT) {
        uint8_t *none;
        return alloc_pixels(c, 0, 0, color == OC_HOOK_GRAY ? 1 : 3, &none);
    }
    return st == OC_OK ? st : oc__op_fail(c, st, "%s", why.message);
}

const oc__op oc__ops_image_decoder[] = {
    {"", "ImageDecoder", 20, 1, 1, 1, OC_OP_DYNAMIC, 0, infer_decoder,
     run_decoder, NULL},
    {NULL, NULL, 0, 0, 0, 0, 0, 0, NULL, NULL, NULL},
};
