/*
 * derivative_conv.c - rules of convolutions and poolings.
 *
 * What goes back to the input of a convolution is again one: where strides
 * are 1, of the gradient with the weight turned around, which every form of
 * Conv there is can run; where they are not, a transposed one.
 */
#include "passes/differentiate.h"

#include "passes/match.h"

#include <stdio.h>
#include <string.h>

static int in(const oc__node *n, int j) {
    return oc__diff_in(n, j);
}

static int all_ones(const oc__node *n, const char *attr) {
    size_t count;
    const int64_t *v = oc__attr_ints(n, attr, &count);
    for (size_t i = 0; i < count; i++)
        if (v[i] != 1) return 0;
    return 1;
}

/* Whether pads stand in the attributes, and do not follow from shapes. */
static int has_plain_pads(const oc__node *n) {
    const char *s = oc__attr_string(n, "auto_pad", "NOTSET");
    return !*s || !strcmp(s, "NOTSET") || !strcmp(s, "VALID");
}

/* The spatial shape of weight w; 0 where it is not known yet. */
static int kernel_of(const oc__diff *d, int w, int64_t *kernel) {
    if (w < 0) return 0;
    const oc__value_def *v = &d->g->values[w];
    int rank = v->constant ? v->constant->rank : v->rank;
    const int64_t *dims = v->constant ? v->constant->dims : v->dims;
    if (rank < 3 || rank > OC_MAX_RANK) return 0;
    for (int i = 0; i < rank - 2; i++) {
        kernel[i] = dims[i + 2];
        if (kernel[i] < 1) return 0;
    }
    return rank - 2;
}

/*
 * Pads of the convolution back: a window that reached p before the picture
 * reaches extent - 1 - p before the gradient.  NULL: they are not known.
 */
static const int64_t *pads_back(oc__diff *d, const oc__node *n, int *count) {
    int64_t kernel[OC_MAX_RANK];
    size_t n_pads, n_dilations;
    const char *mode = oc__attr_string(n, "auto_pad", "NOTSET");
    const int64_t *pads = oc__attr_ints(n, "pads", &n_pads);
    const int64_t *dilations = oc__attr_ints(n, "dilations", &n_dilations);
    int rank = kernel_of(d, in(n, 1), kernel);
    if (!rank || !all_ones(n, "strides") || !has_plain_pads(n)) return NULL;
    if (!strcmp(mode, "VALID")) n_pads = 0;
    if ((n_pads && n_pads != 2 * (size_t)rank) ||
        (n_dilations && n_dilations != (size_t)rank))
        return NULL;
    int64_t *back =
        oc__arena_array(d->g->arena, 2 * (size_t)rank, sizeof(*back));
    if (!back) d->failed = 1;
    for (int i = 0; back && i < 2 * rank; i++) {
        int64_t apart = n_dilations ? dilations[i % rank] : 1;
        /* No sum of these overflows; Conv itself checks them closely. */
        int64_t limit = (int64_t)1 << 30, pad = n_pads ? pads[i] : 0;
        if (apart > limit || kernel[i % rank] > limit || pad < -limit ||
            pad > limit)
            return NULL;
        back[i] = (kernel[i % rank] - 1) * apart - pad;
    }
    *count = 2 * rank;
    return back;
}

static int conv_back(oc__diff *d, const oc__node *n, int g) {
    int count, list[3] = {g, in(n, 1), in(n, 0)};
    const int64_t *pads = pads_back(d, n, &count);
    if (!pads) return oc__diff_own(d, n, "ConvGradInput", 3, list);
    int64_t group = oc__attr_int(n, "group", 1);
    const oc__attr *dilations = oc__attr_find(n, "dilations");
    int pair[2] = {g,
                   oc__diff_emit(d, "ocelli", "ConvFlip", 1, 1, 1, &list[1])};
    if (pair[1] < 0) return -1;
    oc__attr_set_int(d->last, 0, "group", group);
    int y = oc__diff_emit(d, "", "Conv", 11, dilations ? 3 : 2, 2, pair);
    if (y < 0) return -1;
    oc__attr_set_int(d->last, 0, "group", group);
    oc__attr_set_ints(d->last, 1, "pads", pads, (size_t)count);
    if (dilations) d->last->attrs[2] = *dilations;
    return y;
}

static void conv_weights(oc__diff *d, const oc__node *n, const char *op,
                         int g) {
    int list[3] = {g, in(n, 0), in(n, 1)};
    if (oc__diff_wants(d, n, 1))
        oc__diff_add(d, n, 1, oc__diff_own(d, n, op, 3, list));
    if (oc__diff_wants(d, n, 2))
        oc__diff_add(d, n, 2,
                     oc__diff_emit(d, "ocelli", "SumToChannels", 1, 0, 1, &g));
}

void oc__d_conv(oc__diff *d, oc__node *n, int g) {
    if (oc__diff_wants(d, n, 0)) oc__diff_add(d, n, 0, conv_back(d, n, g));
    conv_weights(d, n, "ConvGradWeights", g);
}

/* A permutation whose inverse is the same again. */
void oc__d_conv_flip(oc__diff *d, oc__node *n, int g) {
    oc__diff_add(d, n, 0, oc__diff_own(d, n, "ConvFlip", 1, &g));
}

/* The transposed convolution's back is a plain one, with the same weight. */
void oc__d_conv_transpose(oc__diff *d, oc__node *n, int g) {
    int list[3] = {g, in(n, 1), in(n, 0)};
    size_t n_extra;
    oc__attr_ints(n, "output_padding", &n_extra);
    if (oc__diff_wants(d, n, 0)) {
        int plain =
            has_plain_pads(n) && !n_extra && !oc__attr_find(n, "output_shape");
        if (plain) {
            int y = oc__diff_emit(d, "", "Conv", 11, 0, 2, list);
            if (y >= 0) {
                d->last->attrs = n->attrs;
                d->last->n_attrs = n->n_attrs;
            }
            oc__diff_add(d, n, 0, y);
        } else {
            oc__diff_add(d, n, 0,
                         oc__diff_own(d, n, "ConvTransposeGradInput", 3, list));
        }
    }
    conv_weights(d, n, "ConvTransposeGradWeights", g);
}

/* ---- pooling --------------------------------------------------------------
 */

/* <Name>Grad(g, x, y), with the pooling's own attributes. */
static void pool_back(oc__diff *d, const oc__node *n, int g, int n_in) {
    char name[64];
    int list[3] = {g, in(n, 0), n->out[0]};
    snprintf(name, sizeof(name), "%sGrad", n->op->name);
    if (oc__diff_wants(d, n, 0))
        oc__diff_add(d, n, 0, oc__diff_own(d, n, name, n_in, list));
}

void oc__d_pool(oc__diff *d, oc__node *n, int g) {
    pool_back(d, n, g, 2);
}

void oc__d_lp_pool(oc__diff *d, oc__node *n, int g) {
    pool_back(d, n, g, 3);
}
