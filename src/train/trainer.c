/* trainer.c - see train.h. */
#include "train/trainer.h"

#include "arch/arch.h"
#include "cpu/features.h"
#include "onnx/export.h"
#include "passes/passes.h"
#include "runtime/model.h"
#include "train/qat.h"

#include <math.h>
#include <string.h>

/* ---- making one -----------------------------------------------------------
 */

static oc_status check_options(const oc_trainer_options *o, oc_error *err) {
    if (!o->arch == !o->model)
        return oc__fail(err, OC_E_ARG,
                        "either an architecture or a model is trained");
    if (o->batch < 1 || o->batch > 1 << 16)
        return oc__fail(err, OC_E_ARG, "a batch of %d is not in 1 to 65536",
                        o->batch);
    if (o->qat && !o->model)
        return oc__fail(err, OC_E_ARG,
                        "training for 8 bits goes on from a model in f32");
    if (o->arch && o->classes < 1)
        return oc__fail(err, OC_E_ARG, "there are no classes");
    if (o->taught < 0 || !(o->distill >= 0 && o->distill <= 1) ||
        !(o->temperature >= 0 && o->temperature <= 100))
        return oc__fail(err, OC_E_ARG,
                        "a teacher's share is in 0 to 1, its temperature in 0 "
                        "to 100");
    if (o->levels < 0 || (o->levels && (o->multi || !o->above)) ||
        !(o->hierarchy >= 0 && o->hierarchy <= 1))
        return oc__fail(err, OC_E_ARG,
                        "classes above the classes need a list, one label a "
                        "picture, and a share of the loss in 0 to 1");
    if (o->ema < 0 || o->ema >= 1)
        return oc__fail(err, OC_E_ARG, "an average of %g is not in 0 to 1",
                        o->ema);
    return OC_OK;
}

/* A class above is one of as many as there are classes at most. */
static oc_status check_above(const oc_trainer *t, oc_error *err) {
    size_t classes = (size_t)t->net.classes;
    for (size_t i = 0; i < (size_t)t->opt.levels * classes; i++)
        if (t->opt.above[i] < 0 || t->opt.above[i] >= t->net.classes)
            return oc__fail(err, OC_E_ARG,
                            "class %zu lies in class %d, which is not in 0 to "
                            "%d",
                            i % classes, t->opt.above[i], t->net.classes - 1);
    return OC_OK;
}

static oc_status make_net(oc_trainer *t, oc_error *err) {
    const oc_trainer_options *o = &t->opt;
    oc__net_options n = {.arch = o->arch,
                         .classes = o->classes,
                         .keep_head = o->keep_head,
                         .height = o->height,
                         .width = o->width,
                         .width_factor = o->width_factor,
                         .seed = o->seed,
                         .qat = o->qat};
    if (o->model) {
        /* Folded, but nothing fused: batch norms are to learn again, unless
           it is for 8 bits, where they are part of the weights. */
        oc_options m = {.allocator = &t->allocator,
                        .cpu_mask = o->cpu_mask,
                        .optimize = o->qat ? 0 : 1};
        OC_TRY(oc_model_load(&t->base, o->model, &m, err));
        n.model = t->base;
    }
    oc_status st = oc__net_init(&t->net, &n, &t->allocator, err);
    if (st != OC_OK && o->model) oc__error_prefix(err, o->model);
    if (st == OC_OK)
        oc__net_freeze(&t->net,
                       o->freeze == OC_TRAIN_HEAD_ONLY ? OC_FREEZE_BACKBONE
                       : o->freeze == OC_TRAIN_UPPER   ? OC_FREEZE_HALF
                                                       : OC_FREEZE_NOTHING);
    return st;
}

/* Memory of what goes with the variables, zero but for averages, which start
 * as the variables do. */
