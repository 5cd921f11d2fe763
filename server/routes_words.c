/*
 * routes_words.c - POST /v1/describe: pictures in, what `ocelli describe
 * --json` prints out, or a plain sentence.
 */
#define _POSIX_C_SOURCE 200809L

#include "accept.h"
#include "describe_json.h"
#include "locale_folder.h"
#include "picture_body.h"
#include "routes.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_LOOKERS = 8 };

typedef struct describing {
    request *r;
    int is_text, is_long; /* a sentence; the long one */
    double threshold;
    oc_scene_options how;
    oc_words *words;
    size_t n;
    served *served[MAX_LOOKERS];
    slot *slots[MAX_LOOKERS];
    picture_body body;
    /* The picture at hand. */
    describe_times times;
    oc_image img;
    oc_result results[MAX_LOOKERS];
    oc_scene scene;
    oc_description text;
} describing;

/* ---- what is asked --------------------------------------------------------
 * Each returns nonzero with the answer made.
 */

static int take_query(describing *d) {
    request *r = d->r;
    const char *text = request_query(r, "text");
    d->is_text = accept_prefers_text(request_header(r, "Accept"));
    if (!d->is_text && accept_choose(request_header(r, "Accept"),
                                     ACCEPT_JSON) != ACCEPT_JSON) {
        reply_error(r, 406, "there are application/json, text/plain");
        return 1;
    }
    d->is_long = text && !strcmp(text, "long");
    if (text && !d->is_long && strcmp(text, "short") != 0) {
        reply_error(r, 400, "text= is short or long");
        return 1;
    }
    return request_query_double(r, "threshold", 0, 1, 0, &d->threshold) ||
           request_query_double(r, "sure", 0, 1, 0, &d->how.sure) ||
           request_query_double(r, "view", 5, 170, 0, &d->how.view_degrees);
}

/* A language's name: a file of the server's is not for strangers to name. */
static int take_words(describing *d) {
    char room[4096];
    oc_error err;
    const char *locale = request_query(d->r, "locale");
    if (!locale) locale = "en";
    if (strchr(locale, '/') ||
        oc_words_load(&d->words, locale, locale_folder(room, sizeof room), NULL,
                      &err)) {
        reply_error(d->r, 400, "there is no language \"%.40s\"", locale);
        return 1;
    }
    return 0;
}

static int can_look(const served *s) {
    oc_task task = served_task(s);
    return task == OC_TASK_DETECT || task == OC_TASK_SEGMENT ||
           task == OC_TASK_CLASSIFY;
}

/* A model by its name; the sentence for any other is that of a detector. */
static oc_status find_named(repository *repo, const char *name, served **out,
                            oc_error *err) {
    served *found = repo_find(repo, name, 0, NULL);
    if (!found || !can_look(found)) {
        served_unref(found);
        return repo_find_task(repo, OC_TASK_DETECT, name, 0, out, err);
    }
    *out = found;
    return OC_OK;
}

static int take_model(describing *d, const char *name) {
    request *r = d->r;
    repository *repo = r->server->repo;
    oc_error err;
    if (d->n == MAX_LOOKERS) {
        reply_error(r, 400, "more than %d models", MAX_LOOKERS);
        return 1;
    }
    oc_status st = name ? find_named(repo, name, &d->served[d->n], &err)
                        : repo_find_task(repo, OC_TASK_DETECT, NULL, 0,
                                         &d->served[d->n], &err);
    if (!st) {
        if (!d->n) r->model_label = served_name(d->served[0]);
        d->n++;
        return 0;
    }
    if (st == OC_E_ARG)
        reply_error(r, 404, "%s", err.message);
    else if (st == OC_E_IO)
        reply_error(r, 503, "%s", err.message);
    else
        reply_failure(r, &err);
    return 1;
}

/* model=yolox,deeplab */
static int take_models(describing *d) {
    const char *list = request_query(d->r, "model");
    char name[REPO_MAX_NAME];
    if (!list) return take_model(d, NULL);
    while (*list) {
        size_t n = strcspn(list, ",");
        if (!n || n >= sizeof name) {
            reply_error(d->r, 400, "model= is names with commas between them");
            return 1;
        }
        memcpy(name, list, n);
        name[n] = '\0';
        if (take_model(d, name)) return 1;
        list += n + (list[n] == ',');
    }
    if (d->n) return 0;
    reply_error(d->r, 400, "model= is names with commas between them");
    return 1;
}

static int take_slots(describing *d) {
    oc_error err;
    for (size_t i = 0; i < d->n; i++) {
        int is_detector = served_task(d->served[i]) == OC_TASK_DETECT;
        if (served_take(d->served[i], &d->slots[i], &err) ||
            oc_vision_set_limits(d->slots[i]->vision,
                                 is_detector ? d->threshold : 0, 0, &err)) {
            reply_failure(d->r, &err);
            return 1;
        }
    }
    return 0;
}

