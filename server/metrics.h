/*
 * metrics.h - counts and times, written in Prometheus' text format.
 *
 * Names of routes and models live as long as the process (the routing table,
 * the repository), so series are found by their addresses.
 */
#ifndef OCELLI_SERVER_METRICS_H
#define OCELLI_SERVER_METRICS_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

typedef struct metrics metrics;

/** What a request spent its time with. */
typedef enum metrics_stage {
    STAGE_QUEUE,  /* until a worker took it */
    STAGE_DECODE, /* body to tensors or picture */
    STAGE_INFER,  /* the network, with preprocessing and decoding */
    STAGE_ENCODE, /* results to bytes */
    STAGE_TOTAL,  /* first byte of the header to the last of the answer */
    STAGE_COUNT
} metrics_stage;

typedef struct metrics_request {
    const char *route, *model; /* model "": none */
    int code;                  /* HTTP status */
    int64_t ns[STAGE_COUNT];   /* 0: did not come to it */
    size_t bytes_in, bytes_out;
} metrics_request;

/** What is asked for when the text is written. */
typedef struct metrics_gauges {
    size_t queue_depth, queue_limit, running, connections, workers;
    size_t models_ready, models_failed;
    int draining;
    int keeps_answers;
    uint64_t answer_hits, answer_misses;
    size_t answers, answers_bytes;
} metrics_gauges;

metrics *metrics_create(void);
void metrics_destroy(metrics *m);
void metrics_add_request(metrics *m, const metrics_request *r);
/** Rows that went through a network together. */
void metrics_add_batch(metrics *m, const char *model, int64_t rows);
/** Refused before it was looked at: "queue", "rate", "key", ... (static). */
void metrics_add_refusal(metrics *m, const char *why);
void metrics_write(metrics *m, const metrics_gauges *g, FILE *f);

#endif
