"""Elementwise, reducing, ranking and multiplying operators compared with
ONNX Runtime where it has the type, with numpy where it has not: every type,
broadcasting, axes, empty tensors, old versions.
"""
import math
import os
import sys

import ml_dtypes
import numpy as np

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from node_call import Call, compare, main, noise, numbers, pick, randint, rng

np.seterr(all="ignore")

BF16 = np.dtype(ml_dtypes.bfloat16)
FLOATS = [np.float32, np.float64, np.float16, BF16]
SIGNED = [np.int8, np.int16, np.int32, np.int64]
UNSIGNED = [np.uint8, np.uint16, np.uint32, np.uint64]
INTS = SIGNED + UNSIGNED
F8 = [np.dtype(t) for t in (
    ml_dtypes.float8_e4m3fn, ml_dtypes.float8_e4m3fnuz, ml_dtypes.float8_e5m2,
    ml_dtypes.float8_e5m2fnuz)]

# What a result rounded to the type may be off by, relatively.
ROUNDING = {np.dtype(np.float64): 1e-12, np.dtype(np.float32): 1e-5,
            np.dtype(np.float16): 2e-3, BF16: 1.6e-2}


def shape(most=4, dims=5):
    return [randint(1, dims) for _ in range(randint(0, most))]


def pair_of_shapes():
    """Two shapes that broadcast; now and then with an empty dimension, or
    with a short last one repeated over many rows."""
    if randint(0, 4) == 0:
        c = pick(3, 8, 16, 40)
        full = [randint(1, 2), randint(1, 3), randint(4, 40), c]
        return full, [1, full[1], 1, c]
    full = shape(5)
    if full and randint(0, 9) == 0:
        full[randint(0, len(full) - 1)] = 0
    a, b = ([d if randint(0, 3) else 1 for d in full] for _ in range(2))
    b = b[randint(0, len(b)):]
    return (a, b) if randint(0, 1) else (b, a)


def wide(x):
    """The type numpy computes in for us."""
    return x.astype(np.float64) if x.dtype in (BF16, np.float16) else x


def check(call, want, dtype, **how):
    """Against numpy; the tolerance comes from the type."""
    want = [np.asarray(w).astype(dtype) for w in want]
    compare(call, want, rtol=ROUNDING.get(np.dtype(dtype), 0),
            atol=ROUNDING.get(np.dtype(dtype), 0), **how)


# ---- one operand -------------------------------------------------------------

def unary_matches():
    table = {
        "Abs": np.abs, "Neg": np.negative, "Sign": np.sign, "Ceil": np.ceil,
        "Floor": np.floor, "Round": np.rint, "Exp": np.exp, "Sin": np.sin,
        "Cos": np.cos, "Tan": np.tan, "Atan": np.arctan, "Sinh": np.sinh,
        "Cosh": np.cosh, "Tanh": np.tanh, "Asinh": np.arcsinh,
        "Reciprocal": lambda x: 1 / x,
        "Erf": np.vectorize(math.erf, otypes=[np.float64]),
        "Relu": lambda x: np.maximum(x, 0),
        "Sigmoid": lambda x: 1 / (1 + np.exp(-x)),
        "Softplus": lambda x: np.logaddexp(x, 0),
        "Softsign": lambda x: x / (1 + np.abs(x)),
        "Mish": lambda x: x * np.tanh(np.logaddexp(x, 0)),
        "HardSwish": lambda x: x * np.clip(x / 6 + 0.5, 0, 1),
    }
    for name, f in table.items():
        for dtype in FLOATS:
            x = numbers(shape() + [randint(0, 300)], dtype)
            check(Call(name, [x], opset=22), [f(x.astype(np.float64))], dtype)
    for name, f in {"Sqrt": np.sqrt, "Log": np.log, "Acosh": np.arccosh,
                    "Asin": np.arcsin, "Acos": np.arccos,
                    "Atanh": np.arctanh}.items():
        for dtype in FLOATS:
            x = rng.uniform(0.05, 0.95, shape()) + (name == "Acosh")
            x = np.asarray(x).astype(dtype)
            check(Call(name, [x], opset=22), [f(x.astype(np.float64))], dtype)


