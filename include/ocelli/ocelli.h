/** @file
 * ocelli.h - load a vision network from ONNX, run it, read the results.
 *
 * Everything a program needs for inference is here: a model is loaded once,
 * sessions made from it run it.  Pictures, tasks and cards are in vision.h.
 *
 *     oc_model *m; oc_session *s; oc_error e;
 *     if (oc_model_load(&m, "net.onnx", NULL, &e)) die(e.message);
 *     if (oc_session_create(&s, m, NULL, &e)) die(e.message);
 *     oc_session_set_input(s, 0, &my_tensor, &e);
 *     if (oc_session_run(s, &e)) die(e.message);
 *     const oc_tensor *y = oc_session_output_tensor(s, 0);
 *
 * Threads: a model may be shared by any number of threads; a session is used
 * by one thread at a time.  No call prints, exits or aborts.
 *
 * Errors: functions that can fail return an oc_status; the sentence that
 * explains it goes to the oc_error given last, which may be NULL.  On error
 * the outputs of a call are untouched and nothing leaks.
 */
#ifndef OCELLI_OCELLI_H
#define OCELLI_OCELLI_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Marks what the library exports. */
#if defined(_WIN32) || defined(OC_STATIC)
#define OC_API
#else
#define OC_API __attribute__((visibility("default")))
#endif

#define OC_VERSION_MAJOR 0 /**< changes with the binary interface */
#define OC_VERSION_MINOR 1 /**< changes with additions */
#define OC_VERSION_PATCH 0 /**< changes with repairs */

/** Library version as "major.minor.patch"; static storage. */
OC_API const char *oc_version(void);

/* ---- errors ------------------------------------------------------------ */

/** Every status with its text, for X(name, text). */
#define OC_STATUS_MAP(X)                                                       \
    X(OK, "success")                                                           \
    X(E_NOMEM, "out of memory")                                                \
    X(E_ARG, "bad argument")                                                   \
    X(E_FORMAT, "malformed data")                                              \
    X(E_UNSUPPORTED, "not supported")                                          \
    X(E_SHAPE, "shape mismatch")                                               \
    X(E_IO, "i/o error")                                                       \
    X(E_LIMIT, "limit exceeded")                                               \
    X(E_CANCELLED, "cancelled")

/** How a call ended: OC_OK is 0, everything else a failure. */
typedef enum oc_status {
/** Makes one enumerator. */
#define OC_STATUS_ENUM(name, text) OC_##name,
    OC_STATUS_MAP(OC_STATUS_ENUM)
#undef OC_STATUS_ENUM
} oc_status;

/** Why a call failed.  Plain data: copy it, keep it, nothing to free. */
typedef struct oc_error {
    oc_status status;  /**< what the call returned */
    int64_t offset;    /**< byte offset in the file, -1 where none applies */
    char node[96];     /**< node (operator instance) name, "" where none */
    char message[384]; /**< one sentence, UTF-8, no final newline */
} oc_error;

/** A short English name for a status; static storage, never NULL. */
OC_API const char *oc_status_text(oc_status status);

/* ---- memory ------------------------------------------------------------ */

/**
 * Where memory comes from.  alloc returns `bytes` bytes aligned to 64, or
 * NULL; release takes what alloc returned, with the same size.  Both may be
 * called from any thread.
 */
typedef struct oc_allocator {
    void *(*alloc)(void *user, size_t bytes);             /**< gets memory */
    void (*release)(void *user, void *ptr, size_t bytes); /**< gives it back */
    void *user;                                           /**< handed to both */
} oc_allocator;

/* ---- tensors ----------------------------------------------------------- */

#define OC_MAX_RANK 8 /**< no tensor has more dims */

/**
 * Element types.  The number is ONNX's TensorProto.DataType, so files and
 * messages agree.  bytes is the size of one element in memory: types below a
 * byte are held one element to a byte (sign-extended for i2 and i4).
 *      name       ONNX bytes KServe/text name
 */
