"""Networks in pairs of QuantizeLinear and DequantizeLinear, as ONNX Runtime's
own tool writes them: run as integers, equal to ONNX Runtime.  Prints TAP."""
import itertools
import json
import subprocess
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import (CalibrationDataReader, QuantFormat,
                                      QuantType, quantize_static)

import program
from peer import session

rng = np.random.default_rng(3)
SHAPE = (1, 3, 24, 20)


def weight(name, *shape):
    scale = 1 / np.sqrt(np.prod(shape[1:]))
    w = rng.normal(0, scale, shape).astype(np.float32)
    return numpy_helper.from_array(w, name)


def network():
    """Convolutions (dense, grouped, depthwise), residuals, pools, a join, what
    moves data, and a product at the end."""
    n, init = [], []

    def add(op, inputs, output, **attrs):
        n.append(helper.make_node(op, inputs, [output], name=output, **attrs))
        return output

    def conv(x, out, o, i, k, **attrs):
        init.append(weight(out + ".w", o, i, k, k))
        init.append(weight(out + ".b", o))
        return add("Conv", [x, out + ".w", out + ".b"], out,
                   kernel_shape=[k, k], **attrs)

    x = add("Relu", [conv("x", "c1", 16, 3, 3, pads=[1] * 4)], "r1")
    y = add("Clip", [conv(x, "c2", 16, 1, 3, pads=[1] * 4, group=16),
                     "zero", "six"], "r2")
    init.append(numpy_helper.from_array(np.float32(0), "zero"))
    init.append(numpy_helper.from_array(np.float32(6), "six"))
    x = add("Add", [x, conv(y, "c3", 16, 16, 1)], "a")
    a = add("MaxPool", [x], "m", kernel_shape=[2, 2], strides=[2, 2])
    b = add("Relu", [conv(x, "c4", 8, 4, 3, pads=[1] * 4, strides=[2, 2],
                          group=4)], "r4")
    x = add("Concat", [a, b], "j", axis=1)
    # The channels of three groups shuffled, cut, and put together again.
    for name, dims in (("apart", [1, 3, 8, 12, 10]), ("whole", [1, 24, 12, 10])):
        init.append(numpy_helper.from_array(np.array(dims), name))
    x = add("Reshape", [x, "apart"], "h1")
    x = add("Transpose", [x], "h2", perm=[0, 2, 1, 3, 4])
    x = add("Reshape", [x, "whole"], "h3")
    n.append(helper.make_node("Split", [x], ["s0", "s1"], name="cut", axis=1))
    y = add("HardSwish", [conv("s0", "c6", 12, 12, 1)], "hs")
    x = add("Concat", ["s1", y], "j2", axis=1)
    x = add("Sigmoid", [conv(x, "c5", 12, 24, 1)], "s")
    x = add("AveragePool", [x], "p", kernel_shape=[3, 3], pads=[1] * 4)
    x = add("GlobalAveragePool", [x], "g")
    x = add("Flatten", [x], "f")
    init.append(weight("fc.w", 10, 12))
    init.append(weight("fc.b", 10))
    add("Gemm", [x, "fc.w", "fc.b"], "y", transB=1)
    graph = helper.make_graph(
        n, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, SHAPE)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, (1, 10))], init)
    return helper.make_model(graph, ir_version=8, opset_imports=[
        helper.make_opsetid("", 17)])


class Pictures(CalibrationDataReader):
    def __init__(self):
        self.left = [rng.normal(0, 1, SHAPE).astype(np.float32)
                     for _ in range(6)]

    def get_next(self):
        return {"x": self.left.pop()} if self.left else None


def quantized(activations, per_channel):
    plain, out = program.path("f32.onnx"), program.path("qdq.onnx")
    onnx.save(network(), plain)
    quantize_static(plain, out, Pictures(), quant_format=QuantFormat.QDQ,
                    per_channel=per_channel, activation_type=activations,
                    weight_type=QuantType.QInt8)
    return out


def execute(model, x):
    np.save(program.path("x.npy"), x)
    subprocess.run([program.OCELLI, "run", model, "--input",
                    f"x={program.path('x.npy')}", "--output-dir",
                    program.WORK], check=True, capture_output=True)


def run(model, x):
    execute(model, x)
    return np.load(program.path("y.npy"))


def test_runs_as_onnxruntime_does():
    for activations, per_channel in itertools.product(
            (QuantType.QUInt8, QuantType.QInt8), (False, True)):
        model = quantized(activations, per_channel)
        scale = last_scale(model)
        for _ in range(4):
            x = rng.normal(0, 1, SHAPE).astype(np.float32)
            got, want = run(model, x), session(model).run(None, {"x": x})[0]
            assert np.abs(got - want).max() <= 1.001 * scale


