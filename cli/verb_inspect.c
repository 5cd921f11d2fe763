/* verb_inspect.c - ocelli inspect: what is in a model. */
#include "cli.h"

#include "inputs.h"
#include "json.h"
#include "out.h"

#include <stdlib.h>
#include <string.h>

/* ---- operators
 * ------------------------------------------------------------------ */

typedef struct op_count {
    char name[96]; /* "Conv", "com.microsoft.QLinearAdd" */
    int64_t count;
} op_count;

typedef struct histogram {
    op_count *ops;
    size_t n, capacity;
    int failed;
} histogram;

static void count_op(void *user, const char *domain, const char *op,
                     const char *name) {
    histogram *h = user;
    char full[96];
    (void)name;
    snprintf(full, sizeof(full), "%s%s%s", domain, *domain ? "." : "", op);
    /* A model has tens of different operators: looking through is enough. */
    for (size_t i = 0; i < h->n; i++) {
        if (!strcmp(h->ops[i].name, full)) {
            h->ops[i].count++;
            return;
        }
    }
    if (h->n == h->capacity) {
        size_t capacity = h->capacity ? 2 * h->capacity : 64;
        op_count *ops = realloc(h->ops, capacity * sizeof(*ops));
        if (!ops) {
            h->failed = 1;
            return;
        }
        h->ops = ops;
        h->capacity = capacity;
    }
    memcpy(h->ops[h->n].name, full, sizeof(full));
    h->ops[h->n++].count = 1;
}

static int by_count(const void *a, const void *b) {
    const op_count *x = a, *y = b;
    if (x->count != y->count) return x->count < y->count ? 1 : -1;
    return strcmp(x->name, y->name);
}

/* ---- values
 * ---------------------------------------------------------------------- */

static const char *kind_name(const oc_value_info *v) {
    switch (v->kind) {
    case OC_KIND_SEQUENCE: return "sequence of ";
    case OC_KIND_MAP: return "map to ";
    case OC_KIND_TENSOR: return "";
    default: return "unknown ";
    }
}

/* "f32[1, 3, H, W]" into out. */
static void describe(const oc_value_info *v, char *out, size_t room) {
    const char *type = v->dtype ? oc_dtype_name(v->dtype) : "?";
    size_t n = (size_t)snprintf(out, room, "%s%s", kind_name(v), type);
    if (v->kind != OC_KIND_TENSOR) return;
    if (v->rank < 0) {
        snprintf(out + n, room - n, "[...]");
        return;
    }
    for (int i = 0; i < v->rank && n < room; i++) {
        const char *sep = i ? ", " : "[";
        int more;
        if (v->dims[i] >= 0) {
            more = snprintf(out + n, room - n, "%s%lld", sep,
                            (long long)v->dims[i]);
        } else {
            more = snprintf(out + n, room - n, "%s%.24s", sep,
                            v->dim_names[i] ? v->dim_names[i] : "?");
        }
        n += (size_t)more;
    }
    if (n < room) snprintf(out + n, room - n, v->rank ? "]" : "[]");
}

static void print_values(const oc_model *m, int outputs) {
    int n = outputs ? oc_model_output_count(m) : oc_model_input_count(m);
    out_table t;
    out_table_init(&t, "lll");
    for (int i = 0; i < n; i++) {
        const oc_value_info *v =
            outputs ? oc_model_output(m, i) : oc_model_input(m, i);
        char text[320];
        describe(v, text, sizeof(text));
        out_cell(&t, "  %s", v->name);
        out_cell(&t, "%s", text);
        out_cell(&t, "%s",
                 v->optional == 0   ? ""
                 : v->optional == 1 ? "has a default"
                                    : "may be absent");
    }
    printf("%s%s%s\n", out_color(stdout, OUT_BOLD),
           outputs ? "outputs" : "inputs", out_color(stdout, OUT_PLAIN));
    out_table_print(&t, stdout, 0);
    out_table_deinit(&t);
}

