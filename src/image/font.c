/*
 * font.c - the built-in font: strokes, so that it is sharp at any size.
 *
 * A glyph is a few strokes separated by spaces.  A point is two letters, x
 * from 'a' = 0 and y from 'E' = 0:
 *
 *     y  S 14  top of capitals      x  a 0 ... m 12
 *        O 10  top of small letters
 *        E  0  base line            a line of text is 22 units high:
 *        A -4  below                17 above the base line and 5 below
 *
 * Bare points are joined by straight lines; one alone is a dot.  "~" makes
 * the points a curve from the first to the last: the others pull (a quadratic
 * B-spline).  "@" closes such a curve.
 */
#include "image/draw.h"

#include <math.h>
#include <string.h>

enum { UNITS = 22, ABOVE = 17, GAP = 4, SPACE = 6 };
/* Half of a stroke's width, in units. */
#define PEN 1.05f

static const char *const glyphs[95] = {
    "",                                 /* space */
    "aSaJ aE",                          /* ! */
    "aSaO eSeO",                        /* " */
    "cEeS gEiS aJkJ aNkN",              /* # */
    "~iPiSaSaLiLiEaEaH eCeU",           /* $ */
    "@aSeSeNaN @gJkJkEgE kSaE",         /* % */
    "~kEcNbShShNaKaEgEjK",              /* & */
    "aSaO",                             /* ' */
    "~dTaPaDdB",                        /* ( */
    "~aTdPdDaB",                        /* ) */
    "eSeK aQiM aMiQ",                   /* * */
    "eGeO aKiK",                        /* + */
    "bFaB",                             /* , */
    "aKfK",                             /* - */
    "aE",                               /* . */
    "aChT",                             /* / */
    "@aSiSiEaE",                        /* 0 */
    "aPdSdE",                           /* 1 */
    "~aPaSiSiMaE aEiE",                 /* 2 */
    "~aQaSiSiLdL ~dLiLiEaEaG",          /* 3 */
    "gEgSaIjI",                         /* 4 */
    "iSbSbM ~bMdNiNiEaEaG",             /* 5 */
    "@aMiMiEaE ~aIaPgS",                /* 6 */
    "aSiScE",                           /* 7 */
    "@bShShLbL @aLiLiEaE",              /* 8 */
    "@aSiSiKaK ~iOiHcE",                /* 9 */
    "aE aM",                            /* : */
    "bFaB bM",                          /* ; */
    "iOaKiG",                           /* < */
    "aIiI aMiM",                        /* = */
    "aOiKaG",                           /* > */
    "~aQaSiSiMeMeI eE",                 /* ? */
    "~kEaCaSmSmHiHiM @dNiNiHdH",        /* @ */
    "aEfSkE bIjI",                      /* A */
    "aEaS ~aSeSiSiLeLaL ~aLeLjLjEeEaE", /* B */
    "~jPjSaSaEjEjH",                    /* C */
    "aEaS ~aSeSjSjEeEaE",               /* D */
    "iSaSaEiE aLgL",                    /* E */
    "iSaSaE aLgL",                      /* F */
    "~jPjSaSaEjEjL jLfL",               /* G */
    "aSaE jSjE aLjL",                   /* H */
    "aSaE",                             /* I */
    "~gSgJgEaEaI",                      /* J */
    "aSaE jSaJ dMjE",                   /* K */
    "aSaEiE",                           /* L */
    "aEaSfGkSkE",                       /* M */
    "aEaSjEjS",                         /* N */
    "@aSkSkEaE",                        /* O */
    "aEaS ~aSeSjSjKeKaK",               /* P */
    "@aSkSkEaE gHlC",                   /* Q */
    "aEaS ~aSeSjSjKeKaK eKjE",          /* R */
    "~iPiSaSaLiLiEaEaH",                /* S */
    "aSkS fSfE",                        /* T */
    "~aSaIaEjEjIjS",                    /* U */
    "aSfEkS",                           /* V */
    "aSdEgPjEmS",                       /* W */
    "aSjE jSaE",                        /* X */
    "aSfLkS fLfE",                      /* Y */
    "aSjSaEjE",                         /* Z */
    "dTaTaBdB",                         /* [ */
    "aThC",                             /* \ */
    "aTdTdBaB",                         /* ] */
    "aNdSgN",                           /* ^ */
    "aBkB",                             /* _ */
    "aSdP",                             /* ` */
    "@aOiOiEaE iOiE",                   /* a */
    "aSaE @aOiOiEaE",                   /* b */
    "~hMhOaOaEhEhG",                    /* c */
    "iSiE @aOiOiEaE",                   /* d */
    "aJiJ ~iJiOaOaEhEiH",               /* e */
    "~gScScNcE aOfO",                   /* f */
    "@aOiOiEaE ~iOiEiAaAaC",            /* g */
    "aSaE ~aJaOiOiIiE",                 /* h */
    "aOaE aS",                          /* i */
    "~dOdDdAaA dS",                     /* j */
    "aSaE hOaI dKiE",                   /* k */
    "~aSaGaEdE",                        /* l */
    "aOaE ~aJaOgOgIgE ~gJgOmOmImE",     /* m */
    "aOaE ~aJaOiOiIiE",                 /* n */
    "@aOiOiEaE",                        /* o */
    "aOaA @aOiOiEaE",                   /* p */
    "iOiA @aOiOiEaE",                   /* q */
    "aOaE ~aJaOfO",                     /* r */
    "~hMhOaOaJhJhEaEaG",                /* s */
    "~cScIcEgE aOgO",                   /* t */
    "~aOaIaEiEiJ iOiE",                 /* u */
    "aOeEiO",                           /* v */
    "aOdEgMjEmO",                       /* w */
    "aOhE hOaE",                        /* x */
    "aOeE iOcA",                        /* y */
    "aOhOaEhE",                         /* z */
    "~eTcTcOcKaK ~aKcKcGcBeB",          /* { */
    "aTaB",                             /* | */
    "~aTcTcOcKeK ~eKcKcGcBaB",          /* } */
    "~aJcNgHiL",                        /* ~ */
};
static const char missing[] = "aEiEiSaSaE";

