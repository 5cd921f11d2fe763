/*
 * golden.c - the golden check: a picture and what the model makes of it.
 *
 * It tells whether a model, after conversion or on another machine, still
 * does what it did.  The picture may be made up, so that a sealed model can
 * check itself anywhere.
 */
#include "tasks/vision_private.h"

#include "base/file.h"
#include "base/sha256.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MADE_WIDTH  320
#define MADE_HEIGHT 240
#define MOST_ITEMS  10

/*
 * The made-up picture: a gradient with a bright disc, a dark square and
 * stripes, in whole numbers so that it is the same everywhere.  Sealed cards
 * depend on it: it must never change.
 */
static oc_status make_picture(oc_image *out, const oc_allocator *a,
                              oc_error *err) {
    OC_TRY(oc_image_init(out, MADE_WIDTH, MADE_HEIGHT, 3, a, err));
    for (int y = 0; y < MADE_HEIGHT; y++) {
        uint8_t *p = out->pixels + (size_t)y * out->stride;
        for (int x = 0; x < MADE_WIDTH; x++, p += 3) {
            int r = x * 255 / (MADE_WIDTH - 1), b = 255 - r;
            int g = y * 255 / (MADE_HEIGHT - 1);
            int dx = x - 110, dy = y - 120;
            if (dx * dx + dy * dy < 60 * 60) {
                r = 250;
                g = 200 - (dx + dy) / 2;
                b = 40;
            } else if (x >= 200 && x < 280 && y >= 60 && y < 180) {
                r = g = b = (x / 8 + y / 8) % 2 ? 30 : 70;
            }
            p[0] = (uint8_t)r;
            p[1] = (uint8_t)g;
            p[2] = (uint8_t)b;
        }
    }
    return OC_OK;
}

/* The picture to look at; name receives what the card calls it. */
static oc_status get_picture(oc_image *out, const char *image, char name[65],
                             const oc_allocator *a, oc_error *err) {
    if (!image) {
        strcpy(name, "generated");
        return make_picture(out, a, err);
    }
    oc__file file = {0};
    oc_image_options opt = {0};
    opt.allocator = a;
    OC_TRY(oc__file_map(&file, image, (size_t)1 << 30, err));
    oc__sha256_hex(file.data, file.bytes, name);
    oc_status st = oc_image_load_memory(out, file.data, file.bytes, &opt, err);
    oc__file_unmap(&file);
    if (st) oc__error_prefix(err, image);
    return st;
}

/* The mean of each channel stands for a restored picture. */
static int take_means(const oc_image *img, oc__golden_item *items) {
    for (int c = 0; c < img->channels; c++) {
        double sum = 0;
        for (int y = 0; y < img->height; y++) {
            const uint8_t *row = img->pixels + (size_t)y * img->stride;
            for (int x = 0; x < img->width; x++) {
                sum += row[x * img->channels + c];
            }
        }
        items[c].index = c;
        items[c].score = sum / 255 / img->width / img->height;
    }
    return img->channels;
}

static int take_items(const oc_result *r, oc__golden_item *items) {
    int n = 0;
    for (int i = 0; i < r->label_count && n < MOST_ITEMS; i++, n++) {
        items[n].index = r->labels[i].index;
        items[n].score = r->labels[i].score;
    }
    for (int i = 0; i < r->object_count && n < MOST_ITEMS; i++, n++) {
        items[n].index = r->objects[i].index;
        items[n].score = r->objects[i].score;
        items[n].has_box = 1;
        for (int k = 0; k < 4; k++) {
            items[n].box[k] = r->objects[i].box[k];
        }
    }
    for (int i = 0; i < r->class_count && n < MOST_ITEMS; i++, n++) {
        items[n].index = r->classes[i].index;
        items[n].score = r->classes[i].fraction;
    }
    return r->image.pixels ? take_means(&r->image, items) : n;
}

