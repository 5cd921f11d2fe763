/* image.c - pictures as structs; which codec reads and writes them. */
#include "image/image.h"

#include "base/ascii.h"

#include <string.h>

/* Enough for any camera; 400 MB as rgb. */
#define DEFAULT_MAX_PIXELS ((size_t)1 << 27)
#define DEFAULT_MAX_FILE   ((size_t)1 << 30)
/* A side longer than this is a lie or a strip of noise; it also keeps the
   arithmetic of the resizer in 32 bits. */
#define MAX_SIDE (1 << 24)

/* ---- the table of formats ---------------------------------------------- */

/* A library that was left out leaves this: nothing works, nothing is NULL. */
static const oc__image_codec absent = {0};

static const oc__image_codec *codec_of(oc_image_format format) {
    switch (format) {
#if defined(OC_HAVE_JPEG)
    case OC_IMAGE_JPEG: return &oc__image_codec_jpeg;
#endif
#if defined(OC_HAVE_PNG)
    case OC_IMAGE_PNG: return &oc__image_codec_png;
#endif
#if defined(OC_HAVE_WEBP)
    case OC_IMAGE_WEBP: return &oc__image_codec_webp;
#endif
#if defined(OC_HAVE_TIFF)
    case OC_IMAGE_TIFF: return &oc__image_codec_tiff;
#endif
#if defined(OC_HAVE_JP2)
    case OC_IMAGE_JP2: return &oc__image_codec_jp2;
#endif
    case OC_IMAGE_BMP: return &oc__image_codec_bmp;
    case OC_IMAGE_PNM: return &oc__image_codec_pnm;
    default: return &absent;
    }
}

const char *oc_image_format_name(oc_image_format format) {
    static const char *const names[OC_IMAGE_FORMAT_COUNT] = {
        "unknown", "jpeg", "png", "webp", "tiff", "bmp", "pnm", "jp2"};
    if ((int)format < 0 || format >= OC_IMAGE_FORMAT_COUNT) return names[0];
    return names[format];
}

int oc_image_format_support(oc_image_format format) {
    const oc__image_codec *c = codec_of(format);
    return (c->decode ? 1 : 0) | (c->encode ? 2 : 0);
}

oc_image_format oc_image_detect(const void *data, size_t bytes) {
    const uint8_t *p = data;
    static const uint8_t jp2_box[12] = {0, 0, 0, 12, 'j', 'P', ' ', ' '};
    if (!p || bytes < 2) return OC_IMAGE_UNKNOWN;
    if (bytes >= 3 && p[0] == 0xFF && p[1] == 0xD8 && p[2] == 0xFF)
        return OC_IMAGE_JPEG;
    if (bytes >= 8 && memcmp(p, "\x89PNG\r\n\x1a\n", 8) == 0)
        return OC_IMAGE_PNG;
    if (bytes >= 12 && memcmp(p, "RIFF", 4) == 0 &&
        memcmp(p + 8, "WEBP", 4) == 0)
        return OC_IMAGE_WEBP;
    /* 42 is classic TIFF, 43 BigTIFF. */
    if (bytes >= 4 && ((p[0] == 'I' && p[1] == 'I' && p[3] == 0 &&
                        (p[2] == 42 || p[2] == 43)) ||
                       (p[0] == 'M' && p[1] == 'M' && p[2] == 0 &&
                        (p[3] == 42 || p[3] == 43))))
        return OC_IMAGE_TIFF;
    if (bytes >= 8 && memcmp(p, jp2_box, 8) == 0) return OC_IMAGE_JP2;
    if (bytes >= 4 && memcmp(p, "\xFF\x4F\xFF\x51", 4) == 0)
        return OC_IMAGE_JP2; /* a bare code stream */
    /* Last, because their signatures are short enough for accidents. */
    if (p[0] == 'B' && p[1] == 'M') return OC_IMAGE_BMP;
    if (bytes >= 3 && p[0] == 'P' && p[1] >= '1' && p[1] <= '7' &&
        (p[2] == ' ' || p[2] == '#' || (p[2] >= '\t' && p[2] <= '\r')))
        return OC_IMAGE_PNM;
    return OC_IMAGE_UNKNOWN;
}

