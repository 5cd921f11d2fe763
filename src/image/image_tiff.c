/*
 * image_tiff.c - TIFF and BigTIFF through libtiff: the first page.
 *
 * Gray, palette, rgb and cmyk of 1 to 16 bits are unpacked here, so that
 * palette indices and true alpha survive; what is rarer (YCbCr, Lab, LogLuv)
 * goes through libtiff's own converter.  Unpacking fills a "raw" picture with
 * one byte a sample, which is then finished in place:
 *
 *     gray         g            palette       index
 *     gray, alpha  g - - a      cmyk          c m y k
 *     rgb [alpha]  r g b [a]
 */
#if defined(OC_HAVE_TIFF)
#include "image/image.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <tiffio.h>

typedef struct {
    const uint8_t *data;
    uint64_t bytes, at;
    char text[160]; /* the library's first complaint */
} tiff_file;

typedef struct {
    TIFF *tif;
    tiff_file file;
    const oc__image_source *src;
    uint32_t width, height;
    uint16_t bits, samples, photometric, planar, format, compression;
    uint16_t orientation;
    int alpha;    /* 0 none, 1 plain, 2 multiplied in */
    int used;     /* samples of a pixel that count */
    int channels; /* of the raw picture */
    int place[4]; /* sample -> byte in the raw pixel */
    int native;   /* nonzero: libtiff converts */
} tiff_reader;

/* ---- the file in memory ------------------------------------------------ */

static tmsize_t file_read(thandle_t handle, void *to, tmsize_t n) {
    tiff_file *f = handle;
    if (n <= 0 || f->at >= f->bytes) return 0;
    uint64_t left = f->bytes - f->at;
    size_t take = (uint64_t)n < left ? (size_t)n : (size_t)left;
    memcpy(to, f->data + f->at, take);
    f->at += take;
    return (tmsize_t)take;
}

static tmsize_t file_write(thandle_t handle, void *from, tmsize_t n) {
    (void)handle;
    (void)from;
    (void)n;
    return -1;
}

static uint64_t file_seek(thandle_t handle, uint64_t to, int whence) {
    tiff_file *f = handle;
    if (whence == SEEK_CUR) to += f->at;
    if (whence == SEEK_END) to += f->bytes;
    f->at = to;
    return to;
}

static int file_close(thandle_t handle) {
    (void)handle;
    return 0;
}

static uint64_t file_size(thandle_t handle) {
    return ((tiff_file *)handle)->bytes;
}

/* ---- errors ------------------------------------------------------------ */

#if TIFFLIB_VERSION >= 20221213
static int on_error(TIFF *tif, void *user, const char *module,
                    const char *format, va_list args) {
    tiff_file *f = user;
    (void)tif;
    (void)module;
    if (!f->text[0]) vsnprintf(f->text, sizeof(f->text), format, args);
    return 1; /* handled: nothing is printed */
}

static int on_warning(TIFF *tif, void *user, const char *module,
                      const char *format, va_list args) {
    (void)tif;
    (void)user;
    (void)module;
    (void)format;
    (void)args;
    return 1;
}

static TIFF *open_file(tiff_file *f, size_t most) {
    TIFFOpenOptions *o = TIFFOpenOptionsAlloc();
    if (!o) return NULL;
    TIFFOpenOptionsSetErrorHandlerExtR(o, on_error, f);
    TIFFOpenOptionsSetWarningHandlerExtR(o, on_warning, f);
    TIFFOpenOptionsSetMaxSingleMemAlloc(o, (tmsize_t)most);
    TIFF *tif =
        TIFFClientOpenExt("picture", "rm", f, file_read, file_write, file_seek,
                          file_close, file_size, NULL, NULL, o);
    TIFFOpenOptionsFree(o);
    return tif;
}
#else
/* Before 4.5 handlers are global; the library must at least not print. */
static TIFF *open_file(tiff_file *f, size_t most) {
    (void)most;
    TIFFSetErrorHandler(NULL);
    TIFFSetWarningHandler(NULL);
    return TIFFClientOpen("picture", "rm", f, file_read, file_write, file_seek,
                          file_close, file_size, NULL, NULL);
}
#endif

