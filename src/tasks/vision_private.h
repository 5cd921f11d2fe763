/*
 * vision_private.h - what the parts of oc_vision share.
 *
 *     vision.c    create, preprocess, run, gather the heads
 *     detect.c    candidates to objects
 *     classify.c  scores to labels
 *     segment.c   scores or numbers to a mask of the original's size
 *     restore.c   a better picture, tile by tile
 *     result.c    what a result owns, and how it is drawn
 *     explain.c   what in a picture speaks for a class
 */
#ifndef OC_TASKS_VISION_PRIVATE_H
#define OC_TASKS_VISION_PRIVATE_H

#include "tasks/decode.h"

struct oc_vision {
    oc_allocator allocator;
    oc_model *model;
    oc_session *session;
    oc_card *own_card; /* when the caller gave none */
    const oc_card *card;
    const oc__decoder *decoder;
    oc_preprocess pre; /* width, height 0: as the picture is */
    int input;         /* number of the picture's input */
    oc_dtype dtype;    /* of that input */
    int rank;          /* of that input: 4, or 3 without a batch */
    int64_t batch;     /* its first dim, 1 when free */
    int sizes_input;   /* "orig_target_sizes", -1 without */
    int64_t sizes[2];  /* what is in it: width, height */
    void *data;        /* the input's tensor */
    oc_tensor seen;    /* that was run last */
    size_t data_bytes;
    float *staging; /* f32 for input types that preprocessing does not make */
    size_t staging_bytes;
    int n_roles;
    int roles[OC_MAX_HEADS]; /* role i is output roles[i] */
    float threshold;
    size_t top;
    int threads;                  /* as asked for; 0: all cores */
    struct oc__explain *explains; /* explain.c: made when first needed */
    /* Labels that are paths (base/label_tree.h), in their order. */
    int64_t *tree;
    int levels; /* above the labels; 0: none */
};

/** NULL is ignored. */
void oc__explain_destroy(struct oc__explain *e);

/** What a result owns. */
typedef struct oc__owned {
    oc_allocator allocator;
    oc__arena arena;
} oc__owned;

/** An empty result with its arena; E_NOMEM. */
oc_status oc__result_init(oc_result *r, const oc_vision *v, oc_error *err);
/** The result's own allocator: it may outlive the oc_vision. */
const oc_allocator *oc__result_allocator(const oc_result *r);
/** Memory of the result, zeroed; NULL: none left. */
void *oc__result_alloc(oc_result *r, size_t count, size_t bytes);
/** The label of class i, "" where there is none. */
const char *oc__vision_label(const oc_vision *v, int64_t i);

oc_status oc__classify(const oc_vision *v, const oc__heads *h, oc_result *out,
                       oc_error *err);
oc_status oc__detect(const oc_vision *v, const oc__heads *h,
                     const oc_transform *where, int in_original, oc_result *out,
                     oc_error *err);
oc_status oc__segment(const oc_vision *v, const oc__heads *h,
                      const oc_transform *where, oc_result *out, oc_error *err);
oc_status oc__restore(oc_vision *v, const oc_image *img, oc_result *out,
                      oc_error *err);

/**
 * Where the channels of class scores are: out gets planes, height, width and
 * the element distances.  E_SHAPE.
 */
typedef struct oc__maps {
    int64_t n, h, w;
    int64_t step_n, step_y, step_x;
    const float *v;
} oc__maps;
oc_status oc__maps_of(const oc__heads *h, oc__maps *out, oc_error *err);

/** Sets the input from pixels of the network's size and runs. */
oc_status oc__vision_infer(oc_vision *v, const oc_image *img, oc_result *times,
                           oc_transform *where, oc_error *err);
/** The outputs in the order of roles; what had to be converted is in arena. */
oc_status oc__vision_heads(const oc_vision *v, oc__heads *out, oc__arena *arena,
                           oc_error *err);
/** Numbers of the outputs for the card's roles. */
oc_status oc__vision_roles(const oc_card *card, const oc_model *model,
                           int roles[OC_MAX_HEADS], int *n, oc_error *err);
/** The preprocessing the card asks for. */
oc_status oc__card_preprocess(const oc_card *card, oc_preprocess *out,
                              oc_error *err);
/** Number of the input that takes the picture. */
oc_status oc__card_input(const oc_card *card, const oc_model *model, int *out,
                         oc_error *err);

/** Milliseconds on a clock that only goes forwards. */
double oc__now_ms(void);

#endif
