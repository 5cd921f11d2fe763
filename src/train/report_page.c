/* report_page.c - the page of a training run; see report.h. */
#include "train/report_parts.h"

#include "base/file.h"
#include "base/sort.h"

#include <math.h>
#include <string.h>

/* Tables and pictures are cut here; the page says so. */
enum {
    MATRIX_MOST = 24,   /* classes of a confusion matrix that can be read */
    CLASSES_MOST = 200, /* rows of the table of classes */
    PAIRS_MOST = 20,
    MISTAKES_MOST = 24,
    THUMB = 132
};

static const char css[] =
    ".two{display:grid;grid-template-columns:minmax(240px,320px) 1fr;"
    "gap:32px;align-items:center}"
    "@media(max-width:640px){.two{grid-template-columns:1fr}}"
    ".matrix td{min-width:44px;text-align:center;border:2px solid "
    "var(--ground);border-radius:6px;background:color-mix(in srgb,"
    "var(--c) calc(var(--v)*1%),var(--faint));"
    "print-color-adjust:exact;-webkit-print-color-adjust:exact}"
    ".matrix td{--c:var(--gap)}.matrix td.yes{--c:var(--good)}"
    ".matrix td.deep{color:var(--ground);font-weight:600}"
    ".matrix td.zero{color:transparent}"
    ".thumbs{display:grid;grid-template-columns:repeat(auto-fill,"
    "minmax(132px,1fr));gap:20px 16px;margin-top:16px}"
    "figure{margin:0;break-inside:avoid;font-size:13px;line-height:1.35}"
    "figure img{width:100%;aspect-ratio:1;object-fit:cover;border-radius:8px;"
    "background:var(--faint)}figcaption{margin-top:6px;overflow-wrap:anywhere}"
    "figcaption b{display:block}figcaption span{color:var(--soft)}";

/* ---- parts ----------------------------------------------------------------
 */

static void put_tile(oc__page *p, const char *name, double v, int share) {
    oc__page_print(p, "<div><dt>%s</dt><dd>", name);
    if (share)
        oc__page_percent(p, v);
    else
        oc__page_number(p, v);
    oc__page_text(p, "</dd></div>");
}

/* Classes in classes, "animal/cat": how often the class above was right, -1
   where there is none. */
static double parent_accuracy(const oc__report *r, const oc__figures *f) {
    int64_t right = 0;
    int any = 0;
    if (!f->confusion || !f->n) return -1;
    for (int y = 0; y < f->classes; y++) {
        const char *slash = strrchr(r->classes[y], '/');
        size_t n = slash ? (size_t)(slash - r->classes[y]) + 1 : 0;
        any |= n > 0;
        for (int x = 0; x < f->classes; x++) {
            const char *other = r->classes[x], *end = strrchr(other, '/');
            size_t m = end ? (size_t)(end - other) + 1 : 0;
            if (x == y || (n && n == m && !memcmp(other, r->classes[y], n)))
                right +=
                    f->confusion[(size_t)y * (size_t)f->classes + (size_t)x];
        }
    }
    return any ? (double)right / f->n : -1;
}

static void put_tiles(oc__page *p, const oc__report *r, const oc__figures *f) {
    double parents = parent_accuracy(r, f);
    oc__page_text(p, "<dl class=\"tiles\">");
    if (f->n && r->multi) {
        put_tile(p, "mAP", f->mean_ap, 1);
        put_tile(p, "Micro F1", f->micro_f1, 1);
    } else if (f->n) {
        put_tile(p, "Accuracy", f->accuracy, 1);
        if (f->classes > 5) put_tile(p, "Top 5", f->top5, 1);
        if (parents >= 0) put_tile(p, "Parent class", parents, 1);
    }
    if (f->n) {
        put_tile(p, "Macro F1", f->macro_f1, 1);
        put_tile(p, "Loss", f->loss, 0);
        put_tile(p, "Calibration error", f->ece, 1);
        oc__page_print(p, "<div><dt>Pictures</dt><dd>%d</dd></div>", f->n);
    }
    if (r->n_points) {
        const oc__report_point *last = &r->points[r->n_points - 1];
        oc__page_text(p, "<div><dt>Epochs</dt><dd>");
        oc__page_fixed(p, last->epoch,
                       last->epoch == floor(last->epoch) ? 0 : 1);
        oc__page_text(p, "</dd></div><div><dt>Minutes</dt><dd>");
        oc__page_fixed(p, last->seconds / 60, 1);
        oc__page_text(p, "</dd></div>");
    }
    oc__page_text(p, "</dl>\n");
}

