/*
 * make_tiles.c - tiles as seen from above, drawn: what a demonstration shows
 * where no pictures of others may be passed on.
 *
 *     make_tiles DIR
 *
 * writes DIR/dry.png and DIR/flooded.png: the same few houses, trees and a
 * street, on grass and in brown water.  Nothing of it comes
 * from a photograph.
 */
#include <ocelli/vision.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { SIDE = 128, HOUSES = 9, TREES = 34 };

typedef struct color {
    double r, g, b;
} color;

static color mixed(color a, color b, double t) {
    return (color){a.r + (b.r - a.r) * t, a.g + (b.g - a.g) * t,
                   a.b + (b.b - a.b) * t};
}

/* ---- noise ----------------------------------------------------------------
 */

/* 0..1, the same for the same place. */
static double speck(int x, int y, unsigned seed) {
    unsigned h = (unsigned)x * 374761393u + (unsigned)y * 668265263u +
                 seed * 2246822519u;
    h = (h ^ (h >> 13)) * 1274126177u;
    return (double)((h ^ (h >> 16)) & 0xffffff) / 0xffffff;
}

/* Specks on a grid of `step` pixels, with smooth ways between them. */
static double cloud(double x, double y, double step, unsigned seed) {
    x /= step;
    y /= step;
    int i = (int)floor(x), j = (int)floor(y);
    double u = x - i, v = y - j;
    u = u * u * (3 - 2 * u);
    v = v * v * (3 - 2 * v);
    double top = speck(i, j, seed) * (1 - u) + speck(i + 1, j, seed) * u;
    double low =
        speck(i, j + 1, seed) * (1 - u) + speck(i + 1, j + 1, seed) * u;
    return top * (1 - v) + low * v;
}

/* Clouds of several sizes, -1..1. */
static double rough(double x, double y, unsigned seed) {
    double sum = 0, weight = 0.5;
    for (double step = 24; step > 1; step /= 2, weight *= 0.7)
        sum += weight * (2 * cloud(x, y, step, seed + (unsigned)step) - 1);
    return sum;
}

/* ---- what lies there ------------------------------------------------------
 */

static color ground(double x, double y, int wet) {
    static const color grass = {88, 108, 66}, soil = {142, 136, 112};
    static const color water = {152, 138, 104}, deep = {128, 117, 86};
    if (wet) {
        /* Wind draws fine lines on it. */
        double ripple = cloud(x * 2 + y, y * 4 - x, 3, 5) - 0.5;
        color c = mixed(water, deep, 0.5 + 0.5 * rough(x / 2, y / 2, 3));
        return mixed(c, (color){182, 170, 136}, 0.25 * ripple);
    }
    color c = mixed(grass, soil, 0.35 + 0.5 * rough(x, y, 7));
    double side = fabs(y - 0.12 * x - 86); /* the street */
    if (side < 7) c = (color){146, 143, 134};
    if (side > 7 && side < 8.5) c = (color){176, 172, 160};
    double pale = 16 * rough(x * 2, y * 2, 9);
    return (color){c.r + pale, c.g + pale, c.b + pale};
}

/* Place, half sides, turn. */
static const double houses[HOUSES][5] = {
    {17, 20, 14, 11, 0.10},  {50, 17, 13, 13, 0.12}, {83, 24, 14, 11, 0.10},
    {115, 22, 12, 13, 0.14}, {20, 55, 13, 12, 0.12}, {56, 53, 14, 11, 0.10},
    {94, 60, 14, 12, 0.12},  {34, 119, 15, 12, 0.1}, {84, 121, 14, 12, 0.12},
};

/* The middle lies low: there the water is over the roofs. */
static int is_sunk(int i, int wet) {
    return wet && i >= 4 && i <= 6;
}

/* Into the axes of house i; 1 when the point is on its roof. */
static int on_roof(int i, double x, double y, double *u, double *v) {
    const double *h = houses[i];
    double c = cos(h[4]), s = sin(h[4]), dx = x - h[0], dy = y - h[1];
    *u = (c * dx + s * dy) / h[2];
    *v = (c * dy - s * dx) / h[3];
    return fabs(*u) < 1 && fabs(*v) < 1;
}

