/*
 * scene.c - draws a street with things that a detector knows: the picture on
 * the first page, made by us so that it is free of anybody's rights.
 *
 *     api_scene OUT.png      writes it
 *     api_scene              tests what is found in it
 *
 * A scene is a list of shapes, painted from back to front.  Each pixel takes
 * 4 x 4 samples, so that edges are as smooth as in the photos networks are
 * trained on.
 */
#define _POSIX_C_SOURCE 200809L

#include <ocelli/vision.h>

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { WIDTH = 960, HEIGHT = 640, SAMPLES = 4 };

static oc_image img;

/* ---- painting ------------------------------------------------------------ */

typedef struct point {
    double x, y;
} point;

/* Whether a point is inside what is being painted. */
typedef int inside_fn(const void *shape, double x, double y);

/* Between two colours from y0 to y1. */
typedef struct paint {
    uint32_t top, bottom;
    double y0, y1;
} paint;

static double channel(uint32_t color, int c) {
    return color >> (16 - 8 * c) & 255;
}

static void blend(int x, int y, double cover, const paint *p) {
    uint8_t *at = img.pixels + (size_t)y * img.stride + 3 * (size_t)x;
    double t = p->y1 > p->y0 ? (y - p->y0) / (p->y1 - p->y0) : 0;
    t = t < 0 ? 0 : t > 1 ? 1 : t;
    for (int c = 0; c < 3; c++) {
        double v = channel(p->top, c) * (1 - t) + channel(p->bottom, c) * t;
        at[c] = (uint8_t)lround(at[c] * (1 - cover) + v * cover);
    }
}

static void fill(inside_fn *inside, const void *shape, double x0, double y0,
                 double x1, double y1, const paint *p) {
    int left = (int)fmax(floor(x0), 0), right = (int)fmin(ceil(x1), WIDTH);
    int top = (int)fmax(floor(y0), 0), bottom = (int)fmin(ceil(y1), HEIGHT);
    for (int y = top; y < bottom; y++)
        for (int x = left; x < right; x++) {
            int hits = 0;
            for (int s = 0; s < SAMPLES * SAMPLES; s++)
                hits += inside(shape, x + (s % SAMPLES + 0.5) / SAMPLES,
                               y + (s / SAMPLES + 0.5) / SAMPLES);
            if (hits) blend(x, y, hits / (double)(SAMPLES * SAMPLES), p);
        }
}

typedef struct ellipse {
    double x, y, rx, ry;
} ellipse;

static int in_ellipse(const void *shape, double x, double y) {
    const ellipse *e = shape;
    double dx = (x - e->x) / e->rx, dy = (y - e->y) / e->ry;
    return dx * dx + dy * dy <= 1;
}

static void oval(double x, double y, double rx, double ry, uint32_t top,
                 uint32_t bottom) {
    ellipse e = {x, y, rx, ry};
    paint p = {top, bottom, y - ry, y + ry};
    fill(in_ellipse, &e, x - rx, y - ry, x + rx, y + ry, &p);
}

/* A rectangle with round corners. */
typedef struct box {
    double x0, y0, x1, y1, r;
} box;

static int in_box(const void *shape, double x, double y) {
    const box *b = shape;
    double dx = fmax(fmax(b->x0 + b->r - x, x - b->x1 + b->r), 0);
    double dy = fmax(fmax(b->y0 + b->r - y, y - b->y1 + b->r), 0);
    return x >= b->x0 && x <= b->x1 && y >= b->y0 && y <= b->y1 &&
           dx * dx + dy * dy <= b->r * b->r + 1e-9;
}

static void rect(double x0, double y0, double x1, double y1, double r,
                 uint32_t top, uint32_t bottom) {
    box b = {x0, y0, x1, y1, r};
    paint p = {top, bottom, y0, y1};
    fill(in_box, &b, x0, y0, x1, y1, &p);
}

typedef struct polygon {
    int n;
    const point *p;
} polygon;

