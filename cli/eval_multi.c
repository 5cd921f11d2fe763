/* eval_multi.c - several labels to a picture: mean average precision. */
#include "evaluate.h"

#include "out.h"

#include <stdlib.h>
#include <string.h>

enum { WORST = 10 };

typedef struct scored {
    float score;
    int truth;
} scored;

typedef struct class_figures {
    int64_t truths;
    double ap; /* -1: no picture has the label */
} class_figures;

typedef struct multi_state {
    int n, classes; /* pictures so far, labels */
    scored *cells;  /* [picture][class] */
    class_figures *of;
    double map, f1; /* F1 of all labels together, a yes from 0.5 on */
} multi_state;

static int begin(evaluation *e) {
    multi_state *s = calloc(1, sizeof(*s));
    e->state = s;
    if (!s) return cli_fail(CLI_RESOURCES, "out of memory");
    s->classes = e->classes;
    size_t n = (size_t)oc_dataset_count(e->data);
    size_t most = SIZE_MAX / sizeof(*s->cells) / (n + 1);
    if ((size_t)s->classes >= most)
        return cli_fail(CLI_RESOURCES, "%d labels of %zu pictures are too many",
                        s->classes, n);
    s->cells = calloc(n * (size_t)s->classes + 1, sizeof(*s->cells));
    s->of = calloc((size_t)s->classes + 1, sizeof(*s->of));
    return s->cells && s->of ? CLI_OK
                             : cli_fail(CLI_RESOURCES, "out of memory");
}

static int add(evaluation *e, const oc_sample *sample, const oc_result *r) {
    multi_state *s = e->state;
    scored *row = s->cells + (size_t)s->n * (size_t)s->classes;
    for (int i = 0; i < r->label_count; i++) {
        int index = r->labels[i].index;
        int c = index < e->labels ? e->class_of[index] : index;
        if (c >= 0 && c < s->classes) row[c].score = r->labels[i].score;
    }
    for (int i = 0; i < sample->label_count; i++) {
        row[sample->labels[i]].truth = 1;
    }
    s->n++;
    return CLI_OK;
}

static int by_score(const void *pa, const void *pb) {
    const scored *a = pa, *b = pb;
    return (a->score < b->score) - (a->score > b->score);
}

/*
 * The mean of the precision at every step of recall, equal scores being one
 * step, as scikit-learn's average_precision_score.
 */
static double average_precision(const scored *v, int n, int64_t truths) {
    int64_t right = 0, before = 0;
    double sum = 0;
    for (int i = 0; i < n; i++) {
        right += v[i].truth;
        if (i + 1 < n && v[i + 1].score == v[i].score) continue;
        sum += (double)(right - before) * (double)right / (i + 1);
        before = right;
    }
    return sum / (double)truths;
}

static int finish(evaluation *e) {
    multi_state *s = e->state;
    int64_t truths = 0, yes = 0, right = 0;
    int with = 0;
    scored *column = calloc((size_t)s->n + 1, sizeof(*column));
    if (!column) return cli_fail(CLI_RESOURCES, "out of memory");
    for (int c = 0; c < s->classes; c++) {
        class_figures *f = &s->of[c];
        for (int i = 0; i < s->n; i++) {
            column[i] = s->cells[(size_t)i * (size_t)s->classes + (size_t)c];
            int said = column[i].score >= 0.5f;
            f->truths += column[i].truth;
            yes += said;
            right += said && column[i].truth;
        }
        truths += f->truths;
        f->ap = -1;
        if (!f->truths) continue;
        qsort(column, (size_t)s->n, sizeof(*column), by_score);
        f->ap = average_precision(column, s->n, f->truths);
        s->map += f->ap;
        with++;
    }
    free(column);
    s->map = with ? s->map / with : 0;
    s->f1 = truths + yes ? 2 * (double)right / (double)(truths + yes) : 0;
    return CLI_OK;
}

static void print_json(const evaluation *e, json *j) {
    const multi_state *s = e->state;
    char room[16];
    json_double(j, "map", s->map);
    json_double(j, "f1", s->f1);
    json_array(j, "classes");
    for (int c = 0; c < s->classes; c++) {
        json_object(j, NULL);
        json_string(j, "class", evaluation_class(e, c, room, sizeof(room)));
        json_int(j, "pictures", s->of[c].truths);
        if (s->of[c].ap >= 0) json_double(j, "ap", s->of[c].ap);
        json_end(j);
    }
    json_end(j);
}

/* The weakest first: that is where work is. */
static void print_classes(const evaluation *e, const multi_state *s) {
    out_table t;
    char room[16];
    double above = -1;
    out_table_init(&t, "lrr");
    out_cell(&t, "label");
    out_cell(&t, "pictures");
    out_cell(&t, "AP");
    for (int shown = 0; shown < WORST && shown < s->classes;) {
        double least = 2;
        for (int c = 0; c < s->classes; c++) {
            if (s->of[c].ap > above && s->of[c].ap < least) least = s->of[c].ap;
        }
        if (least > 1) break;
        for (int c = 0; c < s->classes && shown < WORST; c++) {
            if (s->of[c].ap != least) continue;
            out_cell(&t, "%s", evaluation_class(e, c, room, sizeof(room)));
            out_cell(&t, "%lld", (long long)s->of[c].truths);
            out_cell(&t, "%.4f", s->of[c].ap);
            shown++;
        }
        above = least;
    }
    out_table_print(&t, stdout, 1);
    out_table_deinit(&t);
}

static void print_text(const evaluation *e) {
    const multi_state *s = e->state;
    printf("mAP     %.4f\nF1      %.4f\n", s->map, s->f1);
    if (!cli_has(e->args, "quiet")) print_classes(e, s);
}

static double figure(const evaluation *e, const char **name) {
    const multi_state *s = e->state;
    *name = "mAP";
    return s->map;
}

static void end(evaluation *e) {
    multi_state *s = e->state;
    if (s) {
        free(s->cells);
        free(s->of);
    }
    free(s);
}

const measure measure_multi = {OC_TASK_CLASSIFY, begin,      add,    finish,
                               print_json,       print_text, figure, end};
