/** @file
 * train.h - networks that learn.
 *
 * Either all at once, from a folder of labelled pictures to a sealed model:
 *
 *     oc_training_options o = {.data = "flowers", .out = "flowers.onnx"};
 *     oc_training *f; oc_error e;
 *     if (oc_training_create(&f, &o, &e) || oc_training_run(f, &e))
 * die(e.message); oc_training_destroy(f);
 *
 * or step by step, on tensors of your own:
 *
 *     oc_trainer_options o = {.arch = "resnet8", .classes = 10, .height = 32,
 *                             .width = 32, .batch = 64};
 *     oc_trainer *t; oc_error e;
 *     if (oc_trainer_create(&t, &o, &e)) die(e.message);
 *     for (...) {
 *         oc_step_options s = {.rate = 0.1};
 *         if (oc_trainer_step(t, &images, &targets, &s, &got, &e)) ...
 *     }
 *     oc_trainer_save(t, "net.onnx", &e);
 *
 * The weights after a step depend on what went in alone, never on the number
 * of threads.  A trainer and a fit are for one thread at a time, except for
 * the functions that say otherwise.  Errors are as in ocelli.h.
 */
#ifndef OCELLI_TRAIN_H
#define OCELLI_TRAIN_H

#include <ocelli/ocelli.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- what is minimised, and how ---------------------------------------- */

/** Losses, for X(name, text).  Targets are shares of each class. */
#define OC_CRITERION_MAP(X)                                                    \
    X(AUTO, "auto")                                                            \
    X(CROSS_ENTROPY, "cross-entropy")                                          \
    X(BCE, "bce")                                                              \
    X(FOCAL, "focal")                                                          \
    X(DICE, "dice")                                                            \
    X(L1, "l1")                                                                \
    X(L2, "l2")                                                                \
    X(HUBER, "huber")                                                          \
    X(KL, "kl")

/** A loss; AUTO is cross entropy, or BCE for pictures of several labels. */
typedef enum oc_criterion {
/** Makes one enumerator. */
#define OC_CRITERION_ENUM(name, text) OC_CRITERION_##name,
    OC_CRITERION_MAP(OC_CRITERION_ENUM)
#undef OC_CRITERION_ENUM
} oc_criterion;

/** What changes the weights. */
typedef enum oc_optimizer {
    OC_OPTIMIZER_AUTO, /**< the trainer's choice is SGD */
    OC_OPTIMIZER_SGD,  /**< with momentum */
    OC_OPTIMIZER_ADAMW /**< Adam with decoupled weight decay */
} oc_optimizer;

/** What stays as it is in a model that is trained further. */
typedef enum oc_freeze {
    OC_TRAIN_ALL,      /**< nothing */
    OC_TRAIN_UPPER,    /**< the first half of the layers */
    OC_TRAIN_HEAD_ONLY /**< all but the last layer */
} oc_freeze;

/** Name of architecture i with one line about it; NULL behind the last. */
OC_API const char *oc_arch_name(int i, const char **about);

/* ---- step by step ------------------------------------------------------ */

/** A network with its optimiser; opaque. */
typedef struct oc_trainer oc_trainer;

