/* eval_labels.c - top-1, top-5 and what is taken for what. */
#include "evaluate.h"

#include "out.h"

#include <stdlib.h>
#include <string.h>

/* Matrices up to this many classes are shown whole. */
enum { WHOLE_TEXT = 12, WHOLE_JSON = 256, WORST = 10, LEVELS = 16 };

typedef struct labels_state {
    int n;          /* classes */
    int64_t *count; /* [truth][answer] */
    int64_t pictures, first, within5;
    /* Where labels are paths, as "animal/cat": right on each level above. */
    int levels;
    int64_t above[LEVELS];
} labels_state;

static int begin(evaluation *e) {
    labels_state *s = calloc(1, sizeof(*s));
    e->state = s;
    if (!s) return cli_fail(CLI_RESOURCES, "out of memory");
    s->n = e->classes;
    for (int i = 0; i < oc_dataset_count(e->data); i++) {
        int label = oc_dataset_sample(e->data, i)->label;
        if (label >= s->n) s->n = label + 1;
    }
    for (int i = 0; i < e->labels; i++) {
        if (e->class_of[i] >= s->n) s->n = e->class_of[i] + 1;
    }
    if (s->n > 20000)
        return cli_fail(CLI_RESOURCES,
                        "%d classes are too many for a "
                        "confusion matrix",
                        s->n);
    s->count = calloc((size_t)s->n * (size_t)s->n, sizeof(*s->count));
    return s->count ? CLI_OK : cli_fail(CLI_RESOURCES, "out of memory");
}

static int lies_in(const char *label, const char *group) {
    size_t n = strlen(group);
    return !strncmp(label, group, n) && label[n] == '/';
}

/* A label of fewer levels stands for itself on the others. */
static void add_groups(evaluation *e, const char *truth, int right,
                       const oc_result *r) {
    labels_state *s = e->state;
    if (r->group_count > s->levels)
        s->levels = r->group_count < LEVELS ? r->group_count : LEVELS;
    for (int i = 0; i < LEVELS; i++) {
        s->above[i] +=
            i < r->group_count ? lies_in(truth, r->groups[i].label) : right;
    }
}

static int add(evaluation *e, const oc_sample *sample, const oc_result *r) {
    labels_state *s = e->state;
    int best = -1;
    char room[16];
    /* An unusable file of a table that has become usable meanwhile. */
    if (sample->label < 0)
        return cli_fail(CLI_BAD_INPUT, "%s has no label", sample->picture);
    s->pictures++;
    for (int i = 0; i < r->label_count && i < 5; i++) {
        int index = r->labels[i].index;
        int answer = index < e->labels ? e->class_of[index] : index;
        if (i == 0) best = answer;
        if (answer == sample->label) {
            s->within5++;
            if (i == 0) s->first++;
            break;
        }
    }
    add_groups(e, evaluation_class(e, sample->label, room, sizeof(room)),
               best == sample->label, r);
    if (best >= 0 && best < s->n)
        s->count[(size_t)sample->label * (size_t)s->n + (size_t)best]++;
    return CLI_OK;
}

static int finish(evaluation *e) {
    (void)e;
    return CLI_OK;
}

static double share(int64_t part, int64_t whole) {
    return whole ? (double)part / (double)whole : 0;
}

