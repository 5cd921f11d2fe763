/*
 * test_tasks.c - src/tasks: what decoders make of outputs, compared with the
 * formulas of their papers on numbers chosen so that they can be done by
 * hand; and NMS, compared with the plainest loop there is.
 *
 * test_tasks_vision.c has the way from a picture and back to it,
 * test_tasks_guess.c how networks are recognised.
 */
#include "testing.h"

#include "base/label_tree.h"
#include "base/rng.h"
#include "tasks/vision_private.h"

#include <math.h>
#include <stdio.h>

/* ---- a decoder without its network ----------------------------------------
 */

typedef struct rig {
    oc_card *card;
    oc_vision v; /* as much of one as decoding needs */
    oc__heads heads;
    oc__candidates out;
    oc_error err;
} rig;

static void rig_init(rig *r, const char *task, const char *kind, int width,
                     int height) {
    memset(r, 0, sizeof *r);
    assert_int_equal(oc_card_create(&r->card, NULL, NULL), OC_OK);
    assert_int_equal(oc_card_set(r->card, "task", task, NULL), OC_OK);
    assert_int_equal(oc_card_set(r->card, "decode.kind", kind, NULL), OC_OK);
    r->heads.card = r->card;
    r->heads.width = width;
    r->heads.height = height;
    r->heads.threshold = 0.3f;
    r->out.allocator = &oc__default_allocator;
    r->v.allocator = oc__default_allocator;
    r->v.card = r->card;
    r->v.decoder = oc__decoder_find((oc_task)r->card->task, kind);
    r->v.threshold = 0.3f;
    r->v.top = 100;
    assert_non_null(r->v.decoder);
}

static void rig_deinit(rig *r) {
    oc__candidates_deinit(&r->out);
    oc_card_destroy(r->card);
}

static void set(rig *r, const char *field, const char *value) {
    assert_int_equal(oc_card_set(r->card, field, value, &r->err), OC_OK);
}

/* The next output: up to four dims, ended by -1. */
static void add_head(rig *r, const float *v, int64_t a, int64_t b, int64_t c,
                     int64_t d) {
    const int64_t dims[4] = {a, b, c, d};
    oc__head *h = &r->heads.head[r->heads.n++];
    h->name = "out";
    h->v = v;
    for (h->rank = 0; h->rank < 4 && dims[h->rank] >= 0; h->rank++) {
        h->dims[h->rank] = dims[h->rank];
    }
}

static void decode(rig *r) {
    oc_status st = r->v.decoder->run(&r->heads, &r->out, &r->err);
    if (st) fail_msg("%s", r->err.message);
}

static void assert_near(double got, double want) {
    if (!(fabs(got - want) <= 1e-4 * fmax(1, fabs(want))))
        fail_msg("%.7g is not %.7g", got, want);
}

/* Candidate i. */
static void assert_box(const rig *r, size_t i, int index, double score,
                       double x1, double y1, double x2, double y2) {
    assert_true(i < r->out.n);
    const oc__candidate *c = &r->out.v[i];
    assert_int_equal(c->index, index);
    assert_near((double)c->score, score);
    const double want[4] = {x1, y1, x2, y2};
    for (int k = 0; k < 4; k++) {
        assert_near((double)c->box[k], want[k]);
    }
}

static void assert_point(const rig *r, size_t i, int k, double x, double y,
                         double score) {
    assert_true(r->out.v[i].points >= 0);
    const oc_keypoint *p = &r->out.points[r->out.v[i].points + k];
    assert_near((double)p->x, x);
    assert_near((double)p->y, y);
    assert_near((double)p->score, score);
}

static double sigmoid(double x) {
    return 1 / (1 + exp(-x));
}

/* ---- grids ----------------------------------------------------------------
 */

/* YOLOX, arXiv:2107.08430: xy = (o + cell) * s, wh = exp(o) * s. */
static void yolox_decodes_cells_of_each_stride(void **state) {
    (void)state;
    rig r;
    static float y[21][7]; /* 4x4, 2x2 and 1 cells of a picture of 32x32 */
    memset(y, 0, sizeof y);
    const float a[7] = {0.5f, 0.25f, logf(2), logf(4), 0.9f, 0.1f, 0.8f};
    const float b[7] = {0, 0, 0, 0, 1, 0.5f, 0};
    const float c[7] = {0.5f, 0.5f, -1, 1, 0.5f, 1, 1};
    memcpy(y[6], a, sizeof a);  /* stride 8, cell 2, 1 */
    memcpy(y[18], b, sizeof b); /* stride 16, cell 0, 1 */
    memcpy(y[20], c, sizeof c); /* stride 32, both classes */
    rig_init(&r, "detect", "yolox", 32, 32);
    add_head(&r, y[0], 1, 21, 7, -1);
    decode(&r);
    assert_int_equal(r.out.n, 4);
    assert_box(&r, 0, 1, 0.72, 20 - 8, 10 - 16, 20 + 8, 10 + 16);
    assert_box(&r, 1, 0, 0.5, -8, 16 - 8, 8, 16 + 8);
    for (int k = 0; k < 2; k++) {
        assert_box(&r, (size_t)(2 + k), k, 0.5, 16 - 16 / exp(1),
                   16 - 16 * exp(1), 16 + 16 / exp(1), 16 + 16 * exp(1));
    }
    assert_int_equal(oc__count_classes(&r.heads), 2);
    rig_deinit(&r);
}

static void yolox_counts_cells_of_odd_sizes(void **state) {
    (void)state;
    rig r;
    static float y[12][6]; /* 33 x 20, stride 16: 3 x 2; 32: 2 x 1; 64: 1 */
    memset(y, 0, sizeof y);
    y[5][4] = y[5][5] = 1; /* the last cell of stride 16: 2, 1 */
    y[7][4] = y[7][5] = 1; /* of stride 32: 1, 0 */
    rig_init(&r, "detect", "yolox", 33, 20);
    set(&r, "decode.strides", "16,32,64");
    add_head(&r, y[0], 9, 6, -1, -1);
    decode(&r);
    assert_int_equal(r.out.n, 2);
    assert_box(&r, 0, 0, 1, 32 - 8, 16 - 8, 32 + 8, 16 + 8);
    assert_box(&r, 1, 0, 1, 32 - 16, -16, 32 + 16, 16);
    r.heads.head[0].dims[0] = 10;
    assert_int_equal(oc__decode_yolox(&r.heads, &r.out, &r.err), OC_E_SHAPE);
    rig_deinit(&r);
}

/* YOLOv5 decodes in the network: cx cy w h in pixels. */
static void yolov5_takes_boxes_as_they_are(void **state) {
    (void)state;
    rig r;
    static const float y[3][7] = {{20, 10, 8, 4, 0.5f, 0.8f, 0.9f},
                                  {20, 10, 8, 4, 0.29f, 1, 1},
                                  {3, 2, 4, 4, 1, 0.2f, 0.31f}};
    rig_init(&r, "detect", "yolov5", 32, 32);
    add_head(&r, y[0], 1, 3, 7, -1);
    decode(&r);
    assert_int_equal(r.out.n, 3);
    assert_box(&r, 0, 0, 0.4, 16, 8, 24, 12);
    assert_box(&r, 1, 1, 0.45, 16, 8, 24, 12);
    assert_box(&r, 2, 1, 0.31, 1, 0, 5, 4);
    rig_deinit(&r);
}

