/*
 * tree.h - files in a temporary folder for one test program.
 */
#ifndef OC_TESTS_TREE_H
#define OC_TESTS_TREE_H

#include <stddef.h>

/** Group set-up and tear-down for cmocka. */
int tree_make(void **state);
int tree_remove(void **state);
/** The file's full name; the text of one call is gone after four more. */
const char *tree_path(const char *name);
/** Writes a file, making its folders. */
void tree_put(const char *name, const void *data, size_t n);
void tree_text(const char *name, const char *text);
/** A PPM of that size, seeded noise in it. */
void tree_picture(const char *name, int width, int height, unsigned seed);

#endif
