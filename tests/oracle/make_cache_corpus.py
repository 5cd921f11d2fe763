"""Writes the starting corpus of fuzz_cache: what the cache keeps of small networks.

    python tests/oracle/make_cache_corpus.py build/ocelli fuzz/corpus/cache

Made for AVX2 and one thread, as the target has it.  To be made anew when the
form of the files changes.
"""
import os
import shutil
import subprocess
import sys
import tempfile

import numpy as np
from onnx import TensorProto, helper, numpy_helper, save

program, out = sys.argv[1:]
F, I64, BOOL = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL
U8, I8, TEXT = TensorProto.UINT8, TensorProto.INT8, TensorProto.STRING
rng = np.random.default_rng(1)


def weights(name, *shape, dtype=np.float32):
    if dtype != np.float32:
        return numpy_helper.from_array(
            rng.integers(0, 100, shape).astype(dtype), name)
    return numpy_helper.from_array(
        rng.standard_normal(shape).astype(np.float32), name)


def numbers(name, *values, dtype=np.int64):
    return numpy_helper.from_array(np.array(values, dtype), name)


def value(name, dtype=F, shape=None):
    return helper.make_tensor_value_info(name, dtype, shape)


def node(op, ins, outs, **attrs):
    return helper.make_node(op, ins.split(" "), outs.split(" "), **attrs)


def model(nodes, inputs, outputs, inits=(), opset=17):
    g = helper.make_graph(nodes, "g", inputs, outputs, list(inits))
    m = helper.make_model(g, opset_imports=[helper.make_opsetid("", opset)])
    m.ir_version = 8
    helper.set_model_props(m, {"key": "value"})
    return m


def blocked():
    yield "conv", model(
        [node("Conv", "x w b", "c", pads=[1, 1, 1, 1]), node("Relu", "c", "r"),
         node("MaxPool", "r", "m", kernel_shape=[2, 2], strides=[2, 2]),
         node("Conv", "m d", "e", group=9, pads=[1, 1, 1, 1]),
         node("Conv", "e p", "f"), node("Add", "f m", "s"),
         node("GlobalAveragePool", "s", "y")],
        [value("x", F, [1, 3, 8, 8])], [value("y")],
        [weights("w", 9, 3, 3, 3), weights("b", 9), weights("d", 9, 1, 3, 3),
         weights("p", 9, 9, 1, 1)])
    yield "winograd", model(
        [node("Conv", "x w", "c", pads=[1, 1, 1, 1]), node("Sigmoid", "c", "s"),
         node("Mul", "c s", "y")],
        [value("x", F, [1, 16, 8, 8])], [value("y")], [weights("w", 16, 16, 3, 3)])
    yield "resize", model(
        [node("Conv", "x w", "c"), node("Resize", "c  k", "r", mode="linear"),
         node("Concat", "r r", "y", axis=1)],
        [value("x", F, [1, 4, 4, 4])], [value("y")],
        [weights("w", 8, 4, 1, 1), numbers("k", 1, 1, 2, 2, dtype=np.float32)])


def others():
    yield "products", model(
        [node("MatMul", "x w", "a"), node("Gemm", "a v b", "g", transB=1),
         node("Softmax", "g", "y")],
        [value("x", F, [2, 6])], [value("y")],
        [weights("w", 6, 5), weights("v", 4, 5), weights("b", 4)])
    yield "quantised", model(
        [node("QuantizeLinear", "x s z", "q"),
         node("QLinearConv", "q s z w t u s z", "c"),
         node("DequantizeLinear", "c s z", "y")],
        [value("x", F, [1, 4, 5, 5])], [value("y")],
        [weights("w", 8, 4, 3, 3, dtype=np.int8),
         numpy_helper.from_array(np.float32(0.1), "s"),
         numpy_helper.from_array(np.uint8(3), "z"),
         numpy_helper.from_array(np.float32(0.2), "t"),
         numpy_helper.from_array(np.int8(0), "u")])
    w = weights("w", 2, 2)
    yes = helper.make_graph([node("Add", "a w", "p")], "yes", [], [value("p")])
    no = helper.make_graph([node("Neg", "a", "q")], "no", [], [value("q")])
    yield "if", model(
        [node("If", "c", "y", then_branch=yes, else_branch=no)],
        [value("a", F, [2, 2]), value("c", BOOL, [])], [value("y")], [w])
    body = helper.make_graph(
        [node("Add", "s a", "t"), node("Identity", "c", "d")], "body",
        [value("i", I64, []), value("c", BOOL, []), value("s")],
        [value("d", BOOL, []), value("t")])
    yield "loop", model(
        [node("Loop", "n  a", "y", body=body)],
        [value("a", F, [2])], [value("y")], [numpy_helper.from_array(np.int64(3), "n")])
    yield "dynamic", model(
        [node("NonZero", "x", "n"), node("Cast", "n", "f", to=F),
         node("SplitToSequence", "f", "s"), node("ConcatFromSequence", "s", "y", axis=0)],
        [value("x", F, [2, 3])], [value("y")])
    yield "lists", model(
        [node("Slice", "x b e", "s"),
         node("LSTM", "s w r", "y h", hidden_size=2, activations=["Tanh", "Sigmoid", "Tanh"],
              clip=1.5)],
        [value("x", F, [3, 1, 4])], [value("y"), value("h")],
        [numbers("b", 0), numbers("e", 2), weights("w", 1, 8, 4), weights("r", 1, 8, 2)])


shutil.rmtree(out, ignore_errors=True)
os.makedirs(out)
with tempfile.TemporaryDirectory() as tmp:
    for name, m in [*blocked(), *others()]:
        path, cache = f"{tmp}/{name}.onnx", f"{tmp}/{name}"
        save(m, path)
        subprocess.run([program, "bench", path, "--cache", cache, "--cpu", "avx2",
                        "--threads", "1", "--time", "0.01", "--quiet"],
                       check=True, stdout=subprocess.DEVNULL)
        for file in os.listdir(cache):
            if file[0] == "p" or name == "conv":
                shutil.copyfile(f"{cache}/{file}", f"{out}/{name}-{file[0]}")
