/* labelled.c - see labelled.h. */
#include "data/labelled_build.h"

#include "base/ascii.h"

#include <math.h>
#include <string.h>
#include <sys/stat.h>

enum { MAX_DEPTH = 8 };

oc__part oc__part_of_name(const char *name) {
    static const struct {
        const char *name;
        oc__part part;
    } table[] = {
        {"train", OC_PART_TRAIN},    {"training", OC_PART_TRAIN},
        {"val", OC_PART_VAL},        {"valid", OC_PART_VAL},
        {"validation", OC_PART_VAL}, {"test", OC_PART_TEST},
        {"testing", OC_PART_TEST},
    };
    for (size_t i = 0; i < OC_COUNT(table); i++) {
        if (oc__ascii_same(name, table[i].name)) return table[i].part;
    }
    return OC_PART_COUNT;
}

static int ends_in(const char *name, const char *end) {
    size_t n = strlen(name), m = strlen(end);
    return n > m && oc__ascii_same(name + n - m, end);
}

static int is_picture(const char *name) {
    return oc_image_format_of_path(name) != OC_IMAGE_UNKNOWN;
}

/* ---- a folder for each class ----------------------------------------------
 */

static oc_status add_picture(oc__builder *b, const char *path, int32_t name,
                             oc__part part, oc_error *err) {
    struct stat s;
    oc__found f = {.path = path, .n_labels = 1, .part = part};
    if (stat(path, &s) || !S_ISREG(s.st_mode)) return OC_OK;
    f.bytes = (int64_t)s.st_size;
    OC_TRY(oc__builder_label(b, name, err));
    return oc__builder_add(b, &f, err);
}

/* All pictures in and below a class's folder. */
static oc_status add_below(oc__builder *b, const char *folder,
                           const oc__names_in *files, int32_t name,
                           oc__part part, int depth, oc_error *err) {
    for (size_t i = 0; i < files->n; i++) {
        oc__names_in inner;
        char *path = oc__path_join(&b->walk, folder, files->v[i]);
        if (!path) return oc__fail_nomem(err);
        if (is_picture(files->v[i])) {
            OC_TRY(add_picture(b, path, name, part, err));
        } else if (depth < MAX_DEPTH && oc__path_kind(path) == 1) {
            OC_TRY(oc__dir_list(&b->walk, path, &inner, err));
            OC_TRY(add_below(b, path, &inner, name, part, depth + 1, err));
        }
    }
    return OC_OK;
}

/* A folder with pictures is a class.  One that has only folders is a class of
   classes, whose names begin with its own. */
static oc_status add_class(oc__builder *b, const char *folder, const char *name,
                           oc__part part, int depth, oc_error *err) {
    oc__names_in files;
    int pictures = 0, folders = 0;
    OC_TRY(oc__dir_list(&b->walk, folder, &files, err));
    for (size_t i = 0; i < files.n; i++) {
        if (is_picture(files.v[i]))
            pictures = 1;
        else if (oc__has(folder, files.v[i], 1))
            folders = 1;
    }
    if (!pictures && !folders)
        return oc__fail(err, OC_E_FORMAT,
                        "the class \"%.100s\" has no pictures: add some to "
                        "%.200s or remove the folder",
                        name, folder);
    if (pictures) {
        int32_t number;
        OC_TRY(oc__builder_name(b, name, strlen(name), &number, err));
        return add_below(b, folder, &files, number, part, depth, err);
    }
    if (depth >= MAX_DEPTH)
        return oc__fail(err, OC_E_LIMIT, "%.200s is too deep", folder);
    for (size_t i = 0; i < files.n; i++) {
        if (!oc__has(folder, files.v[i], 1)) continue;
        char *inner = oc__path_join(&b->walk, folder, files.v[i]);
        char *longer = oc__path_join(&b->walk, name, files.v[i]);
        if (!inner || !longer) return oc__fail_nomem(err);
        OC_TRY(add_class(b, inner, longer, part, depth + 1, err));
    }
    return OC_OK;
}

/* The table of a folder: labels.txt, labels.csv or its only .csv. */
static const char *table_in(const char *dir, const oc__names_in *names) {
    static const char *const usual[] = {"labels.csv", "labels.txt",
                                        "labels.tsv"};
    const char *found = NULL;
    for (size_t i = 0; i < OC_COUNT(usual); i++) {
        if (oc__has(dir, usual[i], 2)) return usual[i];
    }
    for (size_t i = 0; i < names->n; i++) {
        if (!ends_in(names->v[i], ".csv")) continue;
        if (found) return NULL;
        found = names->v[i];
    }
    return found;
}

oc_status oc__labelled_folder(oc__builder *b, const char *dir, oc__part part,
                              oc_error *err) {
    oc__names_in names;
    int pictures = 0;
    OC_TRY(oc__dir_list(&b->walk, dir, &names, err));
    const char *table = table_in(dir, &names);
    if (table) {
        char *path = oc__path_join(&b->walk, dir, table);
        if (!path) return oc__fail_nomem(err);
        return oc__labelled_table(b, dir, path, part, err);
    }
    b->l->form = "a folder for each class";
    size_t before = b->n_names;
    for (size_t i = 0; i < names.n; i++) {
        pictures |= is_picture(names.v[i]);
        if (!oc__has(dir, names.v[i], 1)) continue;
        char *folder = oc__path_join(&b->walk, dir, names.v[i]);
        if (!folder) return oc__fail_nomem(err);
        OC_TRY(add_class(b, folder, names.v[i], part, 1, err));
    }
    if (pictures && b->n_names == before && !b->n)
        return oc__fail(err, OC_E_FORMAT,
                        "the pictures in %.200s have no labels: put them into "
                        "a folder for each class, or write a labels.csv",
                        dir);
    return OC_OK;
}