static oc_status damaged(const tiff_reader *r, oc_error *err) {
    const char *why = r->file.text;
    return oc__fail(err, OC_E_FORMAT,
                    "the TIFF picture is damaged or cut short%s%s",
                    why[0] ? ": " : "", why);
}

static oc_status unsupported(const char *what, unsigned value, oc_error *err) {
    return oc__fail(err, OC_E_UNSUPPORTED,
                    "the TIFF picture has %s %u, which is not read: save it "
                    "as 8-bit or 16-bit rgb or gray",
                    what, value);
}

/* ---- header ------------------------------------------------------------ */

static int alpha_kind(TIFF *tif, int colors, uint16_t samples) {
    uint16_t count = 0, *kinds = NULL;
    if (samples <= colors) return 0;
    if (!TIFFGetField(tif, TIFFTAG_EXTRASAMPLES, &count, &kinds) || !count)
        return samples == 4 && colors == 3; /* undeclared: taken as alpha */
    if (kinds[0] == EXTRASAMPLE_ASSOCALPHA) return 2;
    return kinds[0] == EXTRASAMPLE_UNASSALPHA;
}

/** Says how samples become the raw picture. */
static oc_status choose_samples(tiff_reader *r, oc_error *err) {
    int colors = 0;
    switch (r->photometric) {
    case PHOTOMETRIC_MINISWHITE:
    case PHOTOMETRIC_MINISBLACK:
    case PHOTOMETRIC_PALETTE: colors = 1; break;
    case PHOTOMETRIC_RGB: colors = 3; break;
    case PHOTOMETRIC_SEPARATED: colors = 4; break;
    case PHOTOMETRIC_YCBCR:
        /* The JPEG codec inside libtiff turns it into rgb. */
        if (r->compression == COMPRESSION_JPEG && r->bits == 8 &&
            r->planar == PLANARCONFIG_CONTIG) {
            TIFFSetField(r->tif, TIFFTAG_JPEGCOLORMODE, JPEGCOLORMODE_RGB);
            colors = 3;
        }
        break;
    default: break;
    }
    if (!colors) {
        r->native = 1;
        r->channels = 4;
        return OC_OK;
    }
    if (r->format != SAMPLEFORMAT_UINT && r->format != SAMPLEFORMAT_VOID)
        return unsupported("sample format", r->format, err);
    if (r->bits != 1 && r->bits != 2 && r->bits != 4 && r->bits != 8 &&
        r->bits != 16)
        return unsupported("bits per sample", r->bits, err);
    if (r->samples < colors)
        return unsupported("too few samples per pixel:", r->samples, err);
    r->alpha = r->photometric == PHOTOMETRIC_PALETTE || colors == 4
                   ? 0
                   : alpha_kind(r->tif, colors, r->samples);
    r->used = colors + (r->alpha ? 1 : 0);
    r->channels = r->used == 2 ? 4 : r->used;
    for (int i = 0; i < 4; i++)
        r->place[i] = i;
    if (r->used == 2) r->place[1] = 3;
    return OC_OK;
}

static oc_status read_header(tiff_reader *r, oc_image_info *info,
                             oc_error *err) {
    TIFF *t = r->tif;
    r->photometric = UINT16_MAX;
    if (!TIFFGetField(t, TIFFTAG_IMAGEWIDTH, &r->width) ||
        !TIFFGetField(t, TIFFTAG_IMAGELENGTH, &r->height))
        return damaged(r, err);
    TIFFGetFieldDefaulted(t, TIFFTAG_BITSPERSAMPLE, &r->bits);
    TIFFGetFieldDefaulted(t, TIFFTAG_SAMPLESPERPIXEL, &r->samples);
    TIFFGetFieldDefaulted(t, TIFFTAG_PLANARCONFIG, &r->planar);
    TIFFGetFieldDefaulted(t, TIFFTAG_SAMPLEFORMAT, &r->format);
    TIFFGetFieldDefaulted(t, TIFFTAG_COMPRESSION, &r->compression);
    TIFFGetFieldDefaulted(t, TIFFTAG_ORIENTATION, &r->orientation);
    if (!TIFFGetField(t, TIFFTAG_PHOTOMETRIC, &r->photometric))
        r->photometric =
            r->samples >= 3 ? PHOTOMETRIC_RGB : PHOTOMETRIC_MINISBLACK;
    OC_TRY(oc__image_check_size(r->width, r->height, &r->src->opt, err));
    OC_TRY(choose_samples(r, err));
    info->width = (int)r->width;
    info->height = (int)r->height;
    info->bits = r->bits;
    info->channels = r->photometric == PHOTOMETRIC_SEPARATED ||
                             r->photometric == PHOTOMETRIC_PALETTE
                         ? 3
                         : r->channels;
    if (r->orientation >= 1 && r->orientation <= 8)
        info->orientation = r->orientation;
    return OC_OK;
}