/* YOLOv8 and 11: columns of cx cy w h, class scores. */
static void yolov8_reads_columns_and_rows(void **state) {
    (void)state;
    rig r;
    static const float y[6][7] = {
        {10, 0, 0, 20, 0, 0, 0},  {10, 0, 0, 8, 0, 0, 0},
        {4, 0, 0, 6, 0, 0, 0},    {8, 0, 0, 2, 0, 0, 0},
        {0, 0, 0, 0.9f, 0, 0, 0}, {0.5f, 0, 0, 0, 0, 0, 0}};
    float t[7][6];
    for (int i = 0; i < 42; i++) {
        t[i % 7][i / 7] = y[i / 7][i % 7];
    }
    for (int rows = 0; rows < 2; rows++) {
        rig_init(&r, "detect", "yolov8", 32, 32);
        if (rows)
            add_head(&r, t[0], 1, 7, 6, -1);
        else
            add_head(&r, y[0], 1, 6, 7, -1);
        decode(&r);
        assert_int_equal(r.out.n, 2);
        assert_box(&r, 0, 1, 0.5, 8, 6, 12, 14);
        assert_box(&r, 1, 0, 0.9, 17, 7, 23, 9);
        assert_int_equal(oc__count_classes(&r.heads), 2);
        rig_deinit(&r);
    }
}

static void yolov8_reads_keypoints_behind_the_classes(void **state) {
    (void)state;
    rig r;
    /* Two classes, two points of x, y, score; one of twelve cells says. */
    static float y[12][12];
    memset(y, 0, sizeof y);
    const float column[12] = {10, 10, 4, 4, 0.5f, 0.6f, 1, 2, 0.7f, 3, 4, 0.2f};
    for (int i = 0; i < 12; i++) {
        y[i][5] = column[i];
    }
    rig_init(&r, "detect", "yolov8", 32, 32);
    set(&r, "decode.keypoints", "2");
    const char *const labels[2] = {"a", "b"};
    assert_int_equal(oc_card_set_labels(r.card, labels, 2, NULL), OC_OK);
    add_head(&r, y[0], 1, 12, 12, -1);
    decode(&r);
    assert_int_equal(r.out.n, 2);
    for (size_t i = 0; i < 2; i++) { /* the same points for both classes */
        assert_point(&r, i, 0, 1, 2, 0.7);
        assert_point(&r, i, 1, 3, 4, 0.2);
    }
    assert_int_equal(oc__count_classes(&r.heads), 2);
    rig_deinit(&r);
}

static void yolov8_reads_points_without_scores(void **state) {
    (void)state;
    rig r;
    static float y[9][10]; /* one class, two points of x, y */
    memset(y, 0, sizeof y);
    const float column[9] = {10, 10, 4, 4, 0.5f, 1, 2, 3, 4};
    for (int i = 0; i < 9; i++) {
        y[i][9] = column[i];
    }
    rig_init(&r, "detect", "yolov8", 32, 32);
    set(&r, "decode.keypoints", "2");
    add_head(&r, y[0], 1, 9, 10, -1);
    decode(&r);
    assert_int_equal(r.out.n, 1);
    assert_point(&r, 0, 0, 1, 2, 1);
    assert_point(&r, 0, 1, 3, 4, 1);
    assert_int_equal(oc__count_classes(&r.heads), 1);
    rig_deinit(&r);
}

/* With masks: 32 (here 3) coefficients follow, their maps come second. */
static void yolov8_leaves_out_mask_coefficients(void **state) {
    (void)state;
    rig r;
    static float y[9][10], maps[3][4];
    for (int i = 0; i < 9; i++) {
        y[i][0] = i < 4 ? 8 : 0.9f; /* coefficients look like scores */
    }
    rig_init(&r, "detect", "yolov8", 32, 32);
    add_head(&r, y[0], 1, 9, 10, -1);
    add_head(&r, maps[0], 1, 3, 2, 2);
    decode(&r);
    assert_int_equal(r.out.n, 2);
    assert_int_equal(oc__count_classes(&r.heads), 2);
    rig_deinit(&r);
}

/* YOLOv10 and exports with NMS inside. */
static void rows_are_taken_as_they_are(void **state) {
    (void)state;
    rig r;
    static const float y[4][6] = {{1, 2, 3, 4, 0.9f, 5},
                                  {1, 2, 3, 4, 0.2f, 5},
                                  {1, 2, 3, 4, 0.9f, -1},
                                  {1, 2, 3, 4, 0.9f, NAN}};
    rig_init(&r, "detect", "rows", 32, 32);
    add_head(&r, y[0], 1, 4, 6, -1);
    decode(&r);
    assert_int_equal(r.out.n, 1);
    assert_box(&r, 0, 5, 0.9, 1, 2, 3, 4);
    rig_deinit(&r);
}

/*
 * Generalized Focal Loss, arXiv:2006.04388: a side is the expected value of
 * a distribution over 0..7 strides.  16 x 8, stride 8: cells 0, 0 and 1, 0.
 */
static void fill_sides(float sides[4][8], int left, int top, int right) {
    for (int k = 0; k < 4; k++) {
        for (int b = 0; b < 8; b++) {
            sides[k][b] = -100;
        }
    }
    sides[0][left] = sides[1][top] = sides[2][right] = 5;
    sides[3][2] = sides[3][3] = 1; /* half and half: 2.5 */
}

static void nanodet_reads_two_outputs_for_each_stride(void **state) {
    (void)state;
    rig r;
    static float scores[2][3], sides[2][4][8];
    scores[1][2] = 0.75f;
    fill_sides(sides[1], 1, 0, 3);
    rig_init(&r, "detect", "nanodet", 16, 8);
    set(&r, "decode.strides", "8");
    add_head(&r, scores[0], 1, 2, 3, -1);
    add_head(&r, sides[0][0], 1, 2, 32, -1);
    decode(&r);
    assert_int_equal(r.out.n, 1);
    /* The centre of cell 1, 0 is at 12, 4. */
    assert_box(&r, 0, 2, 0.75, 12 - 8, 4, 12 + 24, 4 + 20);
    assert_int_equal(oc__count_classes(&r.heads), 3);
    rig_deinit(&r);
}

/* NanoDet-Plus: one output, cells count from their corner. */
static void nanodet_plus_reads_one_output(void **state) {
    (void)state;
    rig r;
    static float y[2][2 + 32];
    float sides[4][8];
    fill_sides(sides, 1, 0, 3);
    y[0][0] = y[0][1] = -9;
    y[1][0] = -9;
    y[1][1] = 2;
    memcpy(y[1] + 2, sides, sizeof sides);
    rig_init(&r, "detect", "nanodet", 16, 8);
    set(&r, "decode.strides", "8");
    set(&r, "decode.bins", "8");
    set(&r, "decode.activation", "sigmoid");
    add_head(&r, y[0], 1, 2, 34, -1);
    decode(&r);
    assert_int_equal(r.out.n, 1);
    assert_box(&r, 0, 1, sigmoid(2), 8 - 8, 0, 8 + 24, 20);
    assert_int_equal(oc__count_classes(&r.heads), 2);
    rig_deinit(&r);
}

