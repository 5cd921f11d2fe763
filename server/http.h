/*
 * http.h - the server's ear: libmicrohttpd set up, requests taken in,
 * answers given out.
 *
 *     header --> route, key, limits --> body --> handler --> answer
 *                   |                              |
 *                   +--> refused                   +--> queue, worker
 *
 * What libmicrohttpd itself finds malformed it answers itself (400, 413, 414,
 * 431, 505 in HTML): that is before there is a request, and up to version 1
 * there is no hook for it.  With a bad Content-Length 0.9.75 sends its header
 * twice, the second time as body.
 */
#ifndef OCELLI_SERVER_HTTP_H
#define OCELLI_SERVER_HTTP_H

#include "context.h"

typedef struct http http;

/** Listens and serves from now on. */
oc_status http_start(http **out, server *s, oc_error *err);
/** Takes those who already wait, then no more. */
void http_stop_listening(http *h);
/** Closes everything; no request may be at work. */
void http_stop(http *h);
/** "http://127.0.0.1:8080", with the port that was found for 0. */
const char *http_address(const http *h);

#endif
