/*
 * guess_boxes.c - which detector's outputs these are.
 *
 * A grid network has exactly one row per cell of its strides, an SSD exactly
 * one per anchor: such counts are not met by accident.  Names decide only
 * where shapes leave two readings.
 */
#include "tasks/guess.h"

#include "base/size.h"

#include <string.h>

/* Cells of strides 8, 16, 32 (and 64, 128) over the input. */
static int64_t cells(const oc__guess *g, int strides) {
    int64_t n = 0;
    for (int i = 0, s = 8; i < strides; i++, s *= 2) {
        n += (int64_t)((g->h + s - 1) / s) * ((g->w + s - 1) / s);
    }
    return n;
}

static const double octaves[] = {8, 16, 32, 64, 128};

/* The number of strides for which n is `each` times the cells; 0: none. */
static int strides_for(const oc__guess *g, int64_t n, int each) {
    for (int s = 3; s <= 5; s++) {
        if (n > 0 && n == each * cells(g, s)) return s;
    }
    return 0;
}

/*
 * Whether an output beside `but` has a row or column for each of the n cells:
 * then boxes and scores are parted, and `but` is only one of the two.
 */
static int is_shared(const oc__guess *g, int but, int64_t n) {
    for (int i = 0; i < g->look->n; i++) {
        if (i != but && oc__guess_rank(g, i) == 2 &&
            (oc__guess_dim(g, i, 1) == n || oc__guess_dim(g, i, 2) == n))
            return 1;
    }
    return 0;
}

static int find_name(const oc__guess *g, const char *part) {
    for (int i = 0; i < g->look->n; i++) {
        if (oc__guess_contains(g->look->out[i].name, part)) return i;
    }
    return -1;
}

/* ---- grids ----------------------------------------------------------------
 */

/* [N, 5+C] */
static int is_rows_of_cells(oc__guess *g) {
    int64_t n = oc__guess_dim(g, 0, 2), wide = oc__guess_dim(g, 0, 1);
    int s;
    if (oc__guess_rank(g, 0) != 2 || wide < 6 || is_shared(g, 0, n)) return 0;
    g->classes = (int)wide - 5;
    if (strides_for(g, n, 3)) {
        if (!oc__guess_kind(g, OC_TASK_DETECT, "yolov5", OC_FAMILY_YOLO))
            return 0;
        oc__guess_say(g,
                      "decode: yolov5, since there are three rows for each "
                      "cell of strides 8, 16, 32 (%lld)",
                      (long long)n);
        return 1;
    }
    if (!(s = strides_for(g, n, 1))) return 0;
    if (s == 4 && wide == 112) return 0; /* NanoDet-Plus */
    int decoded = oc__look_above(g->look, 0, "Exp", 5) ||
                  oc__look_above(g->look, 0, "Mul", 4);
    const char *kind = decoded ? "yolov5" : "yolox";
    if (!oc__guess_kind(g, OC_TASK_DETECT, kind, OC_FAMILY_YOLOX)) return 0;
    oc__guess_put_numbers(g, "decode.strides", octaves, s);
    oc__guess_say(g,
                  "decode: %s, since there is one row of 5 + %d for each of "
                  "%lld grid cells, %s",
                  decoded ? "YOLOX with boxes decoded" : "yolox", g->classes,
                  (long long)n,
                  decoded ? "after arithmetic" : "straight from the layers");
    return 1;
}

/* [4+C, N] */
static int is_columns_of_cells(oc__guess *g) {
    int64_t rows = oc__guess_dim(g, 0, 2), n = oc__guess_dim(g, 0, 1);
    if (oc__guess_rank(g, 0) != 2 || rows < 5 || rows >= n ||
        !strides_for(g, n, 1) || is_shared(g, 0, n))
        return 0;
    if (!oc__guess_kind(g, OC_TASK_DETECT, "yolov8", OC_FAMILY_YOLO)) return 0;
    int two[2] = {0, 1}, masks = 0;
    if (g->look->n > 1 && oc__guess_rank(g, 1) == 3)
        masks = (int)oc__guess_dim(g, 1, 3);
    if (rows == 56 && !masks && !g->card->labels.n) {
        oc__guess_put(g, "decode.keypoints", "17");
        oc__guess_say(g, "keypoints: COCO's 17, by the number of rows (56)");
    }
    int points = g->card->keypoints;
    if (points) {
        static const double bones[] = {
            0, 1,  0, 2,  1, 3,  2,  4,  5,  6,  5,  7,  7,  9,  6,  8,
            8, 10, 5, 11, 6, 12, 11, 12, 11, 13, 13, 15, 12, 14, 14, 16};
        if (points == 17)
            oc__guess_put_numbers(g, "decode.bones", bones,
                                  (int)OC_COUNT(bones));
    }
    g->classes = (int)rows - 4 - 3 * points - masks;
    oc__guess_put_outputs(g, two, masks ? 2 : 1);
    oc__guess_say(g,
                  "decode: yolov8, since there is one column of 4 + %d for "
                  "each of %lld grid cells%s",
                  (int)rows - 4, (long long)n,
                  masks ? "; masks are not decoded, boxes are" : "");
    return 1;
}

