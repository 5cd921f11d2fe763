/*
 * scene_args.h - several models that look at one picture, and the words for
 * what they find: what describe and watch share.
 */
#ifndef OCELLI_CLI_SCENE_ARGS_H
#define OCELLI_CLI_SCENE_ARGS_H

#include "cli.h"

#include <ocelli/words.h>

/* clang-format off */
#define CLI_OPTS_SCENE                                                         \
    {"model", 'm', "MODEL", "a model to look with: one that detects, "         \
     "segments or classifies (repeatable)", NULL},                             \
    {"threshold", 0, "T", "least score of what a model reports (default: the " \
     "card's, or 0.35)", NULL},                                                \
    {"sure", 0, "T", "least score of what is said plainly; below it stands "   \
     "\"possibly\" (default 0.5)", NULL},                                      \
    {"view", 0, "DEGREES", "the camera's angle of view along the longer side " \
     "(default 66)", NULL},                                                    \
    {"locale", 0, "LANGUAGE", "language to say it in: en, de, pl, or a file "  \
     "with a / in its name (default en)", NULL}
/* clang-format on */

enum { CLI_MAX_MODELS = 16 };

typedef struct cli_scene_model {
    const char *path;
    oc_model *model;
    oc_card *card;
    oc_vision *vision;
} cli_scene_model;

typedef struct cli_viewer {
    int n;
    cli_scene_model models[CLI_MAX_MODELS];
    oc_result results[CLI_MAX_MODELS];
    oc_scene_options how;
    oc_words *words;
} cli_viewer;

/** Loads what the options ask for; an exit code, with the sentence printed. */
int cli_viewer_init(cli_viewer *v, const cli_args *args);
void cli_viewer_deinit(cli_viewer *v);
/** How large a picture has to be for these models. */
void cli_viewer_load_options(const cli_viewer *v, oc_image_options *opt);
/** All models look; the results stay in v until it looks again. */
oc_status cli_viewer_look(cli_viewer *v, const oc_image *img, oc_scene *scene,
                          oc_error *err);

#endif
