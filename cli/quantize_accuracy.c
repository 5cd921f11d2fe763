/*
 * quantize_accuracy.c - as many layers in 8 bits as the accuracy allows.
 *
 * What a layer does harm is estimated first: the model with it alone in 8 bits,
 * on a few pictures, against what it said in f32.  That says in which order
 * layers go back; how many must, the figure of `ocelli eval` decides, or where
 * there are no labels how much of what the model said it still says: twice as
 * many until it is good, then half way between too few and enough.  Some of
 * those may have gone for nothing, so each is tried in 8 bits once more, as far
 * as patience lasts.
 */
#include "quantize.h"

#include "out.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { RETRIES = 8, RANKED_ON = 4 };

typedef struct candidate {
    int layer;
    oc_quant_precision wanted;
    double share, db;
} candidate;

typedef struct search {
    quantize *r;
    int has_labels;
    evaluation e;    /* with labels */
    agreement a;     /* with what the model says in f32 */
    candidate *list; /* the most harmful first */
    int n;
    double least; /* figure that is good enough */
} search;

int quantize_max_drop(const cli_args *args, double *out) {
    const char *text = cli_get(args, "max-drop", "0.5%");
    char *end;
    double v = strtod(text, &end);
    if (end != text && *end == '%') {
        v /= 100;
        end++;
    }
    if (end == text || *end || !(v >= 0 && v <= 0.2))
        return cli_fail(CLI_USAGE,
                        "--max-drop takes points from 0%% to 20%%, as \"0.5%%\""
                        ", or a share to 0.2, not \"%s\"",
                        text);
    *out = v;
    return CLI_OK;
}

/* ---- the real metric ------------------------------------------------------
 */

static int figure_of(search *s, oc_model *model, double *out) {
    oc_vision_options opt = {.card = s->r->v.card,
                             .session = {.threads = s->r->threads}};
    oc_vision *v = NULL;
    oc_error err;
    evaluation_limits(s->e.task, &opt.threshold, &opt.top);
    if (oc_vision_create(&v, model, &opt, &err))
        return cli_report(&err, s->r->args->operands[0]);
    int code = evaluation_measure(&s->e, v, "measure");
    if (!code) *out = evaluation_figure(&s->e, &s->r->metric);
    s->e.vision = s->r->v.vision;
    oc_vision_destroy(v);
    s->r->measured++;
    return code;
}

/* Of the model as it would be written now. */
static int figure_now(search *s, double *out) {
    trial t;
    double db;
    s->r->measured += !s->has_labels;
    if (!s->has_labels)
        return agreement_now(&s->a, AGREEMENT_PICTURES, out, &db);
    int code = trial_open(&t, s->r, 0);
    if (!code) code = trial_load(&t);
    if (!code) code = figure_of(s, t.model, out);
    trial_close(&t);
    return code;
}

/* ---- the cheap estimate ---------------------------------------------------
 */

static int by_damage(const void *a, const void *b) {
    const candidate *x = a, *y = b;
    if (x->share != y->share) return x->share < y->share ? -1 : 1;
    if (x->db != y->db) return x->db < y->db ? -1 : 1;
    return x->layer - y->layer;
}

/* Each layer alone; all others are in f32 meanwhile. */
static int rank(search *s) {
    quantize *r = s->r;
    out_progress bar;
    int code = s->a.r ? CLI_OK : agreement_open(&s->a, r);
    for (int i = 0; i < s->n && !code; i++)
        code = quantize_set(r, s->list[i].layer, OC_QUANT_F32);
    out_progress_begin(&bar, "rank layers", s->n, r->quiet);
    for (int i = 0; i < s->n && !code; i++) {
        candidate *c = &s->list[i];
        code = quantize_set(r, c->layer, c->wanted);
        if (!code) code = agreement_now(&s->a, RANKED_ON, &c->share, &c->db);
        if (!code) code = quantize_set(r, c->layer, OC_QUANT_F32);
        r->layers[c->layer].damage_db = c->db;
        out_progress_add(&bar, 1);
    }
    out_progress_end(&bar);
    if (!code) qsort(s->list, (size_t)s->n, sizeof *s->list, by_damage);
    return code;
}

/* ---- the search -----------------------------------------------------------
 */

/* The first k go back to f32, the others are what was wanted. */
static int apply(search *s, int k) {
    int code = CLI_OK;
    for (int i = 0; i < s->n && !code; i++)
        code = quantize_set(s->r, s->list[i].layer,
                            i < k ? OC_QUANT_F32 : s->list[i].wanted);
    return code;
}

/* Whether the first k are enough; with all of them nothing is left to ask. */
static int try_first(search *s, int k, int *good) {
    double figure = s->r->figure_before;
    int code = apply(s, k);
    if (!code &&
        (k < s->n || quantize_count(s->r, OC_QUANT_F32) < s->r->n_layers))
        code = figure_now(s, &figure);
    *good = figure >= s->least;
    if (!code && *good) s->r->figure_after = figure;
    return code;
}

/* Back to what was wanted, one after the other, from the least harmful on; the
 * last but one of them is the first that was not known to be needed. */
