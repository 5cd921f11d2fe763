"""Quantized and fused operators of com.microsoft, and the 8-bit ones of ONNX,
compared with ONNX Runtime.  8-bit results may differ by one step: the order
in which scales are multiplied is nobody's standard.
"""
import os
import sys

import numpy as np

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import peer
from node_call import Call, compare, main, noise, pick, randint, rng

MS = "com.microsoft"


def bytes_of(dtype, *shape):
    info = np.iinfo(dtype)
    return rng.integers(info.min, info.max, shape, endpoint=True).astype(dtype)


def weights_of(dtype, *shape):
    if dtype == np.int8:
        return peer.int8_weights(rng, *shape)
    return bytes_of(dtype, *shape)


def scale(low=0.005, high=0.05):
    return np.float32(rng.uniform(low, high))


def zero(dtype, near=20):
    middle = 128 if dtype == np.uint8 else 0
    return np.array(middle + randint(-near, near), dtype)


def eight():
    return pick(np.uint8, np.int8)


def broadcast_pair():
    full = [randint(1, 5) for _ in range(randint(1, 4))]
    a = [d if randint(0, 3) else 1 for d in full]
    b = [d if randint(0, 3) else 1 for d in full][randint(0, len(full) - 1):]
    return a, b


# ---- element by element ------------------------------------------------------

def qlinear_add_and_mul_match():
    for _ in range(40):
        t = eight()
        sa, sb = broadcast_pair()
        for op in ("QLinearAdd", "QLinearMul"):
            inputs = [bytes_of(t, *sa), scale(), zero(t), bytes_of(t, *sb),
                      scale(), zero(t), scale(0.02, 0.1), zero(t)]
            compare(Call(op, inputs, domain=MS), steps=1)


def qlinear_activations_match():
    for _ in range(20):
        t = eight()
        x = bytes_of(t, randint(1, 4), randint(1, 300))
        compare(Call("QLinearSigmoid", [x, scale(), zero(t), np.float32(1/256),
                                        zero(t)], domain=MS), steps=1)
        compare(Call("QLinearLeakyRelu", [x, scale(), zero(t), scale(),
                                          zero(t)], domain=MS, alpha=0.2),
                steps=1)


def qlinear_concat_matches():
    for _ in range(20):
        t, rank = eight(), randint(1, 4)
        axis = randint(0, rank - 1)
        shape = [randint(1, 5) for _ in range(rank)]
        inputs, consts = [scale(), zero(t)], [0, 1]
        for _ in range(randint(1, 4)):
            shape[axis] = randint(1, 5)
            consts += [len(inputs) + 1, len(inputs) + 2]
            inputs += [bytes_of(t, *shape), scale(), zero(t)]
        # ONNX Runtime takes the scales as constants only.
        compare(Call("QLinearConcat", inputs, domain=MS, axis=axis,
                     constants=consts), steps=1)


def qlinear_where_matches():
    for _ in range(20):
        t = eight()
        sa, sb = broadcast_pair()
        condition = rng.integers(0, 2, sa).astype(bool)
        inputs = [condition, bytes_of(t, *sb), scale(), zero(t),
                  bytes_of(t, *sa), scale(), zero(t), scale(), zero(t)]
        compare(Call("QLinearWhere", inputs, domain=MS,
                     constants=(2, 3, 5, 6, 7, 8)), steps=1)


# ---- pooling and softmax -----------------------------------------------------

def qlinear_pools_match():
    for _ in range(30):
        t, last = eight(), randint(0, 1)
        shape = [randint(1, 2), randint(1, 80), randint(5, 12), randint(5, 12)]
        if last:
            shape = [shape[0], shape[2], shape[3], shape[1]]
        inputs = [bytes_of(t, *shape), scale(), zero(t), scale(), zero(t)]
        compare(Call("QLinearGlobalAveragePool", inputs, domain=MS,
                     channels_last=last), steps=1)
        kernel = [randint(1, 3), randint(1, 3)]
        compare(Call("QLinearAveragePool", inputs, domain=MS,
                     channels_last=last, kernel_shape=kernel,
                     strides=[randint(1, 3), randint(1, 3)],
                     pads=[randint(0, k - 1) for k in kernel * 2],
                     count_include_pad=randint(0, 1)), steps=1)


