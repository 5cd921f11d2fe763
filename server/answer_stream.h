/*
 * answer_stream.h - an answer that goes out while a worker still makes it.
 *
 *     worker                              the connection's thread
 *     stream_put(first)                         |
 *     request_done(r)  ---- resumed ------>  stream_answer()
 *     stream_put(...)  ---- resumed ------>  reads, waits (suspended), reads
 *     stream_end()     ---- resumed ------>  the end
 *
 * From request_done() on the request is the connection's, which may go away
 * with it at any time; what the two share is the stream, which the last of
 * them frees.  Memory is that of requests' bodies, and as limited.
 */
#ifndef OCELLI_SERVER_ANSWER_STREAM_H
#define OCELLI_SERVER_ANSWER_STREAM_H

#include "request.h"

typedef struct stream stream;
struct MHD_Response;

/** For the worker; NULL: no memory. */
stream *stream_create(server *s);
/** Adds bytes; nonzero: nobody wants more, or there is no memory. */
int stream_put(stream *s, const void *data, size_t n);
/** The worker's last call.  failed: the client is to see that it is cut. */
void stream_end(stream *s, int failed);

/** For the request, whose answer it will be. */
stream *stream_hold(stream *s);
/** Nobody reads it any more; NULL is ignored. */
void stream_drop(stream *s);
/** r's answer: a response that reads s, which it takes.  NULL: no memory. */
struct MHD_Response *stream_answer(stream *s, request *r);

#endif