/** U+00C0..U+00FF without their accents. */
static const char latin[] = "AAAAAAACEEEEIIIIDNOOOOO*OUUUUYPs"
                            "aaaaaaaceeeeiiiidnooooo/ouuuuypy";

/** The glyph at text[*at], which moves on; malformed bytes are one each. */
static const char *next_glyph(const char *text, size_t bytes, size_t *at) {
    const uint8_t *p = (const uint8_t *)text + *at;
    size_t left = bytes - *at, n = 1;
    uint32_t code = p[0];
    if (p[0] >= 0xC2 && p[0] < 0xE0) {
        n = 2;
        code = p[0] & 31u;
    } else if (p[0] >= 0xE0 && p[0] < 0xF5) {
        n = p[0] < 0xF0 ? 3 : 4;
        code = p[0] & 7u;
    }
    if (n > left) n = 1;
    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xC0) != 0x80) n = 1;
        code = code << 6 | (p[i] & 63u);
    }
    *at += n;
    if (n == 1) code = p[0] < 128 ? p[0] : 0xFFFD;
    if (code >= 0xC0 && code <= 0xFF) code = (uint8_t)latin[code - 0xC0];
    if (code < 32 || code > 126) return missing;
    return glyphs[code - 32];
}

/** How far the next glyph lies, in units. */
static int advance(const char *glyph) {
    int widest = 0;
    if (!glyph[0]) return SPACE;
    for (const char *g = glyph; *g; g++)
        if (*g >= 'a' && *g <= 'z') widest = OC_MAX(widest, *g - 'a');
    return widest + GAP;
}

float oc__font_width(const char *text, size_t bytes, float px) {
    int units = 0;
    for (size_t at = 0; at < bytes;)
        units += advance(next_glyph(text, bytes, &at));
    return (float)units * px / UNITS;
}

/* ---- strokes ----------------------------------------------------------- */

typedef struct {
    float x, y;
} point;

/** Where a glyph goes: pixels from units. */
typedef struct {
    oc_image *ink;
    float x, y, unit, pen; /* of the origin; px per unit; half width in px */
} stylus;