def unary_of_integers_matches():
    for dtype in INTS:
        x = numbers(shape() + [randint(1, 300)], dtype)
        check(Call("Abs", [x]), [np.abs(x)], dtype)
        check(Call("Sign", [x]), [np.sign(x)], dtype)
        check(Call("BitwiseNot", [x], opset=18), [~x], dtype)
        check(Call("Shrink", [x], lambd=3.0, bias=1.5),
              [np.where(x.astype(float) < -3, x + 1.5,
                        np.where(x > 3, x - 1.5, 0))], dtype)
    for dtype in SIGNED:
        x = numbers([7, 50], dtype)
        check(Call("Neg", [x]), [-x], dtype)
        check(Call("Relu", [x]), [np.maximum(x, 0)], dtype)


def activations_match():
    for attrs in ({}, {"alpha": 0.3}):
        for name in ("LeakyRelu", "Elu", "ThresholdedRelu", "Celu"):
            x = noise(*shape(), randint(1, 70)) * 3
            compare(Call(name, [x], **attrs))
    x = noise(9, 33) * 3
    compare(Call("Selu", [x], alpha=pick(None, 1.2), gamma=pick(None, 2.0)))
    compare(Call("HardSigmoid", [x], alpha=pick(None, 0.3),
                 beta=pick(None, 0.4)))
    compare(Call("Gelu", [x], opset=20,
                 approximate=pick(None, "none", "tanh")), rtol=1e-4, atol=1e-5)
    compare(Call("Shrink", [x], lambd=0.7, bias=0.2))
    for dtype in FLOATS:
        y = numbers([5, 50], dtype)
        want = y.astype(np.float64)
        check(Call("Swish", [y], opset=24, alpha=1.5),
              [want / (1 + np.exp(-1.5 * want))], dtype)


def tests_for_inf_and_nan_match():
    for dtype in FLOATS + F8:
        x = np.array([0, 1, -1, np.inf, -np.inf, np.nan]).astype(dtype)
        compare(Call("IsNaN", [x], opset=20), [np.isnan(x.astype(float))])
        up, down = randint(0, 1), randint(0, 1)
        w = x.astype(float)
        compare(Call("IsInf", [x], opset=20, detect_positive=up,
                     detect_negative=down),
                [(np.isposinf(w) & bool(up)) | (np.isneginf(w) & bool(down))])


# ---- two operands ------------------------------------------------------------

def arithmetic_matches():
    table = {"Add": np.add, "Sub": np.subtract, "Mul": np.multiply}
    for _ in range(12):
        for dtype in FLOATS + INTS:
            sa, sb = pair_of_shapes()
            a, b = numbers(sa, dtype), numbers(sb, dtype)
            for name, f in table.items():
                check(Call(name, [a, b]), [f(wide(a), wide(b))], dtype)
            b = np.where(b == 0, np.ones_like(b), b)
            if np.dtype(dtype).kind in "iu":
                exact = np.trunc(a.astype(float) / b.astype(float))
                check(Call("Div", [a, b]), [exact], dtype)
                check(Call("Mod", [a, b]), [np.mod(a, b)], dtype)
                check(Call("Mod", [a, b], fmod=1), [np.fmod(a, b)], dtype)
            else:
                check(Call("Div", [a, b]), [wide(a) / wide(b)], dtype)
                check(Call("Mod", [a, b], fmod=1),
                      [np.fmod(wide(a), wide(b))], dtype)


def comparisons_match():
    table = {"Equal": np.equal, "Greater": np.greater, "Less": np.less,
             "GreaterOrEqual": np.greater_equal, "LessOrEqual": np.less_equal}
    for _ in range(6):
        for dtype in FLOATS + INTS:
            sa, sb = pair_of_shapes()
            a, b = numbers(sa, dtype, 0, 3), numbers(sb, dtype, 0, 3)
            for name, f in table.items():
                compare(Call(name, [a, b], opset=19), [f(wide(a), wide(b))])


