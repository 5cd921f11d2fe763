/*
 * framing.h - what libmicrohttpd lets pass in a request's header, and RFC
 * 9112 does not: whatever another server in front of us could read in
 * another way, so that the two take different bytes for the next request.
 */
#ifndef OCELLI_SERVER_FRAMING_H
#define OCELLI_SERVER_FRAMING_H

struct MHD_Connection;

/** What is wrong as a sentence, *status being the answer's; NULL: nothing. */
const char *framing_fault(struct MHD_Connection *mhd, const char *protocol,
                          int *status);
/** The same for what stands in the request line. */
int framing_is_uri(const char *uri);

#endif
