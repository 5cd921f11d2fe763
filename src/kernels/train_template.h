/*
 * train_template.h - the kernels of train.h, once for all instruction sets.
 * Included by files that define
 *
 *     K(job)       the table's name: oc__<job>_<isa>
 *     VTARGET      the target attribute, may be empty
 *     VF, VI       vectors of V_WIDTH f32 and of as many integers (GNU C)
 *     V_SET1(s)    all lanes s
 *     V_FMA(a, b, c)  a * b + c, rounded once where the machine can
 *
 * A block of c channels is c / V_WIDTH vectors (1, or more where vectors are
 * narrow).
 */
#include <string.h>

#define TRAIN_INLINE static inline __attribute__((always_inline)) VTARGET

TRAIN_INLINE VF tr_load(const float *p) {
    VF v;
    memcpy(&v, p, sizeof(v));
    return v;
}

TRAIN_INLINE void tr_store(float *p, VF v) {
    memcpy(p, &v, sizeof(v));
}

/* a where the mask is, else 0. */
TRAIN_INLINE VF tr_keep(VI mask, VF a) {
    VI bits;
    memcpy(&bits, &a, sizeof(bits));
    bits &= mask;
    memcpy(&a, &bits, sizeof(a));
    return a;
}

/* a where the mask is, else b. */
TRAIN_INLINE VF tr_select(VI mask, VF a, VF b) {
    VI x, y;
    memcpy(&x, &a, sizeof(x));
    memcpy(&y, &b, sizeof(y));
    x = (x & mask) | (y & ~mask);
    memcpy(&a, &x, sizeof(a));
    return a;
}

/* ---- weights --------------------------------------------------------------
 */

/* A row of a run. */
typedef struct tr_rows {
    const float *x, *g;
    size_t pic, row;
} tr_rows;

TRAIN_INLINE tr_rows tr_first(const oc__weight_run *r) {
    tr_rows at = {r->x, r->g, 0, 0};
    return at;
}

TRAIN_INLINE void tr_next(const oc__weight_run *r, tr_rows *at) {
    at->x += r->x_row;
    at->g += r->g_row;
    if (++at->row < r->rows) return;
    at->row = 0;
    at->pic++;
    at->x = r->x + at->pic * r->x_pic;
    at->g = r->g + at->pic * r->g_pic;
}

/*
 * n rows of sums for one vector of output channels.  Few rows take several
 * pixels side by side, so that some eight chains of multiply-adds are going.
 */
#define WEIGHTS(n, side)                                                       \
    TRAIN_INLINE void tr_weights_##n(const oc__weight_run *r, size_t i0,       \
                                     size_t o) {                               \
        VF s[side][n];                                                         \
        for (int k = 0; k < side; k++)                                         \
            for (int i = 0; i < n; i++)                                        \
                s[k][i] = k ? V_SET1(0)                                        \
                            : tr_load(r->acc + (i0 + (size_t)i) * r->c + o);   \
        for (tr_rows at = tr_first(r); at.pic < r->pics; tr_next(r, &at)) {    \
            const float *x = at.x + i0, *g = at.g + o;                         \
            size_t p = 0;                                                      \
            for (; p + side <= r->px; p += side)                               \
                for (int k = 0; k < side; k++, x += r->x_px, g += r->c) {      \
                    VF v = tr_load(g);                                         \
                    for (int i = 0; i < n; i++)                                \
                        s[k][i] = V_FMA(V_SET1(x[i]), v, s[k][i]);             \
                }                                                              \
            for (; p < r->px; p++, x += r->x_px, g += r->c) {                  \
                VF v = tr_load(g);                                             \
                for (int i = 0; i < n; i++)                                    \
                    s[0][i] = V_FMA(V_SET1(x[i]), v, s[0][i]);                 \
            }                                                                  \
        }                                                                      \
        for (int i = 0; i < n; i++) {                                          \
            for (int k = 1; k < side; k++)                                     \
                s[0][i] += s[k][i];                                            \
            tr_store(r->acc + (i0 + (size_t)i) * r->c + o, s[0][i]);           \
        }                                                                      \
    }
WEIGHTS(1, 4)
WEIGHTS(3, 3)
WEIGHTS(8, 1)
#if V_WIDTH == 16
WEIGHTS(16, 1)
#endif

VTARGET static void weights(const oc__weight_run *r) {
    for (size_t o = 0; o < r->c; o += V_WIDTH) {
        size_t i = 0;
#if V_WIDTH == 16
        for (; i + 16 <= r->ics; i += 16)
            tr_weights_16(r, i, o);
#endif
        for (; i + 8 <= r->ics; i += 8)
            tr_weights_8(r, i, o);
        for (; i + 3 <= r->ics; i += 3)
            tr_weights_3(r, i, o);
        for (; i < r->ics; i++)
            tr_weights_1(r, i, o);
    }
}

VTARGET static void depth_weights(const oc__weight_run *r) {
    for (size_t o = 0; o < r->c; o += V_WIDTH) {
        /* Four chains hide the latency of a multiply-add. */
        VF s0 = tr_load(r->acc + o), s1 = V_SET1(0), s2 = s1, s3 = s1;
        for (tr_rows at = tr_first(r); at.pic < r->pics; tr_next(r, &at)) {
            const float *x = at.x + o, *g = at.g + o;
            size_t p = 0, dx = r->x_px, dg = r->c;
            for (; p + 4 <= r->px; p += 4, x += 4 * dx, g += 4 * dg) {
                s0 = V_FMA(tr_load(x), tr_load(g), s0);
                s1 = V_FMA(tr_load(x + dx), tr_load(g + dg), s1);
                s2 = V_FMA(tr_load(x + 2 * dx), tr_load(g + 2 * dg), s2);
                s3 = V_FMA(tr_load(x + 3 * dx), tr_load(g + 3 * dg), s3);
            }
            for (; p < r->px; p++, x += dx, g += dg)
                s0 = V_FMA(tr_load(x), tr_load(g), s0);
        }
        tr_store(r->acc + o, (s0 + s1) + (s2 + s3));
    }
}

