/*
 * child.h - a program of the system's, with pipes to what it reads and from
 * what it writes.  What it complains of is not shown: callers have a sentence.
 */
#ifndef OC_SPEECH_CHILD_H
#define OC_SPEECH_CHILD_H

#include "base/status.h"

#include <sys/types.h>

typedef struct oc__child {
    pid_t pid;
    int to;   /* what it reads, or -1 */
    int from; /* what it writes, or -1 */
} oc__child;

/** Whether a program of that name is in PATH. */
int oc__child_is_there(const char *name);
/** Starts argv[0], found in PATH.  has_output: its output is wanted.  E_IO. */
oc_status oc__child_start(oc__child *c, const char *const *argv, int has_output,
                          oc_error *err);
/** Writes all of it; nonzero: nobody reads any more. */
int oc__child_write(oc__child *c, const void *data, size_t bytes);
/** Closes the pipes and waits, after a kill where wanted; its exit code, or
 * -1 where a signal ended it. */
int oc__child_end(oc__child *c, int kill_it);

#endif
