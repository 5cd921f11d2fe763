/* moments.c - see moments.h. */
#include "quant/moments.h"

#include "base/rng.h"
#include "base/size.h"
#include "ops/window.h"
#include "passes/match.h"

#include <string.h>

/* Places of a sample: many of the first, so that few samples are enough.  Of
 * more, a product would be cut into parts (oc__gemm_f32_cuts_k()), and could
 * not be added to what is there. */
enum { LEAST_PLACES = 64, MOST_PLACES = 384, ALL_PLACES = 8192 };
/* Fewer rows are multiplied faster by a loop than by a product. */
enum { FEW_ROWS = 24 };

int64_t oc__moments_pieces(const oc__moments *m) {
    return (m->rows + m->reach - 1) / m->reach;
}

int64_t oc__moments_piece_rows(const oc__moments *m, int64_t i) {
    return OC_MIN(m->reach, m->rows - i * m->reach);
}

static size_t at(const oc__moments *m, int64_t g, int64_t i) {
    return (size_t)((g * oc__moments_pieces(m) + i) * m->reach * m->reach);
}

const float *oc__moments_of(const oc__moments *m, int64_t g, int64_t i) {
    return m->products + at(m, g, i);
}

/* Sizes alone; 0: there is nothing to be kept. */
static int find_sizes(oc__moments *m, const oc__node *n, const oc_tensor *w,
                      int axis) {
    *m = (oc__moments){.groups = 1, .taps = 1};
    if (oc__is_op(n, "Conv")) {
        for (int i = 2; i < w->rank; i++)
            m->taps *= w->dims[i];
        m->groups = oc__attr_int(n, "group", 1);
        m->rows = w->dims[1] * m->taps;
        if (m->groups < 1 || w->dims[0] % m->groups) return 0;
    } else {
        m->rows = w->dims[1 - axis];
    }
    if (m->rows < 1 || m->taps < 1 || m->taps > OC_MOMENTS_REACH) return 0;
    /* As even as whole channels can be. */
    int64_t channels = m->rows / m->taps, most = OC_MOMENTS_REACH / m->taps;
    int64_t pieces = (channels + most - 1) / most;
    m->reach = (channels + pieces - 1) / pieces * m->taps;
    return 1;
}

oc_status oc__moments_create(oc__moments **out, const oc__node *n,
                             const oc_tensor *w, int axis,
                             const oc_allocator *a) {
    oc__moments m;
    *out = NULL;
    if (!find_sizes(&m, n, w, axis)) return OC_OK;
    size_t elems = at(&m, m.groups, 0);
    size_t sums = (size_t)(m.groups * m.rows);
    oc__moments *made = oc__alloc(a, sizeof *made);
    m.products = oc__calloc(a, elems, sizeof *m.products);
    m.sums = oc__calloc(a, sums, sizeof *m.sums);
    if (!made || !m.products || !m.sums) {
        oc__release(a, made, sizeof *made);
        oc__release(a, m.products, elems * sizeof *m.products);
        oc__release(a, m.sums, sums * sizeof *m.sums);
        return OC_E_NOMEM;
    }
    *made = m;
    *out = made;
    return OC_OK;
}

size_t oc__moments_bytes(const oc__node *n, const oc_tensor *w, int axis,
                         size_t *work) {
    oc__moments m;
    *work = 0;
    if (!find_sizes(&m, n, w, axis)) return 0;
    size_t columns = (size_t)(m.groups * m.rows), rows = (size_t)m.reach;
    /* Inputs, and those of a product once more, as it packs them. */
    *work = MOST_PLACES * (columns + 4 * rows) * sizeof(float);
    return at(&m, m.groups, 0) * sizeof *m.products + columns * sizeof *m.sums;
}

void oc__moments_destroy(oc__moments *m, const oc_allocator *a) {
    if (!m) return;
    oc__release(a, m->products, at(m, m->groups, 0) * sizeof *m->products);
    oc__release(a, m->sums, (size_t)(m->groups * m->rows) * sizeof *m->sums);
    oc__release(a, m, sizeof *m);
}

