/*
 * verb_conform.c - ocelli conform: runs ONNX's backend tests.
 *
 *     test_add/model.onnx                        a case
 *     test_add/data.json                         its tolerances, rarely
 *     test_add/test_data_set_0/input_0.pb        a value for input 0
 *     test_add/test_data_set_0/output_0.pb       what output 0 must be
 *
 *     light/light_squeezenet.onnx                a case without inputs: each
 *     light/light_squeezenet_output_0.pb         is 0/n, 1/n, 2/n ...
 *     real/test_squeezenet/data.json             its tolerances
 */
#define _POSIX_C_SOURCE 200809L

#include "cli.h"

#include "compare.h"
#include "json.h"
#include "out.h"
#include "walk_dir.h"

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_DEPTH = 8, WHY_BYTES = 512, MAX_OPS = 64, OP_BYTES = 64 };

/* The last bit of a bf16 mantissa, relative to the number, at most. */
static const double BF16_ULP = 1.0 / 128;

typedef enum outcome { PASSED, FAILED, UNSUPPORTED } outcome;

typedef struct test_case {
    char *model; /* path of the .onnx */
    char *dir;   /* folder of the data sets, NULL for a light one */
    char *name;  /* "test_add" */
} test_case;

typedef struct suite {
    const cli_args *args;
    oc_options load;
    test_case *cases;
    size_t n, capacity;
    int64_t count[3];
    json *j;
    out_progress progress;
} suite;

/* ---- finding cases
 * ------------------------------------------------------------- */

static int no_memory(void) {
    return cli_fail(CLI_RESOURCES, "out of memory");
}

/* Whether --filter lets a name through: a pattern, or a part of the name. */
static int is_wanted(const cli_args *args, const char *name) {
    const char *pattern;
    for (int i = 0; (pattern = cli_get_nth(args, "filter", i)); i++) {
        if (!fnmatch(pattern, name, 0) || strstr(name, pattern)) return 1;
    }
    return !cli_has(args, "filter");
}

/* Takes model and dir. */
static int add_case(suite *s, char *model, char *dir, const char *name) {
    char *copy = strdup(name);
    if (s->n == s->capacity) {
        size_t capacity = s->capacity ? 2 * s->capacity : 256;
        test_case *cases = realloc(s->cases, capacity * sizeof(*cases));
        if (cases) {
            s->cases = cases;
            s->capacity = capacity;
        }
    }
    if (!copy || !model || s->n == s->capacity) {
        free(copy);
        free(model);
        free(dir);
        return no_memory();
    }
    s->cases[s->n++] = (test_case){model, dir, copy};
    return CLI_OK;
}

static const char *last_part(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash && slash[1] ? slash + 1 : path;
}

/* light_x.onnx with a light_x_output_0.pb beside it. */
static int try_light(suite *s, const char *dir, const char *file) {
    size_t n = strlen(file);
    if (n < 6 || strcmp(file + n - 5, ".onnx") != 0) return CLI_OK;
    char *model = dir_join(dir, file);
    char *output = malloc(strlen(dir) + n + 32);
    if (!model || !output) {
        free(model);
        free(output);
        return no_memory();
    }
    sprintf(output, "%s/%.*s_output_0.pb", dir, (int)n - 5, file);
    int there = dir_is(output) == 0;
    sprintf(output, "%.*s", (int)n - 5, file);
    int code = CLI_OK;
    if (there && is_wanted(s->args, output)) {
        code = add_case(s, model, NULL, output);
    } else {
        free(model);
    }
    free(output);
    return code;
}

