/* teacher.c - see teacher.h. */
#include "train/teacher.h"

#include "cpu/features.h"
#include "passes/differentiate.h"
#include "passes/match.h"
#include "runtime/exec.h"
#include "tasks/vision_private.h"
#include "train/net.h"

#include <string.h>

struct oc__teacher {
    oc_allocator allocator;
    oc_model *model;
    oc__kernels kernels;
    oc__exec_env env;
    oc__arena arena;
    oc__net net;
    oc__exec *exec;
    oc_tensor images; /* what it takes; data is NULL */
    int classes;
};

/* ---- the card -------------------------------------------------------------
 */

static oc_status read_labels(const oc_card *card, oc__arena *arena,
                             const char *const **labels, int *n,
                             oc_error *err) {
    int count = oc_card_label_count(card);
    const char **list =
        oc__arena_array(arena, (size_t)OC_MAX(count, 1), sizeof(*list));
    if (!list) return oc__fail_nomem(err);
    for (int i = 0; i < count; i++) {
        const char *label = oc_card_label(card, i);
        list[i] = oc__arena_strdup(arena, label ? label : "");
        if (!list[i]) return oc__fail_nomem(err);
    }
    *labels = list;
    *n = count;
    return OC_OK;
}

oc_status oc__read_classifier(const char *path, uint32_t cpu_mask,
                              oc_preprocess *prep, const char *const **labels,
                              int *n_labels, oc__arena *arena, oc_error *err) {
    oc_model *m = NULL;
    oc_card *card = NULL;
    oc_options o = {.allocator = arena->allocator, .cpu_mask = cpu_mask};
    OC_TRY(oc_model_load(&m, path, &o, err));
    oc_status st = oc_card_find(&card, m, err);
    if (st == OC_OK) st = oc_card_complete(card, m, err);
    if (st == OC_OK && oc_card_task(card) != OC_TASK_CLASSIFY)
        st = oc__fail(err, OC_E_UNSUPPORTED,
                      "%s does not classify pictures (its task is %s), so it "
                      "cannot be trained on classes, nor teach any",
                      path, oc_task_name(oc_card_task(card)));
    if (st == OC_OK) st = oc__card_preprocess(card, prep, err);
    if (st == OC_OK) st = read_labels(card, arena, labels, n_labels, err);
    oc_card_destroy(card);
    oc_model_destroy(m);
    return st;
}

/* Place of each of the learner's first classes in the teacher's list. */
static oc_status match_labels(const oc__teacher_options *o,
                              const char *const *own, int n, int64_t *place,
                              oc_error *err) {
    if (n < 1 || n > o->n_labels)
        return oc__fail(err, OC_E_UNSUPPORTED,
                        "%s knows %d classes, but there are %d to learn: a "
                        "teacher knows these, or the first of them",
                        o->path, n, o->n_labels);
    for (int k = 0; k < n; k++) {
        int i = 0;
        while (i < n && strcmp(own[i], o->labels[k]) != 0)
            i++;
        if (i == n)
            return oc__fail(err, OC_E_UNSUPPORTED,
                            "%s does not know the class \"%.100s\", so it "
                            "cannot teach it",
                            o->path, o->labels[k]);
        place[k] = i;
    }
    return OC_OK;
}

/* ---- from one way of numbers to the other ---------------------------------
 */

typedef struct bridge {
    oc__diff d;
    const oc_preprocess *from, *to;
    int nhwc, channels; /* of the learner's pictures */
} bridge;

/* Entry c (RGB) of a list, where 0 of all means `otherwise`. */
static double level(const float *list, int c, double otherwise) {
    return list[c] != 0 ? (double)list[c] : otherwise;
}

/* Channel c of p, in RGB order. */
static int rgb(const oc_preprocess *p, int c) {
    return p->color == OC_COLOR_BGR ? 2 - c : c;
}

/*
 * s = (x scale_s - mean_s) / std_s and t likewise: t = a s + b.  Means and
 * deviations are listed in the order of the model's own channels.
 */
