/* verb_seal.c - ocelli seal: a model and its card in one file. */
#include "cli.h"
#include "json.h"
#include "out.h"
#include "vision_args.h"

#include <string.h>

/*
 * The card is checked against the model, and the model against the card's
 * golden check, before anything is written.
 */
static int check(const cli_args *args, cli_vision *v, int *made) {
    oc_error err;
    const char *image = cli_get(args, "golden", NULL);
    const char *path = args->operands[0];
    if (oc_card_verify(v->card, v->model, &err)) return cli_report(&err, path);
    const char *golden = oc_card_text(v->card, "golden.image");
    *made = !golden || cli_has(args, "renew");
    if (!*made && !image && strcmp(golden, "generated") != 0)
        return cli_fail(CLI_USAGE,
                        "%s: the golden check needs the picture whose SHA-256 "
                        "is %s; give it with --golden, or make a new check "
                        "with --renew",
                        path, golden);
    oc_status st = *made ? oc_card_make_golden(v->card, v->model, image, &err)
                         : oc_card_check_golden(v->card, v->model, image, &err);
    if (st) {
        /* What is wrong with the picture is no fault of the model. */
        int code =
            cli_report(&err, image && strstr(err.message, image) ? NULL : path);
        return st == OC_E_ARG ? CLI_USAGE : code;
    }
    return CLI_OK;
}

static void report(const cli_args *args, const cli_vision *v, const char *out,
                   int made) {
    if (cli_has(args, "json")) {
        json j;
        json_begin(&j, stdout);
        json_object(&j, NULL);
        json_string(&j, "model", args->operands[0]);
        json_string(&j, "output", out);
        json_string(&j, "task", oc_task_name(oc_card_task(v->card)));
        json_int(&j, "labels", oc_card_label_count(v->card));
        json_string(&j, "golden", made ? "made" : "passed");
        cli_vision_guesses(v->card, &j);
        json_end(&j);
        return;
    }
    if (cli_has(args, "quiet")) return;
    cli_vision_guesses(v->card, NULL);
    printf("golden check %s, sealed into ", made ? "made" : "passed");
    out_text(stdout, out);
    putchar('\n');
}

static int run_seal(cli_args *args) {
    cli_vision v = {0};
    oc_error err;
    int made = 0;
    const char *out = cli_get(args, "output", NULL);
    if (!out) return cli_fail(CLI_USAGE, "seal needs a file to write: -o OUT");
    int code = cli_vision_card(&v, args, OC_TASK_NONE);
    if (!code) code = check(args, &v, &made);
    if (!code && oc_card_seal(v.card, v.model, out, &err)) {
        code = cli_report(&err, out);
        if (err.status == OC_E_IO) code = CLI_FAILED;
    }
    if (!code) report(args, &v, out, made);
    cli_vision_deinit(&v);
    return code;
}

static const cli_option options[] = {
    {"output", 'o', "FILE", "the sealed model", NULL},
    {"golden", 0, "PICTURE",
     "picture of the golden check (default: one that is made up)", NULL},
    {"renew", 0, NULL, "make the golden check anew, do not run the card's",
     NULL},
    CLI_OPTS_CARD,
    CLI_OPT_CPU,
    CLI_OPT_OPTIMIZE,
    CLI_OPT_JSON,
    CLI_OPT_QUIET,
    CLI_OPT_END,
};

const cli_verb cli_verb_seal = {
    "seal",
    "MODEL -o OUT",
    "put a card into a model",
    "Writes the model with its card, which says what it is for: task, labels, "
    "preprocessing, decoding, licence. The card comes from --card, from the "
    "file MODEL.card.json, or is inferred; options override it.\n\n"
    "First the card must fit the model, and its golden check must pass: a "
    "picture and what the model makes of it. A card without one gets it.",
    options,
    1,
    1,
    run_seal,
};
