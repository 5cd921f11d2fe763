/* figures.c - see figures.h. */
#include "data/figures.h"

#include "base/size.h"
#include "base/sort.h"

#include <math.h>
#include <string.h>

/* ---- rows -----------------------------------------------------------------
 */

static int best_of(const float *z, int classes) {
    int best = 0;
    for (int c = 1; c < classes; c++) {
        if (z[c] > z[best]) best = c;
    }
    return best;
}

/* How many stand before `label`: larger, or equal and earlier. */
static int rank_of(const float *z, int classes, int label) {
    int before = 0;
    for (int c = 0; c < classes; c++)
        before += z[c] > z[label] || (z[c] == z[label] && c < label);
    return before;
}

/* log of the sum of exp(z / t), and the largest z. */
static double log_sum(const float *z, int classes, double t, double *most) {
    double sum = 0;
    *most = z[best_of(z, classes)];
    for (int c = 0; c < classes; c++)
        sum += exp((z[c] - *most) / t);
    return log(sum);
}

/* ---- what classes got -----------------------------------------------------
 */

static double ratio(int64_t a, int64_t b) {
    return b ? (double)a / (double)b : 0;
}

/* From truths, predicted and right of each class. */
static void summarise(oc__figures *f) {
    int64_t truths = 0, predicted = 0, right = 0;
    double recalls = 0;
    int with = 0;
    for (int c = 0; c < f->classes; c++) {
        oc__class_figures *p = &f->per_class[c];
        p->precision = ratio(p->right, p->predicted);
        p->recall = ratio(p->right, p->truths);
        /* 2PR / (P + R), in whole numbers */
        p->f1 = ratio(2 * p->right, p->truths + p->predicted);
        truths += p->truths;
        predicted += p->predicted;
        right += p->right;
        if (!p->truths) continue;
        with++;
        recalls += p->recall;
        f->macro_f1 += p->f1;
    }
    f->micro_f1 = ratio(2 * right, truths + predicted);
    if (with) {
        f->macro_f1 /= with;
        f->balanced_accuracy = recalls / with;
    }
}

static void add_to_bin(oc__figures *f, double confidence, double right) {
    if (!(confidence >= 0)) confidence = 0; /* NaN promises nothing */
    int b = OC_MIN((int)(confidence * OC_CALIBRATION_BINS),
                   OC_CALIBRATION_BINS - 1);
    f->bins[b].n++;
    f->bins[b].confidence += confidence;
    f->bins[b].accuracy += right;
}

static void finish_bins(oc__figures *f) {
    int64_t n = 0;
    for (int b = 0; b < OC_CALIBRATION_BINS; b++) {
        oc__calibration_bin *bin = &f->bins[b];
        n += bin->n;
        f->ece += fabs(bin->confidence - bin->accuracy);
        if (!bin->n) continue;
        bin->confidence /= (double)bin->n;
        bin->accuracy /= (double)bin->n;
    }
    if (n) f->ece /= (double)n;
}

static oc_status begin(oc__figures *f, int n, int classes, int multi,
                       const oc_allocator *allocator, oc_error *err) {
    memset(f, 0, sizeof *f);
    f->allocator = allocator ? *allocator : oc__default_allocator;
    f->classes = classes;
    f->multi = multi;
    size_t k = (size_t)(classes > 0 ? classes : 0), cells;
    if (n < 0 || classes < 1)
        return oc__fail(err, OC_E_ARG, "there are no classes to measure");
    f->per_class = oc__calloc(&f->allocator, k, sizeof *f->per_class);
    if (!multi && !oc__size_mul(k, k, &cells))
        f->confusion = oc__calloc(&f->allocator, cells, sizeof *f->confusion);
    if (!f->per_class || (!multi && !f->confusion)) return oc__fail_nomem(err);
    for (int c = 0; c < classes; c++)
        f->per_class[c].average_precision = -1;
    return OC_OK;
}

void oc__figures_deinit(oc__figures *f) {
    size_t k = (size_t)f->classes;
    if (!f->allocator.release) return;
    oc__release(&f->allocator, f->per_class, k * sizeof *f->per_class);
    oc__release(&f->allocator, f->confusion, k * k * sizeof *f->confusion);
    memset(f, 0, sizeof *f);
}

/* ---- one label ------------------------------------------------------------
 */

oc_status oc__figures_single(oc__figures *f, const float *logits,
                             const int64_t *label, int n, int classes,
                             double temperature, const oc_allocator *allocator,
                             oc_error *err) {
    OC_TRY(begin(f, n, classes, 0, allocator, err));
    double t = temperature > 0 ? temperature : 1;
    int64_t right = 0, near = 0;
    for (int i = 0; i < n; i++) {
        const float *z = logits + (size_t)i * (size_t)classes;
        int y = (int)label[i], best = best_of(z, classes);
        if (label[i] < 0 || label[i] >= classes) continue;
        double most, all = log_sum(z, classes, t, &most);
        f->n++;
        f->loss += all - (z[y] - most) / t;
        f->confusion[(size_t)y * (size_t)classes + (size_t)best]++;
        f->per_class[y].truths++;
        f->per_class[best].predicted++;
        f->per_class[y].right += y == best;
        right += y == best;
        near += rank_of(z, classes, y) < 5;
        add_to_bin(f, exp((z[best] - most) / t - all), y == best);
        for (int c = 0; c < classes; c++) {
            double p = exp((z[c] - most) / t - all) - (c == y);
            f->brier += p * p;
        }
    }
    if (f->n) {
        f->loss /= f->n;
        f->brier /= f->n;
    }
    f->accuracy = ratio(right, f->n);
    f->top5 = ratio(near, f->n);
    summarise(f);
    finish_bins(f);
    return OC_OK;
}