def last_scale(path):
    """Of the quantization of y: one quantum."""
    m = onnx.load(path)
    d = next(n for n in m.graph.node if "y" in n.output)
    values = {i.name: numpy_helper.to_array(i) for i in m.graph.initializer}
    return float(values[d.input[1]].reshape(-1)[0])


def test_computes_in_integers():
    """Nothing but the coders at both ends is left in f32."""
    ops = layers(quantized(QuantType.QUInt8, True))
    assert ops.count("QuantizeLinear") == 1
    assert ops.count("DequantizeLinear") == 1
    assert not {"Conv", "ConvBlocked", "Gemm", "GemmPacked", "Relu", "Clip",
                "Sigmoid", "HardSwish", "Act", "Add", "Concat"} & set(ops)
    # Nor does anything between them change its layout and back.
    assert {"Table", "JoinLast"} <= set(ops) and ops.count("Transpose") <= 2


def test_keeps_what_a_quantization_does_not_cut():
    """A Relu before a quantization that has room below zero is computed."""
    q = [("s", np.float32(0.02)), ("z", np.uint8(100))]
    node = helper.make_node
    n = [node("QuantizeLinear", ["x", "s", "z"], ["xq"]),
         node("DequantizeLinear", ["xq", "s", "z"], ["xd"]),
         node("DequantizeLinear", ["w", "ws"], ["wd"]),
         node("Conv", ["xd", "wd"], ["c"]), node("Relu", ["c"], ["r"]),
         node("QuantizeLinear", ["r", "s", "z"], ["rq"]),
         node("DequantizeLinear", ["rq", "s", "z"], ["y"])]
    w = rng.integers(-127, 127, (4, 3, 1, 1)).astype(np.int8)
    init = [numpy_helper.from_array(np.asarray(v), k) for k, v in q]
    init += [numpy_helper.from_array(w, "w"),
             numpy_helper.from_array(np.float32(0.01), "ws")]
    graph = helper.make_graph(
        n, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, SHAPE)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)], init)
    path = program.path("relu.onnx")
    onnx.save(helper.make_model(graph, ir_version=8, opset_imports=[
        helper.make_opsetid("", 17)]), path)
    x = rng.normal(0, 1, SHAPE).astype(np.float32)
    got, want = run(path, x), session(path).run(None, {"x": x})[0]
    assert got.min() >= 0
    assert np.abs(got - want).max() <= 1.001 * 0.02


def test_leaves_what_makes_no_sense():
    """Zero points of no elements, or that are inputs: no crash, and no fusing
    of what is not known."""
    node = helper.make_node
    for zero in (np.zeros(0, np.int32), np.array([3], np.int32)):
        init = [numpy_helper.from_array(np.asarray(v), k) for k, v in (
            ("s", np.float32(0.02)), ("z", np.uint8(100)),
            ("w", np.ones((4, 3, 1, 1), np.int8)), ("ws", np.float32(0.01)),
            ("b", np.arange(4, dtype=np.int32)), ("bs", np.float32(0.01)),
            ("bz", zero))]
        n = [node("QuantizeLinear", ["x", "s", "z"], ["xq"]),
             node("DequantizeLinear", ["xq", "s", "z"], ["xd"]),
             node("DequantizeLinear", ["w", "ws"], ["wd"]),
             node("DequantizeLinear", ["b", "bs", "bz"], ["bd"]),
             node("Conv", ["xd", "wd", "bd"], ["c"]),
             node("QuantizeLinear", ["c", "s", "z"], ["cq"]),
             node("DequantizeLinear", ["cq", "s", "z"], ["y"])]
        graph = helper.make_graph(
            n, "g",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, SHAPE)],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
            init)
        path = program.path("odd.onnx")
        onnx.save(helper.make_model(graph, ir_version=8, opset_imports=[
            helper.make_opsetid("", 17)]), path)
        r = subprocess.run([program.OCELLI, "run", path, "--output-dir",
                            program.WORK], capture_output=True, text=True)
        assert r.returncode in (0, 3), r
        assert r.returncode == 0 or r.stderr.startswith("ocelli: "), r


