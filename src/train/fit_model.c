/* fit_model.c - measuring on val, the sealed model, the report. */
#include "train/fit.h"

#include "base/text_number.h"
#include "card/card.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- measuring ------------------------------------------------------------
 */

static oc_status take_logits(oc_training *f, const oc__batch *b,
                             const oc_tensor *y, int at, oc_error *err) {
    size_t row = (size_t)f->data->n_classes;
    if (oc_tensor_elems(y) < (int64_t)b->n * f->data->n_classes)
        return oc__fail(err, OC_E_SHAPE, "the model gives too few scores");
    memcpy(f->logits + (size_t)at * row, y->data,
           (size_t)b->n * row * sizeof(float));
    memcpy(f->targets + (size_t)at * row, b->targets,
           (size_t)b->n * row * sizeof(float));
    for (int i = 0; i < b->n; i++)
        f->label[at + i] = b->index[i] < 0 ? -1 : b->label[i];
    return OC_OK;
}

oc_status oc__fit_measure(oc_training *f, double *accuracy, double *loss,
                          oc_error *err) {
    int at = 0;
    oc__figures g;
    oc__stream_seek(f->val, 0, 0);
    for (;;) {
        const oc__batch *b;
        const oc_tensor *y;
        OC_TRY(oc__stream_next(f->val, &b, err));
        if (!b) break;
        OC_TRY(oc_trainer_predict(f->trainer, &b->images, &y, err));
        if (at + b->n > f->n_val)
            return oc__fail(err, OC_E_FORMAT, "val has grown");
        OC_TRY(take_logits(f, b, y, at, err));
        at += b->n;
    }
    oc_status st =
        f->data->multi
            ? oc__figures_multi(&g, f->logits, f->targets, at,
                                f->data->n_classes, &f->allocator, err)
            : oc__figures_single(&g, f->logits, f->label, at,
                                 f->data->n_classes, 1, &f->allocator, err);
    if (st == OC_OK) {
        *accuracy = f->data->multi ? g.mean_ap : g.accuracy;
        *loss = g.loss;
    }
    oc__figures_deinit(&g);
    return st;
}

/* ---- the model ------------------------------------------------------------
 */

static oc_status set_numbers(oc_card *card, const char *field, const float *v,
                             int n, oc_error *err) {
    char text[4 * OC_NUMBER_TEXT_BYTES];
    size_t at = 0;
    for (int i = 0; i < n; i++) {
        if (i) text[at++] = ',';
        at += oc__text_from_number(OC_DTYPE_F32, (double)v[i], text + at);
    }
    return oc_card_set(card, field, text, err);
}

static oc_status set_input(const oc_training *f, oc_card *card, oc_error *err) {
    static const char *const fits[] = {"stretch", "cover", "contain",
                                       "letterbox"};
    static const char *const filters[] = {"bilinear", "nearest", "area",
                                          "bicubic", "lanczos"};
    const oc_preprocess *p = &f->prep;
    char text[64];
    int n = p->color == OC_COLOR_GRAY ? 1 : 3;
    float one[3] = {1, 1, 1};
    for (int i = 0; i < 3; i++)
        if (p->std[i] != 0) one[i] = p->std[i];
    snprintf(text, sizeof(text), "%dx%d", p->height, p->width);
    OC_TRY(oc_card_set(card, "input.size", text, err));
    float scale = p->scale != 0 ? p->scale : 1, crop = (float)p->crop;
    OC_TRY(set_numbers(card, "input.scale", &scale, 1, err));
    OC_TRY(set_numbers(card, "input.mean", p->mean, n, err));
    OC_TRY(set_numbers(card, "input.std", one, n, err));
    OC_TRY(set_numbers(card, "input.pad_value", p->pad_value, n, err));
    OC_TRY(oc_card_set(card, "input.layout",
                       p->layout == OC_LAYOUT_NHWC ? "nhwc" : "nchw", err));
    OC_TRY(oc_card_set(card, "input.color",
                       p->color == OC_COLOR_GRAY  ? "gray"
                       : p->color == OC_COLOR_BGR ? "bgr"
                                                  : "rgb",
                       err));
    OC_TRY(oc_card_set(card, "input.resize", fits[p->fit], err));
    OC_TRY(oc_card_set(card, "input.interpolation", filters[p->interpolation],
                       err));
    OC_TRY(oc_card_set(card, "input.antialias",
                       p->no_antialias ? "false" : "true", err));
    return p->crop > 0 ? set_numbers(card, "input.crop", &crop, 1, err) : OC_OK;
}

