/* quant_report.c - what was done to which node and why, as a page. */
#include "base/file.h"
#include "page/html.h"

#include <ocelli/quant.h>

#include <math.h>
#include <string.h>

enum { BINS = 48, HIST_W = 144, HIST_H = 30 };
enum { W = 1060, H = 220, LEFT = 52, RIGHT = 16, TOP = 34, BOTTOM = 30 };

static const char css[] =
    ".layers td,.layers th{padding:4px 9px;vertical-align:middle}"
    ".layers td,.layers td+td{text-align:right;color:var(--ink)}"
    ".layers th.why{text-align:left}.layers "
    "td.why{text-align:left;white-space:normal;min-width:170px;"
    "color:var(--soft);font-size:13px;line-height:1.3}"
    ".layers th small{display:block;color:var(--soft);font-weight:400}"
    ".layers tbody th{max-width:200px;overflow-wrap:anywhere;"
    "white-space:normal}"
    ".layers svg{width:144px;height:30px}"
    ".tag{display:inline-block;border-radius:6px;padding:1px 8px;"
    "background:var(--faint);font-size:13px}"
    ".tag.int8{background:var(--good);color:var(--ground)}"
    ".tag.f32{background:var(--gap);color:var(--ground)}"
    "svg .seen{fill:var(--good)}svg .off{fill:var(--gap)}"
    "svg rect.int8{fill:var(--good)}svg rect.weights{fill:var(--train)}"
    "svg rect.f32{fill:var(--gap)}svg .was{fill:var(--line)}"
    "svg .zero{stroke:var(--soft);stroke-dasharray:2 3}"
    ".key{display:flex;flex-wrap:wrap;gap:4px 18px;font-size:13px;"
    "color:var(--soft);margin:8px 0 0}.key i{display:inline-block;width:10px;"
    "height:10px;border-radius:3px;margin-right:6px}";

typedef struct writer {
    oc__page *p;
    const oc_quantizer *q;
    const oc_quant_report *r;
    oc_quantized_node *nodes;
    int n;
    int count[3]; /* of each precision */
} writer;

/* ---- before and after -----------------------------------------------------
 */

static void put_bytes(oc__page *p, double v) {
    int big = v >= 1048576;
    oc__page_number(p, v / (big ? 1048576 : 1024));
    oc__page_text(p, big ? "\xc2\xa0MiB" : "\xc2\xa0KiB");
}

static void put_tile(oc__page *p, const char *name) {
    oc__page_print(p, "<div><dt>%s</dt><dd>", name);
}

static void put_tiles(const writer *w) {
    oc__page *p = w->p;
    oc__page_text(p, "<dl class=\"tiles\">");
    for (int k = 0; k < 3; k++) {
        static const char *const names[] = {"Layers in 8 bits", "Weights alone",
                                            "Layers in f32"};
        put_tile(p, names[k]);
        oc__page_print(p, "%d</dd></div>", w->count[k]);
    }
    if (w->r->bytes_after > 0) {
        put_tile(p, "Size");
        put_bytes(p, w->r->bytes_after);
        oc__page_text(p, "</dd></div>");
    }
    if (w->r->ms_after > 0) {
        put_tile(p, "A run");
        oc__page_number(p, w->r->ms_after);
        oc__page_text(p, "\xc2\xa0ms</dd></div>");
    }
    if (w->r->metric) {
        oc__page_text(p, "<div><dt>");
        oc__page_escaped(p, w->r->metric);
        oc__page_text(p, "</dt><dd>");
        oc__page_percent(p, w->r->figure_after);
        oc__page_text(p, "</dd></div>");
    }
    oc__page_text(p, "</dl>\n");
}

/* "3.8 times smaller"; nothing where it is the same but for noise. */
static void put_times(oc__page *p, double before, double after,
                      const char *less, const char *more) {
    double k = before > after ? before / after : after / before;
    oc__page_text(p, "</td><td>");
    if (isfinite(k) && k >= 1.03) {
        oc__page_fixed(p, k, 2);
        oc__page_print(p, " times %s", before > after ? less : more);
    }
    oc__page_text(p, "</td></tr>\n");
}

