/* verb_prune.c - ocelli prune: fewer channels, then learning again. */
#define _POSIX_C_SOURCE 200809L

#include "pruning.h"

#include "inputs.h"
#include "out.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_IGNORE = 64, EPOCHS = 10 };

/* ---- options --------------------------------------------------------------
 */

/* "40%" or "0.4"; what is missing is `fallback`. */
static int get_share(const cli_args *args, const char *name, double fallback,
                     double *out) {
    const char *text = cli_get(args, name, NULL);
    char *end;
    *out = fallback;
    if (!text) return CLI_OK;
    double v = strtod(text, &end);
    if (end != text && *end == '%') {
        v /= 100;
        end++;
    }
    if (end == text || *end || !(v >= 0 && v < 1))
        return cli_fail(CLI_USAGE,
                        "--%s takes a share as 40%% or 0.4, from 0 to below "
                        "100%%, not \"%s\"",
                        name, text);
    *out = v;
    return CLI_OK;
}

static int get_shares(prune *r) {
    /* Who asks for zeros alone keeps all channels. */
    double usual = cli_has(r->args, "sparsity") ? 0 : 0.4;
    int code = get_share(r->args, "channels", usual, &r->opt.channels);
    if (!code) code = get_share(r->args, "sparsity", 0, &r->opt.sparsity);
    if (!code && r->opt.channels == 0 && r->opt.sparsity == 0)
        code = cli_fail(CLI_USAGE,
                        "there is nothing to do: --channels and --sparsity "
                        "are both 0");
    return code;
}

static int get_numbers(prune *r) {
    const cli_args *args = r->args;
    int64_t epochs, threads, round;
    int code =
        cli_get_int(args, "epochs", 0, 100000, r->data ? EPOCHS : 0, &epochs);
    if (!code) code = cli_get_int(args, "threads", 1, 1024, 0, &threads);
    if (!code) code = cli_get_int(args, "round", 1, 1024, 8, &round);
    if (code) return code;
    if (epochs && !r->data)
        return cli_fail(CLI_USAGE, "to learn again it needs labelled pictures: "
                                   "--data DIR");
    r->epochs = (int)epochs;
    r->threads = r->opt.threads = (int)threads;
    r->opt.round = (int)round;
    return CLI_OK;
}

static int get_options(prune *r) {
    const cli_args *args = r->args;
    const char *how = cli_get(args, "importance", "l1");
    int code = get_shares(r);
    if (!code) code = get_numbers(r);
    if (code) return code;
    r->opt.importance = !strcmp(how, "bn")         ? OC_IMPORTANCE_BN
                        : !strcmp(how, "gradient") ? OC_IMPORTANCE_GRADIENT
                                                   : OC_IMPORTANCE_L1;
    if (r->opt.importance == OC_IMPORTANCE_GRADIENT && !r->data)
        return cli_fail(CLI_USAGE, "--importance gradient needs labelled "
                                   "pictures: --data DIR");
    return CLI_OK;
}

/* "net.onnx" becomes "net.pruned.onnx", where -o says nothing; the file on the
 * way stands beside it. */
static int name_outputs(prune *r) {
    const char *given = cli_get(r->args, "output", NULL);
    size_t n = strlen(given ? given : r->model);
    r->output = malloc(n + 16);
    r->part = malloc(n + 32);
    if (!r->output || !r->part) return cli_fail(CLI_RESOURCES, "out of memory");
    memcpy(r->output, given ? given : r->model, n + 1);
    if (!given) {
        if (n > 5 && !strcmp(r->output + n - 5, ".onnx"))
            r->output[n - 5] = '\0';
        strcat(r->output, ".pruned.onnx");
    }
    snprintf(r->part, n + 32, "%s.part", r->output);
    return CLI_OK;
}

/* ---- the work -------------------------------------------------------------
 */

static int create(prune *r) {
    const char *ignore[MAX_IGNORE], *pattern;
    oc_options basic = {.cpu_mask = cli_cpu_mask(r->args), .optimize = 1};
    oc_error err;
    for (int i = 0; (pattern = cli_get_nth(r->args, "ignore", i)); i++) {
        if (i == MAX_IGNORE)
            return cli_fail(CLI_USAGE, "more than %d patterns to ignore",
                            MAX_IGNORE);
        ignore[r->opt.n_ignore++] = pattern;
    }
    r->opt.ignore = ignore;
    if (oc_model_load(&r->basic, r->model, &basic, &err) ||
        oc_pruner_create(&r->pruner, r->basic, &r->opt, &err))
        return cli_report(&err, r->model);
    r->opt.ignore = NULL;
    return CLI_OK;
}

/* Whether options say what a card would. */
static int has_card_options(const cli_args *args) {
    static const cli_option card[] = {CLI_OPTS_CARD, CLI_OPT_END};
    for (const cli_option *o = card; o->name; o++)
        if (cli_has(args, o->name)) return 1;
    return 0;
}