static oc_status fill_card(const oc_training *f, oc_card *card, oc_error *err) {
    char text[256];
    char best[OC_NUMBER_TEXT_BYTES], loss[OC_NUMBER_TEXT_BYTES];
    const char *name = strrchr(f->opt.out, '/');
    char cooled[OC_NUMBER_TEXT_BYTES];
    oc__text_from_number(OC_DTYPE_F32, f->temperature, cooled);
    oc__text_from_number(OC_DTYPE_F32, f->place.best, best);
    oc__text_from_number(OC_DTYPE_F32, f->place.best_loss, loss);
    if (!isfinite(f->place.best_loss)) strcpy(loss, "null");
    name = name ? name + 1 : f->opt.out;
    snprintf(text, sizeof(text), "%.*s", (int)strcspn(name, "."), name);
    OC_TRY(oc_card_set(card, "name", text, err));
    OC_TRY(oc_card_set(card, "task", "classify", err));
    OC_TRY(oc_card_set_labels(card, f->data->classes, f->data->n_classes, err));
    snprintf(text, sizeof(text), "trained by ocelli %s", oc_version());
    OC_TRY(oc_card_set(card, "source", text, err));
    snprintf(text, sizeof(text),
             "{\"%s\": %s, \"val_loss\": %s, \"val_pictures\": %d, "
             "\"epoch\": %d, \"temperature\": %s}",
             f->data->multi ? "val_mean_ap" : "val_top1", best, loss, f->n_val,
             f->place.best_epoch, cooled);
    card->metrics = oc__arena_strdup(&card->arena, text);
    if (!card->metrics) return oc__fail_nomem(err);
    oc__card_mark(card, "metrics");
    OC_TRY(oc_card_set(card, "decode.kind", "logits", err));
    OC_TRY(oc_card_set(card, "decode.activation",
                       f->data->multi ? "sigmoid" : "softmax", err));
    return set_input(f, card, err);
}

/* The card, checked against the model it is for, as text. */
static oc_status write_card(oc_training *f, const char *path, oc_bytes *json,
                            oc_error *err) {
    oc_model *m = NULL;
    oc_card *card = NULL;
    oc_options o = {.allocator = &f->allocator, .cpu_mask = f->opt.cpu_mask};
    oc_status st = oc_model_load(&m, path, &o, err);
    if (st == OC_OK) st = oc_card_create(&card, &f->allocator, err);
    if (st == OC_OK) st = fill_card(f, card, err);
    if (st == OC_OK) st = oc_card_complete(card, m, err);
    if (st == OC_OK) st = oc_card_verify(card, m, err);
    if (st == OC_OK) st = oc_card_make_golden(card, m, NULL, err);
    if (st == OC_OK) st = oc_card_write(card, json, err);
    oc_card_destroy(card);
    oc_model_destroy(m);
    return st;
}

/*
 * What logits are divided by, so that a share of 0.8 is right in 8 of 10 cases;
 * from val, on which it changes no answer.  Without some mistakes there is
 * nothing to tell it by: to be surest would seem best.
 */
static double choose_temperature(const oc_training *f) {
    enum { MISTAKES = 5 };
    double wrong = (1 - f->place.best) * f->n_val;
    if (f->data->multi || !f->trainer->net.head_scales || wrong < MISTAKES)
        return 1;
    return oc__fit_temperature(f->logits, f->label, f->n_val,
                               f->data->n_classes);
}

