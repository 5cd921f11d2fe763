/* pictures.c - see pictures.h. */
#include "testing.h"

#include "pictures.h"

oc_image picture_make(int width, int height, int channels) {
    oc_image img = {0};
    assert_int_equal(oc_image_init(&img, width, height, channels, NULL, NULL),
                     OC_OK);
    for (int y = 0; y < height; y++) {
        for (int x = 0; x < width; x++) {
            uint8_t *p = img.pixels + (size_t)y * img.stride + x * channels;
            int inside = x > width / 3 && x < width / 2 && y > height / 4;
            for (int c = 0; c < channels; c++) {
                int v = (x * (3 + c) + y * (5 - c) + 40 * c) % 511;
                if (v > 255) v = 510 - v;
                p[c] = (uint8_t)(inside ? 255 - 60 * c : v);
            }
        }
    }
    return img;
}

oc_image picture_noise(int width, int height, int channels, uint32_t seed) {
    oc_image img = {0};
    assert_int_equal(oc_image_init(&img, width, height, channels, NULL, NULL),
                     OC_OK);
    for (size_t i = 0; i < img.owned_bytes; i++) {
        seed = seed * 1664525u + 1013904223u;
        img.pixels[i] = (uint8_t)(seed >> 24);
    }
    return img;
}

int picture_worst(const oc_image *a, const oc_image *b) {
    int worst = 0;
    if (a->width != b->width || a->height != b->height ||
        a->channels != b->channels)
        return -1;
    for (int y = 0; y < a->height; y++) {
        const uint8_t *p = a->pixels + (size_t)y * a->stride;
        const uint8_t *q = b->pixels + (size_t)y * b->stride;
        for (int i = 0; i < a->width * a->channels; i++) {
            int d = abs(p[i] - q[i]);
            if (d > worst) worst = d;
        }
    }
    return worst;
}
