/* draw_mask.c - masks, class maps and the colours of classes. */
#include "image/draw.h"

#include <math.h>
#include <string.h>

/* ---- colours ----------------------------------------------------------- */

/** Hue 0..1535 (six ramps of 256) with saturation and value 0..255. */
static uint32_t color_of(unsigned hue, unsigned sat, unsigned val) {
    unsigned ramp = hue & 255, low = val * (255 - sat) / 255;
    unsigned up = low + (val - low) * ramp / 255;
    unsigned down = val - (val - low) * ramp / 255;
    unsigned rgb[6][3] = {{val, up, low},   {down, val, low}, {low, val, up},
                          {low, down, val}, {up, low, val},   {val, low, down}};
    const unsigned *c = rgb[hue / 256 % 6];
    return c[0] << 16 | c[1] << 8 | c[2];
}

uint32_t oc_palette_color(int i) {
    static const uint8_t sat[3] = {210, 150, 235};
    static const uint8_t val[2] = {250, 200};
    unsigned n = (unsigned)i;
    /* Steps of the golden section spread hues evenly however many there are;
       949 = 1536 * 0.618 has no common factor with 1536, so none repeats
       early.  Saturation and value tell neighbours in hue apart. */
    return color_of((n * 949u + 1500u) % 1536u, sat[n % 3], val[n / 3 % 2]);
}

void oc_palette_fill(uint8_t *rgb, int count) {
    for (int i = 0; i < count; i++) {
        uint32_t c = i == 0 ? 0 : oc_palette_color(i);
        rgb[3 * i] = (uint8_t)(c >> 16);
        rgb[3 * i + 1] = (uint8_t)(c >> 8 & 255);
        rgb[3 * i + 2] = (uint8_t)(c & 255);
    }
}

/* ---- one mask ---------------------------------------------------------- */

/** Mixes color in where part is set, and its outline at full strength. */
static void put_mask(oc_image *img, int left, int top, const oc_image *part,
                     uint32_t color, float opacity) {
    for (int y = 0; y < part->height; y++) {
        const uint8_t *row = part->pixels + (size_t)y * part->stride;
        const uint8_t *above = y > 0 ? row - part->stride : row;
        const uint8_t *below = y + 1 < part->height ? row + part->stride : row;
        uint8_t *p = img->pixels + (size_t)(top + y) * img->stride +
                     (size_t)left * (size_t)img->channels;
        for (int x = 0; x < part->width; x++, p += img->channels) {
            if (!row[x]) continue;
            float share = (float)row[x] / 255 * opacity;
            int in = row[x] >= 128;
            int edge = in && ((x > 0 && row[x - 1] < 128) ||
                              (x + 1 < part->width && row[x + 1] < 128) ||
                              above[x] < 128 || below[x] < 128);
            oc__draw_blend(p, color,
                           edge ? 255 : (unsigned)lrintf(share * 255));
        }
    }
}

oc_status oc_draw_mask(oc_image *img, const oc_image *mask, const float box[4],
                       uint32_t color, const oc_draw_style *style,
                       oc_error *err) {
    oc__draw_sizes s;
    oc_image part = {0};
    OC_TRY(oc__draw_begin(&s, img, style, err));
    OC_TRY(oc__image_check(mask, err));
    if (mask->channels != 1)
        return oc__fail(err, OC_E_ARG, "the mask has %d channels, not 1",
                        mask->channels);
    double b[4] = {0, 0, img->width, img->height};
    for (int i = 0; box && i < 4; i++)
        b[i] = (double)box[i];
    if (!(b[0] < b[2] && b[1] < b[3]) || !isfinite(b[2] - b[0]) ||
        !isfinite(b[3] - b[1]))
        return OC_OK;
    /* The whole pixels of the picture the mask reaches, and what of the mask
       lies over them. */
    double x0 = fmax(rint(b[0]), 0), x1 = fmin(rint(b[2]), img->width);
    double y0 = fmax(rint(b[1]), 0), y1 = fmin(rint(b[3]), img->height);
    if (!(x0 < x1 && y0 < y1)) return OC_OK;
    double sx = mask->width / (b[2] - b[0]), sy = mask->height / (b[3] - b[1]);
    oc_resize how = {.width = (int)(x1 - x0),
                     .height = (int)(y1 - y0),
                     .allocator = s.allocator};
    how.box[0] = fmax((x0 - b[0]) * sx, 0);
    how.box[1] = fmax((y0 - b[1]) * sy, 0);
    how.box[2] = fmin((x1 - b[0]) * sx, mask->width);
    how.box[3] = fmin((y1 - b[1]) * sy, mask->height);
    if (!(how.box[0] < how.box[2] && how.box[1] < how.box[3])) return OC_OK;
    OC_TRY(oc_image_resize(&part, mask, &how, err));
    put_mask(img, (int)x0, (int)y0, &part, color, s.opacity);
    oc_image_deinit(&part);
    return OC_OK;
}

/* ---- class maps -------------------------------------------------------- */

oc_status oc_draw_classes(oc_image *img, const oc_image *classes,
                          int background, const oc_draw_style *style,
                          oc_error *err) {
    oc__draw_sizes s;
    uint32_t color[256];
    OC_TRY(oc__draw_begin(&s, img, style, err));
    OC_TRY(oc__image_check(classes, err));
    if (classes->channels != 1)
        return oc__fail(err, OC_E_ARG, "the class map has %d channels, not 1",
                        classes->channels);
    for (int i = 0; i < 256; i++)
        color[i] = oc_palette_color(i);
    unsigned alpha = (unsigned)lrintf(s.opacity * 255);
    int64_t cw = classes->width, ch = classes->height;
    for (int y = 0; y < img->height; y++) {
        int sy = (int)((int64_t)y * ch / img->height);
        int ny = (int)(((int64_t)y + 1) * ch / img->height);
        const uint8_t *row = classes->pixels + (size_t)sy * classes->stride;
        const uint8_t *next =
            ny < ch ? classes->pixels + (size_t)ny * classes->stride : row;
        uint8_t *p = img->pixels + (size_t)y * img->stride;
        for (int x = 0; x < img->width; x++, p += img->channels) {
            int64_t sx = (int64_t)x * cw / img->width;
            int64_t nx = OC_MIN(((int64_t)x + 1) * cw / img->width, cw - 1);
            uint8_t c = row[sx];
            if (c != background) oc__draw_blend(p, color[c], alpha);
            /* A dark line where two classes meet. */
            if (row[nx] != c || next[sx] != c) oc__draw_blend(p, 0, 140);
        }
    }
    return OC_OK;
}
