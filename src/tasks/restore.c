/*
 * restore.c - a better picture: super-resolution, denoising.
 *
 * The network's size is mostly smaller than the picture, so the picture goes
 * through in tiles that overlap; what is near a tile's inner edge, where the
 * network saw padding, is taken from its neighbour:
 *
 *     |---------tile---------|
 *                 |---------tile---------|
 *     [.... used ....][.... used ........]
 *
 * A network of one channel gets the luma; chroma is enlarged bicubically.
 */
#include "tasks/vision_private.h"

#include <math.h>
#include <string.h>

/* Pixels of the input at a tile's inner edge that are not used. */
#define OVERLAP 8

typedef struct job {
    oc_vision *v;
    const oc_image *in; /* gray, or rgb */
    oc_image *out;      /* the same channels, larger by `factor` */
    int factor;
    oc_result *times;
} job;

/* A tile of the network's size; edges repeat where the picture ends. */
static void copy_tile(const oc_image *in, int x0, int y0, oc_image *tile) {
    for (int y = 0; y < tile->height; y++) {
        int sy = OC_MIN(y0 + y, in->height - 1);
        const uint8_t *from = in->pixels + (size_t)sy * in->stride;
        uint8_t *to = tile->pixels + (size_t)y * tile->stride;
        for (int x = 0; x < tile->width; x++) {
            int sx = OC_MIN(x0 + x, in->width - 1);
            memcpy(to + x * in->channels, from + sx * in->channels,
                   (size_t)in->channels);
        }
    }
}

/* The network's numbers back to levels: preprocessing, turned round. */
static uint8_t level(const oc_preprocess *p, float v, int c) {
    float std = p->std[c] != 0 ? p->std[c] : 1;
    float scale = p->scale != 0 ? p->scale : 1;
    float x = nearbyintf((v * std + p->mean[c]) / scale);
    return (uint8_t)(x > 0 ? x < 255 ? x : 255 : 0);
}

/* Where a tile's used part lies in the input: from its start to its end. */
typedef struct part {
    int at, from, to;
} part;

static part part_of(int i, int count, int tile, int size) {
    part p;
    int step = tile - 2 * OVERLAP;
    p.at = OC_MIN(i * step, OC_MAX(size - tile, 0));
    p.from = i == 0 ? 0 : i * step + OVERLAP;
    p.to = i == count - 1 ? size : (i + 1) * step + OVERLAP;
    return p;
}

static oc_status write_tile(const job *j, part px, part py, oc_error *err) {
    oc__arena arena;
    oc__maps m;
    oc__heads *h;
    const oc_preprocess *p = &j->v->pre;
    oc__arena_init(&arena, &j->v->allocator);
    h = oc__arena_alloc(&arena, sizeof *h);
    oc_status st =
        h ? oc__vision_heads(j->v, h, &arena, err) : oc__fail_nomem(err);
    if (!st) {
        h->width = p->width;
        h->height = p->height;
        st = oc__maps_of(h, &m, err);
    }
    if (!st && (m.n != j->out->channels || m.w != p->width * j->factor ||
                m.h != p->height * j->factor))
        st = oc__head_fail(h, 0, "it is no picture of the input's kind", err);
    for (int y = py.from * j->factor; !st && y < py.to * j->factor; y++) {
        uint8_t *to = j->out->pixels + (size_t)y * j->out->stride;
        int64_t row = y - py.at * j->factor;
        for (int x = px.from * j->factor; x < px.to * j->factor; x++) {
            int64_t at = row * m.step_y + (x - px.at * j->factor) * m.step_x;
            for (int c = 0; c < j->out->channels; c++) {
                /* Pictures are rgb, whatever order the network has. */
                int from = p->color == OC_COLOR_BGR ? 2 - c : c;
                to[x * j->out->channels + c] =
                    level(p, m.v[at + from * m.step_n], from);
            }
        }
    }
    oc__arena_deinit(&arena);
    return st;
}

static int tiles(int size, int tile) {
    int step = tile - 2 * OVERLAP;
    return size <= tile ? 1 : (size - 2 * OVERLAP + step - 1) / step;
}