oc_image_format oc_image_format_of_path(const char *path) {
    static const struct {
        const char *ending;
        oc_image_format format;
    } table[] = {
        {"jpg", OC_IMAGE_JPEG},  {"jpeg", OC_IMAGE_JPEG},
        {"jpe", OC_IMAGE_JPEG},  {"png", OC_IMAGE_PNG},
        {"webp", OC_IMAGE_WEBP}, {"tif", OC_IMAGE_TIFF},
        {"tiff", OC_IMAGE_TIFF}, {"bmp", OC_IMAGE_BMP},
        {"dib", OC_IMAGE_BMP},   {"ppm", OC_IMAGE_PNM},
        {"pgm", OC_IMAGE_PNM},   {"pbm", OC_IMAGE_PNM},
        {"pnm", OC_IMAGE_PNM},   {"pam", OC_IMAGE_PNM},
        {"jp2", OC_IMAGE_JP2},   {"j2k", OC_IMAGE_JP2},
        {"jpx", OC_IMAGE_JP2},
    };
    /* A dot in a folder's name is no ending. */
    const char *dot = path ? strrchr(path, '.') : NULL;
    if (!dot || strchr(dot, '/')) return OC_IMAGE_UNKNOWN;
    for (size_t i = 0; i < OC_COUNT(table); i++)
        if (oc__ascii_same(dot + 1, table[i].ending)) return table[i].format;
    return OC_IMAGE_UNKNOWN;
}

/* ---- pictures ---------------------------------------------------------- */

oc_status oc_image_init(oc_image *out, int width, int height, int channels,
                        const oc_allocator *allocator, oc_error *err) {
    size_t row, total;
    if (!out || width <= 0 || height <= 0 || width > MAX_SIDE ||
        height > MAX_SIDE)
        return oc__fail(err, OC_E_ARG,
                        "a picture of %d x %d pixels cannot be made: each "
                        "side must be 1 to %d",
                        width, height, MAX_SIDE);
    if (channels != 1 && channels != 3 && channels != 4)
        return oc__fail(err, OC_E_ARG,
                        "a picture of %d channels cannot be made: use 1, 3 "
                        "or 4",
                        channels);
    if (oc__size_mul((size_t)width, (size_t)channels, &row) ||
        oc__size_mul(row, (size_t)height, &total))
        return oc__fail_nomem(err);
    void *pixels = oc__image_get(allocator, total);
    if (!pixels) return oc__fail_nomem(err);
    *out = (oc_image){.width = width,
                      .height = height,
                      .channels = channels,
                      .stride = row,
                      .pixels = pixels,
                      .owned = pixels,
                      .owned_bytes = total,
                      .allocator = allocator};
    return OC_OK;
}

void oc_image_deinit(oc_image *img) {
    if (!img) return;
    if (img->owned) oc__image_put(img->allocator, img->owned, img->owned_bytes);
    memset(img, 0, sizeof(*img));
}

oc_status oc__image_check(const oc_image *img, oc_error *err) {
    if (!img || !img->pixels || img->width <= 0 || img->height <= 0 ||
        img->width > MAX_SIDE || img->height > MAX_SIDE)
        return oc__fail(err, OC_E_ARG, "the picture is empty: load it first");
    if (img->channels != 1 && img->channels != 3 && img->channels != 4)
        return oc__fail(err, OC_E_ARG,
                        "the picture has %d channels: use 1, 3 or 4",
                        img->channels);
    if (img->stride / (size_t)img->channels < (size_t)img->width)
        return oc__fail(err, OC_E_ARG,
                        "the picture's stride of %zu bytes is shorter than "
                        "its rows",
                        img->stride);
    return OC_OK;
}

oc_status oc_image_crop(oc_image *out, const oc_image *img, int x, int y,
                        int width, int height, oc_error *err) {
    OC_TRY(oc__image_check(img, err));
    if (!out || x < 0 || y < 0 || width <= 0 || height <= 0 ||
        width > img->width - x || height > img->height - y)
        return oc__fail(err, OC_E_ARG,
                        "the crop %d,%d %dx%d does not lie in the picture of "
                        "%d x %d pixels",
                        x, y, width, height, img->width, img->height);
    *out = (oc_image){.width = width,
                      .height = height,
                      .channels = img->channels,
                      .stride = img->stride,
                      .pixels = img->pixels + (size_t)y * img->stride +
                                (size_t)x * (size_t)img->channels};
    return OC_OK;
}

oc_status oc__image_check_size(uint64_t width, uint64_t height,
                               const oc_image_options *opt, oc_error *err) {
    if (width == 0 || height == 0)
        return oc__fail(err, OC_E_FORMAT,
                        "the picture's header gives it no pixels: the file "
                        "is damaged");
    if (width > MAX_SIDE || height > MAX_SIDE ||
        width > opt->max_pixels / height)
        return oc__fail(err, OC_E_LIMIT,
                        "the picture is %llu x %llu pixels and the limit is "
                        "%zu: scale it down or raise the limit",
                        (unsigned long long)width, (unsigned long long)height,
                        opt->max_pixels);
    return OC_OK;
}

oc_status oc__image_alloc(oc_image *out, uint64_t width, uint64_t height,
                          int channels, const oc_image_options *opt,
                          oc_error *err) {
    OC_TRY(oc__image_check_size(width, height, opt, err));
    return oc_image_init(out, (int)width, (int)height, channels, opt->allocator,
                         err);
}

