/* kserve_tensor.c - see kserve_tensor.h. */
#include "kserve_tensor.h"

#include "basics.h"
#include "json.h"
#include "json_read.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    oc_dtype dtype;
    const char *name;
} types[] = {
    {OC_DTYPE_F32, "FP32"},   {OC_DTYPE_F64, "FP64"},
    {OC_DTYPE_F16, "FP16"},   {OC_DTYPE_BF16, "BF16"},
    {OC_DTYPE_BOOL, "BOOL"},  {OC_DTYPE_U8, "UINT8"},
    {OC_DTYPE_U16, "UINT16"}, {OC_DTYPE_U32, "UINT32"},
    {OC_DTYPE_U64, "UINT64"}, {OC_DTYPE_I8, "INT8"},
    {OC_DTYPE_I16, "INT16"},  {OC_DTYPE_I32, "INT32"},
    {OC_DTYPE_I64, "INT64"},  {OC_DTYPE_STRING, "BYTES"},
};

const char *infer_type_name(oc_dtype dtype) {
    for (size_t i = 0; i < COUNT_OF(types); i++) {
        if (types[i].dtype == dtype) return types[i].name;
    }
    return NULL;
}

static oc_dtype type_by_name(const char *name) {
    for (size_t i = 0; i < COUNT_OF(types); i++) {
        if (!strcmp(types[i].name, name)) return types[i].dtype;
    }
    return OC_DTYPE_NONE;
}

oc_status infer_model_of(infer_model *out, const oc_model *model,
                         oc_error *err) {
    out->n_inputs = oc_model_input_count(model);
    out->n_outputs = oc_model_output_count(model);
    if (out->n_inputs > INFER_MAX_VALUES || out->n_outputs > INFER_MAX_VALUES)
        return server_fail(err, OC_E_UNSUPPORTED,
                           "models with more than %d inputs or outputs are "
                           "not served",
                           INFER_MAX_VALUES);
    for (int i = 0; i < out->n_inputs; i++) {
        out->inputs[i] = oc_model_input(model, i);
    }
    for (int i = 0; i < out->n_outputs; i++) {
        out->outputs[i] = oc_model_output(model, i);
    }
    return OC_OK;
}

void infer_deinit(infer_request *r) {
    for (int i = 0; i < r->n_inputs; i++) {
        free(r->inputs[i].owned);
    }
    r->n_inputs = 0;
}

/* ---- reading --------------------------------------------------------------
 */

/* An object of "inputs", as far as it is read. */
typedef struct given {
    const char *name, *type;
    oc_dtype dtype;
    int rank; /* -1: no shape yet */
    int64_t dims[OC_MAX_RANK];
    int64_t binary_bytes; /* -1: none */
    char *data;           /* where "data" begins; NULL without */
} given;

typedef struct parser {
    json_reader json;
    const infer_model *model;
    infer_request *out;
    char *binary, *binary_end; /* what is left behind the JSON text */
    int all_binary;            /* "binary_data_output" */
    oc_error *err;
    oc_status status; /* of what is not JSON's fault */
} parser;

