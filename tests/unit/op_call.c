/* op_call.c - see op_call.h. */
#include "op_call.h"

void op_call_init(op_call *k, const char *domain, const char *name,
                  int version) {
    memset(k, 0, sizeof(*k));
    k->node.op = oc__op_find(domain, name);
    assert_non_null(k->node.op);
    k->node.name = "";
    k->node.version = version;
    k->node.attrs = k->attrs;
}

void op_call_input(op_call *k, const oc_tensor *t) {
    assert_true(k->node.n_in < OP_CALL_INPUTS);
    int i = k->node.n_in++;
    k->node.n_explicit = k->node.n_in;
    if (!t) return;
    k->in[i].kind = OC_KIND_TENSOR;
    k->in[i].t = *t;
    k->in_list[i] = &k->in[i];
}

static int next_attr(op_call *k) {
    assert_true(k->node.n_attrs < OP_CALL_ATTRS);
    return k->node.n_attrs++;
}

void op_call_int(op_call *k, const char *name, int64_t v) {
    oc__attr_set_int(&k->node, next_attr(k), name, v);
}

void op_call_float(op_call *k, const char *name, float v) {
    oc__attr_set_float(&k->node, next_attr(k), name, v);
}

void op_call_ints(op_call *k, const char *name, const int64_t *v, size_t n) {
    oc__attr_set_ints(&k->node, next_attr(k), name, v, n);
}

void op_call_text(op_call *k, const char *name, const char *v) {
    oc__attr *a = &k->attrs[next_attr(k)];
    a->name = name;
    a->type = OC_ATTR_STRING;
    a->s.data = v;
    a->s.bytes = strlen(v);
}

static oc__ctx context(op_call *k, oc_value **out, const oc__kernels *kernels,
                       oc__pool *pool) {
    return (oc__ctx){.node = &k->node,
                     .op = k->node.op,
                     .kernels = kernels,
                     .pool = pool,
                     .threads = oc__pool_threads(pool),
                     .allocator = &oc__default_allocator,
                     .err = &k->err,
                     .n_in = k->node.n_in,
                     .n_out = 1,
                     .in = k->in_list,
                     .out = out};
}

oc_status op_call_infer(op_call *k, const oc__kernels *kernels) {
    oc_value *out = &k->out;
    oc__ctx c = context(k, &out, kernels, NULL);
    return k->node.op->infer(&c);
}

oc_value op_call_run(op_call *k, const oc__kernels *kernels, oc__pool *pool) {
    oc_value *out = &k->out;
    oc__ctx c = context(k, &out, kernels, pool);
    oc_status st = k->node.op->infer(&c);
    if (st != OC_OK) print_error("%s\n", k->err.message);
    assert_int_equal(st, OC_OK);
    oc_tensor t = k->out.t;
    assert_int_equal(oc__value_alloc_tensor(&k->out, &oc__default_allocator,
                                            t.dtype, t.rank, t.dims, &k->err),
                     OC_OK);
    size_t bytes = c.scratch_bytes;
    c.scratch = oc__alloc(&oc__default_allocator, bytes);
    memset(c.scratch, 0x7f, bytes); /* NaN where something is left out */
    st = k->node.op->run(&c);
    if (st != OC_OK) print_error("%s\n", k->err.message);
    assert_int_equal(st, OC_OK);
    oc__release(&oc__default_allocator, c.scratch, bytes);
    return k->out;
}