static int in_polygon(const void *shape, double x, double y) {
    const polygon *g = shape;
    int odd = 0;
    for (int i = 0, j = g->n - 1; i < g->n; j = i++) {
        point a = g->p[i], b = g->p[j];
        if ((a.y > y) != (b.y > y) &&
            x < (b.x - a.x) * (y - a.y) / (b.y - a.y) + a.x)
            odd = !odd;
    }
    return odd;
}

static void poly(int n, const point *points, uint32_t top, uint32_t bottom) {
    polygon g = {n, points};
    point lo = points[0], hi = points[0];
    for (int i = 1; i < n; i++) {
        lo = (point){fmin(lo.x, points[i].x), fmin(lo.y, points[i].y)};
        hi = (point){fmax(hi.x, points[i].x), fmax(hi.y, points[i].y)};
    }
    paint p = {top, bottom, lo.y, hi.y};
    fill(in_polygon, &g, lo.x, lo.y, hi.x, hi.y, &p);
}

/* A thick line with round ends. */
typedef struct stroke {
    point a, b;
    double r;
} stroke;

static int in_stroke(const void *shape, double x, double y) {
    const stroke *s = shape;
    double dx = s->b.x - s->a.x, dy = s->b.y - s->a.y;
    double t = ((x - s->a.x) * dx + (y - s->a.y) * dy) / (dx * dx + dy * dy);
    t = t < 0 ? 0 : t > 1 ? 1 : t;
    double px = x - s->a.x - t * dx, py = y - s->a.y - t * dy;
    return px * px + py * py <= s->r * s->r;
}

static void line(double x0, double y0, double x1, double y1, double width,
                 uint32_t color) {
    stroke s = {{x0, y0}, {x1, y1}, width / 2};
    paint p = {color, color, 0, 0};
    fill(in_stroke, &s, fmin(x0, x1) - width, fmin(y0, y1) - width,
         fmax(x0, x1) + width, fmax(y0, y1) + width, &p);
}

/* ---- things -------------------------------------------------------------- */

static void octagon(double x, double y, double r, uint32_t top,
                    uint32_t bottom) {
    point p[8];
    for (int i = 0; i < 8; i++) {
        double a = (i + 0.5) * 3.14159265358979 / 4;
        p[i] = (point){x + r * cos(a), y + r * sin(a)};
    }
    poly(8, p, top, bottom);
}

/* S, T, O, P out of strokes; s is half a letter's height. */
static void letters(double x, double y, double s, double w) {
    const uint32_t white = 0xf4f4f0;
    double d = 1.6 * s;
    x -= 1.5 * d;
    const double sx[] = {0.6, 0, -0.6, -0.6, 0, 0.6, 0.6, 0, -0.6};
    const double sy[] = {-0.65, -0.9, -0.65, -0.3, 0, 0.3, 0.65, 0.9, 0.65};
    for (int i = 0; i < 8; i++)
        line(x + sx[i] * s, y + sy[i] * s, x + sx[i + 1] * s, y + sy[i + 1] * s,
             w, white);
    x += d;
    line(x - 0.65 * s, y - 0.9 * s, x + 0.65 * s, y - 0.9 * s, w, white);
    line(x, y - 0.9 * s, x, y + 0.9 * s, w, white);
    x += d;
    for (int i = 0; i < 16; i++) {
        double a = i * 3.14159265358979 / 8, b = (i + 1) * 3.14159265358979 / 8;
        line(x + 0.6 * s * cos(a), y + 0.9 * s * sin(a), x + 0.6 * s * cos(b),
             y + 0.9 * s * sin(b), w, white);
    }
    x += d;
    line(x - 0.5 * s, y - 0.9 * s, x - 0.5 * s, y + 0.9 * s, w, white);
    line(x - 0.5 * s, y - 0.9 * s, x + 0.2 * s, y - 0.9 * s, w, white);
    line(x + 0.2 * s, y - 0.9 * s, x + 0.6 * s, y - 0.45 * s, w, white);
    line(x + 0.6 * s, y - 0.45 * s, x + 0.2 * s, y, w, white);
    line(x + 0.2 * s, y, x - 0.5 * s, y, w, white);
}

