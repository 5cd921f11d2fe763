/*
 * served.h - one version of one model, loaded: shared by requests, gone when
 * the last of them gives it back.
 *
 * Sessions are used by one thread at a time, so each served model keeps those
 * that are free; there are never more than requests ran at once.
 */
#ifndef OCELLI_SERVER_SERVED_H
#define OCELLI_SERVER_SERVED_H

#include <ocelli/vision.h>

typedef struct served served;

/** What a model is run with: one thread's session. */
typedef struct slot {
    struct slot *next;
    served *of;
    oc_vision *vision; /* NULL for a model without a task */
    oc_session *session;
} slot;

typedef struct served_options {
    int threads; /* of a session */
    uint32_t cpu_mask;
    oc_precision precision;
    size_t max_file_bytes; /* 0: no limit */
} served_options;

/**
 * Loads a model and runs it once, so that what cannot run is found here and
 * not by the first request.  name must live as long as the process.
 */
oc_status served_load(served **out, const char *name, int64_t version,
                      const char *path, const served_options *opt,
                      oc_error *err);
served *served_ref(served *s);
/** Gives it back; the last one frees it.  NULL is ignored. */
void served_unref(served *s);

const char *served_name(const served *s);
int64_t served_version(const served *s);
oc_model *served_model(const served *s);
/** What it is for; OC_TASK_NONE: tensors only, served_why() says why. */
oc_task served_task(const served *s);
const char *served_why(const served *s);
const oc_card *served_card(const served *s);
/** Whether rows of several requests may go through it together. */
int served_takes_batches(const served *s);

/** A session for this thread.  Errors: E_NOMEM. */
oc_status served_take(served *s, slot **out, oc_error *err);
/** Gives it back; spoiled: it must not be used again. */
void served_give(slot *which, int spoiled);

#endif