def logic_matches():
    for _ in range(10):
        sa, sb = pair_of_shapes()
        a, b = numbers(sa, np.bool_), numbers(sb, np.bool_)
        for name, f in {"And": np.logical_and, "Or": np.logical_or,
                        "Xor": np.logical_xor, "Equal": np.equal}.items():
            compare(Call(name, [a, b]), [f(a, b)])
        for dtype in INTS:
            a, b = numbers(sa, dtype), numbers(sb, dtype)
            for name, f in {"BitwiseAnd": np.bitwise_and,
                            "BitwiseOr": np.bitwise_or,
                            "BitwiseXor": np.bitwise_xor}.items():
                compare(Call(name, [a, b], opset=18), [f(a, b)])
        for dtype in UNSIGNED:
            a, b = numbers(sa, dtype), numbers(sb, dtype, 0, 7)
            compare(Call("BitShift", [a, b], direction="LEFT"), [a << b])
            compare(Call("BitShift", [a, b], direction="RIGHT"), [a >> b])


def powers_match():
    for _ in range(4):
        for t in (np.float32, np.float64, np.int32, np.int64):
            for e in (np.float32, np.float64, np.int32, np.int64):
                sa, sb = pair_of_shapes()
                a = np.abs(numbers(sa, t, 0, 5))
                b = np.abs(numbers(sb, e, 0, 4))
                want = np.power(a.astype(np.float64), b.astype(np.float64))
                check(Call("Pow", [a, b], opset=15), [want], t)
    for e in (2.0, 3.0, 0.5, -1.0):
        x = np.abs(noise(3, 50)) + 0.1
        compare(Call("Pow", [x, np.float32(e)]))


def prelu_matches():
    for _ in range(10):
        c = pick(1, 3, 16, 33)
        x = noise(2, c, randint(1, 9), randint(1, 9))
        compare(Call("PRelu", [x, noise(c, 1, 1)]))
        x = noise(2, 3, 6, 5, c)
        compare(Call("PRelu", [x, noise(3, 1, 1, c)]))
        x = numbers([2, c, 4], np.int32)
        slope = numbers([c, 1], np.int32, -3, 3)
        compare(Call("PRelu", [x, slope]), [np.where(x < 0, x * slope, x)])


def old_broadcast_matches():
    for _ in range(10):
        dims = [randint(2, 4) for _ in range(4)]
        a = noise(*dims)
        axis = randint(0, 3)
        width = randint(1, 4 - axis)
        b = noise(*dims[axis:axis + width])
        ones = [1] * (4 - axis - width)
        want = a + b.reshape(list(b.shape) + ones)
        compare(Call("Add", [a, b], opset=6, broadcast=1, axis=axis), [want])


def variadic_matches():
    for _ in range(10):
        for dtype in FLOATS:
            shapes = [pair_of_shapes()[0][-2:] for _ in range(randint(1, 4))]
            full = [randint(1, 4), randint(1, 4)]
            xs = [numbers([d if randint(0, 2) else 1 for d in full][
                randint(0, 1):], dtype) for _ in shapes]
            ws = [wide(x) for x in xs]
            total = sum(ws[1:], ws[0])
            check(Call("Sum", xs), [total], dtype)
            check(Call("Mean", xs), [total / len(xs)], dtype)
        for dtype in FLOATS + INTS:
            xs = [numbers(s, dtype) for s in pair_of_shapes()] * randint(1, 2)
            for name, f in (("Max", np.maximum), ("Min", np.minimum)):
                want = wide(xs[0])
                for x in xs[1:]:
                    want = f(want, wide(x))
                check(Call(name, xs), [want], dtype)


