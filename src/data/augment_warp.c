/* augment_warp.c - pixels moved: see augment_op.h. */
#include "data/augment_op.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

/* ...2 1 0 | 0 1 2 ... n-1 | n-1 n-2...: the edge itself stands twice. */
static int mirror(int i, int n) {
    if (i >= 0 && i < n) return i;
    int period = 2 * n;
    i %= period;
    if (i < 0) i += period;
    return i < n ? i : period - 1 - i;
}

/* n pixels, `step` bytes apart in img. */
static void copy_run(uint8_t *q, const uint8_t *p, ptrdiff_t step, int n,
                     int c) {
    if (step == c) {
        memcpy(q, p, (size_t)n * (size_t)c);
    } else if (c == 3) {
        for (int i = 0; i < n; i++, q += 3, p += step)
            q[0] = p[0], q[1] = p[1], q[2] = p[2];
    } else {
        for (int i = 0; i < n; i++, q += c, p += step)
            memcpy(q, p, (size_t)c);
    }
}

void oc__aug_place(oc_image *out, const oc_image *img, int flip_h, int flip_v,
                   int quarters, int dx, int dy) {
    int c = img->channels, n = out->width;
    /* Before the shift, out(x, y) is img at origin + x * across + y * down;
       90 degrees counter-clockwise take the right edge to the top. */
    ptrdiff_t pixel = c, row = (ptrdiff_t)img->stride, across, down;
    const uint8_t *origin = img->pixels;
    if (flip_h) origin += (img->width - 1) * pixel, pixel = -pixel;
    if (flip_v) origin += (img->height - 1) * row, row = -row;
    ptrdiff_t last_x = (img->width - 1) * pixel;
    ptrdiff_t last_y = (img->height - 1) * row;
    switch (quarters & 3) {
    case 0: across = pixel, down = row; break;
    case 1: origin += last_x, across = row, down = -pixel; break;
    case 2: origin += last_x + last_y, across = -pixel, down = -row; break;
    default: origin += last_y, across = -row, down = pixel; break;
    }
    int from = OC_MIN(OC_MAX(dx, 0), n), to = OC_MAX(OC_MIN(n + dx, n), from);
    for (int y = 0; y < out->height; y++) {
        uint8_t *q = out->pixels + (size_t)y * out->stride;
        const uint8_t *p = origin + mirror(y - dy, out->height) * down;
        for (int x = 0; x < n; x++) {
            if (x == from && to > from) {
                copy_run(q + x * c, p + (x - dx) * across, across, to - from,
                         c);
                x = to - 1;
                continue;
            }
            memcpy(q + x * c, p + mirror(x - dx, n) * across, (size_t)c);
        }
    }
}

/* Weights of 8 bits; positions are kept with 16 more. */
enum { SUB = 8, ONE = 1 << SUB };

void oc__aug_warp(oc_image *out, const oc_image *img, const double m[6]) {
    int c = img->channels, w = img->width, h = img->height;
    for (int y = 0; y < out->height; y++) {
        uint8_t *q = out->pixels + (size_t)y * out->stride;
        for (int x = 0; x < out->width; x++, q += c) {
            double ix = x + 0.5, iy = y + 0.5;
            double fx = m[0] * ix + m[1] * iy + m[2] - 0.5;
            double fy = m[3] * ix + m[4] * iy + m[5] - 0.5;
            int px = (int)floor(fx * ONE + 0.5),
                py = (int)floor(fy * ONE + 0.5);
            int wx = px & (ONE - 1), wy = py & (ONE - 1);
            int x0 = (px - wx) / ONE, y0 = (py - wy) / ONE;
            const uint8_t *up, *down;
            size_t left = (size_t)(mirror(x0, w) * c);
            size_t right = (size_t)(mirror(x0 + 1, w) * c);
            up = img->pixels + (size_t)mirror(y0, h) * img->stride;
            down = img->pixels + (size_t)mirror(y0 + 1, h) * img->stride;
            for (int k = 0; k < c; k++) {
                int a = up[left + (size_t)k] * (ONE - wx) +
                        up[right + (size_t)k] * wx;
                int b = down[left + (size_t)k] * (ONE - wx) +
                        down[right + (size_t)k] * wx;
                q[k] = (uint8_t)((a * (ONE - wy) + b * wy +
                                  (1 << (2 * SUB - 1))) >>
                                 (2 * SUB));
            }
        }
    }
}

/* ---- RandAugment ----------------------------------------------------------
 */

static void swap(oc_image *a, oc_image *b) {
    oc_image t = *a;
    *a = *b;
    *b = t;
}

/* About the middle of the picture: out -> in. */
static void about_middle(double m[6], const oc_image *img, double a, double b,
                         double c, double d) {
    double cx = img->width * 0.5, cy = img->height * 0.5;
    m[0] = a, m[1] = b, m[2] = cx - a * cx - b * cy;
    m[3] = c, m[4] = d, m[5] = cy - c * cx - d * cy;
}

static void warp(oc_image *img, oc_image *tmp, const double m[6]) {
    oc__aug_warp(tmp, img, m);
    swap(img, tmp);
}

/* The ranges are torchvision's: magnitudes 0..30 of 31. */
void oc__aug_rand(oc_image *img, oc_image *tmp, oc__rand_op op,
                  double magnitude, int negative) {
    double share = magnitude / 30.0, sign = negative ? -1 : 1;
    double m[6], turn = sign * share * 30 * 3.14159265358979323846 / 180;
    double shear = sign * share * 0.3, move = sign * share * 150 / 331;
    float factor = (float)(1 + sign * share * 0.9);
    switch (op) {
    case OC_RAND_SHEAR_X:
        about_middle(m, img, 1, shear, 0, 1);
        warp(img, tmp, m);
        break;
    case OC_RAND_SHEAR_Y:
        about_middle(m, img, 1, 0, shear, 1);
        warp(img, tmp, m);
        break;
    case OC_RAND_TRANSLATE_X:
    case OC_RAND_TRANSLATE_Y: {
        int across = op == OC_RAND_TRANSLATE_X;
        int by = (int)(move * (across ? img->width : img->height));
        oc__aug_place(tmp, img, 0, 0, 0, across ? by : 0, across ? 0 : by);
        swap(img, tmp);
        break;
    }
    case OC_RAND_ROTATE:
        about_middle(m, img, cos(turn), -sin(turn), sin(turn), cos(turn));
        warp(img, tmp, m);
        break;
    case OC_RAND_BRIGHTNESS: oc__aug_brightness(img, factor); break;
    case OC_RAND_COLOR: oc__aug_saturation(img, factor); break;
    case OC_RAND_CONTRAST: oc__aug_contrast(img, factor); break;
    case OC_RAND_SHARPNESS: oc__aug_sharpness(img, tmp, factor); break;
    case OC_RAND_POSTERIZE:
        oc__aug_posterize(img, 8 - (int)rint(magnitude / 7.5));
        break;
    case OC_RAND_SOLARIZE:
        oc__aug_solarize(img, (int)(255 * (1 - share)));
        break;
    case OC_RAND_AUTOCONTRAST: oc__aug_autocontrast(img); break;
    case OC_RAND_EQUALIZE: oc__aug_equalize(img); break;
    default: break;
    }
}
