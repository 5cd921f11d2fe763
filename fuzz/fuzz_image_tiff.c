/* fuzz_image_tiff.c - TIFF and BigTIFF files of any bytes. */
#include "image_target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char heads[4][5] = {"II*\0", "MM\0*", "II+\0", "MM\0+"};
    int kind = 0;
    for (int i = 1; i < 4 && size >= 4; i++)
        if (memcmp(data, heads[i], 4) == 0) kind = i;
    return fuzz_image(data, size, heads[kind], 4);
}
