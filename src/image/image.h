/*
 * image.h - what the picture files share among themselves.
 *
 * A codec turns bytes into pixels and back for one file format; it knows
 * neither files nor colours nor orientation.  image.c picks the codec, checks
 * the limits it is told, and finishes colour and orientation for all.
 *
 *     bytes --codec--> pixels as stored --color--> asked for --orient--> out
 */
#ifndef OC_IMAGE_IMAGE_H
#define OC_IMAGE_IMAGE_H

#include "base/memory.h"
#include "base/size.h"
#include "base/status.h"

#include <ocelli/vision.h>

/* ---- memory: like oc__alloc() and friends, but NULL is the default ------- */

static inline void *oc__image_get(const oc_allocator *a, size_t bytes) {
    return oc__alloc(a ? a : &oc__default_allocator, bytes);
}

static inline void *oc__image_get_zero(const oc_allocator *a, size_t bytes) {
    return oc__calloc(a ? a : &oc__default_allocator, 1, bytes);
}

static inline void oc__image_put(const oc_allocator *a, void *p, size_t bytes) {
    oc__release(a ? a : &oc__default_allocator, p, bytes);
}

/* ---- codecs ---------------------------------------------------------------
 */

/** What a decoder works on; opt has its defaults filled in. */
typedef struct oc__image_source {
    const uint8_t *data;
    size_t bytes;
    oc_image_options opt;
} oc__image_source;

/**
 * One file format.  Any function may be NULL: then that direction is not in
 * this build.
 */
typedef struct oc__image_codec {
    /** Fills info from the header. */
    oc_status (*probe)(const oc__image_source *src, oc_image_info *info,
                       oc_error *err);
    /**
     * Fills out with 1, 3 or 4 channels of gray, rgb or rgba, not oriented,
     * and info.  When src->opt.color is OC_COLOR_INDEX and the file has a
     * palette or gray levels, out has one channel of what is stored.  out is
     * zeroed on entry; what is in it on failure is freed by the caller.
     */
    oc_status (*decode)(const oc__image_source *src, oc_image *out,
                        oc_image_info *info, oc_error *err);
    /** Appends the file to out.  img is valid; opt is not NULL. */
    oc_status (*encode)(oc_bytes *out, const oc_image *img,
                        const oc_image_save_options *opt, oc_error *err);
} oc__image_codec;

extern const oc__image_codec oc__image_codec_jpeg;
extern const oc__image_codec oc__image_codec_png;
extern const oc__image_codec oc__image_codec_webp;
extern const oc__image_codec oc__image_codec_tiff;
extern const oc__image_codec oc__image_codec_bmp;
extern const oc__image_codec oc__image_codec_pnm;
extern const oc__image_codec oc__image_codec_jp2;

/** E_LIMIT or E_FORMAT unless width x height may be decoded under opt. */
oc_status oc__image_check_size(uint64_t width, uint64_t height,
                               const oc_image_options *opt, oc_error *err);
/** oc__image_check_size() and oc_image_init() in one. */
oc_status oc__image_alloc(oc_image *out, uint64_t width, uint64_t height,
                          int channels, const oc_image_options *opt,
                          oc_error *err);
/** E_ARG unless img is a picture with sane fields. */
oc_status oc__image_check(const oc_image *img, oc_error *err);

/**
 * Replaces the indices in img (1 channel) by `channels` (1, 3 or 4) bytes of
 * rgba, a table of 256 entries of 4 bytes.
 */
oc_status oc__image_apply_palette(oc_image *img, const uint8_t *rgba,
                                  int channels, oc_error *err);

/** Appends n bytes; nonzero when out of memory (b stays as it was). */
int oc__bytes_append(oc_bytes *b, const void *data, size_t n);

/** Orientation 1..8 in an EXIF block (with or without "Exif\0\0"), or 1. */
int oc__exif_orientation(const uint8_t *data, size_t bytes);

/** In one pass per row; n pixels.  dst and src must not overlap. */
void oc__row_gray_to_rgb(uint8_t *dst, const uint8_t *src, size_t n);
void oc__row_rgb_to_gray(uint8_t *dst, const uint8_t *src, size_t n,
                         int src_channels);
/** cmyk where 255 is no ink -> rgb, as Pillow does it. */
void oc__row_cmyk_to_rgb(uint8_t *dst, const uint8_t *src, size_t n);

/* ---- files --------------------------------------------------------------- */

/** Reads a whole file ("-": standard input), at most limit bytes. */
oc_status oc__image_file_read(oc_bytes *out, const char *path, size_t limit,
                              const oc_allocator *allocator, oc_error *err);
/** Writes through a temporary name beside path, then renames. */
oc_status oc__image_file_write(const char *path, const void *data, size_t bytes,
                               oc_error *err);

/* ---- rows resized, for resize.c and preprocess.c ------------------------- */

/** Receives finished rows in order; the row is only lent. */
typedef void oc__row_sink(void *user, int y, const uint8_t *row);

/** A rectangle of the resized picture. */
typedef struct oc__window {
    int x, y, width, height;
} oc__window;

/**
 * Resizes and hands out row by row, so that a consumer (a tensor) needs no
 * second picture.  Only the rows and columns of `part` are made, the same as
 * if all were; NULL: all.
 */
oc_status oc__image_resize_rows(const oc_image *img, const oc_resize *how,
                                const oc__window *part, oc__row_sink *sink,
                                void *user, oc_error *err);

#endif