static int find_cases(suite *s, const char *path, int depth) {
    dir_list list;
    int why = dir_read(&list, path);
    if (why) {
        return cli_fail(CLI_BAD_INPUT, "cannot read the folder %s: %s", path,
                        strerror(why));
    }
    int has_model = 0, has_data = 0, code = CLI_OK;
    for (size_t i = 0; i < list.n; i++) {
        has_model |= !strcmp(list.names[i], "model.onnx");
        has_data |= !strncmp(list.names[i], "test_data_set_", 14);
    }
    if (has_model && has_data) {
        if (is_wanted(s->args, last_part(path))) {
            code = add_case(s, dir_join(path, "model.onnx"), strdup(path),
                            last_part(path));
        }
        dir_deinit(&list);
        return code;
    }
    for (size_t i = 0; i < list.n && !code; i++) {
        char *inner = dir_join(path, list.names[i]);
        if (!inner)
            code = no_memory();
        else if (dir_is(inner) == 1 && depth < MAX_DEPTH)
            code = find_cases(s, inner, depth + 1);
        else
            code = try_light(s, path, list.names[i]);
        free(inner);
    }
    dir_deinit(&list);
    return code;
}

/* ---- tolerances
 * ------------------------------------------------------------------ */

/* "key": number in a small JSON object. */
static void read_number(const char *text, const char *key, double *out) {
    const char *at = strstr(text, key);
    if (!at) return;
    at += strlen(key);
    at += strspn(at, "\" \t\n:");
    char *end;
    double v = strtod(at, &end);
    if (end != at && v >= 0) *out = v;
}

static void read_tolerances(const char *path, compare_how *how) {
    char text[4096];
    FILE *f = fopen(path, "rb");
    if (!f) return;
    size_t n = fread(text, 1, sizeof(text) - 1, f);
    text[n] = '\0';
    fclose(f);
    read_number(text, "\"rtol\"", &how->rtol);
    read_number(text, "\"atol\"", &how->atol);
}

static void find_tolerances(const test_case *c, compare_how *how) {
    char path[4096];
    how->rtol = 1e-3; /* the runner's defaults */
    how->atol = 1e-7;
    how->shape_only = 0;
    if (c->dir) {
        snprintf(path, sizeof(path), "%s/data.json", c->dir);
    } else {
        /* .../light/light_x.onnx has its in .../real/test_x/data.json. */
        const char *name = c->name;
        if (!strncmp(name, "light_", 6)) name += 6;
        int folder = (int)(last_part(c->model) - c->model);
        snprintf(path, sizeof(path), "%.*s../real/test_%s/data.json", folder,
                 c->model, name);
    }
    read_tolerances(path, how);
}

/* ---- running a case
 * ----------------------------------------------------------------- */

typedef struct run_state {
    const test_case *test;
    oc_model *model;
    oc_session *session;
    oc_value **inputs;
    int n_inputs;
    compare_how how;
    char why[WHY_BYTES];
    int n_ops; /* different operators, for --json; no more than fit */
    char ops[MAX_OPS][OP_BYTES];
} run_state;

/* "Add", "com.microsoft.Gelu": each once. */
static void note_operator(void *user, const char *domain, const char *op,
                          const char *name) {
    run_state *r = user;
    char text[OP_BYTES];
    (void)name;
    snprintf(text, sizeof(text), "%s%s%s", domain, *domain ? "." : "", op);
    for (int i = 0; i < r->n_ops; i++) {
        if (!strcmp(r->ops[i], text)) return;
    }
    if (r->n_ops < MAX_OPS) memcpy(r->ops[r->n_ops++], text, sizeof(text));
}

static outcome lose(run_state *r, const oc_error *err) {
    /* The case's name stands before it: no need for the path too. */
    size_t n = strlen(r->test->model);
    const char *text = err->message;
    if (!strncmp(text, r->test->model, n) && text[n] == ':') text += n + 2;
    snprintf(r->why, sizeof(r->why), "%s", text);
    return err->status == OC_E_UNSUPPORTED ? UNSUPPORTED : FAILED;
}

static void drop_inputs(run_state *r) {
    for (int i = 0; i < r->n_inputs; i++) {
        oc_value_destroy(r->inputs[i]);
        r->inputs[i] = NULL;
    }
}