/* ---- several labels -------------------------------------------------------
 */

static int by_score(const void *ctx, int64_t a, int64_t b) {
    const float *z = ctx;
    return (z[a] < z[b]) - (z[a] > z[b]); /* the best first */
}

/*
 * Average precision as the sum of precision times the step in recall, equal
 * scores taken together, and the threshold where F1 is best.  column holds the
 * class's scores, order the rows from best to worst.
 */
static void rank_class(oc__class_figures *p, const float *column,
                       const int64_t *order, const float *targets, int n,
                       int classes, int c) {
    int64_t hits = 0, before = 0, best_hits = 0, best_at = 0;
    double ap = 0;
    for (int i = 0; i < n; i++) {
        float z = column[order[i]];
        hits += targets[(size_t)order[i] * (size_t)classes + (size_t)c] > 0.5f;
        if (i + 1 < n && column[order[i + 1]] == z) continue;
        ap += (double)(hits - before) * ratio(hits, i + 1);
        before = hits;
        /* F1 = 2 hits / (truths + i + 1), compared without dividing */
        if (hits * (p->truths + best_at) > best_hits * (p->truths + i + 1)) {
            best_hits = hits;
            best_at = i + 1;
            p->threshold = 1 / (1 + exp(-(double)z));
        }
    }
    p->average_precision = ap / (double)p->truths;
}

oc_status oc__figures_multi(oc__figures *f, const float *logits,
                            const float *targets, int n, int classes,
                            const oc_allocator *allocator, oc_error *err) {
    OC_TRY(begin(f, n, classes, 1, allocator, err));
    size_t rows = (size_t)(n ? n : 1);
    size_t bytes = rows * (2 * sizeof(int64_t) + sizeof(float));
    int64_t *order = oc__alloc(&f->allocator, bytes);
    int64_t right = 0;
    int ranked = 0;
    if (!order) return oc__fail_nomem(err);
    int64_t *tmp = order + rows;
    float *column = (float *)(void *)(tmp + rows);
    for (int c = 0; c < classes; c++) {
        oc__class_figures *p = &f->per_class[c];
        for (int i = 0; i < n; i++) {
            size_t at = (size_t)i * (size_t)classes + (size_t)c;
            double z = logits[at], s = 1 / (1 + exp(-z));
            int truth = targets[at] > 0.5f, yes = z > 0;
            p->truths += truth;
            p->predicted += yes;
            p->right += truth && yes;
            right += truth == yes;
            /* log(1 + exp(-|z|)) + max(z, 0) - z truth */
            f->loss += log1p(exp(-fabs(z))) + fmax(z, 0) - z * truth;
            f->brier += (s - truth) * (s - truth);
            add_to_bin(f, yes ? s : 1 - s, truth == yes);
            order[i] = i;
            column[i] = logits[at];
        }
        if (!p->truths) continue;
        oc__sort_index(order, tmp, (size_t)n, by_score, column);
        rank_class(p, column, order, targets, n, classes, c);
        f->mean_ap += p->average_precision;
        ranked++;
    }
    oc__release(&f->allocator, order, bytes);
    f->n = n;
    if (ranked) f->mean_ap /= ranked;
    if (n) {
        f->loss /= (double)n * classes;
        f->brier /= n;
    }
    f->accuracy = ratio(right, (int64_t)n * classes);
    summarise(f);
    finish_bins(f);
    return OC_OK;
}

/* ---- temperature ----------------------------------------------------------
 */

/* First and second derivative of the mean loss by b = 1 / T: what the softmax
   expects of the logits less the true one, and their variance. */
static int slope(const float *logits, const int64_t *label, int n, int classes,
                 double b, double *first, double *second) {
    int used = 0;
    *first = *second = 0;
    for (int i = 0; i < n; i++) {
        const float *z = logits + (size_t)i * (size_t)classes;
        double sum = 0, mean = 0, square = 0;
        if (label[i] < 0 || label[i] >= classes) continue;
        double most = z[best_of(z, classes)];
        for (int c = 0; c < classes; c++) {
            double d = z[c] - most, e = exp(d * b);
            sum += e;
            mean += e * d;
            square += e * d * d;
        }
        mean /= sum;
        *first += mean - (z[label[i]] - most);
        *second += square / sum - mean * mean;
        used++;
    }
    return used;
}

double oc__fit_temperature(const float *logits, const int64_t *label, int n,
                           int classes) {
    double lo = 1.0 / 20, hi = 1.0 / 0.05, b = 1, first, second;
    for (int i = 0; i < 200; i++) {
        if (!slope(logits, label, n, classes, b, &first, &second)) return 1;
        if (!isfinite(first)) return 1;
        if (first == 0) break;
        /* The loss is convex in b: its minimum lies downhill. */
        if (first > 0)
            hi = b;
        else
            lo = b;
        double next = second > 0 ? b - first / second : lo;
        if (!(next > lo && next < hi)) next = sqrt(lo * hi);
        if (fabs(next - b) <= 1e-13 * b) break;
        b = next;
    }
    return 1 / b;
}
