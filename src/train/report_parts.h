/*
 * report_parts.h - drawings that report_page.c and report_svg.c share.
 */
#ifndef OC_TRAIN_REPORT_PARTS_H
#define OC_TRAIN_REPORT_PARTS_H

#include "page/html.h"
#include "train/report.h"

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
