/* draw_shape.c - see draw.h. */
#include "image/draw.h"

#include <math.h>
#include <string.h>

/* Far outside any picture, but safe to turn into an int. */
#define FAR 1e7f

void oc__draw_blend(uint8_t *pixel, uint32_t color, unsigned alpha) {
    unsigned part[3] = {color >> 16 & 255, color >> 8 & 255, color & 255};
    for (int c = 0; c < 3; c++) {
        unsigned t = pixel[c] * (255 - alpha) + part[c] * alpha + 128;
        pixel[c] = (uint8_t)((t + (t >> 8)) >> 8); /* t / 255 */
    }
}

static uint8_t *pixel_at(const oc_image *img, int x, int y) {
    return img->pixels + (size_t)y * img->stride +
           (size_t)x * (size_t)img->channels;
}

/** From the distance to a pixel's centre; drawing makes rgba opaque there. */
static void cover(oc_image *img, int x, int y, float distance, uint32_t color,
                  float opacity) {
    float inside = 0.5f - distance;
    if (!(inside > 0)) return;
    if (inside > 1) inside = 1;
    uint8_t *p = pixel_at(img, x, y);
    unsigned alpha = (unsigned)lrintf(inside * opacity * 255);
    oc__draw_blend(p, color, alpha);
    if (img->channels == 4)
        p[3] = (uint8_t)(p[3] + (255 - p[3]) * (int)alpha / 255);
}

/** Pixels that may be touched by something from lo to hi. */
typedef struct {
    int from, to; /* to is one past the last */
} span;

static span clip(float lo, float hi, int size) {
    span s = {0, 0};
    if (!(lo <= hi) || hi < -1 || lo > (float)size + 1) return s;
    s.from = OC_MAX((int)floorf(fmaxf(lo, -FAR) - 1), 0);
    s.to = OC_MIN((int)ceilf(fminf(hi, FAR) + 1), size);
    if (s.to < s.from) s.to = s.from;
    return s;
}

/** Outside distance of (px, py) from a box of half sizes hx, hy around 0. */
static float box_distance(float px, float py, float hx, float hy,
                          float radius) {
    float dx = fabsf(px) - hx + radius, dy = fabsf(py) - hy + radius;
    float ox = fmaxf(dx, 0), oy = fmaxf(dy, 0);
    float outside = ox == 0 ? oy : oy == 0 ? ox : sqrtf(ox * ox + oy * oy);
    return outside + fminf(fmaxf(dx, dy), 0) - radius;
}

static int finite4(float a, float b, float c, float d) {
    return isfinite(a) && isfinite(b) && isfinite(c) && isfinite(d);
}

void oc__draw_fill(oc_image *img, float x1, float y1, float x2, float y2,
                   float radius, uint32_t color, float opacity) {
    if (!finite4(x1, y1, x2, y2)) return;
    float cx = (x1 + x2) / 2, cy = (y1 + y2) / 2;
    float hx = (x2 - x1) / 2, hy = (y2 - y1) / 2;
    span xs = clip(x1, x2, img->width), ys = clip(y1, y2, img->height);
    radius = fminf(radius, fminf(hx, hy));
    for (int y = ys.from; y < ys.to; y++) {
        for (int x = xs.from; x < xs.to; x++) {
            float d = box_distance((float)x + 0.5f - cx, (float)y + 0.5f - cy,
                                   hx, hy, radius);
            cover(img, x, y, d, color, opacity);
        }
    }
}

void oc__draw_frame(oc_image *img, float x1, float y1, float x2, float y2,
                    float radius, float width, uint32_t color, float opacity) {
    if (!finite4(x1, y1, x2, y2)) return;
    float cx = (x1 + x2) / 2, cy = (y1 + y2) / 2;
    float hx = (x2 - x1) / 2, hy = (y2 - y1) / 2, half = width / 2;
    /* Within this of an edge a pixel may be touched. */
    float band = half + radius + 2;
    span xs = clip(x1 - half, x2 + half, img->width);
    span ys = clip(y1 - half, y2 + half, img->height);
    radius = fminf(radius, fminf(hx, hy));
    for (int y = ys.from; y < ys.to; y++) {
        float py = (float)y + 0.5f;
        int middle = py > y1 + band && py < y2 - band;
        for (int x = xs.from; x < xs.to; x++) {
            float px = (float)x + 0.5f;
            if (middle && px > x1 + band && px < x2 - band) {
                /* Nothing until the right edge; jump there. */
                int skip = (int)(fminf(x2, FAR) - band);
                if (skip > x + 1) x = OC_MIN(skip, xs.to) - 1;
                continue;
            }
            float d = box_distance(px - cx, py - cy, hx, hy, radius);
            cover(img, x, y, fabsf(d) - half, color, opacity);
        }
    }
}

void oc__draw_segment(oc_image *img, float x1, float y1, float x2, float y2,
                      float width, uint32_t color, float opacity) {
    if (!finite4(x1, y1, x2, y2)) return;
    float half = width / 2, dx = x2 - x1, dy = y2 - y1;
    float length2 = dx * dx + dy * dy;
    span ys = clip(fminf(y1, y2) - half, fmaxf(y1, y2) + half, img->height);
    for (int y = ys.from; y < ys.to; y++) {
        /* A slanted line touches few pixels of each row: those around where
           it enters and leaves the row, widened by its slope. */
        float lo = fminf(x1, x2), hi = fmaxf(x1, x2);
        if (fabsf(dy) > 1e-3f) {
            float reach = half + 1;
            float a = x1 + ((float)y - reach - y1) / dy * dx;
            float b = x1 + ((float)y + 1 + reach - y1) / dy * dx;
            lo = fmaxf(lo, fminf(a, b));
            hi = fminf(hi, fmaxf(a, b));
        }
        span xs = clip(lo - half, hi + half, img->width);
        for (int x = xs.from; x < xs.to; x++) {
            float px = (float)x + 0.5f - x1, py = (float)y + 0.5f - y1;
            float t = length2 > 0 ? (px * dx + py * dy) / length2 : 0;
            t = t < 0 ? 0 : t > 1 ? 1 : t;
            float ex = px - t * dx, ey = py - t * dy;
            cover(img, x, y, sqrtf(ex * ex + ey * ey) - half, color, opacity);
        }
    }
}

void oc__draw_ink(oc_image *img, int x, int y, const oc_image *ink,
                  uint32_t color) {
    for (int i = 0; i < ink->height; i++) {
        if (y + i < 0 || y + i >= img->height) continue;
        const uint8_t *row = ink->pixels + (size_t)i * ink->stride;
        for (int j = 0; j < ink->width; j++) {
            if (row[j] == 0 || x + j < 0 || x + j >= img->width) continue;
            oc__draw_blend(pixel_at(img, x + j, y + i), color, row[j]);
        }
    }
}

uint32_t oc__draw_contrast(uint32_t color) {
    /* Perceived light is about the square of what a byte says. */
    float r = (float)(color >> 16 & 255) / 255;
    float g = (float)(color >> 8 & 255) / 255;
    float b = (float)(color & 255) / 255;
    float light = 0.2126f * r * r + 0.7152f * g * g + 0.0722f * b * b;
    /* Equal contrast to both: (light + .05)^2 = 1.05 * .05 */
    return light > 0.179f ? 0x000000 : 0xFFFFFF;
}
