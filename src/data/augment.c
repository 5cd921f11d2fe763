/* augment.c - see augment.h. */
#include "data/augment_op.h"

#include "base/text_number.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

/* ---- recipes --------------------------------------------------------------
 */

oc__augment oc__augment_preset(oc__picture_kind kind, double strength) {
    oc__augment a = {0};
    double s = strength < 0 ? 0 : strength > 2 ? 2 : strength;
    int strong = s > 1.5;
    if (s == 0) return a;
    switch (kind) {
    case OC_PICTURES_TILES:
        a.flip_h = a.flip_v = 0.5;
        a.quarter_turns = 1;
        /* Seen from one height, mostly in one light: things keep their size
           and colour, nearly.  More of either is learned more slowly. */
        a.crop_least = 1 - 0.15 * s;
        a.brightness = a.contrast = a.saturation = strong ? 0.2 : 0;
        break;
    case OC_PICTURES_TINY:
        a.flip_h = 0.5;
        a.shift = 0.125; /* the 4 of 32 pixels of the ResNet paper */
        a.erase = 0.3;
        a.brightness = a.contrast = a.saturation = strong ? 0.2 : 0;
        break;
    case OC_PICTURES_SIGNS:
        a.shift = 0.08 * s;
        a.turn_degrees = 8 * s;
        a.zoom = 0.08 * s;
        return a;
    default:
        a.flip_h = 0.5;
        a.crop_least = strong ? 0.2 : 1 - 0.65 * s;
        a.brightness = a.contrast = a.saturation = 0.2 * s;
        a.hue = strong ? 0.02 : 0;
        break;
    }
    if (strong) {
        a.rand_ops = kind == OC_PICTURES_TILES ? 0 : 2;
        a.rand_magnitude = 9;
        a.erase = OC_MAX(a.erase, 0.15);
        a.mixup = 0.2;
        a.cutmix = 1;
        a.mix = 0.5;
    }
    return a;
}

oc__augment oc__augment_for(const oc__look_at_pictures *look, double strength) {
    enum { SURELY_TURNED = 8 }; /* |t| of edges across against along */
    oc__augment a = oc__augment_preset(look->kind, strength);
    if (look->turned > SURELY_TURNED) a.quarter_turns = 0;
    return a;
}

/* ---- text -----------------------------------------------------------------
 */

static const struct {
    const char *name;
    size_t offset;
    double lo, hi;
    int whole; /* an int */
} fields[] = {
    {"crop", offsetof(oc__augment, crop_least), 0, 1, 0},
    {"crop-most", offsetof(oc__augment, crop_most), 0, 1, 0},
    {"stretch", offsetof(oc__augment, crop_stretch), 0, 8, 0},
    {"shift", offsetof(oc__augment, shift), 0, 1, 0},
    {"flip-h", offsetof(oc__augment, flip_h), 0, 1, 0},
    {"flip-v", offsetof(oc__augment, flip_v), 0, 1, 0},
    {"quarter-turns", offsetof(oc__augment, quarter_turns), 0, 1, 1},
    {"turn", offsetof(oc__augment, turn_degrees), 0, 180, 0},
    {"zoom", offsetof(oc__augment, zoom), 0, 0.9, 0},
    {"brightness", offsetof(oc__augment, brightness), 0, 1, 0},
    {"contrast", offsetof(oc__augment, contrast), 0, 1, 0},
    {"saturation", offsetof(oc__augment, saturation), 0, 1, 0},
    {"hue", offsetof(oc__augment, hue), 0, 0.5, 0},
    {"gray", offsetof(oc__augment, gray), 0, 1, 0},
    {"rand-ops", offsetof(oc__augment, rand_ops), 0, 14, 1},
    {"rand-magnitude", offsetof(oc__augment, rand_magnitude), 0, 30, 0},
    {"erase", offsetof(oc__augment, erase), 0, 1, 0},
    {"mixup", offsetof(oc__augment, mixup), 0, 100, 0},
    {"cutmix", offsetof(oc__augment, cutmix), 0, 100, 0},
    {"mix", offsetof(oc__augment, mix), 0, 1, 0},
};

static double get_field(const oc__augment *a, size_t f) {
    const char *at = (const char *)a + fields[f].offset;
    return fields[f].whole ? *(const int *)(const void *)at
                           : *(const double *)(const void *)at;
}

static void put_field(oc__augment *a, size_t f, double v) {
    char *at = (char *)a + fields[f].offset;
    if (fields[f].whole)
        *(int *)(void *)at = (int)v;
    else
        *(double *)(void *)at = v;
}

/* "none", "photographs" ... are whole recipes. */
static int take_preset(oc__augment *a, const char *word) {
    static const char *const names[] = {"photographs", "tiles", "tiny",
                                        "signs"};
    if (!strcmp(word, "none")) {
        memset(a, 0, sizeof *a);
        return 1;
    }
    for (size_t i = 0; i < OC_COUNT(names); i++) {
        size_t n = strlen(names[i]);
        if (strncmp(word, names[i], n)) continue;
        if (word[n] && strcmp(word + n, "-strong")) continue;
        *a = oc__augment_preset((oc__picture_kind)i, word[n] ? 2 : 1);
        return 1;
    }
    return 0;
}