static int rescale(bridge *r, int x) {
    int64_t dims[4] = {1, 1, 1, 1};
    float *a, *b;
    dims[r->nhwc ? 3 : 1] = r->channels;
    int va = oc__new_constant_f32(r->d.g, r->d.allocator, NULL, 4, dims, &a);
    int vb = oc__new_constant_f32(r->d.g, r->d.allocator, NULL, 4, dims, &b);
    if (va < 0 || vb < 0) return -1;
    double ss = r->from->scale != 0 ? (double)r->from->scale : 1;
    double st = r->to->scale != 0 ? (double)r->to->scale : 1;
    for (int c = 0; c < r->channels; c++) {
        /* The learner's channel c is channel k of the teacher. */
        int k = r->channels == 3 ? rgb(r->to, rgb(r->from, c)) : c;
        double std_t = level(r->to->std, k, 1);
        double by = st / ss / std_t;
        a[c] = (float)(level(r->from->std, c, 1) * by);
        b[c] = (float)((double)r->from->mean[c] * by -
                       (double)r->to->mean[k] / std_t);
    }
    return oc__diff_2(&r->d, "Add", oc__diff_2(&r->d, "Mul", x, va), vb);
}

static int gather(oc__diff *d, int x, int axis, const int64_t *list, int n) {
    int64_t dims[1] = {n};
    void *data;
    int v = oc__new_constant(d->g, d->allocator, NULL, OC_DTYPE_I64, 1, dims,
                             &data);
    if (v < 0 || x < 0) return -1;
    memcpy(data, list, (size_t)n * sizeof(*list));
    int in[2] = {x, v};
    int y = oc__diff_emit(d, "", "Gather", 13, 1, 2, in);
    if (y >= 0) oc__attr_set_int(d->last, 0, "axis", axis);
    return y;
}

static int resize(bridge *r, int x, const int64_t dims[4]) {
    int64_t four[1] = {4};
    void *data;
    int v = oc__new_constant(r->d.g, r->d.allocator, NULL, OC_DTYPE_I64, 1,
                             four, &data);
    if (v < 0 || x < 0) return -1;
    memcpy(data, dims, 4 * sizeof(*dims));
    int in[4] = {x, -1, -1, v};
    oc__node *n = oc__diff_node(&r->d, "", "Resize", 18, 2, 4, in, 1);
    if (!n) return -1;
    oc__attr_set_string(n, 0, "mode", "linear");
    oc__attr_set_int(n, 1, "antialias", 1);
    return n->out[0];
}

static int transpose(bridge *r, int x) {
    static const int64_t last[4] = {0, 2, 3, 1}, first[4] = {0, 3, 1, 2};
    int y = oc__diff_emit(&r->d, "", "Transpose", 13, 1, 1, &x);
    if (y >= 0)
        oc__attr_set_ints(r->d.last, 0, "perm", r->nhwc ? first : last, 4);
    return y;
}

/* The graph takes what the learner takes; t->images says what that is. */
static oc_status build_bridge(oc__teacher *t, const oc__teacher_options *o,
                              const oc_preprocess *own, oc_error *err) {
    static const int64_t swap[3] = {2, 1, 0};
    const oc_preprocess *p = &o->prep;
    oc__graph *g = t->net.g;
    bridge r = {.d = {.g = g, .allocator = &t->allocator, .err = err},
                .from = p,
                .to = own,
                .nhwc = p->layout == OC_LAYOUT_NHWC,
                .channels = p->color == OC_COLOR_GRAY ? 1 : 3};
    if (t->net.channels != r.channels)
        return oc__fail(err, OC_E_UNSUPPORTED,
                        "%s takes pictures of %d channels, but the network to "
                        "train takes %d",
                        o->path, t->net.channels, r.channels);
    int64_t h = p->height, w = p->width, c = r.channels;
    int64_t dims[4] = {o->batch, r.nhwc ? h : c, r.nhwc ? w : h,
                       r.nhwc ? c : w};
    int x = oc__graph_add_value(g, "batch");
    if (x < 0) return oc__fail_nomem(err);
    oc__tensor_set(&t->images, OC_DTYPE_F32, 4, dims);
    g->values[x].dtype = OC_DTYPE_F32;
    g->values[x].rank = 4;
    memcpy(g->values[x].dims, t->images.dims, sizeof(t->images.dims));
    int y = rescale(&r, x);
    if (c == 3 && (p->color == OC_COLOR_BGR) != (own->color == OC_COLOR_BGR))
        y = gather(&r.d, y, r.nhwc ? 3 : 1, swap, 3);
    dims[r.nhwc ? 1 : 2] = t->net.height;
    dims[r.nhwc ? 2 : 3] = t->net.width;
    if (t->net.height != h || t->net.width != w) y = resize(&r, y, dims);
    if (t->net.nhwc != r.nhwc) y = transpose(&r, y);
    if (y < 0 || r.d.failed) return oc__fail_nomem(err);
    oc__graph_replace_uses(g, g->inputs[0], y);
    g->inputs[0] = x;
    return OC_OK;
}