static oc_status make_state(oc_trainer *t, oc_error *err) {
    int n = t->net.n_vars, states = oc__optimizer_states(t->opt.optimizer);
    t->state = oc__arena_array(&t->net.arena, (size_t)n, sizeof(*t->state));
    t->averaged =
        oc__arena_array(&t->net.arena, (size_t)n, sizeof(*t->averaged));
    if (!t->state || !t->averaged) return oc__fail_nomem(err);
    for (int pass = 0; pass < 2; pass++) {
        size_t at = 0;
        for (int i = 0; i < n; i++) {
            const oc__var *v = &t->net.vars[i];
            size_t bytes = oc_tensor_bytes(&v->t);
            size_t step = oc__align_up(bytes, OC_ALIGN);
            if (pass) t->averaged[i] = v->t.data;
            if (!v->trained) continue;
            for (int s = 0; s < states && v->kind == OC_VAR_WEIGHT; s++) {
                if (pass) t->state[i].kept[s] = (float *)(t->state_block + at);
                at += step;
            }
            if (!(t->opt.ema > 0)) continue;
            if (pass) {
                t->state[i].average = (float *)(t->state_block + at);
                memcpy(t->state[i].average, v->t.data, bytes);
                t->averaged[i] = t->state[i].average;
            }
            at += step;
        }
        if (pass) break;
        t->state_bytes = OC_MAX(at, OC_ALIGN);
        t->state_block = oc__calloc(&t->allocator, t->state_bytes, 1);
        if (!t->state_block) return oc__fail_nomem(err);
    }
    return OC_OK;
}

static size_t bytes_needed(const oc_trainer *t) {
    oc_trainer_summary s;
    oc_trainer_summarize(t, &s);
    return s.state_bytes + s.activation_bytes + s.scratch_bytes;
}

/* Plans the step, with as much made twice as it takes to fit the memory. */
static oc_status plan_step(oc_trainer *t, oc_error *err) {
    static const int levels[] = {0, 1, 2, 3, 4, 5, 7};
    size_t least = SIZE_MAX, most = t->opt.memory_bytes;
    for (size_t i = 0; i < OC_COUNT(levels); i++) {
        t->env.recompute = levels[i];
        oc__exec_destroy(t->exec);
        t->exec = NULL;
        OC_TRY(oc__exec_create(&t->exec, t->step.g, &t->env, err));
        OC_TRY(oc__exec_plan(t->exec, t->refs, err));
        size_t all = bytes_needed(t);
        if (!most || all <= most) return OC_OK;
        least = OC_MIN(least, all);
    }
    return oc__fail(err, OC_E_LIMIT,
                    "a step of %d pictures of %d x %d needs %zu MB, but only "
                    "%zu MB may be used; take fewer or smaller ones",
                    t->opt.batch, t->net.width, t->net.height, least >> 20,
                    most >> 20);
}

static oc_status make_step(oc_trainer *t, oc_error *err) {
    const oc_allocator *a = &t->allocator;
    oc__arena_init(&t->arena, a);
    OC_TRY(oc__step_graph_build(&t->step, &t->net, t->state, &t->opt, &t->arena,
                                err));
    OC_TRY(oc__graph_sort(t->step.g, err));
    OC_TRY(oc__graph_verify(t->step.g, err));
    OC_TRY(oc__passes_run(t->step.g, &t->kernels, t->env.level, a, err));
    size_t n = (size_t)t->step.n_inputs;
    t->values = oc__arena_array(&t->arena, n, sizeof(*t->values));
    t->refs = oc__arena_array(&t->arena, n, sizeof(*t->refs));
    if (!t->values || !t->refs) return oc__fail_nomem(err);
    for (size_t i = 0; i < n; i++) {
        t->values[i].kind = OC_KIND_TENSOR;
        t->values[i].t = t->step.inputs[i];
        t->refs[i] = &t->values[i];
    }
    t->values[OC_STEP_KNOBS].t.data = t->knobs;
    OC_TRY(plan_step(t, err));
    t->recompute = t->env.recompute;
    t->env.recompute = 0; /* measuring has nothing to keep */
    return OC_OK;
}

static oc_status start(oc_trainer *t, oc_error *err) {
    int threads = t->opt.threads > 0 ? t->opt.threads : oc_cpu_count();
    oc__kernels_init(&t->kernels, oc__cpu_resolve(t->opt.cpu_mask));
    t->env.kernels = &t->kernels;
    t->env.allocator = &t->allocator;
    t->env.threads = threads;
    t->env.level = t->opt.optimize;
    t->env.profile = t->opt.profile;
    /* Programs for a few shapes; the largest is the step's own. */
    t->env.plan_cache_bytes = 1;
    oc__rng_init(&t->env.rng, t->opt.seed);
    atomic_init(&t->env.cancelled, 0);
    OC_TRY(oc__pool_create(&t->env.pool, &t->allocator, threads, err));
    OC_TRY(make_net(t, err));
    if (t->opt.taught > t->net.classes)
        return oc__fail(err, OC_E_ARG,
                        "a teacher of %d classes cannot teach %d",
                        t->opt.taught, t->net.classes);
    OC_TRY(check_above(t, err));
    OC_TRY(make_state(t, err));
    return make_step(t, err);
}

