/* moves.c - see moves.h. */
#include "ops/moves.h"

#include <assert.h>
#include <string.h>

/* One task moves about this many bytes: enough to pay for waking a thread. */
enum { TASK_BYTES = 128 * 1024 };

/* Rows of a transpose band are a multiple of this: 16 four-byte elements
   are one cache line of the source. */
enum { TILE = 16 };

/* Elements as the loops move them: of any type, and several small ones at once,
 * which lie where a large one would not. */
#define ELEMENT(type, name)                                                    \
    typedef type name __attribute__((aligned(1), may_alias))
ELEMENT(uint8_t, elem_1);
ELEMENT(uint16_t, elem_2);
ELEMENT(uint32_t, elem_4);
ELEMENT(uint64_t, elem_8);
typedef struct __attribute__((packed, may_alias)) elem_16 {
    uint64_t half[2];
} elem_16; /* a string, a c128 */

void oc__move_dim(oc__move *m, int64_t dim, int64_t src, int64_t dst) {
    if (dim == 1) return;
    assert(m->rank < OC_MOVE_RANK);
    m->dims[m->rank] = dim;
    m->src[m->rank] = src;
    m->dst[m->rank] = dst;
    m->rank++;
}

/* Joins neighbours that walk memory as one dim would, on both sides. */
static void move_merge(oc__move *m) {
    int r = 0;
    for (int i = 1; i < m->rank; i++) {
        int64_t n = m->dims[i];
        if (m->src[r] == m->src[i] * n && m->dst[r] == m->dst[i] * n) {
            m->dims[r] *= n;
        } else {
            r++;
            m->dims[r] = n;
        }
        m->src[r] = m->src[i];
        m->dst[r] = m->dst[i];
    }
    if (m->rank > 0) m->rank = r + 1;
}

/* A few neighbours on both sides are one element of so many bytes. */
static size_t move_widen(oc__move *m, size_t bytes) {
    while (m->rank > 1) {
        int last = m->rank - 1;
        int64_t n = m->dims[last];
        size_t wide = (size_t)n * bytes;
        int fits = m->src[last] == 1 && m->dst[last] == 1 && n > 1 && n <= 16 &&
                   (wide == 2 || wide == 4 || wide == 8 || wide == 16);
        for (int i = 0; i < last; i++)
            fits = fits && m->src[i] % n == 0 && m->dst[i] % n == 0;
        if (!fits) break;
        m->rank--;
        for (int i = 0; i < last; i++) {
            m->src[i] /= n;
            m->dst[i] /= n;
        }
        bytes = wide;
        move_merge(m);
    }
    return bytes;
}

/* ---- inner loops: one row ------------------------------------------------ */

#define ROW_LOOP(type, name)                                                   \
    static void name(const void *s, void *d, int64_t n, int64_t ss,            \
                     int64_t ds) {                                             \
        const type *src = s;                                                   \
        type *dst = d;                                                         \
        if (ss == 0 && ds == 1) {                                              \
            type v = src[0];                                                   \
            for (int64_t i = 0; i < n; i++)                                    \
                dst[i] = v;                                                    \
        } else if (ds == 1) {                                                  \
            for (int64_t i = 0; i < n; i++)                                    \
                dst[i] = src[i * ss];                                          \
        } else {                                                               \
            for (int64_t i = 0; i < n; i++)                                    \
                dst[i * ds] = src[i * ss];                                     \
        }                                                                      \
    }

ROW_LOOP(elem_1, row_1)
ROW_LOOP(elem_2, row_2)
ROW_LOOP(elem_4, row_4)
ROW_LOOP(elem_8, row_8)
ROW_LOOP(elem_16, row_16)

typedef void (*row_fn)(const void *, void *, int64_t, int64_t, int64_t);
static row_fn row_for(size_t bytes) {
    switch (bytes) {
    case 1: return row_1;
    case 2: return row_2;
    case 4: return row_4;
    case 8: return row_8;
    default: return row_16;
    }
}

/* NULL: this element size has none. */
static oc__transpose_fn *transpose_for(const oc__kernels *k, size_t bytes) {
    switch (bytes) {
    case 1: return k->transpose_b1;
    case 2: return k->transpose_b2;
    case 4: return k->transpose_b4;
    case 8: return k->transpose_b8;
    default: return NULL;
    }
}

/* ---- the loop nest ------------------------------------------------------- */

/* A move split into outer dims (rank of them) and an inner job. */
typedef struct nest {
    oc__move m;   /* the outer dims alone */
    size_t bytes; /* of an element */
    const char *src;
    char *dst;
    int64_t n, ss, ds;   /* inner row, or columns of a tile */
    int64_t rows, rd;    /* rows of a tile; 0: the job is a row */
    int64_t band, bands; /* rows a task takes, tasks a tile */
    row_fn row;
    oc__transpose_fn *transpose;
} nest;

