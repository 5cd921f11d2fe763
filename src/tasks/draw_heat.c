/*
 * draw_heat.c - a map of places over its picture.
 *
 * What speaks for the class keeps its colours and gets a glow from violet over
 * orange to yellow; the rest loses light and colour.  A thin line stands where
 * the map passes one half.
 */
#include "image/image.h"

#include <math.h>
#include <string.h>

/* Five points of the map "inferno" (van der Walt and Smith, CC0), from 0 on. */
static const float ramp[5][3] = {{40, 11, 84},
                                 {120, 28, 109},
                                 {207, 68, 70},
                                 {251, 155, 6},
                                 {252, 255, 164}};

static void ramp_color(float v, float out[3]) {
    float at = fminf(fmaxf(v, 0), 1) * 4;
    int i = OC_MIN((int)at, 3);
    for (int c = 0; c < 3; c++)
        out[c] = ramp[i][c] + (at - (float)i) * (ramp[i + 1][c] - ramp[i][c]);
}

static float smooth(float from, float to, float v) {
    float t = fminf(fmaxf((v - from) / (to - from), 0), 1);
    return t * t * (3 - 2 * t);
}

/* A row of the map at height fy: cubic B-splines, so that no grid shows. */
static void weights_at(double f, int n, int index[4], float w[4]) {
    double floor_f = floor(f), t = f - floor_f;
    w[0] = (float)((1 - t) * (1 - t) * (1 - t) / 6);
    w[1] = (float)((3 * t * t * t - 6 * t * t + 4) / 6);
    w[3] = (float)(t * t * t / 6);
    w[2] = 1 - w[0] - w[1] - w[3];
    for (int k = 0; k < 4; k++)
        index[k] = (int)fmin(fmax(floor_f + k - 1, 0), n - 1);
}

static float value_at(const oc_heat *h, const int row[4], const float wy[4],
                      double fx) {
    int column[4];
    float wx[4], sum = 0;
    weights_at(fx, h->width, column, wx);
    for (int y = 0; y < 4; y++) {
        float line = 0;
        for (int x = 0; x < 4; x++)
            line += wx[x] * h->values[(size_t)row[y] * (size_t)h->width +
                                      (size_t)column[x]];
        sum += wy[y] * line;
    }
    return sum;
}

static void paint(uint8_t *p, float v, float line) {
    float gray = 0.299f * p[0] + 0.587f * p[1] + 0.114f * p[2];
    float bright = smooth(0.15f, 0.75f, v), color[3];
    float glow = 0.62f * smooth(0.08f, 0.9f, v);
    ramp_color(v, color);
    for (int c = 0; c < 3; c++) {
        float plain = gray + (p[c] - gray) * (0.35f + 0.65f * bright);
        float x = plain * (0.5f + 0.5f * bright);
        x += (color[c] - x) * glow;
        x += (255 - x) * line;
        p[c] = (uint8_t)(fminf(fmaxf(x, 0), 255) + 0.5f);
    }
}

oc_status oc_heat_draw(const oc_heat *h, oc_image *img, oc_error *err) {
    OC_TRY(oc__image_check(img, err));
    if (img->channels < 3)
        return oc__fail(err, OC_E_ARG,
                        "a map is drawn into colours: convert the picture");
    if (!h->values || h->width < 1 || h->height < 1)
        return oc__fail(err, OC_E_ARG, "the map is empty");
    double kx = h->picture_width ? (double)h->picture_width / img->width : 1;
    double ky = h->picture_height ? (double)h->picture_height / img->height : 1;
    double per_x = h->width / (h->box[2] - h->box[0]);
    double per_y = h->height / (h->box[3] - h->box[1]);
    float *above =
        oc__image_get_zero(img->allocator, (size_t)img->width * sizeof *above);
    if (!above) return oc__fail_nomem(err);
    for (int x = 0; x < img->width; x++)
        above[x] = -1;
    for (int y = 0; y < img->height; y++) {
        double py = (y + 0.5) * ky, fy = (py - h->box[1]) * per_y - 0.5;
        int row[4];
        float wy[4], left = -1;
        uint8_t *p = img->pixels + (size_t)y * img->stride;
        weights_at(fy, h->height, row, wy);
        for (int x = 0; x < img->width; x++, p += img->channels) {
            double px = (x + 0.5) * kx;
            int inside = px >= h->box[0] && px < h->box[2] && py >= h->box[1] &&
                         py < h->box[3];
            float v = -1; /* the network does not see this */
            if (inside)
                v = value_at(h, row, wy, (px - h->box[0]) * per_x - 0.5);
            int edge =
                v >= 0 && ((above[x] >= 0 && (v > 0.5f) != (above[x] > 0.5f)) ||
                           (left >= 0 && (v > 0.5f) != (left > 0.5f)));
            paint(p, fmaxf(v, 0), edge ? 0.7f : 0);
            above[x] = left = v;
        }
    }
    oc__image_put(img->allocator, above, (size_t)img->width * sizeof *above);
    return OC_OK;
}