/* ---- pixels ------------------------------------------------------------ */

/** Sample i of a row, as a level, or as it is when `plain`. */
static uint8_t sample_at(const uint8_t *row, size_t i, unsigned bits,
                         int plain) {
    if (bits == 8) return row[i];
    if (bits == 16) {
        uint16_t v;
        memcpy(&v, row + 2 * i, 2);
        return (uint8_t)((v * 255u + 32767u) / 65535u);
    }
    unsigned per = 8 / bits, top = (1u << bits) - 1;
    unsigned v = row[i / per] >> (8 - bits * (i % per + 1)) & top;
    return (uint8_t)(plain ? v : v * 255 / top);
}

/** Where a strip or tile lies, clipped to the picture. */
typedef struct {
    uint32_t x, y, width, height;
    size_t row_bytes; /* in the unit, before clipping */
    int first, step;  /* sample of a pixel it begins with, samples a pixel */
} tiff_unit;

static void unpack_unit(const tiff_reader *r, oc_image *raw, const tiff_unit *u,
                        const uint8_t *data, int plain) {
    size_t n = (size_t)raw->channels;
    int count = r->planar == PLANARCONFIG_SEPARATE ? 1 : r->used;
    for (uint32_t y = 0; y < u->height; y++) {
        const uint8_t *row = data + y * u->row_bytes;
        uint8_t *to = raw->pixels + (size_t)(u->y + y) * raw->stride + u->x * n;
        for (int s = 0; s < count; s++) {
            uint8_t *d = to + r->place[u->first + s];
            size_t i = (size_t)s;
            for (uint32_t x = 0; x < u->width; x++, d += n) {
                *d = sample_at(row, i, r->bits, plain);
                i += (size_t)u->step;
            }
        }
    }
}

typedef struct {
    uint32_t width, height; /* of a whole unit */
    size_t bytes, row_bytes;
    int tiled;
} tiff_layout;

static oc_status read_layout(const tiff_reader *r, tiff_layout *l,
                             oc_error *err) {
    TIFF *t = r->tif;
    tmsize_t bytes, row;
    memset(l, 0, sizeof(*l));
    l->tiled = TIFFIsTiled(t);
    if (l->tiled) {
        TIFFGetField(t, TIFFTAG_TILEWIDTH, &l->width);
        TIFFGetField(t, TIFFTAG_TILELENGTH, &l->height);
        bytes = TIFFTileSize(t);
        row = TIFFTileRowSize(t);
    } else {
        l->width = r->width;
        TIFFGetFieldDefaulted(t, TIFFTAG_ROWSPERSTRIP, &l->height);
        if (l->height > r->height) l->height = r->height;
        bytes = TIFFStripSize(t);
        row = TIFFScanlineSize(t);
    }
    if (l->width == 0 || l->height == 0 || bytes <= 0 || row <= 0)
        return damaged(r, err);
    /* A tile may claim far more than the picture it is part of. */
    size_t most = OC_MAX(r->src->opt.max_pixels, (size_t)1 << 16) * 8;
    if ((size_t)bytes > most)
        return oc__fail(err, OC_E_LIMIT,
                        "the TIFF picture has strips or tiles of %zu bytes, "
                        "over the limit of %zu: save it with smaller ones",
                        (size_t)bytes, most);
    l->bytes = (size_t)bytes;
    l->row_bytes = (size_t)row;
    /* The unpacker trusts these two to agree. */
    uint64_t per = r->planar == PLANARCONFIG_SEPARATE ? 1 : r->samples;
    uint64_t need = ((uint64_t)l->width * per * r->bits + 7) / 8;
    if (l->row_bytes < need || l->bytes / l->row_bytes < l->height)
        return damaged(r, err);
    return OC_OK;
}

