/*
 * vision_args.h - a model with its card, as options ask for it.
 */
#ifndef OCELLI_CLI_VISION_ARGS_H
#define OCELLI_CLI_VISION_ARGS_H

#include "cli.h"
#include "json.h"

#include <ocelli/vision.h>

/* clang-format off */
/** Options that say what a card would; each overrides the card. */
#define CLI_OPTS_CARD                                                          \
    {"card", 0, "FILE", "card to use instead of the model's own", NULL},       \
    {"labels", 0, "FILE", "names of the classes, one a line, or a built-in "   \
     "set: imagenet, imagenet1001, coco80, coco90, voc20, voc21, camvid, "     \
     "cifar10, digits", NULL},                                                 \
    {"decode", 0, "KIND", "how to read the outputs: logits, yolox, yolov8, "   \
     "ssd, detr ...", NULL},                                                   \
    {"size", 0, "HxW", "size of the network's input", NULL},                   \
    {"mean", 0, "A[,B,C]", "subtracted from the scaled levels", NULL},         \
    {"std", 0, "A[,B,C]", "then divided by", NULL},                            \
    {"scale", 0, "F", "factor for levels of 0 to 255", NULL},                  \
    {"color", 0, "ORDER", "order of the channels", "rgb|bgr|gray"},            \
    {"layout", 0, "LAYOUT", "order of the dimensions", "nchw|nhwc"},           \
    {"resize", 0, "HOW", "what becomes of pictures of another shape",          \
     "stretch|cover|contain|letterbox"},                                       \
    {"set", 0, "FIELD=VALUE", "any other field of a card, as decode.iou=0.5 "  \
     "(repeatable)", NULL}
#define CLI_OPTS_NMS                                                           \
    {"iou", 0, "F", "overlap above which the lesser of two boxes goes", NULL}, \
    {"nms", 0, "MODE", "among which boxes", "class|agnostic|soft|none"}
/* clang-format on */

/** Model, card and oc_vision; free with cli_vision_deinit(). */
typedef struct cli_vision {
    oc_model *model;
    oc_card *card;
    oc_vision *vision;
} cli_vision;

/**
 * Loads the model (operand 0) and completes its card.  task: what the verb
 * does, OC_TASK_NONE for whatever the model does; a model that does something
 * else is refused.  Returns an exit code, with the sentence printed.
 */
int cli_vision_init(cli_vision *v, const cli_args *args, oc_task task,
                    double threshold, int top);
/** The same up to the card; then the rest. */
int cli_vision_card(cli_vision *v, const cli_args *args, oc_task task);
int cli_vision_start(cli_vision *v, const cli_args *args, double threshold,
                     int top);
void cli_vision_deinit(cli_vision *v);

/** Says what was guessed: in JSON, or dimly on standard output. */
void cli_vision_guesses(const oc_card *card, json *j);

#endif
