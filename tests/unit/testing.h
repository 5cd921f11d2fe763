/*
 * testing.h - what the unit tests share: cmocka with its headers in order,
 * and an allocator that counts, fails on demand and finds leaks.
 *
 * An allocation-failure test loops until nothing fails any more:
 *
 *     test_allocator ta;
 *     for (int64_t n = 0;; n++) {
 *         test_allocator_init(&ta, n);
 *         oc_status st = work(&ta.base);
 *         test_allocator_check(&ta);          // no leak, right sizes
 *         if (!ta.failed) { assert_int_equal(st, OC_OK); break; }
 *         assert_int_equal(st, OC_E_NOMEM);
 *     }
 */
#ifndef OC_TESTS_TESTING_H
#define OC_TESTS_TESTING_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <ocelli/ocelli.h>

#include <pthread.h>

/** Never fail: the value for fail_at of a counting allocator. */
#define TEST_NEVER INT64_MAX

/** Hand `base` (or &base) to what takes an oc_allocator. */
typedef struct test_allocator {
    oc_allocator base; /* user points back at this struct */
    pthread_mutex_t lock;
    int64_t fail_at; /* number of the first allocation that fails */
    int64_t count;   /* allocations asked for so far */
    int64_t live;    /* allocated and not released */
    size_t live_bytes, peak_bytes;
    int failed;        /* set once an allocation has been refused */
    int wrong_size;    /* releases whose size was not the allocation's */
    int never_gave_it; /* releases of what is not ours, or twice */
    struct test_block *blocks;
} test_allocator;

/**
 * Starts counting.  Allocation number fail_at and every later one fails
 * (a program out of memory does not recover one call later); TEST_NEVER to
 * count only.  Thread-safe.
 */
void test_allocator_init(test_allocator *ta, int64_t fail_at);

/** Asserts that all was released, with right sizes; frees the rest. */
void test_allocator_check(test_allocator *ta);

/** The test's file under ../shared ("images/bus.jpg"); NULL: not there. */
const char *test_shared(const char *name);

/**
 * Sets a locale as a host program may: one that writes 0,5, or one in which
 * I and i are not the same letter.  0, with the reason printed, where the
 * machine has none.  Undo with setlocale(LC_ALL, "C").
 */
int test_set_comma_locale(void);
int test_set_turkish_locale(void);

/** Whether the build is slow (sanitizers, emulators): see OC_TEST_SMALL in
 * tools/dev/check.sh.  Large networks and long sums are left out there. */
int test_is_small(void);

/** A malloc'ed copy of the whole file; NULL when it cannot be read. */
void *test_read_file(const char *path, size_t *bytes);

#endif
