/* verb_segment.c - ocelli segment; the work is done in look_at.c. */
#include "look_at.h"
#include "vision_args.h"

static int run_segment(cli_args *args) {
    return cli_look(args, OC_TASK_SEGMENT);
}

static const cli_option options[] = {
    CLI_OPT_THRESHOLD("least score of a foreground mask (default 0.5)"),
    CLI_OPT_OUT,
    CLI_OPTS_CARD,
    CLI_OPTS_RUN,
};

const cli_verb cli_verb_segment = {
    "segment",
    "MODEL INPUT...",
    "tell which pixels belong to what",
    "Gives every pixel a class. With --out, writes NAME.mask.png, an indexed "
    "PNG of the original's size, and NAME.overlay for people." CLI_LOOK_INPUT,
    options,
    2,
    -1,
    run_segment,
};
