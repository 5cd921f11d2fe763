/* served.c - see served.h. */
#define _POSIX_C_SOURCE 200809L

#include "served.h"

#include "basics.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct served {
    atomic_int refs;
    const char *name;
    int64_t version;
    served_options opt;
    buffer bytes; /* of the file, which may change on disk */
    oc_model *model;
    oc_card *card;
    oc_task task;
    char why[sizeof((oc_error *)0)->message]; /* no task, and why */
    int takes_batches;
    pthread_mutex_t lock;
    slot *idle;
};

const char *served_name(const served *s) {
    return s->name;
}

int64_t served_version(const served *s) {
    return s->version;
}

oc_model *served_model(const served *s) {
    return s->model;
}

oc_task served_task(const served *s) {
    return s->task;
}

const char *served_why(const served *s) {
    return s->why;
}

const oc_card *served_card(const served *s) {
    return s->card;
}

int served_takes_batches(const served *s) {
    return s->takes_batches;
}

/* ---- sessions -------------------------------------------------------------
 */

static void slot_destroy(slot *which) {
    if (!which) return;
    if (which->vision)
        oc_vision_destroy(which->vision);
    else
        oc_session_destroy(which->session);
    free(which);
}

static oc_status slot_create(served *s, slot **out, oc_error *err) {
    slot *w = calloc(1, sizeof *w);
    oc_status st;
    if (!w) return server_fail(err, OC_E_NOMEM, "no memory for a session");
    w->of = s;
    if (s->task != OC_TASK_NONE) {
        oc_vision_options opt = {0};
        opt.card = s->card;
        opt.session.threads = s->opt.threads;
        st = oc_vision_create(&w->vision, s->model, &opt, err);
        if (!st) w->session = oc_vision_session(w->vision);
    } else {
        oc_session_options opt = {0};
        opt.threads = s->opt.threads;
        st = oc_session_create(&w->session, s->model, &opt, err);
    }
    if (st) {
        free(w);
        return st;
    }
    *out = w;
    return OC_OK;
}

oc_status served_take(served *s, slot **out, oc_error *err) {
    pthread_mutex_lock(&s->lock);
    slot *w = s->idle;
    if (w) s->idle = w->next;
    pthread_mutex_unlock(&s->lock);
    if (!w) return slot_create(s, out, err);
    w->next = NULL;
    *out = w;
    return OC_OK;
}

void served_give(slot *w, int spoiled) {
    served *s = w->of;
    if (spoiled) {
        slot_destroy(w);
        return;
    }
    pthread_mutex_lock(&s->lock);
    w->next = s->idle;
    s->idle = w;
    pthread_mutex_unlock(&s->lock);
}

/* ---- loading --------------------------------------------------------------
 */

/*
 * The file's bytes are copied: who replaces a model writes over it as often
 * as not, and a mapping would change under a running network.  Weights in
 * files of their own can only be mapped.
 */
static oc_status load_model(served *s, const char *path, oc_error *err) {
    oc_options opt = {0};
    size_t limit = s->opt.max_file_bytes ? s->opt.max_file_bytes : SIZE_MAX;
    opt.cpu_mask = s->opt.cpu_mask;
    opt.precision = s->opt.precision;
    opt.max_file_bytes = s->opt.max_file_bytes;
    oc_status st = read_file(&s->bytes, path, limit, err);
    if (st) return st;
    st = oc_model_load_memory(&s->model, s->bytes.data, s->bytes.size, &opt,
                              err);
    if (st != OC_E_FORMAT) return st;
    buffer_deinit(&s->bytes);
    return oc_model_load(&s->model, path, &opt, err);
}

/* MODEL.onnx.card.json, or with .onnx taken off the name. */
static int card_beside(const char *path, char *out, size_t room) {
    size_t n = strlen(path);
    file_stamp none = {0, 0, 0}, there;
    if ((size_t)snprintf(out, room, "%s.card.json", path) >= room) return 0;
    there = stamp_of(out);
    if (!same_stamp(&there, &none)) return 1;
    if (n < 5 || strcmp(path + n - 5, ".onnx") != 0) return 0;
    snprintf(out, room, "%.*s.card.json", (int)(n - 5), path);
    there = stamp_of(out);
    return !same_stamp(&there, &none);
}

static oc_status find_card(served *s, const char *path, oc_error *err) {
    char beside[4096];
    if (!oc_model_metadata(s->model, OC_CARD_KEY) &&
        card_beside(path, beside, sizeof beside))
        return oc_card_load(&s->card, beside, NULL, err);
    return oc_card_find(&s->card, s->model, err);
}

static void forget_task(served *s, const oc_error *err) {
    copy_text(s->why, sizeof s->why, err->message);
    s->task = OC_TASK_NONE;
}

