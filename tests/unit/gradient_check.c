/* gradient_check.c - see gradient_check.h. */
#include "gradient_check.h"

#include "checkasm.h"

#include "passes/differentiate.h"
#include "runtime/exec.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MAX_VALUES = 24, MAX_NAME = 48, MAX_INPUTS = 48 };

/* ---- the graph of a case ---------------------------------------------------
 */

typedef struct named {
    char name[MAX_NAME];
    int value;
} named;

typedef struct rig {
    oc__arena arena;
    const oc_allocator *allocator;
    oc__graph *g;
    oc_dtype dtype;
    named names[MAX_VALUES];
    int n_names;
    /* Float inputs, in the graph's order; `by` of them are x's. */
    int n_inputs, wanted[MAX_INPUTS];
    oc_tensor inputs[MAX_INPUTS];
    int n_losses, losses[MAX_VALUES];
    void (*before)(struct rig *r); /* called before differentiating */
    int64_t fail_at;
    oc_error err;
} rig;

static const gradient_case *current_case;

static void stop(const char *what, const char *more) {
    fail_msg("%s; with %s: %s %s", current_case->program, current_case->inputs,
             what, more ? more : "");
}

static void skip_blanks(const char **p) {
    while (**p == ' ' || **p == '\n')
        ++*p;
}

/* A word of letters, digits and the characters in `more`. */
static void take_word(const char **p, const char *more, char *out) {
    size_t n = 0;
    skip_blanks(p);
    while (**p && (isalnum((unsigned char)**p) || strchr(more, **p))) {
        if (n + 1 < MAX_NAME) out[n++] = **p;
        ++*p;
    }
    out[n] = 0;
}

static int take_char(const char **p, char ch) {
    skip_blanks(p);
    if (**p != ch) return 0;
    ++*p;
    return 1;
}

static int find_name(const rig *r, const char *name) {
    for (int i = 0; i < r->n_names; i++)
        if (!strcmp(r->names[i].name, name)) return r->names[i].value;
    return -1;
}

static void add_name(rig *r, const char *name, int value) {
    if (r->n_names == MAX_VALUES) stop("too many values", NULL);
    snprintf(r->names[r->n_names].name, MAX_NAME, "%.*s", MAX_NAME - 1, name);
    r->names[r->n_names++].value = value;
}

static void add_input(rig *r, int value, const oc_tensor *t, int wanted) {
    if (r->n_inputs == MAX_INPUTS) stop("too many inputs", NULL);
    r->inputs[r->n_inputs] = *t;
    r->wanted[r->n_inputs++] = wanted;
    r->g->inputs[r->g->n_inputs++] = value;
    r->g->values[value].dtype = t->dtype;
    r->g->values[value].rank = t->rank;
    memcpy(r->g->values[value].dims, t->dims, sizeof(t->dims));
}

/* ---- inputs ----------------------------------------------------------------
 */

/* "2x3", or "s" for a scalar. */
static void take_dims(const char **p, oc_tensor *t) {
    if (**p == 's') {
        ++*p;
        return;
    }
    do {
        char *end;
        t->dims[t->rank++] = strtol(*p, &end, 10);
        *p = end;
    } while (**p == 'x' && ++*p);
}

static void allocate(rig *r, oc_tensor *t) {
    size_t bytes = oc_tensor_bytes(t);
    t->data = oc__arena_alloc(&r->arena, OC_MAX(bytes, 1));
    memset(t->data, 0, bytes);
}

/* A list behind "dims:", or of one dimension. */
static void take_list(rig *r, const char **p, oc_dtype dtype, oc_tensor *t) {
    int64_t list[256], n = 0;
    const char *colon = strchr(*p, ':'), *end = strchr(*p, ';');
    if (colon && (!end || colon < end)) {
        take_dims(p, t);
        ++*p;
    } else {
        t->rank = 1;
    }
    while (isdigit((unsigned char)**p) || **p == '-') {
        char *next;
        list[n++] = strtoll(*p, &next, 10);
        *p = next + (*next == ',');
    }
    if (!(colon && (!end || colon < end))) t->dims[0] = n;
    t->dtype = dtype;
    allocate(r, t);
    if (oc_tensor_elems(t) != n) stop("a list does not fill its shape", NULL);
    for (int64_t i = 0; i < n; i++)
        oc__tensor_set_f64(t, i, (double)list[i]);
}

