/* npy.c - .npy files, read and written; see npy.h. */
#include "onnx/npy.h"

#include "base/size.h"

#include <stdio.h>
#include <string.h>

/* NumPy writes headers of a hundred bytes; only records make them longer. */
enum { MAX_HEADER = 4096 };

typedef struct npy {
    char kind;    /* f i u b c S U V */
    int swapped;  /* big endian */
    size_t width; /* bytes of an element */
    int fortran;
    int rank;
    int64_t dims[OC_MAX_RANK];
    const uint8_t *data;
    size_t bytes;
} npy;

static oc_status malformed(oc_error *err, const char *what) {
    return oc__fail(err, OC_E_FORMAT, "not a .npy file: %s", what);
}

/* ---- header
 * --------------------------------------------------------------------- */

/* What stands behind 'key': in the header's dictionary, or NULL. */
static const char *find_key(const char *header, const char *key) {
    size_t n = strlen(key);
    for (const char *s = header; (s = strchr(s, *key)); s++) {
        if (s > header && (s[-1] == '\'' || s[-1] == '"') &&
            !strncmp(s, key, n) && s[n] == s[-1]) {
            s += n + 1;
            while (*s == ' ')
                s++;
            if (*s++ != ':') return NULL;
            while (*s == ' ')
                s++;
            return s;
        }
    }
    return NULL;
}

static int parse_number(const char **s, int64_t *out) {
    int64_t v = 0;
    const char *start = *s;
    while (**s >= '0' && **s <= '9') {
        if (v > (INT64_MAX - 9) / 10) return 1;
        v = 10 * v + (*(*s)++ - '0');
    }
    *out = v;
    return *s == start;
}

/* "'<f4'" and the like. */
static oc_status parse_descr(npy *f, const char *s, oc_error *err) {
    int64_t width;
    if (!s || (*s != '\'' && *s != '"')) {
        return oc__fail(err, OC_E_UNSUPPORTED,
                        "arrays of records are not supported");
    }
    s++;
    f->swapped = *s == '>';
    if (strchr("<>|=", *s)) s++;
    f->kind = *s++;
    if (f->kind == 'O') {
        return oc__fail(err, OC_E_UNSUPPORTED,
                        "arrays of Python objects are not supported");
    }
    if (!f->kind || !strchr("fiubcSUV", f->kind) || parse_number(&s, &width) ||
        (*s != '\'' && *s != '"') || width > INT32_MAX) {
        return malformed(err, "its element type makes no sense");
    }
    f->width = (size_t)width * (f->kind == 'U' ? 4 : 1);
    return OC_OK;
}

static oc_status parse_shape(npy *f, const char *s, oc_error *err) {
    if (!s || *s++ != '(') return malformed(err, "it has no shape");
    for (;;) {
        while (*s == ' ' || *s == ',')
            s++;
        if (*s == ')') return OC_OK;
        if (f->rank == OC_MAX_RANK) {
            return oc__fail(err, OC_E_UNSUPPORTED,
                            "an array of more than %d dimensions", OC_MAX_RANK);
        }
        if (parse_number(&s, &f->dims[f->rank++])) {
            return malformed(err, "its shape makes no sense");
        }
        if (*s == 'L') s++; /* Python 2 */
    }
}

static oc_status parse(npy *f, const void *data, size_t bytes, oc_error *err) {
    const uint8_t *p = data;
    memset(f, 0, sizeof(*f));
    if (bytes < 12 || memcmp(p, "\x93NUMPY", 6) != 0) {
        return malformed(err, "it does not start like one");
    }
    if (p[6] < 1 || p[6] > 3) return malformed(err, "its version is unknown");
    size_t start = p[6] == 1 ? 10 : 12;
    size_t length = p[8] | (size_t)p[9] << 8;
    if (p[6] > 1) length |= (size_t)p[10] << 16 | (size_t)p[11] << 24;
    if (length > MAX_HEADER || length > bytes - start) {
        return malformed(err, "its header is cut off");
    }
    char header[MAX_HEADER + 1];
    memcpy(header, p + start, length);
    header[length] = '\0';
    OC_TRY(parse_descr(f, find_key(header, "descr"), err));
    OC_TRY(parse_shape(f, find_key(header, "shape"), err));
    const char *fortran = find_key(header, "fortran_order");
    if (!fortran) return malformed(err, "it has no fortran_order");
    f->fortran = *fortran == 'T';
    f->data = p + start + length;
    f->bytes = bytes - start - length;
    return OC_OK;
}

