/* vision_args.c - see vision_args.h. */
#include "vision_args.h"

#include "out.h"
#include "result_json.h"

#include <string.h>

static int set_field(oc_card *card, const char *field, const char *value) {
    oc_error err;
    if (!oc_card_set(card, field, value, &err)) return CLI_OK;
    int code = cli_report(&err, NULL);
    return err.status == OC_E_ARG ? CLI_USAGE : code;
}

/* FIELD=VALUE */
static int set_pair(oc_card *card, const char *pair) {
    char field[64];
    const char *eq = strchr(pair, '=');
    if (!eq || (size_t)(eq - pair) >= sizeof(field))
        return cli_fail(CLI_USAGE, "--set wants FIELD=VALUE, not \"%s\"", pair);
    memcpy(field, pair, (size_t)(eq - pair));
    field[eq - pair] = '\0';
    return set_field(card, field, eq + 1);
}

/* Options win over the card. */
static int apply_options(const cli_args *args, oc_card *card) {
    static const struct {
        const char *option, *field;
    } fields[] = {
        {"labels", "labels"},       {"decode", "decode.kind"},
        {"size", "input.size"},     {"mean", "input.mean"},
        {"std", "input.std"},       {"scale", "input.scale"},
        {"color", "input.color"},   {"layout", "input.layout"},
        {"resize", "input.resize"}, {"iou", "decode.iou"},
        {"nms", "decode.nms"},
    };
    int code = CLI_OK;
    const char *pair;
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]) && !code; i++) {
        const char *value = cli_get(args, fields[i].option, NULL);
        if (value) code = set_field(card, fields[i].field, value);
    }
    for (int i = 0; !code && (pair = cli_get_nth(args, "set", i)); i++) {
        code = set_pair(card, pair);
    }
    return code;
}

static int has_verb(oc_task task) {
    return cli_find_verb(oc_task_name(task)) != NULL;
}

int cli_vision_card(cli_vision *v, const cli_args *args, oc_task task) {
    oc_error err;
    const char *path = args->operands[0];
    const char *card = cli_get(args, "card", NULL);
    int code = v->model ? CLI_OK : cli_load_model(args, path, &v->model);
    if (code) return code;
    if (card ? oc_card_load(&v->card, card, NULL, &err)
             : oc_card_find(&v->card, v->model, &err))
        return cli_report(&err, card ? card : path);
    code = apply_options(args, v->card);
    if (code) return code;
    oc_task has = oc_card_task(v->card);
    /* Without a card, the verb says what the model is for. */
    if (task != OC_TASK_NONE && has == OC_TASK_NONE && cli_has(args, "decode"))
        code = set_field(v->card, "task", oc_task_name(task));
    if (code) return code;
    if (oc_card_complete(v->card, v->model, &err))
        return cli_report(&err, path);
    has = oc_card_task(v->card);
    if (task != OC_TASK_NONE && has != task)
        return cli_fail(CLI_USAGE,
                        has_verb(has)
                            ? "%s is a model to %s pictures; use ocelli %s"
                            : "%s is a model to %s",
                        path, oc_task_name(has), oc_task_name(has));
    return CLI_OK;
}

int cli_vision_start(cli_vision *v, const cli_args *args, double threshold,
                     int top) {
    oc_vision_options opt = {0};
    oc_error err;
    int64_t threads;
    int code = cli_get_int(args, "threads", 1, 1024, 0, &threads);
    if (code) return code;
    opt.card = v->card;
    opt.session.threads = (int)threads;
    cli_tune(args, &opt.session);
    opt.threshold = threshold;
    opt.top = top;
    if (oc_vision_create(&v->vision, v->model, &opt, &err))
        return cli_report(&err, args->operands[0]);
    return CLI_OK;
}

int cli_vision_init(cli_vision *v, const cli_args *args, oc_task task,
                    double threshold, int top) {
    int code = cli_vision_card(v, args, task);
    return code ? code : cli_vision_start(v, args, threshold, top);
}

void cli_vision_deinit(cli_vision *v) {
    oc_vision_destroy(v->vision);
    oc_card_destroy(v->card);
    oc_model_destroy(v->model);
    memset(v, 0, sizeof(*v));
}

void cli_vision_guesses(const oc_card *card, json *j) {
    const char *s;
    if (j) {
        result_json_guesses(j, card);
        return;
    }
    for (int i = 0; (s = oc_card_guess(card, i)); i++) {
        printf("%sguessed ", out_color(stdout, OUT_DIM));
        out_text(stdout, s);
        printf("%s\n", out_color(stdout, OUT_PLAIN));
    }
}
