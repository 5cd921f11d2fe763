/*
 * preprocess.c - from picture to network input in one pass.
 *
 * The resizer hands out finished rows of bytes; each is turned into numbers
 * where the tensor wants them.  What is not covered by the picture is filled
 * with the padding.  There is no picture in between.
 *
 *     +--- width ---+
 *     | pad         |    content: the rectangle x, y, w, h of the target;
 *     |  +-------+  |    the box: what of the source it shows
 *     |  |content|  |
 *     |  +-------+  |
 *     +-------------+
 */
#include "image/levels.h"

#include <math.h>

/* ---- where the picture goes -------------------------------------------- */

/** The size after resizing, and where the target's corner lies in it. */
typedef struct {
    int width, height; /* the whole picture at its new size */
    int x, y;          /* of its corner in the target; negative: cut off */
} placement;

static int clamp_side(double v) {
    return v < 1 ? 1 : v > (1 << 24) ? 1 << 24 : (int)v;
}

/** Cover: the short side to `crop`-th part more than the target, then cut
    from the middle.  The long side is rounded, which keeps the shape better
    than truncating it, as torchvision does. */
static placement place_cover(const oc_preprocess *p, int w, int h) {
    double keep = p->crop > 0 ? p->crop : 1.0;
    int need_w = clamp_side(rint(p->width / keep));
    int need_h = clamp_side(rint(p->height / keep));
    placement at = {need_w, need_h, 0, 0};
    if ((int64_t)w * need_h <= (int64_t)h * need_w) {
        at.height = clamp_side(rint((double)need_w * h / w));
        if (at.height < need_h) at.height = need_h;
    } else {
        at.width = clamp_side(rint((double)need_h * w / h));
        if (at.width < need_w) at.width = need_w;
    }
    at.x = -((at.width - p->width) / 2);
    at.y = -((at.height - p->height) / 2);
    return at;
}

/** Fits all of it inside.  The small number undoes rounding below a whole. */
static placement place_inside(const oc_preprocess *p, int w, int h) {
    double ratio = fmin((double)p->width / w, (double)p->height / h);
    double round = p->fit == OC_FIT_CONTAIN ? 0.5 : 1e-6;
    placement at = {0, 0, 0, 0};
    at.width = OC_MIN(clamp_side(floor(w * ratio + round)), p->width);
    at.height = OC_MIN(clamp_side(floor(h * ratio + round)), p->height);
    if (p->fit == OC_FIT_CONTAIN) {
        at.x = (p->width - at.width) / 2;
        at.y = (p->height - at.height) / 2;
    }
    return at;
}

static placement place(const oc_preprocess *p, int w, int h) {
    placement stretched = {p->width, p->height, 0, 0};
    switch (p->fit) {
    case OC_FIT_COVER: return place_cover(p, w, h);
    case OC_FIT_CONTAIN:
    case OC_FIT_LETTERBOX: return place_inside(p, w, h);
    default: return stretched;
    }
}

static void fill_transform(oc_transform *out, const placement *at, int w,
                           int h) {
    out->scale_x = (double)at->width / w;
    out->scale_y = (double)at->height / h;
    out->offset_x = at->x;
    out->offset_y = at->y;
    out->source_width = w;
    out->source_height = h;
}

/* ---- checks ------------------------------------------------------------ */

static oc_dtype dtype_of(const oc_preprocess *p) {
    return p->dtype == OC_DTYPE_NONE ? OC_DTYPE_F32 : p->dtype;
}

static int channels_of(const oc_preprocess *p) {
    return p->color == OC_COLOR_GRAY ? 1 : 3;
}

