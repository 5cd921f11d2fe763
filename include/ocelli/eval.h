/** @file
 * eval.h - labelled pictures, and how well a model does on them.
 *
 *     oc_dataset *d; oc_error e;
 *     if (oc_dataset_open(&d, "coco128", OC_TASK_DETECT, NULL, NULL, &e))
 *         die(e.message);
 *     for (int i = 0; i < oc_dataset_count(d); i++) {
 *         const oc_sample *s = oc_dataset_sample(d, i);
 *         ... s->picture, s->truths ...
 *     }
 *     oc_dataset_destroy(d);
 *
 * Errors are as in ocelli.h.  A data set is not changed by reading it, so any
 * number of threads may use one; a measure is for one thread at a time.
 */
#ifndef OCELLI_EVAL_H
#define OCELLI_EVAL_H

#include <ocelli/vision.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- data sets --------------------------------------------------------- */

/** An object that is in a picture. */
typedef struct oc_truth {
    int category;  /**< index among the data set's classes */
    int64_t id;    /**< of the annotation; counted from 1 where there is none */
    double box[4]; /**< x, y, width, height in pixels */
    double area;   /**< in pixels, of the object or its box */
    int crowd;     /**< nonzero: finding it is neither right nor wrong */
} oc_truth;

/** A picture with what is known about it. */
typedef struct oc_sample {
    const char *picture;    /**< file name */
    int64_t id;             /**< of the picture in its data set */
    int label;              /**< CLASSIFY: index of its class, the first one,
                                 -1 without any */
    int label_count;        /**< CLASSIFY: of labels, where any number of them
                                 may be */
    const int *labels;      /**< CLASSIFY: all of these */
    const char *mask;       /**< SEGMENT: file name of its mask */
    int truth_count;        /**< DETECT */
    const oc_truth *truths; /**< DETECT */
} oc_sample;

/** Labelled pictures in a folder; opaque. */
typedef struct oc_dataset oc_dataset;

/**
 * Opens a folder that holds what the task needs:
 *   CLASSIFY  one folder a class, labels.txt with "file index" lines, or a
 *             table of files and labels
 *   DETECT    COCO's JSON, or Pascal VOC's Annotations and JPEGImages
 *   SEGMENT   images and masks of the same names, classes.txt
 *   split     "val", "train" ...: part of it; NULL: val or test where there
 *             are parts
 * Errors: E_IO; E_FORMAT when the folder holds none of these, or something
 *   in it is wrong, which is named; E_LIMIT; E_NOMEM.
 */
OC_API oc_status oc_dataset_open(oc_dataset **out, const char *dir,
                                 oc_task task, const char *split,
                                 const oc_allocator *allocator, oc_error *err);
/** Frees it; NULL is ignored. */
OC_API void oc_dataset_destroy(oc_dataset *d);
/** How many pictures there are. */
OC_API int oc_dataset_count(const oc_dataset *d);
/** Picture i, NULL out of range.  Lives as long as the data set. */
OC_API const oc_sample *oc_dataset_sample(const oc_dataset *d, int i);
/** Nonzero when pictures have any number of labels each. */
OC_API int oc_dataset_is_multi(const oc_dataset *d);
/** How many classes are named; 0 when labels are numbers only. */
OC_API int oc_dataset_class_count(const oc_dataset *d);
/** Name of class i, NULL out of range. */
OC_API const char *oc_dataset_class(const oc_dataset *d, int i);
/** The number a COCO file gives class i; i elsewhere. */
OC_API int64_t oc_dataset_class_id(const oc_dataset *d, int i);

/* ---- COCO's measure ---------------------------------------------------- */

/** The twelve figures of COCO, in its order; -1 where nothing counts. */
typedef enum oc_coco_figure {
    OC_COCO_AP,        /**< mean over IoU .50 to .95 */
    OC_COCO_AP50,      /**< at IoU .50 */
    OC_COCO_AP75,      /**< at IoU .75 */
    OC_COCO_AP_SMALL,  /**< objects below 32 x 32 */
    OC_COCO_AP_MEDIUM, /**< 32 x 32 to 96 x 96 */
    OC_COCO_AP_LARGE,  /**< above */
    OC_COCO_AR1,       /**< recall with 1 object a picture */
    OC_COCO_AR10,      /**< with 10 */
    OC_COCO_AR100,     /**< with 100 */
    OC_COCO_AR_SMALL,  /**< of small ones */
    OC_COCO_AR_MEDIUM, /**< of medium ones */
    OC_COCO_AR_LARGE,  /**< of large ones */
    OC_COCO_FIGURES    /**< how many there are */
} oc_coco_figure;

/** Collects truths and detections; opaque. */
typedef struct oc_coco oc_coco;

/** Makes one for a number of classes. */
OC_API oc_status oc_coco_create(oc_coco **out, int classes,
                                const oc_allocator *allocator, oc_error *err);
/** Frees it; NULL is ignored. */
OC_API void oc_coco_destroy(oc_coco *c);
/**
 * Starts the next picture with its truths.  Pictures come in the order of
 * their ids: among equal scores that order counts.
 */
OC_API oc_status oc_coco_add_picture(oc_coco *c, const oc_truth *truths,
                                     int count, oc_error *err);
/** Adds a detection to the last picture; box is x, y, width, height. */
OC_API oc_status oc_coco_add(oc_coco *c, int category, const double box[4],
                             double score, oc_error *err);
/** Works out the figures, as pycocotools' COCOeval for boxes. */
OC_API oc_status oc_coco_figures(oc_coco *c, double out[OC_COCO_FIGURES],
                                 oc_error *err);
/** AP over all IoUs of one class, after oc_coco_figures(); -1: no truths. */
OC_API double oc_coco_class_ap(const oc_coco *c, int category);

#ifdef __cplusplus
}
#endif
#endif