/* The output's numbers in the order of the learner's classes. */
static oc_status order_classes(oc__teacher *t, const int64_t *place,
                               oc_error *err) {
    oc__graph *g = t->net.g;
    oc__diff d = {.g = g, .allocator = &t->allocator, .err = err};
    int64_t dims[2] = {t->images.dims[0], t->classes}, two[1] = {2};
    void *data;
    int v =
        oc__new_constant(g, &t->allocator, NULL, OC_DTYPE_I64, 1, two, &data);
    if (v < 0) return oc__fail_nomem(err);
    memcpy(data, dims, sizeof(dims));
    int in[2] = {t->net.logits, v};
    int y = oc__diff_emit(&d, "", "Reshape", 13, 0, 2, in);
    y = gather(&d, y, 1, place, t->classes);
    if (y < 0 || d.failed) return oc__fail_nomem(err);
    g->outputs[0] = y;
    return OC_OK;
}

/* ---- making one -----------------------------------------------------------
 */

static oc_status make_exec(oc__teacher *t, const oc__teacher_options *o,
                           oc_error *err) {
    oc__kernels_init(&t->kernels, oc__cpu_resolve(o->cpu_mask));
    int threads = o->threads > 0 ? o->threads : oc_cpu_count();
    t->env.kernels = &t->kernels;
    t->env.allocator = &t->allocator;
    t->env.threads = threads;
    t->env.plan_cache_bytes = 1;
    atomic_init(&t->env.cancelled, 0);
    OC_TRY(oc__pool_create(&t->env.pool, &t->allocator, threads, err));
    OC_TRY(oc__graph_sort(t->net.g, err));
    OC_TRY(oc__graph_verify(t->net.g, err));
    OC_TRY(oc__passes_run(t->net.g, &t->kernels, 0, &t->allocator, err));
    return oc__exec_create(&t->exec, t->net.g, &t->env, err);
}

static oc_status start(oc__teacher *t, const oc__teacher_options *o,
                       oc_error *err) {
    oc_preprocess own;
    const char *const *labels;
    OC_TRY(oc__read_classifier(o->path, o->cpu_mask, &own, &labels, &t->classes,
                               &t->arena, err));
    int64_t *place = oc__arena_array(&t->arena, (size_t)OC_MAX(t->classes, 1),
                                     sizeof(*place));
    if (!place) return oc__fail_nomem(err);
    OC_TRY(match_labels(o, labels, t->classes, place, err));
    oc_options m = {
        .allocator = &t->allocator, .cpu_mask = o->cpu_mask, .optimize = 1};
    OC_TRY(oc_model_load(&t->model, o->path, &m, err));
    oc__net_options n = {.model = t->model,
                         .classes = t->classes,
                         .keep_head = 1,
                         .height = own.height,
                         .width = own.width};
    OC_TRY(oc__net_init(&t->net, &n, &t->allocator, err));
    OC_TRY(build_bridge(t, o, &own, err));
    OC_TRY(order_classes(t, place, err));
    return make_exec(t, o, err);
}

oc_status oc__teacher_create(oc__teacher **out, const oc__teacher_options *opt,
                             oc_error *err) {
    oc__teacher *t = oc__calloc(opt->allocator, 1, sizeof(*t));
    if (!t) return oc__fail_nomem(err);
    t->allocator = *opt->allocator;
    oc__arena_init(&t->arena, &t->allocator);
    oc_status st = start(t, opt, err);
    if (st != OC_OK) {
        oc__teacher_destroy(t);
        return st;
    }
    *out = t;
    return OC_OK;
}

void oc__teacher_destroy(oc__teacher *t) {
    if (!t) return;
    oc__exec_destroy(t->exec);
    if (t->net.allocator) oc__net_deinit(&t->net);
    oc_model_destroy(t->model);
    oc__pool_destroy(t->env.pool);
    oc__arena_deinit(&t->arena);
    oc_allocator a = t->allocator;
    oc__release(&a, t, sizeof(*t));
}

int oc__teacher_classes(const oc__teacher *t) {
    return t->classes;
}

oc_status oc__teacher_ask(oc__teacher *t, const oc_tensor *images,
                          const oc_tensor **logits, oc_error *err) {
    oc_value in = {.kind = OC_KIND_TENSOR};
    const oc_value *ref = &in;
    if (!oc__tensor_same_shape(images, &t->images))
        return oc__fail(err, OC_E_SHAPE, "the batch is of another shape");
    in.t = *images;
    OC_TRY(oc__exec_run(t->exec, &ref, err));
    *logits = &oc__exec_output(t->exec, 0)->t;
    return OC_OK;
}
