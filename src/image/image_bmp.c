/*
 * image_bmp.c - Windows and OS/2 bitmaps.
 *
 *     14 bytes  "BM", file size, 0, offset of the pixels
 *     header    its first 4 bytes are its size: 12 (OS/2 1), 40 (Windows 3),
 *               52, 56 (with masks), 64 (OS/2 2), 108 (v4), 124 (v5)
 *     masks     3 or 4 words when compression says bit fields and the header
 *               is the one of 40 bytes
 *     palette   B G R 0 each (B G R for OS/2 1)
 *     pixels    rows padded to 4 bytes, bottom row first unless height < 0
 */
#include "image/image.h"

#include <string.h>

enum { BMP_RGB, BMP_RLE8, BMP_RLE4, BMP_FIELDS, BMP_ALPHA_FIELDS = 6 };

typedef struct {
    uint32_t width, height;
    int top_down;
    unsigned bits;
    uint32_t compression;
    uint32_t mask[4];         /* r g b a; 0: not there */
    uint8_t palette[256 * 4]; /* r g b 255 */
    size_t pixels;            /* offset */
} bmp_header;

static unsigned le16(const uint8_t *p) {
    return (unsigned)p[0] | (unsigned)p[1] << 8;
}

static uint32_t le32(const uint8_t *p) {
    return (uint32_t)le16(p) | (uint32_t)le16(p + 2) << 16;
}

static oc_status cut_short(const oc__image_source *src, oc_error *err) {
    return oc__fail_at(err, OC_E_FORMAT, (int64_t)src->bytes,
                       "the BMP picture is cut short at byte %zu: fetch the "
                       "file again",
                       src->bytes);
}

/* ---- header ------------------------------------------------------------ */

static oc_status read_palette(const oc__image_source *src, bmp_header *h,
                              size_t at, size_t entry, uint32_t used,
                              oc_error *err) {
    uint32_t most = 1u << h->bits;
    uint32_t count = used == 0 || used > most ? most : used;
    /* Some writers store fewer entries than they claim and go on with the
       pixels; what lies behind their start is no palette. */
    if (h->pixels > at && (h->pixels - at) / entry < count)
        count = (uint32_t)((h->pixels - at) / entry);
    if (src->bytes < at || (src->bytes - at) / entry < count)
        return cut_short(src, err);
    for (uint32_t i = 0; i < count; i++) {
        const uint8_t *p = src->data + at + i * entry;
        h->palette[4 * i] = p[2];
        h->palette[4 * i + 1] = p[1];
        h->palette[4 * i + 2] = p[0];
        h->palette[4 * i + 3] = 255;
    }
    return OC_OK;
}

static void default_masks(bmp_header *h) {
    if (h->bits == 16) {
        h->mask[0] = 0x7C00;
        h->mask[1] = 0x03E0;
        h->mask[2] = 0x001F;
    } else {
        h->mask[0] = 0xFF0000;
        h->mask[1] = 0x00FF00;
        h->mask[2] = 0x0000FF;
    }
    h->mask[3] = 0;
}

/** Refuses what the format does not allow together. */
static oc_status check_header(const bmp_header *h, oc_error *err) {
    unsigned b = h->bits;
    int known = b == 1 || b == 4 || b == 8 || b == 16 || b == 24 || b == 32;
    int fits =
        h->compression == BMP_RGB ||
        (h->compression == BMP_RLE8 && b == 8 && !h->top_down) ||
        (h->compression == BMP_RLE4 && b == 4 && !h->top_down) ||
        ((h->compression == BMP_FIELDS || h->compression == BMP_ALPHA_FIELDS) &&
         (b == 16 || b == 32));
    if (known && fits) return OC_OK;
    return oc__fail(err, OC_E_UNSUPPORTED,
                    "the BMP picture has %u bits a pixel with compression "
                    "%u, which is not known: save it as 24-bit BMP or PNG",
                    b, (unsigned)h->compression);
}

