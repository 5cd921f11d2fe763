/*
 * walk_dir.h - folders, listed in a fixed order.
 */
#ifndef OCELLI_CLI_WALK_DIR_H
#define OCELLI_CLI_WALK_DIR_H

#include <stddef.h>

/** Names, sorted; each one malloc'ed. */
typedef struct dir_list {
    char **names;
    size_t n, capacity;
} dir_list;

/**
 * Lists the names in a folder, without those that start with a dot; "10" goes
 * behind "9".  Returns 0, or an errno value.
 */
int dir_read(dir_list *out, const char *path);
void dir_deinit(dir_list *list);
/** 1 for a folder, 0 for another file, -1 when there is nothing. */
int dir_is(const char *path);
/** "a/b", malloc'ed; NULL: out of memory. */
char *dir_join(const char *a, const char *b);

#endif
