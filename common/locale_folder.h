/* locale_folder.h - where the languages' files are. */
#ifndef OCELLI_COMMON_LOCALE_FOLDER_H
#define OCELLI_COMMON_LOCALE_FOLDER_H

#include <stddef.h>

/**
 * The folder of locales that belongs to the running program: in share/ beside
 * its bin/, or in share/ beside it in a tree it was built in.  NULL: there is
 * none.
 */
const char *locale_folder(char *room, size_t bytes);

#endif