/* ---- bytes ------------------------------------------------------------- */

/* Doubling keeps the copying linear; allocators here cannot grow in place. */
int oc__bytes_append(oc_bytes *b, const void *data, size_t n) {
    size_t need;
    if (oc__size_add(b->size, n, &need)) return 1;
    if (need > b->capacity) {
        size_t grown = b->capacity < 4096 ? 4096 : b->capacity;
        while (grown < need) {
            if (oc__size_mul(grown, 2, &grown)) return 1;
        }
        uint8_t *fresh = oc__image_get(b->allocator, grown);
        if (!fresh) return 1;
        if (b->size) memcpy(fresh, b->data, b->size);
        oc__image_put(b->allocator, b->data, b->capacity);
        b->data = fresh;
        b->capacity = grown;
    }
    if (n) memcpy(b->data + b->size, data, n);
    b->size = need;
    return 0;
}

void oc_bytes_deinit(oc_bytes *b) {
    if (!b) return;
    oc__image_put(b->allocator, b->data, b->capacity);
    memset(b, 0, sizeof(*b));
}

/* ---- reading ----------------------------------------------------------- */

/** The codec for these bytes, or the sentence why there is none. */
static oc_status find_codec(const oc__image_codec **out, const uint8_t *data,
                            size_t bytes, oc_error *err) {
    if (!data || bytes == 0)
        return oc__fail(err, OC_E_FORMAT,
                        "the picture is empty (0 bytes): give a file with "
                        "content");
    oc_image_format format = oc_image_detect(data, bytes);
    if (format == OC_IMAGE_UNKNOWN) {
        char head[3 * 8 + 1] = "";
        for (size_t i = 0; i < bytes && i < 8; i++) {
            static const char hex[] = "0123456789abcdef";
            head[3 * i] = ' ';
            head[3 * i + 1] = hex[data[i] >> 4];
            head[3 * i + 2] = hex[data[i] & 15];
            head[3 * i + 3] = 0;
        }
        return oc__fail_at(err, OC_E_FORMAT, 0,
                           "not a picture of a known format (it begins%s): "
                           "give JPEG, PNG, WebP, TIFF, BMP or PNM",
                           head);
    }
    *out = codec_of(format);
    if (!(*out)->decode)
        return oc__fail(err, OC_E_UNSUPPORTED,
                        "this build reads no %s pictures: build with the "
                        "%s library or convert the picture to PNG",
                        oc_image_format_name(format),
                        oc_image_format_name(format));
    return OC_OK;
}

oc_status oc_image_probe_memory(oc_image_info *out, const void *data,
                                size_t bytes, oc_error *err) {
    const oc__image_codec *codec;
    oc__image_source src = {data, bytes, {0}};
    oc_image_info info = {.orientation = 1};
    if (!out) return oc__fail(err, OC_E_ARG, "no place for the answer given");
    /* To say how large a picture is costs nothing, however large. */
    src.opt.max_pixels = SIZE_MAX;
    OC_TRY(find_codec(&codec, data, bytes, err));
    info.format = oc_image_detect(data, bytes);
    OC_TRY(codec->probe(&src, &info, err));
    if (info.orientation >= 5) {
        int w = info.width;
        info.width = info.height;
        info.height = w;
    }
    *out = info;
    return OC_OK;
}

/** What a codec's channels are, before anything is asked for. */
static oc_color natural_color(int channels) {
    return channels == 1   ? OC_COLOR_GRAY
           : channels == 3 ? OC_COLOR_RGB
                           : OC_COLOR_RGBA;
}

/** Replaces img by its conversion; img stays valid on failure. */
static oc_status finish_color(oc_image *img, oc_color want, oc_error *err) {
    oc_image other = {0};
    oc_color have = natural_color(img->channels);
    if (want == OC_COLOR_KEEP || want == have) return OC_OK;
    if (want == OC_COLOR_INDEX) {
        if (img->channels == 1) return OC_OK;
        return oc__fail(err, OC_E_UNSUPPORTED,
                        "the picture has %d channels and no palette, so it "
                        "holds no indices: give a gray or palette picture",
                        img->channels);
    }
    OC_TRY(oc_image_convert(&other, img, have, want, img->allocator, err));
    other.full_width = img->full_width;
    other.full_height = img->full_height;
    oc_image_deinit(img);
    *img = other;
    return OC_OK;
}

/** Turns what a camera held sideways; the same for every format. */
static oc_status finish_orientation(oc_image *img, int orientation,
                                    oc_error *err) {
    oc_image other = {0};
    if (orientation < 2 || orientation > 8) return OC_OK;
    OC_TRY(oc_image_orient(&other, img, orientation, img->allocator, err));
    oc_image_deinit(img);
    *img = other;
    return OC_OK;
}

