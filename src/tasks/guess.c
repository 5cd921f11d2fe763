/* guess.c - completes a card; see guess.h. */
#include "tasks/guess.h"

#include "base/ascii.h"
#include "base/size.h"
#include "base/text_number.h"
#include "tasks/vision_private.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- helpers --------------------------------------------------------------
 */

void oc__guess_put(oc__guess *g, const char *field, const char *value) {
    if (g->st || oc__card_has(g->card, field)) return;
    g->st = oc_card_set(g->card, field, value, g->err);
}

void oc__guess_put_numbers(oc__guess *g, const char *field, const double *v,
                           int n) {
    if (g->st || oc__card_has(g->card, field)) return;
    g->st =
        oc__card_put_numbers(g->card, oc__card_find_field(field), v, n, g->err);
}

void oc__guess_put_outputs(oc__guess *g, const int *outputs, int n) {
    const char *names[OC_MAX_SEEN];
    if (g->st || oc__card_has(g->card, "decode.outputs")) return;
    for (int i = 0; i < n; i++) {
        names[i] = g->look->out[outputs[i]].name;
    }
    g->st = oc__card_put_names(g->card, oc__card_find_field("decode.outputs"),
                               names, n, g->err);
}

void oc__guess_say(oc__guess *g, const char *format, ...) {
    char text[512];
    va_list args;
    if (g->st) return;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    g->st = oc__card_add_guess(g->card, g->err, "%s", text);
}

int oc__guess_kind(oc__guess *g, oc_task task, const char *kind,
                   oc__family family) {
    const oc_card *card = g->card;
    if (card->task != OC_TASK_NONE && card->task != (int)task) return 0;
    if (card->kind && strcmp(card->kind, kind) != 0) return 0;
    oc__guess_put(g, "task", oc_task_name(task));
    oc__guess_put(g, "decode.kind", kind);
    g->family = family;
    return 1;
}

int64_t oc__guess_dim(const oc__guess *g, int i, int k) {
    const oc__seen *o = &g->look->out[i];
    return k >= 1 && k <= o->rank ? o->dims[o->rank - k] : 0;
}

int oc__guess_rank(const oc__guess *g, int i) {
    const oc__seen *o = &g->look->out[i];
    int r = o->rank;
    /* A batch, free or not, is not counted. */
    for (int k = 0; k < o->rank && r > 1; k++, r--) {
        if (o->dims[k] != 1 && !(k == 0 && o->dims[k] < 0 && o->rank > 2))
            break;
    }
    return r;
}

int oc__guess_contains(const char *text, const char *part) {
    size_t n = strlen(part);
    for (; text && *text; text++) {
        size_t i = 0;
        while (i < n && text[i] &&
               oc__ascii_lower(text[i]) == oc__ascii_lower(part[i]))
            i++;
        if (i == n) return 1;
    }
    return 0;
}

/* ---- what exporters write -------------------------------------------------
 */

/* Quoted strings of a Python dict or list: {0: 'person', 1: "it's"}. */
static void labels_from_python(oc__guess *g, const char *text) {
    oc__arena *arena = &g->card->arena;
    size_t room = strlen(text) + 1;
    char *copy = oc__arena_alloc(arena, room);
    const char **names = oc__arena_array(arena, room, sizeof *names);
    if (!copy || !names) {
        g->st = oc__fail_nomem(g->err);
        return;
    }
    int n = 0;
    for (const char *s = text; *s; s++) {
        if (*s != '\'' && *s != '"') continue;
        char quote = *s++;
        names[n++] = copy;
        while (*s && *s != quote) {
            if (*s == '\\' && s[1]) s++;
            *copy++ = *s++;
        }
        *copy++ = 0;
        if (!*s) break;
    }
    if (!n || n > OC_CARD_MAX_LABELS) return;
    g->st = oc_card_set_labels(g->card, names, n, g->err);
    oc__guess_say(g, "labels: %d names in the model's metadata", n);
}

/* Ultralytics' exporter says nearly everything. */
static void read_ultralytics(oc__guess *g) {
    const oc_model *m = g->look->model;
    const char *names = oc_model_metadata(m, "names");
    const char *points = oc_model_metadata(m, "kpt_shape");
    const char *size = oc_model_metadata(m, "imgsz");
    if (!names) return;
    if (!oc__card_has(g->card, "labels")) labels_from_python(g, names);
    if (points) { /* "[17, 3]" */
        char count[16];
        snprintf(count, sizeof count, "%d", atoi(points + (*points == '[')));
        oc__guess_put(g, "decode.keypoints", count);
    }
    if (size && *size == '[' && g->free_size) { /* "[640, 640]" */
        double v[2] = {0, 0};
        const char *s = size + 1;
        s += oc__text_read_f64(s, strlen(s), &v[0]);
        s += strspn(s, ", ");
        oc__text_read_f64(s, strlen(s), &v[1]);
        if (v[0] >= 32 && v[1] >= 32 && v[0] <= 4096 && v[1] <= 4096)
            oc__guess_put_numbers(g, "input.size", v, 2);
    }
}

/* ---- labels ---------------------------------------------------------------
 */