static void json_values(json *j, const oc_model *m, int outputs) {
    int n = outputs ? oc_model_output_count(m) : oc_model_input_count(m);
    json_array(j, outputs ? "outputs" : "inputs");
    for (int i = 0; i < n; i++) {
        const oc_value_info *v =
            outputs ? oc_model_output(m, i) : oc_model_input(m, i);
        static const char *const kinds[] = {"none", "tensor", "sequence",
                                            "map"};
        json_object(j, NULL);
        json_string(j, "name", v->name);
        json_string(j, "kind", kinds[v->kind]);
        json_string(j, "dtype", v->dtype ? oc_dtype_name(v->dtype) : NULL);
        if (v->rank < 0) {
            json_null(j, "shape");
        } else {
            json_row(j, "shape");
            for (int k = 0; k < v->rank; k++) {
                if (v->dims[k] >= 0)
                    json_int(j, NULL, v->dims[k]);
                else
                    json_string(j, NULL, v->dim_names[k]);
            }
            json_end(j);
        }
        json_bool(j, "optional", v->optional != 0);
        json_end(j);
    }
    json_end(j);
}

/* ---- the memory plan
 * ---------------------------------------------------------------- */

enum { PICTURE_COLUMNS = 72, PICTURE_ROWS = 24 };

/*
 * The plan as a picture: time runs down, addresses run right.  A cell shows
 * whether any tensor lives there then, by a letter that changes from tensor
 * to tensor.
 */
static void draw_plan(const oc_session *s, const oc_memory_summary *sum) {
    char grid[PICTURE_ROWS][PICTURE_COLUMNS];
    int last_step = 0;
    memset(grid, '.', sizeof(grid));
    oc_memory_info t;
    for (int i = 0; i < sum->tensor_count; i++) {
        if (oc_session_memory_tensor(s, i, &t)) continue;
        if (t.last_step > last_step) last_step = t.last_step;
    }
    int steps = last_step + 1;
    int rows = steps < PICTURE_ROWS ? steps : PICTURE_ROWS;
    double bytes_a_column =
        (double)sum->activation_bytes / (double)PICTURE_COLUMNS;
    for (int i = 0; i < sum->tensor_count && bytes_a_column > 0; i++) {
        if (oc_session_memory_tensor(s, i, &t) || !t.bytes) continue;
        if (t.offset >= sum->activation_bytes) continue;
        int x0 = (int)((double)t.offset / bytes_a_column);
        int x1 = (int)((double)(t.offset + t.bytes - 1) / bytes_a_column);
        int y0 = (int)((int64_t)t.first_step * rows / steps);
        int y1 = (int)((int64_t)t.last_step * rows / steps);
        if (x1 >= PICTURE_COLUMNS) x1 = PICTURE_COLUMNS - 1;
        for (int y = y0; y <= y1 && y < rows; y++) {
            memset(&grid[y][x0], 'a' + i % 26, (size_t)(x1 - x0 + 1));
        }
    }
    char text[16];
    printf("step    0%*s\n", PICTURE_COLUMNS - 1,
           out_bytes((double)sum->activation_bytes, text, sizeof(text)));
    for (int y = 0; y < rows; y++) {
        printf("%6d  %.*s\n", (int)((int64_t)y * steps / rows), PICTURE_COLUMNS,
               grid[y]);
    }
}

