/* test_base.c - src/base: sizes, arenas, buffers, status. */
#include "testing.h"

#include "base/memory.h"
#include "base/size.h"

#include <stdatomic.h>
#include <stdio.h>

/* ---- sizes --------------------------------------------------------------- */

static void size_add_refuses_overflow(void **state) {
    (void)state;
    size_t out = 7;
    assert_int_equal(oc__size_add(2, 3, &out), 0);
    assert_int_equal(out, 5);
    assert_int_equal(oc__size_add(SIZE_MAX, 0, &out), 0);
    assert_true(out == SIZE_MAX);
    out = 7;
    assert_int_equal(oc__size_add(SIZE_MAX, 1, &out), 1);
    assert_int_equal(oc__size_add(1, SIZE_MAX, &out), 1);
    assert_int_equal(oc__size_add(SIZE_MAX / 2 + 1, SIZE_MAX / 2 + 1, &out), 1);
    assert_int_equal(out, 7); /* untouched on error */
}

static void size_mul_refuses_overflow(void **state) {
    (void)state;
    size_t out = 7;
    assert_int_equal(oc__size_mul(0, SIZE_MAX, &out), 0);
    assert_int_equal(out, 0);
    assert_int_equal(oc__size_mul(SIZE_MAX, 0, &out), 0);
    assert_int_equal(out, 0);
    assert_int_equal(oc__size_mul(SIZE_MAX, 1, &out), 0);
    assert_true(out == SIZE_MAX);
    out = 7;
    assert_int_equal(oc__size_mul(SIZE_MAX / 2 + 1, 2, &out), 1);
    assert_int_equal(oc__size_mul((size_t)1 << 32, (size_t)1 << 32, &out), 1);
    assert_int_equal(out, 7);
}

static void dims_product_takes_only_what_fits(void **state) {
    (void)state;
    int64_t n = -1;
    int64_t dims[4] = {2, 3, 5, 7};
    assert_int_equal(oc__dims_product(dims, 4, &n), 0);
    assert_int_equal(n, 210);
    assert_int_equal(oc__dims_product(dims, 0, &n), 0);
    assert_int_equal(n, 1); /* a scalar has one element */
    int64_t zero[3] = {INT64_MAX, 0, INT64_MAX};
    assert_int_equal(oc__dims_product(zero, 3, &n), 0);
    assert_int_equal(n, 0);
    n = -1;
    int64_t negative[2] = {4, -1};
    assert_int_equal(oc__dims_product(negative, 2, &n), 1);
    int64_t wide[2] = {(int64_t)1 << 32, (int64_t)1 << 31};
    assert_int_equal(oc__dims_product(wide, 2, &n), 1);
    assert_int_equal(n, -1);
}

static void align_up_saturates(void **state) {
    (void)state;
    assert_int_equal(oc__align_up(0, 64), 0);
    assert_int_equal(oc__align_up(1, 64), 64);
    assert_int_equal(oc__align_up(64, 64), 64);
    assert_int_equal(oc__align_up(65, 16), 80);
    assert_true(oc__align_up(SIZE_MAX - 63, 64) == SIZE_MAX - 63);
    assert_true(oc__align_up(SIZE_MAX - 62, 64) == SIZE_MAX);
    assert_true(oc__align_up(SIZE_MAX, 64) == SIZE_MAX);
}

/* ---- allocation ---------------------------------------------------------- */

static void alloc_aligns_and_takes_any_size(void **state) {
    (void)state;
    const size_t sizes[] = {0, 1, 63, 64, 65, 4096, 1000003};
    for (size_t i = 0; i < OC_COUNT(sizes); i++) {
        char *p = oc__alloc(&oc__default_allocator, sizes[i]);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % OC_ALIGN, 0);
        memset(p, 1, sizes[i]);
        oc__release(&oc__default_allocator, p, sizes[i]);
    }
    oc__release(&oc__default_allocator, NULL, 8);
    assert_null(oc__alloc(&oc__default_allocator, SIZE_MAX));
}

