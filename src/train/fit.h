/*
 * fit.h - what the files of a training run on data share.
 *
 *     fit.c          the loop
 *     fit_choose.c   what is left open, by looking at the data
 *     fit_grow.c     smaller pictures in the first epochs
 *     fit_note.c     recipe and position, in a checkpoint and a model
 *     fit_model.c    measuring, the sealed model, the report
 *
 * Everything that a run depends on is in its recipe and its position, which
 * is why one that goes on from a checkpoint is the same, bit for bit.
 */
#ifndef OC_TRAIN_FIT_H
#define OC_TRAIN_FIT_H

#include "data/figures.h"
#include "data/stream.h"
#include "train/report.h"
#include "train/teacher.h"
#include "train/trainer.h"

#include <ocelli/vision.h>

#include <stdatomic.h>

/** Where a run is. */
typedef struct oc__fit_place {
    int64_t epoch, step; /* of the next batch */
    int drops;           /* of the rate; see rate.h */
    int waited;          /* epochs since the best */
    int best_epoch;      /* counted from 1; 0: none */
    double best, best_loss;
    double seconds; /* used by the runs before */
    /* Sums over the epoch so far. */
    double loss, right;
    int64_t rows, plain_rows;
} oc__fit_place;

struct oc_training {
    oc_allocator allocator;
    oc_training_options opt; /* what was open has been chosen */
    oc__arena arena;
    oc__labelled *data;
    oc__look_at_pictures look;
    oc__augment augment;
    oc_preprocess prep; /* with the size of the epoch's pictures */
    int keep_head;
    int levels; /* of classes above the data's; see oc_trainer_options */
    int *above;
    int is_timed; /* epochs follow from the time there is */
    char *checkpoint;
    oc_trainer *trainer;
    oc__teacher *teacher; /* NULL: there is none */
    oc__stream *train, *val;
    oc__fit_place place;
    double started;
    atomic_int cancelled;

    /* Of val: pictures, and logits of the last measuring and of the best. */
    int n_val;
    float *logits, *best_logits, *targets;
    double temperature; /* of the model that was kept; see fit_model.c */
    int64_t *label;
    const char **paths;
    oc__report_point *points;
    int n_points, cap_points;
};

/** Sends an OC_TRAINING_NOTE or _WARNING. */
void oc__fit_say(oc_training *f, oc_training_event_kind kind,
                 const char *format, ...) OC_PRINTF(3, 4);
double oc__fit_now(void);

/** One step of the trainer on a batch; the teacher is asked first. */
oc_status oc__fit_step(oc_training *f, const oc__batch *b, oc_step_options *o,
                       oc_step_result *out, oc_error *err);

/** fit_choose.c: opens the data and settles f->opt, augment and prep. */
oc_status oc__fit_choose(oc_training *f, oc_error *err);
/** Makes the trainer that f->opt asks for. */
oc_status oc__fit_make_trainer(oc_training *f, int batch, oc_error *err);
/** Chooses epochs by how long some steps take, when time is bounded. */
oc_status oc__fit_choose_epochs(oc_training *f, oc_error *err);
/** Again, by how long the first epoch took. */
void oc__fit_correct_epochs(oc_training *f, double seconds);

/** fit_grow.c: the work of an epoch, and their mean; full-sized ones are 1. */
double oc__fit_cost(const oc_training *f, int64_t epoch);
double oc__fit_mean_cost(const oc_training *f);
/** Whether this epoch's pictures are larger than those before it. */
int oc__fit_grows(const oc_training *f, int64_t epoch);
/** Streams give pictures as this epoch has them. */
oc_status oc__fit_set_size(oc_training *f, int64_t epoch, oc_error *err);
/** Goes on with pictures of the next epoch's size, from the checkpoint. */
oc_status oc__fit_grow(oc_training *f, oc_error *err);

/** fit_note.c: recipe and position as text in the fit's arena. */
oc_status oc__fit_write_note(oc_training *f, oc__note *out, int with_place,
                             oc_error *err);
/** Takes both from a checkpoint's note. */
oc_status oc__fit_read_note(oc_training *f, const oc__note *note,
                            oc_error *err);

/** fit_model.c: logits of val; *accuracy and *loss of them. */
oc_status oc__fit_measure(oc_training *f, double *accuracy, double *loss,
                          oc_error *err);
/** Writes the sealed model. */
oc_status oc__fit_save_model(oc_training *f, oc_error *err);
/** Writes the report and the curves, where they are asked for. */
oc_status oc__fit_report(oc_training *f, int running, oc_error *err);

#endif
