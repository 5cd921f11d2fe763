/* card_fields.c - the table of a card's fields; see card.h. */
#include "base/size.h"
#include "card/card.h"

#include <float.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

static const char *const tasks[] = {
#define NAME(name, text) text,
    OC_TASK_MAP(NAME)
#undef NAME
        NULL};
static const char *const layouts[] = {"nchw", "nhwc", NULL};
static const char *const colors[] = {"rgb", "bgr", "gray", NULL};
static const char *const fits[] = {"stretch", "cover", "contain", "letterbox",
                                   NULL};
static const char *const filters[] = {"bilinear", "nearest", "area",
                                      "bicubic",  "lanczos", NULL};
static const char *const switches[] = {"false", "true", NULL};
static const char *const modes[] = {"class", "agnostic", "soft", "none", NULL};
static const char *const activations[] = {"none", "sigmoid", "softmax", NULL};
/* Numbers of the choices are those of oc_dtype. */
static const char *const dtypes[] = {"?",   "f32", "u8",  "i8", "?",
                                     "i16", "i32", "i64", "?",  "?",
                                     "f16", "f64", NULL};

/* The first matters to readers only, the rest to all; most numbers first. */
#define AT(member) offsetof(struct oc_card, member)
#define TEXT(section, name, member, help)                                      \
    { section, name, OC_FIELD_TEXT, AT(member), 0, 0, 0, NULL, help }
#define CHOICE(section, name, member, list, help)                              \
    { section, name, OC_FIELD_CHOICE, AT(member), 0, 0, 0, list, help }
#define INT(section, name, member, lo, hi, help)                               \
    { section, name, OC_FIELD_INT, AT(member), lo, hi, 0, NULL, help }
#define NUMBER(section, name, member, lo, hi, help)                            \
    { section, name, OC_FIELD_NUMBER, AT(member), lo, hi, 0, NULL, help }
#define NUMBERS(section, name, member, lo, hi, most, help)                     \
    { section, name, OC_FIELD_NUMBERS, AT(member), lo, hi, most, NULL, help }
#define NAMES(section, name, member, most, help)                               \
    { section, name, OC_FIELD_NAMES, AT(member), 0, 0, most, NULL, help }

const oc__card_field oc__card_fields[] = {
    TEXT("", "name", name, "what the model is called"),
    CHOICE("", "task", task, tasks, "what it does"),
    {"", "labels", OC_FIELD_LABELS, AT(labels), 0, 0, OC_CARD_MAX_LABELS, NULL,
     "names of the classes"},
    TEXT("", "license", license, "terms of use, an SPDX name where possible"),
    TEXT("", "source", source, "where it comes from"),
    {"", "metrics", OC_FIELD_JSON, AT(metrics), 0, 0, 0, NULL,
     "what it has been measured to reach"},

    TEXT("input", "name", input_name, "the input that takes the picture"),
    CHOICE("input", "layout", layout, layouts, "order of its dimensions"),
    CHOICE("input", "color", color, colors, "order of its channels"),
    {"input", "size", OC_FIELD_SIZE, AT(size), 1, 65536, 2, NULL,
     "height and width, or dynamic"},
    CHOICE("input", "resize", fit, fits, "what becomes of other shapes"),
    CHOICE("input", "interpolation", interpolation, filters,
           "filter for resizing"),
    CHOICE("input", "antialias", antialias, switches,
           "whether the filter widens when a picture shrinks"),
    NUMBER("input", "crop", crop, 0.01, 1,
           "share of the short side that cover keeps"),
    NUMBERS("input", "pad_value", pad_value, 0, 255, 3,
            "level of what a picture does not fill"),
    NUMBER("input", "scale", scale, -FLT_MAX, FLT_MAX,
           "factor for levels of 0 to 255"),
    NUMBERS("input", "mean", mean, -FLT_MAX, FLT_MAX, 3,
            "subtracted after scaling, in the input's channel order"),
    NUMBERS("input", "std", std, FLT_MIN, FLT_MAX, 3, "then divided by"),
    CHOICE("input", "dtype", dtype, dtypes, "type of the input"),

    TEXT("decode", "kind", kind, "which decoder reads the outputs"),
    NAMES("decode", "outputs", outputs, 64,
          "the outputs, in the decoder's order"),
    NUMBER("decode", "threshold", threshold, 0, 1, "least score to report"),
    CHOICE("decode", "nms", nms, modes, "how overlaps are thinned out"),
    NUMBER("decode", "iou", iou, 0, 1, "overlap above which one goes"),
    NUMBER("decode", "sigma", sigma, 1e-6, 1e6, "width of soft-NMS"),
    INT("decode", "max_objects", max_objects, 1, 1000000,
        "most objects to report"),
    CHOICE("decode", "activation", activation, activations,
           "what raw scores still need"),
    INT("decode", "background", background, -1, INT_MAX,
        "index of the class that is none, -1 without"),
    INT("decode", "bins", bins, 1, 256, "bins of a box side's distribution"),
    INT("decode", "keypoints", keypoints, 0, 4096, "points of an object"),
    NUMBERS("decode", "strides", strides, 1, 4096, 16,
            "input pixels between grid cells"),
    NUMBERS("decode", "scales", scales, 0, 16, 16,
            "smallest and largest anchor, as share of the input"),
    NUMBERS("decode", "ratios", ratios, 1e-3, 1e3, 16,
            "shapes of anchors, width over height"),
    NUMBERS("decode", "anchors", anchors, -16, 16, OC_CARD_MAX_NUMBERS,
            "cx, cy, w, h of each anchor, as share of the input"),
    NUMBERS("decode", "variance", variance, 1e-6, 1e6, 4,
            "divisors of the box code: x, y, w, h"),
    NUMBERS("decode", "bones", bones, 0, 4096, 4096,
            "pairs of keypoints that are joined"),

    TEXT("golden", "image", golden_image, "generated, or a file's SHA-256"),
    NUMBER("golden", "tolerance", tolerance, 0, 1, "allowed difference"),
};

const int oc__card_field_count = (int)OC_COUNT(oc__card_fields);

int oc__card_find_field(const char *dotted) {
    const char *dot = strchr(dotted, '.');
    size_t n = dot ? (size_t)(dot - dotted) : 0;
    const char *name = dot ? dot + 1 : dotted;
    for (int i = 0; i < oc__card_field_count; i++) {
        const oc__card_field *f = &oc__card_fields[i];
        if (strlen(f->section) == n && !strncmp(f->section, dotted, n) &&
            !strcmp(f->name, name))
            return i;
    }
    return -1;
}

const char *oc__card_field_name(int f, char out[OC_CARD_NAME]) {
    const oc__card_field *one = &oc__card_fields[f];
    snprintf(out, OC_CARD_NAME, "%s%s%s", one->section,
             *one->section ? "." : "", one->name);
    return out;
}
