/*
 * sha256.h - SHA-256 (FIPS 180-4), to tell whether a file is the one meant.
 */
#ifndef OC_BASE_SHA256_H
#define OC_BASE_SHA256_H

#include <stddef.h>
#include <stdint.h>

/** The digest of n bytes as 64 lower-case hexadecimal digits and a NUL. */
void oc__sha256_hex(const void *data, size_t n, char out[65]);

#endif
