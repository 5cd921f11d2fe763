/* tune.c - choosing by times; see tune.h. */
#include "passes/tune.h"

#include "base/memory.h"
#include "base/size.h"

#include <string.h>

#define MS INT64_C(1000000)
/* A question is settled once its candidates ran for so long, each at least
 * LEAST_ROUNDS times; none is asked after WHOLE_NS. */
#define LAYER_NS (50 * MS)
#define WHOLE_NS (30000 * MS)
enum { LEAST_ROUNDS = 5, MOST_ROUNDS = 24 };
/* A candidate that in so many rounds was never nearer to the best will not
 * win.  The usual one stays: what is said of it must not be bad luck. */
enum { HOPE_ROUNDS = 3 };
#define HOPELESS 1.3
/* Times of a busy machine scatter by a few percent even at their least. */
#define MARGIN 0.97

/* A question that was asked, and its answer. */
typedef struct record {
    oc__conv_geom g, depth;
    oc__conv_algo usual, answer;
    int joined, is_changed;
    int64_t usual_ns, answer_ns;
} record;

struct oc__tuner {
    const oc_allocator *allocator;
    oc__tune_meter meter;
    record *list;
    size_t n, room;
    int begun;
    int64_t spent_ns;
    int64_t usual_ns, answer_ns; /* of the program's layers together */
    oc_tune_summary found;
};

oc_status oc__tuner_create(oc__tuner **out, const oc_allocator *a,
                           const oc__tune_meter *meter, oc_error *err) {
    oc__tuner *t = oc__calloc(a, 1, sizeof(*t));
    if (!t) return oc__fail_nomem(err);
    t->allocator = a;
    t->meter = *meter;
    *out = t;
    return OC_OK;
}

void oc__tuner_destroy(oc__tuner *t) {
    if (!t) return;
    oc__release(t->allocator, t->list, t->room * sizeof(*t->list));
    oc__release(t->allocator, t, sizeof(*t));
}

static int64_t now_ns(const oc__tuner *t) {
    return t->meter.now_ns(t->meter.user);
}

void oc__tuner_begin(oc__tuner *t, size_t weight_bytes) {
    if (t->meter.begin) t->meter.begin(t->meter.user, weight_bytes);
    memset(&t->found, 0, sizeof(t->found));
    t->usual_ns = t->answer_ns = t->spent_ns = 0;
    t->begun = 1;
}

int oc__tuner_end(oc__tuner *t, oc_tune_summary *out) {
    if (!t->begun) return 0;
    t->begun = 0;
    if (t->meter.end) t->meter.end(t->meter.user);
    t->found.usual_ms = (double)t->usual_ns / (double)MS;
    t->found.tuned_ms = (double)t->answer_ns / (double)MS;
    t->found.spent_ms = (double)t->spent_ns / (double)MS;
    *out = t->found;
    return 1;
}

/* ---- timing ---------------------------------------------------------------
 */

/* Least times of n cases, in turns; those without hope drop out. */
static void run_in_turns(oc__tuner *t, const oc__tune_case *cases, size_t n,
                         int64_t *best) {
    int64_t start = now_ns(t), least = INT64_MAX;
    int out[OC_TUNE_CASES] = {0};
    size_t in = n;
    for (size_t i = 0; i < n; i++)
        best[i] = INT64_MAX;
    for (int round = 0; round < MOST_ROUNDS && in > 1; round++) {
        if (round >= LEAST_ROUNDS && now_ns(t) - start > LAYER_NS) return;
        for (size_t i = 0; i < n; i++) {
            if (out[i]) continue;
            int64_t ns = t->meter.run(t->meter.user, &cases[i]);
            best[i] = OC_MIN(best[i], OC_MAX(ns, 1));
            least = OC_MIN(least, best[i]);
        }
        for (size_t i = 1; i < n && round + 1 >= HOPE_ROUNDS; i++)
            if (!out[i] && (double)best[i] > HOPELESS * (double)least) {
                out[i] = 1;
                in--;
            }
    }
}

/* The number of the fastest case; the usual one, 0, unless that is slower by
 * the margin.  -1: there was no time or no memory. */
static int fastest(oc__tuner *t, const oc__tune_case *cases, size_t n,
                   int64_t *best) {
    int winner = 0;
    int64_t start = now_ns(t);
    if (t->spent_ns > WHOLE_NS || t->meter.open(t->meter.user, cases, n))
        return -1;
    run_in_turns(t, cases, n, best);
    t->meter.close(t->meter.user);
    t->spent_ns += now_ns(t) - start;
    for (size_t i = 1; i < n; i++)
        if ((double)best[i] < MARGIN * (double)best[0] &&
            best[i] < best[winner])
            winner = (int)i;
    return winner;
}

