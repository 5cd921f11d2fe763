/*
 * recurrent.c - RNN, GRU and LSTM.
 *
 * The inputs of all steps are multiplied by W at once; what is left for each
 * step is one product with R (two for a GRU) and the gates.  Rows of the
 * batch whose sequence has ended stand still: their state is kept, their
 * output is zero.
 */
#include "ops/nn.h"

#include <math.h>
#include <string.h>

enum { RNN, GRU, LSTM };

typedef struct rnn_act {
    int affine; /* a x + b, which is no kernel's activation */
    oc__act_args args;
} rnn_act;

typedef struct rnn_job {
    const oc__kernels *kernels;
    int kind, layout, directions, reverse, linear_before_reset, input_forget;
    int64_t gates, steps, batch, input, hidden, longest;
    double clip; /* 0: none */
    rnn_act acts[2][3];
    oc_dtype dtype, real;
    const void *x, *w, *r, *b, *h0, *c0, *p;
    const oc_tensor *lengths;
    void *y, *yh, *yc;
    /* Scratch.  z: the gates before activation, a row a batch entry. */
    void *xw, *z, *product, *spare, *h, *c, *bias_sum;
    void *packed_w, *packed_r, *packed_rh, *gemm;
    /* Where the run is. */
    int dir, phase;
    int64_t at;
} rnn_job;

static int64_t length_of(const rnn_job *job, int64_t b) {
    return job->lengths ? oc__tensor_get_i64(job->lengths, b) : job->steps;
}

/* The time that row b is at: backwards it starts from its own end. */
static int64_t time_of(const rnn_job *job, int64_t b) {
    int backwards = job->dir == 1 || job->reverse;
    return backwards ? length_of(job, b) - 1 - job->at : job->at;
}

static int64_t output_at(const rnn_job *job, int64_t t, int64_t b) {
    int64_t d = job->directions;
    int64_t row = job->layout ? (b * job->steps + t) * d + job->dir
                              : (t * d + job->dir) * job->batch + b;
    return row * job->hidden;
}

static int64_t state_at(const rnn_job *job, int64_t b) {
    int64_t row = job->layout ? b * job->directions + job->dir
                              : job->dir * job->batch + b;
    return row * job->hidden;
}

#define REAL                    float
#define FN(name)                name##_f32
#define LIN(name)               oc__lin_f32##name
#define ACT(kernels, act, x, n) (kernels)->act_f32(act, x, x, (size_t)(n))
#include "ops/recurrent.inc"
#undef REAL
#undef FN
#undef LIN
#undef ACT
#define REAL                    double
#define FN(name)                name##_f64
#define LIN(name)               oc__lin_f64##name
#define ACT(kernels, act, x, n) ((void)(kernels), oc__act_f64(act, x, x, n))
#include "ops/recurrent.inc"
#undef REAL
#undef FN
#undef LIN
#undef ACT

/* ---- attributes -----------------------------------------------------------
 */

/* Activations may be written in any case. */
static int same_name(const char *a, const char *b) {
    for (; *a && *b; a++, b++) {
        int x = *a >= 'A' && *a <= 'Z' ? *a + 32 : *a;
        int y = *b >= 'A' && *b <= 'Z' ? *b + 32 : *b;
        if (x != y) return 0;
    }
    return *a == *b;
}

/* alpha and beta are lists that only activations with such a parameter take
 * from, in order. */
