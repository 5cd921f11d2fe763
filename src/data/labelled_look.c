/*
 * labelled_look.c - what kind of pictures these are, by measuring.
 *
 * Photographs know where up is: skies are bright and smooth, grounds are not.
 * So over many of them, brightness, blue or edges of the upper half differ from
 * those of the lower by more than chance allows, which Student's t tells.
 * Where nothing differs, no way is up.  Edges that run along more than across
 * say besides that a quarter turn makes other pictures of them.
 */
#define _POSIX_C_SOURCE 200809L /* clock_gettime */

#include "data/labelled.h"

#include <math.h>
#include <string.h>
#include <time.h>

enum {
    LOOK_MOST = 256,
    LOOK_SIDE = 160, /* large pictures are decoded down to this */
    TINY = 64
};
/* With five figures looked at, chance passes this once in 3000 data sets. */
#define SURE 4.0

enum { LUMA, BLUE, EDGES, SPREAD, ACROSS, FIGURES };

typedef struct {
    double sum[FIGURES], square[FIGURES];
    double level[3], level_square[3];
    double pixels, seconds, bytes;
    int n, colored;
    int widths[LOOK_MOST * 4], heights[LOOK_MOST * 4];
} tally;

static double seconds_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Figures of one half: means over its pixels. */
typedef struct {
    double luma, square, blue, edges, n, edge_n;
} half;

static void add_pixel(tally *t, half *h, const uint8_t *p) {
    double y = 0.299 * p[0] + 0.587 * p[1] + 0.114 * p[2];
    h->luma += y;
    h->square += y * y;
    h->blue += p[2] - y;
    h->n++;
    for (int c = 0; c < 3; c++) {
        t->level[c] += p[c];
        t->level_square[c] += p[c] * p[c];
    }
    if (p[0] != p[1] || p[1] != p[2]) t->colored = 1;
}

static double spread(const half *h) {
    double m = h->luma / h->n;
    return sqrt(fmax(h->square / h->n - m * m, 0));
}

static void measure(tally *t, const oc_image *img) {
    half up = {0}, down = {0};
    double across = 0, along = 0;
    /* An even number of rows, so that both halves are of one size. */
    int rows = img->height & ~1;
    for (int y = 0; y < rows; y++) {
        half *h = y < rows / 2 ? &up : &down;
        const uint8_t *p = img->pixels + (size_t)y * img->stride;
        for (int x = 0; x < img->width; x++, p += 3) {
            add_pixel(t, h, p);
            if (x + 1 == img->width || y + 1 == rows) continue;
            double dx = fabs((double)p[4] - p[1]);
            double dy = fabs((double)p[img->stride + 1] - p[1]);
            across += dx;
            along += dy;
            h->edges += dx + dy;
            h->edge_n++;
        }
    }
    t->pixels += (double)rows * img->width;
    if (rows < 2) return;
    double d[FIGURES];
    d[LUMA] = (up.luma - down.luma) / up.n;
    d[BLUE] = (up.blue - down.blue) / up.n;
    /* As a share, so that some busy pictures do not drown the others. */
    double e = up.edges / fmax(up.edge_n, 1),
           f = down.edges / fmax(down.edge_n, 1);
    d[EDGES] = (e - f) / (e + f + 1e-3);
    d[SPREAD] = spread(&up) - spread(&down);
    d[ACROSS] = (across - along) / (across + along + 1);
    for (int i = 0; i < FIGURES; i++) {
        t->sum[i] += d[i];
        t->square[i] += d[i] * d[i];
    }
    t->n++;
}

/* |t| of the mean against 0. */
static double student(const tally *t, int figure) {
    double n = t->n, mean = t->sum[figure] / n;
    double var = (t->square[figure] - n * mean * mean) / (n - 1);
    if (t->n < 2 || !(var > 1e-12)) return 0;
    return fabs(mean) / sqrt(var / n);
}