oc_status oc_trainer_create(oc_trainer **out, const oc_trainer_options *opt,
                            oc_error *err) {
    oc__error_clear(err);
    if (!out || !opt) return oc__fail(err, OC_E_ARG, "no place or no options");
    OC_TRY(check_options(opt, err));
    const oc_allocator *a =
        opt->allocator ? opt->allocator : &oc__default_allocator;
    oc_trainer *t = oc__calloc(a, 1, sizeof(*t));
    if (!t) return oc__fail_nomem(err);
    t->allocator = *a;
    t->opt = *opt;
    if (t->opt.temperature <= 0) t->opt.temperature = 2;
    oc__arena_init(&t->arena, &t->allocator);
    oc__arena_init(&t->measure_arena, &t->allocator);
    oc_status st = start(t, err);
    if (st != OC_OK) {
        oc_trainer_destroy(t);
        return st;
    }
    /* The caller's strings and lists may go; what they said is built in. */
    t->opt.class_weights = NULL;
    t->opt.above = NULL;
    *out = t;
    return OC_OK;
}

void oc__trainer_forget(oc_trainer *t) {
    oc__exec_destroy(t->measure);
    if (t->measure_graph) oc__graph_release(t->measure_graph);
    oc__arena_deinit(&t->measure_arena);
    oc__arena_init(&t->measure_arena, &t->allocator);
    t->measure = NULL;
    t->measure_graph = NULL;
}

void oc_trainer_destroy(oc_trainer *t) {
    if (!t) return;
    oc__trainer_forget(t);
    oc__exec_destroy(t->exec);
    if (t->step.g) oc__graph_release(t->step.g);
    oc__arena_deinit(&t->arena);
    oc__release(&t->allocator, t->state_block, t->state_bytes);
    if (t->net.allocator) oc__net_deinit(&t->net);
    oc_model_destroy(t->base);
    oc__pool_destroy(t->env.pool);
    oc_allocator a = t->allocator;
    oc__release(&a, t, sizeof(*t));
}

/* ---- steps ----------------------------------------------------------------
 */

/* Input i of the step is to be t. */
static oc_status bind(oc_trainer *t, int i, const oc_tensor *x,
                      const char *what, oc_error *err) {
    const oc_tensor *want = &t->step.inputs[i];
    char a[160], b[160];
    if (!x || !x->data || x->dtype != want->dtype ||
        !oc__tensor_same_shape(x, want))
        return oc__fail(err, OC_E_SHAPE, "%s must be %s, not %s", what,
                        oc__tensor_describe(want, a, sizeof(a)),
                        x ? oc__tensor_describe(x, b, sizeof(b)) : "nothing");
    t->values[i].t.data = x->data;
    return OC_OK;
}

static double or_default(double v, double usual) {
    return v > 0 ? v : v < 0 ? 0 : usual;
}

static void set_knobs(oc_trainer *t, const oc_step_options *o) {
    double b1 = or_default(o->momentum, 0.9);
    double b2 = or_default(o->beta2, 0.999), n = (double)(t->steps + 1);
    double kept = or_default(o->ema, t->opt.ema);
    float *k = t->knobs;
    k[OC_KNOB_RATE] = (float)o->rate;
    k[OC_KNOB_DECAY] = (float)o->decay;
    k[OC_KNOB_MOMENTUM] = (float)b1;
    k[OC_KNOB_BETA2] = (float)b2;
    k[OC_KNOB_EPSILON] = (float)or_default(o->epsilon, 1e-8);
    k[OC_KNOB_CLIP] = (float)o->clip;
    k[OC_KNOB_BIAS1] = (float)(1 - pow(b1, n));
    k[OC_KNOB_BIAS2] = (float)(1 - pow(b2, n));
    /* An average of few steps: of all of them alike. */
    k[OC_KNOB_EMA] = (float)OC_MIN(kept, n / (n + 9));
}

