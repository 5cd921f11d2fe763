/*
 * image_jpeg.c - JPEG through libjpeg(-turbo).
 *
 * The library reports errors by not returning: error_exit() jumps back here.
 * All that has to survive the jump lives in a job struct owned by the caller
 * of the function that calls setjmp(), so no local can be clobbered and
 * everything is freed in one place.
 */
#if defined(OC_HAVE_JPEG)
#include "image/image.h"

#include <setjmp.h>
#include <stdio.h> /* jpeglib.h needs FILE */
#include <string.h>

#include <jpeglib.h>
#include <jerror.h>

/* A progressive file may hold thousands of empty scans, each of which costs a
   walk over the whole picture; honest ones have about ten. */
#define MAX_SCANS 500

/** What error_exit() finds by casting cinfo->err. */
typedef struct {
    struct jpeg_error_mgr base;
    jmp_buf jump;
    int scans_exceeded;
    int ran_out; /* the decoder met missing data: JWRN_HIT_MARKER */
} jpeg_errors;

typedef struct {
    struct jpeg_decompress_struct cinfo;
    jpeg_errors errors;
    struct jpeg_source_mgr from;
    struct jpeg_progress_mgr progress;
    int past_end; /* the source had to invent the end of the file */
    const oc__image_source *src;
    oc_image *out;
    oc_image_info *info;
    uint8_t *line; /* one row of cmyk */
    size_t line_bytes;
    oc_error *err;
} jpeg_reader;

/* ---- errors ------------------------------------------------------------ */

static void on_error(j_common_ptr cinfo) {
    jpeg_errors *e = (jpeg_errors *)(void *)cinfo->err;
    longjmp(e->jump, 1);
}

/** Warnings and traces: the library must not print them. */
static void on_message(j_common_ptr cinfo, int level) {
    jpeg_errors *e = (jpeg_errors *)(void *)cinfo->err;
    if (level >= 0) return;
    cinfo->err->num_warnings++;
    if (cinfo->err->msg_code == JWRN_HIT_MARKER) e->ran_out = 1;
}

static void on_output(j_common_ptr cinfo) {
    (void)cinfo;
}

static void errors_init(jpeg_errors *e) {
    memset(e, 0, sizeof(*e));
    jpeg_std_error(&e->base);
    e->base.error_exit = on_error;
    e->base.emit_message = on_message;
    e->base.output_message = on_output;
}

static oc_status cut_short(const jpeg_reader *r) {
    return oc__fail_at(r->err, OC_E_FORMAT, (int64_t)r->src->bytes,
                       "the JPEG picture is cut short at byte %zu: fetch the "
                       "file again",
                       r->src->bytes);
}

/** The sentence for the error that made the library jump. */
static oc_status explain(j_common_ptr cinfo, const jpeg_reader *r,
                         oc_error *err) {
    char text[JMSG_LENGTH_MAX];
    const jpeg_errors *e = (const jpeg_errors *)(const void *)cinfo->err;
    if (e->scans_exceeded)
        return oc__fail(err, OC_E_LIMIT,
                        "the JPEG picture has more than %d scans: it was "
                        "made to waste time",
                        MAX_SCANS);
    cinfo->err->format_message(cinfo, text);
    switch (cinfo->err->msg_code) {
    case JERR_OUT_OF_MEMORY: return oc__fail_nomem(err);
    case JERR_BAD_PRECISION:
    case JERR_ARITH_NOTIMPL:
    case JERR_NOT_COMPILED:
    case JERR_SOF_UNSUPPORTED:
    case JERR_CONVERSION_NOTIMPL:
    case JERR_FRACT_SAMPLE_NOTIMPL:
    case JERR_CCIR601_NOTIMPL:
        return oc__fail(err, OC_E_UNSUPPORTED,
                        "the JPEG picture is of a kind that is not read "
                        "(%s): save it as an ordinary 8-bit JPEG",
                        text);
    default:
        /* Damage that only shows because the rest is missing. */
        if (r && r->past_end) return cut_short(r);
        return oc__fail(err, OC_E_FORMAT, "the JPEG picture is damaged: %s",
                        text);
    }
}

