/* evaluate.c - see evaluate.h: a model goes over labelled pictures. */
#define _POSIX_C_SOURCE 200809L

#include "evaluate.h"

#include "out.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- the data's classes and the model's -----------------------------------
 */

const char *evaluation_class(const evaluation *e, int i, char *room,
                             size_t bytes) {
    const char *name = oc_dataset_class(e->data, i);
    if (name) return name;
    for (int k = 0; k < e->labels; k++) {
        const char *label = oc_card_label(oc_vision_card(e->vision), k);
        if (e->class_of[k] == i && label && *label) return label;
    }
    snprintf(room, bytes, "%d", i);
    return room;
}

static int find_class(const oc_dataset *data, const char *label) {
    for (int i = 0; i < oc_dataset_class_count(data); i++) {
        if (!strcasecmp(oc_dataset_class(data, i), label)) return i;
    }
    return -1;
}

/*
 * By number: a label list that starts with a background the data does not
 * count is one ahead.
 */
static int by_number(evaluation *e) {
    const oc_card *card = oc_vision_card(e->vision);
    const char *first = oc_card_label(card, 0);
    int highest = e->classes - 1, shift = 0;
    for (int i = 0; i < oc_dataset_count(e->data); i++) {
        int label = oc_dataset_sample(e->data, i)->label;
        if (label > highest) highest = label;
    }
    if (e->task == OC_TASK_CLASSIFY && first &&
        !strcasecmp(first, "background") && highest <= e->labels - 2)
        shift = 1;
    if (e->labels && highest >= e->labels - shift)
        return cli_fail(CLI_BAD_INPUT,
                        "the data has classes up to %d, the model knows %d",
                        highest, e->labels - shift);
    for (int i = 0; i < e->labels; i++) {
        e->class_of[i] = i - shift;
    }
    return CLI_OK;
}

/* Which of the data's classes each label of the model is. */
static int match_classes(evaluation *e) {
    const oc_card *card = oc_vision_card(e->vision);
    int known = 0;
    e->labels = oc_card_label_count(card);
    e->classes = oc_dataset_class_count(e->data);
    size_t n = (size_t)(e->labels + e->classes + 1);
    e->class_of = calloc(n, sizeof(*e->class_of));
    e->missing = calloc(n, sizeof(*e->missing));
    if (!e->class_of || !e->missing)
        return cli_fail(CLI_RESOURCES, "out of memory");
    for (int i = 0; i < e->labels; i++) {
        e->class_of[i] = find_class(e->data, oc_card_label(card, i));
        known += e->class_of[i] >= 0;
    }
    if (!known && e->classes && e->labels && e->classes != e->labels)
        return cli_fail(CLI_BAD_INPUT,
                        "none of the data's classes (%s ...) is among the "
                        "model's labels (%s ...); give the model others with "
                        "--labels",
                        oc_dataset_class(e->data, 0), oc_card_label(card, 0));
    if (!known) {
        if (e->classes && e->labels && !cli_has(e->args, "quiet"))
            fprintf(stderr,
                    "%sthe data's classes (%s ...) and the model's labels "
                    "(%s ...) are matched by number%s\n",
                    out_color(stderr, OUT_YELLOW), oc_dataset_class(e->data, 0),
                    oc_card_label(card, 0), out_color(stderr, OUT_PLAIN));
        return by_number(e);
    }
    for (int c = 0; c < e->classes; c++) {
        int found = 0;
        for (int i = 0; i < e->labels && !found; i++) {
            found = e->class_of[i] == c;
        }
        if (!found)
            e->missing[e->n_missing++] =
                (char *)(uintptr_t)oc_dataset_class(e->data, c);
    }
    return CLI_OK;
}

static void warn_missing(const evaluation *e) {
    if (!e->n_missing || cli_has(e->args, "quiet")) return;
    fprintf(stderr, "%sthe model has no label for %d of the data's classes:",
            out_color(stderr, OUT_YELLOW), e->n_missing);
    for (int i = 0; i < e->n_missing && i < 8; i++) {
        fputs(i ? ", " : " ", stderr);
        out_text(stderr, e->missing[i]);
    }
    fprintf(stderr, "%s%s\n", e->n_missing > 8 ? " ..." : "",
            out_color(stderr, OUT_PLAIN));
}

