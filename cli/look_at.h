/*
 * look_at.h - what classify, detect, segment and restore share: pictures one
 * after the other through a model, results as text, JSON and pictures.
 */
#ifndef OCELLI_CLI_LOOK_AT_H
#define OCELLI_CLI_LOOK_AT_H

#include "cli.h"

#include <ocelli/vision.h>

/** What INPUT is, for the end of a description. */
#define CLI_LOOK_INPUT                                                         \
    "\n\nINPUT is a file, a folder, a glob pattern or - for standard input. "  \
    "A "                                                                       \
    "picture that cannot be read is reported and skipped. What the model "     \
    "wants is in its card; without one it is inferred, the output says what "  \
    "was guessed, and options override it."

/* clang-format off */
#define CLI_OPT_OUT                                                            \
    {"out", 'o', "DIR", "write pictures of the results there", NULL}
#define CLI_OPT_TOP(what)                                                      \
    {"top", 'k', "K", what, NULL}
#define CLI_OPT_THRESHOLD(what)                                                \
    {"threshold", 0, "T", what, NULL}
/* clang-format on */

/** Runs the verb; returns an exit code. */
int cli_look(const cli_args *args, oc_task task);

#endif