/* ---- source ------------------------------------------------------------ */

static void source_nothing(j_decompress_ptr cinfo) {
    (void)cinfo;
}

/** Nothing is left: invent an end-of-image marker and remember that. */
static boolean source_fill(j_decompress_ptr cinfo) {
    static const JOCTET end[2] = {0xFF, JPEG_EOI};
    jpeg_reader *r = cinfo->client_data;
    r->past_end = 1;
    cinfo->src->next_input_byte = end;
    cinfo->src->bytes_in_buffer = sizeof(end);
    return TRUE;
}

static void source_skip(j_decompress_ptr cinfo, long n) {
    struct jpeg_source_mgr *s = cinfo->src;
    if (n <= 0) return;
    if ((size_t)n > s->bytes_in_buffer) {
        source_fill(cinfo);
        return;
    }
    s->next_input_byte += n;
    s->bytes_in_buffer -= (size_t)n;
}

static void count_scans(j_common_ptr common) {
    j_decompress_ptr cinfo = (j_decompress_ptr)common;
    if (cinfo->input_scan_number <= MAX_SCANS) return;
    ((jpeg_errors *)(void *)cinfo->err)->scans_exceeded = 1;
    on_error(common);
}

/** Up to the header; the caller has set the jump. */
static void open_reader(jpeg_reader *r) {
    jpeg_create_decompress(&r->cinfo);
    r->cinfo.client_data = r;
    r->from.init_source = source_nothing;
    r->from.fill_input_buffer = source_fill;
    r->from.skip_input_data = source_skip;
    r->from.resync_to_restart = jpeg_resync_to_restart;
    r->from.term_source = source_nothing;
    r->from.next_input_byte = r->src->data;
    r->from.bytes_in_buffer = r->src->bytes;
    r->cinfo.src = &r->from;
    r->progress.progress_monitor = count_scans;
    r->cinfo.progress = &r->progress;
    /* EXIF is the first APP1; 64 KB is all a marker can hold. */
    jpeg_save_markers(&r->cinfo, JPEG_APP0 + 1, 0xFFFF);
    jpeg_read_header(&r->cinfo, TRUE);
}

static void fill_info(jpeg_reader *r) {
    oc_image_info *info = r->info;
    info->width = (int)r->cinfo.image_width;
    info->height = (int)r->cinfo.image_height;
    info->channels = r->cinfo.jpeg_color_space == JCS_GRAYSCALE ? 1 : 3;
    info->bits = r->cinfo.data_precision;
    info->orientation = 1;
    for (jpeg_saved_marker_ptr m = r->cinfo.marker_list; m; m = m->next) {
        if (m->marker == JPEG_APP0 + 1 && m->data_length >= 6 &&
            memcmp(m->data, "Exif\0\0", 6) == 0) {
            info->orientation = oc__exif_orientation(m->data, m->data_length);
            break;
        }
    }
}

/* ---- decoding ---------------------------------------------------------- */

/**
 * The smallest n of n/8 that leaves what is wanted.  Only 1, 2, 4 and 8: these
 * have vector code, the odd ones cost more than decoding all.
 */
static unsigned choose_scale(const jpeg_reader *r) {
    const oc_image_options *o = &r->src->opt;
    uint64_t w = r->cinfo.image_width, h = r->cinfo.image_height;
    uint64_t need_w = o->min_width > 0 ? (uint64_t)o->min_width : 0;
    uint64_t need_h = o->min_height > 0 ? (uint64_t)o->min_height : 0;
    if (!need_w && !need_h) return 8;
    if (r->info->orientation >= 5 && !o->ignore_orientation) {
        uint64_t t = need_w;
        need_w = need_h;
        need_h = t;
    }
    for (unsigned n = 1; n < 8; n *= 2) {
        int wide = w * n / 8 >= need_w, high = h * n / 8 >= need_h;
        if (o->min_either ? wide || high : wide && high) return n;
    }
    return 8;
}