static oc_status check(const oc_preprocess *p, oc_error *err) {
    enum { MOST = 1 << 15 };
    if (!p || p->width <= 0 || p->height <= 0 || p->width > MOST ||
        p->height > MOST)
        return oc__fail(err, OC_E_ARG,
                        "the network's input of %d x %d pixels is not "
                        "possible: set width and height to 1..%d",
                        p ? p->width : 0, p ? p->height : 0, MOST);
    oc_dtype t = dtype_of(p);
    if (t != OC_DTYPE_F32 && t != OC_DTYPE_F16 && t != OC_DTYPE_U8 &&
        t != OC_DTYPE_I8)
        return oc__fail(err, OC_E_ARG,
                        "a picture cannot become %s: use f32, f16, u8 or i8",
                        oc_dtype_name(t));
    if (p->color != OC_COLOR_RGB && p->color != OC_COLOR_BGR &&
        p->color != OC_COLOR_GRAY)
        return oc__fail(err, OC_E_ARG,
                        "a network's input is rgb, bgr or gray, not colour "
                        "kind %d",
                        (int)p->color);
    if ((int)p->fit < 0 || p->fit > OC_FIT_LETTERBOX || (int)p->layout < 0 ||
        p->layout > OC_LAYOUT_NHWC)
        return oc__fail(err, OC_E_ARG, "there is no fit %d with layout %d",
                        (int)p->fit, (int)p->layout);
    if (!(p->crop >= 0 && p->crop <= 1))
        return oc__fail(err, OC_E_ARG, "crop is %g and must be in 0..1",
                        p->crop);
    return OC_OK;
}

oc_tensor oc_preprocess_shape(const oc_preprocess *p) {
    oc_tensor t = {.dtype = dtype_of(p), .rank = 4};
    int nhwc = p->layout == OC_LAYOUT_NHWC;
    t.dims[0] = 1;
    t.dims[1] = nhwc ? p->height : channels_of(p);
    t.dims[2] = nhwc ? p->width : p->height;
    t.dims[3] = nhwc ? channels_of(p) : p->width;
    return t;
}

oc_status oc_preprocess_transform(oc_transform *out, const oc_preprocess *p,
                                  int width, int height, oc_error *err) {
    OC_TRY(check(p, err));
    if (!out || width <= 0 || height <= 0)
        return oc__fail(err, OC_E_ARG, "a picture of %d x %d has no place",
                        width, height);
    placement at = place(p, width, height);
    fill_transform(out, &at, width, height);
    return OC_OK;
}

void oc_preprocess_load_options(const oc_preprocess *p, double gap,
                                oc_image_options *opt) {
    double keep = 1.0;
    if (!(gap >= 1)) gap = 2;
    if (p->fit == OC_FIT_COVER && p->crop > 0) keep = p->crop;
    opt->min_width = clamp_side(ceil(p->width / keep * gap));
    opt->min_height = clamp_side(ceil(p->height / keep * gap));
    /* Fitted inside, only one side reaches the target's. */
    opt->min_either = p->fit == OC_FIT_CONTAIN || p->fit == OC_FIT_LETTERBOX;
}

/* ---- the pass ---------------------------------------------------------- */

typedef struct {
    const oc_preprocess *p;
    oc__levels levels;
    oc__levels_row *put;
    uint8_t *data;
    int x, y, width; /* of the content in the target */
    int step;        /* bytes of a resized pixel */
    uint8_t *gray;   /* room for a row, when colour becomes gray */
    size_t gray_bytes;
} tensor_writer;

/** Where the values of row y from column x on lie; returns their distance. */
static int row_at(const tensor_writer *w, uint8_t *to[3], int x, int y) {
    const oc_preprocess *p = w->p;
    size_t width = (size_t)p->width, height = (size_t)p->height;
    size_t pixel = (size_t)y * width + (size_t)x;
    int n = w->levels.channels;
    int nhwc = p->layout == OC_LAYOUT_NHWC;
    for (int c = 0; c < n; c++) {
        size_t at = nhwc ? pixel * (size_t)n + (size_t)c
                         : pixel + (size_t)c * width * height;
        to[c] = w->data + at * w->levels.bytes;
    }
    return nhwc ? n : 1;
}

static void fill(const tensor_writer *w, int x, int y, int n) {
    uint8_t *to[3];
    int stride = row_at(w, to, x, y);
    oc__levels_fill(&w->levels, to, stride, n);
}

static void put_row(void *user, int y, const uint8_t *row) {
    tensor_writer *w = user;
    uint8_t *to[3];
    int step = w->step, right = w->x + w->width;
    if (w->gray) {
        oc__row_rgb_to_gray(w->gray, row, (size_t)w->width, step);
        row = w->gray;
        step = 1;
    }
    y += w->y;
    int stride = row_at(w, to, w->x, y);
    w->put(&w->levels, to, stride, row, step, w->width);
    if (w->x > 0) fill(w, 0, y, w->x);
    if (right < w->p->width) fill(w, right, y, w->p->width - right);
}