class Pairs:
    """A network in QDQ pairs, node by node."""

    def __init__(self):
        self.nodes, self.init = [], []

    def constant(self, name, value):
        self.init.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def add(self, op, inputs, output, **attrs):
        self.nodes.append(helper.make_node(op, inputs, [output], name=output,
                                           **attrs))
        return output

    def coded(self, x, scale, zero):
        """x to codes and back."""
        s, z = self.constant(x + ".s", np.float32(scale)), \
            self.constant(x + ".z", zero)
        self.add("QuantizeLinear", [x, s, z], x + ".q")
        return self.add("DequantizeLinear", [x + ".q", s, z], x + ".d")

    def weight(self, name, *shape, axis=None):
        w = rng.integers(-127, 128, shape).astype(np.int8)
        scale = rng.uniform(0.5, 2, shape[axis]) if axis is not None else 1
        scale = np.float32(scale / 127 / np.sqrt(np.prod(shape[1:])))
        inputs = [self.constant(name + ".w", w), self.constant(name + ".s",
                                                               scale)]
        kind = {} if axis is None else {"axis": axis}
        return self.add("DequantizeLinear", inputs, name, **kind)

    def save(self, name, shape, outputs):
        info = helper.make_tensor_value_info
        graph = helper.make_graph(
            self.nodes, "g", [info("x", TensorProto.FLOAT, shape)],
            [info(y, TensorProto.FLOAT, None) for y in outputs], self.init)
        path = program.path(name)
        onnx.save(helper.make_model(graph, ir_version=9, opset_imports=[
            helper.make_opsetid("", 20)]), path)
        return path


def layers(model):
    out = subprocess.run([program.OCELLI, "bench", model, "--layers", "--json",
                          "--time", "0.05"], check=True, capture_output=True)
    return [layer["op"] for layer in json.loads(out.stdout)["layers"]]


def agree(model, shape, outputs):
    """Equal but for the order in which f32 is rounded, to the graph as it
    stands."""
    plain = session(model, optimize=False)
    for _ in range(3):
        x = rng.normal(0, 1, shape).astype(np.float32)
        want = dict(zip(outputs, plain.run(outputs, {"x": x})))
        execute(model, x)
        for y in outputs:
            got = np.load(program.path(y + ".npy"))
            assert got.shape == want[y].shape
            assert np.abs(got - want[y]).max() <= 2e-6 * np.abs(want[y]).max()


def test_ends_in_f32():
    """What nobody quantizes again is computed in integers all the same:
    convolutions with and without activation, depthwise ones, and one whose
    result goes to channels last."""
    for zero in (np.uint8(113), np.int8(-7)):
        p = Pairs()
        x = p.coded("x", 0.03, zero)
        b = p.constant("b", rng.normal(0, 1, 24).astype(np.float32))
        bias = [p.constant("bq", rng.integers(-999, 999, 24).astype(np.int32)),
                p.constant("bs", np.float32(0.03 * 1e-3))]
        coded = p.add("DequantizeLinear", bias, "bd")
        p.add("Conv", [x, p.weight("w1", 24, 12, 3, 3, axis=0), b], "y1",
              pads=[1] * 4)
        c = p.add("Conv", [x, p.weight("w2", 24, 12, 1, 1), coded], "c2")
        p.add("HardSwish", [c], "y2")
        p.add("Conv", [x, p.weight("w3", 12, 1, 3, 3, axis=0)], "y3",
              pads=[1] * 4, group=12, strides=[2, 2])
        c = p.add("Conv", [x, p.weight("w4", 24, 6, 3, 3), b], "c4", group=2)
        p.add("Transpose", [c], "y4", perm=[0, 2, 3, 1])
        shape, outputs = (2, 12, 11, 9), ["y1", "y2", "y3", "y4"]
        model = p.save("ends.onnx", shape, outputs)
        agree(model, shape, outputs)
        ops = layers(model)
        assert ops.count("ConvLast") == 4 and "HardSwish" not in ops
        assert not {"Conv", "ConvBlocked"} & set(ops)


def test_products_end_in_f32():
    """MatMul and Gemm with what f32 adds behind them."""
    for zero in (np.uint8(90), np.int8(5)):
        p = Pairs()
        x = p.coded("x", 0.03, zero)
        m = p.add("MatMul", [x, p.weight("w1", 40, 33, axis=1)], "m1")
        b = p.constant("b1", rng.normal(0, 1, 33).astype(np.float32))
        m = p.add("Gelu", [p.add("Add", [b, m], "a1")], "y1")
        c = p.coded("y1", 0.02, np.uint8(40))
        m = p.add("MatMul", [c, p.weight("w2", 33, 40)], "m2")
        m = p.add("Add", [m, "x"], "y2")
        flat = p.coded(p.add("Flatten", ["x"], "f", axis=2), 0.03, zero)
        b = p.constant("b3", rng.normal(0, 1, (1, 21)).astype(np.float32))
        p.add("Gemm", [flat, p.weight("w3", 21, 40, axis=0), b], "y3",
              transB=1)
        shape, outputs = (3, 7, 40), ["y1", "y2", "y3"]
        model = p.save("products.onnx", shape, outputs)
        # A code beside a tie may be one off, and 1 / 40 of it in y2.
        plain = session(model, optimize=False)
        v = rng.normal(0, 1, shape).astype(np.float32)
        want = plain.run(outputs, {"x": v})
        execute(model, v)
        for y, w in zip(outputs, want):
            off = np.abs(np.load(program.path(y + ".npy")) - w)
            assert (off > 2e-6 * np.abs(w).max()).mean() < 0.05
            assert off.max() <= (0.02 if y == "y2" else 1e-5)
        ops = layers(model)
        assert ops.count("ProductLast") == 3
        assert not {"MatMulPacked", "GemmPacked", "Add", "Gelu"} & set(ops)