/* ---- batch norms ----------------------------------------------------------
 */

/* What of g passes the activation that gave y. */
TRAIN_INLINE VF tr_pass(const oc__norm_run *r, size_t at, VF lo, VF hi) {
    VF g = tr_load(r->g + at);
    if (!r->y) return g;
    VF y = tr_load(r->y + at);
    return tr_keep((y > lo) & (y < hi), g);
}

VTARGET static void stats(const oc__norm_run *r, float *sums) {
    for (size_t o = 0; o < r->c; o += V_WIDTH) {
        VF shift = tr_load(r->shift + o), s0 = V_SET1(0), s1 = s0;
        VF q0 = s0, q1 = s0;
        const float *x = r->x + o;
        size_t p = 0;
        for (; p + 2 <= r->px; p += 2, x += 2 * r->c) {
            VF u = tr_load(x) - shift, v = tr_load(x + r->c) - shift;
            s0 += u;
            s1 += v;
            q0 = V_FMA(u, u, q0);
            q1 = V_FMA(v, v, q1);
        }
        if (p < r->px) {
            VF u = tr_load(x) - shift;
            s0 += u;
            q0 = V_FMA(u, u, q0);
        }
        tr_store(sums + o, tr_load(sums + o) + (s0 + s1));
        tr_store(sums + r->c + o, tr_load(sums + r->c + o) + (q0 + q1));
    }
}

VTARGET static void grad_stats(const oc__norm_run *r, float *sums) {
    VF lo = V_SET1(r->lo), hi = V_SET1(r->hi);
    for (size_t o = 0; o < r->c; o += V_WIDTH) {
        VF shift = tr_load(r->shift + o), s = V_SET1(0), q = s;
        for (size_t p = 0, at = o; p < r->px; p++, at += r->c) {
            VF g = tr_pass(r, at, lo, hi);
            s += g;
            q = V_FMA(g, tr_load(r->x + at) - shift, q);
        }
        tr_store(sums + o, tr_load(sums + o) + s);
        tr_store(sums + r->c + o, tr_load(sums + r->c + o) + q);
    }
}

VTARGET static void sum(const oc__norm_run *r, float *sums) {
    for (size_t o = 0; o < r->c; o += V_WIDTH) {
        VF s = V_SET1(0);
        for (size_t p = 0, at = o; p < r->px; p++, at += r->c)
            s += tr_load(r->x + at);
        tr_store(sums + o, tr_load(sums + o) + s);
    }
}

VTARGET static void apply(const oc__norm_run *r) {
    VF lo = V_SET1(r->lo), hi = V_SET1(r->hi);
    for (size_t o = 0; o < r->c; o += V_WIDTH) {
        VF a = tr_load(r->a + o), d = tr_load(r->d + o);
        for (size_t p = 0, at = o; p < r->px; p++, at += r->c) {
            VF v = V_FMA(a, tr_load(r->x + at), d);
            v = tr_select(v < lo, lo, v);
            tr_store(r->out + at, tr_select(v > hi, hi, v));
        }
    }
}

VTARGET static void grad(const oc__norm_run *r) {
    VF lo = V_SET1(r->lo), hi = V_SET1(r->hi);
    for (size_t o = 0; o < r->c; o += V_WIDTH) {
        VF a = tr_load(r->a + o), b = tr_load(r->b + o);
        VF d = tr_load(r->d + o), shift = tr_load(r->shift + o);
        for (size_t p = 0, at = o; p < r->px; p++, at += r->c) {
            VF g = tr_pass(r, at, lo, hi);
            VF t = V_FMA(b, tr_load(r->x + at) - shift, d);
            tr_store(r->out + at, V_FMA(a, g, t));
        }
    }
}

VTARGET static void clamp_grad(size_t n, const float *g, const float *x,
                               float lo, float hi, float *out) {
    size_t i = 0;
    for (VF l = V_SET1(lo), h = V_SET1(hi); i + V_WIDTH <= n; i += V_WIDTH) {
        VF v = tr_load(x + i);
        tr_store(out + i, tr_keep(~((v < l) | (v > h)), tr_load(g + i)));
    }
    for (; i < n; i++)
        out[i] = x[i] < lo || x[i] > hi ? 0 : g[i];
}

/* ---- the largest of a window ----------------------------------------------
 */

VTARGET static void give_max(size_t c, const float *x, const size_t *taps,
                             size_t n, const float *g, float *dx) {
    for (size_t o = 0; o < c; o += V_WIDTH) {
        VF best = tr_load(x + taps[0] + o), share = tr_load(g + o);
        VI place = {0};
        for (size_t t = 1; t < n; t++) {
            VF v = tr_load(x + taps[t] + o);
            VI more = (v > best) | ((v != v) & (best == best));
            best = tr_select(more, v, best);
            place = (place & ~more) | (more & (int)t);
        }
        for (size_t t = 0; t < n; t++) {
            float *to = dx + taps[t] + o;
            tr_store(to, tr_load(to) + tr_keep(place == (int)t, share));
        }
    }
}

const oc__train_f32_kernel K(train_f32) = {weights,    depth_weights, stats,
                                           grad_stats, apply,         grad,
                                           clamp_grad, sum,           give_max};