static void put_curves(oc__page *p, const oc__report *r) {
    if (!r->n_points) return;
    oc__page_text(p, "<h2>Curves</h2><div class=\"charts\">\n");
    for (int c = OC_CHART_LOSS; c <= OC_CHART_RATE; c++)
        oc__report_chart_put(p, r, (oc__report_chart)c, c == OC_CHART_RATE, 0,
                             0);
    oc__page_text(p, "</div>\n");
}

static int by_f1(const void *ctx, int64_t a, int64_t b) {
    const oc__class_figures *v = ctx;
    return (v[a].f1 > v[b].f1) - (v[a].f1 < v[b].f1);
}

static void put_class(oc__page *p, const oc__report *r, const oc__figures *f,
                      int c) {
    const oc__class_figures *v = &f->per_class[c];
    oc__page_text(p, "<tr><th scope=\"row\">");
    oc__page_escaped(p, r->classes[c]);
    oc__page_print(p, "</th><td>%lld</td><td>", (long long)v->truths);
    oc__page_percent(p, v->precision);
    oc__page_text(p, "</td><td>");
    oc__page_percent(p, v->recall);
    oc__page_text(p, "</td><td>");
    oc__page_percent(p, v->f1);
    if (r->multi) {
        oc__page_text(p, "</td><td>");
        oc__page_percent(p,
                         v->average_precision < 0 ? NAN : v->average_precision);
    }
    oc__page_text(p, "</td><td class=\"bar\"><i style=\"width:");
    oc__page_fixed(p, 100 * v->f1, 1);
    oc__page_text(p, "%\"></i></td></tr>\n");
}

/* The weakest first: that is where work is. */
static oc_status put_classes(oc__page *p, const oc__report *r,
                             const oc__figures *f) {
    size_t n = (size_t)f->classes, bytes = 2 * n * sizeof(int64_t);
    int64_t *order = oc__alloc(&f->allocator, bytes);
    if (!order) return OC_E_NOMEM;
    for (size_t i = 0; i < n; i++)
        order[i] = (int64_t)i;
    oc__sort_index(order, order + n, n, by_f1, f->per_class);
    oc__page_text(p, "<h2>Classes</h2><p class=\"note\">The weakest first.");
    if (n > CLASSES_MOST)
        oc__page_print(p, " The first %d of %zu.", CLASSES_MOST, n);
    oc__page_text(p, "</p><div class=\"scroll\"><table class=\"wide\"><thead>"
                     "<tr><th scope=\"col\">Class</th><th scope=\"col\">"
                     "Pictures</th><th scope=\"col\">Precision</th>"
                     "<th scope=\"col\">Recall</th><th scope=\"col\">F1</th>");
    if (r->multi) oc__page_text(p, "<th scope=\"col\">Average precision</th>");
    oc__page_text(p, "<th scope=\"col\"><span aria-hidden=\"true\"></span>"
                     "</th></tr></thead><tbody>\n");
    for (size_t i = 0; i < OC_MIN(n, (size_t)CLASSES_MOST); i++)
        put_class(p, r, f, (int)order[i]);
    oc__page_text(p, "</tbody></table></div>\n");
    oc__release(&f->allocator, order, bytes);
    return OC_OK;
}

/* ---- confusion ------------------------------------------------------------
 */

static void put_matrix(oc__page *p, const oc__report *r, const oc__figures *f) {
    oc__page_text(p, "<div class=\"scroll\"><table class=\"matrix\">"
                     "<thead><tr><th scope=\"col\">truth \xe2\x86\x93 "
                     "answer \xe2\x86\x92</th>");
    for (int c = 0; c < f->classes; c++) {
        oc__page_text(p, "<th scope=\"col\">");
        oc__page_escaped(p, r->classes[c]);
        oc__page_text(p, "</th>");
    }
    oc__page_text(p, "</tr></thead><tbody>\n");
    for (int y = 0; y < f->classes; y++) {
        int64_t truths = f->per_class[y].truths;
        oc__page_text(p, "<tr><th scope=\"row\">");
        oc__page_escaped(p, r->classes[y]);
        oc__page_text(p, "</th>");
        for (int x = 0; x < f->classes; x++) {
            int64_t n =
                f->confusion[(size_t)y * (size_t)f->classes + (size_t)x];
            double share = truths ? (double)n / (double)truths : 0;
            /* Few mistakes should be seen too. */
            int v = (int)lrint(100 * (x == y ? share : sqrt(share)));
            oc__page_print(p, "<td class=\"%s%s%s\" style=\"--v:%d\">%lld</td>",
                           x == y ? "yes" : "no", v > 55 ? " deep" : "",
                           n ? "" : " zero", v, (long long)n);
        }
        oc__page_text(p, "</tr>\n");
    }
    oc__page_text(p, "</tbody></table></div>\n");
}

