/*
 * join_last.c - JoinLast: parts side by side, shuffled and cut; see last.h.
 *
 * What a shuffling network does between two units is one walk over pixels:
 *
 *     x0 a0 a1 a2  --table-->  A0 A1 A2
 *     x1 b0 b1 b2  --table-->  B0 B1 B2   -->  A0 B0 A1 | B1 A2 B2
 *
 * Some pixels at a time: each part goes through its table into a row of its
 * own, the rows are put together, and what comes out is cut.
 */
#include "ops/last.h"

#include <string.h>

#define T_I8 (OC_T(U8) | OC_T(I8))

/* Bytes of the rows a worker goes over at a time: half of L1. */
#define CHUNK_BYTES 16384

typedef struct join_job {
    const oc__ctx *c;
    int parts;
    int64_t channels, groups, chunk; /* chunk: pixels at a time */
    int zipped;                      /* two parts that are the two groups */
    const int64_t *split;            /* channels of each output, or NULL */
    char *workers;
    size_t worker_bytes; /* [the parts][joined, unless zipped][shuffled] */
} join_job;

static int parts_of(const oc__ctx *c) {
    return (c->n_in + 1) / 2;
}

static oc_status read_parts(const oc__ctx *c, int64_t *channels) {
    *channels = 0;
    for (int i = 0; i < c->n_in; i += 2) {
        OC_TRY(oc__want(c, i, T_I8));
        OC_TRY(oc__want_rank(c, i, 4, 4));
        const oc_tensor *x = oc__in(c, i), *first = oc__in(c, 0);
        if (x->dtype != first->dtype ||
            memcmp(x->dims, first->dims, 3 * sizeof(x->dims[0])) != 0)
            return oc__op_fail(c, OC_E_SHAPE, "part %d does not fit", i / 2);
        if (x->dims[3] > INT64_MAX / 4 - *channels)
            return oc__op_fail(c, OC_E_LIMIT, "the result is too large");
        *channels += x->dims[3];
        if (!oc__in_value(c, i + 1)) continue;
        OC_TRY(oc__want(c, i + 1, OC_T(U8)));
        if (oc_tensor_elems(oc__in(c, i + 1)) != 256)
            return oc__op_fail(c, OC_E_SHAPE, "table %d is none", i / 2);
    }
    return OC_OK;
}

static int64_t groups_of(const oc__ctx *c) {
    return oc__attr_int(c->node, "groups", 1);
}

static int64_t chunk_of(int64_t channels) {
    return OC_MAX(CHUNK_BYTES / OC_MAX(channels, 1), 1);
}

static size_t chunk_bytes(int64_t channels) {
    return (size_t)(chunk_of(channels) * channels);
}

static oc_status infer_join(oc__ctx *c) {
    int64_t channels, groups = groups_of(c), left;
    size_t n;
    OC_TRY(read_parts(c, &channels));
    if (groups < 1 || channels % groups)
        return oc__op_fail(c, OC_E_SHAPE, "%lld groups do not divide",
                           (long long)groups);
    const int64_t *split = oc__attr_ints(c->node, "split", &n);
    if (split ? n != (size_t)c->n_out : c->n_out != 1)
        return oc__op_fail(c, OC_E_SHAPE, "%d outputs do not fit", c->n_out);
    oc_tensor y = *oc__in(c, 0);
    left = channels;
    for (int i = 0; i < c->n_out; i++) {
        y.dims[3] = split ? split[i] : channels;
        if (y.dims[3] < 0 || y.dims[3] > left)
            return oc__op_fail(c, OC_E_SHAPE, "output %d does not fit", i);
        left -= y.dims[3];
        OC_TRY(oc__out_like(c, i, &y));
    }
    if (left) return oc__op_fail(c, OC_E_SHAPE, "channels are left over");
    oc__scratch_need(c, 3 * chunk_bytes(channels) * (size_t)c->threads);
    return OC_OK;
}

/* Short runs are copied as their first and last 16 bytes. */
static void copy(uint8_t *to, const uint8_t *from, size_t n) {
    if (n >= 16 && n <= 128) {
        for (size_t i = 0; i + 16 <= n; i += 16)
            memcpy(to + i, from + i, 16);
        memcpy(to + n - 16, from + n - 16, 16);
    } else {
        memcpy(to, from, n);
    }
}

