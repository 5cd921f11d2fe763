/* verb_detect.c - ocelli detect; the work is done in look_at.c. */
#include "look_at.h"
#include "vision_args.h"

static int run_detect(cli_args *args) {
    return cli_look(args, OC_TASK_DETECT);
}

static const cli_option options[] = {
    CLI_OPT_TOP("most objects to show (default 100)"),
    CLI_OPT_THRESHOLD("least score to show (default: the card's, or 0.35)"),
    CLI_OPT_OUT,
    CLI_OPTS_CARD,
    CLI_OPTS_NMS,
    CLI_OPTS_RUN,
};

const cli_verb cli_verb_detect = {
    "detect",
    "MODEL INPUT...",
    "find objects in pictures",
    "Finds objects, faces or keypoints; boxes are x1, y1, x2, y2 in pixels of "
    "the original picture." CLI_LOOK_INPUT,
    options,
    2,
    -1,
    run_detect,
};