/* Where a matrix would be too large: the pairs that are confused most. */
static void put_pairs(oc__page *p, const oc__report *r, const oc__figures *f) {
    size_t k = (size_t)f->classes, top[PAIRS_MOST], n = 0;
    for (size_t i = 0; i < k * k; i++) {
        if (i / k == i % k || !f->confusion[i]) continue;
        size_t at = n < PAIRS_MOST ? n++ : n;
        for (; at && f->confusion[top[at - 1]] < f->confusion[i]; at--) {
            if (at < PAIRS_MOST) top[at] = top[at - 1];
        }
        if (at < PAIRS_MOST) top[at] = i;
    }
    oc__page_text(p, "<div class=\"scroll\"><table><thead><tr><th "
                     "scope=\"col\">Truth</th><th scope=\"col\">Answer</th>"
                     "<th scope=\"col\">Pictures</th></tr></thead><tbody>\n");
    for (size_t i = 0; i < n; i++) {
        oc__page_text(p, "<tr><th scope=\"row\">");
        oc__page_escaped(p, r->classes[top[i] / k]);
        oc__page_text(p, "</th><td>");
        oc__page_escaped(p, r->classes[top[i] % k]);
        oc__page_print(p, "</td><td>%lld</td></tr>\n",
                       (long long)f->confusion[top[i]]);
    }
    oc__page_text(p, "</tbody></table></div>\n");
}

static void put_confusion(oc__page *p, const oc__report *r,
                          const oc__figures *f) {
    if (!f->confusion) return;
    oc__page_text(p, "<h2>Confusion</h2>");
    if (f->classes <= MATRIX_MOST) {
        put_matrix(p, r, f);
        return;
    }
    oc__page_print(p, "<p class=\"note\">The most frequent of %d classes.</p>",
                   f->classes);
    put_pairs(p, r, f);
}

/* ---- mistakes -------------------------------------------------------------
 */

typedef struct {
    const oc__report *r;
    const double *loss; /* of each row */
} hardness;

static int by_loss(const void *ctx, int64_t a, int64_t b) {
    const hardness *h = ctx;
    return (h->loss[a] < h->loss[b]) - (h->loss[a] > h->loss[b]);
}

/* The picture as a data: URI; nothing where it cannot be read any more. */
static int put_thumb(oc__page *p, const char *path, const char *alt) {
    oc_image img = {0}, part = {0}, small = {0};
    oc_image_options load = {.min_width = 2 * THUMB, .min_height = 2 * THUMB};
    oc_image_save_options save = {.quality = 80};
    oc_bytes file = {0};
    int jpeg = (oc_image_format_support(OC_IMAGE_JPEG) & 2) != 0;
    save.format = jpeg ? OC_IMAGE_JPEG : OC_IMAGE_PNG;
    if (oc_image_load(&img, path, &load, NULL)) return 0;
    int side = OC_MIN(img.width, img.height);
    oc_resize how = {.width = THUMB, .height = THUMB};
    int ok = !oc_image_crop(&part, &img, (img.width - side) / 2,
                            (img.height - side) / 2, side, side, NULL) &&
             !oc_image_resize(&small, &part, &how, NULL) &&
             !oc_image_save_memory(&file, &small, &save, NULL);
    if (ok) {
        oc__page_print(p, "<img width=\"%d\" height=\"%d\" alt=\"", THUMB,
                       THUMB);
        oc__page_escaped(p, alt);
        oc__page_print(p, "\" src=\"data:image/%s;base64,",
                       jpeg ? "jpeg" : "png");
        oc__page_base64(p, file.data, file.size);
        oc__page_text(p, "\">");
    }
    oc_bytes_deinit(&file);
    oc_image_deinit(&small);
    oc_image_deinit(&img);
    return ok;
}

/* Single: the loss of the truth where the answer is another.  Multi: the worst
   label's.  0: right. */
