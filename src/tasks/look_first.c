/*
 * look_first.c - what a network does to its input first, and so what it
 * expects there.
 *
 * Weights carry the scale of what they were trained on: a filter that answers
 * pictures of 0..255 moderately has weights a hundred times smaller than one
 * that answers 0..1 moderately.  Where a BatchNormalization still stands
 * behind the first convolution its running mean and variance are a record of
 * the training pictures, and the input's mean and deviation follow.
 */
#include "base/size.h"
#include "ops/op.h"
#include "tasks/look.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/*
 * Natural pictures, levels of 0..1, at the size networks see: deviation, how
 * much the colours go together, and how fast neighbours part, per pixel.
 * Measured on photographs; 10 % either way changes no conclusion.
 */
#define PHOTO_MEAN  0.45
#define PHOTO_STD   0.27
#define PHOTO_COLOR 0.93
#define PHOTO_DECAY 0.06

static int is(const oc__node *n, const char *op) {
    return !strcmp(n->op->name, op);
}

static const oc_tensor *constant(const oc__look *l, const oc__node *n, int i) {
    if (i >= n->n_in || n->in[i] < 0) return NULL;
    const oc_tensor *t = l->graph->values[n->in[i]].constant;
    return t && t->data && t->dtype != OC_DTYPE_STRING ? t : NULL;
}

static const oc__node *only_user(const oc__look *l, int value) {
    for (int i = 0; i < l->graph->n_nodes; i++) {
        const oc__node *n = l->graph->nodes[i];
        for (int k = 0; k < n->n_in; k++) {
            if (n->in[k] == value) return n;
        }
    }
    return NULL;
}

/* ---- arithmetic in front --------------------------------------------------
 */

static int one_or_three(const oc_tensor *t) {
    int64_t n = t ? oc_tensor_elems(t) : 0;
    return n == 1 || n == 3;
}

/* a, b after y = op(x, t) or, with `second`, y = op(t, x). */
static int apply(oc__affine *f, const char *op, const oc_tensor *t,
                 int second) {
    int64_t n = oc_tensor_elems(t);
    if (n == 3 && f->n == 1) {
        f->a[1] = f->a[2] = f->a[0];
        f->b[1] = f->b[2] = f->b[0];
        f->n = 3;
    }
    for (int c = 0; c < f->n; c++) {
        double v = oc__tensor_get_f64(t, n == 3 ? c : 0);
        double *a = &f->a[c], *b = &f->b[c];
        if (!strcmp(op, "Add")) {
            *b += v;
        } else if (!strcmp(op, "Sub")) {
            *a = second ? -*a : *a;
            *b = second ? v - *b : *b - v;
        } else if (!strcmp(op, "Mul")) {
            *a *= v;
            *b *= v;
        } else if (!second && v != 0) {
            *a /= v;
            *b /= v;
        } else {
            return 0;
        }
    }
    f->found = 1;
    return 1;
}

/* BatchNormalization straight on the input. */
static int apply_norm(const oc__look *l, oc__affine *f, const oc__node *n) {
    const oc_tensor *t[5];
    for (int i = 1; i < 5; i++) {
        t[i] = constant(l, n, i);
        if (!one_or_three(t[i])) return 0;
    }
    double eps = oc__attr_float(n, "epsilon", 1e-5f);
    int count = (int)oc_tensor_elems(t[1]);
    for (int c = 0; c < count; c++) {
        double k = oc__tensor_get_f64(t[1], c) /
                   sqrt(oc__tensor_get_f64(t[4], c) + eps);
        double a = count == f->n ? f->a[c] : f->a[0];
        double b = count == f->n ? f->b[c] : f->b[0];
        f->a[c] = a * k;
        f->b[c] =
            (b - oc__tensor_get_f64(t[3], c)) * k + oc__tensor_get_f64(t[2], c);
    }
    f->n = count;
    f->found = 1;
    return 1;
}

/* One step from the input towards the first layer; NULL: no further. */
static const oc__node *step(const oc__look *l, oc__affine *f, int *value) {
    const oc__node *n = only_user(l, *value);
    if (!n || n->n_out < 1) return NULL;
    if (is(n, "Add") || is(n, "Sub") || is(n, "Mul") || is(n, "Div")) {
        int second = n->n_in > 1 && n->in[1] == *value;
        const oc_tensor *t = constant(l, n, second ? 0 : 1);
        if (!one_or_three(t) || !apply(f, n->op->name, t, second)) return NULL;
    } else if (is(n, "BatchNormalization")) {
        if (!apply_norm(l, f, n)) return NULL;
    } else if (!is(n, "Transpose") && !is(n, "Cast") && !is(n, "Identity") &&
               !is(n, "Reshape") && !is(n, "Squeeze") && !is(n, "Unsqueeze") &&
               !is(n, "Pad") && !is(n, "Resize")) {
        return NULL;
    }
    *value = n->out[0];
    return n;
}

void oc__look_affine(const oc__look *l, oc__affine *out) {
    int value = l->graph->inputs[l->input];
    *out = (oc__affine){0, 1, {1, 1, 1}, {0, 0, 0}};
    for (int i = 0; i < 12 && step(l, out, &value); i++) {
    }
}

