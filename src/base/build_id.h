/* build_id.h - which build of the library this is. */
#ifndef OC_BASE_BUILD_ID_H
#define OC_BASE_BUILD_ID_H

#include <stddef.h>
#include <stdint.h>

enum { OC_BUILD_ID_BYTES = 32 };

/**
 * The digest the linker has put into the file this code runs from (the build
 * ID of ELF, the same wherever it is installed); returns its length, 0 where
 * there is none.
 */
size_t oc__build_id(uint8_t out[OC_BUILD_ID_BYTES]);

#endif
