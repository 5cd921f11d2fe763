/* session.c - the public face of an executor; see ocelli.h. */
#include "base/size.h"
#include "passes/tune.h"
#include "runtime/model.h"

#include <stdio.h>
#include <string.h>

enum { DEFAULT_PLAN_CACHE = 256 << 20 };

struct oc_session {
    oc_model *model;
    oc__exec_env env;
    oc__exec *exec;      /* over the model's graph */
    oc__exec *open_exec; /* over the open graph; made when first needed */
    oc__exec *last;      /* of the last plan or run */
    oc_value *values;    /* what each input is set to */
    char *is_set;
    int any_shape;         /* as in oc_session_options */
    oc__tune_bench *bench; /* where plans are tuned, or NULL */
    oc__tuner *tuner;
    void (*tuned)(void *user, const oc_tune_summary *what);
    void *tuned_user;
    const oc_value **refs; /* what is handed to the executor */
};

/* oc__model_program(), tuned where that is asked for. */
static oc_status make_program(void *session, oc__program **out,
                              const oc_value *const *inputs,
                              const oc__pass_env *env, oc_error *err) {
    oc_session *s = session;
    oc_tune_summary found;
    oc__pass_env here = *env;
    here.tuner = s->tuner;
    oc_status st = oc__model_program(s->model, out, inputs, &here, err);
    if (s->tuner && oc__tuner_end(s->tuner, &found) && st == OC_OK && s->tuned)
        s->tuned(s->tuned_user, &found);
    return st;
}

static oc_status make_tuner(oc_session *s, oc_error *err) {
    const oc_allocator *a = s->env.allocator;
    OC_TRY(
        oc__tune_bench_create(&s->bench, s->env.kernels, a, s->env.pool, err));
    oc__tune_meter meter = oc__tune_bench_meter(s->bench);
    return oc__tuner_create(&s->tuner, a, &meter, err);
}

oc_status oc_session_create(oc_session **out, oc_model *model,
                            const oc_session_options *opt, oc_error *err) {
    static const oc_session_options none;
    if (!out || !model)
        return oc__fail(err, OC_E_ARG, "oc_session_create: NULL argument");
    if (!opt) opt = &none;
    const oc_allocator *a = &model->allocator;
    oc_session *s = oc__calloc(a, 1, sizeof(*s));
    if (!s) return oc__fail_nomem(err);
    size_t n = (size_t)model->n_inputs;
    s->model = model;
    s->values = oc__calloc(a, n, sizeof(*s->values));
    s->is_set = oc__calloc(a, n, 1);
    s->refs = oc__calloc(a, n, sizeof(*s->refs));
    s->env.kernels = &model->kernels;
    s->env.allocator = a;
    s->env.threads = opt->threads > 0 ? opt->threads : oc_cpu_count();
    s->env.level = model->options.optimize;
    s->env.profile = opt->profile;
    s->any_shape = opt->any_shape;
    s->tuned = opt->tuned;
    s->tuned_user = opt->tuned_user;
    s->env.plan_cache_bytes =
        opt->plan_cache_bytes ? opt->plan_cache_bytes : DEFAULT_PLAN_CACHE;
    oc__rng_init(&s->env.rng, 0);
    atomic_init(&s->env.cancelled, 0);
    oc_status st = OC_OK;
    if (!s->values || !s->is_set || !s->refs) st = oc__fail_nomem(err);
    if (st == OC_OK) st = oc__pool_create(&s->env.pool, a, s->env.threads, err);
    if (st == OC_OK && opt->tune) st = make_tuner(s, err);
    if (st == OC_OK)
        st = oc__exec_create_with(&s->exec, model->n_inputs, make_program, s,
                                  &s->env, err);
    if (st != OC_OK) {
        oc_session_destroy(s);
        return st;
    }
    *out = s;
    return OC_OK;
}

