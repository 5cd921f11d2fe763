/*
 * arch_attention.c - a ConvNeXt (arXiv:2201.03545, the size "atto" of
 * arXiv:2301.00808) and a ViT (arXiv:2010.11929; mean of the tokens instead of
 * a class token, as arXiv:2205.01580 has it).
 */
#include "arch/arch.h"

#include "base/size.h"

#include <math.h>
#include <string.h>

#define DEVIATION 0.02 /* of weights, as published */

static int layer_norm(oc__arch *a, const char *name, int channels, int x) {
    int64_t dims[1] = {channels};
    oc__node *n;
    int in[3] = {x,
                 oc__arch_weight(a, oc__arch_text(a, "%s.weight", name), 1,
                                 dims, OC_INIT_FILL, 1),
                 oc__arch_weight(a, oc__arch_text(a, "%s.bias", name), 1, dims,
                                 OC_INIT_FILL, 0)};
    int y = oc__arch_node(a, "LayerNormalization", name, 2, 3, in, &n);
    if (y < 0) return -1;
    oc__attr_set_int(n, 0, "axis", -1);
    oc__attr_set_float(n, 1, "epsilon", 1e-6f);
    return y;
}

static int transpose(oc__arch *a, const char *name, int n0, int n1, int n2,
                     int n3, int x) {
    int64_t list[4] = {n0, n1, n2, n3};
    const int64_t *perm = oc__arena_dup(a->g->arena, list, sizeof(list));
    oc__node *n;
    int y = perm ? oc__arch_node(a, "Transpose", name, 1, 1, &x, &n) : -1;
    if (y < 0) return -1;
    oc__attr_set_ints(n, 0, "perm", perm, 4);
    return y;
}

static int reshape(oc__arch *a, const char *name, const int64_t *dims, int n,
                   int x) {
    int to = oc__arch_ints(a, oc__arch_text(a, "%s.shape", name), dims, n);
    return oc__arch_2(a, "Reshape", name, x, to);
}

static int linear(oc__arch *a, const char *name, int in, int out, int x) {
    return oc__arch_linear(a, name, in, out, OC_INIT_TRUNC, DEVIATION, x);
}

/* Four times as wide, GELU, and back. */
static int perceptron(oc__arch *a, const char *name, int channels, int x) {
    x = linear(a, oc__arch_text(a, "%s.wide", name), channels, 4 * channels, x);
    x = oc__arch_1(a, "Gelu", oc__arch_text(a, "%s.gelu", name), x);
    return linear(a, oc__arch_text(a, "%s.narrow", name), 4 * channels,
                  channels, x);
}

static int scaled(const oc__arch *a, int channels) {
    return OC_MAX(8, (int)(channels * a->opt.width_factor / 8 + 0.5) * 8);
}

/* ---- ConvNeXt -------------------------------------------------------------
 */

/* LayerNormalization over channels of (batch, channels, y, x). */
static int norm_channels(oc__arch *a, const char *name, int channels, int x) {
    x = transpose(a, oc__arch_text(a, "%s.last", name), 0, 2, 3, 1, x);
    x = layer_norm(a, name, channels, x);
    return transpose(a, oc__arch_text(a, "%s.first", name), 0, 3, 1, 2, x);
}

static int patches(oc__arch *a, const char *name, int in, int out, int size,
                   int x) {
    oc__arch_conv c = {.name = name,
                       .in = in,
                       .out = out,
                       .kernel = size,
                       .stride = size,
                       .group = 1,
                       .bias = 1,
                       .trunc = DEVIATION};
    return oc__arch_conv2d(a, &c, x);
}

static int next_block(oc__arch *a, const char *name, int channels, int x) {
    int64_t dims[1] = {channels};
    oc__arch_conv c = {.name = oc__arch_text(a, "%s.depth", name),
                       .in = channels,
                       .out = channels,
                       .kernel = 7,
                       .stride = 1,
                       .group = channels,
                       .bias = 1,
                       .pad = -1,
                       .trunc = DEVIATION};
    int y = oc__arch_conv2d(a, &c, x);
    y = transpose(a, oc__arch_text(a, "%s.last", name), 0, 2, 3, 1, y);
    y = layer_norm(a, oc__arch_text(a, "%s.norm", name), channels, y);
    y = perceptron(a, name, channels, y);
    int gamma = oc__arch_weight(a, oc__arch_text(a, "%s.gamma", name), 1, dims,
                                OC_INIT_FILL, 1e-6);
    y = oc__arch_2(a, "Mul", oc__arch_text(a, "%s.scaled", name), y, gamma);
    y = transpose(a, oc__arch_text(a, "%s.first", name), 0, 3, 1, 2, y);
    return oc__arch_2(a, "Add", name, x, y);
}

int oc__arch_convnext(oc__arch *a, int x) {
    static const int depths[] = {2, 2, 6, 2}, widths[] = {40, 80, 160, 320};
    int small = OC_MIN(a->opt.height, a->opt.width) <= 64;
    int in = scaled(a, widths[0]);
    x = patches(a, "stem", 3, in, small ? 2 : 4, x);
    x = norm_channels(a, "stem.norm", in, x);
    for (int s = 0; s < 4; s++) {
        int out = scaled(a, widths[s]);
        if (s) {
            const char *name = oc__arch_text(a, "down%d", s);
            x = norm_channels(a, oc__arch_text(a, "%s.norm", name), in, x);
            x = patches(a, name, in, out, 2, x);
        }
        for (int i = 0; i < depths[s]; i++)
            x = next_block(a, oc__arch_text(a, "stage%d.%d", s, i), out, x);
        in = out;
    }
    return oc__arch_head(a, in, OC_INIT_TRUNC, DEVIATION, x);
}