static void stop_sign(double x, double y, double r, double foot) {
    rect(x - 5, y, x + 5, foot, 0, 0x9a9d9f, 0x6c6f72);
    octagon(x, y, r, 0xe9e6e2, 0xc9c6c2);
    octagon(x, y, 0.93 * r, 0xc8202a, 0xa3141e);
    letters(x, y, 0.265 * r, 0.085 * r);
}

static void traffic_light(double x, double y, double s, double foot) {
    rect(x - 0.12 * s, y, x + 0.12 * s, foot, 0, 0x53575a, 0x3c4043);
    rect(x - 0.5 * s, y - 1.4 * s, x + 0.5 * s, y + 1.4 * s, 0.15 * s, 0x2b2f2c,
         0x1b1e1c);
    const uint32_t off[] = {0x5a2320, 0x5a4a1c, 0x1fd66a};
    const uint32_t low[] = {0x3a1412, 0x3a300f, 0x12a04c};
    for (int i = 0; i < 3; i++) {
        double cy = y + (i - 1) * 0.9 * s;
        oval(x, cy, 0.36 * s, 0.36 * s, 0x101210, 0x101210);
        oval(x, cy, 0.31 * s, 0.31 * s, off[i], low[i]);
        if (i == 2)
            oval(x - 0.05 * s, cy - 0.05 * s, 0.16 * s, 0.16 * s, 0x9effc4,
                 0x3fe486);
    }
}

static void wheel(double x, double y, double r) {
    oval(x, y, r, r, 0x1c1c1e, 0x0e0e10);
    oval(x, y, 0.58 * r, 0.58 * r, 0xb9bcc0, 0x84878b);
    oval(x, y, 0.2 * r, 0.2 * r, 0x46484b, 0x36383b);
}

static void bus(double x, double y, double w, double h) {
    oval(x + w / 2, y + h * 1.02, w * 0.52, h * 0.06, 0x3a3c3f, 0x3a3c3f);
    rect(x, y, x + w, y + 0.92 * h, 0.07 * h, 0xf0b323, 0xd08f12);
    rect(x, y + 0.62 * h, x + w, y + 0.68 * h, 0, 0x24508c, 0x1b3f70);
    rect(x, y + 0.86 * h, x + w, y + 0.93 * h, 0.02 * h, 0x35373a, 0x26282b);
    for (int i = 0; i < 6; i++) {
        double wx = x + (0.035 + 0.137 * i) * w;
        rect(wx, y + 0.15 * h, wx + 0.12 * w, y + 0.52 * h, 0.03 * h, 0x9cc3d6,
             0x44606f);
        point shine[] = {{wx + 0.02 * w, y + 0.5 * h},
                         {wx + 0.06 * w, y + 0.17 * h},
                         {wx + 0.085 * w, y + 0.17 * h},
                         {wx + 0.045 * w, y + 0.5 * h}};
        poly(4, shine, 0xb9d7e4, 0x6b8794);
    }
    rect(x + 0.865 * w, y + 0.13 * h, x + 0.985 * w, y + 0.84 * h, 0.03 * h,
         0x8fb4c6, 0x405a68);
    rect(x + 0.92 * w, y + 0.13 * h, x + 0.93 * w, y + 0.84 * h, 0, 0xc08410,
         0xa87008);
    rect(x + 0.3 * w, y + 0.03 * h, x + 0.62 * w, y + 0.12 * h, 0.01 * h,
         0x1c1e20, 0x1c1e20);
    for (int i = 0; i < 9; i++)
        rect(x + (0.32 + 0.032 * i) * w, y + 0.05 * h,
             x + (0.342 + 0.032 * i) * w, y + 0.1 * h, 0, 0xffae2b, 0xffae2b);
    oval(x + 0.985 * w, y + 0.76 * h, 0.012 * w, 0.045 * h, 0xfff6d8, 0xe8d9a0);
    oval(x + 0.008 * w, y + 0.76 * h, 0.01 * w, 0.04 * h, 0xe43d30, 0xa8231a);
    for (int i = 0; i < 2; i++) {
        double cx = x + (i ? 0.76 : 0.2) * w;
        oval(cx, y + 0.9 * h, 0.135 * h, 0.135 * h, 0x2a2c2e, 0x2a2c2e);
        wheel(cx, y + 0.91 * h, 0.115 * h);
    }
}

