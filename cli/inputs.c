/* inputs.c - see inputs.h. */
#include "inputs.h"

#include "out.h"

#include <ocelli/vision.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int cli_inputs_init(cli_inputs *in, const oc_model *m) {
    in->n = oc_model_input_count(m);
    in->values = calloc((size_t)in->n + 1, sizeof(*in->values));
    if (in->values) return CLI_OK;
    return cli_fail(CLI_RESOURCES, "out of memory");
}

void cli_inputs_deinit(cli_inputs *in) {
    for (int i = 0; in->values && i < in->n; i++) {
        oc_value_destroy(in->values[i]);
    }
    free(in->values);
    in->values = NULL;
}

/* ---- files
 * -------------------------------------------------------------------- */

/* A picture as it is: RGB levels 0..255, stretched to the input's size. */
static int load_picture(oc_value **out, const char *path,
                        const oc_value_info *info) {
    oc_error err;
    oc_image img;
    oc_preprocess p = {0};
    oc_status st;
    const int64_t *d = info->dims;
    if (info->kind != OC_KIND_TENSOR || info->rank != 4) {
        return cli_fail(CLI_BAD_INPUT,
                        "%s: the input \"%s\" does not take a picture (it has "
                        "not four dimensions)",
                        path, info->name);
    }
    /* Channels are the dimension that is 1, 3 or 4, first where in doubt. */
    int last = (d[3] == 1 || d[3] == 3) && d[1] != 1 && d[1] != 3;
    int64_t channels = last ? d[3] : d[1];
    if (channels != 1 && channels != 3 && channels != -1) {
        return cli_fail(CLI_BAD_INPUT,
                        "%s: the input \"%s\" has %lld channels, a picture has "
                        "1 or 3",
                        path, info->name, (long long)channels);
    }
    if (oc_image_load(&img, path, NULL, &err)) return cli_report(&err, path);
    p.layout = last ? OC_LAYOUT_NHWC : OC_LAYOUT_NCHW;
    p.color = channels == 1 ? OC_COLOR_GRAY : OC_COLOR_RGB;
    p.dtype = info->dtype;
    int64_t h = last ? d[1] : d[2], w = last ? d[2] : d[3];
    p.height = h > 0 && h < 65536 ? (int)h : img.height;
    p.width = w > 0 && w < 65536 ? (int)w : img.width;
    oc_tensor t = oc_preprocess_shape(&p);
    size_t bytes = oc_tensor_bytes(&t);
    t.data = malloc(bytes ? bytes : 1);
    int code = CLI_OK;
    if (!t.data) {
        code = cli_fail(CLI_RESOURCES, "out of memory");
        goto done;
    }
    st = oc_image_to_tensor(&img, &p, t.data, bytes, NULL, &err);
    if (st == OC_OK) st = oc_value_create_tensor(out, &t, &err);
    if (st) code = cli_report(&err, path);
done:
    free(t.data);
    oc_image_deinit(&img);
    return code;
}

static int is_picture(const char *path) {
    return oc_image_format_of_path(path) != OC_IMAGE_UNKNOWN;
}

static int no_such_input(const char *name, int n) {
    return cli_fail(CLI_USAGE,
                    "the model has no input \"%.*s\"; see ocelli inspect", n,
                    name);
}

int cli_inputs_load(cli_inputs *in, const oc_model *m, const char *spec) {
    int index = 0;
    const char *path = spec;
    oc_error err;
    /* Names and files may hold "=": the longest name that is one wins. */
    for (const char *eq = strchr(spec, '='); eq; eq = strchr(eq + 1, '=')) {
        size_t n = (size_t)(eq - spec);
        for (int i = 0; i < in->n; i++) {
            const char *name = oc_model_input(m, i)->name;
            if (strlen(name) == n && !strncmp(name, spec, n)) {
                index = i;
                path = eq + 1;
            }
        }
    }
    const char *eq = strchr(spec, '=');
    if (path == spec && eq) {
        return no_such_input(spec, (int)(eq - spec));
    }
    if (!*path)
        return cli_fail(CLI_USAGE, "--input wants NAME=FILE, not \"%s\"", spec);
    const oc_value_info *info = oc_model_input(m, index);
    if (!info) return cli_fail(CLI_USAGE, "the model has no inputs");
    oc_value_destroy(in->values[index]);
    in->values[index] = NULL;
    if (is_picture(path)) return load_picture(&in->values[index], path, info);
    oc_status st =
        oc_value_load(&in->values[index], path, info->name, info, &err);
    /* An archive with one array need not have the right name for it. */
    if (st == OC_E_FORMAT && strstr(path, ".npz")) {
        st = oc_value_load(&in->values[index], path, NULL, info, &err);
    }
    return st ? cli_report(&err, path) : CLI_OK;
}

