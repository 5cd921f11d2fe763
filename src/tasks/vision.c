/* vision.c - a picture goes in, tensors come out; see vision_private.h. */
#define _POSIX_C_SOURCE 200809L

#include "tasks/vision_private.h"

#include "base/label_tree.h"
#include "graph/value.h"
#include "runtime/model.h"

#include <math.h>
#include <string.h>
#include <time.h>

double oc__now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return 1e3 * (double)t.tv_sec + 1e-6 * (double)t.tv_nsec;
}

/* ---- from the card --------------------------------------------------------
 */

/* One number for all channels, or one each. */
static void spread(const oc__numbers *from, float to[3], float otherwise) {
    for (int i = 0; i < 3; i++) {
        to[i] = from->n == 3   ? (float)from->v[i]
                : from->n == 1 ? (float)from->v[0]
                               : otherwise;
    }
}

oc_status oc__card_preprocess(const oc_card *card, oc_preprocess *out,
                              oc_error *err) {
    memset(out, 0, sizeof *out);
    if (card->size.n == 2) {
        out->height = (int)card->size.v[0];
        out->width = (int)card->size.v[1];
    }
    const oc__numbers *lists[] = {&card->mean, &card->std, &card->pad_value};
    for (size_t i = 0; i < OC_COUNT(lists); i++) {
        if (lists[i]->n == 2)
            return oc__fail(err, OC_E_FORMAT,
                            "card field \"input.%s\" has two numbers, must "
                            "have one, or one for each of three channels",
                            i == 0   ? "mean"
                            : i == 1 ? "std"
                                     : "pad_value");
    }
    out->fit = (oc_fit)card->fit;
    out->interpolation = (oc_interpolation)card->interpolation;
    out->no_antialias = !card->antialias;
    out->crop = card->crop;
    out->color = (oc_color)card->color;
    out->layout = (oc_layout)card->layout;
    out->scale = (float)card->scale;
    spread(&card->pad_value, out->pad_value, 0);
    spread(&card->mean, out->mean, 0);
    spread(&card->std, out->std, 1);
    return OC_OK;
}

oc_status oc__card_input(const oc_card *card, const oc_model *model, int *out,
                         oc_error *err) {
    int n = oc_model_input_count(model);
    if (card->input_name) {
        *out = oc_model_find_input(model, card->input_name);
        if (*out >= 0) return OC_OK;
        return oc__fail(err, OC_E_FORMAT,
                        "card field \"input.name\": the model has no input "
                        "\"%.60s\"",
                        card->input_name);
    }
    for (int i = 0; i < n; i++) {
        const oc_value_info *info = oc_model_input(model, i);
        /* A picture has height, width and mostly more. */
        if (info->kind != OC_KIND_TENSOR || info->optional ||
            (info->rank >= 0 && info->rank < 3) ||
            info->dtype == OC_DTYPE_STRING)
            continue;
        *out = i;
        return OC_OK;
    }
    return oc__fail(err, OC_E_UNSUPPORTED,
                    "the model has no input that could take a picture");
}

oc_status oc__vision_roles(const oc_card *card, const oc_model *model,
                           int roles[OC_MAX_HEADS], int *n, oc_error *err) {
    int count = oc_model_output_count(model);
    if (!card->outputs.n) {
        *n = OC_MIN(count, OC_MAX_HEADS);
        for (int i = 0; i < *n; i++) {
            roles[i] = i;
        }
        return OC_OK;
    }
    *n = card->outputs.n;
    for (int i = 0; i < *n; i++) {
        roles[i] = oc_model_find_output(model, card->outputs.v[i]);
        if (roles[i] < 0)
            return oc__fail(err, OC_E_FORMAT,
                            "card field \"decode.outputs\": the model has no "
                            "output \"%.60s\"",
                            card->outputs.v[i]);
    }
    return OC_OK;
}

/* ---- create ---------------------------------------------------------------
 */

static oc_status take_card(oc_vision *v, const oc_card *card, oc_error *err) {
    char list[300];
    if (!card) {
        OC_TRY(oc_card_find(&v->own_card, v->model, err));
        OC_TRY(oc_card_complete(v->own_card, v->model, err));
        card = v->own_card;
    }
    v->card = card;
    if (card->task == OC_TASK_NONE)
        return oc__fail(err, OC_E_UNSUPPORTED,
                        "card field \"task\" is missing: the card does not "
                        "say what the model is for");
    v->decoder = oc__decoder_find((oc_task)card->task, card->kind);
    if (!v->decoder)
        return oc__fail(
            err, OC_E_UNSUPPORTED,
            "card field \"decode.kind\" is \"%.40s\"; to %s, it "
            "must be one of %s",
            card->kind ? card->kind : "", oc_task_name((oc_task)card->task),
            oc__decoder_list((oc_task)card->task, list, sizeof list));
    return oc_card_verify(card, v->model, err);
}