static void guess_labels(oc__guess *g) {
    static const struct {
        oc_task task;
        int classes;
        const char *set, *what;
    } usual[] = {
        {OC_TASK_CLASSIFY, 1000, "imagenet", "ImageNet's"},
        {OC_TASK_CLASSIFY, 1001, "imagenet1001",
         "ImageNet's with a background in front"},
        {OC_TASK_DETECT, 80, "coco80", "COCO's"},
        {OC_TASK_DETECT, 90, "coco90", "COCO's by category number"},
        {OC_TASK_DETECT, 91, "coco90", "COCO's by category number"},
        {OC_TASK_DETECT, 20, "voc20", "Pascal VOC's"},
        {OC_TASK_SEGMENT, 21, "voc21", "Pascal VOC's with a background"},
        {OC_TASK_SEGMENT, 12, "camvid", "CamVid's"},
    };
    if (g->st || oc__card_has(g->card, "labels")) return;
    if (g->labels) {
        oc__guess_put(g, "labels", g->labels);
        oc__guess_say(g, "labels: %s", g->labels);
        return;
    }
    for (size_t i = 0; i < OC_COUNT(usual); i++) {
        if ((int)usual[i].task != g->card->task ||
            usual[i].classes != g->classes)
            continue;
        oc__guess_put(g, "labels", usual[i].set);
        oc__guess_say(g, "labels: %s, by the number of classes (%d)",
                      usual[i].what, g->classes);
        return;
    }
    if (g->classes > 1)
        oc__guess_say(g, "labels: none known for %d classes", g->classes);
}

/* ---- all of it ------------------------------------------------------------
 */

/* The decoder of a kind the caller gave has its outputs in the usual order. */
static int given_kind(oc__guess *g) {
    const oc_card *card = g->card;
    return card->task != OC_TASK_NONE && card->kind &&
           oc__decoder_find((oc_task)card->task, card->kind);
}

static void describe_outputs(const oc__guess *g, char *text, size_t room) {
    size_t used = 0;
    *text = 0;
    for (int i = 0; i < g->look->n && i < 4; i++) {
        const oc__seen *o = &g->look->out[i];
        int n = snprintf(text + used, room - used, "%s%.30s[", i ? ", " : "",
                         o->name);
        for (int k = 0; n > 0 && k < o->rank; k++) {
            used += OC_MIN((size_t)n, room - used - 1);
            n = o->dims[k] < 0
                    ? snprintf(text + used, room - used, "%s?", k ? "," : "")
                    : snprintf(text + used, room - used, "%s%lld", k ? "," : "",
                               (long long)o->dims[k]);
        }
        if (n > 0) used += OC_MIN((size_t)n, room - used - 1);
        n = snprintf(text + used, room - used, "]");
        if (n > 0) used += OC_MIN((size_t)n, room - used - 1);
    }
}

static oc_status fail_unknown(oc__guess *g) {
    const oc_card *card = g->card;
    char text[300];
    if (card->task != OC_TASK_NONE && card->kind)
        return oc__fail(
            g->err, OC_E_UNSUPPORTED,
            "card field \"decode.kind\" is \"%.40s\"; to %s, it must be one "
            "of %s",
            card->kind, oc_task_name((oc_task)card->task),
            oc__decoder_list((oc_task)card->task, text, sizeof text));
    describe_outputs(g, text, sizeof text);
    return oc__fail(g->err, OC_E_UNSUPPORTED,
                    "nothing known has outputs like %s; say in a card what "
                    "they are (fields task and decode.kind)",
                    text);
}

static void look_and_fill(oc__guess *g) {
    const oc__look *l = g->look;
    g->free_size = !l->height || !l->width;
    g->h = l->height ? l->height : 320;
    g->w = l->width ? l->width : 320;
    if (g->card->size.n == 2 && g->free_size) {
        g->h = (int)g->card->size.v[0];
        g->w = (int)g->card->size.v[1];
    }
    read_ultralytics(g);
    if (!g->st) g->st = oc__look_probe(g->look, g->h, g->w, g->err);
    if (g->st) return;
    if (!oc__guess_boxes(g) && !oc__guess_maps(g) && !given_kind(g)) {
        if (!g->st) g->st = fail_unknown(g);
        return;
    }
    oc__guess_input(g);
    guess_labels(g);
}

/* Whether anything that matters is missing. */
static int is_complete(const oc_card *card) {
    return card->task != OC_TASK_NONE && card->kind &&
           oc__card_has(card, "input.color") &&
           oc__card_has(card, "input.layout") &&
           oc__card_has(card, "input.size") &&
           (oc__card_has(card, "input.scale") ||
            oc__card_has(card, "input.mean") ||
            oc__card_has(card, "input.std"));
}

oc_status oc_card_complete(oc_card *card, oc_model *model, oc_error *err) {
    oc__look look;
    if (is_complete(card)) return OC_OK;
    OC_TRY(oc__look_init(&look, card, model, err));
    oc__guess g = {0};
    g.card = card;
    g.look = &look;
    g.err = err;
    look_and_fill(&g);
    oc__look_deinit(&look);
    return g.st;
}