/* ---- elements
 * ------------------------------------------------------------------- */

static oc_dtype dtype_of(const npy *f, oc_dtype expect) {
    switch (f->kind) {
    case 'b': return f->width == 1 ? OC_DTYPE_BOOL : OC_DTYPE_NONE;
    case 'f':
        if (f->width == 1) break; /* ml_dtypes' f8e5m2 */
        return f->width == 2   ? OC_DTYPE_F16
               : f->width == 4 ? OC_DTYPE_F32
               : f->width == 8 ? OC_DTYPE_F64
                               : OC_DTYPE_NONE;
    case 'c':
        return f->width == 8    ? OC_DTYPE_C64
               : f->width == 16 ? OC_DTYPE_C128
                                : OC_DTYPE_NONE;
    case 'i':
        return f->width == 1   ? OC_DTYPE_I8
               : f->width == 2 ? OC_DTYPE_I16
               : f->width == 4 ? OC_DTYPE_I32
               : f->width == 8 ? OC_DTYPE_I64
                               : OC_DTYPE_NONE;
    case 'u':
        return f->width == 1   ? OC_DTYPE_U8
               : f->width == 2 ? OC_DTYPE_U16
               : f->width == 4 ? OC_DTYPE_U32
               : f->width == 8 ? OC_DTYPE_U64
                               : OC_DTYPE_NONE;
    case 'V': break;
    default: return OC_DTYPE_STRING;
    }
    int fits = f->width && f->width == oc_dtype_bytes(expect);
    return fits && expect != OC_DTYPE_STRING ? expect : OC_DTYPE_NONE;
}

/*
 * Where element i of the file goes in row-major order.  Fortran order counts
 * the first dimension fastest.
 */
static int64_t place(const npy *f, int64_t i) {
    if (!f->fortran) return i;
    int64_t at = 0, stride[OC_MAX_RANK];
    for (int d = f->rank - 1, s = 1; d >= 0; d--) {
        stride[d] = d == f->rank - 1 ? s : stride[d + 1] * f->dims[d + 1];
    }
    for (int d = 0; d < f->rank; d++) {
        at += i % f->dims[d] * stride[d];
        i /= f->dims[d];
    }
    return at;
}

/* Copies elements, each made of units of one number, maybe byte-swapped. */
static void copy_elements(const npy *f, int64_t n, uint8_t *out) {
    size_t unit = f->kind == 'c' ? f->width / 2 : f->width;
    const uint16_t one = 1;
    int host_is_big = *(const uint8_t *)&one == 0;
    int swap = f->swapped != host_is_big && unit > 1;
    if (!swap && !f->fortran) {
        if (n) memcpy(out, f->data, (size_t)n * f->width);
        return;
    }
    for (int64_t i = 0; i < n; i++) {
        const uint8_t *in = f->data + (size_t)i * f->width;
        uint8_t *to = out + (size_t)place(f, i) * f->width;
        for (size_t b = 0; b < f->width; b++) {
            size_t from = swap ? b / unit * unit + (unit - 1 - b % unit) : b;
            to[b] = in[from];
        }
    }
}

static size_t put_utf8(uint32_t c, char *out) {
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    int more = c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
    static const uint8_t lead[] = {0, 0xc0, 0xe0, 0xf0};
    out[0] = (char)(lead[more] | c >> 6 * more);
    for (int i = 1; i <= more; i++) {
        out[i] = (char)(0x80 | (c >> 6 * (more - i) & 0x3f));
    }
    return (size_t)more + 1;
}

/* One string element as UTF-8; blanks are kept, padding NULs are not. */
static size_t read_string(const npy *f, const uint8_t *in, char *out) {
    size_t n = 0, keep = 0;
    if (f->kind == 'S') {
        memcpy(out, in, f->width);
        for (n = f->width; n > 0 && !out[n - 1];)
            n--;
        return n;
    }
    for (size_t i = 0; i + 4 <= f->width; i += 4) {
        uint32_t c = 0;
        for (size_t b = 0; b < 4; b++) {
            c |= (uint32_t)in[i + (f->swapped ? 3 - b : b)] << 8 * b;
        }
        n += put_utf8(c > 0x10ffff ? 0xfffd : c, out + n);
        if (c) keep = n;
    }
    return keep;
}

