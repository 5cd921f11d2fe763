/*
 * concepts.h - what is known of the things that detectors name: how large they
 * are, how dangerous, and that "sofa" and "couch" are one.
 */
#ifndef OC_WORDS_CONCEPTS_H
#define OC_WORDS_CONCEPTS_H

#include <ocelli/words.h>

/** What other things have to do with it. */
typedef enum oc__bearing {
    OC_BEARING_NONE,
    OC_BEARING_STANDS, /* on the ground: what is lower is in front */
    OC_BEARING_CARRIED /* worn, held or ridden by people */
} oc__bearing;

typedef struct oc__concept {
    const char *name; /* as in COCO with 90 numbers */
    oc_urgency urgency;
    oc__bearing bearing;
    int size_cm;    /* usual height; 0: it varies too much */
    int is_longest; /* size_cm is of the longest side, it may lie any way */
} oc__concept;

/** By a detector's label in any spelling; NULL: unknown. */
const oc__concept *oc__concept_find(const char *label);
/** Whether a class of a segmenter means nothing: "background". */
int oc__concept_is_nothing(const char *label);

#endif
