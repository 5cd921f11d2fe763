/*
 * guess_input.c - size, normalisation and colour order of the input.
 *
 * Evidence in order of weight: what the file says (types, WinML metadata),
 * what the graph does first (arithmetic, quantisation), whose network it is
 * (detector families have one preprocessing each), who exported it, what the
 * first layer's weights were made for; and then convention.
 */
#include "tasks/guess.h"

#include "base/size.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* One way to normalise.  Means and deviations are in the network's order. */
typedef struct recipe {
    const char *name;
    double scale;
    double mean[3], std[3];
} recipe;

static const recipe levels = {"levels of 0 to 255", 1, {0, 0, 0}, {1, 1, 1}};
static const recipe unit = {"0 to 1", 1 / 255., {0, 0, 0}, {1, 1, 1}};
static const recipe both = {
    "-1 to 1", 1, {127.5, 127.5, 127.5}, {127.5, 127.5, 127.5}};
static const recipe imagenet = {"ImageNet's mean and deviation",
                                1 / 255.,
                                {0.485, 0.456, 0.406},
                                {0.229, 0.224, 0.225}};
static const recipe imagenet_bgr = {"ImageNet's mean and deviation",
                                    1 / 255.,
                                    {0.406, 0.456, 0.485},
                                    {0.225, 0.224, 0.229}};
static const recipe caffe = {
    "levels minus Caffe's mean (104, 117, 124)", 1, {104, 117, 124}, {1, 1, 1}};
static const recipe nanodet = {"levels minus mean by deviation (BGR)",
                               1,
                               {103.53, 116.28, 123.675},
                               {57.375, 57.12, 58.395}};
static const recipe ultraface = {
    "(level - 127) / 128", 1, {127, 127, 127}, {128, 128, 128}};
static const recipe centernet = {"CenterNet's mean and deviation",
                                 1 / 255.,
                                 {0.408, 0.447, 0.470},
                                 {0.289, 0.274, 0.278}};
/* ESPNet's CamVid: the data set's mean and deviation, then over 255 again. */
static const recipe espnet = {"ESPNet's ((level - mean) / deviation) / 255",
                              1,
                              {104, 106, 105},
                              {76. * 255, 76. * 255, 76. * 255}};
static const recipe centred = {
    "levels minus 128", 1, {128, 128, 128}, {1, 1, 1}};

/* ---- families -------------------------------------------------------------
 */

typedef struct habit {
    oc__family family;
    const char *who;
    const recipe *how;
    const char *color, *fit;
    double pad;
    int size; /* of a side where the network leaves it free; 0: the picture's */
} habit;

static const habit habits[] = {
    {OC_FAMILY_YOLOX, "YOLOX", &levels, "bgr", "letterbox", 114, 640},
    {OC_FAMILY_YOLO, "YOLO", &unit, "rgb", "contain", 114, 640},
    {OC_FAMILY_NANODET, "NanoDet", &nanodet, "bgr", "stretch", 0, 320},
    {OC_FAMILY_TF_SSD, "TensorFlow's SSD", &both, "rgb", "stretch", 0, 300},
    {OC_FAMILY_TF_NMS, "TensorFlow's detectors", &both, "rgb", "stretch", 0, 0},
    {OC_FAMILY_ULTRAFACE, "UltraFace", &ultraface, "rgb", "stretch", 0, 320},
    {OC_FAMILY_YUNET, "YuNet", &levels, "bgr", "letterbox", 0, 320},
    {OC_FAMILY_DETR, "DETR", &imagenet, "rgb", "stretch", 0, 800},
    {OC_FAMILY_RT_DETR, "RT-DETR", &unit, "rgb", "stretch", 0, 640},
    {OC_FAMILY_TORCHVISION, "torchvision", &unit, "rgb", "stretch", 0, 0},
    {OC_FAMILY_CENTERNET, "CenterNet", &centernet, "bgr", "contain", 0, 512},
    {OC_FAMILY_MOVENET, "MoveNet", &levels, "rgb", "contain", 0, 256},
    {OC_FAMILY_HEATMAP, "pose networks", &imagenet, "rgb", "contain", 0, 256},
};

static const habit *habit_of(oc__family family) {
    for (size_t i = 0; i < OC_COUNT(habits); i++) {
        if (habits[i].family == family) return &habits[i];
    }
    return NULL;
}

/* ---- evidence -------------------------------------------------------------
 */

/* A recipe with the reason for it, as "by ..." or "since ...". */
typedef struct finding {
    const recipe *how;
    const char *color; /* NULL: the reason says nothing about it */
    char why[200];
} finding;

static int found(finding *f, const recipe *how, const char *color,
                 const char *why) {
    f->how = how;
    f->color = color;
    snprintf(f->why, sizeof f->why, "%s", why);
    return 1;
}

