/* context.h - what all requests share; server.c makes it. */
#ifndef OCELLI_SERVER_CONTEXT_H
#define OCELLI_SERVER_CONTEXT_H

#include "auth.h"
#include "metrics.h"
#include "repository.h"
#include "schedule.h"
#include "server.h"

#include <stdatomic.h>

typedef struct connections connections;
typedef struct tls tls;
typedef struct answer_cache answer_cache;

typedef struct server {
    server_options opt;
    auth *auth;
    metrics *metrics;
    repository *repo;
    scheduler *sched;
    connections *connections;
    tls *tls;              /* NULL without */
    answer_cache *answers; /* the same */
    atomic_int draining;
    atomic_int hurry;           /* the time for that is over */
    atomic_int active;          /* requests begun and not yet ended */
    atomic_size_t bodies_bytes; /* held by requests */
} server;

#endif
