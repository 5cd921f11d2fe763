/*
 * image_pnm.c - the portable maps: P1..P3 in digits, P4..P6 in bytes (bit
 * map, gray map, pixel map), and P7 (PAM) with 1 to 4 channels.  Values above
 * 255 take two bytes, the high one first.
 */
#include "image/image.h"

#include <string.h>

typedef struct {
    int kind;                    /* the digit after P */
    uint64_t width, height, top; /* top: the value of full light */
    int depth;
    size_t pixels; /* offset */
} pnm_header;

static oc_status cut_short(const oc__image_source *src, oc_error *err) {
    return oc__fail_at(err, OC_E_FORMAT, (int64_t)src->bytes,
                       "the PNM picture is cut short at byte %zu: fetch the "
                       "file again",
                       src->bytes);
}

static oc_status damaged(size_t at, oc_error *err) {
    return oc__fail_at(err, OC_E_FORMAT, (int64_t)at,
                       "the PNM picture is damaged at byte %zu: a number "
                       "should stand there",
                       at);
}

static int is_space(int c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/** Skips white space and comments, which run from # to the line's end. */
static size_t skip_space(const oc__image_source *src, size_t at) {
    while (at < src->bytes) {
        if (src->data[at] == '#') {
            while (at < src->bytes && src->data[at] != '\n' &&
                   src->data[at] != '\r')
                at++;
        } else if (is_space(src->data[at])) {
            at++;
        } else {
            break;
        }
    }
    return at;
}

/** A decimal number after white space; it must end at something else. */
static oc_status read_number(const oc__image_source *src, size_t *at,
                             uint64_t *out, oc_error *err) {
    size_t i = skip_space(src, *at);
    uint64_t v = 0;
    if (i == src->bytes) return cut_short(src, err);
    if (src->data[i] < '0' || src->data[i] > '9') return damaged(i, err);
    while (i < src->bytes && src->data[i] >= '0' && src->data[i] <= '9') {
        v = v * 10 + (uint64_t)(src->data[i] - '0');
        if (v > UINT32_MAX) return damaged(i, err);
        i++;
    }
    *at = i;
    *out = v;
    return OC_OK;
}

/** PAM: lines of "KEY value" up to ENDHDR. */
static oc_status read_pam_header(const oc__image_source *src, pnm_header *h,
                                 oc_error *err) {
    size_t at = 2;
    uint64_t depth = 0;
    for (;;) {
        at = skip_space(src, at);
        size_t start = at;
        while (at < src->bytes && !is_space(src->data[at]))
            at++;
        if (at == src->bytes) return cut_short(src, err);
        size_t n = at - start;
        const char *key = (const char *)src->data + start;
        if (n == 6 && memcmp(key, "ENDHDR", 6) == 0) break;
        if (n == 5 && memcmp(key, "WIDTH", 5) == 0) {
            OC_TRY(read_number(src, &at, &h->width, err));
        } else if (n == 6 && memcmp(key, "HEIGHT", 6) == 0) {
            OC_TRY(read_number(src, &at, &h->height, err));
        } else if (n == 5 && memcmp(key, "DEPTH", 5) == 0) {
            OC_TRY(read_number(src, &at, &depth, err));
        } else if (n == 6 && memcmp(key, "MAXVAL", 6) == 0) {
            OC_TRY(read_number(src, &at, &h->top, err));
        } else {
            /* TUPLTYPE tells nothing that the depth does not. */
            while (at < src->bytes && src->data[at] != '\n')
                at++;
        }
    }
    while (at < src->bytes && src->data[at] != '\n')
        at++;
    if (at == src->bytes) return cut_short(src, err);
    if (depth < 1 || depth > 4)
        return oc__fail(err, OC_E_UNSUPPORTED,
                        "the PAM picture has %llu channels: only 1 to 4 are "
                        "read",
                        (unsigned long long)depth);
    h->depth = (int)depth;
    h->pixels = at + 1;
    return OC_OK;
}

static oc_status read_header(const oc__image_source *src, pnm_header *h,
                             oc_error *err) {
    size_t at = 2;
    memset(h, 0, sizeof(*h));
    h->kind = src->data[1] - '0';
    if (h->kind == 7) {
        OC_TRY(read_pam_header(src, h, err));
    } else {
        OC_TRY(read_number(src, &at, &h->width, err));
        OC_TRY(read_number(src, &at, &h->height, err));
        h->top = 1;
        h->depth = h->kind == 3 || h->kind == 6 ? 3 : 1;
        if (h->kind != 1 && h->kind != 4)
            OC_TRY(read_number(src, &at, &h->top, err));
        /* Exactly one white space stands before bytes. */
        if (at == src->bytes) return cut_short(src, err);
        if (!is_space(src->data[at])) return damaged(at, err);
        h->pixels = at + 1;
    }
    if (h->top < 1 || h->top > 65535)
        return oc__fail(err, OC_E_FORMAT,
                        "the PNM picture's highest value is %llu and must be "
                        "1 to 65535: the file is damaged",
                        (unsigned long long)h->top);
    return OC_OK;
}

static void fill_info(const pnm_header *h, oc_image_info *info) {
    info->width = (int)h->width;
    info->height = (int)h->height;
    /* Gray with alpha becomes rgba: there are no pictures of 2 channels. */
    info->channels = h->depth == 2 ? 4 : h->depth;
    info->bits = h->top > 255 ? 16 : h->top == 1 ? 1 : 8;
}

static oc_status pnm_probe(const oc__image_source *src, oc_image_info *info,
                           oc_error *err) {
    pnm_header h;
    OC_TRY(read_header(src, &h, err));
    OC_TRY(oc__image_check_size(h.width, h.height, &src->opt, err));
    fill_info(&h, info);
    return OC_OK;
}

/** 0..top to 0..255, rounded to nearest; values above top are full. */
static uint8_t to_level(uint64_t v, const pnm_header *h, int raw) {
    if (raw && h->top <= 255) return (uint8_t)OC_MIN(v, 255u);
    if (v > h->top) v = h->top;
    return (uint8_t)((v * 255 + h->top / 2) / h->top);
}

/** Writes sample c of depth into a pixel of img. */
static void put_sample(uint8_t *pixel, int depth, int c, uint8_t v) {
    if (depth == 2 && c == 0) {
        pixel[0] = pixel[1] = pixel[2] = v;
    } else if (depth == 2) {
        pixel[3] = v;
    } else {
        pixel[c] = v;
    }
}

static oc_status read_digits(const oc__image_source *src, const pnm_header *h,
                             oc_image *img, int raw, oc_error *err) {
    size_t at = h->pixels - 1;
    for (int y = 0; y < img->height; y++) {
        uint8_t *dst = img->pixels + (size_t)y * img->stride;
        for (size_t i = 0; i < img->stride; i++) {
            uint64_t v = 0;
            if (h->kind == 1) {
                /* Bits need no space between them; 1 is black. */
                at = skip_space(src, at);
                if (at == src->bytes) return cut_short(src, err);
                if (src->data[at] != '0' && src->data[at] != '1')
                    return damaged(at, err);
                v = (uint64_t)(src->data[at++] - '0');
                dst[i] = (uint8_t)(raw ? v : v ? 0 : 255);
                continue;
            }
            OC_TRY(read_number(src, &at, &v, err));
            dst[i] = to_level(v, h, raw);
        }
    }
    return OC_OK;
}

static void read_bits(const uint8_t *row, uint8_t *dst, size_t n, int raw) {
    for (size_t x = 0; x < n; x++) {
        int bit = row[x / 8] >> (7 - x % 8) & 1;
        dst[x] = (uint8_t)(raw ? bit : bit ? 0 : 255);
    }
}

static void read_samples(const pnm_header *h, const uint8_t *row, uint8_t *dst,
                         int channels, int raw) {
    size_t wide = h->top > 255 ? 2 : 1;
    for (uint64_t x = 0; x < h->width; x++, dst += channels) {
        for (int c = 0; c < h->depth; c++, row += wide) {
            unsigned v = wide == 2 ? (unsigned)row[0] << 8 | row[1] : row[0];
            put_sample(dst, h->depth, c, to_level(v, h, raw));
        }
    }
}

static oc_status pnm_decode(const oc__image_source *src, oc_image *out,
                            oc_image_info *info, oc_error *err) {
    pnm_header h;
    OC_TRY(read_header(src, &h, err));
    OC_TRY(oc__image_check_size(h.width, h.height, &src->opt, err));
    fill_info(&h, info);
    int raw = src->opt.color == OC_COLOR_INDEX;
    size_t samples = (size_t)h.width * (size_t)h.depth;
    size_t row = h.kind == 4 ? (samples + 7) / 8 : samples << (h.top > 255);
    /* The pixels must be there before room for them is made; in digits each
       takes at least one byte. */
    if (h.kind <= 3) row = samples;
    if ((src->bytes - h.pixels) / row < h.height && h.kind > 3)
        return cut_short(src, err);
    if (h.kind <= 3 && (src->bytes - h.pixels + 1) / row < h.height)
        return cut_short(src, err);
    OC_TRY(oc__image_alloc(out, h.width, h.height, info->channels, &src->opt,
                           err));
    if (h.kind <= 3) return read_digits(src, &h, out, raw, err);
    for (int y = 0; y < out->height; y++) {
        const uint8_t *from = src->data + h.pixels + (size_t)y * row;
        uint8_t *dst = out->pixels + (size_t)y * out->stride;
        if (h.kind == 4) {
            read_bits(from, dst, samples, raw);
        } else if (h.top == 255 && h.depth != 2) {
            memcpy(dst, from, row);
        } else {
            read_samples(&h, from, dst, out->channels, raw);
        }
    }
    return OC_OK;
}

/* ---- writing ----------------------------------------------------------- */

static size_t put_text(char *to, size_t at, const char *text) {
    size_t n = strlen(text);
    memcpy(to + at, text, n);
    return at + n;
}

static size_t put_number(char *to, size_t at, int v) {
    char digits[12];
    size_t n = 0;
    do {
        digits[n++] = (char)('0' + v % 10);
        v /= 10;
    } while (v);
    while (n)
        to[at++] = digits[--n];
    return at;
}

static oc_status pnm_encode(oc_bytes *out, const oc_image *img,
                            const oc_image_save_options *opt, oc_error *err) {
    char head[128];
    size_t n = 0, row = (size_t)img->width * (size_t)img->channels;
    (void)opt;
    if (img->channels == 4) {
        n = put_text(head, n, "P7\nWIDTH ");
        n = put_number(head, n, img->width);
        n = put_text(head, n, "\nHEIGHT ");
        n = put_number(head, n, img->height);
        n = put_text(head, n,
                     "\nDEPTH 4\nMAXVAL 255\nTUPLTYPE RGB_ALPHA\nENDHDR\n");
    } else {
        n = put_text(head, n, img->channels == 1 ? "P5\n" : "P6\n");
        n = put_number(head, n, img->width);
        n = put_text(head, n, " ");
        n = put_number(head, n, img->height);
        n = put_text(head, n, "\n255\n");
    }
    int bad = oc__bytes_append(out, head, n);
    for (int y = 0; y < img->height && !bad; y++)
        bad = oc__bytes_append(out, img->pixels + (size_t)y * img->stride, row);
    return bad ? oc__fail_nomem(err) : OC_OK;
}

const oc__image_codec oc__image_codec_pnm = {pnm_probe, pnm_decode, pnm_encode};