def where_and_clip_match():
    for _ in range(6):
        for dtype in FLOATS + INTS + [np.bool_]:
            sa, sb = pair_of_shapes()
            a, b = numbers(sa, dtype), numbers(sb, dtype)
            condition = numbers(pick(sa, sb, [1]), np.bool_)
            compare(Call("Where", [condition, a, b], opset=16),
                    [np.where(condition, a, b)])
        for dtype in FLOATS + INTS:
            x = numbers(shape() + [40], dtype)
            lo, hi = numbers([], dtype, 0, 3), numbers([], dtype, 1, 20)
            lo, hi = pick(lo, None), pick(hi, None)
            want = wide(x)
            if lo is not None:
                want = np.maximum(want, wide(lo))
            if hi is not None:
                want = np.minimum(want, wide(hi))
            check(Call("Clip", [x, lo, hi]), [want], dtype)


def casts_match():
    kinds = FLOATS + INTS + [np.bool_]
    for source in kinds:
        for target in kinds:
            x = numbers([randint(0, 5), 70], source, 0, 100)
            x = np.abs(x.astype(np.float64) * 10).astype(source)
            with np.errstate(over="ignore", invalid="ignore"):
                want = x.astype(target)
            compare(Call("Cast", [x], to=NUMBERS[np.dtype(target)]), [want],
                    rtol=0, atol=0)
    for f8 in F8:
        for source in (np.float32, np.float16, BF16):
            x = np.concatenate([rng.standard_normal(300) * 10,
                                rng.standard_normal(300) * 1e-3])
            x = x.astype(source)
            # ONNX saturates; ml_dtypes does so when told what is largest.
            most = float(ml_dtypes.finfo(f8).max)
            want = np.clip(x.astype(np.float64), -most, most).astype(f8)
            got = compare(Call("Cast", [x], opset=19, to=NUMBERS[f8]),
                          [want], rtol=0, atol=0)
            compare(Call("Cast", got, opset=19, to=NUMBERS[np.dtype(source)]),
                    [want.astype(source)], rtol=0, atol=0)
    for narrow in (ml_dtypes.int4, ml_dtypes.uint4, ml_dtypes.int2,
                   ml_dtypes.uint2):
        narrow = np.dtype(narrow)
        x = numbers([90], np.int8)
        want = x.astype(narrow)
        got = compare(Call("Cast", [x], opset=25, to=NUMBERS[narrow]), [want])
        compare(Call("Cast", got, opset=25, to=NUMBERS[np.dtype(np.float32)]),
                [want.astype(np.float32)])


# ---- along axes --------------------------------------------------------------

def softmax_matches():
    for _ in range(20):
        dims = shape(4, 6) + [randint(1, 40)]
        axis = randint(-len(dims), len(dims) - 1)
        x = noise(*dims) * 3
        opset = pick(12, 13)
        for name in ("Softmax", "LogSoftmax", "Hardmax"):
            compare(Call(name, [x], opset=opset, axis=axis), atol=1e-5)
        for dtype in FLOATS:
            y = numbers(dims, dtype)
            e = np.exp(y.astype(np.float64))
            check(Call("Softmax", [y], axis=axis),
                  [e / e.sum(axis, keepdims=True)], dtype)


def safe_log(x):
    with np.errstate(divide="ignore"):
        return np.log(x)


REDUCE = {
    "ReduceSum": lambda x, **k: x.sum(**k),
    "ReduceMean": lambda x, **k: x.mean(**k),
    "ReduceL1": lambda x, **k: np.abs(x).sum(**k),
    "ReduceL2": lambda x, **k: np.sqrt((x * x).sum(**k)),
    "ReduceSumSquare": lambda x, **k: (x * x).sum(**k),
    "ReduceLogSum": lambda x, **k: safe_log(x.sum(**k)),
    "ReduceLogSumExp": lambda x, **k: safe_log(np.exp(x).sum(**k)),
    "ReduceMax": lambda x, **k: x.max(**k),
    "ReduceMin": lambda x, **k: x.min(**k),
    "ReduceProd": lambda x, **k: x.prod(**k),
}


def some_axes(rank):
    return [a - pick(0, rank) for a in range(rank) if randint(0, 1)]