static oc_status read_units(const tiff_reader *r, const tiff_layout *l,
                            oc_image *raw, uint8_t *buffer, oc_error *err) {
    int separate = r->planar == PLANARCONFIG_SEPARATE;
    int plain = r->photometric == PHOTOMETRIC_PALETTE ||
                r->src->opt.color == OC_COLOR_INDEX;
    for (int plane = 0; plane < (separate ? r->used : 1); plane++) {
        for (uint32_t y = 0; y < r->height; y += l->height) {
            for (uint32_t x = 0; x < r->width; x += l->width) {
                uint16_t s = (uint16_t)plane;
                tiff_unit u = {x,
                               y,
                               OC_MIN(l->width, r->width - x),
                               OC_MIN(l->height, r->height - y),
                               l->row_bytes,
                               plane,
                               separate ? 1 : r->samples};
                tmsize_t need = (tmsize_t)((u.height - 1) * l->row_bytes);
                tmsize_t got =
                    l->tiled
                        ? TIFFReadEncodedTile(
                              r->tif, TIFFComputeTile(r->tif, x, y, 0, s),
                              buffer, (tmsize_t)l->bytes)
                        : TIFFReadEncodedStrip(r->tif,
                                               TIFFComputeStrip(r->tif, y, s),
                                               buffer, (tmsize_t)l->bytes);
                if (got <= need) return damaged(r, err);
                unpack_unit(r, raw, &u, buffer, plain);
            }
        }
    }
    return OC_OK;
}

/* ---- finishing --------------------------------------------------------- */

static oc_status finish_palette(const tiff_reader *r, oc_image *raw,
                                oc_error *err) {
    uint16_t *red, *green, *blue;
    uint8_t table[256 * 4];
    unsigned shift = 0;
    if (r->bits > 8) return unsupported("palette bits", r->bits, err);
    if (!TIFFGetField(r->tif, TIFFTAG_COLORMAP, &red, &green, &blue))
        return damaged(r, err);
    memset(table, 255, sizeof(table));
    /* Entries are 16 bits, but some writers use the low 8 only. */
    for (size_t i = 0; i < (size_t)1 << r->bits; i++)
        if (red[i] > 255 || green[i] > 255 || blue[i] > 255) shift = 8;
    for (size_t i = 0; i < (size_t)1 << r->bits; i++) {
        table[4 * i] = (uint8_t)(red[i] >> shift);
        table[4 * i + 1] = (uint8_t)(green[i] >> shift);
        table[4 * i + 2] = (uint8_t)(blue[i] >> shift);
    }
    return oc__image_apply_palette(raw, table, 3, err);
}

static oc_status finish_cmyk(oc_image *raw, oc_error *err) {
    oc_image made;
    OC_TRY(
        oc_image_init(&made, raw->width, raw->height, 3, raw->allocator, err));
    for (size_t i = 0; i < raw->owned_bytes; i++)
        raw->pixels[i] = (uint8_t)(255 - raw->pixels[i]);
    for (int y = 0; y < raw->height; y++)
        oc__row_cmyk_to_rgb(made.pixels + (size_t)y * made.stride,
                            raw->pixels + (size_t)y * raw->stride,
                            (size_t)raw->width);
    oc_image_deinit(raw);
    *raw = made;
    return OC_OK;
}

/** Spreads gray over rgb where there is alpha, and takes alpha out. */
static void finish_alpha(const tiff_reader *r, oc_image *raw) {
    for (size_t i = 0; i < raw->owned_bytes; i += 4) {
        uint8_t *p = raw->pixels + i;
        if (r->used == 2) p[1] = p[2] = p[0];
        if (r->alpha != 2 || p[3] == 0) continue;
        for (int c = 0; c < 3; c++) {
            unsigned v = (p[c] * 255u + p[3] / 2) / p[3];
            p[c] = (uint8_t)OC_MIN(v, 255u);
        }
    }
}

static void finish_inverted(oc_image *raw) {
    size_t step = raw->channels == 4 ? 4 : 1;
    for (size_t i = 0; i < raw->owned_bytes; i += step)
        raw->pixels[i] = (uint8_t)(255 - raw->pixels[i]);
}