static void put_change(const writer *w) {
    oc__page *p = w->p;
    const oc_quant_report *r = w->r;
    oc__page_text(p, "<h2>Before and after</h2><div class=\"scroll\"><table>"
                     "<thead><tr><th scope=\"col\"></th><th scope=\"col\">"
                     "Before</th><th scope=\"col\">After</th>"
                     "<th scope=\"col\"></th></tr></thead><tbody>\n");
    if (r->bytes_after > 0) {
        oc__page_text(p, "<tr><th scope=\"row\">Size</th><td>");
        put_bytes(p, r->bytes_before);
        oc__page_text(p, "</td><td>");
        put_bytes(p, r->bytes_after);
        put_times(p, r->bytes_before, r->bytes_after, "smaller", "larger");
    }
    if (r->ms_after > 0) {
        oc__page_text(p, "<tr><th scope=\"row\">A run on this machine, ms</th>"
                         "<td>");
        oc__page_number(p, r->ms_before);
        oc__page_text(p, "</td><td>");
        oc__page_number(p, r->ms_after);
        put_times(p, r->ms_before, r->ms_after, "faster", "slower");
    }
    if (r->metric) {
        oc__page_text(p, "<tr><th scope=\"row\">");
        oc__page_escaped(p, r->metric);
        oc__page_text(p, "</th><td>");
        oc__page_fixed(p, 100 * r->figure_before, 2);
        oc__page_text(p, "\xc2\xa0%</td><td>");
        oc__page_fixed(p, 100 * r->figure_after, 2);
        oc__page_text(p, "\xc2\xa0%</td><td>");
        oc__page_fixed(p, 100 * (r->figure_after - r->figure_before), 2);
        oc__page_text(p, " points; ");
        oc__page_fixed(p, 100 * r->max_drop, 2);
        oc__page_text(p, " may be lost</td></tr>\n");
    }
    oc__page_text(p, "</tbody></table></div>\n");
    if (r->metric)
        oc__page_text(p, "<p class=\"note\">Layers were chosen by these very "
                         "pictures; others will flatter the result less.</p>");
}

/* ---- drawings -------------------------------------------------------------
 */

static void put_key(oc__page *p, const char *color, const char *text) {
    oc__page_print(p, "<span><i style=\"background:var(--%s)\"></i>%s</span>",
                   color, text);
}

static void put_bar(oc__page *p, const char *kind, double x, double width,
                    double top, double bottom) {
    oc__page_print(p, "<rect class=\"%s\"", kind);
    oc__page_attribute(p, "x", x);
    oc__page_attribute(p, "y", top);
    oc__page_attribute(p, "width", width);
    oc__page_attribute(p, "height", fmax(bottom - top, 0.5));
    oc__page_text(p, "/>");
}

/* One figure of layer i; NAN: there is none. */
typedef double (*figure_fn)(const writer *w, int i);

static double input_db(const writer *w, int i) {
    /* 200 stands for no noise at all. */
    double v = w->nodes[i].input_sqnr_db;
    return v > 0 && v < 100 ? v : NAN;
}

static double output_db(const writer *w, int i) {
    return w->r->notes ? w->r->notes[i].output_sqnr_db : NAN;
}

/* 0: it is computed with another one. */
static double or_none(double ms) {
    return ms > 0 ? ms : NAN;
}

static double after_ms(const writer *w, int i) {
    return w->r->notes ? or_none(w->r->notes[i].ms_after) : NAN;
}

static double before_ms(const writer *w, int i) {
    return w->r->notes ? or_none(w->r->notes[i].ms_before) : NAN;
}

/* A bar for each layer, in the order they run; was: a paler one behind. */
static void put_chart(const writer *w, const char *title, const char *what,
                      figure_fn of, figure_fn was) {
    oc__page *p = w->p;
    double lo = 0, hi = 0;
    int any = 0;
    for (int i = 0; i < w->n; i++) {
        double v[2] = {of(w, i), was ? was(w, i) : NAN};
        for (int k = 0; k < 2; k++) {
            if (!isfinite(v[k])) continue;
            lo = fmin(lo, v[k]);
            hi = fmax(hi, v[k]);
            any = 1;
        }
    }
    if (!any) return;
    oc__page_axis y = oc__page_nice(lo, hi);
    double each = (double)(W - LEFT - RIGHT) / w->n, gap = each > 4 ? 1 : 0;
    y.from = H - BOTTOM;
    y.to = TOP;
    oc__page_print(p,
                   "<svg role=\"img\" class=\"all\" viewBox=\"0 0 %d %d\">"
                   "<title>%s</title><desc>%s</desc><text class=\"name\" "
                   "x=\"%d\" y=\"18\">%s</text>",
                   W, H, title, what, LEFT, title);
    oc__page_ticks(p, &y, LEFT, W - RIGHT, 0);
    for (int i = 0; i < w->n; i++) {
        double x = LEFT + each * i, zero = oc__page_place(&y, 0);
        double old = was ? was(w, i) : NAN, v = of(w, i);
        if (isfinite(old))
            put_bar(p, "was", x, each - gap, oc__page_place(&y, old), zero);
        if (!isfinite(v)) continue;
        double at = oc__page_place(&y, v), thin = was ? each / 4 : 0;
        put_bar(p, oc_quant_precision_name(w->nodes[i].precision), x + thin,
                each - gap - 2 * thin, fmin(at, zero), fmax(at, zero));
    }
    oc__page_text(p, "<text text-anchor=\"middle\"");
    oc__page_attribute(p, "x", (LEFT + W - RIGHT) / 2);
    oc__page_attribute(p, "y", H - 8);
    oc__page_text(p, ">layers in the order they run</text></svg>\n");
}

