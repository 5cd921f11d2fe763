/* pictures.c - see pictures.h. */
#define _POSIX_C_SOURCE 200809L

#include "pictures.h"

#include "cli.h"
#include "out.h"
#include "walk_dir.h"

#include <ocelli/vision.h>

#include <errno.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { MAX_DEPTH = 16 };

static int no_memory(void) {
    return cli_fail(CLI_RESOURCES, "out of memory");
}

/* Appends s (taken) to a list; 0: no memory, s is freed. */
static int append(char ***list, size_t *n, size_t *capacity, char *s) {
    if (s && *n == *capacity) {
        size_t more = *capacity ? 2 * *capacity : 64;
        char **grown = realloc(*list, more * sizeof(*grown));
        if (grown) {
            *list = grown;
            *capacity = more;
        }
    }
    if (!s || *n == *capacity) {
        free(s);
        return 0;
    }
    (*list)[(*n)++] = s;
    return 1;
}

static int add_path(picture_list *list, char *path) {
    return append(&list->paths, &list->n, &list->capacity, path) ? CLI_OK
                                                                 : no_memory();
}

static int add_folder(picture_list *list, const char *dir, int depth) {
    dir_list names;
    int why = dir_read(&names, dir), code = CLI_OK;
    if (why)
        return cli_fail(CLI_BAD_INPUT, "cannot read the folder %s: %s", dir,
                        strerror(why));
    for (size_t i = 0; i < names.n && !code; i++) {
        char *path = dir_join(dir, names.names[i]);
        if (!path) {
            code = no_memory();
        } else if (dir_is(path) == 1) {
            if (depth < MAX_DEPTH) code = add_folder(list, path, depth + 1);
            free(path);
        } else if (oc_image_format_of_path(path) != OC_IMAGE_UNKNOWN) {
            code = add_path(list, path);
        } else {
            free(path); /* label files and the like */
        }
    }
    dir_deinit(&names);
    return code;
}

static int add_glob(picture_list *list, const char *pattern) {
    glob_t found;
    int code = CLI_OK;
    int why = glob(pattern, 0, NULL, &found);
    if (why == GLOB_NOSPACE) return no_memory();
    if (why) return cli_fail(CLI_BAD_INPUT, "nothing matches %s", pattern);
    for (size_t i = 0; i < found.gl_pathc && !code; i++) {
        if (dir_is(found.gl_pathv[i]) == 1)
            code = add_folder(list, found.gl_pathv[i], 0);
        else
            code = add_path(list, strdup(found.gl_pathv[i]));
    }
    globfree(&found);
    return code;
}

int pictures_add(picture_list *list, const char *input) {
    if (!strcmp(input, "-")) return add_path(list, strdup(input));
    int kind = dir_is(input);
    if (kind == 1) {
        size_t before = list->n;
        int code = add_folder(list, input, 0);
        if (!code && list->n == before)
            return cli_fail(CLI_BAD_INPUT, "the folder %s has no pictures",
                            input);
        return code;
    }
    /* A file's name may have a bracket in it. */
    if (kind < 0 && strpbrk(input, "*?[")) return add_glob(list, input);
    return add_path(list, strdup(input));
}

static void free_all(char **list, size_t n) {
    for (size_t i = 0; i < n; i++) {
        free(list[i]);
    }
    free(list);
}

void pictures_deinit(picture_list *list) {
    free_all(list->paths, list->n);
    memset(list, 0, sizeof(*list));
}

int pictures_each(const picture_list *list, const char *label, int quiet,
                  int (*look)(void *user, const char *path), void *user) {
    out_progress bar;
    size_t n = list->n, failed = 0;
    int code = CLI_OK;
    out_progress_begin(&bar, label, (int64_t)n, quiet || n < 2);
    for (size_t i = 0; i < n; i++) {
        int one = look(user, list->paths[i]);
        if (one) {
            failed++;
            code = one;
        }
        out_progress_add(&bar, 1);
    }
    out_progress_end(&bar);
    if (!failed || n == 1) return code;
    return cli_fail(CLI_FAILED, "%zu of %zu pictures failed", failed, n);
}

/* ---- outputs ------------------------------------------------------------- */

static int is_taken(const output_names *names, const char *path,
                    const char *input) {
    struct stat a, b;
    for (size_t i = 0; i < names->n; i++) {
        if (!strcmp(names->taken[i], path)) return 1;
    }
    /* Never write over the picture itself. */
    return !stat(path, &a) && !stat(input, &b) && a.st_ino == b.st_ino &&
           a.st_dev == b.st_dev;
}

char *output_name(output_names *names, const char *dir, const char *input,
                  const char *tag, const char *ending) {
    const char *slash = strrchr(input, '/');
    const char *base = strcmp(input, "-") ? slash ? slash + 1 : input : "stdin";
    const char *dot = strrchr(base, '.');
    int n = dot && dot != base ? (int)(dot - base) : (int)strlen(base);
    size_t room =
        strlen(dir) + strlen(base) + strlen(tag) + strlen(ending) + 32;
    char *path = malloc(room);
    for (int k = 1; path; k++) {
        char number[16] = "";
        if (k > 1) snprintf(number, sizeof(number), "-%d", k);
        snprintf(path, room, "%s/%.*s%s%s%s", dir, n, base, number, tag,
                 ending);
        if (!is_taken(names, path, input)) break;
    }
    char *copy = path ? strdup(path) : NULL;
    if (!copy || !append(&names->taken, &names->n, &names->capacity, copy)) {
        free(path);
        return NULL;
    }
    return path;
}

void output_names_deinit(output_names *names) {
    free_all(names->taken, names->n);
    memset(names, 0, sizeof(*names));
}

int make_folder(const char *dir) {
    if (!mkdir(dir, 0777) || (errno == EEXIST && dir_is(dir) == 1))
        return CLI_OK;
    return cli_fail(CLI_FAILED, "cannot make the folder %s: %s", dir,
                    strerror(errno == EEXIST ? ENOTDIR : errno));
}