/* Inputs beside the picture: only some are known. */
static oc_status take_inputs(oc_vision *v, oc_error *err) {
    OC_TRY(oc__card_input(v->card, v->model, &v->input, err));
    const oc_value_info *info = oc_model_input(v->model, v->input);
    v->dtype = info->dtype == OC_DTYPE_NONE ? OC_DTYPE_F32 : info->dtype;
    v->rank = info->rank < 0 ? 4 : info->rank;
    v->batch = v->rank == 4 && info->dims[0] > 0 ? info->dims[0] : 1;
    v->sizes_input = -1;
    for (int i = 0; i < oc_model_input_count(v->model); i++) {
        const oc_value_info *other = oc_model_input(v->model, i);
        if (i == v->input || other->optional) continue;
        if (strstr(other->name, "orig_target_size") &&
            other->dtype == OC_DTYPE_I64) {
            v->sizes_input = i;
            continue;
        }
        return oc__fail(err, OC_E_UNSUPPORTED,
                        "the model has a second input \"%.60s\", and nothing "
                        "says what to give it",
                        other->name);
    }
    return OC_OK;
}

oc_status oc_vision_set_limits(oc_vision *v, double threshold, int top,
                               oc_error *err) {
    if (!(threshold >= 0 && threshold <= 1))
        return oc__fail(err, OC_E_ARG, "a threshold of %g is not from 0 to 1",
                        threshold);
    if (threshold == 0) {
        threshold = oc__card_has(v->card, "decode.threshold")
                        ? v->card->threshold
                        : v->decoder->threshold;
    }
    v->threshold = (float)threshold;
    v->top = v->card->task == OC_TASK_CLASSIFY ? 5
             : oc__card_has(v->card, "decode.max_objects")
                 ? (size_t)v->card->max_objects
                 : 100;
    if (top > 0) v->top = (size_t)top;
    return OC_OK;
}

static oc_status take_tree(oc_vision *v, oc_error *err) {
    const oc__names *labels = &v->card->labels;
    if (v->card->task != OC_TASK_CLASSIFY || labels->n < 2 ||
        !strcmp(v->card->kind, "sigmoid"))
        return OC_OK;
    size_t n = 2 * (size_t)labels->n;
    v->tree = oc__calloc(&v->allocator, n, sizeof *v->tree);
    if (!v->tree) return oc__fail_nomem(err);
    v->levels = oc__label_order(labels->v, labels->n, v->tree);
    return OC_OK;
}

static oc_status setup(oc_vision *v, const oc_vision_options *opt,
                       oc_error *err) {
    OC_TRY(take_card(v, opt->card, err));
    OC_TRY(take_inputs(v, err));
    OC_TRY(oc_vision_set_limits(v, opt->threshold, opt->top, err));
    OC_TRY(oc__card_preprocess(v->card, &v->pre, err));
    v->pre.allocator = &v->allocator;
    OC_TRY(take_tree(v, err));
    v->threads = opt->session.threads;
    int direct = v->dtype == OC_DTYPE_F32 || v->dtype == OC_DTYPE_F16 ||
                 v->dtype == OC_DTYPE_U8 || v->dtype == OC_DTYPE_I8;
    v->pre.dtype = direct ? v->dtype : OC_DTYPE_F32;
    if (v->rank < 2 || v->rank > 4)
        return oc__fail(err, OC_E_UNSUPPORTED,
                        "an input of %d dimensions takes no picture", v->rank);
    OC_TRY(oc__vision_roles(v->card, v->model, v->roles, &v->n_roles, err));
    if (v->n_roles < v->decoder->min_heads)
        return oc__fail(err, OC_E_SHAPE,
                        "\"%s\" reads %d outputs, the model has %d: %s",
                        v->decoder->kind, v->decoder->min_heads, v->n_roles,
                        v->decoder->expect);
    if (opt->preprocess_only) return OC_OK;
    return oc_session_create(&v->session, v->model, &opt->session, err);
}

