/*
 * grad_axes.c - gradients of what takes elements axis by axis, in the domain
 * "ocelli"; x, g and what the operator itself has for inputs between them:
 *
 *   ResizeGrad         x, roi, scales, sizes, g
 *   UpsampleGrad       x, scales, -, -, g
 *   SliceGrad          x, starts, ends, axes, steps, g
 *   PadGrad            x, pads, value, axes, g
 *   CenterCropPadGrad  x, shape, g
 *   TileGrad           x, g
 *
 * All of them are, along each axis on its own, tables: output position o is a
 * sum of some input positions, each with a weight, or of none (-1).  Taking
 * the gradient back runs the tables backwards, one axis after the other.
 */
#include "ops/nn.h"
#include "ops/pad.h"
#include "ops/resample.h"
#include "ops/slice.h"

#include <string.h>

enum { RESIZE, SLICE, PAD, CENTER, TILE };

/* Columns that one worker takes at a time. */
#define CHUNK 1024

typedef struct axis {
    int64_t in, out;
    int taps, same; /* same: every position maps to itself */
    int64_t *index; /* [out][taps] */
    double *weight; /* the same, or NULL: 1 each */
} axis;

typedef struct axes_job {
    int rank;
    axis axis[OC_MAX_RANK];
    oc_dtype dtype, real;
    const void *g;
    void *dx, *buffer[2];
    /* What was asked for, by kind. */
    oc__resize_spec resize;
    oc__slice slice;
    oc__pad_axis pad[OC_MAX_RANK];
    oc__pad_mode mode;
} axes_job;

/* One axis at work: [outer][out][inner] of g to [outer][in][inner] of dx. */
typedef struct axis_job {
    const axis *a;
    int64_t inner, chunks;
    const void *g;
    void *dx;
} axis_job;

#define REAL     float
#define FN(name) name##_f32
#include "ops/grad_axes.inc"
#undef REAL
#undef FN
#define REAL     double
#define FN(name) name##_f64
#include "ops/grad_axes.inc"
#undef REAL
#undef FN

/* ---- the tables -----------------------------------------------------------
 */

static oc_status read_kind(oc__ctx *c, axes_job *j) {
    switch (c->op->kind) {
    case RESIZE: return oc__resize_read(c, &j->resize);
    case SLICE: return oc__slice_read(c, &j->slice);
    case PAD: return oc__pad_read(c, &j->mode, j->pad);
    case CENTER: return oc__center_read(c, j->pad);
    default: return OC_OK;
    }
}

/* How long the axis becomes, and whether that is all that happens to it. */
static void measure(int kind, const axes_job *j, int i, axis *a) {
    if (kind == RESIZE) {
        a->out = j->resize.axis[i].out;
        a->taps = j->resize.axis[i].taps;
        a->same = !j->resize.axis[i].resized;
    } else if (kind == SLICE) {
        a->out = j->slice.size[i];
        a->same = a->out == a->in && j->slice.begin[i] == 0;
    } else if (kind == TILE) {
        a->same = a->out == a->in;
    } else {
        a->out = j->pad[i].out;
        a->same = j->pad[i].n == a->in && a->out == a->in;
    }
}

static void fill_table(int kind, const axes_job *j, int i, const axis *a) {
    const oc__pad_axis *p = &j->pad[i];
    for (int64_t o = 0; o < a->out; o++) {
        int64_t at = o - p->before, *to = &a->index[o * a->taps];
        if (kind == RESIZE && a->weight) {
            double *w = &a->weight[o * a->taps];
            if (oc__resize_taps(&j->resize, &j->resize.axis[i], o, to, w))
                for (int k = 0; k < a->taps; k++)
                    to[k] = -1;
        } else if (kind == RESIZE) {
            *to = oc__resize_nearest(&j->resize, &j->resize.axis[i], o);
        } else if (kind == SLICE) {
            *to = j->slice.begin[i] + o * j->slice.step[i];
        } else if (kind == TILE) {
            *to = o % a->in;
        } else if (j->mode == OC_PAD_CONSTANT && (at < 0 || at >= p->n)) {
            *to = -1;
        } else {
            *to = p->begin + oc__pad_source(j->mode, at, p->n);
        }
    }
}

/* ---- the operators --------------------------------------------------------
 */

static int last_input(const oc__ctx *c) {
    return c->op->max_in - 1;
}

static oc_status read_axes(oc__ctx *c, axes_job *j) {
    int g_at = last_input(c);
    memset(j, 0, sizeof(*j));
    OC_TRY(oc__want(c, g_at, OC_T_F));
    OC_TRY(oc__want(c, 0, 1u << oc__in(c, g_at)->dtype));
    OC_TRY(read_kind(c, j));
    const oc_tensor *x = oc__in(c, 0), *g = oc__in(c, g_at);
    int fits = x->rank == g->rank;
    j->rank = x->rank;
    j->dtype = x->dtype;
    j->real = oc__real_of(x->dtype);
    for (int i = 0; i < x->rank && fits; i++) {
        axis *a = &j->axis[i];
        *a = (axis){.in = x->dims[i], .out = g->dims[i], .taps = 1};
        measure(c->op->kind, j, i, a);
        fits = a->out == g->dims[i] &&
               (a->in > 0 || a->out == 0 || c->op->kind == PAD ||
                c->op->kind == CENTER);
    }
    if (!fits)
        return oc__op_fail(c, OC_E_SHAPE, "g has not the output's shape");
    return OC_OK;
}

