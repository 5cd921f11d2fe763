/*
 * test_tasks_guess.c - src/tasks/guess: networks without a card.  Shapes and
 * names of the outputs are those of the published exports; the networks in
 * between are left out.  As much as what is recognised it matters what is
 * not: a wrong guess gives wrong answers, none gives a sentence.
 */
#include "testing.h"

#include "model_build.h"

#include "card/card.h"

typedef struct output {
    const char *name;
    const char *ops; /* that made it, in order; NULL: nobody knows */
    int dtype;
    int rank;
    int64_t dims[5];
    int is_free; /* bit k: dim k is not declared */
} output;

typedef struct network {
    const char *name;
    int64_t in[4];
    output out[12]; /* ended by a NULL name */
} network;

/* One output: zeros of its shape, through its ops. */
static void build_output(model_build *b, const output *o) {
    char now[64], made[80];
    int64_t dims[5];
    snprintf(now, sizeof now, "%s_0", o->name);
    model_zeros(b, now, o->rank, o->dims);
    int step = 1;
    for (const char *op = o->ops ? o->ops : ""; *op; step++) {
        size_t n = strcspn(op, " ");
        char name[32];
        snprintf(name, sizeof name, "%.*s", (int)n, op);
        snprintf(made, sizeof made, "%s_%d", o->name, step);
        if (!strcmp(name, "Mul")) {
            char twice[140];
            snprintf(twice, sizeof twice, "%s %s", now, now);
            model_node(b, name, twice, made);
        } else {
            model_node(b, name, now, made);
        }
        strcpy(now, made);
        op += n + (op[n] == ' ');
    }
    model_node_int(b, "Cast", now, o->name, "to", o->dtype);
    for (int k = 0; k < o->rank; k++) {
        dims[k] = o->is_free >> k & 1 ? -1 : o->dims[k];
    }
    model_value(b, MODEL_OUTPUT, o->name, o->dtype, o->rank, dims);
}

static const pb *build(const network *net, int sizes_input) {
    static model_build b;
    const int64_t two[2] = {1, 2};
    model_start(&b);
    model_value(&b, MODEL_INPUT, "x", MODEL_F32, 4, net->in);
    if (sizes_input)
        model_value(&b, MODEL_INPUT, "orig_target_sizes", MODEL_I64, 2, two);
    for (int i = 0; i < 12 && net->out[i].name; i++) {
        build_output(&b, &net->out[i]);
    }
    return model_finish(&b);
}

/* Completes a card for a model in memory. */
static oc_status complete(const pb *bytes, oc_card *card, oc_error *err) {
    oc_model *m = NULL;
    memset(err, 0, sizeof *err);
    oc_status st = oc_model_load_memory(&m, bytes->data, bytes->n, NULL, err);
    if (st) fail_msg("%s", err->message);
    st = oc_card_complete(card, m, err);
    oc_model_destroy(m);
    return st;
}

static oc_card *empty_card(void) {
    oc_card *card = NULL;
    assert_int_equal(oc_card_create(&card, NULL, NULL), OC_OK);
    return card;
}

static int same(const char *a, const char *b) {
    return !a || !b ? a == b : !strcmp(a, b);
}

/* "a b c" against the card's outputs; "" for none named. */
static int same_outputs(const oc_card *card, const char *want) {
    char text[256] = "";
    for (int i = 0; i < card->outputs.n; i++) {
        if (i) strcat(text, " ");
        strcat(text, card->outputs.v[i]);
    }
    return !strcmp(text, want);
}

/* ---- what is known --------------------------------------------------------
 */

#define F32 MODEL_F32
#define I64 MODEL_I64

typedef struct known {
    network net;
    const char *kind, *outputs;
    int labels, keypoints, background, activation;
    oc_color color;
    oc_fit fit;
} known;

