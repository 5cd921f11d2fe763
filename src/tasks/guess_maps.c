/*
 * guess_maps.c - classifiers, segmenters and restorers by the shape of what
 * they put out.
 *
 *     [N, C], [N, C, 1, 1]      classify
 *     [N, h, w] of integers     segment, ArgMax inside
 *     [N, 1, h, w] from 3       segment, one mask
 *     [N, c, k*H, k*W] from c   restore
 *     [N, C, h, w]              segment, class scores
 */
#include "tasks/guess.h"

#include "base/size.h"

#include <string.h>

static void one_output(oc__guess *g, int i) {
    oc__guess_put_outputs(g, &i, 1);
}

/* ---- classify -------------------------------------------------------------
 */

static void classify_labels(oc__guess *g) {
    if (g->classes != 10 || g->card->labels.n) return;
    if (g->h == 28 && g->w == 28 && g->look->channels == 1)
        g->labels = "digits";
    if (g->h == 32 && g->w == 32 && g->look->channels == 3)
        g->labels = "cifar10";
}

/* [26, 1, C] is a word of 26 letters: only a batch may stand in front. */
static int is_batch(const oc__guess *g, int64_t dim) {
    const oc__look *l = g->look;
    return dim <= 1 || dim == oc_model_input(l->model, l->input)->dims[0];
}

static int is_classifier(oc__guess *g, int i) {
    const oc__seen *o = &g->look->out[i];
    int64_t n = 1;
    int wide = 0;
    if (o->rank < 1 || o->rank > 4 || o->dtype == OC_DTYPE_STRING ||
        o->dtype == OC_DTYPE_I64 || (o->rank > 1 && !is_batch(g, o->dims[0])))
        return 0;
    for (int k = o->rank > 1; k < o->rank; k++) {
        if (o->dims[k] < 1) return 0;
        wide += o->dims[k] > 1;
        n *= o->dims[k];
    }
    if (wide > 1 || n < 2 || n > 100000) return 0;
    oc__ending end = oc__look_ending(g->look, i);
    const char *kind =
        end == OC_END_SOFTMAX || end == OC_END_SIGMOID ? "softmax" : "logits";
    if (g->card->task == OC_TASK_CLASSIFY && g->card->kind)
        kind = g->card->kind; /* as the caller says */
    if (!oc__guess_kind(g, OC_TASK_CLASSIFY, kind, OC_FAMILY_NONE)) return 0;
    g->classes = (int)n;
    one_output(g, i);
    classify_labels(g);
    oc__guess_say(g, "task: classify, since the output has %d numbers, %s",
                  g->classes,
                  end == OC_END_SOFTMAX   ? "after a softmax"
                  : end == OC_END_SIGMOID ? "after a sigmoid"
                                          : "which are logits");
    return 1;
}

/* ---- maps -----------------------------------------------------------------
 */

typedef struct shape {
    int64_t c, h, w;
} shape;

/* Channels are where they are not when height and width look like the input. */
static int map_shape(const oc__guess *g, int i, shape *s) {
    const oc__seen *o = &g->look->out[i];
    int64_t a = oc__guess_dim(g, i, 3), b = oc__guess_dim(g, i, 2);
    int64_t c = oc__guess_dim(g, i, 1);
    if (o->rank == 3) {
        *s = (shape){1, b, c};
    } else if (o->rank == 4) {
        int64_t first = b * g->w - c * g->h, last = a * g->w - b * g->h;
        first = first < 0 ? -first : first;
        last = last < 0 ? -last : last;
        int nhwc =
            first == last ? g->look->layout == OC_LAYOUT_NHWC : last < first;
        *s = nhwc ? (shape){c, a, b} : (shape){a, b, c};
    } else {
        return 0;
    }
    return s->c >= 1 && s->h > 1 && s->w > 1;
}

/*
 * Whether a map lies over the whole picture, in at most 16 pixels a cell, and
 * no other output is a map in another resolution: heads of a detector are.
 */