/* Windows ML's convention, which CNTK and Custom Vision write. */
static int by_metadata(const oc__guess *g, finding *f) {
    const oc_model *m = g->look->model;
    const char *range = oc_model_metadata(m, "Image.NominalPixelRange");
    const char *format = oc_model_metadata(m, "Image.BitmapPixelFormat");
    const char *color = !format                              ? NULL
                        : oc__guess_contains(format, "gray") ? "gray"
                        : oc__guess_contains(format, "bgr")  ? "bgr"
                        : oc__guess_contains(format, "rgb")  ? "rgb"
                                                             : NULL;
    const recipe *how = !range                               ? NULL
                        : oc__guess_contains(range, "0_255") ? &levels
                        : oc__guess_contains(range, "0_1")   ? &unit
                        : oc__guess_contains(range, "1_1")   ? &both
                                                             : NULL;
    return how ? found(f, how, color, "by the model's metadata") : 0;
}

static int by_type(const oc__guess *g, finding *f) {
    switch (g->look->dtype) {
    case OC_DTYPE_I8:
        return found(f, &centred, NULL, "since the input is of type i8");
    case OC_DTYPE_U8:
    case OC_DTYPE_I32:
    case OC_DTYPE_I64:
        return found(f, &levels, NULL, "since the input is of an integer type");
    default: return 0;
    }
}

/* The range a quantised input was calibrated to. */
static int by_quantization(const oc__guess *g, finding *f) {
    static const struct {
        const recipe *how;
        double lo, hi;
    } ranges[] = {{&levels, 0, 255},
                  {&unit, 0, 1},
                  {&both, -1, 1},
                  {&imagenet, -2.118, 2.64},
                  {&caffe, -124, 151}};
    double lo, hi, best = 0.25;
    const recipe *how = NULL;
    if (!oc__look_quantized(g->look, &lo, &hi)) return 0;
    for (size_t i = 0; i < OC_COUNT(ranges); i++) {
        double width = ranges[i].hi - ranges[i].lo;
        double off =
            (fabs(lo - ranges[i].lo) + fabs(hi - ranges[i].hi)) / width;
        if (off < best) {
            best = off;
            how = ranges[i].how;
        }
    }
    if (!how) return 0;
    found(f, how, how == &caffe ? "bgr" : NULL, "");
    snprintf(f->why, sizeof f->why,
             "since the input is quantised from %.3g to %.3g", lo, hi);
    return 1;
}

/* The network normalises by itself; what range does that fit? */
static int by_arithmetic(const oc__guess *g, finding *f) {
    oc__affine a;
    oc__look_affine(g->look, &a);
    if (!a.found) return 0;
    double k = fabs(a.a[0]);
    if (k < 0.06) /* over 255, 127.5 or a deviation of 58 */
        return found(f, &levels, NULL,
                     "since the network scales levels itself");
    if (k < 1.5 && fabs(a.b[0]) > 10)
        return found(f, &levels, NULL,
                     "since the network subtracts the mean of levels itself");
    if (k >= 1.5)
        return found(f, &unit, NULL,
                     "since the network normalises pictures of 0 to 1 itself");
    return 0;
}

static int by_exporter(const oc__guess *g, finding *f) {
    oc_model_summary s;
    const oc__look *l = g->look;
    oc_model_summarize(l->model, &s);
    if (oc__look_node(l, "/level1/conv") && oc__look_node(l, "/sample1/pool"))
        return found(f, &espnet, "bgr", "since the layers are ESPNet's");
    if (oc__guess_contains(s.producer, "caffe"))
        return found(f, &caffe, "bgr", "since the file was made from Caffe");
    if (oc__look_constant(l, "block1_conv1", NULL) ||
        (oc__look_constant(l, "conv1_conv/", NULL) &&
         oc__look_constant(l, "conv1_bn/", NULL)))
        return found(f, &caffe, "bgr",
                     "since the layers are those of Keras' VGG or ResNet");
    return 0;
}

/* A BatchNormalization behind the first layer has seen the training data. */
static int by_statistics(const oc__guess *g, const oc__first_layer *first,
                         finding *f) {
    double std = first->seen_std, mean = first->seen_mean;
    const recipe *how;
    if (!first->has_norm || !(std > 0)) return 0;
    if (std > 15) {
        how = fabs(mean) > 0.6 * std ? &levels : &caffe;
    } else if (mean > 0.8 * std) {
        how = &unit;
    } else {
        /* 0.54 for -1..1, 1.2 for ImageNet's. */
        how = log(std / 0.54) < log(1.2 / std) ? &both : &imagenet;
    }
    if (g->look->channels == 1 && how == &imagenet) return 0;
    found(f, how, how == &caffe ? "bgr" : NULL, "");
    snprintf(
        f->why, sizeof f->why,
        "since its first layer was trained on a mean of %.3g and a deviation "
        "of %.3g",
        mean, std);
    return 1;
}

/* Weights that answer 0..1 with nothing were made for 0..255. */
static int by_gain(const oc__first_layer *first, finding *f) {
    if (!first->found || first->gain * 255 > 3) return 0;
    found(f, &levels, NULL, "");
    snprintf(
        f->why, sizeof f->why,
        "since its first layer's answers to 0 to 1 would vary by %.2g only",
        first->gain);
    return 1;
}

