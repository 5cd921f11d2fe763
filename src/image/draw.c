/* draw.c - boxes, labels, lines and keypoints. */
#include "image/draw.h"

#include <math.h>
#include <string.h>

oc_status oc__draw_begin(oc__draw_sizes *s, const oc_image *img,
                         const oc_draw_style *style, oc_error *err) {
    oc_draw_style zero = {0};
    if (!style) style = &zero;
    OC_TRY(oc__image_check(img, err));
    if (img->channels < 3)
        return oc__fail(err, OC_E_ARG,
                        "a gray picture cannot be drawn into: convert it to "
                        "rgb first");
    /* A picture is looked at as a whole: what is drawn keeps its share of it,
       down to what is still readable. */
    float side = sqrtf((float)img->width * (float)img->height);
    s->line_px = style->line_px > 0 ? (float)style->line_px : side / 300;
    s->text_px = style->text_px > 0 ? (float)style->text_px : side / 40;
    if (!(style->line_px > 0)) s->line_px = fmaxf(s->line_px, 2);
    if (!(style->text_px > 0)) s->text_px = fmaxf(s->text_px, 15);
    s->line_px = fminf(s->line_px, 1000);
    s->text_px = fminf(fmaxf(s->text_px, 4), 1000);
    s->opacity = style->opacity > 0 ? (float)fmin(style->opacity, 1) : 0.5f;
    s->plain_font = style->plain_font;
    s->allocator = style->allocator;
    return OC_OK;
}

/* ---- labels ------------------------------------------------------------ */

/** Space to each side of the text. */
static float label_pad(const oc__draw_sizes *s) {
    return ceilf(s->text_px * 0.25f);
}

static void label_size(const char *label, const oc__draw_sizes *s, float *w,
                       float *h) {
    *w = ceilf(oc__text_width(label, s->text_px, s->plain_font)) +
         2 * label_pad(s);
    *h = ceilf(s->text_px);
}

/** Draws a chip whose corner is at x, y, whole pixels for crisp text. */
static oc_status put_label(oc_image *img, float x, float y, const char *label,
                           uint32_t color, const oc__draw_sizes *s,
                           oc_error *err) {
    oc_image ink = {0};
    float w, h;
    label_size(label, s, &w, &h);
    x = roundf(x);
    y = roundf(y);
    OC_TRY(oc__text_render(&ink, label, s->text_px, s->plain_font, img->width,
                           s->allocator, err));
    oc__draw_fill(img, x, y, x + w, y + h, s->text_px * 0.15f, color, 1);
    oc__draw_ink(img, (int)(x + label_pad(s)), (int)y, &ink,
                 oc__draw_contrast(color));
    oc_image_deinit(&ink);
    return OC_OK;
}

/** Not so far off that it could not be an int. */
static int drawable(float x, float y) {
    return fabsf(x) < 1e6f && fabsf(y) < 1e6f;
}

oc_status oc_draw_label(oc_image *img, float x, float y, const char *label,
                        uint32_t color, const oc_draw_style *style,
                        oc_error *err) {
    oc__draw_sizes s;
    OC_TRY(oc__draw_begin(&s, img, style, err));
    if (!label || !label[0] || !drawable(x, y)) return OC_OK;
    return put_label(img, x, y, label, color, &s, err);
}

oc_status oc_draw_label_size(const oc_image *img, const char *label,
                             const oc_draw_style *style, float *width,
                             float *height, oc_error *err) {
    oc__draw_sizes s;
    OC_TRY(oc__draw_begin(&s, img, style, err));
    if (!label || !width || !height)
        return oc__fail(err, OC_E_ARG, "no label, or no place for its size");
    label_size(label, &s, width, height);
    return OC_OK;
}

/* ---- boxes and lines --------------------------------------------------- */

/** A dark rim keeps a coloured line visible on a ground of its colour. */
#define RIM_COLOR   0x000000
#define RIM_OPACITY 0.45f