static void take_input(rig *r, const char **p, oc__rng *rng) {
    char name[MAX_NAME];
    oc_tensor t = {0};
    take_word(p, "_", name);
    skip_blanks(p);
    char kind = **p;
    int wanted = kind != '!', low = -1;
    if (strchr("!=?~#%", kind)) ++*p;
    if (kind == '=' || kind == '?') {
        take_list(r, p, kind == '=' ? OC_DTYPE_I64 : OC_DTYPE_BOOL, &t);
        add_name(r, name, oc__graph_add_constant(r->g, name, &t));
        return;
    }
    t.dtype = r->dtype;
    if (kind == '~') {
        char *end;
        allocate(r, &t);
        oc__tensor_set_f64(&t, 0, strtod(*p, &end));
        *p = end;
        add_name(r, name, oc__graph_add_constant(r->g, name, &t));
        return;
    }
    if (**p == '+') low = 0, ++*p;
    take_dims(p, &t);
    allocate(r, &t);
    for (int64_t i = 0; i < oc_tensor_elems(&t) && kind != '%'; i++) {
        double v = (double)oc__rng_float(rng);
        oc__tensor_set_f64(&t, i, low == 0 ? 0.5 + v : 2 * v - 1);
    }
    if (kind == '#') {
        add_name(r, name, oc__graph_add_constant(r->g, name, &t));
        return;
    }
    int value = oc__graph_add_value(r->g, name);
    add_name(r, name, value);
    add_input(r, value, &t, wanted);
}

/* ---- statements ------------------------------------------------------------
 */

typedef struct op_name {
    char domain[MAX_NAME], name[MAX_NAME];
    int version;
} op_name;

static void take_op(const char **p, op_name *op) {
    char word[MAX_NAME];
    take_word(p, "._:", word);
    char *colon = strchr(word, ':');
    op->domain[0] = 0;
    if (colon) {
        *colon = 0;
        snprintf(op->domain, MAX_NAME, "%s", word);
    }
    snprintf(op->name, MAX_NAME, "%s", colon ? colon + 1 : word);
    op->version = colon ? 1 : 21;
    if (**p == '@') {
        char *end;
        op->version = (int)strtol(*p + 1, &end, 10);
        *p = end;
    }
}

static int take_names(const char **p, char end, char (*out)[MAX_NAME]) {
    int n = 0;
    while (!take_char(p, end)) {
        take_word(p, "_", out[n++]);
        take_char(p, ',');
        if (!**p) stop("the program ends early", NULL);
    }
    return n;
}

static void take_attribute(rig *r, const char **p, oc__attr *a) {
    char name[MAX_NAME], text[MAX_NAME * 2];
    size_t n = 0;
    take_word(p, "_", name);
    ++*p; /* = */
    while (**p && **p != ' ' && **p != ';' && n + 1 < sizeof(text))
        text[n++] = *(*p)++;
    text[n] = 0;
    memset(a, 0, sizeof(*a));
    a->name = oc__arena_dup(&r->arena, name, strlen(name) + 1);
    char first = text[text[0] == '-'];
    if (!isdigit((unsigned char)first)) {
        a->type = OC_ATTR_STRING;
        a->s.data = oc__arena_dup(&r->arena, text, n + 1);
        a->s.bytes = n;
    } else if (strchr(text, '.') && strchr(text, ',')) {
        float list[8];
        char *at = text;
        a->type = OC_ATTR_FLOATS;
        while (*at && a->n < OC_COUNT(list)) {
            list[a->n++] = strtof(at, &at);
            at += *at == ',';
        }
        a->floats = oc__arena_dup(&r->arena, list, a->n * sizeof(*list));
    } else if (strchr(text, '.')) {
        a->type = OC_ATTR_FLOAT;
        a->f = strtof(text, NULL);
    } else if (strchr(text, ',')) {
        int64_t list[32];
        char *at = text;
        a->type = OC_ATTR_INTS;
        while (*at && a->n < OC_COUNT(list)) {
            list[a->n++] = strtoll(at, &at, 10);
            at += *at == ',';
        }
        a->ints = oc__arena_dup(&r->arena, list, a->n * sizeof(*list));
    } else {
        a->type = OC_ATTR_INT;
        a->i = strtoll(text, NULL, 10);
    }
}

