/*
 * draw.h - shapes and text under the drawing functions.
 *
 * A shape is a distance: how far a point lies outside it (negative inside).
 * A pixel is covered by as much as the shape reaches past its centre, half a
 * pixel either way; that is all the antialiasing there is, and it is enough
 * for lines, discs and rounded boxes.
 */
#ifndef OC_IMAGE_DRAW_H
#define OC_IMAGE_DRAW_H

#include "image/image.h"

/** Sizes in pixels, from a style and the picture's size. */
typedef struct oc__draw_sizes {
    float line_px, text_px;
    float opacity;
    int plain_font;
    const oc_allocator *allocator;
} oc__draw_sizes;

/** E_ARG unless img can be drawn into; fills sizes from style (or NULL). */
oc_status oc__draw_begin(oc__draw_sizes *sizes, const oc_image *img,
                         const oc_draw_style *style, oc_error *err);

/** Mixes color into one pixel; alpha 0..255. */
void oc__draw_blend(uint8_t *pixel, uint32_t color, unsigned alpha);

/** A filled box with round corners. */
void oc__draw_fill(oc_image *img, float x1, float y1, float x2, float y2,
                   float radius, uint32_t color, float opacity);
/** The outline of a box, `width` px wide, centred on its edges. */
void oc__draw_frame(oc_image *img, float x1, float y1, float x2, float y2,
                    float radius, float width, uint32_t color, float opacity);
/** A line with round ends; a disc when both are the same. */
void oc__draw_segment(oc_image *img, float x1, float y1, float x2, float y2,
                      float width, uint32_t color, float opacity);
/** A picture of 1 channel as ink, its corner at x, y. */
void oc__draw_ink(oc_image *img, int x, int y, const oc_image *ink,
                  uint32_t color);

/** Black or white, whichever is read better on color. */
uint32_t oc__draw_contrast(uint32_t color);

/* ---- text ---------------------------------------------------------------- */

/**
 * The width in pixels of a line of text (UTF-8; its first 512 bytes) that is
 * `px` high.  Never fails: without cairo or fonts the built-in font serves.
 */
float oc__text_width(const char *text, float px, int plain);
/** The line as ink: a picture of ceil(px) rows and at most `most` columns. */
oc_status oc__text_render(oc_image *out, const char *text, float px, int plain,
                          int most, const oc_allocator *allocator,
                          oc_error *err);

/** The same by the built-in font. */
float oc__font_width(const char *text, size_t bytes, float px);
void oc__font_render(oc_image *out, const char *text, size_t bytes, float px);

/** By cairo; nonzero: it cannot (no fonts, malformed text). */
int oc__cairo_width(const char *text, float px, float *width);
int oc__cairo_render(oc_image *out, const char *text, float px);

#endif