#define OC_DTYPE_MAP(X)                                                        \
    X(NONE, 0, 0, "none")                                                      \
    X(F32, 1, 4, "f32")                                                        \
    X(U8, 2, 1, "u8")                                                          \
    X(I8, 3, 1, "i8")                                                          \
    X(U16, 4, 2, "u16")                                                        \
    X(I16, 5, 2, "i16")                                                        \
    X(I32, 6, 4, "i32")                                                        \
    X(I64, 7, 8, "i64")                                                        \
    X(STRING, 8, 16, "string")                                                 \
    X(BOOL, 9, 1, "bool")                                                      \
    X(F16, 10, 2, "f16")                                                       \
    X(F64, 11, 8, "f64")                                                       \
    X(U32, 12, 4, "u32")                                                       \
    X(U64, 13, 8, "u64")                                                       \
    X(C64, 14, 8, "c64")                                                       \
    X(C128, 15, 16, "c128")                                                    \
    X(BF16, 16, 2, "bf16")                                                     \
    X(F8E4M3FN, 17, 1, "f8e4m3fn")                                             \
    X(F8E4M3FNUZ, 18, 1, "f8e4m3fnuz")                                         \
    X(F8E5M2, 19, 1, "f8e5m2")                                                 \
    X(F8E5M2FNUZ, 20, 1, "f8e5m2fnuz")                                         \
    X(U4, 21, 1, "u4")                                                         \
    X(I4, 22, 1, "i4")                                                         \
    X(F4E2M1, 23, 1, "f4e2m1")                                                 \
    X(F8E8M0, 24, 1, "f8e8m0")                                                 \
    X(U2, 25, 1, "u2")                                                         \
    X(I2, 26, 1, "i2")

/** An element type; see OC_DTYPE_MAP. */
typedef enum oc_dtype {
/** Makes one enumerator. */
#define OC_DTYPE_ENUM(name, number, bytes, text) OC_DTYPE_##name = number,
    OC_DTYPE_MAP(OC_DTYPE_ENUM)
#undef OC_DTYPE_ENUM
        OC_DTYPE_COUNT
} oc_dtype;

/** Bytes of one element in memory, 0 for an unknown type. */
OC_API size_t oc_dtype_bytes(oc_dtype dtype);
/** "f32", "i64", ...; "?" for an unknown type.  Static storage. */
OC_API const char *oc_dtype_name(oc_dtype dtype);

/** One element of an OC_DTYPE_STRING tensor: UTF-8, not NUL-terminated. */
typedef struct oc_string {
    const char *data; /**< may hold NUL bytes */
    size_t bytes;     /**< its length */
} oc_string;

/**
 * A view of typed, shaped memory: row-major, dense, no strides.  It owns
 * nothing.  Rank 0 is a scalar (one element); a dim may be 0.
 */
typedef struct oc_tensor {
    oc_dtype dtype;            /**< type of an element */
    int rank;                  /**< how many dims there are */
    int64_t dims[OC_MAX_RANK]; /**< outermost first */
    void *data;                /**< aligned to its element size at least */
} oc_tensor;

/** Elements in t: the product of its dims, 1 for rank 0. */
OC_API int64_t oc_tensor_elems(const oc_tensor *t);
/** Bytes of t's data (for strings: of the oc_string array alone). */
OC_API size_t oc_tensor_bytes(const oc_tensor *t);

/** Element i of t as a double; 0 for strings; the real part of complex. */
OC_API double oc_tensor_get(const oc_tensor *t, int64_t i);

/** What travels along an edge of the network. */
typedef enum oc_kind {
    OC_KIND_NONE,     /**< an absent optional */
    OC_KIND_TENSOR,   /**< also a present optional tensor */
    OC_KIND_SEQUENCE, /**< ordered values */
    OC_KIND_MAP,      /**< two tensors of equal length: keys, values */
} oc_kind;

/** A value; opaque, see the accessors. */
typedef struct oc_value oc_value;

/** What v is. */
OC_API oc_kind oc_value_kind(const oc_value *v);
/** The tensor in v, or NULL when v is none.  Lives as long as v. */
OC_API const oc_tensor *oc_value_tensor(const oc_value *v);
/** Items of a sequence; 2 (keys, values) for a map; 0 otherwise. */
OC_API size_t oc_value_count(const oc_value *v);
/** Item i of a sequence or map, NULL out of range.  Lives as long as v. */
OC_API const oc_value *oc_value_item(const oc_value *v, size_t i);

/** Makes a value that copies t.  Destroy it with oc_value_destroy(). */
OC_API oc_status oc_value_create_tensor(oc_value **out, const oc_tensor *t,
                                        oc_error *err);
/** Makes a sequence of copies of items (n may be 0). */
OC_API oc_status oc_value_create_sequence(oc_value **out,
                                          const oc_value *const *items,
                                          size_t n, oc_error *err);
/** Makes an absent optional. */
OC_API oc_status oc_value_create_none(oc_value **out, oc_error *err);
/** Frees a value made by oc_value_create_*(); NULL is ignored. */
OC_API void oc_value_destroy(oc_value *v);

