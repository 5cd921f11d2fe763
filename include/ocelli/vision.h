/** @file
 * vision.h - pictures in, tensors out, results drawn.
 *
 *     oc_image photo, chip; oc_error e;
 *     if (oc_image_load(&photo, "bus.jpg", NULL, &e)) die(e.message);
 *     ... oc_image_to_tensor(), oc_session_run(), decode ...
 *     oc_image_deinit(&photo);
 *
 * Pictures are plain structs in the caller's storage; functions that make
 * one fill it in, oc_image_deinit() frees its pixels.  Threads: functions
 * touch only their arguments, so different pictures may be used by different
 * threads at once.  Errors are as in ocelli.h.
 */
#ifndef OCELLI_VISION_H
#define OCELLI_VISION_H

#include <ocelli/ocelli.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ======================================================================== *
 * Pictures
 * ======================================================================== */

/**
 * 8-bit interleaved pixels, rows from top to bottom.
 *
 *     pixels + y * stride + x * channels  ->  R G B [A]   or one gray byte
 *
 * To use pixels of your own, zero the struct and set width, height, channels,
 * stride and pixels: with `owned` NULL nothing is ever freed.
 */
typedef struct oc_image {
    int width;          /**< in pixels */
    int height;         /**< in pixels */
    int channels;       /**< 1 gray (or index), 3 colour, 4 colour and alpha */
    size_t stride;      /**< bytes from row to row, at least width * channels */
    uint8_t *pixels;    /**< the first of the top row */
    int full_width;     /**< size in the file when decoding scaled it down, */
    int full_height;    /**< 0: the same as width and height */
    void *owned;        /**< memory oc_image_deinit() frees, or NULL */
    size_t owned_bytes; /**< of that memory */
    const oc_allocator *allocator; /**< whose memory that is, NULL: default */
} oc_image;

/** Bytes that grow: what the encoders write into memory. */
typedef struct oc_bytes {
    uint8_t *data;                 /**< the bytes, NULL while there are none */
    size_t size;                   /**< how many there are */
    size_t capacity;               /**< how many fit before data moves */
    const oc_allocator *allocator; /**< NULL: default */
} oc_bytes;
/** Frees b's data and zeroes it; NULL is ignored. */
OC_API void oc_bytes_deinit(oc_bytes *b);

/** What the channels of a picture mean. */
typedef enum oc_color {
    OC_COLOR_RGB,   /**< 3 channels; the default everywhere */
    OC_COLOR_BGR,   /**< 3 channels */
    OC_COLOR_GRAY,  /**< 1 channel: ITU-R 601 luma */
    OC_COLOR_RGBA,  /**< 4 channels, alpha not multiplied in */
    OC_COLOR_YCBCR, /**< 3 channels, full range, as in JPEG */
    OC_COLOR_KEEP,  /**< as in the file: gray, rgb or rgba */
    OC_COLOR_INDEX  /**< 1 channel: palette index, or the gray value as it is
                         stored; for masks */
} oc_color;

/** File formats. */
typedef enum oc_image_format {
    OC_IMAGE_UNKNOWN,
    OC_IMAGE_JPEG,
    OC_IMAGE_PNG,
    OC_IMAGE_WEBP,
    OC_IMAGE_TIFF,
    OC_IMAGE_BMP,
    OC_IMAGE_PNM, /**< PBM, PGM, PPM and PAM */
    OC_IMAGE_JP2, /**< JPEG 2000 */
    OC_IMAGE_FORMAT_COUNT
} oc_image_format;

/** "jpeg", "png", ...; "unknown" otherwise.  Static storage. */
OC_API const char *oc_image_format_name(oc_image_format format);
/** Bits: 1 this build reads the format, 2 it writes it. */
OC_API int oc_image_format_support(oc_image_format format);
/** The format by the first bytes of a file (16 suffice). */
OC_API oc_image_format oc_image_detect(const void *data, size_t bytes);
/** The format by a file name's ending, OC_IMAGE_UNKNOWN if it tells none. */
OC_API oc_image_format oc_image_format_of_path(const char *path);