/* 0/n, 1/n, 2/n ... in every input, as the runner makes them. */
static outcome make_ramp(run_state *r, int i) {
    const oc_value_info *info = oc_model_input(r->model, i);
    oc_error err;
    oc_tensor t;
    memset(&t, 0, sizeof(t));
    if (info->kind != OC_KIND_TENSOR || info->dtype != OC_DTYPE_F32) {
        snprintf(r->why, sizeof(r->why), "input %s is no f32 tensor",
                 info->name);
        return FAILED;
    }
    t.dtype = OC_DTYPE_F32;
    t.rank = info->rank < 0 ? 0 : info->rank;
    for (int d = 0; d < t.rank; d++) {
        t.dims[d] = info->dims[d] < 0 ? 1 : info->dims[d];
    }
    int64_t n = oc_tensor_elems(&t);
    size_t bytes = oc_tensor_bytes(&t);
    float *data = malloc(bytes ? bytes : 1);
    t.data = data;
    for (int64_t k = 0; data && k < n; k++) {
        data[k] = (float)((double)k / (double)n);
    }
    oc_status st = OC_E_NOMEM;
    snprintf(err.message, sizeof(err.message), "out of memory");
    if (data) st = oc_value_create_tensor(&r->inputs[i], &t, &err);
    free(data);
    return st ? lose(r, &err) : PASSED;
}

/*
 * Suites up to ONNX 1.15 keep bf16 values as u16 tensors of their bits, since
 * NumPy had no such type.  They were made by cutting off the low half of an
 * f32, so *cut (may be NULL) tells that the last bit is not to be trusted.
 */
static oc_status load_value(oc_value **out, const char *path,
                            const oc_value_info *info, int *cut,
                            oc_error *err) {
    oc_value *v = NULL;
    oc_status st = oc_value_load(&v, path, NULL, info, err);
    const oc_tensor *t = st ? NULL : oc_value_tensor(v);
    if (t && t->dtype == OC_DTYPE_U16 && info->dtype == OC_DTYPE_BF16) {
        oc_tensor bits = *t;
        oc_value *same = NULL;
        bits.dtype = OC_DTYPE_BF16;
        st = oc_value_create_tensor(&same, &bits, err);
        oc_value_destroy(v);
        v = same;
        if (cut) *cut = 1;
    }
    if (!st) *out = v;
    return st;
}

static outcome load_inputs(run_state *r, const char *set) {
    char path[4096];
    oc_error err;
    for (int i = 0; i < r->n_inputs; i++) {
        const oc_value_info *info = oc_model_input(r->model, i);
        if (!set) {
            outcome o = make_ramp(r, i);
            if (o != PASSED) return o;
        } else {
            snprintf(path, sizeof(path), "%s/input_%d.pb", set, i);
            if (dir_is(path) < 0) continue; /* left to its default */
            if (load_value(&r->inputs[i], path, info, NULL, &err))
                return lose(r, &err);
        }
        if (oc_session_set_input_value(r->session, i, r->inputs[i], &err))
            return lose(r, &err);
    }
    return PASSED;
}

/* Path of an expected output, "" when there is none. */
static void output_path(const run_state *r, const char *set, int i, char *path,
                        size_t room) {
    if (set) {
        snprintf(path, room, "%s/output_%d.pb", set, i);
    } else {
        size_t stem = strlen(r->test->model) - strlen(".onnx");
        snprintf(path, room, "%.*s_output_%d.pb", (int)stem, r->test->model, i);
    }
    if (dir_is(path) != 0) *path = '\0';
}