static void calloc_zeroes_and_checks_the_product(void **state) {
    (void)state;
    test_allocator ta;
    test_allocator_init(&ta, TEST_NEVER);
    unsigned char *p = oc__calloc(&ta.base, 13, 17);
    assert_non_null(p);
    for (int i = 0; i < 13 * 17; i++) {
        assert_int_equal(p[i], 0);
    }
    oc__release(&ta.base, p, 13 * 17);
    int64_t asked = ta.count;
    assert_null(oc__calloc(&ta.base, SIZE_MAX / 2, 3));
    assert_int_equal(ta.count, asked); /* refused before asking */
    void *none = oc__calloc(&ta.base, 0, 8);
    assert_non_null(none);
    oc__release(&ta.base, none, 0);
    test_allocator_check(&ta);
}

/* ---- arena --------------------------------------------------------------- */

/* Filling each piece and reading all back proves that none overlap. */
static void arena_pieces_are_zeroed_aligned_and_apart(void **state) {
    (void)state;
    enum { PIECES = 400 };
    static unsigned char *piece[PIECES];
    static size_t bytes[PIECES];
    test_allocator ta;
    test_allocator_init(&ta, TEST_NEVER);
    oc__arena a;
    oc__arena_init(&a, &ta.base);
    size_t total = 0;
    for (size_t i = 0; i < PIECES; i++) {
        /* from nothing to more than a block, in no order */
        bytes[i] = (i * 7919) % 613 + (i % 97 == 96 ? 90000 : 0);
        piece[i] = oc__arena_alloc(&a, bytes[i]);
        assert_non_null(piece[i]);
        size_t align = bytes[i] >= 256 ? OC_ALIGN : 16;
        assert_int_equal((uintptr_t)piece[i] % align, 0);
        for (size_t k = 0; k < bytes[i]; k++) {
            assert_int_equal(piece[i][k], 0);
        }
        memset(piece[i], (int)(i % 251) + 1, bytes[i]);
        total += bytes[i];
    }
    for (size_t i = 0; i < PIECES; i++) {
        for (size_t k = 0; k < bytes[i]; k++) {
            assert_int_equal(piece[i][k], i % 251 + 1);
        }
    }
    assert_int_equal(a.total_bytes, total);
    oc__arena_deinit(&a);
    assert_null(a.head);
    oc__arena_deinit(&a); /* again is harmless */
    test_allocator_check(&ta);
}

static void arena_keeps_its_block_when_a_large_piece_comes(void **state) {
    (void)state;
    test_allocator ta;
    test_allocator_init(&ta, TEST_NEVER);
    oc__arena a;
    oc__arena_init(&a, &ta.base);
    assert_non_null(oc__arena_alloc(&a, 100));
    for (int i = 0; i < 10; i++) {
        assert_non_null(oc__arena_alloc(&a, 200000));
        assert_non_null(oc__arena_alloc(&a, 100));
    }
    assert_int_equal(ta.count, 11); /* the small ones shared one block */
    oc__arena_deinit(&a);
    test_allocator_check(&ta);
}

static void arena_refuses_sizes_that_overflow(void **state) {
    (void)state;
    oc__arena a;
    oc__arena_init(&a, NULL);
    assert_null(oc__arena_alloc(&a, SIZE_MAX));
    assert_null(oc__arena_alloc(&a, SIZE_MAX - 64));
    assert_null(oc__arena_array(&a, SIZE_MAX / 4, 8));
    assert_null(oc__arena_strndup(&a, "x", SIZE_MAX));
    assert_non_null(oc__arena_array(&a, 3, 8));
    oc__arena_deinit(&a);
}

static void arena_copies_strings_and_bytes(void **state) {
    (void)state;
    oc__arena a;
    oc__arena_init(&a, NULL);
    assert_string_equal(oc__arena_strdup(&a, "ocelli"), "ocelli");
    assert_string_equal(oc__arena_strdup(&a, ""), "");
    assert_string_equal(oc__arena_strndup(&a, "ocelli", 3), "oce");
    assert_string_equal(oc__arena_strndup(&a, NULL, 0), "");
    assert_string_equal(oc__arena_printf(&a, "%s-%d", "n", 42), "n-42");
    char wide[3000];
    memset(wide, 'x', sizeof(wide) - 1);
    wide[sizeof(wide) - 1] = 0;
    assert_string_equal(oc__arena_printf(&a, "%s", wide), wide);
    const int numbers[3] = {1, 2, 3};
    int *copy = oc__arena_dup(&a, numbers, sizeof(numbers));
    assert_memory_equal(copy, numbers, sizeof(numbers));
    assert_non_null(oc__arena_dup(&a, NULL, 0));
    oc__arena_deinit(&a);
}

