/* report_svg.c - curves and the reliability diagram; see report_parts.h. */
#include "train/report_parts.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

enum { W = 520, H = 250, LEFT = 52, RIGHT = 74, TOP = 34, BOTTOM = 34 };
enum { CURVE_MOST = 300 };

/* One line of a chart. */
typedef struct {
    const char *name, *css;
    size_t field; /* of oc__report_point */
    int dots;
} series;

typedef struct {
    const char *id, *title, *what;
    series lines[2];
    int n;
    int share; /* 0..1, written as percent */
} chart;

static const chart charts[] = {
    {"loss",
     "Loss",
     "what is minimised; lower is better",
     {{"train", "train", offsetof(oc__report_point, train_loss), 0},
      {"val", "val", offsetof(oc__report_point, val_loss), 1}},
     2,
     0},
    {"accuracy",
     "Accuracy",
     "share of pictures that are right; higher is better",
     {{"train", "train", offsetof(oc__report_point, train_accuracy), 0},
      {"val", "val", offsetof(oc__report_point, val_accuracy), 1}},
     2,
     1},
    {"rate",
     "Learning rate",
     "how far a step goes",
     {{"rate", "rate", offsetof(oc__report_point, learning_rate), 0}, {0}},
     1,
     0},
};

static double value(const oc__report_point *p, size_t field) {
    return *(const double *)(const void *)((const char *)p + field);
}

/* ---- axes -----------------------------------------------------------------
 */

/* The range of all lines: losses and rates from 0, shares up to 1. */
static oc__page_axis range_of(const oc__report *r, const chart *c) {
    double lo = INFINITY, hi = -INFINITY;
    for (int i = 0; i < r->n_points; i++) {
        for (int k = 0; k < c->n; k++) {
            double v = value(&r->points[i], c->lines[k].field);
            if (!isfinite(v)) continue;
            lo = fmin(lo, v);
            hi = fmax(hi, v);
        }
    }
    if (!(lo <= hi)) lo = 0, hi = 1;
    if (!c->share) return oc__page_nice(fmin(lo, 0), hi);
    oc__page_axis a = oc__page_nice(lo, 1);
    a.hi = 1;
    return a;
}

static void put_axes(oc__page *p, const chart *c, const oc__page_axis *x,
                     const oc__page_axis *y) {
    double right = x->to, bottom = y->from;
    oc__page_ticks(p, y, LEFT, right, c->share);
    double step = fmax(x->step, 1);
    for (double v = x->lo; v <= x->hi + 1e-9; v += step) {
        oc__page_text(p, "<text text-anchor=\"middle\"");
        oc__page_attribute(p, "x", oc__page_place(x, v));
        oc__page_attribute(p, "y", bottom + 18);
        oc__page_print(p, ">%d</text>", (int)v);
    }
    oc__page_text(p, "<text text-anchor=\"start\"");
    oc__page_attribute(p, "x", right + 16);
    oc__page_attribute(p, "y", bottom + 18);
    oc__page_text(p, ">epoch</text>");
}

/* ---- lines ----------------------------------------------------------------
 */

/* Points of one line; many are averaged to CURVE_MOST.  Returns the last y. */
static double put_line(oc__page *p, const oc__report *r, const series *s,
                       const oc__page_axis *x, const oc__page_axis *y,
                       double *last) {
    int n = 0, seen = 0, in = 0;
    double sx = 0, sy = 0, end = NAN;
    for (int i = 0; i < r->n_points; i++)
        n += isfinite(value(&r->points[i], s->field)) != 0;
    int group = n > CURVE_MOST ? OC_CEIL_DIV(n, CURVE_MOST) : 1;
    oc__page_print(p, "<path class=\"curve %s\" d=\"", s->css);
    for (int i = 0; i < r->n_points; i++) {
        double v = value(&r->points[i], s->field);
        if (!isfinite(v)) continue;
        *last = v;
        sx += r->points[i].epoch;
        sy += v;
        in++;
        if (++seen < n && in < group) continue;
        oc__page_text(p, isnan(end) ? "M" : " L");
        end = oc__page_place(y, sy / in);
        oc__page_fixed(p, oc__page_place(x, sx / in), 1);
        oc__page_text(p, " ");
        oc__page_fixed(p, end, 1);
        sx = sy = in = 0;
    }
    oc__page_text(p, "\"/>");
    for (int i = 0; s->dots && n <= 60 && i < r->n_points; i++) {
        double v = value(&r->points[i], s->field);
        if (!isfinite(v)) continue;
        oc__page_print(p, "<circle class=\"%s\" r=\"2.5\"", s->css);
        oc__page_attribute(p, "cx", oc__page_place(x, r->points[i].epoch));
        oc__page_attribute(p, "cy", oc__page_place(y, v));
        oc__page_text(p, "/>");
    }
    return end;
}

