/*
 * pictures.h - which files INPUT... means.
 */
#ifndef OCELLI_CLI_PICTURES_H
#define OCELLI_CLI_PICTURES_H

#include <stddef.h>

/** Paths in a fixed order, each malloc'ed. */
typedef struct picture_list {
    char **paths;
    size_t n, capacity;
} picture_list;

/**
 * Adds what `input` means: a file, every picture in and below a folder, what
 * a glob pattern matches, or "-" for standard input.  Returns an exit code,
 * with the sentence printed.
 */
int pictures_add(picture_list *list, const char *input);
void pictures_deinit(picture_list *list);
/**
 * Calls look for each picture, with a bar on a terminal unless quiet.  One that
 * fails (its sentence printed) does not stop the others.  Returns CLI_OK, the
 * code of the only picture, or CLI_FAILED with how many failed.
 */
int pictures_each(const picture_list *list, const char *label, int quiet,
                  int (*look)(void *user, const char *path), void *user);

/**
 * "DIR/name.ext" for an output made from `input`, malloc'ed; NULL: no memory.
 * The name is the input's without its ending ("stdin" for "-"), `tag` and
 * `ending` come behind.  Names that were taken get -2, -3 ...
 */
typedef struct output_names {
    char **taken;
    size_t n, capacity;
} output_names;
char *output_name(output_names *names, const char *dir, const char *input,
                  const char *tag, const char *ending);
void output_names_deinit(output_names *names);
/** Makes a folder unless it is there; an exit code. */
int make_folder(const char *dir);

#endif
