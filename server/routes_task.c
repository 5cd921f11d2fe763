/*
 * routes_task.c - POST /v1/classify and its like: a picture in, what the
 * program prints with --json out, or the picture it writes with --out.
 */
#define _POSIX_C_SOURCE 200809L

#include "accept.h"
#include "picture_body.h"
#include "result_json.h"
#include "routes.h"

#include <stdlib.h>
#include <string.h>

typedef struct look {
    request *r;
    oc_task task;
    accept_kind accept;
    int mask; /* of a segmented picture, the mask instead */
    double threshold;
    int top;
    served *served;
    oc_card *labels; /* names to use instead of the model's; or NULL */
    slot *slot;
    picture_body body;
    /* The one at hand. */
    oc_image img;
    oc_result result;
    double decode_ms;
} look;

/* ---- what is asked --------------------------------------------------------
 * Each returns nonzero with the answer made.
 */

static int take_accept(look *l) {
    request *r = l->r;
    const char *which = request_query(r, "picture");
    int restore = l->task == OC_TASK_RESTORE;
    l->accept = accept_choose(request_header(r, "Accept"),
                              restore ? ACCEPT_PNG : ACCEPT_JSON);
    if (l->accept == ACCEPT_NONE || (restore && l->accept == ACCEPT_JSON)) {
        reply_error(r, 406,
                    restore ? "there are image/png, image/jpeg, image/webp"
                            : "there are application/json, image/png, "
                              "image/jpeg, image/webp");
        return 1;
    }
    /* A mask has exact numbers, which only PNG keeps. */
    l->mask = l->task == OC_TASK_SEGMENT && l->accept == ACCEPT_PNG;
    if (which && !strcmp(which, "overlay"))
        l->mask = 0;
    else if (which && (strcmp(which, "mask") != 0 || !l->mask)) {
        reply_error(r, 400,
                    "picture= is overlay, or for a segmented picture "
                    "as PNG mask");
        return 1;
    }
    return 0;
}

/* Names of sets only: anything else the library would look for in a file. */
static int take_labels(look *l) {
    static const char *const sets[] = {"imagenet", "imagenet1001", "coco80",
                                       "coco90",   "voc20",        "voc21",
                                       "camvid",   "cifar10",      "digits"};
    request *r = l->r;
    const char *name = request_query(r, "labels");
    int known = 0;
    oc_error err;
    if (!name) return 0;
    for (size_t i = 0; i < COUNT_OF(sets); i++) {
        known |= !strcmp(sets[i], name);
    }
    if (!known) {
        reply_error(r, 400, "there is no set of labels \"%.40s\"", name);
        return 1;
    }
    if (oc_card_create(&l->labels, NULL, &err) ||
        oc_card_set(l->labels, "labels", name, &err)) {
        reply_failure(r, &err);
        return 1;
    }
    int has = oc_card_label_count(l->labels);
    int want = oc_card_label_count(served_card(l->served));
    if (want && has != want) {
        reply_error(r, 400, "the labels %s are %d, the model has %d classes",
                    name, has, want);
        return 1;
    }
    return 0;
}

static int take_model(look *l) {
    request *r = l->r;
    oc_error err;
    int64_t version;
    const char *name = request_query(r, "model");
    if (request_query_int(r, "version", 1, INT64_MAX, 0, &version)) return 1;
    if (!repo_find_task(r->server->repo, l->task, name, version, &l->served,
                        &err)) {
        r->model_label = served_name(l->served);
        return 0;
    }
    if (err.status == OC_E_ARG)
        reply_error(r, 404, "%s", err.message);
    else if (err.status == OC_E_IO)
        reply_error(r, 503, "%s", err.message);
    else
        reply_failure(r, &err);
    return 1;
}

static int take_query(look *l) {
    int64_t top;
    if (request_query_int(l->r, "top", 1, 1000000, 0, &top) ||
        request_query_double(l->r, "threshold", 0, 1, 0, &l->threshold))
        return 1;
    l->top = (int)top;
    return 0;
}

static int take_slot(look *l) {
    oc_error err;
    if (!served_take(l->served, &l->slot, &err) &&
        !oc_vision_set_limits(l->slot->vision, l->threshold, l->top, &err))
        return 0;
    reply_failure(l->r, &err);
    return 1;
}

/* ---- one picture ----------------------------------------------------------
 */