static void take_statement(rig *r, const char **p) {
    char out[8][MAX_NAME], in[8][MAX_NAME];
    oc__attr attrs[16];
    op_name name;
    int n_attrs = 0, n_out = take_names(p, '=', out);
    take_op(p, &name);
    take_char(p, '(');
    int n_in = take_names(p, ')', in);
    for (skip_blanks(p); **p && **p != ';'; skip_blanks(p))
        take_attribute(r, p, &attrs[n_attrs++]);
    take_char(p, ';');
    skip_blanks(p);
    const oc__op *op = oc__op_find(name.domain, name.name);
    if (!op) stop("there is no operator", name.name);
    oc__node *n = oc__graph_add_node(r->g, op, out[0], name.version, n_in,
                                     n_out, n_attrs);
    for (int i = 0; i < n_in; i++) {
        n->in[i] = find_name(r, in[i]);
        if (n->in[i] < 0 && strcmp(in[i], "_")) stop("no value", in[i]);
    }
    memcpy(n->attrs, attrs, sizeof(*attrs) * (size_t)n_attrs);
    for (int i = 0; i < n_out; i++) {
        if (!strcmp(out[i], "_")) continue;
        n->out[i] = oc__graph_add_value(r->g, out[i]);
        add_name(r, out[i], n->out[i]);
        if (out[i][0] == 'y') r->losses[r->n_losses++] = n->out[i];
    }
}

static void rig_init_with(rig *r, const gradient_case *c, oc_dtype dtype,
                          const oc_allocator *a) {
    oc__rng rng;
    memset(r, 0, sizeof(*r));
    current_case = c;
    r->allocator = a;
    oc__rng_init(&rng, 7);
    oc__arena_init(&r->arena, a);
    r->g = oc__graph_create(&r->arena);
    r->g->inputs = oc__arena_array(&r->arena, MAX_INPUTS, sizeof(int));
    r->g->outputs = oc__arena_array(&r->arena, MAX_INPUTS, sizeof(int));
    r->dtype = dtype;
    for (const char *p = c->inputs; *p; take_char(&p, ';'))
        take_input(r, &p, &rng);
    for (const char *p = c->program; *p;)
        take_statement(r, &p);
}

static void rig_init(rig *r, const gradient_case *c, oc_dtype dtype) {
    rig_init_with(r, c, dtype, &oc__default_allocator);
}

static void rig_deinit(rig *r) {
    oc__graph_release(r->g);
    oc__arena_deinit(&r->arena);
}

void gradient_each_op(const char *program,
                      void (*fn)(void *user, const char *domain,
                                 const char *op),
                      void *user) {
    op_name op;
    for (const char *p = program; (p = strchr(p, '=')) != NULL;) {
        p++;
        if (*p != ' ') continue; /* an attribute's */
        take_op(&p, &op);
        fn(user, op.domain, op.name);
    }
}

/* ---- running ---------------------------------------------------------------
 */

typedef struct runner {
    oc__exec_env env;
    oc__exec *exec;
} runner;

/* Runs all passes on the rig's graph and makes an executor of it. */
static void runner_init(runner *u, rig *r, const oc__kernels *k, int level,
                        int threads) {
    memset(u, 0, sizeof(*u));
    u->env.kernels = k;
    u->env.allocator = &oc__default_allocator;
    u->env.threads = threads;
    u->env.level = level;
    u->env.plan_cache_bytes = 1 << 26;
    if (threads > 1)
        assert_int_equal(oc__pool_create(&u->env.pool, &oc__default_allocator,
                                         threads, NULL),
                         OC_OK);
    if (oc__passes_run(r->g, k, level, &oc__default_allocator, &r->err) ||
        oc__graph_verify(r->g, &r->err) ||
        oc__exec_create(&u->exec, r->g, &u->env, &r->err))
        stop(r->err.message, NULL);
}