static int print_memory(const cli_args *args, oc_model *m, json *j) {
    oc_session *s = NULL;
    oc_error err;
    oc_memory_summary sum;
    cli_inputs in = {0, NULL};
    int code = cli_inputs_init(&in, m);
    if (!code) code = cli_inputs_random(&in, m, args);
    if (!code) code = cli_create_session(args, m, 0, &s);
    if (!code) code = cli_inputs_set(&in, m, s);
    if (!code && oc_session_plan(s, &err))
        code = cli_report(&err, args->operands[0]);
    if (code) goto done;
    oc_session_memory(s, &sum);
    if (j) {
        json_object(j, "memory");
        json_int(j, "weight_bytes", (int64_t)sum.weight_bytes);
        json_int(j, "activation_bytes", (int64_t)sum.activation_bytes);
        json_int(j, "scratch_bytes", (int64_t)sum.scratch_bytes);
        json_int(j, "unplanned_bytes", (int64_t)sum.unplanned_bytes);
        json_array(j, "tensors");
        for (int i = 0; i < sum.tensor_count; i++) {
            oc_memory_info t;
            if (oc_session_memory_tensor(s, i, &t)) continue;
            json_object(j, NULL);
            json_string(j, "name", t.name);
            json_int(j, "offset", (int64_t)t.offset);
            json_int(j, "bytes", (int64_t)t.bytes);
            json_int(j, "first_step", t.first_step);
            json_int(j, "last_step", t.last_step);
            json_end(j);
        }
        json_end(j);
        json_end(j);
    } else {
        char w[16], a[16], c[16], u[16];
        printf("\n%smemory%s  weights %s, activations %s (%s without "
               "sharing), scratch %s\n\n",
               out_color(stdout, OUT_BOLD), out_color(stdout, OUT_PLAIN),
               out_bytes((double)sum.weight_bytes, w, sizeof(w)),
               out_bytes((double)sum.activation_bytes, a, sizeof(a)),
               out_bytes((double)sum.unplanned_bytes, u, sizeof(u)),
               out_bytes((double)sum.scratch_bytes, c, sizeof(c)));
        draw_plan(s, &sum);
    }
done:
    oc_session_destroy(s);
    cli_inputs_deinit(&in);
    return code;
}

/* ---- the whole
 * -------------------------------------------------------------------------- */

static void print_head(const char *path, const oc_model *m,
                       const oc_model_summary *s) {
    char elems[16], bytes[16];
    int version;
    out_table t;
    printf("%s%s%s\n", out_color(stdout, OUT_BOLD), path,
           out_color(stdout, OUT_PLAIN));
    out_table_init(&t, "ll");
    out_cell(&t, "  graph");
    out_cell(&t, "%s", *s->graph_name ? s->graph_name : "-");
    out_cell(&t, "  producer");
    out_cell(&t, "%s", *s->producer ? s->producer : "-");
    out_cell(&t, "  IR version");
    out_cell(&t, "%lld", (long long)s->ir_version);
    const char *domain;
    for (size_t i = 0; (domain = oc_model_opset(m, i, &version)); i++) {
        out_cell(&t, i ? "" : "  opset");
        out_cell(&t, "%s %d", domain, version);
    }
    out_cell(&t, "  parameters");
    out_cell(&t, "%s (%s)",
             out_count((double)s->parameter_elems, elems, sizeof(elems)),
             out_bytes((double)s->parameter_bytes, bytes, sizeof(bytes)));
    out_cell(&t, "  nodes");
    out_cell(&t, "%zu, %zu after the passes", s->node_count,
             s->optimized_count);
    out_table_print(&t, stdout, 0);
    out_table_deinit(&t);
}

/*
 * Cards and the like are long and have lines of their own; --json has them
 * whole.
 */
static void print_start(const char *value) {
    char start[161];
    size_t n = 0;
    for (; *value && n + 1 < sizeof(start); value++) {
        int blank = *value == ' ' || *value == '\n' || *value == '\t';
        if (!blank)
            start[n++] = *value;
        else if (n && start[n - 1] != ' ')
            start[n++] = ' ';
    }
    start[n] = '\0';
    out_text(stdout, start);
    puts(*value ? "..." : "");
}

static void print_metadata(const oc_model *m) {
    const char *key;
    for (size_t i = 0; (key = oc_model_metadata_key(m, i)); i++) {
        const char *value = oc_model_metadata(m, key);
        if (!i) {
            printf("%smetadata%s\n", out_color(stdout, OUT_BOLD),
                   out_color(stdout, OUT_PLAIN));
        }
        fputs("  ", stdout);
        out_text(stdout, key);
        fputs(": ", stdout);
        print_start(value);
    }
}

static void print_ops(histogram *h) {
    out_table t;
    out_table_init(&t, "rl");
    for (size_t i = 0; i < h->n; i++) {
        out_cell(&t, "%7lld", (long long)h->ops[i].count);
        out_cell(&t, "%s", h->ops[i].name);
    }
    printf("%soperators%s\n", out_color(stdout, OUT_BOLD),
           out_color(stdout, OUT_PLAIN));
    out_table_print(&t, stdout, 0);
    out_table_deinit(&t);
}