static oc_status read_act(const oc__ctx *c, const char *name, size_t *alpha_at,
                          size_t *beta_at, rnn_act *out) {
    static const struct {
        const char *name;
        oc__act kind;
        int params; /* 1: alpha, 2: alpha and beta */
        float a, b;
    } known[] = {
        {"Relu", OC_ACT_RELU, 0, 0, 0},
        {"Tanh", OC_ACT_TANH, 0, 0, 0},
        {"Sigmoid", OC_ACT_SIGMOID, 0, 0, 0},
        {"Affine", OC_ACT_NONE, 2, 1, 0},
        {"LeakyRelu", OC_ACT_LEAKY_RELU, 1, 0.01f, 0},
        {"ThresholdedRelu", OC_ACT_THRESHOLDED_RELU, 1, 1, 0},
        {"ScaledTanh", OC_ACT_SCALED_TANH, 2, 1, 1},
        {"HardSigmoid", OC_ACT_HARD_SIGMOID, 2, 0.2f, 0.5f},
        {"Elu", OC_ACT_ELU, 1, 1, 0},
        {"Softsign", OC_ACT_SOFTSIGN, 0, 0, 0},
        {"Softplus", OC_ACT_SOFTPLUS, 0, 0, 0},
    };
    size_t n_alpha, n_beta;
    const float *alpha = oc__attr_floats(c->node, "activation_alpha", &n_alpha);
    const float *beta = oc__attr_floats(c->node, "activation_beta", &n_beta);
    for (size_t i = 0; i < OC_COUNT(known); i++) {
        if (!same_name(name, known[i].name)) continue;
        out->affine = known[i].kind == OC_ACT_NONE;
        out->args.kind = known[i].kind;
        out->args.a = known[i].a;
        out->args.b = known[i].b;
        if (known[i].params > 0 && *alpha_at < n_alpha)
            out->args.a = alpha[(*alpha_at)++];
        if (known[i].params > 1 && *beta_at < n_beta)
            out->args.b = beta[(*beta_at)++];
        return OC_OK;
    }
    return oc__op_fail(c, OC_E_UNSUPPORTED, "activation \"%s\"", name);
}

static oc_status read_acts(const oc__ctx *c, rnn_job *job) {
    static const char *const usual[][3] = {
        [RNN] = {"Tanh"},
        [GRU] = {"Sigmoid", "Tanh"},
        [LSTM] = {"Sigmoid", "Tanh", "Tanh"},
    };
    size_t per = job->kind == LSTM ? 3 : job->kind == GRU ? 2 : 1;
    size_t given, alpha_at = 0, beta_at = 0;
    const oc_string *names = oc__attr_strings(c->node, "activations", &given);
    if (given && given < per * (size_t)job->directions)
        return oc__op_fail(c, OC_E_ARG, "%zu activations are too few", given);
    for (int d = 0; d < job->directions; d++)
        for (size_t i = 0; i < per; i++) {
            const char *name =
                given ? names[(size_t)d * per + i].data : usual[job->kind][i];
            OC_TRY(read_act(c, name, &alpha_at, &beta_at, &job->acts[d][i]));
        }
    return OC_OK;
}

static oc_status read_direction(const oc__ctx *c, rnn_job *job) {
    const char *s = oc__attr_string(c->node, "direction", "forward");
    job->directions = 1;
    if (!strcmp(s, "bidirectional"))
        job->directions = 2;
    else if (!strcmp(s, "reverse"))
        job->reverse = 1;
    else if (strcmp(s, "forward") && strcmp(s, "foward"))
        /* GRU's first version spells its own default that way. */
        return oc__op_fail(c, OC_E_ARG, "direction is \"%s\"", s);
    return OC_OK;
}

/* ---- shapes ---------------------------------------------------------------
 */

/* Input i, when given, must have these dims. */
static oc_status check_shape(const oc__ctx *c, int i, oc_dtype dtype, int rank,
                             int64_t d0, int64_t d1, int64_t d2) {
    const oc_tensor *t = oc__in(c, i);
    if (!t) return OC_OK;
    OC_TRY(oc__want(c, i, 1u << dtype));
    if (t->rank == rank && t->dims[0] == d0 && (rank < 2 || t->dims[1] == d1) &&
        (rank < 3 || t->dims[2] == d2))
        return OC_OK;
    char text[160];
    return oc__op_fail(c, OC_E_SHAPE, "input %d is %s", i,
                       oc__tensor_describe(t, text, sizeof(text)));
}