/* ---- parts ----------------------------------------------------------------
 */

/* The folder of the part, or its table; NULL: there is none. */
static const char *find_part(oc__builder *b, const char *dir, oc__part part,
                             const oc__names_in *names, int *table) {
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < names->n; i++) {
            char stem[64];
            const char *name = names->v[i];
            size_t n = strlen(name);
            *table = ends_in(name, ".csv") || ends_in(name, ".txt");
            if (*table != pass || n >= sizeof stem) continue;
            memcpy(stem, name, n + 1);
            if (*table) stem[n - 4] = 0;
            if (oc__part_of_name(stem) == part &&
                oc__has(dir, name, *table ? 2 : 1))
                return oc__path_join(&b->walk, dir, name);
        }
    }
    return NULL;
}

static oc_status read_part(oc__builder *b, const char *dir, const char *path,
                           oc__part part, oc_error *err) {
    size_t before = b->n;
    b->has_part[part] = 1;
    if (oc__path_kind(path) == 2)
        OC_TRY(oc__labelled_table(b, dir, path, part, err));
    else
        OC_TRY(oc__labelled_folder(b, path, part, err));
    if (b->n == before && !b->l->n_bad)
        return oc__fail(err, OC_E_FORMAT, "%.200s holds no pictures", path);
    return OC_OK;
}

static oc_status read_all(oc__builder *b, const char *dir, oc_error *err) {
    const oc__labelled_options *opt = b->opt;
    oc__names_in names = {0};
    int kind = oc__path_kind(dir), found = 0, table;
    if (!kind) return oc__fail(err, OC_E_IO, "there is no folder %.200s", dir);
    if (kind == 2 || opt->labels) {
        const char *list = opt->labels ? opt->labels : dir;
        char *folder = oc__arena_strdup(&b->walk.arena, dir);
        if (!folder) return oc__fail_nomem(err);
        char *slash = kind == 2 ? strrchr(folder, '/') : NULL;
        if (slash) *slash = 0;
        OC_TRY(oc__labelled_table(b, kind == 2 && !slash ? "." : folder, list,
                                  OC_PART_TRAIN, err));
        found = 1;
    } else {
        OC_TRY(oc__dir_list(&b->walk, dir, &names, err));
    }
    if (opt->val) {
        if (!oc__path_kind(opt->val))
            return oc__fail(err, OC_E_IO, "there is no folder %.200s",
                            opt->val);
        OC_TRY(read_part(b, dir, opt->val, OC_PART_VAL, err));
    }
    const char *train =
        found ? NULL : find_part(b, dir, OC_PART_TRAIN, &names, &table);
    for (int part = 0; train && part < OC_PART_COUNT; part++) {
        const char *path = find_part(b, dir, (oc__part)part, &names, &table);
        if (!path || (part == OC_PART_VAL && opt->val)) continue;
        OC_TRY(read_part(b, dir, path, (oc__part)part, err));
        found = 1;
    }
    if (found) return OC_OK;
    return oc__labelled_folder(b, dir, OC_PART_TRAIN, err);
}

oc_status oc__labelled_open(oc__labelled **out, const char *dir,
                            const oc__labelled_options *opt, oc_error *err) {
    static const oc__labelled_options none = {0};
    if (!opt) opt = &none;
    const oc_allocator *a =
        opt->allocator ? opt->allocator : &oc__default_allocator;
    oc__labelled *l = oc__calloc(a, 1, sizeof *l);
    if (!l) return oc__fail_nomem(err);
    oc__builder b;
    l->allocator = *a;
    oc_status st = oc__builder_init(&b, l, opt, err);
    if (!st) st = read_all(&b, dir, err);
    if (!st) st = oc__builder_finish(&b, dir, err);
    l->arena = b.walk.arena; /* what was found lives on in it */
    if (st) {
        oc__labelled_destroy(l);
        return st;
    }
    *out = l;
    return OC_OK;
}

void oc__labelled_destroy(oc__labelled *l) {
    if (!l) return;
    oc_allocator a = l->allocator;
    oc__arena_deinit(&l->arena);
    oc__release(&a, l, sizeof *l);
}

/* ---- balance --------------------------------------------------------------
 */

void oc__labelled_weights(const oc__labelled *l, double strength, float *out) {
    const int32_t *counts = l->counts[OC_PART_TRAIN];
    double sum = 0, n = 0;
    for (int c = 0; c < l->n_classes; c++) {
        double w = counts[c] ? pow(counts[c], -strength) : 0;
        out[c] = (float)w;
        sum += w * counts[c];
        n += counts[c];
    }
    for (int c = 0; c < l->n_classes && sum > 0; c++)
        out[c] = (float)(out[c] * (n / sum));
}

void oc__labelled_positive_weights(const oc__labelled *l, double most,
                                   float *out) {
    double n = oc__labelled_count(l, OC_PART_TRAIN);
    if (!(most >= 1)) most = 1;
    for (int c = 0; c < l->n_classes; c++) {
        double with = l->counts[OC_PART_TRAIN][c];
        double w = with > 0 ? (n - with) / with : 1;
        out[c] = (float)OC_MIN(OC_MAX(w, 1 / most), most);
    }
}

double oc__labelled_imbalance(const oc__labelled *l) {
    int32_t least = INT32_MAX, most = 0;
    for (int c = 0; c < l->n_classes; c++) {
        int32_t n = l->counts[OC_PART_TRAIN][c];
        if (!n) continue; /* a known class that is not in this data */
        least = OC_MIN(least, n);
        most = OC_MAX(most, n);
    }
    return most ? (double)most / least : 1;
}