/* YuNet: sqrt(cls * obj), centres, sizes and points as YOLOX has them. */
static void yunet_finds_a_face_and_its_points(void **state) {
    (void)state;
    rig r;
    static float cls[2], obj[2], box[2][4], kps[2][10];
    cls[1] = 0.81f;
    obj[1] = 4; /* levels above 1 count as 1 */
    box[1][0] = 0.5f;
    box[1][2] = logf(2);
    for (int i = 0; i < 10; i++) {
        kps[1][i] = (float)i / 4;
    }
    rig_init(&r, "detect", "yunet", 16, 8);
    set(&r, "decode.strides", "8");
    add_head(&r, cls, 1, 2, 1, -1);
    add_head(&r, obj, 1, 2, 1, -1);
    add_head(&r, box[0], 1, 2, 4, -1);
    add_head(&r, kps[0], 1, 2, 10, -1);
    decode(&r);
    assert_int_equal(r.out.n, 1);
    assert_box(&r, 0, 0, 0.9, 12 - 8, -4, 12 + 8, 4);
    for (int k = 0; k < 5; k++) {
        assert_point(&r, 0, k, 8 * (1 + k / 2.), 8 * (k / 2. + 0.25), 1);
    }
    rig_deinit(&r);
}

/* Objects as Points, arXiv:1904.07850. */
static void centernet_reads_size_and_offset_at_peaks(void **state) {
    (void)state;
    rig r;
    static float heat[2][4][4], size[2][4][4], offset[2][4][4];
    memset(heat, 0, sizeof heat);
    heat[1][2][1] = 0.9f;
    heat[1][2][2] = 0.8f; /* beside a better one of its class: no peak */
    heat[0][2][2] = 0.7f; /* of another class: one */
    size[0][2][1] = 2;
    size[1][2][1] = 3;
    size[0][2][2] = size[1][2][2] = 1;
    offset[0][2][1] = 0.5f;
    offset[1][2][1] = 0.25f;
    rig_init(&r, "detect", "centernet", 16, 32); /* 4 x 8 pixels a cell */
    add_head(&r, heat[0][0], 1, 2, 4, 4);
    add_head(&r, size[0][0], 1, 2, 4, 4);
    add_head(&r, offset[0][0], 1, 2, 4, 4);
    decode(&r);
    assert_int_equal(r.out.n, 2);
    assert_box(&r, 0, 0, 0.7, 8 - 2, 16 - 4, 8 + 2, 16 + 4);
    assert_box(&r, 1, 1, 0.9, 6 - 4, 18 - 12, 6 + 4, 18 + 12);
    assert_int_equal(oc__count_classes(&r.heads), 2);
    rig_deinit(&r);
}

/* ---- anchors and lists ----------------------------------------------------
 */

/* The box coder of TensorFlow's detection API: ty, tx, th, tw. */
static void ssd_decodes_codes_against_given_anchors(void **state) {
    (void)state;
    rig r;
    static const float scores[2][3] = {{0.9f, 0.1f, 0.1f}, {0.1f, 0.2f, 0.6f}};
    static const float codes[2][4] = {{0}, {1, 2, 0, 0.5f}};
    rig_init(&r, "detect", "ssd", 100, 200);
    set(&r, "decode.anchors", "0.5,0.5,1,1, 0.5,0.25,0.2,0.1");
    set(&r, "decode.background", "0");
    add_head(&r, scores[0], 1, 2, 3, -1);
    add_head(&r, codes[0], 1, 2, 4, -1);
    decode(&r);
    assert_int_equal(r.out.n, 1);
    double cy = 1 / 10. * 0.1 + 0.25, cx = 2 / 10. * 0.2 + 0.5;
    double h = 0.1, w = exp(0.5 / 5) * 0.2;
    assert_box(&r, 0, 1, 0.6, 100 * (cx - w / 2), 200 * (cy - h / 2),
               100 * (cx + w / 2), 200 * (cy + h / 2));
    assert_int_equal(oc__count_classes(&r.heads), 2);
    rig_deinit(&r);
}

/*
 * ssd_anchor_generator.py of the detection API, for 320 x 320: 20, 10, 5, 3,
 * 2 and 1 cells a side, 3 anchors each in the first layer, then 6.
 */
static void ssd_generates_the_anchors_of_tensorflow(void **state) {
    (void)state;
    enum { N = 1200 + 600 + 150 + 54 + 24 + 6 };
    static float scores[N], codes[N][4];
    static const struct {
        int i;
        double cx, cy, scale, ratio;
    } some[] = {
        {0, 0.025, 0.025, 0.1, 1},
        {1, 0.025, 0.025, 0.2, 2},
        {2, 0.025, 0.025, 0.2, 0.5},
        {3 * 21, 0.075, 0.075, 0.1, 1},
        {1200, 0.05, 0.05, 0.35, 1},
        {1203, 0.05, 0.05, 0.35, 3},
        {1205, 0.05, 0.05, 0.41833001, 1}, /* sqrt(0.35 * 0.5) */
        {N - 5, 0.5, 0.5, 0.95, 2},
        {N - 1, 0.5, 0.5, 0.97467943, 1}, /* sqrt(0.95 * 1) */
    };
    for (size_t k = 0; k < OC_COUNT(some); k++) {
        rig r;
        rig_init(&r, "detect", "ssd", 320, 320);
        memset(scores, 0, sizeof scores);
        scores[some[k].i] = 1;
        add_head(&r, scores, 1, N, 1, -1);
        add_head(&r, codes[0], 1, N, 4, -1);
        decode(&r);
        assert_int_equal(r.out.n, 1);
        double w = 320 * some[k].scale * sqrt(some[k].ratio);
        double h = 320 * some[k].scale / sqrt(some[k].ratio);
        double cx = 320 * some[k].cx, cy = 320 * some[k].cy;
        assert_box(&r, 0, 0, 1, cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2);
        r.heads.head[0].dims[1] = r.heads.head[1].dims[1] = N - 1;
        assert_int_equal(oc__decode_ssd(&r.heads, &r.out, &r.err), OC_E_SHAPE);
        rig_deinit(&r);
    }
}

/* A card may ask for more anchors than anybody could count. */
static void ssd_refuses_more_anchors_than_outputs(void **state) {
    (void)state;
    rig r;
    static float scores[3], codes[3][4];
    rig_init(&r, "detect", "ssd", 65536, 65536);
    set(&r, "decode.strides", "1,1,1,1,1,1");
    add_head(&r, scores, 1, 3, 1, -1);
    add_head(&r, codes[0], 1, 3, 4, -1);
    assert_int_equal(oc__decode_ssd(&r.heads, &r.out, &r.err), OC_E_SHAPE);
    assert_non_null(strstr(r.err.message, "anchors"));
    rig_deinit(&r);
}

static void ultraface_reads_corners(void **state) {
    (void)state;
    rig r;
    static const float scores[2][2] = {{0.9f, 0.1f}, {0.2f, 0.8f}};
    static const float boxes[2][4] = {{0}, {0.25f, 0.5f, 0.5f, 1}};
    rig_init(&r, "detect", "ultraface", 320, 240);
    set(&r, "decode.background", "0");
    add_head(&r, scores[0], 1, 2, 2, -1);
    add_head(&r, boxes[0], 1, 2, 4, -1);
    decode(&r);
    assert_int_equal(r.out.n, 1);
    assert_box(&r, 0, 0, 0.8, 80, 120, 160, 240);
    rig_deinit(&r);
}

