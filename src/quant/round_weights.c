/* round_weights.c - see round_weights.h. */
#include "quant/round_weights.h"

#include <limits.h>
#include <math.h>

/* So many weights are tried in all ways there are. */
enum { FEW = 12 };
/* Each time, an output's weights are looked at in pairs. */
enum { SWEEPS = 32 };
/* What is nearer to a whole number than this is that number: 0 stays 0, and
 * two weights that may be 128 together are not 129. */
#define WHOLE 1e-3
/* Little is known of what hardly varies: it counts as if it did a little. */
#define LEAST_PART 0.01
/* Smaller gains are none, or it might go in circles. */
#define GAIN 1e-12

/* ---- what inputs have in common ------------------------------------------
 */

typedef struct piece {
    int64_t n, first; /* rows, and the first of them */
    double *c;        /* (n, n) */
} piece;

/* Piece i of a group; 0: nothing is known of it. */
static int read_piece(piece *p, const oc__rounding *r, int64_t g, int64_t i) {
    const oc__moments *m = r->moments;
    const float *x = oc__moments_of(m, g, i);
    int64_t n = p->n = oc__moments_piece_rows(m, i);
    int64_t first = p->first = i * m->reach;
    int64_t channel = g * (m->rows / m->taps);
    const double *sums = m->sums + g * m->rows + first;
    double all = (double)m->samples, mean = 0;
    for (int64_t a = 0; a < n; a++)
        for (int64_t b = 0; b < n; b++) {
            double c = (double)x[a * m->reach + b] / all;
            if (r->keeps_mean) c -= sums[a] / all * (sums[b] / all);
            if (r->by)
                c /= (double)r->by[channel + (first + a) / m->taps] *
                     (double)r->by[channel + (first + b) / m->taps];
            p->c[a * n + b] = c;
            mean += a == b ? c / (double)n : 0;
        }
    if (!(mean > 0) || !isfinite(mean)) return 0;
    for (int64_t a = 0; a < n; a++)
        p->c[a * n + a] += LEAST_PART * mean;
    return 1;
}

/* ---- weights of one output ------------------------------------------------
 */

typedef struct row {
    double *w;    /* in steps */
    double *e;    /* code less weight */
    double *g;    /* C e */
    double *d;    /* what it is for a weight to go the other way: 1 or -1 */
    double *gain; /* how e' C e changes by that; INFINITY: it may not */
} row;

enum { ROOM = 5 };

/* r->g, and e' C e. */
static double multiply(const piece *p, const row *r) {
    double sum = 0;
    for (int64_t i = 0; i < p->n; i++) {
        const double *c = p->c + i * p->n;
        double s = 0;
        for (int64_t k = 0; k < p->n; k++)
            s += c[k] * r->e[k];
        r->g[i] = s;
        sum += s * r->e[i];
    }
    return sum;
}

/* Once g is there; r->gain says which weights have another way. */
static void find_gains(const piece *p, const row *r) {
    for (int64_t i = 0; i < p->n; i++) {
        r->d[i] = r->e[i] > 0 ? -1 : 1;
        if (isfinite(r->gain[i]))
            r->gain[i] = 2 * r->d[i] * r->g[i] + p->c[i * p->n + i];
    }
}

static void turn(const piece *p, const row *r, int64_t i) {
    double d = r->d[i], own = r->gain[i];
    const double *c = p->c + i * p->n;
    r->e[i] += d;
    for (int64_t k = 0; k < p->n; k++)
        r->gain[k] += 2 * d * r->d[k] * c[k];
    r->d[i] = -d;
    r->gain[i] = -own;
}

/* All ways there are, one turn after the other (Gray's code). */
static void try_all(const piece *p, const row *r) {
    int64_t which[FEW];
    int n = 0;
    double now = 0, least = 0;
    uint32_t way = 0, best = 0;
    for (int64_t i = 0; i < p->n; i++)
        if (isfinite(r->gain[i])) which[n++] = i;
    for (uint32_t k = 1; k < 1u << n; k++) {
        int bit = 0;
        while (!(k >> bit & 1))
            bit++;
        now += r->gain[which[bit]];
        turn(p, r, which[bit]);
        way ^= 1u << bit;
        if (now >= least - GAIN) continue;
        least = now;
        best = way;
    }
    for (int bit = 0; bit < n; bit++)
        if ((way ^ best) >> bit & 1) turn(p, r, which[bit]);
}

