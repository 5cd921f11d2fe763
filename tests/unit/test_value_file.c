/*
 * test_value_file.c - src/onnx: tensors in .pb, .npy and .npz bytes when
 * memory fails.  What the bytes mean is compared with NumPy and onnx in
 * tests/oracle/test_onnx.py; the inputs here are the fuzzers' first ones,
 * which those two wrote.
 */
#include "testing.h"

#include "base/inflate.h"
#include "onnx/npy.h"
#include "onnx/value_proto.h"

#include <stdio.h>

typedef oc_status (*read_fn)(oc_value *out, const void *data, size_t bytes,
                             const oc_allocator *a, oc_error *err);

static oc_status read_npy(oc_value *out, const void *data, size_t bytes,
                          const oc_allocator *a, oc_error *err) {
    return oc__npy_read(out, data, bytes, OC_DTYPE_BF16, a, err);
}

static oc_status read_npz(oc_value *out, const void *data, size_t bytes,
                          const oc_allocator *a, oc_error *err) {
    return oc__npz_read(out, data, bytes, "x", OC_DTYPE_NONE, a, err);
}

/* The first byte says what follows, as in fuzz_tensor_pb.c. */
static oc_status read_pb(oc_value *out, const void *data, size_t bytes,
                         const oc_allocator *a, oc_error *err) {
    static const oc_kind kinds[] = {OC_KIND_TENSOR, OC_KIND_SEQUENCE,
                                    OC_KIND_MAP, OC_KIND_TENSOR};
    int which = *(const uint8_t *)data % 4;
    return oc__value_proto_read(out, (const uint8_t *)data + 1, bytes - 1,
                                kinds[which], which == 3, a, err);
}

static void fail_each_allocation(const char *name, read_fn read) {
    char path[256];
    size_t bytes = 0;
    snprintf(path, sizeof(path), "fuzz/corpus/%s", name);
    void *data = test_read_file(path, &bytes);
    assert_non_null(data);
    for (int64_t n = 0;; n++) {
        test_allocator ta;
        oc_value v;
        oc_error err;
        memset(&v, 0, sizeof(v));
        test_allocator_init(&ta, n);
        oc_status st = read(&v, data, bytes, &ta.base, &err);
        assert_int_equal(st == OC_OK, v.kind != OC_KIND_NONE);
        oc__value_clear(&v);
        int failed = ta.failed;
        test_allocator_check(&ta);
        assert_int_equal(st, failed ? OC_E_NOMEM : OC_OK);
        if (!failed) break;
    }
    free(data);
}

static void readers_survive_failed_allocations(void **state) {
    (void)state;
    static const char *const npys[] = {"npy/f32",   "npy/fortran", "npy/string",
                                       "npy/bytes", "npy/empty",   "npy/void"};
    static const char *const pbs[] = {
        "tensor_pb/f32",      "tensor_pb/typed", "tensor_pb/i4",
        "tensor_pb/string",   "tensor_pb/empty", "tensor_pb/sequence",
        "tensor_pb/optional", "tensor_pb/map"};
    for (size_t i = 0; i < sizeof(npys) / sizeof(npys[0]); i++) {
        fail_each_allocation(npys[i], read_npy);
    }
    for (size_t i = 0; i < sizeof(pbs) / sizeof(pbs[0]); i++) {
        fail_each_allocation(pbs[i], read_pb);
    }
    fail_each_allocation("npy/stored", read_npz);
    fail_each_allocation("npy/deflated", read_npz);
}

/* Every cut and every flipped bit: refused or read, never past the end. */
static void readers_survive_damage(void **state) {
    (void)state;
    static const struct {
        const char *name;
        read_fn read;
    } cases[] = {{"npy/fortran", read_npy},     {"npy/string", read_npy},
                 {"npy/deflated", read_npz},    {"npy/stored", read_npz},
                 {"tensor_pb/map", read_pb},    {"tensor_pb/sequence", read_pb},
                 {"tensor_pb/string", read_pb}, {"tensor_pb/i4", read_pb}};
    for (size_t c = 0; c < sizeof(cases) / sizeof(cases[0]); c++) {
        char path[256];
        size_t bytes = 0;
        snprintf(path, sizeof(path), "fuzz/corpus/%s", cases[c].name);
        uint8_t *data = test_read_file(path, &bytes);
        assert_non_null(data);
        for (size_t i = 0; i < bytes + 8 * bytes; i++) {
            /* First the cuts, then the flips.  Memory of just the size. */
            size_t n = i < bytes ? i + 1 : bytes;
            uint8_t *copy = malloc(n);
            oc_value v;
            oc_error err;
            assert_non_null(copy);
            memcpy(copy, data, n);
            memset(&v, 0, sizeof(v));
            if (i >= bytes) copy[i % bytes] ^= (uint8_t)(1 << (i / bytes - 1));
            oc_status st =
                cases[c].read(&v, copy, n, &oc__default_allocator, &err);
            if (st != OC_OK) assert_true(err.message[0] != 0);
            oc__value_clear(&v);
            free(copy);
        }
        free(data);
    }
}

/* zlib.compressobj(wbits=-15) of b"ab" * 200, and a stored block by hand. */
static void inflate_knows_its_output(void **state) {
    (void)state;
    static const uint8_t repeated[] = {0x4b, 0x4c, 0x4a, 0x1c, 0x85,
                                       0x83, 0x08, 0x02, 0x00};
    static const uint8_t stored[] = {1, 3, 0, 0xfc, 0xff, 'x', 'y', 'z'};
    uint8_t out[400];
    assert_int_equal(oc__inflate(repeated, 9, out, 400, NULL), OC_OK);
    for (int i = 0; i < 400; i++) {
        assert_int_equal(out[i], "ab"[i % 2]);
    }
    assert_int_equal(oc__inflate(repeated, 9, out, 399, NULL), OC_E_FORMAT);
    assert_int_equal(oc__inflate(repeated, 8, out, 400, NULL), OC_E_FORMAT);
    assert_int_equal(oc__inflate(stored, 8, out, 3, NULL), OC_OK);
    assert_memory_equal(out, "xyz", 3);
    assert_int_equal(oc__inflate(stored, 8, out, 4, NULL), OC_E_FORMAT);
    /* The check value of CRC-32 everywhere. */
    assert_int_equal(oc__crc32("123456789", 9), 0xcbf43926);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(readers_survive_failed_allocations),
        cmocka_unit_test(readers_survive_damage),
        cmocka_unit_test(inflate_knows_its_output),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