static const known detectors[] = {
    {{"YOLOX", {1, 3, 416, 416}, {{"output", NULL, F32, 3, {1, 3549, 85}, 0}}},
     "yolox",
     "",
     80,
     0,
     -1,
     0,
     OC_COLOR_BGR,
     OC_FIT_LETTERBOX},
    {{"YOLOX of one class",
      {1, 3, 640, 640},
      {{"output", "Sigmoid", F32, 3, {1, 8400, 6}, 0}}},
     "yolox",
     "",
     0,
     0,
     -1,
     0,
     OC_COLOR_BGR,
     OC_FIT_LETTERBOX},
    {{"YOLOX, boxes decoded",
      {1, 3, 416, 416},
      {{"output", "Exp Mul", F32, 3, {1, 3549, 85}, 0}}},
     "yolov5",
     "",
     80,
     0,
     -1,
     0,
     OC_COLOR_BGR,
     OC_FIT_LETTERBOX},
    {{"YOLOv5",
      {1, 3, 640, 640},
      {{"output0", NULL, F32, 3, {1, 25200, 85}, 0}}},
     "yolov5",
     "",
     80,
     0,
     -1,
     0,
     OC_COLOR_RGB,
     OC_FIT_CONTAIN},
    {{"YOLOv5 with its raw heads",
      {1, 3, 640, 640},
      {{"output", NULL, F32, 3, {1, 25200, 25}, 0},
       {"a", NULL, F32, 5, {1, 3, 80, 80, 25}, 0},
       {"b", NULL, F32, 5, {1, 3, 40, 40, 25}, 0},
       {"c", NULL, F32, 5, {1, 3, 20, 20, 25}, 0}}},
     "yolov5",
     "",
     20,
     0,
     -1,
     0,
     OC_COLOR_RGB,
     OC_FIT_CONTAIN},
    {{"YOLOv8",
      {1, 3, 640, 640},
      {{"output0", NULL, F32, 3, {1, 84, 8400}, 0}}},
     "yolov8",
     "output0",
     80,
     0,
     -1,
     0,
     OC_COLOR_RGB,
     OC_FIT_CONTAIN},
    {{"YOLO11 of another size",
      {1, 3, 384, 640},
      {{"output0", NULL, F32, 3, {1, 24, 5040}, 0}}},
     "yolov8",
     "output0",
     20,
     0,
     -1,
     0,
     OC_COLOR_RGB,
     OC_FIT_CONTAIN},
    {{"YOLOv8, size open",
      {1, 3, -1, -1},
      {{"output0", NULL, F32, 3, {1, 84, 2100}, 6}}},
     "yolov8",
     "output0",
     80,
     0,
     -1,
     0,
     OC_COLOR_RGB,
     OC_FIT_CONTAIN},
    {{"YOLOv8 pose",
      {1, 3, 640, 640},
      {{"output0", NULL, F32, 3, {1, 56, 8400}, 0}}},
     "yolov8",
     "output0",
     0,
     17,
     -1,
     0,
     OC_COLOR_RGB,
     OC_FIT_CONTAIN},
    {{"YOLOv8 with masks",
      {1, 3, 640, 640},
      {{"output0", NULL, F32, 3, {1, 116, 8400}, 0},
       {"output1", NULL, F32, 4, {1, 32, 160, 160}, 0}}},
     "yolov8",
     "output0 output1",
     80,
     0,
     -1,
     0,
     OC_COLOR_RGB,
     OC_FIT_CONTAIN},
    {{"YOLOv10", {1, 3, 640, 640}, {{"output0", NULL, F32, 3, {1, 300, 6}, 0}}},
     "rows",
     "",
     80,
     0,
     -1,
     0,
     OC_COLOR_RGB,
     OC_FIT_CONTAIN},
    {{"NanoDet",
      {1, 3, 320, 320},
      {{"d16", NULL, F32, 3, {1, 400, 32}, 0},
       {"c8", "Sigmoid", F32, 3, {1, 1600, 80}, 0},
       {"c16", "Sigmoid", F32, 3, {1, 400, 80}, 0},
       {"c32", "Sigmoid", F32, 3, {1, 100, 80}, 0},
       {"d32", NULL, F32, 3, {1, 100, 32}, 0},
       {"d8", NULL, F32, 3, {1, 1600, 32}, 0}}},
     "nanodet",
     "c8 d8 c16 d16 c32 d32",
     80,
     0,
     -1,
     0,
     OC_COLOR_BGR,
     OC_FIT_LETTERBOX},
    {{"NanoDet-Plus",
      {1, 3, 416, 416},
      {{"output", NULL, F32, 3, {1, 3598, 112}, 0}}},
     "nanodet",
     "",
     80,
     0,
     -1,
     0,
     OC_COLOR_BGR,
     OC_FIT_STRETCH},
    {{"YuNet",
      {1, 3, 320, 320},
      {{"kps_8", NULL, F32, 3, {1, 1600, 10}, 0},
       {"kps_16", NULL, F32, 3, {1, 400, 10}, 0},
       {"kps_32", NULL, F32, 3, {1, 100, 10}, 0},
       {"obj_8", NULL, F32, 3, {1, 1600, 1}, 0},
       {"obj_16", NULL, F32, 3, {1, 400, 1}, 0},
       {"obj_32", NULL, F32, 3, {1, 100, 1}, 0},
       {"cls_8", NULL, F32, 3, {1, 1600, 1}, 0},
       {"cls_16", NULL, F32, 3, {1, 400, 1}, 0},
       {"cls_32", NULL, F32, 3, {1, 100, 1}, 0},
       {"bbox_8", NULL, F32, 3, {1, 1600, 4}, 0},
       {"bbox_16", NULL, F32, 3, {1, 400, 4}, 0},
       {"bbox_32", NULL, F32, 3, {1, 100, 4}, 0}}},
     "yunet",
     "cls_8 cls_16 cls_32 obj_8 obj_16 obj_32 bbox_8 bbox_16 bbox_32 kps_8 "
     "kps_16 kps_32",
     1,
     5,
     -1,
     0,
     OC_COLOR_BGR,
     OC_FIT_LETTERBOX},
    {{"TensorFlow's SSD",
      {1, 320, 320, 3},
      {{"boxes", NULL, F32, 3, {1, 2034, 4}, 0},
       {"scores", "Sigmoid", F32, 3, {1, 2034, 91}, 0}}},
     "ssd",
     "scores boxes",
     90,
     0,
     0,
     0,
     OC_COLOR_RGB,
     OC_FIT_STRETCH},
    {{"TensorFlow's SSD, raw",
      {1, 300, 300, 3},
      {{"scores", NULL, F32, 3, {1, 1917, 91}, 0},
       {"boxes", NULL, F32, 3, {1, 1917, 4}, 0}}},
     "ssd",
     "scores boxes",
     90,
     0,
     0,
     OC_SCORES_SIGMOID,
     OC_COLOR_RGB,
     OC_FIT_STRETCH},
    {{"DETR",
      {1, 3, 800, 800},
      {{"logits", NULL, F32, 3, {1, 100, 92}, 0},
       {"pred_boxes", "Sigmoid", F32, 3, {1, 100, 4}, 0}}},
     "detr",
     "logits pred_boxes",
     90,
     0,
     0,
     OC_SCORES_SOFTMAX,
     OC_COLOR_RGB,
     OC_FIT_STRETCH},
    {{"RT-DETR",
      {1, 3, 640, 640},
      {{"pred_boxes", "Sigmoid", F32, 3, {1, 300, 4}, 0},
       {"logits", NULL, F32, 3, {1, 300, 80}, 0}}},
     "detr",
     "logits pred_boxes",
     80,
     0,
     -1,
     OC_SCORES_SIGMOID,
     OC_COLOR_RGB,
     OC_FIT_STRETCH},
    {{"UltraFace",
      {1, 3, 240, 320},
      {{"scores", "Softmax", F32, 3, {1, 4420, 2}, 0},
       {"boxes", "Exp Mul", F32, 3, {1, 4420, 4}, 0}}},
     "ultraface",
     "scores boxes",
     1,
     0,
     0,
     0,
     OC_COLOR_RGB,
     OC_FIT_STRETCH},
    {{"torchvision",
      {1, 3, 320, 320},
      {{"boxes", NULL, F32, 2, {5, 4}, 1},
       {"labels", NULL, I64, 1, {5}, 1},
       {"scores", NULL, F32, 1, {5}, 1}}},
     "torchvision",
     "boxes labels scores",
     90,
     0,
     0,
     0,
     OC_COLOR_RGB,
     OC_FIT_STRETCH},
    {{"torchvision, unnamed",
      {1, 3, 320, 320},
      {{"1770", NULL, F32, 2, {5, 4}, 1},
       {"1771", NULL, I64, 1, {5}, 1},
       {"1772", NULL, F32, 1, {5}, 1}}},
     "torchvision",
     "1770 1771 1772",
     90,
     0,
     0,
     0,
     OC_COLOR_RGB,
     OC_FIT_STRETCH},
    {{"Keypoint R-CNN",
      {1, 3, 320, 320},
      {{"boxes", NULL, F32, 2, {5, 4}, 1},
       {"labels", NULL, I64, 1, {5}, 1},
       {"scores", NULL, F32, 1, {5}, 1},
       {"keypoints", NULL, F32, 3, {5, 17, 3}, 1}}},
     "torchvision",
     "boxes labels scores keypoints",
     90,
     17,
     0,
     0,
     OC_COLOR_RGB,
     OC_FIT_STRETCH},
    {{"TensorFlow with NMS",
      {1, 300, 300, 3},
      {{"num_detections", NULL, F32, 1, {1}, 0},
       {"detection_boxes", NULL, F32, 3, {1, 100, 4}, 0},
       {"detection_scores", NULL, F32, 2, {1, 100}, 0},
       {"detection_classes", NULL, F32, 2, {1, 100}, 0}}},
     "tf_nms",
     "detection_boxes detection_classes detection_scores num_detections",
     90,
     0,
     0,
     0,
     OC_COLOR_RGB,
     OC_FIT_STRETCH},
    {{"TensorFlow Lite with NMS",
      {1, 300, 300, 3},
      {{"p:0", NULL, F32, 3, {1, 10, 4}, 0},
       {"p:1", NULL, F32, 2, {1, 10}, 0},
       {"p:2", NULL, F32, 2, {1, 10}, 0},
       {"p:3", NULL, F32, 1, {1}, 0}}},
     "tf_nms",
     "p:0 p:1 p:2 p:3",
     90,
     0,
     -1,
     0,
     OC_COLOR_RGB,
     OC_FIT_STRETCH},
    {{"CenterNet",
      {1, 3, 512, 512},
      {{"hm", NULL, F32, 4, {1, 80, 128, 128}, 0},
       {"reg", NULL, F32, 4, {1, 2, 128, 128}, 0},
       {"wh", NULL, F32, 4, {1, 2, 128, 128}, 0}}},
     "centernet",
     "hm wh reg",
     80,
     0,
     -1,
     OC_SCORES_SIGMOID,
     OC_COLOR_BGR,
     OC_FIT_CONTAIN},
    {{"MoveNet",
      {1, 192, 192, 3},
      {{"output_0", NULL, F32, 4, {1, 1, 17, 3}, 0}}},
     "movenet",
     "",
     1,
     17,
     -1,
     0,
     OC_COLOR_RGB,
     OC_FIT_CONTAIN},
    {{"MoveNet of several people",
      {1, 256, 256, 3},
      {{"output_0", NULL, F32, 3, {1, 6, 56}, 0}}},
     "movenet",
     "",
     1,
     17,
     -1,
     0,
     OC_COLOR_RGB,
     OC_FIT_CONTAIN},
    {{"HRNet",
      {1, 3, 256, 192},
      {{"output", NULL, F32, 4, {1, 17, 64, 48}, 0}}},
     "heatmap",
     "",
     1,
     17,
     -1,
     0,
     OC_COLOR_RGB,
     OC_FIT_CONTAIN},
};