static color with_houses(color c, double x, double y, int wet) {
    static const color roofs[] = {{98, 84, 76}, {84, 84, 88}, {116, 94, 82}};
    double u, v;
    for (int i = 0; i < HOUSES && !wet; i++) /* shadows on dry ground */
        if (on_roof(i, x - 5, y + 4, &u, &v))
            c = mixed(c, (color){26, 32, 30}, 0.85);
    for (int i = 0; i < HOUSES; i++) {
        /* A drive, and cars on some of them. */
        const double *h = houses[i];
        double dx = x - h[0] - 9, dy = y - h[1] - h[3] - 5;
        if (!wet && fabs(dx) < 4 && fabs(dy) < 7) c = (color){178, 174, 164};
        if (!wet && i % 2 && fabs(dx) < 2 && fabs(dy - 1) < 3.5)
            c = i % 4 == 1 ? (color){226, 226, 228} : (color){70, 34, 34};
        if (is_sunk(i, wet) || !on_roof(i, x, y, &u, &v)) continue;
        double light = v < 0 ? 1.2 : 0.8, grain = 9 * rough(x * 3, y * 3, 21);
        if (fabs(v) < 0.06) light = 1.3; /* the ridge */
        color r = roofs[i % 3];
        c = (color){r.r * light + grain, r.g * light + grain,
                    r.b * light + grain};
        if (wet) c = mixed(c, (color){140, 128, 98}, 0.25);
    }
    return c;
}

static color with_trees(color c, double x, double y, int wet) {
    for (int i = 0; i < TREES; i++) {
        double cx = 8 + speck(i, 1, 31) * 116, cy = 4 + speck(i, 2, 31) * 120;
        double size = 4 + 4 * speck(i, 3, 31), u, v;
        int taken = fabs(cy - 0.12 * cx - 86) < 9;
        for (int k = 0; k < HOUSES; k++)
            taken |= on_roof(k, cx, cy, &u, &v);
        if (taken) continue;
        double edge = size * (1 + 0.35 * rough(x * 2, y * 2, 40));
        double d = hypot(x - cx, y - cy), shade = hypot(x - cx - 4, y - cy + 3);
        if (!wet && shade < edge && d >= edge)
            c = mixed(c, (color){34, 42, 34}, 0.6);
        if (d >= edge) continue;
        double light = 12 * rough(x * 3, y * 3, 50) + 8 * (cx - x) / size;
        c = (color){58 + light, 78 + light, 50 + light};
    }
    return c;
}

/* ---- drawing --------------------------------------------------------------
 */

static color at(double x, double y, int wet) {
    return with_trees(with_houses(ground(x, y, wet), x, y, wet), x, y, wet);
}

static uint8_t level(double v) {
    return (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v + 0.5);
}

/* As soft as what comes from so high up: each pixel sees its neighbours. */
static void draw(oc_image *img, int wet) {
    for (int y = 0; y < SIDE; y++) {
        for (int x = 0; x < SIDE; x++) {
            double sum[3] = {0}, weights = 0;
            for (int k = 0; k < 25; k++) {
                double dx = (k % 5 - 2) * 0.5, dy = (k / 5 - 2) * 0.5;
                double w = exp(-(dx * dx + dy * dy));
                color c = at(x + dx, y + dy, wet);
                sum[0] += w * c.r;
                sum[1] += w * c.g;
                sum[2] += w * c.b;
                weights += w;
            }
            uint8_t *p = img->pixels + (size_t)y * img->stride + 3 * (size_t)x;
            for (int c = 0; c < 3; c++)
                p[c] = level(sum[c] / weights);
        }
    }
}

int main(int argc, char **argv) {
    static const char *const names[] = {"dry", "flooded"};
    if (argc != 2) {
        fputs("usage: make_tiles DIR\n", stderr);
        return 2;
    }
    for (int wet = 0; wet < 2; wet++) {
        char path[1024];
        oc_error err = {0};
        oc_image img = {0};
        oc_image_save_options opt = {0};
        snprintf(path, sizeof(path), "%s/%s.png", argv[1], names[wet]);
        if (oc_image_init(&img, SIDE, SIDE, 3, NULL, &err)) {
            fprintf(stderr, "make_tiles: %s\n", err.message);
            return 1;
        }
        draw(&img, wet);
        oc_status st = oc_image_save(&img, path, &opt, &err);
        oc_image_deinit(&img);
        if (st) {
            fprintf(stderr, "make_tiles: %s: %s\n", path, err.message);
            return 1;
        }
    }
    return 0;
}
