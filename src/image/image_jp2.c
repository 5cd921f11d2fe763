/*
 * image_jp2.c - JPEG 2000 through OpenJPEG; reading only.
 *
 *     box "jP  ", "ftyp", "jp2h", "jp2c"     a JP2 file, or
 *     FF 4F FF 51 ...                        a bare code stream
 *
 * Components are planes of int32, each with its own precision, sign and
 * subsampling.
 */
#if defined(OC_HAVE_JP2)
#include "image/image.h"

#include <string.h>

#include <openjpeg.h>

/* ---- the file in memory as OpenJPEG's stream ----------------------------- */

typedef struct {
    const uint8_t *data;
    size_t bytes, at;
} memory;

static OPJ_SIZE_T read_memory(void *to, OPJ_SIZE_T n, void *user) {
    memory *m = user;
    size_t left = m->bytes - m->at;
    if (left == 0) return (OPJ_SIZE_T)-1;
    if (n > left) n = left;
    memcpy(to, m->data + m->at, n);
    m->at += n;
    return n;
}

static OPJ_OFF_T skip_memory(OPJ_OFF_T n, void *user) {
    memory *m = user;
    if (n < 0) return -1;
    size_t left = m->bytes - m->at;
    if ((uint64_t)n > left) n = (OPJ_OFF_T)left;
    m->at += (size_t)n;
    return n;
}

static OPJ_BOOL seek_memory(OPJ_OFF_T at, void *user) {
    memory *m = user;
    if (at < 0 || (uint64_t)at > m->bytes) return OPJ_FALSE;
    m->at = (size_t)at;
    return OPJ_TRUE;
}

typedef struct {
    memory file;
    opj_stream_t *stream;
    opj_codec_t *codec;
    opj_image_t *image;
} reader;

static void reader_close(reader *r) {
    if (r->image) opj_image_destroy(r->image);
    if (r->codec) opj_destroy_codec(r->codec);
    if (r->stream) opj_stream_destroy(r->stream);
}

static oc_status damaged(oc_error *err) {
    return oc__fail(err, OC_E_FORMAT,
                    "the JPEG 2000 picture is damaged or cut short: fetch "
                    "the file again");
}

/* Opens and reads the header; close r in any case. */
static oc_status reader_open(reader *r, const oc__image_source *src,
                             oc_error *err) {
    opj_dparameters_t parameters;
    int bare = src->bytes > 1 && src->data[0] == 0xff;
    memset(r, 0, sizeof(*r));
    r->file.data = src->data;
    r->file.bytes = src->bytes;
    r->stream = opj_stream_create(OPJ_J2K_STREAM_CHUNK_SIZE, OPJ_TRUE);
    r->codec = opj_create_decompress(bare ? OPJ_CODEC_J2K : OPJ_CODEC_JP2);
    if (!r->stream || !r->codec) return oc__fail_nomem(err);
    opj_stream_set_read_function(r->stream, read_memory);
    opj_stream_set_skip_function(r->stream, skip_memory);
    opj_stream_set_seek_function(r->stream, seek_memory);
    opj_stream_set_user_data(r->stream, &r->file, NULL);
    opj_stream_set_user_data_length(r->stream, src->bytes);
    opj_set_default_decoder_parameters(&parameters);
    if (!opj_setup_decoder(r->codec, &parameters) ||
        !opj_read_header(r->stream, r->codec, &r->image) || !r->image)
        return damaged(err);
    return OC_OK;
}

/* ---- components ---------------------------------------------------------- */

static uint32_t image_width(const opj_image_t *i) {
    return i->x1 - i->x0;
}

static uint32_t image_height(const opj_image_t *i) {
    return i->y1 - i->y0;
}

/* Gray, rgb or rgba of n components: 2 are gray with alpha. */
static int channels_of(uint32_t n) {
    return n == 1 ? 1 : n == 3 ? 3 : 4;
}

static oc_status describe(const opj_image_t *i, oc_image_info *info,
                          oc_error *err) {
    if (i->x1 <= i->x0 || i->y1 <= i->y0 || i->numcomps < 1)
        return damaged(err);
    if (i->numcomps > 4)
        return oc__fail(err, OC_E_UNSUPPORTED,
                        "a JPEG 2000 picture of %u components is not read: "
                        "convert it to PNG",
                        (unsigned)i->numcomps);
    info->width = (int)OC_MIN(image_width(i), (uint32_t)INT32_MAX);
    info->height = (int)OC_MIN(image_height(i), (uint32_t)INT32_MAX);
    info->channels = channels_of(i->numcomps);
    if (i->numcomps == 4 && i->color_space == OPJ_CLRSPC_CMYK)
        info->channels = 3;
    info->bits = (int)i->comps[0].prec;
    info->orientation = 1;
    return OC_OK;
}

