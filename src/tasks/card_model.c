/*
 * card_model.c - a card and its model: finding, checking, sealing.
 */
#include "tasks/vision_private.h"

#include "base/file.h"
#include "runtime/model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- find -----------------------------------------------------------------
 */

static int is_file(const char *path) {
    FILE *f = fopen(path, "rb");
    if (f) fclose(f);
    return f != NULL;
}

/* net.onnx.card.json or net.card.json; 0: neither is there. */
static int beside(const char *model, char *out, size_t room) {
    size_t n = strlen(model);
    int k = snprintf(out, room, "%s.card.json", model);
    if (k > 0 && (size_t)k < room && is_file(out)) return 1;
    if (n < 5 || strcmp(model + n - 5, ".onnx") != 0) return 0;
    k = snprintf(out, room, "%.*s.card.json", (int)(n - 5), model);
    return k > 0 && (size_t)k < room && is_file(out);
}

oc_status oc_card_find(oc_card **out, const oc_model *model, oc_error *err) {
    const char *json = oc_model_metadata(model, OC_CARD_KEY);
    char path[4096];
    if (json) {
        oc_status st = oc_card_parse(out, json, strlen(json), NULL,
                                     &model->allocator, err);
        if (st) oc__error_prefix(err, "the model's metadata");
        return st;
    }
    if (model->path && beside(model->path, path, sizeof path))
        return oc_card_load(out, path, &model->allocator, err);
    return oc_card_create(out, &model->allocator, err);
}

/* ---- verify ---------------------------------------------------------------
 */

static oc_status check_input(const oc_card *card, const oc_model *model,
                             oc_error *err) {
    int i;
    OC_TRY(oc__card_input(card, model, &i, err));
    const oc_value_info *info = oc_model_input(model, i);
    if (info->rank != 4) return OC_OK; /* nothing to compare with */
    int nhwc = card->layout == OC_LAYOUT_NHWC;
    const int64_t *d = info->dims;
    int64_t c = nhwc ? d[3] : d[1], h = nhwc ? d[1] : d[2];
    int64_t w = nhwc ? d[2] : d[3];
    int want = card->color == OC_COLOR_GRAY ? 1 : 3;
    if (c >= 0 && c != want)
        return oc__fail(err, OC_E_SHAPE,
                        "card fields \"input.color\" and \"input.layout\" ask "
                        "for %d channels (%s), but the input \"%.60s\" has "
                        "%lld there",
                        want, nhwc ? "last" : "second", info->name,
                        (long long)c);
    if (card->size.n != 2) return OC_OK;
    if ((h >= 0 && h != (int64_t)card->size.v[0]) ||
        (w >= 0 && w != (int64_t)card->size.v[1]))
        return oc__fail(err, OC_E_SHAPE,
                        "card field \"input.size\" is %g x %g, but the input "
                        "\"%.60s\" is %lld x %lld",
                        card->size.v[0], card->size.v[1], info->name,
                        (long long)h, (long long)w);
    return OC_OK;
}

/* Declared shapes as heads without data; 0: one of them is open. */
static int declared_heads(const oc_card *card, const oc_model *model,
                          const int *roles, int n, oc__heads *h) {
    memset(h, 0, sizeof *h);
    h->card = card;
    h->n = n;
    for (int i = 0; i < n; i++) {
        const oc_value_info *info = oc_model_output(model, roles[i]);
        if (info->kind != OC_KIND_TENSOR || info->rank < 0) return 0;
        h->head[i].name = info->name;
        h->head[i].rank = info->rank;
        memcpy(h->head[i].dims, info->dims, sizeof info->dims);
        for (int k = 1; k < info->rank; k++) {
            if (info->dims[k] < 0) return 0;
        }
    }
    return n > 0;
}

/* Classes a classifier or segmenter puts out by its shape; -1: no telling. */
static int64_t other_classes(oc__heads *h) {
    const oc__head *y = &h->head[0];
    int64_t n = 1;
    if (h->card->task == OC_TASK_CLASSIFY) {
        for (int k = y->rank > 1; k < y->rank; k++) {
            n *= y->dims[k];
        }
        return y->rank ? n : -1;
    }
    if (h->card->task != OC_TASK_SEGMENT || y->rank != 4) return -1;
    if (strcmp(h->card->kind, "logits") != 0) return -1;
    /* One of the two places must hold the labels' count. */
    int labels = h->card->labels.n;
    return y->dims[1] == labels || y->dims[3] == labels
               ? labels
               : OC_MIN(y->dims[1], y->dims[3]);
}

oc_status oc_card_verify(const oc_card *card, const oc_model *model,
                         oc_error *err) {
    int roles[OC_MAX_HEADS], n;
    OC_TRY(check_input(card, model, err));
    OC_TRY(oc__vision_roles(card, model, roles, &n, err));
    if (!card->labels.n || !card->kind) return OC_OK;
    oc__heads *h = oc__alloc(&model->allocator, sizeof *h);
    if (!h) return oc__fail_nomem(err);
    oc_status st = OC_OK;
    if (declared_heads(card, model, roles, n, h)) {
        int64_t classes = card->task == OC_TASK_DETECT ? oc__count_classes(h)
                                                       : other_classes(h);
        if (classes >= 0 && classes != card->labels.n)
            st = oc__fail(err, OC_E_SHAPE,
                          "card field \"labels\" has %d names, but the output "
                          "\"%.60s\" has %lld classes",
                          card->labels.n, h->head[0].name, (long long)classes);
    }
    oc__release(&model->allocator, h, sizeof *h);
    return st;
}

/* ---- seal -----------------------------------------------------------------
 */

oc_status oc_card_seal(const oc_card *card, const oc_model *model,
                       const char *path, oc_error *err) {
    oc_bytes json = {.allocator = &model->allocator};
    if (!model->path)
        return oc__fail(err, OC_E_ARG,
                        "a model from memory has no file to seal");
    /* A sealed model travels alone, so labels go inside. */
    oc_card copy = *card;
    copy.label_file = copy.label_sha256 = NULL;
    oc_status st = oc_card_write(&copy, &json, err);
    size_t room = json.size + 1;
    char *text = st ? NULL : oc__alloc(&model->allocator, room);
    if (!st && !text) st = oc__fail_nomem(err);
    if (!st) {
        memcpy(text, json.data, json.size);
        text[json.size] = 0;
        const char *key = OC_CARD_KEY, *value = text;
        st = oc_model_rewrite_metadata(model->path, path, &key, &value, 1, err);
    }
    oc__release(&model->allocator, text, room);
    oc_bytes_deinit(&json);
    return st;
}
