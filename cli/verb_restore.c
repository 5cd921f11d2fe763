/* verb_restore.c - ocelli restore; the work is done in look_at.c. */
#include "look_at.h"
#include "vision_args.h"

static int run_restore(cli_args *args) {
    return cli_look(args, OC_TASK_RESTORE);
}

static const cli_option options[] = {

    CLI_OPT_OUT,     CLI_OPTS_CARD,

    CLI_OPT_THREADS, CLI_OPT_CPU,   CLI_OPT_OPTIMIZE,
    CLI_OPT_JSON,    CLI_OPT_QUIET, CLI_OPT_END,
};

const cli_verb cli_verb_restore = {
    "restore",
    "MODEL INPUT...",
    "make better pictures: larger, or cleaner",
    "Puts pictures through a network that gives pictures, tile by tile, and "
    "writes them to the folder of --out.\n\n"
    "INPUT is a file, a folder, a glob pattern or - for standard input. A "
    "picture that cannot be read is reported and skipped. What the model wants "
    "is in its card; without one it is inferred, the output says what was "
    "guessed, and options override it.",
    options,
    2,
    -1,
    run_restore,
};