static oc_status read_rnn(const oc__ctx *c, rnn_job *job) {
    memset(job, 0, sizeof(*job));
    OC_TRY(oc__want(c, 0, OC_T_F));
    for (int i = 0; i < 3; i++)
        OC_TRY(oc__want_rank(c, i, 3, 3));
    const oc_tensor *x = oc__in(c, 0), *w = oc__in(c, 1), *r = oc__in(c, 2);
    job->kernels = c->kernels;
    job->kind = c->op->kind;
    job->gates = job->kind == LSTM ? 4 : job->kind == GRU ? 3 : 1;
    job->layout = oc__attr_int(c->node, "layout", 0) != 0;
    job->linear_before_reset =
        oc__attr_int(c->node, "linear_before_reset", 0) != 0;
    job->input_forget = oc__attr_int(c->node, "input_forget", 0) != 0;
    job->clip = oc__attr_float(c->node, "clip", 0);
    job->dtype = x->dtype;
    job->real = oc__real_of(x->dtype);
    OC_TRY(read_direction(c, job));
    OC_TRY(read_acts(c, job));
    int64_t d = job->directions, h = r->dims[2];
    job->steps = x->dims[job->layout ? 1 : 0];
    job->batch = x->dims[job->layout ? 0 : 1];
    job->input = x->dims[2];
    job->hidden = h;
    if (oc__attr_int(c->node, "hidden_size", h) != h)
        return oc__op_fail(c, OC_E_SHAPE, "hidden_size does not fit to R");
    if (h > INT32_MAX || w->dims[1] != job->gates * h)
        return oc__op_fail(c, OC_E_SHAPE, "W and R do not fit together");
    int64_t g = job->gates * h, b = job->batch;
    OC_TRY(check_shape(c, 1, x->dtype, 3, d, g, job->input));
    OC_TRY(check_shape(c, 2, x->dtype, 3, d, g, h));
    OC_TRY(check_shape(c, 3, x->dtype, 2, d, 2 * g, 0));
    OC_TRY(check_shape(c, 4, OC_DTYPE_I32, 1, b, 0, 0));
    int64_t s0 = job->layout ? b : d, s1 = job->layout ? d : b;
    OC_TRY(check_shape(c, 5, x->dtype, 3, s0, s1, h));
    if (job->kind == LSTM) {
        OC_TRY(check_shape(c, 6, x->dtype, 3, s0, s1, h));
        OC_TRY(check_shape(c, 7, x->dtype, 2, d, 3 * h, 0));
    }
    job->lengths = oc__in(c, 4);
    return OC_OK;
}

static size_t largest_gemm(const oc__ctx *c, const rnn_job *job) {
    const oc__kernels *kt = c->kernels;
    int threads = OC_MAX(c->threads, 1);
    int64_t wide = job->gates * job->hidden;
    if (job->real == OC_DTYPE_F64) return 0;
    size_t a = oc__lin_f32_scratch(kt, job->steps * job->batch, wide,
                                   job->input, threads);
    size_t b = oc__lin_f32_scratch(kt, job->batch, wide, job->hidden, threads);
    size_t d =
        oc__lin_f32_scratch(kt, job->batch, job->hidden, job->hidden, threads);
    return OC_MAX(OC_MAX(a, b), d);
}

static void *take_packed(const oc__ctx *c, oc__bump *b, const rnn_job *job,
                         int64_t k, int64_t n) {
    size_t elems = job->real == OC_DTYPE_F64
                       ? oc__lin_f64_packed(c->kernels, k, n)
                       : oc__lin_f32_packed(c->kernels, k, n);
    return oc__bump_take(b, (int64_t)elems, oc_dtype_bytes(job->real));
}