/*
 * [1, K, 6] after the network's own NMS.  [N, 6] may as well be a classifier
 * of six classes: there NonMaxSuppression has to stand in the graph.
 */
static int is_final_rows(oc__guess *g) {
    const oc__seen *o = &g->look->out[0];
    int64_t n = oc__guess_dim(g, 0, 2);
    if (g->look->n != 1 || oc__guess_dim(g, 0, 1) != 6 || o->rank > 3 ||
        o->rank < 2 || n > 1000)
        return 0;
    if ((o->rank == 2 || n == 1) &&
        !oc__look_above(g->look, 0, "NonMaxSuppression", 16))
        return 0;
    if (!oc__guess_kind(g, OC_TASK_DETECT, "rows", OC_FAMILY_YOLO)) return 0;
    g->classes = g->card->labels.n ? 0 : 80;
    oc__guess_say(g, "decode: rows of x1, y1, x2, y2, score, class, as "
                     "YOLOv10 and exports with NMS have them");
    return 1;
}

static int is_nanodet_plus(oc__guess *g) {
    int64_t n = oc__guess_dim(g, 0, 2), wide = oc__guess_dim(g, 0, 1);
    int s = strides_for(g, n, 1);
    int64_t classes = g->card->labels.n ? g->card->labels.n : 80;
    if (g->look->n != 1 || !s || wide != classes + 32) return 0;
    if (!oc__guess_kind(g, OC_TASK_DETECT, "nanodet", OC_FAMILY_NANODET))
        return 0;
    g->classes = (int)classes;
    oc__guess_put(g, "decode.bins", "8");
    oc__guess_put_numbers(g, "decode.strides", octaves, s);
    oc__guess_say(g,
                  "decode: NanoDet-Plus, since there are %d classes and "
                  "4 x 8 bins for each of %lld grid cells",
                  g->classes, (long long)n);
    return 1;
}

/*
 * Six outputs, two for each stride: [n, C] and [n, 4*B].  Their order and
 * names vary between exports, their shapes do not.
 */
static int is_nanodet(oc__guess *g) {
    int roles[6];
    int64_t classes = 0, wide = 0;
    if (g->look->n != 6) return 0;
    for (int l = 0; l < 3; l++) {
        int s = 8 << l, found = 0;
        int64_t n = (int64_t)((g->h + s - 1) / s) * ((g->w + s - 1) / s);
        for (int i = 0; i < 6 && found < 2; i++) {
            if (oc__guess_rank(g, i) == 2 && oc__guess_dim(g, i, 2) == n)
                roles[2 * l + found++] = i;
        }
        if (found != 2) return 0;
        /* 4*B is a multiple of 4 above 4; 32 is what everybody has. */
        int64_t a = oc__guess_dim(g, roles[2 * l], 1);
        int64_t b = oc__guess_dim(g, roles[2 * l + 1], 1);
        if (a == 32 && b != 32) {
            int swap = roles[2 * l];
            roles[2 * l] = roles[2 * l + 1];
            roles[2 * l + 1] = swap;
            a = b;
            b = 32;
        }
        if (b % 4 || b < 8 || (l && (a != classes || b != wide))) return 0;
        classes = a;
        wide = b;
    }
    if (!oc__guess_kind(g, OC_TASK_DETECT, "nanodet", OC_FAMILY_NANODET))
        return 0;
    double bins = (double)(wide / 4);
    g->classes = (int)classes;
    oc__guess_put_outputs(g, roles, 6);
    oc__guess_put_numbers(g, "decode.bins", &bins, 1);
    /* Trained with keep_ratio; NanoDet-Plus is not. */
    oc__guess_put(g, "input.resize", "letterbox");
    if (oc__look_ending(g->look, roles[0]) != OC_END_SIGMOID)
        oc__guess_put(g, "decode.activation", "sigmoid");
    oc__guess_say(g,
                  "decode: nanodet, since each of strides 8, 16, 32 has an "
                  "output of %d classes and one of 4 x %d bins",
                  g->classes, (int)bins);
    return 1;
}

