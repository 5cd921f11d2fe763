/* verify.c - what must hold of every graph; see oc__graph_verify(). */
#include "base/size.h"
#include "graph/graph.h"

static oc_status bad_number(oc_error *err, const char *node, const char *what,
                            int id) {
    oc__error_node(err, node);
    return oc__fail(err, OC_E_FORMAT,
                    "graph check: node \"%s\": %s %d does not exist", node,
                    what, id);
}

/* made[v]: 1 once value v is there (input, constant, or made by a node). */
static oc_status check_node(const oc__graph *g, const oc__node *n, char *made,
                            oc_error *err) {
    for (int j = 0; j < n->n_in; j++) {
        int v = n->in[j];
        if (v < -1 || v >= g->n_values)
            return bad_number(err, n->name, "input value", v);
        if (v >= 0 && !made[v]) {
            oc__error_node(err, n->name);
            return oc__fail(err, OC_E_FORMAT,
                            "node \"%s\" uses \"%s\", which nothing makes "
                            "before it",
                            n->name, g->values[v].name);
        }
    }
    for (int j = 0; j < n->n_out; j++) {
        int v = n->out[j];
        if (v < -1 || v >= g->n_values)
            return bad_number(err, n->name, "output value", v);
        if (v >= 0 && made[v]) {
            oc__error_node(err, n->name);
            return oc__fail(err, OC_E_FORMAT,
                            "node \"%s\" makes \"%s\", which is there already",
                            n->name, g->values[v].name);
        }
        if (v >= 0) made[v] = 1;
    }
    return OC_OK;
}

static oc_status check_subgraphs(const oc__node *n, oc_error *err) {
    for (int a = 0; a < n->n_attrs; a++)
        for (size_t j = 0; n->attrs[a].graphs && j < n->attrs[a].n; j++) {
            const oc__graph *sub = n->attrs[a].graphs[j];
            for (int k = 0; k < sub->n_captures; k++) {
                const oc__capture *cap = &sub->captures[k];
                if (cap->value < 0 || cap->value >= sub->n_values)
                    return bad_number(err, n->name, "captured value",
                                      cap->value);
                if (cap->node_input < n->n_explicit ||
                    cap->node_input >= n->n_in)
                    return bad_number(err, n->name, "captured input",
                                      cap->node_input);
            }
            OC_TRY(oc__graph_verify(sub, err));
        }
    return OC_OK;
}

/* A variable is an input that is set, and has one new value. */
static oc_status check_updates(const oc__graph *g, oc_error *err) {
    for (int i = 0; i < g->n_updates; i++) {
        const oc__update *u = &g->updates[i];
        if (u->input < 0 || u->input >= g->n_inputs ||
            g->values[g->inputs[u->input]].constant)
            return bad_number(err, g->name, "variable", u->input);
        if (u->output < 0 || u->output >= g->n_outputs)
            return bad_number(err, g->name, "new value", u->output);
        for (int k = 0; k < i; k++)
            if (g->updates[k].input == u->input)
                return bad_number(err, g->name, "second new value of", k);
    }
    return OC_OK;
}

static oc_status verify(const oc__graph *g, char *made, oc_error *err) {
    for (int v = 0; v < g->n_values; v++)
        made[v] = g->values[v].constant != NULL;
    for (int i = 0; i < g->n_inputs; i++) {
        if (g->inputs[i] < 0 || g->inputs[i] >= g->n_values)
            return bad_number(err, g->name, "graph input", g->inputs[i]);
        made[g->inputs[i]] = 1;
    }
    for (int i = 0; i < g->n_captures; i++)
        made[g->captures[i].value] = 1;
    for (int i = 0; i < g->n_nodes; i++) {
        if (g->nodes[i]->dead) continue;
        OC_TRY(check_subgraphs(g->nodes[i], err));
        OC_TRY(check_node(g, g->nodes[i], made, err));
    }
    for (int i = 0; i < g->n_outputs; i++) {
        int v = g->outputs[i];
        if (v < 0 || v >= g->n_values)
            return bad_number(err, g->name, "graph output", v);
        if (!made[v])
            return oc__fail(err, OC_E_FORMAT,
                            "graph output \"%s\" is made by no node",
                            g->values[v].name);
    }
    return check_updates(g, err);
}

oc_status oc__graph_verify(const oc__graph *g, oc_error *err) {
    const oc_allocator *a = g->arena->allocator;
    char *made = oc__calloc(a, (size_t)g->n_values + 1, 1);
    if (!made) return oc__fail_nomem(err);
    oc_status st = verify(g, made, err);
    oc__release(a, made, (size_t)g->n_values + 1);
    return st;
}