/* Runs the model with the card on the picture. */
static oc_status look(const oc_card *card, oc_model *model, const char *image,
                      char name[65], oc__golden_item *items, int *n, int *side,
                      oc_error *err) {
    oc_vision_options opt = {0};
    oc_vision *v = NULL;
    oc_image img = {0};
    oc_result r = {0};
    opt.card = card;
    oc_status st = oc_vision_create(&v, model, &opt, err);
    if (!st) st = get_picture(&img, image, name, &v->allocator, err);
    if (!st) st = oc_vision_run(v, &img, &r, err);
    if (!st) {
        memset(items, 0, MOST_ITEMS * sizeof *items);
        *n = take_items(&r, items);
        *side = OC_MAX(r.width, r.height);
    }
    oc_result_deinit(&r);
    oc_image_deinit(&img);
    oc_vision_destroy(v);
    return st;
}

oc_status oc_card_make_golden(oc_card *card, oc_model *model, const char *image,
                              oc_error *err) {
    oc__golden_item items[MOST_ITEMS];
    char name[65];
    int n, side;
    OC_TRY(look(card, model, image, name, items, &n, &side, err));
    oc__golden_item *copy = oc__arena_dup(&card->arena, items, sizeof items);
    if (!copy) return oc__fail_nomem(err);
    OC_TRY(oc_card_set(card, "golden.image", name, err));
    oc__card_mark(card, "golden.tolerance");
    card->expect = copy;
    card->n_expect = n;
    return OC_OK;
}

/*
 * Whether b is what a expects.  Boxes may differ by the tolerance as a share
 * of the picture's longer side.
 */
static int same_item(const oc__golden_item *a, const oc__golden_item *b,
                     double tolerance, int side) {
    if (a->index != b->index || fabs(a->score - b->score) > tolerance) return 0;
    for (int k = 0; a->has_box && k < 4; k++) {
        if (fabs(a->box[k] - b->box[k]) > tolerance * side) return 0;
    }
    return 1;
}

/* Order may change among near-equals: each expected one is looked for. */
static oc_status compare(const oc_card *card, const oc__golden_item *got, int n,
                         int side, oc_error *err) {
    for (int i = 0; i < card->n_expect; i++) {
        const oc__golden_item *want = &card->expect[i];
        int ok = 0;
        double nearest = -1;
        for (int k = 0; k < n && !ok; k++) {
            ok = same_item(want, &got[k], card->tolerance, side);
            if (got[k].index == want->index && nearest < 0)
                nearest = got[k].score;
        }
        /* The least of the kept ones may fall off the end of the list. */
        if (!ok && i > 0 && want->score < card->tolerance) continue;
        if (ok) continue;
        const char *label = oc_card_label(card, want->index);
        if (nearest >= 0)
            return oc__fail(err, OC_E_FORMAT,
                            "the golden check fails: class %d (%.60s) should "
                            "score %.3f and scores %.3f, or lies elsewhere",
                            want->index, label ? label : "", want->score,
                            nearest);
        return oc__fail(err, OC_E_FORMAT,
                        "the golden check fails: class %d (%.60s) should score "
                        "%.3f and is not found",
                        want->index, label ? label : "", want->score);
    }
    if (!card->n_expect && n > 0)
        return oc__fail(err, OC_E_FORMAT,
                        "the golden check fails: nothing should be found, and "
                        "class %d is, with %.3f",
                        got[0].index, got[0].score);
    return OC_OK;
}

oc_status oc_card_check_golden(const oc_card *card, oc_model *model,
                               const char *image, oc_error *err) {
    oc__golden_item items[MOST_ITEMS];
    char name[65];
    int n, side;
    if (!card->golden_image)
        return oc__fail(err, OC_E_ARG, "the card has no golden check");
    if (!image && strcmp(card->golden_image, "generated") != 0)
        return oc__fail(err, OC_E_ARG,
                        "the golden check needs the picture whose SHA-256 is "
                        "%.64s",
                        card->golden_image);
    OC_TRY(look(card, model, image, name, items, &n, &side, err));
    if (strcmp(name, card->golden_image) != 0)
        return oc__fail(err, OC_E_ARG,
                        "%.200s is not the picture of the golden check: its "
                        "SHA-256 is %s",
                        image ? image : "the made-up picture", name);
    return compare(card, items, n, side, err);
}
