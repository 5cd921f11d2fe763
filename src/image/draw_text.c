/*
 * draw_text.c - a line of text by cairo where it is built in and finds fonts,
 * else by the built-in font.
 */
#define _POSIX_C_SOURCE 200809L /* strnlen */
#include "image/draw.h"

#include <math.h>
#include <string.h>

#if defined(OC_HAVE_CAIRO)
#include <cairo.h>
#endif

/* Labels are short; what is longer would leave the picture anyway. */
enum { MOST_BYTES = 512 };

/** Text cut to MOST_BYTES, never inside a character. */
static size_t cut(char *to, const char *text) {
    size_t n = strnlen(text, MOST_BYTES);
    if (n == MOST_BYTES) {
        while (n > 0 && ((uint8_t)text[n] & 0xC0) == 0x80)
            n--;
    }
    memcpy(to, text, n);
    to[n] = 0;
    return n;
}

#if defined(OC_HAVE_CAIRO)

/** Sets the font so that a line is px high; the base line's place. */
static double set_font(cairo_t *cr, float px) {
    cairo_font_extents_t e;
    cairo_select_font_face(cr, "sans-serif", CAIRO_FONT_SLANT_NORMAL,
                           CAIRO_FONT_WEIGHT_BOLD);
    cairo_set_font_size(cr, (double)px * 0.78);
    cairo_font_extents(cr, &e);
    return floor(((double)px + e.ascent - e.descent) / 2 + 0.5);
}

/** Where no font is installed cairo draws with one of its own, which knows
    less than ours. */
static int without_fonts(cairo_t *cr) {
    return cairo_scaled_font_get_type(cairo_get_scaled_font(cr)) ==
           CAIRO_FONT_TYPE_USER;
}

static int has_ink(const char *text) {
    return text[strspn(text, " \t")] != 0;
}

int oc__cairo_width(const char *text, float px, float *width) {
    cairo_text_extents_t e;
    cairo_surface_t *s = cairo_image_surface_create(CAIRO_FORMAT_A8, 1, 1);
    cairo_t *cr = cairo_create(s);
    set_font(cr, px);
    cairo_text_extents(cr, text, &e);
    int bad = cairo_status(cr) != CAIRO_STATUS_SUCCESS || without_fonts(cr);
    cairo_destroy(cr);
    cairo_surface_destroy(s);
    /* Fonts that lack every letter measure 0, and draw nothing. */
    if (bad || !(e.x_advance > 0) || (has_ink(text) && !(e.width > 0)))
        return 1;
    *width = (float)fmax(e.x_advance, e.x_bearing + e.width);
    return 0;
}

int oc__cairo_render(oc_image *out, const char *text, float px) {
    cairo_surface_t *s =
        cairo_image_surface_create(CAIRO_FORMAT_A8, out->width, out->height);
    cairo_t *cr = cairo_create(s);
    double base = set_font(cr, px);
    cairo_move_to(cr, 0, base);
    cairo_show_text(cr, text);
    int bad = cairo_status(cr) != CAIRO_STATUS_SUCCESS;
    cairo_destroy(cr);
    cairo_surface_flush(s);
    const uint8_t *data = cairo_image_surface_get_data(s);
    size_t stride = (size_t)cairo_image_surface_get_stride(s);
    if (!data) bad = 1;
    for (int y = 0; !bad && y < out->height; y++)
        memcpy(out->pixels + (size_t)y * out->stride, data + (size_t)y * stride,
               (size_t)out->width);
    cairo_surface_destroy(s);
    return bad;
}

#else

int oc__cairo_width(const char *text, float px, float *width) {
    (void)text;
    (void)px;
    (void)width;
    return 1;
}

int oc__cairo_render(oc_image *out, const char *text, float px) {
    (void)out;
    (void)text;
    (void)px;
    return 1;
}

#endif

float oc__text_width(const char *text, float px, int plain) {
    char line[MOST_BYTES + 1];
    size_t n = cut(line, text);
    float width;
    if (!plain && !oc__cairo_width(line, px, &width)) return width;
    return oc__font_width(line, n, px);
}

oc_status oc__text_render(oc_image *out, const char *text, float px, int plain,
                          int most, const oc_allocator *allocator,
                          oc_error *err) {
    char line[MOST_BYTES + 1];
    size_t n = cut(line, text);
    float width = 0;
    int cairo = !plain && !oc__cairo_width(line, px, &width);
    if (!cairo) width = oc__font_width(line, n, px);
    int columns = (int)fminf(ceilf(width) + 1, (float)most);
    OC_TRY(oc_image_init(out, OC_MAX(columns, 1), (int)ceilf(px), 1, allocator,
                         err));
    if (!cairo || oc__cairo_render(out, line, px))
        oc__font_render(out, line, n, px);
    return OC_OK;
}