def reductions_match():
    for _ in range(12):
        for dtype in FLOATS + [np.int32, np.int64, np.uint32, np.uint64]:
            dims = [randint(1, 6) for _ in range(randint(1, 5))]
            if randint(0, 4) == 0:
                dims[randint(0, len(dims) - 1)] = randint(100, 300)
            x = np.abs(numbers(dims, dtype, 1, 5))  # log 0 is no integer
            axes, keep = some_axes(len(dims)), randint(0, 1)
            for name, f in REDUCE.items():
                if name == "ReduceProd" and max(dims) > 6:
                    continue
                want = f(x.astype(np.float64), keepdims=bool(keep),
                         axis=tuple(axes) or None)
                if np.dtype(dtype).kind in "iu":
                    want = np.trunc(want + 1e-9)
                    if name == "ReduceProd":  # wraps
                        want = x.prod(keepdims=bool(keep), dtype=dtype,
                                      axis=tuple(axes) or None)
                opset = pick(11, 18)
                if opset == 18 or name == "ReduceSum" and opset == 13:
                    call = Call(name, [x, np.array(axes, np.int64)],
                                opset=opset, keepdims=keep)
                else:
                    call = Call(name, [x], opset=opset, axes=axes or None,
                                keepdims=keep)
                check(call, [want], dtype)


def reductions_of_nothing_match():
    x = np.zeros((2, 0, 3), np.float32)
    axes = np.array([1])
    edge = dict(ReduceSum=0, ReduceProd=1, ReduceMax=-np.inf,
                ReduceMin=np.inf, ReduceL1=0, ReduceL2=0, ReduceSumSquare=0,
                ReduceLogSum=-np.inf, ReduceLogSumExp=-np.inf)
    for name, value in edge.items():
        want = np.full((2, 1, 3), value, np.float32)
        compare(Call(name, [x, axes], opset=20), [want])
    x = np.zeros((2, 0), np.int32)
    info = np.iinfo(np.int32)
    compare(Call("ReduceMax", [x, axes], opset=20, keepdims=0),
            [np.full(2, info.min, np.int32)])
    x = numbers([3, 4], np.float32)
    none = np.zeros(0, np.int64)
    compare(Call("ReduceSumSquare", [x, none], opset=18,
                 noop_with_empty_axes=1), [x * x])
    x = numbers([3, 4], np.bool_)
    compare(Call("ReduceMax", [x, axes], opset=20), [x.max(1, keepdims=True)])


def arg_extremes_match():
    for _ in range(10):
        for dtype in FLOATS + INTS:
            dims = [randint(1, 7) for _ in range(randint(1, 4))]
            axis = randint(-len(dims), len(dims) - 1)
            keep, last = randint(0, 1), randint(0, 1)
            x = numbers(dims, dtype, 0, 4)
            w = wide(x)
            for name, f in (("ArgMax", np.argmax), ("ArgMin", np.argmin)):
                want = f(np.flip(w, axis) if last else w, axis)
                if last:
                    want = dims[axis] - 1 - want
                if keep:
                    want = np.expand_dims(want, axis)
                compare(Call(name, [x], opset=13, axis=axis, keepdims=keep,
                             select_last_index=last),
                        [np.asarray(want, np.int64)])


def arg_extremes_matches_on_large():
    """Rows and columns that strips, and blocks of rows, do not divide."""
    for dims, axis in (((300, 21), 1), ((2, 5, 300), 1), ((3, 100), 1),
                       ((7, 1), 1), ((130, 64), 1), ((2, 70, 3), 1)):
        for last in (0, 1):
            x = numbers(dims, np.float32).round(1)
            if randint(0, 1):
                x.flat[randint(0, x.size - 1)] = np.nan
            for name, f in (("ArgMax", np.argmax), ("ArgMin", np.argmin)):
                want = f(np.flip(x, axis) if last else x, axis)
                if last:
                    want = dims[axis] - 1 - want
                compare(Call(name, [x], opset=13, axis=axis, keepdims=0,
                             select_last_index=last), [want])


def softmax_matches_on_large():
    for dims, axis in (((1, 4420, 2), 2), ((3, 1, 300), 1), ((2, 16, 301), 1),
                       ((40, 24), 1), ((40, 25), 1), ((2, 5000, 2), 1)):
        x = noise(*dims) * 3
        for name in ("Softmax", "LogSoftmax", "Hardmax"):
            compare(Call(name, [x], axis=axis), atol=1e-5)


