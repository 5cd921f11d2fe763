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

    CLI_OPT_THREADS,
    CLI_OPT_CPU,
    CLI_OPT_OPTIMIZE,
    CLI_OPT_JSON,
    CLI_OPT_QUIET,
    CLI_OPT_END,
};

const cli_verb cli_verb_segment = {
    "segment",
    "MODEL INPUT...",
    "tell which pixels belong to what",
    "Gives every pixel a class. With --out, writes NAME.mask.png, an indexed "
    "PNG of the original's size, and NAME.overlay for people.\n\n"
    "INPUT is a file, a folder, a glob pattern or - for standard input. A "
    "picture that cannot be read is reported and skipped. What the model wants "
    "is in its card; without one it is inferred, the output says what was "
    "guessed, and options override it.",
    options,
    2,
    -1,
    run_segment,
};