static void check_known(const known *k, const oc_card *card) {
    if (card->task != OC_TASK_DETECT || !same(card->kind, k->kind))
        fail_msg("%s is taken for %s %s", k->net.name,
                 oc_task_name((oc_task)card->task), card->kind);
    if (!same_outputs(card, k->outputs))
        fail_msg("%s: its outputs are in another order", k->net.name);
    if (card->labels.n != k->labels || card->keypoints != k->keypoints ||
        card->background != k->background || card->activation != k->activation)
        fail_msg("%s: %d labels, %d points, background %d, activation %d",
                 k->net.name, card->labels.n, card->keypoints, card->background,
                 card->activation);
    if (card->color != (int)k->color || card->fit != (int)k->fit)
        fail_msg("%s: color %d, resize %d", k->net.name, card->color,
                 card->fit);
}

static void detectors_are_recognised(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof detectors / sizeof detectors[0]; i++) {
        const known *k = &detectors[i];
        oc_card *card = empty_card();
        oc_error err;
        if (complete(build(&k->net, 0), card, &err))
            fail_msg("%s: %s", k->net.name, err.message);
        check_known(k, card);
        assert_non_null(oc_card_guess(card, 0)); /* with a reason */
        oc_card_destroy(card);
    }
}

/* The sentences about range and colours, a line each. */
static const char *said_of_input(const oc_card *card) {
    static char text[1024];
    size_t n = 0;
    text[0] = 0;
    for (int i = 0; oc_card_guess(card, i); i++) {
        if (strncmp(oc_card_guess(card, i), "input: ", 7) != 0) continue;
        n += (size_t)snprintf(text + n, sizeof text - n, "%s\n",
                              oc_card_guess(card, i) + 7);
    }
    return text;
}