/* As the program does, so that results are the same. */
static int decode(look *l, const body_picture *p) {
    oc_image_options opt = {0};
    oc_error err;
    int64_t start = now_ns();
    if (l->accept == ACCEPT_JSON && l->task != OC_TASK_SEGMENT)
        oc_vision_load_options(l->slot->vision, &opt);
    opt.max_pixels = l->r->server->opt.max_pixels;
    if (oc_image_load_memory(&l->img, p->data, p->bytes, &opt, &err))
        return picture_body_refuse(&l->body, p, l->r, &err);
    int64_t took = now_ns() - start;
    l->decode_ms = 1e-6 * (double)took;
    l->r->ns[STAGE_DECODE] += took;
    return 0;
}

static void rename_labels(look *l) {
    oc_result *res = &l->result;
    if (!l->labels) return;
    for (int i = 0; i < res->label_count; i++) {
        const char *s = oc_card_label(l->labels, res->labels[i].index);
        res->labels[i].label = s ? s : "";
    }
    for (int i = 0; i < res->object_count; i++) {
        const char *s = oc_card_label(l->labels, res->objects[i].index);
        res->objects[i].label = s ? s : "";
    }
    for (int i = 0; i < res->class_count; i++) {
        const char *s = oc_card_label(l->labels, res->classes[i].index);
        res->classes[i].label = s ? s : "";
    }
}

static int run(look *l) {
    request *r = l->r;
    scheduler *sched = r->server->sched;
    oc_error err;
    int64_t start = now_ns();
    job_enter(sched, &r->job, l->slot->session);
    int why = atomic_load(&r->job.stop);
    oc_status st =
        why ? OC_OK : oc_vision_run(l->slot->vision, &l->img, &l->result, &err);
    job_leave(sched, &r->job);
    r->ns[STAGE_INFER] += now_ns() - start;
    if (why)
        reply_stopped(r, (job_stop)why);
    else if (st)
        reply_failure(r, &err);
    else
        rename_labels(l);
    return why || st;
}

/* Nonzero with the answer made; the picture is to be freed in any case. */
static int look_at(look *l, const body_picture *p) {
    return decode(l, p) || run(l);
}

static void forget_picture(look *l) {
    oc_result_deinit(&l->result);
    oc_image_deinit(&l->img);
    memset(&l->result, 0, sizeof l->result);
    memset(&l->img, 0, sizeof l->img);
}

/* ---- answers --------------------------------------------------------------
 */

static void answer_json(look *l) {
    request *r = l->r;
    reply_text t;
    if (reply_begin(r, &t)) return;
    result_json_begin(&t.j, served_name(l->served), l->task,
                      served_card(l->served));
    for (size_t i = 0; i < l->body.n && !r->status; i++) {
        if (!look_at(l, &l->body.v[i])) {
            result_json_item(&t.j, l->body.v[i].name, l->decode_ms, &l->result);
            json_end(&t.j);
        }
        forget_picture(l);
    }
    if (r->status) {
        reply_cancel(&t);
        return;
    }
    result_json_end(&t.j);
    reply_end(r, &t, 200, TYPE_JSON);
}

static void answer_encoded(look *l, const oc_image *img,
                           const oc_image_save_options *how) {
    static const char *const types[] = {
        [ACCEPT_PNG] = "image/png",
        [ACCEPT_JPEG] = "image/jpeg",
        [ACCEPT_WEBP] = "image/webp",
    };
    oc_bytes out = {0};
    oc_error err;
    if (oc_image_save_memory(&out, img, how, &err)) {
        reply_failure(l->r, &err);
        return;
    }
    /* The library's memory is not malloc's for certain. */
    void *copy = malloc(out.size + 1);
    if (copy) {
        memcpy(copy, out.data, out.size);
        reply_bytes(l->r, 200, types[l->accept], copy, out.size);
    } else {
        reply_error(l->r, 503, "no memory for the picture");
    }
    oc_bytes_deinit(&out);
}

/* An indexed PNG, so that every viewer shows the classes in colours. */
static void answer_mask(look *l, oc_image_save_options *how) {
    uint8_t palette[3 * 256];
    oc_palette_fill(palette, 256);
    how->palette = palette;
    how->palette_count = 256;
    answer_encoded(l, &l->result.mask, how);
}

