/*
 * labelled_csv.c - tables of pictures and labels.
 *
 * A table is read row by row in place: quotes as in RFC 4180, and commas,
 * semicolons or tabs between cells, whichever the first row has.  A row without
 * any of them is "file label", parted at its last blank, as ImageNet's lists
 * are.  The first row names the columns when its first cell is no picture.
 */
#define _POSIX_C_SOURCE 200809L

#include "data/labelled_build.h"

#include "base/ascii.h"
#include "base/file.h"
#include "base/text_number.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { MAX_COLUMNS = 1 << 16 };

/* A table while it is read.  Cells lie in the text. */
typedef struct {
    oc__builder *b;
    const char *dir, *path;
    oc__part part;
    char *at;       /* the rest of the text */
    char separator; /* 0: "file label" at the last blank */
    int line;       /* of the row in cells */
    int next_line;
    char **cells;
    size_t n, cap;
    /* which column is what; -1: none */
    int file, label, split;
    size_t one_hot;     /* columns of 0 and 1, or 0 */
    int32_t *columns;   /* their classes, -1 for file and split */
    int has_images;     /* pictures may be in dir/images */
    const char **names; /* of classes.txt, for indices */
    size_t n_names;
    int rows, missing;
    int unlabelled; /* line of the first row without a label */
    const char *first_missing;
} table;

static oc_status wrong(const table *t, oc_error *err, const char *what) {
    return oc__fail(err, OC_E_FORMAT, "%.200s, line %d: %.120s", t->path,
                    t->line, what);
}

/* ---- cells ----------------------------------------------------------------
 */

static char *trim(char *s) {
    size_t n;
    while (*s == ' ' || *s == '\t')
        s++;
    for (n = strlen(s);
         n && (s[n - 1] == ' ' || s[n - 1] == '\t' || s[n - 1] == '\r');)
        s[--n] = 0;
    return s;
}

static oc_status put_cell(table *t, char *cell, oc_error *err) {
    if (t->n >= MAX_COLUMNS) return wrong(t, err, "there are too many cells");
    char **v = oc__builder_room(t->b, t->cells, t->n, &t->cap, sizeof *v);
    if (!v) return oc__fail_nomem(err);
    t->cells = v;
    v[t->n++] = cell;
    return OC_OK;
}

/* A cell in quotes, unquoted in place; *s then stands behind the second one. */
static oc_status quoted(table *t, char **s, oc_error *err) {
    char *from = *s + 1, *to = *s;
    for (;; from++) {
        if (!*from) return wrong(t, err, "a quote is not closed");
        if (*from == '\n') t->next_line++;
        if (*from == '"') {
            if (from[1] != '"') break;
            from++;
        }
        *to++ = *from;
    }
    *to = 0;
    *s = from + 1;
    return OC_OK;
}

static oc_status next_cell(table *t, char **s, int *last, oc_error *err) {
    char *cell = *s, *end;
    while (*cell == ' ')
        cell++;
    if (*cell == '"') {
        end = cell;
        OC_TRY(quoted(t, &end, err));
        while (*end == ' ' || *end == '\r')
            end++;
        if (*end && *end != t->separator && *end != '\n')
            return wrong(t, err, "there is more behind a closed quote");
    } else {
        for (end = cell; *end && *end != '\n' && *end != t->separator;)
            end++;
    }
    *last = *end != t->separator;
    int over = !*end;
    /* Behind a quote the end is past the cell's own zero. */
    *end = 0;
    *s = over ? end : end + 1;
    return put_cell(t, trim(cell), err);
}

