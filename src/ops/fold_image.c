/*
 * fold_image.c - Col2Im and MaxUnpool: small pieces back into a large image.
 */
#include "ops/op.h"

#include <string.h>

enum { SPACE = OC_MAX_RANK - 2 }; /* spatial dims at most */

typedef struct col2im {
    int dims;
    int64_t image[SPACE], block[SPACE], strides[SPACE], dilations[SPACE];
    int64_t before[SPACE], blocks[SPACE]; /* pads in front, blocks an axis */
    int64_t block_elems, image_elems, positions;
} col2im;

static oc_status col2im_attr(const oc__ctx *c, const char *name, int n,
                             int64_t fallback, int64_t least, int64_t *out) {
    size_t count;
    const int64_t *v = oc__attr_ints(c->node, name, &count);
    if (v && count != (size_t)n)
        return oc__op_fail(c, OC_E_SHAPE, "%zu %s, %d needed", count, name, n);
    for (int i = 0; i < n; i++) {
        out[i] = v ? v[i] : fallback;
        if (out[i] < least || out[i] > INT32_MAX)
            return oc__op_fail(c, OC_E_ARG, "%s holds %lld", name,
                               (long long)out[i]);
    }
    return OC_OK;
}

/*
 * Col2Im: [n, c * block, positions] columns add up to [n, c, image]; where
 * blocks overlap, their elements are summed.
 */
static oc_status col2im_read(const oc__ctx *c, col2im *p) {
    const oc_tensor *x = oc__in(c, 0);
    int64_t pads[2 * SPACE];
    int n;
    OC_TRY(oc__in_ints(c, 1, p->image, SPACE, &p->dims));
    OC_TRY(oc__in_ints(c, 2, p->block, SPACE, &n));
    if (n != p->dims || n < 1)
        return oc__op_fail(c, OC_E_SHAPE, "image has %d dims, block %d",
                           p->dims, n);
    OC_TRY(col2im_attr(c, "strides", n, 1, 1, p->strides));
    OC_TRY(col2im_attr(c, "dilations", n, 1, 1, p->dilations));
    OC_TRY(col2im_attr(c, "pads", 2 * n, 0, 0, pads));
    p->positions = 1;
    for (int i = 0; i < n; i++) {
        if (p->image[i] < 1 || p->block[i] < 1 || p->image[i] > INT32_MAX ||
            p->block[i] > INT32_MAX)
            return oc__op_fail(c, OC_E_ARG, "image %lld, block %lld",
                               (long long)p->image[i], (long long)p->block[i]);
        int64_t room = p->image[i] + pads[i] + pads[n + i] -
                       p->dilations[i] * (p->block[i] - 1) - 1;
        p->before[i] = pads[i];
        p->blocks[i] = room < 0 ? 0 : room / p->strides[i] + 1;
        if (p->positions > INT32_MAX)
            return oc__op_fail(c, OC_E_LIMIT, "there are too many blocks");
        p->positions *= p->blocks[i];
    }
    if (oc__dims_product(p->block, n, &p->block_elems) ||
        oc__dims_product(p->image, n, &p->image_elems) ||
        x->dims[1] % p->block_elems || x->dims[2] != p->positions)
        return oc__op_fail(c, OC_E_SHAPE,
                           "[%lld, %lld] columns for blocks of %lld elements "
                           "in %lld places",
                           (long long)x->dims[1], (long long)x->dims[2],
                           (long long)p->block_elems, (long long)p->positions);
    return OC_OK;
}

static oc_status infer_col2im(oc__ctx *c) {
    col2im p;
    int64_t dims[OC_MAX_RANK];
    OC_TRY(oc__want(c, 0, OC_T_F | OC_T_I | OC_T_U | OC_T(BOOL)));
    OC_TRY(oc__want_rank(c, 0, 3, 3));
    OC_NEED_DATA(c, 1);
    OC_NEED_DATA(c, 2);
    OC_TRY(col2im_read(c, &p));
    const oc_tensor *x = oc__in(c, 0);
    dims[0] = x->dims[0];
    dims[1] = x->dims[1] / p.block_elems;
    for (int i = 0; i < p.dims; i++)
        dims[i + 2] = p.image[i];
    return oc__out_set(c, 0, x->dtype, p.dims + 2, dims);
}

typedef struct fold {
    const col2im *p;
    const oc_tensor *x;
    oc_tensor *y;
} fold;

/* The image element under element `in` of the block at `at`; -1: padding. */
static int64_t fold_target(const col2im *p, int64_t in, int64_t at) {
    int64_t to = 0, stride = 1;
    for (int d = p->dims - 1; d >= 0; d--) {
        int64_t i = at % p->blocks[d] * p->strides[d] - p->before[d] +
                    in % p->block[d] * p->dilations[d];
        at /= p->blocks[d];
        in /= p->block[d];
        if (i < 0 || i >= p->image[d]) return -1;
        to += i * stride;
        stride *= p->image[d];
    }
    return to;
}

