/*
 * explain.c - what in a picture speaks for a class.
 *
 * A classifier looks at places, then forgets where: before its classes stands
 * a map A of channels and places, the last one that is wider than a pixel.
 *
 *     picture --front--> A [c, h, w] --tail--> scores
 *
 * Grad-CAM weighs A's channels by how the class's score follows them, the
 * mean over places of d score / d A, and adds them up; the differentiate pass
 * writes that gradient.  Recipro-CAM runs the tail once for each place, with A
 * blanked everywhere else, and takes the class's score as the place's value.
 *
 * Both graphs are made for one input shape from a copy of the model's, in
 * which shapes have been inferred so that A can be found.
 */
#include "tasks/vision_private.h"

#include "passes/differentiate.h"
#include "passes/match.h"
#include "runtime/model.h"

#include <math.h>
#include <string.h>

/* A graph of ours and what runs it. */
typedef struct part {
    oc__graph *g;
    oc__exec *exec;
} part;

struct oc__explain {
    oc_allocator allocator;
    oc__arena arena;
    oc__exec_env env;
    oc_tensor input;  /* type and dims all this was made for */
    oc__graph *known; /* the model's, with shapes */
    int places;       /* value A in it */
    int score;        /* the value before a last softmax */
    int channels_last;
    part grad;  /* inputs and a one-hot -> A, d score / d A */
    part front; /* inputs -> A */
    part tail;  /* A -> the model's output */
    const oc_value **refs;
};

static void drop_part(part *p) {
    oc__exec_destroy(p->exec);
    if (p->g) oc__graph_release(p->g);
    memset(p, 0, sizeof *p);
}

void oc__explain_destroy(struct oc__explain *e) {
    if (!e) return;
    oc_allocator a = e->allocator;
    drop_part(&e->grad);
    drop_part(&e->front);
    drop_part(&e->tail);
    if (e->known) oc__graph_release(e->known);
    oc__pool_destroy(e->env.pool);
    oc__arena_deinit(&e->arena);
    oc__release(&a, e, sizeof *e);
}

/* ---- finding the map ------------------------------------------------------
 */

/* live[v]: depends on the picture. */
static void find_live(const oc__graph *g, int picture, char *live) {
    live[picture] = 1;
    for (int i = 0; i < g->n_nodes; i++) {
        const oc__node *n = g->nodes[i];
        int any = 0;
        for (int j = 0; j < n->n_in && !n->dead; j++)
            any |= n->in[j] >= 0 && live[n->in[j]];
        for (int k = 0; k < n->n_out && any; k++) {
            if (n->out[k] >= 0) live[n->out[k]] = 1;
        }
    }
}

static int first_live(const oc__node *n, const char *live) {
    for (int j = 0; j < n->n_explicit; j++) {
        if (n->in[j] >= 0 && live[n->in[j]]) return n->in[j];
    }
    return -1;
}

static int is_one_of(const oc__node *n, const char *const *names) {
    for (; *names; names++) {
        if (oc__is_op(n, *names)) return 1;
    }
    return 0;
}

/* Whether axis a of rank 4 is among the node's axes. */
static int has_axis(const oc__graph *g, const oc__node *n, int a) {
    size_t count;
    const int64_t *axes = oc__attr_ints(n, "axes", &count);
    const oc_tensor *t = n->n_explicit > 1 ? oc__constant(g, n->in[1]) : NULL;
    if (!axes && t && t->dtype == OC_DTYPE_I64) {
        axes = t->data;
        count = (size_t)oc_tensor_elems(t);
    }
    for (size_t i = 0; axes && i < count; i++) {
        if (axes[i] == a || axes[i] == a - 4) return 1;
    }
    return 0;
}

static int moves_as(const oc__node *n, int64_t a, int64_t b, int64_t c) {
    size_t count;
    const int64_t *perm = oc__attr_ints(n, "perm", &count);
    return oc__is_op(n, "Transpose") && count == 4 && perm[1] == a &&
           perm[2] == b && perm[3] == c;
}

