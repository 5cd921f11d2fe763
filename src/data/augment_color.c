/*
 * augment_color.c - colours changed as Pillow changes them: the same float
 * arithmetic, the same rounding, so that recipes mean here what they mean
 * elsewhere.  What depends on one level alone goes through a table of 256.
 */
#include "data/augment_op.h"

#include <math.h>
#include <string.h>

static size_t row_bytes(const oc_image *img) {
    return (size_t)img->width * (size_t)img->channels;
}

static uint8_t *row_of(const oc_image *img, int y) {
    return img->pixels + (size_t)y * img->stride;
}

static unsigned luma(const uint8_t *p) {
    return (19595u * p[0] + 38470u * p[1] + 7471u * p[2] + 32768u) >> 16;
}

/* Image.blend(): truncated inside 0..1, clipped outside. */
static uint8_t blend(int from, int to, float factor) {
    float v = (float)from + factor * (float)(to - from);
    return (uint8_t)(v <= 0 ? 0 : v >= 255 ? 255 : (int)v);
}

static void through_table(oc_image *img, const uint8_t table[256]) {
    for (int y = 0; y < img->height; y++) {
        uint8_t *p = row_of(img, y);
        for (size_t i = 0, n = row_bytes(img); i < n; i++)
            p[i] = table[p[i]];
    }
}

void oc__aug_brightness(oc_image *img, float factor) {
    uint8_t table[256];
    for (int i = 0; i < 256; i++)
        table[i] = blend(0, i, factor);
    through_table(img, table);
}

void oc__aug_contrast(oc_image *img, float factor) {
    uint8_t table[256];
    uint64_t sum = 0;
    for (int y = 0; y < img->height; y++) {
        const uint8_t *p = row_of(img, y);
        for (int x = 0; x < img->width; x++, p += img->channels)
            sum += img->channels == 1 ? p[0] : luma(p);
    }
    double n = (double)img->width * img->height;
    int mean = (int)((double)sum / n + 0.5);
    for (int i = 0; i < 256; i++)
        table[i] = blend(mean, i, factor);
    through_table(img, table);
}

/* p = q + factor * (p - q), in a form compilers make vectors of. */
static void blend_run(uint8_t *restrict p, const uint8_t *restrict q, size_t n,
                      float factor) {
    for (size_t i = 0; i < n; i++) {
        float from = q[i], v = from + factor * ((float)p[i] - from);
        v = v > 0.0f ? v : 0.0f;
        v = v < 255.0f ? v : 255.0f;
        p[i] = (uint8_t)(int)v;
    }
}

void oc__aug_saturation(oc_image *img, float factor) {
    enum { RUN = 256 };
    uint8_t gray[3 * RUN];
    if (img->channels != 3) return;
    for (int y = 0; y < img->height; y++) {
        uint8_t *p = row_of(img, y);
        for (int x = 0; x < img->width; x += RUN) {
            int n = OC_MIN(img->width - x, RUN);
            for (int i = 0; i < n; i++) {
                const uint8_t *s = p + 3 * (x + i);
                gray[3 * i] = gray[3 * i + 1] = gray[3 * i + 2] =
                    (uint8_t)luma(s);
            }
            blend_run(p + 3 * x, gray, 3 * (size_t)n, factor);
        }
    }
}

void oc__aug_gray(oc_image *img) {
    if (img->channels != 3) return;
    for (int y = 0; y < img->height; y++) {
        uint8_t *p = row_of(img, y);
        for (int x = 0; x < img->width; x++, p += 3)
            p[0] = p[1] = p[2] = (uint8_t)luma(p);
    }
}

/* ImageFilter.SMOOTH: 1 1 1, 1 5 1, 1 1 1 over 13; edges as they are. */
void oc__aug_sharpness(oc_image *img, oc_image *tmp, float factor) {
    int c = img->channels;
    size_t n = row_bytes(img);
    for (int y = 0; y < img->height; y++) {
        const uint8_t *p = row_of(img, y);
        uint8_t *q = row_of(tmp, y);
        memcpy(q, p, n);
        if (y == 0 || y + 1 == img->height || img->width < 3) continue;
        const uint8_t *up = row_of(img, y - 1), *down = row_of(img, y + 1);
        for (size_t i = (size_t)c, k = i; k + i < n; k++) {
            int sum = up[k - i] + up[k] + up[k + i] + p[k - i] + 5 * p[k] +
                      p[k + i] + down[k - i] + down[k] + down[k + i];
            q[k] = (uint8_t)((2 * sum + 13) / 26); /* rounded */
        }
    }
    for (int y = 0; y < img->height; y++)
        blend_run(row_of(img, y), row_of(tmp, y), n, factor);
}

/* ---- hue ------------------------------------------------------------------
 */

