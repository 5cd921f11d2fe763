/*
 * image_webp.c - WebP through libwebp.
 *
 *     "RIFF" size "WEBP"  then chunks: name, size, payload, padded to 2
 *     VP8  VP8L           the picture, lossy or lossless
 *     VP8X ALPH EXIF      extended: flags and size, alpha, orientation
 *     ANIM ANMF           animation; the first frame is read
 */
#if defined(OC_HAVE_WEBP)
#include "image/image.h"

#include <string.h>

#include <webp/decode.h>
#include <webp/encode.h>

static uint32_t le24(const uint8_t *p) {
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16;
}

static uint32_t le32(const uint8_t *p) {
    return le24(p) | (uint32_t)p[3] << 24;
}

static oc_status explain(VP8StatusCode code, const oc__image_source *src,
                         oc_error *err) {
    switch (code) {
    case VP8_STATUS_OUT_OF_MEMORY: return oc__fail_nomem(err);
    case VP8_STATUS_UNSUPPORTED_FEATURE:
        return oc__fail(err, OC_E_UNSUPPORTED,
                        "the WebP picture is of a kind that is not read: "
                        "save it as a still WebP or PNG");
    case VP8_STATUS_NOT_ENOUGH_DATA:
    case VP8_STATUS_SUSPENDED:
        return oc__fail_at(err, OC_E_FORMAT, (int64_t)src->bytes,
                           "the WebP picture is cut short at byte %zu: fetch "
                           "the file again",
                           src->bytes);
    default: return oc__fail(err, OC_E_FORMAT, "the WebP picture is damaged");
    }
}

/** What the chunks say beyond the picture itself. */
typedef struct {
    int orientation;
    const uint8_t *frame; /* the first frame of an animation, or NULL */
    size_t frame_bytes;
    uint32_t x, y, width, height; /* where it lies, and its size */
} webp_chunks;

static void walk_chunks(const oc__image_source *src, webp_chunks *c) {
    size_t at = 12;
    memset(c, 0, sizeof(*c));
    c->orientation = 1;
    while (src->bytes >= at + 8) {
        const uint8_t *p = src->data + at;
        size_t n = le32(p + 4), left = src->bytes - at - 8;
        if (n > left) n = left;
        if (memcmp(p, "EXIF", 4) == 0)
            c->orientation = oc__exif_orientation(p + 8, n);
        if (memcmp(p, "ANMF", 4) == 0 && n > 16 && !c->frame) {
            c->x = 2 * le24(p + 8);
            c->y = 2 * le24(p + 11);
            c->width = le24(p + 14) + 1;
            c->height = le24(p + 17) + 1;
            c->frame = p + 8 + 16;
            c->frame_bytes = n - 16;
        }
        if (left - n < (n & 1)) break;
        at += 8 + n + (n & 1);
    }
}

static oc_status read_features(const oc__image_source *src,
                               WebPBitstreamFeatures *f, oc_image_info *info,
                               oc_error *err) {
    VP8StatusCode code = WebPGetFeatures(src->data, src->bytes, f);
    if (code != VP8_STATUS_OK) return explain(code, src, err);
    info->width = f->width;
    info->height = f->height;
    info->channels = f->has_alpha ? 4 : 3;
    info->bits = 8;
    return OC_OK;
}

static oc_status webp_probe(const oc__image_source *src, oc_image_info *info,
                            oc_error *err) {
    WebPBitstreamFeatures f;
    webp_chunks c;
    OC_TRY(read_features(src, &f, info, err));
    walk_chunks(src, &c);
    info->orientation = c.orientation;
    return OC_OK;
}

/** Decodes data into the rectangle of img that starts at its pixels. */
static oc_status decode_into(const uint8_t *data, size_t bytes, oc_image *img,
                             const oc__image_source *src, oc_error *err) {
    WebPDecoderConfig config;
    if (!WebPInitDecoderConfig(&config))
        return oc__fail(err, OC_E_UNSUPPORTED,
                        "the WebP library is not the one this was built for: "
                        "build again");
    size_t room = (size_t)(img->height - 1) * img->stride +
                  (size_t)img->width * (size_t)img->channels;
    if (img->stride > INT32_MAX)
        return oc__fail(err, OC_E_LIMIT, "the WebP picture is too wide");
    config.output.colorspace = img->channels == 4 ? MODE_RGBA : MODE_RGB;
    config.output.is_external_memory = 1;
    config.output.u.RGBA.rgba = img->pixels;
    config.output.u.RGBA.stride = (int)img->stride;
    config.output.u.RGBA.size = room;
    VP8StatusCode code = WebPDecode(data, bytes, &config);
    WebPFreeDecBuffer(&config.output);
    return code == VP8_STATUS_OK ? OC_OK : explain(code, src, err);
}