/** Darkens the pixels a line reaches; where strokes meet, the darker wins. */
static void stroke_line(const stylus *s, point a, point b) {
    float x0 = fminf(a.x, b.x) - s->pen, x1 = fmaxf(a.x, b.x) + s->pen;
    float y0 = fminf(a.y, b.y) - s->pen, y1 = fmaxf(a.y, b.y) + s->pen;
    int left = OC_MAX((int)floorf(x0) - 1, 0);
    int right = OC_MIN((int)ceilf(x1) + 1, s->ink->width);
    int top = OC_MAX((int)floorf(y0) - 1, 0);
    int bottom = OC_MIN((int)ceilf(y1) + 1, s->ink->height);
    float dx = b.x - a.x, dy = b.y - a.y, length2 = dx * dx + dy * dy;
    for (int y = top; y < bottom; y++) {
        uint8_t *row = s->ink->pixels + (size_t)y * s->ink->stride;
        for (int x = left; x < right; x++) {
            float px = (float)x + 0.5f - a.x, py = (float)y + 0.5f - a.y;
            float t = length2 > 0 ? (px * dx + py * dy) / length2 : 0;
            t = t < 0 ? 0 : t > 1 ? 1 : t;
            float ex = px - t * dx, ey = py - t * dy;
            float in = 0.5f + s->pen - sqrtf(ex * ex + ey * ey);
            if (in <= 0) continue;
            uint8_t level = (uint8_t)lrintf(fminf(in, 1) * 255);
            row[x] = OC_MAX(row[x], level);
        }
    }
}

static point middle(point a, point b) {
    point m = {(a.x + b.x) / 2, (a.y + b.y) / 2};
    return m;
}

/** From a to b, pulled by c. */
static void stroke_curve(const stylus *s, point a, point c, point b) {
    enum { PARTS = 8 };
    point from = a;
    for (int i = 1; i <= PARTS; i++) {
        float t = (float)i / PARTS, u = 1 - t;
        point to = {u * u * a.x + 2 * u * t * c.x + t * t * b.x,
                    u * u * a.y + 2 * u * t * c.y + t * t * b.y};
        stroke_line(s, from, to);
        from = to;
    }
}

static void stroke(const stylus *s, char kind, const point *p, int n) {
    if (kind == '@') {
        for (int i = 0; i < n; i++)
            stroke_curve(s, middle(p[(i + n - 1) % n], p[i]), p[i],
                         middle(p[i], p[(i + 1) % n]));
    } else if (kind == '~' && n > 2) {
        for (int i = 1; i + 1 < n; i++)
            stroke_curve(s, i == 1 ? p[0] : middle(p[i - 1], p[i]), p[i],
                         i + 2 == n ? p[n - 1] : middle(p[i], p[i + 1]));
    } else {
        if (n == 1) stroke_line(s, p[0], p[0]);
        for (int i = 0; i + 1 < n; i++)
            stroke_line(s, p[i], p[i + 1]);
    }
}

static void draw_glyph(const stylus *s, const char *g) {
    while (*g) {
        point p[12];
        int n = 0;
        char kind = *g == '~' || *g == '@' ? *g++ : 0;
        for (; *g && *g != ' ' && n < 12; g += 2, n++) {
            p[n].x = s->x + (float)(g[0] - 'a') * s->unit;
            p[n].y = s->y - (float)(g[1] - 'E') * s->unit;
        }
        stroke(s, kind, p, n);
        if (*g == ' ') g++;
    }
}

void oc__font_render(oc_image *out, const char *text, size_t bytes, float px) {
    stylus s = {.ink = out, .unit = px / UNITS};
    /* Below a pixel and a half a stroke would be gray all over. */
    s.pen = fmaxf(PEN * s.unit, 0.75f) - 0.02f;
    s.y = floorf(ABOVE * s.unit) + 0.5f;
    memset(out->pixels, 0, out->stride * (size_t)out->height);
    int units = 0;
    for (size_t at = 0; at < bytes;) {
        const char *glyph = next_glyph(text, bytes, &at);
        s.x = ((float)units + GAP / 2.0f) * s.unit;
        if (s.x > (float)out->width) break;
        draw_glyph(&s, glyph);
        units += advance(glyph);
    }
}