/* Every call of the arena, each allocation failing in turn. */
static oc_status use_arena(const oc_allocator *allocator) {
    oc__arena a;
    oc__arena_init(&a, allocator);
    oc_status st = OC_E_NOMEM;
    static const char big[70000];
    if (!oc__arena_alloc(&a, 10)) goto done;
    if (!oc__arena_dup(&a, big, sizeof(big))) goto done;
    if (!oc__arena_array(&a, 1000, 70)) goto done;
    if (!oc__arena_strdup(&a, "name")) goto done;
    for (int i = 0; i < 3000; i++) {
        if (!oc__arena_printf(&a, "a rather long string, number %d", i))
            goto done;
    }
    st = OC_OK;
done:
    oc__arena_deinit(&a);
    return st;
}

static void arena_survives_any_failed_allocation(void **state) {
    (void)state;
    int64_t n = 0;
    for (;; n++) {
        test_allocator ta;
        test_allocator_init(&ta, n);
        oc_status st = use_arena(&ta.base);
        int failed = ta.failed;
        test_allocator_check(&ta);
        assert_int_equal(st, failed ? OC_E_NOMEM : OC_OK);
        if (!failed) break;
    }
    assert_true(n >= 4);
}

/* ---- buffers ------------------------------------------------------------- */

static void buffer_lives_until_its_last_holder(void **state) {
    (void)state;
    test_allocator ta;
    test_allocator_init(&ta, TEST_NEVER);
    oc__buf *b = oc__buf_create(&ta.base, 1000);
    assert_non_null(b);
    assert_int_equal(oc__buf_bytes(b), 1000);
    assert_int_equal((uintptr_t)oc__buf_data(b) % OC_ALIGN, 0);
    memset(oc__buf_data(b), 7, 1000);
    assert_ptr_equal(oc__buf_retain(b), b);
    oc__buf_release(b);
    assert_int_equal(ta.live, 1);
    assert_int_equal(((char *)oc__buf_data(b))[999], 7);
    oc__buf_release(b);
    assert_int_equal(ta.live, 0);
    assert_null(oc__buf_retain(NULL));
    oc__buf_release(NULL);
    test_allocator_check(&ta);
}

static void buffer_creation_reports_no_memory(void **state) {
    (void)state;
    test_allocator ta;
    test_allocator_init(&ta, 0);
    assert_null(oc__buf_create(&ta.base, 8));
    assert_null(oc__buf_create(&ta.base, SIZE_MAX));
    assert_int_equal(ta.count, 1); /* the overflow never asked */
    test_allocator_check(&ta);
}

enum { HOLDERS = 4, ROUNDS = 20000 };

static void *hold_and_drop(void *buf) {
    for (int i = 0; i < ROUNDS; i++) {
        oc__buf_release(oc__buf_retain(buf));
    }
    oc__buf_release(buf); /* the reference this thread was given */
    return NULL;
}

