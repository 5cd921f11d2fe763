/* graph_print.c - a graph as text, one node a line; see graph.h. */
#include "ops/op.h"

#include "base/text_number.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Where the text goes and how deep the current sub-graph lies. */
typedef struct printer {
    void (*emit)(void *user, const char *text, size_t bytes);
    void *user;
    int depth;
} printer;

static void say(const printer *p, const char *format, ...) OC_PRINTF(2, 3);

static void say(const printer *p, const char *format, ...) {
    char line[512];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    if (n < 0) return;
    /* A longer line is cut: this text is for reading. */
    p->emit(p->user, line, OC_MIN((size_t)n, sizeof(line) - 1));
}

static void say_type(const printer *p, const oc__value_def *v) {
    if (v->kind == OC_KIND_SEQUENCE) say(p, "seq ");
    if (v->kind == OC_KIND_MAP) say(p, "map ");
    if (v->dtype != OC_DTYPE_NONE) say(p, "%s", oc_dtype_name(v->dtype));
    if (v->rank < 0) return;
    say(p, "[");
    for (int i = 0; i < v->rank; i++) {
        if (i) say(p, ",");
        if (v->dims[i] >= 0)
            say(p, "%lld", (long long)v->dims[i]);
        else
            say(p, "%s", v->dim_names[i] ? v->dim_names[i] : "?");
    }
    say(p, "]");
}

static void say_float(const printer *p, float v) {
    char text[OC_NUMBER_TEXT_BYTES];
    oc__text_from_number(OC_DTYPE_F32, (double)v, text);
    say(p, "%s", text);
}

static void say_attr(const printer *p, const oc__attr *a) {
    say(p, " %s=", a->name);
    switch (a->type) {
    case OC_ATTR_INT: say(p, "%lld", (long long)a->i); break;
    case OC_ATTR_FLOAT: say_float(p, a->f); break;
    case OC_ATTR_STRING:
        say(p, "\"%.*s\"", (int)OC_MIN(a->s.bytes, (size_t)60), a->s.data);
        break;
    case OC_ATTR_INTS:
        for (size_t i = 0; i < a->n && i < 16; i++)
            say(p, "%s%lld", i ? "," : "", (long long)a->ints[i]);
        break;
    case OC_ATTR_FLOATS:
        for (size_t i = 0; i < a->n && i < 16; i++) {
            if (i) say(p, ",");
            say_float(p, a->floats[i]);
        }
        break;
    case OC_ATTR_GRAPH: say(p, "{...}"); break;
    default: say(p, "(%zu)", a->n); break;
    }
}

static void print_graph(printer *p, const oc__graph *g);

static void print_node(printer *p, const oc__graph *g, const oc__node *n) {
    say(p, "%*s", p->depth * 4, "");
    for (int j = 0; j < n->n_out; j++) {
        if (j) say(p, ", ");
        if (n->out[j] < 0) {
            say(p, "_");
            continue;
        }
        say(p, "%%%s ", g->values[n->out[j]].name);
        say_type(p, &g->values[n->out[j]]);
    }
    say(p, " = %s%s%s(", n->op->domain, *n->op->domain ? "." : "", n->op->name);
    for (int j = 0; j < n->n_in; j++) {
        if (j) say(p, ", ");
        if (n->in[j] < 0)
            say(p, "_");
        else
            say(p, "%%%s", g->values[n->in[j]].name);
    }
    say(p, ")");
    for (int a = 0; a < n->n_attrs; a++)
        if (n->attrs[a].name) say_attr(p, &n->attrs[a]);
    if (n->name[0]) say(p, "  # %s", n->name);
    say(p, "\n");
    p->depth++;
    for (int a = 0; a < n->n_attrs; a++)
        for (size_t i = 0; n->attrs[a].graphs && i < n->attrs[a].n; i++) {
            say(p, "%*s%s:\n", p->depth * 4 - 2, "", n->attrs[a].name);
            print_graph(p, n->attrs[a].graphs[i]);
        }
    p->depth--;
}

static void print_graph(printer *p, const oc__graph *g) {
    for (int i = 0; i < g->n_inputs; i++) {
        say(p, "%*sinput %%%s ", p->depth * 4, "",
            g->values[g->inputs[i]].name);
        say_type(p, &g->values[g->inputs[i]]);
        say(p, "\n");
    }
    for (int i = 0; i < g->n_nodes; i++)
        if (!g->nodes[i]->dead) print_node(p, g, g->nodes[i]);
    for (int i = 0; i < g->n_outputs; i++)
        say(p, "%*soutput %%%s\n", p->depth * 4, "",
            g->values[g->outputs[i]].name);
}

void oc__graph_print(const oc__graph *g,
                     void (*emit)(void *user, const char *text, size_t bytes),
                     void *user) {
    printer p = {emit, user, 0};
    print_graph(&p, g);
}
