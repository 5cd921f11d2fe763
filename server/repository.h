/*
 * repository.h - the models that are served, and the folder they come from.
 *
 *     models/NAME/VERSION/model.onnx     as Triton and OpenVINO Model Server
 *     models/NAME.onnx                   version 1
 *
 * VERSION is a whole number from 1.  Cards (model.card.json) lie beside the
 * model or in its metadata.  Names that begin with a dot are passed over.
 *
 * The folder is looked at again every few seconds.  A file is loaded once it
 * has stopped changing; when it does not load, what served before goes on
 * serving and the index says why.  Requests hold on to the version they
 * began with, so nothing is ever taken from under them.
 */
#ifndef OCELLI_SERVER_REPOSITORY_H
#define OCELLI_SERVER_REPOSITORY_H

#include "served.h"

#include <stddef.h>

typedef struct repository repository;

enum { REPO_MAX_NAME = 128, REPO_MAX_NAMED = 64 };

typedef enum repo_policy { REPO_LATEST, REPO_ALL, REPO_SPECIFIC } repo_policy;

typedef struct repo_options {
    const char *folder;       /* or NULL */
    const char *const *named; /* "NAME=PATH" of single models */
    size_t n_named;
    const char *versions; /* "latest", "latest:N", "all", "1,3" */
    double poll_s;        /* 0: look only when told to */
    served_options served;
} repo_options;

/** Nothing is loaded yet.  E_ARG for options that make no sense. */
oc_status repo_create(repository **out, const repo_options *opt, oc_error *err);
void repo_destroy(repository *r);

/** Loads what is there; afterwards repo_is_loaded(). */
void repo_load_all(repository *r);
int repo_is_loaded(const repository *r);
/** Another number once something else serves, so that answers differ. */
uint64_t repo_state(const repository *r);
/** Looks once for what has changed, when it is time; often called. */
void repo_poll(repository *r);
/** Looks now, and tries again what failed. */
void repo_reload(repository *r);

/**
 * The model of this name; version 0: the latest that serves.  Give it back
 * with served_unref().  NULL: *known says whether there is such a name.
 */
served *repo_find(repository *r, const char *name, int64_t version, int *known);
/**
 * The model for a task: the one of this name, or with name NULL the only one
 * there is.  Errors: E_ARG, the sentence names those there are.
 */
oc_status repo_find_task(repository *r, oc_task task, const char *name,
                         int64_t version, served **out, oc_error *err);
/** Loads a model anew; E_ARG: no such model. */
oc_status repo_load(repository *r, const char *name, oc_error *err);
/** Stops serving it until repo_load(). */
oc_status repo_unload(repository *r, const char *name, oc_error *err);

/** What the index says of one version. */
typedef struct repo_entry {
    const char *name; /* lives as long as the process */
    int64_t version;
    int is_ready;
    const char *reason; /* why not, or why it is not the newest file */
} repo_entry;
/** Calls visit for every version, by name and number, under a lock. */
void repo_each(repository *r, void (*visit)(void *user, const repo_entry *e),
               void *user);
void repo_count(repository *r, size_t *ready, size_t *failed);

/** Counts of one version, for statistics; all times in nanoseconds. */
typedef struct repo_stats {
    uint64_t inferences, executions, failures;
    uint64_t success_ns, failure_ns, queue_ns, input_ns, infer_ns, output_ns;
    int64_t last_ms; /* of the last inference, since 1970 */
} repo_stats;
void repo_add_stats(repository *r, const char *name, int64_t version,
                    const repo_stats *more);
/** Zero counts where there is no such version. */
void repo_get_stats(repository *r, const char *name, int64_t version,
                    repo_stats *out);

#endif