static void emit(void *user, const char *text, size_t bytes) {
    /* Names come from the file; only the line ends are ours. */
    for (size_t i = 0; i < bytes; i++) {
        unsigned char c = (unsigned char)text[i];
        putc((c < 32 && c != '\n' && c != '\t') || c == 127 ? '?' : c,
             (FILE *)user);
    }
}

static int inspect_json(const cli_args *args, const char *path, oc_model *m,
                        const oc_model_summary *s, const histogram *h) {
    json j;
    int version, code = CLI_OK;
    const char *text;
    json_begin(&j, stdout);
    json_object(&j, NULL);
    json_string(&j, "model", path);
    json_string(&j, "graph", s->graph_name);
    json_string(&j, "producer", s->producer);
    json_string(&j, "description", s->description);
    json_int(&j, "ir_version", s->ir_version);
    json_object(&j, "opsets");
    for (size_t i = 0; (text = oc_model_opset(m, i, &version)); i++) {
        json_int(&j, text, version);
    }
    json_end(&j);
    json_int(&j, "nodes", (int64_t)s->node_count);
    json_int(&j, "optimized_nodes", (int64_t)s->optimized_count);
    json_int(&j, "parameter_elems", (int64_t)s->parameter_elems);
    json_int(&j, "parameter_bytes", (int64_t)s->parameter_bytes);
    json_values(&j, m, 0);
    json_values(&j, m, 1);
    json_object(&j, "operators");
    for (size_t i = 0; i < h->n; i++) {
        json_int(&j, h->ops[i].name, h->ops[i].count);
    }
    json_end(&j);
    json_object(&j, "metadata");
    for (size_t i = 0; (text = oc_model_metadata_key(m, i)); i++) {
        json_string(&j, text, oc_model_metadata(m, text));
    }
    json_end(&j);
    if (cli_has(args, "memory")) code = print_memory(args, m, &j);
    json_end(&j);
    return code;
}

static int run_inspect(cli_args *args) {
    oc_model *m = NULL;
    oc_model_summary s;
    histogram h = {NULL, 0, 0, 0};
    int code = cli_load_model(args, args->operands[0], &m);
    if (code) return code;
    oc_model_summarize(m, &s);
    oc_model_each_node(m, count_op, &h);
    if (h.failed) {
        code = cli_fail(CLI_RESOURCES, "out of memory");
        goto done;
    }
    if (h.n) qsort(h.ops, h.n, sizeof(*h.ops), by_count);
    if (cli_has(args, "json")) {
        code = inspect_json(args, args->operands[0], m, &s, &h);
        goto done;
    }
    print_head(args->operands[0], m, &s);
    print_values(m, 0);
    print_values(m, 1);
    print_ops(&h);
    print_metadata(m);
    if (cli_has(args, "graph")) {
        putchar('\n');
        oc_model_print(m, emit, stdout);
    }
    if (cli_has(args, "memory")) code = print_memory(args, m, NULL);
done:
    free(h.ops);
    oc_model_destroy(m);
    return code;
}

static const cli_option options[] = {
    {"graph", 'g', NULL, "print the nodes, one a line", NULL},
    {"memory", 'm', NULL, "print a picture of the memory plan", NULL},
    CLI_OPT_SHAPE,
    CLI_OPT_THREADS,
    CLI_OPT_CPU,
    CLI_OPT_OPTIMIZE,
    CLI_OPT_JSON,
    CLI_OPT_END,
};

const cli_verb cli_verb_inspect = {
    "inspect",
    "MODEL",
    "show what is in a model",
    "Shows a model's header, its inputs and outputs with their shapes, its "
    "operators and its metadata, as they are once the model has been loaded "
    "and optimised.\n\n"
    "--graph prints every node; with --optimize none, as the file has them. "
    "--memory plans a run and draws which tensor lies where in memory (from "
    "left to right) and when (from top to bottom); dimensions that are not "
    "fixed are taken as in `ocelli run` without inputs.",
    options,
    1,
    1,
    run_inspect,
};