static void car(double x, double y, double w, uint32_t top, uint32_t low) {
    double h = 0.36 * w;
    oval(x + w / 2, y + h, w * 0.52, h * 0.1, 0x3a3c3f, 0x3a3c3f);
    point cabin[] = {{x + 0.2 * w, y + 0.45 * h},
                     {x + 0.34 * w, y + 0.05 * h},
                     {x + 0.4 * w, y},
                     {x + 0.66 * w, y},
                     {x + 0.72 * w, y + 0.05 * h},
                     {x + 0.86 * w, y + 0.45 * h}};
    poly(6, cabin, top, top);
    rect(x, y + 0.4 * h, x + w, y + 0.86 * h, 0.16 * h, top, low);
    point front[] = {{x + 0.26 * w, y + 0.43 * h},
                     {x + 0.37 * w, y + 0.09 * h},
                     {x + 0.51 * w, y + 0.09 * h},
                     {x + 0.51 * w, y + 0.43 * h}};
    point back[] = {{x + 0.54 * w, y + 0.43 * h},
                    {x + 0.54 * w, y + 0.09 * h},
                    {x + 0.68 * w, y + 0.09 * h},
                    {x + 0.79 * w, y + 0.43 * h}};
    poly(4, front, 0xa8c9d8, 0x3f5663);
    poly(4, back, 0xa8c9d8, 0x3f5663);
    line(x + 0.525 * w, y + 0.45 * h, x + 0.525 * w, y + 0.8 * h, 1.5, low);
    rect(x + 0.44 * w, y + 0.52 * h, x + 0.5 * w, y + 0.55 * h, 1, 0xd5d8da,
         0x9a9da0);
    oval(x + 0.03 * w, y + 0.56 * h, 0.03 * w, 0.06 * h, 0xfff6d8, 0xe8d9a0);
    oval(x + 0.98 * w, y + 0.56 * h, 0.02 * w, 0.06 * h, 0xe43d30, 0xa8231a);
    rect(x + 0.02 * w, y + 0.78 * h, x + 0.98 * w, y + 0.88 * h, 2, 0x2f3134,
         0x232528);
    for (int i = 0; i < 2; i++) {
        double cx = x + (i ? 0.79 : 0.21) * w;
        oval(cx, y + 0.82 * h, 0.1 * w, 0.1 * w, 0x232528, 0x232528);
        wheel(cx, y + 0.84 * h, 0.085 * w);
    }
}

static void person(double x, double y, double h, uint32_t coat, uint32_t legs,
                   uint32_t hair) {
    const uint32_t skin = 0xd9a27e, dark = 0xb57f5c;
    double low = y + h;
    oval(x, low, 0.16 * h, 0.025 * h, 0x6f6b66, 0x6f6b66);
    line(x - 0.05 * h, y + 0.5 * h, x - 0.09 * h, low - 0.03 * h, 0.085 * h,
         legs);
    line(x + 0.04 * h, y + 0.5 * h, x + 0.1 * h, low - 0.04 * h, 0.085 * h,
         legs);
    line(x - 0.1 * h, low - 0.015 * h, x - 0.04 * h, low - 0.015 * h, 0.045 * h,
         0x2b2724);
    line(x + 0.1 * h, low - 0.025 * h, x + 0.16 * h, low - 0.015 * h, 0.045 * h,
         0x2b2724);
    line(x - 0.12 * h, y + 0.24 * h, x - 0.15 * h, y + 0.46 * h, 0.06 * h,
         coat);
    oval(x - 0.15 * h, y + 0.49 * h, 0.025 * h, 0.03 * h, skin, dark);
    rect(x - 0.13 * h, y + 0.17 * h, x + 0.13 * h, y + 0.55 * h, 0.07 * h, coat,
         coat - 0x181818);
    line(x + 0.11 * h, y + 0.24 * h, x + 0.16 * h, y + 0.44 * h, 0.06 * h,
         coat - 0x0c0c0c);
    oval(x + 0.165 * h, y + 0.475 * h, 0.025 * h, 0.03 * h, skin, dark);
    rect(x - 0.03 * h, y + 0.12 * h, x + 0.03 * h, y + 0.19 * h, 2, skin, dark);
    oval(x, y + 0.07 * h, 0.062 * h, 0.075 * h, hair, hair);
    oval(x + 0.008 * h, y + 0.085 * h, 0.052 * h, 0.062 * h, skin, dark);
    oval(x, y + 0.028 * h, 0.06 * h, 0.035 * h, hair, hair);
}

