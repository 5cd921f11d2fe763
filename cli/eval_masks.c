/* eval_masks.c - intersection over union and accuracy of pixels. */
#define _POSIX_C_SOURCE 200809L

#include "evaluate.h"

#include "out.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { CLASSES = 256 };

typedef struct masks_state {
    int n;
    unsigned char ignored[CLASSES]; /* truths that do not count */
    int64_t count[CLASSES][CLASSES];
    double mean_iou, accuracy;
} masks_state;

/* Pixels nobody has labelled. */
static int is_void(const char *name) {
    static const char *const names[] = {"unlabelled", "unlabeled", "void",
                                        "ignore", "ignored"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (!strcasecmp(name, names[i])) return 1;
    }
    return 0;
}

static int begin(evaluation *e) {
    masks_state *s = calloc(1, sizeof(*s));
    e->state = s;
    if (!s) return cli_fail(CLI_RESOURCES, "out of memory");
    s->n = e->classes ? e->classes : e->labels;
    if (s->n < 1 || s->n > CLASSES) s->n = CLASSES - 1;
    /* 255 is "ignore" everywhere; what is beyond the classes is no class. */
    for (int i = 0; i < CLASSES; i++) {
        const char *name = oc_dataset_class(e->data, i);
        s->ignored[i] = i >= s->n || i == 255 || (name && is_void(name));
    }
    return CLI_OK;
}

static int add(evaluation *e, const oc_sample *sample, const oc_result *r) {
    masks_state *s = e->state;
    oc_image truth;
    oc_image_options opt = {0};
    oc_error err;
    opt.color = OC_COLOR_INDEX;
    if (oc_image_load(&truth, sample->mask, &opt, &err))
        return cli_report(&err, sample->mask);
    for (int y = 0; y < truth.height; y++) {
        /* A truth of another size is met where its pixel's centre lies. */
        int ry = (int)(((int64_t)2 * y + 1) * r->mask.height /
                       (2 * (int64_t)truth.height));
        const uint8_t *got = r->mask.pixels + (size_t)ry * r->mask.stride;
        const uint8_t *want = truth.pixels + (size_t)y * truth.stride;
        for (int x = 0; x < truth.width; x++) {
            int rx = (int)(((int64_t)2 * x + 1) * r->mask.width /
                           (2 * (int64_t)truth.width));
            int index = got[rx];
            int answer = index < e->labels ? e->class_of[index] : index;
            if (answer < 0 || answer >= CLASSES) answer = CLASSES - 1;
            s->count[want[x]][answer]++;
        }
    }
    oc_image_deinit(&truth);
    return CLI_OK;
}

/* -1: the class is neither there nor found. */
static double iou(const masks_state *s, int c) {
    int64_t both = s->count[c][c], truth = 0, answer = 0;
    for (int i = 0; i < CLASSES; i++) {
        truth += s->count[c][i];
        if (!s->ignored[i]) answer += s->count[i][c];
    }
    int64_t any = truth + answer - both;
    return any ? (double)both / (double)any : -1;
}

static int finish(evaluation *e) {
    masks_state *s = e->state;
    int64_t right = 0, all = 0;
    double sum = 0;
    int n = 0;
    for (int c = 0; c < s->n; c++) {
        double v = s->ignored[c] ? -1 : iou(s, c);
        if (v >= 0) {
            sum += v;
            n++;
        }
        for (int i = 0; i < CLASSES && !s->ignored[c]; i++) {
            all += s->count[c][i];
        }
        if (!s->ignored[c]) right += s->count[c][c];
    }
    s->mean_iou = n ? sum / n : 0;
    s->accuracy = all ? (double)right / (double)all : 0;
    return CLI_OK;
}

static void print_json(const evaluation *e, json *j) {
    const masks_state *s = e->state;
    char room[16];
    json_double(j, "mIoU", s->mean_iou);
    json_double(j, "pixel_accuracy", s->accuracy);
    json_array(j, "classes");
    for (int c = 0; c < s->n; c++) {
        double v = s->ignored[c] ? -1 : iou(s, c);
        if (v < 0) continue;
        json_object(j, NULL);
        json_string(j, "label", evaluation_class(e, c, room, sizeof(room)));
        json_double(j, "IoU", v);
        json_end(j);
    }
    json_end(j);
}

static void print_text(const evaluation *e) {
    const masks_state *s = e->state;
    char room[16];
    out_table t;
    printf("mIoU            %.4f\npixel accuracy  %.4f\n", s->mean_iou,
           s->accuracy);
    if (cli_has(e->args, "quiet")) return;
    out_table_init(&t, "lr");
    for (int c = 0; c < s->n; c++) {
        double v = s->ignored[c] ? -1 : iou(s, c);
        if (v < 0) continue;
        out_cell(&t, "  %s", evaluation_class(e, c, room, sizeof(room)));
        out_cell(&t, "%.4f", v);
    }
    out_table_print(&t, stdout, 0);
    out_table_deinit(&t);
}

static double figure(const evaluation *e, const char **name) {
    const masks_state *s = e->state;
    *name = "mIoU";
    return s->mean_iou;
}

static void end(evaluation *e) {
    free(e->state);
}

const measure measure_masks = {OC_TASK_SEGMENT, begin,      add,    finish,
                               print_json,      print_text, figure, end};
