/*
 * log.h - one JSON object a line on standard error.
 *
 *     log_line l;
 *     if (log_begin(&l, LOG_INFO, "model loaded")) {
 *         json_string(&l.j, "model", name);
 *         log_end(&l);
 *     }
 *
 * Lines are written whole, from any thread.
 */
#ifndef OCELLI_SERVER_LOG_H
#define OCELLI_SERVER_LOG_H

#include "json.h"

typedef enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG } log_level;

/** The least grave that is written; once, before there are threads. */
void log_init(log_level level);
int log_wants(log_level level);

typedef struct log_line {
    json j;
    char *text;
    size_t bytes;
} log_line;

/** Begins a line; 0: nobody wants it, or there is no memory for it. */
int log_begin(log_line *l, log_level level, const char *message);
void log_end(log_line *l);
/** A line with one more member, which may be NULL. */
void log_say(log_level level, const char *message, const char *key,
             const char *value);

#endif