/* Twelve outputs: cls, obj, bbox, kps for each stride. */
static int is_yunet(oc__guess *g) {
    static const int64_t wide[] = {1, 1, 4, 10};
    static const char *const names[] = {"cls", "obj", "bbox", "kps"};
    int roles[12];
    if (g->look->n != 12) return 0;
    for (int r = 0; r < 4; r++) {
        for (int l = 0; l < 3; l++) {
            int s = 8 << l, found = -1;
            int64_t n = (int64_t)((g->h + s - 1) / s) * ((g->w + s - 1) / s);
            for (int i = 11; i >= 0; i--) {
                if (oc__guess_dim(g, i, 2) == n &&
                    oc__guess_dim(g, i, 1) == wide[r] &&
                    (r > 1 ||
                     oc__guess_contains(g->look->out[i].name, names[r])))
                    found = i;
            }
            if (found < 0) return 0;
            roles[3 * r + l] = found;
        }
    }
    if (!oc__guess_kind(g, OC_TASK_DETECT, "yunet", OC_FAMILY_YUNET)) return 0;
    oc__guess_put_outputs(g, roles, 12);
    oc__guess_put(g, "decode.keypoints", "5");
    g->classes = 1;
    oc__guess_say(g, "decode: yunet, since each of strides 8, 16, 32 has "
                     "outputs of 1, 1, 4 and 10 columns");
    return 1;
}

static int is_centernet(oc__guess *g) {
    int heat = -1, pair[2] = {-1, -1}, pairs = 0;
    for (int i = 0; i < g->look->n; i++) {
        if (g->look->out[i].rank != 4 || g->look->out[i].dims[2] < 8) return 0;
        int64_t c = oc__guess_dim(g, i, 3);
        if (c == 2 && pairs < 2)
            pair[pairs++] = i;
        else if (heat < 0 && c >= 1)
            heat = i;
    }
    if (heat < 0 || pairs != 2) return 0;
    const char *second = g->look->out[pair[1]].name;
    if (oc__guess_contains(second, "wh") ||
        oc__guess_contains(second, "size")) {
        int swap = pair[0];
        pair[0] = pair[1];
        pair[1] = swap;
    }
    if (!oc__guess_kind(g, OC_TASK_DETECT, "centernet", OC_FAMILY_CENTERNET))
        return 0;
    int roles[3] = {heat, pair[0], pair[1]};
    oc__guess_put_outputs(g, roles, 3);
    if (oc__look_ending(g->look, heat) != OC_END_SIGMOID &&
        !oc__look_above(g->look, heat, "Sigmoid", 4))
        oc__guess_put(g, "decode.activation", "sigmoid");
    g->classes = (int)oc__guess_dim(g, heat, 3);
    oc__guess_say(g, "decode: centernet, since there is a heat map with two "
                     "maps of two channels");
    return 1;
}

/* ---- lists ----------------------------------------------------------------
 */

/* Anchors of TensorFlow's SSD for this input; see decode_ssd.c. */
static int64_t tf_anchors(const oc__guess *g) {
    int64_t n = 0;
    for (int i = 0; i < 6; i++) {
        int s = 16 << i;
        n += (int64_t)((g->h + s - 1) / s) * ((g->w + s - 1) / s) * (i ? 6 : 3);
    }
    return n;
}

/* Numbers of a [N, C] and a [N, 4] output; 0: there are no such two. */
static int find_pair(const oc__guess *g, int pair[2]) {
    if (g->look->n < 2) return 0;
    for (int i = 0; i < 2; i++) {
        int other = 1 - i;
        /* With four classes the first one holds the scores. */
        if (oc__guess_dim(g, other, 1) == 4 && oc__guess_dim(g, i, 1) >= 1 &&
            oc__guess_rank(g, i) <= 2 && oc__guess_rank(g, other) <= 2 &&
            oc__guess_dim(g, i, 2) == oc__guess_dim(g, other, 2) &&
            g->look->out[i].rank == g->look->out[other].rank &&
            g->look->out[i].rank >= 2) {
            pair[0] = i;
            pair[1] = other;
            return 1;
        }
    }
    return 0;
}

