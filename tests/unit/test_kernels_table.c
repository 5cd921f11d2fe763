/* test_kernels_table.c - the table is whole, and honest about the CPU */
#include "checkasm.h"

#include "cpu/features.h"

static void table_is_whole(const oc__kernels *k) {
#define OC_KERNEL_FIELD(type, job) assert_non_null(k->job);
#include "kernels/kernels.def"
    assert_int_equal(k->block, k->cpu & OC_CPU_AVX512 ? 16 : 8);
}

static void table_has_every_job_under_every_mask(void **state) {
    (void)state;
    check_each_mask(table_is_whole);
}

/* No kernel may stand in the table whose needs the mask does not cover. */
static void table_respects_mask(const oc__kernels *k) {
#define OC_KERNEL(job, isa, need)                                              \
    if (k->job == &oc__##job##_##isa)                                          \
        assert_int_equal((uint32_t)(need) & ~k->cpu, 0);
#include "kernels/kernels.def"
}

static void table_takes_only_what_the_mask_has(void **state) {
    (void)state;
    check_each_mask(table_respects_mask);
}

static void table_native_uses_all_features(void **state) {
    (void)state;
    oc__kernels all;
    oc__kernels_init(&all, oc_cpu_features());
    assert_int_equal(oc__kernels_native()->cpu, oc_cpu_features());
    assert_memory_equal(oc__kernels_native(), &all, sizeof all);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table_has_every_job_under_every_mask),
        cmocka_unit_test(table_takes_only_what_the_mask_has),
        cmocka_unit_test(table_native_uses_all_features),
    };
    return cmocka_run_group_tests_name("kernels_table", tests, NULL, NULL);
}