def topk_matches():
    for _ in range(10):
        for dtype in FLOATS + INTS:
            dims = [randint(1, 6) for _ in range(randint(1, 3))]
            axis = randint(-len(dims), len(dims) - 1)
            dims[axis] = randint(1, 60)
            k = randint(0, dims[axis])
            x = numbers(dims, dtype, 0, 20)
            largest = randint(0, 1)
            key = -wide(x).astype(np.float64) if largest \
                else wide(x).astype(np.float64)
            order = np.argsort(key, axis=axis, kind="stable")
            order = np.take(order, np.arange(k), axis=axis)
            compare(Call("TopK", [x, np.array([k])], 2, opset=24, axis=axis,
                         largest=largest),
                    [np.take_along_axis(x, order, axis), order])


def cumulative_sums_match():
    for _ in range(10):
        for dtype in FLOATS + [np.int32, np.int64, np.uint32, np.uint64]:
            dims = [randint(1, 8) for _ in range(randint(1, 4))]
            axis = randint(-len(dims), len(dims) - 1)
            exclusive, reverse = randint(0, 1), randint(0, 1)
            x = numbers(dims, dtype)
            w = x.astype(np.float64)
            if np.dtype(dtype).kind in "iu":
                w = x.astype(np.int64)
            w = np.flip(w, axis) if reverse else w
            want = np.cumsum(w, axis)
            want = want - w if exclusive else want
            want = np.flip(want, axis) if reverse else want
            check(Call("CumSum", [x, np.array(axis)], opset=14,
                       exclusive=exclusive, reverse=reverse), [want], dtype)
            want = np.cumprod(w, axis)
            if exclusive:
                one = np.ones_like(np.take(want, [0], axis))
                cut = np.take(want, np.arange(dims[axis] - 1), axis)
                want = np.concatenate([one, cut], axis)
            want = np.flip(want, axis) if reverse else want
            check(Call("CumProd", [x, np.array(axis)], opset=26,
                       exclusive=exclusive, reverse=reverse), [want], dtype)


# ---- products ----------------------------------------------------------------

def matmul_matches():
    kinds = FLOATS + [np.int32, np.int64, np.uint32, np.uint64]
    for _ in range(12):
        for dtype in kinds:
            m, n, k = randint(1, 40), randint(1, 40), randint(0, 60)
            batch, right = pair_of_shapes()
            batch, right = batch[-3:], right[-3:]
            a = numbers(batch + [m, k], dtype, 0, 9)
            b = numbers(right + [k, n], dtype, 0, 9)
            if randint(0, 4) == 0:
                a = numbers([k], dtype, 0, 9)
            if randint(0, 4) == 0:
                b = numbers([k], dtype, 0, 9)
            x = a.astype(np.float64) if a.dtype.kind not in "iu" else a
            y = b.astype(np.float64) if b.dtype.kind not in "iu" else b
            want = np.matmul(x, y)
            scale = ROUNDING.get(np.dtype(dtype), 0) * 3
            call = Call("MatMul", [a, b], constants=pick((), (1,)))
            compare(call, [np.asarray(want).astype(dtype)], rtol=scale,
                    atol=scale * 5)


def gemm_matches():
    for _ in range(12):
        for dtype in FLOATS + [np.int32, np.int64]:
            m, n, k = randint(1, 40), randint(1, 40), randint(1, 60)
            ta, tb = randint(0, 1), randint(0, 1)
            a = numbers((k, m) if ta else (m, k), dtype, 0, 9)
            b = numbers((n, k) if tb else (k, n), dtype, 0, 9)
            c = pick(None, [], [n], [1, n], [m, 1], [m, n], [1, 1])
            c = None if c is None else numbers(c, dtype)
            alpha, beta = pick((1.0, 1.0), (0.5, 2.0), (2.0, 0.0))
            want = alpha * ((a.T if ta else a).astype(np.float64) @
                            (b.T if tb else b).astype(np.float64))
            if c is not None:
                want = want + beta * c.astype(np.float64)
            if np.dtype(dtype).kind == "i":
                want = np.trunc(want)
            scale = ROUNDING.get(np.dtype(dtype), 0) * 3
            call = Call("Gemm", [a, b, c], opset=13, transA=ta, transB=tb,
                        alpha=alpha, beta=beta, constants=pick((), (1,)))
            compare(call, [want.astype(dtype)], rtol=scale, atol=scale * 5)


