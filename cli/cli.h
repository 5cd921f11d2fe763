/*
 * cli.h - what every verb of the program shares.
 *
 * A verb is one file, verb_<name>.c, that ends in a table row:
 *
 *     static const cli_option options[] = {
 *         {"top", 'k', "K", "labels to show (default 5)", NULL}, CLI_OPTS_RUN};
 *     const cli_verb cli_verb_classify = {
 *         "classify", "MODEL INPUT...", "say what is in pictures",
 *         "Long text.", options, 2, -1, run_classify};
 *
 * and one line in verbs.def.  Help, the manual page and shell completion are
 * made from the row; nothing else knows the verbs.
 */
#ifndef OCELLI_CLI_H
#define OCELLI_CLI_H

#include <ocelli/ocelli.h>

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/** Exit codes. */
enum {
    CLI_OK = 0,
    CLI_FAILED = 1,    /* the work failed */
    CLI_USAGE = 2,     /* the command line makes no sense */
    CLI_BAD_INPUT = 3, /* a bad model or bad data */
    CLI_RESOURCES = 4, /* out of memory, or a limit was met */
};

typedef struct cli_option {
    const char *name;    /* without the dashes */
    char letter;         /* -x, or 0 */
    const char *value;   /* what to call its value, NULL for a switch */
    const char *help;    /* lower case, no final full stop */
    const char *choices; /* "a|b|c": nothing else is taken; or NULL */
} cli_option;

typedef struct cli_args cli_args;

typedef struct cli_verb {
    const char *name;
    const char *operands;           /* "MODEL INPUT..." */
    const char *summary;            /* one line, lower case, no full stop */
    const char *description;        /* paragraphs, parted by "\n\n" */
    const cli_option *options;      /* ends with CLI_OPT_END */
    int min_operands, max_operands; /* max -1: any number */
    int (*run)(cli_args *args);     /* returns an exit code */
} cli_verb;

/* clang-format off */
#define CLI_OPT_END {NULL, 0, NULL, NULL, NULL}
#define CLI_OPT_JSON {"json", 0, NULL, "print one JSON document", NULL}
#define CLI_OPT_QUIET                                                          \
    {"quiet", 'q', NULL, "print results and errors only", NULL}
#define CLI_OPT_THREADS                                                        \
    {"threads", 't', "N", "threads to use (default: every core this process " \
     "may use)", NULL}
#define CLI_OPT_CPU                                                            \
    {"cpu", 0, "SET", "instruction sets to use at most (default: all there "  \
     "are)", "scalar|sse41|avx2|avx512|vnni|bf16|amx|neon|all"}
#define CLI_OPT_PRECISION                                                      \
    {"precision", 0, "TYPE", "of products by weights; auto: bf16 where the "   \
     "CPU has it (default f32)", "f32|bf16|f16|auto"}
#define CLI_OPT_CACHE                                                          \
    {"cache", 0, "DIR", "keep compiled models in DIR (default: ocelli in the " \
     "user's cache folder)", NULL},                                            \
    {"no-cache", 0, NULL, "neither use nor keep compiled models", NULL}
#define CLI_OPT_TUNE                                                           \
    {"tune", 0, NULL, "time how each convolution is done fastest here, and "   \
     "keep that in the cache for later runs, too", NULL}
#define CLI_OPT_OPTIMIZE                                                       \
    {"optimize", 0, "LEVEL", "how much to change the graph (default full)",   \
     "none|basic|full"}
/** What every verb that runs models takes, and the end of its list. */
#define CLI_OPTS_RUN                                                           \
    CLI_OPT_THREADS, CLI_OPT_CPU, CLI_OPT_PRECISION, CLI_OPT_CACHE,            \
    CLI_OPT_TUNE,                                                              \
    CLI_OPT_OPTIMIZE, CLI_OPT_JSON, CLI_OPT_QUIET, CLI_OPT_END
/* clang-format on */

/** Every verb, ended by NULL, in the order help shows them. */
extern const cli_verb *const cli_verbs[];
/** A verb by name, or NULL. */
const cli_verb *cli_find_verb(const char *name);

/* ---- arguments (args.c) -----------------------------------------------------
 */

struct cli_args {
    const cli_verb *verb;
    int n_operands;
    char **operands;
    int n_given;
    struct cli_given {
        const cli_option *option;
        const char *value;
    } * given; /* options in the order they stand */
};

/**
 * Sorts argv[0..argc-1] (what stands behind the verb) into operands and
 * options; --help prints and sets *help.  Returns CLI_OK or CLI_USAGE, with
 * the sentence printed.
 */
int cli_parse(cli_args *out, const cli_verb *verb, int argc, char **argv,
              int *help);
void cli_args_deinit(cli_args *args);

/** Whether an option was given. */
int cli_has(const cli_args *args, const char *name);
/** Its value (the last one when given often), or fallback. */
const char *cli_get(const cli_args *args, const char *name,
                    const char *fallback);
/** Value number i of an option given repeatedly, NULL behind the last. */
const char *cli_get_nth(const cli_args *args, const char *name, int i);
/**
 * Its value as a number in lo..hi; fallback when not given.  Returns CLI_OK,
 * or CLI_USAGE with the sentence printed.
 */
int cli_get_int(const cli_args *args, const char *name, int64_t lo, int64_t hi,
                int64_t fallback, int64_t *out);
int cli_get_double(const cli_args *args, const char *name, double lo, double hi,
                   double fallback, double *out);
/** The same for bytes, as "512M" or "2G"; *out stays when not given. */
int cli_get_size(const cli_args *args, const char *name, size_t *out);

/* ---- errors (report.c)
 * ------------------------------------------------------- */

/** Prints "ocelli: sentence" on standard error; returns `code`. */
int cli_fail(int code, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/** Prints a library error; what (may be NULL) is the file or so. */
int cli_report(const oc_error *err, const char *what);
/** What an exit code means, for the manual; NULL behind the last one. */
const char *cli_code_text(int code);
/** The exit code for a status. */
int cli_code(oc_status status);

/* ---- models (model_args.c)
 * ---------------------------------------------------- */

/** OC_CPU_* mask of --cpu. */
uint32_t cli_cpu_mask(const cli_args *args);
/** Sets opt by --cpu, --optimize and --precision; CLI_USAGE, with the sentence
 * printed, where the last is not to be had. */
int cli_options(const cli_args *args, oc_options *opt);
/** Loads a model, heeding --cpu, --precision, --optimize, and --cache where the
 * verb has it; prints what goes wrong. */
int cli_load_model(const cli_args *args, const char *path, oc_model **out);
/** Sets what --tune asks for in opt; args live as long as the session. */
void cli_tune(const cli_args *args, oc_session_options *opt);
/** Makes a session, heeding --threads and --tune; profile as in
 * oc_session_options. */
int cli_create_session(const cli_args *args, oc_model *model, int profile,
                       oc_session **out);
/** The same with `usual` threads where --threads is not given. */
int cli_create_session_of(const cli_args *args, oc_model *model, int profile,
                          int usual, oc_session **out);

/* ---- help (help.c, generate.c, generate_tables.c)
 * -------------------------------------------------- */

void cli_print_help(FILE *to);
void cli_print_verb_help(FILE *to, const cli_verb *verb);
/** The hidden verb `_docs`: manual page, completion, tables for docs/. */
int cli_generate(int argc, char **argv);
/** Tables in Markdown for it: operators, the verbs with their options. */
int cli_print_operators(void);
void cli_print_verbs(void);
void cli_print_reference(void);

#endif
