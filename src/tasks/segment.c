/*
 * segment.c - a mask of the original's size.
 *
 * Class scores are interpolated to the original's pixels and only then
 * compared: edges come out at the picture's resolution, not the network's.
 * One row at a time, so the memory is that of two rows:
 *
 *     score rows y0, y1 --lerp--> one row --lerp in x--> best class so far
 */
#include "tasks/vision_private.h"

#include "base/sort.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Which two samples a pixel lies between, and how far. */
typedef struct tap {
    int64_t a, b;
    float t;
} tap;

/*
 * Pixel i of the original in a map of n samples that spans `input` pixels of
 * the network's input.
 */
static tap tap_at(int64_t i, double scale, double offset, int input,
                  int64_t n) {
    double at = (((double)i + 0.5) * scale + offset) * (double)n / input - 0.5;
    if (at < 0) at = 0;
    if (at > (double)(n - 1)) at = (double)(n - 1);
    int64_t a = (int64_t)at;
    return (tap){a, OC_MIN(a + 1, n - 1), (float)(at - (double)a)};
}

static int64_t nearest(tap t) {
    return t.t < 0.5f ? t.a : t.b;
}

oc_status oc__maps_of(const oc__heads *h, oc__maps *out, oc_error *err) {
    oc__head y;
    int labels = h->card->labels.n;
    if (h->n && h->head[0].rank == 2) { /* [h,w] alone */
        y = h->head[0];
        *out = (oc__maps){1, y.dims[0], y.dims[1], 0, y.dims[1], 1, y.v};
        if (out->h < 1 || out->w < 1)
            return oc__head_fail(h, 0, "it is empty", err);
        return OC_OK;
    }
    OC_TRY(oc__head_rank(h, 0, 3, &y, err));
    const int64_t *d = y.dims;
    int64_t want = !strcmp(h->card->kind, "logits") ? labels : 1;
    /*
     * Channels are where the labels' count is; failing that, the two dims
     * that have the input's shape are height and width.
     */
    int first = d[0] == want;
    int last = d[2] == want;
    if (first == last) {
        int64_t a = d[1] * h->width - d[2] * h->height;
        int64_t b = d[0] * h->width - d[1] * h->height;
        first = llabs(a) <= llabs(b);
    }
    if (first)
        *out = (oc__maps){d[0], d[1], d[2], d[1] * d[2], d[2], 1, y.v};
    else
        *out = (oc__maps){d[2], d[0], d[1], 1, d[1] * d[2], d[2], y.v};
    if (out->n < 1 || out->h < 1 || out->w < 1)
        return oc__head_fail(h, 0, "it is empty", err);
    return OC_OK;
}

/* Row y of one class, as long as the original is wide. */
static void lerp_row(const oc__maps *m, int64_t c, tap ty, const tap *tx,
                     int width, float *tmp, float *out) {
    const float *a = m->v + c * m->step_n + ty.a * m->step_y;
    const float *b = m->v + c * m->step_n + ty.b * m->step_y;
    for (int64_t x = 0; x < m->w; x++) {
        float p = a[x * m->step_x], q = b[x * m->step_x];
        tmp[x] = p + (q - p) * ty.t;
    }
    for (int x = 0; x < width; x++) {
        float p = tmp[tx[x].a], q = tmp[tx[x].b];
        out[x] = p + (q - p) * tx[x].t;
    }
}

typedef struct rows {
    tap *tx;
    float *tmp, *row, *best;
} rows;

static void best_of_row(const oc__maps *m, tap ty, const rows *r, int width,
                        uint8_t *to) {
    lerp_row(m, 0, ty, r->tx, width, r->tmp, r->best);
    memset(to, 0, (size_t)width);
    for (int64_t c = 1; c < m->n; c++) {
        lerp_row(m, c, ty, r->tx, width, r->tmp, r->row);
        for (int x = 0; x < width; x++) {
            if (r->row[x] > r->best[x]) {
                r->best[x] = r->row[x];
                to[x] = (uint8_t)c;
            }
        }
    }
}

static void mask_of_row(const oc__maps *m, tap ty, const rows *r, int width,
                        float limit, uint8_t *to) {
    lerp_row(m, 0, ty, r->tx, width, r->tmp, r->best);
    for (int x = 0; x < width; x++) {
        to[x] = r->best[x] >= limit;
    }
}