static oc_status read_masks(const oc__image_source *src, bmp_header *h,
                            size_t head, size_t *after, oc_error *err) {
    default_masks(h);
    if (h->compression != BMP_FIELDS && h->compression != BMP_ALPHA_FIELDS)
        return OC_OK;
    size_t count = head >= 56 || h->compression == BMP_ALPHA_FIELDS ? 4 : 3;
    if (head == 64) count = 3; /* OS/2 2 has other fields there */
    if (src->bytes < 54 + 4 * count) return cut_short(src, err);
    for (size_t i = 0; i < count; i++)
        h->mask[i] = le32(src->data + 54 + 4 * i);
    if (head == 40) *after += 4 * count;
    if (!(h->mask[0] | h->mask[1] | h->mask[2]))
        return oc__fail_at(err, OC_E_FORMAT, 54,
                           "the BMP picture's colour masks are empty: the "
                           "file is damaged");
    return OC_OK;
}

static oc_status read_header(const oc__image_source *src, bmp_header *h,
                             oc_error *err) {
    const uint8_t *p = src->data;
    uint32_t used = 0;
    memset(h, 0, sizeof(*h));
    if (src->bytes < 26) return cut_short(src, err);
    h->pixels = le32(p + 10);
    size_t head = le32(p + 14);
    if (head != 12 && (head < 40 || head > 1024))
        return oc__fail_at(err, OC_E_UNSUPPORTED, 14,
                           "the BMP header of %zu bytes is of no known kind: "
                           "save the picture as PNG",
                           head);
    if (src->bytes < 14 + head) return cut_short(src, err);
    if (head == 12) {
        h->width = le16(p + 18);
        h->height = le16(p + 20);
        h->bits = le16(p + 24);
    } else {
        uint32_t height = le32(p + 22);
        h->width = le32(p + 18);
        h->top_down = height > INT32_MAX;
        h->height = h->top_down ? 0u - height : height;
        h->bits = le16(p + 28);
        h->compression = le32(p + 30);
        used = le32(p + 46);
    }
    if (h->width > INT32_MAX || h->height > INT32_MAX)
        return oc__fail_at(err, OC_E_FORMAT, 18,
                           "the BMP picture has a negative width: the file "
                           "is damaged");
    OC_TRY(check_header(h, err));
    size_t after = 14 + head;
    OC_TRY(read_masks(src, h, head, &after, err));
    if (h->bits <= 8)
        OC_TRY(read_palette(src, h, after, head == 12 ? 3 : 4, used, err));
    return OC_OK;
}

/** Whether index i always stands for gray level i scaled, or any gray. */
static int palette_is_gray(const bmp_header *h) {
    for (size_t i = 0; i < (size_t)1 << h->bits; i++) {
        const uint8_t *e = h->palette + 4 * i;
        if (e[0] != e[1] || e[1] != e[2]) return 0;
    }
    return 1;
}

static int header_channels(const bmp_header *h) {
    if (h->bits <= 8) return palette_is_gray(h) ? 1 : 3;
    return h->mask[3] ? 4 : 3;
}

static void fill_info(const bmp_header *h, oc_image_info *info) {
    info->width = (int)h->width;
    info->height = (int)h->height;
    info->channels = header_channels(h);
    info->bits = h->bits < 8 ? (int)h->bits : 8;
}

static oc_status bmp_probe(const oc__image_source *src, oc_image_info *info,
                           oc_error *err) {
    bmp_header h;
    OC_TRY(read_header(src, &h, err));
    OC_TRY(oc__image_check_size(h.width, h.height, &src->opt, err));
    fill_info(&h, info);
    return OC_OK;
}

/* ---- pixels ------------------------------------------------------------ */

static uint8_t *row_of(const bmp_header *h, oc_image *img, uint32_t stored) {
    uint32_t y = h->top_down ? stored : h->height - 1 - stored;
    return img->pixels + y * img->stride;
}

static void unpack_indices(uint8_t *dst, const uint8_t *row, uint32_t width,
                           unsigned bits) {
    unsigned per = 8 / bits, mask = (1u << bits) - 1;
    for (uint32_t x = 0; x < width; x++) {
        unsigned shift = 8 - bits * (x % per + 1);
        dst[x] = (uint8_t)(row[x / per] >> shift & mask);
    }
}

/** Where a mask's bits lie, and the highest value they hold. */
typedef struct {
    unsigned shift;
    uint32_t top;
} field;

static field field_of(uint32_t mask) {
    field f = {0, 0};
    if (!mask) return f;
    while (!(mask >> f.shift & 1))
        f.shift++;
    f.top = mask >> f.shift;
    return f;
}