static void nest_job(const nest *w, const char *src, char *dst, int64_t part) {
    if (w->rows) {
        int64_t r = part * w->band;
        int64_t rows = OC_MIN(w->band, w->rows - r);
        int64_t b = (int64_t)w->bytes;
        w->transpose(src + r * b, (size_t)w->ss, dst + r * w->rd * b,
                     (size_t)w->rd, (size_t)w->n, (size_t)rows);
    } else if (w->ss == 1 && w->ds == 1) {
        memcpy(dst, src, (size_t)w->n * w->bytes);
    } else if (w->bytes == 4 && w->ss == 2 && w->ds == 1) {
        /* One column of pairs; a kernel has vectors for that. */
        w->transpose(src, 2, dst, (size_t)w->n, (size_t)w->n, 1);
    } else {
        w->row(src, dst, w->n, w->ss, w->ds);
    }
}

/* Runs outer indexes begin..end-1; each counts `bands` times. */
static void nest_range(void *user, int64_t begin, int64_t end, int worker) {
    const nest *w = user;
    const oc__move *m = &w->m;
    int64_t at[OC_MOVE_RANK], b = (int64_t)w->bytes;
    const char *src = w->src;
    char *dst = w->dst;
    (void)worker;
    int64_t rest = begin / w->bands, part = begin % w->bands;
    for (int i = m->rank - 1; i >= 0; i--) {
        at[i] = rest % m->dims[i];
        rest /= m->dims[i];
        src += at[i] * m->src[i] * b;
        dst += at[i] * m->dst[i] * b;
    }
    for (int64_t k = begin; k < end; k++) {
        nest_job(w, src, dst, part);
        if (++part < w->bands) continue;
        part = 0;
        if (k + 1 == end) break; /* the odometer would leave the arrays */
        for (int i = m->rank - 1; i >= 0; i--) {
            src += m->src[i] * b;
            dst += m->dst[i] * b;
            if (++at[i] < m->dims[i]) break;
            src -= at[i] * m->src[i] * b;
            dst -= at[i] * m->dst[i] * b;
            at[i] = 0;
        }
    }
}

/* Takes dim i out of the outer loops. */
static void nest_take(oc__move *m, int i) {
    for (m->rank--; i < m->rank; i++) {
        m->dims[i] = m->dims[i + 1];
        m->src[i] = m->src[i + 1];
        m->dst[i] = m->dst[i + 1];
    }
}

void oc__move_run(const oc__ctx *c, oc__move *m, size_t bytes, const void *src,
                  void *dst) {
    for (int i = 0; i < m->rank; i++)
        if (m->dims[i] == 0) return;
    move_merge(m);
    bytes = move_widen(m, bytes);
    nest w = {.bytes = bytes, .src = src, .dst = dst, .bands = 1};
    w.row = row_for(bytes);
    w.transpose = transpose_for(c->kernels, bytes);
    if (m->rank == 1 && m->src[0] == 1 && m->dst[0] == 1) {
        oc__move_copy(c, dst, src, (size_t)m->dims[0] * bytes);
        return;
    }
    w.m = *m;
    w.n = w.ss = w.ds = 1;
    int last = m->rank - 1, turned = -1;
    if (last >= 0) {
        w.n = m->dims[last];
        w.ss = m->src[last];
        w.ds = m->dst[last];
        nest_take(&w.m, last);
        /* Another dim is the source's innermost: a transpose of the two. */
        int wanted = w.transpose && w.ds == 1 && w.ss > 1;
        for (int i = 0; wanted && i < last; i++)
            if (m->src[i] == 1 && m->dst[i] > 0) turned = i;
    }
    if (turned >= 0) {
        w.rows = m->dims[turned];
        w.rd = m->dst[turned];
        nest_take(&w.m, turned);
        w.band = TASK_BYTES / (w.n * (int64_t)bytes) / TILE * TILE;
        w.band = OC_MIN(OC_MAX(w.band, TILE), w.rows);
        w.bands = (w.rows + w.band - 1) / w.band;
    }
    int64_t jobs = w.bands, size = (w.rows ? w.band : 1) * w.n;
    for (int i = 0; i < w.m.rank; i++)
        jobs *= w.m.dims[i];
    int64_t grain = TASK_BYTES / (size * (int64_t)bytes);
    oc__parallel(c, jobs, OC_MAX(grain, 1), nest_range, &w);
}

/* ---- plain runs ---------------------------------------------------------- */

typedef struct run {
    char *dst;
    const char *src;
    size_t bytes;
} run;

static void copy_range(void *user, int64_t begin, int64_t end, int worker) {
    const run *r = user;
    (void)worker;
    memcpy(r->dst + begin, r->src + begin, (size_t)(end - begin));
}

void oc__move_copy(const oc__ctx *c, void *dst, const void *src, size_t n) {
    run r = {dst, src, 1};
    if (n <= TASK_BYTES) {
        if (n) memcpy(dst, src, n);
    } else {
        oc__parallel(c, (int64_t)n, TASK_BYTES, copy_range, &r);
    }
}

static void fill_range(void *user, int64_t begin, int64_t end, int worker) {
    const run *r = user;
    (void)worker;
    row_for(r->bytes)(r->src, r->dst + begin * (int64_t)r->bytes, end - begin,
                      0, 1);
}

void oc__move_fill(const oc__ctx *c, void *dst, const void *value, size_t bytes,
                   int64_t n) {
    run r = {dst, value, bytes};
    if (n > 0) oc__parallel(c, n, TASK_BYTES / (int64_t)bytes, fill_range, &r);
}