/* TensorFlow's: y1 x1 y2 x2, classes from 1, a count. */
static void tf_nms_reads_its_four_outputs(void **state) {
    (void)state;
    rig r;
    static const float boxes[3][4] = {{0.1f, 0.2f, 0.3f, 0.4f}, {0}, {0}};
    static const float classes[3] = {3, 1, 2}, scores[3] = {0.9f, 0.2f, 0.8f};
    static const float count = 2;
    rig_init(&r, "detect", "tf_nms", 100, 200);
    set(&r, "decode.background", "0");
    add_head(&r, boxes[0], 1, 3, 4, -1);
    add_head(&r, classes, 1, 3, -1, -1);
    add_head(&r, scores, 1, 3, -1, -1);
    add_head(&r, &count, 1, -1, -1, -1);
    decode(&r);
    assert_int_equal(r.out.n, 1); /* the third is beyond the count */
    assert_box(&r, 0, 2, 0.9, 20, 20, 40, 60);
    rig_deinit(&r);
    rig_init(&r, "detect", "tf_nms", 100, 200); /* Lite's: from 0 */
    add_head(&r, boxes[0], 1, 3, 4, -1);
    add_head(&r, classes, 1, 3, -1, -1);
    add_head(&r, scores, 1, 3, -1, -1);
    decode(&r);
    assert_int_equal(r.out.n, 2);
    assert_box(&r, 0, 3, 0.9, 20, 20, 40, 60);
    rig_deinit(&r);
}

/* torchvision's: boxes in pixels, labels from 1, points as x y 1. */
static void torchvision_reads_boxes_and_points(void **state) {
    (void)state;
    rig r;
    static const float boxes[2][4] = {{1, 2, 3, 4}, {5, 6, 7, 8}};
    static const float labels[2] = {1, 0}, scores[2] = {0.9f, 0.9f};
    static const float points[2][2][3] = {{{1, 2, 1}, {3, 4, 0}}};
    rig_init(&r, "detect", "torchvision", 32, 32);
    set(&r, "decode.background", "0");
    set(&r, "decode.keypoints", "2");
    add_head(&r, boxes[0], 2, 4, -1, -1);
    add_head(&r, labels, 2, -1, -1, -1);
    add_head(&r, scores, 2, -1, -1, -1);
    add_head(&r, points[0][0], 2, 2, 3, -1);
    decode(&r);
    assert_int_equal(r.out.n, 1); /* label 0 is the background */
    assert_box(&r, 0, 0, 0.9, 1, 2, 3, 4);
    assert_point(&r, 0, 1, 3, 4, 1);
    rig_deinit(&r);
}

/* DETR, arXiv:2005.12872: softmax, the last class is "no object". */
static void detr_takes_the_best_class_of_a_softmax(void **state) {
    (void)state;
    rig r;
    static const float logits[3][4] = {
        {0, 3, 1, 0}, {0, 0, 0, 9}, {8, 2, 1, 0}};
    static const float boxes[3][4] = {{0.5f, 0.25f, 0.5f, 0.25f}};
    double sum = 1 + exp(3) + exp(1) + 1;
    rig_init(&r, "detect", "detr", 100, 200);
    set(&r, "decode.activation", "softmax");
    add_head(&r, logits[0], 1, 3, 4, -1);
    add_head(&r, boxes[0], 1, 3, 4, -1);
    decode(&r);
    assert_int_equal(r.out.n, 2);
    assert_box(&r, 0, 1, exp(3) / sum, 25, 25, 75, 75);
    assert_int_equal(r.out.v[1].index, 0);
    assert_int_equal(oc__count_classes(&r.heads), 3);
    /* COCO's category 0 is none: the labels begin with 1. */
    set(&r, "decode.background", "0");
    r.out.n = 0;
    decode(&r);
    assert_int_equal(r.out.n, 1);
    assert_box(&r, 0, 0, exp(3) / sum, 25, 25, 75, 75);
    assert_int_equal(oc__count_classes(&r.heads), 2);
    rig_deinit(&r);
}

/* RT-DETR, arXiv:2304.08069: a sigmoid for each class. */
static void rt_detr_takes_every_class_of_a_sigmoid(void **state) {
    (void)state;
    rig r;
    static const float logits[2][2] = {{1, 2}, {-5, -5}};
    static const float boxes[2][4] = {{0.5f, 0.5f, 1, 1}};
    rig_init(&r, "detect", "detr", 10, 20);
    set(&r, "decode.activation", "sigmoid");
    add_head(&r, logits[0], 1, 2, 2, -1);
    add_head(&r, boxes[0], 1, 2, 4, -1);
    decode(&r);
    assert_int_equal(r.out.n, 2);
    assert_box(&r, 0, 0, sigmoid(1), 0, 0, 10, 20);
    assert_box(&r, 1, 1, sigmoid(2), 0, 0, 10, 20);
    rig_deinit(&r);
}

/* ---- points ---------------------------------------------------------------
 */

/* Simple Baselines, arXiv:1804.06208: a quarter cell to the larger side. */
static void heatmap_finds_peaks_to_a_quarter_cell(void **state) {
    (void)state;
    rig r;
    static float y[3][4][4];
    memset(y, 0, sizeof y);
    y[0][1][2] = 0.9f;
    y[0][1][1] = 0.5f; /* to the left, */
    y[0][2][2] = 0.4f; /* and down */
    y[1][0][3] = 0.6f; /* in a corner: nowhere to go */
    y[2][3][3] = 0.1f; /* hardly seen: not in the box */
    rig_init(&r, "detect", "heatmap", 16, 32);
    add_head(&r, y[0][0], 1, 3, 4, 4);
    decode(&r);
    assert_int_equal(r.out.n, 1);
    assert_point(&r, 0, 0, 4 * (2.5 - 0.25), 8 * (1.5 + 0.25), 0.9);
    assert_point(&r, 0, 1, 4 * 3.5, 8 * 0.5, 0.6);
    assert_box(&r, 0, 0, 1.6 / 3, 9, 4, 14, 14);
    rig_deinit(&r);
}

static void movenet_reads_one_person_or_several(void **state) {
    (void)state;
    rig r;
    static const float one[2][3] = {{0.25f, 0.5f, 0.8f}, {0.75f, 1, 0.6f}};
    static const float two[2][11] = {
        {0, 0, 0.1f, 0, 0, 0.1f},
        {0.25f, 0.5f, 0.8f, 0.75f, 1, 0.6f, 0, 0, 1, 1, 0.9f}};
    for (int several = 0; several < 2; several++) {
        rig_init(&r, "detect", "movenet", 100, 200);
        if (several)
            add_head(&r, two[0], 1, 2, 11, -1);
        else
            add_head(&r, one[0], 1, 1, 2, 3);
        decode(&r);
        assert_int_equal(r.out.n, 1);
        assert_box(&r, 0, 0, 0.7, 50, 50, 100, 150);
        assert_point(&r, 0, 0, 50, 50, 0.8);
        assert_point(&r, 0, 1, 100, 150, 0.6);
        rig_deinit(&r);
    }
}

/* ---- every detector -------------------------------------------------------
 */

typedef struct shaped {
    const char *kind;
    int n;
    int64_t dims[12][4]; /* ended by -1 */
} shaped;

/* Right shapes for an input of 16 x 8, stride 8, five keypoints at yunet. */
static const shaped every[] = {
    {"yolox", 1, {{1, 2, 7, -1}}},
    {"yolov5", 1, {{1, 9, 7, -1}}},
    {"yolov8", 1, {{1, 6, 9, -1}}},
    {"rows", 1, {{1, 9, 6, -1}}},
    {"nanodet", 2, {{1, 2, 2, -1}, {1, 2, 32, -1}}},
    {"ultraface", 2, {{1, 9, 2, -1}, {1, 9, 4, -1}}},
    {"yunet", 4, {{1, 2, 1, -1}, {1, 2, 1, -1}, {1, 2, 4, -1}, {1, 2, 10, -1}}},
    {"detr", 2, {{1, 9, 3, -1}, {1, 9, 4, -1}}},
    {"torchvision", 3, {{9, 4, -1}, {9, -1}, {9, -1}}},
    {"tf_nms", 3, {{1, 9, 4, -1}, {1, 9, -1}, {1, 9, -1}}},
    {"centernet", 3, {{1, 2, 3, 4}, {1, 2, 3, 4}, {1, 2, 3, 4}}},
    {"heatmap", 1, {{1, 2, 3, 4}}},
    {"movenet", 1, {{1, 1, 5, 3}}},
};