/* What was given is not said to be guessed, and reasons are of what they
   stand behind. */
static void only_what_is_guessed_is_said(void **state) {
    (void)state;
    static const network torch = {
        "classifier", {1, 3, 32, 32}, {{"y", NULL, F32, 2, {1, 10}, 0}}};
    static const network gray = {
        "gray classifier", {1, 1, 32, 32}, {{"y", NULL, F32, 2, {1, 10}, 0}}};
    static const struct {
        const network *net;
        const char *given[4], *said;
    } cases[] = {
        {&torch,
         {NULL},
         "rgb, ImageNet's mean and deviation, by convention of PyTorch\n"},
        {&torch,
         {"input.color", "bgr"},
         "ImageNet's mean and deviation, by convention of PyTorch\n"},
        {&torch, {"input.mean", "0.5"}, "rgb, by convention of PyTorch\n"},
        {&torch, {"input.std", "0.5"}, "rgb, by convention of PyTorch\n"},
        {&torch, {"input.scale", "2"}, "rgb, by convention of PyTorch\n"},
        {&torch, {"input.scale", "2", "input.color", "bgr"}, ""},
        {&gray, {NULL}, "gray, 0 to 1, by convention for gray pictures\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        oc_card *card = empty_card();
        oc_error err;
        assert_int_equal(oc_card_set(card, "task", "classify", NULL), OC_OK);
        for (int k = 0; k < 4 && cases[i].given[k]; k += 2) {
            assert_int_equal(oc_card_set(card, cases[i].given[k],
                                         cases[i].given[k + 1], NULL),
                             OC_OK);
        }
        if (complete(build(cases[i].net, 0), card, &err))
            fail_msg("%s", err.message);
        assert_string_equal(said_of_input(card), cases[i].said);
        oc_card_destroy(card);
    }
}

/* Its postprocessor inside, RT-DETR looks like torchvision's. */
static void rt_detr_is_told_from_torchvision(void **state) {
    (void)state;
    static const network net = {"RT-DETR",
                                {1, 3, 640, 640},
                                {{"labels", NULL, I64, 2, {1, 300}, 0},
                                 {"boxes", NULL, F32, 3, {1, 300, 4}, 0},
                                 {"scores", NULL, F32, 2, {1, 300}, 0}}};
    oc_card *card = empty_card();
    oc_error err;
    if (complete(build(&net, 1), card, &err)) fail_msg("%s", err.message);
    assert_string_equal(card->kind, "torchvision");
    assert_true(same_outputs(card, "boxes labels scores"));
    assert_int_equal(card->labels.n, 80);
    assert_int_equal(card->background, -1);
    oc_card_destroy(card);
}

/* [N, 6] is a detector where NonMaxSuppression made it. */
static void rows_are_recognised_behind_nms(void **state) {
    (void)state;
    static model_build b;
    static const int64_t in[4] = {1, 3, 64, 64}, boxes[3] = {1, 10, 4};
    static const int64_t scores[3] = {1, 1, 10}, out[2] = {-1, 6};
    oc_card *card = empty_card();
    oc_error err;
    model_start(&b);
    model_value(&b, MODEL_INPUT, "x", MODEL_F32, 4, in);
    model_zeros(&b, "boxes", 3, boxes);
    model_zeros(&b, "scores", 3, scores);
    model_node(&b, "NonMaxSuppression", "boxes scores", "chosen");
    model_node_int(&b, "Cast", "chosen", "three", "to", MODEL_F32);
    model_node_int(&b, "Concat", "three three", "y", "axis", 1);
    model_value(&b, MODEL_OUTPUT, "y", MODEL_F32, 2, out);
    if (complete(model_finish(&b), card, &err)) fail_msg("%s", err.message);
    assert_string_equal(card->kind, "rows");
    oc_card_destroy(card);
}

typedef struct map {
    network net;
    oc_task task;
    const char *kind, *outputs;
    int labels, activation;
} map;

static const map maps[] = {
    {{"ImageNet", {1, 3, 224, 224}, {{"y", "Softmax", F32, 2, {1, 1000}, 0}}},
     OC_TASK_CLASSIFY,
     "softmax",
     "y",
     1000,
     0},
    {{"ImageNet, logits",
      {-1, 3, 224, 224},
      {{"y", NULL, F32, 2, {1, 1000}, 1}}},
     OC_TASK_CLASSIFY,
     "logits",
     "y",
     1000,
     0},
    {{"SqueezeNet",
      {1, 3, 224, 224},
      {{"y", "Softmax", F32, 4, {1, 1000, 1, 1}, 0}}},
     OC_TASK_CLASSIFY,
     "softmax",
     "y",
     1000,
     0},
    {{"with a background",
      {1, 224, 224, 3},
      {{"y", NULL, F32, 2, {1, 1001}, 0}}},
     OC_TASK_CLASSIFY,
     "logits",
     "y",
     1001,
     0},
    {{"CIFAR", {1, 3, 32, 32}, {{"y", NULL, F32, 2, {1, 10}, 0}}},
     OC_TASK_CLASSIFY,
     "logits",
     "y",
     10,
     0},
    {{"MNIST", {1, 1, 28, 28}, {{"y", NULL, F32, 2, {1, 10}, 0}}},
     OC_TASK_CLASSIFY,
     "logits",
     "y",
     10,
     0},
    /* Six classes are no boxes, */
    {{"six classes", {1, 3, 64, 64}, {{"y", NULL, F32, 2, {1, 6}, 0}}},
     OC_TASK_CLASSIFY,
     "logits",
     "y",
     0,
     0},
    {{"six classes, any batch",
      {-1, 3, 64, 64},
      {{"y", "Softmax", F32, 2, {1, 6}, 1}}},
     OC_TASK_CLASSIFY,
     "softmax",
     "y",
     0,
     0},
    {{"six classes, rank 3",
      {1, 3, 64, 64},
      {{"y", NULL, F32, 3, {1, 1, 6}, 0}}},
     OC_TASK_CLASSIFY,
     "logits",
     "y",
     0,
     0},
    /* nor are four beside others. */
    {{"two classifiers",
      {1, 3, 64, 64},
      {{"age", "Softmax", F32, 2, {1, 10}, 0},
       {"pose", "Softmax", F32, 2, {1, 4}, 0}}},
     OC_TASK_CLASSIFY,
     "softmax",
     "age",
     0,
     0},
    {{"two classifiers, any batch",
      {-1, 3, 64, 64},
      {{"age", "Softmax", F32, 2, {1, 10}, 1},
       {"pose", "Softmax", F32, 2, {1, 4}, 1}}},
     OC_TASK_CLASSIFY,
     "softmax",
     "age",
     0,
     0},
    {{"DeepLab",
      {1, 3, 512, 512},
      {{"out", NULL, F32, 4, {1, 21, 512, 512}, 0},
       {"aux", NULL, F32, 4, {1, 21, 512, 512}, 0}}},
     OC_TASK_SEGMENT,
     "logits",
     "out",
     21,
     0},
    {{"DeepLab, not enlarged",
      {1, 513, 513, 3},
      {{"out", NULL, F32, 4, {1, 65, 65, 21}, 0}}},
     OC_TASK_SEGMENT,
     "logits",
     "out",
     21,
     0},
    {{"SegFormer",
      {1, 3, 512, 1024},
      {{"logits", NULL, F32, 4, {1, 19, 128, 256}, 0}}},
     OC_TASK_SEGMENT,
     "logits",
     "logits",
     0,
     0},
    {{"ArgMax inside",
      {1, 3, 513, 513},
      {{"y", NULL, I64, 3, {1, 513, 513}, 0}}},
     OC_TASK_SEGMENT,
     "argmax",
     "y",
     0,
     0},
    {{"a mask",
      {1, 3, 320, 320},
      {{"y", "Sigmoid", F32, 4, {1, 1, 320, 320}, 0}}},
     OC_TASK_SEGMENT,
     "mask",
     "y",
     2,
     0},
    {{"a mask, raw",
      {1, 3, 320, 320},
      {{"y", NULL, F32, 4, {1, 1, 320, 320}, 0}}},
     OC_TASK_SEGMENT,
     "mask",
     "y",
     2,
     OC_SCORES_SIGMOID},
    {{"super-resolution",
      {1, 1, 224, 224},
      {{"y", NULL, F32, 4, {1, 1, 672, 672}, 0}}},
     OC_TASK_RESTORE,
     "image",
     "y",
     0,
     0},
    {{"denoising",
      {1, 3, 128, 128},
      {{"y", NULL, F32, 4, {1, 3, 128, 128}, 0}}},
     OC_TASK_RESTORE,
     "image",
     "y",
     0,
     0},
};

static void maps_and_classes_are_recognised(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof maps / sizeof maps[0]; i++) {
        const map *k = &maps[i];
        oc_card *card = empty_card();
        oc_error err;
        if (complete(build(&k->net, 0), card, &err))
            fail_msg("%s: %s", k->net.name, err.message);
        if (card->task != (int)k->task || !same(card->kind, k->kind) ||
            !same_outputs(card, k->outputs) || card->labels.n != k->labels ||
            card->activation != k->activation)
            fail_msg("%s is taken for %s %s with %d labels", k->net.name,
                     oc_task_name((oc_task)card->task), card->kind,
                     card->labels.n);
        oc_card_destroy(card);
    }
}

