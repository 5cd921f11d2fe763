/* concepts.c - see concepts.h. */
#include "words/concepts.h"

#include "base/ascii.h"
#include "base/size.h"

/* clang-format off */
#define VEHICLE OC_URGENCY_VEHICLE
#define SIGNAL  OC_URGENCY_SIGNAL
#define HARM    OC_URGENCY_HARM
#define PERSON  OC_URGENCY_PERSON
#define OTHER   OC_URGENCY_OTHER
#define NONE    OC_BEARING_NONE
#define STANDS  OC_BEARING_STANDS
#define CARRIED OC_BEARING_CARRIED

/* Sizes are of what is met most: a city bus, an adult, a sitting cat. */
static const oc__concept concepts[] = {
    {"person", PERSON, STANDS, 165, 0},
    {"bicycle", VEHICLE, CARRIED, 105, 0},
    {"car", VEHICLE, STANDS, 150, 0},
    {"motorcycle", VEHICLE, CARRIED, 115, 0},
    {"airplane", OTHER, STANDS, 1200, 0},
    {"bus", VEHICLE, STANDS, 310, 0},
    {"train", VEHICLE, STANDS, 400, 0},
    {"truck", VEHICLE, STANDS, 330, 0},
    {"boat", OTHER, STANDS, 0, 0},
    {"traffic light", SIGNAL, NONE, 90, 0},
    {"fire hydrant", OTHER, STANDS, 80, 0},
    {"stop sign", SIGNAL, NONE, 75, 0},
    {"parking meter", OTHER, STANDS, 130, 0},
    {"bench", OTHER, STANDS, 85, 0},
    {"bird", OTHER, NONE, 20, 1},
    {"cat", OTHER, STANDS, 35, 0},
    {"dog", OTHER, STANDS, 55, 0},
    {"horse", HARM, STANDS, 170, 0},
    {"sheep", OTHER, STANDS, 85, 0},
    {"cow", HARM, STANDS, 145, 0},
    {"elephant", HARM, STANDS, 300, 0},
    {"bear", HARM, STANDS, 120, 0},
    {"zebra", HARM, STANDS, 150, 0},
    {"giraffe", HARM, STANDS, 480, 0},
    {"backpack", OTHER, CARRIED, 48, 0},
    {"umbrella", OTHER, CARRIED, 100, 1},
    {"handbag", OTHER, CARRIED, 35, 0},
    {"tie", OTHER, CARRIED, 45, 1},
    {"suitcase", OTHER, CARRIED, 65, 0},
    {"frisbee", OTHER, CARRIED, 27, 1},
    {"skis", OTHER, CARRIED, 170, 1},
    {"snowboard", OTHER, CARRIED, 155, 1},
    {"sports ball", OTHER, CARRIED, 20, 1},
    {"kite", OTHER, NONE, 0, 0},
    {"baseball bat", OTHER, CARRIED, 85, 1},
    {"baseball glove", OTHER, CARRIED, 30, 1},
    {"skateboard", OTHER, CARRIED, 80, 1},
    {"surfboard", OTHER, CARRIED, 210, 1},
    {"tennis racket", OTHER, CARRIED, 68, 1},
    {"bottle", OTHER, CARRIED, 27, 1},
    {"wine glass", OTHER, CARRIED, 20, 1},
    {"cup", OTHER, CARRIED, 10, 0},
    {"fork", OTHER, CARRIED, 19, 1},
    {"knife", HARM, CARRIED, 22, 1},
    {"spoon", OTHER, CARRIED, 17, 1},
    {"bowl", OTHER, NONE, 17, 1},
    {"banana", OTHER, CARRIED, 18, 1},
    {"apple", OTHER, CARRIED, 8, 1},
    {"sandwich", OTHER, CARRIED, 14, 1},
    {"orange", OTHER, CARRIED, 8, 1},
    {"broccoli", OTHER, NONE, 15, 1},
    {"carrot", OTHER, CARRIED, 18, 1},
    {"hot dog", OTHER, CARRIED, 18, 1},
    {"pizza", OTHER, NONE, 30, 1},
    {"donut", OTHER, CARRIED, 10, 1},
    {"cake", OTHER, NONE, 24, 1},
    {"chair", OTHER, STANDS, 90, 0},
    {"couch", OTHER, STANDS, 85, 0},
    {"potted plant", OTHER, STANDS, 0, 0},
    {"bed", OTHER, STANDS, 0, 0},
    {"dining table", OTHER, STANDS, 75, 0},
    {"toilet", OTHER, STANDS, 75, 0},
    {"tv", OTHER, NONE, 0, 0},
    {"laptop", OTHER, CARRIED, 33, 1},
    {"mouse", OTHER, NONE, 11, 1},
    {"remote", OTHER, CARRIED, 18, 1},
    {"keyboard", OTHER, NONE, 44, 1},
    {"cell phone", OTHER, CARRIED, 15, 1},
    {"microwave", OTHER, NONE, 30, 0},
    {"oven", OTHER, STANDS, 75, 0},
    {"toaster", OTHER, NONE, 20, 0},
    {"sink", OTHER, NONE, 0, 0},
    {"refrigerator", OTHER, STANDS, 170, 0},
    {"book", OTHER, CARRIED, 23, 1},
    {"clock", OTHER, NONE, 30, 1},
    {"vase", OTHER, NONE, 28, 0},
    {"scissors", HARM, CARRIED, 18, 1},
    {"teddy bear", OTHER, CARRIED, 35, 0},
    {"hair drier", OTHER, CARRIED, 24, 1},
    {"toothbrush", OTHER, CARRIED, 18, 1},
    {"face", PERSON, NONE, 23, 0},
    /* CamVid's */
    {"bicyclist", VEHICLE, STANDS, 170, 0},
    {"building", OTHER, STANDS, 0, 0},
    {"fence", OTHER, STANDS, 0, 0},
    {"pole", OTHER, STANDS, 0, 0},
    {"road", OTHER, NONE, 0, 0},
    {"sidewalk", OTHER, NONE, 0, 0},
    {"sign", OTHER, NONE, 0, 0},
    {"sky", OTHER, NONE, 0, 0},
    {"tree", OTHER, STANDS, 0, 0},
};

/* Other spellings, of COCO's 80, VOC and CamVid. */
static const struct {
    const char *label, *name;
} spellings[] = {
    {"aeroplane", "airplane"},       {"motorbike", "motorcycle"},
    {"sofa", "couch"},               {"pottedplant", "potted plant"},
    {"diningtable", "dining table"}, {"tvmonitor", "tv"},
    {"pedestrian", "person"},        {"hair dryer", "hair drier"},
    {"television", "tv"},            {"mobile phone", "cell phone"},
    {"cyclist", "bicyclist"},        {"people", "person"},
};
/* clang-format on */

const oc__concept *oc__concept_find(const char *label) {
    for (size_t i = 0; i < OC_COUNT(spellings); i++) {
        if (oc__ascii_same(spellings[i].label, label))
            label = spellings[i].name;
    }
    for (size_t i = 0; i < OC_COUNT(concepts); i++) {
        if (oc__ascii_same(concepts[i].name, label)) return &concepts[i];
    }
    return NULL;
}

int oc__concept_is_nothing(const char *label) {
    static const char *const names[] = {"",          "background", "unlabelled",
                                        "unlabeled", "void",       "n/a"};
    for (size_t i = 0; i < OC_COUNT(names); i++) {
        if (oc__ascii_same(names[i], label)) return 1;
    }
    return 0;
}