/* Notes an error of ours; the reader stops too.  Returns 0. */
static int wrong(parser *p, oc_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static int wrong(parser *p, oc_status status, const char *format, ...) {
    char text[sizeof p->err->message];
    va_list args;
    if (p->status || p->json.why) return 0;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    p->status = server_fail(p->err, status, "%s", text);
    return json_wrong(&p->json, "");
}

static int find(const oc_value_info *const *list, int n, const char *name) {
    for (int i = 0; i < n; i++) {
        if (!strcmp(list[i]->name, name)) return i;
    }
    return -1;
}

/* Elements of a shape; 0 with the error noted. */
static int count_elems(parser *p, const given *g, int64_t *out) {
    int64_t n = 1;
    for (int i = 0; i < g->rank; i++) {
        if (g->dims[i] && n > INT64_MAX / 64 / g->dims[i])
            return wrong(p, OC_E_SHAPE, "input \"%.60s\" is too large",
                         g->name);
        n *= g->dims[i];
    }
    *out = n;
    return 1;
}

static int check_shape(parser *p, const given *g, const oc_value_info *info) {
    if (info->kind != OC_KIND_TENSOR)
        return wrong(p, OC_E_UNSUPPORTED,
                     "input \"%.60s\" is no tensor, which this protocol does "
                     "not have",
                     info->name);
    if (info->dtype != g->dtype) {
        const char *want = infer_type_name(info->dtype);
        return wrong(p, OC_E_FORMAT, "input \"%.60s\" is of type %s, not %s",
                     info->name, want ? want : oc_dtype_name(info->dtype),
                     g->type);
    }
    if (info->rank >= 0 && info->rank != g->rank)
        return wrong(p, OC_E_SHAPE, "input \"%.60s\" has %d dimensions, not %d",
                     info->name, info->rank, g->rank);
    for (int i = 0; i < info->rank; i++) {
        if (info->dims[i] >= 0 && info->dims[i] != g->dims[i])
            return wrong(p, OC_E_SHAPE,
                         "dimension %d of input \"%.60s\" is %lld, not %lld", i,
                         info->name, (long long)info->dims[i],
                         (long long)g->dims[i]);
    }
    return 1;
}

/* ---- numbers in JSON ------------------------------------------------------
 */

static int put_int(json_reader *j, oc_dtype dtype, void *data, int64_t i) {
    static const struct {
        oc_dtype dtype;
        int64_t lo, hi;
    } ranges[] = {
        {OC_DTYPE_U8, 0, UINT8_MAX},
        {OC_DTYPE_I8, INT8_MIN, INT8_MAX},
        {OC_DTYPE_U16, 0, UINT16_MAX},
        {OC_DTYPE_I16, INT16_MIN, INT16_MAX},
        {OC_DTYPE_I32, INT32_MIN, INT32_MAX},
        {OC_DTYPE_U32, 0, UINT32_MAX},
        {OC_DTYPE_I64, INT64_MIN, INT64_MAX},
    };
    int64_t v;
    if (!json_get_int(j, &v)) return 0;
    for (size_t k = 0; k < COUNT_OF(ranges); k++) {
        if (ranges[k].dtype == dtype && (v < ranges[k].lo || v > ranges[k].hi))
            return json_wrong(j, "a number that its type does not have");
    }
    switch (dtype) {
    case OC_DTYPE_U8: ((uint8_t *)data)[i] = (uint8_t)v; break;
    case OC_DTYPE_I8: ((int8_t *)data)[i] = (int8_t)v; break;
    case OC_DTYPE_U16: ((uint16_t *)data)[i] = (uint16_t)v; break;
    case OC_DTYPE_I16: ((int16_t *)data)[i] = (int16_t)v; break;
    case OC_DTYPE_I32: ((int32_t *)data)[i] = (int32_t)v; break;
    case OC_DTYPE_U32: ((uint32_t *)data)[i] = (uint32_t)v; break;
    default: ((int64_t *)data)[i] = v; break;
    }
    return 1;
}

/* The next value becomes element i. */
static int put_elem(json_reader *j, oc_dtype dtype, void *data, int64_t i) {
    double d;
    int b;
    switch (dtype) {
    case OC_DTYPE_F32:
        if (!json_get_double(j, &d)) return 0;
        if (fabs(d) > (double)FLT_MAX)
            return json_wrong(j, "a number that FP32 does not have");
        ((float *)data)[i] = (float)d;
        return 1;
    case OC_DTYPE_F64: return json_get_double(j, &((double *)data)[i]);
    case OC_DTYPE_U64: return json_get_uint(j, &((uint64_t *)data)[i]);
    case OC_DTYPE_BOOL:
        if (!json_get_bool(j, &b)) return 0;
        ((uint8_t *)data)[i] = (uint8_t)b;
        return 1;
    case OC_DTYPE_STRING: {
        oc_string *s = (oc_string *)data + i;
        return json_get_string(j, &s->data, &s->bytes);
    }
    default: return put_int(j, dtype, data, i);
    }
}

/* Lists may be nested as the shape is, or not at all; only the number of
   elements counts, as the protocol has it. */
static int put_list(parser *p, const oc_tensor *t, int64_t n, int64_t *at) {
    json_reader *j = &p->json;
    if (!json_enter(j, '[')) return 0;
    while (json_item(j)) {
        if (json_peek(j) == '[') {
            if (!put_list(p, t, n, at)) return 0;
        } else if (*at == n) {
            return json_wrong(j, "more elements than the shape has");
        } else if (!put_elem(j, t->dtype, t->data, (*at)++)) {
            return 0;
        }
    }
    return !j->why;
}

static int take_json(parser *p, const given *g, infer_input *in, int64_t n) {
    json_reader *j = &p->json;
    char *resume = j->at;
    int64_t at = 0;
    if (g->dtype == OC_DTYPE_F16 || g->dtype == OC_DTYPE_BF16)
        return wrong(p, OC_E_UNSUPPORTED,
                     "input \"%.60s\": %s goes in binary form only", g->name,
                     g->type);
    /* An element takes a digit and a comma at least: a shape cannot ask for
       memory that no data is there for. */
    if (n > (j->end - g->data) / 2 + 1)
        return wrong(p, OC_E_SHAPE, "input \"%.60s\" has too few elements",
                     g->name);
    in->owned = calloc((size_t)n + 1, oc_dtype_bytes(g->dtype));
    if (!in->owned) return wrong(p, OC_E_NOMEM, "no memory for the inputs");
    in->t.data = in->owned;
    j->at = g->data;
    if (!put_list(p, &in->t, n, &at)) return 0;
    j->at = resume;
    j->fresh = 0;
    if (at < n)
        return wrong(p, OC_E_SHAPE,
                     "input \"%.60s\" has %lld elements, its shape %lld",
                     g->name, (long long)at, (long long)n);
    return 1;
}

/* ---- binary ---------------------------------------------------------------
 */

/* Four bytes of length, then the text, for each. */
static int take_binary_strings(parser *p, const given *g, infer_input *in,
                               int64_t n, const char *data, size_t bytes) {
    if (n > (int64_t)(bytes / 4))
        return wrong(p, OC_E_SHAPE, "input \"%.60s\" has too few elements",
                     g->name);
    oc_string *s = calloc((size_t)n + 1, sizeof *s);
    in->owned = in->t.data = s;
    if (!s) return wrong(p, OC_E_NOMEM, "no memory for the inputs");
    for (int64_t i = 0; i < n; i++) {
        unsigned char length[4];
        if (bytes < 4) break;
        memcpy(length, data, 4);
        size_t k = (size_t)length[0] | (size_t)length[1] << 8 |
                   (size_t)length[2] << 16 | (size_t)length[3] << 24;
        data += 4;
        bytes -= 4;
        if (k > bytes)
            return wrong(p, OC_E_FORMAT,
                         "input \"%.60s\": a string runs past the end",
                         g->name);
        s[i].data = data;
        s[i].bytes = k;
        data += k;
        bytes -= k;
        if (i == n - 1 && !bytes) return 1;
    }
    if (!n && !bytes) return 1;
    return wrong(p, OC_E_SHAPE,
                 "input \"%.60s\" does not have the elements of its shape",
                 g->name);
}

static int take_binary(parser *p, const given *g, infer_input *in, int64_t n) {
    size_t bytes = (size_t)g->binary_bytes;
    char *data = p->binary;
    if (bytes > (size_t)(p->binary_end - data))
        return wrong(p, OC_E_FORMAT,
                     "input \"%.60s\" has %zu bytes, of which %zu came",
                     g->name, bytes, (size_t)(p->binary_end - data));
    p->binary += bytes;
    if (g->dtype == OC_DTYPE_STRING)
        return take_binary_strings(p, g, in, n, data, bytes);
    size_t size = oc_dtype_bytes(g->dtype);
    if ((uint64_t)n * size != bytes)
        return wrong(p, OC_E_SHAPE,
                     "input \"%.60s\" has %zu bytes, its shape %llu", g->name,
                     bytes, (unsigned long long)n * size);
    for (size_t i = 0; g->dtype == OC_DTYPE_BOOL && i < bytes; i++) {
        data[i] = data[i] != 0;
    }
    in->t.data = data;
    if (!((uintptr_t)data % size)) return 1;
    /* The JSON text before it may end anywhere. */
    in->owned = malloc(bytes + 1);
    if (!in->owned) return wrong(p, OC_E_NOMEM, "no memory for the inputs");
    in->t.data = memcpy(in->owned, data, bytes);
    return 1;
}

/* ---- the request's objects ------------------------------------------------
 */

static int get_shape(parser *p, given *g) {
    json_reader *j = &p->json;
    if (!json_enter(j, '[')) return 0;
    g->rank = 0;
    while (json_item(j)) {
        int64_t d;
        if (g->rank == OC_MAX_RANK)
            return json_wrong(j, "more dimensions than 8");
        if (!json_get_int(j, &d)) return 0;
        if (d < 0) return json_wrong(j, "a negative dimension");
        g->dims[g->rank++] = d;
    }
    return !j->why;
}

/* "parameters" of an input or an output. */
static int get_parameters(parser *p, int64_t *binary_bytes, int *binary) {
    json_reader *j = &p->json;
    const char *key;
    if (!json_enter(j, '{')) return 0;
    while (json_key(j, &key)) {
        if (binary_bytes && !strcmp(key, "binary_data_size")) {
            if (!json_get_int(j, binary_bytes)) return 0;
            if (*binary_bytes < 0) return json_wrong(j, "a negative size");
        } else if (binary && !strcmp(key, "binary_data")) {
            if (!json_get_bool(j, binary)) return 0;
        } else if (!strncmp(key, "shared_memory", 13) ||
                   !strcmp(key, "classification")) {
            return wrong(p, OC_E_UNSUPPORTED,
                         "the parameter \"%.40s\" is not supported", key);
        } else if (!json_skip(j)) {
            return 0;
        }
    }
    return !j->why;
}

static int take_input(parser *p, const given *g) {
    infer_request *out = p->out;
    int64_t n = 0;
    if (!g->name || !g->type || g->rank < 0)
        return wrong(p, OC_E_FORMAT,
                     "an input needs \"name\", \"datatype\" and \"shape\"");
    int index = find(p->model->inputs, p->model->n_inputs, g->name);
    if (index < 0)
        return wrong(p, OC_E_FORMAT, "the model has no input \"%.60s\"",
                     g->name);
    for (int i = 0; i < out->n_inputs; i++) {
        if (out->inputs[i].index == index)
            return wrong(p, OC_E_FORMAT, "input \"%.60s\" is there twice",
                         g->name);
    }
    if (g->dtype == OC_DTYPE_NONE)
        return wrong(p, OC_E_FORMAT, "there is no datatype \"%.40s\"", g->type);
    if (!check_shape(p, g, p->model->inputs[index]) || !count_elems(p, g, &n))
        return 0;
    /* No model has as many inputs as there is room for and one twice. */
    infer_input *in = &out->inputs[out->n_inputs++];
    memset(in, 0, sizeof *in);
    in->index = index;
    in->t.dtype = g->dtype;
    in->t.rank = g->rank;
    memcpy(in->t.dims, g->dims, sizeof in->t.dims);
    if (g->data && g->binary_bytes < 0) return take_json(p, g, in, n);
    if (!g->data && g->binary_bytes >= 0) return take_binary(p, g, in, n);
    return wrong(p, OC_E_FORMAT,
                 "input \"%.60s\" needs \"data\" or \"binary_data_size\"",
                 g->name);
}

static int get_input(parser *p) {
    json_reader *j = &p->json;
    given g = {NULL, NULL, OC_DTYPE_NONE, -1, {0}, -1, NULL};
    const char *key;
    size_t n;
    if (!json_enter(j, '{')) return 0;
    while (json_key(j, &key)) {
        int ok;
        if (!strcmp(key, "name")) {
            ok = json_get_string(j, &g.name, &n);
        } else if (!strcmp(key, "datatype")) {
            ok = json_get_string(j, &g.type, &n);
            if (ok) g.dtype = type_by_name(g.type);
        } else if (!strcmp(key, "shape")) {
            ok = get_shape(p, &g);
        } else if (!strcmp(key, "parameters")) {
            ok = get_parameters(p, &g.binary_bytes, NULL);
        } else if (!strcmp(key, "data") && !g.data) {
            /* Type and shape may come behind it. */
            json_peek(j);
            g.data = j->at;
            ok = json_skip(j);
        } else {
            ok = json_skip(j);
        }
        if (!ok) return 0;
    }
    return !j->why && take_input(p, &g);
}

static int get_output(parser *p) {
    json_reader *j = &p->json;
    infer_request *out = p->out;
    const char *key, *name = NULL;
    int binary = -1;
    size_t n;
    if (!json_enter(j, '{')) return 0;
    while (json_key(j, &key)) {
        int ok = !strcmp(key, "name")         ? json_get_string(j, &name, &n)
                 : !strcmp(key, "parameters") ? get_parameters(p, NULL, &binary)
                                              : json_skip(j);
        if (!ok) return 0;
    }
    if (j->why) return 0;
    if (!name) return wrong(p, OC_E_FORMAT, "an output needs a \"name\"");
    int index = find(p->model->outputs, p->model->n_outputs, name);
    if (index < 0)
        return wrong(p, OC_E_FORMAT, "the model has no output \"%.60s\"", name);
    if (out->n_outputs == INFER_MAX_VALUES)
        return wrong(p, OC_E_FORMAT, "more outputs than %d", INFER_MAX_VALUES);
    /* -1: as the request says for all, which may come behind. */
    out->outputs[out->n_outputs].index = index;
    out->outputs[out->n_outputs++].binary = binary;
    return 1;
}

static int get_list(parser *p, int (*get)(parser *p)) {
    if (!json_enter(&p->json, '[')) return 0;
    while (json_item(&p->json)) {
        if (!get(p)) return 0;
    }
    return !p->json.why;
}

static int get_request_parameters(parser *p) {
    json_reader *j = &p->json;
    const char *key;
    if (!json_enter(j, '{')) return 0;
    while (json_key(j, &key)) {
        int ok;
        if (!strcmp(key, "binary_data_output"))
            ok = json_get_bool(j, &p->all_binary);
        else if (!strcmp(key, "timeout"))
            ok = json_get_int(j, &p->out->timeout_us);
        else
            ok = json_skip(j);
        if (!ok) return 0;
    }
    return !j->why;
}

static int get_request(parser *p) {
    json_reader *j = &p->json;
    const char *key, *id;
    size_t n;
    if (!json_enter(j, '{')) return 0;
    while (json_key(j, &key)) {
        int ok;
        if (!strcmp(key, "id")) {
            ok = json_get_string(j, &id, &n);
            if (ok) copy_text(p->out->id, sizeof p->out->id, id);
        } else if (!strcmp(key, "inputs")) {
            ok = get_list(p, get_input);
        } else if (!strcmp(key, "outputs")) {
            ok = get_list(p, get_output);
        } else if (!strcmp(key, "parameters")) {
            ok = get_request_parameters(p);
        } else {
            ok = json_skip(j);
        }
        if (!ok) return 0;
    }
    return !json_read_end(j);
}

/* ---- all of it ------------------------------------------------------------
 */

/* The body is the data of the only input; its shape follows from the size. */
static int get_raw(parser *p) {
    const oc_value_info *info = p->model->inputs[0];
    given g = {NULL, NULL, OC_DTYPE_NONE, -1, {0}, -1, NULL};
    int64_t known = 1, free_at = -1;
    size_t bytes = (size_t)(p->binary_end - p->binary);
    if (p->model->n_inputs != 1)
        return wrong(p, OC_E_FORMAT,
                     "a body without JSON needs a model of one input; this "
                     "one has %d",
                     p->model->n_inputs);
    g.name = info->name;
    g.type = infer_type_name(info->dtype);
    g.dtype = info->dtype;
    g.rank = info->rank;
    g.binary_bytes = (int64_t)bytes;
    if (!g.type || g.dtype == OC_DTYPE_STRING || g.rank < 0)
        return wrong(p, OC_E_UNSUPPORTED,
                     "input \"%.60s\" needs JSON: its type or shape is not "
                     "known from the model",
                     g.name);
    for (int i = 0; i < g.rank; i++) {
        g.dims[i] = info->dims[i];
        if (g.dims[i] < 0 && free_at >= 0)
            return wrong(p, OC_E_UNSUPPORTED,
                         "input \"%.60s\" needs JSON: more than one dimension "
                         "is free",
                         g.name);
        if (g.dims[i] < 0) {
            free_at = i;
        } else {
            if (g.dims[i] && known > INT64_MAX / 64 / g.dims[i])
                return wrong(p, OC_E_SHAPE, "input \"%.60s\" is too large",
                             g.name);
            known *= g.dims[i];
        }
    }
    int64_t row = known * (int64_t)oc_dtype_bytes(g.dtype);
    if (free_at >= 0) g.dims[free_at] = row ? (int64_t)bytes / row : 0;
    p->all_binary = 1;
    return take_input(p, &g);
}

/* Every input the model needs is there; outputs are those asked for. */
static int complete(parser *p) {
    infer_request *out = p->out;
    for (int i = 0; i < p->model->n_inputs; i++) {
        int there = p->model->inputs[i]->optional;
        for (int k = 0; k < out->n_inputs; k++) {
            there |= out->inputs[k].index == i;
        }
        if (!there)
            return wrong(p, OC_E_FORMAT, "input \"%.60s\" is missing",
                         p->model->inputs[i]->name);
    }
    if (p->binary != p->binary_end)
        return wrong(p, OC_E_FORMAT,
                     "%zu bytes stand behind what the inputs need",
                     (size_t)(p->binary_end - p->binary));
    for (int i = 0; !out->n_outputs && i < p->model->n_outputs; i++) {
        /* Values that are no tensors are left out unless asked for. */
        if (p->model->outputs[i]->kind != OC_KIND_TENSOR) continue;
        out->outputs[out->n_outputs].index = i;
        out->outputs[out->n_outputs++].binary = -1;
    }
    for (int i = 0; i < out->n_outputs; i++) {
        if (out->outputs[i].binary < 0) out->outputs[i].binary = p->all_binary;
    }
    return 1;
}

oc_status infer_parse(infer_request *out, const infer_model *model, char *body,
                      size_t bytes, int64_t json_bytes, oc_error *err) {
    parser p = {{0}, model, out, NULL, NULL, 0, NULL, OC_OK};
    oc_error own;
    size_t n = json_bytes < 0 ? bytes : (size_t)json_bytes;
    memset(out, 0, sizeof *out);
    if (n > bytes)
        return server_fail(err, OC_E_FORMAT,
                           "Inference-Header-Content-Length is %zu, the body "
                           "has %zu bytes",
                           n, bytes);
    p.err = err ? err : &own;
    p.binary = body + n;
    p.binary_end = body + bytes;
    json_read_begin(&p.json, body, n);
    int ok = json_bytes ? get_request(&p) : get_raw(&p);
    if (ok) ok = complete(&p);
    if (ok) return OC_OK;
    infer_deinit(out);
    if (p.status) return p.status;
    return server_fail(err, OC_E_FORMAT,
                       "the request is not right at byte %zu: %s",
                       (size_t)(p.json.at - p.json.text), p.json.why);
}

/* ---- writing --------------------------------------------------------------
 */

static void write_elem(json *j, const oc_tensor *t, int64_t i) {
    char text[40];
    double v;
    switch (t->dtype) {
    case OC_DTYPE_STRING: {
        const oc_string *s = (const oc_string *)t->data + i;
        json_string_n(j, NULL, s->data, s->bytes);
        return;
    }
    case OC_DTYPE_BOOL:
        json_bool(j, NULL, ((const uint8_t *)t->data)[i]);
        return;
    case OC_DTYPE_I64: json_int(j, NULL, ((const int64_t *)t->data)[i]); return;
    case OC_DTYPE_U64:
        snprintf(text, sizeof text, "%llu",
                 (unsigned long long)((const uint64_t *)t->data)[i]);
        json_number_text(j, NULL, text);
        return;
    case OC_DTYPE_F64:
    case OC_DTYPE_F32:
    case OC_DTYPE_F16:
    case OC_DTYPE_BF16:
        v = oc_tensor_get(t, i);
        if (!isfinite(v)) {
            json_null(j, NULL);
            return;
        }
        /* 9 and 17 digits say every float and double exactly; "-0" would be
           a whole number to some readers, which has no sign. */
        snprintf(text, sizeof text,
                 v == 0 && signbit(v)       ? "%.1f"
                 : t->dtype == OC_DTYPE_F64 ? "%.17g"
                                            : "%.9g",
                 v);
        json_number_text(j, NULL, text);
        return;
    default: json_int(j, NULL, (int64_t)oc_tensor_get(t, i)); return;
    }
}

static size_t binary_bytes(const oc_tensor *t) {
    if (t->dtype != OC_DTYPE_STRING) return oc_tensor_bytes(t);
    size_t bytes = 0;
    int64_t n = oc_tensor_elems(t);
    for (int64_t i = 0; i < n; i++) {
        bytes += 4 + ((const oc_string *)t->data)[i].bytes;
    }
    return bytes;
}

static void write_binary(FILE *f, const oc_tensor *t) {
    if (t->dtype != OC_DTYPE_STRING) {
        fwrite(t->data, 1, oc_tensor_bytes(t), f);
        return;
    }
    int64_t n = oc_tensor_elems(t);
    for (int64_t i = 0; i < n; i++) {
        const oc_string *s = (const oc_string *)t->data + i;
        unsigned char length[4] = {
            (unsigned char)s->bytes, (unsigned char)(s->bytes >> 8),
            (unsigned char)(s->bytes >> 16), (unsigned char)(s->bytes >> 24)};
        fwrite(length, 1, 4, f);
        fwrite(s->data, 1, s->bytes, f);
    }
}

static void write_output(json *j, const infer_output *o,
                         const oc_value_info *info, const oc_tensor *t) {
    json_object(j, NULL);
    json_string(j, "name", info->name);
    json_string(j, "datatype", infer_type_name(t->dtype));
    json_row(j, "shape");
    for (int i = 0; i < t->rank; i++) {
        json_int(j, NULL, t->dims[i]);
    }
    json_end(j);
    if (o->binary) {
        json_object(j, "parameters");
        json_int(j, "binary_data_size", (int64_t)binary_bytes(t));
        json_end(j);
    } else {
        int64_t n = oc_tensor_elems(t);
        json_array(j, "data");
        for (int64_t i = 0; i < n; i++) {
            write_elem(j, t, i);
        }
        json_end(j);
    }
    json_end(j);
}

oc_status infer_write(FILE *f, const infer_request *r, const infer_model *model,
                      const char *name, int64_t version,
                      const oc_tensor *const *results, int64_t *json_bytes,
                      oc_error *err) {
    json j;
    char number[24];
    int any_binary = 0;
    for (int i = 0; i < r->n_outputs; i++) {
        const oc_tensor *t = results[r->outputs[i].index];
        if (!t || !infer_type_name(t->dtype))
            return server_fail(err, OC_E_UNSUPPORTED,
                               "output \"%.60s\" is nothing this protocol has "
                               "a type for",
                               model->outputs[r->outputs[i].index]->name);
        any_binary |= r->outputs[i].binary;
    }
    json_begin_compact(&j, f);
    json_object(&j, NULL);
    json_string(&j, "model_name", name);
    snprintf(number, sizeof number, "%lld", (long long)version);
    json_string(&j, "model_version", number);
    if (*r->id) json_string(&j, "id", r->id);
    json_array(&j, "outputs");
    for (int i = 0; i < r->n_outputs; i++) {
        int k = r->outputs[i].index;
        write_output(&j, &r->outputs[i], model->outputs[k], results[k]);
    }
    json_end(&j);
    json_end(&j);
    *json_bytes = -1;
    if (!any_binary) return OC_OK;
    *json_bytes = ftell(f);
    for (int i = 0; i < r->n_outputs; i++) {
        if (r->outputs[i].binary) write_binary(f, results[r->outputs[i].index]);
    }
    return OC_OK;
}
