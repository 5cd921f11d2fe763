/** @file
 * words.h - what was found in a picture, in sentences.
 *
 *     oc_words *words; oc_scene scene; oc_description d; oc_error e;
 *     if (oc_words_load(&words, "en", NULL, NULL, &e)) die(e.message);
 *     oc_scene_init(&scene, &result, 1, NULL, NULL, &e);
 *     oc_describe(&d, words, &scene, NULL, &e);
 *     puts(d.brief);   // A bus ahead, large and close; three people ...
 *     oc_description_deinit(&d);
 *     oc_scene_deinit(&scene);
 *     oc_words_destroy(words);
 *
 * A scene is what networks found, with what follows from it by geometry:
 * where things are, how near and large, what overlaps.  A description says
 * that and nothing else, and tells for every phrase which things it is about.
 * Words come from a locale: messages, plural rules and names of things in a
 * text file (docs/words.md); English is built in.
 *
 * Threads: an oc_words may be shared by any number of threads; functions
 * touch nothing but their arguments.  Errors are as in ocelli.h.
 */
#ifndef OCELLI_WORDS_H
#define OCELLI_WORDS_H

#include <ocelli/vision.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ======================================================================== *
 * Scenes: what was found, and what follows from it
 * ======================================================================== */

/** Where something is, as seen from the camera. */
typedef enum oc_place { OC_LEFT, OC_AHEAD, OC_RIGHT } oc_place;

/** How near something is, by its height in the picture. */
typedef enum oc_nearness {
    OC_NEAR_UNKNOWN, /**< it is not known how large such things are */
    OC_NEAR_TOUCH,   /**< within two steps, some 1.5 m */
    OC_NEAR_CLOSE,   /**< within 5 m, vehicles within 10 m */
    OC_NEAR_MIDDLE,  /**< within 15 m, vehicles within 30 m */
    OC_NEAR_FAR      /**< farther off */
} oc_nearness;

/** How much of the picture something takes. */
typedef enum oc_extent {
    OC_EXTENT_SMALL,  /**< below 1 % */
    OC_EXTENT_MEDIUM, /**< up to 25 % */
    OC_EXTENT_LARGE,  /**< up to 60 % */
    OC_EXTENT_FILLING /**< more */
} oc_extent;

/** How two things that overlap stand to each other. */
typedef enum oc_relation_kind {
    OC_RELATION_WITH,    /**< what is worn, held or ridden, and who does */
    OC_RELATION_FRONT,   /**< it stands lower in the picture, so nearer */
    OC_RELATION_BEHIND,  /**< it stands higher */
    OC_RELATION_OVERLAPS /**< the boxes overlap, more is not known */
} oc_relation_kind;

/** One thing's relation to another. */
typedef struct oc_relation {
    int thing;             /**< number of the other thing */
    oc_relation_kind kind; /**< as this one stands to the other */
    double share;          /**< of the smaller box that lies in the other */
} oc_relation;

/** How soon something should be said; the first come first. */
typedef enum oc_urgency {
    OC_URGENCY_VEHICLE, /**< what can run somebody over */
    OC_URGENCY_SIGNAL,  /**< traffic lights, stop signs */
    OC_URGENCY_HARM,    /**< large animals, knives and the like */
    OC_URGENCY_PERSON,  /**< people */
    OC_URGENCY_OTHER    /**< anything else */
} oc_urgency;

