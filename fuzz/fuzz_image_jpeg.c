/* fuzz_image_jpeg.c - JPEG files of any bytes. */
#include "image_target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    return fuzz_image(data, size, "\xFF\xD8\xFF", 3);
}