/* ---- models ------------------------------------------------------------ */

/** A loaded network; opaque. */
typedef struct oc_model oc_model;

/** Instruction sets, as bits.  0 in oc_options.cpu_mask means all present. */
#define OC_CPU_SSE41      (1u << 0)  /**< SSE to 4.1 */
#define OC_CPU_AVX2       (1u << 1)  /**< with FMA and F16C */
#define OC_CPU_AVX512     (1u << 2)  /**< F, BW, DQ, VL, CD */
#define OC_CPU_AVX512VNNI (1u << 3)  /**< int8 dot products, 512 bits */
#define OC_CPU_AVXVNNI    (1u << 4)  /**< the same, 256 bits */
#define OC_CPU_AVX512BF16 (1u << 5)  /**< bf16 dot products */
#define OC_CPU_AMX_INT8   (1u << 6)  /**< int8 tiles */
#define OC_CPU_AMX_BF16   (1u << 7)  /**< bf16 tiles */
#define OC_CPU_AVX512FP16 (1u << 8)  /**< f16 arithmetic */
#define OC_CPU_AVX512VBMI (1u << 9)  /**< bytes looked up in registers */
#define OC_CPU_NEON       (1u << 16) /**< 64-bit ARM */
#define OC_CPU_NEON_DOT   (1u << 17) /**< int8 dot products */
#define OC_CPU_NEON_I8MM  (1u << 18) /**< int8 matrix products */
#define OC_CPU_NEON_FP16  (1u << 19) /**< f16 arithmetic */
#define OC_CPU_NEON_BF16  (1u << 20) /**< bf16 products */
#define OC_CPU_SCALAR     (1u << 31) /**< as a mask: nothing but plain C */

/** The instruction sets this machine and its operating system offer. */
OC_API uint32_t oc_cpu_features(void);
/** Cores this process may use: affinity and cgroup quota considered. */
OC_API int oc_cpu_count(void);

/** What `ocelli devices` shows.  Sizes are 0 where the system does not say. */
typedef struct oc_cpu_info {
    const char *name;    /**< "AMD EPYC ...", or ""; static storage */
    uint32_t features;   /**< oc_cpu_features() */
    int cores;           /**< oc_cpu_count() */
    size_t l1d_bytes;    /**< data cache of a core, first level */
    size_t l2_bytes;     /**< second level */
    size_t l3_bytes;     /**< third level, mostly shared */
    size_t memory_bytes; /**< of the machine */
} oc_cpu_info;
/** Fills out. */
OC_API void oc_cpu_describe(oc_cpu_info *out);
/**
 * The name of the i-th instruction set among OC_CPU_*, with its bit; NULL
 * behind the last.  Static storage.
 */
OC_API const char *oc_cpu_feature_name(int i, uint32_t *bit);
/**
 * What one core can do: f32 operations a second in fused multiply-adds on
 * registers alone, measured for some 30 ms.  cpu_mask is as in oc_options.
 */
OC_API double oc_cpu_peak_flops(uint32_t cpu_mask);
/**
 * Bytes a second that so many cores together read from memory, beyond all
 * caches; measured for some 100 ms.  0 where there is no room for it.
 */
OC_API double oc_cpu_memory_speed(int threads);

/** In what the heavy products of a network are computed. */
typedef enum oc_precision {
    OC_PRECISION_F32, /**< the reference */
    /**
     * Weights of convolutions and products, and what they are multiplied with,
     * are rounded to bf16 (8 bits of mantissa); sums and everything between
     * stay f32.  Needs instructions for it, or OC_CPU_SCALAR: plain C says what
     * the result is, slowly.
     */
    OC_PRECISION_BF16,
    OC_PRECISION_F16, /**< no kernels yet: E_UNSUPPORTED */
    /** bf16 where this CPU has it and the network has what it is for. */
    OC_PRECISION_AUTO,
} oc_precision;
/** "f32", "bf16", "f16" or "auto"; NULL for anything else. */
OC_API const char *oc_precision_name(oc_precision precision);

/**
 * How a model is loaded.  Zero-initialise, then set what matters; zero
 * always means the default.
 */