/* A model that no task fits still takes tensors. */
static oc_status find_task(served *s, const char *path, oc_error *err) {
    oc_error why;
    oc_status st = find_card(s, path, err);
    if (st) return st; /* a card that is there must be right */
    if (oc_card_complete(s->card, s->model, &why)) {
        forget_task(s, &why);
        return OC_OK;
    }
    s->task = oc_card_task(s->card);
    return OC_OK;
}

/* A gray picture goes through all of it. */
static oc_status try_picture(slot *w, oc_error *err) {
    oc_image img = {0};
    oc_result result;
    oc_status st = oc_image_init(&img, 64, 64, 3, NULL, err);
    if (st) return st;
    for (int y = 0; y < 64; y++) {
        memset(img.pixels + (size_t)y * img.stride, 128, 64 * 3);
    }
    st = oc_vision_run(w->vision, &img, &result, err);
    if (!st) oc_result_deinit(&result);
    oc_image_deinit(&img);
    return st;
}

/* Zeros for every input go as far as a plan, if their shapes are known. */
static oc_status try_tensors(const served *s, slot *w, oc_error *err) {
    int n = oc_model_input_count(s->model);
    void **data = calloc((size_t)n + 1, sizeof *data);
    oc_status st = OC_OK;
    int known = data != NULL;
    for (int i = 0; i < n && known && !st; i++) {
        const oc_value_info *info = oc_model_input(s->model, i);
        oc_tensor t = {info->dtype, info->rank, {0}, NULL};
        if (info->optional) continue;
        known = info->kind == OC_KIND_TENSOR && info->rank >= 0 &&
                info->dtype != OC_DTYPE_STRING && info->dtype != OC_DTYPE_NONE;
        for (int k = 0; k < info->rank && known; k++) {
            t.dims[k] = info->dims[k];
            known = info->dims[k] >= 0;
        }
        if (!known) break;
        data[i] = t.data = calloc(oc_tensor_bytes(&t) + 1, 1);
        if (!t.data) known = 0;
        if (known) st = oc_session_set_input(w->session, i, &t, err);
    }
    if (known && !st) st = oc_session_plan(w->session, err);
    for (int i = 0; data && i < n; i++) {
        free(data[i]);
    }
    free(data);
    return st;
}

static oc_status try_model(served *s, oc_error *err) {
    slot *w = NULL;
    oc_error why;
    if (s->task != OC_TASK_NONE) {
        oc_status st = slot_create(s, &w, &why);
        if (!st) st = try_picture(w, &why);
        if (!st) {
            served_give(w, 0);
            return OC_OK;
        }
        slot_destroy(w);
        w = NULL;
        forget_task(s, &why);
    }
    oc_status st = slot_create(s, &w, err);
    if (!st) st = try_tensors(s, w, err);
    /* It still has inputs set whose memory is gone. */
    slot_destroy(w);
    return st;
}

/* The first dim of everything is free, and the same one as far as it says. */
static int has_free_batch(const oc_model *m) {
    const char *name = NULL;
    int n_in = oc_model_input_count(m), n_out = oc_model_output_count(m);
    for (int i = 0; i < n_in + n_out; i++) {
        const oc_value_info *v =
            i < n_in ? oc_model_input(m, i) : oc_model_output(m, i - n_in);
        if (v->kind != OC_KIND_TENSOR || v->rank < 1 || v->dims[0] >= 0 ||
            v->optional || v->dtype == OC_DTYPE_STRING)
            return 0;
        /* Without names nothing says that rows stay apart. */
        if (!v->dim_names[0] || (name && strcmp(name, v->dim_names[0]) != 0))
            return 0;
        name = v->dim_names[0];
    }
    return n_in > 0;
}

oc_status served_load(served **out, const char *name, int64_t version,
                      const char *path, const served_options *opt,
                      oc_error *err) {
    served *s = calloc(1, sizeof *s);
    if (!s) return server_fail(err, OC_E_NOMEM, "no memory for a model");
    atomic_init(&s->refs, 1);
    pthread_mutex_init(&s->lock, NULL);
    s->name = name;
    s->version = version;
    s->opt = *opt;
    oc_status st = load_model(s, path, err);
    if (!st) st = find_task(s, path, err);
    if (!st) st = try_model(s, err);
    if (st) {
        served_unref(s);
        return st;
    }
    s->takes_batches = has_free_batch(s->model);
    *out = s;
    return OC_OK;
}

served *served_ref(served *s) {
    atomic_fetch_add(&s->refs, 1);
    return s;
}

void served_unref(served *s) {
    if (!s || atomic_fetch_sub(&s->refs, 1) > 1) return;
    while (s->idle) {
        slot *next = s->idle->next;
        slot_destroy(s->idle);
        s->idle = next;
    }
    oc_card_destroy(s->card);
    oc_model_destroy(s->model);
    buffer_deinit(&s->bytes);
    pthread_mutex_destroy(&s->lock);
    free(s);
}