static int retry(search *s, int k) {
    int code = CLI_OK, tries = 0;
    for (int i = k - 2; i >= 0 && tries < RETRIES && !code; i--, tries++) {
        const candidate *c = &s->list[i];
        double figure = 0;
        code = quantize_set(s->r, c->layer, c->wanted);
        if (!code) code = figure_now(s, &figure);
        if (!code && figure >= s->least)
            s->r->figure_after = figure;
        else if (!code)
            code = quantize_set(s->r, c->layer, OC_QUANT_F32);
    }
    return code;
}

static int find_enough(search *s) {
    int lo = 0, hi = 1, good = 0;
    int code = try_first(s, hi, &good);
    while (!code && !good && hi < s->n) {
        lo = hi;
        hi = 2 * hi < s->n ? 2 * hi : s->n;
        code = try_first(s, hi, &good);
    }
    while (!code && hi - lo > 1) {
        int middle = lo + (hi - lo) / 2;
        code = try_first(s, middle, &good);
        if (good)
            hi = middle;
        else
            lo = middle;
    }
    if (!code) code = apply(s, hi);
    return code ? code : retry(s, hi);
}

static void explain(search *s) {
    for (int i = 0; i < s->n; i++) {
        int at = s->list[i].layer;
        if (quantize_get(s->r, at) == OC_QUANT_F32)
            quantize_because(
                s->r, at,
                "harm: number %d of %d, alone it leaves %.1f %% of "
                "what is said, outputs at %.1f dB",
                i + 1, s->n, 100 * s->list[i].share, s->list[i].db);
    }
}

/* What may be given up, as it is wanted. */
static int list_layers(search *s) {
    quantize *r = s->r;
    s->list = calloc((size_t)r->n_layers + 1, sizeof *s->list);
    if (!s->list) return cli_fail(CLI_RESOURCES, "out of memory");
    for (int i = 0; i < r->n_layers; i++) {
        oc_quant_precision p = quantize_get(r, i);
        if (p == OC_QUANT_F32) continue;
        s->list[s->n++] = (candidate){i, p, 1, 0};
    }
    return CLI_OK;
}

/* Channels that share their reach make most models better, and some by chance
 * worse: what is measured decides. */
static int choose_equalized(search *s) {
    quantize *r = s->r;
    if (!oc_quantizer_equalized(r->q)) return CLI_OK;
    oc_quantizer_equalize(r->q, 0, NULL);
    int code = figure_now(s, &r->figure_other);
    r->has_other = 1;
    r->is_equalized = r->figure_other <= r->figure_after;
    if (!r->is_equalized) {
        double taken = r->figure_other;
        r->figure_other = r->figure_after;
        r->figure_after = taken;
    } else {
        oc_quantizer_equalize(r->q, 1, NULL);
    }
    return code;
}

/* Nor is a layer's output all there is to a weight's rounding. */
static int choose_rounding(search *s) {
    quantize *r = s->r;
    if (cli_has(r->args, "rounding") || !oc_quantizer_rounded(r->q))
        return CLI_OK;
    oc_quantizer_round(r->q, 0, NULL);
    int code = figure_now(s, &r->figure_rounding);
    r->has_rounding = 1;
    r->is_rounded = r->figure_rounding <= r->figure_after;
    if (!r->is_rounded) {
        double taken = r->figure_rounding;
        r->figure_rounding = r->figure_after;
        r->figure_after = taken;
    } else {
        oc_quantizer_round(r->q, 1, NULL);
    }
    return code;
}

static int first_figure(search *s) {
    int code = figure_now(s, &s->r->figure_after);
    if (!code) code = choose_equalized(s);
    return code ? code : choose_rounding(s);
}

static int search_layers(search *s) {
    quantize *r = s->r;
    int code = first_figure(s);
    r->figure_first = r->figure_after;
    if (code || r->figure_after >= s->least) return code;
    if (!r->quiet && !cli_has(r->args, "json"))
        fprintf(stderr,
                "%s falls from %.4f to %.4f, looking for what does it\n",
                r->metric, r->figure_before, r->figure_after);
    code = list_layers(s);
    if (!code) code = rank(s);
    if (!code) code = find_enough(s);
    if (!code) explain(s);
    return code;
}

static int search_by_labels(search *s) {
    quantize *r = s->r;
    double before = r->figure_before;
    int code =
        evaluation_open(&s->e, r->args, r->v.vision,
                        cli_get(r->args, "eval", NULL), r->args->operands[0]);
    if (!code && !r->measured) code = figure_of(s, r->v.model, &before);
    r->figure_before = before;
    s->least = before - r->max_drop - 1e-9;
    if (!code) code = search_layers(s);
    evaluation_close(&s->e);
    return code;
}

static int search_by_results(search *s) {
    quantize *r = s->r;
    int code = agreement_open(&s->a, r);
    if (code || !s->a.n_pictures) return code;
    r->metric = "agreement with f32";
    r->figure_before = 1;
    r->max_drop = 1 - r->agreement;
    s->least = r->agreement;
    return search_layers(s);
}

int quantize_for_accuracy(quantize *r) {
    search s = {.r = r, .has_labels = cli_has(r->args, "eval")};
    int code = CLI_OK;
    if (s.has_labels)
        code = search_by_labels(&s);
    else if (r->agreement > 0)
        code = search_by_results(&s);
    agreement_close(&s.a);
    free(s.list);
    return code;
}
