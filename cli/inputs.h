/*
 * inputs.h - network inputs from files, or made up.
 */
#ifndef OCELLI_CLI_INPUTS_H
#define OCELLI_CLI_INPUTS_H

#include "cli.h"

/* clang-format off */
#define CLI_OPT_SHAPE                                                          \
    {"shape", 0, "[NAME=]1x3x224x224", "size of an input whose dimensions "   \
     "are not fixed (repeatable)", NULL}
#define CLI_OPT_SEED                                                           \
    {"seed", 0, "N", "start of the random numbers (default 1)", NULL}
/* clang-format on */

/** Values of a model's inputs, by number; NULL where none was made. */
typedef struct cli_inputs {
    int n;
    oc_value **values;
} cli_inputs;

int cli_inputs_init(cli_inputs *in, const oc_model *m);
void cli_inputs_deinit(cli_inputs *in);

/**
 * Loads "NAME=FILE" (or "FILE" for the first input): .npy, .npz (the member
 * of the input's name, or the only one), .pb, or a picture.
 */
int cli_inputs_load(cli_inputs *in, const oc_model *m, const char *spec);
/**
 * Fills every input that has no value and no default with seeded random
 * numbers.  Dimensions that are not fixed come from --shape; else the first
 * is 1, the others of four-dimensional inputs 224, the rest 1.
 */
int cli_inputs_random(cli_inputs *in, const oc_model *m, const cli_args *args);
/** Sets what there is on a session; in must live until the run. */
int cli_inputs_set(const cli_inputs *in, const oc_model *m, oc_session *s);

#endif