static void buffer_is_counted_across_threads(void **state) {
    (void)state;
    test_allocator ta;
    test_allocator_init(&ta, TEST_NEVER);
    oc__buf *b = oc__buf_create(&ta.base, 64);
    assert_non_null(b);
    pthread_t threads[HOLDERS];
    for (int i = 0; i < HOLDERS; i++) {
        oc__buf_retain(b);
        assert_int_equal(pthread_create(&threads[i], NULL, hold_and_drop, b),
                         0);
    }
    oc__buf_release(b);
    for (int i = 0; i < HOLDERS; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_int_equal(ta.live, 0);
    test_allocator_check(&ta);
}

/* ---- status -------------------------------------------------------------- */

static void status_text_names_every_status(void **state) {
    (void)state;
    assert_string_equal(oc_status_text(OC_OK), "success");
    assert_string_equal(oc_status_text(OC_E_CANCELLED), "cancelled");
    assert_string_equal(oc_status_text((oc_status)999), "unknown status");
}

static void fail_records_and_returns(void **state) {
    (void)state;
    oc_error e;
    oc__error_clear(&e);
    assert_int_equal(e.status, OC_OK);
    assert_int_equal(e.offset, -1);
    assert_int_equal(oc__fail(&e, OC_E_SHAPE, "Conv: weight has rank %d", 3),
                     OC_E_SHAPE);
    assert_int_equal(e.status, OC_E_SHAPE);
    assert_string_equal(e.message, "Conv: weight has rank 3");
    assert_int_equal(oc__fail_at(&e, OC_E_FORMAT, 77, "bad tag"), OC_E_FORMAT);
    assert_int_equal(e.offset, 77);
    assert_int_equal(oc__fail_nomem(&e), OC_E_NOMEM);
    assert_string_equal(e.message, "out of memory");
    assert_int_equal(e.offset, -1);
    assert_int_equal(oc__fail(NULL, OC_E_IO, "unheard"), OC_E_IO);
    assert_int_equal(oc__fail_at(NULL, OC_E_IO, 1, "unheard"), OC_E_IO);
}

static void error_keeps_the_first_node_name(void **state) {
    (void)state;
    oc_error e;
    oc__error_clear(&e);
    oc__error_node(&e, NULL);
    assert_string_equal(e.node, "");
    oc__error_node(&e, "inner");
    oc__error_node(&e, "outer");
    assert_string_equal(e.node, "inner");
    oc__fail(&e, OC_E_ARG, "x");
    assert_string_equal(e.node, "inner");
    oc__error_node(NULL, "x");
}

static void error_texts_are_cut_not_overrun(void **state) {
    (void)state;
    char wide[1000];
    memset(wide, 'w', sizeof(wide) - 1);
    wide[sizeof(wide) - 1] = 0;
    oc_error e;
    oc__error_clear(&e);
    oc__fail(&e, OC_E_ARG, "%s", wide);
    assert_int_equal(strlen(e.message), sizeof(e.message) - 1);
    oc__error_prefix(&e, "file.onnx");
    assert_memory_equal(e.message, "file.onnx: www", 14);
    assert_int_equal(strlen(e.message), sizeof(e.message) - 1);
    oc__error_prefix(&e, wide);
    assert_int_equal(strlen(e.message), sizeof(e.message) - 1);
    oc__error_node(&e, wide);
    assert_int_equal(strlen(e.node), sizeof(e.node) - 1);
    oc__error_prefix(NULL, "x");
    oc__error_clear(NULL);
}

static void version_agrees_with_its_numbers(void **state) {
    (void)state;
    char text[32];
    snprintf(text, sizeof(text), "%d.%d.%d", OC_VERSION_MAJOR, OC_VERSION_MINOR,
             OC_VERSION_PATCH);
    assert_string_equal(oc_version(), text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(size_add_refuses_overflow),
        cmocka_unit_test(size_mul_refuses_overflow),
        cmocka_unit_test(dims_product_takes_only_what_fits),
        cmocka_unit_test(align_up_saturates),
        cmocka_unit_test(alloc_aligns_and_takes_any_size),
        cmocka_unit_test(calloc_zeroes_and_checks_the_product),
        cmocka_unit_test(arena_pieces_are_zeroed_aligned_and_apart),
        cmocka_unit_test(arena_keeps_its_block_when_a_large_piece_comes),
        cmocka_unit_test(arena_refuses_sizes_that_overflow),
        cmocka_unit_test(arena_copies_strings_and_bytes),
        cmocka_unit_test(arena_survives_any_failed_allocation),
        cmocka_unit_test(buffer_lives_until_its_last_holder),
        cmocka_unit_test(buffer_creation_reports_no_memory),
        cmocka_unit_test(buffer_is_counted_across_threads),
        cmocka_unit_test(status_text_names_every_status),
        cmocka_unit_test(fail_records_and_returns),
        cmocka_unit_test(error_keeps_the_first_node_name),
        cmocka_unit_test(error_texts_are_cut_not_overrun),
        cmocka_unit_test(version_agrees_with_its_numbers),
    };
    return cmocka_run_group_tests_name("base", tests, NULL, NULL);
}
