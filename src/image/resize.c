/*
 * resize.c - the order of work: each source row is filtered in x once, just
 * before the first output row needs it, and kept in a ring until the last one
 * has; nothing else is stored.
 *
 *     source rows --h--> ring of axis-y taps --v--> one row --> sink
 *
 * or, where a picture loses much more height than width, the other way round,
 * which needs no ring:
 *
 *     source rows --v--> one row --h--> one row --> sink
 *
 * The order shows in the result, because rows between the passes are rounded
 * to bytes; it is chosen as Pillow 13 does.
 */
#include "image/resize.h"

#include <assert.h>
#include <string.h>

typedef struct {
    const oc_image *img;
    const oc_allocator *allocator;
    oc__resize_axis x, y;
    oc__resize_h *h;
    oc__resize_v *v;
    int vertical_first;
    size_t row_bytes, room; /* of an output row, without and with slack */
    int ring_rows;
    uint8_t *ring;
    size_t ring_bytes;
    uint8_t *line[2]; /* finished rows */
    uint8_t *edge[2]; /* source rows with slack behind them */
    size_t edge_bytes;
    const uint8_t **kept; /* where source row y is: kept[y % ring_rows] */
    const uint8_t **rows; /* those of the current output, in order */
    size_t rows_bytes;    /* of each of the two */
    int next;             /* the source row to filter next */
    oc__row_sink *sink;
    void *user;
} resizer;

/** The bytes of source row y, readable as far as the kernels reach. */
static const uint8_t *source_row(resizer *r, int y, uint8_t *edge) {
    const oc_image *img = r->img;
    const uint8_t *row = img->pixels + (size_t)y * img->stride;
    size_t n = (size_t)img->width * (size_t)img->channels;
    /* Up to the last row there are more pixels behind this one. */
    size_t behind = (size_t)(img->height - 1 - y) * img->stride + n;
    if (behind >= r->edge_bytes) return row;
    memcpy(edge, row, n);
    return edge;
}

static void copy_pixels(uint8_t *dst, const uint8_t *src,
                        const oc__resize_axis *x, int channels) {
    size_t n = (size_t)channels;
    if (n == 1) {
        for (int i = 0; i < x->out; i++)
            dst[i] = src[x->start[i]];
        return;
    }
    for (int i = 0; i < x->out; i++, dst += n) {
        const uint8_t *p = src + (size_t)x->start[i] * n;
        for (size_t c = 0; c < n; c++)
            dst[c] = p[c];
    }
}

/** Source row y with x copied: in dst, or where it already is. */
static const uint8_t *copied_row(resizer *r, int y, uint8_t *dst) {
    const uint8_t *row = r->img->pixels + (size_t)y * r->img->stride;
    int32_t first = r->x.start[0];
    /* Steps of one axis differ by at most 1, so that this span means
       consecutive starts: the row can be lent as it is. */
    if (r->x.start[r->x.out - 1] - first == r->x.out - 1)
        return row + (size_t)first * (size_t)r->img->channels;
    copy_pixels(dst, row, &r->x, r->img->channels);
    return dst;
}

/** Source rows a and b filtered in x, to where dst says. */
static void filter_rows(resizer *r, int a, int b, uint8_t *const dst[2]) {
    const uint8_t *src[2];
    src[0] = source_row(r, a, r->edge[0]);
    src[1] = a == b ? src[0] : source_row(r, b, r->edge[1]);
    r->h(dst, src, &r->x, r->img->channels);
}

static void weigh_rows(resizer *r, int i, const uint8_t *const *rows,
                       uint8_t *to, size_t bytes) {
    size_t at = (size_t)i * (size_t)r->y.taps;
    const int16_t *fine = r->y.fine ? r->y.fine + at : NULL;
    r->v(to, rows, r->y.coef + at, fine, r->y.count[i], bytes, r->y.shift);
}

/* ---- the three orders of work ------------------------------------------ */

/** y copies rows: they come one by one, some more than once. */
static void run_rows(resizer *r) {
    const uint8_t *row = NULL;
    int row_y = -1;
    for (int i = 0; i < r->y.out; i++) {
        int y = r->y.start[i];
        if (y != row_y && r->x.copies) {
            row = copied_row(r, y, r->line[0]);
        } else if (y != row_y && row == r->line[0] && r->next == y) {
            row = r->line[1]; /* was made together with the last one */
        } else if (y != row_y) {
            int more = i + 1;
            while (more < r->y.out && r->y.start[more] == y)
                more++;
            r->next = more < r->y.out ? r->y.start[more] : y;
            filter_rows(r, y, r->next, r->line);
            row = r->line[0];
        }
        row_y = y;
        r->sink(r->user, i, row);
    }
}