static oc_status finish(const tiff_reader *r, oc_image *raw, oc_error *err) {
    int index = r->src->opt.color == OC_COLOR_INDEX;
    if (r->photometric == PHOTOMETRIC_PALETTE)
        return index ? OC_OK : finish_palette(r, raw, err);
    if (r->photometric == PHOTOMETRIC_SEPARATED) return finish_cmyk(raw, err);
    /* Before alpha is undone: white means no light there, too. */
    if (r->photometric == PHOTOMETRIC_MINISWHITE && !(index && r->used == 1))
        finish_inverted(raw);
    if (r->channels == 4) finish_alpha(r, raw);
    return OC_OK;
}

/** What libtiff converts: its words hold r in the low byte, a in the high. */
static oc_status read_native(const tiff_reader *r, oc_image *out,
                             oc_error *err) {
    TIFFRGBAImage image;
    char text[1024] = "";
    size_t count = (size_t)r->width * r->height;
    if (!TIFFRGBAImageOK(r->tif, text) ||
        !TIFFRGBAImageBegin(&image, r->tif, 1, text))
        return oc__fail(err, OC_E_UNSUPPORTED,
                        "the TIFF picture is of a kind that is not read "
                        "(%.150s): save it as 8-bit rgb",
                        text);
    uint32_t *words = oc__image_get_zero(r->src->opt.allocator, count * 4);
    int good = 0;
    if (words) {
        /* Stored order; orientation is applied for all formats alike. */
        image.orientation = ORIENTATION_TOPLEFT;
        image.req_orientation = ORIENTATION_TOPLEFT;
        good = TIFFRGBAImageGet(&image, words, r->width, r->height);
    }
    TIFFRGBAImageEnd(&image);
    if (!words) return oc__fail_nomem(err);
    for (size_t i = 0; good && i < count; i++) {
        uint8_t *p = out->pixels + 4 * i;
        p[0] = (uint8_t)TIFFGetR(words[i]);
        p[1] = (uint8_t)TIFFGetG(words[i]);
        p[2] = (uint8_t)TIFFGetB(words[i]);
        p[3] = (uint8_t)TIFFGetA(words[i]);
    }
    oc__image_put(r->src->opt.allocator, words, count * 4);
    return good ? OC_OK : damaged(r, err);
}

static oc_status read_pixels(const tiff_reader *r, oc_image *out,
                             oc_error *err) {
    const oc_allocator *a = r->src->opt.allocator;
    tiff_layout l;
    if (!r->native) OC_TRY(read_layout(r, &l, err));
    if (r->src->opt.color == OC_COLOR_INDEX && r->bits > 8)
        return unsupported("for an index too many bits:", r->bits, err);
    OC_TRY(oc__image_alloc(out, r->width, r->height, r->channels, &r->src->opt,
                           err));
    if (r->native) return read_native(r, out, err);
    uint8_t *buffer = oc__image_get_zero(a, l.bytes);
    if (!buffer) return oc__fail_nomem(err);
    oc_status st = read_units(r, &l, out, buffer, err);
    oc__image_put(a, buffer, l.bytes);
    return st == OC_OK ? finish(r, out, err) : st;
}

static oc_status read_tiff(const oc__image_source *src, oc_image *out,
                           oc_image_info *info, oc_error *err) {
    tiff_reader r;
    memset(&r, 0, sizeof(r));
    r.src = src;
    r.file.data = src->data;
    r.file.bytes = src->bytes;
    /* Room for tags and for the codecs; our own buffers are not counted. */
    size_t most = OC_MAX(src->opt.max_pixels, (size_t)1 << 20);
    r.tif = open_file(&r.file, most > SIZE_MAX / 32 ? 0 : most * 8);
    if (!r.tif) return damaged(&r, err);
    oc_status st = read_header(&r, info, err);
    if (st == OC_OK && out) st = read_pixels(&r, out, err);
    TIFFClose(r.tif);
    return st;
}

static oc_status tiff_probe(const oc__image_source *src, oc_image_info *info,
                            oc_error *err) {
    return read_tiff(src, NULL, info, err);
}

static oc_status tiff_decode(const oc__image_source *src, oc_image *out,
                             oc_image_info *info, oc_error *err) {
    return read_tiff(src, out, info, err);
}

const oc__image_codec oc__image_codec_tiff = {tiff_probe, tiff_decode, NULL};
#else
/* ISO C wants something in every file. */
typedef int oc__no_tiff;
#endif