static void runner_deinit(runner *u) {
    oc__exec_destroy(u->exec);
    oc__pool_destroy(u->env.pool);
}

static oc_status try_run(runner *u, rig *r) {
    oc_value values[MAX_INPUTS];
    const oc_value *list[MAX_INPUTS];
    for (int i = 0; i < r->n_inputs; i++) {
        memset(&values[i], 0, sizeof(values[i]));
        values[i].kind = OC_KIND_TENSOR;
        values[i].t = r->inputs[i];
        list[i] = &values[i];
    }
    oc__rng_init(&u->env.rng, 3);
    return oc__exec_run(u->exec, list, &r->err);
}

static void run(runner *u, rig *r) {
    if (try_run(u, r) != OC_OK) stop(r->err.message, NULL);
}

static const oc_tensor *output(const runner *u, int i) {
    const oc_tensor *t = oc_value_tensor(oc__exec_output(u->exec, i));
    if (!t) stop("an output is not there", NULL);
    return t;
}

/* ---- the loss --------------------------------------------------------------
 */

/* Factor i of the loss' output k. */
static double factor(int k, int64_t i) {
    oc__rng rng;
    oc__rng_init(&rng, (uint64_t)(k + 1) << 32 | (uint64_t)i);
    /* Exact in every float. */
    return ((double)oc__rng_below(&rng, 257) - 128) / 64;
}

static double loss_of(const runner *u, const rig *r) {
    double sum = 0;
    for (int k = 0; k < r->n_losses; k++) {
        const oc_tensor *y = output(u, k);
        for (int64_t i = 0; i < oc_tensor_elems(y); i++)
            sum += factor(k, i) * oc__tensor_get_f64(y, i);
    }
    return sum;
}

/* The outputs are what the loss is made of. */
static void output_losses(rig *r) {
    for (int k = 0; k < r->n_losses; k++)
        r->g->outputs[r->g->n_outputs++] = r->losses[k];
}

static int add_node(rig *r, const char *op, int version, int a, int b) {
    oc__node *n = oc__graph_add_node(r->g, oc__op_find("", op), "", version,
                                     b < 0 ? 1 : 2, 1, 0);
    n->in[0] = a;
    if (b >= 0) n->in[1] = b;
    return n->out[0] = oc__graph_add_value(r->g, NULL);
}

/* Appends the loss and its gradient; the factors are inputs. */
static oc_status add_gradient(rig *r, const oc_tensor *shapes) {
    int total = -1, xs[MAX_INPUTS] = {0}, grads[MAX_INPUTS], n = 0;
    for (int i = 0; i < r->n_inputs; i++)
        if (r->wanted[i]) xs[n++] = r->g->inputs[i];
    for (int k = 0; k < r->n_losses; k++) {
        oc_tensor t = shapes[k];
        t.dtype = r->dtype;
        allocate(r, &t);
        for (int64_t i = 0; i < oc_tensor_elems(&t); i++)
            oc__tensor_set_f64(&t, i, factor(k, i));
        int f = oc__graph_add_value(r->g, NULL);
        add_input(r, f, &t, 0);
        int part = add_node(r, "Mul", 14, r->losses[k], f);
        part = add_node(r, "ReduceSum", 18, part, -1);
        part = add_node(r, "Squeeze", 13, part, -1);
        total = total < 0 ? part : add_node(r, "Add", 14, total, part);
    }
    if (r->before) r->before(r);
    oc_status st =
        oc__gradients(r->g, r->allocator, total, xs, n, grads, &r->err);
    for (int i = 0; i < n && st == OC_OK; i++)
        r->g->outputs[r->g->n_outputs++] = grads[i];
    return st;
}

