/* arch.c - see arch.h. */
#include "arch/arch.h"

#include "base/size.h"
#include "ops/op.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *name, *about;
    oc__arch_fn *build;
    int opset, multiple; /* sides must be multiples of this */
} table[] = {
    {"mobilenetv2", "small and quick, the usual choice", oc__arch_mobilenet, 17,
     1},
    {"resnet8", "very small, for pictures of 32 pixels", oc__arch_resnet8, 17,
     1},
    {"resnet18", "larger, learns quickly from little", oc__arch_resnet18, 17,
     1},
    {"resnet50", "large", oc__arch_resnet50, 17, 1},
    {"convnext", "a small ConvNeXt (atto)", oc__arch_convnext, 20, 1},
    {"vit", "a small Vision Transformer, for much data", oc__arch_vit, 20, 8},
};

const char *oc__arch_name(int i, const char **about) {
    if (i < 0 || i >= (int)OC_COUNT(table)) return NULL;
    if (about) *about = table[i].about;
    return table[i].name;
}

/* ---- weights --------------------------------------------------------------
 */

static void draw(oc__rng *r, float *x, int64_t n, oc__arch_init how,
                 double number) {
    for (int64_t i = 0; i < n; i++) {
        double v = number;
        if (how == OC_INIT_UNIFORM) {
            v = (2 * oc__rng_double(r) - 1) * number;
        } else if (how != OC_INIT_FILL) {
            do
                v = oc__rng_normal(r);
            while (how == OC_INIT_TRUNC && fabs(v) > 2);
            v *= number;
        }
        x[i] = (float)v;
    }
}

int oc__arch_weight(oc__arch *a, const char *name, int rank,
                    const int64_t *dims, oc__arch_init how, double number) {
    oc_tensor t;
    size_t bytes;
    if (a->failed) return -1;
    a->failed = 1;
    if (oc__tensor_size(OC_DTYPE_F32, rank, dims, &bytes)) return -1;
    oc__tensor_set(&t, OC_DTYPE_F32, rank, dims);
    t.data = oc__arena_alloc_raw(a->g->arena, OC_MAX(bytes, 256));
    if (!t.data) return -1;
    draw(&a->rng, t.data, (int64_t)(bytes / sizeof(float)), how, number);
    int v = oc__graph_add_constant(a->g, name, &t);
    a->failed = v < 0;
    return v;
}

int oc__arch_ints(oc__arch *a, const char *name, const int64_t *v, int n) {
    oc_tensor t;
    int64_t dims[1] = {n};
    if (a->failed) return -1;
    oc__tensor_set(&t, OC_DTYPE_I64, 1, dims);
    t.data = oc__arena_dup(a->g->arena, v, (size_t)n * sizeof(*v));
    int id = t.data ? oc__graph_add_constant(a->g, name, &t) : -1;
    a->failed = id < 0;
    return id;
}

const char *oc__arch_text(oc__arch *a, const char *format, ...) {
    char text[128];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    const char *copy = oc__arena_strdup(a->g->arena, text);
    if (!copy) a->failed = 1;
    return copy ? copy : "";
}

/* ---- nodes ----------------------------------------------------------------
 */

int oc__arch_node(oc__arch *a, const char *op, const char *name, int n_attrs,
                  int n_in, const int *in, oc__node **node) {
    for (int i = 0; i < n_in; i++)
        if (in[i] < 0) a->failed = 1;
    if (a->failed) return -1;
    oc__node *n = oc__graph_add_node(a->g, oc__op_find("", op), name, a->opset,
                                     n_in, 1, n_attrs);
    int y = n ? oc__graph_add_value(a->g, name) : -1;
    a->failed = y < 0;
    if (y < 0) return -1;
    memcpy(n->in, in, (size_t)n_in * sizeof(*in));
    n->out[0] = y;
    if (node) *node = n;
    return y;
}

int oc__arch_1(oc__arch *a, const char *op, const char *name, int x) {
    return oc__arch_node(a, op, name, 0, 1, &x, NULL);
}

int oc__arch_2(oc__arch *a, const char *op, const char *name, int x, int y) {
    int in[2] = {x, y};
    return oc__arch_node(a, op, name, 0, 2, in, NULL);
}

/* Two or four equal integers as an attribute. */
static void set_equal(oc__arch *a, oc__node *n, int slot, const char *name,
                      int64_t v, size_t count) {
    int64_t list[4] = {v, v, v, v};
    const int64_t *copy =
        oc__arena_dup(a->g->arena, list, count * sizeof(*list));
    if (copy)
        oc__attr_set_ints(n, slot, name, copy, count);
    else
        a->failed = 1;
}

int oc__arch_conv2d(oc__arch *a, const oc__arch_conv *c, int x) {
    int64_t dims[4] = {c->out, c->in / c->group, c->kernel, c->kernel};
    int64_t bias[1] = {c->out}, area = (int64_t)c->kernel * c->kernel;
    double fan_out = (double)(area * c->out / c->group);
    oc__node *n;
    int in[3] = {
        x,
        oc__arch_weight(a, oc__arch_text(a, "%s.weight", c->name), 4, dims,
                        c->trunc > 0 ? OC_INIT_TRUNC : OC_INIT_NORMAL,
                        c->trunc > 0 ? c->trunc : sqrt(2 / fan_out)),
        c->bias ? oc__arch_weight(a, oc__arch_text(a, "%s.bias", c->name), 1,
                                  bias, OC_INIT_FILL, 0)
                : -1};
    int y = oc__arch_node(a, "Conv", c->name, 4, c->bias ? 3 : 2, in, &n);
    if (y < 0) return -1;
    set_equal(a, n, 0, "kernel_shape", c->kernel, 2);
    set_equal(a, n, 1, "strides", c->stride, 2);
    set_equal(a, n, 2, "pads", c->pad < 0 ? (c->kernel - 1) / 2 : c->pad, 4);
    oc__attr_set_int(n, 3, "group", c->group);
    return y;
}