static oc_status read_strings(const npy *f, oc_value *out, int64_t n,
                              const oc_allocator *a, oc_error *err) {
    /* UTF-8 takes at most the four bytes of UTF-32. */
    size_t text = (size_t)n * f->width, list;
    if (oc__size_mul((size_t)n, sizeof(oc_string), &list)) {
        return malformed(err, "its shape is too large");
    }
    char *chars = oc__alloc(a, text);
    oc_string *s = oc__alloc(a, list);
    oc_status st = OC_OK;
    if (!chars || !s) {
        st = oc__fail_nomem(err);
        goto done;
    }
    char *at = chars;
    for (int64_t i = 0; i < n; i++) {
        oc_string *to = &s[place(f, i)];
        to->data = at;
        to->bytes = read_string(f, f->data + (size_t)i * f->width, at);
        at += to->bytes;
    }
    st = oc__value_alloc_strings(out, a, f->rank, f->dims, s, err);
done:
    oc__release(a, chars, text);
    oc__release(a, s, list);
    return st;
}

oc_status oc__npy_read(oc_value *out, const void *data, size_t bytes,
                       oc_dtype expect, const oc_allocator *a, oc_error *err) {
    npy f;
    int64_t n;
    size_t need;
    OC_TRY(parse(&f, data, bytes, err));
    oc_dtype dtype = dtype_of(&f, expect);
    if (dtype == OC_DTYPE_NONE) {
        return oc__fail(err, OC_E_UNSUPPORTED,
                        "an array of type %c%zu is not supported", f.kind,
                        f.width);
    }
    if (oc__dims_product(f.dims, f.rank, &n) ||
        oc__size_mul((size_t)n, f.width, &need)) {
        return malformed(err, "its shape is too large");
    }
    if (need > f.bytes) return malformed(err, "its data is cut off");
    /* Empty strings need no data: the shape could be anything. */
    if (f.width == 0 && n > (int64_t)f.bytes) {
        return malformed(err, "its elements have no bytes");
    }
    if (dtype == OC_DTYPE_STRING) return read_strings(&f, out, n, a, err);
    OC_TRY(oc__value_alloc_tensor(out, a, dtype, f.rank, f.dims, err));
    copy_elements(&f, n, out->t.data);
    return OC_OK;
}

/* ---- writing
 * --------------------------------------------------------------------- */

/* Bytes of an element and its NumPy name; 'X' where values are converted. */
static const char *descr_of(oc_dtype d) {
    switch (d) {
    case OC_DTYPE_F32: return "<f4";
    case OC_DTYPE_F64: return "<f8";
    case OC_DTYPE_F16: return "<f2";
    case OC_DTYPE_C64: return "<c8";
    case OC_DTYPE_C128: return "<c16";
    case OC_DTYPE_BOOL: return "|b1";
    case OC_DTYPE_U8:
    case OC_DTYPE_U4:
    case OC_DTYPE_U2: return "|u1";
    case OC_DTYPE_I8:
    case OC_DTYPE_I4:
    case OC_DTYPE_I2: return "|i1";
    case OC_DTYPE_U16: return "<u2";
    case OC_DTYPE_I16: return "<i2";
    case OC_DTYPE_U32: return "<u4";
    case OC_DTYPE_I32: return "<i4";
    case OC_DTYPE_U64: return "<u8";
    case OC_DTYPE_I64: return "<i8";
    default: return NULL; /* converted: narrow floats, strings */
    }
}

/* The header, padded so that the data starts at a multiple of 64. */
static size_t make_header(char *out, size_t room, const char *descr,
                          const oc_tensor *t) {
    char dims[OC_MAX_RANK * 24 + 8];
    size_t n = 0;
    dims[0] = '\0';
    for (int i = 0; i < t->rank; i++) {
        n += (size_t)snprintf(dims + n, sizeof(dims) - n, "%s%lld",
                              i ? ", " : "", (long long)t->dims[i]);
    }
    n = 10 + (size_t)snprintf(out + 10, room - 10,
                              "{'descr': '%s', 'fortran_order': False, "
                              "'shape': (%s%s), }",
                              descr, dims, t->rank == 1 ? "," : "");
    while (n % 64 != 63)
        out[n++] = ' ';
    out[n++] = '\n';
    memcpy(out, "\x93NUMPY\x01\x00", 8);
    out[8] = (char)((n - 10) & 255);
    out[9] = (char)((n - 10) >> 8);
    return n;
}

