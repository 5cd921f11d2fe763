/* label_tree.c - see label_tree.h. */
#include "base/label_tree.h"

#include "base/sort.h"

#include <string.h>

size_t oc__label_prefix(const char *label, int level) {
    const char *end = label + (*label == '/');
    for (; level > 0; level--, end++) {
        end = strchr(end, '/');
        if (!end) return strlen(label);
        if (level == 1) return (size_t)(end - label);
    }
    return 0;
}

int oc__label_same(const char *a, const char *b, int level) {
    size_t n = oc__label_prefix(a, level);
    return n == oc__label_prefix(b, level) && !memcmp(a, b, n);
}

/* As strings, the slash before every other character. */
static int by_path(const void *ctx, int64_t ia, int64_t ib) {
    const char *const *labels = ctx;
    const unsigned char *a = (const unsigned char *)labels[ia];
    const unsigned char *b = (const unsigned char *)labels[ib];
    while (*a && *a == *b)
        a++, b++;
    int x = *a == '/' ? 1 : *a ? *a + 1 : 0;
    int y = *b == '/' ? 1 : *b ? *b + 1 : 0;
    return (x > y) - (x < y);
}

static int parts(const char *label) {
    int n = 1;
    for (const char *s = label + (*label == '/'); (s = strchr(s, '/')); s++)
        n++;
    return n;
}

int oc__label_order(const char *const *labels, int n, int64_t *order) {
    int most = 1, shared = 0;
    for (int i = 0; i < n; i++)
        order[i] = i;
    oc__sort_index(order, order + n, (size_t)n, by_path, labels);
    for (int i = 0; i < n; i++) {
        const char *label = labels[order[i]];
        if (parts(label) > most) most = parts(label);
        if (i > 0 && most > 1)
            shared |= oc__label_same(labels[order[i - 1]], label, 1) &&
                      strcmp(labels[order[i - 1]], label) != 0;
    }
    return shared ? most - 1 : 0;
}