oc_status oc_image_load_memory(oc_image *out, const void *data, size_t bytes,
                               const oc_image_options *opt, oc_error *err) {
    const oc__image_codec *codec;
    oc__image_source src = {data, bytes, {0}};
    oc_image_info info = {.orientation = 1};
    oc_image img = {0};
    oc_status st;
    if (!out) return oc__fail(err, OC_E_ARG, "no place for the picture given");
    if (opt) src.opt = *opt;
    if ((int)src.opt.color < 0 || src.opt.color > OC_COLOR_INDEX)
        return oc__fail(err, OC_E_ARG, "there is no colour kind %d",
                        (int)src.opt.color);
    if (!src.opt.max_pixels) src.opt.max_pixels = DEFAULT_MAX_PIXELS;
    if (!src.opt.max_file_bytes) src.opt.max_file_bytes = DEFAULT_MAX_FILE;
    if (bytes > src.opt.max_file_bytes)
        return oc__fail(err, OC_E_LIMIT,
                        "the picture's %zu bytes are more than the limit of "
                        "%zu: shrink it or raise the limit",
                        bytes, src.opt.max_file_bytes);
    OC_TRY(find_codec(&codec, data, bytes, err));
    /* Colour before turning: what is dropped need not be turned. */
    st = codec->decode(&src, &img, &info, err);
    if (st == OC_OK) st = finish_color(&img, src.opt.color, err);
    if (st == OC_OK && !src.opt.ignore_orientation)
        st = finish_orientation(&img, info.orientation, err);
    if (st != OC_OK) {
        oc_image_deinit(&img);
        return st;
    }
    if (!img.full_width) {
        img.full_width = img.width;
        img.full_height = img.height;
    }
    *out = img;
    return OC_OK;
}

oc_status oc_image_load(oc_image *out, const char *path,
                        const oc_image_options *opt, oc_error *err) {
    oc_bytes file = {0};
    size_t limit =
        opt && opt->max_file_bytes ? opt->max_file_bytes : DEFAULT_MAX_FILE;
    if (!path) return oc__fail(err, OC_E_ARG, "no file name given");
    OC_TRY(oc__image_file_read(&file, path, limit, opt ? opt->allocator : NULL,
                               err));
    oc_status st = oc_image_load_memory(out, file.data, file.size, opt, err);
    if (st != OC_OK) oc__error_prefix(err, path);
    oc_bytes_deinit(&file);
    return st;
}

/* ---- writing ----------------------------------------------------------- */

oc_status oc_image_save_memory(oc_bytes *out, const oc_image *img,
                               const oc_image_save_options *opt,
                               oc_error *err) {
    oc_image_save_options o = {0};
    OC_TRY(oc__image_check(img, err));
    if (opt) o = *opt;
    if (!out) return oc__fail(err, OC_E_ARG, "no place for the bytes given");
    if (!o.quality) o.quality = 90;
    if (o.quality < 1 || o.quality > 100)
        return oc__fail(err, OC_E_ARG, "quality %d is not in 1..100",
                        o.quality);
    if (o.palette && (o.palette_count < 1 || o.palette_count > 256 ||
                      img->channels != 1 || o.format != OC_IMAGE_PNG))
        return oc__fail(err, OC_E_ARG,
                        "a palette needs a picture of 1 channel, 1..256 "
                        "colours and the PNG format");
    const oc__image_codec *codec = codec_of(o.format);
    if (!codec->encode)
        return oc__fail(err, OC_E_UNSUPPORTED,
                        "this build writes no %s pictures: write png, or "
                        "bmp where there is no PNG library",
                        oc_image_format_name(o.format));
    /* Whole in memory first: a failure half-way leaves no half file. */
    oc_bytes bytes = {.allocator = o.allocator};
    oc_status st = codec->encode(&bytes, img, &o, err);
    if (st != OC_OK) {
        oc_bytes_deinit(&bytes);
        return st;
    }
    *out = bytes;
    return OC_OK;
}

oc_status oc_image_save(const oc_image *img, const char *path,
                        const oc_image_save_options *opt, oc_error *err) {
    oc_image_save_options o = {0};
    oc_bytes bytes = {0};
    if (!path) return oc__fail(err, OC_E_ARG, "no file name given");
    if (opt) o = *opt;
    if (!o.format) o.format = oc_image_format_of_path(path);
    if (!o.format)
        return oc__fail(err, OC_E_ARG,
                        "%s: the name tells no picture format: end it in "
                        ".png, .jpg or .webp",
                        path);
    oc_status st = oc_image_save_memory(&bytes, img, &o, err);
    if (st == OC_OK) {
        st = oc__image_file_write(path, bytes.data, bytes.size, err);
    } else {
        oc__error_prefix(err, path);
    }
    oc_bytes_deinit(&bytes);
    return st;
}
