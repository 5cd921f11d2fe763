/*
 * tile_i8_avx2.c - the exact 8-bit product without dot-product instructions.
 *
 * vpmaddubsw multiplies bytes and adds pairs of products in 16 bits, vpmaddwd
 * by ones adds pairs of these in 32.  What stays exact is known when B is
 * packed, and B is ordered by it; see gemm_i8.h.
 *
 *     a         a0 a1 a2 a3 | a0 a1 a2 a3 | ...     a quad of one row
 *     b         column 0    | 1           | ... 7   a quad of each
 *     products  a0 b0 + a1 b1, a2 b2 + a3 b3 | ...  16 bits each
 *
 * Two quads take three multiplications where 16-bit operands take four.
 */
#include "kernels/kernels.h"

#if OC_ARCH_X86

#include <immintrin.h>
#include <string.h>

#define VINLINE static inline __attribute__((always_inline)) OC_TARGET_AVX2
#define VTARGET OC_TARGET_AVX2
#define V(name) v8_##name
#define K(job)  oc__##job##_avx2
#define VI      __m256i
#define LANES   8

/* 16 registers: 10 sums, 2 of B, ones, 3 of products.  An addition has a
 * latency of 1, so a narrow tile is as fast as a wide one. */
#define MR           10
#define PANEL        8
#define ORDER        1
#define VECTORS      1
#define THIN_ROWS    1
#define THIN_PANELS  1
#define EACH_THIN(X) X(1)
#define EACH(X)      X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10)

/* Bytes of a quad of all columns. */
#define QUAD (4 * PANEL)

VINLINE VI V(zero)(void) {
    return _mm256_setzero_si256();
}
VINLINE VI V(load)(const void *p) {
    return _mm256_loadu_si256(p);
}
VINLINE void V(store)(void *p, VI v) {
    _mm256_storeu_si256(p, v);
}
VINLINE VI V(a)(const uint8_t *p) {
    int32_t four;
    memcpy(&four, p, sizeof four);
    return _mm256_set1_epi32(four);
}
VINLINE void V(put16)(uint8_t *to, const uint8_t *from, uint8_t by) {
    __m128i x = _mm_loadu_si128((const __m128i *)(const void *)from);
    x = _mm_xor_si128(x, _mm_set1_epi8((char)by));
    _mm_storeu_si128((__m128i *)(void *)to, x);
}
VINLINE void V(put8)(uint8_t *to, const uint8_t *from, uint8_t by) {
    __m128i x = _mm_loadl_epi64((const __m128i *)(const void *)from);
    x = _mm_xor_si128(x, _mm_set1_epi8((char)by));
    _mm_storel_epi64((__m128i *)(void *)to, x);
}
VINLINE void V(fold)(uint32_t *to, const VI *acc) {
    V(store)(to, acc[0]);
}
VINLINE void V(lanes)(VI *v, const VI *acc) {
    v[0] = acc[0];
}
VINLINE VI V(lanes_at)(const int32_t *p) {
    return V(load)(p);
}
VINLINE VI V(i_sum)(VI a, VI b) {
    return _mm256_add_epi32(a, b);
}
static VTARGET void V(order)(int8_t *b, size_t quads, uint16_t *list);

#include "kernels/x86/codes_avx2.h"

#include "kernels/tile_i8_template.h"

/* ---- sums ---------------------------------------------------------------- */

/* Pairs of 16 bits to sums of 32. */
VINLINE VI V(wider)(VI acc, VI products) {
    VI sums = _mm256_madd_epi16(products, _mm256_set1_epi16(1));
    /* The addition in place: left to itself, gcc moves sums from register to
     * register, and into memory. */
    __asm__("vpaddd %1, %0, %0" : "+x"(acc) : "x"(sums));
    return acc;
}

