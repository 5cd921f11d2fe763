/*
 * test_digest.c - BLAKE3 and XXH64 against their reference implementations
 * (blake3 1.0 and xxhash 3 for Python), on byte i = i mod 251 as in BLAKE3's
 * own test vectors.
 */
#include "testing.h"

#include "base/blake3.h"
#include "base/xxh64.h"

#include <stdio.h>

typedef struct expected {
    size_t bytes;
    const char *blake3;
    uint64_t xxh64, seeded; /* seed 0 and 2654435761 */
} expected;

static const expected table[] = {
    {0,
     "af1349b9f5f9a1a6a0404dea36dcc949"
     "9bcb25c9adc112b7cc9a93cae41f3262",
     UINT64_C(0xef46db3751d8e999), UINT64_C(0xac75fda2929b17ef)},
    {1,
     "2d3adedff11b61f14c886e35afa03673"
     "6dcd87a74d27b5c1510225d0f592e213",
     UINT64_C(0xe934a84adb052768), UINT64_C(0x5014607643a9b4c3)},
    {3,
     "e1be4d7a8ab5560aa4199eea339849ba"
     "8e293d55ca0a81006726d184519e647f",
     UINT64_C(0xe5c7bb4533bc65dd), UINT64_C(0x47aa45ed39ed5541)},
    {4,
     "f30f5ab28fe047904037f77b6da4fea1"
     "e27241c5d132638d8bedce9d40494f32",
     UINT64_C(0xffced8604453cc1e), UINT64_C(0xb8f1a51893fa14e6)},
    {7,
     "3f8770f387faad08faa9d8414e9f449a"
     "c68e6ff0417f673f602a646a891419fe",
     UINT64_C(0x14cc643f630c72d2), UINT64_C(0x13f31c4a8e5f8252)},
    {8,
     "2351207d04fc16ade43ccab08600939c"
     "7c1fa70a5c0aaca76063d04c3228eaeb",
     UINT64_C(0x884a173614b81b8d), UINT64_C(0xcb74ef9d044dcf44)},
    {31,
     "bda80c7fe2db38be6387b35c870bd772"
     "8d67b7b6cc5eb9b0e5c7dcb21ea754c2",
     UINT64_C(0xc346d2b59b4d8ee1), UINT64_C(0x71969c89a30a986a)},
    {32,
     "e528e95798037df410543d9f31e396ec"
     "dd458d71b157d6014398bae32fb56c65",
     UINT64_C(0xcbf59c5116ff32b4), UINT64_C(0x7181354774e0d600)},
    {63,
     "e9bc37a594daad83be9470df7f7b3798"
     "297c3d834ce80ba85d6e207627b7db7b",
     UINT64_C(0xe26aa9e2a95f8e4f), UINT64_C(0x892362045c7badfb)},
    {64,
     "4eed7141ea4a5cd4b788606bd23f46e2"
     "12af9cacebacdc7d1f4c6dc7f2511b98",
     UINT64_C(0xf7c67301db6713f0), UINT64_C(0x6e545403b828cf8b)},
    {65,
     "de1e5fa0be70df6d2be8fffd0e99ceaa"
     "8eb6e8c93a63f2d8d1c30ecb6b263dee",
     UINT64_C(0xc31eb63b2ae4465b), UINT64_C(0x82a6b6606bd9ef0f)},
    {127,
     "d81293fda863f008c09e92fc382a81f5"
     "a0b4a1251cba1634016a0f86a6bd640d",
     UINT64_C(0x464d085810ce0199), UINT64_C(0xd331a2da8e60c4bc)},
    {1023,
     "10108970eeda3eb932baac1428c7a216"
     "3b0e924c9a9e25b35bba72b28f70bd11",
     UINT64_C(0xd66738f081c25cf4), UINT64_C(0xc9bee320424996fa)},
    {1024,
     "42214739f095a406f3fc83deb889744a"
     "c00df831c10daa55189b5d121c855af7",
     UINT64_C(0x138e26c65048ce29), UINT64_C(0x7ac03d14f6e6f45b)},
    {1025,
     "d00278ae47eb27b34faecf67b4fe263f"
     "82d5412916c1ffd97c8cb7fb814b8444",
     UINT64_C(0xcfd73aedd2d6a39d), UINT64_C(0x3207e34aa25649e8)},
    {2048,
     "e776b6028c7cd22a4d0ba182a8bf6220"
     "5d2ef576467e838ed6f2529b85fba24a",
     UINT64_C(0xa69e05a7eff57800), UINT64_C(0x635d3a9b97826f37)},
    {2049,
     "5f4d72f40d7a5f82b15ca2b2e44b1de3"
     "c2ef86c426c95c1af0b6879522563030",
     UINT64_C(0x27858160679416ba), UINT64_C(0x0298c75476023f63)},
    {3073,
     "7124b49501012f81cc7f11ca069ec922"
     "6cecb8a2c850cfe644e327d22d3e1cd3",
     UINT64_C(0x9805379a726bf789), UINT64_C(0x4b847ccd2107dd2b)},
    {8191,
     "bae8dc916e8643c6cf024097237cde1c"
     "ba35c05b5d84c02834cb6b886edb76d9",
     UINT64_C(0x4471f8d497ef64c8), UINT64_C(0xe99d4ca78f5a8a4c)},
    {8192,
     "aae792484c8efe4f19e2ca7d371d8c46"
     "7ffb10748d8a5a1ae579948f718a2a63",
     UINT64_C(0x1a098375c6e66fd4), UINT64_C(0xc650dbc0ecfb04f5)},
    {8193,
     "bab6c09cb8ce8cf459261398d2e7aef3"
     "5700bf488116ceb94a36d0f5f1b7bc3b",
     UINT64_C(0x755e4befd10cccf4), UINT64_C(0xbf5c576d6b878794)},
    {9000,
     "e9daa1ff8a19d7618f9721c83a17cffd"
     "6976a323aa116d030aac239c98b6a046",
     UINT64_C(0x54ea429f60396fe8), UINT64_C(0xb4633b18ef739bd9)},
    {16384,
     "f875d6646de28985646f34ee13be9a57"
     "6fd515f76b5b0a26bb324735041ddde4",
     UINT64_C(0x05773fb9ae5fe381), UINT64_C(0x72a6567c8dfc5616)},
    {16385,
     "1dabe216be2578830263b049de1639f3"
     "9f05a4da616b9b78c7a5e4e41662fd1f",
     UINT64_C(0x70c0f3c188d8aa7f), UINT64_C(0xfb16e41dd06ea66b)},
    {31744,
     "62b6960e1a44bcc1eb1a611a8d6235b6"
     "b4b78f32e7abc4fb4c6cdcce94895c47",
     UINT64_C(0x5fd04299cacedf8a), UINT64_C(0x878d30d2247898cd)},
    {65536,
     "68d647e619a930e7b1082f74f334b0c6"
     "5a315725569bdc123f0ee11881717bfe",
     UINT64_C(0x316c40df46fe2584), UINT64_C(0xe2ca442346ffabcc)},
    {65537,
     "7c99f9840a73dfcb6e5bfe4ff6d1558a"
     "cab7e015640790c26411818bdbe17eca",
     UINT64_C(0x8c8e0218a8ee0fee), UINT64_C(0xf9c2d03a0173e3d6)},
    {102400,
     "bc3e3d41a1146b069abffad3c0d44860"
     "cf664390afce4d9661f7902e7943e085",
     UINT64_C(0xeb1adcdd9e1369a6), UINT64_C(0x3c414960ea803fe5)},
    {1000003,
     "cd5a3272e01b1a2f47bb4565d8d202db"
     "0f95704d32550a2da61a0fd363d4c90d",
     UINT64_C(0xa72f178960c4e5bd), UINT64_C(0x62e238f86aa6c96f)},
};