/* ---- one picture ----------------------------------------------------------
 */

/* As the program does, so that results are the same. */
static int decode(describing *d, const body_picture *p) {
    oc_image_options opt = {0};
    oc_error err;
    int64_t start = now_ns();
    if (d->n == 1 && served_task(d->served[0]) != OC_TASK_SEGMENT)
        oc_vision_load_options(d->slots[0]->vision, &opt);
    opt.max_pixels = d->r->server->opt.max_pixels;
    if (oc_image_load_memory(&d->img, p->data, p->bytes, &opt, &err))
        return picture_body_refuse(&d->body, p, d->r, &err);
    int64_t took = now_ns() - start;
    d->times.decode = 1e-6 * (double)took;
    d->r->ns[STAGE_DECODE] += took;
    return 0;
}

static int run(describing *d, size_t i) {
    request *r = d->r;
    oc_error err;
    job_enter(r->server->sched, &r->job, d->slots[i]->session);
    int why = atomic_load(&r->job.stop);
    oc_status st =
        why ? OC_OK
            : oc_vision_run(d->slots[i]->vision, &d->img, &d->results[i], &err);
    job_leave(r->server->sched, &r->job);
    if (why)
        reply_stopped(r, (job_stop)why);
    else if (st)
        reply_failure(r, &err);
    return why || st;
}

static int look(describing *d) {
    int64_t start = now_ns();
    int failed = 0;
    for (size_t i = 0; i < d->n && !failed; i++) {
        failed = run(d, i);
    }
    d->r->ns[STAGE_INFER] += now_ns() - start;
    d->times.look = 1e-6 * (double)(now_ns() - start);
    return failed;
}

static int put_into_words(describing *d) {
    oc_error err;
    int64_t start = now_ns();
    if (oc_scene_init(&d->scene, d->results, (int)d->n, &d->how, NULL, &err) ||
        oc_describe(&d->text, d->words, &d->scene, NULL, &err)) {
        reply_failure(d->r, &err);
        return 1;
    }
    d->times.words = 1e-6 * (double)(now_ns() - start);
    return 0;
}

static void forget_picture(describing *d) {
    oc_description_deinit(&d->text);
    oc_scene_deinit(&d->scene);
    for (size_t i = 0; i < d->n; i++) {
        oc_result_deinit(&d->results[i]);
    }
    oc_image_deinit(&d->img);
    memset(&d->img, 0, sizeof d->img);
}

/* ---- answers --------------------------------------------------------------
 */

static void put_head(describing *d, json *j) {
    describe_json_begin(j);
    for (size_t i = 0; i < d->n; i++) {
        describe_json_model(j, served_name(d->served[i]),
                            served_task(d->served[i]),
                            served_card(d->served[i]));
    }
    describe_json_results(j, oc_words_locale(d->words));
}

static void put_item(describing *d, reply_text *t, const body_picture *p) {
    if (d->is_text) {
        fprintf(t->f, "%s\n", d->is_long ? d->text.full : d->text.brief);
        return;
    }
    describe_json_item(&t->j, p->name, &d->times, &d->scene, &d->text);
    json_end(&t->j);
}

static void answer(describing *d) {
    request *r = d->r;
    reply_text t;
    if (reply_begin(r, &t)) return;
    if (!d->is_text) put_head(d, &t.j);
    for (size_t i = 0; i < d->body.n && !r->status; i++) {
        const body_picture *p = &d->body.v[i];
        if (!decode(d, p) && !look(d) && !put_into_words(d)) put_item(d, &t, p);
        forget_picture(d);
    }
    if (r->status) {
        reply_cancel(&t);
        return;
    }
    if (!d->is_text) describe_json_end(&t.j);
    reply_header(r, "Content-Language", "%s", oc_words_locale(d->words));
    reply_end(r, &t, 200, d->is_text ? "text/plain; charset=utf-8" : TYPE_JSON);
}

job_result task_describe(request *r) {
    describing *d = calloc(1, sizeof *d);
    if (!d) {
        reply_error(r, 503, "no memory for the request");
        return JOB_ENDED;
    }
    d->r = r;
    if (!take_query(d) && !picture_body_take(&d->body, r) && !take_models(d) &&
        !take_words(d) && !take_slots(d))
        answer(d);
    for (size_t i = 0; i < d->n; i++) {
        if (d->slots[i]) served_give(d->slots[i], 0);
        served_unref(d->served[i]);
    }
    oc_words_destroy(d->words);
    free(d);
    return JOB_ENDED;
}