/* ---- what is not ----------------------------------------------------------
 */

static const network unknown[] = {
    /* Boxes and scores apart: either alone looks like another family. */
    {"PP-YOLOE",
     {1, 3, 640, 640},
     {{"a", NULL, F32, 3, {1, 80, 8400}, 0},
      {"b", NULL, F32, 3, {1, 8400, 4}, 0}}},
    {"PP-YOLOE, boxes first",
     {1, 3, 640, 640},
     {{"a", NULL, F32, 3, {1, 8400, 4}, 0},
      {"b", NULL, F32, 3, {1, 80, 8400}, 0}}},
    {"scores of cells, boxes of cells",
     {1, 3, 640, 640},
     {{"a", "Sigmoid", F32, 3, {1, 8400, 80}, 0},
      {"b", NULL, F32, 3, {1, 8400, 4}, 0}}},
    /* Raw heads of YOLOv3 to 7 are no maps of classes. */
    {"YOLOv7, raw",
     {1, 3, 640, 640},
     {{"a", NULL, F32, 4, {1, 255, 80, 80}, 0},
      {"b", NULL, F32, 4, {1, 255, 40, 40}, 0},
      {"c", NULL, F32, 4, {1, 255, 20, 20}, 0}}},
    {"YOLOv5, raw",
     {1, 3, 640, 640},
     {{"a", NULL, F32, 5, {1, 3, 80, 80, 85}, 0},
      {"b", NULL, F32, 5, {1, 3, 40, 40, 85}, 0},
      {"c", NULL, F32, 5, {1, 3, 20, 20, 85}, 0}}},
    {"Tiny YOLOv2",
     {1, 3, 416, 416},
     {{"grid", NULL, F32, 4, {1, 125, 13, 13}, 0}}},
    /* Codes against anchors nobody has written down. */
    {"SSD300",
     {1, 3, 300, 300},
     {{"scores", "Softmax", F32, 3, {1, 8732, 81}, 0},
      {"boxes", NULL, F32, 3, {1, 8732, 4}, 0}}},
    {"one row too many",
     {1, 3, 640, 640},
     {{"y", NULL, F32, 3, {1, 8401, 85}, 0}}},
    {"one column too few",
     {1, 3, 640, 640},
     {{"y", NULL, F32, 3, {1, 84, 8399}, 0}}},
    {"features", {1, 3, 224, 224}, {{"y", NULL, F32, 4, {1, 2048, 7, 7}, 0}}},
    {"many features",
     {1, 3, 224, 224},
     {{"y", NULL, F32, 4, {1, 768, 14, 14}, 0}}},
    {"a map of another shape",
     {1, 3, 224, 224},
     {{"y", NULL, F32, 4, {1, 40, 112, 30}, 0}}},
    {"a table of numbers",
     {1, 3, 224, 224},
     {{"y", NULL, I64, 3, {1, 20, 3}, 0}}},
    {"words", {1, 3, 32, 100}, {{"y", NULL, F32, 3, {26, 1, 37}, 0}}},
    {"one number", {1, 3, 224, 224}, {{"y", NULL, F32, 2, {1, 1}, 0}}},
};