static uint8_t *input(size_t n) {
    uint8_t *p = malloc(n + 1);
    for (size_t i = 0; i < n; i++)
        p[i] = (uint8_t)(i % 251);
    return p;
}

static void blake3_gives_the_reference_digests(void **state) {
    (void)state;
    for (size_t t = 0; t < sizeof(table) / sizeof(*table); t++) {
        uint8_t *p = input(table[t].bytes), out[OC_BLAKE3_BYTES];
        char hex[2 * OC_BLAKE3_BYTES + 1];
        oc__blake3(p, table[t].bytes, out);
        for (int i = 0; i < OC_BLAKE3_BYTES; i++)
            snprintf(hex + 2 * i, 3, "%02x", out[i]);
        assert_string_equal(hex, table[t].blake3);
        free(p);
    }
}

static void xxh64_gives_the_reference_sums(void **state) {
    (void)state;
    for (size_t t = 0; t < sizeof(table) / sizeof(*table); t++) {
        uint8_t *p = input(table[t].bytes);
        assert_true(oc__xxh64(p, table[t].bytes, 0) == table[t].xxh64);
        assert_true(oc__xxh64(p, table[t].bytes, 2654435761u) ==
                    table[t].seeded);
        free(p);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blake3_gives_the_reference_digests),
        cmocka_unit_test(xxh64_gives_the_reference_sums),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