static int by_convention(const oc__guess *g, finding *f) {
    const oc_card *card = g->card;
    int mask = card->kind && !strcmp(card->kind, "mask");
    if (card->task == OC_TASK_RESTORE)
        return found(f, &unit, "rgb", "by convention for pictures out");
    if (g->look->layout == OC_LAYOUT_NHWC && mask)
        return found(f, &unit, "rgb", "by convention of MediaPipe");
    if (g->look->layout == OC_LAYOUT_NHWC)
        return found(f, &both, "rgb", "by convention of TensorFlow");
    if (g->look->channels == 1)
        return found(f, &unit, "gray", "by convention for gray pictures");
    return found(f, &imagenet, "rgb", "by convention of PyTorch");
}

static void find(oc__guess *g, finding *f) {
    oc__first_layer first;
    const habit *h = habit_of(g->family);
    if (by_metadata(g, f) || by_type(g, f)) return;
    if (h && (g->family != OC_FAMILY_TF_NMS || !by_arithmetic(g, f))) {
        found(f, h->how, h->color, "");
        snprintf(f->why, sizeof f->why, "by convention of %s", h->who);
        return;
    }
    if (h || by_quantization(g, f) || by_arithmetic(g, f) || by_exporter(g, f))
        return;
    oc__look_first_layer(g->look, &first);
    if (by_statistics(g, &first, f) || by_gain(&first, f)) return;
    by_convention(g, f);
}

/* ---- into the card --------------------------------------------------------
 */

static void put_size(oc__guess *g, const habit *h) {
    double v[2] = {g->look->height, g->look->width};
    int side = h ? h->size : g->card->task == OC_TASK_CLASSIFY ? 224 : 0;
    if (oc__card_has(g->card, "input.size")) return;
    if (g->free_size) v[0] = v[1] = side;
    if (g->free_size && side)
        oc__guess_say(g, "input: %d x %d, since the network leaves it free",
                      side, side);
    if (v[0] > 0)
        oc__guess_put_numbers(g, "input.size", v, 2);
    else
        oc__guess_put(g, "input.size", "dynamic");
}

/* A recipe given in part is the caller's own. */
static int recipe_given(const oc_card *card) {
    return oc__card_has(card, "input.scale") ||
           oc__card_has(card, "input.mean") || oc__card_has(card, "input.std");
}

/* Mean and deviation as lists; a card in one order keeps them in that. */
static void put_recipe(oc__guess *g, const recipe *r, int gray) {
    int n = gray ? 1 : 3;
    if (recipe_given(g->card)) return;
    oc__guess_put_numbers(g, "input.scale", &r->scale, 1);
    oc__guess_put_numbers(g, "input.mean", r->mean, n);
    oc__guess_put_numbers(g, "input.std", r->std, n);
}

/* Says what of the two is guessed, each with the reason it really has. */
static void say_input(oc__guess *g, const finding *f, const char *color,
                      const char *why_color) {
    int say_color = !oc__card_has(g->card, "input.color");
    int say_recipe = !recipe_given(g->card);
    if (say_recipe && say_color && !why_color) {
        oc__guess_say(g, "input: %s, %s, %s", color, f->how->name, f->why);
        return;
    }
    if (say_recipe) oc__guess_say(g, "input: %s, %s", f->how->name, f->why);
    if (say_color)
        oc__guess_say(g, "input: %s, %s", color,
                      why_color ? why_color : f->why);
}

void oc__guess_input(oc__guess *g) {
    const oc__look *l = g->look;
    const habit *h = habit_of(g->family);
    finding f = {NULL, NULL, ""};
    int gray = l->channels == 1;
    put_size(g, h);
    find(g, &f);
    const char *name = oc_model_input(l->model, l->input)->name;
    const char *color = f.color, *why = NULL; /* why not by the finding */
    if (gray) {
        if (!color || strcmp(color, "gray") != 0)
            why = "since it has one channel";
        color = "gray";
    } else if (oc__guess_contains(name, "bgr")) {
        if (!color || strcmp(color, "bgr") != 0) why = "by the input's name";
        color = "bgr";
    } else if (!color) {
        color = "rgb";
        why = "by convention";
    }
    say_input(g, &f, color, why);
    oc__guess_put(g, "input.color", color);
    if (f.how == &imagenet && g->card->color == OC_COLOR_BGR)
        f.how = &imagenet_bgr;
    put_recipe(g, f.how, gray);
    oc__guess_put(g, "input.layout",
                  l->layout == OC_LAYOUT_NHWC ? "nhwc" : "nchw");
    oc__guess_put(g, "input.resize",
                  h                                   ? h->fit
                  : g->card->task == OC_TASK_CLASSIFY ? "cover"
                                                      : "stretch");
    if (h && h->pad > 0)
        oc__guess_put_numbers(g, "input.pad_value", &h->pad, 1);
    oc__guess_put(g, "input.name", name);
}
