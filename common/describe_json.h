/*
 * describe_json.h - a picture in words as JSON, with what each phrase rests
 * on: the same document from the program and from the server.
 *
 *     describe_json_begin(&j);
 *     describe_json_model(&j, "yolox.onnx", OC_TASK_DETECT, card); // each
 *     describe_json_results(&j, "en");
 *     describe_json_item(&j, "bus.jpg", &times, &scene, &description);
 *     json_end(&j);           // more members may come before
 *     describe_json_end(&j);
 */
#ifndef OCELLI_COMMON_DESCRIBE_JSON_H
#define OCELLI_COMMON_DESCRIBE_JSON_H

#include "json.h"

#include <ocelli/words.h>

/** Milliseconds. */
typedef struct describe_times {
    double decode; /* of the picture */
    double look;   /* the networks, with all before and behind them */
    double words;
    double first_audio; /* from the picture's file to the first sound; 0: it
                           was not spoken */
} describe_times;

void describe_json_begin(json *j);
void describe_json_model(json *j, const char *model, oc_task task,
                         const oc_card *card);
/** Closes the list of models, opens that of results. */
void describe_json_results(json *j, const char *locale);
/** One picture; the caller closes it. */
void describe_json_item(json *j, const char *input, const describe_times *t,
                        const oc_scene *scene, const oc_description *d);
void describe_json_end(json *j);
/** "things", "areas" and "labels" of a scene, into an open object. */
void describe_json_scene(json *j, const oc_scene *scene);

#endif
