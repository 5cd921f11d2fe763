"""Writes the starting corpora of the fuzz targets that read ONNX and NumPy.

    python tests/oracle/make_onnx_corpus.py fuzz/corpus

Small on purpose: a fuzzer learns most from inputs that show one thing each.
"""
import io
import os
import sys

import numpy as np
from onnx import TensorProto, helper, numpy_helper

out = sys.argv[1]
F, I64, BOOL = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL


def write(target, name, data):
    folder = os.path.join(out, target)
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, name), "wb") as f:
        f.write(data)


def value(name, dtype=F, shape=None):
    return helper.make_tensor_value_info(name, dtype, shape)


def model(nodes, inputs, outputs, inits=(), functions=(), sparse=(), **more):
    g = helper.make_graph(nodes, "g", inputs, outputs, list(inits),
                          sparse_initializer=list(sparse))
    sets = [helper.make_opsetid("", 17), helper.make_opsetid("l", 1)]
    m = helper.make_model(g, functions=list(functions), opset_imports=sets)
    m.ir_version = more.get("ir", 8)
    helper.set_model_props(m, {"k": "v"})
    return m.SerializeToString()


def node(op, ins, outs, **attrs):
    return helper.make_node(op, ins, outs, **attrs)


def models():
    w = numpy_helper.from_array(np.float32([[1, 2], [3, 4]]), "w")
    yield "add", model([node("Add", ["a", "w"], ["z"], name="n")],
                       [value("a", F, [2, "n"])], [value("z", F, [2, 2])], [w])
    yield "default", model([node("Neg", ["w"], ["z"])],
                           [value("w", F, [2, 2])], [value("z")], [w])
    yield "ir3", model([node("Neg", ["w"], ["z"])], [value("w", F, [2, 2])],
                       [value("z")], [w], ir=3)
    yes = helper.make_graph([node("Add", ["a", "w"], ["p"])], "y", [],
                            [value("p")])
    no = helper.make_graph([node("Neg", ["a"], ["q"])], "n", [], [value("q")])
    yield "if", model([node("If", ["c"], ["z"], then_branch=yes,
                            else_branch=no)],
                      [value("a"), value("c", BOOL, [])], [value("z")], [w])
    body = helper.make_graph(
        [node("Add", ["s", "a"], ["t"]), node("Identity", ["c"], ["d"])], "b",
        [value("i", I64, []), value("c", BOOL, []), value("s")],
        [value("d", BOOL, []), value("t")])
    yield "loop", model([node("Loop", ["n", "", "a"], ["z"], body=body)],
                        [value("a"), value("n", I64, [])], [value("z")])
    elu = node("Elu", ["x"], ["y"])
    ref = elu.attribute.add()
    ref.name, ref.ref_attr_name, ref.type = "alpha", "r", 1
    f = helper.make_function("l", "f", ["x"], ["y"], [elu],
                             [helper.make_opsetid("", 17)], ["r"],
                             [helper.make_attribute("d", 1.0)])
    yield "function", model([node("f", ["a"], ["z"], domain="l", r=2.0)],
                            [value("a")], [value("z")], functions=[f])
    s = helper.make_sparse_tensor(
        numpy_helper.from_array(np.float32([5]), "s"),
        numpy_helper.from_array(np.array([[1, 0]]), "i"), [2, 2])
    yield "sparse", model([node("Neg", ["s"], ["z"])], [], [value("z")],
                          sparse=[s])
    yield "constants", model(
        [node("Constant", [], ["a"], value=w),
         node("Constant", [], ["b"], value_ints=[1, -1]),
         node("Constant", [], ["c"], value_strings=["x", ""]),
         node("Constant", [], ["d"], value_float=0.5)], [],
        [value("a"), value("b", I64, [2]),
         value("c", TensorProto.STRING, [2]), value("d", F, [])])
    seq = helper.make_tensor_sequence_value_info("s", F, None)
    yield "sequence", model([node("SequenceLength", ["s"], ["n"])], [seq],
                            [value("n", I64, [])])
    t = helper.make_tensor_type_proto(F, [2])
    opt = helper.make_value_info("o", helper.make_optional_type_proto(t))
    yield "optional", model([node("OptionalHasElement", ["o"], ["b"])], [opt],
                            [value("b", BOOL, [])])
    ext = numpy_helper.from_array(np.float32([1]), "w")
    ext.ClearField("raw_data")
    ext.data_location = 1
    for k, v in (("location", "w.bin"), ("offset", "0"), ("length", "4")):
        e = ext.external_data.add()
        e.key, e.value = k, v
    yield "external", model([], [], [value("w")], [ext])


def tensors():
    yield "f32", numpy_helper.from_array(np.float32([[1, 2]]), "x")
    yield "typed", helper.make_tensor("x", F, [2], [1.0, -2.0])
    yield "i64", helper.make_tensor("x", I64, [2], [1, -2])
    yield "f16", helper.make_tensor("x", TensorProto.FLOAT16, [2], [1.0, 2.0])
    yield "i4", helper.make_tensor("x", TensorProto.INT4, [3], [1, -2, 3])
    yield "u2", helper.make_tensor("x", TensorProto.UINT2, [5], [1, 2, 3, 0, 1])
    yield "c64", helper.make_tensor("x", TensorProto.COMPLEX64, [1], [1 + 2j])
    yield "u64", helper.make_tensor("x", TensorProto.UINT64, [1], [1 << 63])
    yield "string", helper.make_tensor("x", TensorProto.STRING, [2],
                                       [b"a", b"\xff"])
    yield "bool", numpy_helper.from_array(np.array([True, False]), "x")
    yield "scalar", numpy_helper.from_array(np.float64(2), "x")
    yield "empty", numpy_helper.from_array(np.zeros((0, 3), np.float32), "x")


def arrays():
    yield "f32", np.float32([[1, 2, 3]])
    yield "fortran", np.asfortranarray(np.arange(6.0).reshape(2, 3))
    yield "big", np.arange(3, dtype=">i4")
    yield "complex", np.array([1 + 2j])
    yield "string", np.array(["a", "\u00e4\U0001f441"])
    yield "bytes", np.array([b"ab", b"c"])
    yield "scalar", np.array(True)
    yield "empty", np.zeros((0, 2), np.uint8)
    yield "void", np.array([b"ab"], "V2")


for name, data in models():
    write("import", name, data)
    write("wire", name, data)
for name, t in tensors():
    write("tensor_pb", name, b"\0" + t.SerializeToString())
pair = [np.float32([1]), np.float32([2, 3])]
write("tensor_pb", "sequence",
      b"\1" + numpy_helper.from_list(pair).SerializeToString())
write("tensor_pb", "map", b"\2" + numpy_helper.from_dict(
    {1: np.float32(1), 2: np.float32(2)}).SerializeToString())
write("tensor_pb", "optional", b"\3" + numpy_helper.from_optional(
    pair[0]).SerializeToString())
for name, a in arrays():
    f = io.BytesIO()
    np.save(f, a)
    write("npy", name, f.getvalue())
for name, save in (("stored", np.savez), ("deflated", np.savez_compressed)):
    f = io.BytesIO()
    save(f, x=np.arange(40, dtype=np.float32) % 7)
    write("npy", name, f.getvalue())
