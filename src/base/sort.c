/* sort.c - merge sort from the bottom up; see sort.h. */
#include "base/sort.h"

#include <string.h>

enum { RUN = 12 }; /* insertion sort is faster up to about this many */

static void insertion(int64_t *v, size_t n, oc__compare_fn compare,
                      const void *ctx) {
    for (size_t i = 1; i < n; i++) {
        int64_t x = v[i];
        size_t j = i;
        for (; j > 0 && compare(ctx, v[j - 1], x) > 0; j--)
            v[j] = v[j - 1];
        v[j] = x;
    }
}

void oc__sort_index(int64_t *index, int64_t *tmp, size_t n,
                    oc__compare_fn compare, const void *ctx) {
    for (size_t i = 0; i < n; i += RUN)
        insertion(index + i, n - i < RUN ? n - i : RUN, compare, ctx);
    int64_t *from = index, *to = tmp;
    for (size_t width = RUN; width < n; width *= 2) {
        for (size_t i = 0; i < n; i += 2 * width) {
            size_t mid = n - i < width ? n : i + width;
            size_t end = n - mid < width ? n : mid + width;
            size_t a = i, b = mid;
            for (size_t k = i; k < end; k++) {
                int left = a < mid &&
                           (b >= end || compare(ctx, from[a], from[b]) <= 0);
                to[k] = left ? from[a++] : from[b++];
            }
        }
        int64_t *swap = from;
        from = to;
        to = swap;
        if (width > n / 2) break; /* the next doubling might overflow */
    }
    if (from != index) memcpy(index, from, n * sizeof *index);
}
