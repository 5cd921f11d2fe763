/* walk_dir.c - see walk_dir.h. */
#define _POSIX_C_SOURCE 200809L

#include "walk_dir.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Runs of digits compare as numbers. */
static int natural(const char *a, const char *b) {
    while (*a && *b) {
        if (isdigit((unsigned char)*a) && isdigit((unsigned char)*b)) {
            while (*a == '0' && isdigit((unsigned char)a[1]))
                a++;
            while (*b == '0' && isdigit((unsigned char)b[1]))
                b++;
            size_t n = strspn(a, "0123456789"), m = strspn(b, "0123456789");
            if (n != m) return n < m ? -1 : 1;
            int c = strncmp(a, b, n);
            if (c) return c;
            a += n;
            b += m;
        } else if (*a != *b) {
            break;
        } else {
            a++;
            b++;
        }
    }
    return (unsigned char)*a - (unsigned char)*b;
}

static int by_name(const void *a, const void *b) {
    const char *x = *(char *const *)a, *y = *(char *const *)b;
    int c = natural(x, y);
    return c ? c : strcmp(x, y);
}

static int add(dir_list *list, const char *name) {
    if (list->n == list->capacity) {
        size_t capacity = list->capacity ? 2 * list->capacity : 64;
        char **names = realloc(list->names, capacity * sizeof(*names));
        if (!names) return ENOMEM;
        list->names = names;
        list->capacity = capacity;
    }
    list->names[list->n] = strdup(name);
    return list->names[list->n++] ? 0 : ENOMEM;
}

int dir_read(dir_list *out, const char *path) {
    memset(out, 0, sizeof(*out));
    DIR *d = opendir(path);
    if (!d) return errno;
    int why = 0;
    for (;;) {
        errno = 0;
        const struct dirent *e = readdir(d);
        if (!e) {
            why = errno;
            break;
        }
        if (e->d_name[0] == '.') continue;
        why = add(out, e->d_name);
        if (why) break;
    }
    closedir(d);
    if (why)
        dir_deinit(out);
    else if (out->n)
        qsort(out->names, out->n, sizeof(*out->names), by_name);
    return why;
}

void dir_deinit(dir_list *list) {
    for (size_t i = 0; i < list->n; i++) {
        free(list->names[i]);
    }
    free(list->names);
    memset(list, 0, sizeof(*list));
}

int dir_is(const char *path) {
    struct stat st;
    if (stat(path, &st)) return -1;
    return S_ISDIR(st.st_mode) != 0;
}

char *dir_join(const char *a, const char *b) {
    size_t n = strlen(a), m = strlen(b);
    char *path = malloc(n + m + 2);
    if (!path) return NULL;
    memcpy(path, a, n);
    size_t slash = n && a[n - 1] != '/';
    if (slash) path[n] = '/';
    memcpy(path + n + slash, b, m + 1);
    return path;
}