static void choose_put(tensor_writer *w) {
    w->put = oc__levels_row_scalar;
#if defined(OC__LEVELS_AVX2)
    if (w->levels.dtype == OC_DTYPE_F32 && w->p->layout == OC_LAYOUT_NCHW &&
        (oc_cpu_features() & OC_CPU_AVX2))
        w->put = oc__levels_row_f32_avx2;
#endif
}

static oc_status write_tensor(tensor_writer *w, const oc_image *img,
                              const placement *at, oc_error *err) {
    const oc_preprocess *p = w->p;
    /* Negative corners are cut off the resized picture, positive ones are
       padding around it. */
    oc__window part = {OC_MAX(-at->x, 0), OC_MAX(-at->y, 0),
                       OC_MIN(at->width, p->width),
                       OC_MIN(at->height, p->height)};
    oc_resize how = {.width = at->width,
                     .height = at->height,
                     .interpolation = p->interpolation,
                     .no_antialias = p->no_antialias,
                     .allocator = p->allocator};
    w->x = OC_MAX(at->x, 0);
    w->y = OC_MAX(at->y, 0);
    w->width = part.width;
    OC_TRY(oc__image_resize_rows(img, &how, &part, put_row, w, err));
    for (int y = 0; y < w->y; y++)
        fill(w, 0, y, p->width);
    for (int y = w->y + part.height; y < p->height; y++)
        fill(w, 0, y, p->width);
    return OC_OK;
}

oc_status oc_image_to_tensor(const oc_image *img, const oc_preprocess *p,
                             void *data, size_t bytes, oc_transform *where,
                             oc_error *err) {
    tensor_writer w;
    OC_TRY(oc__image_check(img, err));
    OC_TRY(check(p, err));
    oc_tensor shape = oc_preprocess_shape(p);
    size_t need = oc_tensor_bytes(&shape);
    if (!data || bytes < need)
        return oc__fail(err, OC_E_ARG,
                        "the tensor has room for %zu bytes and needs %zu",
                        data ? bytes : 0, need);
    /* Placed by the original size, so that decoding it smaller changes
       neither the place nor the boxes that come back. */
    int full_w = img->full_width > 0 ? img->full_width : img->width;
    int full_h = img->full_height > 0 ? img->full_height : img->height;
    placement at = place(p, full_w, full_h);
    w.p = p;
    w.data = data;
    w.step = img->channels;
    w.gray = NULL;
    w.gray_bytes = 0;
    oc__levels_init(&w.levels, p);
    choose_put(&w);
    if (p->color == OC_COLOR_GRAY && img->channels > 1) {
        w.gray_bytes = (size_t)p->width;
        w.gray = oc__image_get(p->allocator, w.gray_bytes);
        if (!w.gray) return oc__fail_nomem(err);
    }
    oc_status st = write_tensor(&w, img, &at, err);
    oc__image_put(p->allocator, w.gray, w.gray_bytes);
    if (st == OC_OK && where) fill_transform(where, &at, full_w, full_h);
    return st;
}

/* ---- and back ---------------------------------------------------------- */

static float back(double v, double offset, double scale, int limit) {
    double at = (v - offset) / scale;
    if (limit > 0) at = at < 0 ? 0 : at > limit ? limit : at;
    return (float)at;
}

void oc_transform_boxes(const oc_transform *t, float *boxes, size_t count) {
    for (size_t i = 0; i < count; i++, boxes += 4) {
        for (int k = 0; k < 4; k += 2) {
            boxes[k] = back((double)boxes[k], t->offset_x, t->scale_x,
                            t->source_width);
            boxes[k + 1] = back((double)boxes[k + 1], t->offset_y, t->scale_y,
                                t->source_height);
        }
    }
}

void oc_transform_points(const oc_transform *t, float *points, size_t count,
                         size_t stride) {
    for (size_t i = 0; i < count; i++, points += stride) {
        points[0] = back((double)points[0], t->offset_x, t->scale_x, 0);
        points[1] = back((double)points[1], t->offset_y, t->scale_y, 0);
    }
}