static void layout(oc__ctx *c, oc__bump *b, axes_job *j) {
    int weighted = c->op->kind == RESIZE && j->resize.mode != OC_RESIZE_NEAREST;
    int64_t n = oc_tensor_elems(oc__in(c, 0)), dims[OC_MAX_RANK];
    j->g = oc__real_in(c, b, last_input(c), j->real);
    j->dx = oc__real_out(c, b, 0, j->dtype, n, j->real);
    for (int i = 0; i < j->rank; i++)
        dims[i] = j->axis[i].out;
    for (int i = 0; i < j->rank; i++) {
        axis *a = &j->axis[i];
        if (a->same) continue;
        size_t bytes = sizeof(int64_t) * (size_t)a->taps;
        a->index = oc__bump_take(b, a->out, bytes);
        if (weighted) a->weight = oc__bump_take(b, a->out, bytes);
        dims[i] = a->in;
        n = OC_MAX(n, oc__count(dims, j->rank));
    }
    for (int k = 0; k < 2; k++)
        j->buffer[k] = oc__bump_take(b, n, oc_dtype_bytes(j->real));
}

static oc_status infer_axes(oc__ctx *c) {
    axes_job j;
    OC_TRY(oc__want(c, 0, OC_T_F));
    for (int i = 1; i < last_input(c); i++)
        if (oc__in_value(c, i) &&
            !(oc__in(c, i) && oc_tensor_elems(oc__in(c, i)) == 0) &&
            !(c->op->kind == PAD && i == 2))
            OC_NEED_DATA(c, i);
    OC_TRY(read_axes(c, &j));
    OC_TRY(oc__out_like(c, 0, oc__in(c, 0)));
    oc__bump b = oc__bump_counter();
    layout(c, &b, &j);
    return oc__bump_need(c, &b);
}

/* Takes axes back from the first; buffers take turns, the last one fills dx. */
static void walk_axes(oc__ctx *c, axes_job *j) {
    int left = 0, turn = 0;
    int64_t outer = 1;
    const void *from = j->g;
    for (int i = 0; i < j->rank; i++)
        left += !j->axis[i].same;
    if (!left)
        memcpy(j->dx, from,
               (size_t)oc_tensor_elems(oc__in(c, 0)) * oc_dtype_bytes(j->real));
    for (int i = 0; i < j->rank; outer *= j->axis[i].in, i++) {
        axis_job job = {.a = &j->axis[i], .inner = 1, .g = from};
        if (job.a->same) continue;
        fill_table(c->op->kind, j, i, job.a);
        for (int k = i + 1; k < j->rank; k++)
            job.inner *= j->axis[k].out;
        job.chunks = OC_CEIL_DIV(job.inner, CHUNK);
        job.dx = --left ? j->buffer[turn] : j->dx;
        turn = !turn;
        int64_t each = job.a->out * job.a->taps * OC_MIN(job.inner, CHUNK);
        oc__parallel(c, outer * job.chunks, 16384 / (each + 1) + 1,
                     j->real == OC_DTYPE_F64 ? axis_range_f64 : axis_range_f32,
                     &job);
        from = job.dx;
    }
}

static oc_status run_axes(oc__ctx *c) {
    axes_job j;
    OC_TRY(read_axes(c, &j));
    oc__bump b = oc__bump_cutter(c);
    layout(c, &b, &j);
    int64_t n = oc_tensor_elems(oc__in(c, 0));
    if (n == 0) return OC_OK;
    if (oc_tensor_elems(oc__in(c, last_input(c))) == 0)
        memset(j.dx, 0, (size_t)n * oc_dtype_bytes(j.real));
    else
        walk_axes(c, &j);
    oc__real_done(c, 0, j.dx, j.real);
    return OC_OK;
}

#define AXES(name, kind, inputs)                                               \
    {                                                                          \
        "ocelli", name, 1, inputs, inputs, 1, 0, kind, infer_axes, run_axes,   \
            NULL                                                               \
    }

const oc__op oc__ops_grad_axes[] = {
    AXES("ResizeGrad", RESIZE, 5),
    AXES("UpsampleGrad", RESIZE, 5),
    AXES("SliceGrad", SLICE, 6),
    AXES("PadGrad", PAD, 5),
    AXES("CenterCropPadGrad", CENTER, 3),
    AXES("TileGrad", TILE, 2),
    {0},
};
