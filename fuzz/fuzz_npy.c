/* fuzz_npy.c - any bytes as .npy, .npz and deflate data. */
#include "base/inflate.h"
#include "onnx/npy.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const oc_allocator *a = &oc__default_allocator;
    static const oc_dtype expect[] = {OC_DTYPE_NONE, OC_DTYPE_BF16,
                                      OC_DTYPE_F8E5M2};
    oc_value v;
    oc_error err;
    memset(&v, 0, sizeof(v));
    if (size > 1 << 16) return 0;
    for (int i = 0; i < 3; i++) {
        oc__npy_read(&v, data, size, expect[i], a, &err);
        oc__value_clear(&v);
    }
    oc__npz_read(&v, data, size, NULL, OC_DTYPE_NONE, a, &err);
    oc__value_clear(&v);
    oc__npz_read(&v, data, size, "x", OC_DTYPE_NONE, a, &err);
    oc__value_clear(&v);
    /* The first byte says how much is to come out. */
    if (size) {
        uint8_t out[256];
        oc__inflate(data + 1, size - 1, out, data[0], &err);
    }
    return 0;
}
