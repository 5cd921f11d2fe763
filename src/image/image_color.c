/*
 * image_color.c - colours and orientation, pixel by pixel.
 *
 * Gray and YCbCr use the integer arithmetic of Pillow and libjpeg, so that a
 * network sees here what it saw in training.
 */
#include "image/image.h"

#include <string.h>

/* ITU-R 601 luma, 16 fractional bits; the three sum to exactly 65536. */
#define LUMA(r, g, b)                                                          \
    ((uint8_t)((19595u * (r) + 38470u * (g) + 7471u * (b) + 32768u) >> 16))

static inline uint8_t clamp8(int v) {
    return (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
}

void oc__row_gray_to_rgb(uint8_t *dst, const uint8_t *src, size_t n) {
    for (size_t i = 0; i < n; i++) {
        dst[3 * i] = dst[3 * i + 1] = dst[3 * i + 2] = src[i];
    }
}

void oc__row_rgb_to_gray(uint8_t *dst, const uint8_t *src, size_t n,
                         int src_channels) {
    size_t step = (size_t)src_channels;
    for (size_t i = 0; i < n; i++, src += step) {
        dst[i] = LUMA((unsigned)src[0], (unsigned)src[1], (unsigned)src[2]);
    }
}

void oc__row_cmyk_to_rgb(uint8_t *dst, const uint8_t *src, size_t n) {
    for (size_t i = 0; i < n; i++, src += 4, dst += 3) {
        unsigned light = src[3]; /* 255 - K */
        for (int c = 0; c < 3; c++) {
            /* a * b / 255 rounded, without a division */
            unsigned t = (255u - src[c]) * light + 128u;
            unsigned ink = ((t >> 8) + t) >> 8;
            dst[c] = clamp8((int)light - (int)ink);
        }
    }
}

/*
 * Full-range YCbCr as in JFIF.  Pillow works with tables of 6 fractional
 * bits; these are the same constants computed in place.
 */
static void row_rgb_to_ycbcr(uint8_t *dst, const uint8_t *src, size_t n) {
    for (size_t i = 0; i < n; i++, src += 3, dst += 3) {
        int r = src[0], g = src[1], b = src[2];
        dst[0] = LUMA((unsigned)r, (unsigned)g, (unsigned)b);
        dst[1] = clamp8(
            (-11059 * r - 21709 * g + 32768 * b + (128 << 16) + 32767) >> 16);
        dst[2] = clamp8(
            (32768 * r - 27439 * g - 5329 * b + (128 << 16) + 32767) >> 16);
    }
}

static void row_ycbcr_to_rgb(uint8_t *dst, const uint8_t *src, size_t n) {
    for (size_t i = 0; i < n; i++, src += 3, dst += 3) {
        int y = src[0] << 16, cb = src[1] - 128, cr = src[2] - 128;
        dst[0] = clamp8((y + 91881 * cr + 32768) >> 16);
        dst[1] = clamp8((y - 22554 * cb - 46802 * cr + 32768) >> 16);
        dst[2] = clamp8((y + 116130 * cb + 32768) >> 16);
    }
}

static void row_copy_rgb(uint8_t *dst, int dst_channels, const uint8_t *src,
                         int src_channels, int swap, size_t n) {
    int r = swap ? 2 : 0, b = 2 - r;
    for (size_t i = 0; i < n; i++, src += src_channels, dst += dst_channels) {
        uint8_t red = src[r], green = src[1], blue = src[b];
        dst[0] = red;
        dst[1] = green;
        dst[2] = blue;
        if (dst_channels == 4) dst[3] = src_channels == 4 ? src[3] : 255;
    }
}

static int color_channels(oc_color color) {
    switch (color) {
    case OC_COLOR_GRAY: return 1;
    case OC_COLOR_RGB:
    case OC_COLOR_BGR:
    case OC_COLOR_YCBCR: return 3;
    case OC_COLOR_RGBA: return 4;
    default: return 0;
    }
}

/** One row; bgr[] is room for a row of 3 channels when two steps are due. */
static void convert_row(uint8_t *dst, oc_color to, const uint8_t *src,
                        oc_color from, size_t n) {
    int from_n = color_channels(from), to_n = color_channels(to);
    if (from == to) {
        memcpy(dst, src, n * (size_t)from_n);
    } else if (from == OC_COLOR_GRAY) {
        for (size_t i = 0; i < n; i++, dst += to_n) {
            dst[0] = dst[1] = dst[2] = src[i];
            if (to_n == 4) dst[3] = 255;
        }
    } else if (to == OC_COLOR_YCBCR) {
        row_rgb_to_ycbcr(dst, src, n);
    } else if (from == OC_COLOR_YCBCR) {
        row_ycbcr_to_rgb(dst, src, n);
    } else if (to == OC_COLOR_GRAY && from == OC_COLOR_BGR) {
        for (size_t i = 0; i < n; i++, src += 3)
            dst[i] = LUMA((unsigned)src[2], (unsigned)src[1], (unsigned)src[0]);
    } else if (to == OC_COLOR_GRAY) {
        oc__row_rgb_to_gray(dst, src, n, from_n);
    } else {
        int swap = (from == OC_COLOR_BGR) != (to == OC_COLOR_BGR);
        row_copy_rgb(dst, to_n, src, from_n, swap, n);
    }
}

oc_status oc_image_convert(oc_image *out, const oc_image *img, oc_color from,
                           oc_color to, const oc_allocator *allocator,
                           oc_error *err) {
    oc_image made = {0};
    OC_TRY(oc__image_check(img, err));
    int from_n = color_channels(from), to_n = color_channels(to);
    int ycc = (from == OC_COLOR_YCBCR) != (to == OC_COLOR_YCBCR);
    if (!out || !from_n || !to_n || from_n != img->channels ||
        (ycc && from != OC_COLOR_RGB && to != OC_COLOR_RGB))
        return oc__fail(err, OC_E_ARG,
                        "a picture of %d channels cannot go from colour kind "
                        "%d to %d: see oc_color",
                        img->channels, (int)from, (int)to);
    OC_TRY(oc_image_init(&made, img->width, img->height, to_n, allocator, err));
    for (int y = 0; y < img->height; y++) {
        convert_row(made.pixels + (size_t)y * made.stride, to,
                    img->pixels + (size_t)y * img->stride, from,
                    (size_t)img->width);
    }
    *out = made;
    return OC_OK;
}

oc_status oc__image_apply_palette(oc_image *img, const uint8_t *rgba,
                                  int channels, oc_error *err) {
    oc_image made = {0};
    OC_TRY(oc_image_init(&made, img->width, img->height, channels,
                         img->allocator, err));
    for (int y = 0; y < img->height; y++) {
        const uint8_t *s = img->pixels + (size_t)y * img->stride;
        uint8_t *d = made.pixels + (size_t)y * made.stride;
        for (int x = 0; x < img->width; x++, d += channels) {
            const uint8_t *e = rgba + 4 * (size_t)s[x];
            for (int c = 0; c < channels; c++)
                d[c] = e[c];
        }
    }
    oc_image_deinit(img);
    *img = made;
    return OC_OK;
}

/* ---- orientation ------------------------------------------------------- */

/**
 * Copies src so that walking it goes by dx, dy bytes from start.  Tiles keep
 * both pictures' lines in cache when rows become columns.
 */
static void walk(oc_image *dst, const uint8_t *start, ptrdiff_t dx,
                 ptrdiff_t dy) {
    enum { TILE = 32 };
    size_t n = (size_t)dst->channels;
    for (int y0 = 0; y0 < dst->height; y0 += TILE) {
        int y1 = OC_MIN(y0 + TILE, dst->height);
        for (int x0 = 0; x0 < dst->width; x0 += TILE) {
            int x1 = OC_MIN(x0 + TILE, dst->width);
            for (int y = y0; y < y1; y++) {
                uint8_t *d =
                    dst->pixels + (size_t)y * dst->stride + (size_t)x0 * n;
                const uint8_t *s = start + y * dy + x0 * dx;
                for (int x = x0; x < x1; x++, d += n, s += dx) {
                    for (size_t c = 0; c < n; c++)
                        d[c] = s[c];
                }
            }
        }
    }
}

oc_status oc_image_orient(oc_image *out, const oc_image *img, int orientation,
                          const oc_allocator *allocator, oc_error *err) {
    oc_image made = {0};
    OC_TRY(oc__image_check(img, err));
    if (!out || orientation < 1 || orientation > 8)
        return oc__fail(err, OC_E_ARG, "orientation %d is not in 1..8",
                        orientation);
    int turned = orientation >= 5;
    OC_TRY(oc_image_init(&made, turned ? img->height : img->width,
                         turned ? img->width : img->height, img->channels,
                         allocator, err));
    ptrdiff_t px = img->channels, row = (ptrdiff_t)img->stride;
    ptrdiff_t right = (img->width - 1) * px, down = (img->height - 1) * row;
    const uint8_t *p = img->pixels;
    /* EXIF names the side of the shown picture that stored row 0 and column 0
       are; read the stored pixels in the order in which they are shown. */
    switch (orientation) {
    case 1: walk(&made, p, px, row); break;
    case 2: walk(&made, p + right, -px, row); break;
    case 3: walk(&made, p + right + down, -px, -row); break;
    case 4: walk(&made, p + down, px, -row); break;
    case 5: walk(&made, p, row, px); break;
    case 6: walk(&made, p + down, -row, px); break;
    case 7: walk(&made, p + right + down, -row, -px); break;
    case 8: walk(&made, p + right, row, -px); break;
    }
    made.full_width = turned ? img->full_height : img->full_width;
    made.full_height = turned ? img->full_width : img->full_height;
    *out = made;
    return OC_OK;
}

/* ---- EXIF -------------------------------------------------------------- */

static unsigned get16(const uint8_t *p, int big) {
    return big ? (unsigned)p[0] << 8 | p[1] : (unsigned)p[1] << 8 | p[0];
}

static uint32_t get32(const uint8_t *p, int big) {
    return big ? (uint32_t)get16(p, 1) << 16 | get16(p + 2, 1)
               : (uint32_t)get16(p + 2, 0) << 16 | get16(p, 0);
}

int oc__exif_orientation(const uint8_t *data, size_t bytes) {
    if (bytes >= 6 && memcmp(data, "Exif\0\0", 6) == 0) {
        data += 6;
        bytes -= 6;
    }
    if (bytes < 8) return 1;
    int big = data[0] == 'M';
    if ((data[0] != 'I' && data[0] != 'M') || data[1] != data[0] ||
        get16(data + 2, big) != 42)
        return 1;
    size_t at = get32(data + 4, big);
    if (at > bytes - 2) return 1;
    size_t count = get16(data + at, big);
    at += 2;
    /* IFD0 alone: 12 bytes an entry - tag, type, count, value. */
    for (size_t i = 0; i < count && bytes - at >= 12; i++, at += 12) {
        if (get16(data + at, big) != 0x0112) continue;
        unsigned type = get16(data + at + 2, big);
        unsigned v = type == 4 ? (unsigned)get32(data + at + 8, big)
                               : get16(data + at + 8, big);
        return v >= 1 && v <= 8 ? (int)v : 1;
    }
    return 1;
}
