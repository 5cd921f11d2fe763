/**
 * quant.h - quantization to 8 bits after training.
 *
 *     oc_quantizer *q; oc_error e;
 *     if (oc_quantizer_create(&q, model, NULL, &e)) die(e.message);
 *     for (each sample)
 *         if (oc_quantizer_add(q, inputs, n_inputs, &e)) die(e.message);
 *     if (oc_quantizer_save(q, "net.int8.onnx", &e)) die(e.message);
 *     oc_quantizer_destroy(q);
 *
 * What is written is ONNX in f32 with pairs of QuantizeLinear and
 * DequantizeLinear: any runtime runs it, and ocelli as integers.  Activations
 * get one scale each, u8; weights one for each output channel, i8 and
 * symmetric (Jacob et al., arXiv:1712.05877).
 */
#ifndef OCELLI_QUANT_H
#define OCELLI_QUANT_H

#include <ocelli/ocelli.h>

#ifdef __cplusplus
extern "C" {
#endif

/** How the range of an activation is found. */
typedef enum oc_quant_range {
    OC_QUANT_MSE,        /**< least mean squared error, from a histogram */
    OC_QUANT_MINMAX,     /**< least and greatest value seen */
    OC_QUANT_PERCENTILE, /**< a share of all values lies inside */
    OC_QUANT_AVERAGE,    /**< the mean of each sample's least and greatest */
    OC_QUANT_ENTROPY,    /**< least divergence of the histogram in 8 bits from
                              the one there is (Kullback and Leibler), as
                              TensorRT has it */
} oc_quant_range;

/** What a node with weights becomes. */
typedef enum oc_quant_precision {
    OC_QUANT_INT8,    /**< its weights and its input are in 8 bits */
    OC_QUANT_WEIGHTS, /**< its weights alone are in few bits, and it is computed
                           in f32 */
    OC_QUANT_F32,     /**< it stays as it is */
} oc_quant_precision;

/** "int8", "weights", "f32"; NULL for what is none.  Static storage. */
OC_API const char *oc_quant_precision_name(oc_quant_precision p);

enum {
    OC_QUANT_GROUP = 32 /**< weights that share a scale, by default */
};

/** How to quantize; all zeros are the defaults. */
typedef struct oc_quantize_options {
    oc_quant_range range; /**< of activations */
    double percentile;    /**< share inside, in percent; 0: 99.99 */
    int symmetric;        /**< nonzero: 0 is code 128 of activations that are
                               negative, too, and they reach as far to either
                               side */
    int threads;          /**< 0: all cores this process may use */
    int per_tensor;       /**< nonzero: one scale for a weight's whole tensor */
    int no_bias_correction; /**< nonzero: biases stay as they are */
    int no_equalize; /**< nonzero: channels keep the reach they have, which
                          otherwise is shared with the weights around them;
                          so it is with per_tensor */
    /** Zero: no two weights of a channel that have one sign are more than 128
        together where sums are of integers, so that two products fit 16 bits,
        in which ONNX Runtime and OpenVINO add them on processors without VNNI.
        Nonzero: the greatest weight is 127. */
    int full_range;
    /** 8 or 4: weights alone are quantized, and all is computed in f32.  No
        sample is needed; with some, weights are rounded so that what is made
        of the samples comes out right.  4 bits
        are for Gemm and MatMul; Conv has 8 then.  0: activations, too. */
    int weight_bits;
    /** 32, 64, 128: a scale for so many weights of a column of Gemm and MatMul,
        which become com.microsoft's MatMulNBits; 0: OC_QUANT_GROUP with 4
        bits, one for each column with 8. */
    int group;
    /** Nodes that stay in f32: names or operators, with * and ? (borrowed
        until oc_quantizer_create() returns). */
    const char *const *ignore;
    size_t n_ignore; /**< length of that list */
    /** To stay below with weights, what runs samples, and what is noted of
        them: the samples may have to be added more than once, see
        oc_quantizer_next_pass().  What comes out is the same.  0: no bound. */
    size_t memory_bytes;
    int round_nearest; /**< nonzero: each weight becomes the nearest code;
                            otherwise the one above or below, whichever changes
                            what the node makes of the samples least */
} oc_quantize_options;

/** What is known of a model's ranges so far. */
typedef struct oc_quantizer oc_quantizer;

/**
 * A quantizer of a model, which must outlive it.  opt NULL: defaults.
 * Errors: E_ARG for numbers of bits or a group there are not; E_UNSUPPORTED
 * when nothing in the model can be quantized; E_NOMEM. Used by one thread at a
 * time.
 */
OC_API oc_status oc_quantizer_create(oc_quantizer **out, oc_model *model,
                                     const oc_quantize_options *opt,
                                     oc_error *err);
/** Frees it; NULL is ignored. */
OC_API void oc_quantizer_destroy(oc_quantizer *q);

/**
 * Runs the model on one sample and takes note of its activations' ranges.
 * Nothing of the activations is kept.
 *   inputs  by number, NULL where an input has a default
 * Errors: as oc_session_run(); E_LIMIT when memory_bytes are too few; E_ARG
 *   after the last pass.
 */
OC_API oc_status oc_quantizer_add(oc_quantizer *q,
                                  const oc_tensor *const *inputs, int n,
                                  oc_error *err);

/**
 * Says that all samples have been added.  With memory_bytes, which demands this
 * call, what is noted of channels may not fit at once.
 *   more  nonzero: the same samples must be added once more, and then this be
 *         called again
 * Errors: E_ARG, E_IO, E_FORMAT, E_NOMEM.
 */
OC_API oc_status oc_quantizer_next_pass(oc_quantizer *q, int *more,
                                        oc_error *err);
/** The least memory_bytes that will do; 0 before the first sample, and without
 * a bound. */
OC_API size_t oc_quantizer_least_memory(const oc_quantizer *q);

/**
 * Writes the quantized model.
 * Errors: E_ARG no sample was added, unless weights alone are quantized;
 *   E_UNSUPPORTED a node that operator set 13
 *   says otherwise and that has no equivalent there; E_IO; E_NOMEM.
 */
OC_API oc_status oc_quantizer_save(oc_quantizer *q, const char *path,
                                   oc_error *err);
/**
 * The same to memory, for trying it: oc_model_load_memory() reads it.
 *   data, bytes  receive it; free it with oc_quantizer_release(), before q
 */
OC_API oc_status oc_quantizer_write(oc_quantizer *q, void **data, size_t *bytes,
                                    oc_error *err);
/** Frees what oc_quantizer_write() gave; NULL is ignored. */
OC_API void oc_quantizer_release(oc_quantizer *q, void *data, size_t bytes);

/**
 * Gives back what can be had again: memory for running other models, until
 * something is added, written or asked of a node.  Does nothing for a model
 * that was loaded from memory, has sessions, or inputs of sizes that vary.
 */
OC_API void oc_quantizer_rest(oc_quantizer *q);
/** Whether the model itself has a name for each of its nodes. */
OC_API int oc_quantizer_has_names(const oc_quantizer *q);

/** What was, or will be, done to a node with weights. */
typedef struct oc_quantized_node {
    const char *name; /**< lives as long as the quantizer; "Conv_12" where the
                           model has none */
    const char *op;   /**< the operator; lives as long */
    int quantized;    /**< nonzero: its input is in 8 bits, too */
    oc_quant_precision precision; /**< what it will be */
    int ignored;                  /**< nonzero: a pattern keeps it in f32 */
    int64_t weights;              /**< their number */
    int bits;               /**< of its weights; 32 where it stays in f32 */
    int group;              /**< weights that share a scale; 0: a channel's */
    double sqnr_db;         /**< of its weights: signal to rounding noise */
    double product_sqnr_db; /**< of what it makes of the samples, as far as its
                                 weights do it; 0: not known */
    double input_sqnr_db;   /**< the same of its input; 0 before a sample */
    double equalized;       /**< how much of the reach of its input's channels
                                 went to its weights, 0..1; 0: none */
    float lo;               /**< lower limit of its input; 0 before a sample */
    float hi;               /**< upper limit of its input; 0 before a sample */
    float scale;            /**< of its input: one step */
    double nearest_sqnr_db; /**< product_sqnr_db, were its weights rounded to
                                 the nearest; 0: not known */
    int by_samples; /**< nonzero: they are rounded by what the samples say */
} oc_quantized_node;

/** Nodes with weights, in the order they run. */
OC_API int oc_quantizer_node_count(const oc_quantizer *q);
/** Node i of them; E_ARG, E_NOMEM. */
OC_API oc_status oc_quantizer_node(const oc_quantizer *q, int i,
                                   oc_quantized_node *out);
/** Its name; "" out of range. */
OC_API const char *oc_quantizer_name(const oc_quantizer *q, int i);
/** What node i becomes; F32 out of range. */
OC_API oc_quant_precision oc_quantizer_precision(const oc_quantizer *q, int i);
/** Whether a pattern keeps node i in f32. */
OC_API int oc_quantizer_is_ignored(const oc_quantizer *q, int i);
/**
 * Decides what node i becomes.  What it reads and writes gets 8 bits only where
 * a node in 8 bits needs it.
 * Errors: E_ARG no such node, or one that is ignored; INT8 where weights alone
 *   are quantized.
 */
OC_API oc_status oc_quantizer_set(oc_quantizer *q, int i, oc_quant_precision p,
                                  oc_error *err);
/**
 * Whether channels share their reach with the weights around them, as they do
 * by default.
 * Errors: E_ARG on, and the options say that they do not (no_equalize,
 *   per_tensor, weights alone).
 */
OC_API oc_status oc_quantizer_equalize(oc_quantizer *q, int on, oc_error *err);
/** Of how many activations they do; 0 before anything was written. */
OC_API int oc_quantizer_equalized(const oc_quantizer *q);
/**
 * Whether weights of a channel's scale are rounded by what the samples say, as
 * they are by default, or to the nearest.
 * Errors: E_ARG by_samples, and the options say round_nearest.
 */
OC_API oc_status oc_quantizer_round(oc_quantizer *q, int by_samples,
                                    oc_error *err);
/** The weights of how many nodes are; 0 before a sample. */
OC_API int oc_quantizer_rounded(const oc_quantizer *q);
/**
 * How often the input of node i had which values, as the share of all in each
 * of n bins from lo to hi, which are what was seen; all 0 before a sample.
 */
OC_API oc_status oc_quantizer_histogram(const oc_quantizer *q, int i, int n,
                                        double *shares, float *lo, float *hi);

/** What a report says of a node beyond what the quantizer knows. */
typedef struct oc_quant_note {
    const char *why;       /**< its precision is what it is; NULL: not said */
    double output_sqnr_db; /**< of the model's outputs, when it alone is in 8
                                bits; NAN: not measured, as all below */
    double ms_before;      /**< its time in the model as it was */
    double ms_after;       /**< its time in what was written */
} oc_quant_note;

/** What a report says of the whole; 0 and NULL are left out. */
typedef struct oc_quant_report {
    const char *title;          /**< the model's name */
    const char *command;        /**< that makes it again */
    size_t images;              /**< samples that were looked at */
    double bytes_before;        /**< the file as it was */
    double bytes_after;         /**< the file that was written */
    double ms_before;           /**< a run of the model as it was */
    double ms_after;            /**< a run of what was written */
    const char *metric;         /**< "top-1", "mAP" ... */
    double figure_before;       /**< 0..1 */
    double figure_after;        /**< 0..1 */
    double max_drop;            /**< that was allowed */
    const oc_quant_note *notes; /**< by the number of the node */
} oc_quant_report;

/**
 * Writes a page that says what was done to which node and why: one HTML file,
 * nothing outside of it.
 * Errors: E_ARG, E_IO, E_NOMEM.
 */
OC_API oc_status oc_quantizer_report(const oc_quantizer *q,
                                     const oc_quant_report *report,
                                     const char *path, oc_error *err);

#ifdef __cplusplus
}
#endif

#endif
