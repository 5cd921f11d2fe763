/*
 * image_hook.h - how ImageDecoder finds the picture library.
 *
 * The core has no picture decoders.  A build that has the library defines
 * OC_WITH_PICTURES and links oc__image_hook_pictures() (src/image); without
 * it the operator says so.
 */
#ifndef OC_BASE_IMAGE_HOOK_H
#define OC_BASE_IMAGE_HOOK_H

#include "base/status.h"

#include <stddef.h>
#include <stdint.h>

typedef enum oc__image_hook_color {
    OC_HOOK_RGB,
    OC_HOOK_BGR,
    OC_HOOK_GRAY,
} oc__image_hook_color;

/** Gives memory for height x width x channels bytes, dense. */
typedef oc_status (*oc__image_hook_alloc)(void *user, int64_t height,
                                          int64_t width, int64_t channels,
                                          uint8_t **pixels);

/**
 * Decodes a picture of any format into memory from alloc(), which is called
 * once, and only on success.  E_FORMAT: no picture, or a damaged one.
 */
typedef oc_status oc__image_hook(const uint8_t *data, size_t bytes,
                                 oc__image_hook_color color,
                                 oc__image_hook_alloc alloc, void *user,
                                 const oc_allocator *allocator, oc_error *err);

extern oc__image_hook oc__image_hook_pictures;

#endif