/* A sample as 8 bits. */
static uint8_t to_byte(const opj_image_comp_t *c, int32_t v) {
    int64_t x = v, top = ((int64_t)1 << c->prec) - 1;
    if (c->sgnd) x += (int64_t)1 << (c->prec - 1);
    x = OC_MAX(0, OC_MIN(x, top));
    if (c->prec > 8) return (uint8_t)(x >> (c->prec - 8));
    return c->prec == 8 ? (uint8_t)x : (uint8_t)((x * 255 + top / 2) / top);
}

/* Every component must lie over the picture as its subsampling says. */
static int components_fit(const opj_image_t *i) {
    for (uint32_t k = 0; k < i->numcomps; k++) {
        const opj_image_comp_t *c = &i->comps[k];
        if (!c->data || c->dx < 1 || c->dy < 1 || c->prec < 1 || c->prec > 31 ||
            c->w < 1 || c->h < 1)
            return 0;
    }
    return 1;
}

/* Component k at (x, y) of the picture. */
static uint8_t sample(const opj_image_t *i, uint32_t k, uint32_t x,
                      uint32_t y) {
    const opj_image_comp_t *c = &i->comps[k];
    uint32_t cx = OC_MIN(x / c->dx, c->w - 1), cy = OC_MIN(y / c->dy, c->h - 1);
    return to_byte(c, c->data[(size_t)cy * c->w + cx]);
}

static uint8_t clamp(double v) {
    return v <= 0 ? 0 : v >= 255 ? 255 : (uint8_t)(v + 0.5);
}

/* ITU-R 601, full range. */
static void ycc_to_rgb(uint8_t *p) {
    double y = p[0], cb = p[1] - 128.0, cr = p[2] - 128.0;
    p[0] = clamp(y + 1.402 * cr);
    p[1] = clamp(y - 0.344136 * cb - 0.714136 * cr);
    p[2] = clamp(y + 1.772 * cb);
}

static void copy_pixels(const opj_image_t *i, oc_image *out) {
    uint32_t n = i->numcomps;
    int cmyk = n == 4 && i->color_space == OPJ_CLRSPC_CMYK;
    int ycc = n >= 3 && i->color_space == OPJ_CLRSPC_SYCC;
    for (int y = 0; y < out->height; y++) {
        uint8_t *p = out->pixels + (size_t)y * out->stride;
        for (int x = 0; x < out->width; x++, p += out->channels) {
            uint8_t v[4];
            for (uint32_t k = 0; k < n; k++)
                v[k] = sample(i, k, (uint32_t)x, (uint32_t)y);
            if (cmyk) { /* stored as ink; the helper wants light */
                for (int k = 0; k < 4; k++)
                    v[k] = (uint8_t)(255 - v[k]);
                oc__row_cmyk_to_rgb(p, v, 1);
                continue;
            }
            if (ycc) ycc_to_rgb(v);
            if (n == 2) { /* gray with alpha */
                v[3] = v[1];
                v[1] = v[2] = v[0];
            }
            memcpy(p, v, (size_t)out->channels);
        }
    }
}

/* ---- the codec ----------------------------------------------------------- */

static oc_status jp2_probe(const oc__image_source *src, oc_image_info *info,
                           oc_error *err) {
    reader r;
    oc_status st = reader_open(&r, src, err);
    if (st == OC_OK) st = describe(r.image, info, err);
    reader_close(&r);
    return st;
}

static oc_status jp2_decode(const oc__image_source *src, oc_image *out,
                            oc_image_info *info, oc_error *err) {
    reader r;
    oc_status st = reader_open(&r, src, err);
    if (st == OC_OK) st = describe(r.image, info, err);
    if (st == OC_OK)
        st = oc__image_check_size(image_width(r.image), image_height(r.image),
                                  &src->opt, err);
    if (st == OC_OK && (!opj_decode(r.codec, r.stream, r.image) ||
                        !opj_end_decompress(r.codec, r.stream)))
        st = damaged(err);
    /* A palette has become components only now. */
    if (st == OC_OK) st = describe(r.image, info, err);
    if (st == OC_OK && !components_fit(r.image)) st = damaged(err);
    if (st == OC_OK)
        st = oc__image_alloc(out, image_width(r.image), image_height(r.image),
                             info->channels, &src->opt, err);
    if (st == OC_OK) copy_pixels(r.image, out);
    reader_close(&r);
    return st;
}

const oc__image_codec oc__image_codec_jp2 = {jp2_probe, jp2_decode, NULL};
#else
/* ISO C wants something in every file. */
typedef int oc__no_jp2;
#endif
