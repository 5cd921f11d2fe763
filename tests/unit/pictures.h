/* pictures.h - made-up pictures for the image tests. */
#ifndef OC_TESTS_PICTURES_H
#define OC_TESTS_PICTURES_H

#include <ocelli/vision.h>

/** Smooth in places, hard-edged in others, different in each channel. */
oc_image picture_make(int width, int height, int channels);
/** Seeded noise. */
oc_image picture_noise(int width, int height, int channels, uint32_t seed);
/** Largest difference of two pictures of one size; -1: other sizes. */
int picture_worst(const oc_image *a, const oc_image *b);

#endif