/** What a picture file says about itself. */
typedef struct oc_image_info {
    oc_image_format format; /**< by its first bytes */
    int width;              /**< as shown, so after orientation */
    int height;             /**< likewise */
    int channels;           /**< 1, 3 or 4 as OC_COLOR_KEEP would give */
    int bits;               /**< per channel in the file */
    int orientation;        /**< EXIF 1..8; 1: upright */
} oc_image_info;

/** How a picture is read.  Zero-initialise; zero means the default. */
typedef struct oc_image_options {
    oc_color color;         /**< what the pixels should become */
    size_t max_pixels;      /**< refuse more; 0: 2^27 (134 million) */
    size_t max_file_bytes;  /**< refuse larger files; 0: 1 GiB */
    int min_width;          /**< a size that suffices: a JPEG is decoded at
                                 n/8 of its size, the smallest that is not */
    int min_height;         /**< below; 0: full size.  See full_width */
    int min_either;         /**< nonzero: one of the two suffices */
    int ignore_orientation; /**< nonzero: do not turn by EXIF */
    const oc_allocator *allocator; /**< of the pixels; NULL: default */
} oc_image_options;

/**
 * Reads a picture of any format this build knows; the first one where the
 * file holds several.
 *   out   filled in; free with oc_image_deinit()
 *   path  UTF-8 file name, "-" is standard input
 *   opt   NULL for defaults
 * Errors: E_IO unreadable; E_FORMAT not a picture, damaged or cut short;
 *   E_UNSUPPORTED a format or variant not in this build; E_LIMIT too large;
 *   E_NOMEM.
 */
OC_API oc_status oc_image_load(oc_image *out, const char *path,
                               const oc_image_options *opt, oc_error *err);
/** The same from memory. */
OC_API oc_status oc_image_load_memory(oc_image *out, const void *data,
                                      size_t bytes, const oc_image_options *opt,
                                      oc_error *err);
/** Reads the header alone.  Limits do not apply. */
OC_API oc_status oc_image_probe_memory(oc_image_info *out, const void *data,
                                       size_t bytes, oc_error *err);

/** How a picture is written. */
typedef struct oc_image_save_options {
    oc_image_format format;        /**< 0: by the file's ending */
    int quality;                   /**< JPEG, WebP: 1..100; 0: 90 */
    int lossless;                  /**< WebP */
    const uint8_t *palette;        /**< PNG from 1 channel: R G B triples, */
    int palette_count;             /**< 1..256 of them; pixels are indices */
    const oc_allocator *allocator; /**< of the bytes; NULL: default */
} oc_image_save_options;

/**
 * Writes a picture (1 channel gray, 3 rgb, 4 rgba).  The file appears under
 * its name only when it is complete.  "-" is standard output (then the
 * format must be given).
 * Errors: E_UNSUPPORTED for a format this build does not write; E_IO.
 */
OC_API oc_status oc_image_save(const oc_image *img, const char *path,
                               const oc_image_save_options *opt, oc_error *err);
/** The same into memory: out is overwritten; free with oc_bytes_deinit(). */
OC_API oc_status oc_image_save_memory(oc_bytes *out, const oc_image *img,
                                      const oc_image_save_options *opt,
                                      oc_error *err);

/** Allocates an uninitialised picture.  allocator may be NULL. */
OC_API oc_status oc_image_init(oc_image *out, int width, int height,
                               int channels, const oc_allocator *allocator,
                               oc_error *err);
/** Frees the pixels if out owns them and zeroes it; NULL is ignored. */
OC_API void oc_image_deinit(oc_image *img);
/** A picture of the rectangle inside img that borrows its pixels. */
OC_API oc_status oc_image_crop(oc_image *out, const oc_image *img, int x, int y,
                               int width, int height, oc_error *err);
/**
 * Turns colours of one kind into another: any of RGB, BGR, GRAY, RGBA, and
 * YCBCR to and from RGB.  Alpha is dropped, or 255 where it is new.
 */
OC_API oc_status oc_image_convert(oc_image *out, const oc_image *img,
                                  oc_color from, oc_color to,
                                  const oc_allocator *allocator, oc_error *err);
/** Turns a picture the way EXIF orientation 1..8 asks for. */
OC_API oc_status oc_image_orient(oc_image *out, const oc_image *img,
                                 int orientation, const oc_allocator *allocator,
                                 oc_error *err);

/* ---- size -------------------------------------------------------------- */

