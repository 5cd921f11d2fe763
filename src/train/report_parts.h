/*
 * report_parts.h - what report_page.c and report_svg.c share: text that grows.
 *
 * A writer notes that memory ran out and goes on doing nothing, so that pages
 * are written without a check at every line.
 */
#ifndef OC_TRAIN_REPORT_PARTS_H
#define OC_TRAIN_REPORT_PARTS_H

#include "base/size.h"
#include "train/report.h"

typedef struct oc__page {
    oc_bytes *out;
    int failed;
} oc__page;

void oc__page_bytes(oc__page *p, const void *data, size_t n);
void oc__page_text(oc__page *p, const char *text);
/** For texts and whole numbers: what printf does to fractions depends on the
    locale. */
void oc__page_print(oc__page *p, const char *format, ...) OC_PRINTF(2, 3);
/** With &, <, > and quotes as entities, control characters left out. */
void oc__page_escaped(oc__page *p, const char *text);
/** v with so many decimals and a point, "-" for what is no number. */
void oc__page_fixed(oc__page *p, double v, int decimals);
/** A share as "93.4 %". */
void oc__page_percent(oc__page *p, double v);
/** Three significant digits: 0.00125, 12.3, 1.2e-05. */
void oc__page_number(oc__page *p, double v);
/** base64 */
void oc__page_base64(oc__page *p, const void *data, size_t n);

/** Colours and lines of drawings, as CSS; inside <style>. */
extern const char oc__report_svg_css[];

/** Which drawing; each is an <svg> with title and description. */
typedef enum oc__report_chart {
    OC_CHART_LOSS,
    OC_CHART_ACCURACY,
    OC_CHART_RATE
} oc__report_chart;

/** wide: for a row of its own.  x, y: where it stands in an outer drawing; both
    0: in a page. */
void oc__report_chart_put(oc__page *p, const oc__report *r,
                          oc__report_chart chart, int wide, int x, int y);
void oc__report_reliability(oc__page *p, const oc__figures *f);

#endif