static void other_networks_are_not_recognised(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++) {
        oc_card *card = empty_card();
        oc_error err;
        oc_status st = complete(build(&unknown[i], 0), card, &err);
        if (!st)
            fail_msg("%s is taken for %s %s", unknown[i].name,
                     oc_task_name((oc_task)card->task), card->kind);
        assert_int_equal(st, OC_E_UNSUPPORTED);
        /* The sentence shows what was seen. */
        assert_non_null(strstr(err.message, unknown[i].out[0].name));
        assert_non_null(strstr(err.message, "card"));
        oc_card_destroy(card);
    }
}

/* ---- what was given -------------------------------------------------------
 */

static void guessing_changes_nothing_that_was_given(void **state) {
    (void)state;
    static const struct {
        const char *field, *value;
    } given[] = {
        {"labels", "digits"},      {"input.color", "gray"},
        {"input.mean", "1,2,3"},   {"input.resize", "cover"},
        {"input.size", "100x200"}, {"decode.outputs", "output0"},
        {"decode.nms", "soft"},
    };
    static const network net = {"YOLOv8",
                                {1, 3, 640, 640},
                                {{"output0", NULL, F32, 3, {1, 84, 8400}, 0}}};
    oc_card *card = empty_card();
    oc_error err;
    for (size_t i = 0; i < sizeof given / sizeof given[0]; i++) {
        assert_int_equal(
            oc_card_set(card, given[i].field, given[i].value, &err), OC_OK);
    }
    if (complete(build(&net, 0), card, &err)) fail_msg("%s", err.message);
    assert_string_equal(card->kind, "yolov8");
    assert_int_equal(card->labels.n, 10);
    assert_int_equal(card->color, OC_COLOR_GRAY);
    assert_true(card->mean.n == 3 && card->mean.v[2] == 3);
    assert_int_equal(card->fit, OC_FIT_COVER);
    assert_true(card->size.v[1] == 200);
    assert_int_equal(card->nms, OC_NMS_SOFT);
    assert_false(oc__card_has(card, "input.std")); /* the caller's recipe */
    oc_card_destroy(card);
}