/** Filters for resizing. */
typedef enum oc_interpolation {
    OC_INTERP_BILINEAR, /**< the default */
    OC_INTERP_NEAREST,
    OC_INTERP_AREA, /**< box average */
    OC_INTERP_BICUBIC,
    OC_INTERP_LANCZOS
} oc_interpolation;

/** How a picture is resized.  Zero-initialise, then set what matters. */
typedef struct oc_resize {
    int width;                      /**< of the result */
    int height;                     /**< of the result */
    oc_interpolation interpolation; /**< the filter */
    int no_antialias; /**< zero: the filter widens with the reduction, as in
                           Pillow.  nonzero: half-pixel sampling without
                           widening, as in OpenCV and ONNX Resize (bicubic
                           with a = -0.75, area exact by coverage) */
    double box[4];    /**< x0, y0, x1, y1 in img to take; all 0: everything */
    const oc_allocator *allocator; /**< of the result; NULL: default */
} oc_resize;

/** Resizes img of any channel count into a new picture. */
OC_API oc_status oc_image_resize(oc_image *out, const oc_image *img,
                                 const oc_resize *how, oc_error *err);

/* ---- preprocessing ----------------------------------------------------- */

/** How a picture of one shape goes into an input of another. */
typedef enum oc_fit {
    OC_FIT_STRETCH,  /**< both sides to the size, whatever the shape */
    OC_FIT_COVER,    /**< the short side to the size, the middle cut out */
    OC_FIT_CONTAIN,  /**< all of it inside, centred, padded */
    OC_FIT_LETTERBOX /**< all of it inside, top left, padded */
} oc_fit;

/** The order of a network input's dims. */
typedef enum oc_layout {
    OC_LAYOUT_NCHW, /**< channels as planes */
    OC_LAYOUT_NHWC  /**< channels side by side */
} oc_layout;

/**
 * From picture to network input.  Zero-initialise, then set what matters.
 *     value = (level * scale - mean[c]) / std[c]
 * with level 0..255, and c in the order the network sees.  Integer types are
 * rounded to nearest even and saturated.
 */
typedef struct oc_preprocess {
    int width;                      /**< of the network's input */
    int height;                     /**< of the network's input */
    oc_fit fit;                     /**< what becomes of another shape */
    oc_interpolation interpolation; /**< the filter */
    int no_antialias;               /**< see oc_resize */
    double crop;        /**< COVER: share of the resized short side that is
                             kept, as 224 of 256 is 0.875; 0: 1 */
    float pad_value[3]; /**< levels 0..255, in RGB order (gray: the first) */
    oc_color color;     /**< RGB, BGR or GRAY */
    oc_layout layout;   /**< of the input */
    oc_dtype dtype;     /**< F32, F16, U8 or I8; 0: F32 */
    float scale;        /**< 0: 1 */
    float mean[3];      /**< taken off after scaling */
    float std[3];       /**< then divided by; 0: 1 */
    const oc_allocator *allocator; /**< of working memory; NULL: default */
} oc_preprocess;

/**
 * Where original pixels went: target = original * scale + offset, both with
 * pixel edges at whole numbers.  "Original" is the picture in the file
 * (full_width x full_height), also when it was decoded smaller.
 */
typedef struct oc_transform {
    double scale_x;    /**< across */
    double scale_y;    /**< down */
    double offset_x;   /**< across, in target pixels */
    double offset_y;   /**< down, in target pixels */
    int source_width;  /**< of the original */
    int source_height; /**< of the original */
} oc_transform;

/** The shape and type of what oc_image_to_tensor() makes; data is NULL. */
OC_API oc_tensor oc_preprocess_shape(const oc_preprocess *p);
/** Where a picture of this size will lie, without looking at pixels. */
OC_API oc_status oc_preprocess_transform(oc_transform *out,
                                         const oc_preprocess *p, int width,
                                         int height, oc_error *err);
/**
 * Sets min_width, min_height and min_either of opt so that a JPEG is decoded
 * no larger than p needs.  gap (at least 1; 0: 2) is how many times larger
 * than its final size the decoded picture stays: more is truer, less faster.
 */
OC_API void oc_preprocess_load_options(const oc_preprocess *p, double gap,
                                       oc_image_options *opt);