int oc__look_quantized(const oc__look *l, double *lo, double *hi) {
    int value = l->graph->inputs[l->input];
    oc__affine none = {0, 1, {1, 1, 1}, {0, 0, 0}};
    for (int i = 0; i < 4; i++) {
        const oc__node *n = only_user(l, value);
        if (!n) return 0;
        if (is(n, "QuantizeLinear")) {
            const oc_tensor *scale = constant(l, n, 1);
            const oc_tensor *zero = constant(l, n, 2);
            if (!scale || oc_tensor_elems(scale) != 1) return 0;
            double s = oc__tensor_get_f64(scale, 0);
            double z = zero ? oc__tensor_get_f64(zero, 0) : 0;
            int is_signed = zero && zero->dtype == OC_DTYPE_I8;
            *lo = ((is_signed ? -128 : 0) - z) * s;
            *hi = ((is_signed ? 127 : 255) - z) * s;
            return 1;
        }
        if (!step(l, &none, &value) || none.found) return 0;
    }
    return 0;
}

/* ---- the first convolution ------------------------------------------------
 */

typedef struct filters {
    const oc__node *node;
    int64_t out, in, kh, kw;
    double *w; /* [out][in][kh][kw] */
} filters;

/* Weights of the first convolution that sees a picture's channels. */
static int first_filters(oc__look *l, filters *f) {
    for (int i = 0; i < l->graph->n_nodes; i++) {
        const oc__node *n = l->graph->nodes[i];
        int quantized = is(n, "QLinearConv");
        if (!quantized && !is(n, "Conv")) continue;
        const oc_tensor *w = constant(l, n, quantized ? 3 : 1);
        if (!w || w->rank != 4 || w->dims[0] > 1024 || w->dims[1] > 16 ||
            w->dims[2] * w->dims[3] > 121 || w->dims[2] * w->dims[3] < 1)
            return 0;
        int64_t total = oc_tensor_elems(w), each = total / w->dims[0];
        const oc_tensor *scale = quantized ? constant(l, n, 4) : NULL;
        const oc_tensor *zero = quantized ? constant(l, n, 5) : NULL;
        if (quantized && (!scale || !zero)) return 0;
        f->w = oc__arena_array(&l->arena, (size_t)total, sizeof *f->w);
        if (!f->w) return 0;
        for (int64_t k = 0; k < total; k++) {
            double v = oc__tensor_get_f64(w, k);
            int64_t c = k / each;
            if (quantized) {
                int64_t s = oc_tensor_elems(scale) > 1 ? c : 0;
                int64_t z = oc_tensor_elems(zero) > 1 ? c : 0;
                v = (v - oc__tensor_get_f64(zero, z)) *
                    oc__tensor_get_f64(scale, s);
            }
            f->w[k] = v;
        }
        f->node = n;
        f->out = w->dims[0];
        f->in = w->dims[1];
        f->kh = w->dims[2];
        f->kw = w->dims[3];
        return 1;
    }
    return 0;
}

/* Deviation of filter c's answers to photographs. */
static double response(const filters *f, int64_t c) {
    int64_t taps = f->kh * f->kw, n = f->in * taps;
    const double *w = f->w + c * n;
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = 0; j < n; j++) {
            int64_t p = i % taps, q = j % taps;
            double dy = (double)(p / f->kw - q / f->kw);
            double dx = (double)(p % f->kw - q % f->kw);
            double r = exp(-PHOTO_DECAY * sqrt(dx * dx + dy * dy));
            if (i / taps != j / taps) r *= PHOTO_COLOR;
            sum += w[i] * w[j] * r;
        }
    }
    return PHOTO_STD * sqrt(sum > 0 ? sum : 0);
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double median(double *v, size_t n) {
    if (!n) return 0;
    qsort(v, n, sizeof *v, by_value);
    return v[n / 2];
}

/* What the BatchNormalization behind the filters remembers. */
static void read_norm(oc__look *l, const filters *f, const double *answer,
                      double *ratio, oc__first_layer *out) {
    const oc__node *n = only_user(l, f->node->out[0]);
    if (!n || !is(n, "BatchNormalization") || !is(f->node, "Conv")) return;
    const oc_tensor *mean = constant(l, n, 3), *var = constant(l, n, 4);
    const oc_tensor *bias = constant(l, f->node, 2);
    if (!mean || !var || oc_tensor_elems(mean) != f->out ||
        oc_tensor_elems(var) != f->out)
        return;
    double up = 0, down = 0;
    size_t used = 0;
    for (int64_t c = 0; c < f->out; c++) {
        double total = 0, m = oc__tensor_get_f64(mean, c);
        int64_t each = f->in * f->kh * f->kw;
        for (int64_t k = 0; k < each; k++) {
            total += f->w[c * each + k];
        }
        if (bias) m -= oc__tensor_get_f64(bias, c);
        up += m * total;
        down += total * total;
        /* Dead filters answer nothing and remember nothing. */
        if (answer[c] > 1e-6)
            ratio[used++] = sqrt(fabs(oc__tensor_get_f64(var, c))) / answer[c];
    }
    if (!used || !(down > 0)) return;
    out->seen_std = median(ratio, used) * PHOTO_STD;
    out->seen_mean = up / down;
    out->has_norm = 1;
}

void oc__look_first_layer(oc__look *l, oc__first_layer *out) {
    filters f;
    memset(out, 0, sizeof *out);
    if (!first_filters(l, &f)) return;
    double *answer = oc__arena_array(&l->arena, (size_t)f.out, sizeof *answer);
    double *copy = oc__arena_array(&l->arena, (size_t)f.out, sizeof *copy);
    if (!answer || !copy) return;
    for (int64_t c = 0; c < f.out; c++) {
        copy[c] = answer[c] = response(&f, c);
    }
    out->found = 1;
    out->gain = median(copy, (size_t)f.out);
    read_norm(l, &f, answer, copy, out);
}
