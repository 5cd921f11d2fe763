/* fuzz_image_jp2.c - JPEG 2000 files and code streams of any bytes. */
#include "image_target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    int bare = size > 0 && data[0] == 0xFF;
    return fuzz_image(data, size, bare ? "\xFF\x4F\xFF\x51" : "\0\0\0\x0CjP  ",
                      bare ? 4 : 8);
}