static void ssd_details(oc__guess *g, const int pair[2], int64_t n) {
    oc__ending end = oc__look_ending(g->look, pair[0]);
    if (end != OC_END_SIGMOID && end != OC_END_SOFTMAX)
        oc__guess_put(g, "decode.activation", "sigmoid");
    /* 91 and 21 have a class for nothing in front; 80, 90 and 20 have not. */
    if (g->classes == 91 || g->classes == 21) {
        oc__guess_put(g, "decode.background", "0");
        g->classes--;
    }
    oc__guess_say(g,
                  "decode: ssd against TensorFlow's anchors, of which there "
                  "are just as many (%lld)",
                  (long long)n);
}

static int is_pair(oc__guess *g) {
    int pair[2];
    if (!find_pair(g, pair)) return 0;
    int64_t n = oc__guess_dim(g, pair[0], 2);
    /* [1, C] and [1, 4] are two classifiers, or one object and its box. */
    if (n < 10) return 0;
    g->classes = (int)oc__guess_dim(g, pair[0], 1);
    if (n == tf_anchors(g) &&
        oc__guess_kind(g, OC_TASK_DETECT, "ssd", OC_FAMILY_TF_SSD)) {
        oc__guess_put_outputs(g, pair, 2);
        ssd_details(g, pair, n);
        return 1;
    }
    const char *name = g->look->out[pair[0]].name;
    if (n <= 1000 || oc__guess_contains(name, "logits")) {
        int softmax = n == 100 || g->classes == 92;
        if (!oc__guess_kind(g, OC_TASK_DETECT, "detr",
                            softmax ? OC_FAMILY_DETR : OC_FAMILY_RT_DETR))
            return 0;
        oc__guess_put_outputs(g, pair, 2);
        if (oc__look_ending(g->look, pair[0]) == OC_END_OTHER)
            oc__guess_put(g, "decode.activation",
                          softmax ? "softmax" : "sigmoid");
        oc__guess_say(g, "decode: detr with a %s, by its %lld queries",
                      softmax ? "softmax" : "sigmoid", (long long)n);
        if (softmax) g->classes--;
        /* 91 outputs are COCO's category numbers, 0 being unused. */
        if (g->classes == 91) oc__guess_put(g, "decode.background", "0");
        return 1;
    }
    /* Corners have been through the exponential of their sizes. */
    if (oc__look_ending(g->look, pair[0]) != OC_END_SOFTMAX ||
        !oc__look_above(g->look, pair[1], "Exp", 16))
        return 0;
    if (!oc__guess_kind(g, OC_TASK_DETECT, "ultraface", OC_FAMILY_ULTRAFACE))
        return 0;
    oc__guess_put_outputs(g, pair, 2);
    oc__guess_put(g, "decode.background", "0");
    g->classes--;
    oc__guess_say(g,
                  "decode: %d boxes of corners from 0 to 1 with a softmax, as "
                  "UltraFace has them",
                  (int)n);
    return 1;
}

/* boxes, labels, scores: torchvision, or RT-DETR with its postprocessor. */
static int is_torchvision(oc__guess *g) {
    int boxes = find_name(g, "box"), labels = find_name(g, "label");
    int scores = find_name(g, "score"), points = find_name(g, "keypoint");
    if (boxes < 0 || labels < 0 || scores < 0) { /* by type then */
        boxes = labels = scores = -1;
        for (int i = 0; i < g->look->n && i < 3; i++) {
            const oc__seen *o = &g->look->out[i];
            if (o->rank == 2 && oc__guess_dim(g, i, 1) == 4) boxes = i;
            if (o->rank == 1 && o->dtype == OC_DTYPE_I64) labels = i;
            if (o->rank == 1 && o->dtype == OC_DTYPE_F32) scores = i;
        }
    }
    if (boxes < 0 || labels < 0 || scores < 0 ||
        oc__guess_dim(g, boxes, 1) != 4)
        return 0;
    int detr = 0;
    for (int i = 0; i < oc_model_input_count(g->look->model); i++) {
        detr |= oc__guess_contains(oc_model_input(g->look->model, i)->name,
                                   "orig_target_size");
    }
    if (!oc__guess_kind(g, OC_TASK_DETECT, "torchvision",
                        detr ? OC_FAMILY_RT_DETR : OC_FAMILY_TORCHVISION))
        return 0;
    int roles[4] = {boxes, labels, scores, points};
    oc__guess_put_outputs(g, roles, points >= 0 ? 4 : 3);
    if (points >= 0) oc__guess_put(g, "decode.keypoints", "17");
    if (!detr) oc__guess_put(g, "decode.background", "0");
    g->labels = detr ? "coco80" : "coco90";
    oc__guess_say(g,
                  "decode: boxes, labels and scores after NMS, as %s has them",
                  detr ? "RT-DETR" : "torchvision");
    return 1;
}