/** A thing a detector found. */
typedef struct oc_thing {
    const char *label;    /**< the detector's word for it */
    const char *name;     /**< one word for all detectors: "sofa" of one
                               is "couch" of another; label if unknown */
    float score;          /**< 0..1 */
    float box[4];         /**< x1, y1, x2, y2 in pixels */
    int result;           /**< number of the result it is from */
    int index;            /**< number of the object in it */
    int seen;             /**< how many objects are taken for this one */
    int is_sure;          /**< its score suffices to say it plainly */
    oc_urgency urgency;   /**< see there */
    double angle;         /**< degrees from straight ahead, right is + */
    int clock;            /**< the same as on a clock's face, 1..12 */
    oc_place place;       /**< the same in three */
    oc_nearness nearness; /**< see there */
    double distance_m;    /**< guessed from its height, or from that
                                    of who carries it; 0: unknown */
    oc_extent extent;     /**< see there */
    double fraction;      /**< of the picture inside its box */
    int rival;            /**< a weaker thing of another name in the same
                               place; -1: none */
    int is_rival;         /**< it is such a weaker one */
    int relation_count;   /**< how many others it overlaps */
    const oc_relation *relations; /**< most overlapping first */
} oc_thing;

/** A class a segmenter found. */
typedef struct oc_area {
    const char *label;  /**< the segmenter's word for it */
    const char *name;   /**< as in oc_thing */
    int result;         /**< number of the result it is from */
    int index;          /**< number of the class in it */
    double fraction;    /**< of the picture's pixels */
    double x;           /**< centre of its pixels, 0..1 from the left */
    double y;           /**< likewise, from the top */
    oc_urgency urgency; /**< as in oc_thing */
    oc_place place;     /**< of the centre */
    int clock;          /**< likewise */
} oc_area;

/** What a classifier said. */
typedef struct oc_guess {
    const char *label; /**< its best label */
    float score;       /**< of that label */
    int result;        /**< number of the result it is from */
} oc_guess;

/** What the networks found in one picture. */
typedef struct oc_scene {
    int width;         /**< of the picture */
    int height;        /**< likewise */
    int thing_count;   /**< how many there are */
    oc_thing *things;  /**< the most urgent first, then the nearest */
    int area_count;    /**< how many there are */
    oc_area *areas;    /**< the most urgent first, then the largest */
    int guess_count;   /**< how many there are */
    oc_guess *guesses; /**< in the order of the results */
    void *owned;       /**< the memory of all this */
} oc_scene;

/** How a scene is understood.  Zero-initialise; zero means the default. */
typedef struct oc_scene_options {
    double view_degrees; /**< angle of view along the picture's longer side;
                              0: 66, as of most phones */
    double sure;         /**< least score to be said plainly; 0: 0.5 */
} oc_scene_options;

/**
 * Makes a scene of what one or several networks found in the same picture.
 * The same thing found by two of them, or twice by one, is one thing.  Keeps
 * copies, so results and networks may go.
 *   out  overwritten; free with oc_scene_deinit()
 * Errors: E_ARG for results of pictures of different sizes, or an option out
 *   of range; E_NOMEM.
 */
OC_API oc_status oc_scene_init(oc_scene *out, const oc_result *results,
                               int count, const oc_scene_options *opt,
                               const oc_allocator *allocator, oc_error *err);
/** Frees what the scene owns and zeroes it; NULL is ignored. */
OC_API void oc_scene_deinit(oc_scene *scene);

/** "left", "ahead", "right". */
OC_API const char *oc_place_name(oc_place place);
/** "unknown", "touch", "close", "middle", "far". */
OC_API const char *oc_nearness_name(oc_nearness nearness);
/** "small", "medium", "large", "filling". */
OC_API const char *oc_extent_name(oc_extent extent);
/** "with", "front", "behind", "overlaps". */
OC_API const char *oc_relation_name(oc_relation_kind kind);
/** "vehicle", "signal", "harm", "person", "other". */
OC_API const char *oc_urgency_name(oc_urgency urgency);

/* ======================================================================== *
 * Words: a language
 * ======================================================================== */

/** Messages, plural rules and names of things in one language; opaque. */
typedef struct oc_words oc_words;

/**
 * Loads a language.
 *   locale     "de", or "de-AT" for which "de" does too; a name with a slash
 *              is a file; NULL or "en": built in unless the folder has another
 *   folder     where LOCALE.txt lies; may be NULL
 *   allocator  NULL: default
 * What the file does not say is said in English.
 * Errors: E_ARG when there is no such language; E_IO; E_LIMIT; E_FORMAT with
 *   the line that is wrong; E_NOMEM.
 */