/* Names stand where the lines end, apart from one another. */
static void put_names(oc__page *p, const chart *c, double end[2],
                      const double last[2], double right) {
    enum { APART = 15 };
    if (c->n == 2 && isfinite(end[0]) && isfinite(end[1]) &&
        fabs(end[0] - end[1]) < APART) {
        double middle = (end[0] + end[1]) / 2, by = APART / 2.0;
        int below = end[0] > end[1];
        end[0] = middle + (below ? by : -by);
        end[1] = middle + (below ? -by : by);
    }
    for (int k = 0; k < c->n; k++) {
        if (!isfinite(end[k])) continue;
        oc__page_print(p, "<text class=\"%s\"", c->lines[k].css);
        oc__page_attribute(p, "x", right + 8);
        oc__page_attribute(p, "y", end[k] + 4);
        oc__page_print(p, ">%s ", c->n > 1 ? c->lines[k].name : "");
        if (c->share)
            oc__page_fixed(p, 100 * last[k], 1);
        else /* a schedule ends in nothing, not in 8.8e-14 */
            oc__page_number(p, fabs(last[k]) < 1e-9 ? 0 : last[k]);
        oc__page_text(p, "</text>");
    }
}

static void put_description(oc__page *p, const oc__report *r, const chart *c,
                            const double last[2]) {
    int map = c->share && r->multi;
    oc__page_print(p, "<title>%s over epochs</title><desc>",
                   map ? "mAP" : c->title);
    oc__page_text(p,
                  map ? "mean average precision; higher is better" : c->what);
    for (int k = 0; k < c->n; k++) {
        if (!isfinite(last[k])) continue;
        oc__page_print(p, "; %s ends at ", c->lines[k].name);
        if (c->share)
            oc__page_percent(p, last[k]);
        else
            oc__page_number(p, last[k]);
    }
    oc__page_text(p, "</desc>");
}

void oc__report_chart_put(oc__page *p, const oc__report *r,
                          oc__report_chart which, int wide, int x_px,
                          int y_px) {
    const chart *c = &charts[which];
    double epochs = 1, end[2] = {NAN, NAN}, last[2] = {NAN, NAN};
    for (int i = 0; i < r->n_points; i++) {
        epochs = fmax(epochs, r->points[i].epoch);
        for (int k = 0; k < c->n; k++) {
            double v = value(&r->points[i], c->lines[k].field);
            if (isfinite(v)) last[k] = v;
        }
    }
    oc__page_axis x = oc__page_nice(0, epochs), y = range_of(r, c);
    int w = wide ? 2 * W + 20 : W, h = wide ? 180 : H;
    double right = w - RIGHT, bottom = h - BOTTOM;
    x.hi = epochs;
    x.from = LEFT, x.to = right;
    y.from = bottom, y.to = TOP;
    oc__page_print(p, "<svg role=\"img\" viewBox=\"0 0 %d %d\"%s", w, h,
                   wide ? " class=\"all\"" : "");
    if (x_px || y_px)
        oc__page_print(p, " x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\"", x_px,
                       y_px, w, h);
    oc__page_text(p, ">");
    put_description(p, r, c, last);
    oc__page_print(p, "<text class=\"name\" x=\"%d\" y=\"18\">%s</text>", LEFT,
                   c->share && r->multi ? "mAP" : c->title);
    put_axes(p, c, &x, &y);
    if (r->best_epoch > 0 && r->best_epoch <= x.hi) {
        oc__page_text(p, "<line class=\"best\"");
        oc__page_attribute(p, "x1", oc__page_place(&x, r->best_epoch));
        oc__page_attribute(p, "x2", oc__page_place(&x, r->best_epoch));
        oc__page_attribute(p, "y1", TOP - 6);
        oc__page_attribute(p, "y2", bottom);
        oc__page_text(p, "/><text text-anchor=\"middle\"");
        oc__page_attribute(p, "x", oc__page_place(&x, r->best_epoch));
        oc__page_attribute(p, "y", TOP - 10);
        oc__page_text(p, ">kept</text>");
    }
    for (int k = 0; k < c->n && r->n_points; k++)
        end[k] = put_line(p, r, &c->lines[k], &x, &y, &last[k]);
    put_names(p, c, end, last, right);
    oc__page_text(p, "</svg>\n");
}

/* ---- calibration ----------------------------------------------------------
 */