/** Makes source rows up to the last one that output i takes. */
static void fill_ring(resizer *r, int i) {
    int first = r->y.start[i], end = first + r->y.count[i];
    int last = r->y.start[r->y.out - 1] + r->y.count[r->y.out - 1] - 1;
    if (r->next < first) r->next = first;
    while (r->next < end) {
        int a = r->next, b = OC_MIN(a + 1, last);
        int sa = a % r->ring_rows, sb = b % r->ring_rows;
        uint8_t *dst[2] = {r->ring + (size_t)sa * r->room,
                           r->ring + (size_t)sb * r->room};
        if (r->x.copies) {
            r->kept[sa] = copied_row(r, a, dst[0]);
            r->next = a + 1;
            continue;
        }
        filter_rows(r, a, b, dst);
        r->kept[sa] = dst[0];
        r->kept[sb] = dst[1];
        r->next = b + 1;
    }
}

static void run_ring(resizer *r) {
    for (int i = 0; i < r->y.out; i++) {
        fill_ring(r, i);
        for (int t = 0; t < r->y.count[i]; t++)
            r->rows[t] = r->kept[(r->y.start[i] + t) % r->ring_rows];
        weigh_rows(r, i, r->rows, r->line[0], r->row_bytes);
        r->sink(r->user, i, r->line[0]);
    }
}

/** Only the columns that the x direction takes. */
static void run_vertical_first(resizer *r) {
    const oc_image *img = r->img;
    size_t n = (size_t)img->channels;
    int32_t last = r->x.start[r->x.out - 1] + r->x.count[r->x.out - 1];
    size_t first = (size_t)r->x.start[0] * n, end = (size_t)last * n;
    for (int i = 0; i < r->y.out; i += 2) {
        int pair = i + 1 < r->y.out ? 2 : 1;
        for (int k = 0; k < pair; k++) {
            for (int t = 0; t < r->y.count[i + k]; t++)
                r->rows[t] = img->pixels + first +
                             (size_t)(r->y.start[i + k] + t) * img->stride;
            weigh_rows(r, i + k, r->rows, r->edge[k] + first, end - first);
        }
        const uint8_t *src[2] = {r->edge[0], r->edge[pair - 1]};
        uint8_t *dst[2] = {r->line[0], r->line[pair - 1]};
        r->h(dst, src, &r->x, img->channels);
        for (int k = 0; k < pair; k++)
            r->sink(r->user, i + k, r->line[k]);
    }
}

static oc_status allocate(resizer *r, oc_error *err) {
    const oc_allocator *a = r->allocator;
    size_t n = (size_t)r->img->channels;
    int missing = 0;
    r->row_bytes = (size_t)r->x.out * n;
    r->room = r->row_bytes + OC__RESIZE_SLACK;
    r->edge_bytes =
        ((size_t)r->img->width + (size_t)r->x.taps) * n + OC__RESIZE_SLACK;
    for (int k = 0; k < 2; k++) {
        r->line[k] = oc__image_get(a, r->room);
        /* Zeroed: what is behind a row is read, though multiplied by 0. */
        if (!r->x.copies) r->edge[k] = oc__image_get_zero(a, r->edge_bytes);
        missing |= !r->line[k] || (!r->edge[k] && !r->x.copies);
    }
    if (missing) return oc__fail_nomem(err);
    if (r->y.copies) return OC_OK;
    /* One more than a window: rows are made in pairs. */
    r->ring_rows = r->y.most + 1;
    r->rows_bytes = (size_t)r->ring_rows * sizeof(*r->rows);
    if (oc__size_mul(r->room, (size_t)r->ring_rows, &r->ring_bytes))
        return oc__fail_nomem(err);
    if (!r->vertical_first) r->ring = oc__image_get(a, r->ring_bytes);
    r->kept = oc__image_get_zero(a, r->rows_bytes);
    r->rows = oc__image_get_zero(a, r->rows_bytes);
    if (!r->kept || !r->rows || (!r->ring && !r->vertical_first))
        return oc__fail_nomem(err);
    return OC_OK;
}

static void deinit(resizer *r) {
    for (int k = 0; k < 2; k++) {
        oc__image_put(r->allocator, r->line[k], r->room);
        oc__image_put(r->allocator, r->edge[k], r->edge_bytes);
    }
    oc__image_put(r->allocator, r->ring, r->ring_bytes);
    oc__image_put(r->allocator, (void *)r->kept, r->rows_bytes);
    oc__image_put(r->allocator, (void *)r->rows, r->rows_bytes);
    oc__resize_axis_deinit(&r->x);
    oc__resize_axis_deinit(&r->y);
}

