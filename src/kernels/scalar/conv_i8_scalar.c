/* conv_i8_scalar.c - 8-bit channels on their own, in plain C; see
 * conv_i8.h. */
#include "kernels/kernels.h"

void oc__depth_i8_scalar(const oc__depth_i8_run *r) {
    const oc__codes *to = &r->codes;
    for (size_t p = 0; p < r->pixels; p++)
        for (size_t c = 0; c < r->channels; c++) {
            const uint8_t *const *in = r->in + p * r->in_step;
            int32_t sum = 0;
            for (size_t t = 0; t < r->taps; t++) {
                int x = r->in_signed ? (int8_t)in[t][c] : in[t][c];
                sum += x * r->w[t * r->channels + c];
            }
            oc__put_code_scalar(to, sum, c, p * to->row_stride + c);
        }
}

void oc__max_i8_scalar(const uint8_t *const *in, size_t taps, int flip,
                       uint8_t *y, size_t n) {
    for (size_t i = 0; i < n; i++) {
        int most = 0;
        for (size_t t = 0; t < taps; t++)
            most = OC_MAX(most, in[t][i] ^ flip);
        y[i] = (uint8_t)(most ^ flip);
    }
}
