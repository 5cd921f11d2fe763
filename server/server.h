/*
 * server.h - `ocelli serve`: models over HTTP.  The one header of this folder
 * that the program includes.
 *
 *     server.c      life: start, signals, drain
 *     http.c        libmicrohttpd: connections, bodies, answers
 *     connections.c who is connected, who is too slow, who went away
 *     request.c     one request and its answer
 *     routes.c      the table of routes
 *     openapi.c     the same as an OpenAPI document
 *     page.c        the page of web/
 *     auth.c        API keys, rate limits      tls.c   certificates
 *     schedule.c    queue, workers, batches
 *     repository.c  the folder of models       served.c  one of them, loaded
 *     kserve.c      the Open Inference Protocol; kserve_infer.c,
 * kserve_tensor.c routes_task.c pictures in, results out   multipart.c  forms
 *     routes_words.c the same in words   routes_speech.c text in, sound out
 *     answer_stream.c  answers that are made while they are sent
 *     answer_cache.c   answers that were given before
 *     metrics.c, log.c, json_read.c, basics.c
 */
#ifndef OCELLI_SERVER_SERVER_H
#define OCELLI_SERVER_SERVER_H

#include <ocelli/ocelli.h>

typedef struct server_options {
    /* Models: see repository.h. */
    const char *models;
    const char *const *named;
    size_t n_named;
    const char *versions;
    double poll_s;
    int threads; /* of a session */
    uint32_t cpu_mask;
    oc_precision precision;
    /* Who may connect. */
    const char *listen; /* "127.0.0.1:8080", "[::1]:8080", ":8080" */
    const char *tls_cert, *tls_key;
    const char *keys; /* file of hashes, see auth.h */
    double rate, burst;
    const char *const *cors; /* origins, or "*" */
    size_t n_cors;
    /* Limits. */
    size_t max_body_bytes, max_bodies_bytes, max_header_bytes, max_pixels;
    int max_connections;
    double read_s;    /* for a request's header, and again for its body */
    double idle_s;    /* between requests */
    double request_s; /* to answer it */
    /* Work. */
    int workers;
    size_t queue;
    int batch;
    size_t answers_bytes; /* to keep answers in; 0: none are kept */
    double batch_delay_s;
    /* Life. */
    double drain_delay_s; /* go on accepting after SIGTERM */
    double drain_s;       /* then wait for requests to end */
    int log_level;        /* 0 errors ... 3 everything */
} server_options;

/** Serves until SIGTERM or SIGINT. */
oc_status server_run(const server_options *opt, oc_error *err);

#endif