void oc_session_destroy(oc_session *s) {
    if (!s) return;
    const oc_allocator *a = &s->model->allocator;
    size_t n = (size_t)s->model->n_inputs;
    oc__exec_destroy(s->exec);
    oc__exec_destroy(s->open_exec);
    oc__tuner_destroy(s->tuner);
    oc__tune_bench_destroy(s->bench);
    oc__pool_destroy(s->env.pool);
    oc__release(a, s->values, n * sizeof(*s->values));
    oc__release(a, s->is_set, n);
    oc__release(a, s->refs, n * sizeof(*s->refs));
    oc__release(a, s, sizeof(*s));
}

/* "f32[1,3,H,?]": free dims by their names. */
static const char *describe_declared(const oc_value_info *v, char *out,
                                     size_t bytes) {
    size_t n = (size_t)snprintf(out, bytes, "%s[", oc_dtype_name(v->dtype));
    for (int i = 0; i < v->rank && n < bytes; i++) {
        const char *sep = i ? "," : "";
        const char *name = v->dim_names[i] ? v->dim_names[i] : "?";
        if (v->dims[i] >= 0)
            n += (size_t)snprintf(out + n, bytes - n, "%s%lld", sep,
                                  (long long)v->dims[i]);
        else
            n += (size_t)snprintf(out + n, bytes - n, "%s%.24s", sep, name);
    }
    if (n < bytes) snprintf(out + n, bytes - n, "]");
    return out;
}

/* What the model declares of input i against what comes. */
static oc_status check_input(const oc_session *s, int i, const oc_value *v,
                             oc_error *err) {
    const oc_value_info *info = &s->model->inputs[i];
    const oc_tensor *t = &v->t;
    if (v->kind != OC_KIND_TENSOR) {
        if (v->kind == info->kind ||
            (v->kind == OC_KIND_NONE && info->optional))
            return OC_OK;
        return oc__fail(err, OC_E_ARG, "input \"%s\" is of another kind",
                        info->name);
    }
    char text[160];
    oc__tensor_describe(t, text, sizeof(text));
    if (t->rank < 0 || t->rank > OC_MAX_RANK || oc_dtype_bytes(t->dtype) == 0 ||
        (!t->data && oc_tensor_elems(t) > 0))
        return oc__fail(err, OC_E_ARG,
                        "input \"%s\" is set to a tensor without data or type",
                        info->name);
    if (info->kind == OC_KIND_TENSOR && info->dtype != OC_DTYPE_NONE &&
        info->dtype != t->dtype)
        return oc__fail(err, OC_E_ARG, "input \"%s\" wants %s, not %s",
                        info->name, oc_dtype_name(info->dtype), text);
    if (info->kind != OC_KIND_TENSOR || info->rank < 0) return OC_OK;
    int fits = info->rank == t->rank;
    for (int d = 0; d < t->rank && fits; d++)
        fits = info->dims[d] < 0 || info->dims[d] == t->dims[d];
    if (fits || s->any_shape) return OC_OK;
    char wanted[240];
    return oc__fail(err, OC_E_SHAPE, "input \"%s\" wants %s, not %s",
                    info->name, describe_declared(info, wanted, sizeof(wanted)),
                    text);
}

oc_status oc_session_set_input_value(oc_session *s, int i, const oc_value *v,
                                     oc_error *err) {
    if (!s || !v || i < 0 || i >= s->model->n_inputs)
        return oc__fail(err, OC_E_ARG, "there is no input number %d", i);
    OC_TRY(check_input(s, i, v, err));
    s->values[i] = *v;
    s->is_set[i] = 1;
    return OC_OK;
}

oc_status oc_session_set_input(oc_session *s, int i, const oc_tensor *t,
                               oc_error *err) {
    oc_value v = {.kind = OC_KIND_TENSOR};
    if (!t) return oc__fail(err, OC_E_ARG, "the tensor is NULL");
    v.t = *t;
    return oc_session_set_input_value(s, i, &v, err);
}