static oc_status prepare(jpeg_reader *r) {
    struct jpeg_decompress_struct *c = &r->cinfo;
    OC_TRY(oc__image_check_size(c->image_width, c->image_height, &r->src->opt,
                                r->err));
    c->scale_num = choose_scale(r);
    c->scale_denom = 8;
    switch (c->jpeg_color_space) {
    case JCS_GRAYSCALE: c->out_color_space = JCS_GRAYSCALE; break;
    case JCS_CMYK:
    case JCS_YCCK: c->out_color_space = JCS_CMYK; break;
    default: c->out_color_space = JCS_RGB; break;
    }
    jpeg_start_decompress(c);
    int cmyk = c->out_color_space == JCS_CMYK;
    OC_TRY(oc__image_alloc(r->out, c->output_width, c->output_height,
                           r->info->channels, &r->src->opt, r->err));
    r->out->full_width = (int)c->image_width;
    r->out->full_height = (int)c->image_height;
    if (cmyk) {
        r->line_bytes = (size_t)c->output_width * 4;
        r->line = oc__image_get(r->src->opt.allocator, r->line_bytes);
        if (!r->line) return oc__fail_nomem(r->err);
    }
    return OC_OK;
}

static oc_status read_rows(jpeg_reader *r) {
    struct jpeg_decompress_struct *c = &r->cinfo;
    while (c->output_scanline < c->output_height) {
        size_t y = c->output_scanline;
        uint8_t *to = r->out->pixels + y * r->out->stride;
        if (r->line) {
            JSAMPROW row = r->line;
            jpeg_read_scanlines(c, &row, 1);
            /* Adobe stores cmyk inverted, and everyone writes as Adobe. */
            oc__row_cmyk_to_rgb(to, r->line, c->output_width);
            continue;
        }
        /* Some rows at once spare the library's call overhead. */
        JSAMPROW rows[8];
        size_t n = OC_MIN((size_t)8, (size_t)c->output_height - y);
        for (size_t i = 0; i < n; i++)
            rows[i] = to + i * r->out->stride;
        jpeg_read_scanlines(c, rows, (JDIMENSION)n);
    }
    /* An end marker alone may be missing from a one-scan file.  Where pixels
       were made up, or later scans are not there, that is no picture. */
    if (r->errors.ran_out && r->past_end) return cut_short(r);
    if (!jpeg_has_multiple_scans(c)) return OC_OK;
    return r->past_end ? cut_short(r) : OC_OK;
}

/** decode: 0 stops after the header. */
static oc_status run_reader(jpeg_reader *r, int decode) {
    if (setjmp(r->errors.jump))
        return explain((j_common_ptr)&r->cinfo, r, r->err);
    open_reader(r);
    fill_info(r);
    if (!decode) return OC_OK;
    OC_TRY(prepare(r));
    return read_rows(r);
}

static oc_status read_jpeg(const oc__image_source *src, oc_image *out,
                           oc_image_info *info, oc_error *err) {
    jpeg_reader r;
    memset(&r, 0, sizeof(r));
    errors_init(&r.errors);
    r.cinfo.err = &r.errors.base;
    r.src = src;
    r.out = out;
    r.info = info;
    r.err = err;
    oc_status st = run_reader(&r, out != NULL);
    jpeg_destroy_decompress(&r.cinfo);
    oc__image_put(src->opt.allocator, r.line, r.line_bytes);
    return st;
}

static oc_status jpeg_probe(const oc__image_source *src, oc_image_info *info,
                            oc_error *err) {
    return read_jpeg(src, NULL, info, err);
}

static oc_status jpeg_decode(const oc__image_source *src, oc_image *out,
                             oc_image_info *info, oc_error *err) {
    return read_jpeg(src, out, info, err);
}

/* ---- encoding ---------------------------------------------------------- */

enum { SINK_ROOM = 16384 };

typedef struct {
    struct jpeg_compress_struct cinfo;
    jpeg_errors errors;
    struct jpeg_destination_mgr to;
    oc_bytes *out;
    int no_memory;
    const oc_image *img;
    uint8_t *line; /* a row without alpha */
    int quality;
    uint8_t room[SINK_ROOM];
} jpeg_writer;