def qlinear_softmax_matches():
    for _ in range(20):
        t = eight()
        shape = [randint(1, 5) for _ in range(randint(1, 4))]
        opset = pick(12, 13)
        axis = randint(-len(shape), len(shape) - 1)
        shape[axis] += 1  # ONNX Runtime gets rows of one element wrong
        # A probability of 1 must fit: ONNX Runtime lets 256 wrap to 0.
        low = np.array(0 if t == np.uint8 else -128, t)
        inputs = [bytes_of(t, *shape), scale(0.01, 0.1), zero(t),
                  np.float32(1 / 250), low]
        compare(Call("QLinearSoftmax", inputs, domain=MS, axis=axis,
                     more=dict(opset=opset), constants=(1, 2, 3, 4)),
                steps=1)


# ---- products ----------------------------------------------------------------

def sizes():
    return randint(1, 70), randint(1, 70), randint(1, 200)


def per_column(t, n):
    """Scales and zero points of columns, or one for all."""
    if randint(0, 1):
        return (rng.uniform(0.005, 0.05, n).astype(np.float32),
                np.array([int(zero(t)) for _ in range(n)], t))
    return np.array([scale()]), zero(t).reshape(1)


def matmul_integer_matches():
    for _ in range(25):
        m, n, k = sizes()
        ta, tb = pick((np.uint8, np.uint8), (np.uint8, np.int8),
                      (np.int8, np.int8))
        batch = [2] if randint(0, 2) == 0 else []
        a, b = bytes_of(ta, *batch, m, k), weights_of(tb, k, n)
        za, zb = zero(ta), zero(tb)
        if randint(0, 1):
            zb = np.array([int(zero(tb)) for _ in range(n)], tb)
        compare(Call("MatMulInteger", [a, b, za, zb]))
        sb, zb = per_column(tb, n)
        bias = pick(None, noise(n))
        compare(Call("MatMulIntegerToFloat",
                     [a, b, np.array([scale()]), sb, za.reshape(1), zb, bias],
                     domain=MS), rtol=1e-5, atol=1e-3)


def matmul_integer_matches_numpy():
    """Of full range, against NumPy's 64-bit sums."""
    for _ in range(25):
        m, n, k = sizes()
        ta, tb = eight(), eight()
        a, b, za, zb = bytes_of(ta, m, k), bytes_of(tb, k, n), zero(ta), zero(tb)
        wide = [x.astype(np.int64) for x in (a, b, za, zb)]
        want = (wide[0] - wide[2]) @ (wide[1] - wide[3])
        for threads in (1, 2):
            got = Call("MatMulInteger", [a, b, za, zb]).ours(threads=threads)
            np.testing.assert_array_equal(got[0], want)


def qlinear_matmul_matches():
    for _ in range(25):
        m, n, k = sizes()
        ta = eight()
        tb = pick(ta, np.int8)
        sb, zb = per_column(tb, n)
        inputs = [bytes_of(ta, m, k), scale(), zero(ta), weights_of(tb, k, n),
                  sb, zb, np.float32(0.02 * k ** 0.5), zero(ta)]
        compare(Call("QLinearMatMul", inputs), steps=1)


def qgemm_matches():
    for _ in range(25):
        m, n, k = sizes()
        ta = eight()
        tb = pick(ta, np.int8)
        trans_a, trans_b = randint(0, 1), randint(0, 1)
        a = bytes_of(ta, *((k, m) if trans_a else (m, k)))
        b = weights_of(tb, *((n, k) if trans_b else (k, n)))
        sb, zb = per_column(tb, n)
        if sb.size == 1:
            sb, zb = sb[0], zb[0]
        bias = pick(None, rng.integers(-9999, 9999, n).astype(np.int32))
        inputs = [a, scale(), zero(ta), b, sb, zb, bias]
        if randint(0, 1):
            inputs += [np.float32(0.02 * k ** 0.5), zero(ta)]
        compare(Call("QGemm", inputs, domain=MS, transA=trans_a, transB=trans_b,
                     alpha=pick(1.0, 0.5)), steps=1, rtol=1e-4, atol=1e-2)


def dynamic_quantize_matmul_matches():
    for _ in range(20):
        m, n, k = sizes()
        tb = eight()
        sb, zb = per_column(tb, n)
        inputs = [noise(m, k), weights_of(tb, k, n), sb, zb,
                  pick(None, noise(n))]
        compare(Call("DynamicQuantizeMatMul", inputs, domain=MS), rtol=1e-3,
                atol=0.05)


def dynamic_quantize_linear_matches():
    for _ in range(20):
        x = noise(randint(1, 40), randint(1, 40)) * 3 + randint(-3, 3)
        compare(Call("DynamicQuantizeLinear", [x], outputs=3), steps=1,
                rtol=1e-6)


