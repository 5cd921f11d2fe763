/*
 * describe.h - things by name, for descriptions and for news.
 */
#ifndef OC_WORDS_DESCRIBE_H
#define OC_WORDS_DESCRIBE_H

#include "words/locale.h"
#include "words/scene.h"

/** Things of one name, all sure or none. */
typedef struct oc__group {
    int n;
    int *members; /* numbers in the scene, in its order */
} oc__group;

/** Groups in the scene's order, how many; -1: no memory. */
int oc__scene_group(const oc_scene *s, oc__arena *arena, oc__group **out);
/** "two people on the left, close"; NULL: no memory. */
const char *oc__say_group(const oc_words *words, const oc_scene *s,
                          oc__arena *arena, const oc__group *g);

#endif