static int middle(int *v, int n) {
    for (int i = 1; i < n; i++) { /* short lists */
        int x = v[i], k = i;
        for (; k && v[k - 1] > x; k--)
            v[k] = v[k - 1];
        v[k] = x;
    }
    return v[n / 2];
}

static oc__picture_kind kind_of(const oc__look_at_pictures *look) {
    int small = OC_MAX(look->max_width, look->max_height) <= TINY;
    if (small && look->gray) return OC_PICTURES_SIGNS;
    if (small) return OC_PICTURES_TINY;
    /* Tiles are cut out: all squares of one size. */
    if (look->same_size && look->width == look->height && look->looked >= 16 &&
        look->up_down < SURE)
        return OC_PICTURES_TILES;
    return OC_PICTURES_NATURAL;
}

static void summarise(oc__look_at_pictures *out, tally *t) {
    out->min_width = out->min_height = INT32_MAX;
    out->same_size = 1;
    for (int i = 0; i < out->looked; i++) {
        out->min_width = OC_MIN(out->min_width, t->widths[i]);
        out->min_height = OC_MIN(out->min_height, t->heights[i]);
        out->max_width = OC_MAX(out->max_width, t->widths[i]);
        out->max_height = OC_MAX(out->max_height, t->heights[i]);
    }
    out->same_size =
        out->min_width == out->max_width && out->min_height == out->max_height;
    out->width = middle(t->widths, out->looked);
    out->height = middle(t->heights, out->looked);
    out->gray = !t->colored;
    out->bytes = t->bytes / out->looked;
    out->decode_seconds = t->seconds / out->looked;
    for (int i = 0; i <= SPREAD; i++)
        out->up_down = fmax(out->up_down, student(t, i));
    out->turned = student(t, ACROSS);
    for (int c = 0; c < 3; c++) {
        double m = t->level[c] / t->pixels;
        double v = t->level_square[c] / t->pixels - m * m;
        out->mean[c] = (float)(m / 255);
        out->std[c] = (float)(sqrt(fmax(v, 1)) / 255);
    }
    out->kind = kind_of(out);
}

oc_status oc__labelled_look(oc__look_at_pictures *out, const oc__labelled *l,
                            int most, oc_error *err) {
    oc__look_at_pictures look = {0};
    oc_image_options opt = {.min_width = LOOK_SIDE,
                            .min_height = LOOK_SIDE,
                            .allocator = &l->allocator};
    oc_error why = {0};
    int n = oc__labelled_count(l, OC_PART_TRAIN);
    if (most <= 0) most = LOOK_MOST;
    if (most > LOOK_MOST * 4) most = LOOK_MOST * 4;
    int take = OC_MIN(n, most);
    tally *t = oc__calloc(&l->allocator, 1, sizeof *t);
    if (!t) return oc__fail_nomem(err);
    for (int i = 0; i < take; i++) {
        oc_image img = {0};
        const oc__labelled_picture *p =
            &l->pictures[l->first[OC_PART_TRAIN] +
                         (int)((int64_t)i * n / take)];
        double start = seconds_now();
        if (oc_image_load(&img, p->path, &opt, &why)) {
            look.failed++;
            continue;
        }
        t->seconds += seconds_now() - start;
        t->bytes += (double)p->bytes;
        t->widths[look.looked] = img.full_width ? img.full_width : img.width;
        t->heights[look.looked++] =
            img.full_height ? img.full_height : img.height;
        measure(t, &img);
        oc_image_deinit(&img);
    }
    if (look.looked) summarise(&look, t);
    oc__release(&l->allocator, t, sizeof *t);
    if (!look.looked)
        return oc__fail(err, OC_E_FORMAT,
                        "none of %d pictures can be read; the last one: %s",
                        take, why.message);
    *out = look;
    return OC_OK;
}

const char *oc__picture_kind_name(oc__picture_kind kind) {
    static const char *const names[] = {"photographs", "tiles without a way up",
                                        "tiny photographs", "signs"};
    return (int)kind >= 0 && (size_t)kind < OC_COUNT(names) ? names[kind] : "?";
}