/* ---- what lies under windows ---------------------------------------------
 */

typedef struct taker {
    oc__moments *m;
    const float *x;
    oc__window w;
    int64_t channels, inner; /* of the input; elements of a channel */
    int64_t places, of_one;  /* places of all; of one of the batch */
    int64_t taken, columns;  /* how many are looked at; inputs of each */
    int is_conv;
    int64_t *offsets; /* of taps; -1: outside */
    float *inputs;    /* (taken, columns) */
    const oc__kernels *kernels;
    float *packed; /* NULL: there are few rows */
    void *scratch;
    size_t taps_bytes, inputs_bytes, packed_bytes, scratch_bytes;
} taker;

/* Where the window's places are; 0: x is not what the node reads. */
static int read_input(taker *t, const oc__node *n, const oc_tensor *w,
                      const oc_tensor *x) {
    oc_error ignored;
    oc__ctx c = {.node = n, .op = n->op, .err = &ignored};
    t->is_conv = oc__is_op(n, "Conv");
    t->columns = t->m->groups * t->m->rows;
    t->channels = t->m->groups * (t->m->rows / t->m->taps);
    t->x = x->data;
    if (!t->is_conv) {
        if (x->rank < 1 || x->dims[x->rank - 1] != t->m->rows) return 0;
        t->places = oc_tensor_elems(x) / t->m->rows;
        return t->places > 0;
    }
    int rank = w->rank - 2;
    if (x->rank != w->rank || x->dims[1] != t->channels ||
        oc__window_read(&c, rank, x->dims + 2, w->dims + 2, &t->w) ||
        oc__window_fit(&c, 0, &t->w))
        return 0;
    t->inner = oc__count(x->dims + 2, rank);
    t->of_one = oc__count(t->w.out, rank);
    t->places = t->of_one * x->dims[0];
    return t->places > 0 && t->inner > 0;
}

static void find_taps(const taker *t, const int64_t *place) {
    const oc__window *w = &t->w;
    int64_t tap[OC_MAX_RANK] = {0}, k = 0;
    do {
        int64_t offset = 0;
        for (int d = 0; d < w->rank; d++) {
            int64_t i = place[d] * w->stride[d] + tap[d] * w->dilation[d] -
                        w->pad_lo[d];
            offset = i < 0 || i >= w->in[d] || offset < 0
                         ? -1
                         : offset * w->in[d] + i;
        }
        t->offsets[k++] = offset;
    } while (oc__odometer(tap, w->kernel, w->rank));
}

/* What the outputs of a place are made of. */
static void take_place(const taker *t, int64_t place, float *to) {
    int64_t at_place[OC_MAX_RANK];
    if (!t->is_conv) {
        memcpy(to, t->x + place * t->columns, (size_t)t->columns * sizeof *to);
        return;
    }
    oc__unravel(place % t->of_one, t->w.out, t->w.rank, at_place);
    find_taps(t, at_place);
    const float *x = t->x + place / t->of_one * t->channels * t->inner;
    for (int64_t c = 0; c < t->channels; c++, x += t->inner)
        for (int64_t k = 0; k < t->m->taps; k++)
            *to++ = t->offsets[k] < 0 ? 0 : x[t->offsets[k]];
}

/* One place of each of so many equal parts, not always the same. */
static void take_places(taker *t) {
    oc__rng rng;
    oc__rng_init(&rng, (uint64_t)t->m->samples);
    for (int64_t i = 0; i < t->taken; i++) {
        int64_t lo = i * t->places / t->taken;
        int64_t hi = (i + 1) * t->places / t->taken;
        lo += (int64_t)oc__rng_below(&rng, (uint64_t)(hi - lo));
        take_place(t, lo, t->inputs + i * t->columns);
    }
}

/* ---- their products ------------------------------------------------------
 */

static void add_sums(const taker *t) {
    for (int64_t i = 0; i < t->taken; i++)
        for (int64_t k = 0; k < t->columns; k++)
            t->m->sums[k] +=
                (double)t->inputs[i * t->columns + k] / (double)t->taken;
}