static oc_status take_field(oc__augment *a, const char *word, oc_error *err) {
    size_t n = strcspn(word, "=");
    for (size_t f = 0; f < OC_COUNT(fields); f++) {
        double v = 1;
        if (strlen(fields[f].name) != n || memcmp(fields[f].name, word, n))
            continue;
        /* A word alone means 1. */
        if ((word[n] &&
             oc__text_to_f64(word + n + 1, strlen(word + n + 1), &v)) ||
            !(v >= fields[f].lo && v <= fields[f].hi) ||
            (fields[f].whole && v != (int)v))
            return oc__fail(err, OC_E_ARG,
                            "\"%.60s\" is wrong: %s is %s from %g to %g", word,
                            fields[f].name,
                            fields[f].whole ? "a whole number" : "a number",
                            fields[f].lo, fields[f].hi);
        put_field(a, f, v);
        return OC_OK;
    }
    return oc__fail(err, OC_E_ARG,
                    "there is no augmentation \"%.60s\": take photographs, "
                    "tiles, tiny, signs or none, or crop, flip-h, turn, hue "
                    "... as docs/data.md has them",
                    word);
}

oc_status oc__augment_parse(oc__augment *a, const char *text, oc_error *err) {
    oc__augment made = *a;
    char word[80];
    for (const char *s = text; *s;) {
        size_t n = strcspn(s, ",");
        if (n >= sizeof word)
            return oc__fail(err, OC_E_ARG, "\"%.60s...\" is too long", s);
        memcpy(word, s, n);
        word[n] = 0;
        if (n && !take_preset(&made, word))
            OC_TRY(take_field(&made, word, err));
        s += n + (s[n] == ',');
    }
    *a = made;
    return OC_OK;
}

void oc__augment_describe(const oc__augment *a, char *out, size_t bytes) {
    size_t at = 0;
    if (!bytes) return;
    out[0] = 0;
    for (size_t f = 0; f < OC_COUNT(fields); f++) {
        char part[64], number[OC_NUMBER_TEXT_BYTES];
        double v = get_field(a, f);
        if (v == 0) continue;
        oc__text_from_number(OC_DTYPE_F32, (float)v, number);
        int n = snprintf(part, sizeof part, "%s%s=%s", at ? "," : "",
                         fields[f].name, number);
        if (n < 0 || (size_t)n >= bytes - at) return;
        memcpy(out + at, part, (size_t)n + 1);
        at += (size_t)n;
    }
    if (!at) snprintf(out, bytes, "none");
}

/* ---- a picture ------------------------------------------------------------
 */

static double between(oc__rng *rng, double lo, double hi) {
    return lo + (hi - lo) * oc__rng_double(rng);
}

static int chance(oc__rng *rng, double p) {
    return p > 0 && oc__rng_double(rng) < p;
}

/* The largest middle part of the output's shape. */
static void middle_box(double box[4], const oc_image *img, double aspect) {
    double w = img->width, h = img->height;
    if (w > h * aspect)
        w = h * aspect;
    else
        h = w / aspect;
    box[0] = (img->width - w) / 2, box[1] = (img->height - h) / 2;
    box[2] = box[0] + w, box[3] = box[1] + h;
}

/* RandomResizedCrop: ten tries of area and shape, else the middle. */
static void crop_box(double box[4], const oc_image *img, const oc__augment *a,
                     double aspect, oc__rng *rng) {
    double most = a->crop_most > 0 ? a->crop_most : 1;
    double stretch = a->crop_stretch >= 1 ? log(a->crop_stretch) : log(4.0 / 3);
    double area = (double)img->width * img->height;
    for (int tries = 0; tries < 10; tries++) {
        double part = area * between(rng, OC_MIN(a->crop_least, most), most);
        double shape = aspect * exp(between(rng, -stretch, stretch));
        double fw = rint(sqrt(part * shape)), fh = rint(sqrt(part / shape));
        if (fw < 1 || fh < 1 || fw > img->width || fh > img->height) continue;
        int w = (int)fw, h = (int)fh;
        box[0] = (double)oc__rng_below(rng, (uint64_t)(img->width - w + 1));
        box[1] = (double)oc__rng_below(rng, (uint64_t)(img->height - h + 1));
        box[2] = box[0] + w;
        box[3] = box[1] + h;
        return;
    }
    middle_box(box, img, aspect);
}

