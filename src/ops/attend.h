/*
 * attend.h - scaled dot-product attention, which all attention operators
 * lay their tensors out for:
 *
 *     y = softmax(mask(scale q k^T)) v     for each batch entry and head
 *
 * Scores are made for a tile of queries at a time, and where nobody wants to
 * see them also for a part of the keys at a time: the softmax then goes along
 * with the products,
 *
 *     m' = max(m, max s)     l' = l e^(m-m') + sum e^(s-m')
 *     y' = y e^(m-m') + e^(s-m') v         in the end y / l
 *
 * so that a tile's scores stay in cache however many keys there are.  Tiles
 * and parts depend on sizes alone: results are the same for any number of
 * threads.  Steps are in elements.
 */
#ifndef OC_OPS_ATTEND_H
#define OC_OPS_ATTEND_H

#include "ops/nn.h"

/** A tensor seen as (batch, head, position, element). */
typedef struct oc__heads {
    const void *data;
    int64_t batch, head, position, element; /* steps */
} oc__heads;

/** Something of shape (batch, head, query, key); a step of 0 repeats. */
typedef struct oc__attend_mask {
    const void *data; /* NULL: none */
    int64_t step[4];
    int64_t keys; /* beyond them everything is masked */
} oc__attend_mask;

/** Which stage of the scores an output shows. */
typedef enum oc__attend_stage {
    OC_ATTEND_RAW,     /* scale q k^T */
    OC_ATTEND_MASKED,  /* with masks added */
    OC_ATTEND_CAPPED,  /* after softcap: what the softmax gets */
    OC_ATTEND_SOFTMAX, /* after the softmax */
} oc__attend_stage;

typedef struct oc__attend {
    oc_dtype real; /* of all data below */
    int64_t batch, heads, kv_heads, queries, keys;
    int64_t size, v_size;  /* elements of a head */
    oc__heads q, k, v, y;  /* y.data is written; y.element is known to plan */
    double scale, softcap; /* softcap 0: none */
    int cap_first;         /* softcap comes before the masks */

    int causal; /* key <= query + past */
    int64_t past;
    int64_t window;         /* 0: none; else key > query + past - window */
    const int64_t *past_of; /* a batch entry each, instead of past */
    const int64_t *used;    /* keys of a batch entry that exist; or NULL */
    int skip_unused;        /* unused keys are not looked at at all */
    double masked;          /* added where masked: -Inf, or a large number */
    int unseen_nan;         /* a query that sees no key gets NaN, not 0 */

    oc__attend_mask bias[2]; /* added to the scores */
    oc__attend_mask keep;    /* uint8: 0 masks */
    const void *sink;        /* a head each: exp(sink) joins the sum; or NULL */
    oc_dtype softmax_dtype;  /* precision of the softmax; NONE: real's */

    void *scores; /* (batch, heads, queries, keys), or NULL */
    oc__attend_stage stage;

    /* Set by oc__attend_plan(). */
    int64_t tile, tiles; /* queries in one, and how many of them */
    int64_t k_elems, v_elems, s_elems, out_elems;
    size_t gemm_bytes;
    int direct;
    void *packed_k, *packed_v, *rows, *out;
    char *gemm;
} oc__attend;

/** Lays out scratch; sizes above must be set. */
void oc__attend_plan(const oc__ctx *c, oc__bump *b, oc__attend *a);
void oc__attend_run(const oc__ctx *c, const oc__attend *a);
/**
 * Copies heads of f32, position p to position p + shift, and adds a bias of
 * heads * size values; bias may be NULL.  to->data is written.
 */
void oc__attend_copy(const oc__ctx *c, const oc__heads *from,
                     const oc__heads *to, int64_t batch, int64_t heads,
                     int64_t positions, int64_t size, int64_t shift,
                     const float *bias);
/** Steps of a dense (batch, heads, positions, size). */
oc__heads oc__heads_dense(const void *data, int64_t heads, int64_t positions,
                          int64_t size);
/** Steps of a dense (batch, positions, heads, size). */
oc__heads oc__heads_flat(const void *data, int64_t heads, int64_t positions,
                         int64_t size);
/** Floating point operations of it. */
double oc__attend_flops(const oc__attend *a);

#endif
