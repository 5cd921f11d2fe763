/*
 * image_png.c - PNG through libpng.
 *
 * Like libjpeg, libpng leaves by longjmp(): what must survive lives in a job
 * struct owned by the caller of the function that calls setjmp().
 */
#if defined(OC_HAVE_PNG)
#include "image/image.h"

#include <setjmp.h>
#include <string.h>

#include <png.h>

/* Text, colour profiles and the like are skipped; none needs more. */
#define MAX_CHUNK_BYTES ((png_alloc_size_t)1 << 23)
#define MAX_CHUNKS      1000

typedef struct {
    png_structp png;
    png_infop info;
    const oc__image_source *src;
    size_t at;
    int cut; /* the library asked for more than there is */
    oc_image *out;
    oc_image_info *said;
    oc_error *err;
    oc_status status;
} png_reader;

/* ---- errors ------------------------------------------------------------ */

static void on_error(png_structp png, png_const_charp text) {
    png_reader *r = png_get_error_ptr(png);
    if (r->cut) {
        r->status = oc__fail_at(r->err, OC_E_FORMAT, (int64_t)r->src->bytes,
                                "the PNG picture is cut short at byte %zu: "
                                "fetch the file again",
                                r->src->bytes);
    } else if (strstr(text, "memory")) {
        r->status = oc__fail_nomem(r->err);
    } else {
        r->status = oc__fail_at(r->err, OC_E_FORMAT, (int64_t)r->at,
                                "the PNG picture is damaged near byte %zu: %s",
                                r->at, text);
    }
    png_longjmp(png, 1);
}

static void on_warning(png_structp png, png_const_charp text) {
    (void)png;
    (void)text;
}

static void read_bytes(png_structp png, png_bytep to, size_t n) {
    png_reader *r = png_get_io_ptr(png);
    if (r->src->bytes - r->at < n) {
        r->cut = 1;
        png_error(png, "end of file");
    }
    memcpy(to, r->src->data + r->at, n);
    r->at += n;
}

/* ---- decoding ---------------------------------------------------------- */