static outcome check_outputs(run_state *r, const char *set) {
    char path[4096], why[WHY_BYTES - 128];
    int n = oc_model_output_count(r->model);
    output_path(r, set, n, path, sizeof(path));
    if (*path) {
        snprintf(r->why, sizeof(r->why), "more outputs are expected than %d",
                 n);
        return FAILED;
    }
    for (int i = 0; i < n; i++) {
        const oc_value_info *info = oc_model_output(r->model, i);
        oc_value *want = NULL;
        oc_error err;
        output_path(r, set, i, path, sizeof(path));
        if (!*path) {
            snprintf(r->why, sizeof(r->why), "nothing is expected of output %d",
                     i);
            return FAILED;
        }
        compare_how how = r->how;
        int cut = 0;
        if (load_value(&want, path, info, &cut, &err)) return lose(r, &err);
        if (cut && how.rtol < BF16_ULP) how.rtol = BF16_ULP;
        int differs = compare_values(oc_session_output(r->session, i), want,
                                     &how, why, sizeof(why));
        /* Other random numbers than the test's author drew are no fault. */
        if (differs && oc_model_is_random(r->model)) {
            how.shape_only = 1;
            differs = compare_values(oc_session_output(r->session, i), want,
                                     &how, why, sizeof(why));
        }
        oc_value_destroy(want);
        if (differs) {
            snprintf(r->why, sizeof(r->why), "output %d (%.60s) %s", i,
                     info->name, why);
            return FAILED;
        }
    }
    return PASSED;
}

static outcome run_set(run_state *r, const char *set) {
    oc_error err;
    outcome o = load_inputs(r, set);
    if (o == PASSED && oc_session_run(r->session, &err)) o = lose(r, &err);
    if (o == PASSED) o = check_outputs(r, set);
    return o;
}

/* Every data set on a session of its own: nothing of one leaks into the
   next. */
static outcome run_sets(suite *s, run_state *r) {
    dir_list list = {NULL, 0, 0};
    outcome o = PASSED;
    if (r->test->dir && dir_read(&list, r->test->dir)) {
        snprintf(r->why, sizeof(r->why), "cannot read the folder");
        return FAILED;
    }
    for (size_t i = 0; o == PASSED && i < (r->test->dir ? list.n : 1); i++) {
        char *set = NULL;
        if (r->test->dir) {
            if (strncmp(list.names[i], "test_data_set_", 14) != 0) continue;
            set = dir_join(r->test->dir, list.names[i]);
        }
        oc_session_options opt = {0};
        oc_error err;
        int64_t threads = 0;
        cli_get_int(s->args, "threads", 1, 1024, 0, &threads);
        opt.threads = (int)threads;
        cli_tune(s->args, &opt);
        /* The runner never compares shapes with declared ones, and some old
           cases contradict themselves. */
        opt.any_shape = 1;
        if (oc_session_create(&r->session, r->model, &opt, &err))
            o = lose(r, &err);
        else
            o = run_set(r, set);
        oc_session_destroy(r->session);
        r->session = NULL;
        drop_inputs(r);
        free(set);
    }
    dir_deinit(&list);
    return o;
}

static outcome run_case(suite *s, run_state *r, const test_case *c) {
    oc_error err;
    outcome o;
    memset(r, 0, sizeof(*r));
    r->test = c;
    find_tolerances(c, &r->how);
    if (oc_model_load(&r->model, c->model, &s->load, &err)) {
        o = lose(r, &err);
    } else {
        if (s->j) oc_model_each_node(r->model, note_operator, r);
        r->n_inputs = oc_model_input_count(r->model);
        r->inputs = calloc((size_t)r->n_inputs + 1, sizeof(*r->inputs));
        o = r->inputs ? run_sets(s, r) : FAILED;
        free(r->inputs);
    }
    oc_model_destroy(r->model);
    return o;
}

/* ---- telling
 * ---------------------------------------------------------------------------
 */

static void tell_json(json *j, const run_state *r, const char *word,
                      double seconds) {
    json_object(j, NULL);
    json_string(j, "name", r->test->name);
    json_string(j, "model", r->test->model);
    json_array(j, "operators");
    for (int i = 0; i < r->n_ops; i++) {
        json_string(j, NULL, r->ops[i]);
    }
    json_end(j);
    json_string(j, "outcome", word);
    if (*r->why) json_string(j, "reason", r->why);
    json_double(j, "time_ms", 1e3 * seconds);
    json_end(j);
}