static int is_over_picture(const oc__guess *g, int i, const shape *s) {
    int64_t off = s->h * g->w - s->w * g->h;
    if (s->h * 16 < g->h || s->w * 16 < g->w) return 0;
    /* Sides are rounded to whole cells. */
    if ((off < 0 ? -off : off) > OC_MAX(g->h, g->w)) return 0;
    for (int k = 0; k < g->look->n; k++) {
        shape other;
        if (k != i && g->look->out[k].rank == 4 && map_shape(g, k, &other) &&
            other.c == s->c && other.h != s->h)
            return 0;
    }
    return 1;
}

static int is_restorer(oc__guess *g, int i, const shape *s) {
    int same = s->c == g->look->channels && (s->c == 1 || s->c == 3);
    int64_t k = s->h / g->h;
    oc__ending end = oc__look_ending(g->look, i);
    int asked = g->card->task == OC_TASK_RESTORE;
    if (!same || k < 1 || s->h != k * g->h || s->w != k * g->w) return 0;
    /* Three channels of the same size may be three classes. */
    if (!asked && (end == OC_END_SOFTMAX || end == OC_END_ARGMAX)) return 0;
    if (!asked && k == 1 && end == OC_END_SIGMOID && s->c == 1) return 0;
    if (!oc__guess_kind(g, OC_TASK_RESTORE, "image", OC_FAMILY_NONE)) return 0;
    one_output(g, i);
    oc__guess_say(g,
                  "task: restore, since the output is a picture of %d "
                  "channel%s, %d times as large",
                  (int)s->c, s->c > 1 ? "s" : "", (int)k);
    return 1;
}

static int is_mask(oc__guess *g, int i, oc__ending end) {
    if (!oc__guess_kind(g, OC_TASK_SEGMENT, "mask", OC_FAMILY_NONE)) return 0;
    one_output(g, i);
    if (end != OC_END_SIGMOID) oc__guess_put(g, "decode.activation", "sigmoid");
    const char *names[2] = {"background", "foreground"};
    /* MediaPipe's selfie segmenters have these two sizes and this name. */
    int selfie = g->look->layout == OC_LAYOUT_NHWC && g->w == 256 &&
                 (g->h == 144 || g->h == 256);
    if (selfie) names[1] = "person";
    if (!g->st && !oc__card_has(g->card, "labels"))
        g->st = oc_card_set_labels(g->card, names, 2, g->err);
    oc__guess_say(g,
                  "task: segment, since the output is a mask of one channel%s",
                  selfie ? "; of a person, as its size is that of MediaPipe's "
                           "selfie segmenters"
                         : "");
    return 1;
}

static int is_map(oc__guess *g, int i) {
    shape s;
    oc__ending end = oc__look_ending(g->look, i);
    oc_dtype type = g->look->out[i].dtype;
    if (!map_shape(g, i, &s)) return 0;
    int whole =
        type == OC_DTYPE_I64 || type == OC_DTYPE_I32 || type == OC_DTYPE_U8;
    int over = is_over_picture(g, i, &s);
    if (s.c == 1 && over && (end == OC_END_ARGMAX || whole)) {
        if (!oc__guess_kind(g, OC_TASK_SEGMENT, "argmax", OC_FAMILY_NONE))
            return 0;
        one_output(g, i);
        oc__guess_say(g, "task: segment, since the output is a map of class "
                         "numbers");
        g->classes = oc__look_filters(g->look, i);
        return 1;
    }
    if (is_restorer(g, i, &s)) return 1;
    if (!over) return 0;
    if (s.c == 1 && g->look->out[i].rank == 4) return is_mask(g, i, end);
    if (s.c < 2 || s.c > 256) return 0; /* a mask is of bytes */
    if (!oc__guess_kind(g, OC_TASK_SEGMENT, "logits", OC_FAMILY_NONE)) return 0;
    one_output(g, i);
    g->classes = (int)s.c;
    oc__guess_say(g,
                  "task: segment, since the output has %d channels in the "
                  "input's shape",
                  g->classes);
    return 1;
}

int oc__guess_maps(oc__guess *g) {
    /* Auxiliary outputs follow the main one. */
    for (int i = 0; i < g->look->n && !g->st; i++) {
        if (is_classifier(g, i) || is_map(g, i)) return 1;
    }
    return 0;
}