static oc_status decode_first_frame(const oc__image_source *src,
                                    const webp_chunks *c, oc_image *out,
                                    oc_error *err) {
    oc_image part;
    WebPBitstreamFeatures f;
    VP8StatusCode code = WebPGetFeatures(c->frame, c->frame_bytes, &f);
    if (code != VP8_STATUS_OK) return explain(code, src, err);
    if ((uint32_t)f.width != c->width || (uint32_t)f.height != c->height ||
        c->width > (uint32_t)out->width || c->height > (uint32_t)out->height ||
        c->x > (uint32_t)out->width - c->width ||
        c->y > (uint32_t)out->height - c->height)
        return oc__fail(err, OC_E_FORMAT,
                        "the WebP picture's first frame does not fit the "
                        "canvas: the file is damaged");
    memset(out->pixels, 0, out->owned_bytes);
    OC_TRY(oc_image_crop(&part, out, (int)c->x, (int)c->y, (int)c->width,
                         (int)c->height, err));
    return decode_into(c->frame, c->frame_bytes, &part, src, err);
}

static oc_status webp_decode(const oc__image_source *src, oc_image *out,
                             oc_image_info *info, oc_error *err) {
    WebPBitstreamFeatures f;
    webp_chunks c;
    OC_TRY(read_features(src, &f, info, err));
    walk_chunks(src, &c);
    info->orientation = c.orientation;
    /* Alpha that is not asked for need not be made. */
    oc_color want = src->opt.color;
    int channels = info->channels;
    if (want == OC_COLOR_RGB || want == OC_COLOR_BGR || want == OC_COLOR_GRAY)
        channels = 3;
    OC_TRY(oc__image_alloc(out, (uint64_t)f.width, (uint64_t)f.height, channels,
                           &src->opt, err));
    if (!f.has_animation)
        return decode_into(src->data, src->bytes, out, src, err);
    if (!c.frame) return explain(VP8_STATUS_NOT_ENOUGH_DATA, src, err);
    return decode_first_frame(src, &c, out, err);
}

/* ---- encoding ---------------------------------------------------------- */

static int write_bytes(const uint8_t *data, size_t n, const WebPPicture *pic) {
    return !oc__bytes_append(pic->custom_ptr, data, n);
}

/** Hands the pixels over; a gray picture goes through `rgb`. */
static int import(WebPPicture *pic, const oc_image *img) {
    if (img->channels == 4)
        return WebPPictureImportRGBA(pic, img->pixels, (int)img->stride);
    return WebPPictureImportRGB(pic, img->pixels, (int)img->stride);
}

static oc_status encode_rgb(oc_bytes *out, const oc_image *img,
                            const oc_image_save_options *opt, oc_error *err) {
    WebPConfig config;
    WebPPicture pic;
    if (!WebPConfigInit(&config) || !WebPPictureInit(&pic))
        return oc__fail(err, OC_E_UNSUPPORTED,
                        "the WebP library is not the one this was built for: "
                        "build again");
    config.quality = (float)opt->quality;
    if (opt->lossless) {
        config.lossless = 1;
        config.quality = 75; /* here: effort */
        config.exact = 1;    /* colours under full transparency too */
        pic.use_argb = 1;
    }
    pic.width = img->width;
    pic.height = img->height;
    pic.writer = write_bytes;
    pic.custom_ptr = out;
    int good = import(&pic, img) && WebPEncode(&config, &pic);
    WebPEncodingError code = pic.error_code;
    WebPPictureFree(&pic);
    if (good) return OC_OK;
    if (code == VP8_ENC_ERROR_OUT_OF_MEMORY ||
        code == VP8_ENC_ERROR_BITSTREAM_OUT_OF_MEMORY ||
        code == VP8_ENC_ERROR_BAD_WRITE)
        return oc__fail_nomem(err);
    return oc__fail(err, OC_E_UNSUPPORTED, "cannot write WebP (error %d)",
                    (int)code);
}

static oc_status webp_encode(oc_bytes *out, const oc_image *img,
                             const oc_image_save_options *opt, oc_error *err) {
    oc_image rgb = {0};
    if (img->width > WEBP_MAX_DIMENSION || img->height > WEBP_MAX_DIMENSION)
        return oc__fail(err, OC_E_LIMIT,
                        "WebP holds at most %d pixels a side: write PNG",
                        WEBP_MAX_DIMENSION);
    if (img->stride > INT32_MAX)
        return oc__fail(err, OC_E_ARG, "the picture's stride is too long");
    if (img->channels != 1) return encode_rgb(out, img, opt, err);
    OC_TRY(oc_image_convert(&rgb, img, OC_COLOR_GRAY, OC_COLOR_RGB,
                            opt->allocator, err));
    oc_status st = encode_rgb(out, &rgb, opt, err);
    oc_image_deinit(&rgb);
    return st;
}

const oc__image_codec oc__image_codec_webp = {webp_probe, webp_decode,
                                              webp_encode};
#else
/* ISO C wants something in every file. */
typedef int oc__no_webp;
#endif