static void shape_init(rig *r, const shaped *s, const float *v) {
    rig_init(r, "detect", s->kind, 16, 8);
    set(r, "decode.strides", "8");
    for (int i = 0; i < s->n; i++) {
        const int64_t *d = s->dims[i];
        add_head(r, v, d[0], d[1], d[1] < 0 ? -1 : d[2],
                 d[1] < 0 || d[2] < 0 ? -1 : d[3]);
    }
}

static void decoders_find_nothing_in_nothing(void **state) {
    (void)state;
    static const float values[] = {NAN, 0, -1e30f, -INFINITY};
    for (size_t k = 0; k < OC_COUNT(every); k++) {
        for (size_t j = 0; j < OC_COUNT(values); j++) {
            rig r;
            float v[256];
            for (int i = 0; i < 256; i++) {
                v[i] = values[j];
            }
            shape_init(&r, &every[k], v);
            decode(&r);
            if (r.out.n)
                fail_msg("%s finds %zu in %g", every[k].kind, r.out.n,
                         (double)values[j]);
            rig_deinit(&r);
        }
    }
}

static void decoders_name_the_output_that_does_not_fit(void **state) {
    (void)state;
    static const float v[256];
    int refused = 0;
    for (size_t k = 0; k < OC_COUNT(every); k++) {
        for (int i = 0; i < every[k].n; i++) {
            rig r;
            char want[64];
            shape_init(&r, &every[k], v);
            r.heads.head[i].name = "this one";
            r.heads.head[i].rank = 0;
            oc_status st = r.v.decoder->run(&r.heads, &r.out, &r.err);
            snprintf(want, sizeof want, "\"%s\" cannot read", every[k].kind);
            if (st != OC_E_SHAPE || !strstr(r.err.message, want) ||
                !strstr(r.err.message, "output \"this one\" has the shape []"))
                fail_msg("%s: %d: %s", every[k].kind, st, r.err.message);
            refused++;
            /* An output that is not there. */
            r.heads.n = i;
            if (i) {
                st = r.v.decoder->run(&r.heads, &r.out, &r.err);
                /* One output is how NanoDet-Plus comes. */
                assert_int_equal(st, OC_E_SHAPE);
            }
            rig_deinit(&r);
        }
    }
    assert_int_equal(refused, 25);
}

static void decoders_survive_each_failing_allocation(void **state) {
    (void)state;
    float v[256];
    for (int i = 0; i < 256; i++) {
        v[i] = 0.9f;
    }
    for (size_t k = 0; k < OC_COUNT(every); k++) {
        for (int64_t n = 0;; n++) {
            rig r;
            test_allocator ta;
            oc_result result;
            const oc_transform where = {1, 1, 0, 0, 16, 8};
            test_allocator_init(&ta, n);
            shape_init(&r, &every[k], v);
            r.v.allocator = ta.base;
            oc_status st = oc__result_init(&result, &r.v, &r.err);
            if (!st)
                st = oc__detect(&r.v, &r.heads, &where, 0, &result, &r.err);
            oc_result_deinit(&result);
            rig_deinit(&r);
            test_allocator_check(&ta);
            if (!ta.failed) {
                assert_int_equal(st, OC_OK);
                assert_true(n > 1);
                break;
            }
            assert_int_equal(st, OC_E_NOMEM);
        }
    }
}

/* ---- NMS ------------------------------------------------------------------
 */

static double area_of(const float *b) {
    double w = (double)b[2] - (double)b[0], h = (double)b[3] - (double)b[1];
    return w > 0 && h > 0 ? w * h : 0;
}

static double iou_of(const float *a, const float *b) {
    double w =
        fmin((double)a[2], (double)b[2]) - fmax((double)a[0], (double)b[0]);
    double h =
        fmin((double)a[3], (double)b[3]) - fmax((double)a[1], (double)b[1]);
    if (w <= 0 || h <= 0) return 0;
    return w * h / (area_of(a) + area_of(b) - w * h);
}

/* Rounds: take the best that is left, strike out or lower what overlaps. */
static size_t plain_nms(oc__candidate *v, size_t n, oc__nms_mode mode,
                        double iou, double sigma, double threshold, size_t most,
                        oc__candidate *out) {
    size_t kept = 0;
    double score[512];
    for (size_t i = 0; i < n; i++) {
        score[i] = (double)v[i].score;
    }
    while (kept < most) {
        size_t best = n;
        for (size_t i = 0; i < n; i++) {
            if (score[i] < 0) continue;
            if (best == n || score[i] > score[best]) best = i;
        }
        if (best == n) break;
        out[kept] = v[best];
        out[kept++].score = (float)score[best];
        score[best] = -1;
        for (size_t i = 0; i < n; i++) {
            double o = iou_of(v[best].box, v[i].box);
            int same = mode == OC_NMS_AGNOSTIC || v[i].index == v[best].index;
            if (score[i] < 0 || mode == OC_NMS_NONE || !same) continue;
            if (mode == OC_NMS_SOFT) score[i] *= exp(-o * o / sigma);
            if (mode == OC_NMS_SOFT ? score[i] < threshold : o > iou)
                score[i] = -1;
        }
    }
    return kept;
}

static void fill_boxes(oc__candidates *c, size_t n, oc__rng *rng, int ties) {
    c->n = 0;
    for (size_t i = 0; i < n; i++) {
        float v[6];
        oc__rng_fill(rng, v, 6, 0, 1);
        for (int k = 0; k < 4; k++) {
            v[k] = floorf(v[k] * 40);
        }
        /* Half pixels; some boxes have no area. */
        const float box[4] = {v[0], v[1], v[0] + v[2] / 2, v[1] + v[3] / 2};
        float score = ties ? floorf(v[4] * 8) / 8 : v[4];
        assert_int_equal(
            oc__candidates_add(c, box, score, (int)(v[5] * 3), NULL), OC_OK);
        c->v[i].points = (int)i; /* to tell them apart */
    }
}

static void nms_is_that_of_the_plain_loop(void **state) {
    (void)state;
    oc__rng rng;
    oc__rng_init(&rng, 7);
    oc__candidates c = {.allocator = &oc__default_allocator};
    static oc__candidate in[512], want[512];
    for (int round = 0; round < 400; round++) {
        oc__nms_mode mode = (oc__nms_mode)(round % 4);
        size_t n = (size_t)(round * 7 % 200), most = round % 3 ? 100 : 5;
        /* Soft scores depend on the order of equals, so there are none. */
        fill_boxes(&c, n, &rng, mode != OC_NMS_SOFT);
        if (n) memcpy(in, c.v, n * sizeof *in);
        size_t kept = plain_nms(in, n, mode, 0.4503, 0.5, 0.1, most, want);
        if (mode == OC_NMS_SOFT) { /* the last rounds go below it, too */
            size_t k = 0;
            for (size_t i = 0; i < kept; i++) {
                if (want[i].score >= 0.1f) want[k++] = want[i];
            }
            kept = k;
        }
        assert_int_equal(oc__nms(&c, mode, 0.4503f, 0.5f, 0.1f, most, NULL),
                         OC_OK);
        assert_int_equal(c.n, kept);
        for (size_t i = 0; i < kept; i++) {
            assert_int_equal(c.v[i].points, want[i].points);
            assert_near((double)c.v[i].score, (double)want[i].score);
        }
    }
    oc__candidates_deinit(&c);
}