/** What to train.  Zero-initialise; zero means the default. */
typedef struct oc_trainer_options {
    const char *arch;  /**< of oc_arch_name(), from scratch; or */
    const char *model; /**< an ONNX classifier to go on from */
    int classes;       /**< of the data; 0: the model's own */
    int keep_head; /**< nonzero: the model's classes are the first of these */
    int height;    /**< of the pictures; 0: the model's */
    int width;     /**< likewise */
    double width_factor;        /**< of an architecture's channels; 0: 1 */
    int batch;                  /**< pictures a step */
    int multi;                  /**< nonzero: several labels a picture */
    oc_criterion criterion;     /**< the loss */
    const float *class_weights; /**< one a class, or NULL; copied */
    double focus;               /**< focal loss's gamma; 0: 2 */
    int levels;                 /**< of classes above the classes; 0: none */
    const int *above;   /**< (levels, classes): number of the class above each,
                             from 0 on; copied */
    double hierarchy;   /**< share of the loss that is theirs, 0..1 */
    int taught;         /**< a teacher's classes, the first ones; 0: none is */
    double distill;     /**< share of the loss that is the teacher's, 0..1 */
    double temperature; /**< its shares and ours are softened by; 0: 2 */
    oc_optimizer optimizer; /**< what changes the weights */
    int no_nesterov;        /**< nonzero: plain momentum */
    double ema;             /**< nonzero: keep an average as well */
    oc_freeze freeze;       /**< what stays */
    int freeze_norm;        /**< nonzero: batch norms keep statistics */
    int qat; /**< nonzero: for 8 bits.  Steps round weights and activations as
                  oc_quantizer_save() would, gradients pass as if they did not,
                  and what is measured and saved is in 8 bits; of a model */
    uint64_t seed;       /**< of fresh weights */
    int threads;         /**< 0: all cores */
    uint32_t cpu_mask;   /**< as in oc_options */
    int optimize;        /**< as in oc_options */
    size_t memory_bytes; /**< of a step: values are made twice to fit, and more
                              is refused; 0: no bound */
    int profile;         /**< nonzero: time every step */
    const oc_allocator *allocator; /**< NULL: default */
} oc_trainer_options;

/**
 * Makes a trainer.
 * Errors: E_ARG; E_UNSUPPORTED for a model that cannot be trained, which the
 *   sentence says; E_LIMIT when it does not fit memory_bytes; as
 *   oc_model_load().
 */
OC_API oc_status oc_trainer_create(oc_trainer **out,
                                   const oc_trainer_options *opt,
                                   oc_error *err);
/** Frees it; NULL is ignored. */
OC_API void oc_trainer_destroy(oc_trainer *t);

/** The numbers of one step; they may change from step to step. */
typedef struct oc_step_options {
    double rate;     /**< learning rate */
    double decay;    /**< weight decay, of weights but not of biases */
    double momentum; /**< SGD's, AdamW's beta 1; 0: 0.9; below 0: none */
    double beta2;    /**< AdamW's; 0: 0.999 */
    double epsilon;  /**< AdamW's; 0: 1e-8 */
    double clip;     /**< greatest norm of all gradients together; 0: any */
    double ema;      /**< share of the average that stays; 0: 0.999 */
    const oc_tensor *teacher; /**< logits (batch, taught), where one teaches */
} oc_step_options;

/** What came of a step. */
typedef struct oc_step_result {
    double loss;             /**< of this batch, before the step */
    double norm;             /**< of all gradients together */
    const oc_tensor *logits; /**< (batch, classes); until the next step */
} oc_step_result;

/**
 * One step: forward, loss, backward, update.
 *   images   f32 (batch, 3, height, width), or as the model has it
 *   targets  f32 (batch, classes): the share of each class
 * Errors: E_SHAPE; E_FORMAT when the loss is no number, with the step: the
 *   weights are then those before it; E_CANCELLED, E_NOMEM.
 */
OC_API oc_status oc_trainer_step(oc_trainer *t, const oc_tensor *images,
                                 const oc_tensor *targets,
                                 const oc_step_options *opt,
                                 oc_step_result *out, oc_error *err);
/**
 * Logits as inference gives them, of the average where one is kept.  logits
 * receives a tensor that is valid until the next call.  Any batch.
 */
OC_API oc_status oc_trainer_predict(oc_trainer *t, const oc_tensor *images,
                                    const oc_tensor **logits, oc_error *err);
/** How many classes there are. */
OC_API int oc_trainer_classes(const oc_trainer *t);
/** What images must be, with dims[0] the batch; data is NULL. */
OC_API oc_tensor oc_trainer_input(const oc_trainer *t);
/** Nonzero when the channels come last, as the model has them. */
OC_API int oc_trainer_is_nhwc(const oc_trainer *t);