static uint8_t field_level(uint32_t word, uint32_t mask, field f) {
    if (!f.top) return 0;
    uint64_t v = (word & mask) >> f.shift;
    return (uint8_t)((v * 255u + f.top / 2) / f.top);
}

static void unpack_words(uint8_t *dst, const uint8_t *row, const bmp_header *h,
                         int channels) {
    field f[4];
    for (int c = 0; c < 4; c++)
        f[c] = field_of(h->mask[c]);
    for (uint32_t x = 0; x < h->width; x++, dst += channels) {
        uint32_t word = h->bits == 16 ? le16(row + 2 * (size_t)x)
                                      : le32(row + 4 * (size_t)x);
        for (int c = 0; c < channels; c++)
            dst[c] = field_level(word, h->mask[c], f[c]);
    }
}

static oc_status read_rows(const oc__image_source *src, const bmp_header *h,
                           oc_image *img, oc_error *err) {
    size_t row_bytes = ((size_t)h->width * h->bits + 31) / 32 * 4;
    size_t tight = ((size_t)h->width * h->bits + 7) / 8;
    size_t at = h->pixels;
    int plain = h->mask[0] == 0xFF0000 && h->mask[1] == 0x00FF00 &&
                h->mask[2] == 0x0000FF && h->mask[3] == 0;
    for (uint32_t y = 0; y < h->height; y++, at += row_bytes) {
        /* The last row's padding may be missing. */
        if (at > src->bytes || src->bytes - at < tight)
            return cut_short(src, err);
        const uint8_t *row = src->data + at;
        uint8_t *dst = row_of(h, img, y);
        if (h->bits == 8) {
            memcpy(dst, row, h->width);
        } else if (h->bits < 8) {
            unpack_indices(dst, row, h->width, h->bits);
        } else if (h->bits == 24 || (h->bits == 32 && plain)) {
            size_t step = h->bits / 8;
            for (uint32_t x = 0; x < h->width; x++, row += step, dst += 3) {
                dst[0] = row[2];
                dst[1] = row[1];
                dst[2] = row[0];
            }
        } else {
            unpack_words(dst, row, h, img->channels);
        }
    }
    return OC_OK;
}

/**
 * Run lengths.  A pair (n, v) with n > 0 is n pixels of v (for RLE4 the two
 * halves of v in turn); (0, 0) ends a row, (0, 1) the picture, (0, 2) moves
 * by dx, dy, and (0, n) has n pixels as they are, padded to 2 bytes.
 */
static oc_status read_runs(const oc__image_source *src, const bmp_header *h,
                           oc_image *img, oc_error *err) {
    size_t at = h->pixels;
    uint32_t x = 0, y = 0;
    int four = h->bits == 4;
    memset(img->pixels, 0, img->stride * h->height);
    for (;;) {
        if (at > src->bytes || src->bytes - at < 2) return cut_short(src, err);
        unsigned n = src->data[at], v = src->data[at + 1];
        at += 2;
        if (n == 0 && v == 1) return OC_OK;
        if (n == 0 && v == 0) {
            x = 0;
            y++;
            continue;
        }
        if (n == 0 && v == 2) {
            if (src->bytes - at < 2) return cut_short(src, err);
            x += src->data[at];
            y += src->data[at + 1];
            at += 2;
            if (x > h->width) x = h->width;
            continue;
        }
        const uint8_t *from = NULL;
        if (n == 0) {
            size_t data = four ? (v + 1) / 2 : v;
            size_t padded = (data + 1) & ~(size_t)1;
            if (src->bytes - at < data) return cut_short(src, err);
            from = src->data + at;
            at = src->bytes - at < padded ? src->bytes : at + padded;
            n = v;
        }
        if (y >= h->height) {
            /* Some writers end the last row and go on: nothing may follow
               but the end. */
            return oc__fail_at(err, OC_E_FORMAT, (int64_t)at,
                               "the BMP picture's runs leave the picture: "
                               "the file is damaged");
        }
        uint8_t *dst = row_of(h, img, y);
        for (unsigned i = 0; i < n && x < h->width; i++, x++) {
            unsigned b = from ? from[four ? i / 2 : i] : v;
            dst[x] = (uint8_t)(!four ? b : i % 2 ? b & 15 : b >> 4);
        }
    }
}