/* Rows of n bytes, `from_step` and `to_step` apart. */
static void copy_rows(uint8_t *to, int64_t to_step, const uint8_t *from,
                      int64_t from_step, int64_t n, int64_t rows) {
    for (int64_t i = 0; i < rows; i++, to += to_step, from += from_step)
        copy(to, from, (size_t)n);
}

/* Part i of pixels p .. p + n, through its table: where it lies, or in
 * `room`. */
static const uint8_t *part_at(const join_job *j, int i, int64_t p, int64_t n,
                              uint8_t *room) {
    const oc_tensor *x = oc__in(j->c, 2 * i), *t = oc__in(j->c, 2 * i + 1);
    int64_t width = x->dims[3];
    const uint8_t *from = (const uint8_t *)x->data + p * width;
    if (!t) return from;
    j->c->kernels->table_i8(t->data, from, room, (size_t)(n * width));
    return room;
}

static void shuffle(const join_job *j, const uint8_t *from, uint8_t *to,
                    int64_t pixels) {
    int64_t each = j->channels / j->groups;
    for (int64_t p = 0; p < pixels; p++)
        for (int64_t i = 0; i < each; i++)
            for (int64_t g = 0; g < j->groups; g++)
                *to++ = from[p * j->channels + g * each + i];
}

/* All channels of n pixels, joined and shuffled. */
static const uint8_t *join_chunk(const join_job *j, int64_t p, int64_t n,
                                 char *mine) {
    size_t third = j->worker_bytes / 3;
    uint8_t *room = (uint8_t *)mine, *row = room + third, *out = row + third;
    if (j->zipped) {
        const uint8_t *a = part_at(j, 0, p, n, room);
        const uint8_t *b = part_at(j, 1, p, n, row);
        j->c->kernels->zip_i8(a, b, out, (size_t)(n * j->channels / 2));
        return out;
    }
    if (j->parts == 1) {
        const uint8_t *all = part_at(j, 0, p, n, row);
        if (j->groups == 1) return all;
        shuffle(j, all, out, n);
        return out;
    }
    int64_t at = 0;
    for (int i = 0; i < j->parts; i++) {
        int64_t width = oc__in(j->c, 2 * i)->dims[3];
        copy_rows(row + at, j->channels, part_at(j, i, p, n, room), width,
                  width, n);
        at += width;
    }
    if (j->groups == 1) return row;
    shuffle(j, row, out, n);
    return out;
}

static void join_range(void *user, int64_t begin, int64_t end, int worker) {
    const join_job *j = user;
    const oc__ctx *c = j->c;
    char *mine = j->workers + (size_t)worker * j->worker_bytes;
    for (int64_t p = begin; p < end; p += j->chunk) {
        int64_t n = OC_MIN(j->chunk, end - p);
        const uint8_t *from = join_chunk(j, p, n, mine);
        for (int i = 0; i < c->n_out; i++) {
            oc_tensor *y = oc__out(c, i);
            int64_t width = j->split ? j->split[i] : j->channels;
            if (y && width == j->channels)
                memcpy((uint8_t *)y->data + p * width, from,
                       (size_t)(n * width));
            else if (y)
                copy_rows((uint8_t *)y->data + p * width, width, from,
                          j->channels, width, n);
            from += width;
        }
    }
}

static oc_status run_join(oc__ctx *c) {
    size_t cuts;
    join_job j = {.c = c, .parts = parts_of(c), .groups = groups_of(c)};
    j.split = oc__attr_ints(c->node, "split", &cuts);
    OC_TRY(read_parts(c, &j.channels));
    if (!j.channels) return OC_OK;
    j.zipped = j.groups == 2 && j.parts == 2 &&
               oc__in(c, 0)->dims[3] == oc__in(c, 2)->dims[3];
    j.chunk = chunk_of(j.channels);
    j.workers = c->scratch;
    j.worker_bytes = 3 * chunk_bytes(j.channels);
    const int64_t *d = oc__in(c, 0)->dims;
    oc__parallel(c, d[0] * d[1] * d[2], 32768 / (j.channels + 1) + 1,
                 join_range, &j);
    return OC_OK;
}

const oc__op oc__ops_join_last[] = {
    {"ocelli", "JoinLast", 1, 1, -1, -1, 0, 0, infer_join, run_join, NULL},
    {0},
};
