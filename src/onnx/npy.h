/*
 * npy.h - NumPy's array files.
 *
 *     .npy:  "\x93NUMPY" major minor | length u16 (v1) or u32 (v2, v3) |
 *            header: {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3)}
 *            padded with blanks and a newline | elements
 *     .npz:  a zip archive of NAME.npy, stored or deflated
 *
 * NumPy has no bf16, f8 and sub-byte types.  They are written as the smallest
 * type that holds them exactly: f32, i8, u8.  Read back, "V1" and "V2" (raw
 * bytes, which is what NumPy makes of ml_dtypes) are taken as the type the
 * caller expects when its size fits.
 */
#ifndef OC_ONNX_NPY_H
#define OC_ONNX_NPY_H

#include "base/file.h"
#include "graph/value.h"

/**
 * Reads an .npy file's bytes into a clear value.
 *   expect  type to take raw bytes as; NONE: refuse them
 */
oc_status oc__npy_read(oc_value *out, const void *data, size_t bytes,
                       oc_dtype expect, const oc_allocator *a, oc_error *err);
/**
 * The same for an archive: member `name`, or the only one when name is NULL.
 */
oc_status oc__npz_read(oc_value *out, const void *data, size_t bytes,
                       const char *name, oc_dtype expect, const oc_allocator *a,
                       oc_error *err);
/** Writes t to a file. */
oc_status oc__npy_write(const oc_tensor *t, const char *path, oc_error *err);

#endif
