/*
 * result_json.h - what was found in pictures, as JSON: the same document from
 * the program and from the server.
 *
 *     result_json_begin(&j, "yolox.onnx", OC_TASK_DETECT, card);
 *     result_json_item(&j, "bus.jpg", decode_ms, &result);
 *     json_end(&j);           // more members may come before
 *     result_json_end(&j);
 */
#ifndef OCELLI_COMMON_RESULT_JSON_H
#define OCELLI_COMMON_RESULT_JSON_H

#include "json.h"

#include <ocelli/vision.h>

/** Opens the document and its list of results. */
void result_json_begin(json *j, const char *model, oc_task task,
                       const oc_card *card);
/** One picture's result; the caller closes it. */
void result_json_item(json *j, const char *input, double decode_ms,
                      const oc_result *result);
/** Closes list and document. */
void result_json_end(json *j);
/** "guessed": what was inferred about the model. */
void result_json_guesses(json *j, const oc_card *card);

#endif
