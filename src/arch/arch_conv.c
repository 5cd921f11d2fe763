/*
 * arch_conv.c - MobileNetV2 (arXiv:1801.04381) and ResNets (arXiv:1512.03385).
 *
 * For small pictures the first strides are left out, as is usual for CIFAR:
 * otherwise a picture of 32 pixels is one pixel before the network is half
 * through.
 */
#include "arch/arch.h"

#include "base/size.h"

#include <math.h>

/* Pictures up to this many pixels keep their size at first. */
enum { SMALL = 64 };

static int is_small(const oc__arch *a) {
    return OC_MIN(a->opt.height, a->opt.width) <= SMALL;
}

/* Channels by the width factor, in eights, never below 90 % (as published). */
static int scaled(const oc__arch *a, int channels) {
    double want = channels * a->opt.width_factor;
    int n = OC_MAX(8, (int)(want + 4) / 8 * 8);
    return n < 0.9 * want ? n + 8 : n;
}

static int relu6(oc__arch *a, const char *name, int x) {
    static const double ends[2] = {0, 6};
    int in[3] = {x, -1, -1};
    for (int i = 0; i < 2; i++)
        in[i + 1] = oc__arch_weight(a, oc__arch_text(a, "%s.%d", name, i), 0,
                                    NULL, OC_INIT_FILL, ends[i]);
    return oc__arch_node(a, "Clip", name, 0, 3, in, NULL);
}

/* Conv and BatchNormalization. */
static int conv_bn(oc__arch *a, const char *name, int in, int out, int kernel,
                   int stride, int group, double gamma, int x) {
    oc__arch_conv c = {.name = name,
                       .in = in,
                       .out = out,
                       .kernel = kernel,
                       .stride = stride,
                       .group = group,
                       .pad = -1};
    return oc__arch_batch_norm(a, oc__arch_text(a, "%s.bn", name), out, gamma,
                               oc__arch_conv2d(a, &c, x));
}

/* ---- MobileNetV2 ----------------------------------------------------------
 */

static int inverted(oc__arch *a, const char *name, int in, int out, int stride,
                    int expand, int x) {
    int mid = in * expand, y = x;
    if (expand != 1) {
        const char *s = oc__arch_text(a, "%s.expand", name);
        y = relu6(a, oc__arch_text(a, "%s.act", s),
                  conv_bn(a, s, in, mid, 1, 1, 1, 1, y));
    }
    const char *s = oc__arch_text(a, "%s.depth", name);
    y = relu6(a, oc__arch_text(a, "%s.act", s),
              conv_bn(a, s, mid, mid, 3, stride, mid, 1, y));
    y = conv_bn(a, oc__arch_text(a, "%s.project", name), mid, out, 1, 1, 1, 1,
                y);
    if (stride == 1 && in == out)
        y = oc__arch_2(a, "Add", oc__arch_text(a, "%s.sum", name), x, y);
    return y;
}

int oc__arch_mobilenet(oc__arch *a, int x) {
    /* expansion, channels, repeats, stride */
    static const int stages[][4] = {
        {1, 16, 1, 1}, {6, 24, 2, 2},  {6, 32, 3, 2},  {6, 64, 4, 2},
        {6, 96, 3, 1}, {6, 160, 3, 2}, {6, 320, 1, 1},
    };
    int in = scaled(a, 32), last = scaled(a, 1280);
    if (a->opt.width_factor < 1) last = 1280;
    x = relu6(a, "stem.act",
              conv_bn(a, "stem", 3, in, 3, is_small(a) ? 1 : 2, 1, 1, x));
    for (int s = 0; s < (int)OC_COUNT(stages); s++)
        for (int i = 0; i < stages[s][2]; i++) {
            int out = scaled(a, stages[s][1]);
            int stride = i ? 1 : s == 1 && is_small(a) ? 1 : stages[s][3];
            x = inverted(a, oc__arch_text(a, "block%d.%d", s, i), in, out,
                         stride, stages[s][0], x);
            in = out;
        }
    x = relu6(a, "last.act", conv_bn(a, "last", in, last, 1, 1, 1, 1, x));
    return oc__arch_head(a, last, OC_INIT_NORMAL, 0.01, x);
}

/* ---- ResNets --------------------------------------------------------------
 */

static int relu(oc__arch *a, const char *name, int x) {
    return oc__arch_1(a, "Relu", oc__arch_text(a, "%s.act", name), x);
}

/* The residual starts as nothing (gamma 0): deep nets learn sooner. */
static int residual(oc__arch *a, const char *name, int in, int out, int stride,
                    int expand, int x) {
    const char *s[3];
    int y = x, skip = x, mid = out / expand;
    for (int i = 0; i < 3; i++)
        s[i] = oc__arch_text(a, "%s.conv%d", name, i + 1);
    if (expand == 1) {
        y = relu(a, s[0], conv_bn(a, s[0], in, mid, 3, stride, 1, 1, y));
        y = conv_bn(a, s[1], mid, out, 3, 1, 1, 0, y);
    } else {
        y = relu(a, s[0], conv_bn(a, s[0], in, mid, 1, 1, 1, 1, y));
        y = relu(a, s[1], conv_bn(a, s[1], mid, mid, 3, stride, 1, 1, y));
        y = conv_bn(a, s[2], mid, out, 1, 1, 1, 0, y);
    }
    if (stride != 1 || in != out)
        skip = conv_bn(a, oc__arch_text(a, "%s.skip", name), in, out, 1, stride,
                       1, 1, x);
    return relu(
        a, name,
        oc__arch_2(a, "Add", oc__arch_text(a, "%s.sum", name), y, skip));
}

static int max_pool(oc__arch *a, int x) {
    static const int64_t kernel[2] = {3, 3}, strides[2] = {2, 2},
                         pads[4] = {1, 1, 1, 1};
    oc__node *n;
    int y = oc__arch_node(a, "MaxPool", "stem.pool", 3, 1, &x, &n);
    if (y < 0) return -1;
    oc__attr_set_ints(n, 0, "kernel_shape", kernel, 2);
    oc__attr_set_ints(n, 1, "strides", strides, 2);
    oc__attr_set_ints(n, 2, "pads", pads, 4);
    return y;
}

static int resnet(oc__arch *a, int x, const int *repeats, int stages, int first,
                  int expand) {
    int tiny = stages == 3, in = scaled(a, first);
    if (is_small(a) || tiny) {
        x = relu(a, "stem", conv_bn(a, "stem", 3, in, 3, 1, 1, 1, x));
    } else {
        x = relu(a, "stem", conv_bn(a, "stem", 3, in, 7, 2, 1, 1, x));
        x = max_pool(a, x);
    }
    for (int s = 0; s < stages; s++)
        for (int i = 0; i < repeats[s]; i++) {
            int out = scaled(a, first << s) * expand;
            x = residual(a, oc__arch_text(a, "stage%d.%d", s + 1, i), in, out,
                         s && !i ? 2 : 1, expand, x);
            in = out;
        }
    return oc__arch_head(a, in, OC_INIT_UNIFORM, 1 / sqrt(in), x);
}

int oc__arch_resnet8(oc__arch *a, int x) {
    static const int repeats[] = {1, 1, 1};
    return resnet(a, x, repeats, 3, 16, 1);
}

int oc__arch_resnet18(oc__arch *a, int x) {
    static const int repeats[] = {2, 2, 2, 2};
    return resnet(a, x, repeats, 4, 64, 1);
}

int oc__arch_resnet50(oc__arch *a, int x) {
    static const int repeats[] = {3, 4, 6, 3};
    return resnet(a, x, repeats, 4, 64, 4);
}