static void hsv_of(uint8_t out[3], const uint8_t p[3]) {
    int r = p[0], g = p[1], b = p[2];
    int most = OC_MAX(r, OC_MAX(g, b)), least = OC_MIN(r, OC_MIN(g, b));
    out[0] = out[1] = 0;
    out[2] = (uint8_t)most;
    if (most == least) return;
    float range = (float)(most - least), h;
    float rc = (float)(most - r) / range;
    float gc = (float)(most - g) / range;
    float bc = (float)(most - b) / range;
    if (r == most)
        h = bc - gc;
    else if (g == most)
        h = (float)(2.0 + rc - bc);
    else
        h = (float)(4.0 + gc - rc);
    /* fmod(h / 6 + 1, 1), of something in 0..2 */
    double turn = h / 6.0 + 1.0;
    h = (float)(turn >= 1.0 ? turn - 1.0 : turn);
    out[0] = (uint8_t)(h * 255.0);
    out[1] = (uint8_t)(range / (float)most * 255.0);
}

static uint8_t rounded(double v) {
    return (uint8_t)(v + 0.5); /* of what is in 0..255 */
}

static void rgb_of(uint8_t out[3], const uint8_t hsv[3]) {
    /* which of v, p, q, t stands where in each sixth of the circle */
    static const uint8_t place[6][3] = {{0, 3, 1}, {2, 0, 1}, {1, 0, 3},
                                        {1, 2, 0}, {3, 1, 0}, {0, 1, 2}};
    uint8_t level[4];
    float v = hsv[2];
    if (hsv[1] == 0) {
        out[0] = out[1] = out[2] = hsv[2];
        return;
    }
    float sixth = (float)(hsv[0] * 6.0 / 255.0);
    int i = (int)sixth;
    float f = sixth - (float)i;
    float fs = (float)(hsv[1] / 255.0);
    level[0] = hsv[2];
    level[1] = rounded(v * (1.0 - fs));
    level[2] = rounded(v * (1.0 - fs * f));
    level[3] = rounded(v * (1.0 - fs * (1.0 - f)));
    for (int c = 0; c < 3; c++)
        out[c] = level[place[i % 6][c]];
}

void oc__aug_hue(oc_image *img, float turn) {
    /* np.int16(factor * 255) added to bytes, which run over */
    int shift = (int)(turn * 255.0f);
    if (img->channels != 3 || shift == 0) return;
    for (int y = 0; y < img->height; y++) {
        uint8_t *p = row_of(img, y), hsv[3];
        for (int x = 0; x < img->width; x++, p += 3) {
            hsv_of(hsv, p);
            hsv[0] = (uint8_t)(hsv[0] + shift);
            rgb_of(p, hsv);
        }
    }
}

/* ---- tables ---------------------------------------------------------------
 */

void oc__aug_posterize(oc_image *img, int bits) {
    uint8_t table[256], keep = (uint8_t)(0xff00 >> bits);
    for (int i = 0; i < 256; i++)
        table[i] = (uint8_t)(i & keep);
    through_table(img, table);
}

void oc__aug_solarize(oc_image *img, int threshold) {
    uint8_t table[256];
    for (int i = 0; i < 256; i++)
        table[i] = (uint8_t)(i < threshold ? i : 255 - i);
    through_table(img, table);
}

static void count_levels(const oc_image *img, int c, uint32_t count[256]) {
    memset(count, 0, 256 * sizeof *count);
    for (int y = 0; y < img->height; y++) {
        const uint8_t *p = row_of(img, y) + c;
        for (int x = 0; x < img->width; x++, p += img->channels)
            count[*p]++;
    }
}

static void channel_through(oc_image *img, int c, const uint8_t table[256]) {
    for (int y = 0; y < img->height; y++) {
        uint8_t *p = row_of(img, y) + c;
        for (int x = 0; x < img->width; x++, p += img->channels)
            *p = table[*p];
    }
}

/* Each channel stretched to 0..255. */
void oc__aug_autocontrast(oc_image *img) {
    uint32_t count[256];
    uint8_t table[256];
    for (int c = 0; c < img->channels; c++) {
        int lo = 0, hi = 255;
        count_levels(img, c, count);
        while (lo < 255 && !count[lo])
            lo++;
        while (hi > 0 && !count[hi])
            hi--;
        if (hi <= lo) continue;
        double scale = 255.0 / (hi - lo), offset = -lo * scale;
        for (int i = 0; i < 256; i++) {
            int v = (int)(i * scale + offset);
            table[i] = (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
        }
        channel_through(img, c, table);
    }
}

/* Each channel's levels spread until all are about as frequent. */
void oc__aug_equalize(oc_image *img) {
    uint32_t count[256];
    uint8_t table[256];
    for (int c = 0; c < img->channels; c++) {
        uint64_t total = 0, last = 0, n, step;
        int used = 0;
        count_levels(img, c, count);
        for (int i = 0; i < 256; i++) {
            if (!count[i]) continue;
            total += last = count[i];
            used++;
        }
        step = (total - last) / 255;
        if (used <= 1 || !step) continue;
        n = step / 2;
        for (int i = 0; i < 256; i++) {
            uint64_t v = n / step;
            table[i] = (uint8_t)(v > 255 ? 255 : v);
            n += count[i];
        }
        channel_through(img, c, table);
    }
}