/* One channel of one image: the sum of all blocks over it. */
static void fold_range(void *user, int64_t begin, int64_t end, int worker) {
    const fold *f = user;
    const col2im *p = f->p;
    size_t bytes = oc_dtype_bytes(f->y->dtype);
    (void)worker;
    for (int64_t k = begin; k < end; k++) {
        int64_t from = k * p->block_elems * p->positions;
        int64_t to = k * p->image_elems;
        memset((char *)f->y->data + (size_t)to * bytes, 0,
               (size_t)p->image_elems * bytes);
        for (int64_t in = 0; in < p->block_elems; in++)
            for (int64_t at = 0; at < p->positions; at++, from++) {
                int64_t i = fold_target(p, in, at);
                if (i < 0) continue;
                if (f->y->dtype == OC_DTYPE_F32)
                    ((float *)f->y->data)[to + i] +=
                        ((const float *)f->x->data)[from];
                else
                    oc__tensor_set_f64(f->y, to + i,
                                       oc__tensor_get_f64(f->y, to + i) +
                                           oc__tensor_get_f64(f->x, from));
            }
    }
}

static oc_status run_col2im(oc__ctx *c) {
    col2im p;
    OC_TRY(col2im_read(c, &p));
    fold f = {&p, oc__in(c, 0), oc__out(c, 0)};
    oc__parallel(c, f.y->dims[0] * f.y->dims[1], 1, fold_range, &f);
    return OC_OK;
}

/* ---- MaxUnpool -------------------------------------------------------------
 */

/* The shape pooling came from, which the indices count in. */
static oc_status unpool_dims(const oc__ctx *c, int64_t *dims) {
    const oc_tensor *x = oc__in(c, 0);
    int n = x->rank - 2;
    int64_t kernel[SPACE], strides[SPACE], pads[2 * SPACE];
    if (!oc__attr_find(c->node, "kernel_shape"))
        return oc__op_fail(c, OC_E_FORMAT, "kernel_shape is missing");
    OC_TRY(col2im_attr(c, "kernel_shape", n, 1, 1, kernel));
    OC_TRY(col2im_attr(c, "strides", n, 1, 1, strides));
    OC_TRY(col2im_attr(c, "pads", 2 * n, 0, 0, pads));
    dims[0] = x->dims[0];
    dims[1] = x->dims[1];
    for (int i = 0; i < n; i++) {
        if (x->dims[i + 2] > INT64_MAX / 4 / strides[i])
            return oc__op_fail(c, OC_E_LIMIT, "axis %d is too large", i + 2);
        dims[i + 2] = (x->dims[i + 2] - 1) * strides[i] - pads[i] -
                      pads[n + i] + kernel[i];
        if (dims[i + 2] < 0)
            return oc__op_fail(c, OC_E_SHAPE, "axis %d has no size", i + 2);
    }
    return OC_OK;
}

static oc_status infer_unpool(oc__ctx *c) {
    int64_t dims[OC_MAX_RANK], want[OC_MAX_RANK], product;
    int n;
    OC_TRY(oc__want(c, 0, OC_T_F | OC_T_I | OC_T_U));
    OC_TRY(oc__want(c, 1, OC_T(I64)));
    OC_TRY(oc__want_rank(c, 0, 3, OC_MAX_RANK));
    const oc_tensor *x = oc__in(c, 0);
    if (!oc__tensor_same_shape(x, oc__in(c, 1)))
        return oc__op_fail(c, OC_E_SHAPE, "an index for each element");
    OC_TRY(unpool_dims(c, dims));
    if (oc__dims_product(dims, x->rank, &product))
        return oc__op_fail(c, OC_E_LIMIT, "the output is too large");
    if (oc__in_value(c, 2)) {
        OC_NEED_DATA(c, 2);
        OC_TRY(oc__in_ints(c, 2, want, OC_MAX_RANK, &n));
        if (n != x->rank)
            return oc__op_fail(c, OC_E_SHAPE, "output_shape has %d dims", n);
        memcpy(dims, want, sizeof dims);
    }
    return oc__out_set(c, 0, x->dtype, x->rank, dims);
}

/* MaxUnpool puts each element where MaxPool took it from.  A larger output
   keeps coordinates, not linear indexes. */
static oc_status run_unpool(oc__ctx *c) {
    const oc_tensor *x = oc__in(c, 0);
    const int64_t *index = oc__in(c, 1)->data;
    oc_tensor *y = oc__out(c, 0);
    int64_t dims[OC_MAX_RANK], total, n = oc_tensor_elems(x);
    size_t bytes = oc_dtype_bytes(x->dtype);
    OC_TRY(unpool_dims(c, dims));
    if (oc__dims_product(dims, x->rank, &total))
        return oc__op_fail(c, OC_E_LIMIT, "the output is too large");
    memset(y->data, 0, oc_tensor_bytes(y));
    for (int64_t k = 0; k < n; k++) {
        int64_t rest = index[k], to = 0, stride = 1;
        if (rest < 0 || rest >= total)
            return oc__op_fail(c, OC_E_ARG, "index %lld of %lld elements",
                               (long long)rest, (long long)total);
        int inside = 1;
        for (int d = x->rank - 1; d >= 0; d--) {
            int64_t i = rest % dims[d];
            rest /= dims[d];
            inside &= i < y->dims[d];
            to += i * stride;
            stride *= y->dims[d];
        }
        if (inside)
            memcpy((char *)y->data + (size_t)to * bytes,
                   (const char *)x->data + (size_t)k * bytes, bytes);
    }
    return OC_OK;
}

const oc__op oc__ops_fold_image[] = {
    {"", "Col2Im", 18, 3, 3, 1, 0, 0, infer_col2im, run_col2im, NULL},
    {"", "MaxUnpool", 9, 2, 3, 1, 0, 0, infer_unpool, run_unpool, NULL},
    {NULL, NULL, 0, 0, 0, 0, 0, 0, NULL, NULL, NULL},
};
