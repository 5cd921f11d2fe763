/*
 * inflate.h - decompresses deflate data (RFC 1951), as in .npz files.
 */
#ifndef OC_BASE_INFLATE_H
#define OC_BASE_INFLATE_H

#include "base/status.h"

/**
 * Decompresses all of `in` into `out`, which it must fill exactly: the
 * container has to know the size, so hostile data cannot ask for more.
 * E_FORMAT for anything else.  Allocates nothing.
 */
oc_status oc__inflate(const void *in, size_t in_bytes, void *out,
                      size_t out_bytes, oc_error *err);
/** CRC-32 as in zip and PNG. */
uint32_t oc__crc32(const void *data, size_t bytes);

#endif