oc_status oc_trainer_step(oc_trainer *t, const oc_tensor *images,
                          const oc_tensor *targets, const oc_step_options *opt,
                          oc_step_result *out, oc_error *err) {
    static const oc_step_options none;
    oc__error_clear(err);
    OC_TRY(bind(t, OC_STEP_IMAGES, images, "the pictures", err));
    OC_TRY(bind(t, OC_STEP_TARGETS, targets, "the targets", err));
    if (t->opt.taught)
        OC_TRY(bind(t, OC_STEP_TEACHER, opt ? opt->teacher : NULL,
                    "the teacher's logits", err));
    set_knobs(t, opt ? opt : &none);
    oc__trainer_forget(t);
    OC_TRY(oc__exec_run(t->exec, t->refs, err));
    const oc_tensor *loss = &oc__exec_output(t->exec, OC_STEP_LOSS)->t;
    const oc_tensor *norm = &oc__exec_output(t->exec, OC_STEP_NORM)->t;
    oc_step_result r = {oc_tensor_get(loss, 0), oc_tensor_get(norm, 0),
                        &oc__exec_output(t->exec, OC_STEP_LOGITS)->t};
    t->steps++;
    if (out) *out = r;
    if (!isfinite(r.loss) || !isfinite(r.norm))
        return oc__fail(err, OC_E_FORMAT,
                        "at step %lld the %s is no number: the learning rate "
                        "may be too high, or the data hold what is none",
                        (long long)t->steps,
                        isfinite(r.loss) ? "gradient" : "loss");
    return OC_OK;
}

/* ---- measuring and saving -------------------------------------------------
 */

static oc_status make_measure(oc_trainer *t, oc_error *err) {
    t->measure_graph = oc__graph_clone(t->net.g, &t->measure_arena);
    if (!t->measure_graph) return oc__fail_nomem(err);
    /* Before the first step no range is known. */
    if (t->net.qat && t->steps)
        OC_TRY(oc__qat_rewrite(&t->net, t->measure_graph, err));
    OC_TRY(
        oc__passes_run(t->measure_graph, &t->kernels, 0, &t->allocator, err));
    return oc__exec_create(&t->measure, t->measure_graph, &t->env, err);
}

oc_status oc_trainer_predict(oc_trainer *t, const oc_tensor *images,
                             const oc_tensor **logits, oc_error *err) {
    oc_value in = {.kind = OC_KIND_TENSOR};
    const oc_value *ref = &in;
    oc_tensor want = oc_trainer_input(t);
    oc__error_clear(err);
    if (!images || !images->data || images->rank != 4)
        return oc__fail(err, OC_E_SHAPE, "there are no pictures");
    want.dims[0] = images->dims[0];
    if (images->dtype != want.dtype || !oc__tensor_same_shape(images, &want))
        return oc__fail(err, OC_E_SHAPE, "the pictures are of another shape");
    in.t = *images;
    oc__net_point(&t->net, t->averaged);
    oc_status st = t->measure ? OC_OK : make_measure(t, err);
    int profile = t->env.profile;
    t->env.profile = 0;
    if (st == OC_OK) st = oc__exec_run(t->measure, &ref, err);
    t->env.profile = profile;
    oc__net_point(&t->net, NULL);
    if (st != OC_OK) oc__trainer_forget(t);
    if (st == OC_OK) *logits = &oc__exec_output(t->measure, 0)->t;
    return st;
}

/* The data of the variables to be saved, the last layer's times `by`. */
static oc_status scaled_head(const oc_trainer *t, double by, oc__arena *arena,
                             void **from, oc_error *err) {
    for (int i = 0; i < t->net.n_vars; i++) {
        const oc__var *v = &t->net.vars[i];
        from[i] = t->averaged[i];
        if (!v->is_head || by == 1) continue;
        float *data = oc__arena_dup(arena, from[i], oc_tensor_bytes(&v->t));
        if (!data) return oc__fail_nomem(err);
        for (int64_t k = 0; k < oc_tensor_elems(&v->t); k++)
            data[k] = (float)((double)data[k] * by);
        from[i] = data;
    }
    return OC_OK;
}

/* The net in 8 bits, as it is pointed to now. */
static oc_status make_coded(const oc_trainer *t, oc__arena *arena,
                            oc__graph **out, oc_error *err) {
    if (!t->steps)
        return oc__fail(err, OC_E_ARG,
                        "no step was done, so no range of 8 bits is known");
    *out = oc__graph_clone(t->net.g, arena);
    if (!*out) return oc__fail_nomem(err);
    return oc__qat_rewrite(&t->net, *out, err);
}