/** How large a trainer is. */
typedef struct oc_trainer_summary {
    size_t parameters;       /**< numbers that are there to be learned */
    size_t trained;          /**< of which these are */
    size_t state_bytes;      /**< weights, optimiser, average */
    size_t activation_bytes; /**< of a step */
    size_t scratch_bytes;    /**< of a step */
    int64_t steps;           /**< done so far */
    int recompute;           /**< what is made twice: 0 nothing, 1 what costs
                                  little, more: all but some values */
} oc_trainer_summary;
/** Fills out. */
OC_API void oc_trainer_summarize(const oc_trainer *t, oc_trainer_summary *out);

/** How many nodes a step runs. */
OC_API int oc_trainer_node_count(const oc_trainer *t);
/** Node i of a step, with its times when `profile` was set; E_ARG. */
OC_API oc_status oc_trainer_node(const oc_trainer *t, int i, oc_step_info *out);

/** Writes the network for inference as ONNX, all or nothing. */
OC_API oc_status oc_trainer_save(oc_trainer *t, const char *path,
                                 oc_error *err);
/** Writes all there is to go on from here, all or nothing. */
OC_API oc_status oc_trainer_checkpoint(const oc_trainer *t, const char *path,
                                       oc_error *err);
/** Goes on from there.  E_FORMAT when it is another network's. */
OC_API oc_status oc_trainer_restore(oc_trainer *t, const char *path,
                                    oc_error *err);

/* ---- all at once ------------------------------------------------------- */

/** How the learning rate goes on after the warm-up. */
typedef enum oc_schedule {
    OC_SCHEDULE_COSINE,  /**< to last_rate at the end, along half a wave */
    OC_SCHEDULE_STEP,    /**< a tenth after 1/2 and 3/4 of the epochs */
    OC_SCHEDULE_PLATEAU, /**< a third whenever it gets no better */
    OC_SCHEDULE_CONSTANT /**< as it is */
} oc_schedule;

/** What a fit tells on its way. */
typedef enum oc_training_event_kind {
    OC_TRAINING_NOTE,    /**< text: what was chosen, and why */
    OC_TRAINING_WARNING, /**< text: something is amiss, as a bad picture */
    OC_TRAINING_STEP,    /**< a step is done */
    OC_TRAINING_EPOCH,   /**< an epoch is done, and measured */
    OC_TRAINING_SAVED    /**< text: the file that was written */
} oc_training_event_kind;

/** What happened.  Numbers that do not apply are 0. */
typedef struct oc_training_event {
    oc_training_event_kind kind; /**< which of the following there are */
    const char *text;            /**< until the call returns; NULL: none */
    int epoch;                   /**< counted from 1 */
    int epochs;                  /**< that there will be at most */
    int64_t step;                /**< of the epoch, counted from 1 */
    int64_t steps;               /**< of an epoch */
    double loss;                 /**< STEP: of it; EPOCH: mean over it */
    double accuracy;             /**< the same, of unmixed batches */
    double rate;                 /**< learning rate */
    double val_loss;             /**< EPOCH */
    double val_accuracy;         /**< EPOCH: of val; multi: mean AP */
    int best;                    /**< EPOCH: the best so far, which is kept */
    double pictures_per_s;       /**< trained with */
    double seconds;              /**< since the start */
    double eta_s;                /**< until the end */
} oc_training_event;

/**
 * What to do.  Zero-initialise; zero means that it is chosen by looking at
 * the data, and an OC_TRAINING_NOTE says what and why.
 */