static void layout(oc__ctx *c, oc__bump *b, rnn_job *job) {
    size_t elem = oc_dtype_bytes(job->real);
    int64_t wide = job->gates * job->hidden;
    int64_t state = job->batch * job->hidden;
    int64_t all = job->steps * job->batch * job->hidden * job->directions;
    job->x = oc__real_in(c, b, 0, job->real);
    job->w = oc__real_in(c, b, 1, job->real);
    job->r = oc__real_in(c, b, 2, job->real);
    job->b = oc__real_in(c, b, 3, job->real);
    job->h0 = oc__real_in(c, b, 5, job->real);
    job->y = oc__real_out(c, b, 0, job->dtype, all, job->real);
    job->yh =
        oc__real_out(c, b, 1, job->dtype, state * job->directions, job->real);
    if (job->kind == LSTM) {
        job->c0 = oc__real_in(c, b, 6, job->real);
        job->p = oc__real_in(c, b, 7, job->real);
        job->yc = oc__real_out(c, b, 2, job->dtype, state * job->directions,
                               job->real);
    }
    job->xw = oc__bump_take(b, job->steps * job->batch * wide, elem);
    job->z = oc__bump_take(b, job->batch * wide, elem);
    job->product = oc__bump_take(b, state, elem);
    job->spare = oc__bump_take(b, state, elem);
    job->h = oc__bump_take(b, state, elem);
    job->c = oc__bump_take(b, state, elem);
    job->bias_sum = oc__bump_take(b, wide, elem);
    job->packed_w = take_packed(c, b, job, job->input, wide);
    job->packed_r = take_packed(c, b, job, job->hidden, wide);
    job->packed_rh = take_packed(c, b, job, job->hidden, job->hidden);
    job->gemm = oc__bump_take(b, (int64_t)largest_gemm(c, job), 1);
}

static oc_status infer_rnn(oc__ctx *c) {
    rnn_job job;
    OC_TRY(read_rnn(c, &job));
    int64_t t = job.steps, b = job.batch, d = job.directions, h = job.hidden;
    int64_t y[] = {job.layout ? b : t, job.layout ? t : d, job.layout ? d : b,
                   h};
    int64_t s[] = {job.layout ? b : d, job.layout ? d : b, h};
    OC_TRY(oc__out_set(c, 0, job.dtype, 4, y));
    OC_TRY(oc__out_set(c, 1, job.dtype, 3, s));
    if (job.kind == LSTM) OC_TRY(oc__out_set(c, 2, job.dtype, 3, s));
    oc__bump bump = oc__bump_counter();
    layout(c, &bump, &job);
    return oc__bump_need(c, &bump);
}

static oc_status run_rnn(oc__ctx *c) {
    rnn_job job;
    OC_TRY(read_rnn(c, &job));
    oc__bump b = oc__bump_cutter(c);
    layout(c, &b, &job);
    for (int64_t i = 0; i < job.batch; i++) {
        int64_t n = length_of(&job, i);
        if (n < 0 || n > job.steps)
            return oc__op_fail(c, OC_E_ARG, "sequence_lens[%lld] is %lld",
                               (long long)i, (long long)n);
        job.longest = OC_MAX(job.longest, n);
    }
    int64_t all = job.steps * job.batch * job.hidden * job.directions;
    if (job.y) memset(job.y, 0, (size_t)all * oc_dtype_bytes(job.real));
    if (job.batch > 0 && job.hidden > 0)
        for (job.dir = 0; job.dir < job.directions; job.dir++) {
            if (job.real == OC_DTYPE_F64)
                run_direction_f64(c, &job);
            else
                run_direction_f32(c, &job);
        }
    oc__real_done(c, 0, job.y, job.real);
    oc__real_done(c, 1, job.yh, job.real);
    if (job.kind == LSTM) oc__real_done(c, 2, job.yc, job.real);
    return OC_OK;
}

static double flops_rnn(const oc__ctx *c) {
    const oc_tensor *x = oc__in(c, 0), *w = oc__in(c, 1), *r = oc__in(c, 2);
    if (!x || !w || !r) return 0;
    return 2.0 * (double)x->dims[0] * (double)x->dims[1] *
           ((double)oc_tensor_elems(w) + (double)oc_tensor_elems(r));
}

const oc__op oc__ops_recurrent[] = {
    {"", "RNN", 1, 3, 6, 2, 0, RNN, infer_rnn, run_rnn, flops_rnn},
    {"", "GRU", 1, 3, 6, 2, 0, GRU, infer_rnn, run_rnn, flops_rnn},
    {"", "LSTM", 1, 3, 8, 3, 0, LSTM, infer_rnn, run_rnn, flops_rnn},
    {0},
};