oc_status oc__trainer_save(oc_trainer *t, double by, const char *path,
                           oc_error *err) {
    oc__wire_out o;
    oc__arena arena;
    const char *name = t->net.g->values[t->net.logits].name;
    oc__export_options opt = {&name};
    oc__arena_init(&arena, &t->allocator);
    void **from = oc__arena_array(&arena, (size_t)t->net.n_vars, sizeof(*from));
    oc_status st =
        from ? scaled_head(t, by, &arena, from, err) : oc__fail_nomem(err);
    if (st != OC_OK) {
        oc__arena_deinit(&arena);
        return st;
    }
    oc__put_init(&o, &t->allocator);
    oc__net_point(&t->net, from);
    oc__graph *g = t->net.g, *coded = NULL;
    if (t->net.qat) st = make_coded(t, &arena, &coded, err);
    if (st == OC_OK)
        st = oc__onnx_export(&o, &t->net.onnx, coded ? coded : g, &opt, err);
    if (st == OC_OK) st = oc__put_save(&o, path, err);
    oc__net_point(&t->net, NULL);
    oc__put_deinit(&o);
    if (coded) oc__graph_release(coded);
    oc__arena_deinit(&arena);
    return st;
}

oc_status oc_trainer_save(oc_trainer *t, const char *path, oc_error *err) {
    oc__error_clear(err);
    return oc__trainer_save(t, 1, path, err);
}

/* ---- asking ---------------------------------------------------------------
 */

int oc_trainer_classes(const oc_trainer *t) {
    return t->net.classes;
}

oc_tensor oc_trainer_input(const oc_trainer *t) {
    return t->step.inputs[OC_STEP_IMAGES];
}

int oc_trainer_is_nhwc(const oc_trainer *t) {
    return t->net.nhwc;
}

void oc_trainer_summarize(const oc_trainer *t, oc_trainer_summary *out) {
    const oc__program *p = oc__exec_program(t->exec);
    memset(out, 0, sizeof(*out));
    out->parameters = t->net.elems;
    for (int i = 0; i < t->net.n_vars; i++)
        if (t->net.vars[i].trained && t->net.vars[i].kind == OC_VAR_WEIGHT)
            out->trained += (size_t)oc_tensor_elems(&t->net.vars[i].t);
    out->state_bytes = t->net.block_bytes + t->state_bytes;
    out->activation_bytes = p->activation_bytes;
    out->scratch_bytes = p->scratch_bytes;
    out->steps = t->steps;
    out->recompute = t->recompute;
}

int oc_trainer_node_count(const oc_trainer *t) {
    return oc__exec_program(t->exec)->n_steps;
}

oc_status oc_trainer_node(const oc_trainer *t, int i, oc_step_info *out) {
    const oc__program *p = oc__exec_program(t->exec);
    if (i < 0 || i >= p->n_steps) return OC_E_ARG;
    const oc__step *s = &p->steps[i];
    const oc__step_time *time = &oc__exec_times(t->exec)[i];
    memset(out, 0, sizeof(*out));
    out->name = s->node->name;
    out->op = s->node->op->name;
    out->kernel = s->view ? "view" : s->kernel;
    out->runs = time->runs;
    out->total_ns = time->total_ns;
    out->min_ns = time->min_ns;
    out->flops = s->flops;
    out->bytes = s->bytes;
    for (int k = 0; k < s->node->n_out; k++)
        if (s->node->out[k] >= 0) {
            out->output = p->slots[s->node->out[k]].t;
            break;
        }
    out->output.data = NULL;
    return OC_OK;
}

const char *oc_arch_name(int i, const char **about) {
    return oc__arch_name(i, about);
}

/* ---- checkpoints ----------------------------------------------------------
 */

oc_status oc_trainer_checkpoint(const oc_trainer *t, const char *path,
                                oc_error *err) {
    oc__note none = {NULL, 0};
    oc__error_clear(err);
    return oc__checkpoint_write(t, &none, path, err);
}

oc_status oc_trainer_restore(oc_trainer *t, const char *path, oc_error *err) {
    oc__note note = {NULL, 0};
    oc__error_clear(err);
    oc_status st = oc__checkpoint_read(t, &note, &t->allocator, path, err);
    oc__release(&t->allocator, (void *)(uintptr_t)note.data, note.bytes);
    return st;
}