/* One character of UTF-8 (invalid bytes are U+FFFD); *s moves on. */
static uint32_t next_char(const uint8_t **s, const uint8_t *end) {
    uint8_t c = *(*s)++;
    int more = c < 0x80 ? 0 : c < 0xc0 ? -1 : c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3;
    if (more == 0) return c;
    if (more < 0 || end - *s < more) return 0xfffd;
    uint32_t v = c & (0x3fu >> more);
    for (int i = 0; i < more; i++) {
        if ((*(*s) & 0xc0) != 0x80) return 0xfffd;
        v = v << 6 | (*(*s)++ & 0x3f);
    }
    return v;
}

static oc_status write_strings(const oc_tensor *t, const char *path,
                               oc_error *err) {
    const oc_allocator *a = &oc__default_allocator;
    const oc_string *s = t->data;
    size_t n = (size_t)oc_tensor_elems(t), width = 1, bytes;
    for (size_t i = 0; i < n; i++) {
        /* At most as many characters as bytes. */
        if (s[i].bytes > width) width = s[i].bytes;
    }
    if (width > INT32_MAX / 4 || oc__size_mul(n, width * 4, &bytes)) {
        return oc__fail(err, OC_E_LIMIT, "strings too long for a .npy file");
    }
    uint8_t *data = oc__calloc(a, bytes, 1);
    if (!data) return oc__fail_nomem(err);
    for (size_t i = 0; i < n; i++) {
        uint8_t *to = data + i * width * 4;
        const uint8_t *p = (const uint8_t *)s[i].data, *end = p + s[i].bytes;
        while (p < end) {
            uint32_t c = next_char(&p, end);
            for (int b = 0; b < 4; b++) {
                *to++ = (uint8_t)(c >> 8 * b);
            }
        }
    }
    char descr[24], header[512];
    snprintf(descr, sizeof(descr), "<U%zu", width);
    oc__piece pieces[2] = {{header, 0}, {data, bytes}};
    pieces[0].bytes = make_header(header, sizeof(header), descr, t);
    oc_status st = oc__file_write_pieces(path, pieces, 2, err);
    oc__release(a, data, bytes);
    return st;
}

static oc_status write_as_f32(const oc_tensor *t, const char *path,
                              oc_error *err) {
    const oc_allocator *a = &oc__default_allocator;
    int64_t n = oc_tensor_elems(t);
    size_t bytes;
    if (oc__size_mul((size_t)n, sizeof(float), &bytes)) {
        return oc__fail_nomem(err);
    }
    oc_tensor wide = *t;
    wide.dtype = OC_DTYPE_F32;
    wide.data = oc__alloc(a, bytes);
    if (!wide.data) return oc__fail_nomem(err);
    for (int64_t i = 0; i < n; i++) {
        ((float *)wide.data)[i] = (float)oc__tensor_get_f64(t, i);
    }
    oc_status st = oc__npy_write(&wide, path, err);
    oc__release(a, wide.data, bytes);
    return st;
}

oc_status oc__npy_write(const oc_tensor *t, const char *path, oc_error *err) {
    if (t->dtype == OC_DTYPE_STRING) return write_strings(t, path, err);
    const char *descr = descr_of(t->dtype);
    if (!descr) return write_as_f32(t, path, err);
    char header[512], mine[8];
    const uint16_t one = 1;
    snprintf(mine, sizeof(mine), "%s", descr);
    /* Elements are written as they are; say so on a big-endian machine. */
    if (*(const uint8_t *)&one == 0 && mine[0] == '<') mine[0] = '>';
    oc__piece pieces[2] = {{header, 0}, {t->data, oc_tensor_bytes(t)}};
    pieces[0].bytes = make_header(header, sizeof(header), mine, t);
    return oc__file_write_pieces(path, pieces, 2, err);
}