/* By hand: overlaps of 1/3, and the same box again. */
static void nms_keeps_what_overlaps_little(void **state) {
    (void)state;
    static const struct {
        oc__nms_mode mode;
        float iou;
        size_t kept;
    } cases[] = {
        {OC_NMS_CLASS, 0.34f, 3},    {OC_NMS_CLASS, 0.33f, 2},
        {OC_NMS_AGNOSTIC, 0.34f, 2}, {OC_NMS_AGNOSTIC, 0.33f, 1},
        {OC_NMS_AGNOSTIC, 1, 4},     {OC_NMS_NONE, 0, 4},
        {OC_NMS_CLASS, 0, 2},
    };
    static const float a[4] = {0, 0, 10, 10}, b[4] = {5, 0, 15, 10};
    for (size_t i = 0; i < OC_COUNT(cases); i++) {
        oc__candidates c = {.allocator = &oc__default_allocator};
        oc__candidates_add(&c, b, 0.5f, 0, NULL);
        oc__candidates_add(&c, a, 0.9f, 0, NULL);
        oc__candidates_add(&c, a, 0.8f, 1, NULL);
        oc__candidates_add(&c, a, 0.7f, 0, NULL);
        assert_int_equal(
            oc__nms(&c, cases[i].mode, cases[i].iou, 0.5f, 0.1f, 100, NULL),
            OC_OK);
        if (c.n != cases[i].kept)
            fail_msg("case %zu keeps %zu, not %zu", i, c.n, cases[i].kept);
        assert_true(c.v[0].score == 0.9f);
        oc__candidates_deinit(&c);
    }
}

/* Bodla et al., arXiv:1704.04503: s * exp(-iou^2 / sigma). */
static void soft_nms_lowers_scores(void **state) {
    (void)state;
    static const float a[4] = {0, 0, 10, 10}, b[4] = {5, 0, 15, 10};
    oc__candidates c = {.allocator = &oc__default_allocator};
    oc__candidates_add(&c, a, 0.9f, 0, NULL);
    oc__candidates_add(&c, b, 0.8f, 0, NULL);
    oc__candidates_add(&c, a, 0.7f, 0, NULL); /* 0.7 * exp(-2): below 0.1 */
    oc__candidates_add(&c, a, 0.6f, 1, NULL); /* of another class: as it is */
    assert_int_equal(oc__nms(&c, OC_NMS_SOFT, 0, 0.5f, 0.1f, 100, NULL), OC_OK);
    assert_int_equal(c.n, 3);
    assert_near((double)c.v[1].score, 0.8 * exp(-1 / 9. / 0.5));
    assert_near((double)c.v[2].score, 0.6);
    assert_int_equal(c.v[2].index, 1);
    oc__candidates_deinit(&c);
}

static void nms_keeps_the_first_of_equals(void **state) {
    (void)state;
    oc__candidates c = {.allocator = &oc__default_allocator};
    for (int i = 0; i < 50; i++) {
        const float box[4] = {(float)(i / 2 * 20), 0, (float)(i / 2 * 20 + 9),
                              9};
        oc__candidates_add(&c, box, 0.5f, 0, NULL);
        c.v[i].points = i;
    }
    assert_int_equal(oc__nms(&c, OC_NMS_CLASS, 0.5f, 0.5f, 0.1f, 10, NULL),
                     OC_OK);
    assert_int_equal(c.n, 10);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(c.v[i].points, 2 * i);
    }
    oc__candidates_deinit(&c);
}

static void candidates_that_are_not_finite_are_dropped(void **state) {
    (void)state;
    static const float odd[] = {NAN, INFINITY, -INFINITY};
    oc__candidates c = {.allocator = &oc__default_allocator};
    for (int k = 0; k < 5; k++) {
        for (size_t i = 0; i < OC_COUNT(odd); i++) {
            float v[5] = {1, 2, 3, 4, 0.5f};
            v[k] = odd[i];
            assert_int_equal(oc__candidates_add(&c, v, v[4], 0, NULL), OC_OK);
        }
    }
    assert_int_equal(c.n, 0);
    assert_int_equal(oc__nms(&c, OC_NMS_CLASS, 0.5f, 1, 0, 9, NULL), OC_OK);
    oc__candidates_deinit(&c);
}

/* ---- objects --------------------------------------------------------------
 */

static void objects_are_clipped_limited_and_sorted(void **state) {
    (void)state;
    rig r;
    oc_result result;
    /* Padding of 4 to the left, twice as large as the original of 20 x 10. */
    const oc_transform where = {2, 2, 4, 0, 20, 10};
    static float y[101][6];
    for (int i = 0; i < 101; i++) {
        const float row[6] = {8, 4, 12, 8, 0.4f + (float)i / 1000, 1};
        memcpy(y[i], row, sizeof row);
    }
    const float padding[6] = {0, 0, 4, 20, 0.99f, 0};
    const float all[6] = {-100, -100, 1e30f, 1e30f, 0.98f, 0};
    memcpy(y[50], padding, sizeof padding);
    memcpy(y[51], all, sizeof all);
    rig_init(&r, "detect", "rows", 48, 20);
    r.v.top = 3;
    add_head(&r, y[0], 1, 101, 6, -1);
    assert_int_equal(oc__result_init(&result, &r.v, NULL), OC_OK);
    assert_int_equal(oc__detect(&r.v, &r.heads, &where, 0, &result, &r.err),
                     OC_OK);
    /* Three were wanted; one lay in the padding alone. */
    assert_int_equal(result.object_count, 2);
    const float whole[4] = {0, 0, 20, 10}, box[4] = {2, 2, 4, 4};
    assert_memory_equal(result.objects[0].box, whole, sizeof whole);
    assert_memory_equal(result.objects[1].box, box, sizeof box);
    assert_true(result.objects[1].score == y[100][4]);
    assert_string_equal(result.objects[1].label, "");
    oc_result_deinit(&result);
    rig_deinit(&r);
}

/* A point that is not finite is no point; the object stays. */
static void points_that_are_nowhere_score_nothing(void **state) {
    (void)state;
    rig r;
    oc_result result;
    const oc_transform where = {1, 1, 0, 0, 32, 32};
    static float y[12][14];
    memset(y, 0, sizeof y);
    static const float column[11] = {10, 10,       4, 4, 0.5f, NAN,
                                     2,  INFINITY, 3, 4, 0.5f};
    for (int i = 0; i < 11; i++) {
        y[i][3] = column[i];
    }
    rig_init(&r, "detect", "yolov8", 32, 32);
    set(&r, "decode.keypoints", "2");
    add_head(&r, y[0], 1, 11, 14, -1);
    assert_int_equal(oc__result_init(&result, &r.v, NULL), OC_OK);
    assert_int_equal(oc__detect(&r.v, &r.heads, &where, 0, &result, &r.err),
                     OC_OK);
    assert_int_equal(result.object_count, 1);
    const oc_keypoint *p = result.objects[0].keypoints;
    assert_true(p[0].x == 0 && p[0].y == 0 && p[0].score == 0);
    assert_true(p[1].x == 3 && p[1].y == 4 && p[1].score == 0.5f);
    oc_result_deinit(&result);
    rig_deinit(&r);
}

