/* axis.c - axes of drawings; see html.h. */
#include "page/html.h"

#include <math.h>

double oc__page_place(const oc__page_axis *a, double v) {
    double share = (v - a->lo) / (a->hi - a->lo);
    return a->from + fmin(fmax(share, 0), 1) * (a->to - a->from);
}

/* Steps of 1, 2 or 5 times a power of ten, about five of them. */
oc__page_axis oc__page_nice(double lo, double hi) {
    oc__page_axis a = {0};
    if (!(hi > lo)) hi = lo + (lo > 0 ? lo : 1);
    double raw = (hi - lo) / 4, ten = pow(10, floor(log10(raw)));
    double lead = raw / ten;
    a.step = ten * (lead > 5 ? 10 : lead > 2 ? 5 : lead > 1 ? 2 : 1);
    a.lo = floor(lo / a.step + 1e-9) * a.step;
    a.hi = ceil(hi / a.step - 1e-9) * a.step;
    return a;
}

void oc__page_attribute(oc__page *p, const char *name, double v) {
    oc__page_print(p, " %s=\"", name);
    oc__page_fixed(p, v, 1);
    oc__page_text(p, "\"");
}

/* So many decimals that ticks differ and are of one form. */
static int decimals_of(double step) {
    int n = (int)ceil(-log10(step) - 1e-9);
    return n < 0 ? 0 : n > 9 ? 9 : n;
}

void oc__page_ticks(oc__page *p, const oc__page_axis *y, double left,
                    double right, int is_share) {
    for (double v = y->lo; v <= y->hi + y->step / 2; v += y->step) {
        oc__page_text(p, "<line class=\"grid\"");
        oc__page_attribute(p, "x1", left);
        oc__page_attribute(p, "x2", right);
        oc__page_attribute(p, "y1", oc__page_place(y, v));
        oc__page_attribute(p, "y2", oc__page_place(y, v));
        oc__page_text(p, "/><text text-anchor=\"end\"");
        oc__page_attribute(p, "x", left - 8);
        oc__page_attribute(p, "y", oc__page_place(y, v) + 4);
        oc__page_text(p, ">");
        if (is_share) {
            oc__page_fixed(p, 100 * v, y->step < 0.0099 ? 1 : 0);
            oc__page_text(p, " %");
        } else {
            oc__page_fixed(p, v, decimals_of(y->step));
        }
        oc__page_text(p, "</text>");
    }
}
