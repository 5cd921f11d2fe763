/* verb_restore.c - ocelli restore; the work is done in look_at.c. */
#include "look_at.h"
#include "vision_args.h"

static int run_restore(cli_args *args) {
    return cli_look(args, OC_TASK_RESTORE);
}

static const cli_option options[] = {
    CLI_OPT_OUT,
    CLI_OPTS_CARD,
    CLI_OPTS_RUN,
};

const cli_verb cli_verb_restore = {
    "restore",
    "MODEL INPUT... --out DIR",
    "make better pictures: larger, or cleaner",
    "Puts pictures through a network that gives pictures, tile by tile, and "
    "writes them to the folder of --out." CLI_LOOK_INPUT,
    options,
    2,
    -1,
    run_restore,
};