typedef struct oc_options {
    const oc_allocator *allocator; /**< NULL: aligned malloc */
    uint32_t cpu_mask;             /**< OC_CPU_* to use, 0: all there are */
    int optimize;          /**< 0 full, 1 basic (folding only), -1 none */
    size_t max_file_bytes; /**< refuse larger files; 0: no limit */
    int no_external_data;  /**< nonzero: refuse weights in other files */
    /**
     * Folder in which compiled programs are kept, so that the next process
     * starts in milliseconds; NULL: none are.  It is made if need be, must be
     * this user's own, and may be removed at any time.  One that cannot be
     * used is no error.  Until somebody asks for it, a model loaded this way
     * has no graph: functions that show it read the model then.
     */
    const char *cache_folder;
    size_t cache_bytes; /**< bound on that folder; 0: 2 GiB */
    /** Of the products; bf16 wants full optimization.  See oc_precision. */
    oc_precision precision;
} oc_options;

/**
 * Loads an ONNX model.  The file is mapped, not copied: it must not change
 * while the model lives.
 *   out   receives the model; free it with oc_model_destroy()
 *   path  UTF-8 file name; external data must lie in or below its folder
 *   opt   NULL for defaults
 * Errors: E_IO unreadable; E_FORMAT malformed (with byte offset);
 *   E_UNSUPPORTED an operator or type that is not there, named with its node,
 *   domain and version, or a precision this CPU has not; E_SHAPE shapes that
 *   contradict each other; E_NOMEM; E_LIMIT.
 */
OC_API oc_status oc_model_load(oc_model **out, const char *path,
                               const oc_options *opt, oc_error *err);
/** The same from memory, which is borrowed for the life of the model. */
OC_API oc_status oc_model_load_memory(oc_model **out, const void *data,
                                      size_t bytes, const oc_options *opt,
                                      oc_error *err);
/** E_UNSUPPORTED or E_ARG, with the sentence, where opt->precision is not to be
 * had; oc_model_load() asks, too.  opt may be NULL. */
OC_API oc_status oc_precision_check(const oc_options *opt, oc_error *err);
/** The precision it runs in: what auto chose, never auto itself. */
OC_API oc_precision oc_model_precision(const oc_model *model);
/** What oc_cpu_peak_flops() says, of operations in the model's precision. */
OC_API double oc_model_peak_flops(const oc_model *model);
/** Frees a model once its sessions are gone; NULL is ignored. */
OC_API void oc_model_destroy(oc_model *model);

/** A network input or output as the model declares it. */
typedef struct oc_value_info {
    const char *name;          /**< lives as long as the model */
    oc_kind kind;              /**< tensor, sequence, ... */
    oc_dtype dtype;            /**< of the tensor, or of the elements */
    int rank;                  /**< -1: not declared */
    int64_t dims[OC_MAX_RANK]; /**< -1: not fixed */
    const char *dim_names[OC_MAX_RANK]; /**< symbolic name or NULL */
    int optional; /**< 0: must be set; 1: has a default; 2: its type is
                       optional(...), unset it is none */
} oc_value_info;

/** How many inputs the network has. */
OC_API int oc_model_input_count(const oc_model *model);
/** How many outputs it has. */
OC_API int oc_model_output_count(const oc_model *model);
/** Input i; NULL out of range.  Lives as long as the model. */
OC_API const oc_value_info *oc_model_input(const oc_model *model, int i);
/** Output i; NULL out of range.  Lives as long as the model. */
OC_API const oc_value_info *oc_model_output(const oc_model *model, int i);
/** Index of a named input, -1 when there is none. */
OC_API int oc_model_find_input(const oc_model *model, const char *name);
/** Index of a named output, -1 when there is none. */
OC_API int oc_model_find_output(const oc_model *model, const char *name);
/** A metadata_props entry, or NULL.  Lives as long as the model. */
OC_API const char *oc_model_metadata(const oc_model *model, const char *key);

/** Key of metadata_props entry i, NULL out of range. */
OC_API const char *oc_model_metadata_key(const oc_model *model, size_t i);
/**
 * Domain of the i-th operator set the model imports ("ai.onnx" for the
 * standard one), NULL out of range; *version (may be NULL) receives its
 * version.
 */
OC_API const char *oc_model_opset(const oc_model *model, size_t i,
                                  int *version);
/**
 * Nonzero when an operator draws random numbers: then the outputs are not a
 * function of the inputs.
 */
OC_API int oc_model_is_random(const oc_model *model);

/** Sees one node: domain ("" is ai.onnx), operator, name ("" without). */
typedef void (*oc_model_op_visit)(void *user, const char *domain,
                                  const char *op, const char *name);
/** Calls visit for every node after the passes, those of sub-graphs too. */
OC_API void oc_model_each_node(const oc_model *model, oc_model_op_visit visit,
                               void *user);