int oc__arch_batch_norm(oc__arch *a, const char *name, int channels,
                        double gamma, int x) {
    static const char *const parts[] = {"weight", "bias", "running_mean",
                                        "running_var"};
    const double start[] = {gamma, 0, 0, 1};
    int64_t dims[1] = {channels};
    int in[5] = {x};
    oc__node *n;
    for (int i = 0; i < 4; i++)
        in[i + 1] =
            oc__arch_weight(a, oc__arch_text(a, "%s.%s", name, parts[i]), 1,
                            dims, OC_INIT_FILL, start[i]);
    int y = oc__arch_node(a, "BatchNormalization", name, 1, 5, in, &n);
    if (y >= 0) oc__attr_set_float(n, 0, "epsilon", 1e-5f);
    return y;
}

int oc__arch_linear(oc__arch *a, const char *name, int in, int out,
                    oc__arch_init how, double number, int x) {
    int64_t dims[2] = {in, out};
    int w = oc__arch_weight(a, oc__arch_text(a, "%s.weight", name), 2, dims,
                            how, number);
    int b = oc__arch_weight(a, oc__arch_text(a, "%s.bias", name), 1, dims + 1,
                            OC_INIT_FILL, 0);
    int y = oc__arch_2(a, "MatMul", oc__arch_text(a, "%s.product", name), x, w);
    return oc__arch_2(a, "Add", name, y, b);
}

int oc__arch_head(oc__arch *a, int channels, oc__arch_init how, double number,
                  int x) {
    int64_t dims[2] = {channels, a->opt.classes};
    int in[3] = {
        oc__arch_1(a, "Flatten", "flat",
                   oc__arch_1(a, "GlobalAveragePool", "pool", x)),
        oc__arch_weight(a, "classifier.weight", 2, dims, how, number),
        oc__arch_weight(a, "classifier.bias", 1, dims + 1, OC_INIT_FILL, 0)};
    return oc__arch_node(a, "Gemm", "logits", 0, 3, in, NULL);
}

/* ---- the whole ------------------------------------------------------------
 */

static oc_status check(const oc__arch_options *opt, int entry, oc_error *err) {
    int m = table[entry].multiple;
    if (opt->classes < 1 || opt->classes > 1 << 20)
        return oc__fail(err, OC_E_ARG, "%d classes are too few or too many",
                        opt->classes);
    if (opt->height < 8 || opt->width < 8 || opt->height > 4096 ||
        opt->width > 4096 || opt->height % m || opt->width % m)
        return oc__fail(err, OC_E_ARG,
                        "%s does not take pictures of %d x %d: sides are 8 to "
                        "4096%s",
                        opt->name, opt->width, opt->height,
                        m > 1 ? " and multiples of 8" : "");
    if (!(opt->width_factor == 0 ||
          (opt->width_factor >= 0.05 && opt->width_factor <= 8)))
        return oc__fail(err, OC_E_ARG, "a width of %g is not in 0.05 to 8",
                        opt->width_factor);
    return OC_OK;
}

static int find_entry(const char *name) {
    for (int i = 0; name && i < (int)OC_COUNT(table); i++)
        if (!strcmp(table[i].name, name)) return i;
    return -1;
}

oc_status oc__arch_build(oc__graph **out, int *opset, oc__arena *arena,
                         const oc__arch_options *opt, oc_error *err) {
    int entry = find_entry(opt->name);
    if (entry < 0)
        return oc__fail(err, OC_E_ARG,
                        "there is no architecture \"%s\"; there are "
                        "mobilenetv2, resnet8, resnet18, resnet50, convnext "
                        "and vit",
                        opt->name ? opt->name : "");
    OC_TRY(check(opt, entry, err));
    oc__arch a = {.g = oc__graph_create(arena), .opt = *opt};
    a.opset = table[entry].opset;
    if (a.opt.width_factor == 0) a.opt.width_factor = 1;
    oc__rng_init(&a.rng, opt->seed);
    int x = a.g ? oc__graph_add_value(a.g, "input") : -1;
    int *ends = oc__arena_array(arena, 2, sizeof(*ends));
    if (x < 0 || !ends) return oc__fail_nomem(err);
    oc__value_def *v = &a.g->values[x];
    v->dtype = OC_DTYPE_F32;
    v->rank = 4;
    v->dims[1] = 3;
    v->dims[2] = opt->height;
    v->dims[3] = opt->width;
    v->dim_names[0] = "batch";
    int y = table[entry].build(&a, x);
    if (y < 0 || a.failed) return oc__fail_nomem(err);
    v = &a.g->values[y];
    v->name = "logits";
    v->dtype = OC_DTYPE_F32;
    v->rank = 2;
    v->dims[1] = opt->classes;
    v->dim_names[0] = "batch";
    ends[0] = x;
    ends[1] = y;
    a.g->name = table[entry].name;
    a.g->inputs = ends;
    a.g->outputs = ends + 1;
    a.g->n_inputs = a.g->n_outputs = 1;
    *out = a.g;
    *opset = a.opset;
    return OC_OK;
}