static void objects_need_as_many_labels_as_classes(void **state) {
    (void)state;
    rig r;
    oc_result result;
    static const float y[3][7];
    const oc_transform where = {1, 1, 0, 0, 32, 32};
    const char *const labels[] = {"a", "b", "c"};
    rig_init(&r, "detect", "yolov5", 32, 32);
    assert_int_equal(oc_card_set_labels(r.card, labels, 3, NULL), OC_OK);
    add_head(&r, y[0], 1, 3, 7, -1);
    assert_int_equal(oc__result_init(&result, &r.v, NULL), OC_OK);
    assert_int_equal(oc__detect(&r.v, &r.heads, &where, 0, &result, &r.err),
                     OC_E_SHAPE);
    assert_non_null(strstr(r.err.message, "3 labels"));
    assert_non_null(strstr(r.err.message, "2 classes"));
    oc_result_deinit(&result);
    rig_deinit(&r);
}

/* ---- classes --------------------------------------------------------------
 */

static void classify(rig *r, const char *kind, const float *v, int64_t n,
                     oc_result *out) {
    rig_init(r, "classify", kind, 8, 8);
    r->v.threshold = 0;
    add_head(r, v, 1, n, 1, 1);
    assert_int_equal(oc__result_init(out, &r->v, NULL), OC_OK);
    assert_int_equal(oc__classify(&r->v, &r->heads, out, &r->err), OC_OK);
}

static void classes_come_best_first(void **state) {
    (void)state;
    rig r;
    oc_result out;
    static const float v[6] = {-1, 2, 0.5f, 2, NAN, 1};
    static const float finite[4] = {1000, 999, 998, -INFINITY};
    /* Equals keep their order; what is no number is no class. */
    classify(&r, "softmax", v, 6, &out);
    static const int order[4] = {1, 3, 5, 2}; /* -1 is below the threshold */
    assert_int_equal(out.label_count, 4);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(out.labels[i].index, order[i]);
        assert_true(out.labels[i].score == v[order[i]]);
    }
    oc_result_deinit(&out);
    rig_deinit(&r);

    classify(&r, "logits", finite, 4, &out);
    double sum = 1 + exp(-1) + exp(-2);
    assert_int_equal(out.label_count, 4);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(out.labels[i].index, i);
        assert_near((double)out.labels[i].score, i < 3 ? exp(-i) / sum : 0);
    }
    oc_result_deinit(&out);
    rig_deinit(&r);

    classify(&r, "sigmoid", v, 4, &out);
    assert_int_equal(out.label_count, 4);
    assert_near((double)out.labels[0].score, sigmoid(2));
    assert_near((double)out.labels[3].score, sigmoid(-1));
    oc_result_deinit(&out);
    rig_deinit(&r);

    /* One NaN spoils a softmax: nothing can be said. */
    classify(&r, "logits", v, 6, &out);
    assert_int_equal(out.label_count, 0);
    oc_result_deinit(&out);
    rig_deinit(&r);
}

/* Sums of the leaves: "animal" is likely although no animal is the likeliest;
   the way down is chosen level by level. */
static void classes_above_have_the_sum_of_theirs(void **state) {
    (void)state;
    static const char *const labels[] = {
        "car", "animal/cat/tabby", "animal/dog", "animal/cat/siamese", "truck"};
    static const float v[5] = {0.35f, 0.2f, 0.25f, 0.15f, 0.05f};
    static const float wide[5] = {0.9f, 0.02f, 0.03f, 0.04f, 0.01f};
    int64_t order[10];
    rig r;
    oc_result out;
    for (int kind = 0; kind < 2; kind++) {
        rig_init(&r, "classify", "softmax", 8, 8);
        r.v.threshold = 0;
        assert_int_equal(oc_card_set_labels(r.card, labels, 5, NULL), OC_OK);
        r.v.tree = order;
        r.v.levels = oc__label_order(labels, 5, order);
        assert_int_equal(r.v.levels, 2);
        add_head(&r, kind ? wide : v, 1, 5, 1, 1);
        assert_int_equal(oc__result_init(&out, &r.v, NULL), OC_OK);
        assert_int_equal(oc__classify(&r.v, &r.heads, &out, &r.err), OC_OK);
        assert_string_equal(out.labels[0].label, "car");
        if (kind) {
            assert_int_equal(out.group_count, 0); /* "car" is a label */
        } else {
            assert_int_equal(out.group_count, 2);
            assert_string_equal(out.groups[0].label, "animal");
            assert_near((double)out.groups[0].score, 0.6);
            assert_string_equal(out.groups[1].label, "animal/cat");
            assert_near((double)out.groups[1].score, 0.35);
        }
        oc_result_deinit(&out);
        rig_deinit(&r);
    }
}

static void classes_stop_at_the_limit_and_threshold(void **state) {
    (void)state;
    rig r;
    oc_result out;
    static const float v[6] = {0.1f, 0.2f, 0.3f, 0.4f, 0.5f, 0.6f};
    rig_init(&r, "classify", "softmax", 8, 8);
    r.v.threshold = 0.35f;
    add_head(&r, v, 1, 6, -1, -1);
    for (int top = 1; top < 6; top++) {
        r.v.top = (size_t)top;
        assert_int_equal(oc__result_init(&out, &r.v, NULL), OC_OK);
        assert_int_equal(oc__classify(&r.v, &r.heads, &out, &r.err), OC_OK);
        assert_int_equal(out.label_count, OC_MIN(top, 3));
        oc_result_deinit(&out);
    }
    r.heads.head[0].dims[1] = 0;
    assert_int_equal(oc__result_init(&out, &r.v, NULL), OC_OK);
    assert_int_equal(oc__classify(&r.v, &r.heads, &out, &r.err), OC_E_SHAPE);
    oc_result_deinit(&out);
    rig_deinit(&r);
}

/* ---- masks ----------------------------------------------------------------
 */

static void segment(rig *r, oc_result *out, oc_status want) {
    /* Twice as large as the map, three times as high. */
    const oc_transform where = {1, 1, 0, 0, 4, 6};
    assert_int_equal(oc__result_init(out, &r->v, NULL), OC_OK);
    oc_status st = oc__segment(&r->v, &r->heads, &where, out, &r->err);
    if (st != want) fail_msg("%d: %s", st, r->err.message);
}

static void argmax_takes_the_nearest_number(void **state) {
    (void)state;
    rig r;
    oc_result out;
    static const float v[2][2] = {{0, 7}, {NAN, 300}};
    for (int rank = 2; rank <= 3; rank++) {
        rig_init(&r, "segment", "argmax", 4, 6);
        add_head(&r, v[0], rank == 2 ? 2 : 1, 2, rank == 2 ? -1 : 2, -1);
        segment(&r, &out, OC_OK);
        for (int i = 0; i < 24; i++) {
            int x = i % 4 / 2, y = i / 4 / 3;
            int want = y ? 255 : 7 * x; /* 255: no class at all */
            assert_int_equal(out.mask.pixels[(size_t)(i / 4) * out.mask.stride +
                                             (size_t)(i % 4)],
                             want);
        }
        assert_int_equal(out.class_count, 3);
        assert_int_equal(out.classes[0].index, 255);
        assert_true(out.classes[0].fraction == 0.5);
        assert_true(out.classes[2].fraction == 0.25);
        oc_result_deinit(&out);
        rig_deinit(&r);
    }
}

/*
 * Between the centres of two cells scores are interpolated: pixel centres
 * 0.5 .. 3.5 of four lie at -0.25, 0.25, 0.75, 1.25 in a map of two.
 */