/* Class numbers are not interpolated. */
static void numbers_of_row(const oc__maps *m, tap ty, const rows *r, int width,
                           uint8_t *to) {
    const float *row = m->v + nearest(ty) * m->step_y;
    for (int x = 0; x < width; x++) {
        float v = row[nearest(r->tx[x]) * m->step_x];
        to[x] = (uint8_t)(v >= 0 && v < 256 ? v : 255);
    }
}

static oc_status make_mask(const oc_vision *v, const oc__heads *h,
                           const oc__maps *m, const oc_transform *where,
                           oc_result *out, oc_error *err) {
    int width = where->source_width, height = where->source_height;
    oc__arena arena;
    rows r;
    OC_TRY(oc_image_init(&out->mask, width, height, 1,
                         oc__result_allocator(out), err));
    oc__arena_init(&arena, &v->allocator);
    r.tx = oc__arena_array(&arena, (size_t)width, sizeof *r.tx);
    r.tmp = oc__arena_array(&arena, (size_t)m->w, sizeof *r.tmp);
    r.row = oc__arena_array(&arena, (size_t)width, sizeof *r.row);
    r.best = oc__arena_array(&arena, (size_t)width, sizeof *r.best);
    if (!r.tx || !r.tmp || !r.row || !r.best) {
        oc__arena_deinit(&arena);
        return oc__fail_nomem(err);
    }
    for (int x = 0; x < width; x++) {
        r.tx[x] = tap_at(x, where->scale_x, where->offset_x, h->width, m->w);
    }
    int numbers = !strcmp(v->card->kind, "argmax");
    int mask = !strcmp(v->card->kind, "mask");
    float limit = v->threshold;
    /* Comparing logits spares a sigmoid for each pixel. */
    if (v->card->activation == OC_SCORES_SIGMOID)
        limit = logf(limit / (1 - limit));
    for (int y = 0; y < height; y++) {
        uint8_t *to = out->mask.pixels + (size_t)y * out->mask.stride;
        tap ty = tap_at(y, where->scale_y, where->offset_y, h->height, m->h);
        if (numbers)
            numbers_of_row(m, ty, &r, width, to);
        else if (mask)
            mask_of_row(m, ty, &r, width, limit, to);
        else
            best_of_row(m, ty, &r, width, to);
    }
    oc__arena_deinit(&arena);
    return OC_OK;
}

static int by_count(const void *ctx, int64_t a, int64_t b) {
    const int64_t *n = ctx;
    return n[a] < n[b] ? 1 : n[a] > n[b] ? -1 : 0;
}

static oc_status count_classes(const oc_vision *v, oc_result *out,
                               oc_error *err) {
    int64_t count[256] = {0}, index[256], tmp[256];
    for (int y = 0; y < out->mask.height; y++) {
        const uint8_t *row = out->mask.pixels + (size_t)y * out->mask.stride;
        for (int x = 0; x < out->mask.width; x++) {
            count[row[x]]++;
        }
    }
    int n = 0;
    for (int i = 0; i < 256; i++) {
        if (count[i]) index[n++] = i;
    }
    oc__sort_index(index, tmp, (size_t)n, by_count, count);
    out->classes = oc__result_alloc(out, (size_t)n, sizeof *out->classes);
    if (!out->classes && n) return oc__fail_nomem(err);
    double total = (double)out->mask.width * out->mask.height;
    for (int i = 0; i < n; i++) {
        out->classes[i] =
            (oc_class_share){oc__vision_label(v, index[i]), (int)index[i],
                             (double)count[index[i]] / total};
    }
    out->class_count = n;
    return OC_OK;
}

oc_status oc__segment(const oc_vision *v, const oc__heads *h,
                      const oc_transform *where, oc_result *out,
                      oc_error *err) {
    oc__maps m;
    int labels = v->card->labels.n;
    OC_TRY(oc__maps_of(h, &m, err));
    int logits = !strcmp(v->card->kind, "logits");
    if (logits && labels && m.n != labels)
        return oc__fail(err, OC_E_SHAPE,
                        "there are %d labels, but the output \"%.60s\" has "
                        "%lld classes",
                        labels, h->head[0].name, (long long)m.n);
    if (!logits && m.n != 1)
        return oc__head_fail(h, 0, "it has more than one channel", err);
    if (m.n > 256)
        return oc__fail(err, OC_E_UNSUPPORTED,
                        "%lld classes are more than a mask of bytes can tell "
                        "apart (256)",
                        (long long)m.n);
    OC_TRY(make_mask(v, h, &m, where, out, err));
    return count_classes(v, out, err);
}
