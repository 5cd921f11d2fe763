/** @file
 * prune.h - channels a network can do without.
 *
 *     oc_pruner *p; oc_error e;
 *     oc_prune_options o = {.channels = 0.4};
 *     oc_options basic = {.optimize = 1};
 *     if (oc_model_load(&model, "net.onnx", &basic, &e) ||
 *         oc_pruner_create(&p, model, &o, &e) ||
 *         oc_pruner_save(p, "net.pruned.onnx", &e))
 *         die(e.message);
 *     oc_pruner_destroy(p);
 *
 * Channels are taken out as a whole, with everything that depends on them:
 * what is written is an ordinary ONNX model with smaller weights, faster in
 * any runtime.  It has to learn again for a while (train.h, `model`).  Errors
 * are as in ocelli.h.
 */
#ifndef OCELLI_PRUNE_H
#define OCELLI_PRUNE_H

#include <ocelli/ocelli.h>

#ifdef __cplusplus
extern "C" {
#endif

/** By what channels are ranked against each other. */
typedef enum oc_importance {
    OC_IMPORTANCE_L1,      /**< size of the weights that make it, times what a
                                batch norm behind them makes of it */
    OC_IMPORTANCE_BN,      /**< scale of its batch norm alone */
    OC_IMPORTANCE_GRADIENT /**< what the loss would be without it, to first
                                order, on samples: oc_pruner_add() */
} oc_importance;

/** What to take out.  Zero-initialise; zero means the default. */
typedef struct oc_prune_options {
    double channels; /**< share of each group's channels, 0 to below 1 */
    double sparsity; /**< share of each layer's weights that becomes zero, the
                          smallest, once channels are out; 0 to below 1 */
    oc_importance importance; /**< of channels */
    int round;   /**< channels that stay are a multiple of it where that is
                      possible; 0: 8, 1: any number */
    int height;  /**< of pictures, where the model leaves it open; 0: 224 */
    int width;   /**< likewise */
    int threads; /**< for gradients; 0: all cores this process may use */
    /** Nodes whose channels stay: names or operators, with * and ? (borrowed
        until oc_pruner_create() returns). */
    const char *const *ignore;
    size_t n_ignore; /**< length of that list */
} oc_prune_options;

/** A model whose channels are known; opaque. */
typedef struct oc_pruner oc_pruner;

/**
 * Finds out which channels of a model depend on each other.  The model must
 * outlive it, and should be loaded with optimize = 1: otherwise batch norms
 * are part of weights already, and cannot learn again.
 * Errors: E_ARG for shares out of range; E_UNSUPPORTED when nothing can be
 *   taken out or the model is in 8 bits, with the reason; E_NOMEM.
 * Used by one thread at a time.
 */
OC_API oc_status oc_pruner_create(oc_pruner **out, oc_model *model,
                                  const oc_prune_options *opt, oc_error *err);
/** Frees it; NULL is ignored. */
OC_API void oc_pruner_destroy(oc_pruner *p);
/**
 * For OC_IMPORTANCE_GRADIENT: one sample of a classifier.
 *   inputs  by number, NULL where an input has a default
 *   label   the right class
 * Errors: E_ARG; E_UNSUPPORTED for a model that is no classifier; as
 *   oc_session_run().
 */
OC_API oc_status oc_pruner_add(oc_pruner *p, const oc_tensor *const *inputs,
                               int n, int label, oc_error *err);
/**
 * Writes the smaller model.  Its metadata are the original's: a card's golden
 * check has to be made anew.
 * Errors: E_ARG gradients are asked for and no sample was added; E_IO;
 *   E_NOMEM.
 */
OC_API oc_status oc_pruner_save(oc_pruner *p, const char *path, oc_error *err);

/** Layers whose channels are tied, and so are taken out together. */
typedef struct oc_pruned_group {
    const char *name; /**< of its first layer; lives as long as the pruner */
    int layers;       /**< that make these channels */
    int64_t channels; /**< that depend on nothing else among them */
    int64_t kept;     /**< of them */
    const char *why;  /**< it stays whole, or part of it; NULL: nothing does */
} oc_pruned_group;

/** How many groups there are, in the order their first layers run. */
OC_API int oc_pruner_group_count(const oc_pruner *p);
/** Group i of them, as it would be written now; E_ARG. */
OC_API oc_status oc_pruner_group(oc_pruner *p, int i, oc_pruned_group *out,
                                 oc_error *err);

#ifdef __cplusplus
}
#endif

#endif
