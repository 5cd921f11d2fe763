/* listen.h - "ADDRESS:PORT" to a socket that listens. */
#ifndef OCELLI_SERVER_LISTEN_H
#define OCELLI_SERVER_LISTEN_H

#include <ocelli/ocelli.h>

/**
 * Opens a listening socket: "127.0.0.1:8080", "[::1]:8080", "localhost:8080",
 * ":8080" for every address.  Port 0: one that is free.
 *   address  receives what it is bound to; 80 bytes are enough
 */
oc_status listen_on(int *fd, const char *where, char *address, size_t room,
                    oc_error *err);

#endif