static void answer_drawn(look *l, const oc_image_save_options *how) {
    oc_image copy = {0};
    oc_error err;
    oc_color from = l->img.channels == 1   ? OC_COLOR_GRAY
                    : l->img.channels == 4 ? OC_COLOR_RGBA
                                           : OC_COLOR_RGB;
    /* RGB to RGB copies: the picture is drawn on. */
    if (oc_image_convert(&copy, &l->img, from, OC_COLOR_RGB, NULL, &err) ||
        oc_result_draw(&l->result, l->slot->vision, &copy, &err))
        reply_failure(l->r, &err);
    else
        answer_encoded(l, &copy, how);
    oc_image_deinit(&copy);
}

static void answer_picture(look *l) {
    static const oc_image_format formats[] = {
        [ACCEPT_PNG] = OC_IMAGE_PNG,
        [ACCEPT_JPEG] = OC_IMAGE_JPEG,
        [ACCEPT_WEBP] = OC_IMAGE_WEBP,
    };
    oc_image_save_options how = {0};
    how.format = formats[l->accept];
    if (l->body.n > 1) {
        reply_error(l->r, 400,
                    "a picture is answered with a picture: send one "
                    "at a time, or accept application/json");
        return;
    }
    if (!look_at(l, &l->body.v[0])) {
        int64_t start = now_ns();
        if (l->task == OC_TASK_RESTORE)
            answer_encoded(l, &l->result.image, &how);
        else if (l->mask)
            answer_mask(l, &how);
        else
            answer_drawn(l, &how);
        l->r->ns[STAGE_ENCODE] = now_ns() - start;
    }
    forget_picture(l);
}

static job_result do_task(request *r, oc_task task) {
    look *l = calloc(1, sizeof *l);
    if (!l) {
        reply_error(r, 503, "no memory for the request");
        return JOB_ENDED;
    }
    l->r = r;
    l->task = task;
    if (!take_accept(l) && !take_query(l) && !picture_body_take(&l->body, r) &&
        !take_model(l) && !take_labels(l) && !take_slot(l)) {
        if (l->accept == ACCEPT_JSON)
            answer_json(l);
        else
            answer_picture(l);
    }
    if (l->slot) served_give(l->slot, 0);
    oc_card_destroy(l->labels);
    served_unref(l->served);
    free(l);
    return JOB_ENDED;
}

job_result task_classify(request *r) {
    return do_task(r, OC_TASK_CLASSIFY);
}

job_result task_detect(request *r) {
    return do_task(r, OC_TASK_DETECT);
}

job_result task_segment(request *r) {
    return do_task(r, OC_TASK_SEGMENT);
}

job_result task_restore(request *r) {
    return do_task(r, OC_TASK_RESTORE);
}

/* ---- the models -----------------------------------------------------------
 */

typedef struct name_list {
    size_t n;
    const char *v[1024];
} name_list;

static void list_name(void *user, const repo_entry *e) {
    name_list *l = user;
    if (e->is_ready && l->n < COUNT_OF(l->v) &&
        (!l->n || l->v[l->n - 1] != e->name))
        l->v[l->n++] = e->name;
}

static void put_card(json *j, const served *s) {
    static const char *const texts[] = {"license", "source"};
    const oc_card *card = served_card(s);
    json_object(j, NULL);
    json_string(j, "name", served_name(s));
    json_int(j, "version", served_version(s));
    json_string(j, "task", oc_task_name(served_task(s)));
    if (*served_why(s)) json_string(j, "tensors_only", served_why(s));
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        const char *text = oc_card_text(card, texts[i]);
        if (text) json_string(j, texts[i], text);
    }
    json_array(j, "labels");
    for (int i = 0; i < oc_card_label_count(card); i++) {
        json_string(j, NULL, oc_card_label(card, i));
    }
    json_end(j);
    result_json_guesses(j, card);
    json_end(j);
}

job_result task_models(request *r) {
    name_list l = {0};
    reply_text t;
    repo_each(r->server->repo, list_name, &l);
    if (reply_begin(r, &t)) return JOB_ENDED;
    json_object(&t.j, NULL);
    json_array(&t.j, "models");
    for (size_t i = 0; i < l.n; i++) {
        served *s = repo_find(r->server->repo, l.v[i], 0, NULL);
        if (s) put_card(&t.j, s);
        served_unref(s);
    }
    json_end(&t.j);
    json_end(&t.j);
    reply_end(r, &t, 200, TYPE_JSON);
    return JOB_ENDED;
}
