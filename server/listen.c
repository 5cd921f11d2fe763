/* listen.c - see listen.h. */
#define _GNU_SOURCE /* SOCK_CLOEXEC, SOCK_NONBLOCK */

#include "listen.h"

#include "basics.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Splits at the last colon; brackets of IPv6 go. */
static int split(const char *where, char *host, size_t room, char *port,
                 size_t port_room) {
    const char *colon = strrchr(where, ':');
    int64_t number;
    if (!colon || parse_int(colon + 1, 0, 65535, &number)) return 1;
    size_t n = (size_t)(colon - where);
    if (n && where[0] == '[') {
        if (where[n - 1] != ']') return 1;
        where++;
        n -= 2;
    } else if (memchr(where, ':', n)) {
        return 1; /* IPv6 without brackets */
    }
    if (n >= room) return 1;
    memcpy(host, where, n);
    host[n] = '\0';
    copy_text(port, port_room, colon + 1);
    return 0;
}

static int open_one(const struct addrinfo *a) {
    int on = 1, off = 0;
    int fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK,
                    a->ai_protocol);
    if (fd < 0) return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    /* Every address means those of IPv4 too. */
    if (a->ai_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    if (!bind(fd, a->ai_addr, a->ai_addrlen) && !listen(fd, 1024)) return fd;
    int why = errno;
    close(fd);
    errno = why;
    return -1;
}

static void name_of(int fd, char *out, size_t room) {
    struct sockaddr_storage bound;
    socklen_t n = sizeof bound;
    char host[64] = "", port[16] = "";
    if (getsockname(fd, (struct sockaddr *)&bound, &n)) return;
    getnameinfo((struct sockaddr *)&bound, n, host, sizeof host, port,
                sizeof port, NI_NUMERICHOST | NI_NUMERICSERV);
    snprintf(out, room, strchr(host, ':') ? "[%s]:%s" : "%s:%s", host, port);
}

oc_status listen_on(int *fd, const char *where, char *address, size_t room,
                    oc_error *err) {
    char host[256], port[16];
    struct addrinfo hints = {0}, *list = NULL;
    if (split(where, host, sizeof host, port, sizeof port))
        return server_fail(err, OC_E_ARG,
                           "an address is ADDRESS:PORT or [ADDRESS]:PORT, not "
                           "\"%.100s\"",
                           where);
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
    int rc = getaddrinfo(*host ? host : NULL, port, &hints, &list);
    if (rc)
        return server_fail(err, OC_E_IO, "cannot listen on %.100s: %s", where,
                           gai_strerror(rc));
    *fd = -1;
    /* IPv6 first where no address is given: it takes in IPv4. */
    for (int six = !*host; six >= 0 && *fd < 0; six--) {
        for (struct addrinfo *a = list; a && *fd < 0; a = a->ai_next) {
            if (*host || (a->ai_family == AF_INET6) == six) *fd = open_one(a);
        }
    }
    int why = errno;
    freeaddrinfo(list);
    if (*fd < 0)
        return server_fail(err, OC_E_IO, "cannot listen on %.100s: %s", where,
                           strerror(why));
    name_of(*fd, address, room);
    return OC_OK;
}
