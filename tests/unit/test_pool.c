/* test_pool.c - every task once, memory seen, nothing burnt, forks survived */
#define _GNU_SOURCE
#include "testing.h"

#include "base/memory.h"
#include "cpu/pool.h"

#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MOST 1000

typedef struct count_ctx {
    atomic_int calls[MOST];
    int plain[MOST]; /* written without atomics: the pool must order it */
    int add, threads;
    atomic_int bad_worker;
} count_ctx;

static void count_task(void *ctx, int task, int worker) {
    count_ctx *c = ctx;
    atomic_fetch_add(&c->calls[task], 1);
    c->plain[task] += c->add;
    if (worker < 0 || worker >= c->threads) atomic_store(&c->bad_worker, 1);
}

static void pool_runs_every_task_once(void **state) {
    (void)state;
    static count_ctx c;
    for (int threads = 1; threads <= 5; threads++) {
        oc__pool *p = NULL;
        assert_int_equal(
            oc__pool_create(&p, &oc__default_allocator, threads, NULL), OC_OK);
        assert_int_equal(oc__pool_threads(p), threads);
        static const int sizes[] = {0, 1, 2, 3, 7, 64, MOST};
        for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
            memset(&c, 0, sizeof c);
            c.threads = threads;
            for (int round = 1; round <= 20; round++) {
                c.add = round;
                oc__pool_run(p, sizes[s], count_task, &c);
            }
            for (int i = 0; i < MOST; i++) {
                int runs = i < sizes[s] ? 20 : 0;
                assert_int_equal(atomic_load(&c.calls[i]), runs);
                assert_int_equal(c.plain[i], i < sizes[s] ? 210 : 0);
            }
            assert_false(atomic_load(&c.bad_worker));
        }
        oc__pool_destroy(p);
    }
}

static void pool_null_runs_on_caller(void **state) {
    (void)state;
    static count_ctx c;
    c.threads = 1;
    c.add = 1;
    oc__pool_run(NULL, 10, count_task, &c);
    for (int i = 0; i < 10; i++)
        assert_int_equal(c.plain[i], 1);
    assert_int_equal(oc__pool_threads(NULL), 1);
    oc__pool_destroy(NULL);
}

/* Tasks meet at a barrier: passes only if two threads work at once. */
static void meet_task(void *ctx, int task, int worker) {
    (void)task;
    (void)worker;
    pthread_barrier_wait(ctx);
}

static void pool_works_in_parallel(void **state) {
    (void)state;
    oc__pool *p = NULL;
    assert_int_equal(oc__pool_create(&p, &oc__default_allocator, 3, NULL),
                     OC_OK);
    pthread_barrier_t barrier;
    pthread_barrier_init(&barrier, NULL, 3);
    for (int i = 0; i < 50; i++) {
        if (i % 10 == 0) usleep(2000); /* let the workers fall asleep */
        oc__pool_run(p, 3, meet_task, &barrier);
    }
    pthread_barrier_destroy(&barrier);
    oc__pool_destroy(p);
}

static double cpu_seconds(void) {
    struct rusage r;
    getrusage(RUSAGE_SELF, &r);
    return (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) +
           1e-6 * (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec);
}

static void pool_burns_nothing_when_idle(void **state) {
    (void)state;
    static count_ctx c;
    oc__pool *p = NULL;
    assert_int_equal(oc__pool_create(&p, &oc__default_allocator, 4, NULL),
                     OC_OK);
    c.threads = 4;
    oc__pool_run(p, 100, count_task, &c);
    double before = cpu_seconds();
    usleep(300000);
    assert_true(cpu_seconds() - before < 0.03);
    oc__pool_destroy(p);
}

static void pool_survives_fork(void **state) {
    (void)state;
    static count_ctx c;
    oc__pool *p = NULL;
    assert_int_equal(oc__pool_create(&p, &oc__default_allocator, 3, NULL),
                     OC_OK);
    c.threads = 3;
    c.add = 1;
    oc__pool_run(p, 50, count_task, &c);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        alarm(20); /* a deadlock must not hang the suite */
        int bad = 0;
        oc__pool_run(p, 50, count_task, &c);
        for (int i = 0; i < 50; i++)
            bad |= c.plain[i] != 2;
        oc__pool_destroy(p);
        _exit(bad);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    /* The parent's workers are still there. */
    oc__pool_run(p, 50, count_task, &c);
    for (int i = 0; i < 50; i++)
        assert_int_equal(c.plain[i], 2);
    oc__pool_destroy(p);
}

static void pool_reports_failed_allocation(void **state) {
    (void)state;
    test_allocator ta;
    for (int64_t n = 0;; n++) {
        test_allocator_init(&ta, n);
        oc__pool *p = NULL;
        oc_error err;
        oc_status st = oc__pool_create(&p, &ta.base, 2, &err);
        oc__pool_destroy(p);
        test_allocator_check(&ta);
        if (!ta.failed) {
            assert_int_equal(st, OC_OK);
            break;
        }
        assert_int_equal(st, OC_E_NOMEM);
        assert_null(p);
        assert_true(err.message[0]);
    }
}

/* Pools of several callers at once share nothing. */
static void *own_pool_main(void *arg) {
    (void)arg;
    oc__pool *p = NULL;
    count_ctx *c = calloc(1, sizeof *c);
    if (!c || oc__pool_create(&p, &oc__default_allocator, 2, NULL)) return c;
    c->threads = 2;
    c->add = 1;
    for (int i = 0; i < 200; i++)
        oc__pool_run(p, 20, count_task, c);
    oc__pool_destroy(p);
    return c;
}

static void pools_of_two_callers_do_not_meet(void **state) {
    (void)state;
    pthread_t t[2];
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&t[i], NULL, own_pool_main, NULL), 0);
    for (int i = 0; i < 2; i++) {
        void *result;
        pthread_join(t[i], &result);
        count_ctx *c = result;
        assert_non_null(c);
        for (int k = 0; k < 20; k++)
            assert_int_equal(c->plain[k], 200);
        free(c);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pool_runs_every_task_once),
        cmocka_unit_test(pool_null_runs_on_caller),
        cmocka_unit_test(pool_works_in_parallel),
        cmocka_unit_test(pool_burns_nothing_when_idle),
        cmocka_unit_test(pool_survives_fork),
        cmocka_unit_test(pool_reports_failed_allocation),
        cmocka_unit_test(pools_of_two_callers_do_not_meet),
    };
    return cmocka_run_group_tests_name("pool", tests, NULL, NULL);
}