/**
 * Writes one picture into a tensor, in one pass over its rows.
 *   img    1 (gray), 3 (rgb) or 4 channels (alpha is ignored)
 *   data   room for oc_preprocess_shape(p): one item of a batch
 *   bytes  how much room there is
 *   where  receives the transform; may be NULL
 */
OC_API oc_status oc_image_to_tensor(const oc_image *img, const oc_preprocess *p,
                                    void *data, size_t bytes,
                                    oc_transform *where, oc_error *err);
/** Boxes (x1, y1, x2, y2 each) back to the original, clipped to it. */
OC_API void oc_transform_boxes(const oc_transform *where, float *boxes,
                               size_t count);
/** Points (x, y, then stride - 2 more numbers) back; not clipped. */
OC_API void oc_transform_points(const oc_transform *where, float *points,
                                size_t count, size_t stride);

/* ---- drawing ----------------------------------------------------------- */

/** Colours are 0xRRGGBB.  The one for class i: distinct, always the same. */
OC_API uint32_t oc_palette_color(int i);
/** count RGB triples, entry 0 black: the palette for index masks. */
OC_API void oc_palette_fill(uint8_t *rgb, int count);

/** Line and text sizes; zero means by the picture's size. */
typedef struct oc_draw_style {
    double line_px; /**< width of lines */
    double text_px; /**< height of a line of text */
    double opacity; /**< of masks, 0..1; 0: 0.5 */
    int plain_font; /**< nonzero: the built-in font even if there is cairo */
    const oc_allocator *allocator; /**< of working memory; NULL: default */
} oc_draw_style;

/*
 * All draw into rgb or rgba pictures, clip to them, and take coordinates in
 * pixels with pixel edges at whole numbers.  style may be NULL.  NaN
 * coordinates draw nothing.  Errors: E_ARG for a picture of 1 channel,
 * E_NOMEM.
 */

/** A frame with its label (UTF-8, NULL or "" for none) on a chip. */
OC_API oc_status oc_draw_box(oc_image *img, const float box[4],
                             const char *label, uint32_t color,
                             const oc_draw_style *style, oc_error *err);
/** A label on a chip whose top left corner is at x, y. */
OC_API oc_status oc_draw_label(oc_image *img, float x, float y,
                               const char *label, uint32_t color,
                               const oc_draw_style *style, oc_error *err);
/** The size of what oc_draw_label() draws. */
OC_API oc_status oc_draw_label_size(const oc_image *img, const char *label,
                                    const oc_draw_style *style, float *width,
                                    float *height, oc_error *err);
/** A line from x1, y1 to x2, y2. */
OC_API oc_status oc_draw_line(oc_image *img, float x1, float y1, float x2,
                              float y2, uint32_t color,
                              const oc_draw_style *style, oc_error *err);
/**
 * Points of (x, y, score) joined by bones (pairs of point indices).  Points
 * scoring below min_score, and their bones, are left out.
 */
OC_API oc_status oc_draw_keypoints(oc_image *img, const float *points,
                                   int count, const int *bones, int bone_count,
                                   float min_score, uint32_t color,
                                   const oc_draw_style *style, oc_error *err);
/**
 * Colours img where mask (1 channel, 0..255 is how much; same size as the
 * box it is stretched over, or any other) is set.  box NULL: all of img.
 */
OC_API oc_status oc_draw_mask(oc_image *img, const oc_image *mask,
                              const float box[4], uint32_t color,
                              const oc_draw_style *style, oc_error *err);
/**
 * Colours img by class: classes has 1 channel of indices and img's size or
 * any other (nearest is taken).  Index `background` stays clear (-1: none);
 * edges between classes are drawn.
 */
OC_API oc_status oc_draw_classes(oc_image *img, const oc_image *classes,
                                 int background, const oc_draw_style *style,
                                 oc_error *err);

/* ======================================================================== *
 * Cards: what a model is for
 * ======================================================================== */

/** What a model does, for X(name, text). */
#define OC_TASK_MAP(X)                                                         \
    X(NONE, "none")                                                            \
    X(CLASSIFY, "classify")                                                    \
    X(DETECT, "detect")                                                        \
    X(SEGMENT, "segment")                                                      \
    X(RESTORE, "restore")