static void print_json(const evaluation *e, json *j) {
    const labels_state *s = e->state;
    char room[16];
    json_double(j, "top1", share(s->first, s->pictures));
    json_double(j, "top5", share(s->within5, s->pictures));
    if (s->levels) {
        json_row(j, "levels");
        for (int i = 0; i < s->levels; i++) {
            json_double(j, NULL, share(s->above[i], s->pictures));
        }
        json_end(j);
    }
    if (s->n <= WHOLE_JSON) {
        json_array(j, "classes");
        for (int i = 0; i < s->n; i++) {
            json_string(j, NULL, evaluation_class(e, i, room, sizeof(room)));
        }
        json_end(j);
        json_array(j, "confusion");
        for (int i = 0; i < s->n; i++) {
            json_row(j, NULL);
            for (int k = 0; k < s->n; k++) {
                json_int(j, NULL, s->count[i * s->n + k]);
            }
            json_end(j);
        }
        json_end(j);
        return;
    }
    json_array(j, "confusions"); /* what is not zero, off the diagonal */
    for (int i = 0; i < s->n; i++) {
        for (int k = 0; k < s->n; k++) {
            int64_t n = s->count[(size_t)i * (size_t)s->n + (size_t)k];
            if (!n || i == k) continue;
            json_object(j, NULL);
            json_int(j, "truth", i);
            json_int(j, "answer", k);
            json_int(j, "count", n);
            json_end(j);
        }
    }
    json_end(j);
}

static void print_matrix(const evaluation *e, const labels_state *s) {
    out_table t;
    char align[WHOLE_TEXT + 3] = "ll", room[16];
    memset(align + 2, 'r', (size_t)s->n);
    align[2 + s->n] = '\0';
    out_table_init(&t, align);
    out_cell(&t, "truth \\ answer");
    out_cell(&t, "%s", "");
    for (int i = 0; i < s->n; i++) {
        out_cell(&t, "%.7s", evaluation_class(e, i, room, sizeof(room)));
    }
    for (int i = 0; i < s->n; i++) {
        out_cell(&t, "%s", evaluation_class(e, i, room, sizeof(room)));
        out_cell(&t, "%s", "");
        for (int k = 0; k < s->n; k++) {
            int64_t n = s->count[i * s->n + k];
            if (n)
                out_cell(&t, "%lld", (long long)n);
            else
                out_cell(&t, ".");
        }
    }
    out_table_print(&t, stdout, 1);
    out_table_deinit(&t);
}

/* The most frequent mistakes, when a matrix would fill the room. */
static void print_worst(const evaluation *e, const labels_state *s) {
    size_t n = (size_t)s->n * (size_t)s->n;
    int64_t limit = INT64_MAX;
    out_table t;
    char a[16], b[16];
    out_table_init(&t, "lllr");
    int shown = 0;
    while (shown < WORST) {
        int64_t best = 0;
        for (size_t i = 0; i < n; i++) {
            if (i / (size_t)s->n != i % (size_t)s->n && s->count[i] > best &&
                s->count[i] < limit)
                best = s->count[i];
        }
        if (best == 0) break;
        for (size_t i = 0; i < n && shown < WORST; i++) {
            if (s->count[i] != best || i / (size_t)s->n == i % (size_t)s->n)
                continue;
            out_cell(
                &t, "  %s",
                evaluation_class(e, (int)(i / (size_t)s->n), a, sizeof(a)));
            out_cell(&t, "taken for");
            out_cell(
                &t, "%s",
                evaluation_class(e, (int)(i % (size_t)s->n), b, sizeof(b)));
            out_cell(&t, "%lld", (long long)best);
            shown++;
        }
        limit = best;
    }
    out_table_print(&t, stdout, 0);
    out_table_deinit(&t);
}

static void print_text(const evaluation *e) {
    const labels_state *s = e->state;
    printf("top-1   %.4f\ntop-5   %.4f\n", share(s->first, s->pictures),
           share(s->within5, s->pictures));
    for (int i = 0; i < s->levels; i++) {
        printf("level %d %.4f\n", i + 1, share(s->above[i], s->pictures));
    }
    if (cli_has(e->args, "quiet")) return;
    if (s->n <= WHOLE_TEXT)
        print_matrix(e, s);
    else
        print_worst(e, s);
}

static double figure(const evaluation *e, const char **name) {
    const labels_state *s = e->state;
    *name = "top-1";
    return share(s->first, s->pictures);
}

static void end(evaluation *e) {
    labels_state *s = e->state;
    if (s) free(s->count);
    free(s);
}

const measure measure_labels = {OC_TASK_CLASSIFY, begin,      add,    finish,
                                print_json,       print_text, figure, end};
