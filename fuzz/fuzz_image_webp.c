/* fuzz_image_webp.c - WebP files of any bytes. */
#include "image_target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    uint8_t head[12] = "RIFF";
    /* The length in the header stays the input's own. */
    if (size >= 12) memcpy(head + 4, data + 4, 4);
    memcpy(head + 8, "WEBP", 4);
    return fuzz_image(data, size, (const char *)head, 12);
}
