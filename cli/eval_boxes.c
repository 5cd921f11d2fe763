/* eval_boxes.c - COCO's twelve figures. */
#define _POSIX_C_SOURCE 200809L

#include "evaluate.h"

#include "out.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

typedef struct boxes_state {
    oc_coco *coco;
    double figures[OC_COCO_FIGURES];
    FILE *save; /* of --save */
    char *part; /* its temporary name; NULL: a device or a pipe */
    json j;
} boxes_state;

static const struct {
    const char *key, *text;
} names[OC_COCO_FIGURES] = {
    {"mAP", "AP  IoU .50:.95"},
    {"mAP50", "AP  IoU .50"},
    {"mAP75", "AP  IoU .75"},
    {"mAP_small", "AP  small objects"},
    {"mAP_medium", "AP  medium objects"},
    {"mAP_large", "AP  large objects"},
    {"AR1", "AR  1 box a picture"},
    {"AR10", "AR  10 boxes"},
    {"AR100", "AR  100 boxes"},
    {"AR_small", "AR  small objects"},
    {"AR_medium", "AR  medium objects"},
    {"AR_large", "AR  large objects"},
};

static int cannot_write(const char *path) {
    return cli_fail(CLI_FAILED, "cannot write %s: %s", path, strerror(errno));
}

/* A file is replaced when it is complete; a device or a pipe never is. */
static int open_save(boxes_state *s, const char *path) {
    struct stat st;
    if (stat(path, &st) || S_ISREG(st.st_mode)) {
        s->part = malloc(strlen(path) + 8);
        if (!s->part) return cli_fail(CLI_RESOURCES, "out of memory");
        sprintf(s->part, "%s.part", path);
    }
    s->save = fopen(s->part ? s->part : path, "w");
    if (!s->save) return cannot_write(path);
    json_begin(&s->j, s->save);
    json_array(&s->j, NULL);
    return CLI_OK;
}

static int begin(evaluation *e) {
    oc_error err;
    boxes_state *s = calloc(1, sizeof(*s));
    const char *path = cli_get(e->args, "save", NULL);
    e->state = s;
    if (!s) return cli_fail(CLI_RESOURCES, "out of memory");
    if (oc_coco_create(&s->coco, e->classes, NULL, &err))
        return cli_report(&err, NULL);
    return path ? open_save(s, path) : CLI_OK;
}

/* One line of COCO's results format. */
static void save_one(const evaluation *e, boxes_state *s,
                     const oc_sample *sample, int category, const double box[4],
                     double score) {
    if (!s->save) return;
    json_object(&s->j, NULL);
    json_int(&s->j, "image_id", sample->id);
    json_int(&s->j, "category_id", oc_dataset_class_id(e->data, category));
    json_row(&s->j, "bbox");
    for (int k = 0; k < 4; k++) {
        json_double(&s->j, NULL, box[k]);
    }
    json_end(&s->j);
    json_double(&s->j, "score", score);
    json_end(&s->j);
}

static int add(evaluation *e, const oc_sample *sample, const oc_result *r) {
    boxes_state *s = e->state;
    oc_error err;
    if (oc_coco_add_picture(s->coco, sample->truths, sample->truth_count, &err))
        return cli_report(&err, sample->picture);
    for (int i = 0; i < r->object_count; i++) {
        const oc_object *o = &r->objects[i];
        int c = o->index < e->labels ? e->class_of[o->index] : -1;
        if (c < 0) continue; /* a class the data set does not ask for */
        double box[4] = {o->box[0], o->box[1], (double)o->box[2] - o->box[0],
                         (double)o->box[3] - o->box[1]};
        if (oc_coco_add(s->coco, c, box, o->score, &err))
            return cli_report(&err, sample->picture);
        save_one(e, s, sample, c, box, o->score);
    }
    return CLI_OK;
}

static int finish(evaluation *e) {
    boxes_state *s = e->state;
    oc_error err;
    const char *path = cli_get(e->args, "save", NULL);
    if (s->save) {
        json_end(&s->j);
        int bad = ferror(s->save);
        bad |= fclose(s->save);
        s->save = NULL;
        if (bad || (s->part && rename(s->part, path))) {
            int code = cannot_write(path);
            if (s->part) remove(s->part);
            return code;
        }
    }
    if (oc_coco_figures(s->coco, s->figures, &err))
        return cli_report(&err, NULL);
    return CLI_OK;
}

static void print_json(const evaluation *e, json *j) {
    const boxes_state *s = e->state;
    for (int i = 0; i < OC_COCO_FIGURES; i++) {
        json_double(j, names[i].key, s->figures[i]);
    }
    json_array(j, "classes");
    for (int i = 0; i < e->classes; i++) {
        double ap = oc_coco_class_ap(s->coco, i);
        if (ap < 0) continue;
        json_object(j, NULL);
        json_string(j, "label", oc_dataset_class(e->data, i));
        json_double(j, "mAP", ap);
        json_end(j);
    }
    json_end(j);
}

static void print_text(const evaluation *e) {
    const boxes_state *s = e->state;
    out_table t;
    out_table_init(&t, "lr");
    for (int i = 0; i < OC_COCO_FIGURES; i++) {
        out_cell(&t, "%s", names[i].text);
        if (s->figures[i] < 0)
            out_cell(&t, "-");
        else
            out_cell(&t, "%.4f", s->figures[i]);
    }
    out_table_print(&t, stdout, 0);
    out_table_deinit(&t);
}

static double figure(const evaluation *e, const char **name) {
    const boxes_state *s = e->state;
    *name = "mAP";
    return s->figures[0] < 0 ? 0 : s->figures[0];
}

static void end(evaluation *e) {
    boxes_state *s = e->state;
    if (!s) return;
    oc_coco_destroy(s->coco);
    if (s->save) { /* something went wrong on the way */
        fclose(s->save);
        if (s->part) remove(s->part);
    }
    free(s->part);
    free(s);
}

const measure measure_boxes = {OC_TASK_DETECT, begin,      add,    finish,
                               print_json,     print_text, figure, end};