static void tree(double x, double foot, double s) {
    rect(x - 0.07 * s, foot - 0.6 * s, x + 0.07 * s, foot, 2, 0x6b4a30,
         0x4c3420);
    oval(x, foot - s, 0.42 * s, 0.45 * s, 0x6a9a4a, 0x35602c);
    oval(x - 0.25 * s, foot - 0.85 * s, 0.3 * s, 0.28 * s, 0x5d8e42, 0x31592a);
    oval(x + 0.27 * s, foot - 0.88 * s, 0.3 * s, 0.3 * s, 0x5f9044, 0x335c2b);
    oval(x + 0.05 * s, foot - 1.2 * s, 0.28 * s, 0.26 * s, 0x79a957, 0x44713a);
}

static void house(double x0, double y0, double x1, double foot, uint32_t top,
                  uint32_t low, int columns, int rows) {
    rect(x0, y0, x1, foot, 0, top, low);
    rect(x0 - 4, y0 - 8, x1 + 4, y0 + 2, 1, 0x75695f, 0x5c524a);
    double w = (x1 - x0) / columns, h = (foot - y0) / rows;
    for (int i = 0; i < columns * rows; i++) {
        double wx = x0 + (i % columns + 0.25) * w;
        double wy = y0 + (i / columns + 0.25) * h;
        rect(wx - 2, wy - 2, wx + 0.5 * w + 2, wy + 0.55 * h + 2, 0, 0xe6e0d6,
             0xcfc9bf);
        rect(wx, wy, wx + 0.5 * w, wy + 0.55 * h, 0, 0x8aa9b8, 0x44586a);
        line(wx + 0.25 * w, wy, wx + 0.25 * w, wy + 0.55 * h, 2, 0xdcd6cc);
    }
}

/* ---- the scene ----------------------------------------------------------- */

static void street(void) {
    rect(0, 0, WIDTH, 420, 0, 0x7fb2dd, 0xe4eef2);
    oval(180, 80, 70, 22, 0xffffff, 0xeef3f6);
    oval(235, 92, 60, 18, 0xffffff, 0xeaf0f4);
    oval(690, 60, 85, 20, 0xffffff, 0xeef3f6);
    house(-20, 150, 190, 425, 0xb98a6a, 0xa0745a, 4, 4);
    house(190, 195, 360, 425, 0xcfc4ae, 0xb5aa94, 3, 3);
    house(360, 165, 560, 425, 0x9fa8a3, 0x86908b, 4, 4);
    house(560, 210, 760, 425, 0xc9a08b, 0xae8874, 4, 3);
    house(760, 140, 985, 425, 0xaeb3bb, 0x949aa3, 4, 4);
    rect(0, 418, WIDTH, 450, 0, 0xb7b2aa, 0xa39e96);
    rect(0, 450, WIDTH, HEIGHT, 0, 0x5d6063, 0x484b4e);
    rect(0, 447, WIDTH, 453, 0, 0xd2cec7, 0x8f8b85);
    for (int i = 0; i < 7; i++)
        rect(30 + 150 * i, 548, 110 + 150 * i, 553, 0, 0xe2e0d8, 0xe2e0d8);
    rect(0, 590, WIDTH, 598, 0, 0xd2cec7, 0x8f8b85);
    rect(0, 598, WIDTH, HEIGHT, 0, 0xb7b2aa, 0xa09b93);
    for (int i = 0; i < 9; i++)
        line(110 * i + 30, 598, 110 * i, HEIGHT, 1.5, 0x8f8b85);
    tree(505, 440, 120);
    tree(655, 440, 105);
}