/** A task; see OC_TASK_MAP.  Keypoints come with DETECT. */
typedef enum oc_task {
/** Makes one enumerator. */
#define OC_TASK_ENUM(name, text) OC_TASK_##name,
    OC_TASK_MAP(OC_TASK_ENUM)
#undef OC_TASK_ENUM
        OC_TASK_COUNT
} oc_task;

/** "classify", "detect", ...; "?" for an unknown task.  Static storage. */
OC_API const char *oc_task_name(oc_task task);

/**
 * A card: task, labels, preprocessing, decoding, licence, source and golden
 * check of a model.  Opaque; fields have names like "input.mean", which are
 * those of its JSON form.  Used by one thread at a time while it is changed.
 *
 * A program usually needs none of this: oc_vision_create() finds the card of
 * a model, or infers one.
 */
typedef struct oc_card oc_card;

/** The key of ONNX's metadata_props under which a card is sealed. */
#define OC_CARD_KEY "ocelli.card"

/** An empty card.  allocator NULL: default.  Free with oc_card_destroy(). */
OC_API oc_status oc_card_create(oc_card **out, const oc_allocator *allocator,
                                oc_error *err);
/** Frees a card; NULL is ignored. */
OC_API void oc_card_destroy(oc_card *card);
/**
 * Reads a card's JSON.  folder is where a label file is looked for (NULL:
 * such a card is refused).
 * Errors: E_FORMAT not JSON (with byte offset), or a field that is wrong,
 *   unknown or missing, which is named; E_LIMIT; E_IO for a label file;
 *   E_UNSUPPORTED in a build without JSON.
 */
OC_API oc_status oc_card_parse(oc_card **out, const char *json, size_t bytes,
                               const char *folder,
                               const oc_allocator *allocator, oc_error *err);
/** Reads a card from a file; label files lie in or below its folder. */
OC_API oc_status oc_card_load(oc_card **out, const char *path,
                              const oc_allocator *allocator, oc_error *err);
/**
 * The card a model brings: in its metadata, else in the file MODEL.card.json
 * (or with .onnx taken off the name) beside it, else an empty one.
 */
OC_API oc_status oc_card_find(oc_card **out, const oc_model *model,
                              oc_error *err);
/**
 * Gives one field a value, as text: numbers and lists as "0.5" and
 * "104,117,124", a size as "224x224" (height first) or "dynamic", labels as
 * the name of a file or of a built-in set (imagenet, imagenet1001, coco80,
 * coco90, voc20, voc21, camvid, cifar10, digits).
 * Errors: E_ARG for an unknown field or a value it cannot have.
 */
OC_API oc_status oc_card_set(oc_card *card, const char *field,
                             const char *value, oc_error *err);
/** Replaces the labels; the strings are copied. */
OC_API oc_status oc_card_set_labels(oc_card *card, const char *const *labels,
                                    int count, oc_error *err);
/**
 * Infers what the card does not say from the model's inputs, outputs and
 * first layers.  Each inference leaves a sentence, see oc_card_guess().
 * Errors: E_UNSUPPORTED when the network's outputs fit nothing known and the
 *   card does not say how to decode them.
 */
OC_API oc_status oc_card_complete(oc_card *card, oc_model *model,
                                  oc_error *err);
/** Sentence i about what was inferred; NULL behind the last. */
OC_API const char *oc_card_guess(const oc_card *card, int i);
/**
 * Checks a complete card against the model: input name, size and channels,
 * label count against the outputs' shapes.  E_SHAPE or E_FORMAT.
 */
OC_API oc_status oc_card_verify(const oc_card *card, const oc_model *model,
                                oc_error *err);
/** What the model is for; OC_TASK_NONE when the card does not say. */
OC_API oc_task oc_card_task(const oc_card *card);
/** How many labels there are. */
OC_API int oc_card_label_count(const oc_card *card);
/** Label i; NULL out of range.  Lives until the labels are replaced. */
OC_API const char *oc_card_label(const oc_card *card, int i);
/** "name", "license" or "source" of the card; NULL when not there. */
OC_API const char *oc_card_text(const oc_card *card, const char *field);
/** Appends the card as JSON text to out, one field a line. */
OC_API oc_status oc_card_write(const oc_card *card, oc_bytes *out,
                               oc_error *err);
