/* draw_result.c - a result on its picture. */
#include "tasks/vision_private.h"

#include "base/text_number.h"

#include <stdio.h>
#include <string.h>

#define MOST_BONES 256

/* The card's bones as pairs of whole numbers. */
static int bones_of(const oc_card *card, int *out) {
    int n = OC_MIN(card->bones.n / 2, MOST_BONES);
    for (int i = 0; i < 2 * n; i++) {
        out[i] = (int)card->bones.v[i];
    }
    return n;
}

static oc_status draw_object(const oc_object *o, const oc_card *card, double kx,
                             double ky, oc_image *img, oc_error *err) {
    char text[160], score[OC_NUMBER_TEXT_BYTES];
    float box[4] = {(float)(o->box[0] * kx), (float)(o->box[1] * ky),
                    (float)(o->box[2] * kx), (float)(o->box[3] * ky)};
    uint32_t color = oc_palette_color(o->index + 1);
    oc__text_from_score(o->score, score);
    if (*o->label)
        snprintf(text, sizeof text, "%.120s %s", o->label, score);
    else
        snprintf(text, sizeof text, "%d %s", o->index, score);
    OC_TRY(oc_draw_box(img, box, text, color, NULL, err));
    if (!o->keypoint_count) return OC_OK;
    float points[3 * 512];
    int bones[2 * MOST_BONES];
    int n = OC_MIN(o->keypoint_count, 512);
    for (int i = 0; i < n; i++) {
        points[3 * i] = (float)(o->keypoints[i].x * kx);
        points[3 * i + 1] = (float)(o->keypoints[i].y * ky);
        points[3 * i + 2] = o->keypoints[i].score;
    }
    return oc_draw_keypoints(img, points, n, bones, bones_of(card, bones), 0.3f,
                             color, NULL, err);
}

/* "cat 0.81", one line for each of the best three. */
static oc_status draw_labels(const oc_result *r, oc_image *img, oc_error *err) {
    float y = 4;
    for (int i = 0; i < OC_MIN(r->label_count, 3); i++) {
        char text[160], score[OC_NUMBER_TEXT_BYTES];
        float w, h;
        const oc_label *l = &r->labels[i];
        oc__text_from_score(l->score, score);
        if (*l->label)
            snprintf(text, sizeof text, "%.120s %s", l->label, score);
        else
            snprintf(text, sizeof text, "%d %s", l->index, score);
        OC_TRY(
            oc_draw_label(img, 4, y, text, oc_palette_color(i + 1), NULL, err));
        OC_TRY(oc_draw_label_size(img, text, NULL, &w, &h, err));
        y += h + 2;
    }
    return OC_OK;
}

oc_status oc_result_draw(const oc_result *r, const oc_vision *v, oc_image *img,
                         oc_error *err) {
    double kx = r->width ? (double)img->width / r->width : 1;
    double ky = r->height ? (double)img->height / r->height : 1;
    if (r->task == OC_TASK_SEGMENT && r->mask.pixels)
        /* Class 0 is the background where its name says so. */
        return oc_draw_classes(
            img, &r->mask,
            !strcmp(oc__vision_label(v, 0), "background") ? 0 : -1, NULL, err);
    /* Best last, so that their labels stay readable. */
    for (int i = r->object_count - 1; i >= 0; i--) {
        OC_TRY(draw_object(&r->objects[i], v->card, kx, ky, img, err));
    }
    if (r->task == OC_TASK_CLASSIFY) return draw_labels(r, img, err);
    return OC_OK;
}