/* Edges in photos are never quite sharp. */
static void soften(void) {
    size_t bytes = img.stride * HEIGHT;
    uint8_t *copy = malloc(bytes);
    if (!copy) return;
    memcpy(copy, img.pixels, bytes);
    for (int y = 1; y < HEIGHT - 1; y++)
        for (size_t i = 3; i < 3 * (WIDTH - 1); i++) {
            const uint8_t *p = copy + (size_t)y * img.stride + i;
            int sum =
                4 * p[0] + p[-3] + p[3] + p[img.stride] + *(p - img.stride);
            img.pixels[(size_t)y * img.stride + i] = (uint8_t)((sum + 4) / 8);
        }
    free(copy);
}

static oc_status draw_scene(oc_error *err) {
    oc_status st = oc_image_init(&img, WIDTH, HEIGHT, 3, NULL, err);
    if (st) return st;
    street();
    car(12, 452, 195, 0x3f6fb0, 0x274a7c);
    bus(300, 330, 400, 185);
    traffic_light(745, 250, 46, 452);
    person(775, 375, 245, 0x8c3b45, 0x2f3b52, 0x3a2a1c);
    person(252, 392, 205, 0x3f7a5c, 0x4a4038, 0x1e1814);
    stop_sign(880, 270, 64, 625);
    soften();
    return OC_OK;
}

/* ---- what is found ------------------------------------------------------- */

static const struct {
    const char *label;
    float box[4];
} things[] = {
    {"person", {735, 375, 825, 622}},
    {"person", {214, 392, 293, 600}},
    {"traffic light", {722, 186, 768, 314}},
    {"stop sign", {821, 211, 939, 329}},
    {"car", {12, 452, 207, 530}},
    {"bus", {300, 330, 700, 522}},
};

/* Intersection over union. */
static double overlap(const float a[4], const float b[4]) {
    double w =
        fmin((double)a[2], (double)b[2]) - fmax((double)a[0], (double)b[0]);
    double h =
        fmin((double)a[3], (double)b[3]) - fmax((double)a[1], (double)b[1]);
    if (w <= 0 || h <= 0) return 0;
    double both = (double)((a[2] - a[0]) * (a[3] - a[1])) +
                  (double)((b[2] - b[0]) * (b[3] - b[1])) - w * h;
    return w * h / both;
}

static void scene_is_recognised(void **state) {
    (void)state;
    char path[512];
    const char *shared = getenv("OC_SHARED");
    snprintf(path, sizeof path, "%s/models/yolox_nano_coco.onnx",
             shared ? shared : "../shared");
    if (access(path, R_OK)) skip();
    oc_model *model;
    oc_vision *vision;
    oc_result r;
    assert_int_equal(draw_scene(NULL), OC_OK);
    assert_int_equal(oc_model_load(&model, path, NULL, NULL), OC_OK);
    assert_int_equal(oc_vision_create(&vision, model, NULL, NULL), OC_OK);
    assert_int_equal(oc_vision_run(vision, &img, &r, NULL), OC_OK);
    const int n = (int)(sizeof things / sizeof *things);
    assert_int_equal(r.object_count, n);
    for (int i = 0; i < n; i++) {
        int found = 0;
        for (int k = 0; k < n; k++)
            found += !strcmp(r.objects[k].label, things[i].label) &&
                     overlap(r.objects[k].box, things[i].box) > 0.8;
        assert_int_equal(found, 1);
    }
    oc_result_deinit(&r);
    oc_vision_destroy(vision);
    oc_model_destroy(model);
    oc_image_deinit(&img);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scene_is_recognised),
    };
    oc_error err;
    if (argc != 2)
        return cmocka_run_group_tests_name("scene", tests, NULL, NULL);
    if (draw_scene(&err) || oc_image_save(&img, argv[1], NULL, &err)) {
        fprintf(stderr, "scene: %s\n", err.message);
        return 1;
    }
    oc_image_deinit(&img);
    return 0;
}
