/*
 * connections.h - everybody who is connected, with a time by when something
 * must happen.
 *
 * libmicrohttpd closes connections on which nothing happens.  One that sends
 * a byte now and then is not among them, so each has a deadline here: for the
 * header, the body, the answer.  Passing it shuts the socket down, which
 * libmicrohttpd then finds closed.
 *
 * One whose end comes together with the last bytes of half a request is not
 * found closed either: libmicrohttpd takes a read that does not fill its room
 * for the last there is, and is not told of the end a second time.
 *
 * While a worker has a request its connection is suspended and nobody reads
 * from it; whether the other side is still there is looked up here.
 *
 * When nearly all places are taken, those who have been silent longest between
 * requests lose theirs: however many somebody opens, there is one for who has
 * something to ask.
 */
#ifndef OCELLI_SERVER_CONNECTIONS_H
#define OCELLI_SERVER_CONNECTIONS_H

#include "context.h"
#include "request.h"

typedef struct connection connection;

/** most: how many there may be at once. */
oc_status connections_create(connections **out, int most, oc_error *err);
void connections_destroy(connections *c);

/** NULL: no memory.  It rests, see connections_rest(). */
connection *connections_add(connections *c, int fd, double seconds);
void connections_remove(connections *c, connection *link);
/** It is between requests, for at most so long. */
void connections_rest(connections *c, connection *link, double seconds);
/** From now on it has this long to send a request; 0: any time. */
void connections_read(connections *c, connection *link, double seconds);
/** The same to take the answer. */
void connections_allow(connections *c, connection *link, double seconds);
/** A worker gets the request, or (NULL) gives it back. */
void connections_work(connections *c, connection *link, request *r);

/**
 * Cuts off who is late; stops the work of who went away or is late.  Returns
 * how many were cut off for want of places.
 */
size_t connections_watch(connections *c, scheduler *s);
/** Stops all work. */
void connections_stop_all(connections *c, scheduler *s);
size_t connections_count(connections *c);
/** Whether any has sent something that nobody has read. */
int connections_have_bytes(connections *c);

#endif