static int open_card(prune *r) {
    oc_card *card = NULL;
    oc_error err;
    if (oc_card_find(&card, r->basic, &err)) return cli_report(&err, r->model);
    r->has_card =
        oc_card_task(card) != OC_TASK_NONE || has_card_options(r->args);
    oc_card_destroy(card);
    if (!r->has_card && !r->data) return CLI_OK;
    return cli_vision_init(&r->v, r->args, OC_TASK_NONE, 0, 0);
}

static int open_data(prune *r) {
    if (!r->data) return CLI_OK;
    int code = evaluation_open(&r->e, r->args, r->v.vision, r->data, r->model);
    if (code) return code;
    if (r->e.task != OC_TASK_CLASSIFY &&
        (r->epochs || r->opt.importance == OC_IMPORTANCE_GRADIENT))
        return cli_fail(CLI_USAGE,
                        "%s does not classify pictures, so it can neither "
                        "learn again here nor be ranked by gradients; take "
                        "--epochs 0 and another --importance",
                        r->model);
    return CLI_OK;
}

static int save(prune *r) {
    oc_error err;
    if (!oc_pruner_save(r->pruner, r->part, &err)) return CLI_OK;
    int code = cli_report(&err, err.status == OC_E_IO ? r->output : r->model);
    return err.status == OC_E_IO ? CLI_FAILED : code;
}

static int work(prune *r) {
    int code = create(r);
    if (!code) code = open_card(r);
    if (!code) code = open_data(r);
    if (!code) code = prune_measure(r, NULL, &r->before.top1);
    if (!code && r->opt.importance == OC_IMPORTANCE_GRADIENT)
        code = prune_add_samples(r);
    if (!code) code = save(r);
    if (!code) code = r->epochs ? prune_tune(r) : prune_seal(r);
    if (r->part) remove(r->part);
    if (!code) code = prune_measure(r, r->output, &r->after.top1);
    if (!code) code = prune_compare(r);
    return code;
}

static int run_prune(cli_args *args) {
    prune r = {.args = args, .model = args->operands[0]};
    double start = out_seconds();
    r.data = cli_get(args, "data", NULL);
    r.quiet = cli_has(args, "quiet");
    r.json = cli_has(args, "json");
    r.before.top1 = r.after.top1 = NAN;
    int code = get_options(&r);
    if (!code) code = name_outputs(&r);
    if (!code) code = work(&r);
    r.seconds = out_seconds() - start;
    if (!code) prune_report(&r);
    evaluation_close(&r.e);
    cli_vision_deinit(&r.v);
    oc_pruner_destroy(r.pruner);
    oc_model_destroy(r.basic);
    free(r.output);
    free(r.part);
    return code;
}

static const cli_option options[] = {
    {"output", 'o', "FILE", "the smaller model (default: MODEL.pruned.onnx)",
     NULL},
    {"channels", 'c', "SHARE",
     "channels to take out of each layer that can "
     "spare some (default 40%)",
     NULL},
    {"importance", 0, "HOW",
     "which go: those with the smallest weights, the smallest scale of a batch "
     "norm, or least effect on the loss (default l1)",
     "l1|bn|gradient"},
    {"ignore", 0, "PATTERN",
     "nodes whose channels all stay: a name or an operator, with * and ? "
     "(repeatable)",
     NULL},
    {"round", 0, "N",
     "keep multiples of N channels, which run faster (default "
     "8)",
     NULL},
    {"sparsity", 0, "SHARE",
     "the smallest weights of each layer to set to zero, for a file that packs "
     "smaller (channels stay unless --channels is given)",
     NULL},
    {"data", 'd', "DIR", "labelled pictures to learn again and to measure on",
     NULL},
    {"epochs", 'e', "N",
     "times to go over them, 0: do not learn (default 10 with --data)", NULL},
    {"rate", 'r', "F", "learning rate at its highest", NULL},
    {"batch", 'b', "N", "pictures a step", NULL},
    {"images", 'n', "N", "pictures for --importance gradient (default 200)",
     NULL},
    {"split", 0, "NAME", "part of --data to measure on (default: val or test)",
     NULL},
    {"limit", 0, "N", "measure on the first N pictures only", NULL},
    CLI_OPT_SHAPE,
    CLI_OPT_SEED,
    CLI_OPTS_CARD,
    CLI_OPT_THREADS,
    CLI_OPT_CPU,
    CLI_OPT_JSON,
    CLI_OPT_QUIET,
    CLI_OPT_END,
};

const cli_verb cli_verb_prune = {
    "prune",
    "MODEL",
    "make a model smaller: fewer channels",
    "Finds out which channels depend on each other (by sums, products, "
    "depthwise convolutions, concatenations), takes out those that matter "
    "least with all that belongs to them, and writes a smaller model: ordinary "
    "ONNX, faster in every runtime. What cannot be traced stays whole, and the "
    "reason is said.\n\n"
    "A network has to learn again after that. With labelled pictures (--data "
    "DIR, as for ocelli train) it does, and the best model on val is kept.",
    options,
    1,
    1,
    run_prune,
};
