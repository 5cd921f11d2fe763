/* verb_eval.c - ocelli eval: how well a model does on labelled pictures. */
#define _POSIX_C_SOURCE 200809L

#include "evaluate.h"

#include "out.h"
#include "vision_args.h"

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
                       double *seconds) {
    int64_t limit;
    out_progress bar;
    int n = oc_dataset_count(e->data);
    int code = cli_get_int(e->args, "limit", 1, INT32_MAX, n, &limit);
    if (code) return code;
    if (limit < n) n = (int)limit;
    double start = out_seconds();
    out_progress_begin(&bar, "eval", n, cli_has(e->args, "quiet"));
    for (int i = 0; i < n && !code; i++) {
        code = look_at(e, m, v, oc_dataset_sample(e->data, i));
        out_progress_add(&bar, 1);
    }
    out_progress_end(&bar);
    *seconds = out_seconds() - start;
    if (!code && !e->images) {
        if (n == 1) return e->skip_code;
        return cli_fail(CLI_FAILED, "all %d pictures failed", n);
    }
    return code ? code : m->finish(e);
}

static void report(const evaluation *e, const measure *m, double seconds) {
    double rate = seconds > 0 ? e->images / seconds : 0;
    if (!cli_has(e->args, "json")) {
        m->print_text(e);
        printf("%simages %d, ", out_color(stdout, OUT_DIM), e->images);
        if (e->skipped) printf("%d skipped, ", e->skipped);
        printf("%.1f a second%s\n", rate, out_color(stdout, OUT_PLAIN));
        return;
    }
    json j;
    json_begin(&j, stdout);
    json_object(&j, NULL);
    json_string(&j, "model", e->args->operands[0]);
    json_string(&j, "task", oc_task_name(e->task));
    cli_vision_guesses(oc_vision_card(e->vision), &j);
    json_string(&j, "data", cli_get(e->args, "data", ""));
    json_int(&j, "images", e->images);
    json_int(&j, "skipped", e->skipped);
    json_double(&j, "images_per_s", rate);
    m->print_json(e, &j);
    if (e->n_missing) {
        json_array(&j, "unknown_classes");
        for (int i = 0; i < e->n_missing; i++) {
            json_string(&j, NULL, e->missing[i]);
        }
        json_end(&j);
    }
    json_end(&j);
}

static int evaluate(const cli_args *args, cli_vision *v) {
    evaluation e = {0};
    oc_dataset *data = NULL;
    oc_error err;
    double seconds = 0;
    const char *dir = cli_get(args, "data", NULL);
    e.args = args;
    e.task = oc_card_task(v->card);
    const measure *m = measure_for(e.task);
    if (!m)
        return cli_fail(CLI_USAGE,
                        "%s is a model to %s pictures, for which there is no "
                        "measure",
                        args->operands[0], oc_task_name(e.task));
    if (cli_has(args, "save") && e.task != OC_TASK_DETECT)
        return cli_fail(CLI_USAGE,
                        "--save writes boxes, and %s is a model to %s pictures",
                        args->operands[0], oc_task_name(e.task));
    if (oc_dataset_open(&data, dir, e.task, cli_get(args, "split", NULL), NULL,
                        &err))
        return cli_report(&err, dir);
    e.data = data;
    e.vision = v->vision;
    int code = match_classes(&e);
    if (!code) warn_missing(&e);
    if (!code) code = m->begin(&e);
    if (!code) code = look_at_all(&e, m, v->vision, &seconds);
    if (!code) report(&e, m, seconds);
    if (!code && e.skipped)
        code = cli_fail(CLI_FAILED, "%d of %d pictures failed", e.skipped,
                        e.skipped + e.images);
    m->end(&e);
    free(e.class_of);
    free(e.missing);
    oc_dataset_destroy(data);
    return code;
}

static int run_eval(cli_args *args) {
    cli_vision v = {0};
    int64_t top;
    double threshold;
    if (!cli_has(args, "data"))
        return cli_fail(CLI_USAGE, "eval needs labelled pictures: --data DIR");
    int code = cli_get_int(args, "top", 1, 100000, 100, &top);
    if (!code) code = cli_get_double(args, "threshold", 0, 1, 0, &threshold);
    if (!code) code = cli_vision_card(&v, args, OC_TASK_NONE);
    if (code) {
        cli_vision_deinit(&v);
        return code;
    }
    /* Precision is measured over all recalls, so weak boxes count too. */
    if (oc_card_task(v.card) == OC_TASK_DETECT && !cli_has(args, "threshold"))
        threshold = 0.001;
    if (oc_card_task(v.card) == OC_TASK_CLASSIFY) top = 5;
    code = cli_vision_start(&v, args, threshold, (int)top);
    if (!code && !cli_has(args, "quiet") && !cli_has(args, "json"))
        cli_vision_guesses(v.card, NULL);
    if (!code) code = evaluate(args, &v);
    cli_vision_deinit(&v);
    return code;
}

static const cli_option options[] = {
    {"data", 'd', "DIR", "folder of labelled pictures", NULL},
    {"split", 0, "NAME", "part of the data (default: val or test)", NULL},
    {"limit", 0, "N", "look at the first N pictures only", NULL},
    {"save", 0, "FILE", "write the boxes in COCO's results format", NULL},
    {"top", 'k', "K", "most boxes a picture (default 100)", NULL},
    {"threshold", 0, "T", "least score of a box (default 0.001)", NULL},
    CLI_OPTS_CARD,
    CLI_OPTS_NMS,
    CLI_OPTS_RUN,
};

const cli_verb cli_verb_eval = {
    "eval",
    "MODEL --data DIR",
    "measure a model on labelled pictures",
    "What is measured depends on what the model does.\n\n"
    "Classify: top-1, top-5 and confusions; DIR has a folder for each class, "
    "or labels.txt with lines of file and index.\n\n"
    "Detect: COCO's twelve figures; DIR has COCO's JSON, or Pascal VOC's "
    "Annotations and JPEGImages. Classes are matched by name.\n\n"
    "Segment: mean intersection over union and accuracy of pixels; DIR has "
    "images and masks of the same names, and classes.txt.\n\n"
    "A picture that cannot be read is reported and left out; the exit code is "
    "1 then.",
    options,
    1,
    1,
    run_eval,
};
