/*
 * test_ops_axis.c - operators along one axis, on tensors without elements
 * whose other dims are as large as dims may be: their product overflows, and
 * nobody lives to see a loop over it end.
 */
#include "testing.h"

#include "op_call.h"

#include "base/size.h"
#include "graph/value.h"
#include "kernels/kernels.h"

#include <unistd.h>

#define HUGE_DIM (INT64_C(1) << 40)

static const oc__kernels *kernels(void) {
    static oc__kernels table;
    oc__kernels_init(&table, 0);
    return &table;
}

static void axis_view_is_what_lies_around(void **state) {
    (void)state;
    const int64_t dims[] = {2, 3, 5, 7};
    const int64_t want[4][3] = {{1, 2, 105}, {2, 3, 35}, {6, 5, 7}, {30, 7, 1}};
    for (int a = 0; a < 4; a++) {
        oc__axis_view v = oc__axis_split(dims, 4, a);
        assert_int_equal(v.outer, want[a][0]);
        assert_int_equal(v.length, want[a][1]);
        assert_int_equal(v.inner, want[a][2]);
    }
    oc__axis_view v = oc__axis_split(dims, 0, 0);
    assert_int_equal(v.outer * v.length * v.inner, 1);
}

typedef struct axis_op {
    const char *name;
    int version;
    enum { ATTRIBUTE, INPUT, INDICES } how; /* the axis is given */
} axis_op;

static void call_on_empty(const axis_op *op, const int64_t *dims,
                          int64_t axis) {
    static const int64_t zero = 0;
    op_call k;
    oc_tensor x, number, indices;
    float none = 0;
    oc__tensor_set(&x, OC_DTYPE_F32, 4, dims);
    oc__tensor_set(&number, OC_DTYPE_I64, 0, NULL);
    oc__tensor_set(&indices, OC_DTYPE_I64, 1, &zero);
    x.data = &none;
    number.data = indices.data = &axis;
    op_call_init(&k, "", op->name, op->version);
    op_call_input(&k, &x);
    if (op->how == INPUT) op_call_input(&k, &number);
    if (op->how == INDICES) op_call_input(&k, &indices);
    if (op->how != INPUT) op_call_int(&k, "axis", axis);
    oc_value y = op_call_run(&k, kernels(), NULL);
    assert_int_equal(oc_tensor_elems(&y.t), 0);
    oc__value_clear(&y);
}

static void huge_empty_tensors_take_no_time(void **state) {
    (void)state;
    static const axis_op ops[] = {
        {"CumSum", 14, INPUT},      {"Softmax", 13, ATTRIBUTE},
        {"Softmax", 11, ATTRIBUTE}, {"LogSoftmax", 13, ATTRIBUTE},
        {"Hardmax", 13, ATTRIBUTE}, {"LpNormalization", 1, ATTRIBUTE},
        {"Gather", 13, INDICES},
    };
    /* Products of dims stop at the first 0; what is behind is never seen. */
    static const int64_t shapes[][4] = {{HUGE_DIM, 0, 1, 1},
                                        {HUGE_DIM, 0, HUGE_DIM, 1},
                                        {1, 0, HUGE_DIM, HUGE_DIM},
                                        {0, 1, HUGE_DIM, HUGE_DIM}};
    for (size_t i = 0; i < OC_COUNT(ops); i++) {
        for (size_t k = 0; k < OC_COUNT(shapes) * 4; k++) {
            alarm(10); /* ends the test where a loop does not end */
            call_on_empty(&ops[i], shapes[k / 4], (int64_t)k % 4);
        }
    }
    alarm(0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(axis_view_is_what_lies_around),
        cmocka_unit_test(huge_empty_tensors_take_no_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