/**
 * Sees one operator of this library: domain ("" is ai.onnx), name, and the
 * first version of the domain's operator set that is served.
 */
typedef void (*oc_operator_visit)(void *user, const char *domain,
                                  const char *name, int since);
/**
 * Calls visit for every operator there is, in no order.  Those of the domain
 * "ocelli" are what the passes make of others.
 */
OC_API void oc_operator_each(oc_operator_visit visit, void *user);

/** What `ocelli inspect` shows at the top. */
typedef struct oc_model_summary {
    int64_t ir_version;      /**< of the file */
    int64_t opset;           /**< of the ai.onnx domain */
    const char *producer;    /**< what wrote the file */
    const char *graph_name;  /**< of the graph */
    const char *description; /**< of the model */
    size_t node_count;       /**< as imported, functions inlined */
    size_t optimized_count;  /**< after the passes */
    size_t parameter_elems;  /**< elements in all constants */
    size_t parameter_bytes;  /**< their memory */
} oc_model_summary;
/** Fills out; its strings live as long as the model. */
OC_API void oc_model_summarize(const oc_model *model, oc_model_summary *out);

/**
 * Writes the graph as text (after the passes), one node a line, by calling
 * emit(user, text, bytes) as often as needed.
 */
OC_API void oc_model_print(const oc_model *model,
                           void (*emit)(void *user, const char *text,
                                        size_t bytes),
                           void *user);

/**
 * Writes the model's graph as an ONNX file: as it is after the passes, so a
 * model loaded with optimize -1 is written as it was read, but for functions
 * (inlined) and weights in other files (they come inside).
 */
OC_API oc_status oc_model_save(const oc_model *model, const char *path,
                               oc_error *err);
/**
 * Copies an ONNX file with other metadata_props, every other byte untouched:
 * keys[i] becomes values[i], or goes when that is NULL.  to may be from.
 */
OC_API oc_status oc_model_rewrite_metadata(const char *from, const char *to,
                                           const char *const *keys,
                                           const char *const *values, size_t n,
                                           oc_error *err);

/* ---- files of tensors -------------------------------------------------- */

/**
 * Reads a value from a file, told by its name's ending:
 *   .npy  NumPy array
 *   .npz  NumPy archive; member names the array, NULL: the only one there
 *   .pb   TensorProto, SequenceProto, OptionalProto or MapProto: which one is
 *         not in the file, so info (an input or output of the model) says it
 * info may be NULL: a tensor.  Destroy the value with oc_value_destroy().
 */
OC_API oc_status oc_value_load(oc_value **out, const char *path,
                               const char *member, const oc_value_info *info,
                               oc_error *err);
/**
 * Writes a value as .pb.  name (may be NULL) is kept inside.  The file appears
 * under its name only once it is complete, as with everything this library
 * writes.
 */
OC_API oc_status oc_value_save_pb(const oc_value *v, const char *name,
                                  const char *path, oc_error *err);
/**
 * Writes a tensor as .npy.  Types NumPy does not have are widened: bf16, f8
 * and f4 to f32, 4 and 2 bit integers to 8 bits.
 */
OC_API oc_status oc_tensor_save_npy(const oc_tensor *t, const char *path,
                                    oc_error *err);

/* ---- sessions ---------------------------------------------------------- */

/** A model made ready to run, for one thread at a time; opaque. */
typedef struct oc_session oc_session;

/** What timing has found for one plan; see oc_session_options.tune. */
typedef struct oc_tune_summary {
    int layers;      /**< that can be done in several ways, and were timed */
    int timed;       /**< of them those unlike all others */
    int changed;     /**< are not done as the cost model would have them */
    int left;        /**< not timed: there was no time or memory left */
    double usual_ms; /**< of all these layers, as by the cost model */
    double tuned_ms; /**< as they are done now */
    double spent_ms; /**< on timing */
} oc_tune_summary;

