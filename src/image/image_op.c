/* image_op.c - the picture library behind the operator ImageDecoder. */
#include "base/image_hook.h"
#include "image/image.h"

#include <string.h>

oc_status oc__image_hook_pictures(const uint8_t *data, size_t bytes,
                                  oc__image_hook_color color,
                                  oc__image_hook_alloc alloc, void *user,
                                  const oc_allocator *allocator,
                                  oc_error *err) {
    static const oc_color colors[] = {OC_COLOR_RGB, OC_COLOR_BGR,
                                      OC_COLOR_GRAY};
    oc_image_options opt = {.color = colors[color],
                            .ignore_orientation = 1, /* not ONNX's business */
                            .allocator = allocator};
    oc_image img;
    OC_TRY(oc_image_load_memory(&img, data, bytes, &opt, err));
    size_t row = (size_t)img.width * (size_t)img.channels;
    uint8_t *pixels = NULL;
    oc_status st = alloc(user, img.height, img.width, img.channels, &pixels);
    for (int y = 0; y < img.height && st == OC_OK; y++)
        memcpy(pixels + (size_t)y * row, img.pixels + (size_t)y * img.stride,
               row);
    oc_image_deinit(&img);
    return st;
}