EQUATIONS = [
    "ij,jk->ik", "ij,kj->ik", "bij,bjk->bik", "bhqd,bhkd->bhqk", "ii->i",
    "ii", "ij->ji", "ij->", "ij,ij->i", "i,j->ij", "...ij,...jk->...ik",
    "bij,bij->b", "ab,bc,cd->ad", "a,ab,b->", "...a,...a->...", "ij,jk",
    "b...i,ij->b...j", "abc,cd,de->abe", "iij->j", "ij,k->kij", "ba,ab",
]


def einsum_matches():
    for equation in EQUATIONS:
        for dtype in (np.float32, np.float64, np.float16, np.int32, np.int64):
            sizes = {c: randint(1, 6) for c in equation if c.isalpha()}
            dots = shape(2, 3)
            operands = []
            for term in equation.split("->")[0].split(","):
                dims = []
                for part in term.replace("...", "."):
                    dims += dots if part == "." else [sizes[part]]
                operands.append(numbers(dims, dtype, 0, 5))
            want = np.einsum(equation, *[
                x.astype(np.float64) for x in operands])
            scale = ROUNDING.get(np.dtype(dtype), 0) * 5
            compare(Call("Einsum", operands, equation=equation),
                    [np.asarray(want).astype(dtype)], rtol=scale, atol=scale)


def det_matches():
    for _ in range(10):
        n = randint(1, 6)
        x = noise(*shape(2, 3), n, n)
        compare(Call("Det", [x]), [np.linalg.det(x.astype(np.float64)).astype(
            np.float32)], rtol=1e-4, atol=1e-4)


# ---- quantization ------------------------------------------------------------

def quantize_matches():
    """Per tensor, slice and block, in the types ONNX Runtime takes."""
    for _ in range(40):
        dims = [randint(1, 6) for _ in range(randint(1, 4))]
        axis = randint(-len(dims), len(dims) - 1)
        dtype = pick(np.uint8, np.int8, np.uint16, np.int16)
        mode = pick("tensor", "slice", "block")
        x = noise(*dims) * 5
        attrs = {}
        if mode == "tensor":
            form = []
        elif mode == "slice":
            form = [dims[axis]]
            attrs["axis"] = axis
        else:
            block = pick(2, 3)
            form = list(dims)
            form[axis] = -(-dims[axis] // block)
            attrs.update(axis=axis, block_size=block)
            if form == [1]:
                continue  # which ONNX Runtime takes for one of a tensor
        scale = rng.uniform(0.05, 0.2, form).astype(np.float32)
        zero = numbers(form, dtype, 0, 9)
        got = compare(Call("QuantizeLinear", [x, scale, zero], opset=21,
                           **attrs))
        compare(Call("DequantizeLinear", [got[0], scale, zero], opset=21,
                     **attrs))
        compare(Call("DequantizeLinear", [got[0], scale], opset=21, **attrs))


NUMBERS = {np.dtype(k): v for v, k in {
    1: np.float32, 2: np.uint8, 3: np.int8, 4: np.uint16, 5: np.int16,
    6: np.int32, 7: np.int64, 9: np.bool_, 10: np.float16, 11: np.float64,
    12: np.uint32, 13: np.uint64, 16: BF16, 17: F8[0], 18: F8[1], 19: F8[2],
    20: F8[3], 21: ml_dtypes.uint4, 22: ml_dtypes.int4, 25: ml_dtypes.uint2,
    26: ml_dtypes.int2}.items()}

sys.exit(main(globals()))
