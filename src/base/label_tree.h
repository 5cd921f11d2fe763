/*
 * label_tree.h - classes in classes: labels that are paths, as "animal/cat".
 *
 * Level 1 is the outermost one, "animal".  A label of fewer levels stands for
 * itself on all further ones.
 */
#ifndef OC_BASE_LABEL_TREE_H
#define OC_BASE_LABEL_TREE_H

#include <stddef.h>
#include <stdint.h>

/** Bytes of a label's first `level` parts, without a slash at the end. */
size_t oc__label_prefix(const char *label, int level);

/** Nonzero when both are in the same class of this level. */
int oc__label_same(const char *a, const char *b, int level);

/**
 * Numbers of labels in an order in which those of one class stand together,
 * on every level.  order: room for 2 n, of which the first n are filled.
 * Returns how many levels there are above the labels: 0 unless two of them
 * are in one class.
 */
int oc__label_order(const char *const *labels, int n, int64_t *order);

#endif