/** How a session runs.  Zero-initialise; zero means the default. */
typedef struct oc_session_options {
    int threads;             /**< 0: every core this process may use */
    size_t plan_cache_bytes; /**< bound on plans kept for other input shapes;
                                  0: 256 MiB */
    int profile;             /**< nonzero: time every step */
    int any_shape;           /**< nonzero: take inputs whose shape is not the
                                  declared one, as long as it computes */
    /**
     * Nonzero: when a plan is made, time the ways in which each convolution
     * can be done, some 50 ms each and 30 s at most, and take the fastest.
     * Zero: a cost model chooses, without timing.
     *
     * With oc_options.cache_folder a plan found this way is kept, and later
     * sessions on this kind of processor take it, whether they ask for tuning
     * or not, for the same model, input shapes and number of threads.
     *
     * Ways differ in the last bits of what they compute.  One plan gives the
     * same bits at every run; two plans that were tuned may not, which those
     * of the cost model do, whatever the number of threads.
     */
    int tune;
    /** Called by the planning thread once a plan has been tuned; or NULL. */
    void (*tuned)(void *user, const oc_tune_summary *what);
    void *tuned_user; /**< handed to it */
} oc_session_options;

/** Makes a session.  The model must outlive it.  opt may be NULL. */
OC_API oc_status oc_session_create(oc_session **out, oc_model *model,
                                   const oc_session_options *opt,
                                   oc_error *err);
/** Frees a session; NULL is ignored. */
OC_API void oc_session_destroy(oc_session *s);

/**
 * Sets input i.  The tensor's data is borrowed until the next run has ended.
 * A set input stays set over runs; set it again when the data moves.
 *
 * An input with a default (optional is 1: from IR 4 on an initialiser that is
 * listed as an input) may be left alone.  Once one is set, the session runs
 * another copy of the network, imported when first needed, in which all such
 * inputs may change: weights among them are neither folded, packed nor laid
 * out in blocks, which takes more time and memory.
 */
OC_API oc_status oc_session_set_input(oc_session *s, int i, const oc_tensor *t,
                                      oc_error *err);
/** The same for any value (sequence, map, none). */
OC_API oc_status oc_session_set_input_value(oc_session *s, int i,
                                            const oc_value *v, oc_error *err);
/**
 * Runs the network.  The first run for a set of input shapes plans it; later
 * ones allocate nothing (networks whose shapes depend on data excepted).
 * Errors: E_SHAPE or E_ARG for inputs that do not fit; E_CANCELLED.
 */
OC_API oc_status oc_session_run(oc_session *s, oc_error *err);
/** Plans for the inputs set so far without running. */
OC_API oc_status oc_session_plan(oc_session *s, oc_error *err);
/** Output i of the last run; valid until the next run.  NULL before one. */
OC_API const oc_value *oc_session_output(const oc_session *s, int i);
/** The tensor of output i, NULL if it has none. */
OC_API const oc_tensor *oc_session_output_tensor(const oc_session *s, int i);
/** Asks a run in another thread to stop soon with E_CANCELLED. */
OC_API void oc_session_cancel(oc_session *s);

/** One step of the current plan with its time; for `bench --layers`. */
typedef struct oc_step_info {
    const char *name;   /**< node name */
    const char *op;     /**< operator */
    const char *kernel; /**< what runs it ("" when only one way exists) */
    int64_t runs;       /**< timed runs */
    int64_t total_ns;   /**< of all timed runs */
    int64_t min_ns;     /**< of the fastest */
    double flops;       /**< per run, 0 where not counted */
    double bytes;       /**< tensor bytes in and out per run */
    oc_tensor output;   /**< shape of the first output; data is NULL */
} oc_step_info;
/** Steps in the current plan; 0 before there is one. */
OC_API int oc_session_step_count(const oc_session *s);
/** Step i; E_ARG out of range. */
OC_API oc_status oc_session_step(const oc_session *s, int i, oc_step_info *out);

/** One tensor of the memory plan; for `inspect --memory`. */
typedef struct oc_memory_info {
    const char *name; /**< of the value */
    size_t offset;    /**< in the block of activations */
    size_t bytes;     /**< its size there */
    int first_step;   /**< that writes it */
    int last_step;    /**< that reads it */
} oc_memory_info;
/** The memory of the current plan. */
typedef struct oc_memory_summary {
    size_t weight_bytes;     /**< constants */
    size_t activation_bytes; /**< values between steps */
    size_t scratch_bytes;    /**< what kernels work in */
    size_t unplanned_bytes;  /**< activations if nothing shared memory */
    int tensor_count;        /**< tensors in the activations' block */
} oc_memory_summary;
/** Fills out; all zero before there is a plan. */
OC_API void oc_session_memory(const oc_session *s, oc_memory_summary *out);
/** Tensor i of the plan; E_ARG out of range. */
OC_API oc_status oc_session_memory_tensor(const oc_session *s, int i,
                                          oc_memory_info *out);

#ifdef __cplusplus
}
#endif
#endif
