/*
 * external.h - weights that a model keeps in files beside it.
 *
 * A file is mapped once and used in place.  Locations come from the model and
 * are not trusted: they must be relative, without "..", and name a regular
 * file in or below the model's folder after every symbolic link has been
 * followed.
 */
#ifndef OC_ONNX_EXTERNAL_H
#define OC_ONNX_EXTERNAL_H

#include "base/file.h"
#include "base/memory.h"

typedef struct oc__externals {
    oc__arena *arena;
    const char *folder;    /* of the model; NULL: refuse every location */
    size_t max_file_bytes; /* 0: no limit */
    struct oc__external_file *files;
} oc__externals;

/** Where a tensor's bytes are, as TensorProto.external_data says. */
typedef struct oc__external_ref {
    const char *location; /* NULL: not given */
    int64_t offset;
    int64_t length; /* -1: not given, as many bytes as the tensor needs */
} oc__external_ref;

/**
 * Finds the `bytes` bytes of a tensor; *data lives until the release.
 * Errors: E_IO, E_FORMAT (location outside the folder, range outside the
 * file, length that is not the tensor's), E_LIMIT, E_NOMEM.
 */
oc_status oc__external_find(oc__externals *x, const oc__external_ref *ref,
                            size_t bytes, const void **data, oc_error *err);
/** Maps a file named by a model once and finds it again; errors as above. */
oc_status oc__externals_open(oc__externals *x, const char *location,
                             const oc__file **out, oc_error *err);
/** The i-th file in use and where the model says it is; NULL behind them. */
const oc__file *oc__externals_file(const oc__externals *x, size_t i,
                                   const char **location);
/** Unmaps all files. */
void oc__externals_release(oc__externals *x);

#endif
