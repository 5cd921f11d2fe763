/* verb_run.c - ocelli run: tensors in, tensors out. */
#include "cli.h"

#include "inputs.h"
#include "json.h"
#include "out.h"
#include "pictures.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- statistics
 * ------------------------------------------------------------------ */

typedef struct stats {
    int64_t elems, nans, infs;
    double min, max, mean, std;
    int known; /* the type has numbers to add up */
} stats;

static stats measure(const oc_tensor *t) {
    stats s = {0};
    double squares = 0; /* of the differences from the mean */
    int64_t finite = 0;
    s.elems = oc_tensor_elems(t);
    s.known = t->dtype != OC_DTYPE_STRING && t->dtype != OC_DTYPE_C64 &&
              t->dtype != OC_DTYPE_C128;
    for (int64_t i = 0; s.known && i < s.elems; i++) {
        double v = oc_tensor_get(t, i);
        if (isnan(v)) {
            s.nans++;
            continue;
        }
        int first = finite + s.infs == 0;
        if (first || v < s.min) s.min = v;
        if (first || v > s.max) s.max = v;
        if (isinf(v)) {
            s.infs++;
            continue;
        }
        /* Welford's way: no difference of large sums. */
        double away = v - s.mean;
        finite++;
        s.mean += away / (double)finite;
        squares += away * (v - s.mean);
    }
    if (finite) s.std = sqrt(squares / (double)finite);
    return s;
}

static void shape_text(const oc_tensor *t, char *out, size_t room) {
    size_t n = (size_t)snprintf(out, room, "%s[", oc_dtype_name(t->dtype));
    for (int i = 0; i < t->rank && n < room; i++) {
        n += (size_t)snprintf(out + n, room - n, "%s%lld", i ? ", " : "",
                              (long long)t->dims[i]);
    }
    if (n < room) snprintf(out + n, room - n, "]");
}

/* ---- outputs
 * ----------------------------------------------------------------------- */

typedef struct output {
    const cli_args *args;
    const char *dir; /* NULL: write nothing */
    out_table *table;
    json *j;
} output;

/* NAME with what cannot stand in a file name replaced. */
static char *file_for(const char *dir, const char *name, const char *ending) {
    size_t n = strlen(dir) + strlen(name) + strlen(ending) + 2;
    char *path = malloc(n);
    if (!path) return NULL;
    snprintf(path, n, "%s/%s%s", dir, name, ending);
    for (char *s = path + strlen(dir) + 1; *s; s++) {
        if (*s == '/' || *s == ':') *s = '_';
    }
    return path;
}

static int save(const char *dir, const char *name, const oc_value *v) {
    oc_error err;
    const oc_tensor *t = oc_value_tensor(v);
    char *path = file_for(dir, name, t ? ".npy" : ".pb");
    if (!path) return cli_fail(CLI_RESOURCES, "out of memory");
    oc_status st = t ? oc_tensor_save_npy(t, path, &err)
                     : oc_value_save_pb(v, name, path, &err);
    free(path);
    if (!st) return CLI_OK;
    cli_report(&err, name);
    return st == OC_E_IO ? CLI_FAILED : cli_code(st);
}

static void report_tensor(const output *o, const char *name,
                          const oc_tensor *t) {
    char text[256];
    stats s = measure(t);
    shape_text(t, text, sizeof(text));
    if (o->j) {
        json_object(o->j, NULL);
        json_string(o->j, "name", name);
        json_string(o->j, "dtype", oc_dtype_name(t->dtype));
        json_row(o->j, "shape");
        for (int i = 0; i < t->rank; i++) {
            json_int(o->j, NULL, t->dims[i]);
        }
        json_end(o->j);
        if (s.known) {
            json_double(o->j, "min", s.min);
            json_double(o->j, "max", s.max);
            json_double(o->j, "mean", s.mean);
            json_double(o->j, "std", s.std);
            json_int(o->j, "nans", s.nans);
            json_int(o->j, "infs", s.infs);
        }
        json_end(o->j);
        return;
    }
    out_cell(o->table, "%s", name);
    out_cell(o->table, "%s", text);
    if (!s.known || s.elems == s.nans) {
        for (int i = 0; i < 4; i++) {
            out_cell(o->table, "-");
        }
    } else {
        out_cell(o->table, "%.6g", s.min);
        out_cell(o->table, "%.6g", s.max);
        out_cell(o->table, "%.6g", s.mean);
        out_cell(o->table, "%.6g", s.std);
    }
    out_cell(o->table, "%lld", (long long)s.nans);
    out_cell(o->table, "%lld", (long long)s.infs);
}

