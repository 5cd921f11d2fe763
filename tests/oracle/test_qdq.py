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


def run(model, x):
    np.save(program.path("x.npy"), x)
    subprocess.run([program.OCELLI, "run", model, "--input",
                    f"x={program.path('x.npy')}", "--output-dir",
                    program.WORK], check=True, capture_output=True)
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
    model = quantized(QuantType.QUInt8, True)
    out = subprocess.run([program.OCELLI, "bench", model, "--layers", "--json",
                          "--time", "0.05"], check=True, capture_output=True)
    ops = [layer["op"] for layer in json.loads(out.stdout)["layers"]]
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


if __name__ == "__main__":
    sys.exit(program.main([
        ("runs as onnxruntime does", test_runs_as_onnxruntime_does),
        ("computes in integers", test_computes_in_integers),
        ("keeps what a quantization does not cut",
         test_keeps_what_a_quantization_does_not_cut),
        ("leaves what makes no sense", test_leaves_what_makes_no_sense)]))