static void read_header(png_reader *r) {
    png_set_user_limits(r->png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
    png_set_chunk_malloc_max(r->png, MAX_CHUNK_BYTES);
    png_set_chunk_cache_max(r->png, MAX_CHUNKS);
    /* A checksum error in the pixels is damage; in a comment it is not. */
    png_set_crc_action(r->png, PNG_CRC_ERROR_QUIT, PNG_CRC_WARN_DISCARD);
    png_set_read_fn(r->png, r, read_bytes);
    png_read_info(r->png, r->info);
    oc_image_info *s = r->said;
    int color = png_get_color_type(r->png, r->info);
    s->width = (int)png_get_image_width(r->png, r->info);
    s->height = (int)png_get_image_height(r->png, r->info);
    s->bits = png_get_bit_depth(r->png, r->info);
    s->channels = color & PNG_COLOR_MASK_COLOR ? 3 : 1;
    if ((color & PNG_COLOR_MASK_ALPHA) ||
        png_get_valid(r->png, r->info, PNG_INFO_tRNS))
        s->channels = 4;
#if defined(PNG_eXIf_SUPPORTED)
    png_uint_32 n = 0;
    png_bytep exif = NULL;
    if (png_get_eXIf_1(r->png, r->info, &n, &exif))
        s->orientation = oc__exif_orientation(exif, n);
#endif
}

/** Asks the library for 8-bit gray, rgb or rgba, or for bare indices. */
static oc_status choose_transforms(png_reader *r, int *channels) {
    int color = png_get_color_type(r->png, r->info);
    int bits = png_get_bit_depth(r->png, r->info);
    *channels = r->said->channels;
    if (r->src->opt.color == OC_COLOR_INDEX &&
        (color == PNG_COLOR_TYPE_PALETTE || color == PNG_COLOR_TYPE_GRAY)) {
        if (bits == 16)
            return oc__fail(r->err, OC_E_UNSUPPORTED,
                            "the PNG picture has 16-bit values, which are "
                            "more than an index holds: save it with 8 bits");
        png_set_packing(r->png);
        *channels = 1;
        return OC_OK;
    }
    if (bits == 16) png_set_scale_16(r->png);
    png_set_expand(r->png); /* palette, fewer bits, tRNS */
    if (*channels == 4) {
        png_set_gray_to_rgb(r->png);
        png_set_add_alpha(r->png, 255, PNG_FILLER_AFTER);
    }
    return OC_OK;
}

static oc_status read_pixels(png_reader *r) {
    int channels;
    OC_TRY(oc__image_check_size((uint64_t)r->said->width,
                                (uint64_t)r->said->height, &r->src->opt,
                                r->err));
    OC_TRY(choose_transforms(r, &channels));
    int passes = png_set_interlace_handling(r->png);
    png_read_update_info(r->png, r->info);
    OC_TRY(oc__image_alloc(r->out, (uint64_t)r->said->width,
                           (uint64_t)r->said->height, channels, &r->src->opt,
                           r->err));
    if (png_get_rowbytes(r->png, r->info) != r->out->stride)
        return oc__fail(r->err, OC_E_UNSUPPORTED,
                        "the PNG picture's rows are of an unexpected length: "
                        "save it as 8-bit rgb");
    /* Interlaced rows are filled pass by pass, so start from a known state. */
    if (passes > 1) memset(r->out->pixels, 0, r->out->owned_bytes);
    for (int pass = 0; pass < passes; pass++) {
        for (int y = 0; y < r->out->height; y++)
            png_read_row(r->png, r->out->pixels + (size_t)y * r->out->stride,
                         NULL);
    }
    png_read_end(r->png, NULL);
    return OC_OK;
}

static oc_status run_reader(png_reader *r) {
    if (setjmp(png_jmpbuf(r->png))) return r->status;
    read_header(r);
    return r->out ? read_pixels(r) : OC_OK;
}

static oc_status read_png(const oc__image_source *src, oc_image *out,
                          oc_image_info *info, oc_error *err) {
    png_reader r = {.src = src, .out = out, .said = info, .err = err};
    r.png =
        png_create_read_struct(PNG_LIBPNG_VER_STRING, &r, on_error, on_warning);
    if (r.png) r.info = png_create_info_struct(r.png);
    oc_status st = r.info ? run_reader(&r) : oc__fail_nomem(err);
    png_destroy_read_struct(&r.png, &r.info, NULL);
    return st;
}

static oc_status png_probe(const oc__image_source *src, oc_image_info *info,
                           oc_error *err) {
    return read_png(src, NULL, info, err);
}

static oc_status png_decode(const oc__image_source *src, oc_image *out,
                            oc_image_info *info, oc_error *err) {
    return read_png(src, out, info, err);
}

/* ---- encoding ---------------------------------------------------------- */

typedef struct {
    png_structp png;
    png_infop info;
    oc_bytes *out;
    const oc_image *img;
    const oc_image_save_options *opt;
    oc_error *err;
    oc_status status;
} png_writer;

static void on_write_error(png_structp png, png_const_charp text) {
    png_writer *w = png_get_error_ptr(png);
    w->status = strstr(text, "memory")
                    ? oc__fail_nomem(w->err)
                    : oc__fail(w->err, OC_E_IO, "cannot write PNG: %s", text);
    png_longjmp(png, 1);
}

static void write_bytes(png_structp png, png_bytep from, size_t n) {
    png_writer *w = png_get_io_ptr(png);
    if (oc__bytes_append(w->out, from, n)) png_error(png, "out of memory");
}

static void write_flush(png_structp png) {
    (void)png;
}

static void write_picture(png_writer *w) {
    const oc_image *img = w->img;
    int kind = w->opt->palette      ? PNG_COLOR_TYPE_PALETTE
               : img->channels == 1 ? PNG_COLOR_TYPE_GRAY
               : img->channels == 3 ? PNG_COLOR_TYPE_RGB
                                    : PNG_COLOR_TYPE_RGB_ALPHA;
    png_set_write_fn(w->png, w, write_bytes, write_flush);
    png_set_user_limits(w->png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
    png_set_IHDR(w->png, w->info, (png_uint_32)img->width,
                 (png_uint_32)img->height, 8, kind, PNG_INTERLACE_NONE,
                 PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    if (w->opt->palette) {
        png_color colors[256];
        for (int i = 0; i < w->opt->palette_count; i++) {
            const uint8_t *p = w->opt->palette + 3 * (size_t)i;
            colors[i] = (png_color){p[0], p[1], p[2]};
        }
        png_set_PLTE(w->png, w->info, colors, w->opt->palette_count);
    }
    png_write_info(w->png, w->info);
    for (int y = 0; y < img->height; y++)
        png_write_row(w->png, img->pixels + (size_t)y * img->stride);
    png_write_end(w->png, w->info);
}

static oc_status run_writer(png_writer *w) {
    if (setjmp(png_jmpbuf(w->png))) return w->status;
    write_picture(w);
    return OC_OK;
}

/** Every index must have its colour, or the file would be invalid. */
static oc_status check_indices(const oc_image *img,
                               const oc_image_save_options *opt,
                               oc_error *err) {
    int most = 0;
    for (int y = 0; y < img->height; y++) {
        const uint8_t *row = img->pixels + (size_t)y * img->stride;
        for (int x = 0; x < img->width; x++)
            most = OC_MAX(most, row[x]);
    }
    if (most < opt->palette_count) return OC_OK;
    return oc__fail(err, OC_E_ARG,
                    "the picture has index %d and the palette only %d "
                    "colours: give one colour for each index",
                    most, opt->palette_count);
}

static oc_status png_encode(oc_bytes *out, const oc_image *img,
                            const oc_image_save_options *opt, oc_error *err) {
    png_writer w = {.out = out, .img = img, .opt = opt, .err = err};
    if (opt->palette) OC_TRY(check_indices(img, opt, err));
    w.png = png_create_write_struct(PNG_LIBPNG_VER_STRING, &w, on_write_error,
                                    on_warning);
    if (w.png) w.info = png_create_info_struct(w.png);
    oc_status st = w.info ? run_writer(&w) : oc__fail_nomem(err);
    png_destroy_write_struct(&w.png, &w.info);
    return st;
}

const oc__image_codec oc__image_codec_png = {png_probe, png_decode, png_encode};
#else
/* ISO C wants something in every file. */
typedef int oc__no_png;
#endif