static void logits_are_interpolated_before_they_are_compared(void **state) {
    (void)state;
    rig r;
    oc_result out;
    /* Class 1 is at 0, then 1; class 0 at 0.8 throughout: from 0.8 on. */
    static const float planes[3][2][2] = {
        {{0.8f, 0.8f}, {0.8f, 0.8f}}, {{0, 1}, {0, 1}}, {{0, 0}, {0, 0}}};
    float pixels[2][2][3];
    for (int i = 0; i < 12; i++) {
        pixels[i / 6][i / 3 % 2][i % 3] = planes[i % 3][i / 6][i / 3 % 2];
    }
    const char *const labels[] = {"a", "b", "c"};
    for (int nhwc = 0; nhwc < 2; nhwc++) {
        rig_init(&r, "segment", "logits", 4, 6);
        assert_int_equal(oc_card_set_labels(r.card, labels, 3, NULL), OC_OK);
        if (nhwc)
            add_head(&r, pixels[0][0], 1, 2, 2, 3);
        else
            add_head(&r, planes[0][0], 1, 3, 2, 2);
        segment(&r, &out, OC_OK);
        for (int y = 0; y < 6; y++) {
            const uint8_t *row = out.mask.pixels + (size_t)y * out.mask.stride;
            const uint8_t want[4] = {0, 0, 0, 1};
            assert_memory_equal(row, want, 4);
        }
        assert_int_equal(out.class_count, 2);
        assert_string_equal(out.classes[0].label, "a");
        assert_true(out.classes[0].fraction == 0.75);
        oc_result_deinit(&out);
        rig_deinit(&r);
    }
}

static void mask_is_cut_at_the_threshold(void **state) {
    (void)state;
    static const float v[2][2] = {{0, 1}, {0, 1}};
    static const float logit[2][2] = {{-4, 4}, {-4, 4}};
    static const struct {
        float threshold;
        uint8_t want[4];
    } cases[] = {
        {0.2f, {0, 1, 1, 1}}, {0.5f, {0, 0, 1, 1}}, {0.9f, {0, 0, 0, 1}}};
    for (size_t i = 0; i < OC_COUNT(cases); i++) {
        rig r;
        oc_result out;
        rig_init(&r, "segment", "mask", 4, 6);
        r.v.threshold = cases[i].threshold;
        add_head(&r, v[0], 1, 2, 2, 1);
        segment(&r, &out, OC_OK);
        assert_memory_equal(out.mask.pixels, cases[i].want, 4);
        oc_result_deinit(&out);
        rig_deinit(&r);
        /* With a sigmoid to come: -4, -2, 2, 4 by pixel. */
        rig_init(&r, "segment", "mask", 4, 6);
        set(&r, "decode.activation", "sigmoid");
        r.v.threshold = cases[i].threshold;
        add_head(&r, logit[0], 1, 1, 2, 2);
        segment(&r, &out, OC_OK);
        for (int x = 0; x < 4; x++) {
            static const double at[4] = {-4, -2, 2, 4};
            assert_int_equal(out.mask.pixels[x],
                             sigmoid(at[x]) >= (double)cases[i].threshold);
        }
        oc_result_deinit(&out);
        rig_deinit(&r);
    }
}

static void maps_that_do_not_fit_are_refused(void **state) {
    (void)state;
    static const float v[600];
    static const struct {
        const char *kind;
        int64_t dims[4];
        oc_status status;
    } bad[] = {
        {"argmax", {0, 4, -1, -1}, OC_E_SHAPE},
        {"mask", {4, 0, -1, -1}, OC_E_SHAPE},
        {"mask", {1, 0, 4, 4}, OC_E_SHAPE},
        {"mask", {1, 2, 4, 4}, OC_E_SHAPE},
        {"argmax", {4, -1, -1, -1}, OC_E_SHAPE},
        {"logits", {1, 0, 4, 4}, OC_E_SHAPE},
        {"logits", {0, 3, 4, 4}, OC_E_SHAPE},
        {"logits", {1, 257, 1, 1}, OC_E_UNSUPPORTED},
    };
    for (size_t i = 0; i < OC_COUNT(bad); i++) {
        rig r;
        oc_result out;
        const int64_t *d = bad[i].dims;
        rig_init(&r, "segment", bad[i].kind, 4, 4);
        add_head(&r, v, d[0], d[1], d[2], d[3]);
        segment(&r, &out, bad[i].status);
        assert_true(r.err.message[0] != 0);
        oc_result_deinit(&out);
        rig_deinit(&r);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(yolox_decodes_cells_of_each_stride),
        cmocka_unit_test(yolox_counts_cells_of_odd_sizes),
        cmocka_unit_test(yolov5_takes_boxes_as_they_are),
        cmocka_unit_test(yolov8_reads_columns_and_rows),
        cmocka_unit_test(yolov8_reads_keypoints_behind_the_classes),
        cmocka_unit_test(yolov8_reads_points_without_scores),
        cmocka_unit_test(yolov8_leaves_out_mask_coefficients),
        cmocka_unit_test(rows_are_taken_as_they_are),
        cmocka_unit_test(nanodet_reads_two_outputs_for_each_stride),
        cmocka_unit_test(nanodet_plus_reads_one_output),
        cmocka_unit_test(yunet_finds_a_face_and_its_points),
        cmocka_unit_test(centernet_reads_size_and_offset_at_peaks),
        cmocka_unit_test(ssd_decodes_codes_against_given_anchors),
        cmocka_unit_test(ssd_generates_the_anchors_of_tensorflow),
        cmocka_unit_test(ssd_refuses_more_anchors_than_outputs),
        cmocka_unit_test(ultraface_reads_corners),
        cmocka_unit_test(tf_nms_reads_its_four_outputs),
        cmocka_unit_test(torchvision_reads_boxes_and_points),
        cmocka_unit_test(detr_takes_the_best_class_of_a_softmax),
        cmocka_unit_test(rt_detr_takes_every_class_of_a_sigmoid),
        cmocka_unit_test(heatmap_finds_peaks_to_a_quarter_cell),
        cmocka_unit_test(movenet_reads_one_person_or_several),
        cmocka_unit_test(decoders_find_nothing_in_nothing),
        cmocka_unit_test(decoders_name_the_output_that_does_not_fit),
        cmocka_unit_test(decoders_survive_each_failing_allocation),
        cmocka_unit_test(nms_is_that_of_the_plain_loop),
        cmocka_unit_test(nms_keeps_what_overlaps_little),
        cmocka_unit_test(soft_nms_lowers_scores),
        cmocka_unit_test(nms_keeps_the_first_of_equals),
        cmocka_unit_test(candidates_that_are_not_finite_are_dropped),
        cmocka_unit_test(objects_are_clipped_limited_and_sorted),
        cmocka_unit_test(points_that_are_nowhere_score_nothing),
        cmocka_unit_test(objects_need_as_many_labels_as_classes),
        cmocka_unit_test(classes_come_best_first),
        cmocka_unit_test(classes_above_have_the_sum_of_theirs),
        cmocka_unit_test(classes_stop_at_the_limit_and_threshold),
        cmocka_unit_test(argmax_takes_the_nearest_number),
        cmocka_unit_test(logits_are_interpolated_before_they_are_compared),
        cmocka_unit_test(mask_is_cut_at_the_threshold),
        cmocka_unit_test(maps_that_do_not_fit_are_refused),
    };
    return cmocka_run_group_tests_name("tasks", tests, NULL, NULL);
}