/* ---- ViT ------------------------------------------------------------------
 */

/* One of queries, keys, values: (batch, tokens, c) to (batch, heads, tokens,
 * c / heads). */
static int heads_of(oc__arch *a, const char *name, int channels, int heads,
                    int tokens, int x) {
    const int64_t dims[4] = {0, tokens, heads, channels / heads};
    x = linear(a, name, channels, channels, x);
    x = reshape(a, oc__arch_text(a, "%s.split", name), dims, 4, x);
    return transpose(a, oc__arch_text(a, "%s.heads", name), 0, 2, 1, 3, x);
}

static int attend(oc__arch *a, const char *name, int channels, int heads,
                  int tokens, int x) {
    const int64_t dims[3] = {0, tokens, channels};
    double scale = 1 / sqrt((double)channels / heads);
    int part[3];
    static const char *const names[] = {"query", "key", "value"};
    for (int i = 0; i < 3; i++)
        part[i] = heads_of(a, oc__arch_text(a, "%s.%s", name, names[i]),
                           channels, heads, tokens, x);
    int factor = oc__arch_weight(a, oc__arch_text(a, "%s.factor", name), 0,
                                 NULL, OC_INIT_FILL, scale);
    int key =
        transpose(a, oc__arch_text(a, "%s.turned", name), 0, 1, 3, 2, part[1]);
    oc__node *n;
    int y = oc__arch_2(a, "MatMul", oc__arch_text(a, "%s.scores", name),
                       oc__arch_2(a, "Mul", oc__arch_text(a, "%s.scaled", name),
                                  part[0], factor),
                       key);
    y = oc__arch_node(a, "Softmax", oc__arch_text(a, "%s.shares", name), 1, 1,
                      &y, &n);
    if (y < 0) return -1;
    oc__attr_set_int(n, 0, "axis", -1);
    y = oc__arch_2(a, "MatMul", oc__arch_text(a, "%s.mixed", name), y, part[2]);
    y = transpose(a, oc__arch_text(a, "%s.back", name), 0, 2, 1, 3, y);
    y = reshape(a, oc__arch_text(a, "%s.joined", name), dims, 3, y);
    return linear(a, oc__arch_text(a, "%s.out", name), channels, channels, y);
}

static int encoder(oc__arch *a, const char *name, int channels, int heads,
                   int tokens, int x) {
    const char *s = oc__arch_text(a, "%s.attention", name);
    int y = layer_norm(a, oc__arch_text(a, "%s.norm1", name), channels, x);
    x = oc__arch_2(a, "Add", oc__arch_text(a, "%s.sum1", name), x,
                   attend(a, s, channels, heads, tokens, y));
    y = layer_norm(a, oc__arch_text(a, "%s.norm2", name), channels, x);
    y = perceptron(a, oc__arch_text(a, "%s.mlp", name), channels, y);
    return oc__arch_2(a, "Add", oc__arch_text(a, "%s.sum2", name), x, y);
}

int oc__arch_vit(oc__arch *a, int x) {
    int side = OC_MIN(a->opt.height, a->opt.width);
    int patch = side >= 160 && a->opt.height % 16 == 0 && a->opt.width % 16 == 0
                    ? 16
                : side >= 64 ? 8
                             : 4;
    int heads = OC_MAX(1, (int)(3 * a->opt.width_factor + 0.5));
    int channels = 64 * heads;
    int64_t tokens = (int64_t)(a->opt.height / patch) * (a->opt.width / patch);
    const int64_t rows[3] = {0, channels, tokens};
    const int64_t place[3] = {1, channels, tokens},
                  to[4] = {0, channels, 1, tokens};
    x = patches(a, "patches", 3, channels, patch, x);
    x = reshape(a, "tokens", rows, 3, x);
    x = oc__arch_2(
        a, "Add", "placed", x,
        oc__arch_weight(a, "places", 3, place, OC_INIT_TRUNC, DEVIATION));
    int64_t *perm = oc__arena_array(a->g->arena, 3, sizeof(*perm));
    oc__node *n;
    x = perm ? oc__arch_node(a, "Transpose", "rows", 1, 1, &x, &n) : -1;
    if (x < 0) return -1;
    memcpy(perm, (int64_t[]){0, 2, 1}, 3 * sizeof(*perm));
    oc__attr_set_ints(n, 0, "perm", perm, 3);
    for (int i = 0; i < 6; i++)
        x = encoder(a, oc__arch_text(a, "block%d", i), channels, heads,
                    (int)tokens, x);
    x = layer_norm(a, "norm", channels, x);
    x = oc__arch_node(a, "Transpose", "columns", 1, 1, &x, &n);
    if (x < 0) return -1;
    oc__attr_set_ints(n, 0, "perm", perm, 3);
    x = reshape(a, "map", to, 4, x);
    return oc__arch_head(a, channels, OC_INIT_TRUNC, DEVIATION, x);
}