static void report_value(const output *o, const char *name, const oc_value *v) {
    char inner[512];
    const oc_tensor *t = v ? oc_value_tensor(v) : NULL;
    if (t) {
        report_tensor(o, name, t);
        return;
    }
    size_t n = v ? oc_value_count(v) : 0;
    for (size_t i = 0; i < n; i++) {
        snprintf(inner, sizeof(inner), "%.400s[%zu]", name, i);
        report_value(o, inner, oc_value_item(v, i));
    }
}

static int report(const output *o, const oc_model *m, const oc_session *s) {
    for (int i = 0; i < oc_model_output_count(m); i++) {
        const char *name = oc_model_output(m, i)->name;
        const oc_value *v = oc_session_output(s, i);
        if (o->dir && v && oc_value_kind(v) != OC_KIND_NONE) {
            int code = save(o->dir, name, v);
            if (code) return code;
        }
        if (o->table || o->j) report_value(o, name, v);
    }
    return CLI_OK;
}

/* ---- the verb
 * ------------------------------------------------------------------------ */

static int execute(const cli_args *args, oc_model *m, oc_session *s,
                   cli_inputs *in, double *seconds) {
    oc_error err;
    const char *spec;
    int code = CLI_OK;
    for (int i = 0; !code && (spec = cli_get_nth(args, "input", i)); i++) {
        code = cli_inputs_load(in, m, spec);
    }
    if (!code) code = cli_inputs_random(in, m, args);
    if (!code) code = cli_inputs_set(in, m, s);
    if (code) return code;
    double start = out_seconds();
    if (oc_session_run(s, &err)) return cli_report(&err, args->operands[0]);
    *seconds = out_seconds() - start;
    return CLI_OK;
}

static int show(const cli_args *args, const oc_model *m, const oc_session *s,
                double seconds) {
    const char *dir = cli_get(args, "output-dir", NULL);
    int as_json = cli_has(args, "json");
    /* Somebody who asks for nothing wants to see something. */
    int print = cli_has(args, "print") || (!dir && !cli_has(args, "quiet"));
    out_table table;
    json j;
    output o = {args, dir, NULL, NULL};
    int code = dir ? make_folder(dir) : CLI_OK;
    if (code) return code;
    if (as_json) {
        o.j = &j;
        json_begin(&j, stdout);
        json_object(&j, NULL);
        json_string(&j, "model", args->operands[0]);
        json_double(&j, "time_ms", 1e3 * seconds);
        json_array(&j, "outputs");
    } else if (print) {
        static const char *const head[] = {"output", "type", "min",  "max",
                                           "mean",   "std",  "NaNs", "Infs"};
        o.table = &table;
        out_table_init(&table, "llrrrrrr");
        for (size_t i = 0; i < sizeof(head) / sizeof(head[0]); i++) {
            out_cell(&table, "%s", head[i]);
        }
    }
    code = report(&o, m, s);
    if (as_json) {
        json_end(&j);
        json_end(&j);
    } else if (print) {
        out_table_print(&table, stdout, 1);
        out_table_deinit(&table);
    }
    return code;
}

static int run_run(cli_args *args) {
    oc_model *m = NULL;
    oc_session *s = NULL;
    cli_inputs in = {0, NULL};
    double seconds = 0;
    int code = cli_load_model(args, args->operands[0], &m);
    if (!code) code = cli_inputs_init(&in, m);
    if (!code) code = cli_create_session(args, m, 0, &s);
    if (!code) code = execute(args, m, s, &in, &seconds);
    if (!code) code = show(args, m, s, seconds);
    oc_session_destroy(s);
    cli_inputs_deinit(&in);
    oc_model_destroy(m);
    return code;
}

static const cli_option options[] = {
    {"input", 'i', "NAME=FILE",
     "value of an input (repeatable): .npy, .npz, "
     ".pb or a picture",
     NULL},
    {"output-dir", 'o', "DIR", "write every output there, as NAME.npy", NULL},
    {"print", 'p', NULL, "print statistics of the outputs", NULL},
    CLI_OPT_SHAPE,
    CLI_OPT_SEED,
    CLI_OPTS_RUN,
};

const cli_verb cli_verb_run = {
    "run",
    "MODEL",
    "run a model on tensors",
    "Runs a model once. Inputs come from files; those not given, and without "
    "a default in the model, are seeded random numbers: floats from 0 to 1, "
    "bytes over their range, wider integers 0 or 1.\n\n"
    "With --output-dir each output becomes a file NAME.npy (NAME.pb for "
    "sequences and maps), in which / and : of the name are replaced by _. A "
    "picture given for an input is stretched to its size, as RGB levels from 0 "
    "to 255.",
    options,
    1,
    1,
    run_run,
};