/* "a b.jpg 281": all but the last word is the file. */
static oc_status blank_row(table *t, char *row, oc_error *err) {
    row = trim(row);
    char *label = row + strlen(row);
    while (label > row && label[-1] != ' ' && label[-1] != '\t')
        label--;
    if (label == row) return wrong(t, err, "this is not a file and its label");
    char *end = label;
    while (end > row && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    *end = 0;
    OC_TRY(put_cell(t, row, err));
    return put_cell(t, label, err);
}

/* The next row that is not empty; t->n 0 at the end of the text. */
static oc_status next_row(table *t, oc_error *err) {
    t->n = 0;
    while (*t->at) {
        t->line = t->next_line++;
        char *row = t->at;
        size_t blank = strspn(row, " \t\r");
        if (row[blank] == '\n' || !row[blank] || row[blank] == '#') {
            char *end = strchr(row, '\n');
            t->at = end ? end + 1 : row + strlen(row);
            continue;
        }
        if (!t->separator) {
            char *end = strchr(row, '\n');
            t->at = end ? end + 1 : row + strlen(row);
            if (end) *end = 0;
            return blank_row(t, row, err);
        }
        for (int last = 0; !last;)
            OC_TRY(next_cell(t, &t->at, &last, err));
        return OC_OK;
    }
    return OC_OK;
}

/* ---- columns --------------------------------------------------------------
 */

static int is_one_of(const char *name, const char *const *list) {
    for (; *list; list++) {
        if (oc__ascii_same(name, *list)) return 1;
    }
    return 0;
}

static int is_picture(const char *name) {
    return oc_image_format_of_path(name) != OC_IMAGE_UNKNOWN;
}

/* The columns' names.  What is neither file nor part nor named label is a
   label each, when there are several. */
static oc_status read_header(table *t, oc_error *err) {
    static const char *const files[] = {
        "file",     "filename", "file_name", "image", "picture", "path",
        "filepath", "image_id", "id",        "name",  NULL};
    static const char *const labels[] = {"label", "labels",   "class",
                                         "tags",  "category", "classes",
                                         "tag",   "target",   NULL};
    static const char *const splits[] = {"split", "part", "subset", "set",
                                         NULL};
    size_t others = 0;
    t->file = t->label = t->split = -1;
    t->columns = oc__arena_array(&t->b->walk.arena, t->n, sizeof(int32_t));
    if (!t->columns) return oc__fail_nomem(err);
    for (size_t i = 0; i < t->n; i++) {
        int taken = 1;
        if (t->file < 0 && is_one_of(t->cells[i], files))
            t->file = (int)i;
        else if (t->label < 0 && is_one_of(t->cells[i], labels))
            t->label = (int)i;
        else if (t->split < 0 && is_one_of(t->cells[i], splits))
            t->split = (int)i;
        else
            taken = 0;
        t->columns[i] = taken ? -1 : 0;
        others += !taken;
    }
    if (t->file < 0) { /* a name we do not know: the first column is it */
        if (t->columns[0] < 0)
            return wrong(t, err, "no column is named \"file\"");
        t->file = 0;
        t->columns[0] = -1;
        others--;
    }
    if (t->label >= 0) return OC_OK;
    if (others == 0) return wrong(t, err, "no column is named \"label\"");
    for (size_t i = 0; i < t->n; i++) {
        if (t->columns[i] < 0) continue;
        if (others == 1) {
            t->label = (int)i;
            return OC_OK;
        }
        OC_TRY(oc__builder_name(t->b, t->cells[i], strlen(t->cells[i]),
                                &t->columns[i], err));
    }
    t->one_hot = t->n;
    t->b->columns = 1;
    return OC_OK;
}

/* ---- labels ---------------------------------------------------------------
 */

static int is_index(const char *s, size_t n, long *out) {
    char text[12];
    if (!n || n >= sizeof text || strspn(s, "0123456789") < n) return 0;
    memcpy(text, s, n);
    text[n] = 0;
    *out = strtol(text, NULL, 10);
    return 1;
}

/* One label: a name, or an index into the names that are known. */
static oc_status put_label(table *t, const char *s, size_t n, oc_error *err) {
    int32_t name;
    long v;
    if (is_index(s, n, &v)) {
        const oc__labelled_options *opt = t->b->opt;
        if (t->names) {
            if (v < 0 || (size_t)v >= t->n_names)
                return oc__fail(err, OC_E_FORMAT,
                                "%.200s, line %d: there is no class %ld in "
                                "classes.txt",
                                t->path, t->line, v);
            s = t->names[v];
            n = strlen(s);
        } else if (opt->n_known) {
            /* Names that are numbers ("0" to "9") are themselves; a name made
               here and not used is no class in the end. */
            OC_TRY(oc__builder_name(t->b, s, n, &name, err));
            if (name >= opt->n_known && v < opt->n_known) name = (int32_t)v;
            return oc__builder_label(t->b, name, err);
        }
    }
    OC_TRY(oc__builder_name(t->b, s, n, &name, err));
    return oc__builder_label(t->b, name, err);
}

static oc_status split_labels(table *t, char *cell, int32_t *count,
                              oc_error *err) {
    const char *between = t->separator == ';' ? "|" : ";|";
    *count = 0;
    for (char *s = cell;;) {
        size_t n = strcspn(s, between);
        size_t from = strspn(s, " "), to = n;
        while (to > from && s[to - 1] == ' ')
            to--;
        if (to > from) {
            OC_TRY(put_label(t, s + from, to - from, err));
            ++*count;
        }
        if (!s[n]) break;
        t->b->separators = 1;
        s += n + 1;
    }
    return OC_OK;
}

static oc_status hot_labels(table *t, int32_t *count, oc_error *err) {
    *count = 0;
    for (size_t i = 0; i < t->one_hot; i++) {
        const char *cell = t->cells[i];
        if (t->columns[i] < 0) continue;
        double v;
        if (oc__text_to_f64(cell, strlen(cell), &v) || (v != 0 && v != 1)) {
            return oc__fail(err, OC_E_FORMAT,
                            "%.200s, line %d: \"%.60s\" is neither 0 nor 1; "
                            "name the column of labels \"label\"",
                            t->path, t->line, cell);
        }
        if (v == 0) continue;
        OC_TRY(oc__builder_label(t->b, t->columns[i], err));
        ++*count;
    }
    return OC_OK;
}

/* ---- rows -----------------------------------------------------------------
 */

/* The file as written, in images/, or without its ending; bytes -1: no. */
static oc_status find_file(table *t, const char *file, oc__found *f,
                           oc_error *err) {
    static const char *const endings[] = {"", ".jpg", ".jpeg", ".png"};
    struct stat s;
    f->bytes = -1;
    f->path = file[0] == '/' ? file : oc__path_join(&t->b->walk, t->dir, file);
    if (!f->path) return oc__fail_nomem(err);
    if (t->b->no_files) {
        f->bytes = 1;
        return OC_OK;
    }
    size_t tries = is_picture(file) ? 1 : OC_COUNT(endings);
    for (int in_images = 0; in_images <= t->has_images; in_images++) {
        for (size_t i = 0; i < tries; i++) {
            char path[OC_MAX_PATH];
            int n =
                file[0] == '/'
                    ? snprintf(path, sizeof path, "%s%s", file, endings[i])
                    : snprintf(path, sizeof path, "%s/%s%s%s", t->dir,
                               in_images ? "images/" : "", file, endings[i]);
            if (n <= 0 || (size_t)n >= sizeof path) continue;
            if (stat(path, &s) || !S_ISREG(s.st_mode)) continue;
            f->path = oc__arena_strdup(&t->b->walk.arena, path);
            f->bytes = (int64_t)s.st_size;
            return f->path ? OC_OK : oc__fail_nomem(err);
        }
    }
    return OC_OK;
}

static oc_status take_row(table *t, oc_error *err) {
    oc__found f = {.where = t->path, .line = t->line, .part = t->part};
    size_t need =
        t->one_hot ? t->one_hot : (size_t)OC_MAX(t->file, t->label) + 1;
    if (t->n < need || (t->one_hot && t->n != need)) {
        char what[80];
        snprintf(what, sizeof what, "there are %zu cells instead of %zu", t->n,
                 need);
        return wrong(t, err, what);
    }
    if (!t->cells[t->file][0]) return wrong(t, err, "the file has no name");
    if (t->split >= 0 && (size_t)t->split < t->n) {
        f.part = oc__part_of_name(t->cells[t->split]);
        if (f.part == OC_PART_COUNT)
            return oc__fail(err, OC_E_FORMAT,
                            "%.200s, line %d: \"%.60s\" is neither train nor "
                            "val nor test",
                            t->path, t->line, t->cells[t->split]);
        t->b->has_part[f.part] = 1;
    }
    if (t->one_hot)
        OC_TRY(hot_labels(t, &f.n_labels, err));
    else
        OC_TRY(split_labels(t, t->cells[t->label], &f.n_labels, err));
    if (!f.n_labels && !t->unlabelled) t->unlabelled = t->line;
    t->rows++;
    OC_TRY(find_file(t, t->cells[t->file], &f, err));
    if (f.bytes >= 0) return oc__builder_add(t->b, &f, err);
    t->b->n_labels -= (size_t)f.n_labels;
    t->missing++;
    if (!t->first_missing) t->first_missing = f.path;
    return oc__builder_bad(t->b, &f, "there is no such file", err);
}

/* ---- tables ---------------------------------------------------------------
 */

static oc_status take_class(oc_dataset *d, char *line, void *ctx,
                            oc_error *err) {
    (void)ctx;
    return oc__dataset_add_class(d, line, (int64_t)d->n_classes, err);
}

/* classes.txt beside the table, or one further up. */
static oc_status read_names(table *t, oc_error *err) {
    static const char *const places[] = {"classes.txt", "../classes.txt"};
    oc_dataset *d = &t->b->walk;
    for (size_t i = 0; i < OC_COUNT(places); i++) {
        if (!oc__has(t->dir, places[i], 2)) continue;
        char *path = oc__path_join(d, t->dir, places[i]);
        if (!path) return oc__fail_nomem(err);
        d->n_classes = d->cap_classes = 0;
        OC_TRY(oc__dataset_lines(d, path, take_class, NULL, err));
        t->names = d->classes;
        t->n_names = d->n_classes;
        return OC_OK;
    }
    return OC_OK;
}

/* What parts the cells: whichever of these the first row has first. */
static char find_separator(const char *text) {
    size_t at = strcspn(text, ",;\t\n");
    /* A list of files and indices may be parted by a tab as well. */
    return text[at] == '\n' ? 0 : text[at];
}

static oc_status first_row(table *t, int *again, oc_error *err) {
    *again = 1;
    t->file = 0;
    t->label = 1;
    t->split = -1;
    if (!is_picture(t->cells[0]) &&
        (t->separator || !strcmp(t->cells[0], "file"))) {
        *again = 0;
        return read_header(t, err);
    }
    if (t->n == 2) return OC_OK;
    if (t->n == 1) return wrong(t, err, "this is not a file and its label");
    if (t->n == 3 && oc__part_of_name(t->cells[2]) != OC_PART_COUNT) {
        t->split = 2;
        return OC_OK;
    }
    return wrong(t, err,
                 "there are more than two columns: name them in a first line");
}

static oc_status table_rows(table *t, oc_error *err) {
    int again;
    OC_TRY(next_row(t, err));
    if (!t->n) return OC_OK;
    OC_TRY(first_row(t, &again, err));
    for (;;) {
        if (!again) OC_TRY(next_row(t, err));
        again = 0;
        if (!t->n) return OC_OK;
        OC_TRY(take_row(t, err));
    }
}

oc_status oc__labelled_table_text(oc__builder *b, const char *dir,
                                  const char *path, char *text, oc__part part,
                                  oc_error *err) {
    table t = {.b = b, .dir = dir, .path = path, .part = part, .at = text};
    /* Windows' editors begin with a byte order mark. */
    if (!strncmp(text, "\xef\xbb\xbf", 3)) t.at += 3;
    t.separator = find_separator(t.at);
    t.next_line = 1;
    if (!b->no_files) {
        t.has_images = oc__has(dir, "images", 1);
        OC_TRY(read_names(&t, err));
    }
    OC_TRY(table_rows(&t, err));
    if (t.unlabelled && !t.one_hot && !b->separators) {
        t.line = t.unlabelled;
        return wrong(&t, err, "the picture has no label");
    }
    if (t.missing > t.rows / 2)
        return oc__fail(err, OC_E_FORMAT,
                        "%d of %d pictures of %.100s are not there, %.200s "
                        "the first",
                        t.missing, t.rows, path, t.first_missing);
    b->l->form = t.one_hot       ? "a table with a column for each label"
                 : b->separators ? "a table with several labels to a picture"
                                 : "a table of files and labels";
    return OC_OK;
}

oc_status oc__labelled_table(oc__builder *b, const char *dir, const char *path,
                             oc__part part, oc_error *err) {
    oc__file file = {0};
    OC_TRY(oc__file_map(&file, path, OC_MAX_LIST, err));
    size_t bytes = file.bytes;
    char *text = oc__arena_strndup(&b->walk.arena,
                                   bytes ? (const char *)file.data : "", bytes);
    oc__file_unmap(&file);
    if (!text) return oc__fail_nomem(err);
    if (strlen(text) < bytes)
        return oc__fail(err, OC_E_FORMAT,
                        "%.200s has a zero byte; is it UTF-8?", path);
    return oc__labelled_table_text(b, dir, path, text, part, err);
}
