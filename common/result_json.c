/* result_json.c - see result_json.h. */
#include "result_json.h"

static void put_box(json *j, const float box[4]) {
    json_row(j, "box");
    for (int k = 0; k < 4; k++) {
        json_float(j, NULL, box[k]);
    }
    json_end(j);
}

static void put_points(json *j, const oc_object *o) {
    if (!o->keypoint_count) return;
    json_array(j, "keypoints");
    for (int k = 0; k < o->keypoint_count; k++) {
        json_row(j, NULL);
        json_float(j, NULL, o->keypoints[k].x);
        json_float(j, NULL, o->keypoints[k].y);
        json_float(j, NULL, o->keypoints[k].score);
        json_end(j);
    }
    json_end(j);
}

static void put_item(json *j, const char *label, int index) {
    json_object(j, NULL);
    json_string(j, "label", label);
    json_int(j, "index", index);
}

static void put_labels(json *j, const oc_result *r) {
    json_array(j, "labels");
    for (int i = 0; i < r->label_count; i++) {
        put_item(j, r->labels[i].label, r->labels[i].index);
        json_float(j, "score", r->labels[i].score);
        json_end(j);
    }
    json_end(j);
}

/* Classes that the best ones lie in, where labels are paths. */
static void put_groups(json *j, const oc_result *r) {
    if (!r->group_count) return;
    json_array(j, "groups");
    for (int i = 0; i < r->group_count; i++) {
        json_object(j, NULL);
        json_string(j, "label", r->groups[i].label);
        json_float(j, "score", r->groups[i].score);
        json_end(j);
    }
    json_end(j);
}

static void put_objects(json *j, const oc_result *r) {
    json_array(j, "objects");
    for (int i = 0; i < r->object_count; i++) {
        const oc_object *o = &r->objects[i];
        put_item(j, o->label, o->index);
        json_float(j, "score", o->score);
        put_box(j, o->box);
        put_points(j, o);
        json_end(j);
    }
    json_end(j);
}

static void put_classes(json *j, const oc_result *r) {
    json_array(j, "classes");
    for (int i = 0; i < r->class_count; i++) {
        put_item(j, r->classes[i].label, r->classes[i].index);
        json_double(j, "fraction", r->classes[i].fraction);
        json_end(j);
    }
    json_end(j);
}

void result_json_guesses(json *j, const oc_card *card) {
    const char *s;
    json_array(j, "guessed");
    for (int i = 0; (s = oc_card_guess(card, i)); i++) {
        json_string(j, NULL, s);
    }
    json_end(j);
}

void result_json_begin(json *j, const char *model, oc_task task,
                       const oc_card *card) {
    json_object(j, NULL);
    json_string(j, "model", model);
    json_string(j, "task", oc_task_name(task));
    result_json_guesses(j, card);
    json_array(j, "results");
}

void result_json_item(json *j, const char *input, double decode_ms,
                      const oc_result *r) {
    json_object(j, NULL);
    json_string(j, "input", input);
    json_int(j, "width", r->width);
    json_int(j, "height", r->height);
    json_object(j, "time_ms");
    json_float(j, "decode", (float)decode_ms);
    json_float(j, "preprocess", (float)r->preprocess_ms);
    json_float(j, "infer", (float)r->infer_ms);
    json_float(j, "decode_output", (float)r->decode_output_ms);
    json_end(j);
    switch (r->task) {
    case OC_TASK_CLASSIFY:
        put_groups(j, r);
        put_labels(j, r);
        break;
    case OC_TASK_DETECT: put_objects(j, r); break;
    case OC_TASK_SEGMENT: put_classes(j, r); break;
    default: break;
    }
}

void result_json_end(json *j) {
    json_end(j);
    json_end(j);
}