oc_status oc_vision_create(oc_vision **out, oc_model *model,
                           const oc_vision_options *opt, oc_error *err) {
    static const oc_vision_options defaults;
    oc_vision *v = oc__calloc(&model->allocator, 1, sizeof *v);
    if (!v) return oc__fail_nomem(err);
    v->allocator = model->allocator;
    v->model = model;
    oc_status st = setup(v, opt ? opt : &defaults, err);
    if (st) {
        oc_vision_destroy(v);
        return st;
    }
    *out = v;
    return OC_OK;
}

void oc_vision_destroy(oc_vision *v) {
    if (!v) return;
    oc_allocator a = v->allocator;
    oc__explain_destroy(v->explains);
    oc_session_destroy(v->session);
    if (v->tree)
        oc__release(&a, v->tree,
                    2 * (size_t)v->card->labels.n * sizeof *v->tree);
    oc_card_destroy(v->own_card);
    oc__release(&a, v->data, v->data_bytes);
    oc__release(&a, v->staging, v->staging_bytes);
    oc__release(&a, v, sizeof *v);
}

const oc_card *oc_vision_card(const oc_vision *v) {
    return v->card;
}

oc_session *oc_vision_session(const oc_vision *v) {
    return v->session;
}

void oc_vision_load_options(const oc_vision *v, oc_image_options *opt) {
    /* Masks and restored pictures have the original's pixels. */
    if (v->card->task == OC_TASK_RESTORE || !v->pre.width) return;
    oc_preprocess_load_options(&v->pre, 0, opt);
}

/* ---- run ------------------------------------------------------------------
 */

/* A size the picture has itself: in steps of 32, no side above 1024. */
static void own_size(const oc_image *img, int *width, int *height) {
    int w = img->full_width ? img->full_width : img->width;
    int h = img->full_height ? img->full_height : img->height;
    double k = OC_MIN(1.0, 1024.0 / OC_MAX(w, h));
    *width = OC_MAX(32, (int)(w * k / 32 + 0.5) * 32);
    *height = OC_MAX(32, (int)(h * k / 32 + 0.5) * 32);
}

static oc_status reserve(const oc_vision *v, void **block, size_t *have,
                         size_t need, oc_error *err) {
    if (*have >= need) return OC_OK;
    void *p = oc__calloc(&v->allocator, need, 1);
    if (!p) return oc__fail_nomem(err);
    oc__release(&v->allocator, *block, *have);
    *block = p;
    *have = need;
    return OC_OK;
}

/* The input's tensor, its data being room for it. */
static oc_status input_tensor(oc_vision *v, const oc_preprocess *p,
                              oc_tensor *t, oc_error *err) {
    oc_tensor one = oc_preprocess_shape(p);
    /* one is [1,c,h,w] or [1,h,w,c]; an input may have less. */
    memset(t, 0, sizeof *t);
    t->dtype = v->dtype;
    t->rank = v->rank;
    for (int i = 0, k = one.rank - v->rank; i < v->rank; i++, k++) {
        t->dims[i] = one.dims[k];
    }
    if (v->rank == 4) t->dims[0] = v->batch;
    if (v->rank == 2) { /* gray: [h,w] */
        t->dims[0] = p->height;
        t->dims[1] = p->width;
    }
    size_t bytes;
    if (oc__size_mul(oc_tensor_bytes(t), 1, &bytes)) return oc__fail_nomem(err);
    OC_TRY(reserve(v, &v->data, &v->data_bytes, bytes, err));
    t->data = v->data;
    return OC_OK;
}

static oc_status preprocess(oc_vision *v, const oc_image *img,
                            const oc_preprocess *p, oc_tensor *t,
                            oc_transform *where, oc_error *err) {
    OC_TRY(input_tensor(v, p, t, err));
    if (p->dtype == v->dtype)
        return oc_image_to_tensor(img, p, t->data, v->data_bytes, where, err);
    oc_tensor one = oc_preprocess_shape(p);
    void *staging = v->staging;
    OC_TRY(reserve(v, &staging, &v->staging_bytes, oc_tensor_bytes(&one), err));
    v->staging = staging;
    OC_TRY(
        oc_image_to_tensor(img, p, v->staging, v->staging_bytes, where, err));
    int64_t n = oc_tensor_elems(&one);
    for (int64_t i = 0; i < n; i++) {
        oc__tensor_set_f64(t, i, nearbyintf(v->staging[i]));
    }
    return OC_OK;
}

