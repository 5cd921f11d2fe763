/*
 * pruning.h - what the parts of `ocelli prune` share.
 *
 *     verb_prune.c     options, the order of things
 *     prune_tune.c     the pictures: gradients, learning again, the card
 *     prune_report.c   what there is to say: size, work, time, accuracy
 */
#ifndef OCELLI_CLI_PRUNING_H
#define OCELLI_CLI_PRUNING_H

#include "cli.h"
#include "evaluate.h"
#include "vision_args.h"

#include <ocelli/prune.h>
#include <ocelli/train.h>

/** A model in figures. */
typedef struct prune_figures {
    double bytes;      /* of its file */
    double parameters; /* numbers in it */
    double products;   /* multiply-adds of a run */
    double ms;         /* of a run, the fastest of many */
    double top1;       /* NAN: not measured */
} prune_figures;

typedef struct prune {
    const cli_args *args;
    const char *model, *data;
    char *output, *part; /* part: a file on the way to output */
    int quiet, json, threads;
    int epochs;
    oc_prune_options opt;
    oc_model *basic; /* folded, but nothing fused */
    oc_pruner *pruner;
    cli_vision v; /* as it was, where there are pictures or a card */
    int has_card; /* the model brought one, or options say what one would */
    evaluation e; /* data NULL: nothing is measured */
    const char *metric;
    prune_figures before, after;
    double seconds;
} prune;

/* All return an exit code, with the sentence printed. */

/** Adds samples for gradients. */
int prune_add_samples(prune *r);
/** The smaller model learns again: from r->part to r->output. */
int prune_tune(prune *r);
/** Writes r->part to r->output, with its card and a new golden check. */
int prune_seal(prune *r);
/** Its accuracy, where there are pictures; model NULL: the given one. */
int prune_measure(prune *r, const char *model, double *out);
/** Size, work and time of both. */
int prune_compare(prune *r);
void prune_report(prune *r);

#endif