oc_status oc__fit_save_model(oc_training *f, oc_error *err) {
    static const char *const keys[] = {OC_CARD_KEY, "ocelli.recipe"};
    oc_bytes json = {.allocator = &f->allocator};
    oc__note recipe;
    char *path = oc__arena_printf(&f->arena, "%s.new", f->opt.out);
    if (!path) return oc__fail_nomem(err);
    f->temperature = choose_temperature(f);
    oc_status st = oc__trainer_save(f->trainer, 1 / f->temperature, path, err);
    if (st == OC_OK) st = write_card(f, path, &json, err);
    if (st == OC_OK) st = oc__fit_write_note(f, &recipe, 0, err);
    if (st == OC_OK) {
        char *card =
            oc__arena_strndup(&f->arena, (const char *)json.data, json.size);
        const char *values[] = {card, recipe.data};
        st = card ? oc_model_rewrite_metadata(path, f->opt.out, keys, values, 2,
                                              err)
                  : oc__fail_nomem(err);
    }
    remove(path);
    oc_bytes_deinit(&json);
    return st;
}

/* ---- the report -----------------------------------------------------------
 */

/* A choice by its name, as the program takes it; NULL: `name` is none. */
static const char *choice_name(const oc_training *f, const char *name) {
    static const char *const optimizers[] = {"auto", "sgd", "adamw"};
    static const char *const schedules[] = {"cosine", "step", "plateau",
                                            "constant"};
    static const char *const freezes[] = {"none", "half", "backbone"};
    static const char *const criteria[] = {
#define NAME(id, text) text,
        OC_CRITERION_MAP(NAME)
#undef NAME
    };
    const oc_training_options *o = &f->opt;
    return !strcmp(name, "optimizer")   ? optimizers[o->optimizer]
           : !strcmp(name, "schedule")  ? schedules[o->schedule]
           : !strcmp(name, "freeze")    ? freezes[o->freeze]
           : !strcmp(name, "criterion") ? criteria[o->criterion]
                                        : NULL;
}

/* The recipe's lines; what is 0 was not used. */
static oc_status list_recipe(oc_training *f, oc__report *r, oc__arena *arena,
                             oc_error *err) {
    oc__note note;
    int room = 1;
    OC_TRY(oc__fit_write_note(f, &note, 0, err));
    char *text = oc__arena_strndup(arena, note.data, note.bytes);
    for (const char *c = text; c && *c; c++)
        room += *c == '\n';
    oc__report_fact *list = oc__arena_array(arena, (size_t)room, sizeof(*list));
    if (!text || !list) return oc__fail_nomem(err);
    for (char *line = text, *next; *line; line = next) {
        char *end = line + strcspn(line, "\n"), *eq;
        next = *end ? end + 1 : end;
        *end = 0;
        eq = strchr(line, '=');
        if (!eq || !strcmp(eq, "=0")) continue;
        *eq = 0;
        const char *named = choice_name(f, line);
        list[r->n_facts++] =
            (oc__report_fact){line, named ? named : eq + 1, NULL};
    }
    r->facts = list;
    return OC_OK;
}

oc_status oc__fit_report(oc_training *f, int running, oc_error *err) {
    oc__arena arena;
    oc__report r = {.title = f->opt.out,
                    .subtitle = f->opt.data,
                    .multi = f->data->multi,
                    .points = f->points,
                    .n_points = f->n_points,
                    .best_epoch = f->place.best_epoch,
                    .classes = f->data->classes,
                    .n_classes = f->data->n_classes,
                    .n = f->n_val,
                    .logits = f->best_logits,
                    .temperature = f->temperature,
                    .label = f->label,
                    .targets = f->targets,
                    .paths = f->paths,
                    .running = running};
    if (!f->opt.report && !f->opt.curves) return OC_OK;
    oc__arena_init(&arena, &f->allocator);
    oc_status st = list_recipe(f, &r, &arena, err);
    if (st == OC_OK)
        st = oc__report_save(&r, f->opt.report, f->opt.curves, err);
    oc__arena_deinit(&arena);
    return st;
}