/* Cut and resized; borrowed where that changes nothing. */
static oc_status take_part(oc_image *part, const oc_image *out,
                           const oc_image *img, const oc__augment *a,
                           oc__rng *rng, const oc_allocator *allocator,
                           oc_error *err) {
    double aspect = (double)out->width / out->height;
    oc_resize how = {
        .width = out->width, .height = out->height, .allocator = allocator};
    if (a->crop_least > 0)
        crop_box(how.box, img, a, aspect, rng);
    else
        middle_box(how.box, img, aspect);
    if (how.box[2] - how.box[0] == out->width &&
        how.box[3] - how.box[1] == out->height &&
        how.box[0] == floor(how.box[0]) && how.box[1] == floor(how.box[1]))
        return oc_image_crop(part, img, (int)how.box[0], (int)how.box[1],
                             out->width, out->height, err);
    return oc_image_resize(part, img, &how, err);
}

/* Flips, quarter turns and shifts. */
static void place(oc_image *out, const oc_image *part, const oc__augment *a,
                  oc__rng *rng) {
    int flip_h = chance(rng, a->flip_h), flip_v = chance(rng, a->flip_v);
    int quarters = 0, dx = 0, dy = 0;
    if (a->quarter_turns) {
        quarters = (int)oc__rng_below(rng, 4);
        if (out->width != out->height) quarters &= 2;
    }
    if (a->shift > 0) {
        int most_x = (int)(a->shift * out->width + 0.5);
        int most_y = (int)(a->shift * out->height + 0.5);
        dx = (int)oc__rng_below(rng, (uint64_t)(2 * most_x + 1)) - most_x;
        dy = (int)oc__rng_below(rng, (uint64_t)(2 * most_y + 1)) - most_y;
    }
    oc__aug_place(out, part, flip_h, flip_v, quarters, dx, dy);
}

/* ColorJitter: the four in an order of chance. */
static void jitter(oc_image *img, const oc__augment *a, oc__rng *rng) {
    int order[4] = {0, 1, 2, 3};
    if (!(a->brightness > 0 || a->contrast > 0 || a->saturation > 0 ||
          a->hue > 0))
        return;
    for (int i = 3; i > 0; i--) {
        int k = (int)oc__rng_below(rng, (uint64_t)(i + 1)), t = order[i];
        order[i] = order[k];
        order[k] = t;
    }
    const double amount[4] = {a->brightness, a->contrast, a->saturation,
                              a->hue};
    for (int i = 0; i < 4; i++) {
        double by = amount[order[i]];
        if (!(by > 0)) continue;
        float turn = (float)between(rng, -by, by), factor = 1 + turn;
        switch (order[i]) {
        case 0: oc__aug_brightness(img, factor); break;
        case 1: oc__aug_contrast(img, factor); break;
        case 2: oc__aug_saturation(img, factor); break;
        default: oc__aug_hue(img, turn); break;
        }
    }
}

/* What needs a second picture: small turns, zoom, RandAugment.  The result is
   in a. */
static void warp_and_rand(oc_image *a, oc_image *b, const oc__augment *how,
                          oc__rng *rng) {
    if (how->turn_degrees > 0 || how->zoom > 0) {
        double turn = between(rng, -how->turn_degrees, how->turn_degrees) *
                      3.14159265358979323846 / 180;
        double scale = 1 / between(rng, 1 - how->zoom, 1 + how->zoom);
        double c = cos(turn) * scale, s = sin(turn) * scale;
        double cx = a->width * 0.5, cy = a->height * 0.5;
        double m[6] = {c, -s, cx - c * cx + s * cy, s, c, cy - s * cx - c * cy};
        oc_image t = *a;
        oc__aug_warp(b, a, m);
        *a = *b;
        *b = t;
    }
    for (int i = 0; i < how->rand_ops; i++) {
        oc__rand_op op = (oc__rand_op)oc__rng_below(rng, OC_RAND_COUNT);
        int negative = (int)oc__rng_below(rng, 2);
        oc__aug_rand(a, b, op, how->rand_magnitude, negative);
    }
}

static void copy_pixels(oc_image *to, const oc_image *from) {
    for (int y = 0; y < to->height; y++)
        memcpy(to->pixels + (size_t)y * to->stride,
               from->pixels + (size_t)y * from->stride,
               (size_t)to->width * (size_t)to->channels);
}

oc_status oc__augment_picture(oc_image *out, const oc_image *img,
                              const oc__augment *a, oc__rng *rng,
                              const oc_allocator *allocator, oc_error *err) {
    oc_image part = {0}, tmp = {0}, at = *out, other;
    int second = a->turn_degrees > 0 || a->zoom > 0 || a->rand_ops > 0;
    if (img->channels != out->channels)
        return oc__fail(err, OC_E_ARG, "%d channels cannot become %d",
                        img->channels, out->channels);
    oc_status st = take_part(&part, out, img, a, rng, allocator, err);
    if (!st && second)
        st = oc_image_init(&tmp, out->width, out->height, out->channels,
                           allocator, err);
    if (!st) {
        place(&at, &part, a, rng);
        other = tmp;
        if (second) warp_and_rand(&at, &other, a, rng);
        jitter(&at, a, rng);
        if (chance(rng, a->gray)) oc__aug_gray(&at);
        if (at.pixels != out->pixels) copy_pixels(out, &at);
    }
    oc_image_deinit(&part);
    oc_image_deinit(&tmp);
    return st;
}