typedef struct oc_training_options {
    const char *data;       /**< folder or table of labelled pictures */
    const char *labels;     /**< a table of labels, where it is not found */
    const char *val;        /**< folder or table to measure on */
    const char *model;      /**< ONNX classifier to go on from, or */
    const char *arch;       /**< of oc_arch_name() */
    const char *out;        /**< the sealed model to write */
    const char *checkpoint; /**< NULL: out with ".ckpt" behind it */
    const char *report;     /**< HTML page to write, NULL: none */
    const char *curves;  /**< SVG of the curves to keep writing, NULL: none */
    int resume;          /**< nonzero: go on from the checkpoint */
    int width;           /**< of the pictures the network sees */
    int height;          /**< likewise */
    double width_factor; /**< of an architecture's channels */
    int epochs;          /**< at most */
    int batch;           /**< pictures a step */
    double rate;         /**< learning rate at its highest */
    double decay;        /**< weight decay; below 0: none */
    double momentum;     /**< below 0: none */
    double warmup;       /**< epochs of rising rate; below 0: none */
    double last_rate;    /**< COSINE: share of the rate that is left at the
                              end; below 0: none */
    double smoothing;    /**< of labels; below 0: none */
    double clip;         /**< of the gradients' norm; below 0: none */
    double ema;          /**< of averaged weights; below 0: none */
    double grow;         /**< share of the epochs, the first ones, that see
                              pictures of 3/4 the size; 0: none */
    double balance;      /**< of rare classes, 0..1, by drawing more often */
    double focus;        /**< focal loss's gamma */
    double hierarchy;    /**< share of the loss that is of the classes above,
                              where classes are paths; below 0: none */
    oc_optimizer optimizer; /**< what changes the weights */
    oc_schedule schedule;   /**< of the rate */
    oc_criterion criterion; /**< what is minimised */
    const char *augment; /**< "none", "light", "usual", "strong", or a list as
                              "flip-h=0.5,mixup=0.2" */
    const char *teacher; /**< ONNX classifier to learn from; NULL: none */
    double distill;      /**< share of the loss that is the teacher's */
    double temperature;  /**< that softens its shares and ours */
    int keep_classes;    /**< nonzero: the model's classes stay, the data's are
                              added; the model is the teacher of the old ones */
    oc_freeze freeze;    /**< what stays of a model */
    int freeze_norm;     /**< nonzero: batch norms keep their statistics */
    int qat;             /**< nonzero: the model learns to be in 8 bits */
    int patience;      /**< epochs without a better one before it ends; below 0:
                            no early end */
    uint64_t seed;     /**< of everything that is drawn */
    int threads;       /**< 0: all cores */
    uint32_t cpu_mask; /**< as in oc_options */
    double minutes;    /**< time to use; 0: no bound */
    size_t memory_bytes; /**< to stay below; 0: no bound */
    /** Called from oc_training_create() and oc_training_run(); may be NULL. */
    void (*event)(void *user, const oc_training_event *e);
    void *user;                    /**< handed to it */
    const oc_allocator *allocator; /**< NULL: default */
} oc_training_options;

/** A training run; opaque. */
typedef struct oc_training oc_training;

/**
 * Looks at the data, chooses what is open and makes the network.  Strings of
 * opt must live as long as the fit.
 * Errors: of the data with one sentence; as oc_trainer_create().
 */
OC_API oc_status oc_training_create(oc_training **out,
                                    const oc_training_options *opt,
                                    oc_error *err);
/** Frees it; NULL is ignored. */
OC_API void oc_training_destroy(oc_training *f);
/**
 * Trains to the end, writing a checkpoint after every epoch and the model
 * whenever it is better.
 * Errors: E_FORMAT when a loss is no number, with the step: the last good
 *   model and checkpoint are there; E_CANCELLED after oc_training_cancel(),
 * with a checkpoint of where it was; E_IO for a full disk.
 */
OC_API oc_status oc_training_run(oc_training *f, oc_error *err);
/** Ends oc_training_run() after the step it is at.  From any thread, or a
 * signal handler. */
OC_API void oc_training_cancel(oc_training *f);
/** Accuracy on val of the model that was kept; -1: there is none yet. */
OC_API double oc_training_best(const oc_training *f);

#ifdef __cplusplus
}
#endif
#endif