static void put_charts(const writer *w) {
    oc__page *p = w->p;
    oc__page_text(p, "<h2>Layers</h2><p class=\"key\">");
    put_key(p, "good", "in 8 bits");
    put_key(p, "train", "weights in 8 bits, computed in f32");
    put_key(p, "gap", "in f32");
    put_key(p, "line", "time before");
    oc__page_text(p, "</p><div class=\"charts\">\n");
    put_chart(w, "Inputs over their rounding, dB",
              "Signal to noise of the input of each layer, were it in 8 bits; "
              "higher is better",
              input_db, NULL);
    put_chart(w, "Outputs of the model with one layer in 8 bits, dB",
              "Signal to noise of the outputs when this layer alone is "
              "quantized; what is low does harm",
              output_db, NULL);
    put_chart(w, "Time, ms",
              "Time of each layer and what follows it, before and after",
              after_ms, before_ms);
    oc__page_text(p, "</div>\n");
}

/* ---- the table ------------------------------------------------------------
 */

/* How often which values were seen; what lies beyond the limits is cut. */
static void put_histogram(const writer *w, int i) {
    oc__page *p = w->p;
    double shares[BINS], most = 0;
    const oc_quantized_node *n = &w->nodes[i];
    float lo, hi;
    if (oc_quantizer_histogram(w->q, i, BINS, shares, &lo, &hi)) return;
    for (int k = 0; k < BINS; k++)
        most = fmax(most, shares[k]);
    if (!(most > 0)) return;
    oc__page_print(p,
                   "<svg role=\"img\" viewBox=\"0 0 %d %d\"><title>values "
                   "from ",
                   HIST_W, HIST_H);
    oc__page_number(p, (double)lo);
    oc__page_text(p, " to ");
    oc__page_number(p, (double)hi);
    oc__page_text(p, ", kept from ");
    oc__page_number(p, (double)n->lo);
    oc__page_text(p, " to ");
    oc__page_number(p, (double)n->hi);
    oc__page_text(p, "</title>");
    double wide = (double)HIST_W / BINS, bin = ((double)hi - (double)lo) / BINS;
    for (int k = 0; k < BINS; k++) {
        double middle = (double)lo + (k + 0.5) * bin;
        int cut = middle < (double)n->lo || middle > (double)n->hi;
        /* Rare values should be seen too: the fourth root. */
        double tall = (HIST_H - 2) * sqrt(sqrt(shares[k] / most));
        if (shares[k] > 0)
            put_bar(p, cut ? "off" : "seen", wide * k, wide - 0.4,
                    HIST_H - tall, HIST_H);
    }
    if (lo < 0 && hi > 0) {
        double x = HIST_W * (double)-lo / ((double)hi - (double)lo);
        oc__page_text(p, "<line class=\"zero\" y1=\"0\"");
        oc__page_attribute(p, "y2", HIST_H);
        oc__page_attribute(p, "x1", x);
        oc__page_attribute(p, "x2", x);
        oc__page_text(p, "/>");
    }
    oc__page_text(p, "</svg>");
}

static void put_cell(oc__page *p, double v, int decimals) {
    oc__page_text(p, "</td><td>");
    oc__page_fixed(p, v, decimals);
}

static double product_db(double db) {
    return db > 0 && db < 200 ? db : NAN;
}