/* All tiles of j->in; the first run tells the factor and makes j->out. */
static oc_status run_tiles(job *j, oc_error *err) {
    oc_vision *v = j->v;
    int w = v->pre.width, h = v->pre.height;
    int across = tiles(j->in->width, w), down = tiles(j->in->height, h);
    oc_image tile = {0};
    oc_transform where;
    OC_TRY(oc_image_init(&tile, w, h, j->in->channels, &v->allocator, err));
    oc_status st = OC_OK;
    for (int i = 0; !st && i < across * down; i++) {
        part px = part_of(i % across, across, w, j->in->width);
        part py = part_of(i / across, down, h, j->in->height);
        copy_tile(j->in, px.at, py.at, &tile);
        st = oc__vision_infer(v, &tile, j->times, &where, err);
        if (!st && i == 0) {
            const oc_tensor *t =
                oc_session_output_tensor(v->session, v->roles[0]);
            int64_t n = t ? oc_tensor_elems(t) : 0;
            int64_t one = (int64_t)w * h * j->in->channels * v->batch;
            j->factor = (int)(sqrt((double)n / (double)one) + 0.5);
            if (j->factor < 1 || j->factor > 16)
                st = oc__fail(err, OC_E_SHAPE,
                              "the output is no picture of the input's kind");
            else
                st = oc_image_init(j->out, j->in->width * j->factor,
                                   j->in->height * j->factor, j->in->channels,
                                   oc__result_allocator(j->times), err);
        }
        if (!st) st = write_tile(j, px, py, err);
    }
    oc_image_deinit(&tile);
    return st;
}

/* The new luma with the old picture's chroma, as rgb. */
static oc_status add_chroma(const oc_vision *v, const oc_image *rgb,
                            const oc_image *luma, oc_result *out,
                            oc_error *err) {
    oc_image ycc = {0}, large = {0};
    oc_resize how = {0};
    how.width = luma->width;
    how.height = luma->height;
    how.interpolation = OC_INTERP_BICUBIC;
    how.allocator = &v->allocator;
    oc_status st = oc_image_convert(&ycc, rgb, OC_COLOR_RGB, OC_COLOR_YCBCR,
                                    &v->allocator, err);
    if (!st) st = oc_image_resize(&large, &ycc, &how, err);
    for (int y = 0; !st && y < luma->height; y++) {
        uint8_t *to = large.pixels + (size_t)y * large.stride;
        const uint8_t *from = luma->pixels + (size_t)y * luma->stride;
        for (int x = 0; x < luma->width; x++) {
            to[3 * x] = from[x];
        }
    }
    if (!st)
        st = oc_image_convert(&out->image, &large, OC_COLOR_YCBCR, OC_COLOR_RGB,
                              oc__result_allocator(out), err);
    oc_image_deinit(&ycc);
    oc_image_deinit(&large);
    return st;
}

oc_status oc__restore(oc_vision *v, const oc_image *img, oc_result *out,
                      oc_error *err) {
    oc_image rgb = {0}, gray = {0}, luma = {0};
    oc_preprocess pre = v->pre;
    int mono = v->pre.color == OC_COLOR_GRAY;
    oc_status st = OC_OK;
    if (!v->pre.width) { /* free size: large tiles */
        v->pre.width = OC_MIN(img->width, 512);
        v->pre.height = OC_MIN(img->height, 512);
    }
    v->pre.fit = OC_FIT_STRETCH; /* tiles have the right size */
    oc_color from = img->channels == 1   ? OC_COLOR_GRAY
                    : img->channels == 4 ? OC_COLOR_RGBA
                                         : OC_COLOR_RGB;
    if ((v->pre.width <= 2 * OVERLAP && v->pre.width < img->width) ||
        (v->pre.height <= 2 * OVERLAP && v->pre.height < img->height))
        st = oc__fail(err, OC_E_UNSUPPORTED,
                      "the network's input is too small "
                      "to put a picture together");
    if (!st)
        st =
            oc_image_convert(&rgb, img, from, OC_COLOR_RGB, &v->allocator, err);
    if (!st && mono)
        st = oc_image_convert(&gray, &rgb, OC_COLOR_RGB, OC_COLOR_GRAY,
                              &v->allocator, err);
    job j = {v, mono ? &gray : &rgb, mono ? &luma : &out->image, 0, out};
    if (!st) st = run_tiles(&j, err);
    double start = oc__now_ms();
    if (!st && mono) st = add_chroma(v, &rgb, &luma, out, err);
    out->decode_output_ms = oc__now_ms() - start;
    oc_image_deinit(&rgb);
    oc_image_deinit(&gray);
    oc_image_deinit(&luma);
    v->pre = pre;
    return st;
}