/* ---- the loop -------------------------------------------------------------
 */

static const measure *measure_for(oc_task task) {
    static const measure *const all[] = {&measure_labels, &measure_boxes,
                                         &measure_masks};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        if (all[i]->task == task) return all[i];
    }
    return NULL;
}

/* What is wrong with a picture or its truth costs that picture alone. */
static int look_at(evaluation *e, const measure *m, oc_vision *v,
                   const oc_sample *s) {
    oc_image_options opt = {0};
    oc_image img = {0};
    oc_result r = {0};
    oc_error err;
    int code, skip = 1;
    if (e->task != OC_TASK_SEGMENT) oc_vision_load_options(v, &opt);
    if (oc_image_load(&img, s->picture, &opt, &err) ||
        oc_vision_run(v, &img, &r, &err)) {
        code = cli_report(&err, s->picture);
    } else {
        code = m->add(e, s, &r);
        skip = code == CLI_BAD_INPUT;
    }
    if (!code) {
        e->images++;
    } else if (skip) {
        e->skipped++;
        e->skip_code = code;
        code = CLI_OK;
    }
    oc_result_deinit(&r);
    oc_image_deinit(&img);
    return code;
}

static int look_at_all(evaluation *e, const measure *m, oc_vision *v,
                       const char *label) {
    int64_t limit;
    out_progress bar;
    int n = oc_dataset_count(e->data);
    int code = cli_get_int(e->args, "limit", 1, INT32_MAX, n, &limit);
    if (code) return code;
    if (limit < n) n = (int)limit;
    double start = out_seconds();
    out_progress_begin(&bar, label, n, cli_has(e->args, "quiet"));
    for (int i = 0; i < n && !code; i++) {
        code = look_at(e, m, v, oc_dataset_sample(e->data, i));
        out_progress_add(&bar, 1);
    }
    out_progress_end(&bar);
    e->seconds = out_seconds() - start;
    if (!code && !e->images) {
        if (n == 1) return e->skip_code;
        return cli_fail(CLI_FAILED, "all %d pictures failed", n);
    }
    return code ? code : m->finish(e);
}

int evaluation_open(evaluation *e, const cli_args *args,
                    const oc_vision *vision, const char *dir,
                    const char *model) {
    oc_error err;
    memset(e, 0, sizeof(*e));
    e->args = args;
    e->vision = vision;
    e->task = oc_card_task(oc_vision_card(vision));
    e->how = measure_for(e->task);
    if (!e->how)
        return cli_fail(CLI_USAGE,
                        "%s is a model to %s pictures, for which there is no "
                        "measure",
                        model, oc_task_name(e->task));
    if (oc_dataset_open(&e->data, dir, e->task, cli_get(args, "split", NULL),
                        NULL, &err))
        return cli_report(&err, dir);
    if (oc_dataset_is_multi(e->data)) e->how = &measure_multi;
    int code = match_classes(e);
    if (!code) warn_missing(e);
    return code;
}

static void forget(evaluation *e) {
    if (e->begun) e->how->end(e);
    e->begun = e->images = e->skipped = 0;
    e->state = NULL;
}

int evaluation_measure(evaluation *e, oc_vision *v, const char *label) {
    oc_error err;
    forget(e);
    e->vision = v;
    e->begun = 1;
    /* Precision over all recalls wants the score of every label. */
    int all = e->labels > e->classes ? e->labels : e->classes;
    if (e->how == &measure_multi && oc_vision_set_limits(v, 1e-12, all, &err))
        return cli_report(&err, NULL);
    int code = e->how->begin(e);
    return code ? code : look_at_all(e, e->how, v, label);
}

void evaluation_limits(oc_task task, double *threshold, int *top) {
    /* Precision is measured over all recalls, so weak boxes count too. */
    *threshold = task == OC_TASK_DETECT ? 0.001 : 0;
    *top = task == OC_TASK_CLASSIFY ? 5 : 100;
}

double evaluation_figure(const evaluation *e, const char **name) {
    return e->how->figure(e, name);
}

void evaluation_close(evaluation *e) {
    forget(e);
    free(e->class_of);
    free(e->missing);
    oc_dataset_destroy(e->data);
    memset(e, 0, sizeof(*e));
}
