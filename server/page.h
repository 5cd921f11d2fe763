/*
 * page.h - the page at /: the files of server/web/, part of the program.
 *
 * cmake/OcEmbed.cmake writes the table.  A request is answered by comparing
 * its path with the table's, so there is no path that could lead elsewhere.
 */
#ifndef OCELLI_SERVER_PAGE_H
#define OCELLI_SERVER_PAGE_H

#include <stddef.h>

typedef struct page_file {
    const char *path;         /* "/", "/js/app.js" */
    const char *type;         /* for Content-Type */
    const char *tag, *gz_tag; /* strong, so each coding has its own */
    const unsigned char *data;
    size_t bytes;
    const unsigned char *gz; /* the same with gzip, or NULL */
    size_t gz_bytes;
} page_file;

extern const page_file page_files[];
extern const size_t page_file_count;

/** The file at a path, or NULL. */
const page_file *page_find(const char *path);
/** Whether Accept-Encoding (or NULL) allows gzip. */
int page_takes_gzip(const char *accept);
/** Whether If-None-Match (or NULL) names this tag. */
int page_has_tag(const char *given, const char *tag);

#endif