static double hardness_of(const oc__report *r, int i, int *truth, int *answer) {
    int k = r->n_classes, worst = 0;
    const float *z = r->logits + (size_t)i * (size_t)k;
    double most = 0;
    if (r->multi) {
        const float *t = r->targets + (size_t)i * (size_t)k;
        for (int c = 0; c < k; c++) {
            double off = t[c] > 0.5f ? -z[c] : z[c];
            if (off > most) most = off, worst = c;
        }
        *truth = r->targets[(size_t)i * (size_t)k + (size_t)worst] > 0.5f;
        *answer = worst;
        return most;
    }
    for (int c = 1; c < k; c++) {
        if (z[c] > z[worst]) worst = c;
    }
    *truth = (int)r->label[i];
    *answer = worst;
    if (r->label[i] < 0 || r->label[i] >= k || worst == *truth) return 0;
    double t = r->temperature > 0 ? r->temperature : 1, sum = 0;
    for (int c = 0; c < k; c++)
        sum += exp((z[c] - z[worst]) / t);
    return log(sum) + (z[worst] - z[*truth]) / t;
}

static double confidence_of(const oc__report *r, int i, int c) {
    const float *z = r->logits + (size_t)i * (size_t)r->n_classes;
    double t = r->temperature > 0 ? r->temperature : 1, sum = 0;
    if (r->multi) return 1 / (1 + exp(-(double)z[c]));
    for (int k = 0; k < r->n_classes; k++)
        sum += exp((z[k] - z[c]) / t);
    return 1 / sum;
}

static void put_mistake(oc__page *p, const oc__report *r, int i) {
    int truth, answer;
    const char *name = strrchr(r->paths[i], '/');
    name = name ? name + 1 : r->paths[i];
    (void)hardness_of(r, i, &truth, &answer);
    oc__page_text(p, "<figure>");
    if (!put_thumb(p, r->paths[i], name))
        oc__page_text(p, "<p class=\"note\">the picture is gone</p>");
    oc__page_text(p, "<figcaption><b>");
    oc__page_escaped(p, r->classes[answer]);
    oc__page_text(p, " ");
    oc__page_percent(p, confidence_of(r, i, answer));
    oc__page_text(p, "</b>");
    if (r->multi) {
        oc__page_text(p, truth ? "is there" : "is not there");
    } else {
        oc__page_text(p, "is ");
        oc__page_escaped(p, r->classes[truth]);
    }
    oc__page_text(p, "<br><span>");
    oc__page_escaped(p, name);
    oc__page_text(p, "</span></figcaption></figure>\n");
}

static oc_status put_mistakes(oc__page *p, const oc__report *r,
                              const oc_allocator *a) {
    size_t n = (size_t)r->n;
    size_t bytes = n * (sizeof(double) + 2 * sizeof(int64_t));
    int truth, answer, wrong = 0;
    if (!r->paths || !n) return OC_OK;
    double *loss = oc__alloc(a, bytes);
    if (!loss) return OC_E_NOMEM;
    int64_t *order = (int64_t *)(void *)(loss + n);
    for (size_t i = 0; i < n; i++) {
        loss[i] = r->paths[i] ? hardness_of(r, (int)i, &truth, &answer) : 0;
        if (!isfinite(loss[i])) loss[i] = 0;
        order[i] = (int64_t)i;
        wrong += loss[i] > 0;
    }
    hardness h = {r, loss};
    oc__sort_index(order, order + n, n, by_loss, &h);
    oc__page_text(p, "<h2>Hardest mistakes</h2>");
    if (!wrong)
        oc__page_text(p, "<p class=\"note\">There are none.</p>\n");
    else
        oc__page_print(p,
                       "<p class=\"note\">%d of %d mistakes: what the "
                       "model said, how sure it was, and what it is. Some "
                       "may be wrong labels.</p><div class=\"thumbs\">\n",
                       OC_MIN(wrong, MISTAKES_MOST), wrong);
    for (int i = 0; i < OC_MIN(wrong, MISTAKES_MOST); i++)
        put_mistake(p, r, (int)order[i]);
    if (wrong) oc__page_text(p, "</div>\n");
    oc__release(a, loss, bytes);
    return OC_OK;
}

/* ---- the rest -------------------------------------------------------------
 */

static void put_calibration(oc__page *p, const oc__report *r,
                            const oc__figures *f, const oc__figures *raw) {
    oc__page_text(p, "<h2>Calibration</h2><div class=\"two\">");
    oc__report_reliability(p, f);
    oc__page_text(p, "<div><p>When the model says 80\xc2\xa0%, it should be "
                     "right in 80 of 100 cases. Blue is how often it was; "
                     "orange is what it promised too much or too "
                     "little. Pale bars stand for few answers.</p>"
                     "<table><tbody><tr><th scope=\"row\">Expected "
                     "calibration error</th><td>");
    oc__page_percent(p, f->ece);
    if (raw) {
        oc__page_text(p, "</td></tr><tr><th scope=\"row\">before the "
                         "temperature</th><td>");
        oc__page_percent(p, raw->ece);
        oc__page_text(p, "</td></tr><tr><th scope=\"row\">Temperature</th>"
                         "<td>");
        oc__page_fixed(p, r->temperature, 3);
    }
    oc__page_text(p, "</td></tr><tr><th scope=\"row\">Brier score</th><td>");
    oc__page_fixed(p, f->brier, 4);
    oc__page_text(p, "</td></tr></tbody></table></div></div>\n");
}