static oc_status bmp_decode(const oc__image_source *src, oc_image *out,
                            oc_image_info *info, oc_error *err) {
    bmp_header h;
    OC_TRY(read_header(src, &h, err));
    OC_TRY(oc__image_check_size(h.width, h.height, &src->opt, err));
    fill_info(&h, info);
    int runs = h.compression == BMP_RLE8 || h.compression == BMP_RLE4;
    /* Uncompressed pixels must be there before room for them is made. */
    size_t tight = ((size_t)h.width * h.bits + 7) / 8;
    if (!runs &&
        (h.pixels > src->bytes || (src->bytes - h.pixels) / tight < h.height))
        return cut_short(src, err);
    OC_TRY(oc__image_alloc(out, h.width, h.height,
                           h.bits <= 8 ? 1 : info->channels, &src->opt, err));
    OC_TRY(runs ? read_runs(src, &h, out, err) : read_rows(src, &h, out, err));
    if (h.bits > 8 || src->opt.color == OC_COLOR_INDEX) return OC_OK;
    return oc__image_apply_palette(out, h.palette, info->channels, err);
}

/* ---- writing ----------------------------------------------------------- */

static void put16(uint8_t *p, unsigned v) {
    p[0] = (uint8_t)(v & 255);
    p[1] = (uint8_t)(v >> 8 & 255);
}

static void put32(uint8_t *p, uint32_t v) {
    put16(p, v & 0xFFFF);
    put16(p + 2, v >> 16);
}

static oc_status bmp_encode(oc_bytes *out, const oc_image *img,
                            const oc_image_save_options *opt, oc_error *err) {
    (void)opt;
    uint8_t head[14 + 108] = {0}, gray[256 * 4] = {0};
    uint8_t pad[4] = {0};
    int n = img->channels;
    /* Alpha needs masks, and masks the header of 108 bytes. */
    size_t header = n == 4 ? 108 : 40, colors = n == 1 ? sizeof(gray) : 0;
    size_t row = (size_t)img->width * (size_t)n, padded = (row + 3) / 4 * 4;
    size_t body, total;
    if (oc__size_mul(padded, (size_t)img->height, &body) ||
        oc__size_add(body, 14 + header + colors, &total) || total > UINT32_MAX)
        return oc__fail(err, OC_E_LIMIT,
                        "the picture is too large for BMP: write PNG");
    memcpy(head, "BM", 2);
    put32(head + 2, (uint32_t)total);
    put32(head + 10, (uint32_t)(14 + header + colors));
    put32(head + 14, (uint32_t)header);
    put32(head + 18, (uint32_t)img->width);
    put32(head + 22, (uint32_t)img->height);
    put16(head + 26, 1);
    put16(head + 28, (unsigned)(8 * n));
    put32(head + 30, n == 4 ? BMP_FIELDS : BMP_RGB);
    put32(head + 34, (uint32_t)body);
    put32(head + 38, 2835); /* 72 dots an inch */
    put32(head + 42, 2835);
    if (n == 4) {
        put32(head + 54, 0x00FF0000);
        put32(head + 58, 0x0000FF00);
        put32(head + 62, 0x000000FF);
        put32(head + 66, 0xFF000000);
        memcpy(head + 70, "BGRs", 4); /* 'sRGB', little-endian */
    }
    for (int i = 0; i < 256; i++)
        gray[4 * i] = gray[4 * i + 1] = gray[4 * i + 2] = (uint8_t)i;
    uint8_t *line = oc__image_get(opt->allocator, padded);
    if (!line) return oc__fail_nomem(err);
    int bad = oc__bytes_append(out, head, 14 + header) ||
              oc__bytes_append(out, gray, colors);
    for (int y = img->height - 1; y >= 0 && !bad; y--) {
        const uint8_t *s = img->pixels + (size_t)y * img->stride;
        memcpy(line, s, row);
        for (size_t i = 0; n >= 3 && i < row; i += (size_t)n) {
            line[i] = s[i + 2];
            line[i + 2] = s[i];
        }
        bad = oc__bytes_append(out, line, row) ||
              oc__bytes_append(out, pad, padded - row);
    }
    oc__image_put(opt->allocator, line, padded);
    return bad ? oc__fail_nomem(err) : OC_OK;
}

const oc__image_codec oc__image_codec_bmp = {bmp_probe, bmp_decode, bmp_encode};