static int is_tf_nms(oc__guess *g) {
    int boxes = find_name(g, "detection_boxes");
    int classes = find_name(g, "detection_classes");
    int scores = find_name(g, "detection_scores");
    int count = find_name(g, "num_detections");
    int named = boxes >= 0 && classes >= 0 && scores >= 0;
    if (!named) { /* TensorFlow Lite's: boxes, classes, scores, count */
        if (g->look->n != 4 || oc__guess_dim(g, 0, 1) != 4 ||
            oc__guess_rank(g, 1) != 1 || oc__guess_rank(g, 2) != 1 ||
            oc__guess_dim(g, 1, 1) != oc__guess_dim(g, 0, 2) ||
            oc__guess_dim(g, 2, 1) != oc__guess_dim(g, 0, 2))
            return 0;
        boxes = 0;
        classes = 1;
        scores = 2;
        count = 3;
    }
    if (!oc__guess_kind(g, OC_TASK_DETECT, "tf_nms", OC_FAMILY_TF_NMS))
        return 0;
    int roles[4] = {boxes, classes, scores, count};
    oc__guess_put_outputs(g, roles, count >= 0 ? 4 : 3);
    if (named) oc__guess_put(g, "decode.background", "0");
    g->labels = "coco90";
    oc__guess_say(g,
                  "decode: boxes, classes and scores after NMS, as %s has them",
                  named ? "TensorFlow's detection API" : "TensorFlow Lite");
    return 1;
}

/* ---- points ---------------------------------------------------------------
 */

static int is_points(oc__guess *g) {
    static const double bones[] = {0,  1,  0,  2,  1,  3,  2,  4,  5,  6, 5,
                                   7,  7,  9,  6,  8,  8,  10, 5,  11, 6, 12,
                                   11, 12, 11, 13, 13, 15, 12, 14, 14, 16};
    int64_t a = oc__guess_dim(g, 0, 2), b = oc__guess_dim(g, 0, 1);
    if (g->look->n != 1) return 0;
    int movenet = oc__guess_rank(g, 0) == 2 &&
                  ((a == 17 && b == 3) || (a == 6 && b == 56));
    /* Upright pictures of one person, a quarter of the size. */
    int maps = g->look->out[0].rank == 4 && oc__guess_dim(g, 0, 3) == 17 &&
               a * 4 == g->h && b * 4 == g->w && g->h > g->w;
    if (!movenet && !maps) return 0;
    if (!oc__guess_kind(g, OC_TASK_DETECT, movenet ? "movenet" : "heatmap",
                        movenet ? OC_FAMILY_MOVENET : OC_FAMILY_HEATMAP))
        return 0;
    oc__guess_put(g, "decode.keypoints", "17");
    oc__guess_put_numbers(g, "decode.bones", bones, (int)OC_COUNT(bones));
    const char *person = "person";
    if (!g->st && !oc__card_has(g->card, "labels"))
        g->st = oc_card_set_labels(g->card, &person, 1, g->err);
    oc__guess_say(g, "decode: the 17 keypoints of a person, as %s",
                  movenet ? "MoveNet has them" : "heat maps");
    return 1;
}

int oc__guess_boxes(oc__guess *g) {
    /* Rarer shapes first: what comes late would match more. */
    static int (*const known[])(oc__guess *) = {
        is_yunet,         is_nanodet,          is_nanodet_plus, is_torchvision,
        is_tf_nms,        is_centernet,        is_points,       is_pair,
        is_rows_of_cells, is_columns_of_cells, is_final_rows};
    if (!g->look->n) return 0;
    for (size_t i = 0; i < OC_COUNT(known) && !g->st; i++) {
        g->classes = 0;
        if (known[i](g)) {
            if ((g->family == OC_FAMILY_ULTRAFACE && g->classes == 1) ||
                g->family == OC_FAMILY_YUNET) {
                const char *face = "face";
                if (!g->st && !oc__card_has(g->card, "labels"))
                    g->st = oc_card_set_labels(g->card, &face, 1, g->err);
            }
            return 1;
        }
    }
    g->classes = 0;
    return 0;
}