OC_API oc_status oc_words_load(oc_words **out, const char *locale,
                               const char *folder,
                               const oc_allocator *allocator, oc_error *err);
/** The same from a text in memory. */
OC_API oc_status oc_words_parse(oc_words **out, const char *text, size_t bytes,
                                const oc_allocator *allocator, oc_error *err);
/** Frees it; NULL is ignored. */
OC_API void oc_words_destroy(oc_words *words);
/** The language's tag, as "en". */
OC_API const char *oc_words_locale(const oc_words *words);
/** The plural category of n: zero, one, two, few, many or other (CLDR). */
OC_API const char *oc_words_plural(const oc_words *words, int64_t n);

/* ======================================================================== *
 * Descriptions
 * ======================================================================== */

/** What a phrase speaks of. */
typedef enum oc_phrase_kind {
    OC_PHRASE_THINGS, /**< things seen well */
    OC_PHRASE_MAYBE,  /**< things that may be there */
    OC_PHRASE_MORE,   /**< how many things the brief text leaves out */
    OC_PHRASE_AREAS,  /**< areas */
    OC_PHRASE_WHOLE,  /**< what the picture looks like as a whole */
    OC_PHRASE_NOTHING /**< nothing was found */
} oc_phrase_kind;

/** One phrase with what it rests on. */
typedef struct oc_phrase {
    const char *text;    /**< as it stands in the text */
    oc_phrase_kind kind; /**< see there */
    int is_brief;        /**< of the brief text, else of the full one */
    int fact_count;      /**< how many things, areas or guesses */
    const int *facts;    /**< their numbers in the scene */
} oc_phrase;

/** A picture in words; UTF-8. */
typedef struct oc_description {
    const char *brief;  /**< one sentence, the most urgent first */
    const char *full;   /**< several sentences */
    int phrase_count;   /**< how many there are */
    oc_phrase *phrases; /**< those of the brief text, then those of the full */
    void *owned;        /**< the memory of all this */
} oc_description;

/** "things", "maybe", "more", "areas", "whole", "nothing". */
OC_API const char *oc_phrase_name(oc_phrase_kind kind);

/**
 * Puts a scene into words.
 *   out  overwritten; free with oc_description_deinit()
 * Errors: E_NOMEM.
 */
OC_API oc_status oc_describe(oc_description *out, const oc_words *words,
                             const oc_scene *scene,
                             const oc_allocator *allocator, oc_error *err);
/** Frees what the description owns and zeroes it; NULL is ignored. */
OC_API void oc_description_deinit(oc_description *d);

/* ======================================================================== *
 * News: what changes from picture to picture
 * ======================================================================== */

/** Remembers what was said of a stream of pictures; opaque. */
typedef struct oc_news oc_news;

/** When something is news.  Zero-initialise; zero means the default. */
typedef struct oc_news_options {
    double cool_down_s; /**< seconds before the same thing is spoken of again,
                             unless it is a danger that came nearer; 0: 6 */
    int steady;         /**< in how many of the last 4 pictures something must
                             be, or be missing, to be believed, 1..4; 0: 2 */
} oc_news_options;

/** Makes one.  words must outlive it.  E_ARG, E_NOMEM. */
OC_API oc_status oc_news_create(oc_news **out, const oc_words *words,
                                const oc_news_options *opt,
                                const oc_allocator *allocator, oc_error *err);
/** Frees it; NULL is ignored. */
OC_API void oc_news_destroy(oc_news *news);
/**
 * Looks at the next scene.
 *   seconds  when it was, from any start; never decreasing
 *   text     receives what is new as a sentence, "" when nothing is; lives
 *            until the next call
 */
OC_API oc_status oc_news_look(oc_news *news, const oc_scene *scene,
                              double seconds, const char **text, oc_error *err);

#ifdef __cplusplus
}
#endif
#endif