static void put_facts(oc__page *p, const oc__report *r) {
    int why = 0;
    for (int i = 0; i < r->n_facts; i++)
        why |= r->facts[i].why != NULL;
    oc__page_text(p, "<div class=\"scroll\"><table class=\"wide recipe\">"
                     "<thead><tr><th scope=\"col\">What</th>"
                     "<th scope=\"col\" style=\"text-align:left\">Value</th>");
    if (why)
        oc__page_text(p, "<th scope=\"col\" style=\"text-align:left\">Why"
                         "</th>");
    oc__page_text(p, "</tr></thead><tbody>\n");
    for (int i = 0; i < r->n_facts; i++) {
        oc__page_text(p, "<tr><th scope=\"row\">");
        oc__page_escaped(p, r->facts[i].name);
        oc__page_text(p, "</th><td>");
        oc__page_escaped(p, r->facts[i].value);
        if (why) {
            oc__page_text(p, "</td><td>");
            oc__page_escaped(p, r->facts[i].why);
        }
        oc__page_text(p, "</td></tr>\n");
    }
    oc__page_text(p, "</tbody></table></div>\n");
}

static void put_recipe(oc__page *p, const oc__report *r) {
    if (!r->n_facts && !r->command) return;
    oc__page_text(p, "<h2>Recipe</h2>");
    if (r->n_facts) put_facts(p, r);
    if (r->command) {
        oc__page_text(p, "<p class=\"note\">Makes it again:</p><pre>");
        oc__page_escaped(p, r->command);
        oc__page_text(p, "</pre>\n");
    }
}

static oc_status put_measured(oc__page *p, const oc__report *r,
                              const oc__figures *f, const oc__figures *raw) {
    if (!f->n) return OC_OK;
    if (put_classes(p, r, f)) return OC_E_NOMEM;
    put_confusion(p, r, f);
    if (put_mistakes(p, r, &f->allocator)) return OC_E_NOMEM;
    put_calibration(p, r, f, raw);
    return OC_OK;
}

oc_status oc__report_page(oc_bytes *out, const oc__report *r, oc_error *err) {
    oc__page p = {out, 0};
    oc__figures f = {0}, raw = {0};
    const oc_allocator *a =
        out->allocator ? out->allocator : &oc__default_allocator;
    int scaled = !r->multi && r->temperature > 0 && r->temperature != 1;
    oc_status st = OC_OK;
    out->size = 0;
    f.allocator = *a;
    if (r->n > 0 && r->n_classes > 0 && r->logits)
        st = r->multi ? oc__figures_multi(&f, r->logits, r->targets, r->n,
                                          r->n_classes, a, err)
                      : oc__figures_single(&f, r->logits, r->label, r->n,
                                           r->n_classes,
                                           scaled ? r->temperature : 1, a, err);
    if (!st && scaled && f.n)
        st = oc__figures_single(&raw, r->logits, r->label, r->n, r->n_classes,
                                1, a, err);
    if (!st) {
        oc__page_begin(&p, r->title, r->subtitle, css, r->running);
        put_tiles(&p, r, &f);
        put_curves(&p, r);
        st = put_measured(&p, r, &f, raw.n ? &raw : NULL);
        put_recipe(&p, r);
        oc__page_end(&p);
        if (st || p.failed) st = oc__fail_nomem(err);
    }
    oc__figures_deinit(&f);
    oc__figures_deinit(&raw);
    return st;
}

oc_status oc__report_save(const oc__report *r, const char *page_path,
                          const char *svg_path, oc_error *err) {
    oc_bytes out = {0};
    oc_status st = OC_OK;
    if (svg_path) {
        st = oc__report_curves(&out, r, err);
        if (!st) st = oc__file_write_atomic(svg_path, out.data, out.size, err);
    }
    if (!st && page_path) {
        st = oc__report_page(&out, r, err);
        if (!st) st = oc__file_write_atomic(page_path, out.data, out.size, err);
    }
    oc_bytes_deinit(&out);
    return st;
}