/* Chooses the graph and lists its inputs. */
static oc_status prepare(oc_session *s, oc_error *err) {
    oc_model *m = s->model;
    int open = 0;
    for (int i = 0; i < m->n_inputs; i++) {
        s->refs[i] = s->is_set[i] ? &s->values[i] : NULL;
        if (s->is_set[i])
            open |= m->inputs[i].optional == 1;
        else if (!m->inputs[i].optional)
            return oc__fail(err, OC_E_ARG, "input \"%s\" is not set",
                            m->inputs[i].name);
    }
    s->last = s->exec;
    if (!open) return OC_OK;
    oc__graph *g;
    const oc_tensor *const *defaults;
    OC_TRY(oc__model_open_graph(m, &g, &defaults, err));
    if (!s->open_exec) OC_TRY(oc__exec_create(&s->open_exec, g, &s->env, err));
    for (int i = 0; i < m->n_inputs; i++)
        if (!s->is_set[i] && defaults[i]) {
            s->values[i].kind = OC_KIND_TENSOR;
            s->values[i].t = *defaults[i];
            s->refs[i] = &s->values[i];
        }
    s->last = s->open_exec;
    return OC_OK;
}

oc_status oc_session_plan(oc_session *s, oc_error *err) {
    OC_TRY(prepare(s, err));
    return oc__exec_plan(s->last, s->refs, err);
}

oc_status oc_session_run(oc_session *s, oc_error *err) {
    atomic_store(&s->env.cancelled, 0);
    OC_TRY(prepare(s, err));
    return oc__exec_run(s->last, s->refs, err);
}

const oc_value *oc_session_output(const oc_session *s, int i) {
    return s->last ? oc__exec_output(s->last, i) : NULL;
}

const oc_tensor *oc_session_output_tensor(const oc_session *s, int i) {
    return oc_value_tensor(oc_session_output(s, i));
}

void oc_session_cancel(oc_session *s) {
    atomic_store(&s->env.cancelled, 1);
}

/* ---- looking inside
 * --------------------------------------------------------------- */

static const oc__program *program_of(const oc_session *s) {
    return s->last ? oc__exec_program(s->last) : NULL;
}

int oc_session_step_count(const oc_session *s) {
    const oc__program *p = program_of(s);
    return p ? p->n_steps : 0;
}

oc_status oc_session_step(const oc_session *s, int i, oc_step_info *out) {
    const oc__program *p = program_of(s);
    if (!p || i < 0 || i >= p->n_steps) return OC_E_ARG;
    const oc__step *step = &p->steps[i];
    const oc__step_time *t = &oc__exec_times(s->last)[i];
    memset(out, 0, sizeof(*out));
    out->name = step->node->name;
    out->op = step->node->op->name;
    out->kernel = step->view ? "view" : step->kernel;
    out->runs = t->runs;
    out->total_ns = t->total_ns;
    out->min_ns = t->min_ns;
    out->flops = step->flops;
    out->bytes = step->bytes;
    if (step->node->n_out > 0 && step->node->out[0] >= 0)
        out->output = p->slots[step->node->out[0]].t;
    out->output.data = NULL;
    return OC_OK;
}

void oc_session_memory(const oc_session *s, oc_memory_summary *out) {
    const oc__program *p = program_of(s);
    memset(out, 0, sizeof(*out));
    if (!p) return;
    out->weight_bytes = p->weight_bytes;
    out->activation_bytes = p->activation_bytes;
    out->scratch_bytes = p->scratch_bytes;
    out->unplanned_bytes = p->unplanned_bytes;
    for (int v = 0; v < p->graph->n_values; v++)
        out->tensor_count +=
            p->slots[v].kind == OC_SLOT_PLANNED && p->slots[v].root == v;
}

oc_status oc_session_memory_tensor(const oc_session *s, int i,
                                   oc_memory_info *out) {
    const oc__program *p = program_of(s);
    for (int v = 0; p && v < p->graph->n_values; v++) {
        const oc__slot *slot = &p->slots[v];
        if (slot->kind != OC_SLOT_PLANNED || slot->root != v || i-- > 0)
            continue;
        out->name = p->graph->values[v].name;
        out->offset = slot->offset;
        out->bytes = slot->bytes;
        out->first_step = slot->first;
        out->last_step = OC_MIN(slot->last, p->n_steps - 1);
        return OC_OK;
    }
    return OC_E_ARG;
}