/** Writes it to a file, all or nothing. */
OC_API oc_status oc_card_save(const oc_card *card, const char *path,
                              oc_error *err);
/**
 * Runs the golden check: the picture the card names (a made-up one, or
 * `image`, whose SHA-256 must match) must give what the card expects.
 *   image  file name; NULL when the card's picture is "generated"
 * Errors: E_FORMAT when the results differ, with the first difference;
 *   E_ARG when the card has no golden check or needs another picture.
 */
OC_API oc_status oc_card_check_golden(const oc_card *card, oc_model *model,
                                      const char *image, oc_error *err);
/** Runs the model and puts what it gives into the card as golden check. */
OC_API oc_status oc_card_make_golden(oc_card *card, oc_model *model,
                                     const char *image, oc_error *err);
/**
 * Writes the model with the card in its metadata, all or nothing; weights in
 * external files stay there.
 */
OC_API oc_status oc_card_seal(const oc_card *card, const oc_model *model,
                              const char *path, oc_error *err);

/* ======================================================================== *
 * Tasks: from a picture to a result
 * ======================================================================== */

/** One class of a classified picture. */
typedef struct oc_label {
    const char *label; /**< its name; "" where there is none */
    int index;         /**< in the network's output */
    float score;       /**< 0..1 for what ends in a softmax or sigmoid */
} oc_label;

/**
 * A point of an object, in pixels of the original picture.  One the network
 * could not place is at (0, 0) with score 0.
 */
typedef struct oc_keypoint {
    float x;     /**< from the left */
    float y;     /**< from the top */
    float score; /**< how sure the network is; 1 where it does not say */
} oc_keypoint;

/** A detected object. */
typedef struct oc_object {
    const char *label;            /**< its class; "" where there is none */
    int index;                    /**< of the class among the labels */
    float score;                  /**< 0..1 */
    float box[4];                 /**< x1, y1, x2, y2 in original pixels */
    int keypoint_count;           /**< 0 for most networks */
    const oc_keypoint *keypoints; /**< in the card's order */
} oc_object;

/** A class of a segmented picture. */
typedef struct oc_class_share {
    const char *label; /**< its name; "" where there is none */
    int index;         /**< as in the mask */
    double fraction;   /**< of the picture's pixels */
} oc_class_share;

/**
 * What a task found in a picture.  Labels' strings belong to the oc_vision,
 * everything else is memory of the model's allocator, which is the caller's
 * even after oc_vision and model are gone, and freed by oc_result_deinit().
 */
typedef struct oc_result {
    oc_task task;            /**< which of the following there are */
    int width;               /**< of the original picture */
    int height;              /**< likewise */
    double preprocess_ms;    /**< picture to tensor */
    double infer_ms;         /**< the network */
    double decode_output_ms; /**< tensors to this result */
    int label_count;         /**< CLASSIFY: the best ones */
    oc_label *labels;        /**< best first */
    int group_count;         /**< CLASSIFY: where labels are paths, as
                                  "animal/cat": levels above the labels */
    oc_label *groups;        /**< on each level, outermost first, the most
                                  likely class of those in the one before; its
                                  score is the sum of its labels'; index -1 */
    int object_count;        /**< DETECT */
    oc_object *objects;      /**< best first */
    int class_count;         /**< SEGMENT: those that appear */
    oc_class_share *classes; /**< largest first */
    oc_image mask;           /**< SEGMENT: class of each original pixel */
    oc_image image;          /**< RESTORE: the better picture */
    void *owned;             /**< the memory of labels, objects, classes */
} oc_result;

/** How pictures are looked at.  Zero-initialise; zero means the default. */
typedef struct oc_vision_options {
    const oc_card *card;        /**< complete; borrowed for the life of the
                                     oc_vision.  NULL: the model's own */
    oc_session_options session; /**< threads and so on */
    double threshold;           /**< least score; 0: the card's or the task's
                                     own (0.35 for objects, 0.5 for masks) */
    int top;                    /**< most labels or objects; 0: 5 labels, 100
                                     objects */
    int preprocess_only;        /**< nonzero: oc_vision_preprocess() is all that
                                     is wanted; there is no session, which
                                     spares its memory, and nothing runs */
} oc_vision_options;

