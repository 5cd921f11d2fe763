/*
 * image_target.h - what the picture fuzz targets share: any bytes, through
 * every way of reading them.
 *
 * The first bytes decide which decoder runs, so a target makes its own format
 * likely by putting the signature there itself; the rest is the input.
 */
#ifndef OC_FUZZ_IMAGE_TARGET_H
#define OC_FUZZ_IMAGE_TARGET_H

#include <ocelli/vision.h>

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/** A picture that was accepted must hold what it claims. */
static void fuzz_use(oc_image *img) {
    unsigned sum = 0;
    if (img->width <= 0 || img->height <= 0 ||
        img->stride < (size_t)img->width * (size_t)img->channels)
        abort();
    for (int y = 0; y < img->height; y++)
        for (size_t i = 0; i < (size_t)img->width * (size_t)img->channels; i++)
            sum += img->pixels[(size_t)y * img->stride + i];
    /* Uninitialised pixels would be seen by msan through this. */
    if (sum == 0xFFFFFFFFu) abort();
    oc_image_deinit(img);
}

/** Reads with options drawn from the input; refusals need a sentence. */
static int fuzz_image(const uint8_t *data, size_t size, const char *signature,
                      size_t signature_bytes) {
    oc_image_info info;
    oc_error e;
    uint8_t *copy = malloc(size ? size : 1);
    if (!copy) return 0;
    memcpy(copy, data, size);
    if (size >= signature_bytes) memcpy(copy, signature, signature_bytes);
    unsigned mix = 0;
    for (size_t i = 0; i < size; i++)
        mix = mix * 31 + data[i];
    for (int color = OC_COLOR_RGB; color <= OC_COLOR_INDEX; color++) {
        /* All colours of all inputs would be slow; three of seven find it. */
        if (color == OC_COLOR_YCBCR || (mix + (unsigned)color) % 3) continue;
        oc_image_options opt = {.color = (oc_color)color,
                                .max_pixels = 1 << 16};
        oc_image img;
        if (mix & 64) opt.min_width = (int)(mix >> 8 & 127);
        e.message[0] = 0;
        if (oc_image_load_memory(&img, copy, size, &opt, &e) == OC_OK) {
            fuzz_use(&img);
        } else if (!e.message[0]) {
            abort();
        }
    }
    if (oc_image_probe_memory(&info, copy, size, &e) == OC_OK &&
        (info.width <= 0 || info.height <= 0 || info.orientation < 1 ||
         info.orientation > 8))
        abort();
    free(copy);
    return 0;
}

#endif
