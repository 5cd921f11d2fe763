/* attribute.c - reading and setting a node's attributes; see graph.h. */
#include "graph/graph.h"

#include <string.h>

const oc__attr *oc__attr_find(const oc__node *n, const char *name) {
    for (int i = 0; i < n->n_attrs; i++)
        if (n->attrs[i].name && strcmp(n->attrs[i].name, name) == 0)
            return &n->attrs[i];
    return NULL;
}

/* An attribute of the wrong type counts as absent: importers check types of
   what they know, and an op's own check names what is missing. */
static const oc__attr *find_typed(const oc__node *n, const char *name,
                                  oc__attr_type type) {
    const oc__attr *a = oc__attr_find(n, name);
    return a && a->type == type ? a : NULL;
}

int64_t oc__attr_int(const oc__node *n, const char *name, int64_t fallback) {
    const oc__attr *a = find_typed(n, name, OC_ATTR_INT);
    return a ? a->i : fallback;
}

float oc__attr_float(const oc__node *n, const char *name, float fallback) {
    const oc__attr *a = find_typed(n, name, OC_ATTR_FLOAT);
    return a ? a->f : fallback;
}

const char *oc__attr_string(const oc__node *n, const char *name,
                            const char *fallback) {
    const oc__attr *a = find_typed(n, name, OC_ATTR_STRING);
    return a ? a->s.data : fallback;
}

const int64_t *oc__attr_ints(const oc__node *n, const char *name,
                             size_t *count) {
    const oc__attr *a = find_typed(n, name, OC_ATTR_INTS);
    *count = a ? a->n : 0;
    return a ? a->ints : NULL;
}

const float *oc__attr_floats(const oc__node *n, const char *name,
                             size_t *count) {
    const oc__attr *a = find_typed(n, name, OC_ATTR_FLOATS);
    *count = a ? a->n : 0;
    return a ? a->floats : NULL;
}

const oc_string *oc__attr_strings(const oc__node *n, const char *name,
                                  size_t *count) {
    const oc__attr *a = find_typed(n, name, OC_ATTR_STRINGS);
    *count = a ? a->n : 0;
    return a ? a->strings : NULL;
}

const oc_tensor *oc__attr_tensor(const oc__node *n, const char *name) {
    const oc__attr *a = find_typed(n, name, OC_ATTR_TENSOR);
    return a ? a->tensors : NULL;
}

oc__graph *oc__attr_graph(const oc__node *n, const char *name) {
    const oc__attr *a = find_typed(n, name, OC_ATTR_GRAPH);
    return a ? a->graphs[0] : NULL;
}

void oc__attr_set_int(oc__node *n, int i, const char *name, int64_t v) {
    n->attrs[i].name = name;
    n->attrs[i].type = OC_ATTR_INT;
    n->attrs[i].i = v;
}

void oc__attr_set_float(oc__node *n, int i, const char *name, float v) {
    n->attrs[i].name = name;
    n->attrs[i].type = OC_ATTR_FLOAT;
    n->attrs[i].f = v;
}

void oc__attr_set_ints(oc__node *n, int i, const char *name, const int64_t *v,
                       size_t count) {
    n->attrs[i].name = name;
    n->attrs[i].type = OC_ATTR_INTS;
    n->attrs[i].ints = v;
    n->attrs[i].n = count;
}

void oc__attr_set_string(oc__node *n, int i, const char *name, const char *v) {
    n->attrs[i].name = name;
    n->attrs[i].type = OC_ATTR_STRING;
    n->attrs[i].s = (oc_string){v, strlen(v)};
}