void oc__report_reliability(oc__page *p, const oc__figures *f) {
    enum { SIDE = 300, EDGE = 44, BOX = SIDE - EDGE - 14 };
    int64_t n = 0;
    for (int b = 0; b < OC_CALIBRATION_BINS; b++)
        n += f->bins[b].n;
    oc__page_print(p,
                   "<svg role=\"img\" viewBox=\"0 0 %d %d\"><title>"
                   "Reliability diagram</title><desc>Bars: the share that "
                   "was right among answers of like confidence; on the "
                   "dashed line confidence is honest. Expected calibration "
                   "error ",
                   SIDE, SIDE);
    oc__page_percent(p, f->ece);
    oc__page_text(p, "</desc>");
    for (int k = 0; k <= 4; k++) {
        int at = BOX * k / 4;
        oc__page_print(p,
                       "<line class=\"grid\" x1=\"%d\" x2=\"%d\" y1=\"%d\" "
                       "y2=\"%d\"/><text text-anchor=\"end\" x=\"%d\" "
                       "y=\"%d\">%d</text><text text-anchor=\"middle\" "
                       "x=\"%d\" y=\"%d\">%d</text>",
                       EDGE, EDGE + BOX, 14 + BOX - at, 14 + BOX - at, EDGE - 6,
                       18 + BOX - at, 25 * k, EDGE + at, 32 + BOX, 25 * k);
    }
    for (int b = 0; b < OC_CALIBRATION_BINS && n; b++) {
        const oc__calibration_bin *bin = &f->bins[b];
        if (!bin->n) continue;
        double x = EDGE + BOX * (double)b / OC_CALIBRATION_BINS + 1;
        double w = (double)BOX / OC_CALIBRATION_BINS - 2;
        double lower = fmin(bin->accuracy, bin->confidence);
        double upper = fmax(bin->accuracy, bin->confidence);
        for (int part = 0; part < 2; part++) {
            double from = part ? lower : 0, to = part ? upper : lower;
            oc__page_print(p, "<rect class=\"%s\"", part ? "over" : "bar");
            /* Bins with few answers are pale. */
            oc__page_attribute(
                p, "opacity",
                0.3 + 0.7 * fmin(1, 20.0 * (double)bin->n / (double)n));
            oc__page_attribute(p, "x", x);
            oc__page_attribute(p, "width", w);
            oc__page_attribute(p, "y", 14 + BOX * (1 - to));
            oc__page_attribute(p, "height", BOX * (to - from));
            oc__page_print(p, "><title>%lld answers, confidence ",
                           (long long)bin->n);
            oc__page_percent(p, bin->confidence);
            oc__page_text(p, ", right ");
            oc__page_percent(p, bin->accuracy);
            oc__page_text(p, "</title></rect>");
        }
    }
    oc__page_print(p,
                   "<path class=\"even\" d=\"M%d %d L%d 14\"/><text x=\"%d\" "
                   "y=\"%d\" text-anchor=\"middle\">confidence, %%</text>"
                   "<text transform=\"rotate(-90)\" x=\"%d\" y=\"12\" "
                   "text-anchor=\"middle\">right, %%</text></svg>\n",
                   EDGE, 14 + BOX, EDGE + BOX, EDGE + BOX / 2, SIDE - 2,
                   -(14 + BOX / 2));
}

/* ---- the file -------------------------------------------------------------
 */

oc_status oc__report_curves(oc_bytes *out, const oc__report *r, oc_error *err) {
    oc__page p = {out, 0};
    out->size = 0;
    oc__page_print(&p,
                   "<svg xmlns=\"http://www.w3.org/2000/svg\" role=\"img\" "
                   "viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\">\n<title>",
                   2 * W + 20, 2 * H + 60, 2 * W + 20, 2 * H + 60);
    oc__page_escaped(&p, r->title);
    oc__page_text(&p, "</title><desc>Loss, accuracy and learning rate over "
                      "epochs");
    oc__page_text(&p, r->running ? ", still running</desc>\n<style>"
                                 : "</desc>\n<style>");
    oc__page_text(&p, oc__page_svg_css);
    oc__page_text(&p, "</style><rect width=\"100%\" height=\"100%\" "
                      "fill=\"var(--ground)\"/><text class=\"name\" x=\"20\" "
                      "y=\"28\">");
    oc__page_escaped(&p, r->title);
    oc__page_text(&p, r->running ? " \xe2\x80\x93 running" : "");
    oc__page_text(&p, "</text>\n");
    oc__report_chart_put(&p, r, OC_CHART_LOSS, 0, 0, 40);
    oc__report_chart_put(&p, r, OC_CHART_ACCURACY, 0, W + 10, 40);
    oc__report_chart_put(&p, r, OC_CHART_RATE, 0, 0, H + 50);
    /* The recipe stands beside, as far as there is room. */
    for (int i = 0; i < OC_MIN(r->n_facts, 11); i++) {
        int y = H + 50 + TOP + 20 * i, x = W + 10 + LEFT;
        oc__page_print(&p, "<text x=\"%d\" y=\"%d\">", x, y);
        oc__page_escaped(&p, r->facts[i].name);
        oc__page_print(&p, "</text><text class=\"fact\" x=\"%d\" y=\"%d\">",
                       x + 130, y);
        oc__page_escaped(&p, r->facts[i].value);
        oc__page_text(&p, "</text>\n");
    }
    oc__page_text(&p, "</svg>\n");
    return p.failed ? oc__fail_nomem(err) : OC_OK;
}
