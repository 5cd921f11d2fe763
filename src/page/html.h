/*
 * html.h - reports as one HTML file: text that grows, and how it looks.
 *
 *     html.c    numbers, escapes, base64
 *     axis.c    axes of drawings
 *     style.c   colours, type, tiles, tables, drawings
 *
 * A writer notes that memory ran out and goes on doing nothing, so that pages
 * are written without a check at every line.  Pages are light or dark as the
 * reader has it, print on paper, and need nothing outside of them.
 */
#ifndef OC_PAGE_HTML_H
#define OC_PAGE_HTML_H

#include "base/memory.h"
#include "base/size.h"
#include "base/status.h"

#include <ocelli/vision.h>

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

/** An axis of a drawing. */
typedef struct oc__page_axis {
    double lo, hi, step;
    double from, to; /* in pixels */
} oc__page_axis;
/** Where v is, in pixels; at an end what lies beyond. */
double oc__page_place(const oc__page_axis *a, double v);
/** Covers lo to hi in steps of 1, 2 or 5 times a power of ten, about five of
 * them. */
oc__page_axis oc__page_nice(double lo, double hi);
/** name="v", with one decimal. */
void oc__page_attribute(oc__page *p, const char *name, double v);
/** Lines across at the steps of an upright axis, and their numbers on the
 * left; is_share: in percent. */
void oc__page_ticks(oc__page *p, const oc__page_axis *y, double left,
                    double right, int is_share);

/** Colours and lines of drawings, as CSS; inside <style>. */
extern const char oc__page_svg_css[];
/** All else that reports share; behind the former. */
extern const char oc__page_css[];

/** From the doctype to <main>, with the title as <h1>, and the subtitle below
 * unless it is NULL.
 *   css      of this page alone, or NULL
 *   running  nonzero: it reloads itself and says so
 */
void oc__page_begin(oc__page *p, const char *title, const char *subtitle,
                    const char *css, int running);
/** What made it, and the end. */
void oc__page_end(oc__page *p);

#endif
