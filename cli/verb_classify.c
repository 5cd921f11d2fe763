/* verb_classify.c - ocelli classify; the work is done in look_at.c. */
#include "look_at.h"
#include "vision_args.h"

static int run_classify(cli_args *args) {
    return cli_look(args, OC_TASK_CLASSIFY);
}

/* clang-format off */
static const cli_option options[] = {
    CLI_OPT_TOP("labels to show (default 5)"),
    CLI_OPT_THRESHOLD("least score to show (default 0)"),
    CLI_OPT_OUT,
    {"explain", 0, NULL, "show what in each picture speaks for its class: a "
     "drawing in the folder of --out, numbers with --json", NULL},
    {"explain-by", 0, "HOW", "method; without it Grad-CAM, or Recipro-CAM for "
     "networks that cannot be differentiated", "grad-cam|recipro-cam"},
    {"explain-class", 0, "N", "explain class N instead of the best one", NULL},
    CLI_OPTS_CARD,
    CLI_OPTS_RUN,
};
/* clang-format on */

const cli_verb cli_verb_classify = {
    "classify",
    "MODEL INPUT...",
    "say what is in pictures",
    "Names the most likely classes of each picture." CLI_LOOK_INPUT,
    options,
    2,
    -1,
    run_classify,
};