static void sink_reset(jpeg_writer *w) {
    w->to.next_output_byte = w->room;
    w->to.free_in_buffer = SINK_ROOM;
}

static void sink_start(j_compress_ptr cinfo) {
    sink_reset(cinfo->client_data);
}

static void sink_put(jpeg_writer *w, size_t n) {
    if (oc__bytes_append(w->out, w->room, n)) {
        w->no_memory = 1;
        on_error((j_common_ptr)&w->cinfo);
    }
    sink_reset(w);
}

static boolean sink_full(j_compress_ptr cinfo) {
    /* The whole room counts, whatever free_in_buffer says now. */
    sink_put(cinfo->client_data, SINK_ROOM);
    return TRUE;
}

static void sink_end(j_compress_ptr cinfo) {
    jpeg_writer *w = cinfo->client_data;
    sink_put(w, SINK_ROOM - w->to.free_in_buffer);
}

static void write_picture(jpeg_writer *w) {
    struct jpeg_compress_struct *c = &w->cinfo;
    const oc_image *img = w->img;
    jpeg_create_compress(c);
    c->client_data = w;
    w->to.init_destination = sink_start;
    w->to.empty_output_buffer = sink_full;
    w->to.term_destination = sink_end;
    c->dest = &w->to;
    c->image_width = (JDIMENSION)img->width;
    c->image_height = (JDIMENSION)img->height;
    c->input_components = img->channels == 1 ? 1 : 3;
    c->in_color_space = img->channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
    jpeg_set_defaults(c);
    jpeg_set_quality(c, w->quality, TRUE);
    c->optimize_coding = TRUE;
    jpeg_start_compress(c, TRUE);
    while (c->next_scanline < c->image_height) {
        uint8_t *row = img->pixels + (size_t)c->next_scanline * img->stride;
        if (w->line) {
            for (size_t x = 0; x < (size_t)img->width; x++)
                memcpy(w->line + 3 * x, row + 4 * x, 3);
            row = w->line;
        }
        JSAMPROW rows = row;
        jpeg_write_scanlines(c, &rows, 1);
    }
    jpeg_finish_compress(c);
}

static oc_status run_writer(jpeg_writer *w, oc_error *err) {
    if (setjmp(w->errors.jump)) {
        if (w->no_memory) return oc__fail_nomem(err);
        return explain((j_common_ptr)&w->cinfo, NULL, err);
    }
    write_picture(w);
    return OC_OK;
}

static oc_status jpeg_encode(oc_bytes *out, const oc_image *img,
                             const oc_image_save_options *opt, oc_error *err) {
    size_t line = img->channels == 4 ? 3 * (size_t)img->width : 0;
    if (img->width > JPEG_MAX_DIMENSION || img->height > JPEG_MAX_DIMENSION)
        return oc__fail(err, OC_E_LIMIT,
                        "JPEG holds at most %ld pixels a side: write PNG",
                        (long)JPEG_MAX_DIMENSION);
    jpeg_writer *w = oc__image_get_zero(opt->allocator, sizeof(*w));
    if (!w) return oc__fail_nomem(err);
    errors_init(&w->errors);
    w->cinfo.err = &w->errors.base;
    w->out = out;
    w->img = img;
    w->quality = opt->quality;
    oc_status st = OC_OK;
    if (line) {
        w->line = oc__image_get(opt->allocator, line);
        if (!w->line) st = oc__fail_nomem(err);
    }
    if (st == OC_OK) {
        st = run_writer(w, err);
        jpeg_destroy_compress(&w->cinfo);
    }
    oc__image_put(opt->allocator, w->line, line);
    oc__image_put(opt->allocator, w, sizeof(*w));
    return st;
}

const oc__image_codec oc__image_codec_jpeg = {jpeg_probe, jpeg_decode,
                                              jpeg_encode};
#else
/* ISO C wants something in every file. */
typedef int oc__no_jpeg;
#endif
