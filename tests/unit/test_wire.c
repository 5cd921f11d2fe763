/* test_wire.c - src/onnx: the wire format, read and written. */
#include "testing.h"

#include "proto_build.h"

#include "onnx/wire.h"
#include "onnx/wire_out.h"

#include <stdio.h>

static oc__wire open_pb(const pb *m) {
    return oc__wire_open(m->data, m->n);
}

static void wire_reads_every_field_type(void **state) {
    (void)state;
    static pb m;
    memset(&m, 0, sizeof(m));
    float f = -2.5f, g = 0;
    double d = 1e300;
    uint64_t bits;
    pb_int(&m, 1, -1);
    pb_varint(&m, 2 << 3 | 5);
    pb_raw(&m, &f, 4); /* the test machines are little endian, as the format */
    pb_varint(&m, 3 << 3 | 1);
    pb_raw(&m, &d, 8);
    pb_string(&m, 536870911, "last"); /* the largest field number */
    oc__wire w = open_pb(&m);
    oc__field v;
    int64_t i = 0;
    assert_int_equal(oc__wire_next(&w, &v, NULL), OC_OK);
    assert_int_equal(oc__field_int(&v, "x", &i, NULL), OC_OK);
    assert_true(i == -1);
    assert_int_equal(oc__wire_next(&w, &v, NULL), OC_OK);
    assert_int_equal(oc__field_float(&v, "x", &g, NULL), OC_OK);
    assert_true(g == f);
    assert_int_equal(oc__wire_next(&w, &v, NULL), OC_OK);
    memcpy(&bits, &d, 8);
    assert_int_equal(v.number, 3);
    assert_true(v.bits == bits);
    assert_int_equal(oc__wire_next(&w, &v, NULL), OC_OK);
    assert_int_equal(v.number, 536870911);
    assert_int_equal(oc__wire_left(&v.body), 4);
    assert_memory_equal(v.body.p, "last", 4);
    assert_int_equal(v.offset, (int64_t)(m.n - 10));
    assert_false(oc__wire_more(&w));
}

