/*
 * decode.h - from a network's outputs to boxes, before they are thinned out.
 *
 * A decoder gets the outputs as f32 "heads" in the order of its roles and
 * appends candidates in pixels of the network's input.  detect.c does the
 * rest for all of them: NMS, the best ones, back to the original picture.
 *
 *     outputs -> heads -> decoder -> candidates -> NMS -> objects
 */
#ifndef OC_TASKS_DECODE_H
#define OC_TASKS_DECODE_H

#include "base/memory.h"
#include "base/size.h"
#include "card/card.h"

#define OC_MAX_HEADS 64

/** An output as a decoder sees it: dense f32. */
typedef struct oc__head {
    const char *name;
    int rank;
    int64_t dims[OC_MAX_RANK];
    const float *v;
} oc__head;

typedef struct oc__heads {
    const oc_card *card;
    int n;
    oc__head head[OC_MAX_HEADS];
    int width, height; /* of the network's input */
    float threshold;   /* candidates below it need not be made */
} oc__heads;

typedef struct oc__candidate {
    float box[4]; /* x1, y1, x2, y2 */
    float score;
    int index;  /* class */
    int points; /* the first of its keypoints, -1 without */
} oc__candidate;

/** Candidates that grow. */
typedef struct oc__candidates {
    const oc_allocator *allocator;
    oc__candidate *v;
    size_t n, cap;
    oc_keypoint *points;
    size_t n_points, cap_points;
    int keypoints;   /* of each candidate */
    int in_original; /* coordinates are the original picture's already */
} oc__candidates;

void oc__candidates_deinit(oc__candidates *c);
/** Appends one; E_NOMEM.  A box with a NaN is dropped. */
oc_status oc__candidates_add(oc__candidates *c, const float box[4], float score,
                             int index, oc_error *err);
/** Room for the keypoints of the candidate added last; NULL: no memory. */
oc_keypoint *oc__candidates_points(oc__candidates *c, int count);
/** Center and size to corners. */
static inline void oc__box_from_center(float box[4], float cx, float cy,
                                       float w, float h) {
    box[0] = cx - w / 2;
    box[1] = cy - h / 2;
    box[2] = cx + w / 2;
    box[3] = cy + h / 2;
}

typedef oc_status (*oc__decode_fn)(const oc__heads *h, oc__candidates *out,
                                   oc_error *err);

/** One way to read a network's outputs. */
typedef struct oc__decoder {
    const char *kind;
    oc_task task;
    int min_heads;
    /*
     * Classes are counted along dim `class_dim` (from the end: -1 is the
     * last) of head 0, less class_less; class_dim 0: there is no telling
     * that simply, see oc__count_classes().
     */
    int class_dim, class_less;
    double threshold, iou; /* defaults */
    oc__nms_mode nms;
    oc__decode_fn run;  /* DETECT only */
    const char *expect; /* what the outputs look like, for messages */
} oc__decoder;

extern const oc__decoder oc__decoders[]; /* ended by kind NULL */
/** NULL when there is none. */
const oc__decoder *oc__decoder_find(oc_task task, const char *kind);
/** "yolox, yolov5, ..." of a task, for messages. */
const char *oc__decoder_list(oc_task task, char *out, size_t room);

/**
 * Drops dims of 1 at the start until head i has `rank`; what is left over of
 * a larger batch is ignored but for its first item.  E_SHAPE.
 */
oc_status oc__head_rank(const oc__heads *h, int i, int rank, oc__head *out,
                        oc_error *err);
/** E_SHAPE with the shape and what the decoder expects. */
oc_status oc__head_fail(const oc__heads *h, int i, const char *why,
                        oc_error *err);

/**
 * The grid cells of all strides: for each stride (the card's, or 8 16 32)
 * rows of ceil(W/s) cells.  out has room for OC_MAX_LEVELS.  Returns how
 * many levels there are.
 */
#define OC_MAX_LEVELS 16
typedef struct oc__level {
    int stride, w, h;
    int64_t first; /* cells before this level */
} oc__level;
int oc__levels_of(const oc__heads *h, oc__level out[OC_MAX_LEVELS]);
/** Cells in all levels. */
int64_t oc__levels_cells(const oc__level *levels, int n);

oc_status oc__decode_yolox(const oc__heads *, oc__candidates *, oc_error *);
oc_status oc__decode_yolov5(const oc__heads *, oc__candidates *, oc_error *);
oc_status oc__decode_yolov8(const oc__heads *, oc__candidates *, oc_error *);
oc_status oc__decode_rows(const oc__heads *, oc__candidates *, oc_error *);
oc_status oc__decode_ssd(const oc__heads *, oc__candidates *, oc_error *);
oc_status oc__decode_nanodet(const oc__heads *, oc__candidates *, oc_error *);
oc_status oc__decode_ultraface(const oc__heads *, oc__candidates *, oc_error *);
oc_status oc__decode_yunet(const oc__heads *, oc__candidates *, oc_error *);
oc_status oc__decode_detr(const oc__heads *, oc__candidates *, oc_error *);
oc_status oc__decode_torchvision(const oc__heads *, oc__candidates *,
                                 oc_error *);
oc_status oc__decode_tf_nms(const oc__heads *, oc__candidates *, oc_error *);
oc_status oc__decode_centernet(const oc__heads *, oc__candidates *, oc_error *);
oc_status oc__decode_heatmap(const oc__heads *, oc__candidates *, oc_error *);
oc_status oc__decode_movenet(const oc__heads *, oc__candidates *, oc_error *);

/**
 * How many classes the outputs speak of, the background (of detectors) not
 * counted; -1 when the shapes do not tell.  Heads need no data.
 */
int64_t oc__count_classes(const oc__heads *h);

/* ---- NMS (overlap.c) ----------------------------------------------------- */

/**
 * Thins candidates out in place and sorts them, best first (equal scores
 * keep their order).  At most `most` stay.  iou: overlap (intersection over
 * union) above which the lesser goes; sigma, threshold: for soft-NMS.
 */
oc_status oc__nms(oc__candidates *c, oc__nms_mode mode, float iou, float sigma,
                  float threshold, size_t most, oc_error *err);

#endif