static void guessing_follows_a_task_that_was_given(void **state) {
    (void)state;
    oc_error err;
    /* A restorer of one channel, were it not for what the caller says. */
    static const network net = {
        "a mask", {1, 1, 64, 64}, {{"y", NULL, F32, 4, {1, 1, 64, 64}, 0}}};
    oc_card *card = empty_card();
    assert_int_equal(oc_card_set(card, "task", "segment", NULL), OC_OK);
    if (complete(build(&net, 0), card, &err)) fail_msg("%s", err.message);
    assert_int_equal(card->task, OC_TASK_SEGMENT);
    assert_string_equal(card->kind, "mask");
    oc_card_destroy(card);
    /* An unusual network whose decoder the caller knows. */
    card = empty_card();
    assert_int_equal(oc_card_set(card, "task", "detect", NULL), OC_OK);
    assert_int_equal(oc_card_set(card, "decode.kind", "ultraface", NULL),
                     OC_OK);
    if (complete(build(&unknown[6], 0), card, &err)) /* SSD300 */
        fail_msg("%s", err.message);
    assert_string_equal(card->kind, "ultraface");
    assert_true(oc__card_has(card, "input.size"));
    oc_card_destroy(card);
}

/* What Ultralytics' exporter writes. */
static void guessing_reads_the_metadata_of_exporters(void **state) {
    (void)state;
    static model_build b;
    static const int64_t in[4] = {1, 3, 64, 64}, out[3] = {1, 11, 84};
    oc_card *card = empty_card();
    oc_error err;
    model_start(&b);
    model_value(&b, MODEL_INPUT, "x", MODEL_F32, 4, in);
    model_zeros(&b, "y", 3, out);
    model_value(&b, MODEL_OUTPUT, "y", MODEL_F32, 3, out);
    model_prop(&b, "names", "{0: 'it\\'s', 1: \"b \\\"c\\\"\", 2: 'd'}");
    if (complete(model_finish(&b), card, &err)) fail_msg("%s", err.message);
    assert_int_equal(card->labels.n, 3);
    assert_string_equal(card->labels.v[0], "it's");
    assert_string_equal(card->labels.v[1], "b \"c\"");
    oc_card_destroy(card);
    /* A number no card may have is not passed over. */
    card = empty_card();
    model_prop(&b, "kpt_shape", "[99999, 3]");
    b.bytes.n = 0;
    assert_int_equal(complete(model_finish(&b), card, &err), OC_E_ARG);
    assert_non_null(strstr(err.message, "decode.keypoints"));
    oc_card_destroy(card);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(detectors_are_recognised),
        cmocka_unit_test(only_what_is_guessed_is_said),
        cmocka_unit_test(rt_detr_is_told_from_torchvision),
        cmocka_unit_test(rows_are_recognised_behind_nms),
        cmocka_unit_test(maps_and_classes_are_recognised),
        cmocka_unit_test(other_networks_are_not_recognised),
        cmocka_unit_test(guessing_changes_nothing_that_was_given),
        cmocka_unit_test(guessing_follows_a_task_that_was_given),
        cmocka_unit_test(guessing_reads_the_metadata_of_exporters),
    };
    return cmocka_run_group_tests_name("tasks_guess", tests, NULL, NULL);
}