static void add_few(const taker *t, const float *x, int64_t rows, float *to) {
    float part = 1 / (float)t->taken;
    for (int64_t p = 0; p < t->taken; p++, x += t->columns)
        for (int64_t i = 0; i < rows; i++) {
            float f = x[i] * part;
            for (int64_t k = 0; k < rows; k++)
                to[i * t->m->reach + k] += f * x[k];
        }
}

static void add_piece(const taker *t, oc__pool *pool, const float *x,
                      int64_t rows, float *to) {
    size_t n = (size_t)rows, k = (size_t)t->taken, all = (size_t)t->columns;
    if (rows <= FEW_ROWS || !t->packed) {
        add_few(t, x, rows, to);
        return;
    }
    oc__gemm_f32_pack_b(t->kernels, pool, k, n, x, all, 1, t->packed);
    oc__gemm_f32_args args = {.m = n,
                              .n = n,
                              .k = k,
                              .a = x,
                              .a_row_stride = 1,
                              .a_col_stride = all,
                              .packed_b = t->packed,
                              .c = to,
                              .c_row_stride = (size_t)t->m->reach,
                              .d = to,
                              .d_row_stride = (size_t)t->m->reach,
                              .alpha = 1 / (float)t->taken};
    oc__gemm_f32(t->kernels, pool, &args, t->scratch);
}

static void add_products(const taker *t, oc__pool *pool) {
    for (int64_t g = 0; g < t->m->groups; g++)
        for (int64_t i = 0; i < oc__moments_pieces(t->m); i++)
            add_piece(t, pool, t->inputs + g * t->m->rows + i * t->m->reach,
                      oc__moments_piece_rows(t->m, i),
                      t->m->products + at(t->m, g, i));
}

static int64_t places_now(const oc__moments *m) {
    int64_t n = ALL_PLACES / (m->samples + 1);
    return OC_MIN(OC_MAX(n, LEAST_PLACES), MOST_PLACES);
}

static oc_status make_room(taker *t, oc__pool *pool, const oc_allocator *a) {
    size_t rows = (size_t)t->m->reach, taken = (size_t)t->taken;
    t->taps_bytes = (size_t)t->m->taps * sizeof *t->offsets;
    if (oc__size_mul(taken, (size_t)t->columns * sizeof *t->inputs,
                     &t->inputs_bytes))
        return OC_E_NOMEM;
    t->offsets = oc__alloc(a, t->taps_bytes);
    t->inputs = oc__alloc(a, t->inputs_bytes);
    if (!t->offsets || !t->inputs) return OC_E_NOMEM;
    if (t->m->reach <= FEW_ROWS) return OC_OK;
    t->packed_bytes =
        oc__gemm_f32_packed_elems(t->kernels, taken, rows) * sizeof *t->packed;
    t->scratch_bytes = oc__gemm_f32_scratch_bytes(t->kernels, rows, rows, taken,
                                                  oc__pool_threads(pool));
    t->packed = oc__alloc(a, t->packed_bytes);
    t->scratch = oc__alloc(a, t->scratch_bytes);
    return t->packed && t->scratch ? OC_OK : OC_E_NOMEM;
}

oc_status oc__moments_add(oc__moments *m, const oc__node *n, const oc_tensor *w,
                          const oc_tensor *x, const oc__kernels *kernels,
                          oc__pool *pool, const oc_allocator *a) {
    taker t = {.m = m, .kernels = kernels};
    if (!read_input(&t, n, w, x)) return OC_OK;
    t.taken = OC_MIN(t.places, places_now(m));
    oc_status st = make_room(&t, pool, a);
    if (!st) {
        take_places(&t);
        add_sums(&t);
        add_products(&t, pool);
        m->samples++;
    }
    oc__release(a, t.offsets, t.taps_bytes);
    oc__release(a, t.inputs, t.inputs_bytes);
    oc__release(a, t.packed, t.packed_bytes);
    oc__release(a, t.scratch, t.scratch_bytes);
    return st;
}