static void put_row(const writer *w, int i) {
    oc__page *p = w->p;
    const oc_quantized_node *n = &w->nodes[i];
    const oc_quant_note *t = w->r->notes ? &w->r->notes[i] : NULL;
    const char *kind = oc_quant_precision_name(n->precision);
    oc__page_text(p, "<tr><th scope=\"row\">");
    oc__page_escaped(p, n->name);
    oc__page_print(p, "<small>%s, %lld weights in %d bits</small></th><td>",
                   n->op, (long long)n->weights, n->bits);
    oc__page_print(p, "<span class=\"tag %s\">%s</span></td><td class=\"why\">",
                   kind, kind);
    if (t && t->why) oc__page_escaped(p, t->why);
    put_cell(p, n->sqnr_db < 200 ? n->sqnr_db : NAN, 1);
    put_cell(p, product_db(n->nearest_sqnr_db), 1);
    put_cell(p, product_db(n->by_samples ? n->product_sqnr_db : 0), 1);
    put_cell(p, input_db(w, i), 1);
    put_cell(p, output_db(w, i), 1);
    put_cell(p, before_ms(w, i), 3);
    put_cell(p, after_ms(w, i), 3);
    oc__page_text(p, "</td><td>");
    put_histogram(w, i);
    oc__page_text(p, "</td></tr>\n");
}

static void put_table(const writer *w) {
    static const char *const heads[] = {
        "Layer",       "Precision",          "Why",
        "Weights, dB", "Nearest, dB",        "Rounded, dB",
        "Input, dB",   "Output, dB",         "Before, ms",
        "After, ms",   "Values of its input"};
    oc__page *p = w->p;
    oc__page_text(p,
                  "<p class=\"note\">dB: signal to rounding noise, of the "
                  "weights, of what they make of the pictures (rounded to the "
                  "nearest, and as the pictures have it), of the input, and of "
                  "the model's outputs with this layer alone in 8 bits. Times "
                  "include what follows a "
                  "layer up to the next; layers that are computed together "
                  "count as one. Values that are cut are orange; heights are "
                  "fourth roots, so that rare ones are seen.</p>"
                  "<div class=\"scroll\"><table class=\"wide recipe layers\">"
                  "<thead><tr>");
    for (size_t i = 0; i < OC_COUNT(heads); i++)
        oc__page_print(p, "<th scope=\"col\"%s>%s</th>",
                       i == 2 ? " class=\"why\"" : "", heads[i]);
    oc__page_text(p, "</tr></thead><tbody>\n");
    for (int i = 0; i < w->n; i++)
        put_row(w, i);
    oc__page_text(p, "</tbody></table></div>\n");
}

/* ---- the page -------------------------------------------------------------
 */

static void put_page(const writer *w) {
    oc__page *p = w->p;
    oc__page_begin(p, w->r->title ? w->r->title : "A model in 8 bits", NULL,
                   css, 0);
    if (w->r->images)
        oc__page_print(p,
                       "<p class=\"sub\">%d layers with weights; ranges from "
                       "%zu pictures; weights rounded %s</p>\n",
                       w->n, w->r->images,
                       oc_quantizer_rounded(w->q)
                           ? "by what they make of the pictures"
                           : "to the nearest");
    put_tiles(w);
    put_change(w);
    put_charts(w);
    put_table(w);
    if (w->r->command) {
        oc__page_text(p, "<p class=\"note\">Makes it again:</p><pre>");
        oc__page_escaped(p, w->r->command);
        oc__page_text(p, "</pre>\n");
    }
    oc__page_end(p);
}

oc_status oc_quantizer_report(const oc_quantizer *q,
                              const oc_quant_report *report, const char *path,
                              oc_error *err) {
    oc_bytes out = {0};
    oc__page page = {&out, 0};
    oc__error_clear(err);
    if (!q || !report || !path)
        return oc__fail(err, OC_E_ARG, "no quantizer, report or path");
    writer w = {.p = &page, .q = q, .r = report};
    w.n = oc_quantizer_node_count(q);
    size_t bytes = ((size_t)w.n + 1) * sizeof *w.nodes;
    w.nodes = oc__alloc(&oc__default_allocator, bytes);
    if (!w.nodes) return oc__fail_nomem(err);
    oc_status st = OC_OK;
    for (int i = 0; i < w.n && !st; i++) {
        st = oc_quantizer_node(q, i, &w.nodes[i]);
        if (!st) w.count[w.nodes[i].precision]++;
    }
    if (!st) put_page(&w);
    if (st || page.failed) st = oc__fail_nomem(err);
    if (!st) st = oc__file_write_atomic(path, out.data, out.size, err);
    oc_bytes_deinit(&out);
    oc__release(&oc__default_allocator, w.nodes, bytes);
    return st;
}
