/*
 * quantize.h - what the parts of `ocelli quantize` share.
 *
 *     verb_quantize.c        options, calibration
 *     quantize_trial.c       the model as it would be written, made to run
 *     quantize_speed.c       which layers 8 bits make faster here
 *     quantize_agree.c       what the model says, in f32 and in 8 bits
 *     quantize_accuracy.c    which layers must stay, to keep the accuracy
 *     quantize_report.c      what there is to say
 */
#ifndef OCELLI_CLI_QUANTIZE_H
#define OCELLI_CLI_QUANTIZE_H

#include "cli.h"
#include "evaluate.h"
#include "pictures.h"
#include "vision_args.h"

#include <ocelli/quant.h>

enum {
    QUANTIZE_SAMPLES = 4,   /* pictures kept, to run on */
    AGREEMENT_PICTURES = 32 /* looked at once more, to compare results */
};

/** A layer with weights, and why it is what it is.  NAN: not measured. */
typedef struct layer {
    double damage_db; /* of the model's outputs, when it alone is in 8 bits:
                         signal to noise */
    double ms_before; /* in f32 */
    double ms_int8;   /* were all layers in 8 bits */
    double ms_after;  /* as it is now */
    char why[96];
} layer;

typedef struct quantize {
    const cli_args *args;
    cli_vision v;
    oc_quantizer *q;
    picture_list pictures;
    char *output;
    size_t used, skipped;
    int n_passes; /* over the pictures that are over */
    double seconds;
    int threads, quiet;
    size_t memory, base;    /* to stay below; what all else takes of it */
    int weight_bits, group; /* weights alone; 0: activations, too */
    layer *layers;
    int n_layers;
    oc_tensor samples[QUANTIZE_SAMPLES]; /* malloc'ed data */
    int n_samples, input;                /* input: which of the model's */
    double ms_before, ms_after;          /* whole runs, the fastest of many */
    const char *metric;                  /* NULL: not measured */
    double figure_before, figure_after, max_drop;
    double figure_first; /* before any layer went back to f32 */
    int is_equalized;    /* channels share their reach: that was better */
    int has_other;       /* it was measured the other way, too: */
    double figure_other; /* the same then */
    int is_rounded;      /* weights go where pictures have them: that is asked
                            for, or was better */
    int has_rounding;    /* it was measured the other way, too: */
    double figure_rounding; /* the same then */
    double agreement;       /* least of it that is good enough; 0: any */
    int measured;           /* how often the metric was */
} quantize;

/** Says why a layer is what it is; a short sentence without a full stop. */
void quantize_because(quantize *r, int i, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/** The precision of layer i. */
oc_quant_precision quantize_get(const quantize *r, int i);
/** Sets it; an exit code. */
int quantize_set(quantize *r, int i, oc_quant_precision p);
/** Whether layer i may be anything but f32. */
int quantize_may(const quantize *r, int i);
/** How many layers are p. */
int quantize_count(const quantize *r, oc_quant_precision p);

/* ---- trials (quantize_trial.c) -------------------------------------------
 */

/** A model to run: the one given, or what would be written now. */
typedef struct trial {
    quantize *r;
    int is_file;  /* it is the one given, as it is in the file */
    int is_large; /* it is written when it is wanted, and no sooner */
    oc_quant_precision *wanted; /* of each layer */
    char *path;                 /* of a large one, while it is written */
    void *data;                 /* of others, as it was written */
    size_t bytes;
    oc_model *model; /* NULL until it is wanted */
    oc_session *session;
} trial;

/** original: with all layers in f32.  All return an exit code, with the
 * sentence printed; close in any case. */
int trial_open(trial *t, quantize *r, int original);
/** Has its model there. */
int trial_load(trial *t);
/** Session and model go until the next start. */
void trial_stop(trial *t);
void trial_close(trial *t);
/** A session on it, profiling or not. */
int trial_start(trial *t, int profile);
/** Runs it on a sample. */
int trial_run(trial *t, int sample);

/* ---- what models say (quantize_agree.c) -----------------------------------
 */

typedef struct spoken spoken;

/** What the model says of some pictures in f32. */
typedef struct agreement {
    quantize *r;
    const char **paths;
    spoken *truth;
    int n_pictures;
} agreement;

/** Listens to the model in f32; an exit code, with the sentence printed.  Close
 * in any case. */
int agreement_open(agreement *a, quantize *r);
/**
 * What is left of it in the model as it would be written now, by the first so
 * many pictures: share 0..1 of what is said, db of the outputs' signal over
 * noise.
 */
int agreement_now(agreement *a, int pictures, double *share, double *db);
void agreement_close(agreement *a);

/* ---- choices --------------------------------------------------------------
 */

/** Lets layers that are not faster in 8 bits here be computed in f32. */
int quantize_for_speed(quantize *r);
/** Times the model before and after, whole and by layers. */
int quantize_time(quantize *r);
/** Puts layers back to f32 until the figure of --eval falls no more than
 * --max-drop. */
int quantize_for_accuracy(quantize *r);
/** The option --max-drop: a share, or points as "0.5%". */
int quantize_max_drop(const cli_args *args, double *out);

/* ---- words ----------------------------------------------------------------
 */

/** Size of a file; 0: there is none. */
double quantize_bytes(const char *path);
void quantize_report_json(const quantize *r);
void quantize_report_text(const quantize *r);
/** The page of --report; an exit code. */
int quantize_report_page(const quantize *r);
/** Says so where the result is slower than what was given. */
void quantize_warn(const quantize *r);

#endif