/* Who makes and who reads a map says where its channels are. */
static int is_channels_last(const oc__graph *g, const oc__node *maker,
                            const oc__node *reader) {
    static const char *const reducers[] = {"ReduceMean", "ReduceMax",
                                           "ReduceSum", NULL};
    if (maker && moves_as(maker, 2, 3, 1)) return 1;
    if (!reader) return 0;
    if (moves_as(reader, 3, 1, 2)) return 1;
    return is_one_of(reader, reducers) && has_axis(g, reader, 1) &&
           has_axis(g, reader, 2) && !has_axis(g, reader, 3);
}

/* Backwards from the output: past a last softmax to the score, then on to the
   first map with more than one place. */
static oc_status find_places(struct oc__explain *e, int output, int picture,
                             oc_error *err) {
    static const char *const lasts[] = {"Softmax", "Sigmoid", "LogSoftmax",
                                        NULL};
    static const char *const views[] = {
        "Identity", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Cast", NULL};
    oc__graph *g = e->known;
    size_t n = (size_t)g->n_values;
    int *maker = oc__arena_array(&e->arena, n + 1, sizeof *maker);
    char *live = oc__arena_array(&e->arena, n + 1, 1);
    const oc__node *reader = NULL;
    int v = output, looking = 1;
    if (!maker || !live) return oc__fail_nomem(err);
    oc__graph_find_producers(g, maker);
    find_live(g, picture, live);
    e->score = output;
    e->places = -1;
    while (v >= 0 && v != picture) {
        const oc__value_def *def = &g->values[v];
        const oc__node *node = maker[v] >= 0 ? g->nodes[maker[v]] : NULL;
        if (def->rank == 4 && def->dtype == OC_DTYPE_F32) {
            int last = is_channels_last(g, node, reader);
            if (def->dims[last ? 1 : 2] > 1 && def->dims[last ? 2 : 3] > 1 &&
                def->dims[0] > 0 && def->dims[last ? 3 : 1] > 0) {
                e->channels_last = last;
                e->places = v;
                return OC_OK;
            }
        }
        if (!node) break;
        if (looking && is_one_of(node, lasts)) {
            e->score = node->in[0];
            looking = 0;
        } else if (!is_one_of(node, views)) {
            looking = 0;
        }
        reader = node;
        v = first_live(node, live);
    }
    return oc__fail(err, OC_E_UNSUPPORTED,
                    "the network has no map of places before its classes, so "
                    "it cannot be said what in a picture speaks for one");
}

/* ---- graphs ---------------------------------------------------------------
 */

/* The model's graph for this input, with shapes. */
static oc_status copy_graph(struct oc__explain *e, const oc_vision *v,
                            oc_error *err) {
    const oc__graph *own = NULL;
    oc__pass_env env = {.kernels = e->env.kernels,
                        .allocator = &e->allocator,
                        .pool = e->env.pool,
                        .threads = e->env.threads,
                        .level = e->env.level};
    OC_TRY(oc__model_graph(v->model, &own, err));
    e->known = oc__graph_clone(own, &e->arena);
    if (!e->known) return oc__fail_nomem(err);
    int picture = e->known->inputs[v->input];
    oc__value_def *def = &e->known->values[picture];
    def->dtype = e->input.dtype;
    def->rank = e->input.rank;
    memcpy(def->dims, e->input.dims, sizeof def->dims);
    OC_TRY(oc__pass_infer(e->known, &env, err));
    return find_places(e, e->known->outputs[v->roles[0]], picture, err);
}

static oc_status set_list(struct oc__explain *e, int **list, int *n, int a,
                          int b, oc_error *err) {
    int *v = oc__arena_array(&e->arena, 2, sizeof *v);
    if (!v) return oc__fail_nomem(err);
    v[0] = a;
    v[1] = b;
    *list = v;
    *n = b >= 0 ? 2 : 1;
    return OC_OK;
}

static oc_status start_part(struct oc__explain *e, part *p, oc_error *err) {
    oc__pass_env env = {.kernels = e->env.kernels,
                        .allocator = &e->allocator,
                        .threads = 1,
                        .level = e->env.level};
    OC_TRY(oc__pass_dead_code(p->g, &env, err));
    oc__graph_compact(p->g);
    return oc__exec_create(&p->exec, p->g, &e->env, err);
}

/* A further input behind the model's, shaped like value `like`. */
static int add_input(struct oc__explain *e, oc__graph *g, const char *name,
                     int like) {
    int v = oc__graph_add_value(g, name);
    int *list =
        oc__arena_array(&e->arena, (size_t)g->n_inputs + 1, sizeof *list);
    if (v < 0 || !list) return -1;
    oc__value_def *def = &g->values[v];
    def->kind = OC_KIND_TENSOR;
    def->dtype = g->values[like].dtype;
    def->rank = g->values[like].rank;
    memcpy(def->dims, g->values[like].dims, sizeof def->dims);
    memcpy(list, g->inputs, (size_t)g->n_inputs * sizeof *list);
    list[g->n_inputs++] = v;
    g->inputs = list;
    return v;
}

/* y = sum of score x one-hot; d y / d A beside A. */
static oc_status make_grad(struct oc__explain *e, oc_error *err) {
    part *p = &e->grad;
    int grad = -1;
    if (p->exec) return OC_OK;
    drop_part(p);
    p->g = oc__graph_clone(e->known, &e->arena);
    if (!p->g) return oc__fail_nomem(err);
    int hot = add_input(e, p->g, "explain.class", e->score);
    const oc__op *mul = oc__op_find("", "Mul");
    oc__node *n =
        hot < 0 ? NULL
                : oc__graph_add_node(p->g, mul, "explain.score", 14, 2, 1, 0);
    int y = n ? oc__graph_add_value(p->g, NULL) : -1;
    if (y < 0) return oc__fail_nomem(err);
    n->in[0] = e->score;
    n->in[1] = hot;
    n->out[0] = y;
    p->g->values[y].kind = OC_KIND_TENSOR;
    p->g->values[y].dtype = OC_DTYPE_F32;
    OC_TRY(oc__gradients(p->g, &e->allocator, y, &e->places, 1, &grad, err));
    OC_TRY(set_list(e, &p->g->outputs, &p->g->n_outputs, e->places, grad, err));
    return start_part(e, p, err);
}

/* The graph cut at A. */
static oc_status make_halves(struct oc__explain *e, int output, oc_error *err) {
    part *front = &e->front, *tail = &e->tail;
    if (tail->exec) return OC_OK;
    drop_part(front);
    drop_part(tail);
    front->g = oc__graph_clone(e->known, &e->arena);
    tail->g = oc__graph_clone(e->known, &e->arena);
    if (!front->g || !tail->g) return oc__fail_nomem(err);
    OC_TRY(set_list(e, &front->g->outputs, &front->g->n_outputs, e->places, -1,
                    err));
    int v = add_input(e, tail->g, "explain.places", e->places);
    if (v < 0) return oc__fail_nomem(err);
    oc__graph_replace_uses(tail->g, e->places, v);
    OC_TRY(set_list(e, &tail->g->inputs, &tail->g->n_inputs, v, -1, err));
    OC_TRY(set_list(e, &tail->g->outputs, &tail->g->n_outputs,
                    tail->g->outputs[output], -1, err));
    OC_TRY(start_part(e, front, err));
    return start_part(e, tail, err);
}

static int same_type(const oc_tensor *a, const oc_tensor *b) {
    return a->dtype == b->dtype && a->rank == b->rank &&
           !memcmp(a->dims, b->dims, (size_t)a->rank * sizeof *a->dims);
}

static oc_status prepare(oc_vision *v, const oc_tensor *input, oc_error *err) {
    struct oc__explain *e = v->explains;
    if (e && e->known && e->places >= 0 && same_type(&e->input, input))
        return OC_OK;
    oc__explain_destroy(e);
    v->explains = e = oc__calloc(&v->allocator, 1, sizeof *e);
    if (!e) return oc__fail_nomem(err);
    e->allocator = v->allocator;
    oc__arena_init(&e->arena, &e->allocator);
    e->input = *input;
    e->places = -1;
    e->env.kernels = &v->model->kernels;
    e->env.allocator = &e->allocator;
    e->env.threads = v->threads > 0 ? v->threads : oc_cpu_count();
    e->env.level = v->model->options.optimize;
    e->env.plan_cache_bytes = (size_t)64 << 20;
    oc__rng_init(&e->env.rng, 0);
    atomic_init(&e->env.cancelled, 0);
    size_t n = (size_t)v->model->n_inputs + 1;
    e->refs = oc__arena_array(&e->arena, n, sizeof *e->refs);
    if (!e->refs) return oc__fail_nomem(err);
    OC_TRY(oc__pool_create(&e->env.pool, &e->allocator, e->env.threads, err));
    return copy_graph(e, v, err);
}

/* ---- maps -----------------------------------------------------------------
 */

/* How A's first picture lies: elements between places and channels. */
typedef struct grid {
    int64_t channels, height, width, step_c, step_y, step_x;
} grid;

static grid grid_of(const oc_tensor *t, int last) {
    grid g = {t->dims[last ? 3 : 1],
              t->dims[last ? 1 : 2],
              t->dims[last ? 2 : 3],
              0,
              0,
              0};
    g.step_c = last ? 1 : g.height * g.width;
    g.step_x = last ? g.channels : 1;
    g.step_y = g.width * g.step_x;
    return g;
}

static oc_status new_heat(oc_heat *h, const oc_vision *v, const grid *g,
                          oc_error *err) {
    size_t n = (size_t)(g->height * g->width);
    h->values = oc__calloc(&v->allocator, n, sizeof *h->values);
    if (!h->values) return oc__fail_nomem(err);
    h->owned_bytes = n * sizeof *h->values;
    h->allocator = &v->model->allocator;
    h->width = (int)g->width;
    h->height = (int)g->height;
    return OC_OK;
}

/* To 0..1: from the smallest value, or from `floor`. */
static void stretch(oc_heat *h, int from_least) {
    int n = h->width * h->height;
    float lo = INFINITY, hi = -INFINITY;
    for (int i = 0; i < n; i++) {
        if (!isfinite(h->values[i])) h->values[i] = 0;
        lo = fminf(lo, h->values[i]);
        hi = fmaxf(hi, h->values[i]);
    }
    if (!from_least) lo = 0;
    for (int i = 0; i < n; i++)
        h->values[i] = hi > lo ? (h->values[i] - lo) / (hi - lo) : 0;
}

static oc_status grad_cam(struct oc__explain *e, oc_vision *v,
                          const oc_value *input, oc_heat *h, oc_error *err) {
    OC_TRY(make_grad(e, err));
    const oc__value_def *score = &e->grad.g->values[e->score];
    oc_value hot = {0};
    OC_TRY(oc__value_alloc_tensor(&hot, &e->allocator, OC_DTYPE_F32,
                                  score->rank, score->dims, err));
    memset(hot.t.data, 0, oc_tensor_bytes(&hot.t));
    ((float *)hot.t.data)[h->index] = 1;
    memset(e->refs, 0, (size_t)e->grad.g->n_inputs * sizeof *e->refs);
    e->refs[v->input] = input;
    e->refs[e->grad.g->n_inputs - 1] = &hot;
    oc_status st = oc__exec_run(e->grad.exec, e->refs, err);
    oc__value_clear(&hot);
    if (st) return st;
    const oc_tensor *a = oc_value_tensor(oc__exec_output(e->grad.exec, 0));
    const oc_tensor *d = oc_value_tensor(oc__exec_output(e->grad.exec, 1));
    if (!a || !d || !same_type(a, d))
        return oc__fail(err, OC_E_SHAPE, "the gradient has another shape");
    grid g = grid_of(a, e->channels_last);
    OC_TRY(new_heat(h, v, &g, err));
    const float *av = a->data, *dv = d->data;
    double n = (double)(g.height * g.width);
    for (int64_t c = 0; c < g.channels; c++) {
        double weight = 0;
        for (int64_t y = 0; y < g.height; y++) {
            for (int64_t x = 0; x < g.width; x++)
                weight += dv[c * g.step_c + y * g.step_y + x * g.step_x];
        }
        for (int64_t y = 0; y < g.height; y++) {
            for (int64_t x = 0; x < g.width; x++)
                h->values[y * g.width + x] +=
                    (float)(weight / n *
                            av[c * g.step_c + y * g.step_y + x * g.step_x]);
        }
    }
    for (int i = 0; i < h->width * h->height; i++)
        h->values[i] = fmaxf(h->values[i], 0);
    stretch(h, 0);
    return OC_OK;
}

/* What of A is left in view around (px, py): the paper's 3 x 3 Gaussian. */
static float view_of(int64_t dy, int64_t dx) {
    static const float side[2] = {0.5f, 0.25f};
    int64_t ay = dy < 0 ? -dy : dy, ax = dx < 0 ? -dx : dx;
    return ay > 1 || ax > 1 ? 0 : side[ay] * side[ax];
}

static void leave_in_view(float *to, const float *from, const grid *g,
                          int64_t py, int64_t px) {
    memset(to, 0, (size_t)(g->channels * g->height * g->width) * sizeof *to);
    for (int64_t y = OC_MAX(py - 1, 0); y < OC_MIN(py + 2, g->height); y++) {
        for (int64_t x = OC_MAX(px - 1, 0); x < OC_MIN(px + 2, g->width); x++) {
            float share = view_of(y - py, x - px);
            int64_t at = y * g->step_y + x * g->step_x;
            for (int64_t c = 0; c < g->channels; c++)
                to[at + c * g->step_c] = share * from[at + c * g->step_c];
        }
    }
}

/* The class's score among `n`, by a softmax where outputs are logits. */
static float score_of(const oc_vision *v, const oc_tensor *t, int index,
                      int64_t n) {
    double top = -INFINITY, sum = 0, z = oc_tensor_get(t, index);
    if (!strcmp(v->card->kind, "sigmoid")) return (float)(1 / (1 + exp(-z)));
    if (strcmp(v->card->kind, "logits")) return (float)z;
    for (int64_t i = 0; i < n; i++)
        top = fmax(top, oc_tensor_get(t, i));
    for (int64_t i = 0; i < n; i++)
        sum += exp(oc_tensor_get(t, i) - top);
    return (float)(exp(z - top) / sum);
}

static oc_status recipro_cam(struct oc__explain *e, oc_vision *v,
                             const oc_value *input, int64_t classes, oc_heat *h,
                             oc_error *err) {
    OC_TRY(make_halves(e, v->roles[0], err));
    memset(e->refs, 0, (size_t)v->model->n_inputs * sizeof *e->refs);
    e->refs[v->input] = input;
    OC_TRY(oc__exec_run(e->front.exec, e->refs, err));
    const oc_tensor *a = oc_value_tensor(oc__exec_output(e->front.exec, 0));
    if (!a || a->rank != 4 || a->dtype != OC_DTYPE_F32)
        return oc__fail(err, OC_E_SHAPE, "the map of places has no shape");
    grid g = grid_of(a, e->channels_last);
    OC_TRY(new_heat(h, v, &g, err));
    oc_value view = {0};
    OC_TRY(oc__value_alloc_tensor(&view, &e->allocator, a->dtype, a->rank,
                                  a->dims, err));
    memset(view.t.data, 0, oc_tensor_bytes(&view.t));
    const oc_value *refs[1] = {&view};
    oc_status st = OC_OK;
    for (int64_t i = 0; i < g.height * g.width && !st; i++) {
        leave_in_view(view.t.data, a->data, &g, i / g.width, i % g.width);
        st = oc__exec_run(e->tail.exec, refs, err);
        if (st) break;
        const oc_tensor *t = oc_value_tensor(oc__exec_output(e->tail.exec, 0));
        h->values[i] = t ? score_of(v, t, h->index, classes) : 0;
    }
    oc__value_clear(&view);
    if (!st) stretch(h, 1);
    return st;
}

/* ---- the public face ------------------------------------------------------
 */

/* The best class of the last run; their number. */
static oc_status best_class(const oc_vision *v, int *best, int64_t *n,
                            oc_error *err) {
    const oc_tensor *t = oc_session_output_tensor(v->session, v->roles[0]);
    if (!t || t->dtype == OC_DTYPE_STRING)
        return oc__fail(err, OC_E_UNSUPPORTED, "the output is no tensor");
    *n = oc_tensor_elems(t);
    if (v->batch > 1 && t->rank > 1 && t->dims[0] == v->batch) *n /= v->batch;
    *best = 0;
    for (int64_t i = 1; i < *n; i++) {
        if (oc_tensor_get(t, i) > oc_tensor_get(t, *best)) *best = (int)i;
    }
    return *n > 0 ? OC_OK : oc__fail(err, OC_E_SHAPE, "the output is empty");
}

/* Where the network's input lies in the original. */
static void place_heat(oc_heat *h, const oc_transform *t, int width,
                       int height) {
    h->box[0] = (0 - t->offset_x) / t->scale_x;
    h->box[1] = (0 - t->offset_y) / t->scale_y;
    h->box[2] = (width - t->offset_x) / t->scale_x;
    h->box[3] = (height - t->offset_y) / t->scale_y;
    h->picture_width = t->source_width;
    h->picture_height = t->source_height;
}

static oc_status explain(oc_vision *v, const oc_image *img,
                         oc_explain_method method, oc_heat *h, oc_error *err) {
    oc_result times = {0};
    oc_transform where = {0};
    int64_t classes = 0;
    int best = 0;
    OC_TRY(oc__vision_infer(v, img, &times, &where, err));
    OC_TRY(best_class(v, &best, &classes, err));
    if (h->index < 0) h->index = best;
    if (h->index >= classes)
        return oc__fail(err, OC_E_ARG,
                        "there is no class %d: the model has %lld", h->index,
                        (long long)classes);
    oc_value seen = {.kind = OC_KIND_TENSOR};
    const oc_value *input = &seen;
    seen.t = v->seen;
    OC_TRY(prepare(v, &seen.t, err));
    int last = v->pre.layout == OC_LAYOUT_NHWC;
    int64_t height = input->t.dims[v->rank - (last ? 3 : 2)];
    int64_t width = input->t.dims[v->rank - (last ? 2 : 1)];
    place_heat(h, &where, (int)width, (int)height);
    return method == OC_EXPLAIN_GRAD_CAM
               ? grad_cam(v->explains, v, input, h, err)
               : recipro_cam(v->explains, v, input, classes, h, err);
}

oc_status oc_vision_explain(oc_vision *v, const oc_image *img, int index,
                            oc_explain_method method, oc_heat *out,
                            oc_error *err) {
    oc_heat h = {.index = index};
    if (v->card->task != OC_TASK_CLASSIFY)
        return oc__fail(err, OC_E_UNSUPPORTED,
                        "only classifiers can be asked why, not models that "
                        "%s",
                        oc_task_name((oc_task)v->card->task));
    if (index < -1)
        return oc__fail(err, OC_E_ARG, "there is no class %d", index);
    oc_status st = explain(v, img, method, &h, err);
    if (st) {
        oc_heat_deinit(&h);
        return st;
    }
    *out = h;
    return OC_OK;
}

void oc_heat_deinit(oc_heat *h) {
    if (!h) return;
    oc__release(h->allocator ? h->allocator : &oc__default_allocator, h->values,
                h->owned_bytes);
    memset(h, 0, sizeof *h);
}