/* ---- questions ------------------------------------------------------------
 */

static int same_geom(const oc__conv_geom *a, const oc__conv_geom *b) {
    return !memcmp(a, b, sizeof(*a)); /* integers of one size, no padding */
}

static record *find(const oc__tuner *t, const oc__tune_case *usual) {
    for (size_t i = 0; i < t->n; i++) {
        record *r = &t->list[i];
        if (same_geom(&r->g, &usual->g) && r->usual == usual->algo &&
            same_geom(&r->depth, &usual->depth))
            return r;
    }
    return NULL;
}

/* Room for one more; NULL: no memory. */
static record *add(oc__tuner *t) {
    if (t->n == t->room) {
        size_t room = t->room ? 2 * t->room : 32;
        record *more = oc__calloc(t->allocator, room, sizeof(*more));
        if (!more) return NULL;
        if (t->n) memcpy(more, t->list, t->n * sizeof(*more));
        oc__release(t->allocator, t->list, t->room * sizeof(*more));
        t->list = more;
        t->room = room;
    }
    return &t->list[t->n++];
}

/* The answer to a question with these candidates, the usual one first; NULL:
 * there is none. */
static const record *ask(oc__tuner *t, const oc__tune_case *cases, size_t n) {
    int64_t best[OC_TUNE_CASES];
    record *r = find(t, &cases[0]);
    if (r) return r;
    int winner = fastest(t, cases, n, best);
    r = winner < 0 ? NULL : add(t);
    if (!r) return NULL;
    *r = (record){.g = cases[0].g,
                  .depth = cases[0].depth,
                  .usual = cases[0].algo,
                  .answer = cases[winner].algo,
                  .joined = cases[winner].joined,
                  .is_changed = winner > 0,
                  .usual_ns = best[0],
                  .answer_ns = best[winner]};
    t->found.timed++;
    return r;
}

/* Adds (sign 1) what r says of one layer to the program's counts, or takes it
 * away again (-1). */
static void count(oc__tuner *t, const record *r, int sign) {
    t->found.layers += sign;
    if (r->is_changed) t->found.changed += sign;
    t->usual_ns += sign * r->usual_ns;
    t->answer_ns += sign * r->answer_ns;
}

oc__conv_algo oc__tuner_choose(oc__tuner *t, const oc__kernels *kt,
                               const oc__conv_geom *g, oc__conv_algo usual) {
    oc__tune_case cases[OC_TUNE_CASES] = {{.g = *g, .algo = usual}};
    size_t n = 1;
    /* A depthwise convolution as a dense one has a block's times the work. */
    if (usual == OC_CONV_DEPTHWISE) return usual;
    for (int i = 0; i < OC_CONV_ALGO_COUNT; i++)
        if (i != (int)usual && oc__conv_f32_can(kt, g, (oc__conv_algo)i))
            cases[n++] = (oc__tune_case){.g = *g, .algo = (oc__conv_algo)i};
    if (n == 1) return usual;
    const record *r = ask(t, cases, n);
    if (!r) {
        t->found.left++;
        return usual;
    }
    count(t, r, 1);
    return r->answer;
}

/* What was asked about the 1x1 convolution alone. */
static const record *asked_alone(const oc__tuner *t, const oc__conv_geom *g,
                                 oc__conv_algo answer) {
    for (size_t i = 0; i < t->n; i++)
        if (t->list[i].depth.in_c == 0 && t->list[i].answer == answer &&
            same_geom(&t->list[i].g, g))
            return &t->list[i];
    return NULL;
}

int oc__tuner_joins(oc__tuner *t, const oc__conv_geom *depth,
                    const oc__conv_geom *point, oc__conv_algo apart) {
    oc__conv_algo joined =
        oc__conv_is_bf16(apart) ? OC_CONV_POINT_BF16 : OC_CONV_POINT;
    oc__tune_case cases[2] = {
        {.g = *point, .algo = joined, .depth = *depth, .joined = 1},
        {.g = *point, .algo = apart, .depth = *depth}};
    const record *r = ask(t, cases, 2);
    if (!r) {
        t->found.left++;
        return 1;
    }
    /* It was counted as a layer of its own, which it is no more. */
    const record *alone = asked_alone(t, point, apart);
    if (alone) count(t, alone, -1);
    count(t, r, 1);
    return r->joined;
}
