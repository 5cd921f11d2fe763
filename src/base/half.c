/* half.c - see half.h. */
#include "base/half.h"

#include <assert.h>

/* What tells the small types apart. */
typedef struct format {
    int man_bits, bias;
    uint8_t max;      /* code of the largest finite number */
    uint8_t overflow; /* what is larger becomes this without saturate */
    uint8_t nan;      /* what NaN becomes */
    uint8_t sign_bit;
    int signed_nan;  /* NaN keeps its sign */
    int signed_zero; /* there is a -0; without, NaN has its code */
} format;

static const format e4m3fn = {3, 7, 0x7e, 0x7f, 0x7f, 0x80, 1, 1};
static const format e4m3fnuz = {3, 8, 0x7f, 0x80, 0x80, 0x80, 0, 0};
static const format e5m2 = {2, 15, 0x7b, 0x7c, 0x7e, 0x80, 1, 1};
static const format e5m2fnuz = {2, 16, 0x7f, 0x80, 0x80, 0x80, 0, 0};
static const format e2m1 = {1, 1, 0x07, 0x07, 0x08, 0x08, 0, 1};

static const format *format_of(oc_dtype dtype) {
    switch (dtype) {
    case OC_DTYPE_F8E4M3FN: return &e4m3fn;
    case OC_DTYPE_F8E4M3FNUZ: return &e4m3fnuz;
    case OC_DTYPE_F8E5M2: return &e5m2;
    case OC_DTYPE_F8E5M2FNUZ: return &e5m2fnuz;
    default: assert(!"not an f8 type"); return &e4m3fn;
    }
}

/* Magnitude to code, before limits; x finite.  Codes of one sign count up
 * with the value, so a too large one is simply a too large code. */
static uint32_t encode_magnitude(const format *f, uint32_t bits) {
    int least = 1 - f->bias; /* exponent of the smallest normal number */
    int exp = (int)(bits >> 23 & 255) - 127;
    uint32_t man = (bits & 0x7fffff) | 0x800000;
    if (exp < -126) return 0; /* f32 denormals are far below all of these */
    int shift = 23 - f->man_bits;
    if (exp < least) return (uint32_t)oc__shift_round(man, shift + least - exp);
    return ((uint32_t)(exp - least) << f->man_bits) +
           (uint32_t)oc__shift_round(man, shift);
}

static uint8_t encode(const format *f, float x, int saturate) {
    uint32_t bits = oc__f32_bits(x), magnitude = bits & 0x7fffffff;
    uint8_t sign = bits >> 31 ? f->sign_bit : 0;
    if (magnitude > 0x7f800000) return f->signed_nan ? f->nan | sign : f->nan;
    uint32_t code =
        magnitude == 0x7f800000 ? 0x100 : encode_magnitude(f, magnitude);
    if (code > f->max) {
        if (saturate) return f->max | sign;
        return f->overflow | sign;
    }
    if (code == 0 && !f->signed_zero) return 0;
    return (uint8_t)code | sign;
}

static float decode(const format *f, uint8_t code) {
    uint32_t magnitude = code & (f->sign_bit - 1u);
    int exp = (int)(magnitude >> f->man_bits);
    uint32_t man = magnitude & ((1u << f->man_bits) - 1);
    /* (1 + man/2^bits) * 2^(exp-bias), or man/2^bits * 2^(1-bias): every
     * value is normal in f32, so the power of two can be built from bits. */
    int scale = (exp ? exp : 1) - f->bias - f->man_bits;
    float unit = oc__f32_from_bits((uint32_t)(scale + 127) << 23);
    float x = (float)(exp ? man | 1u << f->man_bits : man) * unit;
    return code & f->sign_bit ? -x : x;
}

uint8_t oc__f32_to_f8(oc_dtype dtype, float x, int saturate) {
    return encode(format_of(dtype), x, saturate);
}

float oc__f8_to_f32(oc_dtype dtype, uint8_t code) {
    const format *f = format_of(dtype);
    uint32_t sign = code & 0x80 ? 0x80000000u : 0;
    if (!f->signed_zero) {
        if (code == 0x80) return oc__f32_from_bits(0x7fc00000);
    } else if ((code & 0x7f) > f->max) {
        int inf = f == &e5m2 && (code & 0x7f) == 0x7c;
        return oc__f32_from_bits(sign | (inf ? 0x7f800000 : 0x7fc00000));
    }
    return decode(f, code);
}

uint8_t oc__f32_to_f8e8m0(float x, oc__f8e8m0_round round, int saturate) {
    uint32_t u = oc__f32_bits(x) & 0x7fffffff;
    if (u > 0x7f800000) return 0xff;
    if (u == 0x7f800000) return saturate ? 0xfe : 0xff;
    /* 2^-127, code 0, is the f32 denormal with mantissa 0x400000. */
    if (u < 0x400000) return saturate ? 0 : 0xff;
    uint32_t code, man;
    if (u < 0x800000) {
        code = 0;
        man = (u & 0x3fffff) << 1; /* the fraction above the leading one */
    } else {
        code = u >> 23;
        man = u & 0x7fffff;
    }
    if (round == OC_F8E8M0_UP) code += man != 0;
    if (round == OC_F8E8M0_NEAREST) code += man >= 0x400000;
    if (code > 0xfe) return saturate ? 0xfe : 0xff;
    return (uint8_t)code;
}

float oc__f8e8m0_to_f32(uint8_t code) {
    if (code == 0xff) return oc__f32_from_bits(0x7fc00000);
    return oc__f32_from_bits(code ? (uint32_t)code << 23 : 0x400000);
}

uint8_t oc__f32_to_f4e2m1(float x) {
    return encode(&e2m1, x, 1);
}

float oc__f4e2m1_to_f32(uint8_t code) {
    return decode(&e2m1, code & 15);
}

uint16_t oc__f64_to_f16(double x) {
    uint64_t u;
    memcpy(&u, &x, sizeof u);
    uint32_t sign = (uint32_t)(u >> 48) & 0x8000;
    uint64_t man = u & ((UINT64_C(1) << 52) - 1);
    int exp = (int)(u >> 52 & 2047) - 1023;
    if (exp == 1024)
        return (uint16_t)(sign | 0x7c00 | (man ? 0x200 | man >> 42 : 0));
    if (exp > 15) return (uint16_t)(sign | 0x7c00);
    int below = exp < -14 ? -14 - exp : 0;
    uint32_t base = exp < -14 ? 0 : (uint32_t)(exp + 14) << 10;
    man |= UINT64_C(1) << 52;
    return (uint16_t)(sign |
                      (base + (uint32_t)oc__shift_round(man, 42 + below)));
}