/* Shapes of the loss' parts, from running forward. */
static void forward_shapes(const gradient_case *c, oc_dtype dtype,
                           oc_tensor *shapes) {
    rig r;
    runner u;
    rig_init(&r, c, dtype);
    output_losses(&r);
    runner_init(&u, &r, oc__kernels_native(), -1, 1);
    run(&u, &r);
    for (int k = 0; k < r.n_losses; k++)
        shapes[k] = *output(&u, k);
    runner_deinit(&u);
    rig_deinit(&r);
}

/* ---- differences -----------------------------------------------------------
 */

typedef struct check {
    const gradient_case *c;
    oc_tensor shapes[MAX_VALUES];
    rig exact; /* the best gradient there is, that others are held to */
    runner run;
    oc_dtype dtype;
} check;

/* The loss of r's forward graph when input i moves by step along `way`. */
static double moved_loss(runner *u, rig *r, int i, const double *way,
                         double step) {
    oc_tensor *t = &r->inputs[i];
    int64_t n = oc_tensor_elems(t);
    void *was = t->data;
    allocate(r, t);
    oc_tensor from = *t;
    from.data = was;
    for (int64_t k = 0; k < n; k++)
        oc__tensor_set_f64(t, k, oc__tensor_get_f64(&from, k) + step * way[k]);
    run(u, r);
    double loss = loss_of(u, r);
    t->data = was;
    return loss;
}

/* Whether the gradient times a direction is what the loss changes by. */
static void check_way(const check *k, runner *u, rig *r, int i,
                      const oc_tensor *grad, const double *way) {
    double step = k->dtype == OC_DTYPE_F64 ? 1e-5 : 1e-2, got = 0, size = 0;
    int64_t n = oc_tensor_elems(grad);
    for (int64_t e = 0; e < n; e++) {
        double part = oc__tensor_get_f64(grad, e) * way[e];
        got += part;
        size += fabs(part);
    }
    double want =
        (moved_loss(u, r, i, way, step) - moved_loss(u, r, i, way, -step)) /
        (2 * step);
    double bound = (k->dtype == OC_DTYPE_F64 ? 1e-6 : 2e-2) * (1 + size);
    if (!(fabs(got - want) <= bound)) {
        char text[160];
        snprintf(text, sizeof(text),
                 "input %d: the loss changes by %g, the gradient says %g", i,
                 want, got);
        stop(text, NULL);
    }
}

/* Some random directions, then the first elements, then every so many. */
static void check_differences(check *k) {
    enum { WAYS = 3, SINGLES = 16 };
    rig r;
    runner u;
    oc__rng rng;
    oc__rng_init(&rng, 11);
    rig_init(&r, k->c, k->dtype);
    output_losses(&r);
    runner_init(&u, &r, oc__kernels_native(), -1, 1);
    for (int i = 0, o = 0; i < r.n_inputs; i++) {
        if (!r.wanted[i]) continue;
        const oc_tensor *grad = output(&k->run, o++);
        int64_t n = oc_tensor_elems(grad);
        if (!oc__tensor_same_shape(grad, &r.inputs[i]))
            stop("a gradient has another shape than its input", NULL);
        double *way = calloc((size_t)n + 1, sizeof(*way));
        for (int w = 0; w < WAYS && n; w++) {
            for (int64_t e = 0; e < n; e++)
                way[e] = 2 * (double)oc__rng_float(&rng) - 1;
            check_way(k, &u, &r, i, grad, way);
        }
        memset(way, 0, (size_t)n * sizeof(*way));
        for (int64_t e = 0; e < n; e += OC_MAX(n / SINGLES, 1)) {
            way[e] = 1;
            check_way(k, &u, &r, i, grad, way);
            way[e] = 0;
        }
        free(way);
    }
    runner_deinit(&u);
    rig_deinit(&r);
}

/* ---- f32, instruction sets, threads ----------------------------------------
 */

static check *current_check;