/** Checks how and fills box, whose zeros mean the whole picture. */
static oc_status check(const oc_image *img, const oc_resize *how, double *box,
                       oc_error *err) {
    enum { MOST = 1 << 24 };
    OC_TRY(oc__image_check(img, err));
    if (!how || how->width <= 0 || how->height <= 0 || how->width > MOST ||
        how->height > MOST)
        return oc__fail(err, OC_E_ARG,
                        "a picture cannot be resized to %d x %d pixels",
                        how ? how->width : 0, how ? how->height : 0);
    if ((int)how->interpolation < 0 || how->interpolation > OC_INTERP_LANCZOS)
        return oc__fail(err, OC_E_ARG, "there is no interpolation %d",
                        (int)how->interpolation);
    memcpy(box, how->box, 4 * sizeof(*box));
    if (box[0] == 0 && box[1] == 0 && box[2] == 0 && box[3] == 0) {
        box[2] = img->width;
        box[3] = img->height;
    }
    /* Written so that NaN fails. */
    if (!(box[0] >= 0 && box[1] >= 0 && box[2] <= img->width &&
          box[3] <= img->height && box[0] < box[2] && box[1] < box[3]))
        return oc__fail(err, OC_E_ARG,
                        "the box %g,%g..%g,%g does not lie in the picture of "
                        "%d x %d pixels",
                        box[0], box[1], box[2], box[3], img->width,
                        img->height);
    return OC_OK;
}

oc_status oc__image_resize_rows_on(const oc_image *img, const oc_resize *how,
                                   const oc__window *part, uint32_t cpu,
                                   oc__row_sink *sink, void *user,
                                   oc_error *err) {
    double box[4];
    resizer r;
    oc_status st;
    OC_TRY(check(img, how, box, err));
    oc__window w = {0, 0, how->width, how->height};
    if (part) w = *part;
    assert(w.x >= 0 && w.y >= 0 && w.width > 0 && w.height > 0);
    assert(w.width <= how->width - w.x && w.height <= how->height - w.y);
    memset(&r, 0, sizeof(r));
    r.next = -1;
    r.img = img;
    r.allocator = how->allocator;
    r.sink = sink;
    r.user = user;
    r.h = oc__resize_h_scalar;
    r.v = oc__resize_v_scalar;
#if defined(OC__RESIZE_AVX2)
    if (cpu & OC_CPU_AVX2) {
        r.h = oc__resize_h_avx2;
        r.v = oc__resize_v_avx2;
    }
#else
    (void)cpu;
#endif
    st = oc__resize_axis_init(&r.x, img->width, box[0], box[2], how->width, w.x,
                              w.width, how, err);
    if (st == OC_OK)
        st = oc__resize_axis_init(&r.y, img->height, box[1], box[3],
                                  how->height, w.y, w.height, how, err);
    if (st == OC_OK) {
        /* The whole picture counts, not the box: that is Pillow's rule.
           Without antialiasing there is none, and x goes first. */
        int64_t less_wide = (int64_t)img->width - how->width;
        int64_t less_high = (int64_t)img->height - how->height;
        r.vertical_first = !r.x.copies && !r.y.copies && !how->no_antialias &&
                           less_high > 0 && less_high > 2 * less_wide;
        st = allocate(&r, err);
    }
    if (st == OC_OK && r.vertical_first) {
        run_vertical_first(&r);
    } else if (st == OC_OK) {
        (r.y.copies ? run_rows : run_ring)(&r);
    }
    deinit(&r);
    return st;
}

oc_status oc__image_resize_rows(const oc_image *img, const oc_resize *how,
                                const oc__window *part, oc__row_sink *sink,
                                void *user, oc_error *err) {
    return oc__image_resize_rows_on(img, how, part, oc_cpu_features(), sink,
                                    user, err);
}

static void to_image(void *user, int y, const uint8_t *row) {
    oc_image *img = user;
    memcpy(img->pixels + (size_t)y * img->stride, row,
           (size_t)img->width * (size_t)img->channels);
}

oc_status oc_image_resize(oc_image *out, const oc_image *img,
                          const oc_resize *how, oc_error *err) {
    double box[4];
    oc_image made = {0};
    OC_TRY(check(img, how, box, err));
    if (!out) return oc__fail(err, OC_E_ARG, "no place for the picture given");
    OC_TRY(oc_image_init(&made, how->width, how->height, img->channels,
                         how->allocator, err));
    oc_status st = oc__image_resize_rows(img, how, NULL, to_image, &made, err);
    if (st != OC_OK) {
        oc_image_deinit(&made);
        return st;
    }
    *out = made;
    return OC_OK;
}