VINLINE void V(i8_sums)(const oc__gemm_i8_tile *t, VI (*acc)[MAX_VECTORS],
                        const int rows, size_t panel) {
    const VI low = _mm256_set1_epi16(0xff);
    const uint16_t *at = t->order + panel * t->order_step;
    const int8_t *b = t->b + panel * t->b_panel_step;
    size_t quads = t->k / 4;
    if (!quads) return;
    const uint16_t *pairs = at + 2 + 2 * (size_t)at[0], *all = at + 2 + quads;
    const uint16_t *singles = pairs + at[1];
    for (at += 2; at < pairs; at += 2, b += 2 * QUAD) {
        const uint8_t *a0 = t->a + at[0], *a1 = t->a + at[1];
        VI b0 = V(load)(b), b1 = V(load)(b + QUAD);
        UNROLL for (int i = 0; i < rows; i++) {
            VI x = V(a)(a0 + i * OC_GEMM_I8_STEPS);
            VI y = V(a)(a1 + i * OC_GEMM_I8_STEPS);
            x = _mm256_maddubs_epi16(x, b0);
            y = _mm256_maddubs_epi16(y, b1);
            acc[i][0] = V(wider)(acc[i][0], _mm256_add_epi16(x, y));
            STEP_ENDS;
        }
    }
    for (; at < singles; at++, b += QUAD) {
        const uint8_t *a = t->a + at[0];
        VI b0 = V(load)(b);
        UNROLL for (int i = 0; i < rows; i++) {
            VI x = V(a)(a + i * OC_GEMM_I8_STEPS);
            acc[i][0] = V(wider)(acc[i][0], _mm256_maddubs_epi16(x, b0));
            STEP_ENDS;
        }
    }
    for (; at < all; at++, b += QUAD) {
        const uint8_t *a = t->a + at[0];
        VI even = _mm256_and_si256(V(load)(b), low);
        VI odd = _mm256_andnot_si256(low, V(load)(b));
        UNROLL for (int i = 0; i < rows; i++) {
            VI x = V(a)(a + i * OC_GEMM_I8_STEPS);
            VI y = _mm256_maddubs_epi16(x, odd);
            acc[i][0] = V(wider)(acc[i][0], _mm256_maddubs_epi16(x, even));
            acc[i][0] = V(wider)(acc[i][0], y);
            STEP_ENDS;
        }
    }
}

/* ---- the order ----------------------------------------------------------- */

/* The greatest sum of weights of one sign that 255 times fits 16 bits. */
#define LOAD_MOST 128
/* Quads that wait for a partner. */
#define WAITING 8

/* What the weights of each sign add up to in each sum of 16 bits. */
VINLINE VI V(load_of)(const int8_t *b) {
    const VI ones = _mm256_set1_epi8(1), none = V(zero)();
    VI w = V(load)(b);
    VI above = _mm256_max_epi8(w, none);
    VI below = _mm256_sub_epi8(none, _mm256_min_epi8(w, none));
    return _mm256_packus_epi16(_mm256_maddubs_epi16(above, ones),
                               _mm256_maddubs_epi16(below, ones));
}

VINLINE int V(fits)(VI load) {
    const VI most = _mm256_set1_epi8((char)LOAD_MOST);
    VI more = _mm256_subs_epu8(load, most);
    return _mm256_testz_si256(more, more);
}

typedef struct matching {
    VI load[WAITING];
    uint16_t waiting[WAITING];
    size_t n_waiting, n_paired, n_singles, n_wide;
    uint16_t paired[OC_GEMM_I8_K_BLOCK / 4], singles[OC_GEMM_I8_K_BLOCK / 4],
        wide[OC_GEMM_I8_K_BLOCK / 4];
} matching;

VINLINE void V(drop)(matching *m, size_t i) {
    m->n_waiting--;
    for (; i < m->n_waiting; i++) {
        m->load[i] = m->load[i + 1];
        m->waiting[i] = m->waiting[i + 1];
    }
}

VINLINE void V(match)(matching *m, VI load, uint16_t q) {
    if (!V(fits)(load)) {
        m->wide[m->n_wide++] = q;
        return;
    }
    for (size_t i = 0; i < m->n_waiting; i++) {
        if (!V(fits)(_mm256_adds_epu8(load, m->load[i]))) continue;
        m->paired[m->n_paired++] = m->waiting[i];
        m->paired[m->n_paired++] = q;
        V(drop)(m, i);
        return;
    }
    if (m->n_waiting == WAITING) {
        m->singles[m->n_singles++] = m->waiting[0];
        V(drop)(m, 0);
    }
    m->load[m->n_waiting] = load;
    m->waiting[m->n_waiting++] = q;
}

static VTARGET void V(order)(int8_t *b, size_t quads, uint16_t *list) {
    int8_t from[OC_GEMM_I8_K_BLOCK * PANEL];
    matching m;
    m.n_waiting = m.n_paired = m.n_singles = m.n_wide = 0;
    for (size_t q = 0; q < quads; q++)
        V(match)(&m, V(load_of)(b + q * QUAD), (uint16_t)q);
    memcpy(m.singles + m.n_singles, m.waiting, m.n_waiting * sizeof *list);
    m.n_singles += m.n_waiting;
    *list++ = (uint16_t)(m.n_paired / 2);
    *list++ = (uint16_t)m.n_singles;
    memcpy(list, m.paired, m.n_paired * sizeof *list);
    memcpy(list + m.n_paired, m.singles, m.n_singles * sizeof *list);
    memcpy(list + m.n_paired + m.n_singles, m.wide, m.n_wide * sizeof *list);
    memcpy(from, b, quads * QUAD);
    const size_t each = OC_GEMM_I8_STEPS / 4;
    for (size_t i = 0; i < quads; i++) {
        size_t q = list[i];
        V(store)(b + i * QUAD, V(load)(from + q * QUAD));
        list[i] = (uint16_t)(q / each * A_STEP + q % each * 4);
    }
}

#endif