/* The weight before i that goes best with it, -1: none. */
static int64_t partner_of(const piece *p, const row *r, int64_t i) {
    const double *c = p->c + i * p->n;
    double d = 2 * r->d[i], best = -GAIN - r->gain[i];
    int64_t found = -1;
    for (int64_t k = 0; k < i; k++) {
        double v = r->gain[k] + d * r->d[k] * c[k];
        if (v >= best) continue;
        best = v;
        found = k;
    }
    return found;
}

/* As long as it gets better by one weight, or by two. */
static void descend(const piece *p, const row *r) {
    for (int sweep = 0, turned = 1; turned && sweep < SWEEPS; sweep++) {
        turned = 0;
        for (int64_t i = 0; i < p->n; i++) {
            if (!isfinite(r->gain[i])) continue;
            int alone = r->gain[i] < -GAIN;
            int64_t with = alone ? -1 : partner_of(p, r, i);
            if (!alone && with < 0) continue;
            turn(p, r, i);
            if (with >= 0) turn(p, r, with);
            turned = 1;
        }
    }
}

/* ---- the whole ------------------------------------------------------------
 */

typedef struct job {
    oc__rounding *r;
    piece p;
    int64_t from;   /* the first output of the group */
    double *room;   /* ROOM * reach of each worker */
    double *result; /* of each output: signal, nearest, chosen */
} job;

static void round_output(void *ctx, int task, int worker) {
    job *j = ctx;
    const oc__rounding *r = j->r;
    const piece *p = &j->p;
    int64_t n = p->n, o = j->from + task, reach = r->moments->reach;
    double *room = j->room + worker * ROOM * reach, *out = j->result + 3 * o;
    row x = {room, room + reach, room + 2 * reach, room + 3 * reach,
             room + 4 * reach};
    double s = (double)r->scales[r->one_scale ? 0 : o], square = s * s;
    int64_t at = o * r->out_stride + p->first * r->row_stride;
    const float *w = r->w + at;
    int8_t *codes = r->codes + at;
    for (int64_t i = 0; i < n; i++) {
        double v = (double)w[i * r->row_stride] / s;
        x.w[i] = isfinite(v) ? v : 0;
        x.e[i] = x.w[i];
        x.gain[i] =
            !(fabs(v) < 127) || fabs(v - rint(v)) < WHOLE ? INFINITY : 0;
    }
    out[0] += square * multiply(p, &x);
    for (int64_t i = 0; i < n; i++)
        x.e[i] = codes[i * r->row_stride] - x.w[i];
    out[1] += square * multiply(p, &x);
    find_gains(p, &x);
    (n <= FEW ? try_all : descend)(p, &x);
    out[2] += square * multiply(p, &x);
    for (int64_t i = 0; i < n; i++)
        codes[i * r->row_stride] = (int8_t)rint(x.w[i] + x.e[i]);
}

static void round_group(job *j, oc__pool *pool, int64_t g) {
    const oc__moments *m = j->r->moments;
    int64_t outputs = j->r->outputs / m->groups;
    j->from = g * outputs;
    for (int64_t i = 0; i < oc__moments_pieces(m); i++)
        if (read_piece(&j->p, j->r, g, i))
            oc__pool_run(pool, (int)outputs, round_output, j);
}

oc_status oc__round_weights(oc__rounding *r, oc__pool *pool,
                            const oc_allocator *a) {
    const oc__moments *m = r->moments;
    size_t reach = (size_t)m->reach, outputs = (size_t)r->outputs;
    size_t workers = (size_t)oc__pool_threads(pool);
    job j = {.r = r};
    r->signal = r->nearest = r->chosen = 0;
    if (!m->samples || r->outputs < 1 || r->outputs > INT_MAX) return OC_OK;
    j.p.c = oc__calloc(a, reach * reach, sizeof *j.p.c);
    j.room = oc__calloc(a, workers * reach, ROOM * sizeof *j.room);
    j.result = oc__calloc(a, outputs, 3 * sizeof *j.result);
    oc_status st = j.p.c && j.room && j.result ? OC_OK : OC_E_NOMEM;
    for (int64_t g = 0; !st && g < m->groups; g++)
        round_group(&j, pool, g);
    for (size_t o = 0; !st && o < outputs; o++) {
        r->signal += j.result[3 * o];
        r->nearest += j.result[3 * o + 1];
        r->chosen += j.result[3 * o + 2];
    }
    oc__release(a, j.p.c, reach * reach * sizeof *j.p.c);
    oc__release(a, j.room, workers * reach * ROOM * sizeof *j.room);
    oc__release(a, j.result, outputs * 3 * sizeof *j.result);
    return st;
}
