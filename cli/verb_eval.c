/* verb_eval.c - ocelli eval: how well a model does on labelled pictures. */
#define _POSIX_C_SOURCE 200809L

#include "evaluate.h"

#include "out.h"
#include "vision_args.h"

/* ---- the report ------------------------------------------------------------
 */

static void report(const evaluation *e) {
    double rate = e->seconds > 0 ? e->images / e->seconds : 0;
    if (!cli_has(e->args, "json")) {
        e->how->print_text(e);
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
    e->how->print_json(e, &j);
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
    int code = evaluation_open(&e, args, v->vision, cli_get(args, "data", NULL),
                               args->operands[0]);
    if (!code && cli_has(args, "save") && e.task != OC_TASK_DETECT)
        code = cli_fail(CLI_USAGE,
                        "--save writes boxes, and %s is a model to %s pictures",
                        args->operands[0], oc_task_name(e.task));
    if (!code) code = evaluation_measure(&e, v->vision, "eval");
    if (!code) report(&e);
    if (!code && e.skipped)
        code = cli_fail(CLI_FAILED, "%d of %d pictures failed", e.skipped,
                        e.skipped + e.images);
    evaluation_close(&e);
    return code;
}

static int run_eval(cli_args *args) {
    cli_vision v = {0};
    int64_t top;
    int most;
    double threshold, least;
    if (!cli_has(args, "data"))
        return cli_fail(CLI_USAGE, "eval needs labelled pictures: --data DIR");
    int code = cli_get_int(args, "top", 1, 100000, 100, &top);
    if (!code) code = cli_get_double(args, "threshold", 0, 1, 0, &threshold);
    if (!code) code = cli_vision_card(&v, args, OC_TASK_NONE);
    if (code) {
        cli_vision_deinit(&v);
        return code;
    }
    evaluation_limits(oc_card_task(v.card), &least, &most);
    if (!cli_has(args, "threshold")) threshold = least;
    if (oc_card_task(v.card) == OC_TASK_CLASSIFY) top = most;
    code = cli_vision_start(&v, args, threshold, (int)top);
    if (!code && !cli_has(args, "quiet") && !cli_has(args, "json"))
        cli_vision_guesses(v.card, NULL);
    if (!code) code = evaluate(args, &v);
    cli_vision_deinit(&v);
    return code;
}

static const cli_option options[] = {
    {"data", 'd', "DIR", "labelled pictures: a folder, or a table", NULL},
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
    "or labels.txt with lines of file and index, or is a table of files and "
    "labels. Where classes are paths (animal/cat, a folder in a folder), how "
    "often each level was right; where pictures have several labels, mAP.\n\n"
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