/** A model with its card, a session and working memory; opaque. */
typedef struct oc_vision oc_vision;

/** Makes one, for one thread at a time.  The model must outlive it. */
OC_API oc_status oc_vision_create(oc_vision **out, oc_model *model,
                                  const oc_vision_options *opt, oc_error *err);
/** Frees it; NULL is ignored. */
OC_API void oc_vision_destroy(oc_vision *vision);
/** The card in use. */
OC_API const oc_card *oc_vision_card(const oc_vision *vision);
/** The session in use, for profiles and plans; NULL with preprocess_only. */
OC_API oc_session *oc_vision_session(const oc_vision *vision);
/**
 * Changes threshold and top for the runs to come; both as in
 * oc_vision_options, so 0 means the default again.  E_ARG.
 */
OC_API oc_status oc_vision_set_limits(oc_vision *vision, double threshold,
                                      int top, oc_error *err);
/** Pictures a network of this kind needs no larger than opt will say. */
OC_API void oc_vision_load_options(const oc_vision *vision,
                                   oc_image_options *opt);
/**
 * What oc_vision_run() would give the model for a picture.
 *   out    lies in the oc_vision, until the next call for it
 *   input  receives the number of the model's input
 */
OC_API oc_status oc_vision_preprocess(oc_vision *vision, const oc_image *img,
                                      oc_tensor *out, int *input,
                                      oc_error *err);
/**
 * Looks at one picture (1, 3 or 4 channels).
 *   out  overwritten; free with oc_result_deinit()
 */
OC_API oc_status oc_vision_run(oc_vision *vision, const oc_image *img,
                               oc_result *out, oc_error *err);
/** Frees what r owns and zeroes it; NULL is ignored. */
OC_API void oc_result_deinit(oc_result *r);
/**
 * Draws r onto img (rgb or rgba): boxes and keypoints, or the classes'
 * colours, or the best label.  img has the original's size or any other.
 */
OC_API oc_status oc_result_draw(const oc_result *r, const oc_vision *vision,
                                oc_image *img, oc_error *err);

/* ---- why ----------------------------------------------------------------- */

/** How it is found out what in a picture speaks for a class. */
typedef enum oc_explain_method {
    OC_EXPLAIN_GRAD_CAM,   /**< by the gradient of the class's score
                                (arXiv:1610.02391): one pass forth and back */
    OC_EXPLAIN_RECIPRO_CAM /**< by leaving one place at a time in view
                                (arXiv:2209.14074): needs no gradient, so it
                                works for quantised networks too */
} oc_explain_method;

/**
 * A map of places in a picture: how much each speaks for a class.  Freed by
 * oc_heat_deinit().
 */
typedef struct oc_heat {
    int index;                     /**< the class */
    int width;                     /**< of the map, in places */
    int height;                    /**< likewise */
    float *values;                 /**< 0..1, rows from top to bottom */
    double box[4];                 /**< x1, y1, x2, y2: where the map lies, in
                                        pixels of the original picture; may
                                        reach beyond it */
    int picture_width;             /**< of the original picture */
    int picture_height;            /**< likewise */
    size_t owned_bytes;            /**< of values */
    const oc_allocator *allocator; /**< whose memory that is, NULL: default */
} oc_heat;

/**
 * Asks a classifier why.
 *   index  of the class; -1: the best one for this picture
 *   out    overwritten; free with oc_heat_deinit(), before the model goes
 * Errors: E_ARG for a class there is not; E_UNSUPPORTED when the model is no
 *   classifier, has no map of places before its classes (transformers), or,
 *   for Grad-CAM, an operator without a derivative; E_NOMEM.
 */
OC_API oc_status oc_vision_explain(oc_vision *vision, const oc_image *img,
                                   int index, oc_explain_method method,
                                   oc_heat *out, oc_error *err);
/** Frees the map and zeroes h; NULL is ignored. */
OC_API void oc_heat_deinit(oc_heat *h);
/**
 * Draws the map over the picture (rgb or rgba, of the original's size or any
 * other): what speaks for the class glows, the rest is dimmed.
 */
OC_API oc_status oc_heat_draw(const oc_heat *h, oc_image *img, oc_error *err);

#ifdef __cplusplus
}
#endif
#endif
