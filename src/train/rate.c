/* rate.c - see rate.h. */
#include "train/rate.h"

#include <math.h>

double oc__schedule_share(oc_schedule s, double epoch, double epochs,
                          double warmup, int drops, double last) {
    /* Not from nothing: a first step that changes nothing is wasted. */
    if (epoch < warmup) return 0.01 + 0.99 * epoch / warmup;
    double left = epochs - warmup,
           done = left > 0 ? (epoch - warmup) / left : 1;
    switch (s) {
    case OC_SCHEDULE_STEP:
        return epoch < epochs / 2 ? 1 : epoch < epochs * 3 / 4 ? 0.1 : 0.01;
    case OC_SCHEDULE_PLATEAU: return pow(1.0 / 3, drops);
    case OC_SCHEDULE_CONSTANT: return 1;
    default:
        done = done < 1 ? 0.5 * (1 + cos(3.14159265358979323846 * done)) : 0;
        return last + (1 - last) * done;
    }
}
