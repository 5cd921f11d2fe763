/*
 * scene.h - what the files that make scenes and descriptions share.
 */
#ifndef OC_WORDS_SCENE_H
#define OC_WORDS_SCENE_H

#include "base/memory.h"
#include "words/concepts.h"

enum { OC_SCENE_MAX_RESULTS = 32 };

/** The memory behind the `owned` of a public struct. */
typedef struct oc__kept {
    oc_allocator allocator;
    oc__arena arena;
} oc__kept;

/** allocator NULL: default.  NULL: no memory, with the sentence. */
oc__kept *oc__kept_create(const oc_allocator *allocator, oc_error *err);
void oc__kept_destroy(oc__kept *kept); /* NULL is ignored */

/** A scene in the making. */
typedef struct oc__scene_work {
    oc_scene *scene;
    oc__arena *arena;
    const oc_result *results;
    int n_results;
    double view_degrees, sure;
} oc__scene_work;

/** Intersection over union, 0..1. */
double oc__box_iou(const float a[4], const float b[4]);
/** How much of the smaller box lies in the other, 0..1. */
double oc__box_share(const float a[4], const float b[4]);
/** Fills in what things have to do with one another (scene_relate.c). */
oc_status oc__scene_relate(oc__scene_work *w, oc_error *err);

#endif