def test_functions_of_codes_are_tables():
    """GELU in pieces with codes between them, a product with a number, and the
    sum of two functions of the same codes: one table each."""
    p = Pairs()
    x = p.coded("x", 0.0311, np.uint8(120))
    e = p.add("Div", [x, p.constant("r2", np.float32(1.41421356))], "e0")
    e = p.coded(p.add("Erf", [e], "e1"), 1 / 127, np.uint8(128))
    one = p.add("DequantizeLinear", [p.constant("one", np.uint8(255)),
                                     p.constant("ones", np.float32(1 / 255))],
                "oned")
    e = p.coded(p.add("Add", [e, one], "e2"), 2.03 / 255, np.uint8(0))
    e = p.coded(p.add("Mul", [x, e], "e3"), 0.0293, np.uint8(20))
    half = p.constant("half", np.full((1, 1, 1, 1), 0.5, np.float32))
    e = p.add("Mul", [half, e], "e4")
    e = p.coded(e, 0.0157, np.uint8(20))
    p.add("Add", [x, e], "y0")
    p.coded("y0", 0.0523, np.uint8(90))
    p.add("Identity", ["y0.d"], "y")
    model = p.save("table.onnx", SHAPE, ["y"])
    v = rng.normal(0, 1.5, SHAPE).astype(np.float32)
    got, want = run(model, v), session(model, False).run(None, {"x": v})[0]
    off = np.abs(got - want)
    # What lies beside a tie in f32 may go either way.
    assert off.max() <= 1.001 * 0.0523 and (off > 1e-6).mean() < 0.02
    ops = layers(model)
    assert ops.count("Table") == 1 and "QLinearMul" not in ops, ops


def test_gates_and_pictures_stay_channels_last():
    """Pictures with the channels last, and a gate for each channel: nothing is
    transposed, whatever the number of pixels in a vector."""
    for zero, side in ((np.uint8(120), 20), (np.int8(3), 3)):
        p = Pairs()
        x = p.add("Transpose", ["x"], "t", perm=[0, 3, 1, 2])
        x = p.coded(x, 0.03, zero)
        x = p.add("Conv", [x, p.weight("w1", 40, 3, 3, 3, axis=0)], "c1",
                  pads=[1] * 4)
        x = p.coded(x, 0.02, zero)
        g = p.coded(p.add("GlobalAveragePool", [x], "g"), 0.004, zero)
        g = p.add("Conv", [g, p.weight("w2", 40, 40, 1, 1)], "c2")
        g = p.coded(p.add("Sigmoid", [p.coded(g, 0.01, zero)], "s"), 1 / 255,
                    np.uint8(0) if zero.dtype == np.uint8 else np.int8(-128))
        x = p.coded(p.add("Mul", [x, g], "m"), 0.012, zero)
        p.add("Conv", [x, p.weight("w3", 8, 40, 1, 1)], "c3")
        p.coded("c3", 0.011, zero)
        p.add("Identity", ["c3.d"], "y")
        shape = (1, side, side, 3)
        model = p.save("gates.onnx", shape, ["y"])
        v = rng.normal(0, 1, shape).astype(np.float32)
        got, want = run(model, v), session(model, False).run(None, {"x": v})[0]
        off = np.abs(got - want)
        # What lies beside a tie in f32 may go either way, and on from there.
        assert off.max() <= 2.001 * 0.011 and (off > 1e-6).mean() < 0.05
        ops = layers(model)
        assert ops.count("QLinearMul") == 1 and "Mul" not in ops, ops
        assert ops.count("Transpose") <= 1, ops  # of the result


if __name__ == "__main__":
    sys.exit(program.main([
        ("runs as onnxruntime does", test_runs_as_onnxruntime_does),
        ("computes in integers", test_computes_in_integers),
        ("keeps what a quantization does not cut",
         test_keeps_what_a_quantization_does_not_cut),
        ("leaves what makes no sense", test_leaves_what_makes_no_sense),
        ("ends in f32", test_ends_in_f32),
        ("products end in f32", test_products_end_in_f32),
        ("gates and pictures stay channels last",
         test_gates_and_pictures_stay_channels_last),
        ("functions of codes are tables",
         test_functions_of_codes_are_tables)]))