def matmul_nbits_matches():
    for _ in range(20):
        bits, block = pick(4, 4, 8), pick(16, 32, 64)
        m, n, k = randint(1, 9), randint(1, 90), randint(1, 150)
        blocks = -(-k // block)
        b = bytes_of(np.uint8, n, blocks, block * bits // 8)
        scales = rng.uniform(0.01, 0.1, n * blocks).astype(np.float32)
        zeros = pick(None, bytes_of(np.uint8, n * ((blocks * bits + 7) // 8)))
        bias = pick(None, noise(n))
        call = Call("MatMulNBits",
                    [noise(m, k), b, scales.reshape(n, blocks), zeros, None,
                     bias], domain=MS, K=k, N=n, bits=bits, block_size=block)
        compare(call, rtol=1e-3, atol=2e-2)


# ---- convolution -------------------------------------------------------------

def conv_case():
    rank = pick(1, 2, 2, 2, 3)
    kind = pick("plain", "plain", "group", "depthwise", "point")
    group = dict(plain=1, point=1, group=randint(2, 4),
                 depthwise=randint(2, 20))[kind]
    ic, oc = group * randint(1, 20), group * randint(1, 20)
    if kind == "depthwise":
        ic = oc = group
    kernel = [1 if kind == "point" else randint(1, 4) for _ in range(rank)]
    attrs = dict(group=group, kernel_shape=kernel,
                 strides=[1 if kind == "point" else randint(1, 2)
                          for _ in range(rank)],
                 dilations=[randint(1, 2) for _ in range(rank)],
                 pads=[0 if kind == "point" else randint(0, 2)
                       for _ in kernel * 2])
    space = [randint(8, 20) for _ in range(rank)]
    return ic, oc, [randint(1, 2), ic, *space], \
        [oc, ic // group, *kernel], attrs


def qlinear_conv_matches():
    for _ in range(60):
        ic, oc, xs, ws, attrs = conv_case()
        tx = eight()
        tw = pick(tx, np.int8)
        if randint(0, 1):
            sw = rng.uniform(0.005, 0.05, oc).astype(np.float32)
            # ONNX Runtime wants the zero points of channels to be equal.
            zw = np.full(oc, 0 if tw == np.int8 else int(zero(tw)), tw)
        else:
            sw, zw = scale(), zero(tw)
        depth = int(np.prod(ws[1:]))
        bias = pick(None, rng.integers(-999, 999, oc).astype(np.int32))
        inputs = [bytes_of(tx, *xs), scale(), zero(tx), weights_of(tw, *ws), sw,
                  zw, np.float32(0.02 * depth ** 0.5), zero(tx), bias]
        compare(Call("QLinearConv", inputs, **attrs), steps=1)


def conv_integer_matches():
    for _ in range(40):
        ic, oc, xs, ws, attrs = conv_case()
        x, w = bytes_of(np.uint8, *xs), bytes_of(np.uint8, *ws)
        compare(Call("ConvInteger", [x, w, zero(np.uint8), zero(np.uint8)],
                     **attrs))


# ---- floats ------------------------------------------------------------------

def fused_matmul_matches():
    for _ in range(40):
        m, n, k = randint(1, 20), randint(1, 20), randint(1, 20)
        ta, tb = randint(0, 1), randint(0, 1)
        a = noise(2, 3, *((k, m) if ta else (m, k)))
        b = noise(2, 3, *((n, k) if tb else (k, n)))
        attrs = dict(transA=ta, transB=tb, alpha=0.5)
        if randint(0, 1):
            a, attrs["transBatchA"] = a.transpose(2, 0, 1, 3), 1
        if randint(0, 1):
            b, attrs["transBatchB"] = b.transpose(2, 0, 1, 3), 1
        compare(Call("FusedMatMul", [np.ascontiguousarray(a),
                                     np.ascontiguousarray(b)],
                     domain=MS, **attrs))


def fused_gemm_matches():
    for _ in range(20):
        m, n, k = sizes()
        name, attrs = pick(("Relu", {}), ("Tanh", {}), ("Sigmoid", {}),
                           ("LeakyRelu", dict(activation_alpha=0.1)))
        compare(Call("FusedGemm", [noise(m, k), noise(k, n), noise(n)],
                     domain=MS, activation=name, **attrs), atol=1e-4)


def gelus_match():
    for _ in range(10):
        x = noise(randint(1, 5), randint(1, 600)) * 3
        bias = noise(x.shape[-1])
        compare(Call("Gelu", [x], domain=MS))
        compare(Call("QuickGelu", [x], domain=MS, alpha=pick(None, 1.0)))
        compare(Call("BiasGelu", [x, bias], domain=MS))
        compare(Call("FastGelu", [x, pick(None, bias)], domain=MS))


sys.exit(main(globals()))