static float rim(const oc__draw_sizes *s) {
    return fmaxf(2, s->line_px * 0.6f);
}

oc_status oc_draw_box(oc_image *img, const float box[4], const char *label,
                      uint32_t color, const oc_draw_style *style,
                      oc_error *err) {
    oc__draw_sizes s;
    OC_TRY(oc__draw_begin(&s, img, style, err));
    if (!box) return oc__fail(err, OC_E_ARG, "no box given");
    float x1 = fminf(box[0], box[2]), x2 = fmaxf(box[0], box[2]);
    float y1 = fminf(box[1], box[3]), y2 = fmaxf(box[1], box[3]);
    if (isnan(box[0] + box[1] + box[2] + box[3])) return OC_OK;
    float radius = s.line_px;
    oc__draw_frame(img, x1, y1, x2, y2, radius, s.line_px + rim(&s), RIM_COLOR,
                   RIM_OPACITY);
    oc__draw_frame(img, x1, y1, x2, y2, radius, s.line_px, color, 1);
    if (!label || !label[0] || !drawable(x1, y1)) return OC_OK;
    /* On top of the box where there is room, else inside; never outside the
       picture. */
    float w, h, half = s.line_px / 2;
    label_size(label, &s, &w, &h);
    float x = fminf(x1 - half, (float)img->width - w);
    float y = y1 - half - h < 0 ? y1 - half : y1 + half - h;
    y = fminf(y, (float)img->height - h);
    return put_label(img, fmaxf(x, 0), fmaxf(y, 0), label, color, &s, err);
}

oc_status oc_draw_line(oc_image *img, float x1, float y1, float x2, float y2,
                       uint32_t color, const oc_draw_style *style,
                       oc_error *err) {
    oc__draw_sizes s;
    OC_TRY(oc__draw_begin(&s, img, style, err));
    oc__draw_segment(img, x1, y1, x2, y2, s.line_px + rim(&s), RIM_COLOR,
                     RIM_OPACITY);
    oc__draw_segment(img, x1, y1, x2, y2, s.line_px, color, 1);
    return OC_OK;
}

/* ---- keypoints --------------------------------------------------------- */

static int shown(const float *points, int count, int i, float min_score) {
    return i >= 0 && i < count && points[3 * i + 2] >= min_score;
}

oc_status oc_draw_keypoints(oc_image *img, const float *points, int count,
                            const int *bones, int bone_count, float min_score,
                            uint32_t color, const oc_draw_style *style,
                            oc_error *err) {
    oc__draw_sizes s;
    OC_TRY(oc__draw_begin(&s, img, style, err));
    if ((!points && count > 0) || (!bones && bone_count > 0))
        return oc__fail(err, OC_E_ARG, "no points, or no bones given");
    /* All rims lie under all colours, so that joints look joined. */
    for (int layer = 0; layer < 2; layer++) {
        float more = layer == 0 ? rim(&s) : 0;
        uint32_t bone = layer == 0 ? RIM_COLOR : color;
        uint32_t joint = layer == 0 ? RIM_COLOR : 0xFFFFFF;
        float opacity = layer == 0 ? RIM_OPACITY : 1;
        for (int i = 0; i < bone_count; i++) {
            int a = bones[2 * i], b = bones[2 * i + 1];
            if (!shown(points, count, a, min_score) ||
                !shown(points, count, b, min_score))
                continue;
            const float *p = points + 3 * a, *q = points + 3 * b;
            oc__draw_segment(img, p[0], p[1], q[0], q[1], s.line_px + more,
                             bone, opacity);
        }
        for (int i = 0; i < count; i++) {
            const float *p = points + 3 * i;
            float size = s.line_px * 2.4f;
            if (!shown(points, count, i, min_score)) continue;
            oc__draw_segment(img, p[0], p[1], p[0], p[1], size + more, bone,
                             opacity);
            oc__draw_segment(img, p[0], p[1], p[0], p[1], size * 0.5f, joint,
                             opacity);
        }
    }
    return OC_OK;
}