/* Bytes, and where and as what they must be refused. */
static void wire_refuses_what_is_no_field(void **state) {
    (void)state;
    static const struct {
        const char *bytes;
        size_t n;
        int64_t offset;
    } cases[] = {
        {"\x80", 1, 0},                 /* a key that goes on */
        {"\x08", 1, 1},                 /* a varint that is not there */
        {"\x08\xff\xff", 3, 1},         /* one that goes on */
        {"\x00", 1, 0},                 /* field number 0 */
        {"\x0b", 1, 0},                 /* a group */
        {"\x0c", 1, 0},                 /* the end of one */
        {"\x0e", 1, 0},                 /* wire type 6 */
        {"\x0a\x05wort", 6, 2},         /* a string one byte short */
        {"\x0d\x01\x02\x03", 4, 1},     /* a float of three bytes */
        {"\x09\x01\x02\x03\x04", 5, 1}, /* half a double */
        {"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 11, 1}, /* 65 bits */
        {"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 12, 1},
        {"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01zz", 13, 11},
        {"\xf8\xff\xff\xff\xff\x07\x01", 7, 0}, /* number past 29 bits */
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        oc__wire w = oc__wire_open(cases[i].bytes, cases[i].n);
        oc__field f;
        oc_error err;
        assert_int_equal(oc__wire_next(&w, &f, &err), OC_E_FORMAT);
        assert_true(err.message[0] != 0);
        assert_int_equal(err.offset, cases[i].offset);
    }
    oc__wire w =
        oc__wire_open("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11);
    oc__field f;
    assert_int_equal(oc__wire_next(&w, &f, NULL), OC_OK);
    assert_true(f.bits == UINT64_MAX);
}

static void wire_reads_lists_packed_and_not(void **state) {
    (void)state;
    static pb m, list;
    memset(&m, 0, sizeof(m));
    memset(&list, 0, sizeof(list));
    const int64_t want[] = {0, -5, 300, 1, INT64_MAX, INT64_MIN};
    int64_t got[6] = {0};
    size_t n = 0, at = 0;
    pb_int(&m, 8, want[0]);
    for (int i = 1; i < 5; i++) {
        pb_varint(&list, (uint64_t)want[i]);
    }
    pb_message(&m, 8, &list);
    pb_int(&m, 8, want[5]);
    oc__field f;
    for (oc__wire w = open_pb(&m); oc__wire_more(&w);) {
        assert_int_equal(oc__wire_next(&w, &f, NULL), OC_OK);
        assert_int_equal(oc__field_count_varints(&f, "x", &n, NULL), OC_OK);
    }
    assert_int_equal(n, 6);
    for (oc__wire w = open_pb(&m); oc__wire_more(&w);) {
        assert_int_equal(oc__wire_next(&w, &f, NULL), OC_OK);
        assert_int_equal(oc__field_varints(&f, "x", got, &at, NULL), OC_OK);
    }
    assert_memory_equal(got, want, sizeof(want));
    /* A packed list whose last number goes on. */
    oc__wire w = oc__wire_open("\x42\x03\x01\x80\x80", 5);
    n = at = 0;
    assert_int_equal(oc__wire_next(&w, &f, NULL), OC_OK);
    assert_int_equal(oc__field_count_varints(&f, "x", &n, NULL), OC_OK);
    assert_int_equal(n, 1);
    assert_int_equal(oc__field_varints(&f, "x", got, &at, NULL), OC_E_FORMAT);
    assert_int_equal(at, 1);
    w = oc__wire_open("\x3a\x05\x01\x02\x03\x04\x05", 7);
    assert_int_equal(oc__wire_next(&w, &f, NULL), OC_OK);
    assert_int_equal(oc__field_count_fixed(&f, "x", 4, &n, NULL), OC_E_FORMAT);
}

static void wire_refuses_names_with_nul(void **state) {
    (void)state;
    oc__arena arena;
    oc__arena_init(&arena, NULL);
    oc__wire w = oc__wire_open("\x0a\x03"
                               "a\0b"
                               "\x0a\x02"
                               "ab",
                               9);
    oc__field f;
    const char *s = NULL;
    assert_int_equal(oc__wire_next(&w, &f, NULL), OC_OK);
    assert_int_equal(oc__field_string(&f, "x", &arena, &s, NULL), OC_E_FORMAT);
    assert_null(s);
    assert_int_equal(oc__wire_next(&w, &f, NULL), OC_OK);
    assert_int_equal(oc__field_string(&f, "x", &arena, &s, NULL), OC_OK);
    assert_string_equal(s, "ab");
    oc__arena_deinit(&arena);
}

/* ---- the writer ------------------------------------------------------------
 */

/* The same message by proto_build.h and by the writer, byte for byte. */
static void writer_makes_the_expected_bytes(void **state) {
    (void)state;
    static pb m, inner, packed;
    static uint8_t large[10000];
    memset(&m, 0, sizeof(m));
    memset(&inner, 0, sizeof(inner));
    memset(&packed, 0, sizeof(packed));
    for (size_t i = 0; i < sizeof(large); i++) {
        large[i] = (uint8_t)(i * 7);
    }
    const int64_t ints[] = {0, 127, 128, -1};
    for (int i = 0; i < 4; i++) {
        pb_varint(&packed, (uint64_t)ints[i]);
    }
    pb_string(&inner, 1, "name");
    pb_bytes(&inner, 9, large, sizeof(large));
    pb_message(&inner, 7, &packed);
    pb_int(&m, 1, 8);
    pb_message(&m, 7, &inner);
    pb_bytes(&m, 8, large, 100);
    pb_bytes(&m, 9, large, sizeof(large));

    oc__wire_out o;
    oc__put_init(&o, &oc__default_allocator);
    oc__put_borrow(&o, 9, large, sizeof(large));
    oc__put_borrow(&o, 8, large, 100);
    size_t mark = oc__put_mark(&o);
    oc__put_ints(&o, 7, ints, 4);
    oc__put_borrow(&o, 9, large, sizeof(large));
    oc__put_string(&o, 1, "name");
    oc__put_close(&o, 7, mark);
    oc__put_int(&o, 1, 8);
    oc__buf *buf = NULL;
    assert_int_equal(oc__put_flatten(&o, &buf, NULL), OC_OK);
    assert_int_equal(oc__buf_bytes(buf), m.n);
    assert_memory_equal(oc__buf_data(buf), m.data, m.n);
    oc__buf_release(buf);
    oc__put_deinit(&o);
}

static void writer_survives_failed_allocations(void **state) {
    (void)state;
    static uint8_t large[5000];
    for (int64_t n = 0;; n++) {
        test_allocator ta;
        test_allocator_init(&ta, n);
        oc__wire_out o;
        oc__buf *buf = NULL;
        oc__put_init(&o, &ta.base);
        for (int i = 0; i < 200; i++) {
            oc__put_borrow(&o, 1, large, sizeof(large));
            oc__put_bytes(&o, 2, large, 1000);
        }
        oc_status st = oc__put_flatten(&o, &buf, NULL);
        oc__buf_release(buf);
        oc__put_deinit(&o);
        int failed = ta.failed;
        test_allocator_check(&ta);
        if (!failed) {
            assert_int_equal(st, OC_OK);
            break;
        }
        assert_int_equal(st, OC_E_NOMEM);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wire_reads_every_field_type),
        cmocka_unit_test(wire_refuses_what_is_no_field),
        cmocka_unit_test(wire_reads_lists_packed_and_not),
        cmocka_unit_test(wire_refuses_names_with_nul),
        cmocka_unit_test(writer_makes_the_expected_bytes),
        cmocka_unit_test(writer_survives_failed_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