static void tell(suite *s, const run_state *r, outcome o, double seconds) {
    static const char *const words[] = {"passed", "failed", "unsupported"};
    static const out_style styles[] = {OUT_GREEN, OUT_RED, OUT_YELLOW};
    if (s->j) {
        tell_json(s->j, r, words[o], seconds);
        return;
    }
    if (o == PASSED && !cli_has(s->args, "verbose")) return;
    out_progress_hide(&s->progress);
    printf("%s%s%s ", out_color(stdout, styles[o]), words[o],
           out_color(stdout, OUT_PLAIN));
    out_text(stdout, r->test->name);
    if (*r->why) {
        fputs(": ", stdout);
        out_text(stdout, r->why);
    }
    putchar('\n');
}

static void run_all(suite *s) {
    out_progress_begin(&s->progress, "conform", (int64_t)s->n,
                       cli_has(s->args, "quiet"));
    for (size_t i = 0; i < s->n; i++) {
        run_state r;
        double start = out_seconds();
        outcome o = run_case(s, &r, &s->cases[i]);
        s->count[o]++;
        tell(s, &r, o, out_seconds() - start);
        out_progress_add(&s->progress, 1);
    }
    out_progress_end(&s->progress);
}

static int run_conform(cli_args *args) {
    suite s;
    json j;
    int64_t threads;
    memset(&s, 0, sizeof(s));
    s.args = args;
    int code = cli_get_int(args, "threads", 1, 1024, 0, &threads);
    if (!code) code = cli_options(args, &s.load);
    for (int i = 0; !code && i < args->n_operands; i++) {
        code = find_cases(&s, args->operands[i], 0);
    }
    if (!code && !s.n) {
        code = cli_fail(CLI_BAD_INPUT,
                        "%s has no test cases%s: folders with model.onnx and "
                        "test_data_set_0",
                        args->operands[0],
                        cli_has(args, "filter") ? " of that name" : "");
    }
    if (code) goto done;
    if (cli_has(args, "json")) {
        s.j = &j;
        json_begin(&j, stdout);
        json_object(&j, NULL);
        json_array(&j, "cases");
    }
    run_all(&s);
    if (s.j) {
        json_end(&j);
        json_int(&j, "passed", s.count[PASSED]);
        json_int(&j, "failed", s.count[FAILED]);
        json_int(&j, "unsupported", s.count[UNSUPPORTED]);
        json_end(&j);
    } else {
        printf("%lld passed, %lld failed, %lld unsupported\n",
               (long long)s.count[PASSED], (long long)s.count[FAILED],
               (long long)s.count[UNSUPPORTED]);
    }
    code = s.count[FAILED] ? CLI_FAILED : CLI_OK;
done:
    for (size_t i = 0; i < s.n; i++) {
        free(s.cases[i].model);
        free(s.cases[i].dir);
        free(s.cases[i].name);
    }
    free(s.cases);
    return code;
}

static const cli_option options[] = {
    {"filter", 'f', "PATTERN",
     "only cases whose name matches or contains this (repeatable)", NULL},
    {"verbose", 'v', NULL, "print cases that pass, too", NULL},
    CLI_OPTS_RUN,
};

const cli_verb cli_verb_conform = {
    "conform",
    "DIR...",
    "run ONNX's backend tests",
    "Walks folders in the layout of ONNX's backend tests (node, simple, light, "
    "pytorch-*), runs every case and compares its outputs as ONNX's own runner "
    "does: types and shapes must agree, numbers within 1e-3 of the expected "
    "value plus 1e-7 unless the case says otherwise, strings exactly. Of "
    "models that draw random numbers, types and shapes alone must agree.\n\n"
    "Prints a line for each failure and each case that needs something not "
    "supported, and last `N passed, N failed, N unsupported`. Exits with 1 "
    "when a case failed.",
    options,
    1,
    -1,
    run_conform,
};
