/* fuzz_image_bmp.c - Windows bitmaps of any bytes. */
#include "image_target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    return fuzz_image(data, size, "BM", 2);
}