oc_status oc_vision_preprocess(oc_vision *v, const oc_image *img,
                               oc_tensor *out, int *input, oc_error *err) {
    oc_preprocess p = v->pre;
    oc_transform where;
    if (!p.width) own_size(img, &p.width, &p.height);
    *input = v->input;
    return preprocess(v, img, &p, out, &where, err);
}

oc_status oc__vision_infer(oc_vision *v, const oc_image *img, oc_result *times,
                           oc_transform *where, oc_error *err) {
    oc_preprocess p = v->pre;
    oc_tensor t;
    double start = oc__now_ms();
    if (!p.width) own_size(img, &p.width, &p.height);
    OC_TRY(preprocess(v, img, &p, &t, where, err));
    double ready = oc__now_ms();
    if (!v->session)
        return oc__fail(err, OC_E_ARG, "it was made to preprocess only");
    OC_TRY(oc_session_set_input(v->session, v->input, &t, err));
    v->seen = t;
    if (v->sizes_input >= 0) {
        v->sizes[0] = where->source_width;
        v->sizes[1] = where->source_height;
        oc_tensor sizes = {OC_DTYPE_I64, 2, {1, 2}, v->sizes};
        OC_TRY(oc_session_set_input(v->session, v->sizes_input, &sizes, err));
    }
    OC_TRY(oc_session_run(v->session, err));
    times->preprocess_ms += ready - start;
    times->infer_ms += oc__now_ms() - ready;
    return OC_OK;
}

/* Decoders read f32; other types are converted. */
static oc_status take_head(oc__head *head, const oc_tensor *t, oc__arena *arena,
                           oc_error *err) {
    head->rank = t->rank;
    memcpy(head->dims, t->dims, sizeof head->dims);
    if (t->dtype == OC_DTYPE_F32) {
        head->v = t->data;
        return OC_OK;
    }
    int64_t n = oc_tensor_elems(t);
    float *v = oc__arena_array(arena, (size_t)n + 1, sizeof *v);
    if (!v) return oc__fail_nomem(err);
    for (int64_t i = 0; i < n; i++) {
        v[i] = (float)oc__tensor_get_f64(t, i);
    }
    head->v = v;
    return OC_OK;
}

oc_status oc__vision_heads(const oc_vision *v, oc__heads *out, oc__arena *arena,
                           oc_error *err) {
    memset(out, 0, sizeof *out);
    out->card = v->card;
    out->threshold = v->threshold;
    out->n = v->n_roles;
    for (int i = 0; i < v->n_roles; i++) {
        const oc_tensor *t = oc_session_output_tensor(v->session, v->roles[i]);
        out->head[i].name = oc_model_output(v->model, v->roles[i])->name;
        if (!t || t->dtype == OC_DTYPE_STRING)
            return oc__fail(err, OC_E_UNSUPPORTED,
                            "output \"%.60s\" is no tensor of numbers",
                            out->head[i].name);
        OC_TRY(take_head(&out->head[i], t, arena, err));
    }
    return OC_OK;
}

static oc_status decode(oc_vision *v, const oc_image *img,
                        const oc_transform *where, oc_result *out,
                        oc_error *err) {
    oc__heads *h = oc__result_alloc(out, 1, sizeof *h);
    oc__owned *owned = out->owned;
    if (!h) return oc__fail_nomem(err);
    OC_TRY(oc__vision_heads(v, h, &owned->arena, err));
    h->width = v->pre.width;
    h->height = v->pre.height;
    if (!h->width) own_size(img, &h->width, &h->height);
    switch (v->card->task) {
    case OC_TASK_CLASSIFY: return oc__classify(v, h, out, err);
    case OC_TASK_DETECT:
        return oc__detect(v, h, where, v->sizes_input >= 0, out, err);
    default: return oc__segment(v, h, where, out, err);
    }
}

oc_status oc_vision_run(oc_vision *v, const oc_image *img, oc_result *out,
                        oc_error *err) {
    oc_result r;
    oc_transform where = {0};
    OC_TRY(oc__result_init(&r, v, err));
    r.width = img->full_width ? img->full_width : img->width;
    r.height = img->full_height ? img->full_height : img->height;
    oc_status st;
    if (v->card->task == OC_TASK_RESTORE) {
        st = oc__restore(v, img, &r, err);
    } else {
        st = oc__vision_infer(v, img, &r, &where, err);
        double start = oc__now_ms();
        if (!st) st = decode(v, img, &where, &r, err);
        r.decode_output_ms = oc__now_ms() - start;
    }
    if (st) {
        oc_result_deinit(&r);
        return st;
    }
    *out = r;
    return OC_OK;
}