/* ---- made up
 * --------------------------------------------------------------------- */

/* splitmix64: good enough to try a network with, and the same everywhere. */
static uint64_t next_random(uint64_t *state) {
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* In [0, 1). */
static double next_unit(uint64_t *state) {
    return (double)(next_random(state) >> 11) * 0x1p-53;
}

/* An f32 in [0, 1) cut to f16 or bf16: truncation is fine for made-up data. */
static uint16_t narrow(float v, oc_dtype dtype) {
    uint32_t bits;
    memcpy(&bits, &v, sizeof(bits));
    if (dtype == OC_DTYPE_BF16) return (uint16_t)(bits >> 16);
    int exponent = (int)(bits >> 23 & 255) - 112;
    if (exponent <= 0) return 0;
    return (uint16_t)(exponent << 10 | (bits >> 13 & 0x3ff));
}

/*
 * Floats in [0, 1), bytes over their range, wider integers 0 or 1, since
 * those are mostly indices, lengths and masks.
 */
static void fill_random(oc_tensor *t, uint64_t *state) {
    static const oc_string word = {"ocelli", 6};
    int64_t n = oc_tensor_elems(t);
    size_t size = oc_dtype_bytes(t->dtype);
    for (int64_t i = 0; i < n; i++) {
        char *to = (char *)t->data + (size_t)i * size;
        double unit = next_unit(state);
        float f = (float)unit;
        uint16_t half;
        switch (t->dtype) {
        case OC_DTYPE_F32: memcpy(to, &f, sizeof(f)); break;
        case OC_DTYPE_F64: memcpy(to, &unit, sizeof(unit)); break;
        case OC_DTYPE_F16:
        case OC_DTYPE_BF16:
            half = narrow(f, t->dtype);
            memcpy(to, &half, sizeof(half));
            break;
        case OC_DTYPE_U8:
        case OC_DTYPE_I8: *to = (char)(int)(unit * 256); break;
        case OC_DTYPE_STRING: memcpy(to, &word, sizeof(word)); break;
        default:
            memset(to, 0, size);
            /* The low byte, on a machine of either order, of a small value;
               one-byte types (f8, i4, bool, ...) take it as their bits. */
            {
                int bit = unit >= 0.5;
                uint16_t u16 = (uint16_t)bit;
                uint32_t u32 = (uint32_t)bit;
                uint64_t u64 = (uint64_t)bit;
                if (size == 1)
                    *to = (char)bit;
                else if (size == 2)
                    memcpy(to, &u16, 2);
                else if (size == 4)
                    memcpy(to, &u32, 4);
                else if (t->dtype != OC_DTYPE_C64 && size == 8)
                    memcpy(to, &u64, 8);
            }
        }
    }
}

/* "1x3x224x224" */
static int parse_dims(const char *text, oc_tensor *t) {
    t->rank = 0;
    for (const char *s = text; *s;) {
        char *end;
        errno = 0;
        long long v = strtoll(s, &end, 10);
        if (end == s || errno || v < 0 || t->rank == OC_MAX_RANK) return 1;
        t->dims[t->rank++] = v;
        if (*end && ((*end != 'x' && *end != ',') || !end[1])) return 1;
        s = end + (*end != 0);
    }
    return 0;
}

/* The shape --shape gives an input: "NAME=dims", or "dims" for the first. */
static int find_shape(const cli_args *args, const char *name, int index,
                      oc_tensor *t, int *found) {
    const char *spec;
    *found = 0;
    for (int i = 0; (spec = cli_get_nth(args, "shape", i)); i++) {
        const char *eq = strrchr(spec, '=');
        size_t n = eq ? (size_t)(eq - spec) : 0;
        if (eq ? strlen(name) != n || strncmp(name, spec, n) != 0 : index != 0)
            continue;
        if (parse_dims(eq ? eq + 1 : spec, t)) {
            return cli_fail(CLI_USAGE,
                            "--shape takes sizes like 1x3x224x224, not \"%s\"",
                            spec);
        }
        *found = 1;
    }
    return CLI_OK;
}

static int shape_of(const cli_args *args, const oc_value_info *info, int index,
                    oc_tensor *t) {
    int found;
    int code = find_shape(args, info->name, index, t, &found);
    if (code || found) return code;
    t->rank = info->rank < 0 ? 0 : info->rank;
    for (int d = 0; d < t->rank; d++) {
        t->dims[d] = info->dims[d] >= 0       ? info->dims[d]
                     : d == 0 || t->rank != 4 ? 1
                                              : 224;
    }
    return CLI_OK;
}

/* A misspelt name must not leave its input as it was. */
static int check_shape_names(const oc_model *m, const cli_args *args) {
    const char *spec;
    for (int i = 0; (spec = cli_get_nth(args, "shape", i)); i++) {
        const char *eq = strrchr(spec, '=');
        size_t n = eq ? (size_t)(eq - spec) : 0;
        int found = !eq;
        for (int k = 0; k < oc_model_input_count(m) && !found; k++) {
            const char *name = oc_model_input(m, k)->name;
            found = strlen(name) == n && !strncmp(name, spec, n);
        }
        if (!found) return no_such_input(spec, (int)n);
    }
    return CLI_OK;
}

static int make_random(oc_value **out, const cli_args *args,
                       const oc_value_info *info, int index, uint64_t *state) {
    oc_error err;
    oc_tensor t;
    memset(&t, 0, sizeof(t));
    if (info->kind == OC_KIND_SEQUENCE) {
        if (oc_value_create_sequence(out, NULL, 0, &err))
            return cli_report(&err, info->name);
        return CLI_OK;
    }
    if (info->kind != OC_KIND_TENSOR || !info->dtype) {
        return cli_fail(CLI_USAGE,
                        "the input \"%s\" has to be given with --input",
                        info->name);
    }
    int code = shape_of(args, info, index, &t);
    if (code) return code;
    t.dtype = info->dtype;
    /* The product of shapes from outside may be anything. */
    double elems = 1;
    for (int d = 0; d < t.rank; d++) {
        elems *= (double)t.dims[d];
    }
    double need = elems * (double)oc_dtype_bytes(t.dtype);
    if (need < 0x1p40) t.data = malloc((size_t)need + 1);
    if (!t.data) {
        char text[32];
        return cli_fail(CLI_RESOURCES,
                        "the input \"%s\" takes %s, more memory than there is; "
                        "give it another size with --shape",
                        info->name, out_bytes(need, text, sizeof(text)));
    }
    fill_random(&t, state);
    if (oc_value_create_tensor(out, &t, &err))
        code = cli_report(&err, info->name);
    free(t.data);
    return code;
}

int cli_inputs_random(cli_inputs *in, const oc_model *m, const cli_args *args) {
    int64_t seed;
    int code = cli_get_int(args, "seed", 0, INT64_MAX, 1, &seed);
    uint64_t state = (uint64_t)seed;
    if (!code) code = check_shape_names(m, args);
    for (int i = 0; !code && i < in->n; i++) {
        const oc_value_info *info = oc_model_input(m, i);
        if (in->values[i] || info->optional) continue;
        code = make_random(&in->values[i], args, info, i, &state);
    }
    return code;
}

int cli_inputs_set(const cli_inputs *in, const oc_model *m, oc_session *s) {
    oc_error err;
    for (int i = 0; i < in->n; i++) {
        if (!in->values[i]) continue;
        if (oc_session_set_input_value(s, i, in->values[i], &err))
            return cli_report(&err, oc_model_input(m, i)->name);
    }
    return CLI_OK;
}