static void compare(const check *k, const runner *u, const oc__kernels *kt) {
    double tolerance = k->c->tolerance > 0 ? k->c->tolerance : 2e-5;
    for (int i = 0; i < k->exact.g->n_outputs; i++) {
        const oc_tensor *want = output(&k->run, i), *got = output(u, i);
        if (!oc__tensor_same_shape(want, got)) stop("shapes differ", NULL);
        double most = 0, worst = 0;
        for (int64_t e = 0; e < oc_tensor_elems(want); e++) {
            double w = oc__tensor_get_f64(want, e);
            double error = fabs(w - oc__tensor_get_f64(got, e));
            most = OC_MAX(most, fabs(w));
            worst = error > worst || isnan(error) ? error : worst;
        }
        if (!(worst <= tolerance * (most + 1e-3))) {
            char text[160];
            snprintf(text, sizeof(text),
                     "CPU %x, gradient %d: f32 is off by %g of %g",
                     (unsigned)kt->cpu, i, worst, most);
            stop(text, NULL);
        }
    }
}

static void check_kernels(const oc__kernels *kt) {
    check *k = current_check;
    rig r[3];
    runner u[3];
    for (int t = 0; t < 3; t++) {
        rig_init(&r[t], k->c, OC_DTYPE_F32);
        assert_int_equal(add_gradient(&r[t], k->shapes), OC_OK);
        runner_init(&u[t], &r[t], kt, 0, t + 1);
        run(&u[t], &r[t]);
    }
    compare(k, &u[0], kt);
    for (int t = 1; t < 3; t++)
        for (int i = 0; i < k->exact.g->n_outputs; i++) {
            const oc_tensor *a = output(&u[0], i), *b = output(&u[t], i);
            if (memcmp(a->data, b->data, oc_tensor_bytes(a)))
                stop("threads change bits", NULL);
        }
    for (int t = 0; t < 3; t++) {
        runner_deinit(&u[t]);
        rig_deinit(&r[t]);
    }
}

void gradient_check(const gradient_case *c) {
    check k = {.c = c, .dtype = OC_DTYPE_F64};
    if (c->flags & GRADIENT_F32) k.dtype = OC_DTYPE_F32;
    forward_shapes(c, k.dtype, k.shapes);
    rig_init(&k.exact, c, k.dtype);
    if (!k.exact.n_losses) stop("there is no loss", NULL);
    if (add_gradient(&k.exact, k.shapes) != OC_OK)
        stop(k.exact.err.message, NULL);
    runner_init(&k.run, &k.exact, check_scalar(), -1, 1);
    run(&k.run, &k.exact);
    if (!(c->flags & GRADIENT_LARGE)) check_differences(&k);
    current_check = &k;
    check_each_mask(check_kernels);
    runner_deinit(&k.run);
    rig_deinit(&k.exact);
}

oc_status gradient_status(const gradient_case *c, oc_error *err) {
    rig r;
    oc_tensor shapes[MAX_VALUES];
    forward_shapes(c, OC_DTYPE_F64, shapes);
    rig_init(&r, c, OC_DTYPE_F64);
    oc_status st = add_gradient(&r, shapes);
    *err = r.err;
    rig_deinit(&r);
    return st;
}

/* Allocation number r->fail_at from now on fails. */
static void fail_later(rig *r) {
    test_allocator *ta = r->allocator->user;
    ta->fail_at = ta->count + r->fail_at;
}

void gradient_without_memory(const gradient_case *c) {
    oc_tensor shapes[MAX_VALUES];
    forward_shapes(c, OC_DTYPE_F64, shapes);
    for (int64_t n = 0;; n++) {
        test_allocator ta;
        rig r;
        test_allocator_init(&ta, TEST_NEVER);
        rig_init_with(&r, c, OC_DTYPE_F64, &ta.base);
        r.before = fail_later;
        r.fail_at = n;
        oc_status st = add_gradient(&r, shapes);
        int failed = ta.failed;
        rig_deinit(&r);
        test_allocator_check(&ta);
        assert_int_equal(st, failed ? OC_E_NOMEM : OC_OK);
        if (!failed) break;
    }
}
